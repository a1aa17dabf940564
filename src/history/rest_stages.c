/* Stages and what their details add. */
#include "history/rest-internal.h"

static const struct {
        const char *name;
        enum task_metric metric;
        enum task_metric plus; /* TM_COUNT: nothing is added */
} stage_metrics[] = {
        {"executorDeserializeTime", TM_DESERIALIZE_TIME, TM_COUNT},
        {"executorDeserializeCpuTime", TM_DESERIALIZE_CPU, TM_COUNT},
        {"executorRunTime", TM_RUN_TIME, TM_COUNT},
        {"executorCpuTime", TM_CPU_TIME, TM_COUNT},
        {"resultSize", TM_RESULT_SIZE, TM_COUNT},
        {"jvmGcTime", TM_GC_TIME, TM_COUNT},
        {"resultSerializationTime", TM_SERIALIZE_TIME, TM_COUNT},
        {"memoryBytesSpilled", TM_MEMORY_SPILLED, TM_COUNT},
        {"diskBytesSpilled", TM_DISK_SPILLED, TM_COUNT},
        {"peakExecutionMemory", TM_PEAK_MEMORY, TM_COUNT},
        {"inputBytes", TM_INPUT_BYTES, TM_COUNT},
        {"inputRecords", TM_INPUT_RECORDS, TM_COUNT},
        {"outputBytes", TM_OUTPUT_BYTES, TM_COUNT},
        {"outputRecords", TM_OUTPUT_RECORDS, TM_COUNT},
        {"shuffleRemoteBlocksFetched", TM_READ_REMOTE_BLOCKS, TM_COUNT},
        {"shuffleLocalBlocksFetched", TM_READ_LOCAL_BLOCKS, TM_COUNT},
        {"shuffleFetchWaitTime", TM_READ_FETCH_WAIT, TM_COUNT},
        {"shuffleRemoteBytesRead", TM_READ_REMOTE_BYTES, TM_COUNT},
        {"shuffleRemoteBytesReadToDisk", TM_READ_REMOTE_TO_DISK, TM_COUNT},
        {"shuffleLocalBytesRead", TM_READ_LOCAL_BYTES, TM_COUNT},
        {"shuffleReadBytes", TM_READ_LOCAL_BYTES, TM_READ_REMOTE_BYTES},
        {"shuffleReadRecords", TM_READ_RECORDS, TM_COUNT},
        {"shuffleCorruptMergedBlockChunks", TM_PUSH_CORRUPT, TM_COUNT},
        {"shuffleMergedFetchFallbackCount", TM_PUSH_FALLBACK, TM_COUNT},
        {"shuffleMergedRemoteBlocksFetched", TM_PUSH_REMOTE_BLOCKS, TM_COUNT},
        {"shuffleMergedLocalBlocksFetched", TM_PUSH_LOCAL_BLOCKS, TM_COUNT},
        {"shuffleMergedRemoteChunksFetched", TM_PUSH_REMOTE_CHUNKS, TM_COUNT},
        {"shuffleMergedLocalChunksFetched", TM_PUSH_LOCAL_CHUNKS, TM_COUNT},
        {"shuffleMergedRemoteBytesRead", TM_PUSH_REMOTE_BYTES, TM_COUNT},
        {"shuffleMergedLocalBytesRead", TM_PUSH_LOCAL_BYTES, TM_COUNT},
        {"shuffleRemoteReqsDuration", TM_READ_REMOTE_REQS, TM_COUNT},
        {"shuffleMergedRemoteReqsDuration", TM_PUSH_REMOTE_REQS, TM_COUNT},
        {"shuffleWriteBytes", TM_WRITE_BYTES, TM_COUNT},
        {"shuffleWriteTime", TM_WRITE_TIME, TM_COUNT},
        {"shuffleWriteRecords", TM_WRITE_RECORDS, TM_COUNT},
};

static int write_stage_executor(void *arg, const struct am_stage_executor *x) {
        struct rest_call *c = arg;
        struct jackson *j = &c->j;
        const int64_t *m = x->metrics;
        struct sv id = text(c, x->executor);
        jackson_key_sv(j, id.data ? id : SV("null"));
        jackson_object(j);
        jackson_member_int(j, "taskTime", x->task_ms);
        jackson_member_int(j, "failedTasks", x->failed);
        jackson_member_int(j, "succeededTasks", x->succeeded);
        jackson_member_int(j, "killedTasks", x->killed);
        jackson_member_int(j, "inputBytes", m[TM_INPUT_BYTES]);
        jackson_member_int(j, "inputRecords", m[TM_INPUT_RECORDS]);
        jackson_member_int(j, "outputBytes", m[TM_OUTPUT_BYTES]);
        jackson_member_int(j, "outputRecords", m[TM_OUTPUT_RECORDS]);
        jackson_member_int(j, "shuffleRead", m[TM_READ_REMOTE_BYTES] + m[TM_READ_LOCAL_BYTES]);
        jackson_member_int(j, "shuffleReadRecords", m[TM_READ_RECORDS]);
        jackson_member_int(j, "shuffleWrite", m[TM_WRITE_BYTES]);
        jackson_member_int(j, "shuffleWriteRecords", m[TM_WRITE_RECORDS]);
        jackson_member_int(j, "memoryBytesSpilled", m[TM_MEMORY_SPILLED]);
        jackson_member_int(j, "diskBytesSpilled", m[TM_DISK_SPILLED]);
        jackson_member_bool(j, "isBlacklistedForStage", x->excluded);
        if (x->peaks_set)
                write_peaks(c, "peakMemoryMetrics", x->peaks);
        jackson_member_bool(j, "isExcludedForStage", x->excluded);
        jackson_end_object(j);
        return !rest_go_on(c);
}

/* What a request wants of each stage. */
struct wanted {
        bool details, summaries;
        unsigned task_statuses;
        struct quantiles quantiles;
};

/* The index is damaged: as if the application could not be loaded. */
static void damaged(struct rest_call *c, const struct err *err) { rest_error(c->a, 500, "%s: %s", c->app->key, err_message(err)); }

static void write_details(struct rest_call *c, const struct am_stage *s, const struct wanted *w) {
        struct jackson *j = &c->j;
        static const char *const names[] = {"numTasks", "numActiveTasks", "numCompletedTasks", "numFailedTasks", "numKilledTasks"};
        write_task_map(c, s, w->task_statuses);
        jackson_key(j, "executorSummary");
        jackson_object(j);
        AUTO(err) struct err err = ERR_INIT;
        if (appmodel_stage_executors(c->m, s, write_stage_executor, c, &err) < 0)
                damaged(c, &err);
        jackson_end_object(j);
        if (s->has_speculation) {
                jackson_key(j, "speculationSummary");
                jackson_object(j);
                for (size_t i = 0; i < ARRAY_LEN(names); i++)
                        jackson_member_int(j, names[i], s->speculation[i]);
                jackson_end_object(j);
        }
}

static void write_stage(struct rest_call *c, const struct am_stage *s, const struct wanted *w) {
        struct jackson *j = &c->j;
        jackson_object(j);
        jackson_member_string(j, "status", sv_of(s->status < 5 ? appmodel_stage_status[s->status] : "PENDING"));
        jackson_member_int(j, "stageId", s->id);
        jackson_member_int(j, "attemptId", s->attempt);
        jackson_member_int(j, "numTasks", s->num_tasks);
        jackson_member_int(j, "numActiveTasks", s->active_tasks);
        jackson_member_int(j, "numCompleteTasks", s->completed_tasks);
        jackson_member_int(j, "numFailedTasks", s->failed_tasks);
        jackson_member_int(j, "numKilledTasks", s->killed_tasks);
        jackson_member_int(j, "numCompletedIndices", s->completed_indices);
        jackson_member_date(j, "submissionTime", s->submission_ms);
        jackson_member_date(j, "firstTaskLaunchedTime", s->first_launch_ms);
        jackson_member_date(j, "completionTime", s->completion_ms);
        member_text(c, "failureReason", s->failure);
        for (size_t i = 0; i < ARRAY_LEN(stage_metrics); i++)
                jackson_member_int(j, stage_metrics[i].name,
                                   s->metrics[stage_metrics[i].metric] +
                                           (stage_metrics[i].plus < TM_COUNT ? s->metrics[stage_metrics[i].plus] : 0));
        member_text(c, "name", s->name);
        member_text(c, "description", s->description);
        member_text(c, "details", s->details);
        member_text(c, "schedulingPool", s->pool);
        write_ints_member(c, "rddIds", s->rdd_ids);
        write_accumulables(c, "accumulatorUpdates", s->accumulables);
        if (w->details)
                write_details(c, s, w);
        write_counts(c, "killedTasksSummary", s->killed);
        jackson_member_int(j, "resourceProfileId", s->resource_profile);
        if (s->peaks_set)
                write_peaks(c, "peakExecutorMetrics", s->peaks);
        if (w->summaries) {
                write_task_summary(c, s, &w->quantiles, "taskMetricsDistributions", NULL);
                write_executor_summary(c, s, &w->quantiles);
        }
        jackson_member_bool(j, "isShufflePushEnabled", s->push_enabled);
        jackson_member_int(j, "shuffleMergersCount", s->mergers);
        jackson_end_object(j);
}

static bool wanted_of(struct rest_call *c, bool details, struct wanted *w) {
        w->details = param_bool(c, "details", details);
        w->summaries = param_bool(c, "withSummaries", false);
        w->task_statuses = param_enum(c, "taskStatus", rest_task_status, 5);
        return param_quantiles(c, "0.0,0.25,0.5,0.75,1.0", &w->quantiles);
}

/* Has the stage tasks of one of the statuses? */
static bool has_tasks(const struct am_stage *s, unsigned statuses) {
        const int64_t counts[5] = {s->active_tasks, s->killed_tasks, s->failed_tasks, s->completed_tasks,
                                   (int64_t)s->num_tasks - s->failed_tasks - s->killed_tasks - s->active_tasks - s->completed_tasks};
        for (size_t i = 0; i < 5; i++)
                if (statuses >> i & 1 && counts[i] > 0)
                        return true;
        return false;
}

void rest_stages(struct rest_call *c) {
        unsigned statuses = param_enum(c, "status", rest_stage_status, 5);
        struct wanted w;
        if (!wanted_of(c, false, &w))
                return;
        jackson_array(&c->j);
        for (uint32_t i = c->m->num_stages; i-- > 0;) {
                const struct am_stage *s = &c->m->stages[i];
                if (statuses && !(statuses >> s->status & 1))
                        continue;
                if (w.details && w.task_statuses && !has_tasks(s, w.task_statuses))
                        continue;
                write_stage(c, s, &w);
                if (!rest_go_on(c))
                        return;
        }
        jackson_end_array(&c->j);
}

void rest_stage(struct rest_call *c) {
        struct wanted w;
        if (!wanted_of(c, true, &w))
                return;
        int64_t row = appmodel_stage_row(c->m, c->ids[0]);
        if (row < 0) {
                rest_error(c->a, 404, "unknown stage: %lld", (long long)c->ids[0]);
                return;
        }
        jackson_array(&c->j);
        for (; row < c->m->num_stages && c->m->stages[row].id == c->ids[0]; row++) {
                write_stage(c, &c->m->stages[row], &w);
                if (!rest_go_on(c))
                        return;
        }
        jackson_end_array(&c->j);
}

void rest_stage_attempt(struct rest_call *c) {
        struct wanted w;
        if (!wanted_of(c, true, &w))
                return;
        const struct am_stage *s = appmodel_stage(c->m, c->ids[0], c->ids[1]);
        if (s) {
                write_stage(c, s, &w);
                return;
        }
        int64_t row = appmodel_stage_row(c->m, c->ids[0]);
        if (row < 0) {
                rest_error(c->a, 404, "unknown stage: %lld", (long long)c->ids[0]);
                return;
        }
        AUTO(str) struct str ids = STR_INIT(0);
        for (int64_t i = row; i < c->m->num_stages && c->m->stages[i].id == c->ids[0]; i++)
                str_appendf(&ids, "%s%d", i > row ? "," : "", c->m->stages[i].attempt);
        rest_error(c->a, 404, "unknown attempt for stage %lld.  Found attempts: [%s]", (long long)c->ids[0], str_cstr(&ids));
}

void rest_task_summary(struct rest_call *c) {
        static const char usual[] = "0.05,0.25,0.5,0.75,0.95";
        const char *asked = rest_query_get(c->q, "quantiles");
        struct quantiles q;
        if (!param_quantiles(c, usual, &q))
                return;
        AUTO(free) char *key = xasprintf("%lld/%lld/%s", (long long)c->ids[0], (long long)c->ids[1], asked ? asked : usual);
        if (c->app->memo && memo_get(c->app->memo, key, &c->a->body))
                return;
        const struct am_stage *s = appmodel_stage(c->m, c->ids[0], c->ids[1]);
        bool lasting = false;
        if ((!s || !write_task_summary(c, s, &q, NULL, &lasting)) && c->a->status == 200)
                rest_error(c->a, 404, "No tasks reported metrics for %lld / %lld yet.", (long long)c->ids[0], (long long)c->ids[1]);
        else if (c->app->memo && lasting)
                memo_put(c->app->memo, key, str_sv(&c->a->body));
}
