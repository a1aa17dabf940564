/* What a CustomResourceDefinition must be, in the words of the real server. */
#include "cluster/crd/crd.h"
#include "cluster/edit.h"
#include "cluster/crd/structural.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

/* Where the real server sees what concerns a version: with one version, at the place where it was before there were several. */
static char *place(size_t versions, size_t i, const char *single, const char *member) {
        return versions == 1 ? xasprintf("spec.%s", single) : xasprintf("spec.versions[%zu].%s", i, member);
}

static void check_label(const char *value, const char *path, const char *prefix, struct invalid *bad) {
        AUTO(strv) struct strv why = {0};
        name_check_dns1035_label(sv_of(value), &why);
        for (size_t i = 0; i < why.len; i++)
                invalid_string(bad, path, value, "%s%s", prefix, why.items[i]);
}

static void check_kind_name(const char *value, const char *path, struct invalid *bad) {
        AUTO(free) char *lower = xstrdup(value);
        AUTO(strv) struct strv why = {0};
        for (char *p = lower; *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
        name_check_dns1035_label(sv_of(lower), &why);
        for (size_t i = 0; i < why.len; i++)
                invalid_string(bad, path, value, "may have mixed case, but should otherwise match: %s", why.items[i]);
}

static void check_name_list(yyjson_val *names, const char *member, struct invalid *bad) {
        EACH(one, i, yyjson_obj_get(names, member)) {
                AUTO(free) char *at = xasprintf("spec.names.%s[%zu]", member, i);
                check_label(yyjson_get_str(one), at, "", bad);
        }
}

static void check_names(yyjson_val *names, struct invalid *bad) {
        const char *plural = json_get_str(names, "plural"), *singular = json_get_str(names, "singular"),
                   *kind = json_get_str(names, "kind"), *list = json_get_str(names, "listKind");

        if (!plural || !*plural)
                invalid_required(bad, "spec.names.plural", NULL);
        else
                check_label(plural, "spec.names.plural", "", bad);
        if (singular && *singular)
                check_label(singular, "spec.names.singular", "", bad);
        if (!kind || !*kind)
                invalid_required(bad, "spec.names.kind", NULL);
        else
                check_kind_name(kind, "spec.names.kind", bad);
        check_name_list(names, "shortNames", bad);
        if (list && *list)
                check_kind_name(list, "spec.names.listKind", bad);
        else
                invalid_required(bad, "spec.names.listKind", NULL);
        if (kind && list && *kind && streq(kind, list))
                invalid_string(bad, "spec.names.listKind", list, "kind and listKind may not be the same");
        check_name_list(names, "categories", bad);
}

static void check_columns(yyjson_val *version, const char *path, struct invalid *bad) {
        static const char *const types[] = {"boolean", "date", "integer", "number", "string", NULL};
        static const char *const formats[] = {"byte", "date", "date-time", "double", "float", "int32", "int64", "password", NULL};
        EACH(column, i, yyjson_obj_get(version, "additionalPrinterColumns")) {
                AUTO(free) char *here = xasprintf("%s[%zu]", path, i), *name_at = xasprintf("%s.name", here),
                                *type_at = xasprintf("%s.type", here), *format_at = xasprintf("%s.format", here),
                                *path_at = xasprintf("%s.JSONPath", here);
                const char *name = json_get_str(column, "name"), *type = json_get_str(column, "type"),
                           *json_path = json_get_str(column, "jsonPath"), *format = json_get_str(column, "format");
                if (!name || !*name)
                        invalid_required(bad, name_at, NULL);
                if (!type || !*type)
                        invalid_required(bad, type_at, "must be one of boolean,date,integer,number,string");
                else if (!str_is_one_of(type, types))
                        invalid_string(bad, type_at, type, "must be one of boolean,date,integer,number,string");
                if (format && *format && !str_is_one_of(format, formats))
                        invalid_string(bad, format_at, format, "must be one of byte,date,date-time,double,float,int32,int64,password");
                if (!json_path || !*json_path)
                        invalid_required(bad, path_at, NULL);
                else if (*json_path != '.')
                        invalid_string(bad, path_at, json_path, "must be a simple json path starting with .");
        }
}

static void check_scale_path(yyjson_val *scale, const char *member, const char *below, bool needed, const char *path, struct invalid *bad) {
        const char *text = json_get_str(scale, member);
        AUTO(free) char *at = xasprintf("%s.scale.%s", path, member), *prefix = xasprintf("%s.", below);
        if (!text || !*text) {
                if (needed)
                        invalid_required(bad, at, NULL);
        } else if (*text != '.') {
                invalid_string(bad, at, text, "must be a simple json path starting with .");
        } else if (!str_starts(text, prefix)) {
                invalid_string(bad, at, text, "should be a json path under %s", below);
        }
}

static void check_subresources(yyjson_val *version, const char *path, struct invalid *bad) {
        yyjson_val *scale = json_at(version, "/subresources/scale");
        const char *selector = json_get_str(scale, "labelSelectorPath");
        if (!scale)
                return;
        check_scale_path(scale, "specReplicasPath", ".spec", true, path, bad);
        check_scale_path(scale, "statusReplicasPath", ".status", true, path, bad);
        if (selector && *selector && !str_starts(selector, ".spec.") && !str_starts(selector, ".status.")) {
                AUTO(free) char *at = xasprintf("%s.scale.labelSelectorPath", path);
                invalid_string(bad, at, selector,
                               *selector == '.' ? "should be a json path under either .status or .spec"
                                                : "must be a simple json path starting with .");
        }
}

static bool is_named_before(yyjson_val *fields, size_t before, const char *path) {
        EACH(field, i, fields) {
                if (i < before && streq_null(json_get_str(field, "jsonPath"), path))
                        return true;
        }
        return false;
}

static void check_selectable(yyjson_val *version, const char *path, struct invalid *bad) {
        yyjson_val *fields = yyjson_obj_get(version, "selectableFields");
        if (yyjson_arr_size(fields) && !json_at(version, "/schema/openAPIV3Schema")) {
                invalid_string(bad, path, "", "may only be set when validations.schema is included");
                return;
        }
        EACH(field, i, fields) {
                AUTO(free) char *at = xasprintf("%s[%zu].jsonPath", path, i);
                const char *text = json_get_str(field, "jsonPath"), *type;
                yyjson_val *schema = json_at(version, "/schema/openAPIV3Schema");
                struct sv rest = sv_of(text ? text : ""), part;
                if (!text || !*text) {
                        invalid_required(bad, at, NULL);
                        continue;
                }
                while (schema && sv_split(&rest, '.', &part)) {
                        if (part.len)
                                schema = yyjson_obj_getn(yyjson_obj_get(schema, "properties"), part.data, part.len);
                }
                type = json_get_str(schema, "type");
                if (*text != '.' && *text != '[')
                        invalid_string(bad, at, text, "is an invalid path: expected [ or . but got: %s", text);
                else if (!schema)
                        invalid_string(bad, at, text, "is an invalid path: does not refer to a valid field");
                else if (!type || (!streq(type, "string") && !streq(type, "boolean") && !streq(type, "integer")))
                        invalid_string(
                                bad, at, text,
                                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.");
                if (is_named_before(fields, i, text))
                        invalid_duplicate(bad, at, text);
        }
}

static void check_version(yyjson_val *version, size_t i, size_t count, struct invalid *bad) {
        yyjson_val *schema = json_at(version, "/schema/openAPIV3Schema");
        AUTO(free) char *schema_at = place(count, i, "validation.openAPIV3Schema", "schema.openAPIV3Schema");
        AUTO(free) char *columns_at = place(count, i, "additionalPrinterColumns", "additionalPrinterColumns");
        AUTO(free) char *subs_at = place(count, i, "subresources", "subresources"),
                        *selectable_at = place(count, i, "selectableFields", "selectableFields");
        AUTO(free) char *required_at = xasprintf("spec.versions[%zu].schema.openAPIV3Schema", i),
                        *name_at = xasprintf("spec.versions[%zu].name", i),
                        *warning_at = xasprintf("spec.versions[%zu].deprecationWarning", i);
        const char *name = json_get_str(version, "name"), *warning = json_get_str(version, "deprecationWarning");

        check_label(name ? name : "", name_at, "", bad);
        if (warning && !json_get_bool(version, "deprecated", false))
                invalid_string(bad, warning_at, warning, "can only be set for deprecated versions");
        if (count == 1 && name && *name)
                check_label(name, "spec.version", "", bad);
        if (!schema)
                invalid_required(bad, required_at, NULL);
        else
                structural_check_schema(schema, schema_at, bad);
        const char *type = json_get_str(schema, "type");
        if (type && *type && !streq(type, "object") && json_at(version, "/subresources/status")) {
                AUTO(free) char *type_at = xasprintf("%s.type", schema_at);
                invalid_string(bad, type_at, type,
                               "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled");
        }
        check_subresources(version, subs_at, bad);
        check_selectable(version, selectable_at, bad);
        check_columns(version, columns_at, bad);
}

static bool has_duplicates(yyjson_val *versions) {
        EACH(a, i, versions) {
                EACH(b, k, versions) {
                        if (k < i && streq_null(json_get_str(a, "name"), json_get_str(b, "name")))
                                return true;
                }
        }
        return false;
}

static void check_conversion(yyjson_val *conversion, struct invalid *bad) {
        const char *strategy = json_get_str(conversion, "strategy");
        if (!strategy || streq(strategy, "None"))
                return;
        if (!streq(strategy, "Webhook")) {
                invalid_not_supported(bad, "spec.conversion.strategy", strategy, (const char *const[]){"None", "Webhook", NULL});
                return;
        }
        if (!json_at(conversion, "/webhook/clientConfig"))
                invalid_required(bad, "spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
        if (yyjson_arr_size(json_at(conversion, "/webhook/conversionReviewVersions")) == 0)
                invalid_required(bad, "spec.conversion.conversionReviewVersions", NULL);
}

static void check_versions(yyjson_val *object, struct invalid *bad) {
        yyjson_val *versions = json_at(object, "/spec/versions");
        size_t stored = 0, count = yyjson_arr_size(versions);

        EACH(version, i, versions) stored += json_get_bool(version, "storage", false);
        if (has_duplicates(versions))
                invalid_add(bad, "spec.versions", INVALID_VALUE, NULL, "must contain unique version names");
        if (stored != 1)
                invalid_add(bad, "spec.versions", INVALID_VALUE,
                            count                                   ? NULL
                            : versions && !yyjson_is_null(versions) ? "[]"
                                                                    : "null",
                            "must have exactly one version marked as storage version");
        EACH(version, i, versions) check_version(version, i, count, bad);
}

static void check_stored_versions(yyjson_val *object, struct invalid *bad) {
        yyjson_val *stored = json_at(object, "/status/storedVersions"), *versions = json_at(object, "/spec/versions");
        if (yyjson_arr_size(stored) == 0)
                invalid_add(bad, "status.storedVersions", INVALID_VALUE, "null", "must have at least one stored version");
        EACH(name, i, stored) {
                bool there = false;
                EACH(version, k, versions) there |= streq_null(json_get_str(version, "name"), yyjson_get_str(name));
                if (there)
                        continue;
                AUTO(free) char *at = xasprintf("status.storedVersions[%zu]", i);
                const char *text = yyjson_get_str(name);
                invalid_string(
                        bad, at, text,
                        "missing from spec.versions; %s was previously a storage version, and must remain in spec.versions until a storage migration ensures no "
                        "data remains persisted in %s and removes %s from status.storedVersions",
                        text, text, text);
        }
}

static void check_group(const char *group, struct invalid *bad) {
        if (value_name_joined(name_check_dns1123_subdomain, group, "spec.group", bad) && !strchr(group, '.'))
                invalid_string(bad, "spec.group", group, "should be a domain with at least one dot");
}

void crd_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const char *group = json_str_at(object, "/spec/group"), *plural = json_str_at(object, "/spec/names/plural"),
                   *scope = json_str_at(object, "/spec/scope");
        AUTO(free) char *expected = xasprintf("%s.%s", plural ? plural : "", group ? group : "");

        if (d->subresource || (d->old && !streq_null(group, object_str(d->old, "/spec/group"))))
                return; /* a change of the group is all that is said then (crd_validate_update) */
        const char *name = meta_name(object);
        if (!d->old && plural && group && name && *name && !streq(name, expected))
                invalid_string(bad, "metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
        if (!group || !*group)
                invalid_required(bad, "spec.group", NULL);
        else
                check_group(group, bad);
        if (!scope || !*scope)
                invalid_required(bad, "spec.scope", NULL);
        else if (!streq(scope, "Cluster") && !streq(scope, "Namespaced"))
                invalid_not_supported(bad, "spec.scope", scope, (const char *const[]){"Cluster", "Namespaced", NULL});
        if (json_at(object, "/spec/preserveUnknownFields") && yyjson_is_true(json_at(object, "/spec/preserveUnknownFields")))
                invalid_add(bad, "spec.preserveUnknownFields", INVALID_VALUE, "true",
                            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead");
        if (group && (str_ends(group, ".k8s.io") || streq(group, "k8s.io") || str_ends(group, ".kubernetes.io")) &&
            !meta_annotation(object, "api-approved.kubernetes.io"))
                invalid_required(bad, "metadata.annotations[api-approved.kubernetes.io]",
                                 "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
                                 "https://github.com/kubernetes/enhancements/pull/1111");
        if (group && registry_group(&d->server->registry, group)) {
                struct resource *res = registry_by_id(&d->server->registry, expected);
                if (res && !res->is_custom)
                        invalid_string(bad, "spec.group", group, "%s is a built-in resource", expected);
        }
        check_versions(object, bad);
        check_names(json_at(object, "/spec/names"), bad);
        check_conversion(json_at(object, "/spec/conversion"), bad);
        check_stored_versions(object, bad);
}

void crd_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        static const struct {
                const char *pointer, *path;
                bool when_established; /* until then it may change */
        } fixed[] = {{"/spec/group", "spec.group", false},
                     {"/spec/names/plural", "spec.names.plural", false},
                     {"/spec/scope", "spec.scope", true},
                     {"/spec/names/kind", "spec.names.kind", true}};
        bool is_established = meta_condition_is(old, "Established", "True");

        if (d->subresource)
                return;
        for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
                const char *now = json_str_at(object, fixed[i].pointer);
                if ((is_established || !fixed[i].when_established) && !streq_null(now, json_str_at(old, fixed[i].pointer)))
                        invalid_string(bad, fixed[i].path, now ? now : "", "field is immutable");
        }
}
