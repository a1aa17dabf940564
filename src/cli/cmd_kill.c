/* firesteel kill: stop applications by deleting their driver pods. */
#include "base/log.h"
#include "cli/output.h"
#include "cli/session.h"
#include "kobj/meta.h"
#include "kube/verbs.h"
#include "submit/app.h"

enum { POLL_MS = 500 };

struct killing {
        struct session session;
        struct kube_delete_options how;
        bool dry_run;
        int found, failed;
        struct strv waits; /* NAMESPACE/POD/UID that must go */
};

static void killing_done(struct killing *k) {
        strv_done(&k->waits);
        session_done(&k->session);
}
DEFINE_AUTO_VALUE(killing, struct killing, killing_done)

static int kill_app(struct killing *k, const struct spark_app *app, struct err *err) {
        const char *pod = app_driver_name(app);
        k->found++;
        if (!pod && app->executors.len == 0)
                return 0;
        if (k->dry_run) {
                printf("%s:%s would be killed (%s, %s)\n", app->namespace_, pod ? pod : app->id, app->name, app->state);
                return 0;
        }
        struct kube_delete_options how = k->how;
        AUTO(free) char *selector = NULL;
        int r;
        if (pod) { /* executors, service and configuration go with their owner */
                how.uid = meta_uid(app->driver);
                r = kube_delete(k->session.client, &KUBE_PODS, app->namespace_, pod, &how, NULL, err);
                strv_addf(&k->waits, "%s/%s/%s", app->namespace_, pod, meta_uid(app->driver));
        } else {
                selector = xasprintf("spark-app-selector=%s,spark-role=executor", app->id);
                how.label_selector = selector;
                r = kube_delete_collection(k->session.client, &KUBE_PODS, app->namespace_, &how, err);
        }
        if (r < 0)
                return err_wrap(err, r, "killing %s:%s", app->namespace_, pod ? pod : app->id);
        printf("%s:%s killed (%s, %s)\n", app->namespace_, pod ? pod : app->id, app->name, app->state);
        return 0;
}

static int kill_matching(struct killing *k, const char *argument, bool all_namespaces, struct err *err) {
        AUTO(free) char *namespace_ = NULL, *pattern = NULL;
        session_split_name(&k->session, argument, all_namespaces, &namespace_, &pattern);
        AUTO(apps) struct apps apps = {0};
        int r = apps_load(k->session.client, namespace_, &apps, err);
        if (r < 0)
                return r;
        int before = k->found;
        bool is_pattern = strpbrk(pattern, "*?[") != NULL;
        vec_foreach(app, &apps) {
                if (!app_matches(app, pattern) || (is_pattern && !app_is_active(app)))
                        continue;
                AUTO(err) struct err why = ERR_INIT;
                if (kill_app(k, app, &why) < 0) { /* the others are still wanted dead */
                        log_err(&why);
                        k->failed++;
                }
        }
        if (k->found == before) {
                fprintf(stderr, "No %sapplication %s in %s%s.\n", is_pattern ? "active " : "", pattern,
                        namespace_ ? "namespace " : "any namespace", namespace_ ? namespace_ : "");
                if (!all_namespaces && !strchr(argument, ':'))
                        fprintf(stderr, "  hint: other namespaces are searched with -A, or by NAMESPACE:NAME\n");
        }
        return 0;
}

static void tick(void *arg) { *(bool *)arg = true; }

static void pause_for(struct session *s, int64_t ms) {
        bool over = false;
        struct timer *t = timer_new(s->loop, ms, 0, tick, &over);
        loop_run_until(s->loop, &over);
        timer_free(t);
}

static int wait_gone(struct killing *k, int64_t timeout_ms, struct err *err) {
        int64_t until = loop_now_ms(k->session.loop) + timeout_ms;
        vec_foreach(item, &k->waits) {
                AUTO(strv) struct strv parts = {0};
                strv_split(&parts, *item, '/');
                for (;;) {
                        AUTO(json) yyjson_doc *pod = NULL;
                        AUTO(err) struct err why = ERR_INIT;
                        int r = kube_get(k->session.client, &KUBE_PODS, parts.items[0], parts.items[1], &pod, &why);
                        if (k->session.interrupted)
                                return EXIT_INTERRUPTED;
                        if (r < 0 && why.http_status == 404)
                                break;
                        if (r < 0)
                                return err_move(err, &why);
                        if (!streq_null(meta_uid(yyjson_doc_get_root(pod)), parts.items[2]))
                                break; /* another pod of that name */
                        if (loop_now_ms(k->session.loop) >= until) {
                                fprintf(stderr, "%s:%s is still terminating\n", parts.items[0], parts.items[1]);
                                return EXIT_TIMED_OUT;
                        }
                        pause_for(&k->session, POLL_MS);
                }
        }
        return EXIT_OK;
}

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(killing) struct killing k = {.how = KUBE_DELETE_OPTIONS, .dry_run = option_on(&ctx->o, "dry-run")};
        if (option_given(&ctx->o, "grace"))
                k.how.grace_seconds = option_int(&ctx->o, "grace") / 1000;
        if (option_on(&ctx->o, "now"))
                k.how.grace_seconds = 0;
        int r = session_open(&k.session, ctx, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ctx->o.args.len; i++) {
                r = kill_matching(&k, ctx->o.args.items[i], option_on(&ctx->o, "all-namespaces"), err);
                if (r < 0)
                        return k.session.interrupted ? EXIT_INTERRUPTED : r;
        }
        if (k.failed > 0)
                return EXIT_FAILED;
        if (k.found == 0)
                return EXIT_NOT_FOUND;
        return option_on(&ctx->o, "wait") && !k.dry_run ? wait_gone(&k, option_int(&ctx->o, "timeout"), err) : EXIT_OK;
}

const struct cmd cmd_kill = {
        .name = "kill",
        .summary = "Stop Spark applications",
        .args = "[NAMESPACE:]NAME...",
        .min_args = 1,
        .max_args = -1,
        .description =
                "Deletes the driver pod; its executors, service and configuration go with it. NAME is a driver pod's name, an application's id "
                "(spark-...) or its name, and may be a pattern with * and ? (quote it): a pattern takes active applications only, and "
                "only those of one namespace unless -A is given.\n\n"
                "\"spark-submit --kill\" keeps the original's behaviour.",
        .options = (const struct option[]){CMD_OPTIONS_CLUSTER,
                                           {"all-namespaces", 'A', OPTION_SWITCH, NULL, "look in all namespaces"},
                                           {"grace", 0, OPTION_DURATION, "TIME",
                                            "time that the driver has to end (default: the pod's own, 30s)"},
                                           {"now", 0, OPTION_SWITCH, NULL, "no time at all: the driver is killed at once"},
                                           {"wait", 0, OPTION_SWITCH, NULL, "return when the driver is gone"},
                                           {"timeout", 0, OPTION_DURATION, "TIME", "how long to wait", "2m"},
                                           {"dry-run", 0, OPTION_SWITCH, NULL, "say what would be killed"},
                                           {0}},
        .examples = (const struct cmd_example[]){{"One application", "firesteel kill -n data spark-pi-5f3e9a9a0c7b-driver"},
                                                 {"All of a name, wherever they are", "firesteel kill -A 'nightly-*'"},
                                                 {0}},
        .see_also = "firesteel-ls(1), firesteel-status(1)",
        .run = run,
};
