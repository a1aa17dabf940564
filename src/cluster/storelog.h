/* The durable side of the store: a SQLite database (WAL, synchronous=FULL) written by one worker thread.
 *
 * The loop thread appends changes; while a batch is being committed the next one gathers (group commit), so one fsync serves
 * all changes that arrived meanwhile. The worker has a loop of its own and the two sides exchange batches by loop_post();
 * nothing else is shared. Objects named by a batch are kept alive by the loop thread until the batch has come back.
 */
#ifndef FIRESTEEL_CLUSTER_STORELOG_H
#define FIRESTEEL_CLUSTER_STORELOG_H

#include "cluster/object.h"
#include "event/loop.h"

struct storelog;
struct store_event;

/* Opens or creates. -EUCLEAN when the file is damaged: it has been renamed, the message says where. `done` is called on the loop's thread
 * after each commit: every change up to `revision` is durable (err NULL), or the whole batch failed and nothing of it was written. */
MUST_USE int storelog_open(struct loop *l, const char *path,
                           void (*done)(void *arg, uint64_t revision, int64_t took_us, const struct err *err), void *arg,
                           struct storelog **ret, struct err *err);
/* The greatest revision ever committed. */
uint64_t storelog_revision(const struct storelog *log);
/* Reads all rows of a collection; before the first append, or while nothing is under way. */
MUST_USE int storelog_read(struct storelog *log, const char *collection,
                           int (*row)(void *arg, struct sv json, uint64_t revision, struct err *err), void *arg, struct err *err);
/* Appends a change: the row is replaced by the object, or deleted. Takes a reference of its own. Committed as soon as the worker is free.
 */
void storelog_append(struct storelog *log, const char *collection, struct object *o, bool is_delete);
/* Drops what has been appended and not been handed to the worker (after a failure). */
void storelog_discard(struct storelog *log);
/* Commits what is left, waits for the worker, closes. `done` is not called any more. */
void storelog_close(struct storelog *log);

#endif
