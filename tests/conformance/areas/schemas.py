"""CustomResourceDefinitions in depth: what schemas refuse and fill in, how bad definitions are named, several versions, selectable fields, status and scale."""
from areas import *

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
G = "schemas.example.com"
X = f"/apis/{G}/v1/namespaces/${{NS}}/widgets"
TWO = f"/apis/{G}/v2/namespaces/${{NS}}/widgets"


def crd(plural, kind, properties=None, version=None, spec=None, names=None, name=None, schema=None):
    schema = schema or {"type": "object", "properties": {"spec": {"type": "object", "properties": properties or {}}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name or f"{plural}.{G}"}, "spec": {
        "group": G, "scope": "Namespaced", "names": {"plural": plural, "kind": kind, **(names or {})},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **(version or {})}], **(spec or {})}}


PROPERTIES = {
    "float": {"type": "number", "minimum": 0.5, "exclusiveMinimum": True, "multipleOf": 0.5}, "int32": {"type": "integer", "format": "int32"}, "int64": {"type": "integer", "format": "int64"},
    "upTo": {"type": "integer", "maximum": 10, "exclusiveMaximum": True}, "bytes": {"type": "string", "format": "byte"}, "uuid": {"type": "string", "format": "uuid"}, "ip": {"type": "string", "format": "ipv4"},
    "date": {"type": "string", "format": "date"}, "duration": {"type": "string", "format": "duration"}, "email": {"type": "string", "format": "email"}, "cidr": {"type": "string", "format": "cidr"},
    "uri": {"type": "string", "format": "uri"}, "host": {"type": "string", "format": "hostname"}, "secret": {"type": "string", "format": "password"},
    "list": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "kind": {"type": "string", "default": "plain"}}}},
    "few": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "integer"}},
    "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "any": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"properties": {"b": {"minimum": 5}}, "required": ["b"]}]},
    "all": {"type": "integer", "allOf": [{"minimum": 2}, {"maximum": 4}]}, "not": {"type": "string", "not": {"enum": ["no"]}},
    "deep": {"type": "object", "default": {}, "properties": {"x": {"type": "integer", "default": 3}, "y": {"type": "object", "default": {"z": "q"}, "properties": {"z": {"type": "string"}, "w": {"type": "boolean", "default": True}}}}},
    "nullDefault": {"type": "string", "nullable": True, "default": "d"}, "strict": {"type": "string", "default": "s"},
    "ios": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9]+%$"},
    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
    "embedded": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["h", "p"], "items": {"type": "object", "required": ["h"], "properties": {"h": {"type": "string"}, "p": {"type": "integer", "default": 1}, "v": {"type": "string"}}}},
    "atomic": {"type": "array", "items": {"type": "string"}}, "atomicMap": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
    "enumInt": {"type": "integer", "enum": [1, 2]}, "flag": {"type": "boolean"}, "colour": {"type": "string"}, "size": {"type": "integer"},
}
FULL = crd("widgets", "Widget", PROPERTIES, names={"shortNames": ["wd"], "categories": ["all", "things"], "singular": "widget", "listKind": "WidgetList"},
           version={"subresources": {"status": {}}, "selectableFields": [{"jsonPath": ".spec.colour"}, {"jsonPath": ".spec.size"}],
                    "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "description": "what it looks like"}, {"name": "List", "type": "string", "jsonPath": ".spec.list[*].name"},
                                                 {"name": "Flag", "type": "boolean", "jsonPath": ".spec.flag"}, {"name": "Float", "type": "number", "jsonPath": ".spec.float", "format": "double"}]})
FULL["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = {"type": "object", "properties": {"a": {"type": "integer"}}}
FULL["spec"]["versions"].append({"name": "v2", "served": True, "storage": False, "deprecated": True, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}})


def widget(name, version="v1", **spec):
    return {"apiVersion": f"{G}/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def bad(id, **spec):
    return R(id, "POST", X, widget("bad", **spec))


def bad_crd(id, properties=None, **more):
    return R("crd-" + id, "POST", CRDS + "?dryRun=All", crd("things", "Thing", properties, **more))


REQUESTS = [
    R("crd", "POST", CRDS, FULL),
    R("discovery", "GET", f"/apis/{G}/v1", wait=200),
    R("discovery-second", "GET", f"/apis/{G}/v2", wait=200),
    R("group", "GET", f"/apis/{G}"),
    R("create", "POST", X, widget("w", list=[{"name": "a"}, {"name": "b", "kind": "k"}], colour="red", size=3, flag=True, float=1.5), wait=200),
    R("create-second-version", "POST", TWO, widget("w2", "v2", colour="blue", anything={"goes": [1]})),
    R("second-as-first", "GET", X + "/w2"),
    R("first-as-second", "GET", TWO + "/w"),
    R("selectable", "GET", X + "?fieldSelector=spec.colour%3Dred"),
    R("selectable-not", "GET", X + "?fieldSelector=spec.colour!%3Dred"),
    R("selectable-int", "GET", X + "?fieldSelector=spec.size%3D3"),
    R("selectable-missing", "GET", X + "?fieldSelector=spec.flag%3Dtrue"),
    R("selectable-other-version", "GET", TWO + "?fieldSelector=spec.colour%3Dred"),
    R("table", "GET", X, accept=TABLE),
    R("table-second", "GET", TWO, accept=TABLE),
    R("partial", "GET", X + "/w", accept=PARTIAL),
    R("yaml", "GET", X + "/w2", accept="application/yaml"),
    R("watch", "GET", X + "?watch=true&timeoutSeconds=1&fieldSelector=spec.colour%3Dred"),
    R("defaults-deep", "POST", X, widget("deep", deep={"x": 7})),
    R("defaults-null", "POST", X, widget("nulls", nullDefault=None, strict=None, deep=None)),
    R("defaults-map-keys", "POST", X, widget("maps", map=[{"h": "a", "v": "1"}, {"h": "a", "p": 2}])),
    R("preserve", "POST", X, widget("open", open={"other": {"b": 1}, "known": {"a": "x", "pruned": 1}})),
    R("embedded", "POST", X, widget("emb", embedded={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "bogus": 1}, "spec": {"free": True}})),
    R("embedded-incomplete", "POST", X, widget("bad", embedded={"spec": {}})),
    R("embedded-bad-name", "POST", X, widget("bad", embedded={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "Bad_Name", "labels": {"a b": "c"}}})),
    bad("float-minimum", float=0.5), bad("float-multiple", float=0.7), bad("int32", int32=3000000000), bad("int64", int64=9223372036854775808), bad("int-as-float", int64=1.0), bad("up-to", upTo=10),
    bad("bytes", bytes="!!"), bad("uuid", uuid="x"), bad("ip", ip="1.2.3"), bad("date", date="2026-13-01"), bad("duration", duration="1 parsec"), bad("email", email="x"), bad("cidr", cidr="1.2.3.4"),
    bad("uri", uri=":"), bad("host", host="-a-"), bad("list-empty", list=[]), bad("list-item-missing", list=[{"kind": "x"}]), bad("list-item-type", list=["x"]), bad("list-item-null", list=[None]),
    bad("few-none", few={}), bad("few-many", few={"a": 1, "b": 2, "c": 3}), bad("few-type", few={"a": "x"}), bad("one-both", one={"a": "1", "b": "2"}), bad("one-none", one={}),
    bad("any-none", any={"b": 1}), bad("all", all=1), bad("not", **{"not": "no"}), bad("ios-pattern", ios="5"), bad("ios-type", ios=1.5), bad("map-duplicate-default-key", map=[{"h": "a"}, {"h": "a", "p": 1}]),
    bad("map-key-missing", map=[{"p": 1}]), bad("enum-int", enumInt=3), bad("bool-text", flag="true"), bad("object-is-list", deep=[]), bad("list-is-object", list={}), bad("string-is-object", colour={}),
    R("spec-missing", "POST", X, {"apiVersion": f"{G}/v1", "kind": "Widget", "metadata": {"name": "nospec"}}),
    R("spec-is-text", "POST", X, {"apiVersion": f"{G}/v1", "kind": "Widget", "metadata": {"name": "bad"}, "spec": "x"}),
    R("extra-top-level", "POST", X, {**widget("top"), "more": 1}),
    R("strict", "POST", X + "?fieldValidation=Strict", {**widget("bad", bogus=1, list=[{"name": "a", "zz": 1}], deep={"q": 1}), "more": 1}),
    R("strict-metadata", "POST", X + "?fieldValidation=Strict", {"apiVersion": f"{G}/v1", "kind": "Widget", "metadata": {"name": "bad", "bogus": 1}}),
    R("metadata-type", "POST", X, {"apiVersion": f"{G}/v1", "kind": "Widget", "metadata": {"name": "bad", "labels": {"a": 1}}}),
    R("metadata-name", "POST", X, widget("Bad_Name")),
    R("no-api-version", "POST", X, {"kind": "Widget", "metadata": {"name": "bad"}}),
    R("generate-name", "POST", X, {"apiVersion": f"{G}/v1", "kind": "Widget", "metadata": {"generateName": "gen-"}}),
    R("exists", "POST", X, widget("w")),
    R("put-no-version", "PUT", X + "/w", widget("w", colour="x")),
    R("put-stale", "PUT", X + "/w", {**widget("w", colour="x"), "metadata": {"name": "w", "resourceVersion": "1"}}),
    R("put-absent", "PUT", X + "/absent", {**widget("absent"), "metadata": {"name": "absent", "resourceVersion": "1"}}),
    R("status-put-empty", "PATCH", X + "/w/status", {"status": {"a": 1}}, MERGE),
    R("status-metadata-ignored", "PATCH", X + "/w/status", {"metadata": {"labels": {"x": "y"}}}, MERGE),
    R("spec-keeps-status", "PATCH", X + "/w", {"status": {"a": 2}, "spec": {"size": 4}}, MERGE),
    R("strategic-refused", "PATCH", X + "/w", {}, STRATEGIC),
    R("merge-null-removes", "PATCH", X + "/w", {"spec": {"colour": None, "strict": None}}, MERGE),
    R("merge-invalid", "PATCH", X + "/w", {"spec": {"flag": "x"}}, MERGE),
    R("json-add", "PATCH", X + "/w", [{"op": "add", "path": "/spec/list/-", "value": {"name": "c"}}], JSON_PATCH),
    R("apply-map", "PATCH", X + "/m?fieldManager=a", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"map":[{"h":"x","v":"1"}],"atomic":["a"],"atomicMap":{"k":"v"}}}' % G, APPLY),
    R("apply-map-other", "PATCH", X + "/m?fieldManager=b", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"map":[{"h":"x","p":2,"v":"2"}],"colour":"c"}}' % G, APPLY),
    R("apply-atomic-conflict", "PATCH", X + "/m?fieldManager=b", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"atomic":["b"],"atomicMap":{"l":"w"}}}' % G, APPLY),
    R("apply-key-conflict", "PATCH", X + "/m?fieldManager=b", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"map":[{"h":"x","v":"9"}]}}' % G, APPLY),
    R("apply-unknown", "PATCH", X + "/m?fieldManager=b", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"bogus":1}}' % G, APPLY),
    R("apply-second-version", "PATCH", TWO + "/m?fieldManager=c", '{"apiVersion":"%s/v2","kind":"Widget","metadata":{"name":"m"},"spec":{"size":5}}' % G, APPLY),
    R("apply-invalid", "PATCH", X + "/m?fieldManager=b", '{"apiVersion":"%s/v1","kind":"Widget","metadata":{"name":"m"},"spec":{"enumInt":7}}' % G, APPLY),
    R("scale-none", "GET", X + "/w/scale"),
    R("finalizer-delete", "PATCH", X + "/w", {"metadata": {"finalizers": ["a.b/c"]}}, MERGE, silent=True),
    R("finalizer-delete-begins", "DELETE", X + "/w"),
    R("finalizer-delete-ends", "PATCH", X + "/w", {"metadata": {"finalizers": None}}, MERGE),
    R("delete-collection-selector", "DELETE", X + "?fieldSelector=spec.colour%3Dblue"),
    bad_crd("default-invalid", {"a": {"type": "integer", "default": "x"}}),
    bad_crd("default-pruned", {"a": {"type": "object", "default": {"b": 1}}}),
    bad_crd("array-no-items", {"a": {"type": "array"}}),
    bad_crd("items-list", {"a": {"type": "array", "items": [{"type": "string"}]}}),
    bad_crd("map-keys-missing", {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}),
    bad_crd("map-key-not-required", {"a": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}),
    bad_crd("set-of-objects", {"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}}),
    bad_crd("list-type-on-string", {"a": {"type": "string", "x-kubernetes-list-type": "set"}}),
    bad_crd("list-type-bad", {"a": {"type": "array", "x-kubernetes-list-type": "bag", "items": {"type": "string"}}}),
    bad_crd("properties-and-additional", {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}),
    bad_crd("additional-false", {"a": {"type": "object", "additionalProperties": False}}),
    bad_crd("unique-items", {"a": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}}),
    bad_crd("ref", {"a": {"$ref": "#/x"}}),
    bad_crd("no-type", {"a": {"description": "x"}}),
    bad_crd("type-in-one-of", {"a": {"type": "object", "oneOf": [{"type": "object", "properties": {"b": {"type": "string"}}}]}}),
    bad_crd("bad-pattern", {"a": {"type": "string", "pattern": "("}}),
    bad_crd("int-or-string-type", {"a": {"type": "string", "x-kubernetes-int-or-string": True}}),
    bad_crd("root-not-object", schema={"type": "string"}),
    bad_crd("metadata-restricted", schema={"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object", "maxProperties": 1}}}}}),
    bad_crd("metadata-name-pattern", schema={"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}}}),
    bad_crd("preserve-unknown-v1", spec={"preserveUnknownFields": True}),
    bad_crd("two-storage", spec={"versions": [{"name": v, "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}} for v in ("v1", "v2")]}),
    bad_crd("same-version-twice", spec={"versions": [{"name": "v1", "served": True, "storage": s, "schema": {"openAPIV3Schema": {"type": "object"}}} for s in (True, False)]}),
    bad_crd("version-name", spec={"versions": [{"name": "V_1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}),
    bad_crd("no-versions", spec={"versions": []}),
    bad_crd("conversion-webhook-incomplete", spec={"conversion": {"strategy": "Webhook"}}),
    bad_crd("conversion-bad", spec={"conversion": {"strategy": "Magic"}}),
    bad_crd("short-name-bad", names={"shortNames": ["Bad_"]}),
    bad_crd("category-bad", names={"categories": ["Bad Category"]}),
    bad_crd("kind-lower", names={"kind": "thing one"}),
    bad_crd("plural-upper", names={"plural": "Things"}),
    bad_crd("column-bad-type", version={"additionalPrinterColumns": [{"name": "A", "type": "thing", "jsonPath": ".spec"}]}),
    bad_crd("column-bad-path", version={"additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "spec"}]}),
    bad_crd("column-no-name", version={"additionalPrinterColumns": [{"type": "string", "jsonPath": ".spec"}]}),
    bad_crd("scale-no-paths", version={"subresources": {"scale": {}}}),
    bad_crd("scale-bad-path", version={"subresources": {"scale": {"specReplicasPath": ".x", "statusReplicasPath": ".status.r"}}}),
    bad_crd("selectable-unknown", version={"selectableFields": [{"jsonPath": ".spec.none"}]}),
    bad_crd("selectable-object", {"a": {"type": "object"}}, version={"selectableFields": [{"jsonPath": ".spec.a"}]}),
    bad_crd("deprecation-warning-only", version={"deprecationWarning": "old"}),
    R("crd-group-change", "PATCH", CRDS + f"/widgets.{G}", {"spec": {"group": "other.example.com"}}, MERGE),
    R("crd-scope-change", "PATCH", CRDS + f"/widgets.{G}", {"spec": {"scope": "Cluster"}}, MERGE),
    R("crd-kind-change", "PATCH", CRDS + f"/widgets.{G}", {"spec": {"names": {"kind": "Gizmo"}}}, MERGE, silent=True),
    R("crd-stored-version-removed", "PATCH", CRDS + f"/widgets.{G}", [{"op": "remove", "path": "/spec/versions/0"}, {"op": "replace", "path": "/spec/versions/0/storage", "value": True}], JSON_PATCH),
    R("crd-unserved", "PATCH", CRDS + f"/widgets.{G}", [{"op": "replace", "path": "/spec/versions/1/served", "value": False}], JSON_PATCH, silent=True),
    R("crd-unserved-gone", "GET", TWO, wait=404),
    R("crd-delete", "DELETE", CRDS + f"/widgets.{G}", silent=True),
    R("crd-gone", "GET", CRDS + f"/widgets.{G}", wait=404),
]
