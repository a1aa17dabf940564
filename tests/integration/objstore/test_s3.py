#!/usr/bin/env python3
"""objstore against moto's S3 and STS, and against metadata services played here. test_s3.py OBJTOOL

moto is `pip install 'moto[server]'`; MOTO_SERVER names its moto_server when it is not in PATH."""
import contextlib
import hashlib
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

OBJTOOL = sys.argv.pop(1)
MOTO = os.environ.get("MOTO_SERVER") or shutil.which("moto_server") or ""
if not os.access(MOTO, os.X_OK):
    print("skipped: no moto_server; pip install 'moto[server]' and set MOTO_SERVER")
    sys.exit(77)


def free_place():
    """A loopback address that nobody else uses, and a free port there: it stays free until the server that is told of it has it."""
    address = "127." + ".".join(str(random.randint(2, 254)) for _ in range(3))
    with socket.socket() as s:
        s.bind((address, 0))
        return address, s.getsockname()[1]


def start_moto():
    address, port = free_place()
    url = f"http://{address}:{port}"
    output = tempfile.TemporaryFile()
    process = subprocess.Popen([MOTO, "-H", address, "-p", str(port)], stdout=output, stderr=output)
    for _ in range(1200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/moto-api/", timeout=60).read()
            return url, process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    output.seek(0)
    sys.exit(f"{MOTO} does not start: {output.read().decode(errors='replace')[-3000:]}")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by self.server.answer(method, path, headers, body) -> (status, headers, body)."""
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, answer = self.server.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def play(answer):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer = answer
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def tool(env, *args, check=True):
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    clean.update({k.replace(".", "__"): v for k, v in env.items()})
    done = subprocess.run([OBJTOOL, *args], env=clean, capture_output=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return done


MOTO_URL, MOTO_PROCESS = start_moto()
KEYS = {"fs.s3a.access.key": "AKIA", "fs.s3a.secret.key": "secret", "fs.s3a.endpoint": MOTO_URL}


class Moto(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.bucket = "b-" + self.id().split(".")[-1].replace("_", "-")[:40].lower().rstrip("-")
        urllib.request.urlopen(urllib.request.Request(f"{MOTO_URL}/{self.bucket}", method="PUT")).read()

    def url(self, key=""):
        return f"s3a://{self.bucket}/{key}"

    def file(self, size):
        path = os.path.join(self.directory, "file")
        with open(path, "wb") as f:
            left = size
            while left > 0:
                f.write(os.urandom(min(left, 1 << 20)))
                left -= 1 << 20
            f.truncate(size)
        return path

    def test_puts_and_reads(self):
        key = "dir/a b+c&d=é%41/\"<x>'.txt"
        tool(KEYS, "put", self.url(key), "0123456789")
        self.assertEqual(tool(KEYS, "read", self.url(key), "0", "100").stdout, b"0123456789")
        self.assertEqual(tool(KEYS, "read", self.url(key), "3", "4").stdout, b"3456")
        self.assertEqual(tool(KEYS, "read", self.url(key), "10", "4").stdout, b"")
        out = tool(KEYS, "stat", self.url(key)).stdout.decode()
        self.assertTrue(out.startswith(self.url(key) + " 10 " + hashlib.md5(b"0123456789").hexdigest()), out)
        self.assertAlmostEqual(int(out.split()[-1]) / 1000, time.time(), delta=60)
        self.assertIn(self.url(key) + " 10 ", tool(KEYS, "lsr", self.url()).stdout.decode())
        tool(KEYS, "rm", self.url(key))
        tool(KEYS, "rm", self.url(key))
        gone = tool(KEYS, "stat", self.url(key), check=False)
        self.assertIn(b"there is no such object", gone.stderr)

    def test_lists_in_pages_and_by_directory(self):
        for i in range(25):
            tool(KEYS, "put", self.url(f"logs/app-{i:02}"), "x")
        tool(KEYS, "put", self.url("logs/sub/one"), "x")
        tool(KEYS, "put", self.url("other"), "x")
        lines = tool(KEYS, "ls", self.url("logs/"), "10").stdout.decode().splitlines()
        self.assertEqual([x.split()[0] for x in lines[:-1]], [self.url(f"logs/app-{i:02}") for i in range(25)] + [self.url("logs/sub/")])
        self.assertEqual(lines[-1], "pages 3")
        lines = tool(KEYS, "lsr", self.url("logs/")).stdout.decode().splitlines()
        self.assertEqual((lines[-2].split()[0], lines[-1]), (self.url("logs/sub/one"), "pages 1"))
        self.assertEqual(tool(KEYS, "ls", self.url("nothing/")).stdout, b"pages 1\n")
        self.assertEqual(len(tool(KEYS, "ls", self.url("logs/app-1")).stdout.splitlines()), 11)

    def test_uploads_small_and_large_files(self):
        for size in (0, 1, 5 << 20, (16 << 20) + 1, 50 << 20):
            path = self.file(size)
            out = tool(KEYS, "upload", path, self.url("up")).stdout.decode().splitlines()
            self.assertEqual(out[-1], f"{size}/{size}")
            got = tool(KEYS, "read", self.url("up"), "0", str(64 << 20)).stdout
            with open(path, "rb") as f:
                self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(f.read()).digest())

    def test_explains_missing_buckets_and_files(self):
        self.assertIn(b"there is no such bucket", tool(KEYS, "ls", "s3a://not-there-at-all/x", check=False).stderr)
        self.assertIn(b"No such file", tool(KEYS, "upload", "/nonexistent", self.url("x"), check=False).stderr)
        self.assertIn(b"names no bucket", tool(KEYS, "stat", "s3a:///x", check=False).stderr)

    def test_credentials_of_the_environment_and_profiles(self):
        endpoint = {"AWS_ENDPOINT_URL_S3": MOTO_URL}
        tool({**endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "put", self.url("x"), "1")
        aws = os.path.join(self.directory, ".aws")
        os.mkdir(aws)
        with open(os.path.join(aws, "credentials"), "w") as f:
            f.write("# mine\n[default]\naws_access_key_id = a\naws_secret_access_key = b\n[half]\naws_access_key_id = a\n")
        with open(os.path.join(aws, "config"), "w") as f:
            f.write("[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
                    "source_profile = default\n[profile process]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"s\"}'\n"
                    "[profile broken]\ncredential_process = echo no >&2; exit 3\n[profile sso]\nsso_session = x\n")
        home = {**endpoint, "HOME": self.directory}
        tool(home, "put", self.url("x"), "1")
        tool({**home, "AWS_PROFILE": "process"}, "put", self.url("x"), "1")
        tool({**home, "AWS_PROFILE": "role", "AWS_ENDPOINT_URL_STS": MOTO_URL}, "put", self.url("x"), "1")
        for profile, text in (("half", "aws_secret_access_key must be set together"), ("broken", "exit code 3: no"), ("sso", "export-credentials"),
                              ("absent", "AWS_PROFILE names the profile absent")):
            self.assertIn(text, tool({**home, "AWS_PROFILE": profile}, "put", self.url("x"), "1", check=False).stderr.decode())
        self.assertIn("no AWS credentials are configured", tool(endpoint, "put", self.url("x"), "1", check=False).stderr.decode())

    def test_web_identity(self):
        token = os.path.join(self.directory, "token")
        with open(token, "w") as f:
            f.write("a.b.c\n")
        tool({"AWS_ENDPOINT_URL": MOTO_URL, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}, "put",
             self.url("x"), "1")

    def remote(self, answer, env):
        """Credentials by a service; S3 is played too, to see what was signed with."""
        seen = []

        def s3(method, path, headers, body):
            seen.append(headers)
            return 200, {}, b""

        with play(answer) as port, play(s3) as s3_port:
            done = tool({"fs.s3a.endpoint": f"127.0.0.1:{s3_port}", "fs.s3a.connection.ssl.enabled": "false", **env(port)}, "put", self.url("x"), "1", check=False)
        return done, seen

    def test_container_credentials(self):
        token = os.path.join(self.directory, "token")
        with open(token, "w") as f:
            f.write("let me in")

        def answer(method, path, headers, body):
            if headers["Authorization"] != "let me in":
                return 403, {}, b"who are you"
            return 200, {}, json.dumps({"AccessKeyId": "CONTAINER", "SecretAccessKey": "s", "Token": "tok", "Expiration": "2099-01-01T00:00:00Z"}).encode()

        done, seen = self.remote(answer, lambda p: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{p}/v1/credentials",
                                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Credential=CONTAINER/", seen[0]["Authorization"])
        self.assertEqual(seen[0]["X-Amz-Security-Token"], "tok")
        done, seen = self.remote(answer, lambda p: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{p}/v1/credentials"})
        self.assertIn(b"who are you", done.stderr)

    def test_instance_metadata(self):
        def answer(method, path, headers, body):
            if (method, path) == ("PUT", "/latest/api/token"):
                return 200, {}, b"session"
            if headers["X-aws-ec2-metadata-token"] != "session":
                return 401, {}, b""
            if path == "/latest/meta-data/iam/security-credentials/":
                return 200, {}, b"my-role"
            if path == "/latest/meta-data/iam/security-credentials/my-role":
                return 200, {}, json.dumps({"Code": "Success", "AccessKeyId": "EC2", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}).encode()
            return 404, {}, b""

        done, seen = self.remote(answer, lambda p: {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{p}", "AWS_EC2_METADATA_DISABLED": ""})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Credential=EC2/", seen[0]["Authorization"])


ERROR = "<?xml version='1.0'?><Error><Code>%s</Code><Message>%s</Message>%s</Error>"


class Played(unittest.TestCase):
    """An S3 that behaves badly."""

    def run_against(self, answers, *args, env=(), check=False):
        seen = []

        def answer(method, path, headers, body):
            seen.append((method, path, headers, body))
            found = answers(len(seen), method, path, body)
            return found if isinstance(found, tuple) else (200, {}, found or b"")

        with play(answer) as port:
            done = tool({**KEYS, "fs.s3a.endpoint": f"http://127.0.0.1:{port}", **dict(env)}, *args, check=check)
        return done, seen

    def test_tries_again_when_s3_is_busy(self):
        done, seen = self.run_against(lambda n, *_: (503, {}, (ERROR % ("SlowDown", "later", "")).encode()) if n < 3 else b"data", "read", "s3a://bucket/k", "0", "9")
        self.assertEqual((done.stdout, len(seen)), (b"data", 3))

    def test_gives_up_after_so_many_attempts(self):
        done, seen = self.run_against(lambda n, *_: (500, {}, (ERROR % ("InternalError", "oh dear", "")).encode()), "read", "s3a://bucket/k", "0", "9",
                                      env={"fs.s3a.attempts.maximum": "2"}.items())
        self.assertIn(b"oh dear (InternalError)", done.stderr)
        self.assertEqual(len(seen), 2)

    def test_does_not_repeat_refusals(self):
        done, seen = self.run_against(lambda n, *_: (403, {}, (ERROR % ("SignatureDoesNotMatch", "no", "")).encode()), "read", "s3a://bucket/k", "0", "9")
        self.assertIn(b"the secret key is wrong", done.stderr)
        self.assertEqual(len(seen), 1)

    def test_learns_the_region(self):
        def answers(n, method, path, body):
            return (400, {}, (ERROR % ("AuthorizationHeaderMalformed", "wrong", "<Region>eu-central-1</Region>")).encode()) if n == 1 else b"data"

        done, seen = self.run_against(answers, "read", "s3a://bucket/k", "0", "9")
        self.assertEqual(done.stdout, b"data")
        self.assertIn("/eu-central-1/s3/aws4_request", seen[1][2]["Authorization"])

    def test_bucket_settings_win(self):
        done, seen = self.run_against(lambda n, *_: b"data", "read", "s3a://bucket/k", "0", "9",
                                      env={"fs.s3a.bucket.bucket.access.key": "OWN", "fs.s3a.bucket.bucket.endpoint.region": "xx"}.items())
        self.assertIn("Credential=OWN/", seen[0][2]["Authorization"])
        self.assertIn("/xx/s3/", seen[0][2]["Authorization"])

    def test_anonymous_requests_are_not_signed(self):
        done, seen = self.run_against(lambda n, *_: b"data", "read", "s3a://bucket/k", "0", "9",
                                      env={"fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"}.items())
        self.assertNotIn("Authorization", seen[0][2])

    def test_discards_the_parts_of_a_failed_upload(self):
        def answers(n, method, path, body):
            if path.endswith("?uploads="):
                return b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            if "partNumber=2" in path:
                return 403, {}, (ERROR % ("AccessDenied", "not this one", "")).encode()
            return 200, {"ETag": '"e"'}, b""

        with tempfile.NamedTemporaryFile() as f:
            f.truncate(20 << 20)
            done, seen = self.run_against(answers, "upload", f.name, "s3a://bucket/k")
        self.assertIn(b"not this one", done.stderr)
        self.assertIn(("DELETE", "/bucket/k?uploadId=u1"), [s[:2] for s in seen])  # which of two that were under way is written down first is chance

    def test_believes_errors_in_a_200(self):
        def answers(n, method, path, body):
            if path.endswith("?uploads="):
                return b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            if method == "POST":
                return (ERROR % ("EntityTooSmall", "parts too small", "")).encode()
            return 200, {"ETag": '"e"'}, b""

        with tempfile.NamedTemporaryFile() as f:
            f.truncate(20 << 20)
            done, seen = self.run_against(answers, "upload", f.name, "s3a://bucket/k")
        self.assertIn(b"parts too small", done.stderr)
        self.assertEqual(seen[-1][0], "DELETE")

    def test_listing_that_is_no_listing(self):
        done, _ = self.run_against(lambda n, *_: b"<html></html>", "ls", "s3a://bucket/")
        self.assertIn(b"not a listing", done.stderr)


class Files(unittest.TestCase):
    def test_the_same_verbs_work_on_files(self):
        with tempfile.TemporaryDirectory() as d:
            tool({}, "put", f"file://{d}/a/b/one", "0123456789")
            tool({}, "put", f"{d}/a/two", "x")
            self.assertEqual(tool({}, "read", f"file:{d}/a/b/one", "8", "10").stdout, b"89")
            lines = tool({}, "ls", f"file://{d}/a/").stdout.decode().splitlines()
            self.assertEqual([x.split()[0] for x in lines[:-1]], [f"file://{d}/a/b/", f"file://{d}/a/two"])
            lines = tool({}, "lsr", f"{d}/a/", "1").stdout.decode().splitlines()
            self.assertEqual(([x.split()[0] for x in lines[:-1]], lines[-1]), ([f"{d}/a/b/one", f"{d}/a/two"], "pages 2"))
            tool({}, "upload", f"{d}/a/two", f"file://{d}/c/three")
            self.assertEqual(tool({}, "read", f"{d}/c/three", "0", "5").stdout, b"x")
            tool({}, "rm", f"{d}/c/three")
            self.assertIn(b"No such file", tool({}, "stat", f"{d}/c/three", check=False).stderr)


try:
    result = unittest.main(verbosity=2, exit=False, warnings="ignore").result
finally:
    MOTO_PROCESS.terminate()
    MOTO_PROCESS.wait(timeout=30)
sys.exit(not result.wasSuccessful())
