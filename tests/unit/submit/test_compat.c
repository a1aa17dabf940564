#include "../kube/fake_api.h"

#include "submit/compat.h"

/* Requests and lines as recorded from spark-submit 3.5.9 and 4.1.4. */
static struct str said;
static void say(void *arg, const char *line) {
        str_append_s(&said, line);
        str_append_c(&said, '|');
}

#define POD(name, role) "{\"metadata\":{\"namespace\":\"default\",\"name\":\"" name "\",\"labels\":{\"spark-role\":\"" role "\"}},\"status\":{\"phase\":\"Running\"}}"

static void serve(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (streq(request->method, "GET") && str_ends(request->path, "/pods"))
                answer(x, 200, "{\"kind\":\"PodList\",\"items\":[" POD("job-a", "driver") "," POD("job-b", "driver") "," POD("other", "driver") "]}");
        else if (str_ends(request->path, "/job-a") || str_ends(request->path, "/job-b"))
                answer(x, 200, POD("job-a", "driver"));
        else
                answer(x, 404, STATUS(404, "NotFound", "not found"));
}

static int run(struct fake_api *api, bool kill, bool is_35, const char *id, const char *namespace_, const char *grace) {
        api->handler = serve;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct compat_options o = {.client = c, .is_35 = is_35, .master = "k8s://x", .submission_id = id, .namespace_ = namespace_, .grace_period = grace, .say = say};
        str_done(&said);
        strv_done(&api->requests);
        strv_done(&api->bodies);
        return kill ? compat_kill(&o, test_err()) : compat_status(&o, test_err());
}

static char *requests(struct fake_api *api) { return strv_join(&api->requests, "|"); }

static void expect(struct fake_api *api, const char *wanted) {
        AUTO(free) char *got = requests(api);
        assert_string_equal(got, wanted);
}

static void a_3_5_kills_at_once_and_a_4_1_looks_first(void **state) {
        struct fake_api *api = *state;
        ok(run(api, true, true, "default:job-a", NULL, NULL));
        expect(api, "DELETE /api/v1/namespaces/default/pods/job-a");
        assert_string_equal(str_cstr(&said), "Submitting a request to kill submission default:job-a in k8s://x. Grace period in secs: not set.|");
        ok(run(api, true, false, "default:job-a", NULL, "60"));
        expect(api, "GET /api/v1/namespaces/default/pods/job-a|DELETE /api/v1/namespaces/default/pods/job-a");
        assert_string_equal(api->bodies.items[1], "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\",\"gracePeriodSeconds\":60}");
        assert_string_equal(str_cstr(&said), "Submitting a request to kill submission default:job-a in k8s://x. Grace period in secs: 60|");
}

static void what_is_not_there_is_no_error(void **state) {
        struct fake_api *api = *state;
        ok(run(api, true, true, "default:nope", NULL, NULL));
        assert_null(strstr(str_cstr(&said), "not found"));
        ok(run(api, true, false, "default:nope", NULL, NULL));
        assert_true(str_ends(str_cstr(&said), "|Application not found.|"));
        ok(run(api, false, true, "default:nope", NULL, NULL));
        assert_true(str_ends(str_cstr(&said), "|Application not found.|"));
        ok(run(api, true, false, "default:zzz*", NULL, NULL));
        assert_true(str_ends(str_cstr(&said), "|No applications found.|"));
}

static void a_glob_kills_each_that_begins_so(void **state) {
        struct fake_api *api = *state;
        ok(run(api, true, false, "default:job-*", NULL, NULL));
        expect(api, "GET /api/v1/namespaces/default/pods?labelSelector=spark-role%3Ddriver|DELETE /api/v1/namespaces/default/pods/job-a|"
                    "DELETE /api/v1/namespaces/default/pods/job-b");
        assert_true(str_ends(str_cstr(&said), "|Deleting driver pod: job-a.|Deleting driver pod: job-b.|"));
}

static void without_a_namespace_a_glob_spans_all_and_a_name_fails(void **state) {
        struct fake_api *api = *state;
        ok(run(api, false, false, "job-*", NULL, NULL));
        expect(api, "GET /api/v1/pods?labelSelector=spark-role%3Ddriver");
        assert_int_equal(run(api, false, false, "job-a", NULL, NULL), -EINVAL);
        assert_true(str_starts(err_message(&test_err_), "namespace not specified for an operation requiring one"));
        ok(run(api, false, false, "job-a", "from-context", NULL));
        expect(api, "GET /api/v1/namespaces/from-context/pods/job-a");
}

static int forget_lines(void **state) {
        str_done(&said);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(a_3_5_kills_at_once_and_a_4_1_looks_first),
                with_api(what_is_not_there_is_no_error),
                with_api(a_glob_kills_each_that_begins_so),
                with_api(without_a_namespace_a_glob_spans_all_and_a_name_fails),
        };
        return cmocka_run_group_tests(tests, NULL, forget_lines);
}
