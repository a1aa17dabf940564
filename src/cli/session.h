/* A command's connection to a cluster, from its --context, --kubeconfig and --namespace options (CMD_OPTIONS_CLUSTER). */
#ifndef FIRESTEEL_CLI_SESSION_H
#define FIRESTEEL_CLI_SESSION_H

#include "cli/cmd.h"
#include "kube/client.h"

struct session {
        struct loop *loop;
        struct kube_access access;
        struct kube_client *client;
        char *namespace_; /* --namespace, else the context's, else "default" */
        bool interrupted; /* Ctrl-C: the loop was stopped */
        struct sigwatch *on_interrupt, *on_terminate;
};

void session_done(struct session *s);
DEFINE_AUTO_VALUE(session, struct session, session_done)
/* `s` must stay where it is. From now on Ctrl-C stops the loop instead of the program. */
MUST_USE int session_open(struct session *s, const struct cmd_ctx *ctx, struct err *err);
/* The loop and Ctrl-C alone, for who makes clients of its own. */
void session_listen(struct session *s);
/* The same for a caller that has filled in s->access. */
MUST_USE int session_connect(struct session *s, struct err *err);
/* NAME or NAMESPACE:NAME of a command's argument. `*ret_namespace` is the session's when none is given; NULL with `all`. */
void session_split_name(const struct session *s, const char *text, bool all, char **ret_namespace, char **ret_name);

#endif
