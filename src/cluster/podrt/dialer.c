#include "cluster/podrt/dialer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "cluster/hostport.h"
#include "cluster/podrt/fdpass.h"

enum { HOST_MAX = 256, CONNECT_MS = 10000 };

enum request_kind { REQUEST_TCP, REQUEST_UDP, REQUEST_LISTEN, REQUEST_LISTEN_UDP, REQUEST_ERRAND };

/* A request carries one end of a socket pair, on which its answer comes: answers need no numbers and no order. An errand's task is the
 * first thing that is read from there, in a file without a name. */
struct request {
        enum request_kind kind;
        char host[HOST_MAX];
        int port;
};

struct answer {
        int code; /* 0: a descriptor comes along */
        char text[256];
};

/* The last message of an errand. */
struct errand_answer {
        int code;
        bool has_hint;
        char message[2048], hint[512];
        size_t len;
        char text[DIALER_MAX_ANSWER];
};

struct dialer {
        int fd;
        pid_t pid;
};

/* ---- the helper ---- */

static int connect_within(const struct addrinfo *a) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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
        struct addrinfo hints = {.ai_socktype = q->kind == REQUEST_UDP ? SOCK_DGRAM : SOCK_STREAM,
                                 .ai_flags = q->kind == REQUEST_UDP ? AI_NUMERICHOST : AI_ADDRCONFIG},
                        *list = NULL;
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
        (void)!fdpass_send(reply, &a, sizeof a, fd);
}

static int bind_udp(const char *address, int port, int *ret_fd, struct err *err) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        AUTO(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1)
                return err_errno(err, fd < 0 ? -errno : -EINVAL, "UDP port %d on %s", port, address);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
                return errno == EADDRINUSE ? err_set(err, -EADDRINUSE, "UDP port %d on %s is taken", port, address)
                                           : err_errno(err, -errno, "UDP port %d on %s", port, address);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static void serve_listen(const struct request *q, int reply) {
        AUTO(err) struct err err = ERR_INIT;
        struct answer a = {0};
        int fd = -1, port = 0;
        a.code =
                q->kind == REQUEST_LISTEN_UDP ? bind_udp(q->host, q->port, &fd, &err) : hostport_listen(q->host, q->port, &fd, &port, &err);
        if (a.code < 0)
                snprintf(a.text, sizeof a.text, "%s", err_message(&err));
        (void)!fdpass_send(reply, &a, sizeof a, fd);
}

/* In a process of its own: reads the task, does it, answers. */
static void do_errand(dialer_errand *errand, int reply) {
        int task_fd = -1;
        char unused;
        AUTO(str) struct str task = STR_INIT(DIALER_MAX_TASK);
        AUTO(str) struct str answer = STR_INIT(DIALER_MAX_ANSWER);
        AUTO(err) struct err err = ERR_INIT;
        struct errand_answer *a = NEW(struct errand_answer);
        if (fdpass_receive(reply, &unused, 1, &task_fd) != 1 || task_fd < 0)
                _exit(1);
        char buffer[16384];
        for (ssize_t n; (n = read(task_fd, buffer, sizeof buffer)) > 0;)
                str_append(&task, buffer, (size_t)n);
        close(task_fd);
        signal(SIGCHLD, SIG_DFL); /* it may have children of its own */
        a->code = errand(str_sv(&task), &answer, &err);
        if (a->code == 0 && str_overflowed(&answer))
                a->code = err_set(&err, -EFBIG, "the answer is too long");
        if (a->code < 0) {
                snprintf(a->message, sizeof a->message, "%s", err_message(&err));
                snprintf(a->hint, sizeof a->hint, "%s", err.hint ? err.hint : "");
                a->has_hint = err.hint != NULL;
        } else {
                a->len = answer.len;
                memcpy(a->text, str_cstr(&answer), answer.len);
        }
        (void)!fdpass_send(reply, a, offsetof(struct errand_answer, text) + a->len, -1);
        _exit(0);
}

/* Stays beside the errand and ends it when nobody waits for it any more. */
static void mind_errand(dialer_errand *errand, int reply) {
        signal(SIGCHLD, SIG_DFL);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                do_errand(errand, reply);
        }
        int child = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd watched[2] = {{.fd = reply, .events = POLLRDHUP}, {.fd = child, .events = POLLIN}};
        while (child >= 0 && poll(watched, 2, -1) < 0 && errno == EINTR)
                ;
        if (child >= 0 && !watched[1].revents)
                kill(pid, SIGKILL);
        _exit(0);
}

static void helper(int fd, dialer_errand *errand) {
        prctl(PR_SET_NAME, "firesteel-dial");
        signal(SIGCHLD, SIG_IGN); /* the children are nobody's to wait for */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        for (;;) {
                struct request q;
                int reply = -1;
                ssize_t n = fdpass_receive(fd, &q, sizeof q, &reply);
                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        _exit(0);
                if (n == sizeof q && reply >= 0) {
                        q.host[HOST_MAX - 1] = '\0';
                        pid_t pid = fork(); /* resolving blocks */
                        if (pid == 0) {
                                prctl(PR_SET_PDEATHSIG, SIGKILL);
                                close(fd);
                                if (q.kind == REQUEST_ERRAND && errand)
                                        mind_errand(errand, reply);
                                else if (q.kind == REQUEST_LISTEN || q.kind == REQUEST_LISTEN_UDP)
                                        serve_listen(&q, reply);
                                else
                                        serve_request(&q, reply);
                                _exit(0);
                        }
                }
                if (reply >= 0)
                        close(reply);
        }
}

/* ---- the server's side ---- */

int dialer_start(dialer_errand *errand, struct dialer **ret, struct err *err) {
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
                helper(3, errand);
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
        bool is_listening; /* the answer's text says all */
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
        ssize_t n = fdpass_receive(d->fd, &a, sizeof a, &fd);
        AUTO(err) struct err err = ERR_INIT;
        if (n != sizeof a)
                err_set(&err, -ECONNABORTED, "connecting to %s: the helper for outgoing connections has ended", d->target);
        else if (fd < 0 && d->is_listening)
                err_set(&err, a.code < 0 ? a.code : -EIO, "%.*s", (int)sizeof a.text - 1, a.text);
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

static void start_dial(struct dialer *dialer, struct loop *l, enum request_kind kind, const char *host, int port,
                       void (*done)(void *arg, int fd, const struct err *err), void *arg) {
        struct dial *d = NEW(struct dial);
        *d = (struct dial){.loop = l,
                           .fd = -1,
                           .target = xasprintf("%s:%d", host, port),
                           .is_listening = kind == REQUEST_LISTEN || kind == REQUEST_LISTEN_UDP,
                           .done = done,
                           .arg = arg};
        struct request q = {.kind = kind, .port = port};
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
        int r = fdpass_send(dialer->fd, &q, sizeof q, pair[1]);
        close(pair[1]);
        if (r < 0) {
                err_errno(&d->failure, r, "connecting to %s", d->target);
                loop_post(l, on_refusal, d);
                return;
        }
        d->watch = fdwatch_new(l, d->fd, on_answer, d);
}

void dialer_connect(struct dialer *d, struct loop *l, const char *host, int port, void (*done)(void *arg, int fd, const struct err *err),
                    void *arg) {
        start_dial(d, l, REQUEST_TCP, host, port, done, arg);
}

void dialer_udp(struct dialer *d, struct loop *l, const char *address, int port, void (*done)(void *arg, int fd, const struct err *err),
                void *arg) {
        start_dial(d, l, REQUEST_UDP, address, port, done, arg);
}

void dialer_listen(struct dialer *d, struct loop *l, bool is_udp, const char *address, int port,
                   void (*done)(void *arg, int fd, const struct err *err), void *arg) {
        start_dial(d, l, is_udp ? REQUEST_LISTEN_UDP : REQUEST_LISTEN, address, port, done, arg);
}

/* ---- errands ---- */

struct dialer_task {
        struct loop *loop;
        int fd;
        struct fdwatch *watch;
        struct err failure;
        bool is_cancelled; /* before it could be refused */
        void (*done)(void *arg, struct sv answer, const struct err *err);
        void *arg;
};

static void task_free(struct dialer_task *t) {
        fdwatch_free(t->watch);
        if (t->fd >= 0)
                close(t->fd);
        err_done(&t->failure);
        free(t);
}

static void on_task_answer(void *arg) {
        struct dialer_task *t = arg;
        AUTO(free) struct errand_answer *a = NEW(struct errand_answer);
        AUTO(err) struct err err = ERR_INIT;
        int none = -1;
        ssize_t n = fdpass_receive(t->fd, a, sizeof *a, &none);
        if (n < (ssize_t)offsetof(struct errand_answer, text) || a->len != (size_t)n - offsetof(struct errand_answer, text)) {
                err_set(&err, -ECONNABORTED, "the helper process ended without an answer");
        } else if (a->code < 0) {
                a->message[sizeof a->message - 1] = a->hint[sizeof a->hint - 1] = '\0';
                err_set(&err, a->code, "%s", a->message);
                if (a->has_hint)
                        err_hint(&err, "%s", a->hint);
        }
        t->done(t->arg, err.code ? SV_NULL : sv_new(a->text, a->len), err.code ? &err : NULL);
        task_free(t);
}

static void on_task_refusal(void *arg) {
        struct dialer_task *t = arg;
        if (!t->is_cancelled)
                t->done(t->arg, SV_NULL, &t->failure);
        task_free(t);
}

static int put_task(int fd, struct sv task) {
        AUTO(fd) int file = memfd_create("task", MFD_CLOEXEC);
        if (file < 0)
                return -errno;
        int r = fs_write_all(file, task.data, task.len);
        if (r == 0 && lseek(file, 0, SEEK_SET) < 0)
                r = -errno;
        return r < 0 ? r : fdpass_send(fd, "t", 1, file);
}

struct dialer_task *dialer_send(struct dialer *d, struct loop *l, struct sv task,
                                void (*done)(void *arg, struct sv answer, const struct err *err), void *arg) {
        struct dialer_task *t = NEW(struct dialer_task);
        *t = (struct dialer_task){.loop = l, .fd = -1, .done = done, .arg = arg};
        struct request q = {.kind = REQUEST_ERRAND};
        int pair[2] = {-1, -1};
        int r = task.len > DIALER_MAX_TASK ? -E2BIG : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
        if (r == 0)
                r = put_task(pair[0], task);
        if (r == 0)
                r = fdpass_send(d->fd, &q, sizeof q, pair[1]);
        if (pair[1] >= 0)
                close(pair[1]);
        t->fd = pair[0];
        if (r < 0) {
                err_errno(&t->failure, r, "asking the helper process");
                loop_post(l, on_task_refusal, t);
        } else {
                t->watch = fdwatch_new(l, t->fd, on_task_answer, t);
        }
        return t;
}

void dialer_cancel(struct dialer_task *t) {
        if (t->failure.code)
                t->is_cancelled = true; /* its refusal is on the way */
        else
                task_free(t); /* closing the socket is what the other side waits for */
}
