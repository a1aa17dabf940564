/* Sets of fields (FieldsV1): a tree whose edges are path elements, as managedFields writes them: "f:NAME" a field, "k:{JSON}" an
 * element of a list by its keys, "v:JSON" an element of a set, "i:N" a position. A node is a member of the set or only on the way to one.
 * Children are sorted. Rules: sigs.k8s.io/structured-merge-diff fieldpath. */
#ifndef FIRESTEEL_KOBJ_FIELDSET_H
#define FIRESTEEL_KOBJ_FIELDSET_H

#include "kobj/schema.h"

struct fieldset {
        char *element; /* NULL at the root */
        bool member;
        struct fieldset **children;
        size_t len, cap;
};

void fieldset_done(struct fieldset *s);
DEFINE_AUTO_VALUE(fieldset, struct fieldset, fieldset_done)
/* The child, or NULL. */
struct fieldset *fieldset_get(const struct fieldset *s, const char *element);
/* The child, made when absent. */
struct fieldset *fieldset_make(struct fieldset *s, const char *element);
bool fieldset_is_empty(const struct fieldset *s);
/* a becomes a + b, a - b, a and b. */
void fieldset_add(struct fieldset *a, const struct fieldset *b);
void fieldset_subtract(struct fieldset *a, const struct fieldset *b);
void fieldset_intersect(struct fieldset *a, const struct fieldset *b);
/* Removes members of b together with everything below them. */
void fieldset_exclude(struct fieldset *a, const struct fieldset *b);
/* Removes nodes that lead nowhere. */
void fieldset_tidy(struct fieldset *s);
/* Fields of objects (not keys of maps) that are on the way to a member become members. */
void fieldset_name_fields(struct fieldset *s, struct schema schema);
/* FieldsV1 JSON both ways; malformed input is skipped. */
void fieldset_read(struct fieldset *s, yyjson_val *fields_v1);
yyjson_mut_val *fieldset_write(const struct fieldset *s, yyjson_mut_doc *doc);
/* Adds the path of plain field names `a.b.c`. */
void fieldset_add_path(struct fieldset *s, struct sv dotted);
/* Paths of all members in order, as messages show them: .spec.containers[name="c"].image. */
struct strv;
void fieldset_paths(const struct fieldset *s, struct strv *ret);

#endif
