/* What is particular about a kind: defaults, rules, and what happens to it on its way into the store.
 *
 * Hooks see objects after decoding (decode.h), so fields have the types their schema says. Every member may be NULL.
 * Order on create: defaults, admission, prepare_create, validate. On update: defaults, prepare_update, validate, validate_update.
 */
#ifndef FIRESTEEL_CLUSTER_HOOKS_H
#define FIRESTEEL_CLUSTER_HOOKS_H

#include "cluster/object.h"
#include "kobj/invalid.h"

struct apiserver;
struct resource;

/* An object on its way in: what hooks and admission work on. */
struct draft {
        struct apiserver *server;
        const struct resource *resource;
        const char *ns;          /* "" for cluster-scoped kinds */
        const char *subresource; /* NULL: the main resource */
        yyjson_mut_doc *doc;
        yyjson_mut_val *root;
        struct object *old; /* the stored version; NULL on create. Borrowed */
        bool is_dry_run;
};

struct kind_hooks {
        void (*defaults)(struct draft *d);
        /* System fields, status reset; err for what is refused with a status of its own. */
        int (*prepare_create)(struct draft *d, struct err *err);
        int (*prepare_update)(struct draft *d, struct err *err);
        void (*prepare_delete)(struct draft *d); /* may add finalizers and status to what is about to be deleted */
        void (*validate)(const struct draft *d, yyjson_val *object, struct invalid *bad);
        void (*validate_update)(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad);
        const char *storage_id; /* collection that is shared with another group ("events"); NULL: its own */
        /* Between this version and the stored one, for a kind whose versions differ in more than their name. */
        void (*from_storage)(yyjson_mut_doc *doc, yyjson_mut_val *root);
        void (*to_storage)(yyjson_mut_doc *doc, yyjson_mut_val *root);
        /* After it is in memory (not yet durable): indexes and derived state. object NULL on deletion, old NULL on create. */
        void (*applied)(struct apiserver *server, struct object *object, struct object *old);
};

#endif
