/* spark.kubernetes.{driver,executor}.volumes.<type>.<name>.*: parsed and checked as Spark does. */
#ifndef FIRESTEEL_SPARK_VOLUMES_H
#define FIRESTEEL_SPARK_VOLUMES_H

#include "spark/conf.h"

enum volume_type { VOLUME_HOST_PATH, VOLUME_CLAIM, VOLUME_EMPTY_DIR, VOLUME_NFS };

/* Texts point into the conf, but for `name`. NULL = not given. */
struct volume {
        enum volume_type type;
        char *name;
        char *prefix;      /* "<type>.<name>." below the family's prefix */
        const char *mount_path, *sub_path, *sub_path_expr;
        bool read_only;
        const char *path, *path_type;                    /* hostPath, nfs */
        const char *server;                              /* nfs */
        const char *claim_name, *storage_class;          /* persistentVolumeClaim */
        const char *medium;                              /* emptyDir */
        const char *size;                                /* persistentVolumeClaim, emptyDir */
};

struct volumes {
        VEC(struct volume) list; /* in the order of first mention */
};
void volumes_done(struct volumes *v);
DEFINE_AUTO_VALUE(volumes, struct volumes, volumes_done)
MUST_USE int volumes_parse(const struct spark_conf *conf, const char *prefix, struct volumes *ret, struct err *err);

#endif
