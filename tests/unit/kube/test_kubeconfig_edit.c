#include "fixture.h"

#include "kube/kubeconfig.h"
#include "kube/kubeconfig_edit.h"

static const struct kubeconfig_entry entry = {
        .name = "firesteel",
        .server = "https://127.0.0.1:6443",
        .ca_pem = {"CA", 2},
        .cert_pem = {"CERT", 4},
        .key_pem = {"KEY", 3},
        .namespace_ = "default",
        .make_current = true,
};

static const char existing[] = "apiVersion: v1\n"
                               "kind: Config\n"
                               "preferences: {colors: true}\n"
                               "current-context: prod\n"
                               "clusters:\n"
                               "- name: prod\n"
                               "  cluster: {server: 'https://prod', certificate-authority: ca.crt}\n"
                               "- name: firesteel\n"
                               "  cluster: {server: 'https://old', insecure-skip-tls-verify: true}\n"
                               "contexts:\n"
                               "- name: prod\n"
                               "  context: {cluster: prod, user: u}\n"
                               "users:\n"
                               "- name: u\n"
                               "  user: {token: secret}\n";

static void adds_to_what_is_there(void **state) {
        AUTO(free) char *file = write_file(*state, "config", existing);
        ok(kubeconfig_put(file, &entry, test_err()));
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(file, &k, test_err()));
        assert_string_equal(kubeconfig_current_context(&k), "firesteel");
        assert_string_equal(mjson_get_str(kubeconfig_entry(&k, "users", "user", "u"), "token"), "secret");
        yyjson_mut_val *cluster = kubeconfig_entry(&k, "clusters", "cluster", "firesteel");
        assert_string_equal(mjson_get_str(cluster, "server"), "https://127.0.0.1:6443");
        assert_null(yyjson_mut_obj_get(cluster, "insecure-skip-tls-verify")); /* replaced whole, not merged */
        assert_string_equal(mjson_get_str(cluster, "certificate-authority-data"), "Q0E=");
        assert_string_equal(mjson_get_str(kubeconfig_entry(&k, "users", "user", "firesteel"), "client-key-data"), "S0VZ");
        AUTO(free) char *text = read_text(file);
        assert_non_null(strstr(text, "colors: true"));
        assert_non_null(strstr(text, "certificate-authority: ca.crt")); /* as written, not made absolute */
        AUTO(free) char *lock = xasprintf("%s.lock", file);
        assert_false(fs_exists(lock));
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void removes_only_its_own(void **state) {
        AUTO(free) char *file = write_file(*state, "config", existing);
        ok(kubeconfig_put(file, &entry, test_err()));
        ok(kubeconfig_remove(file, "firesteel", test_err()));
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(file, &k, test_err()));
        assert_null(kubeconfig_current_context(&k));
        assert_false(kubeconfig_has_context(&k, "firesteel"));
        assert_null(kubeconfig_entry(&k, "clusters", "cluster", "firesteel"));
        assert_null(kubeconfig_entry(&k, "users", "user", "firesteel"));
        assert_true(kubeconfig_has_context(&k, "prod"));
}

static void makes_a_new_file_and_its_directory(void **state) {
        AUTO(free) char *file = xasprintf("%s/new/.kube/config", tmp_dir(*state));
        ok(kubeconfig_put(file, &entry, test_err()));
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(file, &k, test_err()));
        assert_true(kubeconfig_has_context(&k, "firesteel"));
}

static void refuses_to_touch_a_file_it_cannot_read(void **state) {
        AUTO(free) char *file = write_file(*state, "config", "clusters: [\n");
        assert_true(kubeconfig_put(file, &entry, test_err()) < 0);
        AUTO(free) char *text = read_text(file);
        assert_string_equal(text, "clusters: [\n");
}

static void keeps_a_symbolic_link(void **state) {
        AUTO(free) char *target = write_file(*state, "real", existing);
        AUTO(free) char *file = xasprintf("%s/config", tmp_dir(*state));
        assert_int_equal(symlink(target, file), 0);
        ok(kubeconfig_put(file, &entry, test_err()));
        struct stat st;
        assert_int_equal(lstat(file, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        AUTO(free) char *text = read_text(target);
        assert_non_null(strstr(text, "firesteel"));
}

static void writes_where_kubectl_would(void **state) {
        AUTO(free) char *there = write_file(*state, "there", existing);
        AUTO(free) char *list = xasprintf("%s/absent:%s", tmp_dir(*state), there);
        setenv("KUBECONFIG", list, 1);
        AUTO(free) char *path = kubeconfig_default_path(NULL);
        assert_string_equal(path, there);
        AUTO(free) char *given = kubeconfig_default_path("/x");
        assert_string_equal(given, "/x");
}

static void removing_from_no_file_is_fine(void **state) {
        AUTO(free) char *file = xasprintf("%s/absent", tmp_dir(*state));
        ok(kubeconfig_remove(file, "firesteel", test_err()));
        assert_false(fs_exists(file));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(adds_to_what_is_there),
                with_dir(removes_only_its_own),
                with_dir(makes_a_new_file_and_its_directory),
                with_dir(refuses_to_touch_a_file_it_cannot_read),
                with_dir(keeps_a_symbolic_link),
                with_dir(writes_where_kubectl_would),
                with_dir(removing_from_no_file_is_fine),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
