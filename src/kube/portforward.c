#include "kube/portforward.h"

#include "kube/verbs.h"
#include "net/spdy.h"

enum { MAX_MESSAGE = 1024 * 1024, MAX_ERROR = 16 * 1024 };

struct portforward {
        struct portforward_options o;
        struct kube_ws_connecting *connecting;
        struct ws *ws;
        struct spdy *spdy;
        VEC(struct portforward_conn *) conns;
        int requests;
        int paused; /* connections that cannot take more */
        bool is_over;
};

struct portforward_conn {
        struct portforward *owner; /* NULL: the session ended */
        struct spdy_stream *data, *error;
        struct portforward_events ev;
        struct str error_text;
        int port;
        bool has_ended, has_failed, is_paused;
};

/* ---- connections ---- */

void portforward_pause(struct portforward_conn *c, bool paused) {
        struct portforward *f = c->owner;
        if (!f || c->is_paused == paused)
                return;
        c->is_paused = paused;
        f->paused += paused ? 1 : -1;
        ws_pause(f->ws, f->paused > 0);
}

static void forget(struct portforward_conn *c) {
        struct portforward *f = c->owner;
        portforward_pause(c, false);
        for (size_t i = 0; f && i < f->conns.len; i++) {
                if (f->conns.items[i] == c) {
                        vec_remove(&f->conns, i);
                        break;
                }
        }
        c->owner = NULL;
}

static void fail(struct portforward_conn *c, int code, const char *fmt, ...) PRINTF(3, 4);
static void fail(struct portforward_conn *c, int code, const char *fmt, ...) {
        if (c->has_failed)
                return;
        c->has_failed = true;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        AUTO(err) struct err err = ERR_INIT;
        (void)err_set(&err, code, "%s", text);
        c->ev.on_error(c->ev.arg, &err);
}

struct portforward_conn *portforward_open(struct portforward *f, int port, const struct portforward_events *ev) {
        if (!f->spdy || f->is_over)
                return NULL;
        AUTO(http_headers) struct http_headers headers = {0}, data_headers = {0};
        struct http_headers *both[] = {&headers, &data_headers};
        for (size_t i = 0; i < ARRAY_LEN(both); i++) {
                http_headers_add(both[i], "streamtype", i ? "data" : "error");
                http_headers_addf(both[i], "port", "%d", port);
                http_headers_addf(both[i], "requestid", "%d", f->requests);
        }
        struct spdy_stream *error = spdy_stream_open(f->spdy, &headers, true);
        struct spdy_stream *data = error ? spdy_stream_open(f->spdy, &data_headers, false) : NULL;
        if (!data) {
                if (error)
                        spdy_stream_reset(error, SPDY_RST_CANCEL);
                return NULL;
        }
        f->requests++;
        struct portforward_conn *c = NEW(struct portforward_conn);
        *c = (struct portforward_conn){
                .owner = f, .data = data, .error = error, .ev = *ev, .port = port, .error_text = STR_INIT(MAX_ERROR)};
        spdy_stream_set_data(data, c);
        spdy_stream_set_data(error, c);
        *vec_push(&f->conns) = c;
        return c;
}

void portforward_write(struct portforward_conn *c, struct sv data) {
        if (c->data)
                spdy_stream_write(c->data, data);
}

size_t portforward_pending(const struct portforward_conn *c) {
        return c->data && c->owner ? spdy_stream_pending(c->data) + ws_pending(c->owner->ws) : 0;
}

void portforward_finish(struct portforward_conn *c) {
        if (c->data)
                spdy_stream_finish(c->data);
}

void portforward_close(struct portforward_conn *c) {
        if (!c)
                return;
        struct spdy_stream *streams[] = {c->data, c->error};
        for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
                if (!streams[i])
                        continue;
                spdy_stream_set_data(streams[i], NULL);
                spdy_stream_reset(streams[i], SPDY_RST_CANCEL);
        }
        forget(c);
        str_done(&c->error_text);
        free(c);
}

/* ---- the session ---- */

static void on_spdy_output(void *arg, struct sv bytes) {
        struct portforward *f = arg;
        if (f->ws)
                ws_send(f->ws, false, bytes);
}

static void on_spdy_data(void *arg, struct spdy_stream *s, struct sv data) {
        struct portforward_conn *c = spdy_stream_data(s);
        if (!c)
                return;
        if (s == c->error) {
                size_t room = MAX_ERROR - c->error_text.len;
                str_append(&c->error_text, data.data, data.len < room ? data.len : room);
        } else if (!c->has_failed) {
                c->ev.on_data(c->ev.arg, data);
        }
}

static void on_spdy_end(void *arg, struct spdy_stream *s) {
        struct portforward_conn *c = spdy_stream_data(s);
        if (!c)
                return;
        if (s == c->error) {
                c->error = NULL; /* both sides have ended it */
                if (c->error_text.len > 0)
                        fail(c, -ECONNREFUSED, "port %d: %.*s", c->port, SV_ARG(sv_trim(str_sv(&c->error_text))));
        } else if (!c->has_ended && !c->has_failed) {
                c->has_ended = true;
                c->ev.on_end(c->ev.arg);
        }
}

static void on_spdy_reset(void *arg, struct spdy_stream *s, int status) {
        struct portforward_conn *c = spdy_stream_data(s);
        if (!c)
                return;
        bool is_data = s == c->data;
        if (is_data)
                c->data = NULL;
        else
                c->error = NULL;
        if (is_data && c->error_text.len > 0)
                fail(c, -ECONNREFUSED, "port %d: %.*s", c->port, SV_ARG(sv_trim(str_sv(&c->error_text))));
        else if (is_data)
                fail(c, -ECONNRESET, "port %d: the connection was reset (%d)", c->port, status);
}

static void end(struct portforward *f, const struct err *err) {
        if (f->is_over)
                return;
        f->is_over = true;
        while (f->conns.len > 0) {
                struct portforward_conn *c = f->conns.items[f->conns.len - 1];
                forget(c);
                c->data = c->error = NULL;
                fail(c, -ECONNRESET, "port %d: the connection to the cluster ended", c->port);
        }
        f->o.on_end(f->o.arg, err);
}

static void on_message(void *arg, bool is_text, struct sv message) {
        struct portforward *f = arg;
        AUTO(err) struct err err = ERR_INIT;
        if (!f->is_over && spdy_feed(f->spdy, message, &err) < 0)
                end(f, &err);
}

static void on_close(void *arg, int code, struct sv reason) {
        AUTO(err) struct err err = ERR_INIT;
        (void)err_set(&err, -ECONNRESET, "the connection to the cluster ended (WebSocket code %d%s%.*s)", code, reason.len ? ": " : "",
                      SV_ARG(reason));
        end(arg, code == 1000 ? NULL : &err);
}

static void on_drain(void *arg) {
        struct portforward *f = arg;
        for (size_t i = f->conns.len; i-- > 0;) { /* backwards: a callback may close its own connection */
                struct portforward_conn *c = f->conns.items[i];
                if (c->ev.on_drain)
                        c->ev.on_drain(c->ev.arg);
        }
}

static void on_connected(void *arg, struct ws *w, const char *protocol, const struct err *cause) {
        struct portforward *f = arg;
        f->connecting = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (!cause && !protocol) {
                ws_free(w);
                (void)err_set(&err, -EPROTO, "the server does not forward ports over WebSockets (Kubernetes 1.30 or later does)");
                cause = &err;
        }
        if (cause) {
                end(f, cause);
                return;
        }
        f->ws = w;
        f->spdy = spdy_new(false, &(struct spdy_events){
                .output = on_spdy_output,
                .on_data = on_spdy_data,
                .on_end = on_spdy_end,
                .on_reset = on_spdy_reset,
                .arg = f,
        });
        ws_set_events(w, &(struct ws_events){.on_message = on_message, .on_close = on_close, .on_drain = on_drain, .arg = f});
        f->o.on_ready(f->o.arg);
}

struct portforward *portforward_start(struct kube_client *c, const struct portforward_options *o) {
        static const char *const protocols[] = {"SPDY/3.1+portforward.k8s.io", NULL};
        struct portforward *f = NEW(struct portforward);
        f->o = *o;
        AUTO(free) char *path = kube_path(&KUBE_PODS, o->namespace_, o->pod, "portforward");
        f->connecting = kube_ws_connect(c, path, NULL, protocols, MAX_MESSAGE, on_connected, f);
        return f;
}

void portforward_free(struct portforward *f) {
        if (!f)
                return;
        kube_ws_cancel(f->connecting);
        vec_foreach(c, &f->conns) {
                (*c)->owner = NULL;
                (*c)->data = (*c)->error = NULL;
        }
        vec_done(&f->conns);
        spdy_free(f->spdy);
        if (f->ws)
                ws_free(f->ws);
        free(f);
}
