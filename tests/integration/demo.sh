#!/usr/bin/env bash
# What README promises, small: a real PySpark job in cluster mode, driver and two executor pods, its output checked; Spark 4.1 and 3.5.
# timeout: 900
# alone: yes
. "$(dirname "$0")/lib.sh"
command -v crun >/dev/null || command -v runc >/dev/null || skip "neither crun nor runc is here"
ran=0
for version in 4.1 3.5; do
        home=SPARK_HOME_${version/./_}
        [ -n "${!home:-}" ] || continue
        expect 0 timeout 420 "$here/../../tools/demo" --firesteel "$FIRESTEEL" --spark "$version" --megabytes 5 --work "$TEST_TMP/demo-$version" --down
        says 'correct:'
        says 'read back and equal'
        ls "$TEST_TMP/demo-$version"/events/* >/dev/null 2>&1 || fail "no event log outlived the pods of Spark $version"
        ran=$((ran + 1))
done
[ $ran -gt 0 ] || skip "no Spark here (SPARK_HOME_4_1, SPARK_HOME_3_5)"
