#include "cluster/kinds/service_rules.h"

#include "base/map.h"
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

enum { MAX_AFFINITY_SECONDS = 86400 };

#define ANY_OF(type, ...) str_is_one_of(type, SUPPORTED(__VA_ARGS__))
#define SOURCE_RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"
#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"
#define TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"
#define ONLY_LOADBALANCER "may only be used when `type` is 'LoadBalancer'"

static bool is_type(yyjson_val *spec, const char *type) { return streq_null(json_get_str(spec, "type"), type); }
static bool is_headless(yyjson_val *spec) { return streq_null(json_get_str(spec, "clusterIP"), "None"); }

bool service_is_external(yyjson_val *spec) {
        return ANY_OF(json_get_str(spec, "type"), "NodePort", "LoadBalancer") ||
               (is_type(spec, "ClusterIP") && yyjson_arr_size(yyjson_obj_get(spec, "externalIPs")));
}

bool service_needs_health_port(yyjson_val *spec) {
        return is_type(spec, "LoadBalancer") && streq_null(json_get_str(spec, "externalTrafficPolicy"), "Local");
}

/* What a type demands and excludes. */

static void check_external_name(yyjson_val *spec, struct invalid *bad) {
        static const char *const unset[][2] = {
                {"clusterIPs", "spec.clusterIPs"}, {"ipFamilies", "spec.ipFamilies"}, {"ipFamilyPolicy", "spec.ipFamilyPolicy"}};
        const char *name = json_get_str(spec, "externalName");
        AUTO(free) char *bare = xstrdup(name ? name : "");
        for (size_t i = 0; i < ARRAY_LEN(unset); i++) {
                yyjson_val *v = yyjson_obj_get(spec, unset[i][0]);
                if (yyjson_arr_size(v) || yyjson_is_str(v))
                        invalid_forbidden(bad, unset[i][1], "may not be set for ExternalName services");
        }
        if (str_ends(bare, "."))
                bare[strlen(bare) - 1] = '\0';
        if (*bare)
                value_name(name_check_dns1123_subdomain, bare, "spec.externalName", bad);
        else
                invalid_required(bad, "spec.externalName", NULL);
}

static void check_type_demands(yyjson_val *spec, struct invalid *bad) {
        yyjson_val *ports = yyjson_obj_get(spec, "ports");
        if (yyjson_arr_size(ports) == 0 && !is_headless(spec) && !is_type(spec, "ExternalName"))
                invalid_required(bad, "spec.ports", NULL);
        if (ANY_OF(json_get_str(spec, "type"), "LoadBalancer", "NodePort") && is_headless(spec))
                invalid_string(bad, "spec.clusterIPs[0]", "None", "may not be set to 'None' for %s services",
                               is_type(spec, "NodePort") ? "NodePort" : "LoadBalancer");
        if (is_type(spec, "ExternalName"))
                check_external_name(spec, bad);
}

/* Ports. */

static void check_target(yyjson_val *target, const char *at, struct invalid *bad) {
        if (yyjson_is_int(target))
                value_port(yyjson_get_sint(target), at, bad);
        else if (yyjson_is_str(target))
                value_name(name_check_port_name, yyjson_get_str(target), at, bad);
}

static void check_port(yyjson_val *port, size_t i, bool needs_name, struct map *names, struct invalid *bad) {
        AUTO(free) char *here = xasprintf("spec.ports[%zu]", i), *name_at = xasprintf("%s.name", here),
                        *port_at = xasprintf("%s.port", here), *protocol_at = xasprintf("%s.protocol", here),
                        *target_at = xasprintf("%s.targetPort", here), *app_at = xasprintf("%s.appProtocol", here);
        const char *name = json_get_str(port, "name"), *app = json_get_str(port, "appProtocol");

        if (name && *name) {
                value_name(name_check_dns1123_label, name, name_at, bad);
                if (map_has(names, name))
                        invalid_duplicate(bad, name_at, name);
                map_set(names, name, names);
        } else if (needs_name) {
                invalid_required(bad, name_at, NULL);
        }
        value_port(json_get_int(port, "port", 0), port_at, bad);
        value_supported(json_get_str(port, "protocol"), protocol_at, SUPPORTED("SCTP", "TCP", "UDP"), bad);
        check_target(yyjson_obj_get(port, "targetPort"), target_at, bad);
        if (app)
                value_name(name_check_qualified, app, app_at, bad);
}

static void check_ports(yyjson_val *ports, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        EACH(port, i, ports) check_port(port, i, yyjson_arr_size(ports) > 1, &names, bad);
}

/* A protocol has a node port, and a port, once. */
static void check_unique_ports(yyjson_val *ports, struct invalid *bad) {
        AUTO(map) struct map node_ports = MAP_INIT(NULL), numbers = MAP_INIT(NULL);
        EACH(port, i, ports) {
                int64_t number = json_get_int(port, "nodePort", 0);
                const char *protocol = json_get_str(port, "protocol");
                AUTO(free) char *key = xasprintf("%lld/%s", (long long)number, protocol ? protocol : ""),
                                *at = xasprintf("spec.ports[%zu].nodePort", i), *text = xasprintf("%lld", (long long)number);
                if (number && map_has(&node_ports, key))
                        invalid_add(bad, at, INVALID_DUPLICATE, text, NULL);
                map_set(&node_ports, key, &node_ports);
        }
        EACH(again, k, ports) {
                int64_t number = json_get_int(again, "port", 0);
                const char *protocol = json_get_str(again, "protocol");
                AUTO(free) char
                        *key = xasprintf("%lld/%s", (long long)number, protocol ? protocol : ""),
                        *at = xasprintf("spec.ports[%zu]", k),
                        *shown = xasprintf(
                                "{\"Name\":\"\",\"Protocol\":\"%s\",\"AppProtocol\":null,\"Port\":%lld,\"TargetPort\":0,\"NodePort\":0}",
                                protocol ? protocol : "", (long long)number);
                if (map_has(&numbers, key))
                        invalid_add(bad, at, INVALID_DUPLICATE, shown, NULL);
                map_set(&numbers, key, &numbers);
        }
}

/* Addresses and families. */

static void check_families(yyjson_val *spec, struct invalid *bad) {
        AUTO(map) struct map seen = MAP_INIT(NULL);
        yyjson_val *policy = yyjson_obj_get(spec, "ipFamilyPolicy");
        EACH(family, i, yyjson_obj_get(spec, "ipFamilies")) {
                AUTO(free) char *at = xasprintf("spec.ipFamilies[%zu]", i);
                const char *name = yyjson_is_str(family) ? yyjson_get_str(family) : "";
                value_supported(name, at, SUPPORTED("IPv4", "IPv6"), bad);
                if (map_has(&seen, name))
                        invalid_duplicate(bad, at, name);
                map_set(&seen, name, &seen);
        }
        if (policy)
                value_supported(yyjson_get_str(policy), "spec.ipFamilyPolicy",
                                SUPPORTED("PreferDualStack", "RequireDualStack", "SingleStack"), bad);
}

static void check_cluster_ips_match(yyjson_val *spec, const char *shown, struct invalid *bad) {
        const char *one = json_get_str(spec, "clusterIP"),
                   *first = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(spec, "clusterIPs")));
        size_t count = yyjson_arr_size(yyjson_obj_get(spec, "clusterIPs"));
        bool has_one = one && *one;
        if (has_one && count == 0)
                invalid_required(bad, "spec.clusterIPs", NULL);
        else if (has_one && !streq_null(first, one))
                invalid_add(bad, "spec.clusterIPs", INVALID_VALUE, shown, "first value must match `clusterIP`");
        else if (!has_one && count)
                invalid_add(bad, "spec.clusterIPs", INVALID_VALUE, shown, "must be empty when `clusterIP` is not specified");
}

static bool check_cluster_ips_parse(yyjson_val *ips, const char *shown, struct invalid *bad) {
        bool good = true;
        EACH(ip, i, ips) {
                AUTO(free) char *at = xasprintf("spec.clusterIPs[%zu]", i);
                const char *text = yyjson_is_str(ip) ? yyjson_get_str(ip) : "";
                if (i > 0 || !streq(text, "None")) {
                        good &= value_ip(text, at, bad);
                } else if (yyjson_arr_size(ips) > 1) {
                        invalid_add(bad, "spec.clusterIPs", INVALID_VALUE, shown, "'None' must be the first and only value");
                        good = false;
                }
        }
        if (yyjson_arr_size(ips) > 2)
                invalid_add(bad, "spec.clusterIPs", INVALID_VALUE, shown, "may only hold up to 2 values");
        return good;
}

static void check_cluster_ip_families(yyjson_val *spec, const char *shown, struct invalid *bad) {
        yyjson_val *ips = yyjson_obj_get(spec, "clusterIPs"), *families = yyjson_obj_get(spec, "ipFamilies");
        size_t v4 = 0, v6 = 0;
        unsigned char bytes[16];
        EACH(ip, i, ips) *(value_ip_parse(yyjson_get_str(ip), bytes) == IP_V6 ? &v6 : &v4) += 1;
        if (yyjson_arr_size(ips) > 1 && (v4 == 0 || v6 == 0))
                invalid_add(bad, "spec.clusterIPs", INVALID_VALUE, shown, "may specify no more than one IP for each IP family");
        EACH(of, k, is_headless(spec) ? NULL : ips) {
                const char *family = yyjson_get_str(yyjson_arr_get(families, k));
                bool is_v6 = value_ip_parse(yyjson_get_str(of), bytes) == IP_V6;
                AUTO(free) char *at = xasprintf("spec.clusterIPs[%zu]", k);
                if (streq_null(family, is_v6 ? "IPv4" : "IPv6"))
                        invalid_string(bad, at, yyjson_get_str(of), "expected an %s value as indicated by `ipFamilies[%zu]`", family, k);
        }
}

static void check_cluster_ips(yyjson_val *spec, struct invalid *bad) {
        yyjson_val *ips = yyjson_obj_get(spec, "clusterIPs");
        AUTO(free) char *shown = ips ? json_write(ips, false, NULL) : xstrdup("null");
        if (is_type(spec, "ExternalName"))
                return;
        check_cluster_ips_match(spec, shown, bad);
        check_families(spec, bad);
        if (check_cluster_ips_parse(ips, shown, bad))
                check_cluster_ip_families(spec, shown, bad);
}

static void check_external_ips(yyjson_val *ips, struct invalid *bad) {
        EACH(ip, i, ips) {
                AUTO(free) char *at = xasprintf("spec.externalIPs[%zu]", i);
                if (value_ip(yyjson_get_str(ip), at, bad))
                        value_ip_not_special(yyjson_get_str(ip), at, bad);
        }
}

/* Session affinity, source ranges, policies. */

static void check_affinity(yyjson_val *spec, struct invalid *bad) {
        static const char at[] = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        const char *affinity = json_get_str(spec, "sessionAffinity");
        int64_t seconds = json_int_at(spec, "/sessionAffinityConfig/clientIP/timeoutSeconds", 0);
        value_supported(affinity, "spec.sessionAffinity", SUPPORTED("ClientIP", "None"), bad);
        if (streq_null(affinity, "ClientIP") && (seconds <= 0 || seconds > MAX_AFFINITY_SECONDS))
                invalid_int(bad, at, seconds, "must be greater than 0 and less than 86400");
        else if (streq_null(affinity, "None") && yyjson_obj_get(spec, "sessionAffinityConfig"))
                invalid_forbidden(bad, "spec.sessionAffinityConfig", "must not be set when session affinity is None");
}

static void check_source_ranges(yyjson_val *service, yyjson_val *spec, struct invalid *bad) {
        static const char field_at[] = "spec.LoadBalancerSourceRanges", annotation_at[] = "metadata.annotations[" SOURCE_RANGES "]";
        yyjson_val *ranges = yyjson_obj_get(spec, "loadBalancerSourceRanges");
        const char *annotation = meta_annotation(service, SOURCE_RANGES);
        AUTO(strv) struct strv parts = {0};
        bool allowed = is_type(spec, "LoadBalancer");
        if (yyjson_arr_size(ranges)) {
                if (!allowed)
                        invalid_forbidden(bad, field_at, ONLY_LOADBALANCER);
                EACH(range, i, ranges) {
                        AUTO(free) char *at = xasprintf("%s[%zu]", field_at, i);
                        value_cidr(yyjson_get_str(range), at, bad);
                }
        } else if (annotation) {
                if (!allowed)
                        invalid_forbidden(bad, annotation_at, ONLY_LOADBALANCER);
                if (sv_trim(sv_of(annotation)).len)
                        strv_split(&parts, annotation, ',');
                for (size_t i = 0; i < parts.len; i++) {
                        struct sv part = sv_trim(sv_of(parts.items[i]));
                        AUTO(free) char *range = xstrndup(part.data, part.len);
                        value_cidr(range, annotation_at, bad);
                }
        }
}

static void check_load_balancer(yyjson_val *spec, struct invalid *bad) {
        yyjson_val *allocate = yyjson_obj_get(spec, "allocateLoadBalancerNodePorts"), *class = yyjson_obj_get(spec, "loadBalancerClass");
        bool is_load_balancer = is_type(spec, "LoadBalancer");
        if (allocate && !is_load_balancer)
                invalid_forbidden(bad, "spec.allocateLoadBalancerNodePorts", ONLY_LOADBALANCER);
        if (class && is_load_balancer)
                value_name(name_check_qualified, yyjson_get_str(class), "spec.loadBalancerClass", bad);
        else if (class)
                invalid_forbidden(bad, "spec.loadBalancerClass", ONLY_LOADBALANCER);
}

static void check_policies(yyjson_val *spec, struct invalid *bad) {
        const char *external = json_get_str(spec, "externalTrafficPolicy"), *distribution = json_get_str(spec, "trafficDistribution");
        yyjson_val *internal = yyjson_obj_get(spec, "internalTrafficPolicy");
        int64_t health = json_get_int(spec, "healthCheckNodePort", 0);
        bool is_external = service_is_external(spec);
        if (is_external)
                value_supported(external, "spec.externalTrafficPolicy", SUPPORTED("Cluster", "Local"), bad);
        else if (external && *external)
                invalid_string(bad, "spec.externalTrafficPolicy", external, "may only be set for externally-accessible services");
        /* Zero is filled in with a free port afterwards. */
        if (health && service_needs_health_port(spec))
                value_port(health, "spec.healthCheckNodePort", bad);
        else if (health)
                invalid_int(bad, "spec.healthCheckNodePort", health,
                            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        if (internal)
                value_supported(yyjson_get_str(internal), "spec.internalTrafficPolicy", SUPPORTED("Cluster", "Local"), bad);
        if (distribution)
                value_supported(distribution, "spec.trafficDistribution", SUPPORTED("PreferClose", "PreferSameZone", "PreferSameNode"),
                                bad);
}

static void check_topology(yyjson_val *service, struct invalid *bad) {
        const char *mode = meta_annotation(service, TOPOLOGY_MODE), *hints = meta_annotation(service, TOPOLOGY_HINTS);
        if (mode && hints && !streq(mode, hints))
                invalid_string(bad, "metadata.annotations[" TOPOLOGY_MODE "]", mode,
                               "must match annotations[" TOPOLOGY_HINTS "] when both are specified");
}

void service_rules(yyjson_val *service, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(service, "spec"), *ports = yyjson_obj_get(spec, "ports");
        check_topology(service, bad);
        check_type_demands(spec, bad);
        check_ports(ports, bad);
        labels_validate(yyjson_obj_get(spec, "selector"), "spec.selector", bad);
        check_affinity(spec, bad);
        check_cluster_ips(spec, bad);
        check_external_ips(yyjson_obj_get(spec, "externalIPs"), bad);
        value_supported(json_get_str(spec, "type"), "spec.type", SUPPORTED("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"), bad);
        EACH(port, i, is_type(spec, "ClusterIP") ? ports : NULL) {
                AUTO(free) char *at = xasprintf("spec.ports[%zu].nodePort", i);
                if (json_get_int(port, "nodePort", 0))
                        invalid_forbidden(bad, at, "may not be used when `type` is 'ClusterIP'");
        }
        check_unique_ports(ports, bad);
        check_source_ranges(service, spec, bad);
        check_load_balancer(spec, bad);
        check_policies(spec, bad);
}
