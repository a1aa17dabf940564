#include "submit/why.h"

#include "kobj/meta.h"
#include "kube/podlog.h"
#include "kube/verbs.h"
#include "submit/logcause.h"
#include "submit/podreason.h"

void why_done(struct why *w) {
        doctor_findings_done(&w->findings);
        strv_done(&w->log);
        free(w->last_error);
        free(w->event);
        *w = (struct why){0};
}

struct reading {
        struct strv *lines;
        bool done;
};

static void on_line(void *arg, struct sv line) {
        struct reading *r = arg;
        strv_add_n(r->lines, line.data, line.len < DOCTOR_MAX_LINE ? line.len : DOCTOR_MAX_LINE);
}
static void on_end(void *arg, const struct err *err) { ((struct reading *)arg)->done = true; }

static void read_log(struct kube_client *c, yyjson_val *pod, bool previous, struct strv *ret) {
        struct reading r = {.lines = ret};
        AUTO(podlog) struct podlog *log = podlog_start(c, &(struct podlog_options){
                .namespace_ = meta_namespace(pod),
                .pod = meta_name(pod),
                .container = json_get_str(pod_spark_container(pod), "name"),
                .previous = previous,
                .tail_lines = WHY_LOG_LINES,
                .on_line = on_line,
                .on_end = on_end,
                .arg = &r,
        });
        loop_run_until(kube_client_loop(c), &r.done);
}

struct event_list {
        VEC(struct doctor_event) items;
};

/* The pod's events, oldest first as the server has them. */
static yyjson_doc *read_events(struct kube_client *c, yyjson_val *pod, struct event_list *ret, char **ret_warning) {
        yyjson_doc *doc = NULL;
        const char *uid = meta_uid(pod);
        AUTO(free) char *selector =
                xasprintf("involvedObject.name=%s%s%s", meta_name(pod), uid ? ",involvedObject.uid=" : "", uid ? uid : "");
        if (kube_list(c, &KUBE_EVENTS, meta_namespace(pod), &(struct kube_list_options){.field_selector = selector}, &doc, NULL) < 0)
                return NULL;
        size_t i, n;
        yyjson_val *event;
        yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "items"), i, n, event) {
                const char *reason = json_get_str(event, "reason"), *message = json_get_str(event, "message");
                *vec_push(&ret->items) = (struct doctor_event){reason, message};
                /* "Error: ImagePullBackOff" repeats the state; what came before it says why. */
                bool says_more = !*ret_warning || !message || !str_starts(message, "Error: ");
                if (streq_null(json_get_str(event, "type"), "Warning") && reason && says_more) {
                        free(*ret_warning);
                        *ret_warning = xasprintf("%s: %s", reason, message ? message : "");
                }
        }
        return doc;
}

int why_of_pod(struct kube_client *c, yyjson_val *pod, struct why *ret, struct err *err) {
        AUTO(why) struct why why = {0};
        struct event_list events = {0};
        struct pod_reason reason = pod_reason_of(pod);
        yyjson_val *status = pod_spark_container_status(pod);
        bool crash_loop = json_at(status, "/lastState/terminated") && json_at(status, "/state/waiting");
        if (pod_started_ms(pod) || crash_loop)
                read_log(c, pod, crash_loop, &why.log);
        AUTO(json) yyjson_doc *events_doc = read_events(c, pod, &events, &why.event);
        why.last_error = log_cause(&why.log);
        const char *role = meta_label(pod, "spark-role");
        AUTO(strv) struct strv errors = {0};
        if (reason.message)
                strv_add(&errors, reason.message);
        int r = doctor_match(&(struct doctor_facts){
                .role = role ? role : "driver",
                .phase = reason.phase,
                .waiting = json_str_at(status, "/state/waiting/reason"),
                .terminated = json_str_at(status, crash_loop ? "/lastState/terminated/reason" : "/state/terminated/reason"),
                .exit_code = reason.exit_code,
                .log = &why.log,
                .events = events.items.items,
                .events_len = events.items.len,
                .errors = &errors,
        }, &why.findings, err);
        vec_done(&events.items);
        if (r < 0)
                return r;
        *ret = why;
        why = (struct why){0};
        return 0;
}
