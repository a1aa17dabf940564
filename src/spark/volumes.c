#include "spark/volumes.h"

#include <ctype.h>

static const char *const type_names[] = {
        [VOLUME_HOST_PATH] = "hostPath", [VOLUME_CLAIM] = "persistentVolumeClaim", [VOLUME_EMPTY_DIR] = "emptyDir", [VOLUME_NFS] = "nfs"};

void volumes_done(struct volumes *v) {
        vec_foreach(p, &v->list) {
                free(p->name);
                free(p->prefix);
        }
        vec_done(&v->list);
}

static const char *option(const struct spark_conf *conf, const char *prefix, const struct volume *v, const char *name) {
        AUTO(free) char *key = xasprintf("%s%s%s", prefix, v->prefix, name);
        return map_get(&conf->entries, key);
}

static int need(const struct spark_conf *conf, const char *prefix, const struct volume *v, const char *name, const char **ret,
                struct err *err) {
        *ret = option(conf, prefix, v, name);
        if (*ret)
                return 0;
        err_set(err, -EINVAL, "%s%s is required for %s", v->prefix, name, type_names[v->type]);
        err_hint(err, "set %s%s%s", prefix, v->prefix, name);
        return -EINVAL;
}

/* A number without a unit is nearly always a forgotten one. */
static int check_size(const struct spark_conf *conf, const char *size, struct err *err) {
        if (size && !*size)
                return err_set(err, -EINVAL, "Invalid quantity string format passed: a volume's size limit is empty");
        if (!size || !spark_features(conf->version.line)->volume_size_check)
                return 0;
        for (const char *p = size; *p; p++)
                if (!isdigit((unsigned char)*p))
                        return 0;
        int64_t n;
        if (!java_parse_long(size, &n))
                return err_set(err, -EINVAL, "For input string: \"%s\"", size);
        return n < 1024 ? err_set(err, -EINVAL, "Volume size `%s` is smaller than 1KiB. Missing units?", size) : 0;
}

static int parse_specifics(const struct spark_conf *conf, const char *prefix, struct volume *v, struct err *err) {
        bool details = spark_features(conf->version.line)->volume_details;
        int r;
        switch (v->type) {
        case VOLUME_HOST_PATH:
                v->path_type = details ? option(conf, prefix, v, "options.type") : NULL;
                return need(conf, prefix, v, "options.path", &v->path, err);
        case VOLUME_CLAIM:
                v->storage_class = option(conf, prefix, v, "options.storageClass");
                v->size = option(conf, prefix, v, "options.sizeLimit");
                r = need(conf, prefix, v, "options.claimName", &v->claim_name, err);
                return r < 0 ? r : check_size(conf, v->size, err);
        case VOLUME_EMPTY_DIR:
                v->medium = option(conf, prefix, v, "options.medium");
                v->size = option(conf, prefix, v, "options.sizeLimit");
                return check_size(conf, v->size, err);
        case VOLUME_NFS:
                r = need(conf, prefix, v, "options.path", &v->path, err);
                return r < 0 ? r : need(conf, prefix, v, "options.server", &v->server, err);
        }
        return 0;
}

/* Scala's "true".toBoolean */
static int parse_boolean(const char *text, bool *ret, struct err *err) {
        *ret = text && sv_ieq(sv_of(text), SV("true"));
        if (text && !*ret && !sv_ieq(sv_of(text), SV("false")))
                return err_set(err, -EINVAL, "For input string: \"%s\"", text);
        return 0;
}

static int parse_volume(const struct spark_conf *conf, const char *prefix, struct sv type, struct volume *v, struct err *err) {
        size_t t = 0;
        while (t < ARRAY_LEN(type_names) && !sv_eqs(type, type_names[t]))
                t++;
        bool details = spark_features(conf->version.line)->volume_details;
        v->mount_path = option(conf, prefix, v, "mount.path");
        v->sub_path = option(conf, prefix, v, "mount.subPath");
        v->sub_path_expr = details ? option(conf, prefix, v, "mount.subPathExpr") : NULL;
        if (v->sub_path && v->sub_path_expr)
                return err_set(err, -EINVAL, "These config options are mutually exclusive: %smount.subPath, %smount.subPathExpr", v->prefix,
                               v->prefix);
        if (!v->mount_path) {
                err_set(err, -EINVAL, "key not found: %smount.path", v->prefix);
                err_hint(err, "set %s%smount.path", prefix, v->prefix);
                return -EINVAL;
        }
        int r = parse_boolean(option(conf, prefix, v, "mount.readOnly"), &v->read_only, err);
        if (r < 0)
                return r;
        if (t == ARRAY_LEN(type_names)) {
                err_set(err, -EINVAL, "Kubernetes Volume type `%.*s` is not supported", SV_ARG(type));
                err_hint(err, "%s takes hostPath, persistentVolumeClaim, emptyDir and nfs; mount ConfigMaps and the like by a pod template",
                         prefix);
                return -EINVAL;
        }
        v->type = (enum volume_type)t;
        return parse_specifics(conf, prefix, v, err);
}

int volumes_parse(const struct spark_conf *conf, const char *prefix, struct volumes *ret, struct err *err) {
        AUTO(volumes) struct volumes v = {0};
        conf_foreach(e, conf) {
                const char *rest = key_after(e->key, prefix);
                if (!rest)
                        continue;
                struct sv parts = sv_of(rest), type, name;
                if (!sv_split(&parts, '.', &type) || !sv_split(&parts, '.', &name) || (name.len == 0 && parts.data == NULL))
                        continue;
                AUTO(free) char *own = xasprintf("%.*s.%.*s.", SV_ARG(type), SV_ARG(name));
                bool seen = false;
                vec_foreach(p, &v.list) seen = seen || streq(p->prefix, own);
                if (seen)
                        continue;
                struct volume *volume = vec_push(&v.list);
                volume->name = sv_dup(name);
                volume->prefix = TAKE(own);
                int r = parse_volume(conf, prefix, type, volume, err);
                if (r < 0)
                        return r;
        }
        *ret = v;
        v = (struct volumes){0};
        return 0;
}
