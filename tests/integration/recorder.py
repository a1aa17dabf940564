"""An API server that records: enough of Kubernetes for a submission, in memory, with failures on demand. For tests and tools/bench.

    with Recorder() as api:
        run(["firesteel", "submit", "--master", "k8s://" + api.url, ...])
        api.requests          # [{"method", "path", "query", "body", "headers"}], in order
        api.objects()         # what is there now

Recorder(fail=[{"method": "PATCH", "path": "/services/", "status": 403, "times": 1}]) answers so instead, `times` (or always) after the first
`skip` that match. phases=["Running", "Succeeded"] are what a driver pod goes through once it is watched, step_seconds apart; a dict is a whole
status. Run as a program it serves until its standard input ends, and says its URL first; with --count it keeps no bodies.
"""
import http.server
import json
import re
import socketserver
import sys
import threading
import time
import urllib.parse

KINDS = {"pods": "Pod", "services": "Service", "configmaps": "ConfigMap", "secrets": "Secret", "persistentvolumeclaims": "PersistentVolumeClaim", "events": "Event"}
PATH = re.compile(r"/api/v1(?:/namespaces/([^/]+))?/(\w+)(?:/([^/]+))?(?:/(\w+))?$")
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 410: "Expired", 422: "Invalid", 429: "TooManyRequests",
           500: "InternalError", 503: "ServiceUnavailable"}


def status_of(phase):
    if isinstance(phase, dict):
        return phase
    status = {"phase": phase, "startTime": "2026-01-02T03:04:06Z"}
    state = {"running": {"startedAt": "2026-01-02T03:04:07Z"}}
    if phase in ("Succeeded", "Failed"):
        state = {"terminated": {"exitCode": 0 if phase == "Succeeded" else 7, "reason": "Completed" if phase == "Succeeded" else "Error",
                                "startedAt": "2026-01-02T03:04:07Z", "finishedAt": "2026-01-02T03:04:09Z"}}
    if phase != "Pending":
        status["containerStatuses"] = [{"name": "spark-kubernetes-driver", "image": "img", "imageID": "x", "ready": "running" in state, "restartCount": 0, "state": state}]
    return status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def log_message(self, *args):
        pass

    def send_json(self, status, value):
        body = json.dumps(value).encode()
        self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        self.wfile.flush()

    def refuse(self, status, message="", reason=None):
        self.send_json(status, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
                                "reason": reason or REASONS.get(status, "Unknown"), "message": message or "refused by the test"})

    def read_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def any_method(self):
        api, body = self.server.api, self.read_body()
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        refusal = api.note(self.command, path, query, body, self.headers)
        if refusal:
            self.refuse(refusal["status"], refusal.get("message", ""), refusal.get("reason"))
            return
        match = PATH.match(path)
        if not match:
            self.refuse(404, "no such path")
            return
        getattr(self, "on_" + self.command.lower())(api, *match.groups(), urllib.parse.parse_qs(query), body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = any_method

    def on_post(self, api, namespace, plural, name, subresource, query, body):
        value = json.loads(body)
        name = value["metadata"].get("name")
        with api.lock:
            if (namespace, plural, name) in api.store:
                taken = True
            else:
                taken = False
                api.keep(namespace, plural, name, value)
        if taken:
            self.refuse(409, f'{plural} "{name}" already exists')
        else:
            self.send_json(201, value)

    def on_patch(self, api, namespace, plural, name, subresource, query, body):
        value = json.loads(body)
        with api.lock:
            old = api.store.get((namespace, plural, name))
            if "apply" not in (self.headers.get("Content-Type") or "") and old:
                merged = json.loads(json.dumps(old))
                merge(merged, value)
                value = merged
            api.keep(namespace, plural, name, value, old)
        self.send_json(200 if old else 201, value)

    def on_put(self, api, namespace, plural, name, subresource, query, body):
        self.on_patch(api, namespace, plural, name, subresource, query, body)

    def on_delete(self, api, namespace, plural, name, subresource, query, body):
        with api.lock:
            found = api.store.pop((namespace, plural, name), None)
            if found and plural == "pods":
                for key in [k for k, o in api.store.items() if any(r.get("uid") == found["metadata"]["uid"] for r in o["metadata"].get("ownerReferences", []))]:
                    del api.store[key]
        if found:
            self.send_json(200, found)
        else:
            self.refuse(404, f'{plural} "{name}" not found')

    def on_get(self, api, namespace, plural, name, subresource, query, body):
        if subresource == "log":
            text = api.log.encode()
            self.wfile.write(b"HTTP/1.1 200 x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            self.wfile.flush()
        elif query.get("watch") and self.headers.get("Upgrade"):
            self.refuse(400, "no WebSockets here") # Spark's client then asks without
        elif query.get("watch"):
            self.watch(api, namespace, plural, query)
        elif name:
            with api.lock:
                found = api.store.get((namespace, plural, name))
            if found:
                self.send_json(200, found)
            else:
                self.refuse(404, f'{plural} "{name}" not found')
        else:
            self.send_json(200, {"kind": KINDS.get(plural, "X") + "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(api.version)},
                                 "items": api.select(namespace, plural, query)})

    def watch(self, api, namespace, plural, query):
        """What is there, then the scripted phases, then silence until the client goes."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.wfile.flush()
        api.watches += 1
        try:
            if "resourceVersion" not in query or query["resourceVersion"] == ["0"]:
                for found in api.select(namespace, plural, query):
                    self.event("ADDED", found)
            while not api.closing:
                with api.lock:
                    phase = api.phases.pop(0) if api.phases else None
                if phase is None:
                    time.sleep(0.02)
                    continue
                if phase == "410":
                    self.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
                    return
                if phase == "cut":
                    return
                time.sleep(api.step_seconds)
                for found in api.select(namespace, plural, query):
                    with api.lock:
                        found["status"] = status_of(phase)
                        api.keep(namespace, plural, found["metadata"]["name"], found, found)
                    self.event("MODIFIED", found)
        except OSError:
            pass

    def event(self, kind, value):
        line = json.dumps({"type": kind, "object": value}).encode() + b"\n"
        self.wfile.write(b"%x\r\n" % len(line) + line + b"\r\n")
        self.wfile.flush()


def merge(into, value):
    for key, item in value.items():
        if isinstance(item, dict) and isinstance(into.get(key), dict):
            merge(into[key], item)
        elif item is None:
            into.pop(key, None)
        else:
            into[key] = item


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def process_request(self, request, client_address):
        self.api.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        pass # a client that went away


class Recorder:
    def __init__(self, fail=(), phases=(), log="", step_seconds=0.05, seed=(), keep_bodies=True):
        self.fail = [dict(f) for f in fail]
        self.phases = list(phases)
        self.log = log
        self.step_seconds = step_seconds
        self.keep_bodies = keep_bodies
        self.requests, self.store = [], {}
        self.lock = threading.RLock()
        self.version = self.watches = self.count = self.connections = 0
        self.closing = False
        for namespace, plural, value in seed:
            self.keep(namespace, plural, value["metadata"]["name"], value)
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.api = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing = True
        self.server.shutdown()
        self.server.server_close()

    def note(self, method, path, query, body, headers):
        with self.lock:
            self.count += 1
            if self.keep_bodies:
                self.requests.append({"method": method, "path": path, "query": query, "body": body, "headers": dict(headers)})
            for f in self.fail:
                if re.fullmatch(f.get("method", ".*"), method) and re.search(f.get("path", ""), path) and f.get("times", 1):
                    if f.get("skip"):
                        f["skip"] -= 1
                        continue
                    if "times" in f:
                        f["times"] -= 1
                    return f
        return None

    def keep(self, namespace, plural, name, value, old=None):
        self.version += 1
        meta = value.setdefault("metadata", {})
        meta["resourceVersion"] = str(self.version)
        meta.setdefault("namespace", namespace)
        meta["uid"] = old["metadata"]["uid"] if old else "00000000-0000-4000-8000-%012d" % self.version
        meta.setdefault("creationTimestamp", "2026-01-02T03:04:05Z")
        if plural == "pods":
            value.setdefault("status", {"phase": "Pending"})
        self.store[namespace, plural, name] = value

    def select(self, namespace, plural, query):
        labels = dict(part.split("=", 1) for part in (query.get("labelSelector") or [""])[0].split(",") if "=" in part and "!=" not in part)
        fields = dict(part.split("=", 1) for part in (query.get("fieldSelector") or [""])[0].split(",") if "=" in part)
        with self.lock:
            return [o for (n, p, _), o in self.store.items()
                    if p == plural and namespace in (None, n) and all(o["metadata"].get("labels", {}).get(k) == v for k, v in labels.items())
                    and o["metadata"]["name"] == fields.get("metadata.name", o["metadata"]["name"])]

    def objects(self):
        with self.lock:
            return sorted(f"{p}/{name}" for _, p, name in self.store)

    def line(self):
        """The requests in short: POST pods, PATCH configmaps ..."""
        with self.lock:
            return [r["method"] + " " + (PATH.match(r["path"]).group(2) if PATH.match(r["path"]) else r["path"]) for r in self.requests]


if __name__ == "__main__":
    with Recorder(keep_bodies="--count" not in sys.argv) as recorder:
        print(recorder.url, flush=True)
        sys.stdin.read()
        print(recorder.count, flush=True)
