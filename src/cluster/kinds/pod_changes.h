/* What may change of a pod. Each adds what is wrong to `bad`, in the words of Kubernetes 1.34. */
#ifndef FIRESTEEL_CLUSTER_KINDS_POD_CHANGES_H
#define FIRESTEEL_CLUSTER_KINDS_POD_CHANGES_H

#include "kobj/invalid.h"

/* Of its spec, which has passed podspec_validate(): images, deadlines that come nearer, more tolerations, fewer gates; while gates hold it
 * back, where it may run. */
void pod_check_changes(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad);
/* Of its ephemeral containers: they may be added, and stay as they are. */
void pod_check_ephemeral(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad);
/* Of its status. */
void pod_check_status(yyjson_val *pod, yyjson_val *old, struct invalid *bad);

#endif
