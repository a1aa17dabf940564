/* Rules of node selectors (core NodeSelector): of a volume's node affinity and of a pod's.
 * Source of rules: Kubernetes 1.34, ValidateNodeSelector. */
#ifndef FIRESTEEL_CLUSTER_KINDS_NODE_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_NODE_RULES_H

#include "codec/json.h"
#include "kobj/invalid.h"

void node_selector_validate(yyjson_val *selector, const char *path, struct invalid *bad);
/* One of its terms. Preferences accept any text as a value of a label. */
void node_selector_term_validate(yyjson_val *term, bool accepts_any_value, const char *path, struct invalid *bad);

#endif
