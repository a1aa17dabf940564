#include "cluster/controllers/job_policy.h"

#include "base/str.h"
#include "cluster/controllers/control.h"
#include "cluster/edit.h"
#include "kobj/meta.h"

enum { FIRST_PAUSE_MS = 10000, LAST_PAUSE_MS = 600000 };

/* ---- podFailurePolicy ---- */

static bool has_code(yyjson_val *values, int64_t code) {
        EACH(value, i, values) {
                if (yyjson_get_sint(value) == code)
                        return true;
        }
        return false;
}

/* The first container that ended as the requirement has it; a container that ended well never matches. */
static yyjson_val *match_codes(yyjson_val *statuses, yyjson_val *requirement) {
        const char *only = json_get_str(requirement, "containerName"), *operator = json_get_str(requirement, "operator");
        yyjson_val *values = yyjson_obj_get(requirement, "values");
        EACH(status, i, statuses) {
                int64_t code = json_int_at(status, "/state/terminated/exitCode", 0);
                if (code == 0 || (only && !streq_null(json_get_str(status, "name"), only)))
                        continue;
                if ((streq_null(operator, "In") && has_code(values, code)) || (streq_null(operator, "NotIn") && !has_code(values, code)))
                        return status;
        }
        return NULL;
}

static yyjson_val *match_conditions(yyjson_val *conditions, yyjson_val *patterns) {
        EACH(condition, i, conditions) {
                EACH(pattern, k, patterns) {
                        if (json_equal(yyjson_obj_get(condition, "type"), yyjson_obj_get(pattern, "type")) &&
                            json_equal(yyjson_obj_get(condition, "status"), yyjson_obj_get(pattern, "status")))
                                return condition;
                }
        }
        return NULL;
}

static const char *text_or_empty(const char *text) { return text ? text : ""; }

/* Why the rule matches, as the message of the Job's condition has it; NULL when it does not. */
static char *match_rule(yyjson_val *rule, size_t number, yyjson_val *pod) {
        yyjson_val *codes = yyjson_obj_get(rule, "onExitCodes"), *conditions = yyjson_obj_get(rule, "onPodConditions"), *found;
        const char *action = text_or_empty(json_get_str(rule, "action")), *ns = text_or_empty(meta_namespace(pod)),
                   *name = text_or_empty(meta_name(pod));
        if (codes) {
                found = match_codes(json_at(pod, "/status/containerStatuses"), codes);
                if (!found)
                        found = match_codes(json_at(pod, "/status/initContainerStatuses"), codes);
                return !found ? NULL
                              : xasprintf("Container %s for pod %s/%s failed with exit code %lld matching %s rule at index %zu",
                                          text_or_empty(json_get_str(found, "name")), ns, name,
                                          (long long)json_int_at(found, "/state/terminated/exitCode", 0), action, number);
        }
        found = match_conditions(json_at(pod, "/status/conditions"), conditions);
        return !found ? NULL
                      : xasprintf("Pod %s/%s has condition %s matching %s rule at index %zu", ns, name,
                                  text_or_empty(json_get_str(found, "type")), action, number);
}

enum failure_action job_failure_action(yyjson_val *job_spec, yyjson_val *pod, char **ret_message) {
        static const struct {
                const char *name;
                enum failure_action action;
        } actions[] = {
                {"Count", FAILURE_COUNT}, {"FailIndex", FAILURE_FAIL_INDEX}, {"FailJob", FAILURE_FAIL_JOB}, {"Ignore", FAILURE_IGNORE}};
        EACH(rule, i, json_at(job_spec, "/podFailurePolicy/rules")) {
                AUTO(free) char *message = match_rule(rule, i, pod);
                for (size_t k = 0; message && k < ARRAY_LEN(actions); k++) {
                        if (!streq_null(json_get_str(rule, "action"), actions[k].name))
                                continue;
                        if (actions[k].action == FAILURE_FAIL_JOB && ret_message)
                                *ret_message = TAKE(message);
                        return actions[k].action;
                }
        }
        return FAILURE_COUNT;
}

bool job_replaces_failed_only(yyjson_val *job_spec) {
        return yyjson_obj_get(job_spec, "podFailurePolicy") || streq_null(json_get_str(job_spec, "podReplacementPolicy"), "Failed");
}

bool job_pod_failed(yyjson_val *job_spec, yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        if (streq_null(phase, "Failed"))
                return true;
        return !job_replaces_failed_only(job_spec) && meta_is_deleting(pod) && !streq_null(phase, "Succeeded");
}

/* ---- backoffLimitPerIndex ---- */

static int64_t count_of(yyjson_val *pod, const char *annotation) {
        int64_t n;
        const char *text = meta_annotation(pod, annotation);
        return text && sv_to_int64(sv_of(text), &n) && n >= 0 && n <= INT32_MAX ? n : 0;
}

int64_t job_pod_index(yyjson_val *pod) {
        int64_t n;
        const char *text = meta_annotation(pod, JOB_INDEX);
        return text && sv_to_int64(sv_of(text), &n) && n >= 0 ? n : -1;
}

bool job_index_failed(yyjson_val *job_spec, yyjson_val *pod) {
        if (!job_pod_failed(job_spec, pod))
                return false;
        enum failure_action action = job_failure_action(job_spec, pod, NULL);
        return action == FAILURE_FAIL_INDEX ||
               (action != FAILURE_IGNORE && count_of(pod, JOB_INDEX_FAILURES) >= json_get_int(job_spec, "backoffLimitPerIndex", 0));
}

void job_index_counts(yyjson_val *job_spec, yyjson_val *replaced, int64_t *ret_failures, int64_t *ret_ignored) {
        *ret_failures = *ret_ignored = 0;
        if (!replaced)
                return;
        *ret_failures = count_of(replaced, JOB_INDEX_FAILURES);
        *ret_ignored = count_of(replaced, JOB_INDEX_IGNORED);
        ++*(job_failure_action(job_spec, replaced, NULL) == FAILURE_IGNORE ? ret_ignored : ret_failures);
}

int64_t job_index_all_failures(yyjson_val *pod) { return count_of(pod, JOB_INDEX_FAILURES) + count_of(pod, JOB_INDEX_IGNORED); }

/* ---- successPolicy ---- */

int job_success_rule(yyjson_val *job_spec, const struct index_set *succeeded) {
        if (!succeeded->len)
                return -1;
        EACH(rule, i, json_at(job_spec, "/successPolicy/rules")) {
                const char *indexes = json_get_str(rule, "succeededIndexes");
                yyjson_val *count = yyjson_obj_get(rule, "succeededCount");
                AUTO(index_set) struct index_set wanted = {0};
                if (!indexes) {
                        if (count && index_set_total(succeeded) >= yyjson_get_sint(count))
                                return (int)i;
                        continue;
                }
                index_set_parse(&wanted, indexes, json_get_int(job_spec, "completions", 0));
                int64_t have = index_set_common(&wanted, succeeded);
                if (wanted.len && (have == index_set_total(&wanted) || (count && have >= yyjson_get_sint(count))))
                        return (int)i;
        }
        return -1;
}

/* ---- pauses ---- */

static bool is_sidecar(yyjson_val *pod, const char *name) {
        EACH(container, i, json_at(pod, "/spec/initContainers")) {
                if (streq_null(json_get_str(container, "name"), name))
                        return streq_null(json_get_str(container, "restartPolicy"), "Always");
        }
        return false;
}

/* The latest end of the containers; 0 when one of them has not ended. */
static int64_t containers_ended_ms(yyjson_val *pod) {
        int64_t last = 0;
        EACH(status, i, json_at(pod, "/status/containerStatuses")) {
                int64_t at = time_of(json_str_at(status, "/state/terminated/finishedAt"));
                if (!at)
                        return 0;
                last = at > last ? at : last;
        }
        EACH(sidecar, k, json_at(pod, "/status/initContainerStatuses")) {
                int64_t at = time_of(json_str_at(sidecar, "/state/terminated/finishedAt"));
                if (!is_sidecar(pod, text_or_empty(json_get_str(sidecar, "name"))))
                        continue;
                if (!at)
                        return 0;
                last = at > last ? at : last;
        }
        return last;
}

int64_t job_pod_ended_ms(yyjson_val *pod) {
        int64_t at = containers_ended_ms(pod);
        if (!at && meta_condition_is(pod, "Ready", "False"))
                at = time_of(json_get_str(meta_condition(pod, "Ready"), "lastTransitionTime"));
        if (!at && meta_is_deleting(pod))
                at = time_of(json_str_at(pod, "/metadata/deletionTimestamp")) -
                     json_int_at(pod, "/metadata/deletionGracePeriodSeconds", 0) * 1000;
        return at ? at : time_of(json_str_at(pod, "/metadata/creationTimestamp"));
}

int64_t job_pause_ms(int64_t failures) {
        int64_t pause = failures > 0 ? FIRST_PAUSE_MS : 0;
        for (int64_t i = 1; i < failures && pause < LAST_PAUSE_MS; i++)
                pause *= 2;
        return pause < LAST_PAUSE_MS ? pause : LAST_PAUSE_MS;
}
