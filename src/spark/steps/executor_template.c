/* PodTemplateConfigMapStep: the executors' pod template travels to the driver in a ConfigMap. */
#include "spark/steps/steps.h"
#include "spark/template.h"

int step_executor_template(struct step_ctx *c, struct err *err) {
        const char *file;
        int r = conf_string(c->conf, "spark.kubernetes.executor.podTemplateFile", &file, err);
        if (r < 0 || !file)
                return r;
        AUTO(str) struct str text = STR_INIT(0);
        r = template_text(c->in, file, c->features->strict_utf8, &text, err);
        if (r < 0)
                return r;
        AUTO(free) char *name = xasprintf("%s-driver-podspec-conf-map", c->prefix);
        yyjson_mut_val *source = step_add_volume(c, "pod-template-volume", "configMap");
        step_add_item(c, source, "podspec-configmap-key", "pod-spec-template.yml", -1);
        mjson_set_str(c->doc, source, "name", name);
        step_add_mount(c, "pod-template-volume", "/opt/spark/pod-template");
        yyjson_mut_val *map = step_add_object(c, "ConfigMap", name);
        mjson_set_str(c->doc, mjson_obj(c->doc, map, "data"), "podspec-configmap-key", str_cstr(&text));
        mjson_set_bool(c->doc, map, "immutable", true);
        conf_set(&c->props, "spark.kubernetes.executor.podTemplateFile", "/opt/spark/pod-template/pod-spec-template.yml");
        return 0;
}
