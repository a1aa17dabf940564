#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kobj/meta.h"

static const char pod[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"7\","
        "\"generation\":2,\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"labels\":{\"a\":\"b\"},\"finalizers\":[\"x/y\"],"
        "\"ownerReferences\":[{\"uid\":\"o1\"},{\"uid\":\"o2\",\"controller\":true}]},"
        "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}";

static void reads_what_is_there(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(pod), &doc, NULL), 0);
        yyjson_val *o = yyjson_doc_get_root(doc);
        assert_string_equal(meta_kind(o), "Pod");
        assert_string_equal(meta_name(o), "p");
        assert_string_equal(meta_namespace(o), "n");
        assert_string_equal(meta_uid(o), "u");
        assert_string_equal(meta_resource_version(o), "7");
        assert_int_equal(meta_generation(o), 2);
        assert_string_equal(meta_label(o, "a"), "b");
        assert_null(meta_label(o, "c"));
        assert_null(meta_annotation(o, "c"));
        assert_true(meta_has_finalizer(o, "x/y"));
        assert_false(meta_is_deleting(o));
        assert_int_equal(meta_created_ms(o), 1767323045000);
        assert_true(meta_is_controlled_by(o, "o2"));
        assert_false(meta_is_controlled_by(o, "o1"));
        assert_true(meta_is_owned_by(o, "o1"));
        assert_true(meta_condition_is(o, "Ready", "True"));
        assert_false(meta_condition_is(o, "Other", "True"));
        assert_null(meta_name(NULL));
}

static void splits_api_versions(void **state) {
        (void)state;
        struct sv group, version;
        meta_split_api_version("apps/v1", &group, &version);
        assert_true(sv_eqs(group, "apps") && sv_eqs(version, "v1"));
        meta_split_api_version("v1", &group, &version);
        assert_true(sv_eqs(group, "") && sv_eqs(version, "v1"));
        AUTO(free) char *joined = meta_join_api_version("", "v1");
        assert_string_equal(joined, "v1");
}

static void edits_metadata(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(pod), &doc, NULL), 0);
        AUTO(mjson) yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = yyjson_mut_obj(m);
        mmeta_set(m, o, "name", "child");
        mmeta_set_label(m, o, "k", "v");
        mmeta_add_finalizer(m, o, "f/1");
        mmeta_add_finalizer(m, o, "f/1");
        mmeta_add_owner(m, o, yyjson_doc_get_root(doc), true, true);
        mmeta_add_owner(m, o, yyjson_doc_get_root(doc), true, true);
        AUTO(free) char *text = mjson_write(o, false, NULL);
        assert_string_equal(
                text,
                "{\"metadata\":{\"name\":\"child\",\"labels\":{\"k\":\"v\"},\"finalizers\":[\"f/1\"],\"ownerReferences\":[{\"apiVersion\":\"v1\","
                "\"kind\":\"Pod\",\"name\":\"p\",\"uid\":\"u\",\"controller\":true,\"blockOwnerDeletion\":true}]}}");
        mmeta_remove_finalizer(o, "f/1");
        assert_null(mjson_at(o, "/metadata/finalizers"));
}

static void a_condition_keeps_its_transition_time_while_its_status_stays(void **state) {
        (void)state;
        AUTO(mjson) yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = yyjson_mut_obj(m);
        assert_true(mmeta_set_condition(m, o, "Ready", "False", "Starting", NULL, 1000));
        assert_false(mmeta_set_condition(m, o, "Ready", "False", "Starting", NULL, 2000));
        assert_true(mmeta_set_condition(m, o, "Ready", "False", "Failed", "why", 3000));
        assert_string_equal(mjson_str_at(o, "/status/conditions/0/lastTransitionTime"), "1970-01-01T00:00:01Z");
        assert_true(mmeta_set_condition(m, o, "Ready", "True", NULL, NULL, 4000));
        AUTO(free) char *text = mjson_write(o, false, NULL);
        assert_string_equal(
                text,
                "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"1970-01-01T00:00:04Z\"}]}}");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_what_is_there),
                cmocka_unit_test(splits_api_versions),
                cmocka_unit_test(edits_metadata),
                cmocka_unit_test(a_condition_keeps_its_transition_time_while_its_status_stays),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
