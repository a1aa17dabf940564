/* Where a pod may run: affinity, tolerations, spread. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/node_rules.h"
#include "cluster/kinds/podspec-internal.h"

static void check_weight(yyjson_val *weighted, const char *path, struct invalid *bad) {
        int64_t weight = json_get_int(weighted, "weight", 0);
        AT("%s.weight", path);
        if (weight < 1 || weight > 100)
                invalid_int(bad, at, weight, "must be in the range 1-100");
}

static void check_node_affinity(yyjson_val *affinity, const char *path, struct invalid *bad) {
        yyjson_val *required = yyjson_obj_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        PATH(required_at, "%s.requiredDuringSchedulingIgnoredDuringExecution", path);
        if (required)
                node_selector_validate(required, required_at, bad);
        EACH(weighted, i, yyjson_obj_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution")) {
                PATH(here, "%s.preferredDuringSchedulingIgnoredDuringExecution[%zu]", path, i);
                AT("%s.preference", here);
                check_weight(weighted, here, bad);
                node_selector_term_validate(yyjson_obj_get(weighted, "preference"), true, at, bad);
        }
}

static bool list_has(yyjson_val *list, const char *text) {
        EACH(item, i, list) if (streq_null(yyjson_get_str(item), text)) return true;
        return false;
}

static void check_label_keys(yyjson_val *keys, bool has_selector, const char *path, struct invalid *bad) {
        if (yyjson_arr_size(keys) > 0 && !has_selector) {
                invalid_forbidden(bad, path, "must not be specified when labelSelector is not set");
                return;
        }
        EACH(key, i, keys) {
                AT("%s[%zu]", path, i);
                value_name(name_check_qualified, yyjson_get_str(key), at, bad);
        }
}

/* matchLabelKeys and mismatchLabelKeys. */
static void check_match_keys(yyjson_val *term, const char *path, struct invalid *bad) {
        yyjson_val *match = yyjson_obj_get(term, "matchLabelKeys"), *mismatch = yyjson_obj_get(term, "mismatchLabelKeys");
        bool has_selector = yyjson_obj_get(term, "labelSelector") != NULL;
        PATH(match_at, "%s.matchLabelKeys", path);
        PATH(mismatch_at, "%s.mismatchLabelKeys", path);
        check_label_keys(match, has_selector, match_at, bad);
        check_label_keys(mismatch, has_selector, mismatch_at, bad);
        EACH(key, i, match) {
                AT("%s[%zu]", match_at, i);
                if (list_has(mismatch, yyjson_get_str(key)))
                        invalid_string(bad, at, yyjson_get_str(key), "exists in both matchLabelKeys and mismatchLabelKeys");
        }
}

static void check_pod_term(yyjson_val *term, const char *path, struct invalid *bad) {
        static const char *const selectors[] = {"labelSelector", "namespaceSelector"};
        PATH(namespace_at, "%s.namespace", path);
        PATH(topology_at, "%s.topologyKey", path);
        for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
                AT("%s.%s", path, selectors[i]);
                if (yyjson_obj_get(term, selectors[i]))
                        label_selector_validate(yyjson_obj_get(term, selectors[i]), at, bad);
        }
        EACH(name, i, yyjson_obj_get(term, "namespaces")) value_name(name_check_dns1123_label, yyjson_get_str(name), namespace_at, bad);
        check_match_keys(term, path, bad);
        if (!rule_has(term, "topologyKey"))
                invalid_required(bad, topology_at, "can not be empty");
        value_name(name_check_qualified, rule_str(term, "topologyKey"), topology_at, bad);
}

static void check_pod_affinity(yyjson_val *affinity, const char *path, struct invalid *bad) {
        EACH(term, i, yyjson_obj_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution")) {
                AT("%s.requiredDuringSchedulingIgnoredDuringExecution[%zu]", path, i);
                check_pod_term(term, at, bad);
        }
        EACH(weighted, i, yyjson_obj_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution")) {
                PATH(here, "%s.preferredDuringSchedulingIgnoredDuringExecution[%zu]", path, i);
                AT("%s.podAffinityTerm", here);
                check_weight(weighted, here, bad);
                check_pod_term(yyjson_obj_get(weighted, "podAffinityTerm"), at, bad);
        }
}

void podspec_check_affinity(yyjson_val *affinity, const char *path, struct invalid *bad) {
        PATH(node_at, "%s.nodeAffinity", path);
        PATH(pod_at, "%s.podAffinity", path);
        PATH(anti_at, "%s.podAntiAffinity", path);
        check_node_affinity(yyjson_obj_get(affinity, "nodeAffinity"), node_at, bad);
        check_pod_affinity(yyjson_obj_get(affinity, "podAffinity"), pod_at, bad);
        check_pod_affinity(yyjson_obj_get(affinity, "podAntiAffinity"), anti_at, bad);
}

static bool selector_names(yyjson_val *selector, const char *key) {
        if (yyjson_obj_get(yyjson_obj_get(selector, "matchLabels"), key))
                return true;
        EACH(e, i, yyjson_obj_get(selector, "matchExpressions")) if (streq(rule_str(e, "key"), key)) return true;
        return false;
}

static void check_spread_keys(yyjson_val *constraint, const char *path, struct invalid *bad) {
        yyjson_val *keys = yyjson_obj_get(constraint, "matchLabelKeys"), *selector = yyjson_obj_get(constraint, "labelSelector");
        if (yyjson_arr_size(keys) > 0 && !selector)
                invalid_forbidden(bad, path, "must not be specified when labelSelector is not set");
        EACH(key, i, keys) {
                AT("%s[%zu]", path, i);
                value_name(name_check_qualified, yyjson_get_str(key), at, bad);
                if (selector_names(selector, yyjson_get_str(key)))
                        invalid_string(bad, at, yyjson_get_str(key), "exists in both matchLabelKeys and labelSelector");
        }
}

static void check_domains(yyjson_val *constraint, const char *path, struct invalid *bad) {
        const char *action = rule_str(constraint, "whenUnsatisfiable");
        int64_t domains = json_get_int(constraint, "minDomains", 1);
        AT("%s.minDomains", path);
        if (!yyjson_obj_get(constraint, "minDomains"))
                return;
        if (domains <= 0)
                invalid_int(bad, at, domains, "must be greater than zero");
        if (!streq(action, "DoNotSchedule"))
                invalid_int(bad, at, domains, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", action);
}

static bool repeats_later(yyjson_val *constraints, size_t index, const char *key, const char *action) {
        EACH(other, i, constraints)
                if (i > index && streq(rule_str(other, "topologyKey"), key) && streq(rule_str(other, "whenUnsatisfiable"), action))
                        return true;
        return false;
}

void podspec_check_spread(yyjson_val *constraints, const char *path, struct invalid *bad) {
        EACH(constraint, i, constraints) {
                const char *key = rule_str(constraint, "topologyKey"), *action = rule_str(constraint, "whenUnsatisfiable");
                PATH(here, "%s[%zu]", path, i);
                PATH(skew_at, "%s.maxSkew", here);
                PATH(topology_at, "%s.topologyKey", here);
                PATH(action_at, "%s.whenUnsatisfiable", here);
                PATH(pair_at, "%s.{topologyKey, whenUnsatisfiable}", here);
                PATH(keys_at, "%s.matchLabelKeys", here);
                PATH(selector_at, "%s.labelSelector", here);
                if (json_get_int(constraint, "maxSkew", 0) <= 0)
                        invalid_int(bad, skew_at, json_get_int(constraint, "maxSkew", 0), "must be greater than zero");
                if (!*key)
                        invalid_required(bad, topology_at, "can not be empty");
                if (!streq(action, "DoNotSchedule") && !streq(action, "ScheduleAnyway"))
                        invalid_not_supported(bad, action_at, action, SUPPORTED("DoNotSchedule", "ScheduleAnyway"));
                if (repeats_later(constraints, i, key, action)) {
                        AUTO(free) char *pair = xasprintf("{%s, %s}", key, action);
                        invalid_duplicate(bad, pair_at, pair);
                }
                check_domains(constraint, here, bad);
                rule_supported(constraint, "nodeAffinityPolicy", here, SUPPORTED("Honor", "Ignore"), bad);
                rule_supported(constraint, "nodeTaintsPolicy", here, SUPPORTED("Honor", "Ignore"), bad);
                check_spread_keys(constraint, keys_at, bad);
                if (yyjson_obj_get(constraint, "labelSelector"))
                        label_selector_validate(yyjson_obj_get(constraint, "labelSelector"), selector_at, bad);
        }
}

static void check_toleration(yyjson_val *t, const char *path, struct invalid *bad) {
        const char *operator= rule_str(t, "operator"), *value = rule_str(t, "value"), *effect = rule_str(t, "effect");
        PATH(operator_at, "%s.operator", path);
        PATH(effect_at, "%s.effect", path);
        rule_name(t, "key", path, name_check_qualified, bad);
        if (!rule_has(t, "key") && !streq(operator, "Exists"))
                invalid_string(bad, operator_at, operator,
                               "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
        if (yyjson_obj_get(t, "tolerationSeconds") && !streq(effect, "NoExecute"))
                invalid_string(bad, effect_at, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        if (!*operator || streq(operator, "Equal")) {
                AUTO(strv) struct strv why = {0};
                name_check_label_value(sv_of(value), &why);
                AUTO(free) char *joined = strv_join(&why, ";");
                if (why.len)
                        invalid_string(bad, operator_at, value, "%s", joined);
        } else if (streq(operator, "Exists")) {
                if (*value)
                        invalid_string(bad, operator_at, value, "value must be empty when `operator` is 'Exists'");
        } else {
                invalid_not_supported(bad, operator_at, operator, SUPPORTED("Equal", "Exists"));
        }
        if (*effect)
                rule_supported(t, "effect", path, SUPPORTED("NoSchedule", "PreferNoSchedule", "NoExecute"), bad);
}

static void show_requirements(yyjson_val *list, const char *name, struct str *out) {
        str_appendf(out, "\"%s\":%s", name, yyjson_arr_size(list) ? "[" : "null");
        EACH(r, i, list) {
                AUTO(free) char *key = invalid_quote(rule_str(r, "key")), *operator = invalid_quote(rule_str(r, "operator"));
                AUTO(free) char *values = yyjson_arr_size(yyjson_obj_get(r, "values"))
                                                  ? json_write(yyjson_obj_get(r, "values"), false, NULL)
                                                  : xstrdup("null");
                str_appendf(out, "%s{\"Key\":%s,\"Operator\":%s,\"Values\":%s}", i ? "," : "", key, operator, values);
        }
        if (yyjson_arr_size(list))
                str_append_c(out, ']');
}

char *node_selector_term_show(yyjson_val *term) {
        AUTO(str) struct str out = STR_INIT(0);
        str_append_c(&out, '{');
        show_requirements(yyjson_obj_get(term, "matchExpressions"), "MatchExpressions", &out);
        str_append_c(&out, ',');
        show_requirements(yyjson_obj_get(term, "matchFields"), "MatchFields", &out);
        str_append_c(&out, '}');
        return str_take(&out);
}

static char *show_terms(yyjson_val *terms) {
        AUTO(str) struct str out = STR_INIT(0);
        EACH(term, i, terms) {
                AUTO(free) char *text = node_selector_term_show(term);
                str_appendf(&out, "%s%s", i ? "," : "[", text);
        }
        if (!yyjson_arr_size(terms))
                return xstrdup("null");
        str_append_c(&out, ']');
        return str_take(&out);
}

char *node_selector_show(yyjson_val *selector) {
        AUTO(free) char *terms = show_terms(yyjson_obj_get(selector, "nodeSelectorTerms"));
        return selector ? xasprintf("{\"NodeSelectorTerms\":%s}", terms) : xstrdup("null");
}

void tolerations_validate(yyjson_val *tolerations, const char *path, struct invalid *bad) {
        EACH(t, i, tolerations) {
                AT("%s[%zu]", path, i);
                check_toleration(t, at, bad);
        }
}
