#!/usr/bin/env python3
"""Every recorded submission, twice, to a real API server: the objects that the original created and those that firesteel builds. Nothing is kept
(dryRun=All); the verdicts must be the same, object by object: status code, reason, causes, and the message. Places in lists ("env[3]") are not compared:
the original takes some lists out of hash maps, and the server names several causes in a random order.

Namespaces and service accounts that cases name are made first, so that what is judged is the objects.
"""
# timeout: 600
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "golden" / "submission"), str(ROOT / "tests" / "conformance")]
import compare  # noqa: E402
import conformance  # noqa: E402

COLLECTIONS = {"Pod": "pods", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets", "PersistentVolumeClaim": "persistentvolumeclaims"}
PREPARE = "cluster-accepted"


class Api:
    """One kept connection a thread: thousands of requests."""

    def __init__(self, kubeconfig):
        self.server = conformance.Server(kubeconfig)
        self.mine = threading.local()

    def call(self, method, path, body):
        data = json.dumps(body).encode()
        for attempt in (1, 2):
            connection = getattr(self.mine, "connection", None)
            if connection is None:
                connection = self.mine.connection = http.client.HTTPSConnection(self.server.url.hostname, self.server.url.port, context=self.server.tls, timeout=60)
            try:
                connection.request(method, path, data, {"Content-Type": "application/json", **self.server.headers})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (http.client.HTTPException, OSError):
                self.mine.connection = None
                if attempt == 2:
                    raise


def recorded(objects):
    """A recording is normalised: what stands for ids, places and times becomes a value again."""
    text = json.dumps(objects)
    for number in range(20, 0, -1):
        text = text.replace(f"APPID{number}", f"{number:032x}").replace(f"UNIQ{number}", f"x{number:015x}")
        text = text.replace(f"UUID{number}", f"00000000-0000-4000-8000-{number:012x}")
    text = text.replace("SERVERUID", compare.OWNER).replace("@USER@", "user")
    objects = json.loads(compare.expand(text))
    for o in objects:
        found = o.get("data", {}).get("spark.properties") if o["kind"] == "ConfigMap" else None
        if isinstance(found, dict):
            lines = [found["comment"], "#Thu Jan 01 00:00:00 UTC 1970"] + [f"{k}={v}" for k, v in found["properties"].items()]
            o["data"]["spark.properties"] = "\n".join(lines) + "\n"
    return objects


def mask(text):
    for kind, pattern in compare.IDS:
        text = pattern.sub(kind, text)
    return text


def unplaced(text):
    return re.sub(r"\[\d+\]", "[]", mask(text))


def verdict(api, o):
    namespace = o["metadata"].get("namespace", "default")
    status, answer = api.call("POST", f"/api/v1/namespaces/{namespace}/{COLLECTIONS[o['kind']]}?dryRun=All", o)
    if status < 300:
        return (status,)
    causes = sorted((c.get("reason", ""), unplaced(c.get("field", "")), unplaced(c.get("message", ""))) for c in (answer.get("details") or {}).get("causes", []))
    message = unplaced(answer.get("message", ""))
    return (status, answer.get("reason"), causes, message.split(": [")[0] if len(causes) > 1 else message)


def key(o):
    return mask(o["kind"] + "/" + o["metadata"]["name"])


def judge(api, name, line, theirs, ours):
    """Verdicts of both, and what differs between them."""
    problems, accepted, refused = [], 0, []
    ours_by_key = {key(compare.sort_lists(o)): o for o in ours}
    for o in theirs:
        k = key(o)
        # Claims made on demand have a number out of a hash map in their name.
        mine = ours_by_key.get(k) or next((c for n, c in ours_by_key.items() if c["kind"] == o["kind"] == "PersistentVolumeClaim" and n.rsplit("-", 1)[0] == k.rsplit("-", 1)[0]), None)
        if mine is None:
            problems.append(f"{name} as Spark {line}: firesteel builds no {k}")
            continue
        real, own = verdict(api, o), verdict(api, mine)
        if real == own and real[0] < 300:
            accepted += 1
        elif real == own:
            refused.append(f"{name} as Spark {line}: {o['kind']}: {real[0]} {real[3][:160]}")
        else:
            problems.append(f"{name} as Spark {line}: {k}: the original's {real}, firesteel's {own}")
    return problems, accepted, refused


def prepare(api, work):
    wanted = {("default", "default")}
    for _, _, theirs, ours in work:
        for o in [*theirs, *ours]:
            namespace = o["metadata"].get("namespace", "default")
            wanted.add((namespace, o["spec"].get("serviceAccountName", "default") if o["kind"] == "Pod" else "default"))
    made = []
    for namespace in sorted({n for n, _ in wanted} - {"default"}):
        status, answer = api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": {"made-by": PREPARE}}})
        if status == 201:
            made.append(f"/api/v1/namespaces/{namespace}")
        elif status not in (409, 422):
            sys.exit(f"namespace {namespace}: {status} {answer}")
    for namespace, account in sorted(wanted):
        status, _ = api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": account}})
        if status == 201 and namespace == "default":
            made.append(f"/api/v1/namespaces/default/serviceaccounts/{account}")
    return made


def main():
    builder = os.environ.get("BUILD_CASE") or str(pathlib.Path(os.environ.get("FIRESTEEL", ROOT / "build" / "firesteel")).resolve().parent / "tests/golden/submission/build_case")
    build = pathlib.Path(builder).parents[3]  # another test may build there, too
    subprocess.run(["flock", str(build / ".tests-lock"), "ninja", "-C", str(build), "tests/golden/submission/build_case"], check=True, stdout=subprocess.DEVNULL)
    api = Api(os.environ["CLUSTER_KUBECONFIG"])
    process = subprocess.Popen([builder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    work = []
    for path in sorted((ROOT / "tests/golden/submission/cases").glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        for line in compare.RELEASES:
            if case["expected"][line].get("error"):
                continue
            process.stdin.write(json.dumps(compare.request(case, line)) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            if "error" in answer:
                sys.exit(f"{path.stem} as Spark {line}: {answer['error']}")
            work.append((path.stem, line, recorded(case["expected"][line]["objects"]), answer["objects"]))
    process.stdin.close()
    process.wait()

    made = prepare(api, work)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda item: judge(api, *item), work))
    finally:
        for path in made:
            api.call("DELETE", path, {})
    problems = [p for r in results for p in r[0]]
    accepted, refused = sum(r[1] for r in results), [x for r in results for x in r[2]]
    for text in refused + problems:
        print(text)
    total = accepted + len(refused) + len(problems)
    print(f"{len(work)} submissions, {total} objects: {total - len(problems)} judged the same as the original's ({accepted} accepted, {len(refused)} refused), {len(problems)} not")
    return 1 if problems or not accepted else 0


if __name__ == "__main__":
    sys.exit(main())
