#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/vec.h"
#include "cluster/api.h"
#include "cluster/apiserver.h"
#include "cluster/controllers.h"
#include "cluster/disruption.h"
#include "kobj/meta.h"

/* A server in memory, its controllers and the scheduler, and a hand that plays the kubelet. */
struct world {
        struct loop *loop;
        struct apiserver *server;
        struct api *api;
        struct controllers *controllers;
        struct scheduler *scheduler;
        bool done, timed_out;
        bool (*holds)(struct world *w, const char *name);
        const char *name;
        int64_t deadline_ms;
};

enum { PATIENCE_MS = 100000 };

static int tear_down(void **state) {
        struct world *w = *state;
        scheduler_free(w->scheduler);
        controllers_free(w->controllers);
        api_free(w->api);
        apiserver_free(w->server);
        loop_free(w->loop);
        free(w);
        return 0;
}

static void look(void *arg) {
        struct world *w = arg;
        w->timed_out = clock_mono_ms() > w->deadline_ms;
        w->done = w->timed_out || w->holds(w, w->name);
}

/* Runs the loop until the condition holds. */
static void await(struct world *w, bool (*holds)(struct world *w, const char *name), const char *name, const char *what) {
        struct timer *t = timer_new(w->loop, 0, 2, look, w);
        w->done = false;
        w->holds = holds;
        w->name = name;
        w->deadline_ms = clock_mono_ms() + PATIENCE_MS;
        loop_run_until(w->loop, &w->done);
        timer_free(t);
        if (!w->timed_out)
                return;
        AUTO(object_list) struct object_list all = {0};
        static const char *const shown[] = {"pods", "replicasets.apps", "deployments.apps", "jobs.batch", "events"};
        for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
                (void)!api_list(w->api, shown[i], NULL, NULL, NULL, &all, NULL);
        }
        vec_foreach(o, &all) print_message("%s\n", (*o)->json);
        fail_msg("waited in vain: %s %s", what, name);
}
#define AWAIT(w, condition, name) await(w, condition, name, #condition)

static bool has_account(struct world *w, const char *name) { return api_peek(w->api, "serviceaccounts", "default", name); }

static int set_up(void **state) {
        struct world *w = NEW(struct world);
        AUTO(err) struct err err = ERR_INIT;
        w->loop = loop_new();
        if (apiserver_new(w->loop, &(struct apiserver_options){.allow_anonymous_admin = true}, &w->server, &err) < 0)
                fail_msg("%s", err_message(&err));
        w->api = api_new(w->server, "test");
        w->controllers = controllers_new(w->server, &(struct controllers_options){.volumes_dir = TEST_BUILD "/volumes"});
        w->scheduler = scheduler_new(w->server);
        AWAIT(w, has_account, "default");
        *state = w;
        return 0;
}

static struct object *make(struct world *w, const char *resource, const char *text) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        struct object *made = NULL;
        if (json_parse(sv_of(text), &doc, &err) < 0)
                fail_msg("%s: %s", text, err_message(&err));
        AUTO(mjson) yyjson_mut_doc *edit = json_thaw(yyjson_doc_get_root(doc));
        if (api_create(w->api, resource, "default", yyjson_mut_doc_get_root(edit), &made, &err) < 0)
                fail_msg("%s: %s", text, err_message(&err));
        return made;
}

static void make_and_forget(struct world *w, const char *resource, const char *text) { object_unref(make(w, resource, text)); }

static void make_node(struct world *w, const char *cpu, const char *memory) {
        AUTO(free) char *text = xasprintf(
                "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"disk\":\"ssd\"}},\"status\":{\"allocatable\":{\"cpu\":\"%s\",\"memory\":\"%s\",\"pods\":\"110\"}}}",
                cpu, memory);
        AUTO(object) struct object *node = make(w, "nodes", text);
        AUTO(err) struct err err = ERR_INIT;
        if (!object_at(node, "/status/allocatable") &&
            api_patchf(w->api, "nodes", NULL, "n1", "status", &err,
                       "{\"status\":{\"allocatable\":{\"cpu\":\"%s\",\"memory\":\"%s\",\"pods\":\"110\"}}}", cpu, memory) < 0)
                fail_msg("%s", err_message(&err));
}

/* ---- the kubelet's part ---- */

static void set_pod(struct world *w, const char *name, const char *phase, bool ready) {
        AUTO(err) struct err err = ERR_INIT;
        if (api_patchf(
                    w->api, "pods", "default", name, "status", &err,
                    "{\"status\":{\"phase\":\"%s\",\"podIP\":\"10.0.0.9\",\"podIPs\":[{\"ip\":\"10.0.0.9\"}],\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
                    phase, ready ? "True" : "False") < 0)
                fail_msg("%s", err_message(&err));
}

static size_t each_pod(struct world *w, const char *phase, bool ready, const char *only_phase) {
        AUTO(object_list) struct object_list pods = {0};
        size_t n = 0;
        if (api_list(w->api, "pods", "default", NULL, NULL, &pods, NULL) < 0)
                fail_msg("list");
        vec_foreach(p, &pods) {
                if (object_is_deleting(*p) || (only_phase && !streq_null(object_str(*p, "/status/phase"), only_phase)))
                        continue;
                set_pod(w, (*p)->name, phase, ready);
                n++;
        }
        return n;
}

/* Ends what is being deleted. */
static void reap(struct world *w) {
        AUTO(object_list) struct object_list pods = {0};
        (void)!api_list(w->api, "pods", "default", NULL, NULL, &pods, NULL);
        vec_foreach(p, &pods) {
                if (object_is_deleting(*p))
                        (void)!api_delete(w->api, "pods", "default", (*p)->name, &API_DELETE_NOW, NULL);
        }
}

static size_t count(struct world *w, const char *resource, const char *labels) {
        AUTO(object_list) struct object_list all = {0};
        return api_list(w->api, resource, "default", labels, NULL, &all, NULL) < 0 ? 0 : all.len;
}

static bool has_event(struct world *w, const char *reason, const char *text) {
        AUTO(object_list) struct object_list all = {0};
        (void)!api_list(w->api, "events", NULL, NULL, NULL, &all, NULL);
        vec_foreach(e, &all) {
                const char *message = object_str(*e, "/message");
                if (streq_null(object_str(*e, "/reason"), reason) && (!text || (message && strstr(message, text))))
                        return true;
        }
        return false;
}

/* ---- conditions ---- */

static bool three_pods(struct world *w, const char *labels) { return count(w, "pods", labels) == 3; }
static bool two_pods(struct world *w, const char *labels) { return count(w, "pods", labels) == 2; }
static bool one_pod(struct world *w, const char *labels) { return count(w, "pods", labels) == 1; }
static bool no_pods(struct world *w, const char *labels) {
        reap(w);
        return count(w, "pods", labels) == 0;
}
static bool pod_is_bound(struct world *w, const char *name) {
        struct object *pod = api_peek(w->api, "pods", "default", name);
        return pod && streq_null(object_str(pod, "/spec/nodeName"), "n1");
}
static bool pod_is_refused(struct world *w, const char *name) {
        struct object *pod = api_peek(w->api, "pods", "default", name);
        return pod && meta_condition_is(object_root(pod), "PodScheduled", "False");
}
static bool is_gone(struct world *w, const char *path) {
        AUTO(free) char *copy = xstrdup(path);
        char *slash = strchr(copy, '/');
        *slash = '\0';
        return !api_peek(w->api, copy, streq(copy, "namespaces") || streq(copy, "persistentvolumes") ? NULL : "default", slash + 1);
}

/* ---- tests ---- */

#define CONTAINERS(extra) "\"containers\":[{\"name\":\"c\",\"image\":\"i\"" extra "}]"
#define POD(name, spec) "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" spec "}}"
#define MEMORY(n) ",\"resources\":{\"requests\":{\"memory\":\"" n "\"}}"

static void pods_get_a_node_with_room(void **state) {
        struct world *w = *state;
        make_node(w, "2", "1Gi");
        make_and_forget(w, "pods", POD("a", CONTAINERS(MEMORY("600Mi"))));
        AWAIT(w, pod_is_bound, "a");
        assert_true(has_event(w, "Scheduled", "Successfully assigned default/a to n1"));
        make_and_forget(w, "pods", POD("b", CONTAINERS(MEMORY("600Mi"))));
        AWAIT(w, pod_is_refused, "b");
        struct object *b = api_peek(w->api, "pods", "default", "b");
        assert_string_equal(
                json_get_str(meta_condition(object_root(b), "PodScheduled"), "message"),
                "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims "
                "found for incoming pod.");
        set_pod(w, "a", "Succeeded", false); /* room appears */
        AWAIT(w, pod_is_bound, "b");
}

static void unfit_nodes_are_explained(void **state) {
        struct world *w = *state;
        static const struct {
                const char *name, *pod, *message;
        } cases[] = {
                {"sel", POD("sel", CONTAINERS("") ",\"nodeSelector\":{\"disk\":\"hdd\"}"),
                 "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 "
                 "Preemption is not helpful for scheduling."},
                {"big", POD("big", CONTAINERS(",\"resources\":{\"requests\":{\"cpu\":\"3\",\"memory\":\"2Gi\"}}")),
                 "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is "
                 "not helpful for scheduling."},
                {"pvc", POD("pvc", CONTAINERS("") ",\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"none\"}}]"),
                 "0/1 nodes are available: persistentvolumeclaim \"none\" not found. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not "
                 "helpful for scheduling."},
        };
        make_node(w, "2", "1Gi");
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                make_and_forget(w, "pods", cases[i].pod);
                AWAIT(w, pod_is_refused, cases[i].name);
                struct object *pod = api_peek(w->api, "pods", "default", cases[i].name);
                assert_string_equal(json_get_str(meta_condition(object_root(pod), "PodScheduled"), "message"), cases[i].message);
                assert_true(has_event(w, "FailedScheduling", cases[i].message));
        }
}

static void important_pods_push_others_out(void **state) {
        struct world *w = *state;
        make_node(w, "2", "1Gi");
        make_and_forget(w, "priorityclasses.scheduling.k8s.io", "{\"metadata\":{\"name\":\"high\"},\"value\":1000}");
        make_and_forget(w, "pods", POD("low", CONTAINERS(MEMORY("800Mi"))));
        AWAIT(w, pod_is_bound, "low");
        make_and_forget(w, "pods", POD("vip", CONTAINERS(MEMORY("800Mi")) ",\"priorityClassName\":\"high\""));
        AWAIT(w, pod_is_refused, "vip");
        assert_true(has_event(w, "Preempted", "Preempted by pod "));
        reap(w);
        AWAIT(w, pod_is_bound, "vip");
}

#define TEMPLATE(labels) "{\"metadata\":{\"labels\":{" labels "}},\"spec\":{" CONTAINERS("") "}}"

static bool deployment_is_available(struct world *w, const char *name) {
        struct object *d = api_peek(w->api, "deployments.apps", "default", name);
        return d && object_int(d, "/status/observedGeneration", 0) == meta_generation(object_root(d)) &&
               object_int(d, "/status/availableReplicas", 0) == object_int(d, "/spec/replicas", 0) &&
               object_int(d, "/status/updatedReplicas", 0) == object_int(d, "/spec/replicas", 0) &&
               object_int(d, "/status/replicas", 0) == object_int(d, "/spec/replicas", 0) &&
               meta_condition_is(object_root(d), "Available", "True");
}

/* Pods become ready as they come, and end as they are told to, until the roll-out is done. */
static bool rolls_out(struct world *w, const char *name) {
        reap(w);
        each_pod(w, "Running", true, "Pending");
        return deployment_is_available(w, name);
}

static void deployments_roll_from_one_template_to_the_next(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "deployments.apps",
                "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":\"d\"}},\"template\":" TEMPLATE(
                        "\"app\":\"d\"") "}}");
        AWAIT(w, three_pods, "app=d");
        AWAIT(w, rolls_out, "d");
        struct object *d = api_peek(w->api, "deployments.apps", "default", "d");
        assert_string_equal(object_annotation(d, "deployment.kubernetes.io/revision"), "1");
        AUTO(err) struct err err = ERR_INIT;
        if (api_patchf(w->api, "deployments.apps", "default", "d", NULL, &err,
                       "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"v\":\"2\"}}}}}") < 0)
                fail_msg("%s", err_message(&err));
        AWAIT(w, rolls_out, "d");
        assert_int_equal(count(w, "pods", "app=d,v=2"), 3);
        assert_int_equal(count(w, "pods", "app=d,!v"), 0);
        assert_int_equal(count(w, "replicasets.apps", NULL), 2);
        d = api_peek(w->api, "deployments.apps", "default", "d");
        assert_string_equal(object_annotation(d, "deployment.kubernetes.io/revision"), "2");
        assert_true(has_event(w, "ScalingReplicaSet", "Scaled up replica set d-"));
        assert_true(streq_null(json_get_str(meta_condition(object_root(d), "Progressing"), "reason"), "NewReplicaSetAvailable"));
        /* Deleted with everything below it. */
        assert_int_equal(api_delete(w->api, "deployments.apps", "default", "d", NULL, &err), 0);
        AWAIT(w, no_pods, "app=d");
        AWAIT(w, is_gone, "deployments.apps/d");
        assert_int_equal(count(w, "replicasets.apps", NULL), 0);
}

static bool replicates_two(struct world *w, const char *name) {
        struct object *rc = api_peek(w->api, "replicationcontrollers", "default", name);
        return rc && object_int(rc, "/status/readyReplicas", 0) == 2;
}

static void replication_controllers_keep_as_many_pods_as_asked_for(void **state) {
        struct world *w = *state;
        AUTO(err) struct err err = ERR_INIT;
        /* One that matches is adopted; the selector comes from the template. */
        make_and_forget(w, "pods", "{\"metadata\":{\"name\":\"orphan\",\"labels\":{\"app\":\"r\"}},\"spec\":{" CONTAINERS("") "}}");
        make_and_forget(w, "replicationcontrollers",
                        "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"replicas\":2,\"template\":" TEMPLATE("\"app\":\"r\"") "}}");
        AWAIT(w, two_pods, "app=r");
        each_pod(w, "Running", true, "Pending");
        AWAIT(w, replicates_two, "r");
        assert_string_equal(api_peek(w->api, "pods", "default", "orphan")->owner_kind, "ReplicationController");
        if (api_patchf(w->api, "replicationcontrollers", "default", "r", NULL, &err, "{\"spec\":{\"replicas\":0}}") < 0)
                fail_msg("%s", err_message(&err));
        AWAIT(w, no_pods, "app=r");
}

static bool job_is(struct world *w, const char *condition) {
        struct object *job = api_peek(w->api, "jobs.batch", "default", "j");
        reap(w);
        return job && meta_condition_is(object_root(job), condition, "True");
}

static void jobs_count_successes(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "jobs.batch",
                "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"completions\":3,\"parallelism\":2,\"template\":{\"spec\":{\"restartPolicy\":\"Never\"," CONTAINERS(
                        "") "}}}}");
        AWAIT(w, two_pods, "job-name=j");
        assert_int_equal(each_pod(w, "Succeeded", false, "Pending"), 2);
        AWAIT(w, three_pods, "job-name=j");
        assert_int_equal(each_pod(w, "Succeeded", false, "Pending"), 1);
        AWAIT(w, job_is, "Complete");
        struct object *job = api_peek(w->api, "jobs.batch", "default", "j");
        assert_int_equal(object_int(job, "/status/succeeded", 0), 3);
        assert_int_equal(object_int(job, "/status/failed", 0), 0);
        assert_non_null(object_str(job, "/status/completionTime"));
        assert_true(meta_condition_is(object_root(job), "SuccessCriteriaMet", "True"));
        assert_true(has_event(w, "Completed", "Job completed"));
        AUTO(object_list) struct object_list pods = {0};
        assert_int_equal(api_list(w->api, "pods", "default", "job-name=j", NULL, &pods, NULL), 3);
        vec_foreach(p, &pods) assert_false(meta_has_finalizer(object_root(*p), "batch.kubernetes.io/job-tracking"));
}

static void jobs_fail_beyond_their_limit(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "jobs.batch",
                "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"backoffLimit\":0,\"template\":{\"spec\":{\"restartPolicy\":\"Never\"," CONTAINERS(
                        "") "}}}}");
        AWAIT(w, one_pod, "job-name=j");
        each_pod(w, "Failed", false, "Pending");
        AWAIT(w, job_is, "Failed");
        struct object *job = api_peek(w->api, "jobs.batch", "default", "j");
        assert_int_equal(object_int(job, "/status/failed", 0), 1);
        yyjson_val *failed = meta_condition(object_root(job), "Failed");
        assert_string_equal(json_get_str(failed, "reason"), "BackoffLimitExceeded");
        assert_string_equal(json_get_str(failed, "message"), "Job has reached the specified backoff limit");
}

static bool is_behind_service(struct world *w, const char *ip) {
        struct object *e = api_peek(w->api, "endpoints", "default", "s");
        return e && streq_null(object_str(e, "/subsets/0/addresses/0/ip"), ip) && object_int(e, "/subsets/0/ports/0/port", 0) == 8080;
}
static bool service_is_empty(struct world *w, const char *unused) {
        struct object *e = api_peek(w->api, "endpoints", "default", "s");
        (void)unused;
        return e && !object_at(e, "/subsets");
}

static void services_follow_their_pods(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "services",
                "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIP\":\"None\",\"selector\":{\"app\":\"x\"},\"ports\":[{\"name\":\"http\",\"port\":80,\"targetPort\":\"web\"}]}}");
        make_and_forget(w, "pods",
                        "{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"x\"}},\"spec\":{" CONTAINERS(
                                ",\"ports\":[{\"name\":\"web\",\"containerPort\":8080}]") "}}");
        set_pod(w, "p", "Running", true);
        AWAIT(w, is_behind_service, "10.0.0.9");
        AUTO(object_list) struct object_list slices = {0};
        assert_int_equal(
                api_list(w->api, "endpointslices.discovery.k8s.io", "default", "kubernetes.io/service-name=s", NULL, &slices, NULL), 1);
        assert_string_equal(object_str(slices.items[0], "/endpoints/0/addresses/0"), "10.0.0.9");
        assert_true(object_bool(slices.items[0], "/endpoints/0/conditions/ready", false));
        assert_string_equal(object_label(slices.items[0], "service.kubernetes.io/headless"), "");
        set_pod(w, "p", "Succeeded", false);
        AWAIT(w, service_is_empty, "");
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(api_delete(w->api, "services", "default", "s", NULL, &err), 0);
        AWAIT(w, is_gone, "endpoints/s");
}

static void dependents_go_with_their_owner(void **state) {
        struct world *w = *state;
        AUTO(object) struct object *owner = make(w, "configmaps", "{\"metadata\":{\"name\":\"owner\"}}");
        static const struct {
                const char *name;
                bool block;
        } children[] = {{"one", false}, {"two", true}};
        for (size_t i = 0; i < ARRAY_LEN(children); i++) {
                AUTO(free) char *text = xasprintf(
                        "{\"metadata\":{\"name\":\"%s\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"owner\",\"uid\":\"%s\","
                        "\"blockOwnerDeletion\":%s}]}}",
                        children[i].name, owner->uid, children[i].block ? "true" : "false");
                make_and_forget(w, "configmaps", text);
        }
        struct api_delete_options o = API_DELETE_DEFAULT;
        AUTO(err) struct err err = ERR_INIT;
        o.propagation = "Foreground";
        if (api_delete(w->api, "configmaps", "default", "owner", &o, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_non_null(api_peek(w->api, "configmaps", "default", "owner")); /* it waits for what blocks it */
        AWAIT(w, is_gone, "configmaps/owner");
        assert_null(api_peek(w->api, "configmaps", "default", "two"));
        AWAIT(w, is_gone, "configmaps/one");
}

static bool is_an_orphan(struct world *w, const char *name) {
        struct object *o = api_peek(w->api, "configmaps", "default", name);
        return o && !object_at(o, "/metadata/ownerReferences");
}

static void orphans_stay(void **state) {
        struct world *w = *state;
        AUTO(object) struct object *owner = make(w, "configmaps", "{\"metadata\":{\"name\":\"owner\"}}");
        AUTO(free) char *text = xasprintf(
                "{\"metadata\":{\"name\":\"child\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"owner\",\"uid\":\"%s\"}]}}",
                owner->uid);
        make_and_forget(w, "configmaps", text);
        struct api_delete_options o = API_DELETE_DEFAULT;
        o.propagation = "Orphan";
        assert_int_equal(api_delete(w->api, "configmaps", "default", "owner", &o, NULL), 0);
        AWAIT(w, is_gone, "configmaps/owner");
        assert_true(is_an_orphan(w, "child"));
}

static void what_names_an_absent_owner_goes(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "configmaps",
                "{\"metadata\":{\"name\":\"child\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"gone\",\"uid\":\"11111111-1111-1111-1111-111111111111\"}]}}");
        AWAIT(w, is_gone, "configmaps/child");
}

static bool namespace_says_why(struct world *w, const char *name) {
        struct object *ns = api_peek(w->api, "namespaces", NULL, name);
        const char *message = ns ? json_get_str(meta_condition(object_root(ns), "NamespaceFinalizersRemaining"), "message") : NULL;
        return message &&
               streq(message, "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances");
}

static void namespaces_end_empty(void **state) {
        struct world *w = *state;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *cm = yyjson_mut_obj(doc);
        make_and_forget(w, "namespaces", "{\"metadata\":{\"name\":\"ns\"}}");
        mmeta_set(doc, cm, "name", "held");
        mmeta_set(doc, cm, "namespace", "ns");
        mmeta_add_finalizer(doc, cm, "example.com/hold");
        if (api_create(w->api, "configmaps", "ns", cm, NULL, &err) < 0)
                fail_msg("%s", err_message(&err));
        assert_int_equal(api_delete(w->api, "namespaces", NULL, "ns", NULL, &err), 0);
        /* Held up by a finalizer, and says so. */
        AWAIT(w, namespace_says_why, "ns");
        if (api_patchf(w->api, "configmaps", "ns", "held", NULL, &err, "{\"metadata\":{\"finalizers\":null}}") < 0)
                fail_msg("%s", err_message(&err));
        AWAIT(w, is_gone, "namespaces/ns");
}

static bool claim_is_bound(struct world *w, const char *name) {
        struct object *c = api_peek(w->api, "persistentvolumeclaims", "default", name);
        return c && streq_null(object_str(c, "/status/phase"), "Bound");
}

static void claims_get_a_volume_of_their_own(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "persistentvolumeclaims",
                "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
        AWAIT(w, claim_is_bound, "c");
        struct object *claim = api_peek(w->api, "persistentvolumeclaims", "default", "c");
        assert_string_equal(object_str(claim, "/spec/storageClassName"), "standard");
        assert_string_equal(object_str(claim, "/status/capacity/storage"), "1Gi");
        AUTO(free) char *volume = xstrdup(object_str(claim, "/spec/volumeName"));
        struct object *pv = api_peek(w->api, "persistentvolumes", NULL, volume);
        assert_non_null(pv);
        assert_string_equal(object_str(pv, "/status/phase"), "Bound");
        assert_true(str_starts(object_str(pv, "/spec/hostPath/path"), TEST_BUILD "/volumes/pvc-"));
        assert_int_equal(api_delete(w->api, "persistentvolumeclaims", "default", "c", NULL, NULL), 0);
        AUTO(free) char *path = xasprintf("persistentvolumes/%s", volume);
        AWAIT(w, is_gone, path);
}

static bool set_is_ready(struct world *w, const char *name) {
        struct object *s = api_peek(w->api, "statefulsets.apps", "default", name);
        each_pod(w, "Running", true, "Pending");
        return s && object_int(s, "/status/readyReplicas", 0) == object_int(s, "/spec/replicas", 0);
}

static bool only_first_left(struct world *w, const char *labels) {
        reap(w);
        return count(w, "pods", labels) == 1 && api_peek(w->api, "pods", "default", "s-0");
}

static void stateful_sets_number_their_pods(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "statefulsets.apps",
                "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"replicas\":2,\"serviceName\":\"svc\",\"selector\":{\"matchLabels\":{\"app\":\"s\"}},\"template\":" TEMPLATE(
                        "\"app\":\"s\"") ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]}}");
        AWAIT(w, one_pod, "app=s"); /* the second waits for the first */
        AWAIT(w, set_is_ready, "s");
        struct object *second = api_peek(w->api, "pods", "default", "s-1");
        assert_non_null(second);
        assert_string_equal(object_str(second, "/spec/hostname"), "s-1");
        assert_string_equal(object_str(second, "/spec/subdomain"), "svc");
        assert_string_equal(object_label(second, "apps.kubernetes.io/pod-index"), "1");
        assert_string_equal(object_str(second, "/spec/volumes/0/persistentVolumeClaim/claimName"), "data-s-1");
        AWAIT(w, claim_is_bound, "data-s-1");
        AUTO(err) struct err err = ERR_INIT;
        if (api_patchf(w->api, "statefulsets.apps", "default", "s", "scale", &err, "{\"spec\":{\"replicas\":1}}") < 0)
                fail_msg("%s", err_message(&err));
        AWAIT(w, only_first_left, "app=s");
}

static bool quota_counts_one(struct world *w, const char *name) {
        struct object *q = api_peek(w->api, "resourcequotas", "default", name);
        return q && streq_null(object_str(q, "/status/used/pods"), "1") && streq_null(object_str(q, "/status/hard/pods"), "2");
}

static void quotas_show_what_is_used(void **state) {
        struct world *w = *state;
        make_and_forget(w, "resourcequotas", "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"hard\":{\"pods\":\"2\"}}}");
        make_and_forget(w, "pods", POD("a", CONTAINERS("")));
        AWAIT(w, quota_counts_one, "q");
}

static bool budget_allows_one(struct world *w, const char *name) {
        struct object *b = api_peek(w->api, "poddisruptionbudgets.policy", "default", name);
        return b && object_int(b, "/status/disruptionsAllowed", -1) == 1 && object_int(b, "/status/currentHealthy", -1) == 2 &&
               object_int(b, "/status/expectedPods", -1) == 3;
}

static void budgets_count_the_healthy_pods_at_any_moment(void **state) {
        static const char *const names[] = {"a", "b", "c"};
        struct world *w = *state;
        struct budget_state b;
        make_and_forget(w, "poddisruptionbudgets.policy",
                        "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":1,\"selector\":{\"matchLabels\":{\"app\":\"x\"}}}}");
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                AUTO(free) char *text =
                        xasprintf("{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"x\"}},\"spec\":{" CONTAINERS("") "}}", names[i]);
                make_and_forget(w, "pods", text);
                set_pod(w, names[i], "Running", i > 0);
        }
        AWAIT(w, budget_allows_one, "b");
        AUTO(object) struct object *budget = object_ref(api_peek(w->api, "poddisruptionbudgets.policy", "default", "b"));
        set_pod(w, "b", "Running", false); /* no round of the controller in between */
        budget_compute(w->server, budget, &b);
        assert_int_equal(b.healthy, 1);
        assert_int_equal(b.desired, 1);
        assert_int_equal(b.allowed, 0);
}

static void daemon_sets_put_a_pod_on_each_node(void **state) {
        struct world *w = *state;
        make_node(w, "2", "1Gi");
        make_and_forget(w, "daemonsets.apps",
                        "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"d\"}},\"template\":" TEMPLATE(
                                "\"app\":\"d\"") "}}");
        AWAIT(w, one_pod, "app=d");
        AUTO(object_list) struct object_list pods = {0};
        assert_int_equal(api_list(w->api, "pods", "default", "app=d", NULL, &pods, NULL), 1);
        AUTO(free) char *name = xstrdup(pods.items[0]->name);
        AWAIT(w, pod_is_bound, name);
}

static bool cron_has_run(struct world *w, const char *name) {
        struct object *c = api_peek(w->api, "cronjobs.batch", "default", name);
        return c && object_str(c, "/status/lastScheduleTime") && yyjson_arr_size(object_at(c, "/status/active")) == 1;
}

static void cron_jobs_make_jobs_when_it_is_time(void **state) {
        struct world *w = *state;
        make_and_forget(
                w, "cronjobs.batch",
                "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"schedule\":\"@every 1s\",\"concurrencyPolicy\":\"Forbid\",\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{"
                "\"restartPolicy\":\"Never\"," CONTAINERS("") "}}}}}}");
        AWAIT(w, cron_has_run, "c");
        AWAIT(w, one_pod, NULL);
        AUTO(object_list) struct object_list jobs = {0};
        assert_int_equal(api_list(w->api, "jobs.batch", "default", NULL, NULL, &jobs, NULL), 1);
        assert_string_equal(json_get_str(meta_controller(object_root(jobs.items[0])), "name"), "c");
        assert_true(has_event(w, "SuccessfulCreate", "Created job c-"));
}

static bool event_is_gone(struct world *w, const char *name) { return !api_peek(w->api, "events", "default", name); }

static void events_are_forgotten_when_they_are_not_told_again(void **state) {
        struct world *w = *state;
        make_and_forget(w, "events",
                        "{\"metadata\":{\"name\":\"told-again\"},\"lastTimestamp\":\"2999-01-01T00:00:00Z\",\"reason\":\"R\",\"type\":\"Normal\","
                        "\"involvedObject\":{\"namespace\":\"default\"}}");
        make_and_forget(w, "events",
                        "{\"metadata\":{\"name\":\"series\"},\"series\":{\"count\":2,\"lastObservedTime\":\"2999-01-01T00:00:00.000000Z\"},"
                        "\"reason\":\"R\",\"type\":\"Normal\",\"involvedObject\":{\"namespace\":\"default\"}}");
        make_and_forget(w, "events",
                        "{\"metadata\":{\"name\":\"once\"},\"reason\":\"R\",\"type\":\"Normal\",\"involvedObject\":{\"namespace\":\"default\"}}");
        const struct controllers_options forgetful = {.only = "eventttl", .event_ttl_ms = 1};
        AUTO(controllers) struct controllers *c = controllers_new(w->server, &forgetful);
        AWAIT(w, event_is_gone, "once");
        assert_false(event_is_gone(w, "told-again"));
        assert_false(event_is_gone(w, "series"));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                T(pods_get_a_node_with_room),
                T(unfit_nodes_are_explained),
                T(important_pods_push_others_out),
                T(replication_controllers_keep_as_many_pods_as_asked_for),
                T(deployments_roll_from_one_template_to_the_next),
                T(jobs_count_successes),
                T(jobs_fail_beyond_their_limit),
                T(services_follow_their_pods),
                T(dependents_go_with_their_owner),
                T(orphans_stay),
                T(what_names_an_absent_owner_goes),
                T(namespaces_end_empty),
                T(claims_get_a_volume_of_their_own),
                T(stateful_sets_number_their_pods),
                T(quotas_show_what_is_used),
                T(budgets_count_the_healthy_pods_at_any_moment),
                T(daemon_sets_put_a_pod_on_each_node),
                T(cron_jobs_make_jobs_when_it_is_time),
                T(events_are_forgotten_when_they_are_not_told_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
