"""ReplicationControllers: the oldest way to have several pods of a kind. Hostnames in templates."""
from areas import *

RCS = CORE + "/replicationcontrollers"


def rc(name, spec=None, template=None, **metadata):
    template = template or {"metadata": {"labels": {"app": name}}, "spec": {"schedulerName": "nobody", "containers": [container()]}}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name, **metadata}, "spec": {"replicas": 2, "template": template, **(spec or {})}}


def has(count):
    return lambda o: o["status"].get("replicas") == count and o["status"].get("observedGeneration") == o["metadata"]["generation"] and o["status"].get("fullyLabeledReplicas", 0) == count


HOSTS = {"metadata": {"labels": {"app": "x"}}, "spec": {"hostname": "a-EXECID", "subdomain": "A_B", "schedulerName": "nobody", "containers": [container()]}}


def hosts(id, kind):
    return R("hosts-" + id, "POST", APPS + f"/{id}?dryRun=All", {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "x"}, "spec": {
        "selector": {"matchLabels": {"app": "x"}}, "template": HOSTS, **({"serviceName": "x"} if kind == "StatefulSet" else {})}})


NEVER = {"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never", "containers": [container()]}}
REQUESTS = [
    hosts("statefulsets", "StatefulSet"), hosts("deployments", "Deployment"), hosts("replicasets", "ReplicaSet"), hosts("daemonsets", "DaemonSet"),
    R("create", "POST", RCS, rc("one")),
    R("status", "GET", RCS + "/one", wait=has(2)),
    R("pods", "GET", CORE + "/pods?labelSelector=app=one&limit=1", accept=PARTIAL_LIST, silent=True),
    R("table", "GET", RCS, accept=TABLE),
    R("scale-get", "GET", RCS + "/one/scale"),
    R("scale-put", "PATCH", RCS + "/one/scale", {"spec": {"replicas": 1}}, MERGE),
    R("scaled", "GET", RCS + "/one", wait=has(1)),
    R("to-none", "PATCH", RCS + "/one", {"spec": {"replicas": 0}}, MERGE),
    R("none", "GET", RCS + "/one", wait=has(0)),
    R("own-selector", "POST", RCS, rc("two", {"replicas": 0, "selector": {"app": "two"}}, labels={"a": "b"})),
    R("selector-changed", "PATCH", RCS + "/two", {"spec": {"selector": {"app": "other"}}}, MERGE),
    R("other-selector", "POST", RCS, rc("bad", {"selector": {"app": "else"}})),
    R("no-selector", "POST", RCS, rc("bad", template={"metadata": {}, "spec": {"containers": [container()]}})),
    R("negative", "POST", RCS, rc("bad", {"replicas": -1})),
    R("never", "POST", RCS, rc("bad", template=NEVER)),
    R("no-template", "POST", RCS, rc("bad", {"template": None, "selector": {"a": "b"}})),
    R("no-containers", "POST", RCS, rc("bad", template={"metadata": {"labels": {"app": "bad"}}, "spec": {"containers": []}})),
    R("delete", "DELETE", RCS + "/two?propagationPolicy=Background"),
    R("get-deleted", "GET", RCS + "/two", wait=404),
]
