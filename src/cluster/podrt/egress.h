/* The pods' way out: TCP and UDP to addresses outside the cluster, relayed in user space through the dialer.
 *
 * Nothing of the host's network is touched, no device or firewall rule is needed, and it is the same for root and for ordinary users. The
 * instance's network has no route out, so the kernel drops what pods send elsewhere; a packet socket on the bridge sees it all the same:
 *
 *   TCP  the first SYN to a port makes a transparent listener on that port, and a routing rule that delivers packets from the bridge to
 * that port locally, whatever their address; the SYN is then injected once more. What is accepted is joined with a connection of the dialer
 * to the address it was meant for. UDP  a flow (both addresses and ports) has a connected socket outside, and a transparent one inside that
 * answers in the peer's name.
 *
 * ICMP (ping) does not get out, nor do IP fragments; a connection that is refused outside is accepted and then reset. Limits:
 * EGRESS_MAX_PORTS ports, EGRESS_MAX_FLOWS flows, EGRESS_MAX_DIALS connections being made at a time.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_EGRESS_H
#define FIRESTEEL_CLUSTER_PODRT_EGRESS_H

#include "cluster/podrt/dialer.h"
#include "cluster/podrt/podnet.h"

enum { EGRESS_MAX_PORTS = 512, EGRESS_MAX_FLOWS = 1024, EGRESS_MAX_DIALS = 256 };

struct egress;
/* In the instance's network namespace. What an earlier server left is taken away. */
MUST_USE int egress_new(struct loop *l, struct dialer *dialer, const struct podnet_ranges *ranges, struct egress **ret, struct err *err);
void egress_free(struct egress *e); /* connections under way go on */

#endif
