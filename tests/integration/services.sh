#!/usr/bin/env bash
# Services: UDP and TCP by cluster address and by node port (from the host, and from pods at the node's address), affinity, node ports given out and refused.
# timeout: 300
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"

# Says its name to whoever asks, by UDP and by TCP.
cat >"$TEST_TMP/server.py" <<'P'
import socket, threading
name = socket.gethostname().encode()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 5000))
tcp = socket.create_server(("0.0.0.0", 5000), backlog=64)
def by_tcp():
    while True:
        peer, _ = tcp.accept()
        peer.sendall(name)
        peer.close()
threading.Thread(target=by_tcp, daemon=True).start()
print("up", flush=True)
while True:
    data, peer = udp.recvfrom(65535)
    udp.sendto(name + b" " + str(len(data)).encode(), peer)
P
# ask udp|tcp HOST PORT COUNT [LENGTH]: that many times, UDP from one socket, a line an answer. Packets may be lost: they are sent again.
cat >"$TEST_TMP/ask.py" <<'P'
import socket, sys, time
how, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
length = int(sys.argv[5]) if len(sys.argv) > 5 else 1
end = time.monotonic() + 30
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(1)
for _ in range(count):
    while True:
        try:
            if how == "udp":
                udp.sendto(b"x" * length, (host, port))
                print(udp.recv(65535).decode())
            else:
                with socket.create_connection((host, port), 5) as s:
                    answer = s.recv(100).decode()
                    if not answer:
                        raise OSError("no answer")
                    print(answer)
            break
        except OSError as e:
            if time.monotonic() > end:
                sys.exit(f"{how} {host}:{port}: {e}")
            time.sleep(0.05)
P
for name in one two client; do
        k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $name, labels: {role: $([ $name = client ] && echo client || echo server)}}
spec: {terminationGracePeriodSeconds: 0, volumes: [{name: t, hostPath: {path: $TEST_TMP}}], containers: [{name: c, image: python, volumeMounts: [{name: t, mountPath: /t, readOnly: true}],
 command: $([ $name = client ] && echo '[sleep, "10000"]' || echo '[python3, /t/server.py], readinessProbe: {tcpSocket: {port: 5000}, periodSeconds: 1}')}]}
Y
done
service() { # NAME SPEC
        k apply -f - <<Y
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {selector: {role: server}, $2}
Y
}
both='ports: [{name: u, protocol: UDP, port: 53, targetPort: 5000}, {name: t, port: 53, targetPort: 5000}]'
expect 0 service plain "$both"
expect 0 service sticky "sessionAffinity: ClientIP, $both"
expect 0 service node "type: NodePort, $both"
expect 0 k wait --for=condition=Ready pod --all --timeout=90s
inside() { k exec client -- python3 /t/ask.py "$@"; }
outside() { python3 "$TEST_TMP/ask.py" "$@"; }
names() { cut -d ' ' -f 1 | sort | uniq | tr '\n' ' '; }
both_answer() { [ "$(for i in 1 2 3 4 5 6; do "$@" 1; done | names)" = "one two " ]; }
gone() { ! timeout 5 python3 -c "import socket; socket.create_connection(('$FIRESTEEL_BIND', $1), 3)"; }

# --- by cluster address and name: in turn, one client's packets to one pod, and large ones whole
eventually 60 both_answer inside udp plain.default.svc.cluster.local 53
eventually 60 both_answer inside tcp plain 53
try inside udp plain 53 8
[ "$code" = 0 ] && [ "$(wc -l <<<"$out")" = 8 ] && [ "$(names <<<"$out" | wc -w)" = 1 ] || fail "one UDP client is one session: $out"
expect 0 inside udp plain 53 1 9000
says " 9000"

# --- affinity: every connection from one address to one pod
for how in udp tcp; do
        out=$(for i in 1 2 3 4 5; do inside $how sticky 53 2; done)
        [ "$(names <<<"$out" | wc -w)" = 1 ] || fail "affinity by $how: $out"
done

# --- node ports: the same number for both protocols, on the host and at the node's address
port=$(k get service node -o 'jsonpath={.spec.ports[0].nodePort}')
[ "$(k get service node -o 'jsonpath={.spec.ports[1].nodePort}')" = "$port" ] && [ "$port" -ge 30000 ] && [ "$port" -le 32767 ] || fail "node ports: $(k get service node -o yaml)"
node=$(k get node -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
for how in udp tcp; do
        eventually 60 both_answer outside $how "$FIRESTEEL_BIND" "$port"
        eventually 60 both_answer inside $how "$node" "$port"
done
expect 1 service other "type: NodePort, ports: [{port: 53, nodePort: $port}]"
says "spec.ports[0].nodePort: Invalid value: $port: provided port is already allocated"
expect 1 service other "type: NodePort, ports: [{port: 53, nodePort: 80}]"
says "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
expect 1 service other "type: ClusterIP, ports: [{port: 53, nodePort: 30001}]"
says "spec.ports[0].nodePort: Forbidden: may not be used when \`type\` is 'ClusterIP'"
expect 1 service other "type: NodePort, ports: [{name: a, port: 53, nodePort: 32767}, {name: b, port: 54, nodePort: 32767}]"
says "spec.ports[1].nodePort: Duplicate value: 32767"

# --- an update keeps the port; another type gives it back and closes it
expect 0 service node "type: NodePort, ports: [{name: t, port: 80, targetPort: 5000}]"
[ "$(k get service node -o 'jsonpath={.spec.ports[*].nodePort}')" = "$port" ] || fail "the node port changed: $(k get service node -o yaml)"
eventually 60 both_answer outside tcp "$FIRESTEEL_BIND" "$port"
expect 0 k patch service node -p '{"spec":{"type":"ClusterIP"}}'
[ -z "$(k get service node -o 'jsonpath={.spec.ports[*].nodePort}{.spec.externalTrafficPolicy}')" ] || fail "left of the old type: $(k get service node -o yaml)"
eventually 30 gone "$port"

# --- a port that something on the host has: said at the service, taken as soon as it is free
mkfifo "$TEST_TMP/hold"
python3 - "$TEST_TMP" <<'P' &
import os, random, socket, sys
while True:
    port = random.randrange(30000, 32768)
    try:
        held = socket.create_server((os.environ["FIRESTEEL_BIND"], port))
        break
    except OSError:
        pass
open(sys.argv[1] + "/port", "w").write(str(port))
open(sys.argv[1] + "/hold").read()
P
holder=$!
eventually 30 test -s "$TEST_TMP/port"
held=$(cat "$TEST_TMP/port")
expect 0 service late "type: NodePort, ports: [{port: 80, targetPort: 5000, nodePort: $held}]"
complained() { k get events --field-selector involvedObject.name=late -o 'jsonpath={.items[*].message}' | grep "port $held on $FIRESTEEL_BIND is taken by python3" >/dev/null; }
eventually 30 complained
eventually 60 both_answer inside tcp "$node" "$held"
echo >"$TEST_TMP/hold"
wait $holder
eventually 60 both_answer outside tcp "$FIRESTEEL_BIND" "$held"

# --- a session moves on when its pod goes
cat >"$TEST_TMP/stays.py" <<'P'
import socket, sys, time
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(0.2)
seen = []
while len(seen) < 2:
    try:
        udp.sendto(b"x", (sys.argv[1], 53))
        name = udp.recv(100).decode().split()[0]
    except OSError:
        continue
    if name not in seen:
        seen.append(name)
        print(name, flush=True)
P
k exec client -- timeout 100 python3 /t/stays.py plain >"$TEST_TMP/stays" &
asker=$!
eventually 30 test -s "$TEST_TMP/stays"
expect 0 k delete pod "$(head -n 1 "$TEST_TMP/stays")" --now
wait $asker || fail "the session did not move on: $(cat "$TEST_TMP/stays")"
