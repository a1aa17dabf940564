/* The OCI bundle: config.json as crun and runc read it (runtime-spec 1.0.2). Pure: a struct in, JSON text out.
 *
 * Owner: whoever fills it; bundle_done() frees everything. The root file system beside it is rootfs.h's.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_BUNDLE_H
#define FIRESTEEL_CLUSTER_PODRT_BUNDLE_H

#include "base/str.h"
#include "base/vec.h"

struct bundle_mount {
        char *destination, *type, *source;
        struct strv options;
};

struct bundle {
        char *rootfs;
        bool is_readonly_root;
        struct strv args, env;
        char *cwd;
        uint32_t uid, gid;
        VEC(uint32_t) groups; /* supplementary */
        bool has_terminal;
        bool allows_new_privileges;
        bool is_privileged;      /* all capabilities, no masked paths, no filter */
        struct strv add_caps;    /* CAP_X; "ALL" */
        struct strv drop_caps;   /* the same */
        VEC(struct bundle_mount) mounts;
        char *namespace_dir;     /* holds net, ipc and uts (podnet.h); NULL = new ones */
        char *pid_namespace;     /* file of the one to join; NULL = a new one */
        bool shares_host_network; /* the instance's own network namespace instead of the pod's */
        bool is_in_user_namespace;
        bool has_cgroups, has_cgroup_namespace;
        char *cgroups_path;
        int64_t memory_limit; /* bytes; 0 = none */
        int64_t cpu_quota_us, cpu_period_us; /* quota 0 = none */
        int64_t cpu_shares;                  /* 0 = default */
        int64_t pids_limit;                  /* 0 = none */
        int oom_score_adj;
        int64_t shm_bytes;      /* /dev/shm; 0 = 64 MiB */
        int64_t max_open_files; /* 0 = leave */
};

void bundle_done(struct bundle *b);
DEFINE_AUTO_VALUE(bundle, struct bundle, bundle_done)
/* options: comma-separated. */
void bundle_mount(struct bundle *b, const char *destination, const char *type, const char *source, const char *options);
/* A recursive bind of a host path. */
void bundle_bind(struct bundle *b, const char *destination, const char *source, bool is_readonly);
/* The capabilities in force: containerd's default set, minus dropped, plus added. */
void bundle_capabilities(const struct bundle *b, struct strv *ret);
/* config.json; the caller frees. */
char *bundle_write(const struct bundle *b);
/* process.json for `crun exec`: the same user, capabilities and environment with other arguments. */
char *bundle_write_exec(const struct bundle *b, const struct strv *args, bool has_terminal);

#endif
