/* The proxy subresource of pods and services: the request is repeated to a port inside the pod, the answer passed on.
 *
 * The pod is spoken to in HTTP/1.0, so that its answer ends with the connection and needs no second parser of chunks. */
#include "cluster/edit.h"
#include "cluster/verbs/podstreams.h"
#include "kobj/meta.h"
#include "kobj/selector.h"

enum { MAX_HEAD = 64 * 1024 };

struct proxy {
        struct session session;
        struct http_exchange *x;
        struct stream *pod;
        struct str request, head;
        bool started, gone, dialing;
};

static void proxy_free(struct proxy *p) {
        session_remove(&p->session);
        if (p->pod)
                stream_free(TAKE(p->pod));
        if (p->dialing) { /* the dial still has to answer */
                p->gone = true;
                return;
        }
        str_done(&p->request);
        str_done(&p->head);
        free(p);
}

static void fail(struct proxy *p, const char *why) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(str) struct str body = STR_INIT(0);
        err_http(&err, -EIO, 503, "ServiceUnavailable", "error trying to reach service: %s", why);
        status_write(&err, &body);
        http_respond(p->x, 503, "application/json", str_sv(&body));
}

static void proxy_end(struct session *session) {
        struct proxy *p = (struct proxy *)session;
        if (p->started)
                http_abort(p->x);
        else
                fail(p, "the server ends");
        proxy_free(p);
}

static void client_gone(void *arg) { proxy_free(arg); }

/* Status line and headers are complete: begin the answer. False when they are no HTTP. */
static bool begin(struct proxy *p, size_t head_len) {
        struct sv rest = sv_new(str_cstr(&p->head), head_len), line, word, after;
        AUTO(free) char *type = NULL;
        int64_t status;

        sv_split(&rest, '\n', &line);
        after = sv_trim(line);
        if (!sv_starts(after, SV("HTTP/1.")) || !sv_split(&after, ' ', &word) || !sv_split(&after, ' ', &word) ||
            !sv_to_int64(word, &status) || status < 200 || status > 599)
                return false;
        while (sv_split(&rest, '\n', &line)) {
                ssize_t colon = sv_find_char(line, ':');
                if (colon <= 0)
                        continue;
                struct sv name = sv_trim(sv_new(line.data, (size_t)colon)),
                          value = sv_trim(sv_new(line.data + colon + 1, line.len - (size_t)colon - 1));
                static const char *const ours[] = {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date"};
                bool skip = false;
                for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                        skip |= sv_ieq(name, sv_of(ours[i]));
                if (skip)
                        continue;
                AUTO(free) char *n = sv_dup(name), *v = sv_dup(value);
                if (sv_ieq(name, SV("Content-Type")))
                        type = type ? type : xstrdup(v);
                else
                        http_set_header(p->x, n, v);
        }
        p->started = true;
        http_start(p->x, (int)status, type);
        return true;
}

static void drained(void *arg) {
        struct proxy *p = arg;
        stream_pause(p->pod, false);
}

static void pass_on(struct proxy *p, struct sv data) {
        if (data.len == 0)
                return;
        http_write(p->x, data);
        if (http_pending(p->x) > STREAM_MAX_PENDING) {
                stream_pause(p->pod, true);
                http_on_drain(p->x, drained, p);
        }
}

static void pod_data(void *arg, struct sv data) {
        struct proxy *p = arg;
        ssize_t end;
        size_t skip = 4;

        if (p->started) {
                pass_on(p, data);
                return;
        }
        str_append_sv(&p->head, data);
        end = sv_find(str_sv(&p->head), SV("\r\n\r\n"));
        if (end < 0 && (end = sv_find(str_sv(&p->head), SV("\n\n"))) >= 0)
                skip = 2;
        if (end < 0 && !str_overflowed(&p->head))
                return;
        if (end < 0 || !begin(p, (size_t)end)) {
                fail(p, "the answer is not HTTP");
                proxy_free(p);
                return;
        }
        pass_on(p, sv_new(p->head.data + end + skip, p->head.len - (size_t)end - skip));
}

static void pod_ended(void *arg, const struct err *err) {
        struct proxy *p = arg;
        if (!p->started)
                fail(p, err ? err_message(err) : "the connection was closed without an answer");
        else if (err)
                http_abort(p->x);
        else
                http_finish(p->x);
        proxy_free(p);
}

static void dialed(void *arg, struct stream *s, const struct err *err) {
        struct proxy *p = arg;
        p->dialing = false;
        if (p->gone || !s) {
                if (s)
                        stream_free(s);
                if (!p->gone)
                        fail(p, err_message(err));
                proxy_free(p);
                return;
        }
        p->pod = s;
        stream_set_events(s, &(struct stream_events){.on_data = pod_data, .on_end = pod_ended, .arg = p});
        stream_write(s, str_sv(&p->request));
}

static void write_request(struct request *q, struct proxy *p) {
        static const char *const dropped[] = {
                "Connection", "Authorization", "Content-Length", "Transfer-Encoding", "Accept-Encoding", "Expect"};
        str_appendf(&p->request, "%s ", q->http->method);
        for (size_t i = q->rest_at; i < q->parts.len; i++)
                str_appendf(&p->request, "/%s", q->parts.items[i]);
        if (q->rest_at >= q->parts.len || (q->path[strlen(q->path) - 1] == '/'))
                str_append_c(&p->request, '/');
        if (q->http->query)
                str_appendf(&p->request, "?%s", q->http->query);
        str_appendf(&p->request, " HTTP/1.0\r\nContent-Length: %zu\r\n", q->http->body.len);
        vec_foreach(h, &q->http->headers.list) {
                bool skip = false;
                for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
                        skip |= sv_ieq(sv_of(h->name), sv_of(dropped[i]));
                if (!skip)
                        str_appendf(&p->request, "%s: %s\r\n", h->name, h->value);
        }
        str_append_s(&p->request, "\r\n");
        str_append_sv(&p->request, q->http->body);
}

/* "[scheme:]name[:port]" */
static void split_target(const char *text, char **ret_name, char **ret_port) {
        struct sv rest = sv_of(text), parts[3];
        size_t n = 0;
        while (n < 3 && sv_split(&rest, ':', &parts[n]))
                n++;
        *ret_name = sv_dup(n == 3 ? parts[1] : parts[0]);
        *ret_port = n == 1 ? NULL : sv_dup(n == 3 ? parts[2] : parts[1]);
}

static int port_of_pod(struct object *pod, const char *name) {
        int64_t number;
        if (sv_to_int64(sv_of(name), &number))
                return (int)number;
        EACH(c, i, object_at(pod, "/spec/containers")) {
                EACH(port, k, yyjson_obj_get(c, "ports")) {
                        if (streq_null(json_get_str(port, "name"), name))
                                return (int)json_get_int(port, "containerPort", 0);
                }
        }
        return 0;
}

static struct object *backend_of_service(struct request *q, struct object *service) {
        struct collection *pods = registry_by_id(&q->s->registry, "pods")->objects;
        AUTO(selector) struct selector s = {0};
        yyjson_val *map = object_at(service, "/spec/selector");
        size_t end, at = collection_range(pods, q->ns, &end);

        if (yyjson_obj_size(map) == 0)
                return NULL;
        selector_from_map(map, &s);
        for (; at < end; at++)
                if (object_matches(pods->items[at], &s) &&
                    meta_condition_is(object_root(pods->items[at]), "Ready", "True"))
                        return pods->items[at];
        return NULL;
}

static int find_target(struct request *q, struct object **ret_pod, int *ret_port, struct err *err) {
        AUTO(free) char *name = NULL, *port = NULL;
        struct object *o;

        split_target(q->name, &name, &port);
        o = collection_find(q->res->objects, q->ns ? q->ns : "", name);
        if (!o)
                return status_not_found(err, q->res, name);
        if (streq(q->res->id, "services")) {
                yyjson_val *found = NULL, *target;
                EACH(p, i, object_at(o, "/spec/ports")) {
                        AUTO(free) char *number = xasprintf("%lld", (long long)json_get_int(p, "port", 0));
                        if (!found && (!port || streq(port, number) || streq_null(json_get_str(p, "name"), port)))
                                found = p;
                }
                *ret_pod = backend_of_service(q, o);
                if (!found || !*ret_pod)
                        return err_http(err, -EHOSTUNREACH, 503, "ServiceUnavailable", "no endpoints available for service \"%s\"", name);
                target = yyjson_obj_get(found, "targetPort");
                *ret_port = yyjson_is_str(target) ? port_of_pod(*ret_pod, yyjson_get_str(target)) : (int)yyjson_get_sint(target);
        } else if (streq(q->res->id, "pods")) {
                yyjson_val *first = object_at(o, "/spec/containers/0/ports/0/containerPort");
                *ret_pod = o;
                *ret_port = port ? port_of_pod(o, port) : first ? (int)yyjson_get_sint(first) : 80;
        } else {
                return status_no_method(err);
        }
        if (*ret_port < 1 || *ret_port > 65535)
                return status_bad_request(err, "the port of \"%s\" is not known", q->name);
        return 0;
}

int sub_proxy(struct request *q, struct err *err) {
        struct object *pod = NULL;
        struct proxy *p;
        int port = 0, r = find_target(q, &pod, &port, err);

        if (r == 0)
                r = stream_check_host(q, pod, err);
        if (r < 0)
                return r;
        p = NEW(struct proxy);
        p->x = q->x;
        p->head.max = MAX_HEAD;
        write_request(q, p);
        session_add(q->s, &p->session, proxy_end);
        http_on_gone(q->x, client_gone, p);
        p->dialing = true;
        q->s->backend->dial(q->s->backend->self, pod, port, dialed, p);
        return 0;
}
