#!/usr/bin/env bash
# Looking after applications: ls, status, logs and kill on pods that carry Spark's labels. What is in them is a shell, so that restarts, failures and many lines come
# when they are wanted. (With real Spark: client_mode.sh, spark_demo.sh and the node tests of tests/cluster.)
# timeout: 300
. "$(dirname "$0")/lib.sh"
need_kubectl
expect 0 "$FIRESTEEL" local up -q
export KUBECONFIG
KUBECONFIG=$("$FIRESTEEL" local kubeconfig)
for ns in team-a team-b; do kubectl create namespace $ns >/dev/null; done

# pod NAMESPACE NAME ROLE ID RESTART COMMAND
pod() {
        kubectl apply -f - >/dev/null <<Y
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "$2", "namespace": "$1", "labels": {"spark-role": "$3", "spark-app-selector": "$4",
   "spark-app-name": "${2%-driver}", "spark-exec-id": "${2##*-}", "spark-version": "4.1.4"}},
 "spec": {"restartPolicy": "$5", "terminationGracePeriodSeconds": 1, "containers": [{"name": "spark-kubernetes-$3", "image": "busybox", "command": ["sh", "-c", "$6"],
   "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]}}
Y
}
running() { [ "$(kubectl get pod -n "$1" "$2" -o jsonpath='{.status.phase}')" = Running ]; }
phase() { [ "$(kubectl get pod -n "$1" "$2" -o jsonpath='{.status.phase}')" = "$3" ]; }
logged() { kubectl logs -n "$1" "$2" | grep "$3" >/dev/null; }

wait_for_go='i=0; while [ ! -e /tmp/go ]; do sleep 0.1; done'
pod team-a pi-driver driver spark-aaa Never "echo pi line 1; echo pi line 2; echo pi line 3; $wait_for_go; echo pi went; sleep 1000"
pod team-a pi-exec-1 executor spark-aaa Never "echo exec one; sleep 1000"
pod team-a pi-exec-2 executor spark-aaa Never "echo exec two; sleep 1000"
pod team-a etl-driver driver spark-bbb Never "echo etl; sleep 1000"
pod team-b pi-driver driver spark-ccc Never "echo other pi; sleep 1000"
pod team-b bad-driver driver spark-ddd Never "echo about to fail; exit 7"
pod team-b again-driver driver spark-eee OnFailure "if [ -e /again/x ]; then echo second life; sleep 1000; fi; echo first life; exit 3"
for p in team-a/pi-driver team-a/pi-exec-1 team-a/pi-exec-2 team-a/etl-driver team-b/pi-driver; do eventually 60 running "${p%/*}" "${p#*/}"; done
eventually 60 phase team-b bad-driver Failed
eventually 30 logged team-a pi-driver "pi line 3"
eventually 30 logged team-a pi-exec-1 "exec one"
eventually 30 logged team-a pi-exec-2 "exec two"

# --- ls
expect 0 "$FIRESTEEL" ls -A -o name
for name in team-a:pi-driver team-a:etl-driver team-b:pi-driver team-b:bad-driver; do says "$name"; done
expect 0 "$FIRESTEEL" ls -n team-a -o json
[ "$(json .0.namespace <<<"$out")" = team-a ] || fail "the list of one namespace"
says_not team-b
expect 0 "$FIRESTEEL" ls -A --active
says_not bad-driver
expect 0 "$FIRESTEEL" ls -n team-a
[[ $out == *NAME*STATE* ]] || [[ $out == *Name*State* ]] || fail "no heading"
# Watching: the heading once, a change as a line of its own.
"$FIRESTEEL" ls -n team-b -w >"$TEST_TMP/watched" 2>&1 &
watcher=$!
eventually 30 grep -q pi-driver "$TEST_TMP/watched"
pod team-b late-driver driver spark-fff Never "sleep 1000"
eventually 30 grep -q late-driver "$TEST_TMP/watched"
kill -INT $watcher
wait $watcher || true
[ "$(grep -ci '^\(namespace\|name\)' "$TEST_TMP/watched")" = 1 ] || fail "headings while watching: $(cat "$TEST_TMP/watched")"

# --- status
expect 0 "$FIRESTEEL" status -n team-a pi-driver
says pi-exec-1
says pi-exec-2
expect 0 "$FIRESTEEL" status -n team-b spark-ddd
says "exit code 7"
expect 0 "$FIRESTEEL" status team-b:bad-driver -o json
expect 3 "$FIRESTEEL" status -n team-a nobody

# --- logs
expect 0 "$FIRESTEEL" logs -n team-a pi-driver
says "pi line 1"
expect 0 "$FIRESTEEL" logs -n team-a --tail 1 pi-driver
says "pi line 3"
says_not "pi line 2"
expect 0 "$FIRESTEEL" logs -n team-a -e 2 pi-driver
says "exec two"
says_not "exec one"
expect 0 "$FIRESTEEL" logs -n team-a -e all pi-driver
[[ $out == *exec-1*"exec one"* && $out == *exec-2*"exec two"* ]] || fail "lines of executors are told apart by a prefix"
expect 0 "$FIRESTEEL" logs -n team-a --since 1h pi-driver
says "pi line 1"
"$FIRESTEEL" logs -n team-a -f pi-driver >"$TEST_TMP/followed" 2>&1 &
follower=$!
eventually 30 grep -q "pi line 3" "$TEST_TMP/followed"
kubectl exec -n team-a pi-driver -- touch /tmp/go
eventually 30 grep -q "pi went" "$TEST_TMP/followed"
# The server is killed and comes back: following goes on, no line comes twice.
kill -KILL "$(server_pid)"
expect 0 "$FIRESTEEL" local up -q
kubectl exec -n team-a pi-driver -- sh -c 'echo after the crash >/proc/1/fd/1'
eventually 60 grep -q "after the crash" "$TEST_TMP/followed"
for line in "pi line 1" "pi went" "after the crash"; do
        [ "$(grep -c "$line" "$TEST_TMP/followed")" = 1 ] || fail "once: $line: $(cat "$TEST_TMP/followed")"
done
kill -INT $follower
wait $follower || true
restarted() { [ "$(kubectl get pod -n team-b again-driver -o jsonpath='{.status.containerStatuses[0].restartCount}')" -ge 1 ]; }
eventually 60 restarted
expect 0 "$FIRESTEEL" logs -n team-b -p again-driver
says "first life"

# --- kill
expect 3 "$FIRESTEEL" kill -n team-a nobody
expect 0 "$FIRESTEEL" kill -n team-a --dry-run 'pi*'
says pi-driver
running team-a pi-driver || fail "a dry run killed"
expect 0 "$FIRESTEEL" kill -n team-a --wait 'pi*'
eventually 30 bash -c '! kubectl get pod -n team-a pi-driver'
running team-a etl-driver || fail "the pattern took another application"
running team-b pi-driver || fail "the pattern crossed into another namespace"
expect 0 "$FIRESTEEL" kill -A --wait '*-driver'
[ "$(kubectl get pods -A -l spark-role=driver -o name)" = pod/bad-driver ] || fail "what has ended stays, the others go"
