#include "kobj/selector.h"
#include "unit/test_json.h"

#define QUALIFIED                                                                                                                          \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. " \
        "'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

static void says_what_is_wrong_as_the_real_server_does(void **state) {
        (void)state;
        static const char *const cases[][2] = {
                {"a===b", "unable to parse requirement: found '=', expected: identifier"},
                {"a in", "unable to parse requirement: found '' expected: '('"},
                {"a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"},
                {"a in (x", "unable to parse requirement: found '', expected: ',' or ')'"},
                {"a in (x=", "unable to parse requirement: found '=', expected: ',' or ')'"},
                {"a in (x,=)", "unable to parse requirement: found '=', expected: ',', or identifier"},
                {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
                {"a,", "found '', expected: identifier after ','"},
                {",a", "found ',', expected: !, identifier, or 'end of string'"},
                {"=x", "found '=', expected: !, identifier, or 'end of string'"},
                {"!", "unable to parse requirement: found '', expected: identifier"},
                {"a=b c", "found 'c', expected: ',' or 'end of string'"},
                {"-a=b", "unable to parse requirement: <nil>: Invalid value: \"-a\": " QUALIFIED},
                {"a>x",
                 "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"},
                {"a=-",
                 "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric "
                 "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                 "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(selector) struct selector s = {0};
                AUTO(err) struct err err = ERR_INIT;
                assert_int_equal(selector_parse(sv_of(cases[i][0]), &s, &err), -EINVAL);
                assert_string_equal(err_message(&err), cases[i][1]);
                assert_int_equal(err.http_status, 400);
                assert_string_equal(err.reason, "BadRequest");
                assert_int_equal(s.len, 0);
        }
}

static void matches_labels_as_each_operator_says(void **state) {
        (void)state;
        static const struct {
                const char *selector, *labels;
                bool matches;
        } cases[] = {
                {"", "{}", true},
                {"a=b", "{\"a\":\"b\"}", true},
                {"a==b", "{\"a\":\"c\"}", false},
                {"a=", "{\"a\":\"\"}", true},
                {"a=", "{}", false},
                {"a!=b", "{}", true},
                {"a!=b", "{\"a\":\"b\"}", false},
                {"a", "{\"a\":\"\"}", true},
                {"!a", "{}", true},
                {"!a", "{\"a\":\"x\"}", false},
                {"a in (x,y)", "{\"a\":\"y\"}", true},
                {"a in (x,y)", "{\"a\":\"z\"}", false},
                {"a notin (x,y)", "{\"a\":\"z\"}", true},
                {"a notin (x,y)", "{}", true},
                {"a in ()", "{\"a\":\"\"}", true},
                {"a in (,x)", "{\"a\":\"\"}", true},
                {"in in (in,notin)", "{\"in\":\"notin\"}", true},
                {"a>3", "{\"a\":\"4\"}", true},
                {"a<3", "{\"a\":\"4\"}", false},
                {"a>3", "{\"a\":\"x\"}", false},
                {"spark-app-selector=s,spark-role=executor,spark-exec-inactive!=true",
                 "{\"spark-app-selector\":\"s\",\"spark-role\":\"executor\"}", true},
                {" a = b , c ", "{\"a\":\"b\",\"c\":\"1\"}", true},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(selector) struct selector s = {0};
                AUTO(err) struct err err = ERR_INIT;
                AUTO(json) yyjson_doc *doc = parse(cases[i].labels);
                AUTO(mjson) yyjson_mut_doc *copy = json_thaw(yyjson_doc_get_root(doc));
                if (selector_parse(sv_of(cases[i].selector), &s, &err) < 0)
                        fail_msg("%s: %s", cases[i].selector, err_message(&err));
                if (selector_matches(&s, yyjson_doc_get_root(doc)) != cases[i].matches)
                        fail_msg("%s against %s", cases[i].selector, cases[i].labels);
                assert_int_equal(selector_matches_mut(&s, yyjson_mut_doc_get_root(copy)), cases[i].matches);
        }
}

static void formats_in_the_order_of_keys(void **state) {
        (void)state;
        AUTO(selector) struct selector s = {0};
        assert_int_equal(selector_parse(SV("z,!y,x in (b,a,b),w notin (c),v!=1,u=2,t>3"), &s, NULL), 0);
        AUTO(free) char *text = selector_format(&s);
        assert_string_equal(text, "t>3,u=2,v!=1,w notin (c),x in (a,b),!y,z");
}

static void label_selector_objects(void **state) {
        (void)state;
        static const struct {
                const char *object, *labels;
                bool matches;
        } cases[] = {
                {"null", "{}", false},
                {"{}", "{\"a\":\"b\"}", true},
                {"{\"matchLabels\":{\"a\":\"b\"}}", "{\"a\":\"b\"}", true},
                {"{\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"Exists\"}]}", "{\"a\":\"b\"}", false},
                {"{\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"NotIn\",\"values\":[\"x\"]}]}", "{\"c\":\"y\"}", true},
                {"{\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"DoesNotExist\"}]}", "{}", true},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(selector) struct selector s = {0};
                AUTO(json) yyjson_doc *object = parse(cases[i].object);
                AUTO(json) yyjson_doc *labels = parse(cases[i].labels);
                assert_int_equal(selector_from_object(yyjson_doc_get_root(object), &s, NULL), 0);
                assert_int_equal(selector_matches(&s, yyjson_doc_get_root(labels)), cases[i].matches);
        }
        AUTO(selector) struct selector s = {0};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(json) yyjson_doc *wrong = parse("{\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"Gt\",\"values\":[\"1\"]}]}");
        assert_int_equal(selector_from_object(yyjson_doc_get_root(wrong), &s, &err), -EINVAL);
        assert_string_equal(err_message(&err), "\"Gt\" is not a valid label selector operator");
        AUTO(json) yyjson_doc *nodes = parse("[{\"key\":\"cpu\",\"operator\":\"Gt\",\"values\":[\"3\"]}]");
        AUTO(json) yyjson_doc *labels = parse("{\"cpu\":\"4\"}");
        assert_int_equal(selector_from_expressions(yyjson_doc_get_root(nodes), &s, NULL), 0);
        assert_true(selector_matches(&s, yyjson_doc_get_root(labels)));
}

static void field_selectors_read_paths(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *pod =
                parse("{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{},\"status\":{\"phase\":\"Running\"},\"source\":"
                      "{\"component\":\"kubelet\"},\"count\":3}");
        static const struct {
                const char *selector;
                bool matches;
        } cases[] = {
                {"", true},
                {"metadata.name=p", true},
                {"metadata.name==p,metadata.namespace!=n", false},
                {"status.phase!=Failed", true},
                {"spec.nodeName=", true},
                {"spec.nodeName!=", false},
                {"spec.hostNetwork=false", true},
                {"spec.unschedulable=true", false},
                {"source=kubelet", true},
                {"count=3", true},
                {"metadata.name=a\\,b", false},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(field_selector) struct field_selector s = {0};
                assert_int_equal(field_selector_parse(sv_of(cases[i].selector), &s, NULL), 0);
                if (field_selector_matches(&s, yyjson_doc_get_root(pod)) != cases[i].matches)
                        fail_msg("%s", cases[i].selector);
        }
        AUTO(field_selector) struct field_selector s = {0};
        assert_int_equal(field_selector_parse(SV("status.phase!=Failed,metadata.name=a\\,b"), &s, NULL), 0);
        assert_string_equal(field_selector_exact(&s, "metadata.name"), "a,b");
        assert_null(field_selector_exact(&s, "status.phase"));
}

static void field_selectors_refuse_as_the_real_server_does(void **state) {
        (void)state;
        static const struct {
                const char *selector, *group, *kind, *message;
        } cases[] = {
                {"metadata.name", "", "Pod", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"},
                {"a=b=c", "", "Pod", "invalid field selector: unescaped character in value: 61"},
                {"a=\\x", "", "Pod", "invalid field selector: invalid escape sequence: \\x"},
                {"a=b\\", "", "Pod", "invalid field selector: invalid escape sequence: \\"},
                {"data.a=1", "", "ConfigMap", "\"data.a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""},
                {"spec.x=1", "", "Pod", "field label not supported: spec.x"},
                {"spec.x=1", "batch", "Job", "field label \"spec.x\" not supported for Job"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(field_selector) struct field_selector s = {0};
                AUTO(err) struct err err = ERR_INIT;
                int r = field_selector_parse(sv_of(cases[i].selector), &s, &err);
                if (r == 0)
                        r = field_selector_check(&s, cases[i].group, cases[i].kind, NULL, &err);
                assert_int_equal(r, -EINVAL);
                assert_string_equal(err_message(&err), cases[i].message);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(says_what_is_wrong_as_the_real_server_does),
                cmocka_unit_test(matches_labels_as_each_operator_says),
                cmocka_unit_test(formats_in_the_order_of_keys),
                cmocka_unit_test(label_selector_objects),
                cmocka_unit_test(field_selectors_read_paths),
                cmocka_unit_test(field_selectors_refuse_as_the_real_server_does),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
