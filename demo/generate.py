#!/usr/bin/env python3
"""Makes the demo's input and the answer that the job must find.

    generate.py DIR MEGABYTES

DIR/sales/part-NN.csv: date,customer,product,quantity,cents,comment; DIR/customers.csv: customer,country; DIR/expected.json. The same size gives
the same bytes. It is fast because rows are made once, as blocks, and the blocks are written again and again in a changing order; the
answer is the sum of the blocks' own answers. Everything is made beside DIR and takes its place when it is complete: an interruption leaves what was there.
"""
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys

BLOCKS = 48
ROWS = 4000  # a block is about 250 kB
PARTS = 8
COUNTRIES = ["AT", "BR", "CA", "DE", "ES", "FR", "IN", "IT", "JP", "KE", "NL", "PL", "PT", "SE", "US", "ZA"]
PRODUCTS = ["espresso", "lungo", "ristretto", "filter", "cold brew", "beans 250g", "beans 1kg", "grinder", "kettle", "cup"]
WORDS = ("the a and very not quite too hot cold strong mild fresh stale fast slow cheap dear good better best bad worse worst coffee bean cup "
         "roast taste smell colour box parcel late early again never always nothing everything friendly broken perfect").split()


def make_block(random_, customers):
    rows, revenue, words = [], collections.Counter(), collections.Counter()
    for _ in range(ROWS):
        customer = random_.randrange(len(customers))
        quantity, cents = random_.randint(1, 9), random_.randint(150, 19999)
        comment = random_.choices(WORDS, k=random_.randint(2, 9))
        rows.append(f"2026-{random_.randint(1, 12):02}-{random_.randint(1, 28):02},c{customer:05},{random_.choice(PRODUCTS)},{quantity},{cents},{' '.join(comment)}\n")
        revenue[customers[customer]] += quantity * cents
        words.update(comment)
    return "".join(rows).encode(), revenue, words


def generate(target, megabytes):
    random_ = random.Random(41)
    customers = [random_.choice(COUNTRIES) for _ in range(20000)]
    blocks = [make_block(random_, customers) for _ in range(BLOCKS)]

    (target / "sales").mkdir(parents=True)
    (target / "customers.csv").write_text("customer,country\n" + "".join(f"c{n:05},{c}\n" for n, c in enumerate(customers)))
    parts = [open(target / "sales" / f"part-{n:02}.csv", "wb", buffering=1 << 20) for n in range(PARTS)]
    written, used = 0, [0] * BLOCKS
    while written < megabytes * 1000 * 1000:
        n = random_.randrange(BLOCKS)
        written += parts[sum(used) % PARTS].write(blocks[n][0])
        used[n] += 1
    for part in parts:
        part.close()

    revenue, words = collections.Counter(), collections.Counter()
    for times, (_, block_revenue, block_words) in zip(used, blocks):
        for key, value in block_revenue.items():
            revenue[key] += value * times
        for key, value in block_words.items():
            words[key] += value * times
    (target / "expected.json").write_text(json.dumps({"megabytes": megabytes, "bytes": written, "rows": sum(used) * ROWS,
                                                      "revenueCents": dict(sorted(revenue.items())), "words": dict(sorted(words.items()))}, indent=1))


def main():
    target, megabytes = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    done = target / "expected.json"
    if done.exists() and json.loads(done.read_text()).get("megabytes") == megabytes:
        return
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        generate(new, megabytes)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    os.rename(new, target)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
