/* From the text of an event log to an application model (appmodel.h), in one pass and bounded memory.
 *
 *     struct eventlog *e = eventlog_new(&sink, &options);
 *     while (... text ...)
 *             r = eventlog_feed(e, text, err);
 *     eventlog_end_file(e);                  // once a file of a rolling log
 *     r = eventlog_finish(e, fingerprint, err);
 *     eventlog_free(e);
 *
 * Text comes in pieces of any size. The rules are those of Spark's history listeners (AppStatusListener,
 * SQLAppStatusListener) replaying a log into an in-memory store, with their retention. A malformed line ends the
 * replay where it stands, unless it is the last of a file still being written; what was read before is kept and the
 * model says so. Nothing in a log can make this module fail: errors come from the sink only.
 *
 * Memory: live stages, jobs, executors and SQL executions; strings; one line (at most EVENTLOG_MAX_LINE).
 *
 * Most of the time goes into reading lines, which needs no state: other threads may read ahead. What they read is fed in the order of the
 * text, and the model is the same.
 *
 *     eventlog_batch_read(b, text);          // any thread
 *     r = eventlog_feed_batch(e, b, err);    // instead of eventlog_feed(e, text, err)
 */
#ifndef FIRESTEEL_SPARK_EVENTLOG_H
#define FIRESTEEL_SPARK_EVENTLOG_H

#include "spark/appmodel_write.h"

enum { EVENTLOG_MAX_LINE = 512 << 20 };

/* Zero stands for Spark's default. */
struct eventlog_options {
        bool in_progress;                /* the log is still being written: a broken last line is normal */
        int64_t retained_tasks;          /* spark.ui.retainedTasks, a stage: 100000 */
        int64_t retained_jobs;           /* spark.ui.retainedJobs: 1000 */
        int64_t retained_stages;         /* spark.ui.retainedStages: 1000 */
        int64_t retained_dead_executors; /* spark.ui.retainedDeadExecutors: 100 */
        int64_t retained_executions;     /* spark.sql.ui.retainedExecutions: 1000 */
        bool as_35;                      /* as Spark 3.5 replays: resubmitted tasks' time counts twice, push metrics have other names,
                                  * result stages of plans are nodes */
};

struct eventlog;

struct eventlog *eventlog_new(const struct am_sink *sink, const struct eventlog_options *options);
void eventlog_free(struct eventlog *e);
DEFINE_AUTO_PTR(eventlog, struct eventlog, eventlog_free)

/* 1 when the replay goes on, 0 when a malformed line has ended it (the rest need not be read), -EFBIG on a line past the limit. */
MUST_USE int eventlog_feed(struct eventlog *e, struct sv text, struct err *err);
/* A piece of text whose lines have been read; the text must stay until it is fed. Reading again forgets the piece before. */
struct eventlog_batch;
struct eventlog_batch *eventlog_batch_new(void);
void eventlog_batch_free(struct eventlog_batch *b);
DEFINE_AUTO_PTR(eventlog_batch, struct eventlog_batch, eventlog_batch_free)
void eventlog_batch_read(struct eventlog_batch *b, struct sv text);
/* Same answers as eventlog_feed(). */
MUST_USE int eventlog_feed_batch(struct eventlog *e, struct eventlog_batch *b, struct err *err);

/* The end of a file; `damaged` (may be NULL) says why it could not be read to its end. Same answers. */
enum eventlog_end {
        EVENTLOG_WHOLE,
        EVENTLOG_TRUNCATED,
        EVENTLOG_CUT_BLOCK, /* truncated where Spark's own server fails: within an lzf or snappy block */
};
MUST_USE int eventlog_end_file(struct eventlog *e, enum eventlog_end end, const char *damaged, struct err *err);
/* Until then a replay of a log that is still being written may be kept and fed as the log grows. */
void eventlog_set_in_progress(struct eventlog *e, bool in_progress);
/* Has no file ended in the middle of anything so far? */
bool eventlog_is_whole(const struct eventlog *e);
/* About how much memory it holds. */
size_t eventlog_memory(const struct eventlog *e);
MUST_USE int eventlog_finish(struct eventlog *e, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err);

#endif
