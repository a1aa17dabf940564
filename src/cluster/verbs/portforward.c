/* portforward: SPDY/3.1 frames inside a WebSocket (kubectl since 1.31) or on the bare connection (before).
 *
 * A forwarded connection is a pair of SPDY streams with the same requestid: `error` carries a message to the client, `data` the bytes. */
#include "cluster/verbs/podstreams.h"
#include "net/spdy.h"
#include "net/ws.h"

#define WS_PROTOCOL "SPDY/3.1+portforward.k8s.io"
enum { MAX_MESSAGE = 1024 * 1024 };

struct forward;

struct connection {
        struct forward *f;
        struct connection *next;
        char *id;
        int port;
        struct spdy_stream *error, *data; /* NULL once gone */
        bool data_ended, data_finished;   /* by the client; by us */
        bool error_ended, error_finished;
        bool dialing;
        struct stream *pod; /* NULL until connected */
        struct str early;   /* what the client wrote before that */
};

struct forward {
        struct session session;
        struct ws *ws;
        struct stream *raw;
        struct spdy *spdy;
        struct object *target;
        struct connection *connections;
        unsigned dials; /* under way: the memory stays until they have answered */
        bool ended, paused;
};

/* Streams end in four steps in any order; these keep the pointers honest. */

static void forget_data(struct connection *c) {
        if (c->data_ended && c->data_finished)
                c->data = NULL;
}
static void forget_error(struct connection *c) {
        if (c->error_ended && c->error_finished)
                c->error = NULL;
}

static void finish_data(struct connection *c) {
        if (!c->data || c->data_finished)
                return;
        c->data_finished = true;
        spdy_stream_finish(c->data);
        forget_data(c);
}

static void finish_error(struct connection *c, const char *message) {
        if (!c->error || c->error_finished)
                return;
        if (message)
                spdy_stream_write(c->error, sv_of(message));
        c->error_finished = true;
        spdy_stream_finish(c->error);
        forget_error(c);
}

static void connection_free(struct connection *c) {
        if (c->pod)
                stream_free(c->pod);
        str_done(&c->early);
        free(c->id);
        free(c);
}

static void connection_sweep(struct connection *c) {
        struct forward *f = c->f;
        if (c->data || c->error || c->pod || c->dialing)
                return;
        for (struct connection **p = &f->connections; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        connection_free(c);
}

static void forward_free(struct forward *f) {
        while (f->connections) {
                struct connection *c = f->connections;
                f->connections = c->next;
                connection_free(c);
        }
        object_unref(f->target);
        free(f);
}

/* Closes the transport; the memory goes when no dial is under way. */
static void forward_close(struct forward *f) {
        if (f->ended)
                return;
        f->ended = true;
        session_remove(&f->session);
        spdy_free(f->spdy);
        if (f->ws)
                ws_close(f->ws, 1000, SV_NULL);
        if (f->raw)
                stream_free(f->raw);
        for (struct connection *c = f->connections; c; c = c->next) {
                c->data = c->error = NULL;
                if (c->pod)
                        stream_free(TAKE(c->pod));
        }
        if (f->dials == 0)
                forward_free(f);
}

static void forward_end(struct session *session) { forward_close((struct forward *)session); }

/* From the pod. */

static size_t transport_pending(const struct forward *f) { return f->ws ? ws_pending(f->ws) : stream_pending(f->raw); }

static void pause_all(struct forward *f, bool paused) {
        f->paused = paused;
        for (struct connection *c = f->connections; c; c = c->next)
                if (c->pod)
                        stream_pause(c->pod, paused);
}

static void pod_data(void *arg, struct sv data) {
        struct connection *c = arg;
        if (c->data && !c->data_finished)
                spdy_stream_write(c->data, data);
        if (!c->f->paused && transport_pending(c->f) > STREAM_MAX_PENDING)
                pause_all(c->f, true);
}

static void pod_ended(void *arg, const struct err *err) {
        struct connection *c = arg;
        (void)err;
        stream_free(TAKE(c->pod));
        finish_data(c);
        finish_error(c, NULL);
        connection_sweep(c);
}

static void dialed(void *arg, struct stream *s, const struct err *err) {
        struct connection *c = arg;
        struct forward *f = c->f;

        c->dialing = false;
        f->dials--;
        if (f->ended) {
                if (s)
                        stream_free(s);
                if (f->dials == 0)
                        forward_free(f);
                return;
        }
        if (!s) {
                AUTO(free) char *why =
                        xasprintf("error forwarding port %d to pod %s, uid : %s", c->port, f->target->name, err_message(err));
                finish_error(c, why);
                finish_data(c);
                connection_sweep(c);
                return;
        }
        c->pod = s;
        stream_set_events(s, &(struct stream_events){.on_data = pod_data, .on_end = pod_ended, .arg = c});
        if (c->early.len)
                stream_write(s, str_sv(&c->early));
        str_done(&c->early);
        if (c->data_ended)
                stream_shutdown(s);
}

/* From the client. */

static struct connection *connection_of(struct forward *f, const char *id) {
        struct connection *c;
        for (c = f->connections; c; c = c->next)
                if (streq(c->id, id))
                        return c;
        c = NEW(struct connection);
        c->f = f;
        c->id = xstrdup(id);
        c->early.max = STREAM_MAX_PENDING;
        c->next = f->connections;
        f->connections = c;
        return c;
}

static void on_stream(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        struct forward *f = arg;
        const char *type = http_headers_get(headers, "streamtype"), *port = http_headers_get(headers, "port"),
                   *id = http_headers_get(headers, "requestid");
        struct connection *c;
        int64_t number;

        if (!type || !port || !sv_to_int64(sv_of(port), &number) || number < 1 || number > 65535) {
                spdy_stream_reset(s, SPDY_RST_PROTOCOL_ERROR);
                return;
        }
        c = connection_of(f, id ? id : port);
        c->port = (int)number;
        spdy_stream_set_data(s, c);
        if (streq(type, "error") && !c->error) {
                c->error = s;
                spdy_stream_reply(s, NULL);
        } else if (streq(type, "data") && !c->data) {
                c->data = s;
                spdy_stream_reply(s, NULL);
                c->dialing = true;
                f->dials++;
                f->session.s->backend->dial(f->session.s->backend->self, f->target, c->port, dialed, c);
        } else {
                spdy_stream_reset(s, SPDY_RST_STREAM_IN_USE);
        }
}

static void on_data(void *arg, struct spdy_stream *s, struct sv data) {
        struct connection *c = spdy_stream_data(s);
        (void)arg;
        if (s != c->data)
                return;
        if (c->pod)
                stream_write(c->pod, data);
        else
                str_append_sv(&c->early, data);
        if (str_overflowed(&c->early)) {
                c->data = NULL;
                spdy_stream_reset(s, SPDY_RST_FLOW_CONTROL_ERROR);
        }
}

static void on_end(void *arg, struct spdy_stream *s) {
        struct connection *c = spdy_stream_data(s);
        (void)arg;
        if (s == c->data) {
                c->data_ended = true;
                if (c->pod)
                        stream_shutdown(c->pod);
                forget_data(c);
        } else if (s == c->error) {
                c->error_ended = true;
                forget_error(c);
        }
        connection_sweep(c);
}

static void on_reset(void *arg, struct spdy_stream *s, int status) {
        struct connection *c = spdy_stream_data(s);
        (void)arg, (void)status;
        if (s == c->data) {
                c->data = NULL;
                if (c->pod)
                        stream_free(TAKE(c->pod));
        } else if (s == c->error) {
                c->error = NULL;
        }
        connection_sweep(c);
}

static void output(void *arg, struct sv bytes) {
        struct forward *f = arg;
        if (f->ws)
                ws_send(f->ws, false, bytes);
        else
                stream_write(f->raw, bytes);
}

static void feed(struct forward *f, struct sv bytes) {
        if (spdy_feed(f->spdy, bytes, NULL) < 0)
                forward_close(f);
}

static void drained(void *arg) {
        struct forward *f = arg;
        if (f->paused)
                pause_all(f, false);
}

static void ws_message(void *arg, bool is_text, struct sv message) {
        (void)is_text;
        feed(arg, message);
}
static void ws_closed(void *arg, int code, struct sv reason) {
        struct forward *f = arg;
        (void)code, (void)reason;
        ws_free(TAKE(f->ws));
        forward_close(f);
}
static void raw_data(void *arg, struct sv data) { feed(arg, data); }
static void raw_ended(void *arg, const struct err *err) {
        (void)err;
        forward_close(arg);
}

int sub_portforward(struct request *q, struct err *err) {
        bool bare = http_headers_has_token(&q->http->headers, "Upgrade", "SPDY/3.1");
        AUTO(object) struct object *pod = NULL;
        struct forward *f;
        int r = stream_find_pod(q, &pod, err);

        if (r == 0)
                r = stream_check_host(q, pod, err);
        if (r < 0)
                return r;
        if (!bare && ws_is_upgrade(q->http) && ws_offers(q->http, PORT_CHANNELS_PROTOCOL) && !ws_offers(q->http, WS_PROTOCOL))
                return portforward_channels(q, pod, err);
        if (!bare && !(ws_is_upgrade(q->http) && ws_offers(q->http, WS_PROTOCOL)))
                return status_bad_request(err, "Upgrade request required");
        f = NEW(struct forward);
        f->target = TAKE(pod);
        if (bare) {
                http_set_header(q->x, "X-Stream-Protocol-Version", "portforward.k8s.io");
                f->raw = http_upgrade(q->x, "SPDY/3.1");
        } else {
                f->ws = ws_accept(q->x, WS_PROTOCOL, MAX_MESSAGE);
        }
        if (!f->raw && !f->ws) {
                forward_free(f);
                return 0;
        }
        session_add(q->s, &f->session, forward_end);
        f->spdy = spdy_new(
                true,
                &(struct spdy_events){
                        .output = output, .on_stream = on_stream, .on_data = on_data, .on_end = on_end, .on_reset = on_reset, .arg = f});
        if (f->ws)
                ws_set_events(f->ws, &(struct ws_events){.on_message = ws_message, .on_close = ws_closed, .on_drain = drained, .arg = f});
        else
                stream_set_events(f->raw, &(struct stream_events){.on_data = raw_data, .on_end = raw_ended, .on_drain = drained, .arg = f});
        return 0;
}
