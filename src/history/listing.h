/* The list of applications: what one look at each log says (id, name, attempt, user, times, access lists), without
 * replaying it. A head and the last megabyte are read of plain logs; compressed ones are decompressed for it, of rolled
 * ones the first and the last part.
 *
 * A listing is immutable and counted. A new one is made from the one before: logs that have not changed are not read again.
 * listing_save() keeps it in a file, so that a restarted server reads no log at all.
 */
#ifndef FIRESTEEL_HISTORY_LISTING_H
#define FIRESTEEL_HISTORY_LISTING_H

#include "base/map.h"
#include "history/logs.h"

/* Of one log. Strings are owned, NULL when absent. */
struct log_record {
        char *key;   /* "<dir>/<log>": what it is known by among the logs of all directories */
        char *log;   /* its name in the store */
        int64_t dir; /* which of the log directories it lies in */
        bool rolling, in_progress;
        int64_t size, last_index, mtime_ms, total_size; /* as event_log */
        int64_t signature;                              /* of all its files' names, sizes and times */
        char *app_id;                                   /* NULL: the log does not say (yet) */
        char *attempt_id, *name, *user, *spark_version;
        int64_t start_ms, end_ms, last_updated_ms, duration_ms;
        bool completed;
        char *view_acls, *admin_acls, *view_groups, *admin_groups;
        char *problem; /* why it cannot be read, or NULL */
        bool retry;    /* reading failed for a reason that may pass: the next scan tries again */
        int refs;
};

struct listed_app {
        const struct log_record **attempts; /* latest start first */
        size_t count;
};

struct listing {
        VEC(struct log_record *) records;
        struct listed_app *apps; /* by end of the latest attempt, latest first */
        size_t num_apps;
        struct map by_id;   /* application id -> struct listed_app */
        struct map by_log;  /* log_record.key -> struct log_record */
        struct strv dir_problems; /* one a log directory: why it could not be listed (its logs are those of before), or "" */
        int64_t scanned_ms;
        size_t num_read;    /* logs that had to be read for it */
        int64_t bytes_read;
        int refs;
};

struct listing_options {
        bool fast_in_progress; /* spark.history.fs.inProgressOptimization.enabled */
        int64_t end_chunk;     /* spark.history.fs.endEventReparseChunkSize; 0: look at everything */
        size_t max_new;        /* spark.history.fs.update.batchSize */
        int64_t now_ms;
};

/* Scans log directories. `before` may be NULL. Several logs are read at a time. Blocks. */
struct listing *listing_scan(struct logstore *const *dirs, size_t num_dirs, const struct listing *before, const struct listing_options *o);
/* The same with some records added, or in the place of those of the same logs. Takes references. */
struct listing *listing_with(const struct listing *l, struct log_record *const *records, size_t count);
/* What is in some of the directories (bit n: the one of index n). */
struct listing *listing_view(const struct listing *l, uint64_t dirs);
enum { LISTING_MAX_DIRS = 64 };
struct listing *listing_ref(struct listing *l);
void listing_unref(struct listing *l);
DEFINE_AUTO_PTR(listing, struct listing, listing_unref)
const struct listed_app *listing_app(const struct listing *l, const char *app_id);
/* The attempt of that id; NULL id: the one that has none. */
const struct log_record *listing_attempt(const struct listed_app *app, const char *attempt_id);

/* store_url: those of all directories. */
MUST_USE int listing_save(const struct listing *l, const char *path, const char *store_url, struct err *err);
/* -EBADMSG: damaged, of another version or of another store. */
MUST_USE int listing_load(const char *path, const char *store_url, struct listing **ret, struct err *err);

/* One log on its own. */
struct log_record *log_record_read(struct logstore *s, int64_t dir, const struct event_log *log, const struct listing_options *o);
struct log_record *log_record_ref(struct log_record *r);
/* Changes whenever a file of the log does. */
int64_t log_signature(const struct event_log *log);
void log_record_unref(struct log_record *r);

#endif
