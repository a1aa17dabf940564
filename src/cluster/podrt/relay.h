/* A relay in user space for one port of one address: what an address of a Service is here, and a port of the node. TCP or UDP.
 *
 * Connections, and what a UDP client sends from one port, go to the targets in turn; sticky: to the one that belongs to the client's
 * address, as long as there is such a target (every client ranks the targets by a hash; nothing is remembered, and none moves without
 * need). Targets outside the pod and service ranges are reached through the dialer, from the host's network. A UDP session ends after
 * RELAY_IDLE_MS without a packet, when its target goes, or when it is the idlest of RELAY_MAX_SESSIONS.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_RELAY_H
#define FIRESTEEL_CLUSTER_PODRT_RELAY_H

#include "cluster/podrt/dialer.h"
#include "cluster/podrt/podnet.h"

enum { RELAY_MAX_SESSIONS = 512, RELAY_IDLE_MS = 60000 };

struct relay_target {
        char *ip;
        int port;
};

struct relay;
/* A socket to relay from, in the caller's network namespace: listening or bound, or negative errno. */
MUST_USE int relay_socket(bool is_udp, const char *address, int port);
/* Takes the socket. ranges is copied; dialer borrowed, may be NULL. */
struct relay *relay_new(struct loop *l, bool is_udp, int fd, const struct podnet_ranges *ranges, struct dialer *dialer);
/* Copied. Connections under way go on. */
void relay_set_targets(struct relay *r, const struct relay_target *targets, size_t count, bool is_sticky);
/* Connections under way go on; UDP sessions end. */
void relay_free(struct relay *r);

/* Joins two streams until both sides have ended; takes both. */
struct stream;
void relay_join(struct stream *a, struct stream *b);

#endif
