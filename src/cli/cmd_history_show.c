/* firesteel history show: what one event log says, in short. */
#include "cli/cmd.h"
#include "history/report.h"

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(history_model) struct history_model *m = NULL;
        AUTO(str) struct str text = STR_INIT(0);
        int r = report_open(ctx->o.args.items[0], &m, err);
        if (r < 0)
                return r;
        report_show(&m->m, &text);
        fputs(str_cstr(&text), stdout);
        return EXIT_OK;
}

static const struct cmd_example examples[] = {{NULL, "firesteel history show /tmp/spark-events/app-20260102.zstd"}, {0}};

const struct cmd cmd_history_show = {
        .name = "show",
        .summary = "Sum up one event log",
        .args = "LOG",
        .min_args = 1,
        .max_args = 1,
        .args_complete = "file",
        .description =
                "Replays an event log (a file, or the folder of a rolled one) and prints what the application did: times, jobs, the slowest "
                "stages, what failed.",
        .examples = examples,
        .run = run,
};
