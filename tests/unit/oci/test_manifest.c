#include "fixture.h"

#include <signal.h>

#include "oci/manifest.h"

#define D(c) "sha256:" c c c c c c c c
#define A D("aaaaaaaa")
#define B D("bbbbbbbb")
#define C D("cccccccc")

static void a_manifest_has_a_configuration_and_layers(void **state) {
        AUTO(oci_manifest) struct oci_manifest m = {0};
        enum oci_manifest_kind kind;
        struct sv text = SV("{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"config\":{\"digest\":\"" A "\",\"size\":7},"
                            "\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" B "\",\"size\":1},{\"digest\":\"" C "\",\"size\":0}]}");
        ok(oci_manifest_kind(text, NULL, &kind, err));
        assert_int_equal(kind, OCI_KIND_MANIFEST);
        ok(oci_manifest_parse(text, &m, err));
        assert_string_equal(m.config.digest, A);
        assert_int_equal(m.layers.len, 2);
        assert_string_equal(m.layers.items[0].media_type, "x");
        assert_string_equal(m.layers.items[1].digest, C);
}

static void damaged_manifests_are_refused(void **state) {
        static const char *const bad[] = {"[]",
                                          "{}",
                                          "{\"config\":{\"digest\":\"sha256:1\",\"size\":1}}",
                                          "{\"config\":{\"digest\":\"" A "\"}}",
                                          "{\"config\":{\"digest\":\"" A "\",\"size\":-1}}",
                                          "{\"config\":{\"digest\":\"" A "\",\"size\":99999999999}}",
                                          "{\"config\":{\"digest\":\"" A "\",\"size\":1},\"layers\":[{}]}",
                                          "{\"config\":{\"digest\":\"" A
                                          "\",\"size\":1},\"layers\":[{\"digest\":\"sha256:../../../etc/passwd\",\"size\":1}]}"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct oci_manifest m = {0};
                if (oci_manifest_parse(sv_of(bad[i]), &m, NULL) >= 0)
                        fail_msg("accepted: %s", bad[i]);
        }
        enum oci_manifest_kind kind;
        assert_int_equal(oci_manifest_kind(SV("{\"schemaVersion\":1,\"fsLayers\":[]}"), NULL, &kind, NULL), -ENOTSUP);
        assert_int_equal(oci_manifest_kind(SV("{\"layers\":[],\"manifests\":[]}"), "text/html", &kind, NULL), -EINVAL);
}

#define ENTRY(digest, os, arch, more)                                                                                                      \
        "{\"digest\":\"" digest "\",\"size\":1,\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" more "}}"

static void the_platform_is_chosen(void **state) {
        struct sv text = SV("{\"manifests\":[" ENTRY(A, "unknown", "unknown", "") "," ENTRY(
                B, "linux", "arm", ",\"variant\":\"v6\"") "," ENTRY(C, "linux", "arm", ",\"variant\":\"v7\"") "]}");
        AUTO(oci_descriptor) struct oci_descriptor d = {0};
        ok(oci_index_choose(text, (struct oci_platform){"linux", "arm", "v7"}, &d, err));
        assert_string_equal(d.digest, C);
        AUTO(err) struct err why = ERR_INIT;
        struct oci_descriptor none = {0};
        assert_int_equal(oci_index_choose(text, (struct oci_platform){"linux", "amd64", NULL}, &none, &why), -ENOENT);
        assert_string_equal(err_message(&why), "no match for platform linux/amd64 in manifest (there is: linux/arm/v6, linux/arm/v7)");
}

static void tags_of_layouts_are_found(void **state) {
        struct sv text =
                SV("{\"manifests\":[{\"digest\":\"" A "\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":\"one\"}},"
                   "{\"digest\":\"" B "\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":\"quay.io/x:two\"}}]}");
        AUTO(oci_descriptor) struct oci_descriptor d = {0};
        ok(oci_index_find_tag(text, "two", &d, err));
        assert_string_equal(d.digest, B);
        AUTO(err) struct err why = ERR_INIT;
        struct oci_descriptor none = {0};
        assert_int_equal(oci_index_find_tag(text, NULL, &none, &why), -ENOENT);
        assert_non_null(strstr(err_message(&why), "name one by its tag"));
        assert_int_equal(oci_index_find_tag(text, "three", &none, &why), -ENOENT);
}

static void configurations_are_read(void **state) {
        AUTO(oci_config) struct oci_config c = {0};
        ok(oci_config_parse(
                SV("{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"1970-01-01T00:00:01Z\",\"config\":{\"Env\":[\"A=1\"],\"Entrypoint\":[\"/e\"],"
                   "\"Cmd\":[\"c\"],\"WorkingDir\":\"/w\",\"User\":\"app:staff\",\"StopSignal\":\"SIGINT\",\"ExposedPorts\":{\"80/tcp\":{}}},"
                   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\"]}}"),
                &c, err));
        assert_string_equal(c.env.items[0], "A=1");
        assert_string_equal(c.entrypoint.items[0], "/e");
        assert_string_equal(c.command.items[0], "c");
        assert_string_equal(c.user, "app:staff");
        assert_string_equal(c.exposed_ports.items[0], "80/tcp");
        assert_int_equal(c.created_us, 1000000);
        struct oci_config none = {0};
        assert_int_equal(oci_config_parse(SV("{\"rootfs\":{\"diff_ids\":[\"x\"]}}"), &none, NULL), -EINVAL);
}

static void signals_have_many_names(void **state) {
        assert_int_equal(oci_signal_parse("SIGTERM"), SIGTERM);
        assert_int_equal(oci_signal_parse("INT"), SIGINT);
        assert_int_equal(oci_signal_parse("9"), SIGKILL);
        assert_int_equal(oci_signal_parse("SIGRTMIN+3"), SIGRTMIN + 3);
        assert_int_equal(oci_signal_parse("SIGRTMAX-1"), SIGRTMAX - 1);
        assert_int_equal(oci_signal_parse("SIGNOTHING"), 0);
        assert_int_equal(oci_signal_parse("0"), 0);
        assert_int_equal(oci_signal_parse("SIGRTMIN+99"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(a_manifest_has_a_configuration_and_layers),
                                           cmocka_unit_test(damaged_manifests_are_refused),
                                           cmocka_unit_test(the_platform_is_chosen),
                                           cmocka_unit_test(tags_of_layouts_are_found),
                                           cmocka_unit_test(configurations_are_read),
                                           cmocka_unit_test(signals_have_many_names)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
