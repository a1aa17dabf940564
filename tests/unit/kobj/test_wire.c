#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "kobj/meta.h"
#include "kobj/wire.h"

static void from_hex(const char *hex, struct str *ret) {
        for (; hex[0] && hex[1]; hex += 2) {
                char byte[3] = {hex[0], hex[1], 0};
                str_append_c(ret, (char)strtoul(byte, NULL, 16));
        }
}

/* Drops empty objects, which JSON authors write and protobuf does not carry. */
static yyjson_doc *without_empty(yyjson_val *v) {
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(v);
        yyjson_mut_val *meta = mmeta_of(yyjson_mut_doc_get_root(doc));
        if (meta && yyjson_mut_obj_size(meta) == 0)
                mjson_remove(yyjson_mut_doc_get_root(doc), "metadata");
        return mjson_freeze(yyjson_mut_doc_get_root(doc));
}

/* Each line holds an object and what the real Go serializer makes of it. */
static void decodes_what_go_clients_send(void **state) {
        (void)state;
        AUTO(str) struct str text = STR_INIT(0);
        assert_int_equal(fs_read(TEST_DATA "/golden/kubernetes/protobuf-1.34.jsonl", 0, &text, NULL), 0);
        struct sv rest = str_sv(&text), line;
        size_t count = 0;
        while (sv_split(&rest, '\n', &line) && line.len) {
                AUTO(json) yyjson_doc *golden = NULL;
                AUTO(mjson) yyjson_mut_doc *got = NULL;
                AUTO(err) struct err err = ERR_INIT;
                AUTO(str) struct str body = STR_INIT(0);
                assert_int_equal(json_parse(line, &golden, NULL), 0);
                yyjson_val *root = yyjson_doc_get_root(golden);
                from_hex(json_get_str(root, "protobuf"), &body);
                if (wire_decode(str_sv(&body), &got, &err) < 0)
                        fail_msg("%s", err_message(&err));
                AUTO(json) yyjson_doc *frozen = mjson_freeze(yyjson_mut_doc_get_root(got));
                AUTO(json) yyjson_doc *want = without_empty(yyjson_obj_get(root, "object"));
                if (!json_equal(yyjson_doc_get_root(frozen), yyjson_doc_get_root(want))) {
                        AUTO(free) char *a = json_write(yyjson_doc_get_root(frozen), false, NULL);
                        AUTO(free) char *b = json_write(yyjson_doc_get_root(want), false, NULL);
                        fail_msg("got  %s\nwant %s", a, b);
                }
                /* No prefix of a body may do harm. */
                for (size_t n = 0; n < body.len; n++) {
                        AUTO(mjson) yyjson_mut_doc *cut = NULL;
                        AUTO(free) char *copy = sv_dup(sv_new(body.data, n));
                        if (wire_decode(sv_new(copy, n), &cut, NULL) < 0)
                                assert_null(cut);
                }
                count++;
        }
        assert_true(count >= 30);
}

static void refuses_what_it_cannot_decode(void **state) {
        (void)state;
        static const struct {
                const char *hex, *message;
        } cases[] = {
                {"7b7d", "the protobuf body cannot be decoded: it does not start with the bytes \"k8s\\0\""},
                {"6b3873000aff", "the protobuf body cannot be decoded: malformed envelope"},
                {"6b3873000a080a0276311202506f", "no kind \"Po\" is registered for version \"v1\""},
                /* Pod whose metadata.name is the byte 0xff */
                {"6b3873000a090a0276311203506f641205" "0a030a01ff", "the protobuf body cannot be decoded: name is not UTF-8"},
                /* metadata as a varint */
                {"6b3873000a090a0276311203506f641202" "0801", "the protobuf body cannot be decoded: metadata has the wrong wire type"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(str) struct str body = STR_INIT(0);
                AUTO(mjson) yyjson_mut_doc *doc = NULL;
                AUTO(err) struct err err = ERR_INIT;
                from_hex(cases[i].hex, &body);
                assert_true(wire_decode(str_sv(&body), &doc, &err) < 0);
                assert_string_equal(err_message(&err), cases[i].message);
                assert_int_equal(err.http_status, 400);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decodes_what_go_clients_send),
                cmocka_unit_test(refuses_what_it_cannot_decode),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
