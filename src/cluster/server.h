/* The embedded cluster as one process: composes loop, API server, controllers, scheduler and pod runtime for one instance.
 *
 * server_run() takes the instance's lock and the port, enters the instance's namespaces, serves until SIGTERM or SIGINT, and then ends
 * pods gracefully, the namespaces and itself, in this order, so that nothing stays behind. A server that is killed instead leaves its pods
 * running; the next one adopts them. A second SIGTERM or SIGINT shortens the pods' grace to nothing.
 * Must be called while the process has one thread.
 */
#ifndef FIRESTEEL_CLUSTER_SERVER_H
#define FIRESTEEL_CLUSTER_SERVER_H

#include "cluster/instance.h"

struct server_events {
        /* What it is about to do: "taking over 3 running pods". May be NULL. */
        void (*on_step)(void *arg, const char *what);
        /* It serves; keys and server.json are written. A failure stops the server. */
        int (*on_ready)(void *arg, const struct instance_server *server, const struct instance_pki *pki, struct err *err);
        void *arg;
};

/* settings->port 0 picks a port (6443 or the next free one) and remembers it. Returns 0 after a graceful end. */
MUST_USE int server_run(const struct instance *i, struct instance_settings *settings, const struct server_events *events, struct err *err);

#define SERVER_SERVICE_ADDRESS "10.96.0.1" /* the Service `kubernetes` */
#define SERVER_DNS_ADDRESS "10.96.0.10"

#endif
