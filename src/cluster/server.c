#include "cluster/server.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/apiserver.h"
#include "cluster/controllers.h"
#include "cluster/historian.h"
#include "cluster/hostport.h"
#include "cluster/podrt/dialer.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/imagepull.h"
#include "cluster/podrt/isolation.h"
#include "cluster/podrt/kubelet.h"
#include "net/http_server.h"
#include "net/tls.h"

enum { DEFAULT_PORT = 6443, PORTS_TRIED = 100, SERVICE_PORT = 443, HTTP_GRACE_MS = 500, POD_GRACE_S = 30, LARGE_BLOCK = 1 << 20 };

struct server {
        const struct instance *instance;
        struct instance_settings *settings;
        const struct server_events *events;
        int64_t began_ms;

        int lock_fd;
        int host_fd; /* the port on the host, made before the namespaces are entered */
        int port;
        struct instance_pki pki;
        struct isolation isolation;
        bool has_namespaces;
        struct holder holder;
        struct dialer *dialer;
        struct historian *historian; /* NULL when off */

        struct loop *loop;
        struct tls_context *tls;
        struct apiserver *api;
        struct http_server *http;
        struct kubelet *kubelet;
        struct controllers *controllers;
        struct scheduler *scheduler;
        struct sigwatch *on_term, *on_int;
        int signals; /* received so far */
        bool pods_are_over;
};


/* ---------------------------------------------------------------- the port */

static int take_port(struct server *s, struct err *err) {
        struct instance_settings *settings = s->settings;
        if (settings->port && settings->is_port_fixed) {
                int r = hostport_listen(settings->bind, settings->port, &s->host_fd, &s->port, err);
                if (r == -EADDRINUSE)
                        err_hint(err, "end that program, or choose another port: \"firesteel local up --name %s --port PORT\"",
                                 s->instance->name);
                return r;
        }
        AUTO(err) struct err first = ERR_INIT;
        for (int n = settings->port ? -1 : 0; n < PORTS_TRIED; n++) {
                AUTO(err) struct err why = ERR_INIT;
                int r = hostport_try(settings->bind, n < 0 ? settings->port : DEFAULT_PORT + n, &s->host_fd, &s->port, &why);
                if (r >= 0) {
                        if (first.code)
                                log_info("%s; using %d", err_message(&first), s->port);
                        settings->port = s->port;
                        return 0;
                }
                if (r != -EADDRINUSE)
                        return err_move(err, &why);
                if (!first.code)
                        err_move(&first, &why);
        }
        return err_set(err, -EADDRINUSE, "no free port between %d and %d on %s", DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED - 1,
                       settings->bind);
}

/* ---------------------------------------------------------------- namespaces */

static int enter_namespaces(struct server *s, struct err *err) {
        isolation_probe(&s->isolation, s->instance->dir);
        if (!s->isolation.is_possible) {
                log_warn("pods cannot run here: %s", s->isolation.why_not);
                return 0;
        }
        const struct holder_options o = {.dir = s->instance->dir, .ranges = PODNET_RANGES_DEFAULT};
        int r = holder_start(&o, &s->holder, err);
        if (r >= 0)
                r = dialer_start(image_pull_errand, &s->dialer, err);
        if (r >= 0)
                r = holder_enter(&s->holder, err);
        if (r < 0)
                return err_wrap(err, r, "namespaces of instance \"%s\"", s->instance->name);
        s->has_namespaces = true;
        s->isolation.has_subordinate_ids = s->holder.has_subordinate_ids;
        if (s->holder.has_user_namespace && !s->holder.has_subordinate_ids)
                strv_add(&s->isolation.notes,
                         "this user has no subordinate ids (/etc/subuid, /etc/subgid, newuidmap): runAsUser and fsGroup are squashed, "
                         "containers run as the owner of the instance (for more, as root: usermod --add-subuids 100000-165535 "
                         "--add-subgids 100000-165535 USER)");
        return 0;
}

/* ---------------------------------------------------------------- API */

struct outgoing {
        struct loop *loop;
        void (*done)(void *done_arg, struct stream *s, const struct err *err);
        void *done_arg;
};

static void on_outgoing(void *arg, int fd, const struct err *err) {
        struct outgoing *o = arg;
        struct stream *stream = NULL;
        AUTO(err) struct err why = ERR_INIT;
        if (!err && stream_adopt(o->loop, fd, &stream, &why) < 0)
                err = &why;
        o->done(o->done_arg, stream, err);
        free(o);
}

/* The API server calls webhooks on addresses outside its own network. */
static void connect_outside(void *arg, const char *host, int port, void (*done)(void *done_arg, struct stream *s, const struct err *err),
                            void *done_arg) {
        struct server *s = arg;
        struct outgoing *o = NEW(struct outgoing);
        *o = (struct outgoing){s->loop, done, done_arg};
        dialer_connect(s->dialer, s->loop, host, port, on_outgoing, o);
}

static int start_api(struct server *s, struct err *err) {
        AUTO(free) char *database = instance_path(s->instance, "cluster.db");
        const struct apiserver_options o = {
                .database = database,
                .advertise_address = s->has_namespaces ? SERVER_SERVICE_ADDRESS : s->settings->bind,
                .advertise_port = s->has_namespaces ? SERVICE_PORT : s->port,
                .ca_cert_pem = sv_of(s->pki.ca_cert),
                .token_key_pem = sv_of(s->pki.token_key),
                .admin_token = s->pki.admin_token,
        };
        int r = apiserver_new(s->loop, &o, &s->api, err);
        if (r < 0)
                return r;
        if (s->dialer)
                apiserver_set_connect(s->api, connect_outside, s);
        const struct tls_server_options tls = {
                .cert_pem = sv_of(s->pki.server_cert), .key_pem = sv_of(s->pki.server_key), .client_ca_pem = sv_of(s->pki.ca_cert)};
        r = tls_server_new(&tls, &s->tls, err);
        if (r < 0)
                return r;
        s->http = http_server_new(s->loop, &(struct http_server_options){.tls = s->tls, .handler = apiserver_handle, .arg = s->api});
        r = http_server_adopt(s->http, TAKE_FD(s->host_fd), err);
        if (r < 0 || !s->has_namespaces)
                return r;
        /* The same server inside: what pods know as kubernetes.default.svc. */
        int fd, port;
        r = hostport_listen(SERVER_SERVICE_ADDRESS, SERVICE_PORT, &fd, &port, err);
        if (r < 0)
                return err_wrap(err, r, "inside the cluster's network");
        int one = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one); /* egress.h listens on 443 of all other addresses */
        return http_server_adopt(s->http, fd, err);
}

/* ---------------------------------------------------------------- pods */

/* Where Spark installations are looked for: what was asked for, SPARK_HOME, and where set-up puts them. */
static void find_spark(const struct instance_settings *settings, struct strv *ret) {
        for (size_t n = 0; n < settings->spark_homes.len; n++)
                strv_add(ret, settings->spark_homes.items[n]);
        const char *home = getenv("SPARK_HOME"), *cache = getenv("FIRESTEEL_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
        if (home && *home)
                strv_add(ret, home);
        if (cache && *cache)
                strv_addf(ret, "%s/spark", cache);
        else if (xdg && *xdg)
                strv_addf(ret, "%s/firesteel/spark", xdg);
        else
                strv_take(ret, fs_absolute("~/.cache/firesteel/spark"));
        strv_add(ret, "/opt/spark");
}

static int start_kubelet(struct server *s, struct err *err) {
        AUTO(strv) struct strv spark = {0};
        AUTO(free) char *events = historian_events(s->instance, s->settings);
        find_spark(s->settings, &spark);
        const struct kubelet_options o = {
                .server = s->api,
                .loop = s->loop,
                .dir = s->instance->dir,
                .instance = s->instance->name,
                .ranges = PODNET_RANGES_DEFAULT,
                .isolation = &s->isolation,
                .holder = s->has_namespaces ? &s->holder : NULL,
                .dialer = s->dialer,
                .event_logs = events,
                .insecure_registries = &s->settings->insecure_registries,
                .resolvers = &s->settings->resolvers,
                .has_no_egress = s->settings->has_no_egress,
                .images = {.spark_dirs = (const char *const *)spark.items},
                .cpu_milli = s->settings->cpu_milli,
                .memory_bytes = s->settings->memory_bytes,
                .host_address = s->settings->bind,
                .api_address = SERVER_SERVICE_ADDRESS,
                .dns_address = SERVER_DNS_ADDRESS,
        };
        int r = kubelet_new(&o, &s->kubelet, err);
        if (r < 0)
                return err_wrap(err, r, "pod runtime");
        apiserver_set_pod_backend(s->api, kubelet_backend(s->kubelet));
        return 0;
}

static void start_controllers(struct server *s) {
        AUTO(free) char *volumes = instance_path(s->instance, "volumes");
        s->controllers = controllers_new(s->api, &(struct controllers_options){.volumes_dir = volumes});
        s->scheduler = scheduler_new(s->api);
}

static void stop_controllers(struct server *s) {
        scheduler_free(TAKE(s->scheduler));
        controllers_free(TAKE(s->controllers));
}

/* ---------------------------------------------------------------- server.json */

static void describe_isolation(const struct isolation *i, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_mut_val *o = mjson_obj(doc, root, "isolation");
        AUTO(str) struct str summary = STR_INIT(0);
        if (!i->is_possible)
                str_appendf(&summary, "pods cannot run: %s", i->why_not);
        else
                str_appendf(&summary, "%s, %s, memory limits %s, CPU limits %s", i->is_root ? "root" : "user namespace", i->runtime_version,
                            i->limits_memory ? "by the kernel" : "by watching", i->limits_cpu ? "by the kernel" : "not enforced");
        mjson_set_str(doc, o, "summary", str_cstr(&summary));
        mjson_set_bool(doc, o, "possible", i->is_possible);
        mjson_set_bool(doc, o, "root", i->is_root);
        if (!i->is_root)
                mjson_set_bool(doc, o, "subordinateIds", i->has_subordinate_ids);
        mjson_set_bool(doc, o, "overlay", i->has_overlay);
        mjson_set_str(doc, o, "cgroups", cgroup_mode_name(i->cgroups));
        mjson_set_bool(doc, o, "limitsMemory", i->limits_memory);
        mjson_set_bool(doc, o, "limitsCpu", i->limits_cpu);
        mjson_set_str(doc, o, "runtime", i->runtime_version);
        yyjson_mut_val *notes = mjson_arr(doc, o, "notes");
        for (size_t n = 0; n < i->notes.len; n++)
                mjson_add_str(doc, notes, i->notes.items[n]);
}

static void describe_history(const struct server *s, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_mut_val *o = mjson_obj(doc, root, "history");
        AUTO(free) char *events = historian_events(s->instance, s->settings);
        AUTO(free) char *url = s->historian ? xasprintf("http://%s:%d/", s->settings->bind, historian_port(s->historian)) : NULL;
        mjson_set_str(doc, o, "url", url);
        mjson_set_str(doc, o, "eventLogs", events);
}

static int announce(struct server *s, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        if (s->has_namespaces)
                mjson_set_str(doc, root, "serviceAddress", SERVER_SERVICE_ADDRESS);
        if (s->has_namespaces)
                mjson_set_str(doc, root, "egress", kubelet_egress(s->kubelet));
        mjson_set_int(doc, root, "readyMs", clock_mono_ms() - s->began_ms);
        describe_isolation(&s->isolation, doc, root);
        for (size_t n = 0; n < s->settings->spark_homes.len; n++)
                mjson_add_str(doc, mjson_arr(doc, root, "sparkHomes"), s->settings->spark_homes.items[n]);
        describe_history(s, doc, root);
        const struct instance_server me = {
                .pid = getpid(),
                .start_ticks = process_start_ticks(getpid()),
                .bind = s->settings->bind,
                .port = s->port,
                .version = (char *)FIRESTEEL_VERSION,
                .started_ms = clock_now_ms(),
        };
        int r = instance_write_server(s->instance, &me, root, err);
        return r < 0 ? r : s->events->on_ready(s->events->arg, &me, &s->pki, err);
}

/* ---------------------------------------------------------------- life */

static void stopped(void *arg) {
        struct server *s = arg;
        loop_stop(s->loop);
}

static void pods_ended(void *arg) {
        struct server *s = arg;
        s->pods_are_over = true;
        http_server_stop(s->http, HTTP_GRACE_MS, stopped, s);
}

/* First whatever makes new pods, then the pods, then the API, which tells of their end until then. */
static void on_signal(void *arg) {
        struct server *s = arg;
        if (++s->signals == 1) {
                log_info("ending");
                stop_controllers(s);
                kubelet_stop(s->kubelet, POD_GRACE_S, pods_ended, s);
        } else if (s->signals == 2 && !s->pods_are_over) {
                log_info("ending at once");
                kubelet_stop(s->kubelet, 0, pods_ended, s);
        }
}

static int start(struct server *s, struct err *err) {
        int r = instance_lock(s->instance, &s->lock_fd, err);
        if (r == -EBUSY)
                return err_set(err, r, "instance \"%s\" is already running", s->instance->name);
        if (r >= 0)
                r = take_port(s, err);
        if (r >= 0)
                r = historian_open(s->instance, s->settings, &s->historian, err);
        if (r >= 0)
                r = instance_save_settings(s->instance, s->settings, err);
        if (r >= 0)
                r = instance_load_pki(s->instance, s->settings->bind, SERVER_SERVICE_ADDRESS, &s->pki, err);
        /* From here on there may be threads only after the namespaces were entered. */
        if (r >= 0)
                r = enter_namespaces(s, err);
        if (r < 0)
                return r;
        s->loop = loop_new();
        s->on_term = sigwatch_new(s->loop, SIGTERM, on_signal, s);
        s->on_int = sigwatch_new(s->loop, SIGINT, on_signal, s);
        r = start_api(s, err);
        if (r >= 0)
                r = start_kubelet(s, err);
        if (r < 0)
                return r;
        start_controllers(s);
        historian_watch(s->historian, s->loop);
        return announce(s, err);
}

static void end(struct server *s) {
        historian_stop(s->historian);
        historian_free(s->historian);
        if (s->http)
                http_server_free(s->http);
        stop_controllers(s);
        kubelet_free(s->kubelet);
        dialer_free(s->dialer);
        apiserver_free(s->api);
        tls_context_free(s->tls);
        sigwatch_free(s->on_term);
        sigwatch_free(s->on_int);
        if (s->loop)
                loop_free(s->loop);
        isolation_done(&s->isolation);
        instance_pki_done(&s->pki);
        if (s->host_fd >= 0)
                close(s->host_fd);
        if (s->lock_fd >= 0)
                close(s->lock_fd);
}

/* Answers of many megabytes come and go. Left to itself glibc learns from the first one to keep such blocks in the heap, and the process
 * stays that large. */
static void give_memory_back(void) {
#ifdef __GLIBC__
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
        mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK);
#endif
}

int server_run(const struct instance *i, struct instance_settings *settings, const struct server_events *events, struct err *err) {
        struct server s = {
                .instance = i, .settings = settings, .events = events, .began_ms = clock_mono_ms(), .lock_fd = -1, .host_fd = -1};
        give_memory_back();
        int r = start(&s, err);
        if (r >= 0) {
                loop_run(s.loop);
                instance_remove_server(i);
        }
        if (s.has_namespaces && r >= 0)
                r = holder_stop(i->dir, err);
        end(&s);
        return r < 0 ? r : 0;
}
