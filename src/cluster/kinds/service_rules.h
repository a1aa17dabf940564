/* Rules of Services (pkg/apis/core/validation ValidateService, 1.34): what does not depend on which addresses and ports are free. */
#ifndef FIRESTEEL_CLUSTER_KINDS_SERVICE_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_SERVICE_RULES_H

#include "kobj/invalid.h"

void service_rules(yyjson_val *service, struct invalid *bad);
/* Type LoadBalancer with local external traffic only has a health check port. */
bool service_needs_health_port(yyjson_val *spec);
/* Reached from outside: NodePort, LoadBalancer, or a ClusterIP with external addresses. */
bool service_is_external(yyjson_val *spec);

#endif
