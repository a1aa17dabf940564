#include "submit/podreason.h"

#include "codec/ktime.h"
#include "kobj/meta.h"

static bool is_spark_name(const char *name) {
        return streq_null(name, "spark-kubernetes-driver") || streq_null(name, "spark-kubernetes-executor");
}

/* The member of a list of containers that is Spark's: by its usual name, else by the name of the other list's. */
static yyjson_val *spark_member(yyjson_val *list) {
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(list, i, n, item) {
                if (is_spark_name(json_get_str(item, "name")))
                        return item;
        }
        return yyjson_arr_get_first(list);
}

yyjson_val *pod_spark_container(yyjson_val *pod) { return spark_member(json_at(pod, "/spec/containers")); }

yyjson_val *pod_spark_container_status(yyjson_val *pod) {
        yyjson_val *list = json_at(pod, "/status/containerStatuses"), *item;
        const char *name = json_get_str(pod_spark_container(pod), "name");
        size_t i, n;
        yyjson_arr_foreach(list, i, n, item) {
                if (name && streq_null(json_get_str(item, "name"), name))
                        return item;
        }
        return spark_member(list);
}

/* What one container's status has to say; false when nothing. */
static bool container_reason(yyjson_val *status, struct pod_reason *ret) {
        yyjson_val *terminated = json_at(status, "/state/terminated"), *waiting = json_at(status, "/state/waiting");
        if (yyjson_is_obj(terminated)) {
                ret->exit_code = (int)json_get_int(terminated, "exitCode", -1);
                ret->signal = (int)json_get_int(terminated, "signal", 0);
                ret->reason = json_get_str(terminated, "reason");
                ret->message = json_get_str(terminated, "message");
                ret->container = json_get_str(status, "name");
                return ret->exit_code != 0;
        }
        if (!yyjson_is_obj(waiting))
                return false;
        ret->reason = json_get_str(waiting, "reason");
        ret->message = json_get_str(waiting, "message");
        ret->container = json_get_str(status, "name");
        /* Waiting to be started again: why it ended before matters more. */
        yyjson_val *last = json_at(status, "/lastState/terminated");
        if (yyjson_is_obj(last))
                ret->exit_code = (int)json_get_int(last, "exitCode", -1);
        return ret->reason != NULL;
}

static bool any_container_reason(yyjson_val *list, struct pod_reason *ret) {
        size_t i, n;
        yyjson_val *status;
        yyjson_arr_foreach(list, i, n, status) {
                struct pod_reason other = *ret;
                if (container_reason(status, &other)) {
                        *ret = other;
                        return true;
                }
        }
        return false;
}

struct pod_reason pod_reason_of(yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        struct pod_reason r = {.exit_code = -1, .phase = phase ? phase : "Unknown", .is_terminating = meta_is_deleting(pod)};
        yyjson_val *status = pod_spark_container_status(pod);
        r.restarts = (int)json_get_int(status, "restartCount", 0);
        struct pod_reason found = r;
        bool says = container_reason(status, &found);
        if (says || found.exit_code >= 0)
                r = found;
        if (!says) {
                struct pod_reason other = r;
                if (streq(r.phase, "Pending") && any_container_reason(json_at(pod, "/status/initContainerStatuses"), &other))
                        r = other;
                else if (!streq(r.phase, "Succeeded") && any_container_reason(json_at(pod, "/status/containerStatuses"), &other))
                        r = other;
        }
        /* The pod's own words (Evicted, NodeLost, DeadlineExceeded) say more than a container's exit code. */
        const char *reason = json_str_at(pod, "/status/reason");
        if (reason) {
                r.reason = reason;
                const char *message = json_str_at(pod, "/status/message");
                r.message = message ? message : r.message;
        }
        yyjson_val *scheduled = meta_condition(pod, "PodScheduled");
        if (!r.reason && streq(r.phase, "Pending") && streq_null(json_get_str(scheduled, "status"), "False")) {
                r.reason = json_get_str(scheduled, "reason");
                r.message = json_get_str(scheduled, "message");
        }
        return r;
}

static int64_t time_ms(const char *text) {
        int64_t us;
        return text && ktime_parse(sv_of(text), &us) ? us / 1000 : 0;
}

int64_t pod_started_ms(yyjson_val *pod) {
        yyjson_val *status = pod_spark_container_status(pod);
        int64_t at = time_ms(json_str_at(status, "/state/running/startedAt"));
        if (!at)
                at = time_ms(json_str_at(status, "/state/terminated/startedAt"));
        return at;
}

int64_t pod_finished_ms(yyjson_val *pod) {
        return time_ms(json_str_at(pod_spark_container_status(pod), "/state/terminated/finishedAt"));
}
