#include "cluster/podrt/userns.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fs.h"

enum { MAX_SUBIDS = 65536 };

/* ---- ids ---- */

struct subids {
        unsigned long start, count; /* count 0: none */
};

/* The user's first range in /etc/subuid or /etc/subgid. */
static struct subids subids_of(const char *path, const char *user, uid_t uid) {
        AUTO(str) struct str text = STR_INIT(1 << 20);
        struct subids ids = {0};
        if (fs_read(path, 1 << 20, &text, NULL) < 0)
                return ids;
        char number[16];
        snprintf(number, sizeof number, "%u", uid);
        struct sv rest = str_sv(&text), line;
        while (sv_split(&rest, '\n', &line)) {
                struct sv name, start, count = line;
                int64_t first = 0, many = 0;
                if (!sv_split(&count, ':', &name) || !sv_split(&count, ':', &start) || (!sv_eqs(name, user) && !sv_eqs(name, number)))
                        continue;
                if (sv_to_int64(start, &first) && sv_to_int64(sv_trim(count), &many) && first > 0 && many > 0) {
                        ids.start = (unsigned long)first;
                        ids.count = many > MAX_SUBIDS ? MAX_SUBIDS : (unsigned long)many;
                        return ids;
                }
        }
        return ids;
}

static int run_map_tool(const char *tool, pid_t pid, unsigned own, struct subids ids) {
        char p[16], o[16], start[24], count[24];
        snprintf(p, sizeof p, "%d", (int)pid);
        snprintf(o, sizeof o, "%u", own);
        snprintf(start, sizeof start, "%lu", ids.start);
        snprintf(count, sizeof count, "%lu", ids.count);
        pid_t child = fork();
        if (child == 0) {
                int null = open("/dev/null", O_RDWR);
                dup2(null, 1);
                dup2(null, 2);
                execlp(tool, tool, p, "0", o, "1", "1", start, count, (char *)NULL);
                _exit(127);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int write_proc(pid_t pid, const char *file, const char *text, struct err *err) {
        AUTO(free) char *path = xasprintf("/proc/%d/%s", (int)pid, file);
        AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        int r = fs_write_all(fd, text, strlen(text));
        return r < 0 ? err_errno(err, r, "writing %s", path) : 0;
}

int userns_map(pid_t pid, bool *ret_subids, struct err *err) {
        struct passwd *pw = getpwuid(getuid());
        const char *user = pw ? pw->pw_name : "";
        struct subids uids = subids_of("/etc/subuid", user, getuid()), gids = subids_of("/etc/subgid", user, getuid());
        *ret_subids = uids.count && gids.count && run_map_tool("newuidmap", pid, getuid(), uids) == 0 &&
                      run_map_tool("newgidmap", pid, getgid(), gids) == 0;
        if (*ret_subids)
                return 0;
        char map[64];
        int r = write_proc(pid, "setgroups", "deny", err);
        if (r < 0)
                return r;
        snprintf(map, sizeof map, "0 %u 1", getuid());
        if ((r = write_proc(pid, "uid_map", map, err)) < 0)
                return r;
        snprintf(map, sizeof map, "0 %u 1", getgid());
        return write_proc(pid, "gid_map", map, err);
}

/* ---- work as root of one ---- */

struct report {
        int code;
        char message[1024];
        size_t len;
        char answer[USERNS_MAX_ANSWER];
};

static void fail(struct report *r, const char *what) {
        r->code = -errno;
        snprintf(r->message, sizeof r->message, "%s: %s", what, strerror(errno));
}

/* The child: asks to be mapped, works, reports. */
static void work(int fd, int (*fn)(void *arg, struct str *answer, struct err *err), void *arg) {
        struct report *r = NEW(struct report);
        AUTO(str) struct str answer = STR_INIT(USERNS_MAX_ANSWER);
        AUTO(err) struct err err = ERR_INIT;
        char go;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWUSER) < 0) {
                fail(r, "making a user namespace");
        } else if (send(fd, "M", 1, MSG_NOSIGNAL) != 1 || recv(fd, &go, 1, 0) != 1) {
                fail(r, "waiting for the ids");
        } else if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
                fail(r, "becoming the root of the user namespace");
        } else if ((r->code = fn(arg, &answer, &err)) < 0) {
                snprintf(r->message, sizeof r->message, "%s", err_message(&err));
        } else {
                r->len = answer.len;
                memcpy(r->answer, str_cstr(&answer), answer.len);
        }
        (void)!send(fd, r, sizeof *r, MSG_NOSIGNAL);
        _exit(0);
}

static int await(int fd, pid_t pid, struct str *ret, struct err *err) {
        AUTO(free) struct report *r = NEW(struct report);
        ssize_t n = recv(fd, r, sizeof *r, 0);
        bool has_subids;
        if (n == 1) { /* it wants its ids */
                int code = userns_map(pid, &has_subids, err);
                if (code < 0)
                        return code;
                n = send(fd, "G", 1, MSG_NOSIGNAL) == 1 ? recv(fd, r, sizeof *r, 0) : 0;
        }
        if (n != sizeof *r)
                return err_set(err, -ECHILD, "the process in the user namespace ended without a word");
        if (r->code < 0)
                return err_set(err, r->code, "%.*s", (int)sizeof r->message - 1, r->message);
        str_append(ret, r->answer, r->len < sizeof r->answer ? r->len : 0);
        return 0;
}

int userns_run(int (*fn)(void *arg, struct str *answer, struct err *err), void *arg, struct str *ret_answer, struct err *err) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_errno(err, -errno, "making a socket pair");
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                close(pair[0]);
                work(pair[1], fn, arg);
        }
        int code = pid < 0 ? -errno : 0;
        close(pair[1]);
        code = code < 0 ? err_errno(err, code, "starting a process in a user namespace") : await(pair[0], pid, ret_answer, err);
        close(pair[0]); /* one that still waits ends now */
        if (pid > 0)
                waitpid(pid, NULL, 0);
        return code;
}
