/* Jobs: pods until enough have succeeded or too many have failed. Every pod carries a finalizer until it was counted, so none is counted
 * twice or missed, whatever deletes it. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "codec/ktime.h"

#define TRACKING "batch.kubernetes.io/job-tracking"
#define INDEX "batch.kubernetes.io/job-completion-index"

enum { FIRST_BACKOFF_MS = 10000, LAST_BACKOFF_MS = 600000, MAX_INDEXES = 100000 };

struct jobs {
        struct control *c;
        struct queue *queue;
};

struct round {
        struct control *c;
        struct object *job;
        struct object_list pods;
        yyjson_mut_doc *doc; /* the job being edited */
        yyjson_mut_val *root, *status;
        int64_t now_ms, completions, parallelism; /* completions -1: none stated */
        int64_t active, ready, terminating, succeeded, failed;
        int64_t last_failure_ms;
        bool indexed;
};

static bool is_over(const struct object *job) {
        return meta_condition_is(object_root(job), "Complete", "True") || meta_condition_is(object_root(job), "Failed", "True");
}

static int64_t smaller_int(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t time_of(const char *text) {
        int64_t us;
        return text && ktime_parse(sv_of(text), &us) ? us / 1000 : 0;
}

/* ---- completion indexes: a bitmap with the text form 0-2,5 ---- */

static int64_t index_of(yyjson_val *pod) {
        int64_t n;
        const char *text = meta_annotation(pod, INDEX);
        return text && sv_to_int64(sv_of(text), &n) && n >= 0 && n < MAX_INDEXES ? n : -1;
}

static void read_indexes(const char *text, bool *done, int64_t size) {
        struct sv rest = sv_of(text), part;
        while (text && sv_split(&rest, ',', &part)) {
                int64_t from, to;
                ssize_t dash = sv_find_char(part, '-');
                struct sv first = dash < 0 ? part : sv_new(part.data, (size_t)dash), last = dash < 0 ? part : sv_new(part.data + dash + 1, part.len - (size_t)dash - 1);
                if (!sv_to_int64(first, &from) || !sv_to_int64(last, &to))
                        continue;
                for (int64_t i = from; i >= 0 && i <= to && i < size; i++)
                        done[i] = true;
        }
}

static char *write_indexes(const bool *done, int64_t size) {
        AUTO(str) struct str out = STR_INIT(0);
        for (int64_t i = 0; i < size; i++) {
                if (!done[i])
                        continue;
                int64_t to = i;
                while (to + 1 < size && done[to + 1])
                        to++;
                str_appendf(&out, "%s%lld", out.len ? "," : "", (long long)i);
                if (to > i)
                        str_appendf(&out, "%c%lld", to > i + 1 ? '-' : ',', (long long)to);
                i = to;
        }
        return str_take(&out);
}

/* ---- counting ---- */

static int release(struct round *r, const struct object *pod, struct err *err) {
        struct object *now = api_peek(r->c->api, "pods", pod->namespace, pod->name);
        if (!now || !streq(now->uid, pod->uid) || !meta_has_finalizer(object_root(now), TRACKING))
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(now);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        AUTO(err) struct err why = ERR_INIT;
        mmeta_remove_finalizer(root, TRACKING);
        mmeta_set(doc, root, "resourceVersion", NULL);
        int e = api_update(r->c->api, "pods", root, NULL, &why);
        return e < 0 && why.http_status != 404 ? err_move(err, &why) : 0;
}

/* Ended pods that still have the finalizer go into the status, which is written with the rest, and are released after that. A pod that was written and not
 * released (the server ended between) is found in uncountedTerminatedPods and not counted again. */
static void count_pods(struct round *r, struct object_list *ret_release) {
        yyjson_mut_val *uncounted = mjson_obj(r->doc, r->status, "uncountedTerminatedPods");
        AUTO(json) yyjson_doc *before = mjson_freeze(uncounted);
        AUTO(strv) struct strv known = {0};
        static const char *const lists[] = {"succeeded", "failed"};
        size_t i, max;
        yyjson_val *uid;
        for (size_t k = 0; k < ARRAY_LEN(lists); k++)
                yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(before), lists[k]), i, max, uid) strv_add(&known, yyjson_get_str(uid));
        mjson_set(r->doc, r->status, "uncountedTerminatedPods", yyjson_mut_obj(r->doc));
        bool *done = xcalloc((size_t)(r->indexed ? r->completions : 0) + 1, sizeof(bool));
        if (r->indexed)
                read_indexes(mjson_get_str(r->status, "completedIndexes"), done, r->completions);
        vec_foreach(p, &r->pods) {
                yyjson_val *pod = object_root(*p);
                bool won = streq_null(json_str_at(pod, "/status/phase"), "Succeeded"), ended = pod_is_finished(pod);
                bool lost = streq_null(json_str_at(pod, "/status/phase"), "Failed") || (meta_is_deleting(pod) && !won);
                if (lost && !ended && json_str_at(pod, "/spec/nodeName"))
                        lost = false; /* it is counted when it has ended */
                int64_t at = index_of(pod);
                if (won && r->indexed && at >= 0 && at < r->completions)
                        done[at] = true;
                bool forgiven = lost && meta_is_deleting(pod) && object_bool(r->job, "/spec/suspend", false); /* we ended it ourselves */
                if (!meta_has_finalizer(pod, TRACKING))
                        continue;
                if (won || lost)
                        *vec_push(ret_release) = object_ref(*p);
                if (won || (lost && !forgiven)) {
                        if (!strv_has(&known, (*p)->uid))
                                *(won ? &r->succeeded : &r->failed) += 1;
                        mjson_add_str(r->doc, mjson_arr(r->doc, mjson_obj(r->doc, r->status, "uncountedTerminatedPods"), won ? "succeeded" : "failed"), (*p)->uid);
                }
                if (lost && time_of(json_str_at(pod, "/status/containerStatuses/0/state/terminated/finishedAt")) > r->last_failure_ms)
                        r->last_failure_ms = time_of(json_str_at(pod, "/status/containerStatuses/0/state/terminated/finishedAt"));
                else if (lost && !r->last_failure_ms)
                        r->last_failure_ms = r->now_ms;
        }
        if (r->indexed) {
                AUTO(free) char *text = write_indexes(done, r->completions);
                r->succeeded = 0;
                for (int64_t k = 0; k < r->completions; k++)
                        r->succeeded += done[k];
                if (*text)
                        mjson_set_str(r->doc, r->status, "completedIndexes", text);
        }
        free(done);
}

static void count_living(struct round *r) {
        r->active = r->ready = r->terminating = 0;
        vec_foreach(p, &r->pods) {
                yyjson_val *pod = object_root(*p);
                r->active += pod_is_active(pod);
                r->ready += pod_is_active(pod) && pod_is_ready(pod);
                r->terminating += meta_is_deleting(pod) && !pod_is_finished(pod);
        }
}

/* ---- pods ---- */

static yyjson_mut_doc *make_pod(struct round *r, int64_t index) {
        AUTO(free) char *prefix = index < 0 ? xasprintf("%s-", r->job->name) : xasprintf("%s-%lld-", r->job->name, (long long)index);
        yyjson_mut_doc *doc = pod_from_template(object_at(r->job, "/spec/template"), object_root(r->job), prefix, NULL);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        mmeta_add_finalizer(doc, root, TRACKING);
        if (index < 0)
                return doc;
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)index);
        mmeta_set_annotation(doc, root, INDEX, text);
        mmeta_set_label(doc, root, INDEX, text);
        AUTO(free) char *hostname = xasprintf("%s-%s", r->job->name, text);
        mjson_set_str(doc, mjson_obj(doc, root, "spec"), "hostname", hostname);
        static const char *const lists[] = {"initContainers", "containers"};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
                size_t i, max;
                yyjson_mut_val *c;
                yyjson_mut_arr_foreach(yyjson_mut_obj_get(yyjson_mut_obj_get(root, "spec"), lists[k]), i, max, c) {
                        yyjson_mut_val *env = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, c, "env"));
                        mjson_set_str(doc, env, "name", "JOB_COMPLETION_INDEX");
                        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, env, "valueFrom"), "fieldRef"), "fieldPath", "metadata.labels['" INDEX "']");
                }
        }
        return doc;
}

/* The first index that is neither done nor being worked on; -1 when there is none. */
static int64_t free_index(struct round *r, bool *taken) {
        for (int64_t i = 0; i < r->completions; i++)
                if (!taken[i]) {
                        taken[i] = true;
                        return i;
                }
        return -1;
}

static int create_pods(struct round *r, int64_t count, struct err *err) {
        bool *taken = xcalloc((size_t)(r->indexed ? r->completions : 0) + 1, sizeof(bool));
        int e = 0;
        if (r->indexed) {
                read_indexes(mjson_get_str(r->status, "completedIndexes"), taken, r->completions);
                vec_foreach(p, &r->pods) {
                        int64_t at = index_of(object_root(*p));
                        if (object_is_active(*p) && at >= 0 && at < r->completions)
                                taken[at] = true;
                }
        }
        for (int64_t i = 0; i < count && e >= 0; i++) {
                int64_t index = r->indexed ? free_index(r, taken) : -1;
                if (r->indexed && index < 0)
                        break;
                AUTO(mjson) yyjson_mut_doc *pod = make_pod(r, index);
                struct object *made = NULL;
                e = pod_create(r->c, r->job, pod, &made, err);
                if (e >= 0) {
                        *vec_push(&r->pods) = made;
                        r->active++;
                }
        }
        free(taken);
        return e;
}

static int delete_active(struct round *r, int64_t count, struct err *err) {
        for (size_t i = r->pods.len; i-- > 0 && count > 0;) {
                struct object *pod = r->pods.items[i];
                if (!object_is_active(pod))
                        continue;
                int e = pod_delete(r->c, r->job, pod, err);
                if (e < 0)
                        return e;
                struct object *now = api_peek(r->c->api, "pods", pod->namespace, pod->name);
                if (now && streq(now->uid, pod->uid)) {
                        r->pods.items[i] = object_ref(now);
                        object_unref(pod);
                } else {
                        object_unref(pod);
                        vec_remove(&r->pods, i);
                }
                count--;
        }
        count_living(r);
        return 0;
}

/* ---- the end ---- */

/* True when it changed. Jobs have lastProbeTime in their conditions. */
static bool set_condition(struct round *r, const char *type, const char *status, const char *reason, const char *message) {
        char now[KTIME_SIZE];
        size_t i, max;
        yyjson_mut_val *c;
        if (!mmeta_set_condition(r->doc, r->root, type, status, reason, message, r->now_ms))
                return false;
        ktime_format(r->now_ms, now);
        yyjson_mut_arr_foreach(mjson_at(r->root, "/status/conditions"), i, max, c) {
                if (streq_null(mjson_get_str(c, "type"), type))
                        mjson_set_str(r->doc, c, "lastProbeTime", now);
        }
        return true;
}

static void probe(struct round *r, const char *type, const char *reason, const char *message) { (void)set_condition(r, type, "True", reason, message); }

/* Containers that are restarted in place count against the limit as well. */
static int64_t restarts(struct round *r) {
        int64_t sum = 0;
        if (!streq_null(object_str(r->job, "/spec/template/spec/restartPolicy"), "OnFailure"))
                return 0;
        vec_foreach(p, &r->pods) {
                size_t i, max;
                yyjson_val *s;
                if (!object_is_active(*p))
                        continue;
                yyjson_arr_foreach(object_at(*p, "/status/initContainerStatuses"), i, max, s) sum += json_get_int(s, "restartCount", 0);
                yyjson_arr_foreach(object_at(*p, "/status/containerStatuses"), i, max, s) sum += json_get_int(s, "restartCount", 0);
        }
        return sum;
}

/* Why the job has failed, or NULL. */
static const char *failure(struct round *r, const char **ret_message, int64_t *ret_wait_ms) {
        int64_t limit = object_int(r->job, "/spec/backoffLimit", 6), deadline = object_int(r->job, "/spec/activeDeadlineSeconds", -1);
        int64_t began = time_of(mjson_get_str(r->status, "startTime"));
        if (r->failed > limit || (restarts(r) > 0 && restarts(r) >= limit)) {
                *ret_message = "Job has reached the specified backoff limit";
                return "BackoffLimitExceeded";
        }
        if (deadline >= 0 && began) {
                int64_t left = began + deadline * 1000 - r->now_ms;
                if (left <= 0) {
                        *ret_message = "Job was active longer than specified deadline";
                        return "DeadlineExceeded";
                }
                *ret_wait_ms = left + 1;
        }
        return NULL;
}

static int finish(struct round *r, bool won, const char *reason, const char *message, struct err *err) {
        int e = delete_active(r, INT64_MAX, err);
        if (e < 0)
                return e;
        probe(r, won ? "SuccessCriteriaMet" : "FailureTarget", reason, message);
        if (r->active || r->terminating)
                return 0; /* the last word follows when all pods have ended */
        probe(r, won ? "Complete" : "Failed", reason, message);
        if (won) {
                char now[KTIME_SIZE];
                ktime_format(r->now_ms, now);
                mjson_set_str(r->doc, r->status, "completionTime", now);
                api_event(r->c->api, r->job, "Normal", "Completed", "Job completed");
        } else {
                api_event(r->c->api, r->job, "Warning", reason, "%s", message);
        }
        return 0;
}

/* When the last of the failed pods ended, those counted before included. */
static int64_t last_failure(struct round *r) {
        int64_t last = r->last_failure_ms;
        vec_foreach(p, &r->pods) {
                int64_t at = time_of(object_str(*p, "/status/containerStatuses/0/state/terminated/finishedAt"));
                if (streq_null(object_str(*p, "/status/phase"), "Failed") && at > last)
                        last = at;
        }
        return last;
}

static int work(struct round *r, int64_t *ret_wait_ms, struct err *err) {
        int64_t wanted = r->parallelism;
        if (r->completions >= 0 && wanted > r->completions - r->succeeded)
                wanted = r->completions - r->succeeded;
        else if (r->completions < 0 && r->succeeded)
                wanted = smaller_int(wanted, r->active); /* one success ends the work queue: nothing new starts */
        if (r->active > wanted)
                return delete_active(r, r->active - wanted, err);
        int64_t in_the_way = streq_null(object_str(r->job, "/spec/podReplacementPolicy"), "Failed") ? r->terminating : 0, missing = wanted - r->active - in_the_way;
        if (missing <= 0)
                return 0;
        if (r->failed) {
                int64_t pause = FIRST_BACKOFF_MS;
                for (int64_t i = 1; i < r->failed && pause < LAST_BACKOFF_MS; i++)
                        pause *= 2;
                pause = smaller_int(pause, LAST_BACKOFF_MS);
                int64_t last = last_failure(r), left = last + pause - r->now_ms;
                if (last && left > 0) {
                        *ret_wait_ms = *ret_wait_ms ? smaller_int(*ret_wait_ms, left) : left;
                        return 0;
                }
        }
        return create_pods(r, missing, err);
}

static int suspend(struct round *r, struct err *err) {
        int e = delete_active(r, INT64_MAX, err);
        if (e >= 0 && set_condition(r, "Suspended", "True", "JobSuspended", "Job suspended")) {
                mjson_remove(r->status, "startTime");
                api_event(r->c->api, r->job, "Normal", "Suspended", "Job suspended");
        }
        return e;
}

static void begin(struct round *r) {
        char now[KTIME_SIZE];
        if (mjson_get_str(r->status, "startTime"))
                return;
        ktime_format(r->now_ms, now);
        mjson_set_str(r->doc, r->status, "startTime", now);
        if (meta_condition_is(object_root(r->job), "Suspended", "True")) {
                (void)set_condition(r, "Suspended", "False", "JobResumed", "Job resumed");
                api_event(r->c->api, r->job, "Normal", "Resumed", "Job resumed");
        }
}

static int decide(struct round *r, int64_t *ret_wait_ms, struct err *err) {
        yyjson_val *job = object_root(r->job), *target = meta_condition(job, "FailureTarget");
        const char *message = NULL, *reason = NULL;
        if (target && meta_condition_is(job, "FailureTarget", "True")) {
                message = json_get_str(target, "message");
                reason = json_get_str(target, "reason");
                return finish(r, false, reason ? reason : "", message ? message : "", err);
        }
        if (object_bool(r->job, "/spec/suspend", false))
                return suspend(r, err);
        begin(r);
        bool enough = r->completions >= 0 ? r->succeeded >= r->completions : r->succeeded > 0 && !r->active;
        if (enough)
                return finish(r, true, "CompletionsReached", "Reached expected number of succeeded pods", err);
        if ((reason = failure(r, &message, ret_wait_ms)))
                return finish(r, false, reason, message, err);
        return work(r, ret_wait_ms, err);
}

static void put_counts(struct round *r) {
        const struct {
                const char *key;
                int64_t value;
                bool always;
        } counts[] = {{"active", r->active}, {"succeeded", r->succeeded}, {"failed", r->failed}, {"ready", r->ready, true}, {"terminating", r->terminating, true}};
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                if (counts[i].value || counts[i].always)
                        mjson_set_int(r->doc, r->status, counts[i].key, counts[i].value);
                else
                        mjson_remove(r->status, counts[i].key);
        }
}

/* Finished jobs go when their time is over. */
static int expire(struct jobs *s, const struct object *job, struct err *err) {
        int64_t ttl = object_int(job, "/spec/ttlSecondsAfterFinished", -1), ended = 0;
        static const char *const types[] = {"Complete", "Failed"};
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
                if (meta_condition_is(object_root(job), types[i], "True"))
                        ended = time_of(json_get_str(meta_condition(object_root(job), types[i]), "lastTransitionTime"));
        if (ttl < 0 || object_is_deleting(job))
                return 0;
        int64_t left = ended + ttl * 1000 - clock_now_ms();
        if (left > 0)
                return (int)(left < 3600000 ? left + 1 : 3600000);
        struct api_delete_options o = API_DELETE_DEFAULT;
        o.propagation = "Foreground";
        o.uid = job->uid;
        return api_delete(s->c->api, "jobs.batch", job->namespace, job->name, &o, err);
}

static int settle(struct round *r, const struct object_list *release_list, struct err *err) {
        int e = write_status(r->c, "jobs.batch", r->job, r->root, err);
        if (e < 0)
                return e;
        vec_foreach(p, release_list) {
                int f = release(r, *p, err);
                if (f < 0)
                        return f;
        }
        if (!release_list->len)
                return 0;
        /* Now that none can be counted again. */
        struct object *now = api_peek(r->c->api, "jobs.batch", r->job->namespace, r->job->name);
        if (!now || !streq(now->uid, r->job->uid))
                return 0;
        AUTO(object) struct object *kept = object_ref(now);
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(kept);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        mjson_set(doc, mjson_obj(doc, root, "status"), "uncountedTerminatedPods", yyjson_mut_obj(doc));
        e = write_status(r->c, "jobs.batch", kept, root, err);
        return e < 0 ? e : 0;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct jobs *s = arg;
        struct object *found = api_peek(s->c->api, "jobs.batch", ns, name);
        AUTO(object) struct object *job = found ? object_ref(found) : NULL;
        AUTO(object_list) struct object_list to_release = {0};
        int64_t wait_ms = 0;
        if (!job)
                return 0;
        struct round r = {.c = s->c, .job = job, .now_ms = clock_now_ms(), .parallelism = object_int(job, "/spec/parallelism", 1),
                          .completions = object_int(job, "/spec/completions", -1)};
        r.indexed = streq_null(object_str(job, "/spec/completionMode"), "Indexed") && r.completions >= 0 && r.completions <= MAX_INDEXES;
        int e = pods_of(s->c, job, object_at(job, "/spec/selector"), &r.pods, err);
        if (e < 0) {
                object_list_done(&r.pods);
                return e;
        }
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(job);
        r.doc = doc;
        r.root = yyjson_mut_doc_get_root(doc);
        r.status = mjson_obj(doc, r.root, "status");
        r.succeeded = mjson_get_int(r.status, "succeeded", 0);
        r.failed = mjson_get_int(r.status, "failed", 0);
        count_pods(&r, &to_release);
        count_living(&r);
        e = is_over(job) || object_is_deleting(job) ? 0 : decide(&r, &wait_ms, err);
        put_counts(&r);
        AUTO(err) struct err why = ERR_INIT;
        int w = settle(&r, &to_release, &why);
        object_list_done(&r.pods);
        if (e < 0)
                return e;
        if (w < 0)
                return err_move(err, &why);
        if (is_over(job))
                return expire(s, job, err);
        return (int)(wait_ms < 3600000 ? wait_ms : 3600000);
}

static void on_pod(void *arg, const struct api_event *e) {
        struct jobs *s = arg;
        if (!e->object)
                return;
        queue_add_controller(s->queue, e->object, "Job");
        /* A job that is gone leaves its finalizer behind. */
        const struct object *pod = e->object;
        if (e->type != API_DELETED && !object_is_active(pod) && meta_has_finalizer(object_root(pod), TRACKING)) {
                struct object *job = streq_null(pod->owner_kind, "Job") ? api_peek(s->c->api, "jobs.batch", pod->namespace, pod->owner_name) : NULL;
                if (!job || !object_is_controlled_by(pod, job->uid)) {
                        struct round r = {.c = s->c};
                        (void)!release(&r, e->object, NULL);
                }
        }
}

static void *start(struct control *c) {
        struct jobs *s = NEW(struct jobs);
        s->c = c;
        s->queue = queue_new(c->api, "job", reconcile, s);
        api_watch_start(c->api, "jobs.batch", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct jobs *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_job = {"job", "job-controller", start, stop};
