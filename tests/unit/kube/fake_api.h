/* An API server of a test's own: an http_server on the same loop, its answers given by the test's handler, every request kept. */
#ifndef FIRESTEEL_TEST_KUBE_FAKE_API_H
#define FIRESTEEL_TEST_KUBE_FAKE_API_H

#include "fixture.h"

#include "kube/client.h"
#include "net/http_server.h"

struct fake_api {
        struct loop *loop;
        struct http_server *server;
        int port;
        struct strv requests;      /* "GET /api/v1/pods?watch=true" */
        struct strv authorization; /* of each, "" when there was none */
        struct strv bodies;
        void (*handler)(struct fake_api *api, struct http_exchange *x, const struct http_request *request);
        int count; /* for handlers that answer by number */
        void *arg;
        char *dir;
        struct kube_access access;
};

static inline void fake_handler(struct http_exchange *x, const struct http_request *request, void *arg) {
        struct fake_api *api = arg;
        const char *authorization = http_headers_get(&request->headers, "Authorization");
        strv_addf(&api->requests, "%s %s", request->method, request->target);
        strv_add(&api->authorization, authorization ? authorization : "");
        strv_add_n(&api->bodies, request->body.data ? request->body.data : "", request->body.len);
        api->count++;
        api->handler(api, x, request);
}

static inline int fake_setup(void **state) {
        int r = make_dir(state);
        if (r < 0)
                return r;
        struct fake_api *api = NEW(struct fake_api);
        api->dir = *state;
        api->loop = loop_new();
        api->server = http_server_new(api->loop, &(struct http_server_options){.handler = fake_handler, .arg = api});
        if (http_server_listen(api->server, "127.0.0.1", 0, &api->port, &test_err_) < 0)
                return -1;
        api->access.server = xasprintf("http://127.0.0.1:%d", api->port);
        api->access.source = xstrdup("the test");
        *state = api;
        return 0;
}

static inline int fake_teardown(void **state) {
        struct fake_api *api = *state;
        http_server_free(api->server);
        loop_free(api->loop);
        strv_done(&api->requests);
        strv_done(&api->authorization);
        strv_done(&api->bodies);
        kube_access_done(&api->access);
        *state = api->dir;
        free(api);
        return drop_dir(state);
}

#define with_api(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

static const struct kube_retry fast_retry_ = {.retries = 3, .first_ms = 1, .max_ms = 4};

static inline struct kube_client *fake_client(struct fake_api *api) {
        struct kube_client *c = NULL;
        ok(kube_client_new(api->loop, &(struct kube_client_options){.access = &api->access, .retry = &fast_retry_}, &c, test_err()));
        return c;
}

static inline void answer(struct http_exchange *x, int status, const char *body) {
        http_respond(x, status, "application/json", sv_of(body));
}

#define STATUS(code, reason, message)                                                                                                      \
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" message "\",\"reason\":\"" reason               \
        "\",\"code\":" #code "}"

#endif
