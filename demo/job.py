"""The demo's Spark job: a join with an aggregation and a word count over the generated sales.

    job.py DATA OUT

reads DATA/sales and DATA/customers.csv, writes OUT/revenue and OUT/words as Parquet, reads both back and writes what it read
to OUT/result.json, which the demo compares with the generator's answer. An ordinary PySpark program: nothing in it knows firesteel.
"""
import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def main(data, out):
    spark = SparkSession.builder.appName("coffee").getOrCreate()
    began = time.time()
    sales = spark.read.csv(f"{data}/sales", schema="day DATE, customer STRING, product STRING, quantity INT, cents BIGINT, comment STRING")
    customers = spark.read.csv(f"{data}/customers.csv", header=True, schema="customer STRING, country STRING")

    revenue = sales.join(customers, "customer").groupBy("country").agg(F.sum(F.col("quantity") * F.col("cents")).alias("cents"), F.count("*").alias("rows"))
    revenue.write.mode("overwrite").parquet(f"{out}/revenue")
    # A Python function, so that Python workers run on the executors; after the aggregation, so that they have little to do.
    letters = F.udf(len, "int")
    words = sales.select(F.explode(F.split("comment", " ")).alias("word")).groupBy("word").count().withColumn("letters", letters("word"))
    words.write.mode("overwrite").parquet(f"{out}/words")

    back = spark.read.parquet(f"{out}/revenue").collect()
    counts = spark.read.parquet(f"{out}/words").collect()
    result = {
        "revenueCents": {row["country"]: row["cents"] for row in back},
        "rows": sum(row["rows"] for row in back),
        "words": {row["word"]: row["count"] for row in counts if row["letters"] == len(row["word"])},
        "seconds": round(time.time() - began, 2),
        "spark": spark.version,
        "executors": spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1,
    }
    with open(f"{out}/result.json", "w") as f:
        json.dump(result, f)
    top = sorted(result["revenueCents"].items(), key=lambda item: -item[1])[:3]
    print("Best countries:", ", ".join(f"{country} {cents / 100:,.0f}" for country, cents in top), flush=True)
    spark.stop()


main(sys.argv[1], sys.argv[2])
