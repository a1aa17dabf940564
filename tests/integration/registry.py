#!/usr/bin/env python3
# timeout: 300
"""What a registry may ask of a client, with one of our own that does on demand what real ones do: bearer tokens in both forms and their end, redirects of
layers to another host (where no credentials may arrive), refusals, limits, broken connections; and how pods tell of wrong pull secrets."""
import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse

FIRESTEEL = os.environ["FIRESTEEL"]
WHERE = pathlib.Path(os.environ.get("TEST_TMP") or tempfile.mkdtemp())
BIND = os.environ.get("FIRESTEEL_BIND") or "127.0.0.1"
# Another host, which is loopback too: plain HTTP is allowed there.
OTHER = BIND.rsplit(".", 1)[0] + "." + str(int(BIND.rsplit(".", 1)[1]) % 250 + 2)
ENV = dict(os.environ, HOME=str(WHERE / "home"), FIRESTEEL_IMAGES=str(WHERE / "images"), XDG_STATE_HOME=str(WHERE / "state"), NO_COLOR="1")
ENV.pop("DOCKER_CONFIG", None)
(WHERE / "home").mkdir(exist_ok=True)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image():
    """A manifest, its digest, and the blobs: a configuration and one layer that does not compress."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        info = tarfile.TarInfo("file")
        info.size = 300000
        t.addfile(info, io.BytesIO(os.urandom(info.size)))
    packed = gzip.compress(tar.getvalue(), mtime=0)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(packed), "size": len(packed)}]}).encode()
    return manifest, {digest(config): config, digest(packed): packed}, digest(packed)


MANIFEST, BLOBS, LAYER = image()


class Server:
    """One host. `answer(request)` returns (status, headers, body) or None for a connection that breaks."""

    def __init__(self, address, answer):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urllib.parse.urlsplit(self.path)
                request = {"method": self.command, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)), "headers": self.headers, "body": body.decode()}
                with outer.lock:
                    outer.requests.append(request)
                    status, headers, out, *cut = outer.answer(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out[:cut[0]] if cut else out)
                if cut:
                    self.wfile.flush()
                    self.close_connection = True

            do_GET = do_POST = do_HEAD = any

        self.answer, self.requests, self.lock = answer, [], threading.Lock()
        self.http = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.http.daemon_threads = True
        self.host = f"{address}:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def asked(self, path):
        return [r for r in self.requests if r["path"].startswith(path)]


class Registry(Server):
    """Blobs, a manifest, tokens. What is unusual comes by attributes."""

    def __init__(self):
        super().__init__(BIND, self.reply)
        self.tokens, self.valid_for, self.uses, self.token_key = 0, None, {}, "token"
        self.realm, self.logins, self.redirect, self.before, self.scope = None, None, None, [], None
        self.cut_after = None
        self.token_text = None

    def token_reply(self, request):
        if self.logins is not None:
            given = request["headers"].get("Authorization") or ""
            form = dict(urllib.parse.parse_qsl(request["body"]))
            if given not in self.logins and form.get("refresh_token") not in self.logins:
                return 401, {"Content-Type": "application/json"}, json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}).encode()
        self.tokens += 1
        return 200, {"Content-Type": "application/json"}, json.dumps({self.token_key: self.token_text or f"secret-{self.tokens}", "expires_in": 60}).encode()

    def reply(self, request):
        if request["path"] == "/token":
            return self.token_reply(request)
        if request["path"] != "/v2/" and self.before:
            return self.before.pop(0)
        if self.realm and request["path"] != "/v2/":
            # Every token that was handed out is good, for a number of requests.
            given = request["headers"].get("Authorization") or ""
            good = given in [f"Bearer secret-{n + 1}" for n in range(self.tokens)]
            if not good or (self.valid_for is not None and self.uses.get(given, 0) >= self.valid_for):
                challenge = f'Bearer realm="{self.realm}",service="registry.test"' + (f',scope="{self.scope}"' if self.scope else "")
                return 401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            self.uses[given] = self.uses.get(given, 0) + 1
        if "/manifests/" in request["path"]:
            return 200, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}, MANIFEST
        blob = BLOBS.get(request["path"].rsplit("/", 1)[-1])
        if blob is None:
            return (200, {}, b"{}") if request["path"] == "/v2/" else (404, {}, b"")
        if self.redirect:
            return 307, {"Location": self.redirect(request["path"])}, b""
        return self.blob(request, blob)

    def blob(self, request, blob):
        asked = request["headers"].get("Range")
        if asked:
            first = int(asked.split("=")[1].rstrip("-"))
            return 206, {"Content-Range": f"bytes {first}-{len(blob) - 1}/{len(blob)}"}, blob[first:]
        if self.cut_after and len(blob) > self.cut_after:
            cut, self.cut_after = self.cut_after, None
            return 200, {}, blob, cut
        return 200, {}, blob


def run(*argv):
    done = subprocess.run([FIRESTEEL, *argv], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def forget():
    shutil.rmtree(WHERE / "images", ignore_errors=True)
    shutil.rmtree(WHERE / "home" / ".docker", ignore_errors=True)


def login(host, **login):
    (WHERE / "home" / ".docker").mkdir(exist_ok=True)
    (WHERE / "home" / ".docker" / "config.json").write_text(json.dumps({"auths": {host: login}}))


def basic(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def check(what, condition, *details):
    if not condition:
        print(f"FAILED: {what}", *details, sep="\n")
        sys.exit(1)


def pulls(registry, what, wanted=0, says=""):
    code, out = run("local", "image", "pull", "-q", f"{registry.host}/team/app:1")
    check(f"{what}: exit code {code} instead of {wanted}", code == wanted, out)
    check(f'{what}: it does not say "{says}"', says in out, out)
    return out


def new(**settings):
    forget()
    r = Registry()
    r.realm = f"http://{r.host}/token"
    for key, value in settings.items():
        setattr(r, key, value)
    return r


# --- tokens: both names, what is asked, for whom
for key in ("token", "access_token"):
    r = new(token_key=key, scope="repository:team/app:pull")
    pulls(r, f"anonymous, {key}")
    asked = r.asked("/token")
    check("one token for all of it", len(asked) == 1, asked)
    check("what the token is for", asked[0]["query"] == {"service": "registry.test", "scope": "repository:team/app:pull"}, asked[0]["query"])
    check("nobody's name", "Authorization" not in asked[0]["headers"])

r = new()
login(r.host, auth=basic("ann", "secret word"))
r.logins = ["Basic " + basic("ann", "secret word")]
pulls(r, "with a password")
check("a scope of our own when none is told", r.asked("/token")[0]["query"] == {"service": "registry.test", "scope": "repository:team/app:pull", "account": "ann"}, r.asked("/token")[0])
check("the password goes to the token service only", all("Basic" not in (q["headers"].get("Authorization") or "") for q in r.asked("/v2/")))

r = new()
login(r.host, identitytoken="refresh me")
r.logins = ["refresh me"]
pulls(r, "with an identity token")
form = dict(urllib.parse.parse_qsl(r.asked("/token")[0]["body"]))
check("the OAuth form", form["grant_type"] == "refresh_token" and form["scope"] == "repository:team/app:pull", form)

# --- tokens end: after the manifest, and with each blob; a registry that takes none does not keep us for ever
r = new(valid_for=1)
pulls(r, "a token for one request each")
check("a token a request", 2 <= r.tokens <= 4, r.tokens)
r = new(valid_for=0)
pulls(r, "no token is good", wanted=1, says="pull access denied, repository does not exist or may require authorization: authentication required")
check("it does not try for ever", r.tokens <= 3, r.tokens)

# --- what a token service may do wrong
r = new()
login(r.host, auth=basic("ann", "wrong"))
r.logins = ["Basic " + basic("ann", "secret word")]
out = pulls(r, "a wrong password", wanted=1, says=f"http://{r.host}/token refused the credentials: incorrect username or password")
check("the password is not shown", "wrong" not in out and basic("ann", "wrong") not in out, out)
r = new(token_text="x\r\nX-Evil: 1")
pulls(r, "a token with line ends", wanted=1, says="answered without a token")
r = new(token_key="other")
pulls(r, "no token", wanted=1, says="answered without a token")
r = new(realm="http://registry.example.com/token")
login(r.host, auth=basic("ann", "secret word"))
r.realm = "http://192.0.2.7/token"
# The registry itself is on loopback, where plain HTTP is usual: a service elsewhere is another matter.
code, out = run("local", "image", "pull", "-q", f"{r.host}/team/app:1")
check("credentials in the clear", code == 1 and "which is not https; refused" in out, out)

# --- layers elsewhere: no credentials arrive there, by whatever kind of address
store = Server(OTHER, lambda q: (200, {}, BLOBS[q["path"].rsplit("/", 1)[-1]]))
r = new()
login(r.host, auth=basic("ann", "secret word"))
r.redirect = lambda path: f"http://{store.host}/bucket{path}?signature=abc"
pulls(r, "redirects to another host")
check("both blobs came from there", len(store.requests) == 2, store.requests)
check("no credentials went there", all("Authorization" not in q["headers"] and "Cookie" not in q["headers"] for q in store.requests))
check("the signature did", all(q["query"] == {"signature": "abc"} for q in store.requests))
r = new()
r.redirect = lambda path: f"//{store.host}{path}"
pulls(r, "redirects without a scheme")
check("no credentials there either", all("Authorization" not in q["headers"] for q in store.requests))
# On the same host they are wanted still.
r = new()
r.redirect = lambda path: None if path.startswith("/elsewhere") else "/elsewhere" + path
plain = r.reply


def follow(request):
    if request["path"].startswith("/elsewhere"):
        good = request["headers"].get("Authorization") == f"Bearer secret-{r.tokens}"
        return (200, {}, BLOBS[request["path"].rsplit("/", 1)[-1]]) if good else (403, {}, b"")
    return plain(request)


r.answer = follow
pulls(r, "redirects on the same host")
for target, why in (("ftp://x/y", "another protocol"), ("file:///etc/passwd", "a file"), ("", "nowhere")):
    r = new(redirect=lambda path, t=target: t)
    pulls(r, f"a redirect to {why}", wanted=1, says="redirects to")
r = new()
r.redirect = lambda path: path
pulls(r, "redirects in a circle", wanted=1, says="redirects to")

# --- busy, broken, cut off
r = new(before=[(429, {"Retry-After": "1"}, b""), (503, {}, b""), (500, {}, b"")])
began = time.monotonic()
pulls(r, "a registry that is busy")
check("Retry-After is heeded", time.monotonic() - began >= 1)
r = new(cut_after=100000)
pulls(r, "a connection that breaks")
ranges = [q["headers"].get("Range") for q in r.asked("/v2/team/app/blobs/" + LAYER)]
check("the rest is asked for", ranges[0] is None and (ranges[1] or "").startswith("bytes="), ranges)
r = new()
r.before = [(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')]
pulls(r, "no such image", wanted=3, says="not found: manifest unknown")

# --- pods: a wrong pull secret, and none
forget()
code, out = run("local", "up", "-q")
check("up", code == 0, out)
try:
    if json.loads(run("local", "status", "-o", "json")[1])["isolation"]["possible"] and shutil.which("kubectl", path=ENV["PATH"]):
        r = new()
        r.logins = ["Basic " + basic("ann", "secret word")]
        ENV["KUBECONFIG"] = run("local", "kubeconfig")[1].strip()
        ENV["KUBECACHEDIR"] = str(WHERE / "kubecache")

        def kubectl(*argv, text=None):
            return subprocess.run(["kubectl", *argv], env=ENV, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

        def waits(pod, reason):
            end = time.monotonic() + 60
            while time.monotonic() < end:
                state = kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}|{.status.containerStatuses[0].state.waiting.message}")
                if state.startswith(reason + "|"):
                    return state.split("|", 1)[1]
                if state.startswith("ImagePullBackOff|") and reason + ": " in state:  # two seconds later, with what was said before
                    return state.split(reason + ": ", 1)[1]
                time.sleep(0.05)
            check(f"pod {pod} does not wait with {reason}", False, kubectl("describe", "pod", pod))

        for name, password in (("wrong", "guess"), ("right", "secret word")):
            kubectl("create", "secret", "docker-registry", name, f"--docker-server={r.host}", "--docker-username=ann", f"--docker-password={password}")
        for pod, secrets in (("wrong", [{"name": "wrong"}]), ("none", []), ("right", [{"name": "wrong-name"}, {"name": "right"}])):
            kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": {
                "restartPolicy": "Never", "imagePullSecrets": secrets, "containers": [{"name": "c", "image": f"{r.host}/team/app:1", "command": ["/nothing"]}]}}))
        message = waits("wrong", "ErrImagePull")
        check("what the pod says of a wrong secret", f"{r.host}/team/app:1" in message and "refused the credentials: incorrect username or password" in message, message)
        message = waits("none", "ErrImagePull")
        check("what the pod says without a secret", "refused the credentials" in message, message)
        waits("wrong", "ImagePullBackOff")
        events = kubectl("get", "events", "--field-selector", "involvedObject.name=wrong", "-o", "jsonpath={range .items[*]}{.reason}: {.message}{'\\n'}{end}")
        check("events of a wrong secret", f'Failed: Failed to pull image "{r.host}/team/app:1": ' in events and "Failed: Error: ErrImagePull" in events, events)
        check("no password in them", "guess" not in events, events)
        # With the right one the image comes; there is no such program in it, which is another failure.
        end = time.monotonic() + 60
        while "Successfully pulled image" not in kubectl("describe", "pod", "right"):
            check("the right secret brings the image", time.monotonic() < end, kubectl("describe", "pod", "right"))
            time.sleep(0.1)
    else:
        print("pods were left out: they cannot run here, or kubectl is missing")
finally:
    run("local", "reset", "--yes")
