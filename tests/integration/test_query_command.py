"""`query --by`: what the command makes of its options, the three formats, sites, and events elsewhere."""

import csv
import io
import json
import os

import cluster
from harness import CSV_HEADER, INPUT, USAGE, slow
from test_cassandra import Place

DAY = 86_400_000
START = 1772323200000  # 2026-03-01T00:00:00Z
SITE = "https://www.shop.example"


def event(user, path, time, **more):
    return {"user_id": user, "url": SITE + path, "country": "Peru", "browser": "Firefox",
            "timestamp": START + time, **more}


def events():
    """Two page views of Ann with a purchase between them, and one view of Bob a day later."""
    return [event("ann", "/", 0, referrer="https://blog.shop.example/post"),
            event("ann", "/", 5_000, name="buy", props={"value": 9.5, "plan": "gold"}),
            event("ann", "/about", 10_000),
            event("bob", "/about", DAY, country="Italy", browser="Chrome", city="Rome",
                  referrer="https://www.google.com/")]


def table(t, *args, said=""):
    """The rows of a question as lists, heading first."""
    done = t.clickmill("query", "--format", "csv", *args)
    t.equal(done.err, said, "notes of %s" % " ".join(args))
    return list(csv.reader(io.StringIO(done.out)))


def refused(t, sentence, *args):
    t.equal(t.clickmill("query", *args, check=USAGE).err, "clickmill: %s\n" % sentence, " ".join(args))


def test_three_formats(t):
    t.ingest(events())
    asked = ("--by", "country", "--measures", "clicks,average_time_on_page,bounce_rate,sum:props.value")
    t.equal(t.clickmill("query", *asked).out,
            "country  clicks  average_time_on_page  bounce_rate  sum:props.value\n"
            "Peru          2                10.0 s        0.0 %              9.5\n"
            "Italy         1                     -      100.0 %                0\n", "table")
    t.equal(table(t, *asked),
            [["country", "clicks", "average_time_on_page", "bounce_rate", "sum:props.value"],
             ["Peru", "2", "10.0", "0.0", "9.5"], ["Italy", "1", "", "1.0", "0"]], "CSV")
    for how in (("--json",), ("--format", "json")):
        t.equal(json.loads(t.clickmill("query", *asked, *how).out),
                [{"country": "Peru", "clicks": 2, "average_time_on_page": 10.0, "bounce_rate": 0.0,
                  "sum:props.value": "9.5"},
                 {"country": "Italy", "clicks": 1, "average_time_on_page": None, "bounce_rate": 1.0,
                  "sum:props.value": "0"}], "JSON")
    t.equal(t.clickmill("query", "--by", "country", "--where", "country = x", "--json").out,
            "[\n]\n", "no rows")


def test_conditions_are_repeated(t):
    t.ingest(events())
    t.equal(table(t, "--by", "", "--measures", "events", "--where", "country = Peru", "--where",
                  "name = buy"), [["events"], ["1"]], "both hold")
    t.equal(table(t, "--by", "browser", "--measures", "events", "--where-user", "name = buy",
                  "--where-visit", "url ~ */about"), [["browser", "events"], ["Firefox", "3"]],
            "of visits and users")


def test_names_of_questions(t):
    """pages, countries and summary with an option of questions; without one they read the answers."""
    t.ingest(events())
    t.process()
    measures = ("--measures", "clicks")
    t.equal(table(t, "pages", *measures), [["url", "clicks"], [SITE + "/about", "2"], [SITE + "/", "1"]],
            "pages")
    t.equal(table(t, "countries", *measures), [["country", "clicks"], ["Peru", "2"], ["Italy", "1"]],
            "countries")
    t.equal(table(t, "summary", *measures), [["clicks"], ["3"]], "summary")
    t.equal(table(t, "answers", *measures)[0], ["url", "country", "clicks"], "answers")
    t.equal(t.clickmill("query", "pages", "--format", "csv").out.splitlines()[0] + "\n", CSV_HEADER,
            "the answers")
    refused(t, "query pages asks --by 'url'; leave out one of them", "pages", "--by", "country")


def test_values_of_a_dimension(t):
    t.ingest(events())
    t.equal(table(t, "--values", "browser"), [["browser", "events"], ["Firefox", "3"], ["Chrome", "1"]],
            "all")
    t.equal(table(t, "--values", "browser", "--where", "name = buy"),
            [["browser", "events"], ["Firefox", "1"]], "of some events")
    t.equal(table(t, "--values", "props.plan"), [["props.plan", "events"], ["", "3"], ["gold", "1"]],
            "of a property")
    refused(t, "--values wants one dimension, not 2", "--values", "browser,country")
    refused(t, "--values lists the values of one dimension; leave out --by, or ask with --by and "
               "without --values", "--values", "browser", "--by", "")


def test_options_that_need_a_question(t):
    t.ingest(events())
    for option, value in (("step", "day"), ("where", "url = x"), ("measures", "all"), ("tz", "UTC"),
                          ("compare", "year"), ("offset", "1"), ("where-visit", "url = x"),
                          ("where-user", "url = x")):
        refused(t, "--%s belongs to a question: give --by DIM[,DIM...] with it; --by '' is the total"
                % option, "--" + option, value)
    refused(t, "--url cannot be given with --by: write --where 'url ~ PATTERN'", "--by", "url", "--url", "x")
    refused(t, "--country cannot be given with --by: write --where 'country = NAME'", "--by", "url",
            "--country", "Peru")
    refused(t, "--window cannot be given with --by: write --step day", "--by", "url", "--window", "day")
    refused(t, '--by: there is no dimension "brwser"; did you mean browser?', "--by", "brwser")


def test_sort_without_a_question_is_as_before(t):
    t.ingest(events())
    t.process()
    refused(t, "--sort wants one of clicks, unique_user_count, average_time_spent, time_spent_sum, "
               "time_spent_count, average_time_on_page, entrances, exits, url, country, window, users, "
               "daily visitors, time spent, on page, window_start, not \"clikcs\"; did you mean clicks?",
            "--sort", "clikcs")
    t.equal(t.answers(sort="country").splitlines()[1].split(",")[1], "Italy", "sorted by country")


def test_own_sites_are_internal(t):
    """Hosts that imports have recorded, those of the configuration, and the page's own."""
    ask = ("--by", "source", "--measures", "visits", "--sort", "source")
    t.ingest(events())
    t.equal(table(t, *ask), [["source", "visits"], ["Google", "1"], ["blog.shop.example", "1"]],
            "another host")
    t.equal(table(t, *ask, "--own-sites", "*.shop.example"),
            [["source", "visits"], ["Direct", "1"], ["Google", "1"]], "by an option")
    t.write("clickmill.yaml", "sites: [blog.shop.example]\nignore_referrers: [www.google.com]\n")
    t.equal(table(t, *ask), [["source", "visits"], ["Direct", "2"]], "by the configuration")
    os.remove(t.path("clickmill.yaml"))
    line = ('192.0.2.1 - - [01/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "Mozilla/5.0 '
            '(X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"\n')
    t.clickmill("import", "--no-process", "--site", "https://blog.shop.example", "--format", "combined",
                "-", stdin=line)
    t.equal(table(t, *ask), [["source", "visits"], ["Direct", "2"], ["Google", "1"]], "by an import")


def test_notes_go_to_stderr(t):
    t.ingest(events())
    done = t.clickmill("query", "--by", "", "--measures", "unique_user_count", "--where", "name = buy",
                       "--format", "csv")
    t.equal((done.out, done.err),
            ("unique_user_count\n0\n",
             "no page view is among the events that match, and page views alone are counted by "
             "unique_user_count: event_user_count is meant\n"), "event_user_count is meant")


def test_nothing_there(t):
    done = t.clickmill("query", "--by", "", check=INPUT)
    t.true("data" in done.err, "it names the directory: " + done.err)


def test_too_many_rows(t):
    t.ingest(events())
    refused(t, "105192 rows are more than 100000: ask with a longer step, a shorter span",
            "--by", "", "--step", "hour", "--from", "2014-01-01", "--to", "2026-01-01")


def test_while_a_process_writes(t):
    """The store is read beside a writer, and each answer has what was committed before."""
    t.ingest(events())
    writer = t.start("produce", "--rate", "200", "--data", "data")
    t.until(lambda: int(table(t, "--by", "", "--measures", "events")[1][0]) > 50, "events arrive",
            process=writer)
    counts = [int(table(t, "--by", "", "--measures", "events")[1][0]) for _ in range(5)]
    t.equal(counts, sorted(counts), "never fewer")
    writer.stop()


@slow
def test_events_in_cassandra(t):
    """One scan, and then the same answers; nothing is left in the data directory."""
    place = Place(t, "query_by")
    t.ingest(events(), data="embedded")
    t.ingest([e for e in events() if e.get("name", "pageview") == "pageview"], "--sink", "kafka",
             *place.kafka)
    place.ingest()
    for by in ("country", "browser", "city", "day"):
        asked = ("--by", by, "--measures", "clicks,unique_user_count,visits,time_spent_sum")
        t.equal(table(t, *asked, "--store", "cassandra", *map(str, place.cassandra)),
                table(t, *asked, "--data", "embedded"), by)
    t.equal([name for name in os.listdir(t.path("data")) if name.startswith("question")], [], "left")
