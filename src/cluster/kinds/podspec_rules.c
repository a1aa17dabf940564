/* Rules of pod specs: k8s.io/kubernetes/pkg/apis/core/validation, 1.34. The parts are in podspec_*.c; here is what they are put together
 * to. */
#include "base/map.h"
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec-internal.h"

enum { DNS_NAMESERVERS_MAX = 3, DNS_SEARCHES_MAX = 32, DNS_SEARCH_LIST_MAX = 2048 };

void labels_validate(yyjson_val *labels, const char *path, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(labels, i, n, key, value) {
                AUTO(strv) struct strv why = {0}, why_value = {0};
                name_check_qualified(sv_of(yyjson_get_str(key)), &why);
                invalid_names(bad, path, yyjson_get_str(key), &why);
                name_check_label_value(sv_of(yyjson_get_str(value)), &why_value);
                invalid_names(bad, path, yyjson_get_str(value), &why_value);
        }
}

void label_selector_validate(yyjson_val *selector, const char *path, struct invalid *bad) {
        AUTO(free) char *labels = xasprintf("%s.matchLabels", path);
        labels_validate(yyjson_obj_get(selector, "matchLabels"), labels, bad);
        EACH(e, i, yyjson_obj_get(selector, "matchExpressions")) {
                const char *operator= json_get_str(e, "operator"), *key = json_get_str(e, "key");
                size_t values = yyjson_arr_size(yyjson_obj_get(e, "values"));
                AUTO(free) char *here = xasprintf("%s.matchExpressions[%zu]", path, i);
                AUTO(strv) struct strv why = {0};
                if (operator && (streq(operator, "In") || streq(operator, "NotIn"))) {
                        AT("%s.values", here);
                        if (values == 0)
                                invalid_required(bad, at, "must be specified when `operator` is 'In' or 'NotIn'");
                } else if (operator && (streq(operator, "Exists") || streq(operator, "DoesNotExist"))) {
                        AT("%s.values", here);
                        if (values > 0)
                                invalid_forbidden(bad, at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
                } else {
                        AT("%s.operator", here);
                        invalid_string(bad, at, operator, "not a valid selector operator");
                }
                name_check_qualified(sv_of(key ? key : ""), &why);
                AT("%s.key", here);
                invalid_names(bad, at, key ? key : "", &why);
                EACH(value, k, yyjson_obj_get(e, "values")) {
                        PATH(value_at, "%s.values[%zu]", here, k);
                        value_name(name_check_label_value, yyjson_get_str(value), value_at, bad);
                }
        }
}

static void check_gates(yyjson_val *spec, const char *path, struct invalid *bad) {
        AUTO(map) struct map seen = MAP_INIT(NULL);
        EACH(gate, i, yyjson_obj_get(spec, "readinessGates")) {
                AT("%s.readinessGates[%zu].conditionType", path, i);
                value_name(name_check_qualified, rule_str(gate, "conditionType"), at, bad);
        }
        EACH(gate, i, yyjson_obj_get(spec, "schedulingGates")) {
                const char *name = rule_str(gate, "name");
                AT("%s.schedulingGates[%zu]", path, i);
                value_name(name_check_qualified, name, at, bad);
                if (map_has(&seen, name))
                        invalid_duplicate(bad, at, name);
                map_set(&seen, name, &seen);
        }
}

static void check_host_ports(yyjson_val *spec, const char *path, struct invalid *bad) {
        if (!json_get_bool(spec, "hostNetwork", false))
                return;
        EACH(c, i, yyjson_obj_get(spec, "containers")) {
                EACH(port, k, yyjson_obj_get(c, "ports")) {
                        int64_t host = json_get_int(port, "hostPort", 0);
                        AT("%s.containers[%zu].ports[%zu].hostPort", path, i, k);
                        if (host && host != json_get_int(port, "containerPort", 0))
                                invalid_int(bad, at, host, "must match `containerPort` when `hostNetwork` is true");
                }
        }
}

/* A list as the real server shows it in a message. */
static void bad_list(struct invalid *bad, const char *path, yyjson_val *list, const char *what, int max, const char *unit) {
        AUTO(free) char *text = json_write(list, false, NULL);
        invalid_add(bad, path, INVALID_VALUE, text, "must not have more than %d %s%s", max, what, unit);
}

static void check_searches(yyjson_val *searches, const char *path, struct invalid *bad) {
        size_t total = 0;
        EACH(search, k, searches) total += yyjson_get_len(search) + (k > 0);
        if (yyjson_arr_size(searches) > DNS_SEARCHES_MAX)
                bad_list(bad, path, searches, "search paths", DNS_SEARCHES_MAX, "");
        if (total > DNS_SEARCH_LIST_MAX)
                bad_list(bad, path, searches, "characters (including spaces)", DNS_SEARCH_LIST_MAX, " in the search list");
        EACH(search, i, searches) {
                AUTO(free) char *name = xstrdup(yyjson_get_str(search));
                AT("%s[%zu]", path, i);
                if (streq(name, "."))
                        continue;
                if (str_ends(name, "."))
                        name[strlen(name) - 1] = '\0';
                value_name(name_check_dns1123_subdomain_underscore, name, at, bad);
        }
}

static void check_dns(yyjson_val *spec, const char *path, struct invalid *bad) {
        yyjson_val *config = yyjson_obj_get(spec, "dnsConfig"), *servers = yyjson_obj_get(config, "nameservers");
        bool is_none = streq(rule_str(spec, "dnsPolicy"), "None");
        PATH(servers_at, "%s.nameservers", path);
        PATH(searches_at, "%s.searches", path);
        if (is_none && !config) {
                invalid_required(bad, path, "must provide `dnsConfig` when `dnsPolicy` is None");
                return;
        }
        if (is_none && yyjson_arr_size(servers) == 0) {
                invalid_required(bad, servers_at, "must provide at least one DNS nameserver when `dnsPolicy` is None");
                return;
        }
        if (yyjson_arr_size(servers) > DNS_NAMESERVERS_MAX)
                bad_list(bad, servers_at, servers, "nameservers", DNS_NAMESERVERS_MAX, "");
        EACH(server, i, servers) {
                AT("%s[%zu]", servers_at, i);
                value_ip(yyjson_get_str(server), at, bad);
        }
        check_searches(yyjson_obj_get(config, "searches"), searches_at, bad);
        EACH(option, i, yyjson_obj_get(config, "options")) {
                AT("%s.options[%zu]", path, i);
                if (!rule_has(option, "name"))
                        invalid_required(bad, at, "must not be empty");
        }
}

static void check_host_users(yyjson_val *spec, const char *path, struct invalid *bad) {
        static const char *const members[][2] = {{"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};
        if (json_get_bool(spec, "hostUsers", true))
                return;
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                AT("%s.%s", path, members[i][1]);
                if (json_get_bool(spec, members[i][0], false))
                        invalid_forbidden(bad, at, "when `hostUsers` is false");
        }
}

static void check_aliases(yyjson_val *spec, const char *path, struct invalid *bad) {
        EACH(alias, i, yyjson_obj_get(spec, "hostAliases")) {
                AT("%s.hostAliases[%zu].ip", path, i);
                value_ip(rule_str(alias, "ip"), at, bad);
                EACH(name, k, yyjson_obj_get(alias, "hostnames")) {
                        PATH(name_at, "%s.hostAliases[%zu].hostnames[%zu]", path, i, k);
                        value_name(name_check_dns1123_subdomain, yyjson_get_str(name), name_at, bad);
                }
        }
}

static void check_os(yyjson_val *spec, const char *path, struct invalid *bad) {
        yyjson_val *os = yyjson_obj_get(spec, "os");
        PATH(os_at, "%s.os", path);
        PATH(name_at, "%s.name", os_at);
        if (os && !rule_has(os, "name"))
                invalid_required(bad, name_at, "cannot be empty");
        else
                rule_supported(os, "name", os_at, SUPPORTED("linux", "windows"), bad);
}

/* What a pod spec names: nodes, accounts, classes, itself. */
static void check_names(yyjson_val *spec, const char *path, bool is_named_by_controller, struct invalid *bad) {
        rule_name(spec, "serviceAccountName", path, name_check_dns1123_subdomain, bad);
        rule_name(spec, "nodeName", path, name_check_dns1123_subdomain, bad);
        rule_range(spec, "activeDeadlineSeconds", path, 1, INT32_MAX, bad);
        if (!is_named_by_controller) {
                rule_name(spec, "hostname", path, name_check_dns1123_label, bad);
                rule_name(spec, "subdomain", path, name_check_dns1123_label, bad);
        }
}

static void check_classes(yyjson_val *spec, const char *path, struct invalid *bad) {
        rule_name(spec, "priorityClassName", path, name_check_dns1123_subdomain, bad);
        if (json_get_str(spec, "runtimeClassName")) {
                AT("%s.runtimeClassName", path);
                value_name(name_check_dns1123_subdomain, rule_str(spec, "runtimeClassName"), at, bad);
        }
        if (json_get_str(spec, "preemptionPolicy") && rule_required(spec, "preemptionPolicy", path, bad))
                rule_supported(spec, "preemptionPolicy", path, SUPPORTED("PreemptLowerPriority", "Never"), bad);
}

static void check_spec(yyjson_val *spec, const char *path, bool is_named_by_controller, struct invalid *bad) {
        AUTO(map) struct map volumes = MAP_INIT(NULL);
        PATH(selector_at, "%s.nodeSelector", path);
        PATH(affinity_at, "%s.affinity", path);
        PATH(dns_at, "%s.dnsConfig", path);
        PATH(spread_at, "%s.topologySpreadConstraints", path);
        PATH(tolerations_at, "%s.tolerations", path);

        podspec_check_volumes(spec, path, &volumes, bad);
        podspec_check_containers(spec, &volumes, path, bad);
        check_host_ports(spec, path, bad);
        rule_supported(spec, "restartPolicy", path, SUPPORTED("Always", "OnFailure", "Never"), bad);
        rule_supported(spec, "dnsPolicy", path, SUPPORTED("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), bad);
        labels_validate(yyjson_obj_get(spec, "nodeSelector"), selector_at, bad);
        podspec_check_pod_security(spec, path, bad);
        podspec_check_affinity(yyjson_obj_get(spec, "affinity"), affinity_at, bad);
        check_dns(spec, dns_at, bad);
        check_gates(spec, path, bad);
        podspec_check_spread(yyjson_obj_get(spec, "topologySpreadConstraints"), spread_at, bad);
        check_host_users(spec, path, bad);
        check_names(spec, path, is_named_by_controller, bad);
        tolerations_validate(yyjson_obj_get(spec, "tolerations"), tolerations_at, bad);
        check_aliases(spec, path, bad);
        check_classes(spec, path, bad);
        check_os(spec, path, bad);
}

void podspec_validate(yyjson_val *spec, const char *path, struct invalid *bad) {
        static const char *const lists[] = {"containers", "initContainers"};
        check_spec(spec, path, false, bad);
        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                EACH(c, i, yyjson_obj_get(spec, lists[l])) {
                        AT("%s.%s[%zu]", path, lists[l], i);
                        podspec_check_image_text(c, at, bad);
                }
}

static void check_template(yyjson_val *template, const char *path, bool is_named_by_controller, struct invalid *bad) {
        AUTO(free) char *labels_at = xasprintf("%s.labels", path), *spec_at = xasprintf("%s.spec", path);
        labels_validate(json_at(template, "/metadata/labels"), labels_at, bad);
        check_spec(yyjson_obj_get(template, "spec"), spec_at, is_named_by_controller, bad);
}

void template_validate(yyjson_val *template, const char *path, struct invalid *bad) { check_template(template, path, false, bad); }
void template_validate_stateful(yyjson_val *template, const char *path, struct invalid *bad) { check_template(template, path, true, bad); }
