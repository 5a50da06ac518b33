"""Pages of many hours: the rows that a plain sort gives, and damage is never shown as an answer."""

import random
import shutil
import sqlite3
import time

from harness import CORRUPT, alone
from test_run import get_json, start

COUNT = 300000   # events in four days: some 150,000 rows of hours, enough for lists of peaks
FIRST = 1767225600000  # 2026-01-01, the first event
HOUR = 3600000
SORTS = ("clicks unique_user_count average_time_spent time_spent_sum time_spent_count "
         "average_time_on_page entrances exits url country window").split()
TEXTS = ("url", "country", "window")
MEASURES = ("clicks unique_user_count average_time_spent time_spent_sum time_spent_count "
            "average_time_on_page entrances exits").split()


def make(t):
    t.clickmill("produce", "--count", COUNT, "--users", 100000, "--urls", 700, "--countries", 60,
                "--seed", 5)
    t.process()


def stamp(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000))


def rows_of(t, data="data"):
    """All rows of hours, as the SQL view has them, in the order of ties."""
    with sqlite3.connect("file:%s?mode=ro" % t.path(data, "clickmill.db"), uri=True) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(
            "SELECT url, country, window_start AS window, %s FROM answer WHERE window = 'hour'"
            % ", ".join(MEASURES))]
    return sorted(rows, key=lambda row: (row["url"].encode(), row["country"].encode(),
                                         row["window"]))


def page_of(rows, query):
    """The page that a plain sort of all rows gives."""
    sort, start, end = query.get("sort", "clicks"), query.get("from"), query.get("to")
    rows = [row for row in rows
            if (start is None or start <= stamp(row["window"]))
            and (end is None or stamp(row["window"]) < end)
            and row["url"].startswith(query.get("url", "*")[:-1])
            and row["country"] == query.get("country", row["country"])]
    there = [row for row in rows if row[sort] is not None]
    there.sort(key=lambda row: row[sort].encode() if sort in TEXTS[:2] else row[sort],
               reverse=(sort in TEXTS) == bool(query.get("reverse")))
    rows = there + [row for row in rows if row[sort] is None]
    offset = query.get("offset", 0)
    return [[stamp(row["window"]), row["url"], row["country"], *(row[name] for name in MEASURES)]
            for row in rows[offset:offset + query.get("limit", 100)]]


def path_of(query):
    return "/api/answers?window=hour" + "".join("&%s=%s" % pair for pair in query.items())


def asked(port, query):
    return [[row[name] for name in ("window_start", "url", "country", *MEASURES)]
            for row in get_json(port, path_of(query))["rows"]]


def any_query(chance):
    query = {"sort": chance.choice(SORTS), "reverse": chance.randrange(2),
             "limit": chance.choice((1, 7, 100, 1000)), "offset": chance.choice((0, 3, 150, 5000))}
    if chance.randrange(2):
        query["from"] = stamp(FIRST + chance.randrange(60) * HOUR)
        query["to"] = stamp(FIRST + chance.randrange(61, 90) * HOUR)
    if chance.randrange(4) == 0:
        query["country"] = "India"
    if chance.randrange(4) == 0:
        query["url"] = "https://www.example.com/c*"
    return query


def check_pages(t, port, chance, count):
    rows = rows_of(t)
    t.true(len(rows) > 120000, "only %d rows" % len(rows))
    queries = [{}, {"limit": 10, "offset": 90}, {"offset": 190}, {"limit": 1000},
               {"from": stamp(FIRST + 30 * HOUR)}]
    queries += [any_query(chance) for _ in range(count)]
    for query in queries:
        t.equal(asked(port, query), page_of(rows, query), str(query))


def lists_of(t, data="data"):
    with t.database(data) as database:
        return database.execute("SELECT day, list FROM peak ORDER BY day").fetchall()


def test_pages_of_a_plain_sort(t):
    """Random sorts, spans, filters and offsets; after late events the lists of their days are old."""
    chance = random.Random(1919)
    make(t)
    lists = lists_of(t)
    t.equal([day for day, _ in lists], [20454, 20455, 20456, 20457], "days with lists")
    process, port = start(t, "serve")
    check_pages(t, port, chance, 20)
    late = [{"user_id": "late", "url": "https://www.example.com/", "country": "India",
             "timestamp": FIRST + HOUR + n * 1000} for n in range(500)]
    # Lists whose days have changed meanwhile do not count.
    t.ingest(late)
    t.process()
    made = lists_of(t)
    t.equal([now != before for now, before in zip(made, lists)], [True, False, False, False], "new")
    check_pages(t, port, chance, 2)
    with t.database() as database:
        database.executemany("UPDATE peak SET list = ?2 WHERE day = ?1", lists)
    check_pages(t, port, chance, 2)
    process.stop()


def ask(t, *more):
    return t.clickmill("query", "answers", "--window", "hour", "--format", "csv", "--limit", "50",
                       *more, "--data", "copy", check=None)


def test_damage_is_not_shown(t):
    make(t)
    best = ("WHERE window = 2 AND clicks = (SELECT max(clicks) FROM cell WHERE window = 2)")
    rare = ("WHERE window = 2 AND url = (SELECT max(url) FROM cell WHERE window = 2)")
    shutil.copytree(t.path("data"), t.path("copy"))
    right, exits = ask(t), ask(t, "--sort", "exits")
    # (change, the default page, another page) as exit statuses
    for statement, first, other in (
            ("UPDATE cell SET clicks = clicks + 1 " + best, CORRUPT, CORRUPT),
            ("UPDATE cell SET exits = exits + 1 " + best, CORRUPT, CORRUPT),
            ("DELETE FROM cell " + best, CORRUPT, CORRUPT),
            ("UPDATE cell SET clicks = 1000000 " + rare, 0, CORRUPT),
            ("DELETE FROM cell " + rare, 0, CORRUPT),
            ("UPDATE page SET url = url || 'x' WHERE url = 'https://www.example.com/'", CORRUPT,
             CORRUPT),
            ("DELETE FROM page WHERE id = (SELECT min(url) FROM cell)", 0, CORRUPT),
            ("UPDATE checksum SET sum = sum + 1 WHERE window = 2 AND dimension = 0", CORRUPT,
             CORRUPT),
            ("UPDATE peak SET list = zeroblob(length(list))", 0, 0),
            ("UPDATE peak SET list = substr(list, 1, 24)", 0, 0),
            ("UPDATE peak SET day = day + 1 WHERE day = (SELECT max(day) FROM peak)", 0, 0),
            ("DELETE FROM peak", 0, 0), ("DROP TABLE peak", 0, 0)):
        shutil.rmtree(t.path("copy"))
        shutil.copytree(t.path("data"), t.path("copy"))
        t.change(statement, data="copy")
        for got, wanted, code in ((ask(t), right, first), (ask(t, "--sort", "exits"), exits, other)):
            t.equal((got.code, got.out), (code, "" if code else wanted.out), statement)
            if code:
                t.says(got, "damaged", "`clickmill process --rebuild` makes them again")


@alone
def test_the_first_page_is_at_hand(t):
    """It takes a small part of the time of a page for which all rows are visited."""
    make(t)
    took = {}
    with t.pace() as pace:
        for sort in ("clicks", "exits") * 5:
            # Each time another process: nothing is kept between the pages.
            process, port = start(t, "serve")
            get_json(port, "/api/summary")
            begin = time.monotonic()
            get_json(port, path_of({"sort": sort}))
            took.setdefault(sort, []).append(time.monotonic() - begin)
            process.stop()
    print("      page by clicks %.1f ms, by exits %.1f ms" % tuple(
        1000 * min(took[sort]) for sort in ("clicks", "exits")), flush=True)
    pace.check(min(took["clicks"]), min(took["exits"]) / 2, "the page of the most clicks")
