/* A driver proxy: a Service by which pods reach a driver that runs outside the cluster, on this machine.
 *
 * The Service selects no pods; an EndpointSlice (Endpoints where the cluster has no slices) says that it leads to this machine. Spark is
 * told the Service's name as spark.driver.host, and that its ports are the same on both sides.
 *
 * Whose it is stands in annotations: the process that made it, on which boot of which machine, and when that process last said that it is
 * alive. So anybody can tell a proxy that was left behind by a crash. One made to stay (for a notebook) names no process and is never an
 * orphan.
 *
 * All calls run the client's loop until the answer is there. */
#ifndef FIRESTEEL_SUBMIT_DRIVERPROXY_H
#define FIRESTEEL_SUBMIT_DRIVERPROXY_H

#include "base/vec.h"
#include "kube/client.h"

#define DRIVER_PROXY_LABEL "firesteel.dev/driver-proxy"

enum {
        DRIVER_PROXY_DRIVER_PORT = 7078,
        DRIVER_PROXY_BLOCK_PORT = 7079,
        DRIVER_PROXY_UI_PORT = 4040,
        DRIVER_PROXY_RENEW_MS = 2 * 60 * 1000,
        DRIVER_PROXY_STALE_MS = 10 * 60 * 1000, /* of another machine: not renewed for so long */
};

struct driver_proxy {
        const char *namespace_, *name; /* of the Service */
        const char *address;           /* of this machine */
        int driver_port, block_port, ui_port;
        bool is_lasting; /* outlives this process */
};

/* The address of this machine from which packets to that server (a URL) leave, as the routing table has it. */
MUST_USE int driver_proxy_address(const char *server, char **ret, struct err *err);
/* When a part cannot be made the others are taken back. */
MUST_USE int driver_proxy_create(struct kube_client *c, const struct driver_proxy *p, struct err *err);
/* Says that this process is still there. */
MUST_USE int driver_proxy_renew(struct kube_client *c, const char *namespace_, const char *name, struct err *err);
/* Only what carries the label is removed. -ENOENT when there is none of that name. */
MUST_USE int driver_proxy_remove(struct kube_client *c, const char *namespace_, const char *name, struct err *err);

/* Proxies whose process has ended; namespace_ NULL = all namespaces. Entries are NAMESPACE/NAME. */
MUST_USE int driver_proxy_orphans(struct kube_client *c, const char *namespace_, struct strv *ret, struct err *err);

#endif
