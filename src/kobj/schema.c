#include "kobj/schema.h"

#include <stdio.h>

struct root {
        const char *group, *version, *kind; /* group NULL: a kind of every group */
        uint16_t type;
};

#include "kobj/schema_table.inc"

struct schema schema_of_kind(const char *group, const char *version, const char *kind) {
        for (size_t i = 0; kind && i < ARRAY_LEN(roots); i++) {
                const struct root *r = &roots[i];
                if (streq(r->kind, kind) && (!r->group || (streq_null(r->group, group) && streq_null(r->version, version))))
                        return (struct schema){.type = &schema_types[r->type]};
        }
        return SCHEMA_NONE;
}

struct schema schema_of_type(const char *name) {
        for (size_t i = 0; i < ARRAY_LEN(schema_types); i++)
                if (streq(schema_types[i].name, name))
                        return (struct schema){.type = &schema_types[i]};
        return SCHEMA_NONE;
}

struct schema schema_of_crd(yyjson_val *openapi_v3_schema) { return (struct schema){.openapi = openapi_v3_schema, .crd_root = true}; }

const struct schema_field *schema_find_field(const struct schema_type *type, const char *name) {
        for (size_t i = 0; type && i < type->len; i++) {
                const struct schema_field *f = &type->fields[i];
                if (f->flags & SCHEMA_F_INLINE) {
                        const struct schema_field *inner = schema_find_field(&schema_types[f->type], name);
                        if (inner)
                                return inner;
                } else if (streq(f->name, name)) {
                        return f;
                }
        }
        return NULL;
}

static const struct schema_type *type_of(const struct schema_field *f) { return f->kind == SCHEMA_OBJECT ? &schema_types[f->type] : NULL; }

static struct schema openapi_member(struct schema s, const char *key) {
        if (s.crd_root && streq(key, "metadata"))
                return schema_of_type("ObjectMeta");
        yyjson_val *v = yyjson_obj_get(yyjson_obj_get(s.openapi, "properties"), key);
        if (!v)
                v = yyjson_obj_get(s.openapi, "additionalProperties");
        return (struct schema){.openapi = yyjson_is_obj(v) ? v : NULL};
}

struct schema schema_member(struct schema s, const char *key) {
        if (s.openapi)
                return openapi_member(s, key);
        if (s.field && !s.element && (s.field->flags & SCHEMA_F_MAP))
                return (struct schema){.type = s.type, .field = s.field, .element = true};
        const struct schema_field *f = schema_find_field(s.type, key);
        return f ? (struct schema){.type = type_of(f), .field = f} : SCHEMA_NONE;
}

struct schema schema_element(struct schema s) {
        if (s.openapi) {
                yyjson_val *v = yyjson_obj_get(s.openapi, "items");
                return (struct schema){.openapi = yyjson_is_obj(v) ? v : NULL};
        }
        if (s.field && !s.element && (s.field->flags & (SCHEMA_F_LIST | SCHEMA_F_MAP)))
                return (struct schema){.type = s.type, .field = s.field, .element = true};
        return SCHEMA_NONE;
}

static enum schema_kind openapi_kind(yyjson_val *openapi) {
        static const struct {
                const char *name;
                enum schema_kind kind;
        } kinds[] = {
                {"string", SCHEMA_STRING}, {"boolean", SCHEMA_BOOL},  {"integer", SCHEMA_INT64},
                {"number", SCHEMA_DOUBLE}, {"object", SCHEMA_OBJECT},
        };
        const char *type = json_get_str(openapi, "type");
        if (json_get_bool(openapi, "x-kubernetes-int-or-string", false))
                return SCHEMA_INT_OR_STRING;
        for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
                if (streq(type, kinds[i].name))
                        return kinds[i].kind;
        return SCHEMA_ANY;
}

enum schema_kind schema_kind(struct schema s) {
        if (s.openapi)
                return openapi_kind(s.openapi);
        return s.field ? (enum schema_kind)s.field->kind : s.type ? SCHEMA_OBJECT : SCHEMA_ANY;
}

bool schema_is_list(struct schema s) {
        if (s.openapi)
                return streq_null(json_get_str(s.openapi, "type"), "array");
        return s.field && !s.element && (s.field->flags & SCHEMA_F_LIST);
}

enum schema_list schema_list_type(struct schema s) {
        if (s.openapi) {
                const char *type = json_get_str(s.openapi, "x-kubernetes-list-type");
                return streq_null(type, "map") ? SCHEMA_LIST_MAP : streq_null(type, "set") ? SCHEMA_LIST_SET : SCHEMA_LIST_ATOMIC;
        }
        if (!schema_is_list(s))
                return SCHEMA_LIST_ATOMIC;
        return s.field->flags & SCHEMA_F_LIST_MAP   ? SCHEMA_LIST_MAP
               : s.field->flags & SCHEMA_F_LIST_SET ? SCHEMA_LIST_SET
                                                    : SCHEMA_LIST_ATOMIC;
}

bool schema_is_atomic(struct schema s) {
        if (s.openapi)
                return streq_null(json_get_str(s.openapi, "x-kubernetes-map-type"), "atomic");
        if (s.field && !s.element && (s.field->flags & SCHEMA_F_ATOMIC))
                return true;
        bool is_map = s.field && !s.element && (s.field->flags & SCHEMA_F_MAP);
        if (!is_map && s.type)
                return s.type->atomic;
        /* What has no members of its own is a leaf, whatever its JSON looks like. */
        return s.field && !is_map && s.field->kind != SCHEMA_OBJECT && s.field->kind != SCHEMA_ANY;
}

bool schema_list_key(struct schema s, size_t i, char ret[128]) {
        if (s.openapi) {
                const char *key = yyjson_get_str(yyjson_arr_get(yyjson_obj_get(s.openapi, "x-kubernetes-list-map-keys"), i));
                if (key)
                        snprintf(ret, 128, "%s", key);
                return key;
        }
        struct sv rest = s.field && s.field->keys ? sv_of(s.field->keys) : SV_NULL, part;
        while (sv_split(&rest, ' ', &part))
                if (i-- == 0) {
                        snprintf(ret, 128, "%.*s", SV_ARG(part));
                        return true;
                }
        return false;
}

char *schema_key_default(struct schema s, const char *key) {
        struct schema member = schema_member(schema_element(s), key);
        if (member.openapi) {
                yyjson_val *otherwise = yyjson_obj_get(member.openapi, "default");
                return otherwise ? json_write(otherwise, false, NULL) : NULL;
        }
        if (!member.field || !member.field->fallback)
                return NULL;
        AUTO(str) struct str quoted = STR_INIT(0);
        json_append_quoted(&quoted, sv_of(member.field->fallback));
        return str_take(&quoted);
}
