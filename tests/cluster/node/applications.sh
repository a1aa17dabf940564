#!/usr/bin/env bash
# Looking after applications on a real cluster, by an account with exactly the submitter's Role: ls, status, logs -f while one runs, kill with all that belongs
# to it, a failure with its reason and exit code, image names that lead nowhere. Executors have volumes on demand, so that the driver uses all it was granted.
# timeout: 1500
. "$(dirname "$0")/lib.sh"
need_image 4.1
n=applications
own_namespace $n
rights $n
chmod 755 "$TEST_TMP"
mkdir -m 777 "$TEST_TMP/work" "$TEST_TMP/volumes"

# Volumes for the executors' claims: on the node, as a local provisioner would make them
for i in 1 2 3; do
        mkdir -m 777 "$TEST_TMP/volumes/$i"
        kubectl apply -f - >/dev/null <<Y
{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "$n-$i"}, "spec": {"storageClassName": "$n", "capacity": {"storage": "20Mi"},
 "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "$TEST_TMP/volumes/$i"}, "persistentVolumeReclaimPolicy": "Retain"}}
Y
done
remove_volumes() {
        set +e
        [ "$1" = 0 ] || [ "$1" = 77 ] || explain $n
        kubectl delete persistentvolume $n-1 $n-2 $n-3 --wait=false >/dev/null 2>&1 || true
        (exit "$1")
        remove_namespaces
}
trap 'remove_volumes $?' EXIT

cat >"$TEST_TMP/work/wait.py" <<'P'
import os, sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("COUNT", spark.range(1000).repartition(4).count(), flush=True)
while not os.path.exists("/work/" + sys.argv[1]):
    time.sleep(0.2)
print("SEEN", sys.argv[1], flush=True)
if sys.argv[1] == "fail":
    raise ValueError("as it was told")
# One executor fewer: the driver deletes its pod.
spark.sparkContext._jsc.sc().killExecutor("1")
while not os.path.exists("/work/over"):
    time.sleep(0.2)
spark.stop()
P
claim=spark.kubernetes.executor.volumes.persistentVolumeClaim.data
start_app() { # NAME ARGUMENT CONF...
        expect 0 "$FIRESTEEL" submit -n $n --kubeconfig "$sender" --no-wait --name "$1" -c spark.kubernetes.container.image="$image" "${small[@]}" \
                -c spark.kubernetes.driver.volumes.hostPath.work.mount.path=/work -c spark.kubernetes.driver.volumes.hostPath.work.options.path="$TEST_TMP/work" \
                "${@:3}" local:///work/wait.py "$2"
}
pods() { kubectl -n $n get pods -l "$1" -o 'jsonpath={range .items[*]}{.metadata.name}={.status.phase} {end}'; }
says_log() { grep -q "$1" "$TEST_TMP/$2.log" 2>/dev/null; }
follow() { # NAME
        "$FIRESTEEL" logs -f -n $n --kubeconfig "$sender" "$1" >"$TEST_TMP/$1.log" 2>&1 &
}

# --- one that runs
start_app one end -c spark.executor.instances=2 -c $claim.options.claimName=OnDemand -c $claim.options.storageClass=$n -c $claim.options.sizeLimit=10Mi \
        -c $claim.mount.path=/data -c $claim.mount.readOnly=false -c spark.kubernetes.legacy.useReadWriteOnceAccessMode=true
driver=${out##*:}
driver=$(tail -n 1 <<<"$driver")
eventually 300 sh -c "kubectl -n $n get pod $driver -o 'jsonpath={.status.phase}' | grep -q Running"
follow one
following=$!
eventually 400 says_log 'COUNT 1000' one
eventually 300 sh -c "[ \$(kubectl -n $n get pods -l spark-role=executor --field-selector status.phase=Running -o name | wc -l) = 2 ]"
expect 0 "$FIRESTEEL" ls -n $n --kubeconfig "$sender"
says one
says Running
expect 0 "$FIRESTEEL" ls -n $n --kubeconfig "$sender" -o json
[ "$(json items.0.executors.running <<<"$out" 2>/dev/null || json 0.executors.running <<<"$out")" = 2 ] || fail "ls counts other executors"
expect 0 "$FIRESTEEL" status -n $n --kubeconfig "$sender" one
says Running
says "$driver"
expect 0 "$FIRESTEEL" logs -n $n --kubeconfig "$sender" -e all --tail 5 one
says exec-1
runs $following || fail "logs -f ended while the application runs"
touch "$TEST_TMP/work/end"
eventually 300 sh -c "! kubectl -n $n get pods -l spark-exec-id=1 -o name | grep -q ."
touch "$TEST_TMP/work/over"
eventually 300 sh -c "kubectl -n $n get pod $driver -o 'jsonpath={.status.phase}' | grep -q Succeeded"
eventually 30 ended $following
wait $following || fail "logs -f ended with $?"
says_log 'SEEN end' one || fail "logs -f lost the end of the log"
expect 0 "$FIRESTEEL" status -n $n --kubeconfig "$sender" one
says Succeeded
rm "$TEST_TMP/work/end"

# The driver's Role is what a driver uses, verb by verb; nothing was refused.
used $n:spark >"$TEST_TMP/used"
no_refusals $n:spark
echo "used by the driver: $(paste -sd, "$TEST_TMP/used")"
# One is for what is not the default: spark.kubernetes.executor.deleteOnTermination=false labels pods.
unused=$(comm -23 <(granted spark-driver $n) "$TEST_TMP/used" | paste -sd,)
echo "granted but not used: $unused"
[ "$unused" = 'patch pods' ] || fail "granted, but not used by a driver: $unused"

# --- kill while it runs: driver, executors, service, configuration go
start_app two never -c spark.executor.instances=1
eventually 400 sh -c "[ \"\$(kubectl -n $n get pods -l spark-app-name=two,spark-role=executor --field-selector status.phase=Running -o name)\" ]"
before=$(date +%s%N)
expect 0 "$FIRESTEEL" kill -n $n --kubeconfig "$sender" --wait --grace 5s two
echo "killed in $((($(date +%s%N) - before) / 1000000)) ms"
[ -z "$(pods spark-app-name=two,spark-role=driver)" ] || fail "the driver is still there: $(pods spark-app-name=two)"
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods -l spark-app-name=two -o name)\" ]"
expect 0 "$FIRESTEEL" kill -n $n --kubeconfig "$sender" --wait one
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods,services,configmaps,persistentvolumeclaims -o name | grep -v kube-root-ca)\" ]"
expect 3 "$FIRESTEEL" kill -n $n --kubeconfig "$sender" two

# --- a failure: exit code, the reason
touch "$TEST_TMP/work/fail"
expect 1 "$FIRESTEEL" submit -n $n --kubeconfig "$sender" --name bad -c spark.kubernetes.container.image="$image" "${small[@]}" -c spark.executor.instances=1 \
        -c spark.kubernetes.driver.volumes.hostPath.work.mount.path=/work -c spark.kubernetes.driver.volumes.hostPath.work.options.path="$TEST_TMP/work" local:///work/wait.py fail
says 'application code failed'
expect 0 "$FIRESTEEL" status -n $n --kubeconfig "$sender" bad
says 'application code failed'
expect 0 "$FIRESTEEL" logs -n $n --kubeconfig "$sender" bad
says 'ValueError: as it was told'
# --- an image that nobody has
expect 0 "$FIRESTEEL" submit -n $n --kubeconfig "$sender" --no-wait --name lost -c spark.kubernetes.container.image=registry.invalid/none:1 local:///x.py
eventually 300 sh -c "kubectl -n $n get pods -l spark-app-name=lost -o json | grep -qE 'ErrImagePull|ImagePullBackOff'"
expect 0 "$FIRESTEEL" status -n $n --kubeconfig "$sender" lost
says registry.invalid/none:1

no_refusals $n:sender
echo "used by the submitter: $(used $n:sender | paste -sd,)"
