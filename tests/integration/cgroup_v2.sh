#!/usr/bin/env bash
# Limits by control groups of version 2, whatever this machine has: in a Linux that runs as a process here (user-mode Linux), with this machine's files,
# which it can only read. As root with crun and runc, and as an ordinary user in a delegated group.
# timeout: 800
. "$(dirname "$0")/lib.sh"
need_kubectl
command -v linux.uml >/dev/null || skip "user-mode Linux is not here (tools/setup test installs it where it is packaged)"
modules=/usr/lib/uml/modules
[ -d $modules ] || skip "user-mode Linux has no modules here"

cat >"$TEST_TMP/init" <<'G'
#!/bin/bash
# The first process in there: what goes wrong ends it, and with it the machine.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$KUBECTL_DIR NO_COLOR=1
trap 'echo "STOPPED at line $LINENO"; off' EXIT
off() { trap - EXIT; echo o >/proc/sysrq-trigger; sleep 100; }
fail() { echo "FAILED: $*"; tail -n 20 /run/*/state/firesteel/default/server.log; off; }
eventually() {
        local until=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $until ] || fail "did not become true: $*"
                sleep 0.3
        done
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=1000m,mode=755 tmpfs /run
mkdir -p /dev/pts /dev/shm /run/modules/lib
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s "$MODULES" /run/modules/lib/modules
for m in bridge veth overlay; do modprobe -d /run/modules $m; done
ip link set lo up
echo "CONTROLLERS $(cat /sys/fs/cgroup/cgroup.controllers)"
k() { kubectl --kubeconfig "$state/state/firesteel/default/kubeconfig" --cache-dir /run/kubecache "$@"; }
is() { [ "$(k get pod "$1" -o "jsonpath=$2")" = "$3" ]; }
group_of() { find "$base/firesteel" -type d -path "*$(k get pod "$1" -o 'jsonpath={.metadata.uid}')/c-0"; }
file_is() { [ "$(cat "$1/$2")" = "$3" ] || fail "$1/$2 is $(cat "$1/$2") instead of $3"; }

# limits NAME BASE COMMAND...: an instance below /run/NAME whose groups are below BASE; COMMAND runs the program.
limits() {
        state=/run/$1 base=$2
        shift 2
        "$@" local up -q
        "$@" local status | grep 'memory limits by the kernel, CPU limits by the kernel' >/dev/null || fail "no limits"
        k apply -f - <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: eats}
spec: {restartPolicy: Never, containers: [{name: c, image: python, command: [python3, -c, 'x = bytearray(200 << 20); print("survived")'], resources: {limits: {memory: 64Mi}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: looks}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sh, -c, 'cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max cpu.max; sleep 10000'],
  resources: {limits: {memory: 64Mi, cpu: 300m}, requests: {cpu: 200m}}}]}
Y
        eventually 120 is eats '{.status.containerStatuses[0].state.terminated.reason}' OOMKilled
        is eats '{.status.containerStatuses[0].state.terminated.exitCode}' 137 || fail "the exit code of what was killed"
        [ -z "$(k logs eats)" ] || fail "it ate more than its limit"
        eventually 120 is looks '{.status.phase}' Running
        local group
        group=$(group_of looks)
        file_is "$group" memory.max $((64 << 20))
        file_is "$group" cpu.max '30000 100000'
        file_is "$group" pids.max max
        [ "$(cat "$group/cpu.weight")" -lt 20 ] || fail "the weight is $(cat "$group/cpu.weight")"
        file_is "${group%/*}" cpu.weight "$(cat "$group/cpu.weight")"
        # The instance as a whole counts as the processors it has: one here.
        file_is "$base/firesteel/default" cpu.weight 39
        sees_itself() { [ "$(k logs looks)" = $'0::/\n67108864\n30000 100000' ]; }
        eventually 90 sees_itself
        [ "$base" = /sys/fs/cgroup ] || eventually 90 k top pod looks
        "$@" local down >/dev/null 2>&1
        [ ! -e "$base/firesteel" ] || fail "groups are left: $(find "$base/firesteel" -type d)"
        echo "PASSED ${state#/run/}"
}
as_root() { XDG_STATE_HOME=$state/state HOME=$state FIRESTEEL_RUNTIME=$runtime "$FIRESTEEL" "$@"; }
# What "systemd-run --user --scope -p Delegate=yes" makes.
delegated=/sys/fs/cgroup/delegated
mkdir $delegated /run/user
echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
chown 21347:21347 /run/user $delegated $delegated/cgroup.procs $delegated/cgroup.subtree_control $delegated/cgroup.threads
as_user() {
        (
                [ "$2" != up ] || echo $BASHPID >$delegated/cgroup.procs
                exec setpriv --reuid=21347 --regid=21347 --clear-groups env XDG_STATE_HOME=/run/user/state HOME=/run/user "$FIRESTEEL" "$@"
        )
}
limits user $delegated as_user
for runtime in crun runc; do
        command -v $runtime >/dev/null || { echo "SKIPPED $runtime"; continue; }
        mkdir /run/$runtime
        limits $runtime /sys/fs/cgroup as_root
done
echo "PASSED everything"
off
G
chmod 755 "$TEST_TMP" "$TEST_TMP/init"
# The ordinary user in there must be able to read the program.
install -m 755 "$FIRESTEEL" "$TEST_TMP/firesteel"
kubectl_dir=$(dirname "$(command -v kubectl)")
# Its memory is a file; small ones of containers in /dev/shm do not do.
roomy=/dev/shm
[ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 2200000 ] 2>/dev/null || roomy=$TEST_TMP
TMPDIR=$roomy nice linux.uml mem=2000M root=none rootfstype=hostfs rootflags=/ ro quiet con=null con0=null,fd:1 init="$TEST_TMP/init" MODULES=$modules KUBECTL_DIR="$kubectl_dir" \
        FIRESTEEL="$TEST_TMP/firesteel" >"$TEST_TMP/console" 2>&1 </dev/null &
machine=$!
wait $machine || true
out=$(cat "$TEST_TMP/console")
grep -q '^CONTROLLERS .*memory' "$TEST_TMP/console" || skip "user-mode Linux does not run here: $(tail -n 3 "$TEST_TMP/console" | tr '\n' ' ')"
says 'PASSED everything'
