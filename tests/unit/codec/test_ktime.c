#include "codec/ktime.h"

#include "unit/test.h"

TEST(times_go_both_ways) {
        char text[KTIME_SIZE];
        int64_t us;
        assert_true(ktime_parse(SV("2026-02-28T23:59:59Z"), &us));
        ktime_format(us / 1000, text);
        assert_string_equal(text, "2026-02-28T23:59:59Z");
        assert_true(ktime_parse(SV("2024-02-29T01:30:00.000123456+01:30"), &us));
        ktime_format_micro(us, text);
        assert_string_equal(text, "2024-02-29T00:00:00.000123Z");
        ktime_format(-1000, text);
        assert_string_equal(text, "1969-12-31T23:59:59Z");
        http_date_format(1767322800000, text);
        assert_string_equal(text, "Fri, 02 Jan 2026 03:00:00 GMT");
}

TEST(impossible_times_are_refused) {
        const char *bad[] = {"2023-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z",
                             "2026-01-01T00:00:00",  "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "x"};
        int64_t us;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(ktime_parse(sv_of(bad[i]), &us));
}

TEST(durations_are_go_durations) {
        static const struct {
                const char *text;
                int64_t ms;
        } cases[] = {{"1h30m", 5400000}, {"1.5s", 1500}, {"300ms", 300}, {"-2m", -120000}, {"0", 0}, {"1us", 0}};
        int64_t ms;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                assert_true(duration_parse(sv_of(cases[i].text), &ms));
                assert_int_equal(ms, cases[i].ms);
        }
        const char *bad[] = {"", "5", "1x", "s", "1h 2m", "-"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(duration_parse(sv_of(bad[i]), &ms));
}

TEST(ages_read_as_kubectl_prints_them) {
        static const struct {
                int64_t s;
                const char *text;
        } cases[] = {{5, "5s"},     {119, "119s"},    {120, "2m"},    {200, "3m20s"},   {601, "10m"},
                     {10800, "3h"}, {12000, "3h20m"}, {90000, "25h"}, {187200, "2d4h"}, {700000, "8d"}};
        char text[KTIME_SIZE];
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                duration_human(cases[i].s * 1000, text);
                assert_string_equal(text, cases[i].text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times_go_both_ways),
                cmocka_unit_test(impossible_times_are_refused),
                cmocka_unit_test(durations_are_go_durations),
                cmocka_unit_test(ages_read_as_kubectl_prints_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
