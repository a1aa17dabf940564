#include "codec/base64.h"

#include <errno.h>

#include "unit/test.h"

TEST(the_rfc_vectors_go_both_ways) {
        static const char *const pairs[][2] = {{"", ""},
                                               {"f", "Zg=="},
                                               {"fo", "Zm8="},
                                               {"foo", "Zm9v"},
                                               {"foob", "Zm9vYg=="},
                                               {"fooba", "Zm9vYmE="},
                                               {"foobar", "Zm9vYmFy"}};
        for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
                AUTO(str) struct str encoded = STR_INIT(0), decoded = STR_INIT(0);
                base64_encode(sv_of(pairs[i][0]), &encoded);
                assert_string_equal(str_cstr(&encoded), pairs[i][1]);
                assert_int_equal(base64_decode(sv_of(pairs[i][1]), &decoded), 0);
                assert_string_equal(str_cstr(&decoded), pairs[i][0]);
        }
}

TEST(the_url_alphabet_has_no_padding_and_line_breaks_are_skipped) {
        AUTO(str) struct str s = STR_INIT(0), back = STR_INIT(0);
        base64url_encode(SV("\xfb\xff\xfe\xff"), &s);
        assert_string_equal(str_cstr(&s), "-__-_w");
        assert_int_equal(base64_decode(SV("-__-\n_w"), &back), 0);
        assert_memory_equal(back.data, "\xfb\xff\xfe\xff", 4);
}

TEST(malformed_text_is_refused) {
        const char *bad[] = {"Z", "Zg=", "Zg===", "Z=g=", "Zg==Zg==", "Zm9v!", "Zm 9v"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(str) struct str out = STR_INIT(0);
                assert_int_equal(base64_decode(sv_of(bad[i]), &out), -EINVAL);
                assert_int_equal(out.len, 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_rfc_vectors_go_both_ways),
                cmocka_unit_test(the_url_alphabet_has_no_padding_and_line_breaks_are_skipped),
                cmocka_unit_test(malformed_text_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
