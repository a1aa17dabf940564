#include "spark/juri.h"
#include "unit/test.h"

static struct submission_inputs in;

static int setup(void **state UNUSED) {
        submission_inputs_init(&in);
        in.cwd = xstrdup("/home/u");
        inputs_add_file(&in, "/home/u/a.txt")->kind = INPUT_FILE;
        inputs_add_file(&in, "/home/u/b c.txt")->kind = INPUT_FILE;
        inputs_add_file(&in, "/home/u/dir")->kind = INPUT_DIRECTORY;
        struct input_file *link = inputs_add_file(&in, "/home/u/link.jar");
        link->kind = INPUT_FILE;
        link->canonical = xstrdup("/real/x.jar");
        return 0;
}

static int teardown(void **state UNUSED) {
        submission_inputs_done(&in);
        return 0;
}

static void check(const char *text, const char *want) {
        AUTO(free) char *got = juri_resolve(&in, text);
        assert_string_equal(got, want);
}

TEST(leaves_uris_alone) {
        check("local:///opt/x.jar", "local:///opt/x.jar");
        check("https://h/a.jar?x=1#f", "https://h/a.jar?x=1#f");
        check("s3a://b_c/k", "s3a://b_c/k");
        check("file:/x", "file:/x");
}

TEST(makes_uris_of_paths) {
        check("a.txt", "file:/home/u/a.txt");
        check("x/../a.txt", "file:/home/u/a.txt");
        check("/abs//y", "file:/abs/y");
        check("dir", "file:/home/u/dir/");
        check("link.jar", "file:/real/x.jar");
        check("a.txt#name", "file:/home/u/a.txt#name");
}

TEST(takes_what_no_uri_is_for_a_path) {
        check("b c.txt", "file:/home/u/b%20c.txt");
        check("100%.txt", "file:/home/u/100%25.txt");
        check("{a}.txt", "file:/home/u/%7Ba%7D.txt");
        check("file://", "file:/home/u/file:");
        check("\xc3\xa9.txt", "file:/home/u/\xc3\xa9.txt");
}

TEST(resolves_lists) {
        AUTO(free) char *got = juri_resolve_all(&in, "a.txt,, ,local:///b");
        assert_string_equal(got, "file:/home/u/a.txt,local:///b");
}

TEST(decodes_paths_and_fragments) {
        AUTO(free) char *path = juri_path("file:///a%20b#c%20d");
        AUTO(free) char *fragment = juri_fragment("file:///a%20b#c%20d");
        assert_string_equal(path, "/a b");
        assert_string_equal(fragment, "c d");
        assert_null(juri_fragment("file:///a"));
        AUTO(free) char *base = juri_without_fragment("file:///a#b");
        assert_string_equal(base, "file:///a");
}

TEST(expands_patterns) {
        struct strv *found = NEW(struct strv);
        strv_add(found, "/home/u/1.py");
        strv_add(found, "/home/u/2.py");
        map_set(&in.globs, "/home/u/*.py", found);
        AUTO(free) char *got = NULL;
        assert_int_equal(juri_resolve_globs(&in, "*.py,dir,a.txt#x,nope.txt,local:///z", &got, NULL), 0);
        assert_string_equal(got, "file:/home/u/1.py,file:/home/u/2.py,file:/home/u/a.txt#x,file:/home/u/nope.txt,local:///z");
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *none = NULL;
        assert_int_equal(juri_resolve_globs(&in, "file:/home/u/*.py#n", &none, &err), -EINVAL);
        assert_contains(err_message(&err), "ambiguously");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(leaves_uris_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(makes_uris_of_paths, setup, teardown),
                cmocka_unit_test_setup_teardown(takes_what_no_uri_is_for_a_path, setup, teardown),
                cmocka_unit_test_setup_teardown(resolves_lists, setup, teardown),
                cmocka_unit_test_setup_teardown(decodes_paths_and_fragments, setup, teardown),
                cmocka_unit_test_setup_teardown(expands_patterns, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
