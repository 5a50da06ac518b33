"""The whole job: read, compute, write; and the program that spark-submit runs."""

import json
import sys
import threading
import time

from pyspark import cloudpickle
from pyspark.sql import SparkSession

import clickstream
from clickstream.answers import account_of, answers, cells_of, totals_of
from clickstream.contract import windows_of
from clickstream.errors import JobError
from clickstream.index import Indices
from clickstream.reading import read
from clickstream.server import Server
from clickstream.tls import trust
from clickstream.writer import documents, freshness, write_documents


def run(settings, spark=None):
    """Runs the job with the settings that the package describes; returns the account."""
    # The functions of the tasks travel with the tasks: the executors may not have this package.
    cloudpickle.register_pickle_by_value(clickstream)
    trust(settings)
    spark = spark or session(settings)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(spark, stop), daemon=True)
    watcher.start()
    try:
        return deliver(spark, read(spark, settings), settings)
    finally:
        stop.set()
        watcher.join()


def session(settings):
    """A Spark session with the properties of the settings, except those of the Cassandra reader."""
    builder = SparkSession.builder.appName("clickmill")
    for name, value in {
            "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
            "spark.sql.redaction.options.regex": "(?i)url|pass|authorization",
            **settings.get("options", {}), **settings.get("secrets", {}).get("options", {})}.items():
        if not name.startswith("spark.cassandra."):
            builder = builder.config(name, value)
    return builder.getOrCreate()


def watch(spark, stop):
    """Prints the progress as JSON lines until `stop` is set: the active stage and its tasks."""
    try:
        tracker, last = spark.sparkContext.statusTracker(), None
    except Exception:  # Spark Connect has no sparkContext; the error differs between releases
        return
    while not stop.wait(0.5):
        for number in tracker.getActiveStageIds():
            stage = tracker.getStageInfo(number)
            if stage is None:
                continue
            line = {"stage": stage.stageId, "name": stage.name, "done": stage.numCompletedTasks,
                    "tasks": stage.numTasks}
            if line != last:
                last = line
                print(json.dumps({"progress": line}), flush=True)
            break


def deliver(spark, raw, settings):
    """Computes the answers and writes them to the output; returns the account."""
    now = int(time.time() * 1000)
    sums, seen = answers(raw, settings)
    output = settings["output"]
    if "parquet" in output:
        documents(cells_of(sums, windows_of(settings)), now).write.mode("overwrite").parquet(output["parquet"])
        account, _, _ = account_of(seen)
        return dict(account, rejected=account["read"] - account["accepted"])
    server = Server(settings)
    indices = Indices(output["elasticsearch"], server)
    try:
        return fill(spark, indices, server, sums, seen, settings, now)
    except BaseException:
        indices.discard()
        raise


def fill(spark, indices, server, sums, seen, settings, now):
    """Writes the answers to Elasticsearch; returns the account."""
    windows, totals = windows_of(settings), settings.get("totals", True)
    indices.begin()
    # A checkpoint computes the sums once. A cache would as well, but the Observation does not count
    # what a cache holds.
    sums = sums.localCheckpoint()
    account, others, several_days = account_of(seen)
    visitors = ("daily" if several_days else "users") if settings.get("visitors") == "daily" else None
    cells = cells_of(sums, windows)
    write_documents(documents(cells, now), indices.cells, server)
    if totals:
        write_documents(documents(totals_of(cells), now), indices.totals, server)
        write_documents(freshness(spark, cells, account, others, windows, now, visitors),
                        indices.totals, server)
    account["rejected"] = account["read"] - account["accepted"]
    account["removed"] = indices.end(windows, now, totals)
    return account


def main():
    if len(sys.argv) != 2:
        raise SystemExit(clickstream.__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    try:
        print(json.dumps({"account": run(settings)}), flush=True)
    except JobError as error:
        print(json.dumps({"failure": str(error)}), flush=True)
        raise SystemExit(str(error)) from None
