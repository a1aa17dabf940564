"""What the areas are written with: one row a request, and small builders of objects."""
import dataclasses
import typing

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
CORE = "/api/v1/namespaces/${NS}"


INITIAL_END = b"k8s.io/initial-events-end"


def group(name, version="v1"):
    return f"/apis/{name}/{version}/namespaces/${{NS}}"


APPS, BATCH, RBAC = group("apps"), group("batch"), group("rbac.authorization.k8s.io")


@dataclasses.dataclass
class R:
    """One request. ${NS} and remembered variables are filled in. `wait`: before sending, GET the path until the status (int) or
    predicate over the body holds. `remember`: variable -> pointer into the answer. `token`: without the client certificate, with this token
    ("" = anonymous). `silent`: sent but not compared. `until`: sent again until this holds of the answer's status and text. `stop`: an answer that
    goes on is read until this stands in it, however long the server takes to say so."""
    id: str
    method: str
    path: str
    body: typing.Any = None
    type: typing.Optional[str] = None
    accept: typing.Optional[str] = None
    wait: typing.Any = None
    remember: dict = dataclasses.field(default_factory=dict)
    token: typing.Optional[str] = None
    silent: bool = False
    until: typing.Any = None
    stop: typing.Optional[bytes] = None
    extra: dict = dataclasses.field(default_factory=dict)

    @property
    def headers(self):
        out = dict(self.extra)
        if self.body is not None:
            out["Content-Type"] = self.type or JSON
        if self.accept:
            out["Accept"] = self.accept
        return out


def configmap(name, data=None, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"} if data is None else data}


def container(**more):
    return {"name": "c", "image": "busybox:1", **more}


def pod(name, c=None, spec=None, **metadata):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata},
            "spec": {"schedulerName": "nobody", "containers": [container(**(c or {}))], **(spec or {})}}


def template(labels, spec=None, **c):
    return {"metadata": {"labels": labels}, "spec": {"schedulerName": "nobody", "containers": [container(**c)], **(spec or {})}}


def workload(kind, name, api="apps/v1", spec=None, **more):
    labels = {"app": name}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **more},
            "spec": {"selector": {"matchLabels": labels}, "template": template(labels), **(spec or {})}}


def job(name, spec=None, pod_spec=None, **metadata):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **metadata},
            "spec": {"template": {"spec": {"schedulerName": "nobody", "restartPolicy": "Never", "containers": [container()], **(pod_spec or {})}}, **(spec or {})}}


def service(name, spec=None, **metadata):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}], **(spec or {})}}
