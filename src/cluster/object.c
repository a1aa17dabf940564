#include "cluster/object.h"

#include "base/vec.h"
#include "cluster/registry.h"
#include "kobj/meta.h"

struct object *object_new(const struct resource *resource, uint64_t revision, yyjson_doc *doc) {
        struct object *o = NEW(struct object);
        yyjson_val *meta;

        o->refs = 1;
        o->resource = resource;
        o->revision = revision;
        o->doc = doc;
        /* The writer guesses the size from above, and a store keeps many thousands of these. */
        o->json = json_write(yyjson_doc_get_root(doc), false, &o->json_len);
        o->json = xrealloc(o->json, o->json_len + 1);
        meta = meta_of(yyjson_doc_get_root(doc));
        o->namespace = json_get_str(meta, "namespace");
        o->name = json_get_str(meta, "name");
        o->uid = json_get_str(meta, "uid");
        if (!o->namespace)
                o->namespace = "";
        if (!o->name)
                o->name = "";
        if (!o->uid)
                o->uid = "";
        return o;
}

struct object *object_ref(struct object *o) {
        if (o)
                o->refs++;
        return o;
}

void object_unref(struct object *o) {
        if (!o || --o->refs)
                return;
        yyjson_doc_free(o->doc);
        free(o->json);
        free(o);
}

struct sv object_body(const struct object *o) {
        size_t skip = o->resource ? o->resource->storage->prefix_len : 0;
        if (skip && o->json_len > skip && memcmp(o->json, o->resource->storage->prefix, skip) == 0)
                return sv_new(o->json + skip, o->json_len - skip);
        return sv_new(o->json + 1, o->json_len - 1);
}

const char *object_label(const struct object *o, const char *key) { return meta_label(object_root(o), key); }
const char *object_annotation(const struct object *o, const char *key) { return meta_annotation(object_root(o), key); }
yyjson_val *object_controller(const struct object *o) { return meta_controller(object_root(o)); }

void object_list_add(struct object_list *l, struct object *o) { *vec_push(l) = object_ref(o); }

void object_list_done(struct object_list *l) {
        for (size_t i = 0; i < l->len; i++)
                object_unref(l->items[i]);
        vec_done(l);
}
