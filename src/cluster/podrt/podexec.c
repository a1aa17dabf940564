/* Commands inside containers (`crun exec`), attaching to them, and connections into pods. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/rand.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/shim_input.h"

enum { CHUNK = 32 * 1024, DRAIN_MS = 500, CONNECT_S = 5 };

/* One of the command's output pipes. */
struct output {
        struct pod_exec *exec;
        int fd;
        struct fdwatch *watch;
        bool is_stderr;
};

struct pod_exec {
        struct kubelet *kubelet;
        struct pod_exec_events events;
        char *process_file; /* removed at the end */
        pid_t pid;
        int pid_fd, pty_fd;
        struct fdwatch *pid_watch;
        struct output out, err;
        struct stream *stdin_stream;
        struct timer *drain;
        int exit_code;
        size_t late; /* bytes read since the command ended */
        bool exited, reported, closed, paused;
        unsigned depth; /* callbacks under way */
        /* attaching */
        bool is_attach;
        char *pod_uid, *container;
        int attempt;
        struct pod_log *log;
};

static void exec_free(struct pod_exec *e) {
        fdwatch_free(e->out.watch);
        fdwatch_free(e->err.watch);
        fdwatch_free(e->pid_watch);
        timer_free(e->drain);
        if (e->stdin_stream)
                stream_free(e->stdin_stream);
        if (e->log)
                e->kubelet->backend.log_close(e->log);
        int fds[] = {e->out.fd, e->err.fd, e->pid_fd, e->pty_fd};
        for (size_t i = 0; i < ARRAY_LEN(fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        if (e->process_file)
                unlink(e->process_file);
        free(e->process_file);
        free(e->pod_uid);
        free(e->container);
        free(e);
}

static void leave(struct pod_exec *e) {
        if (--e->depth == 0 && e->closed)
                exec_free(e);
}

static void maybe_report(struct pod_exec *e) {
        if (!e->exited || e->reported || e->closed || ((e->out.fd >= 0 || e->err.fd >= 0) && e->drain))
                return;
        e->reported = true;
        timer_free(TAKE(e->drain));
        e->events.on_exit(e->events.arg, e->exit_code, NULL);
}

static void close_output(struct output *o) {
        fdwatch_free(TAKE(o->watch));
        if (o->fd >= 0 && o->fd != o->exec->pty_fd)
                close(o->fd);
        o->fd = -1;
}

static void on_output(void *arg) {
        struct output *o = arg;
        struct pod_exec *e = o->exec;
        char chunk[CHUNK];
        ssize_t n = read(o->fd, chunk, sizeof chunk);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        e->depth++;
        if (n > 0) {
                e->late += e->exited ? (size_t)n : 0;
                void (*fn)(void *, struct sv) = o->is_stderr ? e->events.on_stderr : e->events.on_stdout;
                if (fn && !e->closed)
                        fn(e->events.arg, sv_new(chunk, (size_t)n));
        } else { /* the end; a terminal without processes says EIO */
                close_output(o);
                maybe_report(e);
        }
        leave(e);
}

static bool has_more(const struct output *o) {
        struct pollfd p = {.fd = o->fd, .events = POLLIN};
        return o->fd >= 0 && poll(&p, 1, 0) > 0;
}

/* What is in the pipes already may be the command's own last words: a reader that takes its time, or a moment in which nothing ran here,
 * must not lose them. More than the pipes hold is not the command's. */
static void on_drained(void *arg) {
        struct pod_exec *e = arg;
        if (e->paused || (e->late < SHIM_PIPES_MAX && (has_more(&e->out) || has_more(&e->err)))) {
                timer_again(e->drain, DRAIN_MS, 0);
                return;
        }
        e->depth++;
        timer_free(TAKE(e->drain));
        close_output(&e->out);
        close_output(&e->err);
        maybe_report(e);
        leave(e);
}

static void on_process_end(void *arg) {
        struct pod_exec *e = arg;
        int status = 0;
        e->depth++;
        fdwatch_free(TAKE(e->pid_watch));
        if (waitpid(e->pid, &status, 0) == e->pid)
                e->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        else
                e->exit_code = 255;
        e->pid = 0;
        e->exited = true;
        /* Something left running in the background may hold the pipes: it is not waited for. */
        e->drain = timer_new(e->kubelet->o.loop, DRAIN_MS, 0, on_drained, e);
        maybe_report(e);
        leave(e);
}

static void watch_output(struct pod_exec *e, struct output *o, int fd, bool is_stderr) {
        *o = (struct output){.exec = e, .fd = fd, .is_stderr = is_stderr};
        if (fd < 0)
                return;
        (void)!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        o->watch = fdwatch_new(e->kubelet->o.loop, fd, on_output, o);
}

/* The process of the container's own config with other arguments. */
static int write_process(const struct container *c, yyjson_mut_doc *args_doc, yyjson_mut_val *args, bool tty, char **ret, struct err *err) {
        AUTO(free) char *dir = container_dir(c, c->attempt);
        AUTO(free) char *config = fs_join(dir, "config.json");
        AUTO(str) struct str text = STR_INIT(4 << 20);
        AUTO(json) yyjson_doc *doc = NULL;
        int r = fs_read(config, 4 << 20, &text, err);
        if (r < 0 || (r = json_parse(str_sv(&text), &doc, err)) < 0)
                return r;
        yyjson_mut_val *process = yyjson_val_mut_copy(args_doc, yyjson_obj_get(yyjson_doc_get_root(doc), "process"));
        mjson_set(args_doc, process, "args", args);
        mjson_set_bool(args_doc, process, "terminal", tty);
        if (tty)
                mjson_add_str(args_doc, mjson_arr(args_doc, process, "env"), "TERM=xterm");
        size_t len = 0;
        AUTO(free) char *out = mjson_write(process, false, &len);
        char digits[17];
        rand_hex(digits, 16);
        AUTO(free) char *path = xasprintf("%s/exec-%s.json", dir, digits);
        if ((r = fs_write(path, sv_new(out, len), 0600, err)) < 0)
                return r;
        *ret = TAKE(path);
        return 0;
}

/* fork and exec with these three streams; `tty`: they are a terminal, to become the controlling one. */
static pid_t spawn(const char *const *argv, int in, int out, int err_fd, bool tty) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pid_t pid = fork();
        if (pid == 0) {
                for (int s = 1; s < NSIG; s++)
                        signal(s, SIG_DFL);
                sigset_t none;
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                setsid();
                if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err_fd, 2) < 0 || (tty && ioctl(0, TIOCSCTTY, 0) < 0))
                        _exit(126);
                syscall(SYS_close_range, 3, ~0U, 0);
                execv(argv[0], (char *const *)argv);
                _exit(127);
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return pid;
}

struct streams {
        int in, out, err;             /* the command's ends */
        int our_in, our_out, our_err; /* ours; with a terminal all three are one */
};

static void close_all(const int *fds, size_t count) {
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static int open_streams(bool tty, bool with_stdin, struct streams *s, struct err *err) {
        *s = (struct streams){-1, -1, -1, -1, -1, -1};
        if (tty) {
                int master, slave;
                if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
                        return err_errno(err, -errno, "opening a terminal");
                fcntl(master, F_SETFD, FD_CLOEXEC);
                *s = (struct streams){slave, slave, slave, master, master, -1};
                return 0;
        }
        int out[2], er[2], in[2] = {-1, -1};
        if (pipe2(out, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "making a pipe");
        if (pipe2(er, O_CLOEXEC) < 0) {
                close_all(out, 2);
                return err_errno(err, -EMFILE, "making a pipe");
        }
        /* The other way a socket pair: our end is a stream with a queue. */
        if (with_stdin ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0
                       : (in[1] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
                close_all(out, 2);
                close_all(er, 2);
                return err_errno(err, -errno, "opening standard input");
        }
        *s = (struct streams){in[1], out[1], er[1], in[0], out[0], er[0]};
        return 0;
}

static void ignore_data(void *arg, struct sv data) { (void)arg, (void)data; }
static void ignore_end(void *arg, const struct err *err) { (void)arg, (void)err; }

static void on_stdin_drain(void *arg) {
        struct pod_exec *e = arg;
        if (e->events.on_stdin_drain && !e->closed)
                e->events.on_stdin_drain(e->events.arg);
}

static void runtime_argv(const struct kubelet *k, const struct container *c, const char *process, bool tty, struct strv *argv) {
        strv_add(argv, k->o.isolation->runtime);
        strv_addf(argv, "--root=%s", k->runtime_root);
        if (!k->has_cgroups)
                strv_add(argv, "--cgroup-manager=disabled");
        strv_add(argv, "exec");
        if (tty)
                strv_add(argv, "--tty");
        strv_addf(argv, "--process=%s", process);
        strv_add(argv, c->id);
}

static int start_exec(struct container *c, yyjson_mut_doc *doc, yyjson_mut_val *args, bool with_stdin, bool tty,
                      const struct pod_exec_events *ev, struct pod_exec **ret, struct err *err) {
        struct kubelet *k = c->pod->kubelet;
        AUTO(free) char *process = NULL;
        struct streams s;
        int r = write_process(c, doc, args, tty, &process, err);
        if (r < 0)
                return r;
        if ((r = open_streams(tty, with_stdin, &s, err)) < 0) {
                unlink(process);
                return r;
        }
        AUTO(strv) struct strv argv = {0};
        runtime_argv(k, c, process, tty, &argv);
        pid_t pid = spawn((const char *const *)argv.items, s.in, s.out, s.err, tty);
        int error = errno;
        close(s.in);
        if (!tty) {
                close(s.out);
                close(s.err);
        }
        if (pid < 0) {
                int ours[] = {s.our_in, tty ? -1 : s.our_out, s.our_err};
                close_all(ours, 3);
                unlink(process);
                return err_errno(err, -error, "starting %s", argv.items[0]);
        }
        struct pod_exec *e = NEW(struct pod_exec);
        *e = (struct pod_exec){.kubelet = k, .events = *ev, .process_file = TAKE(process), .pid = pid, .pty_fd = tty ? s.our_in : -1};
        e->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        watch_output(e, &e->out, s.our_out, false);
        watch_output(e, &e->err, s.our_err, true);
        if (!tty && s.our_in >= 0) {
                int fd = s.our_in;
                if (stream_adopt(k->o.loop, fd, &e->stdin_stream, NULL) < 0)
                        close(fd);
                else
                        stream_set_events(e->stdin_stream,
                                          &(struct stream_events){
                                                  .on_data = ignore_data, .on_end = ignore_end, .on_drain = on_stdin_drain, .arg = e});
        }
        e->pid_watch = fdwatch_new(k->o.loop, e->pid_fd, on_process_end, e);
        *ret = e;
        return 0;
}

/* ---- attach ---- */

static void attach_data(void *arg, struct sv data) {
        struct pod_exec *e = arg;
        if (e->events.on_stdout && !e->closed)
                e->events.on_stdout(e->events.arg, data);
}

static void attach_end(void *arg, const struct err *err) {
        struct pod_exec *e = arg;
        e->reported = true;
        /* Attaching went well, however the container ended: its exit code is in the pod's status. */
        if (!e->closed)
                e->events.on_exit(e->events.arg, 0, err);
}

static int start_attach(struct container *c, const struct pod_exec_options *o, const struct pod_exec_events *ev, struct pod_exec **ret,
                        struct err *err) {
        struct kubelet *k = c->pod->kubelet;
        struct pod_exec *e = NEW(struct pod_exec);
        *e = (struct pod_exec){.kubelet = k,
                               .events = *ev,
                               .pid_fd = -1,
                               .pty_fd = -1,
                               .out = {.fd = -1},
                               .err = {.fd = -1},
                               .is_attach = true,
                               .pod_uid = xstrdup(c->pod->uid),
                               .container = xstrdup(c->name),
                               .attempt = c->attempt};
        if (o->with_stdin) {
                AUTO(free) char *dir = container_dir(c, c->attempt);
                int fd = -1;
                /* A container without `stdin: true` has no such socket: what is typed goes nowhere, as in Kubernetes. */
                if (shim_input_connect(dir, &fd, NULL) == 0) {
                        if (stream_adopt(k->o.loop, fd, &e->stdin_stream, NULL) < 0)
                                close(fd);
                        else
                                stream_set_events(e->stdin_stream, &(struct stream_events){.on_data = ignore_data,
                                                                                           .on_end = ignore_end,
                                                                                           .on_drain = on_stdin_drain,
                                                                                           .arg = e});
                }
        }
        /* From the beginning of the log, so that nothing of a short run is missed. */
        struct pod_log_options lo = {.container = c->name, .follow = true, .tail_lines = -1, .since_time_us = -1, .limit_bytes = -1};
        struct pod_log_events le = {.on_data = attach_data, .on_end = attach_end, .arg = e};
        int r = k->backend.log_open(k, c->pod->object, &lo, &le, &e->log, err);
        if (r < 0) {
                exec_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

/* ---- the vtable ---- */

static int exec_open(void *self, struct object *pod, const struct pod_exec_options *o, const struct pod_exec_events *ev,
                     struct pod_exec **ret, struct err *err) {
        struct kubelet *k = self;
        struct pod *p = kubelet_pod(k, pod);
        struct container *c = p && o->container ? pod_container(p, o->container) : NULL;
        if (!c || c->state != CONTAINER_RUNNING)
                return err_http(err, -ENOENT, 500, "InternalError", "unable to upgrade connection: container not found (\"%s\")",
                                o->container ? o->container : "");
        if (!o->argv)
                return start_attach(c, o, ev, ret, err);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *args = yyjson_mut_arr(doc);
        for (const char *const *a = o->argv; *a; a++)
                mjson_add_str(doc, args, *a);
        return start_exec(c, doc, args, o->with_stdin, o->tty, ev, ret, err);
}

/* To the shim of a container's main process (shim_input.h). */
static void send_frame(struct pod_exec *e, char kind, struct sv data) {
        const unsigned char header[5] = {(unsigned char)kind, (unsigned char)(data.len >> 24), (unsigned char)(data.len >> 16),
                                         (unsigned char)(data.len >> 8), (unsigned char)data.len};
        const struct sv parts[] = {sv_new((const char *)header, sizeof header), data};
        stream_writev(e->stdin_stream, parts, 2);
}

static void exec_stdin(struct pod_exec *e, struct sv data) {
        if (e->is_attach && e->stdin_stream)
                send_frame(e, 'd', data);
        else if (e->stdin_stream)
                stream_write(e->stdin_stream, data);
        else if (e->pty_fd >= 0)
                (void)!fs_write_all(e->pty_fd, data.data, data.len);
}

static size_t exec_stdin_pending(const struct pod_exec *e) { return e->stdin_stream ? stream_pending(e->stdin_stream) : 0; }

static void exec_stdin_end(struct pod_exec *e) {
        if (e->stdin_stream)
                stream_shutdown(e->stdin_stream);
        else if (e->pty_fd >= 0)
                (void)!fs_write_all(e->pty_fd, "\004", 1);
}

static void exec_resize(struct pod_exec *e, int columns, int rows) {
        struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
        if (e->is_attach && e->stdin_stream) {
                AUTO(free) char *text = xasprintf("%d %d", columns, rows);
                send_frame(e, 'r', sv_of(text));
        }
        if (e->pty_fd >= 0)
                ioctl(e->pty_fd, TIOCSWINSZ, &size);
}

static void pause_output(struct output *o, bool paused) {
        if (o->fd < 0)
                return;
        if (paused)
                fdwatch_free(TAKE(o->watch));
        else if (!o->watch)
                o->watch = fdwatch_new(o->exec->kubelet->o.loop, o->fd, on_output, o);
}

static void exec_pause(struct pod_exec *e, bool paused) {
        if (e->log)
                e->kubelet->backend.log_pause(e->log, paused);
        if (e->is_attach || e->paused == paused)
                return;
        e->paused = paused;
        pause_output(&e->out, paused);
        pause_output(&e->err, paused);
}

static void reap_later(void *arg) { free(arg); }
static void reap_work(void *arg) {
        while (waitpid(*(pid_t *)arg, NULL, 0) < 0 && errno == EINTR)
                ;
}

static void exec_close(struct pod_exec *e) {
        e->closed = true;
        if (e->pid > 0 && !e->exited) {
                pid_t *pid = xmalloc(sizeof *pid);
                *pid = e->pid;
                kill(e->pid, SIGKILL);
                loop_work(e->kubelet->o.loop, reap_work, reap_later, pid);
                e->pid = 0;
        }
        if (e->depth == 0)
                exec_free(e);
}

/* ---- dialing into a pod ---- */

struct dial_job {
        struct kubelet *kubelet;
        char *net_dir;
        int port, fd;
        bool host_network;
        struct err err;
        void (*done)(void *arg, struct stream *s, const struct err *err);
        void *arg;
};

static void dial_work(void *arg) {
        struct dial_job *j = arg;
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)j->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct timeval limit = {.tv_sec = CONNECT_S};
        int r = 0;
        if (j->host_network && (j->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
                r = err_errno(&j->err, -errno, "making a socket");
        else if (!j->host_network)
                r = podnet_socket(j->net_dir, SOCK_STREAM, &j->fd, &j->err);
        if (r < 0)
                return;
        setsockopt(j->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(j->fd, (struct sockaddr *)&to, sizeof to) < 0) {
                err_errno(&j->err, -errno, "failed to connect to localhost:%d inside the pod's network namespace", j->port);
                close(TAKE_FD(j->fd));
                return;
        }
        (void)!fcntl(j->fd, F_SETFL, fcntl(j->fd, F_GETFL) | O_NONBLOCK);
}

static void dial_done(void *arg) {
        struct dial_job *j = arg;
        struct stream *s = NULL;
        if (j->fd >= 0 && stream_adopt(j->kubelet->o.loop, j->fd, &s, &j->err) < 0)
                close(j->fd);
        kubelet_job_done(j->kubelet);
        j->done(j->arg, s, s ? NULL : &j->err);
        err_done(&j->err);
        free(j->net_dir);
        free(j);
}

static void dial(void *self, struct object *pod, int port, void (*done)(void *arg, struct stream *s, const struct err *err), void *arg) {
        struct kubelet *k = self;
        struct pod *p = kubelet_pod(k, pod);
        struct dial_job *j = NEW(struct dial_job);
        AUTO(free) char *none = xasprintf("%s/pods/%s", k->dir, pod->uid);
        *j = (struct dial_job){.kubelet = k,
                               .net_dir = fs_join(p ? p->dir : none, "ns"),
                               .port = port,
                               .fd = -1,
                               .host_network = p && p->uses_host_network,
                               .done = done,
                               .arg = arg};
        k->jobs++;
        loop_work(k->o.loop, dial_work, dial_done, j);
}

void podexec_fill(struct pod_backend *b) {
        b->exec_open = exec_open;
        b->exec_stdin = exec_stdin;
        b->exec_stdin_pending = exec_stdin_pending;
        b->exec_stdin_end = exec_stdin_end;
        b->exec_resize = exec_resize;
        b->exec_pause = exec_pause;
        b->exec_close = exec_close;
        b->dial = dial;
}

/* ---- for probes and hooks ---- */

struct hook {
        struct pod_exec *exec;
        struct timer *limit;
        struct str out;
        struct err err;
        void (*done)(void *arg, int exit_code, struct sv out, const struct err *err);
        void *arg;
};

static void hook_end(struct hook *h, int code, const struct err *err) {
        timer_free(TAKE(h->limit));
        struct pod_exec *e = TAKE(h->exec);
        h->done(h->arg, code, str_sv(&h->out), err);
        if (e)
                exec_close(e);
        str_done(&h->out);
        err_done(&h->err);
        free(h);
}

static void hook_data(void *arg, struct sv data) {
        struct hook *h = arg;
        str_append_sv(&h->out, data);
}

static void hook_exit(void *arg, int code, const struct err *err) { hook_end(arg, code, err); }

static void hook_timeout(void *arg) {
        struct hook *h = arg;
        err_set(&h->err, -ETIMEDOUT, "command timed out");
        hook_end(h, 137, &h->err);
}

static void hook_refused(void *arg) {
        struct hook *h = arg;
        hook_end(h, 255, &h->err);
}

void container_exec(struct container *c, yyjson_val *command, int64_t timeout_ms,
                    void (*done)(void *arg, int exit_code, struct sv out, const struct err *err), void *arg) {
        struct loop *loop = c->pod->kubelet->o.loop;
        struct hook *h = NEW(struct hook);
        *h = (struct hook){.out = STR_INIT(10 * 1024), .done = done, .arg = arg};
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct pod_exec_events ev = {.on_stdout = hook_data, .on_stderr = hook_data, .on_exit = hook_exit, .arg = h};
        if (start_exec(c, doc, yyjson_val_mut_copy(doc, command), false, false, &ev, &h->exec, &h->err) < 0) {
                loop_post(loop, hook_refused, h);
                return;
        }
        if (timeout_ms > 0)
                h->limit = timer_new(loop, timeout_ms, 0, hook_timeout, h);
}
