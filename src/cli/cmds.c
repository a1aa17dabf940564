/* Every command, in the order of the help. To add one: its file, its declaration, its line. */
#include "cli/cmd.h"

extern const struct cmd cmd_history, cmd_local;
extern const struct cmd cmd_kill, cmd_logs, cmd_ls, cmd_proxy, cmd_rbac, cmd_status, cmd_submit, cmd_version;

static const struct cmd *const cmds[] = {
        &cmd_submit,
        &cmd_ls,
        &cmd_status,
        &cmd_logs,
        &cmd_kill,
        &cmd_proxy,
        &cmd_rbac,
        &cmd_local,
        &cmd_history,
        &cmd_version,
        &cmd_completion,
        &cmd_help,
        &cmd_man,
        &cmd_complete,
        NULL,
};

const struct cmd cmd_root = {
        .name = "firesteel",
        .summary = "Apache Spark on Kubernetes: submit, run, supervise, explain",
        .description =
                "Submits Spark applications to Kubernetes without a JVM, runs a Kubernetes-compatible cluster on this machine when there is "
                "none, and shows what applications did.\n\n"
                "Exit codes: 0 success, 1 failure, 2 wrong command line, 3 not found or not running, 4 timed out, 130 interrupted.",
        .subs = cmds,
};
