#!/usr/bin/env python3
"""Other people's clients against our HTTP server: curl, Python's http.client, kubectl. test_clients.py PEER"""
import base64
import contextlib
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

PEER = sys.argv.pop(1)


@contextlib.contextmanager
def peer(directory=None):
    process = subprocess.Popen([PEER] + ([directory] if directory else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.stdin.close()
        assert process.wait(timeout=120) == 0
        process.stdout.close()


def raw(port, data, shut=False):
    """Sends bytes, returns all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        s.sendall(data)
        if shut:
            s.shutdown(socket.SHUT_WR)
        out = b""
        while True:
            part = s.recv(65536)
            if not part:
                return out
            out += part


class Plain(unittest.TestCase):
    def setUp(self):
        context = peer()
        self.port, _ = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def test_http_client_keeps_the_connection(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for body in (b"", b"x", b"y" * 100000):
            c.request("POST", "/echo", body)
            sock = c.sock
            answer = c.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, body))
            self.assertIs(c.sock, sock)
        c.request("GET", "/ten")
        self.assertEqual(c.getresponse().read(), b"line\n" * 10)
        c.request("HEAD", "/hello")
        answer = c.getresponse()
        self.assertEqual((answer.getheader("Content-Length"), answer.read()), ("18", b""))
        c.request("POST", "/echo", iter([b"in", b"chunks"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(c.getresponse().read(), b"inchunks")

    def test_pipelined_requests_are_answered_in_order(self):
        request = b"".join(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d" % i for i in range(500))
        answer = raw(self.port, request + b"GET /ten HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        positions = [answer.find(b"\r\n\r\n%04d" % i) for i in range(500)]
        self.assertEqual(positions, sorted(positions))
        self.assertNotIn(-1, positions)
        self.assertTrue(answer.endswith(b"0\r\n\r\n"))

    def test_half_closed_clients_get_their_answers(self):
        one = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        self.assertEqual(raw(self.port, one * 3, shut=True).count(b'{"hello":"world"}'), 3)

    def test_http_1_0_ends_with_the_connection(self):
        answer = raw(self.port, b"GET /ten HTTP/1.0\r\n\r\n")
        self.assertNotIn(b"chunked", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n" + b"line\n" * 10))

    def test_bad_requests_get_an_answer(self):
        for request, status in (
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", b"400"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", b"400"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n", b"431"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
            (b"GET / HTTP/3.9\r\nHost: a\r\n\r\n", b"505"),
        ):
            self.assertEqual(raw(self.port, request).split(b" ")[1], status, request[:60])

    def test_curl_waits_for_100_continue(self):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"z" * 3000000)
            f.flush()
            out = subprocess.run(["curl", "-sv", "-H", "Expect: 100-continue", "--data-binary", "@" + f.name, f"http://127.0.0.1:{self.port}/echo"],
                                 capture_output=True, timeout=120)
        self.assertEqual(len(out.stdout), 3000000)
        self.assertIn(b"100 Continue", out.stderr)

    def test_large_answers_arrive_whole(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        c.request("GET", "/big?size=50000000")
        self.assertEqual(len(c.getresponse().read()), 50000000)

    def test_websocket_by_hand(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as s:
            f = s.makefile("rb")
            hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
            # The first message comes with the request: it must not be lost in the upgrade.
            s.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + hello)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += f.readline()
            self.assertIn(b"101 Switching Protocols", head)
            self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
            self.assertEqual(f.read(7), b"\x81\x05Hello")
            s.sendall(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
            self.assertEqual(f.read(), b"\x88\x02\x03\xe8")


class Descriptors(unittest.TestCase):
    def test_survives_running_out_of_descriptors(self):
        limited = f"ulimit -n 24; exec {PEER}"
        process = subprocess.Popen(["sh", "-c", limited], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        port = int(process.stdout.readline())
        many = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(60)]
        # Those above the limit are closed, not left waiting: some peer gets its end of file.
        ended = 0
        for s in many[30:]:
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(s.recv(10), b"")
            ended += 1
        self.assertEqual(ended, 30)
        # The end of file from the server says that it has given the descriptor back: only then is there room for one more.
        for s in many[:30]:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(s.recv(10), b"")
        for s in many:
            s.close()
        self.assertIn(b"200 OK", raw(port, b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        process.stdin.close()
        self.assertEqual(process.wait(timeout=120), 0)
        process.stdout.close()


class Tls(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        context = peer(self.directory)
        self.port, _ = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.ca = os.path.join(self.directory, "ca.pem")

    def test_http_client_verifies_us(self):
        c = http.client.HTTPSConnection("localhost", self.port, timeout=120, context=ssl.create_default_context(cafile=self.ca))
        for _ in range(3):
            c.request("POST", "/echo", b"q" * 200000)
            self.assertEqual(len(c.getresponse().read()), 200000)

    def test_curl_gets_http_1_1(self):
        if not shutil.which("curl"):
            self.skipTest("no curl")
        out = subprocess.run(["curl", "-sS", "-w", "%{http_version}", "--cacert", self.ca, f"https://127.0.0.1:{self.port}/hello"], capture_output=True,
                             text=True, timeout=120)
        self.assertEqual(out.stdout, '{"hello":"world"}\n1.1', out.stderr)

    def test_plain_http_is_told_so(self):
        self.assertIn(b"Client sent an HTTP request to an HTTPS server", raw(self.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))

    def test_kubectl_forwards_ports(self):
        if not shutil.which("kubectl"):
            self.skipTest("no kubectl")

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"page " + self.path.encode() + b"." * 200000
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        self.addCleanup(target.server_close)
        self.addCleanup(target.shutdown)
        config = os.path.join(self.directory, "kubeconfig")
        with open(config, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": self.ca}}],
                       "users": [{"name": "u", "user": {"token": "t"}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}, f)
        kubectl = subprocess.Popen(["kubectl", "--kubeconfig", config, "port-forward", "--address", "127.0.0.1", "pod/web", f":{target.server_port}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "HOME": self.directory})
        try:
            line = kubectl.stdout.readline()
            self.assertIn("Forwarding from 127.0.0.1:", line)
            local = int(line.split("127.0.0.1:")[1].split(" ")[0])
            for i in range(5):
                c = http.client.HTTPConnection("127.0.0.1", local, timeout=120)
                c.request("GET", f"/{i}")
                self.assertEqual(c.getresponse().read(), b"page /%d" % i + b"." * 200000)
                c.close()
        finally:
            kubectl.terminate()
            kubectl.wait(timeout=120)
            kubectl.stdout.close()


unittest.main(verbosity=2, warnings="ignore")
