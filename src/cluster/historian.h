/* The History Server beside an instance: `firesteel history` on a directory of event logs, at a port of the host.
 *
 *     historian_open(i, settings, &h, err)   // before the namespaces are entered: takes the port
 *     historian_watch(h, loop)               // from now on a visit starts the process
 *     historian_stop(h); historian_free(h)
 *
 * This process listens, the first visit starts the other one, which gets the socket; when that ends, the next visit starts it again. So it
 * costs nothing until somebody looks, and no visitor is turned away. It runs inside the instance's namespaces: a socket keeps the network
 * that it was made in, and in there it may read what pods of any user wrote, also when an ordinary user started the instance.
 *
 *     DIR/events/        event logs, unless the settings name another directory
 *     DIR/history/       indexes: a cache
 *     DIR/history.json   the process; history.log what it says
 *
 * It ends with the server. When the server is killed it goes on; the next server replaces it at the same port, `down` ends it.
 */
#ifndef FIRESTEEL_CLUSTER_HISTORIAN_H
#define FIRESTEEL_CLUSTER_HISTORIAN_H

#include "cluster/instance.h"
#include "cluster/podrt/reexec.h"
#include "event/loop.h"

struct historian;

/* Ends a process that a killed server left, makes the directory, takes the port: the one in the settings (-EADDRINUSE names who has it),
 * else the one of last time or the next free one, which is then remembered in the settings. *ret is NULL when the settings say off. */
MUST_USE int historian_open(const struct instance *i, struct instance_settings *s, struct historian **ret, struct err *err);
void historian_watch(struct historian *h, struct loop *l);
/* Ends the process, with a moment for answers under way. */
void historian_stop(struct historian *h);
void historian_free(struct historian *h);
DEFINE_AUTO_PTR(historian, struct historian, historian_free)

int historian_port(const struct historian *h);
/* Where event logs are: what the settings say, else DIR/events. The caller frees. */
char *historian_events(const struct instance *i, const struct instance_settings *s);

/* -ESRCH when it does not run. */
MUST_USE int historian_find(const struct instance *i, struct procid *ret, struct err *err);
/* Ends the process that a killed server left; 1 when there was one. */
int historian_end(const struct instance *i);

#endif
