/* HadoopConfDriverFeatureStep: $HADOOP_CONF_DIR as a ConfigMap, or one that exists. */
#include "spark/steps/steps.h"

int step_hadoop_conf_check(struct step_ctx *c, struct err *err) {
        const char *existing;
        int r = conf_string(c->conf, "spark.kubernetes.hadoop.configMapName", &existing, err);
        if (r < 0)
                return r;
        if (inputs_env(c->in, "HADOOP_CONF_DIR") && existing)
                return err_set(
                        err, -EINVAL,
                        "requirement failed: Do not specify both the `HADOOP_CONF_DIR` in your ENV and the ConfigMap as the creation of an additional "
                        "ConfigMap, when one is already specified is extraneous");
        return 0;
}

int step_hadoop_conf(struct step_ctx *c, struct err *err) {
        const char *dir = inputs_env(c->in, "HADOOP_CONF_DIR"), *existing;
        int r = conf_string(c->conf, "spark.kubernetes.hadoop.configMapName", &existing, err);
        if (r < 0 || (!dir && !existing))
                return r;
        AUTO(free) char *own = xasprintf("%s-hadoop-config", c->prefix);
        yyjson_mut_val *source = step_add_volume(c, "hadoop-properties", "configMap");
        mjson_set_str(c->doc, source, "name", existing ? existing : own);
        step_add_mount(c, "hadoop-properties", "/opt/hadoop/conf");
        step_add_env(c, "HADOOP_CONF_DIR", "/opt/hadoop/conf");
        conf_set(&c->props, "spark.kubernetes.executor.hadoopConfigMapName", existing ? existing : own);
        if (existing)
                return 0;
        yyjson_mut_val *map = step_add_object(c, "ConfigMap", own), *data = NULL;
        const struct input_file *listing = *dir ? inputs_file(c->in, dir) : NULL;
        for (size_t i = 0; listing && i < listing->names.len; i++) {
                AUTO(free) char *path = xasprintf("%s/%s", dir, listing->names.items[i]);
                const struct input_file *f = inputs_file(c->in, path);
                if (!f || f->kind != INPUT_FILE)
                        continue;
                AUTO(str) struct str text = STR_INIT(0);
                r = inputs_text(c->in, path, "HADOOP_CONF_DIR", c->features->strict_utf8, &text, err);
                if (r < 0)
                        return r;
                step_add_item(c, source, listing->names.items[i], listing->names.items[i], -1);
                data = data ? data : mjson_obj(c->doc, map, "data");
                mjson_set_str(c->doc, data, listing->names.items[i], str_cstr(&text));
        }
        mjson_set_bool(c->doc, map, "immutable", true);
        return 0;
}
