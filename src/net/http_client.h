/* An HTTP/1.1 client: keep-alive pool per origin, TLS, proxies (CONNECT and plain), whole or streamed bodies,
 * upgrades. It makes one try: retries are the callers' policy (kube/client.h), but for an idempotent request on a kept
 * connection that turns out to be closed, which is sent once more on a new one. Redirects are not followed. Loop thread only. */
#ifndef FIRESTEEL_NET_HTTP_CLIENT_H
#define FIRESTEEL_NET_HTTP_CLIENT_H

#include "event/loop.h"
#include "net/http.h"
#include "net/stream.h"
#include "net/tls.h"

struct http_client;
struct http_call;

struct http_client_options {
        struct tls_context *tls;    /* for https; NULL = the system's authorities; borrowed */
        const char *proxy_url;      /* http://[user:pass@]host:port, or NULL */
        const char *user_agent;     /* NULL = firesteel/VERSION */
        int64_t connect_timeout_ms; /* 0 = 10 s */
        size_t max_idle;            /* idle connections kept per origin; 0 = 4 */
        /* How to reach a host, instead of resolving and connecting here (a port inside a pod, another network namespace). It calls done
         * once, never from within, with a plain stream that is ours, or err; TLS is spoken over it here. NULL = as usual. A client with a
         * proxy does not ask it. */
        void (*connect)(void *arg, const char *host, int port, void (*done)(void *done_arg, struct stream *s, const struct err *err),
                        void *done_arg);
        void *connect_arg;
};
/* Texts are copied. An unusable proxy URL is reported by each call. */
struct http_client *http_client_new(struct loop *l, const struct http_client_options *o);
/* Cancels what is under way, without callbacks. */
void http_client_free(struct http_client *c);
DEFINE_AUTO_PTR(http_client, struct http_client, http_client_free)

struct loop *http_client_loop(struct http_client *c);

struct http_response {
        int status;
        struct http_headers headers;
        struct str body; /* empty when the body was streamed */
};
void http_response_done(struct http_response *r);
DEFINE_AUTO_VALUE(http_response, struct http_response, http_response_done)

struct http_call_options {
        const char *method;
        const char *url;
        const struct http_headers *headers; /* borrowed for the call of http_call_start; NULL = none */
        struct sv body;                     /* the same */
        bool has_body;                      /* send Content-Length: 0 for an empty body */
        /* Headers of ours that may be replaced: Host, User-Agent. Content-Length and Connection are ours. */
        int64_t timeout_ms;                 /* whole call, or idle time when streaming; 0 = 60 s, -1 = none */
        size_t max_body;                    /* 0 = HTTP_MAX_BODY_BYTES */
        /* Streaming: when on_data is set the body comes in pieces, whatever the status; on_headers (may be NULL) first. */
        void (*on_headers)(void *arg, const struct http_response *response);
        void (*on_data)(void *arg, struct sv data);
        /* Upgrade: when set and the answer is 101, the stream is handed over; after it on_done is not called. */
        void (*on_upgrade)(void *arg, const struct http_response *response, struct stream *s);
        /* Once. err NULL: the response (whole body unless streamed) is there, whatever its status. The callee may
         * take `response->body` and headers by moving them. err set: response is NULL. Never from within http_call_start. */
        void (*on_done)(void *arg, struct http_response *response, const struct err *err);
        void *arg;
};
struct http_call *http_call_start(struct http_client *c, const struct http_call_options *o);
/* No callback after this. Not after on_done or on_upgrade, with which the call ends. */
void http_call_cancel(struct http_call *call);
/* Of a streamed body; what was already read may still come. */
void http_call_pause(struct http_call *call, bool paused);

/* Runs the loop until the call is done: for commands. Streaming callbacks may be set. */
MUST_USE int http_call_wait(struct http_client *c, struct loop *l, const struct http_call_options *o, struct http_response *ret,
                            struct err *err);

#endif
