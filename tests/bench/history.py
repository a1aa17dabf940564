#!/usr/bin/env python3
"""The History Server beside Spark's own on the same logs in one run: start, listing, first open of a large application, requests, memory.
Prints figures and ratios (Spark's / ours).

    tests/bench/history.py [--full] [--tasks 100000] [--logs 1000] [--spark SPARK_HOME] [--limit 60] [--within 480] [--keep DIR] [--json FILE]

--full is 1,000,000 tasks (6.4 GB) and 5,000 logs (1.5 GB); it needs 9 GB of disk. Without SPARK_HOME (or --spark) only ours is measured. CPU time (user +
system of the process) is what to compare: wall times depend on what else the machine does. Logs are synthetic (eventlog.py); the page cache is warm for both
as far as memory allows. zstd logs need the program zstd and are left out without it.

A request that Spark's server has not answered within --limit seconds, or (first opens and listings) three times as many, is given up, and so is that server;
what was to follow is marked. After --within seconds Spark's server is asked nothing more. What was started is ended and what was written removed, but with --keep.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
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


class Unanswered(Exception):
    pass


LATE = "left out: the time of the run was up"
running = []  # servers


class Running:
    """A server, asked with a limit of seconds a request."""

    def __init__(self, command, env, port, limit, until):
        self.port, self.limit, self.until, self.began = port, limit, until, time.monotonic()
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(self)

    def get(self, path, patience=1):
        end = min(time.monotonic() + patience * self.limit, self.until)
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=max(0.1, end - time.monotonic()))
        try:
            c.request("GET", "/api/v1/" + path)
            r, body = c.getresponse(), b""
            while piece := r.read(1 << 20):
                body += piece
                if time.monotonic() > end:
                    raise TimeoutError
        except TimeoutError:
            raise Unanswered(LATE if end == self.until else f"did not answer within {patience * self.limit:.0f} s") from None
        finally:
            c.close()
        if r.status != 200:
            raise OSError(f"{path}: {r.status} {body[:200]!r}")
        return body

    def wait_listed(self, count):
        while True:
            asked = time.monotonic()
            try:
                if len(json.loads(self.get("applications", 3))) >= count:
                    return time.monotonic() - self.began
            except (OSError, ValueError, http.client.HTTPException):  # ValueError: not yet JSON
                pass
            if self.process.poll() is not None:
                sys.exit("bench: the server ended")
            if time.monotonic() > self.until:
                raise Unanswered(LATE)
            if time.monotonic() - self.began > 3 * self.limit:
                raise Unanswered(f"did not list them within {3 * self.limit:.0f} s")
            time.sleep(min(0.3, max(0.005, 10 * (time.monotonic() - asked))))  # asking must not be what the server is busy with

    def cpu(self):
        return time.clock_gettime(~self.process.pid << 3 | 2)  # the process's own clock, threads that have ended included

    def megabytes(self, which):
        return int(re.search(which + r":\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        running.remove(self)


def ours(logs, cache):
    port = free_port()
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    return Running([os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel")), "history", "--dir", str(logs), "--port", str(port)], env, port, 3600, float("inf"))


def spark(a, logs, until):
    port = free_port()
    env = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")
    return Running(["java", f"-Xmx{a.heap}", "-cp", f"{a.spark}/jars/*", f"-Dspark.history.fs.logDirectory=file:{logs}", f"-Dspark.history.ui.port={port}",
                    "-Dspark.history.fs.update.interval=600s", "org.apache.spark.deploy.history.HistoryServer"], env, port, a.limit, until)


def repeated(s, path, seconds=10):
    """Median wall and mean CPU milliseconds of a request that has been made twice before: of twenty, or of as many as there is time for (three at least)."""
    for _ in range(2):
        s.get(path)
    took, cpu, began = [], s.cpu(), time.monotonic()
    while len(took) < 20 and (len(took) < 3 or time.monotonic() - began < seconds):
        start = time.monotonic()
        s.get(path)
        took.append(time.monotonic() - start)
    return sorted(took)[len(took) // 2] * 1000, (s.cpu() - cpu) / len(took) * 1000


def measure_start(f, start, where):
    s = start(where / "empty")
    s.wait_listed(0)
    f["start, nothing to list: wall", "s"] = time.monotonic() - s.began
    f["start, nothing to list: CPU", "s"] = s.cpu()
    f["idle: resident memory", "MB"] = s.megabytes("VmRSS")
    s.stop()


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
    s.get(f"applications/{app}/stages", 3)
    f[f"{label}, first open: wall", "s"] = time.monotonic() - began
    f[f"{label}, first open: CPU", "s"] = s.cpu() - before
    return s


def measure_requests(f, s, app):
    stages = json.loads(s.get(f"applications/{app}/stages"))
    largest = max(stages, key=lambda g: (g["numTasks"], g["stageId"]))["stageId"]
    for name, path in (("stages", "stages"), ("a stage with its tasks", f"stages/{largest}/0"), ("task list, 50 slowest", f"stages/{largest}/0/taskList?length=50&sortBy=-runtime"),
                       ("task list, the whole stage", f"stages/{largest}/0/taskList?length=1000000"),
                       ("task summary", f"stages/{largest}/0/taskSummary"), ("jobs", "jobs"), ("executors", "allexecutors"), ("SQL", "sql?length=1000"),
                       ("environment", "environment")):
        f[f"request: {name}: wall", "ms"], f[f"request: {name}: CPU", "ms"] = repeated(s, f"applications/{app}/{path}")


def measure_large(f, start, a, where, is_ours):
    label = f"{a.tasks} tasks"
    s = measure_open(f, start, where / "big", "bench", label)
    measure_requests(f, s, "bench")
    f[f"{label}, after these requests: peak memory", "MB"] = s.megabytes("VmHWM")
    if is_ours:  # every row is read; the original takes many minutes
        s.get("applications/bench/stages?withSummaries=true")
        f[f"{label}, after summaries of all stages: peak memory", "MB"] = s.megabytes("VmHWM")
    s.stop()


def measure_zstd(f, start, a, where):
    if (where / "zstd").exists():
        measure_open(f, start, where / "zstd", "bench", f"{a.tasks} tasks, zstd").stop()


def measure(start, a, where, is_ours):
    """Figures of one server by name and unit, a dictionary for each part; and for parts that were given up, why."""
    figures, why = [], []
    for part in (lambda f: measure_start(f, start, where), lambda f: measure_listing(f, start, where / "small", a.logs),
                 lambda f: measure_large(f, start, a, where, is_ours), lambda f: measure_zstd(f, start, a, where)):
        figures.append({})
        why.append(None)
        try:
            if not is_ours and time.monotonic() > a.until:
                raise Unanswered(LATE)
            part(figures[-1])
        except Unanswered as e:
            why[-1] = str(e)
            for s in list(running):
                s.stop()
    return figures, why


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


def show(mine, theirs, why, rows):
    for (name, unit), value in mine.items():
        other = theirs.get((name, unit))
        ratio = other / value if other is not None and value else None
        rows.append({"what": name, "value": value, "unit": unit, "spark": other, "ratio": ratio})
        line = f"{name:66} {value:10.3f} "
        if other is not None:
            line += f"{other:10.3f} {ratio:8.1f}" if ratio else f"{other:10.3f} {'':8}"
        elif why:  # the first figure that is not there says what happened; nobody asked for the others any more
            rows[-1]["spark_says"] = why
            line += f"({why})"
            why = None
        else:
            line += " " * 19
        print(line + f" {unit}")


def run(a, where):
    prepare(a, where)
    size = (where / "big/bench").stat().st_size
    for p in [*(where / "small").iterdir(), *(where / "zstd").glob("*"), where / "big/bench"]:  # warm, for both
        with p.open("rb") as f:
            while f.read(1 << 24):
                pass
    print(f"{a.logs} logs of {next((where / 'small').iterdir()).stat().st_size} bytes; one of {a.tasks} tasks, {size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}", flush=True)
    caches = iter(where / f"cache-{i}-{os.getpid()}" for i in range(10))
    parts, _ = measure(lambda logs: ours(logs, next(caches)), a, where, True)
    parts.append({})
    restarts(parts[-1], where, a, next(caches))
    theirs, why = measure(lambda logs: spark(a, logs, a.until), a, where, False) if a.spark else ([], [])
    rows = []
    print(f"{'':66} {'ours':>10} {'Spark':>10} {'ratio':>8}")
    for i, part in enumerate(parts):
        show(part, theirs[i] if i < len(theirs) else {}, why[i] if i < len(why) else None, rows)
    mine = {name: value for part in parts for (name, _), value in part.items()}
    for label in (f"{a.tasks} tasks", f"{a.tasks} tasks, zstd"):
        cpu = mine.get(f"{label}, first open: CPU")
        if cpu:
            rows.append({"what": f"{label}: events read", "value": size / 1e9 / cpu, "unit": "GB a CPU second"})
            print(f"{label + ': events read':66} {size / 1e9 / cpu:10.3f} {'':19} GB a CPU second")
    print(f"took {time.monotonic() - a.began:.0f} s; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(rows, indent=1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100000)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--full", action="store_true", help="1,000,000 tasks and 5,000 logs")
    parser.add_argument("--heap", default="1g", help="of Spark's server; 1g is what it starts with")
    parser.add_argument("--spark", default=os.environ.get("SPARK_HOME") or os.environ.get("SPARK_HOME_4_1"))
    parser.add_argument("--limit", type=float, default=60, help="seconds that Spark's server has for a request")
    parser.add_argument("--within", type=float, default=480, help="seconds after which Spark's server is asked nothing more")
    parser.add_argument("--keep", help="a directory for the logs, reused when they are there")
    parser.add_argument("--json", help="write the table to this file")
    a = parser.parse_args()
    if a.full:
        a.tasks, a.logs = 1000000, 5000
    a.began = time.monotonic()
    a.until = a.began + a.within
    where = pathlib.Path(a.keep or tempfile.mkdtemp(prefix="bench-history-"))
    where.mkdir(parents=True, exist_ok=True)
    need, free = a.tasks * 7000 + a.logs * 300000, shutil.disk_usage(where).free
    if free < need and not (where / f"made-{a.tasks}-{a.logs}").exists():
        if not a.keep:
            where.rmdir()
        sys.exit(f"bench: the logs take {need / 1e9:.1f} GB and {where} has {free / 1e9:.1f} GB free; TMPDIR or --keep names another place")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(a, where)
    finally:
        for s in list(running):
            s.stop()
        for p in where.glob("cache-*"):
            shutil.rmtree(p, ignore_errors=True)
        if not a.keep:
            shutil.rmtree(where)


main()
