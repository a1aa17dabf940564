#include "spark/cmdline.h"
#include "spark/keys.h"
#include "unit/test.h"

#define PARSE(a, err, ...) parse((a), (err), (const char *[]){__VA_ARGS__, NULL})

static int parse(struct submit_args *a, struct err *err, const char **argv) {
        int argc = 0;
        while (argv[argc])
                argc++;
        return submit_args_parse(a, argc, (char *const *)argv, err);
}

static int finish(struct submit_args *a, struct err *err) {
        AUTO(map) struct map env = MAP_INIT(free);
        map_set(&env, "MASTER", xstrdup("k8s://http://from-env"));
        map_set(&env, "SPARK_DRIVER_MEMORY", xstrdup("3g"));
        return submit_args_finish(a, &env, err);
}

TEST(takes_both_forms_of_options) {
        AUTO(submit_args) struct submit_args a;
        submit_args_init(&a, SPARK_4_1);
        assert_int_equal(
                PARSE(&a, NULL, "--name=x y", "--class", "a.B", "-c", "spark.a=b=c", "--conf=spark.d=", "app.jar", "--name", "z", "-v", ""),
                0);
        assert_string_equal(a.values[SUBMIT_NAME], "x y");
        assert_string_equal(map_get(&a.properties, "spark.a"), "b=c");
        assert_string_equal(map_get(&a.properties, "spark.d"), "");
        assert_string_equal(a.resource, "app.jar");
        assert_int_equal(a.app_args.len, 4);
        assert_false(a.verbose);
}

TEST(does_not_complete_abbreviations) {
        AUTO(submit_args) struct submit_args a;
        AUTO(err) struct err err = ERR_INIT;
        submit_args_init(&a, SPARK_4_1);
        assert_int_equal(PARSE(&a, &err, "--deploy", "cluster", "x.jar"), -EINVAL);
        assert_string_equal(err_message(&err), "Unrecognized option: --deploy");
        assert_true(a.usage);
}

TEST(says_what_is_missing) {
        AUTO(submit_args) struct submit_args a, b, c;
        AUTO(err) struct err err = ERR_INIT;
        submit_args_init(&a, SPARK_4_1);
        submit_args_init(&b, SPARK_4_1);
        submit_args_init(&c, SPARK_4_1);
        assert_int_equal(PARSE(&a, &err, "--master", "x", "--name"), -EINVAL);
        assert_string_equal(err_message(&err), "Missing argument for option '--name'.");
        assert_int_equal(PARSE(&b, &err, "--name", "x"), -EINVAL);
        assert_string_equal(err_message(&err), "Missing application resource.");
        assert_int_equal(PARSE(&c, &err, "--conf", "noequals", "x.jar"), -EINVAL);
        assert_string_equal(err_message(&err), "Invalid argument to --conf: noequals");
}

TEST(knows_each_lines_options) {
        AUTO(submit_args) struct submit_args old, new;
        submit_args_init(&old, SPARK_3_5);
        submit_args_init(&new, SPARK_4_1);
        assert_int_equal(PARSE(&old, NULL, "--load-spark-defaults", "x.jar"), -EINVAL);
        assert_int_equal(PARSE(&new, NULL, "--load-spark-defaults", "x.jar"), 0);
        assert_true(new.load_defaults);
}

TEST(lets_the_last_of_option_and_conf_win_where_they_are_one) {
        AUTO(submit_args) struct submit_args a;
        submit_args_init(&a, SPARK_4_1);
        assert_int_equal(PARSE(&a, NULL, "--driver-memory", "3g", "--conf", "spark.driver.memory=2g", "x.jar"), 0);
        assert_int_equal(finish(&a, NULL), 0);
        assert_string_equal(a.values[SUBMIT_DRIVER_MEMORY], "2g");
}

TEST(prefers_options_to_properties_to_environment) {
        AUTO(submit_args) struct submit_args a;
        AUTO(map) struct map file = MAP_INIT(free), defaults = MAP_INIT(free);
        submit_args_init(&a, SPARK_4_1);
        map_set(&file, "spark.app.name", xstrdup("file"));
        map_set(&file, "spark.executor.memory", xstrdup(" 7g\t"));
        map_set(&file, "spark.x", xstrdup("file"));
        map_set(&defaults, "spark.x", xstrdup("defaults"));
        map_set(&defaults, "not.spark", xstrdup("1"));
        assert_int_equal(PARSE(&a, NULL, "--name", "option", "x.jar"), 0);
        submit_args_merge(&a, &file);
        submit_args_merge(&a, &defaults);
        assert_int_equal(finish(&a, NULL), 0);
        assert_string_equal(a.values[SUBMIT_NAME], "option");
        assert_string_equal(a.values[SUBMIT_EXECUTOR_MEMORY], "7g");
        assert_string_equal(a.values[SUBMIT_DRIVER_MEMORY], "3g");
        assert_string_equal(a.values[SUBMIT_MASTER], "k8s://http://from-env");
        assert_string_equal(map_get(&a.properties, "spark.x"), "file");
        assert_false(map_has(&a.properties, "not.spark"));
        assert_int_equal(a.warnings.len, 1);
        assert_contains(a.warnings.items[0], "not.spark");
}

TEST(checks_numbers) {
        static const struct {
                const char *option, *value, *message;
        } cases[] = {
                {"--driver-memory", "lots", "Driver memory must be a positive number"},
                {"--executor-memory", "0", "Executor memory must be a positive number"},
                {"--executor-cores", "abc", "Executor cores must be a positive number"},
                {"--num-executors", "0", "Number of executors must be a positive number"},
                {"--total-executor-cores", "-1", "Total executor cores must be a positive number"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(submit_args) struct submit_args a;
                AUTO(err) struct err err = ERR_INIT;
                submit_args_init(&a, SPARK_4_1);
                assert_int_equal(PARSE(&a, NULL, cases[i].option, cases[i].value, "x.jar"), 0);
                assert_int_equal(finish(&a, &err), -EINVAL);
                assert_string_equal(err_message(&err), cases[i].message);
        }
}

TEST(keeps_actions_apart) {
        AUTO(submit_args) struct submit_args a, b;
        AUTO(err) struct err err = ERR_INIT;
        submit_args_init(&a, SPARK_4_1);
        submit_args_init(&b, SPARK_4_1);
        assert_int_equal(PARSE(&a, &err, "--kill", "a", "--status", "b"), -EINVAL);
        assert_string_equal(err_message(&err), "Action cannot be both KILL and REQUEST_STATUS.");
        assert_int_equal(PARSE(&b, NULL, "--status", "b"), 0);
        assert_int_equal(b.action, SUBMIT_ACTION_STATUS);
        assert_int_equal(finish(&b, NULL), 0);
}

TEST(tells_kubernetes_cluster_mode) {
        AUTO(submit_args) struct submit_args a, b;
        submit_args_init(&a, SPARK_4_1);
        submit_args_init(&b, SPARK_4_1);
        assert_int_equal(PARSE(&a, NULL, "--deploy-mode", "cluster", "x.py"), 0);
        assert_int_equal(finish(&a, NULL), 0);
        assert_true(submit_args_is_k8s_cluster(&a));
        assert_true(a.is_python);
        assert_int_equal(PARSE(&b, NULL, "--master", "yarn", "--deploy-mode", "cluster", "x.R"), 0);
        assert_int_equal(finish(&b, NULL), 0);
        assert_false(submit_args_is_k8s_cluster(&b));
        assert_true(b.is_r);
}

TEST(refuses_heap_sizes_among_java_options) {
        AUTO(submit_args) struct submit_args a;
        AUTO(err) struct err err = ERR_INIT;
        submit_args_init(&a, SPARK_4_1);
        assert_int_equal(PARSE(&a, &err, "--driver-java-options", "-Da=b -Xmx2g", "x.jar"), -EINVAL);
        assert_contains(err_message(&err), "-Da=b -Xmx2g");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(takes_both_forms_of_options),
                cmocka_unit_test(does_not_complete_abbreviations),
                cmocka_unit_test(says_what_is_missing),
                cmocka_unit_test(knows_each_lines_options),
                cmocka_unit_test(lets_the_last_of_option_and_conf_win_where_they_are_one),
                cmocka_unit_test(prefers_options_to_properties_to_environment),
                cmocka_unit_test(checks_numbers),
                cmocka_unit_test(keeps_actions_apart),
                cmocka_unit_test(tells_kubernetes_cluster_mode),
                cmocka_unit_test(refuses_heap_sizes_among_java_options),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
