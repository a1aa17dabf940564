/* ReplicaSets and ReplicationControllers: as many pods as asked for. */
#include <stdlib.h>

#include "cluster/controllers/control.h"

enum { BURST = 500 };

static const struct flavour {
        const char *resource, *kind, *queue;
        bool has_map; /* its selector is a plain map of labels */
} sets = {"replicasets.apps", "ReplicaSet", "replica set", false},
  replications = {"replicationcontrollers", "ReplicationController", "replication controller", true};

struct replicasets {
        const struct flavour *flavour;
        struct control *c;
        struct queue *queue;
};

/* Those that are easiest to lose first: without a node, not running, not ready, young. */
static int compare_losable(const void *a, const void *b) {
        yyjson_val *x = object_root(*(struct object *const *)a), *y = object_root(*(struct object *const *)b);
        bool nx = json_str_at(x, "/spec/nodeName") != NULL, ny = json_str_at(y, "/spec/nodeName") != NULL;
        if (nx != ny)
                return nx ? 1 : -1;
        bool rx = streq_null(json_str_at(x, "/status/phase"), "Running"), ry = streq_null(json_str_at(y, "/status/phase"), "Running");
        if (rx != ry)
                return rx ? 1 : -1;
        if (pod_is_ready(x) != pod_is_ready(y))
                return pod_is_ready(x) ? 1 : -1;
        int64_t s = meta_created_ms(x), t = meta_created_ms(y);
        return s > t ? -1 : s < t;
}

static int manage(struct control *c, const struct object *rs, struct object_list *active, int64_t wanted, struct err *err) {
        int64_t missing = wanted - (int64_t)active->len;
        for (int64_t i = 0; i < missing && i < BURST; i++) {
                AUTO(free) char *prefix = xasprintf("%s-", rs->name);
                AUTO(mjson) yyjson_mut_doc *pod = pod_from_template(object_at(rs, "/spec/template"), object_root(rs), prefix, NULL);
                struct object *made = NULL;
                int r = pod_create(c, rs, pod, &made, err);
                if (r < 0)
                        return r;
                *vec_push(active) = made;
        }
        if (missing >= 0)
                return 0;
        qsort(active->items, active->len, sizeof(*active->items), compare_losable);
        for (int64_t i = 0; i < -missing; i++) {
                int r = pod_delete(c, rs, active->items[0], err);
                if (r < 0)
                        return r;
                object_unref(active->items[0]);
                vec_remove(active, 0);
        }
        return 0;
}

static bool has_template_labels(yyjson_val *rs, yyjson_val *pod) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(json_at(rs, "/spec/template/metadata/labels"), i, max, key, value) {
                if (!streq_null(meta_label(pod, yyjson_get_str(key)), yyjson_get_str(value)))
                        return false;
        }
        return true;
}

static void set_count(yyjson_mut_doc *doc, yyjson_mut_val *status, const char *key, int64_t count) {
        if (count)
                mjson_set_int(doc, status, key, count);
        else
                mjson_remove(status, key);
}

static int report(struct control *c, const struct flavour *flavour, const struct object *rs, const struct object_list *active,
                  const char *failure, int64_t *ret_wait_ms, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(rs);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status");
        int64_t labeled = 0, ready = 0, available = 0, now = clock_now_ms(), min_ready = object_int(rs, "/spec/minReadySeconds", 0);
        vec_foreach(p, active) {
                int64_t wait = 0;
                labeled += has_template_labels(object_root(rs), object_root(*p));
                ready += pod_is_ready(object_root(*p));
                available += pod_is_available(object_root(*p), min_ready, now, &wait);
                if (wait && (!*ret_wait_ms || wait < *ret_wait_ms))
                        *ret_wait_ms = wait;
        }
        mjson_set_int(doc, status, "replicas", (int64_t)active->len);
        set_count(doc, status, "fullyLabeledReplicas", labeled);
        set_count(doc, status, "readyReplicas", ready);
        set_count(doc, status, "availableReplicas", available);
        mjson_set_int(doc, status, "observedGeneration", meta_generation(object_root(rs)));
        if (failure)
                mmeta_set_condition(doc, root, "ReplicaFailure", "True", "FailedCreate", failure, now);
        else
                mjson_remove(status, "conditions");
        return write_status(c, flavour->resource, rs, root, err);
}

static yyjson_doc *selector_of(const struct flavour *flavour, const struct object *rs) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_val *selector = object_at(rs, "/spec/selector");
        if (flavour->has_map)
                mjson_set(doc, root, "matchLabels", yyjson_val_mut_copy(doc, selector));
        return mjson_freeze(flavour->has_map ? root : yyjson_val_mut_copy(doc, selector));
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct replicasets *s = arg;
        AUTO(object_list) struct object_list pods = {0};
        AUTO(object_list) struct object_list active = {0};
        AUTO(err) struct err failure = ERR_INIT;
        struct object *found = api_peek(s->c->api, s->flavour->resource, ns, name);
        AUTO(object) struct object *rs = found ? object_ref(found) : NULL;
        int64_t wait_ms = 0;
        if (!rs)
                return 0;
        AUTO(json) yyjson_doc *selector = selector_of(s->flavour, rs);
        int r = pods_of(s->c, rs, yyjson_doc_get_root(selector), &pods, err);
        if (r < 0)
                return r;
        vec_foreach(p, &pods) {
                if (object_is_active(*p))
                        *vec_push(&active) = object_ref(*p);
        }
        r = object_is_deleting(rs) ? 0 : manage(s->c, rs, &active, object_int(rs, "/spec/replicas", 1), &failure);
        int w = report(s->c, s->flavour, rs, &active, r < 0 ? err_message(&failure) : NULL, &wait_ms, err);
        if (r < 0)
                return err_move(err, &failure);
        return w < 0 ? w : (int)(wait_ms < 3600000 ? wait_ms : 3600000);
}

static void on_pod(void *arg, const struct api_event *e) {
        struct replicasets *s = arg;
        if (!e->object)
                return;
        queue_add_controller(s->queue, e->object, s->flavour->kind);
        if (e->old)
                queue_add_controller(s->queue, e->old, s->flavour->kind);
        /* An orphan may belong to any of the namespace. */
        if (e->type == API_ADDED && !e->object->owner_uid) {
                AUTO(object_list) struct object_list all = {0};
                if (api_list(s->c->api, s->flavour->resource, e->object->namespace, NULL, NULL, &all, NULL) > 0)
                        vec_foreach(rs, &all) queue_add_object(s->queue, *rs);
        }
}

static void *start(struct control *c) {
        struct replicasets *s = NEW(struct replicasets);
        s->c = c;
        s->flavour = c->row == &controller_replication ? &replications : &sets;
        s->queue = queue_new(c->api, s->flavour->queue, reconcile, s);
        api_watch_start(c->api, s->flavour->resource, NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct replicasets *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_replicaset = {"replicaset", "replicaset-controller", start, stop};
const struct controller controller_replication = {"replication", "replication-controller", start, stop};
