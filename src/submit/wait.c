#include "submit/wait.h"

#include "kobj/meta.h"
#include "kube/informer.h"
#include "kube/podlog.h"
#include "submit/podreason.h"
#include "submit/podstate.h"

enum {
        REPORT_MS = 1000,
        LOG_TAIL = 20,
        LOG_LINE_MAX = 2000,  /* of a line kept for the reason of a failure */
        LOG_GRACE_MS = 5000,  /* how long the log's next line is waited for once the pod has ended */
};

struct waiting {
        const struct wait_options *o;
        struct loop *loop;
        struct kube_watch *watch;       /* Spark style */
        struct kube_call *first_look;
        struct informer *informer;      /* own style */
        struct podlog *log;
        bool log_started, log_ended;
        struct timer *report, *limit, *log_limit;
        int64_t started_ms;
        yyjson_doc *pod;                /* the driver's last state */
        struct log_progress progress;
        struct strv tail;
        bool is_connected, has_said_waiting, asked_once;
        bool is_over;                   /* the pod has ended or is gone */
        bool done;
        enum wait_outcome outcome;
        struct err err;
};

void wait_result_done(struct wait_result *r) {
        free(r->reason);
        free(r->message);
        strv_done(&r->last_log);
        yyjson_doc_free(r->pod);
        *r = (struct wait_result){0};
}

static void say(struct waiting *w, const char *fmt, ...) PRINTF(2, 3);
static void say(struct waiting *w, const char *fmt, ...) {
        if (!w->o->say)
                return;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        w->o->say(w->o->arg, text);
}

static yyjson_val *driver(const struct waiting *w) { return w->pod ? yyjson_doc_get_root(w->pod) : NULL; }

static const char *phase_of(yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        return phase ? phase : "Unknown";
}

static void keep_pod(struct waiting *w, yyjson_val *pod) {
        AUTO(mjson) yyjson_mut_doc *thawed = json_thaw(pod);
        yyjson_doc_free(w->pod);
        w->pod = mjson_freeze(yyjson_mut_doc_get_root(thawed));
}

static void finish(struct waiting *w, enum wait_outcome outcome) {
        w->outcome = outcome;
        w->done = true;
}

static void fail(struct waiting *w, const struct err *err) {
        err_copy(&w->err, err);
        w->done = true;
}

/* Once the pod is over, the log's end is waited for, but not for long. */
static void check_over(struct waiting *w) {
        if (w->is_over && (!w->log_started || w->log_ended))
                w->done = true;
}

static void on_log_limit(void *arg) {
        struct waiting *w = arg;
        w->log_ended = true;
        check_over(w);
}

static void over(struct waiting *w, enum wait_outcome outcome) {
        if (w->is_over)
                return;
        w->is_over = true;
        w->outcome = outcome;
        if (w->log_started && !w->log_ended)
                w->log_limit = timer_new(w->loop, LOG_GRACE_MS, 0, on_log_limit, w);
        check_over(w);
}

/* ---- Spark style ---- */

static void long_status(struct waiting *w) {
        AUTO(str) struct str text = STR_INIT(0);
        podstate_format(driver(w), &text);
        say(w, "State changed, new state: %s", str_cstr(&text));
}

static void spark_state(struct waiting *w, yyjson_val *pod, bool is_deleted) {
        keep_pod(w, pod);
        if (!is_deleted)
                long_status(w);
        const char *phase = phase_of(pod);
        if (streq(phase, "Succeeded"))
                over(w, WAIT_SUCCEEDED);
        else if (streq(phase, "Failed"))
                over(w, WAIT_FAILED);
        else if (is_deleted)
                over(w, WAIT_DELETED);
}

static void on_spark_event(void *arg, enum kube_event_type type, yyjson_val *pod) { spark_state(arg, pod, type == KUBE_DELETED); }

static void say_waiting(struct waiting *w) {
        if (w->has_said_waiting)
                return;
        w->has_said_waiting = true;
        say(w, "Waiting for application %s with application ID %s and submission ID %s:%s to finish...", w->o->app_name, w->o->app_id,
            w->o->namespace_, w->o->pod);
}

static void on_first_look(void *arg, struct kube_reply *reply, const struct err *err) {
        struct waiting *w = arg;
        w->first_look = NULL;
        if (err && err->http_status == 404)
                over(w, WAIT_DELETED);
        else if (err)
                fail(w, err);
        else if (!w->is_over)
                spark_state(w, yyjson_doc_get_root(reply->doc), false);
        say_waiting(w);
}

/* The pod is asked for once the watch is up, so that nothing falls between them. */
static void on_connection(void *arg, bool is_up, const struct err *why) {
        struct waiting *w = arg;
        w->is_connected = is_up;
        if (!is_up || w->asked_once)
                return;
        w->asked_once = true;
        AUTO(kube_request) struct kube_request q = {0};
        kube_make_get(&KUBE_PODS, w->o->namespace_, w->o->pod, &q);
        w->first_look = kube_call_start(w->o->client, &q, on_first_look, w);
}

static void on_watch_error(void *arg, const struct err *err) { fail(arg, err); }

static void start_spark_style(struct waiting *w) {
        AUTO(free) char *selector = xasprintf("metadata.name=%s", w->o->pod);
        w->watch = kube_watch_start(w->o->client, &(struct kube_watch_options){
                .resource = &KUBE_PODS,
                .namespace_ = w->o->namespace_,
                .field_selector = selector,
                .websocket = true,
                .no_timeout = true,
                .on_event = on_spark_event,
                .on_error = on_watch_error,
                .on_connection = on_connection,
                .arg = w,
        });
}

/* ---- own style ---- */

static void on_log_line(void *arg, struct sv line) {
        struct waiting *w = arg;
        (void)log_progress_line(&w->progress, line);
        int keep = w->o->log_tail ? w->o->log_tail : LOG_TAIL;
        strv_add_n(&w->tail, line.data, line.len < LOG_LINE_MAX ? line.len : LOG_LINE_MAX);
        if (w->tail.len > (size_t)keep) {
                free(w->tail.items[0]);
                vec_remove(&w->tail, 0);
        }
        if (w->o->on_log)
                w->o->on_log(w->o->arg, line);
        if (w->log_limit && !w->log_ended)
                timer_again(w->log_limit, LOG_GRACE_MS, 0); /* as long as something comes */
}

static void on_log_end(void *arg, const struct err *err) {
        struct waiting *w = arg;
        w->log_ended = true;
        check_over(w);
}

static void start_log(struct waiting *w) {
        if (w->log_started || !pod_started_ms(driver(w)))
                return;
        w->log_started = true;
        w->log = podlog_start(w->o->client, &(struct podlog_options){
                .namespace_ = w->o->namespace_,
                .pod = w->o->pod,
                .container = json_get_str(pod_spark_container(driver(w)), "name"),
                .follow = true,
                .tail_lines = -1,
                .on_line = on_log_line,
                .on_end = on_log_end,
                .arg = w,
        });
}

struct counts {
        int running, pending, failed;
        struct pod_reason why; /* of one that is pending */
};

static bool count_executor(void *arg, yyjson_val *pod) {
        struct counts *c = arg;
        if (!streq_null(meta_label(pod, "spark-role"), "executor"))
                return true;
        const char *phase = phase_of(pod);
        c->running += streq(phase, "Running");
        c->pending += streq(phase, "Pending");
        c->failed += streq(phase, "Failed");
        if (streq(phase, "Pending") && !c->why.message)
                c->why = pod_reason_of(pod);
        return true;
}

static void tell_state(struct waiting *w) {
        if (!w->o->on_state || !w->pod)
                return;
        struct counts counts = {0};
        informer_each(w->informer, count_executor, &counts);
        struct pod_reason why = pod_reason_of(driver(w));
        struct wait_state state = {
                .phase = why.phase,
                .reason = why.reason,
                .message = why.message,
                .executors_running = counts.running,
                .executors_pending = counts.pending,
                .executors_failed = counts.failed,
                .executor_reason = counts.why.reason,
                .executor_message = counts.why.message,
                .progress = w->progress,
                .elapsed_ms = loop_now_ms(w->loop) - w->started_ms,
                .is_connected = w->is_connected,
        };
        w->o->on_state(w->o->arg, &state);
}

static void take_pod(struct waiting *w, yyjson_val *pod, bool is_deleted) {
        if (streq_null(meta_name(pod), w->o->pod)) {
                keep_pod(w, pod);
                start_log(w);
                const char *phase = phase_of(pod);
                if (streq(phase, "Succeeded"))
                        over(w, WAIT_SUCCEEDED);
                else if (streq(phase, "Failed"))
                        over(w, WAIT_FAILED);
                else if (is_deleted)
                        over(w, WAIT_DELETED);
        }
        tell_state(w);
}

static void on_add(void *arg, yyjson_val *pod) { take_pod(arg, pod, false); }
static void on_update(void *arg, yyjson_val *before, yyjson_val *pod) { take_pod(arg, pod, false); }
static void on_delete(void *arg, yyjson_val *pod) { take_pod(arg, pod, true); }

static void on_sync(void *arg) {
        struct waiting *w = arg;
        w->is_connected = true;
        if (!w->pod)
                over(w, WAIT_DELETED);
}

static void on_informer_error(void *arg, const struct err *err) {
        struct waiting *w = arg;
        w->is_connected = false;
        if (!informer_has_synced(w->informer))
                fail(w, err);
}

static void start_own_style(struct waiting *w) {
        AUTO(free) char *selector = xasprintf("spark-app-selector=%s", w->o->app_id);
        w->informer = informer_start(w->o->client, &(struct informer_options){
                .resource = &KUBE_PODS,
                .namespace_ = w->o->namespace_,
                .label_selector = selector,
                .on_add = on_add,
                .on_update = on_update,
                .on_delete = on_delete,
                .on_sync = on_sync,
                .on_error = on_informer_error,
                .arg = w,
        });
}

/* ---- both ---- */

static void on_report(void *arg) {
        struct waiting *w = arg;
        if (!w->o->spark_style)
                tell_state(w);
        else if (w->has_said_waiting)
                say(w, "Application status for %s (phase: %s)", w->o->app_id, phase_of(driver(w)));
}

static void on_limit(void *arg) { finish(arg, WAIT_TIMED_OUT); }

static void spark_end(struct waiting *w) {
        AUTO(str) struct str text = STR_INIT(0);
        say(w, "Application status for %s (phase: %s)", w->o->app_id, phase_of(driver(w)));
        podstate_format_containers(driver(w), 1, &text);
        if (w->pod)
                say(w, "Container final statuses:\n\n%s", str_cstr(&text));
        else
                say(w, "No containers were found in the driver pod.");
        say(w, "Application %s with application ID %s and submission ID %s:%s finished", w->o->app_name, w->o->app_id, w->o->namespace_,
            w->o->pod);
}

static void run(struct waiting *w) {
        while (!w->done) {
                /* It may have come just before, while something else ran the loop. */
                if (!w->o->interrupted || !*w->o->interrupted)
                        loop_run_until(w->loop, &w->done);
                if (!w->done && (!w->o->interrupted || *w->o->interrupted))
                        finish(w, WAIT_INTERRUPTED);
        }
}

static void fill_result(struct waiting *w, struct wait_result *ret) {
        *ret = (struct wait_result){.outcome = w->outcome, .exit_code = -1, .last_log = w->tail, .pod = TAKE(w->pod)};
        w->tail = (struct strv){0};
        if (!ret->pod)
                return;
        struct pod_reason why = pod_reason_of(yyjson_doc_get_root(ret->pod));
        ret->exit_code = why.exit_code;
        ret->reason = xstrdup_null(why.reason);
        ret->message = xstrdup_null(why.message);
}

static void stop(struct waiting *w) {
        kube_watch_free(w->watch);
        kube_call_cancel(w->first_look);
        podlog_free(w->log);
        informer_free(w->informer);
        struct timer *timers[] = {w->report, w->limit, w->log_limit};
        for (size_t i = 0; i < ARRAY_LEN(timers); i++)
                if (timers[i])
                        timer_free(timers[i]);
}

int wait_for_app(const struct wait_options *o, struct wait_result *ret, struct err *err) {
        struct waiting w = {.o = o, .loop = kube_client_loop(o->client), .progress = LOG_PROGRESS_INIT};
        int64_t interval = o->report_interval_ms > 0 ? o->report_interval_ms : REPORT_MS;
        w.started_ms = loop_now_ms(w.loop);
        if (o->spark_style)
                start_spark_style(&w);
        else
                start_own_style(&w);
        w.report = timer_new(w.loop, interval, interval, on_report, &w);
        if (o->timeout_ms > 0)
                w.limit = timer_new(w.loop, o->timeout_ms, 0, on_limit, &w);
        run(&w);
        stop(&w);
        int r = 0;
        if (w.err.code < 0) {
                r = err_move(err, &w.err);
        } else {
                if (o->spark_style && w.is_over)
                        spark_end(&w);
                fill_result(&w, ret);
        }
        strv_done(&w.tail);
        yyjson_doc_free(w.pod);
        return r;
}
