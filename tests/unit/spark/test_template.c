#include "spark/template.h"
#include "unit/test.h"

static char *parse(const char *yaml) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        AUTO(err) struct err err = ERR_INIT;
        yyjson_mut_val *pod;
        if (template_parse(SPARK_4_1, sv_of(yaml), doc, &pod, &err) < 0)
                return xasprintf("error: %s", err_message(&err));
        return mjson_write(pod, false, NULL);
}

static void check(const char *yaml, const char *want) {
        AUTO(free) char *got = parse(yaml);
        assert_string_equal(got, want);
}

TEST(makes_text_of_scalars_where_the_model_has_text) {
        check("metadata: {labels: {a: 1, b: true, c: yes, d: 1.0, e: \"x\"}}",
              "{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"true\",\"c\":\"yes\",\"d\":\"1.0\",\"e\":\"x\"}}}");
        check("spec: {containers: [{env: [{name: A, value: 5}], command: [a, 1]}]}",
              "{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A\",\"value\":\"5\"}],\"command\":[\"a\",\"1\"]}]}}");
}

TEST(makes_numbers_and_booleans_of_text) {
        check("spec: {terminationGracePeriodSeconds: \"30\", hostNetwork: \"true\"}",
              "{\"spec\":{\"terminationGracePeriodSeconds\":30,\"hostNetwork\":true}}");
}

TEST(drops_empty_collections_of_known_fields) {
        check("spec: {tolerations: [], nodeSelector: {}, emptyDirs: [], securityContext: {}}",
              "{\"spec\":{\"emptyDirs\":[],\"securityContext\":{}}}");
}

TEST(keeps_unknown_fields_as_they_are) {
        check("spec: {notAField: 3, other: {x: [1]}}", "{\"spec\":{\"notAField\":3,\"other\":{\"x\":[1]}}}");
}

TEST(follows_aliases) {
        check("metadata: {labels: &l {a: b}, annotations: *l}", "{\"metadata\":{\"labels\":{\"a\":\"b\"},\"annotations\":{\"a\":\"b\"}}}");
}

static void check_error(const char *yaml, const char *part) {
        AUTO(free) char *got = parse(yaml);
        assert_contains(got, "error: ");
        assert_contains(got, part);
}

TEST(says_what_is_wrong_and_where) {
        check_error("spec: [unclosed\n", "line 2");
        check_error("hello", "not a Pod");
        check_error("", "empty");
        check_error("spec: {terminationGracePeriodSeconds: abc}", "terminationGracePeriodSeconds must be a number");
        check_error("spec: {containers: 5}", "containers must be a list");
        check_error("a: 1\n---\nb: 2\n", "one document");
}

TEST(bounds_aliases_and_depth) {
        AUTO(str) struct str bomb = STR_INIT(0), deep = STR_INIT(0);
        str_append_s(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for (int i = 1; i < 9; i++)
                str_appendf(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1,
                            i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        check_error(str_cstr(&bomb), "too many nodes");
        str_append_s(&deep, "a: ");
        for (int i = 0; i < TEMPLATE_MAX_DEPTH + 5; i++)
                str_append_c(&deep, '[');
        check_error(str_cstr(&deep), "too deeply");
}

static void load(const char *yaml, const char *container, const char *want_name, size_t want_left, size_t want_warnings) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        AUTO(strv) struct strv warnings = {0};
        yyjson_mut_val *pod, *driver;
        submission_inputs_init(&in);
        in.cwd = xstrdup("/d");
        struct input_file *f = inputs_add_file(&in, "/d/t.yaml");
        f->kind = INPUT_FILE;
        f->has_text = true;
        str_append_s(&f->text, yaml);
        assert_int_equal(template_load(SPARK_4_1, &in, "t.yaml", container, doc, &pod, &driver, &warnings, NULL), 0);
        assert_true(streq_null(mjson_get_str(driver, "name"), want_name));
        assert_int_equal(yyjson_mut_arr_size(mjson_at(pod, "/spec/containers")), want_left);
        assert_int_equal(warnings.len, want_warnings);
}

TEST(takes_the_drivers_container_out) {
        static const char two[] = "spec: {containers: [{name: a}, {name: b}]}";
        load(two, NULL, "a", 1, 0);
        load(two, "b", "b", 1, 0);
        load(two, "c", "a", 1, 1);
        load("spec: {hostPID: true}", NULL, NULL, 0, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(makes_text_of_scalars_where_the_model_has_text),
                cmocka_unit_test(makes_numbers_and_booleans_of_text),
                cmocka_unit_test(drops_empty_collections_of_known_fields),
                cmocka_unit_test(keeps_unknown_fields_as_they_are),
                cmocka_unit_test(follows_aliases),
                cmocka_unit_test(says_what_is_wrong_and_where),
                cmocka_unit_test(bounds_aliases_and_depth),
                cmocka_unit_test(takes_the_drivers_container_out),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
