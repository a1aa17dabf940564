/* One unary gRPC call over HTTP/2 without TLS (what the kubelet's gRPC probes are), on a connection of its own.
 *
 *     call = grpc_call_start(loop, &(struct grpc_call_options){.host = ip, .port = 9000, .path = "/grpc.health.v1.Health/Check", ...});
 *
 * HTTP/2 with its header compression is libnghttp2's work; here are gRPC's framing and status. Messages are not compressed, calls are not
 * repeated. Limits: GRPC_MAX_ANSWER bytes of answer, 64 KiB of headers. Rules: gRPC over HTTP2 (PROTOCOL-HTTP2.md of gRPC).
 */
#ifndef FIRESTEEL_NET_GRPC_H
#define FIRESTEEL_NET_GRPC_H

#include "event/loop.h"

enum { GRPC_MAX_ANSWER = 4 << 20 }; /* gRPC's own limit of a message */
enum { GRPC_OK = 0, GRPC_UNKNOWN = 2, GRPC_DEADLINE_EXCEEDED = 4, GRPC_UNIMPLEMENTED = 12, GRPC_INTERNAL = 13, GRPC_UNAVAILABLE = 14 };

struct grpc_call;

struct grpc_answer {
        bool is_connected;   /* the peer has shown that it speaks HTTP/2 */
        int status;          /* GRPC_OK, or another of gRPC's codes */
        const char *message; /* what the server says about the status; "" for nothing */
        struct sv body;      /* the message answered; with GRPC_OK only */
};

struct grpc_call_options {
        const char *host; /* numeric */
        int port;
        const char *path; /* "/package.Service/Method" */
        const char *user_agent;
        struct sv body;
        int64_t timeout_ms; /* of everything */
        /* Called once, never inside grpc_call_start(). err: no status came; -ETIMEDOUT when the time was over. Valid during the call. */
        void (*on_done)(void *arg, const struct grpc_answer *a, const struct err *err);
        void *arg;
};

struct grpc_call *grpc_call_start(struct loop *l, const struct grpc_call_options *o);
/* on_done is not called any more. Only before it was called. */
void grpc_call_cancel(struct grpc_call *c);
/* "NotFound" for 5, as Go's library names the codes; "Code(99)" for others (the caller frees). */
char *grpc_status_name(int status);

#endif
