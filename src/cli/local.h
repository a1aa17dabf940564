/* What the commands of `firesteel local` share. */
#ifndef FIRESTEEL_CLI_LOCAL_H
#define FIRESTEEL_CLI_LOCAL_H

#include "cli/cmd.h"
#include "cluster/instance.h"
#include "codec/json.h"

#define LOCAL_OPTION_NAME                                                                                                                  \
        { "name", 0, OPTION_STRING, "NAME", "which instance", "default", .complete = "instance" }
#define LOCAL_OPTIONS_SERVER                                                                                                               \
        {"port",   'p',         OPTION_INT, "PORT", "port of the API server (default: 6443 or the next free one, then remembered)",        \
         .min = 1, .max = 65535},                                                                                                          \
                {"bind", 0, OPTION_STRING, "ADDRESS", "loopback address to listen on (default: $FIRESTEEL_BIND, else 127.0.0.1)"},         \
                {"event-logs",     0, OPTION_STRING, "DIR", "event logs for the History Server (default: the instance's own directory)",   \
                 .complete = "dir"},                                                                                                       \
                {"history-port", 0, OPTION_STRING, "PORT",                                                                                 \
                 "port of the History Server, auto or off (default: 18080 or the next free one)"},                                         \
                {"memory", 0, OPTION_STRING, "QUANTITY", "memory the node offers, e.g. 8Gi (default: the machine's)"},                     \
                {"cpus", 0, OPTION_STRING, "QUANTITY", "processors the node offers, e.g. 4 or 2500m (default: the machine's)"},            \
                {"no-egress", 0, OPTION_SWITCH, NULL, "pods reach nothing outside the cluster"},                                           \
                {"resolver", 0, OPTION_LIST, "ADDRESS[:PORT]", "asked for names outside the cluster (default: the host's)"},               \
                {"insecure-registry", 0, OPTION_LIST, "HOST[:PORT]", "a registry of images that speaks plain HTTP"}, {                     \
                "spark-home", 0, OPTION_LIST, "[VERSION=]DIR", "a Spark installation for images apache/spark:VERSION", .complete = "dir"   \
        }

extern const struct cmd cmd_local_up, cmd_local_down, cmd_local_status, cmd_local_logs, cmd_local_reset, cmd_local_kubeconfig, cmd_local_ls,
        cmd_local_serve, cmd_local_image;

/* Opens the instance that --name names. */
MUST_USE int local_open(const struct cmd_ctx *ctx, struct instance *ret, struct err *err);
/* Puts the options of LOCAL_OPTIONS_SERVER into the settings; -EINVAL names option and remedy. */
MUST_USE int local_apply_options(const struct cmd_ctx *ctx, struct instance_settings *s, struct err *err);
/* The name of the cluster, user and context in kubeconfig files: "firesteel", "firesteel-NAME". The caller frees. */
char *local_context_name(const struct instance *i);
/* GET on the running server, as administrator; the answer's document. */
MUST_USE int local_get(const struct instance *i, const struct instance_server *s, const char *path, yyjson_doc **ret, struct err *err);
/* Where an instance runs on this machine: how it is made the cluster that commands talk to, as the error's hint. */
void local_hint_running(struct err *err);
/* "instance "x" is not running" and what to do; returns EXIT_NOT_FOUND. */
int local_not_running(const struct instance *i);
/* Ends the server of the instance and what it left; *ret_was_running says whether there was one. Takes no command lock. */
MUST_USE int local_stop(const struct instance *i, int64_t timeout_ms, bool quiet, bool *ret_was_running, struct err *err);
/* Waits for the end of a process. False when it did not end in time; tick is called every 100 ms and may be NULL. */
bool local_wait_exit(pid_t pid, int64_t timeout_ms, void (*tick)(void *arg), void *arg);
/* "3m20s" since then. */
void local_age(int64_t since_ms, char ret[40]);

#endif
