#!/usr/bin/env python3
"""The recorded submissions of tests/golden/submission through the built programs, over HTTP, for Spark 3.5 and 4.1: under the name spark-submit, with the
original's order of requests, and as firesteel submit, with its own order and the objects alone compared. What fails leaves nothing behind.

    submit_replay.py [CASE...]"""
# timeout: 600
import base64
import concurrent.futures
import json
import os
import pathlib
import pwd
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests/golden/submission")]
from recorder import Recorder, PATH
import compare

FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
SPARK_SUBMIT = os.environ.get("SPARK_SUBMIT", str(ROOT / "build/spark-submit"))
TMP = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))

# What firesteel submit refuses before anything is sent, and the original leaves to the API server: by a word of its message.
REFUSED = "cannot be:|no quantity|is empty or has blanks"
# Where firesteel submit reads a command line in another way (docs/submit.md): --option=value is one word or two, options of a newer release are known, and an option
# wins over --conf wherever it stands.
READ_OTHERWISE = {"bad-empty-eq", "bad-opteq", "bad-loaddef", "misc-drvmem-order2"}
# Cases that need what only the recording had: a server that fails, TLS, a kubeconfig's cluster, a master that is not Kubernetes.
ELSEWHERE = re.compile(r"@DEAD@|@TLS@|--kill|--status|--version|--help")


def plain(value, directory, url):
    if isinstance(value, dict):
        return {plain(k, directory, url): plain(v, directory, url) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v, directory, url) for v in value]
    if isinstance(value, str):
        port = url.rsplit(":", 1)[1]
        for found, name in ((directory, compare.CWD), (f"127.0.0.1:{port}", "127.0.0.1:6443"), (f"127.0.0.1\\:{port}", "127.0.0.1\\:6443")):
            value = value.replace(found, name)
    return value


def write_files(case, directory, replace):
    for name, text in case.get("files", {}).items():
        path = pathlib.Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(replace(text), encoding="utf-8")
    for name, what in case.get("binfiles", {}).items():
        path = pathlib.Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(what))


def order_problems(requests, is_spark):
    """The pod first and the properties last, as the original; or the pod when all that it needs is there, and then the owners."""
    short = []
    for r in requests:
        match = PATH.match(r["path"])
        short.append((r["method"], match.group(2) if match else r["path"]))
    pods = [i for i, r in enumerate(short) if r == ("POST", "pods")]
    writes = [i for i, r in enumerate(short) if r[0] == "PATCH"]
    if not pods:
        return []
    if is_spark:
        bad = [i for i in writes if i < pods[0]] or (not writes or short[writes[-1]][1] != "configmaps")
        bad = bad or [r for i, r in enumerate(requests) if i in writes and r["query"] != "fieldManager=fabric8&force=true"]
    else:
        before, after = [i for i in writes if i < pods[0]], [i for i in writes if i > pods[0]]
        bad = [short[i] for i in before] != [short[i] for i in after] or not before
    return [f"requests in another order: {short}"] if bad else []


def run(path, line, name):
    case = json.loads(path.read_text(encoding="utf-8"))
    want = case["expected"][line]
    is_spark = name == "spark-submit"
    directory = tempfile.mkdtemp(dir=TMP)
    os.mkdir(directory + "/job")
    with Recorder(phases=["Running", "Succeeded"], step_seconds=0.01) as api:
        port = api.url.rsplit(":", 1)[1]
        places = {"@API@": "k8s://" + api.url, "@HOSTPORT@": "127.0.0.1:" + port, "@DIR@": directory + "/job"}

        def replace(text):
            for place, value in places.items():
                text = text.replace(place, value)
            return text

        write_files(case, directory + "/job", replace)
        env = {"PATH": os.environ["PATH"], "HOME": directory, "FIRESTEEL_SPARK_VERSION": compare.RELEASES[line], "NO_COLOR": "1"}
        env.update({k: replace(v) for k, v in case.get("env", {}).items()})
        argv = [SPARK_SUBMIT] if is_spark else [FIRESTEEL, "submit", "--no-wait"]
        done = subprocess.run(argv + [replace(a) for a in case["argv"]], cwd=directory + "/job", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        requests, left = list(api.requests), api.objects()
        objects = {}
        for r in requests: # the last that was said about each
            match = PATH.match(r["path"])
            if r["method"] in ("POST", "PATCH") and match:
                body = json.loads(r["body"])
                objects[match.group(2), body["metadata"]["name"]] = body
    if want.get("error"):
        problems = [] if done.returncode else ["it was expected to fail"]
        return (problems + ([f"left behind: {left}"] if left and done.returncode else []), "")
    if done.returncode:
        if not is_spark and re.search(REFUSED, done.stderr) and not requests:
            return [], "refused"
        return [f"exit code {done.returncode}: {done.stderr[-600:]}"], ""
    uid = {o["metadata"]["ownerReferences"][0]["uid"] for o in objects.values() if o["metadata"].get("ownerReferences")}
    text = json.dumps(plain(list(objects.values()), directory + "/job", api.url))
    text = text.replace(json.dumps({"name": "SPARK_USER", "value": pwd.getpwuid(os.getuid()).pw_name}), json.dumps({"name": "SPARK_USER", "value": "user"}))
    for one in uid:
        text = text.replace(one, compare.OWNER)
    got = compare.canonical(compare.plain(json.loads(text)))
    expected = compare.canonical([json.loads(json.dumps(o)) for o in want["objects"]])
    return compare.differences(expected, got) + order_problems(requests, is_spark), ""


def main():
    cases = sorted((ROOT / "tests/golden/submission/cases").glob("*.json"))
    cases = [c for c in cases if len(sys.argv) < 2 or c.stem in sys.argv[1:]]
    cases = [c for c in cases if c.stem != "tls-default-scheme" and not ELSEWHERE.search(c.read_text(encoding="utf-8").split('"expected"')[0])]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name in ("spark-submit", "firesteel submit"):
            for line in compare.RELEASES:
                results = list(pool.map(lambda path: run(path, line, name), cases))
                refused = sum(note == "refused" for _, note in results)
                equal = sum(not problems for problems, _ in results) - refused
                otherwise = sum(bool(problems) for path, (problems, _) in zip(cases, results) if path.stem in READ_OTHERWISE and name != "spark-submit")
                names = [path.stem for path, (_, note) in zip(cases, results) if note == "refused"]
                if names:
                    print(f"refused before anything was sent: {' '.join(names)}")
                for path, (problems, _) in zip(cases, results):
                    if problems and not (name != "spark-submit" and path.stem in READ_OTHERWISE):
                        print(f"DIFFERS {path.stem} as Spark {line} under {name}")
                        for problem in problems[:4]:
                            print("    " + problem[:500])
                        failed += 1
                print(f"{name}, Spark {line}: {equal} of {len(cases)} equal to the original" + (f", {refused} refused before anything was sent, {otherwise} read otherwise" if name != "spark-submit" else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
