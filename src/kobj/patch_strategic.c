/* Strategic merge patch: k8s.io/apimachinery/pkg/util/strategicpatch, what the server uses of it. */
#include <stdio.h>

#include "base/vec.h"
#include "kobj/patch.h"

#define DIRECTIVE "$patch"
#define RETAIN_KEYS "$retainKeys"
#define SET_ORDER "$setElementOrder"
#define DELETE_PRIMITIVES "$deleteFromPrimitiveList"

struct merge {
        yyjson_mut_doc *doc;
        struct err *err;
};

/* The elements of a list while they are moved about. */
struct items {
        yyjson_mut_val **items;
        size_t len, cap;
};

static void items_done(struct items *v) { vec_done(v); }
DEFINE_AUTO_VALUE(items, struct items, items_done)

static void collect(yyjson_mut_val *array, struct items *ret) {
        size_t i, max;
        yyjson_mut_val *v;
        yyjson_mut_arr_foreach(array, i, max, v) *vec_push(ret) = v;
}

static yyjson_mut_val *array_of(struct merge *m, const struct items *list) {
        yyjson_mut_val *array = yyjson_mut_arr(m->doc);
        for (size_t i = 0; i < list->len; i++)
                yyjson_mut_arr_append(array, list->items[i]);
        return array;
}

static int merge_map(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, struct schema s, yyjson_mut_val **ret);

/* ---- errors ---- */

static int bad_request(struct merge *m, const char *text) { return err_http(m->err, -EINVAL, 400, "BadRequest", "%s", text); }

/* The real server answers these with a plain 500. */
static int internal(struct merge *m, const char *fmt, ...) PRINTF(2, 3);
static int internal(struct merge *m, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(m->err, -EINVAL, 500, NULL, "%s", text);
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* A value as Go's %v prints it. */
static void go_value(struct str *out, yyjson_mut_val *v) {
        size_t i, max;
        yyjson_mut_val *key, *member;
        if (yyjson_mut_is_obj(v)) {
                AUTO(strv) struct strv names = {0};
                yyjson_mut_obj_foreach(v, i, max, key, member) strv_add(&names, yyjson_mut_get_str(key));
                if (names.len)
                        qsort(names.items, names.len, sizeof(*names.items), compare_names);
                str_append_s(out, "map[");
                for (size_t k = 0; k < names.len; k++) {
                        str_appendf(out, "%s%s:", k ? " " : "", names.items[k]);
                        go_value(out, yyjson_mut_obj_get(v, names.items[k]));
                }
                str_append_c(out, ']');
        } else if (yyjson_mut_is_arr(v)) {
                str_append_c(out, '[');
                yyjson_mut_arr_foreach(v, i, max, member) {
                        if (i)
                                str_append_c(out, ' ');
                        go_value(out, member);
                }
                str_append_c(out, ']');
        } else if (yyjson_mut_is_str(v)) {
                str_append(out, yyjson_mut_get_str(v), yyjson_mut_get_len(v));
        } else if (!v || yyjson_mut_is_null(v)) {
                str_append_s(out, "<nil>");
        } else {
                AUTO(free) char *text = mjson_write(v, false, NULL);
                str_append_s(out, text);
        }
}

static int no_merge_key(struct merge *m, yyjson_mut_val *element, const char *key) {
        AUTO(str) struct str text = STR_INIT(4096);
        go_value(&text, element);
        return internal(m, "map: %s does not contain declared merge key: %s", str_cstr(&text), key);
}

static const char *go_type(yyjson_mut_val *v) {
        return yyjson_mut_is_obj(v)    ? "map[string]interface {}"
               : yyjson_mut_is_arr(v)  ? "[]interface {}"
               : yyjson_mut_is_str(v)  ? "string"
               : yyjson_mut_is_bool(v) ? "bool"
               : yyjson_mut_is_int(v)  ? "int64"
               : yyjson_mut_is_real(v) ? "float64"
                                       : "%!s(<nil>)";
}

static int bad_type(struct merge *m, const char *expected, yyjson_mut_val *got) {
        return internal(m, "expected a %s, but received a %s", expected, go_type(got));
}

/* ---- directives in values that are taken as they are ---- */

static bool is_directive(const char *name) {
        return streq(name, DIRECTIVE) || streq(name, RETAIN_KEYS) || str_starts(name, SET_ORDER "/") ||
               str_starts(name, DELETE_PRIMITIVES "/");
}

/* A patch value becomes content: nulls and directives go. False when the value itself is a directive and must not be kept. */
static bool make_content(yyjson_mut_val *v) {
        if (yyjson_mut_is_obj(v)) {
                if (yyjson_mut_obj_get(v, DIRECTIVE))
                        return false;
                yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
                yyjson_mut_val *key;
                while ((key = yyjson_mut_obj_iter_next(&iter))) {
                        yyjson_mut_val *member = yyjson_mut_obj_iter_get_val(key);
                        if (yyjson_mut_is_null(member) || is_directive(yyjson_mut_get_str(key)) || !make_content(member))
                                yyjson_mut_obj_iter_remove(&iter);
                }
        } else if (yyjson_mut_is_arr(v)) {
                AUTO(items) struct items all = {0};
                collect(v, &all);
                yyjson_mut_arr_clear(v); /* yyjson_mut_arr_iter_remove() skips what follows the removed element */
                for (size_t i = 0; i < all.len; i++)
                        if (make_content(all.items[i]))
                                yyjson_mut_arr_append(v, all.items[i]);
        }
        return true;
}

/* ---- lists ---- */

static yyjson_mut_val *key_of(yyjson_mut_val *element, const char *merge_key) {
        return merge_key ? yyjson_mut_obj_get(element, merge_key) : element;
}

static ssize_t find(const struct items *list, yyjson_mut_val *key, const char *merge_key) {
        for (size_t i = 0; key && i < list->len; i++) {
                yyjson_mut_val *have = key_of(list->items[i], merge_key);
                if (have && yyjson_mut_equals(have, key))
                        return (ssize_t)i;
        }
        return -1;
}

/* Puts `list` into the order of `order`, stably; what is not there keeps its place among its likes. */
static void sort_by(struct items *list, const struct items *order, const char *merge_key) {
        for (size_t i = 1; i < list->len; i++) {
                yyjson_mut_val *v = list->items[i];
                ssize_t at = find(order, key_of(v, merge_key), merge_key);
                size_t j = i;
                for (; j > 0; j--) {
                        ssize_t before = find(order, key_of(list->items[j - 1], merge_key), merge_key);
                        if (at < 0 || before < 0 || before <= at)
                                break;
                        list->items[j] = list->items[j - 1];
                }
                list->items[j] = v;
        }
}

/* The order of the result: $setElementOrder or the patch, then the live list; what the patch knows goes first unless the live list says
 * otherwise. */
static yyjson_mut_val *ordered(struct merge *m, const struct items *merged, const struct items *patch_order, const struct items *live_order,
                               const char *merge_key) {
        AUTO(items) struct items known = {0};
        AUTO(items) struct items live = {0};
        AUTO(items) struct items out = {0};
        for (size_t i = 0; i < merged->len; i++) {
                yyjson_mut_val *v = merged->items[i];
                *vec_push(find(patch_order, key_of(v, merge_key), merge_key) >= 0 ? &known : &live) = v;
        }
        sort_by(&known, patch_order, merge_key);
        sort_by(&live, live_order, merge_key);
        size_t i = 0, j = 0;
        while (i < live.len || j < known.len) {
                bool take_live = j >= known.len;
                if (!take_live && i < live.len) {
                        ssize_t l = find(live_order, key_of(live.items[i], merge_key), merge_key);
                        ssize_t r = find(live_order, key_of(known.items[j], merge_key), merge_key);
                        take_live = l >= 0 && r >= 0 && l < r;
                }
                *vec_push(&out) = take_live ? live.items[i++] : known.items[j++];
        }
        return array_of(m, &out);
}

/* All elements of both lists must be of one type; it is in ret_type (NULL when there are none). */
static int element_type(struct merge *m, const struct items *a, const struct items *b, const char **ret_type) {
        const char *type = NULL;
        for (size_t i = 0; i < a->len + b->len; i++) {
                const char *t = go_type(i < a->len ? a->items[i] : b->items[i - a->len]);
                if (!type)
                        type = t;
                if (streq(type, "[]interface {}"))
                        return err_http(m->err, -EINVAL, 422, "Invalid", "lists of lists are not supported");
                if (!streq(t, type))
                        return internal(m, "list element types are not identical: %s and %s", type, t);
        }
        *ret_type = type;
        return 0;
}

/* Carries out {$patch: delete} and {$patch: replace} elements; they leave the patch. */
static int special_elements(struct merge *m, struct items *original, struct items *patch, const char *merge_key) {
        struct items rest = {0};
        bool replace = false;
        int r = 0;
        for (size_t i = 0; i < patch->len && r == 0; i++) {
                yyjson_mut_val *element = patch->items[i], *directive = yyjson_mut_obj_get(element, DIRECTIVE),
                               *key = key_of(element, merge_key);
                if (!directive) {
                        *vec_push(&rest) = element;
                } else if (yyjson_mut_equals_str(directive, "replace")) {
                        replace = true;
                } else if (yyjson_mut_equals_str(directive, "merge")) {
                        r = internal(m, "merging lists cannot yet be specified in the patch");
                } else if (!yyjson_mut_equals_str(directive, "delete")) {
                        AUTO(str) struct str text = STR_INIT(4096);
                        go_value(&text, element);
                        const char *name = yyjson_mut_get_str(directive);
                        r = internal(m, "unknown patch type: %s in map: %s", name ? name : go_type(directive), str_cstr(&text));
                } else if (!key) {
                        r = no_merge_key(m, element, merge_key);
                } else {
                        ssize_t at;
                        while ((at = find(original, key, merge_key)) >= 0)
                                vec_remove(original, (size_t)at);
                }
        }
        if (r < 0) {
                items_done(&rest);
                return r;
        }
        if (replace) { /* the patch takes the place of the live list */
                struct items old = *original;
                *original = rest;
                rest = old;
                rest.len = 0;
                for (size_t i = 0; i < original->len; i++)
                        make_content(original->items[i]);
        }
        items_done(patch);
        *patch = rest;
        return 0;
}

/* Elements that keep only their keys: merging empties the patch's own, and the order is needed afterwards. */
static void copy_keys(struct merge *m, const struct items *list, const char *merge_key, struct items *ret) {
        for (size_t i = 0; i < list->len; i++) {
                yyjson_mut_val *key = key_of(list->items[i], merge_key), *element = yyjson_mut_obj(m->doc);
                if (!key)
                        continue;
                yyjson_mut_obj_add(element, yyjson_mut_strcpy(m->doc, merge_key), yyjson_mut_val_mut_copy(m->doc, key));
                *vec_push(ret) = element;
        }
}

static int merge_objects(struct merge *m, struct items *merged, const struct items *patch, const char *merge_key, struct schema s) {
        for (size_t i = 0; i < patch->len; i++) {
                yyjson_mut_val *element = patch->items[i], *key = key_of(element, merge_key);
                if (!key)
                        return no_merge_key(m, element, merge_key);
                ssize_t at = find(merged, key, merge_key);
                if (at < 0) {
                        if (make_content(element))
                                *vec_push(merged) = element;
                        continue;
                }
                int r = merge_map(m, merged->items[at], element, schema_element(s), &merged->items[at]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int merge_list(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, struct schema s, bool delete_list,
                      yyjson_mut_val **ret) {
        AUTO(items) struct items live = {0};
        AUTO(items) struct items wanted = {0};
        AUTO(items) struct items merged = {0};
        AUTO(items) struct items order = {0};
        const char *type = NULL, *merge_key = s.field ? s.field->merge_key : NULL;
        collect(original, &live);
        collect(patch, &wanted);
        int r = element_type(m, &live, &wanted, &type);
        if (r < 0)
                return r;
        if (type && streq(type, "map[string]interface {}")) {
                if (!merge_key)
                        return internal(m, "cannot merge lists without merge key for %s", s.type ? s.type->name : "");
                r = special_elements(m, &live, &wanted, merge_key);
                for (size_t i = 0; r == 0 && i < live.len; i++) {
                        if (!key_of(live.items[i], merge_key))
                                r = no_merge_key(m, live.items[i], merge_key);
                        *vec_push(&merged) = live.items[i];
                }
                if (r == 0)
                        copy_keys(m, &wanted, merge_key, &order);
                if (r == 0)
                        r = merge_objects(m, &merged, &wanted, merge_key, s);
                if (r < 0)
                        return r;
        } else {
                for (size_t i = 0; i < live.len; i++)
                        if (!delete_list || find(&wanted, live.items[i], NULL) < 0)
                                *vec_push(&merged) = live.items[i];
                for (size_t i = 0; !delete_list && i < wanted.len; i++)
                        if (find(&merged, wanted.items[i], NULL) < 0)
                                *vec_push(&merged) = wanted.items[i];
                merge_key = NULL;
        }
        *ret = delete_list ? array_of(m, &merged) : ordered(m, &merged, merge_key ? &order : &wanted, &live, merge_key);
        return 0;
}

/* The list under `key` when both sides have one. */
static int merge_list_field(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, struct schema s, bool delete_list,
                            yyjson_mut_val **ret) {
        if (delete_list || (s.field && (s.field->flags & SCHEMA_F_MERGE)))
                return merge_list(m, original, patch, s, delete_list, ret);
        make_content(patch);
        *ret = patch;
        return 0;
}

/* ---- $setElementOrder ---- */

/* The patch list, deletions aside, must be a subsequence of the order list. */
static int check_order(struct merge *m, yyjson_mut_val *patch_list, yyjson_mut_val *order_list, const struct items *patch,
                       const struct items *order, const char *merge_key) {
        AUTO(items) struct items kept = {0};
        size_t at = 0, i = 0;
        for (size_t k = 0; k < patch->len; k++)
                if (!merge_key || !yyjson_mut_equals_str(yyjson_mut_obj_get(patch->items[k], DIRECTIVE), "delete"))
                        *vec_push(&kept) = patch->items[k];
        if (!order->len || !patch->len)
                return 0;
        while (i < kept.len && at < order->len) {
                if (yyjson_mut_obj_get(kept.items[i], DIRECTIVE)) {
                        i++;
                        continue;
                }
                yyjson_mut_val *key = key_of(kept.items[i], merge_key), *want = key_of(order->items[at], merge_key);
                if (!key || !want)
                        return no_merge_key(m, key ? order->items[at] : kept.items[i], merge_key);
                i += yyjson_mut_equals(want, key);
                at++;
        }
        if (i == kept.len)
                return 0;
        AUTO(str) struct str have = STR_INIT(16384), wanted = STR_INIT(16384);
        go_value(&have, patch_list);
        go_value(&wanted, order_list);
        return internal(m, "The order in patch list:\n%s\n doesn't match " SET_ORDER " list:\n%s\n", str_cstr(&have), str_cstr(&wanted));
}

static int apply_order(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, const char *directive, struct schema s) {
        if (directive[strlen(SET_ORDER)] != '/')
                return bad_request(m, "invalid patch format of setElementOrder list");
        const char *name = directive + strlen(SET_ORDER) + 1;
        struct schema field = schema_member(s, name);
        const char *merge_key = field.field ? field.field->merge_key : NULL;
        yyjson_mut_val *order = yyjson_mut_obj_get(patch, directive), *live = yyjson_mut_obj_get(original, name),
                       *wanted = yyjson_mut_obj_get(patch, name);
        AUTO(items) struct items order_items = {0};
        AUTO(items) struct items live_items = {0};
        AUTO(items) struct items wanted_items = {0};
        if (!yyjson_mut_is_arr(order))
                return bad_type(m, "[]interface {}", order);
        if ((live && !yyjson_mut_is_arr(live)) || (wanted && !yyjson_mut_is_arr(wanted)))
                return bad_type(m, "[]interface {}", live && !yyjson_mut_is_arr(live) ? live : wanted);
        collect(order, &order_items);
        collect(live, &live_items);
        collect(wanted, &wanted_items);
        int r = check_order(m, wanted, order, &wanted_items, &order_items, merge_key);
        if (r < 0 || (!live && !wanted))
                return r;
        bool is_empty = !live_items.len && !wanted_items.len;
        yyjson_mut_val *merged = live ? live : wanted;
        if (live && wanted)
                r = merge_list_field(m, live, wanted, field, false, &merged);
        else if (wanted)
                make_content(wanted);
        if (r < 0)
                return r;
        AUTO(items) struct items merged_items = {0};
        collect(merged, &merged_items);
        for (size_t i = 0; merge_key && i < merged_items.len; i++)
                if (!key_of(merged_items.items[i], merge_key))
                        return no_merge_key(m, merged_items.items[i], merge_key);
        if (is_empty) /* the real server cannot tell what they hold */
                return internal(m, "no elements in any of the given slices");
        mjson_set(m->doc, original, name, ordered(m, &merged_items, &order_items, &live_items, merge_key));
        mjson_remove(patch, name);
        return 0;
}

static int apply_orders(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, struct schema s) {
        AUTO(strv) struct strv names = {0};
        size_t i, max;
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_foreach(patch, i, max, key, value) {
                if (str_starts(yyjson_mut_get_str(key), SET_ORDER))
                        strv_add(&names, yyjson_mut_get_str(key));
        }
        for (size_t n = 0; n < names.len; n++) {
                int r = apply_order(m, original, patch, names.items[n], s);
                if (r < 0)
                        return r;
                mjson_remove(patch, names.items[n]);
        }
        return 0;
}

/* ---- maps ---- */

static int apply_retain_keys(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch) {
        yyjson_mut_val *retain = yyjson_mut_obj_get(patch, RETAIN_KEYS), *key, *value;
        if (!retain)
                return 0;
        if (!yyjson_mut_is_arr(retain))
                return bad_request(m, "invalid patch format of retainKeys");
        AUTO(items) struct items names = {0};
        collect(retain, &names);
        size_t i, max;
        yyjson_mut_obj_foreach(patch, i, max, key, value) {
                const char *name = yyjson_mut_get_str(key);
                if (!yyjson_mut_is_null(value) && !is_directive(name) && find(&names, key, NULL) < 0)
                        return bad_request(m, "invalid patch format of retainKeys");
        }
        yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(original);
        while ((key = yyjson_mut_obj_iter_next(&iter)))
                if (find(&names, key, NULL) < 0)
                        yyjson_mut_obj_iter_remove(&iter);
        mjson_remove(patch, RETAIN_KEYS);
        return 0;
}

static int merge_member(struct merge *m, yyjson_mut_val *original, const char *name, yyjson_mut_val *value, bool delete_list,
                        struct schema s) {
        yyjson_mut_val *have = yyjson_mut_obj_get(original, name), *result = value;
        struct schema member = schema_member(s, name);
        int r = 0;
        if (yyjson_mut_is_null(value)) {
                mjson_remove(original, name);
                return 0;
        }
        if (yyjson_mut_is_obj(have) && yyjson_mut_is_obj(value) &&
            !(member.field && !member.element && (member.field->flags & SCHEMA_F_REPLACE))) {
                r = merge_map(m, have, value, member, &result);
        } else if (yyjson_mut_is_arr(have) && yyjson_mut_is_arr(value)) {
                r = merge_list_field(m, have, value, member, delete_list, &result);
        } else if (delete_list) {
                return 0;
        } else if (!make_content(value)) {
                mjson_remove(original, name);
                return 0;
        }
        if (r == 0 && result != have)
                mjson_set(m->doc, original, name, result);
        return r;
}

static int merge_map(struct merge *m, yyjson_mut_val *original, yyjson_mut_val *patch, struct schema s, yyjson_mut_val **ret) {
        yyjson_mut_val *directive = yyjson_mut_obj_get(patch, DIRECTIVE), *key;
        if (directive) {
                bool replace = yyjson_mut_equals_str(directive, "replace");
                if (!replace && !yyjson_mut_equals_str(directive, "delete")) {
                        AUTO(str) struct str text = STR_INIT(4096);
                        go_value(&text, patch);
                        const char *name = yyjson_mut_get_str(directive);
                        return internal(m, "unknown patch type: %s in map: %s", name ? name : go_type(directive), str_cstr(&text));
                }
                mjson_remove(patch, DIRECTIVE);
                make_content(patch);
                *ret = replace ? patch : yyjson_mut_obj(m->doc);
                return 0;
        }
        int r = apply_retain_keys(m, original, patch);
        if (r == 0)
                r = apply_orders(m, original, patch, s);
        if (r < 0)
                return r;
        for (;;) { /* members move from the patch to the result */
                yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(patch);
                key = yyjson_mut_obj_iter_next(&iter);
                if (!key)
                        break;
                yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);
                const char *name = yyjson_mut_get_str(key);
                yyjson_mut_obj_iter_remove(&iter);
                bool delete_list = str_starts(name, DELETE_PRIMITIVES);
                if (delete_list && name[strlen(DELETE_PRIMITIVES)] != '/')
                        return bad_request(m, "invalid patch format of primitive list");
                r = merge_member(m, original, delete_list ? name + strlen(DELETE_PRIMITIVES) + 1 : name, value, delete_list, s);
                if (r < 0)
                        return r;
        }
        *ret = original;
        return 0;
}

int patch_strategic(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch, struct schema schema, yyjson_mut_val **ret,
                    struct err *err) {
        struct merge m = {.doc = doc, .err = err};
        if (!yyjson_is_obj(patch))
                return bad_request(&m, "invalid JSON document");
        if (schema.openapi)
                return err_http(
                        err, -EINVAL, 415, "UnsupportedMediaType",
                        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
                        "application/merge-patch+json, application/apply-patch+yaml");
        return merge_map(&m, target, yyjson_val_mut_copy(doc, patch), schema, ret);
}
