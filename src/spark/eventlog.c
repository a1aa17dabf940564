#include "spark/eventlog.h"

#include "spark/eventlog-internal.h"

struct am_str intern_member(struct eventlog *e, yyjson_val *object, const char *key) {
        yyjson_val *v = yyjson_obj_get(object, key);
        return v && !yyjson_is_null(v) ? intern(e, scan_as_text(&e->scan, v)) : AM_ABSENT;
}

struct am_range write_ints(struct eventlog *e, const int32_t *items, size_t count) {
        struct am_range r = {(uint32_t)e->w.ints.len, (uint32_t)count};
        for (size_t i = 0; i < count; i++)
                *vec_push(&e->w.ints) = items[i];
        return r;
}

struct sort_pair {
        struct sv key;
        yyjson_val *value;
        size_t order;
};

static int by_key(const void *a, const void *b) {
        const struct sort_pair *x = a, *y = b;
        size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
        int diff = n ? memcmp(x->key.data, y->key.data, n) : 0;
        if (diff)
                return diff;
        if (x->key.len != y->key.len)
                return x->key.len < y->key.len ? -1 : 1;
        return x->order < y->order ? -1 : 1;
}

struct am_range write_pairs(struct eventlog *e, yyjson_val *object) {
        struct am_range r = {(uint32_t)e->w.pairs.len, 0};
        VEC(struct sort_pair) list = {0};
        size_t i, max;
        yyjson_val *k, *v;
        if (yyjson_is_obj(object))
                yyjson_obj_foreach(object, i, max, k, v) {
                        *vec_push(&list) = (struct sort_pair){sv_new(yyjson_get_str(k), yyjson_get_len(k)), v, i};
                }
        if (list.len > 1)
                qsort(list.items, list.len, sizeof(*list.items), by_key);
        for (i = 0; i < list.len; i++) {
                if (i + 1 < list.len && sv_eq(list.items[i].key, list.items[i + 1].key))
                        continue;
                struct am_str value =
                        yyjson_is_null(list.items[i].value) ? AM_ABSENT : intern(e, scan_as_text(&e->scan, list.items[i].value));
                struct am_str key = intern(e, list.items[i].key.data ? list.items[i].key : SV(""));
                *vec_push(&e->w.pairs) = (struct am_pair){key, value};
                r.count++;
        }
        vec_done(&list);
        return r;
}

void count_up(struct am_count **items, size_t *len, size_t *cap, struct am_str key) {
        for (size_t i = 0; i < *len; i++) {
                if (str_key((*items)[i].key) == str_key(key)) {
                        (*items)[i].count++;
                        return;
                }
        }
        *items = vec_grow_(*items, *len, cap, sizeof(**items));
        (*items)[(*len)++] = (struct am_count){key, 1};
}

bool raise_peaks(int64_t *peaks, bool *set, const int64_t *now) {
        bool raised = false;
        if (!*set)
                peaks[0] = -1;
        for (size_t i = 0; i < AM_PEAKS; i++) {
                if (now[i] > peaks[i]) {
                        peaks[i] = now[i];
                        raised = true;
                }
        }
        *set = peaks[0] > -1;
        return raised;
}

void peaks_of(yyjson_val *object, int64_t ret[AM_PEAKS]) {
        for (size_t i = 0; i < AM_PEAKS; i++)
                ret[i] = json_get_int(object, appmodel_peak_names[i], 0);
}

int64_t surplus(int64_t count, int64_t limit) {
        if (count <= limit)
                return 0;
        return limit / 10 > count - limit ? limit / 10 : count - limit;
}

struct eventlog *eventlog_new(const struct am_sink *sink, const struct eventlog_options *options) {
        struct eventlog *e = NEW(struct eventlog);
        e->o = *options;
        e->o.retained_tasks = e->o.retained_tasks ? e->o.retained_tasks : 100000;
        e->o.retained_jobs = e->o.retained_jobs ? e->o.retained_jobs : 1000;
        e->o.retained_stages = e->o.retained_stages ? e->o.retained_stages : 1000;
        e->o.retained_dead_executors = e->o.retained_dead_executors ? e->o.retained_dead_executors : 100;
        e->o.retained_executions = e->o.retained_executions ? e->o.retained_executions : 1000;
        am_writer_init(&e->w, sink);
        e->carry = STR_INIT(EVENTLOG_MAX_LINE);
        e->default_cpus = 1;
        e->app = (struct am_app){.id = AM_ABSENT, .name = AM_ABSENT, .attempt_id = AM_ABSENT, .user = AM_ABSENT, .spark_version = AM_ABSENT,
                                 .problem = AM_ABSENT, .java_version = AM_ABSENT, .java_home = AM_ABSENT, .scala_version = AM_ABSENT,
                                 .start_ms = AM_NONE, .end_ms = AM_NONE};
        return e;
}

void eventlog_free(struct eventlog *e) {
        if (!e)
                return;
        jobs_free(e);
        storage_free(e);
        sqls_free(e);
        idmap_foreach(s, &e->tasks) {
                struct live_task *t = s->value;
                free(t->old);
                free(t);
        }
        idmap_done(&e->tasks);
        free(e->spare_task);
        vec_foreach(x, &e->executor_list) {
                intset_done(&(*x)->excluded_in);
                free(*x);
        }
        vec_done(&e->executor_list);
        vec_done(&e->dead_executors);
        idmap_done(&e->executors);
        idmap_done(&e->stored_executors);
        idmap_done(&e->profiles);
        idmap_done(&e->processes);
        scan_done(&e->scan);
        str_done(&e->carry);
        am_writer_done(&e->w);
        free(e);
}

/* ---- events ---- */

#define SCHEDULER "org.apache.spark.scheduler."
#define SQL_UI "org.apache.spark.sql.execution.ui."

static const struct event {
        struct sv name;
        void (*handle)(struct eventlog *e, yyjson_val *v);
} events[] = {
        {SV("SparkListenerLogStart"), on_log_start},
        {SV("SparkListenerApplicationStart"), on_application_start},
        {SV("SparkListenerApplicationEnd"), on_application_end},
        {SV("SparkListenerEnvironmentUpdate"), on_environment},
        {SV("SparkListenerResourceProfileAdded"), on_resource_profile},
        {SV("SparkListenerExecutorAdded"), on_executor_added},
        {SV("SparkListenerExecutorRemoved"), on_executor_removed},
        {SV("SparkListenerBlockManagerAdded"), on_block_manager_added},
        {SV("SparkListenerBlockUpdated"), on_block_updated},
        {SV("SparkListenerUnpersistRDD"), on_unpersist},
        {SV("SparkListenerJobStart"), on_job_start},
        {SV("SparkListenerJobEnd"), on_job_end},
        {SV("SparkListenerStageSubmitted"), on_stage_submitted},
        {SV("SparkListenerStageCompleted"), on_stage_completed},
        {SV("SparkListenerStageExecutorMetrics"), on_stage_executor_metrics},
        {SV("SparkListenerExecutorMetricsUpdate"), on_executor_metrics_update},
        {SV(SCHEDULER "SparkListenerMiscellaneousProcessAdded"), on_process_added},
        {SV(SCHEDULER "SparkListenerExecutorBlacklisted"), on_executor_excluded},
        {SV(SCHEDULER "SparkListenerExecutorExcluded"), on_executor_excluded},
        {SV(SCHEDULER "SparkListenerExecutorUnblacklisted"), on_executor_unexcluded},
        {SV(SCHEDULER "SparkListenerExecutorUnexcluded"), on_executor_unexcluded},
        {SV(SCHEDULER "SparkListenerExecutorBlacklistedForStage"), on_executor_excluded_for_stage},
        {SV(SCHEDULER "SparkListenerExecutorExcludedForStage"), on_executor_excluded_for_stage},
        {SV(SCHEDULER "SparkListenerNodeBlacklisted"), on_node_excluded},
        {SV(SCHEDULER "SparkListenerNodeExcluded"), on_node_excluded},
        {SV(SCHEDULER "SparkListenerNodeUnblacklisted"), on_node_unexcluded},
        {SV(SCHEDULER "SparkListenerNodeUnexcluded"), on_node_unexcluded},
        {SV(SCHEDULER "SparkListenerNodeBlacklistedForStage"), on_node_excluded_for_stage},
        {SV(SCHEDULER "SparkListenerNodeExcludedForStage"), on_node_excluded_for_stage},
        {SV(SQL_UI "SparkListenerSQLExecutionStart"), on_sql_start},
        {SV(SQL_UI "SparkListenerSQLExecutionEnd"), on_sql_end},
        {SV(SQL_UI "SparkListenerSQLAdaptiveExecutionUpdate"), on_sql_adaptive_update},
        {SV(SQL_UI "SparkListenerSQLAdaptiveSQLMetricUpdates"), on_sql_adaptive_metrics},
        {SV(SQL_UI "SparkListenerDriverAccumUpdates"), on_sql_driver_updates},
};

/* The event's name when the line begins as Spark writes it, else SV_NULL. */
static struct sv leading_name(struct sv line) {
        static const char head[] = "{\"Event\":\"";
        if (line.len < sizeof(head) || memcmp(line.data, head, sizeof(head) - 1) != 0)
                return SV_NULL;
        const char *name = line.data + sizeof(head) - 1;
        const char *end = memchr(name, '"', line.len - (sizeof(head) - 1));
        return end ? sv_new(name, (size_t)(end - name)) : SV_NULL;
}

static const struct event *find_event(struct sv name) {
        for (size_t i = 0; i < ARRAY_LEN(events); i++)
                if (sv_eq(events[i].name, name))
                        return &events[i];
        return NULL;
}

/* What a line says. One of `task`, `event` and `why`, or nothing: unknown events are none of our business. */
struct record {
        struct task_event *task;
        bool is_start; /* of the task */
        const struct event *event;
        yyjson_val *root;
        const char *why; /* the line is no event */
};

static int read_task(struct scan *s, struct sv line, bool is_start, struct record *ret, struct err *err) {
        ret->is_start = is_start;
        return task_event_read(s, line, &ret->task, err);
}

static int read_event(struct scan *s, struct sv line, struct record *ret, struct err *err) {
        struct sv name = leading_name(line);
        if (sv_eq(name, SV("SparkListenerTaskEnd")))
                return read_task(s, line, false, ret, err);
        if (sv_eq(name, SV("SparkListenerTaskStart")))
                return read_task(s, line, true, ret, err);
        if (name.data && !find_event(name)) { /* still it must be whole, or it is where the log breaks off */
                if (line.data[line.len - 1] == '}')
                        return 0;
        }
        yyjson_val *root = scan_tree(s, line, err);
        if (!root)
                return -EINVAL;
        const char *text = json_get_str(root, "Event");
        if (!text)
                return err_set(err, -EINVAL, "an event without a name");
        if (streq(text, "SparkListenerTaskEnd"))
                return read_task(s, line, false, ret, err);
        if (streq(text, "SparkListenerTaskStart"))
                return read_task(s, line, true, ret, err);
        ret->event = find_event(sv_of(text));
        ret->root = root;
        return 0;
}

/* What the record points to lies in the line and the scan. */
static struct record read_line(struct scan *s, struct sv line) {
        struct record r = {0};
        AUTO(err) struct err why = ERR_INIT;
        if (line.len && line.data[line.len - 1] == '\r')
                line.len--;
        if (read_event(s, line, &r, &why) < 0)
                r = (struct record){.why = arena_strdup(&s->arena, err_message(&why))};
        return r;
}

static void stop(struct eventlog *e, struct am_str why) {
        e->stopped = true;
        e->app.flags |= AM_STOPPED_EARLY;
        if (e->app.problem.off == UINT32_MAX)
                e->app.problem = why;
}

/* Counts a line. False: it is not looked at, because the line before was no event and was not the last one either. */
static bool next_line(struct eventlog *e, size_t len) {
        e->app.lines++;
        e->app.bytes += len;
        if (e->bad_line)
                stop(e, e->bad_line_why);
        return !e->bad_line;
}

static void act(struct eventlog *e, const struct scan *s, const struct record *r) {
        if (r->why) {
                AUTO(str) struct str text = STR_INIT(0);
                str_appendf(&text, "line %llu is no event: %s", (unsigned long long)e->app.lines, r->why);
                e->bad_line = true;
                e->bad_line_why = intern(e, str_sv(&text));
        } else if (r->task && r->is_start) {
                on_task_start(e, r->task);
        } else if (r->task) {
                on_task_end(e, r->task, s->accumulables.items + r->task->first_accumulable);
        } else if (r->event) {
                r->event->handle(e, r->root);
        }
}

static void on_line(struct eventlog *e, struct sv line, size_t end) {
        if (!next_line(e, line.len + end))
                return;
        struct record r = read_line(&e->scan, line);
        act(e, &e->scan, &r);
        scan_reset(&e->scan);
}

int eventlog_feed(struct eventlog *e, struct sv text, struct err *err) {
        const char *p = text.data, *end = text.data + text.len;
        while (p < end && !e->stopped) {
                const char *nl = memchr(p, '\n', (size_t)(end - p));
                if (!nl) {
                        str_append(&e->carry, p, (size_t)(end - p));
                        break;
                }
                if (e->carry.len) {
                        str_append(&e->carry, p, (size_t)(nl - p));
                        if (!str_overflowed(&e->carry))
                                on_line(e, str_sv(&e->carry), 1);
                        str_clear(&e->carry);
                } else {
                        on_line(e, sv_new(p, (size_t)(nl - p)), 1);
                }
                p = nl + 1;
        }
        if (str_overflowed(&e->carry)) {
                stop(e, intern(e, SV("a line is longer than 512 MiB")));
                return err_set(err, -EFBIG, "line %llu is longer than %d MiB", (unsigned long long)e->app.lines + 1,
                               EVENTLOG_MAX_LINE >> 20);
        }
        return !e->stopped;
}

/* ---- lines read ahead ---- */

struct eventlog_batch {
        struct scan scan;
        VEC(struct record) records; /* of the whole lines between head and tail */
        VEC(size_t) lengths;
        struct sv head, tail;       /* up to the first line end, and what is behind the last one */
};

struct eventlog_batch *eventlog_batch_new(void) { return NEW(struct eventlog_batch); }

void eventlog_batch_free(struct eventlog_batch *b) {
        if (!b)
                return;
        scan_done(&b->scan);
        vec_done(&b->records);
        vec_done(&b->lengths);
        free(b);
}

void eventlog_batch_read(struct eventlog_batch *b, struct sv text) {
        scan_reset(&b->scan);
        b->records.len = b->lengths.len = 0;
        const char *end = text.data + text.len, *nl = text.len ? memchr(text.data, '\n', text.len) : NULL;
        const char *p = nl ? nl + 1 : end;
        b->head = sv_new(text.data, (size_t)(p - text.data));
        while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
                *vec_push(&b->records) = read_line(&b->scan, sv_new(p, (size_t)(nl - p)));
                *vec_push(&b->lengths) = (size_t)(nl + 1 - p);
                p = nl + 1;
        }
        b->tail = sv_new(p, (size_t)(end - p));
}

int eventlog_feed_batch(struct eventlog *e, struct eventlog_batch *b, struct err *err) {
        int r = eventlog_feed(e, b->head, err);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < b->records.len; i++) {
                if (!next_line(e, b->lengths.items[i]))
                        return 0;
                act(e, &b->scan, &b->records.items[i]);
                scan_reset(&e->scan); /* handlers have texts of their own there */
        }
        return eventlog_feed(e, b->tail, err);
}

int eventlog_end_file(struct eventlog *e, enum eventlog_end end, const char *damaged, struct err *err) {
        bool truncated = end != EVENTLOG_WHOLE;
        (void)err;
        if (e->carry.len && !e->stopped)
                on_line(e, str_sv(&e->carry), 0);
        str_done(&e->carry);
        e->carry = STR_INIT(EVENTLOG_MAX_LINE);
        if (truncated)
                e->app.flags |= AM_TRUNCATED | (end == EVENTLOG_CUT_BLOCK ? AM_CUT_BLOCK : 0);
        if (e->bad_line && !e->stopped) {
                if (e->o.in_progress || truncated || damaged)
                        e->app.flags |= AM_TRUNCATED;
                else
                        stop(e, e->bad_line_why);
        }
        e->bad_line = false;
        if (damaged && !e->stopped)
                stop(e, intern(e, sv_of(damaged)));
        return !e->stopped;
}

void eventlog_set_in_progress(struct eventlog *e, bool in_progress) { e->o.in_progress = in_progress; }
bool eventlog_is_whole(const struct eventlog *e) { return !(e->app.flags & AM_TRUNCATED) && !e->stopped; }

size_t eventlog_memory(const struct eventlog *e) {
        size_t sum = sizeof(*e) + e->carry.cap + e->w.heap.cap + e->w.index_size * sizeof(*e->w.index) +
                     e->w.cap_interned * sizeof(*e->w.interned) + e->tasks.len * sizeof(struct live_task);
#define X(member, type) sum += e->w.member.cap * sizeof(type);
        AM_SECTIONS(X)
#undef X
        vec_foreach(s, &e->slot_list) {
                const struct slot *slot = *s;
                sum += sizeof(*slot) + slot->rows.cap + slot->marks.cap * sizeof(*slot->marks.items) +
                       (slot->tasks.cap + slot->executors.cap) * sizeof(struct am_segment);
                if (slot->live)
                        sum += sizeof(*slot->live) + slot->live->in_order.cap * (sizeof(struct stage_executor) + sizeof(void *));
        }
        vec_foreach(s, &e->sql_list) {
                const struct sql *q = *s;
                sum += sizeof(*q) + (q->plan ? strlen(q->plan) : 0) + (q->details ? strlen(q->details) : 0) +
                       q->graph.nodes.cap * sizeof(*q->graph.nodes.items);
        }
        return sum + e->job_list.len * sizeof(struct job) + e->executor_list.len * sizeof(struct executor);
}

int eventlog_finish(struct eventlog *e, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err) {
        tasks_finish(e);
        jobs_finish(e);
        executors_finish(e);
        storage_finish(e);
        sqls_finish(e);
        return am_writer_finish(&e->w, &e->app, fingerprint, err);
}
