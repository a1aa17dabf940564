/* The help text of a command, from its table entry. */
#include "cli/cmd.h"
#include "cli/output.h"

static int help_width(void) {
        int width = terminal_of(1)->width;
        return width <= 0 || width > 100 ? 100 : width < 50 ? 50 : width;
}

/* Words of `text` in lines of at most `width` columns; the first begins at column `at`, the others at `indent`. */
static void wrap(FILE *out, const char *text, int at, int indent, int width) {
        int column = at;
        bool first = true;
        while (*text) {
                size_t len = strcspn(text, " \n");
                AUTO(free) char *word = xstrndup(text, len);
                int wide = (int)text_width(word);
                if (!first && column + 1 + wide > width) {
                        fprintf(out, "\n%*s", indent, "");
                        column = indent;
                        first = true;
                }
                fprintf(out, "%s%s", first ? "" : " ", word);
                column += wide + !first;
                first = false;
                text += len + (text[len] != 0);
        }
        fputc('\n', out);
}

static void print_description(FILE *out, const char *text, int width) {
        while (*text) {
                const char *end = strstr(text, "\n\n");
                size_t len = end ? (size_t)(end - text) : strlen(text);
                AUTO(free) char *paragraph = xstrndup(text, len);
                if (str_starts(paragraph, "  "))
                        fprintf(out, "%s\n", paragraph);
                else
                        wrap(out, paragraph, 0, 0, width);
                fputc('\n', out);
                text += len + (end ? 2 : 0);
        }
}

static void print_options(const struct option *options, FILE *out, int width) {
        enum { INDENT = 30 };
        for (const struct option *o = options; o && o->name; o++) {
                if (o->hidden)
                        continue;
                AUTO(str) struct str left = STR_INIT(0);
                if (o->letter)
                        str_appendf(&left, "  -%c, --%s", o->letter, o->name);
                else
                        str_appendf(&left, "      --%s", o->name);
                if (o->type != OPTION_SWITCH)
                        str_appendf(&left, " %s", o->value);
                AUTO(str) struct str right = STR_INIT(0);
                str_append_s(&right, o->help);
                if (o->type == OPTION_LIST)
                        str_append_s(&right, " (repeatable)");
                if (o->otherwise)
                        str_appendf(&right, " [%s]", o->otherwise);
                if (left.len + 2 > INDENT)
                        fprintf(out, "%s\n%*s", str_cstr(&left), INDENT, "");
                else
                        fprintf(out, "%-*s", INDENT, str_cstr(&left));
                wrap(out, str_cstr(&right), INDENT, INDENT, width);
        }
        fprintf(out, "%-30s%s\n", "  -h, --help", "this help");
}

static void print_commands(const struct cmd *group, FILE *out) {
        size_t widest = 0;
        for (size_t i = 0; group->subs[i]; i++)
                if (!group->subs[i]->hidden && strlen(group->subs[i]->name) > widest)
                        widest = strlen(group->subs[i]->name);
        for (size_t i = 0; group->subs[i]; i++)
                if (!group->subs[i]->hidden)
                        fprintf(out, "  %s%-*s%s  %s\n", style_begin(1, STYLE_BOLD), (int)widest, group->subs[i]->name, style_end(1),
                                group->subs[i]->summary);
}

static void heading(FILE *out, const char *text) { fprintf(out, "%s%s%s\n", style_begin(1, STYLE_BOLD), text, style_end(1)); }

void cmd_print_help(const struct cmd *c, const char *path, FILE *out) {
        int width = help_width();
        fprintf(out, "%s\n\n", c->summary);
        heading(out, "Usage");
        if (c->subs)
                fprintf(out, "  %s COMMAND [OPTIONS]\n", path);
        if (c->run)
                fprintf(out, "  %s%s%s%s\n", path, c->options ? " [OPTIONS]" : "", c->args ? " " : "", c->args ? c->args : "");
        fputc('\n', out);
        if (c->description)
                print_description(out, c->description, width);
        if (c->subs) {
                heading(out, "Commands");
                print_commands(c, out);
                fprintf(out, "\n\"%s COMMAND --help\" explains a command.\n", path);
        }
        if (c->subs && c->run)
                fputc('\n', out);
        if (c->run) {
                heading(out, "Options");
                print_options(c->options, out, width);
        }
        if (c->examples) {
                fputc('\n', out);
                heading(out, "Examples");
                for (const struct cmd_example *e = c->examples; e->line; e++) {
                        if (e->text)
                                fprintf(out, "  # %s\n", e->text);
                        fprintf(out, "  %s\n", e->line);
                }
        }
}

static int run_help(struct cmd_ctx *ctx, struct err *err) {
        int used, count = (int)ctx->o.args.len;
        const struct cmd *c = cmd_find(&cmd_root, ctx->o.args.items, count, &used);
        if (used < count)
                return cmd_usage_error(ctx, "there is no command \"%s\"", ctx->o.args.items[used]);
        AUTO(str) struct str path = STR_INIT(0);
        str_append_s(&path, cmd_root.name);
        for (int i = 0; i < used; i++)
                str_appendf(&path, " %s", ctx->o.args.items[i]);
        cmd_print_help(c, str_cstr(&path), stdout);
        return EXIT_OK;
}

const struct cmd cmd_help = {
        .name = "help",
        .summary = "Explain a command",
        .args = "[COMMAND...]",
        .max_args = 4,
        .args_complete = "command",
        .run = run_help,
};
