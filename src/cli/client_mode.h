/* firesteel submit --deploy-mode client: the user's own Spark runs the driver on this machine, and gets told what it needs to be reached by
 * its executors: where it is, by which credentials it asks for pods, which image they have.
 *
 * The driver is a child of ours and has our terminal. When it has ended, however that came about, the Service that led to it and the
 * private files with credentials are removed. What the user has set is never replaced. */
#ifndef FIRESTEEL_CLI_CLIENT_MODE_H
#define FIRESTEEL_CLI_CLIENT_MODE_H

#include "cli/session.h"
#include "spark/cmdline.h"
#include "spark/inputs.h"

struct client_mode {
        struct cmd_ctx *ctx;
        struct session *session;       /* its access is known; not connected yet */
        struct submit_args *args;      /* finished */
        struct submission_inputs *in;
        bool quiet;
};

/* The exit code is the driver's. */
MUST_USE int client_mode_run(const struct client_mode *m, struct err *err);

#endif
