#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/crd/structural.h"
#include "cluster/crd/structural_format.h"

static const char schema_text[] =
        "{\"type\":\"object\",\"required\":[\"spec\"],\"properties\":{\"spec\":{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{"
        "\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10},\"mode\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"],\"default\":\"a\"},"
        "\"any\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true},\"port\":{\"x-kubernetes-int-or-string\":true},"
        "\"tags\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}},"
        "\"parts\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"name\"],\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"size\":{\"type\":\"integer\",\"default\":1}}}},"
        "\"maybe\":{\"type\":\"string\",\"nullable\":true},\"env\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}}}}}";

struct fixture {
        yyjson_doc *schema;
        struct structural *s;
};

static int make(void **state) {
        struct fixture *f = NEW(struct fixture);
        assert_int_equal(json_parse(sv_of(schema_text), &f->schema, NULL), 0);
        f->s = structural_new(yyjson_doc_get_root(f->schema), false);
        *state = f;
        return 0;
}

static int unmake(void **state) {
        struct fixture *f = *state;
        structural_free(f->s);
        yyjson_doc_free(f->schema);
        free(f);
        return 0;
}

static void check(struct fixture *f, const char *text, const char *expected) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(invalid) struct invalid bad = {0};
        AUTO(strv) struct strv lines = {0};
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        structural_validate(f->s, yyjson_doc_get_root(doc), NULL, &bad);
        for (size_t i = 0; i < bad.len; i++)
                strv_addf(&lines, "%s: %s", bad.items[i].field, bad.items[i].message);
        AUTO(free) char *all = strv_join(&lines, " | ");
        assert_string_equal(all, expected);
}

static void accepts_what_fits(void **state) {
        check(*state,
              "{\"metadata\":{\"anything\":1},\"spec\":{\"n\":3,\"port\":\"http\",\"tags\":[\"a\"],\"env\":{\"X\":\"y\"},\"any\":{\"q\":[1]},\"maybe\":null}}",
              "");
        check(*state, "{\"spec\":{\"n\":3,\"port\":80}}", "");
}

static void says_what_does_not_fit(void **state) {
        check(*state, "{}", "spec: Required value");
        check(*state, "{\"spec\":{}}", "spec.n: Required value");
        check(*state, "{\"spec\":{\"n\":0}}", "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1");
        check(*state, "{\"spec\":{\"n\":\"x\"}}", "spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\"");
        check(*state, "{\"spec\":{\"n\":1,\"mode\":\"z\"}}", "spec.mode: Unsupported value: \"z\": supported values: \"a\", \"b\"");
        check(*state, "{\"spec\":{\"n\":1,\"tags\":[\"A\"]}}",
              "spec.tags[0]: Invalid value: \"A\": spec.tags[0] in body should match '^[a-z]+$'");
        check(*state, "{\"spec\":{\"n\":1,\"tags\":[\"a\",\"b\",\"c\"]}}", "spec.tags: Too many: 3: must have at most 2 items");
        check(*state, "{\"spec\":{\"n\":1,\"env\":{\"X\":1}}}",
              "spec.env.X: Invalid value: \"integer\": spec.env.X in body must be of type string: \"integer\"");
        check(*state, "{\"spec\":{\"n\":1,\"port\":true}}",
              "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"");
        check(*state, "{\"spec\":{\"n\":1,\"parts\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
              "spec.parts[1]: Duplicate value: {\"name\":\"a\"}");
}

static void fills_in_defaults_also_inside_lists(void **state) {
        struct fixture *f = *state;
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(SV("{\"spec\":{\"n\":1,\"parts\":[{\"name\":\"a\"},{\"name\":\"b\",\"size\":5}]}}"), &doc, NULL), 0);
        AUTO(mjson) yyjson_mut_doc *edit = json_thaw(yyjson_doc_get_root(doc));
        structural_default(f->s, edit, yyjson_mut_doc_get_root(edit));
        AUTO(free) char *text = mjson_write(yyjson_mut_doc_get_root(edit), false, NULL);
        assert_string_equal(text,
                            "{\"spec\":{\"n\":1,\"parts\":[{\"name\":\"a\",\"size\":1},{\"name\":\"b\",\"size\":5}],\"mode\":\"a\"}}");
}

static void prunes_what_the_schema_does_not_know(void **state) {
        struct fixture *f = *state;
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(strv) struct strv unknown = {0};
        assert_int_equal(
                json_parse(
                        SV("{\"metadata\":{\"name\":\"x\"},\"spec\":{\"n\":1,\"any\":{\"keep\":1},\"parts\":[{\"name\":\"a\",\"odd\":1}],\"env\":{\"K\":\"v\"}},\"extra\":1}"),
                        &doc, NULL),
                0);
        AUTO(mjson) yyjson_mut_doc *edit = json_thaw(yyjson_doc_get_root(doc));
        structural_prune(f->s, yyjson_mut_doc_get_root(edit), &unknown);
        AUTO(free) char *text = mjson_write(yyjson_mut_doc_get_root(edit), false, NULL), *all = strv_join(&unknown, " ");
        assert_string_equal(
                text,
                "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"n\":1,\"any\":{\"keep\":1},\"parts\":[{\"name\":\"a\"}],\"env\":{\"K\":\"v\"}}}");
        assert_string_equal(all, "spec.parts[0].odd extra");
}

static void a_schema_must_be_structural(void **state) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(invalid) struct invalid bad = {0};
        assert_int_equal(json_parse(SV("{\"properties\":{\"a\":{\"type\":\"thing\"},\"b\":{}}}"), &doc, NULL), 0);
        structural_check_schema(yyjson_doc_get_root(doc), "s", &bad);
        assert_int_equal(bad.len, 3);
        assert_string_equal(bad.items[0].field, "s.properties[a].type");
        assert_string_equal(bad.items[1].message, "Required value: must not be empty for specified object fields");
        assert_string_equal(bad.items[2].field, "s.type");
}

static void checks_the_formats_of_text(void **state) {
        static const struct {
                const char *format, *good, *bad;
        } cases[] = {
                {"byte", "AAEC", "!!"},
                {"cidr", "10.0.0.0/8", "10.0.0.0"},
                {"date", "2026-02-28", "2026-13-01"},
                {"date-time", "2026-02-28T01:02:03Z", "today"},
                {"duration", "1h30m", "1 parsec"},
                {"duration", "3 days", "days"},
                {"email", "a@b.c", "a"},
                {"hostname", "a-1.example.com", "-a-"},
                {"ipv4", "1.2.3.4", "1.2.3"},
                {"ipv6", "::1", "1.2.3.4"},
                {"mac", "01:23:45:67:89:ab", "01:23"},
                {"hexcolor", "#fFf", "#ff"},
                {"uri", "https://a/b", ":"},
                {"uuid", "11111111-2222-3333-4444-555555555555", "x"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                assert_true(format_matches(cases[i].format, cases[i].good));
                assert_false(format_matches(cases[i].format, cases[i].bad));
        }
        assert_true(format_matches("password", "anything"));
        assert_true(format_matches("no-such-format", "anything"));
}

static void explains_which_alternative_came_nearest(void **state) {
        static const char text[] =
                "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}},"
                "\"anyOf\":[{\"required\":[\"a\"]},{\"properties\":{\"b\":{\"minimum\":5}},\"required\":[\"b\"]}]}}}";
        AUTO(json) yyjson_doc *schema = NULL, *doc = NULL;
        AUTO(invalid) struct invalid bad = {0};
        (void)state;
        assert_int_equal(json_parse(sv_of(text), &schema, NULL), 0);
        assert_int_equal(json_parse(SV("{\"v\":{\"b\":1}}"), &doc, NULL), 0);
        struct structural *s = structural_new(yyjson_doc_get_root(schema), false);
        structural_validate(s, yyjson_doc_get_root(doc), NULL, &bad);
        structural_free(s);
        assert_int_equal(bad.len, 2);
        assert_string_equal(bad.items[0].message, "Invalid value: \"\": \"v\" must validate at least one schema (anyOf)");
        assert_string_equal(bad.items[1].message, "Invalid value: 1: v.b in body should be greater than or equal to 5");
}

static void nested_alternatives_cost_no_more_than_their_size(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(json) yyjson_doc *schema = NULL, *doc = NULL;
        AUTO(invalid) struct invalid bad = {0};
        enum { DEPTH = 60 };
        (void)state;
        str_append_s(&text, "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"");
        for (int i = 0; i < DEPTH; i++)
                str_append_s(&text, i % 2 ? ",\"oneOf\":[{\"minimum\":9},"
                                            "{\"maximum\":-9"
                                          : ",\"anyOf\":[{\"minimum\":9},{\"maximum\":-9");
        for (int i = 0; i < DEPTH; i++)
                str_append_s(&text, "}]");
        str_append_s(&text, "}}}");
        assert_int_equal(json_parse(str_sv(&text), &schema, NULL), 0);
        assert_int_equal(json_parse(SV("{\"v\":0}"), &doc, NULL), 0);
        struct structural *s = structural_new(yyjson_doc_get_root(schema), false);
        structural_validate(s, yyjson_doc_get_root(doc), NULL, &bad); /* would take for ever if each level doubled the work */
        structural_free(s);
        assert_true(bad.len > DEPTH / 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(accepts_what_fits, make, unmake),
                cmocka_unit_test_setup_teardown(says_what_does_not_fit, make, unmake),
                cmocka_unit_test_setup_teardown(fills_in_defaults_also_inside_lists, make, unmake),
                cmocka_unit_test_setup_teardown(prunes_what_the_schema_does_not_know, make, unmake),
                cmocka_unit_test(a_schema_must_be_structural),
                cmocka_unit_test(checks_the_formats_of_text),
                cmocka_unit_test(nested_alternatives_cost_no_more_than_their_size),
                cmocka_unit_test(explains_which_alternative_came_nearest),
        };
        return cmocka_run_group_tests_name("cluster/crd/structural", tests, NULL, NULL);
}
