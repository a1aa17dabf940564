/* Taking over what a former kubelet left: from the pod's status in the API and the records of the shims. */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/ociroot.h"
#include "codec/ktime.h"
#include "codec/sha256.h"

enum { END_MS = 5000 };

static int64_t time_of(yyjson_val *o, const char *key) {
        int64_t us = 0;
        const char *text = json_get_str(o, key);
        return text && ktime_parse(sv_of(text), &us) ? us : 0;
}

static const char *static_reason(const char *reason) {
        static const char *const known[] = {"Completed", "Error", "OOMKilled", "StartError", "ContainerStatusUnknown"};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (streq_null(reason, known[i]))
                        return known[i];
        return "Error";
}

static void read_termination(yyjson_val *state, struct termination *t) {
        yyjson_val *o = yyjson_obj_get(state, "terminated");
        if (!o)
                return;
        termination_done(t);
        *t = (struct termination){.is_set = true,
                                  .exit_code = (int)json_get_int(o, "exitCode", 0),
                                  .reason = static_reason(json_get_str(o, "reason")),
                                  .message = xstrdup_null(json_get_str(o, "message")),
                                  .started_us = time_of(o, "startedAt"),
                                  .finished_us = time_of(o, "finishedAt"),
                                  .container_id = xstrdup_null(json_get_str(o, "containerID"))};
}

/* The newest run with a directory; -1 when there was none. */
static int last_attempt(const struct container *c) {
        AUTO(free) char *path = xasprintf("%s/containers/%s", c->pod->dir, c->name);
        DIR *dir = opendir(path);
        int last = -1;
        for (struct dirent *e; dir && (e = readdir(dir));) {
                int64_t n;
                if (sv_to_int64(sv_of(e->d_name), &n) && n > last && n < 1 << 20)
                        last = (int)n;
        }
        if (dir)
                closedir(dir);
        return last;
}

static void adopt_status(struct container *c) {
        const char *statuses = c->is_init        ? "/status/initContainerStatuses"
                               : c->is_ephemeral ? "/status/ephemeralContainerStatuses"
                                                 : "/status/containerStatuses";
        yyjson_val *s, *list = object_at(c->pod->object, statuses);
        size_t i, max;
        yyjson_arr_foreach(list, i, max, s) {
                if (!streq_null(json_get_str(s, "name"), c->name))
                        continue;
                const char *id = json_get_str(s, "containerID"), *image = json_get_str(s, "imageID");
                c->restarts = (int)json_get_int(s, "restartCount", 0);
                read_termination(yyjson_obj_get(s, "lastState"), &c->last);
                read_termination(yyjson_obj_get(s, "state"), &c->now);
                if (c->now.is_set)
                        c->state = CONTAINER_TERMINATED;
                if (image && image[0])
                        c->image_id = xstrdup(image);
                if (id && str_starts(id, "crun://"))
                        c->id = xstrdup(id + 7);
                c->is_started = json_get_bool(s, "started", false);
                c->is_ready = json_get_bool(s, "ready", false);
        }
}

static void adopt_container(struct container *c) {
        adopt_status(c);
        int attempt = last_attempt(c);
        if (attempt < 0)
                return;
        struct shim_started started;
        c->attempt = attempt;
        AUTO(free) char *dir = container_dir(c, attempt);
        AUTO(free) char *manifest = fs_join(dir, "image");
        AUTO(str) struct str digest = STR_INIT(256);
        if (fs_exists(manifest) && fs_read(manifest, 256, &digest, NULL) == 0 && oci_digest_is_valid(str_cstr(&digest)))
                c->image_manifest = xstrdup(str_cstr(&digest));
        if (c->state == CONTAINER_TERMINATED || shim_find(dir, &c->shim, NULL) < 0)
                return;
        if (!c->id) {
                AUTO(free) char *text = xasprintf("%s/%s/%d", c->pod->uid, c->name, attempt);
                char hex[SHA256_HEX_SIZE];
                sha256_hex(sv_of(text), hex);
                c->id = xstrdup(hex);
        }
        if (shim_read_started(dir, &started, NULL) == 0) {
                c->process = started.proc;
                c->started_us = started.started_us;
                c->state = CONTAINER_RUNNING;
                if (procid_is_alive(&c->shim)) {
                        c->pod->kubelet->adopted++;
                        probes_start(c);
                }
        }
        if (!procid_is_alive(&c->shim))
                c->shim = (struct procid){0}; /* not ours to wait for, and its number may be another's by now */
        /* Ended meanwhile: the record is read at once, from the loop. */
        container_watch(c);
}

void pod_adopt(struct pod *p) {
        AUTO(free) char *path = fs_join(p->dir, "pod.json");
        AUTO(str) struct str text = STR_INIT(65536);
        AUTO(json) yyjson_doc *doc = NULL;
        p->start_time_us = time_of(object_at(p->object, "/status"), "startTime");
        if (!fs_exists(path) || fs_read(path, 65536, &text, NULL) < 0 || json_parse(str_sv(&text), &doc, NULL) < 0) {
                vec_foreach(c, &p->containers) adopt_status(*c);
                /* It ran, and what it ran in is gone (a reboot): its containers are lost. */
                vec_foreach(c, &p->containers) if ((*c)->state != CONTAINER_TERMINATED && (*c)->id) {
                                (*c)->now = (struct termination){
                                        .is_set = true,
                                        .exit_code = 137,
                                        .reason = "ContainerStatusUnknown",
                                        .message = xstrdup("The container could not be located when the pod was started again"),
                                        .container_id = xasprintf("crun://%s", (*c)->id)};
                                (*c)->state = CONTAINER_TERMINATED;
                }
                return;
        }
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *address = json_get_str(root, "address");
        AUTO(free) char *net = fs_join(p->dir, "ns/net");
        p->start_time_us = json_get_int(root, "startTime", p->start_time_us);
        if (address && ipv4_parse(address, &p->address) && p->address) {
                podnet_pool_mark(&p->kubelet->addresses, p->address);
                ipv4_format(p->uses_host_network ? cidr_address(p->kubelet->o.ranges.pods, 1) : p->address, p->ip);
        }
        vec_foreach(c, &p->containers) adopt_container(*c);
        bool any_running = false;
        vec_foreach(c, &p->containers) any_running |= (*c)->state == CONTAINER_RUNNING;
        /* Without a running container the sandbox is made anew when it is needed (its namespaces may be gone with the holder). */
        AUTO(free) char *pins = fs_join(p->dir, "ns");
        p->has_sandbox = any_running && fs_exists(net);
        if (!p->has_sandbox) {
                (void)!podnet_destroy(pins, p->link, NULL);
                return;
        }
        struct volume_env env = {.api = p->kubelet->api, .dir = p->dir};
        pod_facts(p, &env.facts);
        p->volumes_ready = volumes_plan(&env, p->object, &p->volumes, NULL) == 0;
        /* How old the tokens in its files are is not known: soon. */
        if (p->volumes && p->volumes->token_expires_s)
                p->volumes->token_expires_s = clock_now_ms() / 1000;
        pod_plan_tokens(p);
}

/* ---- what belongs to nobody ---- */

static void end_container_dir(const char *dir) {
        struct procid shim;
        struct shim_started started;
        int fd = -1;
        if (shim_find(dir, &shim, NULL) == 0 && procid_open(&shim, &fd, NULL) == 0) {
                struct pollfd ended = {.fd = fd, .events = POLLIN};
                syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0); /* ends its container */
                (void)!poll(&ended, 1, END_MS); /* it writes into the directory until then, which is to be removed */
                close(fd);
        } else if (shim_read_started(dir, &started, NULL) == 0 && procid_open(&started.proc, &fd, NULL) == 0) {
                syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
                close(fd);
        }
}

static void each_entry(const char *path, void (*fn)(const char *entry)) {
        DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));) {
                AUTO(free) char *entry = fs_join(path, e->d_name);
                if (e->d_name[0] != '.')
                        fn(entry);
        }
        if (dir)
                closedir(dir);
}

static void end_containers(const char *name_dir) { each_entry(name_dir, end_container_dir); }

struct sweep {
        struct kubelet *kubelet;
        char *dir, *link, *cgroup;
};

static void sweep_work(void *arg) {
        struct sweep *s = arg;
        AUTO(free) char *containers = fs_join(s->dir, "containers");
        AUTO(free) char *net = fs_join(s->dir, "ns");
        each_entry(containers, end_containers);
        (void)!podnet_destroy(net, s->link, NULL);
        ociroot_release_all(s->dir);
        volumes_remove(s->dir);
        (void)!fs_remove_tree(s->dir, NULL);
}

static void sweep_done(void *arg) {
        struct sweep *s = arg;
        kubelet_job_done(s->kubelet);
        free(s->dir);
        free(s->link);
        free(s);
}

void kubelet_sweep(struct kubelet *k) {
        AUTO(free) char *path = fs_join(k->dir, "pods");
        DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));) {
                char hex[SHA256_HEX_SIZE];
                if (e->d_name[0] == '.' || map_has(&k->pods, e->d_name))
                        continue;
                struct sweep *s = NEW(struct sweep);
                sha256_hex(sv_of(e->d_name), hex);
                *s = (struct sweep){.kubelet = k, .dir = fs_join(path, e->d_name), .link = xasprintf("fs%.10s", hex)};
                k->jobs++;
                loop_work(k->o.loop, sweep_work, sweep_done, s);
        }
        if (dir)
                closedir(dir);
}
