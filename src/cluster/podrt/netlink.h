/* rtnetlink: the few requests that make the network of an instance, without `ip` processes.
 *
 * A message is built in a fixed buffer (nlmsg_begin, attributes, nests), sent, and its acknowledgement awaited; the kernel answers
 * at once, so the calls may be made from any thread. A `struct nl` works in the network namespace in which it was opened, whatever the
 * thread does afterwards.
 * Sources: rtnetlink(7), linux/if_link.h, linux/veth.h.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_NETLINK_H
#define FIRESTEEL_CLUSTER_PODRT_NETLINK_H

#include "base/err.h"

#include <stdbool.h>

enum { NLMSG_MAX = 1024 };

struct nlmsg {
        _Alignas(8) unsigned char data[NLMSG_MAX];
        size_t len;
        bool overflow; /* an attribute did not fit; sending fails */
};

void nlmsg_begin(struct nlmsg *m, int type, int flags, const void *body, size_t body_len);
void nlmsg_attr(struct nlmsg *m, int type, const void *data, size_t len);
void nlmsg_attr_str(struct nlmsg *m, int type, const char *text); /* with the NUL */
void nlmsg_attr_u32(struct nlmsg *m, int type, uint32_t value);
/* Opens a nested attribute; returns what nlmsg_nest_end() wants. */
size_t nlmsg_nest(struct nlmsg *m, int type);
void nlmsg_nest_end(struct nlmsg *m, size_t nest);
/* Bytes without an attribute header (a header inside VETH_INFO_PEER). */
void nlmsg_raw(struct nlmsg *m, const void *data, size_t len);

struct nl {
        int fd;
        uint32_t sequence;
};

MUST_USE int nl_open(struct nl *ret, struct err *err);
void nl_close(struct nl *nl);
DEFINE_AUTO_VALUE(nl, struct nl, nl_close)

/* Sends, awaits the acknowledgement. -EEXIST and the like come from the kernel. */
MUST_USE int nl_request(struct nl *nl, struct nlmsg *m, struct err *err);

/* Addresses are IPv4 in network byte order. */
MUST_USE int nl_link_index(struct nl *nl, const char *name, int *ret, struct err *err);
MUST_USE int nl_add_bridge(struct nl *nl, const char *name, struct err *err);
/* One end here, enslaved to `master` (interface index) and up; the other, `peer_name`, in the namespace of peer_netns_fd. */
MUST_USE int nl_add_veth(struct nl *nl, const char *name, int master, const char *peer_name, int peer_netns_fd, struct err *err);
MUST_USE int nl_delete_link(struct nl *nl, const char *name, struct err *err); /* absent is fine */
MUST_USE int nl_link_up(struct nl *nl, int index, struct err *err);
MUST_USE int nl_add_address(struct nl *nl, int index, uint32_t address, int prefix, struct err *err); /* present is fine */
MUST_USE int nl_add_default_route(struct nl *nl, uint32_t gateway, struct err *err);
/* Makes a whole range local to this namespace (route type `local` on lo): every address of it can be bound. */
MUST_USE int nl_add_local_range(struct nl *nl, uint32_t network, int prefix, struct err *err);

#endif
