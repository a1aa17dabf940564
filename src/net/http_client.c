#include "net/http_client.h"

#include <llhttp.h>

#include "codec/base64.h"
#include "codec/uri.h"
#include "net/stream-internal.h"

enum {
        DEFAULT_TIMEOUT_MS = 60 * 1000,
        DEFAULT_CONNECT_MS = 10 * 1000,
        DEFAULT_IDLE = 4,
        IDLE_MS = 30 * 1000, /* how long a connection is kept: shorter than servers do */
};

/* A connection between calls or serving one. */
struct client_conn {
        struct http_client *client;
        struct stream *stream;
        struct http_call *call; /* NULL: idle, and on the client's list */
        char *origin;
        int64_t idle_since_ms;
        bool reused;
};

struct http_client {
        struct loop *loop;
        struct http_client_options o;
        char *user_agent;
        struct uri proxy;
        struct err proxy_error;
        struct tls_context *system_tls; /* made when first needed */
        VEC(struct client_conn *) idle;
        struct http_call *calls;
};

enum call_phase { PHASE_CONNECT, PHASE_TUNNEL, PHASE_TLS, PHASE_EXCHANGE };

struct http_call {
        struct http_client *client;
        struct http_call *prev, *next;
        struct http_call_options o; /* callbacks and numbers; the borrowed texts are copied below */
        struct uri url;
        char *origin; /* "https://host:port" */
        struct str head, body;
        bool is_https, is_head, is_idempotent, is_streamed;

        enum call_phase phase;
        struct stream_connecting *connecting;
        struct stream *tunnel; /* to the proxy, before TLS */
        struct client_conn *conn;
        struct timer *timer;
        struct err failure; /* found before there was anybody to tell */

        llhttp_t parser;
        struct str name, value;
        struct http_response response;
        size_t header_bytes;
        const char *broken_rule;
        bool in_trailers, got_bytes, complete, retried, paused;
        int refs; /* the client's list, and each function that calls back */
        bool ended;
};

static void call_begin(struct http_call *call);
static void send_request(struct http_call *call, struct stream *s, struct client_conn *conn);

void http_response_done(struct http_response *r) {
        http_headers_done(&r->headers);
        str_done(&r->body);
}

/* ---- the pool ---- */

static void conn_free(struct client_conn *conn) {
        stream_free(conn->stream);
        free(conn->origin);
        free(conn);
}

static void remove_idle(struct client_conn *conn) {
        struct http_client *c = conn->client;
        for (size_t i = 0; i < c->idle.len; i++) {
                if (c->idle.items[i] == conn) {
                        vec_remove(&c->idle, i);
                        return;
                }
        }
}

static void drop_old(struct http_client *c) {
        int64_t now = loop_now_ms(c->loop);
        for (size_t i = c->idle.len; i-- > 0;) {
                struct client_conn *conn = c->idle.items[i];
                if (now - conn->idle_since_ms > IDLE_MS) {
                        vec_remove(&c->idle, i);
                        conn_free(conn);
                }
        }
}

/* The one used last: the others may grow old. */
static struct client_conn *take_idle(struct http_client *c, const char *origin) {
        drop_old(c);
        for (size_t i = c->idle.len; i-- > 0;) {
                struct client_conn *conn = c->idle.items[i];
                if (!streq(conn->origin, origin))
                        continue;
                vec_remove(&c->idle, i);
                if (stream_is_quiet(conn->stream)) {
                        stream_set_idle(conn->stream, false);
                        return conn;
                }
                conn_free(conn);
        }
        return NULL;
}

static void keep_idle(struct client_conn *conn) {
        struct http_client *c = conn->client;
        drop_old(c);
        size_t same = 0, limit = c->o.max_idle ? c->o.max_idle : DEFAULT_IDLE;
        vec_foreach(e, &c->idle) same += streq((*e)->origin, conn->origin);
        if (same >= limit) {
                conn_free(conn);
                return;
        }
        conn->call = NULL;
        conn->reused = true;
        conn->idle_since_ms = loop_now_ms(c->loop);
        stream_pause(conn->stream, false);
        stream_set_idle(conn->stream, true);
        *vec_push(&c->idle) = conn;
}

/* ---- the end of a call ---- */

static void call_unref(struct http_call *call) {
        if (--call->refs > 0)
                return;
        uri_done(&call->url);
        free(call->origin);
        str_done(&call->head);
        str_done(&call->body);
        str_done(&call->name);
        str_done(&call->value);
        err_done(&call->failure);
        http_response_done(&call->response);
        free(call);
}

/* Lets go of everything but the memory; the connection is closed unless it was taken. */
static void call_end(struct http_call *call) {
        if (call->ended)
                return;
        call->ended = true;
        stream_connect_cancel(TAKE(call->connecting));
        stream_free(TAKE(call->tunnel));
        if (call->conn)
                conn_free(TAKE(call->conn));
        timer_free(TAKE(call->timer));
        if (call->prev)
                call->prev->next = call->next;
        else
                call->client->calls = call->next;
        if (call->next)
                call->next->prev = call->prev;
        call_unref(call);
}

static void call_fail(struct http_call *call, const struct err *err) {
        if (call->ended)
                return;
        call->refs++;
        call_end(call);
        if (call->o.on_done)
                call->o.on_done(call->o.arg, NULL, err);
        call_unref(call);
}

static void call_fail_text(struct http_call *call, int code, const char *text) {
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, code, "%s: %s", call->origin, text);
        call_fail(call, &err);
}

static void call_succeed(struct http_call *call, bool may_keep) {
        call->refs++;
        struct client_conn *conn = TAKE(call->conn);
        if (may_keep && stream_is_ready(conn->stream) && stream_pending(conn->stream) == 0)
                keep_idle(conn);
        else
                conn_free(conn);
        call_end(call);
        if (call->o.on_done)
                call->o.on_done(call->o.arg, &call->response, NULL);
        call_unref(call);
}

static void call_upgraded(struct http_call *call, struct sv rest) {
        call->refs++;
        struct client_conn *conn = TAKE(call->conn);
        struct stream *s = TAKE(conn->stream);
        free(conn->origin);
        free(conn);
        stream_set_events(s, NULL);
        stream_pause(s, false);
        stream_unread(s, rest);
        call_end(call);
        call->o.on_upgrade(call->o.arg, &call->response, s);
        call_unref(call);
}

void http_call_cancel(struct http_call *call) {
        if (call)
                call_end(call);
}

void http_call_pause(struct http_call *call, bool paused) {
        call->paused = paused;
        if (call->conn)
                stream_pause(call->conn->stream, paused);
}

static void on_timeout(void *arg) {
        struct http_call *call = arg;
        int64_t ms = call->o.timeout_ms ? call->o.timeout_ms : DEFAULT_TIMEOUT_MS;
        if (call->paused) {
                timer_again(call->timer, ms, 0);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, -ETIMEDOUT, "%s: %s within %g s", call->origin, call->got_bytes ? "the answer did not come to its end" : "no answer",
                (double)ms / 1000);
        call_fail(call, &err);
}

/* Whole call, or since the last sign of life of a stream. */
static void arm_timer(struct http_call *call) {
        if (call->o.timeout_ms < 0)
                return;
        int64_t ms = call->o.timeout_ms ? call->o.timeout_ms : DEFAULT_TIMEOUT_MS;
        if (call->timer)
                timer_again(call->timer, ms, 0);
        else
                call->timer = timer_new(call->client->loop, ms, 0, on_timeout, call);
}

/* ---- the response: llhttp's callbacks ---- */

static int break_rule(struct http_call *call, const char *text) {
        call->broken_rule = text;
        return HPE_USER;
}

static int on_message_begin(llhttp_t *p) {
        struct http_call *call = p->data;
        http_headers_done(&call->response.headers);
        call->in_trailers = false;
        call->header_bytes = 0;
        return 0;
}

static int collect(struct http_call *call, struct str *to, const char *at, size_t len) {
        call->header_bytes += len;
        if (call->header_bytes > HTTP_MAX_HEADER_BYTES)
                return break_rule(call, "the response's headers are larger than 64 KiB");
        if (!call->in_trailers)
                str_append(to, at, len);
        return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t len) { return collect(p->data, &((struct http_call *)p->data)->name, at, len); }
static int on_value(llhttp_t *p, const char *at, size_t len) { return collect(p->data, &((struct http_call *)p->data)->value, at, len); }

static int on_value_complete(llhttp_t *p) {
        struct http_call *call = p->data;
        if (call->in_trailers)
                return 0;
        if (call->response.headers.list.len >= HTTP_MAX_HEADERS)
                return break_rule(call, "the response has more than 128 headers");
        http_headers_add(&call->response.headers, str_cstr(&call->name), str_cstr(&call->value));
        str_clear(&call->name);
        str_clear(&call->value);
        return 0;
}

static int on_headers_complete(llhttp_t *p) {
        struct http_call *call = p->data;
        call->in_trailers = true;
        call->response.status = p->status_code;
        if (call->phase == PHASE_TUNNEL)
                return p->status_code / 100 == 2 ? 2 : 1;
        if (p->status_code == 101)
                return p->upgrade && call->o.on_upgrade ? 2 : break_rule(call, "the server switches protocols, which it was not asked to");
        if (p->status_code / 100 == 1)
                return 0;
        if (!call->is_streamed && !call->is_head && !(p->flags & F_CHUNKED) && p->content_length > call->response.body.max)
                return break_rule(call, "the response's body is larger than allowed");
        if (call->is_streamed && call->o.on_headers)
                call->o.on_headers(call->o.arg, &call->response);
        if (call->ended)
                return HPE_USER;
        return call->is_head || p->status_code == 204 || p->status_code == 304 ? 1 : 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len) {
        struct http_call *call = p->data;
        if (call->is_streamed) {
                call->o.on_data(call->o.arg, sv_new(at, len));
                return call->ended ? HPE_USER : 0;
        }
        str_append(&call->response.body, at, len);
        return str_overflowed(&call->response.body) ? break_rule(call, "the response's body is larger than allowed") : 0;
}

static int on_message_complete(llhttp_t *p) {
        struct http_call *call = p->data;
        if (p->status_code / 100 == 1 && p->status_code != 101 && call->phase != PHASE_TUNNEL)
                return 0; /* the real answer follows */
        call->complete = true;
        return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_message_begin = on_message_begin,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

static void reset_parser(struct http_call *call) {
        llhttp_init(&call->parser, HTTP_RESPONSE, &settings);
        call->parser.data = call;
        call->complete = false;
        str_clear(&call->name);
        str_clear(&call->value);
}

static void parse_failed(struct http_call *call) {
        if (call->broken_rule) {
                call_fail_text(call, -EMSGSIZE, call->broken_rule);
                return;
        }
        const char *reason = llhttp_get_error_reason(&call->parser);
        AUTO(free) char *text = xasprintf("the answer is not HTTP: %s", reason && *reason ? reason : "bad syntax");
        call_fail_text(call, -EPROTO, text);
}

static void on_data(void *arg, struct sv data) {
        struct client_conn *conn = arg;
        struct http_call *call = conn->call;
        if (!call) { /* nothing was asked */
                remove_idle(conn);
                conn_free(conn);
                return;
        }
        call->got_bytes = true;
        if (call->is_streamed)
                arm_timer(call);
        call->refs++;
        llhttp_errno_t e = llhttp_execute(&call->parser, data.data, data.len);
        if (!call->ended && call->complete) {
                size_t eaten = e == HPE_OK ? data.len : (size_t)(llhttp_get_error_pos(&call->parser) - data.data);
                struct sv rest = sv_new(data.data + eaten, data.len - eaten);
                if (call->response.status == 101)
                        call_upgraded(call, rest);
                else
                        call_succeed(call, rest.len == 0 && llhttp_should_keep_alive(&call->parser));
        } else if (!call->ended && e != HPE_OK) {
                parse_failed(call);
        }
        call_unref(call);
}

static bool may_retry(const struct http_call *call) {
        return call->conn->reused && !call->got_bytes && !call->retried && call->is_idempotent;
}

static void on_end(void *arg, const struct err *err) {
        struct client_conn *conn = arg;
        struct http_call *call = conn->call;
        if (!call) {
                remove_idle(conn);
                conn_free(conn);
                return;
        }
        if (may_retry(call)) {
                call->retried = true;
                conn_free(TAKE(call->conn));
                call_begin(call);
                return;
        }
        call->refs++;
        llhttp_finish(&call->parser); /* a body may end with the connection */
        if (call->ended)
                ;
        else if (call->complete && !err)
                call_succeed(call, false);
        else if (err)
                call_fail_text(call, err->code, err_message(err));
        else
                call_fail_text(call, -ECONNRESET,
                               call->got_bytes ? "the connection was closed in the middle of the answer"
                                               : "the connection was closed without an answer");
        call_unref(call);
}

/* ---- the request ---- */

static void send_request(struct http_call *call, struct stream *s, struct client_conn *conn) {
        if (!conn) {
                conn = NEW(struct client_conn);
                conn->client = call->client;
                conn->stream = s;
                conn->origin = xstrdup(call->origin);
        }
        conn->call = call;
        call->conn = conn;
        call->phase = PHASE_EXCHANGE;
        reset_parser(call);
        struct stream_events ev = {.on_data = on_data, .on_end = on_end, .arg = conn};
        stream_set_events(conn->stream, &ev);
        stream_pause(conn->stream, call->paused);
        struct sv parts[] = {str_sv(&call->head), str_sv(&call->body)};
        stream_writev(conn->stream, parts, 2);
}

static void on_tls(void *arg, struct stream *s, const struct err *err) {
        struct http_call *call = arg;
        call->connecting = NULL;
        if (err)
                call_fail(call, err);
        else
                send_request(call, s, NULL);
}

static struct tls_context *tls_of(struct http_client *c, struct err *err) {
        if (c->o.tls)
                return c->o.tls;
        struct tls_client_options o = {0};
        if (!c->system_tls && tls_client_new(&o, &c->system_tls, err) < 0)
                return NULL;
        return c->system_tls;
}

static int64_t connect_timeout(const struct http_client *c) {
        return c->o.connect_timeout_ms ? c->o.connect_timeout_ms : DEFAULT_CONNECT_MS;
}

static void tunnel_data(void *arg, struct sv data) {
        struct http_call *call = arg;
        call->refs++;
        llhttp_errno_t e = llhttp_execute(&call->parser, data.data, data.len);
        if (call->complete && call->response.status / 100 == 2) {
                size_t eaten = e == HPE_OK ? data.len : (size_t)(llhttp_get_error_pos(&call->parser) - data.data);
                struct stream *s = TAKE(call->tunnel);
                stream_set_events(s, NULL);
                stream_unread(s, sv_new(data.data + eaten, data.len - eaten));
                call->phase = PHASE_TLS;
                AUTO(err) struct err err = ERR_INIT;
                struct tls_context *tls = tls_of(call->client, &err);
                if (tls) {
                        call->connecting = stream_start_tls(s, call->url.host, tls, connect_timeout(call->client), on_tls, call);
                } else {
                        stream_free(s);
                        call_fail(call, &err);
                }
        } else if (call->complete) {
                AUTO(err) struct err err = ERR_INIT;
                err_set(&err, -ECONNREFUSED, "the proxy %s:%d refuses to connect to %s:%d: %d %s", call->client->proxy.host,
                        call->client->proxy.port, call->url.host, call->url.port, call->response.status,
                        http_status_text(call->response.status));
                call_fail(call, &err);
        } else if (e != HPE_OK) {
                parse_failed(call);
        }
        call_unref(call);
}

static void tunnel_end(void *arg, const struct err *err) {
        struct http_call *call = arg;
        AUTO(err) struct err e = ERR_INIT;
        err_set(&e, err ? err->code : -ECONNRESET, "the proxy %s:%d closed the connection", call->client->proxy.host,
                call->client->proxy.port);
        call_fail(call, &e);
}

static void append_proxy_auth(const struct http_client *c, struct str *out) {
        if (!c->proxy.userinfo)
                return;
        str_append_s(out, "Proxy-Authorization: Basic ");
        base64_encode(sv_of(c->proxy.userinfo), out);
        str_append_s(out, "\r\n");
}

static void append_authority(const struct uri *u, bool with_port, struct str *out) {
        str_appendf(out, strchr(u->host, ':') ? "[%s]" : "%s", u->host);
        if (with_port)
                str_appendf(out, ":%d", u->port);
}

static void open_tunnel(struct http_call *call, struct stream *s) {
        call->phase = PHASE_TUNNEL;
        call->tunnel = s;
        reset_parser(call);
        struct stream_events ev = {.on_data = tunnel_data, .on_end = tunnel_end, .arg = call};
        stream_set_events(s, &ev);
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, "CONNECT ");
        append_authority(&call->url, true, &out);
        str_append_s(&out, " HTTP/1.1\r\nHost: ");
        append_authority(&call->url, true, &out);
        str_append_s(&out, "\r\n");
        append_proxy_auth(call->client, &out);
        str_append_s(&out, "\r\n");
        stream_write(s, str_sv(&out));
}

static void on_connected(void *arg, struct stream *s, const struct err *err) {
        struct http_call *call = arg;
        call->connecting = NULL;
        if (err)
                call_fail(call, err);
        else if (call->client->proxy.host && call->is_https)
                open_tunnel(call, s);
        else
                send_request(call, s, NULL);
}

/* The call may have ended meanwhile; what was asked to connect cannot be called off. */
static void on_dialed(void *arg, struct stream *s, const struct err *err) {
        struct http_call *call = arg;
        struct tls_context *tls = NULL;
        AUTO(err) struct err why = ERR_INIT;
        if (call->ended)
                stream_free(s);
        else if (err)
                call_fail(call, err);
        else if (!call->is_https)
                send_request(call, s, NULL);
        else if ((tls = tls_of(call->client, &why)))
                call->connecting = stream_start_tls(s, call->url.host, tls, connect_timeout(call->client), on_tls, call);
        else {
                stream_free(s);
                call_fail(call, &why);
        }
        call_unref(call);
}

static void call_begin(struct http_call *call) {
        struct http_client *c = call->client;
        struct client_conn *conn = call->retried ? NULL : take_idle(c, call->origin);
        if (conn) {
                send_request(call, NULL, conn);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        bool by_proxy = c->proxy.host != NULL;
        if (c->o.connect && !by_proxy) {
                call->phase = PHASE_CONNECT;
                call->refs++;
                c->o.connect(c->o.connect_arg, call->url.host, call->url.port, on_dialed, call);
                return;
        }
        struct tls_context *tls = NULL;
        if (call->is_https && !by_proxy) {
                tls = tls_of(c, &err);
                if (!tls) {
                        call_fail(call, &err);
                        return;
                }
        }
        call->phase = PHASE_CONNECT;
        const struct uri *to = by_proxy ? &c->proxy : &call->url;
        call->connecting = stream_connect(c->loop, to->host, to->port, tls, connect_timeout(c), on_connected, call);
}

static void posted_begin(void *arg) {
        struct http_call *call = arg;
        if (!call->ended && call->failure.code)
                call_fail(call, &call->failure);
        else if (!call->ended)
                call_begin(call);
        call_unref(call);
}

static bool is_clean(const char *s, bool blanks_too) {
        for (; *s; s++) {
                unsigned char ch = (unsigned char)*s;
                if (ch == 0x7f || (ch < 0x20 && (ch != '\t' || blanks_too)) || (ch == ' ' && blanks_too))
                        return false;
        }
        return true;
}

static int parse_url(struct http_call *call, const char *text, struct err *err) {
        int r = uri_parse(text, &call->url, err);
        if (r < 0)
                return r;
        struct uri *u = &call->url;
        call->is_https = u->scheme && streq(u->scheme, "https");
        if (!u->host || !*u->host || !u->scheme || !(call->is_https || streq(u->scheme, "http")))
                return err_set(err, -EINVAL, "not an http:// or https:// URL: %s", text);
        if (!is_clean(u->host, true) || !is_clean(u->path, true) || (u->query && !is_clean(u->query, true)))
                return err_set(err, -EINVAL, "a URL must not contain blanks or control characters: %s", text);
        if (!u->port)
                u->port = call->is_https ? 443 : 80;
        return 0;
}

static int append_headers(struct http_call *call, const struct http_call_options *o, struct err *err) {
        struct str *out = &call->head;
        if (!o->headers)
                return 0;
        vec_foreach(h, &o->headers->list) {
                if (!*h->name || !is_clean(h->name, true) || strchr(h->name, ':') || !is_clean(h->value, false))
                        return err_set(err, -EINVAL, "the header %s contains characters that headers must not have", h->name);
                str_appendf(out, "%s: %s\r\n", h->name, h->value);
        }
        return 0;
}

static int build_head(struct http_call *call, const struct http_call_options *o, struct err *err) {
        static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL};
        struct http_client *c = call->client;
        struct str *out = &call->head;
        const struct uri *u = &call->url;
        if (!*o->method || !is_clean(o->method, true))
                return err_set(err, -EINVAL, "bad HTTP method");
        bool by_plain_proxy = c->proxy.host && !call->is_https;
        str_appendf(out, "%s ", o->method);
        if (by_plain_proxy)
                str_append_s(out, "http://"), append_authority(u, true, out);
        str_appendf(out, "%s%s%s HTTP/1.1\r\n", *u->path ? u->path : "/", u->query ? "?" : "", u->query ? u->query : "");
        if (!o->headers || !http_headers_get(o->headers, "Host")) {
                str_append_s(out, "Host: ");
                append_authority(u, u->port != (call->is_https ? 443 : 80), out);
                str_append_s(out, "\r\n");
        }
        if (!o->headers || !http_headers_get(o->headers, "User-Agent"))
                str_appendf(out, "User-Agent: %s\r\n", c->user_agent);
        if (by_plain_proxy)
                append_proxy_auth(c, out);
        int r = append_headers(call, o, err);
        if (r < 0)
                return r;
        if (o->has_body || o->body.len || str_is_one_of(o->method, with_body))
                str_appendf(out, "Content-Length: %zu\r\n", o->body.len);
        str_append_s(out, "\r\n");
        return 0;
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *o) {
        static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", NULL};
        struct http_call *call = NEW(struct http_call);
        call->client = c;
        call->o = *o;
        call->refs = 2; /* the list's and the post's */
        call->next = c->calls;
        if (c->calls)
                c->calls->prev = call;
        c->calls = call;
        call->is_head = streq(o->method, "HEAD");
        call->is_idempotent = str_is_one_of(o->method, idempotent);
        call->is_streamed = o->on_data != NULL;
        call->response.body = STR_INIT(o->max_body ? o->max_body : HTTP_MAX_BODY_BYTES);
        str_append_sv(&call->body, o->body);
        int r = c->proxy_error.code;
        if (r < 0)
                err_set(&call->failure, r, "%s", err_message(&c->proxy_error));
        else
                r = parse_url(call, o->url, &call->failure);
        if (r >= 0) {
                AUTO(str) struct str origin = STR_INIT(0);
                str_appendf(&origin, "%s://", call->url.scheme);
                append_authority(&call->url, true, &origin);
                call->origin = str_take(&origin);
                r = build_head(call, o, &call->failure);
        }
        call->o.method = call->o.url = NULL;
        call->o.headers = NULL;
        call->o.body = SV_NULL;
        arm_timer(call);
        loop_post(c->loop, posted_begin, call);
        return call;
}

/* ---- the client ---- */

struct http_client *http_client_new(struct loop *l, const struct http_client_options *o) {
        struct http_client *c = NEW(struct http_client);
        c->loop = l;
        if (o)
                c->o = *o;
        c->user_agent = xstrdup(c->o.user_agent ? c->o.user_agent : "firesteel/" FIRESTEEL_VERSION);
        if (c->o.proxy_url && *c->o.proxy_url) {
                int r = uri_parse(c->o.proxy_url, &c->proxy, &c->proxy_error);
                if (r == 0 && (!c->proxy.host || !c->proxy.scheme || !streq(c->proxy.scheme, "http")))
                        err_set(&c->proxy_error, -EINVAL, "only http:// proxies are spoken to");
                if (c->proxy_error.code)
                        err_wrap(&c->proxy_error, c->proxy_error.code, "proxy URL");
                if (!c->proxy.port)
                        c->proxy.port = 80;
        }
        c->o.proxy_url = c->o.user_agent = NULL;
        return c;
}

void http_client_free(struct http_client *c) {
        if (!c)
                return;
        while (c->calls)
                call_end(c->calls);
        vec_foreach(conn, &c->idle) conn_free(*conn);
        vec_done(&c->idle);
        uri_done(&c->proxy);
        err_done(&c->proxy_error);
        tls_context_free(c->system_tls);
        free(c->user_agent);
        free(c);
}

struct loop *http_client_loop(struct http_client *c) { return c->loop; }

struct waiting {
        bool done;
        struct http_response *ret;
        struct err *err;
        int result;
};

static void on_waited(void *arg, struct http_response *response, const struct err *err) {
        struct waiting *w = arg;
        w->done = true;
        if (err) {
                w->result = err_set(w->err, err->code, "%s", err_message(err));
                if (err->hint)
                        err_hint(w->err, "%s", err->hint);
                return;
        }
        *w->ret = *response;
        *response = (struct http_response){0};
}

/* The caller's streaming callbacks with the caller's argument, and our on_done. */
struct forward {
        struct waiting w;
        const struct http_call_options *o;
};

static void forward_headers(void *arg, const struct http_response *response) {
        struct forward *f = arg;
        f->o->on_headers(f->o->arg, response);
}

static void forward_data(void *arg, struct sv data) {
        struct forward *f = arg;
        f->o->on_data(f->o->arg, data);
}

int http_call_wait(struct http_client *c, struct loop *l, const struct http_call_options *o, struct http_response *ret, struct err *err) {
        struct forward f = {.w = {.ret = ret, .err = err}, .o = o};
        struct http_call_options mine = *o;
        mine.on_headers = o->on_headers ? forward_headers : NULL;
        mine.on_data = o->on_data ? forward_data : NULL;
        mine.on_upgrade = NULL;
        mine.on_done = on_waited;
        mine.arg = &f;
        struct http_call *call = http_call_start(c, &mine);
        loop_run_until(l, &f.w.done);
        if (!f.w.done) {
                http_call_cancel(call);
                return err_set(err, -EINTR, "interrupted");
        }
        return f.w.result;
}
