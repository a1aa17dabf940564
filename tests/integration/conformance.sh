#!/bin/bash
# timeout: 900
# Sends the API server the recorded requests of tests/conformance and compares its answers with the real server's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${FIRESTEEL:=$here/../../build/firesteel}"
build=$(dirname "$(readlink -f "$FIRESTEEL")")
program=$build/tests/integration/conformance/conformance-apiserver
flock "$build/.tests-lock" ninja -C "$build" "${program#"$build"/}" >/dev/null

dir=$(mktemp -d)
"$program" "$dir" >"$dir/out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
until grep -q '^ready' "$dir/out"; do
        kill -0 $pid 2>/dev/null || { cat "$dir/out"; exit 1; }
        read -rt 0.1 <> <(:) || true
done
cd "$here/../conformance"
python3 conformance.py record "$dir/kubeconfig" "$dir/answers.json"
python3 conformance.py compare real-1.34.json.xz "$dir/answers.json"
kill $pid
wait $pid
