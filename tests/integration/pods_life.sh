#!/usr/bin/env bash
# Pods' lives, with the real kubectl: standard input and terminals, hooks, probes, sidecars, limits of volumes, tokens, services by UDP.
# timeout: 400
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
pod() { # NAME CONTAINER [MORE-OF-SPEC]
        k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec: {terminationGracePeriodSeconds: 5, containers: [{name: c, image: busybox, $2}]${3:+, $3}}
Y
}
events() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}'; }
has_event() { events "$1" | grep -- "$2" >/dev/null; }
field() { k get pod "$1" -o "jsonpath=$2"; }
is() { [ "$(field "$1" "$2")" = "$3" ]; }

# --- standard input: its end reaches the container, and none of it is lost
code=0
out=$(printf 'hello\nthere' | timeout 240 kubectl --kubeconfig "$("$f" local kubeconfig)" run in --image=busybox --restart=Never --rm -i --quiet -- cat) || code=$?
[ "$code:$out" = $'0:hello\nthere' ] || fail "standard input: $code $out"
code=0
out=$(head -c 2000000 /dev/zero | timeout 240 kubectl --kubeconfig "$("$f" local kubeconfig)" run many --image=busybox --restart=Never --rm -i --quiet -- wc -c) || code=$?
[ "$code:$out" = 0:2000000 ] || fail "much standard input: $code $out"

# --- a terminal: prompt, size, exit code
KUBECONFIG=$("$f" local kubeconfig) timeout 240 python3 - >"$TEST_TMP/terminal" <<'P' || fail "the terminal: $(cat "$TEST_TMP/terminal")"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("kubectl", ["kubectl", "run", "terminal", "--image=busybox", "--restart=Never", "--rm", "-it", "--quiet", "--", "sh"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
seen = b""
def wait(word):
    global seen
    end = time.time() + 120
    while word not in seen and time.time() < end:
        if select.select([fd], [], [], 1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    if word not in seen:
        sys.exit(f"no {word!r} in {seen!r}")
wait(b"# ")
# The size comes on its own way, a little later perhaps.
os.write(fd, b"tty; until stty size | grep '^33 99'; do sleep 0.1; done; echo mark$((1+1))\n")
wait(b"mark2")
assert b"/dev/pts/0" in seen, seen
os.write(fd, b"exit 3\n")
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code == 3, code
P

# --- hooks
pod hooked "command: [sh, -c, 'trap \"cat /tmp/hook; exit 0\" TERM; echo up; while :; do sleep 0.1; done'], lifecycle: {postStart: {exec: {command: [sh, -c, 'echo post >>/tmp/hook']}}, preStop: {exec: {command: [sh, -c, 'echo pre >>/tmp/hook']}}}"
expect 0 k wait --for=condition=Ready pod/hooked --timeout=180s
expect 0 k exec hooked -- cat /tmp/hook
says post
k logs -f hooked >"$TEST_TMP/hooked" &
follower=$!
eventually 20 grep -q up "$TEST_TMP/hooked"
expect 0 k delete pod hooked --timeout=180s
wait $follower || true
[ "$(tail -n 2 "$TEST_TMP/hooked")" = $'post\npre' ] || fail "hooks: $(cat "$TEST_TMP/hooked")"
pod unhooked "command: [sleep, '1000'], lifecycle: {postStart: {exec: {command: [sh, -c, 'echo no; exit 4']}}}"
eventually 40 has_event unhooked 'FailedPostStartHook'
eventually 40 has_event unhooked 'Killing'
expect 0 k delete pod unhooked --now

# --- probes: started late, not ready, killed and started again
# (As soon as the startup probe lets the others begin there is somebody on the port, and before that one failure would be too many.)
pod probed "command: [python3, -c, 'import http.server as h, time; time.sleep(1); s = h.HTTPServer((\"\", 8000), h.SimpleHTTPRequestHandler); open(\"/tmp/up\", \"w\"); s.serve_forever()'],
 ports: [{name: web, containerPort: 8000}], startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 60},
 readinessProbe: {httpGet: {path: /etc/, port: web}, periodSeconds: 1, timeoutSeconds: 20}, livenessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1}"
expect 0 k wait --for=condition=Ready pod/probed --timeout=180s
is probed '{.status.containerStatuses[0].restartCount}' 0 || fail "the startup probe did not hold the others back"
pod sick "command: [sleep, '1000'], livenessProbe: {exec: {command: ['false']}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}"
restarted() { [ "$(field "$1" '{.status.containerStatuses[0].restartCount}')" -ge 1 ]; }
eventually 60 restarted sick
eventually 30 has_event sick 'Liveness probe failed'
expect 0 k delete pod sick probed --now

# --- a sidecar is up before the main container and ends after it
pod side "command: [sh, -c, 'cat /shared/hello']  , volumeMounts: [{name: v, mountPath: /shared}]" "restartPolicy: Never, volumes: [{name: v, emptyDir: {}}],
 initContainers: [{name: s, image: busybox, restartPolicy: Always, command: [sh, -c, 'echo beside >/shared/hello; sleep 1000'], volumeMounts: [{name: v, mountPath: /shared}], startupProbe: {exec: {command: [test, -s, /shared/hello]}, periodSeconds: 1}}]"
expect 0 k wait --for=jsonpath='{.status.phase}'=Succeeded pod/side --timeout=180s
expect 0 k logs side -c c
says beside

# --- a volume that grows too large, and one of memory that cannot
pod greedy "command: [sh, -c, 'dd if=/dev/zero of=/v/big bs=1M count=8 2>/dev/null; sleep 1000'], volumeMounts: [{name: v, mountPath: /v}]" 'volumes: [{name: v, emptyDir: {sizeLimit: 2Mi}}]'
eventually 60 is greedy '{.status.reason}' Evicted
eventually 30 is greedy '{.status.phase}' Failed
expect 0 k describe pod greedy
says 'exceeds the limit "2Mi"'
pod memory "command: [sh, -c, 'dd if=/dev/zero of=/v/big bs=1M count=8 2>&1 | grep -o \"No space left\"; df /v | tail -n 1 | cut -d \" \" -f 1'], volumeMounts: [{name: v, mountPath: /v}]" 'restartPolicy: Never, volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 2Mi}}]'
expect 0 k wait --for=jsonpath='{.status.phase}'=Succeeded pod/memory --timeout=180s
expect 0 k logs memory
says 'No space left'
says tmpfs

# --- a ConfigMap that changes while a worker writes the volume that shows it
k config view --raw -o json >"$TEST_TMP/access.json"
python3 - "$TEST_TMP/access.json" <<'P'
import base64, http.client, json, ssl, sys, time
access = json.load(open(sys.argv[1]))
cluster = access["clusters"][0]["cluster"]
tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
server = http.client.HTTPSConnection(cluster["server"].split("//")[1], context=tls)
def ask(method, path, body):
    server.request(method, "/api/v1/namespaces/default/" + path, json.dumps(body), {
        "Authorization": "Bearer " + access["users"][0]["user"]["token"],
        "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"})
    answer = server.getresponse()
    text = answer.read()
    assert answer.status < 300, text
for i in range(8):
    ask("POST", "configmaps", {"metadata": {"name": f"quick{i}"}, "data": {"v": "1"}})
    ask("POST", "pods", {"metadata": {"name": f"quick{i}"}, "spec": {
        "terminationGracePeriodSeconds": 0, "volumes": [{"name": "c", "configMap": {"name": f"quick{i}"}}],
        "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "600"], "volumeMounts": [{"name": "c", "mountPath": "/c"}]}]}})
    time.sleep(0.004 * i)  # at another moment of each pod's start
    for v in ("2", "3", "4"):
        ask("PATCH", f"configmaps/quick{i}", {"data": {"v": v}})
P
shows_last() { [ "$(k exec "$1" -- cat /c/v)" = 4 ]; }
for i in 0 1 2 3 4 5 6 7; do
        expect 0 k wait --for=condition=Ready pod/quick$i --timeout=180s
        eventually 20 shows_last quick$i
done
# A key that is taken away takes its file along, also when nothing else changes.
k patch cm quick0 -p '{"data":{"w":"5"}}' >/dev/null
eventually 20 k exec quick0 -- cat /c/w
k patch cm quick0 -p '{"data":{"w":null}}' >/dev/null
eventually 20 k exec quick0 -- test ! -e /c/w
expect 0 k exec quick0 -- cat /c/v
for i in 0 1 2 3 4 5 6 7; do k delete --wait=false pod/quick$i cm/quick$i >/dev/null; done

# --- a claim, parts of volumes, the pod's own facts
k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
Y
pod writes "command: [sh, -c, 'echo kept >/v/file'], env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], volumeMounts: [{name: v, mountPath: /v, subPathExpr: of/\$(NAME)}]" 'restartPolicy: Never, volumes: [{name: v, persistentVolumeClaim: {claimName: claim}}]'
expect 0 k wait --for=jsonpath='{.status.phase}'=Succeeded pod/writes --timeout=180s
pod reads "command: [sh, -c, 'cat /v/of/writes/file; cat /d/labels; echo \$IP \$NODE \$CPU \$ACCOUNT; cat /etc/hosts /etc/resolv.conf'],
 resources: {limits: {cpu: 500m, memory: 64Mi}}, volumeMounts: [{name: v, mountPath: /v}, {name: d, mountPath: /d}],
 env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}},
  {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}, {name: ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}]" 'restartPolicy: Never,
 hostAliases: [{ip: 192.0.2.1, hostnames: [alias.test]}], dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53], searches: [a.test, b.test], options: [{name: ndots, value: "2"}]},
 volumes: [{name: v, persistentVolumeClaim: {claimName: claim}}, {name: d, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]'
expect 0 k wait --for=jsonpath='{.status.phase}'=Succeeded pod/reads --timeout=180s
expect 0 k logs reads
says kept
says 'app="reads"'
says "$(field reads '{.status.podIP}') default 500 default"
says $'192.0.2.1\talias.test'
says 'search a.test b.test'
says 'nameserver 192.0.2.53'
says 'options ndots:2'

# --- a deadline, a crash loop
pod late "command: [sleep, '1000']" 'restartPolicy: Never, activeDeadlineSeconds: 2'
eventually 60 is late '{.status.reason}' DeadlineExceeded
pod crashing "command: [sh, -c, 'exit 5']"
eventually 60 is crashing '{.status.containerStatuses[0].state.waiting.reason}' CrashLoopBackOff
is crashing '{.status.containerStatuses[0].lastState.terminated.exitCode}' 5 || fail "the last exit code is lost"

# --- a token is made anew before it ends
pod tokened "command: [sleep, '1000'], volumeMounts: [{name: t, mountPath: /t}]" 'volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600}}]}}]'
expect 0 k wait --for=condition=Ready pod/tokened --timeout=180s
expect 0 k exec tokened -- cat /t/token
before=$out
# A new server does not know how old the token is.
pid=$(server_pid)
kill -9 "$pid"
eventually 5 ended "$pid"
expect 0 "$f" local up -q
is_new() { local now; now=$(k exec tokened -- cat /t/token) && [ -n "$now" ] && [ "$now" != "$before" ]; }
eventually 60 is_new
