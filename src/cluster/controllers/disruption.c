/* PodDisruptionBudget.status. Evictions ask budget_compute() themselves; this is what people see. */
#include "cluster/disruption.h"

#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "kobj/selector.h"

enum { SETTLE_MS = 50 };

struct disruption {
        struct control *c;
        struct queue *queue;
};

bool budget_covers(const struct object *budget, const struct object *pod) {
        yyjson_val *selector = object_at(budget, "/spec/selector");
        AUTO(selector) struct selector sel = {0};
        if (!selector || !streq(budget->namespace, pod->namespace) || selector_from_object(selector, &sel, NULL) < 0)
                return false;
        return object_matches(pod, &sel);
}

static struct object *owner_of(struct apiserver *s, const struct object *o) {
        static const char *const kinds[][2] = {{"ReplicaSet", "replicasets.apps"},
                                               {"Deployment", "deployments.apps"},
                                               {"StatefulSet", "statefulsets.apps"},
                                               {"ReplicationController", "replicationcontrollers"}};
        for (size_t i = 0; o->owner_uid && i < ARRAY_LEN(kinds); i++)
                if (streq(o->owner_kind, kinds[i][0]))
                        return collection_find(registry_by_id(&s->registry, kinds[i][1])->objects, o->namespace, o->owner_name);
        return NULL;
}

/* Adds the wanted number of pods of the pod's controller, once for each controller. */
static void count_owner(struct apiserver *s, const struct object *pod, struct map *seen, int64_t *expected) {
        struct object *owner = owner_of(s, pod), *above = owner ? owner_of(s, owner) : NULL;
        owner = above ? above : owner;
        if (!owner || map_has(seen, owner->uid))
                return;
        map_set(seen, owner->uid, owner);
        *expected += object_int(owner, "/spec/replicas", 1);
}

void budget_compute(struct apiserver *s, const struct object *budget, struct budget_state *ret) {
        yyjson_val *min = object_at(budget, "/spec/minAvailable"), *max = object_at(budget, "/spec/maxUnavailable");
        struct collection *pods = registry_by_id(&s->registry, "pods")->objects;
        AUTO(map) struct map seen = MAP_INIT(NULL);
        size_t end, at = collection_range(pods, budget->namespace, &end);
        int64_t wanted = 0, count = 0;

        *ret = (struct budget_state){0};
        for (; at < end; at++) {
                struct object *pod = pods->items[at];
                if (object_is_finished(pod) || !budget_covers(budget, pod))
                        continue;
                count++;
                count_owner(s, pod, &seen, &wanted);
                ret->healthy += pod_is_ready(object_root(pod)) && !object_is_deleting(pod);
        }
        if (max || yyjson_is_str(min)) {
                ret->expected = wanted;
                ret->desired = max ? wanted - scaled_value(max, wanted, true, 0) : scaled_value(min, wanted, true, 0);
        } else {
                ret->expected = count;
                ret->desired = min ? yyjson_get_sint(min) : 1;
        }
        if (ret->desired < 0)
                ret->desired = 0;
        if (ret->expected > 0 && ret->healthy > ret->desired)
                ret->allowed = ret->healthy - ret->desired;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct disruption *s = arg;
        struct object *found = api_peek(s->c->api, "poddisruptionbudgets.policy", ns, name);
        AUTO(object) struct object *budget = found ? object_ref(found) : NULL;
        if (!budget || object_is_deleting(budget))
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(budget);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status");
        struct budget_state b;
        budget_compute(s->c->server, budget, &b);
        mjson_set_int(doc, status, "currentHealthy", b.healthy);
        mjson_set_int(doc, status, "desiredHealthy", b.desired);
        mjson_set_int(doc, status, "disruptionsAllowed", b.allowed);
        mjson_set_int(doc, status, "expectedPods", b.expected);
        mjson_set_int(doc, status, "observedGeneration", meta_generation(object_root(budget)));
        mmeta_set_condition(doc, root, "DisruptionAllowed", b.allowed ? "True" : "False", b.allowed ? "SufficientPods" : "InsufficientPods",
                            "", clock_now_ms());
        int r = write_status(s->c, "poddisruptionbudgets.policy", budget, root, err);
        return r < 0 ? r : 0;
}

static void on_pod(void *arg, const struct api_event *e) {
        struct disruption *s = arg;
        AUTO(object_list) struct object_list budgets = {0};
        if (!e->object || api_list(s->c->api, "poddisruptionbudgets.policy", e->object->namespace, NULL, NULL, &budgets, NULL) <= 0)
                return;
        vec_foreach(b, &budgets) {
                if (budget_covers(*b, e->object) || (e->old && budget_covers(*b, e->old)))
                        queue_add_after(s->queue, (*b)->namespace, (*b)->name, SETTLE_MS);
        }
}

static void *start(struct control *c) {
        struct disruption *s = NEW(struct disruption);
        s->c = c;
        s->queue = queue_new(c->api, "disruption", reconcile, s);
        api_watch_start(c->api, "poddisruptionbudgets.policy", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct disruption *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_disruption = {"disruption", "disruption-controller", start, stop};
