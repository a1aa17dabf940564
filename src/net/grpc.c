#include "net/grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "net/stream.h"

enum { PREFIX = 5, MAX_STATUS_TEXT = 4096 };

struct grpc_call {
        struct loop *loop;
        struct grpc_call_options o;
        char *path, *authority, *user_agent;
        struct str request; /* with gRPC's prefix */
        size_t sent;
        struct stream_connecting *connecting;
        struct stream *stream;
        nghttp2_session *session;
        struct timer *timer;
        int32_t id;
        bool is_connected, is_closed; /* closed: our stream of the session is */
        uint32_t reset_code;          /* of HTTP/2, when closed */
        int http_status, status;      /* -1: not seen */
        bool is_text_wrong;           /* the content type is not gRPC's */
        struct str message, body;
};

static const char *const names[] = {"OK",
                                    "Canceled",
                                    "Unknown",
                                    "InvalidArgument",
                                    "DeadlineExceeded",
                                    "NotFound",
                                    "AlreadyExists",
                                    "PermissionDenied",
                                    "ResourceExhausted",
                                    "FailedPrecondition",
                                    "Aborted",
                                    "OutOfRange",
                                    "Unimplemented",
                                    "Internal",
                                    "Unavailable",
                                    "DataLoss",
                                    "Unauthenticated"};

char *grpc_status_name(int status) {
        return status >= 0 && status < (int)ARRAY_LEN(names) ? xstrdup(names[status]) : xasprintf("Code(%d)", status);
}

static void call_free(struct grpc_call *c) {
        timer_free(c->timer);
        if (c->connecting)
                stream_connect_cancel(c->connecting);
        nghttp2_session_del(c->session);
        if (c->stream)
                stream_free(c->stream);
        str_done(&c->request);
        str_done(&c->message);
        str_done(&c->body);
        free(c->path);
        free(c->authority);
        free(c->user_agent);
        free(c);
}

void grpc_call_cancel(struct grpc_call *c) { call_free(c); }

static void finish(struct grpc_call *c, int status, const char *message, struct sv body) {
        const struct grpc_answer a = {.is_connected = c->is_connected, .status = status, .message = message, .body = body};
        c->o.on_done(c->o.arg, &a, NULL);
        call_free(c);
}

static void fail(struct grpc_call *c, int code, const char *why) {
        AUTO(err) struct err err = ERR_INIT;
        const struct grpc_answer a = {.is_connected = c->is_connected, .status = GRPC_UNAVAILABLE, .message = ""};
        err_set(&err, code, "%s", why);
        c->o.on_done(c->o.arg, &a, &err);
        call_free(c);
}

/* ---- what comes of the session; it may not be freed in there ---- */

static int hex(char ch) {
        return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* grpc-message is percent-encoded; what is not a code stays as it is. */
static void decode_message(struct sv v, struct str *ret) {
        str_clear(ret);
        for (size_t i = 0; i < v.len; i++) {
                int high = v.data[i] == '%' && i + 2 < v.len ? hex(v.data[i + 1]) : -1, low = high >= 0 ? hex(v.data[i + 2]) : -1;
                str_append_c(ret, low >= 0 ? (char)(high << 4 | low) : v.data[i]);
                i += low >= 0 ? 2 : 0;
        }
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *arg) {
        struct grpc_call *c = arg;
        struct sv key = sv_new((const char *)name, name_len), v = sv_new((const char *)value, value_len);
        int64_t number = 0;
        if (frame->hd.stream_id != c->id)
                return 0;
        if (sv_eqs(key, ":status") && sv_to_int64(v, &number))
                c->http_status = (int)number;
        else if (sv_eqs(key, "content-type"))
                c->is_text_wrong = !sv_starts(v, SV("application/grpc"));
        else if (sv_eqs(key, "grpc-status"))
                c->status = sv_to_int64(v, &number) && number >= 0 && number < 10000 ? (int)number : GRPC_UNKNOWN;
        else if (sv_eqs(key, "grpc-message"))
                decode_message(v, &c->message);
        return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg) {
        struct grpc_call *c = arg;
        if (id != c->id)
                return 0;
        str_append(&c->body, data, len);
        return str_overflowed(&c->body) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg) {
        struct grpc_call *c = arg;
        if (frame->hd.type == NGHTTP2_SETTINGS)
                c->is_connected = true;
        return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg) {
        struct grpc_call *c = arg;
        if (id == c->id) {
                c->is_closed = true;
                c->reset_code = code;
        }
        return 0;
}

static ssize_t read_request(nghttp2_session *s, int32_t id, uint8_t *buffer, size_t len, uint32_t *flags, nghttp2_data_source *source,
                            void *arg) {
        struct grpc_call *c = arg;
        size_t left = c->request.len - c->sent, n = left < len ? left : len;
        memcpy(buffer, c->request.data + c->sent, n);
        c->sent += n;
        if (c->sent == c->request.len)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}

/* ---- the end ---- */

/* The one message in gRPC's prefix: not compressed, its length in four bytes. */
static bool take_message(struct sv v, struct sv *ret) {
        const unsigned char *p = (const unsigned char *)v.data;
        if (v.len < PREFIX || p[0] != 0 || ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]) != v.len - PREFIX)
                return false;
        *ret = sv_new(v.data + PREFIX, v.len - PREFIX);
        return true;
}

static void conclude(struct grpc_call *c) {
        struct sv body;
        if (c->status < 0 && c->http_status > 0 && c->http_status != 200) {
                AUTO(free) char *text = xasprintf("unexpected HTTP status code received from server: %d", c->http_status);
                finish(c, c->http_status == 404 ? GRPC_UNIMPLEMENTED : GRPC_UNKNOWN, text, SV_NULL);
        } else if (c->status < 0 && c->reset_code) {
                AUTO(free) char *text =
                        xasprintf("stream terminated by RST_STREAM with error code: %s", nghttp2_http2_strerror(c->reset_code));
                finish(c, c->reset_code == NGHTTP2_REFUSED_STREAM ? GRPC_UNAVAILABLE : GRPC_INTERNAL, text, SV_NULL);
        } else if (c->status < 0) {
                finish(c, c->is_text_wrong ? GRPC_UNKNOWN : GRPC_INTERNAL,
                       c->is_text_wrong ? "the answer is not gRPC's" : "server closed the stream without sending trailers", SV_NULL);
        } else if (c->status != GRPC_OK) {
                finish(c, c->status, str_cstr(&c->message), SV_NULL);
        } else if (!take_message(str_sv(&c->body), &body)) {
                finish(c, GRPC_INTERNAL, "the answer is not one uncompressed message", SV_NULL);
        } else {
                finish(c, GRPC_OK, str_cstr(&c->message), body);
        }
}

/* Sends what the session wants to, and looks whether it is over; the call may be gone afterwards. */
static void pump(struct grpc_call *c) {
        const uint8_t *data;
        for (ssize_t n; (n = nghttp2_session_mem_send(c->session, &data)) > 0;)
                stream_write(c->stream, sv_new((const char *)data, (size_t)n));
        if (c->is_closed)
                conclude(c);
        else if (!nghttp2_session_want_read(c->session))
                fail(c, -EPROTO, "the peer does not speak HTTP/2, or ended the session");
}

static void stream_data(void *arg, struct sv data) {
        struct grpc_call *c = arg;
        ssize_t n = nghttp2_session_mem_recv(c->session, (const uint8_t *)data.data, data.len);
        if (n < 0)
                fail(c, -EPROTO, str_overflowed(&c->body) ? "the answer is too long" : nghttp2_strerror((int)n));
        else
                pump(c);
}

static void stream_end(void *arg, const struct err *err) {
        fail(arg, -ECONNRESET, err ? err_message(err) : "the connection ended without an answer");
}

static void on_timeout(void *arg) { fail(arg, -ETIMEDOUT, "context deadline exceeded"); }

static nghttp2_nv header(const char *name, const char *value) {
        return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                            .value = (uint8_t *)(uintptr_t)value,
                            .namelen = strlen(name),
                            .valuelen = strlen(value)};
}

static int begin(struct grpc_call *c) {
        char timeout[32];
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
        int r = nghttp2_session_client_new(&c->session, cb, c);
        nghttp2_session_callbacks_del(cb);
        snprintf(timeout, sizeof timeout, "%lldm", (long long)c->o.timeout_ms);
        const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
        const nghttp2_nv headers[] = {header(":method", "POST"),
                                      header(":scheme", "http"),
                                      header(":path", c->path),
                                      header(":authority", c->authority),
                                      header("content-type", "application/grpc"),
                                      header("user-agent", c->user_agent),
                                      header("te", "trailers"),
                                      header("grpc-timeout", timeout)};
        const nghttp2_data_provider body = {.read_callback = read_request};
        if (r != 0 || nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0)
                return -ENOMEM;
        c->id = nghttp2_submit_request(c->session, NULL, headers, ARRAY_LEN(headers), &body, NULL);
        return c->id < 0 ? -EINVAL : 0;
}

static void connected(void *arg, struct stream *s, const struct err *err) {
        struct grpc_call *c = arg;
        c->connecting = NULL;
        c->stream = s;
        if (!s) {
                fail(c, err->code, err_message(err));
        } else if (begin(c) < 0) {
                fail(c, -EINVAL, "the call cannot be put into HTTP/2");
        } else {
                stream_set_events(s, &(struct stream_events){.on_data = stream_data, .on_end = stream_end, .arg = c});
                pump(c);
        }
}

struct grpc_call *grpc_call_start(struct loop *l, const struct grpc_call_options *o) {
        const char prefix[PREFIX] = {0, (char)(o->body.len >> 24), (char)(o->body.len >> 16), (char)(o->body.len >> 8), (char)o->body.len};
        struct grpc_call *c = NEW(struct grpc_call);
        *c = (struct grpc_call){.loop = l,
                                .o = *o,
                                .path = xstrdup(o->path),
                                .authority = xasprintf("%s:%d", o->host, o->port),
                                .user_agent = xstrdup(o->user_agent ? o->user_agent : "firesteel"),
                                .status = -1,
                                .message = STR_INIT(MAX_STATUS_TEXT),
                                .body = STR_INIT(GRPC_MAX_ANSWER + PREFIX)};
        str_append(&c->request, prefix, PREFIX);
        str_append_sv(&c->request, o->body);
        c->timer = timer_new(l, o->timeout_ms, 0, on_timeout, c);
        c->connecting = stream_connect(l, o->host, o->port, NULL, 0, connected, c);
        return c;
}
