"""CSV for spreadsheets, which take some texts for formulas: a ' before them, where that is asked for."""

import csv
import io

from harness import OK, USAGE
from test_run import get, start

# As URLs, countries, users and row keys; what stands there with --safe.
TEXTS = {"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@sum(a1)": "'@sum(a1)", "\ttab": "'\ttab",
         "=a,\"b\"": "'=a,\"b\"", "'quoted": "'quoted", "a=b": "a=b", "/plain": "/plain"}


def prepare(t):
    t.ingest([{"row_key": "k" + text, "user_id": text, "timestamp": 1772359200000 + number,
               "url": text, "country": text, "city": text, "browser": text, "os": text,
               "device": text} for number, text in enumerate(TEXTS)])
    t.process()


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def check(t, exact, safe, columns):
    """Both have the same rows, except for these columns."""
    t.equal(len(exact), len(safe), "rows")
    seen = set()
    for before, after in zip(exact, safe):
        for name, value in before.items():
            wanted = TEXTS[value] if name in columns and value else value
            t.equal(after[name], wanted, name)
            seen.add((name, value))
    for name in columns:
        t.equal({value for column, value in seen if column == name and value}, set(TEXTS), name)


def test_query(t):
    prepare(t)
    for words in ([], ["--window", "hour"], ["--window", "day", "--sort", "url"]):
        exact = t.clickmill("query", "--format", "csv", *words).out
        safe = t.clickmill("query", "--format", "csv", "--safe", *words).out
        check(t, rows(exact), rows(safe), ("url", "country"))
    safe = t.clickmill("query", "pages", "--format", "csv", "--safe", "--sort", "url").out
    t.equal([row["url"] for row in rows(safe)], [TEXTS[text] for text in sorted(TEXTS)], "pages")
    for words in ([], ["--format", "table"], ["--format", "json"], ["--json"]):
        t.says(t.clickmill("query", "--safe", *words, check=USAGE), "--safe", "--format csv")


def test_export(t):
    prepare(t)
    exact = t.clickmill("export", "--format", "csv").out
    check(t, rows(exact), rows(t.clickmill("export", "--format", "csv", "--safe").out),
          ("user_id", "url", "country", "city", "browser", "os", "device"))
    t.says(t.clickmill("export", "--safe", check=USAGE), "--safe", "--format csv")
    t.equal(t.clickmill("import", "--data", "again", "--json", "--format", "csv", "-",
                        stdin=exact).json["accepted"], len(TEXTS), "what the exact one is for")


def test_downloads(t):
    """What the dashboard's link asks for."""
    prepare(t)
    process, port = start(t, "serve")
    for path in ("/api/answers?format=csv", "/api/pages?format=csv&limit=100",
                 "/api/countries?format=csv&window=day"):
        exact, safe = get(port, path), get(port, path + "&safe=1")
        t.equal(get(port, path + "&safe=0"), exact, path)
        t.equal((exact[0], safe[0]), (200, 200), path)
        exact, safe = rows(exact[1].decode()), rows(safe[1].decode())
        check(t, exact, safe, [name for name in ("url", "country") if exact[0][name]])
    script = get(port, "/view.js")[1].decode()
    t.true('new URLSearchParams({ format: "csv", safe: "1" })' in script, "the dashboard's link")
    process.stop(OK)
