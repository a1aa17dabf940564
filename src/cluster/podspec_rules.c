#include "base/map.h"
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/podspec.h"
#include "codec/quantity.h"
#include "kobj/names.h"

#define SUPPORTED(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Appends ".x", "[3]" and so on for the time of a block. */
#define AT(...) AUTO(free) char *at = xasprintf(__VA_ARGS__)

static void check_supported(yyjson_val *object, const char *key, const char *path, const char *const *supported, struct invalid *bad) {
        const char *value = json_get_str(object, key);
        if (!value || !*value)
                return;
        for (size_t i = 0; supported[i]; i++)
                if (streq(supported[i], value))
                        return;
        AT("%s.%s", path, key);
        invalid_not_supported(bad, at, value, supported);
}

static void check_label_name(const char *name, const char *path, struct invalid *bad) {
        AUTO(strv) struct strv why = {0};
        if (!name || !*name) {
                invalid_required(bad, path, NULL);
                return;
        }
        name_check_dns1123_label(sv_of(name), &why);
        invalid_names(bad, path, name, &why);
}

static void check_unique(struct map *seen, const char *name, const char *path, struct invalid *bad) {
        if (!name || !*name)
                return;
        if (map_has(seen, name)) {
                AUTO(free) char *quoted = invalid_quote(name);
                invalid_add(bad, path, INVALID_DUPLICATE, quoted, NULL);
        }
        map_set(seen, name, seen);
}

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
                                invalid_add(bad, at, INVALID_FORBIDDEN, NULL, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
                } else {
                        AT("%s.operator", here);
                        AUTO(free) char *quoted = invalid_quote(operator? operator: "");
                        invalid_add(bad, at, INVALID_VALUE, quoted, "not a valid selector operator");
                }
                name_check_qualified(sv_of(key ? key : ""), &why);
                AT("%s.key", here);
                invalid_names(bad, at, key ? key : "", &why);
        }
}

static void check_port_number(int64_t port, const char *path, struct invalid *bad) {
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)port);
        if (port < 1 || port > 65535)
                invalid_add(bad, path, INVALID_VALUE, text, "must be between 1 and 65535, inclusive");
}

static void check_ports(yyjson_val *c, const char *path, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        EACH(port, i, yyjson_obj_get(c, "ports")) {
                AUTO(free) char *here = xasprintf("%s.ports[%zu]", path, i), *name_at = xasprintf("%s.name", here),
                                 *number_at = xasprintf("%s.containerPort", here), *host_at = xasprintf("%s.hostPort", here);
                const char *name = json_get_str(port, "name");
                int64_t number = json_get_int(port, "containerPort", 0), host = json_get_int(port, "hostPort", 0);
                if (name && *name) {
                        AUTO(strv) struct strv why = {0};
                        if (name_check_port_name(sv_of(name), &why) > 0)
                                invalid_names(bad, name_at, name, &why);
                        else
                                check_unique(&names, name, name_at, bad);
                }
                if (number == 0)
                        invalid_required(bad, number_at, NULL);
                else
                        check_port_number(number, number_at, bad);
                if (host)
                        check_port_number(host, host_at, bad);
                check_supported(port, "protocol", here, SUPPORTED("SCTP", "TCP", "UDP"), bad);
        }
}

/* Fields and resources that a container can be told about. */
static void check_reference(yyjson_val *from, const char *path, struct invalid *bad) {
        static const char *const fields[] = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                                             "status.hostIP", "status.podIP", "status.hostIPs", "status.podIPs", "metadata.labels", "metadata.annotations"};
        const char *field = json_str_at(from, "/fieldRef/fieldPath"), *resource = json_str_at(from, "/resourceFieldRef/resource");
        if (field) {
                bool known = str_starts(field, "metadata.labels['") || str_starts(field, "metadata.annotations['");
                AT("%s.fieldRef.fieldPath", path);
                for (size_t i = 0; i < ARRAY_LEN(fields); i++)
                        known |= streq(fields[i], field);
                if (!known)
                        invalid_string(bad, at, field, "error converting fieldPath: field label not supported: %s", field);
        }
        if (resource && !str_starts(resource, "limits.hugepages-") && !str_starts(resource, "requests.hugepages-")) {
                AUTO(free) char *here = xasprintf("%s.resourceFieldRef", path);
                check_supported(yyjson_obj_get(from, "resourceFieldRef"), "resource", here,
                                SUPPORTED("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"),
                                bad);
        }
}

static void check_env(yyjson_val *c, const char *path, struct invalid *bad) {
        EACH(env, i, yyjson_obj_get(c, "env")) {
                const char *name = json_get_str(env, "name"), *value = json_get_str(env, "value");
                yyjson_val *from = yyjson_obj_get(env, "valueFrom");
                AT("%s.env[%zu].name", path, i);
                if (!name || !*name) {
                        invalid_required(bad, at, NULL);
                } else {
                        AUTO(strv) struct strv why = {0};
                        name_check_env_var(sv_of(name), &why);
                        invalid_names(bad, at, name, &why);
                }
                if (from) {
                        AUTO(free) char *from_at = xasprintf("%s.env[%zu].valueFrom", path, i);
                        if (yyjson_obj_size(from) == 0)
                                invalid_string(bad, from_at, "",
                                               "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
                        else if (value && *value)
                                invalid_string(bad, from_at, "", "may not be specified when `value` is not empty");
                        else if (yyjson_obj_size(from) > 1)
                                invalid_string(bad, from_at, "", "may not have more than one field specified at a time");
                        check_reference(from, from_at, bad);
                }
        }
}

static void check_mounts(yyjson_val *c, const struct map *volumes, const char *path, struct invalid *bad) {
        AUTO(map) struct map points = MAP_INIT(NULL);
        EACH(mount, i, yyjson_obj_get(c, "volumeMounts")) {
                const char *name = json_get_str(mount, "name"), *point = json_get_str(mount, "mountPath"), *sub = json_get_str(mount, "subPath");
                AUTO(free) char *here = xasprintf("%s.volumeMounts[%zu]", path, i), *name_at = xasprintf("%s.name", here),
                                 *point_at = xasprintf("%s.mountPath", here), *sub_at = xasprintf("%s.volumeMounts.subPath", path);
                if (!name || !*name) {
                        invalid_required(bad, name_at, NULL);
                } else if (!map_has(volumes, name)) {
                        AUTO(free) char *quoted = invalid_quote(name);
                        invalid_add(bad, name_at, INVALID_NOT_FOUND, quoted, NULL);
                }
                if (!point || !*point) {
                        invalid_required(bad, point_at, NULL);
                } else if (map_has(&points, point)) {
                        invalid_string(bad, point_at, point, "must be unique");
                } else {
                        map_set(&points, point, &points);
                }
                if (sub && (*sub == '/' || streq(sub, "..") || str_starts(sub, "../") || strstr(sub, "/../") || str_ends(sub, "/..")))
                        invalid_string(bad, sub_at, sub, *sub == '/' ? "must be a relative path" : "must not contain '..'");
        }
}

static void check_resources(yyjson_val *c, const char *path, struct invalid *bad) {
        static const char *const lists[] = {"limits", "requests"};
        yyjson_val *resources = yyjson_obj_get(c, "resources"), *key, *value;
        size_t i, n;
        for (size_t l = 0; l < 2; l++)
                yyjson_obj_foreach(yyjson_obj_get(resources, lists[l]), i, n, key, value) {
                        struct quantity q, limit;
                        const char *name = yyjson_get_str(key), *text = yyjson_get_str(value);
                        const char *limit_text = json_get_str(yyjson_obj_get(resources, "limits"), name);
                        AT("%s.resources.%s[%s]", path, lists[l], name);
                        if (!strchr(name, '/') && !streq(name, "cpu") && !streq(name, "memory") && !streq(name, "ephemeral-storage") &&
                            !str_starts(name, "hugepages-")) {
                                AUTO(free) char *list_at = xasprintf("%s.resources.%s[%s]", path, lists[l], name);
                                invalid_string(bad, list_at, name, "must be a standard resource type or fully qualified");
                                invalid_string(bad, list_at, name, "must be a standard resource for containers");
                                continue;
                        }
                        if (quantity_parse(sv_of(text), &q, NULL) < 0)
                                continue;
                        if (q.nano < 0) {
                                invalid_string(bad, at, text, "must be greater than or equal to 0");
                                continue;
                        }
                        if (strchr(name, '/') && q.nano % 1000000000) {
                                invalid_string(bad, at, text, "must be an integer");
                                continue;
                        }
                        if (l == 1 && strchr(name, '/') && limit_text && quantity_parse(sv_of(limit_text), &limit, NULL) == 0 && quantity_cmp(q, limit) != 0) {
                                AUTO(free) char *requests_at = xasprintf("%s.resources.requests", path);
                                invalid_string(bad, requests_at, text, "must be equal to %s limit of %s", name, limit_text);
                                continue;
                        }
                        if (l == 1 && limit_text && quantity_parse(sv_of(limit_text), &limit, NULL) == 0 && quantity_cmp(q, limit) > 0) {
                                AUTO(free) char *requests_at = xasprintf("%s.resources.requests", path);
                                invalid_string(bad, requests_at, text, "must be less than or equal to %s limit of %s", name, limit_text);
                        }
                }
}

static void check_user(yyjson_val *context, const char *path, struct invalid *bad) {
        static const char *const ids[] = {"runAsUser", "runAsGroup", "fsGroup"};
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
                int64_t id = json_get_int(context, ids[i], 0);
                char text[24];
                if (id >= 0 && id <= 2147483647)
                        continue;
                AT("%s.%s", path, ids[i]);
                snprintf(text, sizeof(text), "%lld", (long long)id);
                invalid_add(bad, at, INVALID_VALUE, text, "must be between 0 and 2147483647, inclusive");
        }
}

static void check_probe(yyjson_val *c, const char *name, const char *path, struct invalid *bad) {
        static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc"};
        yyjson_val *probe = yyjson_obj_get(c, name);
        size_t have = 0;
        AT("%s.%s", path, name);
        for (size_t i = 0; probe && i < ARRAY_LEN(handlers); i++) {
                AUTO(free) char *handler_at = xasprintf("%s.%s", at, handlers[i]);
                if (yyjson_obj_get(probe, handlers[i]) && have++)
                        invalid_add(bad, handler_at, INVALID_FORBIDDEN, NULL, "may not specify more than 1 handler type");
        }
        if (probe && !streq(name, "readinessProbe") && json_get_int(probe, "successThreshold", 1) != 1) {
                AUTO(free) char *threshold_at = xasprintf("%s.successThreshold", at);
                AUTO(free) char *text = xasprintf("%lld", (long long)json_get_int(probe, "successThreshold", 1));
                invalid_add(bad, threshold_at, INVALID_VALUE, text, "must be 1");
        }
        if (probe && have == 0)
                invalid_required(bad, at, "must specify a handler type");
}

static void check_container(yyjson_val *c, const struct map *volumes, const char *path, struct invalid *bad) {
        const char *image = json_get_str(c, "image");
        AUTO(free) char *image_at = xasprintf("%s.image", path), *context_at = xasprintf("%s.securityContext", path);

        if (!image || !*image)
                invalid_required(bad, image_at, NULL);
        else if (*image == ' ' || image[strlen(image) - 1] == ' ')
                invalid_string(bad, image_at, image, "must not have leading or trailing whitespace");
        check_supported(c, "terminationMessagePolicy", path, SUPPORTED("FallbackToLogsOnError", "File"), bad);
        check_ports(c, path, bad);
        check_env(c, path, bad);
        check_mounts(c, volumes, path, bad);
        check_supported(c, "imagePullPolicy", path, SUPPORTED("Always", "IfNotPresent", "Never"), bad);
        check_resources(c, path, bad);
        check_user(yyjson_obj_get(c, "securityContext"), context_at, bad);
        if (json_bool_at(c, "/securityContext/privileged", false) && !json_bool_at(c, "/securityContext/allowPrivilegeEscalation", true))
                invalid_add(bad, context_at, INVALID_VALUE,
                            "{\"Capabilities\":null,\"Privileged\":true,\"SELinuxOptions\":null,\"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,"
                            "\"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,"
                            "\"SeccompProfile\":null,\"AppArmorProfile\":null}",
                            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        check_probe(c, "livenessProbe", path, bad);
        check_probe(c, "readinessProbe", path, bad);
        check_probe(c, "startupProbe", path, bad);
}

static void check_no_probes(yyjson_val *c, const char *path, struct invalid *bad) {
        static const char *const members[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                AT("%s.%s", path, members[i]);
                if (yyjson_obj_get(c, members[i]))
                        invalid_add(bad, at, INVALID_FORBIDDEN, NULL, "may not be set for init containers without restartPolicy=Always");
        }
}

static void check_containers(yyjson_val *spec, const char *list, const struct map *volumes, struct map *names, const char *path, struct invalid *bad) {
        EACH(c, i, yyjson_obj_get(spec, list)) {
                const char *name = json_get_str(c, "name"), *restart = json_get_str(c, "restartPolicy");
                AUTO(free) char *here = xasprintf("%s.%s[%zu]", path, list, i), *name_at = xasprintf("%s.name", here);
                check_label_name(name, name_at, bad);
                check_unique(names, name, name_at, bad);
                if (restart && *restart)
                        check_supported(c, "restartPolicy", here, SUPPORTED("Always", "OnFailure", "Never"), bad);
                if (streq(list, "initContainers") && !streq_null(restart, "Always"))
                        check_no_probes(c, here, bad);
                check_container(c, volumes, here, bad);
        }
}

static void check_host_path(yyjson_val *host, const char *volume, struct invalid *bad) {
        static const char *const types[] = {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", NULL};
        const char *path = json_get_str(host, "path");
        AUTO(free) char *here = xasprintf("%s.hostPath", volume);
        AT("%s.path", here);
        if (!path || !*path)
                invalid_required(bad, at, NULL);
        else if (strstr(path, "/../") || str_ends(path, "/..") || str_starts(path, "../"))
                invalid_string(bad, at, path, "must not contain '..'");
        check_supported(host, "type", here, types, bad);
}

static void check_volumes(yyjson_val *spec, const char *path, struct map *ret_names, struct invalid *bad) {
        EACH(v, i, yyjson_obj_get(spec, "volumes")) {
                const char *name = json_get_str(v, "name");
                AUTO(free) char *here = xasprintf("%s.volumes[%zu]", path, i), *name_at = xasprintf("%s.name", here);
                yyjson_val *claim = yyjson_obj_get(v, "persistentVolumeClaim"), *secret = yyjson_obj_get(v, "secret"), *host = yyjson_obj_get(v, "hostPath");
                size_t sources = yyjson_obj_size(v) - 1;
                check_label_name(name, name_at, bad);
                check_unique(ret_names, name, name_at, bad);
                if (sources > 1) {
                        yyjson_val *key, *value;
                        size_t k, n, seen = 0;
                        bool has_empty = yyjson_obj_get(v, "emptyDir") != NULL; /* is looked at first */
                        yyjson_obj_foreach(v, k, n, key, value) {
                                if (streq(yyjson_get_str(key), "name") || (has_empty ? streq(yyjson_get_str(key), "emptyDir") : seen++ == 0))
                                        continue;
                                AT("%s.%s", here, yyjson_get_str(key));
                                invalid_add(bad, at, INVALID_FORBIDDEN, NULL, "may not specify more than 1 volume type");
                        }
                        map_remove(ret_names, name ? name : ""); /* cannot be mounted */
                }
                if (claim && (!json_get_str(claim, "claimName") || !*json_get_str(claim, "claimName"))) {
                        AT("%s.persistentVolumeClaim.claimName", here);
                        invalid_required(bad, at, NULL);
                }
                if (secret && (!json_get_str(secret, "secretName") || !*json_get_str(secret, "secretName"))) {
                        AT("%s.secret.secretName", here);
                        invalid_required(bad, at, NULL);
                }
                if (yyjson_obj_get(v, "configMap") && !json_str_at(v, "/configMap/name")) {
                        AT("%s.configMap.name", here);
                        invalid_required(bad, at, NULL);
                }
                if (host)
                        check_host_path(host, here, bad);
        }
}

static void check_tolerations(yyjson_val *spec, const char *path, struct invalid *bad) {
        EACH(t, i, yyjson_obj_get(spec, "tolerations")) {
                const char *key = json_get_str(t, "key"), *operator= json_get_str(t, "operator"), *value = json_get_str(t, "value");
                const char *effect = json_get_str(t, "effect");
                AUTO(free) char *here = xasprintf("%s.tolerations[%zu]", path, i), *operator_at = xasprintf("%s.operator", here),
                                 *effect_at = xasprintf("%s.effect", here);
                if ((!key || !*key) && (!operator|| !streq(operator, "Exists")))
                        invalid_string(bad, operator_at, operator? operator: "",
                                       "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
                if (operator && streq(operator, "Exists") && value && *value)
                        invalid_string(bad, operator_at, value, "value must be empty when `operator` is 'Exists'");
                check_supported(t, "operator", here, SUPPORTED("Equal", "Exists"), bad);
                if (yyjson_obj_get(t, "tolerationSeconds") && (!effect || !streq(effect, "NoExecute")))
                        invalid_string(bad, effect_at, effect ? effect : "", "effect must be 'NoExecute' when `tolerationSeconds` is set");
                check_supported(t, "effect", here, SUPPORTED("NoSchedule", "PreferNoSchedule", "NoExecute"), bad);
        }
}

static void check_subdomain(yyjson_val *spec, const char *key, const char *path, name_check_fn *check, struct invalid *bad) {
        const char *value = json_get_str(spec, key);
        AUTO(strv) struct strv why = {0};
        if (!value || !*value)
                return;
        AT("%s.%s", path, key);
        check(sv_of(value), &why);
        invalid_names(bad, at, value, &why);
}

static void check_at_least(yyjson_val *spec, const char *key, int64_t minimum, const char *message, const char *path, struct invalid *bad) {
        yyjson_val *v = yyjson_obj_get(spec, key);
        char text[24];
        if (!v || json_get_int(spec, key, 0) >= minimum)
                return;
        AT("%s.%s", path, key);
        snprintf(text, sizeof(text), "%lld", (long long)json_get_int(spec, key, 0));
        invalid_add(bad, at, INVALID_VALUE, text, "%s", message);
}

static void check_gates(yyjson_val *spec, const char *path, struct invalid *bad) {
        EACH(gate, i, yyjson_obj_get(spec, "schedulingGates")) {
                const char *name = json_get_str(gate, "name");
                AUTO(strv) struct strv why = {0};
                AT("%s.schedulingGates[%zu]", path, i);
                name_check_qualified(sv_of(name ? name : ""), &why);
                invalid_names(bad, at, name ? name : "", &why);
        }
}

static void check_host_ports(yyjson_val *spec, const char *path, struct invalid *bad) {
        EACH(c, i, yyjson_obj_get(spec, "containers")) {
                EACH(port, k, yyjson_obj_get(c, "ports")) {
                        int64_t host = json_get_int(port, "hostPort", 0);
                        AUTO(free) char *text = xasprintf("%lld", (long long)host);
                        AT("%s.containers[%zu].ports[%zu].hostPort", path, i, k);
                        if (host && host != json_get_int(port, "containerPort", 0))
                                invalid_add(bad, at, INVALID_VALUE, text, "must match `containerPort` when `hostNetwork` is true");
                }
        }
}

static void check_spec(yyjson_val *spec, const char *path, bool is_named_by_controller, struct invalid *bad) {
        yyjson_val *affinity = json_at(spec, "/affinity/nodeAffinity");
        AUTO(map) struct map volumes = MAP_INIT(NULL), names = MAP_INIT(NULL);
        AUTO(free) char *containers_at = xasprintf("%s.containers", path), *selector_at = xasprintf("%s.nodeSelector", path),
                         *context_at = xasprintf("%s.securityContext", path);

        check_volumes(spec, path, &volumes, bad);
        if (yyjson_arr_size(yyjson_obj_get(spec, "containers")) == 0)
                invalid_required(bad, containers_at, NULL);
        check_containers(spec, "containers", &volumes, &names, path, bad);
        if (json_get_bool(spec, "hostNetwork", false))
                check_host_ports(spec, path, bad);
        check_containers(spec, "initContainers", &volumes, &names, path, bad);
        check_containers(spec, "ephemeralContainers", &volumes, &names, path, bad);
        check_supported(spec, "restartPolicy", path, SUPPORTED("Always", "OnFailure", "Never"), bad);
        check_supported(spec, "dnsPolicy", path, SUPPORTED("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), bad);
        check_at_least(spec, "activeDeadlineSeconds", 1, "must be between 1 and 2147483647, inclusive", path, bad);
        labels_validate(yyjson_obj_get(spec, "nodeSelector"), selector_at, bad);
        check_subdomain(spec, "serviceAccountName", path, name_check_dns1123_subdomain, bad);
        check_subdomain(spec, "nodeName", path, name_check_dns1123_subdomain, bad);
        if (!is_named_by_controller) {
                check_subdomain(spec, "hostname", path, name_check_dns1123_label, bad);
                check_subdomain(spec, "subdomain", path, name_check_dns1123_label, bad);
        }
        check_subdomain(spec, "priorityClassName", path, name_check_dns1123_subdomain, bad);
        check_user(yyjson_obj_get(spec, "securityContext"), context_at, bad);
        check_tolerations(spec, path, bad);
        check_gates(spec, path, bad);
        if (yyjson_obj_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution") &&
            yyjson_arr_size(json_at(affinity, "/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms")) == 0) {
                AT("%s.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", path);
                invalid_required(bad, at, "must have at least one node selector term");
        }
        if (streq_null(json_get_str(spec, "dnsPolicy"), "None") && !yyjson_obj_get(spec, "dnsConfig")) {
                AT("%s.dnsConfig", path);
                invalid_required(bad, at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
}

void podspec_validate(yyjson_val *spec, const char *path, struct invalid *bad) { check_spec(spec, path, false, bad); }

static void check_template(yyjson_val *template, const char *path, bool is_named_by_controller, struct invalid *bad) {
        AUTO(free) char *labels_at = xasprintf("%s.labels", path), *spec_at = xasprintf("%s.spec", path);
        labels_validate(json_at(template, "/metadata/labels"), labels_at, bad);
        check_spec(yyjson_obj_get(template, "spec"), spec_at, is_named_by_controller, bad);
}

void template_validate(yyjson_val *template, const char *path, struct invalid *bad) { check_template(template, path, false, bad); }
void template_validate_stateful(yyjson_val *template, const char *path, struct invalid *bad) { check_template(template, path, true, bad); }
