/* An object of the embedded cluster: one version of one Kubernetes object, immutable and counted.
 *
 * The parsed document and the serialised JSON are made once, when the version is written, and shared by the
 * store, watchers, lists and callers. Whoever keeps an object past the current call takes a reference. Loop
 * thread only (the count is not atomic); the commit worker reads the text while the store holds a reference.
 */
#ifndef FIRESTEEL_CLUSTER_OBJECT_H
#define FIRESTEEL_CLUSTER_OBJECT_H

#include "codec/json.h"

struct resource; /* cluster/registry.h */

struct object {
        unsigned refs;
        const struct resource *resource; /* the kind; outlives the object */
        uint64_t revision;               /* metadata.resourceVersion as a number */
        yyjson_doc *doc;
        char *json; /* complete object, apiVersion and kind included */
        size_t json_len;
        /* Borrowed from doc; never NULL ("" when absent). */
        const char *namespace, *name, *uid;
};

/* Takes `doc`, whose root must be an object with metadata. */
struct object *object_new(const struct resource *resource, uint64_t revision, yyjson_doc *doc);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
DEFINE_AUTO_PTR(object, struct object, object_unref)

/* The JSON after `{"kind":...,"apiVersion":...,`: what items of typed lists are made of, with a '{' before it. */
struct sv object_body(const struct object *o);

static inline yyjson_val *object_root(const struct object *o) { return yyjson_doc_get_root(o->doc); }
static inline struct sv object_text(const struct object *o) { return sv_new(o->json, o->json_len); }
static inline const char *object_str(const struct object *o, const char *pointer) { return json_str_at(object_root(o), pointer); }
static inline int64_t object_int(const struct object *o, const char *pointer, int64_t otherwise) {
        return json_int_at(object_root(o), pointer, otherwise);
}
static inline bool object_bool(const struct object *o, const char *pointer, bool otherwise) {
        return json_bool_at(object_root(o), pointer, otherwise);
}
static inline yyjson_val *object_at(const struct object *o, const char *pointer) { return json_at(object_root(o), pointer); }
/* NULL when absent. */
const char *object_label(const struct object *o, const char *key);
const char *object_annotation(const struct object *o, const char *key);
static inline bool object_is_deleting(const struct object *o) { return object_at(o, "/metadata/deletionTimestamp") != NULL; }
/* The owner with controller=true, or NULL. */
yyjson_val *object_controller(const struct object *o);
/* An editable copy, for api_update(). */
static inline yyjson_mut_doc *object_edit(const struct object *o) { return json_thaw(object_root(o)); }

/* A list of references. */
struct object_list {
        struct object **items;
        size_t len, cap;
        uint64_t revision; /* of the state listed */
};
void object_list_add(struct object_list *l, struct object *o); /* takes a reference of its own */
void object_list_done(struct object_list *l);
DEFINE_AUTO_VALUE(object_list, struct object_list, object_list_done)

#endif
