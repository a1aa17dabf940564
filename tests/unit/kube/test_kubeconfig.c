#include "fixture.h"

#include "kube/kubeconfig.h"

static const char one[] = "apiVersion: v1\n"
                          "kind: Config\n"
                          "clusters:\n"
                          "- name: shared\n"
                          "  cluster: {server: 'https://one:6443', certificate-authority: pki/ca.crt}\n"
                          "users:\n"
                          "- name: me\n"
                          "  user: {client-certificate: ../me.crt, client-key: /abs/me.key, exec: {command: bin/plugin}}\n"
                          "contexts:\n"
                          "- name: a\n"
                          "  context: {cluster: shared, user: me}\n";
static const char two[] = "apiVersion: v1\n"
                          "kind: Config\n"
                          "current-context: b\n"
                          "clusters:\n"
                          "- name: shared\n"
                          "  cluster: {server: 'https://two:6443', insecure-skip-tls-verify: true}\n"
                          "- name: other\n"
                          "  cluster: {server: 'https://other'}\n"
                          "contexts:\n"
                          "- name: b\n"
                          "  context: {cluster: other, namespace: data}\n";

static void the_first_file_decides_a_name_whole(void **state) {
        AUTO(free) char *a = write_file(*state, "x/a", one), *b = write_file(*state, "y/b", two);
        AUTO(free) char *list = xasprintf("%s:%s/absent:%s", a, tmp_dir(*state), b);
        setenv("KUBECONFIG", list, 1);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(NULL, &k, test_err()));
        yyjson_mut_val *cluster = kubeconfig_entry(&k, "clusters", "cluster", "shared");
        assert_string_equal(mjson_get_str(cluster, "server"), "https://one:6443");
        assert_null(yyjson_mut_obj_get(cluster, "insecure-skip-tls-verify"));
        assert_string_equal(kubeconfig_current_context(&k), "b");
        assert_true(kubeconfig_has_context(&k, "a") && kubeconfig_has_context(&k, "b"));
        assert_int_equal(k.files.len, 2);
        assert_int_equal(k.missing.len, 1);
}

static void relative_paths_count_from_their_own_file(void **state) {
        AUTO(free) char *a = write_file(*state, "x/a", one);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(a, &k, test_err()));
        AUTO(free) char *ca = xasprintf("%s/x/pki/ca.crt", tmp_dir(*state));
        AUTO(free) char *crt = xasprintf("%s/me.crt", tmp_dir(*state));
        AUTO(free) char *plugin = xasprintf("%s/x/bin/plugin", tmp_dir(*state));
        assert_string_equal(mjson_get_str(kubeconfig_entry(&k, "clusters", "cluster", "shared"), "certificate-authority"), ca);
        yyjson_mut_val *user = kubeconfig_entry(&k, "users", "user", "me");
        assert_string_equal(mjson_get_str(user, "client-certificate"), crt);
        assert_string_equal(mjson_get_str(user, "client-key"), "/abs/me.key");
        assert_string_equal(mjson_str_at(user, "/exec/command"), plugin);
}

static void spark_reads_the_first_file_only(void **state) {
        AUTO(free) char *a = write_file(*state, "x/a", one), *b = write_file(*state, "y/b", two);
        AUTO(free) char *list = xasprintf("%s:%s", a, b);
        setenv("KUBECONFIG", list, 1);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load_first(&k, test_err()));
        assert_false(kubeconfig_has_context(&k, "b"));
        assert_null(kubeconfig_current_context(&k));
}

static void a_named_file_must_exist(void **state) {
        AUTO(free) char *path = xasprintf("%s/none", tmp_dir(*state));
        AUTO(kubeconfig) struct kubeconfig k = {0};
        assert_int_equal(kubeconfig_load(path, &k, test_err()), -ENOENT);
        assert_non_null(strstr(err_message(&test_err_), "/none: No such file or directory"));
}

static void no_file_at_all_is_an_empty_configuration(void **state) {
        AUTO(free) char *path = xasprintf("%s/none", tmp_dir(*state));
        setenv("KUBECONFIG", path, 1);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(NULL, &k, test_err()));
        assert_null(k.doc);
        assert_int_equal(k.missing.len, 1);
}

/* What is wrong with a file, and the words that must be in the message. */
static void malformed_files_are_explained(void **state) {
        static const struct {
                const char *text, *wanted;
        } cases[] = {
                {"clusters: [\n- x\n  y", "is not valid YAML: line "},
                {"- a\n", "not a kubeconfig: expected an object"},
                {"kind: Pod\napiVersion: v1\n", "kind is \"Pod\", expected \"Config\""},
                {"kind: Config\napiVersion: v2\n", "apiVersion \"v2\""},
                {"clusters: {a: b}\n", "clusters must be a list"},
                {"users: [5]\n", "users[0] must be an object"},
                {"contexts:\n- context: {}\n", "contexts[0] has no name"},
                {"contexts:\n- name: 1\n  context: {}\n", "contexts[0] has no name"},
                {"clusters:\n- name: a\n- name: a\n", "holds the name \"a\" twice"},
                {"clusters:\n- name: a\n  cluster: x\n", "`cluster` must be an object"},
                {"current-context: 5\n", "current-context must be a text"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(kubeconfig) struct kubeconfig k = {0};
                assert_true(kubeconfig_add_text(&k, sv_of(cases[i].text), "/f", test_err()) < 0);
                if (!strstr(err_message(&test_err_), cases[i].wanted))
                        fail_msg("\"%s\" does not say \"%s\"", err_message(&test_err_), cases[i].wanted);
                assert_non_null(strstr(err_message(&test_err_), "/f"));
        }
}

static void an_empty_file_is_an_empty_configuration(void **state) {
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_add_text(&k, SV("# nothing\n"), "/f", test_err()));
        assert_false(kubeconfig_has_context(&k, "a"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(the_first_file_decides_a_name_whole),
                with_dir(relative_paths_count_from_their_own_file),
                with_dir(spark_reads_the_first_file_only),
                with_dir(a_named_file_must_exist),
                with_dir(no_file_at_all_is_an_empty_configuration),
                with_dir(malformed_files_are_explained),
                with_dir(an_empty_file_is_an_empty_configuration),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
