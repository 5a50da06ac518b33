"""The contract once more, in plain SQL: what the answers of a set of events must be.

Nothing here is shared with the program: window functions of SQLite order each user's events by
(timestamp, row_key) and look at both neighbours. Averages are Python's correctly rounded division.
Which of several copies of an event counts is decided before, in plain Python.
"""

import csv
import io
import sqlite3
import struct
import uuid
from datetime import datetime, timezone

LENGTH = {"all": None, "day": 86400000, "hour": 3600000}
SESSION_SECONDS = 1800

TIMELINE = """
CREATE TABLE timeline AS
SELECT url, country, user_id, timestamp,
       LEAD(timestamp) OVER user / 1000 - timestamp / 1000 AS after,
       timestamp / 1000 - LAG(timestamp) OVER user / 1000 AS before
FROM event
WHERE name = 'pageview'
WINDOW user AS (PARTITION BY user_id ORDER BY timestamp, row_key)
"""

ANSWERS = """
SELECT {window} AS window_start, url, country, count(*), count(DISTINCT user_id),
       coalesce(sum(after), 0), count(after),
       coalesce(sum(after) FILTER (WHERE after <= :session), 0),
       count(*) FILTER (WHERE after <= :session),
       count(*) FILTER (WHERE before IS NULL OR before > :session),
       count(*) FILTER (WHERE after IS NULL OR after > :session)
FROM timeline
GROUP BY 1, 2, 3
ORDER BY 2, 3, 1
"""


def row_key(user_id, timestamp):
    """The row key of an event that has none."""
    return uuid_of("%s_%d" % (user_id, timestamp))


def uuid_of(name):
    """The UUIDv5 of a name in the DNS name space."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


OPTIONAL = ("country", "city", "browser", "os", "device")
EXTRA = ("name", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
         "browser_version", "os_version", "region", "language", "props", "engaged_ms")
ESCAPES = {code: "\\u%04x" % code for code in range(32)}
ESCAPES.update({ord('"'): '\\"', ord("\\"): "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"})


def extras(event):
    """The optional fields that have a value, in the contract's order; props in their canonical form."""
    found = {name: event[name] for name in EXTRA if event.get(name) not in (None, "")}
    if found.get("name") == "pageview":
        del found["name"]
    if "props" in found:
        props = [(key, value) for key, value in found["props"].items() if value not in (None, "")]
        found["props"] = json_object(sorted(props, key=lambda prop: prop[0].encode()))
        if not props:
            del found["props"]
    if "engaged_ms" in found:
        found["engaged_ms"] = int(found["engaged_ms"])
    return found


def json_text(value):
    """A value as it stands in canonical JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return '"%s"' % value.translate(ESCAPES) if isinstance(value, str) else str(value)


def json_object(items):
    return "{%s}" % ", ".join("%s: %s" % (json_text(key), json_text(value)) for key, value in items)


def derived_key(event):
    """The row key of an event that states none, which may be no page view."""
    more = extras(event)
    if "name" not in more:
        return row_key(event["user_id"], event["timestamp"])
    parts = (more["name"], event["url"], more.get("props", ""))
    return uuid_of("%s_%d_" % (event["user_id"], event["timestamp"]) +
                   "".join("%d:%s" % (len(part.encode()), part) for part in parts))


def whole(event):
    """The event with all nine fields and its optional ones, in the contract's order."""
    return {"row_key": event.get("row_key") or derived_key(event), "user_id": event["user_id"],
            "timestamp": event["timestamp"], "url": event["url"],
            **{name: event.get(name) or "Unknown" for name in OPTIONAL}, **extras(event)}


def canonical_of(whole_event):
    return "{%s}" % ", ".join("%s: %s" % (json_text(name), value if name == "props" else json_text(value))
                              for name, value in whole_event.items())


def canonical(event):
    """The line of `export`, without its end."""
    return canonical_of(whole(event))


def rank(event):
    """Of copies the one with the greatest counts: more stated fields, then greater JSON. The event is
    a whole one."""
    stated = sum(event[name] != "Unknown" for name in OPTIONAL) + sum(name in event for name in EXTRA)
    return stated, canonical_of(event).encode()


def counted(events):
    """The events that count, whole, by row key, user and time; of copies one."""
    copies = {}
    for event in events:
        event = whole(event)
        copies.setdefault((event["row_key"], event["user_id"], event["timestamp"]), []).append(event)
    return {name: found[0] if all(other == found[0] for other in found[1:]) else max(
        found, key=rank) for name, found in copies.items()}


def load(events):
    """A database of the events that count."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE event (row_key TEXT, user_id TEXT, timestamp INTEGER, url TEXT,"
                     " country TEXT, name TEXT, PRIMARY KEY (row_key, user_id, timestamp)) WITHOUT ROWID")
    database.executemany(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
        ((event["row_key"], event["user_id"], event["timestamp"], event["url"], event["country"],
          event.get("name", "pageview")) for event in counted(events).values()))
    database.execute(TIMELINE)
    return database


def answers(database, window):
    """The rows of a window, as parse() has them, sorted by url, country, window start."""
    length = LENGTH[window]
    start = "0" if length is None else "timestamp / %d * %d" % (length, length)
    rows = database.execute(ANSWERS.format(window=start), {"session": SESSION_SECONDS})
    return [(start, url, country, clicks, users, bits(total, count), total, count,
             bits(page_total, page_count), entrances, exits)
            for start, url, country, clicks, users, total, count, page_total, page_count, entrances,
            exits in rows]


def bits(total, count):
    """The 64 bits of an average; None where it is absent."""
    return None if count == 0 else struct.pack(">d", total / count).hex()


def parse(text, window):
    """The CSV of `clickmill query`, as comparable tuples: averages are their exact bits."""
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader)
    names = ["window"] if window != "all" else []
    assert header == names + [
        "url", "country", "clicks", "unique_user_count", "average_time_spent", "time_spent_sum",
        "time_spent_count", "average_time_on_page", "entrances", "exits"], header
    rows = []
    for row in reader:
        start = 0 if window == "all" else milliseconds(row.pop(0))
        url, country, clicks, users, average, total, count, on_page, entrances, exits = row
        rows.append((start, url, country, int(clicks), int(users), read_bits(average), int(total),
                     int(count), read_bits(on_page), int(entrances), int(exits)))
    return rows


def read_bits(text):
    return struct.pack(">d", float(text)).hex() if text else None


def milliseconds(text):
    """Milliseconds since the epoch of an RFC 3339 time."""
    passed = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return passed.days * 86400000 + passed.seconds * 1000 + passed.microseconds // 1000


def compare(test, events, window_texts):
    """Fails unless the CSV texts by window are exactly the answers of the events."""
    database = load(events)
    for window, text in window_texts.items():
        wanted, got = answers(database, window), parse(text, window)
        if got == wanted:
            continue
        missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
        raise AssertionError("window %s: %d rows were expected, got %d\n%s" % (
            window, len(wanted), len(got), "\n".join(
                ["- %r" % (row,) for row in missing[:10]] + ["+ %r" % (row,) for row in extra[:10]])
            or "the order differs"))
    database.close()
