"""Visitors whose ids live for one UTC day: what a count of different users is called."""

import json

from collect_support import TIME, Collector, event, good
from harness import patient

DAY = 86_400_000


def visit(number, timestamp=TIME, **fields):
    """A server's event of a visitor without a name."""
    return event(user_id=..., ip="203.0.113.%d" % number, user_agent="curl/8.5.0",
                 row_key="visit-%d-%d" % (number, timestamp), timestamp=timestamp, **fields)


def kinds(collector, count):
    """What the API calls the users of `count` events: over all time, per day, per hour."""
    collector.t.until(
        lambda: collector.get("/api/summary").json["freshness"]["events"] == count,
        "the answers have %d events" % count, process=collector.process)
    return [collector.get("/api/summary?window=" + window).json["visitors"]
            for window in ("all", "day", "hour")]


@patient
def test_recorded_by_the_collector(t):
    """Ids that live for a day make a count over more days one of daily visitors, no other count."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", command=("run",))
    t.equal(kinds(run, 0), ["users"] * 3, "no events")
    good(t, run.ask([event(row_key="a"), event(row_key="b", timestamp=TIME + DAY)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "named users over two days")
    good(t, run.ask([visit(1)]))
    t.equal(kinds(run, 3), ["daily", "users", "users"], "a visitor without a name")
    run.stop()
    again = Collector(t, "--no-demo", "--every", "100ms", command=("run",), check=False)
    t.equal(kinds(again, 3), ["daily", "users", "users"], "after a restart")
    again.process.stop()


@patient
def test_one_day_has_users(t):
    """As long as all events are of one UTC day, each visitor has one id."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", command=("run",))
    start = TIME - TIME % DAY
    good(t, run.ask([visit(1, start), visit(2, start + DAY - 1)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "one day")
    good(t, run.ask([visit(1, start + DAY)]))
    t.equal(kinds(run, 3), ["daily", "users", "users"], "a millisecond later")
    run.stop()


def test_other_ids_are_users(t):
    """Hashes of addresses outlive the day."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", "--visitor",
                    "address-hash", command=("run",))
    good(t, run.ask([visit(1), visit(1, TIME + DAY)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "two days")
    run.stop()


def test_said_by_the_configuration(t):
    """Of events that came from elsewhere the configuration says it."""
    t.write("clickmill.yaml", "visitors: daily\n")
    run = Collector(t, "--no-demo", "--every", "100ms", command=("run",))
    good(t, run.ask([event(row_key="a")]))
    t.equal(kinds(run, 1), ["users"] * 3, "one day")
    good(t, run.ask([event(row_key="b", timestamp=TIME + DAY)]))
    t.equal(kinds(run, 2), ["daily", "users", "users"], "two days")
    run.stop()


NOTE = ("users are daily visitors: one who came on three days counts as three, because ids of "
        "visitors live for one UTC day\n")


def test_query_says_daily_visitors(t):
    """In the table's heading, in each object of JSON, and on stderr; not where a row is one day."""
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask([visit(1), visit(2), visit(1, TIME + DAY)]), 3)
    collector.stop()
    t.process()
    table = t.clickmill("query", "pages")
    t.equal([name.strip() for name in table.out.splitlines()[0].split("  ") if name.strip()],
            ["url", "clicks", "daily visitors", "time spent", "on page", "entrances", "exits"],
            "headings")
    t.equal(table.err, NOTE, "note below the table")
    rows = t.clickmill("query", "summary", "--json")
    t.equal([(row["unique_user_count"], row["visitors"]) for row in json.loads(rows.out)],
            [(2, "daily")], "JSON")
    t.equal(rows.err, NOTE, "note beside JSON")
    by_users = t.clickmill("query", "--format", "csv", "--sort", "unique_user_count")
    t.equal(t.clickmill("query", "--format", "csv", "--sort", "daily visitors").out, by_users.out,
            "sorted by the heading")
    t.equal(by_users.err, NOTE, "note beside CSV")
    days = t.clickmill("query", "summary", "--window", "day", "--json")
    t.equal((days.err, ["visitors" in row for row in json.loads(days.out)]), ("", [False, False]),
            "days have true visitors")
    t.true("  users  " in t.clickmill("query", "--window", "hour").out.split("\n")[0], "hours")
