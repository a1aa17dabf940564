#include "spark/submission.h"

#include <stdio.h>

#include "spark/juri.h"
#include "spark/steps/steps.h"
#include "spark/template.h"
#include "spark/text.h"
#include "spark/volumes.h"

#define FEATURES "org.apache.spark.deploy.k8s.features."

static const struct step steps[] = {
        {FEATURES "BasicDriverFeatureStep", step_basic_check, step_basic},
        {FEATURES "DriverKubernetesCredentialsFeatureStep", step_credentials_check, step_credentials},
        {FEATURES "DriverServiceFeatureStep", step_service_check, step_service},
        {FEATURES "MountSecretsFeatureStep", NULL, step_mount_secrets},
        {FEATURES "EnvSecretsFeatureStep", NULL, step_env_secrets},
        {FEATURES "MountVolumesFeatureStep", step_mount_volumes_check, step_mount_volumes},
        {FEATURES "DriverCommandFeatureStep", NULL, step_command},
        {FEATURES "HadoopConfDriverFeatureStep", step_hadoop_conf_check, step_hadoop_conf},
        {FEATURES "KerberosConfDriverFeatureStep", step_kerberos_check, step_kerberos},
        {FEATURES "PodTemplateConfigMapStep", NULL, step_executor_template},
        {FEATURES "LocalDirsFeatureStep", step_local_dirs_check, step_local_dirs},
        {NULL, NULL, step_conf_map},
};

void submission_uploads_done(struct submission_uploads *u) {
        vec_foreach(p, &u->list) {
                free(p->source);
                free(p->directory);
                free(p->target);
        }
        vec_done(&u->list);
}

void submission_free(struct submission *s) {
        if (!s)
                return;
        yyjson_mut_doc_free(s->doc);
        free(s->namespace_);
        free(s->app_name);
        free(s->app_id);
        free(s->pod_name);
        free(s->submission_id);
        vec_done(&s->pre);
        vec_done(&s->resources);
        submission_uploads_done(&s->uploads);
        strv_done(&s->warnings);
        free(s);
}

static void ctx_done(struct step_ctx *c) {
        spark_conf_done(&c->props);
        free(c->prefix);
        free(c->service_name);
        free(c->conf_map);
}
DEFINE_AUTO_VALUE(step_ctx, struct step_ctx, ctx_done)

/* --- ids --- */

/* splitmix64 over the two halves of the seed: ids need to differ, not to be secret. */
static uint64_t next_random(struct step_ctx *c) {
        uint64_t x = c->random[0] += 0x9e3779b97f4a7c15;
        x ^= c->random[1];
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

void step_unique_id(struct step_ctx *c, char ret[24]) {
        snprintf(ret, 24, "%06llx%010llx", (unsigned long long)(next_random(c) & 0xffffff),
                 (unsigned long long)c->now_ms & 0xffffffffffULL);
}

void step_uuid(struct step_ctx *c, char ret[37]) {
        uint64_t a = next_random(c), b = next_random(c);
        snprintf(ret, 37, "%08llx-%04llx-4%03llx-%04llx-%012llx", (unsigned long long)(a >> 32), (unsigned long long)(a >> 16 & 0xffff),
                 (unsigned long long)(a & 0xfff), (unsigned long long)((b >> 48 & 0x3fff) | 0x8000),
                 (unsigned long long)(b & 0xffffffffffffULL));
}

/* --- building blocks --- */

static const char *plural_of(const char *kind) {
        return streq(kind, "ConfigMap")  ? "configmaps"
               : streq(kind, "Secret")   ? "secrets"
               : streq(kind, "Service")  ? "services"
                                         : "persistentvolumeclaims";
}

yyjson_mut_val *step_add_object(struct step_ctx *c, const char *kind, const char *name) {
        yyjson_mut_val *object = yyjson_mut_obj(c->doc);
        mjson_set_str(c->doc, object, "apiVersion", "v1");
        mjson_set_str(c->doc, object, "kind", kind);
        yyjson_mut_val *meta = mjson_obj(c->doc, object, "metadata");
        mjson_set_str(c->doc, meta, "name", name);
        *vec_push(&c->s->resources) =
                (struct submission_object){.kind = kind, .plural = plural_of(kind), .name = mjson_get_str(meta, "name"), .body = object};
        return object;
}

yyjson_mut_val *step_append(struct step_ctx *c, yyjson_mut_val *object, const char *list) {
        yyjson_mut_val *array = mjson_arr(c->doc, object, list), *item = yyjson_mut_obj(c->doc);
        yyjson_mut_arr_append(array, item);
        return item;
}

void step_add_env(struct step_ctx *c, const char *name, const char *value) {
        yyjson_mut_val *env = step_append(c, c->container, "env");
        mjson_set_str(c->doc, env, "name", name);
        mjson_set_str(c->doc, env, "value", value);
}

yyjson_mut_val *step_add_volume(struct step_ctx *c, const char *name, const char *source) {
        yyjson_mut_val *volume = step_append(c, c->spec, "volumes");
        mjson_set_str(c->doc, volume, "name", name);
        return mjson_obj(c->doc, volume, source);
}

void step_add_mount(struct step_ctx *c, const char *volume, const char *path) {
        yyjson_mut_val *mount = step_append(c, c->container, "volumeMounts");
        mjson_set_str(c->doc, mount, "mountPath", path);
        mjson_set_str(c->doc, mount, "name", volume);
}

void step_add_item(struct step_ctx *c, yyjson_mut_val *source, const char *key, const char *path, int mode) {
        yyjson_mut_val *item = step_append(c, source, "items");
        mjson_set_str(c->doc, item, "key", key);
        if (mode >= 0)
                mjson_set_int(c->doc, item, "mode", mode);
        mjson_set_str(c->doc, item, "path", path);
}

void step_prefixed(struct step_ctx *c, const char *prefix, bool substitute, yyjson_mut_val *object) {
        conf_foreach(e, c->conf) {
                const char *name = key_after(e->key, prefix);
                if (!name)
                        continue;
                AUTO(free) char *value = substitute ? spark_substitute_ids(e->value, c->app_id, "") : xstrdup(e->value);
                mjson_set_str(c->doc, object, name, value);
        }
}

int step_labels(struct step_ctx *c, yyjson_mut_val *object, struct err *err) {
        static const char *const reserved[] = {"spark-version", "spark-app-selector", "spark-app-name", "spark-role"};
        for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
                AUTO(free) char *key = xasprintf("spark.kubernetes.driver.label.%s", reserved[i]);
                if (map_has(&c->conf->entries, key))
                        return err_set(
                                err, -EINVAL,
                                "requirement failed: Label with key %s is not allowed as it is reserved for Spark bookkeeping operations.",
                                reserved[i]);
        }
        step_prefixed(c, "spark.kubernetes.driver.label.", c->features->label_variables, object);
        AUTO(free) char *label = spark_app_name_label(c->s->app_name);
        mjson_set_str(c->doc, object, "spark-version", c->conf->version.number);
        mjson_set_str(c->doc, object, "spark-app-selector", c->app_id);
        mjson_set_str(c->doc, object, "spark-app-name", label);
        mjson_set_str(c->doc, object, "spark-role", "driver");
        return 0;
}

int step_upload(struct step_ctx *c, const char *uri, const char **ret_target, struct err *err) {
        const char *base;
        int r = conf_string(c->conf, "spark.kubernetes.file.upload.path", &base, err);
        if (r < 0)
                return r;
        AUTO(free) char *resolved = juri_resolve(c->in, uri);
        AUTO(free) char *path = juri_path(resolved);
        if (!base) {
                err_set(err, -EINVAL, "Please specify spark.kubernetes.file.upload.path property.");
                err_hint(
                        err,
                        "%s is a file on this machine; put it into the image and name it local://..., or set the property to a place that both sides reach",
                        path);
                return -EINVAL;
        }
        const struct input_file *f = inputs_file(c->in, path);
        if (!f || f->kind == INPUT_ABSENT) {
                err_set(err, -ENOENT, "Uploading file %s failed...: File %s does not exist", path, resolved);
                return -ENOENT;
        }
        char uuid[37];
        step_uuid(c, uuid);
        const char *slash = strrchr(path, '/');
        struct submission_upload *u = vec_push(&c->s->uploads.list);
        u->source = xstrdup(path);
        u->directory = xasprintf("%s/spark-upload-%s", base, uuid);
        u->target = xasprintf("%s/%s", u->directory, slash ? slash + 1 : path);
        *ret_target = u->target;
        return 0;
}

/* --- the whole --- */

static int begin(struct step_ctx *c, const struct submission_request *q, struct err *err) {
        struct submission *s = c->s;
        char id[40];
        snprintf(id, sizeof(id), "spark-%016llx%016llx", (unsigned long long)next_random(c), (unsigned long long)next_random(c));
        s->app_id = xstrdup(id);
        c->app_id = s->app_id;
        const char *name = conf_get(c->conf, "spark.app.name"), *namespace_;
        s->app_name = xstrdup(name ? name : "spark");
        int r = conf_string(c->conf, "spark.kubernetes.namespace", &namespace_, err);
        if (r < 0)
                return r;
        if (!*namespace_)
                return err_set(err, -EINVAL, "spark.kubernetes.namespace is empty: leave it out for the namespace default, or name one");
        struct juri path;
        AUTO(free) char *text = xasprintf("/api/v1/namespaces/%s/pods", namespace_);
        if (!juri_parse(text, &path)) { /* the original asks its client for this path */
                err_set(err, -EINVAL, "spark.kubernetes.namespace=%s: Illegal character in path", namespace_);
                err_hint(err, "a namespace has lower case letters, digits and dashes");
                return -EINVAL;
        }
        s->namespace_ = xstrdup(namespace_);
        c->namespace_ = s->namespace_;
        step_unique_id(c, id);
        c->prefix = spark_name_prefix(s->app_name, id);
        step_unique_id(c, id);
        c->conf_map = xasprintf("spark-drv-%s-conf-map", id);
        c->service_name = xasprintf("%s-driver-svc", c->prefix);
        if (strlen(c->service_name) > 63) {
                step_unique_id(c, id);
                char *shorter = xasprintf("spark-%s-driver-svc", id);
                strv_addf(
                        &s->warnings,
                        "Driver's hostname would preferably be %s, but this is too long (must be <= 63 characters). Falling back to use %s as the driver "
                        "service's name.",
                        c->service_name, shorter);
                free(c->service_name);
                c->service_name = shorter;
        }
        return 0;
}

/* Executor volumes are not used here, but their mistakes are best told now. */
static int check_executor_volumes(struct step_ctx *c, struct err *err) {
        AUTO(volumes) struct volumes v = {0};
        return volumes_parse(c->conf, "spark.kubernetes.executor.volumes.", &v, err);
}

static int load_pod(struct step_ctx *c, struct err *err) {
        const char *file, *container;
        int r = conf_string(c->conf, "spark.kubernetes.driver.podTemplateFile", &file, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.driver.podTemplateContainerName", &container, err);
        if (r < 0)
                return r;
        struct submission *s = c->s;
        if (file) {
                r = template_load(c->conf->version.line, c->in, file, container, s->doc, &s->pod, &c->container, &s->warnings, err);
                if (r < 0)
                        return err_wrap(err, r, "Could not load pod from template file.");
        } else {
                s->pod = yyjson_mut_obj(s->doc);
                mjson_set_str(s->doc, s->pod, "apiVersion", "v1");
                mjson_set_str(s->doc, s->pod, "kind", "Pod");
                c->container = yyjson_mut_obj(s->doc);
        }
        yyjson_mut_val *meta = mjson_obj(s->doc, s->pod, "metadata");
        if (yyjson_mut_obj_get(meta, "namespace"))
                mjson_set_str(s->doc, meta, "namespace", c->namespace_);
        c->spec = mjson_obj(s->doc, s->pod, "spec");
        return 0;
}

static int user_steps(struct step_ctx *c, struct err *err) {
        AUTO(strv) struct strv names = {0};
        int r = conf_list(c->conf, "spark.kubernetes.driver.pod.featureSteps", &names, err);
        if (r < 0 || names.len == 0)
                return r;
        err_set(err, -ENOTSUP,
                "spark.kubernetes.driver.pod.featureSteps: cannot run the feature step %s: it is a Java class (java.lang.ClassNotFoundException: %s)",
                names.items[0], names.items[0]);
        err_hint(err, "put what it adds into a pod template (spark.kubernetes.driver.podTemplateFile)");
        return -ENOTSUP;
}

static int run_steps(struct step_ctx *c, struct err *err) {
        AUTO(strv) struct strv excluded = {0};
        int r = 0;
        if (c->features->excluded_steps)
                r = conf_list(c->conf, "spark.kubernetes.driver.pod.excludedFeatureSteps", &excluded, err);
        for (size_t i = 0; i < ARRAY_LEN(steps) && r >= 0; i++)
                if (steps[i].check)
                        r = steps[i].check(c, err);
        for (size_t i = 0; i < ARRAY_LEN(steps) && r >= 0; i++)
                if (!steps[i].class_name || !strv_has(&excluded, steps[i].class_name))
                        r = steps[i].run(c, err);
        return r;
}

int submission_build(const struct submission_request *q, struct submission **ret, struct err *err) {
        AUTO(submission) struct submission *s = NEW(struct submission);
        s->doc = yyjson_mut_doc_new(NULL);
        AUTO(step_ctx) struct step_ctx c = {
                .conf = q->conf,
                .features = spark_features(q->conf->version.line),
                .app = q->app,
                .in = q->in,
                .s = s,
                .doc = s->doc,
                .random = {q->ids.seed[0], q->ids.seed[1]},
                .now_ms = q->ids.now_ms,
        };
        spark_conf_init(&c.props, q->conf->version);
        conf_copy(&c.props, q->conf);
        int r = begin(&c, q, err);
        if (r >= 0)
                r = check_executor_volumes(&c, err);
        if (r >= 0)
                r = load_pod(&c, err);
        if (r >= 0)
                r = user_steps(&c, err);
        if (r >= 0)
                r = run_steps(&c, err);
        if (r < 0) {
                if (q->planned) {
                        *q->planned = s->uploads;
                        s->uploads = (struct submission_uploads){0};
                }
                return r;
        }
        const char *pod_name = mjson_str_at(s->pod, "/metadata/name");
        s->pod_name = xstrdup(pod_name ? pod_name : "");
        s->submission_id = xasprintf("%s:%s", s->namespace_, s->pod_name);
        *ret = TAKE(s);
        return 0;
}

static void own(struct submission *s, yyjson_mut_val *body, const char *uid) {
        yyjson_mut_val *meta = mjson_obj(s->doc, body, "metadata");
        mjson_remove(meta, "ownerReferences");
        yyjson_mut_val *owner = yyjson_mut_obj(s->doc);
        yyjson_mut_arr_append(mjson_arr(s->doc, meta, "ownerReferences"), owner);
        mjson_set_str(s->doc, owner, "apiVersion", "v1");
        mjson_set_str(s->doc, owner, "kind", mjson_get_str(s->pod, "kind"));
        mjson_set_bool(s->doc, owner, "controller", true);
        mjson_set_str(s->doc, owner, "name", s->pod_name);
        mjson_set_str(s->doc, owner, "uid", uid);
}

int submission_waiting(struct spark_conf *conf, bool *ret_wait, int64_t *ret_interval_ms, struct err *err) {
        bool wait;
        int r = conf_bool(conf, "spark.kubernetes.submission.waitAppCompletion", &wait, err);
        if (r >= 0 && wait)
                r = conf_long(conf, "spark.kubernetes.report.interval", ret_interval_ms, err);
        if (r >= 0)
                *ret_wait = wait;
        return r;
}

void submission_set_owner(struct submission *s, const char *pod_uid) {
        vec_foreach(o, &s->pre) own(s, o->body, pod_uid);
        vec_foreach(o, &s->resources) own(s, o->body, pod_uid);
}

yyjson_mut_doc *submission_list(const struct submission *s) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *list = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, list);
        mjson_set_str(doc, list, "apiVersion", "v1");
        mjson_set_str(doc, list, "kind", "List");
        yyjson_mut_val *items = mjson_arr(doc, list, "items");
        vec_foreach(o, &s->pre) yyjson_mut_arr_append(items, yyjson_mut_val_mut_copy(doc, o->body));
        yyjson_mut_arr_append(items, yyjson_mut_val_mut_copy(doc, s->pod));
        vec_foreach(o, &s->resources) yyjson_mut_arr_append(items, yyjson_mut_val_mut_copy(doc, o->body));
        return doc;
}
