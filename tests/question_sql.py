"""Answers to questions by SQL (DuckDB), an oracle that shares nothing with the program.

Window functions put each user's events in order and make sessions; a row of the table `row` is an
event with everything that dimensions and measures need. A question is one GROUP BY over it. Source and
channel of page views come from attribution.py, labels of time from Python's zoneinfo (the offsets of
the zone). Steps, comparison, order and limit are done here in plain Python.
"""

import json
import os
import re
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import attribution
import measures
import oracle
import question as q
from harness import ROOT, Skip

sys.path.append(os.path.join(ROOT, "build", "python"))
try:
    import duckdb
except ImportError:
    duckdb = None

DECIMAL = "DECIMAL(38, 9)"
TEXTS = ("row_key", "user_id", "url", "path", "host", "country", "city", "browser", "os", "device", "name",
         "referrer", *(field + "_own" for field in q.CAMPAIGN), "browser_version", "os_version", "region",
         "language", "source_own", "channel_own")
CREDITED = ("source", "channel", *q.CAMPAIGN)
ZONE_YEARS = (2024, 2028)

TABLES = """
CREATE TABLE ordered AS SELECT *, ts // 1000 AS second, name = 'pageview' AS pv,
    dense_rank() OVER (ORDER BY user_id) AS uid,
    row_number() OVER (PARTITION BY user_id ORDER BY ts, name <> 'pageview', row_key) AS number FROM event;
CREATE TABLE linked AS SELECT *,
    max(CASE WHEN pv THEN number END) OVER (PARTITION BY uid ORDER BY number) AS latest,
    max(CASE WHEN pv THEN number END) OVER (PARTITION BY uid, url ORDER BY number) AS latest_of_url
    FROM ordered;
CREATE TABLE gap AS SELECT uid, number, second, url, {credited_own},
    lead(second) OVER user - second AS after, second - lag(second) OVER user AS before,
    row_number() OVER user = 1 AS fresh
    FROM ordered WHERE pv WINDOW user AS (PARTITION BY uid ORDER BY number);
CREATE TABLE view AS SELECT *, before IS NULL OR before > {session} AS begins,
    after IS NULL OR after > {session} AS ends, sum(CASE WHEN before IS NULL OR before > {session} THEN 1 END)
    OVER (ORDER BY uid, number) AS sid FROM gap;
CREATE TABLE session AS SELECT sid, count(*) AS views, max(second) - min(second) AS duration,
    min(number) AS first, max(number) AS last, any_value(uid) AS uid FROM view GROUP BY sid;
CREATE TABLE visit AS SELECT s.sid, s.views, s.duration, f.url AS entry_page, l.url AS exit_page,
    {credited} FROM session s JOIN view f ON f.uid = s.uid AND f.number = s.first
    JOIN view l ON l.uid = s.uid AND l.number = s.last;
CREATE TABLE person AS SELECT uid, source_own AS first_source, channel_own AS first_channel,
    utm_campaign_own AS first_utm_campaign FROM view WHERE fresh;
CREATE TABLE engagement AS SELECT uid, latest_of_url AS number, max(engaged_ms) AS engaged FROM linked
    WHERE name = 'engagement' AND latest_of_url IS NOT NULL GROUP BY ALL;
CREATE TABLE row AS SELECT o.* EXCLUDE ({dropped}), n.sid, v.* EXCLUDE (sid), p.* EXCLUDE (uid), e.engaged,
    w.after, coalesce(w.begins, false) AS begins, coalesce(w.ends, false) AS ends,
    coalesce(w.fresh, false) AS fresh
    FROM linked o
    LEFT JOIN view n ON n.uid = o.uid AND n.number = o.latest AND o.second - n.second <= {session}
    LEFT JOIN visit v ON v.sid = n.sid
    LEFT JOIN person p ON p.uid = o.uid
    LEFT JOIN view w ON w.uid = o.uid AND w.number = o.number AND o.pv
    LEFT JOIN engagement e ON e.uid = o.uid AND e.number = o.number AND o.pv;
"""

COUNTERS = {
    "clicks": "count(*) FILTER (WHERE pv)",
    "unique_user_count": "count(DISTINCT uid) FILTER (WHERE pv)",
    "time_spent_sum": "coalesce(sum(after), 0)",
    "time_spent_count": "count(after)",
    "time_on_page_sum": "coalesce(sum(after) FILTER (WHERE after <= %d), 0)" % measures.SESSION_SECONDS,
    "time_on_page_count": "count(after) FILTER (WHERE after <= %d)" % measures.SESSION_SECONDS,
    "entrances": "count(*) FILTER (WHERE begins)",
    "exits": "count(*) FILTER (WHERE ends)",
    "events": "count(*) FILTER (WHERE name <> 'engagement')",
    "event_user_count": "count(DISTINCT uid) FILTER (WHERE name <> 'engagement')",
    "visits": "count(DISTINCT sid) FILTER (WHERE pv)",
    "bounces": "count(*) FILTER (WHERE begins AND views = 1)",
    "visit_duration_sum": "coalesce(sum(duration) FILTER (WHERE begins), 0)",
    "engaged_ms_sum": "coalesce(sum(engaged), 0)",
    "engaged_count": "count(engaged)",
    "new_user_count": "count(*) FILTER (WHERE fresh)",
}


def text(value):
    """A string of SQL."""
    return "'%s'" % value.replace("'", "''")


def name_of(value):
    return '"%s"' % value.replace('"', '""')


def load(events, directory):
    """A database of the events that count. `directory` takes a file for a moment."""
    if duckdb is None:
        raise Skip("the Python package duckdb is not installed (scripts/setup.sh test installs it)")
    counted = list(oracle.counted(events).values())
    keys = set()
    path = os.path.join(directory, "events-of-the-oracle.json")
    with open(path, "w", encoding="utf-8") as file:
        for event in counted:
            row = row_of(event)
            keys.update(name for name in row if name.startswith("p."))
            file.write(json.dumps(row) + "\n")
    database = duckdb.connect(config={"threads": 2})
    columns = {**{name: "VARCHAR" for name in TEXTS}, "ts": "BIGINT", "engaged_ms": "BIGINT",
               **{name: "VARCHAR" for name in sorted(keys)},
               **{"n" + name[1:]: DECIMAL for name in sorted(keys)}}
    database.execute("CREATE TABLE event AS SELECT * FROM read_json(%s, format = 'newline_delimited', columns = {%s})" % (
        text(path), ", ".join("%s: %s" % (text(name), text(kind)) for name, kind in columns.items())))
    os.remove(path)
    for statement in TABLES.format(
            session=measures.SESSION_SECONDS,
            credited_own=", ".join(name + "_own" for name in CREDITED),
            credited=", ".join("f.%s_own AS %s" % (name, name) for name in CREDITED),
            dropped=", ".join(["row_key", "latest", "latest_of_url", "number", "user_id"] + [
                name + "_own" for name in CREDITED])).split(";\n"):
        if statement.strip():
            database.execute(statement)
    return database


def row_of(event):
    """The columns of an event that SQL does not make."""
    name, url = event.get("name", "pageview"), event["url"]
    own = attribution.campaign(event)
    row = {column: event.get(column) for column in TEXTS if column in event}
    row.update(name=name, ts=event["timestamp"], engaged_ms=event.get("engaged_ms"),
               path=attribution.path_of(url), host=attribution.host_of(url) or None,
               referrer=attribution.external(url, event.get("referrer")))
    if name == "pageview":
        row["source_own"], row["channel_own"] = attribution.origin(
            url, event.get("referrer"), tuple(own.values()))
        row.update((field + "_own", value) for field, value in own.items())
    for key, value in props_of(event).items():
        row["p." + key] = value
        number = measures.number(value)
        row["n." + key] = None if number is None else format(number, "f")
    return row


def props_of(event):
    """The text of each property."""
    props = json.loads(event["props"], parse_int=str, parse_float=str) if "props" in event else {}
    return {key: {True: "true", False: "false"}[value] if isinstance(value, bool) else value
            for key, value in props.items()}


# ---- expressions

def offset(zone):
    """SQL of a zone's offset in seconds, by the changes of the zone in these years."""
    def at(second):
        return int(datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset() / timedelta(seconds=1))
    low = int(datetime(ZONE_YEARS[0], 1, 1).timestamp())
    high, step = int(datetime(ZONE_YEARS[1], 1, 1).timestamp()), 86400 * 5
    cases, before = [], at(low)
    first = before
    for second in range(low, high, step):
        if at(second + step) != at(second):
            left, right = second, second + step
            while right - left > 1:
                middle = (left + right) // 2
                left, right = (middle, right) if at(middle) == at(second) else (left, middle)
            cases.append("WHEN second >= %d THEN %d" % (right, at(right)))
    return "CASE %s ELSE %d END" % (" ".join(reversed(cases)), first) if cases else str(first)


def dimension(name, zone):
    """SQL of a dimension; absent is NULL."""
    key = q.prop_key(name)
    if key is not None:
        return name_of("p." + key)
    if name not in q.TIME:
        return name
    at = "make_timestamp((second + (%s)) * 1000000)" % offset(zone)
    return {"hour": "strftime(%s, '%%Y-%%m-%%d %%H:00:00')", "day": "strftime(%s, '%%Y-%%m-%%d')",
            "week": "strftime(date_trunc('week', %s), '%%Y-%%m-%%d')",
            "month": "strftime(%s, '%%Y-%%m-01')", "weekday": "isodow(%s)::VARCHAR",
            "hour_of_day": "hour(%s)::VARCHAR"}[name] % at


def holds(condition, zone):
    """SQL of a condition, which is true or false for each event."""
    op, values = condition.op, condition.values
    value = dimension(condition.dimension, zone) if condition.dimension != "engaged_ms" else "engaged"
    if op in ("is empty", "is not empty"):
        return "%s %s NULL" % (value, "IS" if op == "is empty" else "IS NOT")
    if op in ("=", "!=", "in", "not in"):
        found = "coalesce(%s IN (%s), false)" % (value, ", ".join(map(text, values)))
        return found if op in ("=", "in") else "NOT " + found
    if op in ("~", "!~"):
        pattern = "".join({"*": ".*", "?": "."}.get(char) or re.sub(r"([^\w\s/])", r"\\\1", char)
                          for char in values[0])
        found = "coalesce(regexp_full_match(%s, %s, 's'), false)" % (value, text(pattern))
        return found if op == "~" else "NOT " + found
    key = q.prop_key(condition.dimension)
    if key is not None:
        return "coalesce(%s %s %s::%s, false)" % (name_of("n." + key), op, text(values[0]), DECIMAL)
    if condition.dimension in (*q.NUMERIC, "engaged_ms"):
        return "coalesce(%s::BIGINT %s %s, false)" % (value, op, values[0])
    return "coalesce(%s %s %s, false)" % (value, op, text(values[0]))


def selection(question, span):
    """SQL of the events that the question selects."""
    ends = [sql for sql, end in (("ts >= %s", span[0]), ("ts < %s", span[1])) if end is not None
            for sql in [sql % end]]
    kept = [holds(one, question.zone) for one in question.where]
    for column, conditions in (("sid", question.where_visit), ("uid", question.where_user)):
        kept += ["%s IN (SELECT %s FROM inside WHERE %s AND %s IS NOT NULL)" % (
            column, column, holds(one, question.zone), column) for one in conditions]
    return "WITH inside AS (SELECT * FROM row WHERE %s), chosen AS (SELECT * FROM inside WHERE %s)" % (
        " AND ".join(ends) or "true", " AND ".join(kept) or "true")


# ---- answers

def needed(names):
    """SQL by name of what the measures are made of."""
    found = {}
    for name in names:
        if name in q.QUOTIENTS:
            found.update((part, COUNTERS[part]) for part in q.QUOTIENTS[name])
        elif ":" in name:
            key = q.prop_key(name.partition(":")[2])
            number = name_of("n." + key)
            found["sum:" + key] = "coalesce(sum(%s), 0)" % number
            found["count:" + key] = "count(%s)" % number
            found["left_out:" + key] = "count(%s) - count(%s)" % (name_of("p." + key), number)
        else:
            found[name] = COUNTERS[name]
    found["events"] = COUNTERS["events"]
    return found


def figures(names, numbers):
    """The measures of a group, None where absent."""
    found = []
    for name in names:
        if name in q.QUOTIENTS:
            total, count = (numbers[part] for part in q.QUOTIENTS[name])
            found.append(measures.quotient(int(total), int(count)))
        elif ":" in name:
            kind, key = name.partition(":")[0], q.prop_key(name.partition(":")[2])
            if kind == "average":
                found.append(measures.quotient(Fraction(numbers["sum:" + key]), numbers["count:" + key]))
            else:
                found.append(numbers["%s:%s" % (kind, key)])
        else:
            found.append(int(numbers[name]))
    return found


def cells(database, question, span, columns):
    """The exact numbers by group, for these dimensions; without dimensions one group, which is ()."""
    parts = needed(question.measures)
    rows = database.execute("%s SELECT %s FROM chosen %s" % (
        selection(question, span),
        ", ".join([dimension(name, question.zone) for name in columns] + list(parts.values())),
        "GROUP BY ALL" if columns else "")).fetchall()
    return {row[:len(columns)]: dict(zip(parts, row[len(columns):])) for row in rows}


def groups(database, question, span):
    return {group: figures(question.measures, numbers)
            for group, numbers in cells(database, question, span, question.by).items()
            if not question.by or numbers["events"] > 0}


def nothing(question):
    """The measures of a group without events."""
    return figures(question.measures, dict.fromkeys(needed(question.measures), 0))


def step_labels(database, question, span):
    """The steps of a span, also empty ones; an open end is the first or last selected event."""
    first, last = database.execute("%s SELECT min(ts), max(ts) FROM chosen WHERE name <> 'engagement'" %
                                   selection(question, span)).fetchone()
    first = span[0] if span[0] is not None else first
    last = span[1] - 1 if span[1] is not None else last
    if first is None or last is None or first > last:
        return []
    return q.steps(first, last, question.zone, question.step)


def order_of(name, value):
    """What a value of a dimension is sorted by: its bytes, a time its place; absent is last."""
    if value is None:
        return True, 0
    return False, int(value) if name in q.NUMERIC else value.encode()


def in_order(question, listed):
    """The groups: greatest first, or the first text first, absent last; then by their dimensions."""
    sort = question.sort or question.measures[0]

    def key(group):
        if sort in question.by:
            return order_of(sort, group[question.by.index(sort)])
        value = listed[group][0][question.measures.index(sort)]
        return value is None, 0 if value is None else -Fraction(value)
    groups = sorted(listed, key=lambda group: [order_of(*pair) for pair in zip(question.by, group)])
    there = sorted((group for group in groups if not key(group)[0]), key=key)
    if question.reverse:  # equals keep their order
        there = sorted(there[::-1], key=key)[::-1]
    return there + [group for group in groups if key(group)[0]]


def change(now, before):
    """(M - before) / before; None where it is absent."""
    if now is None or not before:
        return None
    return float((Fraction(now) - Fraction(before)) / Fraction(before))


def answer(database, question, now=None):
    """The rows of a question: values of dimensions (text or None), then figures. With steps: all steps
    of a group, then those of the next one."""
    spans = [question.span(now)] + ([question.before(now)] if question.compare else [])
    found = [groups(database, question, span) for span in spans]
    if not question.by:
        found = [{(): sides.get((), nothing(question))} for sides in found]
    empty = nothing(question)
    listed = {group: [sides.get(group, empty) for sides in found] for sides in found for group in sides}
    order = in_order(question, listed)[question.offset:][:question.limit or None]
    if not question.step:
        return [[*group, *together(question, listed[group])] for group in order]
    labels = [step_labels(database, question, span) for span in spans]
    parts = [{group: figures(question.measures, numbers) for group, numbers in
              cells(database, question, span, question.columns).items()} for span in spans]
    return [[label, *group, *together(question, [
        side.get((at_label[at] if at < len(at_label) else None, *group), empty)
        for side, at_label in zip(parts, labels)])]
        for group in order for at, label in enumerate(labels[0])]


def together(question, sides):
    """The figures of a row; with a comparison three for each measure."""
    if not question.compare:
        return sides[0]
    return [value for now, before in zip(*sides) for value in (now, before, change(now, before))]


def decimal_text(value):
    """A sum without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_text(value):
    """A cell as CSV shows it, except reals."""
    if value is None:
        return ""
    return decimal_text(value) if isinstance(value, Decimal) else str(value)
