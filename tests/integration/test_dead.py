"""Dead letters: many are replayed at once, and no address of theirs is anywhere in the clear."""

import json

from disk_support import Faults
from harness import IO, USAGE

SECONDS = 1772359200


def letters(t, count):
    """Events whose times are too large a step back: dead until seconds are told."""
    lines = "".join('{"user_id":"u%d","timestamp":"%d","url":"/"}\n' % (n, SECONDS + n)
                    for n in range(count))
    account = t.ingest(lines)
    t.equal(account["rejected"], count, "dead letters")


def replay(t, *options, check=0, **more):
    return t.clickmill("dead", "replay", "--time-unit", "s", "--json", *options, check=check, **more)


def syncs(faults):
    return sum(event.kind == "S" and event.path.endswith("-wal") for event in faults.trace().events)


def test_letters_are_synced_together(t):
    letters(t, 2500)
    faults = Faults(t)
    account = replay(t, env=faults.env).json
    t.equal((account["read"], account["accepted"]), (2500, 2500), "account")
    t.equal(t.clickmill("dead", "list").out, "", "letters that are left")
    t.equal(len(t.clickmill("export").out.splitlines()), 2500, "events")
    t.true(1 <= syncs(faults) <= 30, "%d syncs of 2,500 letters" % syncs(faults))


def test_all_numbers_are_checked_first(t):
    """A wrong number among many: no letter is replayed, also not those of the first commit."""
    letters(t, 1200)
    numbers = [str(number) for number in range(1, 1201)]
    for wrong in ("9999", "x"):
        t.says(replay(t, *numbers, wrong, check=USAGE), wrong)
        t.equal(t.clickmill("export").out, "", "events")
        t.equal(len(t.clickmill("dead", "list").out.splitlines()), 1200, "letters that are left")
    t.equal(replay(t, *numbers).json["accepted"], 1200, "replayed")


def test_what_is_not_durable_is_dead_still(t):
    """A sync that fails takes its thousand letters back, whole."""
    letters(t, 1500)
    faults = Faults(t)
    faults.fail("wal", 1)
    t.says(replay(t, check=IO, env=faults.env), "data/clickmill.db")
    left = len(t.clickmill("dead", "list").out.splitlines())
    t.equal(left + len(t.clickmill("export").out.splitlines()), 1500, "letters and events")
    account = replay(t).json
    t.equal(account["accepted"], left, "the rest")
    events = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.equal(sorted(one["user_id"] for one in events), sorted("u%d" % n for n in range(1500)), "events")


def test_optional_fields(t):
    """A letter keeps what was sent; replayed, its event has the optional fields."""
    event = {"user_id": "ann", "timestamp": str(SECONDS), "url": "/", "name": "signup",
             "utm_campaign": "spring", "props": {"value": 10.50, "plan": "pro", "none": None}}
    engaged = {"user_id": "ann", "timestamp": str(SECONDS), "url": "/", "name": "engagement"}
    nested = {"user_id": "ann", "timestamp": str(SECONDS), "url": "/", "props": {"a": {"b": 1}}}
    t.equal(t.ingest([event, {**engaged, "engaged_ms": 1500}, engaged, nested])["rejected"], 4,
            "dead letters")
    t.equal(json.loads(t.clickmill("dead", "show", "1").out.splitlines()[-1]), event, "the letter")
    account = replay(t, check=None).json
    t.equal((account["accepted"], account["rejected"]), (2, 2), "replayed")
    got = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.equal([(one["name"], one.get("props"), one.get("engaged_ms")) for one in got],
            [("signup", {"plan": "pro", "value": 10.5}, None), ("engagement", None, 1500)], "events")
    t.true('"props": {"plan": "pro", "value": 10.5}' in t.clickmill("export").out, "canonical props")
    t.ingest([{**engaged, "timestamp": SECONDS * 1000}, {**nested, "timestamp": SECONDS * 1000}])
    letters = t.clickmill("dead", "list").out
    t.equal(len(letters.splitlines()), 4, "letters that are left, and two more")
    t.equal((letters.count("engaged_ms is missing"), letters.count("props must be flat")), (1, 1),
            "their reasons")
