/* Event logs as Spark lays them out: a single file, or since 3.0 a directory of rolled files. The names say what a
 * log is: application, attempt, codec, in progress, compacted.
 */
#ifndef FIRESTEEL_HISTORY_LOGS_H
#define FIRESTEEL_HISTORY_LOGS_H

#include "codec/compress.h"
#include "history/logstore.h"

struct log_file {
        char *path; /* within the store; owned */
        char *etag; /* as logstore_entry; owned */
        int64_t size, mtime_ns, index;
        uint64_t inode; /* as logstore_entry */
        enum compress_codec codec;
        bool compacted;
};

struct event_log {
        char *name; /* of the file or directory */
        bool rolling, in_progress;
        VEC(struct log_file) files; /* those to replay, in order */
        int64_t mtime_ms;           /* of the last one */
        int64_t last_size, last_index; /* of the last one; index -1 when not rolling */
        int64_t total_size;
};

void event_log_done(struct event_log *l);
DEFINE_AUTO_VALUE(event_log, struct event_log, event_log_done)

/* Is the entry of the store's root a log? 1, or 0 when it is something else; -EINVAL: it is one, but `err` says why it cannot be read. */
MUST_USE int event_log_probe(struct logstore *s, const struct logstore_entry *entry, struct event_log *ret, struct err *err);
/* The same by name, for a log whose entry is not at hand. */
MUST_USE int event_log_find(struct logstore *s, const char *name, struct event_log *ret, struct err *err);

/* Reads the text of a log's files one after another. */
struct log_text;
MUST_USE int log_text_open(struct logstore *s, const struct log_file *file, int64_t skip, struct log_text **ret, struct err *err);
/* 1 and a piece of text, 0 at the end, or a negative errno (-EBADMSG: damaged). */
MUST_USE int log_text_next(struct log_text *t, struct sv *ret, struct err *err);
bool log_text_truncated(const struct log_text *t);
/* After the end, for a file that has grown: false when reading cannot go on where it ended. */
bool log_text_resume(struct log_text *t, int64_t size);
int64_t log_text_offset(const struct log_text *t); /* bytes of the file read */
void log_text_free(struct log_text *t);
DEFINE_AUTO_PTR(log_text, struct log_text, log_text_free)

#endif
