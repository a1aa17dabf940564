/* The program's hidden faces: processes of the pod runtime that are this very program under another name.
 *
 *     firesteel-holder   keeps the namespaces of an instance (holder.h)
 *     firesteel-shim     keeps one container (shim.h)
 *     entrypoint.sh      PID 1 of a Spark container (entrypoint.h)
 *     decom.sh           the preStop hook of an executor (decom.h)
 *
 * The name is argv[0]'s last part, so that `ps` tells them apart and a bind mount of the program at /opt/entrypoint.sh or /opt/decom.sh
 * just works.
 * main() must ask reexec_dispatch() before it initialises anything: these processes live long and are many, and stay small that way.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_REEXEC_H
#define FIRESTEEL_CLUSTER_PODRT_REEXEC_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define REEXEC_HOLDER "firesteel-holder"
#define REEXEC_SHIM "firesteel-shim"
#define REEXEC_ENTRYPOINT "entrypoint.sh"
#define REEXEC_DECOM "decom.sh"

/* True when argv[0] names a hidden face, which has then run; its exit code is in *ret. */
bool reexec_dispatch(int argc, char **argv, int *ret);

/* Gives back the pages of code that starting touched (symbol look-ups in libraries these faces never call); what is needed again is read
 * back from the page cache. Call it once, before the long wait. */
void reexec_slim(void);

/* Starts argv (NULL-terminated) with `program` in a session of its own, standard streams on /dev/null (output and errors on `output` unless
 * that is -1), and in the child the descriptors of `keep` as 3, 4, ...; everything else is closed. May be called from any thread. The child
 * is the caller's to wait for. */
MUST_USE int reexec_spawn(const char *program, const char *const *argv, const int *keep, size_t keep_count, int output, pid_t *ret,
                          struct err *err);

/* A process that cannot be mistaken for a later one with the same number. */
struct procid {
        pid_t pid;
        uint64_t start_ticks; /* field 22 of /proc/PID/stat */
};
/* -ESRCH when there is no such process. */
MUST_USE int procid_of(pid_t pid, struct procid *ret, struct err *err);
bool procid_is_alive(const struct procid *p);
/* A pidfd of just this process; -ESRCH when it is gone. */
MUST_USE int procid_open(const struct procid *p, int *ret_fd, struct err *err);

#endif
