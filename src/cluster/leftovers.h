/* What a server that was killed leaves behind: containers with their shims, the History Server, and the namespace holder. The next server
 * takes them over; when there is to be none, they are ended here. Needs no server and no namespaces: it works on processes and files. */
#ifndef FIRESTEEL_CLUSTER_LEFTOVERS_H
#define FIRESTEEL_CLUSTER_LEFTOVERS_H

#include "cluster/instance.h"

/* How many processes (shims, History Server and holder) are alive. */
int leftovers_count(const struct instance *i);
/* Ends them, containers at once, and waits until they are gone. Returns how many there were. No server may run. */
MUST_USE int leftovers_end(const struct instance *i, struct err *err);
/* Removes the directory of the instance. Nothing may run. */
MUST_USE int leftovers_remove(const struct instance *i, struct err *err);

#endif
