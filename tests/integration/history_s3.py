#!/usr/bin/env python3
# timeout: 600
"""The History Server over logs in S3: moto's server behind a proxy that counts requests, makes pages of lists small, and fails on demand.

moto is `pip install 'moto[server]'`; MOTO_SERVER names its moto_server when it is not in PATH."""
import concurrent.futures
import contextlib
import http.client
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from history_lib import Server, eventually, recorded, run, temporary

MOTO = os.environ.get("MOTO_SERVER") or shutil.which("moto_server") or ""
if not os.access(MOTO, os.X_OK):
    print("skipped: no moto_server; pip install 'moto[server]' and set MOTO_SERVER")
    sys.exit(77)
WHERE = temporary()
MANY = "3600s"  # an update interval that no test lives to see


def free_place():
    """A loopback address that nobody else uses, and a free port there: it stays free until the server that is told of it has it."""
    address = "127." + ".".join(str(random.randint(2, 254)) for _ in range(3))
    with socket.socket() as s:
        s.bind((address, 0))
        return address, s.getsockname()[1]


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        state = self.server
        target = self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = target.partition("?")
        seen = {"method": self.command, "path": urllib.parse.unquote(path), "query": urllib.parse.parse_qs(query), "range": self.headers.get("Range")}
        state.seen.append(seen)
        fault = state.fault(seen) if state.fault else None
        if fault:
            status, code = fault
            answer = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode()
            headers = {"Content-Type": "application/xml"}
        else:
            if state.page and "list-type" in seen["query"]:
                query = "&".join(p for p in query.split("&") if not p.startswith("max-keys=")) + f"&max-keys={state.page}"
                target = f"{path}?{query}"
            c = http.client.HTTPConnection(*state.moto, timeout=60)
            c.request(self.command, target, body, {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "host")})
            r = c.getresponse()
            status, answer = r.status, r.read()
            headers = {k: v for k, v in r.getheaders() if k.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")}
            length = r.getheader("Content-Length")
            c.close()
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", length if self.command == "HEAD" and not fault and length else str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if self.command != "HEAD":
                self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *args):
        pass


def start():
    address, port = free_place()
    process = subprocess.Popen([MOTO, "-H", address, "-p", str(port)], stdout=subprocess.DEVNULL)
    for _ in range(1200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{address}:{port}/moto-api/", timeout=60).read()
            break
        if process.poll() is not None:
            sys.exit(f"{MOTO} does not start")
        time.sleep(0.1)
    else:
        process.kill()
        sys.exit(f"{MOTO} does not answer")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.moto, server.seen, server.fault, server.page = (address, port), [], None, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return process, server


MOTO_PROCESS, PROXY = start()


def put(path, data=b"", method="PUT"):
    """To moto itself, which checks no signature but wants one for changes."""
    request = urllib.request.Request("http://%s:%d/" % PROXY.moto + urllib.parse.quote(path), data=data if method == "PUT" else None, method=method,
                                     headers={"Content-Type": "application/octet-stream",  # else moto takes it for a form
                                              "Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"})
    urllib.request.urlopen(request, timeout=60).read()


def upload(folder, where):
    for p in sorted(folder.rglob("*")):
        if p.is_file() and not p.name.endswith(".crc"):
            put(where + str(p.relative_to(folder)), p.read_bytes())


def event(**fields):
    return json.dumps({k.replace("_", " "): v for k, v in fields.items()}, separators=(",", ":")) + "\n"


def app(name, jobs=1, ended=True, attempt=None):
    more = {"App Attempt ID": attempt} if attempt else {}
    text = event(Event="SparkListenerLogStart", Spark_Version="4.1.4") + event(Event="SparkListenerEnvironmentUpdate", JVM_Information={}, Spark_Properties={})
    text += json.dumps(dict({"Event": "SparkListenerApplicationStart", "App Name": "n", "App ID": name, "Timestamp": 1700000000000, "User": "ann"}, **more),
                       separators=(",", ":")) + "\n"
    for i in range(jobs):
        text += event(Event="SparkListenerJobStart", Job_ID=i, Submission_Time=1700000001000, Stage_Infos=[], Stage_IDs=[], Properties={})
    return (text + (event(Event="SparkListenerApplicationEnd", Timestamp=1700000060000) if ended else "")).encode()


KEYS = ("--conf", "spark.hadoop.fs.s3a.access.key=AKIA", "--conf", "spark.hadoop.fs.s3a.secret.key=secret", "--conf", "spark.hadoop.fs.s3a.path.style.access=true")


@contextlib.contextmanager
def served(bucket, name, *options, interval="1s", scheme="s3a", prefix="logs", env=None):
    cache = WHERE / name
    cache.mkdir(exist_ok=True)
    PROXY.fault, PROXY.page = None, 0
    PROXY.seen.clear()
    settings = KEYS + ("--conf", f"spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:{PROXY.server_port}", "--conf", f"spark.history.fs.update.interval={interval}")
    clean = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    with Server(f"{scheme}://{bucket}/{prefix}", cache, *settings, *options, env=dict(clean, **(env or {}))) as s:
        yield s
    PROXY.fault = None


def seen(method, part):
    return [x for x in PROXY.seen if x["method"] == method and part in x["path"]]


def lists():
    return [x for x in PROXY.seen if "list-type" in x["query"]]


def bare(o):
    """Without what depends on the time of the object."""
    if isinstance(o, dict):
        unstable = ("lastUpdated", "lastUpdatedEpoch") + (("duration",) if o.get("status") == "RUNNING" else ())  # a task that never ended ran until then
        return {k: bare(v) for k, v in o.items() if k not in unstable}
    return [bare(x) for x in o] if isinstance(o, list) else o


def every_form_of_log_reads_as_from_a_directory():
    put("forms")
    folder = recorded(WHERE / "recorded")["captured41"] / "spark-events"
    upload(folder, "forms/logs/")
    cache = WHERE / "forms-local"
    cache.mkdir()
    with Server(folder, cache) as local:
        apps = [(a["id"], t.get("attemptId")) for a in local.json("applications?minDate=1970-01-01&minEndDate=1970-01-01") for t in a["attempts"] if t["completed"]]
        assert len(apps) >= 5, apps
        names = {p.name for p in folder.iterdir()}
        assert any(n.startswith("eventlog_v2_") for n in names) and any(n.endswith(".lz4") for n in names), names
        for scheme in ("s3a", "s3"):
            with served("forms", "forms-" + scheme, scheme=scheme) as s:
                listing = lambda x: bare([a for a in x.json("applications?status=completed&minDate=1970-01-01&minEndDate=1970-01-01")])
                assert listing(s) == listing(local)
                for name, attempt in apps:
                    where = f"applications/{name}" + (f"/{attempt}" if attempt else "")
                    for path in ("jobs", "stages?details=true", "allexecutors", "sql", "environment"):
                        assert bare(s.json(f"{where}/{path}")) == bare(local.json(f"{where}/{path}")), (scheme, where, path)
                assert all(x["range"] for x in seen("GET", "/logs/") if "list-type" not in x["query"]), "reads are of ranges"


def lists_come_in_pages():
    put("pages")
    for i in range(23):
        put(f"pages/logs/app-{i:02}", app(f"app-{i:02}"))
    for part in (1, 2, 3):
        put(f"pages/logs/eventlog_v2_rolled/events_{part}_rolled", app("rolled") if part == 1 else b"")
    put("pages/logs/eventlog_v2_rolled/appstatus_rolled")
    put("pages/logs/unrelated/deep/below/file", b"x")
    put("pages/elsewhere/app-99", app("app-99"))
    with served("pages", "pages", interval="1s") as s:
        PROXY.page = 4  # a rolled log is cut by the edge of a page, too
        eventually(lambda: s.metric("scans_total") >= 3)
        assert len(s.json("applications")) == 24
        assert any("continuation-token" in x["query"] for x in lists())


def lists_longer_than_the_service_gives_at_once_are_read_whole():
    """More objects than S3 lists for a request, logs in every part of the list; that there is more is what the service itself says."""
    put("many")
    count, logs = 2050, range(0, 2050, 99)
    names = {f"many/logs/app-{i:04}": app(f"app-{i:04}") for i in logs} | {f"many/logs/app-{i:04}-data/file": b"" for i in range(count - len(logs))}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(put, names, names.values()))
    with served("many", "many", interval=MANY) as s:
        assert sorted(a["id"] for a in s.json("applications")) == [f"app-{i:04}" for i in logs]
        assert len(lists()) == 3, [x["query"] for x in lists()]
        assert len([x for x in lists() if "continuation-token" in x["query"]]) == 2
    with served("many", "many-deep", interval=MANY, prefix="logs/app-2000-data") as s:
        assert s.json("applications") == [] and len(lists()) == 1


def only_changed_objects_are_read_again():
    put("changes")
    for name in ("same", "grows"):
        put(f"changes/logs/{name}", app(name))
    with served("changes", "changes") as s:
        assert len(s.json("applications/grows/jobs")) == 1
        PROXY.seen.clear()
        before = s.metric("scans_total")
        eventually(lambda: s.metric("scans_total") >= before + 2)
        assert lists() and not [x for x in PROXY.seen if "list-type" not in x["query"]], PROXY.seen
        # The same number of bytes and, as far as S3's clock tells, maybe the same second: the ETag differs.
        put("changes/logs/grows", app("grows").replace(b'"Job ID":0', b'"Job ID":7'))
        eventually(lambda: [j["jobId"] for j in s.json("applications/grows/jobs")] == [7])
        assert not seen("GET", "/logs/same"), "it has not changed"
    with served("changes", "changes") as s:  # a restart reads no object
        assert [j["jobId"] for j in s.json("applications/grows/jobs")] == [7]
        assert s.metric("replays_total") == 0 and not seen("GET", "/logs/same") and not seen("GET", "/logs/grows")


def what_is_asked_for_by_id_is_looked_up_at_once():
    put("ondemand")
    put("ondemand/logs/app-0", app("app-0"))
    with served("ondemand", "ondemand", interval=MANY) as s:
        assert len(s.json("applications")) == 1
        assert s.api("applications/app-1/jobs") == (404, b"no such app: app-1")
        put("ondemand/logs/app-1.inprogress", app("app-1", jobs=2, ended=False))
        put("ondemand/logs/app-11", app("app-11"))
        put("ondemand/logs/app-2_5", app("app-2", attempt="5"))
        put("ondemand/logs/eventlog_v2_app-3/events_1_app-3", app("app-3"))
        put("ondemand/logs/eventlog_v2_app-3/appstatus_app-3")
        assert len(s.json("applications/app-1/jobs")) == 2
        assert s.json("applications/app-2")["attempts"][0]["attemptId"] == "5"
        assert len(s.json("applications/app-3/jobs")) == 1
        assert b"app-11" in s.get("/history/app-11/jobs/")[1]
        assert s.get("/api/v1/applications/app-11/logs")[0] == 200


def failures_are_said_and_pass():
    put("faults")
    put("faults/logs/good", app("good"))
    put("faults/logs/refused", app("refused"))
    put("faults/logs/later", app("later"))
    quick = ("--conf", "spark.hadoop.fs.s3a.attempts.maximum=1")
    PROXY.fault = None
    cache = WHERE / "faults"
    cache.mkdir()
    state = {"refused": True, "busy": True, "list": None}

    def fault(x):
        if "list-type" in x["query"]:
            return state["list"]
        if state["refused"] and x["path"].endswith("/refused"):
            return 403, "AccessDenied"
        if state["busy"] and x["path"].endswith("/later"):
            return 503, "SlowDown"
        return None

    PROXY.seen.clear()
    settings = KEYS + quick + ("--conf", f"spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:{PROXY.server_port}", "--conf", "spark.history.fs.update.interval=1s")
    PROXY.fault = fault
    with Server("s3a://faults/logs", cache, *settings, env={"AWS_EC2_METADATA_DISABLED": "true"}) as s:
        assert [a["id"] for a in s.json("applications")] == ["good"]
        page = s.get("/")[1].decode()
        assert "s3a://faults/logs/refused" in page and "AccessDenied" in page, page
        assert "s3a://faults/logs/later" in page and "SlowDown" in page, page
        state["busy"] = False  # nothing about the object has changed, and still it is tried again
        eventually(lambda: {a["id"] for a in s.json("applications")} == {"good", "later"})
        assert len(s.json("applications/later/jobs")) == 1
        state["list"] = 403, "AccessDenied"
        eventually(lambda: s.metric("scan_errors_total") >= 2)
        assert {a["id"] for a in s.json("applications")} == {"good", "later"}, "what was known stays"
        assert "could not be listed" in s.get("/")[1].decode()
        assert "listing the logs failed" in s.messages()
        state["list"], state["refused"] = None, False
        eventually(lambda: len(s.json("applications")) == 3)
        assert "could not be listed" not in s.get("/")[1].decode()
        # Listed, and then it cannot be opened.
        put("faults/logs/fades", app("fades"))
        eventually(lambda: len(s.json("applications")) == 4)
        state["list"] = 500, "InternalError"
        put("faults/logs/fades", method="DELETE")
        assert s.api("applications/fades/jobs")[0] == 404
        state["refused"] = True
        status, body = s.api("applications/refused/jobs")
        assert status == 500 and b"Forbidden" in body, (status, body)
        state["refused"] = False
        assert len(s.json("applications/refused/jobs")) == 1, "a failed opening is not remembered"


def a_bucket_that_is_not_there_is_waited_for():
    with served("no-such-bucket", "nobucket") as s:
        page = s.get("/")[1].decode()
        assert "there is no such bucket" in page, page
        assert s.json("applications") == []
        put("no-such-bucket")
        put("no-such-bucket/logs/app", app("app"))
        eventually(lambda: len(s.json("applications")) == 1)


def retries_stand_a_busy_service_and_stopping_does_not_wait():
    put("busy")
    put("busy/logs/app", app("app"))
    with served("busy", "busy") as s:
        failures = iter([True, True])
        PROXY.fault = lambda x: (503, "SlowDown") if next(failures, False) else None
        assert len(s.json("applications/app/jobs")) == 1
        hang = threading.Event()
        entered = threading.Event()

        def stall(x):
            entered.set()
            hang.wait(60)

        PROXY.fault = stall
        assert entered.wait(30)
        began = time.monotonic()
        assert s.get("/api/v1/applications")[0] == 200, "requests do not wait for the store"
        assert s.stop() == 0
        assert time.monotonic() - began < 30
        hang.set()
        s.stop = lambda: 0


def cleaning_removes_objects():
    put("clean")
    put("clean/logs/app", app("app"))
    put("clean/logs/eventlog_v2_r/events_1_r", app("r"))
    put("clean/logs/eventlog_v2_r/appstatus_r")
    with served("clean", "clean", "--conf", "spark.history.fs.cleaner.enabled=true", "--conf", "spark.history.fs.cleaner.maxAge=0s",
                "--conf", "spark.history.fs.cleaner.interval=1s") as s:
        eventually(lambda: s.metric("cleaned_logs_total") >= 2)
        eventually(lambda: s.json("applications") == [])
    left = urllib.request.urlopen("http://%s:%d/clean?list-type=2" % PROXY.moto).read()
    assert b"<Key>" not in left, left


def credentials_come_from_the_environment_too():
    put("env")
    put("env/logs/app", app("app"))
    cache = WHERE / "env"
    cache.mkdir()
    options = ("--conf", f"spark.hadoop.fs.s3a.bucket.env.endpoint=http://127.0.0.1:{PROXY.server_port}")
    PROXY.fault = None
    with Server("s3a://env/logs/", cache, *options, env={"AWS_ACCESS_KEY_ID": "AKIA2", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}) as s:
        assert len(s.json("applications")) == 1


def no_fault():
    PROXY.fault, PROXY.page = None, 0


def main():
    try:
        return run([every_form_of_log_reads_as_from_a_directory, lists_come_in_pages, lists_longer_than_the_service_gives_at_once_are_read_whole, only_changed_objects_are_read_again,
                    what_is_asked_for_by_id_is_looked_up_at_once, failures_are_said_and_pass, a_bucket_that_is_not_there_is_waited_for,
                    retries_stand_a_busy_service_and_stopping_does_not_wait, cleaning_removes_objects,
                    credentials_come_from_the_environment_too], no_fault)
    finally:
        MOTO_PROCESS.terminate()
        MOTO_PROCESS.wait()
        shutil.rmtree(WHERE, ignore_errors=True)


sys.exit(main())
