"""Kafka: produce and import into it, ingest out of it, dead letters in it. On the real engine, except
for what is said before one is asked."""

import json
import os
import random
import signal
import sqlite3
import time

from harness import AWAY, INPUT, OK, USAGE, slow
from kafka_support import client, kafka, start_client

SHAPE = ["--users", "2000", "--urls", "100", "--countries", "20"]


def produce(t, topic, count, *options):
    account = t.clickmill("produce", "--sink", "kafka", *topic.options, "--count", count, "--json",
                          *SHAPE, *options).json
    t.equal(account["kafka"], {"acknowledged": count, "failed": 0, "waiting": 0,
                               "refused": 0, "dead": 0, "reason": None}, "what Kafka has acknowledged")
    t.equal(account["accepted"], count, "accepted")


def ingest(t, topic, *options, data="data", **named):
    return t.balanced(t.clickmill("ingest", *topic.options, "--data", data, "--until-end", "--json",
                                  *options, **named).json)


def events_of(t, count, *options):
    """What `produce` makes, as sorted lines."""
    return sorted(t.clickmill("produce", "--out", "-", "--count", count, *SHAPE,
                              *options).out.splitlines())


def exported(t, data="data"):
    return sorted(t.clickmill("export", "--data", data).out.splitlines())


def same(t, got, wanted):
    if got != wanted:
        missing, more = set(wanted) - set(got), set(got) - set(wanted)
        raise AssertionError("%d events instead of %d; %d are missing (%s), %d too many (%s)" % (
            len(got), len(wanted), len(missing), min(missing, default=""), len(more),
            min(more, default="")))


def stored(t, data="data"):
    """Events in the store, each time it was stored; 0 while it is being made."""
    if not os.path.exists(t.path(data, "clickmill.db")):
        return 0
    database = sqlite3.connect(t.path(data, "clickmill.db"))
    try:
        return database.execute("SELECT coalesce(sum(count), 0) FROM block").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


# ---- events, from end to end

def through(t, cluster, count):
    topic = cluster.topic()
    produce(t, topic, count)
    t.equal(topic.count(), count, "messages in the topic")
    account = ingest(t, topic)
    t.equal((account["read"], account["accepted"]), (count, count), "read and accepted")
    t.equal(sum(part["position"] for part in account["partitions"]), count, "positions")
    t.equal([part["lag"] for part in account["partitions"]], [0] * 6, "lag")
    same(t, exported(t), events_of(t, count))
    t.equal(ingest(t, topic)["read"], 0, "read once more")
    t.equal(stored(t), count, "events stored")


@slow
def test_through_zookeeper_s_kafka(t):
    through(t, kafka("3.9"), 200000)


@slow
def test_import(t):
    """A file and a broken line: the events are in the topic, the line is in the dead letters'."""
    topic = kafka().topic()
    lines = events_of(t, 5000)
    t.write("events.jsonl", "".join(line + "\n" for line in lines) + "{broken\n")
    account = t.clickmill("import", "--sink", "kafka", *topic.options, "--json",
                          "events.jsonl").json
    t.equal((account["read"], account["accepted"], account["rejected"]), (5001, 5000, 1), "account")
    t.equal((account["kafka"]["acknowledged"], account["kafka"]["dead"]), (5000, 1), "for Kafka")
    same(t, sorted(message["value"].decode() for message in topic.read()), lines)
    dead = topic.read(topic.dead)
    t.equal([(one["value"], one["headers"]["origin"]) for one in dead],
            [(b"{broken", "events.jsonl:5001")], "dead letters")


@slow
def test_lines_of_logs_are_sealed(t):
    """No address is in the dead letters' topic; a user with the key sees and replays the line."""
    topic = kafka().topic(1)
    line = '8.8.8.8 - %s [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 5 "-" "x"\n'
    t.write("a.log", line % "-" + line % "john doe")
    t.clickmill("import", "--sink", "kafka", *topic.options, "--all", "a.log")
    letter, = topic.read(topic.dead)
    t.true(letter["value"].startswith(b"cm-sealed-1:"), "not sealed: %r" % letter["value"])
    t.true(b"8.8.8.8" not in letter["value"] and b"john" not in letter["value"], "in the clear")
    dead = ["--from", "kafka", *topic.options]
    t.equal(t.clickmill("dead", "show", "0@0", *dead).out, line % "john doe", "shown")
    shown = t.clickmill("dead", "show", "0@0", *dead, "--data", "other").raw
    t.equal(shown, letter["value"] + b"\n", "without the key")
    t.equal(t.clickmill("dead", "replay", *dead, "--all", "--json").json["rejected"], 1, "replayed")


@slow
def test_count_and_stop(t):
    """--count takes that many; SIGTERM commits what is in hand; together they are all."""
    topic = kafka().topic()
    produce(t, topic, 30000)
    account = t.clickmill("ingest", *topic.options, "--count", 12345, "--json").json
    t.equal((account["read"], stored(t)), (12345, 12345), "messages")
    worker = t.start("ingest", *topic.options, "--json")
    t.until(lambda: "ingesting" in worker.err, "the start", process=worker)
    t.until(lambda: stored(t) == 30000, "all are stored", process=worker)
    t.equal(worker.stop().json["read"], 30000 - 12345, "read after that")
    same(t, exported(t), events_of(t, 30000))


# ---- faults

@slow
def test_killed_again_and_again(t):
    """kill -9 at any moment, while more comes: nothing lost, nothing doubled. With a name of its own
    in the group the next one takes its place at once."""
    topic, chance = kafka().topic(), random.Random(5)
    total, kills, rate = 150000, 0, ["--rate", "15000"]
    maker = t.start("produce", "--sink", "kafka", *topic.options, "--count", total, *rate, *SHAPE)
    while maker.running() or kills < 5:
        worker = t.start("ingest", *topic.options, "--kafka-property", "group.instance.id=one")
        time.sleep(chance.uniform(0.2, 2.6))
        worker.kill()
        kills += 1
    maker.wait(0)
    t.equal(topic.count(), total, "messages in the topic")
    before = stored(t)
    t.true(total / 3 < before, "the killed workers have stored %d events only" % before)
    account = ingest(t, topic, "--kafka-property", "group.instance.id=one")
    t.equal(account["read"], total - before, "what was left to read")
    t.equal(stored(t), total, "events stored")
    same(t, exported(t), events_of(t, total, *rate))
    account = t.process("all")
    t.equal((account["accepted"], account["duplicates"]), (total, 0), "duplicates after %d kills"
            % kills)
    t.check_integrity()


@slow
def test_two_workers_share_the_partitions(t):
    """Two data directories, one group: together they have everything, through rebalances and a
    kill -9."""
    topic, total, rate = kafka().topic(), 60000, ["--rate", "8000"]
    group = ["--resume", "group", "--kafka-property", "session.timeout.ms=6000"]
    maker = t.start("produce", "--sink", "kafka", *topic.options, "--count", total, *rate, *SHAPE)
    first = t.start("ingest", *topic.options, "--data", "first", "--json", *group)
    t.until(lambda: stored(t, "first") > 0, "the first has some", process=first)
    second = t.start("ingest", *topic.options, "--data", "second", "--json", *group)
    t.until(lambda: stored(t, "second") > 1000, "the second has some", process=second)
    second.kill()
    maker.wait(0)
    second = t.start("ingest", *topic.options, "--data", "second", "--json", *group)

    def all_there():
        return set(exported(t, "first")) | set(exported(t, "second")) >= wanted
    wanted = set(events_of(t, total, *rate))
    t.until(all_there, "all events are stored", 40)
    accounts = [first.stop().json, second.stop().json]
    t.true(all(len(account["partitions"]) < 6 for account in accounts), "not shared: %s" % accounts)
    same(t, sorted(set(exported(t, "first")) | set(exported(t, "second"))), sorted(wanted))


@slow
def test_end_is_the_group_s(t):
    """--until-end waits for the partitions that another consumer has, and gets them when it dies."""
    topic = kafka().topic()
    produce(t, topic, 20000)
    group = "held-%d" % os.getpid()
    other = start_client("hold", topic.cluster.brokers, topic.name, group)
    try:
        while other.stdout.readline().strip() != "6":
            t.true(other.poll() is None, "the other consumer has ended")
        worker = t.start("ingest", *topic.options, "--group", group, "--until-end", "--json")
        while other.stdout.readline().strip() != "3":
            t.true(other.poll() is None, "the other consumer has ended")
        t.until(lambda: stored(t) > 0, "its own partitions are read", process=worker)
        time.sleep(3)
        t.true(worker.running(), "it has ended, and half of the topic is not read")
        t.true(stored(t) < 20000, "the other consumer has nothing")
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    t.equal(t.balanced(worker.wait(0).json)["accepted"], 20000, "accepted")
    same(t, exported(t), events_of(t, 20000))


@slow
def test_broker_restarted(t):
    """The broker goes in the middle and comes back: producer and consumer go on by themselves."""
    cluster = kafka()
    topic, total, rate = cluster.topic(), 100000, ["--rate", "10000"]
    worker = t.start("ingest", *topic.options, "--json")
    maker = t.start("produce", "--sink", "kafka", *topic.options, "--count", total, "--json", *rate,
                    *SHAPE)
    t.until(lambda: stored(t) > 5000, "a start", process=worker)
    cluster.stack.stop("kafka")
    time.sleep(4)
    t.true(worker.running() and maker.running(), "one has given up\n%s\n%s" % (
        worker.err, maker.err))
    cluster.stack.start("kafka")
    made = maker.wait(0).json
    t.equal((made["kafka"]["acknowledged"], made["kafka"]["failed"]), (total, 0), "acknowledged")
    t.until(lambda: stored(t) >= total, "all are stored", 60, worker)
    with t.pace() as pace:
        ended = worker.stop()
    pace.check(pace.took, 5, "to leave the group")
    t.equal(t.balanced(ended.json)["accepted"], total, "accepted")
    t.true(" partitions, lag 0," not in ended.err.replace(" 6 partitions,", ""), "0 partitions")
    t.true("waiting for Kafka" in worker.err, "no word of the broker that was down\n" + worker.err)
    same(t, exported(t), events_of(t, total, *rate))


@slow
def test_broker_comes_late(t):
    """ingest waits for a broker that is not there yet, and ends when it is told to in the middle
    of that; produce says so and ends."""
    cluster = kafka()
    topic = cluster.topic()
    produce(t, topic, 1000)
    early = [*topic.options, "--group", "early-%d" % os.getpid(), "--data", "early", "--json"]
    left = t.start("ingest", *early)
    t.until(lambda: stored(t, "early") == 1000, "all are stored", process=left)
    cluster.stack.stop("kafka")
    t.until(lambda: "waiting for Kafka" in left.err, "a word of the broker", 30, left)
    with t.pace() as pace:
        t.equal(left.stop().json["accepted"], 1000, "accepted before it was told to end")
    pace.check(pace.took, 10, "to end")
    away = t.clickmill("produce", "--sink", "kafka", *topic.options, "--count", 1,
                       "--kafka-timeout", "1s", check=AWAY)
    t.says(away, "no Kafka broker at %s answers within 1 s" % cluster.brokers, "refused")
    t.says(t.clickmill("dead", "list", "--from", "kafka", *topic.options, "--kafka-timeout", "1s",
                       check=AWAY), "no Kafka broker at")
    worker = t.start("ingest", *topic.options, "--kafka-timeout", "1s", "--until-end", "--json")
    t.until(lambda: "trying again" in worker.err, "a sentence", process=worker)
    cluster.stack.start("kafka")
    t.equal(worker.wait(0).json["accepted"], 1000, "accepted")
    t.equal(t.clickmill("ingest", *early, "--until-end").json["read"], 0, "read once more")
    t.equal(stored(t, "early"), 1000, "events stored")
    stopped = t.start("ingest", "--brokers", "127.0.0.1:1", "--kafka-timeout", "1s")
    t.until(lambda: "trying again" in stopped.err, "a sentence", process=stopped)
    stopped.stop()


@slow
def test_broker_hangs(t):
    """A broker that is there and says nothing: SIGTERM ends both sides soon. ingest has stored all
    that it has, produce says what is not acknowledged; and nothing is lost."""
    cluster = kafka()
    topic = cluster.topic()
    produce(t, topic, 20000)
    worker = t.start("ingest", *topic.options, "--json")
    maker = t.start("produce", "--sink", "kafka", *topic.options, "--rate", "2000", "--json",
                    *SHAPE)
    t.until(lambda: stored(t) > 22000, "some are stored", process=worker)
    cluster.stack.pause("kafka")
    try:
        time.sleep(1)
        with t.pace() as pace:
            for process in (worker, maker):
                process.signal(signal.SIGTERM)
            ended, made = worker.wait(OK), maker.wait(AWAY)
        pace.check(pace.took, 14, "to end")
    finally:
        cluster.stack.resume("kafka")
    before = t.balanced(ended.json)["read"]
    t.equal(before, stored(t), "events stored, and read")
    t.says(made, "stopped while no Kafka broker at", "events are not acknowledged")
    account = ingest(t, topic, "--kafka-property", "session.timeout.ms=6000")
    t.equal((before + account["read"], stored(t)), (topic.count(), topic.count()), "all of it")
    t.true(stored(t) >= 20000 + made.json["kafka"]["acknowledged"], "what was acknowledged is lost")
    same(t, exported(t), sorted(message["value"].decode() for message in topic.read()))


# ---- dead letters

GOOD = b'{"user_id": "u", "timestamp": %d, "url": "/"}'
POISON = [
    (b"", "the message is empty"),
    (None, "the message has no value: a tombstone"),
    (b"not json", "not valid JSON"),
    (b'{"user_id": "u"', "not valid JSON"),
    (b'{"user_id": "u", "timestamp": 5, "url": "/"} {}', "not valid JSON"),
    (b"[1, 2]", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (b"{}", "timestamp is missing"),
    (b'{"timestamp": 5, "url": "/"}', "user_id is missing or empty"),
    (b'{"user_id": null, "timestamp": 5, "url": "/"}', "user_id is missing or empty"),
    (b'{"user_id": 5, "timestamp": 5, "url": "/"}', "user_id is not a string"),
    (b'{"user_id": "u", "timestamp": 5, "url": ""}', "url is missing or empty"),
    (b'{"user_id": "u", "timestamp": 5, "url": ["/"]}', "url is not a string"),
    (b'{"user_id": "u", "url": "/"}', "timestamp is missing"),
    (b'{"user_id": "u", "timestamp": "soon", "url": "/"}', 'timestamp "soon" is neither'),
    (b'{"user_id": "u", "timestamp": 5.5, "url": "/"}', "timestamp is neither"),
    (b'{"user_id": "u", "timestamp": -5, "url": "/"}', "timestamp -5 is out of range"),
    (b'{"user_id": "u", "timestamp": 9999999999999, "url": "/"}', "is out of range"),
    (b'{"user_id": "' + b"u" * 257 + b'", "timestamp": 5, "url": "/"}', "the limit is 256"),
    (b'{"user_id": "u", "timestamp": 5, "url": "' + b"x" * 2049 + b'"}', "the limit is 2048"),
    (b'{"user_id": "u\xff", "timestamp": 5, "url": "/"}', "not valid JSON"),
    (b"\x00\x01\xfe\xff\r\n", "Avro in the wire format of a schema registry"),
    (b"\x00\x81\xfe\xff\r\n", "not valid JSON"),
    (b"x" * 900000, "not valid JSON"),
]


@slow
def test_poison(t):
    """Messages of twenty kinds that are no events, among some that are."""
    topic = kafka().topic(2)
    messages = []
    for number, (value, _) in enumerate(POISON):
        messages += [(b"u", GOOD % (number + 1)), (b"k%d" % number if number % 3 else None, value)]
    topic.send(messages)
    account = ingest(t, topic)
    t.equal((account["read"], account["rejected"]), (2 * len(POISON), len(POISON)), "account")
    t.equal(stored(t), len(POISON), "events stored")
    dead = topic.read(topic.dead)
    t.equal([(one["key"], one["value"]) for one in dead], messages[1::2], "the dead letters")
    for number, (one, (_, reason)) in enumerate(zip(dead, POISON)):
        t.true(reason in one["headers"]["reason"], "reason of %d: %s" % (number, one["headers"]))
        t.equal(one["headers"]["origin"], "%s[0]@%d" % (topic.name, 2 * number + 1), "origin")
        t.true(abs(time.time() - time.mktime(time.strptime(
            one["headers"]["time"][:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) + time.timezone) < 120,
            "time " + one["headers"]["time"])
    listed = [json.loads(line) for line in t.clickmill(
        "dead", "list", "--from", "kafka", *topic.options, "--json").out.splitlines()]
    t.equal([one["id"] for one in listed], ["0@%d" % n for n in range(len(POISON))], "ids")
    t.equal([one["bytes"] for one in listed], [len(value or b"") for value, _ in POISON], "bytes")
    shown = t.clickmill("dead", "show", "0@21", "--from", "kafka", *topic.options)
    t.equal(shown.raw, b"\x00\x01\xfe\xff\r\n\n", "the message that is shown")
    t.equal(ingest(t, topic)["read"], 0, "read again")


@slow
def test_replay(t):
    """A mended letter goes back onto the topic once, however often it is tried."""
    topic = kafka().topic(1)
    topic.send([(b"a", b"{"), (b"b", b'{"user_id": "b", "timestamp": 5}'), (b"c", b"no")])
    ingest(t, topic)
    dead = ["--from", "kafka", *topic.options]
    mended = t.write("mended.json", '{"user_id": "b", "timestamp": 5, "url": "/mended"}')
    t.equal(t.clickmill("dead", "replay", *dead, "--json").json["rejected"], 3, "still dead")
    t.says(t.clickmill("dead", "replay", "0@7", *dead, check=USAGE), "0@7")
    t.says(t.clickmill("dead", "replay", "first", *dead, check=USAGE), "like 0@17")
    t.says(t.clickmill("dead", "replay", *dead, "--with", mended, check=USAGE), "one letter")
    account = t.clickmill("dead", "replay", "0@1", *dead, "--with", mended, "--json").json
    t.equal(account["accepted"], 1, "accepted")
    t.says(t.clickmill("dead", "replay", "0@1", *dead, "--with", mended, check=USAGE), "replayed")
    t.equal([line.split()[0] for line in t.clickmill("dead", "list", *dead).out.splitlines()],
            ["0@0", "0@2"], "letters that are left")
    t.equal(ingest(t, topic)["accepted"], 1, "the event arrives")
    t.equal(json.loads(exported(t)[0])["url"], "/mended", "the event")
    t.equal(t.clickmill("dead", "replay", *dead, "--json").json,
            {"read": 2, "accepted": 0, "rejected": 2, "skipped": 0, "unknown_fields": 0},
            "the rest")


@slow
def test_dead_letters_into_the_store(t):
    topic = kafka().topic(1)
    topic.send([(None, b"{"), (b"n", None), (b"u", GOOD % 7)])
    ingest(t, topic, "--dead-to", "store")
    listed = [json.loads(line) for line in
              t.clickmill("dead", "list", "--json").out.splitlines()]
    t.equal([(one["origin"], one["bytes"]) for one in listed],
            [(topic.name + "[0]@0", 1), (topic.name + "[0]@1", 0)], "dead letters")


# ---- beside plain clients

EVENT = {"row_key": "k-1", "user_id": "jané", "timestamp": 1747476303000,
         "url": "https://www.example.com/", "country": "Chile", "city": "Santiago",
         "browser": "Firefox", "os": "Linux", "device": "Desktop"}


@slow
def test_bots(t):
    """Messages with the user agent of a bot, for all that reads the topic."""
    topic = kafka().topic(1)
    topic.send([(b"u", json.dumps({"user_id": "u", "timestamp": at, "url": "/", **agent}).encode())
                for at, agent in ((1, {"user_agent": "Mozilla/5.0 Firefox/125.0"}), (2, {}),
                                  (3, {"user_agent": "curl/8"}))])
    kept = {"bot": "curl", "bot_kind": "http-library"}
    for command, options, wanted in (("ingest", [], [1, 2, 3]),
                                     ("ingest", ["--bots", "drop"], [1, 2]),
                                     ("ingest", ["--bots", "keep"], [1, 2, 3]),
                                     ("process", ["--follow", "--bots", "drop"], [1, 2]),
                                     ("process", ["--follow", "--bots", "keep"], [1, 2, 3])):
        data = "-".join([command, *options])
        account = t.clickmill(command, *topic.options, "--data", data, "--until-end", "--json",
                              *options).json
        if command == "ingest":
            t.equal((account["read"], account["accepted"], account["skipped"]),
                    (3, len(wanted), 3 - len(wanted)), "account of " + data)
            t.equal(account.get("bots_by_kind"), None if 3 in wanted else {"http-library": 1},
                    "kinds of " + data)
            t.equal(account["partitions"][0]["position"], 3, "position of " + data)
        events = [json.loads(line) for line in exported(t, data)]
        t.equal({event["timestamp"]: event.get("props") for event in events},
                {at: kept if at == 3 and options else None for at in wanted}, "events of " + data)


@slow
def test_plain_python_clients(t):
    """json.dumps of the nine fields is ingested unchanged; what `produce` sends is read."""
    topic = kafka().topic()
    brokers = topic.cluster.brokers
    sent = [EVENT, {**EVENT, "row_key": "k-2", "timestamp": "1747476304000"},
            {**EVENT, "row_key": "k-3", "timestamp": "2025-05-17T10:05:05Z"}]
    client("plain", brokers, topic.name, stdin="".join(json.dumps(event) + "\n" for event in sent))
    t.equal(ingest(t, topic)["accepted"], 3, "accepted")
    t.equal([json.loads(line) for line in exported(t)],
            [EVENT, {**EVENT, "row_key": "k-2", "timestamp": 1747476304000},
             {**EVENT, "row_key": "k-3", "timestamp": 1747476305000}], "events")
    topic = kafka().topic()
    produce(t, topic, 2000)
    same(t, sorted(client("events", brokers, topic.name).splitlines()), events_of(t, 2000))
    t.equal({message["key"].decode() == json.loads(message["value"])["user_id"]
             for message in topic.read()}, {True}, "keys")


@slow
def test_simple_configuration(t):
    """The configuration of a simple producer is understood; topics are made as it says."""
    cluster = kafka()
    name = "simple-%d" % os.getpid()
    t.write("config.json", json.dumps({"bootstrap_servers": cluster.brokers, "topic": name}))
    t.write("more.yaml", "bootstrap_servers: [%s]\nkafka:\n  topic: %s-2\n  dead_topic: %s-dead\n"
            "  partitions: 3\n  properties:\n    compression.type: gzip\n" % (
                cluster.brokers, name, name))
    for config, topic, partitions in (("config.json", name, 6), ("more.yaml", name + "-2", 3)):
        t.clickmill("--config", config, "produce", "--sink", "kafka", "--count", 10)
        described = cluster.stack.topic_describe(topic)
        t.equal(len(described["partitions"]), partitions, "partitions of " + topic)
        t.equal(sum(part["end"] for part in described["partitions"]), 10, "messages in " + topic)
    t.says(t.clickmill("--config", "config.json", "produce", "--sink", "kafka", "--count", 1,
                       "--topic", "not-there", "--no-kafka-create", check=INPUT),
           "topic not-there is not there", "kafka.create")


# ---- KRaft, and the secure profile

@slow
def test_through_kraft(t):
    through(t, kafka("4.3"), 200000)


@slow
def test_killed_on_kraft(t):
    topic = kafka("4.3").topic()
    produce(t, topic, 200000)
    for seconds in (0.5, 0.8, 0.3):
        worker = t.start("ingest", *topic.options)
        time.sleep(seconds)
        worker.signal(signal.SIGKILL)
        worker.wait()
    ingest(t, topic)
    t.equal(stored(t), 200000, "events stored")
    same(t, exported(t), events_of(t, 200000))


@slow
def test_secure(t):
    """TLS and SCRAM: right and wrong passwords, a foreign CA, no TLS; and no secret in any word."""
    cluster = kafka("3.9", "secure")
    known = cluster.stack.secrets()
    name = "secure-%d" % os.getpid()
    secret = known["KAFKA_PASSWORD"]
    t.write("password", secret + "\n")
    t.write("clickmill.yaml", """
kafka:
  brokers: localhost:%d
  topic: %s
  timeout: 5s
  properties:
    security.protocol: sasl_ssl
    ssl.ca.location: %s
    sasl.mechanism: SCRAM-SHA-512
    sasl.username: ${KAFKA_USERNAME}
    sasl.password: ${KAFKA_PASSWORD}
""" % (cluster.stack.port("kafka"), name, cluster.stack.tls("ca.pem")))
    words = ["produce", "--sink", "kafka", "--count", "100", "--log-level", "debug"]
    right = {"KAFKA_USERNAME": known["KAFKA_USERNAME"], "KAFKA_PASSWORD": secret}
    results = [t.clickmill(*words, env=right),
               t.clickmill(*words, "--kafka-property", "sasl.password=file:password", env=right)]
    t.equal(t.clickmill("ingest", "--until-end", "--json", env=right).json["accepted"], 200,
            "accepted")
    wrong = t.clickmill(*words, env={**right, "KAFKA_PASSWORD": "wrong"}, check=USAGE)
    t.says(wrong, "refuses the credentials", "sasl.password")
    t.says(t.clickmill("ingest", env={**right, "KAFKA_PASSWORD": "wrong"}, check=USAGE),
           "refuses the credentials")
    foreign = t.clickmill(*words, "--kafka-property",
                          "ssl.ca.location=" + cluster.stack.tls("foreign-ca.pem"), env=right,
                          check=USAGE)
    t.says(foreign, "no TLS connection", "ssl.ca.location", "certificate verify failed")
    t.says(t.clickmill(*words, "--kafka-property", "security.protocol=plaintext", env=right,
                       check=AWAY), "no Kafka broker at localhost")
    t.says(t.clickmill(*words, check=USAGE), "clickmill.yaml:", "kafka.properties.sasl.username",
           "KAFKA_USERNAME is not set")
    for result in results + [wrong, foreign]:
        t.true(secret not in result.err + result.out, "the password is printed")


# ---- what needs no broker

def test_wrong_properties(t):
    """librdkafka's own sentence, with file and key."""
    cases = [
        ("no.such.property: 1", "clickmill.yaml:3: kafka.properties.no.such.property",
         "No such configuration property"),
        ("acks: many", "clickmill.yaml:3: kafka.properties.acks", "request.required.acks"),
        ("security.protocol: tls", "clickmill.yaml:3: kafka.properties.security.protocol", "tls"),
        ("linger.ms: soon", "clickmill.yaml:3: kafka.properties.linger.ms", "Invalid value"),
        ("sasl.password: ${NOT_SET_HERE}", "kafka.properties.sasl.password", "NOT_SET_HERE"),
        ("sasl.password: file:/nowhere/x", "kafka.properties.sasl.password", "/nowhere/x"),
    ]
    for line, where, what in cases:
        t.write("clickmill.yaml", "kafka:\n  properties:\n    %s\n" % line)
        for command in (["produce", "--sink", "kafka", "--count", "1"], ["ingest"],
                        ["dead", "list", "--from", "kafka"]):
            t.says(t.clickmill(*command, check=USAGE), where, what)
        t.clickmill("produce", "--count", "1", "--out", "-")  # no business of others
    os.remove(t.path("clickmill.yaml"))
    t.says(t.clickmill("ingest", "--kafka-property", "fetch.no=1", check=USAGE), "--kafka-property",
           "fetch.no")
    t.says(t.clickmill("ingest", "--kafka-property", "fetch.min.bytes", check=USAGE),
           "--kafka-property", "NAME=VALUE")
    t.says(t.clickmill("ingest", "--kafka-property", "acks=1", "--store", "embedded", "--dead-to",
                       "topic", check=USAGE), "enable.idempotence")


def test_no_broker(t):
    words = ["--brokers", "127.0.0.1:1", "--kafka-timeout", "300ms"]
    t.write("events.jsonl", '{"user_id": "u", "timestamp": 5, "url": "/"}\n')
    for command in (["produce", "--sink", "kafka", "--count", "1"],
                    ["import", "--sink", "kafka", "events.jsonl"],
                    ["dead", "list", "--from", "kafka"]):
        t.says(t.clickmill(*command, *words, check=AWAY), "no Kafka broker at 127.0.0.1:1",
               "kafka.brokers")
