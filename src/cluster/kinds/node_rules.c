#include "cluster/kinds/node_rules.h"

#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/rules.h"

static bool is_any(const char *text, const char *a, const char *b) { return streq(text, a) || streq(text, b); }

static void bad_operator(const char *operator, const char *path, struct invalid *bad) {
        AT("%s.operator", path);
        invalid_string(bad, at, operator, "not a valid selector operator");
}

static void check_values(yyjson_val *values, const char *path, name_check_fn *check, struct invalid *bad) {
        EACH(value, i, values) {
                AT("%s.values[%zu]", path, i);
                value_name(check, yyjson_get_str(value), at, bad);
        }
}

static void check_expression(yyjson_val *e, bool accepts_any_value, const char *path, struct invalid *bad) {
        const char *operator = rule_str(e, "operator");
        yyjson_val *values = yyjson_obj_get(e, "values");
        size_t count = yyjson_arr_size(values);
        PATH(values_at, "%s.values", path);
        PATH(key_at, "%s.key", path);
        if (is_any(operator, "In", "NotIn")) {
                if (count == 0)
                        invalid_required(bad, values_at, "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (is_any(operator, "Exists", "DoesNotExist")) {
                if (count > 0)
                        invalid_forbidden(bad, values_at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else if (is_any(operator, "Gt", "Lt")) {
                if (count != 1)
                        invalid_required(bad, values_at, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        } else {
                bad_operator(operator, path, bad);
        }
        value_name(name_check_qualified, rule_str(e, "key"), key_at, bad);
        if (!accepts_any_value)
                check_values(values, path, name_check_label_value, bad);
}

static void check_field(yyjson_val *e, const char *path, struct invalid *bad) {
        const char *operator = rule_str(e, "operator"), *key = rule_str(e, "key");
        yyjson_val *values = yyjson_obj_get(e, "values");
        PATH(values_at, "%s.values", path);
        PATH(key_at, "%s.key", path);
        if (!is_any(operator, "In", "NotIn"))
                bad_operator(operator, path, bad);
        else if (yyjson_arr_size(values) != 1)
                invalid_required(bad, values_at, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        if (streq(key, "metadata.name"))
                check_values(values, path, name_check_dns1123_subdomain, bad);
        else
                invalid_string(bad, key_at, key, "not a valid field selector key");
}

void node_selector_term_validate(yyjson_val *term, bool accepts_any_value, const char *path, struct invalid *bad) {
        EACH(expression, i, yyjson_obj_get(term, "matchExpressions")) {
                AT("%s.matchExpressions[%zu]", path, i);
                check_expression(expression, accepts_any_value, at, bad);
        }
        EACH(field, k, yyjson_obj_get(term, "matchFields")) {
                AT("%s.matchFields[%zu]", path, k);
                check_field(field, at, bad);
        }
}

void node_selector_validate(yyjson_val *selector, const char *path, struct invalid *bad) {
        yyjson_val *terms = yyjson_obj_get(selector, "nodeSelectorTerms");
        PATH(terms_at, "%s.nodeSelectorTerms", path);
        if (yyjson_arr_size(terms) == 0)
                invalid_required(bad, terms_at, "must have at least one node selector term");
        EACH(term, i, terms) {
                AT("%s[%zu]", terms_at, i);
                node_selector_term_validate(term, false, at, bad);
        }
}
