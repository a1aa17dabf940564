#!/usr/bin/env python3
"""Uploads of a submission to S3 servers that are not ours: moto (which checks no signatures) and versitygw (which does). The driver's
configuration names what was uploaded, and its content is the file's."""
# timeout: 300
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from recorder import Recorder

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
SPARK_SUBMIT = os.environ.get("SPARK_SUBMIT", str(ROOT / "build/spark-submit"))
CACHE = os.environ.get("FIRESTEEL_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "firesteel")
MOTO = os.environ.get("MOTO_SERVER") or f"{CACHE}/moto/bin/moto_server"
GATEWAY = os.environ.get("VERSITYGW") or shutil.which("versitygw") or f"{CACHE}/versitygw/versitygw"
KEY, SECRET = "AKIDTEST", "a/very+secret=key"


def free_place():
    """A loopback address that nobody else uses, and a free port there: it stays free until the server that is told of it has it."""
    address = "127." + ".".join(str(random.randint(2, 254)) for _ in range(3))
    with socket.socket() as s:
        s.bind((address, 0))
        return address, s.getsockname()[1]


class S3:
    """A server process; what is in it is looked at by objtool's own means: plain HTTP for moto, files for versitygw."""

    def __init__(self, kind):
        self.kind, (address, port) = kind, free_place()
        self.directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))
        self.log = tempfile.TemporaryFile()
        if kind == "moto":
            argv = [MOTO, "-H", address, "-p", str(port)]
        else:
            argv = [GATEWAY, "--port", f"{address}:{port}", "--access", KEY, "--secret", SECRET, "--region", "eu-test-1", "posix", self.directory]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=self.log)
        self.url = f"http://{address}:{port}"
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((address, port), 5).close()
                break
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                raise RuntimeError(f"{argv[0]} does not start: {self.log.read().decode(errors='replace')[-3000:]}")
            time.sleep(0.05)
        if kind == "moto":
            urllib.request.urlopen(urllib.request.Request(self.url + "/jobs", method="PUT")).read()
        else:
            os.mkdir(os.path.join(self.directory, "jobs"))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def content(self, key):
        if self.kind == "moto":
            request = urllib.request.Request(f"{self.url}/jobs/{urllib.parse.quote(key)}", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/y/z/s3/aws4_request"})
            return urllib.request.urlopen(request).read()
        return pathlib.Path(self.directory, "jobs", key).read_bytes()

    def keys(self):
        if self.kind == "moto":
            tree = xml.etree.ElementTree.fromstring(urllib.request.urlopen(f"{self.url}/jobs?list-type=2").read())
            return sorted(e.text for e in tree.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key"))
        root = pathlib.Path(self.directory, "jobs")
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and ".sgwtmp" not in p.parts)

    def unfinished(self):
        """Uploads in parts that were neither completed nor discarded."""
        if self.kind == "moto":
            answer = urllib.request.urlopen(f"{self.url}/jobs?uploads").read()
            return answer.count(b"<UploadId>")
        place = pathlib.Path(self.directory, "jobs", ".sgwtmp", "multipart")
        return sum(1 for p in place.rglob("*") if p.is_file()) if place.exists() else 0


def clean_env(directory, **more):
    env = {"PATH": os.environ["PATH"], "HOME": directory, "AWS_EC2_METADATA_DISABLED": "true", "NO_COLOR": "1", "FIRESTEEL_SPARK_VERSION": "4.1.4"}
    if "LSAN_OPTIONS" in os.environ:
        env["LSAN_OPTIONS"] = os.environ["LSAN_OPTIONS"]
    return dict(env, **more)


def conf(**keys):
    return [x for key, value in keys.items() for x in ("--conf", f"{key.replace('__', '.')}={value}")]


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, name, data):
        path = pathlib.Path(self.directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def argv(self, api, *more, program=FIRESTEEL, upload="s3a://jobs/stage"):
        words = [program] + (["submit"] if program == FIRESTEEL else ["--deploy-mode", "cluster"])
        return [*words, "--master", "k8s://" + api.url, "--name", "s3", "--conf", "spark.kubernetes.container.image=img:1", "--conf",
                "spark.kubernetes.submission.waitAppCompletion=false", "--conf", "spark.kubernetes.file.upload.path=" + upload, *more]

    def run_it(self, argv, env=None, code=0):
        done = subprocess.run(argv, env=env or clean_env(self.directory), cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def properties(self, api):
        texts = [o["data"]["spark.properties"] for (_, p, _), o in api.store.items() if p == "configmaps" and "spark.properties" in o.get("data", {})]
        self.assertEqual(len(texts), 1)
        return dict(line.replace("\\:", ":").replace("\\=", "=").replace("\\ ", " ").split("=", 1) for line in texts[0].splitlines() if not line.startswith("#"))


class Common:
    """The same of both servers."""

    @classmethod
    def setUpClass(cls):
        cls.s3 = S3(cls.kind)
        cls.keys = ["--conf", f"spark.hadoop.fs.s3a.endpoint={cls.s3.url}", "--conf", f"spark.hadoop.fs.s3a.access.key={KEY}", "--conf",
                    f"spark.hadoop.fs.s3a.secret.key={SECRET}", "--conf", "spark.hadoop.fs.s3a.endpoint.region=eu-test-1"]

    @classmethod
    def tearDownClass(cls):
        cls.s3.stop()

    def check_job(self, program):
        main, lib = b"print('hello')\n", os.urandom(3000)
        self.write("main.py", main)
        self.write("lib.zip", lib)
        self.write("a b+c.txt", b"odd name")
        with Recorder() as api:
            done = self.run_it(self.argv(api, *self.keys, "--py-files", "lib.zip", "--files", "a b+c.txt", "main.py", "7", program=program))
            found = self.properties(api)
            pod = next(o for (_, p, _), o in api.store.items() if p == "pods")
        resource = pod["spec"]["containers"][0]["args"][5]
        self.assertRegex(resource, r"^s3a://jobs/stage/spark-upload-[0-9a-f-]{36}/main\.py$")
        self.assertEqual(pod["spec"]["containers"][0]["args"][6:], ["7"])
        self.assertRegex(found["spark.submit.pyFiles"], r"^s3a://jobs/stage/spark-upload-[0-9a-f-]{36}/lib\.zip$")
        self.assertRegex(found["spark.files"], r"^s3a://jobs/stage/spark-upload-[0-9a-f-]{36}/a b\+c\.txt$")
        for url, content in ((resource, main), (found["spark.submit.pyFiles"], lib), (found["spark.files"], b"odd name")):
            self.assertEqual(self.s3.content(url.removeprefix("s3a://jobs/")), content)
        return done

    def test_uploads_what_the_driver_is_told(self):
        done = self.check_job(FIRESTEEL)
        self.assertIn("Uploaded main.py", done.stderr)

    def test_under_the_name_spark_submit_too(self):
        done = self.check_job(SPARK_SUBMIT)
        self.assertIn("Uploading file: ", done.stderr)

    def test_large_files_go_in_parts(self):
        data = os.urandom(1 << 20) * 21 + b"end"
        self.write("big.jar", data)
        with Recorder() as api:
            self.run_it(self.argv(api, *self.keys, "--class", "X", "big.jar"))
            key = self.properties(api)["spark.jars"].removeprefix("s3a://jobs/")
        self.assertEqual(hashlib.sha256(self.s3.content(key)).digest(), hashlib.sha256(data).digest())
        self.assertEqual(self.s3.unfinished(), 0)

    def test_configuration_of_the_bucket_and_of_core_site(self):
        self.write("main.py", b"x")
        self.write("hadoop/core-site.xml", f"""<?xml version="1.0"?>
<?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<configuration>
  <property><name>fs.s3a.endpoint</name><value> {self.s3.url} </value></property>
  <property><name>fs.s3a.access.key</name><value>nobody</value></property>
  <property><name>fs.s3a.secret.key</name><value>nothing</value></property>
  <property><name>fs.s3a.bucket.jobs.access.key</name><value>{KEY}</value></property>
  <property><name>fs.s3a.bucket.jobs.secret.key</name><value>{SECRET}</value></property>
</configuration>""".encode())
        with Recorder() as api:
            self.run_it(self.argv(api, "--conf", "spark.hadoop.fs.s3a.endpoint.region=eu-test-1", "main.py", upload="s3://jobs/site"),
                        clean_env(self.directory, HADOOP_CONF_DIR=self.directory + "/hadoop"))
        self.assertTrue([k for k in self.s3.keys() if re.fullmatch(r"site/spark-upload-.*/main.py", k)])

    def test_keys_of_the_environment_and_of_profiles(self):
        self.write("main.py", b"x")
        self.write(".aws/credentials", f"[ours]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n".encode())
        self.write(".aws/config", b"[profile ours]\nregion=eu-test-1\n")
        place = dict(AWS_ENDPOINT_URL_S3=self.s3.url)
        for name, env in (("env", dict(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="eu-test-1")), ("profile", dict(AWS_PROFILE="ours"))):
            with self.subTest(name), Recorder() as api:
                self.run_it(self.argv(api, "main.py", upload="s3a://jobs/" + name), clean_env(self.directory, **place, **env))
                self.assertTrue([k for k in self.s3.keys() if k.startswith(name + "/spark-upload-")])

    def test_a_failed_submission_leaves_no_object_behind(self):
        before = self.s3.keys()
        self.write("main.py", b"x")
        with Recorder(fail=[{"method": "POST", "path": "/pods$", "status": 403}]) as api:
            self.run_it(self.argv(api, *self.keys, "main.py", upload="s3a://jobs/gone"), code=1)
            self.assertEqual(api.objects(), [])
        self.assertEqual(self.s3.keys(), before)

    def test_a_file_that_cannot_be_read_takes_the_others_back(self):
        before = self.s3.keys()
        self.write("a.txt", b"a")
        os.mkdir(self.directory + "/d")
        self.write("main.py", b"x")
        with Recorder() as api:
            done = self.run_it(self.argv(api, *self.keys, "--files", "a.txt", "main.py", upload="s3a://nobucket/x"), code=1)
            self.assertIn("a.txt failed", done.stderr)
            self.assertEqual(api.requests, [])
        self.assertEqual(self.s3.keys(), before)


@unittest.skipUnless(os.access(MOTO, os.X_OK), "moto is not here: tools/setup test")
class Moto(Common, Case):
    kind = "moto"


@unittest.skipUnless(os.access(GATEWAY, os.X_OK), "versitygw is not here: tools/setup test builds it where there is Go")
class Gateway(Common, Case):
    kind = "versitygw"

    def test_the_signature_is_checked(self):
        self.write("main.py", b"x")
        wrong = [w.replace(SECRET, "wrong") for w in self.keys]
        with Recorder() as api:
            done = self.run_it(self.argv(api, *wrong, "main.py"), code=1)
            self.assertEqual(api.requests, [])
        self.assertIn("the secret key is wrong", done.stderr)


class Slow:
    """S3 as far as an upload in parts goes; a part's answer waits until it is let go."""

    def __init__(self, hold="partNumber", delay=0.0):
        outer = self
        self.seen, self.hold, self.go, self.held = [], hold, threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any_method(self):
                with contextlib.suppress(OSError):
                    self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    outer.seen.append(f"{self.command} {self.path}")
                    time.sleep(delay)
                    if outer.hold in self.path and self.command != "DELETE":
                        outer.held.set()
                        outer.go.wait(60)
                    body = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>" if "uploads" in self.path else b""
                    self.send_response(204 if self.command == "DELETE" else 200)
                    self.send_header("ETag", '"e"')
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_PUT = do_POST = do_DELETE = any_method

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.keys = ["--conf", f"spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:{self.server.server_port}", "--conf", "spark.hadoop.fs.s3a.access.key=k", "--conf",
                     "spark.hadoop.fs.s3a.secret.key=s"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


class Interrupted(Case):
    def interrupt(self, hold):
        with open(self.directory + "/big.jar", "wb") as f:
            f.truncate(40 << 20)
        with Slow(hold) as s3, Recorder() as api:
            process = subprocess.Popen(self.argv(api, *s3.keys, "--class", "X", "big.jar"), env=clean_env(self.directory), cwd=self.directory,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertTrue(s3.held.wait(60))
            process.send_signal(signal.SIGINT)
            if hold == "uploads":
                time.sleep(0.2)
                s3.go.set()
            output = process.communicate(timeout=60)[0]
            self.assertEqual(process.returncode, 130, output)
            self.assertEqual(api.requests, [])
            return s3.seen

    def test_ctrl_c_discards_the_parts(self):
        seen = self.interrupt("partNumber")
        self.assertTrue([r for r in seen if r.startswith("DELETE") and "uploadId=u1" in r], seen)

    def test_ctrl_c_while_it_is_being_created_discards_it_too(self):
        seen = self.interrupt("uploads")
        self.assertTrue([r for r in seen if r.startswith("DELETE") and "uploadId=u1" in r], seen)

    def test_a_terminal_sees_a_bar(self):
        with open(self.directory + "/big.jar", "wb") as f:
            f.truncate(200 << 20)  # so many parts that they cannot all be on their way at once
        with Slow("nothing", delay=0.2) as s3, Recorder() as api:
            pid, terminal = pty.fork()
            if pid == 0:
                os.chdir(self.directory)
                argv = self.argv(api, *s3.keys, "--class", "X", "big.jar")
                os.execve(argv[0], argv, clean_env(self.directory, TERM="xterm"))
            text = b""
            with contextlib.suppress(OSError):
                while data := os.read(terminal, 65536):
                    text += data
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, text)
            os.close(terminal)
        self.assertIn("━".encode(), text)
        self.assertIn(b"Uploading big.jar", text)
        self.assertIn(b"Uploaded big.jar", text)


class Refused(Case):
    def test_other_schemes_name_what_is_accepted(self):
        self.write("main.py", b"x")
        for program in (FIRESTEEL, SPARK_SUBMIT):
            for scheme in ("hdfs://nn/x", "gs://b/x", "abfss://c@a.dfs.core.windows.net/x"):
                with self.subTest(scheme), Recorder() as api:
                    done = self.run_it(self.argv(api, "main.py", upload=scheme, program=program), code=1)
                    self.assertIn(scheme.split(":")[0] + ": places", done.stderr)
                    self.assertIn("s3a://BUCKET/PATH", done.stderr)
                    self.assertEqual(api.requests, [])

    def test_without_credentials_it_says_where_it_looked(self):
        self.write("main.py", b"x")
        with Recorder() as api:
            done = self.run_it(self.argv(api, "--conf", "spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:9", "main.py"), code=1)
        self.assertIn("no AWS credentials are configured", done.stderr)

    def test_providers_are_asked_as_configured(self):
        self.write("main.py", b"x")
        env = clean_env(self.directory, AWS_ACCESS_KEY_ID="envkey", AWS_SECRET_ACCESS_KEY="s")
        seen = []

        def answer(value, more):
            with Slow("nothing") as s3, Recorder() as api:
                keys = s3.keys + ["--conf", "spark.hadoop.fs.s3a.aws.credentials.provider=" + value, *more]
                return subprocess.run(self.argv(api, *keys, "main.py"), env=env, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60), s3.seen

        done, seen = answer("org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider", [])
        self.assertEqual(done.returncode, 1)
        self.assertIn("looked in fs.s3a.session.token", done.stderr)
        done, seen = answer("com.example.OurProvider", [])
        self.assertIn("com.example.OurProvider is a Java class that is not known here", done.stderr)
        done, seen = answer("org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider", [])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(seen), 1)


if __name__ == "__main__":
    if not os.access(MOTO, os.X_OK) and not os.access(GATEWAY, os.X_OK):
        print("neither moto nor versitygw is here (tools/setup test installs them)")
        sys.exit(77)
    unittest.main(verbosity=2)
