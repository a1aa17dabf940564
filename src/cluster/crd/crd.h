/* CustomResourceDefinitions: their rules, and the resources they bring into the registry and take out again. */
#ifndef FIRESTEEL_CLUSTER_CRD_CRD_H
#define FIRESTEEL_CLUSTER_CRD_CRD_H

#include "cluster/server-internal.h"

/* Makes the registry say what the CRD says (object NULL: it is gone). Objects already in the database are loaded. */
void crd_follow(struct apiserver *s, struct object *crd, struct object *before);
/* Its rules (rules.c). */
void crd_validate(const struct draft *d, yyjson_val *object, struct invalid *bad);
void crd_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad);
/* The controller that accepts names and cleans up after deleted CRDs. */
struct crd_controller;
struct crd_controller *crd_controller_new(struct apiserver *s);
void crd_controller_free(struct crd_controller *c);

#endif
