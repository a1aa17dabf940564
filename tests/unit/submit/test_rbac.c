#include "../kube/fixture.h"

#include "submit/rbac.h"

static char *text_of(const struct rbac_options *o) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        ok(rbac_objects(o, &doc, test_err()));
        return mjson_write(yyjson_mut_doc_get_root(doc), false, NULL);
}

static void a_driver_gets_what_it_asks_for_and_no_more(void **state) {
        AUTO(free) char *text = text_of(&(struct rbac_options){.namespace_ = "jobs", .service_account = "spark"});
        assert_non_null(strstr(
                text,
                "{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"watch\"]}"));
        assert_non_null(strstr(text, "\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"spark\",\"namespace\":\"jobs\"}]"));
        assert_non_null(
                strstr(text, "\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":\"spark-driver\"}"));
        assert_null(strstr(text, "\"*\""));
        assert_null(strstr(text, "secrets"));
        assert_null(strstr(text, "statefulsets"));
        assert_null(strstr(text, "\"Namespace\""));
}

static void options_add_and_leave_out(void **state) {
        AUTO(free) char *text = text_of(&(struct rbac_options){.namespace_ = "jobs",
                                                               .service_account = "spark",
                                                               .create_namespace = true,
                                                               .stateful_sets = true,
                                                               .no_pvcs = true,
                                                               .submitter = "group:data"});
        assert_non_null(strstr(text, "\"kind\":\"Namespace\",\"metadata\":{\"name\":\"jobs\"}"));
        assert_non_null(strstr(text, "statefulsets"));
        assert_non_null(strstr(text, "{\"kind\":\"Group\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"data\"}"));
        assert_non_null(strstr(text, "spark-submitter"));
}

static void client_mode_is_the_submitters(void **state) {
        struct rbac_options o = {.namespace_ = "jobs", .service_account = "spark", .submitter = "alice"};
        AUTO(free) char *without = text_of(&o);
        assert_null(strstr(without, "endpointslices"));
        assert_null(strstr(without, "spark-client"));
        o.client_mode = true;
        AUTO(free) char *text = text_of(&o);
        assert_non_null(strstr(text, "{\"apiGroups\":[\"discovery.k8s.io\"],\"resources\":[\"endpointslices\"],\"verbs\":[\"create\"]}"));
        assert_non_null(strstr(
                text,
                "\"name\":\"spark-client\",\"namespace\":\"jobs\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":\"spark-client\"},"
                "\"subjects\":[{\"kind\":\"User\""));
}

static void names_that_cannot_be_are_refused(void **state) {
        static const struct rbac_options cases[] = {
                {.namespace_ = "Jobs", .service_account = "spark"},
                {.namespace_ = "jobs", .service_account = "sp ark"},
                {.namespace_ = "jobs", .service_account = "spark", .submitter = ""},
                {.namespace_ = "jobs", .service_account = "spark", .client_mode = true},
                {.namespace_ = "jobs", .service_account = "spark", .submitter = "serviceaccount:ns:"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                yyjson_mut_doc *doc = NULL;
                assert_int_equal(rbac_objects(&cases[i], &doc, test_err()), -EINVAL);
                assert_null(doc);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(a_driver_gets_what_it_asks_for_and_no_more),
                with_dir(options_add_and_leave_out),
                with_dir(client_mode_is_the_submitters),
                with_dir(names_that_cannot_be_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
