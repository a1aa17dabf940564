/* Delete: preconditions, finalizers, graceful ends. */
#include "cluster/admission.h"
#include "cluster/ops.h"
#include "cluster/webhooks.h"
#include "codec/ktime.h"
#include "kobj/meta.h"

static int check_delete_preconditions(const struct op *op, const struct delete_options *o, struct object *old, struct err *err) {
        const char *version = meta_resource_version(object_root(old));
        if (o->uid && *o->uid && !streq(o->uid, old->uid)) {
                err_http(
                        err, -ESTALE, 409, "Conflict",
                        "Operation cannot be fulfilled on %s \"%s\": the UID in the precondition (%s) does not match the UID in record (%s). The object "
                        "might have been deleted and then recreated",
                        op->res->kind, op->name, o->uid, old->uid);
                status_details(err, op->name, op->res->group, op->res->kind, NULL);
                return -ESTALE;
        }
        if (o->resource_version && *o->resource_version && !streq_null(o->resource_version, version)) {
                err_http(
                        err, -ESTALE, 409, "Conflict",
                        "Operation cannot be fulfilled on %s \"%s\": the ResourceVersion in the precondition (%s) does not match the ResourceVersion in "
                        "record (%s). The object might have been modified",
                        op->res->kind, op->name, o->resource_version, version);
                status_details(err, op->name, op->res->group, op->res->kind, NULL);
                return -ESTALE;
        }
        return 0;
}

static int check_propagation(const struct delete_options *o, struct err *err) {
        static const char *const known[] = {"Orphan", "Background", "Foreground", NULL};
        AUTO(invalid) struct invalid bad = {0};
        if (o->propagation && !str_is_one_of(o->propagation, known))
                invalid_not_supported(&bad, "propagationPolicy", o->propagation,
                                      (const char *const[]){"Foreground", "Background", "Orphan", "nil", NULL});
        if (o->propagation && o->has_orphan_dependents)
                invalid_string(&bad, "propagationPolicy", o->propagation, "orphanDependents and deletionPropagation cannot be both set");
        return invalid_err(&bad, "meta.k8s.io", "DeleteOptions", "", err);
}

/* What happens to dependents is written down as a finalizer, which the garbage collector acts upon and removes. */
static void set_propagation(const struct op *op, const struct delete_options *o, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        const char *policy = o->propagation;
        if (!policy && o->has_orphan_dependents)
                policy = o->orphan_dependents ? "Orphan" : "Background";
        if (!policy && (mmeta_has_finalizer(root, "orphan") || mmeta_has_finalizer(root, "foregroundDeletion")))
                return;
        if (!policy && (streq(op->res->id, "jobs.batch") || streq(op->res->id, "replicationcontrollers")))
                policy = "Orphan"; /* for compatibility with clients older than propagation policies */
        mmeta_remove_finalizer(root, "orphan");
        mmeta_remove_finalizer(root, "foregroundDeletion");
        if (policy && streq(policy, "Orphan"))
                mmeta_add_finalizer(doc, root, "orphan");
        else if (policy && streq(policy, "Foreground"))
                mmeta_add_finalizer(doc, root, "foregroundDeletion");
}

/* Seconds a pod has to end, as the pod strategy decides. */
static int64_t pod_grace(yyjson_val *pod, int64_t asked) {
        const char *phase = json_str_at(pod, "/status/phase"), *node = json_str_at(pod, "/spec/nodeName");
        int64_t grace = asked >= 0 ? asked : json_int_at(pod, "/spec/terminationGracePeriodSeconds", 30);
        if (!node || !*node)
                return 0;
        if (phase && (streq(phase, "Failed") || streq(phase, "Succeeded")))
                return 0;
        return grace < 0 ? 1 : grace;
}

static bool has_finalizers(const struct op *op, yyjson_mut_val *root) {
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(mmeta_of(root), "finalizers")))
                return true;
        return streq(op->res->id, "namespaces") && yyjson_mut_arr_size(mjson_at(root, "/spec/finalizers"));
}

static bool is_special(const struct op *op) {
        return streq(op->res->id, "namespaces") || streq(op->res->id, "customresourcedefinitions.apiextensions.k8s.io");
}

static void begin_deletion(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, bool was_deleting, int64_t grace_s) {
        yyjson_mut_val *meta = mmeta_of(root);
        char when[KTIME_SIZE];

        ktime_format(clock_now_ms() + (grace_s > 0 ? grace_s * 1000 : 0), when);
        mjson_set_str(doc, meta, "deletionTimestamp", when);
        /* Namespaces and CRDs have a deletion of their own in the real server, which knows no grace. */
        if (grace_s >= 0 && !is_special(op))
                mjson_set_int(doc, meta, "deletionGracePeriodSeconds", grace_s);
        if (mmeta_generation(root) > 0 && !is_special(op) && !was_deleting)
                mjson_set_int(doc, meta, "generation", mmeta_generation(root) + 1);
        if (streq(op->res->id, "namespaces"))
                mjson_set_str(doc, mjson_obj(doc, root, "status"), "phase", "Terminating");
}

int op_delete(const struct op *op, const struct delete_options *o, struct object **ret, bool *ret_gone, struct err *err) {
        AUTO(object) struct object *old = object_ref(collection_find(op->res->objects, op->ns, op->name));
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        yyjson_mut_val *root;
        bool was_deleting, graceful = op->res->flags & KIND_GRACEFUL;
        int64_t grace = -1, left;
        int r = check_propagation(o, err);

        if (r < 0)
                return r;
        if (!old)
                return status_not_found(err, op->res, op->name);
        r = check_delete_preconditions(op, o, old, err);
        if (r == 0)
                r = webhooks_validate(op, ADMIT_DELETE, NULL, old, err);
        if (r == 0)
                r = admission_validate(op, ADMIT_DELETE, NULL, old, err);
        if (r < 0)
                return r;
        doc = object_edit(old);
        root = yyjson_mut_doc_get_root(doc);
        was_deleting = mmeta_is_deleting(root);
        set_propagation(op, o, doc, root);
        if (op->res->hooks->prepare_delete)
                op->res->hooks->prepare_delete(&(struct draft){.server = op->s, .resource = op->res, .ns = op->ns ? op->ns : "", .doc = doc,
                                                               .root = root, .old = old, .is_dry_run = op->dry_run});
        if (graceful) {
                grace = pod_grace(object_root(old), o->grace_s);
                left = mjson_get_int(mmeta_of(root), "deletionGracePeriodSeconds", 0);
                if (was_deleting && grace >= left && !(grace == 0 && left == 0)) {
                        *ret = object_ref(old); /* a deletion under way can only be made shorter */
                        *ret_gone = false;
                        return 0;
                }
        }
        if (!was_deleting)
                begin_deletion(op, doc, root, false, graceful ? grace : has_finalizers(op, root) ? 0 : -1);
        else if (graceful)
                begin_deletion(op, doc, root, true, grace);
        if (op->dry_run || (!has_finalizers(op, root) && (!graceful || grace == 0))) {
                AUTO(object) struct object *last = NULL;
                if (!graceful && !has_finalizers(op, root)) {
                        mjson_remove(mmeta_of(root), "deletionTimestamp"); /* gone at once: it never was terminating */
                        last = object_ref(old);
                } else {
                        last = object_new(op->res->storage, old->revision, mjson_freeze(root));
                }
                *ret_gone = true;
                *ret = op->dry_run ? TAKE(last) : op_remove(op, last);
                return 0;
        }
        *ret_gone = false;
        if (was_deleting && !graceful) {
                AUTO(json) yyjson_doc *frozen = mjson_freeze(root);
                if (json_equal(yyjson_doc_get_root(frozen), object_root(old))) {
                        *ret = object_ref(old);
                        return 0;
                }
        }
        *ret = op_store(op, doc, root, old);
        return 0;
}
