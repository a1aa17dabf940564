/* Manual pages in roff, one a command, from the command table: `firesteel man DIR`, which the install target runs. */
#include <ctype.h>

#include "base/fs.h"
#include "cli/cmd.h"

/* Text in which neither backslashes, hyphens nor leading dots mean anything to roff. */
static void roff(struct str *s, const char *text) {
        bool line_start = true;
        for (const char *p = text; *p; p++) {
                if (line_start && (*p == '.' || *p == '\''))
                        str_append_s(s, "\\&");
                if (*p == '\\')
                        str_append_s(s, "\\e");
                else if (*p == '-')
                        str_append_s(s, "\\-");
                else
                        str_append_c(s, *p);
                line_start = *p == '\n';
        }
}

static void description(struct str *s, const char *text) {
        while (*text) {
                const char *end = strstr(text, "\n\n");
                size_t len = end ? (size_t)(end - text) : strlen(text);
                AUTO(free) char *paragraph = xstrndup(text, len);
                bool kept = str_starts(paragraph, "  ");
                str_append_s(s, kept ? ".PP\n.nf\n" : ".PP\n");
                roff(s, paragraph);
                str_append_s(s, kept ? "\n.fi\n" : "\n");
                text += len + (end ? 2 : 0);
        }
}

static void option(struct str *s, const struct option *o) {
        str_append_s(s, ".TP\n");
        if (o->letter)
                str_appendf(s, "\\fB\\-%c\\fR, ", o->letter);
        str_append_s(s, "\\fB\\-\\-");
        roff(s, o->name);
        str_append_s(s, "\\fR");
        if (o->type != OPTION_SWITCH)
                str_appendf(s, " \\fI%s\\fR", o->value);
        str_append_c(s, '\n');
        roff(s, o->help);
        if (o->type == OPTION_LIST)
                str_append_s(s, " (repeatable)");
        str_append_s(s, ".\n");
        if (o->otherwise) {
                str_append_s(s, "Default: ");
                roff(s, o->otherwise);
                str_append_s(s, ".\n");
        }
}

static const char exit_status[] = ".SH EXIT STATUS\n"
                                  ".TP\n0\nSuccess.\n"
                                  ".TP\n1\nIt was tried and failed; standard error says why.\n"
                                  ".TP\n2\nThe command line is wrong; nothing was done.\n"
                                  ".TP\n3\nWhat was asked about does not exist or is not running.\n"
                                  ".TP\n4\nThe time allowed ran out; what was started goes on.\n"
                                  ".TP\n130\nInterrupted.\n";
static const char environment[] = ".SH ENVIRONMENT\n"
                                  ".TP\n\\fBFIRESTEEL_LOG\\fR\nerror, warn, info or debug: how much is said on standard error.\n"
                                  ".TP\n\\fBKUBECONFIG\\fR\nFiles that name clusters, separated by colons.\n"
                                  ".TP\n\\fBNO_COLOR\\fR\nWhen set, no colours.\n"
                                  ".TP\n\\fBCOLUMNS\\fR\nWidth for tables, instead of the terminal's.\n"
                                  ".TP\n\\fBXDG_STATE_HOME\\fR\nWhere instances of the embedded cluster live (default ~/.local/state).\n";

static int write_page(const struct cmd *c, const char *path, const char *dir, struct err *err) {
        AUTO(str) struct str s = STR_INIT(0);
        AUTO(free) char *page = xstrdup(path); /* "firesteel-local-up" */
        for (char *p = page; *p; p++)
                if (*p == ' ')
                        *p = '-';
        AUTO(free) char *upper = xstrdup(page);
        for (char *p = upper; *p; p++)
                *p = (char)toupper((unsigned char)*p);

        str_appendf(&s, ".TH %s 1 \"\" \"firesteel %s\" \"User Commands\"\n.SH NAME\n", upper, FIRESTEEL_VERSION);
        roff(&s, page);
        str_append_s(&s, " \\- ");
        roff(&s, c->summary);
        str_append_s(&s, "\n.SH SYNOPSIS\n\\fB");
        roff(&s, path);
        str_append_s(&s, "\\fR");
        if (c->subs)
                str_append_s(&s, " \\fICOMMAND\\fR [\\fIOPTIONS\\fR]");
        if (c->subs && c->run) {
                str_append_s(&s, "\n.br\n\\fB");
                roff(&s, path);
                str_append_s(&s, "\\fR");
        }
        if (c->run)
                str_appendf(&s, "%s%s%s", c->options ? " [\\fIOPTIONS\\fR]" : "", c->args ? " " : "", c->args ? c->args : "");
        str_append_c(&s, '\n');
        if (c->description) {
                str_append_s(&s, ".SH DESCRIPTION\n");
                description(&s, c->description);
        }
        if (c->subs) {
                str_append_s(&s, ".SH COMMANDS\n");
                for (size_t i = 0; c->subs[i]; i++)
                        if (!c->subs[i]->hidden) {
                                str_appendf(&s, ".TP\n\\fB%s\\fR\n", c->subs[i]->name);
                                roff(&s, c->subs[i]->summary);
                                str_append_s(&s, ".\n");
                        }
        }
        if (c->options) {
                str_append_s(&s, ".SH OPTIONS\n");
                for (const struct option *o = c->options; o->name; o++)
                        if (!o->hidden)
                                option(&s, o);
        }
        if (c->examples) {
                str_append_s(&s, ".SH EXAMPLES\n");
                for (const struct cmd_example *e = c->examples; e->line; e++) {
                        str_append_s(&s, ".PP\n");
                        if (e->text) {
                                roff(&s, e->text);
                                str_append_s(&s, ":\n");
                        }
                        str_append_s(&s, ".nf\n\n    ");
                        roff(&s, e->line);
                        str_append_s(&s, "\n\n.fi\n");
                }
        }
        str_append_s(&s, exit_status);
        str_append_s(&s, environment);
        str_append_s(&s, ".SH SEE ALSO\n");
        str_append_s(&s, streq(page, "firesteel") ? "kubectl(1)\n" : "firesteel(1)\n");
        if (c->see_also)
                str_appendf(&s, ", %s\n", c->see_also);

        AUTO(free) char *file = xasprintf("%s/%s.1", dir, page);
        return fs_write(file, str_sv(&s), 0644, err);
}

static int write_tree(const struct cmd *c, const char *path, const char *dir, struct err *err) {
        int r = write_page(c, path, dir, err);
        for (size_t i = 0; r >= 0 && c->subs && c->subs[i]; i++) {
                if (c->subs[i]->hidden)
                        continue;
                AUTO(free) char *below = xasprintf("%s %s", path, c->subs[i]->name);
                r = write_tree(c->subs[i], below, dir, err);
        }
        return r;
}

int cmd_write_man(const struct cmd *root, const char *dir, struct err *err) {
        int r = fs_mkdirs(dir, 0755, err);
        return r < 0 ? r : write_tree(root, root->name, dir, err);
}

static int run_man(struct cmd_ctx *ctx, struct err *err) {
        int r = cmd_write_man(&cmd_root, ctx->o.args.items[0], err);
        return r < 0 ? r : EXIT_OK;
}

const struct cmd cmd_man = {
        .name = "man",
        .summary = "Write the manual pages into a directory",
        .args = "DIR",
        .min_args = 1,
        .max_args = 1,
        .args_complete = "dir",
        .hidden = true,
        .run = run_man,
};
