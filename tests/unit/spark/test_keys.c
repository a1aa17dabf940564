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

static void nearest_is(const char *misspelt, const char *meant) {
        AUTO(free) char *found = spark_key_nearest(SPARK_4_1, misspelt);
        if (!(meant ? found && streq(found, meant) : !found))
                fail_msg("%s: %s is suggested instead of %s", misspelt, found ? found : "nothing", meant ? meant : "nothing");
}

TEST(suggests_the_nearest_key) {
        nearest_is("spark.kubernetes.namespce", "spark.kubernetes.namespace");
        nearest_is("spark.kubernetes.container.images", "spark.kubernetes.container.image");
        nearest_is("spark.Executor.Memory", "spark.executor.memory");
        nearest_is("spark.something.else.entirely", NULL);
        nearest_is("", NULL);
}

TEST(suggests_the_nearest_family_with_the_name_the_user_chose) {
        nearest_is("spark.kubernetes.drver.label.x", "spark.kubernetes.driver.label.x");
        nearest_is("spark.kubernetes.driver.lable.x", "spark.kubernetes.driver.label.x");
        nearest_is("spark.kubernetes.executor.secretKeyReff.X", "spark.kubernetes.executor.secretKeyRef.X");
        nearest_is("spark.kubernetes.executor.secretkeyref.X", "spark.kubernetes.executor.secretKeyRef.X");
        nearest_is("spark.kubernetes.driver.env.PATH", "spark.kubernetes.driverEnv.PATH");
        nearest_is("spark.kubernetes.nodeSelector.disk", "spark.kubernetes.node.selector.disk");
        nearest_is("spark.kubernetes.driver.annotations.example.com/team", "spark.kubernetes.driver.annotation.example.com/team");
        nearest_is("spark.kubernetes.driver.volume.hostPath.data.mount.path", "spark.kubernetes.driver.volumes.hostPath.data.mount.path");
        nearest_is("spark.kubernetes.driver.label.", "spark.kubernetes.driver.label.NAME");
        nearest_is("spark.kubernetes.driver.labels", "spark.kubernetes.driver.label.NAME");
        nearest_is("spark.kubernetes.executor.secrets", "spark.kubernetes.executor.secrets.NAME");
        nearest_is("spark.hadop.fs.s3a.endpoint", "spark.hadoop.fs.s3a.endpoint");
}

TEST(does_not_take_keys_of_others_for_a_family) {
        nearest_is("spark.my.token", NULL);
        nearest_is("spark.kubernetes.driver.x.y", NULL);
        nearest_is("spark.acme.team", NULL);
}

TEST(prefers_a_key_to_the_family_it_belongs_to) {
        nearest_is("spark.kubernetes.autenticate.drver.serviceAccountName", "spark.kubernetes.authenticate.driver.serviceAccountName");
}

TEST(knows_open_families) {
        assert_true(spark_key_has_prefix("spark.kubernetes.driver.label.team"));
        assert_true(spark_key_has_prefix("spark.hadoop.fs.s3a.endpoint"));
        assert_false(spark_key_has_prefix("spark.kubernetes.driver.label."));
        assert_false(spark_key_has_prefix("spark.kubernetes.driver.lable.team"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_the_table_sorted_for_the_search),
                cmocka_unit_test(finds_every_key),
                cmocka_unit_test(tells_the_lines_apart),
                cmocka_unit_test(suggests_the_nearest_key),
                cmocka_unit_test(suggests_the_nearest_family_with_the_name_the_user_chose),
                cmocka_unit_test(does_not_take_keys_of_others_for_a_family),
                cmocka_unit_test(prefers_a_key_to_the_family_it_belongs_to),
                cmocka_unit_test(knows_open_families),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
