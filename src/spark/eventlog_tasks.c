/* Tasks: nearly every line of a log. */
#include "spark/eventlog-internal.h"

#define INT64(name, member) SCAN_FIELD(name, SCAN_INT64, struct task_event, member)
#define INT32(name, member) SCAN_FIELD(name, SCAN_INT32, struct task_event, member)
#define BOOL(name, member) SCAN_FIELD(name, SCAN_BOOL, struct task_event, member)
#define TEXT(name, member) SCAN_FIELD(name, SCAN_STRING, struct task_event, member)
#define RAW(name, member) SCAN_FIELD(name, SCAN_RAW, struct task_event, member)
#define METRIC(name, which) INT64(name, t.metrics[which])

/* In the order in which Spark writes them. */
static const struct scan_field reason_fields[] = {
        TEXT("Reason", reason),
        RAW("Block Manager Address", block_manager),
        INT64("Shuffle ID", shuffle_id),
        INT64("Map ID", map_id),
        INT64("Map Index", map_index),
        INT64("Reduce ID", reduce_id),
        TEXT("Message", message),
        TEXT("Class Name", class_name),
        TEXT("Description", description),
        RAW("Stack Trace", stack_trace),
        TEXT("Full Stack Trace", full_stack_trace),
        TEXT("Kill Reason", kill_reason),
        INT64("Job ID", job_id),
        INT64("Partition ID", partition_id),
        INT64("Attempt Number", attempt_number),
        TEXT("Executor ID", lost_executor),
        BOOL("Exit Caused By App", exit_caused_by_app),
        TEXT("Loss Reason", loss_reason),
        SCAN_IGNORE("Accumulator Updates"),
        SCAN_IGNORE("Metrics"),
};
static const struct scan_table reason_table = SCAN_TABLE(reason_fields);

static const struct scan_field info_fields[] = {
        INT64("Task ID", t.id),
        INT32("Index", t.index),
        INT32("Attempt", t.attempt),
        INT32("Partition ID", t.partition),
        INT64("Launch Time", t.launch_ms),
        TEXT("Executor ID", executor),
        TEXT("Host", host),
        TEXT("Locality", locality),
        BOOL("Speculative", t.speculative),
        INT64("Getting Result Time", getting_result_ms),
        INT64("Finish Time", finish_ms),
        BOOL("Failed", failed),
        BOOL("Killed", killed),
        {"\"Accumulables\":", sizeof("\"Accumulables\":") - 1, 0, SCAN_ACCUMULABLES, NULL, 0},
};
static const struct scan_table info_table = SCAN_TABLE(info_fields);

#define PEAK(name, i) INT64(name, peaks[i])
static const struct scan_field peak_fields[] = {
        PEAK("JVMHeapMemory", 0),
        PEAK("JVMOffHeapMemory", 1),
        PEAK("OnHeapExecutionMemory", 2),
        PEAK("OffHeapExecutionMemory", 3),
        PEAK("OnHeapStorageMemory", 4),
        PEAK("OffHeapStorageMemory", 5),
        PEAK("OnHeapUnifiedMemory", 6),
        PEAK("OffHeapUnifiedMemory", 7),
        PEAK("DirectPoolMemory", 8),
        PEAK("MappedPoolMemory", 9),
        PEAK("ProcessTreeJVMVMemory", 10),
        PEAK("ProcessTreeJVMRSSMemory", 11),
        PEAK("ProcessTreePythonVMemory", 12),
        PEAK("ProcessTreePythonRSSMemory", 13),
        PEAK("ProcessTreeOtherVMemory", 14),
        PEAK("ProcessTreeOtherRSSMemory", 15),
        PEAK("MinorGCCount", 16),
        PEAK("MinorGCTime", 17),
        PEAK("MajorGCCount", 18),
        PEAK("MajorGCTime", 19),
        PEAK("TotalGCTime", 20),
        PEAK("ConcurrentGCCount", 21),
        PEAK("ConcurrentGCTime", 22),
};
static const struct scan_table peak_table = SCAN_TABLE(peak_fields);

static const struct scan_field push_fields[] = {
        METRIC("Corrupt Merged Block Chunks", TM_PUSH_CORRUPT),
        METRIC("Merged Fetch Fallback Count", TM_PUSH_FALLBACK),
        METRIC("Merged Remote Blocks Fetched", TM_PUSH_REMOTE_BLOCKS),
        METRIC("Merged Local Blocks Fetched", TM_PUSH_LOCAL_BLOCKS),
        METRIC("Merged Remote Chunks Fetched", TM_PUSH_REMOTE_CHUNKS),
        METRIC("Merged Local Chunks Fetched", TM_PUSH_LOCAL_CHUNKS),
        METRIC("Merged Remote Bytes Read", TM_PUSH_REMOTE_BYTES),
        METRIC("Merged Local Bytes Read", TM_PUSH_LOCAL_BYTES),
        METRIC("Merged Remote Requests Duration", TM_PUSH_REMOTE_REQS),
};
static const struct scan_table push_table = SCAN_TABLE(push_fields);

/* Where Spark 3.5 looks for them, though it writes the former. */
#define PUSH_35(name, which) INT64(name, push_35[which - TM_PUSH_CORRUPT])
static const struct scan_field push_fields_35[] = {
        PUSH_35("Corrupt Merged Block Chunks", TM_PUSH_CORRUPT),
        PUSH_35("Merged Fallback Count", TM_PUSH_FALLBACK),
        PUSH_35("Merged Remote Blocks Fetched", TM_PUSH_REMOTE_BLOCKS),
        PUSH_35("Merged Local Blocks Fetched", TM_PUSH_LOCAL_BLOCKS),
        PUSH_35("Merged Remote Chunks Fetched", TM_PUSH_REMOTE_CHUNKS),
        PUSH_35("Merged Local Chunks Fetched", TM_PUSH_LOCAL_CHUNKS),
        PUSH_35("Merged Remote Bytes Read", TM_PUSH_REMOTE_BYTES),
        PUSH_35("Merged Local Bytes Read", TM_PUSH_LOCAL_BYTES),
        PUSH_35("Merged Remote Requests Duration", TM_PUSH_REMOTE_REQS),
};
static const struct scan_table push_table_35 = SCAN_TABLE(push_fields_35);

static const struct scan_field read_fields[] = {
        METRIC("Remote Blocks Fetched", TM_READ_REMOTE_BLOCKS),
        METRIC("Local Blocks Fetched", TM_READ_LOCAL_BLOCKS),
        METRIC("Fetch Wait Time", TM_READ_FETCH_WAIT),
        METRIC("Remote Bytes Read", TM_READ_REMOTE_BYTES),
        METRIC("Remote Bytes Read To Disk", TM_READ_REMOTE_TO_DISK),
        METRIC("Local Bytes Read", TM_READ_LOCAL_BYTES),
        METRIC("Total Records Read", TM_READ_RECORDS),
        METRIC("Remote Requests Duration", TM_READ_REMOTE_REQS),
        SCAN_NESTED("Push Based Shuffle", push_table),
        SCAN_NESTED("Shuffle Push Read Metrics", push_table_35),
};
static const struct scan_table read_table = SCAN_TABLE(read_fields);

static const struct scan_field write_fields[] = {
        METRIC("Shuffle Bytes Written", TM_WRITE_BYTES),
        METRIC("Shuffle Write Time", TM_WRITE_TIME),
        METRIC("Shuffle Records Written", TM_WRITE_RECORDS),
};
static const struct scan_table write_table = SCAN_TABLE(write_fields);
static const struct scan_field input_fields[] = {METRIC("Bytes Read", TM_INPUT_BYTES), METRIC("Records Read", TM_INPUT_RECORDS)};
static const struct scan_table input_table = SCAN_TABLE(input_fields);
static const struct scan_field output_fields[] = {METRIC("Bytes Written", TM_OUTPUT_BYTES), METRIC("Records Written", TM_OUTPUT_RECORDS)};
static const struct scan_table output_table = SCAN_TABLE(output_fields);

static const struct scan_field metric_fields[] = {
        METRIC("Executor Deserialize Time", TM_DESERIALIZE_TIME),
        METRIC("Executor Deserialize CPU Time", TM_DESERIALIZE_CPU),
        METRIC("Executor Run Time", TM_RUN_TIME),
        METRIC("Executor CPU Time", TM_CPU_TIME),
        METRIC("Peak Execution Memory", TM_PEAK_MEMORY),
        SCAN_IGNORE("Peak On Heap Execution Memory"),
        SCAN_IGNORE("Peak Off Heap Execution Memory"),
        METRIC("Result Size", TM_RESULT_SIZE),
        METRIC("JVM GC Time", TM_GC_TIME),
        METRIC("Result Serialization Time", TM_SERIALIZE_TIME),
        METRIC("Memory Bytes Spilled", TM_MEMORY_SPILLED),
        METRIC("Disk Bytes Spilled", TM_DISK_SPILLED),
        SCAN_NESTED("Shuffle Read Metrics", read_table),
        SCAN_NESTED("Shuffle Write Metrics", write_table),
        SCAN_NESTED("Input Metrics", input_table),
        SCAN_NESTED("Output Metrics", output_table),
        SCAN_IGNORE("Updated Blocks"),
};
static const struct scan_table metric_table = SCAN_TABLE(metric_fields);

static const struct scan_field event_fields[] = {
        SCAN_IGNORE("Event"),
        INT32("Stage ID", stage),
        INT32("Stage Attempt ID", attempt),
        SCAN_IGNORE("Task Type"),
        SCAN_NESTED("Task End Reason", reason_table),
        SCAN_NESTED("Task Info", info_table),
        SCAN_NESTED("Task Executor Metrics", peak_table),
        SCAN_NESTED("Task Metrics", metric_table),
};
static const struct scan_table event_table = SCAN_TABLE(event_fields);

int task_event_read(struct scan *s, struct sv line, struct task_event **ret, struct err *err) {
        struct task_event *ev = arena_alloc(&s->arena, sizeof(*ev));
        ev->t.attempt = 1;
        ev->t.partition = -1;
        ev->t.error = AM_ABSENT;
        ev->map_index = INT32_MIN;
        ev->job_id = ev->partition_id = ev->attempt_number = -1;
        ev->exit_caused_by_app = true;
        size_t before = s->accumulables.len;
        int r = scan_line(s, line, &event_table, ev, err);
        if (r < 0)
                return r;
        ev->first_accumulable = before;
        ev->num_accumulables = s->accumulables.len - before;
        *ret = ev;
        return 0;
}

static void intern_names(struct eventlog *e, struct task_event *ev) {
        ev->t.executor = intern(e, ev->executor);
        ev->t.host = intern(e, ev->host);
        ev->t.locality = intern(e, ev->locality);
}

/* ---- rows ---- */

static void store_row(struct eventlog *e, struct slot *slot, const struct am_task *t) {
        if (!slot->has_base) {
                slot->has_base = true;
                slot->base = (struct am_row_base){t->id, t->launch_ms};
        }
        if (slot->num_rows == 0)
                am_pack_base(&slot->rows, &slot->base);
        am_pack_task(&slot->rows, &slot->base, t);
        slot->num_rows++;
        *vec_push(&slot->marks) =
                (struct row_mark){t->launch_ms + (t->duration_ms == AM_NONE ? 0 : t->duration_ms), t->id, (uint32_t)slot->rows.len};
        if (slot->rows.len > 1u << 30) /* offsets within a segment are 32 bits */
                slot_flush_rows(e, slot);
}

void slot_flush_rows(struct eventlog *e, struct slot *slot) {
        if (slot->num_rows)
                *vec_push(&slot->tasks) = am_write_segment(&e->w, str_sv(&slot->rows), slot->num_rows);
        str_done(&slot->rows);
        slot->rows = STR_INIT(0);
        vec_done(&slot->marks);
        slot->num_rows = 0;
}

static int by_completion(const void *a, const void *b) {
        const struct row_mark *x = *(const struct row_mark *const *)a, *y = *(const struct row_mark *const *)b;
        if (x->completion_ms != y->completion_ms)
                return x->completion_ms < y->completion_ms ? -1 : 1;
        return (x->id > y->id) - (x->id < y->id);
}

/* More tasks than are kept: of those that have ended, the earliest go. */
static void evict_tasks(struct eventlog *e, struct stage *s) {
        int64_t drop = surplus(s->saved_tasks, e->o.retained_tasks);
        struct slot *slot = s->slot;
        s->saved_tasks -= drop;
        size_t n = slot->marks.len;
        if (drop <= 0 || n == 0)
                return;
        VEC(struct row_mark *) order = {0};
        vec_foreach(m, &slot->marks) *vec_push(&order) = m;
        qsort(order.items, n, sizeof(*order.items), by_completion);
        AUTO(free) bool *gone = xcalloc(n, 1);
        for (size_t i = 0; i < n && (int64_t)i < drop; i++)
                gone[order.items[i] - slot->marks.items] = true;
        vec_done(&order);
        AUTO(str) struct str head = STR_INIT(0);
        am_pack_base(&head, &slot->base);
        size_t to = head.len, kept = 0, from = head.len;
        for (size_t i = 0; i < n; i++) {
                size_t end = slot->marks.items[i].end, len = end - from;
                if (!gone[i]) {
                        memmove(slot->rows.data + to, slot->rows.data + from, len);
                        to += len;
                        slot->marks.items[kept] = slot->marks.items[i];
                        slot->marks.items[kept++].end = (uint32_t)to;
                }
                from = end;
        }
        slot->marks.len = kept;
        slot->num_rows = (uint32_t)kept;
        str_truncate(&slot->rows, kept ? to : 0);
}

/* ---- starts ---- */

void on_task_start(struct eventlog *e, struct task_event *ev) {
        intern_names(e, ev);
        struct live_task *task = idmap_get(&e->tasks, (uint64_t)ev->t.id);
        if (!task) {
                task = e->spare_task ? TAKE(e->spare_task) : NEW(struct live_task);
                idmap_set(&e->tasks, (uint64_t)ev->t.id, task);
        }
        free(task->old);
        task->old = NULL;
        task->slot = slot_of(e, ev->stage, ev->attempt);
        task->t = ev->t;
        task->t.fetch_start_ms = ev->getting_result_ms;
        task->t.duration_ms = ev->finish_ms ? ev->finish_ms - ev->t.launch_ms : AM_NONE;
        task->t.status = ev->getting_result_ms ? AM_TASK_GET_RESULT : AM_TASK_RUNNING;
        struct stage *s = task->slot->live;
        if (s) {
                if (ev->t.speculative) {
                        s->slot->has_speculation = true;
                        s->slot->speculation[0]++;
                        s->slot->speculation[1]++;
                }
                s->active++;
                if (ev->t.launch_ms < s->first_launch_ms)
                        s->first_launch_ms = ev->t.launch_ms;
                stage_executor_of(s, ev->t.executor)->active++;
                vec_foreach(j, &s->jobs) (*j)->out.active_tasks++;
                if (++s->saved_tasks > e->o.retained_tasks)
                        evict_tasks(e, s);
        }
        struct executor *x = live_executor(e, ev->t.executor);
        if (x) {
                x->out.active_tasks++;
                x->out.total_tasks++;
        }
}

/* ---- what a failure says ---- */

static void append_stack_trace(struct str *s, struct sv raw) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (!raw.len || json_parse(raw, &doc, NULL) < 0)
                return;
        size_t i, max;
        yyjson_val *v, *root = yyjson_doc_get_root(doc);
        if (!yyjson_is_arr(root))
                return;
        yyjson_arr_foreach(root, i, max, v) {
                const char *class_name = json_get_str(v, "Declaring Class"), *method = json_get_str(v, "Method Name"),
                           *file = json_get_str(v, "File Name");
                int64_t line = json_get_int(v, "Line Number", -1);
                str_appendf(s, "%s        %s.%s(", i ? "\n" : "", class_name ? class_name : "null", method ? method : "null");
                if (line == -2)
                        str_append_s(s, "Native Method)");
                else if (file && line >= 0)
                        str_appendf(s, "%s:%lld)", file, (long long)line);
                else
                        str_appendf(s, "%s)", file ? file : "Unknown Source");
        }
}

static void append_block_manager(struct str *s, struct sv raw) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (!raw.len || json_parse(raw, &doc, NULL) < 0) {
                str_append_s(s, "null");
                return;
        }
        yyjson_val *v = yyjson_doc_get_root(doc);
        const char *id = json_get_str(v, "Executor ID"), *host = json_get_str(v, "Host");
        str_appendf(s, "BlockManagerId(%s, %s, %lld, None)", id ? id : "null", host ? host : "null", (long long)json_get_int(v, "Port", 0));
}

static void fetch_failed(const struct task_event *ev, struct str *s) {
        str_append_s(s, "FetchFailed(");
        append_block_manager(s, ev->block_manager);
        str_appendf(s, ", shuffleId=%lld, mapIndex=", (long long)ev->shuffle_id);
        if (ev->map_index == INT32_MIN)
                str_append_s(s, "Unknown");
        else
                str_appendf(s, "%lld", (long long)ev->map_index);
        str_appendf(s, ", mapId=%lld, reduceId=%lld, message=\n", (long long)ev->map_id, (long long)ev->reduce_id);
        str_append_sv(s, ev->message.data ? ev->message : SV("Unknown reason"));
        str_append_s(s, "\n)");
}

static void exception_failure(const struct task_event *ev, struct str *s) {
        if (ev->full_stack_trace.data) {
                str_append_sv(s, ev->full_stack_trace);
                return;
        }
        str_append_sv(s, ev->class_name.data ? ev->class_name : SV("null"));
        str_append_s(s, ": ");
        str_append_sv(s, ev->description);
        str_append_c(s, '\n');
        append_stack_trace(s, ev->stack_trace);
}

static void resubmitted(const struct task_event *ev, struct str *s) {
        (void)ev;
        str_append_s(s, "Resubmitted (resubmitted due to lost executor)");
}
static void result_lost(const struct task_event *ev, struct str *s) {
        (void)ev;
        str_append_s(s, "TaskResultLost (result lost from block manager)");
}
static void task_killed(const struct task_event *ev, struct str *s) {
        str_append_sv(s, ev->kill_reason.data ? ev->kill_reason : SV("unknown reason"));
}
static void commit_denied(const struct task_event *ev, struct str *s) {
        str_appendf(s, "TaskCommitDenied (Driver denied task commit) for job: %lld, partition: %lld, attemptNumber: %lld",
                    (long long)ev->job_id, (long long)ev->partition_id, (long long)ev->attempt_number);
}
static void executor_lost(const struct task_event *ev, struct str *s) {
        str_append_s(s, "ExecutorLostFailure (executor ");
        str_append_sv(s, ev->lost_executor.data ? ev->lost_executor : SV("Unknown"));
        str_append_s(s, ev->exit_caused_by_app ? " exited caused by one of the running tasks)" : " exited unrelated to the running tasks)");
        if (ev->loss_reason.data) {
                str_append_s(s, " Reason: ");
                str_append_sv(s, ev->loss_reason);
        }
}
static void unknown_reason(const struct task_event *ev, struct str *s) {
        (void)ev;
        str_append_s(s, "UnknownReason");
}

enum outcome { SUCCEEDED, FAILED, KILLED, RESUBMITTED };

static const struct {
        const char *reason;
        enum outcome outcome;
        void (*text)(const struct task_event *ev, struct str *s);
} reasons[] = {
        {"Success", SUCCEEDED, NULL},
        {"ExceptionFailure", FAILED, exception_failure},
        {"TaskKilled", KILLED, task_killed},
        {"FetchFailed", FAILED, fetch_failed},
        {"ExecutorLostFailure", FAILED, executor_lost},
        {"TaskCommitDenied", KILLED, commit_denied},
        {"Resubmitted", RESUBMITTED, resubmitted},
        {"TaskResultLost", FAILED, result_lost},
        {"UnknownReason", FAILED, unknown_reason},
};

static enum outcome outcome_of(struct eventlog *e, struct task_event *ev) {
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
                if (!sv_eqs(ev->reason, reasons[i].reason))
                        continue;
                if (reasons[i].text) {
                        AUTO(str) struct str text = STR_INIT(0);
                        reasons[i].text(ev, &text);
                        ev->t.error = intern(e, str_sv(&text));
                }
                return reasons[i].outcome;
        }
        ev->t.error = intern(e, SV("UnknownReason"));
        return FAILED;
}

/* ---- ends ---- */

static enum am_task_status status_of(const struct task_event *ev) {
        if (ev->finish_ms == 0)
                return ev->getting_result_ms ? AM_TASK_GET_RESULT : AM_TASK_RUNNING;
        return ev->failed ? AM_TASK_FAILED : ev->killed ? AM_TASK_KILLED : AM_TASK_SUCCESS;
}

static void pack_accumulables(struct eventlog *e, const struct scan_accumulable *list, size_t count, struct am_task *t,
                              struct str *packed) {
        for (const struct scan_accumulable *a = list; a < list + count; a++) {
                if (a->internal || a->sql)
                        continue;
                struct am_accumulable out = {a->id, intern(e, a->name), intern(e, a->update), intern(e, a->value)};
                am_pack_accumulable(packed, &out);
                t->num_accumulables++;
        }
        t->accumulables = str_sv(packed);
}

/* Stores the task and takes it out of the live ones. False when it was not live; else `delta` is what its metrics add. */
static bool end_task(struct eventlog *e, struct task_event *ev, const struct scan_accumulable *updates, int64_t delta[TM_COUNT]) {
        struct live_task *task = idmap_remove(&e->tasks, (uint64_t)ev->t.id);
        if (!task)
                return false;
        for (size_t i = 0; i < TM_COUNT; i++)
                delta[i] = ev->t.metrics[i] - (task->old ? task->old[i] : 0);
        struct am_task t = ev->t;
        t.status = status_of(ev);
        t.has_metrics = true;
        t.fetch_start_ms = ev->getting_result_ms;
        t.duration_ms = ev->finish_ms ? ev->finish_ms - t.launch_ms : AM_NONE;
        AUTO(str) struct str packed = STR_INIT(0);
        if (ev->num_accumulables)
                pack_accumulables(e, updates, ev->num_accumulables, &t, &packed);
        store_row(e, task->slot, &t);
        free(task->old);
        free(e->spare_task);
        task->old = NULL;
        e->spare_task = task;
        return true;
}

static void add_metrics(int64_t *to, const int64_t *delta) {
        for (size_t i = 0; i < TM_COUNT; i++)
                to[i] = (int64_t)((uint64_t)to[i] + (uint64_t)delta[i]);
}

struct deltas {
        int32_t completed, failed, killed, active;
        bool timed; /* the task's time counts */
};

static void end_in_jobs(struct stage *s, const struct task_event *ev, const struct deltas *d, struct eventlog *e, bool remove_stage) {
        uint64_t index = (uint64_t)(uint32_t)ev->stage << 32 | (uint32_t)ev->t.index;
        vec_foreach(it, &s->jobs) {
                struct job *j = *it;
                j->out.active_tasks -= d->active;
                j->out.completed_tasks += d->completed;
                if (d->completed)
                        idset_add(&j->completed_indices, index);
                j->out.failed_tasks += d->failed;
                j->out.killed_tasks += d->killed;
                if (d->killed)
                        count_up(&j->killed.items, &j->killed.len, &j->killed.cap, ev->t.error);
                if (remove_stage)
                        job_store(e, j, false);
        }
}

static void end_in_stage(struct eventlog *e, struct stage *s, const struct task_event *ev, const struct deltas *d, const int64_t *delta,
                         int64_t duration_ms) {
        if (delta)
                add_metrics(s->metrics, delta);
        s->active -= d->active;
        s->completed += d->completed;
        if (d->completed)
                idset_add(&s->completed_indices, (uint32_t)ev->t.index);
        s->failed += d->failed;
        s->killed += d->killed;
        if (d->killed)
                count_up(&s->killed_summary.items, &s->killed_summary.len, &s->killed_summary.cap, ev->t.error);
        struct stage_executor *x = stage_executor_of(s, ev->t.executor);
        x->exists = true;
        x->active -= d->active;
        raise_peaks(s->peaks, &s->peaks_set, ev->peaks);
        raise_peaks(x->out.peaks, &x->out.peaks_set, ev->peaks);
        bool remove_stage = s->active == 0 && (s->status == AM_STAGE_COMPLETE || s->status == AM_STAGE_FAILED);
        if (remove_stage)
                stage_store(e, s, true);
        end_in_jobs(s, ev, d, e, remove_stage);
        if (d->timed && ev->finish_ms == 0)
                return; /* TaskInfo.duration throws: the rest is left out */
        x->out.task_ms += d->timed ? duration_ms : 0;
        x->out.succeeded += d->completed;
        x->out.failed += d->failed;
        x->out.killed += d->killed;
        if (delta)
                add_metrics(x->out.metrics, delta);
        if (ev->t.speculative) {
                s->slot->has_speculation = true;
                s->slot->speculation[1]--;
                s->slot->speculation[2] += d->completed;
                s->slot->speculation[3] += d->failed;
                s->slot->speculation[4] += d->killed;
        }
        if (s->saved_tasks > e->o.retained_tasks)
                evict_tasks(e, s);
        if (remove_stage)
                stage_retire(e, s);
}

void on_task_end(struct eventlog *e, struct task_event *ev, const struct scan_accumulable *updates) {
        intern_names(e, ev);
        if (e->o.as_35)
                memcpy(&ev->t.metrics[TM_PUSH_CORRUPT], ev->push_35, sizeof(ev->push_35));
        enum outcome outcome = outcome_of(e, ev);
        int64_t delta[TM_COUNT];
        bool was_live = end_task(e, ev, updates, delta);
        const struct deltas d = {outcome == SUCCEEDED, outcome == FAILED || outcome == RESUBMITTED, outcome == KILLED,
                                 outcome != RESUBMITTED, outcome != RESUBMITTED || e->o.as_35};
        int64_t duration_ms = ev->finish_ms - ev->t.launch_ms;
        struct stage *s = live_stage(e, ev->stage, ev->attempt);
        if (s)
                end_in_stage(e, s, ev, &d, was_live ? delta : NULL, duration_ms);
        struct executor *x = live_executor(e, ev->t.executor);
        if (x && (ev->finish_ms || !d.timed)) {
                x->out.active_tasks -= d.active;
                x->out.completed_tasks += d.completed;
                x->out.failed_tasks += d.failed;
                x->out.total_duration += d.timed ? duration_ms : 0;
                bool set = x->out.peaks_set;
                raise_peaks(x->out.peaks, &set, ev->peaks);
                x->out.peaks_set = set;
                if (outcome != RESUBMITTED) {
                        const int64_t *m = ev->t.metrics;
                        x->out.total_gc += m[TM_GC_TIME];
                        x->out.total_input += m[TM_INPUT_BYTES];
                        x->out.total_shuffle_read += m[TM_READ_LOCAL_BYTES] + m[TM_READ_REMOTE_BYTES];
                        x->out.total_shuffle_write += m[TM_WRITE_BYTES];
                }
                if (x->out.active_tasks == 0)
                        executor_store(e, x, false);
        }
        sql_task_update(e, ev->stage, ev->attempt, ev->t.id, ev->t.index, ev->finish_ms && !ev->failed && !ev->killed, updates,
                        ev->num_accumulables);
}

/* ---- heartbeats, which a log has with spark.eventLog.logStageExecutorMetrics only ---- */

static const struct {
        const char *name;
        enum task_metric metric;
} accumulator_metrics[] = {
        {"executorDeserializeTime", TM_DESERIALIZE_TIME},
        {"executorDeserializeCpuTime", TM_DESERIALIZE_CPU},
        {"executorRunTime", TM_RUN_TIME},
        {"executorCpuTime", TM_CPU_TIME},
        {"resultSize", TM_RESULT_SIZE},
        {"jvmGCTime", TM_GC_TIME},
        {"resultSerializationTime", TM_SERIALIZE_TIME},
        {"memoryBytesSpilled", TM_MEMORY_SPILLED},
        {"diskBytesSpilled", TM_DISK_SPILLED},
        {"peakExecutionMemory", TM_PEAK_MEMORY},
        {"input.bytesRead", TM_INPUT_BYTES},
        {"input.recordsRead", TM_INPUT_RECORDS},
        {"output.bytesWritten", TM_OUTPUT_BYTES},
        {"output.recordsWritten", TM_OUTPUT_RECORDS},
        {"shuffle.read.remoteBlocksFetched", TM_READ_REMOTE_BLOCKS},
        {"shuffle.read.localBlocksFetched", TM_READ_LOCAL_BLOCKS},
        {"shuffle.read.fetchWaitTime", TM_READ_FETCH_WAIT},
        {"shuffle.read.remoteBytesRead", TM_READ_REMOTE_BYTES},
        {"shuffle.read.remoteBytesReadToDisk", TM_READ_REMOTE_TO_DISK},
        {"shuffle.read.localBytesRead", TM_READ_LOCAL_BYTES},
        {"shuffle.read.recordsRead", TM_READ_RECORDS},
        {"shuffle.read.remoteReqsDuration", TM_READ_REMOTE_REQS},
        {"shuffle.push.read.corruptMergedBlockChunks", TM_PUSH_CORRUPT},
        {"shuffle.push.read.mergedFetchFallbackCount", TM_PUSH_FALLBACK},
        {"shuffle.push.read.remoteMergedBlocksFetched", TM_PUSH_REMOTE_BLOCKS},
        {"shuffle.push.read.localMergedBlocksFetched", TM_PUSH_LOCAL_BLOCKS},
        {"shuffle.push.read.remoteMergedChunksFetched", TM_PUSH_REMOTE_CHUNKS},
        {"shuffle.push.read.localMergedChunksFetched", TM_PUSH_LOCAL_CHUNKS},
        {"shuffle.push.read.remoteMergedBytesRead", TM_PUSH_REMOTE_BYTES},
        {"shuffle.push.read.localMergedBytesRead", TM_PUSH_LOCAL_BYTES},
        {"shuffle.push.read.remoteMergedReqsDuration", TM_PUSH_REMOTE_REQS},
        {"shuffle.write.bytesWritten", TM_WRITE_BYTES},
        {"shuffle.write.writeTime", TM_WRITE_TIME},
        {"shuffle.write.recordsWritten", TM_WRITE_RECORDS},
};

static void task_heartbeat(struct eventlog *e, struct am_str executor, yyjson_val *update) {
        static const char prefix[] = "internal.metrics.";
        struct live_task *task = idmap_get(&e->tasks, (uint64_t)json_get_int(update, "Task ID", -1));
        yyjson_val *list = yyjson_obj_get(update, "Accumulator Updates"), *v;
        if (!task || !yyjson_is_arr(list))
                return;
        int64_t now[TM_COUNT] = {0}, delta[TM_COUNT];
        size_t i, max;
        VEC(struct scan_accumulable) sql = {0};
        yyjson_arr_foreach(list, i, max, v) {
                const char *name = json_get_str(v, "Name");
                yyjson_val *value = yyjson_obj_get(v, "Update");
                if (name && str_starts(name, prefix)) {
                        for (size_t k = 0; k < ARRAY_LEN(accumulator_metrics); k++)
                                if (streq(name + sizeof(prefix) - 1, accumulator_metrics[k].name))
                                        now[accumulator_metrics[k].metric] = json_get_int(v, "Update", 0);
                } else if (value && !yyjson_is_null(value)) {
                        *vec_push(&sql) =
                                (struct scan_accumulable){.id = json_get_int(v, "ID", 0), .update = scan_as_text(&e->scan, value)};
                }
        }
        for (i = 0; i < TM_COUNT; i++)
                delta[i] = now[i] - (task->old ? task->old[i] : 0);
        if (!task->old)
                task->old = xmalloc(sizeof(now));
        memcpy(task->old, now, sizeof(now));
        int32_t stage_id = (int32_t)json_get_int(update, "Stage ID", 0), attempt = (int32_t)json_get_int(update, "Stage Attempt ID", 0);
        struct stage *s = live_stage(e, stage_id, attempt);
        if (s) {
                add_metrics(s->metrics, delta);
                struct stage_executor *x = stage_executor_of(s, executor);
                x->exists = true;
                add_metrics(x->out.metrics, delta);
        }
        sql_task_update(e, stage_id, attempt, task->t.id, task->t.index, false, sql.items, sql.len);
        vec_done(&sql);
}

void on_executor_metrics_update(struct eventlog *e, yyjson_val *v) {
        struct am_str executor = intern_member(e, v, "Executor ID");
        yyjson_val *list = yyjson_obj_get(v, "Metrics Updated"), *item;
        size_t i, max;
        if (yyjson_is_arr(list))
                yyjson_arr_foreach(list, i, max, item) task_heartbeat(e, executor, item);
        list = yyjson_obj_get(v, "Executor Metrics Updated");
        if (!yyjson_is_arr(list))
                return;
        yyjson_arr_foreach(list, i, max, item) {
                int64_t peaks[AM_PEAKS];
                peaks_of(yyjson_obj_get(item, "Executor Metrics"), peaks);
                struct executor *x = live_executor(e, executor);
                bool set = x && x->out.peaks_set;
                if (x && raise_peaks(x->out.peaks, &set, peaks)) {
                        x->out.peaks_set = set;
                        executor_store(e, x, false);
                }
                struct stage *s =
                        live_stage(e, (int32_t)json_get_int(item, "Stage ID", 0), (int32_t)json_get_int(item, "Stage Attempt ID", 0));
                if (!s)
                        continue;
                raise_peaks(s->peaks, &s->peaks_set, peaks);
                struct stage_executor *sx = stage_executor_of(s, executor);
                sx->exists = true;
                raise_peaks(sx->out.peaks, &sx->out.peaks_set, peaks);
        }
}

void tasks_finish(struct eventlog *e) {
        idmap_foreach(slot, &e->tasks) {
                struct live_task *task = slot->value;
                if (task->old) {
                        task->t.has_metrics = true;
                        memcpy(task->t.metrics, task->old, sizeof(task->t.metrics));
                }
                store_row(e, task->slot, &task->t);
        }
}
