"""`clickmill collect` as a server of HTTP: requests in pieces, pipelined, too slow, too large or
missing; TLS, IPv6, and very many connections."""

import json
import os
import re
import resource
import socket
import subprocess
import time

from collect_support import (Closed, Collector, Connection, chunked, event, good, keyed, refused,
                             request, whole)
from harness import patient, slow

CHUNKS = ("Transfer-Encoding", "chunked")


def stored(t, collector, numbers):
    """Ends the collector: these events are in its store, as they were sent."""
    wanted = sorted((whole(keyed(number)) for number in numbers), key=lambda one: one["row_key"])
    t.equal(collector.stop(), wanted, "events")


def answers(collector, connection, count):
    return [collector.count(connection.answer()) for _ in range(count)]


# ---- pieces and pipelines


def test_requests_in_a_row(t):
    """One connection, one after the other."""
    collector = Collector(t)
    with collector.connect() as connection:
        for number in range(100):
            good(t, collector.count(connection.ask(keyed(number))))
            if number % 10 == 0:
                t.equal(connection.ask(method="GET", target="/healthz").status, 200, "healthz")
                refused(t, connection.ask(b""), 400)
                t.equal(connection.ask(method="GET", target="/readyz").status, 200, "readyz")
    stored(t, collector, range(100))


def test_pipelined(t):
    """Many in one write: answers in their order, all events stored."""
    collector = Collector(t)
    with collector.connect() as connection:
        sent = b""
        for number in range(0, 300, 3):
            sent += request(keyed(number)) + request(b"", method="GET", target="/healthz")
            sent += request([keyed(number + 1), keyed(number + 2)])
            sent += request(b"{}")
        connection.send(sent)
        for number in range(0, 300, 3):
            good(t, collector.count(connection.answer()))
            answer = connection.answer()
            t.equal((answer.status, answer.body.strip()), (200, b"ok"), "healthz")
            good(t, collector.count(connection.answer()), 2)
            answer = collector.count(connection.answer())
            t.equal((answer.status, answer.json["accepted"]), (400, 0), "a bad event")
    stored(t, collector, range(300))


def test_after_a_refusal(t):
    """A body that was not read is in the way: the connection ends, and says so, or it goes on."""
    collector = Collector(t)
    for named in ({"target": "/none"}, {"kind": ("Content-Type", "text/html")}, {"method": "PUT"},
                  {"method": "GET", "body": b""}, {"method": "OPTIONS", "body": b""},
                  {"method": "GET", "target": "/none", "body": b""}):
        with collector.connect() as connection:
            answer = connection.ask(**{"body": keyed(0), **named})
            t.true(answer.status == 204 or 400 <= answer.status < 500, str(answer))
            if (answer.header("Connection") or "").lower() == "close":
                t.true(connection.ended(), "it stays open")
            else:
                good(t, collector.count(connection.ask(keyed(1))))
    stored(t, collector, [1] if collector.accepted else [])


def test_pipelined_and_half_closed(t):
    """A client that has closed its side for writing still gets its answer."""
    collector = Collector(t, "--idle", "1s")
    with collector.connect() as connection:
        connection.send(b"".join(request(keyed(number)) for number in range(20)))
        connection.socket.shutdown(socket.SHUT_WR)
        for answer in answers(collector, connection, 20):
            good(t, answer)
        t.true(connection.ended(), "it stays open")
    stored(t, collector, range(20))


def test_split_at_every_byte(t):
    collector = Collector(t)
    whole_one, in_chunks = request(keyed(10)), request(
        chunked(*(part.encode() for part in re.findall(".{1,40}", json.dumps(keyed(11))))), CHUNKS,
        length=False)
    with collector.connect() as connection:
        for data in (whole_one, in_chunks):
            for at in range(1, len(data)):
                connection.send(data[:at])
                time.sleep(0.001)  # so that the server reads two pieces, too
                connection.send(data[at:])
                good(t, collector.count(connection.answer()))
        for data in (whole_one, in_chunks):
            connection.drip(data, 0.0005)
            good(t, collector.count(connection.answer()))
    stored(t, collector, [10, 11])


def test_chunks(t):
    collector = Collector(t)
    body = json.dumps(keyed(1)).encode()
    size = b"%x" % len(body)

    def ask(data, *headers):
        return collector.ask(data, CHUNKS, *headers, length=False)
    bodies = [
        chunked(body), chunked(*(bytes([byte]) for byte in body)),
        chunked(body[:10], body[10:]),
        size.upper() + b"\r\n" + body + b"\r\n0\r\n\r\n",
        size.lower() + b"\r\n" + body + b"\r\n000\r\n\r\n",
        b"000" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        chunked(body, last=b"0\r\nX-Checksum: 1\r\nX-More: a, b\r\n\r\n")]
    for data in bodies:
        good(t, ask(data))
    # Extensions of chunks are taken by libmicrohttpd 0.9 and refused by 1.0.
    for data in (size + b";name=value\r\n" + body + b"\r\n0;last\r\n\r\n",
                 size + b';name="quo;ted"\r\n' + body + b"\r\n0\r\n\r\n"):
        answer = ask(data)
        if answer.status == 400:
            refused(t, answer, 400, "the request is not correct HTTP")
        else:
            good(t, answer)
    good(t, collector.ask(chunked(body), ("transfer-encoding", "Chunked"), length=False))
    good(t, ask(chunked(body), ("Trailer", "X-Checksum")))
    stored(t, collector, [1])


def test_malformed_chunks(t):
    """Refused, or closed without an answer; what follows is not read as a request. (An end in the
    middle of a body may be noticed only after --idle.)"""
    collector = Collector(t, "--idle", "1s")
    body = json.dumps(keyed(0)).encode()
    size = b"%x" % len(body)
    for data in (b"x\r\n", b"-1\r\n" + body, b"\r\n" + body,
                 b"0x" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
                 b"fffffffffffffffff\r\n" + body, b"ffffffffffffffff\r\n" + body,
                 size + b"\r\n" + body + b"0\r\n\r\n",
                 b"%x\r\n" % (len(body) - 1) + body + b"\r\n0\r\n\r\n",
                 b" \r\n" + body, size + b" x\r\n" + body + b"\r\n0\r\n\r\n"):
        with collector.connect() as connection:
            connection.send(request(data, CHUNKS, length=False) + request(keyed(1)))
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                answer = connection.answer()
                t.true(answer.status in (400, 413), "%r: %s" % (data, answer))
                t.true(connection.ended(), "%r: it stays open" % data)
            except Closed:
                pass
    stored(t, collector, [])


@patient
def test_two_lengths(t):
    """Content-Length beside Transfer-Encoding, or twice, may hide a request from a proxy: it is
    refused, or the connection is closed after it (RFC 9112, section 6.1)."""
    collector = Collector(t, "--idle", "1s")
    hidden = request(keyed(99))
    smuggled = chunked(json.dumps(keyed(1)).encode()) + hidden
    for headers in [(("Content-Length", len(smuggled)), CHUNKS), (CHUNKS, ("Content-Length", 5)),
                    (("Content-Length", 5), ("Content-Length", len(smuggled))),
                    (("Content-Length", "+5"),), (("Content-Length", "-1"),), (("Content-Length", "5x"),),
                    (("Content-Length", "5, 6"),), (("Content-Length", "9" * 40),),
                    (("Transfer-Encoding", "gzip, chunked"),), (("Transfer-Encoding", "chunked, gzip"),),
                    (("Transfer-Encoding", "xchunked"),), (("Transfer-Encoding", "identity"),),
                    (("Content-Length ", 5),)]:
        with collector.connect() as connection:
            connection.send(request(smuggled, *headers, length=False))
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                while True:
                    answer = collector.count(connection.answer())
                    t.true(answer.status in (202, 400, 411, 413, 415, 501), "%s: %s" % (headers, answer))
            except Closed:
                pass
    t.true({one["row_key"] for one in collector.stop()} <= {"key-1"}, "the hidden request is stored")


def test_expect(t):
    collector = Collector(t)
    with collector.connect() as connection:
        body = json.dumps(keyed(1)).encode()
        for _ in range(3):
            connection.send(request(b"", ("Expect", "100-continue"), ("Content-Length", len(body)),
                                    length=False))
            t.equal(connection.answer().status, 100, "interim answer")
            connection.send(body)
            good(t, collector.count(connection.answer()))
        connection.send(request(b"", ("Expect", "100-Continue"), CHUNKS, length=False))
        t.equal(connection.answer().status, 100, "interim answer")
        connection.send(chunked(body))
        good(t, collector.count(connection.answer()))
    # No client is asked for a body that will not be taken.
    for named, status in [({"target": "/none"}, 404), ({"method": "PUT"}, 405),
                          ({"kind": ("Content-Type", "text/html")}, 415)]:
        refused(t, collector.raw(request(b"", ("Expect", "100-continue"), ("Content-Length", 50),
                                         length=False, **named)), status)
    stored(t, collector, [1])


def test_versions_and_connections(t):
    collector = Collector(t)

    def ask(number, *headers, version="HTTP/1.1"):
        """Whether the connection stays open."""
        with collector.connect() as connection:
            good(t, collector.count(connection.ask(keyed(number), *headers, version=version)))
            if connection.ended(0.3):
                return False
            good(t, collector.count(connection.ask(keyed(number + 50), *headers, version=version)))
            return True
    t.equal(ask(1), True, "1.1")
    t.equal(ask(2, ("Connection", "close")), False, "1.1 with close")
    t.equal(ask(3, ("Connection", "Keep-Alive")), True, "1.1 with keep-alive")
    t.equal(ask(4, version="HTTP/1.0"), False, "1.0")
    t.equal(ask(5, ("Connection", "keep-alive"), version="HTTP/1.0"), True, "1.0 with keep-alive")
    with collector.connect() as connection:
        connection.send(request(keyed(6), ("Connection", "close")) + request(keyed(99)))
        good(t, collector.count(connection.answer()))
        try:
            connection.more()
            raise AssertionError("an answer behind the last one")
        except Closed:
            pass
    good(t, collector.ask(keyed(7), version="HTTP/1.0", host=None))
    stored(t, collector, [1, 51, 2, 3, 53, 4, 5, 55, 6, 7])


@patient
def test_no_http(t):
    """Bytes that are not a request are refused or the connection is closed, and the next client is
    served."""
    collector = Collector(t, "--idle", "1s")
    for data in (b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"POST /v1/events\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                 b"POST /v1/events HTTP/9.9\r\n\r\n", b"POST /v1/events HTTP/1.1\r\n\r\n",
                 b"POST  /v1/events  HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
                 b"POST /v1/events HTTP/1.1\r\nHost: a\r\nno colon\r\nContent-Length: 2\r\n\r\n{}",
                 b"POST /v1/events HTTP/1.1\r\nHost: a\r\n: empty\r\nContent-Length: 2\r\n\r\n{}",
                 b"\r\n" * 50, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 3000, b"\xff" * 3000,
                 b"POST /v1/ev\0ents HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"):
        with collector.connect() as connection:
            connection.send(data)
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                while True:
                    answer = connection.answer()
                    t.true(400 <= answer.status <= 505, "%r: %s" % (data, answer))
            except Closed:
                pass
        good(t, collector.ask(keyed(1)))
    stored(t, collector, [1])


def test_refusals_of_the_library_are_json(t):
    """Requests that libmicrohttpd refuses by itself, in all its releases."""
    collector = Collector(t, "--idle", "1s")
    post = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunk = post + b"Transfer-Encoding: chunked\r\n\r\n"
    odd, head = "the request is not correct HTTP", "the head of the request is too long"
    version = "the request must be HTTP/1.1 or HTTP/1.0"
    for data, status, sentence in [
            (b"GET /\r\n\r\n", 400, odd), (post + b"no colon\r\n\r\n", 400, odd),
            (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, version),
            (b"GET / HTTP/0.9\r\n\r\n", 505, version),
            (post + b"X: " + b"x" * 70000 + b"\r\n\r\n", 431, head),
            (b"GET /?" + b"x" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, head),
            (chunk + b"x\r\n", 400, odd), (chunk + b"5\r\n1234567\r\n0\r\n\r\n", 400, odd),
            (chunk + b"f" * 19 + b"\r\n", 413, "the body is too large"),
            (chunk + b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n", 400, odd)]:
        with collector.connect() as connection:
            connection.send(data)
            answer = connection.answer()
            t.equal((answer.status, answer.json), (status, {"error": sentence}), repr(data[-40:]))
            t.equal((answer.header("Content-Length"), answer.header("X-Content-Type-Options")),
                    (str(len(answer.body)), "nosniff"), "headers")
    for length, status, sentence in (("5x", 400, odd), ("9" * 40, 413, "the body is too large")):
        with collector.connect() as connection:
            connection.send(post + b"Content-Length: %s\r\n\r\n" % length.encode())
            answer = connection.answer()
            t.equal(answer.status, status, "length " + length)
            t.true(answer.body == b"" or answer.json == {"error": sentence}, str(answer))
    stored(t, collector, [])


# ---- limits


def test_head_and_address_too_long(t):
    collector = Collector(t)
    good(t, collector.ask(keyed(1), ("Cookie", "a=" + "x" * 6000), ("X-More", "y" * 2000)))
    for size in (20000, 70000, 300000):
        answer = collector.raw(request(b"", target="/v1/events?" + "x" * size))
        t.equal(answer.status, 414, "an address of %d bytes" % size)
    for size in (70000, 300000):
        answer = collector.raw(request(b"", ("X-Long", "x" * size)))
        t.equal(answer.status, 431, "a header of %d bytes" % size)
        answer = collector.raw(request(b"", *(("X-%d" % number, "x" * 90)
                                              for number in range(size // 100))))
        t.equal(answer.status, 431, "headers of %d bytes" % size)
    good(t, collector.ask(keyed(2)))
    stored(t, collector, [1, 2])


@patient
def test_slow_and_silent_senders(t):
    """Closed after --idle: those that say nothing, and those that keep talking but come to no end.
    A client that completes requests stays."""
    collector = Collector(t, "--idle", "1s")
    head = request(b"", ("X-Padding", "x" * 2000), ("Content-Length", 5000), length=False)
    cases = {"silent": b"", "part of a head": head[:40], "part of a body": head + b"[" * 100,
             "dripping head": head, "dripping body": head + b" " * 2000}
    begin, ends = time.monotonic(), {}
    pace = t.pace().start()
    connections = {what: collector.connect() for what in [*cases, "busy", "after a request"]}
    good(t, collector.count(connections["after a request"].ask(keyed(0))))
    sent = {"dripping head": 10, "dripping body": len(head)}
    for what, data in cases.items():
        connections[what].send(data[:sent.get(what, len(data))])
    number = 0
    while len(ends) < len(cases) + 1 and time.monotonic() - begin < 30:
        number += 1
        good(t, collector.count(connections["busy"].ask(keyed(number))))
        for what in [*cases, "after a request"]:
            if what in ends:
                continue
            if what in sent:
                connections[what].send(cases[what][sent[what]:sent[what] + 1])
                sent[what] += 1
            connections[what].socket.settimeout(0.01)
            try:
                if connections[what].socket.recv(1000) == b"":
                    ends[what] = time.monotonic() - begin
            except TimeoutError:
                pass
            except ConnectionResetError:
                ends[what] = time.monotonic() - begin
    pace.stop()
    t.equal(set(ends), {*cases, "after a request"}, "which were closed")
    for what, seconds in ends.items():
        t.true(seconds >= 0.9, "%s was closed after %.1f s" % (what, seconds))
        pace.check(seconds, 5, "to close one that is " + what)
    for connection in connections.values():
        connection.close()
    stored(t, collector, range(number + 1))


@patient
def test_whoever_does_not_read_is_closed(t):
    """A client that does not read its answers: others are served, and its connection is closed
    after --idle."""
    collector = Collector(t, "--idle", "1s", check=False)
    t.until(lambda: collector.ask(keyed(1)).status == 202, "it answers")
    idle = 2  # it listens on its port, and for imports in the data directory
    t.until(lambda: open_sockets(collector) == idle, "no connection is open")
    with collector.connect(timeout=0.3) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        t.until(lambda: open_sockets(collector) > idle, "it is connected")
        try:
            while connection.send(request(b"", method="GET", target="/healthz") * 2000):
                good(t, collector.ask(keyed(1)))
        except TimeoutError:  # no room: the collector does not read, because it cannot write
            pass
        t.until(lambda: open_sockets(collector) <= idle, "it is closed", process=collector.process)
        good(t, collector.ask(keyed(1)))
    stored(t, collector, [1])


def test_more_than_max_connections(t):
    """One connection too many is closed, or waits until another one is closed; the open ones are
    served."""
    collector = Collector(t, "--max-connections", 20)
    # The connections that checked whether it listens are closed.
    with collector.connect() as connection:
        good(t, collector.count(connection.ask(keyed(0))))
    idle = open_sockets(collector)
    held = []
    while len(held) < 20:
        held.append(collector.connect())
        good(t, collector.count(held[-1].ask(keyed(len(held)))))
    t.until(lambda: open_sockets(collector) - idle <= 20, "no more than 20 are connected")
    with collector.connect(timeout=1) as connection:
        try:
            answer = connection.ask(keyed(99))
            t.equal(answer.status, 503, "status of one too many")
        except (Closed, TimeoutError):
            pass
    for number, connection in enumerate(held):
        good(t, collector.count(connection.ask(keyed(21 + number))))
    for connection in held:
        connection.close()
    collector.complete = False  # the waiting one may have been accepted

    def again():
        try:
            return collector.ask(keyed(41)).status == 202
        except (Closed, OSError):
            return False
    t.until(again, "others have their place", process=collector.process)
    got = {one["row_key"] for one in collector.stop()} - {"key-99"}
    t.equal(got, {"key-%d" % number for number in range(42)}, "events")


def open_sockets(collector):
    count, folder = 0, "/proc/%d/fd" % collector.process.pid
    for name in os.listdir(folder):
        try:
            target = os.readlink(os.path.join(folder, name))
        except OSError:
            continue
        count += target.startswith("socket:")
    return count


def memory(collector):
    """(resident, private) memory in bytes."""
    with open("/proc/%d/status" % collector.process.pid, encoding="ascii") as file:
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", file.read()))
    return int(sizes["VmRSS"]) * 1024, int(sizes["RssAnon"]) * 1024


def allow_files(t, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        t.skip("only %d files may be open, %d are needed" % (hard, count))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def few_files():
    """The usual limit: the program has to raise it by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))


@slow
def test_ten_thousand_connections(t):
    """64 MB at most for 10,000 senders, of which each has sent one event; it still answers."""
    allow_files(t, 10500)
    collector = Collector(t, "--idle", "10m", preexec=few_files)
    before, held, count = memory(collector), [], 10000
    for number in range(count):
        held.append(Connection(collector.port))
        held[-1].send(request(keyed(number)))
        if number % 100 == 99:
            for connection in held[-100:]:
                good(t, collector.count(connection.answer()))
    resident, own = memory(collector)
    print("      10,000 connections: VmRSS %.1f MB, RssAnon %.1f MB (without: %.1f and %.1f)" % (
        resident / 1e6, own / 1e6, before[0] / 1e6, before[1] / 1e6), flush=True)
    t.true(resident < 64 << 20, "%.1f MB are resident, %.1f MB of its own" % (
        resident / 1e6, own / 1e6))
    for number in range(0, count, 7):
        good(t, collector.count(held[number].ask(keyed(count + number))))
    good(t, collector.ask(keyed(2 * count)))
    # All of them are in the middle of a request.
    for number, connection in enumerate(held):
        connection.send(request(keyed(number))[:150])
    resident, own = memory(collector)
    print("      each with half a request: VmRSS %.1f MB, RssAnon %.1f MB" % (
        resident / 1e6, own / 1e6), flush=True)
    t.true(resident < 64 << 20, "%.1f MB are resident with half a request each" % (resident / 1e6))
    good(t, collector.ask(keyed(2 * count)))
    for connection in held:
        connection.close()
    t.until(lambda: open_sockets(collector) < 10, "its sockets are closed", process=collector.process)
    good(t, collector.ask(keyed(2 * count)))
    stored(t, collector, [*range(count), *range(count, 2 * count, 7), 2 * count])


# ---- where it listens


def test_ipv6(t):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as reason:
        t.skip("no IPv6 here: %s" % reason)
    collector = Collector(t, listen="[::1]")
    good(t, collector.ask(keyed(1), host="[::1]:%d" % collector.port))
    t.true("http://[::1]:%d" % collector.port in collector.process.err, collector.process.err)
    stored(t, collector, [1])


def test_says_where(t):
    collector = Collector(t)
    t.true("http://127.0.0.1:%d" % collector.port in collector.process.err, collector.process.err)
    t.equal(collector.process.out, "", "stdout")
    stored(t, collector, [])


def certificate(t, name="tls"):
    """(certificate, key), self-signed."""
    cert, key = t.path(name + ".crt"), t.path(name + ".key")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", cert], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        t.skip("openssl is not installed (Debian package openssl)")
    return cert, key


def test_tls(t):
    cert, key = certificate(t)
    collector = Collector(t, "--tls-cert", cert, "--tls-key", key, tls=True)
    t.true("https://127.0.0.1:%d" % collector.port in collector.process.err, collector.process.err)
    with collector.connect() as connection:
        t.true(connection.socket.version() in ("TLSv1.2", "TLSv1.3"), connection.socket.version())
        for number in range(20):
            good(t, collector.count(connection.ask(keyed(number))))
        connection.send(b"".join(request(keyed(number)) for number in range(20, 50)))
        for answer in answers(collector, connection, 30):
            good(t, answer)
        many = [keyed(number) for number in range(100, 3000)]
        good(t, collector.count(connection.ask(many)), len(many))
    with Connection(collector.port) as plain:  # nothing in clear text
        plain.send(request(keyed(99)))
        try:
            while True:
                plain.more()
        except Closed:
            t.true(b"202" not in plain.held, "%r" % plain.held)
    good(t, collector.ask(keyed(50)))
    stored(t, collector, [*range(51), *range(100, 3000)])


def test_many_at_once_are_in_the_store_once(t):
    """Connections that all send before one of them is answered."""
    collector, count = Collector(t), 200
    held = [collector.connect() for _ in range(count)]
    for number, connection in enumerate(held):
        connection.send(request([keyed(2 * number), event(url=...), keyed(2 * number + 1)]))
    for connection in held:
        answer = collector.count(connection.answer())
        t.equal((answer.status, answer.json["accepted"]), (400, 2), "answer")
        connection.close()
    stored(t, collector, range(2 * count))
