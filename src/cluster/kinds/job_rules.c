#include "cluster/kinds/job_rules.h"

#include "cluster/edit.h"
#include "cluster/kinds/value_rules.h"

enum {
        MOST_PARALLEL_INDEXES = 100000,
        MANY_COMPLETIONS = 100000,
        MOST_WITH_MANY = 10000,
        MOST_RULES = 20,
        MOST_PATTERNS = 20,
        MOST_CODES = 255,
        LONGEST_INDEXES = 64 * 1024,
        LONGEST_MANAGER = 63,
};

static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL}, *const operators[] = {"In", "NotIn", NULL},
                         *const statuses[] = {"False", "True", "Unknown", NULL}, *const modes[] = {"NonIndexed", "Indexed", NULL},
                         *const replacements[] = {"Failed", "TerminatingOrFailed", NULL}, *const failed_only[] = {"Failed", NULL};

/* A member with a closed list of values. */
static void check_choice(struct invalid *bad, const char *at, const char *value, const char *const *list) {
        if (value && *value) {
                if (!str_is_one_of(value, list))
                        invalid_not_supported(bad, at, value, list);
                return;
        }
        AUTO(free) char *first = NULL;
        for (; *list; list++) {
                char *longer = first ? xasprintf("%s \"%s\"", first, *list) : xasprintf("\"%s\"", *list);
                free(first);
                first = longer;
        }
        invalid_required(bad, at, "valid values: [%s]", first);
}

/* ---- podFailurePolicy ---- */

static bool has_container(yyjson_val *spec, const char *name) {
        static const char *const lists[] = {"/template/spec/containers", "/template/spec/initContainers"};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
                EACH(container, i, json_at(spec, lists[k])) {
                        if (streq_null(json_get_str(container, "name"), name))
                                return true;
                }
        }
        return false;
}

static void check_code_values(yyjson_val *values, const char *at, bool is_in, struct invalid *bad) {
        bool ordered = true;
        AUTO(free) char *shown = values ? json_write(values, false, NULL) : xstrdup("null");
        if (yyjson_arr_size(values) == 0)
                invalid_add(bad, at, INVALID_VALUE, shown, "at least one value is required");
        value_too_many(yyjson_arr_size(values), MOST_CODES, at, bad);
        EACH(value, i, values) {
                AUTO(free) char *value_at = xasprintf("%s[%zu]", at, i);
                int64_t code = yyjson_get_sint(value);
                bool seen = false;
                if (is_in && code == 0)
                        invalid_int(bad, value_at, code, "must not be 0 for the In operator");
                EACH(before, k, values) {
                        if (k < i && yyjson_get_sint(before) == code)
                                seen = true;
                        if (k + 1 == i && yyjson_get_sint(before) > code)
                                ordered = false;
                }
                if (seen) {
                        AUTO(free) char *code_text = xasprintf("%lld", (long long)code);
                        invalid_add(bad, value_at, INVALID_DUPLICATE, code_text, NULL);
                }
        }
        if (!ordered)
                invalid_add(bad, at, INVALID_VALUE, shown, "must be ordered");
}

static void check_codes(yyjson_val *spec, yyjson_val *codes, const char *at, struct invalid *bad) {
        AUTO(free) char *operator_at = xasprintf("%s.operator", at), *name_at = xasprintf("%s.containerName", at),
                        *values_at = xasprintf("%s.values", at);
        const char *operator = json_get_str(codes, "operator"), *name = json_get_str(codes, "containerName");
        check_choice(bad, operator_at, operator, operators);
        if (name && !has_container(spec, name))
                invalid_string(bad, name_at, name, "must be one of the container or initContainer names in the pod template");
        check_code_values(yyjson_obj_get(codes, "values"), values_at, streq_null(operator, "In"), bad);
}

static void check_patterns(yyjson_val *patterns, const char *at, struct invalid *bad) {
        value_too_many(yyjson_arr_size(patterns), MOST_PATTERNS, at, bad);
        EACH(pattern, i, patterns) {
                AUTO(free) char *type_at = xasprintf("%s[%zu].type", at, i), *status_at = xasprintf("%s[%zu].status", at, i);
                value_name(name_check_qualified, json_get_str(pattern, "type"), type_at, bad);
                check_choice(bad, status_at, json_get_str(pattern, "status"), statuses);
        }
}

static void check_failure_rule(yyjson_val *spec, yyjson_val *rule, const char *at, struct invalid *bad) {
        AUTO(free) char *action_at = xasprintf("%s.action", at), *codes_at = xasprintf("%s.onExitCodes", at),
                        *conditions_at = xasprintf("%s.onPodConditions", at);
        const char *action = json_get_str(rule, "action");
        yyjson_val *codes = yyjson_obj_get(rule, "onExitCodes"), *conditions = yyjson_obj_get(rule, "onPodConditions");
        bool has_conditions = yyjson_arr_size(conditions) > 0;
        if (!streq_null(action, "FailIndex"))
                check_choice(bad, action_at, action, actions);
        else if (!yyjson_obj_get(spec, "backoffLimitPerIndex"))
                invalid_string(bad, action_at, action, "requires the backoffLimitPerIndex to be set");
        if (codes)
                check_codes(spec, codes, codes_at, bad);
        if (has_conditions)
                check_patterns(conditions, conditions_at, bad);
        if (codes && has_conditions)
                invalid_add(bad, at, INVALID_VALUE, NULL, "specifying both OnExitCodes and OnPodConditions is not supported");
        if (!codes && !has_conditions)
                invalid_add(bad, at, INVALID_VALUE, NULL, "specifying one of OnExitCodes and OnPodConditions is required");
}

static void check_failure_policy(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *at = xasprintf("%s.podFailurePolicy.rules", path);
        yyjson_val *rules = json_at(spec, "/podFailurePolicy/rules");
        value_too_many(yyjson_arr_size(rules), MOST_RULES, at, bad);
        EACH(rule, i, rules) {
                AUTO(free) char *rule_at = xasprintf("%s[%zu]", at, i);
                check_failure_rule(spec, rule, rule_at, bad);
        }
}

/* ---- successPolicy ---- */

/* Why the text is no list of indexes, or NULL. */
static char *check_interval(struct sv interval, int64_t completions, int64_t *ret_first, int64_t *ret_last) {
        struct sv rest = interval, parts[2];
        int64_t numbers[2];
        size_t count = 0;
        for (struct sv part; sv_split(&rest, '-', &part); count++)
                if (count < ARRAY_LEN(parts))
                        parts[count] = part;
        if (count > ARRAY_LEN(parts)) {
                AUTO(free) char *text = sv_dup(interval), *quoted = invalid_quote(text);
                return xasprintf(
                        "the fragment %s violates the requirement that an index interval can have at most two parts separated by '-'",
                        quoted);
        }
        for (size_t i = 0; i < count; i++) {
                AUTO(free) char *text = sv_dup(parts[i]), *quoted = invalid_quote(text);
                if (!sv_to_int64(parts[i], &numbers[i]))
                        return xasprintf("cannot convert string to integer for index: %s", quoted);
                if (numbers[i] >= completions)
                        return xasprintf("too large index: %s", quoted);
        }
        *ret_first = numbers[0];
        *ret_last = numbers[count - 1];
        if (count > 1 && *ret_first >= *ret_last)
                return xasprintf("non-increasing order, previous: %lld, current: %lld", (long long)*ret_first, (long long)*ret_last);
        return NULL;
}

static char *check_indexes(const char *text, int64_t completions, int64_t *ret_total) {
        struct sv rest = sv_of(text), part;
        int64_t before = -1, first = 0, last = 0, total = 0;
        while (*text && sv_split(&rest, ',', &part)) {
                char *why = check_interval(part, completions, &first, &last);
                if (why)
                        return why;
                if (total && before >= first)
                        return xasprintf("non-increasing order, previous: %lld, current: %lld", (long long)before, (long long)first);
                total += last - first + 1;
                before = last;
        }
        *ret_total = total;
        return NULL;
}

static void check_success_rule(yyjson_val *rule, const char *at, int64_t completions, struct invalid *bad) {
        AUTO(free) char *indexes_at = xasprintf("%s.succeededIndexes", at), *count_at = xasprintf("%s.succeededCount", at);
        const char *indexes = json_get_str(rule, "succeededIndexes");
        yyjson_val *count_value = yyjson_obj_get(rule, "succeededCount");
        int64_t total = 0, count = yyjson_get_sint(count_value);
        if (!indexes && !count_value)
                invalid_required(bad, at, "at least one of succeededCount or succeededIndexes must be specified");
        if (indexes) {
                if (strlen(indexes) > LONGEST_INDEXES)
                        invalid_add(bad, indexes_at, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", LONGEST_INDEXES);
                AUTO(free) char *why = check_indexes(indexes, completions, &total);
                if (why)
                        invalid_string(bad, indexes_at, indexes, "error parsing succeededIndexes: %s", why);
        }
        value_nonnegative(count, count_at, bad);
        if (count > completions)
                invalid_int(bad, count_at, count, "must be less than or equal to %lld (the number of specified completions)",
                            (long long)completions);
        if (indexes && count > total)
                invalid_int(bad, count_at, count,
                            "must be less than or equal to %lld (the number of indexes in the specified succeededIndexes field)",
                            (long long)total);
}

static void check_success_policy(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *at = xasprintf("%s.successPolicy", path), *rules_at = xasprintf("%s.rules", at);
        yyjson_val *policy = yyjson_obj_get(spec, "successPolicy"), *rules = yyjson_obj_get(policy, "rules");
        if (!streq_null(json_get_str(spec, "completionMode"), "Indexed")) {
                AUTO(free) char *shown = job_rules_show("successPolicy", policy);
                invalid_add(bad, at, INVALID_VALUE, shown, "requires indexed completion mode");
                return;
        }
        if (yyjson_arr_size(rules) == 0)
                invalid_required(bad, rules_at, "at least one rules must be specified when the successPolicy is specified");
        value_too_many(yyjson_arr_size(rules), MOST_RULES, rules_at, bad);
        EACH(rule, i, rules) {
                AUTO(free) char *rule_at = xasprintf("%s[%zu]", rules_at, i);
                check_success_rule(rule, rule_at, json_get_int(spec, "completions", 0), bad);
        }
}

/* ---- indexes ---- */

static void check_many_completions(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *failed_at = xasprintf("%s.maxFailedIndexes", path), *parallel_at = xasprintf("%s.parallelism", path);
        yyjson_val *most = yyjson_obj_get(spec, "maxFailedIndexes");
        int64_t parallel = json_get_int(spec, "parallelism", 0);
        if (json_get_int(spec, "completions", 0) <= MANY_COMPLETIONS || !yyjson_obj_get(spec, "backoffLimitPerIndex"))
                return;
        static const char limit[] = "must be less than or equal to %d when completions are above %d and used with backoff limit per index";
        if (!most)
                invalid_required(bad, failed_at, "must be specified when completions is above %d", MANY_COMPLETIONS);
        if (parallel > MOST_WITH_MANY)
                invalid_int(bad, parallel_at, parallel, limit, MOST_WITH_MANY, MANY_COMPLETIONS);
        if (yyjson_get_sint(most) > MOST_WITH_MANY)
                invalid_int(bad, failed_at, yyjson_get_sint(most), limit, MOST_WITH_MANY, MANY_COMPLETIONS);
}

static void check_indexed(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *completions_at = xasprintf("%s.completions", path), *parallel_at = xasprintf("%s.parallelism", path);
        AUTO(free) char *failed_at = xasprintf("%s.maxFailedIndexes", path);
        yyjson_val *completions = yyjson_obj_get(spec, "completions"), *most = yyjson_obj_get(spec, "maxFailedIndexes");
        int64_t parallel = json_get_int(spec, "parallelism", 0);
        if (!completions)
                invalid_required(bad, completions_at, "when completion mode is Indexed");
        if (parallel > MOST_PARALLEL_INDEXES)
                invalid_int(bad, parallel_at, parallel, "must be less than or equal to %d when completion mode is Indexed",
                            MOST_PARALLEL_INDEXES);
        if (completions && most && yyjson_get_sint(most) > yyjson_get_sint(completions))
                invalid_int(bad, failed_at, yyjson_get_sint(most), "must be less than or equal to completions");
        if (yyjson_get_sint(most) > MOST_PARALLEL_INDEXES)
                invalid_int(bad, failed_at, yyjson_get_sint(most), "must be less than or equal to %d", MOST_PARALLEL_INDEXES);
        check_many_completions(spec, path, bad);
}

static void check_limits(yyjson_val *spec, const char *path, struct invalid *bad) {
        static const char *const keys[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
        AUTO(free) char *mode_at = xasprintf("%s.completionMode", path), *per_index_at = xasprintf("%s.backoffLimitPerIndex", path);
        const char *mode = json_get_str(spec, "completionMode");
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                AUTO(free) char *at = xasprintf("%s.%s", path, keys[i]);
                yyjson_val *value = yyjson_obj_get(spec, keys[i]);
                value_nonnegative(yyjson_get_sint(value), at, bad);
                if (value && (!mode || streq(mode, "NonIndexed")))
                        invalid_int(bad, at, yyjson_get_sint(value), "requires indexed completion mode");
        }
        if (yyjson_obj_get(spec, "maxFailedIndexes") && !yyjson_obj_get(spec, "backoffLimitPerIndex"))
                invalid_required(bad, per_index_at, "when maxFailedIndexes is specified");
        if (mode)
                value_supported(mode, mode_at, modes, bad);
        if (streq_null(mode, "Indexed"))
                check_indexed(spec, path, bad);
}

static void check_manager(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *at = xasprintf("%s.managedBy", path);
        const char *manager = json_get_str(spec, "managedBy");
        if (!manager)
                return;
        if (!*manager) {
                invalid_required(bad, at, NULL);
                return;
        }
        value_prefixed_path(manager, at, bad);
        if (strlen(manager) > LONGEST_MANAGER)
                invalid_add(bad, at, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", LONGEST_MANAGER);
}

void job_rules_validate(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(free) char *replacement_at = xasprintf("%s.podReplacementPolicy", path),
                        *restart_at = xasprintf("%s.template.spec.restartPolicy", path);
        const char *replacement = json_get_str(spec, "podReplacementPolicy"), *restart = json_str_at(spec, "/template/spec/restartPolicy");
        bool has_policy = yyjson_obj_get(spec, "podFailurePolicy") != NULL;
        const char *const *allowed = has_policy ? failed_only : replacements;
        check_limits(spec, path, bad);
        check_manager(spec, path, bad);
        if (has_policy)
                check_failure_policy(spec, path, bad);
        if (yyjson_obj_get(spec, "successPolicy"))
                check_success_policy(spec, path, bad);
        if (replacement)
                value_supported(replacement, replacement_at, allowed, bad);
        if (has_policy && streq_null(restart, "OnFailure"))
                invalid_string(bad, restart_at, restart, "only \"Never\" is supported when podFailurePolicy is specified");
}

void job_rules_validate_name(const char *name, yyjson_val *spec, struct invalid *bad) {
        int64_t completions = json_get_int(spec, "completions", 0);
        AUTO(free) char *hostname = xasprintf("%s-%lld", name ? name : "", (long long)completions - 1);
        if (completions > 0 && streq_null(json_get_str(spec, "completionMode"), "Indexed") &&
            name_check_dns1123_label(sv_of(hostname), NULL))
                invalid_string(bad, "metadata.name", name ? name : "", "will not able to create pod with invalid DNS label: %s", hostname);
}

/* ---- showing ---- */

/* A member that is a pointer or a list in the real server is null when it is absent, a text is empty. */
static void show_member(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *shown_key, yyjson_val *from, const char *key, bool is_text) {
        yyjson_val *v = yyjson_obj_get(from, key);
        mjson_set(doc, to, shown_key, v ? yyjson_val_mut_copy(doc, v) : is_text ? yyjson_mut_str(doc, "") : yyjson_mut_null(doc));
}

static yyjson_mut_val *show_failure_rule(yyjson_mut_doc *doc, yyjson_val *rule) {
        yyjson_mut_val *out = yyjson_mut_obj(doc), *patterns;
        yyjson_val *codes = yyjson_obj_get(rule, "onExitCodes"), *conditions = yyjson_obj_get(rule, "onPodConditions");
        show_member(doc, out, "Action", rule, "action", true);
        if (codes) {
                yyjson_mut_val *shown = mjson_obj(doc, out, "OnExitCodes");
                show_member(doc, shown, "ContainerName", codes, "containerName", false);
                show_member(doc, shown, "Operator", codes, "operator", true);
                show_member(doc, shown, "Values", codes, "values", false);
        } else {
                mjson_set(doc, out, "OnExitCodes", yyjson_mut_null(doc));
        }
        if (!conditions) {
                mjson_set(doc, out, "OnPodConditions", yyjson_mut_null(doc));
                return out;
        }
        patterns = mjson_arr(doc, out, "OnPodConditions");
        EACH(pattern, i, conditions) {
                yyjson_mut_val *shown = yyjson_mut_arr_add_obj(doc, patterns);
                show_member(doc, shown, "Type", pattern, "type", true);
                show_member(doc, shown, "Status", pattern, "status", true);
        }
        return out;
}

static yyjson_mut_val *show_success_rule(yyjson_mut_doc *doc, yyjson_val *rule) {
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        show_member(doc, out, "SucceededIndexes", rule, "succeededIndexes", false);
        show_member(doc, out, "SucceededCount", rule, "succeededCount", false);
        return out;
}

char *job_rules_show(const char *key, yyjson_val *value) {
        yyjson_mut_val *(*show)(yyjson_mut_doc *doc, yyjson_val *rule) =
                streq(key, "podFailurePolicy") ? show_failure_rule : streq(key, "successPolicy") ? show_success_rule : NULL;
        if (!value || !show)
                return value ? json_write(value, false, NULL) : xstrdup("null");
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        yyjson_val *rules = yyjson_obj_get(value, "rules");
        if (!rules)
                mjson_set(doc, out, "Rules", yyjson_mut_null(doc));
        EACH(rule, i, rules) yyjson_mut_arr_append(mjson_arr(doc, out, "Rules"), show(doc, rule));
        return mjson_write(out, false, NULL);
}
