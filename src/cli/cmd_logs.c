/* firesteel logs: what an application's driver and executors say. */
#include "cli/output.h"
#include "cli/session.h"
#include "submit/app.h"
#include "submit/applog.h"

struct printing {
        bool prefixed;
        bool live;   /* a line is worth most when it is new: none waits in a buffer, also when a program reads */
        bool broken; /* nobody reads any more (`| head`) */
        struct session *session;
};

static void on_line(void *arg, const char *source, int number, struct sv line) {
        static const enum style styles[] = {STYLE_CYAN, STYLE_GREEN, STYLE_YELLOW, STYLE_BLUE, STYLE_RED, STYLE_BOLD};
        struct printing *p = arg;
        if (p->prefixed)
                printf("%s%-8s|%s ", style_begin(1, styles[(size_t)number % ARRAY_LEN(styles)]), source, style_end(1));
        fwrite(line.data, 1, line.len, stdout);
        if (putchar('\n') == EOF || (p->live && fflush(stdout) == EOF)) {
                p->broken = true;
                loop_stop(p->session->loop);
        }
}

static void on_note(void *arg, const char *source, const char *note) {
        fflush(stdout);
        fprintf(stderr, "%s%s: %s%s\n", style_begin(2, STYLE_DIM), source, note, style_end(2));
}

/* The application meant; the newest when several share the name, which is said. */
static const struct spark_app *choose(const struct apps *apps, const char *pattern) {
        const struct spark_app *chosen = NULL;
        int others = 0;
        vec_foreach(app, apps) {
                if (!app_matches(app, pattern))
                        continue;
                if (!chosen)
                        chosen = app;
                else
                        others++;
        }
        if (others > 0)
                fprintf(stderr, "%d applications match %s; this is the newest, %s:%s\n", others + 1, pattern, chosen->namespace_,
                        app_driver_name(chosen) ? app_driver_name(chosen) : chosen->id);
        return chosen;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(session) struct session s = {0};
        int r = session_open(&s, ctx, err);
        if (r < 0)
                return r;
        AUTO(free) char *namespace_ = NULL, *pattern = NULL;
        session_split_name(&s, ctx->o.args.items[0], option_on(&ctx->o, "all-namespaces"), &namespace_, &pattern);
        AUTO(apps) struct apps apps = {0};
        r = apps_load(s.client, namespace_, &apps, err);
        if (r < 0)
                return s.interrupted ? EXIT_INTERRUPTED : r;
        const struct spark_app *app = choose(&apps, pattern);
        if (!app) {
                fprintf(stderr, "No application %s in %s%s.\n", pattern, namespace_ ? "namespace " : "any namespace",
                        namespace_ ? namespace_ : "");
                return EXIT_NOT_FOUND;
        }
        AUTO(strv) struct strv ids = {0};
        bool all = false;
        const char *const *executors;
        size_t count = option_list(&ctx->o, "executor", &executors);
        for (size_t i = 0; i < count; i++) {
                if (streq(executors[i], "all"))
                        all = true;
                else
                        strv_split(&ids, executors[i], ',');
        }
        bool driver = count == 0 || option_on(&ctx->o, "driver");
        struct printing p = {
                .prefixed = all || ids.len + driver > 1, .live = terminal_of(1)->is_tty || option_on(&ctx->o, "follow"), .session = &s};
        r = applog_run(&(struct applog_options){
                .client = s.client,
                .namespace_ = app->namespace_,
                .app_id = app->id,
                .driver = driver,
                .all_executors = all,
                .executor_ids = &ids,
                .container = option_str(&ctx->o, "container"),
                .follow = option_on(&ctx->o, "follow"),
                .previous = option_on(&ctx->o, "previous"),
                .timestamps = option_on(&ctx->o, "timestamps"),
                .tail_lines = option_int(&ctx->o, "tail"),
                .since_seconds = (option_int(&ctx->o, "since") + 999) / 1000,
                .on_line = on_line,
                .on_note = on_note,
                .arg = &p,
        }, err);
        if (p.broken)
                return EXIT_OK;
        if (s.interrupted)
                return EXIT_INTERRUPTED;
        if (r == 0) {
                fprintf(stderr, "No such pod of %s:%s is there any more.\n", app->namespace_, app->id);
                return EXIT_NOT_FOUND;
        }
        return r < 0 ? r : EXIT_OK;
}

const struct cmd cmd_logs = {
        .name = "logs",
        .summary = "Show what the driver or the executors say",
        .args = "[NAMESPACE:]NAME",
        .min_args = 1,
        .max_args = 1,
        .description =
                "Prints the driver's log, or that of executors. NAME is a driver pod's name, an application's id or its name. With -f it goes on "
                "through broken connections and restarts until the application has ended; executors that start later join in.\n\n"
                "When several pods are read, every line begins with where it comes from.",
        .options = (const struct option[]){CMD_OPTIONS_CLUSTER,
                                           {"all-namespaces", 'A', OPTION_SWITCH, NULL, "look in all namespaces"},
                                           {"follow", 'f', OPTION_SWITCH, NULL, "go on as more is said"},
                                           {"executor", 'e', OPTION_LIST, "N|all", "executor 3, executors 1,2, or all of them"},
                                           {"driver", 0, OPTION_SWITCH, NULL, "the driver as well as the executors asked for"},
                                           {"previous", 'p', OPTION_SWITCH, NULL, "of the container's run before this one"},
                                           {"since", 0, OPTION_DURATION, "TIME", "only what was said in the last 5m, 1h ..."},
                                           {"tail", 0, OPTION_INT, "LINES", "only the last lines of each pod; -1 for all", "-1", .min = -1},
                                           {"timestamps", 0, OPTION_SWITCH, NULL, "with the time of each line"},
                                           {"container", 'c', OPTION_STRING, "NAME", "another container than Spark's"},
                                           {0}},
        .examples = (const struct cmd_example[]){{"Follow the driver", "firesteel logs -f spark-pi"},
                                                 {"Everything the application says", "firesteel logs -f spark-pi --driver -e all"},
                                                 {0}},
        .see_also = "firesteel-status(1), firesteel-ls(1)",
        .run = run,
};
