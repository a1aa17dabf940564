/* The JSONPath of printer columns and `-o jsonpath`, as far as columns use it: .a.b, ['a'], [0], [-1], [*], .*, ..a,
 * [?(@.type=="Ready")].status with ==, !=, <, <=, >, >=. Rules: k8s.io/client-go/util/jsonpath.
 *
 * The path is given without braces. Missing keys are no error: they have no results. */
#ifndef FIRESTEEL_KOBJ_JSONPATH_H
#define FIRESTEEL_KOBJ_JSONPATH_H

#include "codec/json.h"

enum { JSONPATH_MAX_DEPTH = 64 };

/* The first value the path selects, or NULL. A malformed path selects nothing. */
yyjson_val *jsonpath_first(yyjson_val *root, const char *path);
/* False when the path is malformed. */
bool jsonpath_is_valid(const char *path);

#endif
