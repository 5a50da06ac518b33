"""The questions of bench/questions.py in SQL, as fast as DuckDB and ClickHouse are known to answer them.

A table has one row an event: user_id, timestamp, the dimensions (those of the session as ready columns)
and engaged_ms. `forms` gives the forms of a question; which one is the fastest depends on the engine, on
the table and on the number of groups, so all are measured.

What the peers need not do, because the data of `produce` do not need it: events of one user and one
millisecond are not put in order by row_key, and quotients are not divided.
"""

DAY = 86400000
COUNTERS = ("clicks", "unique_user_count", "time_spent_sum", "time_spent_count", "time_on_page_sum",
            "time_on_page_count", "entrances", "exits", "bounces", "new_user_count", "visits", "events",
            "event_user_count", "visit_duration_sum", "engaged_ms_sum", "engaged_count")
FEW = ("clicks", "unique_user_count")
GAP = 1800  # seconds; a longer gap begins a session

DUCKDB = {
    "day": "timestamp // %d" % DAY,
    "users": "count(DISTINCT user_id)",
    # Page views with what their neighbours say: after and the flags begins, ends, fresh.
    "view": """
view AS (SELECT *, after IS NULL OR after > {gap} AS ends FROM (
    SELECT {groups_as}, user_id, timestamp, timestamp // 1000 AS second,
           coalesce(timestamp // 1000 - lag(timestamp // 1000) OVER line > {gap}, true) AS begins,
           lag(timestamp) OVER line IS NULL AS fresh,
           lead(timestamp // 1000) OVER line - timestamp // 1000 AS after
    FROM {table} WHERE name = 'pageview' WINDOW line AS (PARTITION BY user_id ORDER BY timestamp)))""",
    # The session's first second stands for the session.
    "session": """
session AS (SELECT *, max(second) FILTER (begins) OVER (
    PARTITION BY user_id ORDER BY timestamp ROWS UNBOUNDED PRECEDING) AS started FROM view)""",
    # Between the first and the last page view of a session, which are neighbours among those that are
    # one of both alone.
    "duration": """
duration AS (SELECT {groups}, sum(length) FILTER (begins) AS duration FROM (
    SELECT {groups}, begins, lead(second) OVER (PARTITION BY user_id ORDER BY timestamp) - second AS length
    FROM view WHERE begins <> ends) GROUP BY {groups})""",
    "sums": """count(*) AS clicks, sum(after) AS spent, count(after) AS spent_count,
    sum(after) FILTER (after <= {gap}) AS on_page, count(*) FILTER (after <= {gap}) AS on_page_count,
    count(*) FILTER (begins) AS entrances, count(*) FILTER (ends) AS exits,
    count(*) FILTER (begins AND ends) AS bounces, count(*) FILTER (fresh) AS fresh""",
    "distinct": "count(DISTINCT user_id) AS users, count(DISTINCT (user_id, started)) AS visits",
    "engaged": """
engaged AS (SELECT {groups}, sum(longest) AS engaged, count(*) AS engaged_count FROM (
    SELECT {any_groups}, max(e.engaged_ms) AS longest
    FROM (SELECT user_id, url, timestamp, engaged_ms FROM {table} WHERE name = 'engagement') e
    ASOF JOIN (SELECT {groups_as}, user_id, url, timestamp FROM {table} WHERE name = 'pageview') v
    ON e.user_id = v.user_id AND e.url = v.url AND e.timestamp >= v.timestamp
    GROUP BY v.user_id, v.url, v.timestamp) GROUP BY {groups})""",
    "any": "any_value(v.%s) AS %s",
    "same": "%s.%s IS NOT DISTINCT FROM event.%s",
    "zero": "coalesce(%s, 0)",
}

CLICKHOUSE = {
    "day": "intDiv(timestamp, %d)" % DAY,
    "users": "uniqExact(user_id)",
    "view": """
view AS (SELECT {groups_as}, user_id, timestamp, intDiv(timestamp, 1000) AS second,
    intDiv(lagInFrame(toNullable(timestamp)) OVER (
        line ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), 1000) AS previous,
    intDiv(leadInFrame(toNullable(timestamp)) OVER (
        line ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), 1000) - second AS after,
    isNull(previous) AS fresh, isNull(previous) OR second - previous > {gap} AS begins,
    isNull(after) OR after > {gap} AS ends
    FROM {table} WHERE name = 'pageview' WINDOW line AS (PARTITION BY user_id ORDER BY timestamp))""",
    "session": """
session AS (SELECT *, maxIf(second, begins) OVER (
    PARTITION BY user_id ORDER BY timestamp ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS started
    FROM view)""",
    "duration": """
duration AS (SELECT {groups}, sumIf(length, begins) AS duration FROM (
    SELECT {groups}, begins, leadInFrame(second) OVER (PARTITION BY user_id ORDER BY timestamp
        ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) - second AS length
    FROM view WHERE begins <> ends) GROUP BY {groups})""",
    "sums": """count() AS clicks, sum(after) AS spent, count(after) AS spent_count,
    sumIf(after, after <= {gap}) AS on_page, countIf(after <= {gap}) AS on_page_count,
    countIf(begins) AS entrances, countIf(ends) AS exits, countIf(begins AND ends) AS bounces,
    countIf(fresh) AS fresh""",
    "distinct": "uniqExact(user_id) AS users, uniqExact(user_id, started) AS visits",
    "engaged": DUCKDB["engaged"],
    "any": "any(v.%s) AS %s",
    "same": "%s.%s = event.%s",  # NULL has no page views, so nothing is joined to it
    "zero": "ifNull(%s, 0)",
}

ADDED = ("clicks", "spent", "spent_count", "on_page", "on_page_count", "entrances", "exits", "bounces", "fresh")
# In the order of COUNTERS.
SHOWN = ("clicks", "users", "spent", "spent_count", "on_page", "on_page_count", "entrances", "exits",
         "bounces", "fresh", "visits", "events", "event_users", "duration", "engaged", "engaged_count")


def forms(words, table, by, where=(), every=False):
    """The forms of a question in an engine's words, by name. `by` are columns or `day`; `where` is SQL;
    with `every` all counters are asked, otherwise FEW."""
    names = ["g%d" % at for at in range(len(by))]
    parts = {"table": table, "gap": GAP, "groups": ", ".join(names),
             "groups_as": ", ".join("%s AS %s" % (words["day"] if column == "day" else column, name)
                                    for column, name in zip(by, names)),
             "any_groups": ", ".join(words["any"] % (name, name) for name in names)}
    if every:
        return {"distinct": all_counters(words, parts, names, one_level(words)),
                "levels": all_counters(words, parts, names, three_levels(words))}
    source = "FROM %s WHERE %s" % (table, " AND ".join(("name = 'pageview'", *where)))
    return {
        "distinct": "SELECT {groups_as}, count(*), {users} {source} GROUP BY {groups}".format(
            **parts, users=words["users"], source=source),
        "levels": "SELECT {groups}, sum(n), count(*) FROM (SELECT {groups_as}, user_id, count(*) AS n {source} "
                  "GROUP BY {groups}, user_id) GROUP BY {groups}".format(**parts, source=source)}


def one_level(words):
    return "figure AS (SELECT {groups}, %s, %s FROM session GROUP BY {groups})" % (
        words["sums"], words["distinct"])


def three_levels(words):
    """Sessions of a group, then users of a group, then the group: no set of distinct values."""
    added = ", ".join("sum(%s) AS %s" % (name, name) for name in ADDED)
    return """
one AS (SELECT {groups}, user_id, %s FROM session GROUP BY {groups}, user_id, started),
many AS (SELECT {groups}, %s, count(*) AS visits FROM one GROUP BY {groups}, user_id),
figure AS (SELECT {groups}, %s, count(*) AS users, sum(visits) AS visits FROM many GROUP BY {groups})""" % (
        words["sums"], added, added)


def all_counters(words, parts, names, figure):
    event = "event AS (SELECT {groups_as}, count(*) AS events, %s AS event_users FROM {table} " \
            "WHERE name <> 'engagement' GROUP BY {groups})" % words["users"]
    steps = ",".join((event, words["view"], words["session"], words["duration"], figure, words["engaged"]))
    joins = " ".join("LEFT JOIN %s ON %s" % (step, " AND ".join(
        words["same"] % (step, name, name) for name in names)) for step in ("figure", "duration", "engaged"))
    return ("WITH " + steps + " SELECT %s, %s FROM event %s" % (
        ", ".join("event." + name for name in names),
        ", ".join(words["zero"] % name for name in SHOWN), joins)).format(**parts)
