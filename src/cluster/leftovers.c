#include "cluster/leftovers.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "cluster/historian.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/shim.h"
#include "cluster/podrt/userns.h"

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
        struct procid history;
        if (historian_find(i, &history, NULL) >= 0)
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

/* Control groups are directories that only rmdir removes, innermost first; one with processes stays. */
static void remove_group(const char *path, int depth) {
        DIR *d = depth < MAX_DEPTH ? opendir(path) : NULL;
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_type != DT_DIR || e->d_name[0] == '.')
                        continue;
                AUTO(free) char *below = fs_join(path, e->d_name);
                remove_group(below, depth + 1);
        }
        if (d)
                closedir(d);
        rmdir(path);
}

/* Below one hierarchy: the groups of this instance's pods, and then those above them when they are empty. Another instance of the
 * same name (of another state directory) has other pods and keeps its groups. */
static void remove_groups_in(const char *hierarchy, const struct instance *i) {
        AUTO(free) char *all = fs_join(hierarchy, "firesteel");
        AUTO(free) char *mine = fs_join(all, i->name);
        AUTO(free) char *pods = instance_path(i, "pods");
        DIR *d = fs_is_dir(mine) ? opendir(pods) : NULL;
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *group = fs_join(mine, e->d_name);
                if (e->d_name[0] != '.' && fs_is_dir(group))
                        remove_group(group, 0);
        }
        if (d)
                closedir(d);
        if (rmdir(mine) == 0)
                rmdir(all);
}

static void remove_groups(const struct instance *i) {
        static const char top[] = "/sys/fs/cgroup";
        remove_groups_in(top, i); /* version 2 */
        DIR *d = opendir(top);
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *hierarchy = fs_join(top, e->d_name);
                if (e->d_name[0] != '.' && e->d_type == DT_DIR)
                        remove_groups_in(hierarchy, i);
        }
        if (d)
                closedir(d);
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
        count += historian_end(i);
        struct holder h;
        if (holder_find(i->dir, &h, NULL) >= 0)
                count++;
        int r = holder_stop(i->dir, err);
        remove_groups(i);
        return r < 0 ? err_wrap(err, r, "ending the namespaces of instance \"%s\"", i->name) : count;
}

/* Overlay file systems leave work directories that nobody may enter, not even their owner. */
static void open_up(const char *path) {
        DIR *d = opendir(path);
        if (!d && errno == EACCES && chmod(path, 0700) == 0)
                d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                AUTO(free) char *below = fs_join(path, e->d_name);
                open_up(below);
        }
        if (d)
                closedir(d);
}

static int remove_there(void *arg, struct str *answer, struct err *err) { return fs_remove_tree(arg, err); }

static int remove_all(const char *dir, struct err *err) {
        AUTO(err) struct err first = ERR_INIT;
        int r = fs_remove_tree(dir, &first);
        if (r >= 0)
                return 0;
        if (r == -EACCES || r == -EPERM) {
                AUTO(str) struct str none = STR_INIT(0);
                open_up(dir);
                /* What containers made may belong to subordinate ids. */
                if (geteuid() != 0 && userns_run(remove_there, (void *)(uintptr_t)dir, &none, NULL) == 0)
                        return 0;
        }
        r = fs_remove_tree(dir, err);
        if (r == -EACCES || r == -EPERM)
                err_hint(err, "some files belong to other users of containers; remove %s as root", dir);
        return r;
}

int leftovers_remove(const struct instance *i, struct err *err) {
        AUTO(free) char *home = xstrndup(i->dir, (size_t)(strrchr(i->dir, '/') - i->dir));
        AUTO(free) char *gone = xasprintf("%s/.%s.gone", home, i->name);
        /* The name is free at once: an `up` that does not know of this removal makes a directory of its own instead of working in what is
         * being taken away, its lock first of all. */
        int r = remove_all(gone, err);
        if (r >= 0)
                r = remove_all(rename(i->dir, gone) < 0 ? i->dir : gone, err);
        return r < 0 ? err_wrap(err, r, "removing instance \"%s\"", i->name) : 0;
}
