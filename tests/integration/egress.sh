#!/usr/bin/env bash
# The pods' way out: TCP, UDP and names outside the cluster, and its being off. The outside is a network namespace of the test's own.
# timeout: 300
if [ -z "${EGRESS_INSIDE:-}" ]; then
        here=$(cd "$(dirname "$0")" && pwd)
        flags=-n
        [ "$(id -u)" = 0 ] || flags=-Urn
        unshare $flags true 2>/dev/null || { echo "network namespaces may not be made here"; exit 77; }
        command -v ip >/dev/null || { echo "ip is not here"; exit 77; }
        EGRESS_INSIDE=1 exec unshare $flags "$here/$(basename "$0")"
fi
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
ip link set lo up
ip link add outside type bridge # its address is all that is wanted
ip addr add 198.51.100.1/24 dev outside
ip link set outside up
cat >"$TEST_TMP/outside.py" <<'P'
"""An HTTP server, a UDP echo that tells the port it was called from, and a resolver for example.test."""
import http.server, socket, socketserver, sys, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"x" * int(self.path[1:] or 3)
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        got = len(self.rfile.read(int(self.headers["Content-Length"])))
        body = str(got).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass

class Echo(socketserver.BaseRequestHandler):
    def handle(self): self.request[1].sendto(b"echo " + self.request[0], self.client_address)

class Names(socketserver.BaseRequestHandler):
    def handle(self):
        q, s = self.request
        known = b"\x07example\x04test" in q
        end = q.index(b"\0", 12) + 5
        answer = q[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + (b"\0\1" if known else b"\0\0") + b"\0\0\0\0" + q[12:end]
        if known: answer += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("198.51.100.1")
        s.sendto(answer, self.client_address)

servers = [http.server.ThreadingHTTPServer(("198.51.100.1", p), Page) for p in (80, 8099)]
servers += [socketserver.ThreadingUDPServer(("198.51.100.1", 7777), Echo), socketserver.ThreadingUDPServer(("127.0.0.1", 5399), Names)]
for s in servers: threading.Thread(target=s.serve_forever, daemon=True).start()
open(sys.argv[1], "w").close()
threading.Event().wait()
P
python3 "$TEST_TMP/outside.py" "$TEST_TMP/serves" &
eventually 20 test -e "$TEST_TMP/serves"
expect 0 "$f" local up -q --resolver 127.0.0.1:9 --resolver 127.0.0.1:5399
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
expect 0 "$f" local status
says 'relay in user space'

k run box --image=python --restart=Never -- sleep 1000 >/dev/null
expect 0 k wait --for=condition=Ready pod/box --timeout=180s
py() { k exec box -- python3 -c "$1"; }
for port in 80 8099 8099; do
        expect 0 py "import urllib.request; print(len(urllib.request.urlopen('http://198.51.100.1:$port/3000000', timeout=120).read()))"
        [ "$out" = 3000000 ] || fail "not all came through: $out"
done
expect 0 py "import urllib.request; print(urllib.request.urlopen('http://198.51.100.1:8099/', data=b'y' * 5000000, timeout=120).read())"
says 5000000
# Nobody listens there: an error, not a pause.
expect 0 py "
import socket
try: print('got', socket.create_connection(('198.51.100.1', 8098), 30).recv(1))
except ConnectionResetError: print('reset')"
says reset
expect 0 py "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(30); s.connect(('198.51.100.1', 7777))
for n in range(5): s.send(b'%d' % n); print(s.recv(100).decode())
s.send(b'z' * 1400); print(len(s.recv(9000)))"
says 'echo 4'
# Names: of the outside by the second resolver (the first is not there), of the cluster as before, of nobody.
expect 0 py "import socket; print(socket.gethostbyname('example.test'), socket.gethostbyname('kubernetes.default'))"
says '198.51.100.1 10.96.0.1'
expect 1 py "import socket; socket.gethostbyname('nobody.test')"
says 'not known'
expect 0 py "import urllib.request; print(len(urllib.request.urlopen('http://example.test/5', timeout=120).read()))"
says 5
# Services that only stand for a name: outside, inside, and one that nobody has.
k create service externalname there --external-name=example.test >/dev/null
k create service externalname inside --external-name=kubernetes.default.svc.cluster.local >/dev/null
k create service externalname lost --external-name=nobody.test >/dev/null
eventually 30 py "import socket; socket.gethostbyname('there'); socket.gethostbyname('inside')"
expect 0 py "import socket; print(socket.gethostbyname_ex('there'), socket.gethostbyname_ex('inside.default.svc.cluster.local'))"
says "('example.test', ['there.default.svc.cluster.local'], ['198.51.100.1'])"
says "('kubernetes.default.svc.cluster.local', ['inside.default.svc.cluster.local'], ['10.96.0.1'])"
expect 1 py "import socket; socket.gethostbyname('lost')"
says 'not known'
# The API server's address has port 443, too; a service on a port that is also used outside; and what runs goes on after a new start.
expect 0 py "import urllib.request, ssl; print(urllib.request.urlopen('https://kubernetes.default.svc/version', context=ssl._create_unverified_context(), timeout=120).status)"
says 200
k run web --image=python --restart=Never --port=8099 -- python3 -m http.server 8099 >/dev/null
k expose pod web --port=8099 >/dev/null
expect 0 k wait --for=condition=Ready pod/web --timeout=180s
reach_web() { py "import urllib.request; urllib.request.urlopen('http://web:8099/etc/', timeout=60)"; }
eventually 30 reach_web
pid=$(server_pid)
kill -9 "$pid"
eventually 5 ended "$pid"
expect 0 "$f" local up -q --resolver 127.0.0.1:5399
eventually 30 reach_web
expect 0 py "import urllib.request; print(len(urllib.request.urlopen('http://example.test:8099/6', timeout=120).read()))"
says 6

# --- off
expect 0 "$f" local down
expect 0 "$f" local up -q --no-egress --resolver 127.0.0.1:5399
expect 0 "$f" local status
says '--no-egress'
expect 0 k delete pod box --now
k run box --image=python --restart=Never -- sleep 1000 >/dev/null
expect 0 k wait --for=condition=Ready pod/box --timeout=180s
expect 1 py "import socket; socket.create_connection(('198.51.100.1', 80), 2)"
says 'timed out'
expect 1 py "import socket; socket.gethostbyname('example.test')"
