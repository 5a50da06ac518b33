"""The three answers (clicks, unique users, average time spent) of events in Parquet, by Spark in two
shapes: that of the job, and the obvious one, two groupings and a join. For cluster.py:

    spark-submit bench/spark_shapes.py prepare EVENTS.jsonl PARQUET
    spark-submit bench/spark_shapes.py job|joined PARQUET OUT

job computes more than joined: entrances, exits and time on page too, and it checks the rules. The
Parquet file has the columns that the answers need. OUT gets one line of JSON per cell.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "spark"))
from pyspark.sql import SparkSession, Window  # noqa: E402
from pyspark.sql import functions as f  # noqa: E402

from clickstream.answers import answers, cells_of  # noqa: E402
from clickstream.reading import read  # noqa: E402
from clickstream.writer import documents  # noqa: E402

CELL = ("url", "country")
COLUMNS = (*CELL, "clicks", "unique_user_count", "average_time_spent")


def prepare(spark, events, parquet):
    schema = "row_key string, user_id string, timestamp long, url string, country string"
    spark.read.schema(schema).json(events).withColumn(
        "timestamp", f.timestamp_millis("timestamp")).write.mode("overwrite").parquet(parquet)


def job(spark, parquet):
    settings = {"input": {"parquet": parquet}, "windows": ["all"], "totals": False}
    sums, _ = answers(read(spark, settings), settings)
    return documents(cells_of(sums, ["all"]), 0)


def joined(spark, parquet):
    events = spark.read.parquet(parquet)
    counted = events.groupBy(*CELL).agg(f.count("*").alias("clicks"), f.countDistinct(
        "user_id").alias("unique_user_count"))
    order = Window.partitionBy("user_id").orderBy("timestamp", "row_key")
    second = f.floor(f.unix_millis("timestamp") / 1000)
    spent = events.withColumn("second", second).withColumn(
        "spent", f.lead("second").over(order) - f.col("second"))
    return counted.join(spent.groupBy(*CELL).agg(f.avg("spent").alias("average_time_spent")),
                        list(CELL))


def main():
    shape, source, out = sys.argv[1:]
    spark = SparkSession.builder.appName(shape).getOrCreate()
    if shape == "prepare":
        prepare(spark, source, out)
        return
    rows = {"job": job, "joined": joined}[shape](spark, source)
    rows.select(*COLUMNS).write.mode("overwrite").json(out)


if __name__ == "__main__":
    main()
