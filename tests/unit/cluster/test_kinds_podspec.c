#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/str.h"
#include "cluster/kinds/podspec.h"

/* What is wrong with a pod spec: each cause as "FIELD: MESSAGE", in order, a line each. */
static char *causes_of(const char *spec) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(invalid) struct invalid bad = {0};
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, ""); /* a text even when nothing is wrong */
        assert_int_equal(json_parse(sv_of(spec), &doc, NULL), 0);
        podspec_validate(yyjson_doc_get_root(doc), "spec", &bad);
        vec_foreach(item, &bad) str_appendf(&out, "%s: %s\n", item->field, item->message);
        return str_take(&out);
}

#define CONTAINER(more) "\"containers\":[{\"name\":\"c\",\"image\":\"i\"" more "}]"

static const struct {
        const char *spec, *causes;
} cases[] = {
        {"{" CONTAINER("") "}", ""},
        {"{}", "spec.containers: Required value\n"},
        /* A volume that is wrong cannot be mounted. */
        {"{\"volumes\":[{\"name\":\"v\",\"hostPath\":{}}]," CONTAINER(",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]") "}",
         "spec.volumes[0].hostPath.path: Required value\nspec.containers[0].volumeMounts[0].name: Not found: \"v\"\n"},
        {"{\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"c\",\"items\":[{\"key\":\"k\",\"path\":\"../x\"}]},\"nfs\":{}}]," CONTAINER(
                 "") "}",
         "spec.volumes[0].nfs.server: Required value\nspec.volumes[0].nfs.path: Required value\n"
         "spec.volumes[0].nfs.path: Invalid value: \"\": must be an absolute path\n"
         "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type\n"},
        {"{" CONTAINER(
                 ",\"env\":[{\"name\":\"A\",\"value\":\"x\",\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.labels['a']\"}}}]") "}",
         "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty\n"},
        {"{" CONTAINER(",\"livenessProbe\":{\"tcpSocket\":{\"port\":0},\"successThreshold\":2}") "}",
         "spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
         "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1\n"},
        {"{" CONTAINER(
                 ",\"ports\":[{\"containerPort\":1,\"hostPort\":2,\"protocol\":\"TCP\"},{\"containerPort\":3,\"hostPort\":2,\"protocol\":\"TCP\"}]") "}",
         "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//2\"\n"},
        {"{" CONTAINER(",\"securityContext\":{\"privileged\":true,\"allowPrivilegeEscalation\":false}") "}",
         "spec.containers[0].securityContext: Invalid value: {\"Capabilities\":null,\"Privileged\":true,\"SELinuxOptions\":null,\"WindowsOptions\":null,"
         "\"RunAsUser\":null,\"RunAsGroup\":null,\"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,"
         "\"SeccompProfile\":null,\"AppArmorProfile\":null}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true\n"},
        {"{\"hostNetwork\":true,\"securityContext\":{\"sysctls\":[{\"name\":\"net.x\",\"value\":\"1\"},{\"name\":\"net/x\",\"value\":\"1\"}]}," CONTAINER(
                 "") "}",
         "spec.securityContext.sysctls[0].name: Invalid value: \"net.x\": may not be specified when 'hostNetwork' is true\n"
         "spec.securityContext.sysctls[1].name: Invalid value: \"net/x\": may not be specified when 'hostNetwork' is true\n"},
        {"{\"affinity\":{\"podAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":101,\"podAffinityTerm\":{\"topologyKey\":\"z\","
         "\"matchLabelKeys\":[\"k\"]}}]}}," CONTAINER("") "}",
         "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100\n"
         "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys: Forbidden: must not be specified when "
         "labelSelector is not set\n"},
        {"{\"dnsPolicy\":\"None\",\"tolerations\":[{\"operator\":\"Exists\",\"tolerationSeconds\":1}]," CONTAINER("") "}",
         "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None\n"
         "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set\n"},
        {"{\"initContainers\":[{\"name\":\"c\",\"image\":\" i\",\"lifecycle\":{}}]," CONTAINER("") "}",
         "spec.initContainers[0].name: Duplicate value: \"c\"\n"
         "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always\n"
         "spec.initContainers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace\n"},
};

static void says_what_is_wrong_with_a_pod_in_the_order_of_the_real_server(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *causes = causes_of(cases[i].spec);
                assert_string_equal(causes, cases[i].causes);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(says_what_is_wrong_with_a_pod_in_the_order_of_the_real_server),
        };
        return cmocka_run_group_tests_name("cluster/kinds/podspec", tests, NULL, NULL);
}
