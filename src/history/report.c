#include "history/report.h"

#include "base/fs.h"
#include "history/jackson.h"
#include "spark/jformat.h"

int report_open(const char *log, struct history_model **ret, struct err *err) {
        AUTO(free) char *path = xstrdup(log);
        while (strlen(path) > 1 && path[strlen(path) - 1] == '/')
                path[strlen(path) - 1] = 0;
        char *slash = strrchr(path, '/');
        AUTO(free) char *dir = slash ? (slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path))) : xstrdup(".");
        AUTO(logstore) struct logstore *s = NULL;
        AUTO(event_log) struct event_log l = {0};
        struct eventlog_options o = {.retained_tasks = INT32_MAX, .retained_jobs = INT32_MAX, .retained_stages = INT32_MAX,
                                     .retained_dead_executors = INT32_MAX, .retained_executions = INT32_MAX};
        int r = logstore_open(dir, NULL, &s, err);
        if (r >= 0)
                r = event_log_find(s, slash ? slash + 1 : path, &l, err);
        if (r == 0) {
                err_set(err, -EINVAL, "%s is no event log", log);
                err_hint(err, "a log is a file, or a folder eventlog_v2_... with events_1_... and appstatus_... in it");
                return -EINVAL;
        }
        return r < 0 ? r : history_model_load(s, &l, NULL, &o, NULL, ret, err);
}

/* ---- the summary ---- */

static void line_text(struct str *s, const char *name, struct sv v) {
        if (v.data)
                str_appendf(s, "%-14s %.*s\n", name, SV_ARG(v));
}

static void line_time(struct str *s, const char *name, int64_t ms) {
        char text[40];
        if (ms == AM_NONE)
                return;
        jackson_format_date(ms, text);
        str_appendf(s, "%-14s %.10s %.8s UTC\n", name, text, text + 11);
}

static int64_t stage_duration(const struct am_stage *g) {
        return g->submission_ms == AM_NONE || g->completion_ms == AM_NONE ? 0 : g->completion_ms - g->submission_ms;
}

static int slowest(const void *a, const void *b) {
        int64_t x = stage_duration(*(const struct am_stage *const *)a), y = stage_duration(*(const struct am_stage *const *)b);
        return (x < y) - (x > y);
}

static void show_stages(const struct appmodel *m, struct str *s) {
        enum { SHOWN = 8 };
        AUTO(free) const struct am_stage **order = xcalloc(m->num_stages + 1, sizeof(*order));
        for (uint32_t i = 0; i < m->num_stages; i++)
                order[i] = &m->stages[i];
        qsort(order, m->num_stages, sizeof(*order), slowest);
        str_append_s(s, "\nSlowest stages\n");
        for (uint32_t i = 0; i < m->num_stages && i < SHOWN && stage_duration(order[i]); i++) {
                const struct am_stage *g = order[i];
                str_appendf(s, "  %5d.%d  %-9s ", g->id, g->attempt, g->status < 5 ? appmodel_stage_status[g->status] : "?");
                size_t at = s->len;
                jformat_ui_duration(s, stage_duration(g));
                while (s->len < at + 9)
                        str_append_c(s, ' ');
                str_appendf(s, "%6d tasks  %.*s\n", g->num_tasks, SV_ARG(am_sv(m, g->name)));
        }
}

static void show_failures(const struct appmodel *m, struct str *s) {
        bool any = false;
        for (uint32_t i = 0; i < m->num_stages; i++) {
                struct sv why = am_sv(m, m->stages[i].failure);
                if (!why.len)
                        continue;
                if (!any)
                        str_append_s(s, "\nFailed stages\n");
                any = true;
                ssize_t nl = sv_find_char(why, '\n');
                if (nl >= 0)
                        why.len = (size_t)nl;
                str_appendf(s, "  %5d.%d  %.*s\n", m->stages[i].id, m->stages[i].attempt, SV_ARG(why));
        }
        for (uint32_t i = 0; i < m->num_executors; i++) {
                struct sv why = am_sv(m, m->executors[i].remove_reason);
                if (why.len)
                        str_appendf(s, "  executor %.*s removed: %.*s\n", SV_ARG(am_sv(m, m->executors[i].id)), SV_ARG(why));
        }
}

void report_show(const struct appmodel *m, struct str *s) {
        const struct am_app *a = m->app;
        int64_t tasks = 0, failed = 0, jobs_failed = 0, run = 0;
        for (uint32_t i = 0; i < m->num_stages; i++) {
                tasks += m->stages[i].completed_tasks;
                failed += m->stages[i].failed_tasks;
                run += m->stages[i].metrics[TM_RUN_TIME];
        }
        for (uint32_t i = 0; i < m->num_jobs; i++)
                jobs_failed += m->jobs[i].status == AM_JOB_FAILED;
        line_text(s, "Application", am_sv(m, a->name));
        line_text(s, "Id", am_sv(m, a->id));
        line_text(s, "Attempt", am_sv(m, a->attempt_id));
        line_text(s, "User", am_sv(m, a->user));
        line_text(s, "Spark", am_sv(m, a->spark_version));
        line_time(s, "Started", a->start_ms);
        line_time(s, "Ended", a->end_ms);
        if (a->flags & AM_ENDED) {
                str_appendf(s, "%-14s ", "Duration");
                jformat_ui_duration(s, a->end_ms - a->start_ms);
                str_append_c(s, '\n');
        } else {
                str_append_s(s, "State          no end of the application is in the log: running, or killed\n");
        }
        str_appendf(s, "%-14s %u, %lld failed\n", "Jobs", m->num_jobs, (long long)jobs_failed);
        str_appendf(s, "%-14s %u\n", "Stages", m->num_stages);
        str_appendf(s, "%-14s %lld completed, %lld failed, ", "Tasks", (long long)tasks, (long long)failed);
        jformat_ui_duration(s, run);
        str_append_s(s, " of run time\n");
        str_appendf(s, "%-14s %u\n", "Executors", m->num_executors);
        str_appendf(s, "%-14s %u\n", "SQL queries", m->num_sqls);
        str_appendf(s, "%-14s %llu lines, ", "Log", (unsigned long long)a->lines);
        jformat_bytes(s, (int64_t)a->bytes);
        str_append_s(s, " of text\n");
        if (a->flags & AM_STOPPED_EARLY)
                str_appendf(s, "%-14s %.*s\n", "Problem", SV_ARG(am_sv(m, a->problem)));
        else if (a->flags & AM_TRUNCATED)
                str_appendf(s, "%-14s %s\n", "Note", "the log ends in the middle of a line or block");
        show_stages(m, s);
        show_failures(m, s);
}

/* ---- tables ---- */

struct writer {
        const struct appmodel *m;
        enum report_format format;
        struct str out;
        struct jackson j;
        bool header, first; /* the header line is being written; nothing in this line yet */
        int (*flush)(void *arg, struct str *text);
        void *arg;
        const struct am_stage *stage;
};

static void csv(struct str *s, struct sv v) {
        bool quote = false;
        for (size_t i = 0; i < v.len; i++)
                quote = quote || strchr(",\"\r\n", v.data[i]);
        if (!quote) {
                str_append_sv(s, v);
                return;
        }
        str_append_c(s, '"');
        for (size_t i = 0; i < v.len; i++) {
                if (v.data[i] == '"')
                        str_append_c(s, '"');
                str_append_c(s, v.data[i]);
        }
        str_append_c(s, '"');
}

static void column(struct writer *w, const char *name, struct sv text, bool is_text, int64_t number) {
        struct str *s = &w->out;
        if (!w->first)
                str_append_c(s, ',');
        w->first = false;
        if (w->header) {
                str_append_s(s, name);
                return;
        }
        if (w->format == REPORT_JSONL) {
                str_appendf(s, "\"%s\":", name);
                if (is_text) {
                        struct jackson j = JACKSON_INIT(s);
                        jackson_string(&j, text);
                        return;
                }
                if (number == AM_NONE) {
                        str_append_s(s, "null");
                        return;
                }
        }
        if (is_text)
                csv(s, text);
        else if (number != AM_NONE)
                str_appendf(s, "%lld", (long long)number);
}

static void put_text(struct writer *w, const char *name, struct am_str v) { column(w, name, am_sv(w->m, v), true, 0); }
static void put_word(struct writer *w, const char *name, const char *v) { column(w, name, sv_of(v), true, 0); }
static void put_int(struct writer *w, const char *name, int64_t v) { column(w, name, SV_NULL, false, v); }

static void begin_row(struct writer *w) {
        w->first = true;
        if (w->format == REPORT_JSONL && !w->header)
                str_append_c(&w->out, '{');
}

static int end_row(struct writer *w) {
        str_append_s(&w->out, w->format == REPORT_JSONL && !w->header ? "}\n" : "\n");
        return w->out.len > 1 << 16 ? w->flush(w->arg, &w->out) : 0;
}

static const struct {
        const char *name;
        enum task_metric metric;
} metric_columns[] = {
        {"executor_deserialize_time_ms", TM_DESERIALIZE_TIME},
        {"executor_deserialize_cpu_time_ns", TM_DESERIALIZE_CPU},
        {"executor_run_time_ms", TM_RUN_TIME},
        {"executor_cpu_time_ns", TM_CPU_TIME},
        {"result_size", TM_RESULT_SIZE},
        {"jvm_gc_time_ms", TM_GC_TIME},
        {"result_serialization_time_ms", TM_SERIALIZE_TIME},
        {"memory_bytes_spilled", TM_MEMORY_SPILLED},
        {"disk_bytes_spilled", TM_DISK_SPILLED},
        {"peak_execution_memory", TM_PEAK_MEMORY},
        {"input_bytes", TM_INPUT_BYTES},
        {"input_records", TM_INPUT_RECORDS},
        {"output_bytes", TM_OUTPUT_BYTES},
        {"output_records", TM_OUTPUT_RECORDS},
        {"shuffle_remote_bytes_read", TM_READ_REMOTE_BYTES},
        {"shuffle_local_bytes_read", TM_READ_LOCAL_BYTES},
        {"shuffle_records_read", TM_READ_RECORDS},
        {"shuffle_fetch_wait_time_ms", TM_READ_FETCH_WAIT},
        {"shuffle_bytes_written", TM_WRITE_BYTES},
        {"shuffle_records_written", TM_WRITE_RECORDS},
        {"shuffle_write_time_ns", TM_WRITE_TIME},
};

static void put_metrics(struct writer *w, const int64_t *metrics) {
        for (size_t i = 0; i < ARRAY_LEN(metric_columns); i++)
                put_int(w, metric_columns[i].name, metrics[metric_columns[i].metric]);
}

static int task_row(void *arg, const struct am_task *t) {
        struct writer *w = arg;
        begin_row(w);
        put_int(w, "stage", w->stage ? w->stage->id : 0);
        put_int(w, "stage_attempt", w->stage ? w->stage->attempt : 0);
        put_int(w, "task", t->id);
        put_int(w, "index", t->index);
        put_int(w, "attempt", t->attempt);
        put_int(w, "partition", t->partition);
        put_word(w, "status", appmodel_task_status[t->status]);
        put_text(w, "executor", t->executor);
        put_text(w, "host", t->host);
        put_text(w, "locality", t->locality);
        put_int(w, "speculative", t->speculative);
        put_int(w, "launch_ms", t->launch_ms);
        put_int(w, "duration_ms", t->duration_ms);
        put_metrics(w, t->metrics);
        put_text(w, "error", t->error);
        return end_row(w);
}

static int stage_row(struct writer *w, const struct am_stage *g) {
        begin_row(w);
        put_int(w, "stage", g->id);
        put_int(w, "attempt", g->attempt);
        put_text(w, "name", g->name);
        put_word(w, "status", g->status < 5 ? appmodel_stage_status[g->status] : "");
        put_int(w, "submission_ms", g->submission_ms);
        put_int(w, "completion_ms", g->completion_ms);
        put_int(w, "tasks", g->num_tasks);
        put_int(w, "completed_tasks", g->completed_tasks);
        put_int(w, "failed_tasks", g->failed_tasks);
        put_int(w, "killed_tasks", g->killed_tasks);
        put_metrics(w, g->metrics);
        put_text(w, "failure", g->failure);
        return end_row(w);
}

static int executor_row(struct writer *w, const struct am_executor *x) {
        begin_row(w);
        put_text(w, "executor", x->id);
        put_text(w, "host_port", x->host_port);
        put_int(w, "active", x->active);
        put_int(w, "cores", x->total_cores);
        put_int(w, "add_ms", x->add_ms);
        put_int(w, "remove_ms", x->remove_ms);
        put_text(w, "remove_reason", x->remove_reason);
        put_int(w, "completed_tasks", x->completed_tasks);
        put_int(w, "failed_tasks", x->failed_tasks);
        put_int(w, "task_time_ms", x->total_duration);
        put_int(w, "gc_time_ms", x->total_gc);
        put_int(w, "input_bytes", x->total_input);
        put_int(w, "shuffle_read_bytes", x->total_shuffle_read);
        put_int(w, "shuffle_write_bytes", x->total_shuffle_write);
        put_int(w, "peak_jvm_heap_bytes", x->peaks_set ? x->peaks[0] : AM_NONE);
        return end_row(w);
}

static int sql_row(struct writer *w, const struct am_sql *q) {
        struct sv error = am_sv(w->m, q->error);
        begin_row(w);
        put_int(w, "execution", q->id);
        put_text(w, "description", q->description);
        put_word(w, "status", error.len ? "FAILED" : q->completion_ms == AM_NONE ? "RUNNING" : "COMPLETED");
        put_int(w, "submission_ms", q->submission_ms);
        put_int(w, "completion_ms", q->completion_ms);
        put_int(w, "jobs", q->jobs.count);
        put_int(w, "operators", q->nodes.count);
        put_text(w, "error", q->error);
        return end_row(w);
}

static int job_row(struct writer *w, const struct am_job *j) {
        begin_row(w);
        put_int(w, "job", j->id);
        put_text(w, "name", j->name);
        put_text(w, "description", j->description);
        put_text(w, "group", j->group);
        put_word(w, "status", appmodel_job_status[j->status & 3]);
        put_int(w, "submission_ms", j->submission_ms);
        put_int(w, "completion_ms", j->completion_ms);
        put_int(w, "tasks", j->num_tasks);
        put_int(w, "completed_tasks", j->completed_tasks);
        put_int(w, "failed_tasks", j->failed_tasks);
        return end_row(w);
}

static int export_rows(struct writer *w, enum report_what what, struct err *err) {
        const struct appmodel *m = w->m;
        int r = 0;
        switch (what) {
        case REPORT_TASKS:
                for (uint32_t i = 0; r >= 0 && i < m->num_stages; i++) {
                        w->stage = &m->stages[i];
                        r = appmodel_tasks(m, w->stage, task_row, w, err);
                }
                break;
        case REPORT_STAGES:
                for (uint32_t i = 0; r >= 0 && i < m->num_stages; i++)
                        r = stage_row(w, &m->stages[i]);
                break;
        case REPORT_EXECUTORS:
                for (uint32_t i = 0; r >= 0 && i < m->num_executors; i++)
                        r = executor_row(w, &m->executors[i]);
                break;
        case REPORT_SQL:
                for (uint32_t i = 0; r >= 0 && i < m->num_sqls; i++)
                        r = sql_row(w, &m->sqls[i]);
                break;
        case REPORT_JOBS:
                for (uint32_t i = 0; r >= 0 && i < m->num_jobs; i++)
                        r = job_row(w, &m->jobs[i]);
                break;
        }
        return r;
}

/* The header is a row of nothing, of which only the names are written. */
static int export_header(struct writer *w, enum report_what what) {
        static const struct am_task no_task;
        static const struct am_stage no_stage;
        static const struct am_executor no_executor;
        static const struct am_sql no_sql;
        static const struct am_job no_job;
        w->header = true;
        int r = what == REPORT_TASKS       ? task_row(w, &no_task)
                : what == REPORT_STAGES    ? stage_row(w, &no_stage)
                : what == REPORT_EXECUTORS ? executor_row(w, &no_executor)
                : what == REPORT_SQL       ? sql_row(w, &no_sql)
                                           : job_row(w, &no_job);
        w->header = false;
        return r;
}

int report_export(const struct appmodel *m, enum report_what what, enum report_format format, int (*flush)(void *arg, struct str *text),
                  void *arg, struct err *err) {
        struct writer w = {.m = m, .format = format, .out = STR_INIT(0), .flush = flush, .arg = arg};
        int r = format == REPORT_CSV ? export_header(&w, what) : 0;
        if (r >= 0)
                r = export_rows(&w, what, err);
        if (r >= 0)
                r = flush(arg, &w.out);
        str_done(&w.out);
        return r < 0 && err && !err->code ? err_errno(err, r, "writing") : r;
}
