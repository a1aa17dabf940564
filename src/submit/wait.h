/* Waiting for an application whose driver pod exists: a watch on the pod, what the driver's log says about progress, and
 * in the end what became of it and why.
 *
 * Two ways to tell: as Spark's status watcher does (spark: a block at each change, a line each report interval, exit code always 0),
 * or as a progress line with the reason of a failure. The caller gives callbacks; nothing is printed here. The watch survives
 * broken connections and restarts of the API server. */
#ifndef FIRESTEEL_SUBMIT_WAIT_H
#define FIRESTEEL_SUBMIT_WAIT_H

#include "kube/client.h"
#include "submit/logscan.h"

struct wait_state {
        const char *phase;            /* Pending, Running, Succeeded, Failed, Unknown */
        const char *reason;           /* why it is not running: ContainerCreating, ImagePullBackOff, Unschedulable ...; or NULL */
        const char *message;          /* what Kubernetes says about it, or NULL */
        int executors_running, executors_pending, executors_failed;
        const char *executor_reason, *executor_message; /* of one that is not running, as above; or NULL */
        struct log_progress progress; /* from the driver's log */
        int64_t elapsed_ms;
        bool is_connected;            /* the watch is up */
};

struct wait_options {
        struct kube_client *client;
        const char *namespace_, *pod; /* the driver's */
        const char *app_id;           /* label spark-app-selector */
        const char *app_name;
        bool spark_style;             /* ask and tell exactly as Spark does: no executors, no log */
        int64_t report_interval_ms;   /* spark.kubernetes.report.interval; 0 = 1 s */
        int64_t timeout_ms;           /* 0 = none */
        int log_tail;                 /* lines of the driver's log kept for the reason of a failure; 0 = 20 */
        const bool *interrupted;      /* looked at whenever the loop was stopped (Ctrl-C); may be NULL */
        /* Spark style: one log message, e.g. "State changed, new state: ..." */
        void (*say)(void *arg, const char *message);
        /* Own style: called when something changed and each report interval. */
        void (*on_state)(void *arg, const struct wait_state *state);
        /* Own style: every line of the driver's log, when set. */
        void (*on_log)(void *arg, struct sv line);
        void *arg;
};

enum wait_outcome { WAIT_SUCCEEDED, WAIT_FAILED, WAIT_DELETED, WAIT_TIMED_OUT, WAIT_INTERRUPTED };

struct wait_result {
        enum wait_outcome outcome;
        int exit_code;        /* of the driver's container; -1 when it has none */
        char *reason;         /* OOMKilled, Error, Evicted ...; or NULL */
        char *message;        /* Kubernetes' own words, or NULL */
        struct strv last_log; /* the last lines of the driver's log, when it failed */
        yyjson_doc *pod;      /* the last state seen */
};
void wait_result_done(struct wait_result *r);
DEFINE_AUTO_VALUE(wait_result, struct wait_result, wait_result_done)

/* Runs the loop until the application ended (or was interrupted, or the time ran out: it then goes on running). */
MUST_USE int wait_for_app(const struct wait_options *o, struct wait_result *ret, struct err *err);

#endif
