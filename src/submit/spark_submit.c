#include "submit/spark_submit.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/rand.h"
#include "event/loop.h"
#include "submit/compat.h"
#include "submit/gather.h"
#include "submit/submit.h"
#include "submit/upload.h"
#include "submit/wait.h"

enum { EXIT_NO_ARGUMENTS = 255 };

struct face {
        int argc;
        char **argv;
        struct submission_inputs in;
        struct submit_args args;
        struct spark_version version;
};

static void face_done(struct face *f) {
        submission_inputs_done(&f->in);
        submit_args_done(&f->args);
}
DEFINE_AUTO_VALUE(face, struct face, face_done)

/* Lines in the form of Spark's default log, which scripts read. */
static void log_spark(const char *level, const char *who, const char *message) {
        time_t now = (time_t)(clock_now_ms() / 1000);
        struct tm tm;
        localtime_r(&now, &tm);
        fprintf(stderr, "%02d/%02d/%02d %02d:%02d:%02d %s %s: %s\n", tm.tm_year % 100, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                tm.tm_sec, level, who, message);
}

static void say_info(void *arg, const char *line) { log_spark("INFO", arg, line); }
static void say_plain(void *arg, const char *line) {
        (void)arg;
        fprintf(stderr, "%s\n", line);
}

static int fail(const struct face *f, const struct err *err) {
        fprintf(stderr, "Error: %s\n", err_message(err));
        if (err->hint)
                fprintf(stderr, "  hint: %s\n", err->hint);
        if (f->args.usage) {
                AUTO(str) struct str usage = STR_INIT(0);
                submit_usage(f->version.line, &usage);
                fprintf(stderr, "\n%s", str_cstr(&usage));
        }
        return EXIT_FAILURE;
}

/* --- handing over --- */

static int hand_over(const struct face *f) {
        const char *home = inputs_env(&f->in, "SPARK_HOME");
        if (getenv("FIRESTEEL_HANDED_OVER")) {
                fprintf(stderr,
                        "Error: %s/bin/spark-submit is firesteel itself: client mode and masters other than k8s:// need a Spark installation\n",
                        home ? home : "$SPARK_HOME");
                return EXIT_FAILURE;
        }
        AUTO(free) char *program = home && *home ? xasprintf("%s/bin/spark-submit", home) : NULL;
        if (!program || access(program, X_OK) != 0) {
                fprintf(stderr,
                        "Error: only k8s:// masters in cluster mode are submitted without a Spark installation (master %s, deploy mode %s)\n"
                        "  hint: add --master k8s://https://HOST:PORT --deploy-mode cluster, or set SPARK_HOME to an installation of Spark%s%s\n",
                        f->args.values[SUBMIT_MASTER] ? f->args.values[SUBMIT_MASTER] : "not set",
                        f->args.values[SUBMIT_DEPLOY_MODE] ? f->args.values[SUBMIT_DEPLOY_MODE] : "client", program ? "; there is no " : "",
                        program ? program : "");
                return EXIT_FAILURE;
        }
        setenv("FIRESTEEL_HANDED_OVER", "1", 1);
        execv(program, f->argv);
        fprintf(stderr, "Error: cannot run %s: %s\n", program, strerror(errno));
        return EXIT_FAILURE;
}

static bool is_for_others(int argc, char **argv) {
        static const char *const words[] = {"run-example", "pyspark-shell-main", "sparkr-shell-main"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (argc > 1 && streq(argv[1], words[i]))
                        return true;
        return false;
}

/* Masters that no Spark knows are refused here; those it knows are the installation's to serve. */
static bool is_unknown_master(const struct submit_args *a) {
        static const char *const kinds[] = {"spark", "mesos", "local", "yarn", "k8s"};
        const char *master = a->values[SUBMIT_MASTER];
        for (size_t i = 0; master && i < ARRAY_LEN(kinds); i++)
                if (str_starts(master, kinds[i]))
                        return false;
        return master != NULL;
}

/* --- submit --- */

/* The original's HTTP clients refuse a token with a line break, where others cut it. */
static int check_token_file(const struct spark_conf *conf, const struct kube_access *access, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        if (!access->token_file || !conf_get(conf, "spark.kubernetes.authenticate.submission.oauthTokenFile"))
                return 0;
        int r = fs_read(access->token_file, 64 * 1024, &text, err);
        if (r < 0)
                return err_wrap(err, r, "reading the token");
        if (!memchr(text.data, '\n', text.len) && !memchr(text.data, '\r', text.len))
                return 0;
        err_set(err, -EINVAL, "the token of %s has a line break, which cannot be sent", access->token_file);
        err_hint(err, "write the file without it: printf %%s \"$TOKEN\" > FILE");
        return -EINVAL;
}

/* What the original's client library takes from the environment: before the kubeconfig's credentials, after the configuration's token. */
static void take_environment(const struct spark_conf *conf, struct kube_access *access) {
        const char *user = getenv("KUBERNETES_AUTH_BASIC_USERNAME"), *password = getenv("KUBERNETES_AUTH_BASIC_PASSWORD");
        const char *token = getenv("KUBERNETES_AUTH_TOKEN");
        bool has_pair = user && *user && password && *password;
        if (!has_pair && (!token || !*token || (access->username && access->password) ||
                          conf_get(conf, "spark.kubernetes.authenticate.submission.oauthToken") ||
                          conf_get(conf, "spark.kubernetes.authenticate.submission.oauthTokenFile")))
                return;
        free(TAKE(access->token));
        free(TAKE(access->token_file));
        if (has_pair) {
                free(TAKE(access->username));
                free(TAKE(access->password));
                access->username = xstrdup(user);
                access->password = xstrdup(password);
        } else {
                access->token = xstrdup(token);
        }
}

static int make_client(struct spark_conf *conf, const char *master, struct loop *loop, struct kube_client **ret, struct kube_access *access,
                       struct err *err) {
        int64_t timeout_ms;
        int r = submit_timeout(conf, &timeout_ms, err);
        if (r >= 0)
                r = submit_access(conf, master, access, err);
        if (r < 0)
                return r;
        take_environment(conf, access);
        r = check_token_file(conf, access, err);
        if (r < 0)
                return r;
        return kube_client_new(loop,
                               &(struct kube_client_options){
                                       .access = access,
                                       .field_manager = "fabric8",
                                       .timeout_ms = timeout_ms,
                                       .retry = conf->version.line == SPARK_3_5 ? &KUBE_RETRY_SPARK35 : &KUBE_RETRY_SPARK41,
                               },
                               ret, err);
}

static int build(struct face *f, struct spark_conf *conf, struct submission_app *app, struct submission **ret, struct err *err) {
        AUTO(input_wants) struct input_wants wants = {0};
        submission_wants(&f->args, &f->in, &wants);
        gather_file_systems(&f->in);
        int r = gather_wants(&f->in, &wants, err);
        if (r >= 0)
                r = submission_prepare(&f->args, &f->in, conf, app, err);
        if (r < 0)
                return r;
        struct submission_request q = {.conf = conf, .app = app, .in = &f->in, .ids = {.now_ms = clock_now_ms()}};
        rand_bytes(q.ids.seed, sizeof(q.ids.seed));
        AUTO(submission_uploads) struct submission_uploads planned = {0};
        q.planned = &planned;
        r = submission_build(&q, ret, err);
        if (r < 0) { /* the original has uploaded these by now; that it fails is told by the first error */
                AUTO(loop) struct loop *loop = loop_new();
                const struct upload_options o = {.loop = loop,
                                                 .conf = conf,
                                                 .in = &f->in,
                                                 .keep_on_failure = true,
                                                 .say = say_info,
                                                 .arg = (char *)"KubernetesUtils"};
                if (upload_check(&planned, NULL) >= 0 && upload_run(&planned, &o, NULL) < 0)
                        log_spark("WARN", "KubernetesUtils", "not everything that was planned could be uploaded");
                return r;
        }
        for (size_t i = 0; i < (*ret)->warnings.len; i++)
                log_spark("WARN", "KubernetesClientUtils", (*ret)->warnings.items[i]);
        return 0;
}

/* The original's exit code does not depend on how the application ended. */
static int wait_as_spark(const struct submission *s, struct kube_client *client, int64_t interval_ms, struct err *err) {
        AUTO(wait_result) struct wait_result result = {0};
        return wait_for_app(
                &(struct wait_options){
                        .client = client,
                        .namespace_ = s->namespace_,
                        .pod = s->pod_name,
                        .app_id = s->app_id,
                        .app_name = s->app_name,
                        .spark_style = true,
                        .report_interval_ms = interval_ms,
                        .say = say_info,
                        .arg = (char *)"LoggingPodStatusWatcherImpl",
                },
                &result, err);
}

static int submit(struct face *f, struct err *err) {
        AUTO(spark_conf) struct spark_conf conf;
        AUTO(submission_app) struct submission_app app = {0};
        AUTO(submission) struct submission *s = NULL;
        spark_conf_init(&conf, f->version);
        int r = build(f, &conf, &app, &s, err);
        if (r < 0)
                return r;
        AUTO(loop) struct loop *loop = loop_new();
        AUTO(kube_access) struct kube_access access = {0};
        AUTO(kube_client) struct kube_client *client = NULL;
        r = make_client(&conf, conf_get(&conf, "spark.master"), loop, &client, &access, err);
        if (r >= 0)
                r = submit_run(&(struct submit_options){.client = client,
                                                        .conf = &conf,
                                                        .in = &f->in,
                                                        .compat = true,
                                                        .say = say_info,
                                                        .arg = (char *)"KubernetesUtils"},
                               s, NULL, err);
        if (r < 0)
                return r;
        bool wait;
        int64_t interval_ms = 0;
        r = submission_waiting(&conf, &wait, &interval_ms, err);
        if (r < 0)
                return r;
        if (wait)
                return wait_as_spark(s, client, interval_ms, err);
        AUTO(free) char *line = xasprintf("Deployed Spark application %s with application ID %s and submission ID %s into Kubernetes",
                                          s->app_name, s->app_id, s->submission_id);
        log_spark("INFO", "Client", line);
        return 0;
}

/* --- kill and status --- */

static void say_nothing(void *arg, const char *line) {
        (void)arg;
        (void)line;
}

static int operate_at(struct face *f, struct spark_conf *conf, const char *url, bool again, struct err *err) {
        AUTO(loop) struct loop *loop = loop_new();
        AUTO(kube_access) struct kube_access access = {0};
        AUTO(kube_client) struct kube_client *client = NULL;
        int r = make_client(conf, url, loop, &client, &access, err);
        if (r < 0)
                return r;
        bool kill = f->args.action == SUBMIT_ACTION_KILL;
        int64_t grace = -1;
        char number[24];
        if (kill && conf_has(conf, "spark.kubernetes.appKillPodDeletionGracePeriod")) {
                r = conf_long(conf, "spark.kubernetes.appKillPodDeletionGracePeriod", &grace, err);
                if (r < 0)
                        return r;
        }
        snprintf(number, sizeof(number), "%lld", (long long)grace);
        struct compat_options o = {
                .client = client,
                .is_35 = !spark_features(f->version.line)->kill_looks_first,
                .master = f->args.values[SUBMIT_MASTER],
                .submission_id = f->args.values[kill ? SUBMIT_KILL : SUBMIT_STATUS],
                .namespace_ = access.namespace_,
                .grace_period = grace >= 0 ? number : NULL,
                .say = again ? say_nothing : say_plain,
        };
        return kill ? compat_kill(&o, err) : compat_status(&o, err);
}

/* Here the original does not insist on a scheme: where there is none it tries https, and http when that is not spoken. */
static int operate(struct face *f, struct err *err) {
        AUTO(spark_conf) struct spark_conf conf;
        spark_conf_init(&conf, f->version);
        conf.env = &f->in.env;
        conf.user = f->in.user;
        map_foreach(e, &f->args.properties) conf_set(&conf, e->key, e->value);
        const char *server = f->args.values[SUBMIT_MASTER] + strlen("k8s://");
        if (strncasecmp(server, "http://", 7) == 0 || strncasecmp(server, "https://", 8) == 0)
                return operate_at(f, &conf, f->args.values[SUBMIT_MASTER], false, err);
        AUTO(err) struct err why = ERR_INIT;
        AUTO(free) char *secure = xasprintf("k8s://https://%s", server);
        int r = operate_at(f, &conf, secure, false, &why);
        if (r >= 0 || why.http_status || strstr(server, "://"))
                return r >= 0 ? r : err_move(err, &why);
        AUTO(free) char *plain = xasprintf("k8s://http://%s", server);
        AUTO(err) struct err second = ERR_INIT;
        r = operate_at(f, &conf, plain, true, &second);
        if (r >= 0 || second.http_status)
                return r >= 0 ? r : err_move(err, &second);
        return err_move(err, &why);
}

/* --- the command line --- */

static int read_arguments(struct face *f, struct err *err) {
        bool known;
        int r = gather_base(&f->in, err);
        if (r >= 0)
                r = gather_spark_env(&f->in, err);
        if (r >= 0)
                r = gather_version(&f->in, NULL, &f->version, &known, err);
        if (r < 0)
                return r;
        f->args.line = f->version.line;
        r = submit_args_parse(&f->args, f->argc - 1, f->argv + 1, err);
        if (r < 0 || f->args.action == SUBMIT_ACTION_HELP || f->args.action == SUBMIT_ACTION_USAGE ||
            f->args.action == SUBMIT_ACTION_VERSION)
                return r;
        r = gather_properties(&f->in, &f->args, err);
        if (r >= 0)
                r = submit_args_finish(&f->args, &f->in.env, err);
        for (size_t i = 0; i < f->args.warnings.len; i++)
                fprintf(stderr, "Warning: %s\n", f->args.warnings.items[i]);
        if (r >= 0 && !known) {
                gather_version_of_image(&f->args, &f->version);
                f->args.line = f->version.line;
        }
        return r;
}

static void print_arguments(const struct face *f) {
        fprintf(stderr, "Parsed arguments:\n");
        for (int i = 0; i < SUBMIT_ARGS; i++)
                if (submit_options[i].value && i != SUBMIT_CONF)
                        fprintf(stderr, "  %-28s %s\n", submit_options[i].name + 2, f->args.values[i] ? f->args.values[i] : "null");
        fprintf(stderr, "  %-28s %s\n", "primary resource", f->args.resource ? f->args.resource : "null");
        fprintf(stderr, "  Spark %s\n\n", f->version.number);
}

static int dispatch(struct face *f, struct err *err) {
        AUTO(str) struct str usage = STR_INIT(0);
        const char *master = f->args.values[SUBMIT_MASTER];
        switch (f->args.action) {
        case SUBMIT_ACTION_HELP:
        case SUBMIT_ACTION_USAGE:
                submit_usage(f->version.line, &usage);
                fprintf(stderr, "%s", str_cstr(&usage));
                return f->args.action == SUBMIT_ACTION_HELP ? 0 : f->argc == 1 ? EXIT_NO_ARGUMENTS : EXIT_FAILURE;
        case SUBMIT_ACTION_VERSION:
                fprintf(stderr, "firesteel %s, in the place of spark-submit\n  version %s\n", FIRESTEEL_VERSION, f->version.number);
                return 0;
        case SUBMIT_ACTION_KILL:
        case SUBMIT_ACTION_STATUS:
                if (!master || !str_starts(master, "k8s://"))
                        return hand_over(f);
                return operate(f, err);
        case SUBMIT_ACTION_SUBMIT:
                break;
        }
        if (f->args.verbose)
                print_arguments(f);
        if (is_unknown_master(&f->args))
                return err_set(err, -EINVAL, "Master must either be yarn or start with %s", spark_features(f->version.line)->masters);
        return submit_args_is_k8s_cluster(&f->args) ? submit(f, err) : hand_over(f);
}

int spark_submit_main(int argc, char **argv) {
        AUTO(face) struct face f = {.argc = argc, .argv = argv};
        AUTO(err) struct err err = ERR_INIT;
        submission_inputs_init(&f.in);
        submit_args_init(&f.args, SPARK_4_1);
        f.version = spark_version_newest();
        if (is_for_others(argc, argv)) {
                if (gather_base(&f.in, &err) < 0)
                        return fail(&f, &err);
                return hand_over(&f);
        }
        int r = read_arguments(&f, &err);
        if (r >= 0)
                r = dispatch(&f, &err);
        return r < 0 ? fail(&f, &err) : r;
}
