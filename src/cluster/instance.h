/* An instance of the embedded cluster on disk: where it lives, its settings, its keys, who runs it.
 *
 *     ${XDG_STATE_HOME:-~/.local/state}/firesteel/NAME/
 *         instance.json   settings that outlive a server (port, capacity, Spark homes)
 *         lock            held by the running server: the one truth about "is it running"
 *         server.json     written by the running server: process, address, isolation; stale without the lock
 *         pki/            ca.crt ca.key admin.crt admin.key sa.key admin.token
 *         kubeconfig      for kubectl and Spark
 *         server.log      what the server said (server.log.1: the one before)
 *         events/ ...     event logs and the History Server's files (historian.h)
 *         cluster.db      the objects (SQLite)
 *         pods/ ...       the pod runtime's
 *
 * Everything is readable by its owner only. A server that was killed leaves server.json and its pods; the lock is free, and the next
 * server takes both over. Process numbers are compared with their start times, so that a number used again is never mistaken.
 */
#ifndef FIRESTEEL_CLUSTER_INSTANCE_H
#define FIRESTEEL_CLUSTER_INSTANCE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/json.h"

struct instance {
        char *name;
        char *dir;
};
void instance_done(struct instance *i);
DEFINE_AUTO_VALUE(instance, struct instance, instance_done)

/* Checks the name (as a DNS label) and finds the directory; touches nothing. */
MUST_USE int instance_open(const char *name, struct instance *ret, struct err *err);
/* Makes the directory; -EACCES and the like say which directory and what to set instead. */
MUST_USE int instance_prepare(const struct instance *i, struct err *err);
bool instance_exists(const struct instance *i);
/* The names of all there are, sorted. */
MUST_USE int instance_names(struct strv *ret, struct err *err);
/* DIR/name; the caller frees. */
char *instance_path(const struct instance *i, const char *name);
/* Opens a log in the instance's directory for appending: the standard error of a process of it. One that has grown past max_bytes becomes
 * "NAME.1". A descriptor or negative errno. */
MUST_USE int instance_open_log(const struct instance *i, const char *name, int64_t max_bytes, struct err *err);

struct instance_settings {
        char *bind;               /* loopback address */
        int port;                 /* 0: none chosen yet */
        bool is_port_fixed;       /* somebody asked for this one: no other will do */
        int64_t memory_bytes;     /* what the node offers; 0 = what the machine has */
        int64_t cpu_milli;        /* the same */
        struct strv spark_homes;  /* Spark installations that images lead to, besides those found by themselves */
        char *event_logs;         /* directory of event logs; NULL = the instance's own */
        int history_port;         /* of the History Server; 0: any free one, -1: none */
        int history_last_port;    /* the one that was free last time; 0: none yet */
        /* Of one run, not kept: */
        struct strv insecure_registries; /* that speak plain HTTP */
        struct strv resolvers;           /* where names outside the cluster are asked for, ADDRESS[:PORT]; none = the host's */
        bool has_no_egress;              /* pods reach nothing outside */
        char *merged_into;        /* kubeconfig file that also has this cluster; NULL = none */
};
void instance_settings_done(struct instance_settings *s);
DEFINE_AUTO_VALUE(instance_settings, struct instance_settings, instance_settings_done)
/* Defaults when there is no file yet. */
MUST_USE int instance_load_settings(const struct instance *i, struct instance_settings *ret, struct err *err);
MUST_USE int instance_save_settings(const struct instance *i, const struct instance_settings *s, struct err *err);

struct instance_pki {
        char *ca_cert, *ca_key;         /* PEM */
        char *server_cert, *server_key; /* made anew at every start, for the addresses in use */
        char *token_key;                /* signs service account tokens */
        char *admin_token;              /* bearer token of system:masters */
};
void instance_pki_done(struct instance_pki *p);
DEFINE_AUTO_VALUE(instance_pki, struct instance_pki, instance_pki_done)
/* Makes what is missing. An authority near its end is replaced, with everything it signed. service_address: "10.96.0.1". */
MUST_USE int instance_load_pki(const struct instance *i, const char *bind, const char *service_address, struct instance_pki *ret,
                               struct err *err);
/* Only reads what clients need: ca_cert and admin_token; -ENOENT when the instance never ran. */
MUST_USE int instance_client_pki(const struct instance *i, struct instance_pki *ret, struct err *err);

/* The running server, as it described itself. */
struct instance_server {
        pid_t pid;
        uint64_t start_ticks;
        char *bind;
        int port;
        char *version;
        int64_t started_ms;
        yyjson_doc *doc; /* all of server.json */
};
void instance_server_done(struct instance_server *s);
DEFINE_AUTO_VALUE(instance_server, struct instance_server, instance_server_done)
/* 1 and `ret` when a server holds the lock and has described itself, 2 when one that is still starting, or is being killed, holds it, 0
 * when none runs. */
MUST_USE int instance_running(const struct instance *i, struct instance_server *ret, struct err *err);
/* The lock of the server (-EBUSY when another has it); lives with the descriptor. */
MUST_USE int instance_lock(const struct instance *i, int *ret_fd, struct err *err);
/* Serialises `up`, `down` and `reset` of one instance: waits for the lock of that name. -ENOENT when the instance was removed meanwhile. */
MUST_USE int instance_lock_command(const struct instance *i, int *ret_fd, struct err *err);
/* Describes the running server; `details` (an object, may be NULL) is merged in. */
MUST_USE int instance_write_server(const struct instance *i, const struct instance_server *s, yyjson_mut_val *details, struct err *err);
void instance_remove_server(const struct instance *i);

/* A process that cannot be mistaken for a later one of the same number: field 22 of /proc/PID/stat, 0 when there is none,
 * or it is being killed, or has ended and only not been waited for. */
uint64_t process_start_ticks(pid_t pid);

#endif
