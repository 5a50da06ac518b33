"""`clickmill collect --sink kafka` on real Kafka: what is acknowledged, what is kept while it is away,
and that it arrives once, in order, before what comes later."""

import json
import random
import signal
import time

import kafka_support
from collect_support import (FIREFOX, SITE, Collector, Senders, bad, event, good, keyed, refused,
                             whole)
from harness import OK, slow
from kafka_support import kafka
from test_collect_senders import on_one_day

FIELDS = ("row_key", "user_id", "timestamp", "url", "country", "city", "browser", "os", "device")


def new_topic(t):
    """A topic of the test's own. A broker that was away may take a while to make one."""
    cluster = kafka()

    def make():
        try:
            return cluster.topic()
        except kafka_support.Misuse:
            return None
    return t.until(make, "a topic can be made", 60)


def start(t, topic, *options, **named):
    return Collector(t, "--sink", "kafka", *topic.options, *options, **named)


def value(entry):
    """An event as every sink of the program writes it."""
    entry = whole(entry)
    return json.dumps({name: entry[name] for name in FIELDS}, ensure_ascii=False).encode()


def send(t, collector, numbers):
    """One after the other on one connection, each answered 202."""
    with collector.connect(timeout=60) as connection:
        for number in numbers:
            good(t, collector.count(connection.ask(keyed(number))))


def stop(t, collector):
    """SIGTERM; its account is what its answers said."""
    account = t.balanced(json.loads(collector.process.stop(OK, timeout=60).out))
    t.equal([account[name] for name in ("accepted", "rejected", "skipped")],
            [collector.accepted, collector.rejected, collector.skipped], "account")


def read(t, topic, count, timeout=60):
    """The messages in the order of their partitions, once there are so many."""
    t.until(lambda: topic.count() >= count, "%d messages in the topic" % count, timeout)
    return sorted(topic.read(), key=lambda one: (one["partition"], one["offset"]))


def once_and_in_order(t, topic, numbers):
    """Exactly these, byte for byte, each once, and those of a user in the order of their numbers."""
    wanted, users = {value(keyed(number)): number for number in numbers}, {}
    messages = read(t, topic, len(wanted))
    for message in messages:
        t.true(message["value"] in wanted, "a message nobody sent: %r" % message["value"])
        number = wanted[message["value"]]
        t.equal(message["key"], b"user-%d" % (number % 7), "key of event %d" % number)
        users.setdefault(number % 7, []).append(number)
    for user, got in users.items():
        t.equal(got, [number for number in sorted(numbers) if number % 7 == user],
                "events of user %d in the topic" % user)
    t.equal(len(messages), len(wanted), "messages")


def away(collector):
    """Whether /readyz says that Kafka is away; its JSON, then."""
    answer = collector.get("/readyz")
    return "kafka" in answer.body.decode().lower() and answer.json


def test_nobody_answers(t):
    """Where nobody answers from the start: events are kept, and it says so."""
    collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks")
    send(t, collector, range(20))
    t.true(away(collector), "readyz says nothing")
    with t.pace() as pace:
        stop(t, collector)
    pace.check(pace.took, 15, "to end")


@slow
def test_run_sends_them_to_the_topic(t):
    """In `run`, too, events go to the topic, and come from there into the answers, each once."""
    topic = new_topic(t)
    collector = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, command=("run",))
    send(t, collector, range(20))
    good(t, collector.ask([keyed(number) for number in range(20, 300)]), 280)
    t.until(lambda: collector.get("/api/summary").json["freshness"]["events"] == 300,
            "the answers have them", 30, collector.process)
    once_and_in_order(t, topic, range(300))
    account = t.balanced(json.loads(collector.process.stop(OK, timeout=60).out))
    t.equal((account["accepted"], account["rejected"]), (300, 0), "account")


@slow
@on_one_day
def test_through(t):
    topic = new_topic(t)
    collector = start(t, topic, "--sites", "shop.example")
    send(t, collector, range(50))
    good(t, collector.ask([keyed(number) for number in range(50, 500)]), 450)
    bad(t, collector.ask([keyed(500), event(url=...), keyed(501)]), [(2, "url is missing or empty")],
        2)
    t.equal(topic.count(), 502, "messages when the answers are there")
    once_and_in_order(t, topic, range(502))
    t.equal(topic.count(topic.dead), 0, "dead letters")
    good(t, collector.page({"url": SITE + "/page?utm_source=x"}))
    t.equal(collector.get("/readyz").status, 200, "readyz")
    stop(t, collector)
    views = [message for message in topic.read() if b"/page" in message["value"]]
    got = json.loads(views[0]["value"])
    t.equal((len(views), got["url"], got["browser"]), (1, SITE + "/page", "Firefox"), "page view")
    t.equal(views[0]["key"], got["user_id"].encode(), "key of a page view")
    t.true(FIREFOX.encode() not in views[0]["value"], "the agent is in the topic")
    account = t.clickmill("ingest", *topic.options, "--data", "ingested", "--until-end", "--json").json
    t.equal((account["accepted"], account["rejected"]), (503, 0), "ingest")


@slow
def test_many_senders(t):
    topic = new_topic(t)
    collector = start(t, topic, check=False)
    senders = Senders(collector, count=32, batch=3)
    t.until(lambda: len(senders.answered) > 20000, "many events", 60, collector.process)
    senders.end()
    collector.process.stop(OK)
    t.true(not senders.others, "other answers: %s" % senders.others[:1])
    wanted = {value(keyed(number)) for number in senders.answered}
    got = [message["value"] for message in topic.read()]
    t.equal((len(got), set(got) == wanted), (len(wanted), True), "messages")


def absent(t, leave, come):
    """Events before, while, and after the broker is away."""
    topic = new_topic(t)
    collector = start(t, topic)
    send(t, collector, range(100))
    leave(topic.cluster.stack)
    try:
        with t.pace() as pace:
            send(t, collector, range(100, 400))
        pace.check(pace.took, 60, "300 answers")
        t.true(away(collector), "readyz does not say that Kafka is away")
    finally:
        come(topic.cluster.stack)
    send(t, collector, range(400, 500))
    once_and_in_order(t, topic, range(500))
    t.until(lambda: collector.get("/readyz").status == 200, "it is ready", 60, collector.process)
    send(t, collector, range(500, 600))
    stop(t, collector)
    once_and_in_order(t, topic, range(600))


@slow
def test_broker_hangs(t):
    absent(t, lambda stack: stack.pause("kafka"), lambda stack: stack.resume("kafka"))


@slow
def test_broker_ends(t):
    absent(t, lambda stack: stack.stop("kafka"), lambda stack: stack.start("kafka"))


@slow
def test_broker_is_killed(t):
    def leave(stack):
        stack.kill("kafka")
    absent(t, leave, lambda stack: stack.start("kafka"))


@slow
def test_started_without_kafka(t):
    topic = new_topic(t)
    stack = topic.cluster.stack
    stack.stop("kafka")
    try:
        collector = start(t, topic)
        send(t, collector, range(100))
        t.true(away(collector), "readyz does not say that Kafka is away")
        stop(t, collector)  # what is kept waits for the next one
        collector = start(t, topic)
        send(t, collector, range(100, 200))
    finally:
        stack.start("kafka")
    send(t, collector, range(200, 300))
    once_and_in_order(t, topic, range(300))
    stop(t, collector)


@slow
def test_killed_while_kafka_is_away(t):
    """kill -9 again and again: everything that was answered 202 arrives when there is Kafka."""
    topic, chance = new_topic(t), random.Random(3)
    stack, answered, first = topic.cluster.stack, set(), 0

    def round_of(wanted):
        nonlocal first
        collector = start(t, topic, check=False)
        senders = Senders(collector, count=8, batch=2, first=first)
        t.until(lambda: len(senders.answered) > wanted, "some answers", 60, collector.process)
        time.sleep(chance.uniform(0, 0.05))
        collector.process.kill()
        senders.join()
        answered.update(senders.answered)
        first = senders.next
    round_of(500)
    stack.pause("kafka")
    try:
        for _ in range(4):
            round_of(chance.randrange(50, 500))
    finally:
        stack.resume("kafka")
    round_of(500)
    collector = start(t, topic)
    send(t, collector, range(first, first + 10))
    answered.update(range(first, first + 10))

    def numbers():
        return {int(json.loads(message["value"])["row_key"][4:]) for message in topic.read()}
    t.until(lambda: not answered - numbers(), "everything that was answered 202", 90)
    stop(t, collector)
    everything = topic.read()
    for message in everything:
        number = int(json.loads(message["value"])["row_key"][4:])
        t.equal(message["value"], value(keyed(number)), "event %d" % number)
    t.true(len(everything) < first + 10 + 4000, "%d messages of %d events" % (len(everything), first))


@slow
def test_stopped_while_kafka_hangs(t):
    """SIGTERM amid requests: each is answered 202 and kept, or not 202."""
    topic = new_topic(t)
    collector = start(t, topic, check=False)
    topic.cluster.stack.pause("kafka")
    try:
        senders = Senders(collector, count=8)
        t.until(lambda: len(senders.answered) > 200, "some answers", 60, collector.process)
        with t.pace() as pace:
            collector.process.signal(signal.SIGTERM)
            account = t.balanced(json.loads(collector.process.wait(OK, 60).out))
        pace.check(pace.took, 20, "to end")
        senders.join()
        t.true(account["accepted"] >= len(senders.answered), "accepted by the account")
    finally:
        topic.cluster.stack.resume("kafka")
    first = senders.next
    collector = start(t, topic)
    send(t, collector, range(first, first + 10))

    def numbers():
        return {int(json.loads(message["value"])["row_key"][4:]) for message in topic.read()}
    t.until(lambda: not senders.answered - numbers(), "everything that was answered 202", 60)
    stop(t, collector)


@slow
def test_full_spool(t):
    """What is kept has a limit: then senders are told 503, until Kafka has taken some of it."""
    topic, dice, number = new_topic(t), random.Random(4), 0
    topic.cluster.stack.stop("kafka")
    try:
        collector = start(t, topic, "--spool", "1m")
        while True:
            many = [keyed(one, city="%0200x" % dice.getrandbits(800))
                    for one in range(number, number + 500)]
            answer = collector.ask(many)
            if answer.status != 202:
                break
            number += 500
            t.true(number < 100000, "the spool does not become full")
        refused(t, answer, 503)
        t.true(number > 2000, "it is full after %d events" % number)
        t.equal(collector.get("/readyz").status, 503, "readyz")
    finally:
        topic.cluster.stack.start("kafka")
    t.until(lambda: collector.ask(keyed(number)).status == 202,
            "events are taken again", 60, collector.process)
    wanted = ["key-%d" % one for one in range(number + 1)]
    got = [json.loads(message["value"])["row_key"] for message in read(t, topic, number + 1)]
    t.equal(sorted(got), sorted(wanted), "messages")
    stop(t, collector)
