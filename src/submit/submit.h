/* Carries a submission out: the uploads, then the requests.
 *
 * Two orders. The original's (compat): the pod first, everything else applied afterwards with the pod as owner, so that a pod may start
 * before its ConfigMap is there. Ours: everything else first, then the pod, then the owner is written into the rest. Either way a failure
 * takes back what was made, as far as the order knows how to; ours removes uploaded files, too. */
#ifndef FIRESTEEL_SUBMIT_SUBMIT_H
#define FIRESTEEL_SUBMIT_SUBMIT_H

#include "kube/client.h"
#include "spark/submission.h"

struct submit_options {
        struct kube_client *client;
        const struct spark_conf *conf;        /* for uploads to S3 */
        const struct submission_inputs *in;
        bool compat;
        /* Progress for the user, one line without a newline; may be NULL. */
        void (*say)(void *arg, const char *line);
        /* Of the file that is being uploaded; may be NULL. */
        void (*progress)(void *arg, const char *name, int64_t sent, int64_t total);
        void *arg; /* of these two */
};

/* Uploads, then sends. Sets owners in `s`. The pod as the server returned it, when asked for. When the loop is stopped before the pod is
 * there, what was made is taken back (-EINTR); afterwards the rest is finished. */
MUST_USE int submit_run(const struct submit_options *o, struct submission *s, yyjson_doc **ret_pod, struct err *err);

/* The uploads alone, and the requests alone: for who has several submissions on their way. */
MUST_USE int submit_upload(const struct submit_options *o, const struct submission *s, struct err *err);
/* Removes what was uploaded, because the submission failed; under the original's name it stays. */
void submit_forget_uploads(const struct submit_options *o, const struct submission *s);
struct submit_sending;
/* done is called once, never from within; afterwards the handle is gone. `o` and `s` are borrowed until then. pod may be taken by moving
 * it. */
struct submit_sending *submit_send(const struct submit_options *o, struct submission *s,
                                   void (*done)(void *arg, yyjson_doc **pod, const struct err *err), void *arg);
/* Ends in -EINTR when the pod is not there yet, with what was made taken back; else it goes on. done is called as ever. */
void submit_send_interrupt(struct submit_sending *q);

/* How to reach the API server by spark.master and spark.kubernetes.authenticate.submission.*, over the kubeconfig's (or
 * spark.kubernetes.context's) credentials; the server and the namespace of the kubeconfig are not used. */
MUST_USE int submit_access(struct spark_conf *conf, const char *master, struct kube_access *ret, struct err *err);
/* spark.kubernetes.submission.requestTimeout. */
MUST_USE int submit_timeout(struct spark_conf *conf, int64_t *ret_ms, struct err *err);

#endif
