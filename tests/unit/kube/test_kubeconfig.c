#include "fixture.h"

#include "event/loop.h"
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
                {"contexts:\n- name: a\n  context: {namespace: n}\n", "contexts \"a\": namespace must be a text (put it in quotes)"},
                {"users:\n- name: a\n  user: {password: 010}\n", "password must be a text"},
                {"clusters:\n- name: a\n  cluster: {insecure-skip-tls-verify: 'yes'}\n", "insecure-skip-tls-verify must be true or false"},
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

/* ---- the same as kubectl ---- */

static unsigned long seed;
static unsigned pick(unsigned n) {
        seed = seed * 6364136223846793005UL + 1442695040888963407UL;
        return (unsigned)(seed >> 33) % n;
}

/* One file of random entries with names that other files use too. */
static void random_config(struct str *out) {
        static const char *const names[] = {"a", "b", "c d", "prod-eu", "0x1f"};
        str_append_s(out, "apiVersion: v1\nkind: Config\n");
        if (pick(2))
                str_appendf(out, "current-context: \"%s\"\n", pick(4) ? names[pick(5)] : "");
        str_append_s(out, "clusters:\n");
        for (unsigned i = pick(5); i < 5; i++)
                str_appendf(out, "- name: \"%s\"\n  cluster: {server: 'https://h%u', insecure-skip-tls-verify: %s, tls-server-name: %s}\n",
                            names[i], pick(100), pick(2) ? "true" : "false", pick(2) ? "x" : "''");
        str_append_s(out, "users:\n");
        for (unsigned i = pick(5); i < 5; i++)
                str_appendf(out, "- name: \"%s\"\n  user: {token: t%u, %s}\n", names[i], pick(100),
                            pick(2) ? "as: boss, as-groups: [g, h]" : "username: u, password: '010'");
        str_append_s(out, "contexts:\n");
        for (unsigned i = pick(5); i < 5; i++)
                str_appendf(out, "- name: \"%s\"\n  context: {cluster: \"%s\", user: \"%s\"%s}\n", names[i], names[pick(5)], names[pick(5)],
                            pick(2) ? ", namespace: jobs" : "");
}

/* kubectl writes what is empty, or not, as its types have it; an empty value says nothing. */
static bool says_nothing(yyjson_val *v) {
        return !v || yyjson_is_null(v) || yyjson_is_false(v) || (yyjson_is_str(v) && yyjson_get_len(v) == 0) ||
               (yyjson_is_ctn(v) && yyjson_get_len(v) == 0);
}

static void same_members(const char *what, yyjson_val *a, yyjson_val *b) {
        size_t i, n;
        yyjson_val *key, *value;
        yyjson_obj_foreach(a, i, n, key, value) {
                yyjson_val *other = yyjson_obj_get(b, yyjson_get_str(key));
                if (!says_nothing(value) && (!other || !json_equal(value, other)))
                        fail_msg("%s: %s differs", what, yyjson_get_str(key));
        }
}

static void same_entries(yyjson_val *ours, yyjson_val *theirs, const char *list, const char *body) {
        yyjson_val *mine = yyjson_obj_get(ours, list), *other = yyjson_obj_get(theirs, list), *x, *y;
        size_t i, n, k, m, found = 0;
        yyjson_arr_foreach(other, i, n, x) {
                yyjson_arr_foreach(mine, k, m, y) {
                        if (!streq_null(json_get_str(x, "name"), json_get_str(y, "name")))
                                continue;
                        found++;
                        same_members(list, yyjson_obj_get(x, body), yyjson_obj_get(y, body));
                        same_members(list, yyjson_obj_get(y, body), yyjson_obj_get(x, body));
                }
        }
        assert_int_equal(found, yyjson_arr_size(mine));
        assert_int_equal(found, yyjson_arr_size(other));
}

static void merges_as_kubectl_does(void **state) {
        AUTO(free) char *kubectl = fs_find_program("kubectl");
        if (!kubectl)
                skip();
        setenv("HOME", tmp_dir(*state), 1);
        for (int round = 1; round <= 8; round++) {
                seed = (unsigned long)round;
                AUTO(strv) struct strv files = {0};
                for (int i = 0; i < 3; i++) {
                        AUTO(str) struct str text = STR_INIT(0);
                        AUTO(free) char *name = xasprintf("config%d", i);
                        random_config(&text);
                        strv_take(&files, write_file(*state, name, str_cstr(&text)));
                }
                AUTO(free) char *list = strv_join(&files, ":");
                setenv("KUBECONFIG", list, 1);
                const char *const argv[] = {kubectl, "config", "view", "--merge", "--raw", "-o", "json", NULL};
                AUTO(str) struct str out = STR_INIT(0), said = STR_INIT(0);
                int code = -1;
                ok(child_run(&(struct child_spec){.argv = argv}, &code, &out, &said, test_err()));
                if (code != 0)
                        fail_msg("kubectl: %s", str_cstr(&said));
                AUTO(kubeconfig) struct kubeconfig k = {0};
                ok(kubeconfig_load(NULL, &k, test_err()));
                AUTO(json) yyjson_doc *theirs = NULL, *ours = mjson_freeze(yyjson_mut_doc_get_root(k.doc));
                ok(json_parse(str_sv(&out), &theirs, test_err()));
                yyjson_val *a = yyjson_doc_get_root(ours), *b = yyjson_doc_get_root(theirs);
                same_entries(a, b, "clusters", "cluster");
                same_entries(a, b, "users", "user");
                same_entries(a, b, "contexts", "context");
                const char *current = json_get_str(b, "current-context");
                assert_true(streq_null(json_get_str(a, "current-context"), current && *current ? current : NULL));
        }
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
                with_dir(merges_as_kubectl_does),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
