#include "fake_api.h"

#include "codec/uri.h"
#include "kube/verbs.h"

static void busy_twice_then_fine(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (api->count <= 2)
                answer(x, api->count == 1 ? 429 : 503, STATUS(503, "ServiceUnavailable", "not now"));
        else
                answer(x, 200, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}");
}

static void tries_again_when_the_server_is_busy(void **state) {
        struct fake_api *api = *state;
        api->handler = busy_twice_then_fine;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(json) yyjson_doc *pod = NULL;
        ok(kube_get(c, &KUBE_PODS, "default", "p", &pod, test_err()));
        assert_string_equal(json_str_at(yyjson_doc_get_root(pod), "/metadata/name"), "p");
        assert_int_equal(api->requests.len, 3);
        assert_string_equal(api->requests.items[0], "GET /api/v1/namespaces/default/pods/p");
}

static void always_broken(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 500, STATUS(500, "InternalError", "boom"));
}

static void gives_up_after_the_retries_of_the_policy(void **state) {
        struct fake_api *api = *state;
        api->handler = always_broken;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        int r = kube_get(c, &KUBE_PODS, "default", "p", NULL, test_err());
        assert_int_equal(r, -EREMOTEIO);
        assert_int_equal(api->requests.len, 4);
        assert_int_equal(test_err_.http_status, 500);
        assert_string_equal(test_err_.reason, "InternalError");
        assert_string_equal(err_message(&test_err_), "boom");
}

static void in_a_second(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (api->count == 1) {
                http_set_header(x, "Retry-After", "1");
                answer(x, 429, STATUS(429, "TooManyRequests", "slow down"));
        } else {
                answer(x, 200, "{}");
        }
}

static void waits_as_long_as_it_is_told(void **state) {
        struct fake_api *api = *state;
        api->handler = in_a_second;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        int64_t before = loop_now_ms(api->loop);
        ok(kube_get(c, &KUBE_PODS, NULL, NULL, NULL, test_err()));
        assert_true(loop_now_ms(api->loop) - before >= 990);
}

static int refused_status;
static void refuse(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        static const char forbidden[] = "{\"kind\":\"Status\",\"message\":\"no\",\"reason\":\"Some\",\"details\":{\"kind\":\"pods\"}}";
        answer(x, refused_status, forbidden);
}

static void answers_are_not_tried_again(void **state) {
        static const struct {
                int status, code;
        } cases[] = {{400, -EINVAL}, {401, -EACCES}, {403, -EPERM}, {404, -ENOENT}, {409, -EBUSY}, {410, -ESTALE}, {422, -EINVAL}};
        struct fake_api *api = *state;
        api->handler = refuse;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                refused_status = cases[i].status;
                assert_int_equal(kube_get(c, &KUBE_PODS, "n", "p", NULL, test_err()), cases[i].code);
                assert_int_equal(test_err_.http_status, cases[i].status);
                assert_string_equal(test_err_.details, "{\"kind\":\"pods\"}");
                assert_int_equal(api->requests.len, i + 1);
        }
}

static void want_new_token(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (streq_null(http_headers_get(&request->headers, "Authorization"), "Bearer new"))
                answer(x, 200, "{}");
        else
                answer(x, 401, STATUS(401, "Unauthorized", "Unauthorized"));
}

static void a_replaced_token_file_is_read_again_after_401(void **state) {
        struct fake_api *api = *state;
        api->handler = want_new_token;
        api->access.token_file = write_file(api->dir, "token", "old\n");
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        assert_int_equal(kube_get(c, &KUBE_PODS, "n", "p", NULL, test_err()), -EACCES);
        assert_int_equal(api->requests.len, 2); /* it did try to read another */
        AUTO(free) char *again = write_file(api->dir, "token", "new\n");
        ok(kube_get(c, &KUBE_PODS, "n", "p", NULL, test_err()));
        assert_string_equal(api->authorization.items[2], "Bearer old");
        assert_string_equal(api->authorization.items[3], "Bearer new");
}

static void pages(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *at = request->query ? query_get(request->query, "continue") : NULL;
        if (!at)
                answer(x, 200,
                       "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"x=1\",\"resourceVersion\":\"1\"},\"items\":[{\"a\":1},{\"a\":2}]}");
        else if (streq(at, "x=1"))
                answer(x, 200, "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"y\",\"resourceVersion\":\"1\"},\"items\":[{\"a\":3}]}");
        else
                answer(x, 200, "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":4}]}");
}

static void a_list_comes_whole_from_its_pages(void **state) {
        struct fake_api *api = *state;
        api->handler = pages;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(json) yyjson_doc *list = NULL;
        ok(kube_list(c, &KUBE_PODS, NULL, &(struct kube_list_options){.label_selector = "spark-role=driver"}, &list, test_err()));
        yyjson_val *root = yyjson_doc_get_root(list);
        assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "items")), 4);
        assert_string_equal(json_str_at(root, "/metadata/resourceVersion"), "7");
        assert_string_equal(api->requests.items[0], "GET /api/v1/pods?labelSelector=spark-role%3Ddriver&limit=500");
        assert_string_equal(api->requests.items[1], "GET /api/v1/pods?labelSelector=spark-role%3Ddriver&limit=500&continue=x%3D1");
}

static void pages_that_expire(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *at = request->query ? query_get(request->query, "continue") : NULL;
        AUTO(free) char *limit = request->query ? query_get(request->query, "limit") : NULL;
        if (at)
                answer(x, 410, STATUS(410, "Expired", "too old"));
        else if (limit)
                answer(x, 200, "{\"metadata\":{\"continue\":\"z\"},\"items\":[{\"a\":1}]}");
        else
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{\"a\":1},{\"a\":2}]}");
}

static void a_list_whose_pages_expire_begins_anew_in_one_piece(void **state) {
        struct fake_api *api = *state;
        api->handler = pages_that_expire;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(json) yyjson_doc *list = NULL;
        ok(kube_list(c, &KUBE_PODS, "n", NULL, &list, test_err()));
        assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(list), "items")), 2);
        assert_int_equal(api->requests.len, 3);
}

static void fine(struct fake_api *api, struct http_exchange *x, const struct http_request *request) { answer(x, 200, "{}"); }

static void writes_say_who_wrote(void **state) {
        struct fake_api *api = *state;
        api->handler = fine;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        mjson_set_str(doc, mjson_obj(doc, object, "metadata"), "name", "r");
        ok(kube_apply(c, &KUBE_ROLES, "n", object, NULL, test_err()));
        ok(kube_create(c, &KUBE_PODS, "n", object, NULL, test_err()));
        ok(kube_delete(c, &KUBE_PODS, "n", "p", &(struct kube_delete_options){.grace_seconds = 7, .uid = "u"}, NULL, test_err()));
        ok(kube_delete_collection(c, &KUBE_PODS, "n", &(struct kube_delete_options){.grace_seconds = -1, .label_selector = "a=b"},
                                  test_err()));
        static const char *const wanted[] = {
                "PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/r?fieldManager=firesteel&force=true",
                "POST /api/v1/namespaces/n/pods?fieldManager=firesteel",
                "DELETE /api/v1/namespaces/n/pods/p",
                "DELETE /api/v1/namespaces/n/pods?labelSelector=a%3Db",
        };
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
                assert_string_equal(api->requests.items[i], wanted[i]);
        assert_string_equal(api->bodies.items[2], "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\","
                                                  "\"gracePeriodSeconds\":7,\"preconditions\":{\"uid\":\"u\"}}");
        assert_string_equal(api->bodies.items[3],
                            "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}");
}

static void large(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, "{\"items\":[");
        for (int i = 0; i < 20000; i++)
                str_appendf(&body, "%s{\"n\":%d}", i ? "," : "", i);
        str_append_s(&body, "]}");
        answer(x, 200, str_cstr(&body));
}

static void a_large_answer_is_parsed_beside_the_loop(void **state) {
        struct fake_api *api = *state;
        api->handler = large;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(json) yyjson_doc *doc = NULL;
        ok(kube_get(c, &KUBE_PODS, "n", "p", &doc, test_err()));
        assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "items")), 20000);
}

static void not_json(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        http_respond(x, 200, "text/html", SV("<html>login"));
}

static void says_when_the_answer_is_not_an_api_servers(void **state) {
        struct fake_api *api = *state;
        api->handler = not_json;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        assert_int_equal(kube_get(c, &KUBE_PODS, "n", "p", NULL, test_err()), -EINVAL);
        assert_non_null(strstr(err_message(&test_err_), "answered something that is not JSON"));
}

static void names_the_server_that_cannot_be_reached(void **state) {
        struct fake_api *api = *state;
        free(api->access.server);
        api->access.server = xstrdup("http://127.0.0.1:1");
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        assert_int_equal(kube_get(c, &KUBE_PODS, "n", "p", NULL, test_err()), -ECONNREFUSED);
        assert_non_null(strstr(err_message(&test_err_), "http://127.0.0.1:1 (the test): "));
        assert_non_null(test_err_.hint);
}

static void never(void *arg, struct kube_reply *reply, const struct err *err) { fail_msg("called back after it was cancelled"); }

static void cancel_other(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (api->arg && api->count == 1) { /* the first call is on the wire now */
                kube_call_cancel(api->arg);
                api->arg = NULL;
        }
        answer(x, 200, "{}");
}

static void a_cancelled_call_never_comes_back(void **state) {
        struct fake_api *api = *state;
        api->handler = cancel_other;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        AUTO(kube_request) struct kube_request q = {0};
        kube_make_get(&KUBE_PODS, "n", "p", &q);
        kube_call_cancel(kube_call_start(c, &q, never, NULL)); /* before it began */
        api->arg = kube_call_start(c, &q, never, NULL);
        ok(kube_get(c, &KUBE_PODS, "n", "q", NULL, test_err()));
        ok(kube_get(c, &KUBE_PODS, "n", "r", NULL, test_err()));
        assert_null(api->arg);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(tries_again_when_the_server_is_busy),
                with_api(gives_up_after_the_retries_of_the_policy),
                with_api(waits_as_long_as_it_is_told),
                with_api(answers_are_not_tried_again),
                with_api(a_replaced_token_file_is_read_again_after_401),
                with_api(a_list_comes_whole_from_its_pages),
                with_api(a_list_whose_pages_expire_begins_anew_in_one_piece),
                with_api(writes_say_who_wrote),
                with_api(a_large_answer_is_parsed_beside_the_loop),
                with_api(says_when_the_answer_is_not_an_api_servers),
                with_api(a_cancelled_call_never_comes_back),
                with_api(names_the_server_that_cannot_be_reached),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
