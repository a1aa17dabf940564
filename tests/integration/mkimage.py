#!/usr/bin/env python3
"""Makes small container images and pushes them to a registry, or writes them as files: with the standard library only.

    mkimage.py push [--auth USER:PASSWORD] HOST:PORT/REPOSITORY:TAG BUSYBOX [--list] [--zstd] [--big BYTES]
    mkimage.py oci DIR TAG BUSYBOX
    mkimage.py docker FILE NAME:TAG BUSYBOX

The image has a statically linked busybox, a user `app`, a file per layer, a whiteout and an opaque directory.
"""
import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import urllib.error
import urllib.request

APPLETS = "sh ls cat echo id sleep env stat touch mkdir test true false kill nc wget grep head wc nslookup dd".split()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(entries):
    """entries: (name, kind, mode, owner, payload)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, owner, payload in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = mode, owner[0], owner[1], 1700000000
            info.type = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE}[kind]
            data = b""
            if kind == "f":
                data = payload
                info.size = len(data)
            elif kind == "c":
                info.devmajor, info.devminor = payload
            elif kind != "d":
                info.linkname = payload
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layers(busybox, big):
    root = (0, 0)
    base = [(d, "d", m, root, None) for d, m in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("old", 0o755), ("data", 0o700)]]
    base.append(("bin/busybox", "f", 0o755, root, pathlib.Path(busybox).read_bytes()))
    base += [("bin/" + a, "l", 0o777, root, "busybox") for a in APPLETS]
    base.append(("bin/setuid", "f", 0o4755, root, b"#!/bin/sh\n"))
    base.append(("etc/passwd", "f", 0o644, root, b"root:x:0:0:root:/root:/bin/sh\napp:x:1001:1002:app:/data:/bin/sh\n"))
    base.append(("etc/group", "f", 0o644, root, b"root:x:0:\nstaff:x:1002:\nextra:x:1003:app\n"))
    base.append(("etc/gone", "f", 0o644, root, b"from below\n"))
    base.append(("old/hidden", "f", 0o644, root, b"from below\n"))
    base.append(("sbin", "l", 0o777, root, "bin"))
    base.append(("device", "c", 0o666, root, (1, 3)))
    if big:
        base.append(("big", "f", 0o644, root, os.urandom(big)))
    upper = [
        ("etc/.wh.gone", "f", 0o644, root, b""),
        ("old/.wh..wh..opq", "f", 0o644, root, b""),
        ("old/seen", "f", 0o644, root, b"from above\n"),
        # Only passed through: owner and mode of /data are those of the layer below.
        ("data/file", "f", 0o644, (1001, 1002), b"two layers\n"),
        # Its way goes through a link of the layer below: it is /bin/linked.
        ("sbin/linked", "f", 0o755, root, b"#!/bin/sh\necho through a link\n"),
        ("data/hard", "h", 0o644, (1001, 1002), "data/file"),
        ("n" * 150 + "/" + "m" * 120, "f", 0o644, root, b"long\n"),
    ]
    own = [("data", "d", 0o750, (1001, 1002), None)]
    return [layer(base), layer(own), layer(upper)]


def config(tars):
    return json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes", "OVERRIDDEN=image"], "Entrypoint": ["/bin/sh", "-c"],
                   "Cmd": ["id; echo $FROM_IMAGE $OVERRIDDEN; pwd; cat file"], "WorkingDir": "/data", "User": "app",
                   "StopSignal": "SIGUSR1", "ExposedPorts": {"8080/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [digest(t) for t in tars]},
    }).encode()


def compress(tar, with_zstd):
    if with_zstd:
        return subprocess.run(["zstd", "-q", "-c"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    return gzip.compress(tar, mtime=0)


def image(busybox, with_zstd=False, big=0):
    """(manifest, {digest: bytes})"""
    tars = layers(busybox, big)
    blobs = {}
    descriptors = []
    for n, tar in enumerate(tars):
        # One of each kind: gzip, plain, zstd when there is one.
        data = tar if n == 1 else compress(tar, with_zstd and n == 2)
        kind = "" if n == 1 else "+zstd" if with_zstd and n == 2 else "+gzip"
        blobs[digest(data)] = data
        descriptors.append({"mediaType": "application/vnd.oci.image.layer.v1.tar" + kind, "digest": digest(data), "size": len(data)})
    c = config(tars)
    blobs[digest(c)] = c
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(c), "size": len(c)},
                           "layers": descriptors}).encode()
    return manifest, blobs


def index(manifest, tag=None):
    arch = json.loads(config([]))["architecture"]
    other = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 7,
             "platform": {"os": "linux", "architecture": "s390x"}}
    mine = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
            "platform": {"os": "linux", "architecture": arch}}
    if tag:
        mine["annotations"] = {"org.opencontainers.image.ref.name": tag}
    return json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [mine] if tag else [other, mine]}).encode()


class Registry:
    def __init__(self, host, repository, auth):
        self.base = f"http://{host}/v2/{repository}"
        self.headers = {"Authorization": "Basic " + base64.b64encode(auth.encode()).decode()} if auth else {}

    def request(self, method, url, data=None, **headers):
        q = urllib.request.Request(url, data=data, method=method, headers={**self.headers, **headers})
        return urllib.request.urlopen(q)

    def put_blob(self, data):
        with self.request("POST", self.base + "/blobs/uploads/", b"") as answer:
            where = urllib.parse.urljoin(self.base, answer.headers["Location"])
        self.request("PUT", where + ("&" if "?" in where else "?") + "digest=" + digest(data), data, **{"Content-Type": "application/octet-stream"})

    def put_manifest(self, name, data):
        self.request("PUT", f"{self.base}/manifests/{name}", data, **{"Content-Type": json.loads(data)["mediaType"]})


def push(args):
    host, rest = args.name.split("/", 1)
    repository, tag = rest.rsplit(":", 1)
    registry = Registry(host, repository, args.auth)
    manifest, blobs = image(args.busybox, args.zstd, args.big)
    for data in blobs.values():
        registry.put_blob(data)
    if args.list:
        # A registry takes an index only when it has what the index names.
        listed = json.loads(index(manifest))
        listed["manifests"] = [m for m in listed["manifests"] if m["digest"] == digest(manifest)]
        registry.put_manifest(digest(manifest), manifest)
        manifest = json.dumps(listed).encode()
    registry.put_manifest(tag, manifest)
    print(digest(manifest))


def oci(args):
    manifest, blobs = image(args.busybox)
    where = pathlib.Path(args.dir)
    (where / "blobs/sha256").mkdir(parents=True)
    blobs[digest(manifest)] = manifest
    for name, data in blobs.items():
        (where / "blobs/sha256" / name[7:]).write_bytes(data)
    (where / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (where / "index.json").write_bytes(index(manifest, args.tag))


def docker(args):
    tars = layers(args.busybox, 0)
    c = config(tars)
    names = [digest(t)[7:] + "/layer.tar" for t in tars]
    listing = json.dumps([{"Config": digest(c)[7:] + ".json", "RepoTags": [args.name], "Layers": names}]).encode()
    with tarfile.open(args.file, "w:gz" if args.file.endswith("z") else "w") as tar:
        for name, data in [(digest(c)[7:] + ".json", c), *zip(names, tars), ("manifest.json", listing)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def main():
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(required=True)
    a = sub.add_parser("push")
    a.add_argument("--auth")
    a.add_argument("--list", action="store_true")
    a.add_argument("--zstd", action="store_true")
    a.add_argument("--big", type=int, default=0)
    a.add_argument("name")
    a.add_argument("busybox")
    a.set_defaults(run=push)
    a = sub.add_parser("oci")
    a.add_argument("dir")
    a.add_argument("tag")
    a.add_argument("busybox")
    a.set_defaults(run=oci)
    a = sub.add_parser("docker")
    a.add_argument("file")
    a.add_argument("name")
    a.add_argument("busybox")
    a.set_defaults(run=docker)
    args = p.parse_args()
    try:
        args.run(args)
    except urllib.error.HTTPError as e:
        raise SystemExit(f"{e.url}: {e.code} {e.read()!r}")


if __name__ == "__main__":
    main()
