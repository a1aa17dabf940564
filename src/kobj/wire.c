#include "kobj/wire.h"

#include <math.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/ktime.h"
#include "codec/protobuf.h"
#include "kobj/meta.h"

static const char magic[4] = {'k', '8', 's', '\0'};

struct wire {
        yyjson_mut_doc *doc;
        struct err *err;
};

static int bad(struct wire *w, const char *fmt, ...) PRINTF(2, 3);
static int bad(struct wire *w, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(w->err, -EINVAL, 400, "BadRequest", "the protobuf body cannot be decoded: %s", text);
}

static yyjson_mut_val *text_value(struct wire *w, struct sv v) { return yyjson_mut_strncpy(w->doc, v.data ? v.data : "", v.len); }

/* The members of the small messages that become JSON scalars. */
struct small {
        uint64_t numbers[4]; /* by field number */
        struct sv bytes[4];
};

static int read_small(struct wire *w, struct sv data, struct small *ret) {
        struct pb_reader r = pb_reader(data);
        struct pb_field f;
        int n;
        while ((n = pb_next(&r, &f)) > 0) {
                if (f.number >= ARRAY_LEN(ret->numbers))
                        continue;
                ret->numbers[f.number] = f.value;
                ret->bytes[f.number] = f.bytes;
        }
        return n < 0 ? bad(w, "malformed message") : 0;
}

static int time_value(struct wire *w, const struct small *s, bool micro, yyjson_mut_val **ret) {
        int64_t seconds = (int64_t)s->numbers[1], nanos = (int32_t)s->numbers[2];
        char text[KTIME_SIZE];
        if (seconds < -62135596800 || seconds > 253402300799 || nanos < 0 || nanos > 999999999)
                return bad(w, "a time is out of range");
        if (micro)
                ktime_format_micro(seconds * 1000000 + nanos / 1000, text);
        else
                ktime_format(seconds * 1000, text);
        *ret = yyjson_mut_strcpy(w->doc, text);
        return 0;
}

/* Go's time.Duration.String for whole and fractional seconds. */
static yyjson_mut_val *duration_value(struct wire *w, int64_t ns) {
        AUTO(str) struct str out = STR_INIT(0);
        uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
        str_append_s(&out, ns < 0 ? "-" : "");
        if (left >= 3600000000000)
                str_appendf(&out, "%lluh", (unsigned long long)(left / 3600000000000));
        if (left >= 60000000000)
                str_appendf(&out, "%llum", (unsigned long long)(left / 60000000000 % 60));
        char text[64];
        snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(left / 1000000000 % 60), (unsigned long long)(left % 1000000000));
        size_t len = strlen(text);
        while (text[len - 1] == '0')
                len--;
        str_appendf(&out, "%.*ss", (int)(text[len - 1] == '.' ? len - 1 : len), text);
        return yyjson_mut_strcpy(w->doc, str_cstr(&out));
}

/* Embedded JSON text. */
static int json_value(struct wire *w, struct sv text, yyjson_mut_val **ret) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err why = ERR_INIT;
        if (!text.len) {
                *ret = yyjson_mut_null(w->doc);
                return 0;
        }
        if (json_parse(text, &doc, &why) < 0)
                return bad(w, "an embedded object is not JSON: %s", err_message(&why));
        *ret = yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(doc));
        return 0;
}

static int items_value(struct wire *w, struct sv data, yyjson_mut_val **ret) {
        struct pb_reader r = pb_reader(data);
        struct pb_field f;
        yyjson_mut_val *array = yyjson_mut_arr(w->doc);
        int n;
        while ((n = pb_next(&r, &f)) > 0) {
                if (f.number != 1 || f.wire != PB_BYTES)
                        continue;
                if (!sv_is_utf8(f.bytes))
                        return bad(w, "a string is not UTF-8");
                yyjson_mut_arr_append(array, text_value(w, f.bytes));
        }
        *ret = array;
        return n < 0 ? bad(w, "malformed list") : 0;
}

static int decode_object(struct wire *w, struct sv data, const struct schema_type *type, yyjson_mut_val *object, int depth);

static int message_value(struct wire *w, const struct schema_field *f, struct sv data, int depth, yyjson_mut_val **ret) {
        struct small s = {0};
        if (f->kind == SCHEMA_OBJECT) {
                *ret = yyjson_mut_obj(w->doc);
                return decode_object(w, data, &schema_types[f->type], *ret, depth + 1);
        }
        if (f->kind == SCHEMA_ITEMS)
                return items_value(w, data, ret);
        int r = read_small(w, data, &s);
        if (r < 0)
                return r;
        switch (f->kind) {
        case SCHEMA_QUANTITY:
                if (!sv_is_utf8(s.bytes[1]))
                        return bad(w, "%s is not UTF-8", f->name);
                *ret = s.bytes[1].len ? text_value(w, s.bytes[1]) : yyjson_mut_strcpy(w->doc, "0");
                return 0;
        case SCHEMA_TIME:
        case SCHEMA_MICRO_TIME:
                if (!data.len) { /* the zero time */
                        *ret = NULL;
                        return 0;
                }
                return time_value(w, &s, f->kind == SCHEMA_MICRO_TIME, ret);
        case SCHEMA_DURATION:
                *ret = duration_value(w, (int64_t)s.numbers[1]);
                return 0;
        case SCHEMA_INT_OR_STRING:
                if (!sv_is_utf8(s.bytes[3]))
                        return bad(w, "%s is not UTF-8", f->name);
                *ret = s.numbers[1] ? text_value(w, s.bytes[3]) : yyjson_mut_sint(w->doc, (int32_t)s.numbers[2]);
                return 0;
        case SCHEMA_FIELDS_V1:
        case SCHEMA_RAW:
        case SCHEMA_JSON:
                return json_value(w, s.bytes[1], ret);
        default:
                return bad(w, "%s can only be sent as JSON", f->name);
        }
}

static bool is_zero(yyjson_mut_val *v) {
        return (yyjson_mut_is_str(v) && yyjson_mut_get_len(v) == 0) || (yyjson_mut_is_int(v) && yyjson_mut_get_sint(v) == 0) ||
               (yyjson_mut_is_bool(v) && !yyjson_mut_get_bool(v)) || (yyjson_mut_is_real(v) && yyjson_mut_get_real(v) == 0) ||
               (yyjson_mut_is_obj(v) && yyjson_mut_obj_size(v) == 0) || yyjson_mut_is_null(v);
}

/* One value of the field's kind; *ret is NULL for one that JSON leaves out. */
static int decode_value(struct wire *w, const struct schema_field *f, const struct pb_field *p, int depth, yyjson_mut_val **ret) {
        bool wants_bytes = f->kind != SCHEMA_BOOL && f->kind != SCHEMA_INT32 && f->kind != SCHEMA_INT64 && f->kind != SCHEMA_DOUBLE;
        if (wants_bytes != (p->wire == PB_BYTES))
                return bad(w, "%s has the wrong wire type", f->name);
        switch (f->kind) {
        case SCHEMA_STRING:
                if (!sv_is_utf8(p->bytes))
                        return bad(w, "%s is not UTF-8", f->name);
                *ret = text_value(w, p->bytes);
                return 0;
        case SCHEMA_BYTES: {
                AUTO(str) struct str text = STR_INIT(0);
                base64_encode(p->bytes, &text);
                *ret = yyjson_mut_strncpy(w->doc, str_cstr(&text), text.len);
                return 0;
        }
        case SCHEMA_BOOL:
                *ret = yyjson_mut_bool(w->doc, p->value != 0);
                return 0;
        case SCHEMA_INT32:
                *ret = yyjson_mut_sint(w->doc, (int32_t)p->value);
                return 0;
        case SCHEMA_INT64:
                *ret = yyjson_mut_sint(w->doc, (int64_t)p->value);
                return 0;
        case SCHEMA_DOUBLE: {
                double number;
                memcpy(&number, &p->value, sizeof(number));
                if (!isfinite(number))
                        return bad(w, "%s is not a finite number", f->name);
                *ret = yyjson_mut_real(w->doc, number);
                return 0;
        }
        default:
                return message_value(w, f, p->bytes, depth, ret);
        }
}

/* A map is a list of messages {1: key, 2: value}. */
static int decode_entry(struct wire *w, const struct schema_field *f, struct sv data, yyjson_mut_val *map, int depth) {
        struct pb_reader r = pb_reader(data);
        struct pb_field p,
                value = {.wire = f->kind == SCHEMA_BOOL || f->kind == SCHEMA_INT32 || f->kind == SCHEMA_INT64 ? PB_VARINT : PB_BYTES};
        struct sv key = SV("");
        int n;
        while ((n = pb_next(&r, &p)) > 0) {
                if (p.number == 1 && p.wire == PB_BYTES)
                        key = p.bytes;
                else if (p.number == 2)
                        value = p;
        }
        if (n < 0 || !sv_is_utf8(key) || memchr(key.data, '\0', key.len))
                return bad(w, "malformed entry of %s", f->name);
        yyjson_mut_val *v = NULL;
        n = decode_value(w, f, &value, depth, &v);
        if (n < 0)
                return n;
        AUTO(free) char *name = sv_dup(key);
        mjson_set(w->doc, map, name, v ? v : yyjson_mut_null(w->doc));
        return 0;
}

/* Lists of numbers may come packed into one field. */
static int decode_packed(struct wire *w, const struct schema_field *f, struct sv data, yyjson_mut_val *list) {
        struct pb_reader r = pb_reader(data);
        while (r.at < r.end) {
                struct pb_field p = {.wire = PB_VARINT};
                yyjson_mut_val *v = NULL;
                if (pb_varint(&r, &p.value) < 0)
                        return bad(w, "malformed list %s", f->name);
                int n = decode_value(w, f, &p, 0, &v);
                if (n < 0)
                        return n;
                yyjson_mut_arr_append(list, v);
        }
        return 0;
}

static int decode_field(struct wire *w, const struct schema_field *f, const struct pb_field *p, yyjson_mut_val *object, int depth) {
        yyjson_mut_val *v = NULL;
        if (f->flags & SCHEMA_F_INLINE)
                return p->wire == PB_BYTES ? decode_object(w, p->bytes, &schema_types[f->type], object, depth + 1)
                                           : bad(w, "wrong wire type");
        if (f->flags & SCHEMA_F_MAP)
                return p->wire == PB_BYTES ? decode_entry(w, f, p->bytes, mjson_obj(w->doc, object, f->name), depth)
                                           : bad(w, "%s has the wrong wire type", f->name);
        bool number = f->kind == SCHEMA_INT32 || f->kind == SCHEMA_INT64 || f->kind == SCHEMA_BOOL;
        if ((f->flags & SCHEMA_F_LIST) && number && p->wire == PB_BYTES)
                return decode_packed(w, f, p->bytes, mjson_arr(w->doc, object, f->name));
        int r = decode_value(w, f, p, depth, &v);
        if (r < 0 || !v)
                return r;
        if (f->flags & SCHEMA_F_LIST)
                yyjson_mut_arr_append(mjson_arr(w->doc, object, f->name), v);
        else if ((f->flags & SCHEMA_F_POINTER) || !is_zero(v))
                mjson_set(w->doc, object, f->name, v);
        return 0;
}

static int decode_object(struct wire *w, struct sv data, const struct schema_type *type, yyjson_mut_val *object, int depth) {
        struct pb_reader r = pb_reader(data);
        struct pb_field p;
        int n;
        if (depth > WIRE_MAX_DEPTH)
                return bad(w, "nested deeper than %d levels", WIRE_MAX_DEPTH);
        while ((n = pb_next(&r, &p)) > 0) {
                for (size_t i = 0; i < type->len; i++) {
                        if (type->fields[i].number != p.number)
                                continue;
                        int e = decode_field(w, &type->fields[i], &p, object, depth);
                        if (e < 0)
                                return e;
                        break;
                }
        }
        return n < 0 ? bad(w, "malformed %s", type->name) : 0;
}

bool wire_is_protobuf(struct sv body) { return sv_starts(body, sv_new(magic, sizeof(magic))); }

/* runtime.Unknown: 1 {1 apiVersion, 2 kind}, 2 raw. */
static int read_envelope(struct wire *w, struct sv body, struct sv *api_version, struct sv *kind, struct sv *raw) {
        struct pb_reader r = pb_reader(sv_new(body.data + sizeof(magic), body.len - sizeof(magic)));
        struct pb_field f;
        int n;
        while ((n = pb_next(&r, &f)) > 0) {
                struct small s = {0};
                if (f.number == 1 && f.wire == PB_BYTES) {
                        int e = read_small(w, f.bytes, &s);
                        if (e < 0)
                                return e;
                        *api_version = s.bytes[1];
                        *kind = s.bytes[2];
                } else if (f.number == 2 && f.wire == PB_BYTES) {
                        *raw = f.bytes;
                } else if (f.number == 3 && f.bytes.len) {
                        return bad(w, "unknown content encoding");
                }
        }
        return n < 0 || !sv_is_utf8(*api_version) || !sv_is_utf8(*kind) ? bad(w, "malformed envelope") : 0;
}

int wire_decode(struct sv body, yyjson_mut_doc **ret, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct wire w = {.doc = doc, .err = err};
        struct sv api_version = SV(""), kind_name = SV(""), raw = SV(""), group, version;
        if (!wire_is_protobuf(body))
                return bad(&w, "it does not start with the bytes \"k8s\\0\"");
        int r = read_envelope(&w, body, &api_version, &kind_name, &raw);
        if (r < 0)
                return r;
        AUTO(free) char *api = sv_dup(api_version);
        AUTO(free) char *kind = sv_dup(kind_name);
        meta_split_api_version(api, &group, &version);
        AUTO(free) char *g = sv_dup(group);
        AUTO(free) char *v = sv_dup(version);
        struct schema schema = schema_of_kind(g, v, kind);
        if (!schema.type)
                return err_http(err, -ENOENT, 400, "BadRequest", "no kind \"%s\" is registered for version \"%s\"", kind, api);
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, object);
        mjson_set_str(doc, object, "apiVersion", api);
        mjson_set_str(doc, object, "kind", kind);
        r = decode_object(&w, raw, schema.type, object, 0);
        if (r < 0)
                return r;
        *ret = TAKE(doc);
        return 0;
}
