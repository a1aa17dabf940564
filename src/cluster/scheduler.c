/* The scheduler: nodes are filtered by what a pod needs, the one with the most room is taken. One pod after another, the most important
 * first.
 *
 * Rules and texts: k8s.io/kubernetes/pkg/scheduler 1.34 (NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts,
 * NodeResourcesFit, VolumeBinding, DefaultPreemption). Not here: spreading, pod affinity, extenders: an embedded cluster has one node. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "cluster/api.h"
#include "cluster/controllers.h"
#include "codec/quantity.h"
#include "kobj/meta.h"
#include "kobj/selector.h"

enum { SETTLE_MS = 5, FIRST_BACKOFF_MS = 1000, LAST_BACKOFF_MS = 10000, FLUSH_MS = 300000, MAX_RESOURCES = 32 };

struct amounts {
        struct {
                char name[64];
                struct quantity q;
        } items[MAX_RESOURCES];
        size_t len;
};

/* A pod that waits. Its reasons are said once and again with growing pauses. */
struct waiting {
        int64_t said_ms, backoff_ms;
        char *message;
};

struct scheduler {
        struct api *api;
        struct timer *timer;
        struct timer *flush;
        struct map waiting; /* uid -> waiting */
        bool is_armed;
        /* Pods that have a node, as one round sees them: many pods may wait, and each of them asks. Forgotten when the round changes
         * something. */
        struct object_list placed;
        bool placed_known;
};

/* ---- resources ---- */

static struct quantity *amount(struct amounts *a, const char *name, bool make) {
        for (size_t i = 0; i < a->len; i++)
                if (streq(a->items[i].name, name))
                        return &a->items[i].q;
        if (!make || a->len == MAX_RESOURCES)
                return NULL;
        snprintf(a->items[a->len].name, sizeof(a->items[0].name), "%s", name);
        a->items[a->len].q = (struct quantity){0};
        return &a->items[a->len++].q;
}

static void add_list(struct amounts *a, yyjson_val *list, bool largest) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(list, i, max, key, value) {
                struct quantity q, *have;
                if (!yyjson_is_str(value) || quantity_parse(sv_of(yyjson_get_str(value)), &q, NULL) < 0 ||
                    !(have = amount(a, yyjson_get_str(key), true)))
                        continue;
                if (!largest)
                        *have = have->nano ? quantity_add(*have, q) : q;
                else if (quantity_cmp(q, *have) > 0)
                        *have = q;
        }
}

static void add_amounts(struct amounts *a, const struct amounts *b, bool largest) {
        for (size_t i = 0; i < b->len; i++) {
                struct quantity *have = amount(a, b->items[i].name, true);
                if (have && !largest)
                        *have = have->nano ? quantity_add(*have, b->items[i].q) : b->items[i].q;
                else if (have && quantity_cmp(b->items[i].q, *have) > 0)
                        *have = b->items[i].q;
        }
}

/* What a pod takes: its containers and sidecars together, or the largest init container beside the sidecars started before it. */
static void pod_requests(yyjson_val *pod, struct amounts *ret) {
        struct amounts sidecars = {0}, init = {0};
        size_t i, max;
        yyjson_val *c;
        yyjson_arr_foreach(json_at(pod, "/spec/containers"), i, max, c) add_list(ret, json_at(c, "/resources/requests"), false);
        yyjson_arr_foreach(json_at(pod, "/spec/initContainers"), i, max, c) {
                struct amounts one = sidecars;
                add_list(&one, json_at(c, "/resources/requests"), false);
                if (streq_null(json_get_str(c, "restartPolicy"), "Always"))
                        sidecars = one;
                add_amounts(&init, &one, true);
        }
        add_amounts(ret, &sidecars, false);
        add_amounts(ret, &init, true);
        add_list(ret, json_at(pod, "/spec/overhead"), false);
}

/* ---- filters ---- */

struct verdict {
        struct strv reasons;
        bool unresolvable; /* ending other pods would not help */
};

static void refuse(struct verdict *v, bool unresolvable, const char *fmt, ...) PRINTF(3, 4);
static void refuse(struct verdict *v, bool unresolvable, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        strv_take(&v->reasons, xvasprintf(fmt, ap));
        va_end(ap);
        v->unresolvable |= unresolvable;
}

static bool tolerates(yyjson_val *pod, const char *key, const char *value, const char *effect) {
        size_t i, max;
        yyjson_val *t;
        yyjson_arr_foreach(json_at(pod, "/spec/tolerations"), i, max, t) {
                const char *k = json_get_str(t, "key"), *op = json_get_str(t, "operator"), *e = json_get_str(t, "effect"),
                           *v = json_get_str(t, "value");
                bool exists = streq_null(op, "Exists");
                if (e && *e && !streq_null(e, effect))
                        continue;
                if (!k || !*k ? !exists : !streq(k, key))
                        continue;
                if (exists || streq(v ? v : "", value ? value : ""))
                        return true;
        }
        return false;
}

static void check_taints(yyjson_val *pod, yyjson_val *node, struct verdict *v) {
        size_t i, max;
        yyjson_val *t;
        if (json_bool_at(node, "/spec/unschedulable", false) && !tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule")) {
                refuse(v, true, "node(s) were unschedulable");
                return;
        }
        yyjson_arr_foreach(json_at(node, "/spec/taints"), i, max, t) {
                const char *key = json_get_str(t, "key"), *value = json_get_str(t, "value"), *effect = json_get_str(t, "effect");
                if (!streq_null(effect, "NoSchedule") && !streq_null(effect, "NoExecute"))
                        continue;
                if (!key || tolerates(pod, key, value, effect))
                        continue;
                refuse(v, true, "node(s) had untolerated taint {%s: %s}", key, value ? value : "");
                return;
        }
}

/* matchFields knows metadata.name only. */
static bool fields_match(yyjson_val *fields, yyjson_val *node) {
        size_t i, max, j, jmax;
        yyjson_val *f, *value;
        yyjson_arr_foreach(fields, i, max, f) {
                const char *op = json_get_str(f, "operator");
                bool in = false;
                yyjson_arr_foreach(yyjson_obj_get(f, "values"), j, jmax, value) in |= yyjson_equals_str(value, meta_name(node));
                if (!streq_null(json_get_str(f, "key"), "metadata.name") || in != streq_null(op, "In"))
                        return false;
        }
        return true;
}

static bool term_matches(yyjson_val *term, yyjson_val *node) {
        yyjson_val *expressions = yyjson_obj_get(term, "matchExpressions"), *fields = yyjson_obj_get(term, "matchFields");
        AUTO(selector) struct selector s = {0};
        if (!yyjson_arr_size(expressions) && !yyjson_arr_size(fields))
                return false;
        return selector_from_expressions(expressions, &s, NULL) >= 0 && selector_matches(&s, meta_labels(node)) &&
               fields_match(fields, node);
}

static bool affinity_matches(yyjson_val *pod, yyjson_val *node) {
        AUTO(selector) struct selector s = {0};
        selector_from_map(json_at(pod, "/spec/nodeSelector"), &s);
        if (!selector_matches(&s, meta_labels(node)))
                return false;
        yyjson_val *required = json_at(pod, "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution"), *term;
        size_t i, max;
        if (!required)
                return true;
        yyjson_arr_foreach(yyjson_obj_get(required, "nodeSelectorTerms"), i, max, term) {
                if (term_matches(term, node))
                        return true;
        }
        return false;
}

static void forget_placed(struct scheduler *s) {
        object_list_done(&s->placed);
        s->placed = (struct object_list){0};
        s->placed_known = false;
}

static bool know_placed(struct scheduler *s) {
        if (!s->placed_known)
                s->placed_known = api_list(s->api, "pods", NULL, NULL, "spec.nodeName!=", &s->placed, NULL) >= 0;
        return s->placed_known;
}

/* The pods that take room on the node, without those in `but` (NULL-terminated, may be NULL). */
static void node_pods(struct scheduler *s, const char *node, const struct object_list *but, struct object_list *ret) {
        if (!know_placed(s))
                return;
        vec_foreach(p, &s->placed) {
                bool skipped = !streq_null((*p)->node, node) || object_is_finished(*p);
                for (size_t i = 0; but && i < but->len; i++)
                        skipped |= streq(but->items[i]->uid, (*p)->uid);
                if (!skipped)
                        *vec_push(ret) = object_ref(*p);
        }
}

static bool ports_clash(yyjson_val *a, yyjson_val *b) {
        size_t i, max, j, jmax, k, kmax, l, lmax;
        yyjson_val *c, *p, *d, *q;
        yyjson_arr_foreach(json_at(a, "/spec/containers"), i, max, c) {
                yyjson_arr_foreach(yyjson_obj_get(c, "ports"), j, jmax, p) {
                        int64_t port = json_get_int(p, "hostPort", 0);
                        if (!port)
                                continue;
                        yyjson_arr_foreach(json_at(b, "/spec/containers"), k, kmax, d) {
                                yyjson_arr_foreach(yyjson_obj_get(d, "ports"), l, lmax, q) {
                                        const char *one = json_get_str(p, "protocol"), *other = json_get_str(q, "protocol");
                                        if (json_get_int(q, "hostPort", 0) == port && streq(one ? one : "TCP", other ? other : "TCP"))
                                                return true;
                                }
                        }
                }
        }
        return false;
}

static void check_room(struct scheduler *s, yyjson_val *pod, yyjson_val *node, const struct object_list *but, struct verdict *v) {
        AUTO(object_list) struct object_list pods = {0};
        struct amounts wanted = {0}, used = {0}, offered = {0};
        bool clash = false;
        node_pods(s, meta_name(node), but, &pods);
        vec_foreach(p, &pods) {
                pod_requests(object_root(*p), &used);
                clash |= ports_clash(pod, object_root(*p));
        }
        if (clash)
                refuse(v, false, "node(s) didn't have free ports for the requested pod ports");
        pod_requests(pod, &wanted);
        add_list(&offered, json_at(node, "/status/allocatable"), false);
        struct quantity *room = amount(&offered, "pods", false);
        if (room && (int64_t)pods.len + 1 > quantity_value(*room))
                refuse(v, false, "Too many pods");
        for (size_t i = 0; i < wanted.len; i++) {
                const char *name = wanted.items[i].name;
                struct quantity want = wanted.items[i].q, *have = amount(&offered, name, false), *taken = amount(&used, name, false);
                struct quantity all = have ? *have : (struct quantity){0}, left = taken ? quantity_sub(all, *taken) : all;
                if (want.nano > 0 && quantity_cmp(want, left) > 0)
                        refuse(v, quantity_cmp(want, all) > 0, "Insufficient %s", name);
        }
}

/* True when the pod may run on the node. */
static bool fits(struct scheduler *s, yyjson_val *pod, yyjson_val *node, const struct object_list *but, struct verdict *v) {
        size_t before = v->reasons.len;
        check_taints(pod, node, v);
        if (v->reasons.len == before && !affinity_matches(pod, node))
                refuse(v, true, "node(s) didn't match Pod's node affinity/selector");
        if (v->reasons.len == before)
                check_room(s, pod, node, but, v);
        return v->reasons.len == before;
}

/* Claims that keep a pod waiting whatever the node; NULL when there are none. The caller frees. */
static char *claims_in_the_way(struct scheduler *s, const struct object *pod) {
        size_t i, max;
        yyjson_val *volume;
        yyjson_arr_foreach(object_at(pod, "/spec/volumes"), i, max, volume) {
                const char *claim = json_str_at(volume, "/persistentVolumeClaim/claimName");
                AUTO(free) char *made = NULL;
                if (!claim && yyjson_obj_get(volume, "ephemeral")) {
                        const char *name = json_get_str(volume, "name");
                        claim = made = xasprintf("%s-%s", pod->name, name ? name : "");
                }
                if (!claim)
                        continue;
                struct object *pvc = api_peek(s->api, "persistentvolumeclaims", pod->namespace, claim);
                if (!pvc)
                        return made ? xasprintf("waiting for ephemeral volume controller to create the persistentvolumeclaim \"%s\"", claim)
                                    : xasprintf("persistentvolumeclaim \"%s\" not found", claim);
                if (object_is_deleting(pvc))
                        return xasprintf("persistentvolumeclaim \"%s\" is being deleted", claim);
                if (streq_null(object_str(pvc, "/status/phase"), "Lost"))
                        return xasprintf("persistentvolumeclaim \"%s\" bound to non-existent persistentvolume \"%s\"", claim,
                                         object_str(pvc, "/spec/volumeName"));
                const char *volume_name = object_str(pvc, "/spec/volumeName"), *class = object_str(pvc, "/spec/storageClassName");
                struct object *sc = class && *class ? api_peek(s->api, "storageclasses.storage.k8s.io", NULL, class) : NULL;
                bool waits = sc && streq_null(object_str(sc, "/volumeBindingMode"), "WaitForFirstConsumer");
                if ((!volume_name || !*volume_name) && !waits)
                        return xstrdup("pod has unbound immediate PersistentVolumeClaims");
        }
        return NULL;
}

/* ---- preemption ---- */

static int64_t priority_of(yyjson_val *pod) { return json_int_at(pod, "/spec/priority", 0); }

/* The least important first, of equals the youngest. */
static int compare_victims(const void *a, const void *b) {
        yyjson_val *x = object_root(*(struct object *const *)a), *y = object_root(*(struct object *const *)b);
        int64_t p = priority_of(x), q = priority_of(y);
        if (p != q)
                return p < q ? -1 : 1;
        int64_t s = meta_created_ms(x), t = meta_created_ms(y);
        return s > t ? -1 : s < t;
}

/* The fewest less important pods whose end makes room; empty when that would not help. */
static void find_victims(struct scheduler *s, yyjson_val *pod, yyjson_val *node, struct object_list *ret) {
        AUTO(object_list) struct object_list pods = {0};
        node_pods(s, meta_name(node), NULL, &pods);
        for (size_t i = pods.len; i-- > 0;) {
                if (priority_of(object_root(pods.items[i])) >= priority_of(pod)) {
                        object_unref(pods.items[i]);
                        vec_remove(&pods, i);
                }
        }
        if (!pods.len)
                return;
        qsort(pods.items, pods.len, sizeof(*pods.items), compare_victims);
        struct verdict v = {0};
        bool helps = fits(s, pod, node, &pods, &v);
        strv_done(&v.reasons);
        if (!helps)
                return;
        for (size_t i = 0; i < pods.len; i++)
                *vec_push(ret) = object_ref(pods.items[i]);
        for (size_t i = ret->len; i-- > 0;) { /* spare the most important that need not go */
                struct object *spared = ret->items[i];
                struct verdict again = {0};
                vec_remove(ret, i);
                if (fits(s, pod, node, ret, &again)) {
                        object_unref(spared);
                } else {
                        *vec_push(ret) = spared;
                        struct object *last = ret->items[ret->len - 1];
                        memmove(&ret->items[i + 1], &ret->items[i], (ret->len - 1 - i) * sizeof(*ret->items));
                        ret->items[i] = last;
                }
                strv_done(&again.reasons);
        }
}

/* True when room is being made; else *ret_why says why not. */
static bool preempt(struct scheduler *s, const struct object *pod, const struct object_list *nodes, bool unresolvable, char **ret_why) {
        yyjson_val *root = object_root(pod);
        if (streq_null(object_str(pod, "/spec/preemptionPolicy"), "Never")) {
                *ret_why = xstrdup("not eligible due to preemptionPolicy=Never.");
                return false;
        }
        for (size_t i = 0; !unresolvable && i < nodes->len; i++) {
                AUTO(object_list) struct object_list victims = {0};
                find_victims(s, root, object_root(nodes->items[i]), &victims);
                if (!victims.len)
                        continue;
                vec_foreach(v, &victims) {
                        struct api_delete_options o = API_DELETE_DEFAULT;
                        AUTO(err) struct err err = ERR_INIT;
                        if (object_is_deleting(*v))
                                continue;
                        api_event(s->api, *v, "Normal", "Preempted", "Preempted by pod %s on node %s", pod->uid, nodes->items[i]->name);
                        o.uid = (*v)->uid;
                        forget_placed(s);
                        if (api_delete(s->api, "pods", (*v)->namespace, (*v)->name, &o, &err) < 0)
                                log_debug("preempting %s/%s: %s", (*v)->namespace, (*v)->name, err_message(&err));
                }
                AUTO(err) struct err err = ERR_INIT;
                if (!streq_null(object_str(pod, "/status/nominatedNodeName"), nodes->items[i]->name) &&
                    api_patchf(s->api, "pods", pod->namespace, pod->name, "status", &err, "{\"status\":{\"nominatedNodeName\":\"%s\"}}",
                               nodes->items[i]->name) < 0)
                        log_debug("nominating a node for %s: %s", pod->name, err_message(&err));
                return true;
        }
        *ret_why = xasprintf("0/%zu nodes are available: %zu %s.", nodes->len, nodes->len,
                             unresolvable ? "Preemption is not helpful for scheduling" : "No preemption victims found for incoming pod");
        return false;
}

/* ---- answers ---- */

static void waiting_free(void *p) {
        struct waiting *w = p;
        free(w->message);
        free(w);
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* "1 Insufficient cpu, 1 Insufficient memory" */
static char *histogram(const struct strv *reasons) {
        AUTO(strv) struct strv lines = {0};
        for (size_t i = 0; i < reasons->len; i++) {
                size_t count = 0;
                for (size_t j = 0; j < reasons->len; j++)
                        count += streq(reasons->items[i], reasons->items[j]);
                AUTO(free) char *line = xasprintf("%zu %s", count, reasons->items[i]);
                if (!strv_has(&lines, line))
                        strv_add(&lines, line);
        }
        if (lines.len)
                qsort(lines.items, lines.len, sizeof(*lines.items), compare_names);
        return strv_join(&lines, ", ");
}

static void say_unschedulable(struct scheduler *s, const struct object *pod, const char *message) {
        struct waiting *w = map_get(&s->waiting, pod->uid);
        int64_t now = clock_mono_ms();
        if (!w) {
                w = NEW(struct waiting);
                w->backoff_ms = FIRST_BACKOFF_MS;
                w->said_ms = now - FIRST_BACKOFF_MS;
                map_set(&s->waiting, pod->uid, w);
        }
        bool is_new = !streq_null(w->message, message);
        if (is_new) {
                free(w->message);
                w->message = xstrdup(message);
        } else if (now - w->said_ms < w->backoff_ms) {
                return;
        } else {
                w->backoff_ms = w->backoff_ms * 2 < LAST_BACKOFF_MS ? w->backoff_ms * 2 : LAST_BACKOFF_MS;
        }
        w->said_ms = now;
        api_event(s->api, pod, "Warning", "FailedScheduling", "%s", message);
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(pod);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        AUTO(err) struct err err = ERR_INIT;
        if (mmeta_set_condition(doc, root, "PodScheduled", "False", "Unschedulable", message, clock_now_ms())) {
                mmeta_set(doc, root, "resourceVersion", NULL);
                if (api_update_status(s->api, "pods", root, NULL, &err) < 0)
                        log_debug("status of pod %s/%s: %s", pod->namespace, pod->name, err_message(&err));
        }
}

static void explain(struct scheduler *s, const struct object *pod, const struct object_list *nodes, const struct verdict *v,
                    const char *claims) {
        AUTO(free) char *reasons = claims ? xstrdup(claims) : histogram(&v->reasons);
        AUTO(free) char *why = NULL;
        if (!nodes->len) {
                say_unschedulable(s, pod, "no nodes available to schedule pods");
                return;
        }
        bool making_room = !claims && preempt(s, pod, nodes, v->unresolvable, &why);
        if (claims)
                why = xasprintf("0/%zu nodes are available: %zu Preemption is not helpful for scheduling.", nodes->len, nodes->len);
        AUTO(free) char *message = xasprintf("0/%zu nodes are available: %s.%s%s", nodes->len, reasons,
                                             making_room ? "" : " no new claims to deallocate, preemption: ", making_room ? "" : why);
        say_unschedulable(s, pod, message);
}

/* The share of a node that stays free, in thousandths: least allocated first. */
static int64_t score(struct scheduler *s, const struct object *node) {
        AUTO(object_list) struct object_list pods = {0};
        struct amounts used = {0}, offered = {0};
        int64_t sum = 0;
        node_pods(s, node->name, NULL, &pods);
        vec_foreach(p, &pods) pod_requests(object_root(*p), &used);
        add_list(&offered, object_at(node, "/status/allocatable"), false);
        static const char *const names[] = {"cpu", "memory"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                struct quantity *have = amount(&offered, names[i], false), *taken = amount(&used, names[i], false);
                if (have && have->nano > 0)
                        sum += 1000 - (taken ? (int64_t)(taken->nano / (have->nano / 1000 + 1)) : 0);
        }
        return sum;
}

static void schedule(struct scheduler *s, const struct object *pod) {
        AUTO(object_list) struct object_list nodes = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct object *best = NULL;
        int64_t best_score = 0;
        struct verdict v = {0};
        if (api_list(s->api, "nodes", NULL, NULL, NULL, &nodes, &err) < 0)
                return;
        AUTO(free) char *claims = claims_in_the_way(s, pod);
        bool all_unresolvable = true;
        for (size_t i = 0; !claims && i < nodes.len; i++) {
                struct verdict one = {0};
                if (fits(s, object_root(pod), object_root(nodes.items[i]), NULL, &one)) {
                        int64_t points = score(s, nodes.items[i]);
                        if (!best || points > best_score) {
                                best = nodes.items[i];
                                best_score = points;
                        }
                }
                for (size_t k = 0; k < one.reasons.len; k++)
                        strv_add(&v.reasons, one.reasons.items[k]);
                all_unresolvable &= one.unresolvable;
                strv_done(&one.reasons);
        }
        v.unresolvable = all_unresolvable;
        if (!best) {
                explain(s, pod, &nodes, &v, claims);
        } else if (api_bind(s->api, pod->namespace, pod->name, best->name, &err) < 0) {
                if (err.http_status != 404 && err.http_status != 409)
                        say_unschedulable(s, pod, err_message(&err));
        } else {
                map_remove(&s->waiting, pod->uid);
                forget_placed(s);
                api_event(s->api, pod, "Normal", "Scheduled", "Successfully assigned %s/%s to %s", pod->namespace, pod->name, best->name);
        }
        strv_done(&v.reasons);
}

/* ---- the queue ---- */

static bool wants_us(const struct object *pod) {
        if (*pod->node || !object_is_active(pod))
                return false;
        AUTO(object_view) struct object_view v = object_view(pod);
        const char *name = json_str_at(v.root, "/spec/schedulerName");
        return (!name || streq(name, "default-scheduler")) && !yyjson_arr_size(json_at(v.root, "/spec/schedulingGates"));
}

struct candidate {
        struct object *pod; /* held by the round's list */
        int64_t priority;
};

/* Those that wait for us, the most important first, of equals the oldest. */
static int compare_candidates(const void *a, const void *b) {
        const struct candidate *x = a, *y = b;
        if (x->priority != y->priority)
                return x->priority > y->priority ? -1 : 1;
        if (x->pod->created_ms != y->pod->created_ms)
                return x->pod->created_ms < y->pod->created_ms ? -1 : 1;
        return x->pod->revision < y->pod->revision ? -1 : x->pod->revision > y->pod->revision;
}

static void run(void *arg) {
        struct scheduler *s = arg;
        AUTO(object_list) struct object_list pods = {0};
        VEC(struct candidate) waiting = {0};
        s->is_armed = false;
        forget_placed(s); /* of an earlier round */
        if (api_list(s->api, "pods", NULL, NULL, "spec.nodeName=", &pods, NULL) < 0)
                return;
        vec_foreach(p, &pods) {
                if (!wants_us(*p))
                        continue;
                AUTO(object_view) struct object_view v = object_view(*p);
                *vec_push(&waiting) = (struct candidate){*p, priority_of(v.root)};
        }
        if (waiting.len)
                qsort(waiting.items, waiting.len, sizeof(*waiting.items), compare_candidates);
        vec_foreach(w, &waiting) {
                struct object *now = api_peek(s->api, "pods", w->pod->namespace, w->pod->name);
                if (!now || !streq(now->uid, w->pod->uid) || !wants_us(now))
                        continue;
                AUTO(object) struct object *kept = object_ref(now);
                schedule(s, kept);
                object_rest(kept, kept == w->pod ? 2 : 1);
        }
        vec_done(&waiting);
        forget_placed(s);
}

/* Changes come in bursts: one round for all of them. */
static void arm(struct scheduler *s) {
        if (s->is_armed)
                return;
        s->is_armed = true;
        timer_again(s->timer, SETTLE_MS, 0);
}

static void on_pod(void *arg, const struct api_event *e) {
        struct scheduler *s = arg;
        if (e->type == API_DELETED)
                map_remove(&s->waiting, e->object->uid);
        /* News: a pod that waits, or room that one leaves. Our own words in its status are none. */
        if (e->type == API_MODIFIED && e->old && wants_us(e->object) &&
            json_equal(object_at(e->object, "/spec"), object_at(e->old, "/spec")))
                return;
        if (e->type == API_ADDED && !wants_us(e->object))
                return;
        arm(s);
}

static void on_other(void *arg, const struct api_event *e) {
        if (e->type == API_MODIFIED && e->old && json_equal(object_at(e->object, "/spec"), object_at(e->old, "/spec")) &&
            json_equal(object_at(e->object, "/status/allocatable"), object_at(e->old, "/status/allocatable")) &&
            json_equal(object_at(e->object, "/status/phase"), object_at(e->old, "/status/phase")) &&
            json_equal(object_at(e->object, "/metadata/labels"), object_at(e->old, "/metadata/labels")))
                return; /* a heartbeat */
        arm(arg);
}

static void on_flush(void *arg) { arm(arg); }

struct scheduler *scheduler_new(struct apiserver *server) {
        struct scheduler *s = NEW(struct scheduler);
        s->api = api_new(server, "default-scheduler");
        s->waiting = MAP_INIT(waiting_free);
        s->timer = timer_new(api_loop(s->api), SETTLE_MS, 0, run, s);
        s->is_armed = true;
        s->flush = timer_new(api_loop(s->api), FLUSH_MS, FLUSH_MS, on_flush, s);
        api_watch_start(s->api, "pods", NULL, NULL, NULL, on_pod, s);
        api_watch_start(s->api, "nodes", NULL, NULL, NULL, on_other, s);
        api_watch_start(s->api, "persistentvolumeclaims", NULL, NULL, NULL, on_other, s);
        return s;
}

void scheduler_free(struct scheduler *s) {
        if (!s)
                return;
        api_free(s->api);
        timer_free(s->timer);
        timer_free(s->flush);
        map_done(&s->waiting);
        free(s);
}
