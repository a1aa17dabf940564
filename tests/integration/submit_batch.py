#!/usr/bin/env python3
"""firesteel submit --batch: results by line, one line's trouble is not another's, connections are kept, memory does not grow."""
# timeout: 240
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from recorder import Recorder

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIRESTEEL = os.environ.get("FIRESTEEL", str(ROOT / "build/firesteel"))
IMAGE = "-c spark.kubernetes.container.image=img:1"


class Batch(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMP"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.directory, "NO_COLOR": "1", "FIRESTEEL_SPARK_VERSION": "4.1.4"}

    def start(self, *options, **kw):
        return subprocess.Popen([FIRESTEEL, "submit", "--batch", *options], cwd=self.directory, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                stdin=kw.pop("stdin", subprocess.DEVNULL), **kw)

    def batch(self, lines, *options, code=0, text=None):
        path = pathlib.Path(self.directory, "jobs")
        path.write_text(text if text is not None else "\n".join(lines) + "\n")
        process = self.start(str(path), *options)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def rows(self, out):
        return [json.loads(line) for line in out.splitlines()]

    def test_every_line_is_a_job_and_results_come_in_their_order(self):
        lines = ["# nightly", "", f"--name one {IMAGE} local:///a.py x 'y z'", f"spark-submit --name two {IMAGE} local:///b.py # with its name",
                 f"/opt/spark/bin/spark-submit --name three {IMAGE} local:///c.py", f"firesteel submit --name four {IMAGE} local:///d.py"]
        with Recorder() as api:
            out, err = self.batch(lines, "--master", "k8s://" + api.url, "-o", "json")
            rows = self.rows(out)
            self.assertEqual([r["line"] for r in rows], [3, 4, 5, 6])
            self.assertEqual([r["applicationName"] for r in rows], ["one", "two", "three", "four"])
            for row in rows:
                pod = api.store["default", "pods", row["driverPod"]]
                self.assertEqual(pod["metadata"]["labels"]["spark-app-selector"], row["applicationId"])
                self.assertEqual(row["submissionId"], "default:" + row["driverPod"])
            self.assertEqual(api.store["default", "pods", rows[0]["driverPod"]]["spec"]["containers"][0]["args"][-2:], ["x", "y z"])
            # The ConfigMap and the Service are there, and owned.
            for (_, plural, _), o in api.store.items():
                if plural != "pods":
                    self.assertEqual(len(o["metadata"]["ownerReferences"]), 1)
        self.assertIn("4 submitted, 0 failed", err)

    def test_a_bad_line_says_why_and_the_others_go_on(self):
        lines = [f"--name a {IMAGE} local:///a.py", "--name b local:///no-image.py", "--name 'c", f"--nonsense {IMAGE} x.py", f"{IMAGE} --deploy-mode client x.py",
                 f"{IMAGE} missing.py", f"--master yarn {IMAGE} local:///x.py", "--kill x", f"--name z {IMAGE} local:///z.py"]
        with Recorder() as api:
            out, err = self.batch(lines, "--master", "k8s://" + api.url, "-o", "json", code=1)
            rows = {r["line"]: r for r in self.rows(out)}
            pods = [name for name in api.objects() if name.startswith("pods/")]
        self.assertEqual(list(rows), list(range(1, 10)))
        self.assertNotIn("error", rows[1])
        self.assertNotIn("error", rows[9])
        self.assertEqual(len(pods), 2)
        for line, words in ((2, "Must specify the driver container image"), (3, "column 8: this ' is not closed"), (4, "--nonsense"), (5, "cluster mode only"),
                            (6, "spark.kubernetes.file.upload.path"), (7, "yarn"), (8, "a batch only submits")):
            self.assertIn(words, rows[line]["error"], line)
            self.assertNotIn("driverPod", rows[line])
        self.assertIn("2 submitted, 7 failed", err)

    def test_the_table_names_lines_too(self):
        with Recorder() as api:
            out, err = self.batch([f"--name a {IMAGE} local:///a.py", "--name b local:///b.py"], "--master", "k8s://" + api.url, code=1)
        header, first, second = out.splitlines()
        self.assertEqual(header.split(), ["LINE", "APPLICATION", "DRIVER", "POD", "OR", "ERROR"])
        self.assertRegex(first, r"^1 +spark-[0-9a-f]{32}  default:a-[0-9a-f]{16}-driver$")
        self.assertRegex(second, r"^2 +- +failed: Must specify the driver container image")

    def test_a_refused_submission_leaves_nothing_behind(self):
        for skip in range(3):
            with self.subTest(skip), Recorder(fail=[{"path": "/api/", "status": 403, "times": 1, "skip": skip}]) as api:
                out, _ = self.batch([f"--name refused {IMAGE} local:///a.py", f"--name b {IMAGE} local:///b.py"], "--master", "k8s://" + api.url, "-o", "json", "--parallel", "1", code=1)
                first, second = self.rows(out)
                self.assertIn("error", first)
                self.assertEqual(len(api.objects()), 3, api.objects())
                self.assertTrue(all("refused" not in name for name in api.objects()))

    def test_fail_fast_leaves_the_rest_out(self):
        with Recorder() as api:
            out, err = self.batch(["--name a local:///no-image.py"] + [f"--name b {IMAGE} local:///b.py"] * 20, "--fail-fast", "--master", "k8s://" + api.url, "-o", "json", code=1)
            self.assertEqual([r["line"] for r in self.rows(out)], [1])
            self.assertEqual(api.requests, [])
        self.assertIn("the lines after these were left out", err)

    def test_lines_are_taken_as_they_come(self):
        with Recorder() as api:
            process = self.start("-", "--master", "k8s://" + api.url, "-o", "name", stdin=subprocess.PIPE, bufsize=0)
            process.stdin.write(f"--name first {IMAGE} local:///a.py\n")
            until = time.monotonic() + 60
            while not any(o.startswith("pods/first") for o in api.objects()) and time.monotonic() < until:
                time.sleep(0.02)
            self.assertTrue(api.objects(), "the first job waits for the end of the input")
            process.stdin.write(f"--name second {IMAGE} local:///a.py") # no newline at the end
            out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, len(out.splitlines())), (0, 2), err)

    def test_ctrl_c_while_it_reads_ends_it(self):
        with Recorder() as api:
            process = self.start("-", "--master", "k8s://" + api.url, stdin=subprocess.PIPE, bufsize=0)
            process.stdin.write(f"--name first {IMAGE} local:///a.py\n")
            until = time.monotonic() + 60
            while not api.objects() and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            process.wait(60) # the input stays open
            out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("interrupted", err)

    def test_uploads_of_a_line(self):
        pathlib.Path(self.directory, "main.py").write_text("print(1)")
        up = f"-c spark.kubernetes.file.upload.path=file://{self.directory}/up"
        with Recorder(fail=[{"method": "POST", "path": "/pods", "status": 403, "skip": 1}]) as api:
            self.batch([f"--name a {IMAGE} {up} main.py", f"--name b {IMAGE} {up} main.py"], "--parallel", "1", "--master", "k8s://" + api.url, code=1)
        self.assertEqual(len(list(pathlib.Path(self.directory, "up").rglob("main.py"))), 1, "the upload of the failed line was not removed")

    def test_wrong_command_lines(self):
        for options in (["-o", "yaml"], ["--follow"], ["--dry-run"]):
            self.assertIn("batch", self.batch([], *options, code=2)[1])
        process = self.start("jobs", "local:///x.py")
        self.assertIn("has no place here", process.communicate()[1])
        self.assertEqual(process.returncode, 2)
        process = self.start(self.directory + "/nothing")
        self.assertIn("nothing: No such file", process.communicate()[1])
        self.assertEqual(process.returncode, 1)
        self.assertIn("more than 1048576 bytes", self.batch([], text="x" * 2000000, code=1)[1])

    def test_connections_are_kept_and_memory_does_not_grow(self):
        peaks = []
        for count in (50, 1500):
            with Recorder(keep_bodies=False) as api:
                self.batch([f"--name j {IMAGE} local:///a.py {i}" for i in range(count)], "--master", "k8s://" + api.url, "--parallel", "4", "-o", "name")
                self.assertEqual(sum(1 for _, plural, _ in api.store if plural == "pods"), count)
                self.assertLessEqual(api.connections, 8)
            peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        # A process that is forked from this one starts with its peak: what counts is that thirty times the lines do not move it.
        self.assertLess(peaks[1] - peaks[0], 8 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=2)
