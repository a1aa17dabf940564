#include "history/conf.h"

#include <stdio.h>

#include "base/fs.h"
#include "unit/test.h"

static int set(struct history_conf *c, const char *key, const char *value) {
        AUTO(err) struct err err = ERR_INIT;
        return history_conf_set(c, key, value, &err);
}

static void assert_noted(const struct history_conf *c, const char *part) {
        for (size_t i = 0; i < c->notes.len; i++)
                if (strstr(c->notes.items[i], part))
                        return;
        fail_msg("nothing says \"%s\"", part);
}

TEST(defaults_are_spark_s) {
        AUTO(history_conf) struct history_conf c;
        history_conf_init(&c);
        assert_string_equal(c.log_dir, "file:/tmp/spark-events");
        assert_int_equal(c.update_interval_ms, 10000);
        assert_int_equal(c.port, 18080);
        assert_int_equal(c.end_chunk, 1 << 20);
        assert_int_equal(c.max_age_ms, INT64_C(7) * 24 * 3600 * 1000);
        assert_int_equal(c.clean_interval_ms, INT64_C(24) * 3600 * 1000);
        assert_int_equal(c.max_disk, INT64_C(10) << 30);
        assert_int_equal(c.retained_applications, 50);
        struct eventlog_options o = history_conf_retention(&c);
        assert_true(o.retained_tasks == 100000 && o.retained_jobs == 1000 && o.retained_stages == 1000 &&
                    o.retained_dead_executors == 100 && o.retained_executions == 1000);
        assert_true(c.fast_in_progress && c.on_demand && c.content_type_options && !c.cleaner && !c.acls && !c.tls && !c.is_api_35);
        assert_int_equal(c.notes.len, 0);
}

TEST(values_have_spark_s_units) {
        AUTO(history_conf) struct history_conf c;
        history_conf_init(&c);
        assert_int_equal(set(&c, "spark.history.fs.update.interval", "500ms"), 0);
        assert_int_equal(c.update_interval_ms, 0); /* whole seconds, as Spark counts them */
        assert_int_equal(set(&c, "spark.history.fs.update.interval", "2min"), 0);
        assert_int_equal(c.update_interval_ms, 120000);
        assert_int_equal(set(&c, "spark.history.fs.cleaner.maxAge", "3d"), 0);
        assert_int_equal(c.max_age_ms, INT64_C(3) * 24 * 3600 * 1000);
        assert_int_equal(set(&c, "spark.history.store.maxDiskUsage", "5m"), 0);
        assert_int_equal(c.max_disk, 5 << 20);
        assert_int_equal(set(&c, "spark.history.fs.cleaner.enabled", " TRUE "), 0);
        assert_true(c.cleaner);
}

TEST(malformed_values_are_refused_with_their_key) {
        static const char *const bad[][2] = {
                {"spark.history.fs.update.interval", "soon"}, {"spark.history.ui.port", "x"},
                {"spark.history.ui.port", "99999999999"},     {"spark.history.fs.cleaner.enabled", "yes"},
                {"spark.history.store.maxDiskUsage", "1x"},   {"spark.firesteel.history.apiVersion", "2.4"},
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(history_conf) struct history_conf c;
                AUTO(err) struct err err = ERR_INIT;
                history_conf_init(&c);
                assert_int_equal(history_conf_set(&c, bad[i][0], bad[i][1], &err), -EINVAL);
                assert_contains(err_message(&err), bad[i][0]);
        }
}

TEST(keys_without_effect_are_said) {
        AUTO(history_conf) struct history_conf c;
        history_conf_init(&c);
        assert_int_equal(set(&c, "spark.history.kerberos.enabled", "true"), 0);
        assert_int_equal(set(&c, "spark.history.typo", "1"), 0);
        assert_int_equal(set(&c, "spark.ssl.historyServer.keyStore", "/k"), 0);
        assert_int_equal(set(&c, "spark.ui.filters", "a.Filter"), 0);
        assert_noted(&c, "spark.history.kerberos.enabled has no effect");
        assert_noted(&c, "spark.history.typo is unknown");
        assert_noted(&c, "PEM files");
        assert_noted(&c, "authenticating proxy");
        size_t before = c.notes.len;
        assert_int_equal(set(&c, "spark.executor.memory", "4g"), 0); /* an application's */
        assert_int_equal(set(&c, "spark.history.store.serializer", "PROTOBUF"), 0);
        assert_int_equal(c.notes.len, before);
}

TEST(hadoop_s_keys_lose_their_prefix) {
        AUTO(history_conf) struct history_conf c;
        history_conf_init(&c);
        assert_int_equal(set(&c, "spark.hadoop.fs.s3a.endpoint", "http://minio:9000"), 0);
        assert_string_equal(map_get(&c.hadoop, "fs.s3a.endpoint"), "http://minio:9000");
}

TEST(history_opts_are_read_as_a_shell_would) {
        AUTO(history_conf) struct history_conf c;
        AUTO(err) struct err err = ERR_INIT;
        history_conf_init(&c);
        assert_int_equal(
                history_conf_set_opts(
                        &c, "SPARK_HISTORY_OPTS",
                        "-Xmx4g  -Dspark.history.ui.port=1234 -Dspark.history.ui.title='A title' -Dspark.history.ui.acls.enable=\"true\" "
                        "-Djava.io.tmpdir=/x -Dspark.history.fs.cleaner.maxAge=1d",
                        &err),
                0);
        assert_int_equal(c.port, 1234);
        assert_string_equal(c.title, "A title");
        assert_true(c.acls);
        assert_int_equal(c.max_age_ms, 24 * 3600 * 1000);
        assert_noted(&c, "-Xmx4g is for a JVM");
        assert_int_equal(history_conf_set_opts(&c, "SPARK_HISTORY_OPTS", "-Dspark.history.ui.port=x", &err), -EINVAL);
        assert_contains(err_message(&err), "SPARK_HISTORY_OPTS");
}

TEST(a_properties_file_is_named_in_its_errors) {
        char path[] = "/tmp/test-conf-XXXXXX";
        AUTO(fd) int fd = mkstemp(path);
        AUTO(history_conf) struct history_conf c;
        AUTO(err) struct err err = ERR_INIT;
        history_conf_init(&c);
        assert_true(fd >= 0);
        assert_int_equal(fs_write_atomic(path,
                                         SV("# c\nspark.history.ui.port  4321\nspark.history.fs.logDirectory=s3a://b/p\nother.key x\n"),
                                         0600, &err),
                         0);
        assert_int_equal(history_conf_read(&c, path, &err), 0);
        assert_int_equal(c.port, 4321);
        assert_string_equal(c.log_dir, "s3a://b/p");
        assert_int_equal(fs_write_atomic(path, SV("spark.history.ui.port many\n"), 0600, &err), 0);
        assert_int_equal(history_conf_read(&c, path, &err), -EINVAL);
        assert_contains(err_message(&err), path);
        unlink(path);
        err_clear(&err);
        assert_true(history_conf_read(&c, path, &err) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_are_spark_s),
                cmocka_unit_test(values_have_spark_s_units),
                cmocka_unit_test(malformed_values_are_refused_with_their_key),
                cmocka_unit_test(keys_without_effect_are_said),
                cmocka_unit_test(hadoop_s_keys_lose_their_prefix),
                cmocka_unit_test(history_opts_are_read_as_a_shell_would),
                cmocka_unit_test(a_properties_file_is_named_in_its_errors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
