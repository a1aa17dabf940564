/* What stream.c and the servers need of tls.c: OpenSSL's objects, and OpenSSL's errors as sentences. */
#ifndef FIRESTEEL_NET_TLS_INTERNAL_H
#define FIRESTEEL_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* A session for one connection. host: whom a client calls (SNI, and the name verified unless the context names another);
 * NULL on a server's side. */
MUST_USE int tls_session_new(struct tls_context *t, const char *host, SSL **ret, struct err *err);
/* Why did the handshake or a record fail? Reads and clears OpenSSL's error queue. */
int tls_session_error(SSL *ssl, int ssl_error, struct err *err);
/* The subject of the verified peer certificate; outputs stay as they are when there is none. */
void tls_session_subject(SSL *ssl, char **ret_common_name, struct strv *organizations);
bool tls_is_server(const struct tls_context *t);

#endif
