#include "cluster/podrt/shim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/cgroup.h"
#include "base/vec.h"
#include "cluster/podrt/crilog.h"
#include "cluster/podrt/fdpass.h"
#include "cluster/podrt/proctree.h"
#include "cluster/podrt/shim_input.h"
#include "codec/json.h"

enum { SYNC_FD = 3, POLL_MEMORY_MS = 250, DRAIN_MS = 2000, CHUNK = 8192, RECORD_MAX = 65536, START_MS = 60000 };

/* ---- records ---- */

void shim_exit_done(struct shim_exit *e) { free(TAKE(e->error)); }

static int read_record(const char *dir, const char *name, yyjson_doc **ret, struct err *err) {
        AUTO(free) char *path = fs_join(dir, name);
        AUTO(str) struct str text = STR_INIT(RECORD_MAX);
        if (!fs_exists(path))
                return err_set(err, -ENOENT, "%s does not exist", path);
        int r = fs_read(path, RECORD_MAX, &text, err);
        if (r < 0)
                return r;
        r = json_parse(str_sv(&text), ret, err);
        return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

static int write_record(const char *dir, const char *name, const struct str *text, struct err *err) {
        AUTO(free) char *path = fs_join(dir, name);
        return fs_write_atomic(path, str_sv(text), 0600, err);
}

static struct procid procid_from(yyjson_val *root) {
        return (struct procid){.pid = (pid_t)json_get_int(root, "pid", 0), .start_ticks = (uint64_t)json_get_int(root, "startTicks", 0)};
}

int shim_find(const char *dir, struct procid *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = read_record(dir, "shim.json", &doc, err);
        if (r < 0)
                return r;
        *ret = procid_from(yyjson_doc_get_root(doc));
        return 0;
}

int shim_read_started(const char *dir, struct shim_started *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = read_record(dir, "started.json", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc);
        *ret = (struct shim_started){.proc = procid_from(root), .started_us = json_get_int(root, "startedAt", 0)};
        return 0;
}

int shim_read_exit(const char *dir, struct shim_exit *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = read_record(dir, "exit.json", &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *error = json_get_str(root, "error");
        *ret = (struct shim_exit){.exit_code = (int)json_get_int(root, "exitCode", 255),
                                  .signal = (int)json_get_int(root, "signal", 0),
                                  .is_oom = json_get_bool(root, "oomKilled", false),
                                  .started_us = json_get_int(root, "startedAt", 0),
                                  .finished_us = json_get_int(root, "finishedAt", 0),
                                  .error = xstrdup_null(error)};
        return 0;
}

int shim_write_exit(const char *dir, const struct shim_exit *e, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "{\"exitCode\":%d,\"signal\":%d,\"oomKilled\":%s,\"startedAt\":%lld,\"finishedAt\":%lld", e->exit_code,
                    e->signal, e->is_oom ? "true" : "false", (long long)e->started_us, (long long)e->finished_us);
        if (e->error) {
                str_append_s(&text, ",\"error\":");
                json_append_quoted(&text, sv_of(e->error));
        }
        str_append_s(&text, "}\n");
        return write_record(dir, "exit.json", &text, err);
}

/* ---- the server's side ---- */

static int await_start(int fd, struct err *err) {
        char word[16];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n;
        do /* a signal of the server's may come to this thread */
                n = poll(&p, 1, START_MS);
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return err_set(err, -ETIMEDOUT, "the container runtime did not start the container within %d s", START_MS / 1000);
        ssize_t got = n < 0 ? -1 : read(fd, word, sizeof word);
        if (got < 0)
                return err_errno(err, -errno, "waiting for the container's shim");
        if (got == 0)
                return err_set(err, -ECHILD, "the container's shim ended without a word");
        return 0;
}

int shim_start(const struct shim_spec *spec, struct procid *ret, struct err *err) {
        char limit[24];
        snprintf(limit, sizeof limit, "%lld", (long long)spec->memory_limit);
        const char *argv[] = {REEXEC_SHIM,
                              spec->dir,
                              spec->id,
                              spec->runtime,
                              spec->runtime_root,
                              spec->log_path,
                              spec->oom_file ? spec->oom_file : "",
                              limit,
                              spec->without_cgroups ? "no-cgroups" : "cgroups",
                              !spec->has_stdin ? "no-stdin" : spec->is_stdin_once ? "stdin-once" : "stdin",
                              spec->has_terminal ? "terminal" : "no-terminal",
                              NULL};
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "making a pipe");
        AUTO(fd) int ours = ends[0];
        AUTO(fd) int theirs = ends[1];
        struct procid p = {0};
        pid_t pid = -1;
        int r = reexec_spawn(spec->program ? spec->program : "/proc/self/exe", argv, &theirs, 1, -1, &pid, err);
        if (r < 0)
                return r;
        close(TAKE_FD(theirs));
        /* A container that ended at once may have taken its shim along; the record of the exit is then already there. */
        if (procid_of(pid, &p, NULL) < 0)
                p = (struct procid){.pid = pid};
        r = await_start(ours, err);
        if (r < 0) {
                /* Waited for: the next try uses the same directory and name. */
                kill(pid, SIGTERM);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                return err_wrap(err, r, "container %s", spec->id);
        }
        *ret = p;
        return 0;
}

/* ---- the shim itself ---- */

struct shim {
        const char *dir, *id, *runtime, *runtime_root, *oom_file;
        bool without_cgroups, has_stdin, is_stdin_once, has_terminal;
        struct shim_input input;
        int console_fd; /* where the runtime hands over the terminal; -1 = not waited for */
        int64_t memory_limit;
        struct crilog log;
        int out_fd, err_fd, signal_fd;
        pid_t runtime_pid;   /* `crun run`, while it runs */
        pid_t container_pid; /* 0 = not known yet */
        bool runtime_failed, container_ended, killed_for_memory;
        int container_status;
        VEC(struct { pid_t pid; int status; }) early; /* ends seen before the container's pid was known */
        struct shim_exit result;
};

static void say(const char *word) { (void)!write(SYNC_FD, word, strlen(word)); }

static void fail(struct shim *s, const char *fmt, ...) PRINTF(2, 3);
static void fail(struct shim *s, const char *fmt, ...) {
        if (s->result.error)
                return;
        va_list ap;
        va_start(ap, fmt);
        s->result.error = xvasprintf(fmt, ap);
        va_end(ap);
        s->result.exit_code = 128;
}

static void runtime_args(struct shim *s, struct strv *args) {
        strv_add(args, s->runtime);
        strv_addf(args, "--root=%s", s->runtime_root);
        if (s->without_cgroups)
                strv_add(args, "--cgroup-manager=disabled");
        strv_addf(args, "--log=%s/runtime.log", s->dir);
}

/* Runs the container runtime; its streams are `out`/`err` (the container inherits them) or /dev/null. */
static pid_t run_runtime(struct strv *args, const char *dir, int in, int out, int err) {
        pid_t pid = fork();
        if (pid != 0)
                return pid;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGHUP, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        int null = open("/dev/null", O_RDWR);
        if (dup2(in >= 0 ? in : null, 0) < 0 || dup2(out >= 0 ? out : null, 1) < 0 || dup2(err >= 0 ? err : null, 2) < 0)
                _exit(126);
        for (int fd = 3; fd < 64; fd++)
                close(fd);
        if (dir && chdir(dir) < 0)
                _exit(126);
        execv(args->items[0], args->items);
        _exit(127);
}

/* The runtime makes the terminal and sends our end of it through a socket, which it finds by a short relative name. */
static int open_console(struct shim *s, struct err *err) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        AUTO(fd) int dir = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/console", dir);
        s->console_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (dir < 0 || s->console_fd < 0 || bind(s->console_fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->console_fd, 1) < 0)
                return err_errno(err, -errno, "%s/console", s->dir);
        return 0;
}

static void receive_console(struct shim *s) {
        char name[256];
        int terminal;
        AUTO(fd) int from = accept4(s->console_fd, NULL, NULL, SOCK_CLOEXEC);
        close(TAKE_FD(s->console_fd));
        if (from < 0 || fdpass_receive(from, name, sizeof name, &terminal) < 0 || terminal < 0)
                return;
        s->out_fd = terminal;
        if (s->has_stdin)
                shim_input_set_sink(&s->input, s->out_fd);
        else
                (void)!fcntl(s->out_fd, F_SETFL, O_NONBLOCK);
}

static int open_input(struct shim *s, int *ret_in, struct err *err) {
        int in[2];
        if (!s->has_stdin)
                return 0;
        int r = shim_input_open(&s->input, s->dir, s->is_stdin_once, s->has_terminal, err);
        if (r < 0 || s->has_terminal)
                return r;
        if (pipe2(in, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "making a pipe");
        *ret_in = in[0];
        shim_input_set_sink(&s->input, in[1]);
        return 0;
}

static int open_streams(struct shim *s, int *ret_out, int *ret_err, struct err *err) {
        int out[2], er[2];
        if (s->has_terminal)
                return open_console(s, err);
        if (pipe2(out, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "making a pipe");
        if (pipe2(er, O_CLOEXEC) < 0) {
                close(out[0]);
                close(out[1]);
                return err_errno(err, -errno, "making a pipe");
        }
        s->out_fd = out[0];
        s->err_fd = er[0];
        *ret_out = out[1];
        *ret_err = er[1];
        /* An unprivileged process of the container may reopen /dev/stdout, which is this pipe. */
        (void)!fchmod(out[1], 0666);
        (void)!fchmod(er[1], 0666);
        return 0;
}

/* One read; false at the end of the stream. */
static bool pump(struct shim *s, int fd, enum crilog_stream stream) {
        char chunk[CHUNK];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        if (n == 0)
                return false;
        (void)crilog_write(&s->log, stream, sv_new(chunk, (size_t)n), clock_now_us());
        /* Who sits at a terminal waits for prompts, which have no line's end. */
        if (s->has_terminal || s->has_stdin)
                crilog_flush(&s->log, clock_now_us());
        return true;
}

static void note_started(struct shim *s) {
        AUTO(free) char *path = fs_join(s->dir, "pid");
        AUTO(str) struct str text = STR_INIT(64);
        int64_t pid = 0;
        if (fs_read(path, 64, &text, NULL) < 0 || !sv_to_int64(sv_trim(str_sv(&text)), &pid) || pid <= 0) {
                fail(s, "the container runtime left no process id");
                s->runtime_failed = true;
                return;
        }
        s->container_pid = (pid_t)pid;
        s->result.started_us = clock_now_us();
        struct procid p = {.pid = s->container_pid};
        (void)!procid_of(s->container_pid, &p, NULL);
        AUTO(str) struct str record = STR_INIT(0);
        str_appendf(&record, "{\"pid\":%d,\"startTicks\":%llu,\"startedAt\":%lld}\n", (int)p.pid, (unsigned long long)p.start_ticks,
                    (long long)s->result.started_us);
        (void)!write_record(s->dir, "started.json", &record, NULL);
        vec_foreach(e, &s->early)
                if (e->pid == s->container_pid) {
                        s->container_ended = true;
                        s->container_status = e->status;
                }
        say("started");
        reexec_slim();
}

/* The runtime's own words: the last line of its log. */
static char *runtime_words(struct shim *s) {
        AUTO(free) char *path = xasprintf("%s/runtime.log", s->dir);
        AUTO(str) struct str text = STR_INIT(RECORD_MAX);
        if (fs_read(path, RECORD_MAX, &text, NULL) < 0)
                return NULL;
        struct sv rest = sv_trim(str_sv(&text)), line, last = SV_NULL;
        while (sv_split(&rest, '\n', &line))
                last = line;
        return last.len ? sv_dup(last) : NULL;
}

static void on_runtime_end(struct shim *s, int status) {
        s->runtime_pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                note_started(s);
                return;
        }
        AUTO(free) char *words = runtime_words(s);
        fail(s, "%s", words ? words : "the container runtime failed without a message");
        s->runtime_failed = true;
}

static void reap(struct shim *s) {
        int status;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
                if (pid == s->runtime_pid) {
                        on_runtime_end(s, status);
                } else if (s->container_pid && pid == s->container_pid) {
                        s->container_ended = true;
                        s->container_status = status;
                } else if (!s->container_pid) {
                        __typeof__(s->early.items) e = vec_push(&s->early);
                        e->pid = pid;
                        e->status = status;
                }
        }
}

static void on_signals(struct shim *s) {
        struct signalfd_siginfo info;
        while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
                if (info.ssi_signo == SIGCHLD)
                        reap(s);
                else if (s->container_pid && !s->container_ended)
                        kill(s->container_pid, SIGKILL);
                else if (s->runtime_pid)
                        kill(s->runtime_pid, SIGKILL);
        }
}

static void check_memory(struct shim *s) {
        struct proctree_usage use;
        int64_t bytes;
        if (s->container_ended || !s->container_pid || proctree_usage(s->container_pid, &use) < 0 || use.memory_bytes <= s->memory_limit ||
            proctree_memory(s->container_pid, &bytes) < 0 || bytes <= s->memory_limit)
                return;
        s->killed_for_memory = true;
        kill(s->container_pid, SIGKILL);
}

static bool has_output(const struct shim *s) {
        struct pollfd p[] = {{.fd = s->out_fd, .events = POLLIN}, {.fd = s->err_fd, .events = POLLIN}};
        return poll(p, ARRAY_LEN(p), 0) > 0;
}

/* Until the container (or the failed runtime) is gone and its streams are at their end. Somebody else may hold these: they are not waited
 * for, but what the pipes have when the time is over is still taken, it may be the container's own last words (this process may have had to
 * wait for a processor or the disk). */
static void serve(struct shim *s) {
        int64_t deadline = 0;
        int late = 0;
        for (;;) {
                bool over = s->container_ended || s->runtime_failed;
                if (over && deadline == 0)
                        deadline = clock_mono_ms() + DRAIN_MS;
                if (over && s->out_fd < 0 && s->err_fd < 0)
                        return;
                if (over && clock_mono_ms() >= deadline && (late++ >= SHIM_PIPES_MAX / CHUNK || !has_output(s)))
                        return;
                struct pollfd p[4 + SHIM_INPUT_FDS] = {{.fd = s->out_fd, .events = POLLIN},
                                                       {.fd = s->err_fd, .events = POLLIN},
                                                       {.fd = s->signal_fd, .events = POLLIN},
                                                       {.fd = s->console_fd, .events = POLLIN}};
                shim_input_poll(&s->input, p + 4);
                int timeout = over ? 100 : s->memory_limit ? POLL_MEMORY_MS : -1;
                int n = poll(p, ARRAY_LEN(p), timeout);
                if (n < 0 && errno != EINTR)
                        return;
                if (n > 0)
                        shim_input_handle(&s->input, p + 4);
                if (n > 0 && p[3].revents)
                        receive_console(s);
                if (n > 0 && p[0].revents && !pump(s, s->out_fd, CRILOG_STDOUT))
                        close(TAKE_FD(s->out_fd));
                if (n > 0 && p[1].revents && !pump(s, s->err_fd, CRILOG_STDERR))
                        close(TAKE_FD(s->err_fd));
                if (n > 0 && p[2].revents)
                        on_signals(s);
                if (s->memory_limit)
                        check_memory(s);
        }
}

static void finish(struct shim *s) {
        struct shim_exit *e = &s->result;
        e->finished_us = clock_now_us();
        if (s->container_ended) {
                int status = s->container_status;
                e->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
                e->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                e->is_oom = s->killed_for_memory || cgroup_oom_killed(s->oom_file);
        } else if (!e->error) {
                fail(s, "the container's end was not observed");
        }
        crilog_flush(&s->log, clock_now_us());
        AUTO(strv) struct strv args = {0};
        runtime_args(s, &args);
        strv_add(&args, "delete");
        strv_add(&args, "--force");
        strv_add(&args, s->id);
        pid_t pid = run_runtime(&args, NULL, -1, -1, -1);
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        (void)!shim_write_exit(s->dir, e, NULL);
        if (!e->started_us)
                say("failed");
}

/* By the shim itself and before anything runs: a server that is killed just now leaves no container that nobody finds. */
static int note_self(const struct shim *s, struct err *err) {
        struct procid p;
        AUTO(str) struct str text = STR_INIT(0);
        int r = procid_of(getpid(), &p, err);
        if (r < 0)
                return r;
        str_appendf(&text, "{\"pid\":%d,\"startTicks\":%llu}\n", (int)p.pid, (unsigned long long)p.start_ticks);
        return write_record(s->dir, "shim.json", &text, err);
}

static void launch(struct shim *s, const char *log_path) {
        struct err err = ERR_INIT;
        AUTO(fd) int out = -1;
        AUTO(fd) int er = -1;
        AUTO(fd) int in = -1;
        int r = note_self(s, &err);
        if (r == 0)
                r = crilog_open(log_path, CRILOG_DEFAULT_MAX_BYTES, CRILOG_DEFAULT_FILES, &s->log, &err);
        if (r == 0)
                r = open_streams(s, &out, &er, &err);
        if (r == 0)
                r = open_input(s, &in, &err);
        if (r < 0) {
                fail(s, "%s", err_message(&err));
                s->runtime_failed = true;
                err_done(&err);
                return;
        }
        AUTO(strv) struct strv args = {0};
        runtime_args(s, &args);
        strv_add(&args, "run");
        strv_add(&args, "--detach");
        strv_addf(&args, "--bundle=%s", s->dir);
        strv_addf(&args, "--pid-file=%s/pid", s->dir);
        if (s->has_terminal)
                strv_add(&args, "--console-socket=console");
        strv_add(&args, s->id);
        s->runtime_pid = run_runtime(&args, s->dir, in, out, er);
        if (s->runtime_pid < 0) {
                s->runtime_pid = 0;
                fail(s, "starting %s: %s", s->runtime, strerror(errno));
                s->runtime_failed = true;
        }
}

int shim_main(int argc, char **argv) {
        if (argc < 11) {
                fprintf(stderr, "%s is started by firesteel itself\n", argv[0]);
                return 2;
        }
        struct shim s = {.dir = argv[1],
                         .id = argv[2],
                         .runtime = argv[3],
                         .runtime_root = argv[4],
                         .oom_file = argv[6],
                         .memory_limit = strtoll(argv[7], NULL, 10),
                         .without_cgroups = streq(argv[8], "no-cgroups"),
                         .has_stdin = !streq(argv[9], "no-stdin"),
                         .is_stdin_once = streq(argv[9], "stdin-once"),
                         .has_terminal = streq(argv[10], "terminal"),
                         .input = SHIM_INPUT_INIT,
                         .console_fd = -1,
                         .out_fd = -1,
                         .err_fd = -1,
                         .log = {.fd = -1}};
        fcntl(SYNC_FD, F_SETFD, FD_CLOEXEC);
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        signal(SIGHUP, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        sigset_t mine;
        sigemptyset(&mine);
        sigaddset(&mine, SIGCHLD);
        sigaddset(&mine, SIGTERM);
        sigprocmask(SIG_BLOCK, &mine, NULL);
        s.signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
        if (s.signal_fd < 0)
                return 1;
        launch(&s, argv[5]);
        serve(&s);
        shim_input_close(&s.input);
        finish(&s);
        crilog_close(&s.log);
        shim_exit_done(&s.result);
        vec_done(&s.early);
        return 0;
}
