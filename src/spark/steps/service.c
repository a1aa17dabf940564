/* DriverServiceFeatureStep: the headless service by which executors find the driver. */
#include <stdio.h>

#include "spark/steps/steps.h"

int step_service_check(struct step_ctx *c, struct err *err) {
        if (conf_has(c->conf, "spark.driver.bindAddress"))
                return err_set(
                        err, -EINVAL,
                        "requirement failed: spark.driver.bindAddress is not supported in Kubernetes mode, as the driver's bind address is managed and set "
                        "to the driver pod's IP address.");
        if (conf_has(c->conf, "spark.driver.host"))
                return err_set(
                        err, -EINVAL,
                        "requirement failed: spark.driver.host is not supported in Kubernetes mode, as the driver's hostname will be managed via a "
                        "Kubernetes service.");
        return 0;
}

static void add_port(struct step_ctx *c, yyjson_mut_val *spec, const char *name, int number) {
        yyjson_mut_val *port = step_append(c, spec, "ports");
        mjson_set_str(c->doc, port, "name", name);
        mjson_set_int(c->doc, port, "port", number);
        mjson_set_int(c->doc, port, "targetPort", number);
}

static int fill_spec(struct step_ctx *c, yyjson_mut_val *spec, struct err *err) {
        const char *policy, *families;
        int rpc, blocks, ui, connect = 0;
        int r = conf_string(c->conf, "spark.kubernetes.driver.service.ipFamilyPolicy", &policy, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.driver.service.ipFamilies", &families, err);
        if (r >= 0)
                r = conf_int_or(c->conf, "spark.driver.port", 7078, &rpc, err);
        if (r >= 0)
                r = conf_int_or(c->conf, "spark.driver.blockManager.port", 7079, &blocks, err);
        if (r >= 0)
                r = conf_int(c->conf, "spark.ui.port", &ui, err);
        if (r >= 0 && c->features->connect_port)
                r = conf_int_or(c->conf, "spark.connect.grpc.binding.port", 15002, &connect, err);
        if (r < 0)
                return r;
        mjson_set_str(c->doc, spec, "clusterIP", "None");
        AUTO(strv) struct strv list = {0};
        java_split(families, ',', &list);
        yyjson_mut_val *array = mjson_arr(c->doc, spec, "ipFamilies");
        for (size_t i = 0; i < list.len; i++)
                mjson_add_str(c->doc, array, list.items[i]);
        mjson_set_str(c->doc, spec, "ipFamilyPolicy", policy);
        add_port(c, spec, "driver-rpc-port", rpc);
        add_port(c, spec, "blockmanager", blocks);
        add_port(c, spec, "spark-ui", ui);
        if (c->features->connect_port)
                add_port(c, spec, "spark-connect", connect);

        char number[16];
        AUTO(free) char *host = xasprintf("%s.%s.svc", c->service_name, c->namespace_);
        conf_set(&c->props, "spark.driver.host", host);
        snprintf(number, sizeof(number), "%d", rpc);
        conf_set(&c->props, "spark.driver.port", number);
        snprintf(number, sizeof(number), "%d", blocks);
        conf_set(&c->props, "spark.driver.blockManager.port", number);
        return step_labels(c, mjson_obj(c->doc, spec, "selector"), err);
}

int step_service(struct step_ctx *c, struct err *err) {
        yyjson_mut_val *service = step_add_object(c, "Service", c->service_name);
        yyjson_mut_val *meta = mjson_obj(c->doc, service, "metadata");
        yyjson_mut_val *annotations = mjson_obj(c->doc, meta, "annotations"), *labels = mjson_obj(c->doc, meta, "labels");
        step_prefixed(c, "spark.kubernetes.driver.service.annotation.", false, annotations);
        if (yyjson_mut_obj_size(annotations) == 0)
                mjson_remove(meta, "annotations");
        mjson_set_str(c->doc, labels, "spark-app-selector", c->app_id);
        step_prefixed(c, "spark.kubernetes.driver.service.label.", false, labels);
        return fill_spec(c, mjson_obj(c->doc, service, "spec"), err);
}
