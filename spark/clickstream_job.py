"""The answers of docs/contract.md on Spark: raw events -> exact answers -> Elasticsearch.

    spark-submit clickstream_job.py SETTINGS.json

`clickmill process --engine spark` runs it so; the Databricks notebook calls run(). The settings:

    input        {"cassandra": {"keyspace": ..., "table": ...}}, {"parquet": PATH} or {"json": PATH}
    windows      some of "all", "day", "hour"
    session_timeout  seconds
    totals       false leaves out the numbers per url, per country and of the whole site
    output       {"elasticsearch": {"index": ALIAS, "totals": ALIAS, ...}}, {"parquet": PATH}; the
                 indices themselves in "cells_index" and "totals_index", else those of the aliases
    options      properties of Spark and of its connectors
    secrets      properties that are not shown anywhere; and "elastic", options of es-hadoop
    ca           a file of certificates in PEM for Cassandra ("cassandra") and Elasticsearch

Events are shuffled once, by user. Within a user's events, in the order of (timestamp, row_key), a
copy stands behind its twin, and the neighbours give time spent and sessions. What a user gives to
each (window, url, country) is added up before anything leaves the partition; a user counts once in
each of these rows, and by the flags `new_*` once in the rows of all countries, all urls, and the
site. So a second, small exchange of sums by (window, url, country) is all that follows.
"""

import base64
import json
import ssl
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

from pyspark import SparkContext
from pyspark.sql import Observation, SparkSession, Window
from pyspark.sql import functions as f

TIME_END = 4102444800000  # 2100-01-01T00:00:00Z
LENGTHS = {"day": 86400000, "hour": 3600000}  # of windows, ms
RULES = {"row_key": (0, 64), "user_id": (1, 256), "url": (1, 2048), "country": (0, 256),
         "city": (0, 256), "browser": (0, 256), "os": (0, 256), "device": (0, 256)}  # bytes
SUMS = ("clicks", "time_spent_sum", "time_spent_count", "time_on_page_sum", "time_on_page_count",
        "entrances", "exits")
SEPARATOR = "\x1f"


# ---- computing

def checked(raw):
    """The columns that answers follow from; `valid` says whether the event keeps the rules."""
    types = dict(raw.dtypes)
    time_ms = f.expr("unix_millis(timestamp)") if types["timestamp"] == "timestamp" else (
        f.col("timestamp").cast("long"))
    valid = f.col("time_ms").between(1, TIME_END - 1)
    for name, (least, most) in RULES.items():
        if name in types:
            length = f.coalesce(f.octet_length(f.col(name)), f.lit(0))
            valid = valid & length.between(least, most)
    columns = raw.withColumn("time_ms", time_ms).withColumn(
        "valid", f.coalesce(valid, f.lit(False)))
    return columns.select(
        "row_key", "user_id", "time_ms", "url", "valid",
        f.when(f.col("country") != "", f.col("country")).otherwise("Unknown").alias("country"))


def timeline(events, unique, timeout):
    """Each event once, with its time spent, in whole seconds, and whether sessions begin and end."""
    order = Window.partitionBy("user_id").orderBy("time_ms", "row_key")
    if not unique:
        events = events.withColumn("twin", (f.lag("row_key").over(order) == f.col("row_key")) & (
            f.lag("time_ms").over(order) == f.col("time_ms")))
        events = events.where(f.coalesce(~f.col("twin"), f.lit(True)))
    second = f.expr("time_ms div 1000")
    events = events.withColumn("second", second)
    spent = f.lead("second").over(order) - f.col("second")
    before = f.col("second") - f.lag("second").over(order)
    events = events.withColumn("spent", spent).withColumn("before", before)
    stays = f.coalesce(f.col("spent") <= timeout, f.lit(False))
    came = f.coalesce(f.col("before") <= timeout, f.lit(False))
    return events.select("user_id", "url", "country", "time_ms", "spent",
                         stays.alias("stays"), came.alias("came"))


def in_windows(events, windows):
    """A row for each window that an event belongs to: `window_start` is null for all time."""
    if windows == ["all"]:
        return events.withColumn("window", f.lit("all")).withColumn(
            "window_start", f.lit(None).cast("long"))
    places = [f.struct(f.lit(name).alias("window"), (
        f.lit(None).cast("long") if name == "all" else
        f.expr("time_ms - time_ms %% %dL" % LENGTHS[name])).alias("window_start"))
        for name in windows]
    return events.withColumn("place", f.explode(f.array(*places))).select(
        "*", "place.window", "place.window_start").drop("place")


def by_user(events):
    """What each user gives to each cell. Needs no exchange: a user's events are together."""
    one = f.lit(1).cast("long")
    return events.groupBy("user_id", "window", "window_start", "url", "country").agg(
        f.count(one).alias("clicks"),
        f.coalesce(f.sum("spent"), f.lit(0)).alias("time_spent_sum"),
        f.count("spent").alias("time_spent_count"),
        f.coalesce(f.sum(f.when(f.col("stays"), f.col("spent"))), f.lit(0)).alias(
            "time_on_page_sum"),
        f.count(f.when(f.col("stays"), one)).alias("time_on_page_count"),
        f.count(f.when(~f.col("came"), one)).alias("entrances"),
        f.count(f.when(~f.col("stays"), one)).alias("exits"))


def with_flags(shares):
    """Adds where a user's row is the first of several that a wider row has."""
    def first(*names):
        order = Window.partitionBy("user_id", "window", "window_start", *names).orderBy(
            "url", "country")
        return (f.row_number().over(order) == 1).cast("long")

    return shares.withColumn("new_country", first("country")).withColumn(
        "new_url", first("url")).withColumn("new_site", first())


def cells_of(shares, flags):
    """The contract's rows; with flags the numbers of users that wider rows get from each."""
    sums = [f.sum(name).alias(name) for name in SUMS + (
        ("new_url", "new_country", "new_site") if flags else ())]
    return shares.groupBy("window", "window_start", "url", "country").agg(
        f.count(f.lit(1)).alias("unique_user_count"), *sums)


def totals_of(cells):
    """The numbers per url, per country and of the site."""
    def roll_up(dimension, users, *names):
        sums = [f.sum(name).alias(name) for name in SUMS]
        rows = cells.groupBy("window", "window_start", *names).agg(
            f.sum(users).alias("unique_user_count"), *sums)
        for name in ("url", "country"):
            if name not in names:
                rows = rows.withColumn(name, f.lit(None).cast("string"))
        return rows.withColumn("dimension", f.lit(dimension))

    return roll_up("url", "new_url", "url").unionByName(
        roll_up("country", "new_country", "country")).unionByName(roll_up("site", "new_site"))


def documents(rows, now):
    """Rows as they stand in the index, and their _id in `document_id`."""
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


def answers(raw, settings):
    """Cells and what the account is made of."""
    seen = Observation("events")
    events = checked(raw).observe(
        seen, f.count(f.lit(1)).alias("read"), f.count(f.when(f.col("valid"), 1)).alias("accepted"))
    timeout = int(settings.get("session_timeout", 1800))
    unique = "cassandra" in settings["input"]  # its primary key is the row key
    flags = settings.get("totals", True)
    line = timeline(events.where("valid").drop("valid"), unique, timeout)
    shares = by_user(in_windows(line, sorted(settings.get("windows", ["all"]))))
    return cells_of(with_flags(shares) if flags else shares, flags), seen


# ---- reading and writing

def read(spark, source):
    if "parquet" in source:
        return spark.read.parquet(source["parquet"])
    if "json" in source:
        return spark.read.schema("row_key string, user_id string, timestamp long, url string, "
                                 "country string").json(source["json"])
    return spark.read.format("org.apache.spark.sql.cassandra").options(
        keyspace=source["cassandra"]["keyspace"], table=source["cassandra"]["table"]).load()


def write_documents(rows, index, options):
    rows.write.format("org.elasticsearch.spark.sql").mode("append").options(
        **{"es.mapping.id": "document_id", "es.mapping.exclude": "document_id",
           "es.index.auto.create": "false", "es.batch.write.retry.count": "-1"},
        **options).save(index)


class Elastic:
    """The index's layout (docs/elasticsearch.md), by plain HTTP: for where no clickmill has been."""

    def __init__(self, given, options, ca):
        self.given = given
        self.base = "%s://%s:%s" % (
            "https" if options.get("es.net.ssl") == "true" else "http", options["es.nodes"],
            options["es.port"])
        self.headers = {"Content-Type": "application/json"}
        if "es.net.http.auth.user" in options:
            self.headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % (
                options["es.net.http.auth.user"], options["es.net.http.auth.pass"])).encode()
                ).decode()
        elif "es.net.http.header.Authorization" in options:
            self.headers["Authorization"] = options["es.net.http.header.Authorization"]
        self.context = ssl.create_default_context(cafile=ca) if self.base[:5] == "https" else None

    def ask(self, method, path, body=None):
        """Status and answer."""
        request = urllib.request.Request(
            self.base + path, None if body is None else json.dumps(body).encode(), self.headers,
            method=method)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.context) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read() or b"{}")

    def order(self, method, path, body):
        status, answer = self.ask(method, path, body)
        if status != 200:
            raise SystemExit("Elasticsearch answers %d to %s: %s" % (
                status, path, json.dumps(answer.get("error"))[:500]))

    def index_of(self, alias, totals):
        """The index behind the alias; made where it is not there."""
        status, found = self.ask("GET", "/_alias/" + alias)
        if status == 200:
            return next(iter(found))
        self.order("PUT", "/_component_template/" + alias, {"template": {
            "settings": {"number_of_shards": self.given.get("shards", 1)}, "mappings": mapping(totals)}})
        self.order("PUT", "/_index_template/" + alias, {
            "index_patterns": [alias + "-*"], "priority": 500, "composed_of": [alias],
            "_meta": {"made_by": "clickmill"}})
        name = alias + "-000001"
        self.order("PUT", "/" + name, {"aliases": {alias: {}}})
        return name

    def prepare(self):
        """The two indices, marked: whoever wrote them before shall see that somebody else has."""
        names = [self.index_of(self.given["index"], False),
                 self.index_of(self.given["totals"], True)]
        self.order("PUT", "/%s/_mapping" % ",".join(names),
                   {"_meta": {"clickmill": {"epoch": uuid.uuid4().hex}}})
        return names


COUNTS = ("accepted", "processed", "events", "duplicates", "cells", "dead")  # of freshness


def mapping(totals):
    """The fields of an index and their types."""
    date = {"type": "date", "format": "epoch_millis"}
    kinds = {"keyword": ["url", "country", "window"],
             "long": ["unique_user_count", *SUMS],
             "double": ["average_time_spent", "average_time_on_page"]}
    if totals:
        kinds["keyword"].append("dimension")
        kinds["long"].extend(COUNTS)
    return {"dynamic": False, "properties": {
        "URL": {"type": "alias", "path": "url"}, "window_start": date, "updated_at": date,
        **{name: {"type": kind} for kind, names in kinds.items() for name in names}}}


def freshness(spark, cells, account, now):
    """How far the answers are, a document a window."""
    counted = cells.groupBy("window").agg(f.count(f.lit(1)).alias("cells"),
                                          f.sum("clicks").alias("events")).collect()
    account["windows"] = {row["window"]: row["cells"] for row in counted}
    account["events"] = counted[0]["events"] if counted else 0
    account["duplicates"] = account["accepted"] - account["events"]
    account["cells"] = sum(account["windows"].values())
    rows = [("freshness:" + row["window"], row["window"], "freshness", account["accepted"],
             account["accepted"], account["events"], account["duplicates"], row["cells"], 0, now)
            for row in counted]
    return spark.createDataFrame(rows, "document_id string, window string, dimension string, "
                                 "accepted long, processed long, events long, duplicates long, "
                                 "cells long, dead long, updated_at long")


def deliver(spark, raw, settings):
    """Computes and writes; the account."""
    now = int(time.time() * 1000)
    cells, seen = answers(raw, settings)
    output = settings["output"]
    if "parquet" in output:
        documents(cells, now).write.mode("overwrite").parquet(output["parquet"])
        return dict(seen.get)
    elastic = output["elasticsearch"]
    options = {**settings.get("elastic", {}), **settings.get("secrets", {}).get("elastic", {})}
    names = [elastic.get("cells_index"), elastic.get("totals_index")]
    if names[0] is None:
        names = Elastic(elastic, options, settings.get("ca", {}).get("elasticsearch")).prepare()
    # Computed once; what a cache would hold is not counted by the Observation.
    cells = cells.localCheckpoint()
    account = dict(seen.get)
    write_documents(documents(cells, now), names[0], options)
    if settings.get("totals", True):
        write_documents(documents(totals_of(cells), now), names[1], options)
        write_documents(freshness(spark, cells, account, now), names[1], options)
    account["rejected"] = account["read"] - account["accepted"]
    return account


# ---- running

def trust_store(pem, password):
    """A key store of Java's with the certificates of a PEM file."""
    SparkContext._ensure_initialized()
    java = SparkContext._jvm.java
    store = java.security.KeyStore.getInstance("JKS")
    store.load(None, None)
    stream = java.io.FileInputStream(pem)
    factory = java.security.cert.CertificateFactory.getInstance("X.509")
    for number, certificate in enumerate(factory.generateCertificates(stream).toArray()):
        store.setCertificateEntry("ca%d" % number, certificate)
    stream.close()
    path = tempfile.mkstemp(prefix="clickmill-trust-", suffix=".jks")[1]
    out = java.io.FileOutputStream(path)
    store.store(out, SparkContext._gateway.new_array(SparkContext._jvm.char, 0) if not password
                else java.lang.String(password).toCharArray())
    out.close()
    return path


TRUST_PASSWORD = "clickmill"  # of a file that holds nothing secret


def session(settings):
    """Spark, with the properties of the settings."""
    authorities = settings.get("ca", {})
    options = dict(settings.get("options", {}))
    if authorities.get("cassandra"):
        options["spark.cassandra.connection.ssl.trustStore.path"] = trust_store(
            authorities["cassandra"], TRUST_PASSWORD)
        options["spark.cassandra.connection.ssl.trustStore.password"] = TRUST_PASSWORD
        options["spark.cassandra.connection.ssl.trustStore.type"] = "JKS"
    if authorities.get("elasticsearch"):
        settings.setdefault("elastic", {})["es.net.ssl.truststore.location"] = (
            "file://" + trust_store(authorities["elasticsearch"], TRUST_PASSWORD))
        settings["elastic"]["es.net.ssl.truststore.pass"] = TRUST_PASSWORD
    builder = SparkSession.builder.appName("clickmill")
    for name, value in {
            "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
            "spark.sql.redaction.options.regex": "(?i)url|pass|authorization", **options,
            **settings.get("secrets", {}).get("options", {})}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def watch(spark, stop):
    """Tells now and then how far Spark is: a JSON line, the stage and its tasks."""
    tracker, told = spark.sparkContext.statusTracker(), None
    while not stop.wait(0.5):
        for number in tracker.getActiveStageIds():
            stage = tracker.getStageInfo(number)
            if stage is None:
                continue
            line = {"stage": stage.stageId, "name": stage.name, "done": stage.numCompletedTasks,
                    "tasks": stage.numTasks}
            if line != told:
                told = line
                print(json.dumps({"progress": line}), flush=True)
            break


def run(settings, spark=None):
    """All of it; returns the account."""
    spark = spark or session(settings)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(spark, stop), daemon=True)
    watcher.start()
    try:
        return deliver(spark, read(spark, settings["input"]), settings)
    finally:
        stop.set()
        watcher.join()


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    print(json.dumps({"account": run(settings)}), flush=True)


if __name__ == "__main__":
    main()
