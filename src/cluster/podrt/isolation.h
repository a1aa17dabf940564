/* What isolation this machine allows, probed once at start before anything is entered.
 * `is_possible` false: pods stay Pending and `why_not` says why; `notes` are the lesser shortcomings, each with its remedy. */
#ifndef FIRESTEEL_CLUSTER_PODRT_ISOLATION_H
#define FIRESTEEL_CLUSTER_PODRT_ISOLATION_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"
#include "cluster/podrt/cgroup.h"

struct isolation {
        bool is_possible;
        char *why_not; /* NULL when possible */
        bool is_root;
        bool has_user_namespaces;
        bool has_subordinate_ids; /* not root: pods may run as several users; known once the namespaces are there */
        bool has_overlay; /* in the namespaces pods will have */
        bool has_proc;    /* a fresh /proc can be mounted there */
        enum cgroup_mode cgroups;
        char *cgroup_base;              /* below which groups are made; "" = the top */
        bool limits_memory, limits_cpu; /* by the kernel */
        char *runtime;                  /* path of crun or runc */
        char *runtime_version;          /* "crun 1.8.1" */
        bool runtime_is_crun;
        struct strv notes;
};

/* Root of the machine, not of a user namespace, whose rights end at its edge. */
bool isolation_is_root(void);
void isolation_done(struct isolation *i);
DEFINE_AUTO_VALUE(isolation, struct isolation, isolation_done)
/* scratch: a directory of the file system on which pods will live. Never fails: what cannot be found out is not there. */
void isolation_probe(struct isolation *ret, const char *scratch);

#endif
