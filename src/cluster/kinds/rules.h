/* Small rules that many kinds share: each looks at one member of an object and says what is wrong with it in Kubernetes' words. What must
 * hold for a value wherever it stands is in value_rules.h, on which this is built: here are the member's place and what it means that it is
 * absent.
 *
 * `path` is that of `object` ("spec.containers[0]"); the member's own path is PATH.KEY. A member that is absent reads as Go's zero value.
 */
#ifndef FIRESTEEL_CLUSTER_KINDS_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_RULES_H

#include "base/map.h"
#include "cluster/kinds/value_rules.h"

/* A path for the time of a block, freed at its end. */
#define AT(...) PATH(at, __VA_ARGS__)
#define PATH(name, ...) AUTO(free) char *name = xasprintf(__VA_ARGS__)

char *rule_member(const char *path, const char *key);        /* PATH.KEY, the caller's */
const char *rule_str(yyjson_val *object, const char *key); /* "" when absent */
bool rule_has(yyjson_val *object, const char *key);        /* a string that is not empty */

/* "Required value" when the string is empty; false then. */
bool rule_required(yyjson_val *object, const char *key, const char *path, struct invalid *bad);
/* A member that is there must be one of these; "" is none of them. */
void rule_supported(yyjson_val *object, const char *key, const char *path, const char *const *supported, struct invalid *bad);
/* A name that is not empty must pass the check. */
void rule_name(yyjson_val *object, const char *key, const char *path, name_check_fn *check, struct invalid *bad);
/* An integer that is there: "must be between LOW and HIGH, inclusive". */
void rule_range(yyjson_val *object, const char *key, const char *path, int64_t low, int64_t high, struct invalid *bad);
void rule_not_negative(yyjson_val *object, const char *key, const char *path, struct invalid *bad);
/* defaultMode and mode. */
void rule_file_mode(yyjson_val *object, const char *key, const char *path, struct invalid *bad);
/* The number or the name of a port; absent is 0. */
void rule_port(yyjson_val *object, const char *key, const char *path, struct invalid *bad);
/* A path without "..": relative too, and not even starting with "..", by the variant. Empty is accepted by all. */
void rule_no_backsteps(const char *text, const char *path, struct invalid *bad);
void rule_descending_path(const char *text, const char *path, struct invalid *bad);
void rule_local_path(const char *text, const char *path, struct invalid *bad);

#endif
