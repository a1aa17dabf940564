/* firesteel submit: spark-submit's options, our own manners. */
#include <stdio.h>

#include "base/log.h"
#include "cli/client_mode.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/submit_batch.h"
#include "submit/app.h"
#include "submit/batch.h"
#include "submit/job.h"
#include "submit/submit.h"

/* Ours beside spark-submit's, which come from its own table (spark/cmdline.h). */
enum { OWN_OPTIONS = 17 };
static const char *const exit_codes[] = {"driver", "simple", NULL};
static const char *const output_formats[] = {"yaml", "json", "name", NULL};
static const char *const proxy_whens[] = {"auto", "always", "never", NULL};
static const struct option own_options[OWN_OPTIONS] = {
        CMD_OPTIONS_CLUSTER,
        {"spark-version", 0, OPTION_STRING, "VERSION",
         "release of Spark whose rules apply (default: $SPARK_HOME's, the image tag's, the newest)"},
        {"no-wait", 0, OPTION_SWITCH, NULL, "return once the driver pod is created"},
        {"follow", 'f', OPTION_SWITCH, NULL, "print the driver's log while waiting"},
        {"timeout", 0, OPTION_DURATION, "TIME", "stop waiting after this time; the application goes on"},
        {"exit-code", 0, OPTION_CHOICE, "WHOSE", "of a failed application: the driver's own, or simply 1", "simple", exit_codes},
        {"dry-run", 0, OPTION_SWITCH, NULL, "print the objects instead of creating them; nothing is uploaded"},
        {"output", 'o', OPTION_CHOICE, "FORMAT", "format of --dry-run, and of what is printed: yaml, json or name", NULL, output_formats},
        {"strict", 0, OPTION_SWITCH, NULL, "refuse configuration keys that this release of Spark does not know"},
        {"batch", 0, OPTION_STRING, "FILE",
         "submit many: one spark-submit command line a line, - for standard input; nothing is waited for", .complete = "file"},
        {"parallel", 0, OPTION_INT, "N", "with --batch: so many submissions on their way at a time", "8", .min = 1,
         .max = BATCH_IN_FLIGHT_MAX},
        {"fail-fast", 0, OPTION_SWITCH, NULL, "with --batch: start no further line after the first failure"},
        {"quiet", 'q', OPTION_SWITCH, NULL, "print failures only"},
        {"driver-proxy", 0, OPTION_CHOICE, "WHEN", "client mode: make a Service that leads pods to the driver on this machine", "auto",
         proxy_whens},
        {"driver-address", 0, OPTION_STRING, "ADDRESS",
         "client mode: address of this machine for pods (default: the one that reaches the API server)"},
};

struct submitting {
        struct cmd_ctx *ctx;
        struct session session;
        struct submit_job job;
        struct submit_job_options o;
        struct progress *progress;
        char *uploading; /* the file's name */
        bool quiet;
};

static void submitting_done(struct submitting *t) {
        progress_free(t->progress);
        submit_job_done(&t->job);
        session_done(&t->session);
        free(t->uploading);
}
DEFINE_AUTO_VALUE(submitting, struct submitting, submitting_done)

/* --- arguments --- */

static int take_options(struct submitting *t, struct err *err) {
        const struct options *o = &t->ctx->o;
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const char *name = submit_options[i].name + 2;
                if (i == SUBMIT_KILL || i == SUBMIT_STATUS || i == SUBMIT_HELP || i == SUBMIT_VERSION || i == SUBMIT_USAGE_ERROR ||
                    !option_given(o, name))
                        continue;
                const char *const *values;
                size_t count = i == SUBMIT_CONF ? option_list(o, name, &values) : 0;
                int r = 0;
                for (size_t j = 0; j < count && r >= 0; j++)
                        r = submit_args_set(&t->job.args, SUBMIT_CONF, values[j], err);
                if (i != SUBMIT_CONF)
                        r = submit_args_set(&t->job.args, (enum submit_arg)i, submit_options[i].value ? option_str(o, name) : NULL, err);
                if (r < 0)
                        return r;
        }
        submit_args_set_resource(&t->job.args, o->args.items[0]);
        for (size_t i = 1; i < o->args.len; i++)
                strv_add(&t->job.args.app_args, o->args.items[i]);
        return submit_args_check_java_options(&t->job.args, err);
}

static void print_warnings(const struct strv *warnings, size_t from) {
        for (size_t i = from; i < warnings->len; i++)
                fprintf(stderr, "warning: %s\n", warnings->items[i]);
}

static int read_arguments(struct submitting *t, struct err *err) {
        int r = submit_job_begin(&t->job, &t->o, NULL, err);
        if (r >= 0)
                r = take_options(t, err);
        if (r >= 0)
                r = submit_job_finish(&t->job, &t->o, err);
        print_warnings(&t->job.warnings, 0);
        if (r >= 0)
                r = submit_job_access(&t->job, &t->o, &t->session.access, err);
        return r < 0 ? r : submit_job_aim(&t->job, &t->session.access, err);
}

static int build(struct submitting *t, struct err *err) {
        size_t told = t->job.warnings.len;
        int r = submit_job_build(&t->job, err);
        print_warnings(&t->job.warnings, told);
        return r;
}

/* --- printing --- */

static int print_objects(const struct submitting *t) {
        const char *format = option_str(&t->ctx->o, "output");
        AUTO(mjson) yyjson_mut_doc *list = submission_list(t->job.s);
        if (format && streq(format, "name")) {
                printf("pod/%s\n", t->job.s->pod_name);
                vec_foreach(o, &t->job.s->resources) printf("%s/%s\n", o->plural, o->name);
                return EXIT_OK;
        }
        vec_foreach(u, &t->job.s->uploads.list) fprintf(stderr, "would upload %s to %s\n", u->source, u->target);
        output_mut_doc(yyjson_mut_doc_get_root(list), format && streq(format, "json") ? OUTPUT_JSON : OUTPUT_YAML, stdout);
        return EXIT_OK;
}

static void print_result(const struct submitting *t, const char *state) {
        const char *format = option_str(&t->ctx->o, "output");
        if (!format || streq(format, "name")) {
                printf("%s\n", t->job.s->submission_id);
                return;
        }
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        mjson_set_str(doc, root, "submissionId", t->job.s->submission_id);
        mjson_set_str(doc, root, "namespace", t->job.s->namespace_);
        mjson_set_str(doc, root, "driverPod", t->job.s->pod_name);
        mjson_set_str(doc, root, "applicationId", t->job.s->app_id);
        mjson_set_str(doc, root, "applicationName", t->job.s->app_name);
        mjson_set_str(doc, root, "state", state);
        output_mut_doc(root, streq(format, "json") ? OUTPUT_JSON : OUTPUT_YAML, stdout);
}

static void on_say(void *arg, const char *line) {
        struct submitting *t = arg;
        progress_hide(t->progress);
        if (!t->quiet)
                fprintf(stderr, "%s\n", line);
}

/* The first sign of a file makes a step of it; the bar is for those that take their time. */
static void on_upload(void *arg, const char *name, int64_t sent, int64_t total) {
        struct submitting *t = arg;
        char sent_text[16], total_text[16];
        memory_text(sent, sent_text);
        memory_text(total, total_text);
        if (!streq_null(t->uploading, name)) {
                free(t->uploading);
                t->uploading = xstrdup(name);
                progress_step(t->progress, "Uploading %s", name);
        }
        if (sent < total) {
                progress_bar(t->progress, sent, total, "%s of %s", sent_text, total_text);
                return;
        }
        progress_done(t->progress, "Uploaded %s (%s)", name, total_text);
        progress_step(t->progress, "Submitting %s", t->job.s->app_name);
}

/* --- waiting --- */

static int wait_for(struct submitting *t, struct err *err) {
        const char *exit_code = option_str(&t->ctx->o, "exit-code");
        int r = follow_app(
                &(struct follow_options){
                        .client = t->session.client,
                        .namespace_ = t->job.s->namespace_,
                        .pod = t->job.s->pod_name,
                        .app_id = t->job.s->app_id,
                        .app_name = t->job.s->app_name,
                        .quiet = t->quiet,
                        .with_log = option_on(&t->ctx->o, "follow"),
                        .driver_exit_code = exit_code && streq(exit_code, "driver"),
                        .report_interval_ms = t->job.interval_ms,
                        .timeout_ms = option_int(&t->ctx->o, "timeout"),
                        .interrupted = &t->session.interrupted,
                },
                err);
        if (r >= 0)
                print_result(t, r == EXIT_OK ? "Succeeded" : r == EXIT_TIMED_OUT || r == EXIT_INTERRUPTED ? "Running" : "Failed");
        return r;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(submitting) struct submitting t = {.ctx = ctx, .quiet = option_on(&ctx->o, "quiet"), .o = {
                .spark_version = option_str(&ctx->o, "spark-version"),
                .kubeconfig = option_str(&ctx->o, "kubeconfig"),
                .context = option_str(&ctx->o, "context"),
                .namespace_ = option_str(&ctx->o, "namespace"),
                .strict = option_on(&ctx->o, "strict"),
        }};
        submit_job_init(&t.job);
        if (option_given(&ctx->o, "batch"))
                return submit_batch_run(ctx, &t.o, err);
        if (!ctx->o.args.len)
                return cmd_usage_error(ctx, "an argument expected: %s", ctx->cmd->args);
        int r = read_arguments(&t, err);
        const char *mode = t.job.args.values[SUBMIT_DEPLOY_MODE];
        if (r >= 0 && mode && streq(mode, "client"))
                return client_mode_run(
                        &(struct client_mode){.ctx = ctx, .session = &t.session, .args = &t.job.args, .in = &t.job.in, .quiet = t.quiet},
                        err);
        if (r >= 0)
                r = build(&t, err);
        if (r < 0)
                return r;
        if (option_on(&ctx->o, "dry-run"))
                return print_objects(&t);
        r = session_connect(&t.session, err);
        if (r < 0)
                return r;
        t.progress = progress_new(t.quiet);
        progress_step(t.progress, "Submitting %s", t.job.s->app_name);
        r = submit_run(
                &(struct submit_options){
                        .client = t.session.client, .conf = &t.job.conf, .in = &t.job.in, .say = on_say, .progress = on_upload, .arg = &t},
                t.job.s, NULL, err);
        if (r < 0 && t.session.interrupted) {
                progress_hide(t.progress);
                log_err(err);
                return EXIT_INTERRUPTED;
        }
        if (r < 0)
                return r;
        progress_done(t.progress, "Submitted %s as %s (Spark %s)", t.job.s->app_name, t.job.s->submission_id, t.job.version.number);
        if (option_on(&ctx->o, "no-wait") || !t.job.wait) {
                print_result(&t, "Submitted");
                return EXIT_OK;
        }
        r = wait_for(&t, err);
        return r < 0 && t.session.interrupted ? EXIT_INTERRUPTED : r;
}

/* spark-submit's options by name, in its order; then ours. Made when the program starts, because the first part lives in another layer's
 * table. */
static struct option options[SUBMIT_ARGS + OWN_OPTIONS + 1];

static void __attribute__((constructor)) make_options(void) {
        size_t n = 0;
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const struct submit_option *o = &submit_options[i];
                if (i == SUBMIT_KILL || i == SUBMIT_STATUS || i == SUBMIT_HELP || i == SUBMIT_VERSION || i == SUBMIT_USAGE_ERROR)
                        continue;
                options[n++] = (struct option){
                        .name = o->name + 2,
                        .letter = o->alias ? o->alias[1] : 0,
                        .type = i == SUBMIT_CONF ? OPTION_LIST : o->value ? OPTION_STRING : OPTION_SWITCH,
                        .value = o->value,
                        .help = o->help,
                        .hidden = i == SUBMIT_QUEUE || i == SUBMIT_SUPERVISE || i == SUBMIT_TOTAL_EXECUTOR_CORES || i == SUBMIT_REMOTE,
                };
        }
        for (size_t i = 0; i < OWN_OPTIONS; i++)
                if (own_options[i].name)
                        options[n++] = own_options[i];
}

const struct cmd cmd_submit = {
        .name = "submit",
        .summary = "Submit a Spark application to Kubernetes",
        .args = "APP-FILE [ARGUMENT...] | --batch FILE",
        .max_args = -1,
        .args_complete = "file",
        .stop_at_positional = true,
        .description =
                "Takes spark-submit's options and creates what spark-submit would create, without a JVM. APP-FILE is a jar, a .py or a .R file: "
                "local:///path is inside the image, a plain path is a file here (uploaded to spark.kubernetes.file.upload.path).\n\n"
                "Unlike spark-submit it takes cluster and namespace from the kubeconfig when --master and spark.kubernetes.namespace are not given, "
                "creates configuration before the pod that needs it, waits with a progress display, says why an application failed, and ends "
                "with exit code 1 when it did. Called by the name spark-submit the program behaves as the original does.\n\n"
                "With --deploy-mode client the driver runs here, by the Spark of $SPARK_HOME, of python3's pyspark or of the cache; executors reach it "
                "by a Service that is removed at the end (firesteel ls --orphans --delete removes those that a crash left behind).\n\n"
                "--batch FILE submits one job a line, several at a time: each line is spark-submit's command line as shell words, with or without its name; # begins a "
                "comment. Options in front hold for every line. A line that fails is reported and the others go on. The exit code is 0 when all were submitted, 1 when "
                "one was not.\n\n"
                "Where an option and --conf set the same key, the option wins; both win over --properties-file, that over the environment.",
        .options = options,
        .examples =
                (const struct cmd_example[]){
                        {"A job whose code is in the image",
                         "firesteel submit --name pi --class org.apache.spark.examples.SparkPi -c "
                         "spark.kubernetes.container.image=apache/spark:4.1.4 local:///opt/spark/examples/jars/spark-examples.jar"},
                        {"See what would be created",
                         "firesteel submit --dry-run -c spark.kubernetes.container.image=my/image local:///app/main.py"},
                        {"A thousand jobs",
                         "firesteel submit --batch jobs.txt -c spark.kubernetes.container.image=apache/spark:4.1.4 -o json"},
                        {0},
                },
        .see_also = "firesteel-logs(1), firesteel-status(1), firesteel-kill(1)",
        .run = run,
};
