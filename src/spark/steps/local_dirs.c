/* LocalDirsFeatureStep: where shuffle data and spills go. */
#include <stdio.h>

#include "spark/steps/steps.h"

/* Mounts that the user made for this purpose, by their name. */
static void mounted_dirs(struct step_ctx *c, struct strv *ret) {
        yyjson_mut_val *mounts = yyjson_mut_obj_get(c->container, "volumeMounts"), *mount;
        size_t i, n;
        yyjson_mut_arr_foreach(mounts, i, n, mount) {
                const char *name = mjson_get_str(mount, "name"), *path = mjson_get_str(mount, "mountPath");
                if (name && str_starts(name, "spark-local-dir-"))
                        strv_add(ret, path ? path : "");
        }
}

int step_local_dirs_check(struct step_ctx *c, struct err *err) {
        bool tmpfs;
        return conf_bool(c->conf, "spark.kubernetes.local.dirs.tmpfs", &tmpfs, err);
}

int step_local_dirs(struct step_ctx *c, struct err *err) {
        bool tmpfs;
        int r = conf_bool(c->conf, "spark.kubernetes.local.dirs.tmpfs", &tmpfs, err);
        if (r < 0)
                return r;
        char uuid[37], fallback[64];
        step_uuid(c, uuid);
        snprintf(fallback, sizeof(fallback), "/var/data/spark-%s", uuid);
        AUTO(strv) struct strv dirs = {0};
        mounted_dirs(c, &dirs);
        size_t mounted = dirs.len;
        if (!mounted) {
                const char *list = inputs_env(c->in, "SPARK_LOCAL_DIRS");
                list = list ? list : conf_get(c->conf, "spark.local.dir");
                java_split(list ? list : fallback, ',', &dirs);
        }
        for (size_t i = 0; i < dirs.len && !mounted; i++) {
                char name[40];
                snprintf(name, sizeof(name), "spark-local-dir-%zu", i + 1);
                yyjson_mut_val *source = step_add_volume(c, name, "emptyDir");
                mjson_set_str(c->doc, source, "medium", tmpfs ? "Memory" : NULL);
                step_add_mount(c, name, dirs.items[i]);
        }
        AUTO(free) char *joined = strv_join(&dirs, ",");
        step_add_env(c, "SPARK_LOCAL_DIRS", joined);
        return 0;
}
