#include "codec/yaml.h"

#include "unit/test.h"

static void assert_yaml(const char *yaml, const char *json) {
        AUTO(err) struct err e = ERR_INIT;
        AUTO(json) yyjson_doc *doc = NULL;
        if (yaml_parse(sv_of(yaml), &doc, &e) < 0)
                fail_msg("%s: %s", yaml, err_message(&e));
        AUTO(free) char *text = json_write(yyjson_doc_get_root(doc), false, NULL);
        assert_string_equal(text, json);
}

static void assert_error(const char *yaml, const char *part) {
        AUTO(err) struct err e = ERR_INIT;
        yyjson_doc *doc = NULL;
        assert_int_equal(yaml_parse(sv_of(yaml), &doc, &e), -EINVAL);
        assert_null(doc);
        assert_contains(err_message(&e), part);
}

TEST(plain_scalars_mean_what_go_makes_of_them) {
        assert_yaml("a: yes\nb: off\nc: y\nd: TRUE\ne: yEs\n", "{\"a\":true,\"b\":false,\"c\":true,\"d\":true,\"e\":\"yEs\"}");
        assert_yaml("[010, 0o17, 0x1f, 0b11, 1_000, -5, +7]", "[8,15,31,3,1000,-5,7]");
        assert_yaml("[1.5, 1e3, .5, 2., 1.2.3, 1e, -x, 12:30]", "[1.5,1000,0.5,2,\"1.2.3\",\"1e\",\"-x\",\"12:30\"]");
        assert_yaml("[~, null, Null, '', \"null\", 2001-01-01]", "[null,null,null,\"\",\"null\",\"2001-01-01\"]");
        assert_yaml("[18446744073709551615, -9223372036854775808]", "[18446744073709551615,-9223372036854775808]");
}

TEST(quoted_scalars_are_text) {
        assert_yaml("a: 'yes'\nb: \"010\"\nc: |\n  x\n  y\nd: >-\n  p\n  q\n",
                    "{\"a\":\"yes\",\"b\":\"010\",\"c\":\"x\\ny\\n\",\"d\":\"p q\"}");
}

TEST(keys_become_text) { assert_yaml("y: 1\n2: b\n~: c\n", "{\"true\":1,\"2\":\"b\",\"null\":\"c\"}"); }

TEST(merge_keys_and_aliases_are_applied) {
        assert_yaml("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\n", "{\"base\":{\"x\":1,\"z\":2},\"use\":{\"z\":3,\"x\":1}}");
        assert_yaml("a: &a {p: 1}\nb: &b {q: 2}\nc:\n  <<: [*a, *b]\n", "{\"a\":{\"p\":1},\"b\":{\"q\":2},\"c\":{\"p\":1,\"q\":2}}");
}

TEST(errors_name_line_and_column) {
        assert_error("a: 1\nb: [1, 2\n", "line 3 column 1");
        assert_error("a:\n\tb: 1\n", "found character that cannot start any token");
        assert_error("a: 1\nb: 2\na: 3\n", "line 3 column 1: key \"a\" already set in map at line 1");
        assert_error("a: .inf\n", "cannot be written as JSON");
        assert_error("a: 1\n---\nb: 2\n", "found 2");
}

TEST(alias_bombs_are_refused) {
        AUTO(str) struct str s = STR_INIT(0);
        str_append_s(&s, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for (int i = 1; i < 10; i++) {
                str_appendf(&s, "a%d: &a%d [", i, i);
                for (int k = 0; k < 10; k++)
                        str_appendf(&s, "%s*a%d", k ? "," : "", i - 1);
                str_append_s(&s, "]\n");
        }
        assert_error(str_cstr(&s), "nodes after expanding aliases");
}

TEST(streams_are_split_and_empty_documents_skipped) {
        yyjson_doc **docs = NULL;
        assert_int_equal(yaml_parse_all(SV("---\na: 1\n---\n# nothing\n---\nb: 2\n"), &docs, NULL), 2);
        assert_int_equal(json_int_at(yyjson_doc_get_root(docs[1]), "/b", 0), 2);
        for (int i = 0; i < 2; i++)
                yyjson_doc_free(docs[i]);
        free(docs);
}

TEST(what_is_written_reads_back_as_the_same) {
        const char *json =
                "{\"a\":\"yes\",\"b\":[1,{\"c\":\"x: y\",\"d\":[]},[\"p\",\"q\"]],\"e\":{},\"f\":\"line\\nbreak\\n\",\"g\":\"no end\\nline\",\"h\":\"\","
                "\"i\":\"# no\",\"j\":\"'q'\",\"k\":\"2026-01-02\",\"l\":\" lead\",\"m\":null,\"nn\":\"010\",\"o\":\"\\t\\n\",\"p\":\"-\",\"q\":\"a\\n\\n\","
                "\"r\":\"\\n\",\"s\":\"{x}\",\"t\":\"*star\",\"u\":\"end:\",\"v\":1.5,\"w\":\"1e3\",\"x y\":true,\"*k\":\"\xc3\xa9\",\"z\":\"  two\\nlines\"}";
        AUTO(json) yyjson_doc *doc = NULL, *back = NULL;
        assert_int_equal(json_parse(sv_of(json), &doc, NULL), 0);
        AUTO(str) struct str out = STR_INIT(0);
        yaml_write(yyjson_doc_get_root(doc), &out);
        AUTO(err) struct err e = ERR_INIT;
        if (yaml_parse(str_sv(&out), &back, &e) < 0)
                fail_msg("%s\n%s", err_message(&e), str_cstr(&out));
        AUTO(free) char *again = json_write(yyjson_doc_get_root(back), false, NULL);
        assert_string_equal(again, json);
}

TEST(sequences_are_not_indented_as_kubectl_writes_them) {
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(SV("{\"spec\":{\"containers\":[{\"name\":\"a\",\"args\":[\"x\"]}]}}"), &doc, NULL), 0);
        AUTO(str) struct str out = STR_INIT(0);
        yaml_write(yyjson_doc_get_root(doc), &out);
        assert_string_equal(str_cstr(&out), "spec:\n  containers:\n  - name: a\n    args:\n    - x\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_scalars_mean_what_go_makes_of_them),
                cmocka_unit_test(quoted_scalars_are_text),
                cmocka_unit_test(keys_become_text),
                cmocka_unit_test(merge_keys_and_aliases_are_applied),
                cmocka_unit_test(errors_name_line_and_column),
                cmocka_unit_test(alias_bombs_are_refused),
                cmocka_unit_test(streams_are_split_and_empty_documents_skipped),
                cmocka_unit_test(what_is_written_reads_back_as_the_same),
                cmocka_unit_test(sequences_are_not_indented_as_kubectl_writes_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
