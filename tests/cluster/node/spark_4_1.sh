#!/usr/bin/env bash
# The job of `make demo` in cluster mode with two executors, by an account that has exactly the submitter's Role, the driver with exactly the driver's: read,
# join, count, write Parquet, read back. The answer is compared with the generator's, what was asked of the API server with what was granted.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
line=$(basename "$0" .sh)
need_image "$(tr _ . <<<"${line#spark_}")"
n=job-${line//_/-}
own_namespace "$n"
rights "$n"
work=$TEST_TMP/demo
mkdir -p "$work/out" "$work/events"
chmod 1777 "$work/out" "$work/events"
chmod 755 "$TEST_TMP" "$work"
python3 "$root/demo/generate.py" "$work/data" 5 >/dev/null
cp "$root/demo/job.py" "$work/job.py"
volumes=()
for role in driver executor; do
        volumes+=(-c spark.kubernetes.$role.volumes.hostPath.demo.mount.path=/demo -c spark.kubernetes.$role.volumes.hostPath.demo.options.path="$work")
done

before=$(date +%s%N)
expect 0 "$FIRESTEEL" submit -n "$n" --kubeconfig "$sender" --name coffee --follow --timeout 15m -c spark.kubernetes.container.image="$image" "${small[@]}" "${volumes[@]}" \
        -c spark.executor.instances=2 -c spark.scheduler.minRegisteredResourcesRatio=1.0 -c spark.sql.shuffle.partitions=4 \
        -c spark.eventLog.enabled=true -c spark.eventLog.compress=false -c spark.eventLog.rolling.enabled=false -c spark.eventLog.dir=file:///demo/events local:///demo/job.py /demo/data /demo/out
echo "Spark $spark_version: submission to the end $((($(date +%s%N) - before) / 1000000)) ms"
says 'Best countries'
says 'coffee succeeded'
for id in 1 2; do grep -qE "Registered executor .* with ID $id," <<<"$out" || fail "executor $id did not register"; done
python3 - "$work/out/result.json" "$work/data/expected.json" <<'P' || fail "the job's answer is wrong"
import json, sys
result, expected = (json.load(open(p)) for p in sys.argv[1:])
for key in ("rows", "revenueCents", "words"):
    assert result[key] == expected[key], key
P
[ "$(find "$work/out/revenue" -name '*.parquet' | wc -l)" -ge 1 ] || fail "no Parquet was written"
[ -n "$(ls "$work/events")" ] || fail "no event log outlived the pods"
driver=$(kubectl -n "$n" get pods -l spark-role=driver -o 'jsonpath={.items[0].metadata.name}')
expect 0 "$FIRESTEEL" status -n "$n" --kubeconfig "$sender" coffee
says Succeeded
expect 0 "$FIRESTEEL" logs -n "$n" --kubeconfig "$sender" "$driver"
says 'Best countries'
expect 0 "$FIRESTEEL" ls -n "$n" --kubeconfig "$sender"
says coffee

# Rights: nothing was asked for that was not granted.
for account in spark sender; do no_refusals "$n:$account"; done
# The end: executors are gone; with the driver goes all that belongs to it.
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods -l spark-role=executor -o name)\" ]"
expect 0 "$FIRESTEEL" kill -n "$n" --kubeconfig "$sender" --wait coffee
eventually 60 sh -c "[ -z \"\$(kubectl -n $n get pods,services,configmaps -o name | grep -v kube-root-ca)\" ]"
echo "granted but not used by this driver: $(comm -23 <(granted spark-driver "$n") <(used "$n:spark") | paste -sd,)"
