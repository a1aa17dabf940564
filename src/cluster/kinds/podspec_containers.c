/* Containers of a pod spec: names, ports, environment, mounts and devices, probes and hooks, and which kind of container may have what. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec-internal.h"
#include "codec/quantity.h"

static void check_port(yyjson_val *port, struct map *names, const char *path, struct invalid *bad) {
        const char *name = rule_str(port, "name");
        AUTO(strv) struct strv why = {0};
        PATH(name_at, "%s.name", path);
        PATH(number_at, "%s.containerPort", path);
        if (*name && name_check_port_name(sv_of(name), &why) > 0) {
                invalid_names(bad, name_at, name, &why);
        } else if (*name) {
                if (map_has(names, name))
                        invalid_duplicate(bad, name_at, name);
                map_set(names, name, names);
        }
        if (json_get_int(port, "containerPort", 0) == 0)
                invalid_required(bad, number_at, NULL);
        else
                rule_port(port, "containerPort", path, bad);
        if (json_get_int(port, "hostPort", 0) != 0)
                rule_port(port, "hostPort", path, bad);
        rule_supported(port, "protocol", path, SUPPORTED("SCTP", "TCP", "UDP"), bad);
}

static void check_ports(yyjson_val *c, const char *path, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        EACH(port, i, yyjson_obj_get(c, "ports")) {
                AT("%s.ports[%zu]", path, i);
                check_port(port, &names, at, bad);
        }
}

/* Every host port once: `taken` has those of the containers before this one. */
static void check_host_port_conflicts(yyjson_val *c, struct map *taken, const char *path, struct invalid *bad) {
        EACH(port, i, yyjson_obj_get(c, "ports")) {
                int64_t number = json_get_int(port, "hostPort", 0);
                AUTO(free) char *text = xasprintf("%s/%s/%lld", rule_str(port, "protocol"), rule_str(port, "hostIP"), (long long)number);
                AT("%s.ports[%zu].hostPort", path, i);
                if (number && map_has(taken, text))
                        invalid_duplicate(bad, at, text);
                else if (number)
                        map_set(taken, text, taken);
        }
}

/* "metadata.labels['a.b/c']": the part before the subscript and the subscript. */
static bool split_subscript(const char *text, struct sv *ret_path, struct sv *ret_subscript) {
        const char *open = strstr(text, "['");
        if (!open || open == text || !str_ends(text, "']") || strlen(open) < 4)
                return false;
        *ret_path = sv_new(text, (size_t)(open - text));
        *ret_subscript = sv_new(open + 2, strlen(open) - 4);
        return true;
}

static void check_subscript(struct sv field, struct sv subscript, const char *text, const char *path, struct invalid *bad) {
        AT("%s.fieldPath", path);
        AUTO(free) char *key = sv_dup(subscript);
        if (!sv_eqs(field, "metadata.annotations") && !sv_eqs(field, "metadata.labels")) {
                invalid_string(bad, at, text, "error converting fieldPath: field label does not support subscript: %s", text);
                return;
        }
        for (char *p = key; sv_eqs(field, "metadata.annotations") && *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
        value_name(name_check_qualified, key, path, bad);
}

void podspec_check_field_ref(yyjson_val *ref, const char *const *fields, const char *path, struct invalid *bad) {
        static const char *const known[] = {"metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
                                            "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
                                            "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
                                            "status.podIP",         "status.podIPs",   "spec.host",          NULL};
        const char *version = rule_str(ref, "apiVersion"), *text = rule_str(ref, "fieldPath");
        struct sv field, subscript;
        AT("%s.fieldPath", path);
        if (!rule_required(ref, "apiVersion", path, bad) || !rule_required(ref, "fieldPath", path, bad))
                return;
        if (!streq(version, "v1")) {
                invalid_string(bad, at, text, "error converting fieldPath: unsupported pod version: %s", version);
                return;
        }
        if (split_subscript(text, &field, &subscript)) {
                check_subscript(field, subscript, text, path, bad);
                return;
        }
        if (!str_is_one_of(text, known))
                invalid_string(bad, at, text, "error converting fieldPath: field label not supported: %s", text);
        else if (!streq(text, "spec.host")) /* spec.nodeName's old name */
                rule_supported(ref, "fieldPath", path, fields, bad);
}

/* What the divisor of a resource may be. */
static void check_divisor(yyjson_val *ref, const char *path, struct invalid *bad) {
        static const char *const memory[] = {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
        const char *resource = rule_str(ref, "resource"), *what;
        struct quantity divisor;
        char text[64];
        AT("%s.divisor", path);
        if (quantity_parse(sv_of(rule_str(ref, "divisor")), &divisor, NULL) < 0 || divisor.nano == 0)
                return;
        quantity_format(divisor, text);
        if (str_ends(resource, "s.cpu")) {
                if (!streq(text, "1") && !streq(text, "1m"))
                        invalid_string(bad, at, resource, "only divisor's values 1m and 1 are supported with the cpu resource");
                return;
        }
        what = str_ends(resource, "s.memory")               ? "memory"
               : str_ends(resource, "s.ephemeral-storage")  ? "local ephemeral storage"
               : strstr(resource, "s.hugepages-")           ? "hugepages"
                                                            : NULL;
        if (what && !str_is_one_of(text, memory))
                invalid_string(
                        bad, at, resource,
                        "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the %s resource",
                        what);
}

void podspec_check_resource_ref(yyjson_val *ref, bool is_volume, const char *path, struct invalid *bad) {
        const char *resource = rule_str(ref, "resource");
        if ((!is_volume || rule_required(ref, "containerName", path, bad)) && rule_required(ref, "resource", path, bad) &&
            !str_starts(resource, "limits.hugepages-") && !str_starts(resource, "requests.hugepages-"))
                rule_supported(ref, "resource", path,
                               SUPPORTED("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                                         "requests.ephemeral-storage", "requests.memory"),
                               bad);
        check_divisor(ref, path, bad);
}

static void check_key_ref(yyjson_val *ref, const char *path, struct invalid *bad) {
        PATH(name_at, "%s.name", path);
        value_name(name_check_dns1123_subdomain, rule_str(ref, "name"), name_at, bad);
        if (rule_required(ref, "key", path, bad))
                rule_name(ref, "key", path, name_check_config_key, bad);
}

static void check_value_from(yyjson_val *from, bool has_value, const char *path, struct invalid *bad) {
        static const char *const key_refs[] = {"configMapKeyRef", "secretKeyRef"};
        yyjson_val *field = yyjson_obj_get(from, "fieldRef"), *resource = yyjson_obj_get(from, "resourceFieldRef");
        size_t sources = 0;
        if (field && ++sources) {
                AT("%s.fieldRef", path);
                podspec_check_field_ref(field,
                                        SUPPORTED("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
                                                  "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
                                                  "status.podIPs"),
                                        at, bad);
        }
        if (resource && ++sources) {
                AT("%s.resourceFieldRef", path);
                podspec_check_resource_ref(resource, false, at, bad);
        }
        for (size_t i = 0; i < ARRAY_LEN(key_refs); i++) {
                AUTO(free) char *at = rule_member(path, key_refs[i]);
                if (yyjson_obj_get(from, key_refs[i]) && ++sources)
                        check_key_ref(yyjson_obj_get(from, key_refs[i]), at, bad);
        }
        if (sources == 0)
                invalid_string(bad, path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
        else if (has_value)
                invalid_string(bad, path, "", "may not be specified when `value` is not empty");
        else if (sources > 1)
                invalid_string(bad, path, "", "may not have more than one field specified at a time");
}

static void check_env(yyjson_val *c, const char *path, struct invalid *bad) {
        EACH(env, i, yyjson_obj_get(c, "env")) {
                PATH(here, "%s.env[%zu]", path, i);
                PATH(from_at, "%s.valueFrom", here);
                if (rule_required(env, "name", here, bad))
                        rule_name(env, "name", here, name_check_env_var, bad);
                if (yyjson_obj_get(env, "valueFrom"))
                        check_value_from(yyjson_obj_get(env, "valueFrom"), rule_has(env, "value"), from_at, bad);
        }
}

static void check_env_from(yyjson_val *c, const char *path, struct invalid *bad) {
        static const char *const sources[] = {"configMapRef", "secretRef"};
        PATH(list_at, "%s.envFrom", path);
        EACH(from, i, yyjson_obj_get(c, "envFrom")) {
                size_t have = 0;
                PATH(here, "%s[%zu]", list_at, i);
                rule_name(from, "prefix", here, name_check_env_var, bad);
                for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
                        yyjson_val *source = yyjson_obj_get(from, sources[s]);
                        AUTO(free) char *at = rule_member(here, sources[s]);
                        if (source && ++have && rule_required(source, "name", at, bad))
                                rule_name(source, "name", at, name_check_dns1123_subdomain, bad);
                }
                if (have != 1)
                        invalid_string(bad, list_at, "", "%s",
                                       have ? "may not have more than one field specified at a time"
                                            : "must specify one of: `configMapRef` or `secretRef`");
        }
}

/* Does an element of the list have this text in that member? */
static bool any_has(yyjson_val *list, const char *key, const char *text) {
        EACH(item, i, list) if (streq(rule_str(item, key), text)) return true;
        return false;
}

static void check_propagation(yyjson_val *mount, yyjson_val *c, const char *list_at, struct invalid *bad) {
        const char *recursive = json_get_str(mount, "recursiveReadOnly"), *propagation = json_get_str(mount, "mountPropagation");
        PATH(propagation_at, "%s.mountPropagation", list_at);
        PATH(recursive_at, "%s.recursiveReadOnly", list_at);
        rule_supported(mount, "mountPropagation", list_at, SUPPORTED("Bidirectional", "HostToContainer", "None"), bad);
        if (streq_null(propagation, "Bidirectional") && !json_bool_at(c, "/securityContext/privileged", false))
                invalid_forbidden(bad, propagation_at, "Bidirectional mount propagation is available only to privileged containers");
        rule_supported(mount, "recursiveReadOnly", list_at, SUPPORTED("Disabled", "Enabled", "IfPossible"), bad);
        if (!recursive || (!streq(recursive, "Enabled") && !streq(recursive, "IfPossible")))
                return;
        if (!json_get_bool(mount, "readOnly", false))
                invalid_forbidden(bad, recursive_at, "may only be specified when readOnly is true");
        if (propagation && !streq(propagation, "None"))
                invalid_forbidden(bad, recursive_at, "may only be specified when mountPropagation is None or not specified");
}

static void check_sub_paths(yyjson_val *mount, yyjson_val *volume, const char *path, const char *list_at, struct invalid *bad) {
        static const char *const members[] = {"subPath", "subPathExpr"};
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                AT("%s.%s", path, members[i]);
                if (yyjson_obj_get(volume, "image") && rule_has(mount, members[i]))
                        invalid_string(bad, at, rule_str(mount, members[i]), "not allowed in image volume sources");
        }
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                AT("%s.%s", list_at, members[i]);
                PATH(own_at, "%s.%s", path, members[i]);
                if (i == 1 && rule_has(mount, "subPath") && rule_has(mount, "subPathExpr"))
                        invalid_string(bad, own_at, rule_str(mount, "subPathExpr"), "subPathExpr and subPath are mutually exclusive");
                rule_descending_path(rule_str(mount, members[i]), at, bad);
        }
}

static void check_mounts(yyjson_val *c, const struct map *volumes, const char *path, struct invalid *bad) {
        AUTO(map) struct map points = MAP_INIT(NULL);
        yyjson_val *devices = yyjson_obj_get(c, "volumeDevices");
        PATH(list_at, "%s.volumeMounts", path);
        EACH(mount, i, yyjson_obj_get(c, "volumeMounts")) {
                const char *name = rule_str(mount, "name"), *point = rule_str(mount, "mountPath");
                PATH(here, "%s[%zu]", list_at, i);
                PATH(name_at, "%s.name", here);
                PATH(point_at, "%s.mountPath", here);
                rule_required(mount, "name", here, bad);
                if (!map_has(volumes, name))
                        invalid_not_found(bad, name_at, name);
                rule_required(mount, "mountPath", here, bad);
                if (map_has(&points, point))
                        invalid_string(bad, point_at, point, "must be unique");
                map_set(&points, point, &points);
                if (any_has(devices, "name", name))
                        invalid_string(bad, name_at, name, "must not already exist in volumeDevices");
                if (any_has(devices, "devicePath", point))
                        invalid_string(bad, point_at, point, "must not already exist as a path in volumeDevices");
                check_sub_paths(mount, map_get(volumes, name), here, list_at, bad);
                check_propagation(mount, c, list_at, bad);
        }
}

static void check_device_path(const char *device, struct map *paths, const char *path, struct invalid *bad) {
        struct invalid why = {0};
        if (map_has(paths, device))
                invalid_string(bad, path, device, "must be unique");
        rule_no_backsteps(device, path, &why);
        if (why.len)
                invalid_string(bad, path, device, "can not contain backsteps ('..')");
        else
                map_set(paths, device, paths);
        invalid_done(&why);
}

static void check_devices(yyjson_val *c, const struct map *volumes, const char *path, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL), paths = MAP_INIT(NULL);
        yyjson_val *mounts = yyjson_obj_get(c, "volumeMounts");
        EACH(device, i, yyjson_obj_get(c, "volumeDevices")) {
                const char *name = rule_str(device, "name"), *device_path = rule_str(device, "devicePath");
                yyjson_val *volume = map_get(volumes, name);
                PATH(here, "%s.volumeDevices[%zu]", path, i);
                PATH(name_at, "%s.name", here);
                PATH(path_at, "%s.devicePath", here);
                rule_required(device, "name", here, bad);
                if (*name && map_has(&names, name))
                        invalid_string(bad, name_at, name, "must be unique");
                if (volume && !yyjson_obj_get(volume, "persistentVolumeClaim") && !yyjson_obj_get(volume, "ephemeral"))
                        invalid_string(bad, name_at, name,
                                       "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
                if (!volume)
                        invalid_not_found(bad, name_at, name);
                rule_required(device, "devicePath", here, bad);
                check_device_path(device_path, &paths, path_at, bad);
                if (any_has(mounts, "name", name))
                        invalid_string(bad, name_at, name, "must not already exist in volumeMounts");
                if (any_has(mounts, "mountPath", device_path))
                        invalid_string(bad, path_at, device_path, "must not already exist as a path in volumeMounts");
                map_set(&names, name, &names);
        }
}

static void check_http(yyjson_val *get, const char *path, struct invalid *bad) {
        AT("%s.httpHeaders", path);
        rule_required(get, "path", path, bad);
        rule_port(get, "port", path, bad);
        rule_supported(get, "scheme", path, SUPPORTED("HTTP", "HTTPS"), bad);
        EACH(header, i, yyjson_obj_get(get, "httpHeaders")) value_name(name_check_http_header, rule_str(header, "name"), at, bad);
}

static void check_exec(yyjson_val *exec, const char *path, struct invalid *bad) {
        AT("%s.command", path);
        if (yyjson_arr_size(yyjson_obj_get(exec, "command")) == 0)
                invalid_required(bad, at, NULL);
}

static void check_socket(yyjson_val *socket, const char *path, struct invalid *bad) { rule_port(socket, "port", path, bad); }

static void check_sleep(yyjson_val *sleep, int64_t grace, const char *path, struct invalid *bad) {
        int64_t seconds = json_get_int(sleep, "seconds", 0);
        if (seconds < 0 || seconds > grace)
                invalid_int(bad, path, seconds, "must be non-negative and less than terminationGracePeriodSeconds (%lld)",
                            (long long)grace);
}

/* A probe's handler, or a hook's: exactly one. */
static void check_handler(yyjson_val *handler, bool is_hook, int64_t grace, const char *path, struct invalid *bad) {
        static const struct {
                const char *member;
                void (*check)(yyjson_val *, const char *, struct invalid *);
                bool of_hook, of_probe;
        } handlers[] = {{"exec", check_exec, true, true},
                        {"httpGet", check_http, true, true},
                        {"tcpSocket", check_socket, true, true},
                        {"grpc", check_socket, false, true},
                        {"sleep", NULL, true, false}};
        size_t have = 0;
        for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
                yyjson_val *one = yyjson_obj_get(handler, handlers[i].member);
                AUTO(free) char *at = rule_member(path, handlers[i].member);
                if (!one || !(is_hook ? handlers[i].of_hook : handlers[i].of_probe))
                        continue;
                if (have++ > 0)
                        invalid_forbidden(bad, at, "may not specify more than 1 handler type");
                else if (handlers[i].check)
                        handlers[i].check(one, at, bad);
                else
                        check_sleep(one, grace, at, bad);
        }
        if (have == 0)
                invalid_required(bad, path, "must specify a handler type");
}

static void check_probe(yyjson_val *probe, bool is_readiness, const char *path, struct invalid *bad) {
        static const char *const counts[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                                             "failureThreshold"};
        yyjson_val *grace = yyjson_obj_get(probe, "terminationGracePeriodSeconds");
        int64_t successes = json_get_int(probe, "successThreshold", 0);
        PATH(grace_at, "%s.terminationGracePeriodSeconds", path);
        check_handler(probe, false, 0, path, bad);
        for (size_t i = 0; i < ARRAY_LEN(counts); i++)
                rule_not_negative(probe, counts[i], path, bad);
        if (grace && yyjson_get_sint(grace) <= 0)
                invalid_int(bad, grace_at, yyjson_get_sint(grace), "must be greater than 0");
        if (grace && is_readiness)
                invalid_int(bad, grace_at, yyjson_get_sint(grace), "must not be set for readinessProbes");
        AT("%s.successThreshold", path);
        if (!is_readiness && successes != 1)
                invalid_int(bad, at, successes, "must be 1");
}

static void check_hooks_and_probes(yyjson_val *c, int64_t grace, const char *path, struct invalid *bad) {
        static const char *const hooks[] = {"postStart", "preStop"}, *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
        PATH(life_at, "%s.lifecycle", path);
        for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
                yyjson_val *hook = yyjson_obj_get(yyjson_obj_get(c, "lifecycle"), hooks[i]);
                AUTO(free) char *at = rule_member(life_at, hooks[i]);
                if (hook)
                        check_handler(hook, true, grace, at, bad);
        }
        for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
                AUTO(free) char *at = rule_member(path, probes[i]);
                if (yyjson_obj_get(c, probes[i]))
                        check_probe(yyjson_obj_get(c, probes[i]), i == 1, at, bad);
        }
}

static void forbid_members(yyjson_val *c, const char *const *members, const char *message, const char *path, struct invalid *bad) {
        for (size_t i = 0; members[i]; i++) {
                AT("%s.%s", path, members[i]);
                if (yyjson_obj_get(c, members[i]))
                        invalid_forbidden(bad, at, "%s", message);
        }
}

static void check_resize(yyjson_val *c, const char *restart_policy, const char *path, struct invalid *bad) {
        AUTO(map) struct map seen = MAP_INIT(NULL);
        PATH(list_at, "%s.resizePolicy", path);
        EACH(policy, i, yyjson_obj_get(c, "resizePolicy")) {
                const struct {
                        const char *member, *const *supported;
                } words[] = {{"resourceName", SUPPORTED("cpu", "memory")}, {"restartPolicy", SUPPORTED("NotRequired", "RestartContainer")}};
                const char *name = rule_str(policy, "resourceName"), *restart = rule_str(policy, "restartPolicy");
                AT("%s[%zu]", list_at, i);
                if (map_has(&seen, name))
                        invalid_duplicate(bad, at, name);
                map_set(&seen, name, &seen);
                for (size_t w = 0; w < ARRAY_LEN(words); w++) {
                        const char *word = rule_str(policy, words[w].member);
                        if (!*word)
                                invalid_required(bad, list_at, NULL);
                        else if (!streq(word, words[w].supported[0]) && !streq(word, words[w].supported[1]))
                                invalid_not_supported(bad, list_at, word, words[w].supported);
                }
                if (streq(restart_policy, "Never") && !streq(restart, "NotRequired"))
                        invalid_string(bad, list_at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
}

struct surroundings {
        yyjson_val *spec;
        const struct map *volumes;
        int64_t grace;
        bool has_host_users;
};

static void check_common(yyjson_val *c, const struct surroundings *pod, const char *path, struct invalid *bad) {
        PATH(resources_at, "%s.resources", path);
        PATH(security_at, "%s.securityContext", path);
        if (rule_required(c, "name", path, bad))
                rule_name(c, "name", path, name_check_dns1123_label, bad);
        rule_required(c, "image", path, bad);
        rule_supported(c, "terminationMessagePolicy", path, SUPPORTED("File", "FallbackToLogsOnError"), bad);
        check_ports(c, path, bad);
        check_env(c, path, bad);
        check_env_from(c, path, bad);
        check_mounts(c, pod->volumes, path, bad);
        check_devices(c, pod->volumes, path, bad);
        rule_supported(c, "imagePullPolicy", path, SUPPORTED("Always", "IfNotPresent", "Never"), bad);
        podspec_check_resources(yyjson_obj_get(c, "resources"), resources_at, bad);
        check_resize(c, rule_str(pod->spec, "restartPolicy"), path, bad);
        podspec_check_container_security(yyjson_obj_get(c, "securityContext"), pod->has_host_users, security_at, bad);
}

static void check_name_once(yyjson_val *c, struct map *names, const char *path, struct invalid *bad) {
        const char *name = rule_str(c, "name");
        AT("%s.name", path);
        if (*name && map_has(names, name))
                invalid_duplicate(bad, at, name);
        map_set(names, name, names);
}

static void check_main_containers(const struct surroundings *pod, struct map *names, const char *path, struct invalid *bad) {
        yyjson_val *list = yyjson_obj_get(pod->spec, "containers");
        AUTO(map) struct map ports = MAP_INIT(NULL);
        if (yyjson_arr_size(list) == 0) {
                AT("%s.containers", path);
                invalid_required(bad, at, NULL);
        }
        EACH(c, i, list) {
                AT("%s.containers[%zu]", path, i);
                check_common(c, pod, at, bad);
                check_name_once(c, names, at, bad);
                check_hooks_and_probes(c, pod->grace, at, bad);
        }
        EACH(c, i, list) {
                AT("%s.containers[%zu]", path, i);
                check_host_port_conflicts(c, &ports, at, bad);
        }
}

static void check_init_containers(const struct surroundings *pod, struct map *names, const char *path, struct invalid *bad) {
        PATH(first_at, "%s.initContainers[0]", path);
        EACH(c, i, yyjson_obj_get(pod->spec, "initContainers")) {
                AUTO(map) struct map ports = MAP_INIT(NULL);
                AT("%s.initContainers[%zu]", path, i);
                check_common(c, pod, at, bad);
                rule_supported(c, "restartPolicy", at, SUPPORTED("Always"), bad);
                check_name_once(c, names, at, bad);
                check_host_port_conflicts(c, &ports, first_at, bad); /* one at a time, and the real server says it of the first */
                if (streq(rule_str(c, "restartPolicy"), "Always"))
                        check_hooks_and_probes(c, pod->grace, at, bad);
                else
                        forbid_members(c, SUPPORTED("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"),
                                       "may not be set for init containers without restartPolicy=Always", at, bad);
        }
}

static void check_ephemeral_container(yyjson_val *c, const struct map *others, const char *path, struct invalid *bad) {
        const char *target = rule_str(c, "targetContainerName");
        PATH(target_at, "%s.targetContainerName", path);
        if (*target && !map_has(others, target))
                invalid_not_found(bad, target_at, target);
        forbid_members(c,
                       SUPPORTED("ports", "resizePolicy", "restartPolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"),
                       "cannot be set for an Ephemeral Container", path, bad);
        if (yyjson_obj_size(yyjson_obj_get(c, "resources")) > 0)
                forbid_members(c, SUPPORTED("resources"), "cannot be set for an Ephemeral Container", path, bad);
        EACH(mount, i, yyjson_obj_get(c, "volumeMounts")) {
                AT("%s.volumeMounts[%zu]", path, i);
                if (rule_has(mount, "subPath"))
                        forbid_members(mount, SUPPORTED("subPath"), "cannot be set for an Ephemeral Container", at, bad);
                if (rule_has(mount, "subPathExpr"))
                        forbid_members(mount, SUPPORTED("subPathExpr"), "cannot be set for an Ephemeral Container", at, bad);
        }
}

static void check_ephemeral_containers(const struct surroundings *pod, struct map *names, const char *path, struct invalid *bad) {
        AUTO(map) struct map others = MAP_INIT(NULL);
        map_foreach(name, names) map_set(&others, name->key, names);
        EACH(c, i, yyjson_obj_get(pod->spec, "ephemeralContainers")) {
                AT("%s.ephemeralContainers[%zu]", path, i);
                check_common(c, pod, at, bad);
                podspec_check_image_text(c, at, bad);
                check_name_once(c, names, at, bad);
                check_ephemeral_container(c, &others, at, bad);
        }
}

void podspec_check_image_text(yyjson_val *c, const char *path, struct invalid *bad) {
        const char *image = rule_str(c, "image");
        AT("%s.image", path);
        if (sv_trim(sv_of(image)).len != strlen(image))
                invalid_string(bad, at, image, "must not have leading or trailing whitespace");
}

void podspec_check_containers(yyjson_val *spec, const struct map *volumes, const char *path, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        const struct surroundings pod = {spec, volumes, json_get_int(spec, "terminationGracePeriodSeconds", 30),
                                         json_get_bool(spec, "hostUsers", true)};
        check_main_containers(&pod, &names, path, bad);
        check_init_containers(&pod, &names, path, bad);
        check_ephemeral_containers(&pod, &names, path, bad);
}
