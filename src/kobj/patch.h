/* The patch types of the Kubernetes API, except server-side apply (apply.h).
 *
 * Each edits `target`, a value of `doc`, and returns the patched root in `ret` (another value when the patch replaces the root).
 * On failure `target` may be half patched: patch a copy. Values are copied out of the patch, which may be freed afterwards.
 * Errors carry the HTTP status and reason that the real server answers with. Pure; nesting is bounded by the JSON reader. */
#ifndef FIRESTEEL_KOBJ_PATCH_H
#define FIRESTEEL_KOBJ_PATCH_H

#include "kobj/schema.h"

enum {
        PATCH_JSON_MAX_OPERATIONS = 10000,
        PATCH_JSON_MAX_COPY_BYTES = 3 * 1024 * 1024, /* what `copy` operations may add together */
};

/* application/merge-patch+json, RFC 7386. `target` may be NULL. The patch must be an object. */
MUST_USE int patch_merge(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch, yyjson_mut_val **ret, struct err *err);
/* application/json-patch+json, RFC 6902: 422 with an empty details object when an operation fails (the failing operation is in err->hint),
 * 400 when the patch itself is malformed, 413 past PATCH_JSON_MAX_OPERATIONS. */
MUST_USE int patch_json(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *operations, yyjson_mut_val **ret, struct err *err);
/* application/strategic-merge-patch+json: lists merge by the keys the schema names; directives $patch (replace, delete, merge),
 * $retainKeys, $setElementOrder/LIST, $deleteFromPrimitiveList/LIST. Custom resources do not have it: the caller answers 415. */
MUST_USE int patch_strategic(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch, struct schema schema, yyjson_mut_val **ret,
                             struct err *err);

#endif
