#include "../kube/fake_api.h"

#include "submit/wait.h"

/* A driver pod that goes through its phases as events of one watch; list and log answer to match. */
#define POD(phase, version, more)                                                                                                          \
        "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"n\",\"name\":\"d\",\"uid\":\"u\",\"resourceVersion\":\"" version                  \
        "\",\"labels\":{"                                                                                                                  \
        "\"spark-app-selector\":\"spark-1\",\"spark-role\":\"driver\"}},\"status\":{\"phase\":\"" phase "\"" more "}}"
#define STARTED                                                                                                                            \
        ",\"containerStatuses\":[{\"name\":\"spark-kubernetes-driver\",\"state\":{\"running\":{\"startedAt\":\"2024-01-01T00:00:00Z\"}}}]"
#define ENDED(code, reason)                                                                                                                \
        ",\"containerStatuses\":[{\"name\":\"spark-kubernetes-driver\",\"state\":{\"terminated\":{\"exitCode\":" #code                     \
        ",\"reason\":\"" reason "\","                                                                                                      \
        "\"startedAt\":\"2024-01-01T00:00:00Z\"}}}]"
#define EXECUTOR                                                                                                                           \
        "{\"metadata\":{\"namespace\":\"n\",\"name\":\"e\",\"resourceVersion\":\"4\",\"labels\":{\"spark-role\":\"executor\"}},\"status\":{\"phase\":\"Running\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

struct run {
        struct str said;
        int states, max_executors;
        struct log_progress last;
        bool interrupted;
        struct loop *loop;
};

static void on_state(void *arg, const struct wait_state *s) {
        struct run *r = arg;
        r->states++;
        if (s->executors_running > r->max_executors)
                r->max_executors = s->executors_running;
        r->last = s->progress;
        if (r->interrupted)
                loop_stop(r->loop);
}
static void say(void *arg, const char *message) {
        struct run *r = arg;
        str_append_sv(&r->said, sv_new(message, strcspn(message, "\n")));
        str_append_c(&r->said, '|');
}

static const char *final_event;

static void life(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (str_ends(request->path, "/log")) {
                http_respond(
                        x, 200, "text/plain",
                        SV("2024-01-01T00:00:01.000000001Z INFO DAGScheduler: Got job 0 (x)\n2024-01-01T00:00:02.000000001Z last words\n"));
        } else if (str_ends(request->path, "/pods/d")) {
                answer(x, 200, api->arg);
        } else if (strstr(request->query, "watch=true")) {
                http_start(x, 200, "application/json");
                http_write(x, SV(EVENT("MODIFIED", POD("Running", "3", STARTED)) EVENT("ADDED", EXECUTOR)));
                http_write(x, sv_of(final_event));
        } else {
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"2\"},\"items\":[" POD("Pending", "1", "") "]}");
        }
}

static int run(struct fake_api *api, struct run *r, struct wait_options o, struct wait_result *result) {
        api->handler = life;
        r->loop = api->loop;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        o.client = c;
        o.namespace_ = "n";
        o.pod = "d";
        o.app_id = "spark-1";
        o.app_name = "pi";
        o.arg = r;
        return wait_for_app(&o, result, test_err());
}

static void a_failure_comes_with_its_reason_and_last_words(void **state) {
        struct fake_api *api = *state;
        final_event = EVENT("MODIFIED", POD("Failed", "5", ENDED(7, "Error")));
        api->arg = (char *)POD("Failed", "5", ENDED(7, "Error"));
        struct run r = {0};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){.on_state = on_state}, &result));
        assert_int_equal(result.outcome, WAIT_FAILED);
        assert_int_equal(result.exit_code, 7);
        assert_string_equal(result.reason, "Error");
        assert_string_equal(result.last_log.items[result.last_log.len - 1], "last words");
        assert_int_equal(r.max_executors, 1);
        assert_true(r.states >= 3);
}

static void success_is_told(void **state) {
        struct fake_api *api = *state;
        final_event = EVENT("MODIFIED", POD("Succeeded", "5", ENDED(0, "Completed")));
        api->arg = (char *)POD("Succeeded", "5", ENDED(0, "Completed"));
        struct run r = {0};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){.on_state = on_state}, &result));
        assert_int_equal(result.outcome, WAIT_SUCCEEDED);
        assert_int_equal(result.exit_code, 0);
}

static void a_deleted_driver_ends_the_wait(void **state) {
        struct fake_api *api = *state;
        final_event = EVENT("DELETED", POD("Running", "5", STARTED));
        api->arg = (char *)POD("Succeeded", "5", "");
        struct run r = {0};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){0}, &result));
        assert_int_equal(result.outcome, WAIT_DELETED);
}

static void the_time_allowed_runs_out(void **state) {
        struct fake_api *api = *state;
        final_event = "";
        api->arg = (char *)POD("Running", "3", STARTED);
        struct run r = {0};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){.timeout_ms = 200}, &result));
        assert_int_equal(result.outcome, WAIT_TIMED_OUT);
}

static void an_interrupt_leaves_it_running(void **state) {
        struct fake_api *api = *state;
        final_event = "";
        api->arg = (char *)POD("Running", "3", STARTED);
        struct run r = {.interrupted = true};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){.on_state = on_state, .interrupted = &r.interrupted}, &result));
        assert_int_equal(result.outcome, WAIT_INTERRUPTED);
        vec_foreach(request, &api->requests) {
                assert_true(str_starts(*request, "GET "));
        }
}

static void spark_style_says_what_spark_says(void **state) {
        struct fake_api *api = *state;
        final_event = EVENT("MODIFIED", POD("Succeeded", "5", ENDED(0, "Completed")));
        api->arg = (char *)POD("Pending", "1", "");
        struct run r = {0};
        AUTO(wait_result) struct wait_result result = {0};
        ok(run(api, &r, (struct wait_options){.spark_style = true, .say = say}, &result));
        assert_int_equal(result.outcome, WAIT_SUCCEEDED);
        assert_true(str_starts(str_cstr(&r.said), "State changed, new state: |State changed, new state: |"));
        assert_true(str_ends(str_cstr(&r.said), "Application status for spark-1 (phase: Succeeded)|Container final statuses:|"
                                                "Application pi with application ID spark-1 and submission ID n:d finished|"));
        assert_string_equal(api->requests.items[0],
                            "GET /api/v1/namespaces/n/pods?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dd&watch=true");
        str_done(&r.said);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(a_failure_comes_with_its_reason_and_last_words),
                with_api(success_is_told),
                with_api(a_deleted_driver_ends_the_wait),
                with_api(the_time_allowed_runs_out),
                with_api(an_interrupt_leaves_it_running),
                with_api(spark_style_says_what_spark_says),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
