"""A thousand submissions from one process, beside a client that sends the same requests and does nothing else. Rows of tools/bench."""
import json
import os
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from recorder import Recorder

CONNECTIONS = 8
JOBS = {"recorder": 1000, "embedded": 200} # the embedded server answers when a write is on the disk
PLACEHOLDER = "UIDUIDUI-UIDU-IDUI-DUID-UIDUIDUIDUID"
ARGUMENTS = ["--conf", "spark.kubernetes.container.image=apache/spark:4.1.4", "--conf", "spark.executor.instances=2", "--conf",
             "spark.kubernetes.scheduler.name=nobody"] # only submitting is measured


def recorded(firesteel, env):
    """The requests of one submission."""
    with Recorder() as api:
        subprocess.run([firesteel, "submit", "-q", "--no-wait", "--master", "k8s://" + api.url, "--name", "batch", *ARGUMENTS, "local:///opt/spark/bench.py"], env=env,
                       check=True, stdout=subprocess.DEVNULL)
        return list(api.requests)


def write_requests(requests, path, jobs, host, token):
    """So many times the same, with ids of their own."""
    text = json.dumps([[r["method"], r["path"], r["query"], r["headers"].get("Content-Type", ""), r["body"].decode()] for r in requests])
    text = re.sub(r"00000000-0000-4000-8000-\d{12}", PLACEHOLDER, text)
    ids = sorted(set(re.findall(r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{16})(?![0-9a-f])", text)), key=len, reverse=True)
    with open(path, "wb") as out:
        for group in range(jobs):
            own = text
            for one in ids:
                own = own.replace(one, secrets.token_hex(len(one) // 2))
            for method, where, query, kind, body in json.loads(own):
                body = body.encode()
                head = f"{method} {where}{'?' + query if query else ''} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                head += f"Authorization: Bearer {token}\r\n\r\n" if token else "\r\n"
                whole = head.encode() + body
                out.write(b"%d %d\n" % (group, len(whole)) + whole)


def run_floor(program, url, path):
    scheme, host, port = re.fullmatch(r"(https?)://([^:/]+):(\d+)/?", url).groups()
    done = subprocess.run([program, host, port, "tls" if scheme == "https" else "plain", str(CONNECTIONS), path], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[1])


def run_batch(firesteel, env, count, url, directory, measure):
    jobs = pathlib.Path(directory, "jobs")
    jobs.write_text("".join(f"--name batch local:///opt/spark/bench.py {n}\n" for n in range(count)))
    return measure([firesteel, "submit", "--batch", jobs, "--parallel", CONNECTIONS, "-o", "name", "--master", "k8s://" + url, *ARGUMENTS], env)


def rows(firesteel, env, where, url, token, directory, measure):
    """Seconds of the batch and of the floor, and what the batch used."""
    build = pathlib.Path(firesteel).resolve().parent
    subprocess.run(["ninja", "-C", str(build), "tests/bench_floor"], check=True, stdout=subprocess.DEVNULL)
    floor = str(build / "tests" / "bench_floor")
    path = pathlib.Path(directory, "requests-" + where)
    write_requests(recorded(firesteel, env), path, JOBS[where], url.split("//")[1], token)
    return run_batch(firesteel, env, JOBS[where], url, directory, measure), run_floor(floor, url, path)


class Peer:
    """The recording server as a process of its own, so that it does not share an interpreter with this one."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, ROOT / "tests/integration/recorder.py", "--count"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.communicate()


def bench(firesteel, spark, runs, add, measure, instance):
    env = dict(os.environ, FIRESTEEL_SPARK_VERSION=spark.version)
    for key in ("SPARK_HOME", "SPARK_CONF_DIR", "KUBECONFIG"):
        env.pop(key, None)
    with tempfile.TemporaryDirectory(prefix="firesteel-bench-") as directory:
        found = {"recorder": [], "embedded": []}
        for _ in range(max(1, runs // 2)):
            with Peer() as api:
                found["recorder"].append(rows(firesteel, env, "recorder", api.url, None, directory, measure))
            with instance(firesteel) as (status, _):
                token = re.search(r"token: (\S+)", pathlib.Path(status["kubeconfig"]).read_text()).group(1)
                own = dict(env, KUBECONFIG=status["kubeconfig"])
                found["embedded"].append(rows(firesteel, own, "embedded", status["server"], token, directory, measure))
    for where, what in (("recorder", "the recording server"), ("embedded", "the embedded API server")):
        jobs = JOBS[where]
        took = statistics.median(f[0][0] for f in found[where])
        floor = statistics.median(f[1] for f in found[where])
        add(f"submit --batch, {jobs} jobs, to {what}", jobs / took, "jobs/s")
        add(f"the same requests by a client that only sends, to {what}", jobs / floor, "jobs/s")
        add(f"submit --batch over that floor: time, to {what}", took / floor, "times")
        add(f"submit --batch: processor time a job, to {what}", 1000 * statistics.median(f[0][1] for f in found[where]) / jobs, "ms")
        add(f"submit --batch: peak resident memory, to {what}", statistics.median(f[0][2] for f in found[where]), "MB")
