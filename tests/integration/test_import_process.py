"""`import` computes the answers in its end, and says what comes next."""

import json
import os

from harness import INPUT, USAGE

START = 1772323200000  # 2026-03-01T00:00:00Z


def click(number, **fields):
    return {"user_id": "u%d" % number, "timestamp": START + number * 3_600_000, "url": "/a", **fields}


def covered(t, data="data"):
    """Events that the answers of each window cover."""
    database = t.database(data)
    windows = dict(database.execute("SELECT window, upto FROM covered"))
    database.close()
    return windows


def test_answers_are_there_after_import(t):
    """All files are processed together, into the answers of all time and of days."""
    for name in "abc":
        t.write(name + ".jsonl", [click(n) for n in range(3)] + [click(7, url="/x")])
    done = t.clickmill("import", "a.jsonl", "b.jsonl", "c.jsonl")
    lines = done.err.splitlines()
    t.equal(lines[0], "read 12 = accepted 12 + rejected 0 + skipped 0", "account")
    t.true(lines[1].startswith("accepted 12 = events 4 + duplicates 8; 4 cells in "), lines[1])
    t.equal(lines[2:], ["next: clickmill query pages"], "what comes next")
    t.equal(covered(t), {"all": 12, "day": 12}, "windows")
    again = t.clickmill("process")
    t.true(again.err.endswith("(nothing new)\n") and "accepted 12 = " in again.err, again.err)
    t.equal(t.clickmill("query", "summary", "--window", "day").err, "", "nothing is lacking")


def test_one_json_object(t):
    t.write("a.jsonl", [click(1), click(2), click(2)])
    done = t.clickmill("import", "--json", "a.jsonl")
    account = json.loads(done.out)
    t.balanced(account)
    t.equal({name: account["answers"][name] for name in ("accepted", "events", "duplicates", "cells")},
            {"accepted": 3, "events": 2, "duplicates": 1, "cells": 2}, "answers")
    t.equal(done.err, "", "stderr")
    kept = json.loads(t.clickmill("import", "--json", "--no-process", "--data", "x", "a.jsonl").out)
    t.equal(set(account) - set(kept), {"answers"}, "what --no-process leaves out")


def test_no_process(t):
    t.write("a.jsonl", [click(1)])
    done = t.clickmill("import", "--no-process", "--data", "my site", "a.jsonl")
    t.equal(done.err, "read 1 = accepted 1 + rejected 0 + skipped 0\n"
            "next: clickmill process --data 'my site'\n", "stderr")
    t.true(not has_table(t, "my site", "covered"), "nothing is processed")
    t.write("clickmill.yaml", "import:\n  process: false\n")
    t.true(t.clickmill("import", "--data", "y", "a.jsonl").err.endswith(
        "next: clickmill process --data y\n"), "by the configuration")


def has_table(t, data, name):
    database = t.database(data)
    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    database.close()
    return bool(found)


def test_windows(t):
    """Those that are there stay up to date; a choice is followed to the letter."""
    t.write("a.jsonl", [click(1)])
    t.write("b.jsonl", [click(2)])
    t.clickmill("import", "--window", "hour", "a.jsonl")
    t.equal(covered(t), {"hour": 1}, "chosen")
    t.clickmill("import", "b.jsonl")
    t.equal(covered(t), {"all": 2, "day": 2, "hour": 2}, "those there and the usual ones")
    t.clickmill("import", "--window", "all", "a.jsonl")
    t.equal(covered(t), {"all": 3, "day": 2, "hour": 2}, "chosen again")
    t.clickmill("process")
    t.equal(covered(t), {"all": 3, "day": 3, "hour": 3}, "process does the same")
    t.says(t.clickmill("import", "--window", "week", "a.jsonl", check=USAGE), "not \"week\"")
    t.equal(t.clickmill("query", "summary", "--format", "csv").out.splitlines()[1].split(",")[2:4],
            ["2", "2"], "what was refused is not imported")


def test_what_fails_does_not_keep_the_rest(t):
    """A file that is missing; nothing at all; only bad lines."""
    t.write("a.jsonl", [click(1)])
    done = t.clickmill("import", "nowhere.jsonl", "a.jsonl", check=INPUT)
    t.equal(covered(t), {"all": 1, "day": 1}, "the other is processed")
    t.true("next: clickmill query pages\n" in done.err, done.err)
    done = t.clickmill("import", "--data", "none", "nowhere.jsonl", check=INPUT)
    t.true("next:" not in done.err and "cells" not in done.err, done.err)
    t.equal(done.out, "", "an account of nothing")
    done = t.clickmill("import", "--data", "none", "nowhere.jsonl", ".", check=INPUT)
    t.true(done.err.endswith("none of the 2 inputs could be read, see above\n"), done.err)
    t.equal(done.out, "", "an account of nothing")
    t.write("bad.jsonl", "{}\n")
    done = t.clickmill("import", "--data", "bad", "--format", "jsonl", "bad.jsonl")
    t.true(done.err.endswith("next: clickmill dead list --data bad\n"), done.err)


def test_processing_that_fails_keeps_the_events(t):
    """Answers that cannot be written: the events are there, and it is said."""
    t.write("a.jsonl", [click(1)])
    t.write("b.jsonl", [click(2)])
    t.clickmill("import", "a.jsonl")
    database = t.database()
    database.execute("CREATE TRIGGER full BEFORE INSERT ON cell "
                     "BEGIN SELECT RAISE(ABORT, 'no room'); END")
    database.execute("CREATE TRIGGER full_too BEFORE UPDATE ON cell "
                     "BEGIN SELECT RAISE(ABORT, 'no room'); END")
    database.commit()
    database.close()
    done = t.clickmill("import", "--json", "b.jsonl", check=None)
    t.true(done.code != 0, "exit status")
    t.says(done, "the events are stored, but not processed: ", "`clickmill process` tries again")
    account = t.balanced(json.loads(done.out))
    t.equal((account["accepted"], "answers" in account), (1, False), "account")
    t.equal(t.clickmill("export").out.count("\n"), 2, "events")
    database = t.database()
    database.execute("DROP TRIGGER full")
    database.execute("DROP TRIGGER full_too")
    database.commit()
    database.close()
    t.equal(t.process("all")["events"], 2, "the next process")


def test_interrupted_import_is_not_processed(t):
    """SIGTERM: what is read is stored, and the run that goes on processes it."""
    os.mkfifo(t.path("pipe"))
    process = t.start("import", "--format", "jsonl", "pipe")
    with open(t.path("pipe"), "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(click(1)) + "\n")
        pipe.flush()
        t.until(lambda: os.path.exists(t.path("data", "clickmill.db")), "it has begun", process=process)
        done = process.stop()
    t.true("stopped before the end; run it again to go on from there" in done.err
           and "next:" not in done.err, done.err)
    t.true(not has_table(t, "data", "covered"), "not processed")


def test_answers_of_another_store_stay(t):
    """A data directory that holds the answers of Cassandra's events does not lose them to an import."""
    t.write("a.jsonl", [click(1)])
    t.clickmill("import", "a.jsonl")
    database = t.database()
    database.execute("UPDATE covered SET session_timeout = -1800000")
    database.commit()
    database.close()
    done = t.clickmill("import", "a.jsonl")
    t.true("not processed: the answers here are of another store's events" in done.err, done.err)
    t.equal(covered(t), {"all": 1, "day": 1}, "the answers")


def test_into_kafka_and_to_answers_nothing_is_processed(t):
    t.write("a.jsonl", [click(1)])
    done = t.clickmill("import", "--to-answers", "a.jsonl")
    t.true("next:" not in done.err and not os.path.exists(t.path("data")), done.err)


def test_sql_views_have_one_kind_of_rows(t):
    """`pages` has the page's numbers, not those of one country or of one window."""
    t.write("a.jsonl", [click(n % 3, country=("Peru", "Chile")[n % 2],
                              row_key="k%d" % n, url="/p%d" % (n % 5 == 0)) for n in range(10)])
    t.clickmill("import", "--window", "all,day,hour", "a.jsonl")

    def ask(question):
        database = t.database()
        found = database.execute(question).fetchall()
        database.close()
        return found

    pages = [("/p0", 8, 3), ("/p1", 2, 2)]
    t.equal(ask("SELECT url, clicks, unique_user_count FROM pages ORDER BY clicks DESC"), pages, "pages")
    t.equal(ask("SELECT country, clicks, unique_user_count FROM countries ORDER BY country"),
            [("Chile", 5, 3), ("Peru", 5, 3)], "countries")
    t.equal(ask("SELECT clicks, unique_user_count FROM summary"), [(10, 3)], "summary")
    database = t.database()
    for view in ("pages", "countries", "summary"):
        database.execute("DROP VIEW " + view)
    database.commit()
    database.close()
    t.clickmill("process")
    t.equal(ask("SELECT url, clicks, unique_user_count FROM pages ORDER BY clicks DESC"), pages,
            "made in a data directory that lacks them")
