/* Volume claims: matched to volumes that exist, or a volume is made for them: a directory of this machine. Also what comes after:
 * protection while pods use a claim, and what becomes of a volume whose claim is gone.
 *
 * The storage class `standard` (default, provisioner firesteel.io/directory) is made when there is none. The directory itself is the pod
 * runtime's affair; it is removed here, by a worker, when a volume with reclaim policy Delete is released. */
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "cluster/controllers/control.h"
#include "codec/quantity.h"
#include "kobj/selector.h"

#define PROVISIONER "firesteel.io/directory"
#define CLASSES "storageclasses.storage.k8s.io"
#define DEFAULT_CLASS "storageclass.kubernetes.io/is-default-class"
#define PVC_PROTECTION "kubernetes.io/pvc-protection"
#define PV_PROTECTION "kubernetes.io/pv-protection"
#define BOUND_BY_CONTROLLER "pv.kubernetes.io/bound-by-controller"
#define BIND_COMPLETED "pv.kubernetes.io/bind-completed"
#define PROVISIONED_BY "pv.kubernetes.io/provisioned-by"

struct volumes {
        struct control *c;
        struct queue *claims, *volumes;
};

/* ---- classes ---- */

static void make_default_class(struct volumes *s) {
        AUTO(object_list) struct object_list all = {0};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        if (!s->c->options->volumes_dir || api_list(s->c->api, CLASSES, NULL, NULL, NULL, &all, NULL) != 0)
                return;
        mmeta_set(doc, root, "name", "standard");
        mmeta_set_annotation(doc, root, DEFAULT_CLASS, "true");
        mjson_set_str(doc, root, "provisioner", PROVISIONER);
        mjson_set_str(doc, root, "reclaimPolicy", "Delete");
        mjson_set_str(doc, root, "volumeBindingMode", "Immediate");
        if (api_create(s->c->api, CLASSES, NULL, root, NULL, &err) < 0 && err.http_status != 409)
                log_debug("storage class: %s", err_message(&err));
}

static struct object *default_class(struct volumes *s) {
        AUTO(object_list) struct object_list all = {0};
        struct object *found = NULL;
        if (api_list(s->c->api, CLASSES, NULL, NULL, NULL, &all, NULL) < 0)
                return NULL;
        vec_foreach(c, &all) {
                if (streq_null(object_annotation(*c, DEFAULT_CLASS), "true") && (!found || (*c)->created_ms > found->created_ms))
                        found = *c;
        }
        return found ? api_peek(s->c->api, CLASSES, NULL, found->name) : NULL;
}

/* ---- binding ---- */

static bool has_modes(yyjson_val *volume, yyjson_val *claim) {
        size_t i, max, j, jmax;
        yyjson_val *want, *have;
        yyjson_arr_foreach(json_at(claim, "/spec/accessModes"), i, max, want) {
                bool found = false;
                yyjson_arr_foreach(json_at(volume, "/spec/accessModes"), j, jmax, have) found |= yyjson_equals(want, have);
                if (!found)
                        return false;
        }
        return true;
}

static struct quantity size_at(yyjson_val *object, const char *pointer) {
        struct quantity q = {0};
        const char *text = json_str_at(object, pointer);
        if (!text || quantity_parse(sv_of(text), &q, NULL) < 0)
                return (struct quantity){0};
        return q;
}

static bool is_for(const struct object *volume, const struct object *claim) {
        yyjson_val *ref = object_at(volume, "/spec/claimRef");
        const char *uid = json_get_str(ref, "uid");
        return ref && streq_null(json_get_str(ref, "namespace"), claim->namespace) && streq_null(json_get_str(ref, "name"), claim->name) &&
               (!uid || !*uid || streq(uid, claim->uid));
}

static const char *or_empty(const char *text) { return text ? text : ""; }

/* The smallest volume that is free, big enough and of the same kind; one reserved for this claim first. */
static struct object *find_volume(struct volumes *s, const struct object *claim) {
        AUTO(object_list) struct object_list all = {0};
        AUTO(selector) struct selector selector = {0};
        yyjson_val *root = object_root(claim), *wanted = json_at(root, "/spec/selector");
        const char *named = object_str(claim, "/spec/volumeName"), *class = object_str(claim, "/spec/storageClassName");
        struct quantity size = size_at(root, "/spec/resources/requests/storage");
        struct object *best = NULL;
        if (named && *named)
                return api_peek(s->c->api, "persistentvolumes", NULL, named);
        if ((wanted && selector_from_object(wanted, &selector, NULL) < 0) ||
            api_list(s->c->api, "persistentvolumes", NULL, NULL, NULL, &all, NULL) < 0)
                return NULL;
        vec_foreach(v, &all) {
                yyjson_val *volume = object_root(*v);
                const char *phase = object_str(*v, "/status/phase"), *mode = object_str(*v, "/spec/volumeMode"),
                           *wanted_mode = object_str(claim, "/spec/volumeMode");
                if (is_for(*v, claim))
                        return api_peek(s->c->api, "persistentvolumes", NULL, (*v)->name);
                if (object_is_deleting(*v) || object_at(*v, "/spec/claimRef") ||
                    !(streq_null(phase, "Available") || streq_null(phase, "Pending")) ||
                    !streq(or_empty(class), or_empty(object_str(*v, "/spec/storageClassName"))) || !has_modes(volume, root) ||
                    !streq(mode ? mode : "Filesystem", wanted_mode ? wanted_mode : "Filesystem") ||
                    quantity_cmp(size_at(volume, "/spec/capacity/storage"), size) < 0 ||
                    (wanted && !selector_matches(&selector, meta_labels(volume))))
                        continue;
                if (!best ||
                    quantity_cmp(size_at(volume, "/spec/capacity/storage"), size_at(object_root(best), "/spec/capacity/storage")) < 0)
                        best = *v;
        }
        return best ? api_peek(s->c->api, "persistentvolumes", NULL, best->name) : NULL;
}

static int provision(struct volumes *s, const struct object *claim, const struct object *class, struct object **ret, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *spec = mjson_obj(doc, root, "spec"), *host = mjson_obj(doc, spec, "hostPath"), *ref;
        const char *policy = object_str(class, "/reclaimPolicy"), *mode = object_str(claim, "/spec/volumeMode");
        AUTO(free) char *name = xasprintf("pvc-%s", claim->uid);
        AUTO(free) char *leaf = xasprintf("%s_%s_%s", name, claim->namespace, claim->name);
        AUTO(free) char *path = fs_join(s->c->options->volumes_dir, leaf);
        mmeta_set(doc, root, "name", name);
        mmeta_set_annotation(doc, root, PROVISIONED_BY, PROVISIONER);
        mjson_set(doc, spec, "accessModes", yyjson_val_mut_copy(doc, object_at(claim, "/spec/accessModes")));
        mjson_set_str(doc, mjson_obj(doc, spec, "capacity"), "storage", or_empty(object_str(claim, "/spec/resources/requests/storage")));
        mjson_set_str(doc, spec, "persistentVolumeReclaimPolicy", policy ? policy : "Delete");
        mjson_set_str(doc, spec, "storageClassName", class->name);
        mjson_set_str(doc, spec, "volumeMode", mode ? mode : "Filesystem");
        mjson_set_str(doc, host, "path", path);
        mjson_set_str(doc, host, "type", "DirectoryOrCreate");
        ref = mjson_obj(doc, spec, "claimRef");
        mjson_set_str(doc, ref, "apiVersion", "v1");
        mjson_set_str(doc, ref, "kind", "PersistentVolumeClaim");
        mjson_set_str(doc, ref, "namespace", claim->namespace);
        mjson_set_str(doc, ref, "name", claim->name);
        mjson_set_str(doc, ref, "uid", claim->uid);
        int r = api_create(s->c->api, "persistentvolumes", NULL, root, ret, err);
        if (r >= 0)
                api_event(s->c->api, claim, "Normal", "ProvisioningSucceeded", "Successfully provisioned volume %s", name);
        return r;
}

/* Both sides name each other, then both say Bound. */
static int bind(struct volumes *s, const struct object *claim, const struct object *volume, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *v = object_edit(volume), *c = object_edit(claim);
        yyjson_mut_val *vr = yyjson_mut_doc_get_root(v), *cr = yyjson_mut_doc_get_root(c), *ref, *status;
        AUTO(object) struct object *bound = NULL;
        yyjson_val *capacity = object_at(volume, "/spec/capacity"), *modes = object_at(volume, "/spec/accessModes");
        if (!streq_null(object_str(volume, "/spec/claimRef/uid"), claim->uid)) {
                ref = mjson_obj(v, mjson_obj(v, vr, "spec"), "claimRef");
                mjson_set_str(v, ref, "apiVersion", "v1");
                mjson_set_str(v, ref, "kind", "PersistentVolumeClaim");
                mjson_set_str(v, ref, "namespace", claim->namespace);
                mjson_set_str(v, ref, "name", claim->name);
                mjson_set_str(v, ref, "uid", claim->uid);
                mmeta_set_annotation(v, vr, BOUND_BY_CONTROLLER, "yes");
                mmeta_set(v, vr, "resourceVersion", NULL);
                int r = api_update(s->c->api, "persistentvolumes", vr, NULL, err);
                if (r < 0)
                        return r;
        }
        if (!streq_null(object_str(claim, "/spec/volumeName"), volume->name) || !object_annotation(claim, BIND_COMPLETED)) {
                if (!streq_null(object_str(claim, "/spec/volumeName"), volume->name))
                        mmeta_set_annotation(c, cr, BOUND_BY_CONTROLLER, "yes");
                mmeta_set_annotation(c, cr, BIND_COMPLETED, "yes");
                mjson_set_str(c, mjson_obj(c, cr, "spec"), "volumeName", volume->name);
                mmeta_set(c, cr, "resourceVersion", NULL);
                int r = api_update(s->c->api, "persistentvolumeclaims", cr, &bound, err);
                if (r < 0)
                        return r;
        }
        int r = api_patchf(s->c->api, "persistentvolumes", NULL, volume->name, "status", err, "{\"status\":{\"phase\":\"Bound\"}}");
        if (r < 0)
                return r;
        AUTO(mjson) yyjson_mut_doc *d = object_edit(bound ? bound : claim);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(d);
        status = mjson_obj(d, root, "status");
        mjson_set_str(d, status, "phase", "Bound");
        mjson_set(d, status, "accessModes", modes ? yyjson_val_mut_copy(d, modes) : yyjson_mut_arr(d));
        mjson_set(d, status, "capacity", capacity ? yyjson_val_mut_copy(d, capacity) : yyjson_mut_obj(d));
        r = write_status(s->c, "persistentvolumeclaims", bound ? bound : claim, root, err);
        return r < 0 ? r : 0;
}

/* A claim without a class takes the default one, as soon as there is one. */
static int give_class(struct volumes *s, struct object **claim, struct err *err) {
        struct object *class = object_at(*claim, "/spec/storageClassName") ? NULL : default_class(s), *now = NULL;
        if (!class)
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(*claim);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        mjson_set_str(doc, mjson_obj(doc, root, "spec"), "storageClassName", class->name);
        mmeta_set(doc, root, "resourceVersion", NULL);
        int r = api_update(s->c->api, "persistentvolumeclaims", root, &now, err);
        if (r < 0)
                return r;
        object_unref(*claim);
        *claim = now;
        return 0;
}

static int settle_claim(struct volumes *s, struct object **claim, struct err *err) {
        const char *class_name;
        int r = give_class(s, claim, err);
        if (r < 0)
                return r;
        struct object *found = find_volume(s, *claim);
        AUTO(object) struct object *volume = found ? object_ref(found) : NULL;
        class_name = object_str(*claim, "/spec/storageClassName");
        if (volume && (is_for(volume, *claim) || !object_at(volume, "/spec/claimRef")))
                return bind(s, *claim, volume, err);
        if (object_str(*claim, "/spec/volumeName") && *object_str(*claim, "/spec/volumeName"))
                return volume ? 0
                              : api_patchf(s->c->api, "persistentvolumeclaims", (*claim)->namespace, (*claim)->name, "status", err,
                                           "{\"status\":{\"phase\":\"%s\"}}",
                                           object_annotation(*claim, BIND_COMPLETED) ? "Lost" : "Pending");
        if (!class_name || !*class_name) {
                api_event(s->c->api, *claim, "Normal", "FailedBinding",
                          "no persistent volumes available for this claim and no storage class is set");
                return 0;
        }
        struct object *class = api_peek(s->c->api, CLASSES, NULL, class_name);
        if (!class) {
                api_event(s->c->api, *claim, "Warning", "ProvisioningFailed", "storageclass.storage.k8s.io \"%s\" not found", class_name);
                return 0;
        }
        if (!streq_null(object_str(class, "/provisioner"), PROVISIONER) || !s->c->options->volumes_dir) {
                const char *provisioner = object_str(class, "/provisioner");
                api_event(
                        s->c->api, *claim, "Normal", "ExternalProvisioning",
                        "Waiting for a volume to be created either by the external provisioner '%s' or manually by the system administrator. If volume "
                        "creation is delayed, please verify that the provisioner is running and correctly registered.",
                        or_empty(provisioner));
                return 0;
        }
        AUTO(object) struct object *kept = object_ref(class), *made = NULL;
        r = provision(s, *claim, kept, &made, err);
        return r < 0 ? r : bind(s, *claim, made, err);
}

/* ---- the end ---- */

static bool is_used(struct volumes *s, const struct object *claim) {
        AUTO(object_list) struct object_list pods = {0};
        if (api_list(s->c->api, "pods", claim->namespace, NULL, NULL, &pods, NULL) < 0)
                return true;
        vec_foreach(p, &pods) {
                size_t i, max;
                yyjson_val *v;
                if (object_is_finished(*p))
                        continue;
                AUTO(object_view) struct object_view pod = object_view(*p);
                yyjson_arr_foreach(json_at(pod.root, "/spec/volumes"), i, max, v) {
                        if (streq_null(json_str_at(v, "/persistentVolumeClaim/claimName"), claim->name))
                                return true;
                }
        }
        return false;
}

static int drop_finalizer(struct volumes *s, const char *resource, const struct object *o, const char *finalizer, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(o);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        if (!meta_has_finalizer(object_root(o), finalizer))
                return 0;
        mmeta_remove_finalizer(root, finalizer);
        mmeta_set(doc, root, "resourceVersion", NULL);
        return api_update(s->c->api, resource, root, NULL, err);
}

static int reconcile_claim(void *arg, const char *ns, const char *name, struct err *err) {
        struct volumes *s = arg;
        struct object *found = api_peek(s->c->api, "persistentvolumeclaims", ns, name);
        AUTO(object) struct object *claim = found ? object_ref(found) : NULL;
        if (!claim)
                return 0;
        if (object_is_deleting(claim))
                return is_used(s, claim) ? 0 : drop_finalizer(s, "persistentvolumeclaims", claim, PVC_PROTECTION, err);
        if (streq_null(object_str(claim, "/status/phase"), "Bound"))
                return 0;
        return settle_claim(s, &claim, err);
}

struct removal {
        char *path;
};

static void remove_directory(void *arg) {
        struct removal *job = arg;
        AUTO(err) struct err err = ERR_INIT;
        if (fs_remove_tree(job->path, &err) < 0)
                log_debug("removing volume directory: %s", err_message(&err));
}

static void removed(void *arg) {
        struct removal *job = arg;
        free(job->path);
        free(job);
}

/* Only directories that were made here, below the place for them. */
static void reclaim(struct volumes *s, const struct object *volume) {
        const char *path = object_str(volume, "/spec/hostPath/path"), *dir = s->c->options->volumes_dir;
        size_t len = dir ? strlen(dir) : 0;
        if (!streq_null(object_annotation(volume, PROVISIONED_BY), PROVISIONER) || !path || !len || strncmp(path, dir, len) ||
            path[len] != '/' || strstr(path, ".."))
                return;
        struct removal *job = NEW(struct removal);
        job->path = xstrdup(path);
        loop_work(api_loop(s->c->api), remove_directory, removed, job);
}

static int set_phase(struct volumes *s, const struct object *volume, const char *phase, struct err *err) {
        if (streq_null(object_str(volume, "/status/phase"), phase))
                return 0;
        return api_patchf(s->c->api, "persistentvolumes", NULL, volume->name, "status", err, "{\"status\":{\"phase\":\"%s\"}}", phase);
}

static int reconcile_volume(void *arg, const char *unused, const char *name, struct err *err) {
        struct volumes *s = arg;
        struct object *found = api_peek(s->c->api, "persistentvolumes", NULL, name);
        AUTO(object) struct object *volume = found ? object_ref(found) : NULL;
        AUTO(object_list) struct object_list waiting = {0};
        if (!volume)
                return 0;
        yyjson_val *ref = object_at(volume, "/spec/claimRef");
        const char *ns = json_get_str(ref, "namespace"), *claim_name = json_get_str(ref, "name"), *uid = json_get_str(ref, "uid");
        struct object *claim = ns && claim_name ? api_peek(s->c->api, "persistentvolumeclaims", ns, claim_name) : NULL;
        if (claim && uid && *uid && !streq(claim->uid, uid))
                claim = NULL;
        if (object_is_deleting(volume))
                return claim ? 0 : drop_finalizer(s, "persistentvolumes", volume, PV_PROTECTION, err);
        if (!ref || !uid || !*uid) {
                int r = set_phase(s, volume, "Available", err);
                if (r < 0 || api_list(s->c->api, "persistentvolumeclaims", NULL, NULL, NULL, &waiting, NULL) < 0)
                        return r;
                vec_foreach(c, &waiting) {
                        if (streq_null(object_str(*c, "/status/phase"), "Pending"))
                                queue_add_object(s->claims, *c);
                }
                return 0;
        }
        if (claim)
                return set_phase(s, volume, "Bound", err);
        if (!streq_null(object_str(volume, "/spec/persistentVolumeReclaimPolicy"), "Delete"))
                return set_phase(s, volume, "Released", err);
        if (!streq_null(object_annotation(volume, PROVISIONED_BY), PROVISIONER))
                return set_phase(s, volume, "Released", err);
        int r = set_phase(s, volume, "Released", err);
        if (r < 0)
                return r;
        reclaim(s, volume);
        return api_delete(s->c->api, "persistentvolumes", NULL, name, NULL, err);
}

/* ---- watching ---- */

static void on_claim(void *arg, const struct api_event *e) {
        struct volumes *s = arg;
        const char *volume = e->object ? object_str(e->object, "/spec/volumeName") : NULL;
        if (e->object && e->type != API_DELETED)
                queue_add_object(s->claims, e->object);
        if (volume && *volume)
                queue_add(s->volumes, "", volume);
}

static void on_volume(void *arg, const struct api_event *e) {
        struct volumes *s = arg;
        const char *ns, *name;
        if (!e->object)
                return;
        if (e->type != API_DELETED)
                queue_add(s->volumes, "", e->object->name);
        ns = object_str(e->object, "/spec/claimRef/namespace");
        name = object_str(e->object, "/spec/claimRef/name");
        if (ns && name)
                queue_add(s->claims, ns, name);
}

static void on_class(void *arg, const struct api_event *e) {
        struct volumes *s = arg;
        AUTO(object_list) struct object_list all = {0};
        if (e->type == API_SYNCED)
                make_default_class(s);
        if (e->type != API_ADDED || api_list(s->c->api, "persistentvolumeclaims", NULL, NULL, NULL, &all, NULL) < 0)
                return;
        vec_foreach(c, &all) queue_add_object(s->claims, *c);
}

/* Claims that wait for their last pod. */
static void on_pod(void *arg, const struct api_event *e) {
        struct volumes *s = arg;
        size_t i, max;
        yyjson_val *v;
        if (!e->object || (e->type != API_DELETED && !object_is_finished(e->object)))
                return;
        yyjson_arr_foreach(object_at(e->object, "/spec/volumes"), i, max, v) {
                const char *claim = json_str_at(v, "/persistentVolumeClaim/claimName");
                if (claim)
                        queue_add(s->claims, e->object->namespace, claim);
        }
}

static void *start(struct control *c) {
        struct volumes *s = NEW(struct volumes);
        s->c = c;
        s->claims = queue_new(c->api, "volume claim", reconcile_claim, s);
        s->volumes = queue_new(c->api, "volume", reconcile_volume, s);
        api_watch_start(c->api, CLASSES, NULL, NULL, NULL, on_class, s);
        api_watch_start(c->api, "persistentvolumes", NULL, NULL, NULL, on_volume, s);
        api_watch_start(c->api, "persistentvolumeclaims", NULL, NULL, NULL, on_claim, s);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        return s;
}

static void stop(void *state) {
        struct volumes *s = state;
        queue_free(s->claims);
        queue_free(s->volumes);
        free(s);
}

const struct controller controller_volumes = {"volumes", "persistentvolume-controller", start, stop};
