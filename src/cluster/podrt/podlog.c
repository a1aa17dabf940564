/* Reading container logs for `kubectl logs`: from the CRI log file, following it by inotify. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/fs.h"
#include "cluster/podrt/crilog.h"
#include "cluster/podrt/kubelet-internal.h"

enum { CHUNK = 64 * 1024 };

struct pod_log {
        struct kubelet *kubelet;
        struct pod_log_events events;
        char *pod_uid, *container, *path;
        int attempt;
        int fd, inotify_fd;
        struct fdwatch *watch;
        struct timer *tick; /* the container's end is seen by it */
        struct str pending; /* the beginning of a line */
        bool follow, timestamps, want_stdout, want_stderr;
        bool at_line_start, paused, posted, in_read, ended, closed;
        int64_t since_us, left; /* left: -1 = no limit */
};

static int reject(struct err *err, const char *fmt, ...) PRINTF(2, 3);
static int reject(struct err *err, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(err, -EINVAL, 400, "BadRequest", "%s", text);
}

/* Which run's log is meant. */
static int choose_attempt(const struct container *c, bool previous, int *ret, struct err *err) {
        const struct pod *p = c->pod;
        if (previous) {
                if (!c->last.is_set)
                        return reject(err, "previous terminated container \"%s\" in pod \"%s\" not found", c->name, p->name);
                *ret = c->attempt - 1;
                return 0;
        }
        if (c->state != CONTAINER_WAITING) {
                *ret = c->attempt;
                return 0;
        }
        if (c->last.is_set) {
                *ret = c->attempt - 1;
                return 0;
        }
        const char *reason = c->waiting_reason ? c->waiting_reason : "ContainerCreating";
        static const char *const failing[] = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
                                              "CreateContainerConfigError"};
        for (size_t i = 0; i < ARRAY_LEN(failing); i++)
                if (streq(reason, failing[i]) && i < 2)
                        return reject(err, "container \"%s\" in pod \"%s\" is waiting to start: trying and failing to pull image", c->name,
                                      p->name);
        return reject(err, "container \"%s\" in pod \"%s\" is waiting to start: %s", c->name, p->name, reason);
}

/* Where the last n lines begin. */
static off_t tail_offset(int fd, int64_t lines) {
        off_t end = lseek(fd, 0, SEEK_END);
        char chunk[8192];
        if (lines <= 0)
                return end;
        int64_t found = 0;
        for (off_t at = end; at > 0;) {
                size_t n = at < (off_t)sizeof chunk ? (size_t)at : sizeof chunk;
                at -= (off_t)n;
                if (pread(fd, chunk, n, at) != (ssize_t)n)
                        return 0;
                for (size_t i = n; i-- > 0;)
                        /* The newline at the very end ends the last line. */
                        if (chunk[i] == '\n' && at + (off_t)i + 1 < end && ++found == lines)
                                return at + (off_t)i + 1;
        }
        return 0;
}

static bool is_still_running(const struct pod_log *l) {
        struct pod *p = map_get(&l->kubelet->pods, l->pod_uid);
        struct container *c = p ? pod_container(p, l->container) : NULL;
        return c && c->attempt == l->attempt && (c->state == CONTAINER_RUNNING || c->is_starting || c->watch);
}

static void emit(struct pod_log *l, struct sv text) {
        if (l->left >= 0 && (int64_t)text.len > l->left)
                text.len = (size_t)l->left;
        if (l->left >= 0)
                l->left -= (int64_t)text.len;
        if (text.len && !l->closed)
                l->events.on_data(l->events.arg, text);
}

static void emit_line(struct pod_log *l, struct sv raw, struct str *out) {
        struct crilog_line line;
        if (!crilog_parse(raw, &line) || line.time_us < l->since_us)
                return;
        if (!(line.stream == CRILOG_STDOUT ? l->want_stdout : l->want_stderr))
                return;
        if (l->timestamps && l->at_line_start) {
                str_append_sv(out, line.time_text);
                str_append_c(out, ' ');
        }
        str_append_sv(out, line.text);
        if (!line.is_partial)
                str_append_c(out, '\n');
        l->at_line_start = !line.is_partial;
}

static void take(struct pod_log *l, struct sv data) {
        AUTO(str) struct str out = STR_INIT(0);
        str_append_sv(&l->pending, data);
        struct sv rest = str_sv(&l->pending);
        size_t used = 0;
        for (ssize_t at; (at = sv_find_char(rest, '\n')) >= 0;) {
                emit_line(l, sv_new(rest.data, (size_t)at), &out);
                used += (size_t)at + 1;
                rest = sv_new(rest.data + at + 1, rest.len - (size_t)at - 1);
        }
        str_consume(&l->pending, used);
        emit(l, str_sv(&out));
}

/* The file was rotated when another one has its name. */
static bool is_rotated(const struct pod_log *l) {
        struct stat named, open_one;
        return stat(l->path, &named) == 0 && fstat(l->fd, &open_one) == 0 && named.st_ino != open_one.st_ino;
}

static bool reopen(struct pod_log *l) {
        int fd = open(l->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        close(l->fd);
        l->fd = fd;
        return true;
}

static void log_free(struct pod_log *l) {
        fdwatch_free(l->watch);
        timer_free(l->tick);
        if (l->fd >= 0)
                close(l->fd);
        if (l->inotify_fd >= 0)
                close(l->inotify_fd);
        str_done(&l->pending);
        free(l->pod_uid);
        free(l->container);
        free(l->path);
        free(l);
}

static void read_on(void *arg);
static void read_some(struct pod_log *l);

static void post(struct pod_log *l) {
        if (l->posted || l->paused || l->ended || l->closed)
                return;
        l->posted = true;
        loop_post(l->kubelet->o.loop, read_on, l);
}

static void end(struct pod_log *l) {
        l->ended = true;
        l->events.on_end(l->events.arg, NULL);
}

static void read_on(void *arg) {
        struct pod_log *l = arg;
        l->posted = false;
        if (l->closed) {
                log_free(l);
                return;
        }
        if (l->paused || l->ended)
                return;
        l->in_read = true;
        read_some(l);
        l->in_read = false;
        if (l->closed && !l->posted)
                log_free(l);
}

static void read_some(struct pod_log *l) {
        /* Asked before reading: what it wrote before its end is then surely seen. */
        bool running = is_still_running(l);
        char chunk[CHUNK];
        ssize_t n = read(l->fd, chunk, sizeof chunk);
        bool rotated = n == 0 && is_rotated(l);
        if (rotated) /* what was written between the read and the rotation */
                n = read(l->fd, chunk, sizeof chunk);
        if (n > 0) {
                take(l, sv_new(chunk, (size_t)n));
                if (l->left == 0 && !l->closed)
                        end(l);
                else
                        post(l);
                return;
        }
        if (rotated && reopen(l))
                post(l);
        else if (!l->follow || !running)
                end(l);
}

static void on_change(void *arg) {
        struct pod_log *l = arg;
        char events[4096];
        while (read(l->inotify_fd, events, sizeof events) > 0)
                ;
        post(l);
}

static void on_tick(void *arg) {
        struct pod_log *l = arg;
        if (!is_still_running(l))
                post(l);
}

static int follow(struct pod_log *l, struct err *err) {
        AUTO(free) char *dir = xstrndup(l->path, (size_t)(strrchr(l->path, '/') - l->path));
        l->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (l->inotify_fd < 0)
                return err_errno(err, -errno, "watching the log");
        if (inotify_add_watch(l->inotify_fd, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
                return err_errno(err, -errno, "watching %s", dir);
        l->watch = fdwatch_new(l->kubelet->o.loop, l->inotify_fd, on_change, l);
        l->tick = timer_new(l->kubelet->o.loop, 200, 200, on_tick, l);
        return 0;
}

static int log_open(void *self, struct object *pod, const struct pod_log_options *o, const struct pod_log_events *ev, struct pod_log **ret,
                    struct err *err) {
        struct kubelet *k = self;
        struct pod *p = kubelet_pod(k, pod);
        struct container *c = p && o->container ? pod_container(p, o->container) : NULL;
        int attempt = 0;
        if (!c)
                return reject(err, "container \"%s\" in pod \"%s\" is not available", o->container ? o->container : "", pod->name);
        int r = choose_attempt(c, o->previous, &attempt, err);
        if (r < 0)
                return r;
        struct pod_log *l = NEW(struct pod_log);
        bool all = !o->stream || streq(o->stream, "All");
        *l = (struct pod_log){.kubelet = k,
                              .events = *ev,
                              .pod_uid = xstrdup(p->uid),
                              .container = xstrdup(c->name),
                              .path = container_log(c, attempt),
                              .attempt = attempt,
                              .inotify_fd = -1,
                              .follow = o->follow,
                              .timestamps = o->timestamps,
                              .want_stdout = all || streq(o->stream, "Stdout"),
                              .want_stderr = all || streq(o->stream, "Stderr"),
                              .at_line_start = true,
                              .since_us = o->since_time_us,
                              .left = o->limit_bytes >= 0 ? o->limit_bytes : -1,
                              .pending = STR_INIT(0)};
        l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
        if (l->fd < 0) {
                r = err_http(err, -errno, 500, "InternalError", "failed to open log file \"%s\": %s", l->path, strerror(errno));
                log_free(l);
                return r;
        }
        if (o->tail_lines >= 0)
                lseek(l->fd, tail_offset(l->fd, o->tail_lines), SEEK_SET);
        if (l->follow && (r = follow(l, err)) < 0) {
                log_free(l);
                return r;
        }
        post(l);
        *ret = l;
        return 0;
}

static void log_pause(struct pod_log *l, bool paused) {
        l->paused = paused;
        post(l);
}

static void log_close(struct pod_log *l) {
        l->closed = true;
        if (!l->posted && !l->in_read) /* else the one under way frees it */
                log_free(l);
}

void podlog_fill(struct pod_backend *b) {
        b->log_open = log_open;
        b->log_pause = log_pause;
        b->log_close = log_close;
}
