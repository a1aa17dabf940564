/* DNS queries for names outside the cluster, passed on to resolvers of the host's network: one after the other when one does not answer, as
 * libc does. Answers go back as they came. UDP only; limits: DNSFORWARD_MAX queries under way, packets of 4 KiB. */
#ifndef FIRESTEEL_CLUSTER_PODRT_DNSFORWARD_H
#define FIRESTEEL_CLUSTER_PODRT_DNSFORWARD_H

#include <netinet/in.h>

#include "base/vec.h"
#include "cluster/podrt/dialer.h"

enum { DNSFORWARD_MAX = 1024 };

struct dnsforward;
/* Answers are sent from `fd`, which is borrowed. resolvers: ADDRESS[:PORT]; NULL or empty: the nameservers of /etc/resolv.conf, read for
 * each query anew when the file changed. NULL when there are none. */
struct dnsforward *dnsforward_new(struct loop *l, struct dialer *dialer, const struct strv *resolvers, int fd);
void dnsforward_free(struct dnsforward *f);
/* False: too much is under way; the caller answers. */
bool dnsforward_ask(struct dnsforward *f, struct sv query, const struct sockaddr_in *from);
/* The same about NAME, what the asked name stands for: the answer has both. */
bool dnsforward_ask_alias(struct dnsforward *f, struct sv query, const char *name, const struct sockaddr_in *from);

#endif
