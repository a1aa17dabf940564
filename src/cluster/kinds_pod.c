#include "base/clock.h"
#include "cluster/edit.h"
#include "cluster/kind_hooks.h"
#include "cluster/podspec.h"
#include "kobj/meta.h"

static void pod_defaults(struct draft *d) { podspec_default(d->doc, mjson_obj(d->doc, d->root, "spec"), !d->old); }

static int pod_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *status = yyjson_mut_obj(d->doc);
        mjson_set_str(d->doc, status, "phase", "Pending");
        mjson_set_str(d->doc, status, "qosClass", podspec_qos(spec));
        mjson_set(d->doc, d->root, "status", status);
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "schedulingGates")))
                mmeta_set_condition(d->doc, d->root, "PodScheduled", "False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates",
                                    clock_now_ms());
        (void)err;
        return 0;
}

/* podIP and podIPs say the same; a writer of one gets the other. */
static void sync_addresses(struct draft *d, yyjson_mut_val *status, const char *one, const char *many) {
        const char *ip = mjson_get_str(status, one);
        yyjson_mut_val *list = yyjson_mut_obj_get(status, many), *entry;
        if (!ip || !*ip || yyjson_mut_arr_size(list))
                return;
        list = yyjson_mut_arr(d->doc);
        entry = yyjson_mut_obj(d->doc);
        mjson_set_str(d->doc, entry, "ip", ip);
        yyjson_mut_arr_append(list, entry);
        mjson_set(d->doc, status, many, list);
}

static int pod_prepare_update(struct draft *d, struct err *err) {
        yyjson_mut_val *status = mjson_obj(d->doc, d->root, "status");
        (void)err;
        if (d->subresource && streq(d->subresource, "status")) {
                const char *qos = object_str(d->old, "/status/qosClass");
                default_str(d->doc, status, "qosClass", qos ? qos : "BestEffort");
                sync_addresses(d, status, "podIP", "podIPs");
                sync_addresses(d, status, "hostIP", "hostIPs");
        }
        return 0;
}

static void pod_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (!d->subresource)
                podspec_validate(yyjson_obj_get(object, "spec"), "spec", bad);
}

/* What may change in a running pod's spec, taken out of both versions before they are compared. */
static void forget_changeable(yyjson_mut_doc *doc, yyjson_mut_val *spec) {
        static const char *const lists[] = {"containers", "initContainers"};
        static const char *const members[] = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
                MUT_EACH(c, spec, lists[i]) mjson_remove(c, "image");
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
                mjson_remove(spec, members[i]);
        (void)doc;
}

static bool tolerations_only_added(yyjson_val *now, yyjson_val *old) {
        EACH(had, i, old) {
                bool found = false;
                EACH(t, k, now) {
                        const char *a = json_get_str(t, "key"), *b = json_get_str(had, "key");
                        found |= json_equal(t, had) || (streq_null(a, b) && streq_null(json_get_str(t, "effect"), json_get_str(had, "effect")) &&
                                                        streq_null(json_get_str(t, "operator"), json_get_str(had, "operator")));
                }
                if (!found)
                        return false;
        }
        return true;
}

static void check_deadline(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad) {
        yyjson_val *old = yyjson_obj_get(old_spec, "activeDeadlineSeconds"), *now = yyjson_obj_get(spec, "activeDeadlineSeconds");
        AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
        if (old && !now)
                invalid_add(bad, "spec.activeDeadlineSeconds", INVALID_VALUE, text, "must not update from a positive integer to nil value");
        else if (old && yyjson_get_sint(now) > yyjson_get_sint(old))
                invalid_add(bad, "spec.activeDeadlineSeconds", INVALID_VALUE, text, "must be less than or equal to previous value");
}

static void pod_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        AUTO(mjson) yyjson_mut_doc *a = NULL, *b = NULL;
        AUTO(json) yyjson_doc *fa = NULL, *fb = NULL;
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *old_spec = yyjson_obj_get(old, "spec");
        const char *node = json_get_str(old_spec, "nodeName");

        if (d->subresource)
                return;
        EACH(c, i, yyjson_obj_get(spec, "containers")) {
                const char *image = json_get_str(c, "image");
                AUTO(free) char *at = xasprintf("spec.containers[%zu].image", i);
                if (!image || !*image)
                        invalid_required(bad, at, NULL);
        }
        if (yyjson_arr_size(yyjson_obj_get(spec, "containers")) != yyjson_arr_size(yyjson_obj_get(old_spec, "containers"))) {
                invalid_forbidden(bad, "spec.containers", "pod updates may not add or remove containers");
                return;
        }
        check_deadline(spec, old_spec, bad);
        a = json_thaw(spec);
        b = json_thaw(old_spec);
        forget_changeable(a, yyjson_mut_doc_get_root(a));
        forget_changeable(b, yyjson_mut_doc_get_root(b));
        if (object_at(d->old, "/spec/schedulingGates") || !node || !*node) /* before it is bound, gates may go */
                mjson_remove(yyjson_mut_doc_get_root(a), "schedulingGates"), mjson_remove(yyjson_mut_doc_get_root(b), "schedulingGates");
        fa = mjson_freeze(yyjson_mut_doc_get_root(a));
        fb = mjson_freeze(yyjson_mut_doc_get_root(b));
        if (json_equal(yyjson_doc_get_root(fa), yyjson_doc_get_root(fb)) &&
            tolerations_only_added(yyjson_obj_get(spec, "tolerations"), yyjson_obj_get(old_spec, "tolerations")))
                return;
        invalid_forbidden(bad, "spec",
                          "pod updates may not change fields other than "
                          "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                          "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
}

const struct kind_hooks pod_hooks = {
        .defaults = pod_defaults,
        .prepare_create = pod_prepare_create,
        .prepare_update = pod_prepare_update,
        .validate = pod_validate,
        .validate_update = pod_validate_update,
};

static void podtemplate_defaults(struct draft *d) { template_default(d->doc, mjson_obj(d->doc, d->root, "template")); }
static void podtemplate_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        (void)d;
        template_validate(yyjson_obj_get(object, "template"), "template", bad);
}
const struct kind_hooks podtemplate_hooks = {.defaults = podtemplate_defaults, .validate = podtemplate_validate};
