#include "base/fs.h"
#include "kobj/jsonpath.h"
#include "kobj/table.h"
#include "unit/test_json.h"

#define NOW 1767323045000 /* 2026-01-02T03:04:05Z */
#define CREATED "\"creationTimestamp\":\"2026-01-02T03:03:05Z\""

/* The cells of one row as JSON. */
static char *cells(const struct table_kind *kind, const char *object) {
        AUTO(json) yyjson_doc *o = parse(object);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *table = table_new(doc, kind, true, NULL, NULL, 0);
        table_add_row(doc, table, kind, yyjson_doc_get_root(o), TABLE_METADATA, NOW);
        size_t columns = yyjson_mut_arr_size(mjson_at(table, "/columnDefinitions"));
        yyjson_mut_val *row = mjson_at(table, "/rows/0/cells");
        if (yyjson_mut_arr_size(row) != columns)
                fail_msg("%s: %zu cells for %zu columns", object, yyjson_mut_arr_size(row), columns);
        return mjson_write(row, false, NULL);
}

#define POD(spec, status) "{\"metadata\":{\"name\":\"p\"," CREATED "},\"spec\":{" spec "},\"status\":{" status "}}"
#define GONE_POD(spec, status)                                                                                                             \
        "{\"metadata\":{\"name\":\"p\",\"deletionTimestamp\":\"x\"," CREATED "},\"spec\":{" spec "},\"status\":{" status "}}"
#define ONE "\"containers\":[{\"name\":\"c\"}]"
#define TAIL "\"60s\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]"
#define META "\"metadata\":{\"name\":\"x\"," CREATED "}"

static const struct {
        const char *group, *kind, *object, *cells;
} cases[] = {
        {"", "Pod", POD(ONE, "\"phase\":\"Pending\""), "[\"p\",\"0/1\",\"Pending\",\"0\"," TAIL},
        {"", "Pod",
         POD(ONE,
             "\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}}}]"),
         "[\"p\",\"0/1\",\"ContainerCreating\",\"0\"," TAIL},
        {"", "Pod",
         POD(ONE ",\"nodeName\":\"n\"",
             "\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}],\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,"
             "\"restartCount\":2,\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{\"finishedAt\":"
             "\"2026-01-02T03:03:35Z\"}}}]"),
         "[\"p\",\"1/1\",\"Running\",\"2 (30s ago)\",\"60s\",\"10.0.0.1\",\"n\",\"<none>\",\"<none>\"]"},
        {"", "Pod",
         POD(ONE,
             "\"phase\":\"Succeeded\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}}]"),
         "[\"p\",\"0/1\",\"Completed\",\"0\"," TAIL},
        {"", "Pod",
         POD(ONE,
             "\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\"}}}]"),
         "[\"p\",\"0/1\",\"OOMKilled\",\"0\"," TAIL},
        {"", "Pod", POD(ONE, "\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{\"exitCode\":3}}}]"),
         "[\"p\",\"0/1\",\"ExitCode:3\",\"0\"," TAIL},
        {"", "Pod", POD(ONE, "\"phase\":\"Failed\",\"reason\":\"Evicted\""), "[\"p\",\"0/1\",\"Evicted\",\"0\"," TAIL},
        {"", "Pod",
         POD(ONE ",\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}]",
             "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":0}}},"
             "{\"name\":\"j\",\"state\":{\"running\":{}}}]"),
         "[\"p\",\"0/1\",\"Init:1/2\",\"0\"," TAIL},
        {"", "Pod",
         POD(ONE ",\"initContainers\":[{\"name\":\"i\"}]",
             "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":4,\"state\":{\"terminated\":{\"exitCode\":1,\"reason\":"
             "\"Error\"}}}]"),
         "[\"p\",\"0/1\",\"Init:Error\",\"4\"," TAIL},
        {"", "Pod",
         POD(ONE ",\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"}]",
             "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Initialized\",\"status\":\"True\"}],\"initContainerStatuses\":[{\"name\":\"s\",\"started\":"
             "true,\"ready\":true,\"state\":{\"running\":{}}}],\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"state\":{\"running\":{}}}]"),
         "[\"p\",\"2/2\",\"Running\",\"0\"," TAIL},
        {"", "Pod", GONE_POD(ONE, "\"phase\":\"Running\""), "[\"p\",\"0/1\",\"Terminating\",\"0\"," TAIL},
        {"", "Pod", GONE_POD(ONE, "\"phase\":\"Failed\""), "[\"p\",\"0/1\",\"Failed\",\"0\"," TAIL},
        {"", "ConfigMap", "{" META ",\"data\":{\"a\":\"1\"},\"binaryData\":{\"b\":\"MQ==\"}}", "[\"x\",2,\"60s\"]"},
        {"", "Secret", "{" META ",\"type\":\"Opaque\",\"data\":{\"a\":\"MQ==\"}}", "[\"x\",\"Opaque\",1,\"60s\"]"},
        {"", "Service",
         "{" META
         ",\"spec\":{\"type\":\"ClusterIP\",\"clusterIPs\":[\"None\"],\"ports\":[{\"port\":7078,\"protocol\":\"TCP\"},{\"port\":80,\"nodePort\":30080,"
         "\"protocol\":\"TCP\"}],\"selector\":{\"a\":\"b\"}}}",
         "[\"x\",\"ClusterIP\",\"None\",\"<none>\",\"7078/TCP,80:30080/TCP\",\"60s\",\"a=b\"]"},
        {"", "Service", "{" META ",\"spec\":{\"type\":\"LoadBalancer\",\"clusterIPs\":[\"10.1.1.1\"]},\"status\":{}}",
         "[\"x\",\"LoadBalancer\",\"10.1.1.1\",\"<pending>\",\"<none>\",\"60s\",\"<none>\"]"},
        {"", "Node",
         "{\"metadata\":{\"name\":\"n\"," CREATED
         ",\"labels\":{\"node-role.kubernetes.io/control-plane\":\"\"}},\"spec\":{\"unschedulable\":true},\"status\":{"
         "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}],\"nodeInfo\":{"
         "\"kubeletVersion\":\"v1.34.0\",\"osImage\":\"Debian\",\"kernelVersion\":\"6\",\"containerRuntimeVersion\":\"crun://1\"}}}",
         "[\"n\",\"Ready,SchedulingDisabled\",\"control-plane\",\"60s\",\"v1.34.0\",\"10.0.0.1\",\"<none>\",\"Debian\",\"6\",\"crun://1\"]"},
        {"", "Event",
         "{" META
         ",\"type\":\"Warning\",\"reason\":\"R\",\"message\":\" m \",\"count\":3,\"firstTimestamp\":\"2026-01-02T03:03:05Z\",\"lastTimestamp\":"
         "\"2026-01-02T03:04:00Z\",\"source\":{\"component\":\"kubelet\",\"host\":\"n\"},\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"Px\",\"fieldPath\":\"f\"}}",
         "[\"5s\",\"Warning\",\"R\",\"pod/Px\",\"f\",\"kubelet, n\",\"m\",\"60s\",3,\"x\"]"},
        {"", "Endpoints",
         "{" META ",\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"1.1.1.2\"}],\"ports\":[{\"port\":1},{\"port\":2}]}]}",
         "[\"x\",\"1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more...\",\"60s\"]"},
        {"", "Endpoints", "{" META "}", "[\"x\",\"<none>\",\"60s\"]"},
        {"discovery.k8s.io", "EndpointSlice",
         "{" META ",\"addressType\":\"IPv4\",\"ports\":[{\"port\":80}],\"endpoints\":[{\"addresses\":[\"1.1.1.1\"]}]}",
         "[\"x\",\"IPv4\",\"80\",\"1.1.1.1\",\"60s\"]"},
        {"", "PersistentVolumeClaim",
         "{" META
         ",\"spec\":{\"volumeName\":\"v\",\"storageClassName\":\"local\",\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Bound\",\"accessModes\":["
         "\"ReadWriteOnce\"],\"capacity\":{\"storage\":\"1Gi\"}}}",
         "[\"x\",\"Bound\",\"v\",\"1Gi\",\"RWO\",\"local\",\"<unset>\",\"60s\",\"Filesystem\"]"},
        {"", "PersistentVolume",
         "{" META
         ",\"spec\":{\"capacity\":{\"storage\":\"1Gi\"},\"accessModes\":[\"ReadWriteOnce\"],\"persistentVolumeReclaimPolicy\":\"Delete\",\"claimRef\":{"
         "\"namespace\":\"n\",\"name\":\"c\"},\"storageClassName\":\"local\",\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Bound\"}}",
         "[\"x\",\"1Gi\",\"RWO\",\"Delete\",\"Bound\",\"n/c\",\"local\",\"<unset>\",\"\",\"60s\",\"Filesystem\"]"},
        {"", "ResourceQuota",
         "{" META ",\"status\":{\"hard\":{\"pods\":\"3\",\"limits.cpu\":\"2\",\"cpu\":\"1\"},\"used\":{\"pods\":\"1\",\"cpu\":\"500m\"}}}",
         "[\"x\",\"cpu: 500m/1, pods: 1/3\",\"limits.cpu: 0/2\",\"60s\"]"},
        {"apps", "Deployment",
         "{" META
         ",\"spec\":{\"replicas\":2,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"},"
         "{\"name\":\"d\",\"image\":\"j\"}]}}},\"status\":{\"readyReplicas\":1,\"updatedReplicas\":2,\"availableReplicas\":1}}",
         "[\"x\",\"1/2\",2,1,\"60s\",\"c,d\",\"i,j\",\"a=b\"]"},
        {"batch", "Job",
         "{" META
         ",\"spec\":{\"completions\":1,\"parallelism\":1,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\","
         "\"image\":\"i\"}]}}},\"status\":{\"succeeded\":1,\"startTime\":\"2026-01-02T03:03:05Z\",\"completionTime\":\"2026-01-02T03:03:10Z\",\"conditions\":[{"
         "\"type\":\"Complete\",\"status\":\"True\"}]}}",
         "[\"x\",\"Complete\",\"1/1\",\"5s\",\"60s\",\"c\",\"i\",\"a=b\"]"},
        {"batch", "CronJob",
         "{" META ",\"spec\":{\"schedule\":\"* * * * *\",\"suspend\":false,\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{}}}}}}",
         "[\"x\",\"* * * * *\",\"<none>\",\"False\",0,\"<none>\",\"60s\",\"\",\"\",\"<none>\"]"},
        {"rbac.authorization.k8s.io", "RoleBinding",
         "{" META
         ",\"roleRef\":{\"kind\":\"Role\",\"name\":\"r\"},\"subjects\":[{\"kind\":\"ServiceAccount\",\"namespace\":\"n\",\"name\":\"s\"},{\"kind\":\"User\","
         "\"name\":\"u\"}]}",
         "[\"x\",\"Role/r\",\"60s\",\"u\",\"\",\"n/s\"]"},
        {"rbac.authorization.k8s.io", "Role", "{" META "}", "[\"x\",\"2026-01-02T03:03:05Z\"]"},
        {"autoscaling", "HorizontalPodAutoscaler",
         "{" META
         ",\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},\"minReplicas\":1,\"maxReplicas\":3,\"metrics\":[{\"type\":\"Resource\","
         "\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":80}}}]}}",
         "[\"x\",\"Deployment/d\",\"cpu: <unknown>/80%\",\"1\",3,0,\"60s\"]"},
        {"networking.k8s.io", "Ingress", "{" META ",\"spec\":{\"rules\":[{\"host\":\"h\"}],\"tls\":[{}]}}",
         "[\"x\",\"<none>\",\"h\",\"\",\"80, 443\",\"60s\"]"},
        {"storage.k8s.io", "StorageClass",
         "{\"metadata\":{\"name\":\"s\"," CREATED
         ",\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":\"p\"}",
         "[\"s (default)\",\"p\",\"Delete\",\"Immediate\",false,\"60s\"]"},
        {"scheduling.k8s.io", "PriorityClass", "{" META ",\"value\":1000,\"preemptionPolicy\":\"Never\"}",
         "[\"x\",1000,false,\"60s\",\"Never\"]"},
        {"policy", "PodDisruptionBudget", "{" META ",\"spec\":{\"minAvailable\":\"50%\"},\"status\":{\"disruptionsAllowed\":1}}",
         "[\"x\",\"50%\",\"N/A\",1,\"60s\"]"},
        {"coordination.k8s.io", "Lease", "{" META ",\"spec\":{\"holderIdentity\":\"h\"}}", "[\"x\",\"h\",\"60s\"]"},
};

static void rows_show_what_kubectl_users_know(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *got = cells(table_kind_find(cases[i].group, cases[i].kind), cases[i].object);
                if (!streq(got, cases[i].cells))
                        fail_msg("%s\n  gives %s\n  not   %s", cases[i].object, got, cases[i].cells);
        }
}

static const char crd_version[] = "{\"additionalPrinterColumns\":[{\"name\":\"N\",\"type\":\"integer\",\"jsonPath\":\".spec.n\"}]}";

/* Column definitions are equal to those that a real 1.34 API server answered. */
static void columns_are_those_of_the_real_server(void **state) {
        (void)state;
        AUTO(str) struct str text = STR_INIT(0);
        assert_int_equal(fs_read(TEST_DATA "/golden/kubernetes/table-columns-1.34.json", 0, &text, NULL), 0);
        AUTO(json) yyjson_doc *real = parse(str_cstr(&text));
        AUTO(json) yyjson_doc *version = parse(crd_version);
        AUTO(table_kind) struct table_kind *crd = table_kind_from_crd(yyjson_doc_get_root(version));
        const struct {
                const char *id;
                const struct table_kind *kind;
        } tables[] = {{"pod-table", table_kind_find("", "Pod")}, {"cm-table", table_kind_find("", "ConfigMap")}, {"cr-table", crd}};
        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
                AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *table = table_new(doc, tables[i].kind, true, "7", NULL, 0);
                AUTO(json) yyjson_doc *frozen = mjson_freeze(mjson_at(table, "/columnDefinitions"));
                yyjson_val *want = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(real), tables[i].id), "columnDefinitions");
                if (!json_equal(yyjson_doc_get_root(frozen), want))
                        fail_msg("the columns of %s differ", tables[i].id);
        }
}

static void custom_resources_show_their_printer_columns(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *version =
                parse("{\"additionalPrinterColumns\":[{\"name\":\"S\",\"type\":\"string\",\"jsonPath\":\".status.applicationState.state\"},"
                      "{\"name\":\"N\",\"type\":\"string\",\"jsonPath\":\".spec.n\"},{\"name\":\"R\",\"type\":\"string\",\"jsonPath\":"
                      "\".status.conditions[?(@.type==\\\"Ready\\\")].status\"},{\"name\":\"Age\",\"type\":\"date\",\"jsonPath\":"
                      "\".metadata.creationTimestamp\"},{\"name\":\"M\",\"type\":\"integer\",\"jsonPath\":\".spec.missing\"}]}");
        AUTO(table_kind) struct table_kind *kind = table_kind_from_crd(yyjson_doc_get_root(version));
        AUTO(free) char *got = cells(
                kind,
                "{" META
                ",\"spec\":{\"n\":3},\"status\":{\"applicationState\":{\"state\":\"RUNNING\"},\"conditions\":[{\"type\":\"A\",\"status\":"
                "\"False\"},{\"type\":\"Ready\",\"status\":\"True\"}]}}");
        assert_string_equal(got, "[\"x\",\"RUNNING\",\"3\",\"True\",\"60s\",null]");
        AUTO(json) yyjson_doc *none = parse("{}");
        AUTO(table_kind) struct table_kind *plain = table_kind_from_crd(yyjson_doc_get_root(none));
        AUTO(free) char *age = cells(plain, "{" META "}");
        assert_string_equal(age, "[\"x\",\"60s\"]");
}

static void finished_pods_carry_a_completed_condition(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *pod = parse(POD(ONE, "\"phase\":\"Succeeded\""));
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        const struct table_kind *kind = table_kind_find("", "Pod");
        yyjson_mut_val *table = table_new(doc, kind, false, "7", "next", 3);
        table_add_row(doc, table, kind, yyjson_doc_get_root(pod), TABLE_NONE, NOW);
        AUTO(free) char *text = mjson_write(table, false, NULL);
        assert_string_equal(
                text,
                "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"next\","
                "\"remainingItemCount\":3},\"columnDefinitions\":null,\"rows\":[{\"cells\":[\"p\",\"0/1\",\"Succeeded\",\"0\"," TAIL
                ",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"Succeeded\",\"message\":\"The pod has completed "
                "successfully.\"}],\"object\":null}]}");
}

static void json_paths_select_the_first_value(void **state) {
        (void)state;
        AUTO(json) yyjson_doc *doc = parse("{\"a\":{\"b.c\":1,\"d\":[{\"n\":\"x\",\"v\":2},{\"n\":\"y\",\"v\":3}]},\"e\":null}");
        static const struct {
                const char *path, *want;
        } paths[] = {
                {".a['b.c']", "1"},         {".a.b\\.c", "1"},          {".a.d[0].v", "2"},      {".a.d[-1].v", "3"},
                {".a.d[*].n", "\"x\""},     {".a.d[?(@.n=='y')].v", "3"}, {".a.d[?(@.v>2)].n", "\"y\""}, {".a.d[?(@.q)].n", NULL},
                {".a.d[5]", NULL},          {".e", "null"},             {"..v", "2"},            {".a.x.y", NULL},
                {"a", NULL},                {".a[", NULL},              {".a.d[?(@.n!='x')].v", "3"}, {"$.a.d[1].n", "\"y\""},
        };
        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
                yyjson_val *v = jsonpath_first(yyjson_doc_get_root(doc), paths[i].path);
                AUTO(free) char *got = v ? json_write(v, false, NULL) : NULL;
                if (!streq_null(got, paths[i].want))
                        fail_msg("%s gives %s", paths[i].path, got ? got : "nothing");
        }
        assert_true(jsonpath_is_valid(".a['b.c'][0]"));
        assert_false(jsonpath_is_valid(".a["));
        assert_false(jsonpath_is_valid("a.b"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_show_what_kubectl_users_know),         cmocka_unit_test(columns_are_those_of_the_real_server),
                cmocka_unit_test(custom_resources_show_their_printer_columns), cmocka_unit_test(finished_pods_carry_a_completed_condition),
                cmocka_unit_test(json_paths_select_the_first_value),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
