/* Services as the node sees them: addresses, ports and ready endpoints, computed from the API's objects; and the hosts files made of it.
 * Services with a selector are resolved from the pods themselves (at once, without waiting for a controller); others from EndpointSlices.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_SVCTABLE_H
#define FIRESTEEL_CLUSTER_PODRT_SVCTABLE_H

#include "base/vec.h"
#include "cluster/api.h"

struct endpoint {
        char *ip, *hostname; /* hostname NULL: none */
        VEC(int) ports;      /* by the service's ports; 0 = none */
};

enum svc_protocol { SVC_TCP, SVC_UDP, SVC_SCTP };

struct svc_port {
        char *name;
        int number, node_port; /* node_port 0: none */
        enum svc_protocol protocol;
};

struct svc {
        char *ns, *name, *ip; /* ip NULL: headless */
        char *external_name;  /* of type ExternalName; NULL */
        bool is_sticky;       /* sessionAffinity: ClientIP */
        VEC(struct svc_port) ports;
        VEC(struct endpoint) endpoints;
};

struct svctable {
        VEC(struct svc) list;
};
void svctable_done(struct svctable *t);
DEFINE_AUTO_VALUE(svctable, struct svctable, svctable_done)
void svctable_load(struct svctable *t, struct api *api);

struct hosts_pod {
        const char *ns, *name, *ip;
        const char *hostname, *subdomain; /* NULL: none */
        yyjson_val *aliases;              /* spec.hostAliases */
};
/* The text of /etc/hosts. Pure. */
void svctable_hosts(const struct svctable *t, const struct hosts_pod *p, const char *domain, struct str *ret);
/* The addresses of a name (without a final dot): SVC.NS.svc.DOMAIN and HOST.SVC.NS.svc.DOMAIN, or what an ExternalName service stands for
 * (the caller frees); false: no such name. */
bool svctable_resolve(const struct svctable *t, const char *name, const char *domain, struct strv *ret, char **ret_alias);

#endif
