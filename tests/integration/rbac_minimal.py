#!/usr/bin/env python3
"""The rights that `firesteel rbac --submitter --client-mode` gives are enough, and none of the submitter's is too many: with each verb taken away something
breaks. On the embedded cluster, which enforces RBAC."""
# timeout: 300
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
if not shutil.which("kubectl"):
    print("kubectl is not here")
    sys.exit(77)
TMP = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))
ENV = dict(os.environ, NO_COLOR="1", FIRESTEEL_SPARK_VERSION="4.1.4", XDG_STATE_HOME=TMP + "/state", HOME=TMP)
ENV.pop("KUBERNETES_SERVICE_HOST", None)


def run(*argv, code=0, stdin=None, env=None):
    done = subprocess.run(argv, env=env or ENV, input=stdin, capture_output=True, text=True, timeout=120)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(argv)}: exit code {done.returncode} instead of {code}\n{done.stdout}{done.stderr}")
    return done


def admin(*argv, **kw):
    return run("kubectl", *argv, **kw)


def alice(*argv):
    return run(FIRESTEEL, *argv, code=None, env=dict(ENV, KUBECONFIG=TMP + "/alice"))


BASE = ["-c", "spark.kubernetes.container.image=img:1", "-c", "spark.kubernetes.scheduler.name=nobody"]
TOKEN = ["-c", "spark.kubernetes.authenticate.driver.oauthToken=x"]
VOLUME = "spark.kubernetes.driver.volumes.persistentVolumeClaim.data"
CLAIM = ["-c", f"{VOLUME}.mount.path=/d", "-c", f"{VOLUME}.options.claimName=OnDemand", "-c", f"{VOLUME}.options.storageClass=s", "-c", f"{VOLUME}.options.sizeLimit=1Gi"]


def submits(*more):
    """Submitted, and every object owned: None, or what went wrong."""
    done = alice("submit", "--no-wait", "--name", "probe", *BASE, *more, "local:///x.py")
    return None if done.returncode == 0 and "will not go with it" not in done.stderr else done.stderr


def takes_back():
    """A quota refuses the pod: everything that was made before it goes again."""
    admin("create", "quota", "none", "--hard=pods=0", "-n", "jobs")
    try:
        done = alice("submit", "--no-wait", "--name", "probe", *BASE, *TOKEN, *CLAIM, "local:///x.py")
    finally:
        admin("delete", "quota", "none", "-n", "jobs")
    return "could not delete" in done.stderr and done.stderr or (done.returncode == 0 and "it was not refused") or None


def with_pod(*argv, expect=0):
    """A command on the driver's pod of an application that waits."""
    def probe():
        name = json.loads(admin("get", "pods", "-n", "jobs", "-l", "spark-role=driver", "-o", "json").stdout)["items"][0]["metadata"]["name"]
        done = alice(*[a.replace("POD", name) for a in argv])
        return None if done.returncode == expect else done.stderr or done.stdout
    return probe


def events():
    """The reason of a pod that waits is among its events."""
    name = json.loads(admin("get", "pods", "-n", "jobs", "-l", "spark-role=driver", "-o", "json").stdout)["items"][0]["metadata"]
    admin("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e" + name["uid"][:8], "namespace": "jobs"}, "type": "Warning", "reason": "FailedMount",
        "message": "the-message-of-the-event", "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "jobs", "name": name["name"], "uid": name["uid"]}}), code=None)
    admin("patch", "pod", name["name"], "-n", "jobs", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Failed"}}')
    done = alice("status", name["name"])
    return None if "the-message-of-the-event" in done.stdout + done.stderr else "the event is not shown"


def log_is_asked_for():
    """The pod has no log; that is said by the kubelet, not by RBAC."""
    name = json.loads(admin("get", "pods", "-n", "jobs", "-l", "spark-role=driver", "-o", "json").stdout)["items"][0]["metadata"]["name"]
    done = alice("logs", "--driver", name)
    return done.stderr if "orbidden" in done.stderr or "cannot get" in done.stderr else None


def wanted_executors():
    name = json.loads(admin("get", "pods", "-n", "jobs", "-l", "spark-role=driver", "-o", "json").stdout)["items"][0]["metadata"]["name"]
    done = alice("status", name, "-o", "json")
    return None if '"wanted"' in done.stdout or "wantedMin" in done.stdout else done.stdout + done.stderr


def kills_orphans():
    """Executors whose driver is gone have nothing but their label."""
    admin("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost-exec-1", "namespace": "jobs", "labels": {"spark-app-selector": "spark-lost", "spark-role": "executor"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "x", "image": "x"}]}}), code=None)
    done = alice("kill", "spark-lost")
    return None if done.returncode == 0 else done.stderr


def proxy(action):
    def probe():
        done = alice("proxy", "--driver", "nb", "--create")
        if action == "create" or done.returncode:
            problem = done.stderr if done.returncode else None
        elif action == "orphans":
            done = alice("ls", "--orphans")
            problem = done.stderr if done.returncode else None
        else:
            done = alice("proxy", "--driver", "nb", "--delete")
            problem = done.stderr if done.returncode else None
        admin("delete", "service,endpointslice", "nb", "-n", "jobs", "--ignore-not-found", "--wait=false")
        return problem
    return probe


# What shows that a verb is needed: role, group, resource, verb.
PROBES = {
    ("submitter", "", "pods", "create"): submits,
    ("submitter", "", "pods", "delete"): with_pod("kill", "POD"),
    ("submitter", "", "pods", "deletecollection"): kills_orphans,
    ("submitter", "", "pods", "get"): with_pod("kill", "--wait", "--now", "POD"),
    ("submitter", "", "pods", "list"): with_pod("ls"),
    ("submitter", "", "pods/log", "get"): log_is_asked_for,
    ("submitter", "", "events", "list"): events,
    ("submitter", "", "services", "create"): submits,
    ("submitter", "", "services", "patch"): submits,
    ("submitter", "", "services", "delete"): takes_back,
    ("submitter", "", "configmaps", "create"): submits,
    ("submitter", "", "configmaps", "patch"): submits,
    ("submitter", "", "configmaps", "get"): wanted_executors,
    ("submitter", "", "configmaps", "delete"): takes_back,
    ("submitter", "", "secrets", "create"): lambda: submits(*TOKEN),
    ("submitter", "", "secrets", "patch"): lambda: submits(*TOKEN),
    ("submitter", "", "secrets", "delete"): takes_back,
    ("submitter", "", "persistentvolumeclaims", "create"): lambda: submits(*CLAIM),
    ("submitter", "", "persistentvolumeclaims", "patch"): lambda: submits(*CLAIM),
    ("submitter", "", "persistentvolumeclaims", "delete"): takes_back,
    ("client", "", "services", "create"): proxy("create"),
    ("client", "", "services", "get"): proxy("delete"),
    ("client", "", "services", "list"): proxy("orphans"),
    ("client", "", "services", "delete"): proxy("delete"),
    ("client", "discovery.k8s.io", "endpointslices", "create"): proxy("create"),
}
# services patch of the client role renews a proxy every two minutes: too long to wait for here. Without pods watch everything is asked for again and again
# instead: slower, and a burden, but nothing fails.
UNTESTED = {("client", "", "services", "patch"), ("submitter", "", "pods", "watch")}


def set_role(name, rules):
    role = json.loads(admin("get", "role", name, "-n", "jobs", "-o", "json").stdout)
    role["rules"] = rules
    role["metadata"].pop("resourceVersion")
    admin("replace", "-f", "-", stdin=json.dumps(role))


def without(rules, group, resource, verb):
    rules = [dict(r, verbs=[v for v in r["verbs"] if v != verb]) if (r["apiGroups"], r["resources"]) == ([group], [resource]) else r for r in rules]
    return [r for r in rules if r["verbs"]]


def clean():
    admin("delete", "pods,services,configmaps,secrets,persistentvolumeclaims", "--all", "-n", "jobs", "--wait=false", "--grace-period=0", code=None)


def main():
    run(FIRESTEEL, "local", "up", "-q")
    ENV["KUBECONFIG"] = run(FIRESTEEL, "local", "kubeconfig").stdout.strip()
    run(FIRESTEEL, "rbac", "-n", "jobs", "--create-namespace", "--submitter", "serviceaccount:jobs:alice", "--client-mode", "--apply")
    admin("create", "serviceaccount", "alice", "-n", "jobs")
    token = admin("create", "token", "alice", "-n", "jobs").stdout.strip()
    shutil.copy(ENV["KUBECONFIG"], TMP + "/alice")
    for words in (["set-credentials", "alice", "--token=" + token], ["set-context", "--current", "--user=alice", "--namespace=jobs"]):
        admin("config", "--kubeconfig", TMP + "/alice", *words)
    roles = {r: json.loads(admin("get", "role", "spark-" + r, "-n", "jobs", "-o", "json").stdout)["rules"] for r in ("submitter", "client")}
    own = {r: roles[r] for r in roles}
    # The driver's own verbs in the client's role are the driver's business; here only what is added for the proxy.
    given = {(r, g, k, v) for r, rules in roles.items() for rule in rules for g in rule["apiGroups"] for k in rule["resources"] for v in rule["verbs"]
             if r == "submitter" or (k in ("services", "endpointslices") and v != "deletecollection")}
    missing = given - set(PROBES) - UNTESTED
    assert not missing, f"no probe shows that these are needed: {sorted(missing)}"
    assert set(PROBES) <= given, f"not given at all: {sorted(set(PROBES) - given)}"
    failed = 0
    for (role, group, resource, verb), probe in PROBES.items():
        # The two roles overlap: for the submitter's verbs the other one is empty, for the proxy's the submitter's.
        set_role("spark-submitter", own["submitter"] if role == "submitter" else [])
        set_role("spark-client", own["client"] if role == "client" else [])
        submit_first = probe not in (submits, takes_back, kills_orphans) and role == "submitter"
        problem = (submits() if submit_first else None) or probe()
        clean()
        if submit_first:
            submits()
        set_role("spark-" + role, without(own[role], group, resource, verb))
        broken = probe()
        clean()
        ok = problem is None and broken is not None
        failed += not ok
        print(f"{'ok' if ok else 'FAILED'}  {role}: {resource} {verb}" + (f": fails with all rights: {problem}" if problem else "" if broken else ": nothing breaks without it"), flush=True)
    print(f"{len(PROBES) - failed} of {len(PROBES)} verbs are needed and enough")
    return 1 if failed else 0


try:
    result = main()
finally:
    run(FIRESTEEL, "local", "reset", "--yes", code=None)
    shutil.rmtree(TMP, ignore_errors=True)
sys.exit(result)
