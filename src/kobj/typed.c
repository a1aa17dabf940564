#include "kobj/typed.h"

#include <stdio.h>

#include "base/map.h"
#include "base/vec.h"
#include "kobj/invalid.h"

/* Null, absent or empty: has no members. */
static bool is_hollow(yyjson_val *v) {
        return !v || yyjson_is_null(v) || (yyjson_is_ctn(v) && unsafe_yyjson_get_len(v) == 0);
}

/* How a value is taken apart: by the schema, and by what it is where the schema does not know. */
enum shape { LEAF, MAP, KEYED, SET };

static enum shape shape_of(yyjson_val *v, struct schema s) {
        if (yyjson_is_obj(v))
                return schema_is_atomic(s) || schema_is_list(s) ? LEAF : MAP;
        if (!yyjson_is_arr(v))
                return LEAF;
        enum schema_list type = schema_list_type(s);
        return type == SCHEMA_LIST_MAP ? KEYED : type == SCHEMA_LIST_SET ? SET : LEAF;
}

/* The shape of the pair: that of the side which has content. */
static enum shape shape_of_pair(yyjson_val *a, yyjson_val *b, struct schema s) {
        if (is_hollow(a) && is_hollow(b))
                return LEAF;
        if (a && b && !yyjson_is_null(a) && !yyjson_is_null(b) && yyjson_get_type(a) != yyjson_get_type(b))
                return LEAF;
        return shape_of(b && !yyjson_is_null(b) ? b : a, s);
}

static char *field_element(yyjson_val *key) { return xasprintf("f:%s", unsafe_yyjson_get_str(key)); }

struct key {
        char name[128];
        char *text; /* JSON */
};

static int compare_keys(const void *a, const void *b) { return strcmp(((const struct key *)a)->name, ((const struct key *)b)->name); }

/* "k:{...}", "v:..." of an element; NULL when it has none of the keys, or is no possible element. */
static char *list_element(yyjson_val *v, struct schema list, enum shape shape) {
        if (shape == SET) {
                if (yyjson_is_ctn(v) || yyjson_is_null(v))
                        return NULL;
                AUTO(free) char *text = json_write(v, false, NULL);
                return xasprintf("v:%s", text);
        }
        struct key keys[8];
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(keys) && yyjson_is_obj(v) && schema_list_key(list, i, keys[n].name); i++) {
                yyjson_val *have = yyjson_obj_get(v, keys[n].name);
                char *text = have ? json_write(have, false, NULL) : schema_key_default(list, keys[n].name);
                if (text)
                        keys[n++].text = text;
        }
        if (!n)
                return NULL;
        qsort(keys, n, sizeof(keys[0]), compare_keys);
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, "k:{");
        for (size_t i = 0; i < n; i++) {
                str_append_s(&out, i ? "," : "");
                json_append_quoted(&out, sv_of(keys[i].name));
                str_appendf(&out, ":%s", keys[i].text);
                free(keys[i].text);
        }
        str_append_c(&out, '}');
        return str_take(&out);
}

/* The elements of one list, by path element and in order. Of doubles the first is kept. */
struct elements {
        struct map by_name; /* path element -> yyjson_val */
        struct strv names;
        VEC(yyjson_val *) values;
};

static void elements_done(struct elements *e) {
        map_done(&e->by_name);
        strv_done(&e->names);
        vec_done(&e->values);
}
DEFINE_AUTO_VALUE(elements, struct elements, elements_done)

static void read_elements(yyjson_val *list, struct schema s, enum shape shape, struct elements *ret) {
        size_t i, max;
        yyjson_val *v;
        yyjson_arr_foreach(list, i, max, v) {
                AUTO(free) char *element = list_element(v, s, shape);
                if (!element || map_has(&ret->by_name, element))
                        continue;
                map_set(&ret->by_name, element, v);
                strv_add(&ret->names, element);
                *vec_push(&ret->values) = v;
        }
}

/* ---- fields ---- */

void typed_fields(yyjson_val *value, struct schema schema, struct fieldset *ret) {
        size_t i, max;
        yyjson_val *key, *v;
        enum shape shape = yyjson_is_null(value) ? LEAF : shape_of(value, schema);
        if (shape == LEAF) {
                ret->member = true;
        } else if (shape == MAP) {
                yyjson_obj_foreach(value, i, max, key, v) {
                        AUTO(free) char *element = field_element(key);
                        struct schema member = schema_member(schema, yyjson_get_str(key));
                        struct fieldset *child = fieldset_make(ret, element);
                        typed_fields(v, member, child);
                        bool is_field = schema.openapi
                                                ? yyjson_obj_get(yyjson_obj_get(schema.openapi, "properties"), yyjson_get_str(key)) != NULL
                                                : member.field && !member.element;
                        if ((yyjson_is_obj(v) && yyjson_obj_size(v) == 0) || !is_field)
                                child->member = true;
                }
        } else {
                yyjson_arr_foreach(value, i, max, v) {
                        AUTO(free) char *element = list_element(v, schema, shape);
                        if (!element)
                                continue;
                        struct fieldset *child = fieldset_make(ret, element);
                        typed_fields(v, schema_element(schema), child);
                        child->member = true;
                }
        }
        if (!ret->element)
                fieldset_tidy(ret);
}

/* ---- differences ---- */

/* The three sets at one place, made only when needed. */
struct place {
        const struct place *parent;
        const char *element;
        struct typed_difference *difference;
};

static struct fieldset *reach(const struct place *p, struct fieldset *root) {
        return p->parent ? fieldset_make(reach(p->parent, root), p->element) : root;
}

static void compare(const struct place *p, yyjson_val *old, yyjson_val *object, struct schema s);

static void compare_maps(const struct place *p, yyjson_val *old, yyjson_val *object, struct schema s) {
        size_t i, max;
        yyjson_val *key, *v;
        yyjson_obj_foreach(old, i, max, key, v) {
                AUTO(free) char *element = field_element(key);
                const struct place at = {p, element, p->difference};
                compare(&at, v, yyjson_obj_get(object, yyjson_get_str(key)), schema_member(s, yyjson_get_str(key)));
        }
        yyjson_obj_foreach(object, i, max, key, v) {
                if (yyjson_obj_get(old, yyjson_get_str(key)))
                        continue;
                AUTO(free) char *element = field_element(key);
                const struct place at = {p, element, p->difference};
                compare(&at, NULL, v, schema_member(s, yyjson_get_str(key)));
        }
}

static void compare_lists(const struct place *p, yyjson_val *old, yyjson_val *object, struct schema s, enum shape shape) {
        AUTO(elements) struct elements l = {0};
        AUTO(elements) struct elements r = {0};
        read_elements(old, s, shape, &l);
        read_elements(object, s, shape, &r);
        for (size_t i = 0; i < l.names.len; i++) {
                const struct place at = {p, l.names.items[i], p->difference};
                compare(&at, l.values.items[i], map_get(&r.by_name, l.names.items[i]), schema_element(s));
        }
        for (size_t i = 0; i < r.names.len; i++) {
                const struct place at = {p, r.names.items[i], p->difference};
                if (!map_has(&l.by_name, r.names.items[i]))
                        compare(&at, NULL, r.values.items[i], schema_element(s));
        }
}

static void compare(const struct place *p, yyjson_val *old, yyjson_val *object, struct schema s) {
        enum shape shape = shape_of_pair(old, object, s);
        if (shape == MAP)
                compare_maps(p, old, object, s);
        else if (shape != LEAF)
                compare_lists(p, old, object, s, shape);
        if (!old)
                reach(p, &p->difference->added)->member = true;
        else if (!object)
                reach(p, &p->difference->removed)->member = true;
        else if (shape == LEAF && !json_equal(old, object))
                reach(p, &p->difference->modified)->member = true;
}

void typed_compare(yyjson_val *old, yyjson_val *object, struct schema schema, struct typed_difference *ret) {
        const struct place root = {NULL, NULL, ret};
        if (old || object)
                compare(&root, old, object, schema);
        ret->added.member = ret->modified.member = ret->removed.member = false;
}

void typed_difference_done(struct typed_difference *d) {
        fieldset_done(&d->added);
        fieldset_done(&d->modified);
        fieldset_done(&d->removed);
}

/* ---- merge ---- */

static yyjson_mut_val *merge_maps(yyjson_mut_doc *doc, yyjson_val *under, yyjson_val *over, struct schema s) {
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        size_t i, max;
        yyjson_val *key, *v;
        yyjson_obj_foreach(under, i, max, key, v) {
                const char *name = yyjson_get_str(key);
                yyjson_val *other = yyjson_obj_get(over, name);
                yyjson_mut_val *merged = typed_merge(doc, v, other, schema_member(s, name));
                if (merged)
                        yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, name), merged);
        }
        yyjson_obj_foreach(over, i, max, key, v) {
                const char *name = yyjson_get_str(key);
                yyjson_mut_val *merged = yyjson_obj_get(under, name) ? NULL : typed_merge(doc, NULL, v, schema_member(s, name));
                if (merged)
                        yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, name), merged);
        }
        return yyjson_mut_obj_size(out) ? out : NULL;
}

static void append_merged(yyjson_mut_doc *doc, yyjson_mut_val *out, yyjson_val *under, yyjson_val *over, struct schema element) {
        yyjson_mut_val *v = typed_merge(doc, under, over, element);
        if (v)
                yyjson_mut_arr_append(out, v);
}

/* The next name at or after `at` in r that l has as well. */
static const char *next_shared(const struct elements *l, const struct elements *r, size_t *at) {
        while (*at < r->names.len) {
                const char *name = r->names.items[(*at)++];
                if (map_has(&l->by_name, name))
                        return name;
        }
        return NULL;
}

/* The order of the configuration wins among what both have; what only the live list has keeps its place around that. */
static yyjson_mut_val *merge_lists(yyjson_mut_doc *doc, yyjson_val *under, yyjson_val *over, struct schema s, enum shape shape) {
        AUTO(elements) struct elements l = {0};
        AUTO(elements) struct elements r = {0};
        AUTO(map) struct map merged = MAP_INIT(NULL);
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        struct schema element = schema_element(s);
        read_elements(under, s, shape, &l);
        read_elements(over, s, shape, &r);
        size_t li = 0, ri = 0, shared_at = 0;
        const char *shared = next_shared(&l, &r, &shared_at);
        while (li < l.names.len || ri < r.names.len) {
                const char *left = li < l.names.len ? l.names.items[li] : NULL, *right = ri < r.names.len ? r.names.items[ri] : NULL;
                if (left && !map_has(&r.by_name, left)) {
                        append_merged(doc, out, l.values.items[li++], NULL, element);
                        continue;
                }
                bool same = left && right && streq(left, right);
                if (left && !same && ((right && shared && !streq(shared, left)) || map_has(&merged, left))) {
                        li++;
                        continue;
                }
                if (!right)
                        break;
                append_merged(doc, out, map_get(&l.by_name, right), r.values.items[ri++], element);
                map_set(&merged, right, out);
                li += same;
                if (same || (shared && streq(shared, right)))
                        shared = next_shared(&l, &r, &shared_at);
        }
        return yyjson_mut_arr_size(out) ? out : NULL;
}

yyjson_mut_val *typed_merge(yyjson_mut_doc *doc, yyjson_val *under, yyjson_val *over, struct schema schema) {
        enum shape shape = shape_of_pair(under, over, schema);
        if (shape == MAP)
                return merge_maps(doc, yyjson_is_obj(under) ? under : NULL, yyjson_is_obj(over) ? over : NULL, schema);
        if (shape != LEAF)
                return merge_lists(doc, yyjson_is_arr(under) ? under : NULL, yyjson_is_arr(over) ? over : NULL, schema, shape);
        yyjson_val *v = over ? over : under;
        return !v || yyjson_is_null(v) ? NULL : yyjson_val_mut_copy(doc, v);
}

/* ---- removal ---- */

yyjson_mut_val *typed_remove(yyjson_mut_doc *doc, yyjson_val *value, const struct fieldset *set, struct schema schema) {
        enum shape shape = is_hollow(value) ? LEAF : shape_of(value, schema);
        if (!set || !set->len || shape == LEAF)
                return yyjson_is_null(value) ? NULL : yyjson_val_mut_copy(doc, value);
        yyjson_mut_val *out = shape == MAP ? yyjson_mut_obj(doc) : yyjson_mut_arr(doc);
        size_t i, max;
        yyjson_val *key, *v;
        yyjson_obj_foreach(value, i, max, key, v) {
                AUTO(free) char *element = field_element(key);
                const struct fieldset *child = fieldset_get(set, element);
                yyjson_mut_val *kept =
                        child && child->member ? NULL : typed_remove(doc, v, child, schema_member(schema, yyjson_get_str(key)));
                if (kept)
                        yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, yyjson_get_str(key)), kept);
        }
        yyjson_arr_foreach(value, i, max, v) {
                AUTO(free) char *element = list_element(v, schema, shape);
                const struct fieldset *child = element ? fieldset_get(set, element) : NULL;
                yyjson_mut_val *kept = child && child->member ? NULL : typed_remove(doc, v, child, schema_element(schema));
                if (kept)
                        yyjson_mut_arr_append(out, kept);
        }
        return unsafe_yyjson_get_len(out) ? out : NULL;
}

/* ---- zero values ---- */

static void add_zeroes(yyjson_mut_doc *doc, yyjson_mut_val *out, const struct schema_type *type) {
        for (size_t i = 0; i < type->len; i++) {
                const struct schema_field *f = &type->fields[i];
                bool many = f->flags & (SCHEMA_F_LIST | SCHEMA_F_MAP);
                if (f->flags & SCHEMA_F_INLINE) {
                        add_zeroes(doc, out, &schema_types[f->type]);
                } else if (f->kind == SCHEMA_OBJECT && !many && !(f->flags & SCHEMA_F_POINTER)) {
                        yyjson_mut_val *child = yyjson_mut_obj(doc);
                        add_zeroes(doc, child, &schema_types[f->type]);
                        yyjson_mut_obj_add_val(doc, out, f->name, child);
                } else if (!(f->flags & SCHEMA_F_OMITEMPTY) && (many || f->kind != SCHEMA_OBJECT)) {
                        yyjson_mut_obj_add_val(doc, out, f->name, yyjson_mut_null(doc));
                }
        }
}

yyjson_mut_val *typed_zero(yyjson_mut_doc *doc, struct schema schema) {
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        if (schema.type)
                add_zeroes(doc, out, schema.type);
        return out;
}

/* ---- validation ---- */

static const char *go_kind(yyjson_val *v) {
        return yyjson_is_str(v)    ? "string"
               : yyjson_is_bool(v) ? "bool"
               : yyjson_is_int(v)  ? "int64"
               : yyjson_is_real(v) ? "float64"
               : yyjson_is_arr(v)  ? "[]interface {}"
                                   : "map[string]interface {}";
}

static void validate(yyjson_val *value, struct schema s, struct str *path, struct strv *ret);

static void validate_list(yyjson_val *list, struct schema s, enum shape shape, struct str *path, struct strv *ret) {
        AUTO(strv) struct strv seen = {0};
        size_t i, max, len = path->len;
        yyjson_val *v;
        yyjson_arr_foreach(list, i, max, v) {
                AUTO(free) char *element = list_element(v, s, shape);
                if (!element) {
                        const char *why = shape == SET ? "associative list without keys has an element that's a map type"
                                          : yyjson_is_obj(v)
                                                  ? "associative list with keys has an element that omits all key fields (and doesn't have "
                                                    "default values for any key fields)"
                                          : yyjson_is_null(v) ? "associative list with keys may not have a null element"
                                                              : "associative list with keys may not have non-map elements";
                        strv_addf(ret, "%s: element %zu: %s", str_cstr(path), i, why);
                        continue;
                }
                struct fieldset one = {0};
                AUTO(strv) struct strv shown = {0};
                fieldset_make(&one, element)->member = true;
                fieldset_paths(&one, &shown);
                fieldset_done(&one);
                if (strv_has(&seen, element))
                        strv_addf(ret, "%s: duplicate entries for key %s", str_cstr(path), shown.items[0]);
                strv_add(&seen, element);
                str_append_s(path, shown.items[0]);
                validate(v, schema_element(s), path, ret);
                str_truncate(path, len);
        }
}

static bool is_declared(struct schema s, struct schema member, const char *key, bool root) {
        if (s.openapi) {
                bool loose =
                        json_get_bool(s.openapi, "x-kubernetes-preserve-unknown-fields", false) || !yyjson_obj_get(s.openapi, "properties");
                bool builtin = root && (streq(key, "apiVersion") || streq(key, "kind") || streq(key, "metadata"));
                return loose || builtin || member.openapi;
        }
        return !s.type || member.field || (root && (streq(key, "apiVersion") || streq(key, "kind")));
}

static void validate_map(yyjson_val *object, struct schema s, struct str *path, struct strv *ret) {
        size_t i, max, len = path->len;
        bool root = len == 0;
        yyjson_val *key, *v;
        yyjson_obj_foreach(object, i, max, key, v) {
                struct schema member = schema_member(s, yyjson_get_str(key));
                str_appendf(path, ".%s", unsafe_yyjson_get_str(key));
                if (!is_declared(s, member, yyjson_get_str(key), root))
                        strv_addf(ret, "%s: field not declared in schema", str_cstr(path));
                else
                        validate(v, member, path, ret);
                str_truncate(path, len);
        }
}

static void validate_scalar(yyjson_val *v, enum schema_kind kind, const char *path, struct strv *ret) {
        AUTO(free) char *text = json_write(v, false, NULL);
        if (kind == SCHEMA_STRING && !yyjson_is_str(v))
                strv_addf(ret, "%s: expected string, got &value.valueUnstructured{Value:%s}", path, text);
        else if ((kind == SCHEMA_INT32 || kind == SCHEMA_INT64 || kind == SCHEMA_DOUBLE) && !yyjson_is_num(v))
                strv_addf(ret, "%s: expected numeric (int or float), got %s", path, go_kind(v));
        else if (kind == SCHEMA_BOOL && !yyjson_is_bool(v))
                strv_addf(ret, "%s: expected boolean, got &{%s}", path, text);
}

static void validate(yyjson_val *value, struct schema s, struct str *path, struct strv *ret) {
        if (!schema_known(s) || yyjson_is_null(value))
                return;
        bool map = s.field && !s.element && (s.field->flags & SCHEMA_F_MAP);
        if (schema_is_list(s)) {
                enum shape shape = shape_of(value, s);
                if (!yyjson_is_arr(value))
                        strv_addf(ret, "%s: expected list, got &{%s}", str_cstr(path), go_kind(value));
                else if (shape != LEAF)
                        validate_list(value, s, shape, path, ret);
        } else if (map || schema_kind(s) == SCHEMA_OBJECT) {
                if (!yyjson_is_obj(value))
                        strv_addf(ret, "%s: expected map, got &{%s}", str_cstr(path), go_kind(value));
                else
                        validate_map(value, s, path, ret);
        } else {
                validate_scalar(value, schema_kind(s), str_cstr(path), ret);
        }
}

void typed_validate(yyjson_val *value, struct schema schema, struct strv *ret) {
        AUTO(str) struct str path = STR_INIT(0);
        validate(value, schema, &path, ret);
}
