/* The application, its environment, its executors and what is excluded. */
#include "spark/eventlog-internal.h"

static bool is_driver(struct eventlog *e, const struct executor *x) { return sv_eqs(am_writer_sv(&e->w, x->out.id), "driver"); }

void on_log_start(struct eventlog *e, yyjson_val *v) { e->app.spark_version = intern_member(e, v, "Spark Version"); }

void on_application_start(struct eventlog *e, yyjson_val *v) {
        struct am_str id = intern_member(e, v, "App ID");
        if (id.off == UINT32_MAX)
                return; /* "Application without IDs are not supported." */
        e->app.flags |= AM_HAS_APP;
        e->app.id = id;
        e->app.name = intern_member(e, v, "App Name");
        e->app.attempt_id = intern_member(e, v, "App Attempt ID");
        e->app.user = intern_member(e, v, "User");
        e->app.start_ms = json_get_int(v, "Timestamp", 0);
        e->app.end_ms = AM_NONE;
        e->app.flags &= ~(unsigned)AM_ENDED;
        yyjson_val *logs = yyjson_obj_get(v, "Driver Logs");
        struct executor *driver = live_executor(e, intern(e, SV("driver")));
        if (yyjson_is_obj(logs) && driver) {
                driver->out.logs = write_pairs(e, logs);
                driver->out.attributes = write_pairs(e, yyjson_obj_get(v, "Driver Attributes"));
                executor_store(e, driver, false);
        }
}

void on_application_end(struct eventlog *e, yyjson_val *v) {
        if (!(e->app.flags & AM_HAS_APP))
                return;
        e->app.flags |= AM_ENDED;
        e->app.end_ms = json_get_int(v, "Timestamp", 0);
}

void on_environment(struct eventlog *e, yyjson_val *v) {
        static const char *const parts[AM_ENV_PARTS] = {"Spark Properties", "Hadoop Properties", "System Properties", "Metrics Properties",
                                                        "Classpath Entries"};
        yyjson_val *jvm = yyjson_obj_get(v, "JVM Information");
        e->app.flags |= AM_HAS_ENV;
        e->app.java_version = intern_member(e, jvm, "Java Version");
        e->app.java_home = intern_member(e, jvm, "Java Home");
        e->app.scala_version = intern_member(e, jvm, "Scala Version");
        for (size_t i = 0; i < AM_ENV_PARTS; i++)
                e->app.env[i] = write_pairs(e, yyjson_obj_get(v, parts[i]));
        const char *cpus = json_get_str(yyjson_obj_get(v, "Spark Properties"), "spark.task.cpus");
        int64_t n;
        if (cpus && sv_to_int64(sv_of(cpus), &n) && n > 0 && n <= INT32_MAX)
                e->default_cpus = (int32_t)n;
}

static struct am_range write_requests(struct eventlog *e, yyjson_val *map) {
        struct am_range r = {(uint32_t)e->w.requests.len, 0};
        size_t i, max;
        yyjson_val *k, *v;
        if (!yyjson_is_obj(map))
                return r;
        yyjson_obj_foreach(map, i, max, k, v) {
                struct am_str key = intern(e, sv_new(yyjson_get_str(k), yyjson_get_len(k)));
                struct am_resource_request q = {.key = key,
                                                .name = intern_member(e, v, "Resource Name"),
                                                .script = intern_member(e, v, "Discovery Script"),
                                                .vendor = intern_member(e, v, "Vendor"),
                                                .amount = yyjson_get_num(yyjson_obj_get(v, "Amount"))};
                *vec_push(&e->w.requests) = q;
                r.count++;
        }
        return r;
}

void on_resource_profile(struct eventlog *e, yyjson_val *v) {
        int32_t id = (int32_t)json_get_int(v, "Resource Profile Id", 0);
        struct am_resource_profile p = {.id = id,
                                        .executor = write_requests(e, yyjson_obj_get(v, "Executor Resource Requests")),
                                        .task = write_requests(e, yyjson_obj_get(v, "Task Resource Requests"))};
        size_t at = (size_t)idmap_get(&e->profiles, (uint32_t)id);
        if (at) {
                e->w.profiles.items[at - 1] = p;
                return;
        }
        *vec_push(&e->w.profiles) = p;
        idmap_set(&e->profiles, (uint32_t)id, (void *)e->w.profiles.len);
}

struct executor *live_executor(struct eventlog *e, struct am_str id) { return idmap_get(&e->executors, str_key(id)); }

static struct executor *get_executor(struct eventlog *e, struct am_str id, int64_t add_ms) {
        struct executor *x = live_executor(e, id);
        if (x)
                return x;
        e->active_executors++;
        x = NEW(struct executor);
        x->live = true;
        x->out = (struct am_executor){.id = id, .host_port = AM_ABSENT, .host = AM_ABSENT, .remove_reason = AM_ABSENT, .active = 1,
                                      .total_on_heap = -1, .add_ms = add_ms, .remove_ms = AM_NONE};
        *vec_push(&e->executor_list) = x;
        idmap_set(&e->executors, str_key(id), x);
        return x;
}

static int by_id(const void *a, const void *b, void *arg) {
        const struct eventlog *e = arg;
        struct sv x = am_writer_sv(&e->w, (*(struct executor *const *)a)->stored.id),
                  y = am_writer_sv(&e->w, (*(struct executor *const *)b)->stored.id);
        size_t n = x.len < y.len ? x.len : y.len;
        int diff = n ? memcmp(x.data, y.data, n) : 0;
        return diff ? diff : (x.len > y.len) - (x.len < y.len);
}

/* More dead executors than are kept: those first by id go. */
static void evict_executors(struct eventlog *e) {
        int64_t drop = surplus((int64_t)e->num_stored_executors - e->active_executors, e->o.retained_dead_executors);
        if (drop <= 0)
                return;
        VEC(struct executor *) dead = {0};
        idmap_foreach(s, &e->stored_executors) {
                struct executor *x = s->value;
                if (!x->stored.active)
                        *vec_push(&dead) = x;
        }
        if (dead.len > 1)
                qsort_r(dead.items, dead.len, sizeof(*dead.items), by_id, e);
        for (size_t i = 0; i < dead.len && (int64_t)i < drop; i++) {
                dead.items[i]->is_stored = false;
                idmap_remove(&e->stored_executors, str_key(dead.items[i]->stored.id));
                e->num_stored_executors--;
        }
        vec_done(&dead);
}

void executor_store(struct eventlog *e, struct executor *x, bool last) {
        bool first = !x->is_stored;
        x->stored = x->out;
        x->stored.excluded_in = (struct am_range){0};
        struct executor *before = idmap_get(&e->stored_executors, str_key(x->out.id));
        if (before != x) {
                if (before)
                        before->is_stored = false;
                else
                        e->num_stored_executors++;
                idmap_set(&e->stored_executors, str_key(x->out.id), x);
        }
        x->is_stored = true;
        if (first || last)
                evict_executors(e);
}

static struct am_range write_resources(struct eventlog *e, yyjson_val *map) {
        struct am_range r = {(uint32_t)e->w.resources.len, 0};
        size_t i, max, k, max_k;
        yyjson_val *key, *v, *a;
        if (!yyjson_is_obj(map))
                return r;
        yyjson_obj_foreach(map, i, max, key, v) {
                struct am_resource res = {.name = intern(e, sv_new(yyjson_get_str(key), yyjson_get_len(key))),
                                          .resource_name = intern_member(e, v, "name")};
                yyjson_val *addresses = yyjson_obj_get(v, "addresses");
                res.addresses.first = (uint32_t)e->w.strings.len;
                if (yyjson_is_arr(addresses))
                        yyjson_arr_foreach(addresses, k, max_k, a) {
                                struct am_str text = intern(e, scan_as_text(&e->scan, a));
                                *vec_push(&e->w.strings) = text;
                                res.addresses.count++;
                        }
                *vec_push(&e->w.resources) = res;
                r.count++;
        }
        return r;
}

void on_executor_added(struct eventlog *e, yyjson_val *v) {
        struct executor *x = get_executor(e, intern_member(e, v, "Executor ID"), json_get_int(v, "Timestamp", 0));
        yyjson_val *info = yyjson_obj_get(v, "Executor Info");
        x->out.host = intern_member(e, info, "Host");
        x->out.active = 1;
        x->out.total_cores = (int32_t)json_get_int(info, "Total Cores", 0);
        x->out.resource_profile = (int32_t)json_get_int(info, "Resource Profile Id", 0);
        int32_t cpus = e->default_cpus;
        size_t at = (size_t)idmap_get(&e->profiles, (uint32_t)x->out.resource_profile);
        if (at) {
                struct am_range task = e->w.profiles.items[at - 1].task;
                for (uint32_t i = 0; i < task.count; i++) {
                        const struct am_resource_request *q = &e->w.requests.items[task.first + i];
                        if (sv_eqs(am_writer_sv(&e->w, q->key), "cpus") && q->amount > -1e9 && q->amount < 1e9)
                                cpus = (int32_t)q->amount;
                }
        }
        if (cpus == 0)
                return; /* the division by zero leaves the rest unset in the original too */
        x->out.max_tasks = x->out.total_cores / cpus;
        x->out.logs = write_pairs(e, yyjson_obj_get(info, "Log Urls"));
        x->out.resources = write_resources(e, yyjson_obj_get(info, "Resources"));
        x->out.attributes = write_pairs(e, yyjson_obj_get(info, "Attributes"));
}

/* Was it running while one of the live stages was? */
bool executor_is_needed(struct eventlog *e, const struct executor *x) {
        vec_foreach(s, &e->live_stages) {
                int64_t submitted = (*s)->info.submission_ms;
                if ((submitted == AM_NONE ? 0 : submitted) < x->out.remove_ms)
                        return true;
        }
        return false;
}

void on_executor_removed(struct eventlog *e, yyjson_val *v) {
        struct executor *x = idmap_remove(&e->executors, str_key(intern_member(e, v, "Executor ID")));
        if (!x)
                return;
        e->active_executors -= e->active_executors > 0;
        x->live = false;
        x->out.active = 0;
        x->out.remove_ms = json_get_int(v, "Timestamp", 0);
        x->out.remove_reason = intern_member(e, v, "Removed Reason");
        executor_store(e, x, true);
        storage_executor_removed(e, x);
        if (executor_is_needed(e, x))
                *vec_push(&e->dead_executors) = x;
}

void on_block_manager_added(struct eventlog *e, yyjson_val *v) {
        yyjson_val *bm = yyjson_obj_get(v, "Block Manager ID");
        struct executor *x = get_executor(e, intern_member(e, bm, "Executor ID"), json_get_int(v, "Timestamp", -1));
        const char *host = json_get_str(bm, "Host");
        AUTO(free) char *host_port = xasprintf("%s:%lld", host ? host : "null", (long long)json_get_int(bm, "Port", 0));
        x->out.host_port = intern(e, sv_of(host_port));
        yyjson_val *on_heap = yyjson_obj_get(v, "Maximum Onheap Memory");
        if (yyjson_is_num(on_heap)) {
                x->out.total_on_heap = json_get_int(v, "Maximum Onheap Memory", 0);
                x->out.total_off_heap = json_get_int(v, "Maximum Offheap Memory", 0);
                x->out.used_on_heap = x->out.used_off_heap = 0;
        }
        x->out.active = 1;
        x->out.max_memory = json_get_int(v, "Maximum Memory", 0);
}

/* ---- exclusion ---- */

static void exclude(struct eventlog *e, yyjson_val *v, bool on) {
        struct executor *x = live_executor(e, intern_member(e, v, "executorId"));
        if (x)
                x->out.excluded = on;
}
void on_executor_excluded(struct eventlog *e, yyjson_val *v) { exclude(e, v, true); }
void on_executor_unexcluded(struct eventlog *e, yyjson_val *v) { exclude(e, v, false); }

static void exclude_from_stage(struct stage *s, struct am_str executor) {
        struct stage_executor *x = stage_executor_of(s, executor);
        x->exists = true;
        x->out.excluded = true;
        *vec_push(&s->excluded) = executor;
}

void on_executor_excluded_for_stage(struct eventlog *e, yyjson_val *v) {
        int32_t stage_id = (int32_t)json_get_int(v, "stageId", 0);
        struct stage *s = live_stage(e, stage_id, (int32_t)json_get_int(v, "stageAttemptId", 0));
        struct am_str id = intern_member(e, v, "executorId");
        if (s)
                exclude_from_stage(s, id);
        struct executor *x = live_executor(e, id);
        if (x)
                intset_add(&x->excluded_in, stage_id);
}

/* The host it was added with, else that of its block manager. */
static bool is_on(struct eventlog *e, const struct executor *x, struct sv host) {
        struct sv own = am_writer_sv(&e->w, x->out.host);
        if (!own.data) {
                own = am_writer_sv(&e->w, x->out.host_port);
                ssize_t colon = sv_rfind_char(own, ':');
                if (colon >= 0)
                        own.len = (size_t)colon;
        }
        return sv_eq(own, host) && !is_driver(e, x);
}

static void exclude_node(struct eventlog *e, yyjson_val *v, bool on) {
        struct sv host = sv_of(json_get_str(v, "hostId"));
        idmap_foreach(s, &e->executors) {
                struct executor *x = s->value;
                if (is_on(e, x, host))
                        x->out.excluded = on;
        }
}
void on_node_excluded(struct eventlog *e, yyjson_val *v) { exclude_node(e, v, true); }
void on_node_unexcluded(struct eventlog *e, yyjson_val *v) { exclude_node(e, v, false); }

void on_node_excluded_for_stage(struct eventlog *e, yyjson_val *v) {
        int32_t stage_id = (int32_t)json_get_int(v, "stageId", 0);
        struct stage *s = live_stage(e, stage_id, (int32_t)json_get_int(v, "stageAttemptId", 0));
        struct sv host = sv_of(json_get_str(v, "hostId"));
        idmap_foreach(slot, &e->executors) {
                struct executor *x = slot->value;
                if (s && sv_eq(am_writer_sv(&e->w, x->out.host), host) && !is_driver(e, x))
                        exclude_from_stage(s, x->out.id);
                if (is_on(e, x, host))
                        intset_add(&x->excluded_in, stage_id);
        }
}

void on_process_added(struct eventlog *e, yyjson_val *v) {
        struct am_str id = intern_member(e, v, "processId");
        yyjson_val *info = yyjson_obj_get(v, "info");
        size_t at = (size_t)idmap_get(&e->processes, str_key(id));
        if (!at) {
                *vec_push(&e->w.processes) = (struct am_process){.id = id, .add_ms = json_get_int(v, "time", 0)};
                at = e->w.processes.len;
                idmap_set(&e->processes, str_key(id), (void *)at);
        }
        struct am_process p = e->w.processes.items[at - 1];
        p.logs = write_pairs(e, yyjson_obj_get(info, "logUrlInfo"));
        p.host_port = intern_member(e, info, "hostPort");
        p.active = 1;
        p.cores = (int32_t)json_get_int(info, "cores", 0);
        e->w.processes.items[at - 1] = p;
}

void on_stage_executor_metrics(struct eventlog *e, yyjson_val *v) {
        struct am_str id = intern_member(e, v, "Executor ID");
        int64_t peaks[AM_PEAKS];
        peaks_of(yyjson_obj_get(v, "Executor Metrics"), peaks);
        struct executor *x = live_executor(e, id);
        if (!x)
                vec_foreach(d, &e->dead_executors) {
                        if (str_key((*d)->out.id) == str_key(id))
                                x = *d;
                }
        bool set = x && x->out.peaks_set;
        if (x && raise_peaks(x->out.peaks, &set, peaks)) {
                x->out.peaks_set = set;
                executor_store(e, x, false);
        }
        struct stage *s = live_stage(e, (int32_t)json_get_int(v, "Stage ID", 0), (int32_t)json_get_int(v, "Stage Attempt ID", 0));
        if (!s)
                return;
        raise_peaks(s->peaks, &s->peaks_set, peaks);
        struct stage_executor *sx = stage_executor_of(s, id);
        sx->exists = true;
        raise_peaks(sx->out.peaks, &sx->out.peaks_set, peaks);
}

/* ---- finishing ---- */

static int process_by_id(const void *a, const void *b, void *arg) {
        const struct eventlog *e = arg;
        struct sv x = am_writer_sv(&e->w, ((const struct am_process *)a)->id), y = am_writer_sv(&e->w, ((const struct am_process *)b)->id);
        size_t n = x.len < y.len ? x.len : y.len;
        int diff = n ? memcmp(x.data, y.data, n) : 0;
        return diff ? diff : (x.len > y.len) - (x.len < y.len);
}

static int profile_by_id(const void *a, const void *b) {
        int32_t x = ((const struct am_resource_profile *)a)->id, y = ((const struct am_resource_profile *)b)->id;
        return (x > y) - (x < y);
}

void executors_finish(struct eventlog *e) {
        idmap_foreach(s, &e->executors) {
                struct executor *x = s->value;
                x->stored = x->out;
                struct executor *before = idmap_get(&e->stored_executors, str_key(x->out.id));
                if (before && before != x)
                        before->is_stored = false;
                x->is_stored = true;
                idmap_set(&e->stored_executors, str_key(x->out.id), x);
        }
        VEC(struct executor *) all = {0};
        idmap_foreach(s, &e->stored_executors) *vec_push(&all) = s->value;
        if (all.len > 1)
                qsort_r(all.items, all.len, sizeof(*all.items), by_id, e);
        for (size_t i = 0; i < all.len; i++) {
                struct am_executor out = all.items[i]->stored;
                out.has_memory = out.total_on_heap >= 0;
                out.excluded_in = write_ints(e, all.items[i]->excluded_in.items, all.items[i]->excluded_in.len);
                *vec_push(&e->w.executors) = out;
        }
        vec_done(&all);
        if (e->w.processes.len > 1)
                qsort_r(e->w.processes.items, e->w.processes.len, sizeof(*e->w.processes.items), process_by_id, e);
        if (e->w.profiles.len > 1)
                qsort(e->w.profiles.items, e->w.profiles.len, sizeof(*e->w.profiles.items), profile_by_id);
}
