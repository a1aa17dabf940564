#include "../kube/fixture.h"

#include <unistd.h>

#include "base/fs.h"
#include "submit/check.h"
#include "submit/upload.h"

static int check_target(const char *directory, struct err *err) {
        AUTO(submission_uploads) struct submission_uploads uploads = {0};
        *vec_push(&uploads.list) = (struct submission_upload){
                .source = xstrdup("/src/a b.py"), .directory = xstrdup(directory), .target = xasprintf("%s/a b.py", directory)};
        return upload_check(&uploads, err);
}

static void places_it_can_write_to(void **state) {
        static const char *const good[] = {"s3a://bucket/x", "s3://bucket", "file:/tmp/x", "file:///tmp/x", "/tmp/x", "relative/x"};
        for (size_t i = 0; i < ARRAY_LEN(good); i++)
                ok(check_target(good[i], test_err()));
}

static void other_places_name_the_alternatives(void **state) {
        static const char *const bad[] = {"hdfs://nn/x", "gs://bucket/x", "abfss://c@a/x", "oss://b/x"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(err) struct err err = ERR_INIT;
                assert_int_equal(check_target(bad[i], &err), -ENOTSUP);
                assert_non_null(strstr(err.hint, "s3a://BUCKET/PATH"));
        }
}

static int upload_one(const char *source, const char *directory, bool keep, struct err *err) {
        AUTO(loop) struct loop *loop = loop_new();
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(spark_conf) struct spark_conf conf;
        AUTO(submission_uploads) struct submission_uploads uploads = {0};
        submission_inputs_init(&in);
        spark_conf_init(&conf, spark_version_newest());
        *vec_push(&uploads.list) = (struct submission_upload){
                .source = xstrdup(source), .directory = xstrdup(directory), .target = xasprintf("%s/f", directory)};
        const struct upload_options o = {.loop = loop, .conf = &conf, .in = &in, .keep_on_failure = keep};
        int r = upload_run(&uploads, &o, err);
        if (r >= 0 && !keep)
                upload_take_back(&uploads, &o);
        return r;
}

static void copies_and_takes_back(void **state) {
        char dir[] = "/tmp/firesteel-upload-XXXXXX";
        assert_non_null(mkdtemp(dir));
        AUTO(free) char *source = fs_join(dir, "source"), *copy_dir = fs_join(dir, "up");
        AUTO(free) char *copy = fs_join(copy_dir, "f");
        AUTO(str) struct str text = STR_INIT(100);
        ok(fs_write(source, SV("content"), 0600, test_err()));
        ok(upload_one(source, copy_dir, true, test_err()));
        assert_true(fs_read(copy, 100, &text, NULL) >= 0);
        assert_string_equal(str_cstr(&text), "content");
        ok(upload_one(source, copy_dir, false, test_err()));
        assert_false(fs_exists(copy));
        assert_false(fs_exists(copy_dir));
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(upload_one("/nonexistent/x", copy_dir, false, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "Uploading file /nonexistent/x failed"));
        assert_false(fs_exists(copy_dir));
        unlink(source);
        rmdir(dir);
}

static void warn(const char *key, const char *value, bool expected) {
        AUTO(spark_conf) struct spark_conf conf;
        AUTO(strv) struct strv warnings = {0};
        spark_conf_init(&conf, spark_version_newest());
        conf_set(&conf, key, value);
        check_secrets(&conf, "jobs", &warnings);
        if ((warnings.len == 1) != expected)
                fail_msg("%s=%s: %zu warnings", key, value, warnings.len);
        if (expected)
                assert_true(strstr(warnings.items[0], key) && strstr(warnings.items[0], "namespace jobs"));
}

static void secrets_in_the_configuration_are_told(void **state) {
        warn("spark.hadoop.fs.s3a.secret.key", "abc", true);
        warn("spark.hadoop.fs.s3a.access.key", "AKIA", true);
        warn("spark.ssl.keyPassword", "x", true);
        warn("spark.my.token", "x", true);
        warn("spark.kubernetes.driver.secretKeyRef.PASSWORD", "s:k", false);
        warn("spark.kubernetes.driver.secrets.db", "/etc/db", false);
        warn("spark.kubernetes.authenticate.driver.oauthToken", "x", false); /* goes into a Secret */
        warn("spark.hadoop.fs.s3a.aws.credentials.provider", "x", false);
        warn("spark.authenticate.secretBitLength", "256", false);
        warn("spark.authenticate.secret.file", "/x", false);
        warn("spark.hadoop.fs.s3a.secret.key", "", false);
        warn("spark.executor.memory", "1g", false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(places_it_can_write_to),
                cmocka_unit_test(other_places_name_the_alternatives),
                cmocka_unit_test(copies_and_takes_back),
                cmocka_unit_test(secrets_in_the_configuration_are_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
