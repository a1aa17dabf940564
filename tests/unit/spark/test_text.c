#include "spark/text.h"
#include "unit/test.h"

static void check_prefix(const char *name, const char *want) {
        AUTO(free) char *got = spark_name_prefix(name, "0a");
        assert_string_equal(got, want);
}

TEST(makes_prefixes_of_names) {
        check_prefix("spark-pi", "spark-pi-0a");
        check_prefix("My  App!!", "my-app-0a");
        check_prefix("123_app", "x23-app-0a");
        check_prefix("___", "xa"); /* the dash goes, then the digit that leads */
        check_prefix("\xc3\x9cn\xc3\xaf", "n-0a");
        check_prefix("\xe2\x84\xaa\xc4\xb0", "ki-0a");
}

TEST(makes_labels_of_names) {
        AUTO(free) char *empty = spark_app_name_label("--");
        assert_string_equal(empty, "");
        AUTO(free) char *cut = spark_app_name_label("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b");
        assert_int_equal(strlen(cut), 62);
        AUTO(free) char *digits = spark_app_name_label("123 x");
        assert_string_equal(digits, "123-x");
}

TEST(substitutes_ids) {
        AUTO(free) char *text = spark_substitute_ids("a{{APP_ID}}b{{EXECUTOR_ID}}c{{APP_ID}}", "ID", "");
        assert_string_equal(text, "aIDbcID");
}

TEST(counts_utf16_units) {
        assert_int_equal(utf16_length(SV("a\xc3\xa9\xf0\x9f\x98\x80")), 4);
}

TEST(takes_the_short_name_of_a_principal) {
        static const char *const rows[][2] = {{"bob", "bob"}, {"bob@R", "bob"}, {"bob/h", "bob"}, {"bob/h@R", "bob"},
                                              {"", ""},       {"/h", "/h"},     {"a/", "a/"},     {"a/b/c", "a/b/c"},
                                              {"a@", NULL},   {"@R", NULL},     {"a@b@c", NULL},  {"a@b/c", NULL}};
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                AUTO(free) char *got = hadoop_short_name(rows[i][0]);
                assert_true(got ? rows[i][1] && streq(got, rows[i][1]) : !rows[i][1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(makes_prefixes_of_names), cmocka_unit_test(makes_labels_of_names),
                                           cmocka_unit_test(substitutes_ids), cmocka_unit_test(takes_the_short_name_of_a_principal),
                                           cmocka_unit_test(counts_utf16_units)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
