/* Lifecycle hooks: postStart and preStop by exec, httpGet, tcpSocket and sleep. Rules: pkg/kubelet/lifecycle. */
#include <stdio.h>

#include "base/clock.h"
#include "cluster/podrt/kubelet-internal.h"
#include "net/http_client.h"
#include "net/stream.h"

struct hook_run {
        struct container *container;
        int attempt; /* of the container: the run that the hook is about */
        struct http_client *http;
        struct tls_context *tls;
        struct timer *timer;
        void (*done)(struct container *c, bool ok, const char *why);
};

static void over(struct hook_run *h, bool ok, const char *why) {
        struct container *c = h->container;
        void (*done)(struct container *, bool, const char *) = h->done;
        timer_free(h->timer);
        if (h->http)
                http_client_free(h->http);
        tls_context_free(h->tls);
        bool is_same_run = h->attempt == c->attempt;
        free(h);
        c->pod->jobs--;
        /* One that ended meanwhile may run again: that run is not to be told to end, nor counts as started. */
        if (is_same_run)
                done(c, ok, why);
        else
                pod_sync(c->pod);
}

static void exec_over(void *arg, int code, struct sv out, const struct err *err) {
        AUTO(free) char *why = err ? xstrdup(err_message(err)) : xasprintf("command exited with %d: %.*s", code, SV_ARG(sv_trim(out)));
        over(arg, !err && code == 0, why);
}

static void http_over(void *arg, struct http_response *response, const struct err *err) {
        AUTO(free) char *why = err ? xstrdup(err_message(err)) : xasprintf("the answer was %d", response->status);
        over(arg, !err && response->status >= 200 && response->status < 400, why);
}

static void tcp_over(void *arg, struct stream *s, const struct err *err) {
        AUTO(free) char *why = xstrdup(err ? err_message(err) : "");
        if (s)
                stream_free(s);
        over(arg, s != NULL, why);
}

static void sleep_over(void *arg) { over(arg, true, ""); }

bool container_hook(struct container *c, const char *name, int64_t limit_ms, void (*done)(struct container *c, bool ok, const char *why)) {
        yyjson_val *hook = yyjson_obj_get(yyjson_obj_get(container_spec(c), "lifecycle"), name), *way;
        struct loop *loop = c->pod->kubelet->o.loop;
        if (!hook || yyjson_obj_size(hook) == 0)
                return false;
        struct hook_run *h = NEW(struct hook_run);
        *h = (struct hook_run){.container = c, .attempt = c->attempt, .done = done};
        c->pod->jobs++;
        if ((way = yyjson_obj_get(hook, "exec"))) {
                container_exec(c, yyjson_obj_get(way, "command"), limit_ms, exec_over, h);
        } else if ((way = yyjson_obj_get(hook, "httpGet"))) {
                struct http_headers headers = {0};
                AUTO(free) char *url = probe_url(c, way, &headers);
                if (tls_client_new(&(struct tls_client_options){.insecure = true}, &h->tls, NULL) < 0)
                        h->tls = NULL;
                h->http = http_client_new(loop, &(struct http_client_options){.tls = h->tls, .user_agent = "kube-lifecycle/1.34"});
                http_call_start(
                        h->http,
                        &(struct http_call_options){
                                .method = "GET", .url = url, .headers = &headers, .timeout_ms = limit_ms, .on_done = http_over, .arg = h});
                http_headers_done(&headers);
        } else if ((way = yyjson_obj_get(hook, "tcpSocket"))) {
                const char *host = json_get_str(way, "host");
                stream_connect(loop, host && host[0] ? host : c->pod->ip, probe_port(c, yyjson_obj_get(way, "port")), NULL, limit_ms,
                               tcp_over, h);
        } else {
                int64_t ms = json_get_int(yyjson_obj_get(hook, "sleep"), "seconds", 0) * 1000;
                if (limit_ms > 0 && ms > limit_ms)
                        ms = limit_ms;
                h->timer = timer_new(loop, ms > 0 ? ms : 1, 0, sleep_over, h);
        }
        return true;
}
