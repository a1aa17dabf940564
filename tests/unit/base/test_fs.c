#include "base/fs.h"

#include <stdio.h>

#include "unit/test.h"

static char dir[] = "/tmp/firesteel-fs-XXXXXX";

static int make_dir(void **state UNUSED) { return mkdtemp(dir) ? 0 : -1; }
static int drop_dir(void **state UNUSED) { return fs_remove_tree(dir, NULL); }

TEST(an_atomic_write_replaces_the_text_and_leaves_no_temporary_file) {
        AUTO(free) char *path = fs_join(dir, "f");
        assert_int_equal(fs_write_atomic(path, SV("one"), 0600, NULL), 0);
        assert_int_equal(fs_write_atomic(path, SV("two"), 0600, NULL), 0);
        AUTO(str) struct str text = STR_INIT(0);
        assert_int_equal(fs_read(path, 0, &text, NULL), 0);
        assert_string_equal(str_cstr(&text), "two");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0); /* empty: nothing else was left */
        assert_int_equal(mkdir(dir, 0700), 0);
}

TEST(a_copy_replaces_what_was_there_and_has_its_own_text) {
        AUTO(free) char *from = fs_join(dir, "from"), *to = fs_join(dir, "to"), *none = fs_join(dir, "none"),
                        *kept = fs_join(dir, "kept-link");
        AUTO(str) struct str long_text = STR_INIT(0), text = STR_INIT(0), old = STR_INIT(0);
        AUTO(err) struct err e = ERR_INIT;
        struct stat st;
        for (int i = 0; i < 40000; i++)
                str_appendf(&long_text, "%d,", i);
        assert_int_equal(fs_write(from, str_sv(&long_text), 0600, NULL), 0);
        assert_int_equal(fs_write(to, SV("old"), 0600, NULL), 0);
        assert_int_equal(link(to, kept), 0);
        assert_int_equal(fs_copy(from, to, 0700, NULL), 0);
        assert_int_equal(fs_write(from, SV("changed"), 0600, NULL), 0);
        assert_int_equal(fs_read(to, 0, &text, NULL), 0);
        assert_string_equal(str_cstr(&text), str_cstr(&long_text));
        assert_int_equal(stat(to, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(fs_read(kept, 0, &old, NULL), 0); /* whoever has the old file open keeps it */
        assert_string_equal(str_cstr(&old), "old");
        assert_int_equal(fs_copy(none, to, 0700, &e), -ENOENT);
        assert_contains(err_message(&e), none);
        assert_true(fs_exists(to));
}

TEST(reading_more_than_the_limit_is_refused_with_the_path) {
        AUTO(free) char *path = fs_join(dir, "big");
        assert_int_equal(fs_write(path, SV("0123456789"), 0600, NULL), 0);
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(err) struct err e = ERR_INIT;
        assert_int_equal(fs_read(path, 9, &text, &e), -EFBIG);
        assert_contains(err_message(&e), path);
        assert_int_equal(text.len, 0);
}

TEST(trees_are_made_and_removed_without_following_links) {
        AUTO(free) char *deep = fs_join(dir, "t/a/b/c"), *kept = fs_join(dir, "kept"), *link = fs_join(dir, "t/a/link"),
                        *tree = fs_join(dir, "t");
        assert_int_equal(fs_mkdirs(deep, 0700, NULL), 0);
        assert_int_equal(fs_mkdirs(deep, 0700, NULL), 0);
        assert_int_equal(fs_mkdirs(kept, 0700, NULL), 0);
        assert_int_equal(symlink(kept, link), 0);
        assert_int_equal(fs_remove_tree(tree, NULL), 0);
        assert_false(fs_exists(tree));
        assert_true(fs_is_dir(kept));
        assert_int_equal(fs_remove_tree(tree, NULL), 0);
}

TEST(paths_are_joined_and_made_absolute) {
        AUTO(free) char *a = fs_join("/x/", "y"), *b = fs_join("/x", "/y"), *c = fs_absolute("/a/./b/../c//d");
        assert_string_equal(a, "/x/y");
        assert_string_equal(b, "/y");
        assert_string_equal(c, "/a/c/d");
        assert_string_equal(fs_basename("/a/b"), "b");
        AUTO(free) char *sh = fs_find_program("sh"), *none = fs_find_program("no-such-program-here");
        assert_non_null(sh);
        assert_null(none);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_atomic_write_replaces_the_text_and_leaves_no_temporary_file),
                cmocka_unit_test(a_copy_replaces_what_was_there_and_has_its_own_text),
                cmocka_unit_test(reading_more_than_the_limit_is_refused_with_the_path),
                cmocka_unit_test(trees_are_made_and_removed_without_following_links),
                cmocka_unit_test(paths_are_joined_and_made_absolute),
        };
        return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
