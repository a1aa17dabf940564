/* MountVolumesFeatureStep: spark.kubernetes.driver.volumes.*, and the claims made on demand. */
#include "spark/steps/steps.h"
#include "spark/text.h"
#include "spark/volumes.h"

#define PREFIX "spark.kubernetes.driver.volumes."

static int refuse_duplicates(const struct volumes *v, struct err *err) {
        AUTO(strv) struct strv twice = {0};
        for (size_t i = 0; i < v->list.len; i++)
                for (size_t j = i + 1; j < v->list.len; j++)
                        if (streq(v->list.items[i].mount_path, v->list.items[j].mount_path) &&
                            !strv_has(&twice, v->list.items[i].mount_path))
                                strv_add(&twice, v->list.items[i].mount_path);
        if (twice.len == 0)
                return 0;
        AUTO(free) char *list = strv_join(&twice, "', '");
        return err_set(err, -EINVAL, "requirement failed: Found duplicated mountPath: '%s'", list);
}

static void add_mount(struct step_ctx *c, const struct volume *v) {
        yyjson_mut_val *mount = step_append(c, c->container, "volumeMounts");
        mjson_set_str(c->doc, mount, "mountPath", v->mount_path);
        mjson_set_str(c->doc, mount, "name", v->name);
        mjson_set_bool(c->doc, mount, "readOnly", v->read_only);
        mjson_set_str(c->doc, mount, "subPath", v->sub_path ? v->sub_path : "");
        if (c->features->volume_details)
                mjson_set_str(c->doc, mount, "subPathExpr", v->sub_path_expr ? v->sub_path_expr : "");
}

static void add_claim(struct step_ctx *c, const struct volume *v, const char *name, bool legacy) {
        yyjson_mut_val *claim = step_add_object(c, "PersistentVolumeClaim", name);
        yyjson_mut_val *meta = mjson_obj(c->doc, claim, "metadata"), *labels = mjson_obj(c->doc, meta, "labels");
        if (c->features->volume_details) {
                AUTO(free) char *label_prefix = xasprintf(PREFIX "%slabel.", v->prefix);
                AUTO(free) char *annotation_prefix = xasprintf(PREFIX "%sannotation.", v->prefix);
                yyjson_mut_val *annotations = mjson_obj(c->doc, meta, "annotations");
                step_prefixed(c, label_prefix, false, labels);
                step_prefixed(c, annotation_prefix, false, annotations);
                if (yyjson_mut_obj_size(annotations) == 0)
                        mjson_remove(meta, "annotations");
        }
        mjson_set_str(c->doc, labels, "spark-app-selector", c->app_id);
        yyjson_mut_val *spec = mjson_obj(c->doc, claim, "spec");
        mjson_add_str(c->doc, mjson_arr(c->doc, spec, "accessModes"), legacy ? "ReadWriteOnce" : "ReadWriteOncePod");
        mjson_set_str(c->doc, mjson_obj(c->doc, mjson_obj(c->doc, spec, "resources"), "requests"), "storage", v->size);
        mjson_set_str(c->doc, spec, "storageClassName", v->storage_class);
}

static void add_volume(struct step_ctx *c, const struct volume *v, size_t index, bool legacy) {
        static const char *const sources[] = {[VOLUME_HOST_PATH] = "hostPath",
                                              [VOLUME_CLAIM] = "persistentVolumeClaim",
                                              [VOLUME_EMPTY_DIR] = "emptyDir",
                                              [VOLUME_NFS] = "nfs"};
        yyjson_mut_val *source = step_add_volume(c, v->name, sources[v->type]);
        switch (v->type) {
        case VOLUME_HOST_PATH:
                mjson_set_str(c->doc, source, "path", v->path);
                mjson_set_str(c->doc, source, "type", v->path_type ? v->path_type : "");
                break;
        case VOLUME_CLAIM: {
                AUTO(free) char *demanded = xasprintf("%s-driver-pvc-%zu", c->prefix, index);
                AUTO(free) char *name = text_replace_all(v->claim_name, "OnDemand", demanded);
                mjson_set_str(c->doc, source, "claimName", name);
                mjson_set_bool(c->doc, source, "readOnly", v->read_only);
                if (v->storage_class && v->size)
                        add_claim(c, v, name, legacy);
                break;
        }
        case VOLUME_EMPTY_DIR:
                mjson_set_str(c->doc, source, "medium", v->medium ? v->medium : "");
                mjson_set_str(c->doc, source, "sizeLimit", v->size);
                break;
        case VOLUME_NFS:
                mjson_set_str(c->doc, source, "path", v->path);
                mjson_set_str(c->doc, source, "server", v->server);
                break;
        }
}

int step_mount_volumes_check(struct step_ctx *c, struct err *err) {
        bool legacy;
        return conf_bool(c->conf, "spark.kubernetes.legacy.useReadWriteOnceAccessMode", &legacy, err);
}

int step_mount_volumes(struct step_ctx *c, struct err *err) {
        AUTO(volumes) struct volumes v = {0};
        bool legacy;
        int r = conf_bool(c->conf, "spark.kubernetes.legacy.useReadWriteOnceAccessMode", &legacy, err);
        if (r >= 0)
                r = volumes_parse(c->conf, PREFIX, &v, err);
        if (r >= 0)
                r = refuse_duplicates(&v, err);
        for (size_t i = 0; i < v.list.len && r >= 0; i++) {
                add_mount(c, &v.list.items[i]);
                add_volume(c, &v.list.items[i], i, legacy);
        }
        return r;
}
