/* The line of a driver's log that says most about why the application failed. A pure function of the log's last lines, in this order:
 *
 *  1. What the application itself ended with: the last of Python's own tracebacks and of `Exception in thread "main"`. An error that came
 * out of the JVM is followed to its innermost cause, and one of a Python worker to the worker's exception.
 *  2. Else the innermost cause of the last error before Spark shut down.
 *  3. Else of what went wrong while it shut down: hooks that timed out on a busy machine are consequences, never causes, of a failure. */
#ifndef FIRESTEEL_SUBMIT_LOGCAUSE_H
#define FIRESTEEL_SUBMIT_LOGCAUSE_H

#include "base/vec.h"

enum { LOGCAUSE_MAX = 500 }; /* longer lines are cut */

/* Caller frees; NULL when no line speaks of an error. */
char *log_cause(const struct strv *log);

#endif
