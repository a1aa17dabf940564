/* firesteel status: one application in full. */
#include "base/clock.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/session.h"
#include "codec/ktime.h"
#include "kobj/meta.h"
#include "kube/podlog.h"
#include "submit/app.h"
#include "submit/logscan.h"
#include "submit/why.h"

enum { LOG_LINES = 5000 }; /* of the driver's log, read for its progress */

struct showing {
        struct session session;
        enum output_format format;
        bool with_log;
        struct log_progress progress;
        bool log_done;
        yyjson_mut_doc *doc; /* of the applications shown, for -o json and yaml */
        yyjson_mut_val *list;
        int found;
};

static void showing_done(struct showing *s) {
        yyjson_mut_doc_free(s->doc);
        session_done(&s->session);
}
DEFINE_AUTO_VALUE(showing, struct showing, showing_done)

static void on_log_line(void *arg, struct sv line) { (void)log_progress_line(&((struct showing *)arg)->progress, line); }
static void on_log_end(void *arg, const struct err *err) { ((struct showing *)arg)->log_done = true; }

/* What the end of the driver's log says; without the right to read it there is no progress to show. */
static void read_progress(struct showing *s, const struct spark_app *app) {
        s->progress = LOG_PROGRESS_INIT;
        s->log_done = false;
        if (!s->with_log || !app->driver || !app->started_ms)
                return;
        AUTO(podlog) struct podlog *log = podlog_start(s->session.client, &(struct podlog_options){
                .namespace_ = app->namespace_,
                .pod = app_driver_name(app),
                .container = json_get_str(pod_spark_container(app->driver), "name"),
                .tail_lines = LOG_LINES,
                .on_line = on_log_line,
                .on_end = on_log_end,
                .arg = s,
        });
        loop_run_until(s->session.loop, &s->log_done);
}

static void field(const char *name, const char *fmt, ...) PRINTF(2, 3);
static void field(const char *name, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        printf("  %s%-11s%s ", style_begin(1, STYLE_DIM), name, style_end(1));
        vprintf(fmt, ap);
        putchar('\n');
        va_end(ap);
}

static enum style style_of(const char *state) {
        if (streq(state, "Running") || streq(state, "Succeeded"))
                return STYLE_GREEN;
        return streq(state, "Failed") || streq(state, "Orphaned") ? STYLE_RED : STYLE_YELLOW;
}

static void print_state(const struct spark_app *app) {
        AUTO(str) struct str text = STR_INIT(0);
        const struct pod_reason *why = &app->reason;
        if (why->reason && !streq(why->reason, "Completed"))
                str_appendf(&text, ": %s", why->reason);
        if (why->exit_code > 0)
                str_appendf(&text, "%s exit code %d", text.len ? "," : ":", why->exit_code);
        if (why->restarts > 0)
                str_appendf(&text, ", restarted %d time%s", why->restarts, why->restarts == 1 ? "" : "s");
        field("State", "%s%s%s%s", style_begin(1, style_of(app->state)), app->state, style_end(1), str_cstr(&text));
        if (why->message && !streq(app->state, "Succeeded")) {
                struct sv rest = sv_trim(sv_of(why->message)), line;
                while (sv_split(&rest, '\n', &line))
                        field("", "%.*s", SV_ARG(line));
        }
}

static void print_times(const struct spark_app *app) {
        char created[KTIME_SIZE], age[KTIME_SIZE];
        ktime_format(app->created_ms, created);
        duration_human(clock_now_ms() - app->created_ms, age);
        field("Submitted", "%s (%s ago)", created, age);
        if (!app->started_ms)
                return;
        int64_t end = app->finished_ms ? app->finished_ms : clock_now_ms();
        duration_human(end - app->started_ms, age);
        field(app->finished_ms ? "Ran" : "Runs for", "%s", age);
}

static void print_progress(const struct log_progress *p) {
        if (!p->jobs_started && p->stage < 0)
                return;
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%d of %d jobs done", p->jobs_done, p->jobs_started);
        if (p->jobs_failed)
                str_appendf(&text, ", %d failed", p->jobs_failed);
        if (p->stage >= 0)
                str_appendf(&text, "; stage %d: %d/%d tasks", p->stage, p->tasks_done, p->tasks);
        if (p->tasks_lost)
                str_appendf(&text, "; %d tasks failed", p->tasks_lost);
        field("Progress", "%s", str_cstr(&text));
}

static void print_executors(const struct spark_app *app) {
        static const struct grid_column columns[] = {{"  EXECUTOR"},
                                                     {"PHASE"},
                                                     {"NODE"},
                                                     {"CORES", .right = true},
                                                     {"MEMORY", .right = true},
                                                     {"AGE", .right = true},
                                                     {"POD", .shrink = true},
                                                     {"WHY", .shrink = true},
                                                     {NULL}};
        if (app->executors.len == 0)
                return;
        AUTO(grid) struct grid *t = grid_new(columns);
        vec_foreach(pod, &app->executors) {
                struct pod_reason why = pod_reason_of(*pod);
                int64_t cpu, memory;
                char size[16], age[KTIME_SIZE];
                const char *id = meta_label(*pod, "spark-exec-id");
                pod_requests(*pod, &cpu, &memory);
                memory_text(memory, size);
                duration_human(clock_now_ms() - meta_created_ms(*pod), age);
                grid_cellf(t, "  %s", id ? id : "-");
                grid_cell_style(t, style_of(why.phase), why.phase);
                grid_cell(t, json_str_at(*pod, "/spec/nodeName"));
                grid_cellf(t, "%g", (double)cpu / 1000);
                grid_cell(t, size);
                grid_cell(t, age);
                grid_cell(t, meta_name(*pod));
                if (why.exit_code > 0)
                        grid_cellf(t, "%s, exit code %d", why.reason ? why.reason : "Error", why.exit_code);
                else if (why.reason && why.message && !streq(why.phase, "Running"))
                        grid_cellf(t, "%s: %s", why.reason, why.message);
                else
                        grid_cell(t, why.reason ? why.reason : "");
        }
        grid_print(t, stdout);
}

static void print_wanted(const struct spark_app *app) {
        AUTO(str) struct str text = STR_INIT(0);
        if (app->wanted_max >= 0 && app->wanted_max == app->wanted_min)
                str_appendf(&text, " of %d", app->wanted_max);
        else if (app->wanted_max == INT32_MAX)
                str_appendf(&text, " (dynamic, at least %d)", app->wanted_min);
        else if (app->wanted_max >= 0)
                str_appendf(&text, " (dynamic, %d to %d)", app->wanted_min, app->wanted_max);
        field("Executors", "%d%s running, %d pending, %d failed", app->running, str_cstr(&text), app->pending, app->failed);
}

static void print_app(const struct showing *s, const struct spark_app *app) {
        char memory[16];
        printf("%s%s%s  %s\n", style_begin(1, STYLE_BOLD), app->name, style_end(1), app->id);
        print_state(app);
        field("Namespace", "%s", app->namespace_);
        if (app->driver) {
                const char *node = json_str_at(app->driver, "/spec/nodeName"),
                           *account = json_str_at(app->driver, "/spec/serviceAccountName");
                const char *image = json_get_str(pod_spark_container(app->driver), "image");
                field("Driver", "%s%s%s", meta_name(app->driver), node ? " on " : "", node ? node : "");
                field("Image", "%s", image ? image : "-");
                field("Account", "%s", account ? account : "default");
        }
        if (app->version)
                field("Spark", "%s", app->version);
        print_times(app);
        print_progress(&s->progress);
        print_wanted(app);
        memory_text(app->memory_bytes, memory);
        if (app_is_active(app))
                field("Holds", "%g cores, %s", (double)app->cpu_milli / 1000, memory);
        print_executors(app);
}

/* Failed, or waiting for something that will not come by itself? */
static bool needs_explaining(const struct spark_app *app) {
        if (!app->driver || streq(app->state, "Succeeded"))
                return false;
        if (streq(app->state, "Failed"))
                return true;
        const char *reason = app->reason.reason;
        return reason && streq(app->state, "Pending") && !streq(reason, "ContainerCreating") && !streq(reason, "PodInitializing");
}

static int explain(const struct showing *s, const struct spark_app *app, struct err *err) {
        if (!s->with_log || !needs_explaining(app))
                return 0;
        AUTO(why) struct why why = {0};
        int r = why_of_pod(s->session.client, app->driver, &why, err);
        if (r >= 0)
                follow_print_why(&why, false, stdout);
        return r;
}

static void add_doc(struct showing *s, const struct spark_app *app) {
        yyjson_mut_val *object = app_doc(app, true, s->doc);
        const struct log_progress *p = &s->progress;
        if (p->jobs_started || p->stage >= 0) {
                yyjson_mut_val *progress = mjson_obj(s->doc, object, "progress");
                mjson_set_int(s->doc, progress, "jobsStarted", p->jobs_started);
                mjson_set_int(s->doc, progress, "jobsDone", p->jobs_done);
                mjson_set_int(s->doc, progress, "jobsFailed", p->jobs_failed);
                mjson_set_int(s->doc, progress, "stage", p->stage);
                mjson_set_int(s->doc, progress, "tasksDone", p->tasks_done);
                mjson_set_int(s->doc, progress, "tasks", p->tasks);
        }
        yyjson_mut_arr_append(s->list, object);
}

static int show_matching(struct showing *s, const char *argument, bool all_namespaces, struct err *err) {
        AUTO(free) char *namespace_ = NULL, *pattern = NULL;
        session_split_name(&s->session, argument, all_namespaces, &namespace_, &pattern);
        AUTO(apps) struct apps apps = {0};
        int r = apps_load(s->session.client, namespace_, &apps, err);
        if (r < 0)
                return r;
        int before = s->found;
        vec_foreach(app, &apps) {
                if (!app_matches(app, pattern))
                        continue;
                if (app->driver)
                        app_load_wanted(s->session.client, app);
                read_progress(s, app);
                if (s->session.interrupted)
                        return err_set(err, -EINTR, "interrupted");
                if (s->format == OUTPUT_TABLE && s->found > 0)
                        putchar('\n');
                s->found++;
                if (s->format == OUTPUT_TABLE) {
                        print_app(s, app);
                        r = explain(s, app, err);
                        if (r < 0)
                                return r;
                } else if (s->format == OUTPUT_NAME) {
                        printf("%s:%s\n", app->namespace_, app_driver_name(app) ? app_driver_name(app) : app->id);
                } else {
                        add_doc(s, app);
                }
        }
        if (s->found == before) {
                fprintf(stderr, "No application %s in %s%s.\n", pattern, namespace_ ? "namespace " : "any namespace",
                        namespace_ ? namespace_ : "");
                if (!all_namespaces && !strchr(argument, ':'))
                        fprintf(stderr, "  hint: other namespaces are searched with -A, or by NAMESPACE:NAME\n");
        }
        return 0;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(showing) struct showing s = {.format = output_format_of(option_str(&ctx->o, "output")),
                                          .with_log = !option_on(&ctx->o, "no-log")};
        int r = session_open(&s.session, ctx, err);
        if (r < 0)
                return r;
        s.doc = yyjson_mut_doc_new(NULL);
        s.list = yyjson_mut_arr(s.doc);
        for (size_t i = 0; i < ctx->o.args.len; i++) {
                r = show_matching(&s, ctx->o.args.items[i], option_on(&ctx->o, "all-namespaces"), err);
                if (r < 0)
                        return s.session.interrupted ? EXIT_INTERRUPTED : r;
        }
        if (s.format == OUTPUT_JSON || s.format == OUTPUT_YAML) {
                bool one = ctx->o.args.len == 1 && !strpbrk(ctx->o.args.items[0], "*?[") && s.found == 1;
                if (s.found > 0)
                        output_mut_doc(one ? yyjson_mut_arr_get_first(s.list) : s.list, s.format, stdout);
        }
        return s.found ? EXIT_OK : EXIT_NOT_FOUND;
}

const struct cmd cmd_status = {
        .name = "status",
        .summary = "Show one Spark application in full",
        .args = "[NAMESPACE:]NAME...",
        .min_args = 1,
        .max_args = -1,
        .description =
                "Shows the driver, its executors, restarts, why something is not running, and progress as the driver's log tells it. NAME is a "
                "driver pod's name, an application's id (spark-...) or its name, or a pattern of them with * and ? (quote it), which stays in "
                "one namespace unless -A is given.\n\n"
                "\"spark-submit --status\" prints the original's block.",
        .options = (const struct option[]){CMD_OPTIONS_CLUSTER,
                                           {"all-namespaces", 'A', OPTION_SWITCH, NULL, "look in all namespaces"},
                                           {"no-log", 0, OPTION_SWITCH, NULL,
                                            "do not read the driver's log: no progress, no causes of a failure"},
                                           CMD_OPTION_OUTPUT,
                                           {0}},
        .examples = (const struct cmd_example[]){{NULL, "firesteel status spark-pi"},
                                                 {"For a script", "firesteel status spark-pi -o json | jq -r .state"},
                                                 {0}},
        .see_also = "firesteel-ls(1), firesteel-logs(1), firesteel-kill(1)",
        .run = run,
};
