#include "submit/applog.h"

#include "base/map.h"
#include "kobj/meta.h"
#include "kube/informer.h"
#include "kube/podlog.h"
#include "submit/podreason.h"

struct source {
        struct reading *owner;
        char *pod, *name;
        int number;
        struct podlog *log; /* NULL once it ended */
        bool has_lines;
};

struct reading {
        const struct applog_options *o;
        struct map sources; /* pod -> struct source */
        struct informer *informer;
        int open;       /* logs that have not ended */
        int readable;   /* sources that could be read */
        bool has_synced, driver_seen, driver_over;
        bool done;
        struct err first_error;
};

static void source_free(void *p) {
        struct source *s = p;
        podlog_free(s->log);
        free(s->pod);
        free(s->name);
        free(s);
}

static void check_done(struct reading *r) {
        if (r->open > 0 || !r->has_synced)
                return;
        r->done = !r->o->follow || !r->driver_seen || r->driver_over;
}

static void on_line(void *arg, struct sv line) {
        struct source *s = arg;
        s->has_lines = true;
        s->owner->o->on_line(s->owner->o->arg, s->name, s->number, line);
}

static void on_note(void *arg, const char *note) {
        struct source *s = arg;
        if (s->owner->o->on_note)
                s->owner->o->on_note(s->owner->o->arg, s->name, note);
}

static void on_end(void *arg, const struct err *err) {
        struct source *s = arg;
        struct reading *r = s->owner;
        podlog_free(TAKE(s->log));
        r->open--;
        if (!err) {
                r->readable++;
        } else {
                if (r->first_error.code == 0) {
                        err_copy(&r->first_error, err);
                        err_wrap(&r->first_error, err->code, "the log of %s", s->pod);
                }
                on_note(s, err_message(err));
        }
        check_done(r);
}

/* What the pod is called in front of its lines; NULL when nobody wants it. */
static char *wanted_name(const struct reading *r, yyjson_val *pod) {
        const char *role = meta_label(pod, "spark-role"), *id = meta_label(pod, "spark-exec-id");
        if (streq_null(role, "driver"))
                return r->o->driver ? xstrdup("driver") : NULL;
        if (!id)
                return NULL;
        bool wanted = r->o->all_executors || (r->o->executor_ids && strv_has(r->o->executor_ids, id));
        return wanted ? xasprintf("exec-%s", id) : NULL;
}

static void start_log(struct reading *r, yyjson_val *pod) {
        const char *pod_name = meta_name(pod);
        AUTO(free) char *name = wanted_name(r, pod);
        if (!name || map_has(&r->sources, pod_name))
                return;
        struct source *s = NEW(struct source);
        s->owner = r;
        s->pod = xstrdup(pod_name);
        s->name = TAKE(name);
        s->number = (int)r->sources.len;
        map_set(&r->sources, pod_name, s);
        r->open++;
        s->log = podlog_start(r->o->client, &(struct podlog_options){
                .namespace_ = r->o->namespace_,
                .pod = s->pod,
                .container = r->o->container ? r->o->container : json_get_str(pod_spark_container(pod), "name"),
                .follow = r->o->follow,
                .previous = r->o->previous,
                .timestamps = r->o->timestamps,
                .tail_lines = r->o->tail_lines,
                .since_seconds = r->o->since_seconds,
                .on_line = on_line,
                .on_note = on_note,
                .on_end = on_end,
                .arg = s,
        });
}

static void look_at_driver(struct reading *r, yyjson_val *pod, bool is_deleted) {
        if (!streq_null(meta_label(pod, "spark-role"), "driver"))
                return;
        const char *phase = json_str_at(pod, "/status/phase");
        r->driver_seen = true;
        r->driver_over = is_deleted || streq_null(phase, "Succeeded") || streq_null(phase, "Failed");
        check_done(r);
}

static void on_add(void *arg, yyjson_val *pod) {
        start_log(arg, pod);
        look_at_driver(arg, pod, false);
}
static void on_update(void *arg, yyjson_val *before, yyjson_val *pod) { look_at_driver(arg, pod, false); }
static void on_delete(void *arg, yyjson_val *pod) { look_at_driver(arg, pod, true); }

static void on_sync(void *arg) {
        struct reading *r = arg;
        r->has_synced = true;
        check_done(r);
}

static void on_error(void *arg, const struct err *err) {
        struct reading *r = arg;
        if (r->has_synced)
                return; /* the logs go on; executors that start later are missed until the watch is back */
        err_copy(&r->first_error, err);
        r->done = true;
}

int applog_run(const struct applog_options *o, struct err *err) {
        struct reading r = {.o = o, .sources = MAP_INIT(source_free)};
        AUTO(free) char *selector = xasprintf("spark-app-selector=%s", o->app_id);
        r.informer = informer_start(o->client, &(struct informer_options){
                .resource = &KUBE_PODS,
                .namespace_ = o->namespace_,
                .label_selector = selector,
                .on_add = on_add,
                .on_update = on_update,
                .on_delete = on_delete,
                .on_sync = on_sync,
                .on_error = on_error,
                .arg = &r,
        });
        loop_run_until(kube_client_loop(o->client), &r.done);
        bool interrupted = !r.done;
        int readable = r.readable;
        informer_free(r.informer);
        map_done(&r.sources);
        AUTO(err) struct err first = r.first_error;
        if (interrupted)
                return err_set(err, -EINTR, "interrupted");
        if (readable == 0 && first.code < 0)
                return err_move(err, &first);
        return readable;
}
