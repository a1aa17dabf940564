#include "fake_api.h"

#include "kobj/meta.h"
#include "kube/watch.h"

struct seen {
        struct str log;
        struct kube_watch *watch;
        bool frees_itself;
        bool done;
};

static void on_event(void *arg, enum kube_event_type type, yyjson_val *object) {
        struct seen *s = arg;
        str_appendf(&s->log, "%c:%s ", "AMD"[type], meta_name(object));
        if (s->frees_itself)
                kube_watch_free(TAKE(s->watch));
        s->done = s->frees_itself || str_ends(str_cstr(&s->log), "end ");
}
static void on_error(void *arg, const struct err *err) {
        struct seen *s = arg;
        str_appendf(&s->log, "error:%d ", err->http_status);
        s->done = true;
}

static const char added[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"3\"}}}";
static const char ended[] = "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"end\",\"resourceVersion\":\"4\"}}}";

static void stop_waiting(void *arg) { fail_msg("timed out; so far: %s", str_cstr(&((struct seen *)arg)->log)); }

static void run(struct fake_api *api, struct seen *s) {
        struct timer *limit = timer_new(api->loop, 100000, 0, stop_waiting, s);
        loop_run_until(api->loop, &s->done);
        timer_free(limit);
}

static struct kube_watch *start(struct kube_client *c, struct seen *s, bool websocket) {
        return kube_watch_start(c, &(struct kube_watch_options){
                .resource = &KUBE_PODS,
                .namespace_ = "n",
                .field_selector = "metadata.name=p",
                .websocket = websocket,
                .no_timeout = true,
                .on_event = on_event,
                .on_error = on_error,
                .arg = s,
        });
}

static void over_websocket(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        assert_true(ws_is_upgrade(request));
        struct ws *w = ws_accept(x, NULL, 1024);
        assert_non_null(w);
        if (api->count == 1) {
                ws_send(w, true, sv_of(added));
                ws_close(w, 1000, SV_NULL);
        } else {
                ws_send(w, true, sv_of(ended));
                api->arg = w;
        }
}

static void watches_over_a_websocket_as_spark_does(void **state) {
        struct fake_api *api = *state;
        api->handler = over_websocket;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {0};
        AUTO(kube_watch) struct kube_watch *w = start(c, &s, true);
        run(api, &s);
        assert_string_equal(str_cstr(&s.log), "A:a D:end ");
        assert_string_equal(api->requests.items[0],
                            "GET /api/v1/namespaces/n/pods?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dp&watch=true");
        assert_non_null(strstr(api->requests.items[1], "&resourceVersion=3&"));
        ws_free(api->arg);
        str_done(&s.log);
}

static void plain_only(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (ws_is_upgrade(request)) {
                answer(x, 400, "{}");
                return;
        }
        http_start(x, 200, "application/json");
        http_write(x, sv_of(ended));
        http_write(x, SV("\n"));
}

static void falls_back_to_a_plain_stream(void **state) {
        struct fake_api *api = *state;
        api->handler = plain_only;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {0};
        AUTO(kube_watch) struct kube_watch *w = start(c, &s, true);
        run(api, &s);
        assert_string_equal(str_cstr(&s.log), "D:end ");
        str_done(&s.log);
}

static void refused(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 403, STATUS(403, "Forbidden", "no watch"));
}

static void a_refusal_ends_it(void **state) {
        struct fake_api *api = *state;
        api->handler = refused;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {0};
        AUTO(kube_watch) struct kube_watch *w = start(c, &s, false);
        run(api, &s);
        assert_string_equal(str_cstr(&s.log), "error:403 ");
        assert_int_equal(api->requests.len, 1);
        str_done(&s.log);
}

static void two_events(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *both = xasprintf("%s\n%s\n", added, ended);
        http_start(x, 200, "application/json");
        http_write(x, sv_of(both));
}

static void may_be_freed_in_its_own_callback(void **state) {
        struct fake_api *api = *state;
        api->handler = two_events;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {.frees_itself = true};
        s.watch = start(c, &s, false);
        run(api, &s);
        assert_string_equal(str_cstr(&s.log), "A:a ");
        str_done(&s.log);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(watches_over_a_websocket_as_spark_does),
                with_api(falls_back_to_a_plain_stream),
                with_api(a_refusal_ends_it),
                with_api(may_be_freed_in_its_own_callback),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
