"""What the documents say of the real engines is typed, in the order of the text, on one Kafka,
Cassandra and Elasticsearch that stand at other ports than the documents'."""

import json
import os
import re

import ports
import test_answers
from harness import slow
from pages import Page, Reader, commands

SETTINGS = """
kafka:
  brokers: %(kafka)s
cassandra:
  hosts: 127.0.0.1
  port: %(cassandra)d
  local_dc: datacenter1
  create: true
  replication: 1
elasticsearch:
  hosts: %(elasticsearch)s
  replicas: 0
"""
LOG = "".join('203.0.113.%d - - [17/May/2026:10:05:%02d +0000] "GET /page/%d HTTP/1.1" 200 1 "-" '
              '"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"\n' % (
                  i % 7, i, i % 3) for i in range(40))
OTHER_SITE = "names of another site's engines"


def start(t):
    """A reader beside the engines, with a configuration that names their ports."""
    stack = test_answers.ENGINES.up()
    places = {"kafka": "127.0.0.1:%d" % stack.port("kafka"), "cassandra": stack.port("cassandra"),
              "elasticsearch": "http://127.0.0.1:%d" % stack.port("elasticsearch")}
    reader = Reader(t, [
        ("kafka1:9092,kafka2:9092", places["kafka"]), ("127.0.0.1:9092", places["kafka"]),
        ("port: 9042", "port: %d" % places["cassandra"]),
        ("http://127.0.0.1:9200", places["elasticsearch"]),
        ("/var/log/nginx/access.log", t.write("access.log", LOG)),
        ("8080", str(ports.one()))])
    for name, text in (("clickmill.yaml", SETTINGS % places),
                       ("clickmill.cluster.yaml", None)):
        path = os.path.join(reader.home, name)
        if text is None:
            with open(path, encoding="utf-8") as file:
                text = reader.changed(file.read())
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return reader


def goes_on(reader, t, command, words, **how):
    """Types a command that goes on until Ctrl-C, which it gets once the words are there."""
    running = reader.begin(command)
    t.until(lambda: re.search(words, running.text), "%r of %s" % (words, command), timeout=90,
            process=running, **how)
    return running.interrupt()


def shape(status):
    """A line of status without its numbers, and without its list of partitions."""
    return re.sub(r" \([^)]*\)", "", re.sub(r"[0-9]+(,[0-9]{3})*", "9", status))


def read_kafka(t, reader):
    page = Page(reader, "docs/kafka.md")
    page.passes("sources ──▶ produce", "a picture")
    produce, load, collect = commands(page.next("clickmill produce --sink kafka").lines)
    page.printed = reader.type(produce)
    t.true("Kafka has acknowledged 40 events" in reader.type(load), "the log went into Kafka")
    goes_on(reader, t, collect, "taking events")
    page.settings("sink: kafka")
    page.output("read 1,000,000 = ")
    forever, to_the_end, some = commands(page.next("clickmill ingest  ").lines)
    status = goes_on(reader, t, forever, "messages, .* lag")
    shown = page.next("1,204,224 messages").text.strip()
    t.true(shape(shown) in shape(status), "%r is such a line in\n%s" % (shown, status))
    reader.type(to_the_end)
    reader.type("clickmill produce --sink kafka --count 1000")
    t.true("read 1,000 = accepted 1,000" in reader.type(some), "a thousand are read")
    goes_on(reader, t, page.next("clickmill ingest --kafka-property").text, "messages, ")
    page.settings("kafka:\n  registry:", REGISTRY_PASSWORD="secret")
    read_dead_letters(t, reader, page)
    page.settings("kafka:\n  brokers: kafka.example.com", KAFKA_PASSWORD="secret")
    page.passes("build/bench/kafka_bare", "make bench-cluster types it")
    page.end()


def read_dead_letters(t, reader, page):
    mended = {"user_id": "jane_doe", "timestamp": 1747476303000, "url": "/mended"}
    t.write("clone/broken.jsonl", ['{"user_id": "jane_doe"}'])
    t.write("clone/mended.json", json.dumps(mended))
    reader.type("clickmill import --sink kafka --format jsonl broken.jsonl")
    listing, show, replay, rest = commands(page.next("clickmill dead list --from kafka").lines)
    number = re.search(r"\b[0-9]+@[0-9]+\b", reader.type(listing)).group()
    reader.type(show.replace("0@17", number))
    t.true("jane_doe" in reader.type("cat letter"), "the letter is its message")
    t.true("accepted 1 " in reader.type(replay.replace("0@17", number)), "one is replayed")
    reader.type(rest)


def read_cassandra(t, reader):
    page = Page(reader, "docs/cassandra.md")
    page.passes("topic clickstream ──▶", "a picture")
    page.passes("CREATE TABLE", "test_cassandra.py compares the table that is made")
    page.run("clickmill doctor --store cassandra --fix")
    page.settings("cassandra:\n  extended: true")
    page.passes("ALTER TABLE", "test_cassandra_extended.py compares the columns")
    page.passes("read 2,000 = ", "test_cassandra_extended.py has such accounts")
    page.passes("clickmill doctor --config clickmill.yaml --fix", "test_cassandra_extended.py types it")
    page.settings("store: cassandra\ncassandra:\n  hosts: cassandra1", CASSANDRA_SECRET="secret")
    page.run("clickmill doctor --config clickmill.yaml")
    page.passes("right  cassandra      cassandra1 answers", OTHER_SITE)
    reader.type("clickmill produce --sink kafka --count 5000")  # the others are in the store here
    goes_on(reader, t, page.next("clickmill ingest --store cassandra").text,
            r"\b5,[0-9]{3} messages, .*lag 0")
    process, export = commands(page.next("clickmill process --store cassandra").lines)
    reader.type(process)
    reader.type(export)
    rows = reader.type("wc -l < events.jsonl")
    page.run("clickmill process --store cassandra --cassandra-consistency all")
    page.settings("cassandra:\n  only_writer: true")
    page.passes("read 3,000 rows of Cassandra", "test_cassandra.py, only_writer, has such accounts")
    page.passes("make stack-up &&", "test_stack.py and README's part here type its two halves")
    page.settings("store: cassandra\ncassandra:\n  hosts: ACCOUNT", COSMOS_KEY="secret")
    page.end()
    return int(rows)


def read_elasticsearch(t, reader):
    page = Page(reader, "docs/elasticsearch.md")
    page.passes("embedded index ──▶", "a picture")
    page.passes('{"url": "https://www.example.com/page/0"', "test_elasticsearch.py compares documents")
    command, name = page.next("printf ").lines
    t.equal(reader.type(command), name + "  -\n", "the name of a document")
    page.passes('{"dimension": "freshness"', "test_elasticsearch.py compares documents")
    page.run("clickmill doctor --index elasticsearch --fix")
    reader.type("clickmill process --store cassandra --index elasticsearch --window all,day,hour")
    # The page of the examples has no answer here.
    asked = page.script("es=http").replace(
        '"_id":"69022440086291be95f2708d946523318a1bc04a","found":false', "")
    t.equal((asked.count('"hits":{"total"'), asked.count('"error"'), asked.count('"found":true')),
            (3, 0, 1), "answers of Elasticsearch\n%s" % asked)
    query, serve = commands(page.next("clickmill query --index elasticsearch").lines)
    t.true(reader.type(query), "rows of Elasticsearch")
    goes_on(reader, t, serve, "http://")
    page.settings("index: elasticsearch", ES_USER="elastic")
    block = page.next("$ clickmill doctor --index elasticsearch")
    # The configuration here names other engines as well.
    printed = "".join(line for line in reader.type(block.lines[0][2:]).splitlines(True)
                      if line.startswith("right  elasticsearch"))
    wanted = "\n".join(block.lines[1:]) + "\n"
    t.equal(re.sub(r"[0-9]+\.[0-9]+\.[0-9]+,", "V,", printed),
            re.sub(r"[0-9]+\.[0-9]+\.[0-9]+,", "V,", wanted), "what doctor says")
    page.end()


def read_spark(t, reader):
    """test_spark.py runs the job; here are the other commands."""
    page = Page(reader, "docs/spark.md")
    page.passes("clickmill process --engine spark", "test_spark.py")
    page.passes("pip install pyspark", "stack/cache.py installs that version")
    page.passes("make stack-up ENGINES=all\nclickmill process", "test_spark.py")
    page.settings("spark:\n  submit")
    page.passes("spark-submit --packages", "test_spark.py, the_job_alone")
    page.passes("databricks secrets", "an account of Databricks")
    for command in ("cd spark/databricks", "databricks bundle deploy -t prod",
                    "--var cassandra_host=ACCOUNT"):
        page.passes(command, "an account of Databricks; test_databricks.py checks the bundle")
    page.end()


def read_stack(reader):
    """test_stack.py starts, stops, kills and secures the engines."""
    page = Page(reader, "docs/stack.md")
    page.passes("$ make stack-up", "test_stack.py")
    page.passes("make run CONFIG=clickmill.cluster.yaml", "test_cassandra.py")
    page.passes('make stack-up ENGINES="kafka elasticsearch"', "test_stack.py")
    page.passes("build/stack/\n", "names of directories")
    page.passes("make stack-down", "test_stack.py, test_cassandra.py")
    page.passes(". build/stack/secrets.env", "test_stack.py")
    page.passes("make stack-up RING=3", "test_ring.py, test_stack_ring.py")
    page.passes("stack/stack.py stop cassandra-2", "test_stack_ring.py, tests/ring.py")
    page.passes("build/stack/spark/spark-submit", "test_spark.py")
    page.passes("stack/stack.py stop kafka", "test_stack.py")
    page.passes("from stack import Stack", "tests/cluster.py does so")
    page.passes("docker compose", "containers, which not every machine has; test_stack.py reads it")
    page.end()


@slow
def test_on_real_engines(t):
    reader = start(t)
    read_kafka(t, reader)
    t.true(read_cassandra(t, reader) > 1000, "events in Cassandra")
    read_elasticsearch(t, reader)
    read_spark(t, reader)
    read_stack(reader)
