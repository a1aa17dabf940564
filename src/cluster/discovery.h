/* What the server serves, told to clients: /api, /apis and their versions, plain and aggregated; /version; OpenAPI. */
#ifndef FIRESTEEL_CLUSTER_DISCOVERY_H
#define FIRESTEEL_CLUSTER_DISCOVERY_H

#include "cluster/request.h"

/* Any path that names no resource; 404 in plain text for what is not there. */
int discovery_serve(struct request *q, struct err *err);
/* "openapi/v3..." (openapi.c): 0 when answered, -ENOENT when the path is not one of its. */
int openapi_serve(struct request *q, struct err *err);
/* Prometheus text of the server's own figures. */
void metrics_text(struct apiserver *s, struct str *out);
/* The metrics.k8s.io group exists once there is a pod runtime. */
bool discovery_has_metrics(const struct apiserver *s);

#endif
