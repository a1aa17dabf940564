#!/usr/bin/env bash
# /opt/decom.sh of Spark's image, the preStop hook of executors that are to be decommissioned: tells the executor and waits until it has left.
# timeout: 200
. "$(dirname "$0")/lib.sh"
need_kubectl
for version in 4_1 3_5; do
        variable=SPARK_HOME_$version
        [ -z "${!variable:-}" ] || break
done
[ -n "${!variable:-}" ] || skip "no PySpark is installed (tools/setup run 4.1 3.5)"
expect 0 "$FIRESTEEL" local up -q
[ "$("$FIRESTEEL" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$FIRESTEEL" local status -o json | json .isolation.summary)"
pod() { # NAME; the script of its container comes on standard input
        k create configmap "$1" --from-file=run=/dev/stdin >/dev/null
        k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 100
  volumes: [{name: script, configMap: {name: $1}}]
  containers:
  - name: spark-kubernetes-executor
    image: firesteel/spark:${version/_/.}
    command: [bash, /script/run]
    volumeMounts: [{name: script, mountPath: /script}]
    lifecycle: {preStop: {exec: {command: [/opt/decom.sh]}}}
Y
        k wait --for=condition=Ready "pod/$1" --timeout=180s >/dev/null || fail "pod $1: $(k describe pod "$1" | tail -n 20)"
        k logs -f "$1" >"$TEST_TMP/$1.log" &
        follower=$!
        eventually 20 grep -q ready "$TEST_TMP/$1.log"
}

# What looks like an executor is a process named java with the class among its arguments. It goes by itself when it is told: nobody ends it,
# and nobody takes the programs that it starts for it.
pod executor <<'S'
cat >/tmp/main <<'M'
trap 'echo told; sleep 0.5; echo left; exit 0' PWR
echo ready
while :; do sleep 0.001; done
M
(exec -a /any/bin/java bash /tmp/main org.apache.spark.executor.CoarseGrainedExecutorBackend) &
trap 'echo ended' TERM
wait $!
S
expect 0 k delete pod executor --timeout=180s
wait $follower || true
[[ $(cat "$TEST_TMP/executor.log") == $'ready\ntold\nleft'* ]] || fail "the executor's log: $(cat "$TEST_TMP/executor.log")"

# Nothing to tell: the hook says so, and the container is ended as any other.
pod none <<'S'
trap 'echo ended; exit 0' TERM
echo ready
while :; do sleep 0.1; done
S
expect 0 k delete pod none --timeout=180s
wait $follower || true
[ "$(cat "$TEST_TMP/none.log")" = $'ready\nended' ] || fail "the other's log: $(cat "$TEST_TMP/none.log")"
is_said() { k get events -o 'jsonpath={.items[*].message}' --field-selector involvedObject.name=none,reason=FailedPreStopHook | grep 'no executor runs in this container'; }
eventually 20 is_said
