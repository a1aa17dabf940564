/* Files: every operation is one job of a worker. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/rand.h"
#include "objstore/objstore-internal.h"

enum {
        MAX_WALKED = 1000 * 1000, /* entries of one listing */
        COPY_PIECE = 1024 * 1024,
        MAX_DEPTH = 100,
};

struct file_op {
        struct objstore_op op;
        char *path;
        char *prefix; /* how the entries' URLs begin: "file://" or nothing, as the caller wrote it */
        /* what is asked */
        bool is_recursive;
        size_t max;
        char *token;
        int64_t offset;
        size_t length;
        char *if_etag;
        struct str data;
        char *source;
        int64_t copied;
        /* what came out */
        struct op_result result;
        struct err err;
};

static char *make_etag(const struct stat *st) {
        return xasprintf("%llx-%llx-%llx%09lx", (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
                         (unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec);
}

static void fill_entry(const struct file_op *f, const char *path, const struct stat *st, struct objstore_entry *e) {
        e->is_prefix = S_ISDIR(st->st_mode);
        e->url = xasprintf("%s%s%s", f->prefix, path, e->is_prefix && !str_ends(path, "/") ? "/" : "");
        e->size = e->is_prefix ? 0 : st->st_size;
        e->mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
        e->etag = e->is_prefix ? NULL : make_etag(st);
}

/* ---- listing ---- */

struct walk {
        struct file_op *f;
        struct strv names; /* paths; those of directories end with a slash */
};

static int walk_directory(struct walk *w, const char *dir, const char *name_prefix, int depth, struct err *err) {
        DIR *d = opendir(dir);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, -errno, "%s", dir);
        int r = 0;
        struct dirent *e;
        while (r == 0 && (e = readdir(d))) {
                struct stat st;
                if (streq(e->d_name, ".") || streq(e->d_name, "..") || !str_starts(e->d_name, name_prefix))
                        continue;
                if (fstatat(dirfd(d), e->d_name, &st, 0) < 0)
                        continue; /* removed in the meantime, or a link to nowhere */
                AUTO(free) char *path = xasprintf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", e->d_name);
                if (w->names.len >= MAX_WALKED)
                        r = err_set(err, -E2BIG, "%s: more than %d files", dir, MAX_WALKED);
                else if (!S_ISDIR(st.st_mode))
                        strv_add(&w->names, path);
                else if (!w->f->is_recursive)
                        strv_addf(&w->names, "%s/", path);
                else if (depth < MAX_DEPTH)
                        r = walk_directory(w, path, "", depth + 1, err);
                else
                        r = err_set(err, -ELOOP, "%s: directories are nested too deeply", path);
        }
        closedir(d);
        return r;
}

static int do_list(struct file_op *f, struct err *err) {
        const char *slash = strrchr(f->path, '/');
        AUTO(free) char *dir = xstrndup(f->path, (size_t)(slash - f->path) + 1);
        struct walk w = {.f = f};
        int r = walk_directory(&w, dir, slash + 1, 0, err);
        if (r == 0 && w.names.len)
                strv_sort(&w.names);
        const char *last = NULL;
        for (size_t i = 0; r == 0 && i < w.names.len; i++) {
                struct stat st;
                if (f->token && strcmp(w.names.items[i], f->token) <= 0)
                        continue;
                if (f->result.page.entries.len >= f->max) {
                        f->result.page.next = xstrdup(last);
                        break;
                }
                last = w.names.items[i];
                if (stat(last, &st) == 0)
                        fill_entry(f, last, &st, vec_push(&f->result.page.entries));
        }
        strv_done(&w.names);
        return r;
}

/* ---- the others ---- */

static int do_stat(struct file_op *f, struct err *err) {
        struct stat st;
        if (stat(f->path, &st) < 0)
                return err_errno(err, -errno, "%s", f->path);
        fill_entry(f, f->path, &st, &f->result.entry);
        return 0;
}

static int do_read(struct file_op *f, struct err *err) {
        struct stat st;
        AUTO(fd) int fd = open(f->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, -errno, "%s", f->path);
        if (S_ISDIR(st.st_mode))
                return err_errno(err, -EISDIR, "%s", f->path);
        AUTO(free) char *etag = make_etag(&st);
        if (f->if_etag && !streq(etag, f->if_etag))
                return err_set(err, -ESTALE, "%s has changed", f->path);
        int64_t left = st.st_size > f->offset ? st.st_size - f->offset : 0;
        size_t want = (uint64_t)left < f->length ? (size_t)left : f->length;
        if (!str_reserve(&f->result.data, want))
                return err_set(err, -ENOMEM, "%s", f->path);
        while (f->result.data.len < want) {
                ssize_t n = pread(fd, f->result.data.data + f->result.data.len, want - f->result.data.len,
                                  f->offset + (off_t)f->result.data.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "%s", f->path);
                if (n == 0)
                        break;
                f->result.data.len += (size_t)n;
        }
        if (want)
                f->result.data.data[f->result.data.len] = '\0';
        return 0;
}

static int make_parent(const char *path, struct err *err) {
        const char *slash = strrchr(path, '/');
        AUTO(free) char *dir = xstrndup(path, (size_t)(slash - path));
        return *dir ? fs_mkdirs(dir, 0777, err) : 0;
}

static int do_put(struct file_op *f, struct err *err) {
        int r = make_parent(f->path, err);
        return r < 0 ? r : fs_write_atomic(f->path, str_sv(&f->data), 0666, err);
}

static int copy_bytes(struct file_op *f, int from, int to, struct err *err) {
        AUTO(free) char *piece = xmalloc(COPY_PIECE);
        for (;;) {
                ssize_t n = read(from, piece, COPY_PIECE);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "%s", f->source);
                if (n == 0)
                        return 0;
                int r = fs_write_all(to, piece, (size_t)n);
                if (r < 0)
                        return err_errno(err, r, "%s", f->path);
                f->copied += n;
        }
}

static int do_upload(struct file_op *f, struct err *err) {
        struct stat st;
        AUTO(fd) int from = open(f->source, O_RDONLY | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
                return err_errno(err, -errno, "%s", f->source);
        if (!S_ISREG(st.st_mode))
                return err_set(err, -EINVAL, "%s is not a file", f->source);
        int r = make_parent(f->path, err);
        if (r < 0)
                return r;
        char suffix[9];
        rand_hex(suffix, 8);
        AUTO(free) char *temporary = xasprintf("%s.%s.tmp", f->path, suffix);
        AUTO(fd) int to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (to < 0)
                return err_errno(err, -errno, "%s", temporary);
        r = copy_bytes(f, from, to, err);
        if (r == 0 && (fsync(to) < 0 || rename(temporary, f->path) < 0))
                r = err_errno(err, -errno, "%s", f->path);
        if (r < 0)
                unlink(temporary);
        return r;
}

static int do_delete(struct file_op *f, struct err *err) {
        if (remove(f->path) < 0 && errno != ENOENT)
                return err_errno(err, -errno, "%s", f->path);
        return 0;
}

static int (*const work_of[])(struct file_op *f, struct err *err) = {
        [OP_LIST] = do_list, [OP_STAT] = do_stat, [OP_READ] = do_read, [OP_PUT] = do_put, [OP_UPLOAD] = do_upload, [OP_DELETE] = do_delete,
};

static void work(void *arg) {
        struct file_op *f = arg;
        if (work_of[f->op.kind](f, &f->err) < 0 && !f->err.code)
                f->err.code = -EIO;
}

static void worked(void *arg) {
        struct file_op *f = arg;
        if (!f->err.code && f->op.store && f->op.progress)
                f->op.progress(f->op.arg, f->copied, f->copied);
        op_answer(&f->op, &f->result, f->err.code ? &f->err : NULL);
        op_result_done(&f->result);
        err_done(&f->err);
        free(f->path);
        free(f->prefix);
        free(f->token);
        free(f->if_etag);
        free(f->source);
        str_done(&f->data);
        free(f);
}

static void file_cancel(struct objstore_op *op) { /* the worker goes on; worked() frees */ }

/* file:/x, file:///x, file://localhost/x and /x. */
static const char *path_of(const char *url) {
        if (!str_starts(url, "file:"))
                return url;
        url += 5;
        if (!str_starts(url, "//"))
                return url;
        const char *path = strchr(url + 2, '/');
        bool is_local = path && (path == url + 2 || (size_t)(path - url - 2) == strlen("localhost"));
        return is_local ? path : NULL;
}

struct objstore_op *file_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q) {
        const char *path = path_of(q->url);
        if (!path) {
                AUTO(err) struct err err = ERR_INIT;
                err_set(&err, -EINVAL, "%s: a file: URL names no host; write file:///path", q->url);
                return failing_start(s, head, &err);
        }
        struct file_op *f = NEW(struct file_op);
        f->op = *head;
        f->op.cancel = file_cancel;
        f->path = xstrdup(path);
        f->prefix = xstrdup(path == q->url ? "" : "file://");
        if (q->list) {
                f->is_recursive = q->list->is_recursive;
                f->max = q->list->max && q->list->max < OBJSTORE_MAX_PAGE ? q->list->max : OBJSTORE_MAX_PAGE;
                f->token = xstrdup_null(q->list->token);
        }
        f->offset = q->offset;
        f->length = q->length;
        f->if_etag = xstrdup_null(q->if_etag);
        f->source = xstrdup_null(q->path);
        str_append_sv(&f->data, q->data);
        op_link(s, &f->op);
        loop_work(s->loop, work, worked, f);
        return &f->op;
}
