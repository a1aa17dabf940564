"""A History Server under test: started on a port of its own choosing, asked over HTTP, compared with recordings."""
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
SHARED = next((p for p in (ROOT.parent / "shared/corpus/history", ROOT / "shared/corpus/history") if p.is_dir()), None)


def temporary():
    base = os.environ.get("TEST_TMP")
    return pathlib.Path(tempfile.mkdtemp(dir=base, prefix="history-"))


class Server:
    """with Server(logs, cache, "--conf", "a=b") as s: s.get("/api/v1/version")"""

    def __init__(self, logs, cache, *options, env=None):
        # Files, not pipes: a server that says more than a pipe holds would wait for somebody to read it.
        self.log, self.output = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        full = dict(os.environ, XDG_CACHE_HOME=str(cache), HOME=str(cache))
        for name in ("SPARK_HISTORY_OPTS", "SPARK_HOME", "SPARK_CONF_DIR", "APPLICATION_WEB_PROXY_BASE"):
            full.pop(name, None)
        full.update(env or {})
        command = [FIRESTEEL, "history", "--port", "0"] + (["--dir", str(logs)] if logs else []) + list(options)
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.output, env=full)
        self.port = None
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = re.search(r"at https?://[^:]+:(\d+)/", self.messages())
            if found:
                self.port = int(found.group(1))
                break
            if self.process.poll() is not None:
                raise RuntimeError("the server ended: " + self.messages())
            time.sleep(0.02)
        else:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server does not say where it is: " + self.messages())
        self.prefix = ""

    def messages(self):
        self.log.seek(0)
        return self.log.read()

    def printed(self):
        """All that it wrote to its standard output until it ended, which is waited for."""
        self.process.wait(60)
        self.output.seek(0)
        return self.output.read()

    def wait_ready(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.get("/readyz")[0] == 200:
                return self
            time.sleep(0.02)
        raise RuntimeError("not ready: " + self.messages())

    def get(self, path, headers=None, method="GET"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            c.request(method, path, headers=headers or {})
            r = c.getresponse()
            self.headers = dict(r.getheaders())
            return r.status, r.read()
        finally:
            c.close()

    def api(self, path, headers=None):
        return self.get(self.prefix + "/api/v1/" + path, headers)

    def json(self, path, headers=None):
        status, body = self.api(path, headers)
        assert status == 200, (path, status, body[:200])
        return json.loads(body)

    def metric(self, name):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(f"firesteel_history_{name} "):
                return float(line.split()[1])
        raise KeyError(name)

    def resident_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not stop: " + self.messages())
        finally:
            self.output.close()
            self.log.close()

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, *failure):
        code = self.stop()
        if failure[0] is None:
            assert code == 0, f"the server ended with {code}"


def eventually(what, seconds=100):
    until = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except (AssertionError, KeyError, IndexError):
            pass
        assert time.monotonic() < until, f"did not become true: {what}"
        time.sleep(0.05)


def blank(o):
    if isinstance(o, dict):
        return {k: "" if k == "lastUpdated" else 0 if k == "lastUpdatedEpoch" else blank(v) for k, v in o.items()}
    return [blank(x) for x in o] if isinstance(o, list) else o


def same_body(got, want, name, status):
    if name.endswith(".zip") and status == 200:
        z = zipfile.ZipFile(io.BytesIO(got))
        assert z.testzip() is None
        # The order is that of the directory, which copies do not keep.
        return sorted([i.filename, i.file_size, "%08x" % i.CRC] for i in z.infolist()) == sorted(json.loads(want))
    try:
        return json.loads(got) == json.loads(want)
    except ValueError:
        return got == want or want[:5] == b"<html"  # the container's own pages: the status only


def compare(server, folder, golden=False):
    """Asks what a folder's recordings ask. Returns (number equal, list of differences)."""
    equal, different = 0, []
    cases = next(p for p in (folder / "cases.tsv", folder / "cases.open.tsv") if p.exists())
    for line in cases.read_text().splitlines():
        field = line.split("\t")
        path, status, name = (field[1], 200, field[2]) if golden else (field[0], int(field[1]), field[2])
        want = (folder / "expect" / name).read_bytes()
        got_status, got = server.api(path)
        if status == 500 and got_status in (200, 404, 500):  # where the original fails more is allowed
            equal += 1
        elif got_status != status:
            different.append(f"{path}: status {got_status} instead of {status}: {got[:100]!r}")
        elif golden and blank(json.loads(got)) == blank(json.loads(want)) or not golden and same_body(got, want, name, status):
            equal += 1
        else:
            different.append(f"{path}: {got[:80]!r} instead of {want[:80]!r}")
    return equal, different


def restore_times(folder, base):
    for line in (folder / "mtimes.tsv").read_text().splitlines():
        seconds, path = line.split("\t")
        whole, part = (seconds.split(".") + ["0"])[:2]
        ns = int(whole) * 10**9 + int((part + "000000000")[:9])
        if (base / path).exists():
            os.utime(base / path, ns=(ns, ns))


def recorded(where):
    """Our own recordings, unpacked: {name: folder}. Those whose name ends in 35 are of Spark 3.5.9's server, the others of 4.1.4's."""
    for archive in sorted((ROOT / "tests/history").glob("*.tar.xz")):
        with tarfile.open(archive) as t:
            t.extractall(where)
    folders = {p.name: p for p in where.iterdir() if p.is_dir()}
    for p in folders.values():
        restore_times(p, p)
    return folders


def run(tests, after_each=lambda: None):
    """Runs the tests whose names have the program's argument in them, or all; returns the exit code."""
    failed = 0
    for test in tests:
        if len(sys.argv) > 1 and sys.argv[1] not in test.__name__:
            continue
        try:
            test()
            print("ok  ", test.__name__, flush=True)
        except Exception as e:
            failed += 1
            traceback.print_exc()
            print("FAIL", test.__name__, e, flush=True)
        finally:
            after_each()
    return 1 if failed else 0
