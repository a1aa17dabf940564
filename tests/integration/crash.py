#!/usr/bin/env python3
"""The server is killed (SIGKILL) at random moments while clients write: nothing that was acknowledged is lost or undone, revisions never go back, and the next
start leaves no process of the last one. A watcher that does not read is cut off with bounded memory; bodies beyond the limit are refused."""
# timeout: 500
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))
import conformance  # noqa: E402

FIRESTEEL = os.environ["FIRESTEEL"]
ROUNDS, WRITERS = 8, 4
CM = "/api/v1/namespaces/default/configmaps"
JSON = {"Content-Type": "application/json"}
seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
rng = random.Random(seed)


def local(*argv):
    return subprocess.run([FIRESTEEL, "local", *argv], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def status():
    return json.loads(local("status", "-o", "json"))


def server():
    return conformance.Server(local("kubeconfig"))


def processes(directory):
    """Programs of ours that work for this instance."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            around = (path / "environ").read_bytes().decode("utf-8", "replace")
            state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            continue
        if line.startswith("firesteel") and (str(directory) in line or f"XDG_STATE_HOME={directory.parents[1]}\0" in around) and state != "Z":
            found.append(f"{path.name}: {line}")
    return found


class Writer(threading.Thread):
    """Creates, changes and deletes objects of its own one after another. `certain` is what the server acknowledged last; the value under way when the
    connection breaks may or may not be there."""

    def __init__(self, number):
        super().__init__()
        self.number, self.certain, self.maybe, self.count, self.revision, self.failure = number, {}, {}, 0, 0, None

    def ask(self, method, path, body=None):
        name = path.rsplit("/", 1)[-1] if method != "POST" else body["metadata"]["name"]
        wanted = None if method == "DELETE" else body["data"]["n"]
        self.maybe = {name: wanted}
        type_ = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else JSON
        code, _, data = self.server.call(method, path, json.dumps(body) if body else None, type_)
        if code >= 300:
            raise AssertionError(f"{method} {path}: {code} {data[:300]}")
        self.maybe = {}
        self.certain[name] = wanted
        if method != "DELETE":
            revision = int(json.loads(data)["metadata"]["resourceVersion"])
            if revision <= self.revision:
                raise AssertionError(f"revision {revision} after {self.revision}")
            self.revision = revision

    def run(self):
        try:
            self.server = server()
            while True:
                self.count += 1
                name, value = f"crash-{self.number}-{self.count % 50}", str(self.count)
                if self.certain.get(name) is None:
                    self.ask("POST", CM, {"metadata": {"name": name}, "data": {"n": value}})
                elif self.count % 7 == 0:
                    self.ask("DELETE", f"{CM}/{name}")
                else:
                    self.ask("PATCH", f"{CM}/{name}", {"data": {"n": value}})
        except (OSError, http.client.HTTPException):
            return  # the server was killed
        except AssertionError as e:
            self.failure = e


def check(writers):
    code, _, data = server().call("GET", CM)
    assert code == 200, code
    there = {o["metadata"]["name"]: o["data"]["n"] for o in json.loads(data)["items"] if o["metadata"]["name"].startswith("crash-")}
    acknowledged = 0
    for w in writers:
        assert not w.failure, w.failure
        for name, value in w.certain.items():
            acknowledged += 1
            allowed = {value} | ({w.maybe[name]} if name in w.maybe else set())
            assert there.get(name) in allowed, f"{name} is {there.get(name)}, acknowledged {value}, under way {w.maybe} (SEED={seed})"
            w.certain[name] = there.get(name)
        for name, value in w.maybe.items():
            assert there.get(name) in {value, w.certain.get(name)}, f"{name} is {there.get(name)} (SEED={seed})"
            w.certain[name] = there.get(name)
    return acknowledged


def killed():
    local("up", "-q")
    directory = pathlib.Path(local("kubeconfig")).parent
    carried, total = [], 0
    for n in range(ROUNDS):
        pid, servers = status()["pid"], {p for p in processes(directory) if " local serve" in p}
        assert servers
        writers = [Writer(i) for i in range(WRITERS)]
        for w, before in zip(writers, carried):
            w.certain, w.count, w.revision = before.certain, before.count, before.revision
        for w in writers:
            w.start()
        time.sleep(rng.uniform(0.05, 1.0))
        os.kill(pid, signal.SIGKILL)
        for w in writers:
            w.join()
        local("up", "-q")
        assert status()["pid"] != pid
        total += check(writers)
        carried = writers
        left = servers & {p for p in processes(directory) if " local serve" in p}
        assert not left, f"of the server before: {left}"
    assert total > ROUNDS, "hardly anything was written"
    local("down")
    end = time.monotonic() + 30
    while processes(directory) and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes(directory), processes(directory)
    return sum(w.count for w in carried)


def rss(pid):
    return int(next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]) // 1024


def slow_watcher():
    local("up", "-q")
    s, pid = server(), status()["pid"]
    raw = s.tls.wrap_socket(socket.create_connection((s.url.hostname, s.url.port)), server_hostname=s.url.hostname)
    token = s.headers.get("Authorization")
    raw.sendall((f"GET {CM}?watch=true HTTP/1.1\r\nHost: {s.url.hostname}\r\n" + (f"Authorization: {token}\r\n" if token else "") + "\r\n").encode())
    before, big = rss(pid), "x" * 1000000
    s.call("POST", CM, json.dumps({"metadata": {"name": "big"}, "data": {"k": big}}), JSON)
    for i in range(80):  # 80 MB of events that nobody reads
        code, _, data = s.call("PATCH", f"{CM}/big", json.dumps({"data": {"k": big[:-3] + f"{i:03}"}}), {"Content-Type": "application/merge-patch+json"})
        assert code == 200, data[:300]
    peak = rss(pid)
    assert peak < before + 250, f"{before} MB became {peak} MB"
    raw.settimeout(120)
    received = 0
    try:
        while part := raw.recv(1 << 20):
            received += len(part)
    except (OSError, ValueError):
        pass  # cut off
    assert received < 75 << 20, f"all {received} bytes were kept for a watcher that does not read"
    code, _, _ = s.call("GET", "/readyz")
    assert code == 200
    return before, peak


def too_big():
    s = server()
    try:
        code, _, _ = s.call("POST", CM, json.dumps({"metadata": {"name": "huge"}, "data": {"k": "x" * (17 << 20)}}), JSON)
    except (BrokenPipeError, ConnectionResetError, conformance.ssl.SSLError):
        code = 413  # told and closed while we were still sending
    assert code == 413, code
    code, _, data = s.call("POST", CM, json.dumps({"metadata": {"name": "large"}, "data": {"k": "x" * (2 << 20)}}), JSON)
    assert code == 422, data[:200]
    code, _, data = s.call("POST", CM, "[" * 100000, JSON)
    assert code == 400, data[:200]
    code, _, _ = s.call("GET", "/" + "x" * (70 << 10))
    assert code in (414, 431), code


def main():
    try:
        writes = killed()
        before, peak = slow_watcher()
        too_big()
        print(f"ok: {ROUNDS} kills during {writes} writes (SEED={seed}); a slow watcher took the server from {before} to {peak} MB")
    finally:
        subprocess.run([FIRESTEEL, "local", "reset", "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


main()
