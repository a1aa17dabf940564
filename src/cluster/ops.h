/* The verbs of the API, without HTTP: what both the in-process API and the HTTP verbs call.
 *
 * Each checks, applies to memory and returns; durability is the store's affair (store_when_durable). Documents handed in are edited.
 */
#ifndef FIRESTEEL_CLUSTER_OPS_H
#define FIRESTEEL_CLUSTER_OPS_H

#include "cluster/server-internal.h"
#include "kobj/selector.h"

struct request; /* cluster/request.h */

enum field_validation { FIELDS_WARN, FIELDS_IGNORE, FIELDS_STRICT };

struct op {
        struct apiserver *s;
        const struct resource *res;
        const char *ns;          /* "" for cluster-scoped kinds; lists: NULL = all namespaces */
        const char *name;        /* NULL on create */
        const char *subresource; /* NULL: the main resource */
        const char *manager;     /* field manager; never NULL */
        const struct user *user; /* NULL: a component of this process */
        struct request *request; /* whose write may have to wait for admission webhooks; NULL: it is not shown to any */
        bool dry_run, force;
        bool is_collection; /* one of many that the request deletes */
        bool is_patch; /* the document is an object with a patch applied: messages say so */
        yyjson_val *merged; /* that patch, when it is a merge patch: what it touched is quoted in the order of names */
        bool is_apply; /* managedFields are right already: the document comes from apply_patch(), or nobody is to own what it changes */
        enum field_validation validation;
        struct strv *warnings; /* may be NULL */
};

/* Checks apiVersion and kind, then decodes by the kind's schema: typed for built-in kinds, structural for custom resources.
 * Defaults are applied. *ret is a new value in doc. */
MUST_USE int op_decode(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, yyjson_mut_val **ret, struct err *err);

MUST_USE int op_get(const struct op *op, struct object **ret, struct err *err);
MUST_USE int op_create(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object **ret, struct err *err);
/* *ret_created (may be NULL) when the kind's PUT creates what is absent. */
MUST_USE int op_update(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object **ret, bool *ret_created,
                       struct err *err);
MUST_USE int op_patch(const struct op *op, enum api_patch type, struct sv patch, struct object **ret, bool *ret_created, struct err *err);
struct delete_options {
        int64_t grace_s; /* -1: default */
        const char *propagation, *uid, *resource_version;
        bool orphan_dependents, has_orphan_dependents; /* the old form of propagation */
};
/* *ret: the object as it was last (deleted) or as it is now (deletion begun). */
MUST_USE int op_delete(const struct op *op, const struct delete_options *o, struct object **ret, bool *ret_gone, struct err *err);

struct list_query {
        struct selector labels;
        struct field_selector fields;
        int64_t limit; /* 0 = all */
        const char *after_ns, *after_name; /* continue after this object; NULL = from the beginning */
        uint64_t revision; /* as it was then; 0 = as it is now */
};
void list_query_done(struct list_query *q);
DEFINE_AUTO_VALUE(list_query, struct list_query, list_query_done)
/* Parses both selectors (NULL = none), checking the fields against the kind. */
MUST_USE int list_query_parse(const struct resource *res, const char *labels, const char *fields, struct list_query *ret, struct err *err);
bool list_query_matches(const struct list_query *q, const struct object *o);
/* Appends references. *ret_remaining: how many more would match (counted only when a limit cut the list and no selector is set, else -1).
 * ret->revision is the query's, or that of memory. 1 when the list was cut, -ESTALE with 410 Expired when the query's revision is
 * forgotten. */
MUST_USE int op_list(const struct op *op, const struct list_query *q, struct object_list *ret, int64_t *ret_remaining, struct err *err);

/* The version of `o` that `res` serves: the same document, or one with another apiVersion or converted fields. The JSON text complete. */
void object_text_as(const struct object *o, const struct resource *res, struct str *out);

/* Shared by create and update (ops_write.c). */
enum write_kind { WRITE_CREATE, WRITE_UPDATE };
/* metadata rules (meta_rules.c). */
/* Owners that are named twice are kept once; a warning says so. */
void meta_dedup_owners(yyjson_mut_val *meta, bool is_patch, struct strv *warnings);
void meta_validate(const struct resource *res, yyjson_val *object, struct invalid *bad);
/* What holds for every update, and `times` what rules of kinds look at once more. */
void meta_validate_update(const struct resource *res, yyjson_val *object, yyjson_val *old, unsigned times, struct invalid *bad);
/* All rules for an object on its way in, whose draft `d` is (validate.c): 0, or -EINVAL with 422 and every cause. */
MUST_USE int object_validate(const struct draft *d, yyjson_val *object, struct err *err);
/* 400: the document does not say what it is called. */
int op_no_name(const struct op *op, struct err *err);
/* 409: the document is that of another object of this name. */
int op_wrong_uid(const struct op *op, const char *uid, const struct object *old, struct err *err);
/* Takes the finished document into the store. */
struct object *op_store(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object *old);
/* Removes an object, its last version carrying the deletion's revision. Returns a reference to it. */
struct object *op_remove(const struct op *op, struct object *o);

#endif
