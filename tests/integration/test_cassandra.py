"""Events through a real Kafka into a real Cassandra, and what goes wrong on the way."""

import json
import os
import random
import re
import subprocess
import time

import cluster
import oracle
import traffic
from harness import AWAY, DIFFER, INPUT, OK, USAGE, slow
from stack import cql_wire

EVENTS = 200000
FEWER = 100000  # where something goes wrong in the middle
PLAIN = cluster.PLAIN.part("zookeeper", "kafka", "cassandra")
SECURE = cluster.Cluster("kafka", "cassandra", profile="secure", kafka="4.3")

# What another client finds, as our lines: every column as it is stored.
READ_BACK = """
import datetime, json, sys
from cassandra.cluster import Cluster
session = Cluster([sys.argv[1]], port=int(sys.argv[2])).connect(sys.argv[3])
session.default_fetch_size = 5000
epoch, millisecond = datetime.datetime(1970, 1, 1), datetime.timedelta(milliseconds=1)
names = "row_key user_id timestamp url country city browser os device".split()
for row in session.execute("SELECT %s FROM clickstream_events" % ", ".join(names), timeout=60):
    values = [(v - epoch) // millisecond if n == "timestamp" else v for n, v in zip(names, row)]
    print(json.dumps(dict(zip(names, values)), ensure_ascii=False))
"""


class Place:
    """A topic and a keyspace of a test's own, and the options that lead there."""

    def __init__(self, t, name, owner=PLAIN):
        self.t, self.name, self.stack = t, name, owner.up()
        self.options = ["--brokers", "127.0.0.1:%d" % self.stack.port("kafka"), "--topic", name,
                        "--dead-topic", name + ".dead", "--group", name,
                        "--cassandra-port", self.stack.port("cassandra"),
                        "--cassandra-keyspace", name, "--cassandra-create"]

    @property
    def cassandra(self):
        """Only the options that say where Cassandra is."""
        return self.options[self.options.index("--cassandra-port"):]

    @property
    def kafka(self):
        return self.options[:self.options.index("--cassandra-port")]

    def produce(self, count, seed, check=OK):
        """Sends events, and returns them as sorted lines."""
        traffic = ["--count", count, "--seed", seed, "--users", 5000, "--urls", 200]
        account = self.t.clickmill("produce", "--sink", "kafka", "--json", *traffic, *self.kafka,
                                   check=check).json
        self.t.equal(account["kafka"]["acknowledged"], count, "acknowledged")
        return lines(self.t.clickmill("produce", "--out", "-", *traffic).out)

    def ingest(self, *more):
        """Reads the topic to its end."""
        return self.t.balanced(self.t.clickmill(
            "ingest", "--store", "cassandra", "--until-end", "--json", *self.options, *more,
            timeout=180).json)

    def start(self, *more):
        return self.t.start("ingest", "--store", "cassandra", *self.options, *more)

    def begun(self, worker):
        """Waits until a first event is in the table."""
        def look():
            try:
                with self.stack.engine("cassandra").connect() as connection:
                    return connection.query("SELECT row_key FROM %s.clickstream_events LIMIT 1"
                                            % self.name)
            except cql_wire.CqlError:  # not made yet
                return None
        self.t.until(look, "a first event", 60, worker)

    def stored(self):
        """All that is in the table, as sorted lines."""
        return lines(self.t.clickmill("export", "--store", "cassandra", *self.cassandra,
                                      timeout=180).out)

    def read_back(self):
        """The same by another client."""
        done = subprocess.run(
            [cluster.python(), "-c", READ_BACK, "127.0.0.1", str(self.stack.port("cassandra")),
             self.name], capture_output=True, timeout=180, check=False)
        self.t.equal((done.returncode, done.stderr.decode()), (0, ""), "the other client")
        return lines(done.stdout.decode())

    def same(self, got, wanted):
        """Every row, each once."""
        if got != wanted:
            missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
            raise AssertionError("%d rows instead of %d; %d are missing, such as %s; %d are too "
                                 "many, such as %s" % (len(got), len(wanted), len(missing),
                                                       missing[:1], len(extra), extra[:1]))


def lines(text):
    return sorted(text.splitlines())


def messages(process):
    """How many messages an ingest has read, by its last status line."""
    found = re.findall(r"^([\d,]+) messages", process.err, re.M)
    return int(found[-1].replace(",", "")) if found else 0


def ended(t, process):
    """Waits until an ingest has read all of its partitions, stops it, returns what it has said."""
    t.until(lambda: re.findall(r" [1-9]\d* partitions, lag ([\d,]*\d)", process.err)[-1:] == ["0"],
            "the end of the topic", 120, process)
    return process.stop()


@slow
def test_zookeeper(t):
    """200,000 events, each compared, by us and by another client."""
    place = Place(t, "whole")
    sent = place.produce(EVENTS, 1)
    account = place.ingest()
    t.equal((account["accepted"], account["rejected"]), (EVENTS, 0))
    t.equal([part["lag"] for part in account["partitions"]], [0] * 6)
    place.same(place.stored(), sent)
    place.same(place.read_back(), sent)

    # The answers are those of the same events on one machine.
    t.write("events.jsonl", "".join(line + "\n" for line in sent))
    t.clickmill("import", "--data", "alone", t.path("events.jsonl"))
    t.process(data="alone")
    windows = ["--window", "all,day,hour"]
    answers = t.clickmill("process", "--store", "cassandra", "--data", "from-cassandra", "--json",
                          *windows, *place.cassandra).json
    t.equal((answers["accepted"], answers["events"], answers["duplicates"]), (EVENTS, EVENTS, 0))
    t.equal(t.all_answers("from-cassandra"), t.all_answers("alone"), "answers")
    # Those of the directory's own events come back, and none of Cassandra's stay.
    event = {"user_id": "a", "timestamp": 1, "url": "/", "country": "C"}
    t.ingest([event], data="from-cassandra")
    t.process("day", data="from-cassandra")
    t.true(t.answers("day", "from-cassandra").splitlines()[1].endswith("/,C,1,1,,0,0,,1,1"),
           "the answers of another store are mixed in")


@slow
def test_shared_keys(t):
    """Ten thousand row keys of different events, in one batch and in several: each row is one of the
    events that were sent, whole; within a batch the one that counts, between batches the last."""
    place = Place(t, "shared")
    made = traffic.shared(41, 10000)
    keys = {}
    for event in made:
        event = oracle.whole(event)
        keys.setdefault(event["row_key"], []).append(oracle.canonical(event))
    t.true(sum(len(set(found)) > 1 for found in keys.values()) > 9900, "keys of different events")

    def send(events):
        t.write("events.jsonl", "".join(json.dumps(event, ensure_ascii=False) + "\n"
                                        for event in events))
        t.clickmill("import", "--sink", "kafka", *place.kafka, t.path("events.jsonl"))
        place.ingest()
        return place.stored()

    def check_sent(rows):
        strange = sorted(set(rows) - {text for found in keys.values() for text in found})
        t.true(not strange, "%d rows that were not sent, such as %s" % (
            len(strange), strange[:1]))
        t.equal(len(rows), 10000, "rows")

    # Events of one user come by one partition; those of one key one after the other, so that few
    # keys stand in two batches, of which the later one wins: where a batch ends, one a partition.
    rows = send(sorted(made, key=lambda event: (event["user_id"], event["timestamp"])))
    best = lines("".join(oracle.canonical(event) + "\n" for event in oracle.counted(made).values()))
    check_sent(rows)
    t.true(len(set(rows) - set(best)) < 300, "%d rows are not those that count" % len(
        set(rows) - set(best)))
    # A batch later the same keys come with other events, each once: they win, whole, though less is
    # stated in them.
    later = [{name: event[name] for name in ("row_key", "user_id", "timestamp")} | {"url": "/later"}
             for event in map(oracle.whole, made)]
    later = list({event["row_key"]: event for event in later}.values())
    place.same(send(later), lines("".join(oracle.canonical(event) + "\n" for event in later)))
    # In any order, with keys in one batch and in several.
    random.Random(42).shuffle(made)
    rows = send(made)
    check_sent(rows)
    with place.stack.engine("cassandra").connect() as connection:
        # The write times of a row's columns are one, and no two rows have the same.
        times = [tuple(row) for row in connection.query(
            "SELECT writetime(user_id), writetime(url), writetime(device) FROM "
            "shared.clickstream_events LIMIT 5000")]
    t.equal((len(times), len({row[0] for row in times}), sum(len(set(row)) > 1 for row in times)),
            (5000, 5000, 0), "write times")


@slow
def test_killed_workers(t):
    """Two share the topic; each is killed in the middle and started again: nothing is lost."""
    place = Place(t, "killed")
    sent = place.produce(EVENTS, 2)
    # Kafka gives up who is killed when the session ends.
    options = ["--kafka-property", "session.timeout.ms=6000", "--cassandra-in-flight", "500"]
    first, second = place.start(*options), place.start(*options)
    place.begun(first)
    first.kill()
    third = place.start(*options)
    time.sleep(1)
    second.kill()
    fourth = place.start(*options)
    for worker in (third, fourth):
        t.equal(ended(t, worker).code, OK)
    t.true(messages(third) > 0 and messages(fourth) > 0, "they were killed too late")
    left = place.ingest()
    t.equal((left["read"], [part["lag"] for part in left["partitions"]]), (0, [0] * 6))
    place.same(place.stored(), sent)


@slow
def test_cassandra_is_away(t):
    """Stopped for 20 s in the middle: it says so, waits, and goes on by itself."""
    place = Place(t, "away")
    sent = place.produce(FEWER, 3)
    worker = place.start("--cassandra-in-flight", "500")
    place.begun(worker)
    place.stack.pause("cassandra")
    try:
        began = time.monotonic()
        t.until(lambda: "waiting for Cassandra: " in worker.err, "that it waits", 20, worker)
        time.sleep(max(0.0, 20 - (time.monotonic() - began)))
        before = messages(worker)
    finally:
        place.stack.resume("cassandra")
    t.true(before < FEWER, "all was read before it stopped")
    result = ended(t, worker)
    t.true("read %s = accepted %s + rejected 0" % (2 * (format(FEWER, ","),)) in result.err,
           "the account of\n%s" % result)
    place.same(place.stored(), sent)


@slow
def test_stopped_while_cassandra_is_away(t):
    """Events in hand cannot be stored: this is reported, is no success, and they come again."""
    place = Place(t, "stopped")
    sent = place.produce(FEWER, 8)
    worker = place.start()
    place.begun(worker)
    place.stack.pause("cassandra")
    try:
        t.until(lambda: "waiting for Cassandra" in worker.err, "a word of it", 60, worker)
        with t.pace() as pace:
            result = worker.stop(check=AWAY)
        pace.check(pace.took, 15, "to end")
        t.says(result, "gave up waiting for Cassandra", "rows are not acknowledged")
    finally:
        place.stack.resume("cassandra")
    place.ingest()
    place.same(place.stored(), sent)
    running = t.start("run", "--sink", "kafka", "--store", "cassandra", *place.options, "--data",
                      "run", "--rate", "500", "--listen",
                      "127.0.0.1:%d" % (place.stack.port("cassandra") + 100))
    t.until(lambda: re.search(r"^[1-9][\d,]* events", running.err, re.M), "events", 60, running)
    place.stack.pause("cassandra")
    try:
        t.until(lambda: "waiting for Cassandra" in running.err, "a word of it", 60, running)
        t.says(running.stop(check=AWAY), "gave up waiting for Cassandra")
    finally:
        place.stack.resume("cassandra")


@slow
def test_broker_restarts(t):
    place = Place(t, "restart")
    sent = place.produce(FEWER, 4)
    worker = place.start("--cassandra-in-flight", "500")
    place.begun(worker)
    place.stack.restart("kafka")
    t.true(messages(worker) < FEWER, "all was read before the restart")
    t.equal(ended(t, worker).code, OK)
    place.same(place.stored(), sent)


@slow
def test_the_table(t):
    """Made as the contract has it, or said to be missing; with a time to live; by environment."""
    place = Place(t, "made")
    sent = place.produce(10, 5)
    absent = t.clickmill("export", "--store", "cassandra", *place.cassandra, check=INPUT)
    t.says(absent, "there is no keyspace made", "doctor --fix")
    refused = t.clickmill("ingest", "--store", "cassandra", *place.options, "--no-cassandra-create",
                          check=INPUT)
    t.says(refused, "there is no keyspace made")
    for text in ("many", "0", "dc:", "x:y", "datacenter1:1,"):
        wrong = t.clickmill("ingest", "--store", "cassandra", *place.options,
                            "--cassandra-replication", text, check=USAGE)
        t.says(wrong, "cassandra.replication wants", text)

    environment = {"CASSANDRA_HOST": "127.0.0.1",
                   "CASSANDRA_PORT": str(place.stack.port("cassandra"))}
    account = t.clickmill("ingest", "--store", "cassandra", "--until-end", "--json", *place.kafka,
                          "--cassandra-keyspace", "made", "--cassandra-create", "--cassandra-ttl",
                          "1h", "--cassandra-replication", "datacenter1:1", env=environment).json
    t.equal(account["accepted"], 10)
    place.same(place.stored(), sent)
    with place.stack.engine("cassandra").connect() as connection:
        lives = connection.query("SELECT ttl(user_id) FROM made.clickstream_events")
        t.equal(len(lives), 10)
        t.true(all(3500 < int.from_bytes(row[0], "big") <= 3600 for row in lives), "it lives 1 h")
        columns = connection.query(
            "SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = 'made'")
        t.equal(sorted(tuple(cell.decode() for cell in row) for row in columns), sorted(
            [("row_key", "partition_key", "text"), ("timestamp", "regular", "timestamp")]
            + [(name, "regular", "text") for name in
               ("user_id", "url", "country", "city", "browser", "os", "device")]))
        # Rows of others that are no events are named and left out.
        connection.query("INSERT INTO made.clickstream_events (row_key, url) VALUES ('odd', '/')")
        result = t.clickmill("export", "--store", "cassandra", *place.cassandra)
        place.same(lines(result.out), sent)
        t.true("1 rows are no events" in result.err and "made.clickstream_events[odd]: "
               in result.err, "it does not say so\n%s" % result)
        # A table that is dropped ends an ingest with the server's sentence.
        connection.query("CREATE KEYSPACE other WITH replication = "
                         "{'class': 'SimpleStrategy', 'replication_factor': 1}")
        connection.query("CREATE TABLE other.clickstream_events (row_key text, user_id text, "
                         "timestamp bigint, PRIMARY KEY (row_key, user_id))")
    other = t.clickmill("ingest", "--store", "cassandra", *place.options, "--cassandra-keyspace",
                        "other", check=USAGE)
    t.says(other, "other.clickstream_events", "is not the contract's")


@slow
def test_five_make_the_table(t):
    """Five workers start at once without a keyspace, three times: each gets in, nothing is lost."""
    place = Place(t, "five")
    sent = place.produce(3000, 9)
    for number in range(3):
        keyspace = "five%d" % number
        options = [*place.kafka, "--group", keyspace, *place.cassandra, "--cassandra-keyspace",
                   keyspace]
        workers = [t.start("ingest", "--store", "cassandra", "--until-end", "--json", *options)
                   for _ in range(5)]
        accounts = [json.loads(worker.wait(OK, 120).out) for worker in workers]
        t.equal(sum(account["accepted"] for account in accounts), 3000, keyspace)
        place.same(lines(t.clickmill("export", "--store", "cassandra", *place.cassandra,
                                     "--cassandra-keyspace", keyspace).out), sent)


class OnlyWriter:
    """A table that only `ingest` writes, and two ways to its answers, which are to be the same."""

    def __init__(self, t, name):
        self.t, self.place = t, Place(t, name)
        self.option = ["--cassandra-only-writer"]

    def send(self, *events):
        """Events as they are, through the topic."""
        self.t.write("events.jsonl", "".join(json.dumps(event) + "\n" for event in events))
        self.t.clickmill("import", "--sink", "kafka", *self.place.kafka[:-2],
                         self.t.path("events.jsonl"))

    def process(self, *options):
        """By what has changed; and by all, for comparison: returns how the first was read."""
        answers = []
        for data, more in (("changes", [*self.option, *options]), ("all", [])):
            account = self.t.clickmill("process", "--store", "cassandra", "--json", "--window",
                                       "all,day", "--data", data, *self.place.cassandra, *more).json
            answers.append(account)
        for window in ("all", "day"):
            self.t.equal(self.t.answers(window, "changes"), self.t.answers(window, "all"), window)
        self.t.equal([answer["events"] for answer in answers][0], answers[1]["events"], "events")
        self.t.equal(answers[1]["cassandra"]["why"], "cassandra.only_writer is not set")
        return answers[0]["cassandra"]

    def verify(self, check=OK):
        return self.t.clickmill("verify", "--store", "cassandra", "--data", "changes",
                                *self.place.cassandra, *self.option, check=check)


@slow
def test_only_writer(t):
    """What has changed is enough, as long as no other program writes; and one that does is found."""
    only = OnlyWriter(t, "only")
    place = only.place
    place.produce(6000, 10)
    t.equal(place.ingest(*only.option)["accepted"], 6000)
    t.equal(only.process(), {"full": True, "rows": 6000,
                             "why": "the data directory has no copy of it yet"})
    place.produce(200, 11)
    place.ingest(*only.option)
    t.equal(only.process(), {"full": False, "rows": 200, "changed": 200})
    t.equal(only.process(), {"full": False, "rows": 0, "changed": 0})
    # Rows that are overwritten, one by the same: of one key, and of one that follows.
    one = {"row_key": "one", "user_id": "u", "timestamp": 1747476303000, "url": "/a",
           "country": "Chile"}
    two = {"user_id": "v", "timestamp": 1747476304000, "url": "/b", "country": "Peru"}
    only.send(one, two)
    place.ingest(*only.option)
    t.equal(only.process(), {"full": False, "rows": 2, "changed": 2})
    only.send(dict(one, url="/c", user_id="w"), dict(two, url="/d"))
    place.ingest(*only.option)
    t.equal(only.process(), {"full": False, "rows": 2, "changed": 2})
    only.send(dict(two, url="/d"))
    place.ingest(*only.option)
    t.equal(only.process(), {"full": False, "rows": 1, "changed": 0})
    t.true("none differs" in only.verify().err, "what verify says")
    # Two workers at once.
    place.produce(3000, 12)
    workers = [t.start("ingest", "--store", "cassandra", "--until-end", "--json", *place.options,
                       *only.option) for _ in range(2)]
    for worker in workers:
        worker.wait(OK)
    t.equal(only.process(), {"full": False, "rows": 3000, "changed": 3000})

    # What has changed is read into memory; more than it takes is too much.
    for count, why in ((700, "more than 512 rows were written since, for "),
                       (300, "300 rows have changed, of ")):
        place.produce(count, count)
        place.ingest(*only.option)
        found = only.process("--memory", "64k")
        t.true(found["full"] and found["why"].startswith(why), found)

    # A row of another program is not seen, but found; so is one that it deletes.
    with place.stack.engine("cassandra").connect() as connection:
        connection.query("INSERT INTO only.clickstream_events (row_key, user_id, timestamp, url, "
                         "country, city, browser, os, device) VALUES ('strange', 'x', "
                         "1747476305000, '/e', 'Cuba', 'c', 'b', 'o', 'd')")
        connection.query("DELETE FROM only.clickstream_events WHERE row_key = 'one'")
    t.clickmill("process", "--store", "cassandra", "--data", "changes", *place.cassandra,
                *only.option)
    found = only.verify(DIFFER)
    for words in ("2 rows of Cassandra's table differ", "only.clickstream_events[strange]: ",
                  "only.clickstream_events[one]: ", "process --rebuild"):
        t.true(words in found.err, "%s in\n%s" % (words, found))
    rebuilt = only.process("--rebuild")
    t.equal((rebuilt["full"], rebuilt["why"]), (True, "--rebuild"))
    t.true("none differs" in only.verify().err, "what verify says")

    # Entries that were removed by hand are missed, because later ones say that they are settled.
    place.produce(100, 15)
    place.ingest(*only.option)
    with place.stack.engine("cassandra").connect() as connection:
        entries = connection.query("SELECT first_us, part FROM only.clickstream_events_changes "
                                   "WHERE seq = 0 ALLOW FILTERING")
        connection.query("DELETE FROM only.clickstream_events_changes WHERE part = '%s' AND seq = 0"
                         % max(entries)[1].decode())
    t.equal(only.process()["why"], "entries of its companion table are gone")
    t.equal(only.process(), {"full": False, "rows": 0, "changed": 0})

    # The companion is emptied, and made again, while a worker is there: it is found again.
    worker = place.start(*only.option)
    for number, statement in enumerate(("TRUNCATE only.clickstream_events_changes",
                                        "DROP TABLE only.clickstream_events_changes", None)):
        sent = set(place.produce(100, 21000 + number))
        t.until(lambda: sent <= set(place.stored()), "the rows", 60, worker)
        only.process()
        if statement:
            with place.stack.engine("cassandra").connect() as connection:
                connection.query(statement)
            t.clickmill("doctor", "--fix", "--store", "cassandra", *place.cassandra, *only.option)
    worker.stop()
    only.process()
    t.true("none differs" in only.verify().err, "what verify says")

    # A copy that is damaged is made again.
    for size in (0, 100000):
        with open(t.path("changes", "cassandra", "clickmill.db"), "r+b") as file:
            file.truncate(size) if size else file.write(bytes(4096))
        t.equal(only.process()["why"], "the copy in the data directory is damaged")
    t.equal(only.process(), {"full": False, "rows": 0, "changed": 0})

    # Rows that end are seen, whichever program has written them; and that they have ended.
    process = ["process", "--store", "cassandra", "--json", "--data", "changes", *place.cassandra,
               *only.option]
    before = place.stored()
    place.produce(10, 17)
    place.ingest(*only.option, "--cassandra-ttl", "1h")
    for _ in range(2):
        found = t.clickmill(*process).json["cassandra"]
        t.equal((found["full"], found["why"]),
                (True, "rows end by themselves (they have a TTL), which no entry notes"))
    with place.stack.engine("cassandra").connect() as connection:
        for line in set(place.stored()) - set(before):  # the same rows, which end soon
            row = json.loads(line)
            connection.query("INSERT INTO only.clickstream_events (%s) VALUES (%s) USING TTL 1" % (
                ", ".join(row), ", ".join(str(value) if name == "timestamp" else
                                          "'%s'" % value.replace("'", "''")
                                          for name, value in row.items())))
    t.until(lambda: place.stored() == before, "the end of the rows", 60)
    t.equal(only.process()["why"], "the data directory has no copy of it yet")
    t.equal(only.process(), {"full": False, "rows": 0, "changed": 0})

    # What rules it out is said, and all is read.
    with place.stack.engine("cassandra").connect() as connection:  # as it was before
        connection.query("CREATE TABLE only.old_changes (part text, seq bigint, done bigint, first_us "
                         "bigint, last_us bigint, keys blob, PRIMARY KEY (part, seq))")
    for options, why in (
            (["--cassandra-ttl", "1h"], "rows end by themselves (cassandra.ttl), which no entry notes"),
            (["--cassandra-consistency", "one"],
             "with cassandra.consistency ONE a row may be missed that was written"),
            (["--cassandra-table", "other"],
             "there is no table other_changes; `clickmill doctor --fix` makes it"),
            (["--cassandra-table", "old"],
             "table old_changes is not the companion of the events: there is no column end_seq bigint; "
             "drop it, and `clickmill doctor --fix` makes it")):
        if "--cassandra-table" in options:
            t.clickmill("doctor", "--fix", "--store", "cassandra", *place.cassandra, *options)
        account = t.clickmill("process", "--store", "cassandra", "--json", "--data", "other",
                              *place.cassandra, *only.option, *options).json
        t.equal((account["cassandra"]["full"], account["cassandra"]["why"]), (True, why))
    fixed = t.clickmill("doctor", "--fix", "--store", "cassandra", *place.cassandra,
                        *only.option, "--cassandra-table", "other", "--json").json
    t.equal([check["text"] for check in fixed["checks"] if check["state"] == "fixed"],
            ["table only.other_changes notes what is written (cassandra.only_writer)"])
    t.equal(fixed["wrong"], 0)


@slow
def test_verify_beside_process(t):
    """`process` takes in what has changed while `verify` compares: no other process may do so."""
    only = OnlyWriter(t, "beside")
    place, chance = only.place, random.Random(16)

    def send(count):
        only.send(*({"row_key": "k%d" % chance.randrange(20000), "user_id": "u%d" % number,
                     "timestamp": 1747476303000 + chance.randrange(10**7), "url": "/a"}
                    for number in range(count)))

    send(40000)
    place.ingest(*only.option)
    only.process()
    worker = place.start(*only.option)
    for _ in range(6):
        send(300)
        verify = t.start("verify", "--store", "cassandra", "--data", "changes", *place.cassandra,
                         *only.option)
        for _ in range(3):
            t.clickmill("process", "--store", "cassandra", "--data", "changes", *place.cassandra,
                        *only.option)
        said = verify.wait().err
        t.true("another program" not in said, said)
    worker.stop()
    only.process()
    t.true("none differs" in only.verify().err, "what verify says")


@slow
def test_only_writer_killed(t):
    """Two workers are killed in the middle: what has changed is exact at once, and later."""
    only = OnlyWriter(t, "killer")
    place = only.place
    options = [*only.option, "--kafka-property", "session.timeout.ms=6000"]
    place.produce(1000, 13)
    place.ingest(*only.option)
    t.equal(only.process()["full"], True)
    sent = place.produce(20000, 14)
    # A few rows in flight each, so that they are not done soon.
    workers = [place.start(*options, "--cassandra-in-flight", "500") for _ in range(2)]
    t.until(lambda: len(place.stored()) > 1000, "a row of theirs", 60, workers[0])
    for worker in workers:
        worker.kill()

    def is_quiet():
        """What was on its way comes while the one `process` has read and the other has not."""
        count = len(place.stored())
        time.sleep(1)
        return len(place.stored()) == count

    t.until(is_quiet, "an end of the rows", 60)
    t.true(len(place.stored()) < len(set(sent)) + 1000, "they had written all")
    t.true(only.process()["rows"] > 0, "nothing had been written")
    place.ingest(*options)
    only.process()
    only.process()  # looks once more at what they had noted
    t.equal(only.process(), {"full": False, "rows": 0, "changed": 0})
    t.equal(len(place.stored()), len(set(sent)) + 1000)
    t.true("none differs" in only.verify().err, "what verify says")


@slow
def test_doctor(t):
    place = Place(t, "doctor")
    options = ["--sink", "kafka", "--store", "cassandra", *place.options, "--no-cassandra-create",
               "--no-kafka-create"]
    sick = t.clickmill("doctor", *options, check=INPUT)
    t.says(sick, "3 of 7 checks found something wrong")
    told = [line.split(None, 2) for line in sick.out.splitlines()]
    t.equal([tuple(words[:2]) for words in told],
            [("right", "configuration"), ("right", "data"), ("right", "kafka"), ("wrong", "kafka"),
             ("wrong", "kafka"), ("right", "cassandra"), ("wrong", "cassandra")])
    t.true("there is no keyspace doctor" in sick.out, "the keyspace\n%s" % sick)
    mended = t.clickmill("doctor", "--fix", "--json", *options).json
    t.equal(mended["wrong"], 0)
    t.equal([check["state"] for check in mended["checks"]],
            ["right", "right", "right", "fixed", "fixed", "right", "fixed"])
    well = t.clickmill("doctor", "--json", *options).json
    t.equal([check["state"] for check in well["checks"]], ["right"] * 7)
    t.true("topic doctor has 6 partitions, 1 copy" in well["checks"][3]["text"], "partitions")
    t.true("table doctor.clickstream_events is the contract's" in well["checks"][6]["text"],
           "table")
    elsewhere = t.clickmill("doctor", *options, "--cassandra-local-dc", "mars", check=USAGE)
    t.true("there is no data centre mars" in elsewhere.out, "data centre\n%s" % elsewhere)


@slow
def test_run(t):
    """The whole cluster pipeline in one process: both stores have every event of the topic."""
    place = Place(t, "run")
    running = t.start("run", "--sink", "kafka", "--store", "cassandra", *place.options,
                      "--listen", "127.0.0.1:%d" % (place.stack.port("cassandra") + 100),
                      "--rate", "2000", "--count", "8000", "--json")
    t.until(lambda: "8,000 events" in running.err, "all events", 60, running)
    account = json.loads(running.stop().out)
    t.equal((account["accepted"], account["answers"]["events"]), (8000, 8000))
    stored = place.stored()
    t.equal(len(stored), 8000)
    place.same(lines(t.clickmill("export").out), stored)
    # A new directory begins with the topic, and Cassandra does not change.
    again = t.start("run", "--no-demo", "--sink", "kafka", "--store", "cassandra", *place.options,
                    "--listen", "127.0.0.1:%d" % (place.stack.port("cassandra") + 100), "--data",
                    "new", "--json")
    t.until(lambda: "8,000 events" in again.err, "all events", 60, again)
    t.equal(again.stop().code, OK)
    place.same(place.stored(), stored)


@slow
def test_nobody_there(t):
    """A server that is not reachable at the start: tools say so, ingest waits."""
    place = Place(t, "unreachable")
    unreachable = ["--cassandra-port", place.stack.port("cassandra") + 7, "--cassandra-timeout", "1s"]
    result = t.clickmill("export", "--store", "cassandra", *unreachable, check=AWAY)
    t.says(result, "no Cassandra node at 127.0.0.1 answers within 1 s", "refused",
           "cassandra.hosts")
    waiting = t.start("ingest", "--store", "cassandra", *place.kafka, *unreachable)
    t.until(lambda: "; trying again" in waiting.err, "a second try", 20, waiting)
    t.equal(waiting.stop().code, OK)
    unknown = t.clickmill("export", "--store", "cassandra", "--cassandra-hosts", "no.such.invalid",
                          check=USAGE)
    t.says(unknown, "no.such.invalid")


# ---- with TLS and passwords

@slow
def test_kraft_and_secure(t):
    """200,000 events through Kafka 4.3, each compared; only the right secrets lead in."""
    stack = SECURE.up()
    config = os.path.join(stack.place.directory, "clickmill.secure.yaml")
    traffic = ["--count", EVENTS, "--seed", 6, "--users", 5000, "--urls", 200]
    t.clickmill("produce", "--config", config, *traffic, timeout=180)
    account = t.clickmill("ingest", "--config", config, "--until-end", "--json", timeout=180)
    t.equal(account.json["accepted"], EVENTS)
    sent = lines(t.clickmill("produce", "--out", "-", *traffic).out)
    got = t.clickmill("export", "--config", config, timeout=180)
    t.equal(len(got.raw.splitlines()), EVENTS)
    t.equal(lines(got.out) == sent, True, "all rows are the same")
    well = t.clickmill("doctor", "--config", config)
    t.true("TLS and a password" in well.out, "TLS is not told\n%s" % well)
    for name in ("CASSANDRA_PASSWORD", "KAFKA_PASSWORD"):
        secret = stack.secrets()[name]
        t.true(secret not in account.err + got.err + well.out + well.err, "%s is shown" % name)
    check_locked(t, stack, "cassandra", ["export", "--store", "cassandra"])


def check_locked(t, stack, name, command):
    """The right secrets, each way of giving them, and wrong ones."""
    known = stack.secrets()
    where = ["--cassandra-port", stack.port(name), "--cassandra-timeout", "3s",
             "--cassandra-keyspace", "locked"]
    tls = ["--cassandra-tls", "--cassandra-ca", stack.tls("ca.pem")]
    user = ["--cassandra-username", known["CASSANDRA_USERNAME"]]
    t.write("secret", known["CASSANDRA_PASSWORD"] + "\n")
    t.clickmill("doctor", "--fix", "--store", "cassandra", *where, *tls, *user,
                "--cassandra-password", "file:secret")
    t.clickmill(*command, *where, *tls, *user, "--cassandra-password", "file:secret")
    t.clickmill(*command, *where, *tls, *user, "--cassandra-password", "${SECRET}",
                env={"SECRET": known["CASSANDRA_PASSWORD"]})
    t.clickmill(*command, *where, *tls, env={name: known[name] for name in
                                             ("CASSANDRA_USERNAME", "CASSANDRA_PASSWORD")})
    t.clickmill(*command, *where, "--cassandra-tls", "--cassandra-insecure", *user,
                "--cassandra-password", "file:secret")

    t.write("wrong", "not-it")
    wrong = t.clickmill(*command, *where, *tls, *user, "--cassandra-password", "file:wrong",
                        check=USAGE)
    t.says(wrong, "refuses the credentials", "CASSANDRA_PASSWORD")
    t.true("not-it" not in wrong.err, "it shows the password")
    none = t.clickmill(*command, *where, *tls, check=USAGE)
    t.says(none, "credentials")
    unset = t.clickmill(*command, *where, *tls, *user, "--cassandra-password", "${NOT_SET_HERE}",
                        check=USAGE)
    t.says(unset, "cassandra.password", "NOT_SET_HERE is not set")
    alone = t.clickmill(*command, *where, *tls, "--cassandra-password", "file:secret",
                        check=USAGE)
    t.says(alone, "cassandra.password is given without cassandra.username")
    foreign = t.clickmill(*command, *where, "--cassandra-tls", "--cassandra-ca",
                          stack.tls("foreign-ca.pem"), *user, "--cassandra-password", "file:secret",
                          check=USAGE)
    t.says(foreign, "no TLS connection to Cassandra", "certificate", "cassandra.tls.ca")
    plain = t.clickmill(*command, *where, *user, "--cassandra-password", "file:secret", check=AWAY)
    t.says(plain, "no Cassandra node", "cassandra.tls")
    off = t.clickmill(*command, *where, "--cassandra-ca", stack.tls("ca.pem"), check=USAGE)
    t.says(off, "cassandra.tls is off")


@slow
def test_like_cosmos(t):
    """TLS, a password and port 10350, set as for Azure Cosmos DB's Cassandra interface."""
    place = Place(t, "cosmos")
    sent = place.produce(20000, 7)
    place.stack.up(["cosmos"])
    try:
        known = place.stack.secrets()
        t.write("cosmos.yaml", """
store: cassandra
kafka: {brokers: "127.0.0.1:%d", topic: cosmos, dead_topic: cosmos.dead, group: cosmos}
cassandra:
  hosts: localhost
  port: %d
  username: %s
  password: file:key
  tls:
    enabled: true
    ca: %s
    host_name: localhost
  create: true
  replication: datacenter1:1
  batch_bytes: 8k
""" % (place.stack.port("kafka"), place.stack.port("cosmos"), known["CASSANDRA_USERNAME"],
       place.stack.tls("ca.pem")))
        t.write("key", known["CASSANDRA_PASSWORD"])
        t.equal(place.stack.engine("cosmos").default_ports["client"], 10350)
        t.clickmill("doctor", "--config", "cosmos.yaml", "--fix")
        account = t.clickmill("ingest", "--config", "cosmos.yaml", "--until-end", "--json").json
        t.equal(account["accepted"], 20000)
        place.same(lines(t.clickmill("export", "--config", "cosmos.yaml").out), sent)
        check_locked(t, place.stack, "cosmos", ["export", "--store", "cassandra"])
    finally:
        place.stack.down(["cosmos"])
