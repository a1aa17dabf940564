#include "cluster/podrt/entrypoint.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "cluster/podrt/reexec.h"
#include "cluster/podrt/sparkcmd.h"

extern char **environ;

static void add_user(void) {
        if (getpwuid(getuid()))
                return;
        const char *name = getenv("SPARK_USER_NAME"), *home = getenv("SPARK_HOME");
        FILE *file = fopen("/etc/passwd", "ae");
        if (!file) {
                fprintf(stderr, "Container ENTRYPOINT failed to add passwd entry for anonymous UID\n");
                return;
        }
        fprintf(file, "%u:x:%u:%u:%s:%s:/bin/false\n", getuid(), getuid(), getgid(), name ? name : "anonymous uid", home ? home : "/");
        fclose(file);
}

/* Hadoop's jars for executors of images that carry Hadoop apart from Spark. */
static void add_hadoop(void) {
        const char *home = getenv("HADOOP_HOME");
        if (!home || !home[0] || getenv("SPARK_DIST_CLASSPATH"))
                return;
        AUTO(free) char *program = xasprintf("%s/bin/hadoop", home);
        int ends[2];
        if (access(program, X_OK) < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return;
        pid_t pid = fork();
        if (pid == 0) {
                dup2(ends[1], 1);
                execl(program, program, "classpath", (char *)NULL);
                _exit(127);
        }
        close(ends[1]);
        AUTO(str) struct str out = STR_INIT(1 << 20);
        char chunk[4096];
        for (ssize_t n; (n = read(ends[0], chunk, sizeof chunk)) > 0;)
                str_append(&out, chunk, (size_t)n);
        close(ends[0]);
        int status = 1;
        if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && !str_overflowed(&out)) {
                AUTO(free) char *value = sv_dup(sv_trim(str_sv(&out)));
                setenv("SPARK_DIST_CLASSPATH", value, 1);
        }
}

/* The image copies the output into files when asked to; the shell's own process substitution does it, as there. */
static void add_log_files(struct strv *argv) {
        const char *dir = getenv("K8S_SPARK_LOG_PATH");
        if (!dir || !dir[0])
                return;
        (void)!fs_mkdirs(dir, 0755, NULL);
        struct strv wrapped = {0};
        strv_add(&wrapped, "/bin/bash");
        strv_add(&wrapped, "-c");
        strv_add(&wrapped, "exec \"$@\" > >(tee \"$K8S_SPARK_LOG_PATH/stdout\") 2> >(tee \"$K8S_SPARK_LOG_PATH/stderr\" >&2)");
        strv_add(&wrapped, "entrypoint.sh");
        for (size_t i = 0; i < argv->len; i++)
                strv_add(&wrapped, argv->items[i]);
        strv_done(argv);
        *argv = wrapped;
}

static pid_t child;

static void forward(int signal_number) {
        if (child > 0)
                kill(child, signal_number);
}

static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static int supervise(void) {
        for (;;) {
                int status = 0;
                pid_t pid = waitpid(-1, &status, 0);
                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid < 0)
                        return 255;
                if (pid == child && (WIFEXITED(status) || WIFSIGNALED(status)))
                        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
}

static int start(struct sparkcmd *c) {
        sigset_t all, before;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        child = fork();
        if (child < 0) {
                fprintf(stderr, "entrypoint: %s\n", strerror(errno));
                return 126;
        }
        if (child == 0) {
                sigprocmask(SIG_SETMASK, &before, NULL);
                for (size_t i = 0; i < c->env.len; i++)
                        putenv(c->env.items[i]);
                execvp(c->argv.items[0], c->argv.items);
                int code = errno == ENOENT ? 127 : 126;
                fprintf(stderr, "entrypoint: %s: %s\n", c->argv.items[0], strerror(errno));
                _exit(code);
        }
        struct sigaction action = {.sa_handler = forward};
        for (size_t i = 0; i < ARRAY_LEN(forwarded); i++)
                sigaction(forwarded[i], &action, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return 0;
}

int entrypoint_main(int argc, char **argv) {
        struct err err = ERR_INIT;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        static const char *const none[] = {NULL};
        add_user();
        add_hadoop();
        if (sparkcmd_build(argc > 1 ? (const char *const *)argv + 1 : none, (const char *const *)environ, &c, &err) < 0) {
                fprintf(stderr, "entrypoint: %s\n", err_message(&err));
                err_done(&err);
                return 1;
        }
        add_log_files(&c.argv);
        if (getpid() != 1)
                prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        int code = start(&c);
        if (code)
                return code;
        reexec_slim();
        return supervise();
}
