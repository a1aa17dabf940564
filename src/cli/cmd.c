#include "cli/cmd.h"

#include "base/log.h"
#include "cli/local.h"
#include "cli/output.h"
#include "kube/access.h"
#include "rules/doctor.h"

const char *const cmd_output_formats[] = {"table", "json", "yaml", "name", NULL};

static const struct cmd *sub_named(const struct cmd *c, const char *name) {
        for (size_t i = 0; c->subs && c->subs[i]; i++)
                if (streq(c->subs[i]->name, name) || streq_null(c->subs[i]->alias, name))
                        return c->subs[i];
        return NULL;
}

const struct cmd *cmd_find(const struct cmd *root, char *const *words, int count, int *ret_used) {
        const struct cmd *c = root;
        int used = 0;
        while (used < count) {
                const struct cmd *sub = sub_named(c, words[used]);
                if (!sub)
                        break;
                c = sub;
                used++;
        }
        *ret_used = used;
        return c;
}

/* Messages begin with "firesteel: " anyway: what follows names only the command. */
static const char *below_root(const char *path) {
        const char *blank = strchr(path, ' ');
        return blank ? blank + 1 : path;
}

static int unknown_command(const struct cmd *group, const char *path, const char *given) {
        VEC(const char *) names = {0};
        for (size_t i = 0; group->subs[i]; i++)
                if (!group->subs[i]->hidden)
                        *vec_push(&names) = group->subs[i]->name;
        *vec_push(&names) = NULL;
        const char *near = option_did_you_mean(given, names.items);
        vec_done(&names);
        AUTO(err) struct err err = ERR_INIT;
        if (group == &cmd_root)
                err_set(&err, -EINVAL, "there is no command \"%s\"", given);
        else
                err_set(&err, -EINVAL, "%s has no command \"%s\"", path, given);
        if (near)
                err_hint(&err, "did you mean \"%s %s\"?", path, near);
        else
                err_hint(&err, "\"%s --help\" lists the commands", path);
        log_err(&err);
        return EXIT_USAGE;
}

int cmd_usage_error(const struct cmd_ctx *ctx, const char *fmt, ...) {
        AUTO(err) struct err err = ERR_INIT;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        err_set(&err, -EINVAL, "%s: %s", below_root(ctx->path), text);
        err_hint(&err, "\"%s --help\" shows how it is used", ctx->path);
        log_err(&err);
        return EXIT_USAGE;
}

/* An API server's refusal says what it refuses; the rules know what helps. */
static void explain(struct err *err) {
        if (err->code == KUBE_NO_CLUSTER)
                local_hint_running(err);
        if (err->hint || !err->http_status)
                return;
        AUTO(strv) struct strv errors = {0};
        AUTO(doctor_findings) struct doctor_findings findings = {0};
        strv_add(&errors, err_message(err));
        if (doctor_match(&(struct doctor_facts){.role = "driver", .exit_code = -1, .errors = &errors}, &findings, NULL) < 0 ||
            !findings.len)
                return;
        AUTO(str) struct str hint = STR_INIT(0);
        for (const char *const *fix = findings.items[0].rule->fixes; *fix; fix++)
                str_appendf(&hint, "%s%s", hint.len ? "; " : "", *fix);
        err_hint(err, "%s", str_cstr(&hint));
}

static int check_args(const struct cmd_ctx *ctx) {
        const struct cmd *c = ctx->cmd;
        size_t given = ctx->o.args.len;
        if (given < (size_t)c->min_args)
                return cmd_usage_error(ctx, "%s expected: %s", given ? "more arguments" : "an argument", c->args);
        if (c->max_args >= 0 && given > (size_t)c->max_args)
                return cmd_usage_error(ctx, "unexpected argument \"%s\"", ctx->o.args.items[c->max_args]);
        return 0;
}

static int run_cmd(const struct cmd *c, const char *path, const char *argv0, int argc, char **argv) {
        AUTO(err) struct err err = ERR_INIT;
        struct cmd_ctx ctx = {.cmd = c, .path = path, .argv0 = argv0};
        int r = option_parse(c->options, argc, argv, c->stop_at_positional, &ctx.o, &err);
        if (r < 0) {
                err_wrap(&err, r, "%s", below_root(path));
                if (!err.hint)
                        err_hint(&err, "\"%s --help\" lists the options", path);
                log_err(&err);
                return EXIT_USAGE;
        }
        if (ctx.o.help) {
                cmd_print_help(c, path, stdout);
                r = EXIT_OK;
        } else {
                r = check_args(&ctx);
                if (r == 0)
                        r = c->run(&ctx, &err);
                if (r < 0) {
                        explain(&err);
                        log_err(&err);
                        r = EXIT_FAILED;
                }
        }
        options_done(&ctx.o);
        if (fflush(stdout) != 0 && r == EXIT_OK) {
                /* A reader that has seen enough (`| head`) is no failure; a full disk is. */
                if (errno != EPIPE) {
                        log_error("writing to standard output: %s", strerror(errno));
                        r = EXIT_FAILED;
                }
        }
        return r;
}

int cmd_main(const struct cmd *root, int argc, char **argv) {
        int used;
        const struct cmd *c = cmd_find(root, argv + 1, argc - 1, &used);
        AUTO(str) struct str path = STR_INIT(0);
        str_append_s(&path, root->name);
        const struct cmd *step = root;
        for (int i = 1; i <= used; i++) {
                step = sub_named(step, argv[i]);
                str_appendf(&path, " %s", step->name);
        }
        int left = argc - 1 - used;
        char **rest = argv + 1 + used;
        if (c->run && (!c->subs || left == 0 || rest[0][0] == '-'))
                return run_cmd(c, str_cstr(&path), argv[0], left, rest);

        if (left == 0) {
                cmd_print_help(c, str_cstr(&path), stderr);
                return EXIT_USAGE;
        }
        if (streq(rest[0], "--help") || streq(rest[0], "-h")) {
                cmd_print_help(c, str_cstr(&path), stdout);
                return EXIT_OK;
        }
        if (c == root && streq(rest[0], "--version")) {
                puts("firesteel " FIRESTEEL_VERSION);
                return EXIT_OK;
        }
        if (rest[0][0] == '-') {
                log_error("option %s comes after the command, as in \"%s COMMAND %s\"", rest[0], str_cstr(&path), rest[0]);
                return EXIT_USAGE;
        }
        return unknown_command(c, str_cstr(&path), rest[0]);
}
