#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kobj/patch.h"

enum how { MERGE, JSON, STRATEGIC };

/* The patched text, or "STATUS message". Owned by the caller. */
static char *patched(enum how how, const char *kind, const char *target, const char *patch) {
        AUTO(json) yyjson_doc *t = NULL;
        AUTO(json) yyjson_doc *p = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (json_parse(sv_of(target), &t, &err) < 0 || json_parse(sv_of(patch), &p, &err) < 0)
                fail_msg("%s / %s: %s", target, patch, err_message(&err));
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(t));
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *ret = NULL;
        yyjson_val *patch_root = yyjson_doc_get_root(p);
        struct schema schema = kind ? schema_of_kind(streq(kind, "Deployment") ? "apps" : "", "v1", kind) : SCHEMA_NONE;
        int r = how == MERGE  ? patch_merge(doc, root, patch_root, &ret, &err)
                : how == JSON ? patch_json(doc, root, patch_root, &ret, &err)
                              : patch_strategic(doc, root, patch_root, schema, &ret, &err);
        if (r < 0)
                return xasprintf("%d %s", err.http_status, err.hint ? err.hint : err.message);
        return mjson_write(ret, false, NULL);
}

static const struct {
        enum how how;
        const char *kind, *target, *patch, *want;
} cases[] = {
        {MERGE, NULL, "{\"a\":1,\"b\":{\"c\":2}}", "{\"a\":null,\"b\":{\"d\":3}}", "{\"b\":{\"c\":2,\"d\":3}}"},
        {MERGE, NULL, "{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
        {MERGE, NULL, "{\"a\":\"x\"}", "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"c\":1}}"},
        {MERGE, NULL, "{}", "[1]", "400 Invalid JSON Patch"},

        {JSON, NULL, "{\"a\":{}}", "[{\"op\":\"add\",\"path\":\"/a/b~1c\",\"value\":1}]", "{\"a\":{\"b/c\":1}}"},
        {JSON, NULL, "{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2},{\"op\":\"add\",\"path\":\"/a/-\",\"value\":4}]",
         "{\"a\":[1,2,3,4]}"},
        {JSON, NULL, "{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/-1\"}]", "{\"a\":[1]}"},
        {JSON, NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"b\":2}}]", "{\"a\":{\"b\":2}}"},
        {JSON, NULL, "{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":1}"},
        {JSON, NULL, "{\"a\":{\"x\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"a\":{\"x\":1},\"b\":{\"x\":1}}"},
        {JSON, NULL, "{\"a\":{\"x\":[1]}}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"x\":[1]}}]", "{\"a\":{\"x\":[1]}}"},
        {JSON, NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b\",\"value\":null}]", "{\"a\":1}"},
        {JSON, NULL, "{\"data\":{\"j\":\"5\"}}", "[{\"op\":\"test\",\"path\":\"/data/j\",\"value\":\"nope\"}]",
         "422 testing value /data/j failed: test failed"},
        {JSON, NULL, "{\"data\":{}}", "[{\"op\":\"remove\",\"path\":\"/data/none\"}]",
         "422 error in remove for path: '/data/none': Unable to remove nonexistent key: none: missing value"},
        {JSON, NULL, "{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
         "422 add operation does not apply: doc is missing path: \"/a/b\": missing value"},
        {JSON, NULL, "{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":1}]",
         "422 error in add for path: '/a/1': Unable to access invalid index: 1: invalid index referenced"},
        {JSON, NULL, "{}", "[{\"op\":\"spell\",\"path\":\"/a\"}]", "422 Unexpected kind: spell"},
        {JSON, NULL, "{}", "{}", "400 json: cannot unmarshal object into Go value of type jsonpatch.Patch"},

        {STRATEGIC, "Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\",\"image\":\"y\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"},{\"name\":\"c\",\"image\":null,\"env\":[]}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[]},{\"name\":\"b\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
         "{\"spec\":{\"$setElementOrder/containers\":[{\"name\":\"c\"},{\"name\":\"a\"},{\"name\":\"b\"}],\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"a\"},{\"name\":\"b\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}",
         "{\"spec\":{\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"z\"}]}}", "{\"spec\":{\"containers\":[{\"name\":\"z\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}", "{\"spec\":{\"containers\":[{\"image\":\"z\"}]}}",
         "500 map: map[image:z] does not contain declared merge key: name"},
        {STRATEGIC, "Pod", "{\"spec\":{\"tolerations\":[{\"key\":\"a\"}]}}", "{\"spec\":{\"tolerations\":[{\"key\":\"b\"}]}}",
         "{\"spec\":{\"tolerations\":[{\"key\":\"b\"}]}}"},
        {STRATEGIC, "Pod", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}", "{\"metadata\":{\"finalizers\":[\"c\",\"a\"]}}",
         "{\"metadata\":{\"finalizers\":[\"c\",\"a\",\"b\"]}}"},
        {STRATEGIC, "Pod", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
         "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"]}}", "{\"metadata\":{\"finalizers\":[\"b\"]}}"},
        {STRATEGIC, "Pod", "{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}}",
         "{\"metadata\":{\"labels\":{\"$patch\":\"replace\",\"c\":\"3\"}}}", "{\"metadata\":{\"labels\":{\"c\":\"3\"}}}"},
        {STRATEGIC, "Pod", "{\"metadata\":{\"labels\":{\"a\":\"1\"}}}", "{\"metadata\":{\"labels\":{\"$patch\":\"delete\"}}}",
         "{\"metadata\":{\"labels\":{}}}"},
        {STRATEGIC, "Deployment", "{\"spec\":{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}}}",
         "{\"spec\":{\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}}}",
         "{\"spec\":{\"strategy\":{\"type\":\"Recreate\"}}}"},
        {STRATEGIC, "Deployment", "{\"spec\":{\"strategy\":{\"type\":\"a\"}}}",
         "{\"spec\":{\"strategy\":{\"$retainKeys\":[],\"type\":\"b\"}}}", "400 invalid patch format of retainKeys"},
        {STRATEGIC, "Service", "{\"spec\":{\"ports\":[{\"port\":80,\"name\":\"x\"},{\"port\":81}]}}",
         "{\"spec\":{\"ports\":[{\"port\":81,\"name\":\"y\"}]}}",
         "{\"spec\":{\"ports\":[{\"port\":80,\"name\":\"x\"},{\"port\":81,\"name\":\"y\"}]}}"},
        {STRATEGIC, "Pod", "{}",
         "{\"spec\":{\"$setElementOrder/containers\":[{\"name\":\"a\"}],\"containers\":[{\"name\":\"a\",\"x\":null}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}"},
        {STRATEGIC, "Service", "{\"spec\":{\"ports\":[{\"port\":2,\"name\":\"n\"}]}}",
         "{\"spec\":{\"ports\":[{\"port\":2,\"name\":\"m\"},{\"port\":1,\"name\":\"n\"}]}}",
         "{\"spec\":{\"ports\":[{\"port\":2,\"name\":\"m\"},{\"port\":1,\"name\":\"n\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"d\",\"$patch\":\"delete\"},{\"name\":\"c\",\"$patch\":\"delete\"}]}}",
         "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}"},
        {STRATEGIC, "Pod", "{\"spec\":{}}", "{\"spec\":{\"containers\":[],\"$setElementOrder/containers\":[{\"name\":\"d\"}]}}",
         "500 no elements in any of the given slices"},
        {STRATEGIC, "Pod", "{\"spec\":{}}",
         "{\"spec\":{\"containers\":[{\"name\":\"b\"}],\"$setElementOrder/containers\":[{\"name\":\"d\"}]}}",
         "500 The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:d]]\n"},
        {STRATEGIC, "Pod", "{}", "[]", "400 invalid JSON document"},
};

static void patches_as_the_real_server_does(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *got = patched(cases[i].how, cases[i].kind, cases[i].target, cases[i].patch);
                if (!streq(got, cases[i].want))
                        fail_msg("%s + %s\n  gives %s\n  not   %s", cases[i].target, cases[i].patch, got, cases[i].want);
        }
}

static void a_failed_json_patch_answers_as_recorded(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *p = NULL;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *ret = NULL;
        assert_int_equal(json_parse(SV("[{\"op\":\"remove\",\"path\":\"/data/none\"}]"), &p, NULL), 0);
        assert_int_equal(patch_json(doc, yyjson_mut_obj(doc), yyjson_doc_get_root(p), &ret, &err), -EINVAL);
        assert_int_equal(err.http_status, 422);
        assert_string_equal(err.reason, "Invalid");
        assert_string_equal(err.details, "{}");
        assert_string_equal(err.message, "the server rejected our request due to an error in our request");
        assert_null(ret);
}

static void copies_cannot_grow_without_limit(void **state) {
        (void)state;
        AUTO(str) struct str text = STR_INIT(0);
        str_append_s(&text, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":[1]}");
        for (int i = 0; i < 40; i++)
                str_append_s(&text, ",{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}");
        str_append_c(&text, ']');
        AUTO(free) char *got = patched(JSON, NULL, "{}", str_cstr(&text));
        assert_true(str_starts(got, "422 Unable to complete the copy, the accumulated size increase of copy is "));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(patches_as_the_real_server_does),
                cmocka_unit_test(a_failed_json_patch_answers_as_recorded),
                cmocka_unit_test(copies_cannot_grow_without_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
