/* The command as its users see it: exit code, standard output, standard error, requests. It runs in a process of its own (this program
 * again, see main), against the API server of the test. */
#include "../kube/fake_api.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cmd.h"

#define AS_PROGRAM "--as-firesteel"

extern char **environ;

struct ran {
        int code; /* 128 + the signal that ended it */
        char *out, *err;
};
static void ran_done(struct ran *r) {
        free(r->out);
        free(r->err);
}
DEFINE_AUTO_VALUE(ran, struct ran, ran_done)

static pid_t running; /* for handlers that interrupt the program */

static void on_end(void *arg) { *(bool *)arg = true; }

/* Runs `firesteel submit WORDS...` and serves it until it ends. The end is seen by a pipe that only it holds. */
static void run(struct fake_api *api, const char *const *words, struct ran *ret) {
        AUTO(free) char *config = NULL, *out = fs_join(api->dir, "out"), *err = fs_join(api->dir, "err");
        AUTO(free) char *text = xasprintf(
                "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- {name: a, cluster: {server: '%s'}}\nusers:\n- {name: me, user: {}}\n"
                "contexts:\n- {name: a, context: {cluster: a, user: me, namespace: 'n'}}\n",
                api->access.server);
        config = write_file(api->dir, "config", text);
        setenv("KUBECONFIG", config, 1);
        const char *argv[32] = {"firesteel", AS_PROGRAM, "submit"};
        size_t n = 3;
        for (size_t i = 0; words[i]; i++) {
                assert_true(n < ARRAY_LEN(argv) - 1);
                argv[n++] = words[i];
        }
        int mark[2], status;
        assert_int_equal(pipe2(mark, O_CLOEXEC), 0);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_addopen(&files, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&files, mark[1], 9);
        int r = posix_spawn(&running, "/proc/self/exe", &files, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&files);
        assert_int_equal(r, 0);
        close(mark[1]);
        bool ended = false;
        struct fdwatch *watch = fdwatch_new(api->loop, mark[0], on_end, &ended);
        loop_run_until(api->loop, &ended);
        fdwatch_free(watch);
        close(mark[0]);
        assert_int_equal(waitpid(running, &status, 0), running);
        ran_done(ret);
        ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        ret->out = read_text(out);
        ret->err = read_text(err);
}
#define RUN(ran, ...) run(api, (const char *const[]){__VA_ARGS__, NULL}, ran)

static void ends_with(const struct ran *r, int code) {
        if (r->code != code)
                fail_msg("exit code %d instead of %d\n%s%s", r->code, code, r->out, r->err);
}
static void says_(const char *text, const char *part) {
        if (!strstr(text, part))
                fail_msg("\"%s\" is not in:\n%s", part, text);
}
static size_t count_requests(const struct fake_api *api, const char *beginning) {
        size_t n = 0;
        vec_foreach(r, &api->requests) n += str_starts(*r, beginning);
        return n;
}

#define IMAGE "-c", "spark.kubernetes.container.image=apache/spark:4.1.4"
#define NAMED "-c", "spark.kubernetes.driver.pod.name=d" /* as the server below has it */
#define APP "local:///opt/app.py"

/* ---- a server whose driver ends as it is told to ---- */

#define POD(phase, version, status)                                                                                                        \
        "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"n\",\"name\":\"d\",\"uid\":\"u\",\"resourceVersion\":\"" version                  \
        "\",\"labels\":{"                                                                                                                  \
        "\"spark-app-selector\":\"spark-1\",\"spark-role\":\"driver\"}},\"status\":{\"phase\":\"" phase                                    \
        "\",\"containerStatuses\":[{\"name\":"                                                                                             \
        "\"spark-kubernetes-driver\",\"state\":{" status "}}]}}"
#define RUNNING POD("Running", "3", "\"running\":{\"startedAt\":\"2024-01-01T00:00:00Z\"}")
#define ENDED(phase, code, reason)                                                                                                         \
        POD(phase, "5", "\"terminated\":{\"exitCode\":" #code ",\"reason\":\"" reason "\",\"startedAt\":\"2024-01-01T00:00:00Z\"}")

static void live(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        bool is_get = streq(request->method, "GET");
        if (is_get && str_ends(request->path, "/log")) {
                http_respond(x, 200, "text/plain",
                             SV("2024-01-01T00:00:01.000000001Z first words\n2024-01-01T00:00:02.000000001Z ValueError: last words\n"));
        } else if (is_get && strstr(request->path, "/events")) {
                answer(x, 200, "{\"items\":[]}");
        } else if (is_get && request->query && strstr(request->query, "watch=true")) {
                http_start(x, 200, "application/json");
                http_write(x, SV("{\"type\":\"MODIFIED\",\"object\":" RUNNING "}\n"));
                if (api->arg) {
                        http_write(x, SV("{\"type\":\"MODIFIED\",\"object\":"));
                        http_write(x, sv_of(api->arg));
                        http_write(x, SV("}\n"));
                } else {
                        kill(running, SIGINT);
                }
        } else if (is_get && str_ends(request->path, "/pods")) {
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"2\"},\"items\":[" RUNNING "]}");
        } else {
                answer(x, is_get ? 200 : 201, api->arg ? api->arg : RUNNING);
        }
}

static void refuse(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (streq(request->method, "POST"))
                answer(x, 403, STATUS(403, "Forbidden", "pods is forbidden: User cannot create resource"));
        else
                answer(x, 200, "{\"metadata\":{\"name\":\"x\",\"uid\":\"u\"}}");
}

/* ---- nothing is sent ---- */

static void wrong_command_lines_are_errors_of_usage(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        AUTO(free) char *batch = write_file(api->dir, "jobs", "");
        RUN(&r, IMAGE);
        ends_with(&r, EXIT_USAGE);
        says_(r.err, "an argument expected");
        RUN(&r, "--nonsense", APP);
        ends_with(&r, EXIT_USAGE);
        says_(r.err, "--nonsense");
        RUN(&r, "--exit-code", "theirs", APP);
        ends_with(&r, EXIT_USAGE);
        RUN(&r, "--batch", batch, "--follow");
        ends_with(&r, EXIT_USAGE);
        says_(r.err, "--follow has no meaning with --batch");
        RUN(&r, "--batch", batch, APP);
        ends_with(&r, EXIT_USAGE);
        RUN(&r, "--batch", batch, "-o", "yaml");
        ends_with(&r, EXIT_USAGE);
        assert_int_equal(api->requests.len, 0);
}

static void what_is_wrong_with_a_job_is_a_failure_before_anything_is_sent(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        AUTO(free) char *absent = fs_join(api->dir, "absent");
        RUN(&r, APP); /* no image */
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "container image");
        RUN(&r, IMAGE, "--strict", "-c", "spark.executor.memry=1g", APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "did you mean spark.executor.memory?");
        RUN(&r, IMAGE, "-n", "a", "-c", "spark.kubernetes.namespace=b", APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "contradict");
        RUN(&r, IMAGE, "--kubeconfig", absent, APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, absent);
        RUN(&r, IMAGE, "--batch", absent);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, absent);
        RUN(&r, IMAGE, "--properties-file", absent, APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, absent);
        assert_string_equal(r.out, "");
        assert_int_equal(api->requests.len, 0);
}

static void a_dry_run_prints_the_objects(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        RUN(&r, IMAGE, "--dry-run", "--name", "Pi", APP, "--conf", "belongs to the application");
        ends_with(&r, EXIT_OK);
        says_(r.out, "kind: Pod");
        says_(r.out, "namespace: \"n\""); /* the context's */
        says_(r.out, "belongs to the application");
        RUN(&r, IMAGE, "--dry-run", "-o", "name", "--name", "Pi", APP);
        assert_true(str_starts(r.out, "pod/pi-"));
        says_(r.out, "\nservices/pi-");
        says_(r.out, "\nconfigmaps/spark-drv-");
        RUN(&r, IMAGE, "--dry-run", "-o", "json", "-c", "spark.kubernetes.drver.label.a=b", APP);
        AUTO(json) yyjson_doc *doc = yyjson_read(r.out, strlen(r.out), 0);
        assert_non_null(doc);
        assert_string_equal(json_get_str(yyjson_doc_get_root(doc), "kind"), "List");
        assert_string_equal(
                r.err,
                "warning: spark.kubernetes.drver.label.a is not a key that Spark knows; did you mean spark.kubernetes.driver.label.a?\n");
        assert_int_equal(api->requests.len, 0);
}

/* ---- submissions ---- */

static void a_submission_prints_its_id(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live;
        RUN(&r, IMAGE, "--no-wait", "--name", "Pi", APP);
        ends_with(&r, EXIT_OK);
        assert_true(str_starts(r.out, "n:pi-") && str_ends(r.out, "-driver\n"));
        says_(r.err, "Submitted Pi");
        assert_int_equal(count_requests(api, "POST /api/v1/namespaces/n/pods"), 1);
        assert_int_equal(count_requests(api, "GET "), 0);
        RUN(&r, IMAGE, "--no-wait", "-q", "-o", "json", "--name", "Pi", APP);
        ends_with(&r, EXIT_OK);
        assert_string_equal(r.err, "");
        AUTO(json) yyjson_doc *doc = yyjson_read(r.out, strlen(r.out), 0);
        yyjson_val *o = yyjson_doc_get_root(doc);
        assert_string_equal(json_get_str(o, "state"), "Submitted");
        assert_string_equal(json_get_str(o, "namespace"), "n");
        assert_true(str_starts(json_get_str(o, "applicationId"), "spark-"));
}

static void spark_decides_about_waiting_too(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live;
        RUN(&r, IMAGE, "-c", "spark.kubernetes.submission.waitAppCompletion=false", APP);
        ends_with(&r, EXIT_OK);
        assert_int_equal(count_requests(api, "GET "), 0);
}

static void success_ends_with_zero(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live;
        api->arg = (char *)ENDED("Succeeded", 0, "Completed");
        RUN(&r, IMAGE, NAMED, "-o", "json", "--name", "Pi", APP);
        ends_with(&r, EXIT_OK);
        says_(r.err, "Pi succeeded");
        says_(r.out, "\"Succeeded\"");
        RUN(&r, IMAGE, NAMED, "-f", APP);
        ends_with(&r, EXIT_OK);
        says_(r.out, "first words\nValueError: last words\n");
}

static void a_failure_ends_with_one_or_as_the_driver_did(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live;
        api->arg = (char *)ENDED("Failed", 7, "Error");
        RUN(&r, IMAGE, NAMED, "--name", "Pi", APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "Pi failed, driver exit code 7");
        says_(r.err, "ValueError: last words");
        says_(r.err, "firesteel logs n:d");
        RUN(&r, IMAGE, NAMED, "--exit-code", "driver", APP);
        ends_with(&r, 7);
}

static void a_time_that_runs_out_is_told_apart(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live;
        api->arg = (char *)RUNNING;
        RUN(&r, IMAGE, NAMED, "--timeout", "100ms", "--name", "Pi", APP);
        ends_with(&r, EXIT_TIMED_OUT);
        says_(r.err, "Pi goes on running");
        assert_int_equal(count_requests(api, "DELETE "), 0);
}

static void an_interrupt_leaves_the_application_running(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = live; /* interrupts when the driver is watched */
        RUN(&r, IMAGE, NAMED, "--name", "Pi", APP);
        ends_with(&r, EXIT_INTERRUPTED);
        says_(r.err, "Pi goes on running");
        says_(r.err, "firesteel kill n:d");
        assert_int_equal(count_requests(api, "DELETE "), 0);
}

static void a_refusal_leaves_nothing_behind(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = refuse;
        RUN(&r, IMAGE, APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "pods is forbidden");
        assert_string_equal(r.out, "");
        assert_int_equal(count_requests(api, "DELETE /api/v1/namespaces/n/services/"), 1);
        assert_int_equal(count_requests(api, "DELETE /api/v1/namespaces/n/configmaps/"), 1);
}

static void interrupt_creation(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (streq(request->method, "POST"))
                kill(running, SIGINT); /* and no answer */
        else
                answer(x, 200, "{\"metadata\":{\"name\":\"x\",\"uid\":\"u\"}}");
}
static void an_interrupt_before_the_pod_is_there_takes_all_back(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        api->handler = interrupt_creation;
        RUN(&r, IMAGE, APP);
        ends_with(&r, EXIT_INTERRUPTED);
        assert_int_equal(count_requests(api, "DELETE /api/v1/namespaces/n/services/"), 1);
        assert_int_equal(count_requests(api, "DELETE /api/v1/namespaces/n/configmaps/"), 1);
}

static void no_server_is_told_once_with_its_address(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        RUN(&r, "--master", "k8s://http://127.0.0.1:1", IMAGE, APP);
        ends_with(&r, EXIT_FAILED);
        says_(r.err, "cannot connect to 127.0.0.1:1");
        assert_null(strstr(r.err, "could not delete")); /* nothing was made */
}

/* ---- batches ---- */

static void a_batch_fails_when_a_line_did(void **state) {
        struct fake_api *api = *state;
        AUTO(ran) struct ran r = {0};
        AUTO(free) char *good = write_file(api->dir, "good", "--name a " APP "\n--name b " APP "\n"),
                        *mixed = write_file(api->dir, "mixed", "--name a " APP "\n--oops\n");
        api->handler = live;
        RUN(&r, IMAGE, "--batch", good, "-o", "name");
        ends_with(&r, EXIT_OK);
        assert_true(str_starts(r.out, "n:a-"));
        says_(r.out, "\nn:b-");
        says_(r.err, "2 submitted, 0 failed");
        RUN(&r, IMAGE, "--batch", mixed, "-o", "json");
        ends_with(&r, EXIT_FAILED);
        says_(r.out, "\"line\":1,\"submissionId\":\"n:a-");
        says_(r.out, "Unrecognized option: --oops");
        says_(r.err, "1 submitted, 1 failed");
        RUN(&r, IMAGE, "--batch", mixed, "-q");
        says_(r.out, "failed: Unrecognized option: --oops");
        assert_string_equal(r.err, "");
}

int main(int argc, char **argv) {
        if (argc > 1 && streq(argv[1], AS_PROGRAM)) {
                argv[1] = argv[0];
                return cmd_main(&cmd_root, argc - 1, argv + 1);
        }
        const struct CMUnitTest tests[] = {
                with_api(wrong_command_lines_are_errors_of_usage),
                with_api(what_is_wrong_with_a_job_is_a_failure_before_anything_is_sent),
                with_api(a_dry_run_prints_the_objects),
                with_api(a_submission_prints_its_id),
                with_api(spark_decides_about_waiting_too),
                with_api(success_ends_with_zero),
                with_api(a_failure_ends_with_one_or_as_the_driver_did),
                with_api(a_time_that_runs_out_is_told_apart),
                with_api(an_interrupt_leaves_the_application_running),
                with_api(a_refusal_leaves_nothing_behind),
                with_api(an_interrupt_before_the_pod_is_there_takes_all_back),
                with_api(no_server_is_told_once_with_its_address),
                with_api(a_batch_fails_when_a_line_did),
        };
        /* What a machine happens to be set to must not decide. */
        static const char *const variables[] = {"SPARK_HOME",    "SPARK_CONF_DIR", "FIRESTEEL_SPARK_VERSION",
                                                "FIRESTEEL_LOG", "http_proxy",     "HTTP_PROXY",
                                                "all_proxy",     "ALL_PROXY"};
        for (size_t i = 0; i < ARRAY_LEN(variables); i++)
                unsetenv(variables[i]);
        setenv("NO_COLOR", "1", 1);
        return cmocka_run_group_tests_name("cli/cmd_submit", tests, NULL, NULL);
}
