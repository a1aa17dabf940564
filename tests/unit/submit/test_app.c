#include "../kube/fake_api.h"

#include "submit/app.h"
#include "submit/logscan.h"
#include "submit/podstate.h"
#include "submit/why.h"

#define META(name, id, role, extra)                                                                \
        "\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"u\",\"creationTimestamp\":\"2024-01-02T03:04:05Z\",\"labels\":{" \
        "\"spark-app-selector\":\"" id "\",\"spark-app-name\":\"pi\",\"spark-role\":\"" role "\"" extra "}}"
#define SPEC "\"spec\":{\"containers\":[{\"name\":\"x\",\"resources\":{\"requests\":{\"cpu\":\"1500m\",\"memory\":\"1408Mi\"}}}]}"

static const char pods[] = "{\"items\":["
                           "{" META("pi-driver", "spark-1", "driver", "") "," SPEC ",\"status\":{\"phase\":\"Running\"}},"
                           "{" META("pi-exec-1", "spark-1", "executor", ",\"spark-exec-id\":\"1\"") "," SPEC ",\"status\":{\"phase\":\"Running\"}},"
                           "{" META("pi-exec-2", "spark-1", "executor", ",\"spark-exec-id\":\"2\"") "," SPEC ",\"status\":{\"phase\":\"Pending\"}},"
                           "{" META("pi-exec-3", "spark-1", "executor", ",\"spark-exec-id\":\"3\"") "," SPEC ",\"status\":{\"phase\":\"Failed\"}},"
                           "{" META("lost-exec-1", "spark-2", "executor", ",\"spark-exec-id\":\"1\"") "," SPEC ",\"status\":{\"phase\":\"Running\"}},"
                           "{\"metadata\":{\"name\":\"no-labels\",\"namespace\":\"n\"}},"
                           "5]}";

static void load(const char *text, struct apps *ret) {
        yyjson_doc *doc = NULL;
        ok(json_parse(sv_of(text), &doc, test_err()));
        apps_collect(doc, ret);
}

static const struct spark_app *by_id(const struct apps *apps, const char *id) {
        vec_foreach(app, apps) {
                if (streq(app->id, id))
                        return app;
        }
        fail_msg("no application %s", id);
        return NULL;
}

static void pods_are_grouped_into_applications(void **state) {
        AUTO(apps) struct apps apps = {0};
        load(pods, &apps);
        assert_int_equal(apps.len, 2);
        const struct spark_app *app = by_id(&apps, "spark-1");
        assert_string_equal(app->state, "Running");
        assert_string_equal(app_driver_name(app), "pi-driver");
        assert_int_equal(app->running, 1);
        assert_int_equal(app->pending, 1);
        assert_int_equal(app->failed, 1);
        assert_int_equal(app->cpu_milli, 4500); /* a failed executor holds nothing */
        assert_int_equal(app->memory_bytes, 3LL * 1408 * 1024 * 1024);
        assert_string_equal(by_id(&apps, "spark-2")->state, "Orphaned");
}

static void an_application_is_found_by_any_of_its_names(void **state) {
        AUTO(apps) struct apps apps = {0};
        load(pods, &apps);
        const struct spark_app *app = by_id(&apps, "spark-1");
        assert_true(app_matches(app, "pi-driver") && app_matches(app, "spark-1") && app_matches(app, "pi") && app_matches(app, "p?-dr*"));
        assert_false(app_matches(app, "pi-d") || app_matches(app, "PI") || app_matches(app, ""));
}

static struct pod_reason reason_of(const char *text, yyjson_doc **doc) {
        ok(json_parse(sv_of(text), doc, test_err()));
        return pod_reason_of(yyjson_doc_get_root(*doc));
}

static void a_pod_says_why_it_does_not_run(void **state) {
        static const struct {
                const char *pod, *reason;
                int exit_code;
        } cases[] = {
                {"{\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"Unschedulable\"}]}}",
                 "Unschedulable", -1},
                {"{\"status\":{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]}}",
                 "ImagePullBackOff", -1},
                {"{\"status\":{\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\"}}}]}}",
                 "OOMKilled", 137},
                {"{\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"disk\"}}", "Evicted", -1},
                {"{\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
                 "\"lastState\":{\"terminated\":{\"exitCode\":1}}}]}}",
                 "CrashLoopBackOff", 1},
                {"{\"spec\":{\"containers\":[{\"name\":\"side\"},{\"name\":\"spark-kubernetes-driver\"}]},\"status\":{\"phase\":\"Failed\",\"containerStatuses\":["
                 "{\"name\":\"side\",\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}},"
                 "{\"name\":\"spark-kubernetes-driver\",\"state\":{\"terminated\":{\"exitCode\":7,\"reason\":\"Error\"}}}]}}",
                 "Error", 7},
                {"{\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}}]}}",
                 "ErrImagePull", -1},
                {"{\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"running\":{}}}]}}", NULL, -1},
                {"{}", NULL, -1},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *doc = NULL;
                struct pod_reason r = reason_of(cases[i].pod, &doc);
                if (!streq_null(r.reason, cases[i].reason) || r.exit_code != cases[i].exit_code)
                        fail_msg("%s: %s %d", cases[i].pod, r.reason ? r.reason : "(none)", r.exit_code);
        }
}

/* Lines of a real driver's log (Spark 3.5 and 4.1 write them alike). */
static void the_log_tells_progress(void **state) {
        static const char *const lines[] = {
                "24/01/02 03:04:05 INFO SparkContext: Submitted application: Spark Pi",
                "24/01/02 03:04:05 INFO KubernetesClusterSchedulerBackend$KubernetesDriverEndpoint: Registered executor NettyRpcEndpointRef(spark-client://Executor) (10.0.0.3:1) with ID 1,  ResourceProfileId 0",
                "24/01/02 03:04:06 INFO DAGScheduler: Got job 0 (reduce at SparkPi.scala:38) with 10 output partitions",
                "24/01/02 03:04:06 INFO DAGScheduler: Submitting 10 missing tasks from ResultStage 0 (MapPartitionsRDD[1] at map at SparkPi.scala:34) (first 15 tasks are for partitions Vector(0, 1))",
                "24/01/02 03:04:07 INFO TaskSetManager: Finished task 3.0 in stage 0.0 (TID 3) in 12 ms on 10.0.0.3 (executor 1) (4/10)",
                "24/01/02 03:04:07 WARN TaskSetManager: Lost task 4.0 in stage 0.0 (TID 4) (10.0.0.3 executor 1): java.lang.Exception",
        };
        struct log_progress p = LOG_PROGRESS_INIT;
        for (size_t i = 0; i < ARRAY_LEN(lines); i++)
                assert_true(log_progress_line(&p, sv_of(lines[i])));
        assert_true(p.has_context);
        assert_int_equal(p.executors, 1);
        assert_int_equal(p.jobs_started, 1);
        assert_int_equal(p.stage, 0);
        assert_int_equal(p.tasks_done, 4);
        assert_int_equal(p.tasks, 10);
        assert_int_equal(p.tasks_lost, 1);
        assert_false(log_progress_line(&p, SV("24/01/02 03:04:08 INFO DAGScheduler: Job 0 is finished. Cancelling potential speculative or zombie tasks for this job")));
        assert_true(log_progress_line(&p, SV("24/01/02 03:04:08 INFO DAGScheduler: Job 0 finished: reduce at SparkPi.scala:38, took 1.2 s")));
        assert_int_equal(p.jobs_done, 1);
        assert_false(log_progress_line(&p, SV("Finished task 99999999999999999999.0 in stage 0.0 (TaskSetManager) (5/3)")));
        assert_false(log_progress_line(&p, SV("")));
}

static void memory_is_written_as_kubernetes_users_do(void **state) {
        static const struct {
                int64_t bytes;
                const char *text;
        } cases[] = {{0, "0"}, {1476395008, "1.4Gi"}, {1024, "1Ki"}, {536870912, "512Mi"}, {21474836480, "20Gi"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char text[16];
                memory_text(cases[i].bytes, text);
                assert_string_equal(text, cases[i].text);
        }
}

static void conf_map(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 200, api->arg);
}

static void the_number_of_executors_wanted_is_read_from_the_configuration(void **state) {
        static const struct {
                const char *properties;
                int min, max;
        } cases[] = {
                {"spark.executor.instances=5\\n", 5, 5},
                {"spark.app.name=x\\n", 2, 2},
                {"spark.dynamicAllocation.enabled=true\\nspark.dynamicAllocation.maxExecutors=9\\n", 0, 9},
                {"spark.dynamicAllocation.enabled=true\\nspark.dynamicAllocation.minExecutors=1\\n", 1, INT32_MAX},
        };
        static const char driver[] = "{\"items\":[{" META("d", "spark-1", "driver", "") ",\"spec\":{\"volumes\":[{\"name\":\"spark-conf-volume-driver\","
                                     "\"configMap\":{\"name\":\"cm\"}}]},\"status\":{\"phase\":\"Running\"}}]}";
        struct fake_api *api = *state;
        api->handler = conf_map;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *body = xasprintf("{\"data\":{\"spark.properties\":\"%s\"}}", cases[i].properties);
                api->arg = body;
                AUTO(apps) struct apps apps = {0};
                load(driver, &apps);
                app_load_wanted(c, &apps.items[0]);
                assert_int_equal(apps.items[0].wanted_min, cases[i].min);
                assert_int_equal(apps.items[0].wanted_max, cases[i].max);
        }
        assert_string_equal(api->requests.items[0], "GET /api/v1/namespaces/n/configmaps/cm");
}

static void the_block_is_sparks(void **state) {
        static const char pod[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"uid\":\"u\"},"
                                  "\"spec\":{\"volumes\":[{\"name\":\"v\"}]},\"status\":{\"phase\":\"Pending\",\"containerStatuses\":["
                                  "{\"name\":\"c\",\"image\":\"i\",\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}},{\"name\":\"d\"}]}}";
        AUTO(json) yyjson_doc *doc = NULL;
        ok(json_parse(SV(pod), &doc, test_err()));
        AUTO(str) struct str text = STR_INIT(0);
        podstate_format(yyjson_doc_get_root(doc), &text);
        assert_string_equal(str_cstr(&text), "\n\t pod name: p\n\t namespace: n\n\t labels: a -> 1, b -> 2\n\t pod uid: u\n\t creation time: N/A"
                                             "\n\t service account name: N/A\n\t volumes: v\n\t node name: N/A\n\t start time: N/A\n\t phase: Pending"
                                             "\n\t container status: \n\t\t container name: c\n\t\t container image: i\n\t\t container state: waiting"
                                             "\n\t\t pending reason: ErrImagePull\n\n\n\t\t container name: d\n\t\t container image: N/A\n\t\t container state: N/A");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(pods_are_grouped_into_applications),
                with_dir(an_application_is_found_by_any_of_its_names),
                with_dir(a_pod_says_why_it_does_not_run),
                with_dir(the_log_tells_progress),
                with_dir(memory_is_written_as_kubernetes_users_do),
                with_api(the_number_of_executors_wanted_is_read_from_the_configuration),
                with_dir(the_block_is_sparks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
