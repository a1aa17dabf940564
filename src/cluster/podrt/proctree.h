/* What a tree of processes uses: for machines without control groups, and for processes found without them. Reads /proc. */
#ifndef FIRESTEEL_CLUSTER_PODRT_PROCTREE_H
#define FIRESTEEL_CLUSTER_PODRT_PROCTREE_H

#include "base/err.h"

enum { PROCTREE_MAX = 65536 };

struct proctree_usage {
        int64_t memory_bytes; /* anonymous and shared memory, as a memory control group charges it; without page cache */
        int64_t cpu_us;       /* user and system, of living processes and their waited-for children */
        int processes;
};
/* -ESRCH when the root is gone. Cheap, and too high where processes share memory: forked ones, and those just before their exec. */
int proctree_usage(int root_pid, struct proctree_usage *ret);
/* The memory alone, what is shared counted once: before something is ended for it. The kernel walks page tables for this. -ESRCH as above.
 */
int proctree_memory(int root_pid, int64_t *ret_bytes);

#endif
