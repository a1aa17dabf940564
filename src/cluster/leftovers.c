#include "cluster/leftovers.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/shim.h"

enum { MAX_DEPTH = 6, END_TIMEOUT_MS = 10000 };

/* Every directory below with a shim's record is a container's. */
static void find_shims(const char *dir, int depth, void (*found)(void *arg, const struct procid *shim), void *arg) {
        struct procid shim;
        if (shim_find(dir, &shim, NULL) >= 0) {
                if (procid_is_alive(&shim))
                        found(arg, &shim);
                return; /* its root file system lies below: nothing of ours */
        }
        DIR *d = depth < MAX_DEPTH ? opendir(dir) : NULL;
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] == '.' || e->d_type != DT_DIR)
                        continue;
                AUTO(free) char *below = fs_join(dir, e->d_name);
                find_shims(below, depth + 1, found, arg);
        }
        if (d)
                closedir(d);
}

static void count_one(void *arg, const struct procid *shim) { ++*(int *)arg; }

int leftovers_count(const struct instance *i) {
        int count = 0;
        struct holder h;
        AUTO(free) char *pods = instance_path(i, "pods");
        find_shims(pods, 0, count_one, &count);
        if (holder_find(i->dir, &h, NULL) >= 0)
                count++;
        return count;
}

struct ending {
        VEC(int) pidfds;
};

static void end_one(void *arg, const struct procid *shim) {
        struct ending *ending = arg;
        int fd;
        if (procid_open(shim, &fd, NULL) < 0)
                return;
        syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
        *vec_push(&ending->pidfds) = fd;
}

int leftovers_end(const struct instance *i, struct err *err) {
        struct ending ending = {0};
        AUTO(free) char *pods = instance_path(i, "pods");
        find_shims(pods, 0, end_one, &ending);
        int count = (int)ending.pidfds.len, stubborn = 0;
        vec_foreach(fd, &ending.pidfds) {
                struct pollfd p = {.fd = *fd, .events = POLLIN};
                if (poll(&p, 1, END_TIMEOUT_MS) == 0) {
                        syscall(SYS_pidfd_send_signal, *fd, SIGKILL, NULL, 0);
                        stubborn += poll(&p, 1, 1000) == 0;
                }
                close(*fd);
        }
        vec_done(&ending.pidfds);
        if (stubborn > 0)
                return err_set(err, -EBUSY, "%d containers of instance \"%s\" could not be ended", stubborn, i->name);
        struct holder h;
        if (holder_find(i->dir, &h, NULL) >= 0)
                count++;
        int r = holder_stop(i->dir, err);
        return r < 0 ? err_wrap(err, r, "ending the namespaces of instance \"%s\"", i->name) : count;
}

int leftovers_remove(const struct instance *i, struct err *err) {
        int r = fs_remove_tree(i->dir, err);
        if (r == -EACCES || r == -EPERM)
                err_hint(err, "some files belong to other users of containers; remove %s as root", i->dir);
        return r < 0 ? err_wrap(err, r, "removing instance \"%s\"", i->name) : 0;
}
