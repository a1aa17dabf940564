/* Rules for the schemas themselves, as a CustomResourceDefinition is written. */
#include "cluster/edit.h"
#include "cluster/crd/structural.h"
#include "cluster/crd/structural_format.h"

static bool is_set(yyjson_val *schema, const char *key) { return json_get_bool(schema, key, false); }

static void forbid(struct invalid *bad, const char *path, const char *member, const char *why) {
        AUTO(free) char *at = xasprintf("%s.%s", path, member);
        invalid_forbidden(bad, at, "%s", why);
}

static void check_forbidden(yyjson_val *schema, const char *path, struct invalid *bad) {
        static const struct {
                const char *member, *why;
        } forbidden[] = {
                {"$ref", "$ref is not supported"},
                {"definitions", "definitions is not supported"},
                {"dependencies", "dependencies is not supported"},
                {"id", "id is not supported"},
                {"patternProperties", "patternProperties is not supported"},
                {"additionalItems", "additionalItems is not supported"},
                {"deprecated", "must not be set"},
                {"discriminator", "must not be set"},
                {"readOnly", "must not be set"},
                {"writeOnly", "must not be set"},
                {"xml", "must not be set"},
                {"uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"},
        };
        for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
                yyjson_val *given = yyjson_obj_get(schema, forbidden[i].member);
                if (given && !yyjson_is_false(given))
                        forbid(bad, path, forbidden[i].member, forbidden[i].why);
        }
        if (yyjson_obj_get(schema, "additionalProperties") && yyjson_obj_size(yyjson_obj_get(schema, "properties")))
                forbid(bad, path, "additionalProperties", "additionalProperties and properties are mutual exclusive");
        if (yyjson_is_arr(yyjson_obj_get(schema, "items")))
                forbid(bad, path, "items", "items must be a schema object and not an array");
}

/* `why` the type must be what it is not. */
static void wrong_type(struct invalid *bad, const char *at, const char *type, const char *why) {
        if (type && *type)
                invalid_string(bad, at, type, "%s", why);
        else
                invalid_required(bad, at, "%s", why);
}

enum place { AT_ROOT, IN_OBJECT, IN_ARRAY };

static void check_type(yyjson_val *schema, const char *path, enum place place, struct invalid *bad) {
        static const char *const types[] = {"array", "boolean", "integer", "number", "object", "string", NULL};
        const char *type = json_get_str(schema, "type");
        bool free_form = is_set(schema, "x-kubernetes-int-or-string") || is_set(schema, "x-kubernetes-preserve-unknown-fields");
        AUTO(free) char *at = xasprintf("%s.type", path);

        if (yyjson_obj_get(schema, "$ref"))
                return;
        if (!type || !*type) {
                if (place == AT_ROOT)
                        invalid_required(bad, at, "must not be empty at the root");
                else if (!free_form)
                        invalid_required(bad, at,
                                         place == IN_ARRAY ? "must not be empty for specified array items"
                                                           : "must not be empty for specified object fields");
        } else {
                if (!str_is_one_of(type, types))
                        invalid_not_supported(bad, at, type, types);
                if (place == AT_ROOT && !streq(type, "object"))
                        invalid_string(bad, at, type, "must be object at the root");
        }
        if (is_set(schema, "x-kubernetes-embedded-resource") && !streq_null(type, "object"))
                wrong_type(bad, at, type, "must be object if x-kubernetes-embedded-resource is true");
}

static void check_embedded(yyjson_val *schema, const char *path, struct invalid *bad) {
        if (!is_set(schema, "x-kubernetes-embedded-resource") || is_set(schema, "x-kubernetes-preserve-unknown-fields") ||
            yyjson_obj_size(yyjson_obj_get(schema, "properties")))
                return;
        AUTO(free) char *at = xasprintf("%s.properties", path);
        invalid_required(bad, at,
                         "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields");
}

static void check_map_type(yyjson_val *schema, const char *path, struct invalid *bad) {
        const char *map = json_get_str(schema, "x-kubernetes-map-type"), *type = json_get_str(schema, "type");
        AUTO(free) char *at = xasprintf("%s.x-kubernetes-map-type", path), *type_at = xasprintf("%s.type", path);
        if (!map)
                return;
        if (!streq_null(type, "object"))
                wrong_type(bad, type_at, type, "must be object if x-kubernetes-map-type is specified");
        if (!streq(map, "atomic") && !streq(map, "granular"))
                invalid_not_supported(bad, at, map, (const char *const[]){"atomic", "granular", NULL});
}

static bool is_required(yyjson_val *schema, const char *name) {
        EACH(one, i, yyjson_obj_get(schema, "required")) {
                if (streq_null(yyjson_get_str(one), name))
                        return true;
        }
        return false;
}

static void check_map_keys(yyjson_val *schema, const char *path, struct invalid *bad) {
        yyjson_val *keys = yyjson_obj_get(schema, "x-kubernetes-list-map-keys"), *items = yyjson_obj_get(schema, "items");
        AUTO(free) char *at = xasprintf("%s.x-kubernetes-list-map-keys", path);

        if (yyjson_arr_size(keys) == 0) {
                invalid_required(bad, at, "must not be empty if x-kubernetes-list-type is map");
                return;
        }
        if (!items)
                return;
        if (!streq_null(json_get_str(items, "type"), "object")) {
                AUTO(free) char *type_at = xasprintf("%s.items.type", path);
                const char *type = json_get_str(items, "type");
                invalid_string(bad, type_at, type ? type : "", "must be object if parent array's x-kubernetes-list-type is map");
                return;
        }
        AUTO(free) char *all = json_write(keys, false, NULL);
        EACH(key, i, keys) {
                const char *name = yyjson_get_str(key);
                yyjson_val *member = yyjson_obj_get(yyjson_obj_get(items, "properties"), name);
                const char *type = json_get_str(member, "type");
                if (!member) {
                        invalid_add(bad, at, INVALID_VALUE, all, "entries must all be names of item properties");
                } else if (!is_required(items, name) && !yyjson_obj_get(member, "default")) {
                        AUTO(free) char *here = xasprintf("%s.items.properties[%s].default", path, name);
                        invalid_required(
                                bad, here,
                                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property");
                }
                if (type && (streq(type, "array") || streq(type, "object"))) {
                        AUTO(free) char *here = xasprintf("%s.items.properties[%s].type", path, name);
                        invalid_string(bad, here, "object", "must be a scalar type if parent array's x-kubernetes-list-type is map");
                }
                EACH(earlier, k, keys) {
                        if (k < i && yyjson_equals(key, earlier)) {
                                invalid_add(bad, at, INVALID_VALUE, all, "must not contain duplicate entries");
                                break;
                        }
                }
        }
}

static void check_list(yyjson_val *schema, const char *path, struct invalid *bad) {
        const char *list = json_get_str(schema, "x-kubernetes-list-type"), *type = json_get_str(schema, "type");
        yyjson_val *items = yyjson_obj_get(schema, "items");

        if (streq_null(type, "array") && !items) {
                AUTO(free) char *at = xasprintf("%s.items", path);
                invalid_required(bad, at, "must be specified");
        }
        AUTO(free) char *list_at = xasprintf("%s.x-kubernetes-list-type", path);
        if (yyjson_arr_size(yyjson_obj_get(schema, "x-kubernetes-list-map-keys")) && !streq_null(list, "map")) {
                if (list)
                        invalid_string(bad, list_at, list, "must be map if x-kubernetes-list-map-keys is non-empty");
                else
                        invalid_required(bad, list_at, "must be map if x-kubernetes-list-map-keys is non-empty");
        }
        if (!list)
                return;
        if (!streq_null(type, "array")) {
                AUTO(free) char *at = xasprintf("%s.type", path);
                wrong_type(bad, at, type, "must be array if x-kubernetes-list-type is specified");
        }
        if (!streq(list, "atomic") && !streq(list, "set") && !streq(list, "map")) {
                invalid_not_supported(bad, list_at, list, (const char *const[]){"atomic", "set", "map", NULL});
        } else if (streq(list, "map")) {
                check_map_keys(schema, path, bad);
        } else if (streq(list, "set") && streq_null(json_get_str(items, "type"), "object") &&
                   !streq_null(json_get_str(items, "x-kubernetes-map-type"), "atomic")) {
                AUTO(free) char *at = xasprintf("%s.items.x-kubernetes-map-type", path);
                invalid_add(bad, at, INVALID_VALUE, "null", "must be atomic as item of a list with x-kubernetes-list-type=set");
        }
}

/* A default must be what an object may have there. */
static void check_default(yyjson_val *schema, const char *path, struct invalid *bad) {
        yyjson_val *given = yyjson_obj_get(schema, "default");
        AUTO(free) char *at = xasprintf("%s.default", path);
        AUTO(mjson) yyjson_mut_doc *copy = given ? json_thaw(given) : NULL;
        AUTO(strv) struct strv unknown = {0};
        AUTO(invalid) struct invalid why = {0};
        struct structural *s;

        if (!given)
                return;
        s = structural_new(schema, false);
        structural_prune_value(s, yyjson_mut_doc_get_root(copy), &unknown);
        if (unknown.len) {
                AUTO(free) char *text = json_write(given, false, NULL);
                invalid_add(bad, at, INVALID_VALUE, text, "must not have unknown fields");
        }
        structural_validate_value(s, given, &why);
        for (size_t i = 0; i < why.len; i++) {
                /* The value has no path of its own in these messages. */
                AUTO(free) char *here = streq(why.items[i].field, "<nil>") ? xstrdup(at) : xasprintf("%s.%s", at, why.items[i].field);
                const char *text = why.items[i].message, *nil = strstr(text, "<nil> in body");
                AUTO(free) char *shown = nil ? xasprintf("%.*s%s", (int)(nil - text), text, nil + strlen("<nil>")) : xstrdup(text);
                invalid_add_text(bad, here, why.items[i].type, shown);
        }
        structural_free(s);
}

/* Below allOf, anyOf, oneOf and not a schema only narrows: what has a meaning of its own is not allowed there. */
static void check_junctor(yyjson_val *schema, const char *path, struct invalid *bad) {
        static const char *const outside[] = {"additionalProperties", "type", "nullable", "default", "description", "title"};
        yyjson_val *key, *sub;
        size_t i, n;

        yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, n, key, sub) {
                AUTO(free) char *at = xasprintf("%s.properties[%s]", path, unsafe_yyjson_get_str(key));
                check_junctor(sub, at, bad);
        }
        for (i = 0; i < ARRAY_LEN(outside); i++) {
                yyjson_val *given = yyjson_obj_get(schema, outside[i]);
                if (!given || yyjson_is_false(given) || (is_set(schema, "x-kubernetes-int-or-string") && streq(outside[i], "type")))
                        continue;
                if (streq(outside[i], "description") || streq(outside[i], "title"))
                        continue;
                forbid(bad, path, outside[i], "must be empty to be structural");
        }
}

static void check_junctors(yyjson_val *schema, const char *path, struct invalid *bad) {
        static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
        if (is_set(schema, "x-kubernetes-int-or-string"))
                return; /* may say integer or string there */
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                EACH(sub, k, yyjson_obj_get(schema, lists[i])) {
                        AUTO(free) char *at = xasprintf("%s.%s[%zu]", path, lists[i], k);
                        check_junctor(sub, at, bad);
                }
        }
        if (yyjson_obj_get(schema, "not")) {
                AUTO(free) char *at = xasprintf("%s.not", path);
                check_junctor(yyjson_obj_get(schema, "not"), at, bad);
        }
}

static void check_pattern(yyjson_val *schema, const char *path, struct invalid *bad) {
        const char *pattern = json_get_str(schema, "pattern");
        char why[256];
        if (!pattern || regex_matches(pattern, "", why) >= 0)
                return;
        AUTO(free) char *at = xasprintf("%s.pattern", path);
        invalid_string(bad, at, pattern, "must be a valid regular expression, but isn't: error parsing regexp: %s", why);
}

/* ObjectMeta is known: a schema may only narrow the name. */
static void check_metadata(yyjson_val *schema, const char *path, struct invalid *bad) {
        yyjson_val *key, *sub;
        size_t i, n;
        bool only_names = true;

        yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, n, key, sub)
                only_names &= streq(yyjson_get_str(key), "name") || streq(yyjson_get_str(key), "generateName");
        if (!only_names)
                invalid_forbidden(bad, path,
                                  "must not specify anything other than name and generateName, but metadata is implicitly specified");
}

static void check_schema(yyjson_val *schema, const char *path, enum place place, struct invalid *bad) {
        yyjson_val *key, *sub, *extra = yyjson_obj_get(schema, "additionalProperties"), *items = yyjson_obj_get(schema, "items");
        size_t i, n;

        check_forbidden(schema, path, bad);
        yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, n, key, sub) {
                AUTO(free) char *at = xasprintf("%s.properties[%s]", path, unsafe_yyjson_get_str(key));
                if (place == AT_ROOT && streq(yyjson_get_str(key), "metadata"))
                        check_metadata(sub, at, bad);
                else
                        check_schema(sub, at, IN_OBJECT, bad);
        }
        if (yyjson_is_obj(extra)) {
                AUTO(free) char *at = xasprintf("%s.additionalProperties", path);
                check_schema(extra, at, IN_OBJECT, bad);
        }
        if (yyjson_is_obj(items)) {
                AUTO(free) char *at = xasprintf("%s.items", path);
                check_schema(items, at, IN_ARRAY, bad);
        }
        check_type(schema, path, place, bad);
        check_embedded(schema, path, bad);
        check_map_type(schema, path, bad);
        check_list(schema, path, bad);
        check_pattern(schema, path, bad);
        check_junctors(schema, path, bad);
        check_default(schema, path, bad);
}

void structural_check_schema(yyjson_val *schema, const char *path, struct invalid *bad) { check_schema(schema, path, AT_ROOT, bad); }
