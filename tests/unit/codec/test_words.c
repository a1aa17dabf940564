#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/words.h"

static void expect(const char *line, const char *joined) {
        AUTO(strv) struct strv words = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (words_split(sv_of(line), &words, &err) < 0)
                fail_msg("%s: %s", line, err_message(&err));
        AUTO(free) char *text = strv_join(&words, "|");
        assert_string_equal(text, joined);
}

static void splits_as_a_shell_does(void **state) {
        expect("a b\tc  d\r", "a|b|c|d");
        expect("  'a b' \"c d\" e\\ f", "a b|c d|e f");
        expect("a'b'\"c\"d", "abcd");
        expect("'' \"\" x", "||x");
        expect("\"a\\\"b\\$c\\n\\\\\" '\\n'", "a\"b$c\\n\\|\\n");
        expect("-c 'spark.x=a b' $HOME `ls` *", "-c|spark.x=a b|$HOME|`ls`|*");
        expect("", "");
}

static void comments_begin_at_a_word(void **state) {
        expect("# nothing", "");
        expect("a #b c", "a");
        expect("a#b c", "a#b|c");
        expect("'#a' b", "#a|b");
}

static void refuse(const char *line, const char *message) {
        AUTO(strv) struct strv words = {0};
        AUTO(err) struct err err = ERR_INIT;
        strv_add(&words, "before");
        assert_int_equal(words_split(sv_of(line), &words, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), message));
        assert_int_equal(words.len, 1);
        assert_null(words.items[1]);
}

static void says_where_a_quote_is_open(void **state) {
        refuse("a 'b c", "column 3: this ' is not closed");
        refuse("a b\"c\\\"", "column 4: this \" is not closed");
        refuse("a \\", "column 3: nothing follows the backslash");
}

static void refuses_nul_bytes(void **state) {
        AUTO(strv) struct strv words = {0};
        assert_int_equal(words_split(sv_new("a\0b", 3), &words, NULL), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(splits_as_a_shell_does),
                cmocka_unit_test(comments_begin_at_a_word),
                cmocka_unit_test(says_where_a_quote_is_open),
                cmocka_unit_test(refuses_nul_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
