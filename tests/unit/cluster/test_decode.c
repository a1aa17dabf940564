#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/decode.h"

static char *decode(const char *kind, const char *text, struct strv *strict, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(mjson) yyjson_mut_doc *edit = NULL;
        yyjson_mut_val *out = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        edit = json_thaw(yyjson_doc_get_root(doc));
        if (decode_typed(edit, yyjson_mut_doc_get_root(edit),
                         schema_of_kind(streq(kind, "HorizontalPodAutoscaler") ? "autoscaling" : "",
                                        streq(kind, "HorizontalPodAutoscaler") ? "v2" : "v1", kind),
                         strict, &out, err) < 0)
                return NULL;
        return mjson_write(out, false, NULL);
}

static void gives(const char *kind, const char *text, const char *expected) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *got = decode(kind, text, NULL, &err);
        if (!got)
                fail_msg("%s", err_message(&err));
        assert_string_equal(got, expected);
}

static void refuses(const char *kind, const char *text, const char *message) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *got = decode(kind, text, NULL, &err);
        assert_null(got);
        assert_string_equal(err_message(&err), message);
}

static void orders_members_and_sorts_maps(void **state) {
        gives("ConfigMap", "{\"data\":{\"b\":\"2\",\"a\":\"1\"},\"metadata\":{\"labels\":{\"z\":\"1\",\"y\":\"2\"},\"name\":\"c\"}}",
              "{\"metadata\":{\"name\":\"c\",\"labels\":{\"y\":\"2\",\"z\":\"1\"}},\"data\":{\"a\":\"1\",\"b\":\"2\"}}");
}

static void leaves_out_what_go_leaves_out_and_fills_in_the_rest(void **state) {
        gives("ConfigMap", "{\"metadata\":{\"finalizers\":[null]},\"data\":{\"a\":null}}",
              "{\"metadata\":{\"finalizers\":[\"\"]},\"data\":{\"a\":\"\"}}");
        gives("ConfigMap", "{\"metadata\":{},\"data\":{},\"immutable\":null}", "{\"metadata\":{}}");
        gives("Event", "{\"metadata\":{}}",
              "{\"metadata\":{},\"involvedObject\":{},\"source\":{},\"firstTimestamp\":null,\"lastTimestamp\":null,\"eventTime\":null,\"reportingComponent\":\"\","
              "\"reportingInstance\":\"\"}");
}

static void makes_quantities_and_times_canonical(void **state) {
        gives("ResourceQuota", "{\"spec\":{\"hard\":{\"cpu\":0.2,\"memory\":\"1024Mi\"}}}",
              "{\"metadata\":{},\"spec\":{\"hard\":{\"cpu\":\"200m\",\"memory\":\"1Gi\"}},\"status\":{}}");
        gives("ConfigMap", "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T01:00:00+01:00\"}}",
              "{\"metadata\":{\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"}}");
}

static void refuses_wrong_types_with_the_words_of_go(void **state) {
        refuses("ConfigMap", "{\"data\":{\"k\":5}}", "json: cannot unmarshal number into Go struct field ConfigMap.data of type string");
        refuses("ConfigMap", "{\"data\":\"x\"}",
                "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string");
        refuses("Pod", "{\"spec\":{\"containers\":\"x\"}}",
                "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container");
        refuses("Pod", "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":true}]}}",
                "json: cannot unmarshal bool into Go struct field Container.spec.containers.image of type string");
        refuses("Secret", "{\"data\":{\"k\":\"%%%\"}}", "illegal base64 data at input byte 0");
        refuses("Secret", "{\"data\":{\"k\":\"YWI\"}}", "illegal base64 data at input byte 0");
        refuses("Secret", "{\"data\":{\"k\":\"YWJjYW\"}}", "illegal base64 data at input byte 4");
        refuses("Secret", "{\"data\":{\"k\":\"YQ=\"}}", "illegal base64 data at input byte 3");
        refuses("Pod", "{\"spec\":{\"containers\":[{\"imagePullPolicy\":1}]}}",
                "json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy");
        refuses("Pod", "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":1}}]}}",
                "json: cannot unmarshal number into Go struct field ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList");
        refuses("HorizontalPodAutoscaler", "{\"spec\":{\"metrics\":1}}",
                "json: cannot unmarshal number into Go struct field HorizontalPodAutoscalerSpec.spec.metrics of type []v2.MetricSpec");
        refuses("Service", "{\"spec\":{\"ports\":[{\"targetPort\":1.5}]}}",
                "json: cannot unmarshal number 1.5 into Go struct field ServicePort.spec.ports.targetPort of type int32");
        refuses("Service", "{\"spec\":{\"ipFamilies\":[7]}}",
                "json: cannot unmarshal number into Go struct field ServiceSpec.spec.ipFamilies of type v1.IPFamily");
        refuses("Pod", "{\"spec\":{\"terminationGracePeriodSeconds\":1.5,\"containers\":[]}}",
                "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64");
}

static void names_unknown_and_duplicate_members_in_the_order_of_the_document(void **state) {
        AUTO(strv) struct strv strict = {0};
        AUTO(free) char *got = decode(
                "Pod",
                "{\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"name\":\"c\",\"bogus\":1,\"env\":[{\"name\":\"a\",\"valu\":\"x\"}]}],\"nodename\":\"n\"},\"foo\":1}",
                &strict, NULL);
        AUTO(free) char *all = strv_join(&strict, ", ");
        assert_non_null(got);
        assert_string_equal(
                all,
                "unknown field \"spec.containers[0].bogus\", unknown field \"spec.containers[0].env[0].valu\", unknown field \"spec.nodename\", unknown field \"foo\"");
        assert_null(strstr(got, "bogus"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(orders_members_and_sorts_maps),
                cmocka_unit_test(leaves_out_what_go_leaves_out_and_fills_in_the_rest),
                cmocka_unit_test(makes_quantities_and_times_canonical),
                cmocka_unit_test(refuses_wrong_types_with_the_words_of_go),
                cmocka_unit_test(names_unknown_and_duplicate_members_in_the_order_of_the_document),
        };
        return cmocka_run_group_tests_name("cluster/decode", tests, NULL, NULL);
}
