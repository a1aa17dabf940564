#!/usr/bin/env bash
# The Role that `firesteel rbac --submitter` prints is enough, and none of it can go: an account that has exactly it submits (with everything a submission can
# have), looks, waits, kills and is refused by a quota without leaving anything; then each verb is taken away in turn, and something fails that names it, or (watching
# and events, without which there are slower and poorer ways) the server's audit log shows that it was asked for and refused.
# timeout: 600
. "$(dirname "$0")/lib.sh"
n=rights-$RANDOM
own_namespace $n
expect 0 "$FIRESTEEL" rbac -n $n --submitter serviceaccount:$n:sender --apply
kubectl -n $n create serviceaccount sender >/dev/null
sender=$(kubeconfig_of sender "\"token\": \"$(kubectl -n $n create token sender --duration=1h)\"")
# The server's authorizer learns of the binding by a watch.
eventually 30 kubectl --kubeconfig "$sender" -n $n auth can-i create pods -q
claim=spark.kubernetes.driver.volumes.persistentVolumeClaim.data

# What a submitter does; each line is "name: exit code and output" in $TEST_TMP/did
as_sender() { # NAME WANTED COMMAND OPTIONS...
        local name=$1 wanted=$2 code=0 output
        shift 2
        output=$(timeout 60 "$FIRESTEEL" "$1" -n $n --kubeconfig "$sender" "${@:2}" 2>&1 </dev/null) || code=$?
        [ "$wanted" = any ] || [ $code = "$wanted" ] || output="exit code $code instead of $wanted: $output" wanted=
        [ "$wanted" ] && [[ $output != *'cannot '*' resource '* ]] || echo "$name: $output" >>"$TEST_TMP/failed"
}
everything() {
        : >"$TEST_TMP/failed"
        # A Service, ConfigMaps, a Secret (credentials for the driver), a claim made on demand.
        as_sender submit 0 submit --no-wait --name all -c spark.kubernetes.container.image=$image -c spark.kubernetes.driver.pod.name=all \
                -c spark.kubernetes.authenticate.driver.oauthToken=secret \
                -c $claim.options.claimName=OnDemand -c $claim.options.storageClass=none -c $claim.options.sizeLimit=1Gi -c $claim.mount.path=/data local:///opt/spark/pi.py
        as_sender wait 4 submit --timeout 1s --name waits -c spark.kubernetes.container.image=$image -c spark.kubernetes.driver.pod.name=waits local:///opt/spark/pi.py
        as_sender ls 0 ls
        as_sender status 0 status all
        # No node runs it; it says that it does, so that its log is asked for.
        kubectl -n $n patch pod all --subresource=status --type=merge -p '{"status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [
                {"name": "spark-kubernetes-driver", "image": "x", "imageID": "x", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}}' >/dev/null 2>&1 || true
        as_sender logs any logs all
        # Refused by the server (there is a pod of that name) when everything else is made: all of it is taken back.
        as_sender refused 1 submit --no-wait --name refused -c spark.kubernetes.container.image=$image -c spark.kubernetes.driver.pod.name=all \
                -c spark.kubernetes.authenticate.driver.oauthToken=secret \
                -c $claim.options.claimName=OnDemand -c $claim.options.storageClass=none -c $claim.options.sizeLimit=1Gi -c $claim.mount.path=/data local:///opt/spark/pi.py
        # Why it failed is in its events, too.
        kubectl -n $n patch pod waits --subresource=status --type=merge -p '{"status": {"phase": "Failed", "reason": "Evicted", "message": "it was too large"}}' >/dev/null 2>&1 || true
        as_sender why 0 status waits
        as_sender kill 0 kill --wait all waits
        # Executors whose driver is gone have their label alone.
        kubectl -n $n run lost-exec-1 --image=$image --labels=spark-app-selector=spark-lost,spark-role=executor >/dev/null 2>&1 || true
        as_sender orphans 0 kill spark-lost
        kubectl -n $n delete pods --all --now >/dev/null 2>&1
        eventually 30 sh -c "[ -z \"\$(kubectl -n $n get pods -o name)\" ]"
}
nothing_of_ours() { [ -z "$(left $n)" ]; }
everything
[ ! -s "$TEST_TMP/failed" ] || fail "the Role is not enough: $(cat "$TEST_TMP/failed")"
no_refusals $n:sender
eventually 30 nothing_of_ours

# Each verb in turn
role() { kubectl -n $n get role spark-submitter -o json; }
role >"$TEST_TMP/role.json"
verbs=$(python3 -c 'import json,sys
for rule in json.load(open(sys.argv[1]))["rules"]:
    for resource in rule["resources"]:
        for verb in rule["verbs"]: print(verb, resource)' "$TEST_TMP/role.json")
count=0 spare=()
while read -r verb resource; do
        python3 - "$TEST_TMP/role.json" "$verb" "$resource" <<'P' | kubectl -n $n replace -f - >/dev/null
import json, sys
role = json.load(open(sys.argv[1]))
role["metadata"] = {k: role["metadata"][k] for k in ("name", "namespace")}
for rule in role["rules"]:
    if rule["resources"] == [sys.argv[3]]:
        rule["verbs"].remove(sys.argv[2])
role["rules"] = [r for r in role["rules"] if r["verbs"]]
print(json.dumps(role))
P
        # The server's authorizer learns of it by a watch.
        eventually 30 sh -c "! kubectl --kubeconfig '$sender' -n $n auth can-i $verb $(sed 's|\(.*\)/\(.*\)|\1 --subresource=\2|' <<<"$resource") -q"
        everything
        grep -q "cannot $verb resource \"$resource\"" "$TEST_TMP/failed" || used "$n:sender" | grep -x "REFUSED $verb $resource" >/dev/null || spare+=("$verb $resource: $(cut -c1-300 "$TEST_TMP/failed")")
        echo "without $verb $resource: $(sed -n 's/^\([a-z]*\): .*cannot .*/\1/p' "$TEST_TMP/failed" | sort -u | paste -sd' ')"
        kubectl -n $n delete services,configmaps,secrets,persistentvolumeclaims --all --wait=false >/dev/null 2>&1
        count=$((count + 1))
done <<<"$verbs"
[ ${#spare[@]} = 0 ] || fail "granted, but nothing that names it fails without it: ${spare[*]}"
echo "$count verbs, none to spare"
