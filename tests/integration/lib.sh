# What shell tests share: source it first. Run by tools/run-tests, or by hand: FIRESTEEL=build/firesteel tests/integration/x.sh
# shellcheck shell=bash
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${FIRESTEEL:=$here/../../build/firesteel}"
FIRESTEEL=$(readlink -f "$FIRESTEEL")
if [ -z "${TEST_TMP:-}" ]; then
        TEST_TMP=$(mktemp -d)
        export XDG_STATE_HOME=$TEST_TMP/state HOME=$TEST_TMP/home
fi
mkdir -p "$HOME"
# An address of this test's own: nobody else takes a port of it, however often its instances start again.
: "${FIRESTEEL_BIND:=127.$((RANDOM % 254 + 1)).$((RANDOM % 254 + 1)).$((RANDOM % 253 + 2))}"
export FIRESTEEL_BIND
export NO_COLOR=1 FIRESTEEL_IMAGES=${FIRESTEEL_IMAGES:-$TEST_TMP/images}
unset KUBECONFIG KUBERNETES_SERVICE_HOST
out= code=

fail() {
        echo "FAILED: $*"
        [ -z "$out" ] || printf 'last output:\n%s\n' "$out"
        exit 1
}
skip() {
        echo "$*"
        exit 77
}
# Runs a command; its output (both streams) is in $out, its exit code in $code.
try() {
        code=0
        out=$("$@" 2>&1 </dev/null) || code=$?
}
# expect CODE COMMAND...
expect() {
        local wanted=$1
        shift
        try "$@"
        [ "$code" = "$wanted" ] || fail "exit code $code instead of $wanted from: $*"
}
says() { [[ $out == *"$1"* ]] || fail "the output does not say: $1"; }
says_not() { [[ $out != *"$1"* ]] || fail "the output must not say: $1"; }
# A field of JSON on standard input: json .a.b
json() { python3 -c 'import json,sys
v=json.load(sys.stdin)
for k in sys.argv[1].strip(".").split("."):
    v=v[int(k)] if isinstance(v,list) else v.get(k,"")
print(v if not isinstance(v,bool) else str(v).lower())' "$1"; }
# Waits until a command succeeds: eventually 10 test -e x. SECONDS are what it may take on a machine of its own; among others it gets more.
eventually() {
        local until=$((SECONDS + ($1 > 20 ? $1 * 3 : 60)))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $until ] || fail "did not become true: $*"
                sleep 0.05
        done
}
server_pid() { "$FIRESTEEL" local status --name "${1:-default}" -o json 2>/dev/null | json .pid; }
# A zombie that nobody has waited for yet does not run.
runs() {
        local state
        state=$({ sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status"; } 2>/dev/null) || return 1
        [[ $state == [!ZX] ]]
}
ended() { ! runs "$1"; }
# Processes of this program that name an instance's directory, or work for it.
processes_of() { # DIR
        local p line
        for p in /proc/[0-9]*; do
                line=$({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) || continue
                if [[ $line == firesteel*"$1"* ]] && runs "${p#/proc/}"; then echo "${p#/proc/}: $line"; fi
        done
}
need_kubectl() {
        command -v kubectl >/dev/null || skip "kubectl is not here"
        export KUBECACHEDIR=$TEST_TMP/kubecache
}
# kubectl on an instance: k get pods
k() { kubectl --kubeconfig "$("$FIRESTEEL" local kubeconfig --name "${instance:-default}")" "$@"; }

clean_up() {
        local status=$? name job mine
        trap - EXIT
        if [ $status -ne 0 ] && [ $status -ne 77 ]; then
                for name in $("$FIRESTEEL" local ls -o name 2>/dev/null); do
                        echo "--- log of instance $name"
                        tail -n 30 "$XDG_STATE_HOME/firesteel/$name/server.log" 2>/dev/null || true
                done
        fi
        # What they listen on must be free for a test that has the same address.
        mine=$(jobs -p)
        [ -z "$mine" ] || kill $mine 2>/dev/null || true
        for job in $mine; do
                for _ in {1..100}; do
                        runs "$job" || break
                        sleep 0.05
                done
        done
        for name in $("$FIRESTEEL" local ls -o name 2>/dev/null); do
                "$FIRESTEEL" local reset --yes --name "$name" >/dev/null 2>&1 || true
        done
        exit $status
}
trap clean_up EXIT
trap 'exit 143' TERM
