/* The client against our own server, both on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "codec/ktime.h"
#include "net/http_client.h"
#include "net/http_server.h"

struct fixture {
        struct loop *loop;
        struct http_server *server;
        struct http_client *client;
        struct tls_context *server_tls, *client_tls;
        char *base;
        char *ca, *ca_key;
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
        char *ca, *ca_key;
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        AUTO(free) char *user = NULL;
        AUTO(free) char *user_key = NULL;
        assert_int_equal(tls_make_ca("test authority", 10, &ca, &ca_key, NULL), 0);
        f->ca = ca;
        f->ca_key = ca_key;
        struct tls_cert_request server = {.common_name = "server",
                                          .dns_names = (const char *const[]){"localhost", NULL},
                                          .ip_addresses = (const char *const[]){"127.0.0.1", NULL},
                                          .days = 5,
                                          .is_server = true};
        assert_int_equal(tls_make_cert(sv_of(ca), sv_of(ca_key), &server, &cert, &key, NULL), 0);
        struct tls_cert_request client = {
                .common_name = "alice", .organizations = (const char *const[]){"system:masters", NULL}, .days = 5, .is_client = true};
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
        free(f->ca);
        free(f->ca_key);
        free(f);
        return 0;
}

static int call(struct fixture *f, const char *method, const char *path, struct sv body, struct http_response *ret, struct err *err) {
        AUTO(free) char *url = xasprintf("%s%s", f->base, path);
        struct http_call_options o = {.method = method, .url = url, .body = body, .timeout_ms = 120000};
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

/* ---- what goes wrong ---- */

/* A socket with a port of its own, which `base` names from now on. */
static int bound_socket(struct fixture *f) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof sa;
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
        *strrchr(f->base, ':') = '\0';
        char *base = xasprintf("%s:%d", f->base, ntohs(sa.sin_port));
        free(f->base);
        f->base = base;
        return fd;
}

static void keeps_connections_and_replaces_stale_ones(void **state) {
        struct fixture *f = *state;
        /* The port is held by a descriptor of the test's own, so that nobody else gets it between the two servers. */
        AUTO(fd) int held = bound_socket(f);
        assert_int_equal(listen(held, 5), 0);
        assert_int_equal(http_server_adopt(f->server, dup(held), NULL), 0);
        AUTO(http_response) struct http_response first = {0};
        assert_int_equal(call(f, "GET", "/close", SV_NULL, &first, NULL), 0);
        /* The server goes and another takes its place: the kept connection is dead, which the client must not tell anybody. */
        http_server_free(f->server);
        struct http_server_options so = {.tls = f->server_tls, .handler = serve, .arg = f};
        f->server = http_server_new(f->loop, &so);
        assert_int_equal(http_server_adopt(f->server, dup(held), NULL), 0);
        AUTO(http_response) struct http_response second = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (call(f, "GET", "/close", SV_NULL, &second, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_string_equal(str_cstr(&second.body), "bye");
}

static void names_the_address_that_refuses(void **state) {
        struct fixture *f = *state;
        /* Bound and not listened on: refused, and nobody else can listen there. */
        AUTO(fd) int held = bound_socket(f);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(call(f, "GET", "/", SV_NULL, &r, &err), -ECONNREFUSED);
        assert_non_null(strstr(err_message(&err), "cannot connect to "));
        assert_non_null(strstr(err_message(&err), "Connection refused"));
}

static void gives_up_after_the_time_limit(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *url = xasprintf("%s/hang", f->base);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct http_call_options o = {.method = "GET", .url = url, .timeout_ms = 50};
        assert_int_equal(http_call_wait(f->client, f->loop, &o, &r, &err), -ETIMEDOUT);
        assert_non_null(strstr(err_message(&err), "no answer within 0.05 s"));
}

static void never(void *arg, struct http_response *response, const struct err *err) { fail_msg("a cancelled call answered"); }

static void cancelled_calls_do_not_answer(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *url = xasprintf("%s/hang", f->base);
        struct http_call_options o = {.method = "GET", .url = url, .on_done = never};
        http_call_cancel(http_call_start(f->client, &o)); /* before it begins */
        struct http_call *c = http_call_start(f->client, &o);
        while (!f->held) {
                AUTO(http_response) struct http_response r = {0};
                assert_int_equal(call(f, "GET", "/close", SV_NULL, &r, NULL), 0);
        }
        http_call_cancel(c);
        http_call_start(f->client, &o); /* freed with the client */
}

struct streamed {
        struct fixture *f;
        struct str data;
        int headers;
};

static void count_headers(void *arg, const struct http_response *response) { ((struct streamed *)arg)->headers += response->status == 200; }
static void collect(void *arg, struct sv data) { str_append_sv(&((struct streamed *)arg)->data, data); }

static void streams_bodies(void **state) {
        struct fixture *f = *state;
        struct streamed s = {.f = f};
        AUTO(free) char *url = xasprintf("%s/stream", f->base);
        AUTO(http_response) struct http_response r = {0};
        struct http_call_options o = {.method = "GET", .url = url, .on_headers = count_headers, .on_data = collect, .arg = &s};
        assert_int_equal(http_call_wait(f->client, f->loop, &o, &r, NULL), 0);
        assert_int_equal(s.headers, 1);
        assert_int_equal(s.data.len, 50);
        assert_int_equal(r.body.len, 0);
        str_done(&s.data);
}

static void bounds_the_bodies_of_answers(void **state) {
        struct fixture *f = *state;
        const char *const paths[] = {"/close", "/stream"};
        for (int i = 0; i < 2; i++) {
                AUTO(free) char *url = xasprintf("%s%s", f->base, paths[i]);
                AUTO(http_response) struct http_response r = {0};
                struct http_call_options o = {.method = "GET", .url = url, .max_body = 2};
                assert_int_equal(http_call_wait(f->client, f->loop, &o, &r, NULL), -EMSGSIZE);
        }
}

static void refuses_bad_urls_and_headers(void **state) {
        struct fixture *f = *state;
        const char *const urls[] = {"ftp://x/", "http://", "nonsense", "http://h/a b", "http://h/\r\nX: y"};
        for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
                AUTO(http_response) struct http_response r = {0};
                struct http_call_options o = {.method = "GET", .url = urls[i]};
                assert_true(http_call_wait(f->client, f->loop, &o, &r, NULL) < 0);
        }
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "X", "a\r\nHost: evil");
        AUTO(http_response) struct http_response r = {0};
        struct http_call_options o = {.method = "GET", .url = f->base, .headers = &h};
        assert_int_equal(http_call_wait(f->client, f->loop, &o, &r, NULL), -EINVAL);
}

/* ---- proxies: the second server is one ---- */

struct tunnel {
        struct stream *near, *far;
        int target_port;
        int refs;
};

static void tunnel_end(struct tunnel *t) {
        stream_free(TAKE(t->near));
        stream_free(TAKE(t->far));
        if (--t->refs == 0)
                free(t);
}

static void near_data(void *arg, struct sv data) { stream_write(((struct tunnel *)arg)->far, data); }
static void far_data(void *arg, struct sv data) { stream_write(((struct tunnel *)arg)->near, data); }
static void either_end(void *arg, const struct err *err) { tunnel_end(arg); }

static void far_connected(void *arg, struct stream *s, const struct err *err) {
        struct tunnel *t = arg;
        assert_null(err);
        t->far = s;
        stream_write(t->near, SV("HTTP/1.1 200 Connection established\r\n\r\n"));
        struct stream_events near_ev = {.on_data = near_data, .on_end = either_end, .arg = t},
                             far_ev = {.on_data = far_data, .on_end = either_end, .arg = t};
        stream_set_events(t->near, &near_ev);
        stream_set_events(s, &far_ev);
}

struct proxy {
        struct loop *loop;
        int listener; /* a listening socket */
        struct fdwatch *watch;
        struct tunnel *tunnel;
        struct str head;
        const char *answer; /* instead of a tunnel */
};

static void proxy_data(void *arg, struct sv data) {
        struct proxy *p = arg;
        str_append_sv(&p->head, data);
        if (!strstr(str_cstr(&p->head), "\r\n\r\n"))
                return;
        stream_set_events(p->tunnel->near, NULL);
        if (p->answer)
                stream_write(p->tunnel->near, sv_of(p->answer));
        else
                stream_connect(p->loop, "127.0.0.1", p->tunnel->target_port, NULL, 0, far_connected, p->tunnel);
}

static void proxy_end(void *arg, const struct err *err) {}

static void proxy_accept(void *arg) {
        struct proxy *p = arg;
        int fd = accept(p->listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(stream_adopt(p->loop, fd, &p->tunnel->near, NULL), 0);
        struct stream_events ev = {.on_data = proxy_data, .on_end = proxy_end, .arg = p};
        stream_set_events(p->tunnel->near, &ev);
}

static char *proxy_start(struct proxy *p, struct fixture *f) {
        *p = (struct proxy){.loop = f->loop, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof sa;
        assert_int_equal(bind(p->listener, (struct sockaddr *)&sa, len), 0);
        assert_int_equal(listen(p->listener, 5), 0);
        assert_int_equal(getsockname(p->listener, (struct sockaddr *)&sa, &len), 0);
        p->watch = fdwatch_new(f->loop, p->listener, proxy_accept, p);
        p->tunnel = NEW(struct tunnel);
        p->tunnel->refs = 1;
        p->tunnel->target_port = (int)strtol(strrchr(f->base, ':') + 1, NULL, 10);
        char *url = xasprintf("http://me:pass%%20word@127.0.0.1:%d", ntohs(sa.sin_port));
        http_client_free(f->client);
        struct http_client_options co = {.tls = f->client_tls, .proxy_url = url};
        f->client = http_client_new(f->loop, &co);
        return url;
}

static void proxy_stop(struct proxy *p, struct fixture *f) {
        http_client_free(TAKE(f->client));
        fdwatch_free(p->watch);
        close(p->listener);
        stream_free(p->tunnel->near);
        stream_free(p->tunnel->far);
        free(p->tunnel);
        str_done(&p->head);
}

static void goes_through_a_proxy_by_connect(void **state) {
        struct fixture *f = *state;
        struct proxy p;
        AUTO(free) char *url = proxy_start(&p, f);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        p.tunnel->refs = 2; /* its end leaves it to proxy_stop() */
        if (call(f, "POST", "/echo", SV("tunnelled"), &r, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_string_equal(str_cstr(&r.body), "tunnelled");
        assert_true(str_starts(str_cstr(&p.head), "CONNECT localhost:"));
        assert_non_null(strstr(str_cstr(&p.head), "Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n"));
        proxy_stop(&p, f);
}

static void explains_a_proxy_that_refuses(void **state) {
        struct fixture *f = *state;
        struct proxy p;
        AUTO(free) char *url = proxy_start(&p, f);
        p.answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(call(f, "GET", "/", SV_NULL, &r, &err), -ECONNREFUSED);
        assert_non_null(strstr(err_message(&err), "the proxy 127.0.0.1:"));
        assert_non_null(strstr(err_message(&err), "407"));
        proxy_stop(&p, f);
}

static void asks_proxies_for_whole_urls(void **state) {
        struct fixture *f = *state;
        struct proxy p;
        AUTO(free) char *url = proxy_start(&p, f);
        p.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy";
        AUTO(http_response) struct http_response r = {0};
        assert_int_equal(call(f, "GET", "/x", SV_NULL, &r, NULL), 0);
        assert_string_equal(str_cstr(&r.body), "proxy");
        assert_true(str_starts(str_cstr(&p.head), "GET http://127.0.0.1:"));
        proxy_stop(&p, f);
}

/* ---- certificates ---- */

static void expect_tls_error(struct fixture *f, const struct tls_client_options *o, const char *host, const char *text) {
        AUTO(tls_context) struct tls_context *tls = NULL;
        assert_int_equal(tls_client_new(o, &tls, NULL), 0);
        struct http_client_options co = {.tls = tls};
        AUTO(http_client) struct http_client *c = http_client_new(f->loop, &co);
        AUTO(free) char *url = xasprintf("https://%s%s/who", host, strrchr(f->base, ':'));
        struct http_call_options call_o = {.method = "GET", .url = url, .timeout_ms = 120000};
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        int code = http_call_wait(c, f->loop, &call_o, &r, &err);
        if (!text) {
                if (code < 0)
                        fail_msg("%s", err_message(&err));
                return;
        }
        assert_true(code < 0);
        if (!strstr(err_message(&err), text))
                fail_msg("no \"%s\" in: %s", text, err_message(&err));
}

static void explains_certificates(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *other = NULL;
        AUTO(free) char *other_key = NULL;
        assert_int_equal(tls_make_ca("another", 10, &other, &other_key, NULL), 0);
        struct tls_client_options wrong_ca = {.ca_pem = sv_of(other)};
        expect_tls_error(f, &wrong_ca, "localhost", "signed by unknown authority \"test authority\"");
        struct tls_client_options insecure = {.insecure = true};
        expect_tls_error(f, &insecure, "127.0.0.1", NULL);
        struct tls_client_options named = {.ca_pem = sv_of(f->ca), .server_name = "other.example"};
        expect_tls_error(f, &named, "127.0.0.1", "certificate is for localhost, 127.0.0.1, not other.example");
        struct tls_client_options good = {.ca_pem = sv_of(f->ca)};
        expect_tls_error(f, &good, "127.0.0.1", NULL);
}

static void explains_expired_certificates(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        struct tls_cert_request req = {
                .common_name = "old", .dns_names = (const char *const[]){"localhost", NULL}, .days = 0, .is_server = true};
        req.days = -1;
        assert_int_equal(tls_make_cert(sv_of(f->ca), sv_of(f->ca_key), &req, &cert, &key, NULL), 0);
        int64_t seconds = 0;
        assert_int_equal(tls_cert_expiry(sv_of(cert), &seconds, NULL), 0);
        AUTO(tls_context) struct tls_context *old = NULL;
        struct tls_server_options so = {.cert_pem = sv_of(cert), .key_pem = sv_of(key)};
        assert_int_equal(tls_server_new(&so, &old, NULL), 0);
        struct http_server_options ho = {.tls = old, .handler = serve, .arg = f};
        AUTO(http_server) struct http_server *s = http_server_new(f->loop, &ho);
        int port;
        assert_int_equal(http_server_listen(s, "127.0.0.1", 0, &port, NULL), 0);
        free(f->base);
        f->base = xasprintf("https://localhost:%d", port);
        char day[KTIME_SIZE];
        ktime_format(seconds * 1000, day);
        day[10] = '\0';
        AUTO(free) char *text = xasprintf("certificate has expired on %s", day);
        struct tls_client_options good = {.ca_pem = sv_of(f->ca)};
        expect_tls_error(f, &good, "localhost", text);
}

static void strangers_certificates_count_as_none(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *other = NULL;
        AUTO(free) char *other_key = NULL;
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        assert_int_equal(tls_make_ca("another", 10, &other, &other_key, NULL), 0);
        struct tls_cert_request req = {
                .common_name = "mallory", .organizations = (const char *const[]){"system:masters", NULL}, .days = 5, .is_client = true};
        assert_int_equal(tls_make_cert(sv_of(other), sv_of(other_key), &req, &cert, &key, NULL), 0);
        AUTO(tls_context) struct tls_context *tls = NULL;
        struct tls_client_options o = {.ca_pem = sv_of(f->ca), .cert_pem = sv_of(cert), .key_pem = sv_of(key)};
        assert_int_equal(tls_client_new(&o, &tls, NULL), 0);
        struct http_client_options co = {.tls = tls};
        http_client_free(f->client);
        f->client = http_client_new(f->loop, &co);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (call(f, "GET", "/who", SV_NULL, &r, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_string_equal(str_cstr(&r.body), "-/-");
        http_client_free(TAKE(f->client)); /* before its context */
}

static void tells_tls_from_plain(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *url = xasprintf("https://localhost%s/", strrchr(f->base, ':'));
        struct tls_client_options o = {.insecure = true};
        AUTO(tls_context) struct tls_context *tls = NULL;
        assert_int_equal(tls_client_new(&o, &tls, NULL), 0);
        struct http_client_options co = {.tls = tls};
        AUTO(http_client) struct http_client *c = http_client_new(f->loop, &co);
        AUTO(http_response) struct http_response r = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct http_call_options call_o = {.method = "GET", .url = url};
        assert_true(http_call_wait(c, f->loop, &call_o, &r, &err) < 0);
        if (!strstr(err_message(&err), "does not speak TLS"))
                fail_msg("%s", err_message(&err));
}

static void rejects_unusable_keys(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        struct tls_context *t;
        struct tls_server_options so = {.cert_pem = sv_of(f->ca), .key_pem = SV("nonsense")};
        assert_int_equal(tls_server_new(&so, &t, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "private key"));
        AUTO(free) char *other = NULL;
        AUTO(free) char *other_key = NULL;
        assert_int_equal(tls_make_ca("another", 10, &other, &other_key, NULL), 0);
        so.key_pem = sv_of(other_key);
        assert_int_equal(tls_server_new(&so, &t, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "does not belong"));
        struct tls_client_options co = {.ca_pem = SV("no certificate here")};
        assert_int_equal(tls_client_new(&co, &t, &err), -EINVAL);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, set_up_plain, tear_down)
#define TLS(test) cmocka_unit_test_setup_teardown(test, set_up_tls, tear_down)
#define BOTH(test) PLAIN(test), TLS(test)

int main(void) {
        const struct CMUnitTest tests[] = {
                BOTH(gets_an_answer_with_headers_and_body),
                BOTH(joins_chunks),
                BOTH(carries_a_megabyte_both_ways),
                BOTH(refuses_a_body_above_the_limit),
                BOTH(says_that_an_answer_broke_off),
                BOTH(head_has_no_body),
                BOTH(keeps_connections_and_replaces_stale_ones),
                BOTH(names_the_address_that_refuses),
                BOTH(gives_up_after_the_time_limit),
                BOTH(cancelled_calls_do_not_answer),
                BOTH(streams_bodies),
                BOTH(bounds_the_bodies_of_answers),
                PLAIN(refuses_bad_urls_and_headers),
                TLS(goes_through_a_proxy_by_connect),
                TLS(explains_a_proxy_that_refuses),
                PLAIN(asks_proxies_for_whole_urls),
                TLS(knows_who_calls),
                TLS(explains_certificates),
                TLS(explains_expired_certificates),
                TLS(strangers_certificates_count_as_none),
                PLAIN(tells_tls_from_plain),
                TLS(rejects_unusable_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
