#include "submit/submit.h"

#include <ctype.h>

#include "kube/verbs.h"
#include "submit/upload.h"

/* What comes next. */
enum stage {
        BEFORE,    /* objects that are to be there before the pod */
        POD,
        AFTER,     /* objects once more, or for the first time, owned by the pod */
        LOOK,      /* nobody knows whether the pod was made: is it ours? */
        TAKE_BACK, /* of what was made, one object after the other */
};

struct submit_sending {
        const struct submit_options *o;
        struct submission *s;
        void (*done)(void *arg, yyjson_doc **pod, const struct err *err);
        void *arg;
        enum stage stage;
        size_t next;    /* object of the stage: `pre` first, then `resources` */
        size_t made;    /* objects to take back */
        bool take_pod;  /* the pod as well */
        struct kube_call *call;
        yyjson_doc *pod;
        struct err failure; /* code 0: none yet */
};

static size_t object_count(const struct submission *s) { return s->pre.len + s->resources.len; }

static const struct submission_object *object_at(const struct submission *s, size_t i) {
        return i < s->pre.len ? &s->pre.items[i] : &s->resources.items[i - s->pre.len];
}

static size_t count_before(const struct submit_sending *q) { return q->o->compat ? q->s->pre.len : object_count(q->s); }

static void say(const struct submit_sending *q, const char *format, const char *what, const char *name, const struct err *why) {
        if (!q->o->say)
                return;
        AUTO(free) char *line = xasprintf("%s %s%s%s: %s", format, what, *name ? " " : "", name, err_message(why));
        q->o->say(q->o->arg, line);
}

static void step(struct submit_sending *q);

static void finish(struct submit_sending *q) {
        AUTO(json) yyjson_doc *pod = TAKE(q->pod);
        AUTO(err) struct err failure = ERR_INIT;
        void (*done)(void *, yyjson_doc **, const struct err *) = q->done;
        void *arg = q->arg;
        if (q->failure.code)
                err_move(&failure, &q->failure);
        free(q);
        done(arg, &pod, failure.code ? &failure : NULL);
}

/* Surely: else, without an answer, the object may be there all the same. */
static bool was_not_made(const struct err *why) {
        return (why->http_status >= 400 && why->http_status < 500) || kube_err_was_not_sent(why);
}

/* The first error is the one that is told; taking back is a courtesy. */
static void fail(struct submit_sending *q, const struct err *why, const char *what, const char *name) {
        if (!q->failure.code) {
                err_copy(&q->failure, why);
                if (why->code != -EINTR)
                        err_wrap(&q->failure, why->code, "%s %s", what, name);
        }
        switch (q->stage) {
        case BEFORE:
                q->made = q->next + (!q->o->compat && was_not_made(why) ? 0 : 1);
                q->stage = TAKE_BACK;
                break;
        case POD:
                if (q->o->compat && !q->failure.hint)
                        err_hint(&q->failure, "Please check \"kubectl auth can-i create pod\" first. It should be yes.");
                q->made = count_before(q);
                /* Without an answer the pod may be there all the same. */
                q->stage = !q->o->compat && !why->http_status ? LOOK : TAKE_BACK;
                break;
        case AFTER: /* the original takes the pod back, and what it owns with it */
                q->made = q->o->compat ? 0 : object_count(q->s);
                q->take_pod = true;
                q->stage = TAKE_BACK;
                break;
        case LOOK:
        case TAKE_BACK:
                break;
        }
        q->next = 0;
        step(q);
}

static int set_owner(struct submit_sending *q, struct err *err) {
        const char *uid = json_str_at(yyjson_doc_get_root(q->pod), "/metadata/uid");
        if (!uid)
                return err_set(err, -EPROTO, "the API server returned pod %s without a uid", q->s->pod_name);
        submission_set_owner(q->s, uid);
        return 0;
}

static void on_applied(void *arg, struct kube_reply *reply, const struct err *err) {
        struct submit_sending *q = arg;
        q->call = NULL;
        const struct submission_object *object = object_at(q->s, q->next);
        if (!err) {
                q->next++;
                step(q);
        } else if (q->stage == AFTER && !q->o->compat) {
                /* The pod runs: an owner that could not be set costs a clean-up later, not the application. */
                say(q, "warning: the driver runs, but this will not go with it:", object->kind, object->name, err);
                finish(q);
        } else {
                fail(q, err, object->kind, object->name);
        }
}

static void on_pod(void *arg, struct kube_reply *reply, const struct err *err) {
        struct submit_sending *q = arg;
        AUTO(err) struct err why = ERR_INIT;
        q->call = NULL;
        if (err) {
                fail(q, err, "creating pod", q->s->pod_name);
                return;
        }
        q->pod = TAKE(reply->doc);
        q->stage = AFTER;
        q->next = 0;
        if (set_owner(q, &why) >= 0)
                step(q);
        else
                fail(q, &why, "creating pod", q->s->pod_name);
}

static void on_looked(void *arg, struct kube_reply *reply, const struct err *err) {
        struct submit_sending *q = arg;
        q->call = NULL;
        const char *id = err ? NULL : json_str_at(yyjson_doc_get_root(reply->doc), "/metadata/labels/spark-app-selector");
        q->take_pod = id && streq(id, q->s->app_id);
        q->stage = TAKE_BACK;
        step(q);
}

static void on_taken_back(void *arg, struct kube_reply *reply, const struct err *err) {
        struct submit_sending *q = arg;
        q->call = NULL;
        if (err && err->http_status != 404)
                say(q, "could not delete", q->take_pod ? "Pod" : object_at(q->s, q->next)->kind,
                    q->take_pod ? q->s->pod_name : object_at(q->s, q->next)->name, err);
        if (q->take_pod)
                q->take_pod = false;
        else
                q->next++;
        step(q);
}

static void send_apply(struct submit_sending *q, const struct submission_object *object) {
        size_t len;
        AUTO(free) char *body = mjson_write(object->body, false, &len);
        AUTO(kube_request) struct kube_request request = {0};
        kube_make_patch(q->o->client, kube_resource_of("v1", object->kind), q->s->namespace_, object->name, NULL, KUBE_PATCH_APPLY,
                        sv_new(body, len), true, &request);
        q->call = kube_call_start(q->o->client, &request, on_applied, q);
}

static void send_pod(struct submit_sending *q) {
        size_t len;
        AUTO(free) char *body = mjson_write(q->s->pod, false, &len);
        AUTO(kube_request) struct kube_request request = {0};
        kube_make_create(q->o->client, &KUBE_PODS, q->s->namespace_, sv_new(body, len), &request);
        if (q->o->compat) { /* the original names its field manager in applies only */
                free(request.query);
                request.query = NULL;
        }
        q->call = kube_call_start(q->o->client, &request, on_pod, q);
}

static void send_look(struct submit_sending *q) {
        AUTO(kube_request) struct kube_request request = {0};
        kube_make_get(&KUBE_PODS, q->s->namespace_, q->s->pod_name, &request);
        q->call = kube_call_start(q->o->client, &request, on_looked, q);
}

static void send_take_back(struct submit_sending *q) {
        const struct submission_object *object = q->take_pod ? NULL : object_at(q->s, q->next);
        AUTO(kube_request) struct kube_request request = {0};
        kube_make_delete(q->o->client, object ? kube_resource_of("v1", object->kind) : &KUBE_PODS, q->s->namespace_,
                         object ? object->name : q->s->pod_name, &KUBE_DELETE_OPTIONS, &request);
        q->call = kube_call_start(q->o->client, &request, on_taken_back, q);
}

static void step(struct submit_sending *q) {
        switch (q->stage) {
        case BEFORE:
                if (q->next < count_before(q)) {
                        send_apply(q, object_at(q->s, q->next));
                } else {
                        q->stage = POD;
                        send_pod(q);
                }
                return;
        case POD: /* its answer leads to another stage */
                return;
        case AFTER:
                if (q->next < object_count(q->s))
                        send_apply(q, object_at(q->s, q->next));
                else
                        finish(q);
                return;
        case LOOK:
                send_look(q);
                return;
        case TAKE_BACK:
                if (q->take_pod || q->next < q->made)
                        send_take_back(q);
                else
                        finish(q);
                return;
        }
}

struct submit_sending *submit_send(const struct submit_options *o, struct submission *s,
                                   void (*done)(void *arg, yyjson_doc **pod, const struct err *err), void *arg) {
        struct submit_sending *q = NEW(struct submit_sending);
        q->o = o;
        q->s = s;
        q->done = done;
        q->arg = arg;
        step(q);
        return q;
}

void submit_send_interrupt(struct submit_sending *q) {
        if (q->stage != BEFORE && q->stage != POD)
                return;
        AUTO(err) struct err why = ERR_INIT;
        err_set(&why, -EINTR, "interrupted while waiting for %s", kube_client_access(q->o->client)->server);
        kube_call_cancel(TAKE(q->call));
        fail(q, &why, "", "");
}

/* ---- the whole, waited for ---- */

struct waiting {
        bool done;
        yyjson_doc *pod;
        struct err err;
};

static void on_sent(void *arg, yyjson_doc **pod, const struct err *err) {
        struct waiting *w = arg;
        if (err)
                err_copy(&w->err, err);
        else
                w->pod = TAKE(*pod);
        w->done = true;
}

static struct upload_options upload_options_of(const struct submit_options *o) {
        return (struct upload_options){
                .loop = kube_client_loop(o->client),
                .conf = o->conf,
                .in = o->in,
                .keep_on_failure = o->compat,
                .say = o->say,
                .progress = o->progress,
                .arg = o->arg,
        };
}

int submit_upload(const struct submit_options *o, const struct submission *s, struct err *err) {
        const struct upload_options uploading = upload_options_of(o);
        int r = upload_check(&s->uploads, err);
        return r < 0 ? r : upload_run(&s->uploads, &uploading, err);
}

void submit_forget_uploads(const struct submit_options *o, const struct submission *s) {
        const struct upload_options uploading = upload_options_of(o);
        if (!o->compat)
                upload_take_back(&s->uploads, &uploading);
}

int submit_run(const struct submit_options *o, struct submission *s, yyjson_doc **ret_pod, struct err *err) {
        int r = submit_upload(o, s, err);
        if (r < 0)
                return r;
        struct loop *loop = kube_client_loop(o->client);
        struct waiting w = {0};
        struct submit_sending *q = submit_send(o, s, on_sent, &w);
        loop_run_until(loop, &w.done);
        while (!w.done) {
                submit_send_interrupt(q);
                loop_run_until(loop, &w.done);
        }
        AUTO(json) yyjson_doc *pod = w.pod;
        if (w.err.code) {
                submit_forget_uploads(o, s);
                return err_move(err, &w.err);
        }
        if (ret_pod)
                *ret_pod = TAKE(pod);
        return 0;
}

int submit_timeout(struct spark_conf *conf, int64_t *ret_ms, struct err *err) {
        int connect, request;
        int r = conf_int(conf, "spark.kubernetes.submission.connectionTimeout", &connect, err);
        if (r >= 0)
                r = conf_int(conf, "spark.kubernetes.submission.requestTimeout", &request, err);
        if (r < 0)
                return r;
        if (request < 0 && conf->version.line == SPARK_3_5) /* its HTTP client's rule */
                return err_set(err, -EINVAL, "spark.kubernetes.submission.requestTimeout is %d: timeout < 0", request);
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
                return err_set(err, -EINVAL,
                               "requirement failed: Cannot specify OAuth token through both a file " AUTH "oauthTokenFile and a value " AUTH
                               "oauthToken.");
        r = conf->version.line == SPARK_3_5 ? kubeconfig_load_first(&k, err) : kubeconfig_load(NULL, &k, err);
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
