#include "cluster/crd/crd.h"

#include <ctype.h>

#include "base/log.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/ops.h"
#include "cluster/crd/structural.h"
#include "codec/ktime.h"
#include "kobj/meta.h"
#include "kobj/table.h"

#define CLEANUP_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

/* Into the registry. */

/* ".spec.replicas" -> "/spec/replicas", owned by the caller. */
static char *pointer_of(const char *path) {
        AUTO(str) struct str out = STR_INIT(0);
        if (!path || !*path)
                return NULL;
        for (const char *p = path; *p; p++)
                str_append_c(&out, *p == '.' ? '/' : *p);
        return str_take(&out);
}

static const struct subresource *subresources_of(yyjson_val *version, const char *kind) {
        static const struct subresource none[] = {{0}};
        yyjson_val *subs = yyjson_obj_get(version, "subresources");
        struct subresource *list;
        size_t n = 0;

        if (!subs)
                return none;
        list = xcalloc(3, sizeof(*list));
        if (yyjson_obj_get(subs, "status"))
                list[n++] = (struct subresource){"status", kind, NULL, NULL, VERBS_EDIT};
        if (yyjson_obj_get(subs, "scale"))
                list[n++] = (struct subresource){"scale", "Scale", "autoscaling", "v1", VERBS_EDIT};
        return list;
}

static struct resource *make_resource(struct object *crd, yyjson_val *version) {
        struct resource *res = NEW(struct resource);
        yyjson_val *names = object_at(crd, "/spec/names"), *schema = json_at(version, "/schema/openAPIV3Schema"), *scale;

        res->is_custom = true;
        res->group = xstrdup(object_str(crd, "/spec/group"));
        res->version = xstrdup(json_get_str(version, "name"));
        res->plural = xstrdup(json_get_str(names, "plural"));
        res->singular = xstrdup(json_get_str(names, "singular"));
        res->kind = xstrdup(json_get_str(names, "kind"));
        res->list_kind = xstrdup(json_get_str(names, "listKind"));
        EACH(s, i, yyjson_obj_get(names, "shortNames")) strv_add(&res->short_names, yyjson_get_str(s));
        EACH(c, k, yyjson_obj_get(names, "categories")) strv_add(&res->categories, yyjson_get_str(c));
        res->flags = KIND_GENERATION | KIND_NEEDS_VERSION;
        if (streq(object_str(crd, "/spec/scope"), "Cluster"))
                res->flags |= KIND_CLUSTER;
        if (json_at(version, "/subresources/status"))
                res->flags |= KIND_STATUS;
        res->verbs = VERBS_ALL;
        res->crd = object_ref(crd);
        res->crd_version = version;
        res->subresources = subresources_of(version, res->kind);
        res->has_own_subresources = yyjson_obj_get(version, "subresources") != NULL;
        res->schema = schema_of_crd(schema);
        res->structural = structural_new(schema, object_bool(crd, "/spec/preserveUnknownFields", false));
        res->table = table_kind_from_crd(version);
        EACH(f, m, yyjson_obj_get(version, "selectableFields")) {
                const char *path = json_get_str(f, "jsonPath");
                strv_add(&res->selectable_fields, path && *path == '.' ? path + 1 : path ? path : "");
        }
        scale = json_at(version, "/subresources/scale");
        res->scale_spec = pointer_of(json_get_str(scale, "specReplicasPath"));
        res->scale_status = pointer_of(json_get_str(scale, "statusReplicasPath"));
        res->scale_selector = pointer_of(json_get_str(scale, "labelSelectorPath"));
        resource_finish(res);
        return res;
}

static void unregister(struct apiserver *s, const char *group, const char *plural) {
        for (size_t i = 0; i < s->registry.all.len; i++) {
                struct resource *res = s->registry.all.items[i];
                if (res->is_custom && res->is_served && streq(res->group, group) && streq(res->plural, plural))
                        registry_remove(&s->registry, res);
        }
}

static void register_versions(struct apiserver *s, struct object *crd) {
        VEC(struct resource *) made = {0};
        struct resource *storage = NULL;

        EACH(version, i, object_at(crd, "/spec/versions")) {
                struct resource *res = make_resource(crd, version);
                res->objects = store_collection(s->store, res->id);
                *vec_push(&made) = res;
                if (json_get_bool(version, "storage", false))
                        storage = res;
        }
        for (size_t i = 0; i < made.len; i++) {
                struct resource *res = made.items[i];
                res->storage = storage ? storage : res;
                registry_add(&s->registry, res);
                if (!json_get_bool(res->crd_version, "served", false) && res != storage)
                        registry_remove(&s->registry, res);
        }
        vec_done(&made);
}

void crd_follow(struct apiserver *s, struct object *crd, struct object *before) {
        struct resource *res;
        AUTO(err) struct err why = ERR_INIT;

        if (crd && before && json_equal(object_at(crd, "/spec"), object_at(before, "/spec")))
                return;
        if (before)
                unregister(s, object_str(before, "/spec/group"), object_str(before, "/spec/names/plural"));
        if (!crd)
                return;
        register_versions(s, crd);
        res = registry_by_id(&s->registry, crd->name);
        if (res && !s->is_ready && store_load(s->store, res->objects, res, &why) < 0)
                log_debug("%s", err_message(&why));
}

/* Defaults and rules. */

static void crd_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *names = mjson_obj(d->doc, spec, "names");
        const char *kind = mjson_get_str(names, "kind");

        if (kind && *kind) {
                AUTO(free) char *lower = xstrdup(kind), *list = xasprintf("%sList", kind);
                for (char *p = lower; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                default_str(d->doc, names, "singular", lower);
                default_str(d->doc, names, "listKind", list);
        }
        default_str(d->doc, mjson_obj(d->doc, spec, "conversion"), "strategy", "None");
}

static int crd_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *status = yyjson_mut_obj(d->doc), *stored = mjson_arr(d->doc, status, "storedVersions"), *names;
        (void)err;
        names = mjson_obj(d->doc, status, "acceptedNames");
        mjson_set_str(d->doc, names, "plural", "");
        mjson_set_str(d->doc, names, "kind", "");
        MUT_EACH(version, member_obj(d->root, "spec"), "versions") {
                if (mjson_get_bool(version, "storage", false))
                        mjson_add_str(d->doc, stored, mjson_get_str(version, "name"));
        }
        mjson_set(d->doc, d->root, "status", status);
        return 0;
}

static void set_condition(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *type, const char *reason, const char *message) {
        mmeta_set_condition(doc, root, type, "True", reason, message, clock_now_ms());
}

static void crd_prepare_delete(struct draft *d) {
        if (d->old && object_is_deleting(d->old))
                return;
        mmeta_add_finalizer(d->doc, d->root, CLEANUP_FINALIZER);
        set_condition(d->doc, d->root, "Terminating", "InstanceDeletionPending",
                      "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon");
}

static void crd_applied(struct apiserver *s, struct object *crd, struct object *old) { crd_follow(s, crd, old); }

const struct kind_hooks crd_hooks = {
        .defaults = crd_defaults,
        .prepare_create = crd_prepare_create,
        .prepare_delete = crd_prepare_delete,
        .validate = crd_validate,
        .validate_update = crd_validate_update,
        .applied = crd_applied,
};

/* The controller. */

struct crd_controller {
        struct apiserver *s;
        struct api *api;
        struct timer *retry; /* while custom resources with finalizers hold up a deletion */
};

static void accept_names(struct crd_controller *c, struct object *crd) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(crd);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status"),
                       *names = mjson_at(root, "/spec/names");
        AUTO(err) struct err why = ERR_INIT;

        mjson_set(doc, status, "acceptedNames", yyjson_mut_val_mut_copy(doc, names));
        set_condition(doc, root, "NamesAccepted", "NoConflicts", "no conflicts found");
        set_condition(doc, root, "Established", "InitialNamesAccepted", "the initial names have been accepted");
        if (api_update_status(c->api, "customresourcedefinitions.apiextensions.k8s.io", root, NULL, &why) < 0)
                log_debug("accepting the names of %s: %s", crd->name, err_message(&why));
}

static void clean_up(struct crd_controller *c, struct object *crd) {
        struct resource *res = registry_by_id(&c->s->registry, crd->name);
        AUTO(object_list) struct object_list all = {0};
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(err) struct err why = ERR_INIT;

        for (size_t i = 0; res && i < res->objects->len; i++)
                object_list_add(&all, res->objects->items[i]);
        for (size_t i = 0; i < all.len; i++)
                if (api_delete(c->api, crd->name, all.items[i]->namespace, all.items[i]->name, NULL, &why) < 0)
                        log_debug("deleting %s %s: %s", crd->name, all.items[i]->name, err_message(&why));
        if (res && res->objects->len) {
                timer_again(c->retry, 500, 0);
                return;
        }
        doc = object_edit(crd);
        mmeta_remove_finalizer(yyjson_mut_doc_get_root(doc), CLEANUP_FINALIZER);
        if (api_update(c->api, "customresourcedefinitions.apiextensions.k8s.io", yyjson_mut_doc_get_root(doc), NULL, &why) < 0)
                log_debug("finishing the deletion of %s: %s", crd->name, err_message(&why));
}

static void each_deleting(void *arg) {
        struct crd_controller *c = arg;
        struct collection *all = registry_by_id(&c->s->registry, "customresourcedefinitions.apiextensions.k8s.io")->objects;
        AUTO(object_list) struct object_list list = {0};
        for (size_t i = 0; i < all->len; i++)
                if (object_is_deleting(all->items[i]))
                        object_list_add(&list, all->items[i]);
        for (size_t i = 0; i < list.len; i++)
                clean_up(c, list.items[i]);
}

static void on_crd(void *arg, const struct api_event *e) {
        struct crd_controller *c = arg;
        if (e->type == API_SYNCED || e->type == API_DELETED)
                return;
        if (object_is_deleting(e->object))
                clean_up(c, e->object);
        else if (!meta_condition_is(object_root(e->object), "Established", "True"))
                accept_names(c, e->object);
}

struct crd_controller *crd_controller_new(struct apiserver *s) {
        struct crd_controller *c = NEW(struct crd_controller);
        c->s = s;
        c->api = api_new(s, "kube-apiserver");
        c->retry = timer_new(s->loop, 1 << 30, 0, each_deleting, c);
        api_watch_start(c->api, "customresourcedefinitions.apiextensions.k8s.io", NULL, NULL, NULL, on_crd, c);
        return c;
}

void crd_controller_free(struct crd_controller *c) {
        if (!c)
                return;
        timer_free(c->retry);
        api_free(c->api);
        free(c);
}
