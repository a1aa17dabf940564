/* What the relays of TCP and UDP share. */
#ifndef FIRESTEEL_CLUSTER_PODRT_RELAY_INTERNAL_H
#define FIRESTEEL_CLUSTER_PODRT_RELAY_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "cluster/podrt/relay.h"

struct relay {
        struct loop *loop;
        int fd;
        bool is_udp, is_sticky;
        struct fdwatch *watch;
        struct podnet_ranges ranges;
        struct dialer *dialer;
        VEC(struct relay_target) targets;
        size_t next;
        struct map sessions; /* of UDP: "IP:PORT" of the client -> struct session */
        struct timer *sweep; /* while there are any */
};

/* Which target the client gets; there is at least one. */
size_t relay_pick(struct relay *r, uint32_t client);
bool relay_is_inside(const struct podnet_ranges *ranges, const char *ip);

/* relay_udp.c */
void relay_udp_start(struct relay *r);
void relay_udp_targets_changed(struct relay *r);
void relay_udp_end(struct relay *r);

#endif
