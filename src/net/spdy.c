#include "net/spdy.h"

#include <ctype.h>
#include <zlib.h>

enum {
        FRAME_HEADER = 8,
        VERSION = 3,
        FLAG_FIN = 1,
        FLAG_UNIDIRECTIONAL = 2,
        SETTINGS_INITIAL_WINDOW = 7,
        WINDOW_STEP = SPDY_WINDOW / 2, /* delivered bytes after which the peer's window is opened again */
};

enum frame_type {
        SYN_STREAM = 1,
        SYN_REPLY = 2,
        RST_STREAM = 3,
        SETTINGS = 4,
        PING = 6,
        GOAWAY = 7,
        HEADERS = 8,
        WINDOW_UPDATE = 9,
};

struct spdy_stream {
        struct spdy *session;
        uint32_t id;
        void *data;
        struct str pending;
        int64_t window;      /* what the peer still takes */
        uint32_t delivered;  /* since the last WINDOW_UPDATE of ours */
        bool replied;        /* a SYN_REPLY went or came */
        bool finish_wanted;  /* by our user */
        bool finished;       /* our FIN was sent */
        bool peer_finished;
        bool dead;
};

struct spdy {
        struct spdy_events ev;
        bool is_server;
        VEC(struct spdy_stream *) streams;
        VEC(struct spdy_stream *) graves; /* dead, freed when no function of ours uses them */
        uint32_t next_id, last_peer_id, next_ping;
        z_stream inflater, deflater;
        struct str in;               /* an incomplete control frame, or an incomplete frame header */
        uint32_t data_id, data_left; /* a DATA frame that is being received */
        bool in_data, data_fin;
        bool windows_bind; /* the peer does flow control */
        int64_t window, initial_window;
        uint32_t delivered;
        bool peer_went, went, failed, dead;
        int busy;
};

/* ---- small things ---- */

static uint32_t get32(const char *p) {
        const unsigned char *u = (const unsigned char *)p;
        return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put32(struct str *out, uint32_t n) {
        const char b[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
        str_append(out, b, sizeof b);
}

static void output(struct spdy *p, const struct str *frame) {
        if (!p->dead && !p->failed)
                p->ev.output(p->ev.arg, str_sv(frame));
}

static void begin_control(struct str *out, enum frame_type type, unsigned flags, size_t length) {
        put32(out, 0x80000000u | VERSION << 16 | type);
        put32(out, flags << 24 | (uint32_t)length);
}

static void send_pair(struct spdy *p, enum frame_type type, uint32_t a, uint32_t b) {
        AUTO(str) struct str out = STR_INIT(0);
        begin_control(&out, type, 0, 8);
        put32(&out, a);
        put32(&out, b);
        output(p, &out);
}

static struct spdy_stream *find(struct spdy *p, uint32_t id) {
        vec_foreach(s, &p->streams) {
                if ((*s)->id == id)
                        return *s;
        }
        return NULL;
}

static bool is_ours(const struct spdy *p, uint32_t id) { return (id % 2 == 0) == p->is_server; }

/* ---- life ---- */

static void session_free(struct spdy *p) {
        vec_foreach(s, &p->streams) *vec_push(&p->graves) = *s;
        vec_foreach(s, &p->graves) {
                str_done(&(*s)->pending);
                free(*s);
        }
        vec_done(&p->streams);
        vec_done(&p->graves);
        inflateEnd(&p->inflater);
        deflateEnd(&p->deflater);
        str_done(&p->in);
        free(p);
}

static void enter(struct spdy *p) { p->busy++; }

static void leave(struct spdy *p) {
        if (--p->busy > 0)
                return;
        if (p->dead) {
                session_free(p);
                return;
        }
        vec_foreach(s, &p->graves) {
                str_done(&(*s)->pending);
                free(*s);
        }
        p->graves.len = 0;
}

struct spdy *spdy_new(bool is_server, const struct spdy_events *ev) {
        struct spdy *p = NEW(struct spdy);
        p->ev = *ev;
        p->is_server = is_server;
        p->next_id = is_server ? 2 : 1;
        p->next_ping = p->next_id;
        p->window = p->initial_window = SPDY_WINDOW;
        p->in = STR_INIT(SPDY_MAX_HEADER_BLOCK + FRAME_HEADER + 10);
        struct sv dictionary = spdy_dictionary();
        /* A small window: these headers are a few dozen bytes, and servers have many sessions. */
        if (inflateInit2(&p->inflater, 15) != Z_OK || deflateInit2(&p->deflater, 6, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK ||
            deflateSetDictionary(&p->deflater, (const Bytef *)dictionary.data, (uInt)dictionary.len) != Z_OK)
                abort(); /* out of memory */
        return p;
}

void spdy_free(struct spdy *p) {
        if (!p || p->dead)
                return;
        p->dead = true;
        enter(p);
        leave(p);
}

static struct spdy_stream *stream_new(struct spdy *p, uint32_t id) {
        struct spdy_stream *s = NEW(struct spdy_stream);
        s->session = p;
        s->id = id;
        s->window = p->initial_window;
        *vec_push(&p->streams) = s;
        return s;
}

static void stream_bury(struct spdy_stream *s) {
        struct spdy *p = s->session;
        if (s->dead)
                return;
        s->dead = true;
        for (size_t i = 0; i < p->streams.len; i++) {
                if (p->streams.items[i] == s) {
                        vec_remove(&p->streams, i);
                        break;
                }
        }
        *vec_push(&p->graves) = s;
}

static void bury_when_done(struct spdy_stream *s) {
        if (s->finished && s->peer_finished)
                stream_bury(s);
}

size_t spdy_stream_count(const struct spdy *p) { return p->streams.len; }
uint32_t spdy_stream_id(const struct spdy_stream *s) { return s->id; }
void spdy_stream_set_data(struct spdy_stream *s, void *data) { s->data = data; }
void *spdy_stream_data(const struct spdy_stream *s) { return s->data; }
size_t spdy_stream_pending(const struct spdy_stream *s) { return s->pending.len; }

/* ---- header blocks ---- */

static void append_block(struct spdy *p, const struct http_headers *headers, struct str *out) {
        AUTO(str) struct str plain = STR_INIT(0);
        put32(&plain, headers ? (uint32_t)headers->list.len : 0);
        for (size_t i = 0; headers && i < headers->list.len; i++) {
                const struct http_header *h = &headers->list.items[i];
                put32(&plain, (uint32_t)strlen(h->name));
                for (const char *c = h->name; *c; c++)
                        str_append_c(&plain, (char)tolower((unsigned char)*c));
                put32(&plain, (uint32_t)strlen(h->value));
                str_append_s(&plain, h->value);
        }
        p->deflater.next_in = (Bytef *)plain.data;
        p->deflater.avail_in = (uInt)plain.len;
        do {
                unsigned char piece[1024];
                p->deflater.next_out = piece;
                p->deflater.avail_out = sizeof piece;
                deflate(&p->deflater, Z_SYNC_FLUSH);
                str_append(out, piece, sizeof piece - p->deflater.avail_out);
        } while (p->deflater.avail_out == 0);
}

static int inflate_block(struct spdy *p, struct sv block, struct str *plain, struct err *err) {
        p->inflater.next_in = (Bytef *)(uintptr_t)block.data;
        p->inflater.avail_in = (uInt)block.len;
        for (;;) {
                unsigned char piece[4096];
                p->inflater.next_out = piece;
                p->inflater.avail_out = sizeof piece;
                int r = inflate(&p->inflater, Z_SYNC_FLUSH);
                if (r == Z_NEED_DICT) {
                        struct sv d = spdy_dictionary();
                        if (inflateSetDictionary(&p->inflater, (const Bytef *)d.data, (uInt)d.len) != Z_OK)
                                return err_set(err, -EPROTO, "SPDY: header compression uses another dictionary");
                        continue;
                }
                if (r != Z_OK && r != Z_BUF_ERROR)
                        return err_set(err, -EPROTO, "SPDY: broken header compression");
                size_t got = sizeof piece - p->inflater.avail_out;
                str_append(plain, piece, got);
                if (str_overflowed(plain))
                        return err_set(err, -EMSGSIZE, "SPDY: headers are larger than %d bytes", SPDY_MAX_HEADER_BLOCK);
                if (p->inflater.avail_out > 0)
                        break;
        }
        return p->inflater.avail_in ? err_set(err, -EPROTO, "SPDY: broken header compression") : 0;
}

static bool take_text(struct sv *rest, struct sv *ret) {
        if (rest->len < 4)
                return false;
        uint32_t len = get32(rest->data);
        if (len > rest->len - 4)
                return false;
        *ret = sv_new(rest->data + 4, len);
        *rest = sv_new(rest->data + 4 + len, rest->len - 4 - len);
        return true;
}

static int parse_block(struct spdy *p, struct sv block, struct http_headers *ret, struct err *err) {
        AUTO(str) struct str plain = STR_INIT(SPDY_MAX_HEADER_BLOCK);
        int r = inflate_block(p, block, &plain, err);
        if (r < 0)
                return r;
        struct sv rest = str_sv(&plain);
        uint32_t count = rest.len >= 4 ? get32(rest.data) : 0;
        if (rest.len < 4 || count > HTTP_MAX_HEADERS)
                return err_set(err, -EPROTO, "SPDY: bad header block");
        rest = sv_new(rest.data + 4, rest.len - 4);
        for (uint32_t i = 0; i < count; i++) {
                struct sv name, values, value;
                if (!take_text(&rest, &name) || !take_text(&rest, &values) || name.len == 0)
                        return err_set(err, -EPROTO, "SPDY: bad header block");
                AUTO(free) char *n = sv_dup(name);
                while (sv_split(&values, '\0', &value)) { /* several values of one name are joined by NULs */
                        if (ret->list.len >= HTTP_MAX_HEADERS)
                                return err_set(err, -EPROTO, "SPDY: bad header block");
                        AUTO(free) char *v = sv_dup(value);
                        http_headers_add(ret, n, v);
                }
        }
        return rest.len ? err_set(err, -EPROTO, "SPDY: bad header block") : 0;
}

/* ---- sending ---- */

static void send_data(struct spdy_stream *s, struct sv data, bool fin) {
        AUTO(str) struct str out = STR_INIT(0);
        str_reserve(&out, FRAME_HEADER + data.len);
        put32(&out, s->id);
        put32(&out, (fin ? FLAG_FIN << 24 : 0u) | (uint32_t)data.len);
        str_append_sv(&out, data);
        output(s->session, &out);
}

static size_t sendable(const struct spdy_stream *s) {
        const struct spdy *p = s->session;
        if (!p->windows_bind)
                return SPDY_MAX_DATA;
        int64_t n = s->window < p->window ? s->window : p->window;
        return n <= 0 ? 0 : n < SPDY_MAX_DATA ? (size_t)n : SPDY_MAX_DATA;
}

/* Sends of `data` what the windows allow; returns the rest. */
static struct sv send_some(struct spdy_stream *s, struct sv data) {
        size_t n;
        while (data.len && !s->dead && (n = sendable(s)) > 0) {
                n = n < data.len ? n : data.len;
                s->window -= (int64_t)n;
                s->session->window -= (int64_t)n;
                send_data(s, sv_new(data.data, n), false);
                data = sv_new(data.data + n, data.len - n);
        }
        return data;
}

static void finish_when_empty(struct spdy_stream *s) {
        if (s->dead || !s->finish_wanted || s->finished || s->pending.len)
                return;
        s->finished = true;
        send_data(s, SV_NULL, true);
        bury_when_done(s);
}

void spdy_stream_write(struct spdy_stream *s, struct sv data) {
        if (s->dead || s->finish_wanted)
                return;
        enter(s->session);
        struct spdy *p = s->session;
        if (s->pending.len)
                str_append_sv(&s->pending, data);
        else
                str_append_sv(&s->pending, send_some(s, data));
        leave(p);
}

void spdy_stream_finish(struct spdy_stream *s) {
        if (s->dead || s->finish_wanted)
                return;
        struct spdy *p = s->session;
        enter(p);
        s->finish_wanted = true;
        finish_when_empty(s);
        leave(p);
}

/* The peer opened a window. */
static void send_pending(struct spdy_stream *s) {
        if (s->dead || !s->pending.len)
                return;
        struct sv rest = send_some(s, str_sv(&s->pending));
        str_consume(&s->pending, s->pending.len - rest.len);
        if (s->pending.len)
                return;
        str_done(&s->pending);
        finish_when_empty(s);
        if (!s->dead && !s->finished && s->session->ev.on_drain)
                s->session->ev.on_drain(s->session->ev.arg, s);
}

static void send_all_pending(struct spdy *p) {
        /* Callbacks may open and end streams: by number, not by pointer. */
        for (size_t i = 0; i < p->streams.len && !p->dead; i++)
                send_pending(p->streams.items[i]);
}

void spdy_stream_reset(struct spdy_stream *s, enum spdy_status status) {
        struct spdy *p = s->session;
        if (s->dead)
                return;
        enter(p);
        send_pair(p, RST_STREAM, s->id, status);
        stream_bury(s);
        leave(p);
}

struct spdy_stream *spdy_stream_open(struct spdy *p, const struct http_headers *headers, bool is_finished) {
        if (p->dead || p->failed || p->peer_went || p->streams.len >= SPDY_MAX_STREAMS || p->next_id > INT32_MAX)
                return NULL;
        struct spdy_stream *s = stream_new(p, p->next_id);
        p->next_id += 2;
        s->finish_wanted = s->finished = is_finished;
        AUTO(str) struct str block = STR_INIT(0);
        append_block(p, headers, &block);
        AUTO(str) struct str out = STR_INIT(0);
        begin_control(&out, SYN_STREAM, is_finished ? FLAG_FIN : 0, 10 + block.len);
        put32(&out, s->id);
        put32(&out, 0);
        str_append(&out, "\0\0", 2);
        str_append_sv(&out, str_sv(&block));
        enter(p);
        output(p, &out);
        leave(p);
        return s;
}

void spdy_stream_reply(struct spdy_stream *s, const struct http_headers *headers) {
        struct spdy *p = s->session;
        if (s->dead || s->replied || is_ours(p, s->id))
                return;
        s->replied = true;
        AUTO(str) struct str block = STR_INIT(0);
        append_block(p, headers, &block);
        AUTO(str) struct str out = STR_INIT(0);
        begin_control(&out, SYN_REPLY, 0, 4 + block.len);
        put32(&out, s->id);
        str_append_sv(&out, str_sv(&block));
        enter(p);
        output(p, &out);
        leave(p);
}

void spdy_goaway(struct spdy *p) {
        if (p->went)
                return;
        p->went = true;
        enter(p);
        send_pair(p, GOAWAY, p->last_peer_id, 0);
        leave(p);
}

void spdy_ping(struct spdy *p) {
        AUTO(str) struct str out = STR_INIT(0);
        begin_control(&out, PING, 0, 4);
        put32(&out, p->next_ping);
        p->next_ping += 2;
        enter(p);
        output(p, &out);
        leave(p);
}

/* ---- receiving ---- */

static void peer_ended(struct spdy_stream *s) {
        if (s->dead || s->peer_finished)
                return;
        s->peer_finished = true;
        s->session->ev.on_end(s->session->ev.arg, s);
        if (!s->session->dead && !s->dead)
                bury_when_done(s);
}

static int handle_syn_stream(struct spdy *p, unsigned flags, struct sv body, struct err *err) {
        if (body.len < 10)
                return err_set(err, -EPROTO, "SPDY: short SYN_STREAM");
        uint32_t id = get32(body.data) & INT32_MAX;
        AUTO(http_headers) struct http_headers headers = {0};
        /* Also for streams that are refused: the compression has one history for all. */
        int r = parse_block(p, sv_new(body.data + 10, body.len - 10), &headers, err);
        if (r < 0)
                return r;
        if (is_ours(p, id) || id == 0 || id <= p->last_peer_id)
                return err_set(err, -EPROTO, "SPDY: the peer opens stream %u, which is not the next of its own", id);
        p->last_peer_id = id;
        if (p->went || !p->ev.on_stream || p->streams.len >= SPDY_MAX_STREAMS) {
                send_pair(p, RST_STREAM, id, SPDY_RST_REFUSED_STREAM);
                return 0;
        }
        struct spdy_stream *s = stream_new(p, id);
        s->finished = s->finish_wanted = flags & FLAG_UNIDIRECTIONAL;
        p->ev.on_stream(p->ev.arg, s, &headers);
        if (!p->dead && (flags & FLAG_FIN))
                peer_ended(s);
        return 0;
}

static int handle_reply(struct spdy *p, bool is_reply, unsigned flags, struct sv body, struct err *err) {
        if (body.len < 4)
                return err_set(err, -EPROTO, "SPDY: short SYN_REPLY");
        uint32_t id = get32(body.data) & INT32_MAX;
        AUTO(http_headers) struct http_headers headers = {0};
        int r = parse_block(p, sv_new(body.data + 4, body.len - 4), &headers, err);
        if (r < 0)
                return r;
        struct spdy_stream *s = find(p, id);
        if (!s)
                return 0; /* ended in the meantime */
        if (is_reply) {
                if (s->replied || !is_ours(p, id))
                        return err_set(err, -EPROTO, "SPDY: SYN_REPLY to stream %u, which waits for none", id);
                s->replied = true;
                if (p->ev.on_reply)
                        p->ev.on_reply(p->ev.arg, s, &headers);
        }
        if (!p->dead && (flags & FLAG_FIN))
                peer_ended(s);
        return 0;
}

static int handle_reset(struct spdy *p, struct sv body, struct err *err) {
        if (body.len != 8)
                return err_set(err, -EPROTO, "SPDY: bad RST_STREAM");
        struct spdy_stream *s = find(p, get32(body.data) & INT32_MAX);
        if (!s)
                return 0;
        p->ev.on_reset(p->ev.arg, s, (int)(get32(body.data + 4) & INT32_MAX));
        if (!p->dead)
                stream_bury(s);
        return 0;
}

static int handle_settings(struct spdy *p, struct sv body, struct err *err) {
        uint32_t count = body.len >= 4 ? get32(body.data) : 0;
        if (body.len < 4 || count > (body.len - 4) / 8)
                return err_set(err, -EPROTO, "SPDY: bad SETTINGS");
        for (uint32_t i = 0; i < count; i++) {
                const char *entry = body.data + 4 + 8 * (size_t)i;
                if ((get32(entry) & 0xffffff) != SETTINGS_INITIAL_WINDOW)
                        continue;
                int64_t window = get32(entry + 4) & INT32_MAX;
                vec_foreach(s, &p->streams) (*s)->window += window - p->initial_window;
                p->initial_window = window;
                p->windows_bind = true;
        }
        send_all_pending(p);
        return 0;
}

static int handle_window_update(struct spdy *p, struct sv body, struct err *err) {
        if (body.len != 8)
                return err_set(err, -EPROTO, "SPDY: bad WINDOW_UPDATE");
        uint32_t id = get32(body.data) & INT32_MAX, delta = get32(body.data + 4) & INT32_MAX;
        p->windows_bind = true;
        if (id == 0) {
                p->window += delta;
                if (p->window > INT32_MAX)
                        return err_set(err, -EPROTO, "SPDY: the session's window is larger than 2^31");
                send_all_pending(p);
                return 0;
        }
        struct spdy_stream *s = find(p, id);
        if (!s)
                return 0;
        s->window += delta;
        if (s->window > INT32_MAX) {
                send_pair(p, RST_STREAM, id, SPDY_RST_FLOW_CONTROL_ERROR);
                p->ev.on_reset(p->ev.arg, s, SPDY_RST_FLOW_CONTROL_ERROR);
                if (!p->dead)
                        stream_bury(s);
                return 0;
        }
        send_pending(s);
        return 0;
}

static int handle_ping(struct spdy *p, struct sv body, struct err *err) {
        if (body.len != 4)
                return err_set(err, -EPROTO, "SPDY: bad PING");
        uint32_t id = get32(body.data);
        if (is_ours(p, id))
                return 0;
        AUTO(str) struct str out = STR_INIT(0);
        begin_control(&out, PING, 0, 4);
        put32(&out, id);
        output(p, &out);
        return 0;
}

static int handle_goaway(struct spdy *p, struct sv body, struct err *err) {
        if (body.len != 8)
                return err_set(err, -EPROTO, "SPDY: bad GOAWAY");
        p->peer_went = true;
        if (p->ev.on_goaway)
                p->ev.on_goaway(p->ev.arg);
        return 0;
}

static int handle_control(struct spdy *p, struct sv frame, struct err *err) {
        uint32_t start = get32(frame.data);
        unsigned flags = (unsigned char)frame.data[4];
        struct sv body = sv_new(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER);
        if ((start >> 16 & 0x7fff) != VERSION)
                return err_set(err, -EPROTO, "SPDY: version %u, not 3", start >> 16 & 0x7fff);
        switch (start & 0xffff) {
        case SYN_STREAM:
                return handle_syn_stream(p, flags, body, err);
        case SYN_REPLY:
                return handle_reply(p, true, flags, body, err);
        case RST_STREAM:
                return handle_reset(p, body, err);
        case SETTINGS:
                return handle_settings(p, body, err);
        case PING:
                return handle_ping(p, body, err);
        case GOAWAY:
                return handle_goaway(p, body, err);
        case HEADERS:
                return handle_reply(p, false, flags, body, err);
        case WINDOW_UPDATE:
                return handle_window_update(p, body, err);
        default:
                return 0; /* of a later draft */
        }
}

static void give_window(struct spdy *p, struct spdy_stream *s, size_t n) {
        p->delivered += (uint32_t)n;
        if (p->delivered >= WINDOW_STEP) {
                send_pair(p, WINDOW_UPDATE, 0, p->delivered);
                p->delivered = 0;
        }
        if (!s || s->dead || s->peer_finished)
                return;
        s->delivered += (uint32_t)n;
        if (s->delivered >= WINDOW_STEP) {
                send_pair(p, WINDOW_UPDATE, s->id, s->delivered);
                s->delivered = 0;
        }
}

static void end_data_frame(struct spdy *p) {
        p->in_data = false;
        struct spdy_stream *s = p->data_fin ? find(p, p->data_id) : NULL;
        if (s)
                peer_ended(s);
}

static void begin_data_frame(struct spdy *p, struct sv header) {
        p->data_id = get32(header.data) & INT32_MAX;
        p->data_left = get32(header.data + 4) & 0xffffff;
        p->data_fin = header.data[4] & FLAG_FIN;
        p->in_data = true;
        struct spdy_stream *s = find(p, p->data_id);
        if (!s || s->peer_finished)
                send_pair(p, RST_STREAM, p->data_id, s ? SPDY_RST_STREAM_ALREADY_CLOSED : SPDY_RST_INVALID_STREAM);
        if (p->data_left == 0)
                end_data_frame(p);
}

static void feed_data(struct spdy *p, struct sv *bytes) {
        size_t n = bytes->len < p->data_left ? bytes->len : p->data_left;
        struct sv part = sv_new(bytes->data, n);
        *bytes = sv_new(bytes->data + n, bytes->len - n);
        p->data_left -= (uint32_t)n;
        struct spdy_stream *s = find(p, p->data_id);
        if (s && !s->peer_finished)
                p->ev.on_data(p->ev.arg, s, part);
        if (p->dead)
                return;
        give_window(p, s, n);
        if (p->data_left == 0 && !p->dead)
                end_data_frame(p);
}

/* Collects in p->in until there are `want` bytes; a view of them, or of the input when it has them all. */
static bool collect(struct spdy *p, struct sv *bytes, size_t want, struct sv *ret) {
        if (p->in.len == 0 && bytes->len >= want) {
                *ret = sv_new(bytes->data, want);
                return true;
        }
        size_t missing = want - p->in.len;
        size_t n = missing < bytes->len ? missing : bytes->len;
        str_append(&p->in, bytes->data, n);
        *bytes = sv_new(bytes->data + n, bytes->len - n);
        *ret = str_sv(&p->in);
        return p->in.len == want;
}

/* After collect(): the view is used up. */
static void drop_collected(struct spdy *p, struct sv *bytes, struct sv used) {
        if (p->in.len)
                str_done(&p->in);
        else
                *bytes = sv_new(bytes->data + used.len, bytes->len - used.len);
}

static int feed_frame(struct spdy *p, struct sv *bytes, struct err *err) {
        struct sv view;
        if (p->in.len < FRAME_HEADER && !collect(p, bytes, FRAME_HEADER, &view))
                return 0;
        if (p->in.len)
                view = str_sv(&p->in);
        if (!(view.data[0] & 0x80)) {
                char header[FRAME_HEADER];
                memcpy(header, view.data, sizeof header);
                drop_collected(p, bytes, sv_new(view.data, FRAME_HEADER));
                begin_data_frame(p, sv_new(header, sizeof header));
                return 0;
        }
        size_t length = get32(view.data + 4) & 0xffffff;
        if (length > SPDY_MAX_HEADER_BLOCK)
                return err_set(err, -EMSGSIZE, "SPDY: control frame of %zu bytes", length);
        if (!collect(p, bytes, FRAME_HEADER + length, &view))
                return 0;
        struct sv frame = view;
        AUTO(str) struct str kept = p->in; /* a callback may feed us again only after we return, but may free us */
        p->in = STR_INIT(kept.max);
        if (!kept.len)
                *bytes = sv_new(bytes->data + frame.len, bytes->len - frame.len);
        return handle_control(p, frame, err);
}

int spdy_feed(struct spdy *p, struct sv bytes, struct err *err) {
        if (p->failed)
                return err_set(err, -EPROTO, "SPDY: the session has failed");
        enter(p);
        int r = 0;
        while (bytes.len && !p->dead && r == 0) {
                if (p->in_data)
                        feed_data(p, &bytes);
                else
                        r = feed_frame(p, &bytes, err);
        }
        if (r < 0 && !p->dead) {
                send_pair(p, GOAWAY, p->last_peer_id, 1);
                p->failed = true;
        }
        leave(p);
        return r;
}
