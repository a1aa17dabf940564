#include "fixture.h"

#include "kube/access.h"
#include "net/tls.h"

static const char config[] =
        "current-context: dev\n"
        "clusters:\n"
        "- name: c1\n"
        "  cluster: {server: 'https://k8s:6443/', certificate-authority-data: Q0E=, tls-server-name: api, proxy-url: 'http://p:1'}\n"
        "- name: c2\n"
        "  cluster: {server: 'https://two', insecure-skip-tls-verify: true}\n"
        "- name: noserver\n"
        "  cluster: {}\n"
        "- name: both\n"
        "  cluster: {server: 'https://x', insecure-skip-tls-verify: true, certificate-authority-data: Q0E=}\n"
        "users:\n"
        "- name: token\n"
        "  user: {token: abc, as: boss, as-groups: [g1, g2]}\n"
        "- name: file\n"
        "  user: {tokenFile: t/token}\n"
        "- name: exec\n"
        "  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: p, args: [a, b], interactiveMode: Never, env: [{name: X, value: why}]}}\n"
        "- name: alpha\n"
        "  user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: p}}\n"
        "- name: nomode\n"
        "  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: p}}\n"
        "- name: gcp\n"
        "  user: {auth-provider: {name: gcp}}\n"
        "- name: gone\n"
        "  user: {client-certificate: gone.crt, client-key: gone.key}\n"
        "- name: half\n"
        "  user: {client-certificate-data: Q0E=}\n"
        "- name: bad64\n"
        "  user: {client-certificate-data: '!'}\n"
        "contexts:\n"
        "- {name: dev, context: {cluster: c1, user: token, namespace: data}}\n"
        "- {name: anon, context: {cluster: c2}}\n"
        "- {name: file, context: {cluster: c2, user: file}}\n"
        "- {name: exec, context: {cluster: c1, user: exec}}\n"
        "- {name: alpha, context: {cluster: c1, user: alpha}}\n"
        "- {name: nomode, context: {cluster: c1, user: nomode}}\n"
        "- {name: gcp, context: {cluster: c1, user: gcp}}\n"
        "- {name: gone, context: {cluster: c1, user: gone}}\n"
        "- {name: half, context: {cluster: c1, user: half}}\n"
        "- {name: bad64, context: {cluster: c1, user: bad64}}\n"
        "- {name: nouser, context: {cluster: c1, user: nobody}}\n"
        "- {name: nocluster, context: {cluster: nothing, user: token}}\n"
        "- {name: empty, context: {}}\n"
        "- {name: noserver, context: {cluster: noserver}}\n"
        "- {name: both, context: {cluster: both}}\n";

static int load(const struct kube_access_options *o, struct kube_access *ret) {
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_add_text(&k, SV(config), "/etc/kube/config", test_err()));
        return kube_access_of(&k, o, ret, test_err());
}

static void the_current_context_is_the_default(void **state) {
        AUTO(kube_access) struct kube_access a = {0};
        ok(load(&(struct kube_access_options){0}, &a));
        assert_string_equal(a.context, "dev");
        assert_string_equal(a.server, "https://k8s:6443");
        assert_string_equal(a.namespace_, "data");
        assert_string_equal(a.token, "abc");
        assert_string_equal(str_cstr(&a.ca_pem), "CA");
        assert_string_equal(a.tls_server_name, "api");
        assert_string_equal(a.proxy_url, "http://p:1");
        assert_string_equal(a.as_user, "boss");
        assert_int_equal(a.as_groups.len, 2);
        assert_non_null(strstr(a.source, "context dev of /etc/kube/config"));
}

static void the_other_ways_to_say_who_we_are(void **state) {
        AUTO(kube_access) struct kube_access file = {0}, exec = {0}, anon = {0};
        ok(load(&(struct kube_access_options){.context = "file"}, &file));
        assert_string_equal(file.token_file, "/etc/kube/t/token");
        assert_true(file.insecure);
        ok(load(&(struct kube_access_options){.context = "exec"}, &exec));
        assert_string_equal(exec.exec->command, "p");
        assert_int_equal(exec.exec->args.len, 2);
        assert_string_equal(exec.exec->env.items[0].value, "why");
        ok(load(&(struct kube_access_options){.context = "anon"}, &anon));
        assert_null(anon.user);
}

static void what_is_wrong_is_said(void **state) {
        static const struct {
                const char *context, *wanted, *hint;
        } cases[] = {
                {"prod", "context \"prod\" is not in the kubeconfig /etc/kube/config (it has: dev, anon, file, exec,", NULL},
                {"nouser", "user \"nobody\" is not in the kubeconfig", NULL},
                {"nocluster", "cluster \"nothing\" is not in the kubeconfig", NULL},
                {"empty", "names no cluster", NULL},
                {"noserver", "names no server", NULL},
                {"both", "exclude each other", NULL},
                {"gcp", "auth-provider \"gcp\" was removed", "gke-gcloud-auth-plugin"},
                {"alpha", "accepted: client.authentication.k8s.io/v1, client.authentication.k8s.io/v1beta1", "v1alpha1 was removed"},
                {"nomode", "interactiveMode must be", NULL},
                {"gone", "client-certificate: /etc/kube/gone.crt: No such file", NULL},
                {"half", "a client certificate without a client key", NULL},
                {"bad64", "client-certificate-data is not base64", NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(kube_access) struct kube_access a = {0};
                assert_true(load(&(struct kube_access_options){.context = cases[i].context}, &a) < 0);
                if (!strstr(err_message(&test_err_), cases[i].wanted))
                        fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].context, err_message(&test_err_), cases[i].wanted);
                if (cases[i].hint && (!test_err_.hint || !strstr(test_err_.hint, cases[i].hint)))
                        fail_msg("%s: the hint does not say \"%s\"", cases[i].context, cases[i].hint);
        }
}

static void a_missing_context_is_treated_as_each_spark_does(void **state) {
        AUTO(kube_access) struct kube_access current = {0}, none = {0};
        struct kube_access_options o = {.context = "absent", .server = "https://given", .missing_context = KUBE_MISSING_CONTEXT_CURRENT};
        ok(load(&o, &current));
        assert_string_equal(current.token, "abc");
        assert_string_equal(current.server, "https://given");
        o.missing_context = KUBE_MISSING_CONTEXT_NONE;
        ok(load(&o, &none));
        assert_null(none.token);
        assert_string_equal(none.server, "https://given");
}

static void a_certificate_that_expired_is_named_with_its_date(void **state) {
        AUTO(free) char *ca = NULL, *ca_key = NULL, *cert = NULL, *key = NULL;
        ok(tls_make_ca("test", 10, &ca, &ca_key, test_err()));
        struct tls_cert_request request = {.common_name = "me", .days = -1, .is_client = true};
        ok(tls_make_cert(sv_of(ca), sv_of(ca_key), &request, &cert, &key, test_err()));
        AUTO(free) char *cert_file = write_file(*state, "crt", cert), *key_file = write_file(*state, "key", key);
        struct kube_access_options o = {.server = "https://x", .cert_file = cert_file, .key_file = key_file};
        AUTO(kubeconfig) struct kubeconfig k = {0};
        AUTO(kube_access) struct kube_access a = {0};
        assert_int_equal(kube_access_of(&k, &o, &a, test_err()), -EKEYEXPIRED);
        assert_non_null(strstr(err_message(&test_err_), "expired on 20"));
        o.server = "http://x"; /* not used there */
        ok(kube_access_of(&k, &o, &a, test_err()));
}

static void a_pod_uses_its_service_account(void **state) {
        AUTO(free) char *token = write_file(*state, "token", "t"), *ca = write_file(*state, "ca.crt", "CA"),
                        *ns = write_file(*state, "namespace", "jobs\n");
        setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
        setenv("KUBERNETES_SERVICE_PORT", "443", 1);
        AUTO(kubeconfig) struct kubeconfig none = {0};
        AUTO(kube_access) struct kube_access a = {0};
        ok(kube_access_of(&none, &(struct kube_access_options){.service_account_dir = tmp_dir(*state)}, &a, test_err()));
        assert_string_equal(a.server, "https://[fd00::1]:443");
        assert_string_equal(a.namespace_, "jobs");
        assert_string_equal(a.token_file, token);
        assert_string_equal(str_cstr(&a.ca_pem), "CA");
}

static void nothing_configured_says_what_was_looked_at(void **state) {
        AUTO(free) char *path = xasprintf("%s/none", tmp_dir(*state));
        setenv("KUBECONFIG", path, 1);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        ok(kubeconfig_load(NULL, &k, test_err()));
        AUTO(kube_access) struct kube_access a = {0};
        assert_int_equal(kube_access_of(&k, &(struct kube_access_options){.service_account_dir = tmp_dir(*state)}, &a, test_err()),
                         KUBE_NO_CLUSTER);
        assert_non_null(strstr(err_message(&test_err_), path));
        assert_non_null(test_err_.hint);
}

static void options_replace_what_the_context_says(void **state) {
        AUTO(free) char *token = write_file(*state, "token", "t");
        AUTO(kube_access) struct kube_access a = {0};
        struct kube_access_options o = {.context = "exec", .token_file = token, .namespace_ = "other", .insecure = true};
        ok(load(&o, &a));
        assert_null(a.exec);
        assert_string_equal(a.token_file, token);
        assert_string_equal(a.namespace_, "other");
        assert_true(a.insecure && a.ca_pem.len == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(the_current_context_is_the_default),
                with_dir(the_other_ways_to_say_who_we_are),
                with_dir(what_is_wrong_is_said),
                with_dir(a_missing_context_is_treated_as_each_spark_does),
                with_dir(a_certificate_that_expired_is_named_with_its_date),
                with_dir(a_pod_uses_its_service_account),
                with_dir(nothing_configured_says_what_was_looked_at),
                with_dir(options_replace_what_the_context_says),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
