/* The graph of a SQL plan, as SparkPlanGraph builds it from SparkPlanInfo. */
#include "base/map.h"
#include "spark/eventlog-internal.h"

enum { PLAN_MAX_DEPTH = 1000 };

struct known {
        uint64_t hash; /* of the whole subtree: equality of SparkPlanInfo */
        int64_t node;
};

struct builder {
        struct plan_graph *g;
        bool as_35;
        VEC(struct plan_node) top; /* nodes outside of clusters, and clusters, in order */
        VEC(struct plan_node) inner; /* nodes within clusters, in order */
        VEC(struct known) exchanges;
        int64_t next_id;
};

static struct sv text_of(yyjson_val *plan, const char *key) {
        yyjson_val *v = yyjson_obj_get(plan, key);
        return sv_new(yyjson_get_str(v), yyjson_get_len(v));
}

static uint64_t combine(uint64_t h, struct sv text) {
        return (h ^ hash_bytes(text.data ? text.data : "", text.len)) * 0x9e3779b97f4a7c15ull + text.len;
}

static uint64_t plan_hash(yyjson_val *plan, unsigned depth) {
        uint64_t h = combine(combine(1, text_of(plan, "nodeName")), text_of(plan, "simpleString"));
        yyjson_val *children = yyjson_obj_get(plan, "children"), *child;
        size_t i, max;
        if (yyjson_is_arr(children) && depth < PLAN_MAX_DEPTH)
                yyjson_arr_foreach(children, i, max, child) h = (h ^ plan_hash(child, depth + 1)) * 0xc2b2ae3d27d4eb4full + i;
        return h;
}

static void read_metrics(struct plan_node *node, yyjson_val *plan) {
        yyjson_val *metrics = yyjson_obj_get(plan, "metrics"), *m;
        size_t i, max;
        if (!yyjson_is_arr(metrics))
                return;
        yyjson_arr_foreach(metrics, i, max, m) {
                struct plan_metric *out = vec_push(&node->metrics);
                const char *name = json_get_str(m, "name"), *type = json_get_str(m, "metricType");
                out->name = xstrdup(name ? name : "");
                out->type = xstrdup(type ? type : "");
                out->accumulator = json_get_int(m, "accumulatorId", 0);
        }
}

static struct plan_node new_node(struct builder *b, yyjson_val *plan, bool is_cluster, int64_t cluster) {
        struct plan_node n = {.id = b->next_id++, .cluster = cluster, .is_cluster = is_cluster, .name = sv_dup(text_of(plan, "nodeName")),
                              .desc = sv_dup(text_of(plan, "simpleString"))};
        read_metrics(&n, plan);
        return n;
}

static void edge(struct builder *b, int64_t from, int64_t to) { *vec_push(&b->g->edges) = (struct am_sql_edge){from, to}; }

static const struct known *find_exchange(const struct builder *b, uint64_t hash) {
        vec_foreach(k, &b->exchanges) {
                if (k->hash == hash)
                        return k;
        }
        return NULL;
}

static void build(struct builder *b, yyjson_val *plan, int64_t parent, int64_t cluster, unsigned depth);

static void build_first_child(struct builder *b, yyjson_val *plan, int64_t parent, int64_t cluster, unsigned depth) {
        yyjson_val *child = yyjson_arr_get_first(yyjson_obj_get(plan, "children"));
        if (child)
                build(b, child, parent, cluster, depth + 1);
}

/* Does the node stand for one drawn before? Then only an edge is added. */
static bool is_reused(struct builder *b, yyjson_val *plan, struct sv name, int64_t parent, unsigned depth) {
        bool stage = sv_eqs(name, "BroadcastQueryStage") || sv_eqs(name, "ShuffleQueryStage"), subquery = sv_eqs(name, "Subquery");
        if (!stage && !subquery && !sv_eqs(name, "ReusedExchange"))
                return false;
        yyjson_val *what = subquery ? plan : yyjson_arr_get_first(yyjson_obj_get(plan, "children"));
        const struct known *k = what ? find_exchange(b, plan_hash(what, depth)) : NULL;
        if (!k || parent < 0)
                return false;
        if (subquery)
                vec_foreach(x, &b->g->edges) {
                        if (x->from == k->node && x->to == parent)
                                return true;
                }
        edge(b, k->node, parent);
        return true;
}

static void build(struct builder *b, yyjson_val *plan, int64_t parent, int64_t cluster, unsigned depth) {
        struct sv name = text_of(plan, "nodeName");
        if (depth > PLAN_MAX_DEPTH)
                return;
        if (sv_starts(name, SV("WholeStageCodegen"))) {
                struct plan_node n = new_node(b, plan, true, -1);
                *vec_push(&b->top) = n;
                build_first_child(b, plan, parent, n.id, depth);
                return;
        }
        if (sv_eqs(name, "Subquery"))
                cluster = -1; /* not part of the code generation around it */
        if (is_reused(b, plan, name, parent, depth))
                return;
        if (sv_eqs(name, "InputAdapter") || sv_eqs(name, "BroadcastQueryStage") || sv_eqs(name, "ShuffleQueryStage") ||
            sv_eqs(name, "TableCacheQueryStage") || (sv_eqs(name, "ResultQueryStage") && !b->as_35)) {
                build_first_child(b, plan, parent, -1, depth);
                return;
        }
        if (sv_eqs(name, "ReusedSubquery")) {
                build_first_child(b, plan, parent, cluster, depth);
                return;
        }
        struct plan_node n = new_node(b, plan, false, cluster);
        if (cluster < 0)
                *vec_push(&b->top) = n;
        else
                *vec_push(&b->inner) = n;
        if (sv_find(name, SV("Exchange")) >= 0 || sv_eqs(name, "Subquery"))
                *vec_push(&b->exchanges) = (struct known){plan_hash(plan, depth), n.id};
        if (parent >= 0)
                edge(b, n.id, parent);
        yyjson_val *children = yyjson_obj_get(plan, "children"), *child;
        size_t i, max;
        if (yyjson_is_arr(children))
                yyjson_arr_foreach(children, i, max, child) build(b, child, n.id, cluster, depth + 1);
}

void plan_build(struct plan_graph *g, yyjson_val *plan, bool as_35) {
        struct builder b = {.g = g, .as_35 = as_35};
        plan_done(g);
        if (!yyjson_is_obj(plan))
                return;
        build(&b, plan, -1, -1, 0);
        /* allNodes: a cluster's nodes come before the cluster. */
        vec_foreach(n, &b.top) {
                if (n->is_cluster)
                        vec_foreach(i, &b.inner) {
                                if (i->cluster == n->id)
                                        *vec_push(&g->nodes) = *i;
                        }
                *vec_push(&g->nodes) = *n;
        }
        vec_done(&b.top);
        vec_done(&b.inner);
        vec_done(&b.exchanges);
}

void plan_done(struct plan_graph *g) {
        vec_foreach(n, &g->nodes) {
                vec_foreach(m, &n->metrics) {
                        free(m->name);
                        free(m->type);
                }
                vec_done(&n->metrics);
                free(n->name);
                free(n->desc);
        }
        vec_done(&g->nodes);
        vec_done(&g->edges);
}
