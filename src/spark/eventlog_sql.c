/* SQL executions: plans, jobs, and metrics added up over tasks and driver (SQLAppStatusListener). */
#include "spark/eventlog-internal.h"

static char *dup_member(yyjson_val *v, const char *key) { return xstrdup_null(json_get_str(v, key)); }

static void replace(char **to, char *text) {
        free(*to);
        *to = text;
}

static struct sql *find_sql(struct eventlog *e, int64_t id) { return idmap_get(&e->sqls, (uint64_t)id); }

static void go_live(struct eventlog *e, struct sql *q) {
        q->live = true;
        *vec_push(&e->live_sqls) = q;
}

static struct sql *get_sql(struct eventlog *e, int64_t id) {
        struct sql *q = find_sql(e, id);
        if (q && q->live)
                return q;
        if (!q) {
                q = NEW(struct sql);
                q->id = id;
                idmap_set(&e->sqls, (uint64_t)id, q);
                *vec_push(&e->sql_list) = q;
        } else {
                /* A new execution under an old number: nothing of the old one stays but what is stored, which it replaces. */
                replace(&q->description, NULL);
                replace(&q->details, NULL);
                replace(&q->plan, NULL);
                replace(&q->error, NULL);
                idmap_done(&q->types);
                q->jobs.len = q->stages.len = q->stage_set.len = q->driver.len = q->values.len = 0;
                q->has_values = q->has_end = false;
                q->end_events = 0;
        }
        q->submission_ms = -1;
        q->completion_ms = AM_NONE;
        go_live(e, q);
        return q;
}

static enum sql_metric_type metric_type(const char *name) {
        static const struct {
                const char *name;
                enum sql_metric_type type;
        } types[] = {{"sum", SQL_SUM}, {"size", SQL_SIZE}, {"timing", SQL_TIMING}, {"nsTiming", SQL_NS_TIMING}, {"average", SQL_AVERAGE}};
        for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
                if (streq(name, types[i].name))
                        return types[i].type;
        return name && str_starts(name, "v2Custom_") ? SQL_CUSTOM : SQL_UNKNOWN;
}

static void add_metric(struct sql *q, int64_t accumulator, const char *type) {
        idmap_set(&q->types, (uint64_t)accumulator, (void *)(uintptr_t)metric_type(type));
}

/* ---- metrics of stages ---- */

static void sql_stage_free(struct sql_stage *s) {
        idmap_foreach(c, &s->columns) {
                struct sql_column *col = c->value;
                free(col->values);
                free(col);
        }
        idmap_done(&s->columns);
        idset_done(&s->completed);
        free(s);
}

static void put_stage(struct eventlog *e, struct sql *q, int32_t id, int32_t attempt, int32_t num_tasks) {
        struct sql_stage *s = NEW(struct sql_stage);
        *s = (struct sql_stage){.id = id, .attempt = attempt, .num_tasks = num_tasks, .execution = q};
        struct sql_stage *before = idmap_get(&e->sql_stages, (uint32_t)id);
        if (before)
                sql_stage_free(before);
        idmap_set(&e->sql_stages, (uint32_t)id, s);
}

void sql_stage_submitted(struct eventlog *e, int32_t id, int32_t attempt) {
        struct sql_stage *s = idmap_get(&e->sql_stages, (uint32_t)id);
        if (s && s->attempt != attempt)
                put_stage(e, s->execution, id, attempt, s->num_tasks);
}

static void set_value(struct sql_column *c, int32_t index, int64_t value) {
        if ((size_t)index >= c->cap) {
                size_t cap = c->cap ? c->cap : 8;
                while (cap <= (size_t)index)
                        cap *= 2;
                c->values = xrealloc(c->values, cap * sizeof(*c->values));
                c->cap = cap;
        }
        if ((size_t)index >= c->len) {
                memset(c->values + c->len, 0, ((size_t)index + 1 - c->len) * sizeof(*c->values));
                c->len = (size_t)index + 1;
        }
        c->values[index] = value;
}

void sql_task_update(struct eventlog *e, int32_t stage, int32_t attempt, int64_t task, int32_t index, bool finished,
                     const struct scan_accumulable *updates, size_t count) {
        struct sql_stage *s = idmap_get(&e->sql_stages, (uint32_t)stage);
        if (!s || s->attempt != attempt || idset_has(&s->completed, (uint32_t)index))
                return;
        for (size_t i = 0; i < count; i++) {
                int64_t value;
                uint64_t id = (uint64_t)updates[i].id;
                if (!updates[i].update.data)
                        continue;
                struct sql_column *c = idmap_get(&s->columns, id);
                enum sql_metric_type type = c ? c->type : (enum sql_metric_type)(uintptr_t)idmap_get(&s->execution->types, id);
                if (!type)
                        continue;
                if (!sv_to_int64(updates[i].update, &value))
                        return; /* toLong throws */
                if (!c) {
                        c = NEW(struct sql_column);
                        c->id = updates[i].id;
                        c->type = type;
                        idmap_set(&s->columns, id, c);
                }
                /* What a hostile index could make us allocate is bounded by the stage's size and by 16 million. */
                if (index < 0 || index >= s->num_tasks || index >= 1 << 24)
                        return;
                set_value(c, index, value);
                if (type != SQL_SUM && (!c->has_max || value > c->max_value)) {
                        c->has_max = true;
                        c->max_value = value;
                        c->max_task = task;
                }
        }
        if (finished)
                idset_add(&s->completed, (uint32_t)index);
}

/* Stages whose executions are over are forgotten. */
static void drop_stale_stages(struct eventlog *e, const struct sql *over) {
        VEC(uint64_t) stale = {0};
        idmap_foreach(slot, &e->sql_stages) {
                struct sql_stage *s = slot->value;
                bool used = false;
                vec_foreach(q, &e->live_sqls) {
                        if (*q != over && intset_has(&(*q)->stage_set, s->id)) {
                                used = true;
                                break;
                        }
                }
                if (!used)
                        *vec_push(&stale) = slot->key;
        }
        vec_foreach(key, &stale) sql_stage_free(idmap_remove(&e->sql_stages, *key));
        vec_done(&stale);
}

/* ---- adding up ---- */

struct total {
        int64_t id;
        VEC(struct sql_column *) columns;
        VEC(int32_t) num_tasks;
        VEC(int64_t) driver;
        bool has_max;
        int64_t max[4]; /* value, stage, attempt, task */
};

static void total_driver(struct total *t, int64_t value) {
        if ((t->columns.len || t->driver.len) && t->has_max && value > t->max[0])
                t->has_max = false;
        *vec_push(&t->driver) = value;
}

static void gather(const struct total *t, struct sql_aggregate *a) {
        size_t n = t->driver.len;
        for (size_t i = 0; i < t->columns.len; i++)
                n += t->num_tasks.items[i] > 0 ? (size_t)t->num_tasks.items[i] : 0;
        if (n > 1u << 28)
                n = 1u << 28;
        a->values = xcalloc(n ? n : 1, sizeof(*a->values));
        size_t at = 0;
        for (size_t i = 0; i < t->columns.len; i++) {
                const struct sql_column *c = t->columns.items[i];
                size_t whole = t->num_tasks.items[i] > 0 ? (size_t)t->num_tasks.items[i] : 0, len = c->len < whole ? c->len : whole;
                if (len > n - at)
                        break;
                if (len)
                        memcpy(a->values + at, c->values, len * sizeof(*a->values));
                at = whole < n - at ? at + whole : n;
        }
        for (size_t i = 0; i < t->driver.len && at < n; i++)
                a->values[at++] = t->driver.items[i];
        a->count = at;
}

static int value_by_id(const void *a, const void *b) {
        int64_t x = ((const struct am_sql_value *)a)->accumulator, y = ((const struct am_sql_value *)b)->accumulator;
        return (x > y) - (x < y);
}

static struct total *total_of(struct idmap *totals, int64_t id) {
        struct total *t = idmap_get(totals, (uint64_t)id);
        if (!t) {
                t = NEW(struct total);
                t->id = id;
                idmap_set(totals, (uint64_t)id, t);
        }
        return t;
}

static void add_stage_columns(struct idmap *totals, struct sql *q, const struct sql_stage *s) {
        idmap_foreach(slot, &s->columns) {
                struct sql_column *c = slot->value;
                if (!idmap_get(&q->types, (uint64_t)c->id))
                        continue;
                struct total *t = total_of(totals, c->id);
                *vec_push(&t->columns) = c;
                *vec_push(&t->num_tasks) = s->num_tasks;
                if (c->has_max && (!t->has_max || c->max_value > t->max[0])) {
                        t->has_max = true;
                        t->max[0] = c->max_value;
                        t->max[1] = s->id;
                        t->max[2] = s->attempt;
                        t->max[3] = c->max_task;
                }
        }
}

static void aggregate(struct eventlog *e, struct sql *q) {
        if (q->has_values)
                return;
        struct idmap totals = {0};
        scala_int_order(q->stages.items, q->stages.len);
        vec_foreach(id, &q->stages) {
                struct sql_stage *s = idmap_get(&e->sql_stages, (uint32_t)*id);
                if (s)
                        add_stage_columns(&totals, q, s);
        }
        vec_foreach(u, &q->driver) {
                if (idmap_get(&q->types, (uint64_t)u->id))
                        total_driver(total_of(&totals, u->id), u->value);
        }
        bool ok = true;
        idmap_foreach(slot, &totals) {
                struct total *t = slot->value;
                struct sql_aggregate a = {.type = (enum sql_metric_type)(uintptr_t)idmap_get(&q->types, (uint64_t)t->id),
                                          .has_max = t->has_max,
                                          .max_stage = t->max[1],
                                          .max_attempt = t->max[2],
                                          .max_task = t->max[3]};
                gather(t, &a);
                AUTO(str) struct str text = STR_INIT(0);
                ok = sql_value_text(&a, &text) && ok;
                struct am_str interned = intern(e, sv_of(str_cstr(&text)));
                *vec_push(&q->values) = (struct am_sql_value){t->id, interned};
                free(a.values);
                vec_done(&t->columns);
                vec_done(&t->num_tasks);
                vec_done(&t->driver);
                free(t);
        }
        idmap_done(&totals);
        if (!ok)
                q->values.len = 0; /* an unknown kind of metric throws: no values at all */
        q->has_values = ok;
        if (q->values.len > 1)
                qsort(q->values.items, q->values.len, sizeof(*q->values.items), value_by_id);
}

/* ---- storing ---- */

static int sql_completion(const void *a, const void *b) {
        const struct sql *x = *(struct sql *const *)a, *y = *(struct sql *const *)b;
        if (x->completion_ms != y->completion_ms)
                return x->completion_ms < y->completion_ms ? -1 : 1;
        return (x->id > y->id) - (x->id < y->id);
}

static void evict_sqls(struct eventlog *e) {
        int64_t drop = (int64_t)e->stored_sqls - e->o.retained_executions;
        if (drop <= 0)
                return;
        VEC(struct sql *) done = {0};
        vec_foreach(q, &e->sql_list) {
                if ((*q)->is_stored && (*q)->completion_ms != AM_NONE)
                        *vec_push(&done) = *q;
        }
        if (done.len > 1)
                qsort(done.items, done.len, sizeof(*done.items), sql_completion);
        for (size_t i = 0; i < done.len && (int64_t)i < drop; i++) {
                done.items[i]->is_stored = false;
                done.items[i]->has_graph = false;
                plan_done(&done.items[i]->graph);
                e->stored_sqls--;
        }
        vec_done(&done);
}

static void sql_store(struct eventlog *e, struct sql *q) {
        bool first = !q->is_stored;
        q->is_stored = true;
        e->stored_sqls += first;
        if (first)
                evict_sqls(e);
}

/* Over when its end and those of all its jobs have come; otherwise stored now only when forced. */
static void update(struct eventlog *e, struct sql *q, bool force) {
        if (q->end_events >= (int64_t)q->jobs.len + 1) {
                sql_store(e, q);
                drop_stale_stages(e, q);
                q->live = false;
                for (size_t i = 0; i < e->live_sqls.len; i++)
                        if (e->live_sqls.items[i] == q) {
                                vec_remove(&e->live_sqls, i);
                                break;
                        }
        } else if (force) {
                sql_store(e, q);
        }
}

/* ---- events ---- */

static void take_plan(const struct eventlog *e, struct sql *q, yyjson_val *v) {
        plan_build(&q->graph, yyjson_obj_get(v, "sparkPlanInfo"), e->o.as_35);
        q->has_graph = true;
        replace(&q->plan, dup_member(v, "physicalPlanDescription"));
        vec_foreach(n, &q->graph.nodes) {
                vec_foreach(m, &n->metrics) add_metric(q, m->accumulator, m->type);
        }
}

void on_sql_start(struct eventlog *e, yyjson_val *v) {
        struct sql *q = get_sql(e, json_get_int(v, "executionId", 0));
        yyjson_val *root = yyjson_obj_get(v, "rootExecutionId");
        q->root_id = yyjson_is_num(root) ? json_get_int(v, "rootExecutionId", 0) : q->id;
        replace(&q->description, dup_member(v, "description"));
        replace(&q->details, dup_member(v, "details"));
        take_plan(e, q, v);
        q->submission_ms = json_get_int(v, "time", 0);
        update(e, q, false);
}

void on_sql_adaptive_update(struct eventlog *e, yyjson_val *v) {
        struct sql *q = get_sql(e, json_get_int(v, "executionId", 0));
        take_plan(e, q, v);
        update(e, q, false);
}

void on_sql_adaptive_metrics(struct eventlog *e, yyjson_val *v) {
        struct sql *q = get_sql(e, json_get_int(v, "executionId", 0));
        yyjson_val *metrics = yyjson_obj_get(v, "sqlPlanMetrics"), *m;
        size_t i, max;
        if (yyjson_is_arr(metrics))
                yyjson_arr_foreach(metrics, i, max, m) add_metric(q, json_get_int(m, "accumulatorId", 0), json_get_str(m, "metricType"));
        update(e, q, false);
}

void on_sql_end(struct eventlog *e, yyjson_val *v) {
        struct sql *q = find_sql(e, json_get_int(v, "executionId", 0));
        if (!q || !q->live)
                return;
        q->completion_ms = json_get_int(v, "time", 0);
        replace(&q->error, dup_member(v, "errorMessage"));
        update(e, q, false);
        aggregate(e, q);
        drop_stale_stages(e, q);
        q->end_events++;
        update(e, q, true);
}

void on_sql_driver_updates(struct eventlog *e, yyjson_val *v) {
        struct sql *q = find_sql(e, json_get_int(v, "executionId", 0));
        yyjson_val *list = yyjson_obj_get(v, "accumUpdates"), *pair;
        size_t i, max;
        if (!q || !q->live || !yyjson_is_arr(list))
                return;
        yyjson_arr_foreach(list, i, max, pair) {
                yyjson_val *id = yyjson_arr_get(pair, 0), *value = yyjson_arr_get(pair, 1);
                if (yyjson_is_int(id) && yyjson_is_int(value))
                        *vec_push(&q->driver) = (struct sql_driver_update){yyjson_get_sint(id), yyjson_get_sint(value)};
        }
        update(e, q, false);
}

void sql_job_start(struct eventlog *e, int64_t execution, int32_t job, yyjson_val *stage_infos, const int32_t *ids, size_t count) {
        struct sql *q = find_sql(e, execution);
        if (q && !q->live && q->is_stored) {
                /* A late job of an execution that was thought to be over. */
                q->end_events = (int64_t)q->jobs.len + 1;
                replace(&q->error, NULL);
                q->driver.len = 0;
                go_live(e, q);
        } else {
                q = get_sql(e, execution);
        }
        if (q->types.len) {
                size_t i, max;
                yyjson_val *info;
                if (yyjson_is_arr(stage_infos)) {
                        yyjson_arr_foreach(stage_infos, i, max, info)
                                put_stage(e, q, (int32_t)json_get_int(info, "Stage ID", 0), 0,
                                          (int32_t)json_get_int(info, "Number of Tasks", 0));
                }
        }
        bool known = false;
        vec_foreach(j, &q->jobs) {
                if (j->id == job) {
                        j->status = AM_JOB_RUNNING;
                        known = true;
                }
        }
        if (!known)
                *vec_push(&q->jobs) = (struct am_sql_job){job, AM_JOB_RUNNING};
        for (size_t i = 0; i < count; i++)
                if (intset_add(&q->stage_set, ids[i]))
                        *vec_push(&q->stages) = ids[i];
        update(e, q, true);
}

void sql_job_end(struct eventlog *e, int32_t job, bool succeeded) {
        for (size_t i = 0; i < e->live_sqls.len;) {
                struct sql *q = e->live_sqls.items[i];
                vec_foreach(j, &q->jobs) {
                        if (j->id == job) {
                                j->status = succeeded ? AM_JOB_SUCCEEDED : AM_JOB_FAILED;
                                q->end_events++;
                                update(e, q, false);
                                break;
                        }
                }
                if (q->live)
                        i++;
        }
}

/* ---- finishing ---- */

static int sql_by_id(const void *a, const void *b) {
        int64_t x = (*(struct sql *const *)a)->id, y = (*(struct sql *const *)b)->id;
        return (x > y) - (x < y);
}

static struct am_str intern_text(struct eventlog *e, const char *text) { return text ? intern(e, sv_of(text)) : AM_ABSENT; }

static void write_graph(struct eventlog *e, const struct sql *q, struct am_sql *out) {
        out->nodes = (struct am_range){(uint32_t)e->w.sql_nodes.len, (uint32_t)q->graph.nodes.len};
        vec_foreach(n, &q->graph.nodes) {
                struct am_sql_node node = {.id = n->id,
                                           .cluster = n->cluster,
                                           .is_cluster = n->is_cluster,
                                           .name = intern_text(e, n->name),
                                           .desc = intern_text(e, n->desc),
                                           .metrics = {(uint32_t)e->w.sql_metrics.len, (uint32_t)n->metrics.len}};
                vec_foreach(m, &n->metrics) {
                        struct am_sql_metric metric = {intern_text(e, m->name), intern_text(e, m->type), m->accumulator};
                        *vec_push(&e->w.sql_metrics) = metric;
                }
                *vec_push(&e->w.sql_nodes) = node;
        }
        out->edges = (struct am_range){(uint32_t)e->w.sql_edges.len, (uint32_t)q->graph.edges.len};
        vec_foreach(x, &q->graph.edges) *vec_push(&e->w.sql_edges) = *x;
}

static void write_jobs(struct eventlog *e, const struct sql *q, struct am_sql *out) {
        VEC(int32_t) order = {0};
        vec_foreach(j, &q->jobs) *vec_push(&order) = j->id;
        scala_int_order(order.items, order.len);
        out->jobs = (struct am_range){(uint32_t)e->w.sql_jobs.len, (uint32_t)q->jobs.len};
        vec_foreach(id, &order) {
                vec_foreach(j, &q->jobs) {
                        if (j->id == *id)
                                *vec_push(&e->w.sql_jobs) = *j;
                }
        }
        vec_done(&order);
}

void sqls_finish(struct eventlog *e) {
        vec_foreach(it, &e->live_sqls) {
                struct sql *q = *it;
                aggregate(e, q);
                q->has_values = true;
                q->is_stored = true;
        }
        if (e->sql_list.len > 1)
                qsort(e->sql_list.items, e->sql_list.len, sizeof(*e->sql_list.items), sql_by_id);
        vec_foreach(it, &e->sql_list) {
                const struct sql *q = *it;
                if (!q->is_stored)
                        continue;
                struct am_sql out = {.id = q->id,
                                     .root_id = q->root_id,
                                     .description = intern_text(e, q->description),
                                     .details = intern_text(e, q->details),
                                     .plan = intern_text(e, q->plan),
                                     .error = intern_text(e, q->error),
                                     .submission_ms = q->submission_ms,
                                     .completion_ms = q->completion_ms,
                                     .has_graph = q->has_graph,
                                     .has_values = q->has_values};
                write_graph(e, q, &out);
                out.values = (struct am_range){(uint32_t)e->w.sql_values.len, (uint32_t)q->values.len};
                vec_foreach(v, &q->values) *vec_push(&e->w.sql_values) = *v;
                write_jobs(e, q, &out);
                out.stages = write_ints(e, q->stages.items, q->stages.len);
                *vec_push(&e->w.sqls) = out;
        }
}

void sqls_free(struct eventlog *e) {
        idmap_foreach(s, &e->sql_stages) sql_stage_free(s->value);
        idmap_done(&e->sql_stages);
        vec_foreach(it, &e->sql_list) {
                struct sql *q = *it;
                free(q->description);
                free(q->details);
                free(q->plan);
                free(q->error);
                plan_done(&q->graph);
                idmap_done(&q->types);
                vec_done(&q->jobs);
                vec_done(&q->stages);
                intset_done(&q->stage_set);
                vec_done(&q->driver);
                vec_done(&q->values);
                free(q);
        }
        vec_done(&e->sql_list);
        vec_done(&e->live_sqls);
        idmap_done(&e->sqls);
}
