#!/usr/bin/env bash
# Probes by gRPC against gRPC's own health service (Python), in pods: ready, not ready, restarted, and what the events say about wrong ports and services.
# timeout: 300
. "$(dirname "$0")/lib.sh"
need_kubectl
grpc=$FIRESTEEL_CACHE/grpc
[ -f "$grpc/.complete" ] || skip "gRPC's health service is not here (tools/setup test installs it)"
f=$FIRESTEEL
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
packages=$(echo "$grpc"/lib/python3.*/site-packages)

# What state it is in says a file; without one the service is not named at all. A second port has gRPC without the health service.
cat >"$TEST_TMP/server.py" <<'P'
import concurrent.futures, os, time
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port("0.0.0.0:9000")
server.start()
bare = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
bare.add_insecure_port("0.0.0.0:9001")
bare.start()
known = ""
while True:
    if os.path.exists("/tmp/state"):
        state = open("/tmp/state").read().strip()
        if state and state != known:
            servicer.set("app", health_pb2.HealthCheckResponse.ServingStatus.Value(state))
            known = state
            print("now", state, flush=True)
    time.sleep(0.05)
P
pod() { # NAME STATE PROBES
        k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec: {terminationGracePeriodSeconds: 1, volumes: [{name: p, hostPath: {path: $packages}}, {name: t, hostPath: {path: $TEST_TMP}}],
 containers: [{name: c, image: python, command: [sh, -c, 'echo $2 >/tmp/state; exec python3 /t/server.py'], env: [{name: PYTHONPATH, value: /p}],
  volumeMounts: [{name: p, mountPath: /p, readOnly: true}, {name: t, mountPath: /t, readOnly: true}], $3}]}
Y
}
events() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}'; }
has_event() { events "$1" | grep -F -- "$2" >/dev/null; }
is() { [ "$(k get pod "$1" -o "jsonpath=$2")" = "$3" ]; }
ready='{.status.containerStatuses[0].ready}' restarts='{.status.containerStatuses[0].restartCount}'

pod app SERVING "startupProbe: {grpc: {port: 9000}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 100}, readinessProbe: {grpc: {port: 9000, service: app}, periodSeconds: 1, timeoutSeconds: 10}"
pod strange SERVING "startupProbe: {grpc: {port: 9000}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 100}, readinessProbe: {grpc: {port: 9000, service: nobody}, periodSeconds: 1, timeoutSeconds: 10}"
pod bare SERVING "startupProbe: {grpc: {port: 9000}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 100}, readinessProbe: {grpc: {port: 9001}, periodSeconds: 1, timeoutSeconds: 10}"
expect 0 k wait --for=condition=Ready pod/app --timeout=120s
is app "$restarts" 0 || fail "the startup probe did not hold back"

expect 0 k exec app -- sh -c 'echo NOT_SERVING >/tmp/state'
eventually 60 is app "$ready" false
eventually 20 has_event app 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
expect 0 k exec app -- sh -c 'echo SERVING >/tmp/state'
eventually 60 is app "$ready" true

eventually 90 has_event strange 'Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = '
eventually 90 has_event bare 'Readiness probe failed: error: this server does not implement the grpc health protocol (grpc.health.v1.Health): Method not found!'
is strange "$ready" false || fail "ready although the service is not known"
expect 0 k delete pod app strange bare --now

# A liveness probe restarts; nobody on the port, and somebody who does not speak HTTP/2.
pod nobody SERVING "livenessProbe: {grpc: {port: 9999}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}"
k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: http}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: python, command: [python3, -m, http.server, '8000'],
 startupProbe: {tcpSocket: {port: 8000}, periodSeconds: 1, failureThreshold: 100}, readinessProbe: {grpc: {port: 8000}, periodSeconds: 1, timeoutSeconds: 10}}]}
Y
restarted() { [ "$(k get pod nobody -o "jsonpath=$restarts")" -ge 1 ]; }
eventually 90 restarted
eventually 30 has_event nobody 'Liveness probe failed: error: failed to connect service at "10.244.'
eventually 90 has_event http 'Readiness probe failed: error: failed to connect service at "10.244.'
