"""The oracle of the second edition's measures, against numbers that were computed by hand.

Questions are answered by the program in the commands that ask them; what they must say is here."""

import json
import os
import random
import shlex
from decimal import Decimal

import measures
from harness import ROOT, Skip

SHARED = os.path.join(ROOT, "..", "shared", "questions")


def event(user, time, url, **more):
    """An event at a time of 2026-03-01 in seconds from 10:00 UTC."""
    return {"user_id": user, "timestamp": 1772359200000 + round(time * 1000), "url": url, **more}


# ann: a visit of three views and two other events, a bounce 2,401 s later; ben: only a custom event;
# cat: only engagement; dan: a bounce with engagement around it.
EVENTS = [
    event("ann", 0, "/a?utm_source=news&gclid=x", country="Chile"),
    event("ann", 10, "/a?utm_source=news&gclid=x", country="Chile", name="engagement", engaged_ms=9000),
    event("ann", 30.9, "/b", country="Chile", name="buy", props={"value": 10.5, "size": "L"}),
    event("ann", 31.1, "/b", country="Chile"),
    event("ann", 1831, "/c", country="Peru", name="buy", props={"value": "0.25", "size": "XL"}),
    event("ann", 1831.5, "/c", country="Chile"),
    event("ann", 4232, "/a?utm_source=news&gclid=x", country="Chile"),
    event("ben", 5, "/a", country="Chile", name="buy", props={"value": "ten"}),
    event("cat", 5, "/a", country="Cuba", name="engagement", engaged_ms=1),
    event("dan", 90, "/b", country="Peru", name="engagement", engaged_ms=70000),
    event("dan", 100, "/b", country="Peru"),
    event("dan", 115, "/b", country="Peru", name="engagement", engaged_ms=15000),
    event("dan", 145, "/b", country="Peru", name="engagement", engaged_ms=40000),
    event("dan", 145, "/b", country="Peru", name="engagement", engaged_ms=40000),
]


def test_total(t):
    database = measures.load(EVENTS)
    wanted = {
        "clicks": 5, "unique_user_count": 2, "events": 8, "event_user_count": 3,
        # ann: 31 + 1,800 + 2,401; the floors of 0, 31.1, 1,831.5 and 4,232.
        "time_spent_sum": 4232, "time_spent_count": 3, "average_time_spent": 4232 / 3,
        "time_on_page_sum": 1831, "time_on_page_count": 2, "average_time_on_page": 915.5,
        "entrances": 3, "exits": 3, "visits": 3, "views_per_visit": 5 / 3, "bounces": 2, "bounce_rate": 2 / 3,
        "visit_duration_sum": 1831, "average_visit_duration": 1831 / 3,
        "engaged_ms_sum": 49000, "engaged_count": 2, "average_engaged_ms": 24500.0, "new_user_count": 2,
        "sum:props.value": Decimal("10.75"), "count:props.value": 2, "average:props.value": 5.375,
        "left_out:props.value": 1}
    t.equal(set(measures.MEASURES) - set(wanted), set(), "every measure has a number")
    t.equal(dict(zip(wanted, measures.answer(database, [], list(wanted))[0])), wanted, "total")


def test_groups(t):
    database = measures.load(EVENTS)
    names = ["clicks", "unique_user_count", "events", "visits", "bounces", "new_user_count", "engaged_ms_sum"]
    t.equal(measures.answer(database, ["country"], names),
            [["Chile", 4, 1, 6, 2, 1, 1, 9000], ["Peru", 1, 1, 2, 1, 1, 1, 40000]],
            "cat has only engagement: no group Cuba")
    t.equal(measures.answer(database, ["name"], ["events", "event_user_count", "visits", "clicks"]),
            [["buy", 3, 2, 0, 0], ["pageview", 5, 2, 3, 5]], "by name")
    # The buy at 1,831 s is 1,800 s after the last view and belongs to the visit; that of ben to none.
    t.equal(measures.answer(database, ["utm_source", "utm_medium", "exit_page"], ["events", "visits", "entrances"]),
            [[None, None, None, 1, 0, 0], [None, None, "/b", 1, 1, 1],
             ["news", "cpc", "/a?utm_source=news&gclid=x", 1, 1, 1], ["news", "cpc", "/c", 5, 1, 1]],
            "by the visit")
    t.equal(measures.answer(database, ["props.size"], ["events", "sum:props.value"]),
            [[None, 6, Decimal(0)], ["L", 1, Decimal("10.5")], ["XL", 1, Decimal("0.25")]], "by a property")
    t.equal(measures.answer(database, [], ["clicks", "entrances", "bounces"], "url = '/b'"), [[2, 1, 1]],
            "a condition changes no neighbour")


def test_any_order(t):
    """Neither the order of the events nor repetitions change a number."""
    names = [*measures.MEASURES, "sum:props.value", "left_out:props.value"]
    wanted = [measures.answer(measures.load(EVENTS), by, names) for by in ([], ["url"], ["country", "name"])]
    random.seed(18)
    for _ in range(20):
        events = EVENTS + random.choices(EVENTS, k=5)
        random.shuffle(events)
        database = measures.load(events)
        t.equal([measures.answer(database, by, names) for by in ([], ["url"], ["country", "name"])], wanted,
                "shuffled and repeated")


def test_shared_questions(t):
    """The numbers of the shared cases whose dimensions the oracle has."""
    if not os.path.isdir(SHARED):
        raise Skip("../shared/questions is not there")
    compared = 0
    for case in sorted(os.listdir(SHARED)):
        folder = os.path.join(SHARED, case)
        if not os.path.exists(os.path.join(folder, "in.jsonl")) or "limits" in case:
            continue
        with open(os.path.join(folder, "in.jsonl"), encoding="utf-8") as file:
            database = measures.load([json.loads(line, parse_float=str) for line in file])
        with open(os.path.join(folder, "expected.txt"), encoding="utf-8") as file:
            expected = file.read().splitlines()
        with open(os.path.join(folder, "cmd"), encoding="utf-8") as file:
            for line in file:
                compared += compare(t, database, case, shlex.split(line), expected)
    t.true(compared >= 9, "%d questions were compared" % compared)


def compare(t, database, case, words, expected):
    """1 when the question was one that the oracle answers and its answer stands once in the file."""
    if words[:2] != ["q", "--by"] or len(words) != 5 or set(words[2].split(",")) & {
            "source", "channel", "referrer", "path", "week"}:
        return 0
    by, names = [name for name in words[2].split(",") if name], words[4].split(",")
    heading = ",".join(by + names)
    if expected.count(heading) != 1:
        return 0
    rows = sorted(",".join("" if value is None else str(value) for value in row)
                  for row in measures.answer(database, by, names))
    at = expected.index(heading) + 1
    t.equal(expected[at:at + len(rows)], rows, "%s: %s" % (case, shlex.join(words)))
    return 1
