#include "codec/json.h"

/* The byte after which nesting exceeds the limit, or -1. */
static ssize_t too_deep_at(struct sv text) {
        int depth = 0;
        for (size_t i = 0; i < text.len; i++) {
                switch (text.data[i]) {
                case '"':
                        for (i++; i < text.len && text.data[i] != '"'; i++)
                                if (text.data[i] == '\\')
                                        i++;
                        break;
                case '{':
                case '[':
                        if (++depth > JSON_MAX_DEPTH)
                                return (ssize_t)i;
                        break;
                case '}':
                case ']':
                        depth--;
                        break;
                }
        }
        return -1;
}

static void position(struct sv text, size_t at, size_t *ret_line, size_t *ret_column) {
        *ret_line = *ret_column = 1;
        for (size_t i = 0; i < at && i < text.len; i++) {
                ++*ret_column;
                if (text.data[i] == '\n')
                        ++*ret_line, *ret_column = 1;
        }
}

int json_parse(struct sv text, yyjson_doc **ret, struct err *err) {
        size_t line, column;
        ssize_t deep = too_deep_at(text);
        if (deep >= 0) {
                position(text, (size_t)deep, &line, &column);
                return err_set(err, -EINVAL, "line %zu column %zu: nested deeper than %d levels", line, column, JSON_MAX_DEPTH);
        }
        yyjson_read_err why = {0};
        yyjson_doc *doc = text.len ? yyjson_read_opts((char *)text.data, text.len, YYJSON_READ_NOFLAG, NULL, &why) : NULL;
        if (!doc) {
                position(text, why.pos, &line, &column);
                return err_set(err, -EINVAL, "line %zu column %zu: %s", line, column, text.len ? why.msg : "empty document");
        }
        *ret = doc;
        return 0;
}

yyjson_val *json_at(yyjson_val *root, const char *pointer) { return root ? yyjson_ptr_get(root, pointer) : NULL; }
const char *json_str_at(yyjson_val *root, const char *pointer) { return yyjson_get_str(json_at(root, pointer)); }

static int64_t as_int(yyjson_val *v, int64_t otherwise) {
        if (yyjson_is_real(v) && yyjson_get_real(v) >= -9.2e18 && yyjson_get_real(v) <= 9.2e18)
                return (int64_t)yyjson_get_real(v);
        return yyjson_is_int(v) ? yyjson_get_sint(v) : otherwise;
}
static bool as_bool(yyjson_val *v, bool otherwise) { return yyjson_is_bool(v) ? yyjson_get_bool(v) : otherwise; }

int64_t json_int_at(yyjson_val *root, const char *pointer, int64_t otherwise) { return as_int(json_at(root, pointer), otherwise); }
bool json_bool_at(yyjson_val *root, const char *pointer, bool otherwise) { return as_bool(json_at(root, pointer), otherwise); }
const char *json_get_str(yyjson_val *object, const char *key) { return yyjson_get_str(yyjson_obj_get(object, key)); }
int64_t json_get_int(yyjson_val *object, const char *key, int64_t otherwise) { return as_int(yyjson_obj_get(object, key), otherwise); }
bool json_get_bool(yyjson_val *object, const char *key, bool otherwise) { return as_bool(yyjson_obj_get(object, key), otherwise); }

yyjson_mut_val *mjson_at(yyjson_mut_val *root, const char *pointer) { return root ? yyjson_mut_ptr_get(root, pointer) : NULL; }
const char *mjson_str_at(yyjson_mut_val *root, const char *pointer) { return yyjson_mut_get_str(mjson_at(root, pointer)); }
const char *mjson_get_str(yyjson_mut_val *object, const char *key) { return yyjson_mut_get_str(yyjson_mut_obj_get(object, key)); }

int64_t mjson_get_int(yyjson_mut_val *object, const char *key, int64_t otherwise) {
        yyjson_mut_val *v = yyjson_mut_obj_get(object, key);
        return yyjson_mut_is_int(v) ? yyjson_mut_get_sint(v) : otherwise;
}

bool mjson_get_bool(yyjson_mut_val *object, const char *key, bool otherwise) {
        yyjson_mut_val *v = yyjson_mut_obj_get(object, key);
        return yyjson_mut_is_bool(v) ? yyjson_mut_get_bool(v) : otherwise;
}

void mjson_set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, yyjson_mut_val *value) {
        size_t i, max;
        yyjson_mut_val *k, *v;
        yyjson_mut_obj_foreach(object, i, max, k, v) {
                if (yyjson_mut_equals_str(k, key)) {
                        /* Linked in, not copied as yyjson_mut_obj_replace() does: the caller may go on filling `value`. */
                        value->next = v->next;
                        k->next = value;
                        return;
                }
        }
        yyjson_mut_obj_add(object, yyjson_mut_strcpy(doc, key), value);
}

static yyjson_mut_val *member(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, bool array) {
        yyjson_mut_val *v = yyjson_mut_obj_get(object, key);
        if (v && (array ? yyjson_mut_is_arr(v) : yyjson_mut_is_obj(v)))
                return v;
        v = array ? yyjson_mut_arr(doc) : yyjson_mut_obj(doc);
        mjson_set(doc, object, key, v);
        return v;
}

yyjson_mut_val *mjson_obj(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key) { return member(doc, object, key, false); }
yyjson_mut_val *mjson_arr(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key) { return member(doc, object, key, true); }

void mjson_set_str(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        if (value)
                mjson_set(doc, object, key, yyjson_mut_strcpy(doc, value));
}

void mjson_set_int(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, int64_t value) {
        mjson_set(doc, object, key, yyjson_mut_sint(doc, value));
}

void mjson_set_bool(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, bool value) {
        mjson_set(doc, object, key, yyjson_mut_bool(doc, value));
}

void mjson_remove(yyjson_mut_val *object, const char *key) { yyjson_mut_obj_remove_key(object, key); }

void mjson_add_str(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *value) {
        yyjson_mut_arr_add_strcpy(doc, array, value);
}

static char *written(char *text, size_t *ret_len, size_t len) {
        if (!text) /* out of memory: everything we hold can be written */
                abort();
        if (ret_len)
                *ret_len = len;
        return text;
}

char *json_write(yyjson_val *value, bool pretty, size_t *ret_len) {
        size_t len = 0;
        char *text = yyjson_val_write_opts(value, pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES : 0, NULL, &len, NULL);
        return written(text, ret_len, len);
}

char *mjson_write(yyjson_mut_val *value, bool pretty, size_t *ret_len) {
        size_t len = 0;
        char *text = yyjson_mut_val_write_opts(value, pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES : 0, NULL, &len, NULL);
        return written(text, ret_len, len);
}

void json_append_quoted(struct str *s, struct sv text) {
        static const char hex[] = "0123456789abcdef";
        str_append_c(s, '"');
        size_t from = 0;
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.data[i];
                if (c >= 0x20 && c != '"' && c != '\\')
                        continue;
                str_append(s, text.data + from, i - from);
                from = i + 1;
                char escape = c == '"' || c == '\\' ? (char)c
                              : c == '\n'           ? 'n'
                              : c == '\r'           ? 'r'
                              : c == '\t'           ? 't'
                              : c == '\b'           ? 'b'
                              : c == '\f'           ? 'f'
                                                    : 0;
                if (escape)
                        str_append(s, (char[]){'\\', escape}, 2);
                else
                        str_append(s, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        }
        if (text.len > from)
                str_append(s, text.data + from, text.len - from);
        str_append_c(s, '"');
}

yyjson_doc *mjson_freeze(yyjson_mut_val *root) {
        yyjson_doc *doc = yyjson_mut_val_imut_copy(root, NULL);
        if (!doc)
                abort();
        return doc;
}

yyjson_mut_doc *json_thaw(yyjson_val *root) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        if (!doc)
                abort();
        yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, root));
        return doc;
}

bool json_equal(yyjson_val *a, yyjson_val *b) { return a == b || (a && b && yyjson_equals(a, b)); }
