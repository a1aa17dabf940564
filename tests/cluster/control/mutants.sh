#!/usr/bin/env bash
# What the embedded server says about thousands of objects that are wrong in one place, and of updates that change one place, beside what the real one says.
# timeout: 900
. "$(dirname "$0")/../../conformance/embedded.sh"
embedded_ready
python3 "$conformance/mutants.py" "$CLUSTER_KUBECONFIG" "$dir/kubeconfig" --count 4000 --out "$dir/differences" || { head -c 20000 "$dir/differences"; exit 1; }
python3 "$conformance/mutants.py" "$CLUSTER_KUBECONFIG" "$dir/kubeconfig" --update --count 4000 --out "$dir/differences" || { head -c 20000 "$dir/differences"; exit 1; }
embedded_end
