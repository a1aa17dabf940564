#include "fixture.h"

#include "oci/auth.h"

static void the_best_match_counts(void **state) {
        AUTO(oci_logins) struct oci_logins l = {0};
        /* "dTpw" is u:p, "eDp5Ono=" is x:y:z */
        ok(oci_logins_parse(
                SV("{\"auths\":{\"quay.io\":{\"auth\":\"dTpw\"},\"quay.io/team\":{\"auth\":\"eDp5Ono=\"},\"https://index.docker.io/v1/\":{\"username\":\"hub\","
                   "\"password\":\"secret\"},\"*.example.com\":{\"auth\":\"dTpw\"},\"local:5000\":{\"identitytoken\":\"tok\"},\"empty.io\":{}}}"),
                &l, err));
        assert_string_equal(oci_logins_find(&l, "quay.io", "other/app")->password, "p");
        assert_string_equal(oci_logins_find(&l, "quay.io", "team/app")->password, "y:z");
        assert_string_equal(oci_logins_find(&l, "quay.io", "teams/app")->password, "p");
        assert_string_equal(oci_logins_find(&l, "docker.io", "library/x")->user, "hub");
        assert_non_null(oci_logins_find(&l, "a.example.com", "x"));
        assert_null(oci_logins_find(&l, "a.b.example.com", "x"));
        assert_null(oci_logins_find(&l, "example.com", "x"));
        assert_string_equal(oci_logins_find(&l, "local:5000", "x")->identity_token, "tok");
        assert_null(oci_logins_find(&l, "local", "x"));
        assert_null(oci_logins_find(&l, "empty.io", "x"));
}

static void dockercfg_has_no_frame(void **state) {
        AUTO(oci_logins) struct oci_logins l = {0};
        ok(oci_logins_parse(SV("{\"r.io\":{\"auth\":\"dTpw\",\"email\":\"e\"}}"), &l, err));
        assert_string_equal(oci_logins_find(&l, "r.io", "x")->user, "u");
}

static void secrets_choose_no_programs(void **state) {
        AUTO(oci_logins) struct oci_logins l = {0};
        ok(oci_logins_parse(SV("{\"credsStore\":\"evil\",\"credHelpers\":{\"r.io\":\"evil\"}}"), &l, err));
        assert_null(oci_logins_find(&l, "r.io", "x"));
}

static void bad_documents_are_named_without_their_secrets(void **state) {
        static const char *const bad[] = {"[]", "{\"auths\":{\"r.io\":{\"auth\":\"hunter2!\"}}}",
                                          "{\"auths\":{\"r.io\":{\"auth\":\"aHVudGVyMg==\"}}}", "{"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(oci_logins) struct oci_logins l = {0};
                AUTO(err) struct err why = ERR_INIT;
                assert_int_equal(oci_logins_parse(sv_of(bad[i]), &l, &why), -EINVAL);
                assert_null(strstr(err_message(&why), "hunter2"));
                assert_null(strstr(err_message(&why), "aHVudGVy"));
        }
}

static void challenges_are_read(void **state) {
        AUTO(oci_challenge) struct oci_challenge c = {0};
        assert_true(oci_challenge_parse("Bearer realm=\"https://auth.io/token\",service=\"r.io\",scope=\"repository:a/b:pull,push\"", &c));
        assert_true(c.is_bearer);
        assert_string_equal(c.realm, "https://auth.io/token");
        assert_string_equal(c.scope, "repository:a/b:pull,push");
        oci_challenge_done(&c);
        assert_true(oci_challenge_parse("basic realm=x, charset=\"UTF-8\"", &c));
        assert_false(c.is_bearer);
        assert_string_equal(c.realm, "x");
        struct oci_challenge none = {0};
        assert_false(oci_challenge_parse("Bearer service=x", &none));
        assert_false(oci_challenge_parse("Negotiate abc", &none));
        assert_false(oci_challenge_parse("", &none));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(the_best_match_counts), cmocka_unit_test(dockercfg_has_no_frame),
                                           cmocka_unit_test(secrets_choose_no_programs),
                                           cmocka_unit_test(bad_documents_are_named_without_their_secrets),
                                           cmocka_unit_test(challenges_are_read)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
