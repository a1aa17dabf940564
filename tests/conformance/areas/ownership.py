"""Server-side apply over many kinds: managers, conflicts, force, giving up, lists by key, sets, atomic parts, subresources; managedFields as stored."""
import json

from areas import *

CM, SVC, SA, DEP, PODS, SEC = CORE + "/configmaps", CORE + "/services", CORE + "/serviceaccounts", APPS + "/deployments", CORE + "/pods", CORE + "/secrets"


def apply(id, path, body, manager="one", query="", **more):
    return R(id, "PATCH", f"{path}?fieldManager={manager}{query}", json.dumps(body), APPLY, **more)


def cm(**more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}, **more}


def dep(**spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "od"}, "spec": spec}


def pod_template(*containers, **more):
    return {"metadata": {"labels": {"app": "od"}}, "spec": {"schedulerName": "nobody", "containers": list(containers), **more}}


def settled(o):
    """The controller has seen this generation: its status is in the answers."""
    return o["status"].get("observedGeneration") == o["metadata"]["generation"]


SELECTOR = {"matchLabels": {"app": "od"}}
C = {"name": "c", "image": "i:1"}
REQUESTS = [
    apply("deployment", DEP + "/od", dep(replicas=0, paused=True, selector=SELECTOR, template=pod_template({**C, "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]}))),
    apply("deployment-env-other", DEP + "/od", dep(template={"spec": {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]}}), "two",
          wait=settled),
    apply("deployment-image-conflict", DEP + "/od", dep(template={"spec": {"containers": [{"name": "c", "image": "i:2"}]}}), "two", wait=settled),
    apply("deployment-several-conflicts", DEP + "/od", dep(replicas=3, template={"spec": {"containers": [{"name": "c", "image": "i:2", "env": [{"name": "A", "value": "9"}], "ports": [{"containerPort": 80, "protocol": "TCP", "name": "x"}]}]}}), "two", wait=settled),
    apply("deployment-image-forced", DEP + "/od", dep(template={"spec": {"containers": [{"name": "c", "image": "i:2"}]}}), "two", "&force=true", wait=settled),
    apply("deployment-first-again", DEP + "/od", dep(replicas=0, paused=True, selector=SELECTOR, template=pod_template({"name": "c", "ports": [{"containerPort": 80}]})), wait=settled),
    apply("deployment-side-container", DEP + "/od", dep(template={"spec": {"containers": [{"name": "side", "image": "s:1"}]}}), "three", wait=settled),
    apply("deployment-side-gone", DEP + "/od", dep(template={"spec": {}}), "three", wait=settled),
    apply("deployment-tolerations-atomic", DEP + "/od", dep(template={"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}), "four", wait=settled),
    apply("deployment-tolerations-conflict", DEP + "/od", dep(template={"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}}), "five", wait=settled),
    apply("deployment-node-selector-atomic", DEP + "/od", dep(template={"spec": {"nodeSelector": {"a": "b"}}}), "four", "&force=true", wait=settled),
    apply("deployment-selector-other", DEP + "/od", dep(template={"spec": {"nodeSelector": {"c": "d"}}}), "five", wait=settled),
    apply("deployment-strategy", DEP + "/od", dep(strategy={"type": "Recreate"}), "six", wait=settled),
    apply("deployment-null-field", DEP + "/od", dep(minReadySeconds=None), "six", wait=settled),
    R("deployment-scale-takes", "PATCH", DEP + "/od/scale?fieldManager=hpa", {"spec": {"replicas": 5}}, MERGE),
    apply("deployment-replicas-conflict-scale", DEP + "/od", dep(replicas=0, selector=SELECTOR, template=pod_template({"name": "c"})), wait=settled),
    apply("scale-apply", DEP + "/od/scale", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "od"}, "spec": {"replicas": 2}}, "scaler"),
    apply("scale-apply-forced", DEP + "/od/scale", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "od"}, "spec": {"replicas": 2}}, "scaler", "&force=true"),
    apply("status-apply", DEP + "/od/status", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "od"}, "status": {"observedGeneration": 99}}, "st", "&force=true"),
    R("update-takes-over", "PATCH", DEP + "/od?fieldManager=editor", {"spec": {"minReadySeconds": 5}}, MERGE, wait=settled),
    apply("update-conflict", DEP + "/od", dep(minReadySeconds=6), "six", wait=settled),
    apply("update-agrees", DEP + "/od", dep(minReadySeconds=5), "six", wait=settled),
    R("cm-create", "POST", CM + "?fieldManager=maker", configmap("o", {"a": "1", "b": "2"}, labels={"l": "1"}, annotations={"n": "1"}), silent=True),
    apply("cm-label-conflict", CM + "/o", cm(metadata={"name": "o", "labels": {"l": "2"}, "annotations": {"n": "2"}})),
    apply("cm-label-new", CM + "/o", cm(metadata={"name": "o", "labels": {"m": "2"}})),
    apply("cm-finalizers", CM + "/o", cm(metadata={"name": "o", "finalizers": ["a.b/c"]}), "fin"),
    apply("cm-finalizers-other", CM + "/o", cm(metadata={"name": "o", "finalizers": ["a.b/d"]}), "fin2"),
    apply("cm-finalizers-gone", CM + "/o", cm(metadata={"name": "o"}), "fin"),
    apply("cm-finalizers-all-gone", CM + "/o", cm(metadata={"name": "o"}), "fin2"),
    apply("cm-owner", CM + "/o", cm(metadata={"name": "o", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "11111111-2222-3333-4444-555555555555"}]}), "own", "&dryRun=All"),
    R("cm-put-same-manager", "PUT", CM + "/o?fieldManager=maker", configmap("o", {"a": "1"})),
    R("cm-clear-managed", "PATCH", CM + "/o", {"metadata": {"managedFields": [{}]}}, MERGE),
    apply("cm-after-clearing", CM + "/o", cm(data={"a": "7"})),
    R("cm-bad-managed", "PATCH", CM + "/o", {"metadata": {"managedFields": [{"manager": "x", "operation": "Frob", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]}}, MERGE),
    R("cm-bad-fields-type", "PATCH", CM + "/o", {"metadata": {"managedFields": [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV9", "fieldsV1": {}}]}}, MERGE),
    apply("cm-data-type", CM + "/o", cm(data={"a": 1})),
    apply("cm-data-list", CM + "/o", cm(data=["a"])),
    apply("cm-binary", CM + "/o", cm(binaryData={"x": "AAEC"})),
    apply("cm-immutable", CM + "/o", cm(immutable=True), "imm", "&force=true"),
    apply("cm-immutable-change", CM + "/o", cm(data={"a": "8"}), "two", "&force=true"),
    apply("secret", SEC + "/os", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "os"}, "stringData": {"p": "q"}}),
    apply("secret-data-conflict", SEC + "/os", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "os"}, "data": {"p": "eA=="}}, "two"),
    apply("service", SVC + "/ov", service("ov", {"ports": [{"name": "a", "port": 1}], "selector": {"x": "y"}})),
    apply("service-selector-conflict", SVC + "/ov", service("ov", {"ports": [{"name": "b", "port": 2}], "selector": {"x": "z"}}), "two"),
    apply("service-port-renamed", SVC + "/ov", service("ov", {"ports": [{"name": "aa", "port": 1}], "selector": {"x": "y"}}), "two"),
    apply("service-ports-key", SVC + "/ov", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ov"}, "spec": {"ports": [{"name": "a"}]}}, "two"),
    apply("service-account", SA + "/oa", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "oa"}, "imagePullSecrets": [{"name": "a"}], "secrets": [{"name": "s"}]}),
    apply("service-account-other", SA + "/oa", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "oa"}, "imagePullSecrets": [{"name": "b"}]}, "two"),
    apply("role", RBAC + "/roles/or", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "or"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    apply("role-rules-atomic", RBAC + "/roles/or", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "or"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}, "two"),
    apply("pod", PODS + "/op", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "spec": {"schedulerName": "nobody", "containers": [C], "volumes": [{"name": "v", "emptyDir": {}}]}}),
    apply("pod-immutable", PODS + "/op", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "spec": {"containers": [{"name": "c", "command": ["x"]}]}}, "two"),
    apply("pod-image", PODS + "/op", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "spec": {"containers": [{"name": "c", "image": "i:2"}]}}, "two", "&force=true"),
    apply("pod-condition", PODS + "/op/status", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "status": {"conditions": [{"type": "a.b/C", "status": "True"}]}}, "st"),
    apply("pod-condition-other", PODS + "/op/status", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op"}, "status": {"conditions": [{"type": "a.b/D", "status": "True"}]}}, "st2"),
    apply("namespace", "/api/v1/namespaces/${NS}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "${NS}", "labels": {"x": "y"}}}, silent=True),
    apply("missing-status", CM + "/none/status", cm(), silent=True),
    apply("subresource-of-absent", DEP + "/none/status", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "none"}, "status": {}}),
    apply("other-version", APPS + "/deployments/od", {"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "od"}, "spec": {}}),
    apply("empty-body", CM + "/o", None),
    apply("generate-name", CM + "/og", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "og-"}}),
    apply("manager-too-long", CM + "/o", cm(), "m" * 129),
    apply("manager-unprintable", CM + "/o", cm(), "a%01b"),
    apply("strict-duplicate-key", CM + "/o", cm(), "one", "&fieldValidation=Strict", silent=True),
    R("duplicate-yaml-key", "PATCH", CM + "/o?fieldManager=one&fieldValidation=Strict", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: o}\ndata: {a: x}\ndata: {b: text}\n", APPLY),
    R("yaml-anchors", "PATCH", CM + "/oy?fieldManager=one", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: oy}\ndata: {a: &x text, b: *x, c: \"1\"}\n", APPLY),
    R("two-documents", "PATCH", CM + "/oz?fieldManager=one", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: oz}\n---\na: b\n", APPLY),
    apply("force-nonsense", CM + "/o", cm(), "one", "&force=perhaps"),
    R("job-apply", "PATCH", BATCH + "/jobs/oj?fieldManager=one", json.dumps({**job("oj", {"suspend": True}), "apiVersion": "batch/v1"}), APPLY, silent=True),
    apply("ingress", group("networking.k8s.io") + "/ingresses/oi", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "oi"}, "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}}),
    apply("quota", CORE + "/resourcequotas/oq", {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "oq"}, "spec": {"hard": {"count/foos.example.com": "1"}}}),
    apply("quota-other", CORE + "/resourcequotas/oq", {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "oq"}, "spec": {"hard": {"count/bars.example.com": "1"}}}, "two", wait=lambda o: "hard" in o.get("status", {})),
    apply("lease", group("coordination.k8s.io") + "/leases/ol", {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ol"}, "spec": {"holderIdentity": "a"}}),
    apply("lease-conflict", group("coordination.k8s.io") + "/leases/ol", {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ol"}, "spec": {"holderIdentity": "b"}}, "two"),
]
