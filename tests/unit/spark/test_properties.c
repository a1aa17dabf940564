#include "spark/properties.h"
#include "unit/test.h"

static void parse(const char *text, struct map *m) { assert_int_equal(properties_parse(sv_of(text), m, NULL), 0); }

TEST(reads_the_three_separators) {
        AUTO(map) struct map m = MAP_INIT(free);
        parse("a=1\nb: 2\nc 3\n  d   =   4  \ne\n", &m);
        assert_string_equal(map_get(&m, "a"), "1");
        assert_string_equal(map_get(&m, "b"), "2");
        assert_string_equal(map_get(&m, "c"), "3");
        assert_string_equal(map_get(&m, "d"), "4  ");
        assert_string_equal(map_get(&m, "e"), "");
}

TEST(joins_continued_lines) {
        AUTO(map) struct map m = MAP_INIT(free);
        parse("a=x\\\n   y\\\r\n z\nb=end\\\\\nc=last\\", &m);
        assert_string_equal(map_get(&m, "a"), "xyz");
        assert_string_equal(map_get(&m, "b"), "end\\");
        assert_string_equal(map_get(&m, "c"), "last");
}

TEST(skips_comments_and_empty_lines) {
        AUTO(map) struct map m = MAP_INIT(free);
        parse("# a=1\\\n  ! b=2\n\n\t\nc=3\n", &m);
        assert_int_equal(m.len, 1);
        assert_string_equal(map_get(&m, "c"), "3");
}

TEST(undoes_escapes) {
        AUTO(map) struct map m = MAP_INIT(free);
        parse("k\\ e\\:y\\==a\\tb\\u00e9\\ud83d\\ude00\\q\nlone=\\ud800x\n", &m);
        assert_string_equal(map_get(&m, "k e:y="), "a\tb\xc3\xa9\xf0\x9f\x98\x80q");
        assert_string_equal(map_get(&m, "lone"), "\xef\xbf\xbdx");
}

TEST(refuses_half_an_escape_and_names_the_line) {
        AUTO(map) struct map m = MAP_INIT(free);
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(properties_parse(SV("a=1\nb=\\u00zz\n"), &m, &err), -EINVAL);
        assert_string_equal(err_message(&err), "line 2: Malformed \\uxxxx encoding.");
}

TEST(lets_the_last_of_equal_keys_win) {
        AUTO(map) struct map m = MAP_INIT(free);
        parse("a=1\na=2\n", &m);
        assert_string_equal(map_get(&m, "a"), "2");
}

TEST(writes_as_java_does) {
        AUTO(str) struct str out = STR_INIT(0);
        properties_append(&out, "k e=y", " lead and = : # ! \\ \t\n\xc3\xa9");
        assert_string_equal(str_cstr(&out), "k\\ e\\=y=\\ lead and \\= \\: \\# \\! \\\\ \\t\\n\xc3\xa9\n");
}

TEST(reads_back_what_it_writes) {
        static const char *const values[] = {"", " ", "  x  ", "a=b:c", "#!\\", "\t\r\n\f", "\xe2\x98\x83"};
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                AUTO(map) struct map m = MAP_INIT(free);
                AUTO(str) struct str out = STR_INIT(0);
                properties_append(&out, values[i], values[i]);
                parse(str_cstr(&out), &m);
                assert_string_equal(map_get(&m, values[i]), values[i]);
        }
}

TEST(heads_with_comment_and_date) {
        AUTO(str) struct str out = STR_INIT(0);
        properties_append_header(&out, "hello", 1767323045678);
        assert_string_equal(str_cstr(&out), "#hello\n#Fri Jan 02 03:04:05 UTC 2026\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_the_three_separators),
                cmocka_unit_test(joins_continued_lines),
                cmocka_unit_test(skips_comments_and_empty_lines),
                cmocka_unit_test(undoes_escapes),
                cmocka_unit_test(refuses_half_an_escape_and_names_the_line),
                cmocka_unit_test(lets_the_last_of_equal_keys_win),
                cmocka_unit_test(writes_as_java_does),
                cmocka_unit_test(reads_back_what_it_writes),
                cmocka_unit_test(heads_with_comment_and_date),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
