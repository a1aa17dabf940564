/* Label selectors and field selectors, as API servers read them.
 *
 *     AUTO(selector) struct selector s = {0};
 *     r = selector_parse(sv_of("app=x,tier in (a,b),!old"), &s, err);
 *     if (selector_matches(&s, meta_labels(object))) ...
 *
 * Parsing accepts exactly what apimachinery's labels.Parse and fields.ParseSelector accept and fails with their texts;
 * such errors carry HTTP 400 and the reason BadRequest. A zeroed selector has no terms and matches everything, except
 * when `nothing` is set (a null LabelSelector). Rules: k8s.io/apimachinery/pkg/labels, pkg/fields, 1.34. */
#ifndef FIRESTEEL_KOBJ_SELECTOR_H
#define FIRESTEEL_KOBJ_SELECTOR_H

#include "base/vec.h"
#include "codec/json.h"

enum selector_op {
        SELECTOR_IN, /* `=` and `==` are this with one value */
        SELECTOR_NOT_IN,
        SELECTOR_EXISTS,
        SELECTOR_NOT_EXISTS,
        SELECTOR_GREATER,
        SELECTOR_LESS,
};

struct selector_term {
        char *key;
        enum selector_op op;
        bool equality;      /* written with =, == or != */
        struct strv values; /* sorted */
};

struct selector {
        struct selector_term *items; /* sorted by key, as labels.Parse does */
        size_t len, cap;
        bool nothing; /* matches no object at all */
};

void selector_done(struct selector *s);
DEFINE_AUTO_VALUE(selector, struct selector, selector_done)
/* The text of ?labelSelector=. */
MUST_USE int selector_parse(struct sv text, struct selector *ret, struct err *err);
/* A LabelSelector object: {matchLabels, matchExpressions}. NULL matches nothing, {} everything. */
MUST_USE int selector_from_object(yyjson_val *label_selector, struct selector *ret, struct err *err);
/* A plain map of labels, as in Service.spec.selector. NULL and {} match everything: the caller decides what they mean. */
void selector_from_map(yyjson_val *map, struct selector *ret);
/* Node selector terms (matchExpressions with Gt and Lt): one list of requirements, all of which must hold. */
MUST_USE int selector_from_expressions(yyjson_val *expressions, struct selector *ret, struct err *err);
/* `labels` is the map of labels; NULL is an empty one. */
bool selector_matches(const struct selector *s, yyjson_val *labels);
bool selector_matches_mut(const struct selector *s, yyjson_mut_val *labels);
/* Labels kept in another way: `value` gives that of a key, NULL when there is none. */
bool selector_matches_by(const struct selector *s, const char *(*value)(const void *arg, const char *key), const void *arg);
static inline bool selector_is_empty(const struct selector *s) { return !s->nothing && s->len == 0; }
/* Canonical text (`a=b,c in (x,y)`), owned by the caller. */
char *selector_format(const struct selector *s);

struct field_term {
        char *field;
        char *value;
        bool negate;
};

struct field_selector {
        struct field_term *items;
        size_t len, cap;
};

void field_selector_done(struct field_selector *s);
DEFINE_AUTO_VALUE(field_selector, struct field_selector, field_selector_done)
/* The text of ?fieldSelector=. */
MUST_USE int field_selector_parse(struct sv text, struct field_selector *ret, struct err *err);
/* Fails with the real server's text when a field may not be selected on for this kind. Group "" is core; kinds without a
 * row of their own know metadata.name and metadata.namespace only. `selectable` may name more (a CRD's selectableFields), or be NULL. */
MUST_USE int field_selector_check(const struct field_selector *s, const char *group, const char *kind, const struct strv *selectable,
                                  struct err *err);
/* Fields are looked up by their path; what is absent is "" (booleans: "false", numbers: "0", as their kinds have it). */
bool field_selector_matches(const struct field_selector *s, yyjson_val *object);
/* The value an `=` term demands of `field`, or NULL: how a list by name becomes a look-up. */
const char *field_selector_exact(const struct field_selector *s, const char *field);

#endif
