#!/usr/bin/env bash
# kubectl, the real one, on pods: run, logs, exec, port-forward, describe, wait, delete.
# timeout: 400
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"

# --- the cluster as kubectl sees it
expect 0 k version
says 'Server Version: v1.'
expect 0 k get nodes
says Ready
expect 0 k cluster-info
expect 0 k api-resources
says deployments
expect 0 k get all -A

# --- a pod that prints and waits
k apply -f - <<'Y' >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: talk}}
spec:
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'echo one; echo two >&2; trap "echo bye; exit 0" TERM; while :; do sleep 0.1; done']
    env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    resources: {requests: {cpu: 100m, memory: 32Mi}}
Y
expect 0 k wait --for=condition=Ready pod/talk --timeout=180s
expect 0 k get pod talk -o wide
says Running
says 10.244.
eventually 10 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' logs talk | grep -q two"
expect 0 k logs talk
says one
expect 0 k logs talk --tail=1
expect 0 k describe pod talk
says 'Started '
says 'Scheduled'

# --- exec: output, input, exit codes
expect 0 k exec talk -- sh -c 'echo $POD_IP'
[ "$out" = "$(k get pod talk -o jsonpath='{.status.podIP}')" ] || fail "status.podIP is not in the environment: $out"
expect 7 k exec talk -- sh -c 'exit 7'
code=0
out=$(printf 'in\n' | k exec -i talk -- cat) || code=$?
[ "$code:$out" = 0:in ] || fail "standard input does not arrive: $code $out"
expect 0 k exec talk -- cat /var/run/secrets/kubernetes.io/serviceaccount/namespace
[ "$out" = default ] || fail "the token volume is missing"
expect 0 k exec talk -- hostname
[ "$out" = talk ] || fail "the host name is $out"
expect 1 k exec nobody -- true
says 'not found'

# --- big output comes whole
expect 0 k exec talk -- sh -c 'i=0; while [ $i -lt 2000 ]; do echo "line $i of some length to make it more than one frame"; i=$((i+1)); done'
[ "$(printf '%s\n' "$out" | wc -l)" = 2000 ] || fail "lines are missing: $(printf '%s\n' "$out" | wc -l)"

# --- a followed log ends with the container; the grace is respected
k logs -f talk >"$TEST_TMP/followed" &
follower=$!
eventually 20 grep -q one "$TEST_TMP/followed"
expect 0 k delete pod talk --timeout=180s
wait $follower || fail "logs -f ended badly"
grep -q bye "$TEST_TMP/followed" || fail "the last words were lost: $(cat "$TEST_TMP/followed")"

# --- how it ended
k run failing --image=busybox --restart=Never -- sh -c 'echo before; exit 3' >/dev/null
expect 0 k wait --for=jsonpath='{.status.phase}'=Failed pod/failing --timeout=180s
[ "$(k get pod failing -o jsonpath='{.status.containerStatuses[0].state.terminated.exitCode}')" = 3 ] || fail "the exit code is wrong"
expect 0 k logs failing
says before
expect 0 k run once --image=busybox --restart=Never --rm -i --quiet -- sh -c 'echo all done'
says 'all done'

# --- an image that is not there
k run nothing --image=registry.example/nothing:1 --restart=Never >/dev/null
eventually 20 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' get pod nothing | grep -E 'ErrImagePull|ImagePullBackOff'"
expect 0 k describe pod nothing
says Failed
expect 0 k delete pod nothing failing --now

# --- too big for the node
k apply -f - <<'Y' >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec: {containers: [{name: c, image: busybox, command: [sleep, "1"], resources: {requests: {cpu: "1000"}}}]}
Y
eventually 20 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' describe pod huge | grep FailedScheduling"
says_not impossible
expect 0 k delete pod huge

# --- port-forward to a server in a pod
k run web --image=python --restart=Never -- python3 -m http.server 8000 >/dev/null
expect 0 k wait --for=condition=Ready pod/web --timeout=180s
eventually 20 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' exec web -- python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8000/\")'"
k port-forward pod/web :8000 >"$TEST_TMP/forward" 2>&1 &
forward=$!
eventually 10 grep -q 'Forwarding from 127.0.0.1' "$TEST_TMP/forward"
port=$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$TEST_TMP/forward")
for _ in 1 2 3; do
        expect 0 python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port/etc/', timeout=60).status)"
        says 200
done
kill $forward

# --- by way of the API server, to a pod and to a service's named port: the server there is told the name that the client used
echo='from http.server import *
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        hosts = self.headers.get_all("Host")
        self.wfile.write(f"{self.path} at {hosts}".encode())
HTTPServer(("", 8001), Echo).serve_forever()'
k run echo --image=python --restart=Never --labels=app=echo -- python3 -c "$echo" >/dev/null
k apply -f - <<'Y' >/dev/null
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{name: ui, port: 80, targetPort: 8001}]}
Y
address=$(k config view --minify -o jsonpath='{.clusters[0].cluster.server}')
eventually 30 k get --raw /api/v1/namespaces/default/pods/echo:8001/proxy/
expect 0 k get --raw '/api/v1/namespaces/default/pods/echo:8001/proxy/a/b?c=d'
[ "$out" = "/a/b?c=d at ['${address#https://}']" ] || fail "the pod was asked for $out"
expect 0 k get --raw /api/v1/namespaces/default/services/echo:ui/proxy/jobs/
[ "$out" = "/jobs/ at ['${address#https://}']" ] || fail "the service was asked for $out"
expect 0 k delete pod/echo service/echo --now

expect 1 k debug web --image=busybox --profile=general --container=look --target=nobody -- true
says 'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"'

# --- a look into a running pod: an ephemeral container sees the processes of the one it is for, ends, and the pod goes on
expect 0 k debug web --image=busybox --profile=general --container=look --target=web -- sh -c "tr '\\0' ' ' </proc/1/cmdline; echo seen"
eventually 30 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' logs web -c look >'$TEST_TMP/look'; grep -q seen '$TEST_TMP/look'"
grep -q '^python3 -m http.server 8000 seen$' "$TEST_TMP/look" || fail "the target's processes: $(cat "$TEST_TMP/look")"
looked() { [ "$(k get pod web -o jsonpath='{.status.ephemeralContainerStatuses[*].state.terminated.exitCode} {.status.phase} {.status.containerStatuses[0].ready}')" = '0 Running true' ]; }
eventually 30 looked

# --- a service by its name, and a deployment behind it
k create deployment hello --image=python --replicas=2 -- python3 -m http.server 8000 >/dev/null
k expose deployment hello --port=80 --target-port=8000 >/dev/null
expect 0 k rollout status deployment/hello --timeout=180s
eventually 20 sh -c "kubectl --kubeconfig '$("$f" local kubeconfig)' exec web -- python3 -c 'import urllib.request; print(urllib.request.urlopen(\"http://hello.default.svc/etc/\").status)'"
expect 0 k scale deployment/hello --replicas=1
eventually 60 sh -c "[ \$(kubectl --kubeconfig '$("$f" local kubeconfig)' get pods -l app=hello --no-headers | wc -l) = 1 ]"
expect 0 k delete deployment hello
eventually 60 sh -c "[ -z \"\$(kubectl --kubeconfig '$("$f" local kubeconfig)' get pods -l app=hello -o name)\" ]"

# --- typed creation, which sends protobuf, and the rest of the daily commands
expect 0 k create configmap settings --from-literal=a=b
expect 0 k create secret generic hidden --from-literal=p=q
expect 0 k create namespace elsewhere
expect 0 k create serviceaccount robot
expect 0 k create role reader --verb=get --resource=pods
expect 0 k create rolebinding robot-reads --role=reader --serviceaccount=default:robot
expect 0 k auth can-i get pods --as=system:serviceaccount:default:robot
expect 1 k auth can-i delete pods --as=system:serviceaccount:default:robot
expect 0 k label configmap settings colour=red
expect 0 k get configmap -l colour=red -o name
says configmap/settings
expect 0 k patch configmap settings -p '{"data":{"c":"d"}}'
[ "$(k get configmap settings -o jsonpath='{.data.c}')" = d ] || fail "the patch is not there"
expect 0 k delete namespace elsewhere --timeout=180s
eventually 30 k top node # two looks at the node are needed, five seconds apart

# --- what runs survives its server
pid=$(server_pid)
before=$(k get pod web -o jsonpath='{.status.containerStatuses[0].containerID}')
kill -9 "$pid"
eventually 5 ended "$pid"
expect 0 "$f" local up -q
expect 0 k wait --for=condition=Ready pod/web --timeout=180s
[ "$(k get pod web -o jsonpath='{.status.containerStatuses[0].containerID}')" = "$before" ] || fail "the pod was not taken over"
[ "$(k get pod web -o jsonpath='{.status.containerStatuses[0].restartCount}')" = 0 ] || fail "the pod was restarted"
expect 0 k exec web -- echo alive
says alive
looked || fail "the ephemeral container: $(k get pod web -o jsonpath='{.status.ephemeralContainerStatuses}')"

# --- down ends pods; after the next up they are there as Failed
expect 0 "$f" local down
expect 0 "$f" local up -q
[ "$(k get pod web -o jsonpath='{.status.phase}')" = Failed ] || fail "the pod is $(k get pod web -o jsonpath='{.status.phase}')"
