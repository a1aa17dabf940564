#include "history/htpasswd.h"

#include <stdio.h>

#include "base/fs.h"
#include "unit/test.h"

/* Made by openssl-passwd(1) and crypt(3) of "secret". */
static const char *const hashes[] = {
        "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
        "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
};

TEST(every_kind_of_hash_knows_its_password) {
        for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
                assert_true(htpasswd_matches(hashes[i], "secret"));
                assert_false(htpasswd_matches(hashes[i], "Secret"));
                assert_false(htpasswd_matches(hashes[i], "secret "));
                assert_false(htpasswd_matches(hashes[i], ""));
        }
}

TEST(what_is_no_hash_matches_nothing) {
        const char *const bad[] = {"", "secret", "$apr1$", "$apr1$salt", "$6$", "$2y$05$", "{SHA}", "*", "$1$x$y"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                assert_false(htpasswd_matches(bad[i], "secret"));
                assert_false(htpasswd_matches(bad[i], bad[i]));
                assert_false(htpasswd_matches(bad[i], ""));
        }
}

TEST(a_password_without_end_is_refused_at_once) {
        AUTO(free) char *longest = xcalloc(1, 100001);
        memset(longest, 'x', 100000);
        assert_false(htpasswd_matches(hashes[0], longest));
}

static void write_file(const char *path, const char *text) {
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(fs_write_atomic(path, sv_of(text), 0600, &err), 0);
}

TEST(a_changed_file_counts_at_once_and_a_broken_one_lets_nobody_in) {
        char path[] = "/tmp/test-htpasswd-XXXXXX";
        AUTO(fd) int fd = mkstemp(path);
        AUTO(htpasswd) struct htpasswd *h = NULL;
        AUTO(err) struct err err = ERR_INIT;
        assert_true(fd >= 0);
        write_file(path, "# users\n\nann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
        assert_int_equal(htpasswd_open(path, &h, &err), 0);
        assert_true(htpasswd_check(h, "ann", "secret"));
        assert_false(htpasswd_check(h, "bob", "secret"));
        uint64_t before = htpasswd_generation(h);
        write_file(path, "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
        assert_true(htpasswd_check(h, "bob", "secret"));
        assert_false(htpasswd_check(h, "ann", "secret"));
        assert_true(htpasswd_generation(h) != before);
        before = htpasswd_generation(h);
        write_file(path, "bob:plain text\n");
        assert_false(htpasswd_check(h, "bob", "plain text"));
        assert_true(htpasswd_generation(h) != before);
        assert_int_equal(unlink(path), 0);
        assert_false(htpasswd_check(h, "bob", "secret"));
}

TEST(a_malformed_file_is_named_with_its_line) {
        char path[] = "/tmp/test-htpasswd-XXXXXX";
        AUTO(fd) int fd = mkstemp(path);
        struct htpasswd *h = NULL;
        AUTO(err) struct err err = ERR_INIT;
        assert_true(fd >= 0);
        write_file(path, "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nno colon\n");
        assert_int_equal(htpasswd_open(path, &h, &err), -EINVAL);
        assert_contains(err_message(&err), "line 2");
        err_clear(&err);
        write_file(path, "ann:secret\n");
        assert_int_equal(htpasswd_open(path, &h, &err), -EINVAL);
        assert_contains(err_message(&err), "unknown kind of hash");
        unlink(path);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_kind_of_hash_knows_its_password),
                cmocka_unit_test(what_is_no_hash_matches_nothing),
                cmocka_unit_test(a_password_without_end_is_refused_at_once),
                cmocka_unit_test(a_changed_file_counts_at_once_and_a_broken_one_lets_nobody_in),
                cmocka_unit_test(a_malformed_file_is_named_with_its_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
