#include "cluster/crd/structural.h"

#include <math.h>

#include "base/map.h"
#include "base/str.h"
#include "cluster/decode.h"
#include "cluster/edit.h"
#include "cluster/ops.h"
#include "cluster/kinds/podspec.h"
#include "cluster/crd/structural_format.h"
#include "kobj/names.h"

struct structural {
        yyjson_val *schema;
        bool preserve;
};

struct structural *structural_new(yyjson_val *schema, bool preserve) {
        struct structural *s = NEW(struct structural);
        s->schema = schema;
        s->preserve = preserve;
        return s;
}

void structural_free(struct structural *s) { free(s); }

static yyjson_val *property(yyjson_val *schema, const char *name) { return yyjson_obj_get(yyjson_obj_get(schema, "properties"), name); }

/* The schema of values of a map; NULL: none is given. *ret_any: anything goes. */
static yyjson_val *additional(yyjson_val *schema, bool *ret_any) {
        yyjson_val *extra = yyjson_obj_get(schema, "additionalProperties");
        *ret_any = yyjson_is_true(extra);
        return yyjson_is_obj(extra) ? extra : NULL;
}

static bool preserves(yyjson_val *schema) { return json_get_bool(schema, "x-kubernetes-preserve-unknown-fields", false); }
static bool is_embedded(yyjson_val *schema) { return json_get_bool(schema, "x-kubernetes-embedded-resource", false); }

/* Pruning. */

static void prune(yyjson_val *schema, yyjson_mut_val *v, struct str *path, bool is_root, struct strv *unknown) {
        size_t before = path->len;
        if (yyjson_mut_is_arr(v)) {
                yyjson_val *items = yyjson_obj_get(schema, "items");
                yyjson_mut_val *item;
                size_t i, n;
                yyjson_mut_arr_foreach(v, i, n, item) {
                        str_appendf(path, "[%zu]", i);
                        prune(items, item, path, false, unknown);
                        str_truncate(path, before);
                }
                return;
        }
        if (!yyjson_mut_is_obj(v))
                return;
        VEC(const char *) drop = {0};
        yyjson_mut_val *key, *value;
        size_t i, n;
        bool any;
        yyjson_val *extra = additional(schema, &any);
        yyjson_mut_obj_foreach(v, i, n, key, value) {
                const char *name = yyjson_mut_get_str(key);
                yyjson_val *known = property(schema, name);
                bool meta =
                        (is_root || is_embedded(schema)) && (streq(name, "metadata") || streq(name, "apiVersion") || streq(name, "kind"));
                if (meta)
                        continue;
                str_appendf(path, "%s%s", before ? "." : "", name);
                if (known || extra) {
                        prune(known ? known : extra, value, path, false, unknown);
                } else if (!any && !preserves(schema)) {
                        if (unknown)
                                strv_add(unknown, str_cstr(path));
                        *vec_push(&drop) = name;
                }
                str_truncate(path, before);
        }
        for (i = 0; i < drop.len; i++)
                mjson_remove(v, drop.items[i]);
        vec_done(&drop);
}

void structural_prune_value(const struct structural *s, yyjson_mut_val *value, struct strv *unknown) {
        AUTO(str) struct str path = STR_INIT(0);
        prune(s->schema, value, &path, false, unknown);
}

void structural_prune(const struct structural *s, yyjson_mut_val *object, struct strv *unknown) {
        AUTO(str) struct str path = STR_INIT(0);
        if (s->schema && !s->preserve)
                prune(s->schema, object, &path, true, unknown);
}

/* Defaulting. */

static void fill(yyjson_val *schema, yyjson_mut_doc *doc, yyjson_mut_val *v) {
        yyjson_val *key, *sub;
        size_t i, n;
        bool any;

        if (yyjson_mut_is_arr(v)) {
                yyjson_mut_val *item;
                yyjson_mut_arr_foreach(v, i, n, item) fill(yyjson_obj_get(schema, "items"), doc, item);
                return;
        }
        if (!yyjson_mut_is_obj(v))
                return;
        if (is_embedded(schema)) {
                yyjson_mut_val *meta = yyjson_mut_obj_get(v, "metadata"), *typed = NULL;
                if (meta && decode_typed(doc, meta, schema_of_type("ObjectMeta"), NULL, &typed, NULL) == 0)
                        mjson_set(doc, v, "metadata", typed);
        }
        yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, n, key, sub) {
                const char *name = yyjson_get_str(key);
                yyjson_val *otherwise = yyjson_obj_get(sub, "default");
                yyjson_mut_val *have = yyjson_mut_obj_get(v, name);
                if (otherwise && (!have || (yyjson_mut_is_null(have) && !json_get_bool(sub, "nullable", false))))
                        mjson_set(doc, v, name, yyjson_val_mut_copy(doc, otherwise));
                have = yyjson_mut_obj_get(v, name);
                if (have && yyjson_mut_is_null(have) && !json_get_bool(sub, "nullable", false) && !otherwise)
                        mjson_remove(v, name);
                else if (have)
                        fill(sub, doc, have);
        }
        sub = additional(schema, &any);
        if (sub) {
                yyjson_mut_val *mkey, *value;
                yyjson_mut_obj_foreach(v, i, n, mkey, value) {
                        if (!property(schema, yyjson_mut_get_str(mkey)))
                                fill(sub, doc, value);
                }
        }
}

void structural_default(const struct structural *s, yyjson_mut_doc *doc, yyjson_mut_val *object) {
        if (s->schema)
                fill(s->schema, doc, object);
}

/* Validation. */

struct check {
        struct invalid *bad;
        bool is_part;    /* the value is no whole object: its metadata is nothing special */
        bool only_enums; /* the real validator reports them after everything else */
        struct str path;
        bool quiet; /* only whether it fails: inside anyOf, oneOf, not */
        size_t failures, visited;
};

static void check_value(struct check *c, yyjson_val *schema, yyjson_val *v);

static const char *path_of(const struct check *c) { return c->path.len ? str_cstr(&c->path) : "<nil>"; }

static void fail(struct check *c, enum invalid_type type, const char *value, const char *fmt, ...) PRINTF(4, 5);
static void fail(struct check *c, enum invalid_type type, const char *value, const char *fmt, ...) {
        va_list ap;
        c->failures++;
        if (c->quiet || (type == INVALID_NOT_SUPPORTED) != c->only_enums)
                return;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        invalid_add(c->bad, path_of(c), type, value, "%s", text);
}

static const char *type_name(yyjson_val *v) {
        if (yyjson_is_str(v))
                return "string";
        if (yyjson_is_bool(v))
                return "boolean";
        if (yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
                return "integer";
        if (yyjson_is_num(v))
                return "number";
        if (yyjson_is_arr(v))
                return "array";
        return yyjson_is_obj(v) ? "object" : "null";
}

static bool type_matches(const char *type, yyjson_val *v) {
        const char *have = type_name(v);
        if (streq(type, have))
                return true;
        if (streq(type, "number"))
                return yyjson_is_num(v);
        return streq(type, "integer") && yyjson_is_real(v) && yyjson_get_real(v) == floor(yyjson_get_real(v));
}

static void check_number(struct check *c, yyjson_val *schema, yyjson_val *v) {
        AUTO(free) char *text = json_write(v, false, NULL);
        yyjson_val *min = yyjson_obj_get(schema, "minimum"), *max = yyjson_obj_get(schema, "maximum"),
                   *multiple = yyjson_obj_get(schema, "multipleOf");
        double x = yyjson_get_num(v);
        if (min) {
                AUTO(free) char *bound = json_write(min, false, NULL);
                bool exclusive = json_get_bool(schema, "exclusiveMinimum", false);
                if (exclusive ? x <= yyjson_get_num(min) : x < yyjson_get_num(min))
                        fail(c, INVALID_VALUE, text, "%s in body should be greater than %s%s", path_of(c), exclusive ? "" : "or equal to ",
                             bound);
        }
        if (max) {
                AUTO(free) char *bound = json_write(max, false, NULL);
                bool exclusive = json_get_bool(schema, "exclusiveMaximum", false);
                if (exclusive ? x >= yyjson_get_num(max) : x > yyjson_get_num(max))
                        fail(c, INVALID_VALUE, text, "%s in body should be less than %s%s", path_of(c), exclusive ? "" : "or equal to ",
                             bound);
        }
        if (multiple && yyjson_get_num(multiple) > 0 && fabs(remainder(x, yyjson_get_num(multiple))) > 1e-9) {
                AUTO(free) char *bound = json_write(multiple, false, NULL);
                fail(c, INVALID_VALUE, text, "%s in body should be a multiple of %s", path_of(c), bound);
        }
}

static size_t utf8_length(const char *s) {
        size_t n = 0;
        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static void check_string(struct check *c, yyjson_val *schema, yyjson_val *v) {
        const char *text = yyjson_get_str(v), *pattern = json_get_str(schema, "pattern");
        AUTO(free) char *quoted = invalid_quote(text);
        int64_t min = json_get_int(schema, "minLength", -1), max = json_get_int(schema, "maxLength", -1);
        int64_t length = (int64_t)utf8_length(text);
        const char *format = json_get_str(schema, "format");
        if (max >= 0 && length > max)
                fail(c, INVALID_TOO_LONG, NULL, "may not be more than %lld bytes", (long long)max);
        if (min >= 0 && length < min)
                fail(c, INVALID_VALUE, quoted, "%s in body should be at least %lld chars long", path_of(c), (long long)min);
        if (format && !format_matches(format, text))
                fail(c, INVALID_TYPE, quoted, "%s in body must be of type %s: %s", path_of(c), format, quoted);
        if (pattern && regex_matches(pattern, text, NULL) == 0)
                fail(c, INVALID_VALUE, quoted, "%s in body should match '%s'", path_of(c), pattern);
}

static void check_array(struct check *c, yyjson_val *schema, yyjson_val *v) {
        int64_t min = json_get_int(schema, "minItems", -1), max = json_get_int(schema, "maxItems", -1), n = (int64_t)yyjson_arr_size(v);
        const char *list = json_get_str(schema, "x-kubernetes-list-type");
        size_t before = c->path.len;
        char count[24];

        snprintf(count, sizeof(count), "%lld", (long long)n);
        if (max >= 0 && n > max)
                fail(c, INVALID_TOO_MANY, count, "must have at most %lld items", (long long)max);
        if (min >= 0 && n < min)
                fail(c, INVALID_VALUE, count, "%s in body should have at least %lld items", path_of(c), (long long)min);
        EACH(item, i, v) {
                str_appendf(&c->path, "[%zu]", i);
                check_value(c, yyjson_obj_get(schema, "items"), item);
                str_truncate(&c->path, before);
        }
        if (!list || (!streq(list, "set") && !streq(list, "map")))
                return;
        AUTO(map) struct map seen = MAP_INIT(NULL);
        EACH(item, i, v) {
                AUTO(str) struct str key = STR_INIT(0);
                if (streq(list, "map")) {
                        EACH(name, k, yyjson_obj_get(schema, "x-kubernetes-list-map-keys")) {
                                yyjson_val *part = yyjson_obj_get(item, yyjson_get_str(name));
                                AUTO(free) char *text = part ? json_write(part, false, NULL) : xstrdup("null");
                                str_appendf(&key, "%s\"%s\":%s", k ? "," : "{", yyjson_get_str(name), text);
                        }
                        str_append_c(&key, '}');
                } else {
                        AUTO(free) char *text = json_write(item, false, NULL);
                        str_append_s(&key, text);
                }
                str_appendf(&c->path, "[%zu]", i);
                if (map_has(&seen, str_cstr(&key)))
                        fail(c, INVALID_DUPLICATE, str_cstr(&key), "%s", "");
                map_set(&seen, str_cstr(&key), &seen);
                str_truncate(&c->path, before);
        }
}

static void check_embedded(struct check *c, yyjson_val *v) {
        static const char *const needed[] = {"apiVersion", "kind"};
        size_t before = c->path.len;
        for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
                const char *text = json_get_str(v, needed[i]);
                if (text && *text)
                        continue;
                c->failures++;
                str_appendf(&c->path, ".%s", needed[i]);
                if (!c->quiet && !c->only_enums)
                        invalid_required(c->bad, path_of(c), NULL);
                str_truncate(&c->path, before);
        }
        if (c->quiet || c->only_enums)
                return;
        AUTO(free) char *labels = xasprintf("%s.metadata.labels", path_of(c));
        labels_validate(json_at(v, "/metadata/labels"), labels, c->bad);
}

static void check_object(struct check *c, yyjson_val *schema, yyjson_val *v) {
        size_t before = c->path.len, i, n;
        int64_t min = json_get_int(schema, "minProperties", -1), max = json_get_int(schema, "maxProperties", -1),
                count = (int64_t)yyjson_obj_size(v);
        yyjson_val *key, *value, *extra;
        char text[24];
        bool any;

        snprintf(text, sizeof(text), "%lld", (long long)count);
        if (max >= 0 && count > max)
                fail(c, INVALID_TOO_MANY, text, "must have at most %lld items", (long long)max);
        if (min >= 0 && count < min)
                fail(c, INVALID_VALUE, text, "%s in body should have at least %lld properties", path_of(c), (long long)min);
        EACH(name, k, yyjson_obj_get(schema, "required")) {
                if (yyjson_obj_get(v, yyjson_get_str(name)))
                        continue;
                str_appendf(&c->path, "%s%s", before ? "." : "", yyjson_get_str(name));
                c->failures++;
                if (!c->quiet && !c->only_enums)
                        invalid_required(c->bad, path_of(c), NULL);
                str_truncate(&c->path, before);
        }
        if (is_embedded(schema))
                check_embedded(c, v);
        extra = additional(schema, &any);
        yyjson_obj_foreach(v, i, n, key, value) {
                yyjson_val *sub = property(schema, yyjson_get_str(key));
                if (!before && !c->is_part && streq(yyjson_get_str(key), "metadata"))
                        continue; /* ObjectMeta has rules of its own */
                str_appendf(&c->path, "%s%s", before ? "." : "", yyjson_get_str(key));
                if (sub || extra)
                        check_value(c, sub ? sub : extra, value);
                str_truncate(&c->path, before);
        }
}

/* How far a value gets in an alternative. */
struct attempt {
        size_t failures, visited;
};

static struct attempt attempt(struct check *outer, yyjson_val *schema, yyjson_val *v) {
        struct check c = {.bad = outer->bad, .quiet = true};
        str_append(&c.path, outer->path.data, outer->path.len);
        check_value(&c, schema, v);
        str_done(&c.path);
        outer->visited += c.visited;
        return (struct attempt){c.failures, c.visited};
}

/* The real validator gives these messages no field. */
static void fail_combination(struct check *c, const char *fmt, ...) PRINTF(2, 3);
static void fail_combination(struct check *c, const char *fmt, ...) {
        va_list ap;
        c->failures++;
        if (c->quiet || c->only_enums)
                return;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        invalid_add(c->bad, "<nil>", INVALID_VALUE, "\"\"", "\"%s\" %s", path_of(c), text);
}

/* How many of the alternatives fit; the one that came furthest without fitting is explained. */
static size_t count_fitting(struct check *c, yyjson_val *list, yyjson_val *v, yyjson_val **ret_nearest) {
        size_t good = 0, furthest = 0;
        *ret_nearest = NULL;
        EACH(sub, i, list) {
                struct attempt a = attempt(c, sub, v);
                good += a.failures == 0;
                if (a.failures && (!*ret_nearest || a.visited > furthest)) {
                        *ret_nearest = sub;
                        furthest = a.visited;
                }
        }
        return good;
}

/* Only where it is read: alternatives within alternatives would be walked again and again. */
static void explain(struct check *c, yyjson_val *nearest, yyjson_val *v) {
        if (!c->quiet)
                check_value(c, nearest, v);
}

static void check_combinations(struct check *c, yyjson_val *schema, yyjson_val *v) {
        yyjson_val *any = yyjson_obj_get(schema, "anyOf"), *one = yyjson_obj_get(schema, "oneOf"), *all = yyjson_obj_get(schema, "allOf"),
                   *nearest;
        yyjson_val *not = yyjson_obj_get(schema, "not");
        size_t good, before;
        if (any && count_fitting(c, any, v, &nearest) == 0) {
                fail_combination(c, "must validate at least one schema (anyOf)");
                explain(c, nearest, v);
        }
        if (one && (good = count_fitting(c, one, v, &nearest)) != 1) {
                if (good) {
                        fail_combination(c, "must validate one and only one schema (oneOf). Found %zu valid alternatives", good);
                } else {
                        fail_combination(c, "must validate one and only one schema (oneOf). Found none valid");
                        explain(c, nearest, v);
                }
        }
        before = c->failures;
        EACH(sub, i, all) check_value(c, sub, v);
        if (c->failures > before)
                fail_combination(c, "must validate all the schemas (allOf)");
        if (not && attempt(c, not, v).failures == 0)
                fail_combination(c, "must not validate the schema (not)");
}

static void check_enum(struct check *c, yyjson_val *schema, yyjson_val *v) {
        yyjson_val *values = yyjson_obj_get(schema, "enum");
        AUTO(str) struct str all = STR_INIT(0);
        AUTO(free) char *text = NULL;

        if (!values)
                return;
        EACH(one, i, values) {
                AUTO(free) char *shown = json_write(one, false, NULL);
                if (json_equal(one, v))
                        return;
                str_appendf(&all, yyjson_is_str(one) ? "%s%s" : "%s\"%s\"", i ? ", " : "", shown);
        }
        text = json_write(v, false, NULL);
        fail(c, INVALID_NOT_SUPPORTED, text, "supported values: %s", str_cstr(&all));
}

static void check_value(struct check *c, yyjson_val *schema, yyjson_val *v) {
        const char *type = json_get_str(schema, "type");

        if (!yyjson_is_obj(schema))
                return;
        c->visited++;
        if (yyjson_is_null(v) && json_get_bool(schema, "nullable", false))
                return;
        if (json_get_bool(schema, "x-kubernetes-int-or-string", false)) {
                if (!yyjson_is_str(v) && !yyjson_is_int(v)) {
                        AUTO(free) char *quoted = invalid_quote(type_name(v));
                        fail(c, INVALID_TYPE, quoted, "%s in body must be of type integer,string: %s", path_of(c), quoted);
                }
        } else if (type && *type && !type_matches(type, v)) {
                AUTO(free) char *quoted = invalid_quote(type_name(v));
                fail(c, INVALID_TYPE, quoted, "%s in body must be of type %s: %s", path_of(c), type, quoted);
                return;
        }
        check_combinations(c, schema, v);
        check_enum(c, schema, v);
        if (yyjson_is_num(v))
                check_number(c, schema, v);
        else if (yyjson_is_str(v))
                check_string(c, schema, v);
        else if (yyjson_is_arr(v))
                check_array(c, schema, v);
        else if (yyjson_is_obj(v))
                check_object(c, schema, v);
}

void structural_validate_value(const struct structural *s, yyjson_val *value, struct invalid *bad) {
        struct check c = {.bad = bad, .is_part = true};
        check_value(&c, s->schema, value);
        c.only_enums = true;
        check_value(&c, s->schema, value);
        str_done(&c.path);
}

void structural_validate(const struct structural *s, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        struct check c = {.bad = bad};
        (void)old;
        if (s->schema)
                check_value(&c, s->schema, object);
        c.only_enums = true;
        if (s->schema)
                check_value(&c, s->schema, object);
        str_done(&c.path);
}
