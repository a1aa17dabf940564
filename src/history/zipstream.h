/* Event logs as a zip archive, made piece by piece: what the REST API's `logs` sends. Files are stored as they are (compressed logs
 * stay compressed); a rolled log is a folder. Archives and files past 4 GiB use zip64. */
#ifndef FIRESTEEL_HISTORY_ZIPSTREAM_H
#define FIRESTEEL_HISTORY_ZIPSTREAM_H

#include "history/logstore.h"

struct zipstream;

struct zipstream *zipstream_new(void);
void zipstream_free(struct zipstream *z);
DEFINE_AUTO_PTR(zipstream, struct zipstream, zipstream_free)
/* Adds a log: a file, or a folder with what is in it (Hadoop's checksum files left out). Before the first zipstream_next(). */
MUST_USE int zipstream_add(struct zipstream *z, struct logstore *s, const char *log_name, bool is_dir, struct err *err);
/* Appends the next piece, about a megabyte: 1, or 0 after the last. */
MUST_USE int zipstream_next(struct zipstream *z, struct str *out, struct err *err);

#endif
