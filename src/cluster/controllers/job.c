/* Jobs: pods until enough have succeeded or too many have failed. Every pod carries a finalizer until it was counted, so none is counted
 * twice or missed, whatever deletes it.
 *
 * A round goes as that of the real controller: look at the pods, judge whether the Job is at its end, act (make or delete pods), count
 * those that ended and write the status, release them, and only then say Complete or Failed. The rules about failures and successes are in
 * job_policy.h. */
#include <stdlib.h>

#include "cluster/controllers/job_policy.h"
#include "cluster/controllers/job_round.h"
#include "codec/ktime.h"

enum { MOST_UNCOUNTED = 500, LONGEST_WAIT_MS = 3600000 };

static void round_done(struct round *r) {
        object_list_done(&r->pods);
        object_list_done(&r->held);
        object_list_done(&r->to_release);
        strv_done(&r->won_uids);
        strv_done(&r->lost_uids);
        index_set_done(&r->done);
        index_set_done(&r->broken);
        yyjson_mut_doc_free(r->doc);
        free(r->reason);
        free(r->message);
}

static bool is_over(const struct object *job) {
        return meta_condition_is(object_root(job), "Complete", "True") || meta_condition_is(object_root(job), "Failed", "True");
}

static bool has_succeeded(const struct object *pod) { return streq_null(json_str_at(object_root(pod), "/status/phase"), "Succeeded"); }
static bool has_failed(const struct round *r, const struct object *pod) { return job_pod_failed(r->spec, object_root(pod)); }

/* ---- looking ---- */

static void read_uids(struct strv *ret, yyjson_val *list) {
        size_t i, max;
        yyjson_val *uid;
        yyjson_arr_foreach(list, i, max, uid) strv_add(ret, yyjson_get_str(uid));
}

/* Pods in the lists that have no finalizer any more are counted. */
static void count_released(struct round *r) {
        static const char *const keys[] = {"succeeded", "failed"};
        struct strv *const lists[] = {&r->won_uids, &r->lost_uids};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
                AUTO(strv) struct strv left = {0};
                vec_foreach(uid, lists[k]) {
                        bool tracked = false;
                        vec_foreach(p, &r->pods) {
                                struct object *now =
                                        streq((*p)->uid, *uid) ? api_peek(r->c->api, "pods", (*p)->namespace, (*p)->name) : NULL;
                                tracked = tracked || (now && streq(now->uid, *uid) && job_pod_is_tracked(now));
                        }
                        if (tracked)
                                strv_add(&left, *uid);
                        else
                                mjson_set_int(r->doc, r->status, keys[k], mjson_get_int(r->status, keys[k], 0) + 1);
                }
                strv_done(lists[k]);
                *lists[k] = left;
                left = (struct strv){0};
        }
}

static void count_living(struct round *r) {
        vec_foreach(p, &r->pods) {
                yyjson_val *pod = object_root(*p);
                r->active += pod_is_active(pod);
                r->ready += pod_is_active(pod) && pod_is_ready(pod);
                r->terminating += meta_is_deleting(pod) && !pod_is_finished(pod);
        }
}

/* Those that ended and are not in the lists yet, and what that means for the next pause. */
static void count_ended(struct round *r) {
        int64_t last_success_ms = 0, wins = 0, losses = 0, last_ms = 0, uncounted = 0;
        vec_foreach(p, &r->pods) {
                if (!job_pod_is_tracked(*p) || !round_counts(r, *p) || !has_succeeded(*p) || strv_has(&r->won_uids, (*p)->uid))
                        continue;
                int64_t at = job_pod_ended_ms(object_root(*p));
                last_success_ms = at > last_success_ms ? at : last_success_ms;
                wins++;
        }
        vec_foreach(p, &r->pods) {
                if (!job_pod_is_tracked(*p) || !round_counts(r, *p) || !has_failed(r, *p) || strv_has(&r->lost_uids, (*p)->uid))
                        continue;
                int64_t at = job_pod_ended_ms(object_root(*p));
                uncounted += job_failure_action(r->spec, object_root(*p), NULL) != FAILURE_IGNORE;
                if (wins && at <= last_success_ms)
                        continue;
                last_ms = at > last_ms ? at : last_ms;
                losses++;
        }
        r->succeeded = mjson_get_int(r->status, "succeeded", 0) + wins + (int64_t)r->won_uids.len;
        r->failed = mjson_get_int(r->status, "failed", 0) + uncounted + (int64_t)r->lost_uids.len;
        if (wins)
                r->backoff.failures = r->backoff.last_ms = 0;
        r->backoff.failures += losses;
        if (losses)
                r->backoff.last_ms = last_ms;
}

static bool is_pending_index(const struct round *r, int64_t index, const struct index_set *active) {
        return !index_set_has(&r->done, index) && !index_set_has(&r->broken, index) && !index_set_has(active, index);
}

/* A failed pod stays until its successor was made, which carries on its count of failures. */
static void hold_failed(struct round *r) {
        AUTO(index_set) struct index_set active = {0};
        vec_foreach(p, &r->pods)
                if (object_is_active(*p) && round_counts(r, *p))
                        index_set_add(&active, job_pod_index(object_root(*p)));
        vec_foreach(p, &r->pods) {
                yyjson_val *pod = object_root(*p);
                int64_t index = job_pod_index(pod);
                if (!job_pod_is_tracked(*p) || !round_counts(r, *p) || !has_failed(r, *p) || !is_pending_index(r, index, &active))
                        continue;
                struct object **before = NULL;
                vec_foreach(h, &r->held)
                        if (job_pod_index(object_root(*h)) == index)
                                before = h;
                if (!before) {
                        *vec_push(&r->held) = object_ref(*p);
                } else if (job_index_all_failures(object_root(*before)) <= job_index_all_failures(pod) &&
                           job_pod_ended_ms(pod) >= job_pod_ended_ms(object_root(*before))) {
                        object_unref(*before);
                        *before = object_ref(*p);
                }
        }
}

static void look_at_indexes(struct round *r) {
        index_set_parse(&r->done, mjson_get_str(r->status, "completedIndexes"), r->completions);
        if (r->per_index)
                index_set_parse(&r->broken, mjson_get_str(r->status, "failedIndexes"), r->completions);
        vec_foreach(p, &r->pods) {
                int64_t at = job_pod_index(object_root(*p));
                if (!job_pod_is_tracked(*p) || !round_counts(r, *p))
                        continue;
                if (has_succeeded(*p))
                        index_set_add(&r->done, at);
                if (r->per_index && job_index_failed(r->spec, object_root(*p)))
                        index_set_add(&r->broken, at);
        }
        r->succeeded = index_set_total(&r->done);
        if (r->per_index)
                hold_failed(r);
}

/* ---- judging ---- */

static void judge(struct round *r, enum verdict verdict, const char *reason, const char *message) {
        r->verdict = verdict;
        r->reason = xstrdup(reason ? reason : "");
        r->message = xstrdup(message ? message : "");
}

/* What an earlier round found stands. */
static void judge_as_before(struct round *r) {
        static const struct {
                const char *type;
                enum verdict verdict;
        } targets[] = {{"SuccessCriteriaMet", HAS_WON}, {"FailureTarget", HAS_LOST}};
        for (size_t i = 0; i < ARRAY_LEN(targets) && r->verdict == GOES_ON; i++) {
                yyjson_val *condition = meta_condition(object_root(r->job), targets[i].type);
                if (streq_null(json_get_str(condition, "status"), "True"))
                        judge(r, targets[i].verdict, json_get_str(condition, "reason"), json_get_str(condition, "message"));
        }
}

static void judge_by_failure_policy(struct round *r) {
        vec_foreach(p, &r->pods) {
                AUTO(free) char *message = NULL;
                if (has_failed(r, *p) && job_failure_action(r->spec, object_root(*p), &message) == FAILURE_FAIL_JOB) {
                        judge(r, HAS_LOST, "PodFailurePolicy", message);
                        return;
                }
        }
}

/* Containers that are restarted in place count against the limit as well. */
static int64_t restarts(struct round *r) {
        int64_t sum = 0;
        if (!streq_null(json_str_at(r->spec, "/template/spec/restartPolicy"), "OnFailure"))
                return 0;
        vec_foreach(p, &r->pods) {
                size_t i, max;
                yyjson_val *s;
                const char *phase = object_str(*p, "/status/phase");
                if (!streq_null(phase, "Running") && !streq_null(phase, "Pending"))
                        continue;
                yyjson_arr_foreach(object_at(*p, "/status/initContainerStatuses"), i, max, s) sum += json_get_int(s, "restartCount", 0);
                yyjson_arr_foreach(object_at(*p, "/status/containerStatuses"), i, max, s) sum += json_get_int(s, "restartCount", 0);
        }
        return sum;
}

static void judge_by_limits(struct round *r) {
        int64_t limit = json_get_int(r->spec, "backoffLimit", 6), deadline = json_get_int(r->spec, "activeDeadlineSeconds", -1);
        int64_t began = time_of(mjson_get_str(r->status, "startTime")), restarted = restarts(r);
        if (r->failed > limit || (restarted > 0 && restarted >= limit)) {
                judge(r, HAS_LOST, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
                return;
        }
        if (deadline < 0 || !began || r->suspended)
                return;
        int64_t left = began + deadline * 1000 - r->now_ms;
        if (left <= 0)
                judge(r, HAS_LOST, "DeadlineExceeded", "Job was active longer than specified deadline");
        else
                round_wait(r, left + 1);
}

static void judge_by_indexes(struct round *r) {
        int64_t broken = index_set_total(&r->broken);
        yyjson_val *most = yyjson_obj_get(r->spec, "maxFailedIndexes");
        if (most && broken > yyjson_get_sint(most))
                judge(r, HAS_LOST, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
        else if (broken && broken + index_set_total(&r->done) >= r->completions)
                judge(r, HAS_LOST, "FailedIndexes", "Job has failed indexes");
}

static void judge_by_success_policy(struct round *r) {
        int rule = job_success_rule(r->spec, &r->done);
        if (rule < 0)
                return;
        AUTO(free) char *message = xasprintf("Matched rules at index %d", rule);
        judge(r, HAS_WON, "SuccessPolicy", message);
}

/* The order is part of the rules: one pod can be reason for several verdicts. */
static void judge_all(struct round *r) {
        static void (*const judges[])(struct round * r) = {judge_as_before, judge_by_failure_policy, judge_by_limits, judge_by_indexes,
                                                           judge_by_success_policy};
        for (size_t i = 0; i < ARRAY_LEN(judges) && r->verdict == GOES_ON; i++)
                judges[i](r);
}

/* ---- the status ---- */

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

static void set_time(struct round *r, const char *key) {
        char now[KTIME_SIZE];
        ktime_format(r->now_ms, now);
        mjson_set_str(r->doc, r->status, key, now);
}

static void show_suspension(struct round *r) {
        if (r->suspended) {
                if (set_condition(r, "Suspended", "True", "JobSuspended", "Job suspended"))
                        api_event(r->c->api, r->job, "Normal", "Suspended", "Job suspended");
        } else if (meta_condition_is(object_root(r->job), "Suspended", "True")) {
                (void)set_condition(r, "Suspended", "False", "JobResumed", "Job resumed");
                set_time(r, "startTime"); /* the deadline begins anew */
                api_event(r->c->api, r->job, "Normal", "Resumed", "Job resumed");
        }
}

/* Is nothing left to be learned from the pod? */
static bool may_be_released(const struct round *r, const struct object *pod) {
        if (r->deleting || r->verdict != GOES_ON || has_succeeded(pod))
                return true;
        int64_t index = job_pod_index(object_root(pod));
        const struct object *held = r->per_index && index >= 0 ? round_held_pod(r, index) : NULL;
        return has_failed(r, pod) && !(held && streq(held->uid, pod->uid));
}

/* Which pods are released after the status was written, and in which list they stand until then. When the Job has failed the pods that were
 * still running have failed too; when it has succeeded they do not count. */
static void track(struct round *r) {
        vec_foreach(p, &r->pods) {
                if (!job_pod_is_tracked(*p) || !may_be_released(r, *p))
                        continue;
                if (r->won_uids.len + r->lost_uids.len >= MOST_UNCOUNTED) {
                        r->is_partial = true;
                        return;
                }
                *vec_push(&r->to_release) = object_ref(*p);
                if (has_succeeded(*p) && !strv_has(&r->lost_uids, (*p)->uid)) {
                        if (!r->indexed && !strv_has(&r->won_uids, (*p)->uid))
                                strv_add(&r->won_uids, (*p)->uid);
                } else if ((has_failed(r, *p) || r->verdict == HAS_LOST) && round_counts(r, *p) && !strv_has(&r->lost_uids, (*p)->uid)) {
                        if (job_failure_action(r->spec, object_root(*p), NULL) != FAILURE_IGNORE)
                                strv_add(&r->lost_uids, (*p)->uid);
                }
        }
}

static void put_uids(struct round *r) {
        static const char *const keys[] = {"succeeded", "failed"};
        struct strv *const lists[] = {&r->won_uids, &r->lost_uids};
        yyjson_mut_val *uncounted = yyjson_mut_obj(r->doc);
        for (size_t k = 0; k < ARRAY_LEN(lists); k++)
                vec_foreach(uid, lists[k]) mjson_add_str(r->doc, mjson_arr(r->doc, uncounted, keys[k]), *uid);
        mjson_set(r->doc, r->status, "uncountedTerminatedPods", uncounted);
}

static void put_count(struct round *r, const char *key, int64_t n, bool always) {
        if (n || always)
                mjson_set_int(r->doc, r->status, key, n);
        else
                mjson_remove(r->status, key);
}

static void put_status(struct round *r) {
        put_count(r, "active", r->active, false);
        put_count(r, "ready", r->ready, true);
        put_count(r, "terminating", r->terminating, true);
        put_uids(r);
        if (r->indexed) {
                AUTO(free) char *done = index_set_text(&r->done);
                put_count(r, "succeeded", index_set_total(&r->done), false);
                if (*done)
                        mjson_set_str(r->doc, r->status, "completedIndexes", done);
                else
                        mjson_remove(r->status, "completedIndexes");
        }
        if (r->per_index) {
                AUTO(free) char *broken = index_set_text(&r->broken);
                mjson_set_str(r->doc, r->status, "failedIndexes", broken);
        }
        if (r->verdict != GOES_ON)
                (void)set_condition(r, r->verdict == HAS_WON ? "SuccessCriteriaMet" : "FailureTarget", "True", r->reason, r->message);
}

/* The last word, when all pods are counted and gone. */
static bool finish(struct round *r) {
        if (r->verdict == GOES_ON || r->is_partial || r->won_uids.len || r->lost_uids.len || r->terminating > 0)
                return false;
        if (r->verdict == HAS_WON)
                set_time(r, "completionTime");
        return set_condition(r, r->verdict == HAS_WON ? "Complete" : "Failed", "True", r->reason, r->message);
}

static void tell_end(struct round *r) {
        if (r->verdict == HAS_LOST) {
                api_event(r->c->api, r->job, "Warning", r->reason, "%s", r->message);
                return;
        }
        if (r->completions >= 0 && mjson_get_int(r->status, "succeeded", 0) > r->completions)
                api_event(r->c->api, r->job, "Warning", "TooManySucceededPods",
                          "Too many succeeded pods running after completion count reached");
        api_event(r->c->api, r->job, "Normal", "Completed", "Job completed");
}

static void backoff_free(void *p) {
        struct backoff *b = p;
        free(b->uid);
        free(b);
}

static void remember_backoff(struct round *r) {
        AUTO(free) char *key = xasprintf("%s/%s", r->job->namespace, r->job->name);
        struct backoff *b = map_get(&r->s->backoffs, key);
        if (!b || !streq(b->uid, r->job->uid)) {
                b = NEW(struct backoff);
                b->uid = xstrdup(r->job->uid);
                map_set(&r->s->backoffs, key, b);
        }
        b->failures = r->backoff.failures;
        b->last_ms = r->backoff.last_ms;
}

static void recall_backoff(struct round *r) {
        AUTO(free) char *key = xasprintf("%s/%s", r->job->namespace, r->job->name);
        const struct backoff *b = map_get(&r->s->backoffs, key);
        if (b && streq(b->uid, r->job->uid)) {
                r->backoff.failures = b->failures;
                r->backoff.last_ms = b->last_ms;
        }
}

static void forget_backoff(struct jobs *s, const char *ns, const char *name) {
        AUTO(free) char *key = xasprintf("%s/%s", ns, name);
        map_remove(&s->backoffs, key);
}

/* The status with the lists is written first, then the pods are released, then they are counted: whenever the server ends between, the next
 * round finds in the lists which pods are not to be listed again. */
static int settle(struct round *r, struct err *err) {
        int e = write_status(r->c, "jobs.batch", r->job, r->root, err), worst = 0;
        if (e < 0)
                return e;
        remember_backoff(r);
        vec_foreach(p, &r->to_release) {
                e = job_release_pod(r->c, *p, worst ? NULL : err);
                worst = worst ? worst : e;
        }
        count_released(r);
        put_uids(r);
        struct object *found = api_peek(r->c->api, "jobs.batch", r->job->namespace, r->job->name);
        if (!found || !streq(found->uid, r->job->uid))
                return worst;
        AUTO(object) struct object *now = object_ref(found);
        bool over = !worst && finish(r);
        e = write_status(r->c, "jobs.batch", now, r->root, worst ? NULL : err);
        if (e >= 0 && over)
                tell_end(r);
        return worst ? worst : e < 0 ? e : 0;
}

/* ---- a round ---- */

static int act(struct round *r, struct err *err) {
        if (r->verdict != GOES_ON) {
                int e = round_end_active(r, true, err);
                if (e < 0)
                        r->verdict = GOES_ON; /* the end is told when all pods are ended */
                return e;
        }
        int e = r->deleting ? 0 : round_work(r, err);
        bool enough = r->completions >= 0 ? r->succeeded >= r->completions : r->succeeded > 0;
        if (enough && !r->active)
                judge(r, HAS_WON, "CompletionsReached", "Reached expected number of succeeded pods");
        else if (!r->deleting)
                show_suspension(r);
        return e;
}

static int play(struct round *r, struct err *err) {
        AUTO(json) yyjson_doc *before = mjson_freeze(mjson_obj(r->doc, r->status, "uncountedTerminatedPods"));
        AUTO(err) struct err why = ERR_INIT;
        read_uids(&r->won_uids, json_at(yyjson_doc_get_root(before), "/succeeded"));
        read_uids(&r->lost_uids, json_at(yyjson_doc_get_root(before), "/failed"));
        count_released(r);
        recall_backoff(r);
        count_living(r);
        count_ended(r);
        if (r->indexed)
                look_at_indexes(r);
        if (!r->suspended && !mjson_get_str(r->status, "startTime"))
                set_time(r, "startTime");
        judge_all(r);
        int e = act(r, err);
        track(r);
        put_status(r);
        int w = settle(r, &why);
        if (e < 0)
                return e;
        return w < 0 ? err_move(err, &why) : (int)smaller_int(r->is_partial ? 1 : r->wait_ms, LONGEST_WAIT_MS);
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
                return (int)(left < LONGEST_WAIT_MS ? left + 1 : LONGEST_WAIT_MS);
        struct api_delete_options o = API_DELETE_DEFAULT;
        o.propagation = "Foreground";
        o.uid = job->uid;
        return api_delete(s->c->api, "jobs.batch", job->namespace, job->name, &o, err);
}

/* Another controller looks after it. */
static bool is_foreign(const struct object *job) {
        const char *manager = object_str(job, "/spec/managedBy");
        return manager && !streq(manager, "kubernetes.io/job-controller");
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct jobs *s = arg;
        struct object *found = api_peek(s->c->api, "jobs.batch", ns, name);
        AUTO(object) struct object *job = found ? object_ref(found) : NULL;
        if (!job || is_over(job))
                forget_backoff(s, ns, name);
        if (!job)
                return 0;
        if (is_over(job))
                return expire(s, job, err);
        if (is_foreign(job))
                return 0;
        struct round r = {.s = s, .c = s->c, .job = job, .spec = object_at(job, "/spec"), .now_ms = clock_now_ms()};
        r.parallelism = json_get_int(r.spec, "parallelism", 1);
        r.completions = json_get_int(r.spec, "completions", -1);
        r.indexed = streq_null(json_get_str(r.spec, "completionMode"), "Indexed") && r.completions >= 0;
        r.per_index = r.indexed && yyjson_obj_get(r.spec, "backoffLimitPerIndex");
        r.failed_only = job_replaces_failed_only(r.spec);
        r.suspended = json_get_bool(r.spec, "suspend", false);
        r.deleting = object_is_deleting(job);
        int e = pods_of(s->c, job, yyjson_obj_get(r.spec, "selector"), &r.pods, err);
        if (e >= 0) {
                r.doc = object_edit(job);
                r.root = yyjson_mut_doc_get_root(r.doc);
                r.status = mjson_obj(r.doc, r.root, "status");
                e = play(&r, err);
        }
        round_done(&r);
        return e;
}

/* Is there a Job that will count the pod? Pods made by a Job that another controller looks after are that one's. */
static bool will_be_counted(struct jobs *s, const struct object *pod) {
        struct object *job = streq_null(pod->owner_kind, "Job") ? api_peek(s->c->api, "jobs.batch", pod->namespace, pod->owner_name) : NULL;
        return job && object_is_controlled_by(pod, job->uid) && (is_foreign(job) || !is_over(job));
}

static void on_pod(void *arg, const struct api_event *e) {
        struct jobs *s = arg;
        if (!e->object)
                return;
        queue_add_controller(s->queue, e->object, "Job");
        /* A job that is gone leaves its finalizer behind. */
        if (e->type != API_DELETED && !object_is_active(e->object) && job_pod_is_tracked(e->object) && !will_be_counted(s, e->object))
                (void)!job_release_pod(s->c, e->object, NULL);
}

static void *start(struct control *c) {
        struct jobs *s = NEW(struct jobs);
        s->c = c;
        s->backoffs = MAP_INIT(backoff_free);
        s->queue = queue_new(c->api, "job", reconcile, s);
        api_watch_start(c->api, "jobs.batch", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct jobs *s = state;
        queue_free(s->queue);
        map_done(&s->backoffs);
        free(s);
}

const struct controller controller_job = {"job", "job-controller", start, stop};
