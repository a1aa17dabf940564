/* Services: addresses and ports. */
#include "base/str.h"
#include "cluster/addresses.h"
#include "cluster/edit.h"
#include "cluster/kind_hooks.h"
#include "cluster/podspec.h"
#include "cluster/server-internal.h"
#include "kobj/meta.h"
#include "kobj/names.h"

static bool type_is(yyjson_mut_val *spec, const char *type) { return streq_null(mjson_get_str(spec, "type"), type); }

static void service_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        default_str(d->doc, spec, "sessionAffinity", "None");
        default_str(d->doc, spec, "type", "ClusterIP");
        if (streq(mjson_get_str(spec, "sessionAffinity"), "ClientIP"))
                default_int(d->doc, mjson_obj(d->doc, mjson_obj(d->doc, spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", 10800);
        MUT_EACH(port, spec, "ports") {
                yyjson_mut_val *target = yyjson_mut_obj_get(port, "targetPort");
                default_str(d->doc, port, "protocol", "TCP");
                if (!target || (yyjson_mut_is_int(target) && yyjson_mut_get_sint(target) == 0) ||
                    (yyjson_mut_is_str(target) && yyjson_mut_get_len(target) == 0))
                        mjson_set_int(d->doc, port, "targetPort", mjson_get_int(port, "port", 0));
        }
        if (type_is(spec, "ExternalName"))
                return;
        default_str(d->doc, spec, "internalTrafficPolicy", "Cluster");
        if (type_is(spec, "NodePort") || type_is(spec, "LoadBalancer"))
                default_str(d->doc, spec, "externalTrafficPolicy", "Cluster");
        if (type_is(spec, "LoadBalancer"))
                default_bool(d->doc, spec, "allocateLoadBalancerNodePorts", true);
}

static void set_list(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        mjson_add_str(doc, list, value);
        mjson_set(doc, object, key, list);
}

static int take_address(struct draft *d, yyjson_mut_val *spec, struct err *err) {
        struct addresses *pool = d->server->addresses;
        const char *policy = mjson_get_str(spec, "ipFamilyPolicy"), *family = mjson_str_at(spec, "/ipFamilies/0");
        const char *given = mjson_get_str(spec, "clusterIP"), *had = d->old ? object_str(d->old, "/spec/clusterIP") : NULL;
        yyjson_mut_val *list = yyjson_mut_obj_get(spec, "clusterIPs");
        AUTO(free) char *ip = NULL;

        if (policy && streq(policy, "RequireDualStack")) {
                AUTO(invalid) struct invalid bad = {0};
                invalid_string(&bad, "spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services");
                return invalid_err(&bad, "", "Service", mmeta_name(d->root), err);
        }
        if (family && streq(family, "IPv6")) {
                AUTO(invalid) struct invalid bad = {0};
                invalid_string(&bad, "spec.ipFamilies[0]", family, "not configured on this cluster");
                return invalid_err(&bad, "", "Service", mmeta_name(d->root), err);
        }
        if ((!given || !*given) && yyjson_mut_arr_size(list))
                given = yyjson_mut_get_str(yyjson_mut_arr_get_first(list));
        if ((!given || !*given) && had && *had)
                given = had;
        if (given && *given) {
                AUTO(invalid) struct invalid bad = {0};
                AUTO(free) char *text = xasprintf("[\"%s\"]", given);
                ip = xstrdup(given);
                if (!streq(given, "None") && !streq_null(given, had)) {
                        if (!addresses_is_ip(given))
                                invalid_string(&bad, "spec.clusterIPs[0]", given, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
                        else if (!addresses_contains(pool, given))
                                invalid_add(&bad, "spec.clusterIPs", INVALID_VALUE, text,
                                            "failed to allocate IP %s: the provided network does not match the current range", given);
                        else if (addresses_is_taken(pool, given))
                                invalid_add(&bad, "spec.clusterIPs", INVALID_VALUE, text, "failed to allocate IP %s: provided IP is already allocated",
                                            given);
                        if (bad.len)
                                return invalid_err(&bad, "", "Service", mmeta_name(d->root), err);
                }
        } else {
                ip = addresses_pick(pool);
                if (!ip)
                        return status_internal(err, "failed to allocate a serviceIP: range is full");
        }
        mjson_set_str(d->doc, spec, "clusterIP", ip);
        set_list(d->doc, spec, "clusterIPs", ip);
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "ipFamilies")) == 0)
                set_list(d->doc, spec, "ipFamilies", "IPv4");
        default_str(d->doc, spec, "ipFamilyPolicy", "SingleStack");
        return 0;
}

static int no_node_port_left(struct err *err) { return status_internal(err, "failed to allocate a nodePort: range is full"); }

/* `given` for port i; -errno when it cannot be had. */
static int take_node_port(struct draft *d, size_t i, int64_t given, struct err *err) {
        AUTO(invalid) struct invalid bad = {0};
        AUTO(free) char *at = xasprintf("spec.ports[%zu].nodePort", i), *text = xasprintf("%lld", (long long)given);
        if (given < NODE_PORT_FIRST || given > NODE_PORT_LAST)
                invalid_add(&bad, at, INVALID_VALUE, text, "provided port is not in the valid range. The range of valid ports is 30000-32767");
        else if (addresses_port_is_taken(d->server->addresses, (int)given))
                invalid_add(&bad, at, INVALID_VALUE, text, "provided port is already allocated");
        return bad.len ? invalid_err(&bad, "", "Service", mmeta_name(d->root), err) : 0;
}

static bool has_node_port(yyjson_val *ports, int64_t number) {
        EACH(port, i, ports) if (json_get_int(port, "nodePort", 0) == number) return true;
        return false;
}

static int64_t mut_node_port_before(yyjson_mut_val *spec, yyjson_mut_val *until, int64_t number, bool is_node_port) {
        MUT_EACH(port, spec, "ports") {
                if (port == until)
                        break;
                int64_t node_port = mjson_get_int(port, "nodePort", 0);
                if (node_port && (is_node_port ? node_port : mjson_get_int(port, "port", 0)) == number)
                        return node_port;
        }
        return 0;
}

/* The port of the same name had one, and no other port has it now. */
static int64_t inherited_node_port(yyjson_val *before, yyjson_mut_val *spec, const char *name) {
        int64_t had = 0;
        EACH(port, i, before) if (streq_null(json_get_str(port, "name"), name) || (!name && !json_get_str(port, "name"))) had = json_get_int(port, "nodePort", 0);
        return had && !mut_node_port_before(spec, NULL, had, true) ? had : 0;
}

/* A free one, not given to another port of this service a moment ago either. */
static int64_t pick_node_port(struct draft *d, yyjson_mut_val *spec) {
        for (int tries = 0; tries < NODE_PORT_LAST - NODE_PORT_FIRST; tries++) {
                int64_t number = addresses_pick_port(d->server->addresses);
                if (!number || !mut_node_port_before(spec, NULL, number, true))
                        return number;
        }
        return 0;
}

/* Rules: pkg/registry/core/service/storage/alloc.go. A new service's ports of the same number (TCP and UDP) get the same node port. */
static int take_node_ports(struct draft *d, yyjson_mut_val *spec, struct err *err) {
        yyjson_val *had = d->old ? object_at(d->old, "/spec/ports") : NULL;
        bool wants_all = type_is(spec, "NodePort") || yyjson_mut_get_bool(yyjson_mut_obj_get(spec, "allocateLoadBalancerNodePorts"));
        if (d->old) {
                MUT_EACH(port, spec, "ports") {
                        int64_t number = mjson_get_int(port, "nodePort", 0) ? 0 : inherited_node_port(had, spec, mjson_get_str(port, "name"));
                        if (number)
                                mjson_set_int(d->doc, port, "nodePort", number);
                }
        }
        size_t i = 0;
        MUT_EACH(port, spec, "ports") {
                int64_t given = mjson_get_int(port, "nodePort", 0), same = d->old ? 0 : mut_node_port_before(spec, NULL, mjson_get_int(port, "port", 0), false);
                if (!given && !wants_all) {
                        i++;
                        continue;
                }
                if (!given && same)
                        mjson_set_int(d->doc, port, "nodePort", same);
                else if (!given && (given = pick_node_port(d, spec)) == 0)
                        return no_node_port_left(err);
                else if (mjson_get_int(port, "nodePort", 0) == 0)
                        mjson_set_int(d->doc, port, "nodePort", given);
                else if (!has_node_port(had, given) && !mut_node_port_before(spec, port, given, true)) {
                        int r = take_node_port(d, i, given, err);
                        if (r < 0)
                                return r;
                }
                i++;
        }
        return 0;
}

static bool has_node_ports(const char *type) { return streq_null(type, "NodePort") || streq_null(type, "LoadBalancer"); }

/* What only came with the type before goes with it, unless it was changed as well (validation then speaks): dropTypeDependentFields. */
static void drop_of_old_type(struct draft *d, yyjson_mut_val *spec) {
        yyjson_val *old = object_at(d->old, "/spec");
        const char *policy = json_get_str(old, "externalTrafficPolicy");
        if (!has_node_ports(json_get_str(old, "type")) || has_node_ports(mjson_get_str(spec, "type")))
                return;
        bool same = true;
        size_t i = 0;
        MUT_EACH(port, spec, "ports") same &= mjson_get_int(port, "nodePort", 0) == json_get_int(yyjson_arr_get(yyjson_obj_get(old, "ports"), i++), "nodePort", 0);
        if (same && i == yyjson_arr_size(yyjson_obj_get(old, "ports"))) {
                MUT_EACH(port, spec, "ports") mjson_remove(port, "nodePort");
        }
        if (policy && streq_null(mjson_get_str(spec, "externalTrafficPolicy"), policy))
                mjson_remove(spec, "externalTrafficPolicy");
        if (json_get_bool(old, "allocateLoadBalancerNodePorts", false) == yyjson_mut_get_bool(yyjson_mut_obj_get(spec, "allocateLoadBalancerNodePorts")))
                mjson_remove(spec, "allocateLoadBalancerNodePorts");
}

static int service_addresses(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        int r;
        if (d->old)
                drop_of_old_type(d, spec);
        if (type_is(spec, "ExternalName")) {
                mjson_remove(spec, "clusterIP");
                mjson_remove(spec, "clusterIPs");
                return 0;
        }
        r = take_address(d, spec, err);
        if (r == 0 && (type_is(spec, "NodePort") || type_is(spec, "LoadBalancer")))
                r = take_node_ports(d, spec, err);
        return r;
}

static int service_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *status = yyjson_mut_obj(d->doc);
        mjson_obj(d->doc, status, "loadBalancer");
        mjson_set(d->doc, d->root, "status", status);
        return service_addresses(d, err);
}

static int service_prepare_update(struct draft *d, struct err *err) { return d->subresource ? 0 : service_addresses(d, err); }

static void check_port(yyjson_val *port, size_t i, size_t ports, struct map *names, struct map *numbers, struct invalid *bad) {
        AUTO(free) char *here = xasprintf("spec.ports[%zu]", i), *name_at = xasprintf("%s.name", here), *port_at = xasprintf("%s.port", here),
                         *protocol_at = xasprintf("%s.protocol", here), *target_at = xasprintf("%s.targetPort", here), *key = NULL, *text = NULL;
        const char *name = json_get_str(port, "name"), *protocol = json_get_str(port, "protocol");
        yyjson_val *target = yyjson_obj_get(port, "targetPort");
        int64_t number = json_get_int(port, "port", 0);

        if (!name || !*name) {
                if (ports > 1)
                        invalid_required(bad, name_at, NULL);
        } else {
                AUTO(strv) struct strv why = {0};
                AUTO(free) char *quoted = invalid_quote(name);
                name_check_dns1123_label(sv_of(name), &why);
                invalid_names(bad, name_at, name, &why);
                if (map_has(names, name))
                        invalid_add(bad, name_at, INVALID_DUPLICATE, quoted, NULL);
                map_set(names, name, names);
        }
        text = xasprintf("%lld", (long long)number);
        if (number < 1 || number > 65535)
                invalid_add(bad, port_at, INVALID_VALUE, text, "must be between 1 and 65535, inclusive");
        if (!protocol || (!streq(protocol, "TCP") && !streq(protocol, "UDP") && !streq(protocol, "SCTP")))
                invalid_not_supported(bad, protocol_at, protocol ? protocol : "", (const char *const[]){"SCTP", "TCP", "UDP", NULL});
        if (yyjson_is_int(target) && (yyjson_get_sint(target) < 1 || yyjson_get_sint(target) > 65535)) {
                AUTO(free) char *value = xasprintf("%lld", (long long)yyjson_get_sint(target));
                invalid_add(bad, target_at, INVALID_VALUE, value, "must be between 1 and 65535, inclusive");
        } else if (yyjson_is_str(target)) {
                AUTO(strv) struct strv why = {0};
                name_check_port_name(sv_of(yyjson_get_str(target)), &why);
                invalid_names(bad, target_at, yyjson_get_str(target), &why);
        }
        key = xasprintf("%lld/%s", (long long)number, protocol ? protocol : "");
        if (map_has(numbers, key)) {
                AUTO(free) char *value = xasprintf("{\"Name\":\"\",\"Protocol\":\"%s\",\"AppProtocol\":null,\"Port\":%lld,\"TargetPort\":0,\"NodePort\":0}",
                                                   protocol ? protocol : "", (long long)number);
                invalid_add(bad, here, INVALID_DUPLICATE, value, NULL);
        }
        map_set(numbers, key, numbers);
}

/* A protocol has a node port once. */
static void check_node_ports(yyjson_val *ports, struct invalid *bad) {
        AUTO(map) struct map seen = MAP_INIT(NULL);
        EACH(port, i, ports) {
                int64_t number = json_get_int(port, "nodePort", 0);
                const char *protocol = json_get_str(port, "protocol");
                AUTO(free) char *key = xasprintf("%lld/%s", (long long)number, protocol ? protocol : ""), *at = xasprintf("spec.ports[%zu].nodePort", i),
                                *text = xasprintf("%lld", (long long)number);
                if (number && map_has(&seen, key))
                        invalid_add(bad, at, INVALID_DUPLICATE, text, NULL);
                if (number)
                        map_set(&seen, key, &seen);
        }
}

static void service_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *ports = yyjson_obj_get(spec, "ports");
        const char *type = json_get_str(spec, "type"), *ip = json_get_str(spec, "clusterIP"), *affinity = json_get_str(spec, "sessionAffinity");
        AUTO(map) struct map names = MAP_INIT(NULL), numbers = MAP_INIT(NULL);
        bool known = false, external = streq_null(type, "ExternalName");

        if (d->subresource)
                return;
        if (yyjson_arr_size(ports) == 0 && !external && !streq_null(ip, "None"))
                invalid_required(bad, "spec.ports", NULL);
        for (size_t i = 0; types[i]; i++)
                known |= streq_null(type, types[i]);
        if (external) {
                const char *name = json_get_str(spec, "externalName");
                AUTO(strv) struct strv why = {0};
                if (!name || !*name) {
                        invalid_required(bad, "spec.externalName", NULL);
                } else {
                        name_check_dns1123_subdomain(sv_of(name), &why);
                        invalid_names(bad, "spec.externalName", name, &why);
                }
        }
        if (streq_null(type, "LoadBalancer") && streq_null(ip, "None"))
                invalid_string(bad, "spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services");
        EACH(port, i, ports) {
                check_port(port, i, yyjson_arr_size(ports), &names, &numbers, bad);
                if (json_get_int(port, "nodePort", 0) && (streq_null(type, "ClusterIP") || external)) {
                        AUTO(free) char *at = xasprintf("spec.ports[%zu].nodePort", i);
                        invalid_add(bad, at, INVALID_FORBIDDEN, NULL, "may not be used when `type` is '%s'", type);
                }
        }
        check_node_ports(ports, bad);
        labels_validate(yyjson_obj_get(spec, "selector"), "spec.selector", bad);
        if (!streq_null(affinity, "None") && !streq_null(affinity, "ClientIP"))
                invalid_not_supported(bad, "spec.sessionAffinity", affinity ? affinity : "", (const char *const[]){"ClientIP", "None", NULL});
        if (!known)
                invalid_not_supported(bad, "spec.type", type ? type : "", types);
}

static void service_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        const char *now = json_str_at(object, "/spec/clusterIP"), *before = json_str_at(old, "/spec/clusterIP");
        if (d->subresource || streq_null(json_str_at(object, "/spec/type"), "ExternalName") || streq_null(json_str_at(old, "/spec/type"), "ExternalName"))
                return;
        if (before && !streq_null(now, before)) {
                AUTO(free) char *text = xasprintf("[\"%s\"]", now ? now : "");
                invalid_add(bad, "spec.clusterIPs[0]", INVALID_VALUE, text, "may not change once set");
        }
}

static void service_applied(struct apiserver *server, struct object *object, struct object *old) {
        addresses_follow(server->addresses, object, old);
}

const struct kind_hooks service_hooks = {
        .defaults = service_defaults,
        .prepare_create = service_prepare_create,
        .prepare_update = service_prepare_update,
        .validate = service_validate,
        .validate_update = service_validate_update,
        .applied = service_applied,
};
