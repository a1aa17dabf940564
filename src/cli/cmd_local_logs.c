/* firesteel local logs and kubeconfig. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/fs.h"
#include "cli/local.h"

/* Where the last `lines` lines begin. */
static off_t tail_offset(int fd, off_t size, int64_t lines) {
        char chunk[8192];
        off_t at = size;
        int64_t seen = 0;
        while (at > 0) {
                size_t want = at < (off_t)sizeof chunk ? (size_t)at : sizeof chunk;
                if (pread(fd, chunk, want, at - (off_t)want) != (ssize_t)want)
                        return 0;
                for (size_t i = want; i-- > 0;)
                        if (chunk[i] == '\n' && at - (off_t)want + (off_t)i + 1 < size && ++seen >= lines)
                                return at - (off_t)want + (off_t)i + 1;
                at -= (off_t)want;
        }
        return 0;
}

/* Copies from the current offset to the end of file. */
static int copy_rest(int fd, struct err *err) {
        char chunk[16384];
        for (;;) {
                ssize_t n = read(fd, chunk, sizeof chunk);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? err_errno(err, -errno, "reading the log") : 0;
                if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout) != 0)
                        return err_errno(err, -errno, "writing to standard output");
        }
}

static int run_logs(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        int r = local_open(ctx, &i, err);
        if (r < 0)
                return r;
        AUTO(free) char *path = instance_path(&i, "server.log");
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return local_not_running(&i);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, -errno, "%s", path);
        int64_t lines = option_int(&ctx->o, "tail");
        lseek(fd, lines < 0 ? 0 : lines == 0 ? st.st_size : tail_offset(fd, st.st_size, lines), SEEK_SET);
        AUTO(fd) int notify = inotify_init1(IN_CLOEXEC);
        if (option_on(&ctx->o, "follow") && (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF) < 0))
                return err_errno(err, -errno, "watching %s", path);
        for (;;) {
                r = copy_rest(fd, err);
                if (r == -EPIPE) /* `| head` has seen enough */
                        return EXIT_OK;
                if (r < 0 || !option_on(&ctx->o, "follow"))
                        return r < 0 ? r : EXIT_OK;
                _Alignas(struct inotify_event) char buffer[4096];
                ssize_t n = read(notify, buffer, sizeof buffer);
                if (n < 0 && errno != EINTR)
                        return err_errno(err, -errno, "watching %s", path);
                for (ssize_t at = 0; at < n;) {
                        const struct inotify_event *e = (const struct inotify_event *)(buffer + at);
                        if (e->mask & (IN_MOVE_SELF | IN_DELETE_SELF))
                                return copy_rest(fd, err) < 0 ? EXIT_FAILED : EXIT_OK;
                        at += (ssize_t)(sizeof *e + e->len);
                }
        }
}

const struct cmd cmd_local_logs = {
        .name = "logs",
        .summary = "Show what the server of an instance said",
        .description = "The server's own log. What pods print is shown by \"firesteel logs\" and \"kubectl logs\".",
        .options = (const struct option[]){LOCAL_OPTION_NAME,
                                           {"follow", 'f', OPTION_SWITCH, NULL, "go on as more is said"},
                                           {"tail", 0, OPTION_INT, "LINES", "only the last lines; -1 for all", "-1", .min = -1},
                                           {0}},
        .run = run_logs,
};

static int run_kubeconfig(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        int r = local_open(ctx, &i, err);
        if (r < 0)
                return r;
        AUTO(free) char *path = instance_path(&i, "kubeconfig");
        if (!fs_exists(path))
                return local_not_running(&i);
        puts(path);
        return EXIT_OK;
}

const struct cmd cmd_local_kubeconfig = {
        .name = "kubeconfig",
        .summary = "Print the path of an instance's kubeconfig",
        .options = (const struct option[]){LOCAL_OPTION_NAME, {0}},
        .examples = (const struct cmd_example[]){{NULL, "export KUBECONFIG=$(firesteel local kubeconfig)"}, {0}},
        .run = run_kubeconfig,
};
