#include "spark/eventscan.h"

#include "spark/jformat.h"

/* ---- the fast reader ---- */

struct cursor {
        struct scan *scan;
        const char *p, *end;
};

/* memcmp() == 0 for names, most of which are too short to be worth a call. */
static inline bool same(const char *a, const char *b, size_t n) {
        uint64_t x, y;
        if (n < sizeof(x)) {
                for (size_t i = 0; i < n; i++)
                        if (a[i] != b[i])
                                return false;
                return true;
        }
        for (size_t i = 0;; i = i + 2 * sizeof(x) <= n ? i + sizeof(x) : n - sizeof(x)) { /* the last two may overlap */
                memcpy(&x, a + i, sizeof(x));
                memcpy(&y, b + i, sizeof(y));
                if (x != y)
                        return false;
                if (i + sizeof(x) == n)
                        return true;
        }
}

static inline bool literal(struct cursor *c, const char *text, size_t len) {
        if ((size_t)(c->end - c->p) < len || !same(c->p, text, len))
                return false;
        c->p += len;
        return true;
}
/* Of constant text: the compiler compares it in place. */
#define LITERAL(c, text)                                                                                                                   \
        ((size_t)((c)->end - (c)->p) >= sizeof(text) - 1 && memcmp((c)->p, text, sizeof(text) - 1) == 0                                    \
                 ? ((c)->p += sizeof(text) - 1, true)                                                                                      \
                 : false)

static inline bool ends_number(char ch) { return ch == ',' || ch == '}' || ch == ']'; }

/* Integers only; anything else is for yyjson. */
static bool fast_int(struct cursor *c, int64_t *ret) {
        const char *p = c->p;
        bool negative = p < c->end && *p == '-';
        p += negative;
        uint64_t v = 0;
        const char *start = p;
        while (p < c->end && (unsigned)(*p - '0') < 10)
                v = v * 10 + (unsigned)(*p++ - '0');
        if (p == start || p - start > 18 || p >= c->end || !ends_number(*p))
                return false;
        *ret = negative ? -(int64_t)v : (int64_t)v;
        c->p = p;
        return true;
}

static bool fast_bool(struct cursor *c, bool *ret) {
        *ret = c->p < c->end && *c->p == 't';
        return *ret ? LITERAL(c, "true") : LITERAL(c, "false");
}

static unsigned hex4(const char *p, bool *ok) {
        unsigned v = 0;
        for (int i = 0; i < 4; i++) {
                unsigned d = (unsigned char)p[i];
                d = d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : 16;
                *ok = *ok && d < 16;
                v = v << 4 | (d & 15);
        }
        return v;
}

static size_t put_utf8(char *out, unsigned cp) {
        if (cp < 0x80)
                return out[0] = (char)cp, 1;
        if (cp < 0x800)
                return out[0] = (char)(0xc0 | cp >> 6), out[1] = (char)(0x80 | (cp & 63)), 2;
        if (cp < 0x10000)
                return out[0] = (char)(0xe0 | cp >> 12), out[1] = (char)(0x80 | (cp >> 6 & 63)), out[2] = (char)(0x80 | (cp & 63)), 3;
        return out[0] = (char)(0xf0 | cp >> 18), out[1] = (char)(0x80 | (cp >> 12 & 63)), out[2] = (char)(0x80 | (cp >> 6 & 63)),
               out[3] = (char)(0x80 | (cp & 63)), 4;
}

/* Text between quotes with its escapes resolved; false on an escape that JSON does not have. */
static bool unescape(struct scan *s, const char *p, const char *end, struct sv *ret) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        char *out = arena_alloc(&s->arena, (size_t)(end - p) + 1);
        size_t n = 0;
        while (p < end) {
                if (*p != '\\') {
                        out[n++] = *p++;
                        continue;
                }
                if (end - p < 2)
                        return false;
                const char *at = p[1] ? strchr(from, p[1]) : NULL;
                if (at) {
                        out[n++] = to[at - from];
                        p += 2;
                        continue;
                }
                bool ok = p[1] == 'u' && end - p >= 6;
                unsigned cp = ok ? hex4(p + 2, &ok) : 0;
                p += 6;
                if (ok && cp >= 0xd800 && cp < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
                        unsigned low = hex4(p + 2, &ok);
                        if (low >= 0xdc00 && low < 0xe000) {
                                cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
                                p += 6;
                        }
                }
                if (!ok)
                        return false;
                n += put_utf8(out + n, cp >= 0xd800 && cp < 0xe000 ? 0xfffd : cp);
        }
        *ret = sv_new(out, n);
        return true;
}

/* Past the closing quote of the string whose text begins at p; NULL when it does not end. `ret_escaped`: it has escapes. */
static const char *string_end(const char *p, const char *end, bool *ret_escaped) {
        *ret_escaped = false;
        for (;;) {
                const char *q = memchr(p, '"', (size_t)(end - p));
                if (!q)
                        return NULL;
                size_t slashes = 0;
                while (q - slashes > p && q[-1 - (ptrdiff_t)slashes] == '\\')
                        slashes++;
                if (slashes % 2 == 0)
                        return q + 1;
                *ret_escaped = true;
                p = q + 1;
        }
}

static bool fast_string(struct cursor *c, struct sv *ret) {
        if (c->p >= c->end || *c->p != '"')
                return false;
        const char *text = c->p + 1;
        bool escaped;
        const char *after = string_end(text, c->end, &escaped);
        if (!after)
                return false;
        size_t len = (size_t)(after - 1 - text);
        c->p = after;
        if (!escaped && !memchr(text, '\\', len)) {
                *ret = sv_new(text, len);
                return true;
        }
        return unescape(c->scan, text, after - 1, ret);
}

/* Past any value, without looking at more than brackets and quotes. */
static bool fast_skip(struct cursor *c) {
        size_t depth = 0;
        while (c->p < c->end) {
                bool escaped;
                switch (*c->p) {
                case '"':
                        c->p = string_end(c->p + 1, c->end, &escaped);
                        if (!c->p) {
                                c->p = c->end;
                                return false;
                        }
                        break;
                case '{':
                case '[':
                        depth++;
                        c->p++;
                        break;
                case '}':
                case ']':
                        if (depth == 0)
                                return true;
                        depth--;
                        c->p++;
                        break;
                case ',':
                        if (depth == 0)
                                return true;
                        c->p++;
                        break;
                default:
                        c->p++;
                        continue;
                }
                if (depth == 0)
                        return true;
        }
        return false;
}

static bool fast_optional_text(struct cursor *c, struct sv *ret) {
        if (c->p < c->end && *c->p == '"')
                return fast_string(c, ret);
        const char *from = c->p;
        int64_t ignored;
        if (!fast_int(c, &ignored))
                return false;
        *ret = sv_new(from, (size_t)(c->p - from));
        return true;
}

static const char internal_tail[] = ",\"Internal\":true,\"Count Failed Values\":true";

static bool fast_accumulable(struct cursor *c) {
        struct scan_accumulable a = {0};
        if (!LITERAL(c, "{\"ID\":") || !fast_int(c, &a.id))
                return false;
        /* Nobody asks for the internal task metrics: jump to the closing brace when the object is as usual. */
        const char *name = c->p;
        if (LITERAL(c, ",\"Name\":\"internal.metrics.")) {
                const char *close = memchr(c->p, '}', (size_t)(c->end - c->p));
                if (close && close - c->p > (ptrdiff_t)sizeof(internal_tail) &&
                    memcmp(close - (sizeof(internal_tail) - 1), internal_tail, sizeof(internal_tail) - 1) == 0) {
                        c->p = close + 1;
                        return true;
                }
                c->p = name;
        }
        if (LITERAL(c, ",\"Name\":") && !fast_string(c, &a.name))
                return false;
        if (LITERAL(c, ",\"Update\":") && !fast_optional_text(c, &a.update))
                return false;
        if (LITERAL(c, ",\"Value\":") && !fast_optional_text(c, &a.value))
                return false;
        if (LITERAL(c, ",\"Internal\":") && !fast_bool(c, &a.internal))
                return false;
        bool ignored;
        if (LITERAL(c, ",\"Count Failed Values\":") && !fast_bool(c, &ignored))
                return false;
        struct sv metadata = SV_NULL;
        if (LITERAL(c, ",\"Metadata\":") && !fast_string(c, &metadata))
                return false;
        a.sql = sv_eqs(metadata, "sql");
        if (!LITERAL(c, "}"))
                return false;
        *vec_push(&c->scan->accumulables) = a;
        return true;
}

static bool fast_accumulables(struct cursor *c) {
        if (!LITERAL(c, "["))
                return false;
        if (LITERAL(c, "]"))
                return true;
        do {
                if (!fast_accumulable(c))
                        return false;
        } while (LITERAL(c, ","));
        return LITERAL(c, "]");
}

static bool fast_object(struct cursor *c, const struct scan_table *table, void *ret, unsigned depth);

static bool fast_field(struct cursor *c, const struct scan_field *f, char *ret, unsigned depth) {
        if (c->p < c->end && *c->p == 'n')
                return LITERAL(c, "null");
        if (f->seen)
                *(bool *)(ret + f->seen) = true;
        switch (f->kind) {
        case SCAN_SKIP:
                return fast_skip(c);
        case SCAN_INT64:
                return fast_int(c, (int64_t *)(ret + f->offset));
        case SCAN_INT32: {
                int64_t v;
                if (!fast_int(c, &v))
                        return false;
                *(int32_t *)(ret + f->offset) = (int32_t)v;
                return true;
        }
        case SCAN_BOOL:
                return fast_bool(c, (bool *)(ret + f->offset));
        case SCAN_STRING:
                return fast_string(c, (struct sv *)(ret + f->offset));
        case SCAN_RAW: {
                const char *from = c->p;
                if (!fast_skip(c))
                        return false;
                *(struct sv *)(ret + f->offset) = sv_new(from, (size_t)(c->p - from));
                return true;
        }
        case SCAN_OBJECT:
                return fast_object(c, f->table, ret, depth + 1);
        case SCAN_ACCUMULABLES:
                return fast_accumulables(c);
        }
        return false;
}

static const struct scan_field *find_field(const struct scan_table *table, const char *name, size_t len) {
        for (size_t i = 0; i < table->count; i++)
                if (table->fields[i].len == len && memcmp(table->fields[i].name, name, len) == 0)
                        return &table->fields[i];
        return NULL;
}

static bool fast_object(struct cursor *c, const struct scan_table *table, void *ret, unsigned depth) {
        if (depth > 8 || !LITERAL(c, "{"))
                return false;
        if (LITERAL(c, "}"))
                return true;
        size_t guess = 0;
        do {
                const struct scan_field *f = guess < table->count ? &table->fields[guess] : NULL;
                if (f && literal(c, f->name, f->len)) {
                        guess++;
                } else {
                        const char *from = c->p;
                        bool escaped;
                        const char *after = c->p < c->end && *c->p == '"' ? string_end(c->p + 1, c->end, &escaped) : NULL;
                        if (!after || after >= c->end || *after != ':' || escaped)
                                return false;
                        c->p = after + 1;
                        f = find_field(table, from, (size_t)(c->p - from));
                        if (f)
                                guess = (size_t)(f - table->fields) + 1;
                }
                if (!(f ? fast_field(c, f, ret, depth) : fast_skip(c)))
                        return false;
        } while (LITERAL(c, ","));
        return LITERAL(c, "}");
}

/* ---- the same by a tree ---- */

struct sv scan_as_text(struct scan *s, yyjson_val *v) {
        switch (yyjson_get_type(v)) {
        case YYJSON_TYPE_STR:
                return sv_new(yyjson_get_str(v), yyjson_get_len(v));
        case YYJSON_TYPE_BOOL:
                return sv_of(yyjson_get_bool(v) ? "true" : "false");
        case YYJSON_TYPE_NUM: {
                AUTO(str) struct str text = STR_INIT(0);
                if (yyjson_is_real(v))
                        jformat_double(&text, yyjson_get_real(v));
                else if (yyjson_is_uint(v))
                        str_appendf(&text, "%llu", (unsigned long long)yyjson_get_uint(v));
                else
                        str_appendf(&text, "%lld", (long long)yyjson_get_sint(v));
                return sv_of(arena_sv(&s->arena, str_sv(&text)));
        }
        case YYJSON_TYPE_NULL:
                return SV("null");
        default:
                return SV("");
        }
}

static void tree_accumulables(struct scan *s, yyjson_val *list) {
        size_t i, max;
        yyjson_val *item, *v;
        if (!yyjson_is_arr(list))
                return;
        yyjson_arr_foreach(list, i, max, item) {
                struct scan_accumulable a = {.id = json_get_int(item, "ID", 0)};
                if ((v = yyjson_obj_get(item, "Name")) && !yyjson_is_null(v))
                        a.name = scan_as_text(s, v);
                if ((v = yyjson_obj_get(item, "Update")) && !yyjson_is_null(v))
                        a.update = scan_as_text(s, v);
                if ((v = yyjson_obj_get(item, "Value")) && !yyjson_is_null(v))
                        a.value = scan_as_text(s, v);
                a.internal = json_get_bool(item, "Internal", false);
                a.sql = streq_null(json_get_str(item, "Metadata"), "sql");
                *vec_push(&s->accumulables) = a;
        }
}

/* As Jackson's longValue(): fractions are cut off; what is no number is 0. */
static int64_t tree_int(yyjson_val *v) {
        if (!yyjson_is_real(v))
                return yyjson_get_sint(v);
        double d = yyjson_get_real(v);
        return d >= 9.2233720368547748e18 ? INT64_MAX : d <= -9.2233720368547748e18 ? INT64_MIN : d == d ? (int64_t)d : 0;
}

static void tree_object(struct scan *s, yyjson_val *object, const struct scan_table *table, char *ret) {
        for (size_t i = 0; i < table->count; i++) {
                const struct scan_field *f = &table->fields[i];
                yyjson_val *v = yyjson_obj_getn(object, f->name + 1, f->len - 3u);
                if (!v || yyjson_is_null(v))
                        continue;
                if (f->seen)
                        *(bool *)(ret + f->seen) = true;
                switch (f->kind) {
                case SCAN_SKIP:
                        break;
                case SCAN_INT64:
                        *(int64_t *)(ret + f->offset) = tree_int(v);
                        break;
                case SCAN_INT32:
                        *(int32_t *)(ret + f->offset) = (int32_t)tree_int(v);
                        break;
                case SCAN_BOOL:
                        *(bool *)(ret + f->offset) = yyjson_get_bool(v);
                        break;
                case SCAN_STRING:
                        *(struct sv *)(ret + f->offset) = scan_as_text(s, v);
                        break;
                case SCAN_RAW: {
                        size_t len;
                        AUTO(free) char *text = json_write(v, false, &len);
                        *(struct sv *)(ret + f->offset) = text ? sv_new(arena_sv(&s->arena, sv_new(text, len)), len) : SV_NULL;
                        break;
                }
                case SCAN_OBJECT:
                        if (yyjson_is_obj(v))
                                tree_object(s, v, f->table, ret);
                        break;
                case SCAN_ACCUMULABLES:
                        tree_accumulables(s, v);
                        break;
                }
        }
}

void scan_reset(struct scan *s) {
        vec_foreach(doc, &s->trees) yyjson_doc_free(*doc);
        s->trees.len = 0;
        s->accumulables.len = 0;
        if (s->arena.head)
                arena_reset(&s->arena);
}

void scan_done(struct scan *s) {
        scan_reset(s);
        vec_done(&s->trees);
        arena_done(&s->arena);
        vec_done(&s->accumulables);
        *s = (struct scan){0};
}

yyjson_val *scan_tree(struct scan *s, struct sv line, struct err *err) {
        yyjson_read_err why = {0};
        /* Java takes lone surrogates; am_intern() repairs what is no UTF-8. */
        yyjson_doc *doc = line.len ? yyjson_read_opts((char *)line.data, line.len, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, &why) : NULL;
        if (!doc) {
                err_set(err, -EINVAL, "column %zu: %s", why.pos + 1, line.len ? why.msg : "empty line");
                return NULL;
        }
        *vec_push(&s->trees) = doc;
        return yyjson_doc_get_root(doc);
}

int scan_line(struct scan *s, struct sv line, const struct scan_table *table, void *ret, struct err *err) {
        struct cursor c = {s, line.data, line.data + line.len};
        size_t before = s->accumulables.len;
        if (fast_object(&c, table, ret, 0) && c.p == c.end)
                return 0;
        s->accumulables.len = before;
        yyjson_val *root = scan_tree(s, line, err);
        if (!root)
                return -EINVAL;
        if (!yyjson_is_obj(root))
                return err_set(err, -EINVAL, "an event is a JSON object");
        tree_object(s, root, table, ret);
        return 0;
}
