#include "spark/volumes.h"
#include "unit/test.h"

#define P "spark.kubernetes.driver.volumes."

static int parse(const char *version, const char *const *pairs, struct volumes *ret, struct spark_conf *c, struct err *err) {
        struct spark_version v;
        assert_int_equal(spark_version_parse(sv_of(version), &v, NULL), 0);
        spark_conf_init(c, v);
        for (; *pairs; pairs += 2)
                conf_set(c, pairs[0], pairs[1]);
        return volumes_parse(c, P, ret, err);
}
#define PARSE(version, ret, c, err, ...) parse(version, (const char *const[]){__VA_ARGS__, NULL}, ret, c, err)

TEST(reads_each_type) {
        AUTO(volumes) struct volumes v = {0};
        AUTO(spark_conf) struct spark_conf c;
        assert_int_equal(PARSE("4.1", &v, &c, NULL, P "hostPath.h.mount.path", "/h", P "hostPath.h.options.path", "/p",
                               P "hostPath.h.mount.readOnly", "true", P "emptyDir.e.mount.path", "/e", P "emptyDir.e.options.medium",
                               "Memory", P "nfs.n.mount.path", "/n", P "nfs.n.options.path", "/x", P "nfs.n.options.server", "s"),
                         0);
        assert_int_equal(v.list.len, 3);
        assert_int_equal(v.list.items[0].type, VOLUME_HOST_PATH);
        assert_true(v.list.items[0].read_only);
        assert_string_equal(v.list.items[1].medium, "Memory");
        assert_string_equal(v.list.items[2].server, "s");
}

static void check_error(const char *version, const char *const *pairs, const char *message) {
        AUTO(volumes) struct volumes v = {0};
        AUTO(spark_conf) struct spark_conf c;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(parse(version, pairs, &v, &c, &err), -EINVAL);
        assert_contains(err_message(&err), message);
        assert_int_equal(v.list.len, 0);
}
#define ERROR(version, message, ...) check_error(version, (const char *const[]){__VA_ARGS__, NULL}, message)

TEST(names_what_is_missing) {
        ERROR("4.1", "key not found: hostPath.h.mount.path", P "hostPath.h.options.path", "/p");
        ERROR("4.1", "nfs.n.options.server is required for nfs", P "nfs.n.mount.path", "/n", P "nfs.n.options.path", "/x");
        ERROR("4.1", "persistentVolumeClaim.c.options.claimName is required", P "persistentVolumeClaim.c.mount.path", "/c");
}

TEST(refuses_other_types) { ERROR("4.1", "Kubernetes Volume type `configMap` is not supported", P "configMap.c.mount.path", "/c"); }

TEST(checks_sizes_in_4_1_only) {
        AUTO(volumes) struct volumes v = {0};
        AUTO(spark_conf) struct spark_conf c;
        ERROR("4.1", "smaller than 1KiB", P "emptyDir.e.mount.path", "/e", P "emptyDir.e.options.sizeLimit", "500");
        assert_int_equal(PARSE("3.5", &v, &c, NULL, P "emptyDir.e.mount.path", "/e", P "emptyDir.e.options.sizeLimit", "500"), 0);
}

TEST(allows_one_kind_of_sub_path) {
        ERROR("4.1", "mutually exclusive", P "hostPath.h.mount.path", "/h", P "hostPath.h.options.path", "/p", P "hostPath.h.mount.subPath",
              "a", P "hostPath.h.mount.subPathExpr", "b");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_each_type), cmocka_unit_test(names_what_is_missing), cmocka_unit_test(refuses_other_types),
                cmocka_unit_test(checks_sizes_in_4_1_only), cmocka_unit_test(allows_one_kind_of_sub_path),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
