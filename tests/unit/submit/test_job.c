#include "../kube/fixture.h"

#include "submit/job.h"

/* A machine on which nothing is set; jobs are given it instead of this one's environment. */
static struct submission_inputs nothing_here(void) {
        struct submission_inputs in;
        submission_inputs_init(&in);
        in.cwd = xstrdup("/");
        in.user = xstrdup("me");
        return in;
}

/* Arguments as words; ends with NULL. */
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int finish(struct submit_job *job, const struct submit_job_options *o, const char *const *args, struct err *err) {
        AUTO(submission_inputs) struct submission_inputs seen = nothing_here();
        int n = 0;
        while (args[n])
                n++;
        submit_job_init(job);
        int r = submit_job_begin(job, o, &seen, err);
        if (r >= 0)
                r = submit_args_parse(&job->args, n, (char *const *)args, err);
        return r < 0 ? r : submit_job_finish(job, o, err);
}
static int finish_plain(struct submit_job *job, const char *const *args, struct err *err) {
        return finish(job, &(struct submit_job_options){0}, args, err);
}

static const char kubeconfig[] = "apiVersion: v1\n"
                                 "kind: Config\n"
                                 "current-context: a\n"
                                 "clusters:\n"
                                 "- {name: a, cluster: {server: 'https://one:6443'}}\n"
                                 "- {name: b, cluster: {server: 'https://two:6443'}}\n"
                                 "users:\n"
                                 "- {name: me, user: {token: t}}\n"
                                 "contexts:\n"
                                 "- {name: a, context: {cluster: a, user: me, namespace: jobs}}\n"
                                 "- {name: b, context: {cluster: b, user: me}}\n";

#define IMAGE "--conf", "spark.kubernetes.container.image=apache/spark:4.1.4"
#define MASTER "--master", "k8s://https://h:6443"
#define APP "local:///opt/app.py"

/* ---- begin ---- */

static void a_job_takes_over_what_another_has_seen(void **state) {
        AUTO(submit_job) struct submit_job job;
        AUTO(submission_inputs) struct submission_inputs seen = nothing_here();
        inputs_set_env(&seen, "FIRESTEEL_SPARK_VERSION", "3.5");
        submit_job_init(&job);
        ok(submit_job_begin(&job, &(struct submit_job_options){0}, &seen, test_err()));
        assert_string_equal(job.in.cwd, "/");
        assert_string_equal(job.in.user, "me");
        assert_true(job.in.cwd != seen.cwd); /* and may outlive it */
        assert_true(job.version_known);
        assert_int_equal(job.args.line, SPARK_3_5);
}

static void a_release_that_is_not_supported_is_refused(void **state) {
        AUTO(submit_job) struct submit_job job;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(finish(&job, &(struct submit_job_options){.spark_version = "2.4"}, ARGS(APP), &err), -ENOTSUP);
}

/* ---- finish ---- */

static void cluster_mode_is_the_default(void **state) {
        AUTO(submit_job) struct submit_job job, client;
        ok(finish_plain(&job, ARGS(MASTER, IMAGE, APP), test_err()));
        assert_string_equal(job.args.values[SUBMIT_DEPLOY_MODE], "cluster");
        ok(finish_plain(&client, ARGS(MASTER, IMAGE, "--conf", "spark.submit.deployMode=client", APP), test_err()));
        assert_string_equal(client.args.values[SUBMIT_DEPLOY_MODE], "client");
}

static void the_tag_of_the_image_decides_what_nobody_else_says(void **state) {
        AUTO(submit_job) struct submit_job by_tag, by_option;
        const char *const *args = ARGS(MASTER, "--conf", "spark.kubernetes.container.image=apache/spark:3.5.3", APP);
        ok(finish_plain(&by_tag, args, test_err()));
        assert_string_equal(by_tag.version.number, "3.5.3");
        assert_int_equal(by_tag.args.line, SPARK_3_5);
        ok(finish(&by_option, &(struct submit_job_options){.spark_version = "4.1.1"}, args, test_err()));
        assert_string_equal(by_option.version.number, "4.1.1");
}

static void options_of_the_cluster_are_keys(void **state) {
        AUTO(submit_job) struct submit_job job;
        ok(finish(&job, &(struct submit_job_options){.namespace_ = "n", .context = "c"}, ARGS(IMAGE, APP), test_err()));
        assert_string_equal(map_get(&job.args.properties, "spark.kubernetes.namespace"), "n");
        assert_string_equal(map_get(&job.args.properties, "spark.kubernetes.context"), "c");
}

static void contradictions_are_refused(void **state) {
        static const char *const keys[] = {"spark.kubernetes.namespace=m", "spark.kubernetes.context=m"};
        static const char *const says[] = {"--namespace n and spark.kubernetes.namespace=m", "--context c and spark.kubernetes.context=m"};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                AUTO(submit_job) struct submit_job job;
                AUTO(err) struct err err = ERR_INIT;
                const struct submit_job_options o = {.namespace_ = i == 0 ? "n" : NULL, .context = i == 1 ? "c" : NULL};
                assert_int_equal(finish(&job, &o, ARGS(IMAGE, "--conf", keys[i], APP), &err), -EINVAL);
                assert_non_null(strstr(err_message(&err), says[i]));
        }
        AUTO(submit_job) struct submit_job same;
        ok(finish(&same, &(struct submit_job_options){.namespace_ = "m"}, ARGS(IMAGE, "--conf", keys[0], APP), test_err()));
}

static void misspelt_keys_are_warned_about(void **state) {
        AUTO(submit_job) struct submit_job job;
        ok(finish_plain(&job,
                        ARGS(MASTER, IMAGE, "--conf", "spark.kubernetes.namespce=x", "--conf", "spark.kubernetes.driver.lable.a=b",
                             "--conf", "spark.mine=1", APP),
                        test_err()));
        assert_int_equal(job.warnings.len, 2);
        AUTO(free) char *all = strv_join(&job.warnings, "\n");
        assert_non_null(strstr(all, "spark.kubernetes.namespce is not a key that Spark knows; did you mean spark.kubernetes.namespace?"));
        assert_non_null(strstr(all, "did you mean spark.kubernetes.driver.label.a?"));
}

static void strictly_every_unknown_key_is_refused(void **state) {
        AUTO(submit_job) struct submit_job job, of_41;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(finish(&job, &(struct submit_job_options){.strict = true},
                                ARGS(MASTER, IMAGE, "--conf", "spark.executor.memry=1g", APP), &err),
                         -EINVAL);
        assert_non_null(strstr(err_message(&err), "did you mean spark.executor.memory?"));
        err_clear(&err);
        const struct submit_job_options o = {.strict = true, .spark_version = "3.5.1"};
        assert_int_equal(finish(&of_41, &o, ARGS(MASTER, IMAGE, "--conf", "spark.kubernetes.executor.useDriverPodIP=true", APP), &err),
                         -EINVAL);
        assert_string_equal(err_message(&err), "spark.kubernetes.executor.useDriverPodIP is not a key of Spark 3.5.1");
}

static void quantities_of_processors_are_checked(void **state) {
        static const struct {
                const char *conf;
                bool good;
        } rows[] = {
                {"spark.kubernetes.driver.request.cores=500m", true},
                {"spark.kubernetes.executor.limit.cores=1.5", true},
                {"spark.kubernetes.executor.request.cores=${env:CORES}", true},
                {"spark.kubernetes.driver.limit.cores=two", false},
                {"spark.kubernetes.executor.request.cores=-1", false},
                {"spark.kubernetes.executor.request.cores=1 core", false},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                AUTO(submit_job) struct submit_job job;
                AUTO(err) struct err err = ERR_INIT;
                int r = finish_plain(&job, ARGS(MASTER, IMAGE, "--conf", rows[i].conf, APP), &err);
                if ((r >= 0) != rows[i].good)
                        fail_msg("%s: %d %s", rows[i].conf, r, err_message(&err));
                if (!rows[i].good)
                        assert_true(r == -EINVAL && strstr(err_message(&err), "no quantity of processors") && strstr(err.hint, "500m"));
        }
}

static void warnings_of_a_failed_reading_are_kept(void **state) {
        AUTO(submit_job) struct submit_job job;
        AUTO(err) struct err err = ERR_INIT;
        /* A key that is not Spark's is dropped with a warning; that the class is missing ends it. */
        assert_true(finish_plain(&job, ARGS(MASTER, IMAGE, "--conf", "my.key=1", "--executor-memory", "-1", APP), &err) < 0);
        assert_int_equal(job.warnings.len, 1);
        assert_non_null(strstr(job.warnings.items[0], "my.key"));
}

/* ---- where to ---- */

static void without_master_the_kubeconfig_says_where(void **state) {
        AUTO(free) char *file = write_file(*state, "config", kubeconfig);
        const struct submit_job_options o = {.kubeconfig = file}, other = {.kubeconfig = file, .context = "b"};
        AUTO(submit_job) struct submit_job job, second;
        AUTO(kube_access) struct kube_access access = {0}, second_access = {0};
        ok(finish(&job, &o, ARGS(IMAGE, APP), test_err()));
        ok(submit_job_access(&job, &o, &access, test_err()));
        ok(submit_job_aim(&job, &access, test_err()));
        assert_string_equal(job.args.values[SUBMIT_MASTER], "k8s://https://one:6443");
        assert_string_equal(map_get(&job.args.properties, "spark.kubernetes.namespace"), "jobs");

        ok(finish(&second, &other, ARGS(IMAGE, "--conf", "spark.kubernetes.namespace=mine", APP), test_err()));
        ok(submit_job_access(&second, &other, &second_access, test_err()));
        ok(submit_job_aim(&second, &second_access, test_err()));
        assert_string_equal(second.args.values[SUBMIT_MASTER], "k8s://https://two:6443");
        assert_string_equal(map_get(&second.args.properties, "spark.kubernetes.namespace"), "mine");
}

static void a_master_given_wins(void **state) {
        AUTO(free) char *file = write_file(*state, "config", kubeconfig);
        setenv("KUBECONFIG", file, 1);
        AUTO(submit_job) struct submit_job job;
        AUTO(kube_access) struct kube_access access = {0};
        ok(finish_plain(&job, ARGS(MASTER, IMAGE, APP), test_err()));
        ok(submit_job_access(&job, &(struct submit_job_options){0}, &access, test_err()));
        assert_string_equal(access.server, "https://h:6443");
        ok(submit_job_aim(&job, &access, test_err()));
        assert_false(map_has(&job.args.properties, "spark.kubernetes.namespace"));
        unsetenv("KUBECONFIG");
}

static void other_masters_and_places_that_are_not_there_are_refused(void **state) {
        AUTO(submit_job) struct submit_job local, nowhere, bad;
        AUTO(kube_access) struct kube_access access = {0};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *absent = fs_join(tmp_dir(*state), "absent");
        const struct submit_job_options o = {.kubeconfig = absent};
        ok(finish_plain(&local, ARGS("--master", "spark://h:7077", IMAGE, APP), test_err()));
        assert_int_equal(submit_job_access(&local, &o, &access, &err), -EINVAL);
        assert_string_equal(err_message(&err), "cannot submit to master spark://h:7077");
        assert_non_null(strstr(err.hint, "k8s://"));
        err_clear(&err);
        ok(finish(&nowhere, &o, ARGS(IMAGE, APP), test_err()));
        assert_int_equal(submit_job_access(&nowhere, &o, &access, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), absent));
        err_clear(&err);
        ok(finish_plain(&bad, ARGS("--master", "k8s://ftp://h", IMAGE, APP), test_err()));
        assert_true(submit_job_access(&bad, &o, &access, &err) < 0);
        assert_null(access.server);
}

static char *access_key(const char *const *args) {
        AUTO(submit_job) struct submit_job job;
        ok(finish_plain(&job, args, test_err()));
        return submit_job_access_key(&job);
}
static void compare_keys(const char *const *a, const char *const *b, bool expected) {
        AUTO(free) char *first = access_key(a), *second = access_key(b);
        if (streq(first, second) != expected)
                fail_msg("\"%s\" and \"%s\"", first, second);
}

static void jobs_for_one_place_have_one_key(void **state) {
#define KEY(what) "--conf", what
        compare_keys(ARGS(MASTER, IMAGE, APP), ARGS(MASTER, IMAGE, KEY("spark.app.name=x"), KEY("spark.kubernetes.namespace=n"), APP),
                     true);
        compare_keys(ARGS(MASTER, IMAGE, APP), ARGS("--master", "k8s://https://other", IMAGE, APP), false);
        compare_keys(ARGS(MASTER, IMAGE, APP), ARGS(MASTER, IMAGE, KEY("spark.kubernetes.context=c"), APP), false);
        compare_keys(ARGS(MASTER, IMAGE, APP), ARGS(MASTER, IMAGE, KEY("spark.kubernetes.authenticate.submission.oauthToken=t"), APP),
                     false);
        compare_keys(ARGS(MASTER, IMAGE, APP), ARGS(MASTER, IMAGE, KEY("spark.kubernetes.trust.certificates=true"), APP), false);
        /* Where the kubeconfig decides, its namespace is part of what it says. */
        compare_keys(ARGS(IMAGE, APP), ARGS(IMAGE, KEY("spark.kubernetes.namespace=n"), APP), false);
}

/* ---- build ---- */

static int build(struct submit_job *job, const char *const *args, struct err *err) {
        ok(finish_plain(job, args, test_err()));
        return submit_job_build(job, err);
}

static void a_job_becomes_objects(void **state) {
        AUTO(submit_job) struct submit_job job, again;
        const char *const *args = ARGS(MASTER, IMAGE, "--name", "Pi", "--conf", "spark.hadoop.fs.s3a.secret.key=abc", APP, "10");
        ok(build(&job, args, test_err()));
        assert_string_equal(job.s->namespace_, "default");
        assert_string_equal(job.s->app_name, "Pi");
        assert_true(str_starts(job.s->pod_name, "pi-"));
        assert_true(job.wait && job.interval_ms > 0);
        assert_int_equal(job.warnings.len, 1);
        assert_non_null(strstr(job.warnings.items[0], "spark.hadoop.fs.s3a.secret.key"));
        ok(build(&again, args, test_err()));
        assert_string_not_equal(job.s->app_id, again.s->app_id);
}

static void a_job_reads_the_files_it_names(void **state) {
        AUTO(submit_job) struct submit_job good, broken;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *template =
                write_file(*state, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {labels: {team: x}}\nspec: {containers: []}\n");
        AUTO(free) char *bad = write_file(*state, "bad.yaml", "apiVersion: v1\nkind: [Pod\n");
        AUTO(free) char *conf = xasprintf("spark.kubernetes.driver.podTemplateFile=%s", template),
                        *bad_conf = xasprintf("spark.kubernetes.driver.podTemplateFile=%s", bad);
        ok(build(&good, ARGS(MASTER, IMAGE, KEY(conf), APP), test_err()));
        assert_string_equal(mjson_str_at(good.s->pod, "/metadata/labels/team"), "x");
        assert_true(build(&broken, ARGS(MASTER, IMAGE, KEY(bad_conf), APP), &err) < 0);
        assert_non_null(strstr(err_message(&err), bad));
        assert_null(broken.s);
}

static void what_the_server_would_refuse_is_refused_here(void **state) {
        static const struct {
                const char *conf, *says;
        } rows[] = {
                {"spark.kubernetes.namespace=Not_A_Name", "the namespace \"Not_A_Name\""},
                {"spark.kubernetes.driver.label.team=a b", "team"},
                {"spark.kubernetes.driver.pod.name=UPPER", "UPPER"},
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                AUTO(submit_job) struct submit_job job;
                AUTO(err) struct err err = ERR_INIT;
                int r = build(&job, ARGS(MASTER, IMAGE, "--conf", rows[i].conf, APP), &err);
                if (r >= 0 || !strstr(err_message(&err), rows[i].says))
                        fail_msg("%s: %d %s", rows[i].conf, r, err_message(&err));
        }
}

static void other_modes_are_not_built(void **state) {
        AUTO(submit_job) struct submit_job job;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(build(&job, ARGS(MASTER, IMAGE, "--deploy-mode", "client", APP), &err), -EINVAL);
        assert_string_equal(err_message(&err), "cannot submit in client mode");
        assert_non_null(strstr(err.hint, "cluster and client"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(a_job_takes_over_what_another_has_seen),
                with_dir(a_release_that_is_not_supported_is_refused),
                with_dir(cluster_mode_is_the_default),
                with_dir(the_tag_of_the_image_decides_what_nobody_else_says),
                with_dir(options_of_the_cluster_are_keys),
                with_dir(contradictions_are_refused),
                with_dir(misspelt_keys_are_warned_about),
                with_dir(strictly_every_unknown_key_is_refused),
                with_dir(quantities_of_processors_are_checked),
                with_dir(warnings_of_a_failed_reading_are_kept),
                with_dir(without_master_the_kubeconfig_says_where),
                with_dir(a_master_given_wins),
                with_dir(other_masters_and_places_that_are_not_there_are_refused),
                with_dir(jobs_for_one_place_have_one_key),
                with_dir(a_job_becomes_objects),
                with_dir(a_job_reads_the_files_it_names),
                with_dir(what_the_server_would_refuse_is_refused_here),
                with_dir(other_modes_are_not_built),
        };
        return cmocka_run_group_tests_name("submit/job", tests, NULL, NULL);
}
