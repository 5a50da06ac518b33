"""The answers against SQL, and against themselves whatever the order of arrival."""

import csv
import io
import json
import random

import oracle
import traffic
from harness import patient, slow


def check_against_sql(t, count, seed):
    made = traffic.events(seed, count)
    distinct = traffic.distinct(made, oracle.row_key)
    account = t.ingest(made)
    t.equal((account["read"], account["accepted"], account["rejected"], account["skipped"]),
            (count, count, 0, 0), "account of the import")
    account = t.process()
    t.equal((account["accepted"], account["events"], account["duplicates"]),
            (count, len(distinct), count - len(distinct)), "account of process")

    exported = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.true(exported == distinct, "export is not each event once, in the order of arrival")
    texts = {window: t.answers(window) for window in ("all", "day", "hour")}
    oracle.compare(t, exported, texts)
    t.equal(account["cells"], sum(text.count("\n") - 1 for text in texts.values()), "cells")


def test_sql_oracle(t):
    check_against_sql(t, 5000, seed=11)


@slow
def test_sql_oracle_200000_events(t):
    check_against_sql(t, 200000, seed=12)


def test_export_csv_is_the_same_events(t):
    made = traffic.events(13, 3000)
    t.ingest(made)
    rows = list(csv.DictReader(io.StringIO(t.clickmill("export", "--format", "csv").out,
                                           newline="")))
    wanted = [dict(entry, timestamp=str(entry["timestamp"]))
              for entry in traffic.distinct(made, oracle.row_key)]
    t.true(rows == wanted, "CSV export differs from the events")
    # What is exported can be imported again, in both formats, and adds nothing.
    t.process()
    answers = t.all_answers()
    for form in ("csv", "jsonl"):
        t.write("events." + form, t.clickmill("export", "--format", form).raw)
        account = t.clickmill("import", "--json", "events." + form).json
        t.equal((account["accepted"], account["rejected"]), (len(wanted), 0), "import of " + form)
        t.process()
        t.equal(t.all_answers(), answers, "answers after the import of " + form)


def test_ten_thousand_shared_keys(t):
    """Different events with one row key: the same one counts in whatever order and pieces they come,
    and is what `export` writes; a worse one that comes later changes nothing."""
    chance = random.Random(31)
    made = traffic.shared(32, 10000)
    counted = oracle.counted(made)
    for number, count in enumerate((1, 3, 12)):
        data = "shared-%d" % number
        chance.shuffle(made)
        for piece in pieces(chance, made, count) if count > 1 else [made]:
            t.ingest(piece, data=data)
            account = t.process(data=data)
        t.equal((account["accepted"], account["events"]), (len(made), 10000), "account")
        oracle.compare(t, made, {window: t.answers(window, data)
                                 for window in ("all", "day", "hour")})
        t.clickmill("verify", "--data", data, "--window", "all,day,hour")
    exported = [json.loads(line) for line in t.clickmill("export", "--data", data).out.splitlines()]
    t.equal(len(exported), 10000, "exported")
    t.true(all(counted[entry["row_key"], entry["user_id"], entry["timestamp"]] == entry
               for entry in exported), "export is not the events that count")
    t.write("shared.jsonl", "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in made))
    printed = t.clickmill("import", "--to-answers", t.path("shared.jsonl")).out
    t.equal(sorted(printed.splitlines()), sorted(t.answers("all", data).splitlines()), "in memory")

    answers = t.all_answers(data)
    poor = [{name: entry[name] for name in ("row_key", "user_id", "timestamp")} | {"url": "/"}
            for entry in exported[:100]]
    t.ingest(poor, data=data)
    t.process(data=data)
    t.equal(t.all_answers(data), answers, "after worse copies")


def test_answers_of_an_earlier_edition(t):
    """They may have chosen another copy: they are made again, once."""
    better = {"row_key": "k", "user_id": "u", "timestamp": 1772323200000, "url": "/b",
              "country": "Peru"}
    worse = dict(better, url="/a", country="Unknown")
    t.ingest([worse, better, dict(worse, row_key="l", timestamp=1772323210000, url="/c")])
    t.process()
    right = t.all_answers()
    t.change("DELETE FROM setting WHERE name LIKE 'copies_%'")
    t.process()
    t.equal(t.all_answers(), right, "made again")
    with t.database() as database:
        t.equal(database.execute("SELECT name, value FROM setting WHERE name LIKE 'copies_%' "
                                 "ORDER BY name").fetchall(),
                [("copies_" + window, "differ") for window in ("all", "day", "hour")], "what is known")


def pieces(chance, made, count):
    cuts = sorted(chance.sample(range(1, len(made)), count - 1))
    return [made[a:b] for a, b in zip([0] + cuts, cuts + [len(made)])]


@patient
def test_any_order_any_repetition_any_pieces(t):
    chance = random.Random(21)
    made = traffic.events(22, 20000, users=600)
    t.ingest(made, data="whole")
    t.process(data="whole")
    wanted = t.all_answers("whole")

    for number in range(4):
        data = "variant-%d" % number
        events = list(made)
        if number >= 1:
            events = [entry for entry in events for _ in range(chance.choice((1, 1, 2, 3)))]
        chance.shuffle(events)
        for piece in pieces(chance, events, (1, 1, 12, 12)[number]):
            t.ingest(piece, data=data)
            if number >= 2:
                windows = chance.sample(("all", "day", "hour"), chance.randint(0, 3))
                if windows:
                    t.process(*windows, data=data)
        t.process(data=data)
        t.equal(t.all_answers(data), wanted, "answers of " + data)
        t.clickmill("process", "--rebuild", "--window", "all,day,hour", "--data", data)
        t.equal(t.all_answers(data), wanted, "rebuilt answers of " + data)


def test_threads_do_not_matter(t):
    t.ingest(traffic.events(23, 20000))
    t.process()
    wanted = t.all_answers()
    for threads in (1, 2, 7):
        t.clickmill("process", "--rebuild", "--window", "all,day,hour", "--threads", threads)
        t.equal(t.all_answers(), wanted, "answers of %d threads" % threads)


@slow
def test_little_memory_gives_the_same(t):
    """What does not fit in memory is milled a range of users at a time."""
    t.clickmill("produce", "--count", 2000000, "--users", 50000, "--urls", 300, "--late", 5,
                "--repeat", 5)
    t.process("all", "day")
    wanted = t.answers("all"), t.answers("day")
    t.clickmill("process", "--rebuild", "--window", "all,day", "--memory", "16m")
    t.equal((t.answers("all"), t.answers("day")), wanted, "answers with 16 MB")


def test_session_timeout_is_an_option(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000 * second, "url": "/%d" % second}
              for second in (1, 61, 122)])
    t.process("all")
    t.clickmill("process", "--session-timeout", "60s")
    t.equal(t.answers().splitlines()[1:], [
        "/1,Unknown,1,1,60.0,60,1,60.0,1,0",
        "/122,Unknown,1,1,,0,0,,1,1",
        "/61,Unknown,1,1,61.0,61,1,,0,1"], "answers with a timeout of a minute")
