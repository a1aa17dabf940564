/* firesteel local up: starts the server in the background and waits until it serves. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "kube/kubeconfig_edit.h"

enum { LOG_MAX_BYTES = 8 * 1024 * 1024 };

/* The child: a session of its own, the log as output, the pipe as descriptor 3, nothing else of ours. */
static void become_server(struct strv *argv, int log_fd, int report_fd) {
        setsid();
        int null = open("/dev/null", O_RDONLY);
        int log_copy = fcntl(log_fd, F_DUPFD, 10), report_copy = fcntl(report_fd, F_DUPFD, 10);
        if (null < 0 || log_copy < 0 || report_copy < 0 || dup2(null, 0) < 0 || dup2(log_copy, 1) < 0 || dup2(log_copy, 2) < 0 ||
            dup2(report_copy, 3) < 0 || chdir("/") < 0)
                _exit(126);
        syscall(SYS_close_range, 4U, ~0U, 0U);
        signal(SIGPIPE, SIG_DFL);
        /* By its own path, so that ps and top show its name. */
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        if (n > 0) {
                path[n] = 0;
                execv(path, argv->items);
        }
        execv("/proc/self/exe", argv->items);
        _exit(127);
}

static int spawn(const struct cmd_ctx *ctx, const struct instance *i, pid_t *ret_pid, int *ret_fd, struct err *err) {
        AUTO(strv) struct strv argv = {0};
        strv_add(&argv, "firesteel");
        strv_add(&argv, "local");
        strv_add(&argv, "serve");
        strv_addf(&argv, "--name=%s", i->name);
        strv_add(&argv, "--report-fd=3");
        static const char *const passed_on[] = {"port", "bind", "memory", "cpus", "history-port"};
        for (size_t n = 0; n < ARRAY_LEN(passed_on); n++)
                if (option_given(&ctx->o, passed_on[n]))
                        strv_addf(&argv, "--%s=%s", passed_on[n], option_str(&ctx->o, passed_on[n]));
        if (option_given(&ctx->o, "event-logs")) {
                /* The server works in another directory. */
                AUTO(free) char *dir = fs_absolute(option_str(&ctx->o, "event-logs"));
                strv_addf(&argv, "--event-logs=%s", dir);
        }
        if (option_on(&ctx->o, "no-egress"))
                strv_add(&argv, "--no-egress");
        static const char *const lists[] = {"insecure-registry", "resolver"};
        for (size_t n = 0; n < ARRAY_LEN(lists); n++) {
                const char *const *values;
                for (size_t at = 0, many = option_list(&ctx->o, lists[n], &values); at < many; at++)
                        strv_addf(&argv, "--%s=%s", lists[n], values[at]);
        }
        const char *const *homes;
        size_t count = option_list(&ctx->o, "spark-home", &homes);
        for (size_t n = 0; n < count; n++) {
                /* Without the version, which was checked here. */
                const char *equals = strchr(homes[n], '=');
                AUTO(free) char *dir = fs_absolute(equals ? equals + 1 : homes[n]);
                strv_addf(&argv, "--spark-home=%s", dir);
        }

        AUTO(fd) int log_fd = instance_open_log(i, "server.log", LOG_MAX_BYTES, err);
        if (log_fd < 0)
                return log_fd;
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_errno(err, -errno, "pipe");
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
                become_server(&argv, log_fd, ends[1]);
        close(ends[1]);
        if (pid < 0) {
                close(ends[0]);
                return err_errno(err, -errno, "starting the server");
        }
        *ret_pid = pid;
        *ret_fd = ends[0];
        return 0;
}

/* The last lines of the log, for a server that died without a word. */
static void show_log_tail(const struct instance *i) {
        AUTO(free) char *path = instance_path(i, "server.log");
        AUTO(str) struct str text = STR_INIT(0);
        if (fs_read(path, 2 * LOG_MAX_BYTES, &text, NULL) < 0)
                return;
        size_t at = text.len, lines = 0;
        while (at > 0 && (lines < 12 || text.data[at - 1] != '\n'))
                lines += text.data[--at] == '\n';
        log_info("the end of %s:\n%s", path, str_cstr(&text) + at);
}

/* One line of the report; 1 when that was the last of interest. */
static int heard(struct progress *p, char *line, bool *ret_ready, struct err *err) {
        char *text = strchr(line, ' ');
        if (!text)
                return 0;
        *text++ = 0;
        if (streq(line, "step"))
                progress_update(p, "%s", text);
        else if (streq(line, "error"))
                err_set(err, -EIO, "%s", text);
        else if (streq(line, "hint"))
                err_hint(err, "%s", text);
        else if (streq(line, "ready"))
                *ret_ready = true;
        return *ret_ready;
}

/* 0 when it serves; -ETIMEDOUT, or what the server reported. */
static int wait_ready(const struct instance *i, pid_t pid, int fd, int64_t timeout_ms, struct progress *p, struct err *err) {
        AUTO(str) struct str input = STR_INIT(64 * 1024);
        AUTO(err) struct err reported = ERR_INIT;
        int64_t until = clock_mono_ms() + timeout_ms;
        bool ready = false;
        while (!ready) {
                char chunk[4096];
                int64_t left = until - clock_mono_ms();
                if (left <= 0)
                        return err_set(err, -ETIMEDOUT, "the server was not ready within %lld s; it goes on starting",
                                       (long long)timeout_ms / 1000);
                struct pollfd pfd = {.fd = fd, .events = POLLIN};
                if (poll(&pfd, 1, left < 100 ? (int)left : 100) == 0) {
                        progress_update(p, "%s", "");
                        continue;
                }
                ssize_t n = read(fd, chunk, sizeof chunk);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                str_append(&input, chunk, (size_t)n);
                for (char *end; input.len > 0 && (end = memchr(input.data, '\n', input.len));) {
                        *end = 0;
                        size_t len = (size_t)(end - input.data) + 1;
                        heard(p, input.data, &ready, &reported);
                        str_consume(&input, len);
                }
        }
        if (ready)
                return 0;
        int status = 0;
        waitpid(pid, &status, 0);
        if (reported.code)
                return err_move(err, &reported);
        show_log_tail(i);
        if (WIFSIGNALED(status))
                return err_set(err, -EIO, "the server was killed by signal %d while starting", WTERMSIG(status));
        return err_set(err, -EIO, "the server ended with exit code %d while starting", WEXITSTATUS(status));
}

static int put_into(const char *file, const struct instance *i, const struct instance_server *s, bool make_current, struct err *err) {
        AUTO(instance_pki) struct instance_pki pki = {0};
        int r = instance_client_pki(i, &pki, err);
        if (r < 0)
                return r;
        AUTO(free) char *name = local_context_name(i);
        AUTO(free) char *url = xasprintf("https://%s:%d", s->bind, s->port);
        r = kubeconfig_put(
                file,
                &(struct kubeconfig_entry){
                        .name = name, .server = url, .ca_pem = sv_of(pki.ca_cert), .token = pki.admin_token, .make_current = make_current},
                err);
        return r < 0 ? err_wrap(err, r, "merging the cluster into %s", file) : 0;
}

/* After a crash the address may be another one, and the file of --merge still has the old. */
static int merge_again(const struct instance *i, const struct instance_server *s, struct err *err) {
        AUTO(instance_settings) struct instance_settings settings = {0};
        int r = instance_load_settings(i, &settings, err);
        return r < 0 || !settings.merged_into ? r : put_into(settings.merged_into, i, s, false, err);
}

static int merge(const struct instance *i, const struct instance_server *s, struct err *err) {
        AUTO(instance_settings) struct instance_settings settings = {0};
        int r = instance_load_settings(i, &settings, err);
        if (r < 0)
                return r;
        AUTO(free) char *file = kubeconfig_default_path(NULL);
        AUTO(free) char *name = local_context_name(i);
        r = put_into(file, i, s, true, err);
        if (r < 0)
                return r;
        log_info("  context \"%s\" is now the current one in %s", name, file);
        free(settings.merged_into);
        settings.merged_into = TAKE(file);
        return instance_save_settings(i, &settings, err);
}

static void explain(const struct instance *i, const struct instance_server *s, bool merged) {
        yyjson_val *isolation = yyjson_obj_get(yyjson_doc_get_root(s->doc), "isolation");
        const char *summary = json_get_str(isolation, "summary");
        if (summary)
                log_info("  pods: %s", summary);
        size_t n, max;
        yyjson_val *note;
        yyjson_arr_foreach(yyjson_obj_get(isolation, "notes"), n, max, note) log_info("  note: %s", yyjson_get_str(note));
        const char *history = json_get_str(yyjson_obj_get(yyjson_doc_get_root(s->doc), "history"), "url");
        if (history)
                log_info("  history: %s (of applications with spark.eventLog.enabled=true)", history);
        AUTO(free) char *kubeconfig = instance_path(i, "kubeconfig");
        if (!merged)
                log_info("\n  export KUBECONFIG=%s", kubeconfig);
        else
                log_info("%s", "");
        log_info("  kubectl get pods -A");
}

/* Does the running server serve another directory, or at another port, than the one asked for? */
static bool is_other_history(const struct cmd_ctx *ctx, const struct instance_server *s) {
        yyjson_val *history = yyjson_obj_get(yyjson_doc_get_root(s->doc), "history");
        const char *url = json_get_str(history, "url"), *logs = json_get_str(history, "eventLogs"),
                   *port = option_str(&ctx->o, "history-port");
        AUTO(free) char *dir = option_given(&ctx->o, "event-logs") ? fs_absolute(option_str(&ctx->o, "event-logs")) : NULL;
        AUTO(free) char *wanted = port ? xasprintf("http://%s:%s/", s->bind, port) : NULL;
        if (dir && !streq_null(dir, logs))
                return true;
        return port && (streq(port, "off") ? url != NULL : streq(port, "auto") ? !url : !streq_null(url, wanted));
}

/* Settings of a running server do not change under it. */
static int refuse_changes(const struct cmd_ctx *ctx, const struct instance *i, const struct instance_server *s, struct err *err) {
        bool other_port = option_given(&ctx->o, "port") && option_int(&ctx->o, "port") != s->port;
        bool other_bind = option_given(&ctx->o, "bind") && !streq(option_str(&ctx->o, "bind"), s->bind);
        if (!other_port && !other_bind && !is_other_history(ctx, s) && !option_given(&ctx->o, "memory") && !option_given(&ctx->o, "cpus") &&
            !option_given(&ctx->o, "spark-home") && !option_given(&ctx->o, "no-egress") && !option_given(&ctx->o, "insecure-registry") &&
            !option_given(&ctx->o, "resolver"))
                return 0;
        err_set(err, -EBUSY, "instance \"%s\" is already running (https://%s:%d) and takes other settings only when it starts", i->name,
                s->bind, s->port);
        err_hint(err, "\"firesteel local down --name %s\" first", i->name);
        return -EBUSY;
}

/* Waits for a server that somebody else is starting. */
static int wait_other(const struct instance *i, struct instance_server *s, int64_t timeout_ms, struct err *err) {
        int64_t until = clock_mono_ms() + timeout_ms;
        int r;
        while ((r = instance_running(i, s, err)) == 2 && clock_mono_ms() < until)
                poll(NULL, 0, 20);
        return r == 2 ? err_set(err, -ETIMEDOUT, "another process has been starting instance \"%s\" for %lld s", i->name,
                                (long long)timeout_ms / 1000)
                      : r;
}

static int start(struct cmd_ctx *ctx, const struct instance *i, struct instance_server *server, struct err *err) {
        AUTO(instance_settings) struct instance_settings settings = {0};
        int r = instance_load_settings(i, &settings, err);
        if (r < 0)
                return r;
        AUTO(progress) struct progress *p = progress_new(option_on(&ctx->o, "quiet"));
        progress_step(p, "Starting instance \"%s\"", i->name);
        pid_t pid = 0;
        AUTO(fd) int fd = -1;
        r = spawn(ctx, i, &pid, &fd, err);
        if (r >= 0)
                r = wait_ready(i, pid, fd, option_int(&ctx->o, "timeout"), p, err);
        if (r >= 0)
                r = instance_running(i, server, err);
        if (r == 0)
                r = err_set(err, -EIO, "the server ended right after its start; see \"firesteel local logs --name %s\"", i->name);
        if (r < 0) {
                progress_hide(p);
                return r;
        }
        progress_done(p, "Instance \"%s\" is ready at https://%s:%d", i->name, server->bind, server->port);
        return 0;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        AUTO(instance_server) struct instance_server server = {0};
        AUTO(fd) int command_lock = -1;
        AUTO(instance_settings) struct instance_settings checked = {0};
        int r = local_open(ctx, &i, err);
        /* What is wrong with the command line is said here, before anything is made. */
        if (r >= 0)
                r = local_apply_options(ctx, &checked, err);
        if (r < 0) {
                log_err(err);
                return EXIT_USAGE;
        }
        bool is_removed;
        do {
                err_clear(err);
                r = instance_prepare(&i, err);
                if (r < 0)
                        return r;
                r = instance_lock_command(&i, &command_lock, err);
                is_removed = r == -ENOENT; /* by a `reset` that we waited for: made anew */
        } while (is_removed);
        if (r < 0)
                return r;
        int state = instance_running(&i, &server, err);
        if (state == 2)
                state = wait_other(&i, &server, option_int(&ctx->o, "timeout"), err);
        if (state == -ETIMEDOUT) {
                log_err(err);
                return EXIT_TIMED_OUT;
        }
        if (state < 0)
                return state;
        if (state == 1) {
                r = refuse_changes(ctx, &i, &server, err);
                if (r < 0)
                        return r;
                char age[40];
                local_age(server.started_ms, age);
                if (!option_on(&ctx->o, "quiet"))
                        log_info("instance \"%s\" is already running at https://%s:%d (process %d, for %s)", i.name, server.bind,
                                 server.port, (int)server.pid, age);
        } else {
                r = start(ctx, &i, &server, err);
                if (r == -ETIMEDOUT) {
                        log_err(err);
                        return EXIT_TIMED_OUT;
                }
                if (r < 0)
                        return r;
                AUTO(err) struct err why = ERR_INIT;
                if (!option_on(&ctx->o, "merge") && merge_again(&i, &server, &why) < 0)
                        log_warn("%s", err_message(&why)); /* the cluster is up all the same */
        }
        if (option_on(&ctx->o, "merge")) {
                r = merge(&i, &server, err);
                if (r < 0)
                        return r;
        }
        if (!option_on(&ctx->o, "quiet"))
                explain(&i, &server, option_on(&ctx->o, "merge"));
        return EXIT_OK;
}

const struct cmd cmd_local_up = {
        .name = "up",
        .summary = "Start an instance and wait until it is ready",
        .description =
                "Starts the server in the background. Running already is success. After a crash it goes on with what it had, and takes "
                "over the pods that still run.",
        .options = (const struct option[]){LOCAL_OPTION_NAME,
                                           LOCAL_OPTIONS_SERVER,
                                           {"merge", 0, OPTION_SWITCH, NULL, "add the cluster to your kubeconfig and make it current"},
                                           {"timeout", 0, OPTION_DURATION, "TIME", "how long to wait", "60s"},
                                           {"quiet", 'q', OPTION_SWITCH, NULL, "print nothing but errors"},
                                           {0}},
        .examples = (const struct cmd_example[]){{"A cluster, and kubectl on it", "firesteel local up --merge && kubectl get nodes"},
                                                 {"A second one", "firesteel local up --name two"},
                                                 {"Pods of apache/spark images run this Spark",
                                                  "firesteel local up --spark-home $HOME/venv/lib/python3.11/site-packages/pyspark"},
                                                 {0}},
        .see_also = "firesteel-local-down(1), firesteel-local-status(1)",
        .run = run,
};
