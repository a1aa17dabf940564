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
        memo_done(&m->memo);
        free(m);
}

void history_model_rest(struct history_model *m) { madvise(m->map, m->map_size, MADV_DONTNEED); }

void history_fingerprint(struct logstore *s, const struct event_log *log, const struct eventlog_options *o, uint8_t ret[AM_FINGERPRINT]) {
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%s\n%s\n%d %d %lld %lld %lld %lld %lld\n", s->url, log->name, log->in_progress, o->as_35,
                    (long long)o->retained_tasks, (long long)o->retained_jobs, (long long)o->retained_stages,
                    (long long)o->retained_dead_executors, (long long)o->retained_executions);
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
        memo_init(&m->memo);
        memcpy(m->fingerprint, fingerprint, AM_FINGERPRINT);
        int r = appmodel_open(&m->m, map, m->map_size, fingerprint, err);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

/* ---- loading ---- */

static int open_temporary(const char *path, char **ret_name) {
        char suffix[9];
        rand_hex(suffix, 8);
        AUTO(free) char *name = xasprintf("%s.%s.tmp", path, suffix);
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                log_debug("%s: %s; the index stays in memory", name, strerror(errno));
        else
                *ret_name = TAKE(name);
        return fd;
}

int history_model_load(struct logstore *s, const struct event_log *log, const char *dir, const struct eventlog_options *options,
                       struct replays *kept, struct history_model **ret, struct err *err) {
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
        if (path)
                fd = open_temporary(path, &temporary);
        if (fd < 0)
                fd = memfd_create("history-index", MFD_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "making an index");
        struct replay_stats stats;
        AUTO(err) struct err why = ERR_INIT;
        int r = replay_log(s, log, options, fingerprint, dir, kept, fd, &stats, &why);
        if ((r == -ENOSPC || r == -EDQUOT) && temporary) {
                log_warn("%s; the index stays in memory", err_message(&why));
                err_clear(&why);
                unlink(temporary);
                free(TAKE(temporary));
                close(TAKE_FD(fd));
                fd = memfd_create("history-index", MFD_CLOEXEC);
                r = fd < 0 ? err_errno(&why, -errno, "making an index")
                           : replay_log(s, log, options, fingerprint, NULL, NULL, fd, &stats, &why);
        }
        if (r < 0)
                err_move(err, &why);
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
        (*ret)->stats = stats;
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
                struct old_index o = {xasprintf("%s/%s", dir, item->d_name), st.st_size,
                                      st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec};
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
