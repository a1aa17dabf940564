/* Horizontal pod autoscalers: defaults and rules. They are stored as v2; v1 knows the CPU metric only. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/rules.h"
#include "codec/quantity.h"

enum { STABILIZATION_MAX_S = 3600, PERIOD_MAX_S = 1800, DEFAULT_CPU_PERCENT = 80 };

static yyjson_mut_val *spec_of(struct draft *d) { return mjson_obj(d->doc, d->root, "spec"); }

static int hpa_prepare_create(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

static yyjson_mut_val *cpu_metric(yyjson_mut_doc *doc, int64_t percent) {
        yyjson_mut_val *metric = yyjson_mut_obj(doc), *resource = mjson_obj(doc, metric, "resource"),
                       *target = mjson_obj(doc, resource, "target");
        mjson_set_str(doc, metric, "type", "Resource");
        mjson_set_str(doc, resource, "name", "cpu");
        mjson_set_str(doc, target, "type", "Utilization");
        mjson_set_int(doc, target, "averageUtilization", percent);
        return metric;
}

static void add_policy(yyjson_mut_doc *doc, yyjson_mut_val *policies, const char *type, int64_t value) {
        yyjson_mut_val *policy = yyjson_mut_arr_add_obj(doc, policies);
        mjson_set_str(doc, policy, "type", type);
        mjson_set_int(doc, policy, "value", value);
        mjson_set_int(doc, policy, "periodSeconds", 15);
}

static void default_scaling(yyjson_mut_doc *doc, yyjson_mut_val *behavior, const char *key, bool is_up) {
        yyjson_mut_val *rules = mjson_obj(doc, behavior, key);
        if (is_up)
                default_int(doc, rules, "stabilizationWindowSeconds", 0);
        default_absent(doc, rules, "selectPolicy", "Max");
        mjson_remove(rules, "tolerance"); /* of a feature that is off in 1.34 */
        if (yyjson_mut_obj_get(rules, "policies"))
                return;
        yyjson_mut_val *policies = mjson_arr(doc, rules, "policies");
        if (is_up)
                add_policy(doc, policies, "Pods", 4);
        add_policy(doc, policies, "Percent", 100);
}

static void hpa_defaults(struct draft *d) {
        yyjson_mut_val *spec = spec_of(d), *behavior = member_obj(spec, "behavior");
        default_int(d->doc, spec, "minReplicas", 1);
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "metrics")) == 0)
                yyjson_mut_arr_append(mjson_arr(d->doc, spec, "metrics"), cpu_metric(d->doc, DEFAULT_CPU_PERCENT));
        if (!behavior)
                return;
        default_scaling(d->doc, behavior, "scaleUp", true);
        default_scaling(d->doc, behavior, "scaleDown", false);
}

/* What is wrong with a reference's apiVersion, or NULL; the caller's to free. */
static char *why_not_version(yyjson_val *reference) {
        const char *version = rule_str(reference, "apiVersion"), *slash = strchr(version, '/');
        if (slash && strchr(slash + 1, '/'))
                return xasprintf("unexpected GroupVersion string: %s", version);
        if ((!slash || slash == version) && !streq(rule_str(reference, "kind"), "ReplicationController"))
                return xstrdup("apiVersion must specify API group");
        return NULL;
}

static void check_reference(yyjson_val *reference, bool has_version, const char *path, struct invalid *bad) {
        static const char *const members[] = {"kind", "name"};
        AUTO(free) char *why = has_version ? why_not_version(reference) : NULL;
        AT("%s.apiVersion", path);
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
                if (rule_required(reference, members[i], path, bad))
                        rule_name(reference, members[i], path, name_check_path_segment, bad);
        if (why)
                invalid_string(bad, at, rule_str(reference, "apiVersion"), "%s", why);
}

static void check_positive(yyjson_val *target, const char *key, const char *path, struct invalid *bad) {
        struct quantity q;
        AT("%s.%s", path, key);
        if (rule_has(target, key) && quantity_parse(sv_of(rule_str(target, key)), &q, NULL) == 0 && q.nano <= 0)
                invalid_string(bad, at, rule_str(target, key), "must be positive");
}

static void check_utilization(int64_t percent, const char *path, struct invalid *bad) {
        AT("%s.averageUtilization", path);
        if (percent < 1)
                invalid_int(bad, at, percent, "must be greater than 0");
}

static void check_target(yyjson_val *target, const char *path, struct invalid *bad) {
        const char *type = rule_str(target, "type");
        AT("%s.type", path);
        if (!*type)
                invalid_required(bad, at, "must specify a metric target type");
        if (!streq(type, "Utilization") && !streq(type, "Value") && !streq(type, "AverageValue"))
                invalid_string(bad, at, type, "must be either Utilization, Value, or AverageValue");
        check_positive(target, "value", path, bad);
        check_positive(target, "averageValue", path, bad);
        check_utilization(json_get_int(target, "averageUtilization", 1), path, bad);
}

static void check_metric_name(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *metric = yyjson_obj_get(source, "metric");
        PATH(metric_at, "%s.metric", path);
        AT("%s.name", metric_at);
        if (!rule_has(metric, "name"))
                invalid_required(bad, at, "must specify a metric name");
        rule_name(metric, "name", metric_at, name_check_path_segment, bad);
}

static void check_object(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *target = yyjson_obj_get(source, "target");
        PATH(object_at, "%s.describedObject", path);
        PATH(target_at, "%s.target", path);
        AT("%s.averageValue", target_at);
        check_reference(yyjson_obj_get(source, "describedObject"), false, object_at, bad);
        check_metric_name(source, path, bad);
        check_target(target, target_at, bad);
        if (!rule_has(target, "value") && !rule_has(target, "averageValue"))
                invalid_required(bad, at, "must set either a target value or averageValue");
}

static void check_external(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *target = yyjson_obj_get(source, "target");
        PATH(target_at, "%s.target", path);
        PATH(value_at, "%s.value", target_at);
        AT("%s.averageValue", target_at);
        check_metric_name(source, path, bad);
        check_target(target, target_at, bad);
        if (!rule_has(target, "value") && !rule_has(target, "averageValue"))
                invalid_required(bad, at, "must set either a target value for metric or a per-pod target");
        if (rule_has(target, "value") && rule_has(target, "averageValue"))
                invalid_forbidden(bad, value_at, "may not set both a target value for metric and a per-pod target");
}

static void check_pods(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *target = yyjson_obj_get(source, "target");
        PATH(target_at, "%s.target", path);
        AT("%s.averageValue", target_at);
        check_metric_name(source, path, bad);
        check_target(target, target_at, bad);
        if (!rule_has(target, "averageValue"))
                invalid_required(bad, at, "must specify a positive target averageValue");
}

static void check_resource_target(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *target = yyjson_obj_get(source, "target");
        bool has_percent = yyjson_is_int(yyjson_obj_get(target, "averageUtilization"));
        PATH(target_at, "%s.target", path);
        PATH(percent_at, "%s.averageUtilization", target_at);
        PATH(value_at, "%s.averageValue", target_at);
        check_target(target, target_at, bad);
        if (!has_percent && !rule_has(target, "averageValue"))
                invalid_required(bad, percent_at, "must set either a target raw value or a target utilization");
        if (has_percent && rule_has(target, "averageValue"))
                invalid_forbidden(bad, value_at, "may not set both a target raw value and a target utilization");
}

static bool check_resource_name(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.name", path);
        if (!rule_has(source, "name"))
                invalid_required(bad, at, "must specify a resource name");
        return rule_has(source, "name");
}

static void check_resource(yyjson_val *source, const char *path, struct invalid *bad) {
        check_resource_name(source, path, bad);
        check_resource_target(source, path, bad);
}

/* Names of what containers may ask for: without a slash those of Kubernetes, with one those of whoever owns the domain. */
static void check_container_resource_name(const char *name, const char *path, struct invalid *bad) {
        static const char *const of_containers[] = {"cpu", "memory", "ephemeral-storage", NULL};
        static const char *const standard[] = {"requests.cpu",
                                               "requests.memory",
                                               "requests.storage",
                                               "requests.ephemeral-storage",
                                               "limits.cpu",
                                               "limits.memory",
                                               "limits.ephemeral-storage",
                                               "pods",
                                               "resourcequotas",
                                               "services",
                                               "replicationcontrollers",
                                               "secrets",
                                               "persistentvolumeclaims",
                                               "configmaps",
                                               "services.nodeports",
                                               "services.loadbalancers",
                                               "storage",
                                               NULL};
        bool is_huge = str_starts(name, "hugepages-"), is_container = str_is_one_of(name, of_containers) || is_huge;
        AUTO(strv) struct strv why = {0}, why_quota = {0};
        name_check_qualified(sv_of(name), &why);
        invalid_names(bad, path, name, &why);
        if (!strchr(name, '/')) {
                if (why.len == 0 && !is_container && !str_is_one_of(name, standard) && !str_starts(name, "requests.hugepages-"))
                        invalid_string(bad, path, name, "must be a standard resource type or fully qualified");
                if (!is_container)
                        invalid_string(bad, path, name, "must be a standard resource for containers");
                return;
        }
        if (strstr(name, "kubernetes.io/"))
                return;
        AUTO(free) char *quota = xasprintf("requests.%s", name);
        if (str_starts(name, "requests.") || name_check_qualified(sv_of(quota), &why_quota) > 0)
                invalid_string(bad, path, name, "doesn't follow extended resource name standard");
}

static void check_container_resource(yyjson_val *source, const char *path, struct invalid *bad) {
        PATH(name_at, "%s.name", path);
        PATH(container_at, "%s.container", path);
        const char *name = json_get_str(source, "name");
        if (check_resource_name(source, path, bad) && name)
                check_container_resource_name(name, name_at, bad);
        if (!rule_has(source, "container"))
                invalid_required(bad, container_at, "must specify a container");
        rule_name(source, "container", path, name_check_dns1123_label, bad);
        check_resource_target(source, path, bad);
}

/* In the order in which they are looked at: only the first that is there is checked. */
static const struct {
        const char *type, *member;
        void (*check)(yyjson_val *source, const char *path, struct invalid *bad);
} metric_sources[] = {
        {"Object", "object", check_object},
        {"External", "external", check_external},
        {"Pods", "pods", check_pods},
        {"Resource", "resource", check_resource},
        {"ContainerResource", "containerResource", check_container_resource},
};

static void bad_metric_type(const char *type, const char *path, struct invalid *bad) {
        AT("%s.type", path);
        invalid_not_supported(bad, at, type, SUPPORTED("ContainerResource", "External", "Object", "Pods", "Resource"));
}

static void check_metric(yyjson_val *metric, const char *path, struct invalid *bad) {
        const char *type = rule_str(metric, "type"), *expected = "";
        size_t present = 0;
        PATH(type_at, "%s.type", path);
        for (size_t i = 0; i < ARRAY_LEN(metric_sources); i++)
                if (streq(type, metric_sources[i].type))
                        expected = metric_sources[i].member;
        if (!*type)
                invalid_required(bad, type_at, "must specify a metric source type");
        if (!*expected)
                bad_metric_type(type, path, bad);
        for (size_t i = 0; i < ARRAY_LEN(metric_sources); i++) {
                AT("%s.%s", path, metric_sources[i].member);
                yyjson_val *source = yyjson_obj_get(metric, metric_sources[i].member);
                if (yyjson_is_obj(source) && present++ == 0)
                        metric_sources[i].check(source, at, bad);
        }
        if (!*expected) {
                bad_metric_type(type, path, bad);
        } else if (!yyjson_is_obj(yyjson_obj_get(metric, expected))) {
                AT("%s.%s", path, expected);
                invalid_required(bad, at, "must populate information for the given metric source");
        }
        for (size_t i = 0; present > 1 && i < ARRAY_LEN(metric_sources); i++) {
                AT("%s.%s", path, metric_sources[i].member);
                if (yyjson_is_obj(yyjson_obj_get(metric, metric_sources[i].member)) && !streq(expected, metric_sources[i].member))
                        invalid_forbidden(bad, at, "must populate the given metric source only");
        }
}

static void check_policy(yyjson_val *policy, const char *path, struct invalid *bad) {
        const char *type = rule_str(policy, "type");
        int64_t value = json_get_int(policy, "value", 0), period = json_get_int(policy, "periodSeconds", 0);
        PATH(type_at, "%s.type", path);
        PATH(value_at, "%s.value", path);
        PATH(period_at, "%s.periodSeconds", path);
        if (!streq(type, "Pods") && !streq(type, "Percent"))
                invalid_not_supported(bad, type_at, type, SUPPORTED("Percent", "Pods"));
        if (value <= 0)
                invalid_int(bad, value_at, value, "must be greater than zero");
        if (period <= 0)
                invalid_int(bad, period_at, period, "must be greater than zero");
        if (period > PERIOD_MAX_S)
                invalid_int(bad, period_at, period, "must be less than or equal to %d", PERIOD_MAX_S);
}

static void check_scaling(yyjson_val *rules, const char *path, struct invalid *bad) {
        int64_t window_s = json_get_int(rules, "stabilizationWindowSeconds", 0);
        PATH(window_at, "%s.stabilizationWindowSeconds", path);
        PATH(policies_at, "%s.policies", path);
        if (window_s < 0)
                invalid_int(bad, window_at, window_s, "must be greater than or equal to zero");
        if (window_s > STABILIZATION_MAX_S)
                invalid_int(bad, window_at, window_s, "must be less than or equal to %d", STABILIZATION_MAX_S);
        rule_supported(rules, "selectPolicy", path, SUPPORTED("Disabled", "Max", "Min"), bad);
        if (yyjson_arr_size(yyjson_obj_get(rules, "policies")) == 0)
                invalid_required(bad, policies_at, "must specify at least one Policy");
        EACH(policy, i, yyjson_obj_get(rules, "policies")) {
                AT("%s[%zu]", policies_at, i);
                check_policy(policy, at, bad);
        }
}

static void check_replicas(const struct draft *d, yyjson_val *spec, struct invalid *bad) {
        int64_t max = json_get_int(spec, "maxReplicas", 0), min = json_get_int(spec, "minReplicas", 1);
        int64_t least = d->old && json_int_at(object_at(d->old, "/spec"), "/minReplicas", 1) == 0 ? 0 : 1;
        if (min < least)
                invalid_int(bad, "spec.minReplicas", min, "must be greater than or equal to %lld", (long long)least);
        if (max < 1)
                invalid_int(bad, "spec.maxReplicas", max, "must be greater than 0");
        if (max < min)
                invalid_int(bad, "spec.maxReplicas", max, "must be greater than or equal to `minReplicas`");
}

static void check_metrics(yyjson_val *spec, struct invalid *bad) {
        bool is_elsewhere = false;
        EACH(metric, i, yyjson_obj_get(spec, "metrics")) {
                AT("spec.metrics[%zu]", i);
                check_metric(metric, at, bad);
                is_elsewhere |= streq(rule_str(metric, "type"), "Object") || streq(rule_str(metric, "type"), "External");
        }
        if (json_get_int(spec, "minReplicas", 1) == 0 && !is_elsewhere)
                invalid_forbidden(bad, "spec.metrics",
                                  "must specify at least one Object or External metric to support scaling to zero replicas");
}

static void hpa_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const directions[] = {"scaleUp", "scaleDown"};
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *behavior = yyjson_obj_get(spec, "behavior");
        AUTO(free) char *was_wrong = d->old ? why_not_version(object_at(d->old, "/spec/scaleTargetRef")) : NULL;
        if (d->subresource)
                return;
        check_replicas(d, spec, bad);
        check_reference(yyjson_obj_get(spec, "scaleTargetRef"), !was_wrong, "spec.scaleTargetRef", bad);
        check_metrics(spec, bad);
        for (size_t i = 0; i < ARRAY_LEN(directions); i++) {
                AT("spec.behavior.%s", directions[i]);
                if (yyjson_is_obj(yyjson_obj_get(behavior, directions[i])))
                        check_scaling(yyjson_obj_get(behavior, directions[i]), at, bad);
        }
}
const struct kind_hooks hpa_hooks = {.defaults = hpa_defaults, .prepare_create = hpa_prepare_create, .validate = hpa_validate};

static void hpa_v1_defaults(struct draft *d) {
        default_int(d->doc, spec_of(d), "minReplicas", 1);
        default_int(d->doc, spec_of(d), "targetCPUUtilizationPercentage", DEFAULT_CPU_PERCENT);
}

/* Which the v2 form says in its own words. */
static void hpa_v1_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        hpa_validate(d, object, bad);
        if (!d->subresource)
                check_utilization(json_int_at(object, "/spec/targetCPUUtilizationPercentage", 1), "spec.metrics[0].resource.target", bad);
}

static void hpa_to_storage(yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_mut_val *spec = mjson_obj(doc, root, "spec"), *metrics = mjson_arr(doc, spec, "metrics");
        int64_t percent = mjson_get_int(spec, "targetCPUUtilizationPercentage", DEFAULT_CPU_PERCENT);
        mjson_remove(spec, "targetCPUUtilizationPercentage");
        yyjson_mut_arr_append(metrics, cpu_metric(doc, percent));
}
static void hpa_from_storage(yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_mut_val *spec = mjson_obj(doc, root, "spec");
        MUT_EACH(metric, spec, "metrics") {
                yyjson_mut_val *resource = member_obj(metric, "resource");
                if (streq_null(mjson_get_str(resource, "name"), "cpu"))
                        mjson_set_int(doc, spec, "targetCPUUtilizationPercentage",
                                      mjson_get_int(member_obj(resource, "target"), "averageUtilization", DEFAULT_CPU_PERCENT));
        }
        mjson_remove(spec, "metrics");
        mjson_remove(spec, "behavior");
}
const struct kind_hooks hpa_v1_hooks = {.defaults = hpa_v1_defaults,
                                        .prepare_create = hpa_prepare_create,
                                        .validate = hpa_v1_validate,
                                        .from_storage = hpa_from_storage,
                                        .to_storage = hpa_to_storage};
