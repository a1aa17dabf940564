/* The parts of the rules of pod specs, for one another. `path` is where the thing that is looked at stands. */
#ifndef FIRESTEEL_CLUSTER_KINDS_PODSPEC_INTERNAL_H
#define FIRESTEEL_CLUSTER_KINDS_PODSPEC_INTERNAL_H

#include "cluster/kinds/podspec.h"
#include "cluster/kinds/rules.h"

/* Fills in name -> volume for those that can be mounted. */
void podspec_check_volumes(yyjson_val *spec, const char *path, struct map *ret_volumes, struct invalid *bad);
/* What a container or a downward API volume may be told about: `fields` are the paths that are accepted without a subscript. */
void podspec_check_field_ref(yyjson_val *ref, const char *const *fields, const char *path, struct invalid *bad);
void podspec_check_resource_ref(yyjson_val *ref, bool is_volume, const char *path, struct invalid *bad);
/* Containers, init containers and ephemeral containers. */
void podspec_check_containers(yyjson_val *spec, const struct map *volumes, const char *path, struct invalid *bad);
/* No blanks around the image: asked of pods, not of templates. */
void podspec_check_image_text(yyjson_val *container, const char *path, struct invalid *bad);
/* requests and limits of a container. */
void podspec_check_resources(yyjson_val *resources, const char *path, struct invalid *bad);
void podspec_check_pod_security(yyjson_val *spec, const char *path, struct invalid *bad);
void podspec_check_container_security(yyjson_val *context, bool has_host_users, const char *path, struct invalid *bad);
void podspec_check_affinity(yyjson_val *affinity, const char *path, struct invalid *bad);
void podspec_check_spread(yyjson_val *constraints, const char *path, struct invalid *bad);

#endif
