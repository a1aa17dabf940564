#include "cluster/podrt/reexec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "cluster/podrt/decom.h"
#include "cluster/podrt/entrypoint.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/shim.h"

static const struct {
        const char *name;
        int (*main)(int argc, char **argv);
} faces[] = {
    {REEXEC_HOLDER, holder_main},
    {REEXEC_SHIM, shim_main},
    {REEXEC_ENTRYPOINT, entrypoint_main},
    {REEXEC_DECOM, decom_main},
};

bool reexec_dispatch(int argc, char **argv, int *ret) {
        if (argc < 1)
                return false;
        const char *name = fs_basename(argv[0]);
        for (size_t i = 0; i < ARRAY_LEN(faces); i++)
                if (streq(name, faces[i].name)) {
                        *ret = faces[i].main(argc, argv);
                        return true;
                }
        return false;
}

void reexec_slim(void) {
        AUTO(str) struct str maps = STR_INIT(1 << 20);
        if (fs_read("/proc/self/maps", 1 << 20, &maps, NULL) < 0)
                return;
        struct sv rest = str_sv(&maps), line;
        while (sv_split(&rest, '\n', &line)) {
                /* Only code: it is never written, so nothing can be lost. "from-to r-xp offset dev inode /path" */
                if (sv_find(line, SV(" r-xp ")) < 0 || sv_find(line, SV(" /")) < 0)
                        continue;
                char *end = NULL;
                uintptr_t from = strtoull(line.data, &end, 16), to = end && *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
                if (to > from)
                        madvise((void *)from, to - from, MADV_DONTNEED);
        }
}

enum { SPAWN_MAX_FDS = 8 };

/* In the child: descriptors go above all targets first, so that no target overwrites a source. */
static int place_descriptors(const int *keep, size_t keep_count, int output) {
        int high[SPAWN_MAX_FDS];
        int out = output >= 0 ? fcntl(output, F_DUPFD, 3 + SPAWN_MAX_FDS) : -1;
        if (output >= 0 && out < 0)
                return -errno;
        for (size_t i = 0; i < keep_count; i++) {
                high[i] = fcntl(keep[i], F_DUPFD, 3 + SPAWN_MAX_FDS);
                if (high[i] < 0)
                        return -errno;
        }
        int null = open("/dev/null", O_RDWR);
        if (null < 0)
                return -errno;
        for (int fd = 0; fd < 3; fd++)
                if (dup2(fd > 0 && out >= 0 ? out : null, fd) < 0)
                        return -errno;
        for (size_t i = 0; i < keep_count; i++)
                if (dup2(high[i], 3 + (int)i) < 0)
                        return -errno;
        syscall(SYS_close_range, 3 + (unsigned)keep_count, ~0U, 0);
        return 0;
}

int reexec_spawn(const char *program, const char *const *argv, const int *keep, size_t keep_count, int output, pid_t *ret,
                 struct err *err) {
        if (keep_count > SPAWN_MAX_FDS)
                return err_set(err, -EINVAL, "too many descriptors for %s", argv[0]);
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pid_t pid = fork();
        if (pid == 0) {
                /* A fresh process: no handler or mask of ours. */
                for (int s = 1; s < NSIG; s++)
                        signal(s, SIG_DFL);
                sigset_t none;
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                setsid();
                if (place_descriptors(keep, keep_count, output) == 0)
                        execv(program, (char *const *)argv);
                _exit(127);
        }
        int r = -errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (pid < 0)
                return err_errno(err, r, "starting %s", argv[0]);
        *ret = pid;
        return 0;
}

int procid_of(pid_t pid, struct procid *ret, struct err *err) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        AUTO(str) struct str text = STR_INIT(8192);
        int r = fs_read(path, 8192, &text, NULL);
        if (r < 0)
                return err_set(err, -ESRCH, "process %d is gone", (int)pid);
        /* The name in parentheses may hold anything; fields are counted after the last one. */
        const char *p = strrchr(str_cstr(&text), ')');
        for (int field = 2; p && field < 22; field++) {
                p = strchr(p + 1, ' ');
                if (p && field == 2 && (p[1] == 'Z' || p[1] == 'X'))
                        return err_set(err, -ESRCH, "process %d has ended", (int)pid);
        }
        if (!p)
                return err_set(err, -EPROTO, "%s: unexpected form", path);
        *ret = (struct procid){.pid = pid, .start_ticks = strtoull(p + 1, NULL, 10)};
        return 0;
}

bool procid_is_alive(const struct procid *p) {
        struct procid now;
        return p->pid > 0 && procid_of(p->pid, &now, NULL) == 0 && now.start_ticks == p->start_ticks;
}

int procid_open(const struct procid *p, int *ret_fd, struct err *err) {
        int fd = p->pid > 0 ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
        /* Checked after opening: the descriptor keeps meaning the process that was checked. */
        if (fd < 0 || !procid_is_alive(p)) {
                if (fd >= 0)
                        close(fd);
                return err_set(err, -ESRCH, "process %d is gone", (int)p->pid);
        }
        *ret_fd = fd;
        return 0;
}
