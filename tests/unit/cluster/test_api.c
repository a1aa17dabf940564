#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/vec.h"
#include "cluster/api.h"
#include "cluster/apiserver.h"
#include "kobj/meta.h"

struct fixture {
        struct loop *loop;
        struct apiserver *server;
        struct api *api;
        struct strv seen;
        size_t wanted;
        bool done;
};

static void turned(void *arg) { *(bool *)arg = true; }

static void settle(struct fixture *f) {
        bool done = false;
        apiserver_when_durable(f->server, turned, &done);
        loop_run_until(f->loop, &done);
}

static int make(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        assert_int_equal(apiserver_new(f->loop, &(struct apiserver_options){.ca_cert_pem = SV("CA")}, &f->server, NULL), 0);
        f->api = api_new(f->server, "tester");
        for (int i = 0; i < 3; i++) /* namespaces get their service accounts */
                settle(f);
        *state = f;
        return 0;
}

static int unmake(void **state) {
        struct fixture *f = *state;
        api_free(f->api);
        apiserver_free(f->server);
        loop_free(f->loop);
        strv_done(&f->seen);
        free(f);
        return 0;
}

static int create(struct fixture *f, const char *resource, const char *ns, const char *text, struct object **ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(mjson) yyjson_mut_doc *edit = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        edit = json_thaw(yyjson_doc_get_root(doc));
        return api_create(f->api, resource, ns, yyjson_mut_doc_get_root(edit), ret, err);
}

static void watched(void *arg, const struct api_event *e) {
        static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "SYNCED"};
        struct fixture *f = arg;
        strv_addf(&f->seen, "%s%s%s", names[e->type], e->object ? " " : "", e->object ? e->object->name : "");
        f->done = f->seen.len >= f->wanted;
}

static void gives_every_namespace_its_service_account_and_certificate(void **state) {
        struct fixture *f = *state;
        assert_non_null(api_peek(f->api, "serviceaccounts", "default", "default"));
        assert_string_equal(object_str(api_peek(f->api, "configmaps", "kube-system", "kube-root-ca.crt"), "/data/ca.crt"), "CA");
        assert_string_equal(object_str(api_peek(f->api, "services", "default", "kubernetes"), "/spec/clusterIP"), "10.96.0.1");
}

static void sees_its_own_writes_at_once(void **state) {
        struct fixture *f = *state;
        AUTO(object) struct object *o = NULL, *again = NULL;
        assert_int_equal(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"k\":\"v\"}}", &o, NULL), 0);
        assert_int_equal(api_get(f->api, "configmaps", "default", "c", &again, NULL), 0);
        assert_ptr_equal(o, again);
        assert_string_equal(object_str(o, "/apiVersion"), "v1");
        assert_string_equal(object_str(o, "/metadata/managedFields/0/manager"), "tester");
}

static void errors_carry_what_http_would_have_answered(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(object) struct object *o = NULL;
        assert_int_equal(api_get(f->api, "configmaps", "default", "none", &o, &err), -ENOENT);
        assert_int_equal(err.http_status, 404);
        assert_string_equal(err.message, "configmaps \"none\" not found");
        err_clear(&err);
        assert_true(create(f, "configmaps", "nowhere", "{\"metadata\":{\"name\":\"c\"}}", NULL, &err) < 0);
        assert_string_equal(err.message, "namespaces \"nowhere\" not found");
        err_clear(&err);
        assert_true(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"No_Name\"}}", NULL, &err) < 0);
        assert_int_equal(err.http_status, 422);
        assert_string_equal(err.reason, "Invalid");
        err_clear(&err);
        assert_int_equal(api_get(f->api, "gadgets.example.com", "default", "x", &o, &err), -ENOENT);
}

static void an_update_of_an_old_version_is_a_conflict(void **state) {
        struct fixture *f = *state;
        AUTO(object) struct object *o = NULL, *newer = NULL;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"k\":\"1\"}}", &o, NULL), 0);
        assert_int_equal(api_patchf(f->api, "configmaps", "default", "c", NULL, NULL, "{\"data\":{\"k\":\"%d\"}}", 2), 0);
        doc = object_edit(o);
        assert_true(api_update(f->api, "configmaps", yyjson_mut_doc_get_root(doc), NULL, &err) < 0);
        assert_int_equal(err.http_status, 409);
        assert_string_equal(err.reason, "Conflict");
        assert_int_equal(api_get(f->api, "configmaps", "default", "c", &newer, NULL), 0);
        assert_string_equal(object_str(newer, "/data/k"), "2");
        assert_true(newer->revision > o->revision);
}

static void a_patch_that_changes_nothing_writes_nothing(void **state) {
        struct fixture *f = *state;
        AUTO(object) struct object *o = NULL;
        assert_int_equal(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"k\":\"1\"}}", &o, NULL), 0);
        assert_int_equal(api_patchf(f->api, "configmaps", "default", "c", NULL, NULL, "{\"data\":{\"k\":\"1\"}}"), 0);
        assert_ptr_equal(api_peek(f->api, "configmaps", "default", "c"), o);
}

static void a_watch_with_a_selector_sees_objects_come_and_go(void **state) {
        struct fixture *f = *state;
        assert_int_equal(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"a\",\"labels\":{\"on\":\"yes\"}}}", NULL, NULL), 0);
        assert_int_equal(create(f, "configmaps", "default", "{\"metadata\":{\"name\":\"b\"}}", NULL, NULL), 0);
        f->wanted = 2;
        struct api_watch *w = api_watch_start(f->api, "configmaps", "default", "on=yes", NULL, watched, f);
        assert_int_equal(f->seen.len, 0);
        loop_run_until(f->loop, &f->done);
        f->wanted = 6;
        f->done = false;
        assert_int_equal(api_patchf(f->api, "configmaps", "default", "b", NULL, NULL, "{\"metadata\":{\"labels\":{\"on\":\"yes\"}}}"), 0);
        assert_int_equal(api_patchf(f->api, "configmaps", "default", "a", NULL, NULL, "{\"data\":{\"x\":\"y\"}}"), 0);
        assert_int_equal(api_patchf(f->api, "configmaps", "default", "a", NULL, NULL, "{\"metadata\":{\"labels\":{\"on\":\"no\"}}}"), 0);
        assert_int_equal(api_delete(f->api, "configmaps", "default", "b", NULL, NULL), 0);
        loop_run_until(f->loop, &f->done);
        AUTO(free) char *all = strv_join(&f->seen, ", ");
        assert_string_equal(all, "ADDED a, SYNCED, ADDED b, MODIFIED a, DELETED a, DELETED b");
        api_watch_stop(w);
}

static const char pod_text[] = "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}";

static void a_pod_is_deleted_gracefully_once_it_has_a_node(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(create(f, "pods", "default", pod_text, NULL, &err), 0);
        assert_int_equal(api_bind(f->api, "default", "p", "local", NULL), 0);
        assert_true(api_bind(f->api, "default", "p", "local", &err) < 0);
        assert_int_equal(err.http_status, 409);
        assert_int_equal(api_delete(f->api, "pods", "default", "p", NULL, NULL), 0);
        struct object *p = api_peek(f->api, "pods", "default", "p");
        assert_non_null(p);
        assert_true(object_is_deleting(p));
        assert_int_equal(object_int(p, "/metadata/deletionGracePeriodSeconds", -1), 30);
        assert_int_equal(api_delete(f->api, "pods", "default", "p", &API_DELETE_NOW, NULL), 0);
        assert_null(api_peek(f->api, "pods", "default", "p"));
}

static void a_status_update_leaves_the_spec_alone(void **state) {
        struct fixture *f = *state;
        AUTO(object) struct object *p = NULL;
        assert_int_equal(create(f, "pods", "default", pod_text, NULL, NULL), 0);
        assert_int_equal(api_patchf(f->api, "pods", "default", "p", "status", NULL,
                                    "{\"spec\":{\"nodeName\":\"x\"},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.9\"}}"),
                         0);
        assert_int_equal(api_get(f->api, "pods", "default", "p", &p, NULL), 0);
        assert_null(object_str(p, "/spec/nodeName"));
        assert_string_equal(object_str(p, "/status/phase"), "Running");
        assert_string_equal(object_str(p, "/status/podIPs/0/ip"), "10.0.0.9");
}

static void the_same_event_is_counted_up(void **state) {
        struct fixture *f = *state;
        AUTO(object) struct object *p = NULL;
        AUTO(object_list) struct object_list events = {0};
        assert_int_equal(create(f, "pods", "default", pod_text, &p, NULL), 0);
        for (int i = 0; i < 3; i++)
                api_event(f->api, p, "Warning", "FailedMount", "configmap \"%s\" not found", "x");
        api_event_at(f->api, p, "spec.containers{c}", "Normal", "Started", "Started container c");
        assert_int_equal(api_list(f->api, "events", "default", NULL, "involvedObject.name=p,reason=FailedMount", &events, NULL), 1);
        assert_int_equal(object_int(events.items[0], "/count", 0), 3);
        assert_string_equal(object_str(events.items[0], "/source/component"), "tester");
        assert_string_equal(object_str(events.items[0], "/involvedObject/uid"), p->uid);
}

static const char crd_text[] =
        "{\"metadata\":{\"name\":\"gadgets.example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":\"Namespaced\",\"names\":{\"plural\":\"gadgets\",\"kind\":\"Gadget\"},"
        "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\","
        "\"required\":[\"size\"],\"properties\":{\"size\":{\"type\":\"integer\",\"minimum\":1},\"colour\":{\"type\":\"string\",\"default\":\"red\"}}}}}}}]}}";

static void a_definition_brings_its_kind_with_defaults_pruning_and_rules(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(object) struct object *o = NULL;
        f->wanted = 2;
        api_watch_start(f->api, "gadgets.example.com", NULL, NULL, NULL, watched, f);
        assert_int_equal(create(f, "customresourcedefinitions.apiextensions.k8s.io", NULL, crd_text, NULL, &err), 0);
        assert_int_equal(
                create(f, "gadgets.example.com", "default",
                       "{\"kind\":\"Gadget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":\"g\"},\"spec\":{\"size\":2,\"weight\":3}}",
                       &o, &err),
                0);
        assert_string_equal(object_str(o, "/spec/colour"), "red");
        assert_null(object_at(o, "/spec/weight"));
        assert_true(create(f, "gadgets.example.com", "default",
                           "{\"kind\":\"Gadget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":\"h\"},\"spec\":{\"size\":0}}",
                           NULL, &err) < 0);
        assert_string_equal(
                err.message,
                "Gadget.example.com \"h\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
        loop_run_until(f->loop, &f->done);
        assert_string_equal(f->seen.items[0], "ADDED g");
        assert_int_equal(api_delete(f->api, "customresourcedefinitions.apiextensions.k8s.io", NULL, "gadgets.example.com", NULL, NULL), 0);
        f->wanted = 3;
        f->done = false;
        loop_run_until(f->loop, &f->done);
        assert_string_equal(f->seen.items[2], "DELETED g");
}

static void quota_counts_what_is_there(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(create(f, "resourcequotas", "default",
                                "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"hard\":{\"requests.memory\":\"1Gi\"}}}", NULL, NULL),
                         0);
        assert_true(create(f, "pods", "default", pod_text, NULL, &err) < 0);
        assert_string_equal(err.message, "pods \"p\" is forbidden: failed quota: q: must specify requests.memory for: c");
        err_clear(&err);
        assert_int_equal(
                create(f, "pods", "default",
                       "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\",\"resources\":{\"requests\":{\"memory\":\"600Mi\"}}}]}}",
                       NULL, NULL),
                0);
        assert_true(
                create(f, "pods", "default",
                       "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\",\"resources\":{\"requests\":{\"memory\":\"600Mi\"}}}]}}",
                       NULL, &err) < 0);
        assert_string_equal(
                err.message,
                "pods \"b\" is forbidden: exceeded quota: q, requested: requests.memory=600Mi, used: requests.memory=600Mi, limited: requests.memory=1Gi");
        /* a finished pod uses nothing */
        assert_int_equal(api_patchf(f->api, "pods", "default", "a", "status", NULL, "{\"status\":{\"phase\":\"Succeeded\"}}"), 0);
        err_clear(&err);
        assert_int_equal(
                create(f, "pods", "default",
                       "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\",\"resources\":{\"requests\":{\"memory\":\"600Mi\"}}}]}}",
                       NULL, NULL),
                0);
}

static void issues_tokens_for_accounts_that_exist(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *token = NULL;
        AUTO(err) struct err err = ERR_INIT;
        int64_t expires;
        assert_int_equal(api_issue_token(f->api, "default", "default", NULL, 3600, NULL, NULL, &token, &expires, NULL), 0);
        assert_true(str_starts(token, "ey"));
        assert_int_equal(api_issue_token(f->api, "default", "nobody", NULL, 3600, NULL, NULL, &token, &expires, &err), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(gives_every_namespace_its_service_account_and_certificate, make, unmake),
                cmocka_unit_test_setup_teardown(sees_its_own_writes_at_once, make, unmake),
                cmocka_unit_test_setup_teardown(errors_carry_what_http_would_have_answered, make, unmake),
                cmocka_unit_test_setup_teardown(an_update_of_an_old_version_is_a_conflict, make, unmake),
                cmocka_unit_test_setup_teardown(a_patch_that_changes_nothing_writes_nothing, make, unmake),
                cmocka_unit_test_setup_teardown(a_watch_with_a_selector_sees_objects_come_and_go, make, unmake),
                cmocka_unit_test_setup_teardown(a_pod_is_deleted_gracefully_once_it_has_a_node, make, unmake),
                cmocka_unit_test_setup_teardown(a_status_update_leaves_the_spec_alone, make, unmake),
                cmocka_unit_test_setup_teardown(the_same_event_is_counted_up, make, unmake),
                cmocka_unit_test_setup_teardown(a_definition_brings_its_kind_with_defaults_pruning_and_rules, make, unmake),
                cmocka_unit_test_setup_teardown(quota_counts_what_is_there, make, unmake),
                cmocka_unit_test_setup_teardown(issues_tokens_for_accounts_that_exist, make, unmake),
        };
        return cmocka_run_group_tests_name("cluster/api", tests, NULL, NULL);
}
