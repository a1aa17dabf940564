#!/usr/bin/env python3
"""Ctrl-C in `make demo`, typed at a terminal: whatever it was about to do, nothing half made is left, and what goes on is named."""
# timeout: 400
import contextlib
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
TMP = pathlib.Path(os.environ["TEST_TMP"])
if not os.environ.get("SPARK_HOME_4_1"):
    print("PySpark 4.1 is not installed (tools/setup run 4.1)")
    sys.exit(77)
# The demo finds Spark through the cache directory, wherever HOME is.
ENV = dict(os.environ, TERM="xterm", NO_COLOR="1")
os.makedirs(ENV["HOME"], exist_ok=True)


def local(*words):
    return subprocess.run([FIRESTEEL, "local", *words], env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def processes():
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (p / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if line.startswith("firesteel") and ENV["XDG_STATE_HOME"] in line and (p / "stat").read_text().split(")")[-1].split()[0] not in "ZX":
                found.append(line)
    return found


def interrupted(work, marker, delay=0.0):
    """Runs the demo at a terminal, types Ctrl-C `delay` seconds after it said `marker`, and returns what it said and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(str(ROOT / "tools/demo"), ["demo", "--firesteel", FIRESTEEL, "--megabytes", "300" if marker.endswith("Data") else "2", "--work", str(work)], ENV)
    said, typed = b"", False
    while True:
        with contextlib.suppress(OSError):
            if not typed and marker.encode() in said:
                time.sleep(delay)
                os.write(terminal, b"\x03")
                typed = True
            if not select.select([terminal], [], [], 300)[0]:
                os.kill(pid, signal.SIGKILL)
                sys.exit(f"nothing happens any more after:\n{said.decode(errors='replace')}")
            piece = os.read(terminal, 65536)
            said += piece
            if piece:
                continue
        break
    os.close(terminal)
    return said.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(condition, what, said):
    if not condition:
        sys.exit(f"FAILED: {what}\n{said}")


def nothing_is_left(said, code):
    check(code == 130, f"exit code {code}", said)
    check("Traceback" not in said, "a traceback is shown", said)
    check(local("ls", "-o", "name").stdout == "", "an instance is left", said)
    no_process_is_left(said)


def no_process_is_left(said):
    until = time.monotonic() + 60  # what was killed takes a moment to go
    while processes() and time.monotonic() < until:
        time.sleep(0.1)
    check(not processes(), f"processes are left: {processes()}", said)


def at_data():
    work = TMP / "data"
    for delay in (0, 0.2, 0.6):
        said, code = interrupted(work, "==> Data", delay)
        if "submitted as pod" in said or "the job goes on" in said:
            the_job_goes_on(said, code)  # the machine was faster
            continue
        nothing_is_left(said, code)
        check("nothing was started" in said or "==> Cluster" in said, "it is not said that nothing was started", said)
        left = [p.name for p in work.iterdir() if p.name != "out"] if work.exists() else []
        check(not left or (left == ["data"] and (work / "data/expected.json").exists()), f"part of the data is left: {left}", said)


def at_data_with_others_there():
    """Data of another size stays as it is until its successor is complete."""
    work = TMP / "other"
    generate = [sys.executable, str(ROOT / "demo/generate.py"), str(work / "data")]
    subprocess.run([*generate, "1"], check=True)
    before = {p: p.read_bytes() for p in (work / "data").rglob("*") if p.is_file()}
    process = subprocess.Popen([*generate, "2000"])
    while not (work / "data.new/sales").exists():
        check(process.poll() is None, "the generator ended", "")
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    check(process.wait(60) == 130, "the exit code", "")
    check({p: p.read_bytes() for p in work.rglob("*") if p.is_file()} == before, "the data that was there has changed", "")


def at_cluster_and_job():
    work = TMP / "cluster"
    for marker in ("==> Cluster", "==> Job"):
        for delay in (0, 0.03, 0.1, 0.3):
            said, code = interrupted(work, marker, delay)
            if "submitted as pod" in said or "the job goes on" in said:
                the_job_goes_on(said, code)  # the machine was faster
                continue
            nothing_is_left(said, code)


def with_a_cluster_of_before():
    """An instance that was there stays, running or not."""
    work = TMP / "before"
    for running in (True, False):
        check(local("up", "-q", "--name", "demo").returncode == 0, "up", "")
        if not running:
            check(local("down", "-q", "--name", "demo").returncode == 0, "down", "")
        said, code = interrupted(work, "==> Cluster", 0.05)
        check(code == 130, f"exit code {code}", said)
        if "the job goes on" not in said:
            state = json.loads(local("status", "--name", "demo", "-o", "json").stdout)["state"]
            check(state == ("running" if running else "stopped"), f"the instance of before is {state}", said)
        check(local("reset", "--yes", "--name", "demo").returncode == 0, "reset", said)


def the_job_goes_on(said, code):
    check(code == 130, f"exit code {code}", said)
    check("the job goes on" in said and "local down --name demo" in said, "it is not said what goes on", said)
    check(local("status", "--name", "demo").returncode == 0, "the cluster is gone", said)
    check(local("reset", "--yes", "--name", "demo").returncode == 0, "reset", said)
    no_process_is_left(said)


def at_work():
    probe = local("up", "-q", "--name", "demo")
    possible = json.loads(local("status", "--name", "demo", "-o", "json").stdout)["isolation"]["possible"]
    check(local("reset", "--yes", "--name", "demo").returncode == 0, "reset", probe.stderr)
    if possible:
        the_job_goes_on(*interrupted(TMP / "work", "submitted as pod", 1))


try:
    for part in (at_data, at_data_with_others_there, at_cluster_and_job, with_a_cluster_of_before, at_work):
        part()
        print(f"ok {part.__name__}", flush=True)
finally:
    if "demo" in local("ls", "-o", "name").stdout:
        local("reset", "--yes", "--name", "demo")
    shutil.rmtree(TMP / "data", ignore_errors=True)
