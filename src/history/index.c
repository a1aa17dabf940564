#include "history/index.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/rand.h"
#include "codec/sha256.h"

struct history_model *history_model_ref(struct history_model *m) {
        __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
        return m;
}

void history_model_unref(struct history_model *m) {
        if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        if (m->map)
                munmap(m->map, m->map_size);
        free(m);
}

void history_fingerprint(struct logstore *s, const struct event_log *log, const struct eventlog_options *o, uint8_t ret[AM_FINGERPRINT]) {
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%s\n%s\n%d %lld %lld %lld %lld %lld\n", s->url, log->name, log->in_progress, (long long)o->retained_tasks,
                    (long long)o->retained_jobs, (long long)o->retained_stages, (long long)o->retained_dead_executors, (long long)o->retained_executions);
        vec_foreach(f, &log->files)
                str_appendf(&text, "%s %lld %lld %s\n", f->path, (long long)f->size, (long long)f->mtime_ns, f->etag ? f->etag : "");
        sha256(str_sv(&text), ret);
}

static char *short_hash(const char *text) {
        uint8_t sum[SHA256_SIZE];
        sha256(sv_of(text), sum);
        return xasprintf("%02x%02x%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
}

char *history_listing_path(const char *dir, const char *store_urls) {
        AUTO(free) char *hash = short_hash(store_urls);
        return xasprintf("%s/%s.listing", dir, hash);
}

char *history_index_path(const char *dir, struct logstore *s, const char *log_name) {
        AUTO(free) char *full = xasprintf("%s\n%s", s->url, log_name), *hash = short_hash(full);
        AUTO(free) char *name = xstrndup(log_name, strlen(log_name) < 100 ? strlen(log_name) : 100);
        for (char *p = name; *p; p++)
                if (*p == '/')
                        *p = '_';
        return xasprintf("%s/%s-%s.index", dir, name, hash);
}

/* ---- opening ---- */

static int map_image(int fd, const uint8_t fingerprint[AM_FINGERPRINT], struct history_model **ret, struct err *err) {
        struct stat st;
        if (fstat(fd, &st) < 0)
                return err_errno(err, -errno, "index");
        if (st.st_size == 0)
                return err_set(err, -EBADMSG, "the index is empty");
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return err_errno(err, -errno, "mapping the index");
        AUTO(history_model) struct history_model *m = NEW(struct history_model);
        *m = (struct history_model){.map = map, .map_size = (size_t)st.st_size, .refs = 1};
        memcpy(m->fingerprint, fingerprint, AM_FINGERPRINT);
        int r = appmodel_open(&m->m, map, m->map_size, fingerprint, err);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

/* ---- building ---- */

struct image_file {
        int fd;
        uint64_t offset;
        struct str pending; /* small pieces are gathered */
};

static int flush(struct image_file *f, struct err *err) {
        if (!f->pending.len)
                return 0;
        int r = fs_write_all(f->fd, f->pending.data, f->pending.len);
        str_clear(&f->pending);
        return r < 0 ? err_errno(err, r, "writing the index") : 0;
}

static int append(void *arg, const void *data, size_t len, struct err *err) {
        struct image_file *f = arg;
        if (len < 64 * 1024) {
                str_append(&f->pending, data, len);
                return f->pending.len < 256 * 1024 ? 0 : flush(f, err);
        }
        int r = flush(f, err);
        if (r < 0)
                return r;
        r = fs_write_all(f->fd, data, len);
        return r < 0 ? err_errno(err, r, "writing the index") : 0;
}

static int header(void *arg, const void *data, size_t len, struct err *err) {
        struct image_file *f = arg;
        int r = flush(f, err);
        if (r < 0)
                return r;
        ssize_t n = pwrite(f->fd, data, len, 0);
        if (n < 0)
                return err_errno(err, -errno, "writing the index");
        return (size_t)n == len ? 0 : err_set(err, -EIO, "writing the index: short write");
}

/* One file's text into the reducer: 1 to go on, 0 when the replay has ended early. */
static int replay_file(struct logstore *s, const struct log_file *file, struct eventlog *e, struct err *err) {
        AUTO(log_text) struct log_text *t = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r = log_text_open(s, file, 0, &t, &why);
        struct sv piece;
        while (r >= 0 && (r = log_text_next(t, &piece, &why)) > 0) {
                int go_on = eventlog_feed(e, piece, NULL);
                if (go_on <= 0)
                        break;
        }
        if (r < 0 && r != -EBADMSG)
                return err_move(err, &why);
        AUTO(free) char *damage = r < 0 ? xasprintf("%s: %s", file->path, err_message(&why)) : NULL;
        bool cut = t && log_text_truncated(t), block = file->codec == COMPRESS_LZF || file->codec == COMPRESS_SNAPPY;
        return eventlog_end_file(e, !cut ? EVENTLOG_WHOLE : block ? EVENTLOG_CUT_BLOCK : EVENTLOG_TRUNCATED, damage, err);
}

static int build(struct logstore *s, const struct event_log *log, int fd, const struct eventlog_options *options,
                 const uint8_t fingerprint[AM_FINGERPRINT], struct err *err) {
        struct image_file image = {.fd = fd, .pending = STR_INIT(0)};
        struct am_sink sink = {append, header, &image};
        struct eventlog_options o = *options;
        o.in_progress = log->in_progress;
        AUTO(eventlog) struct eventlog *e = eventlog_new(&sink, &o);
        int r = 1;
        for (size_t i = 0; r > 0 && i < log->files.len; i++)
                r = replay_file(s, &log->files.items[i], e, err);
        if (r >= 0)
                r = eventlog_finish(e, fingerprint, err);
        str_done(&image.pending);
        return r < 0 ? err_wrap(err, r, "%s", log->name) : 0;
}

int history_model_load(struct logstore *s, const struct event_log *log, const char *dir, const struct eventlog_options *options,
                       struct history_model **ret, struct err *err) {
        uint8_t fingerprint[AM_FINGERPRINT];
        history_fingerprint(s, log, options, fingerprint);
        AUTO(free) char *path = dir ? history_index_path(dir, s, log->name) : NULL;
        AUTO(free) char *temporary = NULL;
        AUTO(fd) int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0) {
                AUTO(err) struct err why = ERR_INIT;
                if (map_image(fd, fingerprint, ret, &why) == 0) {
                        futimens(fd, NULL); /* used now: trimming goes by this */
                        return 0;
                }
                log_debug("%s: %s", path, err_message(&why));
                close(TAKE_FD(fd));
        }
        int64_t start_us = clock_mono_us();
        if (path) {
                char suffix[9];
                rand_hex(suffix, 8);
                temporary = xasprintf("%s.%s.tmp", path, suffix);
                fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0) {
                        log_debug("%s: %s; the index stays in memory", temporary, strerror(errno));
                        free(TAKE(temporary));
                }
        }
        if (fd < 0)
                fd = memfd_create("history-index", MFD_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "making an index");
        int r = build(s, log, fd, options, fingerprint, err);
        if (r == 0 && temporary && rename(temporary, path) < 0)
                log_debug("renaming %s: %s", temporary, strerror(errno));
        if (r == 0)
                r = map_image(fd, fingerprint, ret, err);
        if (r < 0) {
                if (temporary)
                        unlink(temporary);
                return r;
        }
        (*ret)->was_built = true;
        (*ret)->build_s = (double)(clock_mono_us() - start_us) / 1e6;
        return 0;
}

/* ---- trimming ---- */

struct old_index {
        char *path;
        int64_t size, used_ns;
};

static int longest_unused(const void *a, const void *b) {
        const struct old_index *x = a, *y = b;
        return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

void history_index_trim(const char *dir, int64_t max_bytes) {
        DIR *d = opendir(dir);
        if (!d)
                return;
        VEC(struct old_index) all = {0};
        int64_t total = 0;
        struct dirent *item;
        while ((item = readdir(d))) {
                struct stat st;
                bool leftover = str_ends(item->d_name, ".tmp");
                if ((!leftover && !str_ends(item->d_name, ".index")) || fstatat(dirfd(d), item->d_name, &st, 0) < 0)
                        continue;
                if (leftover) { /* of a process that was killed, unless it is young */
                        if (clock_now_ms() - st.st_mtim.tv_sec * 1000 > 24 * 3600 * 1000)
                                unlinkat(dirfd(d), item->d_name, 0);
                        continue;
                }
                struct old_index o = {xasprintf("%s/%s", dir, item->d_name), st.st_size, st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec};
                *vec_push(&all) = o;
                total += o.size;
        }
        closedir(d);
        if (all.len > 1)
                qsort(all.items, all.len, sizeof(*all.items), longest_unused);
        vec_foreach(o, &all) {
                if (total > max_bytes && unlink(o->path) == 0)
                        total -= o->size;
                free(o->path);
        }
        vec_done(&all);
}
