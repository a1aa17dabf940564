/* Services: addresses and ports. */
#include "base/str.h"
#include "cluster/addresses.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/server-internal.h"
#include "cluster/kinds/service_rules.h"
#include "kobj/meta.h"
#include "kobj/names.h"

static bool type_is(yyjson_mut_val *spec, const char *type) { return streq_null(mjson_get_str(spec, "type"), type); }

static void service_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        default_str(d->doc, spec, "sessionAffinity", "None");
        default_str(d->doc, spec, "type", "ClusterIP");
        if (streq(mjson_get_str(spec, "sessionAffinity"), "None"))
                mjson_remove(spec, "sessionAffinityConfig");
        if (streq(mjson_get_str(spec, "sessionAffinity"), "ClientIP"))
                default_int(d->doc, mjson_obj(d->doc, mjson_obj(d->doc, spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds",
                            10800);
        MUT_EACH(port, spec, "ports") {
                yyjson_mut_val *target = yyjson_mut_obj_get(port, "targetPort");
                default_str(d->doc, port, "protocol", "TCP");
                if (!target || (yyjson_mut_is_int(target) && yyjson_mut_get_sint(target) == 0) ||
                    (yyjson_mut_is_str(target) && yyjson_mut_get_len(target) == 0))
                        mjson_set_int(d->doc, port, "targetPort", mjson_get_int(port, "port", 0));
        }
        if (type_is(spec, "ExternalName"))
                return;
        bool has_node_ports = type_is(spec, "NodePort") || type_is(spec, "LoadBalancer"), is_cluster_ip = type_is(spec, "ClusterIP");
        if ((has_node_ports || is_cluster_ip) && !yyjson_mut_obj_get(spec, "internalTrafficPolicy"))
                mjson_set_str(d->doc, spec, "internalTrafficPolicy", "Cluster");
        if (has_node_ports || (is_cluster_ip && yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "externalIPs"))))
                default_str(d->doc, spec, "externalTrafficPolicy", "Cluster");
        if (type_is(spec, "LoadBalancer"))
                default_bool(d->doc, spec, "allocateLoadBalancerNodePorts", true);
}

static void set_list(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        mjson_add_str(doc, list, value);
        mjson_set(doc, object, key, list);
}

static int refuse(struct draft *d, const char *at, const char *value, struct err *err, const char *why) {
        AUTO(invalid) struct invalid bad = {0};
        invalid_string(&bad, at, value, "%s", why);
        return invalid_err(&bad, "", "Service", mmeta_name(d->root), err);
}

/* One family, IPv4, is all there is. */
static int check_stack(struct draft *d, yyjson_mut_val *spec, struct err *err) {
        const char *policy = mjson_get_str(spec, "ipFamilyPolicy"), *first = mjson_str_at(spec, "/ipFamilies/0");
        bool single = policy && streq(policy, "SingleStack");
        size_t families = yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "ipFamilies"));
        if (policy && streq(policy, "RequireDualStack"))
                return refuse(d, "spec.ipFamilyPolicy", policy, err, "this cluster is not configured for dual-stack services");
        if (single && yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "clusterIPs")) > 1)
                return refuse(d, "spec.ipFamilyPolicy", policy, err,
                              "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
        if (single && families > 1)
                return refuse(d, "spec.ipFamilyPolicy", policy, err,
                              "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
        if (first && streq(first, "IPv6"))
                return refuse(d, "spec.ipFamilies[0]", first, err, "not configured on this cluster");
        return families > 1 ? refuse(d, "spec.ipFamilies[1]", "IPv6", err, "not configured on this cluster") : 0;
}

static int check_address(struct draft *d, const char *ip, struct err *err) {
        struct addresses *pool = d->server->addresses;
        AUTO(invalid) struct invalid bad = {0};
        AUTO(free) char *text = xasprintf("[\"%s\"]", ip);
        if (!addresses_contains(pool, ip))
                invalid_add(&bad, "spec.clusterIPs", INVALID_VALUE, text,
                            "failed to allocate IP %s: the provided network does not match the current range", ip);
        else if (addresses_is_taken(pool, ip))
                invalid_add(&bad, "spec.clusterIPs", INVALID_VALUE, text, "failed to allocate IP %s: provided IP is already allocated", ip);
        return bad.len ? invalid_err(&bad, "", "Service", mmeta_name(d->root), err) : 0;
}

static int take_address(struct draft *d, yyjson_mut_val *spec, struct err *err) {
        const char *given = mjson_get_str(spec, "clusterIP"), *had = d->old ? object_str(d->old, "/spec/clusterIP") : NULL;
        AUTO(free) char *ip = NULL;
        int r = check_stack(d, spec, err);
        if (r < 0)
                return r;
        if (given && *given) {
                ip = xstrdup(given);
                if (!streq(given, "None") && !streq_null(given, had) && (r = check_address(d, given, err)) < 0)
                        return r;
        } else {
                ip = addresses_pick(d->server->addresses);
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
        AUTO(free) char *at = xasprintf("spec.ports[%zu].nodePort", i);
        /* A dry run of the real server does not look at the range. */
        if (!d->is_dry_run && (given < NODE_PORT_FIRST || given > NODE_PORT_LAST))
                invalid_int(&bad, at, given, "provided port is not in the valid range. The range of valid ports is 30000-32767");
        else if (addresses_port_is_taken(d->server->addresses, (int)given))
                invalid_int(&bad, at, given, "provided port is already allocated");
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
        EACH(port, i, before)
        if (streq_null(json_get_str(port, "name"), name) || (!name && !json_get_str(port, "name"))) had = json_get_int(port, "nodePort", 0);
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
                        int64_t number =
                                mjson_get_int(port, "nodePort", 0) ? 0 : inherited_node_port(had, spec, mjson_get_str(port, "name"));
                        if (number)
                                mjson_set_int(d->doc, port, "nodePort", number);
                }
        }
        size_t i = 0;
        MUT_EACH(port, spec, "ports") {
                int64_t given = mjson_get_int(port, "nodePort", 0),
                        same = d->old ? 0 : mut_node_port_before(spec, NULL, mjson_get_int(port, "port", 0), false);
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

static bool same_member(yyjson_mut_val *spec, yyjson_val *old, const char *key) {
        AUTO(json) yyjson_doc *now = mjson_freeze(spec);
        return json_equal(yyjson_obj_get(yyjson_doc_get_root(now), key), yyjson_obj_get(old, key));
}

static void drop_same(yyjson_mut_val *spec, yyjson_val *old, const char *const *members) {
        for (size_t i = 0; members[i]; i++)
                if (same_member(spec, old, members[i]))
                        mjson_remove(spec, members[i]);
}

static void drop_node_ports(yyjson_mut_val *spec, yyjson_val *old) {
        bool same = true;
        size_t i = 0;
        MUT_EACH(port, spec, "ports")
        same &= mjson_get_int(port, "nodePort", 0) == json_get_int(yyjson_arr_get(yyjson_obj_get(old, "ports"), i++), "nodePort", 0);
        if (same && i == yyjson_arr_size(yyjson_obj_get(old, "ports"))) {
                MUT_EACH(port, spec, "ports") mjson_remove(port, "nodePort");
        }
}

/* What only came with the type before goes with it, unless it was changed as well (validation then speaks): dropTypeDependentFields. */
static void drop_of_old_type(struct draft *d, yyjson_mut_val *spec) {
        yyjson_val *old = object_at(d->old, "/spec");
        AUTO(json) yyjson_doc *frozen = mjson_freeze(spec);
        yyjson_val *now = yyjson_doc_get_root(frozen);
        bool was_balancer = streq_null(json_get_str(old, "type"), "LoadBalancer"),
             was_external_name = streq_null(json_get_str(old, "type"), "ExternalName");
        if (!was_external_name && type_is(spec, "ExternalName"))
                drop_same(spec, old, (const char *const[]){"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", NULL});
        if (has_node_ports(json_get_str(old, "type")) && !has_node_ports(mjson_get_str(spec, "type")))
                drop_node_ports(spec, old);
        if (service_is_external(old) && !service_is_external(now))
                drop_same(spec, old, (const char *const[]){"externalTrafficPolicy", NULL});
        if (service_needs_health_port(old) && !service_needs_health_port(now))
                drop_same(spec, old, (const char *const[]){"healthCheckNodePort", NULL});
        if (was_balancer && !type_is(spec, "LoadBalancer"))
                drop_same(spec, old, (const char *const[]){"allocateLoadBalancerNodePorts", "loadBalancerClass", NULL});
}

/* clusterIP leads, clusterIPs follows: what a writer left out is what it was, or what the other says. */
static void sync_addresses(struct draft *d, yyjson_mut_val *spec) {
        const char *one = mjson_get_str(spec, "clusterIP"), *had = d->old ? object_str(d->old, "/spec/clusterIP") : NULL;
        yyjson_mut_val *many = yyjson_mut_obj_get(spec, "clusterIPs");
        if ((!one || !*one) && had && *had) {
                const char *first = yyjson_mut_get_str(yyjson_mut_arr_get_first(many));
                mjson_set_str(d->doc, spec, "clusterIP", first ? first : had);
        }
        one = mjson_get_str(spec, "clusterIP");
        bool follows = d->old && same_member(spec, object_at(d->old, "/spec"), "clusterIPs");
        if (one && *one && (yyjson_mut_arr_size(many) == 0 || (follows && !streq_null(one, had)))) {
                AUTO(free) char *ip = xstrdup(one);
                set_list(d->doc, spec, "clusterIPs", ip);
        }
}

static int take_health_port(struct draft *d, yyjson_mut_val *spec, struct err *err) {
        int64_t had = d->old ? json_int_at(object_at(d->old, "/spec"), "/healthCheckNodePort", 0) : 0;
        int64_t port = mjson_get_int(spec, "healthCheckNodePort", 0);
        if (port && port == had)
                return 0;
        if (!port)
                port = had ? had : addresses_pick_port(d->server->addresses);
        else if (!d->is_dry_run && (port < NODE_PORT_FIRST || port > NODE_PORT_LAST))
                return status_internal(
                        err,
                        "failed to allocate requested HealthCheck NodePort %lld: provided port is not in the valid range. The range of valid ports is 30000-32767",
                        (long long)port);
        else if (addresses_port_is_taken(d->server->addresses, (int)port))
                return status_internal(err, "failed to allocate requested HealthCheck NodePort %lld: provided port is already allocated",
                                       (long long)port);
        if (!port)
                return no_node_port_left(err);
        mjson_set_int(d->doc, spec, "healthCheckNodePort", port);
        return 0;
}

static int service_addresses(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        int r;
        if (d->old)
                drop_of_old_type(d, spec);
        if (!type_is(spec, "ExternalName") || !d->old)
                sync_addresses(d, spec);
        AUTO(json) yyjson_doc *frozen = mjson_freeze(d->root);
        AUTO(invalid) struct invalid bad = {0};
        service_rules(yyjson_doc_get_root(frozen), &bad);
        if (bad.len || type_is(spec, "ExternalName"))
                return 0; /* nothing is taken for what validation refuses next */
        r = take_address(d, spec, err);
        if (r == 0 && has_node_ports(mjson_get_str(spec, "type")))
                r = take_node_ports(d, spec, err);
        if (r == 0 && service_needs_health_port(yyjson_obj_get(yyjson_doc_get_root(frozen), "spec")))
                r = take_health_port(d, spec, err);
        return r;
}

static int service_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *status = yyjson_mut_obj(d->doc);
        mjson_obj(d->doc, status, "loadBalancer");
        mjson_set(d->doc, d->root, "status", status);
        return service_addresses(d, err);
}

static int service_prepare_update(struct draft *d, struct err *err) { return d->subresource ? 0 : service_addresses(d, err); }

static void service_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (!d->subresource)
                service_rules(object, bad);
}

static void check_class_change(yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        yyjson_val *now = json_at(object, "/spec/loadBalancerClass"), *before = json_at(old, "/spec/loadBalancerClass");
        AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
        if (streq_null(json_str_at(object, "/spec/type"), "LoadBalancer") && streq_null(json_str_at(old, "/spec/type"), "LoadBalancer") &&
            !json_equal(now, before))
                invalid_add(bad, "spec.loadBalancerClass", INVALID_VALUE, text, "may not change once set");
}

static void service_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        const char *now = json_str_at(object, "/spec/clusterIP"), *before = json_str_at(old, "/spec/clusterIP");
        if (!d->subresource)
                check_class_change(object, old, bad);
        if (d->subresource || streq_null(json_str_at(object, "/spec/type"), "ExternalName") ||
            streq_null(json_str_at(old, "/spec/type"), "ExternalName"))
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
