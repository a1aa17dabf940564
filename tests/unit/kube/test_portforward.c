#include "fake_api.h"

#include "kube/portforward.h"
#include "net/spdy.h"
#include "net/stream.h"

/* The kubelet's side: port 4040 answers each piece in capitals and ends when the client does; other ports are refused. */
struct server {
        struct ws *ws;
        struct spdy *spdy;
};

static struct server server;

static void out(void *arg, struct sv bytes) { ws_send(server.ws, false, bytes); }
static void on_stream(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        bool is_error = streq_null(http_headers_get(headers, "streamtype"), "error");
        bool is_ours = streq_null(http_headers_get(headers, "port"), "4040");
        assert_non_null(http_headers_get(headers, "requestid"));
        spdy_stream_reply(s, NULL);
        if (is_error) {
                if (!is_ours)
                        spdy_stream_write(s, SV("connection refused"));
                spdy_stream_finish(s);
        }
}
static void on_data(void *arg, struct spdy_stream *s, struct sv data) {
        AUTO(free) char *text = sv_dup(data);
        for (char *p = text; *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        *p -= 32;
        spdy_stream_write(s, sv_of(text));
}
static void on_end(void *arg, struct spdy_stream *s) { spdy_stream_finish(s); }
static void on_reset(void *arg, struct spdy_stream *s, int status_) {}
static void on_message(void *arg, bool is_text, struct sv message) { ok(spdy_feed(server.spdy, message, test_err())); }
static void on_close(void *arg, int code, struct sv reason) {}

static void serve(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        assert_true(ws_offers(request, "SPDY/3.1+portforward.k8s.io"));
        server.ws = ws_accept(x, "SPDY/3.1+portforward.k8s.io", 1024 * 1024);
        server.spdy = spdy_new(
                true,
                &(struct spdy_events){.output = out, .on_stream = on_stream, .on_data = on_data, .on_end = on_end, .on_reset = on_reset});
        ws_set_events(server.ws, &(struct ws_events){.on_message = on_message, .on_close = on_close});
}

struct client {
        struct loop *loop;
        struct portforward *forward;
        bool ready, done;
        struct err why;
        struct str got;
        struct stream *stream;
        const char *say;
};

static void on_ready(void *arg) { ((struct client *)arg)->ready = true; }
static void on_forward_end(void *arg, const struct err *err) {
        struct client *c = arg;
        c->ready = c->done = true;
        if (err)
                err_copy(&c->why, err);
}

static void start(struct fake_api *api, struct client *c, struct kube_client *k) {
        c->loop = api->loop;
        c->forward = portforward_start(
                k, &(struct portforward_options){.namespace_ = "n", .pod = "p", .on_ready = on_ready, .on_end = on_forward_end, .arg = c});
        loop_run_until(api->loop, &c->ready);
}

static void stop(struct client *c) {
        portforward_free(c->forward);
        spdy_free(TAKE(server.spdy));
        if (server.ws)
                ws_free(TAKE(server.ws));
        str_done(&c->got);
        err_done(&c->why);
}

static void on_local_data(void *arg, struct sv data) { str_append_sv(&((struct client *)arg)->got, data); }
static void on_local_end(void *arg, const struct err *err) { ((struct client *)arg)->done = true; }
static void on_connected(void *arg, struct stream *s, const struct err *err) {
        struct client *c = arg;
        assert_non_null(s);
        c->stream = s;
        stream_set_events(s, &(struct stream_events){.on_data = on_local_data, .on_end = on_local_end, .arg = c});
        stream_write(s, sv_of(c->say));
        stream_shutdown(s);
}
static void on_listen_error(void *arg, const struct err *err) { err_copy(&((struct client *)arg)->why, err); }

static void a_local_port_leads_to_the_pods(void **state) {
        struct client c = {0};
        struct fake_api *api = *state;
        api->handler = serve;
        AUTO(kube_client) struct kube_client *k = fake_client(api);
        AUTO(portlisten) struct portlisten *listener = NULL;
        int port = 0;
        ok(portlisten_new(api->loop, "127.0.0.1", 0, &listener, &port, test_err()));
        c.say = "hello through the cluster";
        start(api, &c, k);
        portlisten_set(listener, c.forward, 4040);
        (void)stream_connect(api->loop, "127.0.0.1", port, NULL, 120000, on_connected, &c);
        loop_run_until(api->loop, &c.done);
        assert_string_equal(str_cstr(&c.got), "HELLO THROUGH THE CLUSTER");
        stream_free(c.stream);
        portlisten_free(TAKE(listener));
        stop(&c);
}

static void a_port_where_nothing_listens_is_told(void **state) {
        struct client c = {0};
        struct fake_api *api = *state;
        api->handler = serve;
        AUTO(kube_client) struct kube_client *k = fake_client(api);
        AUTO(portlisten) struct portlisten *listener = NULL;
        int port = 0;
        ok(portlisten_new(api->loop, "127.0.0.1", 0, &listener, &port, test_err()));
        portlisten_on_error(listener, on_listen_error, &c);
        c.say = "x";
        start(api, &c, k);
        portlisten_set(listener, c.forward, 9);
        (void)stream_connect(api->loop, "127.0.0.1", port, NULL, 120000, on_connected, &c);
        loop_run_until(api->loop, &c.done);
        assert_string_equal(err_message(&c.why), "port 9: connection refused");
        stream_free(c.stream);
        portlisten_free(TAKE(listener));
        stop(&c);
}

static void connections_wait_for_a_session(void **state) {
        struct client c = {0};
        struct fake_api *api = *state;
        api->handler = serve;
        AUTO(kube_client) struct kube_client *k = fake_client(api);
        AUTO(portlisten) struct portlisten *listener = NULL;
        int port = 0;
        ok(portlisten_new(api->loop, "127.0.0.1", 0, &listener, &port, test_err()));
        c.say = "early";
        (void)stream_connect(api->loop, "127.0.0.1", port, NULL, 120000, on_connected, &c);
        start(api, &c, k);
        portlisten_set(listener, c.forward, 4040);
        loop_run_until(api->loop, &c.done);
        assert_string_equal(str_cstr(&c.got), "EARLY");
        stream_free(c.stream);
        portlisten_free(TAKE(listener));
        stop(&c);
}

static void refuse(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        answer(x, 404, STATUS(404, "NotFound", "no such pod"));
}

static void a_refusal_is_the_servers_own_words(void **state) {
        struct client c = {0};
        struct fake_api *api = *state;
        api->handler = refuse;
        AUTO(kube_client) struct kube_client *k = fake_client(api);
        start(api, &c, k);
        assert_string_equal(err_message(&c.why), "no such pod");
        assert_null(portforward_open(c.forward, 4040, &(struct portforward_events){0}));
        stop(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(a_local_port_leads_to_the_pods),
                with_api(a_port_where_nothing_listens_is_told),
                with_api(connections_wait_for_a_session),
                with_api(a_refusal_is_the_servers_own_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
