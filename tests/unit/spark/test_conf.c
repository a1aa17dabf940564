#include "spark/conf.h"

#include <stdio.h>

#include "unit/test.h"

static void init(struct spark_conf *c, const char *version) {
        struct spark_version v;
        assert_int_equal(spark_version_parse(sv_of(version), &v, NULL), 0);
        spark_conf_init(c, v);
}

TEST(reads_sizes_in_the_units_of_the_key) {
        AUTO(spark_conf) struct spark_conf c;
        int64_t n;
        init(&c, "4.1");
        assert_int_equal(conf_long(&c, "spark.driver.memory", &n, NULL), 0);
        assert_int_equal(n, 1024); /* the default, 1g */
        static const struct {
                const char *text;
                int64_t mib;
        } cases[] = {{"2g", 2048}, {"2048", 2048}, {"3500000k", 3417}, {"1073741824b", 1024}, {" 5GB ", 5120}, {"1t", 1048576}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                conf_set(&c, "spark.driver.memory", cases[i].text);
                assert_int_equal(conf_long(&c, "spark.driver.memory", &n, NULL), 0);
                assert_int_equal(n, cases[i].mib);
        }
}

TEST(refuses_sizes_that_are_none) {
        static const char *const bad[] = {"", "g", "1.5g", "12x", "1 g", "-1g", "99999999999999999999", "9223372036854775807t"};
        int64_t n = 7;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(spark_parse_bytes(bad[i], SPARK_UNIT_BYTE, &n, NULL), -EINVAL);
        assert_int_equal(n, 7);
}

TEST(reads_times) {
        int64_t n;
        assert_int_equal(spark_parse_time("90s", SPARK_UNIT_MS, &n, NULL), 0);
        assert_int_equal(n, 90000);
        assert_int_equal(spark_parse_time("1500ms", SPARK_UNIT_SECONDS, &n, NULL), 0);
        assert_int_equal(n, 1);
        assert_int_equal(spark_parse_time("-2min", SPARK_UNIT_SECONDS, &n, NULL), 0);
        assert_int_equal(n, -120);
        assert_int_equal(spark_parse_time("7", SPARK_UNIT_SECONDS, &n, NULL), 0);
        assert_int_equal(n, 7);
        assert_int_equal(spark_parse_time("1 fortnight", SPARK_UNIT_MS, &n, NULL), -EINVAL);
}

TEST(words_errors_as_each_line_does) {
        AUTO(spark_conf) struct spark_conf old, new;
        AUTO(err) struct err err = ERR_INIT;
        bool b;
        init(&old, "3.5");
        init(&new, "4.1");
        conf_set(&old, "spark.kubernetes.local.dirs.tmpfs", "maybe");
        conf_set(&new, "spark.kubernetes.local.dirs.tmpfs", "maybe");
        assert_int_equal(conf_bool(&old, "spark.kubernetes.local.dirs.tmpfs", &b, &err), -EINVAL);
        assert_string_equal(err_message(&err), "spark.kubernetes.local.dirs.tmpfs should be boolean, but was maybe");
        assert_int_equal(conf_bool(&new, "spark.kubernetes.local.dirs.tmpfs", &b, &err), -EINVAL);
        assert_string_equal(err_message(&err),
                            "[INVALID_CONF_VALUE.TYPE_MISMATCH] The value 'maybe' in the config \"spark.kubernetes.local.dirs.tmpfs\" is "
                            "invalid. It should be a/an 'boolean' value. SQLSTATE: 22022");
        const char *text;
        conf_set(&old, "spark.kubernetes.container.image.pullPolicy", "Sometimes");
        assert_int_equal(conf_string(&old, "spark.kubernetes.container.image.pullPolicy", &text, &err), -EINVAL);
        assert_string_equal(
                err_message(&err),
                "The value of spark.kubernetes.container.image.pullPolicy should be one of Always, Never, IfNotPresent, but was "
                "Sometimes");
}

TEST(checks_ranges) {
        AUTO(spark_conf) struct spark_conf c;
        AUTO(err) struct err err = ERR_INIT;
        double d;
        init(&c, "3.5");
        conf_set(&c, "spark.driver.memoryOverheadFactor", "0");
        assert_int_equal(conf_double(&c, "spark.driver.memoryOverheadFactor", &d, &err), -EINVAL);
        assert_contains(err_message(&err), "'0.0' in spark.driver.memoryOverheadFactor is invalid.");
}

TEST(substitutes_references) {
        AUTO(spark_conf) struct spark_conf c;
        AUTO(map) struct map env = MAP_INIT(NULL);
        const char *text;
        init(&c, "4.1");
        map_set(&env, "TEAM", (char *)"data");
        c.env = &env;
        conf_set(&c, "spark.a", "x-${spark.b}");
        conf_set(&c, "spark.b", "${env:TEAM}");
        conf_set(&c, "spark.kubernetes.namespace", "${spark.a}-${spark.driver.memory}-${spark.nothing}-${env:NOPE}-$x");
        assert_int_equal(conf_string(&c, "spark.kubernetes.namespace", &text, NULL), 0);
        assert_string_equal(text, "x-data-1g-${spark.nothing}-${env:NOPE}-$x");
        assert_string_equal(conf_get(&c, "spark.a"), "x-${spark.b}"); /* the plain getter does not */
}

TEST(refuses_circular_references) {
        AUTO(spark_conf) struct spark_conf c;
        AUTO(err) struct err err = ERR_INIT;
        const char *text;
        init(&c, "4.1");
        conf_set(&c, "spark.a", "${spark.b}");
        conf_set(&c, "spark.b", "${spark.a}");
        assert_int_equal(conf_string(&c, "spark.a", &text, &err), -EINVAL);
        assert_contains(err_message(&err), "Circular reference");
}

TEST(bounds_what_references_grow_to) {
        AUTO(spark_conf) struct spark_conf c;
        char key[32], value[64];
        const char *text;
        init(&c, "4.1");
        conf_set(&c, "spark.k0", "0123456789abcdef");
        for (int i = 1; i <= 24; i++) {
                snprintf(key, sizeof(key), "spark.k%d", i);
                snprintf(value, sizeof(value), "${spark.k%d}${spark.k%d}", i - 1, i - 1);
                conf_set(&c, key, value);
        }
        assert_int_equal(conf_string(&c, "spark.k24", &text, NULL), -E2BIG);
}

TEST(falls_back_to_older_names_and_other_keys) {
        AUTO(spark_conf) struct spark_conf c;
        const char *text;
        init(&c, "4.1");
        conf_set(&c, "spark.kubernetes.container.image", "general");
        assert_int_equal(conf_string(&c, "spark.kubernetes.driver.container.image", &text, NULL), 0);
        assert_string_equal(text, "general");
        conf_set(&c, "spark.yarn.keytab", "/k");
        assert_string_equal(conf_get(&c, "spark.kerberos.keytab"), "/k");
}

TEST(splits_lists_as_spark_does) {
        AUTO(strv) struct strv v = {0};
        spark_string_to_seq(" a ,,b, ,c d ", &v);
        assert_int_equal(v.len, 3);
        assert_string_equal(v.items[2], "c d");
}

TEST(prints_doubles_as_java_does) {
        static const struct {
                double value;
                const char *text;
        } cases[] = {{0.1, "0.1"},     {1, "1.0"},     {1e-4, "1.0E-4"},       {12345678.9, "1.23456789E7"},
                     {0.001, "0.001"}, {1e7, "1.0E7"}, {9999999, "9999999.0"}, {0, "0.0"}};
        char text[32];
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                java_format_double(cases[i].value, text);
                assert_string_equal(text, cases[i].text);
        }
}

TEST(reads_numbers_as_java_does) {
        int n;
        double d;
        assert_true(java_parse_int("+5", &n) && n == 5);
        assert_true(java_parse_int("-2147483648", &n) && n == -2147483647 - 1);
        assert_false(java_parse_int("2147483648", &n));
        assert_false(java_parse_int(" 5", &n));
        assert_false(java_parse_int("", &n));
        assert_true(java_parse_double(" 1.5f ", &d) && d == 1.5);
        assert_false(java_parse_double("inf", &d));
        assert_false(java_parse_double("0x10", &d));
        assert_false(java_parse_double(".", &d));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_sizes_in_the_units_of_the_key),
                cmocka_unit_test(refuses_sizes_that_are_none),
                cmocka_unit_test(reads_times),
                cmocka_unit_test(words_errors_as_each_line_does),
                cmocka_unit_test(checks_ranges),
                cmocka_unit_test(substitutes_references),
                cmocka_unit_test(refuses_circular_references),
                cmocka_unit_test(bounds_what_references_grow_to),
                cmocka_unit_test(falls_back_to_older_names_and_other_keys),
                cmocka_unit_test(splits_lists_as_spark_does),
                cmocka_unit_test(prints_doubles_as_java_does),
                cmocka_unit_test(reads_numbers_as_java_does),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
