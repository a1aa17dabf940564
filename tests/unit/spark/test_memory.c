#include "spark/memory.h"
#include "unit/test.h"

static int64_t total(const char *version, bool jvm, const char *const *pairs, double *ret_factor) {
        AUTO(spark_conf) struct spark_conf c;
        struct spark_version v;
        struct driver_memory m;
        assert_int_equal(spark_version_parse(sv_of(version), &v, NULL), 0);
        spark_conf_init(&c, v);
        for (; pairs && *pairs; pairs += 2)
                conf_set(&c, pairs[0], pairs[1]);
        assert_int_equal(driver_memory(&c, jvm, &m, NULL), 0);
        if (ret_factor)
                *ret_factor = m.factor;
        return m.total_mib;
}
#define TOTAL(version, jvm, ...) total(version, jvm, (const char *const[]){__VA_ARGS__, NULL}, NULL)

TEST(adds_what_spark_adds) {
        assert_int_equal(total("4.1", true, NULL, NULL), 1408);
        assert_int_equal(TOTAL("4.1", true, "spark.driver.memory", "4g", "spark.kubernetes.memoryOverheadFactor", "0.2"), 4915);
        assert_int_equal(TOTAL("4.1", false, "spark.driver.memory", "10g"), 14336);
        assert_int_equal(TOTAL("3.5", true, "spark.driver.memory", "2048", "spark.driver.memoryOverhead", "512"), 2560);
        assert_int_equal(TOTAL("3.5", true, "spark.driver.memory", "10g", "spark.driver.memoryOverheadFactor", "0.15",
                               "spark.kubernetes.memoryOverheadFactor", "0.3"),
                         11776);
}

TEST(knows_the_least_overhead_of_each_line) {
        assert_int_equal(TOTAL("4.1", true, "spark.driver.minMemoryOverhead", "1g"), 2048);
        assert_int_equal(TOTAL("3.5", true, "spark.driver.minMemoryOverhead", "1g"), 1408);
}

TEST(reports_the_general_factor) {
        double factor;
        const char *pairs[] = {"spark.driver.memoryOverheadFactor", "0.9", NULL};
        total("4.1", true, pairs, &factor);
        assert_true(factor == 0.1);
        total("4.1", false, pairs, &factor);
        assert_true(factor == 0.4);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(adds_what_spark_adds), cmocka_unit_test(knows_the_least_overhead_of_each_line),
                                           cmocka_unit_test(reports_the_general_factor)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
