#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/cron.h"
#include "codec/ktime.h"

static int64_t at(const char *text) {
        int64_t us;
        if (!ktime_parse(sv_of(text), &us))
                fail_msg("%s", text);
        return us / 1000000;
}

static void finds_the_next_time(void **state) {
        (void)state;
        static const struct {
                const char *schedule, *after, *next; /* next NULL: never */
        } cases[] = {
                {"* * * * *", "2026-01-02T03:04:05Z", "2026-01-02T03:05:00Z"},
                {"* * * * *", "2026-01-02T03:04:00Z", "2026-01-02T03:05:00Z"},
                {"*/15 * * * *", "2026-01-02T03:46:00Z", "2026-01-02T04:00:00Z"},
                {"30 2 * * *", "2026-01-02T03:00:00Z", "2026-01-03T02:30:00Z"},
                {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
                {"0 0 31 2 *", "2026-01-01T00:00:00Z", NULL},
                {"0 12 * * MON-FRI", "2026-01-02T12:00:00Z", "2026-01-05T12:00:00Z"},
                {"0 0 13 * 5", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"}, /* both named: either will do */
                {"0 0 1 jan,JUL *", "2026-01-02T00:00:00Z", "2026-07-01T00:00:00Z"},
                {"5/20 * * * *", "2026-01-02T03:06:00Z", "2026-01-02T03:25:00Z"},
                {"1-3 * * * *", "2026-01-02T03:03:00Z", "2026-01-02T04:01:00Z"},
                {"@hourly", "2026-01-02T03:04:05Z", "2026-01-02T04:00:00Z"},
                {"@weekly", "2026-01-02T03:04:05Z", "2026-01-04T00:00:00Z"},
                {"@yearly", "2026-01-02T03:04:05Z", "2027-01-01T00:00:00Z"},
                {"@every 1h30m", "2026-01-02T03:04:05Z", "2026-01-02T04:34:05Z"},
                {"@every 10ms", "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"},
                {"59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct cron c;
                AUTO(err) struct err err = ERR_INIT;
                if (cron_parse(sv_of(cases[i].schedule), &c, &err) < 0)
                        fail_msg("%s: %s", cases[i].schedule, err_message(&err));
                int64_t want = cases[i].next ? at(cases[i].next) : -1, got = cron_next(&c, at(cases[i].after));
                if (got != want)
                        fail_msg("%s after %s gives %lld, not %lld", cases[i].schedule, cases[i].after, (long long)got, (long long)want);
        }
}

static void says_what_is_wrong(void **state) {
        (void)state;
        static const char *const cases[][2] = {
                {"", "empty spec string"},
                {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
                {"60 * * * *", "end of range (60) above maximum (59): 60"},
                {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
                {"5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"},
                {"*/0 * * * *", "step of range should be a positive number: */0"},
                {"a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"},
                {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
                {"@often", "unrecognized descriptor: @often"},
                {"@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""},
                {"@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""},
                {"@every 5x", "failed to parse duration @every 5x: time: unknown unit \"x\" in duration \"5x\""},
                {"-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"},
                {"*/-5 * * * *", "negative number (-5) not allowed: -5"},
                {"99999999999999999999 * * * *",
                 "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of range"},
                {"1/2/3 * * * *", "too many slashes: 1/2/3"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct cron c;
                AUTO(err) struct err err = ERR_INIT;
                assert_int_equal(cron_parse(sv_of(cases[i][0]), &c, &err), -EINVAL);
                assert_string_equal(err_message(&err), cases[i][1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_next_time), cmocka_unit_test(says_what_is_wrong)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
