/* ResourceQuota: what a namespace uses, counted from the objects in memory. */
#ifndef FIRESTEEL_CLUSTER_QUOTA_H
#define FIRESTEEL_CLUSTER_QUOTA_H

#include "cluster/server-internal.h"
#include "codec/quantity.h"

/* Use of `hard_name` (a key of spec.hard) by one object of `resource`; false when the name does not concern it. Finished pods use nothing.
 */
bool quota_use_of(const struct resource *resource, yyjson_val *object, const char *hard_name, struct quantity *ret);
/* Is the object within the quota's scopes? */
bool quota_covers(yyjson_val *quota, const struct resource *resource, yyjson_val *object);
/* What the namespace of the quota uses now. */
struct quantity quota_used(struct apiserver *s, yyjson_val *quota, const char *ns, const char *hard_name);

#endif
