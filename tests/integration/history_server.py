#!/usr/bin/env python3
# timeout: 300
"""The History Server beyond its answers: running applications are followed, hostile logs do no harm, indexes survive damage, the cleaner
and access lists do what Spark's do, settings come from where Spark takes them."""
import io
import json
import os
import pathlib
import re
import shutil
import socket
import sys
import time
import urllib.error
import zipfile

from history_lib import Server, eventually, recorded, run, temporary

WHERE = temporary()
FAST = ("--conf", "spark.history.fs.update.interval=1s")


def event(**fields):
    return json.dumps({k.replace("_", " "): v for k, v in fields.items()}, separators=(",", ":")) + "\n"


T0 = 1700000000000


def start(app, user="ann", attempt=None, at=T0, **properties):
    text = event(Event="SparkListenerLogStart", Spark_Version="4.1.4")
    text += event(Event="SparkListenerEnvironmentUpdate", JVM_Information={"Java Home": "/j", "Java Version": "17", "Scala Version": "2.13"},
                  Spark_Properties=dict({"spark.app.name": app}, **properties), Hadoop_Properties={}, System_Properties={"my.password": "x"},
                  Classpath_Entries={})
    more = {"App Attempt ID": attempt} if attempt else {}
    return text + json.dumps(dict({"Event": "SparkListenerApplicationStart", "App Name": "name of " + app, "App ID": app, "Timestamp": at, "User": user}, **more),
                             separators=(",", ":")) + "\n"


def end(at=T0 + 60000):
    return event(Event="SparkListenerApplicationEnd", Timestamp=at)


def stage(number, tasks=1):
    return {"Stage ID": number, "Stage Attempt ID": 0, "Stage Name": "s", "Number of Tasks": tasks, "RDD Info": [], "Parent IDs": [], "Details": "",
            "Accumulables": []}


def job(number, stages):
    return event(Event="SparkListenerJobStart", Job_ID=number, Submission_Time=2000, Stage_Infos=stages, Stage_IDs=[s["Stage ID"] for s in stages], Properties={})


def directory(name):
    d = WHERE / name
    (d / "logs").mkdir(parents=True)
    return d / "logs", d


def running_applications_are_followed():
    logs, cache = directory("follow")
    log = logs / "app-live.inprogress"
    log.write_text(start("app-live"))
    with Server(logs, cache, *FAST) as s:
        eventually(lambda: s.json("applications/app-live/jobs") == [])
        assert s.json("applications/app-live")["attempts"][0]["completed"] is False
        with log.open("a") as f:
            f.write(job(0, [stage(0)]) + '{"Event":"SparkListenerStageSub')
        eventually(lambda: [j["status"] for j in s.json("applications/app-live/jobs")] == ["RUNNING"])
        with log.open("a") as f:
            f.write('mitted","Stage Info":' + json.dumps(stage(0)) + ',"Properties":{}}\n')
        eventually(lambda: s.json("applications/app-live/stages")[0]["status"] == "ACTIVE")
        with log.open("a") as f:
            f.write(event(Event="SparkListenerJobEnd", Job_ID=0, Completion_Time=3000, Job_Result={"Result": "JobSucceeded"}) + end())
        log.rename(logs / "app-live")
        eventually(lambda: s.json("applications/app-live")["attempts"][0]["completed"] is True)
        eventually(lambda: [j["status"] for j in s.json("applications/app-live/jobs")] == ["SUCCEEDED"])
        assert len(s.json("applications")) == 1
        (logs / "app-live").unlink()
        eventually(lambda: s.json("applications") == [])
        assert s.api("applications/app-live/jobs")[0] == 404


def a_rolled_log_is_found_before_the_next_scan():
    logs, cache = directory("ondemand")
    with Server(logs, cache, "--conf", "spark.history.fs.update.interval=1h") as s:
        assert s.api("applications/app-new/jobs") == (404, b"no such app: app-new")
        rolled = logs / "eventlog_v2_app-new"
        rolled.mkdir()
        (rolled / "events_1_app-new").write_text(start("app-new") + job(4, [stage(0)]))
        (rolled / "appstatus_app-new.inprogress").write_text("")
        assert [j["jobId"] for j in s.json("applications/app-new/jobs")] == [4]
        eventually(lambda: [a["id"] for a in s.json("applications")] == ["app-new"])


def attempts_are_grouped_and_newest_first():
    logs, cache = directory("attempts")
    for attempt, at in (("1", 1000), ("2", 5000)):
        (logs / f"app-a_{attempt}").write_text(start("app-a", attempt=attempt, at=at) + end(at + 100))
    (logs / "app-b").write_text(start("app-b", at=100) + end(200))
    with Server(logs, cache) as s:
        assert s.json("applications") == [], "the default minDate is 2010"
        since = "applications?minDate=1970-01-01&minEndDate=1970-01-01"
        assert [a["id"] for a in s.json(since + "&limit=1")] == ["app-a"]
        listing = s.json(since)
        assert [a["id"] for a in listing] == ["app-a", "app-b"], listing
        assert [t["attemptId"] for t in listing[0]["attempts"]] == ["2", "1"]
        assert s.json("applications/app-a/2/jobs") == []
        assert s.api("applications/app-a/jobs") == (404, b"no such app: app-a")
        assert s.api("applications/app-a/3/jobs") == (404, b"no such app: app-a/3")
        early = s.json("applications?minDate=1970-01-01&minEndDate=1970-01-01&maxDate=1970-01-01T00:00:00.500GMT")
        assert [a["id"] for a in early] == ["app-b"], early
        assert s.json("applications?minEndDate=2030-01-01") == []
        status, body = s.api("applications/app-a/logs")
        assert status == 200 and sorted(zipfile.ZipFile(io.BytesIO(body)).namelist()) == ["app-a_1", "app-a_2"]
        assert s.headers["Content-Disposition"] == "attachment; filename=eventLogs-app-a.zip"


def hostile_logs_do_no_harm():
    logs, cache = directory("hostile")
    deep = "[" * 200000 + "]" * 200000
    plan = {"nodeName": "X", "simpleString": "x", "children": [], "metadata": {}, "metrics": []}
    for _ in range(3000):
        plan = {"nodeName": "X", "simpleString": "x", "children": [plan], "metadata": {}, "metrics": []}
    sys.setrecursionlimit(20000)
    sql = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart"
    task = {"Task ID": 1, "Index": 2147483647, "Attempt": -5, "Launch Time": -1, "Executor ID": "x", "Host": "h", "Locality": "ANY", "Speculative": True,
            "Getting Result Time": 0, "Finish Time": 5, "Failed": False, "Killed": False, "Accumulables": [{"ID": 1, "Update": "99999999999999999999", "Value": [1]}]}
    bad = {
        "nested": '{"Event":"SparkListenerJobStart","Job ID":' + deep + "}\n",
        "plan": json.dumps({"Event": sql, "executionId": 1, "description": "d", "sparkPlanInfo": plan, "time": 1}) + "\n",
        "types": event(Event="SparkListenerJobStart", Job_ID="x", Stage_Infos={"a": 1}, Properties=[1]) + event(Event="SparkListenerStageCompleted", Stage_Info=None)
        + event(Event="SparkListenerTaskEnd", Stage_ID=[], Task_Info="x", Task_Metrics=7) + event(Event="SparkListenerBlockUpdated", Block_Updated_Info=[]),
        "order": event(Event="SparkListenerTaskEnd", Stage_ID=7, Stage_Attempt_ID=0, Task_Type="r", Task_End_Reason={"Reason": "Success"}, Task_Info=task) * 3
        + event(Event="SparkListenerStageCompleted", Stage_Info=stage(7)) + job(1, [stage(7, -3), stage(7, 2147483647)]) * 3
        + event(Event="SparkListenerTaskStart", Stage_ID=7, Task_Info=task) * 3
        + event(Event="SparkListenerTaskEnd", Stage_ID=7, Task_Type="r", Task_End_Reason={"Reason": "Nonsense"}, Task_Info=task),
        "huge": event(Event="SparkListenerJobStart", Job_ID=1, Stage_Infos=[], Properties={"spark.job.description": "x" * (8 << 20)}),
        "garbage": "\0\xff\n" * 1000,
        "numbers": event(Event="SparkListenerExecutorAdded", Timestamp=1e300, Executor_ID="1", Executor_Info={"Host": "h", "Total Cores": -1e99, "Log Urls": {}}),
    }
    for name, text in bad.items():
        (logs / ("bad-" + name)).write_text(start("bad-" + name) + text + job(9, [stage(90)]) + end(), errors="surrogateescape")
    (logs / "empty").write_text("")
    (logs / "noise.zstd").write_bytes(os.urandom(5000))
    (logs / "not-a-codec.txt").write_text("hello")
    (logs / "eventlog_v2_half").mkdir()
    (logs / "eventlog_v2_half" / "events_1_half").write_text(start("half"))
    (logs / "eventlog_v2_gap").mkdir()
    for part in (1, 3):
        (logs / "eventlog_v2_gap" / f"events_{part}_gap").write_text(start("gap"))
    (logs / "eventlog_v2_gap" / "appstatus_gap").write_text("")
    with Server(logs, cache) as s:
        listed = {a["id"] for a in s.json("applications")}
        assert listed == {"bad-" + n for n in bad}, listed
        for app in sorted(listed):
            for path in ("jobs", "stages?details=true&withSummaries=true", "allexecutors", "sql", "environment", "storage/rdd"):
                status, body = s.api(f"applications/{app}/{path}")
                assert status in (200, 404), (app, path, status, body[:200])
                if status == 200:
                    json.loads(body)
        assert [j["jobId"] for j in s.json("applications/bad-plan/jobs")] == [9]
        page = s.get("/")[1].decode()
        for log in ("noise.zstd", "not-a-codec.txt", "eventlog_v2_gap", "empty"):
            assert log in page, log
        assert "part 1 is followed by part 3" in page
        assert "could be read only so far" in s.get("/history/bad-garbage/jobs/")[1].decode()
        assert s.resident_kb() < 400000, s.resident_kb()
        for target in ("/api/v1/applications/%00/jobs", "/api/v1/" + "a/" * 500, "/%", "//", "/api/v1/applications/bad-order/stages/7/0/taskList?length=-1",
                       "/api/v1/applications/bad-order/stages/99999999999/0", "/history/../../etc/passwd"):
            assert s.get(target)[0] in (200, 400, 404, 500), target


def damaged_indexes_are_made_again():
    logs, cache = directory("index")
    (logs / "app").write_text(start("app") + job(0, [stage(0)]) + end())
    with Server(logs, cache) as s:
        before = s.json("applications/app/jobs")
    index = next((cache / "firesteel/history").glob("app-*.index"))
    whole = index.read_bytes()
    for damage in (whole[:100], b"", whole[:5000] + b"\xff" * 50 + whole[5050:], os.urandom(20000)):
        index.write_bytes(damage)
        with Server(logs, cache) as s:
            assert s.json("applications/app/jobs") == before
            assert s.metric("replays_total") == 1
    listing = next((cache / "firesteel/history").glob("*.listing"))
    listing.write_bytes(listing.read_bytes()[:-3] + b"xyz")
    with Server(logs, cache) as s:
        assert len(s.json("applications")) == 1
    with Server(logs, cache) as s:
        assert s.json("applications/app/jobs") == before and s.metric("replays_total") == 0 and s.metric("logs_read_total") == 0
        time.sleep(0.02)
    with (logs / "app").open("a") as f:
        f.write("\n")
    with Server(logs, cache) as s:
        eventually(lambda: s.metric("scans_total") >= 1)
        s.json("applications/app/jobs")
        assert s.metric("replays_total") == 1, "a changed log needs a new index"


def large_log(path, tasks, stages):
    """One application whose stages have many tasks with metrics and accumulables."""
    text = start("large") + job(0, [stage(n, tasks) for n in range(stages)])
    accumulables = ",".join('{"ID":%d,"Name":"metric %d","Update":"%%d","Value":"%%d","Internal":false,"Count Failed Values":true}' % (i, i) for i in range(8))
    with path.open("w") as out:
        out.write(text)
        for s in range(stages):
            out.write(event(Event="SparkListenerStageSubmitted", Stage_Info=stage(s, tasks), Properties={}))
            for i in range(tasks):
                number = s * tasks + i
                info = '"Task Info":{"Task ID":%d,"Index":%d,"Attempt":0,"Partition ID":%d,"Launch Time":%d,"Executor ID":"%d","Host":"h%d","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":%%d,"Failed":false,"Killed":false,"Accumulables":[%%s]}' % (
                    number, i, i, T0 + i, i % 50, i % 50)
                out.write('{"Event":"SparkListenerTaskStart","Stage ID":%d,"Stage Attempt ID":0,%s}\n' % (s, info % (0, "")))
                out.write('{"Event":"SparkListenerTaskEnd","Stage ID":%d,"Stage Attempt ID":0,"Task Type":"ResultTask","Task End Reason":{"Reason":"Success"},%s,"Task Metrics":{"Executor Run Time":%d,"Result Size":5}}\n' % (
                    s, info % (T0 + i + 500, accumulables % ((number,) * 16)), i * 7919 % 1000))
            out.write(event(Event="SparkListenerStageCompleted", Stage_Info=stage(s, tasks)))
        out.write(end())


def high_water_kb(s):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{s.process.pid}/status").read()).group(1))


def large_answers_are_streamed():
    logs, cache = directory("large")
    tasks, stages = 12000, 4
    large_log(logs / "large", tasks, stages)
    with Server(logs, cache, "--access-log") as s:
        one_by_one = []
        for offset in range(0, tasks, 1000):  # small answers, made whole
            one_by_one += s.json(f"applications/large/stages/2/0/taskList?sortBy=-runtime&offset={offset}&length=1000")
            assert "Content-Length" in s.headers
        before = high_water_kb(s)
        assert s.json(f"applications/large/stages/2/0/taskList?sortBy=-runtime&length={tasks}") == one_by_one
        assert s.headers.get("Transfer-Encoding") == "chunked" and "Content-Length" not in s.headers, s.headers
        detailed = s.json("applications/large/stages?details=true")
        assert [g["stageId"] for g in detailed] == [3, 2, 1, 0] and all(len(g["tasks"]) == tasks for g in detailed)
        assert s.json("applications/large/stages/2/0") == detailed[1]
        size = len(s.api("applications/large/stages?details=true")[1])
        assert size > 50e6 and (high_water_kb(s) - before) * 1024 < size / 5, (size, before, high_water_kb(s))
        assert s.get("/api/v1/applications/large/stages?details=true", method="HEAD") == (200, b"")
        # Readers that do not read hold up nobody else, and leave nothing behind.
        idle = []
        for _ in range(12):
            c = socket.create_connection(("127.0.0.1", s.port))
            c.sendall(b"GET /api/v1/applications/large/stages?details=true HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.append(c)
        eventually(lambda: s.metric("large_answers") == 12)
        for _ in range(20):
            assert len(s.json("applications/large/jobs")) == 1
        assert (high_water_kb(s) - before) * 1024 < size, "what nobody takes is not made"
        for c in idle:
            c.close()
        eventually(lambda: s.metric("large_answers") == 0)
        assert len(s.json("applications/large/stages/3")[0]["tasks"]) == tasks
        # Half-sent ones do not keep it from ending.
        c = socket.create_connection(("127.0.0.1", s.port))
        c.sendall(b"GET /api/v1/applications/large/stages?details=true HTTP/1.1\r\nHost: x\r\n\r\n")
        c.recv(1000)
    c.close()


def an_application_that_has_just_ended_is_found_under_its_new_name():
    logs, cache = directory("ended")
    log = logs / "app-ends.inprogress"
    log.write_text(start("app-ends") + job(0, [stage(0)]))
    with Server(logs, cache, "--conf", "spark.history.fs.update.interval=1h") as s:
        eventually(lambda: s.json("applications/app-ends")["attempts"][0]["completed"] is False)
        with log.open("a") as f:
            f.write(end())
        log.rename(logs / "app-ends")
        assert len(s.json("applications/app-ends/jobs")) == 1
        assert s.json("applications/app-ends")["attempts"][0]["completed"] is True
        log = logs / "app-pages.inprogress"
        log.write_text(start("app-pages"))
        assert s.json("applications/app-pages")["attempts"][0]["completed"] is False
        log.rename(logs / "app-pages")
        assert s.get("/history/app-pages/jobs/")[0] == 200


def a_growing_log_is_read_on_not_again():
    logs, cache = directory("grow")
    log = logs / "grow.inprogress"
    with log.open("w") as f:
        f.write(start("grow"))
        for i in range(3000):
            f.write(event(Event="SparkListenerUnknown", padding="x" * 2000))
    with Server(logs, cache, *FAST) as s:
        assert s.json("applications/grow/jobs") == []
        whole = s.metric("replayed_bytes_total")
        assert whole > 6e6
        for i in range(3):
            with log.open("a") as f:
                f.write(job(i, [stage(i)]))
            eventually(lambda: [j["jobId"] for j in s.json("applications/grow/jobs")] == list(range(i, -1, -1)))
        assert s.metric("continued_replays_total") >= 3
        assert s.metric("replayed_bytes_total") - whole < 20000
        with log.open("a") as f:
            f.write(end())
        log.rename(logs / "grow")
        eventually(lambda: s.json("applications/grow")["attempts"][0]["completed"] is True)
        assert len(s.json("applications/grow/jobs")) == 3
        assert s.metric("replayed_bytes_total") - whole < 20000, "the finished log is the same one under another name"


def access_lists_are_spark_s():
    logs, cache = directory("acl")
    (logs / "app").write_text(start("app", user="ann", **{"spark.ui.view.acls": "bob, carl", "spark.admin.acls": "dora", "spark.ui.view.acls.groups": "staff"}) + end())
    options = ("--conf", "spark.history.ui.acls.enable=true", "--conf", "spark.history.ui.admin.acls=root2", "--user-header", "X-User", "--group-header", "X-Groups")
    with Server(logs, cache, *options) as s:
        for user, groups, status in (("ann", "", 200), ("bob", "", 200), ("carl", "", 200), ("dora", "", 200), ("root2", "", 200), ("eve", "", 403),
                                     ("eve", "x, staff", 200), ("eve", "x", 403), ("an", "", 403)):
            got, body = s.api("applications/app/jobs", {"X-User": user, "X-Groups": groups})
            assert got == status, (user, groups, got)
        assert s.api("applications/app/jobs", {"X-User": "eve"})[1] == b'user "eve" is not authorized'
        assert s.api("applications/app/logs", {"X-User": "eve"})[0] == 403
        assert s.get("/history/app/jobs/", {"X-User": "eve"})[0] == 403
        assert s.api("applications/app/jobs")[0] == 200, "without a user Spark asks nothing"
    with Server(logs, cache) as s:
        assert s.api("applications/app/jobs", {"X-User": "eve"})[0] == 200, "without acls.enable everybody may"


def the_cleaner_keeps_to_its_limits():
    logs, cache = directory("clean")
    day = 86400
    for i in range(6):
        (logs / f"app-{i}").write_text(start(f"app-{i}") + end())
        os.utime(logs / f"app-{i}", (time.time() - i * day,) * 2)
    (logs / "keep.inprogress").write_text(start("keep"))
    cleaner = ("--conf", "spark.history.fs.cleaner.enabled=true", "--conf", "spark.history.fs.cleaner.maxAge=3d", *FAST)
    with Server(logs, cache, *cleaner, "--cleaner-dry-run") as s:
        eventually(lambda: "would remove app-5" in s.messages())
        assert len(list(logs.iterdir())) == 7
    with Server(logs, cache, *cleaner) as s:
        eventually(lambda: sorted(p.name for p in logs.iterdir()) == ["app-0", "app-1", "app-2", "keep.inprogress"])
        eventually(lambda: len(s.json("applications")) == 4)
    with Server(logs, cache, *cleaner, "--conf", "spark.history.fs.cleaner.maxNum=2"):
        eventually(lambda: sorted(p.name for p in logs.iterdir()) == ["app-0", "keep.inprogress"])


def settings_come_from_where_spark_takes_them():
    logs, cache = directory("settings")
    (logs / "app").write_text(start("app") + end())
    conf = cache / "spark-defaults.conf"
    conf.write_text(f"# shared\nspark.history.fs.logDirectory  file://{logs}\nspark.master k8s://x\nspark.history.ui.title=From a file\nspark.ui.proxyBase /proxied\n"
                    "spark.redaction.regex nothing\nspark.history.kerberos.enabled true\nspark.history.bogus 1\n")
    env = {"SPARK_HISTORY_OPTS": "-Xmx4g -Dspark.history.ui.title='From opts'"}
    s = Server(None, cache, "--properties-file", str(conf), env=env)
    s.prefix = "/proxied"
    with s:
        assert "From opts" in s.get("/proxied/")[1].decode()
        assert s.json("applications")[0]["id"] == "app"
        assert s.get("/api/v1/applications")[0] == 404 and s.get("/healthz")[0] == 200
        assert ["my.password", "x"] in s.json("applications/app/environment")["systemProperties"]
        text = s.messages()
        for part in ("spark.history.kerberos.enabled has no effect", "spark.history.bogus is unknown", "-Xmx4g is for a JVM"):
            assert part in text, part
        assert s.headers["X-Frame-Options"] == "SAMEORIGIN" and s.headers["X-Content-Type-Options"] == "nosniff"
    with Server(logs, cache) as s:
        assert ["my.password", "*********(redacted)"] in s.json("applications/app/environment")["systemProperties"]
        assert s.get("/", method="POST")[0] == 405
        assert s.get("/api/v1/version")[1] == b'{\n  "spark" : "4.1.4"\n}'
    for options, why in ((("--conf", "spark.history.fs.update.interval=soon"), "spark.history.fs.update.interval"), (("--dir", "/does/not/exist"), "does not exist"),
                         (("--conf", "spark.redaction.regex=("), "regular expression")):
        try:
            Server(logs if options[0] != "--dir" else None, cache, *options)
            raise AssertionError(f"started with {options}")
        except RuntimeError as e:
            assert why in str(e) or "No such file" in str(e), (why, e)


def main():
    code = run([running_applications_are_followed, an_application_that_has_just_ended_is_found_under_its_new_name,
                a_rolled_log_is_found_before_the_next_scan, attempts_are_grouped_and_newest_first, hostile_logs_do_no_harm,
                damaged_indexes_are_made_again, large_answers_are_streamed, a_growing_log_is_read_on_not_again, access_lists_are_spark_s,
                the_cleaner_keeps_to_its_limits, settings_come_from_where_spark_takes_them])
    shutil.rmtree(WHERE, ignore_errors=True)
    return code


sys.exit(main())
