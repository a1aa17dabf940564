/* Cluster IPs and node ports: which are taken by Services, and which is free next. Derived from the Services in memory. */
#ifndef FIRESTEEL_CLUSTER_ADDRESSES_H
#define FIRESTEEL_CLUSTER_ADDRESSES_H

#include "base/err.h"
#include "cluster/object.h"

enum { NODE_PORT_FIRST = 30000, NODE_PORT_LAST = 32767 };

struct addresses;

/* -EINVAL unless `cidr` is an IPv4 network of 8 to 28 bits ("10.96.0.0/16"). */
MUST_USE int addresses_new(const char *cidr, struct addresses **ret, struct err *err);
void addresses_free(struct addresses *a);
/* Follows a Service from one version to the next (either may be NULL). */
void addresses_follow(struct addresses *a, struct object *now, struct object *before);
bool addresses_is_taken(const struct addresses *a, const char *ip);
bool addresses_contains(const struct addresses *a, const char *ip);
/* A free one, the owner's to free; NULL when all are taken. The first (".1") is the API server's. */
char *addresses_pick(struct addresses *a);
char *addresses_first(const struct addresses *a);
bool addresses_port_is_taken(const struct addresses *a, int port);
int addresses_pick_port(const struct addresses *a); /* 0: none left */

#endif
