#include "unit/test.h"

TEST(appending_past_the_maximum_sets_overflow_and_keeps_the_text) {
        AUTO(str) struct str s = STR_INIT(4);
        str_append_s(&s, "abcd");
        assert_false(str_overflowed(&s));
        str_append_c(&s, 'e');
        assert_true(str_overflowed(&s));
        assert_string_equal(str_cstr(&s), "abcd");
}

TEST(an_empty_buffer_reads_as_an_empty_string) {
        AUTO(str) struct str s = STR_INIT(0);
        assert_string_equal(str_cstr(&s), "");
        AUTO(free) char *taken = str_take(&s);
        assert_string_equal(taken, "");
}

TEST(splitting_keeps_empty_parts) {
        struct sv rest = SV("a,,b,"), part;
        const char *expected[] = {"a", "", "b", ""};
        size_t n = 0;
        while (sv_split(&rest, ',', &part)) {
                assert_in_range(n, 0, 3);
                assert_true(sv_eqs(part, expected[n++]));
        }
        assert_int_equal(n, 4);
}

TEST(numbers_must_fit_and_stand_alone) {
        int64_t n = 7;
        assert_true(sv_to_int64(SV("-9223372036854775808"), &n));
        assert_true(n == INT64_MIN);
        assert_true(sv_to_int64(SV("9223372036854775807"), &n));
        assert_true(n == INT64_MAX);
        const char *bad[] = {"9223372036854775808", "-9223372036854775809", "", "-", "1x", " 1"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(sv_to_int64(sv_of(bad[i]), &n));
}

TEST(consuming_shifts_the_rest_to_the_front) {
        AUTO(str) struct str s = STR_INIT(0);
        str_appendf(&s, "%s-%d", "ab", 12);
        str_consume(&s, 3);
        assert_string_equal(str_cstr(&s), "12");
        str_consume(&s, 99);
        assert_string_equal(str_cstr(&s), "");
}

TEST(trimming_and_finding) {
        assert_true(sv_eqs(sv_trim(SV(" \t a b\r\n")), "a b"));
        assert_int_equal(sv_find(SV("abcabc"), SV("ca")), 2);
        assert_int_equal(sv_rfind_char(SV("abcabc"), 'b'), 4);
        assert_int_equal(sv_find_char(SV_NULL, 'x'), -1);
        assert_true(sv_ieq(SV("Content-Type"), SV("content-type")));
        assert_true(str_ends("driver-svc", "-svc"));
        assert_false(str_ends("c", "-svc"));
}

TEST(is_one_of_a_list_when_it_equals_a_member) {
        static const char *const list[] = {"Always", "", "Never", NULL}, *const none[] = {NULL};
        assert_true(str_is_one_of("Always", list));
        assert_true(str_is_one_of("Never", list));
        assert_true(str_is_one_of("", list));
        assert_false(str_is_one_of("Alway", list));
        assert_false(str_is_one_of("never", list));
        assert_false(str_is_one_of(NULL, list));
        assert_false(str_is_one_of("", none));
}

TEST(tells_utf8) {
        assert_true(sv_is_utf8(SV_NULL));
        assert_true(sv_is_utf8(SV("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf")));
        const char *bad[] = {"\x80",         "\xff",     "\xc0\x80",             "\xc1\xbf",             "\xe0\x9f\xbf",   "\xed\xa0\x80",
                             "\xf0\x8f\xbf\xbf", "\xe2\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82z", "\xf0\x9f\x98"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(sv_is_utf8(sv_of(bad[i])));
}

TEST(what_is_not_utf8_is_replaced_byte_by_byte) {
        AUTO(str) struct str s = STR_INIT(0);
        str_append_as_utf8(&s, SV("a\xff\xc3\xa4\xe2\x98" "b\xed\xa0"));
        assert_string_equal(str_cstr(&s), "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(appending_past_the_maximum_sets_overflow_and_keeps_the_text),
                cmocka_unit_test(an_empty_buffer_reads_as_an_empty_string),
                cmocka_unit_test(splitting_keeps_empty_parts),
                cmocka_unit_test(numbers_must_fit_and_stand_alone),
                cmocka_unit_test(consuming_shifts_the_rest_to_the_front),
                cmocka_unit_test(trimming_and_finding),
                cmocka_unit_test(is_one_of_a_list_when_it_equals_a_member),
                cmocka_unit_test(tells_utf8),
                cmocka_unit_test(what_is_not_utf8_is_replaced_byte_by_byte),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
