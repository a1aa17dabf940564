/* Jobs, executors, processes, environment, cached RDDs. */
#include <ctype.h>

#include "history/rest-internal.h"

static void write_job(struct rest_call *c, const struct am_job *job) {
        struct jackson *j = &c->j;
        jackson_object(j);
        jackson_member_int(j, "jobId", job->id);
        member_text(c, "name", job->name);
        member_text(c, "description", job->description);
        jackson_member_date(j, "submissionTime", job->submission_ms);
        jackson_member_date(j, "completionTime", job->completion_ms);
        write_ints_member(c, "stageIds", job->stage_ids);
        member_text(c, "jobGroup", job->group);
        jackson_key(j, "jobTags");
        jackson_array(j);
        for (uint32_t i = 0; i < job->tags.count && job->tags.first + i < c->m->num_strings; i++)
                jackson_string(j, text(c, c->m->strings[job->tags.first + i]));
        jackson_end_array(j);
        jackson_member_string(j, "status", sv_of(appmodel_job_status[job->status & 3]));
        jackson_member_int(j, "numTasks", job->num_tasks);
        jackson_member_int(j, "numActiveTasks", job->active_tasks);
        jackson_member_int(j, "numCompletedTasks", job->completed_tasks);
        jackson_member_int(j, "numSkippedTasks", job->skipped_tasks);
        jackson_member_int(j, "numFailedTasks", job->failed_tasks);
        jackson_member_int(j, "numKilledTasks", job->killed_tasks);
        jackson_member_int(j, "numCompletedIndices", job->completed_indices);
        jackson_member_int(j, "numActiveStages", job->active_stages);
        jackson_member_int(j, "numCompletedStages", job->completed_stages);
        jackson_member_int(j, "numSkippedStages", job->skipped_stages);
        jackson_member_int(j, "numFailedStages", job->failed_stages);
        write_counts(c, "killedTasksSummary", job->killed);
        jackson_end_object(j);
}

void rest_jobs(struct rest_call *c) {
        unsigned statuses = param_enum(c, "status", rest_job_status, 4);
        jackson_array(&c->j);
        for (uint32_t i = c->m->num_jobs; i-- > 0;)
                if (!statuses || statuses >> c->m->jobs[i].status & 1) {
                        write_job(c, &c->m->jobs[i]);
                        if (!rest_go_on(c))
                                return;
                }
        jackson_end_array(&c->j);
}

void rest_job(struct rest_call *c) {
        const struct am_job *job = appmodel_job(c->m, c->ids[0]);
        if (job)
                write_job(c, job);
        else
                rest_error(c->a, 404, "unknown job: %lld", (long long)c->ids[0]);
}

/* ---- executors ---- */

static struct sv attribute(const struct rest_call *c, const struct am_executor *x, struct sv name) {
        for (uint32_t i = 0; i < x->attributes.count && x->attributes.first + i < c->m->num_pairs; i++) {
                const struct am_pair *p = &c->m->pairs[x->attributes.first + i];
                if (sv_eq(text(c, p->key), name))
                        return text(c, p->value);
        }
        return SV_NULL;
}

/* The next {{NAME}} of a pattern at or after *at; *at moves behind it. */
static bool next_placeholder(struct sv pattern, size_t *at, struct sv *ret_before, struct sv *ret_name) {
        for (size_t i = *at; i + 4 < pattern.len; i++) {
                if (pattern.data[i] != '{' || pattern.data[i + 1] != '{')
                        continue;
                size_t n = 0;
                while (i + 2 + n < pattern.len &&
                       (isalnum((unsigned char)pattern.data[i + 2 + n]) || strchr("_-", pattern.data[i + 2 + n])))
                        n++;
                if (n == 0 || i + 4 + n > pattern.len || memcmp(pattern.data + i + 2 + n, "}}", 2) != 0)
                        continue;
                *ret_before = sv_new(pattern.data + *at, i - *at);
                *ret_name = sv_new(pattern.data + i + 2, n);
                *at = i + 4 + n;
                return true;
        }
        return false;
}

static void expand_url(const struct rest_call *c, const struct am_executor *x, struct sv pattern, struct sv file, struct str *out) {
        size_t at = 0;
        struct sv before, name;
        while (next_placeholder(pattern, &at, &before, &name)) {
                str_append_sv(out, before);
                str_append_sv(out, sv_eqs(name, "FILE_NAME") ? file : attribute(c, x, name));
        }
        str_append(out, pattern.data + at, pattern.len - at);
}

/* Can every placeholder be filled? *ret_files: the log files when the pattern asks for a file name. */
static bool pattern_fits(const struct rest_call *c, const struct am_executor *x, struct sv pattern, bool *ret_per_file,
                         struct sv *ret_files) {
        size_t at = 0;
        struct sv before, name;
        *ret_per_file = false;
        while (next_placeholder(pattern, &at, &before, &name)) {
                if (sv_eqs(name, "FILE_NAME")) {
                        *ret_per_file = true;
                        *ret_files = attribute(c, x, SV("LOG_FILES"));
                        if (!ret_files->data)
                                return false;
                } else if (sv_eqs(name, "LOG_FILES") || !attribute(c, x, name).data) {
                        return false;
                }
        }
        return true;
}

static void write_pairs_object(struct rest_call *c, struct am_range r) {
        jackson_object(&c->j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_pairs; i++) {
                const struct am_pair *p = &c->m->pairs[r.first + i];
                struct sv key = text(c, p->key);
                jackson_key_sv(&c->j, key);
                jackson_string(&c->j, text(c, p->value));
        }
        jackson_end_object(&c->j);
}

void write_executor_logs(struct rest_call *c, const struct am_executor *x) {
        jackson_key(&c->j, "executorLogs");
        struct sv pattern = sv_of(c->app->executor_log_url), files = SV_NULL, file;
        bool per_file;
        if (!x) {
                jackson_object(&c->j);
                jackson_end_object(&c->j);
                return;
        }
        if (!pattern.data || !pattern_fits(c, x, pattern, &per_file, &files)) {
                write_pairs_object(c, x->logs);
                return;
        }
        jackson_object(&c->j);
        while (!per_file || sv_split(&files, ',', &file)) {
                AUTO(str) struct str url = STR_INIT(0);
                expand_url(c, x, pattern, file, &url);
                jackson_key_sv(&c->j, per_file ? file : SV("log"));
                jackson_string(&c->j, str_sv(&url));
                if (!per_file)
                        break;
        }
        jackson_end_object(&c->j);
}

static void write_resources(struct rest_call *c, struct am_range r) {
        struct jackson *j = &c->j;
        jackson_key(j, "resources");
        jackson_object(j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_resources; i++) {
                const struct am_resource *res = &c->m->resources[r.first + i];
                jackson_key_sv(j, text(c, res->name));
                jackson_object(j);
                member_text(c, "name", res->resource_name);
                jackson_key(j, "addresses");
                jackson_array(j);
                for (uint32_t k = 0; k < res->addresses.count && res->addresses.first + k < c->m->num_strings; k++)
                        jackson_string(j, text(c, c->m->strings[res->addresses.first + k]));
                jackson_end_array(j);
                jackson_end_object(j);
        }
        jackson_end_object(j);
}

/* The driver's line shows the application's time and garbage collection. */
static int64_t driver_duration(const struct rest_call *c) {
        const struct am_app *app = c->m->app;
        if (app->flags & AM_ENDED)
                return app->end_ms == 0 ? 0 : (app->end_ms < 0 ? c->app->now_ms : app->end_ms) - app->start_ms;
        return c->app->now_ms - app->start_ms;
}

static void write_executor(struct rest_call *c, const struct am_executor *x) {
        struct jackson *j = &c->j;
        bool driver = sv_eqs(text(c, x->id), "driver"), timed = driver && !(c->m->app->flags & AM_ENDED && c->m->app->end_ms == 0);
        jackson_object(j);
        member_text(c, "id", x->id);
        member_text(c, "hostPort", x->host_port.off != UINT32_MAX ? x->host_port : x->host);
        jackson_member_bool(j, "isActive", x->active);
        jackson_member_int(j, "rddBlocks", x->rdd_blocks);
        jackson_member_int(j, "memoryUsed", x->memory_used);
        jackson_member_int(j, "diskUsed", x->disk_used);
        jackson_member_int(j, "totalCores", x->total_cores);
        jackson_member_int(j, "maxTasks", x->max_tasks);
        jackson_member_int(j, "activeTasks", x->active_tasks);
        jackson_member_int(j, "failedTasks", x->failed_tasks);
        jackson_member_int(j, "completedTasks", x->completed_tasks);
        jackson_member_int(j, "totalTasks", x->total_tasks);
        jackson_member_int(j, "totalDuration", timed ? driver_duration(c) : x->total_duration);
        jackson_member_int(j, "totalGCTime", driver && x->peaks_set ? x->peaks[AM_PEAK_TOTAL_GC] : x->total_gc);
        jackson_member_int(j, "totalInputBytes", x->total_input);
        jackson_member_int(j, "totalShuffleRead", x->total_shuffle_read);
        jackson_member_int(j, "totalShuffleWrite", x->total_shuffle_write);
        jackson_member_bool(j, "isBlacklisted", x->excluded);
        jackson_member_int(j, "maxMemory", x->max_memory);
        jackson_member_date(j, "addTime", x->add_ms);
        jackson_member_date(j, "removeTime", x->remove_ms);
        member_text(c, "removeReason", x->remove_reason);
        write_executor_logs(c, x);
        if (x->has_memory) {
                jackson_key(j, "memoryMetrics");
                jackson_object(j);
                jackson_member_int(j, "usedOnHeapStorageMemory", x->used_on_heap);
                jackson_member_int(j, "usedOffHeapStorageMemory", x->used_off_heap);
                jackson_member_int(j, "totalOnHeapStorageMemory", x->total_on_heap);
                jackson_member_int(j, "totalOffHeapStorageMemory", x->total_off_heap);
                jackson_end_object(j);
        }
        write_ints_member(c, "blacklistedInStages", x->excluded_in);
        if (x->peaks_set)
                write_peaks(c, "peakMemoryMetrics", x->peaks);
        jackson_key(j, "attributes");
        write_pairs_object(c, x->attributes);
        write_resources(c, x->resources);
        jackson_member_int(j, "resourceProfileId", x->resource_profile);
        jackson_member_bool(j, "isExcluded", x->excluded);
        write_ints_member(c, "excludedInStages", x->excluded_in);
        jackson_end_object(j);
}

/* The fallback storage is no executor. */
static bool is_real(const struct rest_call *c, const struct am_executor *x) { return !sv_eqs(text(c, x->id), "fallback"); }

void rest_executors(struct rest_call *c) {
        jackson_array(&c->j);
        for (uint32_t i = c->m->num_executors; i-- > 0;)
                if (c->m->executors[i].active && is_real(c, &c->m->executors[i])) {
                        write_executor(c, &c->m->executors[i]);
                        if (!rest_go_on(c))
                                return;
                }
        jackson_end_array(&c->j);
}

void rest_all_executors(struct rest_call *c) {
        jackson_array(&c->j);
        for (uint32_t i = 0; i < c->m->num_executors; i++)
                if (is_real(c, &c->m->executors[i])) {
                        write_executor(c, &c->m->executors[i]);
                        if (!rest_go_on(c))
                                return;
                }
        jackson_end_array(&c->j);
}

void rest_processes(struct rest_call *c) {
        jackson_array(&c->j);
        for (uint32_t i = 0; i < c->m->num_processes; i++) {
                const struct am_process *p = &c->m->processes[i];
                jackson_object(&c->j);
                member_text(c, "id", p->id);
                member_text(c, "hostPort", p->host_port);
                jackson_member_bool(&c->j, "isActive", p->active);
                jackson_member_int(&c->j, "totalCores", p->cores);
                jackson_member_date(&c->j, "addTime", p->add_ms);
                jackson_key(&c->j, "processLogs");
                write_pairs_object(c, p->logs);
                jackson_end_object(&c->j);
        }
        jackson_end_array(&c->j);
}

/* Never in history. Of a log that the original cannot load (cut within an lzf or snappy block) there is data to show here, but where
 * an error is all there is to say, it is the original's. */
static void no_threads(struct rest_call *c, const char *executor) {
        if (!executor || c->m->app->flags & AM_CUT_BLOCK)
                rest_html_error(c->a, 500, c->app->uri);
        else if (!streq(executor, "driver") && strspn(executor, "0123456789") != strlen(executor))
                rest_error(c->a, 400, "Invalid executorId: neither 'driver' nor number.");
        else
                rest_error(c->a, 503, "Thread dumps not available through the history server.");
}

void rest_threads(struct rest_call *c) { no_threads(c, c->word); }
void rest_task_threads(struct rest_call *c) { no_threads(c, rest_query_get(c->q, "executorId")); }

void rest_streaming(struct rest_call *c) { rest_error(c->a, 404, "no streaming listener attached to %s", c->app->name); }

/* ---- environment ---- */

#define REDACTED "*********(redacted)"

static void write_env(struct rest_call *c, const char *key, enum am_env part, bool redact) {
        struct am_range r = c->m->app->env[part];
        struct jackson *j = &c->j;
        jackson_key(j, key);
        jackson_array(j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_pairs; i++) {
                struct sv name = text(c, c->m->pairs[r.first + i].key), value = text(c, c->m->pairs[r.first + i].value);
                if (redact && value.data && (redaction_matches(c->app->redaction, name) || redaction_matches(c->app->redaction, value)))
                        value = SV(REDACTED);
                jackson_array(j);
                jackson_string(j, name);
                jackson_string(j, value);
                jackson_end_array(j);
        }
        jackson_end_array(j);
}

static void write_requests(struct rest_call *c, const char *key, struct am_range r, bool executor) {
        struct jackson *j = &c->j;
        jackson_key(j, key);
        jackson_object(j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_requests; i++) {
                const struct am_resource_request *q = &c->m->requests[r.first + i];
                jackson_key_sv(j, text(c, q->key));
                jackson_object(j);
                member_text(c, "resourceName", q->name);
                jackson_key(j, "amount");
                if (executor) {
                        jackson_int(j, q->amount > -9e18 && q->amount < 9e18 ? (int64_t)q->amount : 0);
                        member_text(c, "discoveryScript", q->script);
                        member_text(c, "vendor", q->vendor);
                } else {
                        jackson_double(j, q->amount);
                }
                jackson_end_object(j);
        }
        jackson_end_object(j);
}

void rest_environment(struct rest_call *c) {
        const struct am_app *app = c->m->app;
        struct jackson *j = &c->j;
        if (!(app->flags & AM_HAS_ENV)) {
                rest_error(c->a, 404, "no such app: %s", c->app->key);
                return;
        }
        jackson_object(j);
        jackson_key(j, "runtime");
        jackson_object(j);
        member_text(c, "javaVersion", app->java_version);
        member_text(c, "javaHome", app->java_home);
        member_text(c, "scalaVersion", app->scala_version);
        jackson_end_object(j);
        write_env(c, "sparkProperties", AM_ENV_SPARK, true);
        write_env(c, "hadoopProperties", AM_ENV_HADOOP, true);
        write_env(c, "systemProperties", AM_ENV_SYSTEM, true);
        write_env(c, "metricsProperties", AM_ENV_METRICS, true);
        write_env(c, "classpathEntries", AM_ENV_CLASSPATH, false);
        jackson_key(j, "resourceProfiles");
        jackson_array(j);
        for (uint32_t i = 0; i < c->m->num_profiles; i++) {
                jackson_object(j);
                jackson_member_int(j, "id", c->m->profiles[i].id);
                write_requests(c, "executorResources", c->m->profiles[i].executor, true);
                write_requests(c, "taskResources", c->m->profiles[i].task, false);
                jackson_end_object(j);
        }
        jackson_end_array(j);
        jackson_end_object(j);
}

/* ---- storage ---- */

static void write_optional(struct jackson *j, const char *key, int64_t v) {
        if (v != AM_NONE)
                jackson_member_int(j, key, v);
}

static void write_rdd(struct rest_call *c, const struct am_rdd *r) {
        struct jackson *j = &c->j;
        jackson_object(j);
        jackson_member_int(j, "id", r->id);
        member_text(c, "name", r->name);
        jackson_member_int(j, "numPartitions", r->num_partitions);
        jackson_member_int(j, "numCachedPartitions", r->partitions.count);
        member_text(c, "storageLevel", r->level);
        jackson_member_int(j, "memoryUsed", r->memory_used);
        jackson_member_int(j, "diskUsed", r->disk_used);
        if (r->distributions.count) {
                jackson_key(j, "dataDistribution");
                jackson_array(j);
                for (uint32_t i = 0; i < r->distributions.count && r->distributions.first + i < c->m->num_rdd_distributions; i++) {
                        const struct am_rdd_distribution *d = &c->m->rdd_distributions[r->distributions.first + i];
                        jackson_object(j);
                        member_text(c, "address", d->address);
                        jackson_member_int(j, "memoryUsed", d->memory_used);
                        jackson_member_int(j, "memoryRemaining", d->memory_remaining);
                        jackson_member_int(j, "diskUsed", d->disk_used);
                        write_optional(j, "onHeapMemoryUsed", d->on_heap_used);
                        write_optional(j, "offHeapMemoryUsed", d->off_heap_used);
                        write_optional(j, "onHeapMemoryRemaining", d->on_heap_remaining);
                        write_optional(j, "offHeapMemoryRemaining", d->off_heap_remaining);
                        jackson_end_object(j);
                }
                jackson_end_array(j);
        }
        jackson_key(j, "partitions");
        jackson_array(j);
        for (uint32_t i = 0; i < r->partitions.count && r->partitions.first + i < c->m->num_rdd_partitions; i++) {
                const struct am_rdd_partition *p = &c->m->rdd_partitions[r->partitions.first + i];
                jackson_object(j);
                member_text(c, "blockName", p->block);
                member_text(c, "storageLevel", p->level);
                jackson_member_int(j, "memoryUsed", p->memory_used);
                jackson_member_int(j, "diskUsed", p->disk_used);
                jackson_key(j, "executors");
                jackson_array(j);
                for (uint32_t k = 0; k < p->executors.count && p->executors.first + k < c->m->num_strings; k++)
                        jackson_string(j, text(c, c->m->strings[p->executors.first + k]));
                jackson_end_array(j);
                jackson_end_object(j);
        }
        jackson_end_array(j);
        jackson_end_object(j);
}

void rest_rdds(struct rest_call *c) {
        jackson_array(&c->j);
        for (uint32_t i = 0; i < c->m->num_rdds; i++)
                if (c->m->rdds[i].partitions.count)
                        write_rdd(c, &c->m->rdds[i]);
        jackson_end_array(&c->j);
}

void rest_rdd(struct rest_call *c) {
        const struct am_rdd *r = appmodel_rdd(c->m, c->ids[0]);
        if (r)
                write_rdd(c, r);
        else
                rest_error(c->a, 404, "no rdd found w/ id %lld", (long long)c->ids[0]);
}
