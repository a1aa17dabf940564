#include "kobj/apply.h"
#include "kobj/meta.h"
#include "unit/test_json.h"

#define NOW 1767323045000 /* 2026-01-02T03:04:05Z */

static struct schema schema_for(yyjson_val *object) {
        struct sv group, version;
        meta_split_api_version(meta_api_version(object), &group, &version);
        AUTO(free) char *g = sv_dup(group);
        AUTO(free) char *v = sv_dup(version);
        return schema_of_kind(g, v, meta_kind(object));
}

/* Applies and returns the object as text, or "STATUS message". */
static char *applied(const char *live, const char *config, const char *manager, bool force) {
        AUTO(json) yyjson_doc *l = live ? parse(live) : NULL;
        AUTO(json) yyjson_doc *c = parse(config);
        AUTO(mjson) yyjson_mut_doc *doc = l ? json_thaw(yyjson_doc_get_root(l)) : yyjson_mut_doc_new(NULL);
        AUTO(err) struct err err = ERR_INIT;
        struct apply_options o = {
                .manager = manager, .now_ms = NOW, .force = force, .ignore = "status", .schema = schema_for(yyjson_doc_get_root(c))};
        yyjson_mut_val *ret = NULL;
        int r = apply_patch(doc, l ? yyjson_mut_doc_get_root(doc) : NULL, yyjson_doc_get_root(c), &o, &ret, &err);
        if (r < 0)
                return xasprintf("%d %s%s%s", err.http_status, err.message, err.details ? " " : "", err.details ? err.details : "");
        return mjson_write(ret, false, NULL);
}

static char *tracked(const char *old, const char *object, const char *manager) {
        AUTO(json) yyjson_doc *o = old ? parse(old) : NULL;
        AUTO(json) yyjson_doc *n = parse(object);
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(n));
        struct apply_options options = {
                .manager = manager, .now_ms = NOW, .ignore = "status", .schema = schema_for(yyjson_doc_get_root(n))};
        apply_track(doc, yyjson_doc_get_root(o), yyjson_mut_doc_get_root(doc), &options);
        return mjson_write(yyjson_mut_doc_get_root(doc), false, NULL);
}

static void check_json(const char *got, const char *want) {
        AUTO(json) yyjson_doc *a = parse(got);
        AUTO(json) yyjson_doc *b = parse(want);
        if (!json_equal(yyjson_doc_get_root(a), yyjson_doc_get_root(b)))
                fail_msg("got  %s\nwant %s", got, want);
}

#define CM(data, fields)                                                                                                                   \
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"" fields "},\"data\":{" data "}}"
#define ENTRY(manager, operation, fields)                                                                                                  \
        "{\"manager\":\"" manager "\",\"operation\":\"" operation                                                                          \
        "\",\"apiVersion\":\"v1\",\"time\":\"2026-01-02T03:04:05Z\",\"fieldsType\":\"FieldsV1\","                                          \
        "\"fieldsV1\":" fields "}"
#define OWNED(entries) ",\"managedFields\":[" entries "]"

static void the_first_apply_creates_and_owns_what_it_says(void **state) {
        (void)state;
        AUTO(free) char *got = applied(NULL, CM("\"a\":\"1\"", ""), "fabric8", true);
        check_json(got, CM("\"a\":\"1\"", OWNED(ENTRY("fabric8", "Apply", "{\"f:data\":{\"f:a\":{}}}"))));
}

static void fields_left_out_are_removed_unless_others_own_them(void **state) {
        (void)state;
        AUTO(free) char *got = applied(
                CM("\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"", OWNED(ENTRY("me", "Apply", "{\"f:data\":{\"f:a\":{},\"f:b\":{}}}") "," ENTRY(
                                                                  "you", "Update", "{\"f:data\":{\"f:b\":{},\"f:c\":{}}}"))),
                CM("\"d\":\"4\"", ""), "me", false);
        check_json(got, CM("\"b\":\"2\",\"c\":\"3\",\"d\":\"4\"", OWNED(ENTRY("me", "Apply", "{\"f:data\":{\"f:d\":{}}}") "," ENTRY(
                                                                          "you", "Update", "{\"f:data\":{\"f:b\":{},\"f:c\":{}}}"))));
}

static void a_conflict_names_the_other_manager(void **state) {
        (void)state;
        static const char live[] = CM("\"b\":\"2\"", OWNED(ENTRY("fabric8", "Apply", "{\"f:data\":{\"f:b\":{}}}")));
        AUTO(free) char *got = applied(live, CM("\"b\":\"3\"", ""), "other", false);
        assert_string_equal(
                got,
                "409 Apply failed with 1 conflict: conflict with \"fabric8\": .data.b {\"causes\":[{\"reason\":\"FieldManagerConflict\","
                "\"message\":\"conflict with \\\"fabric8\\\"\",\"field\":\".data.b\"}]}");
        AUTO(free) char *same = applied(live, CM("\"b\":\"2\"", ""), "other", false);
        /* Nothing changes: a co-owner without a time. */
        check_json(
                same,
                CM("\"b\":\"2\"",
                   OWNED("{\"manager\":\"other\",\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{"
                         "\"f:data\":{\"f:b\":{}}}}," ENTRY("fabric8", "Apply", "{\"f:data\":{\"f:b\":{}}}"))));
        AUTO(free) char *forced = applied(live, CM("\"b\":\"3\"", ""), "other", true);
        check_json(forced, CM("\"b\":\"3\"", OWNED(ENTRY("other", "Apply", "{\"f:data\":{\"f:b\":{}}}"))));
}

static void several_conflicts_are_listed_by_manager(void **state) {
        (void)state;
        AUTO(free) char *got = applied(CM("\"a\":\"1\",\"b\":\"2\"", OWNED(ENTRY("x", "Apply", "{\"f:data\":{\"f:a\":{}}}") ","
                                                                           ENTRY("y", "Update", "{\"f:data\":{\"f:b\":{}}}"))),
                                       CM("\"a\":\"5\",\"b\":\"6\"", ""), "z", false);
        assert_true(str_starts(got,
                               "409 Apply failed with 2 conflicts: conflicts with \"x\":\n- .data.a\nconflicts with \"y\" using v1:\n- "
                               ".data.b"));
}

static void list_elements_are_owned_by_their_keys(void **state) {
        (void)state;
        AUTO(free) char *got = applied(
                NULL,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
                "\"args\":[\"x\"],\"ports\":[{\"containerPort\":80}]}]}}",
                "me", false);
        AUTO(json) yyjson_doc *doc = parse(got);
        AUTO(free) char *fields = json_write(json_at(yyjson_doc_get_root(doc), "/metadata/managedFields/0/fieldsV1"), false, NULL);
        assert_string_equal(
                fields,
                "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:args\":{},\"f:image\":{},\"f:name\":{},\"f:ports\":{"
                "\"k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:containerPort\":{}}}}}}}");
}

static void a_create_owns_what_the_kind_does_not_always_have(void **state) {
        (void)state;
        AUTO(free) char *got = tracked(
                NULL,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"creationTimestamp\":\"T\",\"labels\":{\"a\":"
                "\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{}}],\"restartPolicy\":\"Never\"},\"status\":{\"phase\":"
                "\"Pending\"}}",
                "kubectl-create");
        AUTO(json) yyjson_doc *doc = parse(got);
        AUTO(free) char *entry = json_write(json_at(yyjson_doc_get_root(doc), "/metadata/managedFields"), false, NULL);
        assert_string_equal(
                entry,
                "[" ENTRY(
                        "kubectl-create", "Update",
                        "{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}},\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},"
                        "\"f:name\":{},\"f:resources\":{}}},\"f:restartPolicy\":{}}}") "]");
}

static void an_update_takes_what_it_changes(void **state) {
        (void)state;
        AUTO(free) char *got = tracked(CM("\"a\":\"1\",\"b\":\"2\"", OWNED(ENTRY("x", "Apply", "{\"f:data\":{\"f:a\":{},\"f:b\":{}}}"))),
                                       CM("\"a\":\"9\",\"c\":\"3\"", ""), "editor");
        check_json(got, CM("\"a\":\"9\",\"c\":\"3\"", OWNED(ENTRY("editor", "Update", "{\"f:data\":{\"f:a\":{},\"f:c\":{}}}"))));
}

static void an_empty_list_gives_up_ownership(void **state) {
        (void)state;
        static const char old[] = CM("\"a\":\"1\"", OWNED(ENTRY("x", "Apply", "{\"f:data\":{\"f:a\":{}}}")));
        AUTO(free) char *got = tracked(old, CM("\"a\":\"1\"", ",\"managedFields\":[]"), "editor");
        check_json(got, CM("\"a\":\"1\"", ""));
        AUTO(free) char *untouched = tracked(old, CM("\"a\":\"1\"", ""), "editor");
        check_json(untouched, old);
}

static void kubectl_may_take_over_what_it_applied_from_the_client(void **state) {
        (void)state;
        static const char live[] =
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"annotations\":{\"kubectl.kubernetes.io/last-applied-configuration\":"
                "\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"ConfigMap\\\",\\\"metadata\\\":{\\\"name\\\":\\\"c\\\"},\\\"data\\\":{\\\"a\\\":\\\"1\\\"}}\"}" OWNED(
                        ENTRY("kubectl-client-side-apply", "Update", "{\"f:data\":{\"f:a\":{}}}")) "},\"data\":{\"a\":\"1\"}}";
        static const char config[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"2\"}}";
        AUTO(free) char *got = applied(live, config, "kubectl", false);
        AUTO(json) yyjson_doc *doc = parse(got);
        assert_string_equal(json_str_at(yyjson_doc_get_root(doc), "/data/a"), "2");
        assert_non_null(
                strstr(meta_annotation(yyjson_doc_get_root(doc), "kubectl.kubernetes.io/last-applied-configuration"), "\"a\":\"2\""));
        AUTO(free) char *other = applied(live, config, "helm", false);
        assert_true(str_starts(other, "409 "));
}

static void wrong_configurations_are_refused(void **state) {
        (void)state;
        AUTO(free) char *unknown = applied(
                NULL, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"bogus\":1}}",
                "me", false);
        assert_string_equal(unknown,
                            "500 failed to create typed patch object (n/p; /v1, Kind=Pod): .spec.bogus: field not declared in schema");
        AUTO(free) char *twice = applied(
                NULL,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\"},{\"name\":"
                "\"c\"}]}}",
                "me", false);
        assert_string_equal(
                twice,
                "500 failed to create typed patch object (/p; /v1, Kind=Pod): .spec.containers: duplicate entries for key [name=\"c\"]");
        AUTO(free) char *fields = applied(NULL, CM("\"a\":\"1\"", ",\"managedFields\":[]"), "me", false);
        assert_string_equal(fields, "400 metadata.managedFields must be nil");
}

static void custom_resources_follow_their_own_schema(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *crd = parse(
                "{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\","
                "\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"id\"],\"items\":{\"type\":\"object\",\"properties\":{"
                "\"id\":{\"type\":\"integer\"},\"v\":{\"type\":\"string\"}}}},\"tags\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\","
                "\"items\":{\"type\":\"string\"}},\"plain\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}}}");
        AUTO(json) yyjson_doc *live = parse(
                "{\"apiVersion\":\"e.x/v1\",\"kind\":\"T\",\"metadata\":{\"name\":\"t\",\"managedFields\":["
                "{\"manager\":\"a\",\"operation\":\"Apply\",\"apiVersion\":\"e.x/v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:spec\":{\"f:items\":{"
                "\"k:{\\\"id\\\":1}\":{\".\":{},\"f:id\":{},\"f:v\":{}}},\"f:tags\":{\"v:\\\"x\\\"\":{}}}}}]},"
                "\"spec\":{\"items\":[{\"id\":1,\"v\":\"one\"},{\"id\":2,\"v\":\"two\"}],\"tags\":[\"x\",\"y\"],\"plain\":[\"p\"]}}");
        AUTO(json) yyjson_doc *config = parse(
                "{\"apiVersion\":\"e.x/v1\",\"kind\":\"T\",\"metadata\":{\"name\":\"t\"},\"spec\":{\"items\":[{\"id\":3,\"v\":\"three\"}],\"tags\":[\"z\"],\"plain\":[\"q\"]}}");
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(live));
        struct apply_options o = {.manager = "a", .now_ms = NOW, .schema = schema_of_crd(yyjson_doc_get_root(crd))};
        yyjson_mut_val *ret = NULL;
        assert_int_equal(apply_patch(doc, yyjson_mut_doc_get_root(doc), yyjson_doc_get_root(config), &o, &ret, NULL), 0);
        AUTO(free) char *spec = mjson_write(mjson_at(ret, "/spec"), false, NULL);
        check_json(spec, "{\"items\":[{\"id\":2,\"v\":\"two\"},{\"id\":3,\"v\":\"three\"}],\"tags\":[\"y\",\"z\"],\"plain\":[\"q\"]}");
        AUTO(free) char *fields = mjson_write(mjson_at(ret, "/metadata/managedFields/0/fieldsV1"), false, NULL);
        assert_string_equal(
                fields,
                "{\"f:spec\":{\"f:items\":{\"k:{\\\"id\\\":3}\":{\".\":{},\"f:id\":{},\"f:v\":{}}},\"f:plain\":{},\"f:tags\":{\"v:\\\"z\\\"\":{}}}}");
}

static void user_agents_become_manager_names(void **state) {
        (void)state;
        AUTO(free) char *a = apply_default_manager("kubectl/v1.34 (linux/amd64)");
        AUTO(free) char *b = apply_default_manager(NULL);
        assert_string_equal(a, "kubectl");
        assert_string_equal(b, "unknown");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_apply_creates_and_owns_what_it_says),
                cmocka_unit_test(fields_left_out_are_removed_unless_others_own_them),
                cmocka_unit_test(a_conflict_names_the_other_manager),
                cmocka_unit_test(several_conflicts_are_listed_by_manager),
                cmocka_unit_test(list_elements_are_owned_by_their_keys),
                cmocka_unit_test(a_create_owns_what_the_kind_does_not_always_have),
                cmocka_unit_test(an_update_takes_what_it_changes),
                cmocka_unit_test(an_empty_list_gives_up_ownership),
                cmocka_unit_test(kubectl_may_take_over_what_it_applied_from_the_client),
                cmocka_unit_test(wrong_configurations_are_refused),
                cmocka_unit_test(custom_resources_follow_their_own_schema),
                cmocka_unit_test(user_agents_become_manager_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
