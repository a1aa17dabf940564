#include "codec/sha256.h"

#include "unit/test.h"

TEST(the_published_digests_come_out) {
        char hex[SHA256_HEX_SIZE];
        sha256_hex(SV("abc"), hex);
        assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        sha256_hex(SV(""), hex);
        assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(pieces_give_the_same_digest) {
        struct sha256_stream *s = sha256_new();
        sha256_update(s, SV("a"));
        sha256_update(s, SV("bc"));
        unsigned char pieces[SHA256_SIZE], whole[SHA256_SIZE];
        sha256_finish(s, pieces);
        sha256(SV("abc"), whole);
        assert_memory_equal(pieces, whole, SHA256_SIZE);
}

TEST(hmac_matches_rfc_4231_case_2) {
        unsigned char mac[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];
        hmac_sha256(SV("Jefe"), SV("what do ya want for nothing?"), mac);
        hex_encode(mac, sizeof mac, hex);
        assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_published_digests_come_out),
                cmocka_unit_test(pieces_give_the_same_digest),
                cmocka_unit_test(hmac_matches_rfc_4231_case_2),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
