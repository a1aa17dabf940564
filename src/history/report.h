/* One log for the command line: a summary to read, and tables to take elsewhere. */
#ifndef FIRESTEEL_HISTORY_REPORT_H
#define FIRESTEEL_HISTORY_REPORT_H

#include "history/index.h"

/* Opens a log by its path (or URL), replaying it; nothing is kept. */
MUST_USE int report_open(const char *log, struct history_model **ret, struct err *err);
/* The summary: application, jobs, slowest stages, failures, executors. */
void report_show(const struct appmodel *m, struct str *out);

enum report_what { REPORT_TASKS, REPORT_STAGES, REPORT_EXECUTORS, REPORT_SQL, REPORT_JOBS };
enum report_format { REPORT_CSV, REPORT_JSONL };
/* Writes rows through `flush`, which is called whenever enough has come together. */
MUST_USE int report_export(const struct appmodel *m, enum report_what what, enum report_format format,
                           int (*flush)(void *arg, struct str *text), void *arg, struct err *err);

#endif
