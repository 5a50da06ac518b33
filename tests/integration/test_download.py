"""Downloads of the API: all rows, equal to those of `query`, also for a slow client."""

import json
import socket

from test_run import get, start

PAGES = 30000
AT = 1431849600000  # 2015-05-17T08:00:00Z


def events(first, count):
    """One click on each of many pages, and on some of them one of another country."""
    awkward = ("", ",", '"', "=1+1", "é", " ")
    for number in range(first, first + count):
        url = "https://shop.example/%05d/%s%s" % (number, awkward[number % 6], "x" * 60)
        yield {"user_id": "u%d" % (number % 700), "timestamp": AT + number * 1000, "url": url,
               "country": ("Peru", "Côte d'Ivoire", "Korea, Republic of")[number % 3]}
        if number % 10 == 0:
            yield {"user_id": "v%d" % number, "timestamp": AT + number * 1000, "url": url,
                   "country": "Chad"}


def prepare(t):
    t.ingest(events(0, PAGES))
    t.process()
    return start(t, "serve")


def test_all_rows(t):
    _, port = prepare(t)
    for window in ("all", "day", "hour"):
        wanted = t.clickmill("query", "--window", window, "--format", "csv").out
        t.equal(wanted.count("\n"), 33001, "lines of window " + window)
        status, body = get(port, "/api/answers?format=csv&window=" + window)
        t.equal((status, body.decode()), (200, wanted), "CSV of window " + window)
    wanted = json.loads(t.clickmill("query", "--format", "json").out)
    status, body = get(port, "/api/answers?limit=0")
    answer = json.loads(body)
    t.equal((status, answer["rows"] == wanted, len(wanted)), (200, True, 33000), "JSON")
    t.equal(answer["freshness"]["events"], 33000, "events")
    wanted = t.clickmill("query", "--format", "csv", "--country", "Chad", "--sort", "url",
                         "--reverse").out
    status, body = get(port, "/api/answers?format=csv&country=Chad&sort=url&reverse=1")
    t.equal((status, body.decode()), (200, wanted), "CSV of a country")
    status, body = get(port, "/api/answers?limit=10000")
    t.equal(len(json.loads(body)["rows"]), 10000, "rows when so many are asked for")
    t.equal(get(port, "/api/answers")[1].count(b'"url"'), 100, "rows when nothing is said")


def test_slow_client(t):
    """A client that does not read holds no snapshot: the writer continues, its log is emptied, and
    the download is complete and of the moment of the request."""
    _, port = prepare(t)
    wanted = t.clickmill("query", "--format", "csv").out.encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /api/answers?format=csv HTTP/1.0\r\nHost: localhost\r\n\r\n")
        got = client.recv(100)

        def log_is_emptied():
            return t.database().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)

        t.until(log_is_emptied, "the log is emptied while a client does not read")
        t.ingest(events(PAGES, 1000))
        t.process()
        t.until(log_is_emptied, "the log is emptied again")
        while piece := client.recv(1 << 20):
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    t.true(head.startswith(b"HTTP/1.0 200") or head.startswith(b"HTTP/1.1 200"), head)
    t.true(body == wanted, "%d bytes instead of %d, or others" % (len(body), len(wanted)))
    t.equal(get(port, "/api/answers?format=csv")[1].count(b"\n"), 34101, "lines after that")
