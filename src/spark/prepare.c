#include "spark/prepare.h"

#include "spark/jar.h"
#include "spark/juri.h"
#include "spark/properties.h"
#include "spark/text.h"

void submission_app_done(struct submission_app *app) {
        free(app->resource);
        free(app->main_class);
        strv_done(&app->args);
        free(app->proxy_user);
}

/* --- properties files --- */

static char *defaults_path(const struct submission_inputs *in) {
        const char *conf = inputs_env(in, "SPARK_CONF_DIR");
        return conf && *conf ? xasprintf("%s/spark-defaults.conf", conf) : NULL;
}

void submission_wants_properties(const struct submit_args *a, const struct submission_inputs *in, struct input_wants *ret) {
        const char *file = a->values[SUBMIT_PROPERTIES_FILE];
        AUTO(free) char *defaults = defaults_path(in);
        if (file && *file)
                input_wants_add(ret, in, INPUT_WANT_TEXT, file);
        if (defaults)
                input_wants_add(ret, in, INPUT_WANT_TEXT, defaults);
}

static int merge_file(struct submit_args *a, const struct input_file *f, const char *path, struct err *err) {
        AUTO(map) struct map properties = MAP_INIT(free);
        if (f->error || !f->has_text)
                return err_errno(err, f->error ? f->error : -EIO, "%s", path);
        int r = properties_parse(str_sv(&f->text), &properties, err);
        if (r < 0)
                return err_wrap(err, r, "%s", path);
        submit_args_merge(a, &properties);
        return 0;
}

int submission_merge_properties(struct submit_args *a, const struct submission_inputs *in, struct err *err) {
        const char *file = a->values[SUBMIT_PROPERTIES_FILE];
        if (file) {
                const struct input_file *f = *file ? inputs_file(in, file) : NULL;
                if (!f || f->kind != INPUT_FILE) {
                        a->usage = true;
                        return err_set(err, -ENOENT, "Invalid properties file '%s'.", file);
                }
                int r = merge_file(a, f, file, err);
                if (r < 0)
                        return r;
        }
        AUTO(free) char *defaults = defaults_path(in);
        const struct input_file *f = defaults ? inputs_file(in, defaults) : NULL;
        if ((file && !a->load_defaults) || !f || f->kind != INPUT_FILE)
                return 0;
        return merge_file(a, f, defaults, err);
}

/* -Dspark.KEY=VALUE of $SPARK_SUBMIT_OPTS: the original's JVM has them as system properties, where SparkConf begins. */
static int system_properties(const struct submission_inputs *in, struct map *ret, struct err *err) {
        const char *text = inputs_env(in, "SPARK_SUBMIT_OPTS");
        AUTO(strv) struct strv options = {0};
        if (text && !java_options_split(text, &options))
                return err_set(err, -EINVAL, "Invalid option string: SPARK_SUBMIT_OPTS has a quote without its end: %s", text);
        vec_foreach(option, &options) {
                if (!str_starts(*option, "-Dspark."))
                        continue;
                const char *key = *option + strlen("-D");
                size_t len = strcspn(key, "=");
                AUTO(free) char *name = xstrndup(key, len);
                map_set(ret, name, xstrdup(key[len] ? key + len + 1 : ""));
        }
        return 0;
}

/* --- what to gather --- */

static void want_one(const struct submission_inputs *in, const char *one, struct input_wants *ret) {
        input_wants_add(ret, in, INPUT_WANT_STAT, one); /* the name as it stands, for resolving it */
        AUTO(free) char *uri = juri_resolve(in, one);
        AUTO(free) char *base = juri_without_fragment(uri);
        if (!juri_is_local_file(base))
                return;
        AUTO(free) char *path = juri_path(base);
        path[strcspn(path, "?")] = 0; /* as juri_resolve_globs() will read it */
        input_wants_add(ret, in, path_has_glob(path) ? INPUT_WANT_GLOB : INPUT_WANT_STAT, path);
}

/* Lists of options keep the blanks around their items, lists of properties do not: both readings are gathered. */
static void want_list(const struct submission_inputs *in, const char *list, struct input_wants *ret) {
        struct sv rest = sv_of(list), part;
        while (list && sv_split(&rest, ',', &part)) {
                struct sv trimmed = sv_trim(part);
                if (trimmed.len == 0)
                        continue;
                AUTO(free) char *one = sv_dup(trimmed);
                AUTO(free) char *blanks = sv_dup(part);
                want_one(in, one, ret);
                if (part.len != trimmed.len)
                        want_one(in, blanks, ret);
        }
}

/* A pod template or other file that Spark reads by "URI or path". */
static void want_uri_text(const struct submission_inputs *in, const char *text, struct input_wants *ret) {
        struct sv scheme = juri_scheme(text);
        if (scheme.data && !sv_eqs(scheme, "file") && !sv_eqs(scheme, "local"))
                return;
        AUTO(free) char *path = juri_path(text);
        if (*path)
                input_wants_add(ret, in, INPUT_WANT_TEXT, path);
}

static const char *const file_keys[] = {
        "spark.kubernetes.authenticate.driver.caCertFile",
        "spark.kubernetes.authenticate.driver.clientKeyFile",
        "spark.kubernetes.authenticate.driver.clientCertFile",
        "spark.kubernetes.kerberos.krb5.path",
};

void submission_wants(const struct submit_args *a, const struct submission_inputs *in, struct input_wants *ret) {
        AUTO(map) struct map system = MAP_INIT(free);
        if (system_properties(in, &system, NULL) < 0)
                return; /* submission_prepare() says why */
        static const enum submit_arg lists[] = {SUBMIT_JARS, SUBMIT_FILES, SUBMIT_ARCHIVES, SUBMIT_PY_FILES};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
                want_list(in, a->values[lists[i]], ret);
        if (a->resource) {
                input_wants_add(ret, in, INPUT_WANT_STAT, a->resource);
                AUTO(free) char *uri = juri_resolve(in, a->resource);
                AUTO(free) char *path = juri_path(uri);
                bool needs_class = !a->is_python && !a->is_r && !a->values[SUBMIT_CLASS];
                if (juri_is_local_file(uri) && *path)
                        input_wants_add(ret, in, needs_class ? INPUT_WANT_HEAD : INPUT_WANT_STAT, path);
        }
        for (size_t i = 0; i < ARRAY_LEN(file_keys); i++) {
                const char *path = map_get(map_has(&a->properties, file_keys[i]) ? &a->properties : &system, file_keys[i]);
                if (path && *path)
                        input_wants_add(ret, in, INPUT_WANT_TEXT, path);
        }
        const char *keytab = a->values[SUBMIT_KEYTAB];
        if (keytab && *keytab && !str_starts(keytab, "local:"))
                input_wants_add(ret, in, INPUT_WANT_TEXT, keytab);
        static const char *const templates[] = {"spark.kubernetes.driver.podTemplateFile", "spark.kubernetes.executor.podTemplateFile"};
        for (size_t i = 0; i < ARRAY_LEN(templates); i++) {
                const char *text = map_get(map_has(&a->properties, templates[i]) ? &a->properties : &system, templates[i]);
                if (text)
                        want_uri_text(in, text, ret);
        }
        const char *hadoop = inputs_env(in, "HADOOP_CONF_DIR"), *conf = inputs_env(in, "SPARK_CONF_DIR");
        if (hadoop && *hadoop)
                input_wants_add(ret, in, INPUT_WANT_DIRECTORY, hadoop);
        if (conf && *conf)
                input_wants_add(ret, in, INPUT_WANT_DIRECTORY, conf);
}

/* --- the master --- */

int spark_k8s_master(enum spark_line line, const char *master, char **ret, struct err *err) {
        if (line == SPARK_4_1 && !str_starts(master, "k8s://"))
                return err_set(err, -EINVAL, "Master must either be yarn or start with %s", spark_features(line)->masters);
        if (!str_starts(master, "k8s://"))
                return err_set(err, -EINVAL, "requirement failed: Kubernetes master URL must start with k8s://.");
        const char *url = master + strlen("k8s://");
        if (!strstr(url, "://")) {
                *ret = xasprintf("k8s://https://%s", url);
                return 0;
        }
        struct juri u;
        if (!juri_parse(url, &u))
                return err_set(err, -EINVAL, "Invalid Kubernetes master URL: %s", url);
        if (!u.scheme.data) {
                *ret = xasprintf("k8s://https://%s", url);
                return 0;
        }
        if (!sv_ieq(u.scheme, SV("https")) && !sv_ieq(u.scheme, SV("http"))) {
                err_set(err, -EINVAL, "Invalid Kubernetes master scheme: %.*s found in URL: %s", SV_ARG(u.scheme), url);
                err_hint(err, "write k8s://https://host:port, or k8s://http://host:port for an API server without TLS");
                return -EINVAL;
        }
        *ret = xstrdup(master);
        return 0;
}

/* --- the environment --- */

static int check_modes(const struct submit_args *a, struct err *err) {
        static const struct {
                const char *class_name, *what;
        } shells[] = {
                {"org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "Spark SQL shell"},
                {"org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "Spark Thrift server"},
                {"org.apache.spark.sql.connect.service.SparkConnectServer", "Spark Connect server"},
        };
        if (streq(a->resource, "spark-shell") || streq(a->resource, "pyspark-shell") || streq(a->resource, "sparkr-shell") ||
            streq(a->resource, "connect-shell"))
                return err_set(err, -EINVAL, "Cluster deploy mode is not applicable to Spark shells.");
        for (size_t i = 0; i < ARRAY_LEN(shells); i++)
                if (streq_null(a->values[SUBMIT_CLASS], shells[i].class_name))
                        return err_set(err, -EINVAL, "Cluster deploy mode is not applicable to %s.", shells[i].what);
        return 0;
}

static int main_class(const struct submit_args *a, const struct submission_inputs *in, const char *resource, char **ret, struct err *err) {
        if (a->values[SUBMIT_CLASS]) {
                *ret = xstrdup(a->values[SUBMIT_CLASS]);
                return 0;
        }
        AUTO(err) struct err why = ERR_INIT;
        struct sv scheme = juri_scheme(resource);
        AUTO(free) char *path = juri_path(resource);
        const struct input_file *f = inputs_file(in, path);
        char *found = NULL;
        int r;
        if (!sv_eqs(scheme, "file"))
                r = err_set(&why, -EINVAL, "No FileSystem for scheme \"%.*s\"", SV_ARG(scheme));
        else if (!f || f->kind != INPUT_FILE)
                r = err_set(&why, -ENOENT, "File %s does not exist", resource);
        else if (f->error)
                r = err_errno(&why, f->error, "%s", path);
        else
                r = jar_main_class(str_sv(&f->text), &found, &why);
        if (r < 0)
                return err_set(err, -EINVAL, "Failed to get main class in JAR with error '%s'.  Please specify one with --class.",
                               err_message(&why));
        if (!found)
                return err_set(err, -EINVAL, "No main class set in JAR; please specify one with --class.");
        *ret = found;
        return 0;
}

static int check_users(const struct submit_args *a, const struct submission_inputs *in, struct err *err) {
        const char *names[] = {inputs_env(in, "HADOOP_USER_NAME"), a->values[SUBMIT_PROXY_USER]};
        if (names[1] && !*names[1])
                return err_set(err, -EINVAL, "--proxy-user is empty: Null user");
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                AUTO(free) char *known = names[i] ? hadoop_short_name(names[i]) : NULL;
                if (names[i] && !known)
                        return err_set(err, -EINVAL, "Malformed Kerberos name: %s of %s; write primary[/host][@REALM], or a name without @",
                                       names[i], i ? "--proxy-user" : "HADOOP_USER_NAME");
        }
        return 0;
}

static int check_keytab(const struct submit_args *a, const struct submission_inputs *in, struct err *err) {
        const char *keytab = a->values[SUBMIT_KEYTAB];
        if (!a->values[SUBMIT_PRINCIPAL] || !keytab || str_starts(keytab, "local:"))
                return 0;
        const struct input_file *f = inputs_file(in, keytab);
        if (!f || f->kind == INPUT_ABSENT)
                return err_set(err, -ENOENT, "requirement failed: Keytab file: %s does not exist", keytab);
        return 0;
}

/* Options that become properties in cluster mode on Kubernetes. */
static const struct {
        enum submit_arg which;
        const char *key;
        bool is_path_list;
} assignments[] = {
        {SUBMIT_DEPLOY_MODE, "spark.submit.deployMode", false},
        {SUBMIT_DRIVER_CLASS_PATH, "spark.driver.extraClassPath", false},
        {SUBMIT_DRIVER_JAVA_OPTIONS, "spark.driver.extraJavaOptions", false},
        {SUBMIT_DRIVER_LIBRARY_PATH, "spark.driver.extraLibraryPath", false},
        {SUBMIT_PRINCIPAL, "spark.kerberos.principal", false},
        {SUBMIT_KEYTAB, "spark.kerberos.keytab", false},
        {SUBMIT_PY_FILES, "spark.submit.pyFiles", true},
        {SUBMIT_PACKAGES, "spark.jars.packages", false},
        {SUBMIT_REPOSITORIES, "spark.jars.repositories", false},
        {SUBMIT_EXCLUDE_PACKAGES, "spark.jars.excludes", false},
        {SUBMIT_NUM_EXECUTORS, "spark.executor.instances", false},
        {SUBMIT_EXECUTOR_CORES, "spark.executor.cores", false},
        {SUBMIT_EXECUTOR_MEMORY, "spark.executor.memory", false},
        {SUBMIT_FILES, "spark.files", true},
        {SUBMIT_ARCHIVES, "spark.archives", true},
        {SUBMIT_JARS, "spark.jars", true},
        {SUBMIT_DRIVER_MEMORY, "spark.driver.memory", false},
        {SUBMIT_DRIVER_CORES, "spark.driver.cores", false},
};

/* hdfs:///path means the default file system's host; the original asks for it when there is none to ask. */
static int check_hdfs(const struct submission_inputs *in, struct spark_conf *conf, const char *uris, struct err *err) {
        const char *hadoop = inputs_env(in, "HADOOP_CONF_DIR");
        if (in->file_systems.len == 0 || (hadoop && *hadoop) || conf_get(conf, "spark.hadoop.fs.defaultFS"))
                return 0;
        AUTO(strv) struct strv all = {0};
        strv_split(&all, uris, ',');
        vec_foreach(uri, &all) {
                struct juri u;
                if (!juri_parse(*uri, &u) || !sv_eqs(u.scheme, "hdfs") || u.authority.len)
                        continue;
                err_set(err, -EINVAL, "Incomplete HDFS URI, no host: %s", *uri);
                err_hint(err, "write hdfs://HOST/PATH, or say which one it is with HADOOP_CONF_DIR or spark.hadoop.fs.defaultFS");
                return -EINVAL;
        }
        return 0;
}

static int assign(const struct submit_args *a, const struct submission_inputs *in, struct spark_conf *conf, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(assignments); i++) {
                const char *value = a->values[assignments[i].which];
                AUTO(free) char *resolved = NULL;
                if (!value)
                        continue;
                if (assignments[i].is_path_list) {
                        AUTO(free) char *uris = a->given[assignments[i].which] ? juri_resolve_all(in, value) : xstrdup(value);
                        int r = juri_resolve_globs(in, uris, &resolved, err);
                        if (r >= 0)
                                r = check_hdfs(in, conf, resolved, err);
                        if (r < 0)
                                return r;
                        value = resolved;
                }
                conf_set(conf, assignments[i].key, value);
        }
        return 0;
}

/* The application's jar is one of spark.jars; lists of paths become lists of URIs. */
static int settle_paths(struct spark_conf *conf, const struct submission_inputs *in, const char *user_jar, struct err *err) {
        if (user_jar) {
                AUTO(strv) struct strv jars = {0};
                int r = conf_list(conf, "spark.jars", &jars, err);
                if (r < 0)
                        return r;
                if (*user_jar)
                        strv_add(&jars, user_jar);
                AUTO(free) char *joined = strv_join(&jars, ",");
                conf_set(conf, "spark.jars", joined);
        }
        static const char *const keys[] = {
                "spark.jars", "spark.files", "spark.archives", "spark.yarn.dist.files", "spark.yarn.dist.archives", "spark.yarn.dist.jars"};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                const char *value = conf_get(conf, keys[i]);
                if (!value)
                        continue;
                AUTO(free) char *resolved = juri_resolve_all(in, value);
                conf_set(conf, keys[i], resolved);
        }
        AUTO(strv) struct strv python = {0};
        int r = conf_list(conf, "spark.submit.pyFiles", &python, err);
        if (r < 0)
                return r;
        AUTO(free) char *joined = strv_join(&python, ",");
        AUTO(free) char *resolved = juri_resolve_all(in, joined);
        conf_set(conf, "spark.submit.pyFiles", resolved);
        return 0;
}

/* --packages is resolved by the driver; what could never be resolved is refused here, in Ivy's words. */
static int check_coordinates(const char *list, size_t parts, const char *form, struct err *err) {
        static const char *const names[] = {"groupId", "artifactId", "version"};
        AUTO(strv) struct strv all = {0};
        if (!list || sv_trim(sv_of(list)).len == 0)
                return 0;
        strv_split(&all, list, ',');
        for (size_t i = 0; i < all.len; i++) {
                AUTO(strv) struct strv one = {0};
                for (char *p = all.items[i]; (p = strchr(p, '/'));)
                        *p = ':';
                java_split(all.items[i], ':', &one);
                if (one.len != parts)
                        return err_set(
                                err, -EINVAL,
                                "requirement failed: Provided Maven Coordinates must be in the form '%s'. The coordinate provided is: %s",
                                form, all.items[i]);
                for (size_t j = 0; j < parts; j++)
                        if (sv_trim(sv_of(one.items[j])).len == 0)
                                return err_set(err, -EINVAL,
                                               "requirement failed: The %s cannot be null or be whitespace. The %s provided is: %s",
                                               names[j], names[j], one.items[j]);
        }
        return 0;
}

static int check_packages(const struct submit_args *a, struct err *err) {
        const char *packages = a->values[SUBMIT_PACKAGES];
        int r = check_coordinates(packages, 3, "groupId:artifactId:version", err);
        if (r >= 0 && packages && *packages)
                r = check_coordinates(a->values[SUBMIT_EXCLUDE_PACKAGES], 2, "groupId:artifactId", err);
        return r;
}

int submission_prepare(const struct submit_args *a, const struct submission_inputs *in, struct spark_conf *conf, struct submission_app *ret,
                       struct err *err) {
        AUTO(free) char *master = NULL;
        int r = spark_k8s_master(a->line, a->values[SUBMIT_MASTER], &master, err);
        if (r >= 0)
                r = check_modes(a, err);
        if (r >= 0)
                r = check_packages(a, err);
        if (r >= 0)
                r = check_users(a, in, err);
        AUTO(map) struct map system = MAP_INIT(free);
        if (r >= 0)
                r = system_properties(in, &system, err);
        if (r < 0)
                return r;
        conf->env = &in->env;
        conf->user = in->user;
        map_foreach(e, &system) conf_set(conf, e->key, e->value);
        map_foreach(e, &a->properties) conf_set(conf, e->key, e->value);
        r = check_keytab(a, in, err);
        if (r < 0)
                return r;

        AUTO(submission_app) struct submission_app app = {.kind = a->is_python ? APP_PYTHON : a->is_r ? APP_R : APP_JAVA};
        bool internal = streq(a->resource, "spark-internal");
        app.resource = internal ? NULL : juri_resolve(in, a->resource);
        r = assign(a, in, conf, err);
        if (r < 0)
                return r;
        if (app.kind == APP_JAVA) {
                r = main_class(a, in, app.resource ? app.resource : a->resource, &app.main_class, err);
                if (r < 0)
                        return r;
        } else {
                app.main_class =
                        xstrdup(app.kind == APP_PYTHON ? "org.apache.spark.deploy.PythonRunner" : "org.apache.spark.deploy.RRunner");
        }
        for (size_t i = 0; i < a->app_args.len; i++)
                strv_add(&app.args, a->app_args.items[i]);
        app.proxy_user = xstrdup_null(a->values[SUBMIT_PROXY_USER]);

        conf_set(conf, "spark.master", master);
        const char *name = a->values[SUBMIT_NAME];
        const char *file = app.resource ? app.resource : a->resource, *slash = strrchr(file, '/');
        conf_set(conf, "spark.app.name", name ? name : slash ? slash + 1 : file);
        conf_remove(conf, "spark.driver.host");
        r = settle_paths(conf, in, app.kind == APP_JAVA ? (app.resource ? app.resource : "") : NULL, err);
        if (r < 0)
                return r;
        *ret = app;
        app = (struct submission_app){0};
        return 0;
}
