#!/usr/bin/env python3
# timeout: 300
"""The event logs with which the Spark project tests its own History Server (Spark 1.2 to 3.x), and the answers that its test suite expects: ours are equal.

They come from Spark's published test jar, which tools/setup fetches; nothing of it is kept here. As in that suite only when a log was last changed is not compared.
Every answer is asked for twice, of a server that has to read the logs and of one that finds their indexes."""
import json
import os
import pathlib
import shutil
import sys
import zipfile

from history_lib import Server, blank, temporary

CACHE = pathlib.Path(os.environ.get("FIRESTEEL_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "firesteel")
JAR = CACHE / "golden/spark-core-tests.jar"

OLD, SHUFFLE, TWICE, PARTITIONS = "applications/local-1422981780767", "applications/local-1430917381534", "applications/local-1426533911241", "applications/local-1642039451826"
PEAKS, EXCLUDED, RESOURCES = "applications/app-20200706201101-0003", "applications/app-20161116163331-0000", "applications/application_1555004656427_0144"

# What the suite calls a case (its file has that name, with _ for what is no letter) and the path it asks for.
CASES = {
    "application list json": "applications",
    "completed app list json": "applications?status=completed",
    "running app list json": "applications?status=running",
    "minDate app list json": "applications?minDate=2015-02-10",
    "maxDate app list json": "applications?maxDate=2015-02-10",
    "maxDate2 app list json": "applications?maxDate=2015-02-03T16:42:40.000GMT",
    "minEndDate app list json": "applications?minEndDate=2015-05-06T13:03:00.950GMT",
    "maxEndDate app list json": "applications?maxEndDate=2015-05-06T13:03:00.950GMT",
    "minEndDate and maxEndDate app list json": "applications?minEndDate=2015-03-16&maxEndDate=2015-05-06T13:03:00.950GMT",
    "minDate and maxEndDate app list json": "applications?minDate=2015-03-16&maxEndDate=2015-05-06T13:03:00.950GMT",
    "limit app list json": "applications?limit=3",
    "one app json": OLD,
    "one app multi-attempt json": TWICE,
    "job list json": f"{OLD}/jobs",
    "job list from multi-attempt app json(1)": f"{TWICE}/1/jobs",
    "job list from multi-attempt app json(2)": f"{TWICE}/2/jobs",
    "one job json": f"{OLD}/jobs/0",
    "succeeded job list json": f"{OLD}/jobs?status=succeeded",
    "succeeded&failed job list json": f"{OLD}/jobs?status=succeeded&status=failed",
    "executor list json": f"{OLD}/executors",
    "executor list with executor metrics json": "applications/application_1553914137147_0018/executors",
    "stage list json": f"{OLD}/stages",
    "complete stage list json": f"{OLD}/stages?status=complete",
    "failed stage list json": f"{OLD}/stages?status=failed",
    "one stage json": f"{OLD}/stages/1",
    "one stage json with details": f"{OLD}/stages/1?details=true&taskStatus=success",
    "one stage attempt json": f"{OLD}/stages/1/0",
    "one stage attempt json details with failed task": f"{OLD}/stages/1/0?details=true&taskStatus=failed",
    "one stage json with partitionId": f"{PARTITIONS}/stages/2",
    "stage task summary w shuffle write": f"{SHUFFLE}/stages/0/0/taskSummary",
    "stage task summary w shuffle read": f"{SHUFFLE}/stages/1/0/taskSummary",
    "stage task summary w/ custom quantiles": f"{SHUFFLE}/stages/0/0/taskSummary?quantiles=0.01,0.5,0.99",
    "stage task list": f"{SHUFFLE}/stages/0/0/taskList",
    "stage task list w/ offset & length": f"{SHUFFLE}/stages/0/0/taskList?offset=10&length=50",
    "stage task list w/ sortBy": f"{SHUFFLE}/stages/0/0/taskList?sortBy=DECREASING_RUNTIME",
    "stage task list w/ sortBy short names: -runtime": f"{SHUFFLE}/stages/0/0/taskList?sortBy=-runtime",
    "stage task list w/ sortBy short names: runtime": f"{SHUFFLE}/stages/0/0/taskList?sortBy=runtime",
    "stage task list w/ status": "applications/app-20161115172038-0000/stages/0/0/taskList?status=failed",
    "stage task list w/ status & offset & length": f"{SHUFFLE}/stages/0/0/taskList?status=success&offset=1&length=2",
    "stage task list w/ status & sortBy short names: runtime": f"{SHUFFLE}/stages/0/0/taskList?status=success&sortBy=runtime",
    "stage task list with partitionId": f"{PARTITIONS}/stages/0/0/taskList",
    "stage list with accumulable json": f"{TWICE}/1/stages",
    "stage with accumulable json": f"{TWICE}/1/stages/0/0",
    "stage task list from multi-attempt app json(1)": f"{TWICE}/1/stages/0/0/taskList",
    "stage task list from multi-attempt app json(2)": f"{TWICE}/2/stages/0/0/taskList",
    "excludeOnFailure for stage": "applications/app-20180109111548-0000/stages/0/0",
    "excludeOnFailure node for stage": "applications/application_1516285256255_0012/stages/0/0",
    "rdd list storage json": f"{OLD}/storage/rdd",
    "executor node excludeOnFailure": f"{EXCLUDED}/executors",
    "executor node excludeOnFailure unexcluding": "applications/app-20161115172038-0000/executors",
    "executor memory usage": f"{EXCLUDED}/executors",
    "executor resource information": f"{RESOURCES}/executors",
    "multiple resource profiles": "applications/application_1578436911597_0052/environment",
    "stage list with peak metrics": f"{PEAKS}/stages",
    "stage with peak metrics": f"{PEAKS}/stages/2/0",
    "stage with summaries": f"{PEAKS}/stages/2/0?withSummaries=true",
    "app environment": f"{EXCLUDED}/environment",
    "one rdd storage json": f"{OLD}/storage/rdd/0",
    "miscellaneous process": f"{RESOURCES}/allmiscellaneousprocess",
    "stage with speculation summary": "applications/application_1628109047826_1317105/stages/0/0/",
}


def file_of(name):
    return "".join(c if c.isalnum() else "_" for c in name) + "_expectation.json"


def unpack(where):
    with zipfile.ZipFile(JAR) as jar:
        for name in jar.namelist():
            if name.startswith(("spark-events", "HistoryServerExpectations/")):
                jar.extract(name, where)
    return {p.name for p in (where / "HistoryServerExpectations").iterdir()}


def check_answers(s, expectations):
    different = []
    for name, path in CASES.items():
        status, body = s.api(path)
        want = json.loads((expectations / file_of(name)).read_bytes())
        if status != 200 or blank(json.loads(body)) != blank(want):
            different.append(f"{name}: {path}: {status} {body[:120]!r}")
    print(f"{len(CASES) - len(different)} of {len(CASES)} answers equal, {s.metric('replays_total'):.0f} logs replayed")
    for line in different:
        print("  " + line)
    return len(different)


def check_broken(where):
    """Logs of an application whose attempts ended in the middle: each is listed, and shown as far as it goes."""
    failed = 0
    for logs in sorted((where / "spark-events-broken").iterdir()):
        with Server(logs, where / ("cache-" + logs.name)) as s:
            attempts = [(app["id"], a) for app in s.json("applications") for a in app["attempts"]]
            executors = [len(s.json(f"applications/{app}/{a['attemptId']}/allexecutors")) for app, a in attempts]
        incomplete = [a["attemptId"] for _, a in attempts if not a["completed"]]
        print(f"{logs.name}: attempts {[a['attemptId'] for _, a in attempts]}, not completed {incomplete}, executors {executors}")
        failed += (len(attempts), incomplete, executors) != (2, ["2" if logs.name.startswith("last") else "1"], [3, 3])
    return failed


def main():
    if not JAR.exists():
        print(f"no {JAR}: tools/setup test fetches it")
        return 77
    where = temporary()
    unknown = unpack(where) ^ {file_of(name) for name in CASES}
    failed = len(unknown)
    if unknown:
        print("cases without an expectation, or the other way round: " + ", ".join(sorted(unknown)))
    for turn in ("first", "restarted"):
        with Server(where / "spark-events", where / "cache") as s:
            failed += check_answers(s, where / "HistoryServerExpectations")
            if turn == "restarted" and s.metric("replays_total"):
                print("a restart replayed logs that it had indexes of")
                failed += 1
    failed += check_broken(where)
    shutil.rmtree(where)
    return 1 if failed else 0


sys.exit(main())
