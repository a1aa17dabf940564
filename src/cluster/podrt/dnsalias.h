/* DNS answers for names that stand for others: Services of type ExternalName. The answer has the alias (CNAME) and, because pods' resolvers
 * do not ask on by themselves, the addresses of what it stands for. Pure; packets of at most DNS_MAX_PACKET, addresses that do not fit are
 * left out. */
#ifndef FIRESTEEL_CLUSTER_PODRT_DNSALIAS_H
#define FIRESTEEL_CLUSTER_PODRT_DNSALIAS_H

#include "cluster/podrt/dnsserver.h"

/* The same question about NAME; false when that is no DNS name. */
bool dnsalias_query(const struct dns_query *q, const char *name, struct str *ret);
/* Answers the question with the alias and IPv4 addresses (for A queries). */
bool dnsalias_answer(struct sv question, const struct dns_query *q, const char *name, const struct strv *addresses, struct str *ret);
/* Answers it with the alias and the addresses in what a resolver answered to dnsalias_query(); false when that is damaged. */
bool dnsalias_translate(struct sv question, const struct dns_query *q, const char *name, struct sv resolved, struct str *ret);

#endif
