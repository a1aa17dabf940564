#include "kube/verbs.h"

#include "codec/uri.h"
#include "kobj/meta.h"

enum { PAGE_LIMIT = 500 };

const struct kube_resource KUBE_PODS = {"", "v1", "pods", "Pod", false};
const struct kube_resource KUBE_SERVICES = {"", "v1", "services", "Service", false};
const struct kube_resource KUBE_CONFIG_MAPS = {"", "v1", "configmaps", "ConfigMap", false};
const struct kube_resource KUBE_SECRETS = {"", "v1", "secrets", "Secret", false};
const struct kube_resource KUBE_PVCS = {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", false};
const struct kube_resource KUBE_EVENTS = {"", "v1", "events", "Event", false};
const struct kube_resource KUBE_NAMESPACES = {"", "v1", "namespaces", "Namespace", true};
const struct kube_resource KUBE_NODES = {"", "v1", "nodes", "Node", true};
const struct kube_resource KUBE_SERVICE_ACCOUNTS = {"", "v1", "serviceaccounts", "ServiceAccount", false};
const struct kube_resource KUBE_ROLES = {"rbac.authorization.k8s.io", "v1", "roles", "Role", false};
const struct kube_resource KUBE_ROLE_BINDINGS = {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", false};
const struct kube_resource KUBE_LEASES = {"coordination.k8s.io", "v1", "leases", "Lease", false};
const struct kube_resource KUBE_DEPLOYMENTS = {"apps", "v1", "deployments", "Deployment", false};
const struct kube_resource KUBE_STATEFUL_SETS = {"apps", "v1", "statefulsets", "StatefulSet", false};

static const struct kube_resource *const known[] = {
        &KUBE_PODS,  &KUBE_SERVICES,         &KUBE_CONFIG_MAPS, &KUBE_SECRETS,       &KUBE_PVCS,   &KUBE_EVENTS,      &KUBE_NAMESPACES,
        &KUBE_NODES, &KUBE_SERVICE_ACCOUNTS, &KUBE_ROLES,       &KUBE_ROLE_BINDINGS, &KUBE_LEASES, &KUBE_DEPLOYMENTS, &KUBE_STATEFUL_SETS,
};

const struct kube_resource *kube_resource_of(const char *api_version, const char *kind) {
        if (!api_version || !kind)
                return NULL;
        struct sv group, version;
        meta_split_api_version(api_version, &group, &version);
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
                if (streq(known[i]->kind, kind) && sv_eqs(group, known[i]->group) && sv_eqs(version, known[i]->version))
                        return known[i];
        }
        return NULL;
}

char *kube_path(const struct kube_resource *r, const char *namespace_, const char *name, const char *subresource) {
        AUTO(str) struct str path = STR_INIT(0);
        if (*r->group)
                str_appendf(&path, "/apis/%s/%s", r->group, r->version);
        else
                str_appendf(&path, "/api/%s", r->version);
        if (namespace_ && !r->is_cluster_scoped) {
                str_append_s(&path, "/namespaces/");
                uri_encode(sv_of(namespace_), false, &path);
        }
        str_appendf(&path, "/%s", r->plural);
        if (name) {
                str_append_c(&path, '/');
                uri_encode(sv_of(name), false, &path);
        }
        if (subresource)
                str_appendf(&path, "/%s", subresource);
        return str_take(&path);
}

static void take_query(struct kube_request *q, struct str *query) {
        if (query->len > 0)
                q->query = str_take(query);
}

void kube_make_get(const struct kube_resource *r, const char *namespace_, const char *name, struct kube_request *ret) {
        *ret = (struct kube_request){.method = "GET", .path = kube_path(r, namespace_, name, NULL)};
}

void kube_make_list(const struct kube_resource *r, const char *namespace_, const struct kube_list_options *o, const char *continue_,
                    struct kube_request *ret) {
        AUTO(str) struct str query = STR_INIT(0);
        if (o) {
                query_add(&query, "fieldSelector", o->field_selector);
                query_add(&query, "labelSelector", o->label_selector);
        }
        int limit = o && o->limit ? o->limit : PAGE_LIMIT;
        if (limit > 0) {
                AUTO(free) char *text = xasprintf("%d", limit);
                query_add(&query, "limit", text);
        }
        query_add(&query, "continue", continue_);
        *ret = (struct kube_request){.method = "GET", .path = kube_path(r, namespace_, NULL, NULL)};
        take_query(ret, &query);
}

/* The query every write has. */
static void write_query(const struct kube_client *c, bool has_manager, struct str *query) {
        if (has_manager)
                query_add(query, "fieldManager", kube_client_field_manager(c));
        if (kube_client_is_dry_run(c))
                query_add(query, "dryRun", "All");
}

static void make_write(const struct kube_client *c, const char *method, char *path, const char *content_type, struct sv body,
                       struct kube_request *ret) {
        AUTO(str) struct str query = STR_INIT(0);
        write_query(c, !streq(method, "DELETE"), &query);
        *ret = (struct kube_request){.method = method, .path = path, .content_type = content_type};
        str_append_sv(&ret->body, body);
        take_query(ret, &query);
}

void kube_make_create(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, struct sv body,
                      struct kube_request *ret) {
        make_write(c, "POST", kube_path(r, namespace_, NULL, NULL), "application/json", body, ret);
}

void kube_make_update(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                      const char *subresource, struct sv body, struct kube_request *ret) {
        make_write(c, "PUT", kube_path(r, namespace_, name, subresource), "application/json", body, ret);
}

void kube_make_patch(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                     const char *subresource, enum kube_patch_type type, struct sv body, bool force, struct kube_request *ret) {
        static const char *const types[] = {
                [KUBE_PATCH_JSON] = "application/json-patch+json",
                [KUBE_PATCH_MERGE] = "application/merge-patch+json",
                [KUBE_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
                [KUBE_PATCH_APPLY] = "application/apply-patch+yaml",
        };
        make_write(c, "PATCH", kube_path(r, namespace_, name, subresource), types[type], body, ret);
        if (type == KUBE_PATCH_APPLY && force) {
                AUTO(str) struct str query = STR_INIT(0);
                if (ret->query)
                        str_append_s(&query, ret->query);
                query_add(&query, "force", "true");
                free(ret->query);
                ret->query = str_take(&query);
        }
}

void kube_make_delete(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                      const struct kube_delete_options *o, struct kube_request *ret) {
        struct kube_delete_options defaults = KUBE_DELETE_OPTIONS;
        if (!o)
                o = &defaults;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "kind", "DeleteOptions");
        mjson_set_str(doc, root, "propagationPolicy", o->propagation ? o->propagation : "Background");
        if (o->grace_seconds >= 0)
                mjson_set_int(doc, root, "gracePeriodSeconds", o->grace_seconds);
        if (o->uid)
                mjson_set_str(doc, mjson_obj(doc, root, "preconditions"), "uid", o->uid);
        size_t len;
        AUTO(free) char *body = mjson_write(root, false, &len);
        make_write(c, "DELETE", kube_path(r, namespace_, name, NULL), "application/json", sv_new(body, len), ret);
        AUTO(str) struct str query = STR_INIT(0);
        if (ret->query)
                str_append_s(&query, ret->query);
        query_add(&query, "fieldSelector", o->field_selector);
        query_add(&query, "labelSelector", o->label_selector);
        free(TAKE(ret->query));
        take_query(ret, &query);
}

/* ---- blocking ---- */

static int send_for_doc(struct kube_client *c, struct kube_request *q, yyjson_doc **ret, struct err *err) {
        AUTO(kube_reply) struct kube_reply reply = {0};
        int r = kube_call_wait(c, q, &reply, err);
        kube_request_done(q);
        if (r < 0)
                return r;
        if (ret)
                *ret = TAKE(reply.doc);
        return 0;
}

int kube_get(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name, yyjson_doc **ret,
             struct err *err) {
        struct kube_request q;
        kube_make_get(r, namespace_, name, &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_create(struct kube_client *c, const struct kube_resource *r, const char *namespace_, yyjson_mut_val *object, yyjson_doc **ret,
                struct err *err) {
        size_t len;
        AUTO(free) char *body = mjson_write(object, false, &len);
        struct kube_request q;
        kube_make_create(c, r, namespace_, sv_new(body, len), &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_update(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name, yyjson_mut_val *object,
                yyjson_doc **ret, struct err *err) {
        size_t len;
        AUTO(free) char *body = mjson_write(object, false, &len);
        struct kube_request q;
        kube_make_update(c, r, namespace_, name, NULL, sv_new(body, len), &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_patch(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name, const char *subresource,
               enum kube_patch_type type, struct sv body, yyjson_doc **ret, struct err *err) {
        struct kube_request q;
        kube_make_patch(c, r, namespace_, name, subresource, type, body, false, &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_apply(struct kube_client *c, const struct kube_resource *r, const char *namespace_, yyjson_mut_val *object, yyjson_doc **ret,
               struct err *err) {
        const char *name = mmeta_name(object);
        if (!name)
                return err_set(err, -EINVAL, "an object to apply has no metadata.name");
        size_t len;
        AUTO(free) char *body = mjson_write(object, false, &len);
        struct kube_request q;
        kube_make_patch(c, r, namespace_, name, NULL, KUBE_PATCH_APPLY, sv_new(body, len), true, &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_delete(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                const struct kube_delete_options *o, yyjson_doc **ret, struct err *err) {
        struct kube_request q;
        kube_make_delete(c, r, namespace_, name, o, &q);
        return send_for_doc(c, &q, ret, err);
}

int kube_delete_collection(struct kube_client *c, const struct kube_resource *r, const char *namespace_,
                           const struct kube_delete_options *o, struct err *err) {
        struct kube_request q;
        kube_make_delete(c, r, namespace_, NULL, o, &q);
        return send_for_doc(c, &q, NULL, err);
}

/* ---- lists in pages ---- */

struct kube_listing {
        struct kube_client *client;
        const struct kube_resource *resource;
        char *namespace_, *label_selector, *field_selector;
        int limit;
        void (*done)(void *arg, yyjson_doc *list, const struct err *err);
        void *arg;
        struct kube_call *call;
        yyjson_mut_doc *list; /* the pages so far; NULL while one page may be all */
};

static void listing_free(struct kube_listing *l) {
        kube_call_cancel(l->call);
        free(l->namespace_);
        free(l->label_selector);
        free(l->field_selector);
        yyjson_mut_doc_free(l->list);
        free(l);
}

void kube_list_cancel(struct kube_listing *l) {
        if (l)
                listing_free(l);
}

static void listing_end(struct kube_listing *l, yyjson_doc *list, const struct err *err) {
        void (*done)(void *, yyjson_doc *, const struct err *) = l->done;
        void *arg = l->arg;
        listing_free(l);
        done(arg, list, err);
}

static void next_page(struct kube_listing *l, const char *continue_);

/* Adds a page to what is there; the metadata of the last page is that of the whole list. */
static void add_page(struct kube_listing *l, yyjson_val *page) {
        if (!l->list) {
                l->list = json_thaw(page);
                return;
        }
        yyjson_mut_val *root = yyjson_mut_doc_get_root(l->list), *items = mjson_arr(l->list, root, "items");
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(yyjson_obj_get(page, "items"), i, n, item) {
                yyjson_mut_arr_append(items, yyjson_val_mut_copy(l->list, item));
        }
        mjson_set(l->list, root, "metadata", yyjson_val_mut_copy(l->list, yyjson_obj_get(page, "metadata")));
}

static void on_page(void *arg, struct kube_reply *reply, const struct err *err) {
        struct kube_listing *l = arg;
        l->call = NULL;
        if (err && err->http_status == 410 && l->list) {
                yyjson_mut_doc_free(TAKE(l->list));
                l->limit = -1;
                next_page(l, NULL);
                return;
        }
        if (err) {
                listing_end(l, NULL, err);
                return;
        }
        yyjson_val *page = yyjson_doc_get_root(reply->doc);
        const char *continue_ = json_str_at(page, "/metadata/continue");
        bool more = continue_ && *continue_;
        if (!more && !l->list) {
                listing_end(l, TAKE(reply->doc), NULL);
                return;
        }
        add_page(l, page);
        if (more)
                next_page(l, continue_);
        else
                listing_end(l, mjson_freeze(yyjson_mut_doc_get_root(l->list)), NULL);
}

static void next_page(struct kube_listing *l, const char *continue_) {
        AUTO(kube_request) struct kube_request q = {0};
        struct kube_list_options o = {.label_selector = l->label_selector, .field_selector = l->field_selector, .limit = l->limit};
        kube_make_list(l->resource, l->namespace_, &o, continue_, &q);
        l->call = kube_call_start(l->client, &q, on_page, l);
}

struct kube_listing *kube_list_start(struct kube_client *c, const struct kube_resource *r, const char *namespace_,
                                     const struct kube_list_options *o, void (*done)(void *arg, yyjson_doc *list, const struct err *err),
                                     void *arg) {
        struct kube_listing *l = NEW(struct kube_listing);
        l->client = c;
        l->resource = r;
        l->namespace_ = xstrdup_null(namespace_);
        if (o) {
                l->label_selector = xstrdup_null(o->label_selector);
                l->field_selector = xstrdup_null(o->field_selector);
                l->limit = o->limit;
        }
        l->done = done;
        l->arg = arg;
        next_page(l, NULL);
        return l;
}

struct waiting_list {
        bool is_done;
        yyjson_doc *list;
        struct err err;
};

static void on_list(void *arg, yyjson_doc *list, const struct err *err) {
        struct waiting_list *w = arg;
        w->is_done = true;
        w->list = list;
        if (err)
                err_copy(&w->err, err);
}

int kube_list(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const struct kube_list_options *o,
              yyjson_doc **ret, struct err *err) {
        struct waiting_list w = {0};
        struct kube_listing *l = kube_list_start(c, r, namespace_, o, on_list, &w);
        loop_run_until(kube_client_loop(c), &w.is_done);
        if (!w.is_done) {
                kube_list_cancel(l);
                return err_set(err, -EINTR, "interrupted while listing %s", r->plural);
        }
        if (w.err.code < 0)
                return err_move(err, &w.err);
        *ret = w.list;
        return 0;
}
