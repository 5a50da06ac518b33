"""Topics that change while they are read: messages that are deleted, topics that are created again,
partitions that are added; and messages in other formats. On the real engine."""

import re
import signal
import time

from harness import MISSING, slow
from kafka_support import client, kafka
from test_kafka import events_of, exported, ingest, produce, same, stored


@slow
def test_read_too_late(t):
    """Messages are deleted while ingest stands still: it says which, and goes on behind them."""
    cluster = kafka()
    topic = cluster.topic(1)
    produce(t, topic, 1000)
    worker = t.start("ingest", *topic.options, "--json", "--kafka-property",
                     "auto.offset.reset=latest", "--resume", "group")
    t.until(lambda: " 1 partitions, " in worker.err, "the partition", process=worker)
    t.equal(stored(t), 0, "read from the end")
    produce(t, topic, 500)
    t.until(lambda: stored(t) == 500, "what comes then", process=worker)
    worker.signal(signal.SIGSTOP)
    # What it had asked for is answered within fetch.wait.max.ms, 0.5 s, and waits for it in its socket.
    # A busy broker may read the log for that answer late: what is deleted comes after it.
    produce(t, topic, 100)
    time.sleep(2)
    produce(t, topic, 1900)
    client("cut", cluster.brokers, topic.name, "3000")
    worker.signal(signal.SIGCONT)
    t.until(lambda: "messages are gone before they were read" in worker.err, "a word", 40, worker)
    first, last = map(int, re.search(r"from=(\d+) to=(\d+)", worker.err).groups())
    t.true(1500 <= first < last == 2999, "from %d to %d" % (first, last))
    left = 500 + first - 1500 + 500  # some of it was on its way
    t.until(lambda: stored(t) == left, "the rest", process=worker)
    worker.signal(signal.SIGTERM)
    ended = worker.wait(MISSING)
    t.equal((ended.json["accepted"], ended.json["gone"]), (left, last - first + 1), "account")
    t.true("%d messages were deleted in Kafka before they were read" % (last - first + 1)
           in ended.err, ended.err)
    # It is said once: who goes on has lost nothing.
    account = ingest(t, topic, "--resume", "group")
    t.equal((account["read"], account.get("gone")), (0, None), "read once more")


def make_anew(cluster, topic, partitions=1):
    client("remove", cluster.brokers, topic.name)
    time.sleep(2)  # its files go a moment later
    cluster.stack.topic_create(topic.name, partitions)


CREATED_AGAIN = "the topic was created again, and is read from its beginning"


@slow
def test_topic_created_again(t):
    """A topic of the same name is another topic, with fewer messages or with more: all of it is read
    once, what was read of the old one stays, and it is said."""
    cluster = kafka()
    topic = cluster.topic(1)
    produce(t, topic, 500)
    ingest(t, topic)
    followed = t.clickmill("process", "--follow", "--until-end", *topic.options, "--data",
                           "followed", "--json").json
    t.equal(followed["accepted"], 500, "followed")
    make_anew(cluster, topic)
    topic.send([(b"u", b'{"user_id": "u", "timestamp": 5, "url": "/"}')])
    said = t.clickmill("ingest", *topic.options, "--until-end", "--json")
    t.true(CREATED_AGAIN in said.err and "[0] before=500 from=0 to=1" in said.err, said.err)
    t.equal(said.json["accepted"], 1, "accepted of the one message")
    make_anew(cluster, topic)
    produce(t, topic, 900, "--seed", "7")
    for data in ("data", "followed"):
        command = ["ingest"] if data == "data" else ["process", "--follow"]
        said = t.clickmill(*command, "--until-end", *topic.options, "--data", data, "--json")
        t.true(CREATED_AGAIN in said.err and " from=0 to=900" in said.err, said.err)
        t.equal(said.json["accepted"], 900, "accepted into " + data)
        again = t.clickmill(*command, "--until-end", *topic.options, "--data", data, "--json")
        t.equal((again.json["accepted"], CREATED_AGAIN in again.err), (0, False), "once more")
    t.equal((stored(t), stored(t, "followed")), (500 + 1 + 900, 500 + 900), "stored")
    same(t, exported(t, "followed"),
         sorted(events_of(t, 500) + events_of(t, 900, "--seed", "7")))


@slow
def test_topic_created_again_after_aborted_messages(t):
    """Of a partition that had only messages of aborted transactions no message proves that it is the
    same: it is read again from where reading began, so that nothing of another topic is passed over."""
    cluster = kafka()
    topics = {data: cluster.topic(1) for data in ("data", "group", "worker")}
    options = {"data": (), "group": ("--resume", "group")}
    names = [topic.name for topic in topics.values()]
    client("abort", cluster.brokers, "5", *names)
    worker = t.start("ingest", *topics["worker"].options, "--json", "--data", "worker")
    for data, more in options.items():
        account = ingest(t, topics[data], *more, data=data)
        t.equal((account["read"], account.get("gone")), (0, None), "read")
    t.until(lambda: "1 partitions, lag 0" in worker.err, "it has read that", 60, worker)
    worker.signal(signal.SIGSTOP)
    client("remove", cluster.brokers, *names)
    time.sleep(2)  # their files go a moment later
    for topic in topics.values():
        cluster.stack.topic_create(topic.name, 1)
        produce(t, topic, 20)
    worker.signal(signal.SIGCONT)
    for data, more in options.items():
        for wanted in (20, 0) if data == "group" else (20,):
            account = ingest(t, topics[data], *more, data=data)
            t.equal((account["accepted"], account.get("gone")), (wanted, None), "into " + data)
    t.until(lambda: stored(t, "worker") == 20, "all of the new topic", 60, worker)
    client("abort", cluster.brokers, "5", topics["worker"].name)
    produce(t, topics["worker"], 20, "--seed", "7")
    t.until(lambda: stored(t, "worker") == 40, "what comes then", 60, worker)
    t.equal(t.balanced(worker.stop().json)["accepted"], 40, "accepted")


def created_again_under_a_worker(t, frozen):
    """Copies of messages may be stored, where some of the new topic came before it was known to be
    another one; export shows each event once."""
    cluster = kafka()
    topic = cluster.topic(1)
    produce(t, topic, 100)
    wanted = sorted(events_of(t, 100) + events_of(t, 3000, "--seed", "7"))
    worker = t.start("ingest", *topic.options, "--json")
    t.until(lambda: stored(t) == 100, "all are stored", process=worker)
    if frozen:
        worker.signal(signal.SIGSTOP)
        time.sleep(0.5)  # what it had asked for is answered
    make_anew(cluster, topic, 2)
    produce(t, topic, 3000, "--seed", "7")
    if frozen:
        worker.signal(signal.SIGCONT)
    t.until(lambda: stored(t) >= 3100 and len(exported(t)) >= len(wanted),
            "those of the new topic", 60, worker)
    account = t.balanced(worker.stop().json)
    t.true(CREATED_AGAIN in worker.err and " before=" in worker.err, worker.err)
    t.equal((account["rejected"], account.get("gone")), (0, None), "account")
    t.equal((stored(t), account["accepted"] >= 3100), (account["accepted"], True), "stored")
    same(t, exported(t), wanted)


@slow
def test_topic_created_again_while_it_is_read(t):
    """The same under a worker, who goes on by itself; and the topic has more partitions then."""
    created_again_under_a_worker(t, False)


@slow
def test_topic_created_again_while_a_worker_is_frozen(t):
    """When the worker asks again the new topic is already longer than what it had read: nothing
    tells it, and reading goes on in the middle of the new topic. It finds out by itself."""
    created_again_under_a_worker(t, True)


@slow
def test_new_partitions(t):
    """A partition that is added is read within 30 s, and no line says that all is read before."""
    cluster = kafka()
    topic = cluster.topic(1)
    produce(t, topic, 10)
    worker = t.start("ingest", *topic.options, "--json")
    t.until(lambda: stored(t) == 10, "all are stored", process=worker)
    with t.pace() as pace:
        client("grow", cluster.brokers, topic.name, "6")
        produce(t, topic, 2000, "--seed", "7")
        t.until(lambda: stored(t) == 2010, "those of the new partitions", 60, worker)
    pace.check(pace.took, 30, "to read the new partitions")
    ended = worker.stop()
    t.equal([part["partition"] for part in ended.json["partitions"]], list(range(6)), "partitions")
    for line in ended.err.splitlines():
        if " 6 partitions, lag 0," in line:
            t.true(line.startswith("2,010 messages, "), "too early: " + line)


# ---- messages in other formats

ENVELOPES = [
    (b"\0\0\0\0\x11\x04u1\x04/a\xa6\xb8\xd6\xc9\xdb\x65",
     "Avro in the wire format of a schema registry (schema 17); give the registry's URL in "
     "kafka.registry, or write plain JSON"),
    (b"\0\0\0\0\x11\0\x0a\x02u1\x12\x02/a\x18\xd3\x9b\xeb\xe4\xed\x32",
     "Protobuf in the wire format of a schema registry (schema 17), which is not read; write Avro "
     "or JSON"),
    (b'\0\0\0\0\x11{"user_id": "u", "timestamp": 5, "url": "/"}',
     "JSON in the wire format of a schema registry (schema 17); give the registry's URL in "
     "kafka.registry, or write plain JSON"),
    (b'{"schema": {"type": "struct"}, "payload": {"user_id": "u", "timestamp": 5, "url": "/"}}',
     "an envelope of Kafka Connect, with schema and payload; set "
     "value.converter.schemas.enable=false in the connector"),
    (b'{"before": null, "after": {"user_id": "u"}, "source": {"db": "shop"}, "op": "c"}',
     "a change event of Debezium; unwrap it in the connector (transform ExtractNewRecordState)"),
    (b'{"schema": {}, "payload": {"before": {}, "after": {}, "source": {}, "op": "u"}}',
     "a change event of Debezium in an envelope of Kafka Connect; unwrap it in the connector "
     "(transform ExtractNewRecordState, value.converter.schemas.enable=false)"),
    (None, "the message has no value: a tombstone, which deletes what has its key; "
           "kafka.tombstones: skip leaves them out"),
]


@slow
def test_messages_of_other_makers(t):
    """Each is a dead letter that says what it is; tombstones are left out where that is wanted."""
    topic = kafka().topic(1)
    topic.send([(b"key", value) for value, _ in ENVELOPES] +
               [(b"u", b'{"user_id": "u", "timestamp": 5, "url": "/"}')])
    count = len(ENVELOPES)
    account = ingest(t, topic)
    t.equal((account["accepted"], account["rejected"], account["skipped"]), (1, count, 0),
            "tombstones are dead letters")
    t.equal([(letter["value"], letter["headers"]["reason"]) for letter in topic.read(topic.dead)],
            ENVELOPES, "dead letters")
    account = ingest(t, topic, "--tombstones", "skip", "--group", "skipping", data="skipped")
    t.equal((account["read"], account["accepted"], account["rejected"], account["skipped"]),
            (count + 1, 1, count - 1, 1), "tombstones are skipped")
    t.equal(len(topic.read(topic.dead)), 2 * count - 1, "dead letters in all")
