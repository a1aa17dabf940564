/* A TCP relay in user space: what a Service's cluster address is here. One listener, targets taken in turn.
 * Targets outside the pod and service ranges are reached through the dialer, from the host's network. */
#ifndef FIRESTEEL_CLUSTER_PODRT_RELAY_H
#define FIRESTEEL_CLUSTER_PODRT_RELAY_H

#include "cluster/podrt/dialer.h"
#include "cluster/podrt/podnet.h"

struct relay;
/* NULL when the address cannot be listened on (somebody has it). ranges is copied; dialer borrowed, may be NULL. */
struct relay *relay_new(struct loop *l, const char *address, int port, const struct podnet_ranges *ranges, struct dialer *dialer);
void relay_clear_targets(struct relay *r);
void relay_add_target(struct relay *r, const char *ip, int port);
/* Connections under way go on. */
void relay_free(struct relay *r);

/* Joins two streams until both sides have ended; takes both. */
struct stream;
void relay_join(struct stream *a, struct stream *b);

#endif
