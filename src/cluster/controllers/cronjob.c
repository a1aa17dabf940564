/* CronJobs: a job for each time of a schedule. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "codec/cron.h"
#include "codec/ktime.h"

#define JOBS "jobs.batch"

enum { LONGEST_WAIT_MS = 3600000, MISSED_LIMIT = 100 };

struct cronjobs {
        struct control *c;
        struct queue *queue;
};

struct round {
        struct control *c;
        struct object *cronjob;
        struct object_list jobs;
        yyjson_mut_doc *doc;
        yyjson_mut_val *root, *status;
        int64_t now_s;
};

static bool is_over(const struct object *job) {
        return meta_condition_is(object_root(job), "Complete", "True") || meta_condition_is(object_root(job), "Failed", "True");
}

static int64_t seconds_of(const char *text) { return time_of(text) / 1000; }

/* ---- history ---- */

static int delete_job(struct round *r, const struct object *job, struct err *err) {
        struct api_delete_options o = API_DELETE_DEFAULT;
        AUTO(err) struct err why = ERR_INIT;
        o.propagation = "Background";
        o.uid = job->uid;
        int e = api_delete(r->c->api, JOBS, job->namespace, job->name, &o, &why);
        return e < 0 && why.http_status != 404 ? err_move(err, &why) : 0;
}

static int trim_history(struct round *r, bool won, int64_t keep, struct err *err) {
        for (;;) {
                struct object *oldest = NULL;
                int64_t count = 0;
                vec_foreach(j, &r->jobs) {
                        const char *type = won ? "Complete" : "Failed";
                        if (!meta_condition_is(object_root(*j), type, "True") || object_is_deleting(*j))
                                continue;
                        count++;
                        if (!oldest ||
                            seconds_of(object_str(*j, "/status/startTime")) < seconds_of(object_str(oldest, "/status/startTime")))
                                oldest = *j;
                }
                if (count <= keep)
                        return 0;
                int e = delete_job(r, oldest, err);
                if (e < 0)
                        return e;
                vec_foreach(j, &r->jobs) {
                        if (*j == oldest) {
                                size_t at = (size_t)(j - r->jobs.items);
                                object_unref(oldest);
                                vec_remove(&r->jobs, at);
                                break;
                        }
                }
        }
}

/* status.active: what runs. Jobs seen to end are told of once. */
static void list_active(struct round *r) {
        yyjson_mut_val *active = yyjson_mut_arr(r->doc);
        yyjson_val *before = object_at(r->cronjob, "/status/active");
        vec_foreach(j, &r->jobs) {
                size_t i, max;
                yyjson_val *ref;
                if (!is_over(*j)) {
                        yyjson_mut_val *o = yyjson_mut_arr_add_obj(r->doc, active);
                        mjson_set_str(r->doc, o, "apiVersion", "batch/v1");
                        mjson_set_str(r->doc, o, "kind", "Job");
                        mjson_set_str(r->doc, o, "name", (*j)->name);
                        mjson_set_str(r->doc, o, "namespace", (*j)->namespace);
                        mjson_set_str(r->doc, o, "uid", (*j)->uid);
                        continue;
                }
                yyjson_arr_foreach(before, i, max, ref) {
                        if (!streq_null(json_get_str(ref, "uid"), (*j)->uid))
                                continue;
                        bool won = meta_condition_is(object_root(*j), "Complete", "True");
                        api_event(r->c->api, r->cronjob, "Normal", "SawCompletedJob", "Saw completed job: %s, condition: %s", (*j)->name,
                                  won ? "Complete" : "Failed");
                        if (won && object_str(*j, "/status/completionTime"))
                                mjson_set_str(r->doc, r->status, "lastSuccessfulTime", object_str(*j, "/status/completionTime"));
                }
        }
        if (yyjson_mut_arr_size(active))
                mjson_set(r->doc, r->status, "active", active);
        else
                mjson_remove(r->status, "active");
}

/* ---- the schedule ---- */

/* The latest time that was due and not yet used; 0 when there is none. *ret_next is the one after now. */
static int64_t due_time(struct round *r, const struct cron *schedule, int64_t *ret_next) {
        int64_t earliest = r->cronjob->created_ms / 1000, last = seconds_of(object_str(r->cronjob, "/status/lastScheduleTime"));
        int64_t deadline = json_int_at(object_root(r->cronjob), "/spec/startingDeadlineSeconds", -1), due = 0, missed = 0;
        if (last > earliest)
                earliest = last;
        if (deadline >= 0 && r->now_s - deadline > earliest)
                earliest = r->now_s - deadline;
        int64_t t = cron_next(schedule, earliest);
        if (deadline < 0 && t > 0 && r->now_s - t > 7 * 86400)
                t = cron_next(schedule, r->now_s - 7 * 86400); /* long asleep: only the latest matters */
        while (t > 0 && t <= r->now_s) {
                due = t;
                missed++;
                t = cron_next(schedule, t);
        }
        if (missed > MISSED_LIMIT)
                api_event(r->c->api, r->cronjob, "Warning", "TooManyMissedTimes",
                          "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
        *ret_next = t;
        return due;
}

static int make_job(struct round *r, int64_t due, struct err *err) {
        yyjson_val *template = object_at(r->cronjob, "/spec/jobTemplate"), *meta = yyjson_obj_get(template, "metadata"),
                   *spec = yyjson_obj_get(template, "spec");
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        static const char *const copied[] = {"labels", "annotations"};
        AUTO(free) char *name = xasprintf("%s-%lld", r->cronjob->name, (long long)(due / 60));
        AUTO(object) struct object *made = NULL;
        AUTO(err) struct err why = ERR_INIT;
        char when[KTIME_SIZE];
        mmeta_set(doc, root, "name", name);
        mmeta_set(doc, root, "namespace", r->cronjob->namespace);
        for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
                yyjson_val *v = yyjson_obj_get(meta, copied[i]);
                if (v)
                        mjson_set(doc, mmeta_make(doc, root), copied[i], yyjson_val_mut_copy(doc, v));
        }
        ktime_format(due * 1000, when);
        mmeta_set_annotation(doc, root, "batch.kubernetes.io/cronjob-scheduled-timestamp", when);
        mmeta_add_owner(doc, root, object_root(r->cronjob), true, true);
        mjson_set(doc, root, "spec", spec ? yyjson_val_mut_copy(doc, spec) : yyjson_mut_obj(doc));
        int e = api_create(r->c->api, JOBS, r->cronjob->namespace, root, &made, &why);
        if (e < 0 && !streq_null(why.reason, "AlreadyExists")) {
                if (!streq_null(why.reason, "NamespaceTerminating"))
                        api_event(r->c->api, r->cronjob, "Warning", "FailedCreate", "Error creating job: %s", err_message(&why));
                return err_move(err, &why);
        }
        mjson_set_str(r->doc, r->status, "lastScheduleTime", when);
        if (made) {
                api_event(r->c->api, r->cronjob, "Normal", "SuccessfulCreate", "Created job %s", name);
                *vec_push(&r->jobs) = TAKE(made);
                list_active(r);
        }
        return 0;
}

static size_t running(const struct round *r) {
        size_t n = 0;
        vec_foreach(j, &r->jobs) n += !is_over(*j);
        return n;
}

static int start_due(struct round *r, int64_t due, struct err *err) {
        const char *policy = object_str(r->cronjob, "/spec/concurrencyPolicy");
        char when[KTIME_SIZE];
        ktime_format(due * 1000, when);
        if (streq_null(policy, "Forbid") && running(r)) {
                api_event(r->c->api, r->cronjob, "Normal", "JobAlreadyActive",
                          "Not starting job because prior execution is running and concurrency policy is Forbid");
                return 0;
        }
        if (streq_null(policy, "Replace")) {
                for (size_t i = r->jobs.len; i-- > 0;) {
                        struct object *job = r->jobs.items[i];
                        int e = is_over(job) ? 0 : delete_job(r, job, err);
                        if (e < 0)
                                return e;
                        if (!is_over(job)) {
                                api_event(r->c->api, r->cronjob, "Normal", "SuccessfulDelete", "Deleted job %s", job->name);
                                object_unref(job);
                                vec_remove(&r->jobs, i);
                        }
                }
        }
        return make_job(r, due, err);
}

static int run(struct round *r, int64_t *ret_wait_ms, struct err *err) {
        struct cron schedule;
        AUTO(err) struct err why = ERR_INIT;
        const char *text = object_str(r->cronjob, "/spec/schedule"), *zone = object_str(r->cronjob, "/spec/timeZone");
        int64_t next = 0;
        if (object_is_deleting(r->cronjob) || object_bool(r->cronjob, "/spec/suspend", false))
                return 0;
        if (zone && *zone && !streq(zone, "UTC") && !streq(zone, "Etc/UTC") && !streq(zone, "GMT")) {
                api_event(r->c->api, r->cronjob, "Warning", "UnknownTimeZone", "invalid timeZone: \"%s\": this cluster knows UTC only",
                          zone);
                return 0;
        }
        if (cron_parse(sv_of(text), &schedule, &why) < 0) {
                api_event(r->c->api, r->cronjob, "Warning", "UnparseableSchedule", "unparseable schedule: %s", err_message(&why));
                return 0;
        }
        int64_t due = due_time(r, &schedule, &next);
        int e = due ? start_due(r, due, err) : 0;
        if (next > 0)
                *ret_wait_ms = (next - r->now_s) * 1000 + 100;
        return e;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct cronjobs *s = arg;
        struct object *found = api_peek(s->c->api, "cronjobs.batch", ns, name);
        AUTO(object) struct object *cronjob = found ? object_ref(found) : NULL;
        AUTO(object_list) struct object_list all = {0};
        int64_t wait_ms = 0;
        if (!cronjob)
                return 0;
        int e = api_list(s->c->api, JOBS, ns, NULL, NULL, &all, err);
        if (e < 0)
                return e;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(cronjob);
        struct round r = {.c = s->c, .cronjob = cronjob, .doc = doc, .root = yyjson_mut_doc_get_root(doc), .now_s = clock_now_ms() / 1000};
        r.status = mjson_obj(doc, r.root, "status");
        vec_foreach(j, &all) {
                if (object_is_controlled_by(*j, cronjob->uid))
                        *vec_push(&r.jobs) = object_ref(*j);
        }
        list_active(&r);
        e = trim_history(&r, true, object_int(cronjob, "/spec/successfulJobsHistoryLimit", 3), err);
        if (e >= 0)
                e = trim_history(&r, false, object_int(cronjob, "/spec/failedJobsHistoryLimit", 1), err);
        if (e >= 0)
                e = run(&r, &wait_ms, err);
        AUTO(err) struct err why = ERR_INIT;
        int w = write_status(s->c, "cronjobs.batch", cronjob, r.root, &why);
        object_list_done(&r.jobs);
        if (e < 0)
                return e;
        return w < 0 ? err_move(err, &why) : (int)(wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS);
}

static void on_job(void *arg, const struct api_event *e) {
        struct cronjobs *s = arg;
        if (e->object)
                queue_add_controller(s->queue, e->object, "CronJob");
}

static void *start(struct control *c) {
        struct cronjobs *s = NEW(struct cronjobs);
        s->c = c;
        s->queue = queue_new(c->api, "cron job", reconcile, s);
        api_watch_start(c->api, "cronjobs.batch", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, JOBS, NULL, NULL, NULL, on_job, s);
        return s;
}

static void stop(void *state) {
        struct cronjobs *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_cronjob = {"cronjob", "cronjob-controller", start, stop};
