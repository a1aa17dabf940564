/* The root file system of a container that runs from an OCI image: an overlay over the image's layers, mounted by us in the instance's
 * mount namespace (its options name up to a hundred layers, more than a runtime's own mount would take), and the user that the image or the
 * pod names, looked up in the image. Blocks: for workers, after worker_umask(), whose private working directory it changes. */
#ifndef FIRESTEEL_CLUSTER_PODRT_OCIROOT_H
#define FIRESTEEL_CLUSTER_PODRT_OCIROOT_H

#include "cluster/podrt/bundle.h"
#include "oci/store.h"

struct ociroot_spec {
        const char *dir;           /* the container's; rootfs, upper and work come into it */
        const char *layers_dir;    /* NULL: no overlay; everything is unpacked into rootfs */
        const struct strv *layers; /* lowest first */
        bool is_in_user_namespace;
        const struct oci_store *store; /* without overlay: where the image is */
        const char *reference;
        enum oci_ids ids;
        const char *hosts_file, *resolv_file, *hostname_file;
        const char *user;    /* "app", "1000", "app:staff", "1000:1000"; NULL: uid and gid of the bundle are right already */
        bool keeps_gid;      /* the pod has chosen the group itself */
};
/* Fills in the bundle's rootfs, user and mounts. */
MUST_USE int ociroot_make(const struct ociroot_spec *spec, struct bundle *b, struct err *err);
/* Unmounts what the container's directory has; fine when nothing is mounted. */
void ociroot_release(const char *dir);
/* The same for all containers of a pod's directory. */
void ociroot_release_all(const char *pod_dir);

/* "USER[:GROUP]" against passwd and group files' texts. Adds the groups that list the user. -ENOENT names what is not there. Pure. */
MUST_USE int ociroot_find_user(const char *user, struct sv passwd, struct sv group, uint32_t *ret_uid, uint32_t *ret_gid,
                               struct strv *ret_groups, struct err *err);

#endif
