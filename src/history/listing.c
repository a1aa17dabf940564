#include "history/listing.h"

#include <pthread.h>
#include <xxhash.h>

#include "base/fs.h"
#include "base/log.h"

struct listing *listing_ref(struct listing *l) {
        __atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
        return l;
}

void listing_unref(struct listing *l) {
        if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        for (size_t i = 0; i < l->num_apps; i++)
                free(l->apps[i].attempts);
        free(l->apps);
        map_done(&l->by_id);
        map_done(&l->by_log);
        vec_foreach(r, &l->records) log_record_unref(*r);
        vec_done(&l->records);
        strv_done(&l->dir_problems);
        free(l);
}

const struct listed_app *listing_app(const struct listing *l, const char *id) { return l ? map_get(&l->by_id, id) : NULL; }

const struct log_record *listing_attempt(const struct listed_app *app, const char *attempt_id) {
        for (size_t i = 0; i < app->count; i++)
                if (streq_null(app->attempts[i]->attempt_id, attempt_id))
                        return app->attempts[i];
        return NULL;
}

/* ---- grouping ---- */

static int latest_start(const struct log_record *a, const struct log_record *b) {
        if (a->start_ms != b->start_ms)
                return a->start_ms > b->start_ms ? -1 : 1;
        return (a->mtime_ms < b->mtime_ms) - (a->mtime_ms > b->mtime_ms);
}

static int by_app(const void *a, const void *b) {
        const struct log_record *x = *(struct log_record *const *)a, *y = *(struct log_record *const *)b;
        int diff = strcmp(x->app_id, y->app_id);
        return diff ? diff : latest_start(x, y);
}

static int latest_end(const void *a, const void *b) {
        const struct log_record *x = ((const struct listed_app *)a)->attempts[0], *y = ((const struct listed_app *)b)->attempts[0];
        if (x->end_ms != y->end_ms)
                return x->end_ms > y->end_ms ? -1 : 1;
        return strcmp(y->app_id, x->app_id);
}

/* Of two logs of one attempt the finished one counts, then the one written last. */
static bool is_better(const struct log_record *a, const struct log_record *b) {
        return a->in_progress != b->in_progress ? !a->in_progress : a->mtime_ms > b->mtime_ms;
}

static void add_attempt(struct listed_app *app, const struct log_record *r) {
        for (size_t i = 0; i < app->count; i++) {
                if (streq_null(app->attempts[i]->attempt_id, r->attempt_id)) {
                        if (is_better(r, app->attempts[i]))
                                app->attempts[i] = r;
                        return;
                }
        }
        app->attempts[app->count++] = r;
}

static void group(struct listing *l) {
        VEC(struct log_record *) with_id = {0};
        l->by_id = MAP_INIT(NULL);
        l->by_log = MAP_INIT(NULL);
        vec_foreach(r, &l->records) {
                map_set(&l->by_log, (*r)->key, *r);
                if ((*r)->app_id)
                        *vec_push(&with_id) = *r;
        }
        if (with_id.len > 1)
                qsort(with_id.items, with_id.len, sizeof(*with_id.items), by_app);
        l->apps = xcalloc(with_id.len ? with_id.len : 1, sizeof(*l->apps));
        for (size_t i = 0; i < with_id.len;) {
                size_t k = i;
                while (k < with_id.len && streq(with_id.items[k]->app_id, with_id.items[i]->app_id))
                        k++;
                struct listed_app *app = &l->apps[l->num_apps++];
                app->attempts = xcalloc(k - i, sizeof(*app->attempts));
                for (; i < k; i++)
                        add_attempt(app, with_id.items[i]);
        }
        vec_done(&with_id);
        if (l->num_apps > 1)
                qsort(l->apps, l->num_apps, sizeof(*l->apps), latest_end);
        for (size_t i = 0; i < l->num_apps; i++)
                map_set(&l->by_id, l->apps[i].attempts[0]->app_id, &l->apps[i]);
}

/* ---- scanning ---- */

static struct log_record *unreadable(int64_t dir, const struct logstore_entry *e, const struct err *why) {
        struct log_record *r = NEW(struct log_record);
        *r = (struct log_record){.key = xasprintf("%lld/%s", (long long)dir, e->name),
                                 .log = xstrdup(e->name),
                                 .dir = dir,
                                 .size = e->size,
                                 .last_index = -1,
                                 .mtime_ms = e->mtime_ns / 1000000,
                                 .start_ms = -1,
                                 .end_ms = -1,
                                 .last_updated_ms = -1,
                                 .problem = xstrdup(err_message(why)),
                                 .refs = 1};
        return r;
}

/* A log found, and what one look at it has said. */
struct found {
        struct event_log log;
        int64_t dir;
        size_t order;
        struct log_record *record;
};

static struct log_record *same_as_before(const struct listing *before, const struct found *f) {
        AUTO(free) char *key = xasprintf("%lld/%s", (long long)f->dir, f->log.name);
        struct log_record *r = before ? map_get(&before->by_log, key) : NULL;
        return r && !r->retry && r->signature == log_signature(&f->log) ? log_record_ref(r) : NULL;
}

static int newest_first(const void *a, const void *b) {
        const struct found *x = a, *y = b;
        if (x->log.mtime_ms != y->log.mtime_ms)
                return x->log.mtime_ms > y->log.mtime_ms ? -1 : 1;
        return x->order < y->order ? -1 : 1;
}

struct scan {
        struct logstore *const *dirs;
        const struct listing *before;
        const struct listing_options *o;
        struct listing *l;
        VEC(struct found) found;
        VEC(struct found *) unknown; /* those that must be read */
        size_t next;                 /* of them; counted up by several threads */
};

/* What cannot be listed now stays as it was. */
static void keep_directory(struct scan *s, int64_t dir, const struct err *why) {
        strv_add(&s->l->dir_problems, err_message(why));
        if (s->before)
                vec_foreach(r, &s->before->records) {
                        if ((*r)->dir == dir)
                                *vec_push(&s->l->records) = log_record_ref(*r);
                }
}

static void scan_directory(struct scan *s, int64_t dir) {
        AUTO(logstore_list) struct logstore_list list = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (logstore_list(s->dirs[dir], "", "", &list, &err) < 0) {
                keep_directory(s, dir, &err);
                return;
        }
        strv_add(&s->l->dir_problems, "");
        vec_foreach(e, &list.entries) {
                AUTO(err) struct err why = ERR_INIT;
                struct event_log log = {0};
                int r = event_log_probe(s->dirs[dir], e, &log, &why);
                if (r < 0)
                        *vec_push(&s->l->records) = unreadable(dir, e, &why);
                else if (r > 0)
                        *vec_push(&s->found) = (struct found){log, dir, s->found.len, NULL};
        }
}

static void *read_logs(void *arg) {
        struct scan *s = arg;
        size_t i;
        while ((i = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED)) < s->unknown.len) {
                struct found *f = s->unknown.items[i];
                f->record = log_record_read(s->dirs[f->dir], f->dir, &f->log, s->o);
        }
        return NULL;
}

/* Disks keep as many busy as there are processors, a store behind a network some more. */
static void read_unknown(struct scan *s) {
        enum { MAX_READERS = 8, WORTH_A_THREAD = 16 };
        pthread_t threads[MAX_READERS];
        size_t wanted = s->unknown.len / WORTH_A_THREAD, started = 0;
        wanted = wanted < MAX_READERS ? wanted : MAX_READERS;
        for (size_t i = 1; i < wanted; i++)
                started += pthread_create(&threads[started], NULL, read_logs, s) == 0;
        read_logs(s);
        for (size_t i = 0; i < started; i++)
                pthread_join(threads[i], NULL);
}

struct listing *listing_scan(struct logstore *const *dirs, size_t num_dirs, const struct listing *before, const struct listing_options *o) {
        struct scan s = {.dirs = dirs, .before = before, .o = o, .l = NEW(struct listing)};
        struct listing *l = s.l;
        l->refs = 1;
        l->scanned_ms = o->now_ms;
        for (size_t i = 0; i < num_dirs; i++)
                scan_directory(&s, (int64_t)i);
        if (s.found.len > 1)
                qsort(s.found.items, s.found.len, sizeof(*s.found.items), newest_first);
        vec_foreach(f, &s.found) {
                f->record = same_as_before(before, f);
                if (f->record || (o->max_new && s.unknown.len >= o->max_new))
                        continue;
                *vec_push(&s.unknown) = f;
                l->bytes_read += f->log.total_size;
        }
        read_unknown(&s);
        l->num_read = s.unknown.len;
        vec_foreach(f, &s.found) {
                if (f->record)
                        *vec_push(&l->records) = f->record;
                event_log_done(&f->log);
        }
        vec_done(&s.found);
        vec_done(&s.unknown);
        group(l);
        return l;
}

static struct listing *copy_of(const struct listing *l) {
        struct listing *n = NEW(struct listing);
        n->refs = 1;
        n->scanned_ms = l->scanned_ms;
        for (size_t i = 0; i < l->dir_problems.len; i++)
                strv_add(&n->dir_problems, l->dir_problems.items[i]);
        return n;
}

struct listing *listing_with(const struct listing *l, struct log_record *const *records, size_t count) {
        struct listing *n = copy_of(l);
        for (size_t i = 0; i < count; i++)
                *vec_push(&n->records) = log_record_ref(records[i]);
        vec_foreach(r, &l->records) {
                bool replaced = false;
                for (size_t i = 0; i < count; i++)
                        replaced = replaced || streq((*r)->key, records[i]->key);
                if (!replaced)
                        *vec_push(&n->records) = log_record_ref(*r);
        }
        group(n);
        return n;
}

struct listing *listing_view(const struct listing *l, uint64_t dirs) {
        struct listing *n = copy_of(l);
        vec_foreach(r, &l->records) {
                if (dirs >> (*r)->dir & 1)
                        *vec_push(&n->records) = log_record_ref(*r);
        }
        group(n);
        return n;
}

/* ---- keeping ---- */

#define MAGIC "firesteel listing 2\n"

static void put(struct str *s, int64_t v) { str_append(s, &v, sizeof(v)); }

static void put_text(struct str *s, const char *text) {
        put(s, text ? (int64_t)strlen(text) : -1);
        str_append_s(s, text ? text : "");
}

static const size_t number_fields[] = {
        offsetof(struct log_record, dir),
        offsetof(struct log_record, size),      offsetof(struct log_record, last_index), offsetof(struct log_record, mtime_ms),
        offsetof(struct log_record, total_size), offsetof(struct log_record, signature),  offsetof(struct log_record, start_ms),
        offsetof(struct log_record, end_ms),    offsetof(struct log_record, last_updated_ms), offsetof(struct log_record, duration_ms),
};
static const size_t text_fields[] = {
        offsetof(struct log_record, log),           offsetof(struct log_record, app_id),      offsetof(struct log_record, attempt_id),
        offsetof(struct log_record, name),          offsetof(struct log_record, user),        offsetof(struct log_record, spark_version),
        offsetof(struct log_record, view_acls),     offsetof(struct log_record, admin_acls),  offsetof(struct log_record, view_groups),
        offsetof(struct log_record, admin_groups), offsetof(struct log_record, problem),
};

int listing_save(const struct listing *l, const char *path, const char *store_url, struct err *err) {
        AUTO(str) struct str s = STR_INIT(0);
        str_append_s(&s, MAGIC);
        put(&s, 0); /* the checksum */
        size_t body = s.len;
        put_text(&s, store_url);
        put(&s, l->scanned_ms);
        put(&s, (int64_t)l->records.len);
        vec_foreach(it, &l->records) {
                const struct log_record *r = *it;
                put(&s, (r->rolling ? 1 : 0) | (r->in_progress ? 2 : 0) | (r->completed ? 4 : 0) | (r->retry ? 8 : 0));
                for (size_t i = 0; i < ARRAY_LEN(number_fields); i++)
                        put(&s, *(const int64_t *)((const char *)r + number_fields[i]));
                for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
                        put_text(&s, *(char *const *)((const char *)r + text_fields[i]));
        }
        uint64_t sum = XXH3_64bits(s.data + body, s.len - body);
        memcpy(s.data + body - sizeof(sum), &sum, sizeof(sum));
        return fs_write_atomic(path, str_sv(&s), 0600, err);
}

struct cursor {
        const char *p, *end;
        bool bad;
};

static int64_t get(struct cursor *c) {
        int64_t v = 0;
        if (c->end - c->p < (ptrdiff_t)sizeof(v)) {
                c->bad = true;
                return 0;
        }
        memcpy(&v, c->p, sizeof(v));
        c->p += sizeof(v);
        return v;
}

static char *get_text(struct cursor *c) {
        int64_t n = get(c);
        if (n < 0 || c->bad)
                return NULL;
        if (n > c->end - c->p) {
                c->bad = true;
                return NULL;
        }
        char *text = xstrndup(c->p, (size_t)n);
        c->p += n;
        return text;
}

int listing_load(const char *path, const char *store_url, struct listing **ret, struct err *err) {
        AUTO(str) struct str s = STR_INIT(0);
        int code = fs_read(path, 1u << 30, &s, err);
        if (code < 0)
                return code;
        size_t head = sizeof(MAGIC) - 1;
        uint64_t sum;
        if (s.len < head + sizeof(sum) || memcmp(s.data, MAGIC, head) != 0)
                return err_set(err, -EBADMSG, "%s: not a listing of this version", path);
        memcpy(&sum, s.data + head, sizeof(sum));
        struct cursor c = {s.data + head + sizeof(sum), s.data + s.len, false};
        if (XXH3_64bits(c.p, (size_t)(c.end - c.p)) != sum)
                return err_set(err, -EBADMSG, "%s: damaged", path);
        AUTO(free) char *url = get_text(&c);
        if (!streq_null(url, store_url))
                return err_set(err, -EBADMSG, "%s: of another log directory", path);
        AUTO(listing) struct listing *l = NEW(struct listing);
        l->refs = 1;
        l->scanned_ms = get(&c);
        int64_t count = get(&c);
        for (int64_t i = 0; i < count && !c.bad; i++) {
                struct log_record *r = NEW(struct log_record);
                r->refs = 1;
                *vec_push(&l->records) = r;
                int64_t flags = get(&c);
                r->rolling = flags & 1;
                r->in_progress = flags & 2;
                r->completed = flags & 4;
                r->retry = flags & 8;
                for (size_t k = 0; k < ARRAY_LEN(number_fields); k++)
                        *(int64_t *)((char *)r + number_fields[k]) = get(&c);
                for (size_t k = 0; k < ARRAY_LEN(text_fields); k++)
                        *(char **)((char *)r + text_fields[k]) = get_text(&c);
                c.bad = c.bad || !r->log || r->dir < 0 || r->dir >= LISTING_MAX_DIRS;
                r->key = xasprintf("%lld/%s", (long long)r->dir, r->log ? r->log : "");
        }
        if (c.bad)
                return err_set(err, -EBADMSG, "%s: damaged", path);
        group(l);
        *ret = TAKE(l);
        return 0;
}
