/* Commands. A command is one const struct cmd in one file cmd_<verb>.c plus one line in cmds.c; help, manual pages and
 * shell completion come from the same entry. Commands nest (`local up`): a command with `subs` may run itself, too, without arguments
 * (`history`, `history show`).
 *
 *     static int run(struct cmd_ctx *ctx, struct err *err) {
 *             const char *ns = option_str(&ctx->o, "namespace");
 *             ...
 *             return EXIT_OK;         // or any other exit code (cli/exit.h) after telling the user why,
 *     }                               // or a negative errno with err set: printed once, exit code 1
 *     const struct cmd cmd_kill = {.name = "kill", .summary = "Stop an application", .args = "NAME...", .min_args = 1, .max_args = -1,
 * ...};
 *
 * A command parses, calls one function of a layer below, prints.
 */
#ifndef FIRESTEEL_CLI_CMD_H
#define FIRESTEEL_CLI_CMD_H

#include <stdio.h>

#include "cli/exit.h"
#include "cli/option.h"

struct cmd;

struct cmd_ctx {
        const struct cmd *cmd;
        const char *path;  /* "firesteel local up" */
        struct options o;  /* what was given; positional arguments are o.args */
        const char *argv0; /* as the program was called */
};

struct cmd_example {
        const char *text; /* what it does, or NULL */
        const char *line; /* the command line; NULL ends the list */
};

struct cmd {
        const char *name;
        const char *alias;       /* another name, or NULL */
        const char *summary;     /* one line, capital first letter, no full stop */
        const char *args;        /* positional arguments as shown in the usage line, or NULL */
        int min_args, max_args;  /* max_args -1: any number */
        const char *args_complete; /* "file", "dir", "command", "instance"; or NULL */
        const char *description; /* paragraphs, separated by empty lines; lines beginning with two blanks are kept as they are */
        const struct option *options; /* ends with {0}; NULL = none */
        const struct cmd_example *examples; /* ends with {0}; NULL = none */
        const char *see_also;    /* for the manual page, or NULL */
        bool stop_at_positional; /* what follows the first positional argument is left alone */
        bool hidden;
        const struct cmd *const *subs; /* NULL-terminated; NULL = a command that runs */
        int (*run)(struct cmd_ctx *ctx, struct err *err);
};

/* The root: name "firesteel", subs = every command (cmds.c). */
extern const struct cmd cmd_root;

/* Finds and runs the command that argv names; prints what goes wrong; returns the exit code. */
int cmd_main(const struct cmd *root, int argc, char **argv);
/* "firesteel local up: MESSAGE" and where to look; returns EXIT_USAGE. */
int cmd_usage_error(const struct cmd_ctx *ctx, const char *fmt, ...) PRINTF(2, 3);
/* The command that these words name, or NULL; *ret_used says how many words it took. */
const struct cmd *cmd_find(const struct cmd *root, char *const *words, int count, int *ret_used);

/* Options that many commands share. */
#define CMD_OPTIONS_CLUSTER                                                                                                                \
        {"namespace", 'n', OPTION_STRING, "NAMESPACE", "namespace (default: the context's)"},                                              \
                {"context", 0, OPTION_STRING, "NAME", "kubeconfig context (default: the current one)"},                                    \
        {                                                                                                                                  \
                "kubeconfig", 0, OPTION_STRING, "FILE", "kubeconfig file (default: $KUBECONFIG or ~/.kube/config)", .complete = "file"     \
        }
extern const char *const cmd_output_formats[]; /* table, json, yaml, name */
#define CMD_OPTION_OUTPUT                                                                                                                  \
        { "output", 'o', OPTION_CHOICE, "FORMAT", "table, json, yaml or name", "table", cmd_output_formats }

/* Help, manual pages and completion (help.c, man.c, complete.c). */
void cmd_print_help(const struct cmd *c, const char *path, FILE *out);
MUST_USE int cmd_write_man(const struct cmd *root, const char *dir, struct err *err);
extern const struct cmd cmd_help, cmd_man, cmd_completion, cmd_complete;

#endif
