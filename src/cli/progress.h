/* What a command is doing, on standard error: steps with times.
 *
 * On a terminal the current step is one line that is rewritten (with a bar when it has a known size) and becomes a line with a tick
 * and its duration; otherwise a line is printed only when a step ends. quiet prints nothing but failures. Not thread-safe.
 *
 *     struct progress *p = progress_new(quiet);
 *     progress_step(p, "Starting the API server");
 *     progress_update(p, "port %d", port);             // detail behind the step; also turns the wheel
 *     progress_done(p, "API server on port %d", port); // NULL: keep the step's own text
 */
#ifndef FIRESTEEL_CLI_PROGRESS_H
#define FIRESTEEL_CLI_PROGRESS_H

#include "base/mem.h"
#include <stdbool.h>

struct progress;
struct progress *progress_new(bool quiet);
/* A step that has not ended is cleared away. */
void progress_free(struct progress *p);
DEFINE_AUTO_PTR(progress, struct progress, progress_free)
void progress_step(struct progress *p, const char *fmt, ...) PRINTF(2, 3);
void progress_update(struct progress *p, const char *fmt, ...) PRINTF(2, 3);
/* Shows done of total as a bar. */
void progress_bar(struct progress *p, int64_t done, int64_t total, const char *fmt, ...) PRINTF(4, 5);
void progress_done(struct progress *p, const char *fmt, ...) PRINTF(2, 3);
void progress_fail(struct progress *p, const char *fmt, ...) PRINTF(2, 3);
/* Clears the line so that something else can be printed; the next update draws it again. */
void progress_hide(struct progress *p);

#endif
