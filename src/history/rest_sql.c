/* SQL executions. */
#include "history/rest-internal.h"

static const char *status_of(const struct rest_call *c, const struct am_sql *q) {
        struct sv error = text(c, q->error);
        if (error.data)
                return error.len ? "FAILED" : "COMPLETED";
        if (q->completion_ms == AM_NONE)
                return "RUNNING";
        for (uint32_t i = 0; i < q->jobs.count && q->jobs.first + i < c->m->num_sql_jobs; i++)
                if (c->m->sql_jobs[q->jobs.first + i].status == AM_JOB_FAILED)
                        return "FAILED";
        return "COMPLETED";
}

static void write_jobs(struct rest_call *c, const struct am_sql *q, const char *key, enum am_job_status status) {
        jackson_key(&c->j, key);
        jackson_array(&c->j);
        for (uint32_t i = 0; i < q->jobs.count && q->jobs.first + i < c->m->num_sql_jobs; i++)
                if (c->m->sql_jobs[q->jobs.first + i].status == status)
                        jackson_int(&c->j, c->m->sql_jobs[q->jobs.first + i].id);
        jackson_end_array(&c->j);
}

static struct sv metric_value(const struct rest_call *c, const struct am_sql *q, int64_t accumulator) {
        if (q->values.first + (uint64_t)q->values.count > c->m->num_sql_values)
                return SV_NULL;
        const struct am_sql_value *v = c->m->sql_values + q->values.first;
        size_t lo = 0, hi = q->values.count;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (v[mid].accumulator < accumulator)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < q->values.count && v[lo].accumulator == accumulator ? text(c, v[lo].text) : SV_NULL;
}

/* Java's trim(): everything up to the blank. */
static struct sv java_trim(struct sv v) {
        while (v.len && (unsigned char)v.data[0] <= ' ')
                v.data++, v.len--;
        while (v.len && (unsigned char)v.data[v.len - 1] <= ' ')
                v.len--;
        return v;
}

/* "WholeStageCodegen (3)" is 3. */
static bool codegen_id(struct sv name, int64_t *ret) {
        static const char head[] = "WholeStageCodegen (";
        name = java_trim(name);
        if (name.len < sizeof(head) || memcmp(name.data, head, sizeof(head) - 1) != 0)
                return false;
        return sv_to_int64(sv_new(name.data + sizeof(head) - 1, name.len - sizeof(head)), ret);
}

static void write_node(struct rest_call *c, const struct am_sql *q, const struct am_sql_node *nodes, const struct am_sql_node *n) {
        struct jackson *j = &c->j;
        int64_t id;
        jackson_object(j);
        jackson_member_int(j, "nodeId", n->id);
        jackson_member_string(j, "nodeName", java_trim(text(c, n->name)));
        for (uint32_t i = 0; n->cluster >= 0 && i < q->nodes.count; i++)
                if (nodes[i].is_cluster && nodes[i].id == n->cluster && codegen_id(text(c, nodes[i].name), &id))
                        jackson_member_int(j, "wholeStageCodegenId", id);
        jackson_key(j, "metrics");
        jackson_array(j);
        for (uint32_t i = 0; i < n->metrics.count && n->metrics.first + i < c->m->num_sql_metrics; i++) {
                const struct am_sql_metric *m = &c->m->sql_metrics[n->metrics.first + i];
                struct sv value = metric_value(c, q, m->accumulator);
                if (!value.data)
                        continue;
                if (value.len && value.data[0] == '\n')
                        value.data++, value.len--;
                jackson_object(j);
                jackson_member_string(j, "name", java_trim(text(c, m->name)));
                jackson_member_string(j, "value", value);
                jackson_end_object(j);
        }
        jackson_end_array(j);
        jackson_end_object(j);
}

struct node_ref {
        int64_t id;
        uint32_t at;
};

static int later_first(const void *a, const void *b) {
        const struct node_ref *x = a, *y = b;
        return (x->id < y->id) - (x->id > y->id);
}

static void write_graph(struct rest_call *c, const struct am_sql *q, bool details) {
        struct jackson *j = &c->j;
        uint32_t count = details && q->nodes.first + (uint64_t)q->nodes.count <= c->m->num_sql_nodes ? q->nodes.count : 0;
        const struct am_sql_node *nodes = c->m->sql_nodes + q->nodes.first;
        AUTO(free) struct node_ref *order = xcalloc(count ? count : 1, sizeof(*order));
        for (uint32_t i = 0; i < count; i++)
                order[i] = (struct node_ref){nodes[i].id, i};
        qsort(order, count, sizeof(*order), later_first);
        jackson_key(j, "nodes");
        jackson_array(j);
        for (uint32_t i = 0; i < count; i++)
                write_node(c, q, nodes, &nodes[order[i].at]);
        jackson_end_array(j);
        jackson_key(j, "edges");
        jackson_array(j);
        for (uint32_t i = 0; details && i < q->edges.count && q->edges.first + i < c->m->num_sql_edges; i++) {
                jackson_object(j);
                jackson_member_int(j, "fromId", c->m->sql_edges[q->edges.first + i].from);
                jackson_member_int(j, "toId", c->m->sql_edges[q->edges.first + i].to);
                jackson_end_object(j);
        }
        jackson_end_array(j);
}

/* False: the execution has no plan, which the original takes for a missing application. */
static bool write_sql(struct rest_call *c, const struct am_sql *q) {
        struct jackson *j = &c->j;
        if (!q->has_graph) {
                rest_error(c->a, 404, "no such app: %s", c->app->key);
                return false;
        }
        jackson_object(j);
        jackson_member_int(j, "id", q->id);
        jackson_member_string(j, "status", sv_of(status_of(c, q)));
        member_text(c, "description", q->description);
        if (param_bool(c, "planDescription", true))
                member_text(c, "planDescription", q->plan);
        else
                jackson_member_string(j, "planDescription", SV(""));
        jackson_member_date(j, "submissionTime", q->submission_ms);
        jackson_member_int(j, "duration", (q->completion_ms == AM_NONE ? c->app->now_ms : q->completion_ms) - q->submission_ms);
        write_jobs(c, q, "runningJobIds", AM_JOB_RUNNING);
        write_jobs(c, q, "successJobIds", AM_JOB_SUCCEEDED);
        write_jobs(c, q, "failedJobIds", AM_JOB_FAILED);
        write_graph(c, q, param_bool(c, "details", true));
        jackson_end_object(j);
        return true;
}

void rest_sqls(struct rest_call *c) {
        int64_t offset = param_int(c, "offset", 0), length = param_int(c, "length", 20);
        jackson_array(&c->j);
        for (int64_t i = offset < 0 ? 0 : offset; i < c->m->num_sqls && length-- > 0; i++)
                if (!write_sql(c, &c->m->sqls[i]) || !rest_go_on(c))
                        return;
        jackson_end_array(&c->j);
}

void rest_sql(struct rest_call *c) {
        const struct am_sql *q = appmodel_sql(c->m, c->ids[0]);
        if (q)
                write_sql(c, q);
        else
                rest_error(c->a, 404, "unknown query execution id: %lld", (long long)c->ids[0]);
}
