/* `spark-submit --kill` and `--status` as the original does them, its quirks included: requests in the same order, the same
 * lines, exit 0 for what is not found, a glob without a namespace acting on every namespace when the kubeconfig names none.
 * firesteel's own commands (app.h) are safer.
 *
 * Differences of the lines: 3.5 deletes at once and says nothing about a pod that is not there; 4.1 looks first. */
#ifndef FIRESTEEL_SUBMIT_COMPAT_H
#define FIRESTEEL_SUBMIT_COMPAT_H

#include "kube/client.h"

struct compat_options {
        struct kube_client *client;
        bool is_35;                  /* else 4.x */
        const char *master;          /* as given, for the message: k8s://... */
        const char *submission_id;   /* [NAMESPACE:]NAME, NAME may end in * */
        const char *namespace_;      /* of the kubeconfig's context; NULL = it names none */
        const char *grace_period;    /* spark.kubernetes.appKillPodDeletionGracePeriod as text; NULL = not set */
        void (*say)(void *arg, const char *line); /* to standard error */
        void *arg;
};

/* 0 also when nothing was found; else the error of the request at which it stopped. */
MUST_USE int compat_kill(const struct compat_options *o, struct err *err);
MUST_USE int compat_status(const struct compat_options *o, struct err *err);

#endif
