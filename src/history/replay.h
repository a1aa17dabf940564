/* The replay of one log into an image, and replays that are kept while their log is being written, so that what was appended is read and
 * nothing else.
 *
 * A kept replay is the reducer with all its state, the open file with its decoder, and the rows of tasks handed out so far in a file of
 * their own. Making an image ends a reducer: an image of a log that goes on is made by a forked child, which has the state as it is now
 * and may spoil it. The child calls nothing but the reducer, malloc and write.
 *
 * Bounds: REPLAYS_MAX of them, REPLAYS_MAX_BYTES together, those unused for REPLAYS_MAX_IDLE_MS go. Small logs are not kept: reading them
 * again takes no time. Where a replay cannot go on (the file was replaced, a part is gone, damage) the log is read from its beginning.
 */
#ifndef FIRESTEEL_HISTORY_REPLAY_H
#define FIRESTEEL_HISTORY_REPLAY_H

#include <pthread.h>

#include "history/logs.h"
#include "spark/eventlog.h"

enum {
        REPLAYS_MAX = 8,
        REPLAYS_MAX_BYTES = 128 << 20,
        REPLAYS_MAX_IDLE_MS = 10 * 60 * 1000,
        REPLAYS_MIN_LOG = 4 << 20, /* a log worth keeping a replay of, as it lies in the store */
};

struct replay;

/* Replays that wait for their logs to grow. Safe between threads. */
struct replays {
        pthread_mutex_t lock;
        VEC(struct replay *) list;
        int64_t min_log; /* REPLAYS_MIN_LOG, but in tests */
};

void replays_init(struct replays *r);
void replays_done(struct replays *r);
/* Lets go of those unused for long. */
void replays_trim(struct replays *r, int64_t now_ms);

struct replay_stats {
        bool continued;        /* a kept replay went on */
        uint64_t log_bytes;    /* text read now */
};

/* Writes the image of a log to fd, which is empty. tmp_dir is where rows of a kept replay may lie (NULL: in memory); `kept` may be NULL.
 * Blocks. */
MUST_USE int replay_log(struct logstore *s, const struct event_log *log, const struct eventlog_options *options,
                        const uint8_t fingerprint[AM_FINGERPRINT], const char *tmp_dir, struct replays *kept, int fd,
                        struct replay_stats *ret_stats, struct err *err);

#endif
