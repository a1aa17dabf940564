/* DaemonSets: one pod on every node that would take it. */
#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "kobj/selector.h"

#define REVISION_LABEL "controller-revision-hash"

struct daemonsets {
        struct control *c;
        struct queue *queue;
};

struct round {
        struct control *c;
        struct object *set;
        struct object_list pods, nodes;
        char hash[16];
        int64_t desired, current, ready, available, updated, misscheduled;
};

static const struct {
        const char *key, *effect;
} tolerated[] = {
        {"node.kubernetes.io/not-ready", "NoExecute"},     {"node.kubernetes.io/unreachable", "NoExecute"},
        {"node.kubernetes.io/disk-pressure", "NoSchedule"}, {"node.kubernetes.io/memory-pressure", "NoSchedule"},
        {"node.kubernetes.io/pid-pressure", "NoSchedule"}, {"node.kubernetes.io/unschedulable", "NoSchedule"},
};

static bool has_toleration(yyjson_val *pod_spec, const char *key, const char *value, const char *effect) {
        size_t i, max;
        yyjson_val *t;
        for (i = 0; i < ARRAY_LEN(tolerated); i++)
                if (streq(tolerated[i].key, key) && streq(tolerated[i].effect, effect))
                        return true;
        yyjson_arr_foreach(yyjson_obj_get(pod_spec, "tolerations"), i, max, t) {
                const char *k = json_get_str(t, "key"), *e = json_get_str(t, "effect"), *v = json_get_str(t, "value");
                bool exists = streq_null(json_get_str(t, "operator"), "Exists");
                if ((!e || !*e || streq(e, effect)) && (!k || !*k ? exists : streq(k, key)) && (exists || streq(v ? v : "", value)))
                        return true;
        }
        return false;
}

static bool wants_node(const struct round *r, const struct object *node) {
        yyjson_val *spec = object_at(r->set, "/spec/template/spec"), *t;
        AUTO(selector) struct selector s = {0};
        size_t i, max;
        selector_from_map(yyjson_obj_get(spec, "nodeSelector"), &s);
        if (!object_matches(node, &s))
                return false;
        yyjson_arr_foreach(object_at(node, "/spec/taints"), i, max, t) {
                const char *key = json_get_str(t, "key"), *value = json_get_str(t, "value"), *effect = json_get_str(t, "effect");
                if (key && effect && !streq(effect, "PreferNoSchedule") && !has_toleration(spec, key, value ? value : "", effect))
                        return false;
        }
        return true;
}

/* The node a pod is on, or is meant for. */
static const char *node_of(const struct object *pod) {
        const char *name = object_str(pod, "/spec/nodeName");
        return name && *name
                       ? name
                       : object_str(
                                 pod,
                                 "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0");
}

static int create(struct round *r, const struct object *node, struct err *err) {
        AUTO(free) char *prefix = xasprintf("%s-", r->set->name);
        AUTO(mjson) yyjson_mut_doc *doc = pod_from_template(object_at(r->set, "/spec/template"), object_root(r->set), prefix, NULL);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *spec = mjson_obj(doc, root, "spec"), *required, *term, *field;
        required = mjson_obj(doc, mjson_obj(doc, mjson_obj(doc, spec, "affinity"), "nodeAffinity"),
                             "requiredDuringSchedulingIgnoredDuringExecution");
        mjson_set(doc, required, "nodeSelectorTerms", yyjson_mut_arr(doc));
        term = yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_get(required, "nodeSelectorTerms"));
        field = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, term, "matchFields"));
        mjson_set_str(doc, field, "key", "metadata.name");
        mjson_set_str(doc, field, "operator", "In");
        mjson_add_str(doc, mjson_arr(doc, field, "values"), node->name);
        for (size_t i = 0; i < ARRAY_LEN(tolerated); i++) {
                yyjson_mut_val *t = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, spec, "tolerations"));
                mjson_set_str(doc, t, "key", tolerated[i].key);
                mjson_set_str(doc, t, "operator", "Exists");
                mjson_set_str(doc, t, "effect", tolerated[i].effect);
        }
        mmeta_set_label(doc, root, REVISION_LABEL, r->hash);
        return pod_create(r->c, r->set, doc, NULL, err);
}

static int tend_node(struct round *r, const struct object *node, int64_t *ret_may_go, struct err *err) {
        bool wanted = wants_node(r, node);
        struct object *kept = NULL;
        bool old_style = streq_null(object_str(r->set, "/spec/updateStrategy/type"), "OnDelete");
        int e = 0;
        r->desired += wanted;
        vec_foreach(p, &r->pods) {
                if (!streq_null(node_of(*p), node->name) || object_is_deleting(*p))
                        continue;
                bool ended = object_is_finished(*p), is_new = streq_null(object_label(*p, REVISION_LABEL), r->hash);
                bool ready = pod_is_ready(object_root(*p));
                if (!wanted || ended || kept) {
                        r->misscheduled += !wanted && !ended;
                        e = pod_delete(r->c, r->set, *p, err);
                } else if (!is_new && !old_style && (!ready || *ret_may_go > 0)) {
                        *ret_may_go -= ready;
                        e = pod_delete(r->c, r->set, *p, err);
                        kept = *p;
                } else {
                        kept = *p;
                        r->current++;
                        r->ready += ready;
                        r->available +=
                                pod_is_available(object_root(*p), object_int(r->set, "/spec/minReadySeconds", 0), clock_now_ms(), NULL);
                        r->updated += is_new;
                }
                if (e < 0)
                        return e;
        }
        vec_foreach(p, &r->pods) {
                if (streq_null(node_of(*p), node->name) && object_is_deleting(*p))
                        return 0; /* its successor waits for it */
        }
        return wanted && !kept ? create(r, node, err) : 0;
}

static int report(struct round *r, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(r->set);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status");
        const struct {
                const char *key;
                int64_t value;
                bool always;
        } counts[] = {{"currentNumberScheduled", r->current, true},
                      {"desiredNumberScheduled", r->desired, true},
                      {"numberAvailable", r->available},
                      {"numberMisscheduled", r->misscheduled, true},
                      {"numberReady", r->ready, true},
                      {"numberUnavailable", r->desired - r->available},
                      {"updatedNumberScheduled", r->updated}};
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                if (counts[i].value || counts[i].always)
                        mjson_set_int(doc, status, counts[i].key, counts[i].value);
                else
                        mjson_remove(status, counts[i].key);
        }
        mjson_set_int(doc, status, "observedGeneration", meta_generation(object_root(r->set)));
        int e = write_status(r->c, "daemonsets.apps", r->set, root, err);
        return e < 0 ? e : 0;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct daemonsets *s = arg;
        struct object *found = api_peek(s->c->api, "daemonsets.apps", ns, name);
        AUTO(object) struct object *set = found ? object_ref(found) : NULL;
        if (!set)
                return 0;
        struct round r = {.c = s->c, .set = set};
        template_hash(object_at(set, "/spec/template"), 0, r.hash);
        int e = pods_of(s->c, set, object_at(set, "/spec/selector"), &r.pods, err);
        if (e >= 0)
                e = api_list(s->c->api, "nodes", NULL, NULL, NULL, &r.nodes, err);
        yyjson_val *max = object_at(set, "/spec/updateStrategy/rollingUpdate/maxUnavailable");
        int64_t may_go = scaled_value(max, (int64_t)r.nodes.len, true, 1);
        vec_foreach(p, &r.pods) may_go -= object_is_deleting(*p);
        for (size_t i = 0; e >= 0 && i < r.nodes.len && !object_is_deleting(set); i++)
                e = tend_node(&r, r.nodes.items[i], &may_go, err);
        AUTO(err) struct err why = ERR_INIT;
        int w = e >= 0 ? report(&r, &why) : 0;
        object_list_done(&r.pods);
        object_list_done(&r.nodes);
        return e < 0 ? e : w < 0 ? err_move(err, &why) : 0;
}

static void on_pod(void *arg, const struct api_event *e) {
        struct daemonsets *s = arg;
        if (e->object)
                queue_add_controller(s->queue, e->object, "DaemonSet");
}

static void on_node(void *arg, const struct api_event *e) {
        struct daemonsets *s = arg;
        AUTO(object_list) struct object_list all = {0};
        bool same = e->old && json_equal(object_at(e->old, "/spec"), object_at(e->object, "/spec")) &&
                    json_equal(meta_labels(object_root(e->old)), meta_labels(object_root(e->object)));
        if (same || api_list(s->c->api, "daemonsets.apps", NULL, NULL, NULL, &all, NULL) < 0)
                return;
        vec_foreach(set, &all) queue_add_object(s->queue, *set);
}

static void *start(struct control *c) {
        struct daemonsets *s = NEW(struct daemonsets);
        s->c = c;
        s->queue = queue_new(c->api, "daemon set", reconcile, s);
        api_watch_start(c->api, "daemonsets.apps", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        api_watch_start(c->api, "nodes", NULL, NULL, NULL, on_node, s);
        return s;
}

static void stop(void *state) {
        struct daemonsets *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_daemonset = {"daemonset", "daemonset-controller", start, stop};
