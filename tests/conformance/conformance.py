#!/usr/bin/env python3
"""Sends scripts of requests to Kubernetes API servers and compares the normalised answers.

  conformance.py record KUBECONFIG OUT.json [AREA...]        answers of one server
  conformance.py compare REAL.json OTHER.json [--all]        where two recordings differ; exit code 1 below the bar
  conformance.py list                                        the areas and how many requests each has

An area is a module areas/<name>.py with a list REQUESTS of areas.R(...) rows, run in order in a namespace of its own
that is made first and removed last. No pod is ever scheduled (schedulerName: nobody), so no node is needed. The bar: every status equal,
95 % of the answers identical after normalising what is random (uids, times, resource versions, generated names), every difference explained
in exceptions.json but for a few that are a matter of time.
Only the standard library is used.
"""
import base64
import http.client
import importlib
import json
import lzma
import pathlib
import re
import secrets
import socket
import ssl
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
BAR = 0.95
UNNAMED = 5  # differences without a reason: how far controllers are at a moment is a matter of load

# Members whose value is random or a time, and what stands for it.
RANDOM = {
    "uid": "U", "resourceVersion": "RV", "creationTimestamp": "T", "deletionTimestamp": "T", "lastTransitionTime": "T", "time": "T",
    "startTime": "T", "completionTime": "T", "lastHeartbeatTime": "T", "clusterIP": "IP", "controller-uid": "U",
    "batch.kubernetes.io/controller-uid": "U", "lastTimestamp": "T", "firstTimestamp": "T", "expirationTimestamp": "T", "token": "TOK",
    "pod-template-hash": "H", "controller-revision-hash": "H", "ca.crt": "CA", "continue": "C", "lastUpdateTime": "T", "hash": "H",
    "lastScheduleTime": "T", "renewTime": "T", "acquireTime": "T", "nodePort": "PORT", "healthCheckNodePort": "PORT", "updateRevision": "H",
    "currentRevision": "H", "buildDate": "B", "gitCommit": "B", "goVersion": "B", "platform": "B", "compiler": "B", "gitVersion": "B",
    "authentication.kubernetes.io/credential-id": "ID", "remainingItemCount": "N", "caBundle": "CA", "deployment.kubernetes.io/revision": "1",
}
PATTERNS = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "U"),
    (re.compile(r"kube-api-access-[a-z0-9]{5}"), "kube-api-access-R"),
    (re.compile(r"\b(gen|dep|job|rs|cj)-[a-z0-9]{5,10}(-[a-z0-9]{5})?\b"), r"\1-R"),
    (re.compile(r"\b(pf-[a-z]+(-\d+)?)-[a-z0-9]{5}\b"), r"\1-R"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "T"),
    (re.compile(r"^\d+[sm]$"), "AGE"),
    (re.compile(r"current: \d+|resource version: \d+ \(\d+\)|\(\d+ > \d+\)"), "RVS"),
    (re.compile(r"resourceVersion: \d+, current: \d+"), "RVS"),
    (re.compile(r'(resourceVersion\\*": ?\\*"|resourceVersion: "|in record \()\d+'), r"\1RV"),
    (re.compile(r"\bBad_[a-z0-9]{5}\b"), "Bad_R"),
    (re.compile(r":3\d{4}/(TCP|UDP)"), r":PORT/\1"),
    (re.compile(r"\b10\.96\.\d+\.\d+\b"), "IP"),
    (re.compile(r"https://127\.0\.0\.1:\d+"), "https://HOOK"),
]


def normal(value, key=None):
    if isinstance(value, dict):
        out = {}
        for name, inner in sorted(value.items()):
            if name == "managedFields":
                out[name] = normal_managed(inner)
            elif name in RANDOM and inner not in (None, "None", "") and not isinstance(inner, (dict, list)):
                out[name] = RANDOM[name]
            elif name == "clusterIPs" and inner != ["None"]:
                out[name] = ["IP"]
            else:
                out[name] = normal(inner, name)
        return out
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, str):
        for pattern, word in PATTERNS:
            value = pattern.sub(word, value)
    return value


def normal_managed(entries):
    """Managers, operations and subresources; the field sets only in the area that is about them (see R.managed)."""
    if not isinstance(entries, list):
        return entries
    return sorted((e.get("manager", ""), e.get("operation", ""), e.get("subresource", "")) for e in entries)


class Server:
    def __init__(self, kubeconfig):
        text = pathlib.Path(kubeconfig).read_text()
        config = self.load(text)
        context = next(c for c in config["contexts"] if c["name"] == config["current-context"])["context"]
        cluster = next(c for c in config["clusters"] if c["name"] == context["cluster"])["cluster"]
        user = next(u for u in config["users"] if u["name"] == context["user"])["user"]
        self.url = urllib.parse.urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cafile=self.file(cluster, "certificate-authority"))
        self.no_certificate = ssl.create_default_context(cafile=self.file(cluster, "certificate-authority"))
        if self.file(user, "client-certificate"):
            self.tls.load_cert_chain(self.file(user, "client-certificate"), self.file(user, "client-key"))
        self.headers = {"Authorization": "Bearer " + user["token"]} if "token" in user else {}

    @staticmethod
    def load(text):
        try:
            return json.loads(text)
        except ValueError:
            import yaml
            return yaml.safe_load(text)

    @staticmethod
    def file(holder, key):
        if key in holder:
            return holder[key]
        if key + "-data" not in holder:
            return None
        handle = tempfile.NamedTemporaryFile(delete=False)
        handle.write(base64.b64decode(holder[key + "-data"]))
        handle.close()
        return handle.name

    def call(self, method, path, body=None, headers=None, token=None, stop=None):
        sent = dict(headers or {})
        context = self.tls
        if token is not None:
            context = self.no_certificate
            if token:
                sent["Authorization"] = "Bearer " + token
        else:
            sent.update(self.headers)
        connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=context, timeout=60)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            try:
                data = read_until(answer, stop) if stop else answer.read()
            except (socket.timeout, http.client.IncompleteRead) as broken:
                data = getattr(broken, "partial", b"")
            return answer.status, answer.headers, data
        finally:
            connection.close()


def read_until(answer, stop):
    """The whole lines of a stream, up to the one with these bytes."""
    data = b""
    for line in answer:
        data += line
        if stop in line:
            break
    return data


def body_of(data):
    text = data.decode("utf-8", "replace")
    try:
        return normal(json.loads(text))
    except ValueError:
        pass
    try:
        lines = [normal(json.loads(line)) for line in text.splitlines()]
        if lines:
            return lines
    except ValueError:
        pass
    return normal(text[:2000])


def shorten(body):
    """Long discovery lists differ by what a server has; their names say enough."""
    if isinstance(body, dict) and body.get("kind") in ("APIResourceList", "APIGroupList", "APIGroupDiscoveryList") and len(json.dumps(body)) > 20000:
        items = body.get("resources") or body.get("groups") or body.get("items")
        return {"kind": body["kind"], "names": sorted(i.get("name") or i["metadata"]["name"] for i in items)}
    return body


def record_area(server, name, recorded):
    module = importlib.import_module("areas." + name)
    namespace = f"conf-{name}-{secrets.token_hex(3)}"
    remembered = {"NS": namespace}
    more, end = module.start() if hasattr(module, "start") else ({}, lambda: None)
    remembered.update(more)

    def fill(text):
        return re.sub(r"\$\{(\w+)\}", lambda m: str(remembered.get(m.group(1), m.group(0))), text)

    server.call("POST", "/api/v1/namespaces", json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
                {"Content-Type": "application/json"})
    wait_until(lambda: server.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")[0] == 200)
    for row in module.REQUESTS:
        if row.wait:
            # What is not compared may also wait for what only one of the servers does.
            wait_until(lambda: satisfied(server, fill(row.path), row.wait), 15 if row.silent else 60)
        body = row.body if row.body is None or isinstance(row.body, (str, bytes)) else json.dumps(row.body)
        if isinstance(body, str):
            body = fill(body).encode()
        headers = {k: fill(v) for k, v in row.headers.items()}
        token = None if row.token is None else fill(row.token)
        try:
            if row.until:
                wait_until(lambda: row.until(*server.call(row.method, fill(row.path), body, headers, token)[::2]))
            status, answer_headers, data = server.call(row.method, fill(row.path), body, headers, token, row.stop)
        except (OSError, http.client.HTTPException) as broken:
            status, answer_headers, data = 0, {}, repr(broken).encode()
        for variable, pointer in row.remember.items():
            remembered[variable] = look_up(json.loads(data), pointer) if 200 <= status < 300 else "none"
        if not row.silent:
            recorded[f"{name}/{row.id}"] = {
                "request": f"{row.method} {row.path}", "code": status, "type": answer_headers.get("content-type"),
                "body": shorten(body_of(data.replace(namespace.encode(), b"conf-NS")))}
    # A pod bound to a node that does not exist is ended by nobody.
    server.call("DELETE", f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0")
    server.call("DELETE", f"/api/v1/namespaces/{namespace}")
    end()


def look_up(value, pointer):
    for part in pointer.strip("/").split("/"):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else "none"
        else:
            value = value.get(part, "none") if isinstance(value, dict) else "none"
    return value


def satisfied(server, path, wait):
    try:
        status, _, data = server.call("GET", path.split("?")[0])
    except (OSError, http.client.HTTPException):
        return False
    if isinstance(wait, int):
        return status == wait
    if status != 200:
        return False
    try:
        return wait(json.loads(data))
    except (KeyError, IndexError, TypeError, ValueError):
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)


def area_names():
    return sorted(p.stem for p in (HERE / "areas").glob("*.py") if p.stem != "__init__")


def record(kubeconfig, out, areas):
    server = Server(kubeconfig)
    recorded = {}
    for name in areas or area_names():
        record_area(server, name, recorded)
    text = json.dumps(recorded, indent=1, sort_keys=True)
    if out.endswith(".xz"):
        pathlib.Path(out).write_bytes(lzma.compress(text.encode(), preset=9))
    else:
        pathlib.Path(out).write_text(text)
    print(f"{len(recorded)} answers recorded in {out}")


def load(path):
    data = pathlib.Path(path).read_bytes()
    return json.loads(lzma.decompress(data) if path.endswith(".xz") else data)


def flat(value, path=""):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from flat(inner, f"{path}[{i}]")
    else:
        yield path, value


def settled(value, key=None):
    """What a server answers differently from one time to the next: how far a controller is, and in which order it found what is wrong."""
    if isinstance(value, dict):
        return {k: "G" if k == "observedGeneration" else settled(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return sorted(map(settled, value), key=json.dumps) if key == "causes" else [settled(v) for v in value]
    found = re.fullmatch(r"(.* is invalid: \[)(.*)\]", value, re.S) if isinstance(value, str) else None
    return found[1] + ", ".join(sorted(found[2].split(", "))) + "]" if found else value


def exceptions():
    """Reviewed differences: request id -> reason."""
    path = HERE / "exceptions.json"
    return json.loads(path.read_text()) if path.exists() else {}


def compare(first, second, show_all=False):
    real, other, known = load(first), load(second), exceptions()
    same_status = identical = 0
    status_bad, unnamed = [], []
    for name, a in real.items():
        b = other.get(name, {"code": 0, "type": None, "body": "not recorded"})
        same_status += a["code"] == b["code"]
        x, y = dict(flat(settled(a["body"]))), dict(flat(settled(b["body"])))
        different = [k for k in sorted(set(x) | set(y)) if x.get(k, "-") != y.get(k, "-")]
        if a["code"] == b["code"] and a["type"] == b["type"] and not different:
            identical += 1
            continue
        if a["code"] != b["code"]:
            status_bad.append(name)
        if name not in known:
            unnamed.append(name)
        print(f"{name}: {a['request']}  status {a['code']}/{b['code']}" + (f"  type {a['type']}/{b['type']}" if a["type"] != b["type"] else "")
              + f"  {len(different)} differences" + (f"  (known: {known[name]})" if name in known else ""))
        for key in different[:None if show_all else 4]:
            print(f"    {key or '.'}: real={x.get(key, '-')!r:.160} other={y.get(key, '-')!r:.160}")
    print(f"{len(real)} requests: same status {same_status}, identical {identical} ({100 * identical / max(1, len(real)):.1f} %)")
    if unnamed:
        print(f"without a reason in exceptions.json: {' '.join(unnamed)}")
    return 0 if not status_bad and identical >= BAR * len(real) and len(unnamed) <= UNNAMED else 1


def main(argv):
    if argv[:1] == ["record"] and len(argv) >= 3:
        record(argv[1], argv[2], argv[3:])
        return 0
    if argv[:1] == ["compare"] and len(argv) >= 3:
        return compare(argv[1], argv[2], "--all" in argv)
    if argv == ["list"]:
        total = 0
        for name in area_names():
            count = sum(not r.silent for r in importlib.import_module("areas." + name).REQUESTS)
            total += count
            print(f"{count:5} {name}")
        print(f"{total:5} in all")
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
