#include "fixture.h"

#include "oci/reference.h"

static void names_become_full(void **state) {
        static const struct {
                const char *text, *name, *registry, *repository, *tag;
        } cases[] = {
                {"busybox", "docker.io/library/busybox:latest", "docker.io", "library/busybox", "latest"},
                {"apache/spark:4.1.4", "docker.io/apache/spark:4.1.4", "docker.io", "apache/spark", "4.1.4"},
                {"index.docker.io/library/x:1", "docker.io/library/x:1", "docker.io", "library/x", "1"},
                {"localhost:5000/a/b_c--d.e:T_1.-", "localhost:5000/a/b_c--d.e:T_1.-", "localhost:5000", "a/b_c--d.e", "T_1.-"},
                {"localhost/a", "localhost/a:latest", "localhost", "a", "latest"},
                {"[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000", "a", "latest"},
                {"quay.io/a/b:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                 "quay.io/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "quay.io", "a/b", "1"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(oci_reference) struct oci_reference r = {0};
                ok(oci_reference_parse(cases[i].text, &r, err));
                assert_string_equal(r.name, cases[i].name);
                assert_string_equal(r.registry, cases[i].registry);
                assert_string_equal(r.repository, cases[i].repository);
                assert_string_equal(r.tag, cases[i].tag);
        }
}

static void rejects_what_is_no_name(void **state) {
        static const char *const bad[] = {
                "",    ":",          "a:",   "/a",          "a/",      "a//b",         "A/b",       "a b",  "a:b c",   "-a",
                "a-",  "a___b",      "a..b", "a@sha256:12", "a@md5:1", "host:99999/a", "ho_st:1/a", "a:.b", "[x]:1/a", "docker-archive:",
                "a\n", "https://x/y"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(err) struct err why = ERR_INIT;
                struct oci_reference r = {0};
                if (oci_reference_parse(bad[i], &r, &why) != -EINVAL)
                        fail_msg("accepted: %s", bad[i]);
                assert_null(r.name);
                assert_non_null(strstr(err_message(&why), "invalid reference format"));
        }
}

static void files_have_a_path_and_a_tag(void **state) {
        AUTO(oci_reference) struct oci_reference r = {0};
        ok(oci_reference_parse("oci:/a/b:c", &r, err));
        assert_int_equal(r.transport, OCI_LAYOUT);
        assert_string_equal(r.path, "/a/b");
        assert_string_equal(r.tag, "c");
        oci_reference_done(&r);
        ok(oci_reference_parse("docker-archive:/x:y/z.tar", &r, err));
        assert_int_equal(r.transport, OCI_DOCKER_ARCHIVE);
        assert_string_equal(r.path, "/x:y/z.tar");
        assert_null(r.tag);
        assert_true(oci_reference_is_file("oci-archive:/x"));
        assert_false(oci_reference_is_file("oci/x"));
        AUTO(err) struct err why = ERR_INIT;
        struct oci_reference none = {0};
        assert_int_equal(oci_reference_parse("oci:./relative", &none, &why), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(names_become_full), cmocka_unit_test(rejects_what_is_no_name),
                                           cmocka_unit_test(files_have_a_path_and_a_tag)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
