/* DriverCommandFeatureStep: the driver's arguments, and the Python it is to use. */
#include "spark/juri.h"
#include "spark/steps/steps.h"

static void add_arg(struct step_ctx *c, const char *text) { mjson_add_str(c->doc, mjson_arr(c->doc, c->container, "args"), text); }

static void add_args(struct step_ctx *c, const char *resource) {
        add_arg(c, "driver");
        if (c->app->proxy_user) {
                add_arg(c, "--proxy-user");
                add_arg(c, c->app->proxy_user);
        }
        add_arg(c, "--properties-file");
        add_arg(c, "/opt/spark/conf/spark.properties");
        add_arg(c, "--class");
        add_arg(c, c->app->main_class);
        add_arg(c, resource);
        for (size_t i = 0; i < c->app->args.len; i++)
                add_arg(c, c->app->args.items[i]);
}

/* 3.5 knows a key for Python's major version, of which only 3 is left. */
static int check_python_version(struct step_ctx *c, struct err *err) {
        const char *version = NULL;
        int r = c->features->python_version_key ? conf_string(c->conf, "spark.kubernetes.pyspark.pythonVersion", &version, err) : 0;
        if (r < 0 || !version)
                return r;
        if (!streq(version, "3"))
                return err_set(err, -EINVAL, "'%s' in spark.kubernetes.pyspark.pythonVersion is invalid. %s", version,
                               spark_key_find("spark.kubernetes.pyspark.pythonVersion")->requirement);
        strv_addf(
                &c->s->warnings,
                "spark.kubernetes.pyspark.pythonVersion was deprecated in Spark 3.1. Please set 'spark.pyspark.python' and "
                "'spark.pyspark.driver.python' configurations or PYSPARK_PYTHON and PYSPARK_DRIVER_PYTHON environment variables instead.");
        return 0;
}

static int add_python(struct step_ctx *c, struct err *err) {
        const char *python, *driver;
        int r = check_python_version(c, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.pyspark.python", &python, err);
        if (r >= 0)
                r = conf_string(c->conf, "spark.pyspark.driver.python", &driver, err);
        if (r < 0)
                return r;
        const char *env_python = inputs_env(c->in, "PYSPARK_PYTHON"), *env_driver = inputs_env(c->in, "PYSPARK_DRIVER_PYTHON");
        driver = driver ? driver : python ? python : env_driver ? env_driver : env_python;
        python = python ? python : env_python;
        if (python)
                step_add_env(c, "PYSPARK_PYTHON", python);
        if (driver)
                step_add_env(c, "PYSPARK_DRIVER_PYTHON", driver);
        return 0;
}

int step_command(struct step_ctx *c, struct err *err) {
        static const char *const types[] = {[APP_JAVA] = "java", [APP_PYTHON] = "python", [APP_R] = "r"};
        const char *resource = c->app->resource ? c->app->resource : "spark-internal";
        int r = 0;
        if (c->app->kind == APP_JAVA && c->app->resource && juri_is_local_file(resource))
                resource = "spark-internal"; /* the jar reaches the driver by spark.jars */
        if (c->app->kind == APP_PYTHON) {
                if (juri_is_local_file(resource))
                        r = step_upload(c, resource, &resource, err);
                if (r >= 0)
                        r = add_python(c, err);
        }
        if (r < 0)
                return r;
        add_args(c, resource);
        conf_set(&c->props, "spark.kubernetes.resource.type", types[c->app->kind]);
        return 0;
}
