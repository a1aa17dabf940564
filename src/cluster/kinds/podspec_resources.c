/* requests and limits of a container. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec-internal.h"
#include "codec/quantity.h"

static bool is_huge(const char *name) { return str_starts(name, "hugepages-"); }

/* More may be requested of all nodes' share of it than there is: of what the kernel shares out, and not of devices and huge pages. */
static bool can_overcommit(const char *name) { return !strchr(name, '/') ? !is_huge(name) : strstr(name, "kubernetes.io/") != NULL; }

static void check_resource_name(const char *name, const char *path, struct invalid *bad) {
        static const char *const standard[] = {"cpu",
                                               "memory",
                                               "ephemeral-storage",
                                               "storage",
                                               "requests.cpu",
                                               "requests.memory",
                                               "requests.storage",
                                               "limits.cpu",
                                               "limits.memory",
                                               "pods",
                                               "services",
                                               "secrets",
                                               "configmaps",
                                               "resourcequotas",
                                               "persistentvolumeclaims",
                                               "replicationcontrollers",
                                               "requests.ephemeral-storage",
                                               "limits.ephemeral-storage",
                                               "services.nodeports",
                                               "services.loadbalancers"};
        bool is_standard = is_huge(name), is_for_containers = is_huge(name);
        AUTO(strv) struct strv why = {0};
        if (name_check_qualified(sv_of(name), &why)) {
                invalid_names(bad, path, name, &why);
        } else if (!strchr(name, '/')) {
                for (size_t i = 0; i < ARRAY_LEN(standard); i++)
                        is_standard |= streq(standard[i], name);
                for (size_t i = 0; i < 3; i++)
                        is_for_containers |= streq(standard[i], name);
                if (!is_standard)
                        invalid_string(bad, path, name, "must be a standard resource type or fully qualified");
        }
        if (!strchr(name, '/') && !is_for_containers)
                invalid_string(bad, path, name, "must be a standard resource for containers");
}

static void check_quantity(const char *name, const char *text, struct quantity q, const char *path, struct invalid *bad) {
        if (q.nano < 0)
                invalid_string(bad, path, text, "must be greater than or equal to 0");
        if (strchr(name, '/') && q.nano % 1000000000)
                invalid_string(bad, path, text, "must be an integer");
}

static void check_request(yyjson_val *limits, const char *name, struct quantity request, const char *path, struct invalid *bad) {
        const char *limit_text = json_get_str(limits, name);
        struct quantity limit;
        char requested[64], limited[64];
        PATH(requests_at, "%s.requests", path);
        PATH(limits_at, "%s.limits", path);
        if (!limit_text) {
                if (!can_overcommit(name))
                        invalid_required(bad, limits_at, "Limit must be set for non overcommitable resources");
                return;
        }
        if (quantity_parse(sv_of(limit_text), &limit, NULL) < 0)
                return;
        quantity_format(request, requested);
        quantity_format(limit, limited);
        if (quantity_cmp(request, limit) != 0 && !can_overcommit(name))
                invalid_string(bad, requests_at, requested, "must be equal to %s limit of %s", name, limited);
        else if (quantity_cmp(request, limit) > 0)
                invalid_string(bad, requests_at, requested, "must be less than or equal to %s limit of %s", name, limited);
}

void podspec_check_resources(yyjson_val *resources, const char *path, struct invalid *bad) {
        static const char *const lists[] = {"limits", "requests"};
        yyjson_val *limits = yyjson_obj_get(resources, "limits"), *key, *value;
        bool has_huge = false, has_compute = false;
        size_t i, n;
        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                yyjson_obj_foreach(yyjson_obj_get(resources, lists[l]), i, n, key, value) {
                        struct quantity q;
                        const char *name = unsafe_yyjson_get_str(key), *text = unsafe_yyjson_get_str(value);
                        AT("%s.%s[%s]", path, lists[l], name);
                        check_resource_name(name, at, bad);
                        if (quantity_parse(sv_of(text), &q, NULL) < 0)
                                continue;
                        check_quantity(name, text, q, at, bad);
                        if (l == 1)
                                check_request(limits, name, q, path, bad);
                        has_huge |= is_huge(name);
                        has_compute |= streq(name, "cpu") || streq(name, "memory");
                }
        if (has_huge && !has_compute)
                invalid_forbidden(bad, path, "HugePages require cpu or memory");
}
