#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/output.h"

static char *printed(struct grid *t) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        grid_print(t, f);
        fclose(f);
        return text;
}

static void tables_shorten_only_what_may_shrink(void **state) {
        static const struct grid_column columns[] = {{"NAME", .shrink = true}, {"AGE", .right = true}, {"NODE"}, {0}};
        AUTO(grid) struct grid *t = grid_new(columns);
        grid_cell(t, "a-very-long-name-that-does-not-fit-into-thirty-columns");
        grid_cell(t, "12s");
        grid_cell(t, "local");
        grid_cell(t, "short");
        grid_cellf(t, "%dm", 100);
        grid_cell(t, NULL);
        assert_int_equal(grid_rows(t), 2);
        AUTO(free) char *text = printed(t);
        assert_string_equal(text, "NAME                AGE   NODE\n"
                                  "a-very-long-nam…    12s   local\n"
                                  "short              100m   -\n");
}

static void a_list_that_goes_on_has_one_heading_and_its_columns_never_narrow(void **state) {
        static const struct grid_column columns[] = {{"NAME"}, {"AGE"}, {0}};
        AUTO(grid) struct grid *t = grid_new(columns);
        grid_cell(t, "longer");
        grid_cell(t, "1s");
        AUTO(free) char *first = printed(t);
        assert_string_equal(first, "NAME     AGE\nlonger   1s\n");
        assert_int_equal(grid_rows(t), 0);
        grid_cell(t, "b");
        grid_cell(t, "2s");
        AUTO(free) char *second = printed(t);
        assert_string_equal(second, "b        2s\n");
}

static void a_cell_is_one_line_whatever_it_came_from(void **state) {
        static const struct grid_column columns[] = {{"MESSAGE"}, {0}};
        AUTO(grid) struct grid *t = grid_new(columns);
        grid_cell(t, "two\nlines\033[2J");
        AUTO(free) char *text = printed(t);
        assert_string_equal(text, "MESSAGE\ntwo lines [2J\n");
}

static void widths_count_characters_and_not_bytes(void **state) {
        assert_int_equal(text_width("käse…"), 5);
        assert_int_equal(text_width("\033[31mred\033[0m"), 3);
        assert_int_equal(text_width(""), 0);
}

static void bytes_read_well(void **state) {
        static const struct {
                int64_t bytes;
                const char *text;
        } cases[] = {{0, "0 B"},           {999, "999 B"},        {1000, "1.0 kB"},      {1234567, "1.2 MB"},
                     {99500000, "100 MB"}, {999900000, "1.0 GB"}, {12300000000, "12 GB"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char text[16];
                bytes_human(cases[i].bytes, text);
                assert_string_equal(text, cases[i].text);
        }
}

static int set_up(void **state) { return setenv("COLUMNS", "31", 1) | setenv("NO_COLOR", "1", 1); }

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tables_shorten_only_what_may_shrink),
                cmocka_unit_test(a_list_that_goes_on_has_one_heading_and_its_columns_never_narrow),
                cmocka_unit_test(a_cell_is_one_line_whatever_it_came_from),
                cmocka_unit_test(widths_count_characters_and_not_bytes),
                cmocka_unit_test(bytes_read_well),
        };
        return cmocka_run_group_tests_name("cli/output", tests, set_up, NULL);
}
