/* Rules and defaults of a persistent volume's source: which of its members says where the volume is, and what must be in it.
 * Source of rules: Kubernetes 1.34, ValidatePersistentVolumeSpec and the defaults of core/v1. */
#ifndef FIRESTEEL_CLUSTER_KINDS_VOLUME_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_VOLUME_RULES_H

#include "codec/json.h"
#include "kobj/invalid.h"

void volume_source_default(yyjson_mut_doc *doc, yyjson_mut_val *spec);
/* `name` is the volume's. */
void volume_source_validate(yyjson_val *spec, const char *name, const char *path, struct invalid *bad);
/* Do two specs name the same source? */
bool volume_source_equal(yyjson_val *a, yyjson_val *b);

#endif
