#include "cluster/historian.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/hostport.h"

enum {
        FIRST_PORT = 18080, /* Spark's own */
        PORTS_TRIED = 100,
        END_MS = 2000,
        STEADY_MS = 5000, /* one that lived so long did not fail at its start */
        PAUSE_MAX_MS = 30000,
        LOG_MAX_BYTES = 1024 * 1024,
};

struct historian {
        const struct instance *instance;
        struct loop *loop;
        char *events;
        int listen_fd, port;
        struct fdwatch *on_visit; /* while no process runs */
        struct fdwatch *on_end;   /* while one does */
        struct timer *pause;      /* after one that failed at once */
        struct procid proc;
        int proc_fd;
        int64_t started_ms;
        int failures;
};

static char *record_path(const struct instance *i) { return instance_path(i, "history.json"); }

char *historian_events(const struct instance *i, const struct instance_settings *s) {
        return s->event_logs ? xstrdup(s->event_logs) : instance_path(i, "events");
}

int historian_port(const struct historian *h) { return h->port; }

/* ---- the process, by its record ---- */

int historian_find(const struct instance *i, struct procid *ret, struct err *err) {
        AUTO(free) char *path = record_path(i);
        AUTO(str) struct str text = STR_INIT(4096);
        AUTO(json) yyjson_doc *doc = NULL;
        if (fs_read(path, 4096, &text, NULL) < 0 || json_parse(str_sv(&text), &doc, NULL) < 0)
                return err_set(err, -ESRCH, "no History Server is recorded in %s", i->dir);
        yyjson_val *root = yyjson_doc_get_root(doc);
        struct procid p = {.pid = (pid_t)json_get_int(root, "pid", 0), .start_ticks = (uint64_t)json_get_int(root, "startTicks", 0)};
        if (!procid_is_alive(&p))
                return err_set(err, -ESRCH, "the History Server recorded in %s has ended", path);
        *ret = p;
        return 0;
}

static void end_process(const struct procid *p) {
        int fd;
        if (procid_open(p, &fd, NULL) < 0)
                return;
        struct pollfd ended = {.fd = fd, .events = POLLIN};
        syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
        if (poll(&ended, 1, END_MS) == 0) {
                syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
                poll(&ended, 1, END_MS);
        }
        close(fd);
}

int historian_end(const struct instance *i) {
        AUTO(free) char *path = record_path(i);
        struct procid p;
        int there = historian_find(i, &p, NULL) >= 0;
        if (there)
                end_process(&p);
        unlink(path);
        return there;
}

/* ---- starting it ---- */

static int spawn(struct historian *h, struct err *err) {
        AUTO(free) char *index = instance_path(h->instance, "history");
        AUTO(free) char *dir = xasprintf("--dir=%s", h->events);
        AUTO(free) char *store = xasprintf("--conf=spark.history.store.path=%s", index);
        AUTO(free) char *record = record_path(h->instance);
        /* By its own path, so that ps and top show its name; a program that was replaced meanwhile is still there by the other. */
        char program[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
        program[n > 0 ? n : 0] = 0;
        const char *const argv[] = {"firesteel", "history", "--listen-fd=3", dir, store, "--properties-file=/dev/null",
                                    "--conf=spark.history.fs.update.interval=2s", "--conf=spark.ssl.historyServer.enabled=false", NULL};
        AUTO(fd) int log_fd = instance_open_log(h->instance, "history.log", LOG_MAX_BYTES, err);
        if (log_fd < 0)
                return log_fd;
        pid_t pid;
        int r = reexec_spawn(access(program, X_OK) == 0 ? program : "/proc/self/exe", argv, &h->listen_fd, 1, log_fd, &pid, err);
        if (r < 0)
                return r;
        r = procid_of(pid, &h->proc, err);
        if (r >= 0)
                r = procid_open(&h->proc, &h->proc_fd, err);
        if (r < 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return r;
        }
        AUTO(free) char *text = xasprintf("{\"pid\":%d,\"startTicks\":%llu}\n", (int)h->proc.pid, (unsigned long long)h->proc.start_ticks);
        AUTO(err) struct err why = ERR_INIT;
        if (fs_write_atomic(record, sv_of(text), 0600, &why) < 0)
                log_warn("%s", err_message(&why)); /* it serves all the same */
        return 0;
}

static void wait_for_visit(void *arg);

/* Visitors wait in the socket's queue meanwhile. */
static void pause_then_wait(struct historian *h) {
        int64_t pause_ms = 1000LL << (h->failures < 5 ? h->failures : 5);
        h->failures++;
        timer_free(h->pause);
        h->pause = timer_new(h->loop, pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS, 0, wait_for_visit, h);
}

static void on_end(void *arg) {
        struct historian *h = arg;
        int status = 0;
        fdwatch_free(TAKE(h->on_end));
        close(TAKE_FD(h->proc_fd));
        waitpid(h->proc.pid, &status, 0);
        if (WIFSIGNALED(status))
                log_warn("the History Server was killed by signal %d; the next visit starts it again", WTERMSIG(status));
        else
                log_warn("the History Server ended with exit code %d (see history.log); the next visit starts it again",
                         WEXITSTATUS(status));
        h->proc = (struct procid){0};
        if (clock_mono_ms() - h->started_ms >= STEADY_MS) {
                h->failures = 0;
                wait_for_visit(h);
        } else {
                pause_then_wait(h);
        }
}

static void on_visit(void *arg) {
        struct historian *h = arg;
        AUTO(err) struct err err = ERR_INIT;
        fdwatch_free(TAKE(h->on_visit));
        h->started_ms = clock_mono_ms();
        if (spawn(h, &err) < 0) {
                log_warn("starting the History Server: %s", err_message(&err));
                pause_then_wait(h);
                return;
        }
        log_debug("History Server started (process %d)", (int)h->proc.pid);
        h->on_end = fdwatch_new(h->loop, h->proc_fd, on_end, h);
}

static void wait_for_visit(void *arg) {
        struct historian *h = arg;
        timer_free(TAKE(h->pause));
        h->on_visit = fdwatch_new(h->loop, h->listen_fd, on_visit, h);
}

/* ---- life ---- */

static int take_port(struct historian *h, struct instance_settings *s, struct err *err) {
        int r;
        if (s->history_port > 0) {
                r = hostport_listen(s->bind, s->history_port, &h->listen_fd, &h->port, err);
                if (r == -EADDRINUSE)
                        err_hint(err, "choose another with --history-port PORT, or --history-port auto, or do without: --history-port off");
                return r < 0 ? err_wrap(err, r, "History Server") : 0;
        }
        for (int n = s->history_last_port ? -1 : 0; n < PORTS_TRIED; n++) {
                AUTO(err) struct err why = ERR_INIT;
                r = hostport_try(s->bind, n < 0 ? s->history_last_port : FIRST_PORT + n, &h->listen_fd, &h->port, &why);
                if (r >= 0) {
                        s->history_last_port = h->port;
                        return 0;
                }
                if (r != -EADDRINUSE)
                        return err_move(err, &why);
        }
        return err_set(err, -EADDRINUSE, "History Server: no free port between %d and %d on %s", FIRST_PORT, FIRST_PORT + PORTS_TRIED - 1,
                       s->bind);
}

int historian_open(const struct instance *i, struct instance_settings *s, struct historian **ret, struct err *err) {
        AUTO(historian) struct historian *h = NEW(struct historian);
        *h = (struct historian){.instance = i, .events = historian_events(i, s), .listen_fd = -1, .proc_fd = -1};
        historian_end(i);
        if (!s->event_logs) {
                int r = fs_mkdirs(h->events, 0700, err);
                /* Pods of any user write here; others of the host do not come so far, the instance's directory is private. */
                if (r >= 0 && chmod(h->events, 01777) < 0)
                        r = err_errno(err, -errno, "%s", h->events);
                if (r < 0)
                        return r;
        }
        if (s->history_port < 0)
                return 0;
        int r = take_port(h, s, err);
        if (r < 0)
                return r;
        *ret = TAKE(h);
        return 0;
}

void historian_watch(struct historian *h, struct loop *l) {
        if (!h)
                return;
        h->loop = l;
        wait_for_visit(h);
}

void historian_stop(struct historian *h) {
        if (!h)
                return;
        fdwatch_free(TAKE(h->on_visit));
        fdwatch_free(TAKE(h->on_end));
        timer_free(TAKE(h->pause));
        if (h->proc.pid > 0) {
                end_process(&h->proc);
                waitpid(h->proc.pid, NULL, 0);
                h->proc = (struct procid){0};
        }
        historian_end(h->instance);
}

void historian_free(struct historian *h) {
        if (!h)
                return;
        fdwatch_free(h->on_visit);
        fdwatch_free(h->on_end);
        timer_free(h->pause);
        if (h->listen_fd >= 0)
                close(h->listen_fd);
        if (h->proc_fd >= 0)
                close(h->proc_fd);
        free(h->events);
        free(h);
}
