#!/usr/bin/env bash
# A caller that was not written here: Airflow's SparkSubmitOperator runs jobs through build/spark-submit on the embedded cluster. It finds the driver's pod and
# its exit code in what spark-submit prints, and ends both when it is told to.
# timeout: 900
. "$(dirname "$0")/../integration/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
f=$FIRESTEEL
airflow=${AIRFLOW_PYTHON:-${FIRESTEEL_CACHE:-$HOME/.cache/firesteel}/airflow/bin/python}
[ -x "$airflow" ] || skip "Airflow is not here: tools/setup callers installs it"
spark=${SPARK_HOME_4_1:-}
[ -d "$spark/jars" ] || skip "no Spark 4.1 is here (SPARK_HOME_4_1)"
expect 0 "$f" local up -q --spark-home "$spark"
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
KUBECONFIG=$("$f" local kubeconfig)
export KUBECONFIG
server=$("$f" local status -o json | json .server)
expect 0 "$f" rbac -n default --service-account spark --apply
version=$(basename "$spark"/jars/spark-core_*.jar .jar)
export IMAGE=apache/spark:${version##*-} AIRFLOW_HOME=$TEST_TMP/airflow AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__KUBERNETES_EXECUTOR__IN_CLUSTER=False
mkdir -p "$TEST_TMP/bin"
ln -s "$(readlink -f "${SPARK_SUBMIT:-$(dirname "$f")/spark-submit}")" "$TEST_TMP/bin/spark-submit"
ln -s "$f" "$TEST_TMP/bin/firesteel"
export PATH=$TEST_TMP/bin:$PATH
unset SPARK_HOME
[ "$(readlink -f "$(command -v spark-submit)")" = "$f" ] || fail "another spark-submit comes first"

run() { # WHAT -> $answer
        code=0
        "$airflow" "$here/airflow_operator.py" "$1" "$server" >"$TEST_TMP/$1.out" 2>"$TEST_TMP/$1.err" || code=$?
        answer=$(tail -n 1 "$TEST_TMP/$1.out")
        out="$answer $(tail -n 40 "$TEST_TMP/$1.err")"
        [ $code = 0 ] || fail "Airflow ended with $code"
}
field() { json ".$1" <<<"$answer"; }
state_of() { "$f" status "$1" -o json | json .state; }

succeed() {
        run succeed
        [ "$(field raised)" = None ] || fail "the operator did not take it for a success"
        [ "$(field exit_code)" = 0 ] || fail "it did not find the exit code"
        [[ $(field pod) == airflow-succeed-*-driver ]] || fail "it did not find the driver's pod"
        [[ $(field application) == spark-* ]] || fail "it did not find the application's id"
        [ "$(state_of "$(field pod)")" = Succeeded ] || fail "the application did not succeed"
        "$f" logs "$(field pod)" 2>/dev/null | grep 'Pi is roughly 3' >/dev/null || fail "it did not compute"
}
fails() {
        run fail
        [[ $(field raised) == *Exception* ]] || fail "the operator did not take it for a failure"
        [ "$(field exit_code)" = 1 ] || fail "it did not find the exit code of the driver"
        [ "$(state_of "$(field pod)")" = Failed ] || fail "the application did not fail"
}
gone() { ! "$f" status "$1" || [ "$(state_of "$1")" != Running ]; }
kills() {
        run kill
        [ "$(field ended)" = true ] || fail "the operator waits on after on_kill"
        ended "$(field process)" || fail "spark-submit goes on after on_kill"
        eventually 60 gone "$(field pod)"
}
for part in "${@:-succeed fails kills}"; do
        for one in $part; do $one; done
done
