#include "cluster/api.h"

#include "base/log.h"
#include "base/rand.h"
#include "cluster/ops.h"
#include "cluster/token.h"
#include "codec/ktime.h"
#include "kobj/meta.h"

enum { EVENT_MEMORY = 512 }; /* events a component remembers for counting up */

struct api {
        struct apiserver *s;
        char *component;
        const char *manager; /* owner of the fields it sets */
        struct api_watch *watches;
        struct map said; /* what an Event says -> its name */
};

struct api_watch {
        struct api *api;
        struct api_watch *next;
        char *resource, *ns, *labels, *fields; /* kept for a resource that does not exist yet */
        struct list_query query;
        struct watcher *watcher; /* NULL until the resource is there */
        struct timer *retry;
        api_watch_fn fn;
        void *arg;
        bool stopped, in_callback;
};

struct api *api_new(struct apiserver *server, const char *component) {
        struct api *a = NEW(struct api);
        a->s = server;
        a->component = xstrdup(component);
        /* Clients look for the real owner: all controllers of the real system live in one process of that name. */
        a->manager = str_ends(component, "-controller") ? "kube-controller-manager" : a->component;
        a->said = MAP_INIT(free);
        return a;
}

void api_free(struct api *a) {
        if (!a)
                return;
        while (a->watches)
                api_watch_stop(a->watches);
        map_done(&a->said);
        free(a->component);
        free(a);
}

struct loop *api_loop(struct api *a) { return a->s->loop; }

static int make_op(struct api *a, const char *resource, const char *ns, const char *name, const char *subresource, struct op *ret,
                   struct err *err) {
        struct resource *res = registry_by_id(&a->s->registry, resource);
        if (!res || !res->objects) {
                err_http(err, -ENOENT, 404, "NotFound", "the server could not find the requested resource (%s)", resource);
                return -ENOENT;
        }
        *ret = (struct op){
                .s = a->s,
                .res = res,
                .ns = resource_is_namespaced(res) && ns ? ns : "",
                .name = name,
                .subresource = subresource,
                .manager = a->manager,
                .validation = FIELDS_IGNORE,
        };
        if (resource_is_namespaced(res) && (!ns || !*ns))
                return status_bad_request(err, "a namespace is needed for %s", resource);
        return 0;
}

static int hand_over(struct object *o, struct object **ret) {
        if (ret)
                *ret = o;
        else
                object_unref(o);
        return 0;
}

int api_get(struct api *a, const char *resource, const char *ns, const char *name, struct object **ret, struct err *err) {
        struct op op;
        int r = make_op(a, resource, ns, name, NULL, &op, err);
        return r < 0 ? r : op_get(&op, ret, err);
}

struct object *api_peek(struct api *a, const char *resource, const char *ns, const char *name) {
        struct resource *res = registry_by_id(&a->s->registry, resource);
        return res && res->objects ? collection_find(res->objects, ns ? ns : "", name) : NULL;
}

int api_list(struct api *a, const char *resource, const char *ns, const char *labels, const char *fields, struct object_list *ret,
             struct err *err) {
        struct resource *res = registry_by_id(&a->s->registry, resource);
        AUTO(list_query) struct list_query q = {0};
        struct op op = {.s = a->s, .res = res, .ns = ns};
        int64_t remaining;
        int r;

        if (!res || !res->objects)
                return err_http(err, -ENOENT, 404, "NotFound", "the server could not find the requested resource (%s)", resource);
        if (!resource_is_namespaced(res))
                op.ns = NULL;
        r = list_query_parse(res, labels, fields, &q, err);
        if (r < 0)
                return r;
        r = op_list(&op, &q, ret, &remaining, err);
        return r < 0 ? r : (int)ret->len;
}

/* The caller's document stays as it is. */
static yyjson_mut_doc *copy_of(yyjson_mut_val *object) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_doc_set_root(doc, yyjson_mut_val_mut_copy(doc, object));
        return doc;
}

int api_create(struct api *a, const char *resource, const char *ns, yyjson_mut_val *object, struct object **ret, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = copy_of(object);
        struct object *made = NULL;
        struct op op;
        int r = make_op(a, resource, ns ? ns : mmeta_namespace(object), NULL, NULL, &op, err);
        if (r == 0)
                r = op_create(&op, doc, yyjson_mut_doc_get_root(doc), &made, err);
        return r < 0 ? r : hand_over(made, ret);
}

static int update(struct api *a, const char *resource, yyjson_mut_val *object, const char *subresource, struct object **ret,
                  struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = copy_of(object);
        struct object *made = NULL;
        struct op op;
        int r = make_op(a, resource, mmeta_namespace(object), mmeta_name(object), subresource, &op, err);
        if (r == 0)
                r = op_update(&op, doc, yyjson_mut_doc_get_root(doc), &made, NULL, err);
        return r < 0 ? r : hand_over(made, ret);
}

int api_update(struct api *a, const char *resource, yyjson_mut_val *object, struct object **ret, struct err *err) {
        return update(a, resource, object, NULL, ret, err);
}

int api_update_status(struct api *a, const char *resource, yyjson_mut_val *object, struct object **ret, struct err *err) {
        return update(a, resource, object, "status", ret, err);
}

int api_patch(struct api *a, const char *resource, const char *ns, const char *name, const char *subresource, enum api_patch type,
              struct sv patch, struct object **ret, struct err *err) {
        struct object *made = NULL;
        struct op op;
        int r = make_op(a, resource, ns, name, subresource, &op, err);
        if (r < 0)
                return r;
        op.force = true;
        if (type == API_PATCH_APPLY)
                op.manager = a->component; /* those who apply do so under their own name */
        r = op_patch(&op, type, patch, &made, NULL, err);
        return r < 0 ? r : hand_over(made, ret);
}

int api_patchf(struct api *a, const char *resource, const char *ns, const char *name, const char *subresource, struct err *err,
               const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *patch = xvasprintf(fmt, ap);
        va_end(ap);
        return api_patch(a, resource, ns, name, subresource, API_PATCH_MERGE, sv_of(patch), NULL, err);
}

static int bind_conflict(struct err *err, const char *pod, const char *why) {
        err_http(err, -ESTALE, 409, "Conflict", "Operation cannot be fulfilled on pods/binding \"%s\": pod %s %s", pod, pod, why);
        status_details(err, pod, NULL, "pods/binding", NULL);
        return -ESTALE;
}

int api_bind(struct api *a, const char *ns, const char *pod, const char *node, struct err *err) {
        struct object *o = api_peek(a, "pods", ns, pod);
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        const char *bound;
        struct object *made = NULL;
        struct op op;
        int r = make_op(a, "pods", ns, pod, "binding", &op, err);

        if (r < 0)
                return r;
        if (!o)
                return status_not_found(err, op.res, pod);
        bound = object_str(o, "/spec/nodeName");
        if (object_is_deleting(o))
                return bind_conflict(err, pod, "is being deleted, cannot be assigned to a host");
        if (bound && *bound) {
                AUTO(free) char *why = xasprintf("is already assigned to node \"%s\"", bound);
                return bind_conflict(err, pod, why);
        }
        doc = object_edit(o);
        mjson_set_str(doc, mjson_obj(doc, yyjson_mut_doc_get_root(doc), "spec"), "nodeName", node);
        mmeta_set_condition(doc, yyjson_mut_doc_get_root(doc), "PodScheduled", "True", NULL, NULL, clock_now_ms());
        r = op_update(&op, doc, yyjson_mut_doc_get_root(doc), &made, NULL, err);
        return r < 0 ? r : hand_over(made, NULL);
}

int api_delete(struct api *a, const char *resource, const char *ns, const char *name, const struct api_delete_options *o, struct err *err) {
        struct delete_options options = {.grace_s = -1};
        struct object *last = NULL;
        struct op op;
        bool gone;
        int r = make_op(a, resource, ns, name, NULL, &op, err);

        if (r < 0)
                return r;
        if (o)
                options = (struct delete_options){
                        .grace_s = o->grace_s, .propagation = o->propagation, .uid = o->uid, .resource_version = o->resource_version};
        r = op_delete(&op, &options, &last, &gone, err);
        return r < 0 ? r : hand_over(last, NULL);
}

/* Watches. */

static void watch_free(struct api_watch *w) {
        timer_free(w->retry);
        list_query_done(&w->query);
        free(w->resource);
        free(w->ns);
        free(w->labels);
        free(w->fields);
        free(w);
}

static void call(struct api_watch *w, enum api_event_type type, struct object *o, struct object *old) {
        struct api_event e = {type, o, old};
        w->in_callback = true;
        w->fn(w->arg, &e);
        w->in_callback = false;
        if (w->stopped)
                watch_free(w);
}

static void on_event(void *arg, const struct store_event *e) {
        struct api_watch *w = arg;
        bool now = e->change != STORE_DELETED && list_query_matches(&w->query, e->object);
        bool before = e->change == STORE_ADDED
                              ? false
                              : list_query_matches(&w->query, e->change == STORE_DELETED ? (e->old ? e->old : e->object) : e->old);

        if (now && !before)
                call(w, API_ADDED, e->object, NULL);
        else if (now)
                call(w, API_MODIFIED, e->object, e->old);
        else if (before)
                call(w, API_DELETED, e->object, NULL);
}

static void on_synced(void *arg, uint64_t revision) {
        (void)revision;
        call(arg, API_SYNCED, NULL, NULL);
}

static void watch_begin(void *arg) {
        struct api_watch *w = arg;
        struct resource *res = registry_by_id(&w->api->s->registry, w->resource);
        struct watcher_events ev = {on_event, on_synced, w};
        AUTO(err) struct err why = ERR_INIT;

        if (!res || !res->objects) { /* wait for a definition that brings it */
                if (!w->retry)
                        w->retry = timer_new(w->api->s->loop, 250, 250, watch_begin, w);
                return;
        }
        if (w->retry) {
                timer_free(w->retry);
                w->retry = NULL;
        }
        if (list_query_parse(res, w->labels, w->fields, &w->query, &why) < 0)
                log_debug("watch of %s by %s: %s", w->resource, w->api->component, err_message(&why));
        (void)!store_watch(w->api->s->store, res->objects, resource_is_namespaced(res) ? w->ns : NULL, false, 0, &ev, &w->watcher, NULL);
}

struct api_watch *api_watch_start(struct api *a, const char *resource, const char *ns, const char *labels, const char *fields,
                                  api_watch_fn fn, void *arg) {
        struct api_watch *w = NEW(struct api_watch);
        w->api = a;
        w->resource = xstrdup(resource);
        w->ns = xstrdup_null(ns);
        w->labels = xstrdup_null(labels);
        w->fields = xstrdup_null(fields);
        w->fn = fn;
        w->arg = arg;
        w->next = a->watches;
        a->watches = w;
        watch_begin(w);
        return w;
}

void api_watch_stop(struct api_watch *w) {
        if (!w || w->stopped)
                return;
        for (struct api_watch **p = &w->api->watches; *p; p = &(*p)->next)
                if (*p == w) {
                        *p = w->next;
                        break;
                }
        store_watch_stop(w->watcher);
        w->watcher = NULL;
        w->stopped = true;
        if (!w->in_callback)
                watch_free(w);
}

/* Events. */

static void count_up(struct api *a, const char *ns, struct object *event) {
        char now[KTIME_SIZE];
        AUTO(err) struct err why = ERR_INIT;
        ktime_format(clock_now_ms(), now);
        if (api_patchf(a, "events", ns, event->name, NULL, &why, "{\"count\":%lld,\"lastTimestamp\":\"%s\"}",
                       (long long)object_int(event, "/count", 1) + 1, now) < 0)
                log_debug("event %s: %s", event->name, err_message(&why));
}

static void record(struct api *a, const struct object *about, const char *field_path, const char *type, const char *reason,
                   const char *message) {
        const char *ns = *about->namespace ? about->namespace : "default";
        AUTO(free) char *key = xasprintf("%s/%s/%s/%s/%s/%s", about->uid, ns, field_path ? field_path : "", type, reason, message),
                        *name = NULL;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(err) struct err why = ERR_INIT;
        const char *known = map_get(&a->said, key);
        struct object *event = known ? api_peek(a, "events", ns, known) : NULL;
        yyjson_mut_val *root, *meta, *ref;
        char now[KTIME_SIZE], revision[24];

        if (event) {
                count_up(a, ns, event);
                return;
        }
        if (a->said.len >= EVENT_MEMORY)
                map_clear(&a->said);
        name = xasprintf("%.200s.%llx", about->name, (unsigned long long)(clock_now_us() * 1000 + (int64_t)(rand_u64() % 1000)));
        doc = yyjson_mut_doc_new(NULL);
        root = yyjson_mut_obj(doc);
        meta = mjson_obj(doc, root, "metadata");
        mjson_set_str(doc, meta, "name", name);
        mjson_set_str(doc, meta, "namespace", ns);
        ref = mjson_obj(doc, root, "involvedObject");
        mjson_set_str(doc, ref, "kind", about->resource ? about->resource->kind : meta_kind(object_root(about)));
        if (*about->namespace)
                mjson_set_str(doc, ref, "namespace", about->namespace);
        mjson_set_str(doc, ref, "name", about->name);
        mjson_set_str(doc, ref, "uid", about->uid);
        mjson_set_str(doc, ref, "apiVersion", meta_api_version(object_root(about)));
        snprintf(revision, sizeof(revision), "%llu", (unsigned long long)about->revision);
        mjson_set_str(doc, ref, "resourceVersion", revision);
        mjson_set_str(doc, ref, "fieldPath", field_path);
        mjson_set_str(doc, root, "reason", reason);
        mjson_set_str(doc, root, "message", message);
        mjson_set_str(doc, mjson_obj(doc, root, "source"), "component", a->component);
        mjson_set_str(doc, root, "reportingComponent", a->component);
        ktime_format(clock_now_ms(), now);
        mjson_set_str(doc, root, "firstTimestamp", now);
        mjson_set_str(doc, root, "lastTimestamp", now);
        mjson_set_int(doc, root, "count", 1);
        mjson_set_str(doc, root, "type", type);
        if (api_create(a, "events", ns, root, NULL, &why) < 0)
                log_debug("event about %s: %s", about->name, err_message(&why));
        else
                map_set(&a->said, key, xstrdup(name));
}

void api_event(struct api *a, const struct object *about, const char *type, const char *reason, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *message = xvasprintf(fmt, ap);
        va_end(ap);
        record(a, about, NULL, type, reason, message);
}

void api_event_at(struct api *a, const struct object *about, const char *field_path, const char *type, const char *reason, const char *fmt,
                  ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *message = xvasprintf(fmt, ap);
        va_end(ap);
        record(a, about, field_path, type, reason, message);
}

int api_issue_token(struct api *a, const char *ns, const char *service_account, const char *audience, int64_t lifetime_s,
                    const char *pod_name, const char *pod_uid, char **ret_token, int64_t *ret_expires_s, struct err *err) {
        struct object *account = api_peek(a, "serviceaccounts", ns, service_account);
        const char *audiences[] = {audience, NULL};
        struct token_request request = {
                .ns = ns,
                .account = service_account,
                .audiences = audience ? audiences : NULL,
                .lifetime_s = lifetime_s,
                .bound_kind = pod_name ? "Pod" : NULL,
                .bound_name = pod_name,
                .bound_uid = pod_uid,
        };
        if (!account)
                return status_not_found(err, registry_by_id(&a->s->registry, "serviceaccounts"), service_account);
        request.account_uid = account->uid;
        return tokens_issue(a->s->tokens, &request, ret_token, ret_expires_s, err);
}
