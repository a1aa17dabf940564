/* firesteel history export: tables of one event log, for other programs. */
#include "cli/cmd.h"
#include "history/report.h"

static const char *const whats[] = {"tasks", "stages", "executors", "sql", "jobs", NULL};
static const char *const formats[] = {"csv", "jsonl", NULL};

static int index_of(const char *const *list, const char *word) {
        for (int i = 0; list[i]; i++)
                if (streq(list[i], word))
                        return i;
        return 0; /* the option parser takes nothing else */
}

static int flush(void *arg, struct str *text) {
        FILE *out = arg;
        if (text->len && fwrite(text->data, 1, text->len, out) != text->len)
                return -errno;
        str_clear(text);
        return fflush(out) ? -errno : 0;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(history_model) struct history_model *m = NULL;
        int r = report_open(ctx->o.args.items[0], &m, err);
        if (r < 0)
                return r;
        r = report_export(&m->m, (enum report_what)index_of(whats, option_str(&ctx->o, "what")),
                          (enum report_format)index_of(formats, option_str(&ctx->o, "format")), flush, stdout, err);
        return r < 0 ? r : EXIT_OK;
}

static const struct option options[] = {
        {"what", 'w', OPTION_CHOICE, "TABLE", "tasks, stages, executors, sql or jobs", "tasks", whats},
        {"format", 'f', OPTION_CHOICE, "FORMAT", "csv, or jsonl: a JSON object a line", "csv", formats},
        {0},
};

static const struct cmd_example examples[] = {
        {"every task with its metrics", "firesteel history export app.zstd --what tasks --format csv > tasks.csv"}, {0}};

const struct cmd cmd_history_export = {
        .name = "export",
        .summary = "Write a table of one event log",
        .args = "LOG",
        .min_args = 1,
        .max_args = 1,
        .args_complete = "file",
        .description =
                "Replays an event log and writes its tasks, stages, executors, SQL executions or jobs as CSV or JSON lines to standard output. "
                "Nothing is left out, however many there are.",
        .options = options,
        .examples = examples,
        .run = run,
};
