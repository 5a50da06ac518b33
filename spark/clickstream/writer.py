"""Turns rows into the documents of the index and sends them. The tasks send bulk requests themselves,
so that Spark needs no connector for Elasticsearch."""

import re

from pyspark.sql import functions as f

from clickstream.errors import JobError

SEPARATOR = "\x1f"  # in the name whose SHA-1 is the _id


def documents(rows, now):
    """Rows as the index has them, with their _id in `document_id`. `now`: ms since 1970."""
    window = f.when(f.col("window") == "all", f.col("window")).otherwise(
        f.concat("window", f.lit(":"), f.col("window_start").cast("string")))
    empty = f.lit("")
    name = f.concat(f.coalesce("url", empty), f.lit(SEPARATOR), f.coalesce("country", empty),
                    f.lit(SEPARATOR), window)

    def average(of):
        count = f.col("time_%s_count" % of)
        return f.when(count != 0, f.col("time_%s_sum" % of).cast("double") / count.cast("double"))

    columns = [f.sha1(name).alias("document_id"), "window", "window_start", "url", "country",
               "clicks", "unique_user_count", average("spent").alias("average_time_spent"),
               "time_spent_sum", "time_spent_count",
               average("on_page").alias("average_time_on_page"), "time_on_page_sum",
               "time_on_page_count", "entrances", "exits",
               f.lit(now).cast("long").alias("updated_at")]
    return rows.select(*columns, *(["dimension"] if "dimension" in rows.columns else []))


def freshness(spark, cells, account, others, windows, now, visitors):
    """How many events the answers cover: a document per window. Completes the account. `others`: events
    that are no page views. `visitors`: what the users of all time are called, "users" or "daily"; None:
    not known."""
    counted = {row["window"]: row for row in cells.groupBy("window").agg(
        f.count(f.lit(1)).alias("cells"), f.sum("clicks").alias("events")).collect()}
    account["events"] = (counted[windows[0]]["events"] if counted else 0) + others
    account["duplicates"] = account["accepted"] - account["events"]
    account["windows"] = {name: counted[name]["cells"] if counted else 0 for name in windows}
    account["cells"] = sum(account["windows"].values())
    rows = [("freshness:" + name, name, "freshness", account["accepted"], account["accepted"],
             account["events"], account["duplicates"], account["windows"][name], 0, now,
             visitors and (visitors if name == "all" else "users")) for name in windows]
    return spark.createDataFrame(rows, "document_id string, window string, dimension string, "
                                 "accepted long, processed long, events long, duplicates long, "
                                 "cells long, dead long, updated_at long, visitors string")


def write_documents(rows, index, server):
    """Sends each row under its own _id, from the tasks that computed them. Raises JobError."""
    source = f.to_json(f.struct(*[name for name in rows.columns if name != "document_id"]),
                       {"ignoreNullFields": "true"})
    lines = rows.select(f.concat(f.lit('{"index":{"_id":"'), "document_id", f.lit('"}}\n'), source,
                                 f.lit("\n")).alias("lines"))
    try:
        lines.foreachPartition(lambda part: server.write(index, (row[0] for row in part)))
    except Exception as error:  # Spark's own exception, whose text contains that of the task
        found = re.search(r"JobError: (.+)", str(error))
        raise JobError(found.group(1)) if found else error from None
