/* firesteel submit --batch: the face of submit/batch.h. */
#ifndef FIRESTEEL_CLI_SUBMIT_BATCH_H
#define FIRESTEEL_CLI_SUBMIT_BATCH_H

#include "cli/cmd.h"
#include "submit/job.h"

/* Returns the exit code: 0 when every line was submitted, EXIT_FAILED when one was not, EXIT_INTERRUPTED. */
int submit_batch_run(struct cmd_ctx *ctx, const struct submit_job_options *o, struct err *err);

#endif
