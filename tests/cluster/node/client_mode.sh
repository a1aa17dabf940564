#!/usr/bin/env bash
# submit --deploy-mode client to a real cluster: the driver on this machine, two executors in pods, which reach it by the Service that firesteel makes. By an
# account with exactly the Roles of `firesteel rbac --submitter --client-mode`. Nothing is left behind.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
need_image 4.1
n=client-mode
own_namespace $n
rights $n --client-mode
mkdir -p "$TEST_TMP/tmp"
SPARK_HOME=$spark_home TMPDIR=$TEST_TMP/tmp expect 0 timeout 1000 "$FIRESTEEL" submit --deploy-mode client -n $n --kubeconfig "$sender" -c spark.kubernetes.container.image="$image" \
        -c spark.kubernetes.driver.connectionTimeout=120000 -c spark.kubernetes.driver.requestTimeout=120000 \
        -c spark.executor.instances=2 -c spark.executor.memory=512m -c spark.kubernetes.executor.request.cores=100m -c spark.sql.shuffle.partitions=4 -c spark.ui.showConsoleProgress=false "$root/tests/apps/two_executors.py"
says 'EXECUTORS 2 TOTAL 999000 BIG 3000000 ROWS 10000'
for id in 1 2; do grep -qE "Registered executor .* with ID $id," <<<"$out" || fail "executor $id did not register"; done
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods,services,endpointslices,configmaps -o name | grep -v kube-root-ca)\" ]"
[ -z "$(find "$TEST_TMP/tmp" -name 'firesteel-client-*')" ] || fail "credentials were left behind"
# Those who may delete slices do that at once; for others, as here, it goes with its Service.
[ "$(used $n:sender | grep REFUSED)" = 'REFUSED delete endpointslices' ] || fail "refused: $(used $n:sender | grep REFUSED)"
