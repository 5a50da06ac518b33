"""The collector from outside: HTTP by hand over raw sockets, so that a test controls every byte,
and the events in the store."""

import json
import socket
import ssl
import threading
import time

from harness import OK
from test_run import free_port

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
SAFARI = ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
          "Gecko) Version/17.4 Mobile/15E148 Safari/604.1")
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
TIME = 1772359200000  # a server's timestamp, which is trusted
SITE = "https://shop.example"
UNKNOWN = {name: "Unknown" for name in ("country", "city", "browser", "os", "device")}
JSON = ("Content-Type", "application/json")


def event(**fields):
    """An event as a server sends it; ... leaves a field out."""
    entry = {"user_id": "ann", "timestamp": TIME, "url": "https://shop.example/a"}
    entry.update(fields)
    return {name: value for name, value in entry.items() if value is not ...}


def keyed(number, **fields):
    """The event of that number: different from all others, and stored as it was sent."""
    return event(**{"row_key": "key-%d" % number, "user_id": "user-%d" % (number % 7),
                    "timestamp": TIME + number, **fields})


def text_of(content):
    """A body from bytes, a text, or an object (as JSON)."""
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False)
    return content.encode("utf-8", "surrogatepass")


def request(body=b"", *headers, method="POST", target="/v1/events", version="HTTP/1.1",
            host="127.0.0.1", length=True, kind=JSON):
    """The bytes of a request; Content-Type by `kind`, Content-Length of the body unless told not to."""
    body = text_of(body)
    lines = ["%s %s %s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    if kind is not None and method == "POST":
        lines.append("%s: %s" % kind)
    lines += ["%s: %s" % header for header in headers]
    if length and (body or method == "POST"):
        lines.append("Content-Length: %d" % len(body))
    return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


def chunked(*parts, last=b"0\r\n\r\n"):
    """A body in chunks of those sizes."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The value of a header; None where there is none."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, "%s came %d times" % (name, len(values))
        return values[0] if values else None

    @property
    def json(self):
        assert (self.header("Content-Type") or "").startswith("application/json"), self
        return json.loads(self.body)

    def __str__(self):
        return "%d %s\n%s" % (self.status, self.headers, self.body[:2000].decode(errors="replace"))


class Closed(Exception):
    """The server has closed the connection before an answer was complete."""


class Connection:
    """One connection, with its bytes as they are sent and come."""

    def __init__(self, port, host="127.0.0.1", tls=False, timeout=30, source=None):
        self.socket = socket.create_connection((host, port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """True unless the server accepts no more."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def drip(self, data, seconds=0.0):
        """Byte by byte, each in a write of its own; False as soon as the server accepts no more."""
        for number in range(len(data)):
            if not self.send(data[number:number + 1]):
                return False
            time.sleep(seconds)
        return True

    def more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise Closed("after %r" % self.held[:200])
        self.held += data

    def line(self):
        while b"\r\n" not in self.held:
            self.more()
        line, self.held = self.held.split(b"\r\n", 1)
        return line.decode("latin-1")

    def take(self, count):
        while len(self.held) < count:
            self.more()
        data, self.held = self.held[:count], self.held[count:]
        return data

    def answer(self, method="POST"):
        """The next answer; an interim one (100) is an answer of its own."""
        version, status, _ = (self.line() + " ").split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), version
        headers = []
        while line := self.line():
            name, value = line.split(":", 1)
            headers.append((name, value.strip()))
        answer = Answer(int(status), headers, b"")
        if answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
            return answer
        if answer.header("Transfer-Encoding") is not None:
            while size := int(self.line(), 16):
                answer.body += self.take(size)
                self.line()
            self.line()
        elif answer.header("Content-Length") is not None:
            answer.body = self.take(int(answer.header("Content-Length")))
        else:
            raise AssertionError("an answer of unknown length\n%s" % answer)
        return answer

    def ask(self, *args, **named):
        """Sends a request and returns its answer."""
        self.send(request(*args, **named))
        return self.answer(named.get("method", "POST"))

    def ended(self, timeout=30):
        """Whether the server closes the connection in that time, without sending more."""
        self.socket.settimeout(timeout)
        try:
            self.more()
        except Closed:
            return True
        except TimeoutError:
            return False
        raise AssertionError("more came: %r" % self.held[:500])


class Collector:
    """A running `clickmill collect`. stop() compares its account with its answers."""

    def __init__(self, t, *options, data="data", listen="127.0.0.1", command=("collect",),
                 tls=False, check=True, preexec=None, env=None):
        self.t, self.data, self.tls = t, data, tls
        self.port = free_port()
        self.address = listen
        self.host = {"[::1]": "::1", "0.0.0.0": "127.0.0.1"}.get(listen, listen)
        self.accepted = self.skipped = self.rejected = 0
        self.complete = check  # whether every answer passes through count()
        self.process = t.start(*command, "--listen", "%s:%d" % (listen, self.port), "--data", data,
                               "--json", *options, preexec=preexec, env=env)
        t.until(lambda: ":%d" % self.port in self.process.err and self.healthy(), "it listens",
                process=self.process)

    def healthy(self):
        try:
            with self.connect() as connection:
                return connection.ask(method="GET", target="/healthz").status == 200
        except (OSError, Closed):
            return False

    def connect(self, timeout=30, source=None):
        return Connection(self.port, self.host, self.tls, timeout, source)

    def count(self, answer):
        """Adds what an answer says about events to what the account must say."""
        if answer.status in (202, 400) and b'"accepted"' in answer.body:
            said = answer.json
            self.accepted += said["accepted"]
            self.skipped += said["skipped"]
            self.rejected += len(said.get("errors", ())) + said.get("more_errors", 0)
        return answer

    def ask(self, *args, **named):
        """One request on a connection of its own."""
        with self.connect() as connection:
            return self.count(connection.ask(*args, **named))

    def raw(self, data):
        """The same for bytes that are not a correct request."""
        with self.connect() as connection:
            connection.send(data)
            return self.count(connection.answer())

    def page(self, body, *headers, agent=FIREFOX, origin=SITE, **named):
        """An event as the browser sends it for a page."""
        return self.ask(body, ("Origin", origin), ("User-Agent", agent), *headers, **named)

    def get(self, target, *headers, method="GET"):
        return self.ask(b"", *headers, method=method, target=target)

    def stop(self, check=OK):
        """Ends it. Returns the events of the store, in the order of their keys."""
        result = self.process.stop(check)
        account = self.account = self.t.balanced(json.loads(result.out))
        if self.complete:
            self.t.equal([account[name] for name in ("accepted", "rejected", "skipped")],
                         [self.accepted, self.rejected, self.skipped],
                         "accepted, rejected, skipped by the account, and by the answers")
        return self.events()

    def events(self):
        return exported(self.t, self.data)


def exported(t, data="data"):
    out = t.clickmill("export", "--data", data).out
    return sorted((json.loads(line) for line in out.split("\n") if line),
                  key=lambda one: one["row_key"])


def whole(entry):
    """A server's event as the store has it."""
    return dict(UNKNOWN, **entry)


def good(t, answer, accepted=1, skipped=0):
    t.equal((answer.status, answer.body.rstrip(b"\n")),
            (202, b'{"accepted":%d,"skipped":%d}' % (accepted, skipped)), "answer")
    t.true((answer.header("Content-Type") or "").startswith("application/json"), str(answer))
    return answer


def bad(t, answer, errors, accepted=0, skipped=0, more=0, what="answer"):
    """Some events are refused: exactly these positions and reasons."""
    wanted = {"accepted": accepted, "skipped": skipped,
              "errors": [{"position": position, "reason": reason} for position, reason in errors]}
    if more:
        wanted["more_errors"] = more
    t.equal((answer.status, answer.body.rstrip(b"\n").decode()),
            (400, json.dumps(wanted, separators=(",", ":"), ensure_ascii=False)), what)
    t.equal(answer.json, wanted, what)
    return answer


def refused(t, answer, status, *words, what="answer"):
    """{"error": a sentence} with a status of its own."""
    t.equal(answer.status, status, "status of the %s %s" % (what, answer))
    t.equal(list(answer.json), ["error"], "names in the %s" % what)
    sentence = answer.json["error"]
    t.true(isinstance(sentence, str) and sentence, "no sentence in the %s %s" % (what, answer))
    for word in words:
        t.true(word in sentence, "%r is not in the %s %r" % (word, what, sentence))
    return answer


class Senders:
    """Threads that send keyed events one after the other; `answered` are the numbers of those that
    were answered 202, `refused` of those that were answered otherwise."""

    def __init__(self, collector, count=8, batch=1, first=0, headers=(), again=False):
        self.collector, self.batch, self.headers, self.again = collector, batch, headers, again
        self.answered, self.refused, self.others = set(), set(), []
        self.lock, self.next, self.going = threading.Lock(), first, True
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def numbers(self):
        with self.lock:
            numbers = range(self.next, self.next + self.batch)
            self.next += self.batch
        return numbers

    def run(self):
        """Until it is told to end, or the collector is gone; a closed connection is opened again when
        `again` says so."""
        while self.going:
            try:
                with self.collector.connect() as connection:
                    while self.going:
                        self.send(connection)
            except (OSError, Closed):
                if not self.again:
                    return
                time.sleep(0.01)

    def send(self, connection):
        numbers = self.numbers()
        answer = connection.ask([keyed(number) for number in numbers], *self.headers)
        with self.lock:
            if answer.status == 202:
                self.answered.update(numbers)
            else:
                self.refused.update(numbers)
                self.others.append(answer)

    def end(self):
        self.going = False
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a sender is left without an answer"

    def check(self, t, data="data"):
        """Asserts that events answered 202 are stored as they were sent and refused ones are not;
        returns the numbers of the stored ones."""
        stored = {}
        for one in exported(t, data):
            number = int(one["row_key"][4:])
            t.true(number not in stored, "event %d is there twice" % number)
            stored[number] = one
        missing = self.answered - set(stored)
        t.true(not missing, "%d of %d events that were answered 202 are lost, such as %s" % (
            len(missing), len(self.answered), sorted(missing)[:5]))
        for number, one in stored.items():
            t.equal(one, whole(keyed(number)), "event %d" % number)
        t.equal(sorted(self.refused & set(stored))[:10], [], "events that were refused, and are there")
        return set(stored)
