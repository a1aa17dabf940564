#include "kobj/invalid.h"

#include <stdio.h>

static const struct {
        const char *text, *reason;
} types[] = {
        [INVALID_REQUIRED] = {"Required value", "FieldValueRequired"},
        [INVALID_VALUE] = {"Invalid value", "FieldValueInvalid"},
        [INVALID_NOT_SUPPORTED] = {"Unsupported value", "FieldValueNotSupported"},
        [INVALID_FORBIDDEN] = {"Forbidden", "FieldValueForbidden"},
        [INVALID_DUPLICATE] = {"Duplicate value", "FieldValueDuplicate"},
        [INVALID_NOT_FOUND] = {"Not found", "FieldValueNotFound"},
        [INVALID_TOO_LONG] = {"Too long", "FieldValueTooLong"},
        [INVALID_TOO_MANY] = {"Too many", "FieldValueTooMany"},
        [INVALID_TYPE] = {"Invalid value", "FieldValueTypeInvalid"},
        [INVALID_INTERNAL] = {"Internal error", "InternalError"},
};

void invalid_done(struct invalid *list) {
        vec_foreach(item, list) {
                free(item->field);
                free(item->message);
        }
        vec_done(list);
}

static void add(struct invalid *list, const char *field, enum invalid_type type, const char *value, const char *detail) {
        AUTO(str) struct str message = STR_INIT(0);
        str_append_s(&message, types[type].text);
        bool shows_value = type != INVALID_REQUIRED && type != INVALID_FORBIDDEN && type != INVALID_TOO_LONG && type != INVALID_INTERNAL;
        if (value && shows_value)
                str_appendf(&message, ": %s", value);
        if (detail && *detail)
                str_appendf(&message, ": %s", detail);
        *vec_push(list) = (struct invalid_item){xstrdup(field), type, str_take(&message)};
}

void invalid_add(struct invalid *list, const char *field, enum invalid_type type, const char *value, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = fmt ? xvasprintf(fmt, ap) : NULL;
        va_end(ap);
        add(list, field, type, value, detail);
}

void invalid_add_text(struct invalid *list, const char *field, enum invalid_type type, const char *message) {
        *vec_push(list) = (struct invalid_item){xstrdup(field), type, xstrdup(message)};
}

void invalid_string(struct invalid *list, const char *field, const char *value, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = fmt ? xvasprintf(fmt, ap) : NULL;
        va_end(ap);
        AUTO(free) char *quoted = invalid_quote(value);
        add(list, field, INVALID_VALUE, quoted, detail);
}

void invalid_int(struct invalid *list, const char *field, int64_t value, const char *fmt, ...) {
        char text[24];
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = fmt ? xvasprintf(fmt, ap) : NULL;
        va_end(ap);
        snprintf(text, sizeof(text), "%lld", (long long)value);
        add(list, field, INVALID_VALUE, text, detail);
}

void invalid_required(struct invalid *list, const char *field, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = fmt ? xvasprintf(fmt, ap) : NULL;
        va_end(ap);
        add(list, field, INVALID_REQUIRED, NULL, detail);
}

void invalid_forbidden(struct invalid *list, const char *field, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *detail = fmt ? xvasprintf(fmt, ap) : NULL;
        va_end(ap);
        add(list, field, INVALID_FORBIDDEN, NULL, detail);
}

void invalid_duplicate(struct invalid *list, const char *field, const char *value) {
        AUTO(free) char *quoted = invalid_quote(value);
        add(list, field, INVALID_DUPLICATE, quoted, NULL);
}

void invalid_not_found(struct invalid *list, const char *field, const char *value) {
        AUTO(free) char *quoted = invalid_quote(value);
        add(list, field, INVALID_NOT_FOUND, quoted, NULL);
}

void invalid_not_supported(struct invalid *list, const char *field, const char *value, const char *const *supported) {
        AUTO(str) struct str detail = STR_INIT(0);
        for (size_t i = 0; supported[i]; i++) {
                AUTO(free) char *quoted = invalid_quote(supported[i]);
                str_appendf(&detail, "%s%s", i ? ", " : "supported values: ", quoted);
        }
        AUTO(free) char *quoted = invalid_quote(value);
        add(list, field, INVALID_NOT_SUPPORTED, quoted, str_cstr(&detail));
}

void invalid_names(struct invalid *list, const char *field, const char *value, const struct strv *messages) {
        AUTO(free) char *quoted = invalid_quote(value);
        for (size_t i = 0; i < messages->len; i++)
                add(list, field, INVALID_VALUE, quoted, messages->items[i]);
}

/* Length of the UTF-8 sequence at p and its code point; 0 when it is not one. */
static size_t decode(const unsigned char *p, uint32_t *ret) {
        size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
        uint32_t c = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        *ret = c;
        return n;
}

char *invalid_quote(const char *value) {
        AUTO(str) struct str out = STR_INIT(0);
        str_append_c(&out, '"');
        const unsigned char *p = (const unsigned char *)(value ? value : "");
        while (*p) {
                static const char names[] = "abtnvfr"; /* 7 to 13 */
                uint32_t c = 0;
                size_t n = decode(p, &c);
                if (!n)
                        str_appendf(&out, "\\x%02x", *p);
                else if (c == '"' || c == '\\')
                        str_appendf(&out, "\\%c", (char)c);
                else if (c >= 7 && c <= 13)
                        str_appendf(&out, "\\%c", names[c - 7]);
                else if (c < 0x20 || c == 0x7f)
                        str_appendf(&out, "\\x%02x", (unsigned)c);
                else if ((c >= 0x80 && c < 0xa1) || c == 0xad || (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
                         c == 0xfeff)
                        str_appendf(&out, "\\u%04x", (unsigned)c);
                else
                        str_append(&out, p, n);
                p += n ? n : 1;
        }
        str_append_c(&out, '"');
        return str_take(&out);
}

static char *details_text(const struct invalid *list, const char *group, const char *kind, const char *name) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *details = yyjson_mut_obj(doc);
        if (name && *name)
                mjson_set_str(doc, details, "name", name);
        if (group && *group)
                mjson_set_str(doc, details, "group", group);
        if (kind && *kind)
                mjson_set_str(doc, details, "kind", kind);
        yyjson_mut_val *causes = mjson_arr(doc, details, "causes");
        vec_foreach(item, list) {
                yyjson_mut_val *cause = yyjson_mut_arr_add_obj(doc, causes);
                mjson_set_str(doc, cause, "reason", types[item->type].reason);
                mjson_set_str(doc, cause, "message", item->message);
                mjson_set_str(doc, cause, "field", item->field);
        }
        return mjson_write(details, false, NULL);
}

int invalid_err(const struct invalid *list, const char *group, const char *kind, const char *name, struct err *err) {
        if (!list->len)
                return 0;
        AUTO(strv) struct strv seen = {0};
        vec_foreach(item, list) {
                AUTO(free) char *line = xasprintf("%s: %s", item->field, item->message);
                if (!strv_has(&seen, line))
                        strv_add(&seen, line);
        }
        AUTO(free) char *joined = strv_join(&seen, ", ");
        AUTO(free) char *quoted = invalid_quote(name);
        bool many = seen.len > 1, grouped = group && *group;
        err_http(err, -EINVAL, 422, "Invalid", "%s%s%s %s is invalid: %s%s%s", kind, grouped ? "." : "", grouped ? group : "", quoted,
                 many ? "[" : "", joined, many ? "]" : "");
        if (err) {
                free(err->details);
                err->details = details_text(list, group, kind, name);
        }
        return -EINVAL;
}
