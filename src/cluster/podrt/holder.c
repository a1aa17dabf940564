#include "cluster/podrt/holder.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"
#include "cluster/podrt/isolation.h"
#include "cluster/podrt/userns.h"
#include "codec/json.h"

enum { START_TIMEOUT_MS = 20000, TALK_FD = 3 };

/* What starter and holder say to each other over a socket pair, one message each way at a time. */
struct talk {
        char kind;       /* 'M' map my ids, 'G' go on, 'R' ready, 'E' error */
        char text[1023]; /* of 'E' */
};

static char *record_path(const char *dir) { return fs_join(dir, "holder.json"); }

/* ---- the starter's side ---- */

static int hear(int fd, pid_t pid, struct talk *t, struct err *err) {
        struct timeval limit = {.tv_sec = START_TIMEOUT_MS / 1000};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ssize_t n;
        do /* with a time limit it is not restarted by itself when a signal, of another child's end, comes in between */
                n = recv(fd, t, sizeof *t, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_errno(err, -errno, "waiting for the namespace holder (process %d)", (int)pid);
        if (n == 0)
                return err_set(err, -ECHILD, "the namespace holder ended without a word");
        if (t->kind != 'E')
                return 0;
        t->text[sizeof t->text - 1] = '\0';
        return err_set(err, -EPERM, "%s", t->text);
}

static int converse(int fd, pid_t pid, struct holder *h, struct err *err) {
        struct talk t = {0};
        int r = hear(fd, pid, &t, err);
        if (r == 0 && t.kind == 'M') {
                h->has_user_namespace = true;
                if ((r = userns_map(pid, &h->has_subordinate_ids, err)) < 0)
                        return r;
                t.kind = 'G';
                if (send(fd, &t, 1, MSG_NOSIGNAL) < 0)
                        return err_errno(err, -errno, "talking to the namespace holder");
                r = hear(fd, pid, &t, err);
        }
        return r;
}

static int write_record(const char *dir, const struct holder *h, const struct podnet_ranges *ranges, struct err *err) {
        AUTO(free) char *path = record_path(dir);
        char pods[IPV4_SIZE], services[IPV4_SIZE];
        ipv4_format(ranges->pods.network, pods);
        ipv4_format(ranges->services.network, services);
        AUTO(free) char *text =
                xasprintf("{\"pid\":%d,\"startTicks\":%llu,\"userNamespace\":%s,\"subordinateIds\":%s,\"podCIDR\":\"%s/%d\","
                          "\"serviceCIDR\":\"%s/%d\"}\n",
                          (int)h->proc.pid, (unsigned long long)h->proc.start_ticks, h->has_user_namespace ? "true" : "false",
                          h->has_subordinate_ids ? "true" : "false", pods, ranges->pods.prefix, services, ranges->services.prefix);
        return fs_write_atomic(path, sv_of(text), 0600, err);
}

int holder_find(const char *dir, struct holder *ret, struct err *err) {
        AUTO(free) char *path = record_path(dir);
        AUTO(str) struct str text = STR_INIT(4096);
        AUTO(json) yyjson_doc *doc = NULL;
        if (!fs_exists(path))
                return err_set(err, -ENOENT, "no namespace holder is recorded in %s", dir);
        int r = fs_read(path, 4096, &text, err);
        if (r < 0 || (r = json_parse(str_sv(&text), &doc, err)) < 0)
                return err_wrap(err, r, "%s", path);
        yyjson_val *root = yyjson_doc_get_root(doc);
        struct holder h = {
                .proc = {.pid = (pid_t)json_get_int(root, "pid", 0), .start_ticks = (uint64_t)json_get_int(root, "startTicks", 0)},
                .has_user_namespace = json_get_bool(root, "userNamespace", false),
                .has_subordinate_ids = json_get_bool(root, "subordinateIds", false)};
        if (!procid_is_alive(&h.proc))
                return err_set(err, -ENOENT, "the namespace holder recorded in %s has ended", path);
        *ret = h;
        return 0;
}

int holder_start(const struct holder_options *o, struct holder *ret, struct err *err) {
        if (holder_find(o->dir, ret, NULL) == 0)
                return 0;
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_errno(err, -errno, "making a socket pair");
        AUTO(fd) int ours = pair[0];
        AUTO(fd) int theirs = pair[1];
        char pods[IPV4_SIZE], services[IPV4_SIZE];
        ipv4_format(o->ranges.pods.network, pods);
        ipv4_format(o->ranges.services.network, services);
        AUTO(free) char *pod_range = xasprintf("%s/%d", pods, o->ranges.pods.prefix);
        AUTO(free) char *service_range = xasprintf("%s/%d", services, o->ranges.services.prefix);
        const char *argv[] = {REEXEC_HOLDER, pod_range, service_range, o->dir, NULL};
        struct holder h = {0};
        pid_t pid = -1;
        int r = reexec_spawn(o->program ? o->program : "/proc/self/exe", argv, &theirs, 1, -1, &pid, err);
        if (r < 0)
                return r;
        close(TAKE_FD(theirs));
        r = converse(ours, pid, &h, err);
        if (r == 0)
                r = procid_of(pid, &h.proc, err);
        if (r == 0)
                r = write_record(o->dir, &h, &o->ranges, err);
        if (r == 0 && send(ours, &(struct talk){.kind = 'G'}, 1, MSG_NOSIGNAL) < 0)
                r = err_errno(err, -errno, "talking to the namespace holder");
        if (r < 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return err_wrap(err, r, "starting the namespace holder");
        }
        *ret = h;
        return 0;
}

int holder_enter(const struct holder *h, struct err *err) {
        AUTO(fd) int fd = -1;
        int r = procid_open(&h->proc, &fd, err);
        if (r < 0)
                return err_wrap(err, r, "entering the instance's namespaces");
        if (setns(fd, (h->has_user_namespace ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return err_errno(err, -errno, "entering the namespaces of process %d", (int)h->proc.pid);
        if (h->has_user_namespace && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                return err_errno(err, -errno, "becoming the root of the user namespace");
        return 0;
}

int holder_stop(const char *dir, struct err *err) {
        struct holder h;
        AUTO(free) char *path = record_path(dir);
        struct err e = ERR_INIT;
        int r = holder_find(dir, &h, &e);
        if (r == 0) {
                AUTO(fd) int fd = -1;
                if (procid_open(&h.proc, &fd, NULL) == 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                        return err_errno(err, -errno, "ending the namespace holder (process %d)", (int)h.proc.pid);
                waitpid(h.proc.pid, NULL, 0); /* when it is our own child */
        } else if (r != -ENOENT) {
                err_move(err, &e);
                return r;
        }
        err_done(&e);
        unlink(path);
        return 0;
}

/* ---- the holder itself ---- */

static int complain(const char *what, int error) {
        struct talk t = {.kind = 'E'};
        snprintf(t.text, sizeof t.text, "%s: %s", what, strerror(error));
        (void)!send(TALK_FD, &t, sizeof t, MSG_NOSIGNAL);
        return 1;
}

static bool is_mounted_cgroup2(const char *path) {
        AUTO(free) char *file = fs_join(path, "cgroup.procs");
        return fs_exists(file);
}

/* crun refuses a hybrid hierarchy: in our mount namespace the version 2 part of it is taken away. Without privilege version 1 groups are
 * of no use, and an empty directory makes crun leave them alone. Plain version 2 stays as it is. */
static int tidy_cgroups(bool in_user_namespace) {
        if (is_mounted_cgroup2("/sys/fs/cgroup"))
                return 0;
        if (!in_user_namespace) {
                if (is_mounted_cgroup2("/sys/fs/cgroup/unified") && umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0)
                        return -errno;
                return 0;
        }
        if (fs_is_dir("/sys/fs/cgroup") &&
            mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755") < 0)
                return -errno;
        return 0;
}

static int become_holder(const struct podnet_ranges *ranges) {
        bool user = !isolation_is_root();
        if (user) {
                if (unshare(CLONE_NEWUSER) < 0)
                        return complain("this machine lets ordinary users make no user namespace", errno);
                struct talk t = {.kind = 'M'};
                if (send(TALK_FD, &t, 1, MSG_NOSIGNAL) < 0 || recv(TALK_FD, &t, sizeof t, 0) < 1 || t.kind != 'G')
                        return 1;
                if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                        return complain("becoming the root of the user namespace", errno);
        }
        /* ipc and uts too: whoever makes a pod's has to come back to his own, which only its user namespace's root may. */
        if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return complain("making mount and network namespaces", errno);
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return complain("detaching the mount namespace", errno);
        int r = tidy_cgroups(user);
        if (r < 0)
                return complain("arranging /sys/fs/cgroup", -r);
        struct err err = ERR_INIT;
        if (podnet_init(ranges, &err) < 0) {
                struct talk t = {.kind = 'E'};
                snprintf(t.text, sizeof t.text, "making the cluster network: %s", err_message(&err));
                (void)!send(TALK_FD, &t, sizeof t, MSG_NOSIGNAL);
                return 1;
        }
        return 0;
}

int holder_main(int argc, char **argv) {
        struct podnet_ranges ranges;
        if (argc < 3 || cidr_parse(argv[1], &ranges.pods, NULL) < 0 || cidr_parse(argv[2], &ranges.services, NULL) < 0) {
                fprintf(stderr, "%s is started by firesteel itself\n", argv[0]);
                return 2;
        }
        if (become_holder(&ranges) != 0)
                return 1;
        if (chdir("/") < 0)
                return complain("changing to /", errno);
        sigset_t ends;
        sigemptyset(&ends);
        sigaddset(&ends, SIGTERM);
        sigprocmask(SIG_BLOCK, &ends, NULL);
        signal(SIGHUP, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGCHLD, SIG_IGN);
        struct talk t = {.kind = 'R'};
        /* It stays only when it is on record: one whose starter was killed in between would be found by nobody. */
        if (send(TALK_FD, &t, 1, MSG_NOSIGNAL) < 0 || recv(TALK_FD, &t, sizeof t, 0) < 1)
                return 1;
        close(TALK_FD);
        reexec_slim();
        int which = 0;
        sigwait(&ends, &which);
        return 0;
}
