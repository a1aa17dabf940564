/* From spark-submit's arguments to a SparkConf and an application: SparkSubmit.prepareSubmitEnvironment for Kubernetes in cluster mode. */
#ifndef FIRESTEEL_SPARK_PREPARE_H
#define FIRESTEEL_SPARK_PREPARE_H

#include "spark/cmdline.h"
#include "spark/conf.h"
#include "spark/inputs.h"

enum app_kind { APP_JAVA, APP_PYTHON, APP_R };

struct submission_app {
        enum app_kind kind;
        char *resource;   /* a URI as Spark spells it; NULL = none (spark-internal) */
        char *main_class;
        struct strv args;
        char *proxy_user; /* or NULL */
};
void submission_app_done(struct submission_app *app);
DEFINE_AUTO_VALUE(submission_app, struct submission_app, submission_app_done)

/* --properties-file and spark-defaults.conf (both only with --load-spark-defaults): what to gather, and the merging into the arguments,
 * which must come before submit_args_finish(). */
void submission_wants_properties(const struct submit_args *a, const struct submission_inputs *in, struct input_wants *ret);
MUST_USE int submission_merge_properties(struct submit_args *a, const struct submission_inputs *in, struct err *err);

/* What must be gathered for submission_prepare() and, given the finished arguments, for submission_build(). */
void submission_wants(const struct submit_args *a, const struct submission_inputs *in, struct input_wants *ret);

/* `conf` must be initialised and empty; it is filled. `a` must be finished. */
MUST_USE int submission_prepare(const struct submit_args *a, const struct submission_inputs *in, struct spark_conf *conf,
                                struct submission_app *ret, struct err *err);

/* k8s://https://host: checks the master and adds https:// where there is no scheme. The caller frees. */
MUST_USE int spark_k8s_master(enum spark_line line, const char *master, char **ret, struct err *err);

#endif
