#!/usr/bin/env python3
"""Is each verb of the Role that `firesteel rbac` prints for drivers needed? Small real applications run with the whole Role, then with each verb taken away in turn:
with it nothing is refused and nothing is left, without it happens what EFFECTS says. On whatever cluster the kubeconfig is the administrator's of.

    driver_rights.py --kubeconfig FILE --image IMAGE --work DIR [VERB/RESOURCE...]

DIR is on the node, and everybody may write to it."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

FIRESTEEL = os.environ.get("FIRESTEEL", str(pathlib.Path(__file__).resolve().parents[2] / "build/firesteel"))

APP = '''
import os, sys, time
from pyspark import TaskContext
from pyspark.sql import SparkSession
run, kind = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
here = lambda: context._jsc.sc().getExecutorIds()
def wait(what):  # for that, or until the test has seen enough
    while not what() and not os.path.exists(f"/work/{run}.enough"):
        time.sleep(0.1)
    return what()
print("EXECUTOR" if wait(lambda: here().contains("1")) else "NO EXECUTOR", flush=True)
if here().contains("1"):
    print("SUM", context.range(0, 100, 1, 2).sum(), flush=True)
    if kind == "kill":
        context._jsc.sc().killExecutor("1")
        print("KILLED", flush=True)
        wait(lambda: os.path.exists(f"/work/{run}.seen"))
    if kind == "replace":
        def die(rows):
            if TaskContext.get().attemptNumber() == 0:
                for process in filter(str.isdigit, os.listdir("/proc")):
                    try:
                        if os.readlink(f"/proc/{process}/exe").endswith("/java"):
                            os.kill(int(process), 15)
                    except OSError:
                        pass  # not ours, or over
                time.sleep(600)
            return [1]
        print("REPLACED" if context.range(0, 1, 1, 1).mapPartitions(die).sum() == 1 else "", flush=True)
spark.stop()
'''

CLAIM = "spark.kubernetes.executor.volumes.persistentVolumeClaim.data."
CLAIMS = [CLAIM + "options.claimName=OnDemand", CLAIM + "options.sizeLimit=10Mi", CLAIM + "mount.path=/data", CLAIM + "mount.readOnly=false",
          "spark.kubernetes.legacy.useReadWriteOnceAccessMode=true",
          # A claim is used again when it is that old, and waited for only so.
          "spark.kubernetes.allocation.executor.timeout=10s", "spark.kubernetes.driver.waitToReusePersistentVolumeClaim=true"]
# What runs: what the program does beside a sum, and configuration.
SCENARIOS = {
    "plain": ("", []),
    # An executor is told to end, as dynamic allocation does, and has time for it, or no time.
    "kill": ("kill", []),
    "hurry": ("kill", ["spark.kubernetes.dynamicAllocation.deleteGracePeriod=1ms"]),
    "kept": ("kill", ["spark.kubernetes.executor.deleteOnTermination=false"]),
    "claims": ("replace", CLAIMS),  # an executor dies and another takes over its volume
    "unowned": ("", CLAIMS + ["spark.kubernetes.driver.ownPersistentVolumeClaim=false", "spark.kubernetes.driver.reusePersistentVolumeClaim=false"]),
}
# What happens without a verb, and where that is seen. All but "noted" are states of the cluster, not lines of a log.
EFFECTS = {
    ("pods", "get"): ("plain", "the driver fails"),
    ("pods", "watch"): ("plain", "the driver fails"),
    ("pods", "create"): ("plain", "no executor comes"),
    ("pods", "list"): ("hurry", "noted"),  # polled states are missing beside watched ones; executors that do not end when they are told to run on
    ("pods", "delete"): ("kill", "an executor that ended stays while the driver runs"),
    ("pods", "deletecollection"): ("plain", "pods are left"),
    ("pods", "patch"): ("kept", "a kept executor is not marked as inactive"),
    ("configmaps", "create"): ("plain", "the driver fails"),
    ("configmaps", "deletecollection"): ("plain", "configmaps are left"),
    ("services", "deletecollection"): ("plain", "services are left"),
    ("persistentvolumeclaims", "create"): ("claims", "no executor comes"),
    ("persistentvolumeclaims", "list"): ("claims", "a lost executor is not replaced"),
    ("persistentvolumeclaims", "deletecollection"): ("claims", "persistentvolumeclaims are left"),
}


def run(*argv, code=0, stdin=None):
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Trial:
    def __init__(self, options, scenario, resource=None, verb=None):
        self.o, self.scenario, self.resource, self.verb = options, scenario, resource, verb
        release = "".join(filter(str.isdigit, options.image.rpartition(":")[2]))[:2]  # both releases may run in one cluster
        self.namespace = "-".join(filter(None, ["rights" + release, scenario, verb, resource]))
        self.kind, self.conf = SCENARIOS[scenario]
        self.claims = self.conf[:len(CLAIMS)] == CLAIMS
        self.events = set()

    def kubectl(self, *argv, **kw):
        return run("kubectl", "--kubeconfig", self.o.kubeconfig, "-n", self.namespace, *argv, **kw)

    def firesteel(self, command, *argv):
        return run(FIRESTEEL, command, "--kubeconfig", self.o.kubeconfig, "-n", self.namespace, *argv)

    def list(self, kinds, *argv):
        return json.loads(self.kubectl("get", kinds, "-o", "json", *argv))["items"]

    def make_volumes(self):
        """As a local provisioner would make them."""
        for i in range(3):
            directory = self.o.work / f"{self.namespace}-{i}"
            directory.mkdir()
            directory.chmod(0o777)
            self.kubectl("create", "-f", "-", stdin=json.dumps({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"generateName": f"{self.namespace}-", "labels": {"rights": self.namespace}},
                "spec": {"storageClassName": self.namespace, "capacity": {"storage": "20Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(directory)}}}))

    def grant(self):
        self.firesteel("rbac", "--create-namespace", "--apply")
        self.kubectl("wait", "--for=jsonpath={.metadata.name}=default", "serviceaccount/default", "--timeout=60s")
        if not self.verb:
            return
        role = json.loads(self.kubectl("get", "role", "spark-driver", "-o", "json"))
        for rule in role["rules"]:
            if rule["resources"] == [self.resource]:
                rule["verbs"].remove(self.verb)
        role["rules"] = [r for r in role["rules"] if r["verbs"]]
        self.kubectl("replace", "-f", "-", stdin=json.dumps(role))
        # A server's authorizer learns of it by a watch.
        while run("kubectl", "--kubeconfig", self.o.kubeconfig, "-n", self.namespace, "auth", "can-i", self.verb, self.resource, "--as",
                  f"system:serviceaccount:{self.namespace}:spark", code=None).strip() == "yes":
            time.sleep(0.1)

    def submit(self):
        conf = {"spark.kubernetes.container.image": self.o.image, "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
                "spark.kubernetes.driver.pod.name": "driver", "spark.executor.instances": "1", "spark.driver.memory": "512m", "spark.executor.memory": "512m",
                "spark.kubernetes.driver.request.cores": "300m", "spark.kubernetes.executor.request.cores": "300m", "spark.ui.enabled": "false",
                "spark.kubernetes.allocation.batch.delay": "200ms", "spark.kubernetes.executor.eventProcessingInterval": "200ms",
                "spark.kubernetes.dynamicAllocation.deleteGracePeriod": "600s",
                # A loaded machine is no refusal.
                "spark.kubernetes.driver.requestTimeout": "300000", "spark.kubernetes.driver.connectionTimeout": "300000",
                "spark.kubernetes.driver.volumes.hostPath.work.mount.path": "/work", "spark.kubernetes.driver.volumes.hostPath.work.options.path": str(self.o.work)}
        for role in "driver", "executor":
            conf[f"spark.kubernetes.{role}.annotation.firesteel.io/jvm-profile"] = "short"
        if self.claims:
            conf[CLAIM + "options.storageClass"] = self.namespace
        words = [w for pair in list(conf.items()) + [c.split("=", 1) for c in self.conf] for w in ("-c", "=".join(pair))]
        self.firesteel("submit", "--no-wait", "--name", "app", *words, "local:///work/app.py", self.namespace, self.kind or "sum")

    def tell(self, word):
        (self.o.work / f"{self.namespace}.{word}").touch()

    def watch(self):
        """Does what the program waits for, until the driver is over; returns its log."""
        was_refused = f'cannot {self.verb} resource "{self.resource}"'
        while True:
            phase = self.kubectl("get", "pod", "driver", "-o", "jsonpath={.status.phase}")
            log = self.kubectl("logs", "driver", code=None)
            if phase in ("Succeeded", "Failed"):
                self.events.add(phase)
                return log
            executors = {p["metadata"]["labels"]["spark-exec-id"]: p for p in self.list("pods", "-l", "spark-role=executor")}
            refused = self.verb and was_refused in log
            if "KILLED" in log:
                one = executors.get("1")
                inactive = one and one["metadata"]["labels"].get("spark-exec-inactive") == "true"
                if not one or inactive:
                    self.tell("seen")
                # What the driver would have done next is refused; that it was the cause is seen from the pod, which is over and stays.
                elif refused and (self.verb == "list" or one["status"].get("phase") in ("Succeeded", "Failed")):
                    self.events.add("stays")
                    self.tell("seen")
            # Spark's own words for this refusal; it looks again for ever.
            if "Cannot list PVC resources" in log and "Wait to reuse one of the existing" in log:
                self.events.add("waits")
                self.kubectl("delete", "pod", "driver", "--grace-period=0", "--force")
                return log
            if refused and "NO EXECUTOR" not in log and "SUM" not in log and not executors:
                self.tell("enough")
            time.sleep(0.5)

    def observe(self, log):
        """What is different from how it should be."""
        found = []
        if "Failed" in self.events:
            return ["the driver fails"]
        if "NO EXECUTOR" in log:
            return ["no executor comes"]
        alive = [o for o in self.list("pods,services,configmaps,persistentvolumeclaims") if "deletionTimestamp" not in o["metadata"]]
        executors = [o for o in alive if o["metadata"].get("labels", {}).get("spark-role") == "executor" and o["kind"] == "Pod"]
        claims = [o for o in alive if o["kind"] == "PersistentVolumeClaim"]
        if self.scenario == "kept":
            if not executors or any(o["metadata"]["labels"].get("spark-exec-inactive") != "true" for o in executors):
                found.append("a kept executor is not marked as inactive")
            return found
        if "stays" in self.events and self.verb != "list":
            found.append("an executor that ended stays while the driver runs")
        if "waits" in self.events:
            return ["a lost executor is not replaced"]
        if len(re.findall("Trying to create PersistentVolumeClaim", log)) > 1:
            found.append("an executor's claim is not used again")
        for kind, name in (("Pod", "pods"), ("Service", "services"), ("ConfigMap", "configmaps"), ("PersistentVolumeClaim", "persistentvolumeclaims")):
            left = executors if kind == "Pod" else claims if kind == "PersistentVolumeClaim" else [
                o for o in alive if o["kind"] == kind and (kind == "Service" or o["metadata"]["name"].startswith("spark-exec-"))]
            if left:
                found.append(f"{name} are left")
        return found

    def over(self):
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", code=None)
        if self.claims:
            self.kubectl("delete", "persistentvolumes", "-l", f"rights={self.namespace}", "--wait=false", code=None)

    def __call__(self):
        began = time.monotonic()
        try:
            self.grant()
            if self.claims:
                self.make_volumes()
            self.submit()
            log = self.watch()
            found = self.observe(log)
        finally:
            self.over()
        refused = sorted(set(re.findall(r'cannot (\w+) resource "([a-z/]+)"', log)))
        wanted = [(self.verb, self.resource)] if self.verb else []
        if self.verb and "Received 403 on websocket" in log:  # this message names neither
            refused = sorted({*refused, ("watch", "pods")})
        if "Cannot list PVC resources" in log:
            refused = sorted({*refused, ("list", "persistentvolumeclaims")})
        if not found and refused:
            found = ["noted"]
        expected = EFFECTS[self.resource, self.verb][1] if self.verb else ""
        ok = expected in found or not (self.verb or found)
        ok &= refused == wanted
        print(f"{'ok' if ok else 'FAILED'}  {self.scenario}" + (f" without {self.verb} {self.resource}" if self.verb else " with all") + ": " +
              ("; ".join(found) or "all well") + f"  ({time.monotonic() - began:.0f} s)", flush=True)
        if not ok:
            print(f"      expected: {expected or 'all well'}, refused: {wanted}; it was refused: {refused}; the end of the driver's log:")
            print("\n".join("      | " + line[:300] for line in log.splitlines() if "\tat " not in line)[-6000:], flush=True)
        return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("only", nargs="*")
    o = parser.parse_args()
    (o.work / "app.py").write_text(APP)
    printed = json.loads(run(FIRESTEEL, "rbac", "-n", "x", "-o", "json"))["items"]
    given = {(resource, verb) for i in printed if i["kind"] == "Role" for rule in i["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert given == set(EFFECTS), f"granted and not tried, or tried and not granted: {sorted(given ^ set(EFFECTS))}"
    trials = [Trial(o, s) for s in SCENARIOS] + [Trial(o, scenario, resource, verb) for (resource, verb), (scenario, _) in EFFECTS.items()]
    trials = [t for t in trials if not o.only or f"{t.verb}/{t.resource}" in o.only or not t.verb and t.scenario in o.only]
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        results = [f.result() for f in [pool.submit(t) for t in trials]]
    print(f"{sum(results)} of {len(results)}: with all rights all is well, without each of them what is said happens")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
