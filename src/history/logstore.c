#include "history/logstore.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"

void logstore_entry_done(struct logstore_entry *e) {
        free(e->name);
        free(e->etag);
        if (e->children)
                logstore_list_done(e->children);
        free(e->children);
}

void logstore_list_done(struct logstore_list *l) {
        vec_foreach(e, &l->entries) logstore_entry_done(e);
        vec_done(&l->entries);
}

void logstore_interrupt(struct logstore *s) {
        if (s && s->ops->interrupt)
                s->ops->interrupt(s);
}

void logstore_free(struct logstore *s) {
        if (s)
                s->ops->free(s);
}

int logstore_file_open(struct logstore *s, const char *path, const char *etag, struct logstore_file **ret, struct err *err) {
        return s->ops->open(s, path, etag, ret, err);
}

ssize_t logstore_file_read(struct logstore_file *f, int64_t offset, void *buf, size_t len, struct err *err) {
        return f->store->ops->read(f, offset, buf, len, err);
}

void logstore_file_close(struct logstore_file *f) {
        if (f)
                f->store->ops->close(f);
}

/* ---- a local directory ---- */

struct local_store {
        struct logstore base;
        char *root;
};

struct local_file {
        struct logstore_file base;
        int fd;
        char *path;
};

static char *local_path(struct logstore *s, const char *path) {
        struct local_store *l = (struct local_store *)s;
        return *path ? xasprintf("%s/%s", l->root, path) : xstrdup(l->root);
}

static void fill(struct logstore_entry *e, const struct stat *st) {
        e->is_dir = S_ISDIR(st->st_mode);
        e->inode = st->st_ino;
        e->size = st->st_size;
        e->mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

static void dir_cleanup_(DIR **d) {
        if (*d)
                closedir(*d);
}

static int local_list(struct logstore *s, const char *dir, const char *prefix, struct logstore_list *ret, struct err *err) {
        AUTO(free) char *path = local_path(s, dir);
        AUTO(dir) DIR *d = opendir(path);
        if (!d)
                return err_errno(err, -errno, "listing %s", path);
        AUTO(logstore_list) struct logstore_list list = {0};
        struct dirent *item;
        while ((item = readdir(d))) {
                struct stat st;
                if (streq(item->d_name, ".") || streq(item->d_name, "..") || !str_starts(item->d_name, prefix))
                        continue;
                if (fstatat(dirfd(d), item->d_name, &st, 0) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
                        continue; /* gone meanwhile, or no file */
                struct logstore_entry *e = vec_push(&list.entries);
                e->name = xstrdup(item->d_name);
                fill(e, &st);
        }
        *ret = list;
        list = (struct logstore_list){0};
        return 0;
}

static int local_stat(struct logstore *s, const char *path, struct logstore_entry *ret, struct err *err) {
        AUTO(free) char *full = local_path(s, path);
        struct stat st;
        if (stat(full, &st) < 0)
                return err_errno(err, -errno, "%s", full);
        *ret = (struct logstore_entry){0};
        fill(ret, &st);
        return 0;
}

static int local_open(struct logstore *s, const char *path, const char *etag, struct logstore_file **ret, struct err *err) {
        (void)etag; /* there is none */
        AUTO(free) char *full = local_path(s, path);
        int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return err_errno(err, -errno, "opening %s", full);
        struct local_file *f = NEW(struct local_file);
        f->base.store = s;
        f->fd = fd;
        f->path = TAKE(full);
        *ret = &f->base;
        return 0;
}

static ssize_t local_read(struct logstore_file *base, int64_t offset, void *buf, size_t len, struct err *err) {
        struct local_file *f = (struct local_file *)base;
        for (;;) {
                ssize_t n = pread(f->fd, buf, len, offset);
                if (n >= 0)
                        return n;
                if (errno != EINTR)
                        return err_errno(err, -errno, "reading %s", f->path);
        }
}

static void local_close(struct logstore_file *base) {
        struct local_file *f = (struct local_file *)base;
        close(f->fd);
        free(f->path);
        free(f);
}

static int local_remove(struct logstore *s, const char *path, bool is_dir, struct err *err) {
        AUTO(free) char *full = local_path(s, path);
        if (is_dir)
                return fs_remove_tree(full, err);
        if (unlink(full) < 0 && errno != ENOENT)
                return err_errno(err, -errno, "removing %s", full);
        return 0;
}

static void local_free(struct logstore *s) {
        free(((struct local_store *)s)->root);
        free(s->url);
        free(s);
}

static const struct logstore_ops local_ops = {local_list, local_stat, local_open, local_read, local_close, local_remove, NULL, local_free};

static int open_local(const char *url, const char *path, struct logstore **ret, struct err *err) {
        struct stat st;
        if (stat(path, &st) < 0) {
                int code = errno;
                err_errno(err, -code, "log directory %s", path);
                if (code == ENOENT)
                        err_hint(err, "create it, or name the right one with --dir or spark.history.fs.logDirectory");
                return -code;
        }
        if (!S_ISDIR(st.st_mode))
                return err_set(err, -ENOTDIR, "log directory %s is not a directory", path);
        struct local_store *l = NEW(struct local_store);
        l->base = (struct logstore){&local_ops, xstrdup(url)};
        l->root = fs_absolute(path);
        *ret = &l->base;
        return 0;
}

int logstore_open(const char *url, const struct map *hadoop, struct logstore **ret, struct err *err) {
        if (str_starts(url, "s3a://") || str_starts(url, "s3://") || str_starts(url, "s3n://")) {
                *ret = logstore_s3_new(url, hadoop);
                return 0;
        }
        if (str_starts(url, "file:")) {
                const char *path = url + 5;
                while (path[0] == '/' && path[1] == '/')
                        path++;
                return open_local(url, path, ret, err);
        }
        const char *colon = strstr(url, "://");
        if (!colon)
                return open_local(url, url, ret, err);
        err_set(err, -ENOTSUP, "log directory %s: no access to \"%.*s\" storage", url, (int)(colon - url), url);
        err_hint(err, "accepted are a path, file:/path and s3a://bucket/prefix");
        return -ENOTSUP;
}
