/* Distributions over the tasks and the executors of a stage. */
#include <math.h>

#include "history/rest-internal.h"
#include "spark/select.h"

/* What one task contributes besides its metrics. Negative: nothing. */
enum { COLUMN_DURATION = TM_COUNT, COLUMN_GETTING_RESULT, COLUMN_DELAY, COLUMN_READ_BYTES, COLUMN_READ_BLOCKS, COLUMNS };

struct columns {
        struct rest_call *c;
        int64_t *values[COLUMNS];
        int64_t least[COLUMNS], most[COLUMNS];
        size_t len[COLUMNS], cap;
        bool by_clock; /* a task's time goes on */
};

static void put(struct columns *k, size_t column, int64_t v) {
        if (v < 0)
                return;
        if (k->len[column] == 0)
                k->least[column] = k->most[column] = v;
        k->least[column] = v < k->least[column] ? v : k->least[column];
        k->most[column] = v > k->most[column] ? v : k->most[column];
        k->values[column][k->len[column]++] = v;
}

static int collect(void *arg, const struct am_task *t) {
        struct columns *k = arg;
        int64_t duration = task_duration(k->c, t);
        if (k->len[COLUMN_DURATION] >= k->cap)
                return -EBADMSG;
        k->by_clock = k->by_clock || t->duration_ms == AM_NONE || duration <= 0;
        put(k, COLUMN_DURATION, duration);
        if (!t->has_metrics)
                return 0;
        /* Spark stores fetch starts that are not there as -1. */
        put(k, COLUMN_GETTING_RESULT, am_getting_result_ms(t->launch_ms, t->fetch_start_ms, duration, k->c->app->now_ms));
        put(k, COLUMN_DELAY, am_scheduler_delay_ms(t, duration, k->c->app->now_ms));
        if (t->status != AM_TASK_SUCCESS)
                return 0; /* kept as negative numbers, which the scan passes over */
        for (size_t i = 0; i < TM_COUNT; i++)
                put(k, i, t->metrics[i]);
        put(k, COLUMN_READ_BYTES, t->metrics[TM_READ_LOCAL_BYTES] + t->metrics[TM_READ_REMOTE_BYTES]);
        put(k, COLUMN_READ_BLOCKS, t->metrics[TM_READ_LOCAL_BLOCKS] + t->metrics[TM_READ_REMOTE_BLOCKS]);
        return 0;
}

static int64_t quantile_index(double q, size_t count) {
        double at = q * (double)count;
        int64_t index = isnan(at) ? 0 : at >= 9e18 ? INT64_MAX : at <= -9e18 ? INT64_MIN : (int64_t)at;
        return index < (int64_t)count - 1 ? index : (int64_t)count - 1;
}

/* Walks the ordered values as AppStatusStore.scanTasks walks its iterator. `count` is that of the run times. */
static void write_quantiles(struct columns *k, const char *key, size_t column, const struct quantiles *q, size_t count) {
        struct rest_call *c = k->c;
        int64_t *v = k->values[column];
        size_t n = k->len[column];
        bool all_same = n && k->least[column] == k->most[column];
        double last = NAN;
        int64_t current = -1;
        size_t at = 0, ordered = 0;
        jackson_key(&c->j, key);
        jackson_array(&c->j);
        for (size_t i = 0; i < q->count; i++) {
                int64_t index = quantile_index(q->q[i], count);
                if (index == current) {
                        jackson_double(&c->j, last);
                        continue;
                }
                int64_t skip = index - current - 1;
                current = index;
                at = skip > 0 ? ((uint64_t)skip > n - at ? n : at + (size_t)skip) : at;
                if (at >= n) {
                        jackson_double(&c->j, NAN);
                        continue;
                }
                if (at >= ordered && !all_same) { /* places before `ordered` hold their final values */
                        select_kth(v + ordered, n - ordered, at - ordered);
                        ordered = at + 1;
                }
                last = (double)v[at++];
                jackson_double(&c->j, last);
        }
        jackson_end_array(&c->j);
}

struct distribution {
        const char *name;
        size_t column;
};
static const struct distribution task_part[] = {
        {"duration", COLUMN_DURATION},
        {"executorDeserializeTime", TM_DESERIALIZE_TIME},
        {"executorDeserializeCpuTime", TM_DESERIALIZE_CPU},
        {"executorRunTime", TM_RUN_TIME},
        {"executorCpuTime", TM_CPU_TIME},
        {"resultSize", TM_RESULT_SIZE},
        {"jvmGcTime", TM_GC_TIME},
        {"resultSerializationTime", TM_SERIALIZE_TIME},
        {"gettingResultTime", COLUMN_GETTING_RESULT},
        {"schedulerDelay", COLUMN_DELAY},
        {"peakExecutionMemory", TM_PEAK_MEMORY},
        {"memoryBytesSpilled", TM_MEMORY_SPILLED},
        {"diskBytesSpilled", TM_DISK_SPILLED},
        {NULL, 0},
};
static const struct distribution input_part[] = {{"bytesRead", TM_INPUT_BYTES}, {"recordsRead", TM_INPUT_RECORDS}, {NULL, 0}};
static const struct distribution output_part[] = {{"bytesWritten", TM_OUTPUT_BYTES}, {"recordsWritten", TM_OUTPUT_RECORDS}, {NULL, 0}};
static const struct distribution read_part[] = {
        {"readBytes", COLUMN_READ_BYTES},
        {"readRecords", TM_READ_RECORDS},
        {"remoteBlocksFetched", TM_READ_REMOTE_BLOCKS},
        {"localBlocksFetched", TM_READ_LOCAL_BLOCKS},
        {"fetchWaitTime", TM_READ_FETCH_WAIT},
        {"remoteBytesRead", TM_READ_REMOTE_BYTES},
        {"remoteBytesReadToDisk", TM_READ_REMOTE_TO_DISK},
        {"totalBlocksFetched", COLUMN_READ_BLOCKS},
        {"remoteReqsDuration", TM_READ_REMOTE_REQS},
        {NULL, 0},
};
static const struct distribution push_part[] = {
        {"corruptMergedBlockChunks", TM_PUSH_CORRUPT},
        {"mergedFetchFallbackCount", TM_PUSH_FALLBACK},
        {"remoteMergedBlocksFetched", TM_PUSH_REMOTE_BLOCKS},
        {"localMergedBlocksFetched", TM_PUSH_LOCAL_BLOCKS},
        {"remoteMergedChunksFetched", TM_PUSH_REMOTE_CHUNKS},
        {"localMergedChunksFetched", TM_PUSH_LOCAL_CHUNKS},
        {"remoteMergedBytesRead", TM_PUSH_REMOTE_BYTES},
        {"localMergedBytesRead", TM_PUSH_LOCAL_BYTES},
        {"remoteMergedReqsDuration", TM_PUSH_REMOTE_REQS},
        {NULL, 0},
};
static const struct distribution write_part[] = {
        {"writeBytes", TM_WRITE_BYTES}, {"writeRecords", TM_WRITE_RECORDS}, {"writeTime", TM_WRITE_TIME}, {NULL, 0}};

static void write_part_of(struct columns *k, const struct distribution *part, const struct quantiles *q) {
        for (; part->name; part++)
                write_quantiles(k, part->name, part->column, q, k->len[TM_RUN_TIME]);
}

static void write_nested(struct columns *k, const char *key, const struct distribution *part, const struct quantiles *q) {
        jackson_key(&k->c->j, key);
        jackson_object(&k->c->j);
        write_part_of(k, part, q);
        if (part == read_part)
                write_nested(k, "shufflePushReadMetricsDist", push_part, q);
        jackson_end_object(&k->c->j);
}

static void write_doubles(struct rest_call *c, const char *key, const double *v, size_t n) {
        jackson_key(&c->j, key);
        jackson_array(&c->j);
        for (size_t i = 0; i < n; i++)
                jackson_double(&c->j, v[i]);
        jackson_end_array(&c->j);
}

bool write_task_summary(struct rest_call *c, const struct am_stage *s, const struct quantiles *q, const char *key, bool *ret_lasting) {
        AUTO(err) struct err err = ERR_INIT;
        struct columns k = {.c = c, .cap = s->stored_tasks};
        AUTO(free) int64_t *memory = xmalloc((k.cap ? k.cap : 1) * COLUMNS * sizeof(*memory));
        for (size_t i = 0; i < COLUMNS; i++)
                k.values[i] = memory + i * k.cap;
        if (appmodel_tasks(c->m, s, collect, &k, &err) < 0) {
                rest_error(c->a, 500, "%s: %s", c->app->key, err_message(&err));
                return false;
        }
        if (k.len[TM_RUN_TIME] == 0)
                return false;
        if (ret_lasting)
                *ret_lasting = !k.by_clock;
        struct jackson *j = &c->j;
        if (key)
                jackson_key(j, key);
        jackson_object(j);
        write_doubles(c, "quantiles", q->q, q->count);
        write_part_of(&k, task_part, q);
        write_nested(&k, "inputMetrics", input_part, q);
        write_nested(&k, "outputMetrics", output_part, q);
        write_nested(&k, "shuffleReadMetrics", read_part, q);
        write_nested(&k, "shuffleWriteMetrics", write_part, q);
        jackson_end_object(j);
        return true;
}

/* ---- executors ---- */

enum { EXECUTOR_TIME, EXECUTOR_FAILED, EXECUTOR_SUCCEEDED, EXECUTOR_KILLED, EXECUTOR_METRICS, EXECUTOR_COLUMNS = EXECUTOR_METRICS + 10 };
static const char *const executor_columns[EXECUTOR_COLUMNS] = {
        "taskTime",     "failedTasks",         "succeededTasks",     "killedTasks",      "inputBytes",
        "inputRecords", "outputBytes",         "outputRecords",      "shuffleRead",      "shuffleReadRecords",
        "shuffleWrite", "shuffleWriteRecords", "memoryBytesSpilled", "diskBytesSpilled",
};

struct executors {
        int64_t *rows;  /* EXECUTOR_COLUMNS each */
        int64_t *peaks; /* AM_PEAKS each */
        size_t count, num_peaks, cap;
};

static int collect_executor(void *arg, const struct am_stage_executor *x) {
        struct executors *e = arg;
        const int64_t *m = x->metrics;
        if (e->count >= e->cap)
                return -EBADMSG;
        int64_t row[EXECUTOR_COLUMNS] = {x->task_ms,
                                         x->failed,
                                         x->succeeded,
                                         x->killed,
                                         m[TM_INPUT_BYTES],
                                         m[TM_INPUT_RECORDS],
                                         m[TM_OUTPUT_BYTES],
                                         m[TM_OUTPUT_RECORDS],
                                         m[TM_READ_REMOTE_BYTES] + m[TM_READ_LOCAL_BYTES],
                                         m[TM_READ_RECORDS],
                                         m[TM_WRITE_BYTES],
                                         m[TM_WRITE_RECORDS],
                                         m[TM_MEMORY_SPILLED],
                                         m[TM_DISK_SPILLED]};
        memcpy(e->rows + e->count++ * EXECUTOR_COLUMNS, row, sizeof(row));
        if (x->peaks_set)
                memcpy(e->peaks + e->num_peaks++ * AM_PEAKS, x->peaks, sizeof(x->peaks));
        return 0;
}

static int by_number(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

/* Column `at` of rows of `width`; no rows give zeros (AppStatusUtils.getQuantilesValue). */
static void write_column(struct rest_call *c, const char *key, const int64_t *rows, size_t count, size_t width, size_t at,
                         const struct quantiles *q) {
        AUTO(free) int64_t *v = xmalloc((count ? count : 1) * sizeof(*v));
        double out[ARRAY_LEN(q->q)];
        for (size_t i = 0; i < count; i++)
                v[i] = rows[i * width + at];
        qsort(v, count, sizeof(*v), by_number);
        for (size_t i = 0; i < q->count; i++) {
                int64_t index = count ? quantile_index(q->q[i], count) : 0;
                out[i] = count ? (double)v[index < 0 ? 0 : index] : 0.0;
        }
        write_doubles(c, key, out, q->count);
}

void write_executor_summary(struct rest_call *c, const struct am_stage *s, const struct quantiles *q) {
        AUTO(err) struct err err = ERR_INIT;
        size_t n = s->stored_executors;
        AUTO(free) int64_t *rows = xmalloc((n ? n : 1) * EXECUTOR_COLUMNS * sizeof(*rows));
        AUTO(free) int64_t *peaks = xmalloc((n ? n : 1) * AM_PEAKS * sizeof(*peaks));
        struct executors e = {.rows = rows, .peaks = peaks, .cap = n};
        if (appmodel_stage_executors(c->m, s, collect_executor, &e, &err) < 0) {
                rest_error(c->a, 500, "%s: %s", c->app->key, err_message(&err));
                return;
        }
        if (e.count == 0)
                return;
        struct jackson *j = &c->j;
        jackson_key(j, "executorMetricsDistributions");
        jackson_object(j);
        write_doubles(c, "quantiles", q->q, q->count);
        for (size_t i = 0; i < EXECUTOR_COLUMNS; i++)
                write_column(c, executor_columns[i], rows, e.count, EXECUTOR_COLUMNS, i, q);
        jackson_key(j, "peakMemoryMetrics");
        jackson_object(j);
        for (size_t i = 0; i < c->app->num_peaks; i++)
                write_column(c, appmodel_peak_names[i], peaks, e.num_peaks, AM_PEAKS, i, q);
        jackson_end_object(j);
        jackson_end_object(j);
}
