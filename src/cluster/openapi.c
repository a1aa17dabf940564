/* OpenAPI v3, one document a group and version: enough for `kubectl apply`, which wants to see that PATCH takes fieldValidation, and for
 * `kubectl explain`, which walks the schemas. Schemas of built-in kinds come from the table of types, those of custom resources from their
 * definition; descriptions are left out. Documents are made on demand and kept until the registry changes. */
#include "base/map.h"
#include "cluster/discovery.h"
#include "codec/sha256.h"

struct discovery_cache {
        uint64_t revision;
        struct map documents; /* "api/v1" -> text */
};

void discovery_cache_free(struct discovery_cache *c) {
        if (!c)
                return;
        map_done(&c->documents);
        free(c);
}

struct writer {
        yyjson_mut_doc *doc;
        yyjson_mut_val *schemas;
        struct map done; /* type names written or waiting */
        VEC(const struct schema_type *) todo;
};

static const struct {
        const char *type, *format;
} scalars[] = {
        [SCHEMA_STRING] = {"string", NULL},
        [SCHEMA_BOOL] = {"boolean", NULL},
        [SCHEMA_INT32] = {"integer", "int32"},
        [SCHEMA_INT64] = {"integer", "int64"},
        [SCHEMA_DOUBLE] = {"number", "double"},
        [SCHEMA_BYTES] = {"string", "byte"},
        [SCHEMA_QUANTITY] = {"string", NULL},
        [SCHEMA_TIME] = {"string", "date-time"},
        [SCHEMA_MICRO_TIME] = {"string", "date-time"},
        [SCHEMA_DURATION] = {"string", NULL},
        [SCHEMA_INT_OR_STRING] = {"string", "int-or-string"},
        [SCHEMA_OBJECT] = {"object", NULL},
};

/* Go names are not unique over groups: the number tells them apart; clients show the last part. */
static char *schema_name(const struct schema_type *type) { return xasprintf("io.k8s.t%td.%s", type - schema_types, type->name); }

static yyjson_mut_val *reference(struct writer *w, const struct schema_type *type) {
        AUTO(free) char *name = schema_name(type), *path = xasprintf("#/components/schemas/%s", name);
        yyjson_mut_val *o = yyjson_mut_obj(w->doc);
        if (!map_has(&w->done, name)) {
                map_set(&w->done, name, w);
                *vec_push(&w->todo) = type;
        }
        mjson_set_str(w->doc, o, "$ref", path);
        return o;
}

static yyjson_mut_val *value_schema(struct writer *w, const struct schema_field *f) {
        yyjson_mut_val *o, *outer;
        if (f->kind == SCHEMA_OBJECT) {
                yyjson_mut_val *all = yyjson_mut_arr(w->doc);
                o = yyjson_mut_obj(w->doc);
                yyjson_mut_arr_append(all, reference(w, &schema_types[f->type]));
                mjson_set(w->doc, o, "allOf", all);
        } else {
                o = yyjson_mut_obj(w->doc);
                if (f->kind < ARRAY_LEN(scalars) && scalars[f->kind].type) {
                        mjson_set_str(w->doc, o, "type", scalars[f->kind].type);
                        mjson_set_str(w->doc, o, "format", scalars[f->kind].format);
                } else {
                        mjson_set_str(w->doc, o, "type", "object");
                }
        }
        if (!(f->flags & (SCHEMA_F_LIST | SCHEMA_F_MAP)))
                return o;
        outer = yyjson_mut_obj(w->doc);
        mjson_set_str(w->doc, outer, "type", f->flags & SCHEMA_F_LIST ? "array" : "object");
        mjson_set(w->doc, outer, f->flags & SCHEMA_F_LIST ? "items" : "additionalProperties", o);
        return outer;
}

static void add_properties(struct writer *w, yyjson_mut_val *properties, const struct schema_type *type) {
        for (size_t i = 0; i < type->len; i++) {
                const struct schema_field *f = &type->fields[i];
                if (f->flags & SCHEMA_F_INLINE)
                        add_properties(w, properties, &schema_types[f->type]);
                else
                        mjson_set(w->doc, properties, f->name, value_schema(w, f));
        }
}

static yyjson_mut_val *type_schema(struct writer *w, const struct schema_type *type) {
        yyjson_mut_val *o = yyjson_mut_obj(w->doc);
        mjson_set_str(w->doc, o, "type", "object");
        add_properties(w, mjson_obj(w->doc, o, "properties"), type);
        return o;
}

static yyjson_mut_val *gvk(struct writer *w, const struct resource *res) {
        yyjson_mut_val *o = yyjson_mut_obj(w->doc);
        mjson_set_str(w->doc, o, "group", res->group);
        mjson_set_str(w->doc, o, "version", res->version);
        mjson_set_str(w->doc, o, "kind", res->kind);
        return o;
}

static void add_string_property(struct writer *w, yyjson_mut_val *properties, const char *name) {
        mjson_set_str(w->doc, mjson_obj(w->doc, properties, name), "type", "string");
}

/* The schema of the kind itself; returns its path. */
static char *add_kind(struct writer *w, const struct resource *res) {
        AUTO(free) char *name = xasprintf("io.k8s.api.%s.%s.%s", *res->group ? res->group : "core", res->version, res->kind);
        yyjson_mut_val *o, *properties, *list = yyjson_mut_arr(w->doc);

        if (res->is_custom) {
                yyjson_val *schema = json_at(res->crd_version, "/schema/openAPIV3Schema");
                o = schema ? yyjson_val_mut_copy(w->doc, schema) : yyjson_mut_obj(w->doc);
                properties = mjson_obj(w->doc, o, "properties");
                mjson_set(w->doc, properties, "metadata", reference(w, schema_of_type("ObjectMeta").type));
        } else {
                o = res->schema.type ? type_schema(w, res->schema.type) : yyjson_mut_obj(w->doc);
                properties = mjson_obj(w->doc, o, "properties");
        }
        add_string_property(w, properties, "apiVersion");
        add_string_property(w, properties, "kind");
        yyjson_mut_arr_append(list, gvk(w, res));
        mjson_set(w->doc, o, "x-kubernetes-group-version-kind", list);
        mjson_set(w->doc, w->schemas, name, o);
        return xasprintf("#/components/schemas/%s", name);
}

static void add_parameter(struct writer *w, yyjson_mut_val *operation, const char *name) {
        yyjson_mut_val *p = yyjson_mut_obj(w->doc);
        mjson_set_str(w->doc, p, "name", name);
        mjson_set_str(w->doc, p, "in", "query");
        mjson_set_str(w->doc, mjson_obj(w->doc, p, "schema"), "type", "string");
        yyjson_mut_arr_append(mjson_arr(w->doc, operation, "parameters"), p);
}

static void add_operation(struct writer *w, yyjson_mut_val *path, const struct resource *res, const char *method, const char *action,
                          bool writes, const char *schema) {
        yyjson_mut_val *o = mjson_obj(w->doc, path, method);
        mjson_set_str(w->doc, o, "x-kubernetes-action", action);
        mjson_set(w->doc, o, "x-kubernetes-group-version-kind", gvk(w, res));
        if (writes) {
                add_parameter(w, o, "dryRun");
                add_parameter(w, o, "fieldManager");
                add_parameter(w, o, "fieldValidation");
        }
        yyjson_mut_val *ok = mjson_obj(w->doc, mjson_obj(w->doc, o, "responses"), "200");
        mjson_set_str(w->doc, ok, "description", "OK");
        mjson_set_str(w->doc, mjson_obj(w->doc, mjson_obj(w->doc, mjson_obj(w->doc, ok, "content"), "application/json"), "schema"), "$ref",
                      schema);
}

static void add_paths(struct writer *w, yyjson_mut_val *paths, const struct resource *res, const char *base) {
        AUTO(free) char *schema = add_kind(w, res), *all = NULL, *one = NULL;
        const char *ns = resource_is_namespaced(res) ? "/namespaces/{namespace}" : "";
        all = xasprintf("/%s%s/%s", base, ns, res->plural);
        one = xasprintf("%s/{name}", all);
        if (res->verbs & VERB_CREATE)
                add_operation(w, mjson_obj(w->doc, paths, all), res, "post", "post", true, schema);
        if (res->verbs & VERB_GET)
                add_operation(w, mjson_obj(w->doc, paths, one), res, "get", "get", false, schema);
        if (res->verbs & VERB_UPDATE)
                add_operation(w, mjson_obj(w->doc, paths, one), res, "put", "put", true, schema);
        if (res->verbs & VERB_PATCH)
                add_operation(w, mjson_obj(w->doc, paths, one), res, "patch", "patch", true, schema);
}

static char *document(const struct api_version *v, const char *base) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct writer w = {.doc = doc, .done = MAP_INIT(NULL)};
        yyjson_mut_val *root = yyjson_mut_obj(doc), *info, *paths;

        mjson_set_str(doc, root, "openapi", "3.0.0");
        info = mjson_obj(doc, root, "info");
        mjson_set_str(doc, info, "title", "Kubernetes");
        mjson_set_str(doc, info, "version", "v1.34.10");
        paths = mjson_obj(doc, root, "paths");
        w.schemas = mjson_obj(doc, mjson_obj(doc, root, "components"), "schemas");
        for (size_t i = 0; i < v->resources.len; i++)
                add_paths(&w, paths, v->resources.items[i], base);
        while (w.todo.len) {
                const struct schema_type *type = w.todo.items[--w.todo.len];
                AUTO(free) char *name = schema_name(type);
                mjson_set(doc, w.schemas, name, type_schema(&w, type));
        }
        vec_done(&w.todo);
        map_done(&w.done);
        return mjson_write(root, false, NULL);
}

static const char *cached(struct apiserver *s, const struct api_version *v, const char *base) {
        if (!s->discovery) {
                s->discovery = NEW(struct discovery_cache);
                s->discovery->documents = MAP_INIT(free);
        }
        if (s->discovery->revision != s->registry.revision) {
                map_clear(&s->discovery->documents);
                s->discovery->revision = s->registry.revision;
        }
        if (!map_has(&s->discovery->documents, base))
                map_set(&s->discovery->documents, base, document(v, base));
        return map_get(&s->discovery->documents, base);
}

static void list_documents(struct request *q) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *paths = mjson_obj(doc, root, "paths");
        const struct registry *r = &q->s->registry;
        for (size_t i = 0; i < r->groups.len; i++)
                vec_foreach(v, &r->groups.items[i]->versions) {
                        const char *group = r->groups.items[i]->name;
                        AUTO(free) char *base = *group ? xasprintf("apis/%s/%s", group, v->name) : xasprintf("api/%s", v->name);
                        /* The hash tells clients when to fetch again: it follows the registry, not the text. */
                        AUTO(free) char *seed = xasprintf("%s %s %llu %zu", FIRESTEEL_VERSION, base, (unsigned long long)r->revision,
                                                          v->resources.len),
                                        *url = NULL;
                        char hash[SHA256_HEX_SIZE];
                        sha256_hex(sv_of(seed), hash);
                        url = xasprintf("/openapi/v3/%s?hash=%s", base, hash);
                        mjson_set_str(doc, mjson_obj(doc, paths, base), "serverRelativeURL", url);
                }
        answer_json(q, 200, root, 0);
}

int openapi_serve(struct request *q, struct err *err) {
        const struct strv *p = &q->parts;
        const char *group = "", *version = NULL;
        const struct api_version *v;
        AUTO(free) char *base = NULL;
        AUTO(str) struct str body = STR_INIT(0);
        (void)err;

        if (p->len < 2 || !streq(p->items[1], "v3"))
                return -ENOENT;
        if (p->len == 2) {
                list_documents(q);
                return 0;
        }
        if (p->len == 4 && streq(p->items[2], "api"))
                version = p->items[3];
        else if (p->len == 5 && streq(p->items[2], "apis"))
                group = p->items[3], version = p->items[4];
        v = version ? registry_version(&q->s->registry, group, version) : NULL;
        if (!v)
                return -ENOENT;
        base = *group ? xasprintf("apis/%s/%s", group, version) : xasprintf("api/%s", version);
        str_append_s(&body, cached(q->s, v, base));
        answer(q, 200, "application/json", &body, 0);
        return 0;
}
