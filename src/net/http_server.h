/* An HTTP/1.1 server: keep-alive, TLS, Expect: 100-continue, request bodies whole and bounded, responses
 * whole or streamed, upgrades. Everything here runs on the loop's thread.
 *
 * A handler gets an exchange when the whole request is there and answers it at once or later, exactly once,
 * with one of: http_respond(), http_start() ... http_finish(), or http_upgrade(). Requests on one connection are
 * handled one after the other. An exchange lives until it is answered; when the peer goes away first, on_gone (if set) is
 * called once and the exchange must then not be touched again, except that a handler which has handed it to a worker
 * keeps it alive with http_hold()/http_release().
 *
 * A client that ends its side after the request still gets its answer; one that does so during a streamed answer is gone.
 * Held streams are many and idle, so http_start() lets go of the request's headers and body (target, path, query,
 * method and peer stay) as soon as the handler returns, unless the exchange is held.
 */
#ifndef FIRESTEEL_NET_HTTP_SERVER_H
#define FIRESTEEL_NET_HTTP_SERVER_H

#include "event/loop.h"
#include "net/http.h"
#include "net/tls.h"

struct http_server;
struct http_exchange;
struct stream; /* net/stream.h: a connection's bytes after an upgrade */

struct http_request {
        const char *method;
        const char *target; /* path and query as received */
        const char *path;   /* percent-encoded as received, without the query */
        const char *query;  /* without '?'; NULL when absent */
        struct http_headers headers;
        struct sv body;
        /* The verified client certificate's subject; NULL when there is none. */
        const char *peer_common_name;
        const char *const *peer_organizations; /* NULL-terminated; NULL when there is none */
        const char *peer_address;              /* "127.0.0.1:53211" */
        bool is_tls;
};

typedef void (*http_handler)(struct http_exchange *x, const struct http_request *request, void *arg);

struct http_server_options {
        struct tls_context *tls; /* NULL = plain; borrowed */
        size_t max_body;         /* 0 = HTTP_MAX_BODY_BYTES; larger bodies are answered 413 */
        int64_t idle_timeout_ms; /* 0 = 120 s; also the limit for receiving one request, and for taking none of an answer */
        size_t max_connections;  /* 0 = 4096 */
        http_handler handler;
        void *arg;
};

struct http_server *http_server_new(struct loop *l, const struct http_server_options *o);
/* Adds a listener (several are allowed). Port 0 picks one. -EADDRINUSE names address and port. */
MUST_USE int http_server_listen(struct http_server *s, const char *address, int port, int *ret_port, struct err *err);
/* The same with a socket made elsewhere (another network namespace); takes the descriptor, which must be bound and listening. */
MUST_USE int http_server_adopt(struct http_server *s, int listening_fd, struct err *err);
/* Stops listening, closes idle connections, gives busy ones grace_ms, then calls done (may be NULL). */
void http_server_stop(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg);
/* Closes everything; on_gone of what is unanswered is called. Not from a handler. */
void http_server_free(struct http_server *s);
DEFINE_AUTO_PTR(http_server, struct http_server, http_server_free)

const struct http_request *http_request_of(struct http_exchange *x);
/* Response headers, before the answer begins. Content-Length/Transfer-Encoding, Date and Connection are ours. */
void http_set_header(struct http_exchange *x, const char *name, const char *value);
void http_respond(struct http_exchange *x, int status, const char *content_type, struct sv body);
/* A streamed (chunked) answer. */
void http_start(struct http_exchange *x, int status, const char *content_type);
void http_write(struct http_exchange *x, struct sv data);
size_t http_pending(struct http_exchange *x); /* bytes not yet taken by the kernel: for back-pressure */
/* Called when http_pending() falls to zero again. */
void http_on_drain(struct http_exchange *x, void (*fn)(void *arg), void *arg);
void http_finish(struct http_exchange *x);
/* Ends a streamed answer so that the client sees a broken transfer. */
void http_abort(struct http_exchange *x);
void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg);
/* Keeps the memory of the exchange and its request until released; answering a gone exchange does nothing. */
void http_hold(struct http_exchange *x);
void http_release(struct http_exchange *x);
struct loop *http_exchange_loop(struct http_exchange *x);
/* Answers 101 with these headers (Connection and Upgrade included by `protocol`) and hands over the bytes. The exchange is
 * answered with it. NULL when the client is gone. */
struct stream *http_upgrade(struct http_exchange *x, const char *protocol);

#endif
