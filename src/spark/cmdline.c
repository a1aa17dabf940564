#include "spark/cmdline.h"

#include <stdio.h>

#include "spark/conf.h"
#include "spark/text.h"

#define BOTH (SPARK_KEY_IN_35 | SPARK_KEY_IN_41)

const struct submit_option submit_options[SUBMIT_ARGS] = {
        [SUBMIT_ARCHIVES] = {"--archives", NULL, "LIST", NULL, "archives to unpack in the working directory of each executor (file#name)",
                             BOTH},
        [SUBMIT_CLASS] = {"--class", NULL, "CLASS", NULL, "the application's main class", BOTH},
        [SUBMIT_CONF] = {"--conf", "-c", "KEY=VALUE", NULL, "a configuration property", BOTH},
        [SUBMIT_DEPLOY_MODE] = {"--deploy-mode", NULL, "MODE", NULL, "where the driver runs: client (here) or cluster (in a pod)", BOTH},
        [SUBMIT_DRIVER_CLASS_PATH] = {"--driver-class-path", NULL, "PATHS", "spark.driver.extraClassPath",
                                      "class path entries for the driver", BOTH},
        [SUBMIT_DRIVER_CORES] = {"--driver-cores", NULL, "N", NULL, "cores of the driver", BOTH},
        [SUBMIT_DRIVER_DEFAULT_CLASS_PATH] = {"--driver-default-class-path", NULL, "PATHS", "spark.driver.defaultExtraClassPath",
                                              "class path entries put before all others of the driver", SPARK_KEY_IN_41},
        [SUBMIT_DRIVER_JAVA_OPTIONS] = {"--driver-java-options", NULL, "OPTIONS", "spark.driver.extraJavaOptions",
                                        "Java options for the driver", BOTH},
        [SUBMIT_DRIVER_LIBRARY_PATH] = {"--driver-library-path", NULL, "PATHS", "spark.driver.extraLibraryPath",
                                        "library path for the driver", BOTH},
        [SUBMIT_DRIVER_MEMORY] = {"--driver-memory", NULL, "SIZE", "spark.driver.memory", "memory of the driver's JVM (512m, 2g)", BOTH},
        [SUBMIT_EXECUTOR_CORES] = {"--executor-cores", NULL, "N", NULL, "cores of each executor", BOTH},
        [SUBMIT_EXECUTOR_MEMORY] = {"--executor-memory", NULL, "SIZE", NULL, "memory of each executor's JVM", BOTH},
        [SUBMIT_FILES] = {"--files", NULL, "LIST", NULL, "files for the working directory of each executor", BOTH},
        [SUBMIT_JARS] = {"--jars", NULL, "LIST", NULL, "jars for the class paths of driver and executors", BOTH},
        [SUBMIT_KEYTAB] = {"--keytab", NULL, "FILE", NULL, "keytab for the Kerberos principal", BOTH},
        [SUBMIT_KILL] = {"--kill", NULL, "ID", NULL, "stop an application: NAMESPACE:DRIVER-POD; a name may end in *", BOTH},
        [SUBMIT_MASTER] = {"--master", NULL, "URL", NULL, "k8s://https://host:port, or another cluster manager's", BOTH},
        [SUBMIT_REMOTE] = {"--remote", NULL, "URL", NULL, "a Spark Connect server (client mode only)", BOTH},
        [SUBMIT_NAME] = {"--name", NULL, "NAME", NULL, "the application's name", BOTH},
        [SUBMIT_NUM_EXECUTORS] = {"--num-executors", NULL, "N", NULL, "number of executors", BOTH},
        [SUBMIT_PACKAGES] = {"--packages", NULL, "LIST", NULL, "Maven coordinates (group:artifact:version) that the driver resolves", BOTH},
        [SUBMIT_EXCLUDE_PACKAGES] = {"--exclude-packages", NULL, "LIST", NULL, "group:artifact pairs to leave out of --packages", BOTH},
        [SUBMIT_PRINCIPAL] = {"--principal", NULL, "NAME", NULL, "Kerberos principal", BOTH},
        [SUBMIT_PROPERTIES_FILE] = {"--properties-file", NULL, "FILE", NULL, "properties file to read instead of conf/spark-defaults.conf",
                                    BOTH},
        [SUBMIT_PROXY_USER] = {"--proxy-user", NULL, "USER", NULL, "user to impersonate", BOTH},
        [SUBMIT_PY_FILES] = {"--py-files", NULL, "LIST", NULL, ".zip, .egg and .py files for the Python path", BOTH},
        [SUBMIT_QUEUE] = {"--queue", NULL, "NAME", NULL, "queue (YARN only)", BOTH},
        [SUBMIT_REPOSITORIES] = {"--repositories", NULL, "LIST", NULL, "more Maven repositories for --packages", BOTH},
        [SUBMIT_STATUS] = {"--status", NULL, "ID", NULL, "show the state of an application, named as for --kill", BOTH},
        [SUBMIT_TOTAL_EXECUTOR_CORES] = {"--total-executor-cores", NULL, "N", NULL, "cores of all executors together (standalone only)",
                                         BOTH},
        [SUBMIT_HELP] = {"--help", "-h", NULL, NULL, "this help", BOTH},
        [SUBMIT_SUPERVISE] = {"--supervise", NULL, NULL, NULL, "restart a failed driver (standalone only)", BOTH},
        [SUBMIT_USAGE_ERROR] = {"--usage-error", NULL, NULL, NULL, NULL, BOTH},
        [SUBMIT_VERBOSE] = {"--verbose", "-v", NULL, NULL, "say what the arguments were taken for", BOTH},
        [SUBMIT_VERSION] = {"--version", NULL, NULL, NULL, "the version of Spark that is imitated", BOTH},
        [SUBMIT_LOAD_SPARK_DEFAULTS] = {"--load-spark-defaults", NULL, NULL, NULL,
                                        "read conf/spark-defaults.conf too when --properties-file is given", SPARK_KEY_IN_41},
};

void submit_args_init(struct submit_args *a, enum spark_line line) {
        *a = (struct submit_args){.line = line, .properties = MAP_INIT(free)};
}

void submit_args_done(struct submit_args *a) {
        for (int i = 0; i < SUBMIT_ARGS; i++)
                free(a->values[i]);
        map_done(&a->properties);
        free(a->resource);
        strv_done(&a->app_args);
        strv_done(&a->warnings);
}

static int usage_error(struct submit_args *a, struct err *err, const char *fmt, const char *what) {
        a->usage = true;
        return err_set(err, -EINVAL, fmt, what);
}

int submit_args_check_java_options(struct submit_args *a, struct err *err) {
        const char *options = map_get(&a->properties, "spark.driver.extraJavaOptions");
        for (const char *p = options; p && (p = strstr(p, "-Xmx")); p++) {
                if (p != options && !strchr(" \t\"'", p[-1]))
                        continue;
                usage_error(
                        a, err,
                        "Not allowed to specify max heap(Xmx) memory settings through java options (was %s). Use the corresponding --driver-memory or "
                        "spark.driver.memory configuration instead.",
                        options);
                return -EINVAL;
        }
        return 0;
}

static int set_conf(struct submit_args *a, const char *text, struct err *err) {
        const char *equals = strchr(text, '=');
        if (!equals)
                return usage_error(a, err, "Invalid argument to --conf: %s", text);
        map_set_n(&a->properties, text, (size_t)(equals - text), xstrdup(equals + 1));
        return 0;
}

static void set_action(struct submit_args *a, enum submit_action action) {
        if (a->action != SUBMIT_ACTION_HELP && a->action != SUBMIT_ACTION_USAGE)
                a->action = action;
}

int submit_args_set(struct submit_args *a, enum submit_arg which, const char *value, struct err *err) {
        const struct submit_option *o = &submit_options[which];
        if (which == SUBMIT_CONF)
                return set_conf(a, value, err);
        if (o->key) {
                map_set(&a->properties, o->key, xstrdup(value));
                return 0;
        }
        switch (which) {
        case SUBMIT_HELP:
                set_action(a, SUBMIT_ACTION_HELP);
                return 0;
        case SUBMIT_USAGE_ERROR:
                set_action(a, SUBMIT_ACTION_USAGE);
                return 0;
        case SUBMIT_VERSION:
                if (a->action == SUBMIT_ACTION_SUBMIT)
                        a->action = SUBMIT_ACTION_VERSION;
                return 0;
        case SUBMIT_VERBOSE:
                a->verbose = true;
                return 0;
        case SUBMIT_SUPERVISE:
                a->supervise = true;
                return 0;
        case SUBMIT_LOAD_SPARK_DEFAULTS:
                a->load_defaults = true;
                return 0;
        case SUBMIT_KILL:
        case SUBMIT_STATUS:
                if (a->action == SUBMIT_ACTION_KILL || a->action == SUBMIT_ACTION_STATUS)
                        return err_set(err, -EINVAL, "Action cannot be both %s and %s.",
                                       a->action == SUBMIT_ACTION_KILL ? "KILL" : "REQUEST_STATUS",
                                       which == SUBMIT_KILL ? "KILL" : "REQUEST_STATUS");
                if (a->action == SUBMIT_ACTION_SUBMIT)
                        a->action = which == SUBMIT_KILL ? SUBMIT_ACTION_KILL : SUBMIT_ACTION_STATUS;
                break;
        default:
                break;
        }
        free(a->values[which]);
        a->values[which] = xstrdup(value);
        a->given[which] = true;
        return 0;
}

void submit_args_set_resource(struct submit_args *a, const char *resource) {
        free(a->resource);
        a->resource = xstrdup(resource);
        a->is_python = str_ends(resource, ".py") || streq(resource, "pyspark-shell");
        a->is_r = str_ends(resource, ".R") || str_ends(resource, ".r") || streq(resource, "sparkr-shell");
}

/* "--name=value": the length of the name, 0 when it is not of that form. Values do not span lines. */
static size_t equals_form(const char *arg) {
        if (strncmp(arg, "--", 2) != 0)
                return 0;
        size_t n = strcspn(arg, "=");
        return n > 2 && arg[n] && arg[n + 1] && !strpbrk(arg + n + 1, "\r\n") ? n : 0;
}

static int find_option(enum spark_line line, const char *name, bool with_value) {
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const struct submit_option *o = &submit_options[i];
                if ((o->value != NULL) == with_value && (o->versions & (1 << line)) && (streq(name, o->name) || streq_null(name, o->alias)))
                        return i;
        }
        return -1;
}

/* Classes that run without an application file. */
static const struct {
        const char *name, *resource;
} special_classes[] = {
        {"org.apache.spark.repl.Main", "spark-shell"},
        {"org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal"},
        {"org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"},
        {"org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"},
};

static const char *special_resource(const char *class_name) {
        for (size_t i = 0; class_name && i < ARRAY_LEN(special_classes); i++)
                if (streq(class_name, special_classes[i].name))
                        return special_classes[i].resource;
        return NULL;
}

int submit_args_parse(struct submit_args *a, int argc, char *const *argv, struct err *err) {
        bool mixed = false; /* options may follow arguments, and everything unknown is the application's */
        int i = 0, r = 0;
        if (argc == 0)
                a->action = SUBMIT_ACTION_USAGE;
        for (; i < argc; i++) {
                size_t n = equals_form(argv[i]);
                AUTO(free) char *name = n ? xstrndup(argv[i], n) : xstrdup(argv[i]);
                const char *value = n ? argv[i] + n + 1 : NULL;
                int which = find_option(a->line, name, true);
                if (which >= 0) {
                        if (!value && i + 1 == argc)
                                return usage_error(a, err, "Missing argument for option '%s'.", name);
                        r = submit_args_set(a, (enum submit_arg)which, value ? value : argv[++i], err);
                        if (r < 0)
                                return r;
                        if (which == SUBMIT_CLASS && special_resource(a->values[SUBMIT_CLASS])) {
                                mixed = true;
                                submit_args_set_resource(a, special_resource(a->values[SUBMIT_CLASS]));
                        }
                        continue;
                }
                which = find_option(a->line, name, false);
                if (which >= 0) {
                        r = submit_args_set(a, (enum submit_arg)which, NULL, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (mixed) {
                        strv_add(&a->app_args, name);
                        continue;
                }
                if (name[0] == '-')
                        return usage_error(a, err, "Unrecognized option: %s", name);
                submit_args_set_resource(a, name);
                i++;
                break;
        }
        for (; i < argc; i++)
                strv_add(&a->app_args, argv[i]);
        r = submit_args_check_java_options(a, err);
        if (r < 0)
                return r;
        if (!a->resource && a->action == SUBMIT_ACTION_SUBMIT)
                return usage_error(a, err, "%s", "Missing application resource.");
        const char *mode = a->values[SUBMIT_DEPLOY_MODE];
        if (mode && !streq(mode, "client") && !streq(mode, "cluster"))
                return err_set(err, -EINVAL, "--deploy-mode must be either \"client\" or \"cluster\"");
        return 0;
}

/* Utils.trimExceptCRLF */
static char *trim_value(const char *text) {
        struct sv v = sv_of(text);
        while (v.len && (unsigned char)v.data[0] <= ' ' && v.data[0] != '\r' && v.data[0] != '\n')
                v = sv_new(v.data + 1, v.len - 1);
        while (v.len && (unsigned char)v.data[v.len - 1] <= ' ' && v.data[v.len - 1] != '\r' && v.data[v.len - 1] != '\n')
                v.len--;
        return sv_dup(v);
}

void submit_args_merge(struct submit_args *a, const struct map *properties) {
        map_foreach(e, properties) {
                if (!map_has(&a->properties, e->key))
                        map_set(&a->properties, e->key, trim_value(e->value));
        }
}

static void drop_foreign_keys(struct submit_args *a) {
        map_foreach(e, &a->properties) {
                if (str_starts(e->key, "spark."))
                        continue;
                strv_addf(&a->warnings, "Ignoring non-Spark config property: %s", e->key);
                AUTO(free) char *key = xstrdup(e->key);
                map_remove(&a->properties, key);
        }
}

/* Where an option that was not given gets its value: the first property that is set, then the environment. */
static const struct {
        enum submit_arg which;
        const char *key, *older_key, *env;
} sources[] = {
        {SUBMIT_MASTER, "spark.master", NULL, "MASTER"},
        {SUBMIT_REMOTE, "spark.remote", NULL, "SPARK_REMOTE"},
        {SUBMIT_DRIVER_CLASS_PATH, "spark.driver.extraClassPath", NULL, NULL},
        {SUBMIT_DRIVER_JAVA_OPTIONS, "spark.driver.extraJavaOptions", NULL, NULL},
        {SUBMIT_DRIVER_LIBRARY_PATH, "spark.driver.extraLibraryPath", NULL, NULL},
        {SUBMIT_DRIVER_MEMORY, "spark.driver.memory", NULL, "SPARK_DRIVER_MEMORY"},
        {SUBMIT_DRIVER_CORES, "spark.driver.cores", NULL, NULL},
        {SUBMIT_EXECUTOR_MEMORY, "spark.executor.memory", NULL, "SPARK_EXECUTOR_MEMORY"},
        {SUBMIT_EXECUTOR_CORES, "spark.executor.cores", NULL, "SPARK_EXECUTOR_CORES"},
        {SUBMIT_TOTAL_EXECUTOR_CORES, "spark.cores.max", NULL, NULL},
        {SUBMIT_NAME, "spark.app.name", NULL, NULL},
        {SUBMIT_JARS, "spark.jars", NULL, NULL},
        {SUBMIT_FILES, "spark.files", NULL, NULL},
        {SUBMIT_ARCHIVES, "spark.archives", NULL, NULL},
        {SUBMIT_PY_FILES, "spark.submit.pyFiles", NULL, NULL},
        {SUBMIT_PACKAGES, "spark.jars.packages", NULL, NULL},
        {SUBMIT_EXCLUDE_PACKAGES, "spark.jars.excludes", NULL, NULL},
        {SUBMIT_REPOSITORIES, "spark.jars.repositories", NULL, NULL},
        {SUBMIT_DEPLOY_MODE, "spark.submit.deployMode", NULL, "DEPLOY_MODE"},
        {SUBMIT_NUM_EXECUTORS, "spark.executor.instances", NULL, NULL},
        {SUBMIT_QUEUE, "spark.yarn.queue", NULL, NULL},
        {SUBMIT_KEYTAB, "spark.kerberos.keytab", "spark.yarn.keytab", NULL},
        {SUBMIT_PRINCIPAL, "spark.kerberos.principal", "spark.yarn.principal", NULL},
};

static void fill_in(struct submit_args *a, const struct map *env) {
        for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
                char **slot = &a->values[sources[i].which];
                if (!*slot)
                        *slot = xstrdup_null(map_get(&a->properties, sources[i].key));
                if (!*slot && sources[i].older_key)
                        *slot = xstrdup_null(map_get(&a->properties, sources[i].older_key));
                if (!*slot && sources[i].env)
                        *slot = xstrdup_null(map_get(env, sources[i].env));
        }
        const char *dynamic = map_get(&a->properties, "spark.dynamicAllocation.enabled");
        a->dynamic_allocation = dynamic && sv_ieq(sv_of(dynamic), SV("true"));
        if (!a->values[SUBMIT_NAME])
                a->values[SUBMIT_NAME] = xstrdup_null(a->values[SUBMIT_CLASS]);
}

/* The messages are Spark's; which setting it is, and how it is written, the hint adds. */
static int check_memory(const char *text, const char *what, const char *key, struct err *err) {
        int64_t bytes = 0;
        if (!text || (spark_parse_bytes(text, SPARK_UNIT_BYTE, &bytes, NULL) >= 0 && bytes > 0))
                return 0;
        err_set(err, -EINVAL, "%s memory must be a positive number", what);
        err_hint(err, "%s is \"%s\": write a size such as 512m or 2g", key, text);
        return -EINVAL;
}

static int check_count(const char *text, const char *what, const char *key, struct err *err) {
        int n = 0;
        if (!text || (java_parse_int(text, &n) && n > 0))
                return 0;
        err_set(err, -EINVAL, "%s must be a positive number", what);
        err_hint(err, "%s is \"%s\"", key, text);
        return -EINVAL;
}

static int check_submit(struct submit_args *a, struct err *err) {
        if (a->values[SUBMIT_REMOTE] && (a->values[SUBMIT_MASTER] || a->values[SUBMIT_DEPLOY_MODE]))
                return err_set(err, -EINVAL, "Remote cannot be specified with master and/or deploy mode.");
        if (!a->resource)
                return err_set(err, -EINVAL, "Must specify a primary resource (JAR or Python or R file)");
        int r = check_memory(a->values[SUBMIT_DRIVER_MEMORY], "Driver", "spark.driver.memory", err);
        if (r >= 0)
                r = check_memory(a->values[SUBMIT_EXECUTOR_MEMORY], "Executor", "spark.executor.memory", err);
        if (r >= 0)
                r = check_count(a->values[SUBMIT_DRIVER_CORES], "Driver cores", "spark.driver.cores", err);
        if (r >= 0)
                r = check_count(a->values[SUBMIT_EXECUTOR_CORES], "Executor cores", "spark.executor.cores", err);
        if (r >= 0)
                r = check_count(a->values[SUBMIT_TOTAL_EXECUTOR_CORES], "Total executor cores", "spark.cores.max", err);
        if (r >= 0 && !a->dynamic_allocation)
                r = check_count(a->values[SUBMIT_NUM_EXECUTORS], "Number of executors", "spark.executor.instances", err);
        if (r >= 0 && a->values[SUBMIT_PROXY_USER] && a->values[SUBMIT_PRINCIPAL])
                return err_set(err, -EINVAL, "Only one of --proxy-user or --principal can be provided.");
        return r;
}

int submit_args_finish(struct submit_args *a, const struct map *env, struct err *err) {
        drop_foreign_keys(a);
        fill_in(a, env);
        return a->action == SUBMIT_ACTION_SUBMIT ? check_submit(a, err) : 0;
}

bool submit_args_is_k8s_cluster(const struct submit_args *a) {
        const char *master = a->values[SUBMIT_MASTER], *mode = a->values[SUBMIT_DEPLOY_MODE];
        return master && mode && str_starts(master, "k8s") && streq(mode, "cluster");
}

void submit_usage(enum spark_line line, struct str *out) {
        str_append_s(out, "Usage: spark-submit [options] APP-FILE [arguments of the application]\n"
                          "       spark-submit --kill ID --master k8s://URL\n"
                          "       spark-submit --status ID --master k8s://URL\n\nOptions:\n");
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const struct submit_option *o = &submit_options[i];
                if (!o->help || !(o->versions & (1 << line)))
                        continue;
                char left[48];
                snprintf(left, sizeof(left), "  %s%s%s%s%s", o->name, o->alias ? ", " : "", o->alias ? o->alias : "", o->value ? " " : "",
                         o->value ? o->value : "");
                str_appendf(out, "%-36s %s\n", left, o->help);
        }
}
