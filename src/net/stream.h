/* A two-way byte stream over plain TCP, TLS or a Unix socket: what is left of a connection after an upgrade, and
 * what clients connect with. Loop thread only. One face for all transports. */
#ifndef FIRESTEEL_NET_STREAM_H
#define FIRESTEEL_NET_STREAM_H

#include "event/loop.h"
#include "net/tls.h"

struct stream;

struct stream_events {
        void (*on_data)(void *arg, struct sv data); /* valid during the call */
        /* The peer ended its side (err NULL; one may go on writing, and on_drain comes) or the connection broke; called once, and
         * no on_data after it. */
        void (*on_end)(void *arg, const struct err *err);
        void (*on_drain)(void *arg); /* may be NULL: there was something pending, and all of it was taken */
        void *arg;
};

struct stream_connecting;
/* Connects (numeric or named host, named ones resolved on a worker and all addresses tried in turn; a host with a leading slash
 * is the path of a Unix socket). tls NULL = plain. done is called once, never from within this call.
 * timeout_ms covers resolving, connecting and the TLS handshake; 0 = none. */
struct stream_connecting *stream_connect(struct loop *l, const char *host, int port, struct tls_context *tls, int64_t timeout_ms,
                                         void (*done)(void *arg, struct stream *s, const struct err *err), void *arg);
/* Gives it up; done is not called. Only before done was called. */
void stream_connect_cancel(struct stream_connecting *c);
/* Speaks TLS from here on, as the client: after a proxy's CONNECT. Takes the stream; the result comes as that of stream_connect. */
struct stream_connecting *stream_start_tls(struct stream *s, const char *host, struct tls_context *tls, int64_t timeout_ms,
                                           void (*done)(void *arg, struct stream *s, const struct err *err), void *arg);
/* Takes a connected descriptor (socket or pipe); it is closed with the stream. */
MUST_USE int stream_adopt(struct loop *l, int fd, struct stream **ret, struct err *err);
/* Starts reading; buffered bytes are delivered from the loop. NULL: nobody listens, reading stops. */
void stream_set_events(struct stream *s, const struct stream_events *ev);
/* Copies what the kernel does not take at once. */
void stream_write(struct stream *s, struct sv data);
/* The pieces as one. */
void stream_writev(struct stream *s, const struct sv *parts, size_t count);
size_t stream_pending(const struct stream *s);
void stream_pause(struct stream *s, bool paused); /* back-pressure on the reading side */
void stream_shutdown(struct stream *s);           /* half-close after what is pending */
void stream_free(struct stream *s);               /* at once, with what is pending; no more callbacks */
/* Frees it when the peer has had the chance to read everything: writes what is pending, ends our side, waits up to
 * linger_ms for the peer to end its own (whatever it sends is dropped); while it has not taken all that was written it is waited for until
 * it takes nothing for a minute. No more callbacks. */
void stream_finish(struct stream *s, int64_t linger_ms);
/* Puts bytes back in front of those to be read: what a protocol's parser did not eat. */
void stream_unread(struct stream *s, struct sv data);
/* "127.0.0.1:53211", "[::1]:443"; "unix" for Unix sockets. */
char *stream_peer_address(const struct stream *s);
bool stream_is_tls(const struct stream *s);

#endif
