/* Two sessions back to back, through a pipe that cuts the bytes as it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <zlib.h>

#include "net/spdy.h"

struct side {
        struct spdy *p;
        struct str out; /* frames for the other side */
        struct str log;
        struct str data;
        struct spdy_stream *last;
        bool reply;
        bool free_in_callback;
        int drains;
};

static void output(void *arg, struct sv bytes) { str_append_sv(&((struct side *)arg)->out, bytes); }

static void on_stream(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        struct side *a = arg;
        const char *type = http_headers_get(headers, "streamtype");
        str_appendf(&a->log, "open %u %s %s;", spdy_stream_id(s), type ? type : "-",
                    http_headers_get(headers, "port") ? http_headers_get(headers, "port") : "-");
        a->last = s;
        if (a->reply)
                spdy_stream_reply(s, NULL);
}

static void on_reply(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        str_appendf(&((struct side *)arg)->log, "reply %u;", spdy_stream_id(s));
}

static void on_data(void *arg, struct spdy_stream *s, struct sv data) {
        struct side *a = arg;
        str_append_sv(&a->data, data);
        if (a->free_in_callback)
                spdy_free(TAKE(a->p));
}

static void on_end(void *arg, struct spdy_stream *s) { str_appendf(&((struct side *)arg)->log, "end %u;", spdy_stream_id(s)); }
static void on_reset(void *arg, struct spdy_stream *s, int status) {
        str_appendf(&((struct side *)arg)->log, "reset %u %d;", spdy_stream_id(s), status);
}
static void on_drain(void *arg, struct spdy_stream *s) { ((struct side *)arg)->drains++; }
static void on_goaway(void *arg) { str_append_s(&((struct side *)arg)->log, "goaway;"); }

static void side_init(struct side *a, bool is_server) {
        *a = (struct side){.reply = true};
        struct spdy_events ev = {output, on_stream, on_reply, on_data, on_end, on_reset, on_drain, on_goaway, a};
        a->p = spdy_new(is_server, &ev);
}

static void side_done(struct side *a) {
        spdy_free(a->p);
        str_done(&a->out);
        str_done(&a->log);
        str_done(&a->data);
}

static void move(struct side *from, struct side *to, size_t piece) {
        while (from->out.len && to->p) {
                AUTO(str) struct str bytes = from->out;
                from->out = STR_INIT(0);
                for (size_t at = 0; at < bytes.len && to->p; at += piece) {
                        AUTO(err) struct err err = ERR_INIT;
                        size_t n = bytes.len - at < piece ? bytes.len - at : piece;
                        if (spdy_feed(to->p, sv_new(bytes.data + at, n), &err) < 0)
                                fail_msg("%s", err_message(&err));
                }
        }
}

static void exchange(struct side *a, struct side *b, size_t piece) {
        while ((a->out.len && b->p) || (b->out.len && a->p)) {
                move(a, b, piece);
                move(b, a, piece);
        }
}

static struct spdy_stream *open_stream(struct side *a, const char *type) {
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "StreamType", type);
        http_headers_add(&h, "port", "4040");
        http_headers_add(&h, "requestID", "0");
        return spdy_stream_open(a->p, &h, false);
}

static void dictionary_is_that_of_the_draft(void **state) {
        struct sv d = spdy_dictionary();
        assert_int_equal(d.len, 1423);
        assert_int_equal(adler32(1, (const Bytef *)d.data, (uInt)d.len), 0xe3c6a7c2);
}

static void forwards_a_connection_in_pieces_of_any_size(void **state) {
        const size_t pieces[] = {1, 2, 7, 8, 9, 100, 1000000};
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
                struct side client, server;
                side_init(&client, false);
                side_init(&server, true);
                struct spdy_stream *error = open_stream(&client, "error");
                spdy_stream_finish(error);
                struct spdy_stream *data = open_stream(&client, "data");
                exchange(&client, &server, pieces[i]);
                assert_string_equal(str_cstr(&server.log), "open 1 error 4040;end 1;open 3 data 4040;");
                assert_string_equal(str_cstr(&client.log), "reply 1;reply 3;");
                spdy_stream_write(data, SV("GET / HTTP/1.1\r\n\r\n"));
                spdy_stream_finish(data);
                exchange(&client, &server, pieces[i]);
                assert_string_equal(str_cstr(&server.data), "GET / HTTP/1.1\r\n\r\n");
                spdy_stream_write(server.last, SV("answer"));
                spdy_stream_finish(server.last);
                exchange(&client, &server, pieces[i]);
                assert_string_equal(str_cstr(&client.data), "answer");
                assert_string_equal(str_cstr(&client.log), "reply 1;reply 3;end 3;");
                assert_int_equal(spdy_stream_count(client.p), 1); /* the error stream's answer is open */
                assert_int_equal(spdy_stream_count(server.p), 1);
                side_done(&client);
                side_done(&server);
        }
}

static void carries_much_with_windows(void **state) {
        struct side client, server;
        side_init(&client, false);
        side_init(&server, true);
        struct spdy_stream *s = open_stream(&client, "data");
        exchange(&client, &server, 1000);
        AUTO(str) struct str big = STR_INIT(0);
        while (big.len < 1000000)
                str_appendf(&big, "%zu,", big.len);
        spdy_stream_write(s, str_sv(&big));
        exchange(&client, &server, 4096);
        assert_true(sv_eq(str_sv(&server.data), str_sv(&big)));
        /* From the first WINDOW_UPDATE on the windows bind. */
        spdy_stream_write(s, str_sv(&big));
        assert_true(spdy_stream_pending(s) > 0);
        exchange(&client, &server, 4096);
        assert_int_equal(server.data.len, 2 * big.len);
        assert_int_equal(spdy_stream_pending(s), 0);
        assert_int_equal(client.drains, 1);
        side_done(&client);
        side_done(&server);
}

static void resets_and_refuses(void **state) {
        struct side client, server;
        side_init(&client, false);
        side_init(&server, true);
        struct spdy_stream *s = open_stream(&client, "data");
        exchange(&client, &server, 1000);
        spdy_stream_reset(server.last, SPDY_RST_CANCEL);
        exchange(&client, &server, 1000);
        assert_string_equal(str_cstr(&client.log), "reply 1;reset 1 5;");
        s = open_stream(&client, "data");
        spdy_stream_write(s, SV("for a stream that will be gone"));
        exchange(&client, &server, 1000);
        spdy_goaway(server.p);
        exchange(&client, &server, 1000);
        assert_non_null(strstr(str_cstr(&client.log), "goaway;"));
        assert_null(open_stream(&client, "data"));
        side_done(&client);
        side_done(&server);
}

static void answers_pings(void **state) {
        struct side client, server;
        side_init(&client, false);
        side_init(&server, true);
        spdy_ping(client.p);
        AUTO(free) char *ping = sv_dup(str_sv(&client.out));
        size_t len = client.out.len;
        move(&client, &server, 3);
        assert_int_equal(server.out.len, len);
        assert_memory_equal(server.out.data, ping, len);
        exchange(&client, &server, 3);
        side_done(&client);
        side_done(&server);
}

static void may_be_freed_in_a_callback(void **state) {
        struct side client, server;
        side_init(&client, false);
        side_init(&server, true);
        struct spdy_stream *s = open_stream(&client, "data");
        exchange(&client, &server, 1000);
        server.free_in_callback = true;
        spdy_stream_write(s, SV("last words"));
        spdy_stream_write(s, SV("and others"));
        move(&client, &server, 1000);
        assert_null(server.p);
        side_done(&client);
        side_done(&server);
}

static void expect_failure(struct sv bytes, const char *text) {
        struct side server;
        side_init(&server, true);
        AUTO(err) struct err err = ERR_INIT;
        assert_true(spdy_feed(server.p, bytes, &err) < 0);
        assert_non_null(strstr(err_message(&err), text));
        assert_true(spdy_feed(server.p, SV("x"), NULL) < 0);
        assert_true(server.out.len >= 16); /* GOAWAY */
        side_done(&server);
}

static void rejects_what_breaks_the_protocol(void **state) {
        expect_failure(SV("\x80\x02\x00\x01\x00\x00\x00\x00"), "version 2");
        expect_failure(SV("\x80\x03\x00\x01\x00\xff\xff\xff"), "control frame of");
        expect_failure(SV("\x80\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01"), "short SYN_STREAM");
        expect_failure(SV("\x80\x03\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00zz"), "header compression");
        expect_failure(SV("\x80\x03\x00\x06\x00\x00\x00\x03\x00\x00\x00"), "bad PING");
        expect_failure(SV("\x80\x03\x00\x04\x00\x00\x00\x04\x7f\xff\xff\xff"), "bad SETTINGS");
}

static void answers_data_of_no_stream_with_a_reset(void **state) {
        struct side server;
        side_init(&server, true);
        assert_int_equal(spdy_feed(server.p, SV("\0\0\0\x05\x01\0\0\x03" "abc"), NULL), 0);
        assert_int_equal(server.out.len, 16);
        assert_memory_equal(server.out.data, "\x80\x03\0\x03\0\0\0\x08\0\0\0\x05\0\0\0\x02", 16);
        assert_int_equal(server.data.len, 0);
        side_done(&server);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(dictionary_is_that_of_the_draft),
                cmocka_unit_test(forwards_a_connection_in_pieces_of_any_size),
                cmocka_unit_test(carries_much_with_windows),
                cmocka_unit_test(resets_and_refuses),
                cmocka_unit_test(answers_pings),
                cmocka_unit_test(may_be_freed_in_a_callback),
                cmocka_unit_test(rejects_what_breaks_the_protocol),
                cmocka_unit_test(answers_data_of_no_stream_with_a_reset),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
