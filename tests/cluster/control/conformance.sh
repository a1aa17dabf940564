#!/usr/bin/env bash
# The list of requests of tests/conformance to the real API server and to the embedded one, in one run: the answers must be the same, and the real
# server's must still be those that make test compares with (real-*.json.xz).
# timeout: 900
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${FIRESTEEL:=$here/../../../build/firesteel}"
build=$(dirname "$(readlink -f "$FIRESTEEL")")
program=$build/tests/integration/conformance/conformance-apiserver
flock "$build/.tests-lock" ninja -C "$build" "${program#"$build"/}" >/dev/null

dir=$(mktemp -d)
"$program" "$dir" >"$dir/out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 143' TERM
cd "$here/../../conformance"
python3 conformance.py record "$CLUSTER_KUBECONFIG" "$dir/real.json"
until grep -q '^ready' "$dir/out"; do
        kill -0 $pid 2>/dev/null || { cat "$dir/out"; exit 1; }
        read -rt 0.1 <> <(:) || true
done
python3 conformance.py record "$dir/kubeconfig" "$dir/embedded.json"
echo "--- the recording of make test against this real server"
python3 conformance.py compare real-*.json.xz "$dir/real.json"
echo "--- the real server against the embedded one"
python3 conformance.py compare "$dir/real.json" "$dir/embedded.json"
kill $pid
wait $pid
