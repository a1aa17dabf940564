#include "submit/app.h"

#include <fnmatch.h>
#include <stdio.h>

#include "base/map.h"
#include "codec/ktime.h"
#include "codec/quantity.h"
#include "kobj/meta.h"
#include "kube/verbs.h"

void apps_done(struct apps *a) {
        vec_foreach(app, a) {
                free(app->executors.items);
        }
        vec_done(a);
        yyjson_doc_free(a->pods);
        strv_done(&a->texts);
        *a = (struct apps){0};
}

static void add_quantity(yyjson_val *container, const char *resource, int64_t (*value)(struct quantity), int64_t *total) {
        AUTO(free) char *request = xasprintf("/resources/requests/%s", resource), *limit = xasprintf("/resources/limits/%s", resource);
        const char *text = json_str_at(container, request);
        if (!text)
                text = json_str_at(container, limit); /* a limit alone is the request too */
        struct quantity q;
        if (text && quantity_parse(sv_of(text), &q, NULL) >= 0)
                *total += value(q);
}

void pod_requests(yyjson_val *pod, int64_t *ret_cpu_milli, int64_t *ret_memory_bytes) {
        int64_t cpu = 0, memory = 0;
        size_t i, n;
        yyjson_val *container;
        yyjson_arr_foreach(json_at(pod, "/spec/containers"), i, n, container) {
                add_quantity(container, "cpu", quantity_milli, &cpu);
                add_quantity(container, "memory", quantity_value, &memory);
        }
        *ret_cpu_milli = cpu;
        *ret_memory_bytes = memory;
}

void memory_text(int64_t bytes, char ret[16]) {
        static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
        size_t unit = 0;
        double value = (double)bytes;
        while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(ret, 16, value < 10 && value != (double)(int64_t)value ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

static bool holds_place(const char *phase) { return streq(phase, "Running") || streq(phase, "Pending"); }

static void add_requests(struct spark_app *app, yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        if (!phase || !holds_place(phase))
                return;
        int64_t cpu, memory;
        pod_requests(pod, &cpu, &memory);
        app->cpu_milli += cpu;
        app->memory_bytes += memory;
}

static void count_executor(struct spark_app *app, yyjson_val *pod) {
        *vec_push(&app->executors) = pod;
        const char *phase = json_str_at(pod, "/status/phase");
        if (streq_null(phase, "Running"))
                app->running++;
        else if (streq_null(phase, "Pending"))
                app->pending++;
        else if (streq_null(phase, "Succeeded"))
                app->succeeded++;
        else
                app->failed++;
}

static void take_driver(struct spark_app *app, yyjson_val *pod) {
        app->driver = pod;
        app->reason = pod_reason_of(pod);
        app->created_ms = meta_created_ms(pod);
        app->started_ms = pod_started_ms(pod);
        app->finished_ms = pod_finished_ms(pod);
        app->version = meta_label(pod, "spark-version");
}

static const char *state_of(const struct spark_app *app) {
        if (!app->driver)
                return app->running + app->pending > 0 ? "Orphaned" : "Unknown";
        return app->reason.is_terminating && holds_place(app->reason.phase) ? "Terminating" : app->reason.phase;
}

static void finish_app(struct spark_app *app) {
        yyjson_val *any = app->driver ? app->driver : app->executors.items[0];
        const char *name = meta_label(any, "spark-app-name");
        app->name = name && *name ? name : meta_name(any);
        if (!app->version)
                app->version = meta_label(any, "spark-version");
        app->state = state_of(app);
        vec_foreach(pod, &app->executors) {
                int64_t at = meta_created_ms(*pod);
                if (!app->driver && (!app->created_ms || at < app->created_ms))
                        app->created_ms = at;
        }
}

static int by_age(const void *a, const void *b) {
        const struct spark_app *x = a, *y = b;
        if (x->created_ms != y->created_ms)
                return x->created_ms < y->created_ms ? 1 : -1;
        int r = strcmp(x->namespace_, y->namespace_);
        return r ? r : strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

void apps_collect(yyjson_doc *pods, struct apps *ret) {
        struct apps apps = {.pods = pods};
        AUTO(map) struct map index = MAP_INIT(NULL); /* namespace/id -> position + 1 */
        size_t i, n;
        yyjson_val *pod;
        yyjson_arr_foreach(json_at(yyjson_doc_get_root(pods), "/items"), i, n, pod) {
                const char *id = meta_label(pod, "spark-app-selector"), *role = meta_label(pod, "spark-role");
                const char *namespace_ = meta_namespace(pod);
                if (!id || !*id || !namespace_)
                        continue;
                AUTO(free) char *key = xasprintf("%s/%s", namespace_, id);
                size_t at = (size_t)(uintptr_t)map_get(&index, key);
                if (!at) {
                        *vec_push(&apps) = (struct spark_app){.namespace_ = namespace_, .id = id, .wanted_min = -1, .wanted_max = -1};
                        at = apps.len;
                        map_set(&index, key, (void *)(uintptr_t)at);
                }
                struct spark_app *app = &apps.items[at - 1];
                add_requests(app, pod);
                if (streq_null(role, "driver"))
                        take_driver(app, pod);
                else
                        count_executor(app, pod);
        }
        vec_foreach(app, &apps) {
                finish_app(app);
        }
        if (apps.len > 1)
                qsort(apps.items, apps.len, sizeof *apps.items, by_age);
        *ret = apps;
}

int apps_load(struct kube_client *c, const char *namespace_, struct apps *ret, struct err *err) {
        yyjson_doc *pods = NULL;
        int r = kube_list(c, &KUBE_PODS, namespace_, &(struct kube_list_options){.label_selector = APP_LABEL_SELECTOR}, &pods, err);
        if (r < 0)
                return r;
        apps_collect(pods, ret);
        return 0;
}

const char *app_driver_name(const struct spark_app *app) { return app->driver ? meta_name(app->driver) : NULL; }
bool app_is_active(const struct spark_app *app) {
        return streq(app->state, "Pending") || streq(app->state, "Running") || streq(app->state, "Terminating") ||
               streq(app->state, "Orphaned");
}

bool app_matches(const struct spark_app *app, const char *pattern) {
        const char *names[] = {app_driver_name(app), app->id, app->name};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (names[i] && fnmatch(pattern, names[i], 0) == 0)
                        return true;
        }
        return false;
}

/* ---- how many executors were asked for ---- */

/* The value of a key in Java properties text as Spark writes it (KEY=VALUE, the few escapes that numbers and booleans do not have). */
static char *property(const char *text, const char *key) {
        struct sv rest = sv_of(text), line;
        size_t len = strlen(key);
        while (sv_split(&rest, '\n', &line)) {
                if (line.len > len && memcmp(line.data, key, len) == 0 && line.data[len] == '=')
                        return sv_dup(sv_trim(sv_new(line.data + len + 1, line.len - len - 1)));
        }
        return NULL;
}

static int property_int(const char *text, const char *key, int otherwise) {
        AUTO(free) char *value = property(text, key);
        int64_t number;
        return value && sv_to_int64(sv_of(value), &number) && number >= 0 && number < INT32_MAX ? (int)number : otherwise;
}

static const char *conf_map_name(yyjson_val *driver) {
        size_t i, n;
        yyjson_val *volume;
        yyjson_arr_foreach(json_at(driver, "/spec/volumes"), i, n, volume) {
                if (streq_null(json_get_str(volume, "name"), "spark-conf-volume-driver"))
                        return json_str_at(volume, "/configMap/name");
        }
        return NULL;
}

void app_load_wanted(struct kube_client *c, struct spark_app *app) {
        const char *name = conf_map_name(app->driver);
        AUTO(json) yyjson_doc *doc = NULL;
        if (!name || kube_get(c, &KUBE_CONFIG_MAPS, app->namespace_, name, &doc, NULL) < 0)
                return; /* a reader may lack the right to see it; the count is a help, not the point */
        const char *text = json_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "spark.properties");
        if (!text)
                return;
        AUTO(free) char *dynamic = property(text, "spark.dynamicAllocation.enabled");
        int instances = property_int(text, "spark.executor.instances", -1);
        if (streq_null(dynamic, "true")) {
                app->wanted_min = property_int(text, "spark.dynamicAllocation.minExecutors", 0);
                app->wanted_max = property_int(text, "spark.dynamicAllocation.maxExecutors", INT32_MAX);
        } else {
                app->wanted_min = app->wanted_max = instances < 0 ? 2 : instances; /* Spark's default on Kubernetes */
        }
}

/* ---- documents ---- */

static void set_time(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, int64_t ms) {
        if (!ms)
                return;
        char text[KTIME_SIZE];
        ktime_format(ms, text);
        mjson_set_str(doc, object, key, text);
}

static void set_reason(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct pod_reason *reason) {
        mjson_set_str(doc, object, "reason", reason->reason);
        mjson_set_str(doc, object, "message", reason->message);
        if (reason->exit_code >= 0)
                mjson_set_int(doc, object, "exitCode", reason->exit_code);
        mjson_set_int(doc, object, "restarts", reason->restarts);
}

static void set_pod(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *pod, const struct pod_reason *reason) {
        int64_t cpu, memory;
        pod_requests(pod, &cpu, &memory);
        mjson_set_str(doc, object, "pod", meta_name(pod));
        mjson_set_str(doc, object, "phase", reason->phase);
        set_reason(doc, object, reason);
        mjson_set_str(doc, object, "node", json_str_at(pod, "/spec/nodeName"));
        mjson_set_str(doc, object, "podIP", json_str_at(pod, "/status/podIP"));
        mjson_set_str(doc, object, "image", json_get_str(pod_spark_container(pod), "image"));
        mjson_set(doc, object, "cores", yyjson_mut_real(doc, (double)cpu / 1000));
        mjson_set_int(doc, object, "memoryBytes", memory);
        set_time(doc, object, "created", meta_created_ms(pod));
        set_time(doc, object, "started", pod_started_ms(pod));
        set_time(doc, object, "finished", pod_finished_ms(pod));
}

static void set_executors(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct spark_app *app, bool with_items) {
        yyjson_mut_val *executors = mjson_obj(doc, object, "executors");
        if (app->wanted_max >= 0) {
                mjson_set_int(doc, executors, "wantedMin", app->wanted_min);
                if (app->wanted_max != INT32_MAX)
                        mjson_set_int(doc, executors, "wantedMax", app->wanted_max);
        }
        mjson_set_int(doc, executors, "running", app->running);
        mjson_set_int(doc, executors, "pending", app->pending);
        mjson_set_int(doc, executors, "succeeded", app->succeeded);
        mjson_set_int(doc, executors, "failed", app->failed);
        if (!with_items)
                return;
        yyjson_mut_val *items = mjson_arr(doc, executors, "items");
        vec_foreach(pod, &app->executors) {
                yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, items);
                struct pod_reason reason = pod_reason_of(*pod);
                mjson_set_str(doc, item, "id", meta_label(*pod, "spark-exec-id"));
                set_pod(doc, item, *pod, &reason);
        }
}

yyjson_mut_val *app_doc(const struct spark_app *app, bool with_executors, yyjson_mut_doc *doc) {
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        mjson_set_str(doc, object, "namespace", app->namespace_);
        mjson_set_str(doc, object, "name", app->name);
        mjson_set_str(doc, object, "id", app->id);
        mjson_set_str(doc, object, "sparkVersion", app->version);
        mjson_set_str(doc, object, "state", app->state);
        set_time(doc, object, "created", app->created_ms);
        if (app->driver)
                set_pod(doc, mjson_obj(doc, object, "driver"), app->driver, &app->reason);
        set_executors(doc, object, app, with_executors);
        mjson_set(doc, object, "coresHeld", yyjson_mut_real(doc, (double)app->cpu_milli / 1000));
        mjson_set_int(doc, object, "memoryHeldBytes", app->memory_bytes);
        return object;
}
