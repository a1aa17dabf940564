/* Connections to a pod's ports through the API server: SPDY/3.1 inside a WebSocket (SPDY/3.1+portforward.k8s.io).
 *
 * One session serves any number of connections to any of the pod's ports. It ends when the WebSocket does (on_end, once); the
 * connections then have ended as well. Loop thread only. */
#ifndef FIRESTEEL_KUBE_PORTFORWARD_H
#define FIRESTEEL_KUBE_PORTFORWARD_H

#include "kube/client.h"

struct portforward_options {
        const char *namespace_, *pod;
        void (*on_ready)(void *arg); /* connections may be opened */
        void (*on_end)(void *arg, const struct err *err);
        void *arg;
};
struct portforward;
struct portforward *portforward_start(struct kube_client *c, const struct portforward_options *o);
/* Ends every connection without callbacks. Not from callbacks of its connections. */
void portforward_free(struct portforward *f);
DEFINE_AUTO_PTR(portforward, struct portforward, portforward_free)

struct portforward_conn;
struct portforward_events {
        void (*on_data)(void *arg, struct sv data);
        void (*on_end)(void *arg);                         /* the pod's side writes no more */
        void (*on_error)(void *arg, const struct err *err); /* nothing listens there, or it broke; nothing after it */
        void (*on_drain)(void *arg);                        /* what was written went out; may be NULL */
        void *arg;
};
/* NULL before on_ready and after on_end. */
struct portforward_conn *portforward_open(struct portforward *f, int port, const struct portforward_events *ev);
void portforward_write(struct portforward_conn *c, struct sv data);
size_t portforward_pending(const struct portforward_conn *c);
/* Back-pressure on what comes from the pod. The protocol has none for a single connection: the whole session stops while any
 * of its connections is paused. */
void portforward_pause(struct portforward_conn *c, bool paused);
void portforward_finish(struct portforward_conn *c); /* we write no more */
void portforward_close(struct portforward_conn *c);  /* at once; no callback after it */

/* A local port that leads to the pod's, for as long as it lives. Every local connection becomes one of the session's. */
struct portlisten;
MUST_USE int portlisten_new(struct loop *l, const char *address, int port, struct portlisten **ret, int *ret_port, struct err *err);
/* Where connections go from now on; NULL: they wait until there is a session again. */
void portlisten_set(struct portlisten *p, struct portforward *f, int pod_port);
void portlisten_on_error(struct portlisten *p, void (*fn)(void *arg, const struct err *err), void *arg);
void portlisten_free(struct portlisten *p);
DEFINE_AUTO_PTR(portlisten, struct portlisten, portlisten_free)

#endif
