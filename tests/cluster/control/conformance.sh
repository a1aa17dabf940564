#!/usr/bin/env bash
# The list of requests of tests/conformance to the real API server and to the embedded one, in one run: the answers must be the same, and the real
# server's must still be those that make test compares with (real-*.json.xz).
# timeout: 900
. "$(dirname "$0")/../../conformance/embedded.sh"
cd "$conformance"
# Both are asked at the same time: most of it is waiting for what a server does later.
embedded_ready
python3 conformance.py record "$CLUSTER_KUBECONFIG" "$dir/real.json" &
real=$!
status=0
python3 conformance.py record "$dir/kubeconfig" "$dir/embedded.json" || status=$?
wait $real
[ $status = 0 ]
echo "--- the recording of make test against this real server"
python3 conformance.py compare real-*.json.xz "$dir/real.json"
echo "--- the real server against the embedded one"
python3 conformance.py compare "$dir/real.json" "$dir/embedded.json"
embedded_end
