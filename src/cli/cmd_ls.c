/* firesteel ls: the applications of a cluster. */
#include "base/clock.h"
#include "base/map.h"
#include "cli/output.h"
#include "cli/session.h"
#include "codec/ktime.h"
#include "kobj/meta.h"
#include "kube/informer.h"
#include "submit/app.h"
#include "submit/driverproxy.h"

enum { SETTLE_MS = 250 }; /* changes that come together are shown together */

struct listing {
        struct session session;
        enum output_format format;
        bool all_namespaces, active_only;
        struct map wanted; /* namespace/id -> "MIN MAX" read from its configuration, so that it is read once */
        struct map rows;   /* namespace/id -> the row as it was printed last (watching, no terminal) */
        struct grid *changes; /* rows that are not printed yet (likewise) */
        /* Watching: */
        struct informer *informer;
        struct timer *settle;
        bool dirty;
        struct err failure;
};

static const struct grid_column columns[] = {
        {"NAMESPACE"},          {"NAME", .shrink = true},  {"APP ID", .shrink = true},  {"STATE"},
        {"AGE", .right = true}, {"EXECUTORS", .right = true}, {"PENDING", .right = true}, {"FAILED", .right = true},
        {"CORES", .right = true}, {"MEMORY", .right = true}, {NULL},
};

static enum style style_of(const char *state) {
        if (streq(state, "Running"))
                return STYLE_GREEN;
        if (streq(state, "Failed") || streq(state, "Orphaned"))
                return STYLE_RED;
        return streq(state, "Succeeded") ? STYLE_DIM : STYLE_YELLOW;
}

static char *executors_text(const struct spark_app *app) {
        if (app->wanted_max < 0)
                return xasprintf("%d", app->running);
        if (app->wanted_max == INT32_MAX)
                return xasprintf("%d/%d+", app->running, app->wanted_min);
        if (app->wanted_min != app->wanted_max)
                return xasprintf("%d/%d-%d", app->running, app->wanted_min, app->wanted_max);
        return xasprintf("%d/%d", app->running, app->wanted_max);
}

/* The cells of a row, for the table and for telling whether anything changed. */
static void row_cells(const struct spark_app *app, struct strv *ret) {
        char age[KTIME_SIZE], memory[16];
        int64_t end = app->finished_ms ? app->finished_ms : clock_now_ms();
        duration_human(app->created_ms ? end - app->created_ms : 0, age);
        memory_text(app->memory_bytes, memory);
        AUTO(free) char *executors = executors_text(app);
        const char *state = app->state;
        if (streq(state, "Pending") && app->reason.reason)
                state = app->reason.reason;
        const char *driver = app_driver_name(app);
        strv_add(ret, app->namespace_);
        strv_add(ret, driver ? driver : app->name);
        strv_add(ret, app->id);
        strv_add(ret, state);
        strv_add(ret, age);
        strv_add(ret, executors);
        strv_addf(ret, "%d", app->pending);
        strv_addf(ret, "%d", app->failed);
        if (app->cpu_milli % 1000)
                strv_addf(ret, "%.1f", (double)app->cpu_milli / 1000);
        else
                strv_addf(ret, "%lld", (long long)(app->cpu_milli / 1000));
        strv_add(ret, app->memory_bytes ? memory : "0");
}

static void add_row(struct grid *t, const struct spark_app *app) {
        AUTO(strv) struct strv cells = {0};
        row_cells(app, &cells);
        for (size_t i = 0; i < cells.len; i++) {
                if (i == 3)
                        grid_cell_style(t, style_of(app->state), cells.items[i]);
                else
                        grid_cell(t, cells.items[i]);
        }
}

/* How many executors were asked for, asked of the cluster once per application. */
static void load_wanted(struct listing *l, struct spark_app *app) {
        if (!app->driver || !app_is_active(app))
                return;
        AUTO(free) char *key = xasprintf("%s/%s", app->namespace_, app->id);
        int *known = map_get(&l->wanted, key);
        if (!known) {
                app_load_wanted(l->session.client, app);
                known = xcalloc(2, sizeof *known);
                known[0] = app->wanted_min;
                known[1] = app->wanted_max;
                map_set(&l->wanted, key, known);
        }
        app->wanted_min = known[0];
        app->wanted_max = known[1];
}

static bool is_shown(const struct listing *l, const struct spark_app *app) { return !l->active_only || app_is_active(app); }

static void print_names(const struct listing *l, const struct apps *apps) {
        vec_foreach(app, apps) {
                if (is_shown(l, app))
                        printf("%s:%s\n", app->namespace_, app_driver_name(app) ? app_driver_name(app) : app->id);
        }
}

static void print_doc(const struct listing *l, const struct apps *apps) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_arr(doc);
        yyjson_mut_doc_set_root(doc, root);
        vec_foreach(app, apps) {
                if (is_shown(l, app))
                        yyjson_mut_arr_append(root, app_doc(app, false, doc));
        }
        output_mut_doc(root, l->format, stdout);
}

static void print_table(const struct listing *l, const struct apps *apps) {
        AUTO(grid) struct grid *t = grid_new(columns);
        vec_foreach(app, apps) {
                if (is_shown(l, app))
                        add_row(t, app);
        }
        if (grid_rows(t) == 0)
                fprintf(stderr, "No %sapplications in %s%s.\n", l->active_only ? "active " : "",
                        l->all_namespaces ? "any namespace" : "namespace ", l->all_namespaces ? "" : l->session.namespace_);
        else
                grid_print(t, stdout);
}

static void print_apps(struct listing *l, struct apps *apps) {
        vec_foreach(app, apps) {
                if (is_shown(l, app))
                        load_wanted(l, app);
        }
        if (l->format == OUTPUT_TABLE)
                print_table(l, apps);
        else if (l->format == OUTPUT_NAME)
                print_names(l, apps);
        else
                print_doc(l, apps);
}

/* ---- watching ---- */

static void settled(void *arg) {
        struct listing *l = arg;
        timer_free(TAKE(l->settle));
        l->dirty = true;
}

static void changed(struct listing *l) {
        if (!l->settle && informer_has_synced(l->informer))
                l->settle = timer_new(l->session.loop, SETTLE_MS, 0, settled, l);
}
static void on_change(void *arg, yyjson_val *pod) { changed(arg); }
static void on_update(void *arg, yyjson_val *before, yyjson_val *pod) { changed(arg); }
static void on_sync(void *arg) { ((struct listing *)arg)->dirty = true; }
static void on_error(void *arg, const struct err *err) {
        struct listing *l = arg;
        if (!informer_has_synced(l->informer))
                err_copy(&l->failure, err);
        l->dirty = true;
}

struct collecting {
        yyjson_mut_doc *doc;
        yyjson_mut_val *items;
};

static bool collect(void *arg, yyjson_val *pod) {
        struct collecting *c = arg;
        yyjson_mut_arr_append(c->items, yyjson_val_mut_copy(c->doc, pod));
        return true;
}

static yyjson_doc *cached_pods(struct informer *i) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        struct collecting c = {doc, mjson_arr(doc, root, "items")};
        informer_each(i, collect, &c);
        return mjson_freeze(root);
}

/* Off a terminal: a line for each application that changed, age aside. */
static void print_changed(struct listing *l, struct apps *apps) {
        if (!l->changes)
                l->changes = grid_new(columns);
        vec_foreach(app, apps) {
                AUTO(strv) struct strv cells = {0};
                load_wanted(l, app);
                row_cells(app, &cells);
                free(cells.items[4]);
                cells.items[4] = xstrdup("");
                AUTO(free) char *row = strv_join(&cells, " "), *key = xasprintf("%s/%s", app->namespace_, app->id);
                if (!is_shown(l, app) || streq_null(map_get(&l->rows, key), row))
                        continue;
                map_set(&l->rows, key, TAKE(row));
                add_row(l->changes, app);
        }
        if (grid_rows(l->changes) > 0)
                grid_print(l->changes, stdout);
}

static void show(struct listing *l) {
        AUTO(apps) struct apps apps = {0};
        apps_collect(cached_pods(l->informer), &apps);
        if (l->format != OUTPUT_TABLE) {
                print_apps(l, &apps);
        } else if (terminal_of(1)->is_tty) {
                fputs("\033[H\033[2J", stdout); /* the top of a cleared screen */
                print_apps(l, &apps);
        } else {
                print_changed(l, &apps);
        }
        fflush(stdout);
}

static int watch(struct listing *l, const char *namespace_, struct err *err) {
        l->informer = informer_start(l->session.client, &(struct informer_options){
                .resource = &KUBE_PODS,
                .namespace_ = namespace_,
                .label_selector = APP_LABEL_SELECTOR,
                .on_add = on_change,
                .on_update = on_update,
                .on_delete = on_change,
                .on_sync = on_sync,
                .on_error = on_error,
                .arg = l,
        });
        while (!l->session.interrupted && l->failure.code == 0) {
                loop_run_until(l->session.loop, &l->dirty);
                l->dirty = false;
                if (!l->session.interrupted && informer_has_synced(l->informer))
                        show(l);
        }
        informer_free(l->informer);
        if (l->settle)
                timer_free(l->settle);
        return l->failure.code < 0 ? err_move(err, &l->failure) : EXIT_INTERRUPTED;
}

/* ---- what crashes left behind ---- */

static int orphans(struct listing *l, const char *namespace_, bool remove, struct err *err) {
        AUTO(strv) struct strv found = {0};
        int r = driver_proxy_orphans(l->session.client, namespace_, &found, err);
        for (size_t i = 0; r >= 0 && i < found.len; i++) {
                const char *slash = strchr(found.items[i], '/');
                AUTO(free) char *in = xstrndup(found.items[i], (size_t)(slash - found.items[i]));
                if (remove)
                        r = driver_proxy_remove(l->session.client, in, slash + 1, err);
                if (r >= 0)
                        printf("%s:%s%s\n", in, slash + 1, remove ? " deleted" : "");
        }
        if (r >= 0 && found.len == 0)
                fprintf(stderr, "No driver proxy without its driver in %s%s.\n", namespace_ ? "namespace " : "any namespace",
                        namespace_ ? namespace_ : "");
        return r < 0 && l->session.interrupted ? EXIT_INTERRUPTED : r;
}

static void listing_done(struct listing *l) {
        map_done(&l->wanted);
        map_done(&l->rows);
        grid_free(l->changes);
        session_done(&l->session);
}
DEFINE_AUTO_VALUE(listing, struct listing, listing_done)

static int run(struct cmd_ctx *ctx, struct err *err) {
        AUTO(listing) struct listing l = {
                .format = output_format_of(option_str(&ctx->o, "output")),
                .all_namespaces = option_on(&ctx->o, "all-namespaces"),
                .active_only = option_on(&ctx->o, "active"),
                .wanted = MAP_INIT(free),
                .rows = MAP_INIT(free),
        };
        if (option_on(&ctx->o, "delete") && !option_on(&ctx->o, "orphans"))
                return cmd_usage_error(ctx, "--delete goes with --orphans only; firesteel kill ends applications");
        int r = session_open(&l.session, ctx, err);
        if (r < 0)
                return r;
        const char *namespace_ = l.all_namespaces ? NULL : l.session.namespace_;
        if (option_on(&ctx->o, "orphans"))
                return orphans(&l, namespace_, option_on(&ctx->o, "delete"), err);
        if (option_on(&ctx->o, "watch"))
                return watch(&l, namespace_, err);
        AUTO(apps) struct apps apps = {0};
        r = apps_load(l.session.client, namespace_, &apps, err);
        if (r < 0)
                return l.session.interrupted ? EXIT_INTERRUPTED : r;
        print_apps(&l, &apps);
        return EXIT_OK;
}

const struct cmd cmd_ls = {
        .name = "ls",
        .alias = "list",
        .summary = "List Spark applications",
        .description =
                "Lists the applications whose pods are in the cluster, whoever submitted them: state, age, executors (running of wanted), "
                "executors pending and failed, cores and memory that their pods hold.\n\n"
                "The number wanted is read from the driver's configuration; it is a range with dynamic allocation.",
        .options = (const struct option[]){CMD_OPTIONS_CLUSTER,
                                           {"all-namespaces", 'A', OPTION_SWITCH, NULL, "applications of all namespaces"},
                                           {"active", 0, OPTION_SWITCH, NULL, "only those that have not ended"},
                                           {"watch", 'w', OPTION_SWITCH, NULL, "go on and show changes"},
                                           {"orphans", 0, OPTION_SWITCH, NULL, "driver proxies whose driver's process has ended"},
                                           {"delete", 0, OPTION_SWITCH, NULL, "with --orphans: remove them"},
                                           CMD_OPTION_OUTPUT,
                                           {0}},
        .examples = (const struct cmd_example[]){{"Everything that runs now, kept up to date", "firesteel ls -A --active -w"}, {0}},
        .see_also = "firesteel-status(1), firesteel-kill(1), firesteel-logs(1)",
        .run = run,
};
