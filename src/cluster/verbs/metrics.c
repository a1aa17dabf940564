/* metrics.k8s.io/v1beta1 for `kubectl top`, and the server's own figures for Prometheus. */
#include "cluster/discovery.h"
#include "cluster/edit.h"
#include "cluster/verbs/verbs.h"
#include "codec/ktime.h"
#include "kobj/meta.h"

static void add_usage(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct pod_usage *u) {
        yyjson_mut_val *usage = mjson_obj(doc, o, "usage");
        AUTO(free) char *cpu = xasprintf("%lldn", (long long)u->cpu_nano),
                        *memory = xasprintf("%lldKi", (long long)(u->memory_bytes / 1024));
        mjson_set_str(doc, usage, "cpu", cpu);
        mjson_set_str(doc, usage, "memory", memory);
}

static yyjson_mut_val *head(yyjson_mut_doc *doc, struct object *of, const char *kind, const struct pod_usage *u, bool in_list) {
        yyjson_mut_val *o = yyjson_mut_obj(doc), *meta;
        AUTO(free) char *window = xasprintf("%.3fs", (double)u->window_ms / 1000);
        char when[KTIME_SIZE];
        if (!in_list) {
                mjson_set_str(doc, o, "kind", kind);
                mjson_set_str(doc, o, "apiVersion", "metrics.k8s.io/v1beta1");
        }
        meta = mjson_obj(doc, o, "metadata");
        mjson_set_str(doc, meta, "name", of->name);
        if (*of->namespace)
                mjson_set_str(doc, meta, "namespace", of->namespace);
        ktime_format(u->at_us / 1000, when);
        mjson_set_str(doc, meta, "creationTimestamp", when);
        if (meta_labels(object_root(of)))
                mjson_set(doc, meta, "labels", yyjson_val_mut_copy(doc, meta_labels(object_root(of))));
        mjson_set_str(doc, o, "timestamp", when);
        mjson_set_str(doc, o, "window", window);
        return o;
}

/* NULL when nothing was measured yet. */
static yyjson_mut_val *metrics_of(struct apiserver *s, yyjson_mut_doc *doc, struct object *o, bool is_pod, bool in_list) {
        const struct pod_backend *b = s->backend;
        struct pod_usage u;
        yyjson_mut_val *m = NULL;

        if (!is_pod) {
                if (b->node_usage(b->self, o->name, &u) < 0)
                        return NULL;
                m = head(doc, o, "NodeMetrics", &u, in_list);
                add_usage(doc, m, &u);
                return m;
        }
        EACH(c, i, object_at(o, "/spec/containers")) {
                yyjson_mut_val *entry;
                if (b->container_usage(b->self, o, json_get_str(c, "name"), &u) < 0)
                        continue;
                if (!m)
                        m = head(doc, o, "PodMetrics", &u, in_list);
                entry = yyjson_mut_obj(doc);
                mjson_set_str(doc, entry, "name", json_get_str(c, "name"));
                add_usage(doc, entry, &u);
                yyjson_mut_arr_append(mjson_arr(doc, m, "containers"), entry);
        }
        return m;
}

static int metrics_list(struct request *q, struct resource *of, bool is_pod, struct err *err) {
        AUTO(free) char *labels = request_query(q, "labelSelector"), *fields = request_query(q, "fieldSelector");
        AUTO(list_query) struct list_query query = {0};
        AUTO(object_list) struct object_list list = {0};
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct op op = {.s = q->s, .res = of, .ns = q->ns};
        yyjson_mut_val *root = yyjson_mut_obj(doc), *items;
        int64_t remaining;
        int r = list_query_parse(of, labels, fields, &query, err);

        if (r < 0)
                return r;
        r = op_list(&op, &query, &list, &remaining, err);
        if (r < 0)
                return r;
        mjson_set_str(doc, root, "kind", is_pod ? "PodMetricsList" : "NodeMetricsList");
        mjson_set_str(doc, root, "apiVersion", "metrics.k8s.io/v1beta1");
        mjson_obj(doc, root, "metadata");
        items = mjson_arr(doc, root, "items");
        for (size_t i = 0; i < list.len; i++) {
                yyjson_mut_val *m = metrics_of(q->s, doc, list.items[i], is_pod, true);
                if (m)
                        yyjson_mut_arr_append(items, m);
        }
        answer_json(q, 200, root, 0);
        return 0;
}

bool metrics_api(struct request *q, int *ret, struct err *err) {
        bool is_pod;
        struct resource *of;
        struct object *o;

        if (!streq(q->group, "metrics.k8s.io"))
                return false;
        is_pod = streq(q->plural, "pods");
        if (!q->s->backend || !streq(q->version, "v1beta1") || (!is_pod && !streq(q->plural, "nodes"))) {
                *ret = status_no_resource(err);
                return true;
        }
        of = registry_by_id(&q->s->registry, q->plural);
        if (streq(q->verb, "list")) {
                *ret = metrics_list(q, of, is_pod, err);
                return true;
        }
        if (!streq(q->verb, "get")) {
                *ret = status_no_method(err);
                return true;
        }
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        o = collection_find(of->objects, q->ns ? q->ns : "", q->name);
        yyjson_mut_val *m = o ? metrics_of(q->s, doc, o, is_pod, false) : NULL;
        if (!m) {
                err_http(err, -ENOENT, 404, "NotFound", "%s.metrics.k8s.io \"%s\" not found", q->plural, q->name);
                status_details(err, q->name, "metrics.k8s.io", q->plural, NULL);
                *ret = -ENOENT;
        } else {
                answer_json(q, 200, m, 0);
                *ret = 0;
        }
        return true;
}

void metrics_text(struct apiserver *s, struct str *out) {
        struct store_stats st;
        store_stats(s->store, &st);
        str_appendf(out,
                    "# TYPE apiserver_request_total counter\napiserver_request_total %llu\n"
                    "# TYPE firesteel_apiserver_request_errors_total counter\nfiresteel_apiserver_request_errors_total %llu\n"
                    "# TYPE firesteel_store_commits_total counter\nfiresteel_store_commits_total %llu\n"
                    "# TYPE firesteel_store_failed_commits_total counter\nfiresteel_store_failed_commits_total %llu\n"
                    "# TYPE firesteel_store_commit_max_seconds gauge\nfiresteel_store_commit_max_seconds %.6f\n"
                    "# TYPE firesteel_store_objects gauge\nfiresteel_store_objects %zu\n"
                    "# TYPE firesteel_store_revision gauge\nfiresteel_store_revision %llu\n"
                    "# TYPE firesteel_store_history_bytes gauge\nfiresteel_store_history_bytes %zu\n"
                    "# TYPE firesteel_store_watchers gauge\nfiresteel_store_watchers %zu\n",
                    (unsigned long long)s->stats.requests, (unsigned long long)s->stats.errors, (unsigned long long)st.commits,
                    (unsigned long long)st.failed_commits, (double)st.commit_us_max / 1e6, st.objects,
                    (unsigned long long)store_revision(s->store), st.history_bytes, st.watchers);
        str_append_s(out, "# TYPE apiserver_storage_objects gauge\n");
        for (size_t i = 0; i < s->registry.all.len; i++) {
                const struct resource *res = s->registry.all.items[i];
                if (res->objects && res->storage == res && res->is_served && res->objects->len)
                        str_appendf(out, "apiserver_storage_objects{resource=\"%s\"} %zu\n", res->id, res->objects->len);
        }
}
