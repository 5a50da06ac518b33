"""`query pages|countries|summary`, spans of time, and what is said when nothing is found."""

import csv
import fcntl
import io
import json
import os
import pty
import struct
import termios

from harness import INPUT, USAGE

DAY = 86_400_000
START = 1772323200000  # 2026-03-01T00:00:00Z
SITE = "https://www.example.com"
HEADER = ("url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,time_spent_count,"
          "average_time_on_page,entrances,exits\n")


def events():
    """Ann looks at both pages from two countries, Bob at one, on two days."""
    def click(user, path, country, time):
        return {"user_id": user, "url": SITE + path, "country": country, "timestamp": START + time}

    return [click("ann", "/", "Germany", 0), click("ann", "/about", "Germany", 10_000),
            click("ann", "/", "Peru", 30_000), click("bob", "/about", "United States", DAY),
            click("ann", "/", "Germany", DAY + 3_600_000)]


def prepare(t):
    t.ingest(events(), "--no-process")
    t.process()


def rows(t, *args):
    return t.clickmill("query", "--format", "csv", *args).out


def test_rows_of_each_kind(t):
    """Users are counted again for each kind of row: the sums of others would be wrong."""
    prepare(t)
    pages = list(csv.DictReader(io.StringIO(rows(t, "pages"))))
    t.equal([(p["url"], p["country"], p["clicks"], p["unique_user_count"]) for p in pages],
            [(SITE + "/", "", "3", "1"), (SITE + "/about", "", "2", "2")], "pages")
    countries = list(csv.DictReader(io.StringIO(rows(t, "countries"))))
    t.equal([(c["url"], c["country"], c["clicks"], c["unique_user_count"]) for c in countries],
            [("", "Germany", "3", "1"), ("", "Peru", "1", "1"), ("", "United States", "1", "1")],
            "countries")
    summary = json.loads(t.clickmill("query", "summary", "--format", "json").out)
    t.equal([(s["clicks"], s["unique_user_count"], "url" in s, "country" in s) for s in summary],
            [(5, 2, False, False)], "summary")
    t.equal(rows(t, "answers"), rows(t), "answers are the default")
    t.equal([line.split(",")[:4] for line in rows(t, "pages", "--country", "Peru").splitlines()[1:]],
            [[SITE + "/", "Peru", "1", "1"]], "a filter is part of the rows")


def test_tables_have_the_columns_of_their_rows(t):
    prepare(t)
    for kind, columns in (("pages", ["url"]), ("countries", ["country"]), ("summary", []),
                          ("answers", ["url", "country"])):
        header = t.clickmill("query", kind).out.splitlines()[0].split("  ")
        t.equal([name.strip() for name in header if name.strip()],
                columns + ["clicks", "users", "time spent", "on page", "entrances", "exits"], kind)


def test_spans_as_the_api_has_them(t):
    """Days and hours that begin in [from, to), the summary's oldest first."""
    prepare(t)

    def clicks(*args):
        return [int(row["clicks"]) for row in json.loads(
            t.clickmill("query", "summary", "--json", *args).out)]

    t.equal(clicks("--window", "day"), [3, 2], "days")
    t.equal(clicks("--window", "day", "--from", "2026-03-02"), [2], "from a date")
    t.equal(clicks("--window", "day", "--to", "2026-03-02"), [3], "to a date")
    t.equal(clicks("--window", "hour", "--from", "2026-03-02T00:00:00Z", "--to",
                   "2026-03-02T01:00:00+00:00"), [1], "an hour")
    t.equal(clicks("--window", "day", "--reverse"), [2, 3], "newest first")
    t.equal(clicks("--window", "hour", "--sort", "clicks"), [3, 1, 1], "most clicks first")
    for args, words in ((("--from", "2026-03-02"), "--from needs --window day or --window hour"),
                        (("--window", "day", "--to", "soon"), "--to must be a time of 1970 to 2099"),
                        (("--window", "day", "--from", "2026-03-02", "--to", "2026-03-02"),
                         "--to must be later than --from"),
                        (("--window", "day", "--from", "2026-02-30"), "--from must be a time")):
        t.says(t.clickmill("query", *args, check=USAGE), words)


def test_sort_takes_the_headings(t):
    prepare(t)
    for heading, name in (("users", "unique_user_count"), ("daily visitors", "unique_user_count"),
                          ("time spent", "average_time_spent"), ("on page", "average_time_on_page")):
        t.equal(rows(t, "--sort", heading), rows(t, "--sort", name), heading)
    for name in HEADER.strip().split(",") + ["window", "window_start"]:
        rows(t, "--sort", name)
    t.says(t.clickmill("query", "--sort", "user", check=USAGE), "did you mean users?")


def test_unknown_rows(t):
    t.says(t.clickmill("query", "page", check=USAGE), "did you mean pages?")
    t.says(t.clickmill("query", "everything", check=USAGE), "answers, pages, countries and summary")
    t.says(t.clickmill("query", "pages", "countries", check=USAGE), "one question at a time")


def test_nothing_found_names_the_nearest(t):
    """One line on stderr, exit status 0; the data are those of no rows."""
    prepare(t)

    def said(*args):
        done = t.clickmill("query", "--format", "csv", *args)
        t.equal(done.out.count("\n"), 1, "rows of %s" % (args,))
        return done.err

    for country, wanted in (("germany", "try --country Germany"), ("GERMANY", "try --country Germany"),
                            ("Germny", "try --country Germany"), ("de", "try --country Germany"),
                            ("usa", "try --country 'United States'"),
                            ("states", "try --country 'United States'")):
        t.equal(said("--country", country),
                'nothing found: no click is from "%s"; %s\n' % (country, wanted), country)
    t.equal(said("--country", "Atlantis"), 'nothing found: no click is from "Atlantis"; most clicks '
            "are from Germany, Peru, United States\n", "nothing is near")
    about = "try --url %s/about" % SITE
    for url in (SITE + "/abut", "/about", "http://www.example.com/about", SITE + "/About", "*/ABOUT",
                "www.example.com/about", SITE + "/about/"):
        t.equal(said("pages", "--url", url), 'nothing found: no page is "%s"; %s\n' % (url, about), url)
    t.equal(said("--url", SITE + "/about", "--country", "Peru"), "nothing found: there are such "
            "pages and clicks from this country, but not together\n", "both, but apart")
    t.equal(said("--window", "day", "--from", "2027-01-01"), "nothing found: no clicks are in this "
            "span; the first day begins at 2026-03-01T00:00:00Z, the last one at "
            "2026-03-02T00:00:00Z\n", "outside")
    t.equal(said("--window", "day", "--from", "2026-03-02", "--country", "Peru"), "nothing found: "
            "there are clicks in this span, and such ones at another time\n", "another day")
    t.true("\x1b" not in said("--country", "\x1b[31mred"), "what steers a terminal is not passed on")


def test_what_is_lacking_is_said_with_the_next_command(t):
    t.write("empty.jsonl", "")
    t.clickmill("import", "--data", "site", "--format", "jsonl", "empty.jsonl", "--no-process")
    t.equal(t.clickmill("query", "--data", "site").err,
            "no events are stored yet: run `clickmill import FILE... --data site`\n", "empty")
    t.ingest(events()[:1], "--no-process")
    t.equal(t.clickmill("query").err,
            "1 event is stored, none is processed yet: run `clickmill process`\n", "not processed")
    t.process("all")
    t.equal(t.clickmill("query", "--window", "hour").err, "there are no answers for window hour "
            "yet: run `clickmill process --window hour`\n", "another window")
    t.ingest(events()[1:], "--no-process")
    t.equal(t.clickmill("query").err, "4 events are newer than these answers: run `clickmill "
            "process`\n", "older answers")


def test_an_empty_directory_names_the_demo(t):
    """Who has only tried `run` looks for its clicks."""
    t.ingest(events(), "--no-process", data="data/demo")
    shown = "; `clickmill query --data data/demo` shows the demo's"
    t.says(t.clickmill("query", check=INPUT), "no events in data yet", shown)
    t.write("empty.jsonl", "")
    t.clickmill("import", "--format", "jsonl", "empty.jsonl", "--no-process")
    t.equal(t.clickmill("query").err,
            "no events are stored yet: run `clickmill import FILE...`%s\n" % shown, "empty store")
    t.ingest(events(), "--no-process")
    t.true("demo" not in t.clickmill("query").err, "with events of its own")


def on_terminal(t, columns, *args):
    """What the program prints on a terminal so wide."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = t.clickmill("query", *args, stdout=terminal)
    os.close(terminal)
    text = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(main)
    return text.decode().replace("\r\n", "\n"), done.err


def test_a_table_fits_its_terminal(t):
    """No row is wider than the terminal, and two numbers never touch."""
    t.ingest([{"user_id": "u%d" % n, "timestamp": START + n, "country": "Bosnia and Herzegovina",
               "url": SITE + "/a/long/path/of/a/page/that/is/no/exception/%d" % (n % 2)}
              for n in range(2000)], "--no-process")
    t.process()
    whole = t.clickmill("query").out
    t.equal(on_terminal(t, 200), (whole, ""), "a wide one")
    for columns in (100, 80, 60, 45, 40):
        text, err = on_terminal(t, columns)
        lines = text.splitlines()
        t.equal(len(lines), 3, "lines at %d" % columns)
        t.true(max(map(len, lines)) <= columns, "%d: %s" % (columns, text))
        t.equal(len({len(line) for line in lines}), 1, "one width")
        numbers = lines[1].split()
        t.true("1,000" in numbers and "…" in lines[1], text)
        left_out = [name for name in ("on page", "entrances", "exits") if name not in lines[0]]
        t.equal([name in err for name in left_out], [True] * len(left_out), "what is left out: " + err)
        t.true("tion/" in lines[1], "the end of the URL is there: " + lines[1])
