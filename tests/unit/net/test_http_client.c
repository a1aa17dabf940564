/* The client against our own server, both on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/http_client.h"
#include "net/http_server.h"

struct fixture {
        struct loop *loop;
        struct http_server *server;
        struct http_client *client;
        struct tls_context *server_tls, *client_tls;
        char *base;
        int requests;
        struct http_exchange *held;
        bool flag;
};

static void serve(struct http_exchange *x, const struct http_request *q, void *arg) {
        struct fixture *f = arg;
        f->requests++;
        if (streq(q->path, "/echo")) {
                http_set_header(x, "X-Method", q->method);
                http_respond(x, 200, "application/octet-stream", q->body);
        } else if (streq(q->path, "/who")) {
                AUTO(free) char *text = xasprintf("%s/%s", q->peer_common_name ? q->peer_common_name : "-",
                                                  q->peer_organizations ? q->peer_organizations[0] : "-");
                http_respond(x, 200, "text/plain", sv_of(text));
        } else if (streq(q->path, "/stream")) {
                http_start(x, 200, "text/plain");
                for (int i = 0; i < 5; i++)
                        http_write(x, SV("0123456789"));
                http_finish(x);
        } else if (streq(q->path, "/broken")) {
                http_start(x, 200, "text/plain");
                http_write(x, SV("half"));
                http_abort(x);
        } else if (streq(q->path, "/hang")) {
                f->held = x;
        } else if (streq(q->path, "/close")) {
                http_respond(x, 200, "text/plain", SV("bye"));
        } else {
                http_respond(x, 404, "text/plain", SV("no such page"));
        }
}

static void start(struct fixture *f, const char *host) {
        struct http_server_options so = {.tls = f->server_tls, .handler = serve, .arg = f, .max_body = 1 << 20};
        f->server = http_server_new(f->loop, &so);
        int port = 0;
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &port, NULL), 0);
        f->base = xasprintf("%s://%s:%d", f->server_tls ? "https" : "http", host, port);
        struct http_client_options co = {.tls = f->client_tls};
        f->client = http_client_new(f->loop, &co);
}

static int set_up_plain(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        start(f, "127.0.0.1");
        *state = f;
        return 0;
}

static int set_up_tls(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        AUTO(free) char *ca = NULL;
        AUTO(free) char *ca_key = NULL;
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        AUTO(free) char *user = NULL;
        AUTO(free) char *user_key = NULL;
        assert_int_equal(tls_make_ca("test authority", 10, &ca, &ca_key, NULL), 0);
        struct tls_cert_request server = {
                .common_name = "server", .dns_names = (const char *const[]){"localhost", NULL}, .ip_addresses = (const char *const[]){"127.0.0.1", NULL}, .days = 5, .is_server = true};
        assert_int_equal(tls_make_cert(sv_of(ca), sv_of(ca_key), &server, &cert, &key, NULL), 0);
        struct tls_cert_request client = {.common_name = "alice", .organizations = (const char *const[]){"system:masters", NULL}, .days = 5, .is_client = true};
        assert_int_equal(tls_make_cert(sv_of(ca), sv_of(ca_key), &client, &user, &user_key, NULL), 0);
        struct tls_server_options so = {.cert_pem = sv_of(cert), .key_pem = sv_of(key), .client_ca_pem = sv_of(ca)};
        assert_int_equal(tls_server_new(&so, &f->server_tls, NULL), 0);
        struct tls_client_options co = {.ca_pem = sv_of(ca), .cert_pem = sv_of(user), .key_pem = sv_of(user_key)};
        assert_int_equal(tls_client_new(&co, &f->client_tls, NULL), 0);
        start(f, "localhost");
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;
        http_client_free(f->client);
        http_server_free(f->server);
        loop_free(f->loop);
        tls_context_free(f->server_tls);
        tls_context_free(f->client_tls);
        free(f->base);
        free(f);
        return 0;
}

static int call(struct fixture *f, const char *method, const char *path, struct sv body, struct http_response *ret, struct err *err) {
        AUTO(free) char *url = xasprintf("%s%s", f->base, path);
        struct http_call_options o = {.method = method, .url = url, .body = body, .timeout_ms = 5000};
        return http_call_wait(f->client, f->loop, &o, ret, err);
}

static void gets_an_answer_with_headers_and_body(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        int code = call(f, "POST", "/echo?x=1", SV("hello"), &r, &err);
        if (code < 0)
                fail_msg("%s", err_message(&err));
        assert_int_equal(r.status, 200);
        assert_string_equal(str_cstr(&r.body), "hello");
        assert_string_equal(http_headers_get(&r.headers, "x-method"), "POST");
        assert_non_null(http_headers_get(&r.headers, "Date"));
}

static void joins_chunks(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        assert_int_equal(call(f, "GET", "/stream", SV_NULL, &r, NULL), 0);
        assert_int_equal(r.body.len, 50);
}

static void carries_a_megabyte_both_ways(void **state) {
        struct fixture *f = *state;
        AUTO(str) struct str big = STR_INIT(0);
        while (big.len < 1000000)
                str_appendf(&big, "%zu,", big.len);
        AUTO(http_response) struct http_response r = {0};
        assert_int_equal(call(f, "POST", "/echo", str_sv(&big), &r, NULL), 0);
        assert_int_equal(r.status, 200);
        assert_true(sv_eq(str_sv(&r.body), str_sv(&big)));
}

static void refuses_a_body_above_the_limit(void **state) {
        struct fixture *f = *state;
        AUTO(str) struct str big = STR_INIT(0);
        str_reserve(&big, 3 << 20);
        memset(big.data, 'x', 3 << 20);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (call(f, "POST", "/echo", sv_new(big.data, 3 << 20), &r, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_int_equal(r.status, 413);
        assert_int_equal(f->requests, 0);
}

static void says_that_an_answer_broke_off(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(call(f, "GET", "/broken", SV_NULL, &r, &err), -ECONNRESET);
        assert_non_null(strstr(err_message(&err), "in the middle of the answer"));
}

static void head_has_no_body(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        assert_int_equal(call(f, "HEAD", "/close", SV_NULL, &r, NULL), 0);
        assert_string_equal(http_headers_get(&r.headers, "Content-Length"), "3");
        assert_int_equal(r.body.len, 0);
        AUTO(http_response) struct http_response again = {0};
        assert_int_equal(call(f, "GET", "/close", SV_NULL, &again, NULL), 0);
        assert_string_equal(str_cstr(&again.body), "bye");
}

static void knows_who_calls(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (call(f, "GET", "/who", SV_NULL, &r, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_string_equal(str_cstr(&r.body), "alice/system:masters");
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, set_up_plain, tear_down), cmocka_unit_test_setup_teardown(test, set_up_tls, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(gets_an_answer_with_headers_and_body),
                BOTH(joins_chunks),
                BOTH(carries_a_megabyte_both_ways),
                BOTH(refuses_a_body_above_the_limit),
                BOTH(says_that_an_answer_broke_off),
                BOTH(head_has_no_body),
                cmocka_unit_test_setup_teardown(knows_who_calls, set_up_tls, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
