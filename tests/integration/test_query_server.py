"""GET /api/v1/query: questions over HTTP, from a store that grows."""

import csv
import http.client
import io
import json
import os
import re
import shutil
import socket
import threading
import time
import urllib.parse

import ports
from harness import patient, slow, stretched
from test_query_command import event, events, table


class Server:
    """`serve` or `run` on a port of its own."""

    def __init__(self, t, *options, command="serve"):
        self.t, self.port = t, ports.one()
        self.process = t.start(command, "--data", "data", "--listen", "127.0.0.1:%d" % self.port, *options)
        t.until(lambda: self.answers("/healthz"), "it answers", process=self.process)

    def answers(self, path):
        try:
            return self.fetch(path)[0] == 200
        except OSError:
            return False

    def fetch(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=stretched(60))
        try:
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), dict(reply.getheaders())
        finally:
            connection.close()

    def ask(self, *params, status=200):
        """A question from pairs of names and values; the object that answers it."""
        got, body, _ = self.fetch(path_of(*params))
        self.t.equal(got, status, body)
        return json.loads(body)


def path_of(*params):
    return "/api/v1/query?" + urllib.parse.urlencode(params)


def test_the_answer(t):
    t.ingest(events())
    server = Server(t)
    answer = server.ask(("by", "country"), ("measures", "clicks,bounce_rate"), ("limit", "1"),
                        ("from", "2026-03-01"), ("compare", "previous"), ("to", "2026-03-03"))
    t.equal(answer, {
        "span": {"from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z",
                 "before": {"from": "2026-02-27T00:00:00Z", "to": "2026-03-01T00:00:00Z"}},
        "rows": [{"country": "Peru", "clicks": 2, "clicks_before": 0, "clicks_change": None,
                  "bounce_rate": 0.0, "bounce_rate_before": None, "bounce_rate_change": None}],
        "total": {"clicks": 3, "clicks_before": 0, "clicks_change": None, "bounce_rate": 0.5,
                  "bounce_rate_before": None, "bounce_rate_change": None},
        "groups": 2, "more": True, "notes": [],
        "freshness": {"accepted": 4, "events": 4, "duplicates": 0}}, "all of it")
    answer = server.ask(("by", "browser"), ("where", "name = buy"), ("where", "country = Peru"),
                        ("measures", "unique_user_count"))
    t.equal((answer["rows"], answer["span"], answer["notes"]),
            ([{"browser": "Firefox", "unique_user_count": 0}], {"from": None, "to": None},
             ["no page view is among the events that match, and page views alone are counted by "
              "unique_user_count: event_user_count is meant"]), "conditions, open ends, a note")
    t.equal(server.ask(("values", "browser"))["rows"],
            [{"browser": "Firefox", "events": 3}, {"browser": "Chrome", "events": 1}], "values")
    status, body, headers = server.fetch(path_of(("by", "country"), ("measures", "clicks"), ("format", "csv")))
    t.equal((status, headers["Content-Type"], list(csv.reader(io.StringIO(body)))),
            (200, "text/csv; charset=utf-8", table(t, "--by", "country", "--measures", "clicks")), "CSV")


def test_what_is_wrong(t):
    t.ingest(events())
    server = Server(t)
    for sentence, params in (
            ("by must name dimensions; an empty one is the total", ()),
            ('by: there is no dimension "brwser"; did you mean browser?', (("by", "brwser"),)),
            ('there is no parameter "whre"; did you mean where?', (("by", ""), ("whre", "x"))),
            ("step is given twice", (("by", ""), ("step", "day"), ("step", "hour"))),
            ("format=csv is for one question, not for several",
             (("by", ""), ("by", "url"), ("format", "csv"))),
            ("a request has at most 32 questions, not 33", (("by", ""),) * 33),
            ("limit must be a number from 1 to 10000", (("by", ""), ("limit", "0"))),
            ("values wants one dimension, not 2", (("values", "url,country"),)),
            ("values wants one dimension, not 0", (("values", ""),)),
            ("values lists the values of a dimension with their events; for other measures ask with by",
             (("values", "url"), ("measures", "clicks"))),
            ("values lists the values of a dimension with their events; for other measures ask with by",
             (("measures", "clicks"), ("by", ""), ("values", "url"))),
            ("reverse must be 0 or 1", (("by", ""), ("reverse", "yes"))),
            ("safe is of CSV: give format=csv with it", (("by", ""), ("safe", "1"))),
            ("105192 rows are more than 100000: ask with a longer step, a shorter span",
             (("by", ""), ("step", "hour"), ("from", "2014-01-01"), ("to", "2026-01-01")))):
        t.equal(server.ask(*params, status=400), {"error": sentence}, str(params))


def test_several_questions_at_once(t):
    """They share one walk; what stands before the first `by` holds for all of them."""
    t.ingest(events())
    server = Server(t)
    common = (("measures", "clicks"), ("where", "browser = Firefox"))
    own = [(("by", ""), ("compare", "previous"), ("from", "2026-03-01")), (("by", "url"), ("limit", "1")),
           (("by", "name"), ("measures", "events"), ("where", "url ~ */")), (("by", ""), ("step", "day"))]
    answers = server.ask(*common, *(pair for question in own for pair in question))["answers"]
    t.equal(len(answers), len(own), "one each")
    for answer, question in zip(answers, own):
        alone = server.ask(*(pair for pair in common if pair[0] not in dict(question) or pair[0] == "where"),
                           *question)
        if question is own[0]:  # it ends now
            alone["span"] = answer["span"]
        t.equal(answer, alone, str(question))
    t.equal(answers[2]["rows"], [{"name": "buy", "events": 1}, {"name": "pageview", "events": 1}], "rows")


def test_unchanged_until_the_store_grows(t):
    """An answer has the tag of events, span and settings; the next second it has what came in."""
    t.ingest(events())
    server = Server(t)
    path = path_of(("by", ""), ("measures", "events"))
    status, body, headers = server.fetch(path)
    t.equal((status, json.loads(body)["total"]), (200, {"events": 4}), "first")
    t.equal(server.fetch(path, **{"If-None-Match": headers["ETag"]})[:2], (304, ""), "unchanged")
    t.true(server.fetch(path_of(("by", ""), ("measures", "clicks")))[2]["ETag"] != headers["ETag"],
           "another question has another tag")
    t.ingest([event("eve", "/", 0)])
    began = time.monotonic()
    t.until(lambda: server.fetch(path, **{"If-None-Match": headers["ETag"]})[0] == 200, "it changes")
    t.true(time.monotonic() - began < stretched(2), "within a second, and the time to answer")
    t.equal(server.ask(("by", ""), ("measures", "events"))["total"], {"events": 5}, "one more")


def test_a_store_in_place_of_another(t):
    """It is answered from, also where it has as many events; a browser does not keep the answer of the other."""
    t.ingest(events())
    server = Server(t)
    path = path_of(("by", ""), ("measures", "clicks"))
    _, body, headers = server.fetch(path)
    t.equal(json.loads(body)["total"], {"clicks": 3}, "before")
    shutil.rmtree(t.path("data"))
    t.ingest([event("eve", "/%d" % at, at) for at in range(4)])
    t.until(lambda: server.ask(("by", ""), ("measures", "clicks"))["total"] == {"clicks": 4}, "the other store")
    t.equal(server.fetch(path, **{"If-None-Match": headers["ETag"]})[0], 200, "the tag of the first one")
    server.process.stop()
    shutil.rmtree(t.path("data"))
    t.ingest([event("eve", "/%d" % at, at) for at in range(3)] + [event("eve", "/", 9, name="buy")])
    t.equal(Server(t).fetch(path, **{"If-None-Match": headers["ETag"]})[0], 200, "after a new start")


def test_before_the_first_event(t):
    """A directory without a store has no rows; the events are there as soon as they are stored."""
    server = Server(t)
    answer = server.ask(("by", "country"))
    t.equal((answer["rows"], answer["notes"], answer["freshness"]["accepted"]),
            ([], ["no events are stored yet"], 0), "nothing")
    t.ingest(events())
    t.until(lambda: server.ask(("by", "country"))["groups"] == 2, "both countries")


def many(count):
    return [event("user%d" % (i % 997), "/page%d" % i, i * 1000) for i in range(count)]


def test_limits(t):
    """Groups over the limit of memory, and work over that of time, are a 503 that says what to do."""
    t.ingest(many(60_000))
    server = Server(t, "--question-memory", "1m")
    t.equal(server.ask(("by", "url,day"), status=503),
            {"error": "the answer has more groups than serve.question_memory allows; ask with fewer "
                      "dimensions, a shorter span, or conditions"}, "memory")
    t.equal(server.ask(("by", ""), ("measures", "events"))["total"], {"events": 60_000}, "it goes on")
    hours = (("by", ""), ("step", "hour"), ("to", "2026-01-01"))
    t.equal(len(server.ask(*hours, ("from", "2025-01-01"), ("measures", "clicks"))["rows"]), 8760, "a year of hours")
    for more in (("format", "csv"), ("by", "country")):
        t.equal(server.ask(*hours, ("from", "2016-01-01"), ("measures", "all"), more, status=503),
                {"error": "the text of the answer is longer than serve.question_memory allows; ask with a longer "
                          "step, a smaller limit, or fewer measures"}, "its text")
    small = Server(t, "--memory", "1500k")
    t.equal(small.ask(("by", ""), ("measures", "events"))["total"], {"events": 60_000}, "the order fits")
    t.equal(small.ask(("by", "url"), status=503),
            {"error": "60000 events need 2 MB of memory for this question, and 1 MB are allowed; allow more memory"},
            "not the memory of groups")
    hurried = Server(t, "--question-time", "1ms")
    t.equal(hurried.ask(("by", "url"), ("measures", "all"), status=503),
            {"error": "the answer takes longer than serve.question_time allows; ask for a shorter span, "
                      "or with fewer dimensions"}, "time")


def test_equal_questions_are_computed_once(t):
    """Twenty clients at once, and again, some of which leave before they have an answer."""
    t.ingest(many(60_000))
    server = Server(t, "--debug", "serve")
    path = path_of(("by", "url"), ("measures", "all"), ("limit", "3"))
    bodies = []
    asking = [threading.Thread(target=lambda: bodies.append(server.fetch(path)[:2])) for _ in range(20)]
    for _ in range(3):
        gone = socket.create_connection(("127.0.0.1", server.port))
        gone.sendall(("GET %s&offset=%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
                      % (path, len(asking), server.port)).encode())
        gone.close()
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    t.equal((len(bodies), set(bodies)), (20, {bodies[0]}), "one answer")
    t.equal(bodies[0][0], 200, "it is there")
    t.true(server.process.err.count('msg="a query is answered"') <= 4,
           "computed by the first, and once for those that came meanwhile\n" + server.process.err)
    t.true("a query is given up" in server.process.err, "for the clients that left")


def peak(server):
    """The most bytes of memory that the server has had."""
    with open("/proc/%d/status" % server.process.pid, encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1)) * 1024


@slow
def test_clients_share_an_answer(t):
    """A large one, of eight clients at once, which read it slowly."""
    t.ingest(events())
    server = Server(t)
    path = path_of(("by", ""), ("step", "hour"), ("from", "2016-01-01"), ("to", "2026-01-01"), ("measures", "all"))
    size = len(server.fetch(path)[1])
    t.true(size > 40_000_000, "only %d bytes" % size)
    first = peak(server)
    clients = []
    for _ in range(8):
        clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=stretched(60)))
        clients[-1].sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path, server.port)).encode())
    for client in clients:
        t.equal(client.recv(12), b"HTTP/1.1 200", "a client")
    t.true(peak(server) < first + 3 * size, "the peak rises from %d to %d bytes with answers of %d" %
           (first, peak(server), size))
    for client in clients:
        client.close()


@patient
def test_an_idle_server_lets_go_of_the_store(t):
    """Readers keep a writer from reusing what it has replaced, so they are closed after ten seconds."""
    t.ingest(events())
    server = Server(t)

    def held():
        folder = "/proc/%d/fd" % server.process.pid
        targets = []
        for name in os.listdir(folder):
            try:
                targets.append(os.readlink(os.path.join(folder, name)))
            except FileNotFoundError:
                pass
        return sum(target.endswith("clickmill.db") for target in targets)
    before = held()
    server.ask(("by", "url"))
    t.true(held() > before, "the store is open for the next question")
    t.until(lambda: held() == before, "it is closed", timeout=20)
    t.equal(server.ask(("by", "url"))["groups"], 2, "and opened again")


def test_live_in_run(t):
    """`run` answers from what was committed a second ago at most, while events come in."""
    t.ingest(events())
    server = Server(t, "--no-demo", "--sites", "shop.example", command="run")
    t.equal(server.ask(("by", ""), ("measures", "events"))["total"], {"events": 4}, "before")
    sent = {"events": [event("sam", "/", 0)]}
    t.equal(server.t.clickmill("import", "--data", "data", "--format", "jsonl", "-",
                               stdin=json.dumps(sent["events"][0]) + "\n").code, 0, "through the holder")
    t.until(lambda: server.ask(("by", ""), ("measures", "events"))["total"] == {"events": 5},
            "it is counted", timeout=5)
    server.process.stop()
