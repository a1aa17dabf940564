/* What may change of objects: pods, jobs, and what is written to /status. */
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/pod_changes.h"
#include "cluster/kinds/status_rules.h"
#include "unit/test_json.h"

/* An object before and after, and what is said about it. */
struct change {
        const char *old, *now, *wrong;
};

static void says(const struct invalid *bad, const struct change *c) {
        AUTO(free) char *said = lines(bad);
        if (!str_starts(said, c->wrong) || (!*c->wrong && *said))
                fail_msg("%s -> %s\nsaid:     %s\nexpected: %s", c->old, c->now, said, c->wrong);
}

static void check_all(const struct change *changes, size_t count, void (*check)(yyjson_val *now, yyjson_val *old, struct invalid *bad)) {
        for (size_t i = 0; i < count; i++) {
                AUTO(json) yyjson_doc *old = parse(changes[i].old), *now = parse(changes[i].now);
                AUTO(invalid) struct invalid bad = {0};
                check(yyjson_doc_get_root(now), yyjson_doc_get_root(old), &bad);
                says(&bad, &changes[i]);
        }
}

#define CONTAINER "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"
#define TERM(values) "\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[" values "]}]}}}"
#define IN_A "{\"key\":\"k\",\"operator\":\"In\",\"values\":[\"a\"]}"
#define GATED "\"schedulingGates\":[{\"name\":\"a.b/c\"}]"

static void pods_change_in_few_places(void **state) {
        static const struct change changes[] = {
                {"{" CONTAINER "}", "{" CONTAINER "}", ""},
                {"{" CONTAINER "}", "{\"containers\":[{\"name\":\"c\",\"image\":\"other\"}]}", ""},
                {"{" CONTAINER "}", "{\"containers\":[{\"name\":\"c\",\"image\":\" i\"}]}",
                 "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace"},
                {"{" CONTAINER "}", "{\"containers\":[{\"name\":\"c\"}]}", "spec.containers[0].image: Required value"},
                {"{" CONTAINER "}", "{\"containers\":[]}", "spec.containers: Forbidden: pod updates may not add or remove containers"},
                {"{" CONTAINER "}", "{\"initContainers\":[{\"name\":\"x\",\"image\":\"i\"}]," CONTAINER "}",
                 "spec.initContainers: Forbidden: pod updates may not add or remove containers"},
                {"{" CONTAINER "}", "{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"tty\":true}]}", "spec: Forbidden: pod updates may not change fields other than"},
                {"{" CONTAINER "}", "{\"activeDeadlineSeconds\":5," CONTAINER "}", ""},
                {"{\"activeDeadlineSeconds\":5," CONTAINER "}", "{\"activeDeadlineSeconds\":4," CONTAINER "}", ""},
                {"{\"activeDeadlineSeconds\":5," CONTAINER "}", "{\"activeDeadlineSeconds\":6," CONTAINER "}",
                 "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"},
                {"{\"activeDeadlineSeconds\":5," CONTAINER "}", "{" CONTAINER "}",
                 "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"},
                {"{\"tolerations\":[{\"key\":\"a\",\"tolerationSeconds\":1,\"effect\":\"NoExecute\"}]," CONTAINER "}",
                 "{\"tolerations\":[{\"key\":\"a\",\"tolerationSeconds\":2,\"effect\":\"NoExecute\"},{\"key\":\"b\"}]," CONTAINER "}", ""},
                {"{\"tolerations\":[{\"key\":\"a\"}]," CONTAINER "}", "{" CONTAINER "}",
                 "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"},
                {"{\"terminationGracePeriodSeconds\":-1," CONTAINER "}", "{\"terminationGracePeriodSeconds\":1," CONTAINER "}", ""},
        };
        (void)state;
        check_all(changes, ARRAY_LEN(changes), pod_check_changes);
}

#define EPHEMERAL(name, image) "{\"name\":\"" name "\",\"image\":\"" image "\"}"

static void ephemeral_containers_are_only_added(void **state) {
        static const struct change changes[] = {
                {"{}", "{\"ephemeralContainers\":[" EPHEMERAL("a", "i") "]}", ""},
                {"{\"ephemeralContainers\":[" EPHEMERAL("a", "i") "]}",
                 "{\"ephemeralContainers\":[" EPHEMERAL("b", "i") "," EPHEMERAL("a", "i") "]}", ""},
                {"{\"ephemeralContainers\":[" EPHEMERAL("a", "i") "]}", "{}",
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be removed\n"},
                {"{\"ephemeralContainers\":[" EPHEMERAL("a", "i") "]}", "{\"ephemeralContainers\":[" EPHEMERAL("a", "j") "]}",
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be changed\n"},
        };
        (void)state;
        check_all(changes, ARRAY_LEN(changes), pod_check_ephemeral);
}

static void gated_pods_may_be_narrowed(void **state) {
        static const struct change changes[] = {
                {"{" GATED "," CONTAINER "}", "{" CONTAINER "}", ""},
                {"{" GATED "," CONTAINER "}", "{\"schedulingGates\":[{\"name\":\"a.b/d\"}]," CONTAINER "}",
                 "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.b/d'"},
                {"{" CONTAINER "}", "{" GATED "," CONTAINER "}", "spec.schedulingGates[0].name: Forbidden: only deletion is allowed"},
                {"{" GATED ",\"nodeSelector\":{\"a\":\"b\"}," CONTAINER "}", "{" GATED ",\"nodeSelector\":{\"a\":\"b\",\"c\":\"d\"}," CONTAINER "}", ""},
                {"{" GATED ",\"nodeSelector\":{\"a\":\"b\"}," CONTAINER "}", "{" GATED ",\"nodeSelector\":{\"a\":\"x\"}," CONTAINER "}",
                 "spec.nodeSelector: Invalid value: {\"a\":\"x\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)"},
                {"{\"nodeSelector\":{\"a\":\"b\"}," CONTAINER "}", "{\"nodeSelector\":{\"a\":\"b\",\"c\":\"d\"}," CONTAINER "}", "spec: Forbidden"},
                {"{" GATED "," TERM(IN_A) "," CONTAINER "}", "{" GATED "," TERM(IN_A ",{\"key\":\"l\",\"operator\":\"Exists\"}") "," CONTAINER "}", ""},
                {"{" GATED "," TERM(IN_A) "," CONTAINER "}", "{" GATED "," TERM("{\"key\":\"l\",\"operator\":\"Exists\"}") "," CONTAINER "}",
                 "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid value: "
                 "{\"MatchExpressions\":[{\"Key\":\"l\",\"Operator\":\"Exists\",\"Values\":null}],\"MatchFields\":null}: only additions are allowed"},
                {"{" GATED "," CONTAINER "}", "{" GATED "," TERM(IN_A) "," CONTAINER "}", ""},
        };
        (void)state;
        check_all(changes, ARRAY_LEN(changes), pod_check_changes);
}

#define POD(status) "{\"spec\":{\"restartPolicy\":\"Never\"},\"status\":{\"qosClass\":\"Burstable\"" status "}}"
#define RUNS ",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"running\":{}}}]"
#define ENDED ",\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{\"exitCode\":0}}}]"

static void statuses_of_pods_are_checked(void **state) {
        static const struct change changes[] = {
                {POD(RUNS), POD(ENDED), ""},
                {POD(ENDED), POD(RUNS), "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"},
                {POD(""), "{\"status\":{\"qosClass\":\"BestEffort\"}}", "status.qosClass: Invalid value: \"BestEffort\": field is immutable"},
                {POD(""), POD(",\"podIPs\":[{\"ip\":\"1.2.3.4\"},{\"ip\":\"2001:db8::1\"}]"), ""},
                {POD(""), POD(",\"podIPs\":[{\"ip\":\"x\"}]"), "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address"},
                {POD(",\"podIPs\":[{\"ip\":\"x\"}]"), POD(",\"podIPs\":[{\"ip\":\"x\"}]"), ""},
                {POD(""), POD(",\"podIPs\":[{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.5\"}]"), "status.podIPs: Invalid value: [{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.5\"}]: may specify"},
                {POD(""), POD(",\"hostIPs\":[{\"ip\":\"1.2.3.4\"}]"), "status.hostIPs[0].ip: Invalid value: \"1.2.3.4\": must be equal to `hostIP`"},
                {POD(""), POD(",\"conditions\":[{\"type\":\"a b\"}]"), "status.conditions[0].Type: Invalid value: \"a b\": name part must consist of"},
                {POD(""), POD(",\"observedGeneration\":-1"), "status.observedGeneration: Invalid value: -1: must be a non-negative integer"},
        };
        (void)state;
        check_all(changes, ARRAY_LEN(changes), pod_check_status);
}

static void counts_in_statuses_add_up(void **state) {
        static const struct {
                const char *id;
                struct change change;
        } cases[] = {
                {"deployments.apps", {"{}", "{\"status\":{\"replicas\":2,\"readyReplicas\":2,\"availableReplicas\":1}}", ""}},
                {"deployments.apps", {"{}", "{\"status\":{\"replicas\":-1}}", "status.replicas: Invalid value: -1: must be greater than or equal to 0"}},
                {"deployments.apps", {"{}", "{\"status\":{\"readyReplicas\":1}}", "status.readyReplicas: Invalid value: 1: cannot be greater than status.replicas"}},
                {"statefulsets.apps",
                 {"{}", "{\"status\":{\"replicas\":2,\"availableReplicas\":1}}", "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas"}},
                {"daemonsets.apps", {"{\"status\":{\"collisionCount\":2}}", "{\"status\":{}}", "status.collisionCount: Invalid value: 0: cannot be decremented"}},
                {"poddisruptionbudgets.policy",
                 {"{}", "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"Maybe\",\"reason\":\"Too_\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}",
                  "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\""}},
                {"poddisruptionbudgets.policy",
                 {"{}", "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"True\",\"reason\":\"a b\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}",
                  "status.conditions[0].reason: Invalid value: \"a b\": a condition reason must start with alphabetic character"}},
                {"namespaces", {"{}", "{\"status\":{\"phase\":\"Gone\"}}", "status.Phase: Invalid value: \"Gone\": may only be 'Active'"}},
                {"services",
                 {"{}", "{\"spec\":{\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"1.2.3.4\"}]}}}",
                  "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"}},
                {"ingresses.networking.k8s.io",
                 {"{}", "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"hostname\":\"1.2.3.4\"}]}}}",
                  "status.loadBalancer.ingress[0].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"}},
                {"configmaps", {"{}", "{\"status\":{\"replicas\":-1}}", ""}},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *old = parse(cases[i].change.old), *now = parse(cases[i].change.now);
                AUTO(invalid) struct invalid bad = {0};
                status_rules_validate(cases[i].id, yyjson_doc_get_root(now), yyjson_doc_get_root(old), &bad);
                says(&bad, &cases[i].change);
        }
}

#define JOB(suspend, spec) "{\"spec\":{\"suspend\":" suspend ",\"manualSelector\":true,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"parallelism\":2," spec "}}"
#define TEMPLATE(spec) "\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{" spec "\"restartPolicy\":\"Never\"," CONTAINER "}}"

static void jobs_keep_what_they_run(void **state) {
        static const struct change changes[] = {
                {JOB("false", "\"completions\":2,\"completionMode\":\"NonIndexed\"," TEMPLATE("")), JOB("false", "\"completions\":3,\"completionMode\":\"NonIndexed\"," TEMPLATE("")),
                 "spec.completions: Invalid value: 3: field is immutable"},
                {JOB("false", "\"completions\":2,\"completionMode\":\"Indexed\"," TEMPLATE("")), JOB("false", "\"completions\":3,\"completionMode\":\"Indexed\"," TEMPLATE("")),
                 "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"},
                {JOB("true", TEMPLATE("")), JOB("true", TEMPLATE("\"nodeSelector\":{\"a\":\"b\"},")), ""},
                {JOB("false", TEMPLATE("")), JOB("false", TEMPLATE("\"nodeSelector\":{\"a\":\"b\"},")), "spec.template: Invalid value: "},
                {JOB("true", TEMPLATE("")), JOB("true", TEMPLATE("\"hostNetwork\":true,")), "spec.template: Invalid value: "},
                {JOB("true", TEMPLATE("")), JOB("true", "\"managedBy\":\"a.b/c\"," TEMPLATE("")), "spec.managedBy: Invalid value: \"a.b/c\": field is immutable"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
                AUTO(json) yyjson_doc *old = parse(changes[i].old), *now = parse(changes[i].now);
                AUTO(invalid) struct invalid bad = {0}, changed = {0};
                struct draft d = {0};
                job_hooks.validate_update(&d, yyjson_doc_get_root(now), yyjson_doc_get_root(old), &bad);
                vec_foreach(item, &bad) { /* the rest of the rules looks at fields that these examples leave out */
                        if (strstr(item->message, "immutable") || strstr(item->message, "tandem"))
                                invalid_add_text(&changed, item->field, item->type, item->message);
                }
                says(&changed, &changes[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pods_change_in_few_places), cmocka_unit_test(ephemeral_containers_are_only_added),
                cmocka_unit_test(gated_pods_may_be_narrowed), cmocka_unit_test(statuses_of_pods_are_checked),
                cmocka_unit_test(counts_in_statuses_add_up), cmocka_unit_test(jobs_keep_what_they_run),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
