"""A ring of three brokers and three nodes under load: events go at a steady rate through Kafka into
Cassandra, members fail, and it is measured when the rate is back.

What is sent is known line by line, and what is stored is read by another client. The rate is the
servers' own: how many rows the nodes have written, asked once a second.
"""

import collections
import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time

import cluster
import ports
from harness import AWAY, OK, stretched
from stack import MemoryShort, Missing, Stack, cql_wire, engines, process

MEMORY = 16 << 30   # bytes that must be free
PARTITIONS = 6
WINDOW = 3          # seconds that a rate is the mean of
ENOUGH = 0.8        # of the rate at which events are made is a rate that is back: a third is less
LASTING = 8         # seconds that it must stay so
TURN = 0.05         # seconds between two portions of events

# What another client finds, as our lines. A quorum is asked, as the documents have it.
READ_BACK = """
import datetime, json, sys
from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster
from cassandra.query import SimpleStatement
names = "row_key user_id timestamp url country city browser os device".split()
hosts, port = sys.argv[2:], int(sys.argv[1])
session = Cluster(hosts, port=port).connect("clickstream")
session.default_fetch_size = 2000
epoch, millisecond = datetime.datetime(1970, 1, 1), datetime.timedelta(milliseconds=1)
statement = SimpleStatement("SELECT %s FROM clickstream_events" % ", ".join(names),
                            consistency_level=ConsistencyLevel.LOCAL_QUORUM)
for row in session.execute(statement, timeout=120):
    values = [(v - epoch) // millisecond if n == "timestamp" else v for n, v in zip(names, row)]
    print(json.dumps(dict(zip(names, values)), ensure_ascii=False))
"""


class Load:
    """Lines at a steady rate into an `import` that puts them into the topic; what was missed while
    it did not take them is made up for. Each line that was sent is kept in a file."""

    def __init__(self, ring, rate):
        self.rate, self.sent, self.path = rate, 0, ring.t.path("sent")
        self.over = threading.Event()
        self.source = subprocess.Popen(
            [ring.t.program, "produce", "--count", "100000000", "--users", "5000", "--urls", "200",
             "--out", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.sink = subprocess.Popen(
            [ring.t.program, "import", *ring.options, "--sink", "kafka", "--json", "--format",
             "jsonl", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=ring.t.dir, env=ring.t.environment())
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        began = time.monotonic()
        with open(self.path, "wb") as kept, contextlib.suppress(BrokenPipeError):
            while not self.over.wait(TURN):
                due = int((time.monotonic() - began) * self.rate) - self.sent
                # Three times as fast at most.
                portion = b"".join(itertools.islice(self.source.stdout, min(
                    due, int(3 * TURN * self.rate))))
                self.sent += portion.count(b"\n")
                kept.write(portion)
                self.sink.stdin.write(portion)
                self.sink.stdin.flush()

    def end(self):
        """Ends it; what the import says in the end."""
        self.over.set()
        self.thread.join()
        out, err = self.sink.communicate(timeout=180)
        self.close()
        return self.sink.returncode, out.decode(), err.decode()

    def close(self):
        self.over.set()
        for ended in (self.source, self.sink):
            if ended.poll() is None:
                ended.kill()
            ended.wait()


class Meter:
    """How many rows a second a quorum of the nodes writes, in the mean of some seconds. All nodes have
    all rows; one that catches up writes more, one that is down none."""

    COUNT = ("SELECT count FROM system_views.local_write_latency WHERE "
             "keyspace_name = 'clickstream' AND table_name = 'clickstream_events'")

    def __init__(self, stack):
        self.stack, self.connections, self.counts = stack, {}, {}
        self.steps = collections.deque(maxlen=3600)  # (moment, rows since the one before)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(1):
            self.steps.append((time.monotonic(), sorted(
                self.step(name) for name in engines.parts("cassandra"))[-2]))

    def step(self, name):
        """Rows that a node has written since it was asked before; 0 of one that does not answer."""
        node = self.stack.engine(name)
        running = node.running()
        if not running or any(map(process.paused, running)):
            return 0
        try:
            if name not in self.connections:
                self.connections[name] = node.connect(timeout=1)
            row, = self.connections[name].query(self.COUNT)
        except (OSError, ValueError, cql_wire.CqlError):
            if name in self.connections:
                self.connections.pop(name).close()
            return 0
        count, before = int.from_bytes(row[0], "big"), self.counts.get(name, 0)
        self.counts[name] = count
        return count - before if count >= before else count  # one that was restarted begins at 0

    def rates(self):
        """[(moment, rows a second in the WINDOW before it)]"""
        steps = list(self.steps)
        found = []
        for at in range(WINDOW, len(steps)):
            taken = steps[at][0] - steps[at - WINDOW][0]
            rows = sum(count for _, count in steps[at - WINDOW + 1:at + 1])
            found.append((steps[at][0], rows / taken))
        return found

    def close(self):
        self.over.set()
        self.thread.join()
        for connection in self.connections.values():
            connection.close()


class Ring:
    """The engines, the load, the workers. `say` gets a line for each fault."""

    def __init__(self, t, rate, say):
        self.t, self.rate, self.say = t, rate, say
        self.load = self.meter = None
        self.workers, self.slow = [], []
        offset = ports.offset([port for name in ("kafka-1", "cassandra-1")
                               for port in engines.find(name).default_ports.values()])
        self.stack = Stack(t.path("stack"), offset, ring=3, say=lambda _: None,
                           timeout=300)
        self.options = ["--config", t.path("stack", "clickmill.ring.yaml")]

    def __enter__(self):
        began = time.monotonic()
        # They are started often: the quick compiler alone makes that shorter.
        os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"
        try:
            self.t.equal({entry["state"] for entry in self.stack.up()}, {"answers"}, "states")
            self.say("three brokers and three nodes answer after %.0f s" % (
                time.monotonic() - began))
        except (Missing, MemoryShort) as reason:
            self.__exit__()
            self.t.skip("a ring cannot be started here: %s" % reason)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        os.environ.pop("JDK_JAVA_OPTIONS", None)
        for worker in self.workers:
            worker.kill()
        for part in (self.load, self.meter):
            if part is not None:
                part.close()
        self.stack.down()

    # ---- load

    def begin(self, workers=2):
        """Makes topic and table, starts the workers and the load, waits for the rate."""
        said = self.t.clickmill("doctor", "--fix", *self.options).out
        for words in ("topic clickstream has %d partitions, 3 copies" % PARTITIONS,
                      "NetworkTopologyStrategy, datacenter1: 3"):
            self.t.true(words in said, "%r is not in\n%s" % (words, said))
        for _ in range(workers):
            self.hire()
        self.meter = Meter(self.stack)
        self.load = Load(self, self.rate)
        seconds = self.back(time.monotonic(), stretched(120))
        self.say("%d events/s go through after %.0f s" % (self.rate, seconds))

    def hire(self):
        worker = self.t.start("ingest", *self.options)
        self.workers.append(worker)
        return worker

    def dismiss(self, worker):
        """A worker ends in order. What slow nodes do not acknowledge within five seconds then is left
        to the next one, and it says so."""
        self.workers.remove(worker)
        ended = worker.stop(None)
        self.t.true(ended.code in (OK, AWAY), str(ended))

    def back(self, since, limit):
        """Waits until the rate stays; the longest time that it was too low since that
        moment, in seconds."""
        while True:
            rates = [entry for entry in self.meter.rates() if entry[0] - WINDOW >= since]
            longest, last = self.outages(rates, since)
            if longest > limit:
                raise AssertionError(
                    "the rate was not back within %g s (load average %.0f on %d processors); rows/s: "
                    "%s\n%s" % (
                        limit, os.getloadavg()[0], os.cpu_count() or 1,
                        " ".join("%.0f" % rate for _, rate in rates[-30:]),
                        "\n".join(worker.err[-600:] for worker in self.workers)))
            if rates and rates[-1][0] - last > LASTING:
                return longest
            silent = time.monotonic() - (rates[-1][0] if rates else since)
            if silent > limit + WINDOW or not self.meter.thread.is_alive():
                raise AssertionError("the rate was not measured for %.0f s" % silent)
            self.alive()
            time.sleep(0.2)

    def outages(self, rates, since):
        """The longest time that the rate was too low, and when it was so last."""
        longest, began, last = 0, since, since
        for moment, rate in rates:
            if rate < ENOUGH * self.rate:
                if moment - last > LASTING:
                    began = moment  # it had come back before
                last = moment
                longest = max(longest, last - began)
        return longest, last

    def alive(self):
        for worker in self.workers:
            if not worker.running():
                raise AssertionError("a worker ended\n%s" % worker.wait())
        if self.load.sink.poll() is not None:
            raise AssertionError("the import ended: %s" % (self.load.end(),))

    def fault(self, what, act, limit):
        """Does that, and measures how long the rate is too low at a time, meanwhile and afterwards; that
        as a line."""
        began = time.monotonic()
        act()
        done = time.monotonic() - began
        seconds = self.back(began, limit)
        return "%-44s rate back after %3.0f s (limit %d)%s" % (
            what, seconds, limit, ", done in %.0f s" % done if done > 5 else "")

    # ---- what is left

    def finish(self):
        """Ends the load, stores the rest, and compares every event with what was sent."""
        code, out, err = self.load.end()
        self.t.equal(code, OK, "exit status of the import\n%s\n" % err)
        self.t.true('"acknowledged":%d,"failed":0' % self.load.sent in out, "%d in %s" % (
            self.load.sent, out))
        for worker in list(self.workers):
            self.dismiss(worker)
        account = self.t.balanced(self.t.clickmill("ingest", "--until-end", "--json", *self.options,
                                                   timeout=180).json)
        self.t.equal(account["rejected"], 0, "rejected")
        self.t.equal([part["lag"] for part in account["partitions"]], [0] * PARTITIONS, "lags")
        with open(self.t.path("stored"), "wb") as file:
            nodes = [address.split(":") for address in self.stack.addresses("cassandra")]
            done = subprocess.run([cluster.python(), "-c", READ_BACK, nodes[0][1],
                                   *(host for host, _ in nodes)], stdout=file,
                                  stderr=subprocess.PIPE, check=False, timeout=900)
        self.t.equal((done.returncode, done.stderr.decode()), (0, ""), "the other client")
        self.compare()
        return self.load.sent

    def compare(self):
        """Each line that was sent is stored once, and nothing else is."""
        environment = dict(os.environ, LC_ALL="C")
        for name in ("sent", "stored"):
            subprocess.run(["sort", "-o", self.t.path(name + ".sorted"), self.t.path(name)],
                           env=environment, check=True)
        differing = subprocess.run(["comm", "-3", self.t.path("sent.sorted"),
                                    self.t.path("stored.sorted")], env=environment, check=True,
                                   capture_output=True, text=True).stdout.splitlines()
        if differing:
            extra = [line for line in differing if line.startswith("\t")]
            raise AssertionError("of %d events %d are missing, and %d rows were not sent, such as\n%s"
                                 % (self.load.sent, len(differing) - len(extra), len(extra),
                                    "\n".join(differing[:4])))


def memory():
    """Bytes that are free; what has just ended gives its memory back a little later."""
    until = time.monotonic() + 20
    while (free := process.available()) is not None and free < MEMORY and time.monotonic() < until:
        time.sleep(1)
    return free


def freeze(worker):
    worker.signal(signal.SIGSTOP)


def thaw(worker):
    worker.signal(signal.SIGCONT)
