#!/usr/bin/env python3
"""The History Server beside Spark's own on the same logs in one run: start, listing, first open of a large application, requests, memory.
Prints figures and ratios (Spark's / ours).

    tests/bench/history.py [--tasks 100000] [--logs 1000] [--full] [--spark SPARK_HOME] [--keep DIR] [--json FILE]

--full is 1,000,000 tasks (6.4 GB) and 5,000 logs (1.4 GB). Without SPARK_HOME (or --spark) only ours is measured. CPU seconds (user + system of the
process) are what to compare: wall times depend on what else the machine does. Logs are synthetic (eventlog.py); the page cache is warm for both as
far as memory allows. zstd logs need the program zstd and are left out without it.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import eventlog

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Running:
    def __init__(self, command, env, port):
        self.port, self.began = port, time.monotonic()
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        try:
            c.request("GET", "/api/v1/" + path)
            r = c.getresponse()
            body = r.read()
            if r.status != 200:
                raise OSError(f"{path}: {r.status} {body[:200]!r}")
            return body
        finally:
            c.close()

    def wait_listed(self, count):
        while True:
            try:
                if len(json.loads(self.get("applications"))) >= count:
                    return time.monotonic() - self.began
            except (OSError, ValueError, http.client.HTTPException):  # ValueError: not yet JSON
                pass
            if self.process.poll() is not None:
                sys.exit("bench: the server ended")
            time.sleep(0.005)

    def cpu(self):
        field = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(field[11]) + int(field[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, which):
        return int(re.search(which + r":\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ours(logs, cache):
    port = free_port()
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    return Running([os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel")), "history", "--dir", str(logs), "--port", str(port)], env, port)


def spark(home, heap, logs):
    port = free_port()
    env = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")
    return Running(["java", f"-Xmx{heap}", "-cp", f"{home}/jars/*", f"-Dspark.history.fs.logDirectory=file:{logs}", f"-Dspark.history.ui.port={port}",
                    "-Dspark.history.fs.update.interval=600s", "org.apache.spark.deploy.history.HistoryServer"], env, port)


def median_ms(s, path, times):
    took = []
    for _ in range(times):
        began = time.monotonic()
        s.get(path)
        took.append(time.monotonic() - began)
    return sorted(took)[times // 2] * 1000


def measure_listing(f, start, logs, count):
    s = start(logs)
    f[f"listing {count} logs, cold: wall", "s"] = s.wait_listed(count)
    f[f"listing {count} logs, cold: CPU", "s"] = s.cpu()
    f[f"listing {count} logs, cold: peak memory", "MB"] = s.megabytes("VmHWM")
    s.stop()


def measure_open(f, start, logs, app, label):
    s = start(logs)
    s.wait_listed(1)
    before, began = s.cpu(), time.monotonic()
    s.get(f"applications/{app}/stages")
    f[f"{label}, first open: wall", "s"] = time.monotonic() - began
    f[f"{label}, first open: CPU", "s"] = s.cpu() - before
    return s


def measure_requests(f, s, app):
    stages = json.loads(s.get(f"applications/{app}/stages"))
    largest = max(stages, key=lambda g: (g["numTasks"], g["stageId"]))["stageId"]
    for name, path, times in (("stages", "stages", 9), ("a stage with its tasks", f"stages/{largest}/0", 5),
                              ("task list, 50 slowest", f"stages/{largest}/0/taskList?length=50&sortBy=-runtime", 9), ("task summary", f"stages/{largest}/0/taskSummary", 9),
                              ("jobs", "jobs", 9), ("executors", "allexecutors", 9), ("SQL", "sql?length=1000", 9), ("environment", "environment", 9)):
        s.get(f"applications/{app}/{path}")
        f[f"request: {name}", "ms"] = median_ms(s, f"applications/{app}/{path}", times)


def measure(start, a, where, is_ours):
    """Figures of one server, in a fixed order of names."""
    f = {}
    s = start(where / "empty")
    s.wait_listed(0)
    f["start, nothing to list: wall", "s"] = time.monotonic() - s.began
    f["start, nothing to list: CPU", "s"] = s.cpu()
    f["idle: resident memory", "MB"] = s.megabytes("VmRSS")
    s.stop()
    measure_listing(f, start, where / "small", a.logs)
    label = f"{a.tasks} tasks"
    s = measure_open(f, start, where / "big", "bench", label)
    measure_requests(f, s, "bench")
    f[f"{label}, after these requests: peak memory", "MB"] = s.megabytes("VmHWM")
    if is_ours:  # every row is read; the original takes many minutes
        s.get("applications/bench/stages?withSummaries=true")
        f[f"{label}, after summaries of all stages: peak memory", "MB"] = s.megabytes("VmHWM")
    s.stop()
    if (where / "zstd").exists():
        measure_open(f, start, where / "zstd", "bench", f"{label}, zstd").stop()
    return f


def prepare(a, where):
    for d in ("empty", "small", "big"):
        (where / d).mkdir(parents=True, exist_ok=True)
    done = where / f"made-{a.tasks}-{a.logs}"
    if done.exists():
        return
    for d in ("small", "big", "zstd"):
        shutil.rmtree(where / d, ignore_errors=True)
    (where / "small").mkdir()
    (where / "big").mkdir()
    eventlog.write_log(where / "big" / "bench", "bench", a.tasks)
    if shutil.which("zstd"):
        (where / "zstd").mkdir()
        subprocess.run(["zstd", "-q", "-1", str(where / "big/bench"), "-o", str(where / "zstd/bench.zstd")], check=True)
    eventlog.write_log(where / "template", "bench-000000", 20, executors=10, per_stage=10, environment=400)
    text = (where / "template").read_text()
    for i in range(a.logs):
        (where / "small" / f"bench-{i:06d}").write_text(text.replace("bench-000000", f"bench-{i:06d}"))
    done.touch()


def restarts(f, where, a, cache):
    """What a restart costs that finds its indexes. (Spark's server keeps nothing unless it is told to.)"""
    for turn in ("fresh", "restarted"):
        s = ours(where / "small", cache)
        listed = s.wait_listed(a.logs)
        time.sleep(0.5)
        s.stop()
    f[f"listing {a.logs} logs, restarted: wall", "ms"] = listed * 1000
    for turn in ("fresh", "restarted"):
        s = ours(where / "big", cache)
        s.wait_listed(1)
        began = time.monotonic()
        s.get("applications/bench/stages")
        took = time.monotonic() - began
        s.stop()
    f[f"{a.tasks} tasks, open after a restart: wall", "ms"] = took * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100000)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--full", action="store_true", help="1,000,000 tasks and 5,000 logs")
    parser.add_argument("--heap", default="1g", help="of Spark's server; 1g is what it starts with")
    parser.add_argument("--spark", default=os.environ.get("SPARK_HOME") or os.environ.get("SPARK_HOME_4_1"))
    parser.add_argument("--keep", help="a directory for the logs, reused when they are there")
    parser.add_argument("--json", help="write the table to this file")
    a = parser.parse_args()
    if a.full:
        a.tasks, a.logs = 1000000, 5000
    where = pathlib.Path(a.keep or tempfile.mkdtemp(prefix="bench-history-"))
    prepare(a, where)
    size = (where / "big/bench").stat().st_size
    for p in [*(where / "small").iterdir(), *(where / "zstd").glob("*"), where / "big/bench"]:  # warm, for both
        with p.open("rb") as f:
            while f.read(1 << 24):
                pass
    print(f"{a.logs} logs of {next((where / 'small').iterdir()).stat().st_size} bytes; one of {a.tasks} tasks, {size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}", flush=True)
    caches = iter(where / f"cache-{i}-{os.getpid()}" for i in range(10))
    mine = measure(lambda logs: ours(logs, next(caches)), a, where, True)
    restarts(mine, where, a, next(caches))
    theirs = measure(lambda logs: spark(a.spark, a.heap, logs), a, where, False) if a.spark else {}
    print(f"{'':60} {'ours':>10} {'Spark':>10} {'ratio':>8}")
    rows = []
    for (name, unit), value in mine.items():
        other = theirs.get((name, unit))
        ratio = other / value if other is not None and value else None
        rows.append({"what": name, "value": value, "unit": unit, "spark": other, "ratio": ratio})
        print(f"{name:60} {value:10.3f} " + (f"{other:10.3f} {ratio if ratio is not None else float('inf'):8.1f}" if other is not None else f"{'':10} {'':8}") + f" {unit}")
    for label in (f"{a.tasks} tasks", f"{a.tasks} tasks, zstd"):
        cpu = mine.get((f"{label}, first open: CPU", "s"))
        if cpu:
            rows.append({"what": f"{label}: events read", "value": size / 1e9 / cpu, "unit": "GB a CPU second"})
            print(f"{label + ': events read':60} {size / 1e9 / cpu:10.3f} {'':10} {'':8} GB a CPU second")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1))
    for p in where.glob("cache-*"):
        shutil.rmtree(p, ignore_errors=True)
    if not a.keep:
        shutil.rmtree(where)


main()
