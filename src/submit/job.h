/* One job as `firesteel submit` takes it: from its arguments to the objects, for a single submission and for each line of a batch.
 *
 *     struct submit_job job;
 *     submit_job_init(&job);
 *     r = submit_job_begin(&job, &options, NULL, err);     // environment, release of Spark
 *     ... submit_args_parse(&job.args, ...) or submit_args_set() for each option ...
 *     r = submit_job_finish(&job, &options, err);          // properties files, checks
 *     r = submit_job_access(&job, &options, &access, err); // which cluster
 *     r = submit_job_aim(&job, &access, err);              // and its namespace
 *     r = submit_job_build(&job, err);                     // job.s
 *     submit_job_done(&job);
 */
#ifndef FIRESTEEL_SUBMIT_JOB_H
#define FIRESTEEL_SUBMIT_JOB_H

#include "kube/access.h"
#include "spark/submission.h"

struct submit_job {
        struct submission_inputs in;
        struct submit_args args;
        struct spark_version version;
        bool version_known; /* else the image's tag may say */
        struct spark_conf conf;
        struct submission_app app;
        struct submission *s;
        struct strv warnings; /* for the user */
        bool wait;
        int64_t interval_ms;
};
void submit_job_init(struct submit_job *job);
void submit_job_done(struct submit_job *job);
DEFINE_AUTO_VALUE(submit_job, struct submit_job, submit_job_done)

struct submit_job_options {
        const char *spark_version, *kubeconfig, *context, *namespace_; /* NULL = not given */
        bool strict; /* keys that this release does not know are errors */
};

/* seen: environment, directory and user as another job gathered them; NULL = look now. */
MUST_USE int submit_job_begin(struct submit_job *job, const struct submit_job_options *o, const struct submission_inputs *seen,
                              struct err *err);
MUST_USE int submit_job_finish(struct submit_job *job, const struct submit_job_options *o, struct err *err);
/* The master given, else the kubeconfig's cluster. */
MUST_USE int submit_job_access(const struct submit_job *job, const struct submit_job_options *o, struct kube_access *ret, struct err *err);
/* What of the arguments decides about submit_job_access(): equal texts lead to the same place. Caller frees. */
char *submit_job_access_key(const struct submit_job *job);
/* Master and namespace are taken over where they are not given. */
MUST_USE int submit_job_aim(struct submit_job *job, const struct kube_access *access, struct err *err);
MUST_USE int submit_job_build(struct submit_job *job, struct err *err);

#endif
