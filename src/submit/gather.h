/* Gathers what a submission needs to see of this machine (spark/inputs.h): environment, user, properties files, and the files, directories
 * and patterns that submission_wants() lists. Reads only; everything read has a stated maximum. */
#ifndef FIRESTEEL_SUBMIT_GATHER_H
#define FIRESTEEL_SUBMIT_GATHER_H

#include "spark/prepare.h"

/* Environment, working directory, login name; SPARK_CONF_DIR defaults to $SPARK_HOME/conf. */
MUST_USE int gather_base(struct submission_inputs *in, struct err *err);
/* $SPARK_CONF_DIR/spark-env.sh, if there is one: bash reads it and its variables join the environment. */
MUST_USE int gather_spark_env(struct submission_inputs *in, struct err *err);
/* Gathers and merges the properties files (submission_wants_properties, submission_merge_properties). */
MUST_USE int gather_properties(struct submission_inputs *in, struct submit_args *a, struct err *err);
MUST_USE int gather_wants(struct submission_inputs *in, const struct input_wants *wants, struct err *err);

/* Which file systems the installation in $SPARK_HOME can look into, by its jars; nothing without one. For who imitates its failures too. */
void gather_file_systems(struct submission_inputs *in);

/* Which release to imitate: `given` (--spark-version), else $FIRESTEEL_SPARK_VERSION, else the jars of $SPARK_HOME; false in *ret_known
 * when none of these says so and the newest was taken (the image's tag may then decide: gather_version_of_image). */
MUST_USE int gather_version(const struct submission_inputs *in, const char *given, struct spark_version *ret, bool *ret_known,
                            struct err *err);
void gather_version_of_image(const struct submit_args *a, struct spark_version *ret);

#endif
