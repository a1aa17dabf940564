/* Namespaces that are being deleted: first everything in them, then they themselves. */
#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "base/log.h"
#include "cluster/ops.h"

enum { AGAIN_MS = 100 };

struct namespaces {
        struct control *c;
        struct queue *queue;
};

/* What is left in a namespace. */
struct left {
        size_t objects, resources;
        struct str remaining, finalizers;
};

static void note_left(struct left *l, const char *id, const struct object_list *list) {
        struct strv names = {0};
        l->objects += list->len;
        str_appendf(&l->remaining, "%s%s has %zu resource instances", l->resources++ ? ", " : "", id, list->len);
        vec_foreach(o, list) {
                size_t i, max;
                yyjson_val *f;
                yyjson_arr_foreach(meta_finalizers(object_root(*o)), i, max, f) {
                        if (!strv_has(&names, yyjson_get_str(f)))
                                strv_add(&names, yyjson_get_str(f));
                }
        }
        for (size_t i = 0; i < names.len; i++) {
                size_t count = 0;
                vec_foreach(o, list) count += meta_has_finalizer(object_root(*o), names.items[i]);
                str_appendf(&l->finalizers, "%s%s in %zu resource instances", l->finalizers.len ? ", " : "", names.items[i], count);
        }
        strv_done(&names);
}

/* Asks all of one kind to go; what is then still there is noted. */
static void empty_resource(struct namespaces *s, const struct resource *res, const char *ns, struct left *l) {
        AUTO(object_list) struct object_list all = {0}, still = {0};
        if (api_list(s->c->api, res->id, ns, NULL, NULL, &all, NULL) < 0)
                return;
        vec_foreach(o, &all) {
                struct api_delete_options options = API_DELETE_DEFAULT;
                AUTO(err) struct err why = ERR_INIT;
                options.propagation = "Background";
                if (!object_is_deleting(*o) && api_delete(s->c->api, res->id, ns, (*o)->name, &options, &why) < 0 && why.http_status != 404)
                        log_debug("emptying namespace %s: %s %s: %s", ns, res->id, (*o)->name, err_message(&why));
                object_rest(*o, 1);
        }
        if (api_list(s->c->api, res->id, ns, NULL, NULL, &still, NULL) > 0) {
                AUTO(free) char *name = *res->group ? xasprintf("%s.%s", res->plural, res->group) : xasprintf("%s.", res->plural);
                note_left(l, name, &still);
        }
}

static int report(struct namespaces *s, const struct object *ns, const struct left *l, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(ns);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        int64_t now = clock_now_ms();
        AUTO(free) char *remaining = xasprintf("Some resources are remaining: %s", str_cstr(&l->remaining));
        AUTO(free) char *held = xasprintf("Some content in the namespace has finalizers remaining: %s", str_cstr(&l->finalizers));
        mmeta_set_condition(doc, root, "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
                            "All resources successfully discovered", now);
        mmeta_set_condition(doc, root, "NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
                            "All legacy kube types successfully parsed", now);
        mmeta_set_condition(doc, root, "NamespaceDeletionContentFailure", "False", "ContentDeleted",
                            "All content successfully deleted, may be waiting on finalization", now);
        mmeta_set_condition(doc, root, "NamespaceContentRemaining", l->objects ? "True" : "False",
                            l->objects ? "SomeResourcesRemain" : "ContentRemoved",
                            l->objects ? remaining : "All content successfully removed", now);
        mmeta_set_condition(doc, root, "NamespaceFinalizersRemaining", l->finalizers.len ? "True" : "False",
                            l->finalizers.len ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
                            l->finalizers.len ? held : "All content-preserving finalizers finished", now);
        return write_status(s->c, "namespaces", ns, root, err);
}

/* Takes our finalizer off; the server then removes the namespace unless others hold it. */
static int finalize(struct namespaces *s, const char *name, struct err *err) {
        struct object *found = api_peek(s->c->api, "namespaces", NULL, name);
        if (!found)
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(found);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *list = mjson_at(root, "/spec/finalizers");
        AUTO(object) struct object *written = NULL;
        struct op op = {.s = s->c->server,
                        .res = found->resource,
                        .ns = "",
                        .name = name,
                        .subresource = "finalize",
                        .manager = s->c->row->component,
                        .validation = FIELDS_IGNORE};
        for (size_t i = yyjson_mut_arr_size(list); i-- > 0;)
                if (yyjson_mut_equals_str(yyjson_mut_arr_get(list, i), "kubernetes"))
                        yyjson_mut_arr_remove(list, i);
        mmeta_set(doc, root, "resourceVersion", NULL);
        return op_update(&op, doc, root, &written, NULL, err);
}

static int reconcile(void *arg, const char *unused, const char *name, struct err *err) {
        struct namespaces *s = arg;
        struct object *found = api_peek(s->c->api, "namespaces", NULL, name);
        AUTO(object) struct object *ns = found ? object_ref(found) : NULL;
        struct left l = {.remaining = STR_INIT(8192), .finalizers = STR_INIT(8192)};
        if (!ns || !object_is_deleting(ns) || !yyjson_arr_size(object_at(ns, "/spec/finalizers")))
                return 0;
        vec_foreach(r, &s->c->server->registry.all) {
                const struct resource *res = *r;
                if (res->objects && res->is_served && res->storage == res && resource_is_namespaced(res) && (res->verbs & VERB_DELETE) &&
                    !streq(res->id, "events.events.k8s.io"))
                        empty_resource(s, res, name, &l);
        }
        int e = report(s, ns, &l, err);
        if (e >= 0)
                e = l.objects ? AGAIN_MS : finalize(s, name, err);
        str_done(&l.remaining);
        str_done(&l.finalizers);
        return e;
}

static void *start(struct control *c) {
        struct namespaces *s = NEW(struct namespaces);
        s->c = c;
        s->queue = queue_new(c->api, "namespace", reconcile, s);
        api_watch_start(c->api, "namespaces", NULL, NULL, NULL, queue_on_object, s->queue);
        return s;
}

static void stop(void *state) {
        struct namespaces *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_namespace = {"namespace", "namespace-controller", start, stop};
