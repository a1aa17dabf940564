/* What a Job's spec may say about indexes and about the ends of its pods, with the messages of the real server
 * (pkg/apis/batch/validation, 1.34). */
#ifndef FIRESTEEL_CLUSTER_KINDS_JOB_RULES_H
#define FIRESTEEL_CLUSTER_KINDS_JOB_RULES_H

#include "kobj/invalid.h"

/* `path` is where the spec stands: "spec" or "spec.jobTemplate.spec". */
void job_rules_validate(yyjson_val *spec, const char *path, struct invalid *bad);
/* An indexed Job's name and its last index must make a hostname. */
void job_rules_validate_name(const char *name, yyjson_val *spec, struct invalid *bad);
/* A member of the spec as the messages of the real server show it, whose structures have capital letters. */
char *job_rules_show(const char *key, yyjson_val *value);

#endif
