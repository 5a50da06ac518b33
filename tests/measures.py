"""Every measure of the contract's second edition, in plain SQL: an oracle for questions.

Nothing here is shared with the program. The events are those that count (oracle.counted); a table
puts each user's events in order, another one makes sessions of the page views, and each measure is
an expression over one of three kinds of rows: events, page views, sessions. Sums of properties are
decimals; averages and rates are correctly rounded quotients.

A question is a list of dimensions and a list of measures. Dimensions are columns of an event, of its
session (`entry_page`, `exit_page` and the campaign), or `day`, `month`, `hour` in UTC; `props.KEY`
is the text of a property. A condition selects events as they stand and changes no neighbour.
"""

import json
import re
import sqlite3
from decimal import Decimal
from fractions import Fraction

import oracle
from attribution import CAMPAIGN, campaign
from question import QUOTIENTS

SESSION_SECONDS = 1800
COLUMNS = ("row_key", "user_id", "timestamp", "url", "country", "city", "browser", "os", "device",
           "name", "referrer", *CAMPAIGN, "browser_version", "os_version", "region", "language", "props",
           "engaged_ms")

TABLES = """
CREATE TABLE ordered AS SELECT *, timestamp / 1000 AS second, row_number() OVER (
    PARTITION BY user_id ORDER BY timestamp, name <> 'pageview', row_key) AS number FROM event;
CREATE TABLE gap AS SELECT *,
    lead(second) OVER user - second AS after, second - lag(second) OVER user AS before,
    lead(number) OVER (PARTITION BY user_id, url ORDER BY number) AS next_of_url,
    row_number() OVER user AS nth
    FROM ordered WHERE name = 'pageview' WINDOW user AS (PARTITION BY user_id ORDER BY number);
CREATE TABLE view AS SELECT *, sum(before IS NULL OR before > :session) OVER (
    PARTITION BY user_id ORDER BY number) AS session FROM gap;
CREATE TABLE session AS SELECT DISTINCT user_id, session,
    count(*) OVER one AS views, first_value(number) OVER one AS first, last_value(number) OVER one AS last,
    last_value(second) OVER one - first_value(second) OVER one AS duration,
    first_value(url) OVER one AS entry_page, last_value(url) OVER one AS exit_page,
    {campaign}
    FROM view WINDOW one AS (PARTITION BY user_id, session ORDER BY number
                             ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING);
CREATE TABLE latest AS SELECT o.user_id, o.number,
    (SELECT max(v.number) FROM view v WHERE v.user_id = o.user_id AND v.number <= o.number) AS view
    FROM ordered o;
CREATE TABLE row AS SELECT o.*, s.session, s.entry_page, s.exit_page, s.views, s.duration, s.first,
    {of_session},
    v.after, v.before, v.nth,
    date(o.second, 'unixepoch') AS day, date(o.second, 'unixepoch', 'start of month') AS month,
    strftime('%Y-%m-%d %H:00:00', o.second, 'unixepoch') AS hour,
    CASE WHEN o.name = 'pageview' THEN (
        SELECT max(e.engaged_ms) FROM ordered e WHERE e.user_id = o.user_id AND e.url = o.url
        AND e.name = 'engagement' AND e.number > o.number
        AND e.number < coalesce(v.next_of_url, e.number + 1)) END AS engaged
    FROM ordered o JOIN latest l USING (user_id, number)
    LEFT JOIN view near ON near.user_id = o.user_id AND near.number = l.view
        AND o.second - near.second <= :session
    LEFT JOIN session s ON s.user_id = near.user_id AND s.session = near.session
    LEFT JOIN view v ON v.user_id = o.user_id AND v.number = o.number;
"""

PAGE_VIEW = "name = 'pageview'"
ENTRANCE = PAGE_VIEW + " AND (before IS NULL OR before > 1800)"
# Sums and counts are exact integers of the rows of a group.
EXACT = {
    "clicks": "count(*) FILTER (WHERE %s)" % PAGE_VIEW,
    "unique_user_count": "count(DISTINCT user_id) FILTER (WHERE %s)" % PAGE_VIEW,
    "time_spent_sum": "coalesce(sum(after), 0)",
    "time_spent_count": "count(after)",
    "time_on_page_sum": "coalesce(sum(after) FILTER (WHERE after <= 1800), 0)",
    "time_on_page_count": "count(after) FILTER (WHERE after <= 1800)",
    "entrances": "count(*) FILTER (WHERE %s)" % ENTRANCE,
    "exits": "count(*) FILTER (WHERE %s AND (after IS NULL OR after > 1800))" % PAGE_VIEW,
    "events": "count(*) FILTER (WHERE name <> 'engagement')",
    "event_user_count": "count(DISTINCT user_id) FILTER (WHERE name <> 'engagement')",
    "visits": "count(DISTINCT user_id || char(0) || session) FILTER (WHERE %s)" % PAGE_VIEW,
    "bounces": "count(*) FILTER (WHERE %s AND views = 1)" % ENTRANCE,
    "visit_duration_sum": "coalesce(sum(duration) FILTER (WHERE %s), 0)" % ENTRANCE,
    "engaged_ms_sum": "coalesce(sum(engaged), 0)",
    "engaged_count": "count(engaged)",
    "new_user_count": "count(*) FILTER (WHERE nth = 1)",
}
MEASURES = (*EXACT, *QUOTIENTS)

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def load(events):
    """A database of the events that count, and what the contract makes of them."""
    database = sqlite3.connect(":memory:")
    database.create_function("prop", 2, prop, deterministic=True)
    database.execute("CREATE TABLE event (%s)" % ", ".join(COLUMNS))
    rows = []
    for event in oracle.counted(events).values():
        row = {**event, "name": event.get("name", "pageview"), **campaign(event)}
        rows.append([row.get(column) for column in COLUMNS])
    database.executemany("INSERT INTO event VALUES (%s)" % ", ".join("?" * len(COLUMNS)), rows)
    tables = TABLES.format(
        campaign=", ".join("first_value(%s) OVER one AS visit_%s" % (name, name) for name in CAMPAIGN),
        of_session=", ".join("s.visit_" + name for name in CAMPAIGN))
    for statement in tables.split(";\n"):
        if statement.strip():
            database.execute(statement, {"session": SESSION_SECONDS})
    return database


def prop(props, key):
    """The text of a property; None where it is absent."""
    value = json.loads(props, parse_float=str, parse_int=str).get(key) if props else None
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def number(text):
    """The exact value of a number with at most 18 digits before and 9 after the point; else None."""
    if text is None or not NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    sign, digits, exponent = value.as_tuple()
    if not any(digits):
        return Decimal(0)
    value = value.normalize()
    sign, digits, exponent = value.as_tuple()
    before, after = len(digits) + exponent, -exponent
    return value if before <= 18 and after <= 9 else None


def column(dimension):
    """(SQL, values for it) of a dimension."""
    if dimension.startswith("props."):
        return "prop(props, ?)", [dimension[len("props."):].strip('"')]
    if dimension in CAMPAIGN:
        return "visit_" + dimension, []
    return dimension, []


def quotient(total, count):
    return None if count == 0 else float(Fraction(total) / count)


def of_property(database, measure, group, values, where):
    """sum:, count:, average: or left_out: of a property in one group."""
    kind, name = measure.split(":props.", 1)
    texts = [text for text, in database.execute(
        "SELECT prop(props, ?) FROM row WHERE (%s) AND (%s)" % (where, group or "1"), [name, *values])]
    numbers = [number(text) for text in texts if text is not None]
    kept = [value for value in numbers if value is not None]
    if kind == "sum":
        return sum(kept, Decimal(0))
    if kind == "count":
        return len(kept)
    if kind == "left_out":
        return len(numbers) - len(kept)
    return quotient(Fraction(sum(kept, Decimal(0))), len(kept))


def answer(database, by, measures, where="1"):
    """The rows of a question: [dimensions..., measures...], sorted by their dimensions."""
    columns = [column(dimension) for dimension in by]
    names = ["d%d" % at for at in range(len(by))]
    keys = [value for _, values in columns for value in values]
    exact = list(EXACT)
    rows = database.execute("SELECT %s FROM row WHERE %s %s" % (
        ", ".join(["%s AS %s" % (sql, name) for (sql, _), name in zip(columns, names)] +
                  [EXACT[name] for name in exact]),
        where, "GROUP BY " + ", ".join(str(at + 1) for at in range(len(by))) if by else ""), keys).fetchall()
    found = []
    for row in rows:
        group, numbers = row[:len(by)], dict(zip(exact, row[len(by):]))
        if by and numbers["events"] == 0:
            continue
        condition = " AND ".join("%s IS ?" % sql for sql, _ in columns)
        bound = [value for (_, values), part in zip(columns, group) for value in (*values, part)]
        for name in measures:
            if name in QUOTIENTS:
                numbers[name] = quotient(*(numbers[part] for part in QUOTIENTS[name]))
            elif ":" in name:
                numbers[name] = of_property(database, name, condition, bound, where)
        found.append([*group, *(numbers[name] for name in measures)])
    return sorted(found, key=lambda row: [(value is not None, str(value)) for value in row[:len(by)]])
