"""Questions beside the collector: it comes first, whatever is asked."""

import json
import os
import threading
import time

from collect_support import Collector, Closed, good, keyed, refused
from harness import OK, alone, slow
from test_run import get, get_json, start

COUNT = 1000000
LIMIT = 2  # seconds that a sender may have to wait
HEAVY = "/api/answers?window=hour&sort=%s&limit=10000&offset=100000"


def million(t):
    """A store with a million events and their answers of each hour."""
    t.clickmill("produce", "--count", COUNT, "--users", 50000, "--urls", 3000, "--seed", 7,
               timeout=300)
    t.process()


class Askers:
    """Threads that ask the same over and over; `statuses` counts what they were told."""

    def __init__(self, server, paths):
        self.server, self.statuses, self.going = server, [], True
        self.threads = [threading.Thread(target=self.run, args=(path,), daemon=True)
                        for path in paths]
        for thread in self.threads:
            thread.start()

    def run(self, path):
        while self.going:
            try:
                with self.server.connect(timeout=60) as connection:
                    self.statuses.append(connection.ask(method="GET", target=path).status)
            except (OSError, Closed):
                if self.going:
                    raise

    def end(self):
        self.going = False
        for thread in self.threads:
            thread.join(60)


def waits(t, server, seconds, first):
    """(of posts, of health) the longest time until an answer, over so many seconds."""
    posts, health, number = [], [], first
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        good(t, server.ask(keyed(number)))
        posts.append(time.monotonic() - begin)
        begin = time.monotonic()
        t.equal(server.get("/healthz").status, 200, "health")
        health.append(time.monotonic() - begin)
        number += 1
    return max(posts), max(health), number


@slow
@alone
def test_posts_come_first(t):
    """Four questions at once that sort the answers of a million events."""
    million(t)
    server = Collector(t, "--no-demo", "--max-body", "1m", command=("run",), check=False)
    with t.pace() as pace:
        askers = Askers(server, [HEAVY % sort for sort in ("clicks", "unique_user_count", "exits",
                                                           "entrances")])
        time.sleep(0.5)
        post, health, _ = waits(t, server, 15, 0)
        askers.end()
    print("      longest answers: POST %.2f s, /healthz %.2f s; questions %s" % (
        post, health, askers.statuses), flush=True)
    pace.check(post, LIMIT, "the answer to a POST")
    pace.check(health, LIMIT, "the answer of /healthz")
    t.true(askers.statuses and set(askers.statuses) <= {200, 503}, str(askers.statuses))
    server.process.stop(OK)


@slow
def test_a_limit_on_time(t):
    million(t)
    process, port = start(t, "serve", "--time-limit", "100ms")
    status, body = get(port, HEAVY % "url")
    t.equal((status, json.loads(body)), (503, {
        "error": "the answer takes longer than http.time_limit allows; ask for less (from, to, a "
                 "smaller offset), or for all rows as a download (limit=0)"}), "a long one")
    t.equal(get_json(port, "/api/summary")["rows"][0]["clicks"], COUNT, "a short one")
    process.stop(OK)


def cpu(process):
    """CPU seconds of a process so far."""
    with open("/proc/%d/stat" % process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@slow
def test_dashboards_share(t):
    """Twenty that ask the same cost little more than one."""
    million(t)
    server = Collector(t, "--time-limit", "5m", command=("serve",), check=False)

    def asks(count, sort):
        before, statuses = cpu(server.process), []
        askers = [threading.Thread(target=lambda: statuses.append(server.get(HEAVY % sort).status))
                  for _ in range(count)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        t.equal(statuses, [200] * count, "statuses")
        return cpu(server.process) - before
    asks(1, "exits")
    one, twenty = asks(1, "entrances"), asks(20, "clicks")
    print("      CPU of one %.2f s, of twenty %.2f s" % (one, twenty), flush=True)
    t.true(one > 0.1, "one costs so little that nothing is measured: %.2f s" % one)
    t.true(twenty < 4 * one, "one %.2f s, twenty %.2f s" % (one, twenty))
    server.process.stop(OK)


def test_a_limit_on_the_offset(t):
    t.ingest('{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}')
    t.process()
    server = Collector(t, command=("serve",), check=False)
    t.equal(server.get("/api/answers?offset=100000").json["rows"], [], "the last one")
    for offset in ("100001", "9223372036854775807", "-1", "1e3"):
        refused(t, server.get("/api/answers?offset=" + offset), 400,
                "offset must be a number from 0 to 100000", "limit=0")
    server.process.stop(OK)


def test_a_pattern_of_any_cost(t):
    """A matcher that tries one place after the other takes a day for these."""
    pages = ["https://shop.example/%03d/%s" % (n, "a" * 1900) for n in range(300)]
    t.ingest([{"user_id": "u%d" % (n % 7), "timestamp": 1772359200000 + n, "url": url}
              for n, url in enumerate(pages)])
    t.process()
    server = Collector(t, command=("serve",), check=False)
    before = cpu(server.process)
    for pattern, count in (("*" + "a" * 900 + "*b*", 0), ("*" + "a*" * 900 + "b", 0),
                           ("*" + "?a*" * 600 + "b*", 0), ("*/1?0/" + "a" * 1900, 10),
                           ("*" + "a*" * 900, 300), ("*/007/*", 1)):
        for path in ("pages", "answers", "countries", "series"):
            answer = server.get("/api/%s?url=%s" % (path, pattern))
            wanted = {"pages": min(count, 100), "answers": min(count, 100),
                      "countries": min(count, 100), "series": min(count, 10000)}[path]
            t.equal((answer.status, len(answer.json["rows"])), (200, wanted),
                    "%s of %.20s" % (path, pattern))
    seconds = cpu(server.process) - before
    t.true(seconds < 3, "%.2f s of CPU" % seconds)
    server.process.stop(OK)


def test_filters_find_what_they_mean(t):
    """Each way to ask, by each filter and span, against SQL over the events."""
    urls = ["https://shop.example/", "https://shop.example/a", "https://shop.example/a?b=[1]",
            "https://shop.example/é", "https://other.example/a"]
    events = [{"user_id": "u%d" % (n % 5), "timestamp": 1772359200000 + n * 1500000,
               "url": urls[n % len(urls)], "country": ("Peru", "Chad", "Chile")[n * n % 3]}
              for n in range(300)]
    t.ingest(events)
    t.process()
    database = t.database()
    process, port = start(t, "serve")
    spans = ("", "&from=2026-03-02", "&to=2026-03-03T05:00:00Z",
             "&from=2026-03-01T10:30:00Z&to=2026-03-02T00:00:01Z")
    conditions = {"": "", "&from=2026-03-02": "AND window_start >= 1772409600000",
                  spans[2]: "AND window_start < 1772514000000",
                  spans[3]: "AND window_start >= 1772361000000 AND window_start < 1772409601000"}
    filters = {"": "1", "&url=https://shop.example/a": "url = 'https://shop.example/a'",
               "&url=*example/%C3%A9": "url = 'https://shop.example/é'",
               "&url=https://shop.example/a?b=[1]": "url = 'https://shop.example/a?b=[1]'",
               "&url=*/a*": "url LIKE '%/a%'", "&url=none": "0", "&country=Chad": "country = 'Chad'",
               "&country=Mali": "0",
               "&country=Peru&url=*/a": "country = 'Peru' AND url LIKE '%/a'",
               "&country=Peru&url=https://other.example/a":
                   "country = 'Peru' AND url = 'https://other.example/a'"}
    places = {"answers": ("answer", ""), "pages": ("rollup", "url"),
              "countries": ("rollup", "country"), "series": ("rollup", "")}
    for window in ("all", "day", "hour"):
        for span in spans if window != "all" else ("",):
            for path, (_, own) in places.items():
                if path == "series" and window == "all":
                    continue
                for text, condition in filters.items():
                    has_url, has_country = "url" in text or own == "url", (
                        "country" in text or own == "country")
                    if path == "answers":
                        has_url = has_country = True
                    table = "answer" if has_url and has_country else "rollup"
                    sql = "SELECT count(*), sum(clicks), sum(entrances) FROM %s WHERE window = '%s' " \
                        "%s AND (%s) AND url IS %s NULL AND country IS %s NULL" % (
                            table, window, conditions[span], condition,
                            "NOT" if has_url else "", "NOT" if has_country else "")
                    wanted = database.execute(sql).fetchone()
                    rows = get_json(port, "/api/%s?window=%s&limit=10000%s%s" % (
                        path, window, span, text.replace("?", "%3F")))["rows"]
                    t.equal((len(rows), sum(row["clicks"] for row in rows) or None,
                             sum(row["entrances"] for row in rows) if rows else None), wanted,
                            "%s %s %s %s" % (path, window, span, text))
    process.stop(OK)
