#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"
#include "base/str.h"
#include "rules/doctor.h"

static struct err err;

/* The most convincing rule for these facts; NULL when there is none. */
static const char *first(const struct doctor_facts *facts, const char *line) {
        static char id[32];
        AUTO(strv) struct strv log = {0};
        AUTO(doctor_findings) struct doctor_findings findings = {0};
        struct doctor_facts f = *facts;
        if (line) {
                strv_add(&log, "an ordinary line");
                strv_add(&log, line);
                f.log = &log;
        }
        if (doctor_match(&f, &findings, &err) < 0)
                fail_msg("%s", err_message(&err));
        if (findings.len == 0)
                return NULL;
        snprintf(id, sizeof id, "%s", findings.items[0].rule->id);
        return id;
}

static void every_rule_is_whole(void **state) {
        const struct doctor_rule *const *all;
        int n = doctor_rules(&all, &err);
        if (n < 0)
                fail_msg("%s", err_message(&err));
        assert_true(n > 100);
        AUTO(map) struct map ids = MAP_INIT(NULL);
        for (int i = 0; i < n; i++) {
                assert_false(map_has(&ids, all[i]->id));
                map_set(&ids, all[i]->id, (void *)all[i]);
                assert_true(all[i]->fixes[0] != NULL);
        }
}

static void log_lines_tell_what_happened(void **state) {
        static const struct {
                const char *role, *line, *id;
        } cases[] = {
                {"driver", "pods is forbidden: User \"x\" cannot create resource \"pods\" ... Please check \"kubectl auth can-i create",
                 "D001"},
                {"driver", "io.fabric8...: cannot get resource \"pods\" in API group \"\" in the namespace \"x\"", "D002"},
                {"driver", "KubernetesClientException: Unauthorized", "D005"},
                {"driver", "python3: can't open file '/opt/spark/nope.py': [Errno 2] No such file or directory", "D132"},
                {"driver",
                 "org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage 1.0 failed 4 times, most recent",
                 "D118"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                const char *id = first(&(struct doctor_facts){.role = cases[i].role, .exit_code = 1}, cases[i].line);
                if (!id || !streq(id, cases[i].id))
                        fail_msg("%s: %s instead of %s", cases[i].line, id ? id : "nothing", cases[i].id);
        }
}

static void a_rule_about_executors_is_not_told_of_a_driver(void **state) {
        const struct doctor_rule *const *all;
        assert_true(doctor_rules(&all, &err) > 0);
        AUTO(doctor_findings) struct doctor_findings findings = {0};
        struct doctor_facts facts = {.role = "history", .phase = "Failed", .exit_code = 1};
        assert_int_equal(doctor_match(&facts, &findings, &err), 0);
        vec_foreach(f, &findings) {
                assert_string_not_equal(f->rule->id, "D117"); /* "application code failed" is about drivers */
        }
}

static void the_particular_comes_before_the_general(void **state) {
        /* Exit code 1 alone says only that the application failed; the log says why. */
        assert_string_equal(first(&(struct doctor_facts){.role = "driver", .phase = "Failed", .exit_code = 1}, NULL), "D117");
        assert_string_not_equal(first(&(struct doctor_facts){.role = "driver", .phase = "Failed", .exit_code = 1},
                                      "KubernetesClientException: Unauthorized"),
                                "D117");
}

static void facts_that_show_nothing_find_nothing(void **state) {
        assert_null(first(&(struct doctor_facts){.role = "driver", .phase = "Running", .exit_code = -1}, "INFO all is well"));
        assert_null(first(&(struct doctor_facts){.exit_code = 0}, NULL));
}

static void a_hostile_line_costs_bounded_time(void **state) {
        AUTO(str) struct str line = STR_INIT(0);
        for (int i = 0; i < 200000; i++)
                str_append_s(&line, i % 7 ? "a " : "\xff(");
        (void)first(&(struct doctor_facts){.role = "driver", .exit_code = -1}, str_cstr(&line));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_rule_is_whole),
                cmocka_unit_test(log_lines_tell_what_happened),
                cmocka_unit_test(a_rule_about_executors_is_not_told_of_a_driver),
                cmocka_unit_test(the_particular_comes_before_the_general),
                cmocka_unit_test(facts_that_show_nothing_find_nothing),
                cmocka_unit_test(a_hostile_line_costs_bounded_time),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
