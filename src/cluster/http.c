/* From an HTTP exchange to the handler: authentication, authorization, routing. */
#include "cluster/discovery.h"
#include "cluster/rbac.h"
#include "cluster/request.h"
#include "cluster/token.h"
#include "cluster/verbs/verbs.h"
#include "cluster/webhooks.h"

static void answer_plain(struct request *q, int status, const char *text) {
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, text);
        answer(q, status, "text/plain; charset=utf-8", &body, 0);
}

static const struct {
        const char *subresource;
        const char *resource; /* id; NULL: any */
        int (*handler)(struct request *q, struct err *err);
} subresource_handlers[] = {
        {"scale", NULL, sub_scale},
        {"binding", "pods", sub_binding},
        {"eviction", "pods", sub_eviction},
        {"token", "serviceaccounts", sub_token},
        {"log", "pods", sub_log},
        {"exec", "pods", sub_exec},
        {"attach", "pods", sub_exec},
        {"portforward", "pods", sub_portforward},
        {"proxy", NULL, sub_proxy},
};

static unsigned verb_bit(const char *verb) {
        for (size_t i = 0; i < ARRAY_LEN(verb_names); i++)
                if (streq(verb_names[i].name, verb))
                        return verb_names[i].verb;
        return 0;
}

static int serve_subresource(struct request *q, struct err *err) {
        const struct subresource *sub = resource_subresource(q->res, q->subresource);

        if (!sub && q->res->is_custom)
                return status_not_found(err, q->res, q->name);
        if (!sub)
                return status_no_resource(err);
        if (!(sub->verbs & verb_bit(q->verb)))
                return status_no_method(err);
        for (size_t i = 0; i < ARRAY_LEN(subresource_handlers); i++)
                if (streq(subresource_handlers[i].subresource, q->subresource) &&
                    (!subresource_handlers[i].resource || streq(subresource_handlers[i].resource, q->res->id)))
                        return subresource_handlers[i].handler(q, err);
        if (streq(q->verb, "get"))
                return verb_get(q, err);
        return streq(q->verb, "patch") ? verb_patch(q, err) : verb_update(q, err);
}

static int serve_resource(struct request *q, struct err *err) {
        static const struct {
                enum verb verb;
                int (*handler)(struct request *q, struct err *err);
        } handlers[] = {
                {VERB_GET, verb_get},       {VERB_LIST, verb_list},
                {VERB_WATCH, verb_watch},   {VERB_CREATE, verb_create},
                {VERB_UPDATE, verb_update}, {VERB_PATCH, verb_patch},
                {VERB_DELETE, verb_delete}, {VERB_DELETECOLLECTION, verb_delete_collection},
        };
        if (streq(q->http->method, "HEAD") || !*q->verb)
                return status_no_method(err);
        bool needs_name = streq(q->verb, "update") || streq(q->verb, "patch") || streq(q->verb, "delete") || streq(q->verb, "get");
        unsigned bit = verb_bit(q->verb);
        int r;

        if (metrics_api(q, &r, err))
                return r;
        if (!q->res)
                return status_no_resource(err);
        if (q->ns && !resource_is_namespaced(q->res))
                return status_no_resource(err);
        if (q->subresource)
                return serve_subresource(q, err);
        if (!(q->res->verbs & bit) || (needs_name && !q->name) || (streq(q->verb, "create") && q->name))
                return status_no_method(err);
        if (resource_is_namespaced(q->res) && !q->ns && (q->name || streq(q->verb, "create")))
                return q->res->flags & KIND_VIRTUAL ? virtual_kind(q, err) : status_no_method(err);
        if (q->res->flags & KIND_VIRTUAL)
                return virtual_kind(q, err);
        for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
                if (handlers[i].verb == bit)
                        return handlers[i].handler(q, err);
        return status_no_method(err);
}

static int check_access(struct request *q, struct err *err) {
        struct access a = {.verb = q->verb};
        AUTO(free) char *verb = NULL;

        if (!q->plural) {
                a.path = q->path;
                verb = xstrdup(q->http->method);
                for (char *p = verb; *p; p++)
                        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
                a.verb = verb;
                return rbac_check(q->s, &q->user, &a, err);
        }
        a.group = q->group;
        a.resource = q->plural;
        a.subresource = q->subresource;
        a.ns = q->ns ? q->ns : "";
        a.name = q->name ? q->name : "";
        /* A namespace is asked about in itself. */
        if (streq(q->plural, "namespaces") && q->name && !*q->group)
                a.ns = q->name;
        return rbac_check(q->s, &q->user, &a, err);
}

static bool health(struct request *q) {
        static const char *const paths[] = {"/healthz", "/livez", "/readyz"};
        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
                size_t n = strlen(paths[i]);
                if (strncmp(q->path, paths[i], n) != 0 || (q->path[n] && q->path[n] != '/'))
                        continue;
                AUTO(free) char *verbose = request_query(q, "verbose");
                if (verbose) {
                        AUTO(str) struct str body = STR_INIT(0);
                        str_appendf(&body, "[+]ping ok\n[+]log ok\n[+]store ok\n%s check passed\n", paths[i] + 1);
                        answer(q, 200, "text/plain; charset=utf-8", &body, 0);
                } else {
                        answer_plain(q, 200, "ok");
                }
                return true;
        }
        return false;
}

static int serve_path(struct request *q, struct err *err) {
        AUTO(str) struct str body = STR_INIT(0);

        if (health(q))
                return 0;
        if (!streq(q->http->method, "GET") && !streq(q->http->method, "HEAD"))
                return status_no_method(err);
        if (streq(q->path, "/openid/v1/jwks")) {
                tokens_jwks(q->s->tokens, &body);
                answer(q, 200, "application/jwk-set+json", &body, 0);
                return 0;
        }
        if (streq(q->path, "/.well-known/openid-configuration")) {
                str_appendf(&body,
                            "{\"issuer\":\"%s\",\"jwks_uri\":\"https://%s:%d/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
                            "\"subject_types_supported\":[\"public\"],\"id_token_signing_alg_values_supported\":[\"ES256\",\"RS256\"]}",
                            tokens_issuer(q->s->tokens), q->s->advertise_address, q->s->advertise_port);
                answer(q, 200, "application/json", &body, 0);
                return 0;
        }
        if (streq(q->path, "/metrics")) {
                metrics_text(q->s, &body);
                answer(q, 200, "text/plain; version=0.0.4; charset=utf-8", &body, 0);
                return 0;
        }
        return discovery_serve(q, err);
}

/* Groups of custom resources have no handler of their own for versions that they do not serve. */
static bool serves_version(const struct request *q) {
        const struct api_group *g = registry_group(&q->s->registry, q->group);
        const struct api_version *v = registry_version(&q->s->registry, q->group, q->version);
        return g && (v || !g->versions.items[0].resources.items[0]->is_custom);
}

static int serve(struct request *q, struct err *err) {
        int r = request_parse(q, err);
        if (r == 0)
                r = authenticate(q->s, q->http, &q->user, err);
        if (r == 0)
                r = check_access(q, err);
        if (r < 0)
                return r;
        if (!q->plural)
                return serve_path(q, err);
        if (!serves_version(q) && !(streq(q->group, "metrics.k8s.io") && q->s->backend)) {
                answer_plain(q, 404, "404 page not found\n");
                return 0;
        }
        if (q->form == FORM_YAML && streq(q->verb, "watch"))
                return err_http(
                        err, -EINVAL, 406, "NotAcceptable",
                        "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch");
        if (q->form == FORM_NONE && !q->subresource) {
                bool streams = streq(q->verb, "list") || streq(q->verb, "watch");
                err_http(
                        err, -EINVAL, 406, "NotAcceptable",
                        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf%s",
                        streams ? ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch" : "");
                status_details(err, NULL, NULL, NULL, NULL);
                return -EINVAL;
        }
        return serve_resource(q, err);
}

void request_serve(struct apiserver *s, struct http_exchange *x, const struct http_request *http, struct webhook_wait *wait) {
        AUTO(request) struct request q = {.s = s, .x = x, .http = http, .wait = wait};
        AUTO(err) struct err err = ERR_INIT;

        q.form = negotiate(http_headers_get(&http->headers, "Accept"));
        webhooks_resume(&q);
        int r = serve(&q, &err);
        if (r == WEBHOOKS_PENDING && q.wait)
                return;
        if (r < 0)
                answer_err(&q, &err);
        webhooks_done(&q);
}

void apiserver_handle(struct http_exchange *x, const struct http_request *http, void *arg) {
        struct apiserver *s = arg;
        s->stats.requests++;
        request_serve(s, x, http, NULL);
}
