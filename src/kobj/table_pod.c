/* The row of a pod: the summary of phase, conditions and container states that users know as STATUS. */
#include <stdio.h>

#include "codec/ktime.h"
#include "kobj/table-internal.h"

struct summary {
        struct str reason;
        int64_t restarts, ready, total;
        const char *last_restart; /* RFC 3339, or NULL */
};

static const char *later(const char *a, const char *b) { return !a || (b && strcmp(a, b) < 0) ? b : a; }

static const char *last_end(yyjson_val *status) { return json_str_at(status, "/lastState/terminated/finishedAt"); }

static void set_reason(struct summary *s, const char *fmt, ...) PRINTF(2, 3);
static void set_reason(struct summary *s, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        str_clear(&s->reason);
        str_appendvf(&s->reason, fmt, ap);
        va_end(ap);
}

/* A sidecar: an init container that is restarted for ever. */
static bool is_sidecar(yyjson_val *pod, const char *name) {
        size_t i, max;
        yyjson_val *c;
        yyjson_arr_foreach(json_at(pod, "/spec/initContainers"), i, max, c) {
                if (streq_null(json_get_str(c, "name"), name))
                        return streq_null(json_get_str(c, "restartPolicy"), "Always");
        }
        return false;
}

static void count_containers(struct summary *s, yyjson_val *pod) {
        size_t i, max;
        yyjson_val *c;
        s->total = (int64_t)yyjson_arr_size(json_at(pod, "/spec/containers"));
        yyjson_arr_foreach(json_at(pod, "/spec/initContainers"), i, max, c)
                s->total += streq_null(json_get_str(c, "restartPolicy"), "Always");
}

static void failed_init(struct summary *s, yyjson_val *terminated) {
        const char *reason = json_get_str(terminated, "reason");
        int64_t signal = json_get_int(terminated, "signal", 0);
        if (reason && *reason)
                set_reason(s, "Init:%s", reason);
        else if (signal)
                set_reason(s, "Init:Signal:%lld", (long long)signal);
        else
                set_reason(s, "Init:ExitCode:%lld", (long long)json_get_int(terminated, "exitCode", 0));
}

/* True while init containers are not through. Restarts of sidecars are counted apart: they stay when initialisation is over. */
static bool read_init(struct summary *s, yyjson_val *pod, struct summary *sidecars) {
        size_t i, max;
        yyjson_val *status;
        yyjson_arr_foreach(json_at(pod, "/status/initContainerStatuses"), i, max, status) {
                yyjson_val *terminated = json_at(status, "/state/terminated");
                const char *waiting = json_str_at(status, "/state/waiting/reason");
                bool sidecar = is_sidecar(pod, json_get_str(status, "name"));
                s->restarts += json_get_int(status, "restartCount", 0);
                s->last_restart = later(s->last_restart, last_end(status));
                if (sidecar) {
                        sidecars->restarts += json_get_int(status, "restartCount", 0);
                        sidecars->last_restart = later(sidecars->last_restart, last_end(status));
                }
                if (terminated && json_get_int(terminated, "exitCode", 0) == 0)
                        continue;
                if (sidecar && json_get_bool(status, "started", false)) {
                        s->ready += json_get_bool(status, "ready", false);
                        continue;
                }
                if (terminated)
                        failed_init(s, terminated);
                else if (waiting && *waiting && !streq(waiting, "PodInitializing"))
                        set_reason(s, "Init:%s", waiting);
                else
                        set_reason(s, "Init:%zu/%zu", i, yyjson_arr_size(json_at(pod, "/spec/initContainers")));
                return true;
        }
        return false;
}

static void read_containers(struct summary *s, yyjson_val *pod) {
        yyjson_val *list = json_at(pod, "/status/containerStatuses");
        bool running = false;
        for (size_t i = yyjson_arr_size(list); i-- > 0;) {
                yyjson_val *status = yyjson_arr_get(list, i), *terminated = json_at(status, "/state/terminated");
                const char *waiting = json_str_at(status, "/state/waiting/reason"), *ended = json_get_str(terminated, "reason");
                s->restarts += json_get_int(status, "restartCount", 0);
                s->last_restart = later(s->last_restart, last_end(status));
                if (waiting && *waiting) {
                        set_reason(s, "%s", waiting);
                } else if (terminated && ended && *ended) {
                        set_reason(s, "%s", ended);
                } else if (terminated) {
                        int64_t signal = json_get_int(terminated, "signal", 0);
                        set_reason(s, "%s:%lld", signal ? "Signal" : "ExitCode",
                                   (long long)(signal ? signal : json_get_int(terminated, "exitCode", 0)));
                } else if (json_get_bool(status, "ready", false) && json_at(status, "/state/running")) {
                        running = true;
                        s->ready++;
                }
        }
        if (running && streq(str_cstr(&s->reason), "Completed"))
                set_reason(s, "%s", meta_condition_is(pod, "Ready", "True") ? "Running" : "NotReady");
}

static void summarise(struct summary *s, yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase"), *reason = json_str_at(pod, "/status/reason");
        struct summary sidecars = {0};
        if (reason && !*reason)
                reason = NULL;
        set_reason(s, "%s", reason ? reason : phase ? phase : "");
        if (streq_null(json_get_str(meta_condition(pod, "PodScheduled"), "reason"), "SchedulingGated"))
                set_reason(s, "SchedulingGated");
        count_containers(s, pod);
        if (!read_init(s, pod, &sidecars) || meta_condition_is(pod, "Initialized", "True")) {
                s->restarts = sidecars.restarts;
                s->last_restart = sidecars.last_restart;
                read_containers(s, pod);
        }
        bool over = streq_null(phase, "Succeeded") || streq_null(phase, "Failed");
        if (meta_is_deleting(pod) && streq_null(reason, "NodeLost"))
                set_reason(s, "Unknown");
        else if (meta_is_deleting(pod) && !over)
                set_reason(s, "Terminating");
}

char *table_pod_status(yyjson_val *pod) {
        struct summary s = {.reason = STR_INIT(0)};
        summarise(&s, pod);
        return str_take(&s.reason);
}

static void print_readiness_gates(struct table_row *r, yyjson_val *pod) {
        yyjson_val *gates = json_at(pod, "/spec/readinessGates"), *gate;
        size_t i, max, met = 0;
        if (!yyjson_arr_size(gates)) {
                table_text(r, "<none>");
                return;
        }
        yyjson_arr_foreach(gates, i, max, gate) {
                const char *type = json_get_str(gate, "conditionType");
                met += type && meta_condition_is(pod, type, "True");
        }
        table_textf(r, "%zu/%zu", met, yyjson_arr_size(gates));
}

void table_print_pod(struct table_row *r, yyjson_val *pod) {
        struct summary s = {.reason = STR_INIT(0)};
        const char *phase = json_str_at(pod, "/status/phase");
        summarise(&s, pod);
        r->condition = streq_null(phase, "Succeeded") || streq_null(phase, "Failed") ? phase : NULL;
        table_name(r, pod);
        table_textf(r, "%lld/%lld", (long long)s.ready, (long long)s.total);
        table_text(r, str_cstr(&s.reason));
        if (s.restarts && s.last_restart) {
                AUTO(free) char *ago = table_since_text(r->now_ms, s.last_restart);
                table_textf(r, "%lld (%s ago)", (long long)s.restarts, ago);
        } else {
                table_textf(r, "%lld", (long long)s.restarts);
        }
        table_age(r, pod);
        table_text_at(r, pod, "/status/podIPs/0/ip", "<none>");
        table_text_at(r, pod, "/spec/nodeName", "<none>");
        table_text_at(r, pod, "/status/nominatedNodeName", "<none>");
        print_readiness_gates(r, pod);
        str_done(&s.reason);
}
