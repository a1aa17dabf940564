# What the tests on a real node share, beside tests/cluster/control/lib.sh. The first of them gives the node its images.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../control/lib.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)

# need_image VERSION: 4.1 or 3.5; $spark_home, $spark_version and $image are set
need_image() {
        local variable=SPARK_HOME_${1/./_} homes=()
        spark_home=${!variable:-}
        [ -d "$spark_home/jars" ] || skip "no Spark $1 here (tools/setup run $1)"
        spark_version=$(basename "$spark_home"/jars/spark-core_*.jar .jar)
        spark_version=${spark_version##*-}
        image=apache/spark:$spark_version
        if [ ! -e "$CLUSTER_DIR/has-images" ]; then
                for variable in SPARK_HOME_4_1 SPARK_HOME_3_5; do [ ! -d "${!variable:-}/jars" ] || homes+=("${!variable}"); done
                "$root/tests/cluster/image" spark "$TEST_TMP/spark.tar" "${homes[@]}"
                "$root/tests/cluster/one-node" image "$CLUSTER_DIR" "$TEST_TMP/spark.tar"
                rm -f "$TEST_TMP/spark.tar"
                touch "$CLUSTER_DIR/has-images"
        fi
}

# rights NAMESPACE [OPTIONS]: the service account of drivers with exactly the Role that firesteel prints, and an account "sender" that may submit
rights() {
        expect 0 "$FIRESTEEL" rbac -n "$1" --submitter "serviceaccount:$1:sender" "${@:2}" --apply
        kubectl -n "$1" create serviceaccount sender >/dev/null
        sender=$(kubeconfig_of "sender-$1" "\"token\": \"$(kubectl -n "$1" create token sender --duration=2h)\"")
        # The server's authorizer learns of the binding by a watch.
        eventually 30 kubectl --kubeconfig "$sender" -n "$1" auth can-i create pods -q
}
# What every application here is submitted with
small=(-c spark.kubernetes.driver.connectionTimeout=120000 -c spark.kubernetes.driver.requestTimeout=120000
        -c spark.kubernetes.authenticate.driver.serviceAccountName=spark -c spark.driver.memory=512m -c spark.executor.memory=512m
        -c spark.kubernetes.driver.request.cores=100m -c spark.kubernetes.executor.request.cores=100m -c spark.ui.showConsoleProgress=false)

# explain NAMESPACE: what is in it, for a test that failed
explain() {
        kubectl -n "$1" get events,pods,persistentvolumeclaims 2>&1 | cut -c1-160 | tail -n 12
        local pod
        for pod in $(kubectl -n "$1" get pods -l spark-role=driver -o name); do
                echo "--- the end of $pod's log"
                kubectl -n "$1" logs --tail 8 "$pod" 2>&1 | cut -c1-250
        done
}

# granted ROLE NAMESPACE: the same of a Role
granted() {
        kubectl -n "$2" get role "$1" -o json | python3 -c 'import json, sys
print("\n".join(sorted(v + " " + r for rule in json.load(sys.stdin)["rules"] for r in rule["resources"] for v in rule["verbs"])))'
}
