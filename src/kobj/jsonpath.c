#include "kobj/jsonpath.h"

#include <stdlib.h>

/* Walks depth first and stops at the first value that the rest of the path accepts. */
struct walk {
        bool bad;
        int depth;
};

static yyjson_val *first(struct walk *w, yyjson_val *at, const char *path);

static bool is_name_end(char c) {
        return !c || c == '.' || c == '[' || c == ' ' || c == ')' || c == '=' || c == '!' || c == '<' || c == '>';
}

/* Reads a name after a dot; backslashes escape. Returns the position after it. */
static const char *read_name(const char *p, struct str *ret) {
        while (!is_name_end(*p)) {
                if (*p == '\\' && p[1])
                        p++;
                str_append_c(ret, *p++);
        }
        return p;
}

static yyjson_val *first_of_children(struct walk *w, yyjson_val *at, const char *path) {
        size_t i, max;
        yyjson_val *key, *v, *found = NULL;
        if (yyjson_is_arr(at)) {
                yyjson_arr_foreach(at, i, max, v) {
                        if ((found = first(w, v, path)))
                                return found;
                }
        } else {
                yyjson_obj_foreach(at, i, max, key, v) {
                        if ((found = first(w, v, path)))
                                return found;
                }
        }
        return NULL;
}

static yyjson_val *first_of_descendants(struct walk *w, yyjson_val *at, const char *path) {
        if (++w->depth > JSONPATH_MAX_DEPTH) {
                w->depth--;
                return NULL;
        }
        yyjson_val *found = first(w, at, path), *key, *v;
        size_t i, max;
        yyjson_arr_foreach(at, i, max, v) {
                if (!found)
                        found = first_of_descendants(w, v, path);
        }
        yyjson_obj_foreach(at, i, max, key, v) {
                if (!found)
                        found = first_of_descendants(w, v, path);
        }
        w->depth--;
        return found;
}

/* One side of a filter: a path from the element (@.x) or a literal. */
struct operand {
        yyjson_val *value;
        struct str text;
        bool is_text, is_number;
        double number;
};

static const char *read_operand(struct walk *w, yyjson_val *element, const char *p, struct operand *ret) {
        while (*p == ' ')
                p++;
        if (*p == '@') {
                AUTO(str) struct str path = STR_INIT(1024);
                for (p++; *p && *p != ' ' && *p != '=' && *p != '!' && *p != '<' && *p != '>' && *p != ')'; p++)
                        str_append_c(&path, *p);
                ret->value = first(w, element, str_cstr(&path));
        } else if (*p == '"' || *p == '\'') {
                char quote = *p++;
                for (; *p && *p != quote; p++) {
                        if (*p == '\\' && p[1])
                                p++;
                        str_append_c(&ret->text, *p);
                }
                ret->is_text = true;
                w->bad |= *p != quote;
                p += *p == quote;
        } else {
                const char *from = p;
                while (*p && *p != ' ' && *p != ')' && *p != '=' && *p != '!' && *p != '<' && *p != '>')
                        str_append_c(&ret->text, *p++);
                char *end;
                ret->number = strtod(str_cstr(&ret->text), &end);
                ret->is_number = p > from && !*end;
        }
        while (*p == ' ')
                p++;
        return p;
}

static void settle(struct operand *o) {
        if (!o->value)
                return;
        if (yyjson_is_str(o->value)) {
                str_append_s(&o->text, yyjson_get_str(o->value));
                o->is_text = true;
        } else if (yyjson_is_num(o->value)) {
                o->number = yyjson_get_num(o->value);
                o->is_number = true;
        } else if (yyjson_is_bool(o->value)) {
                str_append_s(&o->text, yyjson_get_bool(o->value) ? "true" : "false");
        }
}

static bool compare(const char *op, size_t len, const struct operand *a, const struct operand *b) {
        int order;
        if (a->is_number && b->is_number)
                order = a->number < b->number ? -1 : a->number > b->number;
        else if (a->is_number != b->is_number || a->is_text != b->is_text)
                return len == 2 && op[0] == '!';
        else
                order = strcmp(str_cstr(&a->text), str_cstr(&b->text));
        switch (op[0]) {
        case '=':
                return order == 0;
        case '!':
                return order != 0;
        case '<':
                return len == 2 ? order <= 0 : order < 0;
        default:
                return len == 2 ? order >= 0 : order > 0;
        }
}

/* `filter` is what stands between ?( and ). Existence when there is no operator. */
static bool passes(struct walk *w, yyjson_val *element, struct sv filter) {
        AUTO(free) char *text = sv_dup(filter);
        struct operand left = {.text = STR_INIT(4096)}, right = {.text = STR_INIT(4096)};
        const char *p = read_operand(w, element, text, &left), *op = p;
        bool result;
        while (*p && strchr("=!<>", *p))
                p++;
        if (p == op) {
                result = left.value != NULL;
        } else {
                size_t len = (size_t)(p - op);
                w->bad |= len > 2 || (len == 1 && (*op == '=' || *op == '!')) || (len == 2 && op[1] != '=');
                read_operand(w, element, p, &right);
                bool absent = (*text == '@' && !left.value);
                settle(&left);
                settle(&right);
                result = !absent && compare(op, len, &left, &right);
        }
        str_done(&left.text);
        str_done(&right.text);
        return result;
}

/* The position of the bracket that closes the one before p, quotes and nested brackets skipped. */
static const char *closing(const char *p) {
        int depth = 0;
        for (char quote = 0; *p; p++) {
                if (quote) {
                        if (*p == '\\' && p[1])
                                p++;
                        else if (*p == quote)
                                quote = 0;
                } else if (*p == '"' || *p == '\'') {
                        quote = *p;
                } else if (*p == '[') {
                        depth++;
                } else if (*p == ']' && depth-- == 0) {
                        return p;
                }
        }
        return NULL;
}

static yyjson_val *bracket(struct walk *w, yyjson_val *at, const char *p) {
        const char *end = closing(p);
        if (!end) {
                w->bad = true;
                return NULL;
        }
        struct sv inner = sv_trim(sv_new(p, (size_t)(end - p)));
        const char *rest = end + 1;
        int64_t index;
        if (sv_eq(inner, SV("*")))
                return first_of_children(w, at, rest);
        if (sv_starts(inner, SV("?(")) && sv_ends(inner, SV(")"))) {
                struct sv filter = sv_new(inner.data + 2, inner.len - 3);
                size_t i, max;
                yyjson_val *v, *found;
                yyjson_arr_foreach(at, i, max, v) {
                        if (passes(w, v, filter) && (found = first(w, v, rest)))
                                return found;
                }
                return NULL;
        }
        if (inner.len >= 2 && (inner.data[0] == '\'' || inner.data[0] == '"') && inner.data[inner.len - 1] == inner.data[0])
                return first(w, yyjson_obj_getn(at, inner.data + 1, inner.len - 2), rest);
        if (sv_to_int64(inner, &index)) {
                int64_t size = (int64_t)yyjson_arr_size(at);
                index += index < 0 ? size : 0;
                return index >= 0 && index < size ? first(w, yyjson_arr_get(at, (size_t)index), rest) : NULL;
        }
        w->bad = true;
        return NULL;
}

static yyjson_val *first(struct walk *w, yyjson_val *at, const char *path) {
        if (!*path || w->bad)
                return w->bad ? NULL : at;
        if (*path == '$' || *path == '@')
                return first(w, at, path + 1);
        if (*path == '[')
                return at ? bracket(w, at, path + 1) : NULL;
        if (*path != '.') {
                w->bad = true;
                return NULL;
        }
        path++;
        if (!*path)
                return at;
        if (*path == '.')
                return first_of_descendants(w, at, path);
        if (*path == '[')
                return first(w, at, path);
        if (*path == '*')
                return first_of_children(w, at, path + 1);
        AUTO(str) struct str name = STR_INIT(1024);
        const char *rest = read_name(path, &name);
        if (rest == path) {
                w->bad = true;
                return NULL;
        }
        yyjson_val *member = yyjson_obj_get(at, str_cstr(&name));
        return member ? first(w, member, rest) : NULL;
}

yyjson_val *jsonpath_first(yyjson_val *root, const char *path) {
        struct walk w = {0};
        yyjson_val *found = first(&w, root, path);
        return w.bad ? NULL : found;
}

bool jsonpath_is_valid(const char *path) {
        if (!*path)
                return false;
        for (const char *p = path; *p;) {
                if (*p == '[') {
                        const char *end = closing(p + 1);
                        if (!end || end == p + 1)
                                return false;
                        p = end + 1;
                } else if (*p == '.' || ((*p == '$' || *p == '@') && p == path)) {
                        p++;
                        while (!is_name_end(*p))
                                p += *p == '\\' && p[1] ? 2 : 1;
                        if (*p && *p != '.' && *p != '[')
                                return false;
                } else {
                        return false;
                }
        }
        return true;
}
