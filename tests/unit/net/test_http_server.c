/* The server against raw bytes, cut at will: what well-behaved clients never send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/http_server.h"
#include "net/stream.h"

struct fixture {
        struct loop *loop;
        struct http_server *server;
        int port;
        struct stream *client;
        struct str got;
        bool ended, done;
        const char *wait_text;
        struct http_exchange *held;
        int gone, requests, drains;
        char *last_body;
        struct stream *upgraded;
};

static void on_gone(void *arg) {
        struct fixture *f = arg;
        f->gone++;
        f->held = NULL;
        f->done = true;
}

static void serve(struct http_exchange *x, const struct http_request *q, void *arg) {
        struct fixture *f = arg;
        f->requests++;
        free(f->last_body);
        f->last_body = sv_dup(q->body);
        if (streq(q->path, "/hold")) {
                f->held = x;
                http_on_gone(x, on_gone, f);
                f->done = true;
        } else if (streq(q->path, "/watch")) {
                f->held = x;
                http_on_gone(x, on_gone, f);
                http_start(x, 200, "application/json");
                http_write(x, SV("{}\n"));
        } else if (streq(q->path, "/upgrade")) {
                f->upgraded = http_upgrade(x, "test");
        } else {
                AUTO(free) char *text = xasprintf("%s %s?%s [%.*s]", q->method, q->path, q->query ? q->query : "", SV_ARG(q->body));
                http_set_header(x, "X-Bad", "a\r\nInjected: 1");
                http_respond(x, 200, "text/plain", sv_of(text));
        }
}

static int set_up_with(void **state, struct http_server_options o) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        o.handler = serve;
        o.arg = f;
        f->server = http_server_new(f->loop, &o);
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &f->port, NULL), 0);
        *state = f;
        return 0;
}

static int set_up(void **state) { return set_up_with(state, (struct http_server_options){.max_body = 1000}); }
static int set_up_impatient(void **state) { return set_up_with(state, (struct http_server_options){.idle_timeout_ms = 50}); }
static int set_up_two(void **state) { return set_up_with(state, (struct http_server_options){.max_connections = 2}); }

static int tear_down(void **state) {
        struct fixture *f = *state;
        stream_free(f->client);
        stream_free(f->upgraded);
        http_server_free(f->server);
        loop_free(f->loop);
        str_done(&f->got);
        free(f->last_body);
        free(f);
        return 0;
}

/* ---- the client's side ---- */

static void on_data(void *arg, struct sv data) {
        struct fixture *f = arg;
        str_append_sv(&f->got, data);
        if (f->wait_text && strstr(str_cstr(&f->got), f->wait_text))
                f->done = true;
}

static void on_end(void *arg, const struct err *err) {
        struct fixture *f = arg;
        f->ended = true;
        f->done = true;
}

static void on_connected(void *arg, struct stream *s, const struct err *err) {
        struct fixture *f = arg;
        assert_null(err);
        f->client = s;
        struct stream_events ev = {.on_data = on_data, .on_end = on_end, .arg = f};
        stream_set_events(s, &ev);
        f->done = true;
}

static void wait_done(struct fixture *f) {
        loop_run_until(f->loop, &f->done);
        f->done = false;
}

static void connect_client(struct fixture *f) {
        stream_free(TAKE(f->client));
        str_clear(&f->got);
        f->ended = false;
        stream_connect(f->loop, "127.0.0.1", f->port, NULL, 120000, on_connected, f);
        wait_done(f);
}

static void nothing(void *arg) { *(bool *)arg = true; }

/* One turn of the loop, so that what was written is read. */
static void turn(struct fixture *f) {
        bool turned = false;
        struct timer *t = timer_new(f->loop, 0, 0, nothing, &turned);
        loop_run_until(f->loop, &turned);
        timer_free(t);
}

static void send_cut(struct fixture *f, struct sv bytes, size_t piece) {
        for (size_t at = 0; at < bytes.len; at += piece) {
                size_t n = bytes.len - at < piece ? bytes.len - at : piece;
                stream_write(f->client, sv_new(bytes.data + at, n));
                if (piece < 100)
                        turn(f);
        }
}

static void expect(struct fixture *f, const char *text) {
        f->wait_text = text;
        if (!strstr(str_cstr(&f->got), text) && !f->ended)
                wait_done(f);
        f->done = false;
        f->wait_text = NULL;
        if (!strstr(str_cstr(&f->got), text))
                fail_msg("no %s in %s", text, str_cstr(&f->got));
}

static void expect_end(struct fixture *f) {
        f->wait_text = NULL;
        while (!f->ended)
                wait_done(f);
}

/* ---- tests ---- */

static void takes_requests_cut_anywhere(void **state) {
        struct fixture *f = *state;
        const struct sv request = SV(
                "POST /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: t\r\n\r\n");
        for (size_t piece = 1; piece < request.len; piece += piece < 4 ? 1 : 23) {
                connect_client(f);
                send_cut(f, request, piece);
                expect(f, "POST /a%20b?x=1&y [abcde]");
        }
}

static void does_not_let_headers_be_injected(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "GET /x? []");
        assert_null(strstr(str_cstr(&f->got), "Injected"));
}

static void continues_when_asked_and_refuses_before_the_body_comes(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
        expect(f, "HTTP/1.1 100 Continue\r\n\r\n");
        stream_write(f->client, SV("abc"));
        expect(f, "PUT /x? [abc]");
        connect_client(f);
        stream_write(f->client, SV("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n\r\n"));
        expect_end(f);
        expect(f, "HTTP/1.1 413 ");
        assert_null(strstr(str_cstr(&f->got), "100 Continue"));
}

static void bounds_chunked_bodies(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
        AUTO(str) struct str chunk = STR_INIT(0);
        str_appendf(&chunk, "190\r\n%0400d\r\n", 0);
        for (int i = 0; i < 3; i++)
                stream_write(f->client, str_sv(&chunk));
        expect_end(f);
        expect(f, "HTTP/1.1 413 ");
        assert_int_equal(f->requests, 0);
}

static void answers_pipelined_requests_one_after_the_other(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(
                f->client,
                SV("GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\nGET /third HTTP/1.1\r\nHost: h\r\n\r\n"));
        wait_done(f);
        turn(f);
        assert_int_equal(f->requests, 1);
        http_respond(f->held, 200, "text/plain", SV("first"));
        expect(f, "GET /third");
        assert_true(strstr(str_cstr(&f->got), "first") < strstr(str_cstr(&f->got), "GET /second"));
}

static void keeps_requests_that_come_while_one_is_held_within_bounds(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"));
        wait_done(f);
        AUTO(str) struct str many = STR_INIT(0);
        while (many.len < 20 << 20)
                str_append_s(&many, "GET /n HTTP/1.1\r\nHost: h\r\n\r\n");
        stream_write(f->client, str_sv(&many));
        for (int i = 0; i < 100; i++)
                turn(f);
        assert_true(stream_pending(f->client) > 1 << 20); /* the server reads no more */
        assert_int_equal(f->requests, 1);
}

static void says_when_the_peer_goes_during_a_stream(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "3\r\n{}\n\r\n");
        http_write(f->held, SV("more"));
        expect(f, "4\r\nmore\r\n");
        stream_free(TAKE(f->client));
        wait_done(f);
        assert_int_equal(f->gone, 1);
}

static void held_exchanges_outlive_their_connection(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "{}\n");
        struct http_exchange *x = f->held;
        http_hold(x);
        stream_free(TAKE(f->client));
        wait_done(f);
        assert_string_equal(http_request_of(x)->path, "/watch");
        http_write(x, SV("to nobody"));
        http_finish(x);
        assert_int_equal(http_pending(x), 0);
        http_release(x);
}

static void hands_over_bytes_that_came_with_an_upgrade(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nearly"));
        expect(f, "HTTP/1.1 101 Switching Protocols\r\n");
        struct stream *other = f->client;
        struct stream_events ev = {.on_data = on_data, .on_end = on_end, .arg = f};
        stream_set_events(f->upgraded, &ev);
        expect(f, "early");
        stream_write(other, SV("later"));
        expect(f, "later");
}

static void cuts_off_slow_requests_and_idle_connections(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /x HTTP/1.1\r\nHo"));
        expect_end(f);
        expect(f, "HTTP/1.1 408 ");
        connect_client(f);
        expect_end(f);
        assert_int_equal(f->got.len, 0);
}

static void leaves_idle_streams_alone(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "{}\n");
        bool waited = false;
        struct timer *t = timer_new(f->loop, 300, 0, nothing, &waited);
        loop_run_until(f->loop, &waited);
        timer_free(t);
        assert_false(f->ended);
        assert_int_equal(f->gone, 0);
}

static void takes_no_more_connections_than_allowed(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        struct stream *first = TAKE(f->client);
        connect_client(f);
        struct stream *second = TAKE(f->client);
        connect_client(f);
        expect_end(f);
        stream_free(first);
        stream_free(second);
}

static void stopped(void *arg) {
        struct fixture *f = arg;
        f->done = true;
}

static void stops_when_what_is_held_was_answered(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        struct stream *idle = TAKE(f->client);
        stream_set_events(idle, NULL);
        connect_client(f);
        stream_write(f->client, SV("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"));
        wait_done(f);
        http_server_stop(f->server, 60000, stopped, f);
        turn(f);
        http_respond(f->held, 200, "text/plain", SV("last"));
        expect(f, "Connection: close");
        stream_free(TAKE(f->client));
        stream_free(idle);
        wait_done(f);
}

static void stops_though_a_stream_goes_on(void **state) {
        struct fixture *f = *state;
        connect_client(f);
        stream_write(f->client, SV("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "{}\n");
        http_server_stop(f->server, 10, NULL, NULL);
        wait_done(f);
        assert_int_equal(f->gone, 1);
}

static void adopts_listening_sockets(void **state) {
        struct fixture *f = *state;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof sa;
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
        assert_int_equal(listen(fd, 5), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
        assert_int_equal(http_server_adopt(f->server, fd, NULL), 0);
        f->port = ntohs(sa.sin_port);
        connect_client(f);
        stream_write(f->client, SV("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect(f, "GET /x? []");
}

static void names_a_port_that_is_taken(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", f->port, NULL, &err), -EADDRINUSE);
        assert_non_null(strstr(err_message(&err), "127.0.0.1 port"));
        assert_int_equal(http_server_listen(f->server, "localhost", 0, NULL, &err), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(takes_requests_cut_anywhere),
                TEST(does_not_let_headers_be_injected),
                TEST(continues_when_asked_and_refuses_before_the_body_comes),
                TEST(bounds_chunked_bodies),
                TEST(answers_pipelined_requests_one_after_the_other),
                TEST(keeps_requests_that_come_while_one_is_held_within_bounds),
                TEST(says_when_the_peer_goes_during_a_stream),
                TEST(held_exchanges_outlive_their_connection),
                TEST(hands_over_bytes_that_came_with_an_upgrade),
                cmocka_unit_test_setup_teardown(cuts_off_slow_requests_and_idle_connections, set_up_impatient, tear_down),
                cmocka_unit_test_setup_teardown(leaves_idle_streams_alone, set_up_impatient, tear_down),
                cmocka_unit_test_setup_teardown(takes_no_more_connections_than_allowed, set_up_two, tear_down),
                TEST(stops_when_what_is_held_was_answered),
                TEST(stops_though_a_stream_goes_on),
                TEST(adopts_listening_sockets),
                TEST(names_a_port_that_is_taken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
