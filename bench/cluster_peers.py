"""The peers of the cluster's stages: Kafka's own tool, cassandra-stress, and a plain Python consumer.
Each returns events per second."""

import glob
import itertools
import os
import re
import subprocess
import tarfile
import time

from stack import cache

CLIENTS = ("cassandra-driver==3.30.1", "kafka-python==2.2.15", "lz4==4.4.4")
STRESS = "org.apache.cassandra:apache-cassandra:4.0-alpha2:tar.gz:bin"

# The consumer that Clickmill replaces: one message, one INSERT, then the next message.
CONSUMER = """
import datetime, json, sys, time
from cassandra.cluster import Cluster
from kafka import KafkaConsumer
brokers, topic, port, keyspace, count = sys.argv[1:]
consumer = KafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest",
                         group_id=None, value_deserializer=lambda value: json.loads(value))
session = Cluster(["127.0.0.1"], port=int(port)).connect(keyspace)
names = "row_key user_id timestamp url country city browser os device".split()
insert = "INSERT INTO clickstream_events (%s) VALUES (%s)" % (
    ", ".join(names), ", ".join(["%s"] * len(names)))
next(consumer)
started = time.monotonic()
for number, message in enumerate(consumer, 1):
    event = message.value
    event["timestamp"] = datetime.datetime.fromtimestamp(event["timestamp"] / 1000,
                                                         datetime.timezone.utc)
    session.execute(insert, [event[name] for name in names])
    if number == int(count):
        break
print(int(count) / (time.monotonic() - started))
"""

# Clickmill's table, with strings of about the same lengths.
PROFILE = """
keyspace: @keyspace@
keyspace_definition: |
  CREATE KEYSPACE IF NOT EXISTS @keyspace@ WITH replication =
    {'class': 'SimpleStrategy', 'replication_factor': 1};
table: stress
table_definition: |
  CREATE TABLE stress (row_key text PRIMARY KEY, user_id text, timestamp timestamp, url text,
    country text, city text, browser text, os text, device text);
columnspec:
  - {name: row_key, size: fixed(36), population: uniform(1..1B)}
  - {name: user_id, size: fixed(12), population: uniform(1..100000)}
  - {name: url, size: fixed(40), population: uniform(1..65536)}
  - {name: country, size: fixed(7), population: uniform(1..60)}
  - {name: city, size: uniform(5..12), population: uniform(1..60)}
  - {name: browser, size: uniform(4..7), population: uniform(1..4)}
  - {name: os, size: uniform(3..10), population: uniform(1..5)}
  - {name: device, size: uniform(6..16), population: uniform(1..30)}
insert: {partitions: fixed(1), batchtype: UNLOGGED, select: fixed(1)/1}
queries: {}
"""


def output(argv, what, environment=None):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s failed:\n%s" % (what, done.stdout[-2000:]))
    return done.stdout


PAYLOADS = 20000  # it keeps them all in memory


def producer_performance(stack, topic, file, count):
    """Kafka's own load generator, with lines of the file as payloads, in random order."""
    payloads = file + ".payloads"
    with open(file, encoding="utf-8") as lines, open(payloads, "w", encoding="utf-8") as out:
        out.writelines(itertools.islice(lines, PAYLOADS))
    text = output(
        stack.engine("kafka").java(
            "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records",
            str(count), "--throughput", "-1", "--payload-file", payloads, "--producer-props",
            "bootstrap.servers=127.0.0.1:%d" % stack.port("kafka"), "acks=all",
            "compression.type=lz4", "linger.ms=20", "batch.size=262144"), "ProducerPerformance")
    return float(re.findall(r"%d records sent, ([\d.]+) records/sec" % count, text)[-1])


def stress_home(stack):
    """The folder of an unpacked Cassandra that has cassandra-stress."""
    with cache.item("cassandra-stress-4.0-alpha2", STRESS, stack.say) as (folder, empty):
        if empty:
            cache.maven([cache.DEPENDENCY_PLUGIN + ":get", "-Dtransitive=false",
                         "-Dartifact=" + STRESS], "downloading cassandra-stress", folder,
                        stack.place.java())
            archive = glob.glob(os.path.join(cache.root(), "maven", "org/apache/cassandra",
                                             "apache-cassandra/4.0-alpha2/*.tar.gz"))[0]
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")
        return glob.glob(os.path.join(folder, "apache-cassandra-*"))[0]


def cassandra_stress(stack, keyspace, count, place):
    """128 threads, one row per request, after its own warm-up."""
    home = stress_home(stack)
    profile = os.path.join(place, "stress.yaml")
    with open(profile, "w", encoding="utf-8") as file:
        file.write(PROFILE.replace("@keyspace@", keyspace))
    text = output(
        [os.path.join(stack.place.java(), "bin", "java"), "-Xmx1g",
         "-cp", ":".join(os.path.join(home, *part) for part in (
             ("conf",), ("lib", "*"), ("tools", "lib", "stress.jar"))),
         "-Dcassandra.storagedir=" + os.path.join(place, "stress"),
         "-Dcassandra.logdir=" + os.path.join(place, "stress"),  # by default the current folder
         "org.apache.cassandra.stress.Stress", "user", "profile=" + profile, "ops(insert=1)",
         "n=%d" % count, "no-warmup", "cl=LOCAL_QUORUM", "-mode", "native", "cql3",
         "-node", "127.0.0.1", "-port", "native=%d" % stack.port("cassandra"),
         "-rate", "threads=128"], "cassandra-stress")
    return float(re.findall(r"Row rate\s*:\s*([\d,]+) row/s", text)[-1].replace(",", ""))


def python_consumer(stack, topic, keyspace, count):
    python = os.path.join(cache.python_packages("bench-clients", CLIENTS, stack.say), "bin",
                          "python3")
    text = output([python, "-c", CONSUMER, "127.0.0.1:%d" % stack.port("kafka"), topic,
                   str(stack.port("cassandra")), keyspace, str(count)], "the Python consumer")
    return float(text.split()[-1])


def settle():
    """Waits until all is written, so that the next measurement does not include it."""
    os.sync()
    time.sleep(2)
