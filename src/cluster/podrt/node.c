/* The node object: what this machine offers, its heartbeat, and what pods use (for `kubectl top`). */
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/proctree.h"
#include "codec/ktime.h"

enum { HEARTBEAT_MS = 10000, STATUS_EVERY = 30, USAGE_MS = 5000, MAX_PODS = 110, LEASE_S = 40 };

struct node {
        struct kubelet *kubelet;
        struct timer *heartbeat, *usage;
        int beats;
        int64_t usage_at_us, busy_ticks, usage_cpu_nano, usage_memory, window_ms;
        bool is_sampling;
};

/* ---- the object ---- */

static char *first_line(const char *path, const char *otherwise) {
        AUTO(str) struct str text = STR_INIT(65536);
        if (fs_read(path, 65536, &text, NULL) < 0)
                return xstrdup(otherwise);
        struct sv rest = str_sv(&text), line = SV_NULL;
        sv_split(&rest, '\n', &line);
        return sv_dup(line);
}

static char *os_image(void) {
        AUTO(str) struct str text = STR_INIT(65536);
        if (fs_read("/etc/os-release", 65536, &text, NULL) < 0)
                return xstrdup("Linux");
        struct sv rest = str_sv(&text), line;
        while (sv_split(&rest, '\n', &line))
                if (sv_starts(line, SV("PRETTY_NAME=\"")) && line.len > 14)
                        return sv_dup(sv_new(line.data + 13, line.len - 14));
        return xstrdup("Linux");
}

static void put_resources(const struct kubelet *k, yyjson_mut_doc *d, yyjson_mut_val *status, const char *key) {
        yyjson_mut_val *o = mjson_obj(d, status, key);
        struct statvfs fs;
        int64_t disk = statvfs(k->dir, &fs) == 0 ? (int64_t)fs.f_blocks * (int64_t)fs.f_frsize : 0;
        char text[32];
        if (k->node_cpu_milli % 1000)
                snprintf(text, sizeof text, "%lldm", (long long)k->node_cpu_milli);
        else
                snprintf(text, sizeof text, "%lld", (long long)k->node_cpu_milli / 1000);
        mjson_set_str(d, o, "cpu", text);
        snprintf(text, sizeof text, "%lldKi", (long long)disk / 1024);
        mjson_set_str(d, o, "ephemeral-storage", text);
        snprintf(text, sizeof text, "%lldKi", (long long)k->node_memory_bytes / 1024);
        mjson_set_str(d, o, "memory", text);
        snprintf(text, sizeof text, "%d", MAX_PODS);
        mjson_set_str(d, o, "pods", text);
}

static void put_condition(yyjson_mut_doc *d, yyjson_mut_val *list, yyjson_val *before, const char *type, bool status, const char *reason,
                          const char *message, const char *now) {
        yyjson_val *v, *old = NULL;
        size_t i, max;
        yyjson_arr_foreach(before, i, max, v) if (streq_null(json_get_str(v, "type"), type)) old = v;
        const char *text = status ? "True" : "False";
        const char *since = streq_null(json_get_str(old, "status"), text) ? json_get_str(old, "lastTransitionTime") : NULL;
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        mjson_set_str(d, o, "type", type);
        mjson_set_str(d, o, "status", text);
        mjson_set_str(d, o, "lastHeartbeatTime", now);
        mjson_set_str(d, o, "lastTransitionTime", since ? since : now);
        mjson_set_str(d, o, "reason", reason);
        mjson_set_str(d, o, "message", message);
}

static void put_info(const struct kubelet *k, yyjson_mut_doc *d, yyjson_mut_val *status) {
        struct utsname u;
        AUTO(free) char *machine = first_line("/etc/machine-id", "");
        AUTO(free) char *boot = first_line("/proc/sys/kernel/random/boot_id", "");
        AUTO(free) char *os = os_image();
        const char *runtime = k->o.isolation->runtime_version;
        AUTO(free) char *version = runtime ? xstrdup(runtime) : xstrdup("none");
        char *blank = strchr(version, ' ');
        if (blank)
                *blank = '\0';
        AUTO(free) char *with_scheme = xasprintf("%s://%s", version, blank ? blank + 1 : "0");
        uname(&u);
        yyjson_mut_val *o = mjson_obj(d, status, "nodeInfo");
        mjson_set_str(d, o, "machineID", machine);
        mjson_set_str(d, o, "systemUUID", machine);
        mjson_set_str(d, o, "bootID", boot);
        mjson_set_str(d, o, "kernelVersion", u.release);
        mjson_set_str(d, o, "osImage", os);
        mjson_set_str(d, o, "containerRuntimeVersion", with_scheme);
        mjson_set_str(d, o, "kubeletVersion", "v1.34.0+firesteel-" FIRESTEEL_VERSION);
        mjson_set_str(d, o, "kubeProxyVersion", "");
        mjson_set_str(d, o, "operatingSystem", "linux");
        mjson_set_str(d, o, "architecture", streq(u.machine, "x86_64") ? "amd64" : streq(u.machine, "aarch64") ? "arm64" : u.machine);
}

static void put_images(const struct kubelet *k, yyjson_mut_doc *d, yyjson_mut_val *status) {
        yyjson_mut_val *list = mjson_arr(d, status, "images");
        vec_foreach(i, &k->images.installs) {
                yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
                AUTO(free) char *name = xasprintf("apache/spark:%s", i->version);
                mjson_add_str(d, mjson_arr(d, o, "names"), name);
                mjson_set_int(d, o, "sizeBytes", 0);
        }
}

static void write_status(struct node *n) {
        struct kubelet *k = n->kubelet;
        struct object *current = api_peek(k->api, "nodes", NULL, k->node_name);
        AUTO(mjson) yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(d);
        yyjson_mut_doc_set_root(d, root);
        yyjson_mut_val *status = mjson_obj(d, root, "status"), *list;
        char now[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        put_resources(k, d, status, "capacity");
        put_resources(k, d, status, "allocatable");
        list = mjson_arr(d, status, "conditions");
        yyjson_val *before = current ? object_at(current, "/status/conditions") : NULL;
        bool possible = k->o.isolation->is_possible;
        put_condition(d, list, before, "MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
                      now);
        put_condition(d, list, before, "DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now);
        put_condition(d, list, before, "PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available", now);
        put_condition(d, list, before, "Ready", possible, possible ? "KubeletReady" : "KubeletNotReady",
                      possible ? "kubelet is posting ready status" : k->o.isolation->why_not, now);
        list = mjson_arr(d, status, "addresses");
        char gateway[IPV4_SIZE];
        ipv4_format(cidr_address(k->o.ranges.pods, 1), gateway);
        yyjson_mut_val *a = yyjson_mut_arr_add_obj(d, list);
        mjson_set_str(d, a, "type", "InternalIP");
        mjson_set_str(d, a, "address", gateway);
        a = yyjson_mut_arr_add_obj(d, list);
        mjson_set_str(d, a, "type", "Hostname");
        mjson_set_str(d, a, "address", k->node_name);
        put_info(k, d, status);
        put_images(k, d, status);
        size_t len = 0;
        AUTO(free) char *text = mjson_write(root, false, &len);
        (void)!api_patch(k->api, "nodes", NULL, k->node_name, "status", API_PATCH_MERGE, sv_new(text, len), NULL, NULL);
}

static void register_node(struct node *n) {
        struct kubelet *k = n->kubelet;
        AUTO(mjson) yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(d);
        char pods[IPV4_SIZE];
        ipv4_format(k->o.ranges.pods.network, pods);
        AUTO(free) char *range = xasprintf("%s/%d", pods, k->o.ranges.pods.prefix);
        yyjson_mut_doc_set_root(d, root);
        mjson_set_str(d, root, "apiVersion", "v1");
        mjson_set_str(d, root, "kind", "Node");
        yyjson_mut_val *meta = mjson_obj(d, root, "metadata"), *labels = mjson_obj(d, meta, "labels");
        mjson_set_str(d, meta, "name", k->node_name);
        static const char *const arches[] = {"kubernetes.io/arch", "beta.kubernetes.io/arch"}, *const systems[] = {"kubernetes.io/os",
                                                                                                                   "beta.kubernetes.io/os"};
        for (size_t i = 0; i < 2; i++) {
                mjson_set_str(d, labels, arches[i], sizeof(void *) == 8
#ifdef __aarch64__
                                                        ? "arm64"
#else
                                                        ? "amd64"
#endif
                                                        : "unknown");
                mjson_set_str(d, labels, systems[i], "linux");
        }
        mjson_set_str(d, labels, "kubernetes.io/hostname", k->node_name);
        mjson_set_str(d, labels, "node-role.kubernetes.io/control-plane", "");
        yyjson_mut_val *spec = mjson_obj(d, root, "spec");
        mjson_set_str(d, spec, "podCIDR", range);
        mjson_add_str(d, mjson_arr(d, spec, "podCIDRs"), range);
        struct err err = ERR_INIT;
        if (api_create(k->api, "nodes", NULL, root, NULL, &err) < 0 && err.http_status == 409)
                err_clear(&err); /* registered by an earlier server */
        err_done(&err);
}

static void renew_lease(struct node *n) {
        struct kubelet *k = n->kubelet;
        char now[KTIME_SIZE];
        ktime_format_micro(clock_now_us(), now);
        struct err err = ERR_INIT;
        int r = api_patchf(k->api, "leases.coordination.k8s.io", "kube-node-lease", k->node_name, NULL, &err,
                           "{\"spec\":{\"renewTime\":\"%s\"}}", now);
        if (r < 0 && err.http_status == 404) {
                AUTO(mjson) yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *root = yyjson_mut_obj(d);
                yyjson_mut_doc_set_root(d, root);
                mjson_set_str(d, root, "apiVersion", "coordination.k8s.io/v1");
                mjson_set_str(d, root, "kind", "Lease");
                yyjson_mut_val *meta = mjson_obj(d, root, "metadata"), *spec = mjson_obj(d, root, "spec");
                mjson_set_str(d, meta, "name", k->node_name);
                mjson_set_str(d, meta, "namespace", "kube-node-lease");
                mjson_set_str(d, spec, "holderIdentity", k->node_name);
                mjson_set_int(d, spec, "leaseDurationSeconds", LEASE_S);
                mjson_set_str(d, spec, "renewTime", now);
                (void)!api_create(k->api, "leases.coordination.k8s.io", "kube-node-lease", root, NULL, NULL);
        }
        err_done(&err);
}

static void on_heartbeat(void *arg) {
        struct node *n = arg;
        renew_lease(n);
        if (++n->beats % STATUS_EVERY == 0)
                write_status(n);
}

/* ---- usage ---- */

static int64_t read_number(const char *path) {
        AUTO(str) struct str text = STR_INIT(64);
        int64_t value = -1;
        return fs_read(path, 64, &text, NULL) == 0 && sv_to_int64(sv_trim(str_sv(&text)), &value) ? value : -1;
}

static int64_t stat_field(const char *path, struct sv key) {
        AUTO(str) struct str text = STR_INIT(65536);
        int64_t value = 0;
        if (fs_read(path, 65536, &text, NULL) < 0)
                return 0;
        struct sv rest = str_sv(&text), line;
        while (sv_split(&rest, '\n', &line))
                if (sv_starts(line, key) && line.len > key.len && line.data[key.len] == ' ')
                        sv_to_int64(sv_new(line.data + key.len + 1, line.len - key.len - 1), &value);
        return value;
}

struct sample {
        char *uid, *name;
        int attempt, pid;
        char *memory_file, *memory_stat, *cpu_file;
        bool is_v2;
        int64_t memory, cpu_us;
};

struct sampling {
        struct node *node;
        struct kubelet *kubelet;
        VEC(struct sample) list;
        int64_t busy_ticks, memory_used;
        bool is_void;
};

/* Working set: what is charged, without page cache that can go at once. */
static void sample_container(struct sample *s) {
        struct proctree_usage use = {0};
        s->memory = s->cpu_us = -1;
        if (s->memory_file) {
                int64_t charged = read_number(s->memory_file);
                int64_t inactive = stat_field(s->memory_stat, s->is_v2 ? SV("inactive_file") : SV("total_inactive_file"));
                s->memory = charged >= inactive ? charged - inactive : charged;
                s->cpu_us = s->is_v2 ? stat_field(s->cpu_file, SV("usage_usec")) : read_number(s->cpu_file) / 1000;
        }
        if ((s->memory < 0 || s->cpu_us < 0) && proctree_usage(s->pid, &use) == 0) {
                s->memory = use.memory_bytes;
                s->cpu_us = use.cpu_us;
        }
}

static void sampling_work(void *arg) {
        struct sampling *s = arg;
        AUTO(str) struct str text = STR_INIT(1 << 20);
        vec_foreach(c, &s->list) sample_container(c);
        if (fs_read("/proc/stat", 1 << 20, &text, NULL) == 0) {
                struct sv rest = str_sv(&text), line, part;
                int64_t value = 0;
                sv_split(&rest, '\n', &line);
                /* cpu user nice system idle iowait irq softirq steal; the name is followed by two blanks. */
                for (int field = -2; sv_split(&line, ' ', &part); field++)
                        if (field >= 0 && field < 8 && field != 3 && field != 4 && sv_to_int64(part, &value))
                                s->busy_ticks += value;
        }
        int64_t total = 0, available = 0;
        AUTO(str) struct str memory = STR_INIT(65536);
        if (fs_read("/proc/meminfo", 65536, &memory, NULL) == 0) {
                struct sv rest = str_sv(&memory), line;
                while (sv_split(&rest, '\n', &line)) {
                        int64_t *to = sv_starts(line, SV("MemTotal:")) ? &total : sv_starts(line, SV("MemAvailable:")) ? &available : NULL;
                        for (size_t i = 0; to && i < line.len; i++)
                                if (line.data[i] >= '0' && line.data[i] <= '9')
                                        *to = *to * 10 + (line.data[i] - '0');
                }
        }
        s->memory_used = (total - available) * 1024;
}

static void note_sample(struct kubelet *k, const struct sample *s, int64_t now_us) {
        struct pod *p = map_get(&k->pods, s->uid);
        struct container *c = p ? pod_container(p, s->name) : NULL;
        if (!c || c->attempt != s->attempt || s->memory < 0)
                return;
        if (c->usage_at_us && now_us > c->usage_at_us) {
                c->usage_cpu_nano = (s->cpu_us - c->usage_cpu_us) * 1000000000 / (now_us - c->usage_at_us);
                c->usage_window_ms = (now_us - c->usage_at_us) / 1000;
        }
        c->usage_at_us = now_us;
        c->usage_cpu_us = s->cpu_us;
        c->usage_memory = s->memory;
}

static void sampling_free(struct sampling *s) {
        vec_foreach(c, &s->list) {
                free(c->uid);
                free(c->name);
                free(c->memory_file);
                free(c->memory_stat);
                free(c->cpu_file);
        }
        vec_done(&s->list);
        free(s);
}

static void sampling_done(void *arg) {
        struct sampling *s = arg;
        struct node *n = s->node;
        int64_t now_us = clock_now_us();
        n->is_sampling = false;
        kubelet_job_done(n->kubelet);
        vec_foreach(c, &s->list) note_sample(n->kubelet, c, now_us);
        if (n->usage_at_us && now_us > n->usage_at_us) {
                long hertz = sysconf(_SC_CLK_TCK);
                n->window_ms = (now_us - n->usage_at_us) / 1000;
                n->usage_cpu_nano =
                        (s->busy_ticks - n->busy_ticks) * (1000000000 / (hertz > 0 ? hertz : 100)) * 1000000 / (now_us - n->usage_at_us);
        }
        n->usage_at_us = now_us;
        n->busy_ticks = s->busy_ticks;
        n->usage_memory = s->memory_used;
        sampling_free(s);
}

static void on_usage(void *arg) {
        struct node *n = arg;
        struct kubelet *k = n->kubelet;
        if (n->is_sampling)
                return;
        struct sampling *s = NEW(struct sampling);
        bool v2 = k->o.isolation->cgroups == CGROUP_V2;
        *s = (struct sampling){.node = n, .kubelet = k};
        map_foreach(e, &k->pods) {
                struct pod *p = e->value;
                vec_foreach(cp, &p->containers) {
                        struct container *c = *cp;
                        if (c->state != CONTAINER_RUNNING)
                                continue;
                        *vec_push(&s->list) = (struct sample){
                            .uid = xstrdup(p->uid),
                            .name = xstrdup(c->name),
                            .attempt = c->attempt,
                            .pid = c->process.pid,
                            .is_v2 = v2,
                            .memory_file = container_cgroup_file(c, "memory", v2 ? "memory.current" : "memory.usage_in_bytes"),
                            .memory_stat = container_cgroup_file(c, "memory", "memory.stat"),
                            .cpu_file = container_cgroup_file(c, "cpuacct", v2 ? "cpu.stat" : "cpuacct.usage"),
                        };
                }
        }
        n->is_sampling = true;
        k->jobs++;
        loop_work(k->o.loop, sampling_work, sampling_done, s);
}

int container_usage(void *self, struct object *pod, const char *container, struct pod_usage *ret) {
        struct kubelet *k = self;
        struct pod *p = kubelet_pod(k, pod);
        struct container *c = p ? pod_container(p, container) : NULL;
        if (!c || c->state != CONTAINER_RUNNING || !c->usage_window_ms)
                return -ENOENT;
        *ret = (struct pod_usage){
                .at_us = c->usage_at_us, .window_ms = c->usage_window_ms, .cpu_nano = c->usage_cpu_nano, .memory_bytes = c->usage_memory};
        return 0;
}

int node_usage(void *self, const char *node, struct pod_usage *ret) {
        struct kubelet *k = self;
        const struct node *n = k->node;
        if (!streq(node, k->node_name) || !n->window_ms)
                return -ENOENT;
        *ret = (struct pod_usage){
                .at_us = n->usage_at_us, .window_ms = n->window_ms, .cpu_nano = n->usage_cpu_nano, .memory_bytes = n->usage_memory};
        return 0;
}

struct node *node_new(struct kubelet *k) {
        struct node *n = NEW(struct node);
        n->kubelet = k;
        register_node(n);
        write_status(n);
        renew_lease(n);
        n->heartbeat = timer_new(k->o.loop, HEARTBEAT_MS, HEARTBEAT_MS, on_heartbeat, n);
        n->usage = timer_new(k->o.loop, 1000, USAGE_MS, on_usage, n);
        return n;
}

void node_free(struct node *n) {
        if (!n)
                return;
        timer_free(n->heartbeat);
        timer_free(n->usage);
        free(n);
}
