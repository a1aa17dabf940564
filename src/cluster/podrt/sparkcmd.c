#include "cluster/podrt/sparkcmd.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/map.h"
#include "spark/properties.h"
#include "spark/text.h"

#define OPENS(package) "--add-opens=java.base/" package "=ALL-UNNAMED"
#define COMMON_OPENS                                                                                                                       \
        OPENS("java.lang"), OPENS("java.lang.invoke"), OPENS("java.lang.reflect"), OPENS("java.io"), OPENS("java.net"), OPENS("java.nio"), \
            OPENS("java.util"), OPENS("java.util.concurrent"), OPENS("java.util.concurrent.atomic"), OPENS("jdk.internal.ref"),            \
            OPENS("sun.nio.ch"), OPENS("sun.nio.cs"), OPENS("sun.security.action"), OPENS("sun.util.calendar"),                           \
            "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED", "-Djdk.reflect.useDirectMethodHandle=false"

static const char *const options_3_5[] = {"-XX:+IgnoreUnrecognizedVMOptions", COMMON_OPENS, NULL};
static const char *const options_4_1[] = {"-XX:+IgnoreUnrecognizedVMOptions",
                                          "--add-modules=jdk.incubator.vector",
                                          COMMON_OPENS,
                                          "-Dio.netty.tryReflectionSetAccessible=true",
                                          "-Dio.netty.allocator.type=pooled",
                                          "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
                                          "--enable-native-access=ALL-UNNAMED",
                                          "-Dderby.connection.requireAuthentication=false",
                                          NULL};

static const struct version {
        const char *prefix;
        const char *const *options;
        bool names_slf4j_first; /* the launcher puts slf4j-api-*.jar before the others */
        bool passes_pod_ip;     /* the entry point passes SPARK_DRIVER_POD_IP on to executors */
} versions[] = {
    {"3.5.", options_3_5, false, false},
    {"4.1.", options_4_1, true, true},
};

static const struct version *find_version(const char *version) {
        for (size_t i = 0; version && i < ARRAY_LEN(versions); i++)
                if (str_starts(version, versions[i].prefix))
                        return &versions[i];
        return NULL;
}

const char *const *sparkcmd_module_options(const char *version) {
        const struct version *v = find_version(version);
        return v ? v->options : NULL;
}

void sparkcmd_done(struct sparkcmd *c) {
        strv_done(&c->argv);
        strv_done(&c->env);
        c->launcher_reason = NULL;
}

const char *sparkcmd_getenv(const char *const *env, const char *name) {
        size_t len = strlen(name);
        for (; env && *env; env++)
                if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
                        return *env + len + 1;
        return NULL;
}

static const char *get(const char *const *env, const char *name) {
        const char *value = sparkcmd_getenv(env, name);
        return value ? value : "";
}

/* ---- class paths ---- */

static void add_path(struct str *cp, const char *entry) {
        if (!entry || !entry[0])
                return;
        if (cp->len)
                str_append_c(cp, ':');
        str_append_s(cp, entry);
}

/* As the launcher adds entries: empty ones are dropped, directories end with a slash. */
static void add_paths(struct str *cp, const char *entries) {
        struct sv rest = sv_of(entries ? entries : ""), part;
        while (sv_split(&rest, ':', &part)) {
                AUTO(free) char *entry = sv_dup(part);
                AUTO(free) char *dir = fs_is_dir(entry) && !str_ends(entry, "/") ? xasprintf("%s/", entry) : NULL;
                add_path(cp, dir ? dir : entry);
        }
}

void sparkcmd_jars(const char *spark_home, const char *version, struct str *ret) {
        const struct version *v = find_version(version);
        AUTO(free) char *dir_name = fs_join(spark_home, "jars");
        DIR *dir = v && v->names_slf4j_first ? opendir(dir_name) : NULL;
        for (struct dirent *e; dir && (e = readdir(dir));)
                if (fnmatch("slf4j-api-*.jar", e->d_name, 0) == 0) {
                        AUTO(free) char *jar = fs_join(dir_name, e->d_name);
                        add_path(ret, jar);
                        break;
                }
        if (dir)
                closedir(dir);
        AUTO(free) char *all = fs_join(dir_name, "*");
        add_path(ret, all);
}

/* ---- options of the JVM ---- */

static const char *archive_of(const char *const *env) {
        const char *path = get(env, "FIRESTEEL_CLASS_ARCHIVE");
        return path[0] && access(path, R_OK) == 0 ? path : NULL;
}

static void add_own_options(struct strv *argv, const char *const *env, const char *archive) {
        if (archive) {
                strv_addf(argv, "-XX:SharedArchiveFile=%s", archive);
                strv_add(argv, "-Xshare:auto");
                /* An archive that does not fit is just not used; no word about it in the application's output. */
                strv_add(argv, "-Xlog:cds=off");
                strv_add(argv, "-Xlog:cds+dynamic=off");
                strv_add(argv, "-Xlog:class+path=off");
        }
        if (streq(get(env, "FIRESTEEL_JVM_PROFILE"), "short"))
                strv_add(argv, "-XX:TieredStopAtLevel=1");
}

static void add_java(struct strv *argv, const char *const *env) {
        const char *home = get(env, "JAVA_HOME");
        strv_addf(argv, "%s%s", home, home[0] ? "/bin/java" : "java");
}

/* ---- executor ---- */

struct numbered {
        long number;
        const char *value;
};

static int by_number(const void *a, const void *b) {
        long x = ((const struct numbered *)a)->number, y = ((const struct numbered *)b)->number;
        return x < y ? -1 : x > y;
}

static void add_executor_options(struct strv *argv, const char *const *env) {
        VEC(struct numbered) options = {0};
        for (const char *const *e = env; *e; e++) {
                const char *eq = strchr(*e, '=');
                if (!eq || !str_starts(*e, "SPARK_JAVA_OPT_"))
                        continue;
                struct numbered *n = vec_push(&options);
                n->number = strtol(*e + strlen("SPARK_JAVA_OPT_"), NULL, 10);
                n->value = eq + 1;
        }
        if (options.len > 1)
                qsort(options.items, options.len, sizeof *options.items, by_number);
        vec_foreach(n, &options) strv_add(argv, n->value);
        vec_done(&options);
}

/* In the order of entrypoint.sh; two empty elements of its class path mean the working directory. */
static void executor_class_path(const char *const *env, const char *version, bool jars_first, struct str *cp) {
        const char *home = get(env, "SPARK_HOME");
        AUTO(free) char *conf = sparkcmd_getenv(env, "SPARK_CONF_DIR") ? xstrdup(get(env, "SPARK_CONF_DIR")) : fs_join(home, "conf");
        AUTO(free) char *all_jars = xasprintf("%s/jars/*", home);
        if (jars_first)
                sparkcmd_jars(home, version, cp);
        add_path(cp, conf);
        add_path(cp, get(env, "HADOOP_CONF_DIR"));
        add_path(cp, get(env, "SPARK_CLASSPATH"));
        if (!jars_first)
                add_path(cp, all_jars);
        add_path(cp, get(env, "SPARK_EXTRA_CLASSPATH"));
        add_path(cp, get(env, "SPARK_DIST_CLASSPATH"));
        add_path(cp, get(env, "PWD")[0] ? get(env, "PWD") : ".");
}

static int build_executor(const char *const *env, struct sparkcmd *c, struct err *err) {
        static const struct {
                const char *option, *variable;
        } wanted[] = {{"--driver-url", "SPARK_DRIVER_URL"},
                      {"--executor-id", "SPARK_EXECUTOR_ID"},
                      {"--cores", "SPARK_EXECUTOR_CORES"},
                      {"--app-id", "SPARK_APPLICATION_ID"},
                      {"--hostname", "SPARK_EXECUTOR_POD_IP"},
                      {"--resourceProfileId", "SPARK_RESOURCE_PROFILE_ID"},
                      {"--podName", "SPARK_EXECUTOR_POD_NAME"}};
        const char *version = sparkcmd_getenv(env, "FIRESTEEL_SPARK_VERSION");
        /* User classes come before Spark's in SPARK_CLASSPATH: an archive, which covers a prefix, cannot be used then. */
        const char *archive = get(env, "SPARK_CLASSPATH")[0] || !find_version(version) ? NULL : archive_of(env);
        AUTO(str) struct str cp = STR_INIT(0);
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
                if (!sparkcmd_getenv(env, wanted[i].variable))
                        return err_set(err, -EINVAL, "the executor needs the environment variable %s, which Spark's driver sets",
                                       wanted[i].variable);
        add_java(&c->argv, env);
        add_own_options(&c->argv, env, archive);
        add_executor_options(&c->argv, env);
        const char *memory = get(env, "SPARK_EXECUTOR_MEMORY");
        if (memory[0]) {
                strv_addf(&c->argv, "-Xms%s", memory);
                strv_addf(&c->argv, "-Xmx%s", memory);
        }
        executor_class_path(env, version, archive != NULL, &cp);
        strv_add(&c->argv, "-cp");
        strv_add(&c->argv, str_cstr(&cp));
        strv_add(&c->argv, "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend");
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
                strv_add(&c->argv, wanted[i].option);
                strv_add(&c->argv, get(env, wanted[i].variable));
        }
        return 0;
}

/* ---- driver ---- */

/* spark-submit's options with a value. */
static const char *const valued[] = {"--archives",
                                     "--class",
                                     "--conf",
                                     "-c",
                                     "--deploy-mode",
                                     "--driver-class-path",
                                     "--driver-cores",
                                     "--driver-java-options",
                                     "--driver-library-path",
                                     "--driver-memory",
                                     "--executor-cores",
                                     "--executor-memory",
                                     "--files",
                                     "--jars",
                                     "--keytab",
                                     "--master",
                                     "--name",
                                     "--num-executors",
                                     "--packages",
                                     "--exclude-packages",
                                     "--principal",
                                     "--properties-file",
                                     "--proxy-user",
                                     "--py-files",
                                     "--queue",
                                     "--repositories",
                                     "--total-executor-cores"};
static const char *const flags[] = {"--verbose", "-v", "--supervise"};

struct driver_options {
        struct map conf; /* what decides about the JVM, from the command line */
        const char *properties_file, *main_class;
};

static bool is_in(const char *const *list, size_t count, const char *word) {
        for (size_t i = 0; i < count; i++)
                if (streq(list[i], word))
                        return true;
        return false;
}

static void note_option(struct driver_options *o, const char *option, const char *value) {
        static const struct {
                const char *option, *key;
        } shorthands[] = {{"--driver-memory", "spark.driver.memory"},
                          {"--driver-java-options", "spark.driver.extraJavaOptions"},
                          {"--driver-library-path", "spark.driver.extraLibraryPath"},
                          {"--driver-class-path", "spark.driver.extraClassPath"}};
        for (size_t i = 0; i < ARRAY_LEN(shorthands); i++)
                if (streq(option, shorthands[i].option))
                        map_set(&o->conf, shorthands[i].key, xstrdup(value));
        if (streq(option, "--properties-file"))
                o->properties_file = value;
        else if (streq(option, "--class"))
                o->main_class = value;
        const char *eq = strchr(value, '=');
        if ((streq(option, "--conf") || streq(option, "-c")) && eq)
                map_set_n(&o->conf, value, (size_t)(eq - value), xstrdup(eq + 1));
}

/* NULL, or why the stock launcher must do it. */
static const char *read_options(const char *const *args, struct driver_options *o) {
        for (size_t i = 0; args[i]; i++) {
                if (args[i][0] != '-')
                        return NULL; /* the application; the rest is its own */
                if (is_in(flags, ARRAY_LEN(flags), args[i]))
                        continue;
                const char *eq = strchr(args[i], '=');
                if (str_starts(args[i], "--") && eq) {
                        AUTO(free) char *name = xstrndup(args[i], (size_t)(eq - args[i]));
                        if (!is_in(valued, ARRAY_LEN(valued), name))
                                return "an option of spark-submit unknown here";
                        note_option(o, name, eq + 1);
                        continue;
                }
                if (!is_in(valued, ARRAY_LEN(valued), args[i]) || !args[i + 1])
                        return "an option of spark-submit unknown here";
                note_option(o, args[i], args[i + 1]);
                i++;
        }
        return NULL;
}

static const char *const daemons[] = {"org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
                                      "org.apache.spark.sql.connect.service.SparkConnectServer", "org.apache.spark.repl.Main",
                                      "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver"};

static const char *launcher_reason(const char *const *args, const char *const *env, const char *conf_dir, struct driver_options *o) {
        static const char *const developer[] = {"SPARK_PREPEND_CLASSES", "SPARK_TESTING", "SPARK_SQL_TESTING", "SPARK_SCALA_SHELL"};
        if (streq(get(env, "FIRESTEEL_SPARK_LAUNCHER"), "1"))
                return "FIRESTEEL_SPARK_LAUNCHER=1";
        if (!find_version(sparkcmd_getenv(env, "FIRESTEEL_SPARK_VERSION")))
                return "a Spark version whose JVM options are not known here";
        for (size_t i = 0; i < ARRAY_LEN(developer); i++)
                if (get(env, developer[i])[0])
                        return "a variable for Spark's developers is set";
        AUTO(free) char *script = fs_join(conf_dir, "spark-env.sh");
        if (fs_exists(script))
                return "there is a spark-env.sh";
        const char *reason = read_options(args, o);
        if (!reason && o->main_class && is_in(daemons, ARRAY_LEN(daemons), o->main_class))
                return "a server or shell of Spark's own";
        return reason;
}

static void add_submit_args(struct strv *argv, const char *const *args, const char *const *env) {
        const struct version *v = find_version(sparkcmd_getenv(env, "FIRESTEEL_SPARK_VERSION"));
        const char *bind = get(env, "SPARK_DRIVER_BIND_ADDRESS");
        strv_add(argv, "--conf");
        strv_addf(argv, "spark.driver.bindAddress=%s", bind);
        if (!v || v->passes_pod_ip) {
                strv_add(argv, "--conf");
                strv_addf(argv, "spark.executorEnv.SPARK_DRIVER_POD_IP=%s", bind);
        }
        strv_add(argv, "--deploy-mode");
        strv_add(argv, "client");
        for (size_t i = 0; args[i]; i++)
                strv_add(argv, args[i]);
}

static const char *conf_value(const struct driver_options *o, const struct map *properties, const char *key) {
        const char *value = map_get(&o->conf, key);
        if (!value || !value[0])
                value = map_get(properties, key);
        return value ? value : "";
}

/* False where the launcher would have complained. */
static bool add_option_text(struct strv *argv, const char *text, bool is_checked) {
        size_t before = argv->len;
        if (!java_options_split(text, argv))
                return false;
        for (size_t i = before; is_checked && i < argv->len; i++)
                if (str_starts(argv->items[i], "-Xmx"))
                        return false;
        return true;
}

static bool add_java_opts_file(struct strv *argv, const char *conf_dir) {
        AUTO(free) char *path = fs_join(conf_dir, "java-opts");
        AUTO(str) struct str text = STR_INIT(1 << 20);
        if (fs_read(path, 1 << 20, &text, NULL) < 0)
                return true;
        struct sv rest = str_sv(&text), line;
        while (sv_split(&rest, '\n', &line)) {
                AUTO(free) char *copy = sv_dup(line);
                if (!java_options_split(copy, argv))
                        return false;
        }
        return true;
}

static void driver_class_path(const char *const *env, const char *conf_dir, const char *user, bool jars_first, struct str *cp) {
        const char *home = get(env, "SPARK_HOME"), *version = get(env, "FIRESTEEL_SPARK_VERSION");
        if (jars_first)
                sparkcmd_jars(home, version, cp);
        add_paths(cp, get(env, "SPARK_CLASSPATH"));
        add_paths(cp, user);
        add_paths(cp, conf_dir);
        if (!jars_first)
                sparkcmd_jars(home, version, cp);
        add_paths(cp, get(env, "HADOOP_CONF_DIR"));
        add_paths(cp, get(env, "YARN_CONF_DIR"));
        add_paths(cp, get(env, "SPARK_DIST_CLASSPATH"));
}

static const char *first_set(const char *a, const char *b, const char *c, const char *d) { return a[0] ? a : b[0] ? b : c[0] ? c : d; }

/* False: something the launcher would have complained about; let it. */
static bool build_direct(const char *const *args, const char *const *env, const char *conf_dir, const struct driver_options *o,
                         const struct map *properties, struct sparkcmd *c) {
        struct strv *argv = &c->argv;
        AUTO(str) struct str cp = STR_INIT(0);
        const char *user = conf_value(o, properties, "spark.driver.extraClassPath");
        const char *more = conf_value(o, properties, "spark.driver.defaultExtraClassPath");
        AUTO(free) char *classes = xasprintf("%s%s%s", user, user[0] && more[0] ? ":" : "", more);
        const char *archive = classes[0] || get(env, "SPARK_CLASSPATH")[0] ? NULL : archive_of(env);
        add_java(argv, env);
        if (!add_java_opts_file(argv, conf_dir))
                return false;
        add_own_options(argv, env, archive);
        driver_class_path(env, conf_dir, classes, archive != NULL, &cp);
        strv_add(argv, "-cp");
        strv_add(argv, str_cstr(&cp));
        if (!add_option_text(argv, get(env, "SPARK_SUBMIT_OPTS"), false))
                return false;
        strv_addf(
                argv, "-Xmx%s",
                first_set(conf_value(o, properties, "spark.driver.memory"), get(env, "SPARK_DRIVER_MEMORY"), get(env, "SPARK_MEM"), "1g"));
        if (!add_option_text(argv, conf_value(o, properties, "spark.driver.defaultJavaOptions"), true) ||
            !add_option_text(argv, conf_value(o, properties, "spark.driver.extraJavaOptions"), true))
                return false;
        for (const char *const *option = sparkcmd_module_options(get(env, "FIRESTEEL_SPARK_VERSION")); *option; option++)
                strv_add(argv, *option);
        strv_add(argv, "org.apache.spark.deploy.SparkSubmit");
        add_submit_args(argv, args, env);
        const char *libraries = conf_value(o, properties, "spark.driver.extraLibraryPath"), *was = get(env, "LD_LIBRARY_PATH");
        if (libraries[0])
                strv_addf(&c->env, "LD_LIBRARY_PATH=%s%s%s", was, was[0] ? ":" : "", libraries);
        return true;
}

static void use_launcher(const char *const *args, const char *const *env, const char *reason, struct sparkcmd *c) {
        strv_done(&c->argv);
        strv_done(&c->env);
        strv_addf(&c->argv, "%s/bin/spark-submit", get(env, "SPARK_HOME"));
        add_submit_args(&c->argv, args, env);
        c->launcher_reason = reason;
}

static int build_driver(const char *const *args, const char *const *env, struct sparkcmd *c, struct err *err) {
        struct driver_options o = {.conf = MAP_INIT(free)};
        AUTO(map) struct map properties = MAP_INIT(free);
        AUTO(str) struct str text = STR_INIT(4 << 20);
        const char *home = get(env, "SPARK_HOME");
        if (!home[0])
                return err_set(err, -EINVAL, "SPARK_HOME is not set");
        AUTO(free) char *conf_dir = get(env, "SPARK_CONF_DIR")[0] ? xstrdup(get(env, "SPARK_CONF_DIR")) : fs_join(home, "conf");
        const char *reason = launcher_reason(args, env, conf_dir, &o);
        if (!reason) {
                AUTO(free) char *file = o.properties_file ? xstrdup(o.properties_file) : fs_join(conf_dir, "spark-defaults.conf");
                bool is_there = fs_read(file, 4 << 20, &text, NULL) == 0;
                if ((!is_there && o.properties_file) || properties_parse(str_sv(&text), &properties, NULL) < 0)
                        reason = "the properties file cannot be read";
                else if (!build_direct(args, env, conf_dir, &o, &properties, c))
                        reason = "Java options that the launcher refuses";
        }
        map_done(&o.conf);
        if (reason)
                use_launcher(args, env, reason, c);
        return 0;
}

int sparkcmd_build(const char *const *args, const char *const *env, struct sparkcmd *ret, struct err *err) {
        AUTO(sparkcmd) struct sparkcmd c = {0};
        int r = 0;
        if (args[0] && streq(args[0], "driver"))
                r = build_driver(args + 1, env, &c, err);
        else if (args[0] && streq(args[0], "executor"))
                r = build_executor(env, &c, err);
        else
                for (size_t i = 0; args[i]; i++)
                        strv_add(&c.argv, args[i]);
        if (r < 0)
                return r;
        if (!c.argv.len)
                return err_set(err, -EINVAL, "no command: give `driver`, `executor` or a program");
        *ret = c;
        c = (struct sparkcmd){0};
        return 0;
}
