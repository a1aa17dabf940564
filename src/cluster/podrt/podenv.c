#include "cluster/podrt/podenv.h"

#include <ctype.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/quantity.h"

void expand_variables(const char *text, const struct map *variables, struct str *ret) {
        for (const char *p = text; *p; p++) {
                if (*p != '$') {
                        str_append_c(ret, *p);
                        continue;
                }
                if (p[1] == '$') {
                        str_append_c(ret, '$');
                        p++;
                        continue;
                }
                const char *end = p[1] == '(' ? strchr(p, ')') : NULL;
                if (!end) {
                        str_append_c(ret, '$');
                        continue;
                }
                const char *value = map_get_n(variables, p + 2, (size_t)(end - p - 2));
                if (value)
                        str_append_s(ret, value);
                else
                        str_append(ret, p, (size_t)(end - p + 1));
                p = end;
        }
}

yyjson_val *pod_container_spec(const struct object *pod, const char *name) {
        static const char *const lists[] = {"/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                yyjson_val *c, *list = object_at(pod, lists[i]);
                size_t n, max;
                yyjson_arr_foreach(list, n, max, c) if (streq_null(json_get_str(c, "name"), name)) return c;
        }
        return NULL;
}

/* ---- fields ---- */

static void append_quoted_value(struct str *ret, const char *value) {
        json_append_quoted(ret, sv_of(value));
}

static void append_map(yyjson_val *object, struct str *ret) {
        yyjson_val *key, *value;
        size_t i, max;
        AUTO(strv) struct strv lines = {0};
        yyjson_obj_foreach(object, i, max, key, value) {
                AUTO(str) struct str line = STR_INIT(0);
                str_appendf(&line, "%s=", yyjson_get_str(key));
                append_quoted_value(&line, yyjson_is_str(value) ? yyjson_get_str(value) : "");
                strv_take(&lines, str_take(&line));
        }
        strv_sort(&lines);
        for (i = 0; i < lines.len; i++)
                str_appendf(ret, "%s%s", i ? "\n" : "", lines.items[i]);
}

/* metadata.labels['key'] */
static bool subscript(const char *path, const char *field, struct sv *ret_key) {
        size_t len = strlen(field);
        size_t all = strlen(path);
        if (strncmp(path, field, len) != 0 || !str_starts(path + len, "['") || !str_ends(path, "']") || all < len + 4)
                return false;
        *ret_key = sv_new(path + len + 2, all - len - 4);
        return true;
}

int field_value(const struct object *pod, const struct pod_facts *facts, const char *path, struct str *ret, struct err *err) {
        const struct {
                const char *path, *value;
        } simple[] = {
            {"metadata.name", pod->name},
            {"metadata.namespace", pod->namespace},
            {"metadata.uid", pod->uid},
            {"spec.nodeName", facts->node_name},
            {"spec.serviceAccountName", object_str(pod, "/spec/serviceAccountName")},
            {"status.hostIP", facts->host_ip},
            {"status.hostIPs", facts->host_ip},
            {"status.podIP", facts->pod_ip},
            {"status.podIPs", facts->pod_ip},
        };
        for (size_t i = 0; i < ARRAY_LEN(simple); i++)
                if (streq(path, simple[i].path)) {
                        str_append_s(ret, simple[i].value ? simple[i].value : "");
                        return 0;
                }
        struct sv key;
        static const char *const maps[] = {"labels", "annotations"};
        for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
                AUTO(free) char *field = xasprintf("metadata.%s", maps[i]);
                yyjson_val *map = yyjson_obj_get(object_at(pod, "/metadata"), maps[i]);
                if (streq(path, field)) {
                        append_map(map, ret);
                        return 0;
                }
                if (subscript(path, field, &key)) {
                        const char *value = yyjson_get_str(yyjson_obj_getn(map, key.data, key.len));
                        str_append_s(ret, value ? value : "");
                        return 0;
                }
        }
        return err_set(err, -EINVAL, "unsupported fieldPath: %s", path);
}

int resource_value(yyjson_val *container, const struct pod_facts *facts, yyjson_val *ref, struct str *ret, struct err *err) {
        const char *resource = json_get_str(ref, "resource");
        const char *dot = resource ? strchr(resource, '.') : NULL;
        yyjson_val *divisor_val = yyjson_obj_get(ref, "divisor");
        struct quantity value = {0}, divisor = {0};
        const char *divisor_text = yyjson_get_str(divisor_val);
        if (!dot)
                return err_set(err, -EINVAL, "unsupported container resource: %s", resource ? resource : "");
        AUTO(free) char *kind = xstrndup(resource, (size_t)(dot - resource));
        const char *name = dot + 1;
        const char *text = json_get_str(yyjson_obj_get(yyjson_obj_get(container, "resources"), kind), name);
        bool is_cpu = streq(name, "cpu");
        if (!divisor_text || streq(divisor_text, "0"))
                divisor_text = "1";
        int r = quantity_parse(sv_of(divisor_text), &divisor, err);
        if (r < 0)
                return r;
        if (text && (r = quantity_parse(sv_of(text), &value, err)) < 0)
                return r;
        if (!text && streq(kind, "limits")) /* no limit: what the node has */
                value.nano = is_cpu ? (__int128)facts->node_cpu_milli * 1000000
                                    : streq(name, "memory") ? (__int128)facts->node_memory_bytes * 1000000000 : 0;
        __int128 quotient = divisor.nano > 0 ? (value.nano + divisor.nano - 1) / divisor.nano : 0;
        str_appendf(ret, "%lld", (long long)quotient);
        return 0;
}

/* ---- services ---- */

static char *variable_name(const char *name) {
        char *upper = xstrdup(name);
        for (char *p = upper; *p; p++)
                *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        return upper;
}

static void set(struct map *m, const char *value, const char *fmt, ...) PRINTF(3, 4);
static void set(struct map *m, const char *value, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *name = xvasprintf(fmt, ap);
        va_end(ap);
        map_set(m, name, xstrdup(value));
}

void service_variables(const struct object *service, struct map *ret) {
        const char *ip = object_str(service, "/spec/clusterIP");
        yyjson_val *port, *ports = object_at(service, "/spec/ports");
        size_t i, max;
        if (!ip || !ip[0] || streq(ip, "None"))
                return;
        AUTO(free) char *name = variable_name(service->name);
        set(ret, ip, "%s_SERVICE_HOST", name);
        yyjson_arr_foreach(ports, i, max, port) {
                AUTO(free) char *number = xasprintf("%lld", (long long)json_get_int(port, "port", 0));
                const char *port_name = json_get_str(port, "name");
                if (i == 0)
                        set(ret, number, "%s_SERVICE_PORT", name);
                if (port_name && port_name[0]) {
                        AUTO(free) char *upper = variable_name(port_name);
                        set(ret, number, "%s_SERVICE_PORT_%s", name, upper);
                }
        }
        yyjson_arr_foreach(ports, i, max, port) {
                const char *protocol = json_get_str(port, "protocol");
                AUTO(free) char *number = xasprintf("%lld", (long long)json_get_int(port, "port", 0));
                AUTO(free) char *upper = variable_name(protocol ? protocol : "TCP");
                AUTO(free) char *lower = xstrdup(upper);
                for (char *p = lower; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                AUTO(free) char *url = xasprintf("%s://%s:%s", lower, ip, number);
                if (i == 0)
                        set(ret, url, "%s_PORT", name);
                set(ret, url, "%s_PORT_%s_%s", name, number, upper);
                set(ret, lower, "%s_PORT_%s_%s_PROTO", name, number, upper);
                set(ret, number, "%s_PORT_%s_%s_PORT", name, number, upper);
                set(ret, ip, "%s_PORT_%s_%s_ADDR", name, number, upper);
        }
}

static void add_services(struct api *api, const struct object *pod, struct map *variables) {
        AUTO(object_list) struct object_list list = {0};
        bool links = object_bool(pod, "/spec/enableServiceLinks", true);
        if (api_list(api, "services", NULL, NULL, NULL, &list, NULL) < 0)
                return;
        for (size_t i = 0; i < list.len; i++) {
                const struct object *s = list.items[i];
                bool is_master = streq(s->namespace, "default") && streq(s->name, "kubernetes");
                if (is_master || (links && streq(s->namespace, pod->namespace)))
                        service_variables(s, variables);
        }
}

/* ---- env ---- */

static void set_decoded(struct map *variables, const char *prefix, const char *key, const char *text, bool is_secret) {
        AUTO(str) struct str data = STR_INIT(0);
        if (is_secret && base64_decode(sv_of(text), &data) < 0)
                return;
        set(variables, is_secret ? str_cstr(&data) : text, "%s%s", prefix, key);
}

static int add_env_from(struct api *api, const struct object *pod, yyjson_val *container, struct map *variables, struct err *err) {
        yyjson_val *source, *list = yyjson_obj_get(container, "envFrom");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, source) {
                bool is_secret = yyjson_obj_get(source, "secretRef") != NULL;
                yyjson_val *ref = yyjson_obj_get(source, is_secret ? "secretRef" : "configMapRef");
                const char *name = json_get_str(ref, "name"), *prefix = json_get_str(source, "prefix");
                struct object *o = name ? api_peek(api, is_secret ? "secrets" : "configmaps", pod->namespace, name) : NULL;
                if (!o && !json_get_bool(ref, "optional", false))
                        return err_set(err, -ENOENT, "%s \"%s\" not found", is_secret ? "secret" : "configmap", name ? name : "");
                yyjson_val *key, *value, *data = o ? object_at(o, "/data") : NULL;
                size_t n, count;
                yyjson_obj_foreach(data, n, count, key, value)
                        set_decoded(variables, prefix ? prefix : "", yyjson_get_str(key), yyjson_is_str(value) ? yyjson_get_str(value) : "",
                                    is_secret);
        }
        return 0;
}

/* 1: the value is there; 0: an optional one is not. */
static int key_value(struct api *api, const struct object *pod, yyjson_val *ref, bool is_secret, struct str *ret, struct err *err) {
        const char *name = json_get_str(ref, "name"), *key = json_get_str(ref, "key");
        bool optional = json_get_bool(ref, "optional", false);
        struct object *o = name ? api_peek(api, is_secret ? "secrets" : "configmaps", pod->namespace, name) : NULL;
        if (!o)
                return optional ? 0 : err_set(err, -ENOENT, "%s \"%s\" not found", is_secret ? "secret" : "configmap", name ? name : "");
        const char *text = key ? json_get_str(object_at(o, "/data"), key) : NULL;
        if (!text)
                return optional ? 0
                                : err_set(err, -ENOENT, "couldn't find key %s in %s %s/%s", key ? key : "",
                                          is_secret ? "Secret" : "ConfigMap", pod->namespace, name);
        if (is_secret)
                return base64_decode(sv_of(text), ret) < 0 ? err_set(err, -EINVAL, "key %s of secret \"%s\" is not base64", key, name) : 1;
        str_append_s(ret, text);
        return 1;
}

static int value_from(struct api *api, const struct object *pod, yyjson_val *container, const struct pod_facts *facts, yyjson_val *from,
                      struct str *ret, struct err *err) {
        yyjson_val *ref;
        if ((ref = yyjson_obj_get(from, "fieldRef"))) {
                const char *path = json_get_str(ref, "fieldPath");
                int r = field_value(pod, facts, path ? path : "", ret, err);
                return r < 0 ? r : 1;
        }
        if ((ref = yyjson_obj_get(from, "resourceFieldRef"))) {
                const char *other = json_get_str(ref, "containerName");
                yyjson_val *c = other && other[0] ? pod_container_spec(pod, other) : container;
                int r = resource_value(c, facts, ref, ret, err);
                return r < 0 ? r : 1;
        }
        if ((ref = yyjson_obj_get(from, "configMapKeyRef")))
                return key_value(api, pod, ref, false, ret, err);
        if ((ref = yyjson_obj_get(from, "secretKeyRef")))
                return key_value(api, pod, ref, true, ret, err);
        return err_set(err, -EINVAL, "unsupported valueFrom");
}

int container_env(struct api *api, const struct object *pod, yyjson_val *container, const struct pod_facts *facts,
                  const struct strv *image_env, struct map *variables, struct err *err) {
        for (size_t i = 0; image_env && i < image_env->len; i++) {
                const char *eq = strchr(image_env->items[i], '=');
                if (eq)
                        map_set_n(variables, image_env->items[i], (size_t)(eq - image_env->items[i]), xstrdup(eq + 1));
        }
        map_set(variables, "HOSTNAME", xstrndup(pod->name, 63));
        add_services(api, pod, variables);
        int r = add_env_from(api, pod, container, variables, err);
        if (r < 0)
                return r;
        yyjson_val *e, *list = yyjson_obj_get(container, "env");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, e) {
                const char *name = json_get_str(e, "name"), *value = json_get_str(e, "value");
                yyjson_val *from = yyjson_obj_get(e, "valueFrom");
                AUTO(str) struct str text = STR_INIT(0);
                if (!name)
                        continue;
                if (from) {
                        if ((r = value_from(api, pod, container, facts, from, &text, err)) < 0)
                                return r;
                        if (r == 0)
                                continue;
                } else {
                        expand_variables(value ? value : "", variables, &text);
                }
                map_set(variables, name, str_take(&text));
        }
        return 0;
}
