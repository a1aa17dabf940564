/* Logs in a bucket. A call borrows a session (a loop of its own, with connections and credentials) for as long as it lasts: stores are used
 * by several workers at once, and what a session has learnt (a token of STS, a region, an open connection) serves the next call. */
#include <pthread.h>

#include "base/log.h"
#include "history/logstore.h"
#include "objstore/objstore.h"

struct session {
        struct loop *loop;
        struct objstore *objects;
        struct session *next; /* of those idle, or of those in use */
};

struct s3_store {
        struct logstore base;
        char *root; /* "s3a://bucket/prefix/", with the slash */
        const struct map *hadoop;
        pthread_mutex_t lock; /* of what follows */
        struct session *idle, *used;
        bool interrupted;
};

struct s3_file {
        struct logstore_file base;
        char *url, *etag;
        struct str ahead; /* read already: [ahead_at, ahead_at + len) */
        int64_t ahead_at;
        size_t piece; /* how much to ask for next */
};

/* The listing looks at the beginning of a log only; who goes on reading wants few requests. */
enum { FIRST_PIECE = 128 << 10, LARGEST_PIECE = 8 << 20 };

/* ---- sessions ---- */

static const char *conf_of(void *arg, const char *key) {
        const struct s3_store *s = arg;
        return s->hadoop ? map_get(s->hadoop, key) : NULL;
}

static void session_stop(void *arg) { loop_stop(arg); }

static int session_begin(struct s3_store *s, struct session **ret, struct err *err) {
        pthread_mutex_lock(&s->lock);
        struct session *x = s->idle;
        if (s->interrupted) {
                pthread_mutex_unlock(&s->lock);
                return err_set(err, -EINTR, "%s: interrupted", s->base.url);
        }
        if (x) {
                s->idle = x->next;
        } else {
                x = NEW(struct session);
                x->loop = loop_new();
                x->objects = objstore_new(x->loop, &(struct objstore_options){.conf = conf_of, .arg = s});
        }
        x->next = s->used;
        s->used = x;
        pthread_mutex_unlock(&s->lock);
        *ret = x;
        return 0;
}

static void session_end(struct s3_store *s, struct session *x) {
        pthread_mutex_lock(&s->lock);
        struct session **at = &s->used;
        while (*at != x)
                at = &(*at)->next;
        *at = x->next;
        x->next = s->idle;
        s->idle = x;
        pthread_mutex_unlock(&s->lock);
}

/* A session held within a scope. */
struct held {
        struct s3_store *store;
        struct session *session;
};

static void held_done(struct held *h) {
        if (h->session)
                session_end(h->store, h->session);
}
DEFINE_AUTO_VALUE(held, struct held, held_done)

static int hold(struct logstore *base, struct held *h, struct err *err) {
        h->store = (struct s3_store *)base;
        return session_begin(h->store, &h->session, err);
}

static void s3_interrupt(struct logstore *base) {
        struct s3_store *s = (struct s3_store *)base;
        pthread_mutex_lock(&s->lock);
        s->interrupted = true;
        for (struct session *x = s->used; x; x = x->next)
                loop_post(x->loop, session_stop, x->loop);
        pthread_mutex_unlock(&s->lock);
}

/* ---- lists ---- */

static char *url_of(struct logstore *base, const char *path) { return xasprintf("%s%s", ((struct s3_store *)base)->root, path); }

static int64_t mtime_of(const struct objstore_entry *e) { return e->mtime_ms * 1000000; }

static void add_entry(struct logstore_list *list, const char *name, size_t len, const struct objstore_entry *e) {
        *vec_push(&list->entries) = (struct logstore_entry){
                .name = xstrndup(name, len), .size = e->size, .mtime_ns = mtime_of(e), .etag = xstrdup_null(e->etag)};
}

/* The directory of that name: names come in order, so it is the last one when it is there. */
static struct logstore_entry *directory(struct logstore_list *list, const char *name, size_t len) {
        struct logstore_entry *last = list->entries.len ? &list->entries.items[list->entries.len - 1] : NULL;
        if (last && last->is_dir && strlen(last->name) == len && memcmp(last->name, name, len) == 0)
                return last;
        last = vec_push(&list->entries);
        *last = (struct logstore_entry){.name = xstrndup(name, len), .is_dir = true, .children = NEW(struct logstore_list)};
        return last;
}

/* Objects below a directory become its children; what lies deeper is of no interest. */
static void add_object(struct logstore_list *list, const char *name, const struct objstore_entry *e) {
        const char *slash = strchr(name, '/');
        if (!*name)
                return; /* the marker of the directory itself */
        if (!slash) {
                add_entry(list, name, strlen(name), e);
                return;
        }
        struct logstore_entry *dir = directory(list, name, (size_t)(slash - name));
        if (slash[1] && !strchr(slash + 1, '/'))
                add_entry(dir->children, slash + 1, strlen(slash + 1), e);
}

/* Everything with one request a thousand objects: a request for each directory would be one for each rolled log. */
static int s3_list(struct logstore *base, const char *dir, const char *prefix, struct logstore_list *ret, struct err *err) {
        AUTO(held) struct held x = {0};
        int r = hold(base, &x, err);
        if (r < 0)
                return r;
        AUTO(free) char *root = *dir ? xasprintf("%s%s/", x.store->root, dir) : xstrdup(x.store->root);
        AUTO(free) char *url = xasprintf("%s%s", root, prefix);
        AUTO(free) char *token = NULL;
        AUTO(logstore_list) struct logstore_list list = {0};
        do {
                AUTO(objstore_page) struct objstore_page page = {0};
                r = objstore_list_wait(x.session->objects, &(struct objstore_list){.url = url, .is_recursive = true, .token = token}, &page,
                                       err);
                if (r < 0)
                        return r;
                vec_foreach(e, &page.entries) {
                        if (str_starts(e->url, root))
                                add_object(&list, e->url + strlen(root), e);
                }
                free(token);
                token = TAKE(page.next);
        } while (token);
        *ret = list;
        list = (struct logstore_list){0};
        return 0;
}

static int s3_stat(struct logstore *base, const char *path, struct logstore_entry *ret, struct err *err) {
        AUTO(held) struct held x = {0};
        AUTO(objstore_entry) struct objstore_entry e = {0};
        int r = hold(base, &x, err);
        if (r < 0)
                return r;
        AUTO(free) char *url = url_of(base, path);
        r = objstore_stat_wait(x.session->objects, url, &e, err);
        if (r < 0)
                return r;
        *ret = (struct logstore_entry){.size = e.size, .mtime_ns = mtime_of(&e), .etag = TAKE(e.etag)};
        return 0;
}

/* ---- files ---- */

static int s3_open(struct logstore *base, const char *path, const char *etag, struct logstore_file **ret, struct err *err) {
        (void)err;
        struct s3_file *f = NEW(struct s3_file);
        *f = (struct s3_file){.base = {base},
                              .url = url_of(base, path),
                              .etag = xstrdup_null(etag),
                              .ahead = STR_INIT(0),
                              .ahead_at = -1,
                              .piece = FIRST_PIECE};
        *ret = &f->base;
        return 0;
}

static int read_ahead(struct s3_file *f, int64_t offset, struct err *err) {
        AUTO(held) struct held x = {0};
        int r = hold(f->base.store, &x, err);
        if (r < 0)
                return r;
        str_clear(&f->ahead);
        f->ahead_at = -1;
        r = objstore_read_wait(x.session->objects, f->url, offset, f->piece, f->etag, &f->ahead, err);
        if (r < 0)
                return r;
        f->ahead_at = offset;
        f->piece = f->piece < LARGEST_PIECE ? f->piece * 4 : LARGEST_PIECE;
        return 0;
}

static ssize_t s3_read(struct logstore_file *base, int64_t offset, void *buf, size_t len, struct err *err) {
        struct s3_file *f = (struct s3_file *)base;
        if (f->ahead_at < 0 || offset < f->ahead_at || offset >= f->ahead_at + (int64_t)f->ahead.len) {
                int r = read_ahead(f, offset, err);
                if (r < 0)
                        return r;
        }
        size_t at = (size_t)(offset - f->ahead_at), left = f->ahead.len - at;
        size_t n = len < left ? len : left;
        if (n)
                memcpy(buf, f->ahead.data + at, n);
        return (ssize_t)n;
}

static void s3_close(struct logstore_file *base) {
        struct s3_file *f = (struct s3_file *)base;
        str_done(&f->ahead);
        free(f->etag);
        free(f->url);
        free(f);
}

static int delete_one(struct logstore *base, const char *path, struct err *err) {
        AUTO(held) struct held x = {0};
        AUTO(free) char *url = url_of(base, path);
        int r = hold(base, &x, err);
        return r < 0 ? r : objstore_delete_wait(x.session->objects, url, err);
}

static int s3_remove(struct logstore *base, const char *path, bool is_dir, struct err *err) {
        if (!is_dir)
                return delete_one(base, path, err);
        AUTO(logstore_list) struct logstore_list list = {0};
        int r = s3_list(base, path, "", &list, err);
        vec_foreach(e, &list.entries) {
                AUTO(free) char *inner = xasprintf("%s/%s", path, e->name);
                if (r >= 0 && !e->is_dir)
                        r = delete_one(base, inner, err);
        }
        AUTO(free) char *marker = xasprintf("%s/", path);
        return r < 0 ? r : delete_one(base, marker, err);
}

static void s3_free(struct logstore *base) {
        struct s3_store *s = (struct s3_store *)base;
        while (s->idle) {
                struct session *x = s->idle;
                s->idle = x->next;
                objstore_free(x->objects);
                loop_free(x->loop);
                free(x);
        }
        pthread_mutex_destroy(&s->lock);
        free(s->root);
        free(s->base.url);
        free(s);
}

static const struct logstore_ops s3_ops = {s3_list, s3_stat, s3_open, s3_read, s3_close, s3_remove, s3_interrupt, s3_free};

struct logstore *logstore_s3_new(const char *url, const struct map *hadoop) {
        struct s3_store *s = NEW(struct s3_store);
        size_t n = strlen(url);
        s->base = (struct logstore){&s3_ops, xstrdup(url)};
        s->root = xasprintf("%s%s", url, n && url[n - 1] == '/' ? "" : "/");
        s->hadoop = hadoop;
        pthread_mutex_init(&s->lock, NULL);
        return &s->base;
}
