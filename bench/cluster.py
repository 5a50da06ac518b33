#!/usr/bin/env python3
"""Compares Clickmill's cluster pipeline with minimal clients and the usual tools:
`make bench-cluster [SIZE=N] [ONLY=bulk]`.

Starts its own Kafka (with ZooKeeper), Cassandra and Elasticsearch below build/bench, and stops them.
Clients and servers share this machine's processors, so compare the figures with each other, not with
those of other machines. Before a time counts, the contents of topic and table are compared with the
events that were sent. Writes cluster.json and cluster.md in build/bench.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, ROOT]

import cluster_answers  # noqa: E402
import cluster_bulk  # noqa: E402
import cluster_peers as peers  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
from stack import Stack, StackError, engines, process  # noqa: E402

BUILD = os.path.join(ROOT, "build")
PLACE = os.path.join(BUILD, "bench")
CLICKMILL = os.path.join(BUILD, "clickmill")
BARE = {name: os.path.join(BUILD, "bench", name) for name in ("kafka_bare", "cql_bare",
                                                                "elastic_bare")}

ENGINES = ("zookeeper", "kafka", "cassandra")
LATER = ("elasticsearch", "spark")  # started when the topic is no longer needed
SIZE, ROUNDS = 1000000, 3
QUICK = 200000        # with fewer events, one round
PYTHON_SHARE = 100    # the Python consumer gets 1/100 of the events
STRESS_SHARE = 4
SHAPE = ["--users", 200000, "--urls", 1000, "--countries", 60]
PRODUCER = ["acks=all", "enable.idempotence=true", "compression.type=lz4", "linger.ms=20",
            "partitioner=murmur2_random", "queue.buffering.max.kbytes=65536"]

# (key, text, figure, of what, at least or at most)
GOALS = [
    ("produce", "produce, of a bare librdkafka loop", "ratio", "kafka_bare", 0.9),
    ("produce", "produce, of ProducerPerformance", "ratio", "producer_performance", 2),
    ("ingest", "ingest, of a bare src/cql writer", "ratio", "cql_bare", 0.8),
    ("ingest", "ingest, of cassandra-stress", "ratio", "cassandra_stress", 4),
    ("ingest", "ingest, of a Python consumer", "ratio", "python_consumer", 30),
    ("ingest", "CPU of ingest, us an event", "cpu_us", None, 4),
    ("ingest", "memory of ingest, MB at most", "peak_mb", None, 100),
    ("scan", "scan, of a bare scan", "ratio", "cql_bare_scan", 0.9),
    ("embedded", "Kafka to embedded store, events/s", "per_second", None, 400000),
    ("mill", "mill from Cassandra, of a bare scan", "ratio", "cql_bare_scan", 0.9),
    ("bulk_300k", "bulk indexing of 300 thousand events, of a bare libcurl loop", "ratio",
     "curl_bare_300k", 0.9),
    ("bulk", "bulk indexing, of a bare libcurl loop", "ratio", "curl_bare", 0.9),
    ("bulk", "bulk indexing, of helpers.bulk", "ratio", "helpers_bulk", 3),
    ("engine_mill", "--engine mill, of --engine spark", "ratio", "engine_spark", 3),
    ("spark_job", "CPU of the Spark job, of groupings and join", "cpu_ratio", "spark_joined", 0.8),
    ("spark_job", "the same without the start of Java", "own_cpu_ratio", "spark_joined", 0.8),
]


class Bench:
    CLICKMILL, BARE, SHAPE = CLICKMILL, BARE, SHAPE

    def __init__(self, size, rounds, spark_times):
        self.size, self.rounds, self.spark_times = size, rounds, spark_times
        self.work = os.path.join(PLACE, "cluster")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.file = os.path.join(self.work, "events.jsonl")
        self.runs = {}   # key -> [{per_second, cpu_us, peak_mb}]
        self.checks = {}
        # Cassandra's default. With `group` each write waits for the disk, and only the disk would be
        # measured.
        self.stack = Stack(os.path.join(self.work, "stack"), free_offset(), heap=2048,
                           commitlog_sync="periodic")

    def say(self, text):
        print("cluster: " + text, file=sys.stderr, flush=True)

    def note(self, key, **figures):
        self.runs.setdefault(key, []).append(figures)
        self.say("%-22s %s" % (key, ", ".join("%s %s" % (name, shown(value))
                                             for name, value in figures.items())))

    # ---- addresses

    @property
    def brokers(self):
        return "127.0.0.1:%d" % self.stack.port("kafka")

    def kafka(self, topic):
        return ["--brokers", self.brokers, "--topic", topic, "--dead-topic", topic + ".dead"]

    def cassandra(self, number):
        """A keyspace per round: Cassandra would clean up a dropped one during later measurements."""
        return ["--cassandra-port", self.stack.port("cassandra"), "--cassandra-create",
                "--cassandra-keyspace", "bench%d" % number]

    # ---- the stages

    def clickmill(self, key, count, *arguments):
        """Runs a command and records its rate, by its own account or by the clock."""
        account = os.path.join(self.work, "account.json")
        took = measure.run([CLICKMILL, *arguments, "--json"], account)
        with open(account, encoding="utf-8") as file:
            seconds = json.load(file).get("seconds", took["seconds"])
        self.note(key, per_second=count / seconds, cpu_us=took["cpu"] * 1e6 / count,
                  peak_mb=took["peak_bytes"] / 1e6, wall=took["seconds"])

    def make_events(self):
        self.say("making %d events" % self.size)
        measure.run([CLICKMILL, "produce", "--out", "-", "--count", self.size, *SHAPE], self.file)
        self.sent = checksum(self.file)

    def count_topic(self, topic):
        parts = self.stack.topic_describe(topic)["partitions"]
        count = sum(part["end"] - part["begin"] for part in parts)
        if count != self.size:
            raise RuntimeError("topic %s has %d messages, not %d" % (topic, count, self.size))
        self.checks.setdefault("messages in the topic", count)

    def produce(self, number):
        for key in ("kafka_bare", "producer_performance", "produce"):
            topic = "%s-%d" % (key.replace("_", "-"), number)
            self.stack.topic_create(topic)
            peers.settle()
            if key == "kafka_bare":
                found = json.loads(peers.output([BARE[key], "produce", self.brokers, topic,
                                                 self.file, str(self.size), *PRODUCER], key))
                self.note(key, per_second=found["per_second"], cpu_us=found["cpu_us"],
                          peak_mb=found["peak_mb"])
            elif key == "produce":
                self.clickmill(key, self.size, "produce", "--sink", "kafka", "--count", self.size,
                               *SHAPE, *self.kafka(topic))
            else:
                self.note(key, per_second=peers.producer_performance(self.stack, topic, self.file,
                                                                     self.size))
            self.count_topic(topic)

    def ingest(self, number, answers):
        topic, group = "produce-0", ["--group", "bench-%d" % number]
        peers.settle()
        self.note("cql_bare", **self.bare("write"))
        peers.settle()
        self.clickmill("ingest", self.size, "ingest", "--store", "cassandra", "--until-end",
                       *self.kafka(topic), *group, *self.cassandra(number))
        self.scan(number)
        answers.mill(number)
        peers.settle()
        count = self.size // STRESS_SHARE
        self.note("cassandra_stress", rows=count,
                  per_second=peers.cassandra_stress(self.stack, "bench%d" % number, count,
                                                    self.work))
        if number == 0:
            count = max(self.size // PYTHON_SHARE, 1000)
            self.note("python_consumer", rows=count, per_second=peers.python_consumer(
                self.stack, topic, "bench0", count))

    def bare(self, mode):
        text = peers.output([BARE["cql_bare"], "port=%d" % self.stack.port("cassandra"),
                             "rows=%d" % self.size, "mode=" + mode, "keyspace=bench_bare"],
                            "cql_bare")
        line = re.search(r"^%s +.*$" % mode, text, re.M).group()
        found = dict(pair.split("=") for pair in line.split()[1:])
        return {"per_second": float(found["rows_per_second"]),
                "cpu_us": float(found["cpu_us_per_row"]), "peak_mb": float(found["peak_mb"])}

    def scan(self, number):
        """Scans. Both tables have just been written."""
        peers.settle()
        self.note("cql_bare_scan", **self.bare("scan"))
        peers.settle()
        out = os.path.join(self.work, "export.jsonl")
        took = measure.run([CLICKMILL, "export", "--store", "cassandra", *self.cassandra(number)], out)
        self.note("scan", per_second=self.size / took["seconds"],
                  cpu_us=took["cpu"] * 1e6 / self.size, peak_mb=took["peak_bytes"] / 1e6)
        if number == 0:
            found = checksum(out)
            if found != self.sent:
                raise RuntimeError("what is in the table is not what was sent: %s instead of %s"
                                   % (found, self.sent))
            self.checks["rows of the table"], self.checks["checksum of the rows"] = found

    def embedded(self, number):
        data = os.path.join(self.work, "data")
        shutil.rmtree(data, ignore_errors=True)
        peers.settle()
        self.clickmill("embedded", self.size, "ingest", "--until-end", "--data", data,
                       *self.kafka("produce-0"), "--group", "embedded-%d" % number)
        if number == 0:
            out = os.path.join(self.work, "export.jsonl")
            measure.run([CLICKMILL, "export", "--data", data], out)
            if checksum(out) != self.sent:
                raise RuntimeError("what is in the embedded store is not what was sent")

    def spark_submit(self):
        return os.path.join(self.stack.engine("spark").directory, "spark-submit")

    def spark_options(self):
        return ["--spark-submit", self.spark_submit(), "--spark-packages", "none",
                "--spark-master", "local[2]"]

    def run_bulk(self, answers):
        """Only the bulk indexing."""
        every = cluster_bulk.sizes(answers, self.size)
        for size in every:
            size.prepare()
        for number in range(self.rounds):
            for size in every:
                size.round(number)

    def run(self, stages):
        if stages == ["shapes"]:
            self.stack.up(["spark"])
            self.stack.stop("spark")  # see below
            return self.shapes(cluster_answers.Answers(self))
        self.make_events()
        if stages == ["bulk"]:
            self.stack.up(["elasticsearch"])
            return self.run_bulk(cluster_answers.Answers(self))
        self.stack.up(ENGINES)
        self.warm_up()
        answers = cluster_answers.Answers(self)
        for number in range(self.rounds):
            if "events" in stages or number == 0:
                self.produce(number)
            if "events" in stages:
                self.embedded(number)
            self.ingest(number, answers)
        if "answers" not in stages:
            return
        self.stack.stop("kafka", "zookeeper")
        self.stack.up(LATER)
        self.stack.stop("spark")  # jobs run in one process here; its start has written spark-submit
        self.run_bulk(answers)
        for number in range(self.rounds):
            answers.engines(number)
        self.stack.stop("cassandra", "elasticsearch")
        self.shapes(answers)

    def shapes(self, answers):
        answers.prepare_shapes()
        for number in range(self.rounds):
            answers.shapes(number)

    def warm_up(self):
        """Java compiles what is used often: the first measurement must not include that."""
        self.say("warming the servers up")
        size, self.size = self.size, 200000
        self.bare("write")
        self.bare("scan")
        self.size = size
        measure.run([CLICKMILL, "produce", "--sink", "kafka", "--count", 200000, *SHAPE,
                     *self.kafka("warm-up")])

    # ---- results

    def results(self):
        medians = {key: {figure: measure.median(runs, figure)
                         for figure in ("per_second", "cpu_us", "own_cpu_us", "peak_mb", "wall",
                                        "rows")
                         if measure.median(runs, figure) is not None}
                   for key, runs in self.runs.items()}
        goals = goals_of(self.runs, medians)
        return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
                "commit": machine.revision(ROOT), "machine": machine.describe(
                    sorted(os.sched_getaffinity(0))), "load": machine.load(), "events": self.size,
                "rounds": self.rounds, "checks": self.checks, "runs": self.runs,
                "medians": medians, "goals": goals}


def goals_of(runs, medians):
    goals = []
    for key, text, figure, other, goal in GOALS:
        if key not in runs:
            continue
        field = {"ratio": "per_second", "cpu_ratio": "cpu_us", "own_cpu_ratio": "own_cpu_us"}.get(
            figure)
        value = ratio(runs[key], runs[other], field) if field else medians[key][figure]
        most = figure in ("cpu_us", "peak_mb", "cpu_ratio", "own_cpu_ratio")
        goals.append({"what": text, "value": value, "goal": goal, "at_most": most,
                      "reached": value <= goal if most else value >= goal})
    return goals


def ratio(ours, theirs, field):
    """The median of the rounds' ratios: both values of a round are measured within a minute, while a
    shared machine can be half or twice as fast in another round."""
    return statistics.median(our[field] / their[field] for our, their in zip(ours, theirs))


def free_offset():
    """An offset that makes the engines' ports free."""
    ports = [port for name in ENGINES for port in engines.find(name).default_ports.values()]
    for offset in range(12000, 23000, 500):
        if not any(process.taken(port + offset) for port in ports):
            return offset
    raise RuntimeError("no free ports")


def shown(value):
    return "%.3g" % value if value < 100 else "{:,.0f}".format(value)


def checksum(path):
    """The number of lines and a hash of the sorted lines, by the system's sort."""
    sort = subprocess.Popen(["sort", "-S", "256M", path], stdout=subprocess.PIPE,
                            env=dict(os.environ, LC_ALL="C"))
    digest, count = hashlib.sha256(), 0
    while block := sort.stdout.read(1 << 20):
        digest.update(block)
        count += block.count(b"\n")
    if sort.wait() != 0:
        raise RuntimeError("sort failed")
    return count, digest.hexdigest()


def markdown(results):
    """The results in the form of the documents."""
    lines = ["%s events, medians of %d round%s, %s, commit %s, %s, %d processors shared with the "
             "servers." % ("{:,}".format(results["events"]), results["rounds"],
                           "" if results["rounds"] == 1 else "s", results["date"],
                           results["commit"], results["machine"]["cpu"],
                           results["machine"]["processors_used"]), "",
             "| what | events/s | CPU us an event | memory |", "|---|---|---|---|"]
    for key, found in results["medians"].items():
        lines.append("| %s | %s | %s | %s |" % (
            key.replace("_", " "), shown(found["per_second"]),
            "%.2f" % found["cpu_us"] if "cpu_us" in found else "",
            "%.0f MB" % found["peak_mb"] if "peak_mb" in found else ""))
    lines += ["", "| goal (ratios: median of the rounds') | reached | wanted |", "|---|---|---|"]
    for goal in results["goals"]:
        lines.append("| %s | %s%s | %s %s |" % (
            goal["what"], shown(goal["value"]), "" if goal["reached"] else " (missed)",
            "at most" if goal["at_most"] else "at least", shown(goal["goal"])))
    return "\n".join(lines + engines_text(results["medians"], results["events"])) + "\n"


def engines_text(medians, events):
    """Which engine to choose when, with the figures."""
    if "engine_spark" not in medians:
        return []
    mill, spark = medians["engine_mill"], medians["engine_spark"]
    return ["", "### The mill or Spark", "",
            "From the same %s events in Cassandra into an empty index `--engine mill` took %.1f s and "
            "%.0f MB, `--engine spark` with `local[2]` %.1f s, %.1f s of them CPU." % (
                "{:,}".format(events), mill["wall"], mill["peak_mb"], spark["wall"],
                spark["cpu_us"] * events / 1e6), "",
            "Take the mill as long as the events fit one machine: it holds about 26 bytes an event "
            "in memory while it computes (10 M events 0.5 GB, 100 M 2 GB), reads Cassandra as fast "
            "as a bare scan can, sends only what changed, and needs nothing installed. Take Spark "
            "where a cluster is there already and reading the table by one machine takes too long: "
            "at the rate above a billion events take the mill about %.1f hours, nearly all of it "
            "reading, and Spark's executors read side by side. Both give the same documents, so "
            "that the choice can change any day." % (1e9 / medians["mill"]["per_second"] / 3600)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=SIZE, metavar="N", help="events (1000000)")
    parser.add_argument("--stages", default="events,answers", metavar="STAGE,...",
                        help="events: Kafka and the stores; answers: mill, Spark, index (both); or bulk: "
                             "the index alone; or shapes: two shapes of a Spark job alone")
    parser.add_argument("--spark-times", type=int, default=cluster_answers.SPARK_TIMES, metavar="N",
                        help="the shapes of a Spark job get so many times the events (10)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (3, or 1 for few events)")
    options = parser.parse_args()
    bench = Bench(options.size, options.rounds or (ROUNDS if options.size > QUICK else 1),
                  options.spark_times)
    try:
        bench.run(options.stages.split(","))
    except (StackError, RuntimeError, measure.Failed) as problem:
        print("cluster: %s" % problem, file=sys.stderr)
        return 1
    finally:
        bench.stack.down()
    results = bench.results()
    with open(os.path.join(PLACE, "cluster.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    with open(os.path.join(PLACE, "cluster.md"), "w", encoding="utf-8") as file:
        file.write(markdown(results))
    shutil.rmtree(bench.work, ignore_errors=True)
    sys.stdout.write(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
