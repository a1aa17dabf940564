/* firesteel local: the group, and what its commands share. */
#include <dirent.h>
#include <poll.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/local.h"
#include "cluster/podrt/dnsserver.h"
#include "cluster/hostport.h"
#include "codec/ktime.h"
#include "codec/quantity.h"
#include "net/http_client.h"

int local_open(const struct cmd_ctx *ctx, struct instance *ret, struct err *err) {
        return instance_open(option_str(&ctx->o, "name"), ret, err);
}

char *local_context_name(const struct instance *i) {
        return streq(i->name, "default") ? xstrdup("firesteel") : xasprintf("firesteel-%s", i->name);
}

/* "4.1.4" when DIR/jars has spark-core_2.13-4.1.4.jar; NULL when it is no Spark. */
static char *spark_version(const char *dir) {
        AUTO(free) char *jars = fs_join(dir, "jars");
        DIR *d = opendir(jars);
        char *version = NULL;
        for (struct dirent *e; d && !version && (e = readdir(d));) {
                const char *dash = str_starts(e->d_name, "spark-core_") && str_ends(e->d_name, ".jar") ? strchr(e->d_name, '-') : NULL;
                dash = dash ? strchr(dash + 1, '-') : NULL;
                if (dash)
                        version = xstrndup(dash + 1, strlen(dash + 1) - strlen(".jar"));
        }
        if (d)
                closedir(d);
        return version;
}

/* DIR, or VERSION=DIR where the version must be what is there. */
static int apply_spark_home(struct instance_settings *s, const char *text, struct err *err) {
        const char *equals = strchr(text, '=');
        AUTO(free) char *dir = fs_absolute(equals ? equals + 1 : text);
        AUTO(free) char *wanted = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;
        if (!fs_is_dir(dir))
                return err_set(err, -ENOENT, "--spark-home %s: there is no directory %s", text, dir);
        AUTO(free) char *version = spark_version(dir);
        if (!version) {
                err_set(err, -EINVAL, "--spark-home %s: %s is no Spark: it has no jars/spark-core_*.jar", text, dir);
                err_hint(err, "of a PySpark installed with pip it is the directory site-packages/pyspark");
                return -EINVAL;
        }
        if (wanted && (!str_starts(version, wanted) || !strchr(".", version[strlen(wanted)])))
                return err_set(err, -EINVAL, "--spark-home %s: that is Spark %s", text, version);
        if (!strv_has(&s->spark_homes, dir))
                strv_take(&s->spark_homes, TAKE(dir));
        return 0;
}

static int apply_quantity(const struct cmd_ctx *ctx, const char *option, int64_t least, bool milli, int64_t *ret, struct err *err) {
        const char *text = option_str(&ctx->o, option);
        struct quantity q;
        if (!text)
                return 0;
        int64_t value = -1;
        if (quantity_parse(sv_of(text), &q, NULL) >= 0)
                value = milli ? quantity_milli(q) : quantity_value(q);
        if (value < least)
                return err_set(err, -EINVAL, milli ? "--%s takes processors, such as 4 or 2500m (at least 100m), not \"%s\""
                                                   : "--%s takes an amount of memory, such as 8Gi or 4000M (at least 64Mi), not \"%s\"",
                               option, text);
        *ret = value;
        return 0;
}

static int apply_history(const struct cmd_ctx *ctx, struct instance_settings *s, struct err *err) {
        const char *port = option_str(&ctx->o, "history-port"), *logs = option_str(&ctx->o, "event-logs");
        int64_t number = 0;
        if (port && streq(port, "off"))
                s->history_port = -1;
        else if (port && streq(port, "auto"))
                s->history_port = 0;
        else if (port && (!sv_to_int64(sv_of(port), &number) || number < 1 || number > 65535))
                return err_set(err, -EINVAL, "--history-port takes a port (1 to 65535), auto or off, not \"%s\"", port);
        else if (port)
                s->history_port = (int)number;
        if (!logs)
                return 0;
        AUTO(free) char *dir = fs_absolute(logs);
        if (!fs_is_dir(dir)) {
                err_set(err, -ENOENT, "--event-logs %s: there is no directory %s", logs, dir);
                err_hint(err, "for logs elsewhere, such as s3a://bucket/prefix, run \"firesteel history --dir\"");
                return -ENOENT;
        }
        free(s->event_logs);
        s->event_logs = TAKE(dir);
        return 0;
}

int local_apply_options(const struct cmd_ctx *ctx, struct instance_settings *s, struct err *err) {
        if (option_given(&ctx->o, "port")) {
                s->port = (int)option_int(&ctx->o, "port");
                s->is_port_fixed = true;
        }
        const char *bind = option_str(&ctx->o, "bind"), *usual = s->bind ? s->bind : getenv("FIRESTEEL_BIND");
        if (bind) {
                if (!hostport_is_loopback(bind)) {
                        err_set(err, -EINVAL, "--bind %s: only loopback addresses (127.x.y.z) are allowed", bind);
                        err_hint(err, "the administrator's token must not travel over a network; reach it from elsewhere through ssh -L");
                        return -EINVAL;
                }
                free(s->bind);
                s->bind = xstrdup(bind);
        } else if (usual && *usual && !hostport_is_loopback(usual)) {
                return err_set(
                        err, -EINVAL,
                        "%s, from FIRESTEEL_BIND or the instance's settings, is no loopback address (127.x.y.z): no other is listened on",
                        usual);
        }
        int r = apply_quantity(ctx, "memory", 64 * 1024 * 1024, false, &s->memory_bytes, err);
        if (r >= 0)
                r = apply_quantity(ctx, "cpus", 100, true, &s->cpu_milli, err);
        if (r >= 0)
                r = apply_history(ctx, s, err);
        s->has_no_egress = option_on(&ctx->o, "no-egress");
        const char *const *list;
        for (size_t i = 0, n = option_list(&ctx->o, "insecure-registry", &list); i < n; i++)
                strv_add(&s->insecure_registries, list[i]);
        for (size_t i = 0, n = option_list(&ctx->o, "resolver", &list); r >= 0 && i < n; i++) {
                if (!resolver_is_valid(list[i]))
                        return err_set(err, -EINVAL, "--resolver %s: not an IPv4 address, with or without a port (1.1.1.1, 127.0.0.1:5353)",
                                       list[i]);
                strv_add(&s->resolvers, list[i]);
        }
        const char *const *homes;
        size_t count = option_list(&ctx->o, "spark-home", &homes);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = apply_spark_home(s, homes[i], err);
        return r < 0 ? r : 0;
}

int local_get(const struct instance *i, const struct instance_server *s, const char *path, yyjson_doc **ret, struct err *err) {
        AUTO(instance_pki) struct instance_pki pki = {0};
        int r = instance_client_pki(i, &pki, err);
        if (r < 0)
                return r;
        AUTO(tls_context) struct tls_context *tls = NULL;
        r = tls_client_new(&(struct tls_client_options){.ca_pem = sv_of(pki.ca_cert)}, &tls, err);
        if (r < 0)
                return r;
        AUTO(loop) struct loop *l = loop_new();
        AUTO(http_client) struct http_client *c = http_client_new(l, &(struct http_client_options){.tls = tls});
        AUTO(http_headers) struct http_headers headers = {0};
        AUTO(http_response) struct http_response response = {0};
        AUTO(free) char *url = xasprintf("https://%s:%d%s", s->bind, s->port, path);
        http_headers_addf(&headers, "Authorization", "Bearer %s", pki.admin_token);
        r = http_call_wait(c, l, &(struct http_call_options){.method = "GET", .url = url, .headers = &headers, .timeout_ms = 10000},
                           &response, err);
        if (r < 0)
                return err_wrap(err, r, "the server of instance \"%s\" does not answer", i->name);
        if (response.status != 200)
                return err_http(err, -EIO, response.status, NULL, "%s: %d %s", url, response.status, http_status_text(response.status));
        return json_parse(str_sv(&response.body), ret, err);
}

void local_hint_running(struct err *err) {
        AUTO(strv) struct strv names = {0};
        if (instance_names(&names, NULL) < 0)
                return;
        for (size_t n = 0; n < names.len; n++) {
                AUTO(instance) struct instance i = {0};
                AUTO(instance_server) struct instance_server s = {0};
                if (instance_open(names.items[n], &i, NULL) < 0 || instance_running(&i, &s, NULL) != 1)
                        continue;
                AUTO(free) char *kubeconfig = instance_path(&i, "kubeconfig");
                err_hint(err, "the cluster of \"firesteel local\" runs: export KUBECONFIG=%s", kubeconfig);
                return;
        }
}

int local_not_running(const struct instance *i) {
        AUTO(err) struct err e = ERR_INIT;
        err_set(&e, -ESRCH, instance_exists(i) ? "instance \"%s\" is not running" : "there is no instance \"%s\"", i->name);
        err_hint(&e, streq(i->name, "default") ? "\"firesteel local up\" starts it" : "\"firesteel local up --name %s\" starts it",
                 i->name);
        log_err(&e);
        return EXIT_NOT_FOUND;
}

bool local_wait_exit(pid_t pid, int64_t timeout_ms, void (*tick)(void *arg), void *arg) {
        AUTO(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return errno == ESRCH;
        int64_t until = clock_mono_ms() + timeout_ms;
        for (;;) {
                int64_t left = until - clock_mono_ms();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int n = poll(&p, 1, left <= 0 ? 0 : left < 100 ? (int)left : 100);
                if (n > 0)
                        return true;
                if (left <= 0)
                        return false;
                if (tick)
                        tick(arg);
        }
}

void local_age(int64_t since_ms, char ret[40]) { duration_human(clock_now_ms() - since_ms, ret); }

static const struct cmd *const subs[] = {
        &cmd_local_up,         &cmd_local_down, &cmd_local_status, &cmd_local_logs,
        &cmd_local_kubeconfig, &cmd_local_ls,   &cmd_local_reset,  &cmd_local_serve,
        &cmd_local_image,
        NULL,
};

const struct cmd cmd_local = {
        .name = "local",
        .summary = "Run a Kubernetes-compatible cluster on this machine",
        .description =
                "An API server and a pod runtime in this program: no Docker, no virtual machine, no root rights. kubectl, Spark and Helm "
                "talk to it as to any cluster.\n\n"
                "Each instance has a name, its own directory below ~/.local/state/firesteel, its own port and its own network.",
        .subs = subs,
};
