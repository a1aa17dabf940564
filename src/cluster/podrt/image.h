/* Images without a registry: a name leads to the host's own file system, with or without an installed Spark in it.
 *
 *     apache/spark:TAG, spark:TAG, apache/spark-py:TAG    Spark of the tag's version (4.1.4, 4.1, 3.5.9-scala2.12-java17-python3-ubuntu,
 * latest), user 185 firesteel/spark:TAG                                 the same as root of the pod busybox, alpine, debian, ubuntu,
 * python, bash       the host without Spark anything else                                       from registries and files: imagepull.h
 *
 * Spark installations are pip's pyspark in virtual environments, or unpacked distributions; they are found at start in the directories
 * given and in FIRESTEEL_SPARK_HOME_<anything>. Java is the first of version 17 or 21, by the file `release` in its directory. Resolving
 * touches no disk.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_IMAGE_H
#define FIRESTEEL_CLUSTER_PODRT_IMAGE_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"
#include "oci/store.h"

/* A Spark installation on this machine. */
struct spark_install {
        char *version; /* "4.1.4" */
        char *home;    /* holds jars/ */
        char *python;  /* bin directory of the virtual environment; NULL = none */
        struct strv paths; /* host directories its interpreter needs outside /usr */
};

struct image_store {
        VEC(struct spark_install) installs; /* newest version first */
        char *java_home;                    /* NULL = none found */
        char *java_unfit;                   /* what was found instead: "Java 11 in /usr/lib/jvm/..."; NULL = nothing */
        struct strv java_paths;
};

struct image_store_options {
        const char *const *spark_dirs; /* NULL-terminated: installations, or directories of them; may be NULL */
        const char *const *java_homes; /* NULL-terminated; NULL = JAVA_HOME, the one of `java` in PATH, those in /usr/lib/jvm */
};
void image_store_init(struct image_store *s, const struct image_store_options *o);
void image_store_done(struct image_store *s);

struct image {
        char *id;         /* imageID of the status */
        char *note;       /* what the user should know ("Spark 4.1.4 serves for 4.1.0"), or NULL */
        char *spark_home; /* NULL = no Spark */
        char *spark_version;
        struct strv paths, env, entrypoint, command;
        char *working_dir;
        uint32_t uid, gid;
        /* of OCI images only */
        bool is_oci;
        char *user;        /* as the configuration has it: "app", "1000:1000", "" */
        char *layers_dir;  /* NULL: no overlay here */
        struct strv layers;
        enum oci_ids ids;  /* whose the layers' files are */
        char *manifest;    /* digest */
        int stop_signal;   /* 0 = SIGTERM */
};
void image_done(struct image *i);
DEFINE_AUTO_VALUE(image, struct image, image_done)
/* Whether the name is one of the table's. */
bool image_is_host(const char *reference);
/* -ENOENT: no such image, with the reason and a hint; -EINVAL: not a name of an image. */
MUST_USE int image_resolve(const struct image_store *s, const char *reference, struct image *ret, struct err *err);

#endif
