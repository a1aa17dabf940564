/* firesteel proxy: a port of this machine that leads to the driver, its web page first of all. */
#include "cli/output.h"
#include "cli/session.h"
#include "kube/portforward.h"
#include "submit/app.h"
#include "submit/driverproxy.h"

enum { RETRY_FIRST_MS = 500, RETRY_MAX_MS = 10 * 1000 };

struct proxying {
        struct session session;
        char *namespace_, *pod;
        int pod_port, local_port;
        struct portlisten *listener;
        struct portforward *forward;
        struct timer *retry;
        int64_t retry_ms;
        bool was_up, done;
        struct err failure;
};

static void proxying_done(struct proxying *p) {
        portlisten_free(p->listener);
        portforward_free(p->forward);
        if (p->retry)
                timer_free(p->retry);
        free(p->namespace_);
        free(p->pod);
        err_done(&p->failure);
        session_done(&p->session);
}
DEFINE_AUTO_VALUE(proxying, struct proxying, proxying_done)

static void connect_now(void *arg);

static void on_ready(void *arg) {
        struct proxying *p = arg;
        p->retry_ms = 0;
        portlisten_set(p->listener, p->forward, p->pod_port);
        if (p->was_up)
                fprintf(stderr, "connected again\n");
        else
                printf("http://127.0.0.1:%d leads to port %d of %s:%s; Ctrl-C ends it\n", p->local_port, p->pod_port, p->namespace_,
                       p->pod);
        fflush(stdout);
        p->was_up = true;
}

/* A broken connection is made again; what will not become better ends the command. */
static void on_end(void *arg, const struct err *err) {
        struct proxying *p = arg;
        portlisten_set(p->listener, NULL, p->pod_port);
        if (err && (!p->was_up || err->http_status == 404 || err->http_status == 403)) {
                err_copy(&p->failure, err);
                p->done = true;
                return;
        }
        if (err)
                fprintf(stderr, "%s; connecting again\n", err_message(err));
        p->retry_ms = p->retry_ms == 0 ? RETRY_FIRST_MS : p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
        p->retry = timer_new(p->session.loop, p->retry_ms, 0, connect_now, p);
}

static void connect_now(void *arg) {
        struct proxying *p = arg;
        if (p->retry)
                timer_free(TAKE(p->retry));
        portforward_free(p->forward);
        p->forward = portforward_start(p->session.client, &(struct portforward_options){
                .namespace_ = p->namespace_,
                .pod = p->pod,
                .on_ready = on_ready,
                .on_end = on_end,
                .arg = p,
        });
}

static void on_error(void *arg, const struct err *err) { fprintf(stderr, "%s\n", err_message(err)); }

/* The newest running application of that name. */
static int find_driver(struct proxying *p, const char *argument, bool all, struct err *err) {
        AUTO(free) char *namespace_ = NULL, *pattern = NULL;
        session_split_name(&p->session, argument, all, &namespace_, &pattern);
        AUTO(apps) struct apps apps = {0};
        int r = apps_load(p->session.client, namespace_, &apps, err);
        if (r < 0)
                return r;
        const struct spark_app *ended = NULL;
        vec_foreach(app, &apps) {
                if (!app_matches(app, pattern) || !app->driver)
                        continue;
                if (streq(app->state, "Running")) {
                        p->namespace_ = xstrdup(app->namespace_);
                        p->pod = xstrdup(app_driver_name(app));
                        return 0;
                }
                ended = ended ? ended : app;
        }
        if (ended)
                fprintf(stderr,
                        "%s:%s is %s: only a running driver can be reached (firesteel history shows applications that have ended)\n",
                        ended->namespace_, app_driver_name(ended), ended->state);
        else
                fprintf(stderr, "No application %s in %s%s.\n", pattern, namespace_ ? "namespace " : "any namespace",
                        namespace_ ? namespace_ : "");
        return EXIT_NOT_FOUND;
}

/* ---- the other direction: pods to a driver that was started by hand here ---- */

static void print_conf(const struct driver_proxy *p) {
        printf("spark.driver.host=%s.%s.svc\nspark.driver.bindAddress=%s\nspark.driver.port=%d\nspark.driver.blockManager.port=%d\nspark.ui.port=%d\n"
               "spark.kubernetes.namespace=%s\nspark.port.maxRetries=0\n",
               p->name, p->namespace_, str_starts(p->address, "127.") ? "127.0.0.1" : "0.0.0.0", p->driver_port, p->block_port, p->ui_port,
               p->namespace_);
}

static int change_driver_proxy(struct cmd_ctx *ctx, struct err *err) {
        const char *name = option_str(&ctx->o, "driver"), *given = option_str(&ctx->o, "driver-address");
        bool create = option_on(&ctx->o, "create"), remove = option_on(&ctx->o, "delete");
        if (!name || create == remove || ctx->o.args.len > 0)
                return cmd_usage_error(ctx, "--driver NAME takes one of --create and --delete, and no other argument");
        AUTO(session) struct session s = {0};
        AUTO(free) char *address = xstrdup_null(given);
        int r = session_open(&s, ctx, err);
        if (r < 0)
                return r;
        if (remove) {
                r = driver_proxy_remove(s.client, s.namespace_, name, err);
                return r < 0 && s.interrupted ? EXIT_INTERRUPTED : r;
        }
        if (!address && (r = driver_proxy_address(s.access.server, &address, err)) < 0)
                return r;
        struct driver_proxy p = {
                .namespace_ = s.namespace_,
                .name = name,
                .address = address,
                .driver_port = (int)option_int(&ctx->o, "driver-port"),
                .block_port = (int)option_int(&ctx->o, "block-manager-port"),
                .ui_port = (int)option_int(&ctx->o, "port"),
                .is_lasting = true,
        };
        r = driver_proxy_create(s.client, &p, err);
        if (r >= 0)
                print_conf(&p);
        return r < 0 && s.interrupted ? EXIT_INTERRUPTED : r;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        if (option_given(&ctx->o, "driver") || option_given(&ctx->o, "create") || option_given(&ctx->o, "delete"))
                return change_driver_proxy(ctx, err);
        if (ctx->o.args.len == 0)
                return cmd_usage_error(ctx, "the application's name is missing (or --driver NAME with --create or --delete)");
        AUTO(proxying) struct proxying p = {.pod_port = (int)option_int(&ctx->o, "port")};
        int r = session_open(&p.session, ctx, err);
        if (r >= 0)
                r = find_driver(&p, ctx->o.args.items[0], option_on(&ctx->o, "all-namespaces"), err);
        if (r != 0)
                return r < 0 && p.session.interrupted ? EXIT_INTERRUPTED : r;
        r = portlisten_new(p.session.loop, option_str(&ctx->o, "address"), (int)option_int(&ctx->o, "local-port"), &p.listener,
                           &p.local_port, err);
        if (r < 0)
                return r;
        portlisten_on_error(p.listener, on_error, &p);
        connect_now(&p);
        while (!p.done && !p.session.interrupted)
                loop_run_until(p.session.loop, &p.done);
        return p.done ? err_move(err, &p.failure) : EXIT_INTERRUPTED;
}

const struct cmd cmd_proxy = {
        .name = "proxy",
        .summary = "Open the web page of a running driver on this machine",
        .args = "[[NAMESPACE:]NAME]",
        .min_args = 0,
        .max_args = 1,
        .description =
                "Listens on a port of this machine and leads connections to a port of the driver, through the API server; broken connections to the "
                "cluster are made again. NAME is a driver pod's name, an application's id or its name.\n\n"
                "With --driver it makes or removes the way in the other direction, for a driver that you start here yourself (a notebook): a Service "
                "of that name by which executor pods reach this machine. It prints the configuration that the driver needs, and stays until "
                "--delete. firesteel submit --deploy-mode client makes and removes its own.",
        .options =
                (const struct option[]){
                        CMD_OPTIONS_CLUSTER,
                        {"all-namespaces", 'A', OPTION_SWITCH, NULL, "look in all namespaces"},
                        {"port", 'p', OPTION_INT, "PORT", "port of the driver", "4040", .min = 1, .max = 65535},
                        {"local-port", 'l', OPTION_INT, "PORT", "port of this machine; 0 takes a free one", "4040", .min = 0, .max = 65535},
                        {"address", 0, OPTION_STRING, "ADDRESS", "address of this machine to listen on", "127.0.0.1"},
                        {"driver", 0, OPTION_STRING, "NAME", "Service for pods to reach a driver on this machine"},
                        {"create", 0, OPTION_SWITCH, NULL, "with --driver: make it and print the driver's configuration"},
                        {"delete", 0, OPTION_SWITCH, NULL, "with --driver: remove it"},
                        {"driver-port", 0, OPTION_INT, "PORT", "with --create: spark.driver.port", "7078", .min = 1, .max = 65535},
                        {"block-manager-port", 0, OPTION_INT, "PORT", "with --create: spark.driver.blockManager.port", "7079", .min = 1,
                         .max = 65535},
                        {"driver-address", 0, OPTION_STRING, "ADDRESS",
                         "with --create: this machine's address for pods (default: the one that reaches the API server)"},
                        {0}},
        .examples = (const struct cmd_example[]){{"The Spark page of a running job", "firesteel proxy nightly-report"},
                                                 {"Spark Connect", "firesteel proxy connect-server -p 15002 -l 15002"},
                                                 {"Executors for a notebook", "firesteel proxy --driver my-notebook --create"},
                                                 {0}},
        .see_also = "firesteel-status(1), firesteel-logs(1)",
        .run = run,
};
