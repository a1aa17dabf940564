#!/usr/bin/env bash
# timeout: 900
# Sends the API server the recorded requests of tests/conformance and compares its answers with the real server's.
. "$(dirname "$0")/../conformance/embedded.sh"
cd "$conformance"
embedded_ready
python3 conformance.py record "$dir/kubeconfig" "$dir/answers.json"
python3 conformance.py compare real-1.34.json.xz "$dir/answers.json"
embedded_end
