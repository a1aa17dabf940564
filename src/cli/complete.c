/* Shell completion. The scripts for bash, zsh and fish are short: they ask `firesteel __complete WORDS...` (the last word
 * being the one under the cursor), which answers from the command table, one `candidate<TAB>description` a line, or with
 * `:file` or `:dir` where the shell completes by itself. */
#include <dirent.h>

#include "base/fs.h"
#include "cli/cmd.h"

static void offer(const char *typed, const char *candidate, const char *description) {
        if (str_starts(candidate, typed))
                printf("%s\t%s\n", candidate, description ? description : "");
}

static void offer_instances(const char *typed) {
        const char *state = getenv("XDG_STATE_HOME");
        AUTO(free) char *dir = state && *state ? xasprintf("%s/firesteel", state) : fs_absolute("~/.local/state/firesteel");
        DIR *d = opendir(dir);
        if (!d)
                return;
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.')
                        offer(typed, e->d_name, "instance");
        closedir(d);
}

/* What a value or an argument of this sort can be. */
static void offer_kind(const char *kind, const char *typed) {
        if (!kind)
                return;
        if (streq(kind, "file") || streq(kind, "dir"))
                printf(":%s\n", kind);
        else if (streq(kind, "instance"))
                offer_instances(typed);
}

static void offer_value(const struct option *o, const char *typed) {
        if (o->type == OPTION_CHOICE)
                for (const char *const *c = o->choices; *c; c++)
                        offer(typed, *c, NULL);
        else
                offer_kind(o->complete, typed);
}

static const struct option *option_named(const struct cmd *c, const char *word) {
        for (const struct option *o = c->options; o && o->name; o++) {
                if (str_starts(word, "--") && streq(word + 2, o->name))
                        return o;
                if (word[0] == '-' && o->letter && word[1] == o->letter && !word[2])
                        return o;
        }
        return NULL;
}

static void offer_subs(const struct cmd *c, const char *typed) {
        for (size_t i = 0; c->subs && c->subs[i]; i++)
                if (!c->subs[i]->hidden)
                        offer(typed, c->subs[i]->name, c->subs[i]->summary);
}

static void offer_options(const struct cmd *c, const char *typed) {
        for (const struct option *o = c->options; o && o->name; o++) {
                AUTO(free) char *name = xasprintf("--%s", o->name);
                if (!o->hidden)
                        offer(typed, name, o->help);
        }
        offer(typed, "--help", "this help");
}

static int run_complete(struct cmd_ctx *ctx, struct err *err) {
        char **words = ctx->o.args.items;
        int count = (int)ctx->o.args.len, used;
        if (count == 0)
                return EXIT_OK;
        const char *typed = words[count - 1];
        const struct cmd *c = cmd_find(&cmd_root, words, count - 1, &used);
        if (c == &cmd_help) {
                int deeper;
                c = cmd_find(&cmd_root, words + used, count - 1 - used, &deeper);
                offer_subs(c, typed);
                return EXIT_OK;
        }
        if (c->subs && c->run && used == count - 1)
                offer_subs(c, typed);
        if (c->subs && !c->run) {
                if (used == count - 1)
                        offer_subs(c, typed);
                if (typed[0] == '-')
                        offer(typed, "--help", "this help");
                return EXIT_OK;
        }
        const struct option *before = count >= 2 && count - 1 > used ? option_named(c, words[count - 2]) : NULL;
        if (before && before->type != OPTION_SWITCH)
                offer_value(before, typed);
        else if (typed[0] == '-')
                offer_options(c, typed);
        else
                offer_kind(c->args_complete, typed);
        return EXIT_OK;
}

const struct cmd cmd_complete = {
        .name = "__complete",
        .summary = "Candidates for a shell",
        .args = "WORD...",
        .max_args = -1,
        .stop_at_positional = true,
        .hidden = true,
        .run = run_complete,
};

static const char bash_script[] =
        "# bash completion for firesteel: firesteel completion bash > /etc/bash_completion.d/firesteel\n"
        "_firesteel() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} line\n"
        "    COMPREPLY=()\n"
        "    while IFS= read -r line; do\n"
        "        case $line in\n"
        "        :file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
        "        :dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n"
        "        *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
        "        esac\n"
        "    done < <(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
        "}\n"
        "complete -F _firesteel firesteel\n";

static const char zsh_script[] =
        "#compdef firesteel\n"
        "# zsh completion for firesteel: firesteel completion zsh > \"${fpath[1]}/_firesteel\"\n"
        "_firesteel() {\n"
        "    local line name help\n"
        "    local -a found\n"
        "    while IFS= read -r line; do\n"
        "        case $line in\n"
        "        :file) _files; return ;;\n"
        "        :dir) _files -/; return ;;\n"
        "        esac\n"
        "        name=${line%%$'\\t'*} help=${line#*$'\\t'}\n"
        "        found+=(\"${name//:/\\\\:}${help:+:$help}\")\n"
        "    done < <(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
        "    _describe firesteel found\n"
        "}\n"
        "if [ \"$funcstack[1]\" = _firesteel ]; then _firesteel \"$@\"; else compdef _firesteel firesteel; fi\n";

static const char fish_script[] =
        "# fish completion for firesteel: firesteel completion fish > ~/.config/fish/completions/firesteel.fish\n"
        "function __firesteel_complete\n"
        "    set -l words (commandline -opc) (commandline -ct)\n"
        "    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)\n"
        "        switch $line\n"
        "            case ':file'\n"
        "                __fish_complete_path (commandline -ct)\n"
        "            case ':dir'\n"
        "                __fish_complete_directories (commandline -ct)\n"
        "            case '*'\n"
        "                echo $line\n"
        "        end\n"
        "    end\n"
        "end\n"
        "complete -c firesteel -f -a '(__firesteel_complete)'\n";

static int run_completion(struct cmd_ctx *ctx, struct err *err) {
        const char *shell = ctx->o.args.items[0];
        static const struct {
                const char *shell, *script;
        } scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
        for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
                if (streq(shell, scripts[i].shell)) {
                        fputs(scripts[i].script, stdout);
                        return EXIT_OK;
                }
        return cmd_usage_error(ctx, "there is a script for bash, zsh and fish, not for \"%s\"", shell);
}

const struct cmd cmd_completion = {
        .name = "completion",
        .summary = "Print the completion script for a shell",
        .args = "bash|zsh|fish",
        .min_args = 1,
        .max_args = 1,
        .examples = (const struct cmd_example[]){{"For this shell only", "source <(firesteel completion bash)"}, {0}},
        .run = run_completion,
};
