#include "cluster/decode.h"

#include "codec/base64.h"
#include "codec/ktime.h"
#include "codec/quantity.h"

enum { MAX_STRICT = 10 }; /* unknown fields reported, as the real decoder stops there */

struct decode {
        yyjson_mut_doc *doc;
        struct strv *strict;
        struct err *err;
        struct str path;     /* "spec.containers[0].image" */
        const char *in_type; /* Go's name of the innermost struct */
};

static int convert(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, unsigned flags, yyjson_mut_val **ret);
static int convert_object(struct decode *d, yyjson_mut_val *v, const struct schema_type *type, yyjson_mut_val **ret);

static const char *json_kind(yyjson_mut_val *v) {
        if (yyjson_mut_is_str(v))
                return "string";
        if (yyjson_mut_is_num(v))
                return "number";
        if (yyjson_mut_is_bool(v))
                return "bool";
        return yyjson_mut_is_arr(v) ? "array" : "object";
}

static char *go_type(const struct schema_field *f, unsigned flags) {
        static const char *const plain[] = {
                [SCHEMA_STRING] = "string", [SCHEMA_BOOL] = "bool", [SCHEMA_INT32] = "int32", [SCHEMA_INT64] = "int64",
                [SCHEMA_DOUBLE] = "float64", [SCHEMA_BYTES] = "[]uint8", [SCHEMA_QUANTITY] = "resource.Quantity", [SCHEMA_TIME] = "string",
                [SCHEMA_MICRO_TIME] = "string", [SCHEMA_DURATION] = "string", [SCHEMA_INT_OR_STRING] = "int32",
        }; /* times read themselves, from a string; so does what is an integer or a string */
        AUTO(free) char *base = NULL;
        if (flags && (f->flags & SCHEMA_F_NAMED))
                return xstrdup(f->named);
        if (f->named && !(f->flags & SCHEMA_F_NAMED))
                base = xstrdup(f->named);
        else if (f->kind == SCHEMA_OBJECT)
                base = xasprintf("%s.%s", schema_types[f->type].package, schema_types[f->type].name);
        else
                base = xstrdup(f->kind < ARRAY_LEN(plain) && plain[f->kind] ? plain[f->kind] : "interface {}");
        if (flags & SCHEMA_F_LIST)
                return xasprintf("[]%s", base);
        if (flags & SCHEMA_F_MAP)
                return xasprintf("map[string]%s", base);
        return TAKE(base);
}

/* The path without list indexes, as encoding/json writes it. */
static char *go_path(const struct str *path) {
        AUTO(str) struct str out = STR_INIT(0);
        for (const char *p = str_cstr(path); *p; p++) {
                if (*p == '[')
                        while (p[1] && *p != ']')
                                p++;
                else
                        str_append_c(&out, *p);
        }
        return str_take(&out);
}

static int wrong_type(struct decode *d, const char *got, const struct schema_field *f, unsigned flags) {
        AUTO(free) char *path = go_path(&d->path), *type = go_type(f, flags);
        return err_set(d->err, -EINVAL, "json: cannot unmarshal %s into Go struct field %s.%s of type %s", got, d->in_type, path, type);
}

static void report(struct decode *d, const char *what, struct sv key) {
        if (d->strict && d->strict->len < MAX_STRICT)
                strv_addf(d->strict, "%s field \"%s%s%.*s\"", what, str_cstr(&d->path), d->path.len ? "." : "", SV_ARG(key));
}

static bool is_integer(yyjson_mut_val *v, int64_t min, int64_t max) {
        if (yyjson_mut_is_uint(v))
                return yyjson_mut_get_uint(v) <= (uint64_t)max;
        return yyjson_mut_is_sint(v) && yyjson_mut_get_sint(v) >= min && yyjson_mut_get_sint(v) <= max;
}

static int convert_integer(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, yyjson_mut_val **ret) {
        int64_t min = f->kind == SCHEMA_INT64 ? INT64_MIN : INT32_MIN, max = f->kind == SCHEMA_INT64 ? INT64_MAX : INT32_MAX;
        AUTO(free) char *text = NULL, *got = NULL;

        if (!yyjson_mut_is_num(v))
                return wrong_type(d, json_kind(v), f, 0);
        if (!is_integer(v, min, max)) {
                text = mjson_write(v, false, NULL);
                got = xasprintf("number %s", text);
                return wrong_type(d, got, f, 0);
        }
        *ret = yyjson_mut_val_mut_copy(d->doc, v);
        return 0;
}

/* Go's CorruptInputError names the first offending byte. */
static int check_base64(struct decode *d, const char *text) {
        size_t n = 0, i, padding = 0, len = strlen(text);
        for (i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                bool alphabet = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
                if (c == '\n' || c == '\r')
                        continue;
                if (c == '=' && (n % 4 == 2 || n % 4 == 3))
                        padding++;
                else if (!alphabet || padding)
                        return err_set(d->err, -EINVAL, "illegal base64 data at input byte %zu", i);
                n++;
        }
        if (n % 4) /* the first of those that are too few, or the end where padding is missing */
                return err_set(d->err, -EINVAL, "illegal base64 data at input byte %zu", padding ? len : len - n % 4);
        return 0;
}

/* A time with something behind it. */
static bool has_time_at_front(const char *text, size_t *ret_end) {
        enum { SHORTEST = sizeof("2006-01-02T15:04:05Z") - 1 };
        size_t len = strlen(text);
        int64_t us;
        for (size_t end = len < KTIME_SIZE ? len : KTIME_SIZE; end >= SHORTEST; end--) {
                if (ktime_parse((struct sv){text, end}, &us)) {
                        *ret_end = end;
                        return true;
                }
        }
        return false;
}

static int convert_time(struct decode *d, yyjson_mut_val *v, bool micro, const struct schema_field *f, yyjson_mut_val **ret) {
        char text[KTIME_SIZE];
        int64_t us;
        size_t end;
        const char *s = yyjson_mut_get_str(v);

        if (!s)
                return wrong_type(d, json_kind(v), f, 0);
        if (!ktime_parse(sv_of(s), &us) && has_time_at_front(s, &end))
                return err_set(d->err, -EINVAL, "parsing time \"%s\": extra text: \"%s\"", s, s + end);
        if (!ktime_parse(sv_of(s), &us))
                return err_set(d->err, -EINVAL, "parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"2006\"", s,
                               micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00", s);
        if (micro)
                ktime_format_micro(us, text);
        else
                ktime_format(us / 1000, text);
        *ret = yyjson_mut_strcpy(d->doc, text);
        return 0;
}

static int convert_quantity(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, yyjson_mut_val **ret) {
        AUTO(free) char *number = yyjson_mut_is_num(v) ? mjson_write(v, false, NULL) : NULL;
        const char *text = number ? number : yyjson_mut_get_str(v);
        struct quantity q;
        char out[64];
        int r;

        if (!text)
                return wrong_type(d, json_kind(v), f, 0);
        r = quantity_parse(sv_of(text), &q, d->err);
        if (r < 0)
                return r;
        quantity_format(q, out);
        *ret = yyjson_mut_strcpy(d->doc, out);
        return 0;
}

static int convert_scalar(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, yyjson_mut_val **ret) {
        switch ((enum schema_kind)f->kind) {
        case SCHEMA_STRING:
                if (!yyjson_mut_is_str(v))
                        return wrong_type(d, json_kind(v), f, 0);
                break;
        case SCHEMA_BOOL:
                if (!yyjson_mut_is_bool(v))
                        return wrong_type(d, json_kind(v), f, 0);
                break;
        case SCHEMA_INT32:
        case SCHEMA_INT64:
                return convert_integer(d, v, f, ret);
        case SCHEMA_DOUBLE:
                if (!yyjson_mut_is_num(v))
                        return wrong_type(d, json_kind(v), f, 0);
                break;
        case SCHEMA_BYTES:
                if (!yyjson_mut_is_str(v))
                        return wrong_type(d, json_kind(v), f, 0);
                if (check_base64(d, yyjson_mut_get_str(v)) < 0)
                        return -EINVAL;
                break;
        case SCHEMA_QUANTITY:
                return convert_quantity(d, v, f, ret);
        case SCHEMA_TIME:
                return convert_time(d, v, false, f, ret);
        case SCHEMA_MICRO_TIME:
                return convert_time(d, v, true, f, ret);
        case SCHEMA_DURATION: {
                int64_t ms;
                if (!yyjson_mut_is_str(v))
                        return wrong_type(d, json_kind(v), f, 0);
                if (!duration_parse(sv_of(yyjson_mut_get_str(v)), &ms))
                        return err_set(d->err, -EINVAL, "time: invalid duration \"%s\"", yyjson_mut_get_str(v));
                break;
        }
        case SCHEMA_INT_OR_STRING:
                if (!yyjson_mut_is_str(v))
                        return convert_integer(d, v, f, ret);
                break;
        case SCHEMA_ITEMS:
                if (!yyjson_mut_is_arr(v))
                        return wrong_type(d, json_kind(v), f, 0);
                break;
        case SCHEMA_OBJECT:
        case SCHEMA_ANY:
        case SCHEMA_FIELDS_V1:
        case SCHEMA_RAW:
        case SCHEMA_JSON:
                break;
        }
        *ret = yyjson_mut_val_mut_copy(d->doc, v);
        return 0;
}

/* What Go makes of a null where a value must be: an element of a list or map, a member that is always written. */
static yyjson_mut_val *zero_value(struct decode *d, const struct schema_field *f) {
        yyjson_mut_val *out = NULL;
        switch ((enum schema_kind)f->kind) {
        case SCHEMA_OBJECT:
                (void)!convert_object(d, yyjson_mut_obj(d->doc), &schema_types[f->type], &out);
                return out;
        case SCHEMA_QUANTITY:
                return yyjson_mut_str(d->doc, "0");
        case SCHEMA_STRING:
                return yyjson_mut_str(d->doc, "");
        case SCHEMA_BOOL:
                return yyjson_mut_bool(d->doc, false);
        case SCHEMA_INT32:
        case SCHEMA_INT64:
        case SCHEMA_DOUBLE:
        case SCHEMA_INT_OR_STRING:
                return yyjson_mut_int(d->doc, 0);
        case SCHEMA_DURATION:
                return yyjson_mut_str(d->doc, "0s");
        default:
                return yyjson_mut_null(d->doc);
        }
}

static int convert_list(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, yyjson_mut_val **ret) {
        yyjson_mut_val *list = yyjson_mut_arr(d->doc), *item;
        size_t i, n, before = d->path.len;
        int r = 0;

        if (!yyjson_mut_is_arr(v))
                return wrong_type(d, json_kind(v), f, SCHEMA_F_LIST);
        yyjson_mut_arr_foreach(v, i, n, item) {
                yyjson_mut_val *out = NULL;
                str_appendf(&d->path, "[%zu]", i);
                if (!yyjson_mut_is_null(item))
                        r = convert(d, item, f, 0, &out);
                else
                        out = zero_value(d, f);
                str_truncate(&d->path, before);
                if (r < 0)
                        return r;
                yyjson_mut_arr_append(list, out);
        }
        *ret = list;
        return 0;
}

static int by_key(const void *a, const void *b) {
        yyjson_mut_val *const *x = a, *const *y = b;
        return strcmp(yyjson_mut_get_str(*x), yyjson_mut_get_str(*y));
}

static int convert_map(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, yyjson_mut_val **ret) {
        yyjson_mut_val *map = yyjson_mut_obj(d->doc), *key, *value;
        VEC(yyjson_mut_val *) keys = {0};
        size_t i, n;
        int r = 0;

        if (!yyjson_mut_is_obj(v))
                return wrong_type(d, json_kind(v), f, SCHEMA_F_MAP);
        yyjson_mut_obj_foreach(v, i, n, key, value) *vec_push(&keys) = key;
        if (keys.len)
                qsort(keys.items, keys.len, sizeof(*keys.items), by_key);
        for (i = 0; i < keys.len && r == 0; i++) {
                yyjson_mut_val *out = NULL;
                value = keys.items[i]->next;
                if (i + 1 < keys.len && by_key(&keys.items[i], &keys.items[i + 1]) == 0)
                        continue; /* the last one wins */
                if (!yyjson_mut_is_null(value))
                        r = convert(d, value, f, 0, &out);
                else
                        out = zero_value(d, f);
                if (r == 0)
                        yyjson_mut_obj_add(map, yyjson_mut_val_mut_copy(d->doc, keys.items[i]), out);
        }
        vec_done(&keys);
        if (r == 0)
                *ret = map;
        return r;
}

static int convert(struct decode *d, yyjson_mut_val *v, const struct schema_field *f, unsigned flags, yyjson_mut_val **ret) {
        if (flags & SCHEMA_F_LIST)
                return convert_list(d, v, f, ret);
        if (flags & SCHEMA_F_MAP)
                return convert_map(d, v, f, ret);
        if (f->kind == SCHEMA_OBJECT) {
                if (!yyjson_mut_is_obj(v))
                        return wrong_type(d, json_kind(v), f, 0);
                return convert_object(d, v, &schema_types[f->type], ret);
        }
        return convert_scalar(d, v, f, ret);
}

/* Would Go's `omitempty` leave it out? */
static bool is_empty(yyjson_mut_val *v, const struct schema_field *f) {
        if (f->flags & SCHEMA_F_POINTER)
                return false;
        if (f->flags & (SCHEMA_F_LIST | SCHEMA_F_MAP))
                return yyjson_mut_get_len(v) == 0;
        switch ((enum schema_kind)f->kind) {
        case SCHEMA_STRING:
        case SCHEMA_BYTES:
                return yyjson_mut_get_len(v) == 0;
        case SCHEMA_BOOL:
                return yyjson_mut_is_false(v);
        case SCHEMA_INT32:
        case SCHEMA_INT64:
                return yyjson_mut_get_sint(v) == 0;
        case SCHEMA_DOUBLE:
                return yyjson_mut_get_num(v) == 0;
        default:
                return false;
        }
}

/* What Go writes for a member that was never set; NULL: nothing. */
static yyjson_mut_val *zero(struct decode *d, const struct schema_field *f) {
        bool omits = f->flags & SCHEMA_F_OMITEMPTY;

        if (f->flags & (SCHEMA_F_POINTER | SCHEMA_F_LIST | SCHEMA_F_MAP))
                return omits ? NULL : yyjson_mut_null(d->doc);
        switch ((enum schema_kind)f->kind) {
        case SCHEMA_OBJECT: /* omitempty does nothing for structs */
        case SCHEMA_QUANTITY:
                return zero_value(d, f);
        case SCHEMA_TIME:
        case SCHEMA_MICRO_TIME:
                return streq(f->name, "creationTimestamp") ? NULL : yyjson_mut_null(d->doc);
        default:
                return omits ? NULL : zero_value(d, f);
        }
}

static int convert_members(struct decode *d, yyjson_mut_val *v, const struct schema_type *type, yyjson_mut_val *out) {
        size_t before = d->path.len;
        for (size_t i = 0; i < type->len; i++) {
                const struct schema_field *f = &type->fields[i];
                yyjson_mut_val *in, *member = NULL;
                int r;

                if (f->flags & SCHEMA_F_INLINE) {
                        r = convert_members(d, v, &schema_types[f->type], out);
                        if (r < 0)
                                return r;
                        continue;
                }
                in = yyjson_mut_obj_get(v, f->name);
                if (in && !yyjson_mut_is_null(in)) {
                        if (before)
                                str_append_c(&d->path, '.');
                        str_append_s(&d->path, f->name);
                        r = convert(d, in, f, f->flags, &member);
                        str_truncate(&d->path, before);
                        if (r < 0)
                                return r;
                        if ((f->flags & SCHEMA_F_OMITEMPTY) && is_empty(member, f))
                                member = NULL;
                } else {
                        member = zero(d, f);
                }
                if (member)
                        yyjson_mut_obj_add(out, yyjson_mut_str(d->doc, f->name), member);
        }
        return 0;
}

static bool is_kind(const struct schema_type *type) {
        return schema_find_field(type, "metadata") && schema_find_field(type, "spec") && schema_find_field(type, "status");
}

static int convert_object(struct decode *d, yyjson_mut_val *v, const struct schema_type *type, yyjson_mut_val **ret) {
        yyjson_mut_val *out = yyjson_mut_obj(d->doc);
        const char *outer = d->in_type;
        int r;

        d->in_type = type->name;
        if (d->path.len && is_kind(type)) { /* a whole object inside another: volumeClaimTemplates */
                static const char *const members[] = {"kind", "apiVersion"};
                for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                        const char *s = mjson_get_str(v, members[i]);
                        if (s && *s)
                                yyjson_mut_obj_add_strcpy(d->doc, out, members[i], s);
                }
        }
        r = convert_members(d, v, type, out);
        d->in_type = outer;
        if (r == 0)
                *ret = out;
        return r;
}

/* Names what the type does not know, in the order of the document. */
static void find_unknown(struct decode *d, yyjson_mut_val *v, const struct schema_type *type);

static void find_unknown_inside(struct decode *d, yyjson_mut_val *v, const struct schema_field *f) {
        size_t before = d->path.len, i, n;
        yyjson_mut_val *item, *key;
        if (f->kind != SCHEMA_OBJECT)
                return;
        if (f->flags & SCHEMA_F_LIST) {
                yyjson_mut_arr_foreach(v, i, n, item) {
                        str_appendf(&d->path, "[%zu]", i);
                        find_unknown(d, item, &schema_types[f->type]);
                        str_truncate(&d->path, before);
                }
        } else if (f->flags & SCHEMA_F_MAP) {
                yyjson_mut_obj_foreach(v, i, n, key, item) {
                        str_appendf(&d->path, ".%s", yyjson_mut_get_str(key));
                        find_unknown(d, item, &schema_types[f->type]);
                        str_truncate(&d->path, before);
                }
        } else {
                find_unknown(d, v, &schema_types[f->type]);
        }
}

static void find_unknown(struct decode *d, yyjson_mut_val *v, const struct schema_type *type) {
        size_t before = d->path.len, i, n;
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_foreach(v, i, n, key, value) {
                const char *name = yyjson_mut_get_str(key);
                const struct schema_field *f = schema_find_field(type, name);
                if ((before == 0 || is_kind(type)) && (streq(name, "apiVersion") || streq(name, "kind")))
                        continue;
                if (!f) {
                        report(d, "unknown", sv_of(name));
                        continue;
                }
                if (yyjson_mut_obj_get(v, name) != value)
                        report(d, "duplicate", sv_of(name));
                str_appendf(&d->path, "%s%s", before ? "." : "", name);
                find_unknown_inside(d, value, f);
                str_truncate(&d->path, before);
        }
}

int decode_typed(yyjson_mut_doc *doc, yyjson_mut_val *value, struct schema schema, struct strv *strict, yyjson_mut_val **ret,
                 struct err *err) {
        struct decode d = {.doc = doc, .strict = strict, .err = err};
        yyjson_mut_val *out = NULL;
        int r;

        if (!schema.type) {
                *ret = yyjson_mut_val_mut_copy(doc, value);
                return 0;
        }
        if (!yyjson_mut_is_obj(value))
                return err_set(err, -EINVAL, "json: cannot unmarshal %s into Go value of type v1.%s", json_kind(value), schema.type->name);
        if (strict)
                find_unknown(&d, value, schema.type);
        r = convert_object(&d, value, schema.type, &out);
        str_done(&d.path);
        if (r == 0)
                *ret = out;
        return r;
}
