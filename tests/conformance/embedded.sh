# Starts the embedded API server for the tests that compare its answers: sourced by them. $dir is theirs, $dir/kubeconfig leads to the server when
# embedded_ready returned.
# shellcheck shell=bash
set -euo pipefail
conformance=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${FIRESTEEL:=$conformance/../../build/firesteel}"
build=$(dirname "$(readlink -f "$FIRESTEEL")")
program=$build/tests/integration/conformance/conformance-apiserver
flock "$build/.tests-lock" ninja -C "$build" "${program#"$build"/}" >/dev/null

dir=$(mktemp -d)
"$program" "$dir" >"$dir/out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 143' TERM

embedded_ready() {
        until grep -q '^ready' "$dir/out"; do
                kill -0 $pid 2>/dev/null || { cat "$dir/out"; exit 1; }
                read -rt 0.1 <> <(:) || true
        done
}
# Orderly: what it has to say about leaks is part of the test.
embedded_end() {
        kill $pid
        wait $pid
}
