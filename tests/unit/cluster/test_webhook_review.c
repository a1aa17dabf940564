#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/webhook_review.h"
#include "kobj/meta.h"

static struct resource pods = {.group = (char *)"",
                               .version = (char *)"v1",
                               .plural = (char *)"pods",
                               .kind = (char *)"Pod",
                               .api_version = (char *)"v1",
                               .id = (char *)"pods"};
static struct resource nodes = {.group = (char *)"",
                                .version = (char *)"v1",
                                .plural = (char *)"nodes",
                                .kind = (char *)"Node",
                                .api_version = (char *)"v1",
                                .id = (char *)"nodes",
                                .flags = KIND_CLUSTER};
static struct resource old_apps = {.group = (char *)"x.io",
                                   .version = (char *)"v1",
                                   .plural = (char *)"apps",
                                   .kind = (char *)"App",
                                   .api_version = (char *)"x.io/v1",
                                   .id = (char *)"apps.x.io"};
static struct resource new_apps = {.group = (char *)"x.io",
                                   .version = (char *)"v2",
                                   .plural = (char *)"apps",
                                   .kind = (char *)"App",
                                   .api_version = (char *)"x.io/v2",
                                   .id = (char *)"apps.x.io"};
static struct resource hooks = {.group = (char *)"admissionregistration.k8s.io",
                                .version = (char *)"v1",
                                .plural = (char *)"validatingwebhookconfigurations",
                                .flags = KIND_CLUSTER};

#define RULE(operations, groups, versions, resources, more)                                                                                \
        "{\"rules\":[{\"operations\":[" operations "],\"apiGroups\":[" groups "],\"apiVersions\":[" versions "],\"resources\":[" resources \
        "]}]" more "}"
#define ALL_PODS(more) RULE("\"*\"", "\"\"", "\"v1\"", "\"pods\"", more)

/* Is a pod with label a=b, in a namespace with label team=x, shown to this webhook? */
static const struct resource *asked(const char *webhook, const struct resource *res, const char *subresource, enum admission_op what) {
        AUTO(json) yyjson_doc *hook = NULL, *object = NULL, *labels = NULL;
        assert_int_equal(json_parse(sv_of(webhook), &hook, NULL), 0);
        assert_int_equal(json_parse(SV("{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"), &object, NULL), 0);
        assert_int_equal(json_parse(SV("{\"team\":\"x\"}"), &labels, NULL), 0);
        struct webhook_subject u = {.res = res,
                                    .subresource = subresource,
                                    .ns = "n",
                                    .name = "o",
                                    .what = what,
                                    .ns_labels = yyjson_doc_get_root(labels),
                                    .object = what == ADMIT_DELETE ? NULL : yyjson_doc_get_root(object),
                                    .old = what == ADMIT_CREATE ? NULL : yyjson_doc_get_root(object)};
        if (res == &new_apps)
                u.equivalents[0] = &old_apps;
        return webhook_wants(yyjson_doc_get_root(hook), &u);
}

static void matches_rules_by_operation_group_version_and_resource(void **state) {
        (void)state;
        assert_ptr_equal(asked(ALL_PODS(""), &pods, NULL, ADMIT_CREATE), &pods);
        assert_null(asked(ALL_PODS(""), &nodes, NULL, ADMIT_CREATE));
        assert_null(asked(RULE("\"UPDATE\"", "\"\"", "\"v1\"", "\"pods\"", ""), &pods, NULL, ADMIT_CREATE));
        assert_non_null(asked(RULE("\"UPDATE\",\"DELETE\"", "\"\"", "\"v1\"", "\"pods\"", ""), &pods, NULL, ADMIT_DELETE));
        assert_null(asked(RULE("\"*\"", "\"apps\"", "\"v1\"", "\"pods\"", ""), &pods, NULL, ADMIT_CREATE));
        assert_non_null(asked(RULE("\"*\"", "\"apps\",\"*\"", "\"*\"", "\"*\"", ""), &pods, NULL, ADMIT_CREATE));
}

static void subresources_are_named_apart(void **state) {
        (void)state;
        assert_null(asked(ALL_PODS(""), &pods, "status", ADMIT_UPDATE));
        assert_non_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/status\"", ""), &pods, "status", ADMIT_UPDATE));
        assert_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/status\"", ""), &pods, NULL, ADMIT_UPDATE));
        assert_non_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"pods/*\"", ""), &pods, NULL, ADMIT_UPDATE));
        assert_non_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"*/status\"", ""), &pods, "status", ADMIT_UPDATE));
        assert_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"*\"", ""), &pods, "status", ADMIT_UPDATE));
        assert_non_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"*/*\"", ""), &pods, "status", ADMIT_UPDATE));
}

static void selectors_look_at_object_and_namespace(void **state) {
        (void)state;
        assert_non_null(asked(
                ALL_PODS(",\"objectSelector\":{\"matchLabels\":{\"a\":\"b\"}},\"namespaceSelector\":{\"matchLabels\":{\"team\":\"x\"}}"),
                &pods, NULL, ADMIT_UPDATE));
        assert_null(asked(ALL_PODS(",\"objectSelector\":{\"matchLabels\":{\"a\":\"c\"}}"), &pods, NULL, ADMIT_UPDATE));
        assert_null(asked(ALL_PODS(",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"y\"}}"), &pods, NULL, ADMIT_UPDATE));
        assert_non_null(asked(ALL_PODS(",\"objectSelector\":{\"matchLabels\":{\"a\":\"b\"}}"), &pods, NULL, ADMIT_DELETE));
        /* What is in no namespace is not selected by one. */
        assert_non_null(asked(RULE("\"*\"", "\"\"", "\"v1\"", "\"nodes\"", ",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"y\"}}"),
                              &nodes, NULL, ADMIT_UPDATE));
}

static void an_equivalent_version_is_shown_unless_the_policy_is_exact(void **state) {
        (void)state;
        assert_ptr_equal(asked(RULE("\"*\"", "\"x.io\"", "\"v1\"", "\"apps\"", ""), &new_apps, NULL, ADMIT_CREATE), &old_apps);
        assert_null(asked(RULE("\"*\"", "\"x.io\"", "\"v1\"", "\"apps\"", ",\"matchPolicy\":\"Exact\""), &new_apps, NULL, ADMIT_CREATE));
        assert_ptr_equal(asked(RULE("\"*\"", "\"x.io\"", "\"v1\",\"v2\"", "\"apps\"", ""), &new_apps, NULL, ADMIT_CREATE), &new_apps);
}

static void webhooks_are_not_asked_about_webhooks(void **state) {
        (void)state;
        assert_null(asked(RULE("\"*\"", "\"*\"", "\"*\"", "\"*\"", ""), &hooks, NULL, ADMIT_CREATE));
}

static void the_review_shows_the_object_in_the_wanted_version(void **state) {
        AUTO(json) yyjson_doc *hook = NULL, *object = NULL, *doc = NULL;
        AUTO(str) struct str text = STR_INIT(0);
        (void)state;
        assert_int_equal(json_parse(SV("{\"admissionReviewVersions\":[\"v9\",\"v1beta1\"]}"), &hook, NULL), 0);
        assert_int_equal(json_parse(SV("{\"apiVersion\":\"x.io/v2\",\"kind\":\"App\",\"metadata\":{\"name\":\"o\"}}"), &object, NULL), 0);
        struct webhook_subject u = {.res = &new_apps,
                                    .ns = "n",
                                    .name = "o",
                                    .what = ADMIT_CREATE,
                                    .object = yyjson_doc_get_root(object),
                                    .manager = "me",
                                    .dry_run = true};
        webhook_review_write(yyjson_doc_get_root(hook), &u, &old_apps, "the-uid", &text);
        assert_int_equal(json_parse(str_sv(&text), &doc, NULL), 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        assert_string_equal(meta_api_version(root), "admission.k8s.io/v1beta1");
        assert_string_equal(json_str_at(root, "/request/uid"), "the-uid");
        assert_string_equal(json_str_at(root, "/request/object/apiVersion"), "x.io/v1");
        assert_string_equal(json_str_at(root, "/request/resource/version"), "v1");
        assert_string_equal(json_str_at(root, "/request/requestResource/version"), "v2");
        assert_string_equal(json_str_at(root, "/request/options/dryRun/0"), "All");
        assert_true(yyjson_is_null(json_at(root, "/request/oldObject")));
}

#define ANSWER(more) "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"u\"" more "}}"

static void refuse(const char *body, bool may_patch, const char *why) {
        AUTO(webhook_answer) struct webhook_answer a = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(webhook_answer_parse(sv_of(body), "u", may_patch, &a, &err), -EPROTO);
        assert_non_null(strstr(err_message(&err), why));
}

static void answers_are_read_strictly(void **state) {
        (void)state;
        refuse("x", true, "not JSON");
        refuse("{}", true, "got /, Kind=");
        refuse("{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}", true, "absent");
        refuse("{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"x\"}}", true,
               "expected response.uid=\"u\", got \"x\"");
        refuse(ANSWER(",\"allowed\":true,\"patch\":\"W10=\""), true, "not response.patchType");
        refuse(ANSWER(",\"allowed\":true,\"patchType\":\"JSONPatch\""), true, "not response.patch");
        refuse(ANSWER(",\"allowed\":true,\"patchType\":\"Merge\",\"patch\":\"W10=\""), true, "of \"Merge\"");
        refuse(ANSWER(",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"W10=\""), false, "may not return response.patch");
        refuse(ANSWER(",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"!\""), true, "base64");
        refuse(ANSWER(",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"e30=\""), true, "array");
}

static void a_refusal_has_the_webhooks_reason_and_a_status_of_an_error(void **state) {
        AUTO(webhook_answer) struct webhook_answer a = {0}, plain = {0};
        AUTO(err) struct err err = ERR_INIT;
        (void)state;
        assert_int_equal(webhook_answer_parse(
                                 SV(ANSWER(",\"status\":{\"code\":403,\"reason\":\"Forbidden\",\"message\":\"no\"},\"warnings\":[\"w\"]")),
                                 "u", true, &a, NULL),
                         0);
        assert_false(a.allowed);
        assert_int_equal(a.warnings.len, 1);
        webhook_refusal("h.x.y", &a, &err);
        assert_int_equal(err.http_status, 403);
        assert_string_equal(err_message(&err), "admission webhook \"h.x.y\" denied the request: no");
        assert_int_equal(webhook_answer_parse(SV(ANSWER(",\"status\":{\"code\":200}")), "u", true, &plain, NULL), 0);
        webhook_refusal("h.x.y", &plain, &err);
        assert_int_equal(err.http_status, 400);
        assert_string_equal(err_message(&err), "admission webhook \"h.x.y\" denied the request without explanation");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches_rules_by_operation_group_version_and_resource),
                cmocka_unit_test(subresources_are_named_apart),
                cmocka_unit_test(selectors_look_at_object_and_namespace),
                cmocka_unit_test(an_equivalent_version_is_shown_unless_the_policy_is_exact),
                cmocka_unit_test(webhooks_are_not_asked_about_webhooks),
                cmocka_unit_test(the_review_shows_the_object_in_the_wanted_version),
                cmocka_unit_test(answers_are_read_strictly),
                cmocka_unit_test(a_refusal_has_the_webhooks_reason_and_a_status_of_an_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
