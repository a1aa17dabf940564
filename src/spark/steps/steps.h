/* The feature steps of a driver, in the original's order, and what they share while a submission is built. */
#ifndef FIRESTEEL_SPARK_STEPS_STEPS_H
#define FIRESTEEL_SPARK_STEPS_STEPS_H

#include "spark/submission.h"

struct step_ctx {
        struct spark_conf *conf;    /* what the user configured; not changed */
        struct spark_conf props;    /* what the driver will read: conf and the steps' additions */
        const struct spark_features *features;
        const struct submission_app *app;
        const struct submission_inputs *in;
        struct submission *s;       /* being built */
        yyjson_mut_doc *doc;        /* of s */
        yyjson_mut_val *spec;       /* of the pod */
        yyjson_mut_val *container;  /* the driver's; appended to the pod's containers at the end */
        uint64_t random[2];
        int64_t now_ms;
        const char *app_id, *namespace_;
        char *prefix;               /* of the names of all resources */
        char *service_name;         /* of the driver */
        char *conf_map;             /* name of the ConfigMap of the properties */
};

struct step {
        const char *class_name; /* the original's, for spark.kubernetes.driver.pod.excludedFeatureSteps */
        int (*check)(struct step_ctx *c, struct err *err); /* run for all steps before the first runs, excluded ones too; or NULL */
        int (*run)(struct step_ctx *c, struct err *err);
};

int step_basic_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_service_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_mount_volumes_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_hadoop_conf_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_kerberos_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_local_dirs_check(struct step_ctx *c, struct err *err) MUST_USE;
int step_credentials_check(struct step_ctx *c, struct err *err) MUST_USE;

int step_basic(struct step_ctx *c, struct err *err) MUST_USE;
int step_credentials(struct step_ctx *c, struct err *err) MUST_USE;
int step_service(struct step_ctx *c, struct err *err) MUST_USE;
int step_mount_secrets(struct step_ctx *c, struct err *err) MUST_USE;
int step_env_secrets(struct step_ctx *c, struct err *err) MUST_USE;
int step_mount_volumes(struct step_ctx *c, struct err *err) MUST_USE;
int step_command(struct step_ctx *c, struct err *err) MUST_USE;
int step_hadoop_conf(struct step_ctx *c, struct err *err) MUST_USE;
int step_kerberos(struct step_ctx *c, struct err *err) MUST_USE;
int step_executor_template(struct step_ctx *c, struct err *err) MUST_USE;
int step_local_dirs(struct step_ctx *c, struct err *err) MUST_USE;
int step_conf_map(struct step_ctx *c, struct err *err) MUST_USE; /* last: not a step of the original, but its Client */

/* Ids out of the seed: Spark's uniqueID (6 random and 10 time digits), and UUIDs. */
void step_unique_id(struct step_ctx *c, char ret[24]);
void step_uuid(struct step_ctx *c, char ret[37]);

/* Building blocks. Texts are copied. */
yyjson_mut_val *step_add_object(struct step_ctx *c, const char *kind,
                                const char *name); /* appended to s->resources; its metadata.name set */
yyjson_mut_val *step_append(struct step_ctx *c, yyjson_mut_val *object, const char *list); /* a new {} at the end of a list */
void step_add_env(struct step_ctx *c, const char *name, const char *value);
yyjson_mut_val *step_add_volume(struct step_ctx *c, const char *name, const char *source); /* the source's object */
void step_add_mount(struct step_ctx *c, const char *volume, const char *path);
void step_add_item(struct step_ctx *c, yyjson_mut_val *source, const char *key, const char *path, int mode); /* mode -1: none */
/* The driver's labels: reserved names are an error. Into `object`. */
MUST_USE int step_labels(struct step_ctx *c, yyjson_mut_val *object, struct err *err);
/* Every key below `prefix` as name and value into `object`; ids substituted when asked. */
void step_prefixed(struct step_ctx *c, const char *prefix, bool substitute, yyjson_mut_val *object);
/* Plans the upload of a local file; the target belongs to the submission. */
MUST_USE int step_upload(struct step_ctx *c, const char *uri, const char **ret_target, struct err *err);

#endif
