#!/usr/bin/env python3
"""Admission webhooks of a running instance: a URL on this machine, a service with a pod, and what happens to writes that wait: the object changes meanwhile, the
client or the server goes away, the webhook never answers. What is asked and answered is compared with a real server by tests/conformance."""
# timeout: 300
import base64
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/conformance"))
import conformance  # noqa: E402
from areas import configmap, webhooks  # noqa: E402

FIRESTEEL = os.environ["FIRESTEEL"]
TMP = pathlib.Path(os.environ["TEST_TMP"])
JSON = {"Content-Type": "application/json"}


def local(*argv):
    return subprocess.run([FIRESTEEL, "local", *argv], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Waiting(webhooks.Webhook):
    """Holds a request with the label `hold` until it is told to go on."""
    arrived, go_on, never, ended = threading.Semaphore(0), threading.Semaphore(0), threading.Event(), threading.Event()

    def do_POST(self):
        if self.path.startswith("/hold"):
            Waiting.arrived.release()
            Waiting.go_on.acquire()
        if self.path.startswith("/never"):
            Waiting.never.set()
            Waiting.ended.wait()
            return
        try:
            super().do_POST()
        except OSError:
            pass  # nobody waits for it any more


def until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


class Test:
    def __init__(self, server, variables):
        self.server, self.variables = server, variables

    def call(self, method, path, body=None, type="application/json"):
        text = json.dumps(body) if body is not None else None
        for key, value in self.variables.items():
            text = text and text.replace("${" + key + "}", value)
        status, headers, data = self.server.call(method, path, text, {"Content-Type": type} if text else {})
        return status, json.loads(data) if data.startswith(b"{") else data

    def hook(self, kind, path, **more):
        name = kind.lower() + "-" + path
        where = webhooks.MUTATING if kind == "Mutating" else webhooks.VALIDATING
        body = webhooks.config(kind, name, webhooks.hook(path, **more))
        body["metadata"]["name"] = name
        status, answer = self.call("POST", where, body)
        assert status == 201, answer
        return lambda: self.call("DELETE", where + "/" + name)


MAPS = "/api/v1/namespaces/default/configmaps"


def by_url(t):
    off = t.hook("Mutating", "label")
    status, answer = t.call("POST", MAPS, configmap("url"))
    assert status == 201 and answer["metadata"]["labels"] == {"hooked": "yes"}, answer
    assert t.call("GET", MAPS + "/url")[1]["metadata"]["uid"] == answer["metadata"]["uid"]
    off()


def changed_meanwhile(t):
    """The write waits, another one comes first: the patch is made anew on what is there now, and the webhook is asked again about that."""
    t.call("POST", MAPS, configmap("race", {"n": "0"}))
    off = t.hook("Validating", "hold", timeoutSeconds=30)
    result = []
    thread = threading.Thread(target=lambda: result.append(t.call("PATCH", MAPS + "/race", {"data": {"mine": "1"}}, "application/merge-patch+json")))
    thread.start()
    assert Waiting.arrived.acquire(timeout=60)
    off()  # the second write is not held
    status, answer = t.call("PATCH", MAPS + "/race", {"data": {"other": "1"}}, "application/merge-patch+json")
    assert status == 200, answer
    Waiting.go_on.release()
    thread.join()
    assert result[0][0] == 200, result
    assert t.call("GET", MAPS + "/race")[1]["data"] == {"n": "0", "mine": "1", "other": "1"}
    # With a resourceVersion of before it is a conflict.
    off = t.hook("Validating", "hold", timeoutSeconds=30)
    old = t.call("GET", MAPS + "/race")[1]
    thread = threading.Thread(target=lambda: result.append(t.call("PUT", MAPS + "/race", old | {"data": {}})))
    thread.start()
    assert Waiting.arrived.acquire(timeout=60)
    off()
    assert t.call("PATCH", MAPS + "/race", {"data": {"third": "1"}}, "application/merge-patch+json")[0] == 200
    Waiting.go_on.release()
    thread.join()
    assert result[1][0] == 409, result[1]


def client_goes(t):
    """Nothing is written for a client whose connection broke. (One that only ended its side may still read.)"""
    off = t.hook("Validating", "hold", timeoutSeconds=30)
    connection = conformance.http.client.HTTPSConnection(t.server.url.hostname, t.server.url.port, context=t.server.tls)
    connection.request("POST", MAPS, json.dumps(configmap("gone")), {**JSON, **t.server.headers})
    assert Waiting.arrived.acquire(timeout=60)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()
    connection.close()
    off()
    assert t.call("POST", MAPS, configmap("afterwards"))[0] == 201
    Waiting.go_on.release()
    assert t.call("GET", MAPS + "/gone")[0] == 404


def never_answers(t):
    for seconds in (1, 10, 30):  # on a busy machine a second may be over before the webhook is asked at all
        off = t.hook("Validating", "never", timeoutSeconds=seconds)
        status, answer = t.call("POST", MAPS, configmap("late"))
        assert status == 500 and "context deadline exceeded" in answer["message"], answer
        off()
        if Waiting.never.is_set():
            break
    assert Waiting.never.is_set(), "the webhook was not asked"
    off = t.hook("Validating", "never", timeoutSeconds=1, failurePolicy="Ignore")
    assert t.call("POST", MAPS, configmap("late"))[0] == 201
    Waiting.ended.set()
    off()


def collections(t):
    """Each object of a collection is asked about once, also those that only begin to end."""
    for i in range(3):
        body = configmap(f"many{i}", labels={"many": "yes"})
        if i == 1:
            body["metadata"]["finalizers"] = ["example.com/stays"]
        assert t.call("POST", MAPS, body)[0] == 201
    asked = []
    original = webhooks.shown
    webhooks.shown = lambda request: asked.append(request["oldObject"]["metadata"]["name"]) or "x"
    off = t.hook("Validating", "show", rule={"operations": ["DELETE"]})
    status, _ = t.call("DELETE", MAPS + "?labelSelector=many=yes")
    assert status == 400 and asked == ["many0"], (status, asked)
    off()
    off = t.hook("Validating", "warn", rule={"operations": ["DELETE"]})
    assert t.call("DELETE", MAPS + "?labelSelector=many=yes&dryRun=All")[0] == 200
    assert t.call("DELETE", MAPS + "?labelSelector=many=yes")[0] == 200
    left = [o["metadata"]["name"] for o in t.call("GET", MAPS + "?labelSelector=many=yes")[1]["items"]]
    assert left == ["many1"], left
    off()
    webhooks.shown = original
    t.call("PATCH", MAPS + "/many1", {"metadata": {"finalizers": None}}, "application/merge-patch+json")


SERVED = '''
import http.server, ssl, sys
sys.path.insert(0, "/hook")
import webhook
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/hook/cert", "/hook/key")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), webhook.Webhook)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'''


def by_service(t):
    directory = TMP / "hook"
    directory.mkdir()
    directory.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", directory / "key", "-out", directory / "cert", "-days", "2",
                    "-subj", "/CN=x", "-addext", "subjectAltName=DNS:hooks.default.svc"], check=True, capture_output=True)
    files = {name: (directory / name).read_text() for name in ("key", "cert")}
    source = (ROOT / "tests/conformance/areas/webhooks.py").read_text()
    files["webhook.py"] = source[:source.index("def start")].replace("from areas import *\n", "")
    files["serve.py"] = SERVED
    assert t.call("POST", MAPS, configmap("hook-files", files))[0] == 201
    assert t.call("POST", "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hooks", "labels": {"app": "hooks"}}, "spec": {
        "volumes": [{"name": "f", "configMap": {"name": "hook-files"}}], "terminationGracePeriodSeconds": 0, "containers": [{
            "name": "c", "image": "python", "command": ["python3", "/hook/serve.py"], "ports": [{"name": "https", "containerPort": 8443}], "volumeMounts": [{"name": "f", "mountPath": "/hook"}],
            "readinessProbe": {"tcpSocket": {"port": "https"}, "periodSeconds": 1}}]}})[0] == 201
    assert t.call("POST", "/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks"}, "spec": {
        "selector": {"app": "hooks"}, "ports": [{"port": 443, "targetPort": "https"}]}})[0] == 201
    config = {"service": {"name": "hooks", "namespace": "default", "path": "/label"}, "caBundle": base64.b64encode(files["cert"].encode()).decode()}
    until("the pod of the webhook is ready", lambda: any(c["type"] == "Ready" and c["status"] == "True" for c in t.call(
        "GET", "/api/v1/namespaces/default/pods/hooks")[1]["status"].get("conditions", [])), 120)
    off = t.hook("Mutating", "label", clientConfig=config)
    status, answer = t.call("POST", MAPS, configmap("service"))
    assert status == 201 and answer["metadata"]["labels"] == {"hooked": "yes"}, answer
    # Verified: by the name called, against the bundle.
    off()
    off = t.hook("Mutating", "label", clientConfig=config | {"caBundle": t.variables["CA"]})
    status, answer = t.call("POST", MAPS, configmap("service-2"))
    assert status == 500 and "failed calling webhook" in answer["message"] and "certificate" in answer["message"], answer
    off()
    off = t.hook("Mutating", "label", clientConfig=config)
    t.call("DELETE", "/api/v1/namespaces/default/pods/hooks")
    until("the pod is gone", lambda: t.call("GET", "/api/v1/namespaces/default/pods/hooks")[0] == 404)
    status, answer = t.call("POST", MAPS, configmap("service-3"))
    assert status == 500 and 'no endpoints available for service "hooks"' in answer["message"], answer
    off()


def server_goes(t):
    """A server that ends does not wait for a webhook; what was not allowed is not there afterwards."""
    t.hook("Validating", "hold", timeoutSeconds=30)
    result = []

    def post():
        try:
            result.append(t.call("POST", MAPS, configmap("ended"))[0])
        except (OSError, conformance.http.client.HTTPException):
            result.append(0)
    thread = threading.Thread(target=post)
    thread.start()
    assert Waiting.arrived.acquire(timeout=60)
    local("down")
    thread.join()
    Waiting.go_on.release()
    assert result[0] in (0, 503), result
    local("up", "-q")
    assert t.call("GET", MAPS + "/ended")[0] == 404


def main():
    webhooks.Webhook = Waiting
    variables, end = webhooks.start()
    local("up", "-q")
    try:
        t = Test(conformance.Server(local("kubeconfig")), {**variables, "NS": "default"})
        until("the namespace has its service account", lambda: t.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        possible = json.loads(local("status", "-o", "json"))["isolation"]["possible"]
        for test in (by_url, changed_meanwhile, client_goes, never_answers, collections, *([by_service] if possible else []), server_goes):
            test(t)
            print("ok", test.__name__, flush=True)
        if not possible:
            print("left out: a webhook in a pod, for pods cannot run here")
    finally:
        subprocess.run([FIRESTEEL, "local", "reset", "--yes"], stdout=subprocess.DEVNULL)
        end()


if not shutil.which("openssl"):
    print("openssl is not here")
    sys.exit(77)
main()
