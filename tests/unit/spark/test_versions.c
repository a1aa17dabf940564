#include "spark/versions.h"
#include "unit/test.h"

TEST(knows_releases_of_its_lines) {
        struct spark_version v;
        assert_int_equal(spark_version_parse(SV("4.1.4"), &v, NULL), 0);
        assert_int_equal(v.line, SPARK_4_1);
        assert_string_equal(v.number, "4.1.4");
        assert_int_equal(spark_version_parse(SV("3.5.9-SNAPSHOT"), &v, NULL), 0);
        assert_int_equal(v.line, SPARK_3_5);
        assert_string_equal(v.number, "3.5.9-SNAPSHOT");
}

TEST(takes_a_line_for_its_newest_release) {
        struct spark_version v;
        assert_int_equal(spark_version_parse(SV("3.5"), &v, NULL), 0);
        assert_string_equal(v.number, spark_features(SPARK_3_5)->newest);
}

TEST(refuses_other_lines_and_names_its_own) {
        struct spark_version v;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(spark_version_parse(SV("4.10.0"), &v, &err), -ENOTSUP);
        assert_contains(err_message(&err), "4.10.0");
        assert_contains(err_message(&err), "3.5 and 4.1");
        assert_int_equal(spark_version_parse(SV("2.4.8"), &v, NULL), -ENOTSUP);
        assert_int_equal(spark_version_parse(SV(""), &v, NULL), -ENOTSUP);
}

TEST(reads_image_tags) {
        struct spark_version v;
        assert_true(spark_version_from_image("apache/spark:3.5.1-python3", &v));
        assert_string_equal(v.number, "3.5.1");
        assert_true(spark_version_from_image("host:5000/spark:v4.1.0", &v));
        assert_string_equal(v.number, "4.1.0");
        assert_false(spark_version_from_image("host:5000/spark", &v));
        assert_false(spark_version_from_image("spark:latest", &v));
        assert_false(spark_version_from_image("spark:3.50", &v));
}

TEST(reads_jar_names) {
        struct spark_version v;
        assert_true(spark_version_from_jar("spark-core_2.13-4.1.4.jar", &v));
        assert_string_equal(v.number, "4.1.4");
        assert_false(spark_version_from_jar("spark-sql_2.13-4.1.4.jar", &v));
        assert_false(spark_version_from_jar("spark-core_2.13.jar", &v));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(knows_releases_of_its_lines),
                cmocka_unit_test(takes_a_line_for_its_newest_release),
                cmocka_unit_test(refuses_other_lines_and_names_its_own),
                cmocka_unit_test(reads_image_tags),
                cmocka_unit_test(reads_jar_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
