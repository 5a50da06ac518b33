"""`clickmill collect` under attack: while one sender attacks, every correct POST of the others is
answered 202 within 2 s."""

import contextlib
import gzip
import json
import random
import socket
import threading
import time

from collect_support import (FIREFOX, SITE, Closed, Collector, bad, event, good, keyed, refused,
                             request, whole)
from harness import OK, patient
from test_collect_http import certificate

LIMIT = 2        # seconds in which every other POST is answered
STRANGER = "127.0.0.2"
FORWARDED = "X-Forwarded-For"
PROXIES = ("--proxies", "127.0.0.1")
LONG_AGENT = FIREFOX + " " + "Extension/1.0 " * 140  # 2 KB


class Others:
    """Clients that send one event after the other meanwhile, each on a connection of its own."""

    def __init__(self, collector, sources=(None,), rest=0.05):
        self.collector, self.rest = collector, rest
        self.worst, self.wrong, self.answered, self.numbers = 0.0, [], [], iter(range(10 ** 6))
        self.lock, self.over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(source,), daemon=True)
                        for source in sources]
        for thread in self.threads:
            thread.start()

    def run(self, source):
        while not self.over.is_set():
            self.send(source)
            self.over.wait(self.rest)

    def send(self, source):
        with self.lock:
            number = next(self.numbers)
        begin, wrong = time.monotonic(), None
        try:
            with self.collector.connect(source=source) as connection:
                answer = connection.ask(keyed(number))
            if answer.status != 202:
                wrong = str(answer)
        except (OSError, Closed) as reason:
            wrong = repr(reason)
        with self.lock:
            self.worst = max(self.worst, time.monotonic() - begin)
            if wrong is None:
                self.answered.append(number)
            else:
                self.wrong.append("%s from %s" % (wrong, source))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a sender is left without an answer"


@contextlib.contextmanager
def others(t, collector, sources=(None,)):
    """Compares their times with the limit; `pace` reports a machine that is too busy for that."""
    senders = Others(collector, sources)
    with t.pace() as pace:
        yield senders
        senders.end()
    t.equal(senders.wrong[:3], [], "answers to others, %d of which are wrong" % len(senders.wrong))
    t.true(len(senders.answered) >= 3, "only %d others were served" % len(senders.answered))
    print("      longest answer to another sender: %.2f s of %d" % (
        senders.worst, len(senders.answered)), flush=True)
    pace.check(senders.worst, LIMIT, "the slowest answer to another sender")


def cpu_seconds(process):
    with open("/proc/%d/stat" % process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


# ---- expensive requests


@patient
def test_events_of_a_long_agent(t):
    """80,000 events in a body, with one of the longest user agents: it is parsed once."""
    collector, count = Collector(t, "--sites", "*", "--queue", "64m", check=False), 80000
    body = b"[" + b",".join([b'{"url":"/a"}'] * count) + b"]"
    attack = request(body, ("Origin", SITE), ("User-Agent", LONG_AGENT))
    good(t, collector.page(event(), agent=LONG_AGENT))  # patterns are compiled once
    before = cpu_seconds(collector.process)
    with others(t, collector) as senders:
        held = [collector.connect(timeout=120, source=STRANGER) for _ in range(6)]
        for connection in held:
            connection.send(attack)
        answers = [connection.answer() for connection in held]
        seconds = cpu_seconds(collector.process) - before
    taken = [answer for answer in answers if answer.status == 202]
    for answer in answers:
        t.true(answer.status in (202, 503), str(answer))
    for answer in taken:
        good(t, answer, count)
    t.true(taken, "none of the long bodies was taken")
    print("      %.2f s of CPU a body" % (seconds / len(held)), flush=True)
    # It was 61 s a body; one user agent is 1 ms, and an event some microseconds.
    t.true(seconds < 4 * len(held), "%.1f s of CPU for %d bodies" % (seconds, len(held)))
    for connection in held:
        connection.close()
    collector.process.stop(OK)
    stored = collector.events()
    t.equal(len(stored), 1 + len(senders.answered) + count * len(taken), "events")


@patient
def test_long_bodies_of_one_address(t):
    """Many long bodies at once, and then a long one of another client, whose turn is next."""
    collector = Collector(t, check=False)
    body = b"\n".join([b'{"user_id":"a","url":"/b"}'] * 38000)
    attack = request(body, kind=("Content-Type", "application/x-ndjson"))
    with others(t, collector) as senders:
        held = [collector.connect(timeout=120, source=STRANGER) for _ in range(50)]
        for connection in held:
            connection.send(attack)
        with t.pace() as pace, collector.connect() as connection:
            good(t, connection.ask([keyed(500000 + number) for number in range(1000)]), 1000)
        answers = [connection.answer().status for connection in held]
    pace.check(pace.took, LIMIT, "a long body of another sender")
    t.true(set(answers) <= {202, 429, 503} and 202 in answers, "answers %s" % answers)
    for connection in held:
        connection.close()
    collector.process.stop(OK)
    stored = {one["row_key"] for one in collector.events()}
    wanted = {"key-%d" % number for number in senders.answered} | {
        "key-%d" % (500000 + number) for number in range(1000)}
    t.true(wanted <= stored, "%d answered events are lost" % len(wanted - stored))


@patient
def test_a_request_that_is_processed_is_not_idle(t):
    """It waits without delaying others: whether its events wait for the disk, or for room in the
    inbox."""
    collector, count = Collector(t, "--idle", "1s", "--max-body", "8m", "--queue", "8m"), 22000
    bodies = [request([keyed(number * count + one) for one in range(count)]) for number in range(2)]
    database = t.database()
    database.execute("BEGIN IMMEDIATE")  # so that nothing is stored for a while
    held = [collector.connect() for _ in bodies]
    for connection, body in zip(held, bodies):
        connection.send(body)
    time.sleep(2.5)
    database.rollback()
    database.close()
    for connection in held:
        good(t, collector.count(connection.answer()), count)
        connection.close()
    t.equal(len(collector.stop()), 2 * count, "events")


def test_twenty_thousand_tokens(t):
    """They are read in the time that they need, and each event counts."""
    count = 20000
    t.write("clickmill.yaml", "collect:\n  tokens:\n" + "".join(
        "    s%d: token-%d\n" % (number, number) for number in range(count)))
    collector = Collector(t)
    seconds = cpu_seconds(collector.process)
    t.true(seconds < 5, "%.1f s of CPU to start with %d tokens" % (seconds, count))
    for number in (0, 1, count // 2, count - 1):
        good(t, collector.ask(keyed(number), ("Authorization", "Bearer token-%d" % number)))
    refused(t, collector.ask(keyed(0), ("Authorization", "Bearer token-%d" % count)), 401)
    t.equal(len(collector.stop()), 4, "events")


def test_thousands_of_arguments(t):
    """Such a request is refused, or not all of its arguments are read. (The sanitizers see that no
    memory is left.)"""
    collector = Collector(t)
    for path in ("/v1/events", "/healthz"):
        for count in (100, 4000):
            try:
                answer = collector.get(path + "?" + "&".join(["a"] * count))
                t.true(answer.status in (200, 400, 405, 414, 431), str(answer))
            except Closed:  # it has no memory left for an answer
                pass
    good(t, collector.ask(keyed(1)))
    t.equal(len(collector.stop()), 1, "events")


# ---- bodies that do not end


@patient
def test_unfinished_bodies(t):
    """70 of one address, each nearly complete: neither other addresses nor its own complete ones
    are refused."""
    collector = Collector(t, check=False)
    part = request(b"[" + b" " * 999999 + b"]")[:-10]
    with others(t, collector, (None, STRANGER)) as senders:
        held = [collector.connect(source=STRANGER) for _ in range(70)]
        for connection in held:
            connection.socket.settimeout(5)
            with contextlib.suppress(TimeoutError):
                connection.send(part)
        time.sleep(2)
    for connection in held:
        connection.close()
    collector.process.stop(OK)
    t.equal([one["row_key"] for one in collector.events()],
            sorted("key-%d" % number for number in senders.answered), "events")


@patient
def test_a_body_has_its_time(t):
    """Even if it keeps arriving: 408, and its connection is closed. Nothing of it is stored."""
    collector = Collector(t, "--body-timeout", "1s")
    whole_one = request([keyed(1), keyed(2)])
    for cut in (len(whole_one) - 60, whole_one.index(b"\r\n\r\n") + 4):
        with collector.connect() as connection, t.pace() as pace:
            connection.send(whole_one[:cut])
            begin = time.monotonic()
            connection.socket.settimeout(0.05)
            for byte in range(cut, len(whole_one)):
                connection.send(whole_one[byte:byte + 1])
                try:
                    connection.more()
                    break
                except TimeoutError:
                    continue
            refused(t, connection.answer(), 408, "collect.body_timeout")
            took = time.monotonic() - begin
            t.true(took >= 0.9, "it was refused after %.1f s" % took)
        pace.check(took, 3, "until it was refused")
        good(t, collector.ask(keyed(3)))
    t.equal([one["row_key"] for one in collector.stop()], ["key-3"], "events")


def test_a_body_has_its_time_over_tls(t):
    """Over TLS no answer is possible in the middle of a request: the connection is closed."""
    cert, key = certificate(t)
    collector = Collector(t, "--tls-cert", cert, "--tls-key", key, "--body-timeout", "1s", tls=True)
    with collector.connect() as connection:
        connection.send(request(keyed(1))[:-5])
        with t.pace() as pace:
            t.true(connection.ended(), "it stays open")
        pace.check(pace.took, 3, "until it was ended")
    good(t, collector.ask(keyed(2)))
    t.equal(collector.stop(), [whole(keyed(2))], "events")


def test_what_little_unpacks_to(t):
    """A few hundred bytes of gzip may be thousands of events, which are read like others."""
    collector, count = Collector(t), 9000
    body = gzip.compress(b"\n" * 200 + b"\n".join([json.dumps(event(row_key="one")).encode()] * count))
    t.true(len(body) < 16384, "%d bytes" % len(body))
    good(t, collector.ask(body, ("Content-Encoding", "gzip")), count)
    small = gzip.compress(b" " * 200000 + json.dumps(keyed(1)).encode())
    t.true(len(small) < 512, "%d bytes" % len(small))
    good(t, collector.ask(small, ("Content-Encoding", "gzip")))
    t.equal([one["row_key"] for one in collector.stop()], ["key-1", "one"], "events")


# ---- rates


def test_events_and_bytes_of_an_address(t):
    """An address that has sent more than its burst waits; others do not."""
    collector = Collector(t, *PROXIES, "--sites", "*", "--rate-events", "20", "--rate-bytes", "2k")

    def send(address, events):
        return collector.page(events, (FORWARDED, address))
    views = [{"url": SITE + "/a"}] * 150
    good(t, send("203.0.113.1", views), 150)  # a burst is 200
    good(t, send("203.0.113.1", views), 150)  # its events are known when it was read
    late = refused(t, send("203.0.113.1", views[:1]), 429, "events")
    t.true(1 <= int(late.header("Retry-After")) <= 6, str(late))
    good(t, send("203.0.113.2", views[:1]))
    padded = [{"url": SITE + "/b", "note": "x" * 15000}]
    good(t, send("203.0.113.3", padded))  # a burst is 20 KB
    good(t, send("203.0.113.3", padded))
    late = refused(t, send("203.0.113.3", padded), 429, "bytes")
    t.true(1 <= int(late.header("Retry-After")) <= 6, str(late))
    good(t, send("203.0.113.2", padded))
    t.equal(len(collector.stop()), 304, "events")


def test_neighbours_of_ipv6_are_one(t):
    """A customer has a whole /64."""
    collector = Collector(t, *PROXIES, "--sites", "*", "--rate-events", "1")
    views = [{"url": SITE + "/a"}] * 20
    good(t, collector.page(views, (FORWARDED, "2001:db8::1")), 20)
    refused(t, collector.page(views, (FORWARDED, "2001:db8::ffff:2")), 429)
    good(t, collector.page(views, (FORWARDED, "2001:db8:0:1::1")), 20)
    t.equal(len(collector.stop()), 40, "events")


@patient
def test_the_store_has_a_quota(t):
    quota(t, "collect")


@patient
def test_the_store_of_a_run_has_a_quota(t):
    quota(t, "run", "--no-demo")


def quota(t, *command):
    """507 from then on, and /readyz says why; events that were answered 202 are stored, and with a
    larger quota it continues."""
    collector = Collector(t, "--max-store", "2m", check=False, command=command)
    dice, number, answer, answered = random.Random(1), 0, None, []
    while answer is None or answer.status == 202:
        many = [keyed(one, city="%0200x" % dice.getrandbits(800))  # which do not become smaller
                for one in range(number, number + 100)]
        answer = collector.ask(many)
        if answer.status == 202:
            answered += [one["row_key"] for one in many]
        number += 100
        t.true(number < 100000, "the store grows without an end")
    refused(t, answer, 507, "collect.max_store")
    t.true(500 <= len(answered) < 60000, "%d events were taken" % len(answered))
    state = collector.get("/readyz")
    t.equal((state.status, state.json["ready"]), (503, False), "readyz %s" % state)
    t.true("collect.max_store" in state.json["reason"], str(state))
    t.equal(collector.get("/pixel.gif", ("Referer", SITE + "/a")).status in (403, 507), True, "pixel")
    result = collector.process.stop(OK)
    t.true("collect.max_store" in result.err, "it is not logged\n%s" % result.err)
    t.equal(sorted(one["row_key"] for one in collector.events()), sorted(answered), "events")
    collector = Collector(t, "--max-store", "1g", check=False, command=command)
    t.equal(collector.get("/readyz").status, 200, "readyz")
    good(t, collector.ask(keyed(999999)))
    collector.stop()


# ---- senders


def test_events_of_other_hosts(t):
    """With sites an event must be of one of them; a page's URL without a host gets that of the
    page."""
    collector = Collector(t, "--sites", "shop.example,*.wild.example,https://exact.example:8443",
                          "--token", "web=file:" + t.write("server-token", "token-of-a-server"))
    none = "which is none of collect.sites"
    taken = {"/cart": SITE + "/cart", "cart?a=b": SITE + "/cart?a=b", "?page=2": SITE + "/?page=2",
             "//shop.example/x": SITE + "/x", "http://SHOP.example:81/a": "http://SHOP.example:81/a",
             "https://a.wild.example/": "https://a.wild.example/",
             "https://exact.example/b": "https://exact.example/b",
             "/to?url=https://evil.example/": SITE + "/to?url=https://evil.example/"}
    for url in taken:
        good(t, collector.page({"url": url, "user_id": url}))
    foreign = {"https://evil.example/": "evil.example", "//evil.example/a": "evil.example",
               "https://shop.example.evil.example/": "shop.example.evil.example",
               "https://shop.example@evil.example/": "shop.example@evil.example",
               "https://shop.example:x@evil.example/": "shop.example:x@evil.example",
               "https://wild.example/": "wild.example", "ftp://evil.example/": "evil.example"}
    for url, host in foreign.items():
        bad(t, collector.page([{"url": url}, {"url": "/good", "user_id": "good"}]),
            [(1, "url is of %s, %s" % (host, none))], 1, what="answer to " + url)
    bad(t, collector.page({"url": "about:blank"}),
        [(1, "url has no host, and so is none of collect.sites")])
    token = ("Authorization", "Bearer token-of-a-server")
    bad(t, collector.ask(keyed(1, url="https://evil.example/"), token),
        [(1, "url is of evil.example, " + none)])
    good(t, collector.ask([keyed(2), keyed(3, url="/cart")], token), 2)
    own = "http://127.0.0.1:%d" % collector.port  # a page of the collector itself
    good(t, collector.page({"url": own + "/snippet", "user_id": "own"}, origin=own,
                           host=own.removeprefix("http://")))
    pixel = collector.get("/pixel.gif?url=https://evil.example/", ("Referer", SITE + "/a"))
    t.equal(pixel.status, 400, "an image for another host")
    collector.complete = False
    events = collector.stop()
    t.equal({one["user_id"]: one["url"] for one in events if one["user_id"] in taken}, taken, "URLs")
    t.equal(len(events), len(taken) + len(foreign) + 3, "events")
    t.equal([one["url"] for one in events if one["row_key"] == "key-3"], ["/cart"], "a server's URL")


def test_events_of_all_hosts(t):
    """With * every host is allowed; a page's URL without a host still gets that of the page."""
    collector = Collector(t, "--sites", "*")
    urls = {"/cart": SITE + "/cart", "https://evil.example/": "https://evil.example/",
            "https://user@shop.example/": "https://user@shop.example/", "app://x/y": "app://x/y",
            "about:blank": "about:blank"}
    for url in urls:
        good(t, collector.page({"url": url, "user_id": url}))
    good(t, collector.page({"url": "/file", "user_id": "null"}, origin="null"))
    t.equal({one["user_id"]: one["url"] for one in collector.stop()}, dict(urls, null="/file"), "URLs")


def test_names_that_are_ours(t):
    """Same-origin is a page that was loaded under one of the server's own names; any other name may
    belong to another site."""
    collector = Collector(t, "--hosts", "Collector.example, 198.51.100.7", "--sites", "shop.example",
                          listen="0.0.0.0")
    names = ["127.0.0.1", "localhost", "127.1.2.3", "collector.example", "198.51.100.7",
             "shop.example", socket.gethostname()]
    for name in names:
        host = "%s:%d" % (name, collector.port)
        good(t, collector.page({"url": "/a"}, origin="http://" + host, host=host))
    for name in ("evil.example", "collector.example.evil.example", "192.0.2.77", "[2001:db8::77]"):
        host = "%s:%d" % (name, collector.port)
        refused(t, collector.page({"url": "/a"}, origin="http://" + host, host=host), 403,
                what="answer to " + name)
    t.equal(len(collector.stop()), len(names), "events")


def test_hosts_that_cannot_be(t):
    for value in ("a b", "collector.example:80", "http://collector.example", "*.example", ".example"):
        result = t.clickmill("collect", "--listen", "127.0.0.1:0", "--hosts", value, check=2,
                             timeout=20)
        t.says(result, "http.hosts", value.split(",")[0])


def test_guessing_tokens(t):
    """An address has a few attempts with wrong tokens; then for a time not even a right one is
    checked."""
    collector = Collector(t, *PROXIES, "--token", "web=file:" + t.write("server-token", "token-of-a-server"))

    def ask(token, address):
        return collector.ask(keyed(1), ("Authorization", "Bearer " + token), (FORWARDED, address))
    states = [ask("guess-%d" % number, "203.0.113.1").status for number in range(40)]
    t.equal(states[:30], [401] * 30, "the first guesses")
    t.equal(set(states[30:]), {429}, "the others")
    late = refused(t, ask("token-of-a-server", "203.0.113.1"), 429, "wrong tokens")
    t.true(1 <= int(late.header("Retry-After")) <= 10, str(late))
    good(t, ask("token-of-a-server", "203.0.113.2"))
    t.equal(len(collector.stop()), 1, "events")


# ---- heads that can be read in two ways

JSON_BODY = json.dumps(keyed(0)).encode()
PATHS = ("/v1/events", "/pixel.gif", "/readyz", "/healthz", "/", "/api/summary", "/none")
HOST = b"Host: 127.0.0.1\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(JSON_BODY)
HEADS = {
    "two hosts": HOST + HOST + LENGTH, "two different hosts": HOST + b"host: evil.example\r\n" + LENGTH,
    "no host": LENGTH, "no host and no body": b"",
    "a blank before a colon": HOST + b"Content-Length : 5\r\n",
    "a tab before a colon": HOST + b"X-More\t: 5\r\n" + LENGTH,
    "two lengths": HOST + LENGTH + b"Content-Length: 5\r\n", "a length twice": HOST + LENGTH + LENGTH,
    "no number": HOST + b"Content-Length: 5x\r\n", "a sign": HOST + b"Content-Length: +5\r\n",
    "a negative length": HOST + b"Content-Length: -5\r\n", "a list": HOST + b"Content-Length: 5, 5\r\n",
    "an empty length": HOST + b"Content-Length: \r\n",
    "hexadecimal": HOST + b"Content-Length: 0x5\r\n",
    "a vertical tab": HOST + b"Transfer-Encoding: \x0bchunked\r\n",
    "two codings": HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a list of codings": HOST + b"Transfer-Encoding: gzip, chunked\r\n",
    "another coding": HOST + b"Transfer-Encoding: identity\r\n",
    "a length and a coding": HOST + LENGTH + b"Transfer-Encoding: chunked\r\n"}


def test_heads_of_two_meanings(t):
    """400 and the end of the connection on every path; what comes after it is no request."""
    collector = Collector(t, "--no-demo", command=("run",))
    hidden = request(keyed(99))
    for path in PATHS:
        for what, head in HEADS.items():
            for method in (b"POST", b"GET"):
                with collector.connect(timeout=10) as connection:
                    connection.send(b"%s %s HTTP/1.1\r\nContent-Type: application/json\r\n%s\r\n%s" % (
                        method, path.encode(), head, hidden))
                    answer = connection.answer()
                    name = "%s %s with %s" % (method.decode(), path, what)
                    t.equal(answer.status, 400, "%s: %s" % (name, answer))
                    # The empty body is libmicrohttpd 0.9's: see src/serve/library_errors.c.
                    t.true(answer.body == b"" or list(answer.json) == ["error"], name)
                    try:
                        connection.more()
                        raise AssertionError("%s: it stays open and says %r" % (name, connection.held))
                    except Closed:
                        pass
    good(t, collector.ask(keyed(1)))
    t.equal(collector.stop(), [whole(keyed(1))], "events")
