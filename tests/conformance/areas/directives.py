"""Strategic merge directives, JSON patch operations, dry run of every verb, preconditions, deletion in its forms."""
from areas import *

CM, PODS, SVC, DEP, SA = CORE + "/configmaps", CORE + "/pods", CORE + "/services", APPS + "/deployments", CORE + "/serviceaccounts"
BASE = workload("Deployment", "dd", spec={"replicas": 0, "paused": True, "template": template({"app": "dd"}, {
    "volumes": [{"name": "v", "configMap": {"name": "x"}}, {"name": "w", "emptyDir": {}}], "tolerations": [{"key": "k", "operator": "Exists"}], "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
    "hostAliases": [{"ip": "1.1.1.1", "hostnames": ["h"]}]},
    env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 81}], args=["x", "y"], volumeMounts=[{"name": "v", "mountPath": "/v"}])})


def spec(**pod):
    return {"spec": {"template": {"spec": pod}}}


def strategic(id, body, path=DEP + "/dd", **more):
    return R(id, "PATCH", path + "?dryRun=All", body, STRATEGIC, **more)


def jp(id, *ops, path=CM + "/j"):
    return R(id, "PATCH", path + "?dryRun=All", list(ops), JSON_PATCH)


def op(op, path, **more):
    return {"op": op, "path": path, **more}


REQUESTS = [
    R("base", "POST", DEP, BASE),
    strategic("volume-retain-keys", spec(volumes=[{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]), wait=lambda o: o["status"].get("observedGeneration") == 1),
    strategic("volume-two-sources", spec(volumes=[{"name": "v", "emptyDir": {}}])),
    strategic("volume-delete", spec(volumes=[{"name": "w", "$patch": "delete"}])),
    strategic("volume-null-source", spec(volumes=[{"name": "v", "configMap": None, "emptyDir": {"medium": "Memory"}}])),
    strategic("volumes-replace-all", spec(volumes=[{"$patch": "replace"}, {"name": "v", "emptyDir": {}}])),
    strategic("volumes-null", spec(volumes=None, containers=[{"name": "c", "volumeMounts": None}])),
    strategic("container-delete-add", spec(containers=[{"name": "c", "$patch": "delete"}, {"name": "d", "image": "y"}])),
    strategic("container-replace", spec(containers=[{"name": "c", "image": "new", "$patch": "replace"}])),
    strategic("template-spec-replace", {"spec": {"template": {"spec": {"$patch": "replace", "containers": [{"name": "z", "image": "z"}]}}}}),
    strategic("template-spec-delete", {"spec": {"template": {"spec": {"$patch": "delete"}}}}),
    strategic("map-delete-directive", {"metadata": {"labels": {"$patch": "delete"}}, "spec": {"template": {"metadata": {"$patch": "merge", "annotations": {"x": "y"}}}}}),
    strategic("ports-merge-key", spec(containers=[{"name": "c", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 90}]}])),
    strategic("ports-delete", spec(containers=[{"name": "c", "ports": [{"containerPort": 81, "$patch": "delete"}]}])),
    strategic("args-atomic", spec(containers=[{"name": "c", "args": ["z"]}])),
    strategic("tolerations-atomic", spec(tolerations=[{"key": "other", "operator": "Exists"}])),
    strategic("pull-secrets-merge", spec(imagePullSecrets=[{"name": "c"}])),
    strategic("pull-secrets-order", spec(**{"$setElementOrder/imagePullSecrets": [{"name": "b"}, {"name": "a"}], "imagePullSecrets": [{"name": "c"}]})),
    strategic("host-aliases-merge", spec(hostAliases=[{"ip": "1.1.1.1", "hostnames": ["g"]}, {"ip": "2.2.2.2", "hostnames": ["i"]}])),
    strategic("env-order", spec(containers=[{"name": "c", "$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}], "env": [{"name": "C", "value": "3"}]}])),
    strategic("env-order-missing", spec(containers=[{"name": "c", "$setElementOrder/env": [{"name": "B"}], "env": [{"name": "C", "value": "3"}]}])),
    strategic("env-value-to-source", spec(containers=[{"name": "c", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}])),
    strategic("env-value-null", spec(containers=[{"name": "c", "env": [{"name": "A", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}])),
    strategic("retain-keys-unlisted", {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}}),
    strategic("retain-keys-not-list", {"spec": {"strategy": {"$retainKeys": "type", "type": "Recreate"}}}),
    strategic("type-mismatch-list", spec(containers={"name": "c"})),
    strategic("type-mismatch-map", {"spec": {"template": []}}),
    strategic("unknown-field", {"spec": {"bogus": 1}}),
    strategic("not-json", "nonsense"),
    strategic("delete-primitive-not-there", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["no.such/thing"]}}),
    strategic("finalizers-order", {"metadata": {"$setElementOrder/finalizers": ["b.c/d", "a.b/c"], "finalizers": ["a.b/c", "b.c/d"]}}),
    strategic("affinity", spec(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}})),
    strategic("resources", spec(containers=[{"name": "c", "resources": {"limits": {"cpu": "1"}}}])),
    R("sa", "POST", SA, {"metadata": {"name": "dsa"}, "secrets": [{"name": "one"}], "imagePullSecrets": [{"name": "p"}]}, silent=True),
    strategic("sa-secrets-merge", {"secrets": [{"name": "two"}], "imagePullSecrets": [{"name": "q"}]}, SA + "/dsa"),
    R("quota", "POST", CORE + "/resourcequotas", {"metadata": {"name": "dq"}, "spec": {"hard": {"count/foos.example.com": "1"}, "scopes": ["Terminating"]}}, silent=True),
    R("j", "POST", CM, configmap("j", {"a": "1", "b": "2"}, labels={"x": "1"}), silent=True),
    jp("test-fails", op("test", "/data/a", value="2")),
    jp("test-missing", op("test", "/data/zz", value="2")),
    jp("test-null-missing", op("test", "/data/zz", value=None)),
    jp("test-type", op("test", "/data/a", value=1)),
    jp("test-object", op("test", "/data", value={"b": "2", "a": "1"})),
    jp("test-then-replace", op("test", "/metadata/labels/x", value="1"), op("replace", "/data/a", value="9")),
    jp("remove-missing", op("remove", "/data/zz")),
    jp("remove-twice", op("remove", "/data/a"), op("remove", "/data/a")),
    jp("replace-root", op("replace", "", value={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "j", "namespace": "${NS}"}, "data": {"n": "1"}})),
    jp("remove-root", op("remove", "")),
    jp("add-no-value", op("add", "/data/c")),
    jp("path-no-slash", op("add", "data/c", value="1")),
    jp("path-missing", {"op": "add", "value": "1"}),
    jp("op-missing", {"path": "/data/c", "value": "1"}),
    jp("move-into-itself", op("move", "/data/a/b", **{"from": "/data"})),
    jp("move-missing", op("move", "/data/c", **{"from": "/data/zz"})),
    jp("copy-missing", op("copy", "/data/c", **{"from": "/data/zz"})),
    jp("copy-no-from", op("copy", "/data/c")),
    jp("add-parent-missing", op("add", "/spec/x/y", value="1")),
    jp("add-into-string", op("add", "/data/a/b", value="1")),
    jp("tilde", op("add", "/metadata/annotations", value={}), op("add", "/metadata/annotations/a~0b~1c", value="1")),
    jp("unknown-field", op("add", "/bogus", value=1)),
    jp("index-append", op("add", "/spec/template/spec/containers/-", value={"name": "z", "image": "z"}), path=DEP + "/dd"),
    jp("index-insert", op("add", "/spec/template/spec/containers/0", value={"name": "z", "image": "z"}), path=DEP + "/dd"),
    jp("index-too-large", op("add", "/spec/template/spec/containers/5", value={"name": "z", "image": "z"}), path=DEP + "/dd"),
    jp("index-negative", op("remove", "/spec/template/spec/containers/-1"), path=DEP + "/dd"),
    jp("index-leading-zero", op("replace", "/spec/template/spec/containers/00/image", value="q"), path=DEP + "/dd"),
    jp("index-text", op("replace", "/spec/template/spec/containers/x/image", value="q"), path=DEP + "/dd"),
    jp("empty"),
    jp("many", *[op("add", f"/data/k{i}", value="v") for i in range(20)]),
    R("too-many", "PATCH", CM + "/j", [op("add", "/data/k", value="v")] * 10001, JSON_PATCH),
    R("dry-create", "POST", CM + "?dryRun=All", configmap("dry")),
    R("dry-create-generate", "POST", CM + "?dryRun=All", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"generateName": "gen-"}}),
    R("dry-create-exists", "POST", CM + "?dryRun=All", configmap("j")),
    R("dry-create-invalid", "POST", PODS + "?dryRun=All", pod("dry", c={"image": ""})),
    R("dry-create-service", "POST", SVC + "?dryRun=All", service("dry")),
    R("dry-create-namespace", "POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "${NS}-dry"}}),
    R("dry-put", "PUT", CM + "/j?dryRun=All", configmap("j", {"q": "1"})),
    R("dry-put-absent-lease", "PUT", group("coordination.k8s.io") + "/leases/dry?dryRun=All", {"metadata": {"name": "dry"}, "spec": {}}),
    R("dry-merge", "PATCH", CM + "/j?dryRun=All", {"data": {"q": "1"}}, MERGE),
    R("dry-scale", "PATCH", DEP + "/dd/scale?dryRun=All", {"spec": {"replicas": 7}}, MERGE),
    R("dry-status", "PATCH", DEP + "/dd/status?dryRun=All", {"status": {"observedGeneration": 7}}, MERGE),
    R("dry-delete", "DELETE", CM + "/j?dryRun=All"),
    R("dry-delete-body", "DELETE", CM + "/j", {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
    R("dry-delete-bad", "DELETE", CM + "/j?dryRun=Some"),
    R("dry-binding", "POST", PODS + "/none/binding?dryRun=All", {"metadata": {"name": "none"}, "target": {"kind": "Node", "name": "n"}}),
    R("dry-token", "POST", SA + "/dsa/token?dryRun=All", {"spec": {}}, silent=True),
    R("unchanged", "GET", CM + "/j"),
    R("delete-precondition-version", "DELETE", CM + "/j", {"preconditions": {"resourceVersion": "1"}}),
    R("delete-precondition-uid", "DELETE", CM + "/j", {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}),
    R("delete-unknown-option", "DELETE", CM + "/j", {"kind": "DeleteOptions", "apiVersion": "v1", "bogus": 1, "dryRun": ["All"]}),
    R("delete-option-type", "DELETE", CM + "/j", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": "x"}),
    R("delete-options-group", "DELETE", CM + "/j", {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]}),
    R("delete-query-policy", "DELETE", CM + "/j?propagationPolicy=Foreground"),
    R("delete-query-policy-gone", "GET", CM + "/j", wait=404),
    R("delete-orphan", "POST", CM, configmap("do"), remember={"UID": "/metadata/uid"}, silent=True),
    R("delete-orphan-child", "POST", CM, configmap("dc", ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "do", "uid": "${UID}", "blockOwnerDeletion": True}]), silent=True),
    R("delete-foreground", "DELETE", CM + "/do", {"propagationPolicy": "Orphan"}),
    R("orphaned", "GET", CM + "/dc", wait=lambda o: "ownerReferences" not in o["metadata"]),
    R("delete-default-job", "POST", BATCH + "/jobs", job("dj", {"suspend": True}), silent=True),
    R("delete-default-job-policy", "DELETE", BATCH + "/jobs/dj", wait=lambda o: o["status"]["conditions"]),
    R("deployment-delete-status", "DELETE", DEP + "/dd"),
]
