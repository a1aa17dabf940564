/* Defaults and rules of Endpoints and EndpointSlices (pkg/apis/core and pkg/apis/discovery, validation.go). */
#include "base/map.h"
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/server-internal.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

enum { MAX_SLICE_ENDPOINTS = 1000, MAX_SLICE_ADDRESSES = 100, MAX_SLICE_PORTS = 20000, MAX_HINTS = 8 };

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

/* Endpoints. */

static void endpoints_defaults(struct draft *d) {
        MUT_EACH(subset, d->root, "subsets") MUT_EACH(port, subset, "ports") default_str(d->doc, port, "protocol", "TCP");
}

static void check_addresses(yyjson_val *addresses, const char *path, struct invalid *bad) {
        EACH(address, i, addresses) {
                AUTO(free) char *ip_at = xasprintf("%s[%zu].ip", path, i), *hostname_at = xasprintf("%s[%zu].hostname", path, i),
                                *node_at = xasprintf("%s[%zu].nodeName", path, i);
                const char *ip = json_get_str(address, "ip"), *hostname = json_get_str(address, "hostname"),
                           *node = json_get_str(address, "nodeName");
                value_ip(ip, ip_at, bad);
                if (hostname && *hostname)
                        value_name(name_check_dns1123_label, hostname, hostname_at, bad);
                if (node)
                        value_name(name_check_dns1123_subdomain, node, node_at, bad);
                value_ip_not_special(ip, ip_at, bad);
        }
}

static void check_ports(yyjson_val *ports, const char *path, struct invalid *bad) {
        EACH(port, i, ports) {
                AUTO(free) char *name_at = xasprintf("%s[%zu].name", path, i), *port_at = xasprintf("%s[%zu].port", path, i),
                                *protocol_at = xasprintf("%s[%zu].protocol", path, i), *app_at = xasprintf("%s[%zu].appProtocol", path, i);
                const char *name = json_get_str(port, "name"), *app = json_get_str(port, "appProtocol");
                if (name && *name)
                        value_name(name_check_dns1123_label, name, name_at, bad);
                else if (yyjson_arr_size(ports) > 1)
                        invalid_required(bad, name_at, NULL);
                value_port(json_get_int(port, "port", 0), port_at, bad);
                value_supported(json_get_str(port, "protocol"), protocol_at, protocols, bad);
                if (app)
                        value_name(name_check_qualified, app, app_at, bad);
        }
}

static void endpoints_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (!d->server->is_ready || streq_null(meta_name(object), "kubernetes"))
                return; /* the server's own address is loopback when nothing but this machine reaches it */
        EACH(subset, i, yyjson_obj_get(object, "subsets")) {
                AUTO(free) char *here = xasprintf("subsets[%zu]", i), *ready_at = xasprintf("%s.addresses", here),
                                *not_ready_at = xasprintf("%s.notReadyAddresses", here), *ports_at = xasprintf("%s.ports", here);
                yyjson_val *ready = yyjson_obj_get(subset, "addresses"), *not_ready = yyjson_obj_get(subset, "notReadyAddresses");
                if (yyjson_arr_size(ready) + yyjson_arr_size(not_ready) == 0)
                        invalid_required(bad, here, "must specify `addresses` or `notReadyAddresses`");
                check_addresses(ready, ready_at, bad);
                check_addresses(not_ready, not_ready_at, bad);
                check_ports(yyjson_obj_get(subset, "ports"), ports_at, bad);
        }
}
const struct kind_hooks endpoints_hooks = {.defaults = endpoints_defaults, .validate = endpoints_validate};

/* Slices. */

/* Unlike the real server's: 127.0.0.0/8 is this machine, to which the relay of the pods' network leads (client mode's driver proxy). */
static void slice_ip(const char *ip, const char *path, struct invalid *bad) {
        unsigned char bytes[16];
        if (value_ip_parse(ip, bytes) != IP_V4 || bytes[12] != 127)
                value_ip_not_special(ip, path, bad);
}

static void slice_defaults(struct draft *d) {
        static const char *const lists[] = {"endpoints", "ports"};
        MUT_EACH(port, d->root, "ports") {
                default_absent(d->doc, port, "protocol", "TCP");
                default_absent(d->doc, port, "name", "");
        }
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) { /* empty lists are null in the real server's answers */
                yyjson_mut_val *list = yyjson_mut_obj_get(d->root, lists[i]);
                if (yyjson_mut_is_arr(list) && yyjson_mut_arr_size(list) == 0)
                        mjson_set(d->doc, d->root, lists[i], yyjson_mut_null(d->doc));
        }
}

static void check_slice_address(const char *address, const char *type, const char *list_at, size_t i, struct invalid *bad) {
        AUTO(free) char *at = xasprintf("%s[%zu]", list_at, i);
        unsigned char bytes[16];
        if (streq_null(type, "FQDN")) {
                value_fqdn(address, at, bad);
        } else if (streq_null(type, "IPv4") && value_ip(address, at, bad)) {
                if (value_ip_parse(address, bytes) != IP_V4)
                        invalid_string(bad, list_at, address, "must be an IPv4 address");
                slice_ip(address, at, bad);
        } else if (streq_null(type, "IPv6") && value_ip_canonical(address, at, bad)) {
                if (value_ip_parse(address, bytes) != IP_V6)
                        invalid_string(bad, list_at, address, "must be an IPv6 address");
                slice_ip(address, at, bad);
        }
}

static bool is_new(struct map *seen, const char *name, const char *path, struct invalid *bad) {
        bool known = map_has(seen, name);
        if (known)
                invalid_duplicate(bad, path, name);
        map_set(seen, name, seen);
        return !known;
}

static void check_hints(yyjson_val *hints, const char *path, struct invalid *bad) {
        static const struct {
                const char *list;
                name_check_fn *check;
        } lists[] = {{"forZones", name_check_label_value}, {"forNodes", name_check_dns1123_subdomain}};
        for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
                AUTO(free) char *list_at = xasprintf("%s.%s", path, lists[l].list);
                AUTO(map) struct map seen = MAP_INIT(NULL);
                yyjson_val *list = yyjson_obj_get(hints, lists[l].list);
                if (yyjson_arr_size(list) > MAX_HINTS) {
                        value_too_many(yyjson_arr_size(list), MAX_HINTS, list_at, bad);
                        return;
                }
                EACH(hint, i, list) {
                        AUTO(free) char *at = xasprintf("%s[%zu].name", list_at, i);
                        const char *name = json_get_str(hint, "name");
                        is_new(&seen, name ? name : "", at, bad);
                        value_name(lists[l].check, name, at, bad);
                }
        }
}

static void check_endpoint(yyjson_val *endpoint, const char *type, const char *path, struct invalid *bad) {
        AUTO(free) char *addresses_at = xasprintf("%s.addresses", path), *node_at = xasprintf("%s.nodeName", path),
                        *hostname_at = xasprintf("%s.hostname", path), *hints_at = xasprintf("%s.hints", path);
        yyjson_val *addresses = yyjson_obj_get(endpoint, "addresses");
        const char *node = json_get_str(endpoint, "nodeName"), *hostname = json_get_str(endpoint, "hostname");
        if (yyjson_arr_size(addresses) == 0)
                invalid_required(bad, addresses_at, "must contain at least 1 address");
        value_too_many(yyjson_arr_size(addresses), MAX_SLICE_ADDRESSES, addresses_at, bad);
        EACH(address, i, addresses) {
                const char *text = yyjson_get_str(address);
                check_slice_address(text ? text : "", type, addresses_at, i, bad);
        }
        if (node)
                value_name(name_check_dns1123_subdomain, node, node_at, bad);
        if (hostname)
                value_name(name_check_dns1123_label, hostname, hostname_at, bad);
        check_hints(yyjson_obj_get(endpoint, "hints"), hints_at, bad);
}

static void check_slice_ports(yyjson_val *ports, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        if (yyjson_arr_size(ports) > MAX_SLICE_PORTS) {
                value_too_many(yyjson_arr_size(ports), MAX_SLICE_PORTS, "ports", bad);
                return;
        }
        EACH(port, i, ports) {
                AUTO(free) char *name_at = xasprintf("ports[%zu].name", i), *protocol_at = xasprintf("ports[%zu].protocol", i),
                                *app_at = xasprintf("ports[%zu].appProtocol", i);
                const char *name = json_get_str(port, "name"), *app = json_get_str(port, "appProtocol");
                if (name && *name)
                        value_name(name_check_dns1123_label, name, name_at, bad);
                is_new(&names, name ? name : "", name_at, bad);
                value_supported(json_get_str(port, "protocol"), protocol_at, protocols, bad);
                if (app)
                        value_name(name_check_qualified, app, app_at, bad);
        }
}

static void slice_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
        const char *type = json_get_str(object, "addressType");
        yyjson_val *endpoints = yyjson_obj_get(object, "endpoints");
        if (!d->server->is_ready || streq_null(meta_name(object), "kubernetes"))
                return;
        if (!type || !*type)
                invalid_required(bad, "addressType", NULL);
        else
                value_supported(type, "addressType", types, bad);
        if (yyjson_arr_size(endpoints) > MAX_SLICE_ENDPOINTS) {
                value_too_many(yyjson_arr_size(endpoints), MAX_SLICE_ENDPOINTS, "endpoints", bad);
        } else {
                EACH(endpoint, i, endpoints) {
                        AUTO(free) char *at = xasprintf("endpoints[%zu]", i);
                        check_endpoint(endpoint, type, at, bad);
                }
        }
        check_slice_ports(yyjson_obj_get(object, "ports"), bad);
}

static void slice_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        (void)d;
        if (!streq_null(json_get_str(object, "addressType"), json_get_str(old, "addressType")))
                invalid_string(bad, "addressType", json_get_str(object, "addressType"), "field is immutable");
}
const struct kind_hooks endpointslice_hooks = {
        .defaults = slice_defaults, .validate = slice_validate, .validate_update = slice_validate_update};
