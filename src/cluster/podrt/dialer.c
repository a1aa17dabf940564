#include "cluster/podrt/dialer.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { HOST_MAX = 256, CONNECT_MS = 10000 };

/* A request carries one end of a socket pair, on which its answer comes: answers need no numbers and no order. */
struct request {
        char host[HOST_MAX];
        int port;
};

struct answer {
        int code; /* 0: a descriptor comes along */
        char text[256];
};

struct dialer {
        int fd;
        pid_t pid;
};

static int send_with_fd(int fd, const void *data, size_t len, int passed) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec part = {(void *)(uintptr_t)data, len};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (passed >= 0) {
                m.msg_control = control.space;
                m.msg_controllen = sizeof control.space;
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &passed, sizeof passed);
        }
        return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Length received, 0 at the end, negative errno; *ret_passed is -1 when nothing came along. */
static ssize_t receive_with_fd(int fd, void *data, size_t len, int *ret_passed) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec part = {data, len};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
        ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        *ret_passed = -1;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(ret_passed, CMSG_DATA(c), sizeof *ret_passed);
        return n;
}

/* ---- the helper ---- */

static int connect_within(const struct addrinfo *a) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        int r = connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
        if (r == -EINPROGRESS) {
                struct pollfd p = {.fd = fd, .events = POLLOUT};
                socklen_t len = sizeof r;
                int error = ETIMEDOUT;
                if (poll(&p, 1, CONNECT_MS) > 0)
                        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
                r = -error;
        }
        if (r < 0) {
                close(fd);
                return r;
        }
        return fd;
}

static void serve_request(const struct request *q, int reply) {
        struct answer a = {.code = -EHOSTUNREACH};
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
        char port[8];
        int fd = -1;
        snprintf(port, sizeof port, "%d", q->port);
        int r = getaddrinfo(q->host, port, &hints, &list);
        if (r != 0) {
                snprintf(a.text, sizeof a.text, "%s", gai_strerror(r));
        }
        for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next) {
                fd = connect_within(i);
                a.code = fd < 0 ? fd : 0;
        }
        if (fd < 0 && !a.text[0])
                snprintf(a.text, sizeof a.text, "%s", strerror(-a.code));
        (void)!send_with_fd(reply, &a, sizeof a, fd);
}

static void helper(int fd) {
        prctl(PR_SET_NAME, "firesteel-dial");
        signal(SIGCHLD, SIG_IGN); /* the children are nobody's to wait for */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        for (;;) {
                struct request q;
                int reply = -1;
                ssize_t n = receive_with_fd(fd, &q, sizeof q, &reply);
                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        _exit(0);
                if (n == sizeof q && reply >= 0) {
                        q.host[HOST_MAX - 1] = '\0';
                        pid_t pid = fork(); /* resolving blocks */
                        if (pid == 0) {
                                serve_request(&q, reply);
                                _exit(0);
                        }
                }
                if (reply >= 0)
                        close(reply);
        }
}

/* ---- the server's side ---- */

int dialer_start(struct dialer **ret, struct err *err) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_errno(err, -errno, "making a socket pair");
        pid_t pid = fork();
        if (pid < 0) {
                int r = -errno;
                close(pair[0]);
                close(pair[1]);
                return err_errno(err, r, "starting the helper for outgoing connections");
        }
        if (pid == 0) {
                /* Nothing of the server's may be kept open here: locks, listeners, reports. */
                int null = open("/dev/null", O_RDWR);
                dup2(null, 0);
                dup2(null, 1);
                dup2(null, 2);
                dup2(pair[1], 3);
                syscall(SYS_close_range, 4, ~0U, 0);
                helper(3);
        }
        close(pair[1]);
        struct dialer *d = NEW(struct dialer);
        *d = (struct dialer){.fd = pair[0], .pid = pid};
        *ret = d;
        return 0;
}

void dialer_free(struct dialer *d) {
        if (!d)
                return;
        close(d->fd);
        while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        free(d);
}

struct dial {
        struct loop *loop;
        int fd;
        struct fdwatch *watch;
        char *target;
        struct err failure; /* of the request itself */
        void (*done)(void *arg, int fd, const struct err *err);
        void *arg;
};

static void dial_free(struct dial *d) {
        fdwatch_free(d->watch);
        if (d->fd >= 0)
                close(d->fd);
        err_done(&d->failure);
        free(d->target);
        free(d);
}

static void on_answer(void *arg) {
        struct dial *d = arg;
        struct answer a = {0};
        int fd = -1;
        ssize_t n = receive_with_fd(d->fd, &a, sizeof a, &fd);
        AUTO(err) struct err err = ERR_INIT;
        if (n != sizeof a)
                err_set(&err, -ECONNABORTED, "connecting to %s: the helper for outgoing connections has ended", d->target);
        else if (fd < 0)
                err_set(&err, a.code < 0 ? a.code : -EHOSTUNREACH, "connecting to %s: %.*s", d->target, (int)sizeof a.text - 1, a.text);
        if (fd >= 0)
                (void)!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        d->done(d->arg, fd, fd < 0 ? &err : NULL);
        dial_free(d);
}

static void on_refusal(void *arg) {
        struct dial *d = arg;
        d->done(d->arg, -1, &d->failure);
        dial_free(d);
}

void dialer_connect(struct dialer *dialer, struct loop *l, const char *host, int port, void (*done)(void *arg, int fd, const struct err *err), void *arg) {
        struct dial *d = NEW(struct dial);
        *d = (struct dial){.loop = l, .fd = -1, .target = xasprintf("%s:%d", host, port), .done = done, .arg = arg};
        struct request q = {.port = port};
        int pair[2];
        if (strlen(host) >= sizeof q.host || port < 1 || port > 65535) {
                err_set(&d->failure, -EINVAL, "connecting to %s: not an address", d->target);
                loop_post(l, on_refusal, d);
                return;
        }
        memcpy(q.host, host, strlen(host) + 1);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
                err_errno(&d->failure, -errno, "connecting to %s", d->target);
                loop_post(l, on_refusal, d);
                return;
        }
        d->fd = pair[0];
        int r = send_with_fd(dialer->fd, &q, sizeof q, pair[1]);
        close(pair[1]);
        if (r < 0) {
                err_errno(&d->failure, r, "connecting to %s", d->target);
                loop_post(l, on_refusal, d);
                return;
        }
        d->watch = fdwatch_new(l, d->fd, on_answer, d);
}
