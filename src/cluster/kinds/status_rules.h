/* Rules for what is written to /status of kinds that count: numbers, and how they stand to each other (1.34). */
#ifndef FIRESTEEL_CLUSTER_KINDS_STATUS_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_STATUS_RULES_H

#include "kobj/invalid.h"

/* `kind_id` is that of the resource ("deployments.apps"); kinds without such rules pass. */
void status_rules_validate(const char *kind_id, yyjson_val *object, yyjson_val *old, struct invalid *bad);

#endif
