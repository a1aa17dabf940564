/* From the text of one log file to a reducer, with several threads.
 *
 * The caller's thread and helpers take turns: one at a time fetches the next piece of text (reads and unpacks it), any number split pieces
 * into lines and read those (eventlog_batch), and the caller alone feeds them, in the order of the text. So the model is, byte for byte,
 * the one that a single thread makes. The caller never only waits while there is something to fetch or to read.
 *
 * Helpers are started for a file and end with it. There are no more of them in the process, whatever is replayed at the same time, than it
 * has processors beside the callers' own, and PIPELINE_MAX_HELPERS: with all of them busy a file is read by its caller alone.
 *
 * Memory: PIPELINE_PIECES a thread, each PIPELINE_TEXT of text and what was read from it, about three times as much; more only where one
 * block of lz4 or snappy is larger (COMPRESS_MAX_BLOCK).
 */
#ifndef FIRESTEEL_HISTORY_PIPELINE_H
#define FIRESTEEL_HISTORY_PIPELINE_H

#include "history/logs.h"
#include "spark/eventlog.h"

enum {
        PIPELINE_MAX_HELPERS = 3, /* feeding is a quarter of the work */
        PIPELINE_PIECES = 3,
        PIPELINE_TEXT = 256 << 10,
        PIPELINE_MIN_FILE = 2 << 20, /* smaller files, as they lie in the store, are not worth the threads */
};

/* How many helpers a file of that size gets now; they are given back by pipeline_release(). */
unsigned pipeline_reserve(int64_t size);
void pipeline_release(unsigned helpers);

/* Feeds all there is of the text: 1, or 0 when the reducer has stopped, or a negative errno (-EBADMSG: damaged). `bytes` is counted up. */
MUST_USE int pipeline_feed(struct log_text *t, struct eventlog *e, unsigned helpers, uint64_t *bytes, struct err *err);

#endif
