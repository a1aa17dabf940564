/* The namespace holder: a tiny process that keeps the namespaces of an instance alive.
 *
 * It makes a user namespace (when not root), a mount namespace and a network namespace with the bridge of the cluster network, and
 * then only waits. It outlives the server; the next server enters the same namespaces and finds its pods there.
 *
 *     holder_start(&o, &h, err)    // starts it, or adopts the one recorded in DIR/holder.json
 *     holder_enter(&h, err)        // the caller moves in: before it has threads
 *     holder_stop(dir, err)        // the namespaces end when the last pod has ended too
 *
 * Nothing of the host's network is touched: every instance has a network namespace of its own, also as root. In the mount namespace
 * mounts of the host still appear (slave propagation), ours do not appear there.
 * As an ordinary user ids are mapped by newuidmap/newgidmap when the user has subordinate ids, else only the user's own id, to 0.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_HOLDER_H
#define FIRESTEEL_CLUSTER_PODRT_HOLDER_H

#include "cluster/podrt/podnet.h"
#include "cluster/podrt/reexec.h"

struct holder_options {
        const char *dir;     /* the instance's directory */
        const char *program; /* what to re-execute; NULL = /proc/self/exe */
        struct podnet_ranges ranges;
};

struct holder {
        struct procid proc;
        bool has_user_namespace;
        bool has_subordinate_ids;
};

MUST_USE int holder_start(const struct holder_options *o, struct holder *ret, struct err *err);
/* -ENOENT when the instance has no live holder. */
MUST_USE int holder_find(const char *dir, struct holder *ret, struct err *err);
MUST_USE int holder_enter(const struct holder *h, struct err *err);
MUST_USE int holder_stop(const char *dir, struct err *err); /* none is fine */

int holder_main(int argc, char **argv);

#endif
