#include "codec/uri.h"

#include "unit/test.h"

TEST(urls_fall_into_their_parts) {
        AUTO(uri) struct uri u = {0};
        assert_int_equal(uri_parse("HTTPS://us%40er:pw@Host.Example:6443/a/b?x=1&y#frag", &u, NULL), 0);
        assert_string_equal(u.scheme, "https");
        assert_string_equal(u.userinfo, "us@er:pw");
        assert_string_equal(u.host, "host.example");
        assert_int_equal(u.port, 6443);
        assert_string_equal(u.path, "/a/b");
        assert_string_equal(u.query, "x=1&y");
        assert_string_equal(u.fragment, "frag");
}

TEST(paths_and_ipv6_and_opaque_forms_are_understood) {
        AUTO(uri) struct uri a = {0}, b = {0}, c = {0};
        assert_int_equal(uri_parse("/just/a/path.jar", &a, NULL), 0);
        assert_null(a.scheme);
        assert_null(a.host);
        assert_string_equal(a.path, "/just/a/path.jar");
        assert_int_equal(uri_parse("http://[::1]:8080", &b, NULL), 0);
        assert_string_equal(b.host, "::1");
        assert_int_equal(b.port, 8080);
        assert_string_equal(b.path, "");
        assert_int_equal(uri_parse("file:///tmp/x", &c, NULL), 0);
        assert_string_equal(c.host, "");
        assert_string_equal(c.path, "/tmp/x");
}

TEST(bad_ports_brackets_and_blanks_are_refused_with_the_text) {
        const char *bad[] = {"http://h:0/",    "http://h:65536/", "http://h:1x/", "http://[::1/",
                             "http://[::1]x/", "http://h/a b",    "http://%zz@h/"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(err) struct err e = ERR_INIT;
                struct uri u = {0};
                assert_int_equal(uri_parse(bad[i], &u, &e), -EINVAL);
                assert_contains(err_message(&e), bad[i]);
        }
}

TEST(escapes_go_both_ways_and_end_with_the_text) {
        AUTO(str) struct str encoded = STR_INIT(0), decoded = STR_INIT(0), out = STR_INIT(0);
        uri_encode(SV("a b/\xc3\xa9~="), true, &encoded);
        assert_string_equal(str_cstr(&encoded), "a%20b/%C3%A9~%3D");
        assert_true(uri_decode(str_sv(&encoded), false, &decoded));
        assert_string_equal(str_cstr(&decoded), "a b/\xc3\xa9~=");
        const char *bad[] = {"%", "%4", "%4g", "a%00b", "x%"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(uri_decode(sv_of(bad[i]), false, &out));
        str_clear(&out);
        assert_true(uri_decode(SV("%41"), false, &out));
        assert_string_equal(str_cstr(&out), "A");
}

TEST(query_parameters_are_found_and_added) {
        AUTO(free) char *x = query_get("watch=true&labelSelector=a%3Db%2Cc&bare", "labelSelector"),
                        *bare = query_get("watch=true&bare", "bare"), *none = query_get("a=1", "b");
        assert_string_equal(x, "a=b,c");
        assert_string_equal(bare, "");
        assert_null(none);
        AUTO(str) struct str q = STR_INIT(0);
        query_add(&q, "a", "x y");
        query_add(&q, "skip", NULL);
        query_add(&q, "b", "1");
        assert_string_equal(str_cstr(&q), "a=x%20y&b=1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(urls_fall_into_their_parts),
                cmocka_unit_test(paths_and_ipv6_and_opaque_forms_are_understood),
                cmocka_unit_test(bad_ports_brackets_and_blanks_are_refused_with_the_text),
                cmocka_unit_test(escapes_go_both_ways_and_end_with_the_text),
                cmocka_unit_test(query_parameters_are_found_and_added),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
