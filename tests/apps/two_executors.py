"""An application in client mode: waits until two executors took part, then sends them a broadcast, fetches a large result, shuffles."""
import socket
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
hosts, until = set(), time.time() + 500
while len(hosts) < 2 and time.time() < until:
    hosts |= set(sc.range(0, 64, 1, 8).mapPartitions(lambda rows: [(sum(rows), time.sleep(0.2))] and [socket.gethostname()]).collect())
broadcast = sc.broadcast(list(range(300000)))
total = sc.range(0, 1000, 1, 4).map(lambda n: broadcast.value[n] * 2).reduce(lambda a, b: a + b)
big = len(sc.range(0, 2, 1, 2).map(lambda n: "x" * 3000000).collect()[1])
rows = spark.range(10000).groupBy("id").count().count()
print("EXECUTORS", len(hosts), "TOTAL", total, "BIG", big, "ROWS", rows)
spark.stop()
