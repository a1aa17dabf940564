#include "net/ws.h"

#include <openssl/evp.h>

#include "base/rand.h"
#include "codec/base64.h"
#include "net/stream.h"
#include "net/ws_frame.h"

enum {
        WS_DEFAULT_MESSAGE = 16 * 1024 * 1024,
        WS_LINGER_MS = 3000,
        WS_CONNECT_MS = 30 * 1000,
        WS_MAX_REFUSAL = 64 * 1024,
};

struct ws {
        struct loop *loop;
        struct stream *stream;
        struct ws_reader reader;
        struct ws_events ev;
        bool is_client;
        bool has_events;
        bool close_sent;
        bool closed; /* on_close was called, or is not wanted any more */
        bool paused;
        bool freed;
        int refs;
};

/* ---- the socket ---- */

static void ws_unref(struct ws *w) {
        if (--w->refs > 0)
                return;
        ws_reader_done(&w->reader);
        free(w);
}

void ws_free(struct ws *w) {
        if (!w || w->freed)
                return;
        w->freed = true;
        struct stream *s = TAKE(w->stream);
        if (w->close_sent)
                stream_finish(s, WS_LINGER_MS);
        else
                stream_free(s);
        ws_unref(w);
}

static void send_frame(struct ws *w, enum ws_opcode opcode, struct sv data) {
        unsigned char header[WS_MAX_HEADER];
        if (!w->is_client) {
                size_t n = ws_make_header(opcode, data.len, NULL, header);
                struct sv parts[] = {sv_new((char *)header, n), data};
                stream_writev(w->stream, parts, 2);
                return;
        }
        unsigned char mask[4];
        rand_bytes(mask, sizeof mask);
        AUTO(str) struct str masked = STR_INIT(0);
        str_reserve(&masked, data.len + WS_MAX_HEADER);
        size_t n = ws_make_header(opcode, data.len, mask, header);
        str_append(&masked, header, n);
        str_append_sv(&masked, data);
        ws_apply_mask(mask, 0, masked.data + n, data.len);
        stream_write(w->stream, str_sv(&masked));
}

static void send_close(struct ws *w, int code, struct sv reason) {
        if (w->close_sent)
                return;
        w->close_sent = true;
        char body[WS_MAX_CONTROL];
        size_t len = 0;
        if (code != WS_NO_STATUS && code != WS_ABNORMAL) {
                size_t n = reason.len < sizeof body - 2 ? reason.len : sizeof body - 2;
                while (n && n < reason.len && ((unsigned char)reason.data[n] & 0xc0) == 0x80)
                        n--; /* cut between characters */
                body[0] = (char)(code >> 8);
                body[1] = (char)code;
                if (n)
                        memcpy(body + 2, reason.data, n);
                len = n + 2;
        }
        send_frame(w, WS_CLOSE, sv_new(body, len));
}

static void report_close(struct ws *w, int code, struct sv reason) {
        if (w->closed)
                return;
        w->closed = true;
        if (w->has_events && w->ev.on_close)
                w->ev.on_close(w->ev.arg, code, reason);
}

static void handle_message(struct ws *w, const struct ws_message *m) {
        switch (m->opcode) {
        case WS_PING:
                if (!w->close_sent)
                        send_frame(w, WS_PONG, m->data);
                break;
        case WS_PONG:
                break;
        case WS_CLOSE: {
                int code = m->data.len >= 2 ? (unsigned char)m->data.data[0] << 8 | (unsigned char)m->data.data[1] : WS_NO_STATUS;
                struct sv reason = m->data.len > 2 ? sv_new(m->data.data + 2, m->data.len - 2) : SV_NULL;
                send_close(w, code, SV_NULL);
                report_close(w, code == WS_NO_STATUS ? WS_NORMAL : code, reason);
                break;
        }
        default:
                if (w->has_events && w->ev.on_message)
                        w->ev.on_message(w->ev.arg, m->opcode == WS_TEXT, m->data);
        }
}

static void on_data(void *arg, struct sv data) {
        struct ws *w = arg;
        w->refs++;
        while (!w->freed && !w->closed && data.len) {
                if (w->paused) {
                        stream_unread(w->stream, data);
                        break;
                }
                struct ws_message m;
                int r = ws_reader_next(&w->reader, &data, &m);
                if (r > 0) {
                        handle_message(w, &m);
                } else if (r < 0) {
                        send_close(w, -r, SV_NULL);
                        report_close(w, -r, SV("the peer broke the WebSocket protocol"));
                }
        }
        ws_unref(w);
}

static void on_end(void *arg, const struct err *err) {
        struct ws *w = arg;
        report_close(w, WS_ABNORMAL, err ? sv_of(err_message(err)) : SV("the connection was closed without a close frame"));
}

static void on_drain(void *arg) {
        struct ws *w = arg;
        if (w->has_events && !w->closed && w->ev.on_drain)
                w->ev.on_drain(w->ev.arg);
}

struct ws *ws_new(struct loop *l, struct stream *s, bool is_client, size_t max_message) {
        struct ws *w = NEW(struct ws);
        w->loop = l;
        w->stream = s;
        w->is_client = is_client;
        w->refs = 1;
        ws_reader_init(&w->reader, !is_client, max_message ? max_message : WS_DEFAULT_MESSAGE);
        return w;
}

void ws_set_events(struct ws *w, const struct ws_events *ev) {
        bool first = !w->has_events;
        w->ev = *ev;
        w->has_events = true;
        if (first && !w->freed) {
                struct stream_events se = {.on_data = on_data, .on_end = on_end, .on_drain = on_drain, .arg = w};
                stream_set_events(w->stream, &se);
        }
}

void ws_send(struct ws *w, bool is_text, struct sv message) {
        if (!w->freed && !w->close_sent)
                send_frame(w, is_text ? WS_TEXT : WS_BINARY, message);
}

void ws_ping(struct ws *w) {
        if (!w->freed && !w->close_sent)
                send_frame(w, WS_PING, SV_NULL);
}

size_t ws_pending(const struct ws *w) { return w->freed ? 0 : stream_pending(w->stream); }

void ws_pause(struct ws *w, bool paused) {
        if (w->freed)
                return;
        w->paused = paused;
        stream_pause(w->stream, paused);
}

/* The peer's close frame is of no interest any more: lingering drops it and waits for the end of the connection. */
void ws_close(struct ws *w, int code, struct sv reason) {
        if (w->freed)
                return;
        send_close(w, code, reason);
        w->closed = true;
        ws_free(w);
}

/* ---- the server's handshake ---- */

static void accept_key(struct sv key, struct str *out) {
        AUTO(str) struct str text = STR_INIT(0);
        str_append_sv(&text, key);
        str_append_s(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        if (EVP_Digest(text.data, text.len, digest, &len, EVP_sha1(), NULL) == 1)
                base64_encode(sv_new((char *)digest, len), out);
}

bool ws_is_upgrade(const struct http_request *request) {
        return streq(request->method, "GET") && http_headers_has_token(&request->headers, "Connection", "upgrade") &&
               http_headers_has_token(&request->headers, "Upgrade", "websocket");
}

bool ws_offers(const struct http_request *request, const char *protocol) {
        /* Subprotocols are compared with case. */
        vec_foreach(h, &request->headers.list) {
                struct sv rest = sv_of(h->value), part;
                if (!sv_ieq(sv_of(h->name), SV("Sec-WebSocket-Protocol")))
                        continue;
                while (sv_split(&rest, ',', &part)) {
                        if (sv_eqs(sv_trim(part), protocol))
                                return true;
                }
        }
        return false;
}

struct ws *ws_accept(struct http_exchange *x, const char *protocol, size_t max_message) {
        const struct http_request *q = http_request_of(x);
        const char *version = http_headers_get(&q->headers, "Sec-WebSocket-Version");
        struct sv key = sv_trim(sv_of(http_headers_get(&q->headers, "Sec-WebSocket-Key")));
        AUTO(str) struct str nonce = STR_INIT(64);
        if (!ws_is_upgrade(q)) {
                http_respond(x, 400, "text/plain; charset=utf-8", SV("a WebSocket upgrade is expected here\n"));
                return NULL;
        }
        if (!version || !streq(version, "13")) {
                http_set_header(x, "Sec-WebSocket-Version", "13");
                http_respond(x, 426, "text/plain; charset=utf-8", SV("only WebSocket version 13 is spoken here\n"));
                return NULL;
        }
        if (key.len > 64 || base64_decode(key, &nonce) < 0 || nonce.len != 16) {
                http_respond(x, 400, "text/plain; charset=utf-8", SV("Sec-WebSocket-Key is not 16 bytes in Base64\n"));
                return NULL;
        }
        AUTO(str) struct str accept = STR_INIT(0);
        accept_key(key, &accept);
        http_set_header(x, "Sec-WebSocket-Accept", str_cstr(&accept));
        if (protocol)
                http_set_header(x, "Sec-WebSocket-Protocol", protocol);
        struct loop *l = http_exchange_loop(x);
        struct stream *s = http_upgrade(x, "websocket");
        return s ? ws_new(l, s, false, max_message) : NULL;
}

/* ---- the client's handshake ---- */

struct ws_connecting {
        struct loop *loop;
        struct http_call *call;
        struct str key;
        struct str refusal; /* the body of an answer that is not 101 */
        struct strv protocols;
        size_t max_message;
        void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err);
        void *arg;
};

static void connecting_free(struct ws_connecting *c) {
        str_done(&c->key);
        str_done(&c->refusal);
        strv_done(&c->protocols);
        free(c);
}

void ws_connect_cancel(struct ws_connecting *c) {
        if (!c)
                return;
        http_call_cancel(c->call);
        connecting_free(c);
}

static int check_handshake(struct ws_connecting *c, const struct http_response *response, const char **ret_protocol, struct err *err) {
        AUTO(str) struct str expected = STR_INIT(0);
        accept_key(str_sv(&c->key), &expected);
        const char *accept = http_headers_get(&response->headers, "Sec-WebSocket-Accept");
        if (!http_headers_has_token(&response->headers, "Upgrade", "websocket") || !accept || !streq(accept, str_cstr(&expected)))
                return err_set(err, -EPROTO, "the server's WebSocket handshake is wrong");
        const char *protocol = http_headers_get(&response->headers, "Sec-WebSocket-Protocol");
        if (protocol && !strv_has(&c->protocols, protocol))
                return err_set(err, -EPROTO, "the server chose the WebSocket subprotocol %s, which was not offered", protocol);
        if (http_headers_get(&response->headers, "Sec-WebSocket-Extensions"))
                return err_set(err, -EPROTO, "the server chose a WebSocket extension, none was offered");
        *ret_protocol = protocol;
        return 0;
}

static void on_upgrade(void *arg, const struct http_response *response, struct stream *s) {
        struct ws_connecting *c = arg;
        AUTO(err) struct err err = ERR_INIT;
        const char *protocol = NULL;
        if (check_handshake(c, response, &protocol, &err) < 0) {
                stream_free(s);
                c->done(c->arg, NULL, NULL, &err);
        } else {
                c->done(c->arg, ws_new(c->loop, s, true, c->max_message), protocol, NULL);
        }
        connecting_free(c);
}

static void refused(struct ws_connecting *c, int status) {
        AUTO(err) struct err err = ERR_INIT;
        struct sv body = sv_trim(str_sv(&c->refusal));
        err_http(&err, -ECONNREFUSED, status, NULL, "the server refuses the WebSocket: %d %s%s%.*s", status, http_status_text(status),
                 body.len ? ": " : "", SV_ARG(body));
        if (body.len > 0 && body.data[0] == '{') /* for those who can read more out of it */
                err.details = sv_dup(body);
        c->done(c->arg, NULL, NULL, &err);
        connecting_free(c);
}

/* An answer that ignores the upgrade and goes on may never end: its first line is enough. */
static void on_refusal_headers(void *arg, const struct http_response *response) {
        struct ws_connecting *c = arg;
        if (response->status < 200 || response->status >= 300)
                return;
        int status = response->status;
        http_call_cancel(c->call);
        refused(c, status);
}

static void on_refusal_data(void *arg, struct sv data) {
        struct ws_connecting *c = arg;
        size_t room = c->refusal.max - c->refusal.len;
        str_append(&c->refusal, data.data, data.len < room ? data.len : room);
}

static void on_refused(void *arg, struct http_response *response, const struct err *err) {
        struct ws_connecting *c = arg;
        if (!err) {
                refused(c, response->status);
                return;
        }
        c->done(c->arg, NULL, NULL, err);
        connecting_free(c);
}

static char *http_url(const char *url) {
        if (str_starts(url, "ws://"))
                return xasprintf("http://%s", url + 5);
        return str_starts(url, "wss://") ? xasprintf("https://%s", url + 6) : xstrdup(url);
}

struct ws_connecting *ws_connect(struct http_client *client, const char *url, const struct http_headers *headers,
                                 const char *const *protocols, size_t max_message,
                                 void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err), void *arg) {
        struct ws_connecting *c = NEW(struct ws_connecting);
        *c = (struct ws_connecting){.loop = http_client_loop(client),
                                    .max_message = max_message,
                                    .done = done,
                                    .arg = arg,
                                    .refusal = STR_INIT(WS_MAX_REFUSAL)};
        unsigned char nonce[16];
        rand_bytes(nonce, sizeof nonce);
        base64_encode(sv_new((char *)nonce, sizeof nonce), &c->key);
        AUTO(http_headers) struct http_headers all = {0};
        http_headers_add(&all, "Connection", "Upgrade");
        http_headers_add(&all, "Upgrade", "websocket");
        http_headers_add(&all, "Sec-WebSocket-Version", "13");
        http_headers_add(&all, "Sec-WebSocket-Key", str_cstr(&c->key));
        for (const char *const *p = protocols; p && *p; p++)
                strv_add(&c->protocols, *p);
        if (c->protocols.len) {
                AUTO(free) char *list = strv_join(&c->protocols, ", ");
                http_headers_add(&all, "Sec-WebSocket-Protocol", list);
        }
        if (headers)
                vec_foreach(h, &headers->list) http_headers_add(&all, h->name, h->value);
        AUTO(free) char *target = http_url(url);
        struct http_call_options o = {
                .method = "GET",
                .url = target,
                .headers = &all,
                .timeout_ms = WS_CONNECT_MS,
                .on_headers = on_refusal_headers,
                .on_data = on_refusal_data,
                .on_upgrade = on_upgrade,
                .on_done = on_refused,
                .arg = c,
        };
        c->call = http_call_start(client, &o);
        return c;
}
