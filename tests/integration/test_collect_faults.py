"""`clickmill collect` with faults: an event that was answered 202 is never lost, whatever
happens."""

import json
import random
import resource
import signal
import socket
import time

from collect_support import (Closed, Collector, Senders, event, good, keyed, refused, request, whole)
from harness import BUSY, INPUT, IO, OK, USAGE, patient, slow
from test_collect_http import certificate
from test_run import free_port


def ready(collector):
    return collector.get("/readyz").status


# ---- ends


@slow
def test_killed_while_it_answers(t):
    """kill -9 at any moment: every event that was answered 202 is stored."""
    chance, first, answered = random.Random(7), 0, set()
    for number in range(8):
        collector = Collector(t, check=False)
        senders = Senders(collector, count=12, batch=1 + number % 3, first=first)
        wanted = chance.randrange(100, 3000)
        t.until(lambda: len(senders.answered) > wanted or not senders, "some answers",
                process=collector.process)
        time.sleep(chance.uniform(0, 0.02))
        collector.process.kill()
        senders.join()
        t.true(not senders.others, "other answers than 202: %s" % senders.others[:1])
        answered |= senders.answered
        senders.answered = answered
        first = max(senders.next, first)
        senders.check(t)
        t.check_integrity()
    account = t.process("all")
    t.equal(account["duplicates"], 0, "duplicates")
    t.true(account["events"] >= len(answered), "fewer events than answers")


@patient
def test_stopped_while_it_answers(t):
    """SIGTERM: each request in progress is stored and answered, or not answered at all."""
    for number, kind in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
        data = "data%d" % number
        collector = Collector(t, data=data, check=False)
        senders = Senders(collector, count=16, batch=1 + 4 * number)
        t.until(lambda: len(senders.answered) > 300, "some answers", process=collector.process)
        collector.process.signal(kind)
        result = collector.process.wait(OK, timeout=20)
        senders.join()
        for answer in senders.others:
            t.equal(answer.status, 503, "another answer than 202 %s" % answer)
        there = senders.check(t, data)
        account = t.balanced(json.loads(result.out))
        t.equal(account["accepted"], len(there), "accepted by the account, and stored")
        t.true(len(there) - len(senders.answered) <= 16 * senders.batch, "stored and not answered")


def test_stop_waits_for_no_one(t):
    """Idle connections, and those in the middle of a request, do not delay the end."""
    collector = Collector(t)
    held = [collector.connect() for _ in range(30)]
    for number, connection in enumerate(held[:10]):
        good(t, collector.count(connection.ask(keyed(number))))
    for connection in held[10:20]:
        connection.send(request(keyed(99))[:-5])
    with t.pace() as pace:
        events = collector.stop()
    pace.check(pace.took, 8, "to end")
    t.equal(events, [whole(keyed(number)) for number in range(10)], "events")
    for connection in held:
        t.true(connection.ended(), "a connection is left open")
        connection.close()


def test_an_answer_is_not_forgotten_at_the_end(t):
    """Requests that were complete before SIGTERM are stored and answered, or get 503."""
    collector = Collector(t)
    held = [collector.connect() for _ in range(50)]
    for number, connection in enumerate(held):
        connection.send(request(keyed(number)))
    # The kernel has all of them; the collector may have read any part of them.
    collector.process.signal(signal.SIGTERM)
    answered = set()
    for number, connection in enumerate(held):
        try:
            answer = collector.count(connection.answer())
        except Closed:
            continue
        t.true(answer.status in (202, 503), str(answer))
        if answer.status == 202:
            answered.add("key-%d" % number)
    there = {one["row_key"] for one in collector.stop()}
    t.equal(there, answered, "what is stored, and what was answered 202")


def test_two_signals_at_once(t):
    collector = Collector(t)
    good(t, collector.ask(keyed(1)))
    collector.process.signal(signal.SIGTERM)
    collector.process.signal(signal.SIGINT)
    t.equal(len(collector.stop()), 1, "events")


# ---- no room


def test_full_queue(t):
    """The events that wait for the disk are limited. A writer that holds the store simulates a slow
    disk."""
    collector = Collector(t, "--queue", "4k", "--max-body", "1k")
    good(t, collector.ask(keyed(0)))
    database = t.database()
    database.execute("BEGIN IMMEDIATE")
    held = [collector.connect() for _ in range(100)]
    for number, connection in enumerate(held, 1):
        connection.send(request(keyed(number)))
    waiting, kept = [], {"key-0"}
    try:
        for number, connection in enumerate(held, 1):
            connection.socket.settimeout(0.5 if not waiting else 0.05)
            try:
                answer = connection.answer()
            except TimeoutError:
                waiting.append((number, connection))
                continue
            refused(t, answer, 503)
            t.true(int(answer.header("Retry-After")) >= 1, str(answer))
    finally:
        database.rollback()
        database.close()
    t.true(1 <= len(waiting) <= 60, "%d of 100 requests wait" % len(waiting))
    for number, connection in waiting:
        connection.socket.settimeout(30)
        answer = collector.count(connection.answer())
        t.true(answer.status in (202, 503), str(answer))
        if answer.status == 202:
            kept.add("key-%d" % number)
    for connection in held:
        connection.close()
    good(t, collector.ask(keyed(101)))
    t.equal({one["row_key"] for one in collector.stop()}, kept | {"key-101"}, "events")


def test_a_body_larger_than_the_queue(t):
    """A single body of the largest size always has room."""
    collector = Collector(t, "--queue", "4k", "--max-body", "1m")
    good(t, collector.ask([keyed(number) for number in range(1000)]), 1000)
    good(t, collector.ask(keyed(2000)))
    t.equal(len(collector.stop()), 1001, "events")


def limit_files(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return limit


def test_full_disk(t):
    full_disk(t, "collect")


@patient
def test_full_disk_in_run(t):
    full_disk(t, "run", "--no-demo")


def full_disk(t, *command):
    """The file size limit stands in for a full disk. No sender gets 202 for what is not stored, it
    stays up, and goes on when there is room."""
    size = 1024 * 1024
    collector = Collector(t, "--geoip", "none", preexec=limit_files(size), check=False,
                          command=command)
    dice, answered, number = random.Random(1), set(), 0
    # Texts that cannot be compressed.
    while True:
        numbers = range(number, number + 100)
        number += 100
        many = [dict(keyed(one), city="%0200x" % dice.getrandbits(800)) for one in numbers]
        answer = collector.ask(many)
        if answer.status != 202:
            break
        answered |= {one["row_key"] for one in many}
        t.true(number < 100000, "the disk does not become full")
    refused(t, answer, 503)
    t.true(int(answer.header("Retry-After")) >= 1, str(answer))
    t.equal(collector.get("/healthz").status, 200, "healthz")
    t.equal(ready(collector), 503, "readyz")
    t.true(answered <= {one["row_key"] for one in collector.events()}, "an answered event is lost")
    _, hard = resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def again():
        answer = collector.ask(keyed(number))
        return answer.status == 202
    t.until(again, "events are taken again", process=collector.process)
    t.equal(ready(collector), 200, "readyz")
    many = [keyed(number + one) for one in range(1, 500)]
    good(t, collector.ask(many), len(many))
    answered |= {"key-%d" % (number + one) for one in range(500)}
    there = {one["row_key"] for one in collector.stop()}
    t.equal(answered - there, set(), "answered events that are lost")
    # A sender that gets 503 sends it again, and may have given it no key.
    t.equal(there - answered, set(), "events that were refused, and are there")
    t.check_integrity()


@patient
def test_a_lock_that_lasts(t):
    """Another program holds the database for longer than the collector waits."""
    collector = Collector(t, check=False)
    good(t, collector.ask(keyed(0)))
    database = t.database()
    database.execute("BEGIN IMMEDIATE")
    refused(t, collector.ask(keyed(1)), 503)
    t.equal(ready(collector), 503, "readyz")
    database.rollback()
    database.close()
    t.until(lambda: ready(collector) == 200, "it is ready, though no request has come", 20,
            collector.process)
    good(t, collector.ask(keyed(2)))
    t.equal([one["row_key"] for one in collector.stop()], ["key-0", "key-2"], "events")


def test_few_files(t):
    """When the system allows few open files, connections leave some for the answers."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
    collector = Collector(t, "--no-demo", "--every", "100ms", command=("run",), preexec=few)
    good(t, collector.ask(keyed(0)))
    held = [collector.connect() for _ in range(140)]
    for number, connection in enumerate(held, 1):
        connection.send(request(keyed(number)))
    for connection in held:
        good(t, collector.count(connection.answer()))
    t.until(lambda: held[0].ask(method="GET", target="/api/summary").json["freshness"]["events"] == 141,
            "the answers", process=collector.process)
    silent = [collector.connect() for _ in range(200)]  # these wait
    t.equal(held[0].ask(method="GET", target="/api/pages").status, 200, "answers")
    good(t, collector.count(held[0].ask(keyed(500))))
    for connection in held + silent:
        connection.close()
    t.equal(len(collector.stop()), 142, "events")


def test_nothing_is_stored_that_cannot_be_answered(t):
    """When thousands are connected, each has a small buffer: a head that leaves no room for that of
    the answer is refused before anything is stored."""
    collector = Collector(t)
    held = [collector.connect() for _ in range(130)]
    for number, connection in enumerate(held):
        good(t, collector.count(connection.ask(keyed(number))))
    answers, number = [], len(held)
    for size in range(100, 4000, 100):
        with collector.connect() as connection:
            good(t, collector.count(connection.ask(keyed(number))))
            try:
                answer = connection.ask(keyed(number + 1), ("Cookie", "a=" + "x" * size))
                answers.append(collector.count(answer).status)
            except Closed:  # not even this answer had room
                answers.append(431)
            number += 2
    t.equal(set(answers), {202, 431}, "answers")
    t.equal(answers, sorted(answers), "from some size on it is too much")
    t.true(answers.count(202) >= 5, "only %d are taken" % answers.count(202))
    for connection in held:
        connection.close()
    collector.stop()


@patient
def test_disk_full_now_and_then(t):
    """With many senders at once, whose events are stored in groups."""
    collector = Collector(t, "--geoip", "none", preexec=limit_files(resource.RLIM_INFINITY),
                          check=False)
    senders, pid = Senders(collector, count=16, batch=2, again=True), collector.process.pid

    def limit(size):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for _ in range(6):
        answered, told = len(senders.answered), len(senders.refused)
        t.until(lambda: len(senders.answered) > answered + 100, "answers", process=collector.process)
        limit(4096)
        t.until(lambda: len(senders.refused) > told + 50, "refusals", process=collector.process)
        limit(resource.RLIM_INFINITY)
    answered = len(senders.answered)
    t.until(lambda: len(senders.answered) > answered, "answers", process=collector.process)
    senders.end()
    account = t.balanced(json.loads(collector.process.stop(OK).out))
    for answer in senders.others:
        refused(t, answer, 503)
    t.equal(senders.check(t), senders.answered, "events")
    t.equal(account["accepted"], len(senders.answered), "accepted by the account")
    t.check_integrity()


# ---- wrong settings


def fails(t, check, *words, options=(), listen=None):
    result = t.clickmill("collect", "--listen", listen or "127.0.0.1:%d" % free_port(), *options,
                         check=check, timeout=20)
    t.says(result, *words)
    t.equal(result.out, "", "stdout")


def test_where_it_cannot_listen(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fails(t, BUSY, "port %d" % port, "in use", "--listen", listen="127.0.0.1:%d" % port)
    for address in ("127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "nowhere:1", "::1:80",
                    "http://127.0.0.1:80"):
        fails(t, USAGE, "--listen", listen=address)


def test_data_directory_that_cannot_be(t):
    t.write("file", "")
    fails(t, IO, "file", "--data", options=("--data", "file"))
    collector = Collector(t)
    fails(t, BUSY, "data is in use by process %d;" % collector.process.pid, "--data",
          options=("--data", "data"))
    good(t, collector.ask(keyed(1)))
    collector.stop()


def test_files_that_cannot_be_read(t):
    t.write("text", "no database")
    fails(t, INPUT, "none.mmdb", options=("--geoip", "none.mmdb"))
    fails(t, INPUT, "text", options=("--geoip", "text"))
    cert, key = certificate(t)
    other_cert, other_key = certificate(t, "other")
    for options, word in [((cert, "none.key"), "none.key"), (("none.crt", key), "none.crt"),
                          ((cert, t.path("text")), "key"), ((t.path("text"), key), "certificate"),
                          ((cert, other_key), "key"), ((other_cert, key), "key")]:
        fails(t, USAGE, word, options=("--tls-cert", options[0], "--tls-key", options[1]))
    fails(t, USAGE, "--tls-key", options=("--tls-cert", cert))
    fails(t, USAGE, "--tls-cert", options=("--tls-key", key))


WRONG = [
    ("--sites", ["https://", "shop.example/path", "a b", "*.", "*.*.example", "sh*p.example",
                 "https://shop.example:x", "https://shop.example:99999", "user@shop.example",
                 "ftp//x"]),
    ("--proxies", ["10.0.0.0/33", "10.0.0", "proxy.example", "2001:db8::/129", "10.0.0.1/",
                   "10.0.0.1/-1", "10.0.0.1,x"]),
    ("--token", ["web", "=secret", "web=", "web=a b"]), ("--visitor", ["ip", ""]),
    ("--max-body", ["0", "-1", "much", "1e9g"]), ("--max-connections", ["0", "-5", "many"]),
    ("--idle", ["0", "soon", "-1s"]), ("--rate-limit", ["-1", "fast"]), ("--queue", ["0", "x"]),
    ("--sink", ["none"]), ("--bots", ["some"]), ("--url-query", ["some"])]


def test_values_that_cannot_be(t):
    taken = []
    for option, value in [(option, value) for option, values in WRONG for value in values]:
        process = t.start("collect", "--listen", "127.0.0.1:%d" % free_port(),
                          "%s=%s" % (option, value))
        t.until(lambda: not process.running() or "://127" in process.err, "an end")
        if process.running():
            taken.append("%s=%s" % (option, value))
            process.kill()
            continue
        result = process.wait(USAGE)
        t.says(result, "")
        said = result.err.replace("collect.", "--").replace("_", "-").replace("tokens", "token")
        t.true(option in said, "%s is not named\n%s" % (option, result))
    t.equal(taken, [], "wrong values that were taken")
    fails(t, USAGE, '"extra"', options=("extra",))


def test_lists_that_may_be(t):
    """Spaces and empty entries in lists are no error."""
    collector = Collector(t, "--sites", " shop.example , *.shop.example,", "--proxies",
                          " 10.0.0.0/8 , ::1,2001:db8::/32, 127.0.0.0/8 ")
    good(t, collector.page(event(), origin="https://www.shop.example"))
    t.equal(len(collector.stop()), 1, "events")
