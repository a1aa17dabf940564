/* Security contexts of pods and containers. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec-internal.h"

enum { ID_MAX = 2147483647, SYSCTL_NAME_MAX = 253, APPARMOR_PROFILE_MAX = 4095 };

static void check_ids(yyjson_val *context, const char *const *ids, const char *path, struct invalid *bad) {
        for (; *ids; ids++)
                rule_range(context, *ids, path, 0, ID_MAX, bad);
}

/* Go's JSON of a value that stands in a message: a string or null. */
static void append_string(struct str *out, const char *name, const char *value) {
        str_appendf(out, "\"%s\":", name);
        if (value)
                json_append_quoted(out, sv_of(value));
        else
                str_append_s(out, "null");
}

static void check_profile_type(yyjson_val *profile, const char *what, const char *path, struct invalid *bad) {
        AT("%s.type", path);
        if (!rule_has(profile, "type"))
                invalid_required(bad, at, "type is required when %s is set", what);
        else
                rule_supported(profile, "type", path, SUPPORTED("Localhost", "RuntimeDefault", "Unconfined"), bad);
}

static void check_seccomp(yyjson_val *profile, const char *path, struct invalid *bad) {
        const char *file = json_get_str(profile, "localhostProfile");
        AT("%s.localhostProfile", path);
        if (!profile)
                return;
        check_profile_type(profile, "seccompProfile", path, bad);
        if (streq(rule_str(profile, "type"), "Localhost")) {
                if (file)
                        rule_descending_path(file, at, bad);
                else
                        invalid_required(bad, at, "must be set when seccomp type is Localhost");
        } else if (file) {
                AUTO(str) struct str text = STR_INIT(0);
                str_append_c(&text, '{');
                append_string(&text, "Type", rule_str(profile, "type"));
                str_append_c(&text, ',');
                append_string(&text, "LocalhostProfile", file);
                str_append_c(&text, '}');
                invalid_add(bad, at, INVALID_VALUE, str_cstr(&text), "can only be set when seccomp type is Localhost");
        }
}

static void check_apparmor_file(const char *file, const char *path, struct invalid *bad) {
        struct sv trimmed = sv_trim(sv_of(file));
        if (!file || (!trimmed.len && !*file))
                invalid_required(bad, path, "must be set when AppArmor type is Localhost");
        else if (trimmed.len != strlen(file))
                invalid_string(bad, path, file, "must not be padded with whitespace");
        if (file && strlen(file) > APPARMOR_PROFILE_MAX)
                invalid_add(bad, path, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", APPARMOR_PROFILE_MAX);
}

static void check_apparmor(yyjson_val *profile, const char *path, struct invalid *bad) {
        const char *file = json_get_str(profile, "localhostProfile"), *type = rule_str(profile, "type");
        AT("%s.localhostProfile", path);
        if (!profile)
                return;
        check_profile_type(profile, "appArmorProfile", path, bad);
        if (streq(type, "Localhost"))
                check_apparmor_file(file, at, bad);
        else if (file && (streq(type, "RuntimeDefault") || streq(type, "Unconfined")))
                invalid_string(bad, at, file, "can only be set when AppArmor type is Localhost");
}

/* Parts of lower-case letters, digits, '-' and '_' that begin and end with a letter or digit, with '.' or '/' between them. */
static bool is_sysctl_name(const char *name) {
        bool can_end = false;
        for (const char *p = name; *p; p++) {
                bool is_alnum = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'), at_start = p == name || p[-1] == '.' || p[-1] == '/';
                if (*p == '.' || *p == '/') {
                        if (!can_end)
                                return false;
                } else if (!is_alnum && (at_start || (*p != '-' && *p != '_'))) {
                        return false;
                }
                can_end = is_alnum;
        }
        return can_end && strlen(name) <= SYSCTL_NAME_MAX;
}

static void check_host_sysctl(yyjson_val *spec, const char *name, const char *path, struct invalid *bad) {
        static const char *const ipc[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
        AUTO(free) char *dotted = xstrdup(name);
        bool is_ipc = false;
        for (char *p = dotted; *p; p++)
                *p = *p == '/' ? '.' : *p;
        for (size_t i = 0; i < ARRAY_LEN(ipc); i++)
                is_ipc |= str_starts(dotted, ipc[i]);
        is_ipc |= streq(dotted, "kernel.sem");
        if (json_get_bool(spec, "hostNetwork", false) && str_starts(dotted, "net."))
                invalid_string(bad, path, name, "may not be specified when 'hostNetwork' is true");
        else if (json_get_bool(spec, "hostIPC", false) && is_ipc)
                invalid_string(bad, path, name, "may not be specified when 'hostIPC' is true");
}

static void check_sysctls(yyjson_val *spec, yyjson_val *context, const char *path, struct invalid *bad) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        EACH(sysctl, i, yyjson_obj_get(context, "sysctls")) {
                const char *name = rule_str(sysctl, "name");
                AT("%s.sysctls[%zu].name", path, i);
                if (!*name)
                        invalid_required(bad, at, NULL);
                else if (!is_sysctl_name(name))
                        invalid_string(
                                bad, at, name,
                                "must have at most %d characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
                                SYSCTL_NAME_MAX);
                else if (map_has(&names, name))
                        invalid_duplicate(bad, at, name);
                check_host_sysctl(spec, name, at, bad);
                map_set(&names, name, &names);
        }
}

void podspec_check_pod_security(yyjson_val *spec, const char *path, struct invalid *bad) {
        yyjson_val *context = yyjson_obj_get(spec, "securityContext");
        PATH(here, "%s.securityContext", path);
        PATH(seccomp_at, "%s.seccompProfile", here);
        PATH(apparmor_at, "%s.appArmorProfile", here);
        check_ids(context, SUPPORTED("fsGroup", "runAsUser", "runAsGroup"), here, bad);
        EACH(group, i, yyjson_obj_get(context, "supplementalGroups")) {
                AT("%s.supplementalGroups[%zu]", here, i);
                if (yyjson_get_sint(group) < 0 || yyjson_get_sint(group) > ID_MAX)
                        invalid_int(bad, at, yyjson_get_sint(group), "must be between 0 and %d, inclusive", ID_MAX);
        }
        if (json_get_bool(spec, "shareProcessNamespace", false) && json_get_bool(spec, "hostPID", false)) {
                AT("%s.shareProcessNamespace", here);
                invalid_add(bad, at, INVALID_VALUE, "true", "ShareProcessNamespace and HostPID cannot both be enabled");
        }
        check_sysctls(spec, context, here, bad);
        rule_supported(context, "fsGroupChangePolicy", here, SUPPORTED("Always", "OnRootMismatch"), bad);
        check_seccomp(yyjson_obj_get(context, "seccompProfile"), seccomp_at, bad);
        check_apparmor(yyjson_obj_get(context, "appArmorProfile"), apparmor_at, bad);
        rule_supported(context, "supplementalGroupsPolicy", here, SUPPORTED("Merge", "Strict"), bad);
}

static void append_list(struct str *out, const char *name, yyjson_val *list) {
        AUTO(free) char *text = list ? json_write(list, false, NULL) : xstrdup("null");
        str_appendf(out, "\"%s\":%s", name, text);
}

static void append_plain(struct str *out, const char *name, yyjson_val *value) {
        AUTO(free) char *text = value ? json_write(value, false, NULL) : xstrdup("null");
        str_appendf(out, ",\"%s\":%s", name, text);
}

/* An object of strings, in Go's member names: {"Type":"x","LocalhostProfile":null}. */
static void append_object(struct str *out, const char *name, yyjson_val *object, const char *const *members, bool has_nulls) {
        str_appendf(out, ",\"%s\":%s", name, object ? "{" : "null");
        for (const char *const *m = members; object && *m; m += 2) {
                if (m != members)
                        str_append_c(out, ',');
                append_string(out, m[0], has_nulls && m != members ? json_get_str(object, m[1]) : rule_str(object, m[1]));
        }
        if (object)
                str_append_c(out, '}');
}

/* A container's security context as the real server shows it in a message. */
static char *context_text(yyjson_val *context) {
        static const char *const profile[] = {"Type", "type", "LocalhostProfile", "localhostProfile", NULL};
        yyjson_val *capabilities = yyjson_obj_get(context, "capabilities");
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, "{\"Capabilities\":");
        if (capabilities) {
                str_append_c(&out, '{');
                append_list(&out, "Add", yyjson_obj_get(capabilities, "add"));
                str_append_c(&out, ',');
                append_list(&out, "Drop", yyjson_obj_get(capabilities, "drop"));
                str_append_c(&out, '}');
        } else {
                str_append_s(&out, "null");
        }
        append_plain(&out, "Privileged", yyjson_obj_get(context, "privileged"));
        append_object(&out, "SELinuxOptions", yyjson_obj_get(context, "seLinuxOptions"),
                      SUPPORTED("User", "user", "Role", "role", "Type", "type", "Level", "level"), false);
        append_plain(&out, "WindowsOptions", yyjson_obj_get(context, "windowsOptions"));
        append_plain(&out, "RunAsUser", yyjson_obj_get(context, "runAsUser"));
        append_plain(&out, "RunAsGroup", yyjson_obj_get(context, "runAsGroup"));
        append_plain(&out, "RunAsNonRoot", yyjson_obj_get(context, "runAsNonRoot"));
        append_plain(&out, "ReadOnlyRootFilesystem", yyjson_obj_get(context, "readOnlyRootFilesystem"));
        append_plain(&out, "AllowPrivilegeEscalation", yyjson_obj_get(context, "allowPrivilegeEscalation"));
        append_plain(&out, "ProcMount", yyjson_obj_get(context, "procMount"));
        append_object(&out, "SeccompProfile", yyjson_obj_get(context, "seccompProfile"), profile, true);
        append_object(&out, "AppArmorProfile", yyjson_obj_get(context, "appArmorProfile"), profile, true);
        str_append_c(&out, '}');
        return str_take(&out);
}

static void check_escalation(yyjson_val *context, const char *path, struct invalid *bad) {
        AUTO(free) char *text = NULL;
        if (json_get_bool(context, "allowPrivilegeEscalation", true))
                return;
        text = context_text(context);
        if (json_get_bool(context, "privileged", false))
                invalid_add(bad, path, INVALID_VALUE, text, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        EACH(capability, i, json_at(context, "/capabilities/add"))
                if (streq_null(yyjson_get_str(capability), "CAP_SYS_ADMIN"))
                        invalid_add(bad, path, INVALID_VALUE, text,
                                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

void podspec_check_container_security(yyjson_val *context, bool has_host_users, const char *path, struct invalid *bad) {
        PATH(proc_at, "%s.procMount", path);
        PATH(seccomp_at, "%s.seccompProfile", path);
        PATH(apparmor_at, "%s.appArmorProfile", path);
        if (!context)
                return;
        check_ids(context, SUPPORTED("runAsUser", "runAsGroup"), path, bad);
        rule_supported(context, "procMount", path, SUPPORTED("Default", "Unmasked"), bad);
        if (has_host_users && streq(rule_str(context, "procMount"), "Unmasked"))
                invalid_string(bad, proc_at, "Unmasked", "`hostUsers` must be false to use `Unmasked`");
        check_seccomp(yyjson_obj_get(context, "seccompProfile"), seccomp_at, bad);
        check_escalation(context, path, bad);
        check_apparmor(yyjson_obj_get(context, "appArmorProfile"), apparmor_at, bad);
}
