/* Container logs in the format of the CRI: "TIME stdout|stderr F|P TEXT\n". P marks a piece of a longer line.
 *
 * The writer (in the shim) takes bytes as they come, writes whole lines, cuts lines longer than CRILOG_MAX_LINE into pieces, and rotates:
 * PATH.1 is the newest old file, PATH.<max_files> the oldest. The parser (in the server) reads one line.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_CRILOG_H
#define FIRESTEEL_CLUSTER_PODRT_CRILOG_H

#include "base/err.h"
#include "base/str.h"

enum { CRILOG_MAX_LINE = 16 * 1024, CRILOG_DEFAULT_MAX_BYTES = 10 * 1024 * 1024, CRILOG_DEFAULT_FILES = 5 };
enum crilog_stream { CRILOG_STDOUT, CRILOG_STDERR };

struct crilog {
        char *path;
        int fd;
        int64_t size, max_bytes;
        int max_files;          /* rotated ones that are kept */
        struct str pending[2];  /* the beginning of a line, by stream */
};

MUST_USE int crilog_open(const char *path, int64_t max_bytes, int max_files, struct crilog *ret, struct err *err);
/* now_us: the time of these bytes. A full disk loses log text, never the container: failures are returned and may be ignored. */
int crilog_write(struct crilog *l, enum crilog_stream stream, struct sv data, int64_t now_us);
/* Writes what is left of unfinished lines. */
void crilog_flush(struct crilog *l, int64_t now_us);
void crilog_close(struct crilog *l);

struct crilog_line {
        int64_t time_us;
        struct sv time_text;
        enum crilog_stream stream;
        bool is_partial;
        struct sv text; /* without the newline */
};
/* False when the line (without newline) has another form. */
bool crilog_parse(struct sv line, struct crilog_line *ret);

#endif
