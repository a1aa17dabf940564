#!/usr/bin/env python3
"""Sends objects that are wrong in one place to two Kubernetes API servers (as a dry run) and compares what they say about them.

  mutants.py REAL-KUBECONFIG OTHER-KUBECONFIG [--update] [--seed N] [--count N] [--out FILE] [KIND...]

Every member of every sample (samples.py) is in turn left out, set to null, to another type, to values out of range and to malformed names; lists get an
element twice. With --update the samples are created first, and what the servers made of them is sent back with one member changed, left out, added or wrong:
as a PUT, as a merge patch, and to /status and /scale. The requests come in an order that the seed decides; --count ends the list. FILE gets each difference.
The exit code is 1 below the bar. Only the standard library is used.
"""
import argparse
import copy
import http.client
import json
import random
import re
import secrets
import sys
import time

import conformance
from samples import ADDED, ADDED_EVERYWHERE, FOR_UPDATES, SAMPLES, STATUSES, UPDATE_SAMPLES

BARS = {False: (0.985, 0.97), True: (0.985, 0.965)}  # shares of equal statuses and of identical answers, of creates and of updates
LEFT_OUT, TWICE, SHORTER = object(), object(), object()
SAID = {LEFT_OUT: "left out", TWICE: "first element twice", SHORTER: "last element left out"}
WRONG = {
    bool: [None, LEFT_OUT, "x", 1],
    int: [None, LEFT_OUT, "x", "5", -1, 0, 99999999999, 1.5, 70000],
    str: [None, LEFT_OUT, "", 7, "Bad_Value!", "x" * 70, "x" * 260, "-a", "a/b", "A"],
    list: [None, LEFT_OUT, TWICE, "x", {}, [], [None]],
    dict: [None, LEFT_OUT, "x", [], {}, {"bogusKey": 1}],
}
SYSTEM = {"uid", "resourceVersion", "creationTimestamp", "managedFields"}


def changes(value):
    """What an update makes of a member."""
    if isinstance(value, bool):
        return [not value, LEFT_OUT, "x"]
    if isinstance(value, int):
        return [value + 1, value - 1, -1, LEFT_OUT, "x"]
    if isinstance(value, str):
        return [value + "x", "Bad_Value!", "", LEFT_OUT, 7]
    if isinstance(value, list):
        return [SHORTER, TWICE, LEFT_OUT, "x"]
    if isinstance(value, dict):
        return [{**value, "added": "x"}, {}, LEFT_OUT, "x"]
    return ["x", LEFT_OUT]


def members(value, at=()):
    yield at, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in children:
        if key != "managedFields":
            yield from members(inner, at + (key,))
        else:
            yield at + (key,), inner


def member(value, at):
    for key in at:
        value = value[key]
    return value


def mutant(sample, at, wrong):
    out = copy.deepcopy(sample)
    holder = out
    for key in at[:-1]:
        holder = holder[key] if isinstance(holder, list) else holder.setdefault(key, {})
    if wrong is LEFT_OUT:
        del holder[at[-1]]
    elif wrong is TWICE:
        holder[at[-1]] += copy.deepcopy(holder[at[-1]][:1])
    elif wrong is SHORTER:
        holder[at[-1]].pop()
    else:
        holder[at[-1]] = wrong
    return out


def described(at, wrong):
    said = SAID[wrong] if wrong in (LEFT_OUT, TWICE, SHORTER) else json.dumps(wrong)
    return f"{'.'.join(map(str, at))} = {said:.60}"


class Peer(conformance.Server):
    """A server that keeps its connection: a new one costs more than most answers."""
    connection = None

    def call(self, method, path, body=None, headers=None):
        if not self.connection:
            self.connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.tls, timeout=60)
        try:
            self.connection.request(method, path, body, {**(headers or {}), **self.headers})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def json(self, method, path, body=None, kind="application/json"):
        status, _, data = self.call(method, path, body if body is None else json.dumps(body, separators=(",", ":")), {"Content-Type": kind})
        try:
            return status, json.loads(data)
        except ValueError:
            return status, data.decode("utf-8", "replace")

    def make_namespace(self, name):
        self.json("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        conformance.wait_until(lambda: self.call("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200)


def answer(peer, method, url, body, kind="application/json"):
    for attempt in range(3):
        try:
            status, data = peer.json(method, url + "?dryRun=All", body, kind)
            break
        except ConnectionError:  # of a connection that was idle for too long, or what the real server's handler does when it panics
            status, data = 0, {}
    return status, dict(conformance.flat(conformance.settled(without_diffs(conformance.normal(data)))))


def without_diffs(value):
    """Without the quotations of Go's structures and diffs of them, which a server in another language does not have."""
    if isinstance(value, dict):
        return {key: without_diffs(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_diffs(inner) for inner in value]
    if isinstance(value, str):
        value = re.sub(r"(\n[ +@-][^\n]*)+\n?", "", value)
        value = re.sub(r'parsing \\*"\d+x', 'parsing "RVx', value)
        value = re.sub(r'Invalid value: \{[^\n]*?"(Spec":\{"Vol|spec":\{"(vol|init|cont|node))[^\n]*?\}: field is immutable', "Invalid value: T: field is immutable", value)
        value = re.sub(r'(odePort\\*"):\d+', r"\1:PORT", re.sub(r"\b10\.96\.\d+\.\d+x", "IPx", value))
        value = re.sub(r'of type string \(\{.*\)', "of type string (BODY)", value)  # whose members are in each server's own order
        value = re.sub(r'\\"managedFields\\":\[\{.*?\}\]', "MANAGED", value)  # which depend on how far controllers are
    return value


def creates(peers, kinds):
    """Of each request: the kind, what it is, which answers to ignore, and for each peer method, URL, body and media type."""
    namespace = f"mutants-{secrets.token_hex(3)}"
    for peer in peers:
        peer.make_namespace(namespace)

    def request(url, sample):
        return [("POST", url.replace("${NS}", namespace), json.loads(json.dumps(sample).replace("${NS}", namespace)), "application/json")] * 2

    work = []
    for kind, (url, sample) in SAMPLES.items():
        if kinds and kind not in kinds:
            continue
        work.append((kind, "unchanged", {}, request(url, sample)))
        for at, value in members(sample):
            if not at or at in (("apiVersion",), ("kind",)):
                continue
            for wrong in WRONG[type(value)]:
                work.append((kind, described(at, wrong), {}, request(url, mutant(sample, at, wrong))))

    def end():
        for peer in peers:
            peer.call("DELETE", f"/api/v1/namespaces/{namespace}")
    return work, end


class Stored:
    """A sample as two servers keep it."""

    def __init__(self, peers, kind, url, sample, namespace):
        sample = json.loads(json.dumps(sample).replace("${NS}", namespace))
        self.peers, self.kind = peers, kind
        self.namespace = namespace if "${NS}" in url else None
        if not self.namespace and sample["kind"] != "CustomResourceDefinition":
            sample["metadata"]["name"] = namespace + "-" + sample["metadata"]["name"]
        for at, value in FOR_UPDATES.get(kind, []):
            sample = mutant(sample, at, LEFT_OUT if value == "left out" else value)
        holder = url.replace("${NS}", namespace)
        self.url = holder + "/" + sample["metadata"]["name"]
        for peer in peers:
            if self.namespace:
                peer.make_namespace(namespace)
            conformance.wait_until(lambda: peer.json("POST", holder, sample)[0] != 404)  # a kind of one's own is served a moment after its definition
        self.objects = []

    def settled(self):
        """Whether no controller has written since the last time this was asked."""
        now = []
        for peer in self.peers:
            status, stored = peer.json("GET", self.url)
            if status != 200:
                raise SystemExit(f"{self.kind}: the sample is not stored: {stored}")
            now.append(stored)
        same = now == self.objects
        self.objects = now
        return same

    def requests(self):
        """What one of them has and the other has not before the request counts for nothing afterwards."""
        real, other = self.objects
        mine, others = (dict(conformance.flat(conformance.settled(conformance.normal(o)))) for o in self.objects)
        known = {k for k in mine.keys() | others.keys() if mine.get(k, "-") != others.get(k, "-")}
        if self.kind.startswith("hpas"):  # only the real server has somebody who acts on these, and when is chance
            known |= {k for k in mine if k.startswith((".status", ".metadata.annotations.autoscaling", ".metadata.managedFields"))}
            known |= {f".status.conditions[{i}].{k}" for i in range(3) for k in ("type", "status", "reason", "message", "lastTransitionTime")}
            known |= {".status.conditions", ".status", ".status.currentReplicas", ".status.desiredReplicas", *(f".metadata.managedFields[{i}]" for i in range(4)),
                      ".metadata.annotations.autoscaling.alpha.kubernetes.io/conditions", ".metadata.annotations"}
        bare = mutant(real, ("metadata", "resourceVersion"), LEFT_OUT)
        self.needs_version = answer(self.peers[0], "PUT", self.url, bare)[0] != 200
        yield from self.variants("", self.objects, known)
        yield from self.patches(known)
        for status in STATUSES.get(self.kind, []):
            with_status = [{**o, "status": {**o.get("status", {}), **status}} for o in self.objects]
            yield from self.variants("/status", with_status, known)
        if all(peer.call("GET", self.url + "/scale")[0] == 200 for peer in self.peers) and self.kind in ("deployments", "statefulsets", "replicasets", "things"):
            yield from self.variants("/scale", [peer.json("GET", self.url + "/scale")[1] for peer in self.peers], known)

    def variants(self, subresource, objects, known):
        """PUTs of each member changed, and of what is added; a version is sent only where there must be one, so that a controller's write does no harm."""
        def request(what, at, wrongs):
            try:
                bodies = [mutant(o, at, wrong) for o, wrong in zip(objects, wrongs)]
            except (KeyError, IndexError, TypeError, AttributeError):  # one of them has no such member
                return
            for body in bodies:
                if at != ("metadata", "resourceVersion") and not self.needs_version and isinstance(body.get("metadata"), dict):
                    body["metadata"].pop("resourceVersion", None)
            yield self.kind, f"PUT{subresource} {what}", known, [("PUT", self.url + subresource, body, "application/json") for body in bodies]

        for at, value in members(objects[0]):
            if not at or subresource == "/status" and at[0] not in ("status", "metadata") and len(at) > 2:
                continue
            try:
                both = list(zip(changes(value), changes(member(objects[1], at))))
            except (KeyError, IndexError, TypeError):
                continue
            for wrongs in both:
                yield from request(described(at, wrongs[0]), at, wrongs)
        for at, wrong in ADDED_EVERYWHERE + ([] if subresource else ADDED.get(self.kind, [])):
            yield from request(described(at, wrong), at, (wrong, wrong))

    def patches(self, known):
        for at, value in members(self.objects[0]):
            if not at or at == ("metadata",) or at[-1] in SYSTEM or any(isinstance(key, int) for key in at) or at[0] == "status":
                continue
            for wrong in changes(value)[:3] + [None]:
                if wrong not in (LEFT_OUT, TWICE, SHORTER):
                    yield self.patch(at, wrong, known)
        for at, wrong in ADDED_EVERYWHERE + ADDED.get(self.kind, []):
            if not any(isinstance(key, int) for key in at):
                yield self.patch(at, wrong, known)

    def patch(self, at, wrong, known):
        body = wrong
        for key in reversed(at):
            body = {key: body}
        return self.kind, f"PATCH {described(at, wrong)}", known, [("PATCH", self.url, body, "application/merge-patch+json")] * 2

    def remove(self):
        for peer in self.peers:
            peer.json("PATCH", self.url, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
            peer.call("DELETE", self.url)
            if self.namespace:
                peer.call("DELETE", f"/api/v1/namespaces/{self.namespace}")


def updates(peers, kinds):
    run = f"mutants-{secrets.token_hex(3)}"
    stored = [Stored(peers, kind, url, sample, f"{run}-{i}") for i, (kind, (url, sample)) in enumerate({**SAMPLES, **UPDATE_SAMPLES}.items())
              if not kinds or kind in kinds or (kind == "customresourcedefinitions" and "things" in kinds)]
    until = time.monotonic() + 20
    while not all([s.settled() for s in stored]) and time.monotonic() < until:
        time.sleep(1)
    def end():
        for s in reversed(stored):
            s.remove()
    return [request for s in stored for request in s.requests()], end


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("real")
    parser.add_argument("other")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1 << 30)
    parser.add_argument("--out")
    parser.add_argument("kinds", nargs="*")
    a = parser.parse_intermixed_args()
    peers = Peer(a.real), Peer(a.other)
    work, end = (updates if a.update else creates)(peers, a.kinds)
    random.Random(a.seed).shuffle(work)
    work = work[:a.count]
    same_status = identical = unanswered = 0
    try:
        with open(a.out or "/dev/stdout", "w") as out:
            for kind, what, ignored, requests in work:
                (status, mine), (other_status, others) = (answer(peer, *request) for peer, request in zip(peers, requests))
                if not status and other_status:
                    unanswered += 1
                    continue
                different = [k for k in sorted(mine.keys() | others.keys()) if mine.get(k, "-") != others.get(k, "-") and k not in ignored]
                same_status += status == other_status
                identical += status == other_status and not different
                if status != other_status or different:
                    print(f"{kind} {what}  {status}/{other_status}", file=out)
                    for key in different[:4]:
                        print(f"    {key or '.'}\n      real  {str(mine.get(key, '-')):.400}\n      other {str(others.get(key, '-')):.400}", file=out)
    finally:
        end()
    n = max(1, len(work) - unanswered)
    print(f"{n} {'updates' if a.update else 'objects'}: same status {same_status} ({100 * same_status / n:.1f} %), identical answer {identical} ({100 * identical / n:.1f} %)")
    status_bar, body_bar = BARS[a.update]
    return 0 if same_status >= status_bar * n and identical >= body_bar * n else 1


if __name__ == "__main__":
    sys.exit(main())
