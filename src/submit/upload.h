/* Uploads of a submission (spark.kubernetes.file.upload.path): to file: places by copying. */
#ifndef FIRESTEEL_SUBMIT_UPLOAD_H
#define FIRESTEEL_SUBMIT_UPLOAD_H

#include "spark/submission.h"

/* Checks that every target can be written by this program, before anything is. */
MUST_USE int upload_check(const struct submission_uploads *uploads, struct err *err);
MUST_USE int upload_run(const struct submission_uploads *uploads, void (*say)(void *arg, const char *line), void *arg, struct err *err);

#endif
