#!/usr/bin/env python3
"""The embedded cluster against a real control plane (etcd, kube-apiserver, controller-manager, scheduler) in one run on one machine, with the same promise:
what was answered is on disk (etcd with fsync, SQLite with full sync). Prints figures, ratios and the goals.

    tests/bench/cluster.py [--firesteel build/firesteel] [--pods 10000] [--runs 3] [--only all|server|node] [--json FILE]

The load comes from tests/bench/kube_load.c, the same for both; its own processor time is shown, so that one sees that it is not what was measured. Both
servers are up while either is measured, one after the other; idle they take next to nothing. The same pods are run by the embedded cluster and, as root, by
a real kubelet with containerd (tests/cluster/one-node): one small static program, its image there before.
"""
import argparse
import json
import os
import pathlib
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))
import conformance  # noqa: E402

rows = []


def show(what, embedded, real, unit, better, goal=None, digits=1):
    """better: 'less' or 'more' of it is better for the embedded one; the ratio is how many times it is better."""
    ratio = real / embedded if better == "less" else embedded / real
    verdict = "" if goal is None else ("  goal >= %g: %s" % (goal, "met" if ratio >= goal else "MISSED"))
    rows.append({"what": what, "embedded": embedded, "real": real, "unit": unit, "ratio": ratio, "goal": goal})
    print(f"{what:<58} {embedded:12.{digits}f} {real:12.{digits}f} {unit:<8} {ratio:7.1f} times{verdict}", flush=True)


def resident(pids):
    """Megabytes of what only these processes hold and their share of what they have in common (PSS)."""
    total = 0
    for pid in pids:
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Cluster:
    def __init__(self, name):
        self.name, self.directory = name, tempfile.mkdtemp(prefix=f"firesteel-bench-{name}-")

    def call(self, method, path, body=None):
        status, _, data = self.server.call(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"} if body is not None else None)
        return status, data

    def prepare(self):
        self.server = conformance.Server(self.kubeconfig)
        if self.call("POST", "/api/v1/namespaces", {"metadata": {"name": "load"}})[0] != 201:
            sys.exit(f"{self.name}: the namespace could not be made")
        for part in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            conformance.wait_until(lambda: self.call("GET", f"/api/v1/namespaces/load/{part}")[0] == 200, 60)

    def load(self, program, *argv):
        before = cpu_seconds(self.pids())
        done = subprocess.run([program, self.kubeconfig, *map(str, argv)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.name}: {' '.join(map(str, argv))}: {done.stderr}")
        result = json.loads(done.stdout)
        result["server_cpu"] = cpu_seconds(self.pids()) - before
        return result

    def version(self):
        return json.loads(self.call("GET", "/api/v1/namespaces/load/configmaps?limit=1")[1])["metadata"]["resourceVersion"]


class Embedded(Cluster):
    def __init__(self, firesteel):
        super().__init__("embedded")
        self.firesteel = firesteel
        self.env = dict(os.environ, XDG_STATE_HOME=self.directory, FIRESTEEL_IMAGES=f"{self.directory}/images")

    def up(self):
        began = time.monotonic()
        subprocess.run([self.firesteel, "local", "up", "-q"], env=self.env, check=True)
        took = time.monotonic() - began
        status = json.loads(subprocess.run([self.firesteel, "local", "status", "-o", "json"], env=self.env, capture_output=True, text=True, check=True).stdout)
        self.kubeconfig, self.pid = status["kubeconfig"], status["pid"]
        return took

    def pids(self):
        """The server and what it keeps running: all of its session."""
        return [self.pid] + [int(p) for p in subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True).stdout.split()]

    def bring_image(self, archive):
        done = subprocess.run([self.firesteel, "local", "image", "load", archive], env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"loading {archive}: {done.stderr}")

    def down(self):
        subprocess.run([self.firesteel, "local", "reset", "--yes"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)


class LeftOut(Exception):
    """What cannot be measured on this machine."""


class Real(Cluster):
    def __init__(self, name="real", script="control-plane"):
        super().__init__(name)
        self.script = str(ROOT / "tests" / "cluster" / script)

    def up(self):
        began = time.monotonic()
        done = subprocess.run([self.script, "up", self.directory], capture_output=True, text=True)
        if done.returncode:
            self.down()
            why = done.stderr.strip()
            if done.returncode == 77:
                raise LeftOut(why.splitlines()[-1])
            sys.exit(f"{self.script}: {why}")
        self.kubeconfig = done.stdout.strip().splitlines()[-1]
        return time.monotonic() - began

    def pids(self):
        return [int(p.read_text()) for p in (pathlib.Path(self.directory) / "pids").iterdir()]

    def bring_image(self, archive):
        subprocess.run([self.script, "image", self.directory, archive], check=True)

    def down(self):
        subprocess.run([self.script, "down", self.directory])
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)


def bench_node(embedded, program):
    """Pods from the request until a watch tells that they run, by the embedded cluster and by a real kubelet. The pods of before are gone."""
    node = Real("node", "one-node")
    both = [embedded, node]
    try:
        embedded.down()
        for c in both:
            c.up()
            c.prepare()
        with tempfile.TemporaryDirectory(prefix="firesteel-bench-") as directory:
            pause = subprocess.run(["bash", "-c", ". tests/cluster/versions && echo $(kubernetes_dir)/bin/pause"], cwd=ROOT, env=dict(os.environ, here="tests/cluster"),
                                   capture_output=True, text=True, check=True).stdout.strip()
            subprocess.run([str(ROOT / "tests/cluster/image"), "program", f"{directory}/bench.tar", "localhost/bench:1", pause], check=True)
            for c in both:
                c.bring_image(f"{directory}/bench.tar")
        one = [c.load(program, "run", 10, 1, "localhost/bench:1") for c in both]
        show("pod from request to Running, one by one: half take less than", one[0]["p50_ms"], one[1]["p50_ms"], "ms", "less")
        many = [c.load(program, "run", 20, 20, "localhost/bench:1") for c in both]
        show("20 pods at once: until the last runs", 1000 * many[0]["seconds"], 1000 * many[1]["seconds"], "ms", "less")
    except LeftOut as why:
        print(f"pods by a real kubelet: left out: {why}", flush=True)
    finally:
        node.down()
        shutil.rmtree(node.directory, ignore_errors=True)


def bench_server(both, program, runs, pods):
    embedded, real = both
    ready = {c: [] for c in both}
    for n in range(runs):
        for c in both:
            if n:
                c.down()
            ready[c].append(c.up())
    show("from nothing (keys made) to ready", 1000 * statistics.median(ready[embedded]), 1000 * statistics.median(ready[real]), "ms", "less", 20)
    for c in both:
        c.prepare()
    time.sleep(10)  # what starting left to do
    idle = [resident(c.pids()) for c in both]
    show("memory, idle", *idle, "MB", "less", 15)
    load = [lambda c: c.load(program, "create", pods // 2, 1 if pods < 4 else 32, 0), lambda c: c.load(program, "create", pods - pods // 2, 8, pods // 2)]
    for number, (clients, run) in enumerate(zip((32, 8), load)):
        clusters = [run(c) for c in both]
        show(f"create pods, {clients} clients", clusters[0]["rate"], clusters[1]["rate"], "/s", "more", 3)
        show(f"create pods, {clients} clients: half take less than", clusters[0]["p50_ms"], clusters[1]["p50_ms"], "ms", "less", digits=2)
        show(f"create pods, {clients} clients: 99 of 100 take less than", clusters[0]["p99_ms"], clusters[1]["p99_ms"], "ms", "less", digits=2)
        show(f"create pods, {clients} clients: servers' processor time each", *[1e6 * r["server_cpu"] / r["count"] for r in clusters], "us", "less", digits=0)
        print(f"    (the load's own processor time: {clusters[0]['cpu']:.2f} of {clusters[0]['seconds']:.2f} s, {clusters[1]['cpu']:.2f} of {clusters[1]['seconds']:.2f} s)")
    one = [c.load(program, "create", 300, 1, pods) for c in both]
    show("create pods, one client: half take less than", one[0]["p50_ms"], one[1]["p50_ms"], "ms", "less", digits=2)
    time.sleep(3)
    show(f"memory with {pods + 300:,} pods", *[resident(c.pids()) for c in both], "MB", "less", 15)
    got = [c.load(program, "get", 20000, 32, pods) for c in both]
    show("get a pod, 32 clients", got[0]["rate"], got[1]["rate"], "/s", "more")
    show("get a pod, 32 clients: half take less than", got[0]["p50_ms"], got[1]["p50_ms"], "ms", "less", digits=2)
    listed = [c.load(program, "list", 10, 1) for c in both]
    show(f"list {pods + 300:,} pods: half take less than", listed[0]["p50_ms"], listed[1]["p50_ms"], "ms", "less")
    show(f"list {pods + 300:,} pods: servers' processor time each", *[1000 * r["server_cpu"] / r["count"] for r in listed], "ms", "less")
    watched = [c.load(program, "watch", 100, 1000, c.version()) for c in both]
    show("100 watches, 1,000 changes: events told", watched[0]["events_rate"], watched[1]["events_rate"], "/s", "more")
    show("100 watches, 1,000 changes: until the last was told", watched[0]["seconds"], watched[1]["seconds"], "s", "less", digits=2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--firesteel", default=str(ROOT / "build" / "firesteel"))
    parser.add_argument("--pods", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=["all", "server", "node"], default="all", help="the API servers, pods with a real kubelet, or both (default)")
    parser.add_argument("--json", help="write the table to this file")
    a = parser.parse_args()
    firesteel = str(pathlib.Path(a.firesteel).resolve())
    build = pathlib.Path(firesteel).parent
    subprocess.run(["ninja", "-C", str(build), "tests/kube_load"], check=True, stdout=subprocess.DEVNULL)
    program = str(build / "tests/kube_load")
    both = embedded, real = Embedded(firesteel), Real()
    try:
        print(f"{'':<58} {'embedded':>12} {'real':>12}")
        if a.only != "node":
            bench_server(both, program, a.runs, a.pods)
            real.down()
        if a.only != "server":
            bench_node(embedded, program)
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
        if a.json:
            pathlib.Path(a.json).write_text(json.dumps(rows, indent=1))
    except LeftOut as why:
        print(why, file=sys.stderr)
        sys.exit(77)
    finally:
        for c in both:
            c.down()
            shutil.rmtree(c.directory, ignore_errors=True)


main()
