/* firesteel local status: what runs, where, under which limits. */
#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cli/output.h"
#include "cluster/historian.h"
#include "cluster/leftovers.h"
#include "codec/ktime.h"

/* Resident memory of a process in bytes; 0 when unknown. */
static int64_t resident_bytes(pid_t pid) {
        AUTO(free) char *path = xasprintf("/proc/%d/status", (int)pid);
        AUTO(str) struct str text = STR_INIT(0);
        if (fs_read(path, 64 * 1024, &text, NULL) < 0)
                return 0;
        const char *line = strstr(str_cstr(&text), "\nVmRSS:");
        return line ? strtoll(line + 7, NULL, 10) * 1024 : 0;
}

/* "pods": {"total": 3, "phases": {"Running": 2, ...}} and the node's capacity, from the API. */
static void describe_cluster(const struct instance *i, const struct instance_server *s, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(json) yyjson_doc *pods = NULL;
        AUTO(json) yyjson_doc *nodes = NULL;
        if (local_get(i, s, "/api/v1/pods", &pods, &err) < 0 || local_get(i, s, "/api/v1/nodes", &nodes, &err) < 0) {
                mjson_set_str(doc, root, "problem", err_message(&err));
                return;
        }
        yyjson_mut_val *summary = mjson_obj(doc, root, "pods"), *phases = mjson_obj(doc, summary, "phases");
        yyjson_val *items = json_at(yyjson_doc_get_root(pods), "/items"), *item;
        size_t n, max;
        mjson_set_int(doc, summary, "total", (int64_t)yyjson_arr_size(items));
        yyjson_arr_foreach(items, n, max, item) {
                const char *phase = json_str_at(item, "/status/phase");
                phase = phase ? phase : "Unknown";
                mjson_set_int(doc, phases, phase, mjson_get_int(phases, phase, 0) + 1);
        }
        yyjson_val *node = json_at(yyjson_doc_get_root(nodes), "/items/0");
        if (node) {
                yyjson_mut_val *capacity = mjson_obj(doc, root, "node");
                mjson_set_str(doc, capacity, "name", json_str_at(node, "/metadata/name"));
                mjson_set_str(doc, capacity, "cpu", json_str_at(node, "/status/allocatable/cpu"));
                mjson_set_str(doc, capacity, "memory", json_str_at(node, "/status/allocatable/memory"));
        }
}

/* "history": {"url", "eventLogs", and "pid" and "residentBytes" once somebody looked}. */
static void describe_history(const struct instance *i, yyjson_val *details, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_val *known = yyjson_obj_get(details, "history");
        struct procid process;
        if (!known)
                return;
        mjson_set(doc, root, "history", yyjson_val_mut_copy(doc, known));
        if (historian_find(i, &process, NULL) < 0)
                return;
        yyjson_mut_val *history = mjson_obj(doc, root, "history");
        mjson_set_int(doc, history, "pid", process.pid);
        mjson_set_int(doc, history, "residentBytes", resident_bytes(process.pid));
}

static yyjson_mut_doc *describe(const struct instance *i, int state, const struct instance_server *s) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "name", i->name);
        mjson_set_str(doc, root, "state", state == 1 ? "running" : state == 2 ? "starting" : "stopped");
        mjson_set_str(doc, root, "directory", i->dir);
        AUTO(free) char *kubeconfig = instance_path(i, "kubeconfig");
        if (fs_exists(kubeconfig))
                mjson_set_str(doc, root, "kubeconfig", kubeconfig);
        if (state != 1) {
                if (state == 0)
                        mjson_set_int(doc, root, "leftoverProcesses", leftovers_count(i));
                return doc;
        }
        AUTO(free) char *url = xasprintf("https://%s:%d", s->bind, s->port);
        mjson_set_str(doc, root, "server", url);
        mjson_set_int(doc, root, "pid", s->pid);
        mjson_set_str(doc, root, "version", s->version);
        mjson_set_int(doc, root, "startedMs", s->started_ms);
        mjson_set_int(doc, root, "residentBytes", resident_bytes(s->pid));
        yyjson_val *details = yyjson_doc_get_root(s->doc);
        static const char *const copied[] = {"serviceAddress", "egress", "isolation", "sparkHomes", "readyMs"};
        for (size_t n = 0; n < ARRAY_LEN(copied); n++) {
                yyjson_val *v = yyjson_obj_get(details, copied[n]);
                if (v)
                        mjson_set(doc, root, copied[n], yyjson_val_mut_copy(doc, v));
        }
        describe_history(i, details, doc, root);
        describe_cluster(i, s, doc, root);
        return doc;
}

static void line(const char *title, const char *text) { printf("%s%-11s%s %s\n", style_begin(1, STYLE_BOLD), title, style_end(1), text); }

static void print_pods(yyjson_mut_val *root) {
        yyjson_mut_val *pods = yyjson_mut_obj_get(root, "pods"), *key, *value;
        if (!pods)
                return;
        AUTO(str) struct str s = STR_INIT(0);
        size_t n, max;
        str_appendf(&s, "%lld", (long long)mjson_get_int(pods, "total", 0));
        yyjson_mut_obj_foreach(yyjson_mut_obj_get(pods, "phases"), n, max, key, value)
                str_appendf(&s, "%s%lld %s", n ? ", " : " (", (long long)yyjson_mut_get_sint(value), yyjson_mut_get_str(key));
        if (max > 0)
                str_append_c(&s, ')');
        line("Pods", str_cstr(&s));
}

static void print_isolation(yyjson_mut_val *root) {
        yyjson_mut_val *isolation = yyjson_mut_obj_get(root, "isolation"), *note;
        const char *summary = mjson_get_str(isolation, "summary");
        if (summary)
                line("Isolation", summary);
        size_t n, max;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(isolation, "notes"), n, max, note)
                printf("%-11s %s%s%s\n", "", style_begin(1, STYLE_YELLOW), yyjson_mut_get_str(note), style_end(1));
}

static void print_history(yyjson_mut_val *root) {
        yyjson_mut_val *history = yyjson_mut_obj_get(root, "history");
        const char *url = mjson_get_str(history, "url");
        char memory[16];
        bytes_human(mjson_get_int(history, "residentBytes", 0), memory);
        AUTO(free) char *state = mjson_get_int(history, "pid", 0)
                                         ? xasprintf("process %lld, %s", (long long)mjson_get_int(history, "pid", 0), memory)
                                         : xstrdup("starts with the first visit");
        AUTO(free) char *text = url ? xasprintf("%s (%s)", url, state) : xstrdup("off");
        if (!history)
                return;
        line("History", text);
        line("Event logs", mjson_get_str(history, "eventLogs"));
}

static void print_running(const struct instance *i, const struct instance_server *s, yyjson_mut_val *root) {
        char age[40], memory[16];
        local_age(s->started_ms, age);
        bytes_human(mjson_get_int(root, "residentBytes", 0), memory);
        AUTO(free) char *state = xasprintf("%srunning%s for %s (process %d)", style_begin(1, STYLE_GREEN), style_end(1), age, (int)s->pid);
        line("Instance", i->name);
        line("State", state);
        line("Server", mjson_get_str(root, "server"));
        line("Version", mjson_get_str(root, "version"));
        line("Memory", memory);
        if (mjson_get_str(root, "serviceAddress"))
                line("Service", mjson_get_str(root, "serviceAddress"));
        print_isolation(root);
        if (mjson_get_str(root, "egress"))
                line("Egress", mjson_get_str(root, "egress"));
        yyjson_mut_val *node = yyjson_mut_obj_get(root, "node");
        if (node && mjson_get_str(node, "cpu")) {
                AUTO(free) char *text = xasprintf("%s: %s CPU, %s memory", mjson_get_str(node, "name"), mjson_get_str(node, "cpu"),
                                                  mjson_get_str(node, "memory") ? mjson_get_str(node, "memory") : "?");
                line("Node", text);
        }
        print_pods(root);
        yyjson_mut_val *home;
        size_t n, max;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "sparkHomes"), n, max, home) line(n ? "" : "Spark", yyjson_mut_get_str(home));
        print_history(root);
        line("Kubeconfig", mjson_get_str(root, "kubeconfig"));
        if (mjson_get_str(root, "problem"))
                log_warn("%s", mjson_get_str(root, "problem"));
}

static int run_status(struct cmd_ctx *ctx, struct err *err) {
        AUTO(instance) struct instance i = {0};
        AUTO(instance_server) struct instance_server s = {0};
        int r = local_open(ctx, &i, err);
        if (r < 0)
                return r;
        int state = instance_exists(&i) ? instance_running(&i, &s, err) : 0;
        if (state < 0)
                return state;
        enum output_format format = output_format_of(option_str(&ctx->o, "output"));
        AUTO(mjson) yyjson_mut_doc *doc = describe(&i, state, &s);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        if (format == OUTPUT_NAME)
                puts(i.name);
        else if (format != OUTPUT_TABLE)
                output_mut_doc(root, format, stdout);
        else if (state == 1)
                print_running(&i, &s, root);
        else if (state == 2)
                log_info("instance \"%s\" is starting", i.name);
        else {
                local_not_running(&i);
                int64_t left = mjson_get_int(root, "leftoverProcesses", 0);
                if (left > 0)
                        log_info("  its server was killed and left %lld process%s: \"up\" takes them over, \"down\" ends them",
                                 (long long)left, left == 1 ? "" : "es");
        }
        return state == 0 ? EXIT_NOT_FOUND : EXIT_OK;
}

const struct cmd cmd_local_status = {
        .name = "status",
        .summary = "Show an instance: address, memory, isolation, pods",
        .description = "Exit code 3 when it is not running.",
        .options = (const struct option[]){LOCAL_OPTION_NAME, CMD_OPTION_OUTPUT, {0}},
        .run = run_status,
};

static int run_ls(struct cmd_ctx *ctx, struct err *err) {
        AUTO(strv) struct strv names = {0};
        int r = instance_names(&names, err);
        if (r < 0)
                return r;
        static const struct grid_column columns[] = {{"NAME"}, {"STATE"}, {"SERVER"}, {"MEMORY", .right = true}, {"AGE"}, {0}};
        enum output_format format = output_format_of(option_str(&ctx->o, "output"));
        AUTO(grid) struct grid *t = grid_new(columns);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        yyjson_mut_doc_set_root(doc, list);
        for (size_t n = 0; n < names.len; n++) {
                AUTO(instance) struct instance i = {0};
                AUTO(instance_server) struct instance_server s = {0};
                r = instance_open(names.items[n], &i, err);
                int state = r < 0 ? r : instance_running(&i, &s, err);
                if (state < 0)
                        return state;
                if (format == OUTPUT_NAME) {
                        puts(i.name);
                        continue;
                }
                if (format != OUTPUT_TABLE) {
                        AUTO(mjson) yyjson_mut_doc *one = describe(&i, state, &s);
                        yyjson_mut_arr_append(list, yyjson_mut_val_mut_copy(doc, yyjson_mut_doc_get_root(one)));
                        continue;
                }
                char age[40] = "", memory[16] = "";
                if (state == 1) {
                        local_age(s.started_ms, age);
                        bytes_human(resident_bytes(s.pid), memory);
                }
                AUTO(free) char *url = state == 1 ? xasprintf("https://%s:%d", s.bind, s.port) : NULL;
                grid_cell(t, i.name);
                grid_cell_style(t, state == 1 ? STYLE_GREEN : STYLE_PLAIN, state == 1 ? "running" : state == 2 ? "starting" : "stopped");
                grid_cell(t, url);
                grid_cell(t, memory);
                grid_cell(t, age);
        }
        if (format == OUTPUT_JSON || format == OUTPUT_YAML)
                output_mut_doc(list, format, stdout);
        else if (format == OUTPUT_TABLE && grid_rows(t) > 0)
                grid_print(t, stdout);
        else if (format == OUTPUT_TABLE)
                log_info("there are no instances; \"firesteel local up\" makes one");
        return EXIT_OK;
}

const struct cmd cmd_local_ls = {
        .name = "ls",
        .summary = "List the instances",
        .options = (const struct option[]){CMD_OPTION_OUTPUT, {0}},
        .run = run_ls,
};
