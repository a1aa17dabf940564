#!/usr/bin/env python3
# timeout: 600
"""What the real History Servers of Spark 4.1.4 and 3.5.9 answered about our logs (tests/history) this one answers, too; again after a restart,
which must find everything in its indexes. With recordings of the Spark project beside the checkout, those as well."""
import os
import pathlib
import shutil
import sys

from history_lib import SHARED, Server, compare, recorded, restore_times, temporary

failed = 0
AS_35 = ("--conf", "spark.firesteel.history.apiVersion=3.5")


def check(name, folder, logs, where, golden=False, options=()):
    global failed
    cache = where / ("cache-" + name)
    cache.mkdir()
    for turn in ("first", "restarted"):
        with Server(logs, cache, *options) as s:
            equal, different = compare(s, folder, golden)
            replays = s.metric("replays_total")
        print(f"{name}, {turn}: {equal} of {equal + len(different)} answers equal, {replays:.0f} logs replayed")
        for line in different[:10]:
            print("  " + line)
        failed += len(different)
        if turn == "restarted" and replays:
            print("  a restart replayed logs that it had indexes of")
            failed += 1


def main():
    where = temporary()
    for name, folder in sorted(recorded(where).items()):
        check(name, folder, folder / "spark-events", where, options=AS_35 if name.endswith("35") else ())
    for name in ("captured41", "captured41-partial", "captured41-sql", "golden41", "golden35") if SHARED else ():
        folder = SHARED / name
        copy = where / ("shared-" + name)
        shutil.copytree(folder / "spark-events", copy / "spark-events")
        restore_times(folder, copy)
        check("shared-" + name, folder, copy / "spark-events", where, name.startswith("golden"), AS_35 if name.endswith("35") else ())
    # Some of the recorded directories may not be written to.
    for folder, _, _ in os.walk(where):
        os.chmod(folder, 0o700)
    shutil.rmtree(where)
    return 1 if failed else 0


sys.exit(main())
