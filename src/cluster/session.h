/* What outlives the handler of a request: held answers, watches, logs, exec and forwarded ports. The server ends them all when it is freed.
 */
#ifndef FIRESTEEL_CLUSTER_SESSION_H
#define FIRESTEEL_CLUSTER_SESSION_H

#include "cluster/server-internal.h"

struct session {
        struct apiserver *s;
        struct session *next, **link;
        /* Ends it: closes the connection, frees the memory, calls session_remove(). */
        void (*end)(struct session *session);
};

void session_add(struct apiserver *s, struct session *session, void (*end)(struct session *session));
void session_remove(struct session *session);

#endif
