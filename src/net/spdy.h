/* SPDY/3.1 framing without I/O: bytes in, bytes and stream callbacks out, both sides.
 *
 * What for: `kubectl port-forward` speaks SPDY/3.1, since 1.31 inside a WebSocket (subprotocol `SPDY/3.1+portforward.k8s.io`), before
 * that after a bare upgrade. Each forwarded connection is a pair of streams, told apart by the headers `streamtype`
 * (`error`, `data`), `port` and `requestid`.
 *
 * Flow control: Kubernetes' implementation (moby/spdystream) has none: it neither sends WINDOW_UPDATE nor looks at it. So windows
 * bind us only from the peer's first WINDOW_UPDATE or SETTINGS on. Windows are opened for the peer as data is delivered; back-pressure
 * is the transport's (pause reading).
 *
 * A stream lives until one of: on_reset returned; spdy_stream_reset(); both on_end was called and spdy_stream_finish(); spdy_free().
 * Callbacks may call everything, spdy_free() included. Limits: header blocks SPDY_MAX_HEADER_BLOCK, streams SPDY_MAX_STREAMS.
 * Source: SPDY Protocol - Draft 3.1. */
#ifndef FIRESTEEL_NET_SPDY_H
#define FIRESTEEL_NET_SPDY_H

#include "net/http.h"

enum {
        SPDY_MAX_HEADER_BLOCK = 64 * 1024, /* as received, and decompressed */
        SPDY_MAX_STREAMS = 1024,           /* open at a time; more are refused */
        SPDY_MAX_DATA = 32 * 1024,         /* of one DATA frame of ours */
        SPDY_WINDOW = 64 * 1024,           /* initial, by the draft */
};

enum spdy_status {
        SPDY_RST_PROTOCOL_ERROR = 1,
        SPDY_RST_INVALID_STREAM = 2,
        SPDY_RST_REFUSED_STREAM = 3,
        SPDY_RST_CANCEL = 5,
        SPDY_RST_INTERNAL_ERROR = 6,
        SPDY_RST_FLOW_CONTROL_ERROR = 7,
        SPDY_RST_STREAM_IN_USE = 8,
        SPDY_RST_STREAM_ALREADY_CLOSED = 9,
};

struct spdy;
struct spdy_stream;

struct spdy_events {
        void (*output)(void *arg, struct sv bytes); /* one frame for the transport */
        /* The peer opens a stream: answer with spdy_stream_reply() or spdy_stream_reset(). NULL: all are refused. */
        void (*on_stream)(void *arg, struct spdy_stream *s, const struct http_headers *headers);
        void (*on_reply)(void *arg, struct spdy_stream *s, const struct http_headers *headers); /* to ours; may be NULL */
        void (*on_data)(void *arg, struct spdy_stream *s, struct sv data);
        void (*on_end)(void *arg, struct spdy_stream *s); /* the peer writes no more */
        void (*on_reset)(void *arg, struct spdy_stream *s, int status);
        void (*on_drain)(void *arg, struct spdy_stream *s); /* what the window held back was sent; may be NULL */
        void (*on_goaway)(void *arg);                       /* the peer opens no more streams; may be NULL */
        void *arg;
};

struct spdy *spdy_new(bool is_server, const struct spdy_events *ev);
/* Without callbacks; the transport is the caller's to close. */
void spdy_free(struct spdy *p);
/* Bytes of the transport, in pieces of any size. On failure a GOAWAY was given to output, and the session is over. */
MUST_USE int spdy_feed(struct spdy *p, struct sv bytes, struct err *err);
size_t spdy_stream_count(const struct spdy *p);
/* Opens no more streams. */
void spdy_goaway(struct spdy *p);
void spdy_ping(struct spdy *p);

/* NULL when the peer went away or too many are open. is_finished: we shall write nothing. */
struct spdy_stream *spdy_stream_open(struct spdy *p, const struct http_headers *headers, bool is_finished);
void spdy_stream_reply(struct spdy_stream *s, const struct http_headers *headers); /* headers NULL: none */
void spdy_stream_write(struct spdy_stream *s, struct sv data);
size_t spdy_stream_pending(const struct spdy_stream *s); /* held back by the peer's window */
void spdy_stream_finish(struct spdy_stream *s);          /* our side ends after what is pending */
void spdy_stream_reset(struct spdy_stream *s, enum spdy_status status);
uint32_t spdy_stream_id(const struct spdy_stream *s);
void spdy_stream_set_data(struct spdy_stream *s, void *data);
void *spdy_stream_data(const struct spdy_stream *s);

/* The zlib dictionary of SPDY/3, 1423 bytes. */
struct sv spdy_dictionary(void);

#endif
