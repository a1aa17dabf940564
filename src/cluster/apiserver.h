/* The embedded cluster's API server: one entry for composition.
 *
 *     struct apiserver *s;
 *     apiserver_new(loop, &(struct apiserver_options){.database = "state/kube.db", ...}, &s, err);
 *     http_server_new(loop, &(struct http_server_options){.tls = tls, .handler = apiserver_handle, .arg = s});
 *
 * All state is in memory, on the loop's thread; every write is in the SQLite log before anybody hears of it (store.h).
 * Without an HTTP server it is used in-process by api.h. Life cycle: new, then use, then apiserver_stop() (waits for the last commit), then
 * free; api handles are freed before.
 */
#ifndef FIRESTEEL_CLUSTER_APISERVER_H
#define FIRESTEEL_CLUSTER_APISERVER_H

#include "event/loop.h"
#include "net/http_server.h"

struct apiserver;
struct pod_backend;

struct apiserver_options {
        const char *database;       /* file; NULL = in memory only (unit tests) */
        const char *service_cidr;   /* NULL = 10.96.0.0/16; .1 is the Service `kubernetes` */
        const char *advertise_address; /* where the API is reached inside the cluster; NULL = 127.0.0.1 */
        int advertise_port;            /* 0 = 443 */
        struct sv ca_cert_pem;      /* published as kube-root-ca.crt and in discovery of the cluster; empty = none */
        struct sv token_key_pem;    /* signs service account tokens (EC P-256 or RSA private key); empty = one made now and forgotten */
        const char *admin_token;    /* static bearer token of system:masters, or NULL */
        const char *issuer;         /* NULL = https://kubernetes.default.svc.cluster.local */
        bool allow_anonymous_admin; /* every unauthenticated request is cluster-admin: for tests only */
        size_t watch_history;       /* events kept for resuming watches; 0 = 16384 */
};

MUST_USE int apiserver_new(struct loop *l, const struct apiserver_options *o, struct apiserver **ret, struct err *err);
/* Ends watches and streams, waits for the commit worker (blocking, bounded by the disk), closes the database. */
void apiserver_free(struct apiserver *s);
DEFINE_AUTO_PTR(apiserver, struct apiserver, apiserver_free)
void apiserver_set_pod_backend(struct apiserver *s, const struct pod_backend *backend); /* borrowed */
/* How to connect to addresses outside the cluster, for a server in a network namespace of its own: done once, never from within, with a
 * stream that is the callee's, or err. */
typedef void apiserver_connect_fn(void *arg, const char *host, int port,
                                  void (*done)(void *done_arg, struct stream *s, const struct err *err), void *done_arg);
void apiserver_set_connect(struct apiserver *s, apiserver_connect_fn *connect, void *arg);
/* The handler for http_server_options; arg is the apiserver. */
void apiserver_handle(struct http_exchange *x, const struct http_request *request, void *arg);
/* Makes an EC P-256 key for token_key_pem. The caller frees. */
MUST_USE int apiserver_make_token_key(char **ret_pem, struct err *err);
/* Calls done once everything written so far is durable (at once, from the loop, when it is). */
void apiserver_when_durable(struct apiserver *s, void (*done)(void *arg), void *arg);

#endif
