/* PodDisruptionBudgets: how many pods of a budget may be evicted now. Computed from the pods as they are, so that two evictions in a row
 * both count. */
#ifndef FIRESTEEL_CLUSTER_DISRUPTION_H
#define FIRESTEEL_CLUSTER_DISRUPTION_H

#include "cluster/server-internal.h"

struct budget_state {
        int64_t expected, desired, healthy, allowed;
};

void budget_compute(struct apiserver *s, const struct object *budget, struct budget_state *ret);
bool budget_covers(const struct object *budget, const struct object *pod);

#endif
