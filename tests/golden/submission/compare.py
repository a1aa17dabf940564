#!/usr/bin/env python3
"""Runs every recorded submission through the pure builder, for Spark 3.5 and 4.1, and compares the objects.

    compare.py BUILD_CASE [CASE...]

A case (cases/<name>.json) holds what a user typed (argv, env, files) and what the real spark-submit of each line then created:
`objects`, by kind and name, or `error` when it created nothing. Recorded values are normalised: ids are numbered (APPID1, UNIQ1, UUID1) in the
order in which they are met, the working directory is @DIR@. What the original takes out of hash maps (the order of env, volumes and mounts, the
number in the name of a claim made on demand, the shuffled local directories) is compared without order.

Output is TAP; the last line says how many are equal.
"""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RELEASES = {"3.5": "3.5.9", "4.1": "4.1.4"}
CWD = "/home/user/job"
API = "k8s://http://127.0.0.1:6443"
PLACES = {"@API@": API, "@HOSTPORT@": "127.0.0.1:6443", "@DEAD@": "127.0.0.1:1", "@DIR@": CWD, "@TLS@": CWD + "/tls"}

IDS = [
    ("APPID", re.compile(r"(?<=spark-)(?:[0-9a-f]{32}|APPID\d+)")),
    ("UUID", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|\bUUID\d+")),
    ("UNIQ", re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-f]{16}|x[0-9a-f]{15}|UNIQ\d+)(?![0-9a-zA-Z])")),
]
OWNER = "00000000-0000-4000-8000-000000000001"


def expand(text):
    for name, value in PLACES.items():
        text = text.replace(name, value)
    return text


def properties(text):
    """java.util.Properties: enough for what the builder writes (one line a property)."""
    result = {}
    for line in text.split("\n"):
        if not line or line[0] in "#!":
            continue
        parts, at, escaped = [""], 0, False
        unescape = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
        while at < len(line):
            char = line[at]
            if escaped:
                parts[-1] += unescape.get(char, char)
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == "=" and len(parts) == 1:
                parts.append("")
            else:
                parts[-1] += char
            at += 1
        result[parts[0]] = parts[1]
    return result


def plain(value):
    """Paths and the owner's uid as the recordings spell them, properties as an object."""
    if isinstance(value, dict):
        if "spark.properties" in value:
            value = dict(value)
            lines = value["spark.properties"].split("\n")
            found = properties(value["spark.properties"])
            if "spark.app.submitTime" in found:
                found["spark.app.submitTime"] = "TIME"
            value["spark.properties"] = {
                "comment": lines[0],
                "date_line": bool(re.match(r"#\w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}$", lines[1])),
                "properties": found,
            }
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        value = value.replace(OWNER, "SERVERUID").replace(CWD + "/tls", "@TLS@").replace(CWD, "@DIR@")
        return value.replace(API, "@API@").replace(API.replace("http", "https"), "@API@").replace("127.0.0.1:6443", "@HOSTPORT@").replace("127.0.0.1:1", "@DEAD@")
    return value


def sort_lists(value, key=""):
    """Lists whose order is a hash map's in the original."""
    if isinstance(value, dict):
        return {name: sort_lists(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [sort_lists(item) for item in value]
        if key in ("env", "volumes", "volumeMounts", "imagePullSecrets", "items"):
            items.sort(key=lambda item: json.dumps([item.get("name"), item.get("mountPath"), item.get("key")]))
        return items
    return value


def settle_pod(pod):
    """Local directories in sorted order, their volumes numbered by it; claims made on demand named after their volume."""
    spec = pod.get("spec", {})
    names = {}
    for container in spec.get("containers", []):
        for variable in container.get("env", []):
            if variable["name"] == "SPARK_LOCAL_DIRS":
                variable["value"] = ",".join(sorted(variable["value"].split(",")))
            if variable["name"] == "SPARK_USER" and variable.get("value") in ("user", "@USER@"):
                variable["value"] = "@USER@"
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        mounts = sorted((m for m in container.get("volumeMounts", []) if m["name"].startswith("spark-local-dir-")), key=lambda m: m["mountPath"])
        if all(set(volumes.get(m["name"], {}).get("emptyDir", {"sizeLimit": 0})) <= {"medium"} for m in mounts):
            for number, mount in enumerate(mounts, 1):
                mount["name"] = f"spark-local-dir-{number}"
    for volume in spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
        match = re.match(r"(.*-driver-pvc-)\d+$", claim)
        if match:
            names[claim] = match.group(1) + "@" + volume["name"]
    return names


def number_ids(objects):
    """Every id by its kind and the order in which it is first met in a canonical walk."""
    seen = {}

    def mask(text):
        for kind, pattern in IDS:
            text = pattern.sub(kind, text)
        return text

    def name(text):
        for kind, pattern in IDS:
            text = pattern.sub(lambda m: seen.setdefault((kind, m.group(0)), f"{kind}{sum(k == kind for k, _ in seen) + 1}"), text)
        return text

    def walk(value):
        if isinstance(value, dict):
            pairs = sorted(value.items(), key=lambda pair: mask(pair[0]))
            return {name(key): walk(item) for key, item in pairs}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return name(value) if isinstance(value, str) else value

    order = sorted(objects, key=lambda o: mask(o["kind"] + "/" + o["metadata"]["name"]))
    return {f'{o["kind"]}/{o["metadata"]["name"]}': o for o in (walk(o) for o in order)}


def canonical(objects):
    objects = [sort_lists(o) for o in objects]
    text = json.dumps(objects)
    for o in objects:
        if o["kind"] == "Pod":
            for old, new in settle_pod(o).items():
                text = json.dumps(objects).replace(f'"{old}"', f'"{new}"')
                objects = json.loads(text)
    objects = [sort_lists(o) for o in objects]
    return number_ids(objects)


def differences(want, got, path="$"):
    if type(want) is not type(got):
        return [f"{path}: {json.dumps(want)[:160]} expected, got {json.dumps(got)[:160]}"]
    if isinstance(want, dict):
        result = []
        for key in sorted(set(want) | set(got)):
            if key not in want:
                result.append(f"{path}.{key}: not expected: {json.dumps(got[key])[:160]}")
            elif key not in got:
                result.append(f"{path}.{key}: missing: {json.dumps(want[key])[:160]}")
            else:
                result += differences(want[key], got[key], f"{path}.{key}")
        return result
    if isinstance(want, list):
        if len(want) != len(got):
            return [f"{path}: {len(want)} items expected, got {len(got)}: {json.dumps(want)[:200]} | {json.dumps(got)[:200]}"]
        return [d for i, (a, b) in enumerate(zip(want, got)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if want == got else [f"{path}: {json.dumps(want)[:200]} expected, got {json.dumps(got)[:200]}"]


def check(case, line, answer):
    want = case["expected"][line]
    if "error" in answer:
        return [] if want.get("error") else ["it failed: " + answer["error"]]
    if want.get("error"):
        return ["it was expected to fail"]
    expected = canonical([json.loads(json.dumps(o)) for o in want["objects"]])
    got = canonical(plain(answer["objects"]))
    return differences(expected, got)


def request(case, line):
    """What the builder is asked for one case."""
    return {
        "version": RELEASES[line],
        "argv": [expand(a) for a in case["argv"]],
        "env": {k: expand(v) for k, v in case.get("env", {}).items()},
        "files": {k: expand(v) for k, v in case.get("files", {}).items()},
        "binfiles": case.get("binfiles", {}),
    }


def main():
    program, *only = sys.argv[1:]
    cases = sorted((HERE / "cases").glob("*.json"))
    cases = [c for c in cases if not only or c.stem in only]
    plan = [(path, line) for path in cases for line in RELEASES]
    print(f"1..{len(plan)}")
    builder = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    equal = 0
    for number, (path, line) in enumerate(plan, 1):
        case = json.loads(path.read_text(encoding="utf-8"))
        builder.stdin.write(json.dumps(request(case, line)) + "\n")
        builder.stdin.flush()
        reply = builder.stdout.readline()
        problems = check(case, line, json.loads(reply)) if reply else ["the builder died"]
        print(f"{'not ok' if problems else 'ok'} {number} - {path.stem} as Spark {line}")
        for problem in problems[:12]:
            print("# " + problem)
        equal += not problems
        if not reply:
            break
    builder.stdin.close()
    builder.wait()
    print(f"# {equal} of {len(plan)} equal to the real program's")
    return 0 if equal == len(plan) else 1


if __name__ == "__main__":
    sys.exit(main())
