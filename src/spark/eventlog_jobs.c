/* Jobs and stages. */
#include "spark/eventlog-internal.h"

/* ---- what StageInfo holds ---- */

static void info_done(struct stage_info *i) {
        vec_done(&i->rdd_ids);
        vec_done(&i->parents);
        vec_done(&i->accumulables);
}

struct hashed_accumulable {
        struct am_accumulable a;
        uint32_t hash;
        size_t order;
        bool is_shown;
};

static uint32_t long_hash(int64_t v) {
        uint32_t h = v == (int32_t)v ? (uint32_t)v : (uint32_t)((uint64_t)v ^ (uint64_t)v >> 32);
        return h ^ h >> 16;
}

static int by_id_then_order(const void *a, const void *b) {
        const struct hashed_accumulable *x = a, *y = b;
        if (x->a.id != y->a.id)
                return x->a.id < y->a.id ? -1 : 1;
        return x->order < y->order ? -1 : 1;
}

static int by_bucket(const void *a, const void *b, void *mask) {
        const struct hashed_accumulable *x = a, *y = b;
        uint32_t m = *(uint32_t *)mask, i = x->hash & m, k = y->hash & m;
        if (i != k)
                return i < k ? -1 : 1;
        if (x->hash != y->hash)
                return (int32_t)x->hash < (int32_t)y->hash ? -1 : 1;
        return x->order < y->order ? -1 : 1;
}

/* The accumulables the API shows, in the order of the Scala hash map that Spark keeps them all in. */
static void read_accumulables(struct eventlog *e, yyjson_val *list, struct stage_info *info) {
        VEC(struct hashed_accumulable) all = {0};
        size_t i, max;
        yyjson_val *v;
        if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
                return;
        yyjson_arr_foreach(list, i, max, v) {
                bool is_shown = !json_get_bool(v, "Internal", false) && !streq_null(json_get_str(v, "Metadata"), "sql");
                struct am_accumulable a = {.id = json_get_int(v, "ID", 0), .name = AM_ABSENT, .update = AM_ABSENT, .value = AM_ABSENT};
                if (is_shown) {
                        a.name = intern_member(e, v, "Name");
                        a.update = intern_member(e, v, "Update");
                        a.value = intern_member(e, v, "Value");
                }
                *vec_push(&all) = (struct hashed_accumulable){a, long_hash(a.id), i, is_shown};
        }
        /* A later one of the same id replaces the value. */
        qsort(all.items, all.len, sizeof(*all.items), by_id_then_order);
        size_t n = 0;
        for (i = 0; i < all.len; i++) {
                if (n && all.items[n - 1].a.id == all.items[i].a.id)
                        n--;
                all.items[n++] = all.items[i];
        }
        uint32_t size = 16;
        while (n >= size / 4 * 3)
                size *= 2;
        uint32_t mask = size - 1;
        qsort_r(all.items, n, sizeof(*all.items), by_bucket, &mask);
        for (i = 0; i < n; i++)
                if (all.items[i].is_shown)
                        *vec_push(&info->accumulables) = all.items[i].a;
        vec_done(&all);
}

static int64_t optional_time(yyjson_val *object, const char *key) {
        yyjson_val *v = yyjson_obj_get(object, key);
        return yyjson_is_num(v) ? json_get_int(object, key, AM_NONE) : AM_NONE;
}

static void read_info(struct eventlog *e, yyjson_val *v, struct stage_info *ret) {
        struct stage_info info = {
                .id = (int32_t)json_get_int(v, "Stage ID", 0),
                .attempt = (int32_t)json_get_int(v, "Stage Attempt ID", 0),
                .num_tasks = (int32_t)json_get_int(v, "Number of Tasks", 0),
                .resource_profile = (int32_t)json_get_int(v, "Resource Profile Id", 0),
                .mergers = (int32_t)json_get_int(v, "Shuffle Push Mergers Count", 0),
                .push_enabled = json_get_bool(v, "Shuffle Push Enabled", false),
                .submission_ms = optional_time(v, "Submission Time"),
                .completion_ms = optional_time(v, "Completion Time"),
                .name = intern_member(e, v, "Stage Name"),
                .details = intern_member(e, v, "Details"),
                .failure = intern_member(e, v, "Failure Reason"),
        };
        if (info.details.off == UINT32_MAX)
                info.details = intern(e, SV(""));
        size_t i, max;
        yyjson_val *item, *rdds = yyjson_obj_get(v, "RDD Info"), *parents = yyjson_obj_get(v, "Parent IDs");
        if (yyjson_is_arr(rdds))
                yyjson_arr_foreach(rdds, i, max, item) *vec_push(&info.rdd_ids) = (int32_t)json_get_int(item, "RDD ID", 0);
        if (yyjson_is_arr(parents))
                yyjson_arr_foreach(parents, i, max, item) *vec_push(&info.parents) = (int32_t)yyjson_get_sint(item);
        read_accumulables(e, yyjson_obj_get(v, "Accumulables"), &info);
        *ret = info;
}

/* ---- stages ---- */

static uint64_t slot_key(int32_t id, int32_t attempt) { return (uint64_t)(uint32_t)id << 32 | (uint32_t)attempt; }

struct slot *slot_of(struct eventlog *e, int32_t id, int32_t attempt) {
        struct slot *s = idmap_get(&e->slots, slot_key(id, attempt));
        if (s)
                return s;
        s = NEW(struct slot);
        s->id = id;
        s->attempt = attempt;
        idmap_set(&e->slots, slot_key(id, attempt), s);
        *vec_push(&e->slot_list) = s;
        return s;
}

struct stage *live_stage(struct eventlog *e, int32_t id, int32_t attempt) {
        struct slot *s = idmap_get(&e->slots, slot_key(id, attempt));
        return s ? s->live : NULL;
}

struct stage_executor *stage_executor_of(struct stage *s, struct am_str executor) {
        struct stage_executor *x = idmap_get(&s->executors, str_key(executor));
        if (x)
                return x;
        x = NEW(struct stage_executor);
        x->out.executor = executor;
        idmap_set(&s->executors, str_key(executor), x);
        *vec_push(&s->in_order) = x;
        return x;
}

static void stage_free(struct stage *s) {
        info_done(&s->info);
        vec_foreach(x, &s->in_order) free(*x);
        vec_done(&s->in_order);
        idmap_done(&s->executors);
        vec_done(&s->jobs);
        intset_done(&s->job_ids);
        idset_done(&s->completed_indices);
        vec_done(&s->killed_summary);
        vec_done(&s->excluded);
        free(s);
}

/* The live stage of that info, which it takes over. */
static struct stage *get_stage(struct eventlog *e, struct stage_info *info) {
        struct slot *slot = slot_of(e, info->id, info->attempt);
        struct stage *s = slot->live;
        if (s) {
                info_done(&s->info);
        } else {
                s = slot->live = NEW(struct stage);
                *s = (struct stage){.slot = slot, .status = AM_STAGE_PENDING, .description = AM_ABSENT, .pool = intern(e, SV("default")),
                                    .first_launch_ms = INT64_MAX};
                *vec_push(&e->live_stages) = s;
        }
        s->info = *info;
        *info = (struct stage_info){0};
        return s;
}

static int stage_completion(const void *a, const void *b) {
        const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
        int64_t i = x->stored.completion_ms == AM_NONE ? -1 : x->stored.completion_ms;
        int64_t k = y->stored.completion_ms == AM_NONE ? -1 : y->stored.completion_ms;
        if (i != k)
                return i < k ? -1 : 1;
        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

/* More stages than are kept: skipped ones go first, then by completion. Their tasks go with them. */
static void evict_stages(struct eventlog *e) {
        int64_t drop = surplus((int64_t)e->stored_stages, e->o.retained_stages);
        if (drop <= 0)
                return;
        VEC(struct slot *) done = {0};
        vec_foreach(s, &e->slot_list) {
                if ((*s)->is_stored && (*s)->stored.status != AM_STAGE_ACTIVE && (*s)->stored.status != AM_STAGE_PENDING)
                        *vec_push(&done) = *s;
        }
        if (done.len > 1)
                qsort(done.items, done.len, sizeof(*done.items), stage_completion);
        for (size_t i = 0; i < done.len && (int64_t)i < drop; i++) {
                struct slot *s = done.items[i];
                s->is_stored = false;
                s->tasks.len = s->executors.len = 0;
                str_clear(&s->rows);
                s->marks.len = 0;
                s->num_rows = 0;
                e->stored_stages--;
        }
        vec_done(&done);
}

void stage_store(struct eventlog *e, struct stage *s, bool last) {
        struct slot *slot = s->slot;
        struct am_stage *out = &slot->stored;
        *out = (struct am_stage){
                .id = s->info.id,
                .attempt = s->info.attempt,
                .status = s->status,
                .num_tasks = s->info.num_tasks,
                .active_tasks = s->active,
                .completed_tasks = s->completed,
                .failed_tasks = s->failed,
                .killed_tasks = s->killed,
                .completed_indices = (int32_t)s->completed_indices.count,
                .resource_profile = s->info.resource_profile,
                .mergers = s->info.mergers,
                .push_enabled = s->info.push_enabled,
                .peaks_set = s->peaks_set,
                .submission_ms = s->info.submission_ms,
                .first_launch_ms = s->first_launch_ms < INT64_MAX ? s->first_launch_ms : AM_NONE,
                .completion_ms = s->info.completion_ms,
                .failure = s->info.failure,
                .name = s->info.name,
                .description = s->description,
                .details = s->info.details,
                .pool = s->pool,
        };
        memcpy(out->metrics, s->metrics, sizeof(out->metrics));
        memcpy(out->peaks, s->peaks, sizeof(out->peaks));
        out->rdd_ids = write_ints(e, s->info.rdd_ids.items, s->info.rdd_ids.len);
        out->parents = write_ints(e, s->info.parents.items, s->info.parents.len);
        out->job_ids = write_ints(e, s->job_ids.items, s->job_ids.len);
        out->accumulables = (struct am_range){(uint32_t)e->w.accumulables.len, (uint32_t)s->info.accumulables.len};
        vec_foreach(a, &s->info.accumulables) *vec_push(&e->w.accumulables) = *a;
        out->killed = (struct am_range){(uint32_t)e->w.counts.len, (uint32_t)s->killed_summary.len};
        vec_foreach(c, &s->killed_summary) *vec_push(&e->w.counts) = *c;
        bool first = !slot->is_stored;
        slot->is_stored = true;
        e->stored_stages += first;
        if (first || last)
                evict_stages(e);
}

/* Executor summaries of a stage that is done with become rows. */
static void write_executors(struct eventlog *e, struct stage *s) {
        AUTO(str) struct str rows = STR_INIT(0);
        uint32_t count = 0;
        vec_foreach(x, &s->in_order) {
                if ((*x)->exists) {
                        am_pack_stage_executor(&rows, &(*x)->out);
                        count++;
                }
        }
        s->slot->executors.len = 0;
        if (count)
                *vec_push(&s->slot->executors) = am_write_segment(&e->w, str_sv(&rows), count);
}

/* Takes a stage out of the live ones; what was stored stays. */
void stage_retire(struct eventlog *e, struct stage *s) {
        if (s->slot->is_stored) {
                write_executors(e, s);
                slot_flush_rows(e, s->slot);
        }
        s->slot->live = NULL;
        for (size_t i = 0; i < e->live_stages.len; i++) {
                if (e->live_stages.items[i] == s) {
                        vec_remove(&e->live_stages, i);
                        break;
                }
        }
        stage_free(s);
}

void on_stage_submitted(struct eventlog *e, yyjson_val *v) {
        yyjson_val *stage_info = yyjson_obj_get(v, "Stage Info"), *properties = yyjson_obj_get(v, "Properties");
        struct stage_info info;
        read_info(e, stage_info, &info);
        struct stage *s = get_stage(e, &info);
        s->status = AM_STAGE_ACTIVE;
        struct am_str pool = intern_member(e, properties, "spark.scheduler.pool");
        s->pool = pool.off != UINT32_MAX ? pool : intern(e, SV("default"));
        s->jobs.len = 0;
        s->job_ids.len = 0;
        vec_foreach(j, &e->live_jobs) {
                if (intset_has(&(*j)->stage_ids, s->info.id)) {
                        *vec_push(&s->jobs) = *j;
                        intset_add(&s->job_ids, (*j)->out.id);
                }
        }
        s->description = intern_member(e, properties, "spark.job.description");
        vec_foreach(j, &s->jobs) {
                intset_remove(&(*j)->completed_stages, s->info.id);
                (*j)->out.active_stages++;
        }
        storage_stage_submitted(e, yyjson_obj_get(stage_info, "RDD Info"));
        sql_stage_submitted(e, s->info.id, s->info.attempt);
}

void on_stage_completed(struct eventlog *e, yyjson_val *v) {
        struct stage_info info;
        read_info(e, yyjson_obj_get(v, "Stage Info"), &info);
        struct stage *s = live_stage(e, info.id, info.attempt);
        if (s) {
                info_done(&s->info);
                s->info = info;
                info = (struct stage_info){0};
                s->status = s->info.failure.off != UINT32_MAX     ? AM_STAGE_FAILED
                            : s->info.submission_ms != AM_NONE ? AM_STAGE_COMPLETE
                                                               : AM_STAGE_SKIPPED;
                vec_foreach(it, &s->jobs) {
                        struct job *j = *it;
                        if (s->status == AM_STAGE_COMPLETE) {
                                intset_add(&j->completed_stages, s->info.id);
                        } else if (s->status == AM_STAGE_SKIPPED) {
                                intset_add(&j->skipped_stages, s->info.id);
                                j->out.skipped_tasks += s->info.num_tasks;
                        } else {
                                j->out.failed_stages++;
                        }
                        j->out.active_stages--;
                }
                vec_foreach(id, &s->excluded) {
                        struct executor *x = live_executor(e, *id);
                        if (x)
                                intset_remove(&x->excluded_in, s->info.id);
                }
                bool remove = s->active == 0;
                stage_store(e, s, remove);
                if (remove)
                        stage_retire(e, s);
        }
        info_done(&info);
        size_t kept = 0;
        for (size_t i = 0; i < e->dead_executors.len; i++)
                if (executor_is_needed(e, e->dead_executors.items[i]))
                        e->dead_executors.items[kept++] = e->dead_executors.items[i];
        e->dead_executors.len = kept;
}

/* ---- jobs ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* "b,a,,b" gives a, b. */
static struct am_range write_tags(struct eventlog *e, const char *tags) {
        AUTO(strv) struct strv list = {0};
        strv_split(&list, tags, ',');
        qsort(list.items, list.len, sizeof(*list.items), by_text);
        struct am_range r = {(uint32_t)e->w.strings.len, 0};
        for (size_t i = 0; i < list.len; i++) {
                if (!*list.items[i] || (i && streq(list.items[i], list.items[i - 1])))
                        continue;
                struct am_str text = intern(e, sv_of(list.items[i]));
                *vec_push(&e->w.strings) = text;
                r.count++;
        }
        return r;
}

static struct job *new_job(struct eventlog *e, int32_t id) {
        struct job *j = NEW(struct job);
        j->out = (struct am_job){.id = id, .status = AM_JOB_RUNNING, .completion_ms = AM_NONE, .sql_id = -1};
        j->live = true;
        struct job *before = idmap_get(&e->jobs, (uint32_t)id);
        if (before) {
                if (before->live)
                        for (size_t i = 0; i < e->live_jobs.len; i++)
                                if (e->live_jobs.items[i] == before) {
                                        vec_remove(&e->live_jobs, i);
                                        break;
                                }
                /* The new one takes over what is stored under its id. */
                before->live = false;
                j->is_stored = before->is_stored;
                j->stored = before->stored;
                before->is_stored = false;
        }
        idmap_set(&e->jobs, (uint32_t)id, j);
        *vec_push(&e->job_list) = j;
        *vec_push(&e->live_jobs) = j;
        return j;
}

void on_job_start(struct eventlog *e, yyjson_val *v) {
        yyjson_val *infos = yyjson_obj_get(v, "Stage Infos"), *properties = yyjson_obj_get(v, "Properties");
        struct job *j = new_job(e, (int32_t)json_get_int(v, "Job ID", 0));
        VEC(int32_t) ids = {0};
        size_t i, max;
        yyjson_val *item;
        int64_t submission = json_get_int(v, "Submission Time", -1);
        j->out.submission_ms = submission > 0 ? submission : AM_NONE;
        j->out.description = intern_member(e, properties, "spark.job.description");
        j->out.group = intern_member(e, properties, "spark.jobGroup.id");
        j->out.name = intern(e, SV(""));
        const char *tags = json_get_str(properties, "spark.job.tags");
        if (tags)
                j->out.tags = write_tags(e, tags);
        struct stage_info info;
        int32_t last = INT32_MIN;
        if (yyjson_is_arr(infos)) {
                yyjson_arr_foreach(infos, i, max, item) {
                        read_info(e, item, &info);
                        *vec_push(&ids) = info.id;
                        if (info.completion_ms == AM_NONE)
                                j->out.num_tasks += info.num_tasks;
                        if (info.id >= last) {
                                last = info.id;
                                j->out.name = info.name;
                        }
                        struct stage *s = get_stage(e, &info);
                        *vec_push(&s->jobs) = j;
                        intset_add(&s->job_ids, j->out.id);
                }
        } else if (yyjson_is_arr(yyjson_obj_get(v, "Stage IDs"))) { /* before Spark 1.2 */
                yyjson_arr_foreach(yyjson_obj_get(v, "Stage IDs"), i, max, item) {
                        info = (struct stage_info){.id = (int32_t)yyjson_get_sint(item),
                                                   .submission_ms = AM_NONE,
                                                   .completion_ms = AM_NONE,
                                                   .name = intern(e, SV("unknown")),
                                                   .details = intern(e, SV("unknown")),
                                                   .failure = AM_ABSENT};
                        *vec_push(&ids) = info.id;
                        j->out.name = info.name;
                        struct stage *s = get_stage(e, &info);
                        *vec_push(&s->jobs) = j;
                        intset_add(&s->job_ids, j->out.id);
                }
        }
        j->out.stage_ids = write_ints(e, ids.items, ids.len);
        for (i = 0; i < ids.len; i++)
                intset_add(&j->stage_ids, ids.items[i]);
        const char *sql = json_get_str(properties, "spark.sql.execution.id");
        if (sql && sv_to_int64(sv_of(sql), &j->out.sql_id))
                sql_job_start(e, j->out.sql_id, j->out.id, infos, ids.items, ids.len);
        vec_done(&ids);
}

static int job_completion(const void *a, const void *b) {
        const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
        if (x->stored.completion_ms != y->stored.completion_ms)
                return x->stored.completion_ms < y->stored.completion_ms ? -1 : 1;
        return (x->out.id > y->out.id) - (x->out.id < y->out.id);
}

static void evict_jobs(struct eventlog *e) {
        int64_t drop = surplus((int64_t)e->stored_jobs, e->o.retained_jobs);
        if (drop <= 0)
                return;
        VEC(struct job *) done = {0};
        vec_foreach(j, &e->job_list) {
                if ((*j)->is_stored && (*j)->stored.status != AM_JOB_RUNNING && (*j)->stored.completion_ms != AM_NONE)
                        *vec_push(&done) = *j;
        }
        if (done.len > 1)
                qsort(done.items, done.len, sizeof(*done.items), job_completion);
        for (size_t i = 0; i < done.len && (int64_t)i < drop; i++) {
                done.items[i]->is_stored = false;
                e->stored_jobs--;
        }
        vec_done(&done);
}

void job_store(struct eventlog *e, struct job *j, bool last) {
        j->out.completed_indices = (int32_t)j->completed_indices.count;
        j->out.completed_stages = (int32_t)j->completed_stages.len;
        j->out.skipped_stages = (int32_t)j->skipped_stages.len;
        j->stored = j->out;
        j->stored.skipped_stage_ids = write_ints(e, j->skipped_stages.items, j->skipped_stages.len);
        j->stored.killed = (struct am_range){(uint32_t)e->w.counts.len, (uint32_t)j->killed.len};
        vec_foreach(c, &j->killed) *vec_push(&e->w.counts) = *c;
        bool first = !j->is_stored;
        j->is_stored = true;
        e->stored_jobs += first;
        if (first || last)
                evict_jobs(e);
}

void on_job_end(struct eventlog *e, yyjson_val *v) {
        int32_t id = (int32_t)json_get_int(v, "Job ID", 0);
        const char *result = json_get_str(yyjson_obj_get(v, "Job Result"), "Result");
        bool succeeded = streq_null(result, "JobSucceeded");
        struct job *j = idmap_get(&e->jobs, (uint32_t)id);
        if (j && j->live) {
                j->live = false;
                for (size_t i = 0; i < e->live_jobs.len; i++)
                        if (e->live_jobs.items[i] == j) {
                                vec_remove(&e->live_jobs, i);
                                break;
                        }
                for (size_t i = 0; i < e->live_stages.len;) {
                        struct stage *s = e->live_stages.items[i];
                        if (s->status != AM_STAGE_PENDING || !intset_has(&j->stage_ids, s->info.id)) {
                                i++;
                                continue;
                        }
                        s->status = AM_STAGE_SKIPPED;
                        intset_add(&j->skipped_stages, s->info.id);
                        j->out.skipped_tasks += s->info.num_tasks;
                        stage_store(e, s, true);
                        stage_retire(e, s); /* the next one is at i now */
                }
                j->out.status = succeeded ? AM_JOB_SUCCEEDED : AM_JOB_FAILED;
                int64_t completion = json_get_int(v, "Completion Time", -1);
                j->out.completion_ms = completion > 0 ? completion : AM_NONE;
                job_store(e, j, true);
        }
        sql_job_end(e, id, succeeded);
}

/* ---- finishing ---- */

static int slot_by_id(const void *a, const void *b) {
        const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

static int job_by_id(const void *a, const void *b) {
        int32_t x = ((const struct am_job *)a)->id, y = ((const struct am_job *)b)->id;
        return (x > y) - (x < y);
}

void jobs_finish(struct eventlog *e) {
        e->o.retained_stages = e->o.retained_jobs = INT64_MAX; /* the final flush evicts nothing */
        while (e->live_stages.len) {
                struct stage *s = e->live_stages.items[e->live_stages.len - 1];
                stage_store(e, s, false);
                stage_retire(e, s);
        }
        vec_foreach(j, &e->live_jobs) job_store(e, *j, false);
        vec_foreach(j, &e->job_list) {
                if ((*j)->is_stored)
                        *vec_push(&e->w.jobs) = (*j)->stored;
        }
        if (e->w.jobs.len > 1)
                qsort(e->w.jobs.items, e->w.jobs.len, sizeof(*e->w.jobs.items), job_by_id);
        if (e->slot_list.len > 1)
                qsort(e->slot_list.items, e->slot_list.len, sizeof(*e->slot_list.items), slot_by_id);
        vec_foreach(it, &e->slot_list) {
                struct slot *s = *it;
                if (!s->is_stored)
                        continue;
                slot_flush_rows(e, s);
                struct am_stage out = s->stored;
                out.has_speculation = s->has_speculation;
                memcpy(out.speculation, s->speculation, sizeof(out.speculation));
                out.tasks = (struct am_range){(uint32_t)e->w.segments.len, (uint32_t)s->tasks.len};
                vec_foreach(seg, &s->tasks) {
                        *vec_push(&e->w.segments) = *seg;
                        out.stored_tasks += seg->count;
                }
                out.executors = (struct am_range){(uint32_t)e->w.segments.len, (uint32_t)s->executors.len};
                vec_foreach(seg, &s->executors) {
                        *vec_push(&e->w.segments) = *seg;
                        out.stored_executors += seg->count;
                }
                *vec_push(&e->w.stages) = out;
        }
}

void jobs_free(struct eventlog *e) {
        vec_foreach(s, &e->live_stages) stage_free(*s);
        vec_done(&e->live_stages);
        vec_foreach(it, &e->slot_list) {
                vec_done(&(*it)->tasks);
                vec_done(&(*it)->executors);
                vec_done(&(*it)->marks);
                str_done(&(*it)->rows);
                free(*it);
        }
        vec_done(&e->slot_list);
        idmap_done(&e->slots);
        vec_foreach(it, &e->job_list) {
                intset_done(&(*it)->stage_ids);
                intset_done(&(*it)->completed_stages);
                intset_done(&(*it)->skipped_stages);
                idset_done(&(*it)->completed_indices);
                vec_done(&(*it)->killed);
                free(*it);
        }
        vec_done(&e->job_list);
        vec_done(&e->live_jobs);
        idmap_done(&e->jobs);
}
