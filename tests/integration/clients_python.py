#!/usr/bin/env python3
"""The Python `kubernetes` client: typed and dynamic API, watches, every patch type, errors, logs, exec and port-forward streams, leader leases."""
# timeout: 300
import json
import os
import subprocess
import sys
import time

CACHE = os.environ["FIRESTEEL_CACHE"]
PYTHON = os.path.join(CACHE, "python-client", "bin", "python3")
if not os.path.exists(os.path.join(CACHE, "python-client", ".complete")):
    print("the Python client is not here: tools/setup test installs it")
    sys.exit(77)
if os.path.realpath(sys.prefix) != os.path.realpath(os.path.join(CACHE, "python-client")):
    os.execv(PYTHON, [PYTHON, __file__])

from kubernetes import client, config, dynamic, utils, watch  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402
from kubernetes.stream import portforward, stream  # noqa: E402

FIRESTEEL = os.environ["FIRESTEEL"]


def local(*argv):
    return subprocess.run([FIRESTEEL, "local", *argv], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def eventually(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def refused(status, reason, fn, *argv, **kw):
    try:
        fn(*argv, **kw)
    except ApiException as e:
        body = json.loads(e.body)
        assert (e.status, body["reason"]) == (status, reason), (e.status, body)
        return body
    raise AssertionError(f"{fn.__name__} was not refused")


def objects(core):
    made = core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py", labels={"a": "b"}), data={"k": "v"}))
    assert made.metadata.uid and made.metadata.creation_timestamp
    refused(409, "AlreadyExists", core.create_namespaced_config_map, "default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py")))
    refused(404, "NotFound", core.read_namespaced_config_map, "none", "default")
    core.patch_namespaced_config_map("py", "default", {"data": {"k": "w", "l": "1"}})  # strategic, by the client's choice
    core.patch_namespaced_config_map("py", "default", [{"op": "remove", "path": "/data/l"}])  # a list is a JSON patch
    now = core.read_namespaced_config_map("py", "default")
    assert now.data == {"k": "w"}, now.data
    now.data = {"z": "1"}
    core.replace_namespaced_config_map("py", "default", now)
    refused(409, "Conflict", core.replace_namespaced_config_map, "py", "default", now)  # its resourceVersion is old now
    body = refused(422, "Invalid", core.create_namespaced_service, "default", {"metadata": {"name": "Bad"}, "spec": {"ports": [{"port": 0}]}})
    assert len(body["details"]["causes"]) >= 2, body
    assert [i.metadata.name for i in core.list_namespaced_config_map("default", label_selector="a=b").items] == ["py"]
    first = core.list_config_map_for_all_namespaces(limit=1)
    rest = core.list_config_map_for_all_namespaces(limit=100, _continue=first.metadata._continue)
    assert len(first.items) == 1 and rest.items and first.items[0].metadata.uid not in [i.metadata.uid for i in rest.items]


def watching(core):
    start = core.list_namespaced_config_map("default").metadata.resource_version
    for n in range(3):
        core.create_namespaced_config_map("default", {"metadata": {"name": f"w{n}", "labels": {"w": "1"}}})
    core.delete_namespaced_config_map("w1", "default")
    w, seen = watch.Watch(), []
    for event in w.stream(core.list_namespaced_config_map, "default", label_selector="w=1", resource_version=start, timeout_seconds=30):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 4:
            w.stop()
    assert seen == [("ADDED", "w0"), ("ADDED", "w1"), ("ADDED", "w2"), ("DELETED", "w1")], seen


def dynamically(api):
    dyn = dynamic.DynamicClient(api)
    crds = dyn.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    crds.create(body={"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "jobs.py.example.com"}, "spec": {
        "group": "py.example.com", "scope": "Namespaced", "names": {"plural": "jobs", "kind": "PyJob"}, "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5, "default": 1}}}}}}}]}})
    eventually("the kind", lambda: any(c.type == "Established" for c in (crds.get(name="jobs.py.example.com").status.conditions or [])))
    dyn.resources.invalidate_cache()
    jobs = dyn.resources.get(api_version="py.example.com/v1", kind="PyJob")
    made = jobs.create(namespace="default", body={"apiVersion": "py.example.com/v1", "kind": "PyJob", "metadata": {"name": "a"}, "spec": {}})
    assert made.spec.n == 1
    jobs.server_side_apply(namespace="default", name="a", field_manager="py", force_conflicts=True, body={"apiVersion": "py.example.com/v1", "kind": "PyJob", "metadata": {"name": "a"}, "spec": {"n": 4}})
    assert jobs.get(namespace="default", name="a").spec.n == 4
    try:
        jobs.patch(namespace="default", name="a", body={"spec": {"n": 6}}, content_type="application/merge-patch+json")
        raise AssertionError("6 was accepted")
    except dynamic.exceptions.UnprocessibleEntityError:
        pass
    custom = client.CustomObjectsApi(api)
    assert custom.get_namespaced_custom_object("py.example.com", "v1", "default", "jobs", "a")["spec"]["n"] == 4
    jobs.delete(namespace="default", name="a")
    crds.delete(name="jobs.py.example.com")


def rights(api, core):
    core.create_namespaced_service_account("default", {"metadata": {"name": "py"}})
    client.RbacAuthorizationV1Api(api).create_namespaced_role("default", {"metadata": {"name": "py"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]})
    client.RbacAuthorizationV1Api(api).create_namespaced_role_binding("default", {
        "metadata": {"name": "py"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "py"}, "subjects": [{"kind": "ServiceAccount", "name": "py", "namespace": "default"}]})
    token = core.create_namespaced_service_account_token("py", "default", {"spec": {"expirationSeconds": 600}}).status.token
    mine = client.Configuration.get_default_copy()
    mine.cert_file = mine.key_file = mine.refresh_api_key_hook = None
    mine.api_key = {"authorization": "Bearer " + token}
    limited = client.CoreV1Api(client.ApiClient(mine))
    limited.read_namespaced_config_map("py", "default")
    refused(403, "Forbidden", limited.list_namespaced_secret, "default")
    review = client.AuthorizationV1Api(client.ApiClient(mine)).create_self_subject_access_review({"spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "configmaps"}}})
    assert review.status.allowed


def pods(api, core):
    utils.create_from_dict(api, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "py"}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "c", "image": "python", "command": ["sh", "-c", "echo from the pod; exec python3 -m http.server 8000 --directory /etc"]}]}}, namespace="default")
    eventually("running", lambda: core.read_namespaced_pod("py", "default").status.phase == "Running")
    eventually("the log", lambda: "from the pod" in core.read_namespaced_pod_log("py", "default"))
    assert stream(core.connect_get_namespaced_pod_exec, "py", "default", command=["echo", "one two"], stdout=True, stderr=True) == "one two\n"
    shell = stream(core.connect_get_namespaced_pod_exec, "py", "default", command=["sh", "-c", "read line; echo got $line; echo bad >&2; exit 3"], stdin=True, stdout=True, stderr=True,
                   _preload_content=False)
    shell.write_stdin("input\n")
    shell.run_forever(timeout=60)
    assert shell.read_stdout() == "got input\n" and shell.read_stderr() == "bad\n" and shell.returncode == 3, shell.returncode
    eventually("the server in the pod", lambda: stream(core.connect_get_namespaced_pod_exec, "py", "default", stdout=True, stderr=True, command=[
        "python3", "-c", "import socket; print('error', socket.socket().connect_ex(('127.0.0.1', 8000)))"]) == "error 0\n")
    forward = portforward(core.connect_get_namespaced_pod_portforward, "py", "default", ports="8000")
    socket = forward.socket(8000)
    socket.settimeout(60)
    socket.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.strip().endswith(b"py"):
        part = socket.recv(4096)
        if not part:
            break
        answer += part
    assert answer.startswith(b"HTTP/1.0 200"), answer
    core.delete_namespaced_pod("py", "default")
    eventually("gone", lambda: not core.list_namespaced_pod("default").items)


def main():
    local("up", "-q")
    try:
        config.load_kube_config(local("kubeconfig"))
        api = client.ApiClient()
        core = client.CoreV1Api(api)
        assert client.VersionApi(api).get_code().major == "1"
        objects(core)
        watching(core)
        dynamically(api)
        rights(api, core)
        if json.loads(local("status", "-o", "json"))["isolation"]["possible"]:
            pods(api, core)
        print("ok")
    finally:
        local("down")


main()
