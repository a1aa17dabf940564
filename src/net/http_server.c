#include "net/http_server.h"

#include <llhttp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/clock.h"
#include "codec/ktime.h"
#include "net/stream-internal.h"
#include "net/tls-internal.h"

enum {
        DEFAULT_IDLE_MS = 120 * 1000,
        HANDSHAKE_MS = 30 * 1000,          /* from connecting to the first request when that is by TLS */
        LINGER_MS = 3000,                  /* for the peer to read the last answer */
        DEFAULT_CONNECTIONS = 4096,
        BACKLOG = 1024,
        MAX_PIPELINED = 64 * 1024,         /* bytes kept of requests that come before the answer to the last */
        MAX_UNSENT = 1024 * 1024,          /* of answers, above which no further request is begun */
};

/* What exists only while a request is being received: an idle connection and a streamed answer have none. */
struct incoming {
        llhttp_t parser;
        struct str target, name, value, body;
        struct http_headers headers;
        size_t header_bytes;
        int fail_status; /* the answer to a request that breaks a limit */
        const char *fail_text;
        bool in_trailers;
        bool complete;
        bool has_body;
};

struct subject {
        char *common_name;
        struct strv organizations;
};

enum conn_state {
        CONN_OPEN,   /* receives, or works on x */
        CONN_LINGER, /* all was said; waits for the peer to hang up, so that the answer is not lost in a reset */
        CONN_CLOSED, /* the stream is gone */
};

struct conn {
        struct http_server *server;
        struct stream *stream;      /* NULL once closed or upgraded */
        struct conn *prev, *next;
        struct incoming *incoming;
        struct http_exchange *exchange;
        struct str pipelined;
        char *peer_address;
        struct subject *subject; /* NULL: no verified certificate */
        int64_t deadline_ms; /* 0 = none */
        size_t last_pending;
        int refs;
        enum conn_state state;
        bool running : 1, peer_ended : 1, paused : 1, was_ready : 1;
        bool overdue : 1; /* the deadline was over at the last sweep */
};

enum exchange_state { EXCHANGE_WAITING, EXCHANGE_STREAMING, EXCHANGE_DONE };

struct http_exchange {
        struct http_request request;
        struct conn *conn;
        char *target, *path, *body;
        struct http_headers response_headers;
        void (*on_gone)(void *arg);
        void *on_gone_arg;
        void (*on_drain)(void *arg);
        void *on_drain_arg;
        int refs;
        enum exchange_state state;
        bool keep_alive : 1, is_head : 1, is_chunked : 1, in_handler : 1, minor_0 : 1;
};

struct listener {
        uv_tcp_t tcp; /* first */
        struct http_server *server;
};

struct http_server {
        struct loop *loop;
        struct http_server_options o;
        VEC(struct listener *) listeners;
        struct conn *conns;
        size_t conn_count;
        struct timer *sweeper;
        struct timer *grace;
        int refs; /* the owner's, and one for each connection's memory */
        bool stopping;
        void (*stopped)(void *arg);
        void *stopped_arg;
        int64_t date_s;
        char date[KTIME_SIZE];
};

static void conn_process(struct conn *c);

/* ---- connections ---- */

static void server_unref(struct http_server *s) {
        if (--s->refs > 0)
                return;
        free(s);
}

static void conn_unref(struct conn *c) {
        if (--c->refs > 0)
                return;
        server_unref(c->server);
        str_done(&c->pipelined);
        free(c->peer_address);
        if (c->subject) {
                free(c->subject->common_name);
                strv_done(&c->subject->organizations);
                free(c->subject);
        }
        free(c);
}

static void incoming_free(struct incoming *in) {
        if (!in)
                return;
        str_done(&in->target);
        str_done(&in->name);
        str_done(&in->value);
        str_done(&in->body);
        http_headers_done(&in->headers);
        free(in);
}

static void check_stopped(struct http_server *s) {
        if (!s->stopping || s->conn_count > 0 || !s->stopped)
                return;
        timer_free(TAKE(s->grace));
        void (*stopped)(void *) = TAKE(s->stopped);
        stopped(s->stopped_arg);
}

static void posted_check_stopped(void *arg) {
        struct conn *c = arg;
        check_stopped(c->server);
        conn_unref(c);
}

/* Takes the connection off the server's list; its stream is gone or somebody else's. */
static void conn_unlink(struct conn *c) {
        struct http_server *s = c->server;
        if (c->state == CONN_CLOSED)
                return;
        c->state = CONN_CLOSED;
        c->stream = NULL;
        incoming_free(TAKE(c->incoming));
        if (c->prev)
                c->prev->next = c->next;
        else
                s->conns = c->next;
        if (c->next)
                c->next->prev = c->prev;
        s->conn_count--;
        if (s->stopping && s->conn_count == 0) {
                c->refs++;
                loop_post(s->loop, posted_check_stopped, c);
        }
        conn_unref(c);
}

static void exchange_unref(struct http_exchange *x) {
        if (--x->refs > 0)
                return;
        http_headers_done(&x->request.headers);
        http_headers_done(&x->response_headers);
        free(x->body);
        free(x->target);
        free(x->path);
        conn_unref(x->conn);
        free(x);
}

static void conn_close(struct conn *c) {
        if (c->state == CONN_CLOSED)
                return;
        struct stream *stream = c->stream;
        struct http_exchange *x = TAKE(c->exchange);
        c->refs++;
        conn_unlink(c);
        stream_free(stream);
        if (x) {
                x->state = EXCHANGE_DONE;
                if (x->on_gone) {
                        void (*gone)(void *) = TAKE(x->on_gone);
                        gone(x->on_gone_arg);
                }
                exchange_unref(x);
        }
        conn_unref(c);
}

static void set_deadline(struct conn *c, int64_t ms) {
        c->deadline_ms = ms ? loop_now_ms(c->server->loop) + ms : 0;
        c->overdue = false;
}

static void conn_linger(struct conn *c) {
        if (c->state != CONN_OPEN)
                return;
        incoming_free(TAKE(c->incoming));
        str_done(&c->pipelined);
        c->state = CONN_LINGER;
        stream_pause(c->stream, false); /* what comes is dropped */
        stream_shutdown(c->stream);
        set_deadline(c, c->peer_ended ? c->server->o.idle_timeout_ms : LINGER_MS);
        c->last_pending = stream_pending(c->stream);
        if (c->peer_ended && c->last_pending == 0)
                conn_close(c);
}

/* An answer to what never became an exchange. */
static void refuse(struct conn *c, int status, const char *text) {
        AUTO(str) struct str out = STR_INIT(0);
        str_appendf(&out,
                    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                    status, http_status_text(status), strlen(text) + 1, text);
        stream_write(c->stream, str_sv(&out));
        conn_linger(c);
}

/* ---- receiving: llhttp's callbacks ---- */

static int fail(struct incoming *in, int status, const char *text) {
        in->fail_status = status;
        in->fail_text = text;
        return HPE_USER;
}

static int collect(struct incoming *in, struct str *to, const char *at, size_t len) {
        in->header_bytes += len;
        if (in->header_bytes > HTTP_MAX_HEADER_BYTES)
                return fail(in, 431, "the request line and headers are larger than 64 KiB");
        if (!in->in_trailers)
                str_append(to, at, len);
        return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len) {
        struct incoming *in = p->data;
        return collect(in, &in->target, at, len);
}

static int on_name(llhttp_t *p, const char *at, size_t len) {
        struct incoming *in = p->data;
        return collect(in, &in->name, at, len);
}

static int on_value(llhttp_t *p, const char *at, size_t len) {
        struct incoming *in = p->data;
        return collect(in, &in->value, at, len);
}

static int on_value_complete(llhttp_t *p) {
        struct incoming *in = p->data;
        if (in->in_trailers)
                return 0;
        if (in->headers.list.len >= HTTP_MAX_HEADERS)
                return fail(in, 431, "the request has more than 128 headers");
        http_headers_add(&in->headers, str_cstr(&in->name), str_cstr(&in->value));
        str_clear(&in->name);
        str_clear(&in->value);
        return 0;
}

static int count_headers(const struct http_headers *h, const char *name) {
        int n = 0;
        vec_foreach(e, &h->list) n += sv_ieq(sv_of(e->name), sv_of(name));
        return n;
}

static int on_headers_complete(llhttp_t *p) {
        struct incoming *in = p->data;
        in->in_trailers = true;
        if (p->http_major != 1)
                return fail(in, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        int hosts = count_headers(&in->headers, "Host");
        if (hosts > 1 || (hosts == 0 && p->http_minor >= 1))
                return fail(in, 400, "exactly one Host header is required");
        in->has_body = (p->flags & F_CHUNKED) || p->content_length > 0;
        if (!(p->flags & F_CHUNKED) && p->content_length > in->body.max)
                return fail(in, 413, "the request's body is larger than this server takes");
        return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len) {
        struct incoming *in = p->data;
        if (in->body.len == 0 && !(p->flags & F_CHUNKED))
                str_reserve(&in->body, len + (size_t)(p->content_length < 1024 * 1024 ? p->content_length : 1024 * 1024));
        in->body.overflow = false; /* of the reservation, which is only a guess */
        str_append(&in->body, at, len);
        return str_overflowed(&in->body) ? fail(in, 413, "the request's body is larger than this server takes") : 0;
}

static int on_message_complete(llhttp_t *p) {
        struct incoming *in = p->data;
        in->complete = true;
        return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

static struct incoming *incoming_new(struct http_server *s) {
        struct incoming *in = NEW(struct incoming);
        llhttp_init(&in->parser, HTTP_REQUEST, &settings);
        in->parser.data = in;
        in->body = STR_INIT(s->o.max_body);
        return in;
}

/* ---- exchanges ---- */

static void learn_peer(struct conn *c) {
        if (c->was_ready)
                return;
        c->was_ready = true;
        if (!stream_ssl(c->stream))
                return;
        struct subject s = {0};
        tls_session_subject(stream_ssl(c->stream), &s.common_name, &s.organizations);
        if (s.common_name || s.organizations.len) {
                c->subject = NEW(struct subject);
                *c->subject = s;
        }
}

/* Makes the request out of what was received. */
static struct http_exchange *exchange_new(struct conn *c, struct incoming *in) {
        struct http_exchange *x = NEW(struct http_exchange);
        x->refs = 1;
        x->conn = c;
        c->refs++;
        x->target = str_take(&in->target);
        char *query = strchr(x->target, '?');
        x->path = query ? xstrndup(x->target, (size_t)(query - x->target)) : NULL;
        size_t body_len = in->body.len;
        x->body = body_len ? str_take(&in->body) : NULL;
        x->is_head = in->parser.method == HTTP_HEAD;
        x->minor_0 = in->parser.http_minor == 0;
        x->keep_alive = llhttp_should_keep_alive(&in->parser) && !c->server->stopping;
        x->request = (struct http_request){
                .method = llhttp_method_name((llhttp_method_t)in->parser.method),
                .target = x->target,
                .path = x->path ? x->path : x->target,
                .query = query ? query + 1 : NULL,
                .headers = in->headers,
                .body = sv_new(x->body ? x->body : "", body_len),
                .peer_common_name = c->subject ? c->subject->common_name : NULL,
                .peer_organizations =
                        c->subject && c->subject->organizations.len ? (const char *const *)c->subject->organizations.items : NULL,
                .peer_address = c->peer_address,
                .is_tls = stream_is_tls(c->stream),
        };
        in->headers = (struct http_headers){0};
        return x;
}

static void lighten(struct http_exchange *x) {
        if (x->refs > 1)
                return;
        http_headers_done(&x->request.headers);
        http_headers_done(&x->response_headers);
        free(TAKE(x->body));
        x->request.body = SV_NULL;
}

static void dispatch(struct conn *c) {
        struct incoming *in = TAKE(c->incoming);
        learn_peer(c);
        struct http_exchange *x = exchange_new(c, in);
        incoming_free(in);
        c->exchange = x;
        c->deadline_ms = 0;
        x->refs++;
        x->in_handler = true;
        c->server->o.handler(x, &x->request, c->server->o.arg);
        x->in_handler = false;
        exchange_unref(x);
        if (c->exchange == x && x->state == EXCHANGE_STREAMING)
                lighten(x);
}

/* The answer is complete: the next request, or the end. */
static void exchange_end(struct http_exchange *x) {
        struct conn *c = x->conn;
        bool keep = x->keep_alive && !c->server->stopping && (!c->peer_ended || c->pipelined.len);
        x->state = EXCHANGE_DONE;
        x->on_gone = NULL;
        c->exchange = NULL;
        c->refs++;
        exchange_unref(x);
        if (!keep) {
                conn_linger(c);
        } else {
                set_deadline(c, c->server->o.idle_timeout_ms);
                c->last_pending = stream_pending(c->stream);
                if (!c->running)
                        conn_process(c);
        }
        conn_unref(c);
}

/* ---- from bytes to requests ---- */

/* Does the text begin with a well-formed request line? What the parser calls an invalid method is then one that is only unknown. */
static bool has_request_line(struct sv data) {
        struct sv line;
        if (!sv_split(&data, '\n', &line))
                return false;
        ssize_t first = sv_find_char(line, ' '), last = sv_rfind_char(line, ' ');
        return first > 0 && last > first && sv_starts(sv_new(line.data + last + 1, line.len - (size_t)last - 1), SV("HTTP/"));
}

static void parse_failed(struct conn *c, llhttp_errno_t e, struct sv data) {
        struct incoming *in = c->incoming;
        if (in->fail_status) {
                refuse(c, in->fail_status, in->fail_text);
                return;
        }
        AUTO(free) char *text = xasprintf("bad request: %s", llhttp_get_error_reason(&in->parser) ? llhttp_get_error_reason(&in->parser)
                                                                                                  : llhttp_errno_name(e));
        refuse(c, e == HPE_INVALID_VERSION ? 505 : e == HPE_INVALID_METHOD && has_request_line(data) ? 405 : 400, text);
}

/* 100 Continue once the headers are there, the body is wanted and not already coming. */
static void answer_expect(struct conn *c) {
        struct incoming *in = c->incoming;
        if (!in || !in->in_trailers || !in->has_body)
                return;
        in->has_body = false; /* only once */
        if (in->body.len == 0 && in->parser.http_minor >= 1 && http_headers_has_token(&in->headers, "Expect", "100-continue"))
                stream_write(c->stream, SV("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Parses up to the end of one request, which is dispatched; what comes after it is kept. */
static void parse(struct conn *c, struct sv data) {
        if (!c->incoming) {
                c->incoming = incoming_new(c->server);
                set_deadline(c, c->server->o.idle_timeout_ms);
        }
        struct incoming *in = c->incoming;
        llhttp_errno_t e = llhttp_execute(&in->parser, data.data, data.len);
        if (in->complete) {
                size_t eaten = e == HPE_OK ? data.len : (size_t)(llhttp_get_error_pos(&in->parser) - data.data);
                /* Before the handler runs: should it upgrade, these bytes are the new protocol's. */
                str_append(&c->pipelined, data.data + eaten, data.len - eaten);
                dispatch(c);
        } else if (e != HPE_OK) {
                parse_failed(c, e, data);
        } else {
                answer_expect(c);
        }
}

static void update_pause(struct conn *c) {
        bool pause = c->pipelined.len >= MAX_PIPELINED;
        if (pause != c->paused && c->state == CONN_OPEN) {
                c->paused = pause;
                stream_pause(c->stream, pause);
        }
}

static bool may_begin(const struct conn *c) {
        return c->state == CONN_OPEN && !c->exchange && stream_pending(c->stream) < MAX_UNSENT;
}

/* Works through what was kept. */
static void conn_process(struct conn *c) {
        if (c->running)
                return;
        c->running = true;
        c->refs++;
        while (may_begin(c) && c->pipelined.len) {
                AUTO(str) struct str kept = c->pipelined;
                c->pipelined = STR_INIT(0);
                parse(c, str_sv(&kept));
        }
        c->running = false;
        if (c->state == CONN_OPEN) {
                update_pause(c);
                if (c->peer_ended && !c->exchange && !c->pipelined.len)
                        conn_linger(c);
        }
        conn_unref(c);
}

static void on_data(void *arg, struct sv data) {
        struct conn *c = arg;
        if (c->state != CONN_OPEN)
                return;
        c->refs++;
        if (may_begin(c) && !c->pipelined.len) {
                c->running = true;
                parse(c, data);
                c->running = false;
        } else {
                str_append_sv(&c->pipelined, data);
        }
        conn_process(c);
        conn_unref(c);
}

/* As Go's server does for those who forget the s of https. */
static void explain_https(struct conn *c) {
        stream_write_raw(c->stream, SV("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"));
}

static void on_end(void *arg, const struct err *err) {
        struct conn *c = arg;
        c->peer_ended = true;
        if (err) {
                if (stream_ssl(c->stream) && strstr(err_message(err), "HTTP request"))
                        explain_https(c);
                conn_close(c);
        } else if (c->state == CONN_LINGER) {
                if (stream_pending(c->stream) == 0)
                        conn_close(c);
        } else if (c->exchange && c->exchange->state == EXCHANGE_STREAMING) {
                conn_close(c);
        } else if (!c->exchange && !c->pipelined.len) {
                conn_linger(c);
        }
}

static void on_drain(void *arg) {
        struct conn *c = arg;
        if (c->state == CONN_LINGER && c->peer_ended) {
                conn_close(c);
                return;
        }
        if (c->state == CONN_OPEN && c->exchange && c->exchange->on_drain) {
                c->exchange->on_drain(c->exchange->on_drain_arg);
                return;
        }
        if (c->state == CONN_OPEN)
                conn_process(c);
}

static void on_connection(uv_stream_t *h, int status) {
        struct listener *l = (struct listener *)h;
        struct http_server *s = l->server;
        struct stream *stream;
        if (status < 0 || stream_accept(s->loop, h, s->o.tls, &stream, NULL) < 0)
                return;
        if (s->conn_count >= s->o.max_connections) {
                stream_free(stream);
                return;
        }
        struct conn *c = NEW(struct conn);
        c->refs = 1;
        c->server = s;
        s->refs++;
        c->stream = stream;
        c->peer_address = stream_peer_address(stream);
        c->next = s->conns;
        if (s->conns)
                s->conns->prev = c;
        s->conns = c;
        s->conn_count++;
        set_deadline(c, s->o.tls && s->o.idle_timeout_ms > HANDSHAKE_MS ? HANDSHAKE_MS : s->o.idle_timeout_ms);
        struct stream_events ev = {.on_data = on_data, .on_end = on_end, .on_drain = on_drain, .arg = c};
        stream_set_events(stream, &ev);
}

static void expire(struct conn *c) {
        if (c->state == CONN_OPEN && c->incoming)
                refuse(c, 408, "the request did not arrive in time");
        else if (c->state == CONN_OPEN && !c->exchange && !stream_pending(c->stream))
                conn_linger(c);
        else
                conn_close(c);
}

/* Deadlines, of all connections at once: cheaper than a timer for each. A peer that takes some of its answer gets more time. A deadline
 * counts at the second sweep that finds it over: when this process was not running, what the peer sent meanwhile is read in between -
 * closing on it would be a reset, in which the answer gets lost. */
static void sweep(void *arg) {
        struct http_server *s = arg;
        int64_t now = loop_now_ms(s->loop);
        struct conn *c = s->conns;
        while (c) {
                size_t pending = stream_pending(c->stream);
                if (c->deadline_ms && pending && pending != c->last_pending) {
                        c->last_pending = pending;
                        set_deadline(c, s->o.idle_timeout_ms);
                }
                bool over = c->deadline_ms && now >= c->deadline_ms;
                if (over && c->overdue) {
                        expire(c);
                        c = s->conns; /* the list may be another one now */
                } else {
                        c->overdue = over;
                        c = c->next;
                }
        }
}

/* ---- the server ---- */

struct http_server *http_server_new(struct loop *l, const struct http_server_options *o) {
        struct http_server *s = NEW(struct http_server);
        s->refs = 1;
        s->loop = l;
        s->o = *o;
        if (!s->o.max_body)
                s->o.max_body = HTTP_MAX_BODY_BYTES;
        if (!s->o.idle_timeout_ms)
                s->o.idle_timeout_ms = DEFAULT_IDLE_MS;
        if (!s->o.max_connections)
                s->o.max_connections = DEFAULT_CONNECTIONS;
        int64_t every = s->o.idle_timeout_ms / 4 < 1000 ? s->o.idle_timeout_ms / 4 + 1 : 1000;
        s->sweeper = timer_new(l, every, every, sweep, s);
        return s;
}

static void free_listener(uv_handle_t *h) { free(h); }

static struct listener *listener_new(struct http_server *s) {
        struct listener *l = NEW(struct listener);
        l->server = s;
        uv_tcp_init(loop_uv(s->loop), &l->tcp);
        return l;
}

static int start_listening(struct http_server *s, struct listener *l) {
        int r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
        if (r == 0)
                *vec_push(&s->listeners) = l;
        return r;
}

static int bound_port(const struct listener *l) {
        struct sockaddr_storage sa = {0};
        int len = sizeof sa;
        if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sa, &len) < 0)
                return 0;
        return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port : ((struct sockaddr_in *)&sa)->sin_port);
}

int http_server_listen(struct http_server *s, const char *address, int port, int *ret_port, struct err *err) {
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } a = {0};
        if (uv_ip4_addr(address, port, &a.in) < 0 && uv_ip6_addr(address, port, &a.in6) < 0)
                return err_set(err, -EINVAL, "cannot listen on %s: not a numeric address", address);
        struct listener *l = listener_new(s);
        int r = uv_tcp_bind(&l->tcp, &a.sa, 0); /* sets SO_REUSEADDR */
        if (r == 0)
                r = start_listening(s, l);
        if (r < 0) {
                uv_close((uv_handle_t *)&l->tcp, free_listener);
                if (r == -EADDRINUSE) {
                        err_set(err, r, "cannot listen on %s port %d: another program already does", address, port);
                        err_hint(err, "`ss -ltnp 'sport = :%d'` shows which; stop it or choose another port", port);
                        return r;
                }
                return err_errno(err, r, "cannot listen on %s port %d", address, port);
        }
        if (ret_port)
                *ret_port = bound_port(l);
        return 0;
}

int http_server_adopt(struct http_server *s, int listening_fd, struct err *err) {
        struct listener *l = listener_new(s);
        int r = uv_tcp_open(&l->tcp, listening_fd);
        if (r == 0)
                r = start_listening(s, l);
        if (r < 0) {
                uv_close((uv_handle_t *)&l->tcp, free_listener);
                return err_errno(err, r, "cannot listen on descriptor %d", listening_fd);
        }
        return 0;
}

static void close_listeners(struct http_server *s) {
        vec_foreach(l, &s->listeners) uv_close((uv_handle_t *)&(*l)->tcp, free_listener);
        vec_done(&s->listeners);
}

static void close_all(struct http_server *s) {
        while (s->conns)
                conn_close(s->conns);
}

static void on_grace(void *arg) {
        struct http_server *s = arg;
        timer_free(TAKE(s->grace));
        close_all(s);
        check_stopped(s);
}

void http_server_stop(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg) {
        close_listeners(s);
        s->stopping = true;
        s->stopped = done;
        s->stopped_arg = arg;
        struct conn *next;
        for (struct conn *c = s->conns; c; c = next) {
                next = c->next;
                if (c->state == CONN_OPEN && !c->exchange && !c->incoming)
                        conn_linger(c);
        }
        s->grace = timer_new(s->loop, s->conn_count ? grace_ms : 0, 0, on_grace, s);
}

void http_server_free(struct http_server *s) {
        if (!s)
                return;
        close_listeners(s);
        s->stopped = NULL;
        close_all(s);
        timer_free(s->sweeper);
        timer_free(TAKE(s->grace));
        server_unref(s);
}

/* ---- answering ---- */

const struct http_request *http_request_of(struct http_exchange *x) { return &x->request; }

void http_hold(struct http_exchange *x) { x->refs++; }
void http_release(struct http_exchange *x) { exchange_unref(x); }

static bool is_gone(const struct http_exchange *x) { return x->state == EXCHANGE_DONE || x->conn->state != CONN_OPEN; }

void http_set_header(struct http_exchange *x, const char *name, const char *value) {
        if (x->state != EXCHANGE_WAITING)
                return;
        /* A value with a line break would be a header of its own. */
        if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n"))
                return;
        vec_foreach(e, &x->response_headers.list) {
                if (sv_ieq(sv_of(e->name), sv_of(name)) && !sv_ieq(sv_of(name), SV("Set-Cookie")) && !sv_ieq(sv_of(name), SV("Warning"))) {
                        free(e->value);
                        e->value = xstrdup(value);
                        return;
                }
        }
        http_headers_add(&x->response_headers, name, value);
}

static const char *date_now(struct http_server *s) {
        int64_t now = clock_now_ms();
        if (now / 1000 != s->date_s) {
                s->date_s = now / 1000;
                http_date_format(now, s->date);
        }
        return s->date;
}

static void append_head(struct http_exchange *x, struct str *out, int status, const char *content_type) {
        struct http_server *s = x->conn->server;
        if (s->stopping)
                x->keep_alive = false;
        str_appendf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_status_text(status), date_now(s));
        if (content_type)
                str_appendf(out, "Content-Type: %s\r\n", content_type);
        vec_foreach(e, &x->response_headers.list) str_appendf(out, "%s: %s\r\n", e->name, e->value);
}

static void append_connection(struct http_exchange *x, struct str *out) {
        if (!x->keep_alive)
                str_append_s(out, "Connection: close\r\n");
        else if (x->minor_0)
                str_append_s(out, "Connection: keep-alive\r\n");
}

static bool has_no_body(int status) { return status == 204 || status == 304 || status < 200; }

void http_respond(struct http_exchange *x, int status, const char *content_type, struct sv body) {
        if (is_gone(x) || x->state != EXCHANGE_WAITING)
                return;
        AUTO(str) struct str out = STR_INIT(0);
        str_reserve(&out, 384);
        append_head(x, &out, status, has_no_body(status) ? NULL : content_type);
        if (!has_no_body(status))
                str_appendf(&out, "Content-Length: %zu\r\n", body.len);
        append_connection(x, &out);
        str_append_s(&out, "\r\n");
        struct sv parts[] = {str_sv(&out), body};
        stream_writev(x->conn->stream, parts, x->is_head || has_no_body(status) ? 1 : 2);
        exchange_end(x);
}

void http_start(struct http_exchange *x, int status, const char *content_type) {
        if (is_gone(x) || x->state != EXCHANGE_WAITING)
                return;
        AUTO(str) struct str out = STR_INIT(0);
        if (x->minor_0)
                x->keep_alive = false; /* the end of the connection is the end of the body */
        x->is_chunked = !x->minor_0;
        append_head(x, &out, status, content_type);
        if (x->is_chunked)
                str_append_s(&out, "Transfer-Encoding: chunked\r\n");
        append_connection(x, &out);
        str_append_s(&out, "\r\n");
        stream_write(x->conn->stream, str_sv(&out));
        x->state = EXCHANGE_STREAMING;
        if (x->conn->peer_ended) /* who hung up does not wait for a stream; soon, because our caller still uses x */
                set_deadline(x->conn, 1);
        if (!x->in_handler)
                lighten(x);
}

void http_write(struct http_exchange *x, struct sv data) {
        if (is_gone(x) || x->state != EXCHANGE_STREAMING || data.len == 0 || x->is_head)
                return;
        if (!x->is_chunked) {
                stream_write(x->conn->stream, data);
                return;
        }
        char size[24];
        int n = snprintf(size, sizeof size, "%zx\r\n", data.len);
        struct sv parts[] = {sv_new(size, (size_t)n), data, SV("\r\n")};
        stream_writev(x->conn->stream, parts, 3);
}

size_t http_pending(struct http_exchange *x) { return is_gone(x) ? 0 : stream_pending(x->conn->stream); }

void http_on_drain(struct http_exchange *x, void (*fn)(void *arg), void *arg) {
        x->on_drain = fn;
        x->on_drain_arg = arg;
}

void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg) {
        x->on_gone = fn;
        x->on_gone_arg = arg;
}

void http_finish(struct http_exchange *x) {
        if (is_gone(x) || x->state != EXCHANGE_STREAMING)
                return;
        if (x->is_chunked && !x->is_head)
                stream_write(x->conn->stream, SV("0\r\n\r\n"));
        exchange_end(x);
}

void http_abort(struct http_exchange *x) {
        if (is_gone(x))
                return;
        struct conn *c = x->conn;
        bool needs_reset = !x->is_chunked; /* else the missing last chunk says it */
        c->refs++;
        x->keep_alive = false;
        c->exchange = NULL;
        x->state = EXCHANGE_DONE;
        exchange_unref(x);
        if (needs_reset) {
                struct stream *stream = c->stream;
                conn_unlink(c);
                stream_reset(stream);
        } else {
                conn_linger(c);
        }
        conn_unref(c);
}

struct loop *http_exchange_loop(struct http_exchange *x) { return x->conn->server->loop; }

struct stream *http_upgrade(struct http_exchange *x, const char *protocol) {
        if (is_gone(x) || x->state != EXCHANGE_WAITING)
                return NULL;
        struct conn *c = x->conn;
        struct stream *stream = c->stream;
        AUTO(str) struct str out = STR_INIT(0);
        str_appendf(&out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n", protocol);
        vec_foreach(e, &x->response_headers.list) str_appendf(&out, "%s: %s\r\n", e->name, e->value);
        str_append_s(&out, "\r\n");
        stream_write(stream, str_sv(&out));
        stream_set_events(stream, NULL);
        stream_pause(stream, false);
        stream_unread(stream, str_sv(&c->pipelined));
        c->refs++;
        c->exchange = NULL;
        conn_unlink(c);
        x->state = EXCHANGE_DONE;
        exchange_unref(x);
        conn_unref(c);
        return stream;
}
