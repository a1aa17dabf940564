/* The sync loop: what each pod needs next. One function, pod_sync(), looks at everything known about a pod and takes the next steps; every
 * event (a watch, a worker that is done, a container's end, a timer) just calls it. */
#include "cluster/podrt/kubelet.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/egress.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/ktime.h"
#include "codec/sha256.h"

enum { DEFAULT_GRACE_S = 30 };

/* ---- small things ---- */

void pod_facts(const struct pod *p, struct pod_facts *ret) {
        static char gateway[IPV4_SIZE];
        ipv4_format(cidr_address(p->kubelet->o.ranges.pods, 1), gateway);
        *ret = (struct pod_facts){.pod_ip = p->ip,
                                  .host_ip = gateway,
                                  .node_name = p->kubelet->node_name,
                                  .node_cpu_milli = p->kubelet->node_cpu_milli,
                                  .node_memory_bytes = p->kubelet->node_memory_bytes};
}

bool pod_is_deleting(const struct pod *p) { return object_is_deleting(p->object); }
struct pod *kubelet_pod(const struct kubelet *k, const struct object *object) { return map_get(&k->pods, object->uid); }

struct container *pod_container(const struct pod *p, const char *name) {
        vec_foreach(c, &p->containers) if (streq((*c)->name, name)) return *c;
        return NULL;
}

yyjson_val *container_spec(const struct container *c) { return pod_container_spec(c->pod->object, c->name); }
char *container_dir(const struct container *c, int attempt) { return xasprintf("%s/containers/%s/%d", c->pod->dir, c->name, attempt); }
char *container_log(const struct container *c, int attempt) { return xasprintf("%s/%s/%d.log", c->pod->log_dir, c->name, attempt); }

void container_event(struct container *c, const char *type, const char *reason, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *message = xvasprintf(fmt, ap);
        va_end(ap);
        AUTO(free) char *field = xasprintf("spec.%s{%s}", c->list, c->name);
        api_event_at(c->pod->kubelet->api, c->pod->object, field, type, reason, "%s", message);
}

static void on_retry(void *arg) {
        struct pod *p = arg;
        timer_free(TAKE(p->retry));
        p->retry_at_ms = 0;
        pod_sync(p);
}

void pod_retry_in(struct pod *p, int64_t delay_ms) {
        int64_t at = clock_mono_ms() + (delay_ms > 0 ? delay_ms : 1);
        if (p->retry_at_ms && p->retry_at_ms <= at)
                return;
        timer_free(TAKE(p->retry));
        p->retry_at_ms = at;
        p->retry = timer_new(p->kubelet->o.loop, delay_ms > 0 ? delay_ms : 1, 0, on_retry, p);
}

/* ---- life of the records ---- */

static void container_free(struct container *c) {
        if (c->pull)
                image_get_cancel(c->pull);
        probes_stop(c);
        timer_free(c->kill_timer);
        fdwatch_free(c->watch);
        if (c->watch_fd >= 0)
                close(c->watch_fd);
        termination_done(&c->now);
        termination_done(&c->last);
        free(c->name);
        free(c->waiting_message);
        free(c->id);
        free(c->image_id);
        free(c->image_manifest);
        free(c);
}

static void pod_free(void *arg) {
        struct pod *p = arg;
        timer_free(p->retry);
        timer_free(p->token_timer);
        vec_foreach(c, &p->containers) container_free(*c);
        vec_done(&p->containers);
        volume_plan_free(p->volumes);
        object_unref(p->object);
        free(p->uid);
        free(p->ns);
        free(p->name);
        free(p->dir);
        free(p->log_dir);
        free(p->cgroup);
        free(p->end_message);
        free(p->last_mount_error);
        free(p->last_status);
        free(p);
}

/* Those that are not known yet: ephemeral ones come while the pod runs. */
static void add_containers(struct pod *p, const char *list_name) {
        yyjson_val *spec, *list = yyjson_obj_get(object_at(p->object, "/spec"), list_name);
        bool is_init = streq(list_name, "initContainers");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, spec) {
                const char *name = json_get_str(spec, "name") ? json_get_str(spec, "name") : "";
                if (pod_container(p, name))
                        continue;
                struct container *c = NEW(struct container);
                const char *policy = json_get_str(spec, "restartPolicy");
                *c = (struct container){.pod = p,
                                        .name = xstrdup(name),
                                        .list = list_name,
                                        .is_init = is_init,
                                        .is_sidecar = is_init && policy && streq(policy, "Always"),
                                        .is_ephemeral = streq(list_name, "ephemeralContainers"),
                                        .watch_fd = -1};
                container_wait(c, "ContainerCreating", NULL);
                *vec_push(&p->containers) = c;
        }
}

static struct pod *pod_new(struct kubelet *k, struct object *o) {
        struct pod *p = NEW(struct pod);
        char hex[SHA256_HEX_SIZE];
        *p = (struct pod){.kubelet = k,
                          .object = object_ref(o),
                          .uid = xstrdup(o->uid),
                          .ns = xstrdup(o->namespace),
                          .name = xstrdup(o->name),
                          .dir = xasprintf("%s/pods/%s", k->dir, o->uid),
                          .log_dir = xasprintf("%s/logs/%s_%s_%s", k->dir, o->namespace, o->name, o->uid),
                          .cgroup = xasprintf("%s/firesteel/%s/%s", k->o.isolation->cgroup_base, k->node_name, o->uid),
                          .uses_host_network = object_bool(o, "/spec/hostNetwork", false)};
        sha256_hex(sv_of(o->uid), hex);
        snprintf(p->link, sizeof p->link, "fs%.10s", hex);
        add_containers(p, "initContainers");
        add_containers(p, "containers");
        bool has_init = p->containers.len && p->containers.items[0]->is_init;
        vec_foreach(c, &p->containers)
                if (has_init && !((*c)->is_init && c == p->containers.items))
                        (*c)->waiting_reason = "PodInitializing";
        add_containers(p, "ephemeralContainers");
        return p;
}

/* ---- ending a pod ---- */

static bool all_ended(const struct pod *p) {
        vec_foreach(c, &p->containers) if ((*c)->state == CONTAINER_RUNNING || (*c)->is_starting || (*c)->watch) return false;
        return true;
}

static bool main_containers_ended(const struct pod *p) {
        vec_foreach(c, &p->containers) if (container_is_main(*c) && ((*c)->state == CONTAINER_RUNNING || (*c)->is_starting)) return false;
        return true;
}

/* Sidecars outlive the main containers. */
static void kill_all(struct pod *p, int64_t grace_s) {
        bool mains_gone = main_containers_ended(p);
        vec_foreach(cp, &p->containers) {
                struct container *c = *cp;
                if (c->state == CONTAINER_RUNNING && (!c->is_sidecar || mains_gone)) {
                        AUTO(free) char *reason = xasprintf("Stopping container %s", c->name);
                        container_kill(c, grace_s, reason);
                }
        }
}

static void finalize(struct pod *p) {
        struct kubelet *k = p->kubelet;
        struct err err = ERR_INIT;
        struct api_delete_options o = API_DELETE_NOW;
        o.uid = p->uid;
        int r = api_delete(k->api, "pods", p->ns, p->name, &o, &err);
        if (r < 0 && err.http_status != 404 && err.http_status != 409)
                pod_retry_in(p, 1000);
        err_done(&err);
}

static void check_idle(struct kubelet *k) {
        map_foreach(e, &k->pods) if (!((struct pod *)e->value)->is_finished) return;
        archives_idle(k->archives);
}

static void sync_ending(struct pod *p) {
        vec_foreach(c, &p->containers) container_forget_pull(*c);
        if (!all_ended(p) || p->is_busy || p->jobs) {
                kill_all(p, p->end_grace_s);
                pod_report(p);
                return;
        }
        p->is_finished = true;
        if (!p->is_cleaned) {
                pod_cleanup(p, false);
                check_idle(p->kubelet);
        }
        pod_report(p);
        if (pod_is_deleting(p) && !p->is_gone)
                finalize(p);
}

static void begin_end(struct pod *p, int64_t grace_s, const char *reason, const char *message) {
        if (p->is_ending && grace_s >= p->end_grace_s)
                return;
        if (!p->is_ending && reason) {
                p->end_reason = reason;
                p->end_message = xstrdup_null(message);
        }
        p->is_ending = true;
        p->end_grace_s = grace_s;
}

void pod_evict(struct pod *p, const char *message) {
        api_event(p->kubelet->api, p->object, "Warning", "Evicted", "%s", message);
        begin_end(p, 1, "Evicted", message);
        pod_sync(p);
}

static void check_ends(struct pod *p) {
        struct kubelet *k = p->kubelet;
        int64_t default_grace = object_int(p->object, "/spec/terminationGracePeriodSeconds", DEFAULT_GRACE_S);
        int64_t active_s = object_int(p->object, "/spec/activeDeadlineSeconds", 0);
        if (pod_is_deleting(p))
                begin_end(p, object_int(p->object, "/metadata/deletionGracePeriodSeconds", default_grace), NULL, NULL);
        if (p->is_gone)
                begin_end(p, 0, NULL, NULL);
        if (k->is_stopping)
                begin_end(p, default_grace < k->stop_grace_s ? default_grace : k->stop_grace_s, "Terminated",
                          "Pod was terminated in response to imminent node shutdown.");
        if (active_s > 0 && p->start_time_us && !p->is_finished && !p->is_ending) {
                int64_t left_ms = active_s * 1000 - (clock_now_us() - p->start_time_us) / 1000;
                if (left_ms > 0) {
                        pod_retry_in(p, left_ms);
                } else {
                        api_event(k->api, p->object, "Normal", "DeadlineExceeded",
                                  "Pod was active on the node longer than the specified deadline");
                        begin_end(p, default_grace, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
                }
        }
}

/* ---- starting containers ---- */

static const char *restart_policy(const struct pod *p) {
        const char *policy = object_str(p->object, "/spec/restartPolicy");
        return policy ? policy : "Always";
}

static bool should_restart(const struct container *c) {
        if (c->is_sidecar || c->is_ephemeral)
                return c->is_sidecar;
        const char *policy = restart_policy(c->pod);
        if (c->is_init)
                return c->now.exit_code != 0 && !streq(policy, "Never");
        return streq(policy, "Always") || (streq(policy, "OnFailure") && c->now.exit_code != 0);
}

/* True when the back-off after a crash is still on; the state says so then. */
static bool in_crash_back_off(struct container *c) {
        int64_t now = clock_mono_ms();
        if (c->state == CONTAINER_TERMINATED && !c->next_start_ms) {
                /* The first restart is at once, as the kubelet's. */
                if (c->restarts == 0 && !c->backoff_ms) {
                        c->backoff_ms = BACKOFF_FIRST_MS;
                        return false;
                }
                if (!c->backoff_ms)
                        c->backoff_ms = BACKOFF_FIRST_MS;
                c->next_start_ms = now + c->backoff_ms;
                int64_t delay = c->backoff_ms;
                c->backoff_ms = c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2;
                AUTO(free) char *message = xasprintf("back-off %llds restarting failed container=%s pod=%s_%s(%s)",
                                                     (long long)(delay / 1000), c->name, c->pod->name, c->pod->ns, c->pod->uid);
                container_event(c, "Warning", "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", c->name, c->pod->name,
                                c->pod->ns, c->pod->uid);
                struct termination now_ended = c->now;
                c->now = (struct termination){0};
                termination_done(&c->last);
                c->last = now_ended;
                c->restarts++;
                c->attempt++;
                container_wait(c, "CrashLoopBackOff", message);
        }
        if (c->next_start_ms && now < c->next_start_ms) {
                pod_retry_in(c->pod, c->next_start_ms - now);
                return true;
        }
        c->next_start_ms = 0;
        return false;
}

/* Starts it when it is its turn. */
static void want_running(struct container *c) {
        if (c->state == CONTAINER_RUNNING || c->is_starting || c->watch)
                return;
        if (c->state == CONTAINER_TERMINATED && !should_restart(c))
                return;
        if (in_crash_back_off(c))
                return;
        container_start(c);
}

/* True when all init containers have done their part. */
static bool sync_init(struct pod *p) {
        bool mains_ran = false;
        vec_foreach(c, &p->containers) mains_ran |= container_is_main(*c) && ((*c)->state != CONTAINER_WAITING || (*c)->last.is_set);
        vec_foreach(cp, &p->containers) {
                struct container *c = *cp;
                if (!c->is_init)
                        continue;
                if (c->is_sidecar) {
                        want_running(c);
                        if (!c->is_started && !mains_ran)
                                return false;
                        continue;
                }
                if (mains_ran || (c->state == CONTAINER_TERMINATED && c->now.exit_code == 0))
                        continue;
                want_running(c);
                return false;
        }
        return true;
}

static void init_finished(struct pod *p) {
        vec_foreach(cp, &p->containers) {
                struct container *c = *cp;
                if (container_is_main(c) && c->state == CONTAINER_WAITING && streq_null(c->waiting_reason, "PodInitializing"))
                        c->waiting_reason = "ContainerCreating";
        }
}

/* Nothing will run any more: all main containers ended and none is to be started again. */
static bool has_run_to_its_end(const struct pod *p) {
        bool never = streq(restart_policy(p), "Never");
        vec_foreach(cp, &p->containers) {
                const struct container *c = *cp;
                if (c->is_init && !c->is_sidecar && c->state == CONTAINER_TERMINATED && c->now.exit_code != 0 && never)
                        return true;
        }
        vec_foreach(cp, &p->containers)
                if (container_is_main(*cp) && ((*cp)->state != CONTAINER_TERMINATED || should_restart(*cp)))
                        return false;
        return true;
}

static void sync_running(struct pod *p) {
        if (!p->start_time_us)
                p->start_time_us = clock_now_us();
        if (p->is_busy) {
                pod_report(p);
                return;
        }
        if (!p->has_sandbox || !p->volumes_ready) {
                pod_prepare(p);
                pod_report(p);
                return;
        }
        vec_foreach(c, &p->containers) if ((*c)->is_ephemeral) want_running(*c);
        if (sync_init(p)) {
                init_finished(p);
                vec_foreach(c, &p->containers) if (container_is_main(*c)) want_running(*c);
        }
        if (has_run_to_its_end(p)) {
                begin_end(p, object_int(p->object, "/spec/terminationGracePeriodSeconds", DEFAULT_GRACE_S), NULL, NULL);
                sync_ending(p);
                return;
        }
        pod_report(p);
}

static void check_stopped(struct kubelet *k);

static void drop_pod(struct pod *p) {
        struct kubelet *k = p->kubelet;
        pod_cleanup(p, true);
        map_remove(&k->pods, p->uid);
        kubelet_lease_images(k);
        check_stopped(k);
}

/* Nothing can be started: the pod waits, and says why. */
static void refuse(struct pod *p) {
        struct kubelet *k = p->kubelet;
        AUTO(free) char *message = xasprintf("Pods cannot run on this machine: %s", k->o.isolation->why_not);
        api_event(k->api, p->object, "Warning", "FailedCreatePodSandBox", "%s", message);
        vec_foreach(c, &p->containers) container_wait(*c, "CreatePodSandboxError", message);
        pod_report(p);
}

void pod_sync(struct pod *p) {
        struct kubelet *k = p->kubelet;
        if (!k->o.isolation->is_possible) {
                if (pod_is_deleting(p))
                        finalize(p);
                else if (!p->is_refused)
                        refuse(p);
                p->is_refused = true;
                if (k->is_stopping)
                        check_stopped(k);
                return;
        }
        check_ends(p);
        if (p->is_ending || p->is_finished)
                sync_ending(p);
        else
                sync_running(p);
        if (p->is_gone && all_ended(p) && !p->is_busy && !p->jobs) {
                drop_pod(p);
                return;
        }
        if (k->is_stopping)
                check_stopped(k);
}

/* ---- watches ---- */

static void pod_gone(struct kubelet *k, struct object *o) {
        struct pod *p = kubelet_pod(k, o);
        if (!p)
                return;
        p->is_gone = true;
        pod_sync(p);
        services_refresh(k->services);
}

static void on_pod(void *arg, const struct api_event *e) {
        struct kubelet *k = arg;
        if (e->type == API_SYNCED) {
                k->is_synced = true;
                kubelet_sweep(k);
                services_refresh(k->services);
                kubelet_lease_images(k);
                return;
        }
        if (e->type == API_DELETED) {
                pod_gone(k, e->object);
                return;
        }
        struct pod *p = kubelet_pod(k, e->object);
        if (!p) {
                bool is_over = object_is_finished(e->object);
                p = pod_new(k, e->object);
                map_set(&k->pods, p->uid, p);
                pod_adopt(p);
                if (is_over) {
                        /* It ended in an earlier life: only its log is still of interest. */
                        p->is_finished = p->is_ending = true;
                        p->has_sandbox = true;
                        if (!pod_is_deleting(p))
                                return;
                }
        } else if (!p->object || e->object->revision > p->object->revision) {
                object_unref(p->object);
                p->object = object_ref(e->object);
                add_containers(p, "ephemeralContainers");
        }
        if (!p->is_finished || pod_is_deleting(p))
                pod_sync(p);
}

/* A ConfigMap or Secret came or changed: pods wait for it or show it. */
static void config_changed(struct kubelet *k, const char *resource, const struct api_event *e) {
        if (e->type == API_SYNCED || e->type == API_DELETED)
                return;
        map_foreach(entry, &k->pods) {
                struct pod *p = entry->value;
                if (!streq(p->ns, e->object->namespace) || p->is_finished || p->is_ending)
                        continue;
                bool is_waiting = !p->volumes_ready;
                vec_foreach(c, &p->containers) if ((*c)->waiting_reason && streq((*c)->waiting_reason, "CreateContainerConfigError")) {
                        (*c)->next_start_ms = 0;
                        is_waiting = true;
                }
                bool is_used = volumes_use(p->object, resource, e->object->name);
                if (is_waiting && !(p->is_busy && is_used))
                        pod_sync(p);
                else if (is_used)
                        pod_refresh_volumes(p);
        }
}

static void on_config_map(void *arg, const struct api_event *e) { config_changed(arg, "configmaps", e); }
static void on_secret(void *arg, const struct api_event *e) { config_changed(arg, "secrets", e); }

void kubelet_lease_images(struct kubelet *k) {
        AUTO(strv) struct strv used = {0};
        map_foreach(e, &k->pods) {
                struct pod *p = e->value;
                vec_foreach(c, &p->containers)
                        if ((*c)->image_manifest && !strv_has(&used, (*c)->image_manifest))
                                strv_add(&used, (*c)->image_manifest);
        }
        image_pulls_lease(k->pulls, k->dir, &used);
}

/* ---- the kubelet ---- */

static void set_capacity(struct kubelet *k) {
        struct sysinfo info;
        k->node_cpu_milli = k->o.cpu_milli ? k->o.cpu_milli : sysconf(_SC_NPROCESSORS_ONLN) * 1000;
        k->node_memory_bytes = k->o.memory_bytes ? k->o.memory_bytes : sysinfo(&info) == 0 ? (int64_t)info.totalram * info.mem_unit : 0;
}

/* Pods run this program as their entry point; a copy of its own stays readable for them and survives an upgrade of the original. Each start
 * makes it anew, so it needs no sync, which takes longer than all else of a start together on a slow disk. */
static int copy_program(struct kubelet *k, struct err *err) {
        const char *from = k->o.program ? k->o.program : "/proc/self/exe";
        AUTO(free) char *to = fs_join(k->dir, "firesteel"), *fresh = fs_join(k->dir, "firesteel.new");
        int r = fs_copy(from, fresh, 0755, err);
        if (r == 0 && rename(fresh, to) < 0)
                r = err_errno(err, -errno, "renaming %s", fresh);
        if (r < 0)
                return err_wrap(err, r, "copying the program into the instance");
        k->program = TAKE(to);
        return 0;
}

static int make_directories(struct kubelet *k, struct err *err) {
        static const char *const names[] = {"pods", "logs", "runtime"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                AUTO(free) char *path = fs_join(k->dir, names[i]);
                int r = fs_mkdirs(path, 0755, err);
                if (r < 0)
                        return r;
        }
        k->runtime_root = fs_join(k->dir, "runtime");
        return copy_program(k, err);
}

static void start_egress(struct kubelet *k) {
        AUTO(err) struct err err = ERR_INIT;
        if (!k->o.holder || !k->o.dialer) {
                k->egress_words = xstrdup("none");
        } else if (k->o.has_no_egress) {
                k->egress_words = xstrdup("off (--no-egress)");
        } else if (egress_new(k->o.loop, k->o.dialer, &k->o.ranges, &k->egress, &err) < 0) {
                k->egress_words = xasprintf("none: %s", err_message(&err));
        } else {
                k->egress_words = xstrdup("TCP and UDP by a relay in user space; names by the host's resolvers");
        }
}

int kubelet_new(const struct kubelet_options *o, struct kubelet **ret, struct err *err) {
        struct kubelet *k = NEW(struct kubelet);
        *k = (struct kubelet){.o = *o,
                              .dir = xstrdup(o->dir),
                              .node_name = xstrdup(o->instance),
                              .event_logs = xstrdup_null(o->event_logs),
                              .pods = MAP_INIT(pod_free)};
        k->has_cgroups = o->isolation->cgroups != CGROUP_NONE && o->holder;
        podnet_pool_init(&k->addresses, o->ranges.pods);
        int r = make_directories(k, err);
        if (r < 0) {
                kubelet_free(k);
                return r;
        }
        set_capacity(k);
        AUTO(free) char *all = xasprintf("%s/firesteel", o->isolation->cgroup_base), *cgroup = fs_join(all, k->node_name);
        pod_cgroup_make(k, all, k->node_cpu_milli * 1024 / 1000);
        pod_cgroup_make(k, cgroup, k->node_cpu_milli * 1024 / 1000);
        image_store_init(&k->images, &o->images);
        const struct image_pulls_options pulls = {
                .kubelet = k,
                .loop = o->loop,
                .dialer = o->dialer,
                .ids = !o->holder || !o->holder->has_user_namespace ? OCI_IDS_ROOT
                       : o->holder->has_subordinate_ids             ? OCI_IDS_MAPPED
                                                                    : OCI_IDS_SQUASHED,
                .has_overlay = o->isolation->has_overlay,
                .insecure = o->insecure_registries,
        };
        k->pulls = image_pulls_new(&pulls);
        k->api = api_new(o->server, "kubelet");
        k->services = services_new(k);
        start_egress(k);
        evictions_start(k);
        k->node = node_new(k);
        k->archives = archives_new(k);
        k->backend.self = k;
        k->backend.container_usage = container_usage;
        k->backend.node_usage = node_usage;
        podlog_fill(&k->backend);
        podexec_fill(&k->backend);
        AUTO(free) char *mine = xasprintf("spec.nodeName=%s", k->node_name);
        k->pod_watch = api_watch_start(k->api, "pods", NULL, NULL, mine, on_pod, k);
        k->config_watch = api_watch_start(k->api, "configmaps", NULL, NULL, NULL, on_config_map, k);
        k->secret_watch = api_watch_start(k->api, "secrets", NULL, NULL, NULL, on_secret, k);
        *ret = k;
        return 0;
}

const struct pod_backend *kubelet_backend(struct kubelet *k) { return &k->backend; }
const char *kubelet_egress(const struct kubelet *k) { return k->egress_words; }
size_t kubelet_adopted(const struct kubelet *k) { return k->adopted; }

/* Pods that are over stay known for their logs; the others must be gone. */
static void check_stopped(struct kubelet *k) {
        if (!k->is_stopping || !k->stopped || k->jobs || archives_are_busy(k->archives))
                return;
        if (k->o.isolation->is_possible)
                map_foreach(e, &k->pods) if (!((struct pod *)e->value)->is_finished) return;
        void (*done)(void *) = k->stopped;
        k->stopped = NULL;
        loop_post(k->o.loop, done, k->stopped_arg);
}

void kubelet_job_done(struct kubelet *k) {
        k->jobs--;
        k->is_quiet = k->jobs == 0;
        check_stopped(k);
}

static void on_stop_tick(void *arg) { check_stopped(arg); }

void kubelet_stop(struct kubelet *k, int64_t grace_s, void (*done)(void *arg), void *arg) {
        bool first = !k->is_stopping;
        archives_busy(k->archives);
        k->is_stopping = true;
        if (first || grace_s < k->stop_grace_s)
                k->stop_grace_s = grace_s;
        k->stopped = done;
        k->stopped_arg = arg;
        map_foreach(e, &k->pods) {
                struct pod *p = e->value;
                if (!p->is_finished)
                        pod_sync(p);
        }
        loop_post(k->o.loop, on_stop_tick, k);
}

/* Workers come back to the kubelet: what began after the last pod's end (a look at usage, the removal of a pod that a client deleted). */
static void await_workers(struct kubelet *k) {
        while (k->jobs > 0) {
                k->is_quiet = false;
                loop_run_until(k->o.loop, &k->is_quiet);
        }
}

void kubelet_free(struct kubelet *k) {
        if (!k)
                return;
        await_workers(k);
        if (k->pod_watch)
                api_watch_stop(k->pod_watch);
        if (k->config_watch)
                api_watch_stop(k->config_watch);
        if (k->secret_watch)
                api_watch_stop(k->secret_watch);
        if (k->has_cgroups && k->is_stopping) {
                AUTO(free) char *all = xasprintf("%s/firesteel", k->o.isolation->cgroup_base), *cgroup = fs_join(all, k->node_name);
                cgroup_remove(CGROUP_ROOT, cgroup);
                cgroup_remove(CGROUP_ROOT, all);
        }
        node_free(k->node);
        archives_free(k->archives);
        timer_free(k->evictions);
        egress_free(k->egress);
        free(k->egress_words);
        map_done(&k->pods);
        image_pulls_free(k->pulls);
        services_free(k->services);
        if (k->api)
                api_free(k->api);
        image_store_done(&k->images);
        podnet_pool_done(&k->addresses);
        free(k->dir);
        free(k->node_name);
        free(k->event_logs);
        free(k->program);
        free(k->runtime_root);
        free(k);
}
