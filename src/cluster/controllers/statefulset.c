/* StatefulSets: pods with numbers, names and volumes of their own; in order, or all at once. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/controllers/control.h"

#define REVISIONS "controllerrevisions.apps"
#define REVISION_LABEL "controller-revision-hash"
#define POD_NAME_LABEL "statefulset.kubernetes.io/pod-name"
#define INDEX_LABEL "apps.kubernetes.io/pod-index"

struct statefulsets {
        struct control *c;
        struct queue *queue;
};

struct round {
        struct control *c;
        struct object *set;
        struct object_list pods;
        char current[80], update[80]; /* revision names */
        int64_t replicas, first, partition;
        bool parallel, rolling;
};

static int64_t ordinal_of(const struct object *set, const char *pod) {
        int64_t n;
        size_t len = strlen(set->name);
        if (strncmp(pod, set->name, len) || pod[len] != '-' || !sv_to_int64(sv_of(pod + len + 1), &n) || n < 0)
                return -1;
        return n;
}

static struct object *pod_at(const struct round *r, int64_t ordinal) {
        vec_foreach(p, &r->pods) {
                if (ordinal_of(r->set, (*p)->name) == ordinal)
                        return *p;
        }
        return NULL;
}

/* ---- revisions ---- */

static struct object *revision_named(const struct round *r, const char *name) {
        return api_peek(r->c->api, REVISIONS, r->set->namespace, name);
}

static int64_t last_revision(const struct round *r) {
        AUTO(object_list) struct object_list all = {0};
        int64_t max = 0;
        if (api_list(r->c->api, REVISIONS, r->set->namespace, NULL, NULL, &all, NULL) < 0)
                return 0;
        vec_foreach(o, &all) {
                if (object_is_controlled_by(*o, r->set->uid) && object_int(*o, "/revision", 0) > max)
                        max = object_int(*o, "/revision", 0);
        }
        return max;
}

/* The revision of the template as it is now; the one that pods had before stays current until all are new. */
static int keep_revisions(struct round *r, struct err *err) {
        yyjson_val *template = object_at(r->set, "/spec/template");
        const char *known = object_str(r->set, "/status/currentRevision");
        char hash[16];
        template_hash(template, object_int(r->set, "/status/collisionCount", 0), hash);
        snprintf(r->update, sizeof(r->update), "%.60s-%s", r->set->name, hash);
        snprintf(r->current, sizeof(r->current), "%s", known && *known ? known : r->update);
        if (revision_named(r, r->update))
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_val *labels = json_at(template, "/metadata/labels");
        mmeta_set(doc, root, "name", r->update);
        mmeta_set(doc, root, "namespace", r->set->namespace);
        if (labels)
                mjson_set(doc, mmeta_make(doc, root), "labels", yyjson_val_mut_copy(doc, labels));
        mmeta_set_label(doc, root, "controller.kubernetes.io/hash", hash);
        mmeta_add_owner(doc, root, object_root(r->set), true, true);
        mjson_set(doc, mjson_obj(doc, mjson_obj(doc, root, "data"), "spec"), "template", yyjson_val_mut_copy(doc, template));
        mjson_set_int(doc, root, "revision", last_revision(r) + 1);
        return api_create(r->c->api, REVISIONS, r->set->namespace, root, NULL, err);
}

static yyjson_val *template_of(const struct round *r, const char *revision) {
        struct object *o = streq(revision, r->update) ? NULL : revision_named(r, revision);
        yyjson_val *old = o ? object_at(o, "/data/spec/template") : NULL;
        return old ? old : object_at(r->set, "/spec/template");
}

/* ---- pods ---- */

static char *claim_name(const struct object *set, yyjson_val *template, const char *pod) {
        const char *name = meta_name(template);
        (void)set;
        return xasprintf("%s-%s", name ? name : "", pod);
}

static int make_claims(struct round *r, const char *pod, struct err *err) {
        size_t i, max;
        yyjson_val *template;
        yyjson_arr_foreach(object_at(r->set, "/spec/volumeClaimTemplates"), i, max, template) {
                AUTO(free) char *name = claim_name(r->set, template, pod);
                if (api_peek(r->c->api, "persistentvolumeclaims", r->set->namespace, name))
                        continue;
                AUTO(mjson) yyjson_mut_doc *doc = json_thaw(template);
                yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
                yyjson_val *labels = object_at(r->set, "/spec/selector/matchLabels"), *key, *value;
                size_t k, kmax;
                mmeta_set(doc, root, "name", name);
                mmeta_set(doc, root, "namespace", r->set->namespace);
                yyjson_obj_foreach(labels, k, kmax, key, value) mmeta_set_label(doc, root, yyjson_get_str(key), yyjson_get_str(value));
                mjson_remove(root, "status");
                int e = api_create(r->c->api, "persistentvolumeclaims", r->set->namespace, root, NULL, err);
                if (e < 0) {
                        api_event(r->c->api, r->set, "Warning", "FailedCreate",
                                  "create Claim %s for Pod %s in StatefulSet %s failed error: %s", name, pod, r->set->name,
                                  err ? err_message(err) : "");
                        return e;
                }
                api_event(r->c->api, r->set, "Normal", "SuccessfulCreate", "create Claim %s Pod %s in StatefulSet %s success", name, pod,
                          r->set->name);
        }
        return 0;
}

/* The claims take the place of template volumes of the same names. */
static void put_volumes(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *pod) {
        yyjson_val *templates = object_at(r->set, "/spec/volumeClaimTemplates"), *template;
        size_t i, max;
        if (!yyjson_arr_size(templates))
                return;
        yyjson_mut_val *volumes = mjson_arr(doc, spec, "volumes");
        yyjson_arr_foreach(templates, i, max, template) {
                AUTO(free) char *claim = claim_name(r->set, template, pod);
                for (size_t k = yyjson_mut_arr_size(volumes); k-- > 0;)
                        if (streq_null(mjson_get_str(yyjson_mut_arr_get(volumes, k), "name"), meta_name(template)))
                                yyjson_mut_arr_remove(volumes, k);
                yyjson_mut_val *v = yyjson_mut_arr_add_obj(doc, volumes);
                mjson_set_str(doc, v, "name", meta_name(template));
                mjson_set_str(doc, mjson_obj(doc, v, "persistentVolumeClaim"), "claimName", claim);
        }
}

static int create_pod(struct round *r, int64_t ordinal, struct err *err) {
        bool is_new = !r->rolling || ordinal >= r->first + r->partition || streq(r->current, r->update);
        const char *revision = is_new ? r->update : r->current, *service = object_str(r->set, "/spec/serviceName");
        AUTO(free) char *name = xasprintf("%s-%lld", r->set->name, (long long)ordinal), *prefix = xasprintf("%s-", r->set->name);
        char index[24];
        int e = make_claims(r, name, err);
        if (e < 0)
                return e;
        AUTO(mjson) yyjson_mut_doc *doc = pod_from_template(template_of(r, revision), object_root(r->set), prefix, name);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *spec = mjson_obj(doc, root, "spec");
        snprintf(index, sizeof(index), "%lld", (long long)ordinal);
        mmeta_set_label(doc, root, POD_NAME_LABEL, name);
        mmeta_set_label(doc, root, INDEX_LABEL, index);
        mmeta_set_label(doc, root, REVISION_LABEL, revision);
        mjson_set_str(doc, spec, "hostname", name);
        mjson_set_str(doc, spec, "subdomain", service && *service ? service : NULL);
        put_volumes(r, doc, spec, name);
        struct object *made = NULL;
        AUTO(err) struct err why = ERR_INIT;
        e = api_create(r->c->api, "pods", r->set->namespace, root, &made, &why);
        if (e < 0) {
                api_event(r->c->api, r->set, "Warning", "FailedCreate", "create Pod %s in StatefulSet %s failed error: %s", name,
                          r->set->name, err_message(&why));
                return err_move(err, &why);
        }
        *vec_push(&r->pods) = made;
        api_event(r->c->api, r->set, "Normal", "SuccessfulCreate", "create Pod %s in StatefulSet %s successful", name, r->set->name);
        return 0;
}

static int remove_pod(struct round *r, const struct object *pod, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        struct api_delete_options o = API_DELETE_DEFAULT;
        o.uid = pod->uid;
        int e = object_is_deleting(pod) ? 0 : api_delete(r->c->api, "pods", pod->namespace, pod->name, &o, &why);
        if (e < 0 && why.http_status != 404)
                return err_move(err, &why);
        if (!object_is_deleting(pod))
                api_event(r->c->api, r->set, "Normal", "SuccessfulDelete", "delete Pod %s in StatefulSet %s successful", pod->name,
                          r->set->name);
        return 0;
}

static bool is_healthy(const struct object *pod) {
        return streq_null(object_str(pod, "/status/phase"), "Running") && pod_is_ready(object_root(pod)) && !object_is_deleting(pod);
}

/* From the first to the last: what is missing is made, what has ended is made anew. In order, one waits for the one before. */
static int fill(struct round *r, bool *ret_waits, struct err *err) {
        for (int64_t i = r->first; i < r->first + r->replicas; i++) {
                struct object *pod = pod_at(r, i);
                int e = 0;
                if (!pod) {
                        e = create_pod(r, i, err);
                        *ret_waits |= !r->parallel;
                } else if (object_is_finished(pod) && !object_is_deleting(pod)) {
                        api_event(r->c->api, r->set, "Warning", "RecreatingFailedPod", "StatefulSet %s/%s is recreating failed Pod %s",
                                  r->set->namespace, r->set->name, pod->name);
                        e = remove_pod(r, pod, err);
                        *ret_waits |= !r->parallel;
                } else if (!is_healthy(pod)) {
                        *ret_waits |= !r->parallel;
                }
                if (e < 0 || *ret_waits)
                        return e;
        }
        return 0;
}

/* Beyond the wanted number, from the last downwards. */
static int condemn(struct round *r, bool *ret_waits, struct err *err) {
        for (;;) {
                struct object *last = NULL;
                vec_foreach(p, &r->pods) {
                        int64_t n = ordinal_of(r->set, (*p)->name);
                        bool out = n < r->first || n >= r->first + r->replicas;
                        if (out && (!last || n > ordinal_of(r->set, last->name)) && !(r->parallel && object_is_deleting(*p)))
                                last = *p;
                }
                if (!last)
                        return 0;
                if (object_is_deleting(last)) {
                        *ret_waits = true;
                        return 0;
                }
                int e = remove_pod(r, last, err);
                if (e < 0)
                        return e;
                if (!r->parallel) {
                        *ret_waits = true;
                        return 0;
                }
                vec_foreach(p, &r->pods) {
                        if (*p == last) {
                                size_t at = (size_t)(p - r->pods.items);
                                object_unref(last);
                                vec_remove(&r->pods, at);
                                break;
                        }
                }
        }
}

/* Pods of an older revision go one by one, from the last downwards. */
static int roll(struct round *r, struct err *err) {
        if (!r->rolling)
                return 0;
        for (int64_t i = r->first + r->replicas - 1; i >= r->first + r->partition; i--) {
                struct object *pod = pod_at(r, i);
                if (!pod)
                        return 0;
                if (!streq_null(object_label(pod, REVISION_LABEL), r->update))
                        return remove_pod(r, pod, err);
                if (!is_healthy(pod))
                        return 0;
        }
        return 0;
}

static int report(struct round *r, struct err *err) {
        struct object *now_set = api_peek(r->c->api, "statefulsets.apps", r->set->namespace, r->set->name);
        if (!now_set || !streq(now_set->uid, r->set->uid))
                return 0;
        AUTO(object) struct object *kept = object_ref(now_set);
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(kept);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status");
        int64_t count = 0, ready = 0, available = 0, current = 0, updated = 0, min_ready = object_int(r->set, "/spec/minReadySeconds", 0);
        vec_foreach(p, &r->pods) {
                const char *revision = object_label(*p, REVISION_LABEL);
                bool alive = !object_is_deleting(*p);
                count++;
                ready += is_healthy(*p);
                available += is_healthy(*p) && pod_is_available(object_root(*p), min_ready, clock_now_ms(), NULL);
                current += alive && streq_null(revision, r->current);
                updated += alive && streq_null(revision, r->update);
        }
        if (!streq(r->current, r->update) && updated == r->replicas && count == updated && ready == updated) {
                snprintf(r->current, sizeof(r->current), "%s", r->update);
                current = updated;
        }
        const struct {
                const char *key;
                int64_t value;
                bool always;
        } counts[] = {{"replicas", count, true},
                      {"readyReplicas", ready},
                      {"availableReplicas", available, true},
                      {"currentReplicas", current},
                      {"updatedReplicas", updated}};
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                if (counts[i].value || counts[i].always)
                        mjson_set_int(doc, status, counts[i].key, counts[i].value);
                else
                        mjson_remove(status, counts[i].key);
        }
        mjson_set_int(doc, status, "observedGeneration", meta_generation(object_root(r->set)));
        mjson_set_int(doc, status, "collisionCount", object_int(r->set, "/status/collisionCount", 0));
        mjson_set_str(doc, status, "currentRevision", r->current);
        mjson_set_str(doc, status, "updateRevision", r->update);
        int e = write_status(r->c, "statefulsets.apps", kept, root, err);
        return e < 0 ? e : 0;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct statefulsets *s = arg;
        struct object *found = api_peek(s->c->api, "statefulsets.apps", ns, name);
        AUTO(object) struct object *set = found ? object_ref(found) : NULL;
        bool waits = false;
        if (!set)
                return 0;
        struct round r = {.c = s->c,
                          .set = set,
                          .replicas = object_int(set, "/spec/replicas", 1),
                          .first = object_int(set, "/spec/ordinals/start", 0),
                          .parallel = streq_null(object_str(set, "/spec/podManagementPolicy"), "Parallel"),
                          .rolling = !streq_null(object_str(set, "/spec/updateStrategy/type"), "OnDelete"),
                          .partition = object_int(set, "/spec/updateStrategy/rollingUpdate/partition", 0)};
        int e = pods_of(s->c, set, object_at(set, "/spec/selector"), &r.pods, err);
        for (size_t i = r.pods.len; i-- > 0;) {
                if (ordinal_of(set, r.pods.items[i]->name) >= 0)
                        continue;
                object_unref(r.pods.items[i]);
                vec_remove(&r.pods, i);
        }
        if (e >= 0)
                e = keep_revisions(&r, err);
        if (e >= 0 && !object_is_deleting(set)) {
                e = fill(&r, &waits, err);
                if (e >= 0 && !waits)
                        e = condemn(&r, &waits, err);
                if (e >= 0 && !waits)
                        e = roll(&r, err);
        }
        AUTO(err) struct err why = ERR_INIT;
        int w = report(&r, &why);
        object_list_done(&r.pods);
        return e < 0 ? e : w < 0 ? err_move(err, &why) : 0;
}

static void on_pod(void *arg, const struct api_event *e) {
        struct statefulsets *s = arg;
        if (e->object)
                queue_add_controller(s->queue, e->object, "StatefulSet");
}

static void *start(struct control *c) {
        struct statefulsets *s = NEW(struct statefulsets);
        s->c = c;
        s->queue = queue_new(c->api, "stateful set", reconcile, s);
        api_watch_start(c->api, "statefulsets.apps", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct statefulsets *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_statefulset = {"statefulset", "statefulset-controller", start, stop};
