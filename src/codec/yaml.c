#include "codec/yaml.h"

#include <ctype.h>
#include <math.h>
#include <yaml.h>

#include "base/map.h"

/* ---- scalars: YAML 1.1 as go-yaml v2 (sigs.k8s.io/yaml) resolves them ---- */

static bool one_of(struct sv v, const char *const *words) {
        for (; *words; words++)
                if (sv_eqs(v, *words))
                        return true;
        return false;
}

static bool is_null(struct sv v) { return v.len == 0 || one_of(v, (const char *const[]){"~", "null", "Null", "NULL", NULL}); }

static bool is_bool(struct sv v, bool *ret) {
        static const char *const yes[] = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
        static const char *const no[] = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
        *ret = one_of(v, yes);
        return *ret || one_of(v, no);
}

/* Digits of a base into an unsigned number; underscores were taken out before. */
static bool digits_in_base(struct sv v, unsigned base, uint64_t *ret) {
        uint64_t n = 0;
        if (v.len == 0)
                return false;
        for (size_t i = 0; i < v.len; i++) {
                char c = (char)tolower((unsigned char)v.data[i]);
                unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
                if (d >= base || __builtin_mul_overflow(n, (uint64_t)base, &n) || __builtin_add_overflow(n, (uint64_t)d, &n))
                        return false;
        }
        *ret = n;
        return true;
}

static bool is_integer(struct sv v, bool *ret_negative, uint64_t *ret) {
        *ret_negative = false;
        if (v.len && (v.data[0] == '-' || v.data[0] == '+')) {
                *ret_negative = v.data[0] == '-';
                v = sv_new(v.data + 1, v.len - 1);
        }
        unsigned base = 10;
        if (v.len > 1 && v.data[0] == '0') {
                char c = v.data[1];
                base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
                size_t prefix = base != 8 || c == 'o' || c == 'O' ? 2 : 1;
                v = sv_new(v.data + prefix, v.len - prefix);
        }
        return digits_in_base(v, base, ret) && !(*ret_negative && *ret > (uint64_t)INT64_MAX + 1);
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(struct sv v) {
        size_t i = 0, whole = 0, fraction = 0, exponent = 0;
        if (i < v.len && (v.data[i] == '-' || v.data[i] == '+'))
                i++;
        for (; i < v.len && isdigit((unsigned char)v.data[i]); i++)
                whole++;
        if (i < v.len && v.data[i] == '.')
                for (i++; i < v.len && isdigit((unsigned char)v.data[i]); i++)
                        fraction++;
        if (whole + fraction == 0)
                return false;
        if (i < v.len && (v.data[i] == 'e' || v.data[i] == 'E')) {
                i++;
                if (i < v.len && (v.data[i] == '-' || v.data[i] == '+'))
                        i++;
                for (; i < v.len && isdigit((unsigned char)v.data[i]); i++)
                        exponent++;
                if (exponent == 0)
                        return false;
        }
        return i == v.len;
}

static bool is_special_float(struct sv v) {
        static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF", "-.inf",
                                            "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN",  NULL};
        return one_of(v, words);
}

/* What a plain scalar means; NULL when it is text. Sets *ret_bad for .inf and .nan, which JSON lacks. */
static yyjson_mut_val *resolve_plain(yyjson_mut_doc *doc, struct sv v, bool *ret_bad) {
        bool truth, negative;
        uint64_t n;
        if (is_null(v))
                return yyjson_mut_null(doc);
        if (is_bool(v, &truth))
                return yyjson_mut_bool(doc, truth);
        if (is_special_float(v)) {
                *ret_bad = true;
                return NULL;
        }
        if (v.len > 128 || !(isdigit((unsigned char)v.data[0]) || strchr("+-.", v.data[0])))
                return NULL;
        AUTO(str) struct str clean = STR_INIT(0);
        for (size_t i = 0; i < v.len; i++)
                if (v.data[i] != '_')
                        str_append_c(&clean, v.data[i]);
        struct sv c = str_sv(&clean);
        if (is_integer(c, &negative, &n))
                return !negative && n > INT64_MAX ? yyjson_mut_uint(doc, n)
                                                  : yyjson_mut_sint(doc, negative ? (int64_t)(0 - n) : (int64_t)n);
        if (looks_like_float(c)) {
                double d = strtod(str_cstr(&clean), NULL);
                if (isfinite(d)) {
                        /* Go writes a whole float without a fraction, so 1e3 and 2.0 arrive as integers. */
                        if (d == floor(d) && fabs(d) < 1e15)
                                return yyjson_mut_sint(doc, (int64_t)d);
                        return yyjson_mut_real(doc, d);
                }
        }
        return NULL;
}

/* ---- the composer: libyaml's node graph to JSON, aliases expanded within a budget ---- */

struct composer {
        yaml_document_t *yaml;
        yyjson_mut_doc *json;
        size_t nodes;
        int depth;
        struct err *err;
        int code;
};

static yyjson_mut_val *fail(struct composer *c, const yaml_node_t *at, const char *fmt, ...) PRINTF(3, 4);
static yyjson_mut_val *fail(struct composer *c, const yaml_node_t *at, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        c->code = err_set(c->err, -EINVAL, "line %zu column %zu: %s", at->start_mark.line + 1, at->start_mark.column + 1, text);
        return NULL;
}

static yyjson_mut_val *compose(struct composer *c, int id);

static yyjson_mut_val *compose_scalar(struct composer *c, const yaml_node_t *node) {
        struct sv text = sv_new((const char *)node->data.scalar.value, node->data.scalar.length);
        bool bad = false;
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
                yyjson_mut_val *v = resolve_plain(c->json, text, &bad);
                if (v)
                        return v;
                if (bad)
                        return fail(c, node, "%.*s cannot be written as JSON; quote it if text is meant", SV_ARG(text));
        }
        return yyjson_mut_strncpy(c->json, text.data, text.len);
}

/* A key as text: booleans and numbers as keys become their JSON spelling, as in Go. */
static yyjson_mut_val *compose_key(struct composer *c, const yaml_node_t *node) {
        if (node->type != YAML_SCALAR_NODE)
                return fail(c, node, "a mapping key must be a scalar");
        yyjson_mut_val *v = compose_scalar(c, node);
        if (!v || yyjson_mut_is_str(v))
                return v;
        if (yyjson_mut_is_null(v))
                return yyjson_mut_str(c->json, "null");
        size_t len;
        AUTO(free) char *text = mjson_write(v, false, &len);
        return yyjson_mut_strncpy(c->json, text, len);
}

static bool is_merge_key(const yaml_node_t *key) {
        return key->type == YAML_SCALAR_NODE && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               streq((const char *)key->data.scalar.value, "<<");
}

/* Adds the members of a merged mapping that are not there yet. */
static bool merge_into(struct composer *c, yyjson_mut_val *object, const yaml_node_t *at, int value_id) {
        yyjson_mut_val *merged = compose(c, value_id);
        if (!merged)
                return false;
        yyjson_mut_val *one = merged;
        size_t count = yyjson_mut_is_arr(merged) ? yyjson_mut_arr_size(merged) : 1;
        for (size_t i = 0; i < count; i++) {
                if (yyjson_mut_is_arr(merged))
                        one = yyjson_mut_arr_get(merged, i);
                if (!yyjson_mut_is_obj(one))
                        return fail(c, at, "map merge requires map or sequence of maps as the value"), false;
                size_t n, max;
                yyjson_mut_val *k, *v;
                yyjson_mut_obj_foreach(one, n, max, k, v) {
                        if (!yyjson_mut_obj_getn(object, yyjson_mut_get_str(k), yyjson_mut_get_len(k)))
                                yyjson_mut_obj_add(object, yyjson_mut_val_mut_copy(c->json, k), yyjson_mut_val_mut_copy(c->json, v));
                }
        }
        return true;
}

static yyjson_mut_val *compose_mapping(struct composer *c, const yaml_node_t *node) {
        yyjson_mut_val *object = yyjson_mut_obj(c->json);
        AUTO(map) struct map lines = MAP_INIT(NULL); /* key -> line where it stands first */
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
                const yaml_node_t *key_node = yaml_document_get_node(c->yaml, p->key);
                if (is_merge_key(key_node))
                        continue;
                yyjson_mut_val *key = compose_key(c, key_node);
                yyjson_mut_val *value = key ? compose(c, p->value) : NULL;
                if (!value)
                        return NULL;
                const char *text = yyjson_mut_get_str(key);
                size_t first = (size_t)map_get(&lines, text);
                if (first)
                        return fail(c, key_node, "key \"%s\" already set in map at line %zu", text, first);
                map_set(&lines, text, (void *)(key_node->start_mark.line + 1));
                yyjson_mut_obj_add(object, key, value);
        }
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
                const yaml_node_t *key_node = yaml_document_get_node(c->yaml, p->key);
                if (is_merge_key(key_node) && !merge_into(c, object, key_node, p->value))
                        return NULL;
        }
        return object;
}

static yyjson_mut_val *compose_sequence(struct composer *c, const yaml_node_t *node) {
        yyjson_mut_val *array = yyjson_mut_arr(c->json);
        for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
                yyjson_mut_val *value = compose(c, *item);
                if (!value)
                        return NULL;
                yyjson_mut_arr_append(array, value);
        }
        return array;
}

static yyjson_mut_val *compose(struct composer *c, int id) {
        const yaml_node_t *node = yaml_document_get_node(c->yaml, id);
        if (++c->nodes > YAML_MAX_NODES)
                return fail(c, node, "more than %d nodes after expanding aliases", YAML_MAX_NODES);
        if (c->depth >= JSON_MAX_DEPTH)
                return fail(c, node, "nested deeper than %d levels", JSON_MAX_DEPTH);
        c->depth++;
        yyjson_mut_val *v = node->type == YAML_MAPPING_NODE    ? compose_mapping(c, node)
                            : node->type == YAML_SEQUENCE_NODE ? compose_sequence(c, node)
                                                               : compose_scalar(c, node);
        c->depth--;
        return v;
}

/* ---- entry points ---- */

static int parser_error(const yaml_parser_t *p, struct err *err) {
        const yaml_mark_t *at = &p->problem_mark;
        if (p->error == YAML_READER_ERROR)
                return err_set(err, -EINVAL, "byte %zu: %s", p->problem_offset, p->problem ? p->problem : "unreadable input");
        if (p->context)
                return err_set(err, -EINVAL, "line %zu column %zu: %s, %s", at->line + 1, at->column + 1, p->context, p->problem);
        return err_set(err, -EINVAL, "line %zu column %zu: %s", at->line + 1, at->column + 1, p->problem ? p->problem : "not YAML");
}

/* The next document as JSON; 1, 0 at the end of the stream, or an error. */
static int next_document(yaml_parser_t *parser, yyjson_doc **ret, struct err *err) {
        yaml_document_t yaml;
        if (!yaml_parser_load(parser, &yaml))
                return parser_error(parser, err);
        const yaml_node_t *root = yaml_document_get_root_node(&yaml);
        if (!root) {
                yaml_document_delete(&yaml);
                return 0;
        }
        AUTO(mjson) yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
        struct composer c = {.yaml = &yaml, .json = json, .err = err};
        yyjson_mut_val *value = compose(&c, 1);
        yaml_document_delete(&yaml);
        if (!value)
                return c.code;
        *ret = mjson_freeze(value);
        return 1;
}

static void start(yaml_parser_t *parser, struct sv text) {
        if (!yaml_parser_initialize(parser))
                abort(); /* out of memory */
        yaml_parser_set_input_string(parser, (const unsigned char *)text.data, text.len);
}

int yaml_parse_all(struct sv text, yyjson_doc ***ret, struct err *err) {
        yaml_parser_t parser;
        start(&parser, text);
        VEC(yyjson_doc *) docs = {0};
        yyjson_doc *doc = NULL;
        int r;
        while ((r = next_document(&parser, &doc, err)) > 0) {
                if (yyjson_is_null(yyjson_doc_get_root(doc)))
                        yyjson_doc_free(doc);
                else
                        *vec_push(&docs) = doc;
        }
        yaml_parser_delete(&parser);
        if (r < 0) {
                vec_foreach(d, &docs) yyjson_doc_free(*d);
                vec_done(&docs);
                return r;
        }
        *ret = docs.items;
        return (int)docs.len;
}

int yaml_parse(struct sv text, yyjson_doc **ret, struct err *err) {
        yyjson_doc **docs = NULL;
        int n = yaml_parse_all(text, &docs, err);
        if (n < 0)
                return n;
        if (n == 1)
                *ret = docs[0];
        else if (n == 0)
                *ret = yyjson_read("null", 4, 0);
        else
                for (int i = 0; i < n; i++)
                        yyjson_doc_free(docs[i]);
        free(docs);
        return n > 1 ? err_set(err, -EINVAL, "expected one document, found %d separated by ---", n) : 0;
}

/* ---- writer ---- */

/* Length of the UTF-8 sequence at v[i] that a YAML reader would refuse or take for a line break (C0, DEL, C1,
 * NEL, LS, PS, byte order mark, noncharacters), with its code point; 0 when it may stand as it is. */
static size_t unprintable_at(struct sv v, size_t i, unsigned *ret_code) {
        const unsigned char *p = (const unsigned char *)v.data + i;
        size_t left = v.len - i;
        *ret_code = p[0];
        if (p[0] < 0x20 || p[0] == 0x7f)
                return 1;
        if (left >= 2 && p[0] == 0xc2 && p[1] < 0xa0) {
                *ret_code = p[1];
                return 2;
        }
        if (left < 3 || (p[0] != 0xe2 && p[0] != 0xef))
                return 0;
        *ret_code = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        return *ret_code == 0x2028 || *ret_code == 0x2029 || *ret_code == 0xfeff || *ret_code >= 0xfffe ? 3 : 0;
}

static bool needs_quotes(struct sv v) {
        bool truth, bad = false;
        if (is_null(v) || is_bool(v, &truth) || is_special_float(v))
                return true;
        AUTO(mjson) yyjson_mut_doc *scratch = NULL;
        if (isdigit((unsigned char)v.data[0]) || strchr("+-.", v.data[0])) {
                scratch = yyjson_mut_doc_new(NULL);
                if (resolve_plain(scratch, v, &bad))
                        return true;
        }
        /* Dates would be read as timestamps by YAML 1.1 readers: Kubernetes' writers quote them. */
        if (v.len >= 10 && isdigit((unsigned char)v.data[0]) && isdigit((unsigned char)v.data[3]) && v.data[4] == '-' && v.data[7] == '-')
                return true;
        if (strchr("!&*{}[]|>@`\"'%#,", v.data[0]) || (strchr("-?:", v.data[0]) && (v.len == 1 || v.data[1] == ' ')))
                return true;
        if (v.data[0] == ' ' || v.data[v.len - 1] == ' ' || v.data[v.len - 1] == ':' || sv_eqs(v, "<<") || sv_eqs(v, "=") ||
            sv_starts(v, SV("---")) || sv_starts(v, SV("...")))
                return true;
        for (size_t i = 0; i < v.len; i++) {
                unsigned code;
                if (unprintable_at(v, i, &code) || (v.data[i] == ':' && i + 1 < v.len && v.data[i + 1] == ' ') ||
                    (v.data[i] == '#' && i && v.data[i - 1] == ' '))
                        return true;
        }
        return false;
}

/* Anything unprintable besides line feeds? */
static bool has_unprintables(struct sv v) {
        unsigned code;
        for (size_t i = 0; i < v.len; i++)
                if (v.data[i] != '\n' && unprintable_at(v, i, &code))
                        return true;
        return false;
}

static void append_double_quoted(struct str *out, struct sv v) {
        str_append_c(out, '"');
        for (size_t i = 0; i < v.len; i++) {
                unsigned code;
                size_t len = unprintable_at(v, i, &code);
                if (len == 0) {
                        if (v.data[i] == '"' || v.data[i] == '\\')
                                str_append_c(out, '\\');
                        str_append_c(out, v.data[i]);
                        continue;
                }
                if (code == '\n' || code == '\t' || code == '\r')
                        str_append(out, (char[]){'\\', code == '\n' ? 'n' : code == '\t' ? 't' : 'r'}, 2);
                else
                        str_appendf(out, "\\u%04X", code);
                i += len - 1;
        }
        str_append_c(out, '"');
}

static void indent(struct str *out, int level) {
        for (int i = 0; i < level; i++)
                str_append_s(out, "  ");
}

static void write_literal(struct str *out, struct sv v, int level) {
        bool keep = sv_ends(v, SV("\n\n")) || sv_eqs(v, "\n");
        str_append_s(out, "|");
        if (v.data[0] == ' ' || v.data[0] == '\n')
                str_append_c(out, '2');
        if (keep)
                str_append_c(out, '+');
        else if (!sv_ends(v, SV("\n")))
                str_append_c(out, '-');
        struct sv rest = sv_ends(v, SV("\n")) ? sv_new(v.data, v.len - 1) : v, line;
        while (sv_split(&rest, '\n', &line)) {
                str_append_c(out, '\n');
                if (line.len) {
                        indent(out, level);
                        str_append_sv(out, line);
                }
        }
}

static void write_string(struct str *out, struct sv v, int level, bool is_key) {
        if (!is_key && level > 0 && v.len && sv_find_char(v, '\n') >= 0 && !has_unprintables(v)) {
                write_literal(out, v, level);
        } else if (v.len && !needs_quotes(v)) {
                str_append_sv(out, v);
        } else if (v.len == 0 || has_unprintables(v) || sv_find_char(v, '\n') >= 0 || sv_find_char(v, '\'') >= 0 ||
                   !strchr("!&*{}[]|>@`\"%#,", v.data[0])) {
                append_double_quoted(out, v);
        } else {
                str_append_c(out, '\'');
                str_append_sv(out, v);
                str_append_c(out, '\'');
        }
}

static void write_value(struct str *out, yyjson_val *value, int level, bool in_sequence);

static void write_mapping(struct str *out, yyjson_val *object, int level, bool in_sequence) {
        size_t i, max;
        yyjson_val *k, *v;
        yyjson_obj_foreach(object, i, max, k, v) {
                if (i || !in_sequence)
                        indent(out, level);
                write_string(out, sv_new(yyjson_get_str(k), yyjson_get_len(k)), level, true);
                str_append_c(out, ':');
                if (yyjson_is_obj(v) && yyjson_obj_size(v)) {
                        str_append_c(out, '\n');
                        write_value(out, v, level + 1, false);
                } else if (yyjson_is_arr(v) && yyjson_arr_size(v)) {
                        str_append_c(out, '\n');
                        write_value(out, v, level, false); /* kubectl does not indent sequences */
                } else {
                        str_append_c(out, ' ');
                        write_value(out, v, level + 1, false);
                }
        }
}

static void write_value(struct str *out, yyjson_val *value, int level, bool in_sequence) {
        if (yyjson_is_obj(value) && yyjson_obj_size(value)) {
                write_mapping(out, value, level, in_sequence);
                return;
        }
        if (yyjson_is_arr(value) && yyjson_arr_size(value)) {
                size_t i, max;
                yyjson_val *v;
                yyjson_arr_foreach(value, i, max, v) {
                        if (i || !in_sequence)
                                indent(out, level);
                        str_append_s(out, "- ");
                        write_value(out, v, level + 1, true);
                }
                return;
        }
        if (yyjson_is_str(value)) {
                write_string(out, sv_new(yyjson_get_str(value), yyjson_get_len(value)), level, false);
        } else {
                size_t len;
                AUTO(free) char *text = json_write(value, false, &len);
                str_append(out, text, len);
        }
        str_append_c(out, '\n');
}

void yaml_write(yyjson_val *value, struct str *out) { write_value(out, value, 0, false); }
