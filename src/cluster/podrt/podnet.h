/* The cluster network inside the instance's network namespace: a bridge, a service range, a namespace and an address per pod.
 *
 * The bridge has the first address of the pod range; a pod has `eth0` (one end of a veth pair) with an address of the range and the bridge
 * as default gateway. The service range is a local range of the namespace: any address of it can be bound by the server (relay,
 * API server, DNS), and pods reach it through the gateway.
 * A pod's network, ipc and uts namespaces are shared by its containers and kept by bind mounts in the instance's mount namespace, so
 * that they outlive the server and any container.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_PODNET_H
#define FIRESTEEL_CLUSTER_PODRT_PODNET_H

#include "base/err.h"
#include "base/str.h"

#define PODNET_BRIDGE "firesteel0"

struct cidr {
        uint32_t network; /* host byte order */
        int prefix;
};

struct podnet_ranges {
        struct cidr pods;     /* 10.244.0.0/16 */
        struct cidr services; /* 10.96.0.0/16 */
};
#define PODNET_RANGES_DEFAULT ((struct podnet_ranges){{0x0af40000, 16}, {0x0a600000, 16}})

enum { IPV4_SIZE = 16 };
/* "a.b.c.d/n" with no bit set after n; n from 8 to 28. */
MUST_USE int cidr_parse(const char *text, struct cidr *ret, struct err *err);
bool cidr_contains(struct cidr c, uint32_t address);
void ipv4_format(uint32_t address, char ret[IPV4_SIZE]);
bool ipv4_parse(const char *text, uint32_t *ret);
/* The n-th address of the range. */
static inline uint32_t cidr_address(struct cidr c, uint32_t n) { return c.network + n; }
static inline uint32_t cidr_size(struct cidr c) { return c.prefix ? 1U << (32 - c.prefix) : 0; }

/* In the holder, once. */
MUST_USE int podnet_init(const struct podnet_ranges *ranges, struct err *err);

/* Addresses of pods, handed out in turn so that one just freed is not reused at once. Not thread-safe. */
struct podnet_pool {
        struct cidr range;
        uint32_t next;
        unsigned char *used; /* one bit an address */
};
void podnet_pool_init(struct podnet_pool *p, struct cidr range);
void podnet_pool_done(struct podnet_pool *p);
/* -ENOSPC when all are taken. */
MUST_USE int podnet_pool_take(struct podnet_pool *p, uint32_t *ret, struct err *err);
/* Marks one as taken (adopted pods). */
void podnet_pool_mark(struct podnet_pool *p, uint32_t address);
void podnet_pool_release(struct podnet_pool *p, uint32_t address);

/* Makes DIR/{net,ipc,uts} with a loopback and eth0. `link` names the host end (up to 15 characters, one a pod). Works on any thread
 * (the thread's own namespaces are restored). */
MUST_USE int podnet_create(const char *dir, const char *link, const char *hostname, uint32_t address, const struct podnet_ranges *ranges,
                           struct err *err);
MUST_USE int podnet_destroy(const char *dir, const char *link, struct err *err);
/* A TCP or UDP socket made inside the pod's network namespace (`type` as for socket()); any thread. */
MUST_USE int podnet_socket(const char *dir, int type, int *ret_fd, struct err *err);

#endif
