/* Roles and bindings. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/registry.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

static void role_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (yyjson_obj_get(object, "aggregationRule") && yyjson_arr_size(json_at(object, "/aggregationRule/clusterRoleSelectors")) == 0)
                invalid_required(bad, "aggregationRule.clusterRoleSelectors",
                                 "at least one clusterRoleSelector required if aggregationRule is non-nil");
        EACH(chosen, k, json_at(object, "/aggregationRule/clusterRoleSelectors")) {
                AUTO(free) char *at = xasprintf("aggregationRule.clusterRoleSelectors[%zu]", k);
                label_selector_validate(chosen, at, bad);
        }
        EACH(rule, i, yyjson_obj_get(object, "rules")) {
                size_t urls = yyjson_arr_size(yyjson_obj_get(rule, "nonResourceURLs"));
                AUTO(free) char *here = xasprintf("rules[%zu]", i), *verbs_at = xasprintf("%s.verbs", here),
                                 *groups_at = xasprintf("%s.apiGroups", here), *resources_at = xasprintf("%s.resources", here),
                                 *urls_at = xasprintf("%s.nonResourceURLs", here);
                if (yyjson_arr_size(yyjson_obj_get(rule, "verbs")) == 0)
                        invalid_required(bad, verbs_at, "verbs must contain at least one value");
                if (urls) {
                        AUTO(free) char *text = json_write(yyjson_obj_get(rule, "nonResourceURLs"), false, NULL);
                        if (resource_is_namespaced(d->resource))
                                invalid_add(bad, urls_at, INVALID_VALUE, text, "namespaced rules cannot apply to non-resource URLs");
                        if (yyjson_arr_size(yyjson_obj_get(rule, "apiGroups")) || yyjson_arr_size(yyjson_obj_get(rule, "resources")) ||
                            yyjson_arr_size(yyjson_obj_get(rule, "resourceNames")))
                                invalid_add(bad, urls_at, INVALID_VALUE, text,
                                            "rules cannot apply to both regular resources and non-resource URLs");
                        continue;
                }
                if (yyjson_arr_size(yyjson_obj_get(rule, "apiGroups")) == 0)
                        invalid_required(bad, groups_at, "resource rules must supply at least one api group");
                if (yyjson_arr_size(yyjson_obj_get(rule, "resources")) == 0)
                        invalid_required(bad, resources_at, "resource rules must supply at least one resource");
        }
}

/* No rules are null, as in the real server's answers. */
static void role_defaults(struct draft *d) {
        if (d->old)
                return;
        yyjson_mut_val *rules = yyjson_mut_obj_get(d->root, "rules");
        if (rules && yyjson_mut_is_arr(rules) && yyjson_mut_arr_size(rules) == 0)
                mjson_set(d->doc, d->root, "rules", yyjson_mut_null(d->doc));
}
const struct kind_hooks role_hooks = {.defaults = role_defaults, .validate = role_validate};

static void rolebinding_defaults(struct draft *d) {
        default_str(d->doc, mjson_obj(d->doc, d->root, "roleRef"), "apiGroup", RBAC_GROUP);
        MUT_EACH(subject, d->root, "subjects") {
                const char *kind = mjson_get_str(subject, "kind");
                if (kind && (streq(kind, "User") || streq(kind, "Group")))
                        default_str(d->doc, subject, "apiGroup", RBAC_GROUP);
        }
}

static void check_subject_group(yyjson_val *subject, const char *path, struct invalid *bad) {
        const char *kind = json_get_str(subject, "kind"), *group = json_get_str(subject, "apiGroup");
        AUTO(free) char *at = xasprintf("%s.apiGroup", path);
        if (streq_null(kind, "ServiceAccount") && group && *group)
                invalid_not_supported(bad, at, group, (const char *const[]){"", NULL});
        else if (kind && (streq(kind, "User") || streq(kind, "Group")) && !streq_null(group, RBAC_GROUP))
                invalid_not_supported(bad, at, group ? group : "", (const char *const[]){RBAC_GROUP, NULL});
}

static void rolebinding_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const char *kind = json_str_at(object, "/roleRef/kind"), *name = json_str_at(object, "/roleRef/name");
        const char *group = json_str_at(object, "/roleRef/apiGroup");
        bool namespaced = resource_is_namespaced(d->resource);

        if (!streq_null(group, RBAC_GROUP))
                invalid_not_supported(bad, "roleRef.apiGroup", group ? group : "", (const char *const[]){RBAC_GROUP, NULL});
        if (!kind || !(streq(kind, "ClusterRole") || (namespaced && streq(kind, "Role"))))
                invalid_not_supported(bad, "roleRef.kind", kind ? kind : "",
                                      namespaced ? (const char *const[]){"Role", "ClusterRole", NULL}
                                                 : (const char *const[]){"ClusterRole", NULL});
        if (!name || !*name)
                invalid_required(bad, "roleRef.name", NULL);
        else
                value_name(name_check_path_segment, name, "roleRef.name", bad);
        EACH(subject, i, yyjson_obj_get(object, "subjects")) {
                const char *of = json_get_str(subject, "kind"), *who = json_get_str(subject, "name"),
                           *ns = json_get_str(subject, "namespace");
                AUTO(free) char *here = xasprintf("subjects[%zu]", i), *name_at = xasprintf("%s.name", here),
                                *kind_at = xasprintf("%s.kind", here), *ns_at = xasprintf("%s.namespace", here);
                if (!who || !*who)
                        invalid_required(bad, name_at, NULL);
                else if (streq_null(of, "ServiceAccount"))
                        value_name(name_check_dns1123_subdomain, who, name_at, bad);
                if (!of || (!streq(of, "ServiceAccount") && !streq(of, "User") && !streq(of, "Group")))
                        invalid_not_supported(bad, kind_at, of ? of : "", (const char *const[]){"ServiceAccount", "User", "Group", NULL});
                else if (streq(of, "ServiceAccount") && !namespaced && (!ns || !*ns))
                        invalid_required(bad, ns_at, NULL);
                check_subject_group(subject, here, bad);
        }
}

static void rolebinding_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        (void)d;
        if (!json_equal(yyjson_obj_get(object, "roleRef"), yyjson_obj_get(old, "roleRef"))) {
                AUTO(str) struct str text = STR_INIT(0);
                const char *group = json_str_at(object, "/roleRef/apiGroup"), *kind = json_str_at(object, "/roleRef/kind");
                const char *name = json_str_at(object, "/roleRef/name");
                str_append_s(&text, "{\"APIGroup\":");
                json_append_quoted(&text, sv_of(group ? group : ""));
                str_append_s(&text, ",\"Kind\":");
                json_append_quoted(&text, sv_of(kind ? kind : ""));
                str_append_s(&text, ",\"Name\":");
                json_append_quoted(&text, sv_of(name ? name : ""));
                str_append_c(&text, '}');
                invalid_add(bad, "roleRef", INVALID_VALUE, str_cstr(&text), "cannot change roleRef");
        }
}
const struct kind_hooks rolebinding_hooks = {
        .defaults = rolebinding_defaults, .validate = rolebinding_validate, .validate_update = rolebinding_validate_update};
