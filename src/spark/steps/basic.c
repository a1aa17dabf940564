/* BasicDriverFeatureStep: image, resources, ports, environment, names and labels; uploads of the listed files. */
#include <stdio.h>

#include "spark/juri.h"
#include "spark/memory.h"
#include "spark/steps/steps.h"
#include "spark/text.h"

int step_basic_check(struct step_ctx *c, struct err *err) {
        const char *image;
        int cores;
        struct driver_memory memory;
        int r = conf_string(c->conf, "spark.kubernetes.driver.container.image", &image, err);
        if (r < 0)
                return r;
        if (!image) {
                err_set(err, -EINVAL, "Must specify the driver container image");
                err_hint(err, "set spark.kubernetes.container.image, for example to apache/spark:%s", c->conf->version.number);
                return -EINVAL;
        }
        r = conf_int(c->conf, "spark.driver.cores", &cores, err);
        return r < 0 ? r : driver_memory(c->conf, c->app->kind == APP_JAVA, &memory, err);
}

static int set_image(struct step_ctx *c, struct err *err) {
        const char *image, *policy;
        int r = conf_string(c->conf, "spark.kubernetes.driver.container.image", &image, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.container.image.pullPolicy", &policy, err);
        if (r < 0)
                return r;
        AUTO(free) char *filled =
                c->features->image_variables ? text_replace_all(image, "{{SPARK_VERSION}}", c->conf->version.number) : xstrdup(image);
        mjson_set_str(c->doc, c->container, "image", filled);
        mjson_set_str(c->doc, c->container, "imagePullPolicy", policy);
        return 0;
}

static void add_port(struct step_ctx *c, const char *name, int number) {
        yyjson_mut_val *port = step_append(c, c->container, "ports");
        mjson_set_int(c->doc, port, "containerPort", number);
        mjson_set_str(c->doc, port, "name", name);
        mjson_set_str(c->doc, port, "protocol", "TCP");
}

static int add_ports(struct step_ctx *c, struct err *err) {
        int rpc, blocks, ui, connect = 0;
        int r = conf_int_or(c->conf, "spark.driver.port", 7078, &rpc, err);
        if (r >= 0)
                r = conf_int_or(c->conf, "spark.blockManager.port", 7079, &blocks, err);
        if (r >= 0)
                r = conf_int_or(c->conf, "spark.driver.blockManager.port", blocks, &blocks, err);
        if (r >= 0)
                r = conf_int(c->conf, "spark.ui.port", &ui, err);
        if (r >= 0 && c->features->connect_port)
                r = conf_int_or(c->conf, "spark.connect.grpc.binding.port", 15002, &connect, err);
        if (r < 0)
                return r;
        add_port(c, "driver-rpc-port", rpc);
        add_port(c, "blockmanager", blocks);
        add_port(c, "spark-ui", ui);
        if (c->features->connect_port)
                add_port(c, "spark-connect", connect);
        return 0;
}

/* $SPARK_USER, else who Hadoop takes the submitter for. */
static char *user_name(const struct step_ctx *c) {
        const char *user = inputs_env(c->in, "SPARK_USER");
        if (user)
                return xstrdup(user);
        user = c->app->proxy_user;
        if (!user)
                user = inputs_env(c->in, "HADOOP_PROXY_USER");
        if (!user)
                user = inputs_env(c->in, "HADOOP_USER_NAME");
        char *name = user ? hadoop_short_name(user) : NULL; /* submission_prepare() has refused what has none */
        return name ? name : xstrdup(c->in->user ? c->in->user : "");
}

static void add_environment(struct step_ctx *c) {
        AUTO(free) char *user = user_name(c);
        step_add_env(c, "SPARK_USER", user);
        step_add_env(c, "SPARK_APPLICATION_ID", c->app_id);
        conf_foreach(e, c->conf) {
                const char *name = key_after(e->key, "spark.kubernetes.driverEnv.");
                if (name)
                        step_add_env(c, name, e->value);
        }
        yyjson_mut_val *bind = step_append(c, c->container, "env");
        mjson_set_str(c->doc, bind, "name", "SPARK_DRIVER_BIND_ADDRESS");
        yyjson_mut_val *field = mjson_obj(c->doc, mjson_obj(c->doc, bind, "valueFrom"), "fieldRef");
        mjson_set_str(c->doc, field, "apiVersion", "v1");
        mjson_set_str(c->doc, field, "fieldPath", "status.podIP");
}

/* spark.driver.resource.<name>.{amount,vendor}: device limits. */
static int add_devices(struct step_ctx *c, yyjson_mut_val *limits, struct err *err) {
        AUTO(strv) struct strv seen = {0};
        conf_foreach(e, c->conf) {
                const char *rest = key_after(e->key, "spark.driver.resource.");
                if (!rest)
                        continue;
                AUTO(free) char *name = xstrndup(rest, strcspn(rest, "."));
                if (!strchr(rest, '.'))
                        return err_set(err, -EINVAL, "You must specify an amount config for resource: %s config: %s", rest, e->key);
                if (strv_has(&seen, name))
                        continue;
                strv_add(&seen, name);
                AUTO(free) char *amount_key = xasprintf("spark.driver.resource.%s.amount", name);
                AUTO(free) char *vendor_key = xasprintf("spark.driver.resource.%s.vendor", name);
                const char *amount = conf_get(c->conf, amount_key), *vendor = conf_get(c->conf, vendor_key);
                int n;
                if (!amount)
                        return err_set(err, -EINVAL, "You must specify an amount for %s", name);
                if (!java_parse_int(amount, &n))
                        return err_set(err, -EINVAL, "%s: For input string: \"%s\"", amount_key, amount);
                if (n <= 0)
                        continue;
                if (!vendor) {
                        err_set(err, -EINVAL, "Resource: %s was requested, but vendor was not specified.", name);
                        err_hint(err, "set %s, for example to nvidia.com", vendor_key);
                        return -EINVAL;
                }
                AUTO(free) char *full = xasprintf("%s/%s", vendor, name);
                char number[16];
                snprintf(number, sizeof(number), "%d", n);
                mjson_set_str(c->doc, limits, full, number);
        }
        return 0;
}

static int set_resources(struct step_ctx *c, double *ret_factor, struct err *err) {
        int cores;
        const char *request, *limit;
        struct driver_memory memory;
        int r = conf_int(c->conf, "spark.driver.cores", &cores, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.driver.request.cores", &request, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.driver.limit.cores", &limit, err);
        if (r >= 0)
                r = driver_memory(c->conf, c->app->kind == APP_JAVA, &memory, err);
        if (r < 0)
                return r;
        if ((request && !*request) || (limit && !*limit))
                return err_set(err, -EINVAL, "Invalid quantity string format passed: spark.kubernetes.driver.%s.cores is empty",
                               request && !*request ? "request" : "limit");
        char cpu[16], mib[32];
        snprintf(cpu, sizeof(cpu), "%d", cores);
        snprintf(mib, sizeof(mib), "%lldMi", (long long)memory.total_mib);
        yyjson_mut_val *resources = mjson_obj(c->doc, c->container, "resources");
        yyjson_mut_val *limits = mjson_obj(c->doc, resources, "limits"), *requests = mjson_obj(c->doc, resources, "requests");
        mjson_set_str(c->doc, limits, "cpu", limit);
        mjson_set_str(c->doc, limits, "memory", mib);
        mjson_set_str(c->doc, requests, "cpu", request ? request : cpu);
        mjson_set_str(c->doc, requests, "memory", mib);
        *ret_factor = memory.factor;
        return add_devices(c, limits, err);
}

static int set_metadata(struct step_ctx *c, const char *pod_name, struct err *err) {
        yyjson_mut_val *meta = mjson_obj(c->doc, c->s->pod, "metadata");
        int r = step_labels(c, mjson_obj(c->doc, meta, "labels"), err);
        if (r < 0)
                return r;
        yyjson_mut_val *annotations = mjson_obj(c->doc, meta, "annotations");
        step_prefixed(c, "spark.kubernetes.driver.annotation.", true, annotations);
        if (yyjson_mut_obj_size(annotations) == 0)
                mjson_remove(meta, "annotations");
        mjson_set_str(c->doc, meta, "name", pod_name);
        return 0;
}

static int set_spec(struct step_ctx *c, struct err *err) {
        const char *scheduler, *own_scheduler;
        AUTO(strv) struct strv secrets = {0};
        int r = conf_string(c->conf, "spark.kubernetes.scheduler.name", &scheduler, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.kubernetes.driver.scheduler.name", &own_scheduler, err);
        if (r >= 0)
                r = conf_list(c->conf, "spark.kubernetes.container.image.pullSecrets", &secrets, err);
        if (r < 0)
                return r;
        mjson_set_str(c->doc, c->spec, "restartPolicy", "Never");
        yyjson_mut_val *selector = mjson_obj(c->doc, c->spec, "nodeSelector");
        step_prefixed(c, "spark.kubernetes.node.selector.", false, selector);
        step_prefixed(c, "spark.kubernetes.driver.node.selector.", false, selector);
        if (yyjson_mut_obj_size(selector) == 0)
                mjson_remove(c->spec, "nodeSelector");
        for (size_t i = 0; i < secrets.len; i++)
                mjson_set_str(c->doc, step_append(c, c->spec, "imagePullSecrets"), "name", secrets.items[i]);
        mjson_set_str(c->doc, c->spec, "schedulerName", own_scheduler ? own_scheduler : scheduler);
        return 0;
}

/* Local files of a list are uploaded and come first; what is elsewhere follows. Archives keep their #name. */
static int upload_list(struct step_ctx *c, const char *key, bool keep_fragment, struct err *err) {
        AUTO(strv) struct strv uris = {0};
        AUTO(strv) struct strv remote = {0};
        AUTO(strv) struct strv result = {0};
        int r = conf_list(c->conf, key, &uris, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < uris.len; i++) {
                if (!juri_is_local_file(uris.items[i])) {
                        strv_add(&remote, uris.items[i]);
                        continue;
                }
                const char *target;
                r = step_upload(c, uris.items[i], &target, err);
                if (r < 0)
                        return r;
                AUTO(free) char *fragment = keep_fragment ? juri_fragment(uris.items[i]) : NULL;
                AUTO(free) char *quoted = keep_fragment ? juri_quote_path(target) : NULL;
                const char *path = quoted ? key_after(quoted, "file://") : NULL; /* the original spells these anew */
                strv_addf(&result, "%s%s%s%s", path ? "file:" : "",
                          path     ? path
                          : quoted ? quoted
                                   : target,
                          fragment ? "#" : "", fragment ? fragment : "");
        }
        if (result.len == 0)
                return 0;
        for (size_t i = 0; i < remote.len; i++)
                strv_add(&result, remote.items[i]);
        AUTO(free) char *joined = strv_join(&result, ",");
        conf_set(&c->props, key, joined);
        return 0;
}

static int set_properties(struct step_ctx *c, const char *pod_name, double factor, struct err *err) {
        static const char *const lists[] = {"spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles"};
        char number[32];
        java_format_double(factor, number);
        conf_set(&c->props, "spark.kubernetes.driver.pod.name", pod_name);
        conf_set(&c->props, "spark.app.id", c->app_id);
        conf_set(&c->props, "spark.kubernetes.submitInDriver", "true");
        conf_set(&c->props, "spark.kubernetes.memoryOverheadFactor", number);
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                int r = upload_list(c, lists[i], streq(lists[i], "spark.archives"), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int step_basic(struct step_ctx *c, struct err *err) {
        const char *given;
        double factor = 0;
        int r = conf_string(c->conf, "spark.kubernetes.driver.pod.name", &given, err);
        if (r < 0)
                return r;
        AUTO(free) char *pod_name = given ? xstrdup(given) : xasprintf("%s-driver", c->prefix);
        if (!mjson_get_str(c->container, "name"))
                mjson_set_str(c->doc, c->container, "name", "spark-kubernetes-driver");
        r = set_image(c, err);
        if (r >= 0)
                r = set_resources(c, &factor, err);
        if (r >= 0)
                r = add_ports(c, err);
        if (r < 0)
                return r;
        add_environment(c);
        r = set_metadata(c, pod_name, err);
        if (r >= 0)
                r = set_spec(c, err);
        if (r >= 0)
                r = set_properties(c, pod_name, factor, err);
        return r;
}
