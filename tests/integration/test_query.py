"""What `query` shows: filters, order, limit, formats."""

import json

import oracle
import traffic
from harness import INPUT, USAGE


def prepare(t):
    t.ingest(traffic.events(31, 2000))
    t.process()


def test_formats_agree(t):
    prepare(t)
    for window in ("all", "day"):
        rows = oracle.parse(t.answers(window), window)
        objects = json.loads(t.clickmill("query", "--window", window, "--sort", "url", "--format",
                                         "json").out)
        got = [(oracle.milliseconds(entry["window_start"]) if window != "all" else 0, entry["url"],
                entry["country"], entry["clicks"], entry["unique_user_count"],
                average(entry["average_time_spent"]), entry["time_spent_sum"],
                entry["time_spent_count"], average(entry["average_time_on_page"]),
                entry["entrances"], entry["exits"]) for entry in objects]
        t.equal(got, rows, "JSON of window " + window)
    table = t.clickmill("query", "--format", "table").out
    for url in {row[1] for row in rows}:
        t.true(url in table, "%s is not in the table" % url)


def average(value):
    return None if value is None else oracle.read_bits(repr(value))


def test_filters_sort_and_limit(t):
    prepare(t)
    rows = oracle.parse(t.answers(), "all")

    def query(*options):
        return oracle.parse(t.clickmill("query", "--format", "csv", *options).out, "all")

    t.equal(query(), sorted(rows, key=lambda row: (-row[3], row[1], row[2])), "most clicks first")
    t.equal(query("--sort", "exits", "--reverse", "--limit", "5"),
            sorted(rows, key=lambda row: (row[10], row[1], row[2]))[:5], "fewest exits")
    t.equal(query("--country", "Côte d'Ivoire", "--sort", "url"),
            [row for row in rows if row[2] == "Côte d'Ivoire"], "one country")
    t.equal(query("--country", "Atlantis"), [], "no such country")
    t.equal(query("--url", "/page,*", "--sort", "url"),
            [row for row in rows if row[1].startswith("/page,")], "pattern *")
    t.equal(query("--url", "https://www.example.com/page/?", "--sort", "url"),
            [row for row in rows if row[1][:-1] == "https://www.example.com/page/"], "pattern ?")
    t.equal(query("--url", "https://www.example.com/page/1", "--sort", "url"),
            [row for row in rows if row[1] == "https://www.example.com/page/1"], "one page")


def test_nothing_there(t):
    t.says(t.clickmill("query", check=INPUT), "no events in data yet")
    t.says(t.clickmill("export", check=INPUT), "no events in data yet")
    t.says(t.clickmill("query", "--window", "week", check=USAGE), "week")


def test_sql_table_is_the_answer(t):
    prepare(t)
    database = t.database()
    rows = database.execute(
        "SELECT 0, url, country, clicks, unique_user_count, average_time_spent, time_spent_sum,"
        " time_spent_count, average_time_on_page, entrances, exits FROM answer"
        " WHERE window = 'all' ORDER BY url, country").fetchall()
    rows = [row[:5] + (average(row[5]),) + row[6:8] + (average(row[8]),) + row[9:] for row in rows]
    t.equal(rows, oracle.parse(t.answers(), "all"), "table answer")
    database.close()
