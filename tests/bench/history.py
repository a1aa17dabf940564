#!/usr/bin/env python3
"""The History Server against Spark's own on the same logs in one run: start to complete listing, first open of a large application,
requests, memory. Prints figures and ratios (Spark's / ours).

    tests/bench/history.py [--tasks 100000] [--logs 1000] [--spark SPARK_HOME] [--keep DIR]

Without SPARK_HOME (or --spark) only ours is measured. CPU seconds (user + system of the process) are what to compare: wall times depend
on what else the machine does. Logs are synthetic, in the form of Spark 4.1's; the page cache is warm for both.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
METRICS = ("executorDeserializeTime", "executorDeserializeCpuTime", "executorRunTime", "executorCpuTime", "resultSize", "jvmGCTime",
           "resultSerializationTime", "memoryBytesSpilled", "diskBytesSpilled", "peakExecutionMemory", "shuffle.read.remoteBlocksFetched",
           "shuffle.read.localBlocksFetched", "shuffle.read.remoteBytesRead", "shuffle.read.localBytesRead", "shuffle.read.fetchWaitTime",
           "shuffle.read.recordsRead", "shuffle.write.bytesWritten", "shuffle.write.recordsWritten", "shuffle.write.writeTime", "input.bytesRead",
           "input.recordsRead")
SQL = ("number of output rows", "scan time", "size of files read", "shuffle bytes written", "peak memory", "spill size", "duration")
SQL_TYPES = ("sum", "timing", "size", "size", "size", "size", "timing")
PEAKS = ("JVMHeapMemory", "JVMOffHeapMemory", "OnHeapExecutionMemory", "OffHeapExecutionMemory", "OnHeapStorageMemory", "OffHeapStorageMemory",
         "OnHeapUnifiedMemory", "OffHeapUnifiedMemory", "DirectPoolMemory", "MappedPoolMemory", "ProcessTreeJVMVMemory", "ProcessTreeJVMRSSMemory",
         "ProcessTreePythonVMemory", "ProcessTreePythonRSSMemory", "ProcessTreeOtherVMemory", "ProcessTreeOtherRSSMemory", "MinorGCCount", "MinorGCTime",
         "MajorGCCount", "MajorGCTime", "TotalGCTime", "ConcurrentGCCount", "ConcurrentGCTime")


def write_log(path, app, tasks, executors=100, per_stage=2000):
    """One application: jobs of one stage each, every task with metrics and accumulables."""
    rnd = random.Random(7)
    t = 1760000000000

    def event(out, **fields):
        out.write(json.dumps({k.replace("_", " "): v for k, v in fields.items()}, separators=(",", ":")) + "\n")

    with open(path, "w", buffering=1 << 20) as out:
        event(out, Event="SparkListenerLogStart", Spark_Version="4.1.4")
        event(out, Event="SparkListenerEnvironmentUpdate", JVM_Information={"Java Home": "/j", "Java Version": "17", "Scala Version": "2.13"},
              Spark_Properties={"spark.app.id": app}, Hadoop_Properties={f"hadoop.{i}": "v" for i in range(500)}, System_Properties={}, Metrics_Properties={},
              Classpath_Entries={f"/jars/{i}.jar": "System Classpath" for i in range(250)})
        event(out, Event="SparkListenerApplicationStart", App_Name="bench", App_ID=app, Timestamp=t, User="bench")
        for i in range(executors):
            event(out, Event="SparkListenerExecutorAdded", Timestamp=t, Executor_ID=str(i), Executor_Info={"Host": f"10.0.0.{i}", "Total Cores": 4, "Log Urls": {}})
        task = stage = 0
        while task < tasks:
            n = min(per_stage, tasks - task)
            base = 1000 * stage
            info = {"Stage ID": stage, "Stage Attempt ID": 0, "Stage Name": f"collect at job.py:{stage}", "Number of Tasks": n, "RDD Info": [], "Parent IDs": [],
                    "Details": "org.apache.spark.Layer.call(Layer.scala:1)\n" * 12, "Accumulables": [], "Resource Profile Id": 0}
            metrics = [{"name": m, "accumulatorId": base + 100 + i, "metricType": k} for i, (m, k) in enumerate(zip(SQL, SQL_TYPES))]
            plan = {"nodeName": "Scan parquet", "simpleString": "Scan parquet [k#1,v#2]", "children": [], "metadata": {}, "metrics": metrics}
            event(out, Event="org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart", executionId=stage, rootExecutionId=stage, description=f"query {stage}",
                  details="", physicalPlanDescription="== Physical Plan ==\n" * 20, sparkPlanInfo=plan, time=t, modifiedConfigs={})
            properties = {"spark.sql.execution.id": str(stage)}
            event(out, Event="SparkListenerJobStart", Job_ID=stage, Submission_Time=t, Stage_Infos=[info], Stage_IDs=[stage], Properties=properties)
            info["Submission Time"] = t
            event(out, Event="SparkListenerStageSubmitted", Stage_Info=info, Properties=properties)
            tail = ',"Internal":true,"Count Failed Values":true'
            accumulables = ",".join(['{"ID":%d,"Name":"internal.metrics.%s","Update":%%d,"Value":%%d%s}' % (base + i, m, tail) for i, m in enumerate(METRICS)] +
                                    ['{"ID":%d,"Name":"%s","Update":"%%d","Value":"%%d"%s,"Metadata":"sql"}' % (base + 100 + i, m, tail) for i, m in enumerate(SQL)])
            peaks = ",".join('"%s":%d' % (m, (i * 7919 + 1) * 4096 if i in (0, 1, 2, 6, 8, 20) else 0) for i, m in enumerate(PEAKS))
            for i in range(n):
                ex, launch, run = task % executors, t + i % 50, 200 + rnd.randrange(3000)
                head = '"Task Info":{"Task ID":%d,"Index":%d,"Attempt":0,"Partition ID":%d,"Launch Time":%d,"Executor ID":"%d","Host":"10.0.0.%d","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":' % (task, i, i, launch, ex, ex)
                out.write('{"Event":"SparkListenerTaskStart","Stage ID":%d,"Stage Attempt ID":0,%s0,"Failed":false,"Killed":false,"Accumulables":[]}}\n' % (stage, head))
                values = [v for k in range(len(METRICS) + len(SQL)) for v in (run * 57 + k, run * 57 * (i + 1))]
                out.write('{"Event":"SparkListenerTaskEnd","Stage ID":%d,"Stage Attempt ID":0,"Task Type":"ResultTask","Task End Reason":{"Reason":"Success"},%s%d,"Failed":false,"Killed":false,"Accumulables":[%s]},"Task Executor Metrics":{%s},'
                          '"Task Metrics":{"Executor Deserialize Time":5,"Executor Deserialize CPU Time":4000000,"Executor Run Time":%d,"Executor CPU Time":%d,"Peak Execution Memory":%d,"Result Size":2000,"JVM GC Time":%d,"Result Serialization Time":1,"Memory Bytes Spilled":0,"Disk Bytes Spilled":0,'
                          '"Shuffle Read Metrics":{"Remote Blocks Fetched":40,"Local Blocks Fetched":9,"Fetch Wait Time":3,"Remote Bytes Read":%d,"Remote Bytes Read To Disk":0,"Local Bytes Read":%d,"Total Records Read":%d,"Remote Requests Duration":2},'
                          '"Shuffle Write Metrics":{"Shuffle Bytes Written":%d,"Shuffle Write Time":9000000,"Shuffle Records Written":%d},"Input Metrics":{"Bytes Read":0,"Records Read":0},"Output Metrics":{"Bytes Written":0,"Records Written":0},"Updated Blocks":[]}}\n'
                          % (stage, head, launch + run + 20, accumulables % tuple(values), peaks, run, run * 800000, run * 3000, run // 25, run * 40, run * 9, run * 3, run * 20, run * 2))
                task += 1
            t += 5000
            info["Completion Time"] = t
            event(out, Event="SparkListenerStageCompleted", Stage_Info=info)
            event(out, Event="SparkListenerJobEnd", Job_ID=stage, Completion_Time=t, Job_Result={"Result": "JobSucceeded"})
            event(out, Event="org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd", executionId=stage, time=t, errorMessage="")
            stage += 1
        event(out, Event="SparkListenerApplicationEnd", Timestamp=t)


class Running:
    def __init__(self, command, env, port):
        self.port, self.began = port, time.monotonic()
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=600) as r:
            return r.read()

    def wait_listed(self, count):
        while True:
            try:
                if len(json.loads(self.get("applications"))) >= count:
                    return time.monotonic() - self.began
            except OSError:
                pass
            if self.process.poll() is not None:
                sys.exit("the server ended")
            time.sleep(0.01)

    def cpu(self):
        field = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(field[11]) + int(field[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ours(logs, cache, port):
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    return Running([os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel")), "history", "--dir", str(logs), "--port", str(port)], env, port)


def spark(home, logs, port):
    env = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")
    return Running(["java", "-Xmx2g", "-cp", f"{home}/jars/*", f"-Dspark.history.fs.logDirectory=file:{logs}", f"-Dspark.history.ui.port={port}",
                    "org.apache.spark.deploy.history.HistoryServer"], env, port)


def measure(start, small, count, big, tasks):
    """Figures of one server, in a fixed order of names."""
    f = {}
    s = start(small)
    f[f"listing of {count} logs, wall s"] = s.wait_listed(count)
    f[f"listing of {count} logs, CPU s"] = s.cpu()
    f[f"listing of {count} logs, peak MB"] = s.peak_mb()
    s.stop()
    s = start(big)
    s.wait_listed(1)
    before, began = s.cpu(), time.monotonic()
    s.get("applications/bench/stages")
    f[f"first open of {tasks} tasks, wall s"] = time.monotonic() - began
    f[f"first open of {tasks} tasks, CPU s"] = s.cpu() - before
    f[f"first open of {tasks} tasks, peak MB"] = s.peak_mb()
    for path in ("stages", "stages/0/0/taskList?length=50&sortBy=-runtime", "stages/0/0/taskSummary", "sql?length=1000", "executors"):
        times = []
        for _ in range(5):
            began = time.monotonic()
            s.get("applications/bench/" + path)
            times.append(time.monotonic() - began)
        f[f"request {path}, ms"] = sorted(times)[2] * 1000
    s.stop()
    return f


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100000)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--spark", default=os.environ.get("SPARK_HOME") or os.environ.get("SPARK_HOME_4_1"))
    parser.add_argument("--keep", help="a directory for the logs, reused when they are there")
    a = parser.parse_args()
    where = pathlib.Path(a.keep or tempfile.mkdtemp(prefix="bench-history-"))
    small, big = where / "small", where / "big"
    for d in (small, big):
        d.mkdir(parents=True, exist_ok=True)
    if not (big / "bench").exists():
        write_log(big / "bench", "bench", a.tasks)
    if len(list(small.iterdir())) != a.logs:
        template = where / "template"
        write_log(template, "bench-000000", 20, 3)
        text = template.read_text()
        for i in range(a.logs):
            (small / f"bench-{i:06d}").write_text(text.replace("bench-000000", f"bench-{i:06d}"))
    size = (big / "bench").stat().st_size
    for p in list(small.iterdir()) + [big / "bench"]:  # warm, for both
        p.open("rb").read() if p.stat().st_size < 1 << 30 else None
    print(f"{a.logs} logs of {next(small.iterdir()).stat().st_size} bytes; one of {a.tasks} tasks, {size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}")
    caches = iter(where / f"cache-{i}-{os.getpid()}" for i in range(10))
    mine = measure(lambda logs: ours(logs, next(caches), 18091), small, a.logs, big, a.tasks)
    theirs = measure(lambda logs: spark(a.spark, logs, 18092), small, a.logs, big, a.tasks) if a.spark else {}
    print(f"{'':60} {'ours':>10} {'Spark':>10} {'ratio':>8}")
    for name, value in mine.items():
        other = theirs.get(name)
        print(f"{name:60} {value:10.3f} " + (f"{other:10.3f} {other / value if value else float('inf'):8.1f}" if other is not None else ""))
    cpu = mine[f"first open of {a.tasks} tasks, CPU s"]
    print(f"replay: {size / 1e6 / cpu:.0f} MB of events a CPU second" if cpu else "")
    # A restart reads neither logs nor events.
    cache = where / f"cache-restart-{os.getpid()}"
    for turn in ("fresh", "restarted"):
        s = ours(small, cache, 18093)
        listed = s.wait_listed(a.logs)
        print(f"{turn}: {a.logs} logs listed after {listed * 1000:.0f} ms, {s.cpu() * 1000:.0f} ms CPU")
        time.sleep(0.5)
        s.stop()
    for p in where.glob("cache-*"):
        shutil.rmtree(p, ignore_errors=True)
    if not a.keep:
        shutil.rmtree(where)


main()
