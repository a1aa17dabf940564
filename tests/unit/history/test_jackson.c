#include "history/jackson.h"

#include <math.h>

#include "unit/test.h"

TEST(objects_and_arrays_look_as_jackson_s) {
        AUTO(str) struct str s = STR_INIT(0);
        struct jackson j = JACKSON_INIT(&s);
        jackson_array(&j);
        jackson_object(&j);
        jackson_member_int(&j, "id", -7);
        jackson_key(&j, "none");
        jackson_array(&j);
        jackson_end_array(&j);
        jackson_key(&j, "pairs");
        jackson_array(&j);
        jackson_array(&j);
        jackson_string(&j, SV("a"));
        jackson_string(&j, SV_NULL);
        jackson_end_array(&j);
        jackson_double(&j, 0.5);
        jackson_end_array(&j);
        jackson_key(&j, "empty");
        jackson_object(&j);
        jackson_end_object(&j);
        jackson_end_object(&j);
        jackson_object(&j);
        jackson_member_bool(&j, "b", true);
        jackson_member_string(&j, "absent", SV_NULL);
        jackson_end_object(&j);
        jackson_end_array(&j);
        assert_string_equal(
                str_cstr(&s),
                "[ {\n  \"id\" : -7,\n  \"none\" : [ ],\n  \"pairs\" : [ [ \"a\", null ], 0.5 ],\n  \"empty\" : { }\n}, {\n  \"b\" : true\n} ]");
}

TEST(texts_are_escaped_and_odd_numbers_are_strings) {
        AUTO(str) struct str s = STR_INIT(0);
        struct jackson j = JACKSON_INIT(&s);
        jackson_array(&j);
        jackson_string(&j, sv_new("a\"\\\n\t\x01\0é", 9));
        jackson_double(&j, NAN);
        jackson_double(&j, 1e7);
        jackson_int(&j, INT64_MIN);
        jackson_end_array(&j);
        assert_string_equal(str_cstr(&s), "[ \"a\\\"\\\\\\n\\t\\u0001\\u0000é\", \"NaN\", 1.0E7, -9223372036854775808 ]");
}

TEST(dates_are_gmt_with_milliseconds) {
        char text[40];
        jackson_format_date(0, text);
        assert_string_equal(text, "1970-01-01T00:00:00.000GMT");
        jackson_format_date(-1, text);
        assert_string_equal(text, "1969-12-31T23:59:59.999GMT");
        jackson_format_date(1795229497081, text);
        assert_string_equal(text, "2026-11-21T02:51:37.081GMT");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(objects_and_arrays_look_as_jackson_s),
                cmocka_unit_test(texts_are_escaped_and_odd_numbers_are_strings),
                cmocka_unit_test(dates_are_gmt_with_milliseconds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
