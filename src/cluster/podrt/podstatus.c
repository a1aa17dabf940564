/* A pod's status as the kubelet reports it. Rules: pkg/kubelet/kubelet_pods.go (getPhase, convertStatusToAPIStatus), status/generate.go. */
#include "base/clock.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/ktime.h"
#include "codec/quantity.h"

static const char *restart_policy(const struct pod *p) {
        const char *policy = object_str(p->object, "/spec/restartPolicy");
        return policy ? policy : "Always";
}

static bool init_is_done(const struct container *c) {
        if (c->is_sidecar)
                return c->is_started && c->state == CONTAINER_RUNNING;
        return c->state == CONTAINER_TERMINATED && c->now.exit_code == 0;
}

/* A pod is not over while anything in it still runs, be it a sidecar on its way out. */
static bool anything_runs(const struct pod *p) {
        vec_foreach(c, &p->containers) if ((*c)->state == CONTAINER_RUNNING) return true;
        return false;
}

const char *pod_phase(const struct pod *p) {
        size_t waiting = 0, running = 0, stopped = 0, succeeded = 0, pending_init = 0, failed_init = 0;
        const char *policy = restart_policy(p);
        vec_foreach(cp, &p->containers) {
                struct container *c = *cp;
                if (c->is_ephemeral)
                        continue;
                if (c->is_init) {
                        if (c->is_sidecar)
                                pending_init += !c->is_started && !p->is_ending && !p->is_finished;
                        else if (!init_is_done(c))
                                pending_init++;
                        failed_init += !c->is_sidecar && c->state == CONTAINER_TERMINATED && c->now.exit_code != 0;
                } else if (c->state == CONTAINER_RUNNING) {
                        running++;
                } else if (c->state == CONTAINER_TERMINATED) {
                        stopped++;
                        succeeded += c->now.exit_code == 0;
                } else if (c->last.is_set) {
                        stopped++;
                } else {
                        waiting++;
                }
        }
        if (p->is_finished && p->end_reason)
                return "Failed";
        if (p->is_finished)
                return stopped && stopped == succeeded && !waiting ? "Succeeded" : "Failed";
        if (failed_init && streq(policy, "Never"))
                return anything_runs(p) ? "Pending" : "Failed";
        if (pending_init || waiting)
                return "Pending";
        if (running || anything_runs(p))
                return "Running";
        if (streq(policy, "Always"))
                return "Running";
        if (stopped && stopped == succeeded)
                return "Succeeded";
        return streq(policy, "Never") ? "Failed" : "Running";
}

/* ---- QoS ---- */

static bool has_quantity(yyjson_val *container, const char *kind, const char *name, struct quantity *ret) {
        const char *text = json_get_str(yyjson_obj_get(yyjson_obj_get(container, "resources"), kind), name);
        return text && quantity_parse(sv_of(text), ret, NULL) == 0 && ret->nano > 0;
}

const char *pod_qos(const struct object *o) {
        static const char *const lists[] = {"/spec/containers", "/spec/initContainers"};
        static const char *const names[] = {"cpu", "memory"};
        bool any = false, guaranteed = true;
        for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
                yyjson_val *c, *list = object_at(o, lists[l]);
                size_t i, max;
                yyjson_arr_foreach(list, i, max, c) for (size_t n = 0; n < ARRAY_LEN(names); n++) {
                        struct quantity limit, request;
                        bool limited = has_quantity(c, "limits", names[n], &limit),
                             requested = has_quantity(c, "requests", names[n], &request);
                        any |= limited || requested;
                        if (!limited || (requested && quantity_cmp(limit, request) != 0))
                                guaranteed = false;
                }
        }
        return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

/* ---- containers ---- */

static void set_time(yyjson_mut_doc *d, yyjson_mut_val *o, const char *key, int64_t us) {
        char text[KTIME_SIZE];
        if (us > 0) {
                ktime_format(us / 1000, text);
                mjson_set_str(d, o, key, text);
        } else {
                mjson_set(d, o, key, yyjson_mut_null(d));
        }
}

static void put_terminated(yyjson_mut_doc *d, yyjson_mut_val *state, const struct termination *t) {
        yyjson_mut_val *o = mjson_obj(d, state, "terminated");
        mjson_set_int(d, o, "exitCode", t->exit_code);
        mjson_set_str(d, o, "reason", t->reason);
        if (t->message && t->message[0])
                mjson_set_str(d, o, "message", t->message);
        set_time(d, o, "startedAt", t->started_us);
        set_time(d, o, "finishedAt", t->finished_us);
        if (t->container_id)
                mjson_set_str(d, o, "containerID", t->container_id);
}

static void put_state(yyjson_mut_doc *d, yyjson_mut_val *o, const struct container *c) {
        yyjson_mut_val *state = mjson_obj(d, o, "state");
        if (c->state == CONTAINER_RUNNING) {
                set_time(d, mjson_obj(d, state, "running"), "startedAt", c->started_us);
        } else if (c->state == CONTAINER_TERMINATED) {
                put_terminated(d, state, &c->now);
        } else {
                yyjson_mut_val *w = mjson_obj(d, state, "waiting");
                mjson_set_str(d, w, "reason", c->waiting_reason ? c->waiting_reason : "ContainerCreating");
                if (c->waiting_message)
                        mjson_set_str(d, w, "message", c->waiting_message);
        }
        yyjson_mut_val *last = mjson_obj(d, o, "lastState");
        if (c->last.is_set)
                put_terminated(d, last, &c->last);
}

static void put_mounts(yyjson_mut_doc *d, yyjson_mut_val *o, yyjson_val *spec) {
        yyjson_val *m, *list = yyjson_obj_get(spec, "volumeMounts");
        size_t i, max;
        if (!list || !yyjson_arr_size(list))
                return;
        yyjson_mut_val *mounts = mjson_arr(d, o, "volumeMounts");
        yyjson_arr_foreach(list, i, max, m) {
                yyjson_mut_val *out = yyjson_mut_arr_add_obj(d, mounts);
                mjson_set_str(d, out, "name", json_get_str(m, "name"));
                mjson_set_str(d, out, "mountPath", json_get_str(m, "mountPath"));
                if (json_get_bool(m, "readOnly", false)) {
                        mjson_set_bool(d, out, "readOnly", true);
                        mjson_set_str(d, out, "recursiveReadOnly", "Disabled");
                }
        }
}

static bool counts_as_ready(const struct container *c) {
        if (c->is_init && !c->is_sidecar)
                return c->state == CONTAINER_TERMINATED && c->now.exit_code == 0;
        return c->state == CONTAINER_RUNNING && c->is_ready;
}

static void put_container(yyjson_mut_doc *d, yyjson_mut_val *list, const struct container *c) {
        yyjson_val *spec = container_spec(c);
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        mjson_set_str(d, o, "name", c->name);
        put_state(d, o, c);
        mjson_set_bool(d, o, "ready", !c->is_ephemeral && counts_as_ready(c));
        mjson_set_int(d, o, "restartCount", c->restarts);
        mjson_set_str(d, o, "image", json_get_str(spec, "image") ? json_get_str(spec, "image") : "");
        mjson_set_str(d, o, "imageID", c->image_id ? c->image_id : "");
        if (c->id) {
                AUTO(free) char *id = xasprintf("crun://%s", c->id);
                mjson_set_str(d, o, "containerID", id);
        }
        if (!c->is_ephemeral)
                mjson_set_bool(d, o, "started", c->state == CONTAINER_RUNNING && c->is_started);
        put_mounts(d, o, spec);
}

/* ---- conditions ---- */

struct conditions {
        yyjson_mut_doc *doc;
        yyjson_mut_val *list;
        yyjson_val *before; /* what the API has now */
        int64_t now_us, generation;
};

static yyjson_val *condition_before(const struct conditions *c, const char *type) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(c->before, i, max, v) if (streq_null(json_get_str(v, "type"), type)) return v;
        return NULL;
}

static void put_condition(struct conditions *c, const char *type, bool status, const char *reason, const char *message) {
        yyjson_val *before = condition_before(c, type);
        const char *since = json_get_str(before, "lastTransitionTime");
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(c->doc, c->list);
        mjson_set_str(c->doc, o, "type", type);
        if (c->generation > 0)
                mjson_set_int(c->doc, o, "observedGeneration", c->generation);
        mjson_set_str(c->doc, o, "status", status ? "True" : "False");
        mjson_set(c->doc, o, "lastProbeTime", yyjson_mut_null(c->doc));
        if (since && streq_null(json_get_str(before, "status"), status ? "True" : "False"))
                mjson_set_str(c->doc, o, "lastTransitionTime", since);
        else
                set_time(c->doc, o, "lastTransitionTime", c->now_us);
        if (reason)
                mjson_set_str(c->doc, o, "reason", reason);
        if (message)
                mjson_set_str(c->doc, o, "message", message);
}

static char *names_message(const struct pod *p, bool init, const char *what) {
        AUTO(str) struct str names = STR_INIT(0);
        vec_foreach(cp, &p->containers) {
                const struct container *c = *cp;
                bool lacking = init ? c->is_init && !init_is_done(c) : (container_is_main(c) || c->is_sidecar) && !counts_as_ready(c);
                if (lacking)
                        str_appendf(&names, "%s%s", names.len ? " " : "", c->name);
        }
        return names.len ? xasprintf("containers with %s status: [%s]", what, str_cstr(&names)) : NULL;
}

static bool gates_are_open(const struct pod *p, const struct conditions *c) {
        yyjson_val *gate, *gates = object_at(p->object, "/spec/readinessGates");
        size_t i, max;
        yyjson_arr_foreach(gates, i, max, gate) {
                const char *type = json_get_str(gate, "conditionType");
                if (!type || !streq_null(json_get_str(condition_before(c, type), "status"), "True"))
                        return false;
        }
        return true;
}

static bool is_ours(const char *type) {
        static const char *const ours[] = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"};
        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                if (streq_null(type, ours[i]))
                        return true;
        return false;
}

static void put_conditions(const struct pod *p, struct conditions *c, const char *phase) {
        bool succeeded = streq(phase, "Succeeded"), failed = streq(phase, "Failed");
        put_condition(c, "PodReadyToStartContainers", p->has_sandbox && !p->is_cleaned, NULL, NULL);
        AUTO(free) char *init = names_message(p, true, "incomplete");
        /* A pod of which a main container has run is initialised for good. */
        bool initialized = !init || succeeded;
        put_condition(c, "Initialized", initialized,
                      !initialized ? "ContainersNotInitialized"
                      : succeeded  ? "PodCompleted"
                                   : NULL,
                      initialized ? NULL : init);
        AUTO(free) char *unready = names_message(p, false, "unready");
        bool ready = !unready && !succeeded && !failed;
        const char *reason = succeeded ? "PodCompleted" : failed ? "PodFailed" : unready ? "ContainersNotReady" : NULL;
        const char *message = succeeded || failed ? NULL : unready;
        bool open = gates_are_open(p, c);
        put_condition(c, "Ready", ready && open, ready && !open ? "ReadinessGatesNotReady" : reason, message);
        put_condition(c, "ContainersReady", ready, reason, message);
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(c->before, i, max, v) if (!is_ours(json_get_str(v, "type")))
            yyjson_mut_arr_append(c->list, yyjson_val_mut_copy(c->doc, v));
}

/* ---- the whole ---- */

static void put_containers(const struct pod *p, yyjson_mut_doc *d, yyjson_mut_val *status) {
        bool has_init = false, has_ephemeral = false;
        vec_foreach(cp, &p->containers) {
                has_init |= (*cp)->is_init;
                has_ephemeral |= (*cp)->is_ephemeral;
        }
        yyjson_mut_val *init = has_init ? mjson_arr(d, status, "initContainerStatuses") : NULL;
        yyjson_mut_val *mains = mjson_arr(d, status, "containerStatuses");
        yyjson_mut_val *ephemeral = has_ephemeral ? mjson_arr(d, status, "ephemeralContainerStatuses") : NULL;
        vec_foreach(cp, &p->containers) {
                const struct container *c = *cp;
                put_container(d, c->is_init ? init : c->is_ephemeral ? ephemeral : mains, c);
        }
}

static void put_address(yyjson_mut_doc *d, yyjson_mut_val *status, const char *one, const char *many, const char *address) {
        mjson_set_str(d, status, one, address);
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, mjson_arr(d, status, many));
        mjson_set_str(d, o, "ip", address);
}

yyjson_mut_val *pod_status(const struct pod *p, yyjson_mut_doc *doc, int64_t now_us) {
        yyjson_mut_val *status = yyjson_mut_obj(doc);
        struct pod_facts facts;
        pod_facts(p, &facts);
        const char *phase = pod_phase(p);
        int64_t generation = object_int(p->object, "/metadata/generation", 0);
        if (generation > 0)
                mjson_set_int(doc, status, "observedGeneration", generation);
        mjson_set_str(doc, status, "phase", phase);
        struct conditions c = {.doc = doc,
                               .list = mjson_arr(doc, status, "conditions"),
                               .before = object_at(p->object, "/status/conditions"),
                               .now_us = now_us,
                               .generation = generation};
        put_conditions(p, &c, phase);
        if (p->end_reason && (p->is_finished || p->is_ending)) {
                mjson_set_str(doc, status, "reason", p->end_reason);
                if (p->end_message)
                        mjson_set_str(doc, status, "message", p->end_message);
        }
        put_address(doc, status, "hostIP", "hostIPs", facts.host_ip);
        if (p->ip[0])
                put_address(doc, status, "podIP", "podIPs", p->ip);
        if (p->start_time_us)
                set_time(doc, status, "startTime", p->start_time_us);
        put_containers(p, doc, status);
        mjson_set_str(doc, status, "qosClass", pod_qos(p->object));
        return status;
}

void pod_report(struct pod *p) {
        struct kubelet *k = p->kubelet;
        if (p->is_gone)
                return;
        struct object *current = api_peek(k->api, "pods", p->ns, p->name);
        if (!current || !streq(current->uid, p->uid))
                return;
        object_unref(p->object);
        p->object = object_ref(current);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set(doc, root, "status", pod_status(p, doc, clock_now_us()));
        size_t len = 0;
        AUTO(free) char *text = mjson_write(root, false, &len);
        if (streq_null(text, p->last_status))
                return;
        struct object *written = NULL;
        struct err err = ERR_INIT;
        if (api_patch(k->api, "pods", p->ns, p->name, "status", API_PATCH_MERGE, sv_new(text, len), &written, &err) < 0) {
                /* The next change tries again; the reason is of interest to developers only. */
                pod_retry_in(p, 1000);
                err_done(&err);
                return;
        }
        object_unref(p->object);
        p->object = written;
        free(p->last_status);
        p->last_status = TAKE(text);
        services_refresh(k->services);
}
