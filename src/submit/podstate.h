/* A pod's state as Spark prints it (KubernetesUtils.formatPodState): the block of `spark-submit --status` and of the status
 * watcher, the same in Spark 3.5 and 4.1. Pure. */
#ifndef FIRESTEEL_SUBMIT_PODSTATE_H
#define FIRESTEEL_SUBMIT_PODSTATE_H

#include "codec/json.h"

/* "\n\t pod name: x\n\t namespace: ..." without a newline at the end. */
void podstate_format(yyjson_val *pod, struct str *out);
/* The containers alone, indented by that many tabs; empty when there are no statuses yet. */
void podstate_format_containers(yyjson_val *pod, int indent, struct str *out);

#endif
