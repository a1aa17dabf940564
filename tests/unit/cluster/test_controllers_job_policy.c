#include "cluster/controllers/job_policy.h"
#include "unit/test_json.h"

/* ---- sets of indexes ---- */

static void assert_set(const struct index_set *s, const char *text, int64_t total) {
        AUTO(free) char *is = index_set_text(s);
        assert_string_equal(is, text);
        assert_int_equal(index_set_total(s), total);
}

static void indexes_are_read_and_written(void **state) {
        static const struct {
                const char *text, *written;
                int64_t limit, total;
        } cases[] = {
                {NULL, "", 10, 0},         {"", "", 10, 0},           {"3", "3", 10, 1},
                {"0,1", "0,1", 10, 2},     {"0-1", "0,1", 10, 2},     {"0,1,2", "0-2", 10, 3},
                {"0-2,5", "0-2,5", 10, 4}, {"0-9", "0-3", 4, 4},      {"1,7-9", "1", 4, 1},
                {"5,0-2", "0-2,5", 10, 4}, {"0-4,2-7", "0-7", 10, 8}, {"a,1,2-x,-3", "1", 9, 1},
                {"4-2", "", 10, 0},        {"1-2-3", "", 10, 0},      {"0-2147483646", "0-2147483646", INT32_MAX, INT32_MAX},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(index_set) struct index_set s = {0};
                index_set_parse(&s, cases[i].text, cases[i].limit);
                assert_set(&s, cases[i].written, cases[i].total);
        }
}

static void neighbours_become_one_range_in_any_order(void **state) {
        AUTO(index_set) struct index_set s = {0};
        static const int64_t order[] = {7, 3, 5, 9, 4, 0, 8, 6, 3, 1};
        bool in[12] = {false};
        for (size_t i = 0; i < ARRAY_LEN(order); i++) {
                index_set_add(&s, order[i]);
                in[order[i]] = true;
                for (int64_t k = 0; k < (int64_t)ARRAY_LEN(in); k++)
                        assert_int_equal(index_set_has(&s, k), in[k]);
        }
        assert_set(&s, "0,1,3-9", 9);
        assert_int_equal(s.len, 2);
        index_set_add(&s, 2);
        assert_set(&s, "0-9", 10);
        assert_int_equal(s.len, 1);
}

static void sets_are_joined_and_compared(void **state) {
        AUTO(index_set) struct index_set a = {0}, b = {0}, none = {0};
        index_set_parse(&a, "0-3,8,10-12", 20);
        index_set_parse(&b, "2-8,12-15", 20);
        assert_int_equal(index_set_common(&a, &b), 4);
        assert_int_equal(index_set_common(&b, &a), 4);
        assert_int_equal(index_set_common(&a, &none), 0);
        index_set_add_all(&a, &b);
        assert_set(&a, "0-8,10-15", 15);
}

/* ---- failures ---- */

#define POD(more) "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"status\":{\"phase\":\"Failed\"" more "}}"
#define ENDED(name, code) "{\"name\":\"" name "\",\"state\":{\"terminated\":{\"exitCode\":" #code "}}}"
#define CONTAINERS(list) ",\"containerStatuses\":[" list "]"
#define INIT(list) ",\"initContainerStatuses\":[" list "]"
#define CONDITION(type, status) ",\"conditions\":[{\"type\":\"" type "\",\"status\":\"" status "\"}]"
#define CODES(action, operator, values, more)                                                                                              \
        "{\"action\":\"" action "\",\"onExitCodes\":{\"operator\":\"" operator"\",\"values\":[" values "]" more "}}"
#define PATTERN(action, type, status) "{\"action\":\"" action "\",\"onPodConditions\":[{\"type\":\"" type "\",\"status\":\"" status "\"}]}"
#define POLICY(rules) "{\"podFailurePolicy\":{\"rules\":[" rules "]}}"

static void the_first_rule_that_matches_decides(void **state) {
        static const struct {
                const char *spec, *pod;
                enum failure_action action;
                const char *message;
        } cases[] = {
                {"{}", POD(CONTAINERS(ENDED("c", 1))), FAILURE_COUNT, NULL},
                {POLICY(""), POD(CONTAINERS(ENDED("c", 1))), FAILURE_COUNT, NULL},
                {POLICY(CODES("FailJob", "In", "3,42", "")), POD(CONTAINERS(ENDED("c", 42))), FAILURE_FAIL_JOB,
                 "Container c for pod n/p failed with exit code 42 matching FailJob rule at index 0"},
                {POLICY(CODES("FailJob", "In", "3,42", "")), POD(CONTAINERS(ENDED("c", 4))), FAILURE_COUNT, NULL},
                {POLICY(CODES("Ignore", "NotIn", "3", "")), POD(CONTAINERS(ENDED("c", 4))), FAILURE_IGNORE, NULL},
                {POLICY(CODES("Ignore", "NotIn", "3", "")), POD(CONTAINERS(ENDED("c", 3))), FAILURE_COUNT, NULL},
                /* success is no exit code of a failure */
                {POLICY(CODES("Ignore", "NotIn", "3", "")), POD(CONTAINERS(ENDED("c", 0))), FAILURE_COUNT, NULL},
                /* a container that still runs has none */
                {POLICY(CODES("Ignore", "NotIn", "3", "")), POD(CONTAINERS("{\"name\":\"c\",\"state\":{\"running\":{}}}")), FAILURE_COUNT,
                 NULL},
                {POLICY(CODES("FailJob", "In", "1", ",\"containerName\":\"b\"")), POD(CONTAINERS(ENDED("a", 1) "," ENDED("b", 2))),
                 FAILURE_COUNT, NULL},
                {POLICY(CODES("FailJob", "In", "1", ",\"containerName\":\"b\"")), POD(CONTAINERS(ENDED("a", 2) "," ENDED("b", 1))),
                 FAILURE_FAIL_JOB, "Container b for pod n/p failed with exit code 1 matching FailJob rule at index 0"},
                {POLICY(CODES("FailJob", "In", "7", "")), POD(CONTAINERS(ENDED("c", 1)) INIT(ENDED("i", 7))), FAILURE_FAIL_JOB,
                 "Container i for pod n/p failed with exit code 7 matching FailJob rule at index 0"},
                {POLICY(CODES("Count", "In", "1", "") "," CODES("FailJob", "In", "1", "")), POD(CONTAINERS(ENDED("c", 1))), FAILURE_COUNT,
                 NULL},
                {POLICY(CODES("Ignore", "In", "1", "") "," CODES("FailIndex", "In", "2", "")), POD(CONTAINERS(ENDED("c", 2))),
                 FAILURE_FAIL_INDEX, NULL},
                {POLICY(PATTERN("Ignore", "DisruptionTarget", "True")), POD(CONDITION("DisruptionTarget", "True")), FAILURE_IGNORE, NULL},
                {POLICY(PATTERN("Ignore", "DisruptionTarget", "True")), POD(CONDITION("DisruptionTarget", "False")), FAILURE_COUNT, NULL},
                {POLICY(CODES("Ignore", "In", "1", "") "," PATTERN("FailJob", "Broken", "False")), POD(CONDITION("Broken", "False")),
                 FAILURE_FAIL_JOB, "Pod n/p has condition Broken matching FailJob rule at index 1"},
                /* an action of a later version is passed over */
                {POLICY(CODES("Explode", "In", "1", "") "," CODES("Ignore", "In", "1", "")), POD(CONTAINERS(ENDED("c", 1))), FAILURE_IGNORE,
                 NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *spec = parse(cases[i].spec), *pod = parse(cases[i].pod);
                AUTO(free) char *message = NULL;
                assert_int_equal(job_failure_action(yyjson_doc_get_root(spec), yyjson_doc_get_root(pod), &message), cases[i].action);
                assert_int_equal(job_failure_action(yyjson_doc_get_root(spec), yyjson_doc_get_root(pod), NULL), cases[i].action);
                if (cases[i].message)
                        assert_string_equal(message, cases[i].message);
                else
                        assert_null(message);
        }
}

static void a_pod_that_is_deleted_has_failed_unless_only_failed_ones_are_replaced(void **state) {
        static const struct {
                const char *spec, *phase;
                bool deleting, failed;
        } cases[] = {
                {"{}", "Failed", false, true},
                {"{}", "Running", false, false},
                {"{}", "Running", true, true},
                {"{}", "Succeeded", true, false},
                {"{\"podReplacementPolicy\":\"TerminatingOrFailed\"}", "Pending", true, true},
                {"{\"podReplacementPolicy\":\"Failed\"}", "Running", true, false},
                {"{\"podReplacementPolicy\":\"Failed\"}", "Failed", true, true},
                {POLICY(""), "Running", true, false},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *text =
                        xasprintf("{\"metadata\":{%s},\"status\":{\"phase\":\"%s\"}}",
                                  cases[i].deleting ? "\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"" : "", cases[i].phase);
                AUTO(json) yyjson_doc *spec = parse(cases[i].spec), *pod = parse(text);
                assert_int_equal(job_pod_failed(yyjson_doc_get_root(spec), yyjson_doc_get_root(pod)), cases[i].failed);
        }
}

#define INDEXED_POD(failures, ignored, code)                                                                                               \
        "{\"metadata\":{\"annotations\":{\"" JOB_INDEX "\":\"3\",\"" JOB_INDEX_FAILURES "\":\"" failures "\",\"" JOB_INDEX_IGNORED         \
        "\":\"" ignored "\"}},\"status\":{\"phase\":\"Failed\",\"containerStatuses\":[" ENDED("c", code) "]}}"
#define PER_INDEX(limit, rules) "{\"backoffLimitPerIndex\":" #limit ",\"podFailurePolicy\":{\"rules\":[" rules "]}}"

static void an_index_fails_beyond_its_own_limit(void **state) {
        static const char rules[] = PER_INDEX(2, CODES("FailIndex", "In", "9", "") "," CODES("Ignore", "In", "8", ""));
        static const struct {
                const char *pod;
                bool failed;
                int64_t failures, ignored; /* of the next pod */
        } cases[] = {
                {INDEXED_POD("0", "0", 1), false, 1, 0},  {INDEXED_POD("1", "0", 1), false, 2, 0},
                {INDEXED_POD("2", "0", 1), true, 3, 0},   {INDEXED_POD("2", "0", 8), false, 2, 1},
                {INDEXED_POD("0", "5", 8), false, 0, 6},  {INDEXED_POD("0", "0", 9), true, 1, 0},
                {INDEXED_POD("x", "-2", 1), false, 1, 0}, {INDEXED_POD("99999999999", "0", 1), false, 1, 0},
        };
        AUTO(json) yyjson_doc *spec = parse(rules);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *doc = parse(cases[i].pod);
                yyjson_val *pod = yyjson_doc_get_root(doc);
                int64_t failures, ignored;
                assert_int_equal(job_pod_index(pod), 3);
                assert_int_equal(job_index_failed(yyjson_doc_get_root(spec), pod), cases[i].failed);
                job_index_counts(yyjson_doc_get_root(spec), pod, &failures, &ignored);
                assert_int_equal(failures, cases[i].failures);
                assert_int_equal(ignored, cases[i].ignored);
        }
        int64_t failures = 9, ignored = 9;
        job_index_counts(yyjson_doc_get_root(spec), NULL, &failures, &ignored);
        assert_int_equal(failures + ignored, 0);
}

/* ---- successes ---- */

static void enough_has_succeeded_when_a_rule_says_so(void **state) {
        static const struct {
                const char *rules, *succeeded;
                int rule;
        } cases[] = {
                {"{\"succeededCount\":2}", "", -1},
                {"{\"succeededCount\":2}", "4", -1},
                {"{\"succeededCount\":2}", "4,9", 0},
                {"{\"succeededIndexes\":\"0,3-5\"}", "0,3,4", -1},
                {"{\"succeededIndexes\":\"0,3-5\"}", "0-8", 0},
                {"{\"succeededIndexes\":\"0,3-5\",\"succeededCount\":2}", "1,2,5", -1},
                {"{\"succeededIndexes\":\"0,3-5\",\"succeededCount\":2}", "3,5", 0},
                {"{\"succeededIndexes\":\"0\"},{\"succeededCount\":1}", "7", 1},
                {"{\"succeededIndexes\":\"\"},{\"succeededIndexes\":\"12\"}", "0-9", -1},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *text = xasprintf("{\"completions\":10,\"successPolicy\":{\"rules\":[%s]}}", cases[i].rules);
                AUTO(json) yyjson_doc *spec = parse(text);
                AUTO(index_set) struct index_set succeeded = {0};
                index_set_parse(&succeeded, cases[i].succeeded, 10);
                assert_int_equal(job_success_rule(yyjson_doc_get_root(spec), &succeeded), cases[i].rule);
        }
}

/* ---- pauses ---- */

static void the_end_of_a_pod_is_taken_from_the_best_source(void **state) {
        static const struct {
                const char *pod;
                int64_t ended_s;
        } cases[] = {
                {"{\"metadata\":{\"creationTimestamp\":\"1970-01-01T00:00:05Z\"}}", 5},
                {"{\"metadata\":{\"creationTimestamp\":\"1970-01-01T00:00:05Z\",\"deletionTimestamp\":\"1970-01-01T00:01:00Z\",\"deletionGracePeriodSeconds\":30}}",
                 30},
                {"{\"metadata\":{\"deletionTimestamp\":\"1970-01-01T00:01:00Z\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
                 "\"lastTransitionTime\":\"1970-01-01T00:00:20Z\"}]}}",
                 20},
                {"{\"status\":{\"containerStatuses\":[{\"state\":{\"terminated\":{\"finishedAt\":\"1970-01-01T00:00:09Z\"}}},{\"state\":{\"terminated\":{\"finishedAt\":"
                 "\"1970-01-01T00:00:07Z\"}}}]}}",
                 9},
                {"{\"metadata\":{\"creationTimestamp\":\"1970-01-01T00:00:05Z\"},\"status\":{\"containerStatuses\":[{\"state\":{\"terminated\":{\"finishedAt\":"
                 "\"1970-01-01T00:00:09Z\"}}},{\"state\":{\"running\":{}}}]}}",
                 5},
                {"{\"spec\":{\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"},{\"name\":\"i\"}]},\"status\":{\"containerStatuses\":[{\"state\":{\"terminated\":{"
                 "\"finishedAt\":\"1970-01-01T00:00:09Z\"}}}],\"initContainerStatuses\":[{\"name\":\"s\",\"state\":{\"terminated\":{\"finishedAt\":\"1970-01-01T00:00:11Z\"}}},"
                 "{\"name\":\"i\",\"state\":{\"terminated\":{\"finishedAt\":\"1970-01-01T00:00:30Z\"}}}]}}",
                 11},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *pod = parse(cases[i].pod);
                assert_int_equal(job_pod_ended_ms(yyjson_doc_get_root(pod)), cases[i].ended_s * 1000);
        }
}

static void pauses_double_up_to_ten_minutes(void **state) {
        static const int64_t seconds[] = {0, 10, 20, 40, 80, 160, 320, 600, 600};
        for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
                assert_int_equal(job_pause_ms((int64_t)i), seconds[i] * 1000);
        assert_int_equal(job_pause_ms(INT32_MAX), 600000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(indexes_are_read_and_written),
                cmocka_unit_test(neighbours_become_one_range_in_any_order),
                cmocka_unit_test(sets_are_joined_and_compared),
                cmocka_unit_test(the_first_rule_that_matches_decides),
                cmocka_unit_test(a_pod_that_is_deleted_has_failed_unless_only_failed_ones_are_replaced),
                cmocka_unit_test(an_index_fails_beyond_its_own_limit),
                cmocka_unit_test(enough_has_succeeded_when_a_rule_says_so),
                cmocka_unit_test(the_end_of_a_pod_is_taken_from_the_best_source),
                cmocka_unit_test(pauses_double_up_to_ten_minutes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
