#include "cluster/store.h"

#include "cluster/documents.h"
#include "cluster/registry.h"
#include "cluster/storelog.h"

struct watcher {
        struct store *store;
        struct collection *collection;
        struct watcher *next; /* in the collection's list */
        char *ns;             /* NULL = all */
        uint64_t after;       /* events up to here are not for this watcher */
        struct object_list initial;
        bool has_initial;     /* initial state still to be delivered, once `after` is durable */
        bool has_replay;      /* events of the ring still to be delivered */
        bool stopped;
        struct store_waiter *waiter;
        struct watcher_events ev;
};

struct store_waiter {
        struct store *store;
        uint64_t revision;
        void (*fn)(void *arg, const struct err *err);
        void *arg;
};

struct store {
        struct loop *loop;
        struct storelog *log; /* NULL: memory only */
        struct documents *documents;
        struct map collections;
        uint64_t revision, durable, oldest;
        VEC(struct store_event) pending; /* not durable, oldest first */
        size_t pending_start;
        struct store_event *ring; /* durable events, a queue of `ring_cap` */
        size_t ring_cap, ring_start, ring_len, ring_bytes;
        VEC(struct store_waiter *) waiters; /* ordered by revision */
        struct timer *soon;
        bool soon_armed;
        unsigned walking; /* watcher lists are being walked: stopped ones are swept afterwards */
        bool needs_sweep;
        void (*observe)(void *arg, struct collection *c, struct object *now, struct object *before);
        void *observe_arg;
        struct store_stats stats;
};

static void event_done(struct store_event *e) {
        object_release(e->object);
        object_release(e->old);
}

/* Collections. */

static int compare(const struct object *o, const char *ns, const char *name) {
        int c = strcmp(o->namespace, ns);
        return c ? c : strcmp(o->name, name);
}

static size_t lower_bound(const struct collection *c, const char *ns, const char *name) {
        size_t low = 0, high = c->len;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (compare(c->items[mid], ns, name) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

struct object *collection_find(const struct collection *c, const char *ns, const char *name) {
        size_t at = lower_bound(c, ns ? ns : "", name);
        return at < c->len && compare(c->items[at], ns ? ns : "", name) == 0 ? c->items[at] : NULL;
}

size_t collection_after(const struct collection *c, const char *ns, const char *name) {
        size_t at = lower_bound(c, ns, name);
        return at < c->len && compare(c->items[at], ns, name) == 0 ? at + 1 : at;
}

size_t collection_range(const struct collection *c, const char *ns, size_t *ret_end) {
        size_t begin, low, high = c->len;
        if (!ns) {
                *ret_end = c->len;
                return 0;
        }
        begin = low = lower_bound(c, ns, "");
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (strcmp(c->items[mid]->namespace, ns) <= 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        *ret_end = low;
        return begin;
}

/* Puts `o` (a reference is taken over) into memory; the version it replaces is returned, its reference with it. */
static struct object *place(struct collection *c, struct object *o) {
        size_t at = lower_bound(c, o->namespace, o->name);
        if (at < c->len && compare(c->items[at], o->namespace, o->name) == 0) {
                struct object *old = c->items[at];
                c->items[at] = o;
                return old;
        }
        (void)vec_push(c);
        memmove(&c->items[at + 1], &c->items[at], (c->len - 1 - at) * sizeof(*c->items));
        c->items[at] = o;
        return NULL;
}

static struct object *displace(struct collection *c, const char *ns, const char *name) {
        size_t at = lower_bound(c, ns, name);
        struct object *old;
        if (at >= c->len || compare(c->items[at], ns, name) != 0)
                return NULL;
        old = c->items[at];
        vec_remove(c, at);
        return old;
}

/* Undoes one change in a copy of its collection. */
static void undo(struct collection *copy, const struct store_event *e) {
        struct object *gone = e->change == STORE_DELETED ? NULL : displace(copy, e->object->namespace, e->object->name);
        object_unref(gone);
        if (e->old)
                object_unref(place(copy, object_ref(e->old)));
}

int store_snapshot(const struct store *s, const struct collection *c, const char *ns, uint64_t revision, struct object_list *ret,
                   struct err *err) {
        struct collection copy = {0};
        size_t end, at = collection_range(c, ns, &end);

        if (revision < s->oldest)
                return err_http(err, -ESTALE, 410, "Expired", "The resourceVersion for the provided list is too old.");
        for (; at < end; at++)
                *vec_push(&copy) = object_ref(c->items[at]);
        for (size_t i = s->pending.len; i > s->pending_start; i--) {
                const struct store_event *e = &s->pending.items[i - 1];
                if (e->collection == c && e->revision > revision && (!ns || streq(ns, e->object->namespace)))
                        undo(&copy, e);
        }
        for (size_t i = s->ring_len; i-- > 0;) {
                const struct store_event *e = &s->ring[(s->ring_start + i) % s->ring_cap];
                if (e->revision <= revision)
                        break;
                if (e->collection == c && (!ns || streq(ns, e->object->namespace)))
                        undo(&copy, e);
        }
        for (size_t i = 0; i < copy.len; i++) {
                object_list_add(ret, copy.items[i]);
                object_unref(copy.items[i]);
        }
        vec_done(&copy);
        return 0;
}

static void collection_free(void *p) {
        struct collection *c = p;
        for (size_t i = 0; i < c->len; i++)
                object_release(c->items[i]);
        vec_done(c);
        free(c->id);
        free(c);
}

struct collection *store_collection(struct store *s, const char *id) {
        struct collection *c = map_get(&s->collections, id);
        if (!c) {
                c = NEW(struct collection);
                c->id = xstrdup(id);
                map_set(&s->collections, id, c);
        }
        return c;
}

/* Waiters and the moment after. */

static void settle(struct store *s, uint64_t revision);
static void start_replay(struct watcher *w);

static void soon(void *arg) {
        struct store *s = arg;
        s->soon_armed = false;
        if (!s->log) {
                /* In memory only everything is durable as soon as the loop comes round. */
                settle(s, s->revision);
                return;
        }
        settle(s, s->durable);
}

static void arm(struct store *s) {
        if (s->soon_armed)
                return;
        s->soon_armed = true;
        timer_again(s->soon, 0, 0);
}

struct store_waiter *store_when_durable(struct store *s, uint64_t revision, void (*fn)(void *arg, const struct err *err), void *arg) {
        struct store_waiter *w = NEW(struct store_waiter);
        size_t at = s->waiters.len;

        *w = (struct store_waiter){s, revision, fn, arg};
        while (at > 0 && s->waiters.items[at - 1]->revision > revision)
                at--;
        (void)vec_push(&s->waiters);
        memmove(&s->waiters.items[at + 1], &s->waiters.items[at], (s->waiters.len - 1 - at) * sizeof(*s->waiters.items));
        s->waiters.items[at] = w;
        if (revision <= s->durable)
                arm(s);
        return w;
}

void store_waiter_cancel(struct store_waiter *w) {
        if (!w)
                return;
        for (size_t i = 0; i < w->store->waiters.len; i++)
                if (w->store->waiters.items[i] == w) {
                        vec_remove(&w->store->waiters, i);
                        break;
                }
        free(w);
}

static void fire_waiters(struct store *s, uint64_t revision, const struct err *err) {
        /* Callbacks may add waiters; those of revisions already passed are served as well. */
        while (s->waiters.len && s->waiters.items[0]->revision <= revision) {
                struct store_waiter w = *s->waiters.items[0];
                free(s->waiters.items[0]);
                vec_remove(&s->waiters, 0);
                w.fn(w.arg, err);
        }
}

/* The ring. */

static size_t event_bytes(const struct store_event *e) { return e->object->json_len; }

static void ring_drop(struct store *s) {
        struct store_event *e = &s->ring[s->ring_start];
        s->oldest = e->revision;
        s->ring_bytes -= event_bytes(e);
        event_done(e);
        s->ring_start = (s->ring_start + 1) % s->ring_cap;
        s->ring_len--;
}

static void ring_add(struct store *s, struct store_event e) {
        while (s->ring_len && (s->ring_len == s->ring_cap || s->ring_bytes + event_bytes(&e) > STORE_HISTORY_BYTES))
                ring_drop(s);
        s->ring[(s->ring_start + s->ring_len) % s->ring_cap] = e;
        s->ring_len++;
        s->ring_bytes += event_bytes(&e);
}

/* Watchers. */

static void watcher_free(struct watcher *w) {
        store_waiter_cancel(w->waiter);
        object_list_done(&w->initial);
        free(w->ns);
        free(w);
}

static void sweep(struct store *s) {
        if (s->walking || !s->needs_sweep)
                return;
        s->needs_sweep = false;
        map_foreach(entry, &s->collections) {
                struct collection *c = entry->value;
                for (struct watcher **p = &c->watchers; *p;) {
                        struct watcher *w = *p;
                        if (!w->stopped) {
                                p = &w->next;
                                continue;
                        }
                        *p = w->next;
                        watcher_free(w);
                }
        }
}

void store_watch_stop(struct watcher *w) {
        if (!w)
                return;
        w->stopped = true;
        w->store->needs_sweep = true;
        w->store->stats.watchers--;
        sweep(w->store);
}

static bool watcher_wants(const struct watcher *w, const struct store_event *e) {
        return !w->stopped && e->revision > w->after && e->collection == w->collection && (!w->ns || streq(w->ns, e->object->namespace));
}

static void dispatch(struct store *s, const struct store_event *e) {
        s->walking++;
        for (struct watcher *w = e->collection->watchers; w; w = w->next)
                if (watcher_wants(w, e) && !w->has_initial && !w->has_replay)
                        w->ev.on_event(w->ev.arg, e);
        s->walking--;
}

static void deliver_initial(void *arg, const struct err *err) {
        struct watcher *w = arg;
        struct store *s = w->store;
        struct object_list list;

        w->waiter = NULL;
        if (w->has_replay) {
                start_replay(w);
                return;
        }
        if (err) { /* what was seen has been taken back: look again */
                object_list_done(&w->initial);
                size_t end, at = collection_range(w->collection, w->ns, &end);
                for (; at < end; at++)
                        object_list_add(&w->initial, w->collection->items[at]);
                w->after = s->revision;
                w->waiter = store_when_durable(s, w->after, deliver_initial, w);
                return;
        }
        list = w->initial;
        w->initial = (struct object_list){0};
        w->has_initial = false;
        s->walking++;
        for (size_t i = 0; i < list.len && !w->stopped; i++) {
                struct object *o = list.items[i];
                struct store_event e = {STORE_ADDED, o->revision, w->collection, o, NULL};
                bool was_parsed = o->doc != NULL;
                w->ev.on_event(w->ev.arg, &e);
                if (!was_parsed) /* a whole collection is gone through: not all of it has to be parsed at once */
                        object_rest(o, 1);
        }
        if (!w->stopped && w->ev.on_synced)
                w->ev.on_synced(w->ev.arg, w->after);
        s->walking--;
        object_list_done(&list);
        sweep(s);
}

static void start_replay(struct watcher *w) {
        struct store *s = w->store;
        uint64_t last = w->after;

        w->has_replay = false;
        s->walking++;
        for (size_t i = 0; i < s->ring_len && !w->stopped; i++) {
                const struct store_event *e = &s->ring[(s->ring_start + i) % s->ring_cap];
                if (watcher_wants(w, e)) {
                        last = e->revision;
                        w->ev.on_event(w->ev.arg, e);
                }
        }
        if (w->after < last)
                w->after = last;
        s->walking--;
        sweep(s);
}

int store_watch(struct store *s, struct collection *c, const char *ns, bool resume, uint64_t since, const struct watcher_events *ev,
                struct watcher **ret, struct err *err) {
        struct watcher *w;

        if (resume && since < s->oldest)
                return err_http(err, -ESTALE, 410, "Expired", "too old resource version: %llu (%llu)", (unsigned long long)since,
                                (unsigned long long)s->oldest);
        w = NEW(struct watcher);
        w->store = s;
        w->collection = c;
        w->ns = xstrdup_null(ns);
        w->ev = *ev;
        w->after = resume ? since : s->revision;
        if (resume) {
                w->has_replay = true;
                w->waiter = store_when_durable(s, 0, deliver_initial, w);
        } else {
                size_t end, at = collection_range(c, ns, &end);
                w->has_initial = true;
                for (; at < end; at++)
                        object_list_add(&w->initial, c->items[at]);
                w->waiter = store_when_durable(s, w->after, deliver_initial, w);
        }
        w->next = c->watchers;
        c->watchers = w;
        s->stats.watchers++;
        *ret = w;
        return 0;
}

/* Changes. */

static void enqueue(struct store *s, struct store_event e) {
        s->revision = e.revision;
        *vec_push(&s->pending) = e;
        if (s->log)
                storelog_append(s->log, e.collection->id, e.object, e.change == STORE_DELETED);
        else
                arm(s);
}

uint64_t store_next_revision(struct store *s) { return s->revision + 1; }

void store_put(struct store *s, struct collection *c, struct object *o) {
        struct object *old = place(c, object_hold(o));
        s->stats.objects += old == NULL;
        documents_adopt(s->documents, o);
        if (s->observe)
                s->observe(s->observe_arg, c, o, old);
        enqueue(s, (struct store_event){old ? STORE_MODIFIED : STORE_ADDED, o->revision, c, object_hold(o), old});
        object_unref(o);
}

void store_remove(struct store *s, struct collection *c, struct object *last) {
        struct object *old = displace(c, last->namespace, last->name);
        if (!old) {
                object_unref(last);
                return;
        }
        s->stats.objects--;
        documents_adopt(s->documents, last);
        if (s->observe)
                s->observe(s->observe_arg, c, NULL, old);
        enqueue(s, (struct store_event){STORE_DELETED, last->revision, c, object_hold(last), old});
        object_unref(last);
}

/* Everything up to `revision` is durable: tell the world, in order. */
static void settle(struct store *s, uint64_t revision) {
        s->walking++;
        fire_waiters(s, s->durable, NULL); /* a watch that began at the durable state gets it before anything newer */
        while (s->pending_start < s->pending.len && s->pending.items[s->pending_start].revision <= revision) {
                struct store_event e = s->pending.items[s->pending_start++];
                s->durable = e.revision;
                ring_add(s, e);
                dispatch(s, &e);
                fire_waiters(s, e.revision, NULL);
        }
        if (s->pending_start == s->pending.len)
                s->pending.len = s->pending_start = 0;
        else if (s->pending_start > 1024) {
                memmove(s->pending.items, &s->pending.items[s->pending_start],
                        (s->pending.len - s->pending_start) * sizeof(*s->pending.items));
                s->pending.len -= s->pending_start;
                s->pending_start = 0;
        }
        fire_waiters(s, s->durable, NULL);
        s->walking--;
        sweep(s);
}

/* The log refused: back to the last durable state. */
static void take_back(struct store *s, const struct err *err) {
        if (s->log)
                storelog_discard(s->log);
        while (s->pending.len > s->pending_start) {
                struct store_event e = s->pending.items[--s->pending.len];
                struct object *now = e.change == STORE_DELETED ? NULL : displace(e.collection, e.object->namespace, e.object->name);
                object_release(now);
                if (e.old)
                        object_release(place(e.collection, object_hold(e.old)));
                s->stats.objects += (e.change == STORE_DELETED) - (e.change == STORE_ADDED);
                if (s->observe)
                        s->observe(s->observe_arg, e.collection, e.old, e.change == STORE_DELETED ? NULL : e.object);
                event_done(&e);
        }
        /* Nothing is on its way any more: the revisions given out since are nobody's, and what is read now need not wait for them. */
        s->durable = s->revision;
        s->walking++;
        fire_waiters(s, UINT64_MAX, err);
        s->walking--;
        sweep(s);
}

static void committed(void *arg, uint64_t revision, int64_t took_us, const struct err *err) {
        struct store *s = arg;
        if (err) {
                s->stats.failed_commits++;
                take_back(s, err);
                return;
        }
        s->stats.commits++;
        if (took_us > s->stats.commit_us_max)
                s->stats.commit_us_max = took_us;
        s->stats.committed_changes = revision;
        settle(s, revision);
}

void store_observe(struct store *s, void (*fn)(void *arg, struct collection *c, struct object *now, struct object *before), void *arg) {
        s->observe = fn;
        s->observe_arg = arg;
}

uint64_t store_revision(const struct store *s) { return s->revision; }
uint64_t store_durable_revision(const struct store *s) { return s->durable; }
uint64_t store_oldest_revision(const struct store *s) { return s->oldest; }

int store_new(struct loop *l, const char *database, size_t history, struct store **ret, struct err *err) {
        struct store *s = NEW(struct store);
        int r;

        s->loop = l;
        s->collections = MAP_INIT(collection_free);
        s->ring_cap = history ? history : STORE_HISTORY_EVENTS;
        s->revision = 1;
        if (database) {
                r = storelog_open(l, database, committed, s, &s->log, err);
                if (r < 0) {
                        map_done(&s->collections);
                        free(s);
                        return r;
                }
                if (storelog_revision(s->log) > s->revision)
                        s->revision = storelog_revision(s->log);
        }
        s->durable = s->revision;
        /* A new cluster's history is whole from the beginning; that of a loaded one begins now. */
        s->oldest = s->revision == 1 ? 0 : s->revision;
        s->ring = xcalloc(s->ring_cap, sizeof(*s->ring));
        s->documents = documents_new(l, DOCUMENTS_BUDGET);
        s->soon = timer_new(l, 1 << 30, 0, soon, s);
        *ret = s;
        return 0;
}

struct loading {
        struct store *store;
        struct collection *collection;
        const struct resource *resource;
};

static int load_row(void *arg, struct sv json, uint64_t revision, struct err *err) {
        struct loading *load = arg;
        yyjson_doc *doc = NULL;
        struct object *old;
        AUTO(object) struct object *o = NULL;
        int r = json_parse(json, &doc, err);
        if (r < 0)
                return err_wrap(err, -EUCLEAN, "a stored row of %s is damaged", load->collection->id);
        o = object_new(load->resource, revision, doc);
        documents_adopt(load->store->documents, o);
        object_rest(o, 1);
        old = place(load->collection, object_hold(o));
        load->store->stats.objects += old == NULL;
        object_release(old);
        return 0;
}

int store_load(struct store *s, struct collection *c, const struct resource *resource, struct err *err) {
        struct loading load = {s, c, resource};
        return s->log ? storelog_read(s->log, c->id, load_row, &load, err) : 0;
}

void store_stats(const struct store *s, struct store_stats *ret) {
        *ret = s->stats;
        ret->history_events = s->ring_len;
        ret->history_bytes = s->ring_bytes;
        documents_stats(s->documents, &ret->documents);
}

void store_free(struct store *s) {
        if (!s)
                return;
        storelog_close(s->log);
        timer_free(s->soon);
        while (s->waiters.len)
                store_waiter_cancel(s->waiters.items[s->waiters.len - 1]);
        vec_done(&s->waiters);
        map_foreach(entry, &s->collections) {
                struct collection *c = entry->value;
                for (struct watcher *w = c->watchers, *next; w; w = next) {
                        next = w->next;
                        w->waiter = NULL;
                        watcher_free(w);
                }
        }
        while (s->pending.len > s->pending_start)
                event_done(&s->pending.items[--s->pending.len]);
        vec_done(&s->pending);
        while (s->ring_len)
                ring_drop(s);
        free(s->ring);
        map_done(&s->collections);
        documents_free(s->documents);
        free(s);
}
