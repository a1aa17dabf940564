#include "cluster/podrt/bundle.h"

#include "codec/json.h"

/* containerd's default set. */
static const char *const default_capabilities[] = {
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER",           "CAP_MKNOD",      "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP",      "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",    "CAP_AUDIT_WRITE"};

static const char *const all_capabilities[] = {
    "CAP_CHOWN",          "CAP_DAC_OVERRIDE",   "CAP_DAC_READ_SEARCH", "CAP_FOWNER",      "CAP_FSETID",       "CAP_KILL",
    "CAP_SETGID",         "CAP_SETUID",         "CAP_SETPCAP",         "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",      "CAP_NET_RAW",        "CAP_IPC_LOCK",        "CAP_IPC_OWNER",   "CAP_SYS_MODULE",   "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",     "CAP_SYS_PTRACE",     "CAP_SYS_PACCT",       "CAP_SYS_ADMIN",   "CAP_SYS_BOOT",     "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",   "CAP_SYS_TIME",       "CAP_SYS_TTY_CONFIG",  "CAP_MKNOD",       "CAP_LEASE",        "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",  "CAP_SETFCAP",        "CAP_MAC_OVERRIDE",    "CAP_MAC_ADMIN",   "CAP_SYSLOG",       "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",  "CAP_AUDIT_READ",     "CAP_PERFMON",         "CAP_BPF",         "CAP_CHECKPOINT_RESTORE"};

static const char *const masked_paths[] = {"/proc/acpi",         "/proc/asound",      "/proc/kcore",   "/proc/keys",  "/proc/latency_stats",
                                           "/proc/timer_list",   "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"};
static const char *const readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

/* System calls that reach out of the container into the kernel or other processes; the rest of the default profiles' long list of allowed
 * ones is allowed by being absent here. */
static const char *const denied_calls[] = {"acct",
                                           "add_key",
                                           "bpf",
                                           "clock_adjtime",
                                           "clock_settime",
                                           "delete_module",
                                           "finit_module",
                                           "fsconfig",
                                           "fsmount",
                                           "fsopen",
                                           "fspick",
                                           "init_module",
                                           "ioperm",
                                           "iopl",
                                           "kcmp",
                                           "kexec_file_load",
                                           "kexec_load",
                                           "keyctl",
                                           "lookup_dcookie",
                                           "mount",
                                           "mount_setattr",
                                           "move_mount",
                                           "move_pages",
                                           "name_to_handle_at",
                                           "open_by_handle_at",
                                           "open_tree",
                                           "perf_event_open",
                                           "pivot_root",
                                           "process_vm_readv",
                                           "process_vm_writev",
                                           "quotactl",
                                           "quotactl_fd",
                                           "reboot",
                                           "request_key",
                                           "setns",
                                           "settimeofday",
                                           "swapoff",
                                           "swapon",
                                           "syslog",
                                           "umount2",
                                           "unshare",
                                           "userfaultfd",
                                           "vhangup"};

void bundle_done(struct bundle *b) {
        free(b->rootfs);
        free(b->cwd);
        free(b->namespace_dir);
        free(b->pid_namespace);
        free(b->cgroups_path);
        strv_done(&b->args);
        strv_done(&b->env);
        strv_done(&b->add_caps);
        strv_done(&b->drop_caps);
        vec_done(&b->groups);
        vec_foreach(m, &b->mounts) {
                free(m->destination);
                free(m->type);
                free(m->source);
                strv_done(&m->options);
        }
        vec_done(&b->mounts);
        *b = (struct bundle){0};
}

void bundle_mount(struct bundle *b, const char *destination, const char *type, const char *source, const char *options) {
        struct bundle_mount *m = vec_push(&b->mounts);
        m->destination = xstrdup(destination);
        m->type = xstrdup(type);
        m->source = xstrdup(source);
        strv_split(&m->options, options, ',');
}

void bundle_bind(struct bundle *b, const char *destination, const char *source, bool is_readonly) {
        bundle_mount(b, destination, "bind", source, is_readonly ? "rbind,ro,rprivate" : "rbind,rw,rprivate");
}

void bundle_capabilities(const struct bundle *b, struct strv *ret) {
        bool all = b->is_privileged || strv_has(&b->add_caps, "ALL");
        bool none = strv_has(&b->drop_caps, "ALL") && !b->is_privileged;
        const char *const *base = all ? all_capabilities : default_capabilities;
        size_t count = all ? ARRAY_LEN(all_capabilities) : ARRAY_LEN(default_capabilities);
        for (size_t i = 0; i < count && (all || !none); i++)
                if (!strv_has(&b->drop_caps, base[i]) || b->is_privileged)
                        strv_add(ret, base[i]);
        for (size_t i = 0; i < b->add_caps.len; i++)
                if (!streq(b->add_caps.items[i], "ALL") && !strv_has(ret, b->add_caps.items[i]))
                        strv_add(ret, b->add_caps.items[i]);
}

static yyjson_mut_val *add_obj(yyjson_mut_doc *d, yyjson_mut_val *array) { return yyjson_mut_arr_add_obj(d, array); }

static void add_all(yyjson_mut_doc *d, yyjson_mut_val *object, const char *key, const char *const *items, size_t count) {
        yyjson_mut_val *array = mjson_arr(d, object, key);
        for (size_t i = 0; i < count; i++)
                mjson_add_str(d, array, items[i]);
}

static void put_user(yyjson_mut_doc *d, yyjson_mut_val *process, const struct bundle *b) {
        yyjson_mut_val *user = mjson_obj(d, process, "user");
        mjson_set_int(d, user, "uid", b->uid);
        mjson_set_int(d, user, "gid", b->gid);
        yyjson_mut_val *groups = mjson_arr(d, user, "additionalGids");
        vec_foreach(g, &b->groups) yyjson_mut_arr_add_uint(d, groups, *g);
}

static void put_process(yyjson_mut_doc *d, yyjson_mut_val *process, const struct bundle *b, const struct strv *args, bool has_terminal) {
        AUTO(strv) struct strv caps = {0};
        mjson_set_bool(d, process, "terminal", has_terminal);
        put_user(d, process, b);
        add_all(d, process, "args", (const char *const *)args->items, args->len);
        add_all(d, process, "env", (const char *const *)b->env.items, b->env.len);
        mjson_set_str(d, process, "cwd", b->cwd ? b->cwd : "/");
        bundle_capabilities(b, &caps);
        yyjson_mut_val *sets = mjson_obj(d, process, "capabilities");
        /* Without root the effective and permitted sets are emptied by the change of user anyway; the bounding set is what a later root
         * has. */
        static const char *const names[] = {"bounding", "effective", "permitted"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                add_all(d, sets, names[i], (const char *const *)caps.items, b->uid == 0 || i == 0 ? caps.len : 0);
        mjson_set_bool(d, process, "noNewPrivileges", !b->allows_new_privileges);
        if (b->oom_score_adj > 0)
                mjson_set_int(d, process, "oomScoreAdj", b->oom_score_adj);
        if (b->max_open_files > 0) {
                yyjson_mut_val *limit = add_obj(d, mjson_arr(d, process, "rlimits"));
                mjson_set_str(d, limit, "type", "RLIMIT_NOFILE");
                mjson_set_int(d, limit, "hard", b->max_open_files);
                mjson_set_int(d, limit, "soft", b->max_open_files);
        }
}

static void put_mount(yyjson_mut_doc *d, yyjson_mut_val *mounts, const char *destination, const char *type, const char *source,
                      const char *options) {
        yyjson_mut_val *m = add_obj(d, mounts);
        mjson_set_str(d, m, "destination", destination);
        mjson_set_str(d, m, "type", type);
        mjson_set_str(d, m, "source", source);
        AUTO(strv) struct strv list = {0};
        strv_split(&list, options, ',');
        add_all(d, m, "options", (const char *const *)list.items, list.len);
}

static int by_depth(const void *a, const void *b) {
        const struct bundle_mount *x = *(const struct bundle_mount *const *)a, *y = *(const struct bundle_mount *const *)b;
        size_t m = strlen(x->destination), n = strlen(y->destination);
        if (m != n)
                return m < n ? -1 : 1;
        return x < y ? -1 : x > y; /* one array: in the order of adding */
}

static void put_mounts(yyjson_mut_doc *d, yyjson_mut_val *root, const struct bundle *b) {
        yyjson_mut_val *mounts = mjson_arr(d, root, "mounts");
        AUTO(free) char *shm = xasprintf("nosuid,noexec,nodev,mode=1777,size=%lld", b->shm_bytes ? (long long)b->shm_bytes : 64LL << 20);
        put_mount(d, mounts, "/proc", "proc", "proc", "nosuid,noexec,nodev");
        put_mount(d, mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
        /* Group 5 (tty) does not exist where only one id is mapped. */
        put_mount(d, mounts, "/dev/pts", "devpts", "devpts",
                  b->is_in_user_namespace ? "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"
                                          : "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
        put_mount(d, mounts, "/dev/shm", "tmpfs", "shm", shm);
        put_mount(d, mounts, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
        put_mount(d, mounts, "/sys", "sysfs", "sysfs", b->is_privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
        if (b->has_cgroups)
                put_mount(d, mounts, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro");
        /* Shorter destinations first, so that no mount hides one below its destination. */
        VEC(const struct bundle_mount *) sorted = {0};
        vec_foreach(m, &b->mounts) *vec_push(&sorted) = m;
        if (sorted.len > 1)
                qsort(sorted.items, sorted.len, sizeof *sorted.items, by_depth);
        vec_foreach(m, &sorted) {
                AUTO(free) char *options = strv_join(&(*m)->options, ",");
                put_mount(d, mounts, (*m)->destination, (*m)->type, (*m)->source, options);
        }
        vec_done(&sorted);
}

static void put_namespaces(yyjson_mut_doc *d, yyjson_mut_val *lin, const struct bundle *b) {
        static const struct {
                const char *type, *file;
        } spaces[] = {{"pid", NULL}, {"mount", NULL}, {"network", "net"}, {"ipc", "ipc"}, {"uts", "uts"}};
        yyjson_mut_val *list = mjson_arr(d, lin, "namespaces");
        for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
                if (b->shares_host_network && streq(spaces[i].type, "network"))
                        continue; /* not listed: the runtime's own, which is the instance's */
                yyjson_mut_val *n = add_obj(d, list);
                mjson_set_str(d, n, "type", spaces[i].type);
                if (spaces[i].file && b->namespace_dir) {
                        AUTO(free) char *path = xasprintf("%s/%s", b->namespace_dir, spaces[i].file);
                        mjson_set_str(d, n, "path", path);
                } else if (b->pid_namespace && streq(spaces[i].type, "pid")) {
                        mjson_set_str(d, n, "path", b->pid_namespace);
                }
        }
        if (b->has_cgroup_namespace)
                mjson_set_str(d, add_obj(d, list), "type", "cgroup");
}

static void put_resources(yyjson_mut_doc *d, yyjson_mut_val *lin, const struct bundle *b) {
        if (!b->has_cgroups)
                return;
        yyjson_mut_val *resources = mjson_obj(d, lin, "resources");
        if (!b->is_in_user_namespace) {
                yyjson_mut_val *rule = add_obj(d, mjson_arr(d, resources, "devices"));
                mjson_set_bool(d, rule, "allow", b->is_privileged);
                mjson_set_str(d, rule, "access", "rwm");
        }
        if (b->memory_limit > 0)
                mjson_set_int(d, mjson_obj(d, resources, "memory"), "limit", b->memory_limit);
        if (b->cpu_shares > 0)
                mjson_set_int(d, mjson_obj(d, resources, "cpu"), "shares", b->cpu_shares);
        if (b->cpu_quota_us > 0) {
                mjson_set_int(d, mjson_obj(d, resources, "cpu"), "quota", b->cpu_quota_us);
                mjson_set_int(d, mjson_obj(d, resources, "cpu"), "period", b->cpu_period_us);
        }
        if (b->pids_limit > 0)
                mjson_set_int(d, mjson_obj(d, resources, "pids"), "limit", b->pids_limit);
        if (b->cgroups_path)
                mjson_set_str(d, lin, "cgroupsPath", b->cgroups_path);
}

static void put_filter(yyjson_mut_doc *d, yyjson_mut_val *lin, const struct bundle *b) {
        if (b->is_privileged)
                return;
        AUTO(strv) struct strv caps = {0};
        bundle_capabilities(b, &caps);
        if (strv_has(&caps, "CAP_SYS_ADMIN"))
                return;
        yyjson_mut_val *filter = mjson_obj(d, lin, "seccomp");
        mjson_set_str(d, filter, "defaultAction", "SCMP_ACT_ALLOW");
        yyjson_mut_val *rule = add_obj(d, mjson_arr(d, filter, "syscalls"));
        add_all(d, rule, "names", denied_calls, ARRAY_LEN(denied_calls));
        mjson_set_str(d, rule, "action", "SCMP_ACT_ERRNO");
        mjson_set_int(d, rule, "errnoRet", EPERM);
}

char *bundle_write(const struct bundle *b) {
        AUTO(mjson) yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(d);
        yyjson_mut_doc_set_root(d, root);
        mjson_set_str(d, root, "ociVersion", "1.0.2");
        put_process(d, mjson_obj(d, root, "process"), b, &b->args, b->has_terminal);
        yyjson_mut_val *fs = mjson_obj(d, root, "root");
        mjson_set_str(d, fs, "path", b->rootfs ? b->rootfs : "rootfs");
        mjson_set_bool(d, fs, "readonly", b->is_readonly_root);
        put_mounts(d, root, b);
        yyjson_mut_val *lin = mjson_obj(d, root, "linux");
        put_namespaces(d, lin, b);
        put_resources(d, lin, b);
        put_filter(d, lin, b);
        if (!b->is_privileged) {
                add_all(d, lin, "maskedPaths", masked_paths, ARRAY_LEN(masked_paths));
                add_all(d, lin, "readonlyPaths", readonly_paths, ARRAY_LEN(readonly_paths));
        }
        return mjson_write(root, true, NULL);
}

char *bundle_write_exec(const struct bundle *b, const struct strv *args, bool has_terminal) {
        AUTO(mjson) yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(d);
        yyjson_mut_doc_set_root(d, root);
        put_process(d, root, b, args, has_terminal);
        return mjson_write(root, true, NULL);
}
