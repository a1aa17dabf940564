/* Logs in a bucket. Each call, and each open file, has a loop and a connection of its own: stores are used by several workers at once,
 * and a log is read in few large pieces. */
#include "base/log.h"
#include "history/logstore.h"
#include "objstore/objstore.h"

struct s3_store {
        struct logstore base;
        char *root; /* "s3a://bucket/prefix/", with the slash */
        const struct map *hadoop;
};

struct s3_file {
        struct logstore_file base;
        struct loop *loop;
        struct objstore *objects;
        char *url;
        struct str ahead; /* read already: [ahead_at, ahead_at + len) */
        int64_t ahead_at;
};

enum { READ_AHEAD = 8 << 20 };

static const char *conf_of(void *arg, const char *key) {
        const struct s3_store *s = arg;
        return s->hadoop ? map_get(s->hadoop, key) : NULL;
}

struct session {
        struct loop *loop;
        struct objstore *objects;
};

static void session_begin(struct session *x, struct s3_store *s) {
        x->loop = loop_new();
        x->objects = objstore_new(x->loop, &(struct objstore_options){.conf = conf_of, .arg = s});
}

static void session_done(struct session *x) {
        objstore_free(x->objects);
        loop_free(x->loop);
}
DEFINE_AUTO_VALUE(session, struct session, session_done)

static char *url_of(struct logstore *base, const char *path) { return xasprintf("%s%s", ((struct s3_store *)base)->root, path); }

static int s3_list(struct logstore *base, const char *dir, struct logstore_list *ret, struct err *err) {
        struct s3_store *s = (struct s3_store *)base;
        AUTO(session) struct session x = {0};
        session_begin(&x, s);
        AUTO(free) char *url = *dir ? xasprintf("%s%s/", s->root, dir) : xstrdup(s->root);
        AUTO(free) char *token = NULL;
        AUTO(logstore_list) struct logstore_list list = {0};
        do {
                AUTO(objstore_page) struct objstore_page page = {0};
                int r = objstore_list_wait(x.objects, &(struct objstore_list){.url = url, .token = token}, &page, err);
                if (r < 0)
                        return r;
                vec_foreach(e, &page.entries) {
                        if (!str_starts(e->url, url))
                                continue;
                        size_t n = strlen(e->url + strlen(url));
                        const char *name = e->url + strlen(url);
                        if (n && name[n - 1] == '/')
                                n--;
                        if (n == 0)
                                continue; /* the marker of the directory itself */
                        struct logstore_entry *item = vec_push(&list.entries);
                        *item = (struct logstore_entry){xstrndup(name, n), e->is_prefix, e->size, e->mtime_ms * 1000000};
                }
                free(token);
                token = TAKE(page.next);
        } while (token);
        *ret = list;
        list = (struct logstore_list){0};
        return 0;
}

static int s3_stat(struct logstore *base, const char *path, struct logstore_entry *ret, struct err *err) {
        AUTO(session) struct session x = {0};
        AUTO(objstore_entry) struct objstore_entry e = {0};
        session_begin(&x, (struct s3_store *)base);
        AUTO(free) char *url = url_of(base, path);
        int r = objstore_stat_wait(x.objects, url, &e, err);
        if (r == -ENOENT) { /* a folder has no object of its own */
                AUTO(free) char *dir = xasprintf("%s/", url);
                AUTO(objstore_page) struct objstore_page page = {0};
                AUTO(err) struct err why = ERR_INIT;
                if (objstore_list_wait(x.objects, &(struct objstore_list){.url = dir, .max = 1}, &page, &why) < 0 || page.entries.len == 0)
                        return r;
                err_clear(err);
                *ret = (struct logstore_entry){.is_dir = true};
                return 0;
        }
        if (r < 0)
                return r;
        *ret = (struct logstore_entry){NULL, e.is_prefix, e.size, e.mtime_ms * 1000000};
        return 0;
}

static int s3_open(struct logstore *base, const char *path, struct logstore_file **ret, struct err *err) {
        (void)err;
        struct session x;
        session_begin(&x, (struct s3_store *)base);
        struct s3_file *f = NEW(struct s3_file);
        *f = (struct s3_file){.base = {base}, .loop = x.loop, .objects = x.objects, .url = url_of(base, path), .ahead = STR_INIT(0), .ahead_at = -1};
        *ret = &f->base;
        return 0;
}

static ssize_t s3_read(struct logstore_file *base, int64_t offset, void *buf, size_t len, struct err *err) {
        struct s3_file *f = (struct s3_file *)base;
        if (f->ahead_at < 0 || offset < f->ahead_at || offset >= f->ahead_at + (int64_t)f->ahead.len) {
                str_clear(&f->ahead);
                f->ahead_at = -1;
                int r = objstore_read_wait(f->objects, f->url, offset, READ_AHEAD, &f->ahead, err);
                if (r < 0)
                        return r;
                f->ahead_at = offset;
        }
        size_t at = (size_t)(offset - f->ahead_at), left = f->ahead.len - at;
        size_t n = len < left ? len : left;
        if (n)
                memcpy(buf, f->ahead.data + at, n);
        return (ssize_t)n;
}

static void s3_close(struct logstore_file *base) {
        struct s3_file *f = (struct s3_file *)base;
        objstore_free(f->objects);
        loop_free(f->loop);
        str_done(&f->ahead);
        free(f->url);
        free(f);
}

static int s3_remove(struct logstore *base, const char *path, bool is_dir, struct err *err) {
        AUTO(session) struct session x = {0};
        session_begin(&x, (struct s3_store *)base);
        if (!is_dir) {
                AUTO(free) char *url = url_of(base, path);
                return objstore_delete_wait(x.objects, url, err);
        }
        AUTO(logstore_list) struct logstore_list list = {0};
        int r = s3_list(base, path, &list, err);
        vec_foreach(e, &list.entries) {
                AUTO(free) char *inner = xasprintf("%s/%s", path, e->name);
                AUTO(free) char *url = url_of(base, inner);
                if (r >= 0)
                        r = objstore_delete_wait(x.objects, url, err);
        }
        AUTO(free) char *marker = xasprintf("%s%s/", ((struct s3_store *)base)->root, path);
        return r < 0 ? r : objstore_delete_wait(x.objects, marker, err);
}

static void s3_free(struct logstore *base) {
        free(((struct s3_store *)base)->root);
        free(base->url);
        free(base);
}

static const struct logstore_ops s3_ops = {s3_list, s3_stat, s3_open, s3_read, s3_close, s3_remove, s3_free};

struct logstore *logstore_s3_new(const char *url, const struct map *hadoop) {
        struct s3_store *s = NEW(struct s3_store);
        size_t n = strlen(url);
        s->base = (struct logstore){&s3_ops, xstrdup(url)};
        s->root = xasprintf("%s%s", url, n && url[n - 1] == '/' ? "" : "/");
        s->hadoop = hadoop;
        return &s->base;
}
