#include "cluster/kinds/claim_rules.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/node_rules.h"
#include "unit/test_json.h"

#define LOWER                                                                                                                              \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "   \
        "alphanumeric character (e.g. 'example.com', regex used for validation is "                                                        \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

/* An object and what is wrong with it, one line each: "FIELD: MESSAGE". */
struct example {
        const struct kind_hooks *hooks;
        const char *object, *wrong;
};

static void check(const struct example *examples, size_t count) {
        for (size_t i = 0; i < count; i++) {
                AUTO(json) yyjson_doc *doc = parse(examples[i].object);
                AUTO(invalid) struct invalid bad = {0};
                struct draft d = {.ns = ""};
                examples[i].hooks->validate(&d, yyjson_doc_get_root(doc), &bad);
                AUTO(free) char *is = lines(&bad);
                assert_string_equal(is, examples[i].wrong);
        }
}

#define PV(SPEC)                                                                                                                           \
        "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"1Gi\"}," SPEC "}}"

static void volumes_have_one_complete_source(void **state) {
        static const struct example examples[] = {
                {&pv_hooks, PV("\"hostPath\":{\"path\":\"/x\",\"type\":\"\"}"), ""},
                {&pv_hooks, PV("\"volumeMode\":\"Block\""), "spec: Required value: must specify a volume type"},
                {&pv_hooks, PV("\"hostPath\":{\"path\":\"/a/..\",\"type\":\"x\"},\"persistentVolumeReclaimPolicy\":\"Recycle\""),
                 "spec.hostPath.path: Invalid value: \"/a/..\": must not contain '..'\n"
                 "spec.hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", "
                 "\"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"\n"
                 "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"},
                {&pv_hooks, PV("\"nfs\":{\"path\":\"x\"},\"csi\":{}"),
                 "spec.nfs.server: Required value\n"
                 "spec.nfs.path: Invalid value: \"x\": must be an absolute path\n"
                 "spec.csi: Forbidden: may not specify more than 1 volume type"},
                {&pv_hooks, PV("\"csi\":{\"driver\":\"A.b\",\"nodePublishSecretRef\":{\"name\":\"B\"}}"),
                 "spec.csi.volumeHandle: Required value\n"
                 "spec.csi.nodePublishSecretRef.name: Invalid value: \"B\": " LOWER "\n"
                 "spec.csi.nodePublishSecretRef.namespace: Required value"},
                {&pv_hooks, PV("\"local\":{\"path\":\"\"}"),
                 "spec.local.path: Required value\nspec.nodeAffinity: Required value: Local volume requires node affinity"},
                {&pv_hooks,
                 PV("\"iscsi\":{\"targetPortal\":\"a\",\"iqn\":\"iqn.2001-04.com.example:storage\",\"lun\":300,\"chapAuthSession\":true}"),
                 "spec.iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive\nspec.iscsi.secretRef: Required value"},
                {&pv_hooks, PV("\"iscsi\":{\"targetPortal\":\"a\",\"iqn\":\"iqn.2001\"}"),
                 "spec.iscsi.iqn: Invalid value: \"iqn.2001\": must be valid format"},
                {&pv_hooks, PV("\"fc\":{\"targetWWNs\":[\"a\"],\"wwids\":[\"b\"],\"lun\":1}"),
                 "spec.fc.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously"},
                {&pv_hooks, PV("\"flexVolume\":{\"driver\":\"a\",\"options\":{\"x.K8s.io/a\":\"b\",\"a/k8s.io\":\"c\"}}"),
                 "spec.flexVolume.options[x.K8s.io/a]: Invalid value: \"x.K8s.io/a\": kubernetes.io and k8s.io namespaces are reserved"},
                {&pv_hooks, PV("\"gcePersistentDisk\":{\"partition\":300}"),
                 "spec.persistentDisk.pdName: Required value\nspec.persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive"},
                {&pv_hooks, PV("\"quobyte\":{\"registry\":\"a:1,[::1]:2,b\",\"volume\":\"v\"}"),
                 "spec.quobyte.registry: Invalid value: \"a:1,[::1]:2,b\": must be a host:port pair or multiple pairs separated by commas"},
                {&pv_hooks, PV("\"nfs\":{\"server\":\"s\",\"path\":\"/\"},\"volumeAttributesClassName\":\"\",\"nodeAffinity\":{}"),
                 "spec.nodeAffinity.required: Required value: must specify required node constraints\n"
                 "spec.volumeAttributesClassName: Required value: an empty string is disallowed\n"
                 "spec.csi: Required value: has to be specified when using volumeAttributesClassName"},
                {&pv_hooks,
                 "{\"spec\":{\"accessModes\":[\"ReadWriteOncePod\",\"x\",\"ReadOnlyMany\"],\"capacity\":{\"cpu\":\"-1\"},\"nfs\":{\"server\":\"s\",\"path\":\"/\"}}}",
                 "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\n"
                 "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes\n"
                 "spec.capacity: Unsupported value: {\"cpu\":\"-1\"}: supported values: \"storage\"\n"
                 "spec.capacity[cpu]: Invalid value: -1: must be a valid resource quantity\n"
                 "spec.capacity[cpu]: Invalid value: \"-1\": must be greater than zero"},
        };
        check(examples, ARRAY_LEN(examples));
}

static void claims_and_classes_are_checked(void **state) {
        static const struct example examples[] = {
                {&pvc_hooks,
                 "{\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1\"}},\"storageClassName\":\"\"}}",
                 ""},
                {&pvc_hooks, "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"0\"}},\"storageClassName\":\"A\",\"volumeMode\":\"\"}}",
                 "spec.accessModes: Required value: at least 1 access mode is required\n"
                 "spec.resources[storage]: Invalid value: \"0\": must be greater than zero\n"
                 "spec.storageClassName: Invalid value: \"A\": " LOWER "\n"
                 "spec.volumeMode: Unsupported value: \"\": supported values: \"Block\", \"Filesystem\""},
                {&pvc_hooks,
                 "{\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"dataSource\":{\"kind\":\"PersistentVolumeClaim\",\"name\":\"a\"},"
                 "\"dataSourceRef\":{\"kind\":\"Pod\",\"name\":\"a\"}}}",
                 "spec.resources[storage]: Required value\n"
                 "spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup\n"
                 "spec: Invalid value: {}: must match dataSourceRef"},
                {&storageclass_hooks, "{\"provisioner\":\"A.b/C\",\"reclaimPolicy\":\"\",\"volumeBindingMode\":\"Immediate\"}", ""},
                {&storageclass_hooks,
                 "{\"parameters\":{\"\":\"x\"},\"reclaimPolicy\":\"Recycle\",\"volumeBindingMode\":\"\",\"allowedTopologies\":["
                 "{\"matchLabelExpressions\":[{\"key\":\"k\",\"values\":[\"a\",\"b\",\"a\"]},{\"key\":\"k\"}]},"
                 "{\"matchLabelExpressions\":[{\"key\":\"l\",\"values\":[\"a\",\"b\"]}]},{\"matchLabelExpressions\":[{\"key\":\"l\",\"values\":[\"b\",\"a\"]}]}]}",
                 "provisioner: Required value\n"
                 "parameters: Invalid value: \"\": field can not be empty.\n"
                 "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"\n"
                 "volumeBindingMode: Unsupported value: \"\": supported values: \"Immediate\", \"WaitForFirstConsumer\"\n"
                 "allowedTopologies[0].matchLabelExpressions[0].values[2]: Duplicate value: \"a\"\n"
                 "allowedTopologies[0].matchLabelExpressions[1].values: Required value\n"
                 "allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: \"k\"\n"
                 "allowedTopologies[2].matchLabelExpressions: Duplicate value: \"\""},
                {&priorityclass_hooks,
                 "{\"metadata\":{\"name\":\"system-node-critical\"},\"value\":2000001000,\"preemptionPolicy\":\"Never\"}", ""},
                {&priorityclass_hooks, "{\"metadata\":{\"name\":\"system-x\"},\"preemptionPolicy\":\"x\"}",
                 "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known "
                 "system priority class\npreemptionPolicy: Unsupported value: \"x\": supported values: \"PreemptLowerPriority\", \"Never\""},
        };
        check(examples, ARRAY_LEN(examples));
}

#define INGRESS(SPEC) "{\"spec\":{" SPEC "}}"
#define PATHS(LIST) INGRESS("\"rules\":[{\"http\":{\"paths\":[" LIST "]}}]")

static void ingresses_lead_somewhere(void **state) {
        static const struct example examples[] = {
                {&ingress_hooks, INGRESS("\"ingressClassName\":\"x\""),
                 "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"},
                {&ingress_hooks, INGRESS("\"defaultBackend\":{\"service\":{\"name\":\"s\",\"port\":{\"number\":80}}}"), ""},
                {&ingress_hooks, INGRESS("\"defaultBackend\":{}"),
                 "spec.defaultBackend: Invalid value: \"\": resource or service backend is required"},
                {&ingress_hooks, INGRESS("\"defaultBackend\":{\"resource\":{\"kind\":\"a/b\"}}"),
                 "spec.defaultBackend.resource.kind: Invalid value: \"a/b\": may not contain '/'\nspec.defaultBackend.resource.name: Required value"},
                {&ingress_hooks, INGRESS("\"rules\":[{\"host\":\"1.2.3.4\"},{\"host\":\"*.a\"},{\"http\":{}}]"),
                 "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address\nspec.rules[2].http.paths: Required value"},
                {&ingress_hooks, INGRESS("\"rules\":[{}],\"tls\":[{\"hosts\":[\"a.b\",\"*.b\"],\"secretName\":\"A\"}]"),
                 "spec.tls[0].secretName: Invalid value: \"A\": " LOWER},
                {&ingress_hooks, PATHS("{\"path\":\"x/./%2f//.\",\"pathType\":\"Prefix\"}"),
                 "spec.rules[0].http.paths[0].path: Invalid value: \"x/./%2f//.\": must be an absolute path\n"
                 "spec.rules[0].http.paths[0].path: Invalid value: \"x/./%2f//.\": must not contain '//'\n"
                 "spec.rules[0].http.paths[0].path: Invalid value: \"x/./%2f//.\": must not contain '/./'\n"
                 "spec.rules[0].http.paths[0].path: Invalid value: \"x/./%2f//.\": must not contain '%2f'\n"
                 "spec.rules[0].http.paths[0].path: Invalid value: \"x/./%2f//.\": cannot end with '/.'\n"
                 "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend is required"},
                {&ingress_hooks,
                 PATHS("{\"pathType\":\"ImplementationSpecific\",\"backend\":{\"service\":{\"name\":\"s\",\"port\":{\"name\":\"a\",\"number\":1}}}},{}"),
                 "spec.rules[0].http.paths[0].backend: Invalid value: \"\": cannot set both port name & port number\n"
                 "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified"},
        };
        check(examples, ARRAY_LEN(examples));
}

#define BLOCK(CIDR, EXCEPT) "{\"spec\":{\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"" CIDR "\",\"except\":[\"" EXCEPT "\"]}}]}]}}"
#define PORT(MEMBERS) "{\"spec\":{\"egress\":[{\"ports\":[{" MEMBERS "}]}]}}"
#define NOT_WITHIN(EXCEPT) "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"" EXCEPT "\": must be a strict subset of `cidr`"

static void policies_name_peers_and_ports(void **state) {
        static const struct example examples[] = {
                {&networkpolicy_hooks, BLOCK("10.0.0.0/8", "10.1.2.3/16"), ""},
                {&networkpolicy_hooks, BLOCK("010.0.0.0/8", "10.1.0.0/016"), ""},
                {&networkpolicy_hooks, BLOCK("0.0.0.0/0", "255.255.255.255/32"), ""},
                {&networkpolicy_hooks, BLOCK("10.0.0.0/8", "10.0.0.1/8"), NOT_WITHIN("10.0.0.1/8")},
                {&networkpolicy_hooks, BLOCK("10.0.0.0/8", "11.0.0.0/9"), NOT_WITHIN("11.0.0.0/9")},
                {&networkpolicy_hooks, BLOCK("10.0.0.0/8", "2001:db8::/64"), NOT_WITHIN("2001:db8::/64")},
                {&networkpolicy_hooks, BLOCK("2001:db8::/32", "2001:db8:1::/48"), ""},
                {&networkpolicy_hooks, BLOCK("10.0.0.0/33", "x"),
                 "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"},
                {&networkpolicy_hooks, "{\"spec\":{\"egress\":[{\"to\":[{},{\"podSelector\":{},\"ipBlock\":{}}]}]}}",
                 "spec.egress[0].to[0]: Required value: must specify a peer\n"
                 "spec.egress[0].to[1].ipBlock.cidr: Required value\n"
                 "spec.egress[0].to[1]: Forbidden: may not specify both ipBlock and another peer"},
                {&networkpolicy_hooks, PORT("\"protocol\":\"TCP\",\"port\":80,\"endPort\":80"), ""},
                {&networkpolicy_hooks, PORT("\"protocol\":\"\",\"port\":80,\"endPort\":79"),
                 "spec.egress[0].ports[0].protocol: Unsupported value: \"\": supported values: \"TCP\", \"UDP\", \"SCTP\"\n"
                 "spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"},
                {&networkpolicy_hooks, PORT("\"endPort\":79"),
                 "spec.egress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is not specified"},
                {&networkpolicy_hooks, PORT("\"port\":\"1\",\"endPort\":79"),
                 "spec.egress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric\n"
                 "spec.egress[0].ports[0].port: Invalid value: \"1\": must contain at least one letter (a-z)"},
                {&networkpolicy_hooks, "{\"spec\":{\"policyTypes\":[\"Ingress\",\"x\"]}}",
                 "spec.policyTypes[1]: Unsupported value: \"x\": supported values: \"Ingress\", \"Egress\""},
        };
        check(examples, ARRAY_LEN(examples));
}

#define HPA(SPEC)                                                                                                                          \
        "{\"spec\":{\"maxReplicas\":2,\"scaleTargetRef\":{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"d\"}," SPEC "}}"
#define METRIC(MEMBERS) HPA("\"metrics\":[{" MEMBERS "}]")

static void autoscalers_are_checked(void **state) {
        static const struct example examples[] = {
                {&hpa_hooks, "{\"spec\":{\"minReplicas\":0,\"scaleTargetRef\":{\"apiVersion\":\"a/b/c\",\"kind\":\"%\"}}}",
                 "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1\n"
                 "spec.maxReplicas: Invalid value: 0: must be greater than 0\n"
                 "spec.scaleTargetRef.kind: Invalid value: \"%\": may not contain '%'\n"
                 "spec.scaleTargetRef.name: Required value\n"
                 "spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c\n"
                 "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"},
                {&hpa_hooks, "{\"spec\":{\"maxReplicas\":1,\"scaleTargetRef\":{\"kind\":\"ReplicationController\",\"name\":\"r\"}}}", ""},
                {&hpa_hooks, METRIC("\"type\":\"Object\""),
                 "spec.metrics[0].object: Required value: must populate information for the given metric source"},
                {&hpa_hooks,
                 METRIC("\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":0,\"averageValue\":\"0\"}}"),
                 "spec.metrics[0].resource.target.averageValue: Invalid value: \"0\": must be positive\n"
                 "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0\n"
                 "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization"},
                {&hpa_hooks,
                 METRIC("\"type\":\"ContainerResource\",\"containerResource\":{\"name\":\"pods\",\"target\":{\"type\":\"Value\",\"averageValue\":\"1\"}},\"pods\":{\"metric\":{"
                        "\"name\":\"x\"},\"target\":{\"type\":\"x\",\"averageValue\":\"1\"}}"),
                 "spec.metrics[0].pods.target.type: Invalid value: \"x\": must be either Utilization, Value, or AverageValue\n"
                 "spec.metrics[0].pods: Forbidden: must populate the given metric source only"},
                {&hpa_hooks,
                 METRIC("\"type\":\"ContainerResource\",\"containerResource\":{\"name\":\"pods\",\"container\":\"c\",\"target\":{\"type\":\"Value\",\"averageValue\":\"1\"}}"),
                 "spec.metrics[0].containerResource.name: Invalid value: \"pods\": must be a standard resource for containers"},
                {&hpa_hooks,
                 HPA("\"behavior\":{\"scaleUp\":{\"stabilizationWindowSeconds\":3601,\"selectPolicy\":\"x\",\"policies\":[{\"type\":\"x\",\"periodSeconds\":1801}]}}"),
                 "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600\n"
                 "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"x\": supported values: \"Disabled\", \"Max\", \"Min\"\n"
                 "spec.behavior.scaleUp.policies[0].type: Unsupported value: \"x\": supported values: \"Percent\", \"Pods\"\n"
                 "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero\n"
                 "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"},
        };
        check(examples, ARRAY_LEN(examples));
}

static void node_selectors_compare_labels_and_names(void **state) {
        static const struct {
                const char *selector, *wrong;
        } cases[] = {
                {"{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"Gt\",\"values\":[\"1\"]}]}]}", ""},
                {"{}", "s.nodeSelectorTerms: Required value: must have at least one node selector term"},
                {"{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"Lt\"},{\"key\":\"k\",\"operator\":\"In\"},"
                 "{\"key\":\"k\",\"operator\":\"Exists\",\"values\":[\"\"]},{\"key\":\"k\",\"operator\":\"x\"}]}]}",
                 "s.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'\n"
                 "s.nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified when `operator` is 'In' or 'NotIn'\n"
                 "s.nodeSelectorTerms[0].matchExpressions[2].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'\n"
                 "s.nodeSelectorTerms[0].matchExpressions[3].operator: Invalid value: \"x\": not a valid selector operator"},
                {"{\"nodeSelectorTerms\":[{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"A\"]},{\"key\":\"x\",\"operator\":\"NotIn\"}]}]}",
                 "s.nodeSelectorTerms[0].matchFields[0].values[0]: Invalid value: \"A\": " LOWER "\n"
                 "s.nodeSelectorTerms[0].matchFields[1].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector\n"
                 "s.nodeSelectorTerms[0].matchFields[1].key: Invalid value: \"x\": not a valid field selector key"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *doc = parse(cases[i].selector);
                AUTO(invalid) struct invalid bad = {0};
                node_selector_validate(yyjson_doc_get_root(doc), "s", &bad);
                AUTO(free) char *is = lines(&bad);
                assert_string_equal(is, cases[i].wrong);
        }
}

static void data_sources_say_the_same(void **state) {
        static const struct {
                const char *spec, *normal;
        } cases[] = {
                {"{\"dataSource\":{\"kind\":\"PersistentVolumeClaim\",\"name\":\"a\"}}",
                 "{\"dataSource\":{\"kind\":\"PersistentVolumeClaim\",\"name\":\"a\"},\"dataSourceRef\":{\"kind\":\"PersistentVolumeClaim\",\"name\":\"a\"}}"},
                {"{\"dataSourceRef\":{\"apiGroup\":\"a.b\",\"kind\":\"X\",\"name\":\"a\"}}",
                 "{\"dataSourceRef\":{\"apiGroup\":\"a.b\",\"kind\":\"X\",\"name\":\"a\"},\"dataSource\":{\"apiGroup\":\"a.b\",\"kind\":\"X\",\"name\":\"a\"}}"},
                {"{\"dataSource\":{\"kind\":\"Pod\",\"name\":\"a\"}}", "{}"},
                {"{\"dataSourceRef\":{\"kind\":\"PersistentVolumeClaim\",\"name\":\"a\",\"namespace\":\"b\"}}", "{}"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *doc = parse(cases[i].spec);
                AUTO(mjson) yyjson_mut_doc *spec = json_thaw(yyjson_doc_get_root(doc));
                claim_spec_normalize(spec, yyjson_mut_doc_get_root(spec), NULL);
                AUTO(free) char *is = mjson_write(yyjson_mut_doc_get_root(spec), false, NULL);
                assert_string_equal(is, cases[i].normal);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(volumes_have_one_complete_source), cmocka_unit_test(claims_and_classes_are_checked),
                cmocka_unit_test(ingresses_lead_somewhere),         cmocka_unit_test(policies_name_peers_and_ports),
                cmocka_unit_test(autoscalers_are_checked),          cmocka_unit_test(node_selectors_compare_labels_and_names),
                cmocka_unit_test(data_sources_say_the_same),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
