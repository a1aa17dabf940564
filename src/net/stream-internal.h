/* What the servers and clients of this layer need of stream.c. */
#ifndef FIRESTEEL_NET_STREAM_INTERNAL_H
#define FIRESTEEL_NET_STREAM_INTERNAL_H

#include <openssl/ssl.h>
#include <uv.h>

#include "net/stream.h"

/* Takes the next connection of a listener; tls NULL = plain. The handshake runs while it is read from. */
MUST_USE int stream_accept(struct loop *l, uv_stream_t *listener, struct tls_context *tls, struct stream **ret, struct err *err);
SSL *stream_ssl(const struct stream *s);      /* NULL when plain */
bool stream_is_ready(const struct stream *s); /* the TLS handshake is done, or there is none */
/* The loop does not stay alive for this stream (one kept for reuse). */
void stream_set_idle(struct stream *s, bool idle);
/* Nothing was sent by the peer and it has not hung up: may it be used again? */
bool stream_is_quiet(const struct stream *s);
/* Past TLS, in the clear: for an answer to those who do not speak it. */
void stream_write_raw(struct stream *s, struct sv data);
/* Frees it so that the peer sees a reset, not an orderly end. */
void stream_reset(struct stream *s);

#endif
