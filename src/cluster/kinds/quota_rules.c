/* Limit ranges and resource quotas: defaults and rules (pkg/apis/core/validation, 1.34). */
#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/value_rules.h"
#include "codec/quantity.h"
#include "kobj/meta.h"

/* Names of resources. */

static const char *const compute[] = {"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory", NULL};
static const char *const ephemeral[] = {"ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "requests.storage",
                                        NULL};
static const char *const counted[] = {"pods",       "resourcequotas",         "services",           "replicationcontrollers", "secrets",
                                      "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};

static bool is_huge_pages(const char *name) { return str_starts(name, "hugepages-"); }

static bool is_quota_name(const char *name) {
        return str_is_one_of(name, compute) || str_is_one_of(name, ephemeral) || str_is_one_of(name, counted) || is_huge_pages(name) ||
               str_starts(name, "requests.hugepages-");
}

static bool is_native(const char *name) { return !strchr(name, '/') || strstr(name, "kubernetes.io/"); }

static bool is_extended(const char *name) {
        AUTO(free) char *requested = xasprintf("requests.%s", name);
        return !is_native(name) && !str_starts(name, "requests.") && name_check_qualified(sv_of(requested), NULL) == 0;
}

static void check_resource(const char *name, const char *path, struct invalid *bad) {
        if (value_name(name_check_qualified, name, path, bad) && !strchr(name, '/') && !is_quota_name(name) && !streq(name, "storage"))
                invalid_string(bad, path, name, "must be a standard resource type or fully qualified");
}

static void check_container_resource(const char *name, const char *path, struct invalid *bad) {
        check_resource(name, path, bad);
        if (!strchr(name, '/')) {
                if (!str_is_one_of(name, SUPPORTED("cpu", "memory", "ephemeral-storage")) && !is_huge_pages(name))
                        invalid_string(bad, path, name, "must be a standard resource for containers");
        } else if (!is_native(name) && !is_extended(name)) {
                invalid_string(bad, path, name, "doesn't follow extended resource name standard");
        }
}

static bool amount(yyjson_val *list, const char *name, struct quantity *ret) {
        const char *text = json_get_str(list, name);
        return text && quantity_parse(sv_of(text), ret, NULL) == 0;
}

/* Limit ranges: min <= defaultRequest <= default <= max. */

static void copy_missing(yyjson_mut_doc *doc, yyjson_mut_val *item, const char *from, const char *to) {
        yyjson_mut_val *source = member_obj(item, from), *key, *value;
        size_t i, n;
        yyjson_mut_obj_foreach(source, i, n, key, value) {
                yyjson_mut_val *target = mjson_obj(doc, item, to);
                if (!yyjson_mut_obj_get(target, yyjson_mut_get_str(key)))
                        mjson_set(doc, target, yyjson_mut_get_str(key), yyjson_mut_val_mut_copy(doc, value));
        }
}

static void limitrange_defaults(struct draft *d) {
        yyjson_mut_val *spec = member_obj(d->root, "spec"), *limits = spec ? yyjson_mut_obj_get(spec, "limits") : NULL;
        MUT_EACH(item, spec, "limits") {
                if (!streq_null(mjson_get_str(item, "type"), "Container"))
                        continue;
                copy_missing(d->doc, item, "max", "default");
                copy_missing(d->doc, item, "default", "defaultRequest");
                copy_missing(d->doc, item, "min", "defaultRequest");
        }
        if (limits && yyjson_mut_is_arr(limits) && yyjson_mut_arr_size(limits) == 0) /* null in the real server's answers */
                mjson_set(d->doc, spec, "limits", yyjson_mut_null(d->doc));
}

/* One without a name gets one. */
static int limitrange_prepare_create(struct draft *d, struct err *err) {
        const char *name = mmeta_name(d->root);
        char uid[37];
        (void)err;
        if (!name || !*name) {
                rand_uuid(uid);
                mmeta_set(d->doc, d->root, "name", uid);
        }
        return 0;
}

static const struct {
        const char *low, *low_name, *high, *high_name;
        const char *blamed; /* the member that the message is about */
        bool shows_high;    /* which of the two it quotes as the invalid value */
} orders[] = {
        {"min", "min", "max", "max", "min", false},
        {"min", "min", "defaultRequest", "default request", "defaultRequest", true},
        {"defaultRequest", "default request", "max", "max", "defaultRequest", false},
        {"defaultRequest", "default request", "default", "default limit", "defaultRequest", false},
        {"min", "min", "default", "default", "default", false},
        {"default", "default", "max", "max", "default", true},
};

static void check_orders(yyjson_val *limit, const char *path, const char *name, struct invalid *bad) {
        for (size_t o = 0; o < ARRAY_LEN(orders); o++) {
                struct quantity low, high;
                char low_text[64], high_text[64];
                if (!amount(yyjson_obj_get(limit, orders[o].low), name, &low) ||
                    !amount(yyjson_obj_get(limit, orders[o].high), name, &high) || quantity_cmp(low, high) <= 0)
                        continue;
                AUTO(free) char *at = xasprintf("%s.%s[%s]", path, orders[o].blamed, name);
                quantity_format(low, low_text);
                quantity_format(high, high_text);
                invalid_string(bad, at, orders[o].shows_high ? high_text : low_text, "%s value %s is greater than %s value %s",
                               orders[o].low_name, low_text, orders[o].high_name, high_text);
        }
}

static void check_ratio(yyjson_val *limit, const char *path, const char *name, struct invalid *bad) {
        struct quantity ratio, min, max;
        AUTO(free) char *at = xasprintf("%s.maxLimitRequestRatio[%s]", path, name);
        char text[64];
        if (!amount(yyjson_obj_get(limit, "maxLimitRequestRatio"), name, &ratio))
                return;
        quantity_format(ratio, text);
        if (ratio.nano < 1000000000)
                invalid_string(bad, at, text, "ratio %s is less than 1", text);
        if (!amount(yyjson_obj_get(limit, "min"), name, &min) || !amount(yyjson_obj_get(limit, "max"), name, &max))
                return;
        double most = (double)quantity_milli(max) / (double)quantity_milli(min);
        if ((double)quantity_milli(ratio) / 1000 > most)
                invalid_string(bad, at, text, "ratio %s is greater than max/min = %f", text, most);
}

/* What may not be overcommitted is requested as it is limited. */
static void check_overcommit(yyjson_val *limit, const char *path, const char *name, struct invalid *bad) {
        struct quantity limited, requested;
        AUTO(free) char *at = xasprintf("%s.defaultRequest[%s]", path, name);
        char limited_text[64], requested_text[64];
        if ((is_native(name) && !is_huge_pages(name)) || !amount(yyjson_obj_get(limit, "default"), name, &limited) ||
            !amount(yyjson_obj_get(limit, "defaultRequest"), name, &requested) || quantity_cmp(limited, requested) == 0)
                return;
        quantity_format(limited, limited_text);
        quantity_format(requested, requested_text);
        invalid_string(bad, at, requested_text, "default value %s must equal to defaultRequest value %s in %s", limited_text,
                       requested_text, name);
}

/* Names of the resources of one member; they are remembered in `names`. */
static void check_member(yyjson_val *limit, const char *member, const char *path, bool of_containers, struct map *names,
                         struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(yyjson_obj_get(limit, member), i, n, key, value) {
                const char *name = unsafe_yyjson_get_str(key);
                AUTO(free) char *at = xasprintf("%s.%s[%s]", path, member, name);
                (of_containers ? check_container_resource : check_resource)(name, at, bad);
                map_set(names, name, value);
        }
}

static void check_limit(yyjson_val *limit, const char *type, const char *path, struct invalid *bad) {
        bool is_pod = streq(type, "Pod"), of_containers = is_pod || streq(type, "Container");
        AUTO(map) struct map names = MAP_INIT(NULL);
        check_member(limit, "max", path, of_containers, &names, bad);
        check_member(limit, "min", path, of_containers, &names, bad);
        for (int i = 0; i < 2; i++) {
                const char *member = i ? "defaultRequest" : "default";
                AUTO(free) char *at = xasprintf("%s.%s", path, member);
                if (!is_pod)
                        check_member(limit, member, path, of_containers, &names, bad);
                else if (yyjson_obj_size(yyjson_obj_get(limit, member)))
                        invalid_forbidden(bad, at, "may not be specified when `type` is 'Pod'");
        }
        if (streq(type, "PersistentVolumeClaim") && !json_at(limit, "/min/storage") && !json_at(limit, "/max/storage")) {
                AUTO(free) char *at = xasprintf("%s.limits", path);
                invalid_required(bad, at, "either minimum or maximum storage value is required, but neither was provided");
        }
        check_member(limit, "maxLimitRequestRatio", path, of_containers, &names, bad);
        map_foreach(e, &names) {
                check_orders(limit, path, e->key, bad);
                check_ratio(limit, path, e->key, bad);
                check_overcommit(limit, path, e->key, bad);
        }
}

static void limitrange_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        AUTO(map) struct map types = MAP_INIT(NULL);
        (void)d;
        EACH(limit, i, json_at(object, "/spec/limits")) {
                const char *given = json_get_str(limit, "type"), *type = given ? given : "";
                AUTO(free) char *here = xasprintf("spec.limits[%zu]", i), *type_at = xasprintf("%s.type", here);
                if (value_name(name_check_qualified, type, type_at, bad) && !strchr(type, '/') &&
                    !str_is_one_of(type, SUPPORTED("Pod", "Container", "PersistentVolumeClaim")))
                        invalid_string(bad, type_at, type, "must be a standard limit type or fully qualified");
                if (map_has(&types, type))
                        invalid_duplicate(bad, type_at, type);
                map_set(&types, type, &types);
                check_limit(limit, type, here, bad);
        }
}
const struct kind_hooks limitrange_hooks = {
        .defaults = limitrange_defaults, .prepare_create = limitrange_prepare_create, .validate = limitrange_validate};

/* Quotas. */

static int quota_prepare_create(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

static void check_hard(yyjson_val *hard, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(hard, i, n, key, value) {
                const char *name = unsafe_yyjson_get_str(key), *text = yyjson_get_str(value);
                AUTO(free) char *at = xasprintf("spec.hard[%s]", name);
                struct quantity q;
                check_resource(name, at, bad);
                if (!strchr(name, '/') && !is_quota_name(name))
                        invalid_string(bad, at, name, "must be a standard resource for quota");
                if (!text || quantity_parse(sv_of(text), &q, NULL) < 0)
                        continue;
                if (q.nano < 0)
                        invalid_string(bad, at, text, "must be greater than or equal to 0");
                if ((str_is_one_of(name, counted) || is_extended(name)) && q.nano % 1000000000)
                        invalid_string(bad, at, text, "must be an integer");
        }
}

static const char *const scopes[] = {"Terminating",
                                     "NotTerminating",
                                     "BestEffort",
                                     "NotBestEffort",
                                     "PriorityClass",
                                     "CrossNamespacePodAffinity",
                                     "VolumeAttributesClass",
                                     NULL};

/* Scopes of pods go with resources of pods. */
static bool scope_fits(const char *scope, const char *name) {
        if (!is_quota_name(name) || !str_is_one_of(scope, scopes))
                return true;
        if (streq(scope, "VolumeAttributesClass"))
                return str_is_one_of(name, SUPPORTED("persistentvolumeclaims", "requests.storage"));
        return streq(name, "pods") || (!streq(scope, "BestEffort") && str_is_one_of(name, compute));
}

static void check_fits(const char *scope, yyjson_val *hard, const char *path, const char *shown, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(hard, i, n, key, value) {
                if (!scope_fits(scope, unsafe_yyjson_get_str(key)))
                        invalid_add(bad, path, INVALID_VALUE, shown, "unsupported scope applied to resource");
        }
}

static void check_conflicts(const struct map *seen, const char *path, const char *shown, struct invalid *bad) {
        if (map_has(seen, "BestEffort") && map_has(seen, "NotBestEffort"))
                invalid_add(bad, path, INVALID_VALUE, shown, "conflicting scopes");
        if (map_has(seen, "Terminating") && map_has(seen, "NotTerminating"))
                invalid_add(bad, path, INVALID_VALUE, shown, "conflicting scopes");
}

static void check_scopes(yyjson_val *list, yyjson_val *hard, const char *shown, struct invalid *bad) {
        AUTO(map) struct map seen = MAP_INIT(NULL);
        EACH(item, i, list) {
                const char *scope = yyjson_is_str(item) ? yyjson_get_str(item) : "";
                if (!str_is_one_of(scope, scopes))
                        invalid_add(bad, "spec.scopes", INVALID_VALUE, shown, "unsupported scope");
                check_fits(scope, hard, "spec.scopes", shown, bad);
                map_set(&seen, scope, &seen);
        }
        check_conflicts(&seen, "spec.scopes", shown, bad);
}

static void check_requirement(const char *scope, yyjson_val *requirement, struct invalid *bad) {
        static const char operator_at[] = "spec.scopeSelector.matchExpressions.operator",
                          values_at[] = "spec.scopeSelector.matchExpressions.values";
        const char *given = json_get_str(requirement, "operator"), *operator = given ? given : "";
        yyjson_val *values = yyjson_obj_get(requirement, "values");
        AUTO(free) char *shown = values ? json_write(values, false, NULL) : NULL;
        if (!streq(operator, "Exists") &&
            str_is_one_of(scope, SUPPORTED("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")))
                invalid_string(
                        bad, operator_at, operator,
                        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                        "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
        if (str_is_one_of(operator, SUPPORTED("In", "NotIn"))) {
                if (yyjson_arr_size(values) == 0)
                        invalid_required(bad, values_at,
                                         "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
        } else if (!str_is_one_of(operator, SUPPORTED("Exists", "DoesNotExist"))) {
                invalid_string(bad, operator_at, operator, "not a valid selector operator");
        } else if (yyjson_arr_size(values)) {
                invalid_add(bad, values_at, INVALID_VALUE, shown,
                            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
        }
}

/* As the messages of the real server show it, whose structures have capital letters. */
static char *show_selector(yyjson_val *expressions) {
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, "{\"MatchExpressions\":[");
        EACH(e, i, expressions) {
                yyjson_val *list = yyjson_obj_get(e, "values");
                const char *name = json_get_str(e, "scopeName"), *operator = json_get_str(e, "operator");
                AUTO(free) char *values = list ? json_write(list, false, NULL) : xstrdup("null");
                str_append_s(&out, i ? ",{\"ScopeName\":" : "{\"ScopeName\":");
                json_append_quoted(&out, sv_of(name ? name : ""));
                str_append_s(&out, ",\"Operator\":");
                json_append_quoted(&out, sv_of(operator ? operator : ""));
                str_appendf(&out, ",\"Values\":%s}", values);
        }
        str_append_s(&out, "]}");
        return str_take(&out);
}

static void check_scope_selector(yyjson_val *expressions, yyjson_val *hard, const char *shown_scopes, struct invalid *bad) {
        static const char here[] = "spec.scopeSelector.matchExpressions", name_at[] = "spec.scopeSelector.matchExpressions.scopeName";
        AUTO(map) struct map seen = MAP_INIT(NULL);
        AUTO(free) char *shown = show_selector(expressions);
        EACH(e, i, expressions) {
                const char *given = json_get_str(e, "scopeName"), *scope = given ? given : "";
                if (!str_is_one_of(scope, scopes))
                        invalid_string(bad, name_at, scope, "unsupported scope");
                check_fits(scope, hard, here, shown, bad);
                check_requirement(scope, e, bad);
                map_set(&seen, scope, &seen);
        }
        check_conflicts(&seen, here, shown_scopes, bad);
}

static void quota_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *hard = json_at(object, "/spec/hard"), *list = json_at(object, "/spec/scopes");
        AUTO(free) char *shown = list ? json_write(list, false, NULL) : xstrdup("null");
        if (d->subresource)
                return;
        check_hard(hard, bad);
        check_scopes(list, hard, shown, bad);
        check_scope_selector(json_at(object, "/spec/scopeSelector/matchExpressions"), hard, shown, bad);
}
const struct kind_hooks quota_hooks = {.prepare_create = quota_prepare_create, .validate = quota_validate};
