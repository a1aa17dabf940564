/* Load for a Kubernetes API server, from one loop over kept TLS connections; figures as JSON, a line a command.
 *
 *     kube_load KUBECONFIG create COUNT CONCURRENCY [FIRST]     pods load-FIRST ..., which no scheduler takes, in the namespace `load`
 *     kube_load KUBECONFIG get COUNT CONCURRENCY [PODS]         those pods one by one, in turn
 *     kube_load KUBECONFIG list COUNT [CONCURRENCY]             all of them, each time in one answer
 *     kube_load KUBECONFIG watch WATCHERS COUNT VERSION         that many watches from there, COUNT config maps; until each watch has told
 * of each kube_load KUBECONFIG run COUNT CONCURRENCY IMAGE          pods run-CONCURRENCY-0 ... of the image; from the request until a watch
 * tells that each runs
 *
 * `cpu` is this program's own processor time: well below `seconds`, it was not what was measured. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "kube/access.h"
#include "net/http_client.h"

struct load {
        struct loop *loop;
        struct http_client *http;
        struct kube_access access;
        const char *what, *version;
        int from, count, started, done, failed, concurrency;
        int64_t *began_us, *took_us; /* by the number of the request */
        size_t bytes;
        int watchers, watching;
        int64_t events, events_wanted, last_event_us;
        const char *image;
        struct str line; /* of the watch of pods that are to run: what has come of the next event */
        bool ended;
        char first_error[512];
};

struct one {
        struct load *load;
        int number;
};

static void body_of(const struct load *t, int n, struct str *ret) {
        if (streq(t->what, "create"))
                str_appendf(
                        ret,
                        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"load-%d\",\"labels\":{\"app\":\"load\",\"spark-role\":\"executor\","
                        "\"spark-app-selector\":\"spark-%032d\"}},\"spec\":{\"schedulerName\":\"nobody\",\"restartPolicy\":\"Never\",\"containers\":[{\"name\":"
                        "\"spark-kubernetes-executor\",\"image\":\"apache/spark:4.1.4\",\"args\":[\"executor\"],\"env\":[{\"name\":\"SPARK_EXECUTOR_ID\",\"value\":"
                        "\"%d\"},{\"name\":\"SPARK_EXECUTOR_MEMORY\",\"value\":\"1024m\"},{\"name\":\"SPARK_EXECUTOR_POD_IP\",\"valueFrom\":{\"fieldRef\":"
                        "{\"apiVersion\":\"v1\",\"fieldPath\":\"status.podIP\"}}}],\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"1408Mi\"},"
                        "\"limits\":{\"memory\":\"1408Mi\"}}}]}}",
                        n, n % 100, n);
        else if (streq(t->what, "run"))
                str_appendf(
                        ret,
                        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"run-%d-%d\",\"labels\":{\"app\":\"run-%d\"}},\"spec\":{\"restartPolicy\":"
                        "\"Never\",\"containers\":[{\"name\":\"main\",\"image\":\"%s\",\"imagePullPolicy\":\"IfNotPresent\"}]}}",
                        t->concurrency, n, t->concurrency, t->image);
        else
                str_appendf(
                        ret,
                        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"load-%s-%d\"},\"data\":{\"key\":\"%0200d\"}}",
                        t->what, n, n);
}

static struct http_call *call(struct load *t, const char *method, const char *path, struct sv body, struct http_call_options o) {
        AUTO(free) char *url = xasprintf("%s%s", t->access.server, path);
        AUTO(http_headers) struct http_headers h = {0};
        if (body.len)
                http_headers_add(&h, "Content-Type", "application/json");
        if (t->access.token)
                http_headers_addf(&h, "Authorization", "Bearer %s", t->access.token);
        o.method = method;
        o.url = url;
        o.headers = &h;
        o.body = body;
        o.max_body = 512U << 20;
        o.timeout_ms = 300 * 1000;
        return http_call_start(t->http, &o);
}

static void start_more(struct load *t);

static void on_done(void *arg, struct http_response *response, const struct err *err) {
        struct one *one = arg;
        struct load *t = one->load;
        bool accepted = !err && response->status < 300;
        if (!accepted) {
                if (!t->failed++)
                        snprintf(t->first_error, sizeof t->first_error, "%s", err ? err_message(err) : str_cstr(&response->body));
        } else {
                t->bytes += response->body.len;
        }
        if (!accepted && t->watchers) /* what the watches wait for will not come */
                loop_stop(t->loop);
        if (t->image) { /* the watch tells when it is done */
                free(one);
                return;
        }
        t->took_us[one->number] = clock_mono_us() - t->began_us[one->number];
        free(one);
        t->done++;
        start_more(t);
        if (t->done == t->count && !t->watchers)
                loop_stop(t->loop);
}

static void start_more(struct load *t) {
        while (t->started < t->count && t->started - t->done < t->concurrency) {
                AUTO(str) struct str body = STR_INIT(0);
                AUTO(free) char *path = NULL;
                int n = t->started++;
                struct one *one = NEW(struct one);
                *one = (struct one){t, n};
                t->began_us[n] = clock_mono_us();
                const char *method = "POST";
                if (streq(t->what, "create") || t->image) {
                        path = xstrdup("/api/v1/namespaces/load/pods");
                        body_of(t, t->from + n, &body);
                } else if (streq(t->what, "get")) {
                        method = "GET";
                        path = xasprintf("/api/v1/namespaces/load/pods/load-%d", n % t->from);
                } else if (streq(t->what, "list")) {
                        method = "GET";
                        path = xstrdup("/api/v1/namespaces/load/pods?resourceVersion=0");
                } else {
                        path = xstrdup("/api/v1/namespaces/load/configmaps");
                        body_of(t, t->from + n, &body);
                }
                (void)call(t, method, path, str_sv(&body), (struct http_call_options){.on_done = on_done, .arg = one});
        }
}

/* A watch: every line is an event. */
static void on_watch_headers(void *arg, const struct http_response *response) {
        struct load *t = arg;
        if (response->status == 200 && ++t->watching == t->watchers)
                start_more(t);
}

static void on_watch_data(void *arg, struct sv data) {
        struct load *t = arg;
        for (const char *p = data.data, *end = data.data + data.len; p && p < end; p = p ? p + 1 : NULL) {
                p = memchr(p, '\n', (size_t)(end - p));
                t->events += p != NULL;
        }
        t->bytes += data.len;
        t->last_event_us = clock_mono_us();
        if (t->events >= t->events_wanted)
                loop_stop(t->loop);
}

static void on_pod_event(struct load *t, struct sv line) {
        AUTO(json) yyjson_doc *doc = NULL;
        int owner, number;
        if (json_parse(line, &doc, NULL) < 0)
                return;
        yyjson_val *pod = yyjson_obj_get(yyjson_doc_get_root(doc), "object");
        const char *name = json_str_at(pod, "/metadata/name"), *phase = json_str_at(pod, "/status/phase");
        if (!name || !phase || sscanf(name, "run-%d-%d", &owner, &number) != 2 || number < 0 || number >= t->started || t->took_us[number])
                return;
        if (streq(phase, "Failed") && !t->failed++) {
                snprintf(t->first_error, sizeof t->first_error, "pod %s failed: %.*s", name, (int)(line.len < 400 ? line.len : 400),
                         line.data);
                loop_stop(t->loop);
        }
        if (!streq(phase, "Running"))
                return;
        t->took_us[number] = clock_mono_us() - t->began_us[number];
        if (++t->done == t->count)
                loop_stop(t->loop);
        start_more(t);
}

static void on_pod_data(void *arg, struct sv data) {
        struct load *t = arg;
        str_append(&t->line, data.data, data.len);
        for (char *end; (end = memchr(t->line.data, '\n', t->line.len));) {
                size_t len = (size_t)(end - t->line.data);
                on_pod_event(t, sv_new(t->line.data, len));
                str_consume(&t->line, len + 1);
        }
}

static void on_watch_done(void *arg, struct http_response *response, const struct err *err) {
        struct load *t = arg;
        if (!t->failed++)
                snprintf(t->first_error, sizeof t->first_error, "a watch ended: %s (HTTP %d, after %lld events of all)",
                         err ? err_message(err) : "by the server", response ? response->status : 0, (long long)t->events);
        loop_stop(t->loop);
}

static int by_value(const void *a, const void *b) {
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

static void report(struct load *t, int64_t began_us) {
        int64_t end_us = t->watchers ? t->last_event_us : clock_mono_us();
        double seconds = (double)(end_us - began_us) / 1e6;
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        qsort(t->took_us, (size_t)t->count, sizeof *t->took_us, by_value);
        printf("{\"what\": \"%s\", \"count\": %d, \"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"bytes\": %zu, \"events\": %lld, "
               "\"events_rate\": %.1f, \"cpu\": %.3f}\n",
               t->what, t->count, seconds, t->count / seconds, (double)t->took_us[t->count / 2] / 1e3,
               (double)t->took_us[t->count * 99 / 100] / 1e3, t->bytes, (long long)t->events, (double)t->events / seconds, cpu);
}

static int run(struct load *t, struct err *err) {
        if (t->count < 1)
                return err_set(err, -EINVAL, "a count above 0");
        t->began_us = xcalloc((size_t)t->count, sizeof *t->began_us);
        t->took_us = xcalloc((size_t)t->count, sizeof *t->took_us);
        AUTO(tls_context) struct tls_context *tls = NULL;
        int r = tls_client_new(&(struct tls_client_options){.ca_pem = str_sv(&t->access.ca_pem),
                                                            .cert_pem = str_sv(&t->access.cert_pem),
                                                            .key_pem = str_sv(&t->access.key_pem)},
                               &tls, err);
        if (r < 0)
                return r;
        t->http = http_client_new(t->loop, &(struct http_client_options){.tls = tls, .max_idle = 256});
        int64_t began_us = clock_mono_us();
        if (t->image) {
                AUTO(free) char *path = xasprintf("/api/v1/namespaces/load/pods?watch=true&labelSelector=app%%3Drun-%d", t->concurrency);
                t->watchers = 1;
                (void)call(t, "GET", path, (struct sv){0},
                           (struct http_call_options){
                                   .on_headers = on_watch_headers, .on_data = on_pod_data, .on_done = on_watch_done, .arg = t});
        } else if (t->watchers) {
                AUTO(free) char *path = xasprintf("/api/v1/namespaces/load/configmaps?watch=true&resourceVersion=%s", t->version);
                for (int i = 0; i < t->watchers; i++)
                        (void)call(t, "GET", path, (struct sv){0},
                                   (struct http_call_options){
                                           .on_headers = on_watch_headers, .on_data = on_watch_data, .on_done = on_watch_done, .arg = t});
        } else {
                start_more(t);
        }
        loop_run(t->loop);
        if (t->failed)
                return err_set(err, -EIO, "%d of %d failed: %s", t->failed, t->done, t->first_error);
        if (t->image)
                t->last_event_us = clock_mono_us();
        report(t, t->watchers ? t->began_us[0] : began_us);
        return 0;
}

int main(int argc, char **argv) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(kubeconfig) struct kubeconfig k = {0};
        struct load t = {.loop = loop_new()};
        if (argc < 4 || (argc < 5 && strcmp(argv[2], "list") != 0)) {
                fprintf(stderr, "kube_load KUBECONFIG create|get|list|watch|run COUNT [CONCURRENCY]\n");
                return 2;
        }
        int a = (int)strtol(argv[3], NULL, 10), b = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1,
            c = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
        t.what = argv[2];
        t.count = a;
        t.concurrency = b;
        t.from = c; /* of creations: the first number; of gets: how many pods there are */
        if (streq(t.what, "get") && t.from < 1)
                t.from = a;
        if (streq(t.what, "watch")) {
                t.version = argc > 5 ? argv[5] : "0";
                t.from = 0;
                t.watchers = a;
                t.count = b;
                t.concurrency = 4;
                t.events_wanted = (int64_t)a * b;
        }
        if (streq(t.what, "run"))
                t.image = argc > 5 ? argv[5] : "localhost/pause:1";
        t.line = STR_INIT(0);
        int r = kubeconfig_load(argv[1], &k, &err);
        if (r >= 0)
                r = kube_access_of(&k, &(struct kube_access_options){0}, &t.access, &err);
        if (r >= 0)
                r = run(&t, &err);
        http_client_free(t.http);
        kube_access_done(&t.access);
        str_done(&t.line);
        free(t.began_us);
        free(t.took_us);
        loop_free(t.loop);
        if (r < 0) {
                fprintf(stderr, "kube_load: %s\n", err_message(&err));
                return 1;
        }
        return 0;
}
