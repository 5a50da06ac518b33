"""`verify`: agrees with right answers, and shows exactly what is wrong with others."""

import json
import random

import oracle
import test_answers
import traffic
from documents import Index
from harness import DIFFER, INPUT, USAGE, slow

# /a of Peru: 2 clicks, a gap of 10 s; /b of Chile: 1 click; all on one day.
EVENTS = [{"user_id": "u", "timestamp": traffic.START, "url": "/a", "country": "Peru"},
          {"user_id": "u", "timestamp": traffic.START + 10000, "url": "/a", "country": "Peru"},
          {"user_id": "v", "timestamp": traffic.START, "url": "/b", "country": "Chile"}]
ADVICE = ("clickmill: the answers are not those that follow from the events; `clickmill process "
          "--rebuild` makes them again\n")


def account(t, *options, check=None, **more):
    """The last line of --json, and the objects before it."""
    lines = t.clickmill("verify", "--json", *options, check=check, **more).out.splitlines()
    objects = [json.loads(line) for line in lines]
    objects[-1].pop("seconds")
    return objects[-1], objects[:-1]


def counts(cells, totals, differ=0, missing=0, unexpected=0, foreign=0, newer=0):
    return {"cells": cells, "totals": totals, "differ": differ, "missing": missing,
            "unexpected": unexpected, "foreign": foreign, "newer": newer}


def without_seconds(text):
    """The account without the one thing that is never the same."""
    head, found, rest = text.partition(" compared in ")
    return head + found + rest[rest.index(" s, "):] if found else text


def test_agrees(t):
    t.ingest(EVENTS + EVENTS[:1])
    t.process()
    done = t.clickmill("verify")
    t.equal(done.out, "", "stdout")
    t.equal(without_seconds(done.err), "6 cells and 15 totals compared in  s, none differs\n",
            "stderr")
    t.equal(account(t, check=0), (counts(6, 15), []), "account")
    t.equal(account(t, "--window", "day", check=0), (counts(2, 5), []), "one window")


def test_every_difference_is_shown(t):
    t.ingest(EVENTS)
    t.process("all", "day")
    t.change("UPDATE cell SET clicks = clicks + 1, time_spent_sum = 11 WHERE window = 0 AND url = 0",
             "DELETE FROM cell WHERE window = 1 AND url = 1",
             "INSERT INTO cell VALUES (0, 0, 1, 0, 5, 1, 1, 1, 1, 1, 1, 1, 1)",
             "UPDATE total SET exits = 0 WHERE window = 0 AND url < 0 AND country < 0",
             "DELETE FROM total WHERE window = 0 AND url = 1",
             "INSERT INTO total VALUES (0, 7, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1)")
    done = t.clickmill("verify", check=DIFFER)
    t.equal(done.out, """\
window                    url    country  field              index   events
all                       /a     Peru     clicks                 3        2
all                       /a     Peru     time_spent_sum        11       10
all                       /b     Peru     (row)           5 clicks     none
all                       /b     (all)    (row)            missing  1 click
all                       (all)  (all)    exits                  0        2
all                       (all)  (all)    (row)            1 click     none
day 2026-03-01T00:00:00Z  /b     Chile    (row)            missing  1 click
""", "the table")
    t.equal(without_seconds(done.err),
            "5 cells and 11 totals compared in  s, 6 differ: 2 with other numbers, 2 missing in the "
            "index, 2 that should not be there\n" + ADVICE, "stderr")
    first = t.clickmill("verify", "--limit", "1", check=DIFFER)
    t.equal(len(first.out.splitlines()), 3, "lines of one row with two fields")
    t.equal(first.err.replace("\n", "")[-80:], done.err.replace("\n", "")[-80:], "the account is whole")
    t.clickmill("process", "--rebuild", "--window", "all,day")
    t.equal(account(t, check=0), (counts(4, 10), []), "after a rebuild")


def test_json(t):
    t.ingest(EVENTS)
    t.process("all", "hour")
    t.change("UPDATE cell SET entrances = 9 WHERE window = 2 AND url = 0",
             "DELETE FROM total WHERE window = 0 AND url < 0 AND country = 1",
             "UPDATE page SET url = '/b\"' WHERE id = 1")
    done, objects = account(t, check=DIFFER)
    whole = {"clicks": 1, "unique_user_count": 1, "time_spent_sum": 0, "time_spent_count": 0,
             "time_on_page_sum": 0, "time_on_page_count": 0, "entrances": 1, "exits": 1,
             "average_time_spent": None, "average_time_on_page": None}
    hour = {"window": "hour", "window_start": "2026-03-01T00:00:00Z"}

    def renamed(where, dimension, **more):
        return [{**where, "dimension": dimension, "url": '/b"', **more, "index": whole,
                 "events": None},
                {**where, "dimension": dimension, "url": "/b", **more, "index": None,
                 "events": whole}]

    t.equal(objects,
            renamed({"window": "all"}, "cell", country="Chile")
            + renamed({"window": "all"}, "url")
            + [{"window": "all", "dimension": "country", "country": "Chile", "index": None,
                "events": whole},
               {**hour, "dimension": "cell", "url": "/a", "country": "Peru",
                "index": {"entrances": 9}, "events": {"entrances": 1}}]
            + renamed(hour, "cell", country="Chile") + renamed(hour, "url"), "the objects")
    t.equal(done, counts(6, 12, differ=1, missing=5, unexpected=4), "account")
    t.equal(len(account(t, "--limit", "3")[1]), 3, "objects with a limit")


def test_newer_events_are_no_difference(t):
    t.ingest(EVENTS[:1])
    t.process("all")
    t.ingest(EVENTS[1:2])
    t.process("day")
    t.ingest(EVENTS[2:])
    done = t.clickmill("verify")
    t.true(done.err.startswith("2 events are newer than these answers and were left out: run "
                               "`clickmill process`\n"), done.err)
    t.equal(account(t)[0], counts(2, 6, newer=2), "account")
    t.clickmill("process", "--data", "empty", "--window", "all")  # answers of no event
    t.ingest(EVENTS, data="empty")
    t.equal(account(t, "--data", "empty")[0], counts(0, 0, newer=3), "answers of nothing")


def test_another_session_timeout(t):
    t.ingest(EVENTS)
    t.process()
    t.clickmill("process", "--session-timeout", "5s", "--window", "day")
    done = t.clickmill("verify", "--session-timeout", "90s")
    t.equal(without_seconds(done.err),
            "the answers of the window all were made with --session-timeout 30m, not 90s: they are "
            "verified with theirs\n"
            "the answers of the window day were made with --session-timeout 5s, not 90s: they are "
            "verified with theirs\n"
            "the answers of the window hour were made with --session-timeout 30m, not 90s: they are "
            "verified with theirs\n"
            "6 cells and 15 totals compared in  s, none differs\n", "stderr")


def test_nothing_there(t):
    t.says(t.clickmill("verify", check=INPUT), "no events in data yet")
    t.ingest(EVENTS)
    t.says(t.clickmill("verify", check=INPUT), "no answers yet: run `clickmill process`")
    t.process("all")
    t.says(t.clickmill("verify", "--window", "day", check=INPUT),
           "no answers for the window day yet: run `clickmill process --window day`")
    t.says(t.clickmill("verify", "--window", "week", check=USAGE), "week")


def test_many_events(t):
    """50,000 events with shuffled copies; then a few rows are changed at random, and exactly those
    are found."""
    chance = random.Random(7)
    events = traffic.events(7, 50000, pages=300)
    copies = chance.sample(events, 10000)
    t.ingest(events[:30000])
    t.process()
    mixed = events[30000:] + copies
    chance.shuffle(mixed)
    t.ingest(mixed)
    t.process()
    done, objects = account(t, check=0)
    t.equal(objects, [], "differences")
    database = t.database()
    t.equal(done["cells"], database.execute("SELECT count(*) FROM cell").fetchone()[0], "cells")
    t.equal(done["totals"], database.execute("SELECT count(*) FROM total").fetchone()[0], "totals")
    keys = chance.sample(database.execute(
        "SELECT window, start, url, country FROM cell ORDER BY 1, 2, 3, 4").fetchall(), 200)
    expected = set()
    for i, key in enumerate(keys):
        where = " WHERE window = %d AND start = %d AND url = %d AND country = %d" % key
        database.execute(("UPDATE cell SET unique_user_count = unique_user_count + 1"
                          if i % 2 else "DELETE FROM cell") + where)
        expected.add((("all", "day", "hour")[key[0]], key[1] * 3600000,
                      database.execute("SELECT url FROM page WHERE id = %d" % key[2]).fetchone()[0],
                      database.execute("SELECT name FROM country WHERE id = %d" % key[3])
                      .fetchone()[0], bool(i % 2)))
    database.commit()
    database.close()
    done, objects = account(t, check=DIFFER)
    t.equal({(o["window"], oracle.milliseconds(o["window_start"]) if "window_start" in o else 0,
              o["url"], o["country"], o["index"] is not None) for o in objects}, expected, "found")
    t.equal((done["differ"], done["missing"], done["unexpected"], len(objects)), (100, 100, 0, 200),
            "counts")


def test_beside_a_writer(t):
    """The writer is not disturbed, and what it writes meanwhile is no difference."""
    t.ingest(traffic.events(3, 2000))
    writer = t.start("run", "--listen", "127.0.0.1:0", "--rate", "2000", "--users", "500",
                     "--data", "site")
    data = ("--data", "site/demo")
    t.until(lambda: t.clickmill("verify", *data, check=None).code == 0, "first answers", process=writer)
    for _ in range(8):
        t.equal(account(t, *data, check=0)[1], [], "differences")
    writer.stop()


STRANGE = [  # (of totals, _id, document of another program)
    (False, "a-note", {"hello": "world"}),
    (False, "b-shape", {"window": "all", "url": ["/a"], "country": "Peru", "clicks": 2}),
    (False, "c-week", {"window": "week", "url": "/a", "country": "Peru", "clicks": 1}),
    (True, "d-sum", {"window": "all", "dimension": "site", "sum": "three"}),
    (True, "e-city", {"window": "all", "dimension": "city", "city": "Lima", "clicks": 1}),
    (True, "freshness:all", {"window": "all", "dimension": "freshness", "as_of": "today"})]


@slow
def test_foreign_documents(t):
    """What another program wrote ends nothing: it is shown, and so are all differences after it."""
    index = Index(test_answers.node("7.17"), "foreign")
    t.ingest(EVENTS)
    t.process("all")
    t.clickmill("process", "--window", "all", *index.options)
    t.equal(account(t, *index.options, check=0), (counts(2, 5), []), "before")
    cells = index.documents()
    peru = next(name for name, document in cells.items() if document["country"] == "Peru")
    index.request("POST", "/%s/_update/%s" % (index.alias, peru), {"doc": {"clicks": 7}})
    for totals, name, document in STRANGE:
        index.request("PUT", "/%s/_doc/%s?refresh=true" % (
            index.totals if totals else index.alias, name), document,
            check=200 if name.startswith("freshness") else 201)
    for window in ([], ["--window", "all"]):
        done, objects = account(t, *index.options, *window, check=DIFFER)
        t.equal(done, counts(2, 5, differ=1, foreign=5), "account")
        strange = [o for o in objects if o.get("foreign")]
        t.equal(sorted(((o["alias"], o["document"]) for o in strange), key=lambda pair: pair[1]),
                [(index.totals if totals else index.alias, name)
                 for totals, name, _ in STRANGE if not name.startswith("freshness")], "foreign")
        t.equal([o for o in objects if not o.get("foreign")],
                [{"window": "all", "dimension": "cell", "url": "/a", "country": "Peru",
                  "index": {"clicks": 7}, "events": {"clicks": 2}}], "the difference behind them")
    shown = t.clickmill("verify", *index.options, check=DIFFER)
    t.equal([line.split() for line in shown.out.splitlines() if "a-note" in line],
            [["-", "_id", "of", index.alias + ":", "a-note", "-", "(document)", "no", "answer",
              "none"]], "a line")
    t.true("6 differ: 1 with other numbers, 5 documents of another program" in shown.err, shown.err)
    # A rebuild makes an index in which they are not.
    t.clickmill("process", "--window", "all", "--rebuild", *index.options)
    t.equal(account(t, *index.options, check=0), (counts(2, 5), []), "after a rebuild")


@slow
def test_cluster(t):
    """Cassandra and Elasticsearch: every combination agrees; averages count to the last bit."""
    stack = test_answers.ENGINES.up()
    index = Index(stack.engine("elasticsearch"), "verified")
    kafka = ["--brokers", "127.0.0.1:%d" % stack.port("kafka"), "--topic", "verified", "--group",
             "verified"]
    cassandra = ["--store", "cassandra", "--cassandra-port", stack.port("cassandra"),
                 "--cassandra-keyspace", "verified"]
    t.clickmill("produce", "--sink", "kafka", "--count", 5000, "--urls", 50, "--users", 300, *kafka)
    t.clickmill("ingest", "--until-end", *kafka, *cassandra, "--cassandra-create", timeout=180)
    t.clickmill("process", "--window", "all,day", *cassandra, *index.options, timeout=180)
    for where in ([], index.options):
        done, objects = account(t, *cassandra, *where, check=0, timeout=180)
        t.equal((objects, done["newer"]), ([], 0), "differences")
        t.says(t.clickmill("verify", *where, check=USAGE), "--store cassandra")
    found = sorted(index.documents().items())
    name, document = next((n, d) for n, d in found[2:] if d.get("average_time_spent", 0) > 1)
    average = document["average_time_spent"]
    index.request("POST", "/%s/_update/%s?refresh=true" % (index.alias, name),
                  {"doc": {"average_time_spent": average + 2 ** -40}})
    index.request("DELETE", "/%s/_doc/%s?refresh=true" % (index.alias, found[0][0]))
    index.request("POST", "/%s/_doc?refresh=true" % index.alias, found[1][1], check=201)
    done, objects = account(t, *cassandra, *index.options, check=DIFFER, timeout=180)
    kept = [o for o in objects if o.get("index") == {"average_time_spent": average + 2 ** -40}]
    t.equal([(o["url"], o["country"], o["events"]) for o in kept],
            [(document["url"], document["country"], {"average_time_spent": average})],
            "an average")
    t.equal([(o["url"], o["country"]) for o in objects if o["index"] is None],
            [(found[0][1]["url"], found[0][1]["country"])], "missing")
    t.equal([(o["url"], o["country"]) for o in objects if o.get("twice")],
            [(found[1][1]["url"], found[1][1]["country"])], "twice")
    t.equal((done["differ"], done["missing"], done["unexpected"]), (1, 1, 1), "counts")
