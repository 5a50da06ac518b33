"""`clickmill collect --sink kafka` on real Kafka: what is acknowledged, what is kept while it is not reachable,
and that it arrives once, in order, before what comes later."""

import json
import random
import signal
import time

import kafka_support
from collect_support import (FIREFOX, SITE, Collector, Senders, bad, event, good, keyed, refused,
                             whole)
from harness import MISSING, OK, slow
from kafka_support import kafka
from test_collect_senders import on_one_day
from test_run import free_port

WAY = ("collected", "resumed", "sent", "dead", "spooled")  # of events to Kafka, in an account
FIELDS = ("row_key", "user_id", "timestamp", "url", "country", "city", "browser", "os", "device")


def new_topic(t):
    """A topic of the test's own. A broker that was down may take a while to make one."""
    cluster = kafka()

    def make():
        try:
            return cluster.topic()
        except kafka_support.UsageError:
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


def ended(t, collector, left=0, resumed=0, dead=0):
    """Ends it. Its account agrees with its answers; of these events and of those that an earlier
    run had left in the spool (None: any number) so many are left there, and so many became dead
    letters."""
    result = collector.process.wait(MISSING if left else OK, timeout=60)
    account = t.balanced(json.loads(result.out))
    t.equal([account[name] for name in ("accepted", "rejected", "skipped")],
            [collector.accepted, collector.rejected, collector.skipped], "account")
    resumed = account["resumed"] if resumed is None else resumed
    t.equal([account.get(name, 0) for name in WAY],
            [collector.accepted, resumed, resumed + collector.accepted - dead - left, dead, left],
            "the way of events to Kafka")
    if left:
        t.says(result, "%d events are left in the spool" % left, "sends them")
    return result


def stop(t, collector, **counts):
    """SIGTERM, and the same."""
    collector.process.signal(signal.SIGTERM)
    return ended(t, collector, **counts)


def read(t, topic, count, timeout=60):
    """The messages in the order of their partitions, as soon as there are so many."""
    t.until(lambda: topic.count() >= count, "%d messages in the topic" % count, timeout)
    return sorted(topic.read(), key=lambda one: (one["partition"], one["offset"]))


def once_and_in_order(t, topic, numbers):
    """Exactly these events, byte for byte, each once, and those of a user in the order of their
    numbers."""
    wanted, users = {value(keyed(number)): number for number in numbers}, {}
    messages = read(t, topic, len(wanted))
    for message in messages:
        t.true(message["value"] in wanted, "a message that was not sent: %r" % message["value"])
        number = wanted[message["value"]]
        t.equal(message["key"], b"user-%d" % (number % 7), "key of event %d" % number)
        users.setdefault(number % 7, []).append(number)
    for user, got in users.items():
        t.equal(got, [number for number in sorted(numbers) if number % 7 == user],
                "events of user %d in the topic" % user)
    t.equal(len(messages), len(wanted), "messages")


def away(collector):
    """Whether /readyz says that Kafka is not reachable; its JSON, then."""
    answer = collector.get("/readyz")
    return "kafka" in answer.body.decode().lower() and answer.json


def test_nobody_answers(t):
    """No broker answers from the start: events are kept, and it says so."""
    collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks")
    send(t, collector, range(20))
    t.true(away(collector), "readyz says nothing")
    with t.pace() as pace:
        result = stop(t, collector, left=20)
    pace.check(pace.took, 15, "to end")
    t.true("waiting up to 5 s for Kafka to take 20 events from the spool; Ctrl-C" in result.err, result)
    with t.pace() as pace:  # for a person, and without a drain
        collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks",
                              "--drain", "0s")
        send(t, collector, range(20, 25))
        stop(t, collector, left=25, resumed=20)
    pace.check(pace.took, 12, "to start and end")
    process = t.start("collect", "--listen", collector.address + ":0", "--data", "data", "--sink",
                      "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks", "--drain", "0s")
    t.until(lambda: "taking events on" in process.err, "it starts", process=process)
    result = process.stop(MISSING)
    t.true("read 0 = accepted 0 + rejected 0 + skipped 0; collected 0 + resumed from the spool 25 = sent to Kafka 0 "
           "+ spooled 25\n" in result.err, result)


def test_second_signal_ends_the_wait(t):
    """The program waits at its end for Kafka as long as --drain says, and a second signal ends the
    wait at once: with the same account as after the time."""
    collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks",
                          "--drain", "10m")
    send(t, collector, range(20))
    collector.process.signal(signal.SIGTERM)
    t.until(lambda: "waiting up to 600 s for Kafka to take 20 events" in collector.process.err, "it waits", 30,
            collector.process)
    time.sleep(1.1)  # two signals in a shorter time are one
    t.true(collector.process.running(), "it has ended")
    with t.pace() as pace:
        stop(t, collector, left=20)
    pace.check(pace.took, 5, "to end")


@slow
def test_run_sends_them_to_the_topic(t):
    """With `run`, too, events go to the topic, and from there into the answers, each once."""
    topic = new_topic(t)
    collector = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, command=("run",))
    send(t, collector, range(20))
    good(t, collector.ask([keyed(number) for number in range(20, 300)]), 280)
    bad(t, collector.ask([keyed(300), event(url=...), keyed(301)]), [(2, "url is missing or empty")],
        2)
    topic.send([(b"other", value(keyed(400)))])  # another producer's
    t.until(lambda: collector.get("/api/summary").json["freshness"]["events"] == 303,
            "the answers have them", 30, collector.process)
    t.equal(sorted(message["value"] for message in topic.read()),
            sorted(value(keyed(number)) for number in (*range(302), 400)), "messages")
    result = collector.process.stop(OK, timeout=60)
    account = t.balanced(json.loads(result.out))
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped", *WAY)],
            [304, 303, 1, 0, 302, 0, 302, 0, 0], "account")


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
    """Events before, while, and after the broker is down."""
    topic = new_topic(t)
    collector = start(t, topic)
    send(t, collector, range(100))
    leave(topic.cluster.stack)
    try:
        with t.pace() as pace:
            send(t, collector, range(100, 400))
        pace.check(pace.took, 60, "300 answers")
        t.true(away(collector), "readyz does not say that Kafka is not reachable")
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
        t.true(away(collector), "readyz does not say that Kafka is not reachable")
        stop(t, collector, left=100)  # what is kept waits for the next one
        collector = start(t, topic)
        send(t, collector, range(100, 200))
    finally:
        stack.start("kafka")
    send(t, collector, range(200, 300))
    once_and_in_order(t, topic, range(300))
    stop(t, collector, resumed=100)


@slow
def test_back_while_it_waits(t):
    """A broker that is started while the program waits for it at its end gets everything, once and
    in order."""
    topic = new_topic(t)
    stack = topic.cluster.stack
    collector = start(t, topic, "--drain", "90s")
    send(t, collector, range(50))
    stack.stop("kafka")
    try:
        send(t, collector, range(50, 100))
        collector.process.signal(signal.SIGTERM)
        t.until(lambda: " for Kafka to take 50 events" in collector.process.err, "it waits", 30,
                collector.process)
    finally:
        stack.start("kafka")
    ended(t, collector)
    once_and_in_order(t, topic, range(100))
    collector = start(t, topic, "--drain", "90s")
    stack.pause("kafka")
    try:
        send(t, collector, range(100, 150))
        collector.process.signal(signal.SIGTERM)
        t.until(lambda: " for Kafka to take 50 events" in collector.process.err, "it waits", 30,
                collector.process)
    finally:
        stack.resume("kafka")
    ended(t, collector)
    once_and_in_order(t, topic, range(150))


@slow
def test_killed_while_kafka_is_away(t):
    """kill -9 again and again: every event that was answered 202 arrives when Kafka answers."""
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
    stop(t, collector, resumed=None)
    everything = topic.read()
    for message in everything:
        number = int(json.loads(message["value"])["row_key"][4:])
        t.equal(message["value"], value(keyed(number)), "event %d" % number)
    t.true(len(everything) < first + 10 + 4000, "%d messages of %d events" % (len(everything), first))


@slow
def test_stopped_while_kafka_hangs(t):
    """SIGTERM during requests: each is answered 202 and kept, or not answered 202."""
    topic = new_topic(t)
    collector = start(t, topic, check=False)
    topic.cluster.stack.pause("kafka")
    try:
        senders = Senders(collector, count=8)
        t.until(lambda: len(senders.answered) > 200, "some answers", 60, collector.process)
        with t.pace() as pace:
            collector.process.signal(signal.SIGTERM)
            account = t.balanced(json.loads(collector.process.wait(MISSING, 60).out))
        pace.check(pace.took, 20, "to end")
        senders.join()
        t.true(account["accepted"] >= len(senders.answered), "accepted by the account")
        t.equal(account["accepted"], account["sent"] + account["spooled"], "the way to Kafka")
    finally:
        topic.cluster.stack.resume("kafka")
    first = senders.next
    collector = start(t, topic)
    send(t, collector, range(first, first + 10))

    def numbers():
        return {int(json.loads(message["value"])["row_key"][4:]) for message in topic.read()}
    t.until(lambda: not senders.answered - numbers(), "everything that was answered 202", 60)
    stop(t, collector, resumed=account["spooled"])


@slow
def test_full_spool(t):
    """The spool has a limit: then senders get 503, until Kafka has taken some of it."""
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


def test_run_waits_for_kafka(t):
    """`run` waits for a Kafka that does not answer, says so as `ingest` does, and ends at
    SIGTERM."""
    process = t.start("run", "--listen", "127.0.0.1:%d" % free_port(), "--no-demo", "--data", "data",
                      "--sink", "kafka", "--brokers", "127.0.0.1:1", "--kafka-timeout", "1s")
    t.until(lambda: process.err.count("no Kafka broker at 127.0.0.1:1 answers") > 1,
            "it says what it waits for, again and again", 30, process)
    t.true("; trying again\n" in process.err, process.err)
    with t.pace() as pace:
        process.stop(OK)
    pace.check(pace.took, 10, "to end")


def last_account(t, process, status=OK):
    """The account of a `run` after SIGTERM, and its messages."""
    result = process.wait(status, timeout=90)
    account = t.balanced(json.loads(result.out))
    if "collected" in account:
        t.equal(account["collected"] + account["resumed"],
                account["sent"] + account["dead"] + account["spooled"], "the way of %s" % account)
    return account, result


@slow
def test_run_reads_its_own_last_events(t):
    """All that is in the topic when `run` is ended is in its answers: its own traffic, and events
    that came over HTTP."""
    topic = new_topic(t)
    run = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, command=("run",))
    good(t, run.ask([keyed(number) for number in range(700)]), 700)
    run.process.signal(signal.SIGINT)  # before it has its partitions
    account, _ = last_account(t, run.process)
    t.equal([account[name] for name in ("accepted", *WAY)], [700, 700, 0, 700, 0, 0], "account")
    t.equal(account["answers"]["events"], 700, "events of the answers")
    topic = new_topic(t)
    process = t.start("run", "--listen", "127.0.0.1:%d" % free_port(), "--data", "made", "--json",
                      "--sink", "kafka", *topic.options, "--rate", 5000, "--users", 500)
    t.until(lambda: topic.count() > 5000, "traffic", 60, process)
    process.signal(signal.SIGINT)
    account, _ = last_account(t, process)
    t.equal(account["accepted"], topic.count(), "accepted, of the messages in the topic")


LARGE = (17, 60, 61)  # of a hundred


def small_topic(t):
    """A topic that takes messages and batches of at most 900 bytes."""
    return kafka().topic(partitions=1, configuration={"max.message.bytes": "900"})


def with_large(numbers=range(100)):
    """Events, of which some are larger than that, even compressed."""
    dice = random.Random(5)
    return [keyed(number, url="https://shop.example/%01000x" % dice.getrandbits(4000))
            if number in LARGE else keyed(number) for number in numbers]


def those_refused(t, topic, entries, data="data"):
    """Each event is in the topic once, or, if it is too large, among the dead letters."""
    wanted = sorted(value(one) for one in entries if len(value(one)) < 600)
    got = sorted(message["value"] for message in read(t, topic, len(wanted)))
    t.equal(got, wanted, "messages")
    lines = t.clickmill("dead", "list", "--data", data, "--json").out.splitlines()
    letters = [json.loads(line) for line in lines]
    t.equal([letter["payload"].encode() for letter in letters],
            [value(one) for one in entries if len(value(one)) > 600], "dead letters")
    for letter in letters:
        t.equal(letter["origin"], topic.name, "origin")
        t.true(letter["reason"].startswith("Kafka refuses it for topic %s (" % topic.name) and
               "Broker: Message size too large; raise max.message.bytes of the topic" in
               letter["reason"], letter["reason"])


@slow
def test_refused_for_good(t):
    """An event that Kafka never takes becomes a dead letter, and the other events arrive: directly,
    and from the spool that an earlier process has left."""
    topic, entries = small_topic(t), with_large()
    collector = start(t, topic)
    good(t, collector.ask(entries), 100)
    result = stop(t, collector, dead=3)
    those_refused(t, topic, entries)
    t.true("Kafka refuses events: they are dead letters now" in result.err, result)
    topic = small_topic(t)
    collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", "--topic", "clicks",
                          "--drain", "0s", data="kept")
    good(t, collector.ask(entries), 100)
    stop(t, collector, left=100)
    process = t.start("collect", "--listen", "127.0.0.1:%d" % free_port(), "--data", "kept", "--sink",
                      "kafka", *topic.options)
    read(t, topic, 97)
    result = process.stop(OK)
    t.true("read 0 = accepted 0 + rejected 0 + skipped 0; collected 0 + resumed from the spool 100 = "
           "sent to Kafka 97 "
           "+ dead letters 3 + spooled 0\nevents that Kafka refuses are kept: `clickmill dead list` "
           "shows them\n" in result.err, result)
    those_refused(t, topic, entries, "kept")


@slow
def test_refused_while_another_holds_the_directory(t):
    """The letters go through the process that holds the data directory."""
    topic, entries = small_topic(t), with_large()
    worker = t.start("ingest", *topic.options, "--data", "data", "--json")
    t.until(lambda: "lag" in worker.err, "the worker reads", 30, worker)
    collector = start(t, topic)
    good(t, collector.ask(entries), 100)
    stop(t, collector, dead=3)
    those_refused(t, topic, entries)
    t.equal(json.loads(worker.stop(OK, 60).out)["accepted"], 97, "events that were read")


@slow
def test_refused_beside_the_spool(t):
    """The same rule without a spool: `import`, `produce` and `run`."""
    topic, entries = small_topic(t), with_large()
    t.write("events.jsonl", "".join(json.dumps(one) + "\n" for one in map(whole, entries)))
    account = t.clickmill("import", "--sink", "kafka", *topic.options, "--json", "events.jsonl").json
    t.equal([account["accepted"], account["rejected"], account["kafka"]["acknowledged"],
             account["kafka"]["refused"], account["kafka"]["failed"], account["kafka"]["waiting"]],
            [100, 0, 97, 3, 0, 0], "account of import")
    those_refused(t, topic, entries)
    tiny = kafka().topic(partitions=1, configuration={"max.message.bytes": "100"})
    result = t.clickmill("produce", "--sink", "kafka", *tiny.options, "--count", 50, "--data", "none")
    t.true("Kafka has acknowledged 0 events, refuses 50 (dead letters now: `clickmill dead list` shows "
           "them)\n" in result.err, result)
    t.equal(len(t.clickmill("dead", "list", "--data", "none").out.splitlines()), 50, "letters")
    topic = small_topic(t)
    run = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, data="ran", command=("run",))
    good(t, run.ask(entries), 100)
    t.until(lambda: run.get("/api/summary").json["freshness"].get("events") == 97, "answers", 60,
            run.process)
    good(t, run.ask(with_large(range(17, 18))))  # just before it ends
    run.process.signal(signal.SIGTERM)
    account, _ = last_account(t, run.process)
    t.equal([account[name] for name in ("accepted", *WAY)], [97, 101, 0, 97, 4, 0],
            "account of run")
    those_refused(t, topic, entries + with_large(range(17, 18)), "ran")


@slow
def test_run_says_that_kafka_is_away(t):
    """The same later; and events that it can no longer send are counted, and sent by the next
    run."""
    topic = new_topic(t)
    stack = topic.cluster.stack
    options = ("--no-demo", "--sink", "kafka", *topic.options)
    run = Collector(t, *options, command=("run",))
    good(t, run.ask([keyed(number) for number in range(100)]), 100)
    t.until(lambda: run.get("/api/summary").json["freshness"]["events"] == 100, "answers", 60,
            run.process)
    stack.stop("kafka")
    try:
        t.until(lambda: "; waiting for Kafka: " in run.process.err, "it says what it waits for", 60,
                run.process)
        good(t, run.ask([keyed(number) for number in range(100, 150)]), 50)
        run.process.signal(signal.SIGTERM)
        account, result = last_account(t, run.process, MISSING)
    finally:
        stack.start("kafka")
    t.equal([account[name] for name in ("accepted", *WAY)], [100, 150, 0, 100, 0, 50], "account")
    t.says(result, "50 events are left in the spool")
    run = Collector(t, *options, command=("run",))
    t.until(lambda: run.get("/api/summary").json["freshness"].get("events") == 150, "answers", 90,
            run.process)
    run.process.signal(signal.SIGTERM)
    account, _ = last_account(t, run.process)
    t.equal([account[name] for name in ("accepted", *WAY)], [50, 0, 50, 50, 0, 0],
            "account of the next one")
    once_and_in_order(t, topic, range(150))


@slow
def test_run_beside_another_consumer(t):
    """It does not wait for events in partitions that another consumer of the group reads."""
    topic = new_topic(t)
    worker = t.start("ingest", *topic.options, "--data", "other", "--json")
    run = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, command=("run",))
    t.until(lambda: "lag" in worker.err, "the worker reads", 30, worker)
    good(t, run.ask([keyed(number) for number in range(70)]), 70)

    def both():
        good(t, run.ask([keyed(1000 + number) for number in range(70)]), 70)
        return run.get("/api/summary").json["freshness"].get("events", 0) > 0
    t.until(both, "both have partitions", 60, run.process)
    run.process.signal(signal.SIGTERM)
    with t.pace() as pace:
        account, result = last_account(t, run.process)
    pace.check(pace.took, 20, "to end")
    t.true("another consumer of group" in result.err, result)
    t.true(0 < account["accepted"] < account["sent"], account)
    got = json.loads(worker.stop(OK, 60).out)
    t.equal(got["accepted"] + account["accepted"], account["sent"], "of both")


@slow
def test_run_without_a_partition(t):
    """Another consumer has all partitions: it does not wait, and reports nothing as unread."""
    topic = kafka().topic(partitions=1)
    # The consumer with the first name gets the only partition.
    worker = t.start("ingest", *topic.options, "--data", "other", "--json", "--kafka-property",
                     "client.id=a")
    t.until(lambda: ", 1 partitions, lag" in worker.err, "the worker reads", 60, worker)
    run = Collector(t, "--no-demo", "--sink", "kafka", *topic.options, "--log-level", "info",
                    "--kafka-property", "client.id=b", command=("run",))
    t.until(lambda: 'msg="rebalance" taken=0' in run.process.err, "it has joined", 60, run.process)
    good(t, run.ask([keyed(number) for number in range(70)]), 70)
    run.process.signal(signal.SIGTERM)
    with t.pace() as pace:
        account, result = last_account(t, run.process)
    pace.check(pace.took, 20, "to end")
    t.true("another consumer of group" in result.err, result)
    t.true("could not be read" not in result.err, result)
    t.equal([account[name] for name in ("accepted", *WAY)], [0, 70, 0, 70, 0, 0], "account")
    t.equal(json.loads(worker.stop(OK, 60).out)["accepted"], 70, "of the other")


@slow
def test_run_that_ends_before_it_joins(t):
    """Unread events are counted from the offsets that the data directory has of each partition; a
    new directory does not know where its reading begins."""
    topic = kafka().topic(partitions=1)
    options = ("--no-demo", "--sink", "kafka", *topic.options)
    run = Collector(t, *options, command=("run",))
    good(t, run.ask([keyed(number) for number in range(300)]), 300)
    run.process.signal(signal.SIGINT)
    account, result = last_account(t, run.process)
    t.true("could not be read" not in result.err, result)
    t.equal(account["accepted"], 300, "events that were read")
    worker = t.start("ingest", *topic.options, "--data", "other", "--resume", "group")
    t.until(lambda: ", 1 partitions, lag" in worker.err, "the worker reads", 60, worker)
    worker.signal(signal.SIGSTOP)  # the group waits for it before it gives partitions to others
    try:
        for data, first, words in (("data", 300, "50 messages"), ("fresh", 350, "at least 50 messages")):
            run = Collector(t, *options, data=data, command=("run",))
            good(t, run.ask([keyed(first + number) for number in range(50)]), 50)
            run.process.signal(signal.SIGINT)
            time.sleep(1.1)  # signals closer to each other are one
            run.process.signal(signal.SIGINT)
            account, result = last_account(t, run.process)
            t.equal([account[name] for name in ("accepted", *WAY)], [0, 50, 0, 50, 0, 0], "account")
            t.true("\n%s of topic %s, up to the last that this run sent, could not be read (a second "
                   "signal ended that): " % (words, topic.name) in result.err, result)
    finally:
        worker.signal(signal.SIGCONT)
    worker.stop(OK, 60)
