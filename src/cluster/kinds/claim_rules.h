/* Rules of a claim's spec, which stands in a PersistentVolumeClaim and in a pod's ephemeral volume.
 * Source of rules: Kubernetes 1.34, ValidatePersistentVolumeClaimSpec and the claim strategy's NormalizeDataSources. */
#ifndef FIRESTEEL_CLUSTER_KINDS_CLAIM_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_CLAIM_RULES_H

#include "codec/json.h"
#include "kobj/invalid.h"

void claim_spec_validate(yyjson_val *spec, const char *path, struct invalid *bad);
/* `old` is the spec that is replaced, or NULL. */
void claim_spec_normalize(yyjson_mut_doc *doc, yyjson_mut_val *spec, yyjson_val *old);

#endif
