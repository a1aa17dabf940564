#include "cluster/podrt/isolation.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "event/loop.h"

void isolation_done(struct isolation *i) {
        free(i->why_not);
        free(i->runtime);
        free(i->runtime_version);
        free(i->cgroup_base);
        strv_done(&i->notes);
        *i = (struct isolation){0};
}

bool isolation_is_root(void) {
        AUTO(str) struct str text = STR_INIT(4096);
        unsigned long inside, outside, count;
        if (geteuid() != 0)
                return false;
        if (fs_read("/proc/self/uid_map", 4096, &text, NULL) < 0 || sscanf(str_cstr(&text), "%lu %lu %lu", &inside, &outside, &count) != 3)
                return true; /* no user namespaces in this kernel */
        return inside == 0 && outside == 0 && count == UINT32_MAX;
}

/* What the probing child found, as bits of its exit code. */
enum { FOUND_NAMESPACES = 1, FOUND_OVERLAY = 2, FOUND_PROC = 4 };

static int put(const char *path, const char *text) {
        int fd = open(path, O_WRONLY);
        int r = fd < 0 ? -1 : fs_write_all(fd, text, strlen(text));
        if (fd >= 0)
                close(fd);
        return r;
}

/* The child: makes the namespaces pods would have, tries the mounts in them. */
static int probe_child(const char *scratch, bool is_root, uid_t uid, gid_t gid) {
        char map[32];
        if (!is_root) {
                if (unshare(CLONE_NEWUSER) < 0)
                        return 0;
                put("/proc/self/setgroups", "deny");
                snprintf(map, sizeof map, "0 %u 1", uid);
                if (put("/proc/self/uid_map", map) < 0)
                        return 0;
                snprintf(map, sizeof map, "0 %u 1", gid);
                if (put("/proc/self/gid_map", map) < 0)
                        return 0;
        }
        if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return 0;
        int found = FOUND_NAMESPACES;
        AUTO(free) char *upper = fs_join(scratch, "upper");
        AUTO(free) char *work = fs_join(scratch, "work");
        AUTO(free) char *merged = fs_join(scratch, "merged");
        AUTO(free) char *options = xasprintf("lowerdir=/usr,upperdir=%s,workdir=%s%s", upper, work, is_root ? "" : ",userxattr");
        if (mount("overlay", merged, "overlay", 0, options) == 0) {
                found |= FOUND_OVERLAY;
                umount2(merged, MNT_DETACH);
        }
        /* A fresh /proc wants a process inside the new pid namespace. */
        pid_t inside = fork();
        if (inside == 0)
                _exit(mount("proc", merged, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 ? 0 : 1);
        int status = 0;
        if (inside > 0 && waitpid(inside, &status, 0) == inside && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                found |= FOUND_PROC;
        return found;
}

static int probe_namespaces(const char *scratch, bool is_root) {
        AUTO(free) char *dir = fs_join(scratch, "probe");
        static const char *const parts[] = {"upper", "work", "merged"};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                AUTO(free) char *part = fs_join(dir, parts[i]);
                if (fs_mkdirs(part, 0700, NULL) < 0)
                        return 0;
        }
        pid_t pid = fork();
        if (pid == 0)
                _exit(probe_child(dir, is_root, geteuid(), getegid()));
        int status = 0;
        int found = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        (void)!fs_remove_tree(dir, NULL);
        return found;
}

/* Who may be moved to another group: this server, and the command that waits for it. */
static void own_processes(int ret[3]) {
        char mine[PATH_MAX], parents[PATH_MAX], link[32];
        snprintf(link, sizeof link, "/proc/%d/exe", (int)getppid());
        ssize_t n = readlink("/proc/self/exe", mine, sizeof mine), m = readlink(link, parents, sizeof parents);
        ret[0] = getpid();
        ret[1] = n > 0 && n == m && memcmp(mine, parents, (size_t)n) == 0 ? getppid() : 0;
        ret[2] = 0;
}

static void probe_cgroups(struct isolation *i) {
        AUTO(str) struct str self = STR_INIT(65536);
        AUTO(cgroup_rights) struct cgroup_rights rights = {0};
        int movable[3];
        own_processes(movable);
        (void)!fs_read("/proc/self/cgroup", 65536, &self, NULL);
        cgroup_probe(CGROUP_ROOT, i->is_root, str_sv(&self), movable, &rights);
        i->cgroups = rights.mode;
        i->cgroup_base = rights.base ? TAKE(rights.base) : xstrdup("");
        i->limits_memory = rights.has_memory;
        i->limits_cpu = rights.has_cpu;
        if (i->limits_memory)
                return;
        strv_add(
                &i->notes,
                i->is_root
                        ? "no memory control group: memory limits are enforced by polling four times a second"
                        : "control groups need root, or a delegated group of version 2: memory limits are enforced by polling four times a second, CPU limits "
                          "not at all (start the instance as root for both, or by \"systemd-run --user --scope -p Delegate=yes firesteel local up\")");
}

static void probe_runtime(struct isolation *i) {
        /* On cgroup v2 crun raises a limit to load its device filter; where this root may not (CAP_SYS_RESOURCE), only runc starts
         * containers. */
        bool prefers_runc = i->is_root && i->cgroups == CGROUP_V2 && prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 0;
        const char *const names[] = {prefers_runc ? "runc" : "crun", prefers_runc ? "crun" : "runc"};
        const char *wanted = getenv("FIRESTEEL_RUNTIME");
        for (size_t n = 0; n < ARRAY_LEN(names) && !i->runtime; n++) {
                if (wanted && *wanted && !streq(wanted, names[n]))
                        continue;
                i->runtime = fs_find_program(names[n]);
                if (!i->runtime) {
                        AUTO(free) char *sbin = fs_join("/usr/sbin", names[n]);
                        if (access(sbin, X_OK) == 0)
                                i->runtime = TAKE(sbin);
                }
                i->runtime_is_crun = i->runtime && streq(names[n], "crun");
        }
        if (i->runtime_is_crun && prefers_runc)
                strv_add(
                        &i->notes,
                        "crun cannot start containers here (cgroup v2 without CAP_SYS_RESOURCE): install runc (Debian, Ubuntu: apt-get install runc)");
        if (!i->runtime)
                return;
        const char *const argv[] = {i->runtime, "--version", NULL};
        struct child_spec spec = {.argv = argv};
        AUTO(str) struct str out = STR_INIT(4096);
        int code = 0;
        if (child_run(&spec, &code, &out, NULL, NULL) == 0 && code == 0) {
                struct sv text = str_sv(&out), line;
                sv_split(&text, '\n', &line);
                /* "crun version 1.8.1" */
                ssize_t at = sv_find(line, SV(" version "));
                i->runtime_version = at >= 0 ? xasprintf("%s %.*s", fs_basename(i->runtime),
                                                         SV_ARG(sv_new(line.data + at + 9, line.len - (size_t)at - 9)))
                                             : sv_dup(line);
        }
}

static void decide(struct isolation *i, int found) {
        if (!i->runtime) {
                i->why_not = xstrdup("neither crun nor runc is installed; install one (Debian, Ubuntu: apt-get install crun)");
        } else if (!(found & FOUND_NAMESPACES) && i->is_root) {
                i->why_not = xstrdup(
                        "this root may not make namespaces (a container without CAP_SYS_ADMIN?); run on the host, or with --privileged");
        } else if (!(found & FOUND_NAMESPACES)) {
                i->why_not =
                        fs_exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                                ? xstrdup("ordinary users may not make user namespaces here; allow it once as root: "
                                          "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or start the instance as root")
                                : xstrdup("ordinary users may not make user namespaces here; allow it once as root: sysctl -w user.max_user_namespaces=65536 "
                                          "(and kernel.unprivileged_userns_clone=1 where it exists), or start the instance as root");
        } else if (!(found & FOUND_PROC)) {
                i->why_not = xstrdup(
                        "a fresh /proc cannot be mounted here (a container that hides parts of /proc?); run on the host, or with --privileged");
        }
        i->is_possible = !i->why_not;
        if (i->is_possible && !i->runtime_is_crun && !i->is_root) {
                i->is_possible = false;
                i->why_not = xstrdup(
                        "without root only crun works, and only runc is installed; install crun (Debian, Ubuntu: apt-get install crun)");
        }
        if (i->is_possible && !i->has_overlay)
                strv_add(&i->notes, "no overlay file system here: /usr and /opt/spark are read-only in pods");
}

void isolation_probe(struct isolation *ret, const char *scratch) {
        struct isolation i = {.is_root = isolation_is_root()};
        int found = probe_namespaces(scratch, i.is_root);
        i.has_user_namespaces = !i.is_root && (found & FOUND_NAMESPACES);
        i.has_overlay = found & FOUND_OVERLAY;
        i.has_proc = found & FOUND_PROC;
        probe_cgroups(&i);
        probe_runtime(&i);
        decide(&i, found);
        *ret = i;
}
