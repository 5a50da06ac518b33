"""The answers of docs/contract.md on Spark: raw events -> exact answers -> Elasticsearch.

    spark-submit clickstream_job.py SETTINGS.json

`clickmill process --engine spark` runs it so; the Databricks notebook calls run(). The settings:

    input        {"cassandra": {"keyspace": ..., "table": ...}}, {"parquet": PATH} or {"json": PATH}
    windows      some of "all", "day", "hour"
    session_timeout  seconds
    totals       false leaves out the numbers per url, per country and of the whole site
    output       {"elasticsearch": {"index": ALIAS, "totals": ALIAS}} or {"parquet": PATH}; "cells_index"
                 and "totals_index" name the indices themselves, which are then as they must be; else
                 they are made where they are missing, and "rebuild" fills new ones and moves the
                 aliases; "shards" and "replicas" of those that are made
    elastic      {"hosts": [URL, ...]} or {"cloud_id": ...}; "insecure" checks no certificate
    options      properties of Spark and of Cassandra's connector
    secrets      {"options": properties that are not shown anywhere, "elastic": {"username",
                 "password"}, {"api_key"} or {"authorization"}}
    ca           a file of certificates in PEM for Cassandra ("cassandra") and Elasticsearch; "shared"
                 says that all machines see Cassandra's, so that a key store may be put beside it

Documents are written by plain bulk requests of the tasks: no connector is needed for them.
Events are shuffled once, by user. Within a user's events, in the order of (timestamp, row_key), the
neighbours give time spent and sessions, and of an event's copies the one that counts stands last
(docs/contract.md, "Copies"). Then a user's events of a row are put into one, and where the user
comes to a url or a country for the first time is marked, in another order of the same partition; so
users are counted by adding up, and all that follows is a small exchange of sums by (window, url,
country).
"""

import atexit
import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid

from pyspark import cloudpickle
from pyspark.sql import Observation, SparkSession, Window
from pyspark.sql import functions as f

TIME_END = 4102444800000  # 2100-01-01T00:00:00Z
LENGTHS = {"day": 86400000, "hour": 3600000}  # of windows, ms
RULES = {"row_key": (0, 64), "user_id": (1, 256), "url": (1, 2048), "country": (0, 256),
         "city": (0, 256), "browser": (0, 256), "os": (0, 256), "device": (0, 256)}  # bytes
OPTIONAL = ("country", "city", "browser", "os", "device")
# What JSON escapes, as `export` does it.
ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), *(
    (chr(code), "\\u%04x" % code) for code in range(32) if chr(code) not in "\n\r\t"))
SUMS = ("clicks", "time_spent_sum", "time_spent_count", "time_on_page_sum", "time_on_page_count",
        "entrances", "exits")
TASKS = 8  # a core
BULK_BYTES = 4 << 20  # of a request
BULK_PATH = "/%s/_bulk?filter_path=errors,items.*._id,items.*.status,items.*.error"
BULK_WAITS = (1, 2, 4, 8, 15, *(30,) * 19)  # seconds; ten minutes
PASSING = (0, 429, 502, 503, 504)  # 0: no answer
DIMENSIONS = ("cell", "url", "country", "site")
SEPARATOR = "\x1f"
NAMESPACE = "6ba7b8109dad11d180b400c04fd430c8"  # of row keys that are derived: DNS
RFC_3339 = ("^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"
            "([Zz]|[+-][0-9]{2}:[0-9]{2})$")


# ---- computing
def checked(raw, unique):
    """The columns that answers follow from; `valid` says whether the event keeps the rules. Unless
    row keys are unique, also how many of the optional fields are `stated`."""
    types = dict(raw.dtypes)
    valid = f.col("time_ms").between(1, TIME_END - 1)
    for name, (least, most) in RULES.items():
        if name in types:
            fits = f.octet_length(f.col(name)) <= most
            valid = valid & (fits & (f.col(name) != "") if least else f.coalesce(fits, f.lit(True)))
    columns = raw.withColumn("time_ms", milliseconds(types["timestamp"])).withColumn(
        "valid", f.coalesce(valid, f.lit(False)))
    country = f.when(f.col("country") != "", f.col("country")).otherwise("Unknown")
    stated = [f.when((f.col(name) != "") & (f.col(name) != "Unknown"), 1).otherwise(0)
              for name in OPTIONAL if name in types]
    return columns.select("row_key", "user_id", "time_ms", "url", "valid", country.alias("country"),
                          *([] if unique else [sum(stated, f.lit(0)).alias("stated")]))


def milliseconds(kind):
    """The column `timestamp`: Spark's time, an integer, or a text that is one or RFC 3339."""
    if kind == "timestamp":
        return f.expr("unix_millis(timestamp)")
    number = f.col("timestamp").cast("long")
    if kind != "string":
        return number
    written = f.col("timestamp").rlike(RFC_3339)
    return f.when(written, f.expr("unix_millis(cast(upper(timestamp) as timestamp))")).when(
        f.col("timestamp").rlike("^[0-9]{1,15}$"), number)


def derived_key():
    """The row key of an event that has none: the UUIDv5 of user and time."""
    digest = f.sha1(f.concat(f.unhex(f.lit(NAMESPACE)), f.encode(
        f.concat_ws("_", "user_id", f.col("time_ms").cast("string")), "UTF-8")))

    def part(at, length):
        return f.substring(digest, at, length)

    return f.concat_ws("-", part(1, 8), part(9, 4), f.concat(f.lit("5"), part(14, 3)), f.concat(
        f.translate(part(17, 1), "0123456789abcdef", "89ab" * 4), part(18, 3)), part(21, 12))


def in_json(name):
    """A text as it stands in the JSON of an event, with the quote that ends it: so texts are put in
    the order of that."""
    text = f.col(name)
    for plain, escaped in ESCAPES:
        text = f.replace(text, f.lit(plain), f.lit(escaped))
    odd = f.col(name).rlike(r'[\x00-\x1f"\\]')
    return f.concat(f.when(odd, text).otherwise(f.col(name)), f.lit('"'))


def timeline(events, unique, timeout):
    """Each event with what it adds to its row."""
    # Users are kept apart by a number first, which sorts faster than their names.
    events = events.withColumn("user_hash", f.xxhash64("user_id"))
    users = Window.partitionBy("user_hash", "user_id")
    order = users.orderBy("time_ms", "row_key")
    if not unique:
        # The one that counts stands last among the copies: more is stated in it, or its JSON is
        # greater; of those at one url in one country it does not matter which one it is. A sort looks
        # at that for copies alone, a window for each row; and a window keeps the order that it finds.
        events = events.repartition("user_hash", "user_id").sortWithinPartitions(
            "user_hash", "user_id", "time_ms", "row_key", "stated", in_json("url"), in_json("country"))
        copied = (f.lead("time_ms").over(order) == f.col("time_ms")) & (
            f.lead("row_key").over(order) == f.col("row_key"))
        events = events.select("*", copied.alias("copied")).where("copied is not true")
    events = events.select("*", f.lag("time_ms").over(order).alias("before_time_ms"),
                           f.lead("time_ms").over(order).alias("after_time_ms"))
    came = f.expr("time_ms div 1000 - before_time_ms div 1000") <= timeout
    return events.select(
        "user_hash", "user_id", "url", "country", "time_ms", "before_time_ms",
        f.expr("after_time_ms div 1000 - time_ms div 1000").alias("spent"),
        (~f.coalesce(came, f.lit(False))).alias("enters"))


def count(condition):
    return f.sum(f.when(condition, f.lit(1)).otherwise(f.lit(0)).cast("long"))


def by_user(events, windows, totals, timeout):
    """A user's events of one row, within the shortest window, in one; needs no exchange, because a
    user's events are together. `new_site_day` counts the user's first event of each day."""
    stays = f.coalesce(f.col("spent") <= timeout, f.lit(False))
    sums = {"clicks": f.count(f.lit(1)),
            "time_spent_sum": f.coalesce(f.sum("spent"), f.lit(0)),
            "time_spent_count": f.count("spent"),
            "time_on_page_sum": f.sum(f.when(stays, f.col("spent")).otherwise(f.lit(0))),
            "time_on_page_count": count(stays),
            "entrances": count(f.col("enters")),
            "exits": count(~stays)}
    for window in windows if totals else ():
        sums["new_site_" + window] = count(is_first(window, "before_time_ms", "time_ms"))
    keys = [f.col(name) for name in ("user_hash", "user_id", "url", "country")]
    if windows[0] != "all":
        keys.append(start_of(windows[0]).alias("start"))
    return events.groupBy(*keys).agg(*[column.alias(name) for name, column in sums.items()])


def with_firsts(rows, windows, totals):
    """Adds where a user comes to a row for the first time: these count its users. `new_url_day` is
    true for the user's first row of that day and url, and so on. Needs no exchange, but another
    order for each dimension; none for the rows as they are in their own window."""
    times = windows != ["all"]
    names = {"cell": ("url", "country"), "country": ("country",), "url": ("url",)}
    for dimension in names if totals else ("cell",):
        for window in windows if dimension != "cell" else windows[1:]:
            if "before" not in rows.columns:
                # As with users: numbers first.
                rows = rows.withColumn("row_hash", f.xxhash64(*names[dimension]))
                order = Window.partitionBy("user_hash", "user_id").orderBy(
                    "row_hash", *names[dimension], *(["start"] if times else []))
                same = f.lag("row_hash").over(order) == f.col("row_hash")
                for name in names[dimension]:
                    same = same & (f.lag(name).over(order) == f.col(name))
                rows = rows.withColumn("before", f.when(
                    same, f.lag("start").over(order) if times else f.lit(0)))
            rows = rows.withColumn("new_%s_%s" % (dimension, window), f.when(
                is_first(window, "before", "start"), f.lit(1)).otherwise(f.lit(0)).cast("long"))
        rows = rows.drop("before", "row_hash")
    return rows.withColumn("new_cell_" + windows[0], f.lit(1).cast("long"))


def is_first(window, before, time):
    """Whether the time before, if there is one, is in another window."""
    first = f.col(before).isNull()
    return first if window == "all" else first | (start_of(window, before) != start_of(window, time))


def start_of(window, time="time_ms"):
    """Where the window of a time begins."""
    return f.expr("%s - %s %% %dL" % (time, time, LENGTHS[window]))


def sum_up(rows, windows, totals):
    """Rows of (url, country, window) for the shortest window: longer ones add up from them, since
    days are made of hours, users included, who are new in one hour of each day."""
    news = ["new_%s_%s" % (dimension, window)
            for dimension in (DIMENSIONS if totals else DIMENSIONS[:1]) for window in windows]
    keys = ["url", "country", *([] if windows[0] == "all" else ["start"])]
    return rows.groupBy(*keys).agg(*[f.sum(name).alias(name) for name in (*SUMS, *news)])


def cells_of(sums, windows):
    """The contract's rows of every window, from the sums of the shortest one."""
    def of(window):
        start = f.lit(None).cast("long") if window == "all" else start_of(window, "start")
        rows = sums.withColumn("window_start", start)
        news = [name for name in sums.columns if name.endswith("_" + window)]
        if window != windows[0]:
            rows = rows.groupBy("url", "country", "window_start").agg(
                *[f.sum(name).alias(name) for name in (*SUMS, *news)])
        return rows.select(f.lit(window).alias("window"), "window_start", "url", "country", *SUMS,
                           *[f.col(name).alias(name[:name.rindex("_")]) for name in news])

    rows = of(windows[0])
    for window in windows[1:]:
        rows = rows.unionByName(of(window))
    return rows.withColumn("unique_user_count", f.col("new_cell"))


def totals_of(cells):
    """The numbers per url, per country and of the site."""
    def roll_up(dimension, *names):
        rows = cells.groupBy("window", "window_start", *names).agg(
            f.sum("new_" + dimension).alias("unique_user_count"),
            *[f.sum(name).alias(name) for name in SUMS])
        for name in ("url", "country"):
            if name not in names:
                rows = rows.withColumn(name, f.lit(None).cast("string"))
        return rows.withColumn("dimension", f.lit(dimension))

    return roll_up("url", "url").unionByName(
        roll_up("country", "country")).unionByName(roll_up("site"))


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


def spread(spark):
    """Some tasks a core: what each of them sorts shall fit into memory. Spark puts small ones
    together again."""
    name = "spark.sql.shuffle.partitions"
    try:
        cores = spark.sparkContext.defaultParallelism
    except Exception:  # as in watch()
        return
    wanted, now = TASKS * cores, int(spark.conf.get(name))
    if now < wanted or now == 200:  # 200: what nobody has chosen
        spark.conf.set(name, str(wanted))


def answers(raw, settings):
    """Sums of the shortest window (sum_up()), and the Observation of what was read."""
    spread(raw.sparkSession)
    seen = Observation("events")
    unique = "cassandra" in settings["input"]  # its primary key is the row key
    events = checked(raw, unique).observe(
        seen, f.count(f.lit(1)).alias("read"), f.count(f.when(f.col("valid"), 1)).alias("accepted"))
    events = events.where("valid")
    if not unique:
        events = events.withColumn("row_key", f.when(
            f.col("row_key") != "", f.col("row_key")).otherwise(derived_key()))
    windows, totals = windows_of(settings), settings.get("totals", True)
    timeout = int(settings.get("session_timeout", 1800))
    rows = by_user(timeline(events, unique, timeout), windows, totals, timeout)
    return sum_up(with_firsts(rows, windows, totals), windows, totals), seen


def windows_of(settings):
    """The windows asked for, the shortest first."""
    return [name for name in ("hour", "day", "all") if name in settings.get("windows", ["all"])]


# ---- reading and writing
LEVEL = "spark.cassandra.input.consistency.level"


def read(spark, settings):
    source = settings["input"]
    if "parquet" in source:
        return spark.read.parquet(source["parquet"])
    if "json" in source:
        return spark.read.schema(", ".join(name + " string" for name in (*RULES, "timestamp"))).json(
            source["json"])
    # Given to the reader alone: what is in a session's configuration shows up in its pages.
    own = {name: value for part in (settings.get("options", {}), settings.get(
        "secrets", {}).get("options", {})) for name, value in part.items()
        if name.startswith("spark.cassandra.")}
    # The connector's own is LOCAL_ONE: that copy may lack what the others have acknowledged.
    if LEVEL not in own and spark.conf.get(LEVEL, None) is None:
        own[LEVEL] = "LOCAL_QUORUM"
    return spark.read.format("org.apache.spark.sql.cassandra").options(
        keyspace=source["cassandra"]["keyspace"], table=source["cassandra"]["table"], **own).load()


def write_documents(rows, index, server):
    """Sends the rows by bulk requests from where they were computed, each under its own _id."""
    source = f.to_json(f.struct(*[name for name in rows.columns if name != "document_id"]),
                       {"ignoreNullFields": "true"})
    lines = rows.select(f.concat(f.lit('{"index":{"_id":"'), "document_id", f.lit('"}}\n'), source,
                                 f.lit("\n")).alias("lines"))
    try:
        lines.foreachPartition(lambda part: send(server, index, part))
    except Exception as error:  # Spark's own, with what the task said somewhere in its text
        said = re.search(r"Trouble: (.+)", str(error))
        raise Trouble(said.group(1)) if said else error from None


def send(server, index, rows):
    """All rows of a partition, some megabytes a request. Runs where Spark's tasks do."""
    pairs, size = [], 0
    for row in rows:
        pairs.append(row[0].encode())
        size += len(pairs[-1])
        if size >= BULK_BYTES:
            server.bulk(index, pairs)
            pairs, size = [], 0
    if pairs:
        server.bulk(index, pairs)


class Trouble(Exception):
    """What the server does not do, in a sentence."""


def cloud_host(cloud_id):
    """The address that Elastic Cloud's name for a deployment leads to: NAME:BASE64, in which
    HOST[:PORT]$ELASTICSEARCH$KIBANA."""
    try:
        host, name = base64.b64decode(cloud_id.rpartition(":")[2], validate=True).decode().split(
            "$")[:2]
    except ValueError:
        raise Trouble("the cloud_id is none: it is NAME:BASE64, as Elastic Cloud shows it") from None
    host, _, port = host.partition(":")
    return "https://%s.%s:%s" % (name, host, port or 443)


class Plain(urllib.request.HTTPErrorProcessor):
    """Takes whatever comes for an answer: a request that is led on loses its body, and would take
    the password along."""
    http_response = https_response = lambda self, request, response: response


class Server:
    """Elasticsearch or OpenSearch by plain HTTP. Goes to the tasks with all that it needs."""

    def __init__(self, settings):
        given = {**settings.get("elastic", {}), **settings.get("secrets", {}).get("elastic", {})}
        hosts = [cloud_host(given["cloud_id"])] if given.get("cloud_id") else given["hosts"]
        self.bases = [base_of(host) for host in hosts]
        self.insecure, self.authority, self.context = given.get("insecure") is True, None, None
        authority = settings.get("ca", {}).get("elasticsearch")
        if authority:
            with open(authority, encoding="ascii") as file:
                self.authority = file.read()
        self.headers = {}
        if "authorization" in given:
            self.headers["Authorization"] = given["authorization"]
        elif "api_key" in given:
            self.headers["Authorization"] = "ApiKey " + given["api_key"]
        elif "username" in given:
            self.headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % (
                given["username"], given["password"])).encode()).decode()

    def trust(self):
        if self.context is None and any(base.startswith("https:") for base in self.bases):
            self.context = ssl.create_default_context(cadata=self.authority)
            if self.insecure:
                self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        return self.context

    def __getstate__(self):
        return {**self.__dict__, "context": None}  # it cannot be sent

    def ask(self, method, path, body=None, kind="application/json"):
        """Status and answer of the first node that gives one; status 0 where none does."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        opener = urllib.request.build_opener(
            Plain, urllib.request.HTTPSHandler(context=self.trust()))
        for base in self.bases:
            request = urllib.request.Request(
                base + path, data, {**self.headers, "Content-Type": kind}, method=method)
            try:
                with opener.open(request, timeout=120) as answer:
                    return answer.status, object_of(answer.read())
            except (OSError, http.client.HTTPException) as error:
                away = error
        return 0, {"error": "no answer: %s" % away}

    def patiently(self, *request, waits=(1, 2, 4, 8)):
        """The same, and again for a while where the answer is that of a moment."""
        for wait in (*waits, None):
            status, answer = self.ask(*request)
            if status not in PASSING or wait is None:
                return status, answer
            time.sleep(wait)

    def order(self, method, path, body=None, kind="application/json"):
        status, answer = self.patiently(method, path, body, kind)
        if status != 200:
            raise Trouble("%s to %s %s" % (self.words(status, answer), method, path))
        return answer

    def words(self, status, answer):
        return "Elasticsearch at %s answers %s (%s)" % (
            ", ".join(self.bases), status or "nothing", json.dumps(answer.get("error"))[:500])

    def bulk(self, index, pairs):
        """Writes documents, each given as its two lines. What the server has no room for now is
        sent again."""
        for wait in (*BULK_WAITS, None):
            status, answer = self.ask("POST", BULK_PATH % index, b"".join(pairs),
                                      "application/x-ndjson")
            if status == 413 and len(pairs) > 1:
                self.bulk(index, pairs[:len(pairs) // 2])
                return self.bulk(index, pairs[len(pairs) // 2:])
            if status not in (200, *PASSING):
                raise Trouble("%s to a bulk request for %s" % (self.words(status, answer), index))
            if status == 200:
                pairs = self.left(index, pairs, answer)
            if not pairs:
                return None
            if wait is not None:
                time.sleep(wait)
        raise Trouble("%s to a bulk request for %s, again and again for %d minutes" % (
            self.words(status, answer), index, sum(BULK_WAITS) // 60))

    def left(self, index, pairs, answer):
        """Of documents those that are to be sent again. A page of a proxy says nothing of them."""
        if answer.get("errors") is False:
            return []
        if len(answer.get("items", [])) != len(pairs):
            raise Trouble("%s to a bulk request for %s" % (self.words(200, {"error": answer}), index))
        left = []
        for pair, item in zip(pairs, answer["items"]):
            result = item["index"]
            if result["status"] in PASSING:
                left.append(pair)
            elif result["status"] >= 300:
                raise Trouble("%s refuses the document %s: %s" % (
                    index, result["_id"], json.dumps(result.get("error"))[:500]))
        return left


def object_of(text):
    try:
        said = json.loads(text or b"{}")
    except ValueError:
        said = text.decode(errors="replace")
    return said if isinstance(said, dict) else {"error": said}


def base_of(host):
    """A URL without what is at its end, with the port that is meant."""
    url = urllib.parse.urlsplit(host if "://" in host else "http://" + host)
    port = url.port or ({"https": 443, "http": 80}[url.scheme] if "://" in host else 9200)
    name = "[%s]" % url.hostname if ":" in url.hostname else url.hostname
    return "%s://%s:%d%s" % (url.scheme, name, port, url.path.rstrip("/"))


class Elastic:
    """The index's layout (docs/elasticsearch.md): for where no clickmill has been."""

    def __init__(self, given, server):
        self.given, self.order, self.patiently = given, server.order, server.patiently
        self.cells, self.totals = given.get("cells_index"), given.get("totals_index")
        self.made, self.epoch = [], None

    # ---- layout
    def put_templates(self, alias, totals):
        given = {"shards": 1, **self.given}
        settings = {"number_of_" + n: given[n] for n in ("shards", "replicas") if n in given}
        self.order("PUT", "/_component_template/" + alias, {"template": {
            "settings": settings, "mappings": mapping(totals)}})
        self.order("PUT", "/_index_template/" + alias, {
            "index_patterns": [alias + "-*"], "priority": 500, "composed_of": [alias],
            "_meta": {"made_by": "clickmill"}})

    def behind(self, alias):
        """The index that the alias leads to; None: there is no such alias."""
        status, found = self.patiently("GET", "/_alias/" + alias)
        if status == 404:
            return None
        if status != 200:
            raise Trouble("Elasticsearch answers %d to a question for the alias %s" % (status, alias))
        if len(found) != 1:
            raise Trouble("the alias %s leads to %d indices, one is wanted" % (alias, len(found)))
        return next(iter(found))

    def make(self, alias, totals, aliased):
        """The next index, ALIAS-000001 and so on."""
        self.put_templates(alias, totals)
        _, found = self.patiently("GET", "/%s-*/_alias?expand_wildcards=all" % alias)
        numbers = re.findall("^%s-([0-9]+)$" % re.escape(alias), "\n".join(found), re.M)
        name = "%s-%06d" % (alias, max(map(int, numbers), default=0) + 1)
        ours = {"_meta": {"clickmill": {"made": uuid.uuid4().hex}}}
        try:
            self.order("PUT", "/" + name, {
                "mappings": ours, "aliases": {alias: {}} if aliased else {}})
        except Trouble:  # it may be made, and only the answer was lost: then it has our mark
            _, found = self.patiently("GET", "/" + name)
            if found.get(name, {}).get("mappings", {}).get("_meta") != ours["_meta"]:
                raise
        self.made.append(name)
        return name

    def begin(self):
        """The two indices, marked: whoever wrote them before shall see that somebody else has."""
        self.swaps = self.cells is None and bool(self.given.get("rebuild"))
        self.marks = not self.given.get("rebuild")  # what is filled anew is checked by its mark
        if self.cells is not None:  # by who has made and marked them
            self.epoch = self.epochs().pop()
            return
        self.cells, self.totals = [
            (not self.swaps and self.behind(self.given[part])) or self.make(
                self.given[part], totals, not self.swaps) for part, totals in PARTS.items()]
        self.mark()

    def end(self, windows, now, totals):
        """Makes what was written visible, and takes away what no event leads to any more: what
        this run has not written. Returns how many documents that were."""
        self.order("POST", "/%s,%s/_refresh" % (self.cells, self.totals))
        if self.swaps:
            self.move()
            return 0
        removed = sum(self.sweep(i, windows, now) for i in (self.cells, self.totals)[:1 + totals])
        if self.marks:
            self.mark()
        return removed

    def discard(self):
        """Takes away what was made for a run that has failed, unless somebody else writes it now, or
        the aliases lead to it already: no index shall be left that nothing leads to."""
        for name in self.made:
            try:
                found = self.order("GET", "/" + name)[name]
                ours = epoch_of(found["mappings"]) in (None, self.epoch)
                if ours and not (self.swaps and found["aliases"]):
                    self.order("DELETE", "/" + name)
            except Trouble as trouble:
                print("the index %s, which was made for this run, stays: %s" % (name, trouble),
                      file=sys.stderr)

    def mark(self):
        """An epoch that is nobody's but ours: who took the indices over while we were writing does
        not know of all that we wrote, and will compare."""
        self.epoch = uuid.uuid4().hex
        self.order("PUT", "/%s,%s/_mapping" % (self.cells, self.totals),
                   {"_meta": {"clickmill": {"epoch": self.epoch}}})

    def move(self):
        """Both aliases lead to what was filled, in one step; what they led to goes."""
        actions = []
        for part, name in (("index", self.cells), ("totals", self.totals)):
            old = self.behind(self.given[part])
            actions.append({"add": {"index": name, "alias": self.given[part]}})
            if old is not None:
                actions.append({"remove_index": {"index": old}})
        try:
            self.order("POST", "/_aliases", {"actions": actions})
        except Trouble:
            # It may be done, and only the answer was lost: then it cannot be done again.
            if [self.behind(self.given[part]) for part in PARTS] != [self.cells, self.totals]:
                raise

    def epochs(self):
        """The marks of the two indices: another one than ours is of who has begun to write since."""
        found = self.order("GET", "/%s,%s/_mapping" % (self.cells, self.totals))
        return {epoch_of(about["mappings"]) for about in found.values()}

    def sweep(self, index, windows, now):
        query = {"size": 5000, "_source": False, "query": {"bool": {
            "filter": [{"terms": {"window": windows}}],
            "must_not": [{"term": {"updated_at": now}}]}}}
        removed = 0
        while True:
            hits = self.order("POST", "/%s/_search" % index, query)["hits"]["hits"]
            if not hits or self.epochs() != {self.epoch}:
                return removed
            lines = [json.dumps({"delete": {"_index": index, "_id": hit["_id"]}}) for hit in hits]
            answer = self.order("POST", "/_bulk?refresh=true", ("\n".join(lines) + "\n").encode(),
                                "application/x-ndjson")
            if any(item["delete"]["status"] not in (200, 404) for item in answer["items"]):
                raise Trouble("Elasticsearch does not delete from %s: %s" % (
                    index, json.dumps(answer["items"][0])[:500]))
            removed += len(hits)


def epoch_of(mappings):
    return mappings.get("_meta", {}).get("clickmill", {}).get("epoch")


PARTS = {"index": False, "totals": True}  # the settings' name for an alias; whether of totals
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


def freshness(spark, cells, account, windows, now):
    """How far the answers are, a document a window."""
    counted = {row["window"]: row for row in cells.groupBy("window").agg(
        f.count(f.lit(1)).alias("cells"), f.sum("clicks").alias("events")).collect()}
    account["events"] = counted[windows[0]]["events"] if counted else 0
    account["duplicates"] = account["accepted"] - account["events"]
    account["windows"] = {name: counted[name]["cells"] if counted else 0 for name in windows}
    account["cells"] = sum(account["windows"].values())
    rows = [("freshness:" + name, name, "freshness", account["accepted"], account["accepted"],
             account["events"], account["duplicates"], account["windows"][name], 0, now)
            for name in windows]
    return spark.createDataFrame(rows, "document_id string, window string, dimension string, "
                                 "accepted long, processed long, events long, duplicates long, "
                                 "cells long, dead long, updated_at long")


def deliver(spark, raw, settings):
    """Computes and writes; the account."""
    now = int(time.time() * 1000)
    sums, seen = answers(raw, settings)
    output, windows = settings["output"], windows_of(settings)
    totals = settings.get("totals", True)
    if "parquet" in output:
        documents(cells_of(sums, windows), now).write.mode("overwrite").parquet(output["parquet"])
        account = dict(seen.get)
        return dict(account, rejected=account["read"] - account["accepted"])
    server = Server(settings)
    elastic = Elastic(output["elasticsearch"], server)
    try:
        return fill(spark, elastic, server, sums, seen, windows, now, totals)
    except BaseException:
        elastic.discard()
        raise


def fill(spark, elastic, server, sums, seen, windows, now, totals):
    """Writes the answers; the account."""
    elastic.begin()
    # Computed once; what a cache would hold is not counted by the Observation.
    sums = sums.localCheckpoint()
    account = dict(seen.get)
    cells = cells_of(sums, windows)
    write_documents(documents(cells, now), elastic.cells, server)
    if totals:
        write_documents(documents(totals_of(cells), now), elastic.totals, server)
        write_documents(freshness(spark, cells, account, windows, now), elastic.totals, server)
    account["rejected"] = account["read"] - account["accepted"]
    account["removed"] = elastic.end(windows, now, totals)
    return account


# ---- running
def trust_store(pem, shared):
    """A key store of Java's (JKS) with the certificates of a PEM file. It goes when we end, and lies
    in the temporary directory; or it stays, beside the PEM file, where all machines see that."""
    with open(pem, encoding="ascii") as file:
        found = re.findall("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(),
                           re.S)
    if not found:
        raise Trouble("%s has no certificate: it shall be a file in PEM" % pem)
    body = struct.pack(">III", 0xfeedfeed, 2, len(found))
    for number, text in enumerate(found):
        name, der = b"ca%d" % number, ssl.PEM_cert_to_DER_cert(text)
        body += struct.pack(">IH", 2, len(name)) + name + struct.pack(">QH", 0, 5) + b"X.509"
        body += struct.pack(">I", len(der)) + der
    body += hashlib.sha1(TRUST_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
    if shared:
        opened = path = pem + ".clickmill.jks"
    else:
        opened, path = tempfile.mkstemp(prefix="clickmill-trust-", suffix=".jks")
        atexit.register(lambda: os.path.exists(path) and os.unlink(path))
    with open(opened, "wb") as file:
        file.write(body)
    return path


TRUST_PASSWORD = "clickmill"  # of a file that holds nothing secret
TRUST_PLACE = "spark.cassandra.connection.ssl.trustStore."
CIPHERS = ",".join(("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", *(
    "TLS_ECDHE_%s_WITH_AES_%s" % (key, cipher) for key in ("ECDSA", "RSA")
    for cipher in ("256_GCM_SHA384", "128_GCM_SHA256"))))


def trust(settings):
    """Puts into the settings what makes Cassandra's connector trust the certificates in them."""
    authorities, options = settings.get("ca", {}), settings.setdefault("options", {})
    if options.get("spark.cassandra.connection.ssl.enabled") == "true":
        # What the connector offers by itself is of no use to servers of today.
        options.setdefault("spark.cassandra.connection.ssl.enabledAlgorithms", CIPHERS)
    if authorities.get("cassandra"):
        options.update({
            TRUST_PLACE + "path": trust_store(
                authorities["cassandra"], authorities.get("shared", False)),
            TRUST_PLACE + "password": TRUST_PASSWORD, TRUST_PLACE + "type": "JKS"})


def session(settings):
    """Spark, with the properties of the settings that are not for the readers."""
    builder = SparkSession.builder.appName("clickmill")
    for name, value in {
            "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
            "spark.sql.redaction.options.regex": "(?i)url|pass|authorization",
            **settings.get("options", {}), **settings.get("secrets", {}).get("options", {})}.items():
        if not name.startswith("spark.cassandra."):
            builder = builder.config(name, value)
    return builder.getOrCreate()


def watch(spark, stop):
    """Tells now and then how far Spark is: a JSON line, the stage and its tasks."""
    try:
        tracker, told = spark.sparkContext.statusTracker(), None
    except Exception:  # a Spark that is only connected to has none, each release by its own error
        return
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
    if __name__ != "__main__":  # tasks cannot import what lies beside a notebook
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
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


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    try:
        print(json.dumps({"account": run(settings)}), flush=True)
    except Trouble as trouble:
        print(json.dumps({"failure": str(trouble)}), flush=True)
        raise SystemExit(str(trouble)) from None


if __name__ == "__main__":
    main()
