#include "kobj/patch.h"

/* ---- merge patch ---- */

static yyjson_mut_val *merged(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch) {
        if (!yyjson_is_obj(patch))
                return yyjson_val_mut_copy(doc, patch);
        if (!yyjson_mut_is_obj(target))
                target = yyjson_mut_obj(doc);
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(patch, i, max, key, value) {
                const char *name = yyjson_get_str(key);
                if (yyjson_is_null(value))
                        mjson_remove(target, name);
                else
                        mjson_set(doc, target, name, merged(doc, yyjson_is_obj(value) ? yyjson_mut_obj_get(target, name) : NULL, value));
        }
        return target;
}

int patch_merge(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch, yyjson_mut_val **ret, struct err *err) {
        if (!yyjson_is_obj(patch))
                return err_http(err, -EINVAL, 400, "BadRequest", "Invalid JSON Patch");
        *ret = merged(doc, target, patch);
        return 0;
}

/* ---- JSON patch ---- */

struct json_patch {
        yyjson_mut_doc *doc;
        yyjson_mut_val *root;
        size_t copied_bytes;
        struct err *err;
};

static int failed(struct json_patch *p, const char *fmt, ...) PRINTF(2, 3);
/* The real server hides the reason in its log; we keep it as the hint. */
static int failed(struct json_patch *p, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        err_http(p->err, -EINVAL, 422, "Invalid", "the server rejected our request due to an error in our request");
        if (p->err) {
                free(p->err->details);
                p->err->details = xstrdup("{}");
        }
        err_hint(p->err, "%s", why);
        return -EINVAL;
}

/* One reference token of a JSON pointer with ~1 and ~0 undone; owned by the caller. */
static char *token(struct sv part) {
        AUTO(str) struct str out = STR_INIT(0);
        for (size_t i = 0; i < part.len; i++) {
                bool escape = part.data[i] == '~' && i + 1 < part.len && (part.data[i + 1] == '0' || part.data[i + 1] == '1');
                str_append_c(&out, escape ? (part.data[++i] == '0' ? '~' : '/') : part.data[i]);
        }
        return str_take(&out);
}

/* An array index; negative ones count from the end. `size` is the number of valid positions. */
static bool array_index(const char *name, size_t size, size_t *ret) {
        int64_t n;
        if (!sv_to_int64(sv_of(name), &n) || n >= (int64_t)size || n < -(int64_t)size)
                return false;
        *ret = (size_t)(n < 0 ? n + (int64_t)size : n);
        return true;
}

static yyjson_mut_val *child(yyjson_mut_val *container, const char *name) {
        size_t i;
        if (yyjson_mut_is_arr(container))
                return array_index(name, yyjson_mut_arr_size(container), &i) ? yyjson_mut_arr_get(container, i) : NULL;
        return yyjson_mut_obj_get(container, name);
}

/* The container that holds the last token of the path, which goes to ret_name; NULL when there is none. */
static yyjson_mut_val *find_parent(struct json_patch *p, const char *path, char **ret_name) {
        struct sv rest = sv_of(path), part;
        sv_split(&rest, '/', &part); /* what stands before the first slash is not looked at, as in the real server */
        if (!rest.data)
                return NULL;
        yyjson_mut_val *at = p->root;
        while (sv_split(&rest, '/', &part)) {
                AUTO(free) char *name = token(part);
                if (!rest.data) {
                        *ret_name = TAKE(name);
                        return yyjson_mut_is_ctn(at) ? at : NULL;
                }
                at = child(at, name);
        }
        return NULL;
}

static int add(struct json_patch *p, const char *path, yyjson_mut_val *value, const char *what) {
        AUTO(free) char *name = NULL;
        yyjson_mut_val *parent = find_parent(p, path, &name);
        size_t i;
        if (!parent)
                return failed(p, "%s operation does not apply: doc is missing path: \"%s\": missing value", what, path);
        if (yyjson_mut_is_obj(parent)) {
                mjson_set(p->doc, parent, name, value);
        } else if (streq(name, "-")) {
                yyjson_mut_arr_append(parent, value);
        } else {
                if (!array_index(name, yyjson_mut_arr_size(parent) + 1, &i))
                        return failed(p, "error in %s for path: '%s': Unable to access invalid index: %s: invalid index referenced", what,
                                      path, name);
                yyjson_mut_arr_insert(parent, value, i);
        }
        return 0;
}

static int remove_at(struct json_patch *p, const char *path, const char *what) {
        AUTO(free) char *name = NULL;
        yyjson_mut_val *parent = find_parent(p, path, &name);
        size_t i;
        if (!parent)
                return failed(p, "%s operation does not apply: doc is missing path: \"%s\": missing value", what, path);
        if (yyjson_mut_is_obj(parent)) {
                if (!yyjson_mut_obj_remove_key(parent, name))
                        return failed(p, "error in %s for path: '%s': Unable to remove nonexistent key: %s: missing value", what, path,
                                      name);
        } else {
                if (!array_index(name, yyjson_mut_arr_size(parent), &i))
                        return failed(p, "error in %s for path: '%s': Unable to access invalid index: %s: invalid index referenced", what,
                                      path, name);
                yyjson_mut_arr_remove(parent, i);
        }
        return 0;
}

static int replace(struct json_patch *p, const char *path, yyjson_mut_val *value) {
        if (!*path) {
                if (!yyjson_mut_is_ctn(value))
                        return failed(p, "replace operation value must be object or array");
                p->root = value;
                return 0;
        }
        AUTO(free) char *name = NULL;
        yyjson_mut_val *parent = find_parent(p, path, &name);
        size_t i;
        if (!parent)
                return failed(p, "replace operation does not apply: doc is missing path: %s: missing value", path);
        if (yyjson_mut_is_obj(parent)) {
                mjson_set(p->doc, parent, name, value); /* a missing key is added: the real server's library looks at arrays only */
                return 0;
        }
        if (!array_index(name, yyjson_mut_arr_size(parent), &i))
                return failed(p, "replace operation does not apply: doc is missing key: %s: missing value", path);
        yyjson_mut_arr_replace(parent, i, value);
        return 0;
}

/* The value at `path`; an absent member of an object is NULL and no error, an absent element is one. */
static int get(struct json_patch *p, const char *path, const char *what, yyjson_mut_val **ret) {
        AUTO(free) char *name = NULL;
        yyjson_mut_val *parent = find_parent(p, path, &name);
        size_t i;
        if (!parent)
                return failed(p, "%s operation does not apply: doc is missing from path: %s: missing value", what, path);
        if (yyjson_mut_is_arr(parent) && !array_index(name, yyjson_mut_arr_size(parent), &i))
                return failed(p, "error in %s for path: '%s': Unable to access invalid index: %s: invalid index referenced", what, path,
                              name);
        *ret = child(parent, name);
        return 0;
}

static int test(struct json_patch *p, const char *path, yyjson_val *value) {
        yyjson_mut_val *have = p->root;
        if (*path) {
                int r = get(p, path, "test", &have);
                if (r < 0)
                        return r;
        }
        bool null = !have || yyjson_mut_is_null(have), want_null = !value || yyjson_is_null(value);
        if (null && want_null)
                return 0;
        yyjson_mut_val *want = null || want_null ? NULL : yyjson_val_mut_copy(p->doc, value);
        return want && yyjson_mut_equals(have, want) ? 0 : failed(p, "testing value %s failed: test failed", path);
}

static int copy(struct json_patch *p, const char *from, const char *path) {
        yyjson_mut_val *value = NULL;
        int r = get(p, from, "copy", &value);
        if (r < 0)
                return r;
        if (!value)
                return add(p, path, yyjson_mut_null(p->doc), "copy");
        size_t len = 0;
        AUTO(free) char *text = mjson_write(value, false, &len);
        p->copied_bytes += len;
        if (p->copied_bytes > PATCH_JSON_MAX_COPY_BYTES)
                return failed(p, "Unable to complete the copy, the accumulated size increase of copy is %zu, exceeding the limit %d",
                              p->copied_bytes, PATCH_JSON_MAX_COPY_BYTES);
        return add(p, path, yyjson_mut_val_mut_copy(p->doc, value), "copy");
}

static int move(struct json_patch *p, const char *from, const char *path) {
        yyjson_mut_val *value = NULL;
        int r = get(p, from, "move", &value);
        if (r < 0)
                return r;
        yyjson_mut_val *kept = value ? yyjson_mut_val_mut_copy(p->doc, value) : NULL;
        r = remove_at(p, from, "move");
        return r < 0 ? r : add(p, path, kept, "move");
}

static int operate(struct json_patch *p, yyjson_val *operation) {
        const char *op = json_get_str(operation, "op"), *path = json_get_str(operation, "path"), *from = json_get_str(operation, "from");
        yyjson_val *value = yyjson_obj_get(operation, "value");
        if (!op)
                return failed(p, "Unexpected kind: unknown");
        if (!path)
                return failed(p, "%s operation failed to decode path: missing value", op);
        if (streq(op, "remove"))
                return remove_at(p, path, op);
        if (streq(op, "test"))
                return test(p, path, value);
        if (streq(op, "move") || streq(op, "copy")) {
                if (!from)
                        return failed(p, "%s operation failed to decode from: operation, missing from field: missing value", op);
                return streq(op, "move") ? move(p, from, path) : copy(p, from, path);
        }
        if (!streq(op, "add") && !streq(op, "replace"))
                return failed(p, "Unexpected kind: %s", op);
        yyjson_mut_val *copied = value ? yyjson_val_mut_copy(p->doc, value) : yyjson_mut_null(p->doc);
        return streq(op, "add") ? add(p, path, copied, op) : replace(p, path, copied);
}

int patch_json(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *operations, yyjson_mut_val **ret, struct err *err) {
        struct json_patch p = {.doc = doc, .root = target, .err = err};
        size_t i, max;
        yyjson_val *operation;
        if (!yyjson_is_arr(operations))
                return err_http(err, -EINVAL, 400, "BadRequest", "json: cannot unmarshal %s into Go value of type jsonpatch.Patch",
                                yyjson_is_obj(operations) ? "object" : yyjson_is_str(operations) ? "string" : "number");
        if (yyjson_arr_size(operations) > PATCH_JSON_MAX_OPERATIONS)
                return err_http(err, -E2BIG, 413, "RequestEntityTooLarge",
                                "Request entity too large: The allowed maximum operations in a JSON patch is %d, got %zu",
                                PATCH_JSON_MAX_OPERATIONS, yyjson_arr_size(operations));
        yyjson_arr_foreach(operations, i, max, operation) {
                if (!yyjson_is_obj(operation))
                        return err_http(err, -EINVAL, 400, "BadRequest",
                                        "json: cannot unmarshal %s into Go value of type jsonpatch.Operation",
                                        yyjson_is_str(operation)   ? "string"
                                        : yyjson_is_arr(operation) ? "array"
                                                                   : "number");
                int r = operate(&p, operation);
                if (r < 0)
                        return r;
        }
        *ret = p.root;
        return 0;
}
