"""Admission webhooks: rules for their configurations, what they are asked, what their answers do. The webhook is this process."""
import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import tempfile
import threading

from areas import *

CONFIGS = "/apis/admissionregistration.k8s.io/v1/"
MUTATING, VALIDATING = CONFIGS + "mutatingwebhookconfigurations", CONFIGS + "validatingwebhookconfigurations"


def shown(request):
    """A request without what is random, as one line."""
    request = json.loads(json.dumps(request))
    request.pop("uid")
    for key in "object", "oldObject":
        if request.get(key):
            metadata = request[key].get("metadata", {})
            metadata["managedFields"] = sorted((e["manager"], e["operation"]) for e in metadata.get("managedFields", []))
            for random in "uid", "resourceVersion", "creationTimestamp":
                if metadata.get(random):
                    metadata[random] = "SET"
    request["userInfo"] = {"has": sorted(set(request["userInfo"]) - {"extra"}), "groups": request["userInfo"].get("groups")}
    request["options"].pop("fieldManager", None)
    return json.dumps(request, sort_keys=True)


class Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request, path = review["request"], self.path.split("?")[0].strip("/")
        answer, status = {"uid": request["uid"], "allowed": True}, 200
        metadata = (request.get("object") or {}).get("metadata", {})

        def patch(*operations):
            answer.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(operations).encode()).decode())

        if path == "deny":
            answer.update(allowed=False, status={"message": "as it was told"})
        elif path == "deny-plain":
            answer.update(allowed=False)
        elif path == "deny-code":
            answer.update(allowed=False, status={"code": 403, "reason": "Forbidden", "message": "not you"})
        elif path == "deny-reason":
            answer.update(allowed=False, status={"code": 200, "reason": "Conflict"})
        elif path == "show":
            answer.update(allowed=False, status={"message": shown(request)})
        elif path == "warn":
            answer["warnings"] = ["be careful", "really"]
        elif path == "label":
            patch(*([] if "labels" in metadata else [{"op": "add", "path": "/metadata/labels", "value": {}}]), {"op": "add", "path": "/metadata/labels/hooked", "value": "yes"})
        elif path == "second":
            patch({"op": "add", "path": "/metadata/labels/second", "value": metadata.get("labels", {}).get("hooked", "none")})
        elif path == "data":
            patch({"op": "replace", "path": "/data/a", "value": "changed"}, {"op": "add", "path": "/bogus", "value": 1})
        elif path == "invalid":
            patch({"op": "add", "path": "/metadata/labels", "value": {"bad key!": "x"}})
        elif path == "no-apply":
            patch({"op": "remove", "path": "/nothing/here"})
        elif path == "container":
            patch({"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "sidecar:1"}})
        elif path == "no-type":
            answer["patch"] = base64.b64encode(b"[]").decode()
        elif path == "wrong-uid":
            answer["uid"] = "another"
        elif path == "broken":
            status = 500
        text = b"no json" if path == "garbage" else json.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def start():
    """Returns the variables of the rows, and what ends it."""
    directory = tempfile.TemporaryDirectory()
    key, cert = f"{directory.name}/key", f"{directory.name}/cert"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=webhook",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def end():
        server.shutdown()
        server.server_close()
        directory.cleanup()
    return {"HOOK": f"https://127.0.0.1:{server.server_port}", "CA": base64.b64encode(pathlib.Path(cert).read_bytes()).decode()}, end


ALL = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


def hook(path, name="a.hooks.example.com", rule=None, **more):
    return {"name": name, "clientConfig": {"url": "${HOOK}/" + path, "caBundle": "${CA}"}, "rules": [{**ALL, **(rule or {})}], "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "${NS}"}}, "timeoutSeconds": 5, **more}


def config(kind, name, *hooks):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + "WebhookConfiguration", "metadata": {"name": name + "-${NS}"}, "webhooks": list(hooks)}


def with_hook(kind, path, *rows, **more):
    """A webhook that is there for some requests. The real server learns of it by a watch: a probe is sent until it shows."""
    where = MUTATING if kind == "Mutating" else VALIDATING
    name = "w" + (more.get("id") or path)
    more.pop("id", None)
    gate = {**hook("deny", "gate.hooks.example.com"), "objectSelector": {"matchLabels": {"gate": name}}}
    return [R("on-" + name, "POST", where, config(kind, name, hook(path, **more), gate), silent=True),
            R("gate-" + name, "POST", CORE + "/configmaps?dryRun=All", configmap("gate", labels={"gate": name, "skip": "yes"}), until=lambda status, text: status >= 400, silent=True), *rows,
            R("off-" + name, "DELETE", where + "/" + name + "-${NS}", silent=True),
            R("gone-" + name, "POST", CORE + "/configmaps?dryRun=All", configmap("gate", labels={"gate": name, "skip": "yes"}), until=lambda status, text: status < 400, silent=True)]


SKIP = {"objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}}


def bad(id, change, kind="Validating"):
    entry = hook("allow")
    entry["clientConfig"] = {"url": "https://hooks.example.com/", "caBundle": ""}
    entry.update(change)
    return R("bad-" + id, "POST", VALIDATING if kind == "Validating" else MUTATING, config(kind, "bad", *([entry] if id != "twice" else [entry, entry])))


def denied(path, **more):
    return with_hook("Validating", path, R(path, "POST", CORE + "/configmaps", configmap("x")), **SKIP, **more)


REQUESTS = [
    bad("name", {"name": "short.name"}), bad("name-form", {"name": "No.Name.Example"}), bad("no-name", {"name": ""}), bad("twice", {}), bad("no-client", {"clientConfig": {}}),
    bad("both-clients", {"clientConfig": {"url": "https://x/", "service": {"name": "a", "namespace": "b"}}}), bad("http", {"clientConfig": {"url": "http://x.example.com/"}}),
    bad("user", {"clientConfig": {"url": "https://me@x.example.com/"}}), bad("service-empty", {"clientConfig": {"service": {"name": "", "namespace": ""}}}),
    bad("service-port", {"clientConfig": {"service": {"name": "a", "namespace": "b", "port": 70000}}}),
    bad("side-effects", {"sideEffects": "Some"}), bad("no-side-effects", {"sideEffects": None}), bad("timeout", {"timeoutSeconds": 31}), bad("policy", {"failurePolicy": "Maybe"}),
    bad("match", {"matchPolicy": "Some"}), bad("versions", {"admissionReviewVersions": ["v2"]}), bad("no-versions", {"admissionReviewVersions": []}),
    bad("operation", {"rules": [{**ALL, "operations": ["LIST"]}]}), bad("operations-all", {"rules": [{**ALL, "operations": ["*", "CREATE"]}]}), bad("no-operations", {"rules": [{**ALL, "operations": []}]}),
    bad("no-groups", {"rules": [{**ALL, "apiGroups": []}]}), bad("no-resources", {"rules": [{**ALL, "resources": []}]}), bad("versions-all", {"rules": [{**ALL, "apiVersions": ["*", "v1"]}]}),
    bad("scope", {"rules": [{**ALL, "scope": "Some"}]}), bad("selector", {"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}), bad("reinvocation", {"reinvocationPolicy": "Often"}, "Mutating"),
    R("defaults", "POST", MUTATING, config("Mutating", "defaults", {"name": "a.hooks.example.com", "clientConfig": {"service": {"name": "a", "namespace": "none"}}, "sideEffects": "None",
                                                                     "admissionReviewVersions": ["v1"], "rules": [{**ALL, "apiGroups": ["none.example.com"]}]})),
    R("defaults-off", "DELETE", MUTATING + "/defaults-${NS}"),
    R("defaults-validating", "POST", VALIDATING, config("Validating", "defaults", {"name": "a.hooks.example.com", "clientConfig": {"url": "https://hooks.example.com/"}, "sideEffects": "None",
                                                                                 "admissionReviewVersions": ["v1", "v1beta1"]})),
    R("defaults-validating-off", "DELETE", VALIDATING + "/defaults-${NS}"),
    R("base", "POST", CORE + "/configmaps", configmap("base", labels={"base": "1"})),
    *denied("deny"), *denied("deny-plain"), *denied("deny-code"), *denied("deny-reason"), *denied("wrong-uid"), *denied("garbage"), *denied("broken"), *denied("no-type"),
    *with_hook("Validating", "show", R("show-create", "POST", CORE + "/configmaps", configmap("shown")), R("show-generate", "POST", CORE + "/configmaps", {**configmap("x"), "metadata": {"generateName": "gen-"}}),
               R("show-update", "PUT", CORE + "/configmaps/base", configmap("base", {"a": "2"})), R("show-patch", "PATCH", CORE + "/configmaps/base?dryRun=All", {"data": {"b": "2"}}, MERGE),
               R("show-apply", "PATCH", CORE + "/configmaps/applied?fieldManager=me", configmap("applied"), APPLY), R("show-delete", "DELETE", CORE + "/configmaps/base"),
               R("show-delete-collection", "DELETE", CORE + "/configmaps?labelSelector=base=1"), R("not-asked-secret", "POST", CORE + "/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "free"}}), **SKIP),
    *with_hook("Mutating", "show", R("show-mutating", "POST", CORE + "/configmaps", configmap("shown")), R("show-mutating-generate", "POST", CORE + "/configmaps", {**configmap("x"), "metadata": {"generateName": "gen-"}}),
               R("show-mutating-delete", "DELETE", CORE + "/configmaps/base"), id="m", **SKIP),
    *with_hook("Validating", "warn", R("warned", "POST", CORE + "/configmaps", configmap("warned")), R("warned-get", "GET", CORE + "/configmaps/warned"), **SKIP),
    *with_hook("Mutating", "label", R("labelled", "POST", CORE + "/configmaps", configmap("labelled")), R("labelled-dry", "POST", CORE + "/configmaps?dryRun=All", configmap("dry")), R("labelled-get", "GET", CORE + "/configmaps/labelled"),
               R("labelled-patch", "PATCH", CORE + "/configmaps/base", {"data": {"c": "3"}}, MERGE), R("labelled-apply", "PATCH", CORE + "/configmaps/applied?fieldManager=me", configmap("applied"), APPLY),
               R("labelled-exists", "POST", CORE + "/configmaps", configmap("labelled")), R("labelled-refused", "POST", CORE + "/configmaps", configmap("Bad_Name")), **SKIP),
    *with_hook("Mutating", "data", R("data", "POST", CORE + "/configmaps", configmap("data")), **SKIP),
    *with_hook("Mutating", "invalid", R("invalid", "POST", CORE + "/configmaps", configmap("invalid")), **SKIP),
    *with_hook("Mutating", "no-apply", R("no-apply", "POST", CORE + "/configmaps", configmap("no-apply")), R("no-apply-none", "GET", CORE + "/configmaps/no-apply"), **SKIP),
    *with_hook("Mutating", "container", R("container", "POST", CORE + "/pods", pod("sidecars")), rule={"resources": ["pods", "configmaps"]}, objectSelector={"matchExpressions": [{"key": "gate", "operator": "DoesNotExist"}]}),
    *with_hook("Validating", "deny", R("only-create", "PATCH", CORE + "/configmaps/base", {"data": {"d": "4"}}, MERGE), R("only-create-denied", "POST", CORE + "/configmaps", configmap("x")), id="create", rule={"operations": ["CREATE"]}, **SKIP),
    *with_hook("Validating", "deny", R("scope-cluster", "POST", CORE + "/configmaps", configmap("scoped")), id="scope", rule={"scope": "Cluster"}, **SKIP),
    *with_hook("Validating", "deny", R("selected", "POST", CORE + "/configmaps", configmap("selected", labels={"pick": "me"})), R("not-selected", "POST", CORE + "/configmaps", configmap("not-selected")), id="object",
               objectSelector={"matchLabels": {"pick": "me"}}),
    *with_hook("Validating", "broken", R("ignored", "POST", CORE + "/configmaps", configmap("ignored")), id="ignored", failurePolicy="Ignore", **SKIP),
    *with_hook("Validating", "deny", R("status-free", "PATCH", CORE + "/pods/sidecars/status", {"status": {"message": "x"}}, MERGE), R("status-pod", "PATCH", CORE + "/pods/sidecars", {"metadata": {"labels": {"a": "b"}}}, MERGE), id="main",
               rule={"resources": ["pods", "configmaps"]}, objectSelector={"matchExpressions": [{"key": "gate", "operator": "DoesNotExist"}]}),
    *with_hook("Validating", "deny", R("status-denied", "PATCH", CORE + "/pods/sidecars/status", {"status": {"message": "y"}}, MERGE), R("status-main", "PATCH", CORE + "/pods/sidecars", {"metadata": {"labels": {"c": "d"}}}, MERGE), id="sub",
               rule={"resources": ["pods/status", "configmaps"]}, objectSelector={"matchExpressions": [{"key": "gate", "operator": "DoesNotExist"}]}),
    *with_hook("Validating", "deny", R("service-absent", "POST", CORE + "/configmaps", configmap("x")), id="service", clientConfig={"service": {"name": "absent", "namespace": "${NS}"}}, **SKIP),
    R("two", "POST", MUTATING, config("Mutating", "two", hook("label", **SKIP), hook("second", "b.hooks.example.com", **SKIP), {**hook("deny", "gate.hooks.example.com"), "objectSelector": {"matchLabels": {"gate": "two"}}}), silent=True),
    R("two-gate", "POST", CORE + "/configmaps?dryRun=All", configmap("gate", labels={"gate": "two", "skip": "yes"}), until=lambda status, text: status >= 400, silent=True),
    R("two-labelled", "POST", CORE + "/configmaps", configmap("two")),
    R("two-off", "DELETE", MUTATING + "/two-${NS}", silent=True),
]
