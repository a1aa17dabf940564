#include "kobj/invalid.h"

#include "unit/test.h"

TEST(each_kind_of_item_has_its_words) {
        AUTO(invalid) struct invalid bad = {0};
        static const char *const expected[] = {
                "Invalid value: -9223372036854775808: must be at least 1",
                "Invalid value: 7",
                "Forbidden: may not be set for Job",
                "Duplicate value: \"a\\\"b\"",
                "Not found: \"vol\"",
                "Invalid value: \"x\": must be y",
                "Required value",
                "Unsupported value: \"x\": supported values: \"a\", \"b\"",
        };
        invalid_int(&bad, "spec.n", INT64_MIN, "must be at least %d", 1);
        invalid_int(&bad, "spec.n", 7, NULL);
        invalid_forbidden(&bad, "spec.s", "may not be set for %s", "Job");
        invalid_duplicate(&bad, "spec.list[1]", "a\"b");
        invalid_not_found(&bad, "spec.list[2]", "vol");
        invalid_string(&bad, "spec.s", "x", "must be %s", "y");
        invalid_required(&bad, "spec.r", NULL);
        invalid_not_supported(&bad, "spec.c", "x", (const char *const[]){"a", "b", NULL});
        assert_int_equal(bad.len, ARRAY_LEN(expected));
        for (size_t i = 0; i < bad.len; i++)
                assert_string_equal(bad.items[i].message, expected[i]);
        assert_string_equal(bad.items[0].field, "spec.n");
        assert_int_equal(bad.items[2].type, INVALID_FORBIDDEN);
}

TEST(an_item_that_is_said_twice_is_shown_once) {
        AUTO(invalid) struct invalid bad = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(invalid_err(&bad, "batch", "Job", "j", &err), 0);
        invalid_duplicate(&bad, "spec.list", "a");
        invalid_duplicate(&bad, "spec.list", "a");
        assert_int_equal(invalid_err(&bad, "batch", "Job", "j", &err), -EINVAL);
        assert_string_equal(err_message(&err), "Job.batch \"j\" is invalid: spec.list: Duplicate value: \"a\"");
        invalid_forbidden(&bad, "spec", "no");
        assert_int_equal(invalid_err(&bad, "batch", "Job", "j", &err), -EINVAL);
        assert_string_equal(err_message(&err), "Job.batch \"j\" is invalid: [spec.list: Duplicate value: \"a\", spec: Forbidden: no]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_kind_of_item_has_its_words),
                cmocka_unit_test(an_item_that_is_said_twice_is_shown_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
