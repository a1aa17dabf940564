#include "base/clock.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/pod_changes.h"
#include "cluster/kinds/podspec.h"
#include "kobj/meta.h"

static void pod_defaults(struct draft *d) { podspec_default(d->doc, mjson_obj(d->doc, d->root, "spec"), true); }

static int pod_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *status = yyjson_mut_obj(d->doc);
        mjson_set_str(d->doc, status, "phase", "Pending");
        mjson_set_str(d->doc, status, "qosClass", podspec_qos(spec));
        mjson_set(d->doc, d->root, "status", status);
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "schedulingGates")))
                mmeta_set_condition(d->doc, d->root, "PodScheduled", "False", "SchedulingGated",
                                    "Scheduling is blocked due to non-empty scheduling gates", clock_now_ms());
        (void)err;
        return 0;
}

/* podIP and podIPs say the same: a writer of one gets the other, and podIP is believed where they differ. */
static void sync_addresses(struct draft *d, yyjson_mut_val *status) {
        const char *ip = mjson_get_str(status, "podIP");
        yyjson_mut_val *list = yyjson_mut_obj_get(status, "podIPs"), *entry = yyjson_mut_arr_get_first(list);
        const char *first = entry ? mjson_get_str(entry, "ip") : NULL;
        if (!ip || !*ip) {
                if (first)
                        mjson_set_str(d->doc, status, "podIP", first);
                return;
        }
        if (first && streq(first, ip))
                return;
        list = yyjson_mut_arr(d->doc);
        entry = yyjson_mut_obj(d->doc);
        mjson_set_str(d->doc, entry, "ip", ip);
        yyjson_mut_arr_append(list, entry);
        mjson_set(d->doc, status, "podIPs", list);
}

/* What admission gave the pod: an update that leaves it out means no change. */
static void keep_priority(struct draft *d) {
        static const char *const members[] = {"priority", "preemptionPolicy"};
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                yyjson_val *had = yyjson_obj_get(object_at(d->old, "/spec"), members[i]);
                if (had && !yyjson_mut_obj_get(spec, members[i]))
                        mjson_set(d->doc, spec, members[i], yyjson_val_mut_copy(d->doc, had));
        }
}

static int pod_prepare_update(struct draft *d, struct err *err) {
        yyjson_mut_val *status = mjson_obj(d->doc, d->root, "status");
        (void)err;
        if (d->subresource && streq(d->subresource, "status")) {
                const char *qos = object_str(d->old, "/status/qosClass");
                yyjson_mut_val *meta = mmeta_of(d->root);
                yyjson_val *owners = object_at(d->old, "/metadata/ownerReferences");
                /* old kubelets sent metadata back that was not what they had got */
                if (!object_at(d->old, "/metadata/deletionTimestamp"))
                        mjson_remove(meta, "deletionTimestamp");
                mjson_remove(meta, "ownerReferences");
                if (owners)
                        mjson_set(d->doc, meta, "ownerReferences", yyjson_val_mut_copy(d->doc, owners));
                default_str(d->doc, status, "qosClass", qos ? qos : "BestEffort");
                sync_addresses(d, status);
        }
        if (!d->subresource)
                keep_priority(d);
        return 0;
}

static void pod_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec");
        const char *node = json_get_str(spec, "nodeName");
        if (!d->subresource || streq(d->subresource, "ephemeralcontainers"))
                podspec_validate(spec, "spec", bad);
        if (d->old)
                return;
        if (yyjson_arr_size(yyjson_obj_get(spec, "ephemeralContainers")))
                invalid_forbidden(bad, "spec.ephemeralContainers", "cannot be set on create");
        if (node && *node && yyjson_arr_size(yyjson_obj_get(spec, "schedulingGates")))
                invalid_forbidden(bad, "spec.nodeName", "cannot be set until all schedulingGates have been cleared");
}

static void pod_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        if (!d->subresource)
                pod_check_changes(yyjson_obj_get(object, "spec"), yyjson_obj_get(old, "spec"), bad);
        else if (streq(d->subresource, "ephemeralcontainers"))
                pod_check_ephemeral(yyjson_obj_get(object, "spec"), yyjson_obj_get(old, "spec"), bad);
        else if (streq(d->subresource, "status"))
                pod_check_status(object, old, bad);
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
