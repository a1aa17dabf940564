#!/usr/bin/env bash
# A real PySpark application in cluster mode with two executors, with every Spark that is installed: what `make demo` shows, on less data. The
# answer is compared with the generator's inside the demo.
# timeout: 900
. "$(dirname "$0")/lib.sh"
# The History Server of the instance has the finished application, with its jobs.
cat >"$TEST_TMP/history.py" <<'PY'
import json, sys, urllib.request
url, app = sys.argv[1:]
def get(path):
    with urllib.request.urlopen(f"{url}api/v1/applications/{app}{path}", timeout=60) as answer:
        return json.load(answer)
attempt = get("")["attempts"][0]
assert attempt["completed"] and attempt["duration"] > 0, attempt
jobs = get("/jobs")
assert len(jobs) >= 4 and all(j["status"] == "SUCCEEDED" for j in jobs), jobs
executors = [e for e in get("/allexecutors") if e["id"] != "driver"]
# On a busy machine Spark gives up one that takes its time and asks for another; and the first may have done all before the second was there.
assert len(executors) >= 2 and any(e["completedTasks"] > 0 for e in executors), executors
with urllib.request.urlopen(f"{url}history/{app}/") as page:
    assert app in page.read().decode()
print("all well")
PY
ran=0
for version in 4.1 3.5; do
        variable=SPARK_HOME_${version/./_}
        [ -n "${!variable:-}" ] || continue
        expect 0 "$here/../../tools/demo" --firesteel "$FIRESTEEL" --spark $version --megabytes 5 --work "$TEST_TMP/demo" --json "$TEST_TMP/figures.json"
        says correct
        says 'driver JVM'
        [ "$(find "$TEST_TMP/demo/out/revenue" -name '*.parquet' | wc -l)" -ge 1 ] || fail "no Parquet was written"
        says "/history/$(json application <"$TEST_TMP/figures.json")/"
        expect 0 python3 "$TEST_TMP/history.py" "$(json historyUrl <"$TEST_TMP/figures.json")" "$(json application <"$TEST_TMP/figures.json")"
        says 'all well'
        expect 0 "$FIRESTEEL" local down --name demo
        ran=$((ran + 1))
done
[ $ran -gt 0 ] || skip "no PySpark is installed (tools/setup run 4.1 3.5)"
