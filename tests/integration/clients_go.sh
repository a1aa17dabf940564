#!/usr/bin/env bash
# client-go and controller-runtime (tests/clients/go): informers, watch lists, leader election, paging, protobuf, apply, custom resources, a controller.
# timeout: 300
. "$(dirname "$0")/lib.sh"
clients=$FIRESTEEL_CACHE/clients/clients
[ -x "$clients" ] || skip "the Go clients are not here: tools/setup test builds them where Go is"
expect 0 "$FIRESTEEL" local up -q
kubeconfig=$("$FIRESTEEL" local kubeconfig)
expect 0 "$clients" "$kubeconfig" go-clients
for part in informer 'leader election' paging protobuf apply 'custom resource' discovery controller-runtime; do says "ok $part"; done
# Informers that ask for initial events in the watch; the switch is read from the environment.
export KUBE_FEATURE_WatchListClient=true
expect 0 "$clients" "$kubeconfig" go-clients-watch
says 'ok watch list'
expect 0 "$FIRESTEEL" local down
