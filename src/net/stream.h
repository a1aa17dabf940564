/* A two-way byte stream over plain TCP, TLS or a Unix socket: what is left of a connection after an upgrade, and
 * what clients connect with. Loop thread only. One face for all transports. */
#ifndef FIRESTEEL_NET_STREAM_H
#define FIRESTEEL_NET_STREAM_H

#include "event/loop.h"
#include "net/tls.h"

struct stream;

struct stream_events {
        void (*on_data)(void *arg, struct sv data);
        /* The peer ended its side (err NULL) or the connection broke; called once, and nothing after it. */
        void (*on_end)(void *arg, const struct err *err);
        void (*on_drain)(void *arg); /* may be NULL: everything written was taken */
        void *arg;
};

/* Connects (numeric or named host; named ones resolved on a worker). tls NULL = plain. */
void stream_connect(struct loop *l, const char *host, int port, struct tls_context *tls, int64_t timeout_ms,
                    void (*done)(void *arg, struct stream *s, const struct err *err), void *arg);
/* Takes a connected descriptor. */
struct stream *stream_adopt(struct loop *l, int fd);
void stream_set_events(struct stream *s, const struct stream_events *ev); /* starts reading; buffered bytes are delivered from the loop */
void stream_write(struct stream *s, struct sv data);
size_t stream_pending(const struct stream *s);
void stream_pause(struct stream *s, bool paused); /* back-pressure on the reading side */
void stream_shutdown(struct stream *s);           /* half-close after what is pending */
void stream_free(struct stream *s);               /* at once; no more callbacks */

#endif
