/* XML, as much of it as AWS's answers need: elements, text, entities, attributes (skipped), comments, CDATA. Strict about nesting
 * and syntax; a document type is refused, so nothing expands. Bounded: 64 levels, 1,000,000 elements.
 *
 *     AUTO(arena) struct arena a = {0};
 *     r = xml_parse(text, &a, &root, err);
 *     const char *code = xml_text(root, "Code");       // of the first <Code> directly in it; NULL when absent
 *     xml_foreach(c, root, "Contents") ...
 */
#ifndef FIRESTEEL_CODEC_XML_H
#define FIRESTEEL_CODEC_XML_H

#include "base/arena.h"
#include "base/err.h"

enum { XML_MAX_DEPTH = 64, XML_MAX_ELEMENTS = 1000 * 1000 };

struct xml_node {
        struct sv name; /* without the namespace's prefix */
        const char *text; /* of this element alone, children left out; "" when there is none */
        struct xml_node *first, *next; /* child and sibling elements */
};

/* Everything lives in the arena. -EINVAL names line and column. */
MUST_USE int xml_parse(struct sv text, struct arena *a, struct xml_node **ret, struct err *err);

/* The first child of that name after `after` (NULL: the first of all). NULL parents are allowed. */
const struct xml_node *xml_next(const struct xml_node *parent, const struct xml_node *after, const char *name);
static inline const struct xml_node *xml_child(const struct xml_node *parent, const char *name) { return xml_next(parent, NULL, name); }
const char *xml_text(const struct xml_node *parent, const char *name);
#define xml_foreach(c, parent, name) for (const struct xml_node *c = xml_next(parent, NULL, name); c; c = xml_next(parent, c, name))

/* Appends text with & < > " ' escaped. */
void xml_append_escaped(struct str *out, struct sv text);

#endif
