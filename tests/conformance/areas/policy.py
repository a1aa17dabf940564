"""ResourceQuota, LimitRange, PriorityClass, PodDisruptionBudget, HPA, Lease, PVC and PV, StorageClass, Secrets, Events."""
from areas import *

Q, L, PVC, SEC, EV = CORE + "/resourcequotas", CORE + "/limitranges", CORE + "/persistentvolumeclaims", CORE + "/secrets", CORE + "/events"


def quota(name, hard, **spec):
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard, **spec}}


def claim(name, **spec):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}}


def secret(name, type=None, **more):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **({"type": type} if type else {}), **more}


REQUESTS = [
    R("quota", "POST", Q, quota("q", {"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"})),
    R("quota-used", "GET", Q + "/q", wait=lambda o: "used" in o.get("status", {})),
    R("quota-table", "GET", Q, accept=TABLE, silent=True),
    R("quota-pod-without-limits", "POST", CORE + "/pods", pod("nolimits")),
    R("quota-pod-fits", "POST", CORE + "/pods", pod("fits", c={"resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "512Mi"}}})),
    R("quota-pod-exceeds", "POST", CORE + "/pods", pod("over", c={"resources": {"requests": {"cpu": "600m"}, "limits": {"memory": "768Mi"}}})),
    R("quota-used-after", "GET", Q + "/q", wait=lambda o: o["status"]["used"]["pods"] == "1"),
    R("quota-bad-resource", "POST", Q, quota("x", {"bogus thing": "1"})),
    R("quota-negative", "POST", Q, quota("x", {"pods": "-1"})),
    R("quota-fraction", "POST", Q, quota("x", {"pods": "1500m"})),
    R("quota-scope", "POST", Q, quota("qs", {"pods": "5"}, scopes=["BestEffort"])),
    R("quota-delete", "DELETE", Q + "/q"),
    R("limits", "POST", L, {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "50m"}, "defaultRequest": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "4"}}]}}),
    R("limits-default", "POST", CORE + "/pods", pod("ld"), wait=None),
    R("limits-below-min", "POST", CORE + "/pods", pod("lm", c={"resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "10m"}}})),
    R("limits-ratio", "POST", CORE + "/pods", pod("lx", c={"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}})),
    R("limits-bad", "POST", L, {"metadata": {"name": "x"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}}),
    R("limits-bad-default", "POST", L, {"metadata": {"name": "x"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}}]}}),
    R("limits-delete", "DELETE", L + "/l"),
    R("pdb", "POST", group("policy") + "/poddisruptionbudgets", {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}),
    R("pdb-both", "POST", group("policy") + "/poddisruptionbudgets", {"metadata": {"name": "x"}, "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}}),
    R("hpa", "POST", group("autoscaling", "v2") + "/horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}}),
    R("hpa-no-max", "POST", group("autoscaling", "v2") + "/horizontalpodautoscalers", {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}}}),
    R("lease", "POST", group("coordination.k8s.io") + "/leases", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}),
    R("lease-bad", "POST", group("coordination.k8s.io") + "/leases", {"metadata": {"name": "x"}, "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
    R("lease-table", "GET", group("coordination.k8s.io") + "/leases/l", accept=TABLE),
    R("claim", "POST", PVC, claim("c")),
    R("claim-class", "POST", PVC, claim("cc", storageClassName="none-such", volumeMode="Filesystem")),
    R("claim-two-modes", "POST", PVC, claim("x", accessModes=["ReadWriteOncePod", "ReadWriteOnce"])),
    R("claim-bad-mode", "POST", PVC, claim("x", accessModes=["Sometimes"])),
    R("claim-no-storage", "POST", PVC, claim("x", resources={"requests": {"cpu": "1"}})),
    R("claim-zero", "POST", PVC, claim("x", resources={"requests": {"storage": "0"}})),
    R("claim-change", "PATCH", PVC + "/c", {"spec": {"storageClassName": "other"}}, MERGE),
    R("claim-table", "GET", PVC + "/cc", accept=TABLE),
    R("claim-delete", "DELETE", PVC + "/cc"),
    R("secret-types", "POST", SEC, secret("b", "kubernetes.io/basic-auth", stringData={"username": "u"})),
    R("secret-tls-missing", "POST", SEC, secret("x", "kubernetes.io/tls", data={})),
    R("secret-docker-missing", "POST", SEC, secret("x", "kubernetes.io/dockerconfigjson")),
    R("secret-docker-bad", "POST", SEC, secret("x", "kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": "{"})),
    R("secret-sa-token-missing", "POST", SEC, secret("x", "kubernetes.io/service-account-token")),
    R("secret-string-wins", "POST", SEC, secret("sw", data={"k": "b2xk"}, stringData={"k": "new", "l": "2"})),
    R("secret-type-change", "PATCH", SEC + "/sw", {"type": "other"}, MERGE),
    R("secret-immutable", "POST", SEC, {**secret("si", stringData={"k": "v"}), "immutable": True}),
    R("secret-immutable-change", "PATCH", SEC + "/si", {"stringData": {"k": "w"}}, MERGE),
    R("secret-table", "GET", SEC + "/sw", accept=TABLE),
    R("secret-bad-key", "POST", SEC, secret("x", stringData={"a b": "c"})),
    R("event", "POST", EV, {"metadata": {"name": "e1"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "${NS}"}, "reason": "R", "message": "m", "type": "Warning", "count": 3, "source": {"component": "x"}}),
    R("event-other-namespace", "POST", EV, {"metadata": {"name": "e2"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}}),
    R("event-v1", "POST", group("events.k8s.io") + "/events", {"metadata": {"name": "e3"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "${NS}"}, "reason": "R", "note": "n", "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
                                                              "reportingController": "a.b/c", "reportingInstance": "i", "action": "Do"}),
    R("event-v1-incomplete", "POST", group("events.k8s.io") + "/events", {"metadata": {"name": "x"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "${NS}"}}),
    R("event-read-as-v1", "GET", group("events.k8s.io") + "/events/e1"),
    R("priority-class-both", "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "conf-too-high"}, "value": 2000000000}),
    R("priority-system", "GET", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical"),
]
