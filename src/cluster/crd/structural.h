/* Structural schemas of CustomResourceDefinitions: defaulting, pruning and validation by OpenAPI v3.
 *
 * The schema is the CRD's own JSON, walked as it is. Messages are those of the real server's validator.
 */
#ifndef FIRESTEEL_CLUSTER_CRD_STRUCTURAL_H
#define FIRESTEEL_CLUSTER_CRD_STRUCTURAL_H

#include "base/vec.h"
#include "kobj/invalid.h"

struct structural;

/* schema: spec.versions[].schema.openAPIV3Schema; lives as long as the result. preserve: spec.preserveUnknownFields. */
struct structural *structural_new(yyjson_val *schema, bool preserve);
void structural_free(struct structural *s);
/* Drops members that the schema does not know and names them in `unknown` (may be NULL): "spec.bogus". metadata is left alone. */
void structural_prune(const struct structural *s, yyjson_mut_val *object, struct strv *unknown);
void structural_default(const struct structural *s, yyjson_mut_doc *doc, yyjson_mut_val *object);
void structural_validate(const struct structural *s, yyjson_val *object, yyjson_val *old, struct invalid *bad);
/* The same for a part of an object, such as a default (structural_schema.c). */
void structural_prune_value(const struct structural *s, yyjson_mut_val *value, struct strv *unknown);
void structural_validate_value(const struct structural *s, yyjson_val *value, struct invalid *bad);
/* Rules for the schema itself, as a CRD is written: `path` is where it stands ("spec.versions[0].schema.openAPIV3Schema"). */
void structural_check_schema(yyjson_val *schema, const char *path, struct invalid *bad);

#endif
