#!/usr/bin/env bash
# The Role that `firesteel rbac` prints for drivers is enough, and none of its verbs can go: tests/cluster/driver_rights.py with a real kubelet, garbage collector and volume controller.
# timeout: 3600
# slow: yes
. "$(dirname "$0")/lib.sh"
need_image "$(basename "$0" .sh | sed 's/driver_rights_//; s/_/./')"
chmod 755 "$TEST_TMP"
mkdir -m 777 "$TEST_TMP/work"
FIRESTEEL=$FIRESTEEL "$root/tests/cluster/driver_rights.py" --kubeconfig "$CLUSTER_KUBECONFIG" --image "$image" --work "$TEST_TMP/work"
