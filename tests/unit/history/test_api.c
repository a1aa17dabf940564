#include "history/api.h"

#include "unit/test.h"

static int64_t date(const char *text) {
        int64_t ms = -12345;
        assert_true(api_parse_date(text, &ms));
        return ms;
}

TEST(dates_are_read_as_leniently_as_java_reads_them) {
        assert_int_equal(date("1970-01-01"), 0);
        assert_int_equal(date("1970-01-02T00:00:01.500GMT"), 86401500);
        assert_int_equal(date("1970-01-01T01:00:00.000CET"), 0);
        assert_int_equal(date("1970-01-01T01:00:00.000+0100"), 0);
        assert_int_equal(date("1970-01-01T00:00:00.000GMT-01:30"), 5400000);
        assert_int_equal(date("1970-13-01"), date("1971-01-01"));
        assert_int_equal(date("1970-01-32"), date("1970-02-01"));
        assert_int_equal(date("1970-01-01 and more"), 0);
        assert_int_equal(date("1970-01-01T10:00"), 0); /* no time of the full form: only the day counts */
        int64_t ms;
        assert_int_equal(date(" 1970-\t01- 02"), 86400000);
        assert_int_equal(date("4294969266-01-01"), date("1970-01-01")); /* an int of Java's */
        assert_int_equal(date("1970-01-01T10:00:00.000GMT-25:00"), 0);
        assert_int_equal(date("1970-01-01T10:00:00.000+2400"), 0);
        assert_false(api_parse_date("garbage", &ms));
        assert_false(api_parse_date("", &ms));
        assert_false(api_parse_date("2020/01/01", &ms));
}

static struct listing *empty(void) {
        struct listing *l = NEW(struct listing);
        l->refs = 1;
        return l;
}

static int status_of(const char *path, const char *query) {
        AUTO(listing) struct listing *l = empty();
        struct api_settings settings = {0};
        struct api_plan p;
        struct rest_answer a = {0};
        AUTO(free) char *uri = xasprintf("/api/v1/%s", path);
        api_plan(l, &settings, path, uri, query, 0, &p, &a);
        int status = a.status;
        api_plan_done(&p);
        str_done(&a.body);
        return status;
}

TEST(unknown_paths_and_parameters_are_refused_as_the_original_does) {
        assert_int_equal(status_of("version", NULL), 200);
        assert_int_equal(status_of("applications", NULL), 200);
        assert_int_equal(status_of("applications/", "status=RUNNING&status=completed"), 200);
        assert_int_equal(status_of("applications", "status=bogus"), 404);
        assert_int_equal(status_of("applications", "limit=x"), 404);
        assert_int_equal(status_of("applications", "minDate=garbage"), 400);
        assert_int_equal(status_of("nothing", NULL), 404);
        assert_int_equal(status_of("applications/a/jobs", "status=bogus"), 404);
        assert_int_equal(status_of("applications/a/stages/99999999999", NULL), 404);
}

TEST(empty_words_stand_for_nothing) {
        assert_int_equal(status_of("applications", "status="), 200);
        assert_int_equal(status_of("applications", "minDate=&maxEndDate="), 200);
        assert_int_equal(status_of("applications", "minDate=+"), 400);
        assert_int_equal(status_of("applications/a/streaming/batches", "status=bogus"), 404);
}

TEST(paths_that_can_be_misread_are_refused_and_their_parameters_ignored) {
        assert_int_equal(status_of("version;a=b", NULL), 200);
        assert_int_equal(status_of("applications;a=b/", NULL), 200);
        assert_int_equal(status_of("applications//", NULL), 400);
        assert_int_equal(status_of("applications/%2E%2e/version", NULL), 400);
        assert_int_equal(status_of("applications/.%2e", NULL), 400);
        assert_int_equal(status_of("applications/..", NULL), 404);
        assert_int_equal(status_of("applications/%2e%2e%2e", NULL), 404);
        assert_int_equal(status_of("applications/a%", NULL), 400);
        assert_int_equal(status_of("applications/a%2", NULL), 400);
        assert_int_equal(status_of("applications/a%00b", NULL), 400);
        assert_int_equal(status_of("applications/a%2fb", NULL), 404);
        assert_int_equal(status_of("applications", "x=%zz"), 400);
        assert_int_equal(status_of("applications", "status=completed%00"), 404);
}

TEST(access_follows_users_groups_and_stars) {
        struct acl acl = {.enabled = true, .own_user = xstrdup("spark")};
        strv_add(&acl.admins, "root");
        struct log_record r = {.user = xstrdup("ann"), .view_acls = xstrdup("bob, carl"), .view_groups = xstrdup("staff")};
        assert_true(acl_allows(&acl, &r, NULL, NULL));
        assert_true(acl_allows(&acl, &r, "ann", NULL));
        assert_true(acl_allows(&acl, &r, "carl", NULL));
        assert_true(acl_allows(&acl, &r, "root", NULL));
        assert_true(acl_allows(&acl, &r, "spark", NULL));
        assert_true(acl_allows(&acl, &r, "eve", "guests,staff"));
        assert_false(acl_allows(&acl, &r, "eve", "guests"));
        assert_false(acl_allows(&acl, &r, "", NULL));
        free(r.view_acls);
        r.view_acls = xstrdup("*");
        assert_true(acl_allows(&acl, &r, "eve", NULL));
        acl.enabled = false;
        assert_true(acl_allows(&acl, &r, "nobody", NULL));
        free(r.user);
        free(r.view_acls);
        free(r.view_groups);
        acl_done(&acl);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(dates_are_read_as_leniently_as_java_reads_them),
                cmocka_unit_test(unknown_paths_and_parameters_are_refused_as_the_original_does),
                cmocka_unit_test(empty_words_stand_for_nothing),
                cmocka_unit_test(paths_that_can_be_misread_are_refused_and_their_parameters_ignored),
                cmocka_unit_test(access_follows_users_groups_and_stars),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
