/* User namespaces of ordinary users: which ids they have, and work that is to be done as the root of one.
 *
 * As root of a namespace the user's own id is 0, and the subordinate ids (/etc/subuid, /etc/subgid), when there are any and newuidmap and
 * newgidmap can map them, are 1 and up. Every namespace made here maps the same, so that files made in one belong to the root of another.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_USERNS_H
#define FIRESTEEL_CLUSTER_PODRT_USERNS_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* Maps the ids of a process that has just made a user namespace: from outside. */
MUST_USE int userns_map(pid_t pid, bool *ret_subids, struct err *err);

enum { USERNS_MAX_ANSWER = 4096 };
/* Runs fn in a child that is root of a namespace of its own, and waits for it; the answer comes back. The child is a fork of the caller,
 * who has no threads. -EPERM: this machine or user may not. */
MUST_USE int userns_run(int (*fn)(void *arg, struct str *answer, struct err *err), void *arg, struct str *ret_answer, struct err *err);

#endif
