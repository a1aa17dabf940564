#include "fake_api.h"

#include "codec/uri.h"
#include "kube/podlog.h"

struct seen {
        struct str log;
        bool done;
        int status;
};

static void on_line(void *arg, struct sv line) {
        struct seen *s = arg;
        str_append_sv(&s->log, line);
        str_append_c(&s->log, '|');
}
static void on_end(void *arg, const struct err *err) {
        struct seen *s = arg;
        s->done = true;
        s->status = err ? err->http_status : 0;
}

static void stop_waiting(void *arg) { fail_msg("timed out; so far: %s", str_cstr(&((struct seen *)arg)->log)); }

static void read_all(struct fake_api *api, const struct podlog_options *options, struct seen *s) {
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct podlog_options o = *options;
        o.namespace_ = "n";
        o.pod = "p";
        o.on_line = on_line;
        o.on_end = on_end;
        o.arg = s;
        struct timer *limit = timer_new(api->loop, 100000, 0, stop_waiting, s);
        AUTO(podlog) struct podlog *p = podlog_start(c, &o);
        loop_run_until(api->loop, &s->done);
        timer_free(limit);
}

static bool is_log(const struct http_request *request) { return str_ends(request->path, "/log"); }

static void whole(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        http_start(x, 200, "text/plain");
        http_write(x, SV("one\ntw"));
        http_write(x, SV("o\r\n\nlast without newline"));
        http_finish(x);
}

static void gives_lines_however_they_are_cut(void **state) {
        struct fake_api *api = *state;
        api->handler = whole;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = 10, .since_seconds = 60, .previous = true, .container = "c"}, &s);
        assert_string_equal(str_cstr(&s.log), "one|two||last without newline|");
        assert_string_equal(api->requests.items[0],
                            "GET /api/v1/namespaces/n/pods/p/log?container=c&previous=true&sinceSeconds=60&tailLines=10");
        str_done(&s.log);
}

#define T(n) "2024-01-01T00:00:0" #n ".000000001Z "

/* The connection breaks after three lines, two of the same instant; the server repeats from the last second on. */
static void broken(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (!is_log(request)) {
                answer(x, 200, "{\"status\":{\"phase\":\"Running\"}}");
                return;
        }
        AUTO(free) char *since = query_get(request->query, "sinceTime");
        http_start(x, 200, "text/plain");
        if (!since) {
                http_write(x, SV(T(1) "a\n" T(2) "b\n" T(2) "b\n" T(2) "half a l"));
                http_abort(x);
                return;
        }
        assert_string_equal(since, "2024-01-01T00:00:02.000000001Z");
        http_write(x, SV(T(1) "a\n" T(2) "b\n" T(2) "b\n" T(2) "half a line\n" T(3) "c\n"));
        http_finish(x);
        api->arg = api; /* ended properly: from now on the pod is over */
}

static void broken_then_over(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (!is_log(request) && api->arg)
                answer(x, 200, "{\"status\":{\"phase\":\"Succeeded\"}}");
        else
                broken(api, x, request);
}

static void no_line_is_lost_or_doubled_by_a_broken_connection(void **state) {
        struct fake_api *api = *state;
        api->handler = broken_then_over;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1, .follow = true}, &s);
        assert_string_equal(str_cstr(&s.log), "a|b|b|half a line|c|");
        str_done(&s.log);
}

static void not_yet(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (!is_log(request))
                answer(x, 200, api->count < 4 ? "{\"status\":{\"phase\":\"Pending\"}}" : "{\"status\":{\"phase\":\"Succeeded\"}}");
        else if (api->count == 1)
                answer(x, 400, STATUS(400, "BadRequest", "container is waiting to start: ContainerCreating"));
        else
                http_respond(x, 200, "text/plain", SV(T(1) "hello\n"));
}

static void a_container_that_has_not_started_is_waited_for(void **state) {
        struct fake_api *api = *state;
        api->handler = not_yet;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1, .follow = true}, &s);
        assert_string_equal(str_cstr(&s.log), "hello|");
        assert_int_equal(s.status, 0);
        str_done(&s.log);
}

/* Between the refusal and the look at the pod the container came and went. */
static void too_quick(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (!is_log(request))
                answer(x, 200, "{\"status\":{\"phase\":\"Succeeded\"}}");
        else if (api->count == 1)
                answer(x, 400, STATUS(400, "BadRequest", "container is waiting to start: ContainerCreating"));
        else
                http_respond(x, 200, "text/plain", SV(T(1) "hello\n"));
}

static void a_container_that_ran_before_its_pod_was_looked_at_is_read(void **state) {
        struct fake_api *api = *state;
        api->handler = too_quick;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1, .follow = true}, &s);
        assert_string_equal(str_cstr(&s.log), "hello|");
        str_done(&s.log);
}

/* The same with a pod that had no node yet. */
static void too_quick_from_nowhere(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (is_log(request) && api->count == 1)
                http_respond(x, 204, "text/plain", SV(""));
        else
                too_quick(api, x, request);
}

static void a_pod_that_got_its_node_and_ran_meanwhile_is_read(void **state) {
        struct fake_api *api = *state;
        api->handler = too_quick_from_nowhere;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1, .follow = true}, &s);
        assert_string_equal(str_cstr(&s.log), "hello|");
        str_done(&s.log);
}

static void never_started(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (is_log(request))
                answer(x, 400, STATUS(400, "BadRequest", "container is waiting to start: ContainerCreating"));
        else
                answer(x, 200, "{\"status\":{\"phase\":\"Failed\"}}");
}

static void a_pod_that_failed_without_having_started_has_no_log(void **state) {
        struct fake_api *api = *state;
        api->handler = never_started;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1, .follow = true}, &s);
        assert_string_equal(str_cstr(&s.log), "");
        assert_int_equal(s.status, 0);
        str_done(&s.log);
}

static void gone(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 404, STATUS(404, "NotFound", "pods \\\"p\\\" not found"));
}

static void no_such_pod_is_an_error(void **state) {
        struct fake_api *api = *state;
        api->handler = gone;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1}, &s);
        assert_int_equal(s.status, 404);
        str_done(&s.log);
}

static void long_line(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        static char text[PODLOG_MAX_LINE + 100000];
        memset(text, 'x', sizeof text);
        http_start(x, 200, "text/plain");
        http_write(x, sv_new(text, sizeof text));
        http_write(x, SV("\nnext\n"));
        http_finish(x);
}

static void a_very_long_line_comes_in_bounded_pieces(void **state) {
        struct fake_api *api = *state;
        api->handler = long_line;
        struct seen s = {0};
        read_all(api, &(struct podlog_options){.tail_lines = -1}, &s);
        assert_true(str_ends(str_cstr(&s.log), "x|next|"));
        size_t pieces = 0;
        for (size_t i = 0; i < s.log.len; i++)
                pieces += s.log.data[i] == '|';
        assert_int_equal(pieces, 3);
        str_done(&s.log);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(gives_lines_however_they_are_cut),
                with_api(no_line_is_lost_or_doubled_by_a_broken_connection),
                with_api(a_container_that_has_not_started_is_waited_for),
                with_api(a_container_that_ran_before_its_pod_was_looked_at_is_read),
                with_api(a_pod_that_got_its_node_and_ran_meanwhile_is_read),
                with_api(a_pod_that_failed_without_having_started_has_no_log),
                with_api(no_such_pod_is_an_error),
                with_api(a_very_long_line_comes_in_bounded_pieces),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
