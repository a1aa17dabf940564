/* The model of a log, from the index file that keeps it or by replaying the log into a new one.
 *
 * An index is bound to what it was made from: names, sizes and modification times of the log's files, and the
 * retention settings. One that does not fit, is of another version or damaged is made again. Where no directory for
 * indexes can be written, the image lives in an anonymous file for as long as it is used.
 *
 * A model is immutable (but for its memo) and counted; the last history_model_unref() unmaps it. Counting is safe between threads.
 */
#ifndef FIRESTEEL_HISTORY_INDEX_H
#define FIRESTEEL_HISTORY_INDEX_H

#include "history/memo.h"
#include "history/replay.h"
#include "spark/appmodel.h"
#include "spark/eventlog.h"

struct history_model {
        struct appmodel m;
        uint8_t fingerprint[AM_FINGERPRINT];
        bool was_built;    /* by replaying, just now */
        double build_s;    /* how long that took */
        struct replay_stats stats; /* and how much was read */
        struct memo memo;  /* of answers about it */
        /* private */
        void *map;
        size_t map_size;
        int refs;
};

/* dir NULL: no index files; kept NULL: no replays are kept. Blocks. */
MUST_USE int history_model_load(struct logstore *s, const struct event_log *log, const char *dir, const struct eventlog_options *options,
                                struct replays *kept, struct history_model **ret, struct err *err);
struct history_model *history_model_ref(struct history_model *m);
void history_model_unref(struct history_model *m);
DEFINE_AUTO_PTR(history_model, struct history_model, history_model_unref)
/* Lets go of the memory that reading all of a model has taken; it comes back when it is needed. */
void history_model_rest(struct history_model *m);
void history_fingerprint(struct logstore *s, const struct event_log *log, const struct eventlog_options *options,
                         uint8_t ret[AM_FINGERPRINT]);
/* The file in dir for the listing of these log directories; the caller frees. */
char *history_listing_path(const char *dir, const char *store_urls);
/* The index file of a log in dir; the caller frees. */
char *history_index_path(const char *dir, struct logstore *s, const char *log_name);
/* Removes the indexes not used for longest until all together are at most max_bytes. */
void history_index_trim(const char *dir, int64_t max_bytes);

#endif
