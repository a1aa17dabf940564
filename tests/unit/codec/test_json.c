#include "codec/json.h"

#include "unit/test.h"

TEST(errors_carry_line_and_column) {
        AUTO(err) struct err e = ERR_INIT;
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(SV("{\n  \"a\": tru\n}"), &doc, &e), -EINVAL);
        assert_null(doc);
        assert_contains(err_message(&e), "line 2 column 8");
        assert_int_equal(json_parse(SV(""), &doc, &e), -EINVAL);
        assert_int_equal(json_parse(SV("{} x"), &doc, &e), -EINVAL);
}

TEST(nesting_is_limited_outside_strings_only) {
        AUTO(str) struct str s = STR_INIT(0);
        for (int i = 0; i < JSON_MAX_DEPTH; i++)
                str_append_c(&s, '[');
        str_append_s(&s, "\"[[[[\\\"[[\"");
        for (int i = 0; i < JSON_MAX_DEPTH; i++)
                str_append_c(&s, ']');
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(str_sv(&s), &doc, NULL), 0);
        AUTO(str) struct str deeper = STR_INIT(0);
        str_appendf(&deeper, "[%s]", str_cstr(&s));
        AUTO(err) struct err e = ERR_INIT;
        yyjson_doc *none = NULL;
        assert_int_equal(json_parse(str_sv(&deeper), &none, &e), -EINVAL);
        assert_contains(err_message(&e), "nested deeper");
}

TEST(numbers_keep_their_kind_and_value) {
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(SV("[9223372036854775807,18446744073709551615,1.0,0.1,-0.0]"), &doc, NULL), 0);
        AUTO(free) char *text = json_write(yyjson_doc_get_root(doc), false, NULL);
        assert_string_equal(text, "[9223372036854775807,18446744073709551615,1.0,0.1,-0.0]");
}

TEST(building_replaces_members_and_makes_missing_objects) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, root, "metadata"), "labels"), "a", "1");
        mjson_set_str(doc, mjson_obj(doc, mjson_obj(doc, root, "metadata"), "labels"), "a", "2");
        mjson_set_int(doc, root, "n", 5);
        mjson_remove(root, "absent");
        AUTO(free) char *text = mjson_write(root, false, NULL);
        assert_string_equal(text, "{\"metadata\":{\"labels\":{\"a\":\"2\"}},\"n\":5}");
        assert_string_equal(mjson_str_at(root, "/metadata/labels/a"), "2");
}

TEST(quoting_escapes_controls_and_leaves_the_rest) {
        AUTO(str) struct str s = STR_INIT(0);
        json_append_quoted(&s, SV("a\"b\\\n\x01\xc3\xa9"));
        assert_string_equal(str_cstr(&s), "\"a\\\"b\\\\\\n\\u0001\xc3\xa9\"");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(errors_carry_line_and_column),
                cmocka_unit_test(nesting_is_limited_outside_strings_only),
                cmocka_unit_test(numbers_keep_their_kind_and_value),
                cmocka_unit_test(building_replaces_members_and_makes_missing_objects),
                cmocka_unit_test(quoting_escapes_controls_and_leaves_the_rest),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
