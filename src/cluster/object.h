/* An object of the embedded cluster: one version of one Kubernetes object, immutable and counted.
 *
 * What is kept is its JSON text, and beside it the few fields that whole namespaces are searched by: identity, labels, controller, node,
 * phase. All of it is one allocation and answers without a look into the document. The parsed document is made when somebody asks for it
 * (object_root() and everything built on it); those of stored objects are a bounded cache (cluster/documents.h), those of
 * others (a dry run's answer) stay as long as the object.
 *
 * Two kinds of references. object_ref() holds the version with its document, once that is there: what is borrowed from it stays valid until
 * object_unref(). object_hold() holds the version and its text alone: for those who keep many, the store, its history and its log. What is
 * borrowed from an object without a reference (from the store, in a callback) is valid until the call that borrowed returns to the loop and
 * nothing was written meanwhile. So: whoever keeps an object past the current call takes a reference with object_ref().
 *
 * Loop thread only (the counts are not atomic); the commit worker reads text, namespace, name and revision while the store holds a
 * reference.
 */
#ifndef FIRESTEEL_CLUSTER_OBJECT_H
#define FIRESTEEL_CLUSTER_OBJECT_H

#include "codec/json.h"
#include "kobj/selector.h"

struct resource;  /* cluster/registry.h */
struct documents; /* cluster/documents.h */

struct object {
        unsigned refs;    /* of both kinds */
        unsigned holders; /* of them those of object_ref() */
        const struct resource *resource; /* the kind; outlives the object */
        uint64_t revision;               /* metadata.resourceVersion as a number */
        size_t json_len;
        /* Never NULL ("" when absent). */
        const char *namespace, *name, *uid;
        /* The ownerReference with controller=true; all NULL when there is none. */
        const char *owner_kind, *owner_name, *owner_uid;
        const char *node, *phase; /* spec.nodeName and status.phase of any kind, "" when absent */
        const char *labels;       /* key and value in turn, each with its NUL */
        int64_t created_ms;       /* 0 when absent */
        unsigned n_labels;
        bool is_deleting; /* metadata.deletionTimestamp is set */
        bool has_owners;  /* metadata.ownerReferences is not empty */
        /* The document, private to object.c and documents.c; NULL: to be parsed. */
        bool is_used;
        yyjson_doc *doc;
        struct documents *documents; /* the cache; NULL: not stored */
        struct object *older, *newer;
        char json[]; /* complete object, apiVersion and kind included; then the strings above */
};

/* Takes `doc`, whose root must be an object with metadata. */
struct object *object_new(const struct resource *resource, uint64_t revision, yyjson_doc *doc);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
DEFINE_AUTO_PTR(object, struct object, object_unref)
struct object *object_hold(struct object *o);
void object_release(struct object *o);
/* For those who go through many objects in one turn of the loop: drops the document now, unless there are references beyond `mine` of
 * object_ref(). Only where no caller up the stack can have borrowed from it. */
void object_rest(struct object *o, unsigned mine);

/* The JSON after `{"kind":...,"apiVersion":...,`: what items of typed lists are made of, with a '{' before it. */
struct sv object_body(const struct object *o);

yyjson_val *object_parse_(struct object *o);
static inline yyjson_val *object_root(const struct object *o) {
        struct object *mutable = (struct object *)o; /* the document is a cache: parsing changes nothing that anybody sees */
        mutable->is_used = true;
        return o->doc ? yyjson_doc_get_root(o->doc) : object_parse_(mutable);
}
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
bool object_matches(const struct object *o, const struct selector *labels);
const char *object_annotation(const struct object *o, const char *key);
static inline bool object_is_deleting(const struct object *o) { return o->is_deleting; }
static inline bool object_is_controlled_by(const struct object *o, const char *uid) { return o->owner_uid && streq(o->owner_uid, uid); }
/* The phase is Succeeded or Failed: of pods. */
static inline bool object_is_finished(const struct object *o) { return streq(o->phase, "Succeeded") || streq(o->phase, "Failed"); }
static inline bool object_is_active(const struct object *o) { return !object_is_finished(o) && !object_is_deleting(o); }
/* The owner with controller=true, or NULL. */
yyjson_val *object_controller(const struct object *o);
/* An editable copy, for api_update(). */
static inline yyjson_mut_doc *object_edit(const struct object *o) { return json_thaw(object_root(o)); }

/* A look into a document that leaves nothing behind: for walks over whole collections. Valid while the object is. */
struct object_view {
        yyjson_val *root;
        yyjson_doc *own;
};
struct object_view object_view(const struct object *o);
static inline void object_view_done(struct object_view *v) { yyjson_doc_free(v->own); }
DEFINE_AUTO_VALUE(object_view, struct object_view, object_view_done)

/* A list of references (object_ref). */
struct object_list {
        struct object **items;
        size_t len, cap;
        uint64_t revision; /* of the state listed */
};
void object_list_add(struct object_list *l, struct object *o); /* takes a reference of its own */
void object_list_done(struct object_list *l);
DEFINE_AUTO_VALUE(object_list, struct object_list, object_list_done)

#endif
