#!/usr/bin/env bash
# Pods by runc in place of crun.
# timeout: 400
if [ -z "${FIRESTEEL_RUNTIME:-}" ]; then
        [ "$(id -u)" = 0 ] || { echo "runc needs root"; exit 77; }
        [ -x /usr/sbin/runc ] || command -v runc >/dev/null || { echo "runc is not here"; exit 77; }
        export FIRESTEEL_RUNTIME=runc
        . "$(dirname "$0")/lib.sh"
        expect 0 "$FIRESTEEL" local up -q --name probe
        expect 0 "$FIRESTEEL" local status --name probe
        says 'root, runc '
        expect 0 "$FIRESTEEL" local reset --yes --name probe
fi
trap - EXIT
exec "$(dirname "$0")/kubectl_pods.sh"
