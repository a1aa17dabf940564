#!/usr/bin/env python3
"""Real pods by crun on a cluster of their own: test_pods.py RUN_PODS [TEST...]. Ends with 77 where the machine cannot run containers."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

program = os.path.abspath(sys.argv[1])
scratch = tempfile.mkdtemp(prefix="firesteel-test-")
os.chmod(scratch, 0o755)


def container(name, script, **more):
    return dict(name=name, image="busybox", command=["sh", "-c", script], **more)


def pod(name, containers, **spec):
    return dict(apiVersion="v1", kind="Pod", metadata=dict(name=name, labels=dict(app=name)),
                spec=dict(dict(nodeName="node", restartPolicy="Never", terminationGracePeriodSeconds=2, containers=containers), **spec))


def write(objects):
    handle, path = tempfile.mkstemp(suffix=".yaml", dir=scratch)
    with os.fdopen(handle, "w") as f:
        f.write("\n---\n".join(json.dumps(o) for o in objects))
    return path


def run(objects, *options):
    out = subprocess.run([program, *options, write(objects)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if out.returncode == 77:
        print("skipped:", out.stdout.strip())
        sys.exit(77)
    assert out.returncode == 0, out.stdout
    return out.stdout


def states(out, name):
    """The phases of a pod in order, with repetitions removed."""
    seen = []
    for line in out.splitlines():
        found = re.match(r"\s*[\d.]+ (?:ADDED|MODIFIED|DELETED)\s+(\S+)\s+(\w+)", line)
        if found and found.group(1) == name and (not seen or seen[-1] != found.group(2)):
            seen.append(found.group(2))
    return seen


def last_state(out, name):
    lines = [line for line in out.splitlines() if re.match(r"\s*[\d.]+ MODIFIED\s+" + name + r"\s", line) and "{" in line]
    return json.loads(re.search(r"\{.*\}", lines[-1]).group(0))


def log(out, name):
    part = out.split(f"---- log of {name}\n", 1)[1]
    return part.split("\n---- end\n", 1)[0]


def events(out, name):
    return re.findall(r"event\s+" + name + r"\s+\w+ (\w+):", out)


def test_a_pod_sees_its_configuration_and_ends_with_its_code():
    config = dict(apiVersion="v1", kind="ConfigMap", metadata=dict(name="c"), data={"a": "from a map", "b": "2"})
    out = run([config, pod("p", [container(
        "main", "echo $GREETING $(IP); cat /c/x/a; echo; hostname; grep -c p /etc/hosts; test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token; "
        "echo err >&2; exit 3",
        env=[dict(name="WHO", value="you"), dict(name="GREETING", value="hello $(WHO)"), dict(name="IP", valueFrom=dict(fieldRef=dict(fieldPath="status.podIP")))],
        volumeMounts=[dict(name="c", mountPath="/c")])],
        volumes=[dict(name="c", configMap=dict(name="c", items=[dict(key="a", path="x/a")]))])])
    text = log(out, "p")
    # $(IP) inside a shell script is expanded by Kubernetes, too.
    assert re.search(r"^hello you 10\.244\.0\.\d+$", text, re.M), out
    for line in ("from a map", "p", "token", "err"):
        assert line in text.splitlines(), out
    assert states(out, "p") == ["Pending", "Running", "Failed"], out
    end = last_state(out, "p")["terminated"]
    assert end["exitCode"] == 3 and end["reason"] == "Error", end
    assert events(out, "p")[:3] == ["Pulled", "Created", "Started"], out


def test_a_pod_waits_for_its_configuration():
    # The map comes after the pod, in the same file.
    config = dict(apiVersion="v1", kind="ConfigMap", metadata=dict(name="late"), data=dict(a="there"))
    out = run([pod("w", [container("main", "cat /c/a", volumeMounts=[dict(name="c", mountPath="/c")])], volumes=[dict(name="c", configMap=dict(name="late"))]), config])
    assert log(out, "w") == "there", out
    assert states(out, "w")[-1] == "Succeeded", out


def test_init_containers_and_sidecars_run_in_order():
    out = run([pod("i", [container("main", "cat /w/a; test -e /w/side && echo side is up", volumeMounts=[dict(name="w", mountPath="/w")])],
                   initContainers=[container("side", "touch /w/side; trap 'exit 0' TERM; while :; do sleep 0.05; done", restartPolicy="Always",
                                             startupProbe=dict(exec=dict(command=["test", "-e", "/w/side"]), periodSeconds=1),
                                             volumeMounts=[dict(name="w", mountPath="/w")]),
                                   container("first", "echo first > /w/a", volumeMounts=[dict(name="w", mountPath="/w")])],
                   volumes=[dict(name="w", emptyDir=dict(medium="Memory", sizeLimit="4Mi"))])])
    assert log(out, "i") == "first\nside is up\n", out
    assert states(out, "i")[-1] == "Succeeded", out


def test_too_much_memory_is_told_as_such():
    out = run([pod("m", [dict(name="main", image="python", command=["/usr/bin/python3", "-c", "import time\nx = bytearray(256 << 20)\ntime.sleep(20)"],
                              resources=dict(limits=dict(memory="64Mi")))])])
    end = last_state(out, "m")["terminated"]
    assert end["reason"] == "OOMKilled" and end["exitCode"] == 137, end


def test_an_unknown_image_backs_off():
    # Nothing listens there, which needs no network to find out. The pull is tried once, the pause after it lasts longer than the pod may.
    out = run([pod("n", [dict(name="main", image="127.0.0.1:1/none:1")], activeDeadlineSeconds=8)])
    assert "ErrImagePull" in out and "ImagePullBackOff" in out, out
    assert "DeadlineExceeded" in events(out, "n"), out
    assert states(out, "n") == ["Pending", "Failed"], out
    assert "trying and failing to pull image" in log(out, "n"), out


def test_a_crashing_container_is_restarted_with_delay():
    out = run([pod("c", [container("main", "echo once; exit 2")], restartPolicy="Always", activeDeadlineSeconds=8)])  # the third start comes after ten
    assert events(out, "c").count("Started") == 2 and "BackOff" in events(out, "c"), out
    assert "CrashLoopBackOff" in out, out


def test_probes_decide_about_readiness_and_restarts():
    # The first request is refused, so that there is a failure however late it comes.
    script = """import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_error(503) if Handler.asked == 1 else super().do_GET()
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()"""
    out = run([pod("h", [dict(name="main", image="python", command=["sh", "-c", "cd /tmp; exec /usr/bin/python3 -c \"$0\"", script], ports=[dict(name="web", containerPort=8000)],
                              startupProbe=dict(httpGet=dict(path="/", port="web"), periodSeconds=1, failureThreshold=20),
                              livenessProbe=dict(tcpSocket=dict(port=8000), periodSeconds=1),
                              lifecycle=dict(preStop=dict(exec=dict(command=["sh", "-c", "echo before > /proc/1/fd/1"]))))], activeDeadlineSeconds=12)])
    assert "Unhealthy" in events(out, "h") and "Killing" in events(out, "h"), out
    assert "GET / HTTP/1.1\" 200" in log(out, "h") and "before" in log(out, "h"), out
    dead = run([pod("d", [container("main", "sleep 60", livenessProbe=dict(exec=dict(command=["false"]), periodSeconds=1, failureThreshold=1))], activeDeadlineSeconds=12,
                    restartPolicy="Always")])
    assert events(dead, "d").count("Started") >= 2, dead


def test_deletion_shows_the_end_before_the_pod_is_gone():
    out = run([pod("x", [container("main", "trap 'exit 0' TERM; while :; do sleep 0.05; done")])], "--delete-running")
    lines = [line for line in out.splitlines() if re.match(r"\s*[\d.]+ (MODIFIED|DELETED)\s+x\s", line) and "deleting" in line]
    assert '"running"' in lines[0] and '"terminated"' in lines[-1], out
    assert any("MODIFIED" in line and '"terminated"' in line for line in lines), out
    assert "DELETED" in lines[-1], out


def test_a_killed_server_is_succeeded_by_one_that_takes_over():
    directory = tempfile.mkdtemp(dir=scratch)
    os.chmod(directory, 0o755)
    manifest = write([pod("long", [container("main", "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 7")]),
                      pod("short", [container("main", "sleep 1; exit 5")])])
    first = subprocess.Popen([program, "--dir", directory, manifest], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started = 0
    for line in first.stdout:
        started += " Started:" in line
        if started == 2:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    # The short one ends while nobody looks: its shim writes that down.
    records = os.path.join(directory, "pods")
    for _ in range(600):
        if any("exit.json" in files for _, _, files in os.walk(records)):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the shim wrote no record")
    empty = write([])
    second = subprocess.run([program, "--dir", directory, "--pods", "2", empty], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    out = second.stdout
    assert "adopted 1" in out, out
    assert last_state(out, "short")["terminated"]["exitCode"] == 5, out
    assert last_state(out, "long")["terminated"]["exitCode"] == 7, out
    assert log(out, "long").splitlines() == [str(i) for i in range(200)], out


def main():
    wanted = sys.argv[2:]
    failed = 0
    try:
        for name, fn in list(globals().items()):
            if not name.startswith("test_") or (wanted and name not in wanted):
                continue
            try:
                fn()
                print("ok", name, flush=True)
            except AssertionError as e:
                failed += 1
                print("FAILED", name, "\n", e, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
