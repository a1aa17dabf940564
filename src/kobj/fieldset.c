#include "kobj/fieldset.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/vec.h"

/* Order of path elements: fields, keys, values, positions; numbers by value. */
static int rank(const char *e) { return *e == 'f' ? 0 : *e == 'k' ? 1 : *e == 'v' ? 2 : 3; }

static int compare(const char *a, const char *b) {
        if (*a != *b)
                return rank(a) - rank(b);
        bool numbers = *a != 'f';
        while (*a && *b) {
                if (numbers && isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
                        size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");
                        int order = n != m ? (n < m ? -1 : 1) : memcmp(a, b, n);
                        if (order)
                                return order;
                        a += n;
                        b += m;
                } else if (*a != *b) {
                        break;
                } else {
                        a++;
                        b++;
                }
        }
        return (unsigned char)*a - (unsigned char)*b;
}

/* Where the element is or belongs. */
static size_t position(const struct fieldset *s, const char *element, bool *ret_found) {
        size_t low = 0, high = s->len;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = compare(s->children[middle]->element, element);
                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

static void child_free(struct fieldset *s) {
        fieldset_done(s);
        free(s->element);
        free(s);
}

void fieldset_done(struct fieldset *s) {
        for (size_t i = 0; i < s->len; i++)
                child_free(s->children[i]);
        free(s->children);
        s->children = NULL;
        s->len = s->cap = 0;
        s->member = false;
}

struct fieldset *fieldset_get(const struct fieldset *s, const char *element) {
        bool found;
        size_t at = position(s, element, &found);
        return found ? s->children[at] : NULL;
}

struct fieldset *fieldset_make(struct fieldset *s, const char *element) {
        bool found;
        size_t at = position(s, element, &found);
        if (found)
                return s->children[at];
        s->children = vec_grow_(s->children, s->len, &s->cap, sizeof(struct fieldset *));
        memmove(&s->children[at + 1], &s->children[at], (s->len - at) * sizeof(struct fieldset *));
        struct fieldset *child = NEW(struct fieldset);
        child->element = xstrdup(element);
        s->children[at] = child;
        s->len++;
        return child;
}

bool fieldset_is_empty(const struct fieldset *s) {
        if (s->member)
                return false;
        for (size_t i = 0; i < s->len; i++)
                if (!fieldset_is_empty(s->children[i]))
                        return false;
        return true;
}

static void remove_child(struct fieldset *s, size_t at) {
        child_free(s->children[at]);
        s->len--;
        memmove(&s->children[at], &s->children[at + 1], (s->len - at) * sizeof(struct fieldset *));
}

void fieldset_tidy(struct fieldset *s) {
        for (size_t i = s->len; i-- > 0;) {
                fieldset_tidy(s->children[i]);
                if (!s->children[i]->member && !s->children[i]->len)
                        remove_child(s, i);
        }
}

void fieldset_add(struct fieldset *a, const struct fieldset *b) {
        a->member |= b->member;
        for (size_t i = 0; i < b->len; i++)
                fieldset_add(fieldset_make(a, b->children[i]->element), b->children[i]);
}

static void subtract(struct fieldset *a, const struct fieldset *b, bool with_children) {
        if (b->member) {
                if (with_children)
                        fieldset_done(a);
                a->member = false;
        }
        for (size_t i = 0; i < b->len; i++) {
                struct fieldset *child = fieldset_get(a, b->children[i]->element);
                if (child)
                        subtract(child, b->children[i], with_children);
        }
}

void fieldset_subtract(struct fieldset *a, const struct fieldset *b) {
        subtract(a, b, false);
        fieldset_tidy(a);
}

void fieldset_exclude(struct fieldset *a, const struct fieldset *b) {
        subtract(a, b, true);
        fieldset_tidy(a);
}

static void intersect(struct fieldset *a, const struct fieldset *b) {
        a->member = a->member && b->member;
        for (size_t i = a->len; i-- > 0;) {
                struct fieldset *other = fieldset_get(b, a->children[i]->element);
                if (other)
                        intersect(a->children[i], other);
                else
                        remove_child(a, i);
        }
}

void fieldset_intersect(struct fieldset *a, const struct fieldset *b) {
        intersect(a, b);
        fieldset_tidy(a);
}

static bool is_named(struct schema s, const char *name) {
        if (s.openapi)
                return yyjson_obj_get(yyjson_obj_get(s.openapi, "properties"), name) != NULL || (s.crd_root && streq(name, "metadata"));
        bool map = s.field && !s.element && (s.field->flags & SCHEMA_F_MAP);
        return !map && s.type && schema_find_field(s.type, name);
}

void fieldset_name_fields(struct fieldset *s, struct schema schema) {
        for (size_t i = 0; i < s->len; i++) {
                struct fieldset *child = s->children[i];
                bool field = *child->element == 'f';
                if (field && is_named(schema, child->element + 2))
                        child->member = true;
                fieldset_name_fields(child, field ? schema_member(schema, child->element + 2) : schema_element(schema));
        }
}

void fieldset_read(struct fieldset *s, yyjson_val *fields_v1) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(fields_v1, i, max, key, value) {
                const char *element = yyjson_get_str(key);
                if (streq(element, ".")) {
                        s->member = true;
                } else if (element[0] && strchr("fkvi", element[0]) && element[1] == ':') {
                        struct fieldset *child = fieldset_make(s, element);
                        if (yyjson_obj_size(value))
                                fieldset_read(child, value);
                        else
                                child->member = true;
                }
        }
}

yyjson_mut_val *fieldset_write(const struct fieldset *s, yyjson_mut_doc *doc) {
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        if (s->member && s->len)
                yyjson_mut_obj_add_val(doc, object, ".", yyjson_mut_obj(doc));
        for (size_t i = 0; i < s->len; i++)
                yyjson_mut_obj_add(object, yyjson_mut_strcpy(doc, s->children[i]->element), fieldset_write(s->children[i], doc));
        return object;
}

void fieldset_add_path(struct fieldset *s, struct sv dotted) {
        struct sv part;
        while (sv_split(&dotted, '.', &part)) {
                AUTO(free) char *element = xasprintf("f:%.*s", SV_ARG(part));
                s = fieldset_make(s, element);
        }
        s->member = true;
}

/* {"containerPort":80,"protocol":"TCP"} as containerPort=80,protocol="TCP". */
static void append_keys(struct str *out, const char *json) {
        AUTO(json) yyjson_doc *doc = NULL;
        size_t i, max;
        yyjson_val *key, *value;
        if (json_parse(sv_of(json), &doc, NULL) < 0)
                return;
        yyjson_obj_foreach(yyjson_doc_get_root(doc), i, max, key, value) {
                AUTO(free) char *text = json_write(value, false, NULL);
                str_appendf(out, "%s%s=%s", i ? "," : "", yyjson_get_str(key), text);
        }
}

static void append_element(struct str *out, const char *element) {
        if (*element == 'f') {
                str_appendf(out, ".%s", element + 2);
                return;
        }
        str_append_s(out, *element == 'v' ? "[=" : "[");
        if (*element == 'k')
                append_keys(out, element + 2);
        else
                str_append_s(out, element + 2);
        str_append_c(out, ']');
}

/* At each level first the members, then what is below them. */
static void paths(const struct fieldset *s, struct str *prefix, struct strv *ret) {
        for (int below = 0; below < 2; below++) {
                for (size_t i = 0; i < s->len; i++) {
                        size_t len = prefix->len;
                        append_element(prefix, s->children[i]->element);
                        if (below)
                                paths(s->children[i], prefix, ret);
                        else if (s->children[i]->member)
                                strv_add(ret, str_cstr(prefix));
                        str_truncate(prefix, len);
                }
        }
}

void fieldset_paths(const struct fieldset *s, struct strv *ret) {
        AUTO(str) struct str prefix = STR_INIT(0);
        if (s->member)
                strv_add(ret, "");
        paths(s, &prefix, ret);
}
