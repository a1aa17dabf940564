/* The call against a peer that sends prepared bytes: the client's first stream is always number 1, so that frames can be written down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/grpc.h"
#include "net/stream.h"

struct fixture {
        struct loop *loop;
        int fd, port;
        struct fdwatch *watch;
        struct stream *peer;
        struct str script, heard;
        bool closes; /* after the script */
        bool is_done, is_connected;
        int code, status;
        struct str message, body, error;
};

static void heard(void *arg, struct sv data) {
        struct fixture *f = arg;
        bool first = f->heard.len == 0;
        str_append_sv(&f->heard, data);
        if (!first)
                return;
        stream_write(f->peer, str_sv(&f->script));
        if (f->closes)
                stream_shutdown(f->peer);
}

static void peer_ended(void *arg, const struct err *err) {
        (void)arg;
        (void)err;
}

static void accepted(void *arg) {
        struct fixture *f = arg;
        int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fd >= 0);
        assert_int_equal(stream_adopt(f->loop, fd, &f->peer, NULL), 0);
        stream_set_events(f->peer, &(struct stream_events){.on_data = heard, .on_end = peer_ended, .arg = f});
}

static int set_up(void **state) {
        struct fixture *f = NEW(struct fixture);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof a;
        f->loop = loop_new();
        f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(listen(f->fd, 8), 0);
        assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &len), 0);
        f->port = ntohs(a.sin_port);
        f->watch = fdwatch_new(f->loop, f->fd, accepted, f);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;
        fdwatch_free(f->watch);
        close(f->fd);
        if (f->peer)
                stream_free(f->peer);
        loop_free(f->loop);
        str_done(&f->script);
        str_done(&f->heard);
        str_done(&f->message);
        str_done(&f->body);
        str_done(&f->error);
        free(f);
        return 0;
}

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7, END_STREAM = 1, END_HEADERS = 4 };

static void frame(struct fixture *f, int type, int flags, int stream, struct sv payload) {
        const char head[9] = {
                (char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len, (char)type, (char)flags, 0, 0, 0, (char)stream};
        str_append(&f->script, head, sizeof head);
        str_append_sv(&f->script, payload);
}

/* HPACK's "literal without indexing, new name", neither name nor value in Huffman's code. */
static void field(struct str *s, const char *name, const char *value) {
        str_append_c(s, 0);
        str_append_c(s, (char)strlen(name));
        str_append_s(s, name);
        assert_true(strlen(value) < 127);
        str_append_c(s, (char)strlen(value));
        str_append_s(s, value);
}

static void headers(struct fixture *f, int flags, ...) {
        AUTO(str) struct str block = STR_INIT(0);
        va_list ap;
        va_start(ap, flags);
        for (const char *name; (name = va_arg(ap, const char *));)
                field(&block, name, va_arg(ap, const char *));
        va_end(ap);
        frame(f, HEADERS, flags | END_HEADERS, 1, str_sv(&block));
}

static void done(void *arg, const struct grpc_answer *a, const struct err *err) {
        struct fixture *f = arg;
        assert_false(f->is_done);
        f->is_done = true;
        f->is_connected = a->is_connected;
        f->status = a->status;
        f->code = err ? err->code : 0;
        str_append_s(&f->message, a->message);
        str_append_sv(&f->body, a->body);
        if (err)
                str_append_s(&f->error, err_message(err));
}

static struct grpc_call *start(struct fixture *f, int64_t timeout_ms) {
        return grpc_call_start(f->loop, &(struct grpc_call_options){.host = "127.0.0.1",
                                                                   .port = f->port,
                                                                   .path = "/test.Service/Method",
                                                                   .user_agent = "tester",
                                                                   .body = SV("\n\003abc"),
                                                                   .timeout_ms = timeout_ms,
                                                                   .on_done = done,
                                                                   .arg = f});
}

static void call(struct fixture *f) {
        start(f, 60000);
        loop_run_until(f->loop, &f->is_done);
}

static void reads_an_answer(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        headers(f, 0, ":status", "200", "content-type", "application/grpc", NULL);
        frame(f, DATA, 0, 1, SV("\0\0\0"));
        frame(f, DATA, 0, 1, SV("\0\002\010\001"));
        headers(f, END_STREAM, "grpc-status", "0", NULL);
        call(f);
        assert_int_equal(f->code, 0);
        assert_int_equal(f->status, GRPC_OK);
        assert_true(f->is_connected);
        assert_true(sv_eq(str_sv(&f->body), SV("\010\001")));
        /* What was asked: the preface, and the message in its prefix at the end. */
        assert_true(sv_starts(str_sv(&f->heard), SV("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
        assert_true(sv_find(str_sv(&f->heard), SV("\0\0\0\0\005\n\003abc")) > 0);
}

static void gives_status_and_decoded_message(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        headers(f, END_STREAM, ":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message",
                "no%20such%3a 100%", NULL);
        call(f);
        assert_int_equal(f->code, 0);
        assert_int_equal(f->status, 5);
        assert_string_equal(str_cstr(&f->message), "no such: 100%");
        AUTO(free) char *known = grpc_status_name(f->status), *unknown = grpc_status_name(99);
        assert_string_equal(known, "NotFound");
        assert_string_equal(unknown, "Code(99)");
}

static void names_an_http_status(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        headers(f, END_STREAM, ":status", "404", "content-type", "text/plain", NULL);
        call(f);
        assert_int_equal(f->status, GRPC_UNIMPLEMENTED);
        assert_string_equal(str_cstr(&f->message), "unexpected HTTP status code received from server: 404");
}

static void tells_a_reset_stream(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        frame(f, RST_STREAM, 0, 1, SV("\0\0\0\007"));
        call(f);
        assert_int_equal(f->status, GRPC_UNAVAILABLE);
        assert_string_equal(str_cstr(&f->message), "stream terminated by RST_STREAM with error code: REFUSED_STREAM");
}

static void refuses_a_body_that_is_no_message(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        headers(f, 0, ":status", "200", "content-type", "application/grpc", NULL);
        frame(f, DATA, 0, 1, SV("\0\0\0\0\011ab"));
        headers(f, END_STREAM, "grpc-status", "0", NULL);
        call(f);
        assert_int_equal(f->status, GRPC_INTERNAL);
        assert_int_equal(f->body.len, 0);
}

static void refuses_trailers_without_a_status(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        headers(f, 0, ":status", "200", "content-type", "application/grpc", NULL);
        frame(f, DATA, END_STREAM, 1, SV("\0\0\0\0\0"));
        call(f);
        assert_int_equal(f->status, GRPC_INTERNAL);
}

static void fails_on_http_1(void **state) {
        struct fixture *f = *state;
        str_append_s(&f->script, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        call(f);
        assert_int_equal(f->code, -EPROTO);
        assert_false(f->is_connected);
}

static void fails_on_frames_that_break_the_protocol(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        frame(f, DATA, 0, 3, SV("unasked")); /* of a stream that nobody opened */
        call(f);
        assert_int_equal(f->code, -EPROTO);
}

static void fails_when_the_peer_hangs_up(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        f->closes = true;
        call(f);
        assert_int_equal(f->code, -ECONNRESET);
        assert_true(f->is_connected);
}

static void fails_when_nobody_listens(void **state) {
        struct fixture *f = *state;
        f->port = 1;
        call(f);
        assert_int_equal(f->code, -ECONNREFUSED);
        assert_false(f->is_connected);
}

static void ends_in_time(void **state) {
        struct fixture *f = *state;
        frame(f, SETTINGS, 0, 0, SV_NULL);
        start(f, 20);
        loop_run_until(f->loop, &f->is_done);
        assert_int_equal(f->code, -ETIMEDOUT);
}

static void is_silent_after_cancelling(void **state) {
        struct fixture *f = *state;
        struct grpc_call *c = start(f, 60000);
        grpc_call_cancel(c);
        assert_false(f->is_done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(reads_an_answer),
                TEST(gives_status_and_decoded_message),
                TEST(names_an_http_status),
                TEST(tells_a_reset_stream),
                TEST(refuses_a_body_that_is_no_message),
                TEST(refuses_trailers_without_a_status),
                TEST(fails_on_http_1),
                TEST(fails_on_frames_that_break_the_protocol),
                TEST(fails_when_the_peer_hangs_up),
                TEST(fails_when_nobody_listens),
                TEST(ends_in_time),
                TEST(is_silent_after_cancelling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
