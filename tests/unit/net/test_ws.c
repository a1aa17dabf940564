/* Both sides of WebSockets over our own server and client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/ws.h"

struct fixture {
        struct loop *loop;
        struct http_server *server;
        struct http_client *client;
        char *url;
        struct ws *server_side, *client_side;
        struct str got;
        size_t bytes;
        int close_code, server_close_code;
        bool done;
        struct err error;
        char *protocol;
        bool refuse;
};

static void echo(void *arg, bool is_text, struct sv message) {
        struct fixture *f = arg;
        ws_send(f->server_side, is_text, message);
}

static void server_closed(void *arg, int code, struct sv reason) {
        struct fixture *f = arg;
        f->server_close_code = code;
        ws_free(TAKE(f->server_side));
        f->done = true;
}

static void serve(struct http_exchange *x, const struct http_request *q, void *arg) {
        struct fixture *f = arg;
        if (f->refuse) {
                http_respond(x, 403, "text/plain", SV("not you"));
                return;
        }
        f->server_side = ws_accept(x, ws_offers(q, "v5.channel.k8s.io") ? "v5.channel.k8s.io" : NULL, 1 << 20);
        struct ws_events ev = {.on_message = echo, .on_close = server_closed, .arg = f};
        if (f->server_side)
                ws_set_events(f->server_side, &ev);
}

static int set_up(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        struct http_server_options so = {.handler = serve, .arg = f};
        f->server = http_server_new(f->loop, &so);
        int port = 0;
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &port, NULL), 0);
        f->url = xasprintf("ws://127.0.0.1:%d/exec", port);
        f->client = http_client_new(f->loop, NULL);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;
        ws_free(f->client_side);
        ws_free(f->server_side);
        http_client_free(f->client);
        http_server_free(f->server);
        loop_free(f->loop);
        free(f->url);
        free(f->protocol);
        str_done(&f->got);
        err_done(&f->error);
        free(f);
        return 0;
}

static void connected(void *arg, struct ws *w, const char *protocol, const struct err *err) {
        struct fixture *f = arg;
        f->client_side = w;
        f->protocol = xstrdup_null(protocol);
        if (err) {
                err_set(&f->error, err->code, "%s", err_message(err));
                f->error.http_status = err->http_status;
        }
        f->done = true;
}

static void got_message(void *arg, bool is_text, struct sv message) {
        struct fixture *f = arg;
        str_append_sv(&f->got, message);
        f->done = true;
}

static void client_closed(void *arg, int code, struct sv reason) {
        struct fixture *f = arg;
        f->close_code = code;
        ws_free(TAKE(f->client_side));
        f->done = true;
}

static void wait_for(struct fixture *f) {
        loop_run_until(f->loop, &f->done);
        f->done = false;
}

static void connect_to(struct fixture *f) {
        const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
        ws_connect(f->client, f->url, NULL, protocols, 1 << 20, connected, f);
        wait_for(f);
        if (f->client_side) {
                struct ws_events ev = {.on_message = got_message, .on_close = client_closed, .arg = f};
                ws_set_events(f->client_side, &ev);
        }
}

static void echoes_messages_of_all_sizes(void **state) {
        struct fixture *f = *state;
        connect_to(f);
        assert_string_equal(f->protocol, "v5.channel.k8s.io");
        const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1000000};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                AUTO(free) char *data = xcalloc(1, sizes[i] + 1);
                for (size_t k = 0; k < sizes[i]; k++)
                        data[k] = (char)(k % 251);
                str_done(&f->got);
                ws_send(f->client_side, false, sv_new(data, sizes[i]));
                wait_for(f);
                assert_true(sv_eq(str_sv(&f->got), sv_new(data, sizes[i])));
        }
}

static void closes_with_a_handshake(void **state) {
        struct fixture *f = *state;
        connect_to(f);
        ws_close(TAKE(f->client_side), 1000, SV("that is all"));
        wait_for(f);
        assert_int_equal(f->server_close_code, 1000);
}

static void count(void *arg, bool is_text, struct sv message) { ((struct fixture *)arg)->bytes += message.len; }

static void read_again(void *arg) {
        struct fixture *f = arg;
        ws_pause(f->client_side, false);
}

static void a_reader_that_pauses_still_gets_everything(void **state) {
        enum { MESSAGES = 40, LENGTH = 1000000, LONGER_THAN_CLOSING_LINGERS_MS = 3500 };
        struct fixture *f = *state;
        connect_to(f);
        ws_set_events(f->client_side, &(struct ws_events){.on_message = count, .on_close = client_closed, .arg = f});
        ws_pause(f->client_side, true);
        AUTO(free) char *data = xcalloc(1, LENGTH);
        for (int i = 0; i < MESSAGES; i++)
                ws_send(f->server_side, false, sv_new(data, LENGTH));
        ws_close(TAKE(f->server_side), 1000, SV_NULL);
        struct timer *pause = timer_new(f->loop, LONGER_THAN_CLOSING_LINGERS_MS, 0, read_again, f);
        wait_for(f);
        timer_free(pause);
        assert_int_equal(f->close_code, 1000);
        assert_int_equal(f->bytes, (size_t)MESSAGES * LENGTH);
}

static void tells_the_client_why_it_was_closed(void **state) {
        struct fixture *f = *state;
        connect_to(f);
        ws_close(TAKE(f->server_side), 1011, SV("out of order"));
        wait_for(f);
        assert_int_equal(f->close_code, 1011);
}

static void reports_a_broken_connection(void **state) {
        struct fixture *f = *state;
        connect_to(f);
        ws_free(TAKE(f->server_side));
        wait_for(f);
        assert_int_equal(f->close_code, 1006);
}

static void ends_the_connection_when_a_message_is_too_large(void **state) {
        struct fixture *f = *state;
        connect_to(f);
        AUTO(free) char *data = xcalloc(1, 2 << 20);
        ws_send(f->client_side, false, sv_new(data, 2 << 20));
        while (!f->server_close_code || !f->close_code) /* both may come in one turn of the loop */
                wait_for(f);
        assert_int_equal(f->server_close_code, 1009);
        assert_int_equal(f->close_code, 1009);
}

static void carries_the_refusal_of_the_server(void **state) {
        struct fixture *f = *state;
        f->refuse = true;
        connect_to(f);
        assert_null(f->client_side);
        assert_int_equal(f->error.http_status, 403);
        assert_non_null(strstr(err_message(&f->error), "not you"));
}

static void refuses_requests_that_are_no_handshake(void **state) {
        struct fixture *f = *state;
        AUTO(http_response) struct http_response r = {0};
        AUTO(free) char *url = xasprintf("http%s", f->url + 2);
        struct http_call_options o = {.method = "GET", .url = url};
        assert_int_equal(http_call_wait(f->client, f->loop, &o, &r, NULL), 0);
        assert_int_equal(r.status, 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(echoes_messages_of_all_sizes),
                TEST(closes_with_a_handshake),
                TEST(a_reader_that_pauses_still_gets_everything),
                TEST(tells_the_client_why_it_was_closed),
                TEST(reports_a_broken_connection),
                TEST(ends_the_connection_when_a_message_is_too_large),
                TEST(carries_the_refusal_of_the_server),
                TEST(refuses_requests_that_are_no_handshake),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
