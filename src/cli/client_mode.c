#include "cli/client_mode.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rand.h"
#include "cluster/instance.h"
#include "event/loop.h"
#include "submit/driverproxy.h"
#include "submit/gather.h"

enum { DRIVER_PORTS = 3, PORTS_TRIED = 100, PYTHON_OUTPUT_MAX = 64 * 1024 };

struct driving {
        const struct client_mode *m;
        struct map added;     /* configuration beyond the user's, in order */
        struct strv argv;
        char *home;           /* of Spark */
        struct spark_version version;
        char *private_dir;    /* credentials; NULL = none were needed */
        char *address;        /* of this machine, for the proxy */
        struct driver_proxy proxy;
        char *proxy_name;
        bool has_proxy, proxy_made;
        int held[DRIVER_PORTS], ports_held; /* sockets that keep the driver's ports for it */
        struct child *child;
        struct timer *renew;
        bool done, renew_due, woken;
        int exit_code, told_signal;
};

static void driving_done(struct driving *d) {
        map_done(&d->added);
        strv_done(&d->argv);
        free(d->home);
        free(d->private_dir);
        free(d->address);
        free(d->proxy_name);
        for (int i = 0; i < d->ports_held; i++)
                close(d->held[i]);
        if (d->renew)
                timer_free(d->renew);
}
DEFINE_AUTO_VALUE(driving, struct driving, driving_done)

static const char *conf_of(const struct driving *d, const char *key) {
        const char *value = map_get(&d->m->args->properties, key);
        return value ? value : map_get(&d->added, key);
}
static void add_conf(struct driving *d, const char *key, const char *value) {
        if (value && !conf_of(d, key))
                map_set(&d->added, key, xstrdup(value));
}

/* ---- which Spark ---- */

static bool is_spark(const char *home) {
        AUTO(free) char *program = fs_join(home, "bin/spark-submit"), *jars = fs_join(home, "jars");
        return access(program, X_OK) == 0 && fs_is_dir(jars);
}

static char *home_of_python(void) {
        static const char *const argv[] = {"python3", "-c", "import pyspark; print(pyspark.__path__[0])", NULL};
        AUTO(str) struct str out = STR_INIT(PYTHON_OUTPUT_MAX), ignored = STR_INIT(PYTHON_OUTPUT_MAX);
        int code;
        if (child_run(&(struct child_spec){.argv = argv}, &code, &out, &ignored, NULL) < 0 || code != 0)
                return NULL;
        AUTO(free) char *home = sv_dup(sv_trim(str_sv(&out)));
        return is_spark(home) ? TAKE(home) : NULL;
}

/* What firesteel local was told about. */
static char *home_of_instances(void) {
        AUTO(strv) struct strv names = {0};
        if (instance_names(&names, NULL) < 0)
                return NULL;
        for (size_t i = 0; i < names.len; i++) {
                AUTO(instance) struct instance instance = {0};
                AUTO(instance_settings) struct instance_settings s = {0};
                if (instance_open(names.items[i], &instance, NULL) < 0 || instance_load_settings(&instance, &s, NULL) < 0)
                        continue;
                for (size_t n = 0; n < s.spark_homes.len; n++)
                        if (is_spark(s.spark_homes.items[n]))
                                return xstrdup(s.spark_homes.items[n]);
        }
        return NULL;
}

/* CACHE/spark/VERSION; of several the last by name. */
static char *home_of_cache(void) {
        const char *own = getenv("FIRESTEEL_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
        AUTO(free) char *dir = own && *own   ? xasprintf("%s/spark", own)
                               : xdg && *xdg ? xasprintf("%s/firesteel/spark", xdg)
                                             : fs_absolute("~/.cache/firesteel/spark");
        AUTO(strv) struct strv found = {0};
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *home = fs_join(dir, e->d_name);
                if (e->d_name[0] != '.' && is_spark(home))
                        strv_take(&found, TAKE(home));
        }
        if (d)
                closedir(d);
        strv_sort(&found);
        return found.len ? xstrdup(found.items[found.len - 1]) : NULL;
}

static int find_spark(struct driving *d, struct err *err) {
        const char *home = inputs_env(d->m->in, "SPARK_HOME");
        if (home && *home) {
                if (!is_spark(home))
                        return err_set(err, -ENOENT, "SPARK_HOME=%s is no Spark installation: it has no bin/spark-submit and jars", home);
                d->home = xstrdup(home);
        }
        if (!d->home)
                d->home = home_of_python();
        if (!d->home)
                d->home = home_of_instances();
        if (!d->home)
                d->home = home_of_cache();
        if (!d->home) {
                err_set(err, -ENOENT, "client mode runs the driver on this machine, and there is no Spark here");
                err_hint(
                        err,
                        "set SPARK_HOME, or pip install pyspark (looked at: SPARK_HOME, python3's pyspark, firesteel local's --spark-home, the cache)");
                return -ENOENT;
        }
        bool known;
        inputs_set_env(d->m->in, "SPARK_HOME", d->home);
        return gather_version(d->m->in, option_str(&d->m->ctx->o, "spark-version"), &d->version, &known, err);
}

/* ---- credentials ---- */

static int private_file(struct driving *d, const char *key, const char *name, struct sv text, struct err *err) {
        if (text.len == 0 || conf_of(d, key))
                return 0;
        if (!d->private_dir) {
                const char *runtime = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
                const char *parent = runtime && access(runtime, W_OK) == 0 ? runtime : tmp && *tmp ? tmp : "/tmp";
                AUTO(free) char *dir = xasprintf("%s/firesteel-client-XXXXXX", parent);
                if (!mkdtemp(dir))
                        return err_errno(err, -errno, "making a private directory in %s", parent);
                d->private_dir = TAKE(dir);
        }
        AUTO(free) char *path = fs_join(d->private_dir, name);
        int r = fs_write(path, text, 0600, err);
        if (r >= 0)
                add_conf(d, key, path);
        return r;
}

/* Files, because a command line can be read by everybody. Plugins of kubeconfigs are asked by Spark's own client, which reads the same
 * file. */
static int add_credentials(struct driving *d, struct err *err) {
        const struct kube_access *a = &d->m->session->access;
        const char *file = option_str(&d->m->ctx->o, "kubeconfig");
        if (file)
                setenv("KUBECONFIG", file, 1);
        add_conf(d, "spark.kubernetes.context", a->context);
        if (a->insecure)
                add_conf(d, "spark.kubernetes.trust.certificates", "true");
        int r = private_file(d, "spark.kubernetes.authenticate.caCertFile", "ca.crt", str_sv(&a->ca_pem), err);
        if (r >= 0)
                r = private_file(d, "spark.kubernetes.authenticate.clientCertFile", "client.crt", str_sv(&a->cert_pem), err);
        if (r >= 0)
                r = private_file(d, "spark.kubernetes.authenticate.clientKeyFile", "client.key", str_sv(&a->key_pem), err);
        if (r < 0 || conf_of(d, "spark.kubernetes.authenticate.oauthToken"))
                return r;
        if (a->token_file)
                add_conf(d, "spark.kubernetes.authenticate.oauthTokenFile", a->token_file);
        else if (a->token)
                return private_file(d, "spark.kubernetes.authenticate.oauthTokenFile", "token", sv_of(a->token), err);
        return 0;
}

/* ---- where the driver is ---- */

/* Holds a free port until the driver has it, seconds later, and beyond: two that bind with SO_REUSEADDR, as Java does, get along while at
 * most one listens. Who looks for a port without being `asked` for it binds without, and so leaves out those that another driver is about
 * to take. */
static bool hold_port(struct driving *d, int port, bool asked) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        const int yes = 1;
        AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || d->ports_held == DRIVER_PORTS)
                return false;
        if ((asked && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0) || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            (!asked && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0))
                return false;
        d->held[d->ports_held++] = TAKE_FD(fd);
        return true;
}

/* The user's port must be free; ours may move, but not onto another of ours. */
static int take_port(struct driving *d, const char *key, int first, struct err *err, int *ret) {
        const char *set = conf_of(d, key);
        if (set) {
                int64_t port;
                if (!sv_to_int64(sv_of(set), &port) || port < 1 || port > 65535)
                        return err_set(err, -EINVAL, "%s=%s: with a driver proxy it must be a port from 1 to 65535", key, set);
                if (!hold_port(d, (int)port, true))
                        return err_set(err, -EADDRINUSE, "%s=%s: another program of this machine has that port", key, set);
                *ret = (int)port;
                return 0;
        }
        for (int port = first; port < first + PORTS_TRIED * 2; port += 2) {
                if (!hold_port(d, port, false))
                        continue;
                AUTO(free) char *text = xasprintf("%d", port);
                add_conf(d, key, text);
                *ret = port;
                return 0;
        }
        return err_set(err, -EADDRINUSE, "no port from %d on is free; set %s", first, key);
}

static bool is_loopback(const char *address) { return str_starts(address, "127.") || streq(address, "::1"); }

static int plan_proxy(struct driving *d, struct err *err) {
        const char *when = option_str(&d->m->ctx->o, "driver-proxy"), *given = option_str(&d->m->ctx->o, "driver-address");
        bool always = when && streq(when, "always");
        if (conf_of(d, "spark.driver.host")) {
                if (always)
                        return err_set(err, -EINVAL, "--driver-proxy=always and spark.driver.host=%s contradict each other",
                                       conf_of(d, "spark.driver.host"));
                return 0;
        }
        if (given)
                d->address = xstrdup(given);
        int r = given ? 0 : driver_proxy_address(d->m->session->access.server, &d->address, err);
        if (r < 0)
                return r;
        /* In a pod this address is one of the pods' network. */
        if ((when && streq(when, "never")) || (!always && getenv("KUBERNETES_SERVICE_HOST"))) {
                add_conf(d, "spark.driver.host", d->address);
                return 0;
        }
        char suffix[9];
        rand_kube_suffix(suffix, 8);
        d->proxy_name = xasprintf("firesteel-driver-%s", suffix);
        d->proxy =
                (struct driver_proxy){.namespace_ = conf_of(d, "spark.kubernetes.namespace"), .name = d->proxy_name, .address = d->address};
        r = take_port(d, "spark.driver.port", DRIVER_PROXY_DRIVER_PORT, err, &d->proxy.driver_port);
        if (r >= 0)
                r = take_port(d, "spark.driver.blockManager.port", DRIVER_PROXY_BLOCK_PORT, err, &d->proxy.block_port);
        if (r >= 0)
                r = take_port(d, "spark.ui.port", DRIVER_PROXY_UI_PORT, err, &d->proxy.ui_port);
        if (r < 0)
                return r;
        AUTO(free) char *host = xasprintf("%s.%s.svc", d->proxy.name, d->proxy.namespace_);
        add_conf(d, "spark.driver.host", host);
        add_conf(d, "spark.driver.bindAddress", is_loopback(d->address) ? "127.0.0.1" : "0.0.0.0");
        /* At another port nobody would find it: better no driver than one without executors. */
        add_conf(d, "spark.port.maxRetries", "0");
        /* Larger results would be fetched from the pods' own addresses, which this machine has no way to. */
        add_conf(d, "spark.task.maxDirectResultSize", "128m");
        d->has_proxy = true;
        return 0;
}

/* ---- the command line ---- */

static void make_argv(struct driving *d) {
        const struct submit_args *a = d->m->args;
        const struct options *o = &d->m->ctx->o;
        strv_addf(&d->argv, "%s/bin/spark-submit", d->home);
        strv_add(&d->argv, "--master");
        strv_add(&d->argv, a->values[SUBMIT_MASTER]);
        strv_add(&d->argv, "--deploy-mode");
        strv_add(&d->argv, "client");
        for (int i = 0; i < SUBMIT_ARGS; i++) {
                const char *name = submit_options[i].name + 2;
                if (i == SUBMIT_MASTER || i == SUBMIT_DEPLOY_MODE || i == SUBMIT_CONF || i == SUBMIT_KILL || i == SUBMIT_STATUS ||
                    i == SUBMIT_HELP || i == SUBMIT_VERSION || i == SUBMIT_USAGE_ERROR || !option_given(o, name))
                        continue;
                strv_add(&d->argv, submit_options[i].name);
                if (submit_options[i].value)
                        strv_add(&d->argv, option_str(o, name));
        }
        const char *const *values;
        size_t count = option_list(o, "conf", &values);
        for (size_t i = 0; i < count; i++) {
                strv_add(&d->argv, "--conf");
                strv_add(&d->argv, values[i]);
        }
        map_foreach(e, &d->added) {
                strv_add(&d->argv, "--conf");
                strv_addf(&d->argv, "%s=%s", e->key, (const char *)e->value);
        }
        for (size_t i = 0; i < o->args.len; i++)
                strv_add(&d->argv, o->args.items[i]);
}

static int prepare(struct driving *d, struct err *err) {
        int r = find_spark(d, err);
        if (r < 0)
                return r;
        /* These may come from our options or the kubeconfig: Spark has not seen them. */
        static const char *const ours[] = {"spark.kubernetes.namespace", "spark.kubernetes.context"};
        for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
                const char *value = map_get(&d->m->args->properties, ours[i]);
                if (value)
                        map_set(&d->added, ours[i], xstrdup(value));
        }
        add_conf(d, "spark.kubernetes.namespace", "default");
        if (!conf_of(d, "spark.kubernetes.container.image") && !conf_of(d, "spark.kubernetes.executor.container.image")) {
                AUTO(free) char *image = xasprintf("apache/spark:%s", d->version.number);
                add_conf(d, "spark.kubernetes.container.image", image);
        }
        r = plan_proxy(d, err);
        return r < 0 ? r : add_credentials(d, err);
}

/* ---- running ---- */

static void tell(struct driving *d, int number) {
        d->told_signal = number;
        if (d->child)
                child_kill(d->child, number);
}
static void on_interrupt(void *arg) { tell(arg, SIGINT); }
static void on_terminate(void *arg) { tell(arg, SIGTERM); }
static void on_renew(void *arg) {
        struct driving *d = arg;
        d->renew_due = d->woken = true;
}
static void on_end(void *arg, const struct child_result *result) {
        struct driving *d = arg;
        d->exit_code = result->exit_code;
        d->child = NULL;
        d->done = d->woken = true;
}

static int drive(struct driving *d, struct err *err) {
        struct loop *loop = d->m->session->loop;
        setenv("SPARK_HOME", d->home, 1);
        setenv("FIRESTEEL_HANDED_OVER", "1", 1); /* should that spark-submit be this program again */
        int r = child_start(loop, &(struct child_spec){.argv = (const char *const *)d->argv.items, .inherit_stdio = true}, on_end, d,
                            &d->child, err);
        if (r < 0)
                return err_wrap(err, r, "starting %s", d->argv.items[0]);
        if (d->has_proxy)
                d->renew = timer_new(loop, DRIVER_PROXY_RENEW_MS, DRIVER_PROXY_RENEW_MS, on_renew, d);
        while (!d->done) {
                d->woken = false;
                loop_run_until(loop, &d->woken);
                AUTO(err) struct err why = ERR_INIT;
                bool due = d->renew_due && !d->done;
                d->renew_due = false;
                if (due && driver_proxy_renew(d->m->session->client, d->proxy.namespace_, d->proxy.name, &why) < 0)
                        fprintf(stderr, "warning: the driver proxy could not be renewed: %s\n", err_message(&why));
        }
        return d->exit_code;
}

/* Runs in every case; what cannot be removed is named. */
static void clean_up(struct driving *d) {
        AUTO(err) struct err err = ERR_INIT;
        if (d->proxy_made && driver_proxy_remove(d->m->session->client, d->proxy.namespace_, d->proxy.name, &err) < 0)
                fprintf(stderr, "warning: %s\n  hint: firesteel ls --orphans --delete removes it later\n", err_message(&err));
        err_clear(&err);
        if (d->private_dir && fs_remove_tree(d->private_dir, &err) < 0)
                fprintf(stderr, "warning: credentials are left in %s: %s\n", d->private_dir, err_message(&err));
}

/* Ctrl-C is for the driver; it ends, and then we do. From here on nothing of ours is left behind by it. */
static int connect_session(struct driving *d, struct err *err) {
        struct session *s = d->m->session;
        int r = session_connect(s, err);
        if (r < 0)
                return r;
        sigwatch_free(s->on_interrupt);
        sigwatch_free(s->on_terminate);
        s->on_interrupt = sigwatch_new(s->loop, SIGINT, on_interrupt, d);
        s->on_terminate = sigwatch_new(s->loop, SIGTERM, on_terminate, d);
        return 0;
}

static int run_driver(struct driving *d, struct err *err) {
        if (d->has_proxy) {
                int r = driver_proxy_create(d->m->session->client, &d->proxy, err);
                if (r < 0)
                        return r;
                d->proxy_made = true;
        }
        if (d->told_signal)
                return 128 + d->told_signal;
        if (!d->m->quiet)
                fprintf(stderr, "Driver of Spark %s on this machine (%s), executors in %s%s%s%s\n", d->version.number, d->home,
                        d->m->args->values[SUBMIT_MASTER], d->has_proxy ? ", which reach it by " : "",
                        d->has_proxy ? conf_of(d, "spark.driver.host") : "", d->has_proxy ? "" : " directly");
        return drive(d, err);
}

static void print_command(const struct driving *d) {
        for (size_t i = 0; i < d->argv.len; i++)
                printf("%s%s", d->argv.items[i], i + 1 < d->argv.len ? " " : "\n");
}

int client_mode_run(const struct client_mode *m, struct err *err) {
        AUTO(driving) struct driving d = {.m = m, .added = MAP_INIT(free)};
        int r = connect_session(&d, err);
        if (r >= 0)
                r = prepare(&d, err);
        if (r >= 0) {
                make_argv(&d);
                if (option_on(&m->ctx->o, "dry-run"))
                        print_command(&d);
                else
                        r = run_driver(&d, err);
        }
        clean_up(&d);
        return r;
}
