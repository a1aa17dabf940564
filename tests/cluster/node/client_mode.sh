#!/usr/bin/env bash
# submit --deploy-mode client to a real cluster: the driver on this machine, two executors in pods, which reach it by the Service that firesteel makes. By an
# account with the Roles that firesteel prints and what docs/client-mode.md names for the proxy. Nothing is left behind.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
need_image 4.1
n=client-mode
own_namespace $n
rights $n
# As docs/client-mode.md says: the driver runs by the submitter's credentials.
kubectl -n $n create rolebinding sender-drives --role=spark-driver --serviceaccount=$n:sender >/dev/null
kubectl -n $n create role proxy --verb=create,get,list,patch,delete --resource=services >/dev/null
kubectl -n $n create rolebinding proxy --role=proxy --serviceaccount=$n:sender >/dev/null
kubectl -n $n create role proxy-slices --verb=create,delete --resource=endpointslices.discovery.k8s.io >/dev/null
kubectl -n $n create rolebinding proxy-slices --role=proxy-slices --serviceaccount=$n:sender >/dev/null

cat >"$TEST_TMP/app.py" <<'P'
from pyspark.sql import SparkSession
import socket, time
spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
hosts, until = set(), time.time() + 200
while len(hosts) < 2 and time.time() < until:
    hosts |= set(sc.range(0, 64, 1, 8).mapPartitions(lambda rows: [(sum(rows), time.sleep(0.2))] and [socket.gethostname()]).collect())
broadcast = sc.broadcast(list(range(300000)))
total = sc.range(0, 1000, 1, 4).map(lambda n: broadcast.value[n] * 2).reduce(lambda a, b: a + b)
big = len(sc.range(0, 2, 1, 2).map(lambda n: "x" * 3000000).collect()[1])
print("EXECUTORS", len(hosts), "TOTAL", total, "BIG", big)
spark.stop()
P
mkdir -p "$TEST_TMP/tmp"
SPARK_HOME=$spark_home TMPDIR=$TEST_TMP/tmp expect 0 timeout 1000 "$FIRESTEEL" submit --deploy-mode client -n $n --kubeconfig "$sender" -c spark.kubernetes.container.image="$image" \
        -c spark.executor.instances=2 -c spark.executor.memory=512m -c spark.kubernetes.executor.request.cores=100m -c spark.ui.showConsoleProgress=false "$TEST_TMP/app.py"
says 'EXECUTORS 2 TOTAL 999000 BIG 3000000'
for id in 1 2; do grep -qE "Registered executor .* with ID $id," <<<"$out" || fail "executor $id did not register"; done
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods,services,endpointslices,configmaps -o name | grep -v kube-root-ca)\" ]"
[ -z "$(find "$TEST_TMP/tmp" -name 'firesteel-client-*')" ] || fail "credentials were left behind"
no_refusals $n:sender
