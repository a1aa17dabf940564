/* The shim: one small process per container, which starts it, owns its log, and writes down how it ended. It outlives the server.
 *
 * Files in the container's directory (all written atomically):
 *     config.json  the OCI bundle's, written by the server (bundle.h), with rootfs beside it
 *     shim.json    {"pid", "startTicks"}           who keeps the container (written by the server after the start)
 *     started.json {"pid", "startTicks", "startedAt"}            the container's first process; times in microseconds since 1970
 *     exit.json    struct shim_exit                absent while it runs
 * Protocol on the synchronisation descriptor: "started" or "failed" once, then end of file when the shim is gone.
 *
 * SIGTERM to the shim kills the container at once. The container's processes become the shim's children (subreaper), so their end is never
 * missed.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_SHIM_H
#define FIRESTEEL_CLUSTER_PODRT_SHIM_H

#include "cluster/podrt/reexec.h"

/* What the standard output and error of a process that has ended can still hold: two of the largest pipes that users may have. What comes
 * beyond that is somebody else's. */
enum { SHIM_PIPES_MAX = 2 * (1 << 20) };

struct shim_spec {
        const char *program;      /* what to re-execute; NULL = /proc/self/exe */
        const char *dir;          /* the container's directory = the bundle */
        const char *id;           /* the container's id for the runtime */
        const char *runtime;      /* crun or runc */
        const char *runtime_root; /* its state directory */
        bool without_cgroups;     /* crun --cgroup-manager=disabled */
        const char *log_path;
        const char *oom_file;   /* memory.oom_control or memory.events of the container's group; NULL = none */
        int64_t memory_limit;   /* bytes, polled by the shim; 0 = none or the kernel's job */
        bool has_stdin;         /* DIR/stdin is a socket for whoever attaches (shim_input.h) */
        bool is_stdin_once;     /* the input ends when the first who attached leaves */
        bool has_terminal;
};

struct shim_exit {
        int exit_code; /* 128 + signal when killed */
        int signal;
        bool is_oom;
        int64_t started_us, finished_us; /* started 0: it never ran */
        char *error;                     /* why it could not be started; NULL */
};
void shim_exit_done(struct shim_exit *e);
DEFINE_AUTO_VALUE(shim_exit, struct shim_exit, shim_exit_done)

struct shim_started {
        struct procid proc; /* the container's first process */
        int64_t started_us;
};

/* Starts the shim and waits (blocking: for a worker) until the container runs or could not be started; in the second case the
 * exit record is there with `error` set and 0 is returned all the same. */
MUST_USE int shim_start(const struct shim_spec *spec, struct procid *ret, struct err *err);
/* The shim of a container directory; -ENOENT when none is recorded, also when it is gone (proc is then not alive). */
MUST_USE int shim_find(const char *dir, struct procid *ret, struct err *err);
MUST_USE int shim_read_started(const char *dir, struct shim_started *ret, struct err *err); /* -ENOENT: not yet */
MUST_USE int shim_read_exit(const char *dir, struct shim_exit *ret, struct err *err);       /* -ENOENT: not yet */
/* Writes the record a dead shim could not: for containers found without keeper. */
MUST_USE int shim_write_exit(const char *dir, const struct shim_exit *e, struct err *err);

int shim_main(int argc, char **argv);

#endif
