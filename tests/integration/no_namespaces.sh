#!/usr/bin/env bash
# Where neither root nor user namespaces are to be had: the API serves, pods stay Pending, and the reason with its remedy is told.
# Simulated by a user namespace in which no further one may be made.
# timeout: 120
if [ -z "${NO_NAMESPACES:-}" ]; then
        here=$(cd "$(dirname "$0")" && pwd)
        unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces' 2>/dev/null || { echo "user namespaces may not be made here, or not be limited"; exit 77; }
        NO_NAMESPACES=1 exec unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0"' "$here/$(basename "$0")"
fi
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up
says 'pods cannot run'
says 'ordinary users may not make user namespaces here'
says 'max_user_namespaces'
expect 0 "$f" local status
says 'pods cannot run'
[ "$("$f" local status -o json | json .isolation.possible)" = false ] || fail "pods are said to be possible"

# The API is whole.
expect 0 k create configmap c --from-literal=a=b
expect 0 k get nodes
expect 0 k run waits --image=busybox --restart=Never -- true
told() { k describe pod waits | grep 'Pods cannot run on this machine: .*max_user_namespaces' >/dev/null; }
eventually 30 told
[ "$(k get pod waits -o jsonpath='{.status.phase}')" = Pending ] || fail "the pod is $(k get pod waits -o jsonpath='{.status.phase}')"
expect 0 k delete pod waits --timeout=180s
expect 0 "$f" local down
