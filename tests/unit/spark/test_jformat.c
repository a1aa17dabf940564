#include "spark/jformat.h"

#include <math.h>

#include "unit/test.h"

static void is(void (*f)(struct str *, int64_t), int64_t v, const char *wanted) {
        AUTO(str) struct str s = STR_INIT(0);
        f(&s, v);
        assert_string_equal(str_cstr(&s), wanted);
}

static void is_double(double v, const char *wanted) {
        AUTO(str) struct str s = STR_INIT(0);
        jformat_double(&s, v);
        assert_string_equal(str_cstr(&s), wanted);
}

static void is_fixed(double v, int decimals, const char *wanted) {
        AUTO(str) struct str s = STR_INIT(0);
        jformat_fixed(&s, v, decimals);
        assert_string_equal(str_cstr(&s), wanted);
}

TEST(doubles_are_written_as_java_writes_them) {
        is_double(0, "0.0");
        is_double(-0.0, "-0.0");
        is_double(1, "1.0");
        is_double(0.05, "0.05");
        is_double(0.001, "0.001");
        is_double(0.0009, "9.0E-4");
        is_double(9999999, "9999999.0");
        is_double(10000000, "1.0E7");
        is_double(12345678.5, "1.23456785E7");
        is_double(NAN, "NaN");
        is_double(-INFINITY, "-Infinity");
}

TEST(fixed_decimals_round_half_up_on_the_shortest_form) {
        is_fixed(0.25, 1, "0.3");
        is_fixed(0.35, 1, "0.4");
        is_fixed(0.04, 1, "0.0");
        is_fixed(0.05, 1, "0.1");
        is_fixed(9.96, 1, "10.0");
        is_fixed(99.5, 0, "100");
        is_fixed(-1.25, 1, "-1.3");
        is_fixed(1234.0, 2, "1234.00");
}

TEST(sizes_change_unit_at_twice_the_unit) {
        is(jformat_bytes, 0, "0.0 B");
        is(jformat_bytes, 2047, "2047.0 B");
        is(jformat_bytes, 2048, "2.0 KiB");
        is(jformat_bytes, 2 * 1024 * 1024 - 1, "2048.0 KiB");
        is(jformat_bytes, (int64_t)5 << 30, "5.0 GiB");
        is(jformat_bytes, INT64_MAX, "8.0 EiB");
}

TEST(durations_are_spark_s) {
        is(jformat_duration, 999, "999 ms");
        is(jformat_duration, 1050, "1.0 s"); /* a float, a little less than 1.05 */
        is(jformat_duration, 90000, "1.5 m");
        is(jformat_duration, 5400000, "1.50 h");
        is(jformat_ui_duration, 99, "99 ms");
        is(jformat_ui_duration, 500, "0.5 s");
        is(jformat_ui_duration, 59400, "59 s");
        is(jformat_ui_duration, 90000, "1.5 min");
        is(jformat_ui_duration, 7200000, "2.0 h");
}

TEST(numbers_are_grouped_by_threes) {
        is(jformat_grouped, 0, "0");
        is(jformat_grouped, 999, "999");
        is(jformat_grouped, -1234567, "-1,234,567");
        is(jformat_tenths, 12, "1.2");
        is(jformat_tenths, 10000, "1,000");
}

TEST(doubles_are_read_as_java_reads_them) {
        double v;
        assert_true(jformat_parse_double(SV(" 0.5 "), &v) && v == 0.5);
        assert_true(jformat_parse_double(SV("1e3"), &v) && v == 1000);
        assert_true(jformat_parse_double(SV("1d"), &v) && v == 1);
        assert_true(jformat_parse_double(SV("-Infinity"), &v) && v < 0);
        assert_true(jformat_parse_double(SV("NaN"), &v) && v != v);
        static const char *const bad[] = {"", "foo", "1x", "nan", "inf", "0x", "--1", "1 2"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(jformat_parse_double(sv_of(bad[i]), &v));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(doubles_are_written_as_java_writes_them),
                cmocka_unit_test(fixed_decimals_round_half_up_on_the_shortest_form),
                cmocka_unit_test(sizes_change_unit_at_twice_the_unit),
                cmocka_unit_test(durations_are_spark_s),
                cmocka_unit_test(numbers_are_grouped_by_threes),
                cmocka_unit_test(doubles_are_read_as_java_reads_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
