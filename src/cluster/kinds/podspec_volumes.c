/* Volumes of a pod spec. What stays inside one volume stands here; whether a container's mount finds one is the containers' matter. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec-internal.h"
#include "codec/quantity.h"

static void check_key_to_path(yyjson_val *item, const char *path, struct invalid *bad) {
        PATH(path_at, "%s.path", path);
        rule_required(item, "key", path, bad);
        rule_required(item, "path", path, bad);
        rule_local_path(rule_str(item, "path"), path_at, bad);
        rule_file_mode(item, "mode", path, bad);
}

static void check_items(yyjson_val *source, const char *path, struct invalid *bad) {
        EACH(item, i, yyjson_obj_get(source, "items")) {
                AT("%s.items[%zu]", path, i);
                check_key_to_path(item, at, bad);
        }
}

static void check_config_map(yyjson_val *source, const char *path, struct invalid *bad) {
        rule_required(source, "name", path, bad);
        rule_file_mode(source, "defaultMode", path, bad);
        check_items(source, path, bad);
}

static void check_secret(yyjson_val *source, const char *path, struct invalid *bad) {
        rule_required(source, "secretName", path, bad);
        rule_file_mode(source, "defaultMode", path, bad);
        check_items(source, path, bad);
}

static void check_empty_dir(yyjson_val *source, const char *path, struct invalid *bad) {
        struct quantity limit;
        AT("%s.sizeLimit", path);
        if (rule_has(source, "sizeLimit") && quantity_parse(sv_of(rule_str(source, "sizeLimit")), &limit, NULL) == 0 && limit.nano < 0)
                invalid_forbidden(bad, at, "SizeLimit field must be a valid resource quantity");
}

static void check_host_path(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.path", path);
        if (!rule_required(source, "path", path, bad))
                return;
        rule_no_backsteps(rule_str(source, "path"), at, bad);
        rule_supported(source, "type", path,
                       SUPPORTED("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"), bad);
}

static void check_git_repo(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.directory", path);
        rule_required(source, "repository", path, bad);
        rule_descending_path(rule_str(source, "directory"), at, bad);
}

static void check_nfs(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.path", path);
        rule_required(source, "server", path, bad);
        rule_required(source, "path", path, bad);
        if (*rule_str(source, "path") != '/')
                invalid_string(bad, at, rule_str(source, "path"), "must be an absolute path");
}

static void check_claim(yyjson_val *source, const char *path, struct invalid *bad) { rule_required(source, "claimName", path, bad); }

/* One file of a downward API volume. Its errors stand at the volume, as the real server says them. */
static void check_downward_file(yyjson_val *file, const char *path, struct invalid *bad) {
        yyjson_val *field = yyjson_obj_get(file, "fieldRef"), *resource = yyjson_obj_get(file, "resourceFieldRef");
        PATH(path_at, "%s.path", path);
        rule_required(file, "path", path, bad);
        rule_local_path(rule_str(file, "path"), path_at, bad);
        if (field) {
                AT("%s.fieldRef", path);
                podspec_check_field_ref(
                        field, SUPPORTED("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"),
                        at, bad);
                if (resource)
                        invalid_string(bad, path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        } else if (resource) {
                AT("%s.resourceFieldRef", path);
                podspec_check_resource_ref(resource, true, at, bad);
        } else {
                invalid_required(bad, path, "one of fieldRef and resourceFieldRef is required");
        }
        rule_file_mode(file, "mode", path, bad);
}

static void check_downward(yyjson_val *source, const char *path, struct invalid *bad) {
        rule_file_mode(source, "defaultMode", path, bad);
        EACH(file, i, yyjson_obj_get(source, "items")) check_downward_file(file, path, bad);
}

static void check_token(yyjson_val *token, const char *path, const char *projected, struct invalid *bad) {
        int64_t seconds = json_get_int(token, "expirationSeconds", 0);
        PATH(seconds_at, "%s.expirationSeconds", path);
        PATH(path_at, "%s.path", projected);
        if (seconds < 600)
                invalid_int(bad, seconds_at, seconds, "may not specify a duration less than 10 minutes");
        if (seconds > 1LL << 32)
                invalid_int(bad, seconds_at, seconds, "may not specify a duration larger than 2^32 seconds");
        if (rule_required(token, "path", projected, bad))
                rule_local_path(rule_str(token, "path"), path_at, bad);
}

/* Two files of one projected volume must not have the same path; `name` is what the message shows. */
static void check_path_once(struct map *paths, const char *file, const char *name, const char *projected, struct invalid *bad) {
        if (!*file)
                return;
        if (map_has(paths, file))
                invalid_string(bad, projected, name, "conflicting duplicate paths");
        map_set(paths, file, paths);
}

static void check_projected_items(yyjson_val *source, const char *path, const char *projected, struct map *paths, struct invalid *bad) {
        rule_required(source, "name", path, bad);
        EACH(item, i, yyjson_obj_get(source, "items")) {
                AT("%s.items[%zu]", path, i);
                check_key_to_path(item, at, bad);
                check_path_once(paths, rule_str(item, "path"), rule_str(source, "name"), projected, bad);
        }
}

static void check_projected_source(yyjson_val *source, const char *path, const char *projected, struct map *paths, struct invalid *bad) {
        static const char *const with_items[] = {"secret", "configMap"};
        yyjson_val *downward = yyjson_obj_get(source, "downwardAPI"), *token = yyjson_obj_get(source, "serviceAccountToken");
        size_t sources = 0;
        for (size_t i = 0; i < ARRAY_LEN(with_items); i++) {
                AT("%s.%s", path, with_items[i]);
                if (yyjson_obj_get(source, with_items[i]) && ++sources)
                        check_projected_items(yyjson_obj_get(source, with_items[i]), at, projected, paths, bad);
        }
        if (downward && ++sources) {
                AT("%s.downwardAPI", path);
                EACH(file, i, yyjson_obj_get(downward, "items")) {
                        check_downward_file(file, at, bad);
                        check_path_once(paths, rule_str(file, "path"), rule_str(file, "path"), projected, bad);
                }
        }
        if (token && ++sources) {
                AT("%s.serviceAccountToken", path);
                check_token(token, at, projected, bad);
        }
        if (sources > 1)
                invalid_forbidden(bad, path, "may not specify more than 1 volume type per source");
}

static void check_projected(yyjson_val *volume, const char *path, struct invalid *bad) {
        AUTO(map) struct map paths = MAP_INIT(NULL);
        rule_file_mode(volume, "defaultMode", path, bad);
        EACH(source, i, yyjson_obj_get(volume, "sources")) {
                AT("%s.sources[%zu]", path, i);
                check_projected_source(source, at, path, &paths, bad);
        }
}

static void check_csi(yyjson_val *source, const char *path, struct invalid *bad) {
        PATH(driver_at, "%s.driver", path);
        AUTO(free) char *lower = xstrdup(rule_str(source, "driver"));
        for (char *p = lower; *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
        if (rule_required(source, "driver", path, bad)) {
                if (strlen(lower) > 63)
                        invalid_add(bad, driver_at, INVALID_TOO_LONG, NULL, "may not be more than 63 bytes");
                value_name(name_check_dns1123_subdomain, lower, driver_at, bad);
        }
        if (yyjson_obj_get(source, "nodePublishSecretRef")) {
                AT("%s.nodePublishSecretRef", path);
                rule_required(yyjson_obj_get(source, "nodePublishSecretRef"), "name", at, bad);
        }
}

static void check_ephemeral(yyjson_val *source, const char *path, struct invalid *bad) {
        AT("%s.volumeClaimTemplate", path);
        if (!yyjson_obj_get(source, "volumeClaimTemplate"))
                invalid_required(bad, at, NULL);
}

/* In the order in which the real server looks: of several sources the first counts, the others are forbidden. */
static const struct source {
        const char *member;
        void (*check)(yyjson_val *source, const char *path, struct invalid *bad); /* NULL: nothing is asked of it here */
        const char *forbidden_as;                                                 /* where a second source is refused; NULL: the member */
} sources[] = {
        {"emptyDir", check_empty_dir, NULL},
        {"hostPath", check_host_path, NULL},
        {"gitRepo", check_git_repo, NULL},
        {"gcePersistentDisk", NULL, NULL},
        {"awsElasticBlockStore", NULL, NULL},
        {"secret", check_secret, NULL},
        {"nfs", check_nfs, NULL},
        {"iscsi", NULL, NULL},
        {"glusterfs", NULL, NULL},
        {"flocker", NULL, NULL},
        {"persistentVolumeClaim", check_claim, NULL},
        {"rbd", NULL, NULL},
        {"cinder", NULL, NULL},
        {"cephfs", NULL, "cephFS"},
        {"quobyte", NULL, NULL},
        {"downwardAPI", check_downward, "downwarAPI"},
        {"fc", NULL, NULL},
        {"flexVolume", NULL, NULL},
        {"configMap", check_config_map, NULL},
        {"azureFile", NULL, NULL},
        {"vsphereVolume", NULL, NULL},
        {"photonPersistentDisk", NULL, NULL},
        {"portworxVolume", NULL, NULL},
        {"azureDisk", NULL, NULL},
        {"storageos", NULL, NULL},
        {"projected", check_projected, NULL},
        {"scaleIO", NULL, NULL},
        {"csi", check_csi, NULL},
        {"ephemeral", check_ephemeral, NULL},
        {"image", NULL, NULL},
};

static void check_source(yyjson_val *volume, const char *path, struct invalid *bad) {
        size_t have = 0;
        for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
                yyjson_val *source = yyjson_obj_get(volume, sources[i].member);
                if (!source)
                        continue;
                if (have++ > 0) {
                        AT("%s.%s", path, sources[i].forbidden_as ? sources[i].forbidden_as : sources[i].member);
                        invalid_forbidden(bad, at, "may not specify more than 1 volume type");
                } else if (sources[i].check) {
                        AT("%s.%s", path, sources[i].member);
                        sources[i].check(source, at, bad);
                }
        }
        if (have == 0)
                invalid_required(bad, path, "must specify a volume type");
}

void podspec_check_volumes(yyjson_val *spec, const char *path, struct map *ret_volumes, struct invalid *bad) {
        EACH(volume, i, yyjson_obj_get(spec, "volumes")) {
                const char *name = rule_str(volume, "name");
                size_t before = bad->len;
                PATH(here, "%s.volumes[%zu]", path, i);
                PATH(name_at, "%s.name", here);
                check_source(volume, here, bad);
                if (rule_required(volume, "name", here, bad))
                        value_name(name_check_dns1123_label, name, name_at, bad);
                if (map_has(ret_volumes, name))
                        invalid_duplicate(bad, name_at, name);
                if (bad->len == before) /* a volume that is wrong cannot be mounted */
                        map_set(ret_volumes, name, volume);
        }
}
