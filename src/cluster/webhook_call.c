#include "cluster/webhook_call.h"

#include "cluster/edit.h"
#include "codec/base64.h"
#include "codec/uri.h"
#include "kobj/meta.h"
#include "kobj/selector.h"
#include "net/http_client.h"

enum { MAX_ANSWER = 16 * 1024 * 1024, MAX_AUTHORITY = 1024 * 1024 };

struct webhook_call {
        struct apiserver *s;
        struct tls_context *tls;
        struct http_client *client;
        char *url; /* without the parameter timeout; what messages name */
        void (*done)(void *arg, struct sv body, const struct err *err);
        void *arg;
        char *service_ns, *service; /* NULL: by URL */
        int service_port;
};

void webhook_call_free(struct webhook_call *c) {
        if (!c)
                return;
        http_client_free(c->client);
        tls_context_free(c->tls);
        free(c->url);
        free(c->service_ns);
        free(c->service);
        free(c);
}

/* ---- connecting ---- */

/* A connection that was asked for outlives the call that wanted it. */
struct dialing {
        struct loop *loop;
        void (*done)(void *arg, struct stream *s, const struct err *err);
        void *arg;
        struct err failure;
};

static void on_refusal(void *arg) {
        struct dialing *d = arg;
        d->done(d->arg, NULL, &d->failure);
        err_done(&d->failure);
        free(d);
}

static void on_dialed(void *arg, struct stream *s, const struct err *err) {
        struct dialing *d = arg;
        d->done(d->arg, s, err);
        free(d);
}

static int named_port(struct object *pod, const char *name) {
        EACH(c, i, object_at(pod, "/spec/containers")) {
                EACH(port, k, yyjson_obj_get(c, "ports")) {
                        if (streq_null(json_get_str(port, "name"), name))
                                return (int)json_get_int(port, "containerPort", 0);
                }
        }
        return 0;
}

static struct object *ready_pod(struct apiserver *s, const char *ns, yyjson_val *labels) {
        struct collection *pods = registry_by_id(&s->registry, "pods")->objects;
        AUTO(selector) struct selector selector = {0};
        size_t end, at = collection_range(pods, ns, &end);
        selector_from_map(labels, &selector);
        for (; at < end; at++) {
                yyjson_val *pod = object_root(pods->items[at]);
                if (selector_matches(&selector, meta_labels(pod)) && meta_condition_is(pod, "Ready", "True") && !meta_is_deleting(pod))
                        return pods->items[at];
        }
        return NULL;
}

/* An address of a service whose endpoints somebody wrote by hand. */
static const char *slice_address(struct apiserver *s, const char *ns, const char *service, const char *port_name, int *ret_port) {
        struct collection *slices = registry_by_id(&s->registry, "endpointslices.discovery.k8s.io")->objects;
        size_t end, at = collection_range(slices, ns, &end);
        for (; at < end; at++) {
                struct object *slice = slices->items[at];
                const char *of = object_label(slice, "kubernetes.io/service-name"),
                           *address = object_str(slice, "/endpoints/0/addresses/0");
                if (!of || !streq(of, service) || !address || !object_bool(slice, "/endpoints/0/conditions/ready", true))
                        continue;
                EACH(port, i, object_at(slice, "/ports")) {
                        const char *name = json_get_str(port, "name");
                        if (streq(name ? name : "", port_name)) {
                                *ret_port = (int)json_get_int(port, "port", 0);
                                return address;
                        }
                }
        }
        return NULL;
}

static int connect_service(struct webhook_call *c, struct dialing *d, struct err *err) {
        struct object *service = collection_find(registry_by_id(&c->s->registry, "services")->objects, c->service_ns, c->service), *pod;
        yyjson_val *port = NULL, *target;

        if (!service)
                return err_set(err, -ENOENT, "service \"%s\" not found", c->service);
        EACH(p, i, object_at(service, "/spec/ports")) {
                if (!port && json_get_int(p, "port", 0) == c->service_port)
                        port = p;
        }
        if (!port)
                return err_set(err, -ENOENT, "no service port %d found for service \"%s\"", c->service_port, c->service);
        if (yyjson_obj_size(object_at(service, "/spec/selector")) == 0) {
                const char *name = json_get_str(port, "name");
                int number = 0;
                const char *address = slice_address(c->s, c->service_ns, c->service, name ? name : "", &number);
                if (!address || !c->s->connect)
                        return err_set(err, -EHOSTUNREACH, "no endpoints available for service \"%s\"", c->service);
                c->s->connect(c->s->connect_arg, address, number, on_dialed, d);
                return 0;
        }
        pod = ready_pod(c->s, c->service_ns, object_at(service, "/spec/selector"));
        if (!pod || !c->s->backend)
                return err_set(err, -EHOSTUNREACH, "no endpoints available for service \"%s\"", c->service);
        target = yyjson_obj_get(port, "targetPort");
        int number = yyjson_is_str(target) ? named_port(pod, yyjson_get_str(target)) : (int)yyjson_get_sint(target);
        if (number < 1 || number > 65535)
                return err_set(err, -EHOSTUNREACH, "the port of service \"%s\" is not one of its pod's", c->service);
        c->s->backend->dial(c->s->backend->self, pod, number, on_dialed, d);
        return 0;
}

static void connect_to(void *arg, const char *host, int port, void (*done)(void *done_arg, struct stream *s, const struct err *err),
                       void *done_arg) {
        struct webhook_call *c = arg;
        struct dialing *d = NEW(struct dialing);
        *d = (struct dialing){.loop = c->s->loop, .done = done, .arg = done_arg};
        if (!c->service)
                c->s->connect(c->s->connect_arg, host, port, on_dialed, d);
        else if (connect_service(c, d, &d->failure) < 0)
                loop_post(c->s->loop, on_refusal, d);
}

/* ---- the call ---- */

static void on_done(void *arg, struct http_response *response, const struct err *err) {
        struct webhook_call *c = arg;
        AUTO(err) struct err why = ERR_INIT;
        if (!err && response->status >= 500)
                err_set(&why, -EIO, "an error on the server (\"unknown\") has prevented the request from succeeding");
        else if (!err && response->status != 200)
                err_set(&why, -EIO, "Post \"%s\": HTTP status %d", c->url, response->status);
        else if (err && err->code == -ETIMEDOUT)
                err_set(&why, err->code, "Post \"%s\": context deadline exceeded", c->url);
        else if (err)
                err_set(&why, err->code, "Post \"%s\": %s", c->url, err_message(err));
        c->done(c->arg, why.code ? SV("") : str_sv(&response->body), why.code ? &why : NULL);
}

static int read_config(struct webhook_call *c, yyjson_val *config, char **ret_name, struct err *err) {
        const char *url = json_get_str(config, "url");
        yyjson_val *service = yyjson_obj_get(config, "service");
        if (url) {
                AUTO(uri) struct uri u = {0};
                int r = uri_parse(url, &u, err);
                if (r < 0)
                        return r;
                c->url = xstrdup(url);
                *ret_name = xstrdup_null(u.host);
                return 0;
        }
        const char *ns = json_get_str(service, "namespace"), *name = json_get_str(service, "name"), *path = json_get_str(service, "path");
        if (!ns || !name)
                return err_set(err, -EINVAL, "clientConfig has neither url nor service");
        c->service_ns = xstrdup(ns);
        c->service = xstrdup(name);
        c->service_port = (int)json_get_int(service, "port", 443);
        *ret_name = xasprintf("%s.%s.svc", name, ns);
        c->url = xasprintf("https://%s:%d%s%s", *ret_name, c->service_port, !path || *path != '/' ? "/" : "", path ? path : "");
        return 0;
}

static int open_client(struct webhook_call *c, yyjson_val *config, const char *name, struct err *err) {
        AUTO(str) struct str ca = STR_INIT(MAX_AUTHORITY);
        const char *bundle = json_get_str(config, "caBundle");
        if (bundle && base64_decode(sv_of(bundle), &ca) < 0)
                return err_set(err, -EINVAL, "caBundle is not base64");
        int r = tls_client_new(&(struct tls_client_options){.ca_pem = str_sv(&ca), .server_name = name}, &c->tls, err);
        if (r < 0)
                return err_wrap(err, r, "caBundle");
        c->client = http_client_new(c->s->loop, &(struct http_client_options){.tls = c->tls,
                                                                              .user_agent = "kube-apiserver-admission",
                                                                              .connect = c->service || c->s->connect ? connect_to : NULL,
                                                                              .connect_arg = c});
        return 0;
}

int webhook_call_start(struct apiserver *s, yyjson_val *webhook, struct sv review, int64_t timeout_ms,
                       void (*done)(void *arg, struct sv body, const struct err *err), void *arg, struct webhook_call **ret,
                       struct err *err) {
        AUTO(webhook_call) struct webhook_call *c = NEW(struct webhook_call);
        AUTO(free) char *name = NULL;
        yyjson_val *config = yyjson_obj_get(webhook, "clientConfig");
        *c = (struct webhook_call){.s = s, .done = done, .arg = arg};
        int r = read_config(c, config, &name, err);
        if (r == 0)
                r = open_client(c, config, name, err);
        if (r < 0)
                return r;
        char *called = xasprintf("%s%ctimeout=%llds", c->url, strchr(c->url, '?') ? '&' : '?', (long long)((timeout_ms + 999) / 1000));
        free(c->url);
        c->url = called;
        AUTO(http_headers) struct http_headers headers = {0};
        http_headers_add(&headers, "Content-Type", "application/json");
        http_headers_add(&headers, "Accept", "application/json, */*");
        http_call_start(c->client, &(struct http_call_options){.method = "POST",
                                                               .url = c->url,
                                                               .headers = &headers,
                                                               .body = review,
                                                               .timeout_ms = timeout_ms,
                                                               .max_body = MAX_ANSWER,
                                                               .on_done = on_done,
                                                               .arg = c});
        *ret = TAKE(c);
        return 0;
}
