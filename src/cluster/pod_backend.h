/* What the API server asks of the pod runtime for the streaming subresources (log, exec, attach, portforward, proxy) and
 * for metrics. The runtime fills in one vtable and gives it to apiserver_set_pod_backend(); without one those
 * requests are answered as for a node that cannot be reached. Loop thread only; nothing here blocks.
 *
 * The server has checked before calling: the pod exists and has a node, the container's name is one of the pod's (init and ephemeral ones
 * included), the caller may. The runtime checks the container's state and answers with err (http_status 400, reason BadRequest and the
 * kubelet's texts: `container "c" in pod "p" is waiting to start: ContainerCreating`, `previous terminated container "c" in pod "p" not
 * found`). Each call below either returns 0 and the handle, after which exactly one end callback comes (never inside the call), unless the
 * server closes the handle first; or a negative errno and err, and no callback.
 */
#ifndef FIRESTEEL_CLUSTER_POD_BACKEND_H
#define FIRESTEEL_CLUSTER_POD_BACKEND_H

#include "cluster/object.h"
#include "net/stream.h"

struct pod_log_options {
        const char *container;
        bool follow, previous, timestamps;
        int64_t tail_lines;    /* -1: all */
        int64_t since_time_us; /* since 1970; -1: from the beginning (sinceSeconds is converted by the server) */
        int64_t limit_bytes;   /* -1: no limit */
        const char *stream;    /* "All", "Stdout" or "Stderr" */
};
struct pod_log_events {
        void (*on_data)(void *arg, struct sv data);
        void (*on_end)(void *arg, const struct err *err); /* err NULL: the log is complete */
        void *arg;
};
struct pod_log;

struct pod_exec_options {
        const char *container;
        const char *const *argv; /* NULL-terminated; NULL = attach to the container's main process */
        bool with_stdin, with_stdout, with_stderr, tty; /* with tty stderr is never set */
};
struct pod_exec_events {
        void (*on_stdout)(void *arg, struct sv data);
        void (*on_stderr)(void *arg, struct sv data);
        /* The process ended and its output is complete. err set: it could not be run or was lost. attach: 0 at the container's end */
        void (*on_exit)(void *arg, int exit_code, const struct err *err);
        void (*on_stdin_drain)(void *arg); /* what exec_stdin() was given has been taken: ask for more */
        void *arg;
};
struct pod_exec;

struct pod_usage {
        int64_t at_us;
        int64_t window_ms;
        int64_t cpu_nano; /* nanocores over the window */
        int64_t memory_bytes; /* working set */
};

struct pod_backend {
        void *self;
        int (*log_open)(void *self, struct object *pod, const struct pod_log_options *o, const struct pod_log_events *ev,
                        struct pod_log **ret, struct err *err);
        void (*log_pause)(struct pod_log *l, bool paused); /* back-pressure: the client reads slowly */
        void (*log_close)(struct pod_log *l);              /* also after on_end; no callback after it */

        int (*exec_open)(void *self, struct object *pod, const struct pod_exec_options *o, const struct pod_exec_events *ev,
                         struct pod_exec **ret, struct err *err);
        void (*exec_stdin)(struct pod_exec *e, struct sv data);
        size_t (*exec_stdin_pending)(const struct pod_exec *e); /* bytes accepted but not taken by the process */
        void (*exec_stdin_end)(struct pod_exec *e);
        void (*exec_resize)(struct pod_exec *e, int columns, int rows);
        void (*exec_pause)(struct pod_exec *e, bool paused); /* its output */
        void (*exec_close)(struct pod_exec *e);              /* kills an exec that still runs, detaches an attach; also after on_exit */

        /* Connects to a port inside the pod's network namespace (127.0.0.1 there). `done` once, never inside the call; the stream is the
         * callee's. */
        void (*dial)(void *self, struct object *pod, int port, void (*done)(void *arg, struct stream *s, const struct err *err), void *arg);

        /* -ENOENT when nothing was measured yet. */
        int (*container_usage)(void *self, struct object *pod, const char *container, struct pod_usage *ret);
        int (*node_usage)(void *self, const char *node, struct pod_usage *ret);
};

#endif
