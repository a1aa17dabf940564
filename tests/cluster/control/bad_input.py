#!/usr/bin/env python3
"""Every recorded case of bad input, and every recorded case that a real API server refuses, by `firesteel submit` and by the name spark-submit against a
real server: the command ends in time, says something, ends with another code than 0 where the original failed or the server refuses, and leaves nothing
behind. What is accepted after all is removed again.
"""
# timeout: 900
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "golden" / "submission"), str(ROOT / "tests" / "conformance"), str(ROOT / "tests" / "cluster" / "control")]
import compare  # noqa: E402
import conformance  # noqa: E402
import objects_accepted  # noqa: E402

KUBECONFIG = os.environ["CLUSTER_KUBECONFIG"]
FIRESTEEL = pathlib.Path(os.environ.get("FIRESTEEL", ROOT / "build" / "firesteel")).resolve()
KINDS = ["pods", "services", "configmaps", "secrets", "persistentvolumeclaims"]
# Beside bad-*: what the server refused in objects_accepted.py.
REFUSED = ["misc-env-order", "misc-localdirs-empty", "misc-localdirs-envempty", "misc-nodesel", "misc-ports", "misc-secrets", "misc-subst", "misc-subst2", "misc-svc",
           "properties-file", "service-ipfamily", "spark-defaults", "template-both", "template-driver", "template-empties", "template-nocontainers", "template-probes",
           "template-quant", "template-scalars", "template-vols", "volumes-emptyname", "volumes-samename"]
# What `firesteel submit` takes though the original refuses it: its options may be written --name=value, and --load-spark-defaults is for 3.5 too.
TAKEN = {"bad-empty-eq", "bad-opteq", "bad-loaddef"}
server = conformance.Server(KUBECONFIG)
API = f"{server.url.scheme}://{server.url.netloc}"


def objects(namespace):
    found = set()
    for kind in KINDS:
        status, _, data = server.call("GET", f"/api/v1/namespaces/{namespace}/{kind}")
        if status == 200:
            found |= {(kind, o["metadata"]["name"]) for o in json.loads(data)["items"] if not o["metadata"].get("deletionTimestamp")}
    return {o for o in found if o != ("configmaps", "kube-root-ca.crt") and o != ("services", "kubernetes")}


def namespace_of(name):
    body = json.dumps({"metadata": {"name": name}})
    if server.call("POST", "/api/v1/namespaces", body, {"Content-Type": "application/json"})[0] != 201:
        sys.exit(f"namespace {name} could not be made")
    for part in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
        conformance.wait_until(lambda: server.call("GET", f"/api/v1/namespaces/{name}/{part}")[0] == 200, 30)
    return name


def run(case, line, face, namespace):
    """Exit code, output, and what is left of one command."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bad-input-"))
    try:
        def expand(text):
            places = {"@API@": f"k8s://{API}", "@HOSTPORT@": server.url.netloc, "@DEAD@": "127.0.0.1:1", "@DIR@": str(place), "@TLS@": str(place / "tls")}
            for key, value in places.items():
                text = text.replace(key, value)
            return text

        for name, text in case.get("files", {}).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(expand(text), encoding="utf-8")
        env = {"PATH": os.environ["PATH"], "HOME": str(place), "KUBECONFIG": KUBECONFIG, "NO_COLOR": "1", "FIRESTEEL_SPARK_VERSION": compare.RELEASES[line]}
        env.update({k: expand(v) for k, v in case.get("env", {}).items()})
        argv = [expand(a) for a in case["argv"]]
        # In a namespace of its own, unless the case is about the namespace.
        if not any("spark.kubernetes.namespace" in a for a in argv):
            argv = ["--conf", f"spark.kubernetes.namespace={namespace}", *argv]
        program = [str(FIRESTEEL), "submit", "--no-wait"] if face == "firesteel submit" else [str(FIRESTEEL.parent / "spark-submit")]
        done = subprocess.run([*program, *argv], cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=120)
        return done.returncode, done.stdout
    finally:
        shutil.rmtree(place, ignore_errors=True)


def refused(api, case, line, namespace):
    """Does the server refuse what the original created of this?"""
    for o in objects_accepted.recorded(case["expected"][line].get("objects", [])):
        o["metadata"]["namespace"] = namespace
        if objects_accepted.verdict(api, o)[0] in (400, 422):
            return True
    return False


def check(api, name, case, line, face, namespace):
    code, output = run(case, line, face, namespace)
    original_failed = case["expected"][line].get("error") and not (name in TAKEN and face == "firesteel submit")
    must_fail = original_failed or refused(api, case, line, namespace)
    what = f"{name} as Spark {line} by {face}"
    problems = []
    if code not in (0, 1, 2):
        problems.append(f"{what}: exit code {code}")
    if must_fail and code == 0:
        problems.append(f"{what}: exit code 0, though {'the original fails' if original_failed else 'the server refuses its objects'}")
    if code != 0 and len(output.strip()) < 10:
        problems.append(f"{what}: failed without a word")
    left = objects(namespace)
    if code != 0 and left:
        # The name spark-submit makes the pod first, as the original does, and deletes it when the rest is refused: its going takes a moment.
        end = time.monotonic() + 20
        while left and time.monotonic() < end:
            time.sleep(0.1)
            left = objects(namespace)
        if left:
            problems.append(f"{what}: exit code {code}, left behind: {sorted(left)}")
    for kind in KINDS:
        server.call("DELETE", f"/api/v1/namespaces/{namespace}/{kind}?gracePeriodSeconds=0")
    end = time.monotonic() + 20
    while objects(namespace) and time.monotonic() < end:
        for kind in KINDS:
            server.call("DELETE", f"/api/v1/namespaces/{namespace}/{kind}?gracePeriodSeconds=0")
    return code, problems, f"{what}: {code}: " + re.sub(r"\s+", " ", output.strip())[-200:]


def main():
    cases = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (ROOT / "tests/golden/submission/cases").glob("*.json")}
    chosen = sys.argv[1:] or sorted(n for n in cases if n.startswith("bad-") or n in REFUSED)
    work = [(n, line, face) for n in chosen for line in compare.RELEASES for face in ("firesteel submit", "spark-submit")]
    # A waited-for submission, a master that is none, a shell: these start Spark itself under the name spark-submit, which is another test's matter.
    work = [w for w in work if w[2] == "firesteel submit" or any("@API@" in a for a in cases[w[0]]["argv"])]
    tag = f"bad-{os.getpid()}"
    lanes = [namespace_of(f"{tag}-{i}") for i in range(4)]
    problems, failed, accepted = [], 0, 0

    def lane(i):
        return [check(api, n, cases[n], line, face, lanes[i]) for n, line, face in work[i::len(lanes)]]

    api = objects_accepted.Api(KUBECONFIG)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            for result in pool.map(lane, range(len(lanes))):
                for code, found, text in result:
                    failed += code != 0
                    accepted += code == 0
                    problems += found
                    if os.environ.get("VERBOSE"):
                        print(text)
    finally:
        for namespace in lanes:
            server.call("DELETE", f"/api/v1/namespaces/{namespace}")
    for text in problems:
        print("PROBLEM " + text)
    print(f"{len(work)} commands: {failed} refused with a reason, {accepted} accepted; {len(problems)} problems")
    return 1 if problems or not failed else 0


sys.exit(main())
