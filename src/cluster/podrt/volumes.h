/* The volumes of a pod: what they hold is gathered on the loop (from the API), written by a worker.
 *
 *     r = volumes_plan(&env, pod, &plan, err);    // loop thread; -EAGAIN: something is not there yet (the message of FailedMount)
 *     r = volumes_apply(plan, err);               // any thread; again after a change: only what changed is swapped
 *     path = volumes_mount_source(plan, mount, &is_file, err)
 *
 * Files of configMap, secret, downwardAPI and projected volumes are swapped all at once by a link (`..data`), as the kubelet does it.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_VOLUMES_H
#define FIRESTEEL_CLUSTER_PODRT_VOLUMES_H

#include "cluster/podrt/podenv.h"

struct volume_file {
        char *path; /* relative, below the volume */
        struct str data;
        mode_t mode;
};

enum volume_kind { VOLUME_FILES, VOLUME_EMPTY, VOLUME_MEMORY, VOLUME_HOST };

struct volume {
        char *name;
        enum volume_kind kind;
        char *path;      /* on the host */
        char *host_type; /* hostPath's type, "" = no check */
        int64_t size;    /* of VOLUME_MEMORY; 0 = unlimited */
        bool is_claim;   /* made when absent */
        VEC(struct volume_file) files;
};

struct volume_plan {
        VEC(struct volume) volumes;
        int64_t fs_group; /* -1 = none */
        uint32_t owner;   /* of token files, when all containers run as one user; 0 otherwise */
        int64_t token_expires_s; /* the earliest; 0 = no token */
};
void volume_plan_free(struct volume_plan *p);
DEFINE_AUTO_PTR(volume_plan, struct volume_plan, volume_plan_free)

struct volume_env {
        struct api *api;
        const char *dir; /* the pod's directory */
        struct pod_facts facts;
};
MUST_USE int volumes_plan(const struct volume_env *env, const struct object *pod, struct volume_plan **ret, struct err *err);
MUST_USE int volumes_apply(const struct volume_plan *plan, struct err *err);
/* Unmounts and removes what was made for the pod. */
void volumes_remove(const char *dir);
/* Where a volumeMount leads on the host; subPath is created when absent and never leaves the volume. The caller frees. */
MUST_USE int volumes_mount_source(const struct volume_plan *plan, yyjson_val *mount, const struct map *variables, char **ret,
                                  struct err *err);
/* Does the pod use this ConfigMap or Secret in a volume? */
bool volumes_use(const struct object *pod, const char *resource, const char *name);

#endif
