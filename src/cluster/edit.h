/* Small helpers for hooks that fill in defaults. */
#ifndef FIRESTEEL_CLUSTER_EDIT_H
#define FIRESTEEL_CLUSTER_EDIT_H

#include "codec/json.h"

static inline void default_str(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        const char *have = mjson_get_str(object, key);
        if (object && (!have || !*have))
                mjson_set_str(doc, object, key, value);
}
/* For what is a pointer in Go: only what is not there at all. An empty text has been said, and may be wrong. */
static inline void default_absent(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        if (object && !yyjson_mut_obj_get(object, key))
                mjson_set_str(doc, object, key, value);
}
static inline void default_int(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, int64_t value) {
        if (object && !yyjson_mut_obj_get(object, key))
                mjson_set_int(doc, object, key, value);
}
/* Zero counts as absent, as for Go's plain integers. */
static inline void default_nonzero(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, int64_t value) {
        if (object && mjson_get_int(object, key, 0) == 0)
                mjson_set_int(doc, object, key, value);
}
static inline void default_bool(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, bool value) {
        if (object && !yyjson_mut_obj_get(object, key))
                mjson_set_bool(doc, object, key, value);
}
static inline yyjson_mut_val *member_obj(yyjson_mut_val *object, const char *key) {
        yyjson_mut_val *v = object ? yyjson_mut_obj_get(object, key) : NULL;
        return yyjson_mut_is_obj(v) ? v : NULL;
}

/* Do two objects differ in more than these members? */
static inline bool differs_beyond(yyjson_val *a, yyjson_val *b, const char *const *members, size_t count) {
        AUTO(mjson) yyjson_mut_doc *rest_a = json_thaw(a), *rest_b = json_thaw(b);
        for (size_t i = 0; i < count; i++) {
                mjson_remove(yyjson_mut_doc_get_root(rest_a), members[i]);
                mjson_remove(yyjson_mut_doc_get_root(rest_b), members[i]);
        }
        AUTO(json) yyjson_doc *frozen_a = mjson_freeze(yyjson_mut_doc_get_root(rest_a)),
                              *frozen_b = mjson_freeze(yyjson_mut_doc_get_root(rest_b));
        return !json_equal(yyjson_doc_get_root(frozen_a), yyjson_doc_get_root(frozen_b));
}

/* Loops over the elements of a list member, mutable and not. */
#define MUT_EACH(item, object, key)                                                                                                        \
        for (yyjson_mut_arr_iter it_##item = yyjson_mut_arr_iter_with((object) ? yyjson_mut_obj_get((object), (key)) : NULL);              \
             it_##item.arr; it_##item.arr = NULL)                                                                                          \
                for (yyjson_mut_val * item; (item = yyjson_mut_arr_iter_next(&it_##item));)
#define EACH(item, i, array)                                                                                           \
        for (size_t i = 0, n_##item = yyjson_arr_size(array); i < n_##item; i = n_##item)                              \
                for (yyjson_val *item = yyjson_arr_get_first(array); i < n_##item; item = unsafe_yyjson_get_next(item), i++)

#endif
