#include "history/replay.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "history/pipeline.h"

/* ---- the image file ---- */

struct image_file {
        int fd;
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

/* What was written so far, at the beginning of another file. */
static int copy_rows(struct image_file *f, int to, struct err *err) {
        enum { PIECE = 1 << 20 };
        AUTO(free) char *buffer = xmalloc(PIECE);
        int r = flush(f, err);
        if (r < 0)
                return r;
        off_t at = 0;
        for (;;) {
                ssize_t n = pread(f->fd, buffer, PIECE, at);
                if (n < 0)
                        return err_errno(err, -errno, "reading the rows of a kept replay");
                if (n == 0)
                        return 0;
                r = fs_write_all(to, buffer, (size_t)n);
                if (r < 0)
                        return err_errno(err, r, "writing the index");
                at += n;
        }
}

/* ---- a replay ---- */

/* A file of the log as far as it was read. */
struct part {
        char *path, *etag;
        uint64_t inode;
        int64_t size, mtime_ns; /* as they were then */
};

struct replay {
        struct logstore *store;
        char *log;
        struct eventlog *e;
        struct image_file image;
        struct log_text *text;     /* of the last part */
        enum compress_codec codec; /* its */
        VEC(struct part) parts;
        bool ended;    /* nothing after this counts: damage, or a malformed line */
        char *damage;  /* why the last part could not be read to its end */
        uint64_t bytes;
        int64_t used_ms;
};

static void replay_free(struct replay *r) {
        if (!r)
                return;
        eventlog_free(r->e);
        log_text_free(r->text);
        if (r->image.fd >= 0)
                close(r->image.fd);
        str_done(&r->image.pending);
        vec_foreach(p, &r->parts) {
                free(p->path);
                free(p->etag);
        }
        vec_done(&r->parts);
        free(r->damage);
        free(r->log);
        free(r);
}
DEFINE_AUTO_PTR(replay, struct replay, replay_free)

/* Takes fd. */
static struct replay *replay_new(struct logstore *s, const struct event_log *log, const struct eventlog_options *options, int fd) {
        struct replay *r = NEW(struct replay);
        struct am_sink sink = {append, header, &r->image};
        struct eventlog_options o = *options;
        o.in_progress = log->in_progress;
        r->store = s;
        r->log = xstrdup(log->name);
        r->image = (struct image_file){.fd = fd, .pending = STR_INIT(0)};
        r->e = eventlog_new(&sink, &o);
        return r;
}

/* The last part has come to its end. */
static int end_part(struct replay *r, struct err *err) {
        bool cut = r->text && log_text_truncated(r->text), block = r->codec == COMPRESS_LZF || r->codec == COMPRESS_SNAPPY;
        int code = eventlog_end_file(r->e, !cut ? EVENTLOG_WHOLE : block ? EVENTLOG_CUT_BLOCK : EVENTLOG_TRUNCATED, r->damage, err);
        log_text_free(TAKE(r->text));
        r->ended = r->ended || code == 0;
        return code < 0 ? code : 0;
}

/* Feeds what there is of the last part. Damage is no failure: it ends the replay. */
static int read_part(struct replay *r, struct err *err) {
        struct part *p = &r->parts.items[r->parts.len - 1];
        AUTO(err) struct err why = ERR_INIT;
        unsigned helpers = pipeline_reserve(p->size - log_text_offset(r->text));
        int code = pipeline_feed(r->text, r->e, helpers, &r->bytes, &why);
        pipeline_release(helpers);
        if (code < 0 && code != -EBADMSG)
                return err_move(err, &why);
        r->ended = r->ended || code <= 0;
        if (code < 0) {
                r->damage = xasprintf("%s: %s", p->path, err_message(&why));
        }
        return 0;
}

static void remember(struct part *p, const struct log_file *f) {
        free(p->path);
        free(p->etag);
        *p = (struct part){xstrdup(f->path), xstrdup_null(f->etag), f->inode, f->size, f->mtime_ns};
}

static int open_part(struct replay *r, const struct log_file *f, struct err *err) {
        struct log_text *text;
        AUTO(err) struct err why = ERR_INIT;
        int code = log_text_open(r->store, f, 0, &text, &why);
        if (code < 0)
                return err_move(err, &why);
        r->text = text;
        r->codec = f->codec;
        remember(vec_push(&r->parts), f);
        return 0;
}

/* Reads what the log has more than before. */
static int advance(struct replay *r, const struct event_log *log, struct err *err) {
        int code = 0;
        size_t have = r->parts.len;
        if (have) {
                const struct log_file *f = &log->files.items[have - 1];
                if (f->size > log_text_offset(r->text))
                        code = log_text_resume(r->text, f->size) ? read_part(r, err)
                                                                 : err_set(err, -ESTALE, "%s cannot be read on", f->path);
                if (code >= 0)
                        remember(&r->parts.items[have - 1], f);
        }
        for (size_t i = have; code >= 0 && !r->ended && i < log->files.len; i++) {
                if (i)
                        code = end_part(r, err);
                if (code >= 0 && !r->ended)
                        code = open_part(r, &log->files.items[i], err);
                if (code >= 0 && !r->ended)
                        code = read_part(r, err);
        }
        return code < 0 ? code : 0;
}

/* Ends the reducer and writes the image. */
static int finish(struct replay *r, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err) {
        int code = end_part(r, err);
        return code < 0 ? code : eventlog_finish(r->e, fingerprint, err);
}

/* Is the log the one that was read, perhaps with more behind? */
static bool fits(const struct replay *r, const struct event_log *log) {
        if (r->parts.len == 0 || r->parts.len > log->files.len || r->ended || (!log->in_progress && !eventlog_is_whole(r->e)))
                return false;
        for (size_t i = 0; i < r->parts.len; i++) {
                const struct part *p = &r->parts.items[i];
                const struct log_file *f = &log->files.items[i];
                bool is_last = i + 1 == r->parts.len,
                     unchanged = p->size == f->size && p->mtime_ns == f->mtime_ns && streq_null(p->etag, f->etag);
                bool same_file = p->inode ? p->inode == f->inode : streq(p->path, f->path);
                bool grown = is_last && p->inode && f->size >= p->size && f->size >= log_text_offset(r->text);
                if (!same_file || !(unchanged || grown))
                        return false;
        }
        return true;
}

/* ---- kept ones ---- */

void replays_init(struct replays *k) {
        *k = (struct replays){.min_log = REPLAYS_MIN_LOG};
        pthread_mutex_init(&k->lock, NULL);
}

void replays_done(struct replays *k) {
        vec_foreach(r, &k->list) replay_free(*r);
        vec_done(&k->list);
        pthread_mutex_destroy(&k->lock);
}

static size_t least_used(const struct replays *k) {
        size_t at = 0;
        for (size_t i = 1; i < k->list.len; i++)
                if (k->list.items[i]->used_ms < k->list.items[at]->used_ms)
                        at = i;
        return at;
}

void replays_trim(struct replays *k, int64_t now_ms) {
        pthread_mutex_lock(&k->lock);
        size_t bytes = 0;
        vec_foreach(r, &k->list) bytes += eventlog_memory((*r)->e);
        while (k->list.len) {
                size_t at = least_used(k);
                struct replay *r = k->list.items[at];
                if (k->list.len <= REPLAYS_MAX && bytes <= REPLAYS_MAX_BYTES && now_ms - r->used_ms < REPLAYS_MAX_IDLE_MS)
                        break;
                bytes -= eventlog_memory(r->e);
                vec_remove(&k->list, at);
                replay_free(r);
        }
        pthread_mutex_unlock(&k->lock);
}

/* A single file loses ".inprogress" when it is finished. */
static bool same_name(const char *kept, const char *log) {
        size_t n = strlen(log);
        return strncmp(kept, log, n) == 0 && (!kept[n] || streq(kept + n, ".inprogress"));
}

static struct replay *take_kept(struct replays *k, struct logstore *s, const struct event_log *log) {
        struct replay *found = NULL;
        pthread_mutex_lock(&k->lock);
        for (size_t i = 0; !found && i < k->list.len; i++) {
                if (k->list.items[i]->store == s && same_name(k->list.items[i]->log, log->name)) {
                        found = k->list.items[i];
                        vec_remove(&k->list, i);
                }
        }
        pthread_mutex_unlock(&k->lock);
        if (found && !fits(found, log)) {
                replay_free(found);
                return NULL;
        }
        return found;
}

static void keep(struct replays *k, struct replay *r) {
        r->used_ms = clock_now_ms();
        pthread_mutex_lock(&k->lock);
        *vec_push(&k->list) = r;
        pthread_mutex_unlock(&k->lock);
        replays_trim(k, r->used_ms);
}

static int rows_file(const char *dir) {
        int fd = dir ? open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) : -1;
        return fd < 0 ? memfd_create("history-rows", MFD_CLOEXEC) : fd;
}

/* Connections of the server must not stay open for as long as a child has them, too. */
static void close_all_but(int a, int b) {
        unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
        close_range(3, low - 1, 0);
        if (high > low + 1)
                close_range(low + 1, high - 1, 0);
        close_range(high + 1, UINT_MAX, 0);
}

/* In the child: says "+" or what went wrong. The parent's signals are not for it: their handlers would tell the parent once more. */
static void snapshot_child(struct replay *r, const uint8_t fingerprint[AM_FINGERPRINT], int to, int answer, const sigset_t *mask) {
        AUTO(err) struct err err = ERR_INIT;
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        close_all_but(to, answer);
        r->image.fd = to;
        const char *text = finish(r, fingerprint, &err) < 0 ? err_message(&err) : "+";
        _exit(fs_write_all(answer, text, strlen(text)) < 0);
}

/* The image of a replay that goes on. */
static int snapshot(struct replay *r, const uint8_t fingerprint[AM_FINGERPRINT], int to, struct err *err) {
        int fds[2];
        int code = copy_rows(&r->image, to, err);
        if (code < 0)
                return code;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "pipe");
        AUTO(fd) int answer = fds[0], write_end = fds[1];
        sigset_t all, mask;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &mask);
        pid_t pid = fork();
        int why = errno;
        if (pid == 0)
                snapshot_child(r, fingerprint, to, write_end, &mask);
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
        if (pid < 0)
                return err_errno(err, -why, "fork");
        close(TAKE_FD(write_end));
        char text[512];
        size_t len = 0;
        ssize_t n;
        while (len < sizeof(text) - 1 && ((n = read(answer, text + len, sizeof(text) - 1 - len)) > 0 || (n < 0 && errno == EINTR)))
                len += n > 0 ? (size_t)n : 0;
        text[len] = 0;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return streq(text, "+") ? 0 : err_set(err, -EIO, "%s", len ? text : "the child that writes the index has died");
}

/* Reads the log on and writes the image; 1 when the replay may be kept for later. */
static int go_on(struct replay *r, const struct event_log *log, const uint8_t fingerprint[AM_FINGERPRINT], int fd, struct err *err) {
        int code = advance(r, log, err);
        if (code < 0)
                return code;
        if (log->in_progress && !r->ended) {
                code = snapshot(r, fingerprint, fd, err);
                return code < 0 ? code : 1;
        }
        code = copy_rows(&r->image, fd, err);
        if (code < 0)
                return code;
        close(r->image.fd);
        r->image.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (r->image.fd < 0)
                return err_errno(err, -errno, "index");
        eventlog_set_in_progress(r->e, log->in_progress);
        return finish(r, fingerprint, err);
}

static int restart(int fd, struct err *err) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return err_errno(err, -errno, "index");
        return 0;
}

/* From the beginning; as go_on(). */
static int start_anew(struct logstore *s, const struct event_log *log, const struct eventlog_options *options,
                      const uint8_t fingerprint[AM_FINGERPRINT], const char *tmp_dir, bool keeping, int fd, struct replay **ret,
                      struct err *err) {
        int own = keeping ? rows_file(tmp_dir) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own < 0)
                return err_errno(err, -errno, "index");
        AUTO(replay) struct replay *r = replay_new(s, log, options, own);
        int code = restart(fd, err);
        if (code >= 0 && keeping)
                code = go_on(r, log, fingerprint, fd, err);
        else if (code >= 0)
                code = advance(r, log, err);
        if (code >= 0 && !keeping)
                code = finish(r, fingerprint, err);
        if (code >= 0)
                *ret = TAKE(r);
        return code;
}

int replay_log(struct logstore *s, const struct event_log *log, const struct eventlog_options *options,
               const uint8_t fingerprint[AM_FINGERPRINT], const char *tmp_dir, struct replays *kept, int fd, struct replay_stats *stats,
               struct err *err) {
        AUTO(replay) struct replay *r = kept ? take_kept(kept, s, log) : NULL;
        AUTO(err) struct err why = ERR_INIT;
        bool keeping = kept && log->in_progress && log->total_size >= kept->min_log;
        uint64_t before = r ? r->bytes : 0;
        int code = r ? go_on(r, log, fingerprint, fd, &why) : 0;
        *stats = (struct replay_stats){.continued = r && code >= 0};
        if (!r || code < 0) {
                if (code < 0)
                        log_debug("%s is read again from its beginning: %s", log->name, err_message(&why));
                err_clear(&why);
                before = 0;
                replay_free(TAKE(r));
                code = keeping ? start_anew(s, log, options, fingerprint, tmp_dir, true, fd, &r, &why) : -ENOTSUP;
        }
        if (!r) { /* the plain way, also where no process can be forked or no file made for rows */
                if (keeping)
                        log_debug("%s is read without keeping its replay: %s", log->name, err_message(&why));
                code = start_anew(s, log, options, fingerprint, tmp_dir, false, fd, &r, err);
        }
        if (code < 0)
                return err_wrap(err, code, "%s", log->name);
        stats->log_bytes = r->bytes - before;
        if (code > 0)
                keep(kept, TAKE(r));
        return 0;
}
