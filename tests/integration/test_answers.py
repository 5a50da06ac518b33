"""Answers on the cluster: raw events in real Kafka and Cassandra, exact answers in real
Elasticsearch, by the mill and by Spark."""

import json
import os
import re
import shutil
import threading
import time

import cluster
import documents
import oracle
import traffic
from documents import Index
from harness import AWAY, IO, OK, alone, slow

ENGINES, SPARK, NODES = cluster.PLAIN, cluster.SPARK, cluster.NODES
WINDOWS = ("--window", "all,day,hour")


def node(version):
    """The engine; 7.17 is the one that the others use as well."""
    return NODES[version].up().engine("elasticsearch")


def made(seed, count, **more):
    """Random events, each with its row key."""
    return [dict(event, row_key=event.get("row_key") or oracle.row_key(
        event["user_id"], event["timestamp"])) for event in traffic.events(seed, count, **more)]


def process(t, index, *more, data="data", check=OK, timeout=120):
    return t.clickmill("process", "--data", data, "--json", *WINDOWS, *index.options, *more,
                       check=check, timeout=timeout)


def check_life_of_a_copy(t, version):
    """Only what changed is sent; who else wrote is noticed; a rebuild is never seen half done."""
    index = Index(node(version), "life-" + version.replace(".", "-"))
    events = made(1, 3000)
    t.ingest(events[:2000])
    first = process(t, index).json
    expected = documents.wanted(events[:2000])
    documents.same(t, index.cells(), expected, "the first copy")
    totals = len(index.documents(index.totals)) - 3  # three of freshness
    t.equal(first["index"]["sent"], len(expected) + totals + 3, "sent at first")

    nothing = process(t, index).json["index"]
    t.equal((nothing["sent"], nothing["removed"], nothing["bytes"]), (0, 0, 0), "nothing new")

    t.ingest(events[2000:])
    before = {**index.documents(), **index.documents(index.totals)}
    later = process(t, index).json["index"]
    expected = documents.wanted(events)
    documents.same(t, index.cells(), expected, "the second copy")
    after = {**index.documents(), **index.documents(index.totals)}
    changed = [name for name in after if after[name] != before.get(name)]
    t.equal((later["sent"], later["compared"]), (len(changed), False), "sent because of 1,000 more")
    t.true(len(changed) < len(after) * 0.9, "%d of %d documents changed" % (
        len(changed), len(after)))
    t.equal([name for name in before if documents.exact(before[name]) == documents.exact(
        after[name]) and before[name] != after[name]], [], "unchanged documents that were written")

    check_other_writers(t, index, expected)
    check_rebuild(t, index, expected)


def check_other_writers(t, index, expected):
    """What others did to the copy is put right, and only that is sent."""
    names = sorted(expected)
    lost, bent = names[0], names[1]
    index.request("DELETE", "/%s/_doc/%s?refresh=true" % (index.alias, lost))
    concrete = next(iter(index.request("GET", "/_alias/" + index.alias)))
    index.request("POST", "/%s/_update/%s" % (concrete, bent), {"doc": {"clicks": 10 ** 9}})
    index.request("PUT", "/%s/_doc/stray" % concrete, {"url": "/", "clicks": 1}, check=201)
    # As the Spark job does: the writer leaves a mark.
    index.request("PUT", "/%s/_mapping" % concrete, {"_meta": {"clickmill": {"epoch": "0" * 32}}})
    mended = process(t, index).json["index"]
    t.equal((mended["compared"], mended["removed"]), (True, 1), "what was put right")
    t.true(2 <= mended["sent"] <= 5, "%d documents were sent" % mended["sent"])
    documents.same(t, index.cells(), expected, "after others wrote")
    index.remove()
    again = process(t, index).json["index"]
    t.true(again["sent"] > len(expected), "%d documents into a new index" % again["sent"])
    documents.same(t, index.cells(), expected, "after the index was deleted")


def check_rebuild(t, index, expected):
    """Readers meanwhile see all of it at any time."""
    counts, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                counts.append(index.count())
            except (AssertionError, OSError) as problem:
                counts.append(str(problem))

    before = set(index.request("GET", "/_alias/" + index.alias))
    reader = threading.Thread(target=read)
    reader.start()
    try:
        process(t, index, "--rebuild")
        after = set(index.request("GET", "/_alias/" + index.alias))
    finally:
        stop.set()
        reader.join()
    t.equal((len(before), len(after), before & after), (1, 1, set()), "indices behind the alias")
    t.equal(set(counts), {len(expected)}, "documents that a reader counted")
    documents.same(t, index.cells(), expected, "after a rebuild")
    left = [name for name in index.request("GET", "/%s-*" % index.alias)]
    t.equal(left, list(after), "indices that are left")


@slow
def test_copy_elasticsearch_7(t):
    check_life_of_a_copy(t, "7.17")


@slow
def test_copy_elasticsearch_8(t):
    check_life_of_a_copy(t, "8.19")
    NODES["8.19"].down()


@slow
def test_copy_opensearch(t):
    check_life_of_a_copy(t, "opensearch-2.19")
    NODES["opensearch-2.19"].down()


@slow
def test_every_window(t):
    """Windows alone and together; a window that is not asked for stays."""
    index = Index(node("7.17"), "windows")
    events = made(2, 2000)
    t.ingest(events)
    have = set()
    for window in ("hour", "all", "day"):
        t.clickmill("process", "--window", window, *index.options)
        have.add(window)
        documents.same(t, index.cells(), documents.wanted(events, have), "+ " + window)


@slow
def test_elasticsearch_is_killed(t):
    """In the middle of a bulk, and is back 5 s later: every document is there, each once."""
    stack = ENGINES.up()
    index = Index(stack.engine("elasticsearch"), "killed")
    events = made(3, 60000, users=20000, pages=3000)
    t.ingest(events)
    t.process()
    running = t.start("process", *WINDOWS, *index.options, "--elasticsearch-bulk-bytes", "64k")
    t.until(lambda: (index.request("GET", "/%s/_count" % index.alias, check=None) or {}).get(
        "count", 0) > 500, "the first documents", 60, running)
    stack.kill("elasticsearch")
    time.sleep(5)
    t.true(running.running(), "it did not wait\n%s" % running.err)
    stack.start("elasticsearch")
    done = running.wait(timeout=120)
    t.equal(done.code, OK, done.err)
    t.true("waiting for Elasticsearch" in done.err, done.err)
    documents.same(t, index.cells(), documents.wanted(events), "after the kill")


def begun(t, index, *more):
    """A process in the middle of its first push, which takes a while."""
    events = made(31, 40000, users=20000, pages=3000)
    t.ingest(events)
    t.process()
    running = t.start("process", "--json", *WINDOWS, *index.options, "--elasticsearch-bulk-bytes",
                      "32k", "--elasticsearch-connections", 1, *more)
    t.until(lambda: (index.request("GET", "/%s/_count" % index.alias, check=None) or {}).get(
        "count", 0) > 200, "the first documents", 60, running)
    return running, documents.wanted(events)


@slow
def test_overtaken(t):
    """Another program takes the index over in the middle of a push: everything is compared again."""
    index = Index(node("7.17"), "overtaken")
    running, expected = begun(t, index)
    names = ",".join(next(iter(index.request("GET", "/_alias/" + alias)))
                     for alias in (index.alias, index.totals))
    index.request("PUT", "/%s/_mapping" % names, {"_meta": {"clickmill": {"epoch": "1" * 32}}})
    written = next(iter(index.documents()))
    index.request("DELETE", "/%s/_doc/%s" % (index.alias, written))
    done = running.wait(timeout=120)
    t.equal(done.code, OK, done.err)
    t.equal(json.loads(done.out)["index"]["compared"], True, "compared")
    documents.same(t, index.cells(), expected, "in the end")


@slow
def test_index_deleted_meanwhile(t):
    """What was written before is written again, into an index that the alias leads to."""
    index = Index(node("7.17"), "vanished")
    running, expected = begun(t, index)
    index.remove()
    done = running.wait(timeout=120)
    t.equal(done.code, OK, done.err)
    documents.same(t, index.cells(), expected, "in the end")


@slow
def test_restored_directory(t):
    """A data directory from a backup finds a copy that is ahead of it, and puts it right."""
    index = Index(node("7.17"), "restored")
    events = made(32, 2000)
    t.ingest(events[:1500])
    process(t, index)
    shutil.copytree(t.path("data"), t.path("backup"))
    t.ingest(events[1500:])
    process(t, index)
    documents.same(t, index.cells(), documents.wanted(events), "all")
    restored = process(t, index, data="backup").json["index"]
    t.true(restored["compared"] and restored["removed"] > 0, restored)
    documents.same(t, index.cells(), documents.wanted(events[:1500]), "as the backup has it")


@slow
def test_mapping_conflict(t):
    """What the server refuses is a dead letter with its reason; replayed when that is mended."""
    index = Index(node("7.17"), "conflict")
    events = made(4, 300, pages=5)
    t.ingest(events)
    process(t, index)
    expected = documents.wanted(events)
    index.remove()
    # The index was made by hand, with clicks that are dates.
    for alias in (index.alias, index.totals):
        index.request("PUT", "/%s-000001" % alias, {
            "mappings": {"properties": {"url": {"type": "keyword"}, "country": {"type": "keyword"},
                                        "clicks": {"type": "boolean"}}},
            "aliases": {alias: {}}} if alias == index.alias else {"aliases": {alias: {}}})
    refused = t.clickmill("process", "--json", *index.options, check=IO)
    t.says(refused, "refused", "dead list")
    letters = [json.loads(line) for line in t.clickmill("dead", "list", "--json").out.splitlines()]
    cells = [name for name, document in documents.wanted(events, ("all",)).items()]
    origins = {letter["origin"].rpartition("/")[2] for letter in letters}
    t.true(set(cells) <= origins, "%d letters" % len(letters))
    t.true(all("mapper_parsing_exception" in letter["reason"] for letter in letters),
           letters[0]["reason"])
    t.true(all(json.loads(letter["payload"])["clicks"] > 0 for letter in letters), "the document")

    index.remove()
    replayed = t.clickmill("dead", "replay")
    t.equal(t.clickmill("dead", "list").out, "", "letters left\n%s" % replayed)
    process(t, index)
    documents.same(t, index.cells(), expected, "in the end")


def allow(index, which):
    """Which shards the cluster may give a place."""
    index.request("PUT", "/_cluster/settings",
                  {"transient": {"cluster.routing.allocation.enable": which}})


@slow
def test_red_index(t):
    """An index without a place for its shard is waited for, and the line says so."""
    index = Index(node("7.17"), "red")
    events = made(5, 500)
    t.ingest(events)
    process(t, index)
    index.remove()
    more = made(6, 200)
    t.ingest(more)
    allow(index, "none")  # a new index stays without its shard
    try:
        running = t.start("process", *WINDOWS, *index.options)
        t.until(lambda: re.search("waiting for Elasticsearch: .*(shard|503|unavailable)",
                                  running.err), "its complaint", 90, running)
        doctor = t.clickmill("doctor", *index.options, check=AWAY)
        t.true("health of" in doctor.out and "red" in doctor.out, doctor.out)
    finally:
        allow(index, None)
    done = running.wait(timeout=120)
    t.equal(done.code, OK, done.err)
    documents.same(t, index.cells(), documents.wanted(events + more), "once it was green")


@slow
def test_stopped_while_it_is_away(t):
    """Ctrl-C ends the wait; what was not sent is sent next time."""
    stack = ENGINES.up()
    index = Index(stack.engine("elasticsearch"), "stopped")
    events = made(7, 500)
    t.ingest(events)
    stack.pause("elasticsearch")
    try:
        running = t.start("process", *WINDOWS, *index.options, "--elasticsearch-timeout", "1s")
        t.until(lambda: "waiting for Elasticsearch" in running.err, "its complaint", 30, running)
        with t.pace() as pace:
            running.stop()
        pace.check(pace.took, 9, "to stop")
    finally:
        stack.resume("elasticsearch")
    process(t, index)
    documents.same(t, index.cells(), documents.wanted(events), "the next time")


# ---- following ----

RATE = 20000


@slow
@alone
def test_follow_latency(t):
    """From a click to its document: at most 2 s, at 20,000 events a second; beside it a document
    that goes straight to the same Elasticsearch."""
    stack = ENGINES.up()
    index = Index(stack.engine("elasticsearch"), "follow")
    brokers = "127.0.0.1:%d" % stack.port("kafka")
    kafka = ["--brokers", brokers, "--topic", "follow", "--dead-topic", "follow.dead"]
    stack.topic_create("follow", 6)
    follower = t.start("process", "--follow", "--data", "followed", "--json", *kafka,
                       *index.options)
    t.until(lambda: "following topic" in follower.err, "its first line", 30, follower)
    sender = t.start("produce", "--sink", "kafka", *kafka, "--rate", RATE, "--count", RATE * 15,
                     "--users", 5000, "--urls", 200, "--seed", 3, "--json")
    time.sleep(3)
    took, bare = [], []
    with t.pace() as pace:
        for number in range(8):
            bare.append(straight(index, number))
            took.append(latency(t, index, kafka, number))
    sent = sender.wait(timeout=60)
    t.equal(sent.code, OK, sent.err)
    rate = json.loads(sent.out)["kafka"]["acknowledged"]
    t.equal(rate, RATE * 15, "events beside the clicks")
    followed = follower.stop()
    t.equal(followed.code, OK, followed.err)
    pace.held_up("a document straight into Elasticsearch", max(bare), 0.5)
    pace.check(max(took), 2.0, "from a click to its document (%s)" % (
        ", ".join("%.2f" % one for one in took)))

    # Each event counted once; the same from the topic on one machine.
    account = json.loads(followed.out)
    t.equal((account["accepted"], account["answers"]["duplicates"]), (RATE * 15 + 8, 0))
    t.clickmill("ingest", "--data", "alone", "--until-end", "--group", "alone", *kafka,
                timeout=120)
    t.clickmill("process", "--data", "alone")
    t.equal(t.answers(data="alone"), t.answers(data="followed"), "answers")
    t.equal({name for name, document in index.documents().items()},
            set(documents_of(t, "alone")), "documents")


def latency(t, index, kafka, number):
    """Seconds until a click, sent now, can be searched for."""
    url = "https://www.example.com/latency/%d" % number
    now = int(time.time() * 1000)
    t.write("click.jsonl", [{"user_id": "clicker%d" % number, "timestamp": now, "url": url,
                             "country": "Peru"}])
    t.clickmill("import", "--sink", "kafka", *kafka, t.path("click.jsonl"))
    started = time.monotonic()
    query = {"query": {"term": {"url": url}}}

    def look():
        answer = index.request("POST", "/%s/_search" % index.alias, query, check=None)
        return answer.get("hits", {}).get("hits")

    hits = t.until(look, "the document of click %d" % number, 20)
    took = time.monotonic() - started
    t.equal(hits[0]["_source"]["clicks"], 1)
    return took


def straight(index, number):
    """Seconds until a document can be searched for, which a user need not compute."""
    started = time.monotonic()
    index.request("PUT", "/bare-%s/_doc/%d?refresh=true" % (index.alias, number), {"number": number},
                  check=None)
    return time.monotonic() - started


def documents_of(t, data):
    """The ids that the answers of a data directory have."""
    rows = json.loads(t.clickmill("query", "--data", data, "--json").out)
    return [documents.identity(row["url"], row["country"], "all", 0) for row in rows]


@slow
def test_follow_is_killed(t):
    """kill -9 twice on the way: every event counts once, and the copy has it all."""
    stack = ENGINES.up()
    index = Index(stack.engine("elasticsearch"), "followkill")
    kafka = ["--brokers", "127.0.0.1:%d" % stack.port("kafka"), "--topic", "followkill",
             "--dead-topic", "followkill.dead"]
    events = made(8, 40000)
    t.write("events.jsonl", events)
    t.clickmill("import", "--sink", "kafka", *kafka, t.path("events.jsonl"))
    for delay in (0.6, 1.1):
        running = t.start("process", "--follow", "--every", "200ms", *WINDOWS, *kafka,
                          *index.options)
        t.until(lambda: "following topic" in running.err, "its first line", 30, running)
        time.sleep(delay)
        running.process.kill()
        running.process.wait()
    done = t.clickmill("process", "--follow", "--until-end", "--json", *WINDOWS, *kafka,
                       *index.options)
    t.equal(done.json["answers"]["accepted"], len(events), "events")
    documents.same(t, index.cells(), documents.wanted(events), "after two kills")


# ---- the whole way ----

EVENTS = 200000


@slow
def test_mill_and_spark_agree(t):
    """200,000 events with late, repeated and tied ones: Kafka -> Cassandra -> mill and Spark -> two
    indices, document by document equal, and equal to one machine's and to plain SQL's answers."""
    stack = ENGINES.up()
    events = made(9, EVENTS, users=20000, pages=200)
    kafka = ["--brokers", "127.0.0.1:%d" % stack.port("kafka"), "--topic", "agree",
             "--dead-topic", "agree.dead"]
    cassandra = ["--store", "cassandra", "--cassandra-port", stack.port("cassandra"),
                 "--cassandra-keyspace", "agree"]
    t.write("events.jsonl", events)
    t.clickmill("import", "--sink", "kafka", *kafka, t.path("events.jsonl"))
    t.clickmill("ingest", "--until-end", *kafka, *cassandra, "--cassandra-create", timeout=180)

    expected = documents.wanted(events)
    distinct = len(traffic.distinct(events, oracle.row_key))
    mill = Index(stack.engine("elasticsearch"), "bymill")
    account = process(t, mill, *cassandra, timeout=180).json
    t.equal((account["events"], account["duplicates"]), (distinct, 0), "account of the mill")
    by_mill = mill.cells()
    documents.same(t, by_mill, expected, "by the mill")
    nothing = process(t, mill, *cassandra, timeout=180).json["index"]
    t.equal((nothing["sent"], nothing["removed"]), (0, 0), "a rerun sends")

    spark = Index(stack.engine("elasticsearch"), "byspark")
    account = process(t, spark, "--engine", "spark", *cassandra, *spark_options(), timeout=600).json
    t.equal((account["events"], account["duplicates"]), (distinct, 0), "account of Spark")
    t.equal(spark.cells(), by_mill, "documents by Spark and by the mill")
    t.equal(without_freshness(spark), without_freshness(mill), "totals by Spark and by the mill")

    # The embedded tier has the same.
    t.ingest(events, data="alone")
    t.process(data="alone")
    oracle.compare(t, events, {window: t.answers(window, "alone") for window in documents.WINDOWS})
    for index in (mill, spark):
        t.clickmill("verify", "--data", "data", *cassandra, *index.options, timeout=180)
        for window in documents.WINDOWS:
            t.equal(t.clickmill("query", "--window", window, "--sort", "url", "--format", "csv",
                                *index.options).out, t.answers(window, "alone"),
                    "query --window %s of %s" % (window, index.alias))

    # What Spark wrote, the mill takes over: it compares, and has nothing to send but freshness.
    over = process(t, spark, *cassandra, data="other", timeout=180).json["index"]
    t.equal((over["compared"], over["removed"]), (True, 0), "taken over from Spark")
    t.true(over["sent"] <= 3, "%d documents were sent" % over["sent"])


def spark_options(master="local[2]"):
    """A Spark with the connectors; None: the standalone cluster of a master and two workers."""
    stack = SPARK.up()
    return ["--spark-submit", os.path.join(stack.engine("spark").directory, "spark-submit"),
            "--spark-packages", "none", *(["--spark-master", master] if master else [])]


def without_freshness(index):
    return {name: documents.exact(source)
            for name, source in index.documents(index.totals).items()
            if not name.startswith("freshness:")}
