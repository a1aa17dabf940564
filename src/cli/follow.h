/* Following an application on the terminal: how far it is, and in the end what became of it and why. */
#ifndef FIRESTEEL_CLI_FOLLOW_H
#define FIRESTEEL_CLI_FOLLOW_H

#include <stdio.h>

#include "kube/client.h"

struct follow_options {
        struct kube_client *client;
        const char *namespace_, *pod, *app_id, *app_name;
        bool quiet;               /* no progress, only how it ended */
        bool with_log;            /* print the driver's log as it comes, to standard output */
        bool driver_exit_code;    /* --exit-code=driver */
        int64_t report_interval_ms;
        int64_t timeout_ms;       /* 0 = none */
        const bool *interrupted;  /* set by the caller's signal handler before it stops the loop; NULL: every stop is one */
};

/* Runs the loop until the application ended. Returns the exit code of the command: 0 when it succeeded, 1 (or the driver's own) when it
 * failed, EXIT_TIMED_OUT, EXIT_INTERRUPTED (it goes on running, which is said with how to go on following or to kill it). */
MUST_USE int follow_app(const struct follow_options *o, struct err *err);
struct why;
/* What is known of the reason: the log's error and last lines, Kubernetes' warning, probable causes and what helps. */
void follow_print_why(const struct why *w, bool with_log_lines, FILE *out);

#endif
