/* Workloads: apps, batch, autoscaling. */
#include "base/str.h"
#include "cluster/kinds/claim_rules.h"
#include "cluster/edit.h"
#include "cluster/kinds/job_rules.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/value_rules.h"
#include "codec/json.h"
#include "codec/cron.h"
#include "kobj/meta.h"
#include "kobj/selector.h"

static yyjson_mut_val *spec_of(struct draft *d) { return mjson_obj(d->doc, d->root, "spec"); }

static int reset_status(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

static void workload_defaults(struct draft *d, bool has_replicas) {
        yyjson_mut_val *spec = spec_of(d);
        if (has_replicas)
                default_int(d->doc, spec, "replicas", 1);
        template_default(d->doc, mjson_obj(d->doc, spec, "template"));
}

/* What the workloads' rules differ in. */
typedef void template_check(yyjson_val *template, const char *path, struct invalid *bad);
struct workload {
        const char *name; /* in the message about an empty selector */
        const char *bad_selector; /* what is said of a selector that cannot be used; NULL: nothing */
        const char *owner; /* whose pods may have no deadline */
        template_check *check_template;
};

/* Selector and template must belong together. */
static void check_selector(yyjson_val *object, const struct workload *w, struct invalid *bad) {
        AUTO(selector) struct selector s = {0};
        yyjson_val *selector = json_at(object, "/spec/selector"), *template = json_at(object, "/spec/template");
        yyjson_val *labels = json_at(template, "/metadata/labels");
        AUTO(free) char *text = selector ? json_write(selector, false, NULL) : NULL,
                        *shown = labels ? json_write(labels, false, NULL) : xstrdup("null");
        size_t terms =
                yyjson_obj_size(yyjson_obj_get(selector, "matchLabels")) + yyjson_arr_size(yyjson_obj_get(selector, "matchExpressions"));

        if (yyjson_is_obj(selector)) {
                label_selector_validate(selector, "spec.selector", bad);
                if (terms == 0)
                        invalid_add(bad, "spec.selector", INVALID_VALUE, "{}", "empty selector is invalid for %s", w->name);
        } else {
                invalid_required(bad, "spec.selector", NULL);
        }
        if (selector_from_object(selector, &s, NULL) < 0)
                invalid_add(bad, "spec.selector", INVALID_VALUE, text, w->bad_selector ? "%s" : NULL, w->bad_selector);
        else if (!(yyjson_is_obj(selector) && terms == 0) && !selector_matches(&s, labels))
                invalid_add(bad, "spec.template.metadata.labels", INVALID_VALUE, shown, "`selector` does not match template `labels`");
}

static void check_template_of(yyjson_val *template, const struct workload *w, struct invalid *bad) {
        const char *restart = json_str_at(template, "/spec/restartPolicy");
        w->check_template(template, "spec.template", bad);
        if (restart && !streq(restart, "Always"))
                value_supported(restart, "spec.template.spec.restartPolicy", (const char *const[]){"Always", NULL}, bad);
        if (json_at(template, "/spec/activeDeadlineSeconds"))
                invalid_forbidden(bad, "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in %s is not Supported",
                                  w->owner);
}

static void check_nonnegative(yyjson_val *object, const char *pointer, const char *path, struct invalid *bad) {
        value_nonnegative(json_int_at(object, pointer, 0), path, bad);
}

static const struct workload deployment_rules = {"deployment", "invalid label selector", "ReplicaSet", template_validate};
static const struct workload replicaset_rules = {"deployment", "invalid label selector", "ReplicaSet", template_validate};
static const struct workload daemonset_rules = {"daemonset", "", "DaemonSet", template_validate};
static const struct workload statefulset_rules = {"statefulset", NULL, "StatefulSet", template_validate_stateful};

static void workload_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (d->subresource)
                return;
        check_nonnegative(object, "/spec/replicas", "spec.replicas", bad);
        check_nonnegative(object, "/spec/minReadySeconds", "spec.minReadySeconds", bad);
        check_selector(object, &replicaset_rules, bad);
        check_template_of(json_at(object, "/spec/template"), &replicaset_rules, bad);
}

static void selector_is_fixed(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        yyjson_val *now = json_at(object, "/spec/selector");
        if (!d->subresource && !json_equal(now, json_at(old, "/spec/selector"))) {
                AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
                invalid_add(bad, "spec.selector", INVALID_VALUE, text, "field is immutable");
        }
}

static void deployment_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d), *strategy = mjson_obj(d->doc, spec, "strategy");
        workload_defaults(d, true);
        default_str(d->doc, strategy, "type", "RollingUpdate");
        if (streq(mjson_get_str(strategy, "type"), "RollingUpdate")) {
                yyjson_mut_val *rolling = mjson_obj(d->doc, strategy, "rollingUpdate");
                default_absent(d->doc, rolling, "maxUnavailable", "25%");
                default_absent(d->doc, rolling, "maxSurge", "25%");
        }
        default_int(d->doc, spec, "revisionHistoryLimit", 10);
        default_int(d->doc, spec, "progressDeadlineSeconds", 600);
}
static bool is_zero(yyjson_val *v) {
        const char *text = yyjson_get_str(v);
        return text ? strtoll(text, NULL, 10) == 0 : yyjson_get_sint(v) == 0;
}

static void check_rolling_deployment(yyjson_val *rolling, struct invalid *bad) {
        static const char unavailable_at[] = "spec.strategy.rollingUpdate.maxUnavailable";
        yyjson_val *unavailable = yyjson_obj_get(rolling, "maxUnavailable"), *surge = yyjson_obj_get(rolling, "maxSurge");
        AUTO(free) char *shown = unavailable ? json_write(unavailable, false, NULL) : xstrdup("0");
        value_int_or_percent(unavailable, unavailable_at, bad);
        value_int_or_percent(surge, "spec.strategy.rollingUpdate.maxSurge", bad);
        if (is_zero(unavailable) && is_zero(surge))
                invalid_add(bad, unavailable_at, INVALID_VALUE, shown, "may not be 0 when `maxSurge` is 0");
        value_at_most_all(unavailable, unavailable_at, bad);
}

static char *show_member(yyjson_val *object, const char *key) {
        yyjson_val *v = yyjson_obj_get(object, key);
        return v ? json_write(v, false, NULL) : xstrdup("null");
}

static void check_strategy(yyjson_val *spec, struct invalid *bad) {
        yyjson_val *strategy = yyjson_obj_get(spec, "strategy"), *rolling = yyjson_obj_get(strategy, "rollingUpdate");
        const char *type = json_get_str(strategy, "type");
        if (!strategy)
                return;
        if (streq_null(type, "Recreate")) {
                if (rolling)
                        invalid_forbidden(bad, "spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        } else if (streq_null(type, "RollingUpdate")) {
                if (rolling)
                        check_rolling_deployment(rolling, bad);
                else
                        invalid_required(bad, "spec.strategy.rollingUpdate", "this should be defaulted and never be nil");
        } else {
                AUTO(free) char *quoted = invalid_quote(type ? type : ""), *unavailable = show_member(rolling, "maxUnavailable"),
                                *surge = show_member(rolling, "maxSurge");
                AUTO(free) char *of_rolling =
                        rolling ? xasprintf("{\"MaxUnavailable\":%s,\"MaxSurge\":%s}", unavailable, surge) : xstrdup("null");
                AUTO(free) char *shown = xasprintf("{\"Type\":%s,\"RollingUpdate\":%s}", quoted, of_rolling);
                invalid_add(bad, "spec.strategy", INVALID_NOT_SUPPORTED, shown, "supported values: \"Recreate\", \"RollingUpdate\"");
        }
}

static void deployment_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec");
        int64_t deadline = json_get_int(spec, "progressDeadlineSeconds", 600);

        if (d->subresource)
                return;
        check_nonnegative(object, "/spec/replicas", "spec.replicas", bad);
        check_selector(object, &deployment_rules, bad);
        check_template_of(yyjson_obj_get(spec, "template"), &deployment_rules, bad);
        check_strategy(spec, bad);
        check_nonnegative(object, "/spec/minReadySeconds", "spec.minReadySeconds", bad);
        check_nonnegative(object, "/spec/revisionHistoryLimit", "spec.revisionHistoryLimit", bad);
        check_nonnegative(object, "/spec/progressDeadlineSeconds", "spec.progressDeadlineSeconds", bad);
        if (deadline <= json_get_int(spec, "minReadySeconds", 0))
                invalid_int(bad, "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}
const struct kind_hooks deployment_hooks = {.defaults = deployment_defaults,
                                            .prepare_create = reset_status,
                                            .validate = deployment_validate,
                                            .validate_update = selector_is_fixed};

static void replicaset_defaults(struct draft *d) { workload_defaults(d, true); }
const struct kind_hooks replicaset_hooks = {.defaults = replicaset_defaults,
                                            .prepare_create = reset_status,
                                            .validate = workload_validate,
                                            .validate_update = selector_is_fixed};

static void rc_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d), *labels = mjson_at(d->root, "/spec/template/metadata/labels"),
                       *template = member_obj(spec, "template");
        default_int(d->doc, spec, "replicas", 1);
        if (template)
                template_default(d->doc, template);
        if (labels && !member_obj(spec, "selector"))
                mjson_set(d->doc, spec, "selector", yyjson_mut_val_mut_copy(d->doc, labels));
        if (labels && yyjson_mut_obj_size(yyjson_mut_obj_get(mmeta_of(d->root), "labels")) == 0)
                mjson_set(d->doc, mmeta_of(d->root), "labels", yyjson_mut_val_mut_copy(d->doc, labels));
}

static void rc_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        AUTO(selector) struct selector s = {0};
        yyjson_val *selector = json_at(object, "/spec/selector"), *template = json_at(object, "/spec/template"),
                   *labels = json_at(template, "/metadata/labels");
        const char *restart = json_str_at(template, "/spec/restartPolicy");
        if (d->subresource)
                return;
        if (yyjson_obj_size(selector) == 0)
                invalid_required(bad, "spec.selector", NULL);
        check_nonnegative(object, "/spec/minReadySeconds", "spec.minReadySeconds", bad);
        check_nonnegative(object, "/spec/replicas", "spec.replicas", bad);
        if (!template) {
                invalid_required(bad, "spec.template", NULL);
                return;
        }
        selector_from_map(selector, &s);
        if (yyjson_obj_size(selector) && !selector_matches(&s, labels)) {
                AUTO(free) char *text = labels ? json_write(labels, false, NULL) : xstrdup("null");
                invalid_add(bad, "spec.template.metadata.labels", INVALID_VALUE, text, "`selector` does not match template `labels`");
        }
        template_validate(template, "spec.template", bad);
        if (restart && (streq(restart, "Never") || streq(restart, "OnFailure")))
                invalid_not_supported(bad, "spec.template.spec.restartPolicy", restart, (const char *const[]){"Always", NULL});
}
const struct kind_hooks rc_hooks = {.defaults = rc_defaults, .prepare_create = reset_status, .validate = rc_validate};

static void statefulset_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d), *strategy = mjson_obj(d->doc, spec, "updateStrategy"), *keep;
        const char *named = mjson_get_str(strategy, "type");
        workload_defaults(d, true);
        default_str(d->doc, spec, "podManagementPolicy", "OrderedReady");
        if (!named || !*named) { /* only the strategy that nobody named has all its members */
                mjson_set_str(d->doc, strategy, "type", "RollingUpdate");
                mjson_obj(d->doc, strategy, "rollingUpdate");
        }
        if (streq(mjson_get_str(strategy, "type"), "RollingUpdate"))
                default_int(d->doc, member_obj(strategy, "rollingUpdate"), "partition", 0);
        keep = mjson_obj(d->doc, spec, "persistentVolumeClaimRetentionPolicy");
        default_str(d->doc, keep, "whenDeleted", "Retain");
        default_str(d->doc, keep, "whenScaled", "Retain");
        default_int(d->doc, spec, "revisionHistoryLimit", 10);
        MUT_EACH(claim, spec, "volumeClaimTemplates") {
                mjson_set_str(d->doc, claim, "apiVersion", "v1"); /* whatever was said */
                mjson_set_str(d->doc, claim, "kind", "PersistentVolumeClaim");
                default_str(d->doc, mjson_obj(d->doc, claim, "spec"), "volumeMode", "Filesystem");
                default_str(d->doc, mjson_obj(d->doc, claim, "status"), "phase", "Pending");
        }
}

static void statefulset_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        static const char *const changeable[] = {"replicas",        "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                                                 "minReadySeconds", "persistentVolumeClaimRetentionPolicy"};
        if (d->subresource)
                return;
        if (differs_beyond(yyjson_obj_get(object, "spec"), yyjson_obj_get(old, "spec"), changeable, ARRAY_LEN(changeable)))
                invalid_forbidden(bad, "spec",
                                  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                                  "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

static void check_update_strategy(yyjson_val *strategy, struct invalid *bad) {
        yyjson_val *rolling = yyjson_obj_get(strategy, "rollingUpdate");
        const char *type = json_get_str(strategy, "type");
        AUTO(free) char *quoted = invalid_quote(type ? type : ""), *partition = show_member(rolling, "partition"),
                        *unavailable = show_member(rolling, "maxUnavailable");
        AUTO(free) char *of_rolling =
                rolling ? xasprintf("{\"Partition\":%s,\"MaxUnavailable\":%s}", partition, unavailable) : xstrdup("null");
        AUTO(free) char *shown = xasprintf("{\"Type\":%s,\"RollingUpdate\":%s}", quoted, of_rolling);
        if (streq_null(type, "RollingUpdate"))
                value_nonnegative(json_get_int(rolling, "partition", 0), "spec.updateStrategy.rollingUpdate.partition", bad);
        else if (!streq_null(type, "OnDelete"))
                invalid_add(bad, "spec.updateStrategy", INVALID_VALUE, shown, "must be 'RollingUpdate' or 'OnDelete'");
        else if (rolling)
                invalid_add(bad, "spec.updateStrategy.rollingUpdate", INVALID_VALUE, of_rolling,
                            "only allowed for updateStrategy 'RollingUpdate'");
}

static void check_claim_policy(yyjson_val *policy, struct invalid *bad) {
        static const char *const supported[] = {"Retain", "Delete", NULL};
        if (!policy)
                return;
        value_supported(json_get_str(policy, "whenDeleted"), "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", supported, bad);
        value_supported(json_get_str(policy, "whenScaled"), "spec.persistentVolumeClaimRetentionPolicy.whenScaled", supported, bad);
}

/* Claims become volumes of the pods, before those of the template. */
static void check_claim_names(yyjson_val *claims, struct invalid *bad) {
        EACH(claim, i, claims) {
                const char *name = json_str_at(claim, "/metadata/name");
                AUTO(free) char *at = xasprintf("spec.template.spec.volumes[%zu].name", i),
                                *claim_at = xasprintf("spec.template.spec.volumes[%zu].persistentVolumeClaim.claimName", i);
                if (name && *name) {
                        value_name(name_check_dns1123_label, name, at, bad);
                } else {
                        invalid_required(bad, at, NULL);
                        invalid_required(bad, claim_at, NULL);
                }
        }
}

static void statefulset_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *template = yyjson_obj_get(spec, "template"),
                   *labels = json_at(template, "/metadata/labels");
        const char *policy = json_get_str(spec, "podManagementPolicy"), *service = json_get_str(spec, "serviceName");
        if (d->subresource)
                return;
        if (policy && !streq(policy, "OrderedReady") && !streq(policy, "Parallel"))
                invalid_string(bad, "spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
        check_update_strategy(yyjson_obj_get(spec, "updateStrategy"), bad);
        check_claim_policy(yyjson_obj_get(spec, "persistentVolumeClaimRetentionPolicy"), bad);
        EACH(claim, i, d->old ? NULL : yyjson_obj_get(spec, "volumeClaimTemplates")) { /* they never change */
                AUTO(free) char *at = xasprintf("spec.volumeClaimTemplates[%zu].spec", i);
                claim_spec_validate(yyjson_obj_get(claim, "spec"), at, bad);
        }
        check_nonnegative(object, "/spec/replicas", "spec.replicas", bad);
        check_nonnegative(object, "/spec/minReadySeconds", "spec.minReadySeconds", bad);
        check_nonnegative(object, "/spec/ordinals/start", "spec.ordinals.start", bad);
        if (!d->old && service && *service)
                value_name(name_check_dns1123_label, service, "spec.serviceName", bad);
        check_selector(object, &statefulset_rules, bad);
        labels_validate(labels, "spec.template.labels", bad); /* the real server says it twice */
        check_claim_names(yyjson_obj_get(spec, "volumeClaimTemplates"), bad);
        check_template_of(template, &statefulset_rules, bad);
}
const struct kind_hooks statefulset_hooks = {.defaults = statefulset_defaults,
                                             .prepare_create = reset_status,
                                             .validate = statefulset_validate,
                                             .validate_update = statefulset_validate_update};

static int daemonset_prepare_create(struct draft *d, struct err *err) {
        mmeta_set_annotation(d->doc, d->root, "deprecated.daemonset.template.generation", "1");
        return reset_status(d, err);
}

static void daemonset_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d), *strategy = mjson_obj(d->doc, spec, "updateStrategy");
        workload_defaults(d, false);
        default_str(d->doc, strategy, "type", "RollingUpdate");
        if (streq(mjson_get_str(strategy, "type"), "RollingUpdate")) {
                yyjson_mut_val *rolling = mjson_obj(d->doc, strategy, "rollingUpdate");
                default_int(d->doc, rolling, "maxUnavailable", 1);
                default_int(d->doc, rolling, "maxSurge", 0);
        }
        default_int(d->doc, spec, "revisionHistoryLimit", 10);
}
/* Of the old annotation, which stands for a field of the first versions of the API: how often the template changed. */
#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"
static int daemonset_prepare_update(struct draft *d, struct err *err) {
        const char *was = meta_annotation(object_root(d->old), TEMPLATE_GENERATION);
        int64_t generation = 0;
        char text[24];
        (void)err;
        if (d->subresource)
                return 0;
        if (was)
                (void)!sv_to_int64(sv_of(was), &generation);
        AUTO(json) yyjson_doc *now = mjson_freeze(mjson_obj(d->doc, spec_of(d), "template"));
        if (!json_equal(yyjson_doc_get_root(now), object_at(d->old, "/spec/template")))
                generation++;
        snprintf(text, sizeof(text), "%lld", (long long)generation);
        mmeta_set_annotation(d->doc, d->root, TEMPLATE_GENERATION, text);
        return 0;
}

static void check_rolling_daemons(yyjson_val *rolling, struct invalid *bad) {
        static const char unavailable_at[] = "spec.updateStrategy.rollingUpdate.maxUnavailable",
                          surge_at[] = "spec.updateStrategy.rollingUpdate.maxSurge";
        yyjson_val *unavailable = yyjson_obj_get(rolling, "maxUnavailable"), *surge = yyjson_obj_get(rolling, "maxSurge");
        AUTO(free) char *shown = surge ? json_write(surge, false, NULL) : xstrdup("0");
        value_int_or_percent(unavailable, unavailable_at, bad);
        value_int_or_percent(surge, surge_at, bad);
        value_at_most_all(unavailable, unavailable_at, bad);
        value_at_most_all(surge, surge_at, bad);
        if (!is_zero(unavailable) && !is_zero(surge))
                invalid_add(bad, surge_at, INVALID_VALUE, shown, "may not be set when maxUnavailable is non-zero");
        else if (is_zero(unavailable) && is_zero(surge))
                invalid_required(bad, unavailable_at, "cannot be 0 when maxSurge is 0");
}

static void check_daemon_strategy(yyjson_val *strategy, struct invalid *bad) {
        yyjson_val *rolling = yyjson_obj_get(strategy, "rollingUpdate");
        const char *type = json_get_str(strategy, "type");
        if (streq_null(type, "RollingUpdate")) {
                if (rolling)
                        check_rolling_daemons(rolling, bad);
                else
                        invalid_required(bad, "spec.updateStrategy.rollingUpdate", NULL);
        } else if (!streq_null(type, "OnDelete")) {
                AUTO(free) char *quoted = invalid_quote(type ? type : ""), *unavailable = show_member(rolling, "maxUnavailable"),
                                *surge = show_member(rolling, "maxSurge");
                AUTO(free) char *of_rolling =
                        rolling ? xasprintf("{\"MaxUnavailable\":%s,\"MaxSurge\":%s}", unavailable, surge) : xstrdup("null");
                AUTO(free) char *shown = xasprintf("{\"Type\":%s,\"RollingUpdate\":%s}", quoted, of_rolling);
                invalid_add(bad, "spec.updateStrategy", INVALID_NOT_SUPPORTED, shown, "supported values: \"RollingUpdate\", \"OnDelete\"");
        }
}

static void daemonset_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (d->subresource)
                return;
        check_nonnegative(object, "/spec/minReadySeconds", "spec.minReadySeconds", bad);
        check_nonnegative(object, "/spec/revisionHistoryLimit", "spec.revisionHistoryLimit", bad);
        check_daemon_strategy(json_at(object, "/spec/updateStrategy"), bad);
        check_selector(object, &daemonset_rules, bad);
        check_template_of(json_at(object, "/spec/template"), &daemonset_rules, bad);
}
const struct kind_hooks daemonset_hooks = {.defaults = daemonset_defaults,
                                           .prepare_create = daemonset_prepare_create,
                                           .prepare_update = daemonset_prepare_update,
                                           .validate = daemonset_validate,
                                           .validate_update = selector_is_fixed};

/* Jobs. */

static void failure_policy_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec) {
        MUT_EACH(rule, member_obj(spec, "podFailurePolicy"), "rules") {
                MUT_EACH(pattern, rule, "onPodConditions") default_str(doc, pattern, "status", "True");
        }
}

static void jobspec_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec) {
        bool has_completions = yyjson_mut_obj_get(spec, "completions"), has_parallelism = yyjson_mut_obj_get(spec, "parallelism");
        if (!has_completions && !has_parallelism)
                mjson_set_int(doc, spec, "completions", 1);
        default_int(doc, spec, "parallelism", 1);
        default_int(doc, spec, "backoffLimit", yyjson_mut_obj_get(spec, "backoffLimitPerIndex") ? 2147483647 : 6);
        default_absent(doc, spec, "completionMode", "NonIndexed");
        default_bool(doc, spec, "suspend", false);
        default_bool(doc, spec, "manualSelector", false);
        default_absent(doc, spec, "podReplacementPolicy", member_obj(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
        failure_policy_defaults(doc, spec);
        template_default(doc, mjson_obj(doc, spec, "template"));
}

static void job_defaults(struct draft *d) {
        yyjson_mut_val *meta = mmeta_of(d->root), *labels;
        jobspec_defaults(d->doc, spec_of(d));
        labels = member_obj(member_obj(member_obj(spec_of(d), "template"), "metadata"), "labels");
        if (d->old && !d->subresource && labels && yyjson_mut_obj_size(yyjson_mut_obj_get(meta, "labels")) == 0)
                mjson_set(d->doc, meta, "labels", yyjson_mut_val_mut_copy(d->doc, labels));
}

static int job_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = spec_of(d), *labels, *match;
        const char *uid = mmeta_uid(d->root), *name = mmeta_name(d->root);

        reset_status(d, err);
        if (mjson_get_bool(spec, "manualSelector", false))
                return 0;
        labels = mjson_obj(d->doc, mjson_obj(d->doc, mjson_obj(d->doc, spec, "template"), "metadata"), "labels");
        mjson_set_str(d->doc, labels, "controller-uid", uid);
        mjson_set_str(d->doc, labels, "batch.kubernetes.io/controller-uid", uid);
        mjson_set_str(d->doc, labels, "job-name", name);
        mjson_set_str(d->doc, labels, "batch.kubernetes.io/job-name", name);
        match = mjson_obj(d->doc, mjson_obj(d->doc, spec, "selector"), "matchLabels");
        mjson_set_str(d->doc, match, "batch.kubernetes.io/controller-uid", uid);
        if (yyjson_mut_obj_size(yyjson_mut_obj_get(mmeta_of(d->root), "labels")) == 0)
                mjson_set(d->doc, mmeta_of(d->root), "labels", yyjson_mut_val_mut_copy(d->doc, labels));
        return 0;
}

static void jobspec_validate(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *template_at = xasprintf("%s.template", path), *restart_at = xasprintf("%s.template.spec.restartPolicy", path);
        static const char *const counts[] = {"parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
                                             "ttlSecondsAfterFinished"};
        yyjson_val *template = yyjson_obj_get(spec, "template");
        const char *restart = json_str_at(template, "/spec/restartPolicy");

        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                AUTO(free) char *pointer = xasprintf("/%s", counts[i]), *at = xasprintf("%s.%s", path, counts[i]);
                check_nonnegative(spec, pointer, at, bad);
        }
        job_rules_validate(spec, path, bad);
        template_validate(template, template_at, bad);
        if (restart && streq(restart, "Always"))
                invalid_required(bad, restart_at, "valid values: \"OnFailure\", \"Never\"");
        else if (restart && *restart && !streq(restart, "OnFailure") && !streq(restart, "Never"))
                invalid_not_supported(bad, restart_at, restart, (const char *const[]){"OnFailure", "Never", NULL});
}

static char *show(yyjson_val *value) { return value ? json_write(value, false, NULL) : xstrdup("null"); }

static void check_own_label(yyjson_val *labels, const char *key, const char *wanted, struct invalid *bad) {
        const char *value = json_get_str(labels, key);
        AUTO(free) char *text = show(labels), *at = xasprintf("spec.template.metadata.labels[%s]", key);
        if (!value)
                invalid_required(bad, at, "must be '%s'", wanted);
        else if (!streq(value, wanted))
                invalid_add(bad, at, INVALID_VALUE, text, "must be '%s'", wanted);
}

/* The labels and the selector that the server gave the job, so that it never counts the pods of another. */
static void check_generated_selector(yyjson_val *object, struct invalid *bad) {
        yyjson_val *chosen = json_at(object, "/spec/selector"), *labels = json_at(object, "/spec/template/metadata/labels");
        const char *name = meta_name(object), *uid = meta_uid(object);
        AUTO(mjson) yyjson_mut_doc *own = yyjson_mut_doc_new(NULL);
        AUTO(selector) struct selector s = {0};
        yyjson_mut_val *expected = yyjson_mut_obj(own);
        const char *const wanted[][2] = {{"controller-uid", uid},
                                         {"job-name", name},
                                         {"batch.kubernetes.io/controller-uid", uid},
                                         {"batch.kubernetes.io/job-name", name}};
        if (!chosen || json_bool_at(object, "/spec/manualSelector", false))
                return;
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
                const char *value = wanted[i][1] ? wanted[i][1] : "";
                check_own_label(labels, wanted[i][0], value, bad);
                mjson_set_str(own, expected, wanted[i][0], value);
        }
        AUTO(json) yyjson_doc *frozen = mjson_freeze(expected);
        AUTO(free) char *text = show(chosen);
        if (selector_from_object(chosen, &s, NULL) >= 0 && !selector_matches(&s, yyjson_doc_get_root(frozen)))
                invalid_add(bad, "spec.selector", INVALID_VALUE, text, "`selector` not auto-generated");
}

static void check_job_selector(yyjson_val *spec, struct invalid *bad) {
        yyjson_val *chosen = yyjson_obj_get(spec, "selector"), *labels = json_at(spec, "/template/metadata/labels");
        AUTO(selector) struct selector s = {0};
        AUTO(free) char *text = show(labels);
        if (!chosen)
                invalid_required(bad, "spec.selector", NULL);
        label_selector_validate(chosen, "spec.selector", bad);
        if (chosen && selector_from_object(chosen, &s, NULL) >= 0 && !selector_matches(&s, labels))
                invalid_add(bad, "spec.template.metadata.labels", INVALID_VALUE, text, "`selector` does not match template `labels`");
}

static void job_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (!d->subresource) {
                check_generated_selector(object, bad);
                check_job_selector(yyjson_obj_get(object, "spec"), bad);
                jobspec_validate(yyjson_obj_get(object, "spec"), "spec", bad);
                job_rules_validate_name(meta_name(object), yyjson_obj_get(object, "spec"), bad);
        }
}

/* Where the pods of a job that never ran may run, and what they are called, is open until it does. */
static void forget_directives(yyjson_mut_val *template) {
        static const char *const members[] = {"nodeSelector", "tolerations", "schedulingGates"}, *const metas[] = {"labels", "annotations"};
        yyjson_mut_val *spec = member_obj(template, "spec"), *meta = member_obj(template, "metadata"),
                       *affinity = member_obj(spec, "affinity");
        for (size_t i = 0; i < ARRAY_LEN(members) && spec; i++)
                mjson_remove(spec, members[i]);
        for (size_t i = 0; i < ARRAY_LEN(metas) && meta; i++)
                mjson_remove(meta, metas[i]);
        if (meta && yyjson_mut_obj_size(meta) == 0)
                mjson_remove(template, "metadata");
        if (affinity)
                mjson_remove(affinity, "nodeAffinity");
        if (affinity && yyjson_mut_obj_size(affinity) == 0)
                mjson_remove(spec, "affinity");
}

static bool is_same_template(yyjson_val *now, yyjson_val *old, bool is_open) {
        AUTO(mjson) yyjson_mut_doc *a = NULL, *b = NULL;
        AUTO(json) yyjson_doc *fa = NULL, *fb = NULL;
        if (json_equal(now, old) || !is_open || !now || !old)
                return json_equal(now, old);
        a = json_thaw(now);
        b = json_thaw(old);
        forget_directives(yyjson_mut_doc_get_root(a));
        forget_directives(yyjson_mut_doc_get_root(b));
        fa = mjson_freeze(yyjson_mut_doc_get_root(a));
        fb = mjson_freeze(yyjson_mut_doc_get_root(b));
        return json_equal(yyjson_doc_get_root(fa), yyjson_doc_get_root(fb));
}

static void check_completions(yyjson_val *spec, yyjson_val *old, struct invalid *bad) {
        yyjson_val *now = yyjson_obj_get(spec, "completions");
        AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
        bool is_indexed = streq_null(json_get_str(spec, "completionMode"), "Indexed");
        if (json_equal(now, yyjson_obj_get(old, "completions")))
                return;
        if (!is_indexed)
                invalid_add(bad, "spec.completions", INVALID_VALUE, text, "field is immutable");
        else if (now && yyjson_get_sint(now) != json_get_int(spec, "parallelism", 0))
                invalid_add(bad, "spec.completions", INVALID_VALUE, text, "can only be modified in tandem with spec.parallelism");
}

static void job_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        static const char *const fixed[] = {"selector",  "template",     "completionMode", "podFailurePolicy", "backoffLimitPerIndex",
                                            "managedBy", "successPolicy"};
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *old_spec = yyjson_obj_get(old, "spec");
        bool is_open = json_get_bool(old_spec, "suspend", false) && !json_at(old, "/status/startTime");
        if (d->subresource)
                return;
        check_job_selector(spec, bad); /* a second time, as the real server does */
        jobspec_validate(spec, "spec", bad);
        check_completions(spec, old_spec, bad);
        for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
                AUTO(free) char *at = xasprintf("spec.%s", fixed[i]), *text = NULL;
                yyjson_val *now = yyjson_obj_get(spec, fixed[i]), *was = yyjson_obj_get(old_spec, fixed[i]);
                if (streq(fixed[i], "template") ? is_same_template(now, was, is_open) : json_equal(now, was))
                        continue;
                text = job_rules_show(fixed[i], now);
                invalid_add(bad, at, INVALID_VALUE, text, "field is immutable");
        }
}
const struct kind_hooks job_hooks = {
        .defaults = job_defaults, .prepare_create = job_prepare_create, .validate = job_validate, .validate_update = job_validate_update};

static void cronjob_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d);
        default_str(d->doc, spec, "concurrencyPolicy", "Allow");
        default_bool(d->doc, spec, "suspend", false);
        default_int(d->doc, spec, "successfulJobsHistoryLimit", 3);
        default_int(d->doc, spec, "failedJobsHistoryLimit", 1);
        failure_policy_defaults(d->doc, member_obj(member_obj(spec, "jobTemplate"), "spec"));
        template_default(d->doc, mjson_obj(d->doc, mjson_obj(d->doc, mjson_obj(d->doc, spec, "jobTemplate"), "spec"), "template"));
}

static bool zone_exists(const char *zone) {
        AUTO(free) char *path = xasprintf("/usr/share/zoneinfo/%s", zone);
        if (streq(zone, "UTC") || streq(zone, "Etc/UTC"))
                return true;
        return *zone && *zone != '/' && !strstr(zone, "..") && !streq(zone, "Local") && access(path, R_OK) == 0;
}

static void check_schedule(const char *schedule, struct invalid *bad) {
        struct cron parsed;
        AUTO(err) struct err why = ERR_INIT;
        if (!schedule || !*schedule) {
                invalid_required(bad, "spec.schedule", NULL);
                return;
        }
        if (!str_starts(schedule, "TZ=") && !str_starts(schedule, "CRON_TZ=") && cron_parse(sv_of(schedule), &parsed, &why) < 0)
                invalid_string(bad, "spec.schedule", schedule, "%s", err_message(&why));
        if (strstr(schedule, "TZ"))
                invalid_string(bad, "spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
}

static void check_zone(const char *zone, struct invalid *bad) {
        if (!*zone)
                invalid_string(bad, "spec.timeZone", zone, "timeZone must be nil or non-empty string");
        else if (strcasecmp(zone, "Local") == 0)
                invalid_string(bad, "spec.timeZone", zone,
                               "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
        else if (!zone_exists(zone))
                invalid_string(bad, "spec.timeZone", zone, "unknown time zone %s", zone);
}

static void cronjob_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec");
        const char *zone = json_get_str(spec, "timeZone"), *policy = json_get_str(spec, "concurrencyPolicy"), *name = meta_name(object);

        if (d->subresource)
                return;
        check_schedule(json_get_str(spec, "schedule"), bad);
        check_nonnegative(object, "/spec/startingDeadlineSeconds", "spec.startingDeadlineSeconds", bad);
        if (zone && !(d->old && streq_null(object_str(d->old, "/spec/timeZone"), zone)))
                check_zone(zone, bad);
        if (policy)
                value_supported(policy, "spec.concurrencyPolicy", (const char *const[]){"Allow", "Forbid", "Replace", NULL}, bad);
        jobspec_validate(json_at(spec, "/jobTemplate/spec"), "spec.jobTemplate.spec", bad);
        check_nonnegative(object, "/spec/successfulJobsHistoryLimit", "spec.successfulJobsHistoryLimit", bad);
        check_nonnegative(object, "/spec/failedJobsHistoryLimit", "spec.failedJobsHistoryLimit", bad);
        if (!d->old && name && strlen(name) > 52)
                invalid_string(bad, "metadata.name", name, "must be no more than 52 characters");
}
const struct kind_hooks cronjob_hooks = {.defaults = cronjob_defaults, .prepare_create = reset_status, .validate = cronjob_validate};
