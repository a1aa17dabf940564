#include "fake_api.h"

#include "codec/uri.h"
#include "kobj/meta.h"
#include "kube/informer.h"

/* What the callbacks said, one word each. */
struct seen {
        struct fake_api *api;
        struct str log;
        const char *until; /* stop when the log ends so */
        bool done;
};

static void note(struct seen *s, const char *what, yyjson_val *object) {
        const char *name = meta_name(object);
        str_appendf(&s->log, "%s%s%s ", what, name ? ":" : "", name ? name : "");
        if (s->until && str_ends(str_cstr(&s->log), s->until))
                s->done = true;
}
static void on_add(void *arg, yyjson_val *o) { note(arg, "add", o); }
static void on_update(void *arg, yyjson_val *before, yyjson_val *o) {
        assert_string_not_equal(meta_resource_version(before), meta_resource_version(o));
        note(arg, "update", o);
}
static void on_delete(void *arg, yyjson_val *o) { note(arg, "delete", o); }
static void on_sync(void *arg) { note(arg, "sync", NULL); }
static void on_error(void *arg, const struct err *err) { note(arg, "error", NULL); }

#define POD(name, version) "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

static struct informer *start(struct seen *s, struct kube_client *c) {
        return informer_start(c, &(struct informer_options){
                .resource = &KUBE_PODS,
                .namespace_ = "n",
                .on_add = on_add,
                .on_update = on_update,
                .on_delete = on_delete,
                .on_sync = on_sync,
                .on_error = on_error,
                .arg = s,
        });
}

static void stop_waiting(void *arg) { fail_msg("timed out; so far: %s", str_cstr(&((struct seen *)arg)->log)); }

static void wait_for(struct seen *s, const char *until) {
        s->until = until;
        s->done = str_ends(str_cstr(&s->log), until);
        struct timer *limit = timer_new(s->api->loop, 100000, 0, stop_waiting, s);
        loop_run_until(s->api->loop, &s->done);
        timer_free(limit);
}

/* First watch: three events in odd pieces, a bookmark, then the connection ends; the second resumes at the bookmark. */
static void lists_then_streams(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *watch = request->query ? query_get(request->query, "watch") : NULL;
        AUTO(free) char *version = request->query ? query_get(request->query, "resourceVersion") : NULL;
        if (!watch) {
                answer(x, 200,
                       "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" POD("a", "5") "," POD("b", "6") "]}");
        } else if (streq(version, "10")) {
                http_start(x, 200, "application/json");
                http_write(x, SV(EVENT("ADDED", POD("c", "11")) "{\"type\":\"MODIF"));
                http_write(x, SV("IED\",\"object\":" POD("a", "12") "}\n" EVENT("DELETED", POD("b", "13"))));
                http_write(x, SV(EVENT("BOOKMARK", POD("", "20"))));
                http_finish(x);
        } else if (streq(version, "20")) {
                http_start(x, 200, "application/json");
                http_write(x, SV(EVENT("ADDED", POD("d", "21"))));
        } else {
                fail_msg("watched from %s", version);
        }
}

static void follows_changes_and_resumes_at_the_bookmark(void **state) {
        struct fake_api *api = *state;
        api->handler = lists_then_streams;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {.api = api};
        AUTO(informer) struct informer *i = start(&s, c);
        wait_for(&s, "add:d ");
        assert_string_equal(str_cstr(&s.log), "add:a add:b sync add:c update:a delete:b add:d ");
        assert_int_equal(informer_len(i), 3);
        assert_string_equal(meta_resource_version(informer_get(i, "n", "a")), "12");
        assert_null(informer_get(i, "n", "b"));
        str_done(&s.log);
}

/* The watch answers that its place is too old: by status 410 first, by an ERROR event the second time. */
static void loses_its_place(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *watch = request->query ? query_get(request->query, "watch") : NULL;
        switch (api->count) {
        case 1:
                assert_null(watch);
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" POD("a", "5") "," POD("b", "6") "]}");
                break;
        case 2: answer(x, 410, STATUS(410, "Expired", "too old resource version")); break;
        case 3:
                assert_null(watch);
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"30\"},\"items\":[" POD("a", "5") "," POD("c", "29") "]}");
                break;
        case 4:
                http_start(x, 200, "application/json");
                http_write(x, SV(EVENT("ERROR", STATUS(410, "Expired", "too old"))));
                http_finish(x);
                break;
        case 5:
                assert_null(watch);
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"40\"},\"items\":[" POD("a", "39") "]}");
                break;
        default: http_start(x, 200, "application/json"); break;
        }
}

static void lists_again_when_its_place_is_too_old(void **state) {
        struct fake_api *api = *state;
        api->handler = loses_its_place;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {.api = api};
        AUTO(informer) struct informer *i = start(&s, c);
        wait_for(&s, "delete:c update:a ");
        assert_string_equal(str_cstr(&s.log), "add:a add:b sync delete:b add:c delete:c update:a ");
        str_done(&s.log);
}

static void breaks_in_the_middle(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        AUTO(free) char *watch = request->query ? query_get(request->query, "watch") : NULL;
        if (!watch) {
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
                return;
        }
        if (api->count == 3) {
                answer(x, 503, STATUS(503, "ServiceUnavailable", "restarting"));
                return;
        }
        http_start(x, 200, "application/json");
        if (api->count == 2) {
                http_write(x, SV(EVENT("ADDED", POD("a", "11")) "{\"type\":\"ADD"));
                http_abort(x);
        } else {
                http_write(x, SV(EVENT("ADDED", POD("b", "12"))));
        }
}

static void comes_back_after_a_broken_connection(void **state) {
        struct fake_api *api = *state;
        api->handler = breaks_in_the_middle;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {.api = api};
        AUTO(informer) struct informer *i = start(&s, c);
        wait_for(&s, "add:b ");
        assert_string_equal(str_cstr(&s.log), "sync add:a add:b ");
        assert_non_null(strstr(api->requests.items[3], "resourceVersion=11"));
        str_done(&s.log);
}

static void forbidden(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        if (api->count == 1)
                answer(x, 403, STATUS(403, "Forbidden", "no"));
        else if (!request->query || !strstr(request->query, "watch=true"))
                answer(x, 200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
        else
                http_start(x, 200, "application/json");
}

static void tells_a_refusal_and_keeps_trying(void **state) {
        struct fake_api *api = *state;
        api->handler = forbidden;
        AUTO(kube_client) struct kube_client *c = fake_client(api);
        struct seen s = {.api = api};
        AUTO(informer) struct informer *i = start(&s, c);
        wait_for(&s, "sync ");
        assert_string_equal(str_cstr(&s.log), "error sync ");
        str_done(&s.log);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(follows_changes_and_resumes_at_the_bookmark),
                with_api(lists_again_when_its_place_is_too_old),
                with_api(comes_back_after_a_broken_connection),
                with_api(tells_a_refusal_and_keeps_trying),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
