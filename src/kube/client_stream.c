#include "kube/client-internal.h"

enum { ERROR_BODY_MAX = 64 * 1024 };

/* ---- answers in pieces ---- */

struct kube_stream {
        struct kube_client *client;
        struct kube_request request;
        struct kube_stream_events events;
        struct http_call *http;
        struct timer *timer;
        struct str error_body; /* of an answer that is not 2xx */
        int status;
        bool waits_for_credentials, wants_refresh, has_refreshed;
};

static void stream_destroy(struct kube_stream *s) {
        if (s->http)
                http_call_cancel(s->http);
        if (s->timer)
                timer_free(s->timer);
        if (s->waits_for_credentials)
                kube_credentials_forget(s->client->credentials, s);
        kube_request_done(&s->request);
        str_done(&s->error_body);
        free(s);
}

void kube_stream_cancel(struct kube_stream *s) {
        if (s)
                stream_destroy(s);
}

void kube_stream_pause(struct kube_stream *s, bool paused) {
        if (s->http)
                http_call_pause(s->http, paused);
}

static void stream_end(struct kube_stream *s, struct err *err) {
        struct kube_stream_events ev = s->events;
        if (err)
                kube_client_explain_(s->client, err);
        stream_destroy(s);
        ev.on_end(ev.arg, err);
}

static void stream_headers(void *arg, const struct http_response *response) {
        struct kube_stream *s = arg;
        s->status = response->status;
        if (s->status >= 200 && s->status < 300 && s->events.on_open)
                s->events.on_open(s->events.arg, response);
}

static void stream_data(void *arg, struct sv data) {
        struct kube_stream *s = arg;
        if (s->status >= 200 && s->status < 300)
                s->events.on_data(s->events.arg, data);
        else
                str_append_sv(&s->error_body, data);
}

static void stream_begin(void *arg);

static void stream_done(void *arg, struct http_response *response, const struct err *cause) {
        struct kube_stream *s = arg;
        s->http = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (cause) {
                (void)kube_client_transport_err_(s->client, cause, &err);
                stream_end(s, &err);
                return;
        }
        int status = response->status;
        if (status == 401 && !s->has_refreshed && kube_credentials_can_refresh(s->client->credentials)) {
                s->has_refreshed = s->wants_refresh = true;
                str_clear(&s->error_body);
                s->timer = timer_new(s->client->loop, 0, 0, stream_begin, s);
                return;
        }
        if (status >= 200 && status < 300) {
                stream_end(s, NULL);
                return;
        }
        (void)kube_status_error(status, s->error_body.len ? str_sv(&s->error_body) : str_sv(&response->body), &err);
        stream_end(s, &err);
}

static void stream_send(void *arg, const struct err *cause) {
        struct kube_stream *s = arg;
        s->waits_for_credentials = false;
        AUTO(err) struct err err = ERR_INIT;
        struct http_client *http = NULL;
        if (cause)
                err_copy(&err, cause);
        if (cause || kube_client_http_(s->client, &http, &err) < 0) {
                stream_end(s, &err);
                return;
        }
        AUTO(http_headers) struct http_headers headers = {0};
        kube_client_headers_(s->client, s->request.accept ? s->request.accept : "application/json", s->request.content_type, &headers);
        AUTO(free) char *url = kube_client_url_(s->client, s->request.path, s->request.query);
        s->http = http_call_start(http, &(struct http_call_options){
                .method = s->request.method,
                .url = url,
                .headers = &headers,
                .timeout_ms = s->request.timeout_ms ? s->request.timeout_ms : -1,
                .on_headers = stream_headers,
                .on_data = stream_data,
                .on_done = stream_done,
                .arg = s,
        });
}

static void stream_begin(void *arg) {
        struct kube_stream *s = arg;
        timer_free(TAKE(s->timer));
        bool refresh = s->wants_refresh;
        s->wants_refresh = false;
        s->waits_for_credentials = true;
        kube_credentials_get(s->client->credentials, refresh, stream_send, s);
}

struct kube_stream *kube_stream_start(struct kube_client *c, const struct kube_request *request, const struct kube_stream_events *events) {
        struct kube_stream *s = NEW(struct kube_stream);
        s->client = c;
        s->request = *request;
        s->request.path = xstrdup(request->path);
        s->request.query = xstrdup_null(request->query);
        s->request.body = STR_INIT(0);
        s->events = *events;
        s->error_body = STR_INIT(ERROR_BODY_MAX);
        s->timer = timer_new(c->loop, 0, 0, stream_begin, s);
        return s;
}

/* ---- WebSockets ---- */

struct kube_ws_connecting {
        struct kube_client *client;
        char *path, *query;
        struct strv protocols;
        size_t max_message;
        void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err);
        void *arg;
        struct timer *timer;
        bool waits_for_credentials, wants_refresh, has_refreshed;
        struct ws_connecting *connecting;
};

static void ws_connecting_free(struct kube_ws_connecting *k) {
        if (k->timer)
                timer_free(k->timer);
        if (k->waits_for_credentials)
                kube_credentials_forget(k->client->credentials, k);
        if (k->connecting)
                ws_connect_cancel(k->connecting);
        free(k->path);
        free(k->query);
        strv_done(&k->protocols);
        free(k);
}

void kube_ws_cancel(struct kube_ws_connecting *k) {
        if (k)
                ws_connecting_free(k);
}

static void ws_finish(struct kube_ws_connecting *k, struct ws *w, const char *protocol, const struct err *err) {
        void (*done)(void *, struct ws *, const char *, const struct err *) = k->done;
        void *arg = k->arg;
        ws_connecting_free(k);
        done(arg, w, protocol, err);
}

static void ws_begin(void *arg);

static void ws_connected(void *arg, struct ws *w, const char *protocol, const struct err *cause) {
        struct kube_ws_connecting *k = arg;
        k->connecting = NULL;
        if (!cause) {
                ws_finish(k, w, protocol, NULL);
                return;
        }
        if (cause->http_status == 401 && !k->has_refreshed && kube_credentials_can_refresh(k->client->credentials)) {
                k->has_refreshed = k->wants_refresh = true;
                k->timer = timer_new(k->client->loop, 0, 0, ws_begin, k);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        if (cause->http_status && cause->details)
                (void)kube_status_error(cause->http_status, sv_of(cause->details), &err);
        else if (cause->http_status)
                err_copy(&err, cause);
        else
                (void)kube_client_transport_err_(k->client, cause, &err);
        kube_client_explain_(k->client, &err);
        ws_finish(k, NULL, NULL, &err);
}

static void ws_send_request(void *arg, const struct err *cause) {
        struct kube_ws_connecting *k = arg;
        k->waits_for_credentials = false;
        AUTO(err) struct err err = ERR_INIT;
        struct http_client *http = NULL;
        if (cause)
                err_copy(&err, cause);
        if (cause || kube_client_http_(k->client, &http, &err) < 0) {
                ws_finish(k, NULL, NULL, &err);
                return;
        }
        AUTO(http_headers) struct http_headers headers = {0};
        kube_client_headers_(k->client, NULL, NULL, &headers);
        AUTO(free) char *url = kube_client_url_(k->client, k->path, k->query);
        k->connecting = ws_connect(http, url, &headers, k->protocols.len ? (const char *const *)k->protocols.items : NULL, k->max_message,
                                   ws_connected, k);
}

static void ws_begin(void *arg) {
        struct kube_ws_connecting *k = arg;
        timer_free(TAKE(k->timer));
        bool refresh = k->wants_refresh;
        k->wants_refresh = false;
        k->waits_for_credentials = true;
        kube_credentials_get(k->client->credentials, refresh, ws_send_request, k);
}

struct kube_ws_connecting *kube_ws_connect(struct kube_client *c, const char *path, const char *query, const char *const *protocols,
                                           size_t max_message,
                                           void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err), void *arg) {
        struct kube_ws_connecting *k = NEW(struct kube_ws_connecting);
        k->client = c;
        k->path = xstrdup(path);
        k->query = xstrdup_null(query);
        for (size_t i = 0; protocols && protocols[i]; i++)
                strv_add(&k->protocols, protocols[i]);
        k->max_message = max_message;
        k->done = done;
        k->arg = arg;
        k->timer = timer_new(c->loop, 0, 0, ws_begin, k);
        return k;
}
