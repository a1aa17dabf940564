/* Startup, liveness and readiness probes: exec, httpGet, tcpSocket and grpc. Rules: pkg/kubelet/prober, pkg/probe. */
#include <stdio.h>

#include "base/clock.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/protobuf.h"
#include "net/grpc.h"
#include "net/http_client.h"
#include "net/stream.h"

struct prober {
        struct container *container;
        enum probe_kind kind;
        struct timer *timer;
        int successes, failures;
        bool is_flying, is_dead;
        struct http_client *http;
        struct tls_context *tls;
        struct http_call *call;
        struct grpc_call *grpc;
};

static const char *const keys[PROBES] = {"startupProbe", "livenessProbe", "readinessProbe"};
static const char *const titles[PROBES] = {"Startup", "Liveness", "Readiness"};

static yyjson_val *probe_spec(const struct container *c, enum probe_kind kind) { return yyjson_obj_get(container_spec(c), keys[kind]); }

static void prober_done(struct prober *p) {
        timer_free(TAKE(p->timer));
        if (p->call) {
                http_call_cancel(TAKE(p->call));
                p->is_flying = false;
        }
        if (p->grpc) {
                grpc_call_cancel(TAKE(p->grpc));
                p->is_flying = false;
        }
        if (p->http)
                http_client_free(TAKE(p->http));
        tls_context_free(TAKE(p->tls));
        /* An exec or a connection under way still points here and frees it when it comes back. */
        p->is_dead = true;
        if (!p->is_flying)
                free(p);
}

static void begin(struct container *c, enum probe_kind kind);

static void startup_over(struct container *c) {
        c->is_started = true;
        begin(c, PROBE_LIVENESS);
        begin(c, PROBE_READINESS);
        if (!probe_spec(c, PROBE_READINESS))
                c->is_ready = true;
}

static void restart(struct container *c, enum probe_kind kind, const char *title) {
        AUTO(free) char *reason = xasprintf("Container %s failed %s probe, will be restarted", c->name, title);
        int64_t grace = object_int(c->pod->object, "/spec/terminationGracePeriodSeconds", 30);
        container_kill(c, json_get_int(probe_spec(c, kind), "terminationGracePeriodSeconds", grace), reason);
}

static void judge(struct prober *p, bool ok, const char *output) {
        struct container *c = p->container;
        struct pod *pod = c->pod;
        yyjson_val *spec = probe_spec(c, p->kind);
        p->successes = ok ? p->successes + 1 : 0;
        p->failures = ok ? 0 : p->failures + 1;
        if (!ok)
                container_event(c, "Warning", "Unhealthy", "%s probe failed: %s", titles[p->kind], output);
        if (ok && p->successes >= json_get_int(spec, "successThreshold", 1)) {
                if (p->kind == PROBE_STARTUP) {
                        c->probes[PROBE_STARTUP] = NULL;
                        prober_done(p);
                        startup_over(c);
                } else if (p->kind == PROBE_READINESS) {
                        c->is_ready = true;
                }
        } else if (!ok && p->failures >= json_get_int(spec, "failureThreshold", 3)) {
                if (p->kind == PROBE_READINESS)
                        c->is_ready = false;
                else
                        restart(c, p->kind, p->kind == PROBE_STARTUP ? "startup" : "liveness");
        }
        pod_sync(pod);
}

/* Every way of probing ends here. */
static void probed(struct prober *p, bool ok, const char *output) {
        p->is_flying = false;
        if (p->is_dead) {
                free(p);
                return;
        }
        judge(p, ok, output);
}

static void exec_probed(void *arg, int code, struct sv out, const struct err *err) {
        AUTO(free) char *text = err ? xstrdup(err_message(err)) : sv_dup(sv_trim(out));
        probed(arg, !err && code == 0, text);
}

static void http_probed(void *arg, struct http_response *response, const struct err *err) {
        struct prober *p = arg;
        p->call = NULL;
        AUTO(free) char *text = err ? xstrdup(err_message(err)) : xasprintf("HTTP probe failed with statuscode: %d", response->status);
        probed(p, !err && response->status >= 200 && response->status < 400, text);
}

static void tcp_probed(void *arg, struct stream *s, const struct err *err) {
        AUTO(free) char *text = xstrdup(err ? err_message(err) : "");
        if (s)
                stream_free(s);
        probed(arg, s != NULL, text);
}

/* A number or the name of a port of the container. */
int probe_port(const struct container *c, yyjson_val *port) {
        yyjson_val *p, *ports = yyjson_obj_get(container_spec(c), "ports");
        size_t i, max;
        if (yyjson_is_int(port))
                return (int)yyjson_get_int(port);
        yyjson_arr_foreach(ports, i, max, p)
                if (streq_null(json_get_str(p, "name"), yyjson_get_str(port)))
                        return (int)json_get_int(p, "containerPort", 0);
        int64_t number = 0;
        return yyjson_is_str(port) && sv_to_int64(sv_of(yyjson_get_str(port)), &number) ? (int)number : 0;
}

char *probe_url(const struct container *c, yyjson_val *get, struct http_headers *headers) {
        const char *host = json_get_str(get, "host"), *path = json_get_str(get, "path"), *scheme = json_get_str(get, "scheme");
        yyjson_val *h, *list = yyjson_obj_get(get, "httpHeaders");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, h) if (json_get_str(h, "name"))
            http_headers_add(headers, json_get_str(h, "name"), json_get_str(h, "value") ? json_get_str(h, "value") : "");
        return xasprintf("%s://%s:%d%s%s", scheme && streq(scheme, "HTTPS") ? "https" : "http", host && host[0] ? host : c->pod->ip,
                         probe_port(c, yyjson_obj_get(get, "port")), path && path[0] == '/' ? "" : "/", path ? path : "");
}

static void probe_http(struct prober *p, yyjson_val *get, int64_t timeout_ms) {
        struct container *c = p->container;
        const char *scheme = json_get_str(get, "scheme");
        bool https = scheme && streq(scheme, "HTTPS");
        AUTO(http_headers) struct http_headers headers = {0};
        if (https && !p->tls && tls_client_new(&(struct tls_client_options){.insecure = true}, &p->tls, NULL) < 0) {
                probed(p, false, "TLS is not available");
                return;
        }
        if (!p->http)
                p->http = http_client_new(
                        c->pod->kubelet->o.loop,
                        &(struct http_client_options){.tls = p->tls, .user_agent = "kube-probe/1.34", .connect_timeout_ms = timeout_ms});
        AUTO(free) char *url = probe_url(c, get, &headers);
        p->call = http_call_start(
                p->http,
                &(struct http_call_options){
                        .method = "GET", .url = url, .headers = &headers, .timeout_ms = timeout_ms, .on_done = http_probed, .arg = p});
}

/* ---- grpc ---- */

static const char *const health_states[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
enum { HEALTH_SERVING = 1 };

/* grpc.health.v1.HealthCheckRequest: field 1, the service's name. */
static void health_request(const char *service, struct str *ret) {
        size_t len = strlen(service);
        if (!len)
                return;
        str_append_c(ret, 1 << 3 | PB_BYTES);
        for (; len > 127; len >>= 7)
                str_append_c(ret, (char)(len | 128));
        str_append_c(ret, (char)len);
        str_append_s(ret, service);
}

/* HealthCheckResponse: field 1, the state; absent is UNKNOWN. False when it is no such message. */
static bool health_state(struct sv body, uint64_t *ret) {
        struct pb_reader r = pb_reader(body);
        struct pb_field f;
        int n;
        *ret = 0;
        while ((n = pb_next(&r, &f)) > 0)
                if (f.number == 1 && f.wire == PB_VARINT)
                        *ret = f.value;
        return n == 0;
}

static char *grpc_words(const struct prober *p, const struct grpc_answer *a, const struct err *err, bool *ret_ok) {
        const struct container *c = p->container;
        yyjson_val *spec = probe_spec(c, p->kind);
        long long timeout_s = json_get_int(spec, "timeoutSeconds", 1);
        int port = (int)json_get_int(yyjson_obj_get(spec, "grpc"), "port", 0);
        uint64_t state = 0;
        if (err && !a->is_connected)
                return err->code == -ETIMEDOUT
                               ? xasprintf("timeout: failed to connect service \"%s:%d\" within %llds: %s", c->pod->ip, port, timeout_s,
                                           err_message(err))
                               : xasprintf("error: failed to connect service at \"%s:%d\": %s", c->pod->ip, port, err_message(err));
        if (a->status == GRPC_DEADLINE_EXCEEDED || (err && err->code == -ETIMEDOUT))
                return xasprintf("timeout: health rpc did not complete within %llds", timeout_s);
        if (!err && a->status == GRPC_UNIMPLEMENTED)
                return xasprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", a->message);
        if (err || a->status != GRPC_OK) {
                AUTO(free) char *name = grpc_status_name(a->status);
                return xasprintf("error: health rpc probe failed: rpc error: code = %s desc = %s", name,
                                 err ? err_message(err) : a->message);
        }
        if (!health_state(a->body, &state))
                return xstrdup("error: health rpc probe failed: the answer is no HealthCheckResponse");
        *ret_ok = state == HEALTH_SERVING;
        return state < ARRAY_LEN(health_states) ? xasprintf("service unhealthy (responded with \"%s\")", health_states[state])
                                                : xasprintf("service unhealthy (responded with \"%llu\")", (unsigned long long)state);
}

static void grpc_probed(void *arg, const struct grpc_answer *a, const struct err *err) {
        struct prober *p = arg;
        bool ok = false;
        p->grpc = NULL;
        AUTO(free) char *words = grpc_words(p, a, err, &ok);
        probed(p, ok, words);
}

static void probe_grpc(struct prober *p, yyjson_val *way, int64_t timeout_ms) {
        const char *service = json_get_str(way, "service");
        AUTO(str) struct str request = STR_INIT(0);
        health_request(service ? service : "", &request);
        p->grpc = grpc_call_start(p->container->pod->kubelet->o.loop, &(struct grpc_call_options){.host = p->container->pod->ip,
                                                                                                  .port = (int)json_get_int(way, "port", 0),
                                                                                                  .path = "/grpc.health.v1.Health/Check",
                                                                                                  .user_agent = "kube-probe/1.34",
                                                                                                  .body = str_sv(&request),
                                                                                                  .timeout_ms = timeout_ms,
                                                                                                  .on_done = grpc_probed,
                                                                                                  .arg = p});
}

static void probe_once(struct prober *p) {
        struct container *c = p->container;
        yyjson_val *spec = probe_spec(c, p->kind), *way;
        int64_t timeout_ms = json_get_int(spec, "timeoutSeconds", 1) * 1000;
        p->is_flying = true;
        if ((way = yyjson_obj_get(spec, "exec"))) {
                container_exec(c, yyjson_obj_get(way, "command"), timeout_ms, exec_probed, p);
        } else if ((way = yyjson_obj_get(spec, "httpGet"))) {
                probe_http(p, way, timeout_ms);
        } else if ((way = yyjson_obj_get(spec, "tcpSocket"))) {
                const char *host = json_get_str(way, "host");
                stream_connect(c->pod->kubelet->o.loop, host && host[0] ? host : c->pod->ip, probe_port(c, yyjson_obj_get(way, "port")),
                               NULL, timeout_ms, tcp_probed, p);
        } else if ((way = yyjson_obj_get(spec, "grpc"))) {
                probe_grpc(p, way, timeout_ms);
        } else {
                probed(p, false, "the probe has no handler this cluster knows: exec, httpGet, tcpSocket or grpc");
        }
}

static void on_tick(void *arg) {
        struct prober *p = arg;
        if (!p->is_flying)
                probe_once(p);
}

static void begin(struct container *c, enum probe_kind kind) {
        yyjson_val *spec = probe_spec(c, kind);
        if (!spec || c->probes[kind])
                return;
        struct prober *p = NEW(struct prober);
        int64_t delay_ms = json_get_int(spec, "initialDelaySeconds", 0) * 1000, period_ms = json_get_int(spec, "periodSeconds", 10) * 1000;
        *p = (struct prober){.container = c, .kind = kind};
        p->timer = timer_new(c->pod->kubelet->o.loop, delay_ms > 0 ? delay_ms : 1, period_ms > 0 ? period_ms : 1000, on_tick, p);
        c->probes[kind] = p;
}

void probes_start(struct container *c) {
        if (probe_spec(c, PROBE_STARTUP) && !c->is_started)
                begin(c, PROBE_STARTUP);
        else
                startup_over(c);
}

void probes_stop(struct container *c) {
        for (int i = 0; i < PROBES; i++)
                if (c->probes[i])
                        prober_done(TAKE(c->probes[i]));
}
