/* The command a Spark container runs: what the Apache image's entrypoint.sh and Spark's launcher would have made of the
 * arguments and the environment, without starting a JVM to find out.
 *
 *     driver ARGS     spark-submit in client mode inside the pod
 *     executor        KubernetesExecutorBackend from the SPARK_* variables
 *     anything else   as it is
 *
 * The driver's command is made here for the versions in a table (JVM options differ by version) and the plain cases; whatever
 * is not certain to come out the same goes to Spark's own bin/spark-submit: other versions, spark-env.sh, unknown options, the Thrift and
 * Connect servers, -Xmx in Java options (the launcher refuses that with its own words), FIRESTEEL_SPARK_LAUNCHER=1.
 *
 * Our own variables: FIRESTEEL_SPARK_VERSION, FIRESTEEL_CLASS_ARCHIVE (a class-data archive made with the class path that starts with
 * Spark's jars), FIRESTEEL_JVM_PROFILE=short (first compiler only: for jobs of seconds), FIRESTEEL_SPARK_LAUNCHER=1.
 * With an archive in use the configuration directory comes last instead of first on the class path, because an archive covers a
 * prefix without directories; Spark's jars hold no file that belongs into it.
 * Sources: entrypoint.sh of the Apache images; SparkSubmitCommandBuilder, AbstractCommandBuilder, JavaModuleOptions of 3.5 and 4.1.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_SPARKCMD_H
#define FIRESTEEL_CLUSTER_PODRT_SPARKCMD_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct sparkcmd {
        struct strv argv;
        struct strv env; /* NAME=VALUE, over what is there */
        const char *launcher_reason; /* why Spark's own launcher is used; NULL = it is not. Static text */
};
void sparkcmd_done(struct sparkcmd *c);
DEFINE_AUTO_VALUE(sparkcmd, struct sparkcmd, sparkcmd_done)

/* args: the container's arguments without the program; env: NULL-terminated NAME=VALUE. Reads the properties file and looks at
 * directories; changes nothing. */
MUST_USE int sparkcmd_build(const char *const *args, const char *const *env, struct sparkcmd *ret, struct err *err);

/* The class path's beginning that an archive may cover: Spark's jars. */
void sparkcmd_jars(const char *spark_home, const char *version, struct str *ret);
/* The JVM options of Spark's launcher for this version ("4.1.4"); NULL when the table does not know it. NULL-terminated. */
const char *const *sparkcmd_module_options(const char *version);
const char *sparkcmd_getenv(const char *const *env, const char *name);

#endif
