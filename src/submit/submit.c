#include "submit/submit.h"

#include <ctype.h>

#include "kube/verbs.h"
#include "submit/upload.h"

static int apply(const struct submit_options *o, const struct submission *s, const struct submission_object *object, struct err *err) {
        const struct kube_resource *resource = kube_resource_of("v1", object->kind);
        int r = kube_apply(o->client, resource, s->namespace_, object->body, NULL, err);
        return r < 0 ? err_wrap(err, r, "%s %s", object->kind, object->name) : 0;
}

static int create_pod(const struct submit_options *o, const struct submission *s, yyjson_doc **ret, struct err *err) {
        size_t len;
        AUTO(free) char *body = mjson_write(s->pod, false, &len);
        AUTO(kube_request) struct kube_request q = {0};
        AUTO(kube_reply) struct kube_reply reply = {0};
        kube_make_create(o->client, &KUBE_PODS, s->namespace_, sv_new(body, len), &q);
        if (o->compat) { /* the original names its field manager in applies only */
                free(q.query);
                q.query = NULL;
        }
        int r = kube_call_wait(o->client, &q, &reply, err);
        if (r < 0)
                return err_wrap(err, r, "creating pod %s", s->pod_name);
        *ret = TAKE(reply.doc);
        return 0;
}

/* Taking back is a courtesy: what fails here is told, the first error stays. */
static void take_back(const struct submit_options *o, const struct submission *s, const struct kube_resource *resource, const char *name) {
        AUTO(err) struct err why = ERR_INIT;
        if (kube_delete(o->client, resource, s->namespace_, name, &KUBE_DELETE_OPTIONS, NULL, &why) < 0 && why.http_status != 404 && o->say) {
                AUTO(free) char *line = xasprintf("could not delete %s %s again: %s", resource->kind, name, err_message(&why));
                o->say(o->arg, line);
        }
}

static void take_back_objects(const struct submit_options *o, const struct submission *s, size_t pre, size_t resources) {
        for (size_t i = 0; i < resources; i++)
                take_back(o, s, kube_resource_of("v1", s->resources.items[i].kind), s->resources.items[i].name);
        for (size_t i = 0; i < pre; i++)
                take_back(o, s, kube_resource_of("v1", s->pre.items[i].kind), s->pre.items[i].name);
}

static int set_owner(struct submission *s, yyjson_doc *pod, struct err *err) {
        const char *uid = json_str_at(yyjson_doc_get_root(pod), "/metadata/uid");
        if (!uid)
                return err_set(err, -EPROTO, "the API server returned pod %s without a uid", s->pod_name);
        submission_set_owner(s, uid);
        return 0;
}

static int run_compat(const struct submit_options *o, struct submission *s, yyjson_doc **ret_pod, struct err *err) {
        AUTO(json) yyjson_doc *pod = NULL;
        int r = 0;
        for (size_t i = 0; i < s->pre.len && r >= 0; i++)
                r = apply(o, s, &s->pre.items[i], err);
        if (r >= 0) {
                r = create_pod(o, s, &pod, err);
                if (r < 0)
                        err_hint(err, "Please check \"kubectl auth can-i create pod\" first. It should be yes.");
        }
        if (r < 0) {
                take_back_objects(o, s, s->pre.len, 0);
                return r;
        }
        r = set_owner(s, pod, err);
        for (size_t i = 0; i < s->pre.len && r >= 0; i++)
                r = apply(o, s, &s->pre.items[i], err);
        for (size_t i = 0; i < s->resources.len && r >= 0; i++)
                r = apply(o, s, &s->resources.items[i], err);
        if (r < 0) {
                take_back(o, s, &KUBE_PODS, s->pod_name);
                return r;
        }
        *ret_pod = TAKE(pod);
        return 0;
}

static int run_own(const struct submit_options *o, struct submission *s, yyjson_doc **ret_pod, struct err *err) {
        AUTO(json) yyjson_doc *pod = NULL;
        size_t pre = 0, resources = 0;
        int r = 0;
        AUTO(err) struct err why = ERR_INIT;
        for (; pre < s->pre.len && r >= 0; pre++)
                r = apply(o, s, &s->pre.items[pre], &why);
        for (; resources < s->resources.len && r >= 0; resources++)
                r = apply(o, s, &s->resources.items[resources], &why);
        /* What was refused is not there; what got no answer, or a server's failure, may be. */
        bool refused = r < 0 && why.http_status >= 400 && why.http_status < 500;
        if (refused && resources)
                resources--;
        else if (refused)
                pre--;
        if (r < 0)
                err_move(err, &why);
        else
                r = create_pod(o, s, &pod, err);
        if (r < 0) {
                take_back_objects(o, s, pre, resources);
                return r;
        }
        /* From here on the pod runs: an owner that could not be set costs a clean-up later, not the application. */
        r = set_owner(s, pod, &why);
        for (size_t i = 0; i < s->pre.len && r >= 0; i++)
                r = apply(o, s, &s->pre.items[i], &why);
        for (size_t i = 0; i < s->resources.len && r >= 0; i++)
                r = apply(o, s, &s->resources.items[i], &why);
        if (r < 0 && o->say) {
                AUTO(free) char *line = xasprintf("warning: the driver runs, but not all that belongs to it will go with it: %s", err_message(&why));
                o->say(o->arg, line);
        }
        *ret_pod = TAKE(pod);
        return 0;
}

int submit_run(const struct submit_options *o, struct submission *s, yyjson_doc **ret_pod, struct err *err) {
        AUTO(json) yyjson_doc *pod = NULL;
        const struct upload_options uploading = {
                .loop = kube_client_loop(o->client),
                .conf = o->conf,
                .in = o->in,
                .keep_on_failure = o->compat,
                .say = o->say,
                .progress = o->progress,
                .arg = o->arg,
        };
        int r = upload_check(&s->uploads, err);
        if (r >= 0)
                r = upload_run(&s->uploads, &uploading, err);
        if (r < 0)
                return r;
        r = o->compat ? run_compat(o, s, &pod, err) : run_own(o, s, &pod, err);
        if (r < 0 && !o->compat)
                upload_take_back(&s->uploads, &uploading);
        if (r >= 0 && ret_pod)
                *ret_pod = TAKE(pod);
        return r;
}

int submit_timeout(struct spark_conf *conf, int64_t *ret_ms, struct err *err) {
        int connect, request;
        int r = conf_int(conf, "spark.kubernetes.submission.connectionTimeout", &connect, err);
        if (r >= 0)
                r = conf_int(conf, "spark.kubernetes.submission.requestTimeout", &request, err);
        if (r < 0)
                return r;
        *ret_ms = request > 0 ? request : 0;
        return 0;
}

int submit_access(struct spark_conf *conf, const char *master, struct kube_access *ret, struct err *err) {
#define AUTH "spark.kubernetes.authenticate.submission."
        AUTO(kubeconfig) struct kubeconfig k = {0};
        const char *context;
        bool trust;
        int r = conf_string(conf, "spark.kubernetes.context", &context, err);
        if (r >= 0)
                r = conf_bool(conf, "spark.kubernetes.trust.certificates", &trust, err);
        if (r < 0)
                return r;
        AUTO(free) char *server = xstrdup(str_starts(master, "k8s://") ? master + strlen("k8s://") : master);
        for (char *p = server; *p && *p != ':'; p++)
                *p = (char)tolower((unsigned char)*p);
        struct kube_access_options o = {
                .context = context && *context ? context : NULL,
                .server = server,
                .ca_file = conf_get(conf, AUTH "caCertFile"),
                .cert_file = conf_get(conf, AUTH "clientCertFile"),
                .key_file = conf_get(conf, AUTH "clientKeyFile"),
                .token = conf_get(conf, AUTH "oauthToken"),
                .token_file = conf_get(conf, AUTH "oauthTokenFile"),
                .insecure = trust,
                .missing_context = conf->version.line == SPARK_3_5 ? KUBE_MISSING_CONTEXT_NONE : KUBE_MISSING_CONTEXT_CURRENT,
        };
        if (o.token && o.token_file)
                return err_set(err, -EINVAL, "requirement failed: Cannot specify OAuth token through both a file " AUTH "oauthTokenFile and a value " AUTH "oauthToken.");
        r = kubeconfig_load_first(&k, err);
        if (r < 0)
                return r;
        /* The original's client prefers a user's name and password, wherever they come from, to a token. */
        struct kube_access_options without_token = o;
        without_token.token = without_token.token_file = NULL;
        AUTO(kube_access) struct kube_access access = {0};
        r = kube_access_of(&k, &without_token, &access, err);
        if (r >= 0 && !(access.username && access.password)) {
                kube_access_done(&access);
                access = (struct kube_access){0};
                r = kube_access_of(&k, &o, &access, err);
        }
        if (r < 0)
                return r;
        *ret = access;
        access = (struct kube_access){0};
        return 0;
#undef AUTH
}
