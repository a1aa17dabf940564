/* The submission as a pure function: (conf, application, inputs, ids, time) -> the driver's pod and what belongs to it, the uploads to be
 * made first, or a precise error. No I/O, no clock, no randomness: equal arguments give equal objects.
 *
 *     submission_build(&request, &s, err);
 *     ... carry out s->uploads, POST s->pod, submission_set_owner(s, uid), apply s->pre and s->resources ...
 *     submission_free(s);
 *
 * The rules are those of Spark's feature steps, one file a step in steps/, in the original's order (steps/steps.h). Objects are JSON
 * documents in `doc`. Object names, labels and properties are exactly Spark's; where Spark's own order is a hash map's, ours is that of the
 * configuration. */
#ifndef FIRESTEEL_SPARK_SUBMISSION_H
#define FIRESTEEL_SPARK_SUBMISSION_H

#include "codec/json.h"
#include "spark/prepare.h"

/* All ids are drawn from the seed. */
struct submission_ids {
        uint64_t seed[2];
        int64_t now_ms;
};

struct submission_upload {
        char *source;    /* absolute path */
        char *directory; /* as spark.kubernetes.file.upload.path says it, plus /spark-upload-<uuid> */
        char *target;    /* directory plus /<name>: what the driver is told */
};

struct submission_uploads {
        VEC(struct submission_upload) list;
};
void submission_uploads_done(struct submission_uploads *u);
DEFINE_AUTO_VALUE(submission_uploads, struct submission_uploads, submission_uploads_done)

struct submission_request {
        struct spark_conf *conf; /* read; its arena is used */
        const struct submission_app *app;
        const struct submission_inputs *in;
        struct submission_ids ids;
        /* When the build fails: what had been planned to be uploaded by then is moved here, where this is set. The original uploads while
         * it builds, and who imitates it to the end uploads that too. */
        struct submission_uploads *planned;
};

struct submission_object {
        const char *kind;   /* ConfigMap, Secret, Service, PersistentVolumeClaim */
        const char *plural; /* configmaps, ... */
        const char *name;
        yyjson_mut_val *body;
};

struct submission {
        yyjson_mut_doc *doc;
        char *namespace_;
        char *app_name, *app_id;
        char *pod_name;
        char *submission_id; /* namespace:pod */
        yyjson_mut_val *pod;
        VEC(struct submission_object) pre;       /* to be there before the pod */
        VEC(struct submission_object) resources; /* the ConfigMap of the properties comes last */
        struct submission_uploads uploads;
        struct strv warnings;
};

MUST_USE int submission_build(const struct submission_request *request, struct submission **ret, struct err *err);
void submission_free(struct submission *s);
DEFINE_AUTO_PTR(submission, struct submission, submission_free)

/* Makes the pod, once created, the owner of everything else. */
void submission_set_owner(struct submission *s, const char *pod_uid);
/* spark.kubernetes.submission.waitAppCompletion and, when it is on, spark.kubernetes.report.interval. The original reads them only when
 * everything is created. */
MUST_USE int submission_waiting(struct spark_conf *conf, bool *ret_wait, int64_t *ret_interval_ms, struct err *err);

/* Every object, the pod first, as one v1 List: for --dry-run. The caller frees the document. */
yyjson_mut_doc *submission_list(const struct submission *s);

#endif
