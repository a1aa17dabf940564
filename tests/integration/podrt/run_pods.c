/* Runs pods from manifests on a cluster of its own in this process (API server in memory and kubelet, no scheduler: spec.nodeName must be
 * `node`), prints every change of their status and, when all have ended, their logs: run_pods [--dir DIR] [--spark DIR]...
 * [--delete-running] [--pods N] FILE...
 * --pods: how many there are already, from an earlier run in DIR. --delete-running: pods are deleted once they run.
 */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/apiserver.h"
#include "cluster/podrt/kubelet.h"
#include "cluster/podrt/reexec.h"
#include "codec/yaml.h"

struct run {
        struct loop *loop;
        struct apiserver *server;
        struct api *api;
        struct kubelet *kubelet;
        int64_t began_ms;
        size_t pods, ended, gone;
        bool stopping;
        struct pod_log *log;
        struct str text;
        struct object_list finished;
        size_t logged;
        struct strv files;
        bool posted, delete_running;
        int result;
};

static void stopped(void *arg) {
        struct run *r = arg;
        loop_stop(r->loop);
}

static void next_log(void *arg);

static void log_data(void *arg, struct sv data) { str_append_sv(&((struct run *)arg)->text, data); }
static void log_end(void *arg, const struct err *err) {
        struct run *r = arg;
        printf("---- log of %s\n%s\n---- end\n", r->finished.items[r->logged - 1]->name, str_cstr(&r->text));
        str_done(&r->text);
        kubelet_backend(r->kubelet)->log_close(r->log);
        loop_post(r->loop, next_log, r);
}

static void next_log(void *arg) {
        struct run *r = arg;
        AUTO(err) struct err err = ERR_INIT;
        if (r->logged == r->finished.len) {
                kubelet_stop(r->kubelet, 1, stopped, r);
                return;
        }
        struct object *pod = r->finished.items[r->logged++];
        yyjson_val *c = yyjson_arr_get_first(object_at(pod, "/spec/containers"));
        struct pod_log_options o = {
                .container = json_get_str(c, "name"), .tail_lines = -1, .since_time_us = -1, .limit_bytes = -1, .follow = true};
        const struct pod_backend *b = kubelet_backend(r->kubelet);
        if (b->log_open(b->self, pod, &o, &(struct pod_log_events){log_data, log_end, r}, &r->log, &err) < 0) {
                printf("---- log of %s\n%s\n---- end\n", pod->name, err_message(&err));
                loop_post(r->loop, next_log, r);
        }
}

static void delete_all(void *arg) {
        struct run *r = arg;
        AUTO(object_list) struct object_list list = {0};
        if (api_list(r->api, "pods", NULL, NULL, NULL, &list, NULL) < 0)
                return;
        for (size_t i = 0; i < list.len; i++)
                (void)!api_delete(r->api, "pods", list.items[i]->namespace, list.items[i]->name, NULL, NULL);
}

static void on_pod(void *arg, const struct api_event *e) {
        struct run *r = arg;
        static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "SYNCED"};
        if (e->type == API_SYNCED)
                return;
        yyjson_val *state = object_at(e->object, "/status/containerStatuses/0/state");
        AUTO(free) char *cs = state ? json_write(state, false, NULL) : NULL;
        const char *phase = object_str(e->object, "/status/phase"), *ip = object_str(e->object, "/status/podIP");
        printf("%7.3f %-8s %-20s %-9s %-12s %s%s\n", (double)(clock_mono_ms() - r->began_ms) / 1e3, names[e->type], e->object->name,
               phase ? phase : "", ip ? ip : "", cs ? cs : "", object_is_deleting(e->object) ? " deleting" : "");
        fflush(stdout);
        bool over = phase && (streq(phase, "Succeeded") || streq(phase, "Failed"));
        if (e->type == API_DELETED || (over && !object_is_deleting(e->object))) {
                bool known = false;
                for (size_t i = 0; i < r->finished.len; i++)
                        known |= streq(r->finished.items[i]->uid, e->object->uid);
                if (!known) {
                        *vec_push(&r->finished) = object_ref(e->object);
                        if (r->finished.len >= r->pods)
                                loop_post(r->loop, next_log, r);
                }
        }
        if (r->delete_running && phase && streq(phase, "Running") && !object_is_deleting(e->object))
                loop_post(r->loop, delete_all, r);
}

static void on_event(void *arg, const struct api_event *e) {
        struct run *r = arg;
        if (e->type != API_SYNCED)
                printf("%7.3f event    %-20s %s %s: %s\n", (double)(clock_mono_ms() - r->began_ms) / 1e3,
                       object_str(e->object, "/involvedObject/name"), object_str(e->object, "/type"), object_str(e->object, "/reason"),
                       object_str(e->object, "/message"));
}

static int post_file(struct run *r, const char *path, struct err *err) {
        AUTO(str) struct str text = STR_INIT(1 << 20);
        yyjson_doc **docs = NULL;
        int n = fs_read(path, 1 << 20, &text, err);
        if (n < 0 || (n = yaml_parse_all(str_sv(&text), &docs, err)) < 0)
                return n;
        int result = 0;
        for (int i = 0; i < n; i++) {
                yyjson_val *root = yyjson_doc_get_root(docs[i]);
                const char *kind = json_get_str(root, "kind"), *ns = json_str_at(root, "/metadata/namespace");
                AUTO(free) char *resource = xasprintf("%ss", kind ? kind : "");
                for (char *p = resource; *p; p++)
                        *p = (char)(*p | 0x20);
                AUTO(mjson) yyjson_mut_doc *doc = json_thaw(root);
                if (result == 0)
                        result = api_create(r->api, resource, ns ? ns : "default", yyjson_mut_doc_get_root(doc), NULL, err);
                r->pods += streq(resource, "pods");
                yyjson_doc_free(docs[i]);
        }
        free(docs);
        return result;
}

/* The namespace's own service account is there: pods can be made. */
static void on_account(void *arg, const struct api_event *e) {
        struct run *r = arg;
        AUTO(err) struct err err = ERR_INIT;
        if (r->posted || e->type == API_SYNCED || !streq(e->object->namespace, "default"))
                return;
        r->posted = true;
        for (size_t i = 0; i < r->files.len && r->result == 0; i++)
                r->result = post_file(r, r->files.items[i], &err);
        if (r->result < 0) {
                log_err(&err);
                loop_stop(r->loop);
        }
}

static void on_signal(void *arg) {
        struct run *r = arg;
        kubelet_stop(r->kubelet, 5, stopped, r);
}

int main(int argc, char **argv) {
        int code;
        if (reexec_dispatch(argc, argv, &code))
                return code;
        AUTO(err) struct err err = ERR_INIT;
        struct run r = {.began_ms = clock_mono_ms()};
        struct strv spark = {0};
        char template[] = "/tmp/firesteel-pods-XXXXXX";
        const char *dir = NULL;
        for (int i = 1; i < argc; i++) {
                if (streq(argv[i], "--dir") && i + 1 < argc)
                        dir = argv[++i];
                else if (streq(argv[i], "--spark") && i + 1 < argc)
                        strv_add(&spark, argv[++i]);
                else if (streq(argv[i], "--pods") && i + 1 < argc)
                        r.pods = strtoul(argv[++i], NULL, 10);
                else if (streq(argv[i], "--delete-running"))
                        r.delete_running = true;
                else
                        strv_add(&r.files, argv[i]);
        }
        if (!dir)
                dir = mkdtemp(template);
        chmod(dir, 0755);
        setvbuf(stdout, NULL, _IOLBF, 0);
        struct isolation isolation;
        isolation_probe(&isolation, dir);
        printf("%s%s, %s, overlay %d, cgroups %s\n",
               isolation.is_possible ? "" : "NOT POSSIBLE: ", isolation.why_not ? isolation.why_not : "pods are possible",
               isolation.runtime_version, isolation.has_overlay, cgroup_mode_name(isolation.cgroups));
        if (!isolation.is_possible)
                return 77;
        struct holder holder = {0};
        struct dialer *dialer = NULL;
        const struct holder_options ho = {.dir = dir, .ranges = PODNET_RANGES_DEFAULT};
        int result = dialer_start(NULL, &dialer, &err);
        if (result == 0)
                result = holder_start(&ho, &holder, &err);
        if (result == 0)
                result = holder_enter(&holder, &err);
        if (result < 0) {
                log_err(&err);
                return 1;
        }
        r.loop = loop_new();
        AUTO(free) char *database = fs_join(dir, "cluster.db");
        result = apiserver_new(r.loop,
                               &(struct apiserver_options){.database = database, .advertise_address = "10.96.0.1", .advertise_port = 443},
                               &r.server, &err);
        if (result == 0) {
                r.api = api_new(r.server, "test");
                struct kubelet_options o = {.server = r.server,
                                            .loop = r.loop,
                                            .dir = dir,
                                            .instance = "node",
                                            .ranges = ho.ranges,
                                            .isolation = &isolation,
                                            .holder = &holder,
                                            .dialer = dialer,
                                            .images = {.spark_dirs = (const char *const *)spark.items},
                                            .api_address = "10.96.0.1",
                                            .dns_address = "10.96.0.10"};
                result = kubelet_new(&o, &r.kubelet, &err);
        }
        if (result == 0) {
                apiserver_set_pod_backend(r.server, kubelet_backend(r.kubelet));
                api_watch_start(r.api, "pods", NULL, NULL, NULL, on_pod, &r);
                api_watch_start(r.api, "events", NULL, NULL, NULL, on_event, &r);
                api_watch_start(r.api, "serviceaccounts", NULL, NULL, NULL, on_account, &r);
        }
        if (result < 0) {
                log_err(&err);
                (void)!holder_stop(dir, NULL);
                return 1;
        }
        struct sigwatch *sig = sigwatch_new(r.loop, SIGINT, on_signal, &r), *term = sigwatch_new(r.loop, SIGTERM, on_signal, &r);
        loop_run(r.loop);
        sigwatch_free(sig);
        sigwatch_free(term);
        printf("adopted %zu\n", kubelet_adopted(r.kubelet));
        kubelet_free(r.kubelet);
        api_free(r.api);
        object_list_done(&r.finished);
        apiserver_free(r.server);
        loop_free(r.loop);
        dialer_free(dialer);
        isolation_done(&isolation);
        (void)!holder_stop(dir, NULL);
        strv_done(&spark);
        strv_done(&r.files);
        if (dir == template)
                (void)!fs_remove_tree(dir, NULL);
        return r.result < 0;
}
