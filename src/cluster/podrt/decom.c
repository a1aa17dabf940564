#include "cluster/podrt/decom.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "cluster/podrt/reexec.h"

enum { LEAVE_TIMEOUT_MS = 60 * 1000, MAX_COMMAND = 1 << 20 };

/* A process that was started as java, with the class of an executor's main program among its arguments. */
static bool is_executor(const char *pid) {
        AUTO(free) char *path = xasprintf("/proc/%s/cmdline", pid);
        AUTO(str) struct str command = STR_INIT(MAX_COMMAND);
        struct sv program, rest;
        if (fs_read(path, MAX_COMMAND, &command, NULL) < 0)
                return false;
        rest = str_sv(&command);
        return sv_split(&rest, '\0', &program) && program.len && streq(fs_basename(program.data), "java") &&
               sv_find(rest, SV("Executor")) >= 0;
}

/* The oldest one: what it starts looks like it until the new program is there. False: none runs. */
static bool find_executor(struct procid *ret) {
        DIR *processes = opendir("/proc");
        bool found = false;
        for (struct dirent *e; processes && (e = readdir(processes));) {
                struct procid p;
                int64_t pid;
                if (!sv_to_int64(sv_of(e->d_name), &pid) || !is_executor(e->d_name) || procid_of((pid_t)pid, &p, NULL) < 0)
                        continue;
                if (!found || p.start_ticks < ret->start_ticks || (p.start_ticks == ret->start_ticks && p.pid < ret->pid))
                        *ret = p;
                found = true;
        }
        if (processes)
                closedir(processes);
        return found;
}

int decom_main(int argc, char **argv) {
        struct procid executor;
        int fd;
        if (!find_executor(&executor) || procid_open(&executor, &fd, NULL) < 0) {
                fprintf(stderr, "decommission: no executor runs in this container\n");
                return 1;
        }
        if (syscall(SYS_pidfd_send_signal, fd, SIGPWR, NULL, 0) < 0) {
                fprintf(stderr, "decommission: process %d: %s\n", (int)executor.pid, strerror(errno));
                return 1;
        }
        printf("decommission: process %d was told, waiting until it has left\n", (int)executor.pid);
        fflush(stdout);
        struct pollfd leaves = {.fd = fd, .events = POLLIN};
        bool has_left = poll(&leaves, 1, LEAVE_TIMEOUT_MS) > 0;
        printf("decommission: process %d %s\n", (int)executor.pid, has_left ? "has left" : "is still here after a minute");
        return 0;
}
