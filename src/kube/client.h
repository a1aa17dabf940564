/* A Kubernetes API client: one request with credentials, retries and Status bodies turned into errors.
 *
 *     AUTO(kube_client) struct kube_client *c = NULL;
 *     r = kube_client_new(loop, &(struct kube_client_options){.access = &access}, &c, err);
 *     AUTO(json) yyjson_doc *pod = NULL;
 *     r = kube_get(c, &KUBE_PODS, "default", "pi-driver", &pod, err);            // kube/verbs.h
 *
 * Everything runs on the loop's thread. Calls are asynchronous (kube_call_start); kube_call_wait runs the loop until
 * one call is done, for commands. Bodies above 64 KiB are parsed on a worker.
 *
 * Retries: 429 and 5xx are tried again with exponential back-off, or after what Retry-After says; 401 once, after the
 * credentials were renewed; everything else is the answer. Errors carry HTTP status, reason and details of the
 * Status body; err->code is -ENOENT for 404, -EEXIST for AlreadyExists, -EBUSY for Conflict, -ESTALE for 410, -EACCES for
 * 401, -EPERM for 403, -EINVAL for 400 and 422, -EAGAIN for 429, -EREMOTEIO for 5xx. */
#ifndef FIRESTEEL_KUBE_CLIENT_H
#define FIRESTEEL_KUBE_CLIENT_H

#include "codec/json.h"
#include "kube/access.h"
#include "net/http_client.h"
#include "net/ws.h"

enum { KUBE_MAX_BODY = 256 * 1024 * 1024, KUBE_MAX_RETRY_AFTER_MS = 60 * 1000 };

struct kube_retry {
        int retries;             /* after the first try */
        int64_t first_ms;        /* wait before the first retry; doubled each time */
        int64_t max_ms;          /* and at most this */
        bool broken_connections; /* also when a connection broke without an answer (a write may then happen twice) */
};
extern const struct kube_retry KUBE_RETRY_DEFAULT; /* 5 retries, connections only for reads */
extern const struct kube_retry KUBE_RETRY_SPARK35; /* 3 retries, broken connections too */
extern const struct kube_retry KUBE_RETRY_SPARK41; /* 3 retries */
extern const struct kube_retry KUBE_RETRY_NONE;

struct kube_client;

struct kube_client_options {
        const struct kube_access *access; /* copied */
        const char *user_agent;           /* NULL = firesteel/VERSION */
        const struct kube_retry *retry;   /* NULL = KUBE_RETRY_DEFAULT */
        const char *field_manager;        /* of writes; NULL = firesteel, "" = send none */
        bool dry_run;                     /* writes are sent with dryRun=All */
        int64_t timeout_ms;               /* of one try; 0 = 60 s */
        size_t max_idle;                  /* connections kept for the next call; 0 = as http_client.h has it */
};

MUST_USE int kube_client_new(struct loop *l, const struct kube_client_options *o, struct kube_client **ret, struct err *err);
/* Every call and stream must have ended or been cancelled. */
void kube_client_free(struct kube_client *c);
DEFINE_AUTO_PTR(kube_client, struct kube_client, kube_client_free)
struct loop *kube_client_loop(struct kube_client *c);
const struct kube_access *kube_client_access(const struct kube_client *c);
/* The namespace of the context, or "default". */
const char *kube_client_namespace(const struct kube_client *c);
const char *kube_client_field_manager(const struct kube_client *c); /* NULL when none is sent */
bool kube_client_is_dry_run(const struct kube_client *c);

/* A request; verbs.h makes them. All members owned by it. */
struct kube_request {
        const char *method; /* a literal */
        char *path;         /* /api/v1/namespaces/default/pods/x */
        char *query;        /* encoded, without '?'; NULL = none */
        const char *content_type; /* a literal; NULL = no body */
        const char *accept;       /* a literal; NULL = application/json */
        struct str body;
        int64_t timeout_ms; /* 0 = the client's */
        bool is_raw;        /* the answer is not JSON: leave it in reply->body */
        bool no_retry;
};
void kube_request_done(struct kube_request *r);
DEFINE_AUTO_VALUE(kube_request, struct kube_request, kube_request_done)

struct kube_reply {
        int status;
        struct http_headers headers;
        struct str body; /* of raw requests */
        yyjson_doc *doc; /* of the others; NULL when the body is empty */
};
void kube_reply_done(struct kube_reply *r);
DEFINE_AUTO_VALUE(kube_reply, struct kube_reply, kube_reply_done)

struct kube_call;
/* done is called once, never before this returns; with `err` set there is no reply. It may move members out of the
 * reply. The request is copied. */
struct kube_call *kube_call_start(struct kube_client *c, const struct kube_request *request,
                                  void (*done)(void *arg, struct kube_reply *reply, const struct err *err), void *arg);
/* No callback after this. */
void kube_call_cancel(struct kube_call *call);
/* No server saw the request: the connection was never made (refused, no route, unknown host, untrusted certificate). */
bool kube_err_was_not_sent(const struct err *err);
MUST_USE int kube_call_wait(struct kube_client *c, const struct kube_request *request, struct kube_reply *ret, struct err *err);

/* An answer that comes in pieces (watch, log). One try, but for a renewal of refused credentials; who wants more
 * reconnects. A status that is not 2xx is an error made of its body. */
struct kube_stream_events {
        void (*on_open)(void *arg, const struct http_response *response); /* may be NULL; status 2xx */
        void (*on_data)(void *arg, struct sv data);
        /* Once, at the end: err NULL when the server ended the answer properly. */
        void (*on_end)(void *arg, const struct err *err);
        void *arg;
};
struct kube_stream;
struct kube_stream *kube_stream_start(struct kube_client *c, const struct kube_request *request, const struct kube_stream_events *events);
void kube_stream_pause(struct kube_stream *s, bool paused);
/* No callback after this; also allowed in a callback. */
void kube_stream_cancel(struct kube_stream *s);

/* A WebSocket to that path and query. done as in ws.h; the connecting can be cancelled until then. */
struct kube_ws_connecting;
struct kube_ws_connecting *kube_ws_connect(struct kube_client *c, const char *path, const char *query, const char *const *protocols,
                                           size_t max_message,
                                           void (*done)(void *arg, struct ws *w, const char *protocol, const struct err *err), void *arg);
void kube_ws_cancel(struct kube_ws_connecting *connecting);

/* The error that an answer of this status and body is; returns its code. For others who speak HTTP to the API. */
int kube_status_error(int status, struct sv body, struct err *err);

#endif
