/* The root file system of a container made of the host's own: no image is pulled, nothing large is copied.
 *
 * DIR/rootfs gets a skeleton (a few directories, links and small files of its own); the host's /usr and what else the image wants come
 * in as mounts of the bundle: an overlay where possible (the container may write anywhere, the host is never changed), else read-only
 * binds. The skeleton's /etc is ours (passwd, group, hosts, resolv.conf, hostname, ...) with what programs need of the host's.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_ROOTFS_H
#define FIRESTEEL_CLUSTER_PODRT_ROOTFS_H

#include "cluster/podrt/bundle.h"
#include "base/err.h"

struct rootfs_spec {
        const char *dir;          /* the container's directory */
        bool has_overlay;         /* isolation.h */
        bool is_in_user_namespace;
        const char *spark_home;   /* appears as /opt/spark; NULL = none */
        const struct strv *paths; /* further host directories that appear under their own names, read-only; may be NULL */
        const char *hosts_file;   /* bind-mounted at /etc/hosts, resolv.conf and hostname likewise; NULL = none */
        const char *resolv_file;
        const char *hostname_file;
        const char *program;      /* bind-mounted at /opt/entrypoint.sh and /opt/decom.sh; NULL = none */
        uint32_t uid, gid;        /* owner of work directories; an unknown one gets a line in passwd */
};

/* Blocking (a few milliseconds). Adds its mounts to `b` and sets b->rootfs. */
MUST_USE int rootfs_make(const struct rootfs_spec *spec, struct bundle *b, struct err *err);

#endif
