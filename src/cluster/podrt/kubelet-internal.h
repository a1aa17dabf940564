/* What the parts of the kubelet share: the pods and containers of the node as it knows them. */
#ifndef FIRESTEEL_CLUSTER_PODRT_KUBELET_INTERNAL_H
#define FIRESTEEL_CLUSTER_PODRT_KUBELET_INTERNAL_H

#include "cluster/podrt/archive.h"
#include "cluster/podrt/bundle.h"
#include "cluster/podrt/imagepull.h"
#include "cluster/podrt/kubelet.h"
#include "cluster/podrt/shim.h"
#include "cluster/podrt/volumes.h"

struct pod;
struct services;
struct prober;
struct node;

enum { BACKOFF_FIRST_MS = 10000, BACKOFF_MAX_MS = 300000, BACKOFF_RESET_MS = 600000 };

struct kubelet {
        struct kubelet_options o;
        char *dir, *node_name, *program, *runtime_root, *event_logs;
        struct api *api;
        struct image_store images;
        struct image_pulls *pulls;
        struct podnet_pool addresses;
        struct map pods; /* by UID; struct pod, owned */
        struct api_watch *pod_watch, *config_watch, *secret_watch;
        struct services *services;
        struct node *node;
        struct archives *archives;
        struct egress *egress; /* NULL: none */
        char *egress_words;
        struct timer *evictions;
        struct pod_backend backend;
        int64_t node_cpu_milli, node_memory_bytes;
        size_t adopted;
        bool is_synced;
        bool is_stopping;
        int64_t stop_grace_s;
        void (*stopped)(void *arg);
        void *stopped_arg;
        bool has_cgroups;
        unsigned jobs; /* on workers */
        bool is_quiet; /* the last job is back; for kubelet_free() */
};

enum container_state { CONTAINER_WAITING, CONTAINER_RUNNING, CONTAINER_TERMINATED };

/* How a run of a container ended. */
struct termination {
        bool is_set;
        int exit_code, signal;
        const char *reason; /* static */
        char *message;
        int64_t started_us, finished_us;
        char *container_id;
};

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBES };

struct container {
        struct pod *pod;
        char *name;
        const char *list; /* of the spec that it stands in: initContainers, containers, ephemeralContainers; static */
        bool is_init, is_sidecar;
        bool is_ephemeral; /* added to the running pod (kubectl debug): runs once, and the pod does not depend on it */
        enum container_state state;
        const char *waiting_reason; /* static */
        char *waiting_message;
        char *id;       /* 64 hexadecimal digits; NULL before the first start */
        char *image_id; /* NULL before the first resolution */
        char *image_manifest; /* digest of the OCI image that it runs from; NULL: the machine's own files */
        struct image_get *pull; /* its image is on the way */
        bool was_pulling;       /* the last try got as far as a registry */
        int attempt;    /* number of the directory of the current or last run */
        int restarts;
        int64_t started_us;
        struct procid shim, process;
        struct fdwatch *watch; /* on the shim's pidfd */
        int watch_fd;
        struct termination now, last;
        bool is_starting;        /* a worker is at it */
        bool is_started, is_ready; /* as the probes see it */
        bool killing;            /* was told to end */
        const char *kill_reason; /* static; what the termination message says about it */
        int64_t kill_deadline_ms; /* SIGKILL then */
        struct timer *kill_timer;
        bool wants_restart;     /* ended by a failed probe */
        int64_t backoff_ms;     /* of the next restart */
        int64_t next_start_ms;  /* not before (monotonic) */
        int64_t next_pull_ms, pull_backoff_ms;
        struct prober *probes[PROBES];
        /* for usage between two looks */
        int64_t usage_at_us, usage_cpu_us, usage_cpu_nano, usage_memory, usage_window_ms;
};

static inline bool container_is_main(const struct container *c) { return !c->is_init && !c->is_ephemeral; }

struct pod {
        struct kubelet *kubelet;
        struct object *object; /* the newest seen; owned reference */
        char *uid, *ns, *name, *dir, *log_dir, *cgroup;
        char link[16]; /* host end of the veth pair */
        uint32_t address; /* 0: none yet */
        char ip[IPV4_SIZE];
        bool has_sandbox;
        bool uses_host_network;
        struct volume_plan *volumes; /* NULL until they were set up */
        bool volumes_ready;
        bool volumes_stale; /* what they show changed while a worker wrote it */
        VEC(struct container *) containers; /* init containers first, in order; ephemeral ones last */
        bool is_refused;     /* pods cannot run here, and this one has been told so */
        bool is_busy;        /* a worker prepares sandbox or volumes */
        bool is_gone;        /* deleted from the API: nothing is reported any more */
        bool is_ending;      /* containers are being ended */
        bool is_finished;    /* terminal: nothing will run any more */
        bool is_cleaned;
        bool is_measured;    /* a worker sums up what it has on disk */
        const char *end_reason; /* status.reason: DeadlineExceeded, Terminated; static; NULL */
        char *end_message;
        int64_t end_grace_s;
        int64_t start_time_us; /* status.startTime */
        struct timer *retry;   /* the next look */
        int64_t retry_at_ms;   /* monotonic; 0 = none */
        struct timer *token_timer; /* its tokens are made anew then */
        char *last_mount_error;
        int64_t mount_backoff_ms;
        char *last_status; /* what was last patched, to write only changes */
        int jobs;          /* workers that hold this pod */
};

/* kubelet.c */
void kubelet_job_done(struct kubelet *k); /* a worker came back: k->jobs */
void pod_sync(struct pod *p);                         /* looks at everything and does the next steps */
void pod_retry_in(struct pod *p, int64_t delay_ms);   /* the nearest wins */
void pod_facts(const struct pod *p, struct pod_facts *ret);
bool pod_is_deleting(const struct pod *p);
struct pod *kubelet_pod(const struct kubelet *k, const struct object *object);
struct container *pod_container(const struct pod *p, const char *name);
yyjson_val *container_spec(const struct container *c);
void container_event(struct container *c, const char *type, const char *reason, const char *fmt, ...) PRINTF(4, 5);
char *container_dir(const struct container *c, int attempt);
char *container_log(const struct container *c, int attempt);

/* podimage.c */
void container_start(struct container *c); /* gets the image, then starts */

/* podrun.c: containers start, end, are killed */
void container_start_with(struct container *c, yyjson_val *spec, const struct image *image);
void container_watch(struct container *c); /* the shim's end */
void container_kill(struct container *c, int64_t grace_s, const char *reason);
void container_wait(struct container *c, const char *reason, const char *message); /* sets a waiting state */
void container_forget_pull(struct container *c); /* its image is not wanted any more */
void kubelet_lease_images(struct kubelet *k); /* the images in use changed */
void termination_done(struct termination *t);
char *container_cgroup_file(const struct container *c, const char *controller, const char *file); /* NULL: none */

void pod_evict(struct pod *p, const char *message);

/* evict.c */
void evictions_start(struct kubelet *k);

/* sandbox.c */
void pod_plan_tokens(struct pod *p); /* sets the timer for what its volumes hold */
/* First thing of every job that makes files for pods: other users read them, whatever the server's own umask. Only this worker's is
 * changed. */
void worker_umask(void);
void pod_cgroup_make(const struct kubelet *k, const char *cgroup, int64_t shares); /* where there are groups */
void pod_prepare(struct pod *p); /* sandbox and volumes, one step; is_busy while a worker is at it */
void pod_cleanup(struct pod *p, bool and_files);
void pod_save(const struct pod *p);
void pod_refresh_volumes(struct pod *p);

/* podstatus.c */
void pod_report(struct pod *p); /* writes the status when it changed */
const char *pod_phase(const struct pod *p);
const char *pod_qos(const struct object *o);
yyjson_mut_val *pod_status(const struct pod *p, yyjson_mut_doc *doc, int64_t now_us);

/* adopt.c */
void pod_adopt(struct pod *p); /* takes over what a former kubelet left */
void kubelet_sweep(struct kubelet *k); /* ends what belongs to no pod any more */

/* probes.c */
void probes_start(struct container *c);
void probes_stop(struct container *c);

/* A number or the name of a port of the container; 0: there is none. */
int probe_port(const struct container *c, yyjson_val *port);
/* What an httpGet asks, with its headers; the caller frees. */
struct http_headers;
char *probe_url(const struct container *c, yyjson_val *get, struct http_headers *headers);

/* hooks.c */
/* Runs the hook postStart or preStop; false when there is none. done once, not inside the call, and not when the
 * container is in another run by then; the pod counts a job until then. */
bool container_hook(struct container *c, const char *name, int64_t limit_ms, void (*done)(struct container *c, bool ok, const char *why));

/* podlog.c, podexec.c */
void podlog_fill(struct pod_backend *b);
void podexec_fill(struct pod_backend *b);
/* Runs a command in the container; done on the loop with its exit code, or err. timeout_ms 0 = none. */
void container_exec(struct container *c, yyjson_val *command, int64_t timeout_ms,
                    void (*done)(void *arg, int exit_code, struct sv out, const struct err *err), void *arg);

/* services.c */
struct services *services_new(struct kubelet *k);
void services_free(struct services *s);
void services_refresh(struct services *s); /* pods or services changed */
/* The hosts file of a pod. */
void services_hosts(const struct services *s, const struct pod *p, struct str *ret);
void services_update_hosts(const struct services *s, const struct pod *p); /* writes it when it changed */

/* node.c */
struct node *node_new(struct kubelet *k);
void node_free(struct node *n);
int container_usage(void *self, struct object *pod, const char *container, struct pod_usage *ret);
int node_usage(void *self, const char *node, struct pod_usage *ret);

#endif
