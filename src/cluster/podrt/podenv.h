/* A container's environment and arguments as the kubelet makes them: envFrom, env with valueFrom, $(VAR) expansion, variables of services;
 * and the values of fieldRef and resourceFieldRef, which volumes use too.
 * Errors are the kubelet's texts, which end as the message of CreateContainerConfigError. Loop thread (reads the API). */
#ifndef FIRESTEEL_CLUSTER_PODRT_PODENV_H
#define FIRESTEEL_CLUSTER_PODRT_PODENV_H

#include "base/map.h"
#include "base/vec.h"
#include "cluster/api.h"

/* Facts about a pod that are not in its object yet. */
struct pod_facts {
        const char *pod_ip, *host_ip, *node_name;
        int64_t node_cpu_milli, node_memory_bytes; /* what a container without limits is told */
};

/* "$(NAME)" becomes the value, unknown names stay, "$$" is "$". */
void expand_variables(const char *text, const struct map *variables, struct str *ret);
/* -EINVAL: no such field. Maps (metadata.labels) come as lines of key="value". */
MUST_USE int field_value(const struct object *pod, const struct pod_facts *facts, const char *path, struct str *ret, struct err *err);
/* container: its spec. ref: resourceFieldRef. */
MUST_USE int resource_value(yyjson_val *container, const struct pod_facts *facts, yyjson_val *ref, struct str *ret, struct err *err);
/* Appends NAME=VALUE in order to `ret`, the image's variables first; `variables` gets all of them for arguments. */
MUST_USE int container_env(struct api *api, const struct object *pod, yyjson_val *container, const struct pod_facts *facts,
                           const struct strv *image_env, struct map *variables, struct err *err);
/* The variables of one service: NAME_SERVICE_HOST, NAME_PORT_80_TCP, ... */
void service_variables(const struct object *service, struct map *ret);
/* A container of the pod's spec by name, init containers included; NULL when absent. */
yyjson_val *pod_container_spec(const struct object *pod, const char *name);

#endif
