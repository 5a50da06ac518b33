"""Golden tests of the contract: tests/golden/NAME.txt.

A file contains events and the exact CSV that `clickmill query --sort url` prints for them:

    # The subject of the test.
    events
    ann | 2026-03-01T10:00:00Z | /a | France | key-1
    ann | 2026-03-01T10:00:30Z | /b | France
    answers all
    /a,France,1,1,30.0,30,1,30.0,1,0
    /b,France,1,1,,0,0,,0,1

An event is user | time | url | country | row key | optional fields; the time is RFC 3339 or an integer of
milliseconds; country, row key and optional fields may be missing; "-" is a missing country or row key, "" an
empty country; the optional fields are a JSON object. The header of the CSV is omitted, because it is always the same. The numbers are computed by hand. Each file runs in
three ways: in its order, reversed, and one event per import with a process after each.
"""

import json
import os

import oracle
from harness import CSV_HEADER, ROOT

DIRECTORY = os.path.join(ROOT, "tests", "golden")
FIELDS = ("user_id", "timestamp", "url", "country", "row_key", "more")


def parse(path):
    """(events, {window: CSV text}) of a golden file."""
    events, answers, section = [], {}, None
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line == "events":
                section = events
            elif line.startswith("answers "):
                section = answers.setdefault(line.split()[1], [])
            elif not line.strip() or line.startswith("#"):
                continue
            elif section is events:
                section.append(event(line))
            else:
                section.append(line)
    return events, {window: ("" if window == "all" else "window,") + CSV_HEADER +
                    "".join(row + "\n" for row in rows) for window, rows in answers.items()}


def event(line):
    fields = dict(zip(FIELDS, (text.strip() for text in line.split(" | "))))
    if fields["timestamp"].isdigit():
        fields["timestamp"] = int(fields["timestamp"])
    fields.update(json.loads(fields.pop("more", "{}")))
    for name in ("country", "row_key"):
        if fields.get(name) == "-":
            del fields[name]
    if fields.get("country") == '""':
        fields["country"] = ""
    return fields


def check(test, path):
    events, wanted = parse(path)
    test.true(events and "all" in wanted, "no events, or no answers for window all")
    # Compares the numbers of the file with the contract in SQL: two readings of the same text.
    plain = [dict(entry, timestamp=entry["timestamp"] if isinstance(entry["timestamp"], int)
                  else oracle.milliseconds(entry["timestamp"])) for entry in events]
    oracle.compare(test, plain, wanted)
    distinct = len({oracle.whole(entry)["row_key"] for entry in plain})

    test.ingest(events, data="forward")
    test.ingest(reversed(events), data="backward")
    for data in ("forward", "backward"):
        test.process(*wanted, data=data)
    for entry in events:
        test.ingest(json.dumps(entry, ensure_ascii=False), data="single")
        account = test.process(*wanted, data="single")
    test.equal((account["events"], account["duplicates"]), (distinct, len(events) - distinct),
               "events and duplicates")
    for data in ("forward", "backward", "single"):
        for window, text in wanted.items():
            test.equal(test.answers(window, data), text, "window %s, %s" % (window, data))


def tests():
    for name in sorted(os.listdir(DIRECTORY)):
        if name.endswith(".txt"):
            path = os.path.join(DIRECTORY, name)
            yield "golden/" + name[:-4], lambda test, path=path: check(test, path)
