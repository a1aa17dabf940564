/* Lists of tasks: by id, by run time, as Spark's own table asks for them. */
#include <ctype.h>
#include <time.h>

#include "base/arena.h"
#include "history/rest-internal.h"
#include "spark/jformat.h"

int64_t task_duration(const struct rest_call *c, const struct am_task *t) {
        return t->duration_ms != AM_NONE ? t->duration_ms : c->app->last_updated_ms - t->launch_ms;
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

/* What the API shows of a metric: those of tasks without success went through a negation. */
static int64_t shown(const struct am_task *t, enum task_metric m) {
        return t->status == AM_TASK_SUCCESS ? t->metrics[m] : magnitude(t->metrics[m]);
}

struct member {
        const char *name;
        enum task_metric metric;
};
static const struct member plain[] = {
        {"executorDeserializeTime", TM_DESERIALIZE_TIME},
        {"executorDeserializeCpuTime", TM_DESERIALIZE_CPU},
        {"executorRunTime", TM_RUN_TIME},
        {"executorCpuTime", TM_CPU_TIME},
        {"resultSize", TM_RESULT_SIZE},
        {"jvmGcTime", TM_GC_TIME},
        {"resultSerializationTime", TM_SERIALIZE_TIME},
        {"memoryBytesSpilled", TM_MEMORY_SPILLED},
        {"diskBytesSpilled", TM_DISK_SPILLED},
        {"peakExecutionMemory", TM_PEAK_MEMORY},
        {NULL, 0},
};
static const struct member input[] = {{"bytesRead", TM_INPUT_BYTES}, {"recordsRead", TM_INPUT_RECORDS}, {NULL, 0}};
static const struct member output[] = {{"bytesWritten", TM_OUTPUT_BYTES}, {"recordsWritten", TM_OUTPUT_RECORDS}, {NULL, 0}};
static const struct member shuffle_read[] = {
        {"remoteBlocksFetched", TM_READ_REMOTE_BLOCKS},
        {"localBlocksFetched", TM_READ_LOCAL_BLOCKS},
        {"fetchWaitTime", TM_READ_FETCH_WAIT},
        {"remoteBytesRead", TM_READ_REMOTE_BYTES},
        {"remoteBytesReadToDisk", TM_READ_REMOTE_TO_DISK},
        {"localBytesRead", TM_READ_LOCAL_BYTES},
        {"recordsRead", TM_READ_RECORDS},
        {"remoteReqsDuration", TM_READ_REMOTE_REQS},
        {NULL, 0},
};
static const struct member shuffle_push[] = {
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
static const struct member shuffle_write[] = {
        {"bytesWritten", TM_WRITE_BYTES}, {"writeTime", TM_WRITE_TIME}, {"recordsWritten", TM_WRITE_RECORDS}, {NULL, 0}};

static void write_members(struct rest_call *c, const struct am_task *t, const struct member *m) {
        for (; m->name; m++)
                jackson_member_int(&c->j, m->name, shown(t, m->metric));
}

static void write_nested(struct rest_call *c, const struct am_task *t, const char *key, const struct member *m) {
        jackson_key(&c->j, key);
        jackson_object(&c->j);
        write_members(c, t, m);
        if (m == shuffle_read)
                write_nested(c, t, "shufflePushReadMetrics", shuffle_push);
        jackson_end_object(&c->j);
}

static bool is_finished(const struct am_task *t) {
        return t->status == AM_TASK_FAILED || t->status == AM_TASK_KILLED || t->status == AM_TASK_SUCCESS;
}

static int64_t shown_delay(const struct rest_call *c, const struct am_task *t) {
        int64_t duration = task_duration(c, t);
        return is_finished(t) && t->has_metrics && duration > 0 ? am_scheduler_delay_ms(t, duration, c->app->now_ms) : 0;
}

static int64_t shown_getting_result(const struct rest_call *c, const struct am_task *t) {
        int64_t duration = task_duration(c, t);
        return am_getting_result_ms(t->launch_ms, t->fetch_start_ms, duration > 0 ? duration : -1, c->app->now_ms);
}

void write_task(struct rest_call *c, const struct am_task *t) {
        struct jackson *j = &c->j;
        int64_t duration = task_duration(c, t);
        jackson_object(j);
        jackson_member_int(j, "taskId", t->id);
        jackson_member_int(j, "index", t->index);
        jackson_member_int(j, "attempt", t->attempt);
        jackson_member_int(j, "partitionId", t->partition);
        jackson_member_date(j, "launchTime", t->launch_ms);
        if (t->fetch_start_ms > 0)
                jackson_member_date(j, "resultFetchStart", t->fetch_start_ms);
        if (duration > 0)
                jackson_member_int(j, "duration", duration);
        member_text(c, "executorId", t->executor);
        member_text(c, "host", t->host);
        jackson_member_string(j, "status", sv_of(appmodel_task_status[t->status]));
        member_text(c, "taskLocality", t->locality);
        jackson_member_bool(j, "speculative", t->speculative);
        jackson_key(j, "accumulatorUpdates");
        jackson_array(j);
        struct sv rest = t->accumulables;
        struct am_accumulable a;
        for (uint32_t i = 0; i < t->num_accumulables && appmodel_task_accumulables(&rest, &a); i++) {
                jackson_object(j);
                jackson_member_int(j, "id", a.id);
                member_text(c, "name", a.name);
                member_text(c, "update", a.update);
                member_text(c, "value", a.value);
                jackson_end_object(j);
        }
        jackson_end_array(j);
        member_text(c, "errorMessage", t->error);
        if (t->has_metrics) {
                jackson_key(j, "taskMetrics");
                jackson_object(j);
                write_members(c, t, plain);
                write_nested(c, t, "inputMetrics", input);
                write_nested(c, t, "outputMetrics", output);
                write_nested(c, t, "shuffleReadMetrics", shuffle_read);
                write_nested(c, t, "shuffleWriteMetrics", shuffle_write);
                jackson_end_object(j);
        }
        write_executor_logs(c, appmodel_executor(c->m, text(c, t->executor)));
        jackson_member_int(j, "schedulerDelay", shown_delay(c, t));
        jackson_member_int(j, "gettingResultTime", shown_getting_result(c, t));
        jackson_end_object(j);
}

/* As rest_task_status. "GET RESULT" is none of them. */
static bool has_status(const struct am_task *t, unsigned statuses) {
        static const int bit[AM_TASK_STATES] = {
                [AM_TASK_RUNNING] = 0, [AM_TASK_GET_RESULT] = 31, [AM_TASK_FAILED] = 2, [AM_TASK_KILLED] = 1, [AM_TASK_SUCCESS] = 3};
        return statuses >> bit[t->status] & 1;
}

static void damaged(struct rest_call *c, const struct err *err) { rest_error(c->a, 500, "%s: %s", c->app->key, err_message(err)); }

struct map_writer {
        struct rest_call *c;
        unsigned statuses;
};

static int write_map_entry(void *arg, const struct am_task *t) {
        struct map_writer *w = arg;
        char id[24];
        if (w->statuses && !has_status(t, w->statuses))
                return 0;
        snprintf(id, sizeof(id), "%lld", (long long)t->id);
        jackson_key(&w->c->j, id);
        write_task(w->c, t);
        return !rest_go_on(w->c);
}

void write_task_map(struct rest_call *c, const struct am_stage *s, unsigned statuses) {
        struct map_writer w = {c, statuses};
        AUTO(err) struct err err = ERR_INIT;
        jackson_key(&c->j, "tasks");
        jackson_object(&c->j);
        int r = appmodel_tasks(c->m, s, write_map_entry, &w, &err);
        jackson_end_object(&c->j);
        if (r < 0)
                damaged(c, &err);
}

/* ---- ordered lists ---- */

enum order_kind {
        ORDER_ID,
        ORDER_METRIC,
        ORDER_INDEX,
        ORDER_ATTEMPT,
        ORDER_PARTITION,
        ORDER_STATUS,
        ORDER_LOCALITY,
        ORDER_EXECUTOR,
        ORDER_HOST,
        ORDER_LAUNCH,
        ORDER_DELAY,
        ORDER_GETTING_RESULT,
        ORDER_READ_BYTES,
        ORDER_ERROR,
        ORDER_ACCUMULATORS
};

struct order {
        enum order_kind kind;
        enum task_metric metric;
        bool ascending;
};

struct entry {
        int64_t number, id;
        struct sv word; /* for orders by text; numbers are all 0 then */
        struct am_place place;
};

struct lister {
        struct rest_call *c;
        const struct order *order;
        unsigned statuses;
        const char *search; /* lower case, or NULL */
        struct arena arena;
        VEC(struct entry) entries;
};

/* The value in Spark's store: negated when the task did not succeed, -1 when it reported none. */
static int64_t stored(const struct am_task *t, enum task_metric m) {
        return !t->has_metrics ? -1 : t->status == AM_TASK_SUCCESS ? t->metrics[m] : -t->metrics[m] - 1;
}

static int64_t order_number(const struct rest_call *c, const struct am_task *t, const struct order *o) {
        switch (o->kind) {
        case ORDER_METRIC:
                return stored(t, o->metric);
        case ORDER_INDEX:
                return t->index;
        case ORDER_ATTEMPT:
                return t->attempt;
        case ORDER_PARTITION:
                return t->partition;
        case ORDER_LAUNCH:
                return t->launch_ms;
        case ORDER_DELAY:
                return t->has_metrics ? am_scheduler_delay_ms(t, task_duration(c, t), c->app->now_ms) : -1;
        case ORDER_GETTING_RESULT:
                return t->has_metrics ? am_getting_result_ms(t->launch_ms, t->fetch_start_ms, task_duration(c, t), c->app->now_ms) : -1;
        case ORDER_READ_BYTES:
                return t->has_metrics ? stored(t, TM_READ_LOCAL_BYTES) + stored(t, TM_READ_REMOTE_BYTES) : -1;
        default:
                return 0;
        }
}

static struct sv first_accumulator(struct lister *l, const struct am_task *t) {
        struct sv rest = t->accumulables;
        struct am_accumulable a;
        if (!t->num_accumulables || !appmodel_task_accumulables(&rest, &a))
                return SV("");
        struct sv name = text(l->c, a.name), value = text(l->c, a.value);
        return sv_of(arena_printf(&l->arena, "%.*s:%.*s", SV_ARG(name.data ? name : SV("null")), SV_ARG(value.data ? value : SV("null"))));
}

static struct sv order_word(struct lister *l, const struct am_task *t) {
        switch (l->order->kind) {
        case ORDER_STATUS:
                return sv_of(appmodel_task_status[t->status]);
        case ORDER_LOCALITY:
                return text(l->c, t->locality);
        case ORDER_EXECUTOR:
                return text(l->c, t->executor);
        case ORDER_HOST:
                return text(l->c, t->host);
        case ORDER_ERROR:
                return text(l->c, t->error);
        case ORDER_ACCUMULATORS:
                return first_accumulator(l, t);
        default:
                return SV("");
        }
}

static bool found_in(struct sv v, const char *needle) {
        size_t n = strlen(needle);
        for (size_t i = 0; i + n <= v.len; i++) {
                size_t k = 0;
                while (k < n && tolower((unsigned char)v.data[i + k]) == (unsigned char)needle[k])
                        k++;
                if (k == n)
                        return true;
        }
        return false;
}

static bool found_number(int64_t v, const char *needle) {
        char digits[24];
        snprintf(digits, sizeof(digits), "%lld", (long long)v);
        return found_in(sv_of(digits), needle);
}

static bool found_formatted(void (*format)(struct str *, int64_t), int64_t v, const char *needle) {
        AUTO(str) struct str s = STR_INIT(0);
        format(&s, v);
        return found_in(str_sv(&s), needle);
}

static bool found_in_metrics(const struct am_task *t, const char *needle) {
        static const enum task_metric durations[] = {TM_DESERIALIZE_TIME, TM_RUN_TIME, TM_GC_TIME, TM_SERIALIZE_TIME, TM_READ_FETCH_WAIT};
        static const enum task_metric sizes[] = {TM_MEMORY_SPILLED, TM_DISK_SPILLED,      TM_PEAK_MEMORY, TM_INPUT_BYTES,
                                                 TM_OUTPUT_BYTES,   TM_READ_REMOTE_BYTES, TM_WRITE_BYTES};
        static const enum task_metric numbers[] = {TM_INPUT_RECORDS, TM_OUTPUT_RECORDS, TM_READ_RECORDS, TM_WRITE_RECORDS};
        for (size_t i = 0; i < ARRAY_LEN(durations); i++)
                if (found_formatted(jformat_ui_duration, shown(t, durations[i]), needle))
                        return true;
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                if (found_formatted(jformat_bytes, shown(t, sizes[i]), needle))
                        return true;
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
                if (found_number(shown(t, numbers[i]), needle))
                        return true;
        return found_formatted(jformat_bytes, shown(t, TM_READ_LOCAL_BYTES) + shown(t, TM_READ_REMOTE_BYTES), needle) ||
               found_formatted(jformat_ui_duration, shown(t, TM_WRITE_TIME) / 1000000, needle);
}

enum { DATE_TEXT = 40 };

static void format_date(int64_t ms, const char *format, char ret[DATE_TEXT]) {
        struct tm tm;
        time_t seconds = (time_t)((ms - (ms < 0 ? 999 : 0)) / 1000);
        if (!gmtime_r(&seconds, &tm) || !strftime(ret, DATE_TEXT, format, &tm))
                *ret = 0;
}

/* What the search field of Spark's task table looks at. */
static bool is_found(struct lister *l, const struct am_task *t) {
        const char *n = l->search;
        char launch[DATE_TEXT], fetch[DATE_TEXT] = "d";
        format_date(t->launch_ms, "%Y/%m/%d %H:%M:%S", launch);
        if (t->fetch_start_ms > 0)
                format_date(t->fetch_start_ms, "%a %b %d %H:%M:%S UTC %Y", fetch);
        return found_number(t->id, n) || found_number(t->index, n) || found_number(t->attempt, n) || found_in(sv_of(launch), n) ||
               found_in(sv_of(fetch), n) || found_in(text(l->c, t->executor), n) || found_in(text(l->c, t->host), n) ||
               found_in(sv_of(appmodel_task_status[t->status]), n) || found_in(text(l->c, t->locality), n) ||
               found_in(t->speculative ? SV("true") : SV("false"), n) ||
               found_in(t->error.off == UINT32_MAX ? SV("d") : text(l->c, t->error), n) || (t->has_metrics && found_in_metrics(t, n)) ||
               found_formatted(jformat_ui_duration, shown_delay(l->c, t), n) ||
               found_formatted(jformat_ui_duration, shown_getting_result(l->c, t), n);
}

static int collect(void *arg, const struct am_task *t) {
        struct lister *l = arg;
        if (l->statuses && !has_status(t, l->statuses))
                return 0;
        struct sv word = order_word(l, t);
        *vec_push(&l->entries) = (struct entry){order_number(l->c, t, l->order), t->id, word, t->place};
        return 0;
}

static int compare(const void *a, const void *b, void *arg) {
        const struct entry *x = a, *y = b;
        const struct order *o = arg;
        int sign = o->ascending ? 1 : -1;
        if (x->number != y->number)
                return x->number < y->number ? -sign : sign;
        size_t n = x->word.len < y->word.len ? x->word.len : y->word.len;
        int diff = n ? memcmp(x->word.data, y->word.data, n) : 0;
        if (diff)
                return diff < 0 ? -sign : sign;
        if (x->word.len != y->word.len)
                return x->word.len < y->word.len ? -sign : sign;
        return x->id < y->id ? -sign : x->id > y->id ? sign : 0;
}

static void sift_down(struct entry *heap, size_t n, size_t at, const struct order *o) {
        for (size_t child; (child = 2 * at + 1) < n; at = child) {
                if (child + 1 < n && compare(&heap[child], &heap[child + 1], (void *)o) < 0)
                        child++;
                if (compare(&heap[at], &heap[child], (void *)o) >= 0)
                        return;
                struct entry swap = heap[at];
                heap[at] = heap[child];
                heap[child] = swap;
        }
}

/* Puts the first k of the order in front, in no order among themselves: a heap whose top is the last of them. */
static void select_first(struct entry *v, size_t n, size_t k, const struct order *o) {
        for (size_t i = k / 2; i-- > 0;)
                sift_down(v, k, i, o);
        for (size_t i = k; i < n; i++)
                if (compare(&v[i], &v[0], (void *)o) < 0) {
                        struct entry swap = v[0];
                        v[0] = v[i];
                        v[i] = swap;
                        sift_down(v, k, 0, o);
                }
}

/* Writes an array of the tasks [offset, offset + length) in the lister's order. */
static void write_page(struct lister *l, int64_t offset, int64_t length) {
        AUTO(err) struct err err = ERR_INIT;
        struct rest_call *c = l->c;
        struct entry *v = l->entries.items;
        size_t n = l->entries.len;
        size_t from = offset < 0 ? 0 : (uint64_t)offset > n ? n : (size_t)offset;
        size_t to = length < 0 ? from : (uint64_t)length > n - from ? n : from + (size_t)length, first = to < n / 4 ? to : n;
        if (first && first < n)
                select_first(v, n, first, l->order);
        if (first > 1)
                qsort_r(v, first, sizeof(*v), compare, (void *)l->order);
        jackson_array(&c->j);
        for (size_t i = from; i < to; i++) {
                struct am_task t;
                if (appmodel_task_at(c->m, v[i].place, &t, &err) < 0) {
                        damaged(c, &err);
                        return;
                }
                write_task(c, &t);
                if (!rest_go_on(c))
                        return;
        }
        jackson_end_array(&c->j);
}

/* A search is made among the first tasks of the order, as many as the table says there are. */
static bool search_first(struct lister *l, int64_t among) {
        AUTO(err) struct err err = ERR_INIT;
        struct entry *v = l->entries.items;
        size_t n = l->entries.len, first = among < 0 ? 0 : (uint64_t)among < n ? (size_t)among : n, found = 0;
        if (first && first < n)
                select_first(v, n, first, l->order);
        for (size_t i = 0; i < first; i++) {
                struct am_task t;
                if (appmodel_task_at(l->c->m, v[i].place, &t, &err) < 0) {
                        damaged(l->c, &err);
                        return false;
                }
                if (is_found(l, &t))
                        v[found++] = v[i];
        }
        l->entries.len = found;
        return true;
}

static bool gather(struct lister *l, const struct am_stage *s) {
        AUTO(err) struct err err = ERR_INIT;
        if (s && appmodel_tasks(l->c->m, s, collect, l, &err) < 0) {
                damaged(l->c, &err);
                return false;
        }
        return true;
}

static void lister_done(struct lister *l) {
        arena_done(&l->arena);
        vec_done(&l->entries);
}

void rest_task_list(struct rest_call *c) {
        static const char *const sortings[] = {"ID", "INCREASING_RUNTIME", "DECREASING_RUNTIME", "runtime", "-runtime"};
        const char *sort = rest_query_get(c->q, "sortBy");
        struct order o = {ORDER_ID, 0, true};
        for (size_t i = 1; sort && i < ARRAY_LEN(sortings); i++)
                if (sv_ieq(sv_of(sort), sv_of(sortings[i])))
                        o = (struct order){ORDER_METRIC, TM_RUN_TIME, i % 2 == 1};
        struct lister l = {.c = c, .order = &o, .statuses = param_enum(c, "status", rest_task_status, 5)};
        const struct am_stage *s = appmodel_stage(c->m, c->ids[0], c->ids[1]);
        if (gather(&l, s))
                write_page(&l, param_int(c, "offset", 0), param_int(c, "length", 20));
        lister_done(&l);
}

/* The columns of Spark's task table, and what the store sorts for them. */
static const struct {
        const char *column;
        enum order_kind kind;
        enum task_metric metric;
} table_columns[] = {
        {"ID", ORDER_ID, 0},
        {"Index", ORDER_PARTITION, 0},
        {"Attempt", ORDER_ATTEMPT, 0},
        {"Status", ORDER_STATUS, 0},
        {"Locality Level", ORDER_LOCALITY, 0},
        {"Executor ID", ORDER_EXECUTOR, 0},
        {"Host", ORDER_HOST, 0},
        {"Launch Time", ORDER_LAUNCH, 0},
        {"Duration", ORDER_METRIC, TM_RUN_TIME},
        {"Scheduler Delay", ORDER_DELAY, 0},
        {"Task Deserialization Time", ORDER_METRIC, TM_DESERIALIZE_TIME},
        {"GC Time", ORDER_METRIC, TM_GC_TIME},
        {"Result Serialization Time", ORDER_METRIC, TM_SERIALIZE_TIME},
        {"Getting Result Time", ORDER_GETTING_RESULT, 0},
        {"Peak Execution Memory", ORDER_METRIC, TM_PEAK_MEMORY},
        {"Accumulators", ORDER_ACCUMULATORS, 0},
        {"Input Size / Records", ORDER_METRIC, TM_INPUT_BYTES},
        {"Output Size / Records", ORDER_METRIC, TM_OUTPUT_BYTES},
        {"Shuffle Read Fetch Wait Time", ORDER_METRIC, TM_READ_FETCH_WAIT},
        {"Shuffle Read Size / Records", ORDER_READ_BYTES, 0},
        {"Shuffle Remote Reads", ORDER_METRIC, TM_READ_REMOTE_BYTES},
        {"Shuffle Write Time", ORDER_METRIC, TM_WRITE_TIME},
        {"Shuffle Write Size / Records", ORDER_METRIC, TM_WRITE_BYTES},
        {"Spill (Memory)", ORDER_METRIC, TM_MEMORY_SPILLED},
        {"Spill (Disk)", ORDER_METRIC, TM_DISK_SPILLED},
        {"Errors", ORDER_ERROR, 0},
};

static bool table_order(const char *column, bool is_35, struct order *o) {
        if (sv_ieq(sv_of(column), SV("Logs")))
                column = "Index";
        for (size_t i = 0; i < ARRAY_LEN(table_columns); i++)
                if (streq(column, table_columns[i].column)) {
                        o->kind = is_35 && table_columns[i].kind == ORDER_PARTITION ? ORDER_INDEX : table_columns[i].kind;
                        o->metric = table_columns[i].metric;
                        return true;
                }
        return false;
}

static bool number_of(const char *text_, int64_t *ret) {
        return text_ && sv_to_int64(sv_of(text_), ret) && *ret >= INT32_MIN && *ret <= INT32_MAX;
}

/* The original decodes these once more than others. */
static char *decoded_again(const struct rest_call *c, const char *name) {
        const char *v = rest_query_get(c->q, name);
        return v ? rest_percent_decode(sv_of(v), true) : NULL;
}

/* What DataTables asks a server for. The original answers a missing or wrong parameter with a 500 page. */
void rest_task_table(struct rest_call *c) {
        const char *total = rest_query_get(c->q, "numTasks"), *direction = rest_query_get(c->q, "order[0][dir]");
        AUTO(free) char *column = decoded_again(c, "columnNameToSort"), *search = decoded_again(c, "search[value]");
        struct order o = {.ascending = direction && sv_ieq(sv_of(direction), SV("asc"))};
        int64_t records, start, length;
        if (!number_of(total, &records) || !column || !number_of(rest_query_get(c->q, "start"), &start) ||
            !number_of(rest_query_get(c->q, "length"), &length) || !table_order(column, c->app->is_35, &o)) {
                rest_html_error(c->a, 500, c->app->uri);
                return;
        }
        bool searching = search && *search;
        for (char *p = search; p && *p; p++)
                *p = (char)tolower((unsigned char)*p);
        struct lister l = {.c = c, .order = &o, .search = search};
        const struct am_stage *s = appmodel_stage(c->m, c->ids[0], c->ids[1]);
        if (!gather(&l, s) || (searching && !search_first(&l, records))) {
                lister_done(&l);
                return;
        }
        char filtered[24];
        snprintf(filtered, sizeof(filtered), "%zu", l.entries.len);
        jackson_object(&c->j);
        jackson_member_string(&c->j, "recordsFiltered", sv_of(searching && s && s->stored_tasks ? filtered : total));
        jackson_key(&c->j, "aaData");
        write_page(&l, start, length);
        if (c->a->status == 200) {
                jackson_member_string(&c->j, "recordsTotal", sv_of(total));
                jackson_end_object(&c->j);
        }
        lister_done(&l);
}
