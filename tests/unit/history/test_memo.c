#include "history/memo.h"

#include "unit/test.h"

TEST(keeps_what_was_put_under_its_key) {
        struct memo m;
        AUTO(str) struct str out = STR_INIT(0);
        memo_init(&m);
        assert_false(memo_get(&m, "1/0", &out));
        memo_put(&m, "1/0", SV("one"));
        memo_put(&m, "2/0", SV("two"));
        memo_put(&m, "1/0", SV("one"));
        assert_true(memo_get(&m, "1/0", &out));
        assert_true(memo_get(&m, "2/0", &out));
        assert_string_equal(out.data, "onetwo");
        memo_done(&m);
}

TEST(never_holds_more_than_its_limit) {
        struct memo m;
        AUTO(str) struct str large = STR_INIT(0), out = STR_INIT(0);
        memo_init(&m);
        while (large.len < MEMO_MAX_BYTES / 3)
                str_append_s(&large, "text ");
        for (int i = 0; i < 10; i++) {
                AUTO(free) char *key = xasprintf("%d", i);
                memo_put(&m, key, str_sv(&large));
                assert_true(m.bytes <= MEMO_MAX_BYTES);
                assert_true(memo_get(&m, key, &out));
        }
        assert_false(memo_get(&m, "0", &out));
        while (large.len <= MEMO_MAX_BYTES)
                str_append_s(&large, "text ");
        memo_put(&m, "too large", str_sv(&large));
        assert_false(memo_get(&m, "too large", &out));
        memo_done(&m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_what_was_put_under_its_key),
                cmocka_unit_test(never_holds_more_than_its_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
