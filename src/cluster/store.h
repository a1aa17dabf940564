/* The cluster's state: every object in memory, a SQLite log behind it (storelog.h), and the stream of changes.
 *
 * One revision counter numbers all changes. store_put() and store_remove() change memory at once and hand the change to
 * the log; when the log's worker has made a batch durable, its events go, in the order of revisions, to the ring (for resuming
 * watches), to the watchers, and then to whoever waits for that revision. So memory runs ahead of the disk by at most the batches under
 * way, and nothing that leaves the process depends on a change that a crash could lose. When the log fails (disk full), every change that
 * is not durable is taken back, newest first, and those who wait get the error: nothing is half applied.
 *
 * Objects are kept as text; the documents of those in use are a bounded cache (documents.h). Collections, history and log hold objects
 * without their documents (object_hold()).
 *
 * Loop thread only. Callbacks come from the loop, never from inside a call, and may call anything here.
 * Limits: the ring keeps `history` events and at most STORE_HISTORY_BYTES of their JSON.
 */
#ifndef FIRESTEEL_CLUSTER_STORE_H
#define FIRESTEEL_CLUSTER_STORE_H

#include "base/map.h"
#include "base/vec.h"
#include "cluster/documents.h"
#include "event/loop.h"

enum { STORE_HISTORY_EVENTS = 16384, STORE_HISTORY_BYTES = 16 * 1024 * 1024 };

struct store;
struct watcher;

/* All objects of one group and plural, ordered by namespace, then name. */
struct collection {
        char *id;
        struct object **items;
        size_t len, cap;
        struct watcher *watchers;
};

enum store_change { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };
struct store_event {
        enum store_change change;
        uint64_t revision;
        struct collection *collection;
        struct object *object; /* the new version; on deletion the last one, carrying the deletion's revision */
        struct object *old;    /* NULL when added */
};

/* database NULL: memory only. A database that cannot be read is moved aside to PATH.corrupt-TIME and -EUCLEAN says so. */
MUST_USE int store_new(struct loop *l, const char *database, size_t history, struct store **ret, struct err *err);
/* Loads the rows of one collection whose resource is now known. Those of collections never asked for stay in the database. */
MUST_USE int store_load(struct store *s, struct collection *c, const struct resource *resource, struct err *err);
/* Called inside store_put() and store_remove(), for indexes that must agree with memory at any moment; and with the two versions changed
 * over when a change is taken back. `now` NULL: gone, `before` NULL: new. */
void store_observe(struct store *s, void (*fn)(void *arg, struct collection *c, struct object *now, struct object *before), void *arg);
/* Waits for the log's worker (blocking), forgets watchers and waiters. */
void store_free(struct store *s);

struct collection *store_collection(struct store *s, const char *id); /* made when absent */
struct object *collection_find(const struct collection *c, const char *ns, const char *name); /* borrowed, or NULL */
/* Appends references to the objects of a namespace (NULL: all) as they were at `revision`, in order. -ESTALE with 410 Expired when the
 * changes since are no longer all there. */
MUST_USE int store_snapshot(const struct store *s, const struct collection *c, const char *ns, uint64_t revision, struct object_list *ret,
                            struct err *err);
/* The range of a namespace; NULL: everything. Returns the first, and the end past the last. */
size_t collection_range(const struct collection *c, const char *ns, size_t *ret_end);
/* The first position whose (namespace, name) is greater. */
size_t collection_after(const struct collection *c, const char *ns, const char *name);

uint64_t store_revision(const struct store *s); /* of memory */
uint64_t store_durable_revision(const struct store *s);
/* The oldest revision a watch can resume after. */
uint64_t store_oldest_revision(const struct store *s);
/* The revision the next change must carry (object->revision). */
uint64_t store_next_revision(struct store *s);
/* Adds or replaces; takes the caller's reference. */
void store_put(struct store *s, struct collection *c, struct object *o);
/* Removes; `last` is the final version with the deletion's revision; takes the reference. */
void store_remove(struct store *s, struct collection *c, struct object *last);

/* Calls fn once the revision is durable (err NULL) or was taken back. Always from the loop. The handle is valid until then; cancel: no
 * call. */
struct store_waiter;
struct store_waiter *store_when_durable(struct store *s, uint64_t revision, void (*fn)(void *arg, const struct err *err), void *arg);
void store_waiter_cancel(struct store_waiter *w);

/* Watching: with `since` 0 the state of now comes first, as ADDED events in order, then on_synced; else events after `since`
 * (-ESTALE with 410 Expired when those are no longer all there). `since` in the future is fine: earlier events are left out. */
struct watcher_events {
        void (*on_event)(void *arg, const struct store_event *event);
        /* The initial state, of `revision`, has been delivered; not called when resuming. */
        void (*on_synced)(void *arg, uint64_t revision);
        void *arg;
};
MUST_USE int store_watch(struct store *s, struct collection *c, const char *ns, bool resume, uint64_t since,
                         const struct watcher_events *ev, struct watcher **ret, struct err *err);
void store_watch_stop(struct watcher *w);

struct store_stats {
        uint64_t commits, committed_changes, failed_commits;
        size_t objects, history_events, history_bytes, watchers;
        int64_t commit_us_max;
        struct documents_stats documents;
};
void store_stats(const struct store *s, struct store_stats *ret);

#endif
