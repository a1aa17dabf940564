#!/usr/bin/env bash
# The second start of a Spark has an archive of its classes and a Python library with byte code: the same results, and off by a switch.
# timeout: 1500
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL
[ -n "${SPARK_HOME_4_1:-}" ] || skip "no PySpark is installed (tools/setup run 4.1)"
unset XDG_CACHE_HOME
mkdir "$TEST_TMP/app"
chmod 755 "$TEST_TMP" "$TEST_TMP/app"
cat >"$TEST_TMP/app/app.py" <<'P'
import os, traceback
import pyspark
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
total = spark.range(100).selectExpr("sum(id) s").collect()[0].s
worker = spark.sparkContext.parallelize([1], 1).map(lambda _: __import__("pyspark").__file__).first()
jvm = open(f"/proc/{os.getppid()}/cmdline").read()
print("TOTAL", total, "ARCHIVE", "SharedArchiveFile" in jvm, "DRIVER", pyspark.__file__.endswith(".pyc"), "WORKER", worker.endswith(".pyc"))
try:
    spark.range(0, 1, 1, "many").count()
except Exception:
    last = [line for line in traceback.format_exc().splitlines() if "pyspark.zip/pyspark/" in line]
    print("SOURCE", last[0].split('"')[1])
spark.stop()
P
expect 0 "$f" local up -q --spark-home "$SPARK_HOME_4_1"
[ "$("$f" local status -o json | json isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json isolation.summary)"
KUBECONFIG=$("$f" local kubeconfig)
export KUBECONFIG
expect 0 "$f" rbac --apply
run() { # MORE...
        expect 0 timeout 700 "$f" submit --follow --name archived -c spark.kubernetes.container.image=firesteel/spark:4.1 -c spark.executor.instances=1 \
                -c spark.kubernetes.authenticate.driver.serviceAccountName=spark -c spark.driver.memory=512m -c spark.executor.memory=512m \
                -c spark.kubernetes.driver.connectionTimeout=120000 -c spark.kubernetes.driver.requestTimeout=120000 \
                -c spark.kubernetes.driver.request.cores=100m -c spark.kubernetes.executor.request.cores=100m \
                -c spark.kubernetes.driver.volumes.hostPath.app.mount.path=/app -c spark.kubernetes.driver.volumes.hostPath.app.options.path="$TEST_TMP/app" \
                "$@" local:///app/app.py
        says 'SOURCE /opt/spark/python/lib/pyspark.zip/pyspark/sql/'
}
archives() { compgen -G "$HOME/.cache/firesteel/archives/spark-*.jsa" >/dev/null; }

run
says 'TOTAL 4950 ARCHIVE False DRIVER False WORKER False'
until=$((SECONDS + 500))
until archives; do
        [ $SECONDS -lt $until ] || skip "this machine is too busy: nothing at the lowest weight came to its end in 500 s"
        sleep 0.2
done
run
says 'TOTAL 4950 ARCHIVE True DRIVER True WORKER True'
run -c spark.kubernetes.driverEnv.FIRESTEEL_CLASS_ARCHIVE=none -c spark.executorEnv.FIRESTEEL_CLASS_ARCHIVE=none
says 'TOTAL 4950 ARCHIVE False DRIVER False WORKER False'
expect 0 "$f" local down -q
FIRESTEEL_CLASS_ARCHIVES=0 expect 0 "$f" local up -q
run
says 'TOTAL 4950 ARCHIVE False DRIVER False WORKER False'
