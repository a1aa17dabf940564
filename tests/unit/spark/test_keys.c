#include "spark/keys.h"
#include "unit/test.h"

TEST(keeps_the_table_sorted_for_the_search) {
        for (size_t i = 1; i < spark_keys_len; i++)
                if (strcmp(spark_keys[i - 1].name, spark_keys[i].name) >= 0)
                        fail_msg("%s is not before %s", spark_keys[i - 1].name, spark_keys[i].name);
}

TEST(finds_every_key) {
        for (size_t i = 0; i < spark_keys_len; i++)
                assert_ptr_equal(spark_key_find(spark_keys[i].name), &spark_keys[i]);
        assert_null(spark_key_find("spark.kubernetes.driver.pod.nam"));
        assert_null(spark_key_find(""));
}

TEST(tells_the_lines_apart) {
        assert_null(spark_key_in(SPARK_3_5, "spark.kubernetes.executor.useDriverPodIP"));
        assert_non_null(spark_key_in(SPARK_4_1, "spark.kubernetes.executor.useDriverPodIP"));
        assert_non_null(spark_key_in(SPARK_3_5, "spark.kubernetes.pyspark.pythonVersion"));
        assert_null(spark_key_in(SPARK_4_1, "spark.kubernetes.pyspark.pythonVersion"));
        const struct spark_key *k = spark_key_find("spark.kubernetes.allocation.batch.size");
        assert_string_equal(spark_key_default(k, SPARK_3_5), "5");
        assert_string_equal(spark_key_default(k, SPARK_4_1), "10");
}

TEST(suggests_the_nearest_key) {
        assert_string_equal(spark_key_nearest(SPARK_4_1, "spark.kubernetes.namespce"), "spark.kubernetes.namespace");
        assert_string_equal(spark_key_nearest(SPARK_4_1, "spark.kubernetes.container.images"), "spark.kubernetes.container.image");
        assert_string_equal(spark_key_nearest(SPARK_4_1, "spark.Executor.Memory"), "spark.executor.memory");
        assert_null(spark_key_nearest(SPARK_4_1, "spark.something.else.entirely"));
}

TEST(knows_open_families) {
        assert_true(spark_key_has_prefix("spark.kubernetes.driver.label.team"));
        assert_true(spark_key_has_prefix("spark.hadoop.fs.s3a.endpoint"));
        assert_false(spark_key_has_prefix("spark.kubernetes.driver.label."));
        assert_false(spark_key_has_prefix("spark.kubernetes.driver.lable.team"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_the_table_sorted_for_the_search), cmocka_unit_test(finds_every_key), cmocka_unit_test(tells_the_lines_apart),
                cmocka_unit_test(suggests_the_nearest_key),              cmocka_unit_test(knows_open_families),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
