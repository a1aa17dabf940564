/* A small DNS server (UDP) for the cluster's names; everything else goes to the host's resolvers (dnsforward.h).
 *
 * Answers A queries of names the callback knows; AAAA of such names is empty; other names in the cluster's domain do not exist. A name
 * that stands for another (ExternalName) is answered with both (dnsalias.h). Names outside
 * are refused when the way out is missing. Malformed packets are dropped. Sources: RFC 1035, Kubernetes DNS specification 1.1.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_DNSSERVER_H
#define FIRESTEEL_CLUSTER_PODRT_DNSSERVER_H

#include "base/str.h"
#include "base/vec.h"
#include "cluster/podrt/dialer.h"

struct dnsserver;
/* True when the name (no final dot) exists; its IPv4 addresses into ret, or what it stands for into *ret_alias (the caller frees). */
typedef bool dnsserver_resolve(void *arg, const char *name, struct strv *ret, char **ret_alias);
/* NULL when the address cannot be bound. */
/* dialer NULL: names outside are refused. resolvers: ADDRESS[:PORT]; NULL or empty: those of /etc/resolv.conf. */
struct dnsserver *dnsserver_new(struct loop *l, const char *address, struct dialer *dialer, const struct strv *resolvers,
                                dnsserver_resolve *resolve, void *arg);
void dnsserver_free(struct dnsserver *s);
/* ADDRESS[:PORT] with a numeric IPv4 address. */
bool resolver_is_valid(const char *text);

enum { DNS_MAX_PACKET = 512, DNS_NAME_SIZE = 256, DNS_A = 1, DNS_AAAA = 28 };
struct dns_query {
        uint16_t id, flags, type;
        char name[DNS_NAME_SIZE];
        size_t question_len; /* bytes of the question section */
};
/* False when it is not one well-formed question. */
bool dns_parse(struct sv packet, struct dns_query *ret);
/* The answer: rcode 0 with these addresses (may be none), 3 no such name, 5 refused. */
void dns_answer(struct sv packet, const struct dns_query *q, int rcode, const struct strv *addresses, struct str *ret);

#endif
