#!/usr/bin/env python3
# timeout: 300
"""Who may see what of the History Server, by which way, and in what form: passwords, proxies, several log directories, TLS, a path prefix,
downloads, hostile text on the pages, and logs of old and of odd layouts."""
import base64
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.parse
import zipfile

from history_lib import Server, eventually, run, temporary

WHERE = temporary()
T0 = 1700000000000
SHA_SECRET = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="  # of "secret"
ONCE = ("--conf", "spark.history.fs.update.interval=1h")


def event(**fields):
    return json.dumps({k.replace("_", " "): v for k, v in fields.items()}, separators=(",", ":")) + "\n"


def app(name, user="ann", attempt=None, jobs=1, ended=True, label=None, **properties):
    more = {"App Attempt ID": attempt} if attempt else {}
    text = event(Event="SparkListenerLogStart", Spark_Version="4.1.4")
    text += event(Event="SparkListenerEnvironmentUpdate", JVM_Information={}, Spark_Properties=properties, Hadoop_Properties={}, System_Properties={}, Classpath_Entries={})
    text += json.dumps(dict({"Event": "SparkListenerApplicationStart", "App Name": label or "n", "App ID": name, "Timestamp": T0, "User": user}, **more),
                       separators=(",", ":")) + "\n"
    for i in range(jobs):
        text += event(Event="SparkListenerJobStart", Job_ID=i, Submission_Time=T0, Stage_Infos=[], Stage_IDs=[], Properties={"spark.job.description": label or "d"})
    return text + (event(Event="SparkListenerApplicationEnd", Timestamp=T0 + 60000) if ended else "")


def directory(name):
    d = WHERE / name
    (d / "logs").mkdir(parents=True)
    return d / "logs", d


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def passwords_are_asked_for():
    logs, cache = directory("password")
    (logs / "app").write_text(app("app", user="ann"))
    users = cache / "users"
    users.write_text(f"ann:{SHA_SECRET}\nbob:{SHA_SECRET}\n")
    with Server(logs, cache, "--htpasswd", str(users), "--conf", "spark.history.ui.acls.enable=true", "--access-log") as s:
        for path in ("/", "/api/v1/applications", "/api/v1/applications/app/jobs", "/history/app/jobs/", "/metrics"):
            assert s.get(path)[0] == 401, path
            assert s.headers["WWW-Authenticate"].startswith("Basic realm="), s.headers
            assert s.get(path, basic("ann", "wrong"))[0] == 401
            assert s.get(path, basic("eve", "secret"))[0] == 401
            assert s.get(path, basic("ann", "secret"))[0] == 200, path
        for header in ("Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"no colon").decode(), "Basic " + base64.b64encode(b"ann:sec\0ret").decode(),
                       "Basic " + "A" * 6000):
            assert s.get("/", {"Authorization": header})[0] == 401, header
        assert s.get("/healthz")[0] == 200 and s.get("/readyz")[0] == 200, "probes know no password"
        assert s.api("applications/app/jobs", basic("bob", "secret")) == (403, b'user "bob" is not authorized')
        users.write_text(f"bob:{SHA_SECRET}\n")
        assert s.get("/", basic("ann", "secret"))[0] == 401, "a change of the file counts at once"
        users.write_text("nonsense\n")
        assert s.get("/", basic("bob", "secret"))[0] == 401
        s.process.send_signal(15)
        lines = [json.loads(line) for line in s.printed().splitlines()]
        assert {"user": "bob", "status": 403, "method": "GET", "target": "/api/v1/applications/app/jobs"}.items() <= next(x for x in lines if x["status"] == 403).items()
        assert all({"time", "bytes", "us", "peer"} <= x.keys() for x in lines)
    try:
        Server(logs, cache, "--htpasswd", str(users))
        raise AssertionError("started with a malformed file")
    except RuntimeError as e:
        assert "line 1: it is not USER:HASH" in str(e), e


def own_address():
    """An address of this machine that is not the loopback's, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            found = s.getsockname()[0]
        except OSError:
            return None
    return None if found.startswith("127.") else found


def headers_count_from_proxies_only():
    logs, cache = directory("proxy")
    (logs / "app").write_text(app("app", user="ann"))
    address = own_address()
    if not address:
        print("     (no address but the loopback's: headers from elsewhere are not tried)")
        return
    options = ("--bind", f"127.0.0.1,{address}", "--user-header", "X-User", "--conf", "spark.history.ui.acls.enable=true")

    def ask(s, host, user):
        c = http.client.HTTPConnection(host, s.port, timeout=60)
        c.request("GET", "/api/v1/applications/app/jobs", headers={"X-User": user})
        return c.getresponse().status

    with Server(logs, cache, *options) as s:
        assert ask(s, "127.0.0.1", "eve") == 403
        assert ask(s, address, "eve") == 200, "who is not known is not refused, as in Spark"
    with Server(logs, cache, *options, "--trusted-proxy", address) as s:
        assert ask(s, address, "eve") == 403 and ask(s, address, "ann") == 200


def each_directory_has_its_readers():
    sales, cache = directory("readers")
    risk, shared = cache / "risk", cache / "shared"
    risk.mkdir()
    shared.mkdir()
    (sales / "app-s").write_text(app("app-s"))
    (risk / "app-r").write_text(app("app-r"))
    (shared / "app-c").write_text(app("app-c"))
    dirs = f"{sales},{risk},{shared}"
    options = ONCE + ("--readers", f"{sales}=ann,@sales", "--readers", f"{risk}=rita", "--user-header", "X-User", "--group-header", "X-Groups",
                      "--conf", "spark.history.ui.admin.acls=root2")
    with Server(dirs, cache, *options) as s:
        for user, groups, seen in (("ann", "", "cs"), ("zoe", "x, sales", "cs"), ("rita", "", "cr"), ("eve", "sale", "c"), ("root2", "", "crs"), (None, "sales", "c")):
            who = {"X-Groups": groups, **({"X-User": user} if user else {})}
            assert "".join(sorted(a["id"][-1] for a in s.json("applications", who))) == seen, (user, seen)
            page = s.get("/", who)[1].decode()
            for letter, folder in (("c", shared), ("r", risk), ("s", sales)):
                name = "app-" + letter
                status = 200 if letter in seen else 404
                assert (name in page) == (letter in seen) and (str(folder) in page) == (letter in seen), (user, letter)
                for path in ("", "/jobs", "/logs", "/stages/1/0/taskList"):
                    got, body = s.api(f"applications/{name}{path}", who)
                    assert got == status or (path.startswith("/stages") and got == 200), (user, name, path, got)
                    if status == 404:
                        assert body == s.api(f"applications/app-x{path}", who)[1].replace(b"app-x", name.encode()), "as if it were not there"
                assert s.get(f"/history/{name}/jobs/", who)[0] == status
        (risk / "app-new").write_text(app("app-new"))
        assert s.api("applications/app-new/jobs", {"X-User": "ann"})[0] == 404, "nor is it looked up"
        assert s.api("applications/app-new/jobs", {"X-User": "rita"})[0] == 200
    try:
        Server(dirs, cache, "--readers", "/elsewhere=ann")
        raise AssertionError("started with readers of no directory")
    except RuntimeError as e:
        assert "none of the log directories" in str(e), e


def tls_is_spoken():
    logs, cache = directory("tls")
    (logs / "app").write_text(app("app"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(cache / "key.pem"), "-out",
                    str(cache / "cert.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    options = ("--conf", "spark.ssl.historyServer.enabled=true", "--conf", f"spark.ssl.historyServer.certChain={cache}/cert.pem", "--conf",
               f"spark.ssl.historyServer.privateKey={cache}/key.pem", "--conf", "spark.ui.strictTransportSecurity=max-age=3600")
    s = Server(logs, cache, *options)
    try:
        trust = ssl.create_default_context(cafile=str(cache / "cert.pem"))

        def ask(path):
            c = http.client.HTTPSConnection("127.0.0.1", s.port, timeout=60, context=trust)
            c.request("GET", path)
            r = c.getresponse()
            return r.status, r.read(), dict(r.getheaders())

        eventually(lambda: ask("/readyz")[0] == 200)
        status, body, headers = ask("/api/v1/applications/app/jobs")
        assert status == 200 and len(json.loads(body)) == 1 and headers["Strict-Transport-Security"] == "max-age=3600", headers
        assert s.get("/")[0] == 400, "plain text is told so"
        assert "https://" in s.messages()
    finally:
        assert s.stop() == 0
    for given, why in (((), "certChain"), (("--conf", "spark.ssl.historyServer.certChain=/nowhere", "--conf", "spark.ssl.historyServer.privateKey=/nowhere"), "/nowhere")):
        try:
            Server(logs, cache, "--conf", "spark.ssl.historyServer.enabled=true", *given)
            raise AssertionError("started without a certificate")
        except RuntimeError as e:
            assert why in str(e), e


def pages_keep_to_their_prefix_and_text_stays_text():
    logs, cache = directory("pages")
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    identity = "app<b>\"'&%2f"
    text = app(identity, user=evil, label=evil, **{"spark.evil": evil, evil: "v"})
    stage = {"Stage ID": 0, "Stage Attempt ID": 0, "Stage Name": evil, "Number of Tasks": 1, "RDD Info": [], "Parent IDs": [], "Details": evil, "Accumulables": [], "Submission Time": T0,
             "Failure Reason": evil, "Completion Time": T0 + 5}
    task = {"Task ID": 1, "Index": 0, "Attempt": 0, "Launch Time": T0, "Executor ID": evil, "Host": evil, "Locality": evil, "Speculative": False, "Getting Result Time": 0,
            "Finish Time": T0 + 5, "Failed": True, "Killed": False, "Accumulables": []}
    text += event(Event="SparkListenerExecutorAdded", Timestamp=T0, Executor_ID=evil, Executor_Info={"Host": evil, "Total Cores": 1, "Log Urls": {evil: "javascript:alert(1)"}})
    text += event(Event="SparkListenerJobStart", Job_ID=5, Submission_Time=T0, Stage_Infos=[stage], Stage_IDs=[0], Properties={"spark.job.description": evil, "spark.jobGroup.id": evil})
    text += event(Event="SparkListenerStageSubmitted", Stage_Info=stage, Properties={}) + event(Event="SparkListenerTaskStart", Stage_ID=0, Stage_Attempt_ID=0, Task_Info=task)
    text += event(Event="SparkListenerTaskEnd", Stage_ID=0, Stage_Attempt_ID=0, Task_Type="ResultTask", Task_Info=task,
                  Task_End_Reason={"Reason": "ExceptionFailure", "Class Name": evil, "Description": evil, "Stack Trace": [], "Full Stack Trace": evil})
    text += event(Event="SparkListenerStageCompleted", Stage_Info=stage)
    text += json.dumps({"Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart", "executionId": 0, "description": evil, "details": evil, "physicalPlanDescription": evil,
                        "sparkPlanInfo": {"nodeName": evil, "simpleString": evil, "children": [], "metadata": {}, "metrics": []}, "time": T0}) + "\n"
    (logs / "evil").write_text(text)
    (logs / "broken<i>.zstd").write_text("x")
    s = Server(logs, cache, "--conf", "spark.ui.proxyBase=/proxied/", "--conf", f"spark.history.ui.title={evil}")
    s.prefix = "/proxied"
    with s:
        base = "/proxied/history/" + urllib.parse.quote(identity, safe="")
        pages = ["/proxied/", f"/proxied/?q={urllib.parse.quote(evil)}", "/proxied/history/" + urllib.parse.quote(evil, safe="") + "/"]
        pages += [f"{base}/{tab}/" for tab in ("jobs", "stages", "stage", "storage", "environment", "executors", "sql", "SQL")] + [f"{base}/stage/?id=0", f"{base}/sql/?id=0"]
        for page in pages:
            status, body = s.get(page)
            text = body.decode()
            assert status in (200, 404), (page, status)
            assert not re.search(r"<script|<img|<b>\"|<i>\.zstd|href=\"?javascript|onerror=alert\(2\)>", text), (page, text[:3000])
            policy = s.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "script-src" not in policy, policy
            assert s.headers["X-Frame-Options"] == "SAMEORIGIN" and s.headers["Referrer-Policy"] == "no-referrer" and s.headers["X-XSS-Protection"] == "1; mode=block"
            for link in re.findall(r"(?:href|src|action)=\"([^\"]*)\"", text):
                assert link.startswith("/proxied/") or link.startswith(("?", "#")), (page, link)
        # Every link leads somewhere.
        todo, done = ["/proxied/"], set()
        while todo and len(done) < 60:
            page = todo.pop()
            done.add(page)
            status, body = s.get(page)
            assert status == 200, (page, status)
            if b"<!doctype html>" in body[:20]:
                todo += [x for x in (y.replace("&amp;", "&") for y in re.findall(r"href=\"([^\"#]+)\"", body.decode())) if x.startswith("/") and x not in done]
        assert len(done) > 8, done


def logs_are_downloaded_as_they_are():
    logs, cache = directory("zip")
    (logs / "one").write_text(app("one"))
    (logs / "two_1").write_text(app("two", attempt="1"))
    (logs / "two_2").write_text(app("two", attempt="2", jobs=3))
    rolled = logs / "eventlog_v2_three"
    rolled.mkdir()
    (rolled / "appstatus_three").write_text("")
    (rolled / "events_1_three").write_text(app("three", ended=False))
    (rolled / "events_2_three").write_text(event(Event="SparkListenerApplicationEnd", Timestamp=T0 + 5))
    (rolled / ".events_1_three.crc").write_text("x")

    def members(path):
        status, body = s.api(path)
        assert status == 200, (path, status, body)
        assert s.headers["Content-Type"] == "application/octet-stream"
        z = zipfile.ZipFile(io.BytesIO(body))
        assert z.testzip() is None
        return {i.filename: z.read(i).decode() for i in z.infolist()}, s.headers["Content-Disposition"]

    with Server(logs, cache) as s:
        assert members("applications/one/logs") == ({"one": app("one")}, "attachment; filename=eventLogs-one.zip")
        assert members("applications/two/2/logs") == ({"two_2": app("two", attempt="2", jobs=3)}, "attachment; filename=eventLogs-two-2.zip")
        assert members("applications/two/logs")[0].keys() == {"two_1", "two_2"}
        assert members("applications/three/logs")[0].keys() == {"eventlog_v2_three/", "eventlog_v2_three/appstatus_three", "eventlog_v2_three/events_1_three",
                                                                "eventlog_v2_three/events_2_three"}
        assert s.api("applications/none/logs")[0] == 404 and s.api("applications/two/3/logs")[0] == 404


def odd_and_old_layouts_are_read():
    logs, cache = directory("layouts")
    # Spark 1.x: no ids of attempts, few metrics, other names of fields.
    old = event(Event="SparkListenerLogStart", Spark_Version="1.2.0") + event(Event="SparkListenerBlockManagerAdded", Block_Manager_ID={"Executor ID": "<driver>", "Host": "h", "Port": 1},
                                                                             Maximum_Memory=1000, Timestamp=T0)
    old += event(Event="SparkListenerEnvironmentUpdate", JVM_Information={}, Spark_Properties={"spark.app.name": "old"}, System_Properties={}, Classpath_Entries={})
    old += event(Event="SparkListenerApplicationStart", App_Name="old", App_ID="local-1", Timestamp=T0, User="ann")
    stage = {"Stage ID": 0, "Stage Attempt ID": 0, "Stage Name": "count", "Number of Tasks": 1, "RDD Info": [{"RDD ID": 0, "Name": "1", "Storage Level": {
        "Use Disk": False, "Use Memory": False, "Use Tachyon": False, "Deserialized": False, "Replication": 1}, "Number of Partitions": 1, "Number of Cached Partitions": 0,
        "Memory Size": 0, "Tachyon Size": 0, "Disk Size": 0}], "Details": "", "Accumulables": []}
    task = {"Task ID": 0, "Index": 0, "Attempt": 0, "Launch Time": T0, "Executor ID": "<driver>", "Host": "h", "Locality": "ANY", "Speculative": False, "Getting Result Time": 0,
            "Finish Time": T0 + 9, "Failed": False, "Accumulables": []}
    old += event(Event="SparkListenerJobStart", Job_ID=0, Stage_IDs=[0]) + event(Event="SparkListenerStageSubmitted", Stage_Info=stage, Properties={})
    old += event(Event="SparkListenerTaskStart", Stage_ID=0, Stage_Attempt_ID=0, Task_Info=task)
    old += event(Event="SparkListenerTaskEnd", Stage_ID=0, Stage_Attempt_ID=0, Task_Type="ResultTask", Task_End_Reason={"Reason": "Success"}, Task_Info=task,
                 Task_Metrics={"Host Name": "h", "Executor Deserialize Time": 1, "Executor Run Time": 7, "Result Size": 3, "JVM GC Time": 0, "Result Serialization Time": 0,
                               "Memory Bytes Spilled": 0, "Disk Bytes Spilled": 0, "Shuffle Write Metrics": {"Shuffle Bytes Written": 42, "Shuffle Write Time": 5}})
    old += event(Event="SparkListenerStageCompleted", Stage_Info=dict(stage, **{"Submission Time": T0, "Completion Time": T0 + 10}))
    old += event(Event="SparkListenerJobEnd", Job_ID=0, Job_Result={"Result": "JobSucceeded"}) + event(Event="SparkListenerApplicationEnd", Timestamp=T0 + 11)
    (logs / "local-1").write_text(old)
    # Compacted: stands for all up to its number.
    rolled = logs / "eventlog_v2_compact"
    rolled.mkdir()
    (rolled / "appstatus_compact.inprogress").write_text("")
    (rolled / "events_1_compact").write_text("garbage that must not be read\n")
    (rolled / "events_2_compact").write_text("garbage that must not be read\n")
    (rolled / "events_2_compact.compact").write_text(app("compact", jobs=2, ended=False))
    (rolled / "events_3_compact").write_text(event(Event="SparkListenerJobStart", Job_ID=7, Submission_Time=T0, Stage_Infos=[], Stage_IDs=[], Properties={}))
    # What is no log, or cannot be read.
    (logs / ".hidden").write_text("x")
    (logs / "folder").mkdir()
    (logs / "dangling").symlink_to(logs / "nowhere")
    os.mkfifo(logs / "pipe")
    with Server(logs, cache, *ONCE) as s:
        assert {a["id"] for a in s.json("applications")} == {"local-1", "compact"}
        assert s.json("applications/local-1/stages/0/0")["shuffleWriteBytes"] == 42
        assert s.json("applications/local-1/stages/0/0/taskList")[0]["taskMetrics"]["executorRunTime"] == 7
        assert s.json("applications/local-1/jobs/0")["status"] == "SUCCEEDED"
        assert sorted(j["jobId"] for j in s.json("applications/compact/jobs")) == [0, 1, 7]
        # A listed log that is gone when it is wanted, and one that was cut short meanwhile.
        (logs / "vanish").write_text(app("vanish"))
        assert s.json("applications/vanish")["id"] == "vanish"
        (logs / "vanish").unlink()
        assert s.api("applications/vanish/jobs")[0] == 404
        assert len(s.json("applications/local-1/jobs")) == 1


def limits_are_the_original_s_unless_all_is_wanted():
    logs, cache = directory("compat")
    text = app("many", jobs=0, ended=False)
    for i in range(30):
        text += event(Event="SparkListenerJobStart", Job_ID=i, Submission_Time=T0, Stage_Infos=[], Stage_IDs=[], Properties={})
        text += event(Event="SparkListenerJobEnd", Job_ID=i, Completion_Time=T0 + i, Job_Result={"Result": "JobSucceeded"})
    (logs / "many").write_text(text)
    with Server(logs, cache, "--conf", "spark.ui.retainedJobs=10") as s:
        assert len(s.json("applications/many/jobs")) == 10
    with Server(logs, cache) as s:  # another limit is another index
        assert len(s.json("applications/many/jobs")) == 30
        assert s.json("version") == {"spark": "4.1.4"}
    with Server(logs, cache, "--conf", "spark.firesteel.history.apiVersion=3.5") as s:
        assert s.json("version") == {"spark": "3.5.9"}
    with Server(logs, cache) as s:
        page = s.get("/metrics")[1].decode()
        assert s.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        kinds = dict(re.findall(r"^# TYPE (\S+) (counter|gauge)$", page, re.M))
        for line in page.splitlines():
            assert line.startswith("#") or re.fullmatch(r"[a-z_]+(\{[a-z]+=\"[^\"]*\"\})? [-+.e0-9]+", line), line
        assert len(kinds) > 15 and "firesteel_history_requests_total" in kinds


def main():
    code = run([passwords_are_asked_for, headers_count_from_proxies_only, each_directory_has_its_readers, tls_is_spoken,
                pages_keep_to_their_prefix_and_text_stays_text, logs_are_downloaded_as_they_are, odd_and_old_layouts_are_read,
                limits_are_the_original_s_unless_all_is_wanted])
    shutil.rmtree(WHERE, ignore_errors=True)
    return code


sys.exit(main())
