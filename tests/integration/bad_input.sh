#!/usr/bin/env bash
# What people do wrong and what machines do to them: one clear message, a documented exit code, nothing lost.
# Spark here is a stand-in: the real entry point runs it, but "java" is a script that does what its last argument says.
# timeout: 400
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL
unset KUBERNETES_SERVICE_HOST SPARK_HOME
export FIRESTEEL_CACHE=$TEST_TMP/cache # no Spark but the one below
dir=$XDG_STATE_HOME/firesteel/default
spark=$TEST_TMP/spark
mkdir -p "$spark/jars" "$TEST_TMP/java/bin"
touch "$spark/jars/spark-core_2.13-4.1.4.jar"
echo 'JAVA_VERSION="17.0.1"' >"$TEST_TMP/java/release"
cat >"$TEST_TMP/java/bin/java" <<'S'
#!/bin/bash
for last; do :; done
case $last in
crash) echo 'Exception in thread "main" java.lang.IllegalStateException: no such table' >&2; exit 3 ;;
memory) exec python3 -c 'x = bytearray(700 << 20); import time; time.sleep(300)' ;;
no-python) echo 'Exception in thread "main" java.io.IOException: Cannot run program "python3": error=2, No such file or directory' >&2; exit 1 ;;
wait) trap 'exit 143' TERM; while :; do sleep 0.1; done ;;
*) echo "all done" ;;
esac
S
chmod -R a+rX "$TEST_TMP/java" "$spark"
chmod 755 "$TEST_TMP/java/bin/java" "$TEST_TMP"
export JAVA_HOME=$TEST_TMP/java
submit=("$f" submit -c spark.kubernetes.container.image=apache/spark:4.1.4 -c spark.driver.memory=64m -c spark.driver.memoryOverhead=192m
        -c spark.kubernetes.driver.request.cores=100m)
app=local:///opt/spark/app.py
# A command in the background with its output in a file and its process in $started: it gets SIGINT as from a terminal.
begin() { # FILE COMMAND...
        local file=$1
        shift
        rm -f "$TEST_TMP/begun"
        python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
open(sys.argv[1], "w").close()
os.execvp(sys.argv[2], sys.argv[2:])' "$TEST_TMP/begun" "$@" >"$TEST_TMP/$file" 2>&1 </dev/null &
        started=$!
        eventually 60 test -e "$TEST_TMP/begun"
}
ends_with() { # CODE FILE
        local code=0
        wait "$started" || code=$?
        out=$(cat "$TEST_TMP/$2")
        [ $code = "$1" ] || fail "exit code $code instead of $1"
}
# With system calls forbidden as a container's seccomp profile does: without NAME...
cat >"$TEST_TMP/without.py" <<'P'
import ctypes, os, struct, sys
numbers = {"x86_64": {"unshare": 272}, "aarch64": {"unshare": 97}}[os.uname().machine]
refused = [numbers[name] for name in sys.argv[1].split(",")]
op = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
program = op(0x20, 0, 0, 0) + b"".join(op(0x15, 0, 1, n) + op(0x06, 0, 0, 0x00050001) for n in refused) + op(0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(program)
filters = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
    sys.exit(77)
os.execvp(sys.argv[2], sys.argv[2:])
P

# --- no kubeconfig, a broken one, one without the context, a server that is not there
expect 1 env KUBECONFIG="$TEST_TMP/none" "$f" ls
says "no Kubernetes cluster is configured: there is no kubeconfig (looked at $TEST_TMP/none)"
says 'firesteel local up'
printf 'apiVersion: v1\nclusters:\n- name: a\n  cluster: {server: "https://127.0.0.1:1"\nusers: []\n' >"$TEST_TMP/broken"
expect 1 env KUBECONFIG="$TEST_TMP/broken" "$f" ls
says "$TEST_TMP/broken is not valid YAML: line 5 column 1"
kubeconfig() { # URL
        cat <<Y
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: "$1"}}]
users: [{name: a, user: {token: t}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
Y
}
kubeconfig http://127.0.0.1:1 >"$TEST_TMP/down"
expect 1 env KUBECONFIG="$TEST_TMP/down" "$f" ls --context nobody
says 'nobody'
expect 1 env KUBECONFIG="$TEST_TMP/down" "$f" ls
says "cannot connect to 127.0.0.1:1: Connection refused"
says 'is the cluster running'
expect 1 env KUBECONFIG="$TEST_TMP/down" "$f" submit --conf spark.kubernetes.container.image=spark local:///app.py
says "cannot connect to 127.0.0.1:1: Connection refused"
says_not 'could not delete' # nothing was made

# --- a server that never answers: looked at again at the end, a minute passes until it is given up
python3 -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(); print(s.getsockname()[1],flush=True); time.sleep(600)' >"$TEST_TMP/port" &
eventually 20 test -s "$TEST_TMP/port"
kubeconfig "http://127.0.0.1:$(cat "$TEST_TMP/port")" >"$TEST_TMP/slow"
begin slow.log env KUBECONFIG="$TEST_TMP/slow" "$f" ls
slow=$started

# --- a certificate that has expired
if command -v openssl >/dev/null; then
        mkdir "$TEST_TMP/ca"
        (cd "$TEST_TMP/ca" && touch index && echo 01 >serial && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2 &&
                openssl req -newkey rsa:2048 -nodes -keyout key -out csr -subj /CN=me &&
                printf '[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' >conf &&
                openssl ca -batch -config conf -cert ca.crt -keyfile ca.key -in csr -out crt -notext -startdate 20200101000000Z -enddate 20200201000000Z) >"$TEST_TMP/openssl" 2>&1 ||
                fail "openssl: $(cat "$TEST_TMP/openssl")"
        sed "s|token: t|client-certificate: $TEST_TMP/ca/crt, client-key: $TEST_TMP/ca/key|; s|http://|https://|" "$TEST_TMP/down" >"$TEST_TMP/expired"
        expect 1 env KUBECONFIG="$TEST_TMP/expired" "$f" ls
        says 'expired on 2020-02-01'
fi

# --- an instance, and what is refused before anything is sent
expect 0 "$f" local up -q --spark-home "$spark" --cpus 4
KUBECONFIG=$("$f" local kubeconfig)
export KUBECONFIG
runs_pods=$("$f" local status -o json | json isolation.possible)
expect 1 "${submit[@]}" -c spark.driver.memory=lots "$app"
says 'spark.driver.memory'
says lots
expect 1 "${submit[@]}" -c spark.kubernetes.executor.request.cores=many "$app"
says 'spark.kubernetes.executor.request.cores is "many"'
expect 1 "${submit[@]}" -c spark.kubernetes.driver.pod.name=Not_A_Name "$app"
says 'Not_A_Name'
expect 1 "${submit[@]}" -n Not_A_Name "$app"
says 'Not_A_Name'
printf 'apiVersion: v1\nkind: Pod\nspec:\n  containers: [\n' >"$TEST_TMP/template.yaml"
expect 1 "${submit[@]}" -c spark.kubernetes.driver.podTemplateFile="$TEST_TMP/template.yaml" "$app"
says "$TEST_TMP/template.yaml"
says 'line 5'
printf '{"apiVersion": "v1",\n "spec": [1}' >"$TEST_TMP/template.json"
expect 1 "${submit[@]}" -c spark.kubernetes.driver.podTemplateFile="$TEST_TMP/template.json" "$app"
says 'line 2'
expect 1 "${submit[@]}" -n nowhere "$app"
says 'nowhere'
expect 0 "$f" ls -A -o name
[ -z "$out" ] || fail "a refused submission left something: $out"

# --- what becomes of the driver
if [ "$runs_pods" = true ]; then
        expect 0 "${submit[@]}" --name good "$app"
        says 'good succeeded'
        expect 1 "${submit[@]}" --name bad "$app" crash
        says 'bad failed, driver exit code 3'
        says 'no such table'
        expect 3 "${submit[@]}" --exit-code driver --name bad-too "$app" crash
        expect 1 "${submit[@]}" --name big "$app" memory
        says 'big failed, driver exit code 137, OOMKilled'
        says 'spark.driver.memoryOverhead'
        expect 1 "${submit[@]}" --name pythonless "$app" no-python
        says 'there is no Python where the driver or an executor runs'
fi

# --- what keeps it from starting is said, and Ctrl-C leaves it alone
waits_for() { # FILE TEXT
        eventually 60 grep -qF "$2" "$TEST_TMP/$1"
        kill -INT "$started"
        ends_with 130 "$1"
        says 'goes on running'
        says 'firesteel kill'
}
begin image.log "${submit[@]}" --name no-image -c spark.kubernetes.container.image=127.0.0.1:1/nobody/spark:9 "$app"
waits_for image.log 'the driver waits: ErrImagePull: '
says '127.0.0.1:1'
begin version.log "${submit[@]}" --name no-spark -c spark.kubernetes.container.image=apache/spark:3.5.9 "$app"
waits_for version.log 'Spark 3.5.9 is not installed on this machine (installed: 4.1.4); install it with pip (pyspark==3.5.9)'
begin room.log "${submit[@]}" --name no-room -c spark.kubernetes.driver.request.cores=4000 "$app"
waits_for room.log 'the driver waits: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.'
for name in no-image no-spark no-room; do expect 0 "$f" kill --wait --now "$name"; done

# --- executors that find no room: submit says so, and status
if [ "$runs_pods" = true ]; then
        begin executors.log "${submit[@]}" --name lonely "$app" wait
        eventually 60 grep -q 'Driver started' "$TEST_TMP/executors.log"
        python3 - "$dir" "$("$f" local status -o json | json server)" <<'P'
import json, ssl, sys, urllib.request
dir, server = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{dir}/pki/ca.crt")
def call(path, body=None):
    request = urllib.request.Request(server + path, data=json.dumps(body).encode() if body else None,
                                     headers={"Authorization": "Bearer " + open(f"{dir}/pki/admin.token").read(), "Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, context=context))
driver, = [p for p in call("/api/v1/namespaces/default/pods")["items"] if p["metadata"]["name"].startswith("lonely-")]
labels = dict(driver["metadata"]["labels"], **{"spark-role": "executor", "spark-exec-id": "1"})
owner = {"apiVersion": "v1", "kind": "Pod", "name": driver["metadata"]["name"], "uid": driver["metadata"]["uid"], "controller": True}
call("/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lonely-exec-1", "labels": labels, "ownerReferences": [owner]},
     "spec": {"restartPolicy": "Never", "containers": [{"name": "spark-kubernetes-executor", "image": "apache/spark:4.1.4", "args": ["executor"],
                                                       "resources": {"requests": {"cpu": "4000"}}}]}})
P
        eventually 60 grep -qF 'an executor waits: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.' "$TEST_TMP/executors.log"
        expect 0 "$f" status lonely
        says 'Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.'
        # Ctrl-C while it runs; while its log is followed; then its end
        kill -INT "$started"
        ends_with 130 executors.log
        says 'goes on running'
        begin logs.log "$f" logs -f lonely
        sleep 0.3
        kill -INT "$started"
        ends_with 130 logs.log
        expect 0 "$f" kill --wait --now lonely
fi
# --- Ctrl-C while submitting: nothing is left half made
for delay in 0 0.005 0.01 0.02 0.04; do
        begin hurry.log "${submit[@]}" --name hurry -c spark.kubernetes.driver.request.cores=4000 "$app"
        sleep $delay
        kill -INT "$started" 2>/dev/null || true
        code=0
        wait "$started" || code=$?
        [ $code = 130 ] || fail "exit code $code after Ctrl-C: $(cat "$TEST_TMP/hurry.log")"
done
# What was created has a driver pod as owner; what has none was taken back. (What drivers had that are gone is collected.)
cat >"$TEST_TMP/nobodys.py" <<'P'
import json, ssl, sys, urllib.request
dir, server = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{dir}/pki/ca.crt")
def get(kind):
    request = urllib.request.Request(f"{server}/api/v1/namespaces/default/{kind}", headers={"Authorization": "Bearer " + open(f"{dir}/pki/admin.token").read()})
    return json.load(urllib.request.urlopen(request, context=context))["items"]
drivers = {p["metadata"]["uid"] for p in get("pods")}
for kind in ("configmaps", "services"):
    for item in get(kind):
        name, owners = item["metadata"]["name"], item["metadata"].get("ownerReferences", [])
        if name not in ("kubernetes", "kube-root-ca.crt") and not any(o["uid"] in drivers for o in owners):
            sys.exit(f"{kind} {name} is nobody's")
P
nobodys() { python3 "$TEST_TMP/nobodys.py" "$dir" "$("$f" local status -o json | json server)"; }
eventually 30 nobodys
expect 0 "$f" local reset --yes

# --- Ctrl-C while an instance starts: it goes on, and the next up finds it
begin up.log "$f" local up
sleep 0.03
kill -INT "$started" 2>/dev/null || true
wait "$started" || true
expect 0 "$f" local up
expect 0 "$f" local reset --yes

# --- no right to make namespaces: everything but pods works, and why is said everywhere
try python3 "$TEST_TMP/without.py" unshare true
if [ $code = 0 ]; then
        expect 0 python3 "$TEST_TMP/without.py" unshare "$f" local up --spark-home "$spark"
        says 'pods: pods cannot run: '
        if [ "$(id -u)" = 0 ]; then says 'this root may not make namespaces'; else says 'ordinary users may not make user namespaces here'; fi
        expect 0 "$f" local status
        says 'pods cannot run'
        begin namespaces.log "${submit[@]}" --name stuck "$app"
        waits_for namespaces.log 'the driver waits: CreatePodSandboxError: Pods cannot run on this machine: '
        expect 0 "$f" local reset --yes
fi

# --- a full disk: writes are refused and say why, nothing that was acknowledged is lost, and it goes on when there is room
cat >"$TEST_TMP/full.sh" <<'S'
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL
mount -t tmpfs -o size=64m tmpfs "$TEST_TMP/small"
export XDG_STATE_HOME=$TEST_TMP/small
expect 0 "$f" local up -q
dir=$XDG_STATE_HOME/firesteel/default
try python3 "$TEST_TMP/full.py" "$dir" "$("$f" local status -o json | json server)"
[ $code = 0 ] || fail "exit code $code"
expect 0 "$f" local down -q
dd if=/dev/zero of="$TEST_TMP/small/ballast" bs=1M status=none 2>/dev/null || true
expect 1 "$f" local up
says 'No space left on device'
rm "$TEST_TMP/small/ballast"
expect 0 "$f" local up -q
expect 0 "$f" local reset --yes
S
cat >"$TEST_TMP/full.py" <<'P'
import json, os, ssl, sys, urllib.error, urllib.request
dir, server = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{dir}/pki/ca.crt")
def call(method, path, body=None):
    request = urllib.request.Request(server + path, data=json.dumps(body).encode() if body else None, method=method,
                                     headers={"Authorization": "Bearer " + open(f"{dir}/pki/admin.token").read(), "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)
def put(n):
    return call("POST", "/api/v1/namespaces/default/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}, "data": {"x": "y" * 500000}})
ballast = f"{dir}/ballast"
with open(ballast, "wb") as f:
    while True:
        try:
            f.write(b"x" * 65536)
            f.flush()
        except OSError:
            break
    try: f.close()
    except OSError: pass
kept, refused = [], None
for n in range(200):
    status, answer = put(n)
    if status == 201:
        kept.append(n)
    else:
        refused = (status, answer)
        break
assert refused, "a full disk was not noticed"
assert refused[0] >= 500 and refused[1]["kind"] == "Status", refused
assert "disk" in refused[1]["message"] or "space" in refused[1]["message"], refused
names = lambda: {o["metadata"]["name"] for o in call("GET", "/api/v1/namespaces/default/configmaps")[1]["items"]}
assert names() >= {f"c{n}" for n in kept} and f"c{len(kept)}" not in names(), "what was refused is there, or what was acknowledged is not"
os.unlink(ballast)
status, answer = put(1000)
assert status == 201, answer
assert "c1000" in names()
print("all well")
P
mkdir "$TEST_TMP/small"
cp "$here/lib.sh" "$TEST_TMP/"
if [ "$(id -u)" = 0 ]; then as_mounter=(unshare -m); else as_mounter=(unshare -rm); fi
if "${as_mounter[@]}" mount -t tmpfs tmpfs "$TEST_TMP/small" 2>/dev/null; then
        expect 0 "${as_mounter[@]}" bash "$TEST_TMP/full.sh"
fi

# --- the server that never answered was given up
started=$slow
ends_with 1 slow.log
says 'no answer within 60 s'
