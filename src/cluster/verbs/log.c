#include "cluster/edit.h"
#include "cluster/verbs/podstreams.h"
#include "codec/ktime.h"

int stream_find_pod(struct request *q, struct object **ret, struct err *err) {
        struct op op = {.s = q->s, .res = q->res, .ns = q->ns, .name = q->name};
        return op_get(&op, ret, err);
}

static bool has_container(struct object *pod, const char *name) {
        static const char *const lists[] = {"/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"};
        for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
                EACH(c, i, object_at(pod, lists[l])) {
                        if (streq_null(json_get_str(c, "name"), name))
                                return true;
                }
        }
        return false;
}

static char *names_of(struct object *pod, const char *list) {
        AUTO(str) struct str out = STR_INIT(0);
        EACH(c, i, object_at(pod, list)) str_appendf(&out, "%s%s", i ? " " : "", json_get_str(c, "name"));
        return str_take(&out);
}

int stream_container(struct request *q, struct object *pod, char **ret, struct err *err) {
        AUTO(free) char *asked = request_query(q, "container"), *all = NULL, *inits = NULL;
        yyjson_val *containers = object_at(pod, "/spec/containers");

        if (asked && *asked) {
                if (!has_container(pod, asked))
                        return status_bad_request(err, "container %s is not valid for pod %s", asked, pod->name);
                *ret = TAKE(asked);
                return 0;
        }
        if (yyjson_arr_size(containers) == 1) {
                *ret = xstrdup(json_get_str(yyjson_arr_get_first(containers), "name"));
                return 0;
        }
        all = names_of(pod, "/spec/containers");
        inits = names_of(pod, "/spec/initContainers");
        if (*inits)
                return status_bad_request(
                        err, "a container name must be specified for pod %s, choose one of: [%s] or one of the init containers: [%s]",
                        pod->name, all, inits);
        return status_bad_request(err, "a container name must be specified for pod %s, choose one of: [%s]", pod->name, all);
}

int stream_check_host(struct request *q, struct object *pod, struct err *err) {
        const char *node = object_str(pod, "/spec/nodeName");
        if (!node || !*node)
                return status_bad_request(err, "pod %s does not have a host assigned", pod->name);
        if (!q->s->backend)
                return err_http(err, -EHOSTUNREACH, 500, "InternalError", "no pod runtime serves node \"%s\" in this process", node);
        return 0;
}

struct log {
        struct session session;
        struct http_exchange *x;
        struct pod_log *log;
        bool paused;
};

static void log_free(struct log *l) {
        session_remove(&l->session);
        l->session.s->backend->log_close(l->log);
        free(l);
}

static void log_end(struct session *session) {
        struct log *l = (struct log *)session;
        http_finish(l->x);
        log_free(l);
}

static void log_gone(void *arg) { log_free(arg); }

static void log_drained(void *arg) {
        struct log *l = arg;
        l->paused = false;
        l->session.s->backend->log_pause(l->log, false);
}

static void log_data(void *arg, struct sv data) {
        struct log *l = arg;
        http_write(l->x, data);
        if (!l->paused && http_pending(l->x) > STREAM_MAX_PENDING) {
                l->paused = true;
                l->session.s->backend->log_pause(l->log, true);
                http_on_drain(l->x, log_drained, l);
        }
}

static void log_finished(void *arg, const struct err *err) {
        struct log *l = arg;
        if (err) {
                AUTO(free) char *text = xasprintf("%s\n", err_message(err));
                http_write(l->x, sv_of(text));
        }
        log_end(&l->session);
}

static void check_least(struct request *q, const char *key, int64_t value, int64_t least, const char *message, struct invalid *bad) {
        AUTO(free) char *given = request_query(q, key);
        if (given && *given && value < least)
                invalid_int(bad, key, value, "%s", message);
}

static int log_options(struct request *q, struct pod_log_options *o, struct err *err) {
        AUTO(free) char *since = request_query(q, "sinceTime");
        AUTO(invalid) struct invalid bad = {0};
        int64_t seconds;
        int r;

        o->follow = request_query_bool(q, "follow");
        o->previous = request_query_bool(q, "previous");
        o->timestamps = request_query_bool(q, "timestamps");
        o->since_time_us = -1;
        if (!request_query_int(q, "tailLines", -1, &o->tail_lines) || !request_query_int(q, "limitBytes", -1, &o->limit_bytes) ||
            !request_query_int(q, "sinceSeconds", -1, &seconds))
                return status_bad_request(err, "tailLines, limitBytes and sinceSeconds must be numbers");
        check_least(q, "tailLines", o->tail_lines, 0, "must be greater than or equal to 0", &bad);
        check_least(q, "limitBytes", o->limit_bytes, 1, "must be greater than 0", &bad);
        if (seconds >= 0 && since && *since)
                invalid_forbidden(&bad, "[]", "at most one of `sinceTime` or `sinceSeconds` may be specified");
        r = invalid_err(&bad, "", "PodLogOptions", q->name, err);
        if (r < 0)
                return r;
        if (seconds >= 0)
                o->since_time_us = clock_now_us() - seconds * 1000000;
        if (since && *since && !ktime_parse(sv_of(since), &o->since_time_us))
                return status_bad_request(err, "sinceTime must be a time in RFC 3339, like 2006-01-02T15:04:05Z");
        return 0;
}

int sub_log(struct request *q, struct err *err) {
        AUTO(object) struct object *pod = NULL;
        AUTO(free) char *container = NULL, *stream = request_query(q, "stream");
        AUTO(str) struct str none = STR_INIT(0);
        struct pod_log_options o = {.stream = stream && *stream ? stream : "All"};
        struct log *l;
        const char *node;
        int r = stream_find_pod(q, &pod, err);

        if (r == 0)
                r = stream_container(q, pod, &container, err);
        if (r == 0)
                r = log_options(q, &o, err);
        if (r < 0)
                return r;
        node = object_str(pod, "/spec/nodeName");
        if (!node || !*node) { /* no node, no log */
                answer(q, 204, NULL, &none, 0);
                return 0;
        }
        r = stream_check_host(q, pod, err);
        if (r < 0)
                return r;
        o.container = container;
        l = NEW(struct log);
        l->x = q->x;
        r = q->s->backend->log_open(q->s->backend->self, pod, &o, &(struct pod_log_events){log_data, log_finished, l}, &l->log, err);
        if (r < 0) {
                free(l);
                return r;
        }
        session_add(q->s, &l->session, log_end);
        http_on_gone(q->x, log_gone, l);
        http_start(q->x, 200, "text/plain");
        return 0;
}
