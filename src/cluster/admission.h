/* Admission: what is decided about an object by looking at others (namespace, service account, limits, quota, priority).
 *
 * A const table of plugins in the real server's order (admission.c); each says for which resources and operations it works. Mutating
 * plugins see the draft before validation, validating ones after it, so that quota counts nothing that is refused anyway.
 */
#ifndef FIRESTEEL_CLUSTER_ADMISSION_H
#define FIRESTEEL_CLUSTER_ADMISSION_H

#include "cluster/ops.h"

enum admission_op { ADMIT_CREATE, ADMIT_UPDATE, ADMIT_DELETE };

MUST_USE int admission_mutate(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
/* object NULL when deleting. */
MUST_USE int admission_validate(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);

/* The plugins (admission_*.c). */
int admit_namespace(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_service_account(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_priority(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_tolerations(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_limit_range(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_node_taint(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int admit_storage_class(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
int check_limit_range(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);
int check_quota(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);
int check_protected_namespace(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);
int check_escalation(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);

#endif
