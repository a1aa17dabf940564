/* Control groups, version 1 and 2: what this process may do with them, and the groups of pods. The groups of containers are made by crun or
 * runc.
 *
 * Groups lie below BASE/firesteel/INSTANCE/POD. BASE is "" for root. With version 2 an ordinary user can have limits too, in a group that
 * was delegated to him and has no other processes in it ("systemd-run --user --scope -p Delegate=yes firesteel local up"): BASE is that
 * group then, and this program's own processes move to BASE/firesteel-server, because a group with processes cannot limit the ones below
 * it. `root` is where the hierarchies are mounted: CGROUP_ROOT, or a directory of a test.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_CGROUP_H
#define FIRESTEEL_CLUSTER_PODRT_CGROUP_H

#include "base/err.h"
#include "base/str.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

enum cgroup_mode { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };
const char *cgroup_mode_name(enum cgroup_mode mode);

struct cgroup_rights {
        enum cgroup_mode mode;
        bool has_memory, has_cpu; /* limits are the kernel's */
        char *base;               /* with version 2: see above; NULL = "" */
};
void cgroup_rights_done(struct cgroup_rights *r);
DEFINE_AUTO_VALUE(cgroup_rights, struct cgroup_rights, cgroup_rights_done)

/* Finds out, and prepares BASE. self: the text of /proc/self/cgroup; movable: pids that may be moved, 0 at the end. */
void cgroup_probe(const char *root, bool is_root, struct sv self, const int *movable, struct cgroup_rights *ret);
/* The group of `path`, made with those above it, gets the weight of so many shares (version 1's unit, 1024 a processor). */
void cgroup_make(const char *root, enum cgroup_mode mode, const char *path, int64_t shares);
/* In every hierarchy, when it is empty. */
void cgroup_remove(const char *root, const char *path);
/* A file of a group; the caller frees. */
char *cgroup_file(const char *root, enum cgroup_mode mode, const char *controller, const char *path, const char *file);
/* Whether a memory.oom_control (version 1) or memory.events (version 2) tells of a process that the kernel killed. */
bool cgroup_oom_killed(const char *file);

#endif
