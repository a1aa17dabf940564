#!/usr/bin/env python3
"""Sends objects that are wrong in one place to two Kubernetes API servers (as a dry run) and compares what they say about them.

  mutants.py REAL-KUBECONFIG OTHER-KUBECONFIG [--seed N] [--count N] [--out FILE] [KIND...]

Every member of every sample (samples.py) is in turn left out, set to null, to another type, to values out of range and to malformed names; lists get an
element twice. The requests come in an order that the seed decides; --count ends the list. FILE gets each difference. The exit code is 1 below the bar.
Only the standard library is used.
"""
import argparse
import copy
import http.client
import json
import random
import secrets
import sys

import conformance
from samples import SAMPLES

STATUS_BAR, BODY_BAR = 0.985, 0.97  # shares of equal statuses and of identical answers
LEFT_OUT, TWICE = object(), object()
WRONG = {
    bool: [None, LEFT_OUT, "x", 1],
    int: [None, LEFT_OUT, "x", "5", -1, 0, 99999999999, 1.5, 70000],
    str: [None, LEFT_OUT, "", 7, "Bad_Value!", "x" * 70, "x" * 260, "-a", "a/b", "A"],
    list: [None, LEFT_OUT, TWICE, "x", {}, [], [None]],
    dict: [None, LEFT_OUT, "x", [], {}, {"bogusKey": 1}],
}


def members(value, at=()):
    yield at, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in children:
        yield from members(inner, at + (key,))


def mutant(sample, at, wrong):
    out = copy.deepcopy(sample)
    holder = out
    for key in at[:-1]:
        holder = holder[key]
    if wrong is LEFT_OUT:
        del holder[at[-1]]
    elif wrong is TWICE:
        holder[at[-1]] += copy.deepcopy(holder[at[-1]][:1])
    else:
        holder[at[-1]] = wrong
    return out


def mutants(kinds):
    for kind, (url, sample) in SAMPLES.items():
        if kinds and kind not in kinds:
            continue
        yield kind, url, "unchanged", sample
        for at, value in members(sample):
            if not at or at in (("apiVersion",), ("kind",)):
                continue
            for wrong in WRONG[type(value)]:
                said = "left out" if wrong is LEFT_OUT else "first element twice" if wrong is TWICE else json.dumps(wrong)
                yield kind, url, f"{'.'.join(map(str, at))} = {said:.60}", mutant(sample, at, wrong)


def ask(server, url, body, namespace):
    try:
        status, _, data = server.call("POST", url.replace("${NS}", namespace) + "?dryRun=All", body.replace("${NS}", namespace), {"Content-Type": "application/json"})
    except http.client.RemoteDisconnected:  # what the real server's handler does when it panics
        return 0, {}
    return status, dict(conformance.flat(conformance.settled(conformance.body_of(data))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("real")
    parser.add_argument("other")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1 << 30)
    parser.add_argument("--out")
    parser.add_argument("kinds", nargs="*")
    a = parser.parse_intermixed_args()
    servers = conformance.Server(a.real), conformance.Server(a.other)
    namespace = f"mutants-{secrets.token_hex(3)}"
    for server in servers:
        server.call("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": namespace}}), {"Content-Type": "application/json"})
        conformance.wait_until(lambda: server.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")[0] == 200)
    work = list(mutants(a.kinds))
    random.Random(a.seed).shuffle(work)
    work = work[:a.count]
    same_status = identical = unanswered = 0
    with open(a.out or "/dev/stdout", "w") as out:
        for kind, url, what, body in work:
            (status, mine), (other_status, others) = (ask(server, url, json.dumps(body), namespace) for server in servers)
            if not status and other_status:
                unanswered += 1
                continue
            different = [k for k in sorted(mine.keys() | others.keys()) if mine.get(k, "-") != others.get(k, "-")]
            same_status += status == other_status
            identical += status == other_status and not different
            if status != other_status or different:
                print(f"{kind} {what}  {status}/{other_status}", file=out)
                for key in different[:4]:
                    print(f"    {key or '.'}\n      real  {str(mine.get(key, '-')):.400}\n      other {str(others.get(key, '-')):.400}", file=out)
    for server in servers:
        server.call("DELETE", f"/api/v1/namespaces/{namespace}")
    n = max(1, len(work) - unanswered)
    print(f"{n} objects: same status {same_status} ({100 * same_status / n:.1f} %), identical answer {identical} ({100 * identical / n:.1f} %)")
    return 0 if same_status >= STATUS_BAR * n and identical >= BODY_BAR * n else 1


if __name__ == "__main__":
    sys.exit(main())
