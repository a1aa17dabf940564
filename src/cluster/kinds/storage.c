/* Defaults and rules of volumes, claims and storage classes. */
#include "base/clock.h"
#include "base/str.h"
#include "cluster/kinds/claim_rules.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/node_rules.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/rules.h"
#include "cluster/kinds/volume_rules.h"
#include "codec/ktime.h"
#include "codec/quantity.h"
#include "kobj/meta.h"

enum { MAX_PARAMETERS = 512, MAX_PARAMETER_BYTES = 256 * 1024 };

static void set_phase(yyjson_mut_doc *doc, yyjson_mut_val *root, yyjson_mut_val *status) {
        mjson_set_str(doc, status, "phase", "Pending");
        mjson_set(doc, root, "status", status);
}

/* What claims and volumes have in common. */
static void check_access_modes(yyjson_val *spec, const char *path, struct invalid *bad) {
        static const char *const modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
        bool has_pod = false, has_other = false;
        AT("%s.accessModes", path);
        EACH(mode, i, yyjson_obj_get(spec, "accessModes")) {
                const char *name = yyjson_get_str(mode);
                if (!str_is_one_of(name, modes))
                        invalid_not_supported(bad, at, name ? name : "", modes);
                else if (streq(name, "ReadWriteOncePod"))
                        has_pod = true;
                else
                        has_other = true;
        }
        if (has_pod && has_other)
                invalid_forbidden(bad, at, "may not use ReadWriteOncePod with other access modes");
}

static void check_volume_mode(yyjson_val *spec, const char *path, struct invalid *bad) {
        rule_supported(spec, "volumeMode", path, SUPPORTED("Block", "Filesystem"), bad);
}

static void check_positive(const char *amount, const char *path, struct invalid *bad) {
        struct quantity q;
        if (quantity_parse(sv_of(amount), &q, NULL) == 0 && q.nano <= 0)
                invalid_string(bad, path, amount, "must be greater than zero");
}

static void check_same_mode(yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        const char *mode = json_str_at(object, "/spec/volumeMode");
        if (!streq_null(mode, json_str_at(old, "/spec/volumeMode")))
                invalid_string(bad, "volumeMode", mode ? mode : "", "field is immutable");
}

/* Claims. */

static void pvc_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        default_absent(d->doc, spec, "volumeMode", "Filesystem");
        default_str(d->doc, mjson_obj(d->doc, d->root, "status"), "phase", "Pending");
}

static bool is_claim_or_snapshot(yyjson_mut_val *source) {
        const char *group = mjson_get_str(source, "apiGroup"), *kind = mjson_get_str(source, "kind");
        if (!group || !*group)
                return streq_null(kind, "PersistentVolumeClaim");
        return streq(group, "snapshot.storage.k8s.io") && streq_null(kind, "VolumeSnapshot");
}

static void copy_source(yyjson_mut_doc *doc, yyjson_mut_val *spec, yyjson_mut_val *from, const char *to) {
        static const char *const members[] = {"apiGroup", "kind", "name"};
        yyjson_mut_val *copy = yyjson_mut_obj(doc);
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
                if (yyjson_mut_obj_get(from, members[i]))
                        mjson_set(doc, copy, members[i], yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_get(from, members[i])));
        mjson_set(doc, spec, to, copy);
}

/* dataSource and dataSourceRef say the same; what only a later feature understands is dropped, as by a server without it. */
void claim_spec_normalize(yyjson_mut_doc *doc, yyjson_mut_val *spec, yyjson_val *old) {
        const char *ns = mjson_get_str(member_obj(spec, "dataSourceRef"), "namespace");
        if (ns && *ns && !yyjson_obj_get(old, "dataSourceRef"))
                mjson_remove(spec, "dataSourceRef");
        if (member_obj(spec, "dataSource") && !yyjson_obj_get(old, "dataSource") && !is_claim_or_snapshot(member_obj(spec, "dataSource")))
                mjson_remove(spec, "dataSource");
        yyjson_mut_val *source = member_obj(spec, "dataSource"), *ref = member_obj(spec, "dataSourceRef");
        if (source && !ref)
                copy_source(doc, spec, source, "dataSourceRef");
        else if (ref && !source)
                copy_source(doc, spec, ref, "dataSource");
}

static int pvc_prepare_create(struct draft *d, struct err *err) {
        (void)err;
        set_phase(d->doc, d->root, yyjson_mut_obj(d->doc));
        claim_spec_normalize(d->doc, mjson_obj(d->doc, d->root, "spec"), NULL);
        mmeta_add_finalizer(d->doc, d->root, "kubernetes.io/pvc-protection");
        return 0;
}

static int pvc_prepare_update(struct draft *d, struct err *err) {
        (void)err;
        if (!d->subresource)
                claim_spec_normalize(d->doc, mjson_obj(d->doc, d->root, "spec"), object_at(d->old, "/spec"));
        return 0;
}

static void check_data_source(yyjson_val *spec, const char *key, const char *path, struct invalid *bad) {
        yyjson_val *source = yyjson_obj_get(spec, key);
        AT("%s.%s", path, key);
        if (!yyjson_is_obj(source))
                return;
        rule_required(source, "name", at, bad);
        rule_required(source, "kind", at, bad);
        if (!rule_has(source, "apiGroup") && !streq(rule_str(source, "kind"), "PersistentVolumeClaim"))
                invalid_string(bad, at, rule_str(source, "kind"), "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
        rule_name(source, "apiGroup", at, name_check_dns1123_subdomain, bad);
        rule_name(source, "namespace", at, name_check_dns1123_label, bad);
}

static void check_data_sources(yyjson_val *spec, const char *path, struct invalid *bad) {
        yyjson_val *source = yyjson_obj_get(spec, "dataSource"), *ref = yyjson_obj_get(spec, "dataSourceRef");
        check_data_source(spec, "dataSource", path, bad);
        check_data_source(spec, "dataSourceRef", path, bad);
        if (!yyjson_is_obj(source) || !yyjson_is_obj(ref))
                return;
        if (rule_has(ref, "namespace"))
                invalid_add(bad, path, INVALID_VALUE, "{}", "may not be specified when dataSourceRef.namespace is specified");
        else if (!streq_null(json_get_str(source, "apiGroup"), json_get_str(ref, "apiGroup")) ||
                 !streq(rule_str(source, "kind"), rule_str(ref, "kind")) || !streq(rule_str(source, "name"), rule_str(ref, "name")))
                invalid_add(bad, path, INVALID_VALUE, "{}", "must match dataSourceRef");
}

void claim_spec_validate(yyjson_val *spec, const char *path, struct invalid *bad) {
        const char *storage = json_str_at(spec, "/resources/requests/storage");
        PATH(modes_at, "%s.accessModes", path);
        PATH(selector_at, "%s.selector", path);
        PATH(storage_at, "%s.resources[storage]", path);
        if (yyjson_arr_size(yyjson_obj_get(spec, "accessModes")) == 0)
                invalid_required(bad, modes_at, "at least 1 access mode is required");
        label_selector_validate(yyjson_obj_get(spec, "selector"), selector_at, bad);
        check_access_modes(spec, path, bad);
        if (storage)
                check_positive(storage, storage_at, bad);
        else
                invalid_required(bad, storage_at, NULL);
        rule_name(spec, "storageClassName", path, name_check_dns1123_subdomain, bad);
        check_volume_mode(spec, path, bad);
        check_data_sources(spec, path, bad);
        rule_name(spec, "volumeAttributesClassName", path, name_check_dns1123_subdomain, bad);
}

static void pvc_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (!d->subresource)
                claim_spec_validate(yyjson_obj_get(object, "spec"), "spec", bad);
}

/* A class may be named once: as the old annotation has it, or where there was neither. */
static bool may_name_class(yyjson_val *object, yyjson_val *old) {
        const char *before = json_str_at(old, "/spec/storageClassName"), *after = json_str_at(object, "/spec/storageClassName");
        const char *annotation = meta_annotation(old, "volume.beta.kubernetes.io/storage-class");
        return !before && after && (!annotation || streq(annotation, after));
}

static void take_over(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *from, const char *key) {
        if (yyjson_obj_get(from, key))
                mjson_set(doc, to, key, yyjson_val_mut_copy(doc, yyjson_obj_get(from, key)));
        else
                mjson_remove(to, key);
}

/* Is the new spec the old one but for what may change? Of a bound claim that is how much it asks for and of which class of attributes. */
static bool is_same_claim(yyjson_val *object, yyjson_val *old) {
        yyjson_val *before = yyjson_obj_get(old, "spec");
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_obj_get(object, "spec"));
        yyjson_mut_val *spec = yyjson_mut_doc_get_root(doc);
        bool is_bound = streq_null(json_str_at(object, "/status/phase"), "Bound");
        yyjson_mut_val *requests = member_obj(member_obj(spec, "resources"), "requests");
        if (!rule_has(before, "volumeName"))
                take_over(doc, spec, before, "volumeName");
        if (may_name_class(object, old))
                take_over(doc, spec, before, "storageClassName");
        if (is_bound && requests)
                take_over(doc, requests, json_at(before, "/resources/requests"), "storage");
        if (is_bound)
                take_over(doc, spec, before, "volumeAttributesClassName");
        AUTO(json) yyjson_doc *after = mjson_freeze(spec);
        return json_equal(yyjson_doc_get_root(after), before);
}

static void check_shrinking(yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        const char *before = json_str_at(old, "/spec/resources/requests/storage"),
                   *after = json_str_at(object, "/spec/resources/requests/storage");
        const char *has = json_str_at(old, "/status/capacity/storage");
        struct quantity was, is, least;
        if (quantity_parse(sv_of(before ? before : "0"), &was, NULL) < 0 || quantity_parse(sv_of(after ? after : "0"), &is, NULL) < 0 ||
            quantity_parse(sv_of(has ? has : "0"), &least, NULL) < 0)
                return;
        if (quantity_cmp(is, was) < 0 && quantity_cmp(is, least) <= 0)
                invalid_forbidden(bad, "spec.resources.requests.storage", "field can not be less than status.capacity");
}

static void pvc_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        if (d->subresource)
                return;
        if (!is_same_claim(object, old))
                invalid_forbidden(
                        bad, "spec",
                        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims");
        check_shrinking(object, old, bad);
        check_same_mode(object, old, bad);
}
const struct kind_hooks pvc_hooks = {.defaults = pvc_defaults,
                                     .prepare_create = pvc_prepare_create,
                                     .prepare_update = pvc_prepare_update,
                                     .validate = pvc_validate,
                                     .validate_update = pvc_validate_update};

/* Volumes. */

static void pv_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        default_str(d->doc, spec, "persistentVolumeReclaimPolicy", "Retain");
        default_absent(d->doc, spec, "volumeMode", "Filesystem");
        volume_source_default(d->doc, spec);
        default_str(d->doc, mjson_obj(d->doc, d->root, "status"), "phase", "Pending");
}

static void set_transition(yyjson_mut_doc *doc, yyjson_mut_val *status) {
        char now[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        mjson_set_str(doc, status, "lastPhaseTransitionTime", now);
}

static int pv_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *status = yyjson_mut_obj(d->doc);
        (void)err;
        set_phase(d->doc, d->root, status);
        set_transition(d->doc, status);
        mmeta_add_finalizer(d->doc, d->root, "kubernetes.io/pv-protection");
        return 0;
}

/* Whoever changes the phase of a volume need not say when. */
static int pv_prepare_update(struct draft *d, struct err *err) {
        yyjson_mut_val *status = mjson_obj(d->doc, d->root, "status");
        (void)err;
        if (!d->subresource || !streq(d->subresource, "status"))
                return 0;
        const char *when = mjson_get_str(status, "lastPhaseTransitionTime"), *was = object_str(d->old, "/status/lastPhaseTransitionTime");
        if (streq_null(mjson_get_str(status, "phase"), object_str(d->old, "/status/phase"))) {
                if (!when && was)
                        mjson_set_str(d->doc, status, "lastPhaseTransitionTime", was);
        } else if (!when || streq_null(when, was)) {
                set_transition(d->doc, status);
        }
        return 0;
}

static void check_capacity(yyjson_val *capacity, const char *path, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        if (yyjson_obj_size(capacity) == 0)
                invalid_required(bad, path, NULL);
        if (!yyjson_obj_get(capacity, "storage") || yyjson_obj_size(capacity) > 1) {
                AUTO(free) char *shown = capacity ? json_write(capacity, false, NULL) : xstrdup("null");
                invalid_add(bad, path, INVALID_NOT_SUPPORTED, shown, "supported values: \"storage\"");
        }
        yyjson_obj_foreach(capacity, i, n, key, value) {
                struct quantity q;
                AT("%s[%s]", path, unsafe_yyjson_get_str(key));
                if (quantity_parse(sv_of(yyjson_get_str(value)), &q, NULL) == 0 && quantity_value(q) < 0)
                        invalid_int(bad, at, quantity_value(q), "must be a valid resource quantity");
                check_positive(yyjson_get_str(value), at, bad);
        }
}

static void check_attributes_class(yyjson_val *spec, const char *path, struct invalid *bad) {
        PATH(class_at, "%s.volumeAttributesClassName", path);
        PATH(csi_at, "%s.csi", path);
        if (!json_get_str(spec, "volumeAttributesClassName"))
                return;
        if (!rule_has(spec, "volumeAttributesClassName"))
                invalid_required(bad, class_at, "an empty string is disallowed");
        rule_name(spec, "volumeAttributesClassName", path, name_check_dns1123_subdomain, bad);
        if (!yyjson_is_obj(yyjson_obj_get(spec, "csi")))
                invalid_required(bad, csi_at, "has to be specified when using volumeAttributesClassName");
}

/* "/", "//" and "/x/.." are all the root. */
static bool is_root(const char *path) {
        struct sv rest = sv_of(path), part;
        size_t depth = 0;
        if (*path != '/')
                return false;
        while (sv_split(&rest, '/', &part))
                if (sv_eq(part, SV("..")))
                        depth -= depth > 0;
                else if (part.len && !sv_eq(part, SV(".")))
                        depth++;
        return depth == 0;
}

static void check_node_affinity(yyjson_val *affinity, struct invalid *bad) {
        if (!yyjson_is_obj(affinity))
                return;
        if (yyjson_is_obj(yyjson_obj_get(affinity, "required")))
                node_selector_validate(yyjson_obj_get(affinity, "required"), "spec.nodeAffinity.required", bad);
        else
                invalid_required(bad, "spec.nodeAffinity.required", "must specify required node constraints");
}

static void pv_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec");
        const char *host_path = json_str_at(spec, "/hostPath/path"), *name = meta_name(object);
        if (d->subresource)
                return;
        if (yyjson_arr_size(yyjson_obj_get(spec, "accessModes")) == 0)
                invalid_required(bad, "spec.accessModes", NULL);
        check_access_modes(spec, "spec", bad);
        check_capacity(yyjson_obj_get(spec, "capacity"), "spec.capacity", bad);
        rule_supported(spec, "persistentVolumeReclaimPolicy", "spec", SUPPORTED("Delete", "Recycle", "Retain"), bad);
        check_node_affinity(yyjson_obj_get(spec, "nodeAffinity"), bad);
        volume_source_validate(spec, name ? name : "", "spec", bad);
        if (host_path && is_root(host_path) && streq(rule_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
                invalid_forbidden(bad, "spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
        rule_name(spec, "storageClassName", "spec", name_check_dns1123_subdomain, bad);
        check_volume_mode(spec, "spec", bad);
        check_attributes_class(spec, "spec", bad);
}

/* Where a volume is does not change; what was not said may be. (Labels of zones have newer names, which may be written instead.) */
static void check_same_place(yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        yyjson_val *was = json_at(old, "/spec/nodeAffinity"), *now = json_at(object, "/spec/nodeAffinity");
        AUTO(free) char *selector = NULL, *shown = NULL;
        if (!was || json_equal(was, now))
                return;
        selector = node_selector_show(yyjson_obj_get(now, "required"));
        shown = now ? xasprintf("{\"Required\":%s}", selector) : xstrdup("null");
        invalid_add(bad, "nodeAffinity", INVALID_VALUE, shown, "field is immutable, except for updating from beta label to GA");
}

static void pv_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        if (d->subresource)
                return;
        if (!volume_source_equal(yyjson_obj_get(object, "spec"), yyjson_obj_get(old, "spec")))
                invalid_forbidden(bad, "spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
        check_same_mode(object, old, bad);
        check_same_place(object, old, bad);
        if (json_str_at(old, "/spec/volumeAttributesClassName") && !json_str_at(object, "/spec/volumeAttributesClassName"))
                invalid_forbidden(bad, "spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden");
}
const struct kind_hooks pv_hooks = {.defaults = pv_defaults,
                                    .prepare_create = pv_prepare_create,
                                    .prepare_update = pv_prepare_update,
                                    .validate = pv_validate,
                                    .validate_update = pv_validate_update};

/* Storage classes. */

static void storageclass_defaults(struct draft *d) {
        default_absent(d->doc, d->root, "reclaimPolicy", "Delete");
        default_absent(d->doc, d->root, "volumeBindingMode", "Immediate");
}

static void check_provisioner(const char *provisioner, struct invalid *bad) {
        AUTO(free) char *lower = xstrdup(provisioner);
        if (!*provisioner) {
                invalid_required(bad, "provisioner", NULL);
                return;
        }
        for (char *p = lower; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);
        value_name(name_check_qualified, lower, "provisioner", bad);
}

static void check_parameters(yyjson_val *parameters, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n, total = 0;
        if (yyjson_obj_size(parameters) > MAX_PARAMETERS) {
                invalid_add(bad, "parameters", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", MAX_PARAMETERS);
                return;
        }
        yyjson_obj_foreach(parameters, i, n, key, value) {
                if (yyjson_get_len(key) == 0)
                        invalid_string(bad, "parameters", "", "field can not be empty.");
                total += yyjson_get_len(key) + yyjson_get_len(value);
        }
        if (total > MAX_PARAMETER_BYTES)
                invalid_add(bad, "parameters", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", MAX_PARAMETER_BYTES);
}

static bool has_value(yyjson_val *values, size_t count, const char *value) {
        EACH(v, i, values) {
                if (i >= count)
                        break;
                if (streq_null(yyjson_get_str(v), value))
                        return true;
        }
        return false;
}

static void check_topology(yyjson_val *term, const char *path, struct invalid *bad) {
        AUTO(map) struct map keys = MAP_INIT(NULL);
        EACH(e, i, yyjson_obj_get(term, "matchLabelExpressions")) {
                yyjson_val *values = yyjson_obj_get(e, "values");
                const char *key = rule_str(e, "key");
                PATH(here, "%s.matchLabelExpressions[%zu]", path, i);
                PATH(key_at, "%s.key", here);
                PATH(values_at, "%s.values", here);
                if (yyjson_arr_size(values) == 0)
                        invalid_required(bad, values_at, NULL);
                EACH(value, k, values) {
                        AT("%s[%zu]", values_at, k);
                        if (has_value(values, k, yyjson_get_str(value)))
                                invalid_duplicate(bad, at, yyjson_get_str(value));
                }
                value_name(name_check_qualified, key, key_at, bad);
                if (map_has(&keys, key))
                        invalid_duplicate(bad, key_at, key);
                map_set(&keys, key, e);
        }
}

static bool has_all_values(yyjson_val *a, yyjson_val *b) {
        EACH(value, i, a) {
                if (!has_value(b, SIZE_MAX, yyjson_get_str(value)))
                        return false;
        }
        return true;
}

/* Of each key the last expression counts. */
static yyjson_val *topology_values(yyjson_val *term, const char *key) {
        yyjson_val *found = NULL;
        EACH(e, i, yyjson_obj_get(term, "matchLabelExpressions")) {
                if (streq(rule_str(e, "key"), key))
                        found = e;
        }
        return found;
}

static bool covers_topology(yyjson_val *a, yyjson_val *b) {
        EACH(e, i, yyjson_obj_get(a, "matchLabelExpressions")) {
                yyjson_val *mine = topology_values(a, rule_str(e, "key")), *other = topology_values(b, rule_str(e, "key"));
                if (!other || !has_all_values(yyjson_obj_get(mine, "values"), yyjson_obj_get(other, "values")))
                        return false;
        }
        return true;
}

static void check_topologies(yyjson_val *list, struct invalid *bad) {
        EACH(term, i, list) {
                PATH(here, "allowedTopologies[%zu]", i);
                AT("%s.matchLabelExpressions", here);
                check_topology(term, here, bad);
                /* One without expressions is called a duplicate once for each of the list: the real server's own words. */
                for (size_t k = 0; yyjson_arr_size(yyjson_obj_get(term, "matchLabelExpressions")) == 0 && k < yyjson_arr_size(list); k++)
                        invalid_duplicate(bad, at, "");
                EACH(before, m, list) {
                        if (m >= i)
                                break;
                        if (covers_topology(term, before) && covers_topology(before, term))
                                invalid_duplicate(bad, at, "");
                }
        }
}

static void storageclass_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
        const char *policy = rule_str(object, "reclaimPolicy"), *mode = rule_str(object, "volumeBindingMode");
        (void)d;
        check_provisioner(rule_str(object, "provisioner"), bad);
        check_parameters(yyjson_obj_get(object, "parameters"), bad);
        if (*policy && !streq(policy, "Delete") && !streq(policy, "Retain"))
                invalid_not_supported(bad, "reclaimPolicy", policy, SUPPORTED("Delete", "Retain"));
        if (!streq(mode, modes[0]) && !streq(mode, modes[1]))
                invalid_not_supported(bad, "volumeBindingMode", mode, modes);
        check_topologies(yyjson_obj_get(object, "allowedTopologies"), bad);
}

static void storageclass_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        yyjson_val *before = yyjson_obj_get(old, "parameters"), *after = yyjson_obj_get(object, "parameters");
        (void)d;
        if ((yyjson_obj_size(before) || yyjson_obj_size(after)) && !json_equal(before, after))
                invalid_forbidden(bad, "parameters", "updates to parameters are forbidden.");
        if (!streq(rule_str(object, "provisioner"), rule_str(old, "provisioner")))
                invalid_forbidden(bad, "provisioner", "updates to provisioner are forbidden.");
        if (!streq(rule_str(object, "reclaimPolicy"), rule_str(old, "reclaimPolicy")))
                invalid_forbidden(bad, "reclaimPolicy", "updates to reclaimPolicy are forbidden.");
        if (!streq(rule_str(object, "volumeBindingMode"), rule_str(old, "volumeBindingMode")))
                invalid_string(bad, "volumeBindingMode", rule_str(object, "volumeBindingMode"), "field is immutable");
}
const struct kind_hooks storageclass_hooks = {
        .defaults = storageclass_defaults, .validate = storageclass_validate, .validate_update = storageclass_validate_update};
