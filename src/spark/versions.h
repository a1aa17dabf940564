/* The Spark releases imitated, and what differs between their lines, as data.
 *
 * A line (3.5, 4.1) decides the rules; the number (`4.1.4`) is only written down, in the label spark-version and
 * into images that say {{SPARK_VERSION}}. */
#ifndef FIRESTEEL_SPARK_VERSIONS_H
#define FIRESTEEL_SPARK_VERSIONS_H

#include "base/err.h"
#include "base/str.h"

enum spark_line { SPARK_3_5, SPARK_4_1 };
enum { SPARK_LINES = 2, SPARK_VERSION_SIZE = 24 };

struct spark_features {
        const char *line;                /* "3.5" */
        const char *newest;              /* the release assumed when only the line is known */
        const char *masters;             /* accepted kinds of masters, for the message */
        const char *k8s_prefix;          /* what makes a master a Kubernetes one */
        bool error_classes;              /* [INVALID_CONF_VALUE.TYPE_MISMATCH] ... instead of free text */
        bool connect_port;               /* spark-connect among the driver's ports */
        bool label_variables;            /* {{APP_ID}} in labels */
        bool image_variables;            /* {{SPARK_VERSION}} in images */
        bool min_memory_overhead;        /* spark.driver.minMemoryOverhead */
        bool excluded_steps;             /* spark.kubernetes.driver.pod.excludedFeatureSteps */
        bool volume_details;             /* subPathExpr, hostPath type, labels and annotations of claims */
        bool volume_size_check;          /* sizes below 1 KiB are refused */
        bool python_version_key;         /* spark.kubernetes.pyspark.pythonVersion is checked */
        bool load_spark_defaults;        /* --load-spark-defaults */
        bool strict_utf8;                /* files that are not UTF-8 are an error instead of being patched up */
        bool kill_looks_first;           /* --kill reads the pod before deleting it */
        const char *pvc_access_mode;     /* of claims made on demand, unless the legacy key says otherwise */
};

struct spark_version {
        enum spark_line line;
        char number[SPARK_VERSION_SIZE];
};

const struct spark_features *spark_features(enum spark_line line);
/* "4.1.4", "4.1", "3.5.9-SNAPSHOT"; -ENOTSUP for a line that is not known, with the known ones in the message. */
MUST_USE int spark_version_parse(struct sv text, struct spark_version *ret, struct err *err);
/* From an image's tag (`apache/spark:4.1.0-python3`); false when it does not begin with a known line. */
bool spark_version_from_image(const char *image, struct spark_version *ret);
/* From a jar's name, spark-core_2.13-4.1.4.jar; false when it is not one. */
bool spark_version_from_jar(const char *name, struct spark_version *ret);
struct spark_version spark_version_newest(void);

#endif
