#include "../kube/fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "submit/gather.h"

static void put(void *state, const char *name, const char *text) {
        AUTO(free) char *path = write_file(state, name, text);
        assert_non_null(path);
}

static int want(struct submission_inputs *in, enum input_want what, const char *path, struct err *err) {
        AUTO(input_wants) struct input_wants wants = {0};
        input_wants_add(&wants, in, what, path);
        return gather_wants(in, &wants, err);
}

/* The paths that a pattern below the test's directory finds, without that directory, joined by blanks. */
static char *glob(void *state, const char *pattern) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(free) char *path = xasprintf("%s/%s", tmp_dir(state), pattern);
        AUTO(strv) struct strv names = {0};
        submission_inputs_init(&in);
        ok(want(&in, INPUT_WANT_GLOB, path, test_err()));
        const struct strv *found = map_get(&in.globs, path);
        assert_non_null(found);
        vec_foreach(one, found) {
                assert_true(str_starts(*one, tmp_dir(state)));
                strv_add(&names, *one + strlen(tmp_dir(state)) + 1);
        }
        return strv_join(&names, " ");
}
static void finds(void *state, const char *pattern, const char *expected) {
        AUTO(free) char *found = glob(state, pattern);
        if (!streq(found, expected))
                fail_msg("%s finds \"%s\" instead of \"%s\"", pattern, found, expected);
}

static void patterns_are_hadoops(void **state) {
        put(*state, "lib/a.jar", "");
        put(*state, "lib/b.jar", "");
        put(*state, "lib/c.txt", "");
        put(*state, "lib/deep/d.jar", "");
        put(*state, "other/a.jar", "");
        finds(*state, "lib/*.jar", "lib/a.jar lib/b.jar");
        finds(*state, "*/a.jar", "lib/a.jar other/a.jar");
        finds(*state, "lib/?.*", "lib/a.jar lib/b.jar lib/c.txt");
        finds(*state, "lib/[^a].jar", "lib/b.jar");
        finds(*state, "lib/[!a].jar", "lib/b.jar");
        finds(*state, "lib/{a,c}.*", "lib/a.jar lib/c.txt");
        finds(*state, "{lib/{a,deep/d},other/a}.jar", "lib/a.jar lib/deep/d.jar other/a.jar");
        finds(*state, "lib/{a.jar", "");   /* an open brace is a brace */
        finds(*state, "lib/*", "lib/a.jar lib/b.jar lib/c.txt"); /* directories are no files */
        finds(*state, "absent/*", "");
        finds(*state, "lib/\\a.jar", "lib/a.jar");
}

static void alternatives_have_a_maximum(void **state) {
        AUTO(str) struct str pattern = STR_INIT(0);
        for (int i = 0; i < 24; i++) /* 2^24 if nothing stopped it */
                str_append_s(&pattern, "{a,b}");
        finds(*state, str_cstr(&pattern), "");
}

static void a_pattern_is_looked_up_once(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(free) char *path = fs_join(tmp_dir(*state), "*.jar");
        submission_inputs_init(&in);
        ok(want(&in, INPUT_WANT_GLOB, path, test_err()));
        put(*state, "late.jar", "");
        ok(want(&in, INPUT_WANT_GLOB, path, test_err()));
        assert_int_equal(((const struct strv *)map_get(&in.globs, path))->len, 0);
}

static void files_are_told_from_directories_and_links_resolved(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        put(*state, "real/file.py", "print()");
        AUTO(free) char *link = fs_join(tmp_dir(*state), "link"), *real = fs_join(tmp_dir(*state), "real");
        AUTO(free) char *file = fs_join(link, "file.py"), *target = fs_join(real, "file.py");
        AUTO(free) char *absent = fs_join(link, "absent.py"), *absent_target = fs_join(real, "absent.py");
        AUTO(free) char *nowhere = fs_join(tmp_dir(*state), "no/where.py");
        assert_int_equal(symlink("real", link), 0);
        submission_inputs_init(&in);
        const char *const paths[] = {file, link, absent, nowhere, "/dev/null"};
        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
                ok(want(&in, INPUT_WANT_STAT, paths[i], test_err()));
        const struct input_file *f = inputs_file(&in, file);
        assert_int_equal(f->kind, INPUT_FILE);
        assert_int_equal(f->size, 7);
        assert_string_equal(f->canonical, target);
        assert_false(f->has_text);
        f = inputs_file(&in, link);
        assert_int_equal(f->kind, INPUT_DIRECTORY);
        assert_string_equal(f->canonical, real);
        f = inputs_file(&in, absent); /* as far as the path exists */
        assert_int_equal(f->kind, INPUT_ABSENT);
        assert_string_equal(f->canonical, absent_target);
        f = inputs_file(&in, nowhere);
        assert_int_equal(f->kind, INPUT_ABSENT);
        assert_null(f->canonical);
        assert_int_equal(inputs_file(&in, "/dev/null")->kind, INPUT_OTHER);
}

static void texts_and_beginnings_are_read(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(free) char *small = write_file(*state, "small", "text"), *large = write_file(*state, "large", "beginning");
        assert_int_equal(truncate(large, INPUT_TEXT_MAX + 1), 0);
        submission_inputs_init(&in);
        ok(want(&in, INPUT_WANT_TEXT, small, test_err()));
        assert_true(inputs_file(&in, small)->has_text);
        assert_string_equal(str_cstr(&inputs_file(&in, small)->text), "text");

        ok(want(&in, INPUT_WANT_HEAD, large, test_err()));
        const struct input_file *f = inputs_file(&in, large);
        assert_true(f->has_text);
        assert_int_equal(f->text.len, INPUT_HEAD_MAX);
        assert_memory_equal(f->text.data, "beginning", 10);
}

/* That a file cannot be read is no failure of the gathering: it may turn out that nobody wants it. */
static void what_cannot_be_read_says_so_when_it_is_used(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(free) char *large = write_file(*state, "large", "x"), *absent = fs_join(tmp_dir(*state), "absent");
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(truncate(large, INPUT_TEXT_MAX + 1), 0);
        submission_inputs_init(&in);
        ok(want(&in, INPUT_WANT_TEXT, large, test_err()));
        assert_false(inputs_file(&in, large)->has_text);
        assert_int_equal(inputs_file(&in, large)->error, -EFBIG);
        assert_int_equal(inputs_text(&in, large, "the template", false, &text, &err), -EFBIG);
        assert_non_null(strstr(err_message(&err), large));
        ok(want(&in, INPUT_WANT_HEAD, absent, test_err()));
        assert_int_equal(inputs_text(&in, absent, "the template", false, &text, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), absent));
        assert_int_equal(text.len, 0);
}

static void a_directory_comes_with_the_texts_in_it(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        put(*state, "conf/log4j2.properties", "b");
        put(*state, "conf/core-site.xml", "<a/>");
        put(*state, "conf/sub/ignored", "c");
        AUTO(free) char *dir = fs_join(tmp_dir(*state), "conf");
        AUTO(free) char *file = fs_join(dir, "core-site.xml"), *sub = fs_join(dir, "sub");
        submission_inputs_init(&in);
        ok(want(&in, INPUT_WANT_DIRECTORY, dir, test_err()));
        const struct input_file *f = inputs_file(&in, dir);
        AUTO(free) char *names = strv_join(&f->names, " ");
        assert_string_equal(names, "core-site.xml log4j2.properties sub");
        assert_string_equal(str_cstr(&inputs_file(&in, file)->text), "<a/>");
        assert_int_equal(inputs_file(&in, sub)->kind, INPUT_DIRECTORY);
        assert_false(inputs_file(&in, sub)->has_text);
        ok(want(&in, INPUT_WANT_DIRECTORY, file, test_err())); /* not one: no names, no error */
        assert_int_equal(inputs_file(&in, file)->names.len, 0);
}

static void a_directory_has_a_maximum(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(err) struct err err = ERR_INIT;
        for (int i = 0; i <= INPUT_DIRECTORY_MAX; i++) {
                char name[32];
                snprintf(name, sizeof(name), "%d", i);
                AUTO(free) char *path = fs_join(tmp_dir(*state), name);
                ok(fs_write(path, SV(""), 0600, test_err()));
        }
        submission_inputs_init(&in);
        assert_int_equal(want(&in, INPUT_WANT_DIRECTORY, tmp_dir(*state), &err), -EFBIG);
        assert_non_null(strstr(err_message(&err), tmp_dir(*state)));
}

/* ---- environment ---- */

static void the_base_is_this_process(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        submission_inputs_init(&in);
        setenv("FIRESTEEL_TEST_VALUE", "a=b", 1);
        setenv("SPARK_HOME", "/opt/spark", 1);
        unsetenv("SPARK_CONF_DIR");
        ok(gather_base(&in, test_err()));
        assert_string_equal(inputs_env(&in, "FIRESTEEL_TEST_VALUE"), "a=b");
        assert_string_equal(inputs_env(&in, "SPARK_CONF_DIR"), "/opt/spark/conf");
        AUTO(free) char *cwd = getcwd(NULL, 0);
        assert_string_equal(in.cwd, cwd);
        assert_true(in.user && *in.user);

        AUTO(submission_inputs) struct submission_inputs again;
        submission_inputs_init(&again);
        setenv("SPARK_CONF_DIR", "/etc/spark", 1);
        ok(gather_base(&again, test_err()));
        assert_string_equal(inputs_env(&again, "SPARK_CONF_DIR"), "/etc/spark");
        unsetenv("SPARK_HOME");
        unsetenv("SPARK_CONF_DIR");
}

/* spark-env.sh of a directory `conf`; its result, and inputs with the environment of that name. */
static int read_env_script(void *state, struct submission_inputs *in, const char *script, struct err *err) {
        AUTO(free) char *path = script ? write_file(state, "conf/spark-env.sh", script) : NULL;
        AUTO(free) char *dir = fs_join(tmp_dir(state), "conf");
        submission_inputs_init(in);
        inputs_set_env(in, "SPARK_CONF_DIR", dir);
        return gather_spark_env(in, err);
}

static void the_environment_script_is_bash(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        ok(read_env_script(*state, &in,
                           "echo this must not be taken for a variable: X=1\n"
                           "A=1\nexport B=\"$A two\"\nC=$'three\\nlines'\nif [[ $A == 1 ]]; then D=yes; fi\nEMPTY=\n",
                           test_err()));
        assert_string_equal(inputs_env(&in, "A"), "1");
        assert_string_equal(inputs_env(&in, "B"), "1 two");
        assert_string_equal(inputs_env(&in, "C"), "three\nlines");
        assert_string_equal(inputs_env(&in, "D"), "yes");
        assert_string_equal(inputs_env(&in, "EMPTY"), "");
        assert_null(inputs_env(&in, "X"));
}

static void a_broken_environment_script_is_an_error(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(read_env_script(*state, &in, "echo no disk >&2\nexit 3\n", &err), -EIO);
        assert_non_null(strstr(err_message(&err), "conf/spark-env.sh"));
        assert_non_null(strstr(err_message(&err), "ended with 3"));
        assert_non_null(strstr(err_message(&err), "no disk"));
}

static void an_environment_script_is_not_needed_nor_read_twice(void **state) {
        AUTO(submission_inputs) struct submission_inputs none, loaded;
        ok(read_env_script(*state, &none, NULL, test_err()));
        AUTO(free) char *path = write_file(*state, "conf/spark-env.sh", "A=1\n"), *dir = fs_join(tmp_dir(*state), "conf");
        submission_inputs_init(&loaded);
        ok(gather_spark_env(&loaded, test_err())); /* no directory named */
        inputs_set_env(&loaded, "SPARK_CONF_DIR", dir);
        inputs_set_env(&loaded, "SPARK_ENV_LOADED", "1");
        ok(gather_spark_env(&loaded, test_err()));
        assert_null(inputs_env(&loaded, "A"));
}

/* ---- properties files ---- */

static void properties_files_are_merged_below_the_options(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(submit_args) struct submit_args a;
        AUTO(free) char *file = write_file(*state, "job.conf", "spark.app.name from file\nspark.executor.memory 3g\n");
        submission_inputs_init(&in);
        submit_args_init(&a, SPARK_4_1);
        ok(submit_args_set(&a, SUBMIT_CONF, "spark.app.name=given", test_err()));
        ok(submit_args_set(&a, SUBMIT_PROPERTIES_FILE, file, test_err()));
        ok(gather_properties(&in, &a, test_err()));
        assert_string_equal(map_get(&a.properties, "spark.app.name"), "given");
        assert_string_equal(map_get(&a.properties, "spark.executor.memory"), "3g");
}

static void the_defaults_are_those_of_the_configuration_directory(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(submit_args) struct submit_args a;
        put(*state, "conf/spark-defaults.conf", "spark.executor.cores 7\n");
        AUTO(free) char *dir = fs_join(tmp_dir(*state), "conf");
        submission_inputs_init(&in);
        inputs_set_env(&in, "SPARK_CONF_DIR", dir);
        submit_args_init(&a, SPARK_4_1);
        ok(gather_properties(&in, &a, test_err()));
        assert_string_equal(map_get(&a.properties, "spark.executor.cores"), "7");
}

static void a_properties_file_that_is_not_there_is_an_error(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(submit_args) struct submit_args a;
        AUTO(err) struct err err = ERR_INIT;
        submission_inputs_init(&in);
        submit_args_init(&a, SPARK_4_1);
        ok(submit_args_set(&a, SUBMIT_PROPERTIES_FILE, "/nonexistent.conf", test_err()));
        assert_int_equal(gather_properties(&in, &a, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "/nonexistent.conf"));
}

/* ---- release ---- */

static void the_release_is_asked_for_from_near_to_far(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        struct spark_version v;
        bool known;
        put(*state, "jars/spark-core_2.13-4.1.2.jar", "");
        put(*state, "jars/spark-sql_2.13-9.9.9.jar", "");
        submission_inputs_init(&in);
        ok(gather_version(&in, NULL, &v, &known, test_err()));
        assert_false(known);
        assert_string_equal(v.number, spark_version_newest().number);

        inputs_set_env(&in, "SPARK_HOME", tmp_dir(*state));
        ok(gather_version(&in, NULL, &v, &known, test_err()));
        assert_true(known);
        assert_string_equal(v.number, "4.1.2");

        inputs_set_env(&in, "FIRESTEEL_SPARK_VERSION", "3.5.1");
        ok(gather_version(&in, NULL, &v, &known, test_err()));
        assert_string_equal(v.number, "3.5.1");

        ok(gather_version(&in, "4.1.0", &v, &known, test_err()));
        assert_string_equal(v.number, "4.1.0");
}

static void a_release_that_is_not_supported_is_refused(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(err) struct err err = ERR_INIT;
        struct spark_version v;
        bool known;
        submission_inputs_init(&in);
        assert_int_equal(gather_version(&in, "2.4", &v, &known, &err), -ENOTSUP);
        inputs_set_env(&in, "FIRESTEEL_SPARK_VERSION", "2.4");
        assert_int_equal(gather_version(&in, NULL, &v, &known, &err), -ENOTSUP);
        assert_true(str_starts(err_message(&err), "FIRESTEEL_SPARK_VERSION: "));
        /* An installation of another line decides nothing. */
        put(*state, "jars/spark-core_2.12-2.4.8.jar", "");
        inputs_set_env(&in, "FIRESTEEL_SPARK_VERSION", "");
        inputs_set_env(&in, "SPARK_HOME", tmp_dir(*state));
        ok(gather_version(&in, NULL, &v, &known, test_err()));
        assert_false(known);
}

static void version_of(const char *key, const char *image, const char *expected) {
        AUTO(submit_args) struct submit_args a;
        struct spark_version v = spark_version_newest();
        submit_args_init(&a, SPARK_4_1);
        map_set(&a.properties, "spark.kubernetes.container.image", xstrdup("spark:3.5.0"));
        map_set(&a.properties, key, xstrdup(image));
        gather_version_of_image(&a, &v);
        assert_string_equal(v.number, expected);
}

static void the_image_of_the_driver_tells_the_release(void **state) {
        version_of("spark.kubernetes.container.image", "apache/spark:3.5.2-java17", "3.5.2");
        version_of("spark.kubernetes.driver.container.image", "registry:5000/spark:v4.1.1", "4.1.1");
        version_of("spark.kubernetes.driver.container.image", "registry:5000/jobs:nightly", spark_version_newest().number);
}

static void an_installation_tells_its_file_systems(void **state) {
        AUTO(submission_inputs) struct submission_inputs in;
        submission_inputs_init(&in);
        gather_file_systems(&in); /* no installation: nothing is known, anything may be */
        assert_int_equal(in.file_systems.len, 0);
        put(*state, "jars/hadoop-aws-3.4.1.jar", "");
        put(*state, "jars/hadoop-azure-3.4.1.jar", "");
        inputs_set_env(&in, "SPARK_HOME", tmp_dir(*state));
        gather_file_systems(&in);
        strv_sort(&in.file_systems);
        AUTO(free) char *all = strv_join(&in.file_systems, " ");
        assert_string_equal(all, "abfs abfss file har hdfs s3a swebhdfs viewfs wasb wasbs webhdfs");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(patterns_are_hadoops),
                with_dir(alternatives_have_a_maximum),
                with_dir(a_pattern_is_looked_up_once),
                with_dir(files_are_told_from_directories_and_links_resolved),
                with_dir(texts_and_beginnings_are_read),
                with_dir(what_cannot_be_read_says_so_when_it_is_used),
                with_dir(a_directory_comes_with_the_texts_in_it),
                with_dir(a_directory_has_a_maximum),
                with_dir(the_base_is_this_process),
                with_dir(the_environment_script_is_bash),
                with_dir(a_broken_environment_script_is_an_error),
                with_dir(an_environment_script_is_not_needed_nor_read_twice),
                with_dir(properties_files_are_merged_below_the_options),
                with_dir(the_defaults_are_those_of_the_configuration_directory),
                with_dir(a_properties_file_that_is_not_there_is_an_error),
                with_dir(the_release_is_asked_for_from_near_to_far),
                with_dir(a_release_that_is_not_supported_is_refused),
                with_dir(the_image_of_the_driver_tells_the_release),
                with_dir(an_installation_tells_its_file_systems),
        };
        return cmocka_run_group_tests_name("submit/gather", tests, NULL, NULL);
}
