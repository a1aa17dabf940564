/* Memory is why this looks as it does: a server holds thousands of idle watches, so a stream at rest owns no buffer. Bytes are read
 * into the loop's scratch buffer and handed on from there; OpenSSL reads from it and writes to `queue` through a BIO of our own.
 * What cannot be handed on (nobody listens, paused) is copied, and reading stops, so that it stays small. */
#include "net/stream.h"

#include <linux/sockios.h>
#include <openssl/err.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "net/stream-internal.h"
#include "net/tls-internal.h"

enum {
        TLS_PIECE = 16 * 1024,       /* plain bytes of one record */
        WRITE_PIECE = 1024 * 1024,   /* plain bytes encrypted before the kernel is asked to take some */
};

struct write_op {
        uv_write_t req;
        struct str data;
};

struct buffers {
        struct str held;   /* TLS: ciphertext, else plain bytes, that came while nobody listened */
        struct str unread; /* plain bytes to deliver before all others */
        struct str queue;  /* to be written after `writing` */
};

/* What streams at rest have: 8 bytes instead of 120. Never written to. */
static struct buffers no_buffers;

struct stream {
        union {
                uv_handle_t handle;
                uv_stream_t stream;
                uv_tcp_t tcp;
                uv_pipe_t pipe;
        } uv;
        struct loop *loop;
        SSL *ssl;
        struct stream_events ev;
        struct sv input;      /* TLS: bytes of the current read that OpenSSL has not taken */
        struct buffers *buffers; /* `no_buffers` at rest */
        struct write_op *writing;
        uv_shutdown_t *shutdown;
        struct stream_connecting *handshake; /* who waits for the client's handshake */
        int broken;                          /* negative errno */
        int refs;                            /* the handle's, and one for each posted call */
        bool has_events : 1, paused : 1, reading : 1, eof : 1, ended : 1, closing : 1, posted : 1;
        bool handshaking : 1, drain_wanted : 1, shutdown_wanted : 1, pumping : 1;
};

static void pump(struct stream *s);
static void flush(struct stream *s);
static void after_writing(struct stream *s);
static void handshake_done(struct stream *s, const struct err *err);

/* Before anything is put into a buffer. */
static struct buffers *own_buffers(struct stream *s) {
        if (s->buffers == &no_buffers)
                s->buffers = NEW(struct buffers);
        return s->buffers;
}

static void empty(struct stream *s, struct str *buffer) {
        if (s->buffers != &no_buffers)
                str_done(buffer);
}

static void drop_empty_buffers(struct stream *s) {
        struct buffers *b = s->buffers;
        if (b == &no_buffers || b->held.len || b->unread.len || b->queue.len)
                return;
        str_done(&b->held);
        str_done(&b->unread);
        str_done(&b->queue);
        free(b);
        s->buffers = &no_buffers;
}

static struct stream *stream_new(struct loop *l) {
        struct stream *s = NEW(struct stream);
        s->buffers = &no_buffers;
        s->loop = l;
        s->refs = 1;
        return s;
}

static void stream_unref(struct stream *s) {
        if (--s->refs > 0)
                return;
        SSL_free(s->ssl);
        empty(s, &s->buffers->held);
        empty(s, &s->buffers->unread);
        empty(s, &s->buffers->queue);
        drop_empty_buffers(s);
        free(s->shutdown);
        free(s);
}

static void on_closed(uv_handle_t *h) { stream_unref(h->data); }

void stream_free(struct stream *s) {
        if (!s || s->closing)
                return;
        s->closing = true;
        s->has_events = false;
        uv_close(&s->uv.handle, on_closed);
}

void stream_reset(struct stream *s) {
        if (s->closing)
                return;
        if (s->uv.handle.type != UV_TCP || s->shutdown || uv_tcp_close_reset(&s->uv.tcp, on_closed) < 0) {
                stream_free(s);
                return;
        }
        s->closing = true;
        s->has_events = false;
}

static void posted_pump(void *arg) {
        struct stream *s = arg;
        s->posted = false;
        if (!s->closing)
                pump(s);
        stream_unref(s);
}

/* Goes on from the loop: callers of stream_write() and the like are never called back from within. */
static void pump_later(struct stream *s) {
        if (s->posted || s->closing)
                return;
        s->posted = true;
        s->refs++;
        loop_post(s->loop, posted_pump, s);
}

static void set_broken(struct stream *s, int code) {
        if (!s->broken)
                s->broken = code;
        pump_later(s);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
        struct stream *s = h->data;
        *buf = uv_buf_init(loop_scratch(s->loop), LOOP_SCRATCH);
}

static void hold(struct stream *s, struct sv data) { str_append_sv(&own_buffers(s)->held, data); }

static void on_read(uv_stream_t *h, ssize_t nread, const uv_buf_t *buf) {
        struct stream *s = h->data;
        if (nread == 0)
                return;
        if (nread < 0) {
                s->reading = false;
                uv_read_stop(h);
                if (nread == UV_EOF)
                        s->eof = true;
                else if (!s->broken)
                        s->broken = (int)nread;
        } else {
                s->input = sv_new(buf->base, (size_t)nread);
                if (s->buffers->held.len) {
                        hold(s, s->input);
                        s->input = SV_NULL;
                }
        }
        pump(s);
}

static void update_reading(struct stream *s) {
        bool want = !s->closing && !s->eof && !s->broken && (s->handshaking || (s->has_events && !s->paused)) && !s->buffers->held.len &&
                    !s->buffers->unread.len;
        if (s->closing || want == s->reading)
                return;
        s->reading = want;
        if (want) {
                int r = uv_read_start(&s->uv.stream, on_alloc, on_read);
                if (r < 0)
                        set_broken(s, r);
        } else {
                uv_read_stop(&s->uv.stream);
        }
}

static bool may_deliver(const struct stream *s) { return !s->closing && s->has_events && !s->paused && !s->ended; }

static void deliver_buffer(struct stream *s, struct str *from) {
        struct str data = *from;
        *from = STR_INIT(0);
        s->ev.on_data(s->ev.arg, str_sv(&data));
        str_done(&data);
}

/* False: nothing more can be read now. */
static bool deliver_tls(struct stream *s) {
        char plain[TLS_PIECE];
        ERR_clear_error();
        int n = SSL_read(s->ssl, plain, sizeof plain);
        if (n > 0) {
                s->ev.on_data(s->ev.arg, sv_new(plain, (size_t)n));
                return true;
        }
        int e = SSL_get_error(s->ssl, n);
        if (e == SSL_ERROR_ZERO_RETURN) {
                s->eof = true;
                s->input = SV_NULL;
                empty(s, &s->buffers->held);
        } else if (e != SSL_ERROR_WANT_READ && !s->eof) {
                ERR_clear_error();
                if (!s->broken)
                        s->broken = -EPROTO;
        }
        return false;
}

static bool deliver_some(struct stream *s) {
        if (s->buffers->unread.len) {
                deliver_buffer(s, &s->buffers->unread);
                return true;
        }
        if (s->ssl)
                return deliver_tls(s);
        if (s->buffers->held.len) {
                deliver_buffer(s, &s->buffers->held);
                return true;
        }
        if (s->input.len) {
                struct sv data = s->input;
                s->input = SV_NULL;
                s->ev.on_data(s->ev.arg, data);
                return true;
        }
        return false;
}

static void deliver_end(struct stream *s) {
        s->ended = true;
        if (!s->broken) {
                s->ev.on_end(s->ev.arg, NULL);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        if (s->broken == -EPROTO)
                err_set(&err, s->broken, "TLS: the peer broke the protocol");
        else
                err_errno(&err, s->broken, "connection broken");
        s->ev.on_end(s->ev.arg, &err);
}

static void do_handshake(struct stream *s) {
        ERR_clear_error();
        int r = SSL_do_handshake(s->ssl);
        if (r == 1) {
                s->handshaking = false;
                flush(s);
                handshake_done(s, NULL);
                return;
        }
        int e = SSL_get_error(s->ssl, r);
        if (e == SSL_ERROR_WANT_READ && !s->eof && !s->broken) {
                flush(s);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        if (e == SSL_ERROR_WANT_READ && s->broken)
                err_errno(&err, s->broken, "TLS handshake");
        else
                tls_session_error(s->ssl, e == SSL_ERROR_WANT_READ ? SSL_ERROR_SYSCALL : e, &err);
        flush(s); /* the alert that tells the peer why */
        s->handshaking = false;
        s->ended = true;
        if (s->handshake)
                handshake_done(s, &err);
        else if (s->has_events)
                s->ev.on_end(s->ev.arg, &err);
}

static bool more_input(const struct stream *s) { return s->input.len || s->buffers->held.len; }

/* Hands on all that can be, then sees to it that what remains is kept and that reading goes on or stops. */
static void pump(struct stream *s) {
        if (s->pumping)
                return;
        s->pumping = true;
        s->refs++;
        if (s->handshaking)
                do_handshake(s);
        if (!s->handshaking) {
                while (may_deliver(s) && deliver_some(s))
                        ;
                if (may_deliver(s) && (s->eof || s->broken) && !s->buffers->unread.len)
                        deliver_end(s);
                else if (s->broken && !s->closing && !s->ended && s->has_events)
                        deliver_end(s); /* paused: nobody will read the rest of a broken connection */
        }
        if (s->input.len) {
                if (!s->closing)
                        hold(s, s->input);
                s->input = SV_NULL;
        }
        s->pumping = false;
        if (!s->closing) {
                if (s->ssl) {
                        flush(s);
                        after_writing(s);
                }
                update_reading(s);
                drop_empty_buffers(s);
        }
        stream_unref(s);
}

/* ---- OpenSSL's two ends ---- */

static int bio_read(BIO *b, char *out, int len) {
        struct stream *s = BIO_get_data(b);
        BIO_clear_retry_flags(b);
        size_t n = (size_t)len;
        if (s->buffers->held.len) {
                n = n < s->buffers->held.len ? n : s->buffers->held.len;
                memcpy(out, s->buffers->held.data, n);
                if (n == s->buffers->held.len)
                        str_done(&s->buffers->held);
                else
                        str_consume(&s->buffers->held, n);
                return (int)n;
        }
        if (s->input.len) {
                n = n < s->input.len ? n : s->input.len;
                memcpy(out, s->input.data, n);
                s->input = sv_new(s->input.data + n, s->input.len - n);
                return (int)n;
        }
        if (s->eof)
                return 0;
        BIO_set_retry_read(b);
        return -1;
}

static int bio_write(BIO *b, const char *data, int len) {
        struct stream *s = BIO_get_data(b);
        str_append(&own_buffers(s)->queue, data, (size_t)len);
        return len;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr) {
        struct stream *s = BIO_get_data(b);
        if (cmd == BIO_CTRL_EOF)
                return s->eof && !more_input(s);
        return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(void) {
        static BIO_METHOD *method; /* loops in several threads at worst make it twice */
        BIO_METHOD *m = __atomic_load_n(&method, __ATOMIC_ACQUIRE);
        if (!m) {
                m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
                if (!m)
                        abort();
                BIO_meth_set_read(m, bio_read);
                BIO_meth_set_write(m, bio_write);
                BIO_meth_set_ctrl(m, bio_ctrl);
                BIO_METHOD *none = NULL;
                if (!__atomic_compare_exchange_n(&method, &none, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
                        BIO_meth_free(m);
                        m = none;
                }
        }
        return m;
}

static int attach_tls(struct stream *s, struct tls_context *tls, const char *host, struct err *err) {
        int r = tls_session_new(tls, host, &s->ssl, err);
        if (r < 0)
                return r;
        BIO *b = BIO_new(bio_method());
        if (!b)
                abort();
        BIO_set_data(b, s);
        BIO_set_init(b, 1);
        SSL_set_bio(s->ssl, b, b);
        s->handshaking = true;
        return 0;
}

/* ---- writing ---- */

static void on_written(uv_write_t *req, int status) {
        struct write_op *op = (struct write_op *)req;
        struct stream *s = req->data;
        str_done(&op->data);
        free(op);
        s->writing = NULL;
        if (s->closing)
                return;
        if (status < 0)
                set_broken(s, status);
        flush(s);
        s->refs++; /* on_drain may free it */
        after_writing(s);
        if (!s->pumping)
                drop_empty_buffers(s);
        stream_unref(s);
}

static void after_writing(struct stream *s) {
        if (s->closing || s->writing || s->buffers->queue.len)
                return;
        if (s->drain_wanted) {
                s->drain_wanted = false;
                if (s->has_events && s->ev.on_drain)
                        s->ev.on_drain(s->ev.arg);
        }
}

static void on_shut(uv_shutdown_t *req, int status) {}

static void start_shutdown(struct stream *s) {
        s->shutdown = NEW(uv_shutdown_t);
        if (uv_shutdown(s->shutdown, &s->uv.stream, on_shut) < 0)
                set_broken(s, -ECONNRESET);
}

/* Gives the queue to the kernel, and what that does not take to libuv. */
static void flush(struct stream *s) {
        if (s->closing || s->writing)
                return;
        if (s->broken)
                empty(s, &s->buffers->queue);
        if (s->buffers->queue.len) {
                uv_buf_t buf = uv_buf_init(s->buffers->queue.data,
                                           (unsigned)(s->buffers->queue.len < INT32_MAX ? s->buffers->queue.len : INT32_MAX));
                int n = uv_try_write(&s->uv.stream, &buf, 1);
                if (n < 0 && n != UV_EAGAIN) {
                        str_done(&s->buffers->queue);
                        set_broken(s, n);
                        return;
                }
                if (n > 0 && (size_t)n == s->buffers->queue.len) {
                        str_done(&s->buffers->queue);
                } else {
                        if (n > 0)
                                str_consume(&s->buffers->queue, (size_t)n);
                        struct write_op *op = NEW(struct write_op);
                        op->data = s->buffers->queue;
                        op->req.data = s;
                        s->buffers->queue = STR_INIT(0);
                        s->drain_wanted = true;
                        buf = uv_buf_init(op->data.data, (unsigned)(op->data.len < INT32_MAX ? op->data.len : INT32_MAX));
                        if (op->data.len > INT32_MAX) /* the rest waits its turn */
                                str_append(&s->buffers->queue, op->data.data + INT32_MAX, op->data.len - INT32_MAX);
                        s->writing = op;
                        int r = uv_write(&op->req, &s->uv.stream, &buf, 1, on_written);
                        if (r < 0) {
                                s->writing = NULL;
                                str_done(&op->data);
                                free(op);
                                set_broken(s, r);
                        }
                        return;
                }
        }
        if (s->shutdown_wanted && !s->shutdown && !s->broken)
                start_shutdown(s);
}

static void write_tls(struct stream *s, struct sv data) {
        while (data.len && !s->broken) {
                ERR_clear_error();
                int n = SSL_write(s->ssl, data.data, (int)(data.len < TLS_PIECE ? data.len : TLS_PIECE));
                if (n <= 0) {
                        ERR_clear_error();
                        set_broken(s, -EPROTO);
                        return;
                }
                data = sv_new(data.data + n, data.len - (size_t)n);
                if (s->buffers->queue.len > WRITE_PIECE)
                        flush(s);
        }
}

/* Small pieces go into one record. */
static void writev_tls(struct stream *s, const struct sv *parts, size_t count) {
        size_t total = 0;
        for (size_t i = 0; i < count; i++)
                total += parts[i].len;
        char together[TLS_PIECE];
        if (count > 1 && total <= sizeof together) {
                size_t at = 0;
                for (size_t i = 0; i < count; i++) {
                        if (parts[i].len)
                                memcpy(together + at, parts[i].data, parts[i].len);
                        at += parts[i].len;
                }
                write_tls(s, sv_new(together, total));
        } else {
                for (size_t i = 0; i < count; i++)
                        write_tls(s, parts[i]);
        }
        if (!s->pumping)
                flush(s);
        else if (s->buffers->queue.len)
                s->drain_wanted = true; /* who asks stream_pending() now will wait for it */
}

enum { MAX_PARTS = 8 };

void stream_writev(struct stream *s, const struct sv *parts, size_t count) {
        if (s->closing || s->broken || s->shutdown_wanted)
                return;
        if (s->ssl) {
                writev_tls(s, parts, count);
                if (!s->pumping)
                        drop_empty_buffers(s);
                return;
        }
        size_t taken = 0;
        if (!s->writing && !s->buffers->queue.len && count <= MAX_PARTS) {
                uv_buf_t bufs[MAX_PARTS];
                unsigned n = 0;
                for (size_t i = 0; i < count; i++) {
                        if (parts[i].len && parts[i].len <= INT32_MAX)
                                bufs[n++] = uv_buf_init((char *)(uintptr_t)parts[i].data, (unsigned)parts[i].len);
                        else if (parts[i].len)
                                break;
                }
                int r = n ? uv_try_write(&s->uv.stream, bufs, n) : 0;
                if (r < 0 && r != UV_EAGAIN) {
                        set_broken(s, r);
                        return;
                }
                taken = r > 0 ? (size_t)r : 0;
        }
        for (size_t i = 0; i < count; i++) {
                size_t skip = taken < parts[i].len ? taken : parts[i].len;
                taken -= skip;
                if (parts[i].len > skip)
                        str_append(&own_buffers(s)->queue, parts[i].data + skip, parts[i].len - skip);
        }
        if (s->buffers->queue.len)
                flush(s);
}

void stream_write(struct stream *s, struct sv data) { stream_writev(s, &data, 1); }

void stream_write_raw(struct stream *s, struct sv data) {
        str_append_sv(&own_buffers(s)->queue, data);
        flush(s);
}

size_t stream_pending(const struct stream *s) {
        return s->buffers->queue.len + (s->writing && !s->closing ? uv_stream_get_write_queue_size(&s->uv.stream) : 0);
}

void stream_shutdown(struct stream *s) {
        if (s->closing || s->shutdown_wanted)
                return;
        if (s->ssl && !s->handshaking && !s->broken) {
                ERR_clear_error();
                SSL_shutdown(s->ssl);
                ERR_clear_error();
        }
        s->shutdown_wanted = true;
        flush(s);
}

enum { FINISH_STALL_MS = 60000 };

struct finisher {
        struct stream *stream;
        struct timer *timer;
        int64_t linger_ms;
        size_t left;         /* bytes that the peer had not taken at the last look */
        int64_t progress_ms; /* when it last took some */
        bool peer_ended;
};

static void finisher_free(struct finisher *f) {
        stream_free(f->stream);
        timer_free(f->timer);
        free(f);
}

static void finisher_data(void *arg, struct sv data) {}

static void finisher_end(void *arg, const struct err *err) {
        struct finisher *f = arg;
        f->peer_ended = true;
        if (err || stream_pending(f->stream) == 0)
                finisher_free(f);
}

static void finisher_drain(void *arg) {
        struct finisher *f = arg;
        if (f->peer_ended)
                finisher_free(f);
}

/* What is on its way to the peer, in the kernel too: closing with it there would be a reset for a peer that still sends. */
static size_t finisher_left(const struct finisher *f) {
        uv_os_fd_t fd;
        int in_kernel = 0;
        size_t left = stream_pending(f->stream);
        if (uv_fileno(&f->stream->uv.handle, &fd) == 0 && ioctl(fd, SIOCOUTQ, &in_kernel) == 0 && in_kernel > 0)
                left += (size_t)in_kernel;
        return left;
}

/* A peer that reads slowly is waited for, one that has stopped reading not for ever. */
static void finisher_expired(void *arg) {
        struct finisher *f = arg;
        size_t left = finisher_left(f);
        int64_t now = clock_mono_ms();
        if (left != f->left) {
                f->left = left;
                f->progress_ms = now;
        }
        if (left > 0 && now - f->progress_ms < FINISH_STALL_MS)
                timer_again(f->timer, f->linger_ms, 0);
        else
                finisher_free(f);
}

void stream_finish(struct stream *s, int64_t linger_ms) {
        if (s->ended && stream_pending(s) == 0) {
                stream_free(s);
                return;
        }
        struct finisher *f = NEW(struct finisher);
        f->stream = s;
        f->peer_ended = s->ended;
        f->linger_ms = linger_ms;
        f->progress_ms = clock_mono_ms();
        f->timer = timer_new(s->loop, linger_ms, 0, finisher_expired, f);
        struct stream_events ev = {.on_data = finisher_data, .on_end = finisher_end, .on_drain = finisher_drain, .arg = f};
        stream_set_events(s, &ev);
        stream_pause(s, false);
        stream_shutdown(s);
}

/* ---- the rest of the face ---- */

void stream_set_events(struct stream *s, const struct stream_events *ev) {
        if (s->closing)
                return;
        s->has_events = ev != NULL;
        s->ev = ev ? *ev : (struct stream_events){0};
        if (s->buffers->unread.len || s->buffers->held.len || s->eof || s->broken || s->ssl)
                pump_later(s); /* OpenSSL may hold plain bytes of its own */
        if (!s->pumping)
                update_reading(s);
}

void stream_pause(struct stream *s, bool paused) {
        if (s->closing || s->paused == paused)
                return;
        s->paused = paused;
        if (!paused && (s->buffers->unread.len || s->buffers->held.len || s->eof || s->ssl))
                pump_later(s);
        if (!s->pumping)
                update_reading(s);
}

void stream_unread(struct stream *s, struct sv data) {
        if (!data.len)
                return;
        AUTO(str) struct str old = own_buffers(s)->unread;
        s->buffers->unread = STR_INIT(0);
        str_append_sv(&s->buffers->unread, data);
        str_append_sv(&s->buffers->unread, str_sv(&old));
        pump_later(s);
}

static char *address_text(const struct sockaddr *sa) {
        char host[INET6_ADDRSTRLEN] = "";
        if (sa->sa_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
                uv_ip4_name(in, host, sizeof host);
                return xasprintf("%s:%d", host, ntohs(in->sin_port));
        }
        if (sa->sa_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
                uv_ip6_name(in6, host, sizeof host);
                return xasprintf("[%s]:%d", host, ntohs(in6->sin6_port));
        }
        return xstrdup("unix");
}

char *stream_peer_address(const struct stream *s) {
        struct sockaddr_storage sa = {0};
        int len = sizeof sa;
        if (s->uv.handle.type == UV_TCP)
                uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&sa, &len);
        return address_text((struct sockaddr *)&sa);
}

bool stream_is_tls(const struct stream *s) { return s->ssl != NULL; }
SSL *stream_ssl(const struct stream *s) { return s->ssl; }
bool stream_is_ready(const struct stream *s) { return !s->handshaking; }

void stream_set_idle(struct stream *s, bool idle) {
        if (s->closing)
                return;
        if (idle)
                uv_unref(&s->uv.handle);
        else
                uv_ref(&s->uv.handle);
}

bool stream_is_quiet(const struct stream *s) {
        if (s->closing || s->eof || s->broken || s->ended || s->buffers->held.len || s->buffers->unread.len || s->writing ||
            s->buffers->queue.len)
                return false;
        int fd;
        char byte;
        if (uv_fileno(&s->uv.handle, &fd) < 0)
                return false;
        return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int init_tcp(struct stream *s, unsigned family) {
        int r = uv_tcp_init_ex(loop_uv(s->loop), &s->uv.tcp, family);
        s->uv.handle.data = s;
        return r;
}

int stream_adopt(struct loop *l, int fd, struct stream **ret, struct err *err) {
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof sa;
        bool is_inet = getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.ss_family != AF_UNIX;
        struct stream *s = stream_new(l);
        int r;
        if (is_inet) {
                r = init_tcp(s, 0);
                if (r == 0)
                        r = uv_tcp_open(&s->uv.tcp, fd);
                if (r == 0)
                        uv_tcp_nodelay(&s->uv.tcp, 1);
        } else {
                r = uv_pipe_init(loop_uv(l), &s->uv.pipe, 0);
                s->uv.handle.data = s;
                if (r == 0)
                        r = uv_pipe_open(&s->uv.pipe, fd);
        }
        if (r < 0) {
                stream_free(s);
                return err_errno(err, r, "descriptor %d cannot be used as a stream", fd);
        }
        *ret = s;
        return 0;
}

int stream_accept(struct loop *l, uv_stream_t *listener, struct tls_context *tls, struct stream **ret, struct err *err) {
        struct stream *s = stream_new(l);
        int r;
        if (listener->type == UV_TCP) {
                r = init_tcp(s, 0);
        } else {
                r = uv_pipe_init(loop_uv(l), &s->uv.pipe, 0);
                s->uv.handle.data = s;
        }
        if (r == 0)
                r = uv_accept(listener, &s->uv.stream);
        if (r < 0) {
                stream_free(s);
                return err_errno(err, r, "accept");
        }
        if (listener->type == UV_TCP)
                uv_tcp_nodelay(&s->uv.tcp, 1);
        if (tls) {
                r = attach_tls(s, tls, NULL, err);
                if (r < 0) {
                        stream_free(s);
                        return r;
                }
        }
        *ret = s;
        return 0;
}

/* ---- connecting ---- */

struct stream_connecting {
        struct loop *loop;
        char *host;
        int port;
        struct tls_context *tls;
        void (*done)(void *arg, struct stream *s, const struct err *err);
        void *arg;
        int64_t timeout_ms;
        struct timer *timer;
        struct stream *stream;
        struct addrinfo *addresses, *next;
        int last_error;
        bool cancelled;
        bool resolving; /* libuv still points here */
};

struct connect_op {
        uv_connect_t req;
        struct stream_connecting *c; /* NULL: given up */
};

static void connecting_free(struct stream_connecting *c) {
        timer_free(TAKE(c->timer));
        if (c->resolving) { /* freed by the resolver's callback */
                c->cancelled = true;
                return;
        }
        if (c->addresses)
                uv_freeaddrinfo(c->addresses);
        free(c->host);
        free(c);
}

/* Answers and frees. */
static void connecting_finish(struct stream_connecting *c, struct err *err) {
        struct stream *s = TAKE(c->stream);
        if (s)
                s->handshake = NULL;
        if (err) {
                stream_free(TAKE(s));
                if (c->host[0] == '/')
                        err_wrap(err, err->code, "cannot connect to %s", c->host);
                else
                        err_wrap(err, err->code, strchr(c->host, ':') ? "cannot connect to [%s]:%d" : "cannot connect to %s:%d", c->host,
                                 c->port);
        }
        void (*done)(void *, struct stream *, const struct err *) = c->done;
        void *arg = c->arg;
        connecting_free(c);
        done(arg, s, err);
}

static void connecting_fail(struct stream_connecting *c, int code) {
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, code, "%s", strerror(-code));
        connecting_finish(c, &err);
}

void stream_connect_cancel(struct stream_connecting *c) {
        if (!c)
                return;
        struct stream *s = TAKE(c->stream);
        if (s) {
                s->handshake = NULL;
                stream_free(s);
        }
        connecting_free(c);
}

static void on_connect_timeout(void *arg) {
        struct stream_connecting *c = arg;
        AUTO(err) struct err err = ERR_INIT;
        bool in_tls = c->stream && c->stream->ssl;
        err_set(&err, -ETIMEDOUT, "%s within %lld ms", in_tls ? "TLS handshake not done" : "no answer", (long long)c->timeout_ms);
        connecting_finish(c, &err);
}

static void handshake_done(struct stream *s, const struct err *err) {
        struct stream_connecting *c = s->handshake;
        if (!c)
                return;
        AUTO(err) struct err copy = ERR_INIT;
        if (err)
                err_set(&copy, err->code, "%s", err_message(err));
        connecting_finish(c, err ? &copy : NULL);
}

static void begin_tls(struct stream_connecting *c) {
        AUTO(err) struct err err = ERR_INIT;
        int r = attach_tls(c->stream, c->tls, c->host[0] == '/' ? "localhost" : c->host, &err);
        if (r < 0) {
                connecting_finish(c, &err);
                return;
        }
        c->stream->handshake = c;
        pump(c->stream);
}

static void try_next(struct stream_connecting *c);

static void on_connected(uv_connect_t *req, int status) {
        struct connect_op *op = (struct connect_op *)req;
        struct stream *s = req->handle->data;
        struct stream_connecting *c = op->c;
        free(op);
        if (s->closing) /* cancelled or timed out: `c` is gone */
                return;
        if (status < 0) {
                c->last_error = status;
                stream_free(TAKE(c->stream));
                try_next(c);
        } else if (c->tls) {
                begin_tls(c);
        } else {
                connecting_finish(c, NULL);
        }
}

static struct connect_op *connect_op_new(struct stream_connecting *c) {
        struct connect_op *op = NEW(struct connect_op);
        op->c = c;
        return op;
}

static int try_address(struct stream_connecting *c, const struct sockaddr *sa) {
        struct stream *s = c->stream = stream_new(c->loop);
        int r = init_tcp(s, sa->sa_family);
        if (r < 0) {
                /* libuv has forgotten the handle already. */
                stream_unref(TAKE(c->stream));
                return r;
        }
        uv_tcp_nodelay(&s->uv.tcp, 1);
        struct connect_op *op = connect_op_new(c);
        r = uv_tcp_connect(&op->req, &s->uv.tcp, sa, on_connected);
        if (r < 0) {
                free(op);
                stream_free(TAKE(c->stream));
        }
        return r;
}

static void try_next(struct stream_connecting *c) {
        while (c->next) {
                struct addrinfo *a = c->next;
                c->next = a->ai_next;
                int r = try_address(c, a->ai_addr);
                if (r == 0)
                        return;
                c->last_error = r;
        }
        connecting_fail(c, c->last_error ? c->last_error : -ECONNREFUSED);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *addresses) {
        struct stream_connecting *c = req->data;
        free(req);
        c->resolving = false;
        c->addresses = status == 0 ? addresses : NULL;
        if (c->cancelled) {
                connecting_free(c);
                return;
        }
        if (status < 0) {
                AUTO(err) struct err err = ERR_INIT;
                bool unknown = status == UV_EAI_NONAME || status == UV_EAI_NODATA;
                err_set(&err, unknown ? -ENOENT : -EAGAIN, unknown ? "the host name is not known" : "cannot resolve the host name: %s",
                        uv_strerror(status));
                connecting_finish(c, &err);
                return;
        }
        c->next = addresses;
        try_next(c);
}

static void posted_connect(void *arg) {
        struct stream_connecting *c = arg;
        c->resolving = false;
        if (c->cancelled) {
                connecting_free(c);
                return;
        }
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } a = {0};
        if (c->host[0] == '/') {
                if (strlen(c->host) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
                        connecting_fail(c, -ENAMETOOLONG); /* libuv would cut it */
                        return;
                }
                c->stream = stream_new(c->loop);
                uv_pipe_init(loop_uv(c->loop), &c->stream->uv.pipe, 0);
                c->stream->uv.handle.data = c->stream;
                struct connect_op *op = connect_op_new(c);
                uv_pipe_connect(&op->req, &c->stream->uv.pipe, c->host, on_connected);
                return;
        }
        if (uv_ip4_addr(c->host, c->port, &a.in) == 0 || uv_ip6_addr(c->host, c->port, &a.in6) == 0) {
                int r = try_address(c, &a.sa);
                if (r < 0)
                        connecting_fail(c, r);
                return;
        }
        char service[16];
        snprintf(service, sizeof service, "%d", c->port);
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        uv_getaddrinfo_t *req = NEW(uv_getaddrinfo_t);
        req->data = c;
        c->resolving = true;
        int r = uv_getaddrinfo(loop_uv(c->loop), req, on_resolved, c->host, service, &hints);
        if (r < 0) {
                free(req);
                c->resolving = false;
                connecting_fail(c, r);
        }
}

static struct stream_connecting *connecting_new(struct loop *l, const char *host, int port, struct tls_context *tls, int64_t timeout_ms,
                                                void (*done)(void *arg, struct stream *s, const struct err *err), void *arg) {
        struct stream_connecting *c = NEW(struct stream_connecting);
        *c = (struct stream_connecting){
                .loop = l, .host = xstrdup(host), .port = port, .tls = tls, .done = done, .arg = arg, .timeout_ms = timeout_ms};
        if (timeout_ms > 0)
                c->timer = timer_new(l, timeout_ms, 0, on_connect_timeout, c);
        return c;
}

struct stream_connecting *stream_connect(struct loop *l, const char *host, int port, struct tls_context *tls, int64_t timeout_ms,
                                         void (*done)(void *arg, struct stream *s, const struct err *err), void *arg) {
        struct stream_connecting *c = connecting_new(l, host, port, tls, timeout_ms, done, arg);
        c->resolving = true; /* the post points here */
        loop_post(l, posted_connect, c);
        return c;
}

static void posted_tls(void *arg) {
        struct stream_connecting *c = arg;
        c->resolving = false;
        if (c->cancelled)
                connecting_free(c);
        else
                begin_tls(c);
}

struct stream_connecting *stream_start_tls(struct stream *s, const char *host, struct tls_context *tls, int64_t timeout_ms,
                                           void (*done)(void *arg, struct stream *s, const struct err *err), void *arg) {
        struct stream_connecting *c = connecting_new(s->loop, host, 0, tls, timeout_ms, done, arg);
        stream_set_events(s, NULL);
        /* What the peer already sent belongs to the handshake. */
        str_append_sv(&own_buffers(s)->held, str_sv(&s->buffers->unread));
        str_done(&s->buffers->unread);
        c->stream = s;
        c->resolving = true;
        loop_post(s->loop, posted_tls, c);
        return c;
}
