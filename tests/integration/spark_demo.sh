#!/usr/bin/env bash
# A real PySpark application in cluster mode with two executors, with every Spark that is installed: what `make demo` shows, on less data. The
# answer is compared with the generator's inside the demo.
# timeout: 900
. "$(dirname "$0")/lib.sh"
ran=0
for version in 4.1 3.5; do
        variable=SPARK_HOME_${version/./_}
        [ -n "${!variable:-}" ] || continue
        expect 0 "$here/../../tools/demo" --firesteel "$FIRESTEEL" --spark $version --megabytes 5 --work "$TEST_TMP/demo" --json "$TEST_TMP/figures.json" --down
        says correct
        says 'driver JVM'
        [ "$(find "$TEST_TMP/demo/out/revenue" -name '*.parquet' | wc -l)" -ge 1 ] || fail "no Parquet was written"
        [ -n "$(ls "$TEST_TMP/demo/events")" ] || fail "no event log outlived the pods"
        ran=$((ran + 1))
done
[ $ran -gt 0 ] || skip "no PySpark is installed (tools/setup run 4.1 3.5)"
