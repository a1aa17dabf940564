#include "cluster/kinds/volume_rules.h"

#include <ctype.h>
#include <regex.h>

#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/rules.h"

enum { CSI_DRIVER_NAME_MAX = 63, ISCSI_TARGET_MAX = 64, QUOBYTE_TENANT_MAX = 64, PARTITION_MAX = 255, LUN_MAX = 255 };

struct source {
        const char *member;
        const char *blamed;          /* how paths of its members begin, where that is not the member's name */
        const char *blamed_as_extra; /* the same of the message that there is one source too many */
        const char *required[4];     /* members that may not be empty */
        void (*check)(yyjson_val *source, const char *path, struct invalid *bad);
};

static bool is_set(yyjson_val *object, const char *key) {
        return yyjson_obj_get(object, key) && !yyjson_is_null(yyjson_obj_get(object, key));
}

static void check_no_backsteps(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.path", path);
        rule_no_backsteps(rule_str(source, "path"), at, bad);
}

static void check_host_path(yyjson_val *source, const char *path, struct invalid *bad) {
        if (!rule_has(source, "path"))
                return;
        check_no_backsteps(source, path, bad);
        rule_supported(source, "type", path,
                       SUPPORTED("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"), bad);
}

static void check_partition(yyjson_val *source, const char *path, struct invalid *bad) {
        int64_t partition = json_get_int(source, "partition", 0);
        AT("%s.partition", path);
        if (partition < 0 || partition > PARTITION_MAX)
                invalid_int(bad, at, partition, "must be between 1 and %d, inclusive", PARTITION_MAX);
}

static void check_glusterfs(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.endpointsNamespace", path);
        if (!is_set(source, "endpointsNamespace"))
                return;
        if (!rule_has(source, "endpointsNamespace"))
                invalid_string(bad, at, "", "if the endpointnamespace is set, it must be a valid namespace name");
        rule_name(source, "endpointsNamespace", path, name_check_dns1123_label, bad);
}

static void check_flocker(yyjson_val *source, const char *path, struct invalid *bad) {
        bool has_name = rule_has(source, "datasetName"), has_uuid = rule_has(source, "datasetUUID");
        AT("%s.datasetName", path);
        if (!has_name && !has_uuid)
                invalid_required(bad, path, "one of datasetName and datasetUUID is required");
        if (has_name && has_uuid)
                invalid_string(bad, path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
        if (strchr(rule_str(source, "datasetName"), '/'))
                invalid_string(bad, at, rule_str(source, "datasetName"), "must not contain '/'");
}

static void check_nfs(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.path", path);
        if (*rule_str(source, "path") != '/')
                invalid_string(bad, at, rule_str(source, "path"), "must be an absolute path");
}

static void check_monitors(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.monitors", path);
        if (yyjson_arr_size(yyjson_obj_get(source, "monitors")) == 0)
                invalid_required(bad, at, NULL);
}

static void check_rbd(yyjson_val *source, const char *path, struct invalid *bad) {
        check_monitors(source, path, bad);
        rule_required(source, "image", path, bad);
}

static bool is_host_and_port(struct sv pair) {
        ssize_t colon = sv_find_char(pair, ':');
        return colon >= 0 &&
               (pair.data[0] == '[' || sv_find_char((struct sv){pair.data + colon + 1, pair.len - (size_t)colon - 1}, ':') < 0);
}

static void check_quobyte(yyjson_val *source, const char *path, struct invalid *bad) {
        static const char form[] = "must be a host:port pair or multiple pairs separated by commas";
        const char *registry = rule_str(source, "registry");
        PATH(registry_at, "%s.registry", path);
        PATH(tenant_at, "%s.tenant", path);
        struct sv rest = sv_of(registry), pair;
        if (!*registry)
                invalid_required(bad, registry_at, form);
        else if (strlen(rule_str(source, "tenant")) > QUOBYTE_TENANT_MAX)
                invalid_required(bad, tenant_at, "must be a UUID and may not exceed a length of %d characters", QUOBYTE_TENANT_MAX);
        else
                while (sv_split(&rest, ',', &pair))
                        if (!is_host_and_port(pair))
                                invalid_string(bad, registry_at, registry, form);
        rule_required(source, "volume", path, bad);
}

/* References to secrets: a name, and a namespace where the volume's own has none to offer. */
static void check_secret_name(yyjson_val *source, bool has_namespace, const char *path, struct invalid *bad) {
        yyjson_val *secret = yyjson_obj_get(source, "secretRef");
        AT("%s.secretRef", path);
        if (!yyjson_is_obj(secret))
                return;
        rule_required(secret, "name", at, bad);
        if (has_namespace)
                rule_required(secret, "namespace", at, bad);
}

static void check_cinder(yyjson_val *source, const char *path, struct invalid *bad) { check_secret_name(source, true, path, bad); }

static bool matches(const char *text, const char *pattern) {
        regex_t re;
        if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
                return false;
        bool found = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
        return found;
}

static bool is_iscsi_name(const char *name) {
        return matches(name, "^iqn\\.[0-9]{4}-[0-9]{2}\\.[[:alnum:].-]+:[^],;*&$|[:space:]]+$") || matches(name, "^eui.[[:alnum:]]{16}$") ||
               matches(name, "^naa.[[:alnum:]]{32}$");
}

static void check_lun(yyjson_val *source, const char *path, struct invalid *bad) { rule_range(source, "lun", path, 0, LUN_MAX, bad); }

static void check_iscsi(yyjson_val *source, const char *path, struct invalid *bad) {
        PATH(iqn_at, "%s.iqn", path);
        PATH(initiator_at, "%s.initiatorname", path);
        PATH(secret_at, "%s.secretRef", path);
        if (rule_required(source, "iqn", path, bad) && !is_iscsi_name(rule_str(source, "iqn")))
                invalid_string(bad, iqn_at, rule_str(source, "iqn"), "must be valid format");
        check_lun(source, path, bad);
        if ((json_get_bool(source, "chapAuthDiscovery", false) || json_get_bool(source, "chapAuthSession", false)) &&
            !is_set(source, "secretRef"))
                invalid_required(bad, secret_at, NULL);
        check_secret_name(source, false, path, bad);
        if (is_set(source, "initiatorName") && !is_iscsi_name(rule_str(source, "initiatorName")))
                invalid_string(bad, initiator_at, rule_str(source, "initiatorName"), "must be valid format");
}

static void check_fc(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *names = yyjson_obj_get(source, "targetWWNs");
        bool has_names = yyjson_arr_size(names) > 0, has_ids = yyjson_arr_size(yyjson_obj_get(source, "wwids")) > 0;
        PATH(names_at, "%s.targetWWNs", path);
        PATH(lun_at, "%s.lun", path);
        if (!has_names && !has_ids)
                invalid_required(bad, names_at, "must specify either targetWWNs or wwids, but not both");
        if (has_names && has_ids) {
                AUTO(free) char *shown = json_write(names, false, NULL);
                invalid_add(bad, names_at, INVALID_VALUE, shown, "targetWWNs and wwids can not be specified simultaneously");
        }
        if (has_names && !is_set(source, "lun"))
                invalid_required(bad, lun_at, "lun is required if targetWWNs is specified");
        else if (has_names)
                check_lun(source, path, bad);
}

static bool is_reserved(const char *option) {
        AUTO(free) char *namespace = xasprintf(".%.*s", (int)strcspn(option, "/"), option);
        for (char *p = namespace; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return str_ends(namespace, ".kubernetes.io") || str_ends(namespace, ".k8s.io");
}

static void check_flex(yyjson_val *source, const char *path, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(yyjson_obj_get(source, "options"), i, n, key, value) {
                AT("%s.options[%s]", path, unsafe_yyjson_get_str(key));
                if (is_reserved(unsafe_yyjson_get_str(key)))
                        invalid_string(bad, at, unsafe_yyjson_get_str(key), "kubernetes.io and k8s.io namespaces are reserved");
        }
}

static void check_azure_file(yyjson_val *source, const char *path, struct invalid *bad) {
        if (is_set(source, "secretNamespace"))
                rule_required(source, "secretNamespace", path, bad);
}

static void check_azure_disk(yyjson_val *source, const char *path, struct invalid *bad) {
        const char *uri = rule_str(source, "diskURI");
        bool is_managed = streq(rule_str(source, "kind"), "Managed");
        AT("%s.diskURI", path);
        rule_supported(source, "cachingMode", path, SUPPORTED("None", "ReadOnly", "ReadWrite"), bad);
        rule_supported(source, "kind", path, SUPPORTED("Dedicated", "Managed", "Shared"), bad);
        if (is_managed && !str_starts(uri, "/subscriptions/"))
                invalid_not_supported(
                        bad, at, uri,
                        SUPPORTED("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"));
        if (is_set(source, "kind") && !is_managed && !str_starts(uri, "https://"))
                invalid_not_supported(bad, at, uri,
                                      SUPPORTED("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"));
}

static void check_storageos(yyjson_val *source, const char *path, struct invalid *bad) {
        rule_name(source, "volumeName", path, name_check_dns1123_label, bad);
        rule_name(source, "volumeNamespace", path, name_check_dns1123_label, bad);
        check_secret_name(source, true, path, bad);
}

static void check_csi_secret(yyjson_val *source, const char *key, const char *path, struct invalid *bad) {
        yyjson_val *secret = yyjson_obj_get(source, key);
        AT("%s.%s", path, key);
        if (!yyjson_is_obj(secret))
                return;
        if (rule_required(secret, "name", at, bad))
                rule_name(secret, "name", at, name_check_dns1123_subdomain, bad);
        if (rule_required(secret, "namespace", at, bad))
                rule_name(secret, "namespace", at, name_check_dns1123_label, bad);
}

/* The name of a driver may have capitals. */
static void check_csi_driver(const char *driver, const char *path, struct invalid *bad) {
        AUTO(free) char *lower = xstrdup(driver);
        AUTO(strv) struct strv why = {0};
        if (!*driver)
                invalid_required(bad, path, NULL);
        if (strlen(driver) > CSI_DRIVER_NAME_MAX)
                invalid_add(bad, path, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", CSI_DRIVER_NAME_MAX);
        for (char *p = lower; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        name_check_dns1123_subdomain(sv_of(lower), &why);
        invalid_names(bad, path, driver, &why);
}

static void check_csi(yyjson_val *source, const char *path, struct invalid *bad) {
        PATH(driver_at, "%s.driver", path);
        check_csi_driver(rule_str(source, "driver"), driver_at, bad);
        rule_required(source, "volumeHandle", path, bad);
        check_csi_secret(source, "controllerPublishSecretRef", path, bad);
        check_csi_secret(source, "controllerExpandSecretRef", path, bad);
        check_csi_secret(source, "nodePublishSecretRef", path, bad);
        check_csi_secret(source, "nodeExpandSecretRef", path, bad);
}

/* In the order in which they are looked at: the first that is there is checked. */
static const struct source sources[] = {
        {"hostPath", NULL, NULL, {"path"}, check_host_path},
        {"gcePersistentDisk", "persistentDisk", NULL, {"pdName"}, check_partition},
        {"awsElasticBlockStore", NULL, NULL, {"volumeID"}, check_partition},
        {"glusterfs", NULL, NULL, {"endpoints", "path"}, check_glusterfs},
        {"flocker", NULL, NULL, {NULL}, check_flocker},
        {"nfs", NULL, NULL, {"server", "path"}, check_nfs},
        {"rbd", NULL, NULL, {NULL}, check_rbd},
        {"quobyte", NULL, NULL, {NULL}, check_quobyte},
        {"cephfs", NULL, "cephFS", {NULL}, check_monitors},
        {"iscsi", NULL, NULL, {"targetPortal"}, check_iscsi},
        {"cinder", NULL, NULL, {"volumeID"}, check_cinder},
        {"fc", NULL, NULL, {NULL}, check_fc},
        {"flexVolume", NULL, NULL, {"driver"}, check_flex},
        {"azureFile", NULL, NULL, {"secretName", "shareName"}, check_azure_file},
        {"vsphereVolume", NULL, NULL, {"volumePath"}, NULL},
        {"photonPersistentDisk", NULL, NULL, {"pdID"}, NULL},
        {"portworxVolume", NULL, NULL, {"volumeID"}, NULL},
        {"azureDisk", NULL, NULL, {"diskName", "diskURI"}, check_azure_disk},
        {"scaleIO", NULL, NULL, {"gateway", "system", "volumeName"}, NULL},
        {"local", NULL, NULL, {"path"}, check_no_backsteps},
        {"storageos", NULL, NULL, {"volumeName"}, check_storageos},
        {"csi", NULL, NULL, {NULL}, check_csi},
};

static void check_source(const struct source *s, yyjson_val *source, const char *path, struct invalid *bad) {
        for (size_t i = 0; i < ARRAY_LEN(s->required) && s->required[i]; i++)
                rule_required(source, s->required[i], path, bad);
        if (s->check)
                s->check(source, path, bad);
}

static void check_iscsi_target(yyjson_val *source, const char *name, const char *path, struct invalid *bad) {
        const char *portal = rule_str(source, "targetPortal");
        AT("%s.iscsi.targetportal", path);
        if (is_set(source, "initiatorName") && strlen(name) + 1 + strlen(portal) > ISCSI_TARGET_MAX)
                invalid_string(
                        bad, at, portal,
                        "Total length of <volume name>:<iscsi.targetPortal> must be under %d characters if iscsi.initiatorName is specified.",
                        ISCSI_TARGET_MAX);
}

void volume_source_validate(yyjson_val *spec, const char *name, const char *path, struct invalid *bad) {
        bool found = false;
        PATH(affinity_at, "%s.nodeAffinity", path);
        for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
                const struct source *s = &sources[i];
                yyjson_val *source = yyjson_obj_get(spec, s->member);
                PATH(here, "%s.%s", path, s->blamed ? s->blamed : s->member);
                PATH(extra, "%s.%s", path, s->blamed_as_extra ? s->blamed_as_extra : s->member);
                if (!yyjson_is_obj(source))
                        continue;
                if (found && !streq(s->member, "flexVolume")) { /* which the real server never counts as one too many */
                        invalid_forbidden(bad, extra, "may not specify more than 1 volume type");
                        continue;
                }
                found = true;
                check_source(s, source, here, bad);
                if (streq(s->member, "iscsi"))
                        check_iscsi_target(source, name, path, bad);
                if (streq(s->member, "local") && !is_set(spec, "nodeAffinity"))
                        invalid_required(bad, affinity_at, "Local volume requires node affinity");
        }
        if (!found)
                invalid_required(bad, path, "must specify a volume type");
}

bool volume_source_equal(yyjson_val *a, yyjson_val *b) {
        for (size_t i = 0; i < ARRAY_LEN(sources); i++)
                if (!json_equal(yyjson_obj_get(a, sources[i].member), yyjson_obj_get(b, sources[i].member)))
                        return false;
        return true;
}

void volume_source_default(yyjson_mut_doc *doc, yyjson_mut_val *spec) {
        yyjson_mut_val *host = member_obj(spec, "hostPath"), *disk = member_obj(spec, "azureDisk");
        default_str(doc, member_obj(spec, "rbd"), "pool", "rbd");
        default_str(doc, member_obj(spec, "rbd"), "user", "admin");
        default_str(doc, member_obj(spec, "rbd"), "keyring", "/etc/ceph/keyring");
        default_str(doc, member_obj(spec, "iscsi"), "iscsiInterface", "default");
        default_str(doc, member_obj(spec, "scaleIO"), "storageMode", "ThinProvisioned");
        default_str(doc, member_obj(spec, "scaleIO"), "fsType", "xfs");
        default_absent(doc, host, "type", "");
        default_absent(doc, disk, "cachingMode", "ReadWrite");
        default_absent(doc, disk, "kind", "Shared");
        default_absent(doc, disk, "fsType", "ext4");
        default_bool(doc, disk, "readOnly", false);
}
