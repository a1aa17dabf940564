/* Children: uv_spawn with three pipes, one exit and two ends of file to wait for. */
#include <signal.h>
#include <uv.h>

#include "base/fs.h"
#include "event/loop.h"

enum { CHILD_DEFAULT_OUTPUT = 1024 * 1024 };

struct child {
        struct loop *loop;
        uv_process_t process;
        uv_pipe_t pipes[3]; /* standard input, output, error */
        uv_write_t input_req;
        char *input;
        struct str out, err;
        void (*done)(void *arg, const struct child_result *result);
        void *arg;
        struct child_result result;
        int open_handles; /* done is called when it falls to zero */
        bool has_group;
        bool exited;
};

static void child_unref(uv_handle_t *h) {
        struct child *c = h->data;
        if (--c->open_handles > 0)
                return;
        c->result.out = str_sv(&c->out);
        c->result.err = str_sv(&c->err);
        if (c->done)
                c->done(c->arg, &c->result);
        str_done(&c->out);
        str_done(&c->err);
        free(c->input);
        free(c);
}

static void on_exit_status(uv_process_t *p, int64_t exit_status, int term_signal) {
        struct child *c = p->data;
        c->exited = true;
        c->result.signal = term_signal;
        c->result.exit_code = term_signal ? 128 + term_signal : (int)exit_status;
        uv_close((uv_handle_t *)p, child_unref);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
        struct child *c = h->data;
        *buf = uv_buf_init(loop_scratch(c->loop), LOOP_SCRATCH);
}

static void on_output(uv_stream_t *s, ssize_t nread, const uv_buf_t *buf) {
        struct child *c = s->data;
        if (nread < 0) {
                uv_close((uv_handle_t *)s, child_unref);
        } else if (nread > 0) {
                struct str *to = s == (uv_stream_t *)&c->pipes[1] ? &c->out : &c->err;
                size_t room = to->max - to->len;
                str_append(to, buf->base, (size_t)nread < room ? (size_t)nread : room);
        }
}

static void on_input_written(uv_write_t *req, int status) {
        /* A child that does not read its input is no error. */
        if (!uv_is_closing((uv_handle_t *)req->handle))
                uv_close((uv_handle_t *)req->handle, child_unref);
}

static void open_pipe(struct child *c, int i, uv_stdio_container_t *stdio) {
        uv_pipe_init(loop_uv(c->loop), &c->pipes[i], 0);
        c->pipes[i].data = c;
        c->open_handles++;
        stdio->flags = (uv_stdio_flags)(UV_CREATE_PIPE | (i == 0 ? UV_READABLE_PIPE : UV_WRITABLE_PIPE));
        stdio->data.stream = (uv_stream_t *)&c->pipes[i];
}

static bool inherits(const struct child_spec *spec, int fd) {
        return spec->inherit_stdio || (fd == 0 && spec->inherit_stdin) || (fd == 2 && spec->inherit_stderr);
}

static void start_pipes(struct child *c, const struct child_spec *spec) {
        for (int i = 1; i < 3; i++) {
                if (!inherits(spec, i) && uv_read_start((uv_stream_t *)&c->pipes[i], on_alloc, on_output) < 0)
                        uv_close((uv_handle_t *)&c->pipes[i], child_unref);
        }
        if (inherits(spec, 0))
                return;
        c->input = sv_dup(spec->stdin_text);
        uv_buf_t buf = uv_buf_init(c->input, (unsigned)spec->stdin_text.len);
        if (spec->stdin_text.len == 0 || uv_write(&c->input_req, (uv_stream_t *)&c->pipes[0], &buf, 1, on_input_written) < 0)
                uv_close((uv_handle_t *)&c->pipes[0], child_unref);
}

int child_start(struct loop *l, const struct child_spec *spec, void (*done)(void *arg, const struct child_result *result), void *arg,
                struct child **ret, struct err *err) {
        if (spec->stdin_text.len > INT32_MAX)
                return err_set(err, -E2BIG, "input for %s is larger than 2 GiB", spec->argv[0]);
        /* execve's answer for a missing directory is the one for a missing program. */
        if (spec->cwd && !fs_is_dir(spec->cwd))
                return err_set(err, -ENOENT, "cannot run %s in %s: no such directory", spec->argv[0], spec->cwd);

        struct child *c = NEW(struct child);
        c->loop = l;
        c->out = c->err = STR_INIT(spec->max_output ? spec->max_output : CHILD_DEFAULT_OUTPUT);
        c->has_group = !spec->inherit_stdio && !spec->inherit_stdin;
        c->process.data = c;
        c->open_handles = 1;
        uv_stdio_container_t stdio[3] = {0};
        for (int i = 0; i < 3; i++) {
                if (inherits(spec, i)) {
                        stdio[i].flags = UV_INHERIT_FD;
                        stdio[i].data.fd = i;
                } else {
                        open_pipe(c, i, &stdio[i]);
                }
        }
        uv_process_options_t o = {
                .exit_cb = on_exit_status,
                .file = spec->argv[0],
                .args = (char **)(uintptr_t)spec->argv,
                .env = (char **)(uintptr_t)spec->env,
                .cwd = spec->cwd,
                .flags = c->has_group ? UV_PROCESS_DETACHED : 0,
                .stdio = stdio,
                .stdio_count = 3,
        };
        int r = uv_spawn(loop_uv(l), &c->process, &o);
        if (r < 0) {
                uv_close((uv_handle_t *)&c->process, child_unref);
                for (int i = 0; i < 3; i++) {
                        if (!inherits(spec, i))
                                uv_close((uv_handle_t *)&c->pipes[i], child_unref);
                }
                return err_errno(err, r, "cannot run %s", spec->argv[0]);
        }
        c->done = done;
        c->arg = arg;
        start_pipes(c, spec);
        if (ret)
                *ret = c;
        return 0;
}

int child_pid(const struct child *c) { return c->process.pid; }

void child_kill(struct child *c, int signal_number) {
        if (c->has_group)
                kill(-c->process.pid, signal_number);
        else if (!c->exited)
                kill(c->process.pid, signal_number);
}

struct run {
        bool done;
        int exit_code;
        struct str *out, *err;
};

static void on_run_done(void *arg, const struct child_result *result) {
        struct run *run = arg;
        run->exit_code = result->exit_code;
        if (run->out)
                str_append_sv(run->out, result->out);
        if (run->err)
                str_append_sv(run->err, result->err);
        run->done = true;
}

int child_run(const struct child_spec *spec, int *ret_exit_code, struct str *ret_out, struct str *ret_err, struct err *err) {
        AUTO(loop) struct loop *l = loop_new();
        struct run run = {.out = ret_out, .err = ret_err};
        int r = child_start(l, spec, on_run_done, &run, NULL, err);
        if (r < 0)
                return r;
        loop_run_until(l, &run.done);
        if (ret_exit_code)
                *ret_exit_code = run.exit_code;
        return 0;
}
