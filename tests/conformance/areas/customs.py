"""CustomResourceDefinitions and their objects: schemas, defaults, pruning, scale, several versions, printer columns."""
from areas import *

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
X = "/apis/areas.example.com/v1/namespaces/${NS}/gadgets"


def crd(plural="gadgets", kind="Gadget", scope="Namespaced", schema=None, version=None, **spec):
    schema = schema or {"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9}, "replicas": {"type": "integer", "default": 1}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "x-kubernetes-list-type": "set"},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"}, "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2}, "port": {"x-kubernetes-int-or-string": True},
            "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"], "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "number"}}}},
            "free": {"type": "object", "additionalProperties": {"type": "string"}}, "any": {"x-kubernetes-preserve-unknown-fields": True}, "nul": {"type": "string", "nullable": True}, "when": {"type": "string", "format": "date-time"}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "state": {"type": "string"}}}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.areas.example.com"}, "spec": {
        "group": "areas.example.com", "scope": scope, "names": {"plural": plural, "kind": kind}, "versions": [{
            "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **(version or {})}], **spec}}


SUBS = {"subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "State", "type": "string", "jsonPath": ".status.state", "priority": 1}, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]}


def gadget(name, spec, **more):
    return {"apiVersion": "areas.example.com/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec, **more}


def bad(id, spec):
    return R(id, "POST", X, gadget("x", spec))


REQUESTS = [
    R("crd", "POST", CRDS, crd(version=SUBS)),
    R("crd-established", "GET", CRDS + "/gadgets.areas.example.com", wait=lambda o: any(c["type"] == "Established" and c["status"] == "True" for c in o["status"]["conditions"])),
    R("crd-again", "POST", CRDS, crd()),
    R("crd-name-mismatch", "POST", CRDS, {**crd(plural="things"), "metadata": {"name": "other.areas.example.com"}}),
    R("crd-no-storage", "POST", CRDS, crd(plural="nostores", kind="NoStore", version={"storage": False})),
    R("crd-no-schema", "POST", CRDS, crd(plural="noschemas", kind="NoSchema", version={"schema": None})),
    R("crd-bad-scope", "POST", CRDS, crd(plural="badscopes", kind="BadScope", scope="Universe")),
    R("crd-bad-type", "POST", CRDS, crd(plural="badtypes", kind="BadType", schema={"type": "object", "properties": {"x": {"type": "thing"}}})),
    R("crd-protected-group", "POST", CRDS, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.sparkoperator.k8s.io"}, "spec": {
        "group": "sparkoperator.k8s.io", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"}, "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}),
    R("discovery", "GET", "/apis/areas.example.com/v1", wait=200),
    R("discovery-group", "GET", "/apis/areas.example.com"),
    R("create", "POST", X, gadget("one", {"size": 3, "tags": ["a"], "port": "http", "parts": [{"id": "p", "n": 1.5}], "free": {"k": "v"}, "any": {"deep": [1]}, "bogus": 1}), wait=200),
    R("get", "GET", X + "/one"),
    R("cluster-list", "GET", "/apis/areas.example.com/v1/gadgets"),
    bad("minimum", {"size": 0}), bad("maximum", {"size": 10}), bad("required", {}), bad("type-string", {"size": "3"}), bad("type-float", {"size": 1.5}),
    bad("enum", {"size": 1, "mode": "z"}), bad("pattern", {"size": 1, "name": "A1"}), bad("max-length", {"size": 1, "name": "abcdefg"}), bad("min-length", {"size": 1, "name": "a"}),
    bad("max-items", {"size": 1, "tags": ["a", "b", "c"]}), bad("set-duplicate", {"size": 1, "tags": ["a", "a"]}), bad("map-duplicate", {"size": 1, "parts": [{"id": "a"}, {"id": "a"}]}),
    bad("int-or-string", {"size": 1, "port": True}), bad("null-not-nullable", {"size": 1, "name": None}), bad("additional", {"size": 1, "free": {"k": 1}}), bad("date-time", {"size": 1, "when": "today"}),
    bad("several", {"size": 0, "mode": "z", "tags": "x"}),
    R("nullable", "POST", X, gadget("nul", {"size": 1, "nul": None})),
    R("strict", "POST", X + "?fieldValidation=Strict", gadget("st", {"size": 1, "bogus": 1, "parts": [{"id": "a", "zz": 1}]})),
    R("status-ignored-on-create", "POST", X, gadget("two", {"size": 2}, status={"state": "X"})),
    R("status-put", "PUT", X + "/two/status", gadget("two", {"size": 9}, status={"state": "RUNNING", "replicas": 2, "selector": "a=b"}), silent=True),
    R("status-merge", "PATCH", X + "/two/status", {"status": {"state": "RUNNING", "replicas": 2, "selector": "a=b"}}, MERGE),
    R("status-invalid", "PATCH", X + "/two/status", {"status": {"replicas": "x"}}, MERGE),
    R("scale-get", "GET", X + "/two/scale"),
    R("scale-patch", "PATCH", X + "/two/scale", {"spec": {"replicas": 4}}, MERGE),
    R("generation-after", "GET", X + "/two"),
    R("merge", "PATCH", X + "/two", {"spec": {"size": 5, "bogus": 1}}, MERGE),
    R("json-patch", "PATCH", X + "/two", [{"op": "replace", "path": "/spec/size", "value": 6}], JSON_PATCH),
    R("json-patch-invalid", "PATCH", X + "/two", [{"op": "replace", "path": "/spec/size", "value": 60}], JSON_PATCH),
    R("apply", "PATCH", X + "/three?fieldManager=m", '{"apiVersion":"areas.example.com/v1","kind":"Gadget","metadata":{"name":"three"},"spec":{"size":1,"parts":[{"id":"a","n":1}]}}', APPLY),
    R("apply-merge-list", "PATCH", X + "/three?fieldManager=n", '{"apiVersion":"areas.example.com/v1","kind":"Gadget","metadata":{"name":"three"},"spec":{"parts":[{"id":"b","n":2}]}}', APPLY),
    R("apply-conflict", "PATCH", X + "/three?fieldManager=n", '{"apiVersion":"areas.example.com/v1","kind":"Gadget","metadata":{"name":"three"},"spec":{"parts":[{"id":"a","n":9}]}}', APPLY),
    R("table", "GET", X, accept=TABLE),
    R("table-one", "GET", X + "/one", accept=TABLE),
    R("field-selector", "GET", X + "?fieldSelector=metadata.name%3Done"),
    R("field-selector-bad", "GET", X + "?fieldSelector=spec.size%3D3"),
    R("wrong-kind", "POST", X, {"apiVersion": "areas.example.com/v1", "kind": "Other", "metadata": {"name": "x"}, "spec": {"size": 1}}),
    R("wrong-version", "POST", X, {"apiVersion": "areas.example.com/v2", "kind": "Gadget", "metadata": {"name": "x"}, "spec": {"size": 1}}),
    R("version-not-served", "GET", "/apis/areas.example.com/v2/namespaces/${NS}/gadgets"),
    R("subresource-missing", "GET", X + "/one/log"),
    R("delete-one", "DELETE", X + "/one"),
    R("delete-collection", "DELETE", X),
    R("crd-table", "GET", CRDS + "/gadgets.areas.example.com", accept=TABLE),
    R("crd-delete", "DELETE", CRDS + "/gadgets.areas.example.com"),
    R("gone", "GET", X, wait=404),
]
