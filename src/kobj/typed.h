/* Values read by their schema: which fields they set, how two differ, how one is laid over another, what is left without some fields.
 * The machinery below apply.h. Rules: sigs.k8s.io/structured-merge-diff typed. */
#ifndef FIRESTEEL_KOBJ_TYPED_H
#define FIRESTEEL_KOBJ_TYPED_H

#include "kobj/fieldset.h"

/* The fields that the value sets. */
void typed_fields(yyjson_val *value, struct schema schema, struct fieldset *ret);

struct typed_difference {
        struct fieldset added, modified, removed;
};

void typed_difference_done(struct typed_difference *d);
DEFINE_AUTO_VALUE(typed_difference, struct typed_difference, typed_difference_done)
/* From `old` to `object`. */
void typed_compare(yyjson_val *old, yyjson_val *object, struct schema schema, struct typed_difference *ret);
/* `over` laid over `under`; the result is a new value of doc. */
yyjson_mut_val *typed_merge(yyjson_mut_doc *doc, yyjson_val *under, yyjson_val *over, struct schema schema);
/* A copy without the members of `set`; objects and lists that become empty go. */
yyjson_mut_val *typed_remove(yyjson_mut_doc *doc, yyjson_val *value, const struct fieldset *set, struct schema schema);
/* What an absent object of the kind looks like: the members that its JSON always has. NULL for custom resources. */
yyjson_mut_val *typed_zero(yyjson_mut_doc *doc, struct schema schema);
/* Unknown fields, wrong types, double or missing list keys: messages as `.spec.foo: field not declared in schema`. */
struct strv;
void typed_validate(yyjson_val *value, struct schema schema, struct strv *ret);

#endif
