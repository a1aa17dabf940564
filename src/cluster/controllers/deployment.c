/* Deployments: a replica set for each version of the template, and the way from one to the next. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/controllers/control.h"

#define REVISION "deployment.kubernetes.io/revision"
#define HASH_LABEL "pod-template-hash"
#define SETS "replicasets.apps"

struct deployments {
        struct control *c;
        struct queue *queue;
};

/* One round over one deployment. */
struct round {
        struct control *c;
        struct object *d;
        struct object_list sets; /* oldest first */
        struct object *newest;   /* of the current template; borrowed from sets, NULL until made */
        int64_t wanted, surge, unavailable;
};

static int64_t replicas_of(const struct object *set) { return object_int(set, "/spec/replicas", 0); }
static int64_t available_of(const struct object *set) { return object_int(set, "/status/availableReplicas", 0); }

static int64_t total(const struct round *r, const char *pointer, const struct object *but) {
        int64_t sum = 0;
        vec_foreach(s, &r->sets) sum += *s == but ? 0 : object_int(*s, pointer, 0);
        return sum;
}

static int64_t revision_of(const struct object *o) {
        int64_t n;
        const char *text = meta_annotation(object_root(o), REVISION);
        return text && sv_to_int64(sv_of(text), &n) ? n : 0;
}

/* Equal templates, apart from the label that tells them apart. */
static bool same_template(const struct object *d, const struct object *set) {
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(object_at(set, "/spec/template"));
        mjson_remove(mjson_at(yyjson_mut_doc_get_root(doc), "/metadata/labels"), HASH_LABEL);
        AUTO(json) yyjson_doc *bare = mjson_freeze(yyjson_mut_doc_get_root(doc));
        return json_equal(yyjson_doc_get_root(bare), object_at(d, "/spec/template"));
}

static int compare_age(const void *a, const void *b) {
        const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
        int64_t s = x->created_ms, t = y->created_ms;
        return s != t ? (s < t ? -1 : 1) : strcmp(x->name, y->name);
}

static int find_sets(struct round *r, struct err *err) {
        AUTO(object_list) struct object_list all = {0};
        int n = api_list(r->c->api, SETS, r->d->namespace, NULL, NULL, &all, err);
        if (n < 0)
                return n;
        vec_foreach(s, &all) {
                if (object_is_controlled_by(*s, r->d->uid))
                        *vec_push(&r->sets) = object_ref(*s);
        }
        if (r->sets.len)
                qsort(r->sets.items, r->sets.len, sizeof(*r->sets.items), compare_age);
        vec_foreach(s, &r->sets) {
                if (!r->newest && same_template(r->d, *s))
                        r->newest = *s;
        }
        return 0;
}

/* Takes the written version into the list. */
static void replace_set(struct round *r, struct object *set, struct object *now) {
        vec_foreach(s, &r->sets) {
                if (*s != set)
                        continue;
                *s = now;
                if (r->newest == set)
                        r->newest = now;
                object_unref(set);
                return;
        }
}

static int64_t max_revision(const struct round *r, const struct object *but) {
        int64_t max = 0;
        vec_foreach(s, &r->sets) {
                if (*s != but && revision_of(*s) > max)
                        max = revision_of(*s);
        }
        return max;
}

static void copy_annotations(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct object *d) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(meta_annotations(object_root(d)), i, max, key, value) {
                const char *name = yyjson_get_str(key);
                if (!str_starts(name, "deployment.kubernetes.io/") && !streq(name, "kubectl.kubernetes.io/last-applied-configuration"))
                        mmeta_set_annotation(doc, root, name, yyjson_get_str(value));
        }
}

static void note_sizes(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *root, int64_t revision) {
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)r->wanted);
        mmeta_set_annotation(doc, root, "deployment.kubernetes.io/desired-replicas", text);
        snprintf(text, sizeof(text), "%lld", (long long)(r->wanted + r->surge));
        mmeta_set_annotation(doc, root, "deployment.kubernetes.io/max-replicas", text);
        snprintf(text, sizeof(text), "%lld", (long long)revision);
        if (revision)
                mmeta_set_annotation(doc, root, REVISION, text);
}

static int make_set(struct round *r, int64_t replicas, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *spec = mjson_obj(doc, root, "spec");
        yyjson_val *template = object_at(r->d, "/spec/template"), *labels = json_at(template, "/metadata/labels"),
                   *min = object_at(r->d, "/spec/minReadySeconds");
        char hash[16];
        template_hash(template, object_int(r->d, "/status/collisionCount", 0), hash);
        AUTO(free) char *name = xasprintf("%s-%s", r->d->name, hash);
        mmeta_set(doc, root, "name", name);
        mmeta_set(doc, root, "namespace", r->d->namespace);
        if (labels)
                mjson_set(doc, mmeta_make(doc, root), "labels", yyjson_val_mut_copy(doc, labels));
        mmeta_set_label(doc, root, HASH_LABEL, hash);
        copy_annotations(doc, root, r->d);
        note_sizes(r, doc, root, max_revision(r, NULL) + 1);
        mmeta_add_owner(doc, root, object_root(r->d), true, true);
        mjson_set_int(doc, spec, "replicas", replicas);
        if (min)
                mjson_set(doc, spec, "minReadySeconds", yyjson_val_mut_copy(doc, min));
        mjson_set(doc, spec, "selector", yyjson_val_mut_copy(doc, object_at(r->d, "/spec/selector")));
        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, spec, "selector"), "matchLabels"), HASH_LABEL, hash);
        mjson_set(doc, spec, "template", yyjson_val_mut_copy(doc, template));
        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, mjson_obj(doc, spec, "template"), "metadata"), "labels"), HASH_LABEL, hash);
        struct object *made = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int e = api_create(r->c->api, SETS, r->d->namespace, root, &made, &why);
        if (e < 0 && streq_null(why.reason, "AlreadyExists")) {
                /* Somebody else's of the same hash: count up and try under another name. */
                e = api_patchf(r->c->api, "deployments.apps", r->d->namespace, r->d->name, "status", err,
                               "{\"status\":{\"collisionCount\":%lld}}", (long long)object_int(r->d, "/status/collisionCount", 0) + 1);
                return e < 0 ? e : -EAGAIN;
        }
        if (e < 0)
                return err_move(err, &why);
        *vec_push(&r->sets) = made;
        r->newest = made;
        if (replicas)
                api_event(r->c->api, r->d, "Normal", "ScalingReplicaSet", "Scaled up replica set %s from 0 to %lld", made->name,
                          (long long)replicas);
        return 0;
}

static int scale(struct round *r, struct object *set, int64_t replicas, struct err *err) {
        int64_t before = replicas_of(set);
        if (before == replicas)
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(set);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        AUTO(free) char *name = xstrdup(set->name);
        struct object *now = NULL;
        note_sizes(r, doc, root, 0);
        mjson_set_int(doc, mjson_obj(doc, root, "spec"), "replicas", replicas);
        mmeta_set(doc, root, "resourceVersion", NULL);
        int e = api_update(r->c->api, SETS, root, &now, err);
        if (e < 0)
                return e;
        replace_set(r, set, now);
        api_event(r->c->api, r->d, "Normal", "ScalingReplicaSet", "Scaled %s replica set %s from %lld to %lld",
                  replicas > before ? "up" : "down", name, (long long)before, (long long)replicas);
        return 0;
}

/* The newest set carries the highest revision; the deployment gets the same with its status (report). */
static int keep_revision(struct round *r, struct err *err) {
        int64_t highest = max_revision(r, r->newest) + 1;
        if (revision_of(r->newest) < highest) {
                AUTO(mjson) yyjson_mut_doc *doc = object_edit(r->newest);
                yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
                struct object *now = NULL;
                note_sizes(r, doc, root, highest);
                mmeta_set(doc, root, "resourceVersion", NULL);
                int e = api_update(r->c->api, SETS, root, &now, err);
                if (e < 0)
                        return e;
                replace_set(r, r->newest, now);
        }
        return 0;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Room above the wanted number, up to the surge. */
static int grow_newest(struct round *r, struct err *err) {
        int64_t have = replicas_of(r->newest), all = total(r, "/spec/replicas", NULL);
        if (have > r->wanted)
                return scale(r, r->newest, r->wanted, err);
        int64_t room = r->wanted + r->surge - all;
        return room <= 0 ? 0 : scale(r, r->newest, have + smaller(room, r->wanted - have), err);
}

/* Old ones go as far as availability allows: first those that do not work. */
static int shrink_old(struct round *r, struct err *err) {
        int64_t all = total(r, "/spec/replicas", NULL), least = r->wanted - r->unavailable;
        int64_t newest_missing = replicas_of(r->newest) - available_of(r->newest);
        int64_t may_go = all - least - newest_missing;
        for (size_t i = 0; i < r->sets.len && may_go > 0; i++) {
                struct object *set = r->sets.items[i];
                int64_t broken = set == r->newest ? 0 : replicas_of(set) - available_of(set);
                if (broken <= 0)
                        continue;
                int64_t gone = smaller(broken, may_go);
                int e = scale(r, set, replicas_of(set) - gone, err);
                if (e < 0)
                        return e;
                may_go -= gone;
        }
        may_go = total(r, "/status/availableReplicas", NULL) - least;
        for (size_t i = 0; i < r->sets.len && may_go > 0; i++) {
                struct object *set = r->sets.items[i];
                int64_t gone = set == r->newest ? 0 : smaller(replicas_of(set), may_go);
                int e = gone ? scale(r, set, replicas_of(set) - gone, err) : 0;
                if (e < 0)
                        return e;
                may_go -= gone;
        }
        return 0;
}

static int recreate(struct round *r, struct err *err) {
        for (size_t i = 0; i < r->sets.len; i++) {
                int e = r->sets.items[i] == r->newest ? 0 : scale(r, r->sets.items[i], 0, err);
                if (e < 0)
                        return e;
        }
        /* Pods of before must be gone, ending ones too. */
        AUTO(object_list) struct object_list pods = {0};
        int e = api_list(r->c->api, "pods", r->d->namespace, NULL, NULL, &pods, err);
        if (e < 0)
                return e;
        vec_foreach(p, &pods) {
                vec_foreach(s, &r->sets) {
                        if (*s != r->newest && object_is_controlled_by(*p, (*s)->uid) && !object_is_finished(*p))
                                return 0;
                }
        }
        return r->newest ? scale(r, r->newest, r->wanted, err) : make_set(r, r->wanted, err);
}

static int clean_up(struct round *r, struct err *err) {
        int64_t limit = object_int(r->d, "/spec/revisionHistoryLimit", 10), old = (int64_t)r->sets.len - (r->newest ? 1 : 0);
        for (size_t i = 0; i < r->sets.len && old > limit; i++) {
                struct object *set = r->sets.items[i];
                if (set == r->newest || replicas_of(set) || object_int(set, "/status/replicas", 0) || object_is_deleting(set))
                        continue;
                AUTO(err) struct err why = ERR_INIT;
                struct api_delete_options o = API_DELETE_DEFAULT;
                o.propagation = "Background";
                if (api_delete(r->c->api, SETS, set->namespace, set->name, &o, &why) < 0 && why.http_status != 404)
                        return err_move(err, &why);
                old--;
        }
        return 0;
}

/* ---- status ---- */

static void set_count(yyjson_mut_doc *doc, yyjson_mut_val *status, const char *key, int64_t count) {
        if (count > 0)
                mjson_set_int(doc, status, key, count);
        else
                mjson_remove(status, key);
}

static int64_t seconds_since(yyjson_val *condition, const char *key, int64_t now_ms) {
        int64_t ms = time_of(json_get_str(condition, key));
        return ms ? (now_ms - ms) / 1000 : 0;
}

static void set_progress(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *root, int64_t now, int64_t *ret_wait_ms) {
        const char *name = r->newest ? r->newest->name : r->d->name, *kind = r->newest ? "ReplicaSet" : "Deployment";
        int64_t updated = r->newest ? object_int(r->newest, "/status/replicas", 0) : 0, all = total(r, "/status/replicas", NULL);
        int64_t available = total(r, "/status/availableReplicas", NULL), deadline = object_int(r->d, "/spec/progressDeadlineSeconds", 600);
        bool complete = updated == r->wanted && all == r->wanted && available == r->wanted;
        yyjson_val *status = object_at(r->d, "/status"), *before = meta_condition(object_root(r->d), "Progressing");
        bool moved = updated != json_int_at(status, "/updatedReplicas", 0) ||
                     all - updated < json_int_at(status, "/replicas", 0) - json_int_at(status, "/updatedReplicas", 0) ||
                     total(r, "/status/readyReplicas", NULL) > json_int_at(status, "/readyReplicas", 0) ||
                     available > json_int_at(status, "/availableReplicas", 0);
        const char *reason = json_get_str(before, "reason");
        bool paused = object_bool(r->d, "/spec/paused", false), was_paused = streq_null(reason, "DeploymentPaused");
        if (paused) {
                if (!was_paused)
                        set_timed_condition(doc, root, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now);
                return;
        }
        if (was_paused)
                set_timed_condition(doc, root, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now);
        if (complete) {
                AUTO(free) char *text = xasprintf("%s \"%s\" has successfully progressed.", kind, name);
                set_timed_condition(doc, root, "Progressing", "True", "NewReplicaSetAvailable", text, now);
        } else if (moved || !before || streq_null(reason, "NewReplicaSetAvailable")) {
                AUTO(free) char *text = xasprintf("%s \"%s\" is progressing.", kind, name);
                set_timed_condition(doc, root, "Progressing", "True", "ReplicaSetUpdated", text, now);
                *ret_wait_ms = (deadline + 1) * 1000;
        } else if (!streq_null(reason, "ProgressDeadlineExceeded") && deadline < 2147483647) {
                int64_t left = deadline - seconds_since(before, "lastUpdateTime", now);
                if (left <= 0) {
                        AUTO(free) char *text = xasprintf("%s \"%s\" has timed out progressing.", kind, name);
                        set_timed_condition(doc, root, "Progressing", "False", "ProgressDeadlineExceeded", text, now);
                } else {
                        *ret_wait_ms = (left + 1) * 1000;
                }
        }
}

static int report(struct round *r, int64_t *ret_wait_ms, struct err *err) {
        struct object *current = api_peek(r->c->api, "deployments.apps", r->d->namespace, r->d->name);
        if (!current || !streq(current->uid, r->d->uid))
                return 0;
        AUTO(object) struct object *kept = object_ref(current);
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(kept);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status");
        int64_t all = total(r, "/status/replicas", NULL), available = total(r, "/status/availableReplicas", NULL), now = clock_now_ms();
        int64_t updated = r->newest ? object_int(r->newest, "/status/replicas", 0) : 0;
        set_count(doc, status, "replicas", all);
        set_count(doc, status, "updatedReplicas", updated);
        set_count(doc, status, "readyReplicas", total(r, "/status/readyReplicas", NULL));
        set_count(doc, status, "availableReplicas", available);
        int64_t specified = total(r, "/spec/replicas", NULL);
        set_count(doc, status, "unavailableReplicas", (specified > all ? specified : all) - available);
        mjson_set_int(doc, status, "observedGeneration", meta_generation(object_root(r->d)));
        bool enough = available >= r->wanted - r->unavailable;
        if (object_bool(r->d, "/spec/paused", false))
                set_progress(r, doc, root, now, ret_wait_ms); /* comes first in the real list of conditions */
        set_timed_condition(doc, root, "Available", enough ? "True" : "False",
                            enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                            enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", now);
        set_progress(r, doc, root, now, ret_wait_ms);
        if (r->newest && revision_of(r->newest) && revision_of(r->newest) != revision_of(kept)) {
                char text[24];
                snprintf(text, sizeof(text), "%lld", (long long)revision_of(r->newest));
                mmeta_set_annotation(doc, root, REVISION, text);
        }
        return write_status(r->c, "deployments.apps", kept, root, err);
}

static void read_strategy(struct round *r) {
        yyjson_val *rolling = object_at(r->d, "/spec/strategy/rollingUpdate");
        r->wanted = object_int(r->d, "/spec/replicas", 1);
        if (streq_null(object_str(r->d, "/spec/strategy/type"), "Recreate"))
                return;
        r->surge = scaled_value(yyjson_obj_get(rolling, "maxSurge"), r->wanted, true, 1);
        r->unavailable = scaled_value(yyjson_obj_get(rolling, "maxUnavailable"), r->wanted, false, 0);
        if (!r->surge && !r->unavailable)
                r->unavailable = 1;
        r->unavailable = smaller(r->unavailable, r->wanted);
}

static int roll(struct round *r, struct err *err) {
        bool paused = object_bool(r->d, "/spec/paused", false);
        int e = 0;
        if (paused)
                return r->newest ? scale(r, r->newest,
                                         r->wanted - total(r, "/spec/replicas", r->newest) > 0
                                                 ? r->wanted - total(r, "/spec/replicas", r->newest)
                                                 : 0,
                                         err)
                                 : 0;
        if (streq_null(object_str(r->d, "/spec/strategy/type"), "Recreate")) {
                e = recreate(r, err);
        } else {
                int64_t room = r->wanted + r->surge - total(r, "/spec/replicas", NULL);
                if (!r->newest)
                        e = make_set(r, room > r->wanted ? r->wanted : room > 0 ? room : 0, err);
                if (e >= 0)
                        e = grow_newest(r, err);
                if (e >= 0)
                        e = shrink_old(r, err);
        }
        if (e >= 0 && r->newest)
                e = keep_revision(r, err);
        return e < 0 ? e : clean_up(r, err);
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct deployments *s = arg;
        struct object *found = api_peek(s->c->api, "deployments.apps", ns, name);
        AUTO(object) struct object *d = found ? object_ref(found) : NULL;
        if (!d)
                return 0;
        struct round r = {.c = s->c, .d = d};
        int64_t wait_ms = 0;
        read_strategy(&r);
        int e = find_sets(&r, err);
        if (e >= 0 && !object_is_deleting(d))
                e = roll(&r, err);
        if (e >= 0)
                e = report(&r, &wait_ms, err);
        object_list_done(&r.sets);
        return e < 0 ? e : (int)smaller(wait_ms, 3600000);
}

static void on_set(void *arg, const struct api_event *e) {
        struct deployments *s = arg;
        if (e->object)
                queue_add_controller(s->queue, e->object, "Deployment");
}

/* Recreate waits for the last old pod. */
static void on_pod(void *arg, const struct api_event *e) {
        struct deployments *s = arg;
        bool is_of_set = e->type == API_DELETED && streq_null(e->object->owner_kind, "ReplicaSet");
        struct object *set = is_of_set ? api_peek(s->c->api, SETS, e->object->namespace, e->object->owner_name) : NULL;
        if (set)
                queue_add_controller(s->queue, set, "Deployment");
}

static void *start(struct control *c) {
        struct deployments *s = NEW(struct deployments);
        s->c = c;
        s->queue = queue_new(c->api, "deployment", reconcile, s);
        api_watch_start(c->api, "deployments.apps", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, SETS, NULL, NULL, NULL, on_set, s);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct deployments *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_deployment = {"deployment", "deployment-controller", start, stop};
