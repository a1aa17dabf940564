#include "fake_api.h"

#include "kube/verbs.h"

static void echo(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        const char *authorization = http_headers_get(&request->headers, "Authorization");
        if (streq_null(authorization, "Bearer run-1") && api->arg)
                answer(x, 401, STATUS(401, "Unauthorized", "Unauthorized"));
        else
                answer(x, 200, "{}");
}

/* A plugin that counts its runs and answers `run-N`; it also keeps what it was told. */
static struct kube_exec *plugin(struct fake_api *api, const char *body) {
        AUTO(free) char *text = xasprintf(
                "#!/bin/sh\ncd %s\necho x >> runs\nN=$(wc -l < runs)\necho \"$KUBERNETES_EXEC_INFO\" > info\n%s\n", api->dir, body);
        AUTO(free) char *path = write_file(api->dir, "plugin", text);
        assert_int_equal(chmod(path, 0700), 0);
        struct kube_exec *e = NEW(struct kube_exec);
        e->api_version = xstrdup("client.authentication.k8s.io/v1");
        e->command = xstrdup(path);
        e->interactive_mode = xstrdup("Never");
        *vec_push(&e->env) = (struct kube_exec_env){xstrdup("WHO"), xstrdup("me")};
        api->access.exec = e;
        free(api->access.user);
        api->access.user = xstrdup("u");
        return e;
}

#define CREDENTIAL(status) "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status "}}'"

static void an_answer_without_expiry_is_used_until_it_is_refused(void **state) {
        struct fake_api *api = *state;
        api->handler = echo;
        plugin(api, CREDENTIAL("\"token\":\"run-'$N'\""));
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        ok(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()));
        ok(kube_get(c, &KUBE_PODS, "n", "b", NULL, test_err()));
        api->arg = api; /* from now on run-1 is refused */
        ok(kube_get(c, &KUBE_PODS, "n", "c", NULL, test_err()));
        assert_int_equal(api->requests.len, 4);
        assert_string_equal(api->authorization.items[1], "Bearer run-1");
        assert_string_equal(api->authorization.items[3], "Bearer run-2");
}

static void an_expired_answer_is_replaced(void **state) {
        struct fake_api *api = *state;
        api->handler = echo;
        plugin(api, CREDENTIAL("\"token\":\"run-'$N'-'$WHO'\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\""));
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        ok(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()));
        ok(kube_get(c, &KUBE_PODS, "n", "b", NULL, test_err()));
        assert_string_equal(api->authorization.items[0], "Bearer run-1-me");
        assert_string_equal(api->authorization.items[1], "Bearer run-2-me");
}

static void tells_the_plugin_of_the_cluster_when_asked(void **state) {
        struct fake_api *api = *state;
        api->handler = echo;
        struct kube_exec *e = plugin(api, CREDENTIAL("\"token\":\"t\""));
        e->provide_cluster_info = true;
        e->cluster_config = xstrdup("{\"audience\":\"x\"}");
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        ok(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()));
        AUTO(free) char *path = fs_join(api->dir, "info");
        AUTO(free) char *info = read_text(path);
        AUTO(free) char *wanted =
                xasprintf("{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{\"cluster\":{"
                          "\"server\":\"%s\",\"config\":{\"audience\":\"x\"}},\"interactive\":false}}\n",
                          api->access.server);
        assert_string_equal(info, wanted);
}

static void one_run_serves_all_who_wait(void **state) {
        struct fake_api *api = *state;
        api->handler = echo;
        plugin(api, CREDENTIAL("\"token\":\"run-'$N'\""));
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(kube_request) struct kube_request q = {0};
        kube_make_get(&KUBE_PODS, "n", "cancelled", &q);
        kube_call_cancel(kube_call_start(c, &q, NULL, NULL));
        ok(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()));
        AUTO(free) char *path = fs_join(api->dir, "runs");
        AUTO(free) char *runs = read_text(path);
        assert_string_equal(runs, "x\n");
}

static void what_is_wrong_with_a_plugin_is_said(void **state) {
        static const struct {
                const char *body, *wanted;
        } cases[] = {
                {"echo 'token expired, log in' >&2; exit 3", "ended with exit code 3: token expired, log in"},
                {"echo hello", "its output is not JSON"},
                {"echo '{\"kind\":\"Pod\"}'", "its output is Pod"},
                {CREDENTIAL(""), "neither status.token nor status.clientCertificateData"},
                {CREDENTIAL("\"clientCertificateData\":\"x\""), "only one of"},
                {CREDENTIAL("\"token\":\"x\",\"expirationTimestamp\":\"soon\""), "\"soon\" is not a time"},
        };
        struct fake_api *api = *state;
        api->handler = echo;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                kube_access_done(&api->access);
                api->access.server = xasprintf("http://127.0.0.1:%d", api->port);
                api->access.source = xstrdup("the test");
                plugin(api, cases[i].body);
                AUTO(kube_client) struct kube_client *c = fake_client(api);
                assert_true(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()) < 0);
                if (!strstr(err_message(&test_err_), cases[i].wanted))
                        fail_msg("\"%s\" does not say \"%s\"", err_message(&test_err_), cases[i].wanted);
        }
        assert_int_equal(api->requests.len, 0);
}

static void a_missing_plugin_comes_with_its_hint(void **state) {
        struct fake_api *api = *state;
        struct kube_exec *e = plugin(api, "");
        free(e->command);
        e->command = xstrdup("no-such-plugin-here");
        e->install_hint = xstrdup("install it with pip");
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        assert_int_equal(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()), -ENOENT);
        assert_non_null(strstr(err_message(&test_err_), "no-such-plugin-here of user \"u\" is not installed"));
        assert_string_equal(test_err_.hint, "install it with pip");
}

static void basic_credentials_are_encoded(void **state) {
        struct fake_api *api = *state;
        api->handler = echo;
        api->access.username = xstrdup("Aladdin");
        api->access.password = xstrdup("open sesame");
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        ok(kube_get(c, &KUBE_PODS, "n", "a", NULL, test_err()));
        assert_string_equal(api->authorization.items[0], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617's own example */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(an_answer_without_expiry_is_used_until_it_is_refused),
                with_api(an_expired_answer_is_replaced),
                with_api(tells_the_plugin_of_the_cluster_when_asked),
                with_api(one_run_serves_all_who_wait),
                with_api(what_is_wrong_with_a_plugin_is_said),
                with_api(a_missing_plugin_comes_with_its_hint),
                with_api(basic_credentials_are_encoded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
