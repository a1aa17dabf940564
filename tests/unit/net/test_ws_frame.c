#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/ws_frame.h"

#define BYTES(...) sv_new((const char[]){__VA_ARGS__}, sizeof((const char[]){__VA_ARGS__}))

/* Feeds in pieces and collects "opcode:data;" of each message, or returns the close code. */
static int feed(bool masked, size_t max, struct sv all, size_t piece, struct str *out) {
        struct ws_reader r;
        ws_reader_init(&r, masked, max);
        int code = 0;
        while (all.len && code >= 0) {
                size_t n = piece < all.len ? piece : all.len;
                struct sv part = sv_new(all.data, n);
                all = sv_new(all.data + n, all.len - n);
                struct ws_message m;
                while ((code = ws_reader_next(&r, &part, &m)) > 0)
                        str_appendf(out, "%d:%.*s;", (int)m.opcode, SV_ARG(m.data));
        }
        ws_reader_done(&r);
        return -code;
}

static void expect(bool masked, struct sv all, const char *messages, int code) {
        for (size_t piece = 1; piece <= all.len; piece++) {
                AUTO(str) struct str out = STR_INIT(0);
                assert_int_equal(feed(masked, 1000, all, piece, &out), code);
                assert_string_equal(str_cstr(&out), messages);
        }
}

static void reads_the_examples_of_the_rfc(void **state) {
        expect(false, BYTES((char)0x81, 5, 'H', 'e', 'l', 'l', 'o'), "1:Hello;", 0);
        expect(true, BYTES((char)0x81, (char)0x85, 0x37, (char)0xfa, 0x21, 0x3d, 0x7f, (char)0x9f, 0x4d, 0x51, 0x58), "1:Hello;", 0);
        expect(false, BYTES(1, 3, 'H', 'e', 'l', (char)0x80, 2, 'l', 'o'), "1:Hello;", 0);
        expect(false, BYTES((char)0x89, 5, 'H', 'e', 'l', 'l', 'o'), "9:Hello;", 0);
}

static void lets_pings_come_between_fragments(void **state) {
        expect(false, BYTES(2, 1, 'a', (char)0x89, 1, 'p', 0, 1, 'b', (char)0x80, 1, 'c'), "9:p;2:abc;", 0);
}

static void takes_empty_messages(void **state) { expect(false, BYTES((char)0x82, 0, (char)0x81, 0), "2:;1:;", 0); }

static void rejects_what_breaks_the_protocol(void **state) {
        expect(false, BYTES((char)0xc1, 1, 'a'), "", 1002);                      /* a reserved bit */
        expect(false, BYTES((char)0x83, 0), "", 1002);                           /* an unknown opcode */
        expect(false, BYTES((char)0x80, 1, 'a'), "", 1002);                      /* a continuation of nothing */
        expect(false, BYTES(1, 1, 'a', (char)0x81, 1, 'b'), "", 1002);           /* a new message within another */
        expect(false, BYTES(9, 0), "", 1002);                                    /* a fragmented ping */
        expect(false, BYTES((char)0x89, 126, 0, 126), "", 1002);                 /* a long ping */
        expect(true, BYTES((char)0x81, 1, 'a'), "", 1002);                       /* a client that does not mask */
        expect(false, BYTES((char)0x81, (char)0x81, 0, 0, 0, 0, 'a'), "", 1002); /* a server that does */
        expect(false, BYTES((char)0x82, 126, 0, 5, 1, 2, 3, 4, 5), "", 1002);    /* a length that is too long */
        expect(false, BYTES((char)0x88, 1, 3), "", 1002);                        /* half a close code */
        expect(false, BYTES((char)0x88, 2, 3, (char)0xee), "", 1002);            /* close code 1006 */
        expect(false, BYTES((char)0x81, 2, (char)0xc3, 0x28), "", 1007);         /* not UTF-8 */
        expect(false, BYTES((char)0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0), "", 1009); /* larger than we take */
}

static void bounds_the_sum_of_fragments(void **state) {
        AUTO(str) struct str all = STR_INIT(0);
        for (int i = 0; i < 20; i++) {
                str_append(&all, i ? "\x00\x64" : "\x02\x64", 2);
                for (int k = 0; k < 100; k++)
                        str_append_c(&all, 'x');
        }
        AUTO(str) struct str out = STR_INIT(0);
        assert_int_equal(feed(false, 1000, str_sv(&all), 7, &out), 1009);
}

static void reads_the_headers_it_makes(void **state) {
        const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 100001};
        const unsigned char mask[4] = {1, 2, 3, 250};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                for (int masked = 0; masked < 2; masked++) {
                        unsigned char header[WS_MAX_HEADER];
                        AUTO(str) struct str all = STR_INIT(0);
                        str_append(&all, header, ws_make_header(WS_BINARY, sizes[i], masked ? mask : NULL, header));
                        size_t start = all.len;
                        for (size_t k = 0; k < sizes[i]; k++)
                                str_append_c(&all, (char)(k * 7));
                        if (masked)
                                ws_apply_mask(mask, 0, all.data + start, sizes[i]);
                        struct ws_reader r;
                        ws_reader_init(&r, masked, 200000);
                        struct sv rest = str_sv(&all);
                        struct ws_message m;
                        assert_int_equal(ws_reader_next(&r, &rest, &m), 1);
                        assert_int_equal(m.data.len, sizes[i]);
                        for (size_t k = 0; k < sizes[i]; k++)
                                assert_int_equal(m.data.data[k], (char)(k * 7));
                        ws_reader_done(&r);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_the_examples_of_the_rfc),
                cmocka_unit_test(lets_pings_come_between_fragments),
                cmocka_unit_test(takes_empty_messages),
                cmocka_unit_test(rejects_what_breaks_the_protocol),
                cmocka_unit_test(bounds_the_sum_of_fragments),
                cmocka_unit_test(reads_the_headers_it_makes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
