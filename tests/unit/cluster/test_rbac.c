#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/rbac.h"

struct fixture {
        struct loop *loop;
        struct apiserver *s;
};

static void create(struct fixture *f, const char *resource, const char *ns, const char *text) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(mjson) yyjson_mut_doc *edit = NULL;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        edit = json_thaw(yyjson_doc_get_root(doc));
        if (api_create(f->s->self, resource, ns, yyjson_mut_doc_get_root(edit), NULL, &err) < 0)
                fail_msg("%s", err_message(&err));
}

static int make(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        assert_int_equal(apiserver_new(f->loop, &(struct apiserver_options){0}, &f->s, NULL), 0);
        create(f, "roles.rbac.authorization.k8s.io", "default",
               "{\"metadata\":{\"name\":\"r\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"pods\",\"pods/log\"],\"verbs\":[\"get\",\"list\"]},"
               "{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"resourceNames\":[\"one\"],\"verbs\":[\"*\"]}]}");
        create(f, "rolebindings.rbac.authorization.k8s.io", "default",
               "{\"metadata\":{\"name\":\"b\"},\"roleRef\":{\"kind\":\"Role\",\"name\":\"r\"},\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"sa\",\"namespace\":\"default\"}]}");
        create(f, "rolebindings.rbac.authorization.k8s.io", "default",
               "{\"metadata\":{\"name\":\"v\"},\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"view\"},\"subjects\":[{\"kind\":\"Group\",\"name\":\"readers\"}]}");
        *state = f;
        return 0;
}

static int unmake(void **state) {
        struct fixture *f = *state;
        apiserver_free(f->s);
        loop_free(f->loop);
        free(f);
        return 0;
}

static bool may(struct fixture *f, const char *name, const char *group, struct access a, char **ret_reason) {
        struct user u = {.name = (char *)name};
        bool allowed;
        if (group)
                strv_add(&u.groups, group);
        a.group = a.group ? a.group : "";
        a.ns = a.ns ? a.ns : "default";
        a.name = a.name ? a.name : "";
        allowed = rbac_explain(f->s, &u, &a, ret_reason);
        strv_done(&u.groups);
        return allowed;
}

#define SA "system:serviceaccount:default:sa"

static void a_role_allows_what_it_names_and_no_more(void **state) {
        assert_true(may(*state, SA, NULL, (struct access){.verb = "get", .resource = "pods"}, NULL));
        assert_true(may(*state, SA, NULL, (struct access){.verb = "get", .resource = "pods", .subresource = "log"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "get", .resource = "pods", .subresource = "exec"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "create", .resource = "pods"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "get", .resource = "pods", .ns = "kube-system"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "get", .resource = "pods", .group = "apps"}, NULL));
        assert_true(may(*state, SA, NULL, (struct access){.verb = "delete", .resource = "configmaps", .name = "one"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "delete", .resource = "configmaps", .name = "two"}, NULL));
        assert_false(may(*state, SA, NULL, (struct access){.verb = "list", .resource = "configmaps"}, NULL));
        assert_false(may(*state, "system:serviceaccount:other:sa", NULL, (struct access){.verb = "get", .resource = "pods"}, NULL));
}

static void aggregated_roles_have_the_rules_of_their_parts(void **state) {
        assert_true(may(*state, "ann", "readers", (struct access){.verb = "list", .resource = "deployments", .group = "apps"}, NULL));
        assert_false(may(*state, "ann", "readers", (struct access){.verb = "get", .resource = "secrets"}, NULL));
}

static void masters_may_everything(void **state) {
        assert_true(may(*state, "root", "system:masters", (struct access){.verb = "frob", .resource = "x", .group = "y"}, NULL));
        assert_true(may(*state, "root", "system:masters", (struct access){.verb = "get", .path = "/anything"}, NULL));
}

static void paths_are_rules_of_their_own(void **state) {
        assert_true(may(*state, "x", "system:unauthenticated", (struct access){.verb = "get", .path = "/version"}, NULL));
        assert_false(may(*state, "x", "system:unauthenticated", (struct access){.verb = "get", .path = "/apis"}, NULL));
        assert_true(may(*state, "x", "system:authenticated", (struct access){.verb = "get", .path = "/apis/apps/v1"}, NULL));
}

static void tells_which_binding_allowed_it_and_which_role_is_missing(void **state) {
        struct fixture *f = *state;
        AUTO(free) char *reason = NULL, *missing = NULL;
        assert_true(may(f, SA, NULL, (struct access){.verb = "get", .resource = "pods"}, &reason));
        assert_string_equal(reason, "RBAC: allowed by RoleBinding \"b/default\" of Role \"r\" to ServiceAccount \"sa/default\"");
        create(f, "rolebindings.rbac.authorization.k8s.io", "default",
               "{\"metadata\":{\"name\":\"m\"},\"roleRef\":{\"kind\":\"Role\",\"name\":\"none\"},\"subjects\":[{\"kind\":\"User\",\"name\":\"bob\"}]}");
        assert_false(may(f, "bob", NULL, (struct access){.verb = "get", .resource = "pods"}, &missing));
        assert_string_equal(missing, "RBAC: role.rbac.authorization.k8s.io \"none\" not found");
}

static void the_refusal_is_worded_as_by_the_real_server(void **state) {
        struct fixture *f = *state;
        struct user u = {.name = (char *)SA};
        AUTO(err) struct err err = ERR_INIT;
        struct access a = {.verb = "list", .group = "apps", .resource = "deployments", .ns = "default", .name = ""};
        assert_int_equal(rbac_check(f->s, &u, &a, &err), -EACCES);
        assert_string_equal(err.message, "deployments.apps is forbidden: User \"" SA
                                         "\" cannot list resource \"deployments\" in API group \"apps\" in the namespace \"default\"");
        err_clear(&err);
        a = (struct access){.verb = "get", .group = "", .resource = "nodes", .ns = "", .name = "n"};
        assert_int_equal(rbac_check(f->s, &u, &a, &err), -EACCES);
        assert_string_equal(err.message, "nodes \"n\" is forbidden: User \"" SA
                                         "\" cannot get resource \"nodes\" in API group \"\" at the cluster scope");
        err_clear(&err);
        a = (struct access){.verb = "get", .path = "/metrics"};
        assert_int_equal(rbac_check(f->s, &u, &a, &err), -EACCES);
        assert_string_equal(err.message, "forbidden: User \"" SA "\" cannot get path \"/metrics\"");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_role_allows_what_it_names_and_no_more, make, unmake),
                cmocka_unit_test_setup_teardown(aggregated_roles_have_the_rules_of_their_parts, make, unmake),
                cmocka_unit_test_setup_teardown(masters_may_everything, make, unmake),
                cmocka_unit_test_setup_teardown(paths_are_rules_of_their_own, make, unmake),
                cmocka_unit_test_setup_teardown(tells_which_binding_allowed_it_and_which_role_is_missing, make, unmake),
                cmocka_unit_test_setup_teardown(the_refusal_is_worded_as_by_the_real_server, make, unmake),
        };
        return cmocka_run_group_tests_name("cluster/rbac", tests, NULL, NULL);
}
