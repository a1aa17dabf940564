/* Pages of one application: jobs, stages, executors, storage, SQL, environment. */
#include "history/page-internal.h"
#include "spark/jformat.h"

static struct sv text(const struct page *p, struct am_str v) { return am_sv(p->m, v); }

static void end_table(struct page *p) { str_append_s(p->out, "</tbody></table></div>"); }

static void card(struct page *p, const char *name, struct str *value) {
        str_appendf(p->out, "<div class=card><small>%s</small><b>", name);
        html_text(p->out, str_sv(value));
        str_append_s(p->out, "</b></div>");
        str_clear(value);
}

static int64_t span(int64_t from, int64_t to, int64_t now) { return from == AM_NONE ? -1 : (to == AM_NONE ? now : to) - from; }

/* ---- jobs ---- */

static void job_row(struct page *p, const struct am_job *j) {
        struct str *s = p->out;
        str_append_s(s, "<tr>");
        cell_int(s, j->id);
        str_append_s(s, "<td>");
        html_text(s, text(p, j->description.off != UINT32_MAX ? j->description : j->name));
        if (j->description.off != UINT32_MAX) {
                str_append_s(s, "<br><span class=soft>");
                html_text(s, text(p, j->name));
                str_append_s(s, "</span>");
        }
        str_append_s(s, "</td>");
        cell_badge(s, appmodel_job_status[j->status & 3]);
        cell_time(s, j->submission_ms);
        cell_duration(s, span(j->submission_ms, j->completion_ms, p->r->last_updated_ms));
        str_append_s(s, "<td>");
        for (uint32_t i = 0; i < j->stage_ids.count && i < 12 && j->stage_ids.first + i < p->m->num_ints; i++) {
                int32_t id = p->m->ints[j->stage_ids.first + i];
                str_appendf(s, "%s<a href=\"%s/stage/?id=%d\">%d</a>", i ? ", " : "", p->base, id, id);
        }
        str_append_s(s, j->stage_ids.count > 12 ? ", …</td>" : "</td>");
        cell_progress(s, j->completed_indices, j->active_tasks, j->failed_tasks, (int64_t)j->num_tasks - j->skipped_tasks);
        str_append_s(s, "</tr>");
}

static void tab_jobs(struct page *p) {
        static const char *const names[] = {"#Job", "Description", "State", "Submitted", "#Duration", "Stages", "Tasks", NULL};
        html_head(p->out, names);
        for (uint32_t i = p->m->num_jobs; i-- > 0;)
                job_row(p, &p->m->jobs[i]);
        end_table(p);
}

/* ---- stages ---- */

static void stage_row(struct page *p, const struct am_stage *g) {
        struct str *s = p->out;
        str_appendf(s, "<tr><td class=n><a href=\"%s/stage/?id=%d&amp;attempt=%d\">%d", p->base, g->id, g->attempt, g->id);
        if (g->attempt)
                str_appendf(s, ".%d", g->attempt);
        str_append_s(s, "</a></td>");
        cell_text(s, text(p, g->name));
        cell_badge(s, g->status < 5 ? appmodel_stage_status[g->status] : "PENDING");
        cell_time(s, g->submission_ms);
        cell_duration(s, span(g->submission_ms, g->completion_ms, p->r->last_updated_ms));
        cell_progress(s, g->completed_tasks, g->active_tasks, g->failed_tasks, g->num_tasks);
        cell_bytes(s, g->metrics[TM_INPUT_BYTES]);
        cell_bytes(s, g->metrics[TM_OUTPUT_BYTES]);
        cell_bytes(s, g->metrics[TM_READ_LOCAL_BYTES] + g->metrics[TM_READ_REMOTE_BYTES]);
        cell_bytes(s, g->metrics[TM_WRITE_BYTES]);
        cell_bytes(s, g->metrics[TM_DISK_SPILLED]);
        str_append_s(s, "</tr>");
}

static void tab_stages(struct page *p) {
        static const char *const names[] = {"#Stage",  "Name",     "State",         "Submitted",      "#Duration", "Tasks",
                                            "#Input", "#Output", "#Shuffle read", "#Shuffle write", "#Spilled", NULL};
        html_head(p->out, names);
        for (uint32_t i = p->m->num_stages; i-- > 0;)
                stage_row(p, &p->m->stages[i]);
        end_table(p);
}

struct task_writer {
        struct page *p;
        int64_t min_run_ms; /* of the tasks shown */
        size_t shown, all;
};

enum { MAX_TASKS_SHOWN = 200 };

/* Failed tasks, and the slowest of the others. */
static int task_row(void *arg, const struct am_task *t) {
        struct task_writer *w = arg;
        struct page *p = w->p;
        struct str *s = p->out;
        bool failed = t->status == AM_TASK_FAILED || t->status == AM_TASK_KILLED;
        int64_t duration = t->duration_ms == AM_NONE ? p->r->last_updated_ms - t->launch_ms : t->duration_ms;
        w->all++;
        if (w->shown >= MAX_TASKS_SHOWN || (!failed && duration < w->min_run_ms))
                return 0;
        w->shown++;
        str_append_s(s, "<tr>");
        cell_int(s, t->id);
        cell_int(s, t->index);
        cell_int(s, t->attempt);
        cell_badge(s, appmodel_task_status[t->status]);
        cell_text(s, text(p, t->executor));
        cell_text(s, text(p, t->host));
        cell_text(s, text(p, t->locality));
        cell_time(s, t->launch_ms);
        cell_duration(s, duration);
        cell_duration(s, t->metrics[TM_GC_TIME]);
        cell_bytes(s, t->metrics[TM_INPUT_BYTES]);
        cell_bytes(s, t->metrics[TM_READ_LOCAL_BYTES] + t->metrics[TM_READ_REMOTE_BYTES]);
        cell_bytes(s, t->metrics[TM_WRITE_BYTES]);
        str_append_s(s, "<td>");
        struct sv error = text(p, t->error);
        if (error.len) {
                ssize_t nl = sv_find_char(error, '\n');
                str_append_s(s, "<details><summary>");
                html_text(s, sv_new(error.data, nl < 0 ? error.len : (size_t)nl));
                str_append_s(s, "</summary><pre>");
                html_text(s, error);
                str_append_s(s, "</pre></details>");
        }
        str_append_s(s, "</td></tr>");
        return 0;
}

struct run_times {
        int64_t *v;
        size_t n, cap;
};

static int take_run_time(void *arg, const struct am_task *t) {
        struct run_times *r = arg;
        if (r->n < r->cap && t->duration_ms != AM_NONE)
                r->v[r->n++] = t->duration_ms;
        return 0;
}

static int descending(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x < y) - (x > y);
}

static void stage_tasks(struct page *p, const struct am_stage *g) {
        static const char *const names[] = {"#Task",  "#Index",        "#Attempt",       "State",     "Executor",
                                            "Host",   "Locality",      "Launched",       "#Duration", "#GC",
                                            "#Input", "#Shuffle read", "#Shuffle write", "Error",     NULL};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(str) struct str value = STR_INIT(0);
        AUTO(free) int64_t *times = xmalloc((g->stored_tasks ? g->stored_tasks : 1) * sizeof(*times));
        struct run_times r = {.v = times, .cap = g->stored_tasks};
        if (appmodel_tasks(p->m, g, take_run_time, &r, &err) < 0) {
                html_text(p->out, sv_of(err_message(&err)));
                return;
        }
        qsort(times, r.n, sizeof(*times), descending);
        if (r.n) {
                static const char *const cards[] = {"Slowest task", "Third quartile", "Median task", "First quartile", "Fastest task"};
                str_append_s(p->out, "<div class=cards>");
                for (size_t i = 0; i < 5; i++) {
                        html_duration(&value, times[i * (r.n - 1) / 4]);
                        card(p, cards[i], &value);
                }
                if (times[r.n / 2] > 0) {
                        jformat_fixed(&value, (double)times[0] / (double)times[r.n / 2], 1);
                        str_append_s(&value, "×");
                        card(p, "Skew (slowest / median)", &value);
                }
                str_append_s(p->out, "</div>");
        }
        struct task_writer w = {.p = p, .min_run_ms = r.n > MAX_TASKS_SHOWN ? times[MAX_TASKS_SHOWN - 1] : INT64_MIN};
        str_append_s(p->out, "<h2>Tasks</h2>");
        html_head(p->out, names);
        if (appmodel_tasks(p->m, g, task_row, &w, &err) < 0)
                cell_text(p->out, sv_of(err_message(&err)));
        end_table(p);
        if (w.all > w.shown)
                str_appendf(p->out,
                            "<p class=soft>%zu of %zu tasks: those that failed and the slowest. All are in the REST API's taskList.</p>",
                            w.shown, w.all);
}

static int64_t query_number(const struct page *p, const char *name) {
        const char *v = rest_query_get(p->q, name);
        int64_t n;
        return v && sv_to_int64(sv_of(v), &n) ? n : -1;
}

static void tab_stage(struct page *p) {
        int64_t id = query_number(p, "id"), attempt = query_number(p, "attempt");
        const struct am_stage *g = NULL;
        for (int64_t row = appmodel_stage_row(p->m, id); row >= 0 && row < p->m->num_stages && p->m->stages[row].id == id; row++)
                if (attempt < 0 || p->m->stages[row].attempt == attempt)
                        g = &p->m->stages[row];
        if (!g) {
                str_append_s(p->out, "<p>There is no such stage, or it is no longer kept.</p>");
                return;
        }
        AUTO(str) struct str value = STR_INIT(0);
        str_appendf(p->out, "<h2>Stage %d (attempt %d)</h2><p>", g->id, g->attempt);
        html_text(p->out, text(p, g->name));
        str_append_s(p->out, "</p>");
        struct sv failure = text(p, g->failure);
        if (failure.len) {
                str_append_s(p->out, "<pre class=bad>");
                html_text(p->out, failure);
                str_append_s(p->out, "</pre>");
        }
        str_append_s(p->out, "<div class=cards>");
        static const struct {
                const char *name;
                enum task_metric metric;
                bool is_time;
        } cards[] = {{"Run time of tasks", TM_RUN_TIME, true},
                     {"Garbage collection", TM_GC_TIME, true},
                     {"Input", TM_INPUT_BYTES, false},
                     {"Output", TM_OUTPUT_BYTES, false},
                     {"Shuffle written", TM_WRITE_BYTES, false},
                     {"Fetch wait", TM_READ_FETCH_WAIT, true},
                     {"Spilled (memory)", TM_MEMORY_SPILLED, false},
                     {"Spilled (disk)", TM_DISK_SPILLED, false}};
        for (size_t i = 0; i < ARRAY_LEN(cards); i++) {
                if (cards[i].is_time)
                        html_duration(&value, g->metrics[cards[i].metric]);
                else
                        jformat_bytes(&value, g->metrics[cards[i].metric]);
                card(p, cards[i].name, &value);
        }
        str_append_s(p->out, "</div>");
        stage_tasks(p, g);
        str_append_s(p->out, "<h2>Where it was called</h2><pre>");
        html_text(p->out, text(p, g->details));
        str_append_s(p->out, "</pre>");
}

/* ---- executors, storage, environment ---- */

/* Ids are numbers as a rule; "driver" comes first. */
static int by_executor_id(const void *a, const void *b, void *arg) {
        const struct appmodel *m = arg;
        const struct am_executor *x = *(const struct am_executor *const *)a, *y = *(const struct am_executor *const *)b;
        int64_t i = -1, k = -1;
        sv_to_int64(am_sv(m, x->id), &i);
        sv_to_int64(am_sv(m, y->id), &k);
        return i != k ? (i > k) - (i < k) : (x > y) - (x < y);
}

static void tab_executors(struct page *p) {
        static const char *const names[] = {"Executor",       "Address",    "State",           "#Cores", "Tasks",
                                            "#Task time",     "#GC",        "#Storage memory", "#Input", "#Shuffle read",
                                            "#Shuffle write", "#Peak heap", "Removed",         NULL};
        struct str *s = p->out;
        html_head(s, names);
        AUTO(free) const struct am_executor **order = xcalloc(p->m->num_executors + 1, sizeof(*order));
        for (uint32_t i = 0; i < p->m->num_executors; i++)
                order[i] = &p->m->executors[i];
        qsort_r(order, p->m->num_executors, sizeof(*order), by_executor_id, (void *)p->m);
        for (uint32_t i = 0; i < p->m->num_executors; i++) {
                const struct am_executor *x = order[i];
                str_append_s(s, "<tr>");
                cell_text(s, text(p, x->id));
                cell_text(s, text(p, x->host_port.off != UINT32_MAX ? x->host_port : x->host));
                cell_badge(s, x->active ? "ACTIVE" : "DEAD");
                cell_int(s, x->total_cores);
                cell_progress(s, x->completed_tasks, x->active_tasks, x->failed_tasks, x->total_tasks);
                cell_duration(s, x->total_duration);
                cell_duration(s, x->total_gc);
                cell_bytes(s, x->memory_used);
                cell_bytes(s, x->total_input);
                cell_bytes(s, x->total_shuffle_read);
                cell_bytes(s, x->total_shuffle_write);
                cell_bytes(s, x->peaks_set ? x->peaks[0] : 0);
                cell_text(s, text(p, x->remove_reason));
                str_append_s(s, "</tr>");
        }
        end_table(p);
}

static void tab_storage(struct page *p) {
        static const char *const names[] = {"#RDD", "Name", "Level", "#Partitions", "#Cached", "#Memory", "#Disk", NULL};
        html_head(p->out, names);
        for (uint32_t i = 0; i < p->m->num_rdds; i++) {
                const struct am_rdd *r = &p->m->rdds[i];
                str_append_s(p->out, "<tr>");
                cell_int(p->out, r->id);
                cell_text(p->out, text(p, r->name));
                cell_text(p->out, text(p, r->level));
                cell_int(p->out, r->num_partitions);
                cell_int(p->out, r->partitions.count);
                cell_bytes(p->out, r->memory_used);
                cell_bytes(p->out, r->disk_used);
                str_append_s(p->out, "</tr>");
        }
        end_table(p);
}

static void tab_environment(struct page *p) {
        static const char *const titles[AM_ENV_PARTS] = {"Spark properties", "Hadoop properties", "System properties", "Metrics properties",
                                                         "Classpath"};
        static const char *const names[] = {"Name", "Value", NULL};
        const struct am_app *a = p->m->app;
        str_append_s(p->out, "<p class=soft>Java ");
        html_text(p->out, text(p, a->java_version));
        str_append_s(p->out, " · Scala ");
        html_text(p->out, text(p, a->scala_version));
        str_append_s(p->out, "</p>");
        for (size_t k = 0; k < AM_ENV_PARTS; k++) {
                str_appendf(p->out, "<details%s><summary>%s (%u)</summary>", k == 0 ? " open" : "", titles[k], a->env[k].count);
                html_head(p->out, names);
                for (uint32_t i = 0; i < a->env[k].count && a->env[k].first + i < p->m->num_pairs; i++) {
                        struct sv name = text(p, p->m->pairs[a->env[k].first + i].key),
                                  value = text(p, p->m->pairs[a->env[k].first + i].value);
                        bool hide =
                                k != AM_ENV_CLASSPATH && (redaction_matches(p->redaction, name) || redaction_matches(p->redaction, value));
                        str_append_s(p->out, "<tr>");
                        cell_text(p->out, name);
                        cell_text(p->out, hide ? SV("*********(redacted)") : value);
                        str_append_s(p->out, "</tr>");
                }
                end_table(p);
                str_append_s(p->out, "</details>");
        }
}

/* ---- SQL ---- */

static const char *sql_status(const struct page *p, const struct am_sql *q) {
        struct sv error = text(p, q->error);
        if (error.data)
                return error.len ? "FAILED" : "COMPLETED";
        return q->completion_ms == AM_NONE ? "RUNNING" : "COMPLETED";
}

static void one_sql(struct page *p, const struct am_sql *q) {
        str_appendf(p->out, "<h2>Query %lld</h2><p>", (long long)q->id);
        html_text(p->out, text(p, q->description));
        str_append_s(p->out, "</p>");
        static const char *const names[] = {"#Node", "Operator", "Metrics", NULL};
        html_head(p->out, names);
        for (uint32_t i = 0; i < q->nodes.count && q->nodes.first + i < p->m->num_sql_nodes; i++) {
                const struct am_sql_node *n = &p->m->sql_nodes[q->nodes.first + i];
                str_append_s(p->out, "<tr>");
                cell_int(p->out, n->id);
                str_append_s(p->out, "<td>");
                html_text(p->out, text(p, n->name));
                str_append_s(p->out, "<br><span class=soft>");
                struct sv desc = text(p, n->desc);
                html_text(p->out, sv_new(desc.data, desc.len < 300 ? desc.len : 300));
                str_append_s(p->out, "</span></td><td>");
                for (uint32_t k = 0; k < n->metrics.count && n->metrics.first + k < p->m->num_sql_metrics; k++) {
                        const struct am_sql_metric *m = &p->m->sql_metrics[n->metrics.first + k];
                        for (uint32_t v = 0; v < q->values.count && q->values.first + v < p->m->num_sql_values; v++) {
                                const struct am_sql_value *value = &p->m->sql_values[q->values.first + v];
                                if (value->accumulator != m->accumulator)
                                        continue;
                                html_text(p->out, text(p, m->name));
                                str_append_s(p->out, ": ");
                                html_text(p->out, text(p, value->text));
                                str_append_s(p->out, "<br>");
                        }
                }
                str_append_s(p->out, "</td></tr>");
        }
        end_table(p);
        struct sv error = text(p, q->error);
        if (error.len) {
                str_append_s(p->out, "<h2>Error</h2><pre class=bad>");
                html_text(p->out, error);
                str_append_s(p->out, "</pre>");
        }
        str_append_s(p->out, "<h2>Plan</h2><pre>");
        html_text(p->out, text(p, q->plan));
        str_append_s(p->out, "</pre>");
}

static void tab_sql(struct page *p) {
        static const char *const names[] = {"#Query", "Description", "State", "Submitted", "#Duration", "Jobs", NULL};
        int64_t id = query_number(p, "id");
        const struct am_sql *one = id >= 0 ? appmodel_sql(p->m, id) : NULL;
        if (one) {
                one_sql(p, one);
                return;
        }
        html_head(p->out, names);
        for (uint32_t i = p->m->num_sqls; i-- > 0;) {
                const struct am_sql *q = &p->m->sqls[i];
                str_appendf(p->out, "<tr><td class=n><a href=\"%s/sql/?id=%lld\">%lld</a></td>", p->base, (long long)q->id,
                            (long long)q->id);
                cell_text(p->out, text(p, q->description));
                cell_badge(p->out, sql_status(p, q));
                cell_time(p->out, q->submission_ms);
                cell_duration(p->out, q->submission_ms < 0 ? -1 : span(q->submission_ms, q->completion_ms, p->r->last_updated_ms));
                str_append_s(p->out, "<td>");
                for (uint32_t k = 0; k < q->jobs.count && q->jobs.first + k < p->m->num_sql_jobs; k++)
                        str_appendf(p->out, "%s%d", k ? ", " : "", p->m->sql_jobs[q->jobs.first + k].id);
                str_append_s(p->out, "</td></tr>");
        }
        end_table(p);
}

/* ---- the frame ---- */

static const struct {
        const char *path, *title;
        void (*write)(struct page *p);
        bool in_nav;
} tabs[] = {
        {"jobs", "Jobs", tab_jobs, true},          {"stages", "Stages", tab_stages, true},
        {"stage", "Stage", tab_stage, false},      {"storage", "Storage", tab_storage, true},
        {"environment", "Environment", tab_environment, true}, {"executors", "Executors", tab_executors, true},
        {"sql", "SQL", tab_sql, true},             {"SQL", "SQL", tab_sql, false},
};

static void summary(struct page *p) {
        AUTO(str) struct str v = STR_INIT(0);
        int64_t tasks = 0, failed = 0, run = 0;
        for (uint32_t i = 0; i < p->m->num_stages; i++) {
                tasks += p->m->stages[i].completed_tasks;
                failed += p->m->stages[i].failed_tasks;
                run += p->m->stages[i].metrics[TM_RUN_TIME];
        }
        str_append_s(p->out, "<div class=cards>");
        html_duration(&v, p->r->completed ? p->r->duration_ms : p->now_ms - p->r->start_ms);
        card(p, p->r->completed ? "Duration" : "Running for", &v);
        str_append_s(&v, p->r->user ? p->r->user : "");
        card(p, "User", &v);
        str_append_s(&v, p->r->spark_version);
        card(p, "Spark", &v);
        jformat_grouped(&v, tasks);
        card(p, "Tasks completed", &v);
        jformat_grouped(&v, failed);
        card(p, "Tasks failed", &v);
        html_duration(&v, run);
        card(p, "Task run time", &v);
        str_append_s(p->out, "</div>");
        struct sv problem = text(p, p->m->app->problem);
        if (p->m->app->flags & AM_STOPPED_EARLY) {
                str_append_s(p->out, "<p class=bad>The log could be read only so far: ");
                html_text(p->out, problem);
                str_append_s(p->out, "</p>");
        } else if (p->m->app->flags & AM_TRUNCATED) {
                str_append_s(p->out, "<p class=soft>The log ends in the middle of a line or block, as logs being written do.</p>");
        }
}

void page_app(const struct log_record *r, const char *key, const char *tab, const struct rest_query *q, const struct appmodel *m,
              const struct history_conf *conf, const struct redaction *redaction, const char *prefix, int64_t now_ms, struct str *out) {
        (void)conf;
        AUTO(str) struct str base = STR_INIT(0);
        str_appendf(&base, "%s/history/", prefix);
        html_url(&base, r->app_id);
        if (r->attempt_id) {
                str_append_c(&base, '/');
                html_url(&base, r->attempt_id);
        }
        struct page p = {
                .out = out, .m = m, .r = r, .q = q, .prefix = prefix, .base = str_cstr(&base), .now_ms = now_ms, .redaction = redaction};
        html_begin(out, r->name ? r->name : key, prefix);
        str_append_s(out, "<h1>");
        html_text(out, sv_of(r->name));
        str_append_s(out, " <small class=soft>");
        html_text(out, sv_of(key));
        str_append_s(out, "</small></h1>");
        summary(&p);
        str_append_s(out, "<nav>");
        for (size_t i = 0; i < ARRAY_LEN(tabs); i++)
                if (tabs[i].in_nav)
                        str_appendf(out, "<a%s href=\"%s/%s/\">%s</a>", streq(tabs[i].path, tab) ? " class=on" : "", str_cstr(&base),
                                    tabs[i].path, tabs[i].title);
        str_append_s(out, "</nav>");
        for (size_t i = 0; i < ARRAY_LEN(tabs); i++)
                if (streq(tabs[i].path, tab))
                        tabs[i].write(&p);
        html_end(out);
}
