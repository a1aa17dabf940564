/* firesteel history: the History Server. */
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "history/history.h"

struct running {
        struct loop *loop;
        struct history *history;
        bool stopping;
};

static void on_stopped(void *arg) { loop_stop(((struct running *)arg)->loop); }

static void on_signal(void *arg) {
        struct running *r = arg;
        if (r->stopping) {
                loop_stop(r->loop);
                return;
        }
        r->stopping = true;
        history_stop(r->history, on_stopped, r);
}

/* Properties file, then SPARK_HISTORY_OPTS, then --conf, then the options of their own: the later counts. */
static int read_conf(struct cmd_ctx *ctx, struct history_conf *c, struct err *err) {
        const char *file = option_str(&ctx->o, "properties-file"), *const *list;
        int r = 0;
        AUTO(free) char *otherwise = NULL;
        if (!file) {
                const char *dir = getenv("SPARK_CONF_DIR"), *home = getenv("SPARK_HOME");
                otherwise = dir ? xasprintf("%s/spark-defaults.conf", dir) : home ? xasprintf("%s/conf/spark-defaults.conf", home) : NULL;
                if (otherwise && access(otherwise, R_OK) == 0)
                        file = otherwise;
        }
        if (file)
                r = history_conf_read(c, file, err);
        static const char *const variables[] = {"SPARK_DAEMON_JAVA_OPTS", "SPARK_HISTORY_OPTS"}; /* as Spark's start script joins them */
        for (size_t i = 0; r >= 0 && i < ARRAY_LEN(variables); i++)
                if (getenv(variables[i]))
                        r = history_conf_set_opts(c, variables[i], getenv(variables[i]), err);
        size_t n = option_list(&ctx->o, "conf", &list);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                const char *eq = strchr(list[i], '=');
                if (!eq)
                        return cmd_usage_error(ctx, "--conf %s: it has no \"=\"; give KEY=VALUE", list[i]), -EINVAL;
                AUTO(free) char *key = xstrndup(list[i], (size_t)(eq - list[i]));
                r = history_conf_set(c, key, eq + 1, err);
        }
        const char *dir = option_str(&ctx->o, "dir");
        if (r >= 0 && dir)
                r = history_conf_set(c, "spark.history.fs.logDirectory", dir, err);
        AUTO(str) struct str readers = STR_INIT(0);
        n = option_list(&ctx->o, "readers", &list);
        for (size_t i = 0; i < n; i++)
                str_appendf(&readers, "%s%s", i ? ";" : "", list[i]);
        if (r >= 0 && n)
                r = history_conf_set(c, "spark.firesteel.history.readers", str_cstr(&readers), err);
        const char *htpasswd = option_str(&ctx->o, "htpasswd");
        if (r >= 0 && htpasswd)
                r = history_conf_set(c, "spark.firesteel.history.htpasswd", htpasswd, err);
        if (r >= 0 && option_given(&ctx->o, "port"))
                r = history_conf_set(c, "spark.history.ui.port", option_str(&ctx->o, "port"), err);
        return r;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(history_conf) struct history_conf conf;
        AUTO(strv) struct strv trusted = {0};
        const char *const *list;
        history_conf_init(&conf);
        /* Rendering must not wait behind a few long loads. */
        setenv("UV_THREADPOOL_SIZE", "12", 0);
        log_set_timestamps(1);
        int r = read_conf(ctx, &conf, err);
        if (r < 0)
                return r;
        size_t n = option_list(&ctx->o, "trusted-proxy", &list);
        for (size_t i = 0; i < n; i++)
                strv_add(&trusted, list[i]);
        for (size_t i = 0; i < conf.notes.len; i++)
                log_warn("%s", conf.notes.items[i]);
        struct history_options o = {
                .conf = &conf,
                .bind = option_str(&ctx->o, "bind"),
                .listen_fd = (int)option_int(&ctx->o, "listen-fd"),
                .user_header = option_str(&ctx->o, "user-header"),
                .group_header = option_str(&ctx->o, "group-header"),
                .trusted = &trusted,
                .access_log = option_on(&ctx->o, "access-log"),
                .dry_run = option_on(&ctx->o, "cleaner-dry-run"),
        };
        struct running running = {.loop = loop_new()};
        r = history_start(running.loop, &o, &running.history, err);
        if (r >= 0) {
                struct sigwatch *on_int = sigwatch_new(running.loop, SIGINT, on_signal, &running);
                struct sigwatch *on_term = sigwatch_new(running.loop, SIGTERM, on_signal, &running);
                log_info("History Server of %s at %s://%s:%d/", conf.log_dir, conf.tls ? "https" : "http", o.bind,
                         history_port(running.history));
                loop_run(running.loop);
                sigwatch_free(on_int);
                sigwatch_free(on_term);
        }
        history_free(running.history);
        loop_free(running.loop);
        return r < 0 ? r : EXIT_OK;
}

static const struct option options[] = {
        {"dir", 'd', OPTION_STRING, "DIR",
         "where the event logs are: a directory or s3a://bucket/prefix; several are separated by commas (default: spark.history.fs.logDirectory)",
         .complete = "dir"},
        {"bind", 0, OPTION_STRING, "ADDRESS", "address to listen on; several are separated by commas", "127.0.0.1"},
        {"port", 'p', OPTION_INT, "PORT", "port to listen on, 0 for any (default: spark.history.ui.port, 18080)", .max = 65535},
        {"listen-fd", 0, OPTION_INT, "FD", "a listening socket to serve on", .hidden = true},
        {"conf", 'c', OPTION_LIST, "KEY=VALUE", "a setting by Spark's name; may be given several times"},
        {"properties-file", 0, OPTION_STRING, "FILE",
         "settings in the form of spark-defaults.conf (default: that of SPARK_CONF_DIR or SPARK_HOME)", .complete = "file"},
        {"user-header", 0, OPTION_STRING, "NAME", "request header in which a trusted proxy names the user"},
        {"group-header", 0, OPTION_STRING, "NAME", "request header in which a trusted proxy names the user's groups, separated by commas"},
        {"trusted-proxy", 0, OPTION_LIST, "ADDRESS",
         "address of a proxy whose headers count, besides this machine; may be given several times"},
        {"htpasswd", 0, OPTION_STRING, "FILE", "ask for a user and password of this file, as htpasswd writes it", .complete = "file"},
        {"readers", 0, OPTION_LIST, "DIR=NAME,...",
         "who may see the logs of a directory: users, groups with @ in front, or * for all who are known; may be given several times"},
        {"access-log", 0, OPTION_SWITCH, NULL, "write a JSON line for each request to standard output"},
        {"cleaner-dry-run", 0, OPTION_SWITCH, NULL, "the cleaner only says what it would remove"},
        {0},
};

static const struct cmd_example examples[] = {
        {"logs of a directory", "firesteel history --dir /var/log/spark-events"},
        {"with Spark's own settings",
         "SPARK_HISTORY_OPTS='-Dspark.history.fs.logDirectory=s3a://logs/spark' firesteel history --bind 0.0.0.0"},
        {0},
};

extern const struct cmd cmd_history_show, cmd_history_export;
static const struct cmd *const subs[] = {&cmd_history_show, &cmd_history_export, NULL};

const struct cmd cmd_history = {
        .name = "history",
        .summary = "Serve the history of applications from their event logs",
        .description =
                "Reads what applications of Spark 1.x to 4.1 have logged and serves it as Spark's History Server does: the same REST API under "
                "/api/v1, and pages for people. It follows applications that are still running.\n\n"
                "Settings have Spark's names (spark.history.*) and come from --properties-file, SPARK_HISTORY_OPTS and --conf; the later one counts. "
                "A log is replayed once: what was learnt is kept in an index, in spark.history.store.path or the user's cache directory.",
        .options = options,
        .examples = examples,
        .subs = subs,
        .run = run,
};
