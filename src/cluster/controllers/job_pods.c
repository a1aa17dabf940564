/* The pods of a Job: how they are made, which are missing and which are too many. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/controllers/job_policy.h"
#include "cluster/controllers/job_round.h"

#define TRACKING "batch.kubernetes.io/job-tracking"

enum { MOST_PODS_AT_ONCE = 500, LONGEST_PREFIX = 58 };

bool job_pod_is_tracked(const struct object *pod) { return meta_has_finalizer(object_root(pod), TRACKING); }

bool round_counts(const struct round *r, const struct object *pod) {
        int64_t at = job_pod_index(object_root(pod));
        return !r->indexed || (at >= 0 && at < r->completions);
}

struct object *round_held_pod(const struct round *r, int64_t index) {
        vec_foreach(p, &r->held)
                if (job_pod_index(object_root(*p)) == index)
                        return *p;
        return NULL;
}

int job_release_pod(struct control *c, const struct object *pod, struct err *err) {
        struct object *now = api_peek(c->api, "pods", pod->namespace, pod->name);
        if (!now || !streq(now->uid, pod->uid) || !job_pod_is_tracked(now))
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(now);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        AUTO(err) struct err why = ERR_INIT;
        mmeta_remove_finalizer(root, TRACKING);
        mmeta_set(doc, root, "resourceVersion", NULL);
        int e = api_update(c->api, "pods", root, NULL, &why);
        return e < 0 && why.http_status != 404 ? err_move(err, &why) : 0;
}

static void set_annotation_number(yyjson_mut_doc *doc, yyjson_mut_val *pod, const char *key, int64_t n) {
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)n);
        mmeta_set_annotation(doc, pod, key, text);
}

static void add_index_variable(yyjson_mut_doc *doc, yyjson_mut_val *container) {
        size_t i, max;
        yyjson_mut_val *env = mjson_arr(doc, container, "env"), *variable;
        yyjson_mut_arr_foreach(env, i, max, variable) if (streq_null(mjson_get_str(variable, "name"), "JOB_COMPLETION_INDEX")) return;
        variable = yyjson_mut_arr_add_obj(doc, env);
        mjson_set_str(doc, variable, "name", "JOB_COMPLETION_INDEX");
        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, variable, "valueFrom"), "fieldRef"), "fieldPath",
                      "metadata.labels['" JOB_INDEX "']");
}

/* As the server makes a name of it: what does not fit is cut off the Job's name. */
static char *indexed_prefix(const char *name, const char *index) {
        AUTO(free) char *suffix = xasprintf("-%s-", index);
        int room = LONGEST_PREFIX - (int)strlen(suffix);
        return xasprintf("%.*s%s", room, name, suffix);
}

static yyjson_mut_doc *make_pod(struct round *r, int64_t index) {
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)index);
        AUTO(free) char *prefix = index < 0 ? xasprintf("%s-", r->job->name) : indexed_prefix(r->job->name, text);
        yyjson_mut_doc *doc = pod_from_template(yyjson_obj_get(r->spec, "template"), object_root(r->job), prefix, NULL);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *spec = mjson_obj(doc, root, "spec"), *c;
        mmeta_add_finalizer(doc, root, TRACKING);
        if (index < 0)
                return doc;
        mmeta_set_annotation(doc, root, JOB_INDEX, text);
        mmeta_set_label(doc, root, JOB_INDEX, text);
        AUTO(free) char *hostname = xasprintf("%s-%s", r->job->name, text);
        mjson_set_str(doc, spec, "hostname", hostname);
        static const char *const lists[] = {"initContainers", "containers"};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
                size_t i, max;
                yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, lists[k]), i, max, c) add_index_variable(doc, c);
        }
        if (r->per_index) {
                struct object *before = round_held_pod(r, index);
                int64_t failures, ignored;
                job_index_counts(r->spec, before ? object_root(before) : NULL, &failures, &ignored);
                set_annotation_number(doc, root, JOB_INDEX_FAILURES, failures);
                if (ignored)
                        set_annotation_number(doc, root, JOB_INDEX_IGNORED, ignored);
        }
        return doc;
}

static int create_pod(struct round *r, int64_t index, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *pod = make_pod(r, index);
        int e = pod_create(r->c, r->job, pod, NULL, err);
        if (e >= 0)
                r->active++;
        return e;
}

static int64_t left_of_pause(const struct round *r, int64_t failures, int64_t last_ms) {
        int64_t left = failures ? last_ms + job_pause_ms(failures) - r->now_ms : 0;
        return left > 0 ? left : 0;
}

/* How long the index has to wait for its next pod. */
static int64_t pause_of_index(const struct round *r, int64_t index) {
        const struct object *before = r->per_index ? round_held_pod(r, index) : NULL;
        return before ? left_of_pause(r, job_index_all_failures(object_root(before)) + 1, job_pod_ended_ms(object_root(before))) : 0;
}

/* The first `count` indexes that nothing is done about; those that have to wait are passed over. */
static int create_indexed(struct round *r, int64_t count, struct err *err) {
        AUTO(index_set) struct index_set taken = {0};
        int64_t soonest = 0, made = 0;
        index_set_add_all(&taken, &r->done);
        index_set_add_all(&taken, &r->broken);
        vec_foreach(p, &r->pods) {
                bool terminating = object_is_deleting(*p) && !pod_is_finished(object_root(*p));
                if ((object_is_active(*p) || (r->failed_only && terminating)) && round_counts(r, *p))
                        index_set_add(&taken, job_pod_index(object_root(*p)));
        }
        for (int64_t i = 0; i < r->completions && count > 0; i++) {
                if (index_set_has(&taken, i))
                        continue;
                count--;
                int64_t pause = pause_of_index(r, i);
                if (pause) {
                        soonest = soonest ? smaller_int(soonest, pause) : pause;
                        continue;
                }
                int e = create_pod(r, i, err);
                if (e < 0)
                        return e;
                made++;
        }
        if (!made && soonest)
                round_wait(r, soonest);
        return 0;
}

static int create_pods(struct round *r, int64_t count, struct err *err) {
        int64_t pause = r->per_index ? 0 : left_of_pause(r, r->backoff.failures, r->backoff.last_ms);
        if (pause) {
                round_wait(r, pause);
                return 0;
        }
        count = smaller_int(count, MOST_PODS_AT_ONCE);
        if (r->indexed)
                return create_indexed(r, count, err);
        for (; count > 0; count--) {
                int e = create_pod(r, -1, err);
                if (e < 0)
                        return e;
        }
        return 0;
}

/* Deletes an active pod. One that is to be counted keeps its finalizer. */
static int end_pod(struct round *r, const struct object *pod, bool counted, struct err *err) {
        int e = counted ? 0 : job_release_pod(r->c,  pod, err);
        if (e >= 0)
                e = pod_delete(r->c, r->job, pod, err);
        if (e < 0)
                return e;
        r->active--;
        r->ready -= pod_is_ready(object_root(pod));
        r->terminating++;
        return 0;
}

int round_end_active(struct round *r, bool counted, struct err *err) {
        int worst = 0;
        vec_foreach(p, &r->pods) {
                int e = object_is_active(*p) ? end_pod(r, *p, counted, worst ? NULL : err) : 0;
                worst = worst ? worst : e;
        }
        return worst;
}

static int worth(const struct object *pod) {
        yyjson_val *root = object_root(pod);
        return 4 * (json_str_at(root, "/spec/nodeName") != NULL) + 2 * streq_null(json_str_at(root, "/status/phase"), "Running") +
               pod_is_ready(root);
}

static int compare_worth(const void *a, const void *b) {
        const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
        int by_worth = worth(y) - worth(x);
        return by_worth ? by_worth : x->created_ms < y->created_ms ? -1 : x->created_ms > y->created_ms;
}

/* Of the pods that are too many those go first that have no index of their own, then those that have come least far. */
static int end_surplus(struct round *r, int64_t count, bool *ret_any, struct err *err) {
        AUTO(object_list) struct object_list active = {0};
        AUTO(index_set) struct index_set seen = {0};
        int e = 0;
        vec_foreach(p, &r->pods)
                if (object_is_active(*p))
                        *vec_push(&active) = object_ref(*p);
        if (active.len)
                qsort(active.items, active.len, sizeof(*active.items), compare_worth);
        for (size_t i = 0; r->indexed && i < active.len && e >= 0;) {
                struct object *pod = active.items[i];
                int64_t index = job_pod_index(object_root(pod));
                if (round_counts(r, pod) && !index_set_has(&seen, index)) {
                        index_set_add(&seen, index);
                        i++;
                        continue;
                }
                e = end_pod(r, pod, false, err);
                vec_remove(&active, i);
                object_unref(pod);
                *ret_any = true;
                count--;
        }
        for (size_t i = active.len; i-- > 0 && count > 0 && e >= 0; count--) {
                e = end_pod(r, active.items[i], false, err);
                *ret_any = true;
        }
        return e;
}

int round_work(struct round *r, struct err *err) {
        int64_t wanted = r->parallelism;
        bool ended_some = false;
        if (r->suspended)
                return round_end_active(r, false, err);
        if (r->completions >= 0)
                wanted = smaller_int(wanted, r->completions > r->succeeded ? r->completions - r->succeeded : 0);
        else if (r->succeeded)
                wanted = r->active; /* one success ends the work queue: nothing new starts */
        int e = end_surplus(r, r->active - wanted, &ended_some, err);
        int64_t missing = wanted - r->active - (r->failed_only ? r->terminating : 0);
        return e < 0 || ended_some || missing <= 0 ? e : create_pods(r, missing, err);
}
