#include "cluster/webhooks.h"

#include "base/log.h"
#include "base/rand.h"
#include "cluster/request.h"
#include "cluster/session.h"
#include "cluster/webhook_call.h"
#include "cluster/webhook_review.h"
#include "kobj/meta.h"
#include "kobj/patch.h"

enum { MAX_RESTARTS = 5, DEFAULT_TIMEOUT_S = 10, REQUEST_MS = 60 * 1000 };
enum stage { MUTATING, VALIDATING, STAGES };

static const char *const configurations[STAGES] = {
        [MUTATING] = "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        [VALIDATING] = "validatingwebhookconfigurations.admissionregistration.k8s.io",
};

/* The last webhook that was asked (or passed over): in the order of configurations' names, then of their lists. */
struct position {
        char *config;
        size_t index;
};

struct webhook_wait {
        struct session session;
        struct http_exchange *x;
        int64_t began_ms;
        int restarts;

        /* What the rest is true of. */
        const struct resource *res;
        enum admission_op what;
        char *ns, *name; /* "" on create: one request creates one object */
        uint64_t old_revision;

        yyjson_mut_doc *draft; /* NULL: no object (a deletion) */
        bool is_patched;       /* the draft has to be decoded and given defaults again */
        struct position at[STAGES];
        struct err failure; /* why the request is refused */
        struct strv warnings;
        struct map passed; /* uids of objects that may be deleted: a collection is gone through from its beginning each time */

        /* The call under way. */
        struct webhook_call *call;
        enum stage stage;
        char *webhook, *uid;
        bool ignores_failure;
};

static void forget(struct webhook_wait *w) {
        free(w->ns);
        free(w->name);
        yyjson_mut_doc_free(w->draft);
        for (size_t i = 0; i < STAGES; i++) {
                free(w->at[i].config);
                w->at[i] = (struct position){0};
        }
        w->ns = w->name = NULL;
        w->draft = NULL;
        w->is_patched = false;
}

static void wait_free(struct webhook_wait *w) {
        session_remove(&w->session);
        http_on_gone(w->x, NULL, NULL);
        http_release(w->x);
        webhook_call_free(w->call);
        forget(w);
        strv_done(&w->warnings);
        map_done(&w->passed);
        err_done(&w->failure);
        free(w->webhook);
        free(w->uid);
        free(w);
}

static void wait_end(struct session *session) {
        struct webhook_wait *w = (struct webhook_wait *)session;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(str) struct str body = STR_INIT(0);
        err_http(&err, -ESHUTDOWN, 503, "ServiceUnavailable", "the server ends");
        status_write(&err, &body);
        http_respond(w->x, 503, "application/json", str_sv(&body));
        wait_free(w);
}

static void client_gone(void *arg) { wait_free(arg); }

void webhooks_resume(struct request *q) {
        for (size_t i = 0; q->wait && i < q->wait->warnings.len; i++)
                strv_add(&q->warnings, q->wait->warnings.items[i]);
}

void webhooks_done(struct request *q) {
        if (q->wait)
                wait_free(TAKE(q->wait));
}

/* ---- answers ---- */

/* Serves the request again. It may end the wait, or begin the next call. */
static void go_on(struct webhook_wait *w) {
        webhook_call_free(TAKE(w->call));
        request_serve(w->session.s, w->x, http_request_of(w->x), w);
}

static int internal_error(const char *what, struct err *err) {
        AUTO(str) struct str details = STR_INIT(0);
        int r = err_http(err, -EIO, 500, "InternalError", "Internal error occurred: %s", what);
        str_append_s(&details, "{\"causes\":[{\"message\":");
        json_append_quoted(&details, sv_of(what));
        str_append_s(&details, "}]}");
        err->details = str_take(&details);
        return r;
}

/* -EPROTO: there was an answer. */
static int call_failed(const struct webhook_wait *w, const struct err *why, struct err *err) {
        AUTO(free) char *what = xasprintf("failed calling webhook \"%s\": %s%s", w->webhook,
                                          why->code == -EPROTO ? "" : "failed to call webhook: ", err_message(why));
        return internal_error(what, err);
}

static int apply_patch(struct webhook_wait *w, yyjson_doc *patch, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        yyjson_mut_val *root = NULL;
        int r = patch_json(w->draft, yyjson_mut_doc_get_root(w->draft), yyjson_doc_get_root(patch), &root, &why);
        if (r < 0) {
                AUTO(free) char *what =
                        xasprintf("the patch of webhook \"%s\" does not apply: %s", w->webhook, why.hint ? why.hint : err_message(&why));
                return internal_error(what, err);
        }
        yyjson_mut_doc_set_root(w->draft, root);
        w->is_patched = true;
        return 0;
}

static void take_answer(struct webhook_wait *w, struct sv body, const struct err *failure) {
        AUTO(webhook_answer) struct webhook_answer a = {0};
        AUTO(err) struct err why = ERR_INIT;
        int r = failure ? failure->code : webhook_answer_parse(body, w->uid, w->stage == MUTATING, &a, &why);

        if (r < 0 && w->ignores_failure) {
                log_warn("admission webhook \"%s\" failed and is ignored: %s", w->webhook, err_message(failure ? failure : &why));
                return;
        }
        if (r < 0) {
                (void)call_failed(w, failure ? failure : &why, &w->failure);
                return;
        }
        for (size_t i = 0; i < a.warnings.len; i++)
                strv_add(&w->warnings, a.warnings.items[i]);
        if (!a.allowed)
                (void)webhook_refusal(w->webhook, &a, &w->failure);
        else if (a.patch && w->draft)
                (void)apply_patch(w, a.patch, &w->failure);
}

static void on_answer(void *arg, struct sv body, const struct err *err) {
        struct webhook_wait *w = arg;
        take_answer(w, body, err);
        go_on(w);
}

/* ---- asking ---- */

static struct collection *configured(struct apiserver *s, enum stage stage) {
        return registry_by_id(&s->registry, configurations[stage])->objects;
}

static yyjson_val *namespace_labels(const struct op *op, yyjson_val *object) {
        if (streq(op->res->id, "namespaces") && object)
                return meta_labels(object);
        struct object *ns = collection_find(registry_by_id(&op->s->registry, "namespaces")->objects, "",
                                            *op->ns    ? op->ns
                                            : op->name ? op->name
                                                       : "");
        return ns ? meta_labels(object_root(ns)) : NULL;
}

/* Other versions under which the same objects are served. */
static void find_equivalents(const struct op *op, struct webhook_subject *u) {
        const struct api_group *group = registry_group(&op->s->registry, op->res->group);
        size_t n = 0;
        vec_foreach(version, &group->versions) {
                const struct resource *other = registry_find(&op->s->registry, op->res->group, version->name, op->res->plural);
                if (other && other != op->res && other->objects == op->res->objects && n < WEBHOOK_MAX_EQUIVALENTS)
                        u->equivalents[n++] = other;
        }
}

static struct webhook_subject subject_of(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old) {
        const char *name = op->is_collection ? NULL : op->name ? op->name : meta_name(object);
        bool is_namespace = streq(op->res->id, "namespaces");
        struct webhook_subject u = {
                .res = op->res,
                .subresource = op->subresource,
                .ns = is_namespace && op->name ? op->name : op->ns ? op->ns : "",
                .name = name ? name : "",
                .what = what,
                .object = object,
                .old = old ? object_root(old) : NULL,
                .ns_labels = namespace_labels(op, object),
                .user = op->user,
                .manager = op->manager,
                .dry_run = op->dry_run,
        };
        find_equivalents(op, &u);
        return u;
}

static struct webhook_wait *wait_of(const struct op *op, enum admission_op what, struct object *old) {
        struct request *q = op->request;
        struct webhook_wait *w = q->wait;
        if (!w) {
                w = q->wait = NEW(struct webhook_wait);
                w->x = q->x;
                w->began_ms = clock_mono_ms();
                w->passed = MAP_INIT(NULL);
                http_hold(q->x);
                session_add(op->s, &w->session, wait_end);
                http_on_gone(q->x, client_gone, w);
        }
        if (!w->res) {
                w->res = op->res;
                w->what = what;
                w->ns = xstrdup(op->ns ? op->ns : "");
                w->name = xstrdup(op->name ? op->name : "");
                w->old_revision = old ? old->revision : 0;
        }
        return w;
}

static int64_t timeout_of(const struct webhook_wait *w, yyjson_val *webhook) {
        int64_t own = json_get_int(webhook, "timeoutSeconds", DEFAULT_TIMEOUT_S) * 1000,
                left = REQUEST_MS - (clock_mono_ms() - w->began_ms);
        return left < 1 ? 1 : left < own ? left : own;
}

/* Always pending: also what fails at once is heard of from the loop. */
static void ask(const struct op *op, struct webhook_wait *w, enum stage stage, yyjson_val *webhook, const struct webhook_subject *u,
                const struct resource *as) {
        AUTO(str) struct str review = STR_INIT(0);
        const char *policy = json_get_str(webhook, "failurePolicy");
        char uid[37];

        rand_uuid(uid);
        free(w->uid);
        free(w->webhook);
        w->uid = xstrdup(uid);
        w->webhook = xstrdup(json_get_str(webhook, "name"));
        w->stage = stage;
        w->ignores_failure = policy && streq(policy, "Ignore");
        webhook_review_write(webhook, u, as, uid, &review);
        AUTO(err) struct err why = ERR_INIT;
        if (webhook_call_start(op->s, webhook, str_sv(&review), timeout_of(w, webhook), on_answer, w, &w->call, &why) < 0 &&
            !w->ignores_failure)
                (void)call_failed(w, &why, &w->failure);
}

/* Asks the next webhook of a stage. 0: there is none any more. */
static int ask_next(const struct op *op, enum stage stage, const struct webhook_subject *u, struct object *old, struct err *err) {
        struct collection *list = configured(op->s, stage);
        struct webhook_wait *w = op->request->wait;

        for (size_t i = 0; i < list->len; i++) {
                struct object *config = list->items[i];
                yyjson_val *webhooks = object_at(config, "/webhooks");
                int order = w && w->at[stage].config ? strcmp(config->name, w->at[stage].config) : 1;
                for (size_t k = order > 0   ? 0
                                : order < 0 ? yyjson_arr_size(webhooks)
                                            : w->at[stage].index + 1;
                     k < yyjson_arr_size(webhooks); k++) {
                        yyjson_val *webhook = yyjson_arr_get(webhooks, k);
                        const struct resource *as = webhook_wants(webhook, u);
                        if (!as)
                                continue;
                        w = wait_of(op, u->what, old);
                        free(w->at[stage].config);
                        w->at[stage] = (struct position){xstrdup(config->name), k};
                        ask(op, w, stage, webhook, u, as);
                        if (w->call)
                                return err_set(err, WEBHOOKS_PENDING, "waiting for admission webhook \"%s\"", w->webhook);
                        if (w->failure.code)
                                return err_move(err, &w->failure);
                }
        }
        return 0;
}

static bool is_for(const struct webhook_wait *w, const struct op *op, enum admission_op what, const struct object *old) {
        return w->res == op->res && w->what == what && streq(w->ns, op->ns ? op->ns : "") && streq(w->name, op->name ? op->name : "") &&
               w->old_revision == (old ? old->revision : 0);
}

/* What was learned before, unless it is about something else: another object of a collection, or the world has changed. */
static int recall(const struct op *op, enum admission_op what, struct object *old, struct err *err) {
        struct webhook_wait *w = op->request->wait;
        if (!w || !w->res)
                return 0;
        if (!is_for(w, op, what, old)) {
                bool same = w->res == op->res && w->what == what && streq(w->name, op->name ? op->name : "");
                forget(w);
                w->res = NULL;
                err_clear(&w->failure);
                if (same && ++w->restarts > MAX_RESTARTS)
                        return status_modified(err, op->res, op->name ? op->name : "");
                return 0;
        }
        return w->failure.code ? err_move(err, &w->failure) : 0;
}

static bool any_configured(const struct op *op) {
        return op->request && (configured(op->s, MUTATING)->len || configured(op->s, VALIDATING)->len || op->request->wait);
}

static yyjson_mut_doc *copy_of(yyjson_mut_val *root) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_doc_set_root(doc, yyjson_mut_val_mut_copy(doc, root));
        return doc;
}

/* A new object as mutating webhooks see it: a name that is generated, the uid and the time come after them. */
static yyjson_doc *as_sent(yyjson_mut_val *root) {
        AUTO(mjson) yyjson_mut_doc *doc = copy_of(root);
        yyjson_mut_val *meta = mmeta_make(doc, yyjson_mut_doc_get_root(doc));
        const char *prefix = mjson_get_str(meta, "generateName"), *name = mjson_get_str(meta, "name");
        mjson_remove(meta, "uid");
        mjson_remove(meta, "creationTimestamp");
        if (prefix && *prefix && name && str_starts(name, prefix))
                mjson_remove(meta, "name");
        return mjson_freeze(yyjson_mut_doc_get_root(doc));
}

/* The draft as it was when the first webhook was asked, with what the answers made of it. */
static int restore(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        struct webhook_wait *w = op->request->wait;
        if (!w || !w->draft)
                return 0;
        d->root = yyjson_mut_val_mut_copy(d->doc, yyjson_mut_doc_get_root(w->draft));
        if (!w->is_patched)
                return 0;
        struct op patched = *op;
        patched.validation = FIELDS_IGNORE;
        AUTO(free) char *uid = xstrdup_null(mmeta_uid(d->root));
        int r = op_decode(&patched, d->doc, d->root, &d->root, err);
        if (r < 0)
                return r;
        if (op->res->hooks->defaults)
                op->res->hooks->defaults(d);
        r = admission_mutate(op, what, d, err);
        if (r < 0)
                return r;
        mjson_set_str(d->doc, mmeta_make(d->doc, d->root), "uid", uid);
        yyjson_mut_doc_free(w->draft);
        w->draft = copy_of(d->root);
        w->is_patched = false;
        return 0;
}

static bool is_wanted(const struct op *op, const struct webhook_subject *u) {
        for (enum stage stage = MUTATING; stage < STAGES; stage++) {
                struct collection *list = configured(op->s, stage);
                for (size_t i = 0; i < list->len; i++) {
                        yyjson_val *webhooks = object_at(list->items[i], "/webhooks"), *webhook;
                        size_t k, n;
                        yyjson_arr_foreach(webhooks, k, n, webhook) {
                                if (webhook_wants(webhook, u))
                                        return true;
                        }
                }
        }
        return false;
}

int webhooks_mutate(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        AUTO(json) yyjson_doc *frozen = NULL;
        if (!any_configured(op))
                return 0;
        int r = recall(op, what, d->old, err);
        if (r == 0)
                r = restore(op, what, d, err);
        if (r < 0)
                return r;
        frozen = what == ADMIT_CREATE ? as_sent(d->root) : mjson_freeze(d->root);
        struct webhook_subject u = subject_of(op, what, yyjson_doc_get_root(frozen), d->old);
        if (!op->request->wait && !is_wanted(op, &u))
                return 0;
        struct webhook_wait *w = wait_of(op, what, d->old);
        if (!w->draft)
                w->draft = copy_of(d->root);
        return ask_next(op, MUTATING, &u, d->old, err);
}

int webhooks_validate(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        if (!any_configured(op))
                return 0;
        struct webhook_subject u = subject_of(op, what, object, old);
        if (object) /* webhooks_mutate() was here before */
                return ask_next(op, VALIDATING, &u, old, err);
        if (op->request->wait && map_get(&op->request->wait->passed, old->uid))
                return 0;
        int r = recall(op, what, old, err);
        if (r == 0)
                r = ask_next(op, MUTATING, &u, old, err);
        if (r == 0)
                r = ask_next(op, VALIDATING, &u, old, err);
        if (r == 0 && op->request->wait)
                map_set(&op->request->wait->passed, old->uid, op->request->wait);
        return r;
}
