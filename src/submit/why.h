/* Why an application failed, or does not start: the pod's state, its events and its log held against the known failures
 * (rules/doctor.h). */
#ifndef FIRESTEEL_SUBMIT_WHY_H
#define FIRESTEEL_SUBMIT_WHY_H

#include "kube/client.h"
#include "rules/doctor.h"

enum { WHY_LOG_LINES = 500 };

struct why {
        struct doctor_findings findings;
        struct strv log;    /* the last lines of the pod's log */
        char *last_error;   /* what the log says about it (submit/logcause.h); or NULL */
        char *event;        /* the newest warning: "FailedScheduling: 0/3 nodes ..."; or NULL */
};
void why_done(struct why *w);
DEFINE_AUTO_VALUE(why, struct why, why_done)

/* Finds out about one pod. What may not be read (events, log) is done without. Runs the loop. */
MUST_USE int why_of_pod(struct kube_client *c, yyjson_val *pod, struct why *ret, struct err *err);

#endif
