"""Jobs that say themselves what a failure is and when enough has succeeded: podFailurePolicy, successPolicy, backoffLimitPerIndex, maxFailedIndexes. The
hand that plays the kubelet writes the pods' statuses; their containers ended long ago, so no pause is left to wait for."""
from areas import *

J, P = BATCH + "/jobs", CORE + "/pods"
LONG_AGO = "2020-01-01T00:00:00Z"
SWEEPER = {"initContainers": [{"name": "i", "image": "busybox:1"}]}


def codes(action, operator, *values, **more):
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def conditions(action, *types, **more):
    return {"action": action, "onPodConditions": [{"type": t, **more} for t in types]}


def on_failure(*rules):
    return {"podFailurePolicy": {"rules": list(rules)}}


def on_success(*rules):
    return {"successPolicy": {"rules": list(rules)}}


def indexed(count, **more):
    return {"completionMode": "Indexed", "completions": count, "parallelism": count, **more}


def terminated(code, name="c"):
    return [{"name": name, "image": "busybox:1", "imageID": "", "state": {"terminated": {
        "exitCode": code, "reason": "Error" if code else "Completed", "startedAt": LONG_AGO, "finishedAt": LONG_AGO}}}]


def of(pods, job, index=None, phase=None):
    found = [p for p in pods["items"] if p["metadata"]["labels"].get("job-name") == job and (phase is None or p["status"]["phase"] == phase)]
    return [p for p in found if index is None or p["metadata"]["labels"].get("batch.kubernetes.io/job-completion-index") == str(index)]


def pending(job, index=None, count=1):
    """Remembers a pending pod's name as ${P}, as soon as there are so many."""
    at = "" if index is None else f",batch.kubernetes.io/job-completion-index={index}"
    return R(f"{job}-find-{index}", "GET", f"{P}?labelSelector=job-name={job}{at}&fieldSelector=status.phase=Pending", silent=True,
             wait=lambda o: len(of(o, job, index, "Pending")) >= count, remember={"P": "/items/0/metadata/name"})


def ends(job, phase, status, index=None, count=1):
    return [pending(job, index, count), R(f"{job}-{phase}", "PATCH", P + "/${P}/status", {"status": {"phase": phase, **status}}, MERGE, silent=True)]


def fails(job, code, index=None, count=1):
    return ends(job, "Failed", {"containerStatuses": terminated(code)}, index, count)


def succeeds(job, index=None):
    return ends(job, "Succeeded", {"containerStatuses": terminated(0)}, index)


def has(condition):
    return lambda o: any(c["type"] == condition and c["status"] == "True" for c in o["status"].get("conditions", []))


def counted(**status):
    """The counts are these and nothing is under way."""
    return lambda o: not o["status"].get("uncountedTerminatedPods") and o["status"].get("terminating") == 0 and all(o["status"].get(k, 0) == v for k, v in status.items())


def made(name, spec, pod_spec=None):
    return R(name, "POST", J, job(name, spec, pod_spec))


def seen(name, wait, step):
    return R(f"{name}-{step}", "GET", f"{J}/{name}", wait=wait)


def refused(id, spec, pod_spec=None):
    return R("refused-" + id, "POST", J + "?dryRun=All", job("x", spec, pod_spec))


TWO = {"completions": 2, "parallelism": 2}
CODE = {"onExitCodes": {"operator": "In", "values": [1]}}
REQUESTS = [
    # One pod's exit code ends the Job; the pod that was still running has failed with it.
    made("pf-exit", {**TWO, **on_failure(conditions("Ignore", "DisruptionTarget"), codes("FailJob", "In", 3, 42))}),
    *fails("pf-exit", 42, count=2), seen("pf-exit", has("Failed"), "failed"),
    R("pf-exit-pods", "GET", P + "?labelSelector=job-name=pf-exit", wait=lambda o: len(of(o, "pf-exit")) == 1),
    # What is ignored does not count; what no rule matches does.
    made("pf-ignore", {"backoffLimit": 0, **on_failure(codes("Ignore", "NotIn", 1))}),
    *fails("pf-ignore", 7), seen("pf-ignore", counted(active=1), "ignored"),
    *fails("pf-ignore", 1), seen("pf-ignore", has("Failed"), "failed"),
    # The first rule that matches decides.
    made("pf-order", {"backoffLimit": 0, **on_failure(codes("Count", "In", 1), codes("FailJob", "In", 1, 2))}),
    *fails("pf-order", 1), seen("pf-order", has("Failed"), "failed"),
    made("pf-condition", on_failure(conditions("Ignore", "DisruptionTarget"), conditions("FailJob", "example.com/Broken", status="False"))),
    *ends("pf-condition", "Failed", {"containerStatuses": terminated(1), "conditions": [{"type": "DisruptionTarget", "status": "True"}, {"type": "example.com/Broken", "status": "False"}]}),
    seen("pf-condition", counted(active=1), "ignored"),
    *ends("pf-condition", "Failed", {"containerStatuses": terminated(1), "conditions": [{"type": "DisruptionTarget", "status": "False"}, {"type": "example.com/Broken", "status": "False"}]}),
    seen("pf-condition", has("Failed"), "failed"),
    made("pf-init", on_failure(codes("FailJob", "In", 5, containerName="i")), SWEEPER),
    *fails("pf-init", 5), seen("pf-init", counted(active=1, failed=1), "other"),
    *ends("pf-init", "Failed", {"initContainerStatuses": terminated(5, "i")}), seen("pf-init", has("Failed"), "failed"),
    # Enough has succeeded: the others are ended and have not failed.
    made("pf-enough", indexed(4, **on_success({"succeededIndexes": "0,3", "succeededCount": 2}, {"succeededIndexes": "1-2", "succeededCount": 1}))),
    *succeeds("pf-enough", 0), seen("pf-enough", counted(active=3, succeeded=1), "not-yet"),
    *succeeds("pf-enough", 2), seen("pf-enough", has("Complete"), "complete"),
    R("pf-enough-pods", "GET", P + "?labelSelector=job-name=pf-enough", wait=lambda o: len(of(o, "pf-enough")) == 2),
    made("pf-some", indexed(3, **on_success({"succeededCount": 1}))),
    *succeeds("pf-some", 1), seen("pf-some", has("Complete"), "complete"),
    # Each index has its own limit.
    made("pf-each", indexed(2, backoffLimitPerIndex=1)),
    R("pf-each-pods", "GET", P + "?labelSelector=job-name=pf-each", wait=lambda o: len(of(o, "pf-each")) == 2),
    *fails("pf-each", 1, 0), seen("pf-each", counted(active=2, failed=1), "again"),
    R("pf-each-second", "GET", P + "?labelSelector=job-name=pf-each,batch.kubernetes.io/job-completion-index=0&fieldSelector=status.phase=Pending",
      wait=lambda o: of(o, "pf-each", 0, "Pending")),
    *fails("pf-each", 1, 0), seen("pf-each", counted(active=1, failed=2), "broken"),
    *succeeds("pf-each", 1), seen("pf-each", has("Failed"), "failed"),
    made("pf-most", indexed(4, backoffLimitPerIndex=0, maxFailedIndexes=1)),
    *fails("pf-most", 1, 0), seen("pf-most", counted(active=3, failed=1), "one"),
    *fails("pf-most", 1, 2), seen("pf-most", has("Failed"), "failed"),
    made("pf-index", indexed(2, backoffLimitPerIndex=3, **on_failure(codes("FailIndex", "In", 9), codes("Ignore", "In", 8)))),
    *fails("pf-index", 8, 0), seen("pf-index", counted(active=2), "ignored"),
    R("pf-index-second", "GET", P + "?labelSelector=job-name=pf-index,batch.kubernetes.io/job-completion-index=0&fieldSelector=status.phase=Pending",
      wait=lambda o: of(o, "pf-index", 0, "Pending")),
    *fails("pf-index", 9, 0), seen("pf-index", counted(active=1, failed=1), "broken"),
    *succeeds("pf-index", 1), seen("pf-index", has("Failed"), "failed"),
    # The ends that have no policy.
    made("pf-done", {**TWO}), *succeeds("pf-done"), *succeeds("pf-done"), seen("pf-done", has("Complete"), "complete"),
    made("pf-late", {"activeDeadlineSeconds": 1}), seen("pf-late", has("Failed"), "failed"),
    made("pf-queue", {"parallelism": 2}), *succeeds("pf-queue"), seen("pf-queue", counted(active=1, succeeded=1), "one"),
    *fails("pf-queue", 1), seen("pf-queue", has("Complete"), "complete"),
    made("pf-pause", {**TWO}), R("pf-pause-started", "GET", J + "/pf-pause", wait=counted(active=2)),
    R("pf-pause-suspend", "PATCH", J + "/pf-pause", {"spec": {"suspend": True}}, MERGE, silent=True),
    seen("pf-pause", lambda o: has("Suspended")(o) and counted(active=0)(o), "suspended"),
    R("pf-pause-resume", "PATCH", J + "/pf-pause", {"spec": {"suspend": False}}, MERGE, silent=True),
    seen("pf-pause", lambda o: not has("Suspended")(o) and counted(active=2)(o), "resumed"),
    made("pf-shrink", indexed(3)), R("pf-shrink-started", "GET", J + "/pf-shrink", wait=counted(active=3)),
    R("pf-shrink-resize", "PATCH", J + "/pf-shrink", {"spec": {"completions": 1, "parallelism": 1}}, MERGE),
    seen("pf-shrink", counted(active=1), "shrunk"),
    # Who is evicted says so, which a policy can tell from a failure.
    made("pf-evict", {"backoffLimit": 0, **on_failure(conditions("Ignore", "DisruptionTarget"))}), pending("pf-evict"),
    R("pf-evict-evict", "POST", P + "/${P}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "${P}"}}),
    R("pf-evict-pod", "GET", P + "/${P}"),
    R("pf-evict-ends", "PATCH", P + "/${P}/status", {"status": {"phase": "Failed", "containerStatuses": terminated(143)}}, MERGE, silent=True),
    pending("pf-evict"), R("pf-evict-next", "GET", J + "/pf-evict", wait=counted(active=1)),
    # Another controller's.
    made("pf-managed", {"managedBy": "example.com/other"}), R("pf-managed-seen", "GET", J + "/pf-managed"),
    # What cannot be changed afterwards.
    R("change-failure-policy", "PATCH", J + "/pf-exit", {"spec": {"podFailurePolicy": None}}, MERGE),
    R("change-failure-rules", "PATCH", J + "/pf-exit", {"spec": on_failure(codes("Count", "In", 1), conditions("Ignore", "A"))}, MERGE),
    R("change-success-policy", "PATCH", J + "/pf-some", {"spec": on_success({"succeededCount": 2})}, MERGE),
    R("change-per-index", "PATCH", J + "/pf-each", {"spec": {"backoffLimitPerIndex": 2}}, MERGE),
    R("change-manager", "PATCH", J + "/pf-managed", {"spec": {"managedBy": "example.com/third"}}, MERGE),
    R("change-most-failed", "PATCH", J + "/pf-most", {"spec": {"maxFailedIndexes": 3}}, MERGE),
    # What is refused.
    refused("no-action", on_failure({"action": "", **CODE})),
    refused("bad-action", on_failure({"action": "Explode", **CODE})),
    refused("index-without-limit", on_failure({"action": "FailIndex", **CODE})),
    refused("both", on_failure({"action": "Count", **CODE, "onPodConditions": [{"type": "A", "status": "True"}]})),
    refused("neither", on_failure({"action": "Count"})),
    refused("bad-operator", on_failure(codes("Count", "Near", 1))),
    refused("no-operator", on_failure(codes("Count", "", 1))),
    refused("no-values", on_failure({"action": "Count", "onExitCodes": {"operator": "In", "values": []}})),
    refused("values-missing", on_failure({"action": "Count", "onExitCodes": {"operator": "In"}})),
    refused("zero", on_failure(codes("Count", "In", 0))),
    refused("zero-not-in", on_failure(codes("Count", "NotIn", 0, 1))),
    refused("twice", on_failure(codes("Count", "In", 1, 1))),
    refused("unordered", on_failure(codes("Count", "In", 2, 1))),
    refused("many-values", on_failure(codes("Count", "In", *range(1, 258)))),
    refused("no-container", on_failure(codes("Count", "In", 1, containerName="x"))),
    refused("init-container", on_failure(codes("Count", "In", 1, containerName="i")), SWEEPER),
    refused("bad-condition", on_failure(conditions("Count", "a b"))),
    refused("bad-condition-status", on_failure(conditions("Count", "A", status="Maybe"))),
    refused("many-rules", on_failure(*[codes("Count", "In", 1)] * 21)),
    refused("many-conditions", on_failure(conditions("Count", *["A"] * 21))),
    refused("on-failure", on_failure(codes("Count", "In", 1)), {"restartPolicy": "OnFailure"}),
    refused("replacement", {"podReplacementPolicy": "Never"}),
    refused("replacement-empty", {"podReplacementPolicy": ""}),
    refused("restart-policy", {}, {"restartPolicy": "Sometimes"}),
    R("refused-long-name", "POST", J + "?dryRun=All", job("x" * 62, indexed(2))),
    refused("replacement-with-policy", {"podReplacementPolicy": "TerminatingOrFailed", **on_failure(codes("Count", "In", 1))}),
    refused("success-not-indexed", on_success({"succeededCount": 1}, {"succeededIndexes": "0"})),
    refused("success-no-rules", indexed(2, **on_success())),
    refused("success-empty-rule", indexed(2, **on_success({}))),
    refused("success-count", indexed(2, **on_success({"succeededCount": 3}))),
    refused("success-negative", indexed(2, **on_success({"succeededCount": -1}))),
    refused("success-count-of-indexes", indexed(4, **on_success({"succeededIndexes": "0-1", "succeededCount": 3}))),
    *[refused(f"success-indexes-{i}", indexed(4, **on_success({"succeededIndexes": text})))
      for i, text in enumerate(["0-9", "4", "a", "1-", "0-1-2", "2,1", "1,1", "2-1", "1-1", ""])],
    refused("success-many-rules", indexed(2, **on_success(*[{"succeededCount": 1}] * 21))),
    refused("per-index-not-indexed", {"backoffLimitPerIndex": 1, "maxFailedIndexes": 1}),
    refused("per-index-negative", indexed(2, backoffLimitPerIndex=-1, maxFailedIndexes=-1)),
    refused("most-alone", indexed(2, maxFailedIndexes=1)),
    refused("most-beyond", indexed(2, backoffLimitPerIndex=1, maxFailedIndexes=3)),
    refused("many-completions", {"completionMode": "Indexed", "completions": 100001, "parallelism": 10001, "backoffLimitPerIndex": 1}),
    refused("many-failed", {"completionMode": "Indexed", "completions": 200000, "parallelism": 1, "backoffLimitPerIndex": 1, "maxFailedIndexes": 100001}),
    refused("many-parallel", {"completionMode": "Indexed", "completions": 100001, "parallelism": 100001}),
    refused("mode", {"completionMode": "Sideways"}),
    refused("indexed-endless", {"completionMode": "Indexed", "parallelism": 1}),
    refused("manager", {"managedBy": "other"}),
    refused("manager-domain", {"managedBy": "No_Domain/x"}),
    refused("manager-long", {"managedBy": "example.com/" + "x" * 60}),
    R("refused-in-cron", "POST", BATCH + "/cronjobs?dryRun=All", {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "x"}, "spec": {
        "schedule": "@daily", "jobTemplate": {"spec": {**job("x")["spec"], **on_failure(codes("Explode", "In", 1), conditions("Count", "A"))}}}}),
]
