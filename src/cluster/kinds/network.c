/* Defaults and rules of ingresses and network policies.
 *
 * Network policies are stored, defaulted and shown; the pod runtime says that it does not enforce them. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/rules.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

/* Ingresses. */

static int ingress_prepare_create(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

static void check_host(const char *host, const char *path, struct invalid *bad) {
        value_name(strchr(host, '*') ? name_check_wildcard_subdomain : name_check_dns1123_subdomain, host, path, bad);
}

static void check_resource_backend(yyjson_val *resource, const char *path, struct invalid *bad) {
        static const char *const members[] = {"kind", "name"};
        PATH(group_at, "%s.apiGroup", path);
        if (json_get_str(resource, "apiGroup"))
                value_name(name_check_dns1123_subdomain, json_get_str(resource, "apiGroup"), group_at, bad);
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
                if (rule_required(resource, members[i], path, bad))
                        rule_name(resource, members[i], path, name_check_path_segment, bad);
}

static void check_service_backend(yyjson_val *service, const char *path, struct invalid *bad) {
        yyjson_val *port = yyjson_obj_get(service, "port");
        bool has_name = rule_has(port, "name"), has_number = json_get_int(port, "number", 0) != 0;
        PATH(service_at, "%s.service", path);
        PATH(port_at, "%s.port", service_at);
        if (rule_required(service, "name", service_at, bad))
                rule_name(service, "name", service_at, name_check_dns1035_label, bad);
        if (has_name && has_number)
                invalid_string(bad, path, "", "cannot set both port name & port number");
        else if (has_name)
                rule_name(port, "name", port_at, name_check_port_name, bad);
        else if (has_number)
                rule_range(port, "number", port_at, 1, 65535, bad);
        else
                invalid_required(bad, path, "port name or number is required");
}

static void check_backend(yyjson_val *backend, const char *path, struct invalid *bad) {
        yyjson_val *resource = yyjson_obj_get(backend, "resource"), *service = yyjson_obj_get(backend, "service");
        PATH(resource_at, "%s.resource", path);
        if (yyjson_is_obj(resource) && yyjson_is_obj(service))
                invalid_string(bad, path, "", "cannot set both resource and service backends");
        else if (yyjson_is_obj(resource))
                check_resource_backend(resource, resource_at, bad);
        else if (yyjson_is_obj(service))
                check_service_backend(service, path, bad);
        else
                invalid_string(bad, path, "", "resource or service backend is required");
}

static void check_plain_path(const char *text, const char *path, struct invalid *bad) {
        static const char *const sequences[] = {"//", "/./", "/../", "%2f", "%2F"}, *const suffixes[] = {"/..", "/."};
        for (size_t i = 0; i < ARRAY_LEN(sequences); i++)
                if (strstr(text, sequences[i]))
                        invalid_string(bad, path, text, "must not contain '%s'", sequences[i]);
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
                if (str_ends(text, suffixes[i]))
                        invalid_string(bad, path, text, "cannot end with '%s'", suffixes[i]);
}

static void check_http_path(yyjson_val *http_path, const char *path, struct invalid *bad) {
        const char *type = json_get_str(http_path, "pathType"), *text = rule_str(http_path, "path");
        PATH(type_at, "%s.pathType", path);
        PATH(text_at, "%s.path", path);
        PATH(backend_at, "%s.backend", path);
        if (!type) {
                invalid_required(bad, type_at, "pathType must be specified");
                return;
        }
        bool is_plain = streq(type, "Exact") || streq(type, "Prefix"), is_specific = streq(type, "ImplementationSpecific");
        if ((is_plain || (is_specific && *text)) && *text != '/')
                invalid_string(bad, text_at, text, "must be an absolute path");
        if (is_plain)
                check_plain_path(text, text_at, bad);
        if (!is_plain && !is_specific)
                invalid_not_supported(bad, type_at, type, SUPPORTED("Exact", "ImplementationSpecific", "Prefix"));
        check_backend(yyjson_obj_get(http_path, "backend"), backend_at, bad);
}

static void check_ingress_rule(yyjson_val *rule, const char *path, struct invalid *bad) {
        const char *host = rule_str(rule, "host");
        yyjson_val *http = yyjson_obj_get(rule, "http"), *paths = yyjson_obj_get(http, "paths");
        unsigned char address[16];
        PATH(host_at, "%s.host", path);
        PATH(paths_at, "%s.http.paths", path);
        if (*host && value_ip_parse(host, address) != IP_NONE)
                invalid_string(bad, host_at, host, "must be a DNS name, not an IP address");
        if (*host)
                check_host(host, host_at, bad);
        if (yyjson_is_obj(http) && yyjson_arr_size(paths) == 0)
                invalid_required(bad, paths_at, NULL);
        EACH(http_path, i, paths) {
                AT("%s[%zu]", paths_at, i);
                check_http_path(http_path, at, bad);
        }
}

static void check_tls(yyjson_val *tls, const char *path, struct invalid *bad) {
        EACH(host, i, yyjson_obj_get(tls, "hosts")) {
                AT("%s.hosts[%zu]", path, i);
                check_host(yyjson_get_str(host) ? yyjson_get_str(host) : "", at, bad);
        }
        rule_name(tls, "secretName", path, name_check_dns1123_subdomain, bad);
}

static void ingress_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *rules = yyjson_obj_get(spec, "rules"),
                   *backend = yyjson_obj_get(spec, "defaultBackend");
        const char *class = json_get_str(spec, "ingressClassName"), *annotation = meta_annotation(object, "kubernetes.io/ingress.class");
        if (d->subresource)
                return;
        if (yyjson_arr_size(rules) == 0 && !yyjson_is_obj(backend))
                invalid_add(bad, "spec", INVALID_VALUE, yyjson_is_arr(rules) ? "[]" : "null",
                            "either `defaultBackend` or `rules` must be specified");
        if (yyjson_is_obj(backend))
                check_backend(backend, "spec.defaultBackend", bad);
        EACH(rule, i, rules) {
                AT("spec.rules[%zu]", i);
                check_ingress_rule(rule, at, bad);
        }
        EACH(tls, k, yyjson_obj_get(spec, "tls")) {
                AT("spec.tls[%zu]", k);
                check_tls(tls, at, bad);
        }
        if (class)
                value_name(name_check_dns1123_subdomain, class, "spec.ingressClassName", bad);
        if (!d->old && class && annotation && !streq(class, annotation))
                invalid_string(bad, "annotations.kubernetes.io/ingress.class", annotation,
                               "must match `ingressClassName` when both are specified");
}
const struct kind_hooks ingress_hooks = {.prepare_create = ingress_prepare_create, .validate = ingress_validate};

/* Network policies. */

static void default_protocols(yyjson_mut_doc *doc, yyjson_mut_val *rule) {
        MUT_EACH(port, rule, "ports") {
                default_absent(doc, port, "protocol", "TCP");
        }
}

static void networkpolicy_defaults(struct draft *d) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "policyTypes")) == 0) {
                yyjson_mut_val *types = mjson_arr(d->doc, spec, "policyTypes");
                mjson_add_str(d->doc, types, "Ingress");
                if (yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "egress")))
                        mjson_add_str(d->doc, types, "Egress");
        }
        MUT_EACH(in, spec, "ingress") default_protocols(d->doc, in);
        MUT_EACH(out, spec, "egress") default_protocols(d->doc, out);
}

static void check_policy_port(yyjson_val *port, const char *path, struct invalid *bad) {
        yyjson_val *number = yyjson_obj_get(port, "port"), *end = yyjson_obj_get(port, "endPort");
        bool has_end = yyjson_is_int(end);
        int64_t end_port = json_get_int(port, "endPort", 0);
        PATH(end_at, "%s.endPort", path);
        rule_supported(port, "protocol", path, SUPPORTED("TCP", "UDP", "SCTP"), bad);
        if (yyjson_is_str(number)) {
                if (has_end)
                        invalid_int(bad, end_at, end_port, "may not be specified when `port` is non-numeric");
                rule_port(port, "port", path, bad);
        } else if (yyjson_is_int(number)) {
                rule_port(port, "port", path, bad);
                if (has_end && end_port < yyjson_get_sint(number)) /* and it is the first of the two that the real server quotes */
                        invalid_int(bad, end_at, yyjson_get_sint(number), "must be greater than or equal to `port`");
                rule_range(port, "endPort", path, 1, 65535, bad);
        } else if (has_end) {
                invalid_int(bad, end_at, end_port, "may not be specified when `port` is not specified");
        }
}

/* A network as Go's net package sees it: IPv4 is also what IPv6 maps of it. */
struct network {
        unsigned char bytes[16]; /* with what is beyond the mask cleared */
        unsigned written;        /* length of the mask, as it is written */
        unsigned bits;           /* the same, of all 128 bits */
};

static void apply_mask(unsigned char bytes[16], unsigned bits) {
        for (unsigned i = 0; i < 16; i++) {
                unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
                bytes[i] &= kept >= 8 ? 0xff : (unsigned char)(0xff << (8 - kept));
        }
}

static bool parse_network(const char *text, const char *path, struct network *ret, struct invalid *bad) {
        if (!value_cidr(text, path, bad))
                return false;
        AUTO(free) char *address = xstrndup(text, strcspn(text, "/"));
        value_ip_parse(address, ret->bytes);
        ret->written = (unsigned)strtoul(strchr(text, '/') + 1, NULL, 10);
        ret->bits = ret->written + (strchr(address, ':') ? 0 : 96);
        apply_mask(ret->bytes, ret->bits);
        return true;
}

static bool is_ipv4(const unsigned char bytes[16]) {
        static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
        return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static bool contains(const struct network *outer, const struct network *inner) {
        unsigned char bytes[16];
        memcpy(bytes, inner->bytes, sizeof(bytes));
        apply_mask(bytes, outer->bits);
        return is_ipv4(outer->bytes) == is_ipv4(inner->bytes) && memcmp(bytes, outer->bytes, sizeof(bytes)) == 0;
}

static void check_block(yyjson_val *block, const char *path, struct invalid *bad) {
        struct network outer, inner;
        PATH(cidr_at, "%s.cidr", path);
        if (!rule_required(block, "cidr", path, bad) || !parse_network(rule_str(block, "cidr"), cidr_at, &outer, bad))
                return;
        EACH(except, i, yyjson_obj_get(block, "except")) {
                const char *text = yyjson_get_str(except) ? yyjson_get_str(except) : "";
                AT("%s.except[%zu]", path, i);
                if (parse_network(text, at, &inner, bad) && (!contains(&outer, &inner) || outer.written >= inner.written))
                        invalid_string(bad, at, text, "must be a strict subset of `cidr`");
        }
}

static void check_peer(yyjson_val *peer, const char *path, struct invalid *bad) {
        static const char *const selectors[] = {"podSelector", "namespaceSelector"};
        yyjson_val *block = yyjson_obj_get(peer, "ipBlock");
        bool has_selector = false;
        PATH(block_at, "%s.ipBlock", path);
        for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
                AT("%s.%s", path, selectors[i]);
                yyjson_val *selector = yyjson_obj_get(peer, selectors[i]);
                has_selector |= yyjson_is_obj(selector);
                label_selector_validate(selector, at, bad);
        }
        if (yyjson_is_obj(block))
                check_block(block, block_at, bad);
        else if (!has_selector)
                invalid_required(bad, path, "must specify a peer");
        if (yyjson_is_obj(block) && has_selector)
                invalid_forbidden(bad, path, "may not specify both ipBlock and another peer");
}

static void check_policy_rules(yyjson_val *spec, const char *list, const char *peers, struct invalid *bad) {
        EACH(rule, i, yyjson_obj_get(spec, list)) {
                EACH(port, k, yyjson_obj_get(rule, "ports")) {
                        AT("spec.%s[%zu].ports[%zu]", list, i, k);
                        check_policy_port(port, at, bad);
                }
                EACH(peer, m, yyjson_obj_get(rule, peers)) {
                        AT("spec.%s[%zu].%s[%zu]", list, i, peers, m);
                        check_peer(peer, at, bad);
                }
        }
}

static void networkpolicy_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *types = yyjson_obj_get(spec, "policyTypes");
        (void)d;
        label_selector_validate(yyjson_obj_get(spec, "podSelector"), "spec.podSelector", bad);
        check_policy_rules(spec, "ingress", "from", bad);
        check_policy_rules(spec, "egress", "to", bad);
        if (yyjson_arr_size(types) > 2) {
                AUTO(free) char *shown = json_write(types, false, NULL);
                invalid_add(bad, "spec.policyTypes", INVALID_VALUE, shown, "may not specify more than two policyTypes");
                return;
        }
        EACH(type, i, types) {
                const char *name = yyjson_get_str(type) ? yyjson_get_str(type) : "";
                AT("spec.policyTypes[%zu]", i);
                if (!streq(name, "Ingress") && !streq(name, "Egress"))
                        invalid_not_supported(bad, at, name, SUPPORTED("Ingress", "Egress"));
        }
}
const struct kind_hooks networkpolicy_hooks = {.defaults = networkpolicy_defaults, .validate = networkpolicy_validate};

/* Classes of ingresses. */

static void check_segment(yyjson_val *object, const char *key, const char *path, struct invalid *bad) {
        AT("%s.%s", path, key);
        if (rule_has(object, key))
                value_name(name_check_path_segment, rule_str(object, key), at, bad);
        else
                invalid_required(bad, at, NULL);
}

static void ingressclass_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        enum { LONGEST_CONTROLLER = 250 };
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *parameters = yyjson_obj_get(spec, "parameters");
        const char *controller = rule_str(spec, "controller"), *scope = json_get_str(parameters, "scope"),
                   *ns = json_get_str(parameters, "namespace");
        (void)d;
        if (strlen(controller) > LONGEST_CONTROLLER)
                invalid_add(bad, "spec.controller", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", LONGEST_CONTROLLER);
        value_prefixed_path(controller, "spec.controller", bad);
        if (!parameters)
                return;
        if (json_get_str(parameters, "apiGroup"))
                value_name(name_check_dns1123_subdomain, json_get_str(parameters, "apiGroup"), "spec.parameters.apiGroup", bad);
        check_segment(parameters, "kind", "spec.parameters", bad);
        check_segment(parameters, "name", "spec.parameters", bad);
        if (!scope)
                invalid_required(bad, "spec.parameters.scope", NULL);
        else if (!value_supported(scope, "spec.parameters.scope", SUPPORTED("Cluster", "Namespace"), bad))
                return;
        else if (streq(scope, "Cluster") && ns)
                invalid_forbidden(bad, "spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'");
        else if (streq(scope, "Namespace") && !ns)
                invalid_required(bad, "spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'");
        else if (streq(scope, "Namespace"))
                value_name(name_check_dns1123_label, ns, "spec.parameters.namespace", bad);
}

/* What is said of no scope is that of the cluster. */
static void ingressclass_defaults(struct draft *d) {
        yyjson_mut_val *parameters = member_obj(member_obj(d->root, "spec"), "parameters");
        if (parameters && !yyjson_mut_obj_get(parameters, "scope"))
                mjson_set_str(d->doc, parameters, "scope", "Cluster");
}
const struct kind_hooks ingressclass_hooks = {.defaults = ingressclass_defaults, .validate = ingressclass_validate};
