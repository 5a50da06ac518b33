"""Answers have checksums: what is damaged is a sentence, never a wrong number."""

import os
import random
import shutil
import signal

import traffic
from harness import CORRUPT, INPUT, INTERNAL, IO, VERSION, slow

DAMAGES = 220
QUESTIONS = [("pages",), ("countries",), ("summary",), ("answers", "--window", "day"),
             ("pages", "--window", "hour", "--limit", "5"), ("--url", "*1*", "--sort", "url")]
REBUILD = "`clickmill process --rebuild` makes them again"


def ask(t, data, *question):
    return t.clickmill("query", *question, "--data", data, "--format", "csv", check=None)


def make(t, count=3000, rejected=3):
    lines = traffic.events(15, count)
    t.ingest(lines)
    t.ingest("no JSON\n" * rejected)
    t.process()


def damage(chance, path, page_size=16384):
    """One of the things that disks do: a bit, some bytes, a page of zeros, a page of another."""
    size = os.path.getsize(path)
    at, kind = chance.randrange(size), chance.randrange(4)
    with open(path, "r+b") as file:
        if kind == 0:
            file.seek(at)
            byte = file.read(1)[0] ^ (1 << chance.randrange(8))
            change = bytes([byte])
        elif kind == 1:
            change = chance.randbytes(chance.randint(1, 64))
        else:
            at -= at % page_size
            file.seek(chance.randrange(size // page_size) * page_size)
            change = bytes(page_size) if kind == 2 else file.read(page_size)
        file.seek(at)
        file.write(change)
    return "kind %d at %d" % (kind, at)


@slow
def test_no_damage_is_a_wrong_answer(t):
    make(t)
    wanted = [ask(t, "data", *question).out for question in QUESTIONS]
    t.true(all(wanted), "no answers")
    chance, refused = random.Random(1515), 0
    for number in range(DAMAGES):
        shutil.rmtree(t.path("copy"), ignore_errors=True)
        shutil.copytree(t.path("data"), t.path("copy"))
        what = damage(chance, t.path("copy", "clickmill.db"))
        for question, right in zip(QUESTIONS, wanted):
            got = ask(t, "copy", *question)
            if got.code == 0:
                t.equal(got.out, right, "damage %d (%s): %s" % (number, what, question))
            else:
                t.true(got.code in (CORRUPT, INPUT, INTERNAL, IO, VERSION), "%s: %s" % (what, got))
                refused += 1
    t.true(refused > DAMAGES, "only %d questions were refused" % refused)


def test_every_column_is_checked(t):
    """Each number, id and text of an answer; rows that vanish, come twice, or change places."""
    make(t, 300, 0)
    columns = ("clicks unique_user_count time_spent_sum time_spent_count time_on_page_sum "
               "time_on_page_count entrances exits").split()
    first = "WHERE window = 0 AND url = (SELECT min(url) FROM total WHERE url >= 0) AND country = -1"
    changes = ["UPDATE total SET %s = %s + 1 %s" % (column, column, first) for column in columns]
    changes += [
        "UPDATE total SET clicks = clicks - 1, exits = exits + 1 " + first,
        "UPDATE total SET url = 1000 " + first, "DELETE FROM total " + first,
        "UPDATE total SET clicks = 1 - clicks WHERE window = 0 AND country = -1 AND url >= 0",
        "UPDATE total SET url = CASE url WHEN 0 THEN 1 WHEN 1 THEN 0 END + 5000 WHERE window = 0 AND "
        "url IN (0, 1) AND country = -1",
        "INSERT INTO total SELECT window, start, 1000, country, clicks, unique_user_count, "
        "time_spent_sum, time_spent_count, time_on_page_sum, time_on_page_count, entrances, exits, "
        "updated_at FROM total " + first,
        "UPDATE page SET url = url || 'x' WHERE id = 1", "DELETE FROM page WHERE id = 1",
        "UPDATE checksum SET sum = sum + 1 WHERE window = 0 AND dimension = 1",
        "UPDATE checksum SET rows = rows + 1 WHERE window = 0 AND dimension = 1",
        "DELETE FROM checksum WHERE window = 0 AND dimension = 1",
        "UPDATE covered SET events = events + 1 WHERE window = 'all'",
        "UPDATE covered SET upto = upto - 1 WHERE window = 'all'",
        "DELETE FROM covered WHERE window = 'all'", "DROP TABLE checksum", "DROP TABLE cell"]
    wanted = ask(t, "data", "pages").out
    for statement in changes:
        shutil.rmtree(t.path("copy"), ignore_errors=True)
        shutil.copytree(t.path("data"), t.path("copy"))
        t.change(statement, data="copy")
        got = ask(t, "copy", "pages")
        t.equal((got.code, got.out), (CORRUPT, ""), statement)
        t.says(got, "the answers in copy/clickmill.db are damaged", REBUILD)
        t.clickmill("process", "--rebuild", "--data", "copy")
        t.equal(ask(t, "copy", "pages").out, wanted, "again after " + statement)


def test_other_windows_and_kinds_are_not_held_up(t):
    make(t, 300, 0)
    t.change("UPDATE cell SET clicks = clicks + 1 WHERE window = 1")
    t.equal(ask(t, "data", "answers", "--window", "day").code, CORRUPT, "what is damaged")
    for question in (("answers",), ("pages", "--window", "day"), ("answers", "--window", "hour")):
        t.equal(ask(t, "data", *question).code, 0, str(question))


def test_a_span_is_checked_alone(t):
    """Days are checked one by one: what is damaged elsewhere is not asked for."""
    make(t, 300, 0)
    t.change("UPDATE total SET clicks = clicks + 1 WHERE window = 1 AND url = -1 AND country = -1 "
             "AND start = (SELECT min(start) FROM total WHERE window = 1)")
    summary = ("summary", "--window", "day")
    t.equal(ask(t, "data", *summary, "--to", "2026-03-02").code, CORRUPT, "the damaged day")
    t.equal(ask(t, "data", *summary, "--from", "2026-03-02").code, 0, "the days behind it")
    t.equal(ask(t, "data", *summary).code, CORRUPT, "all days")


def test_refreshes_keep_the_checksums(t):
    """In one go, step by step, with windows that come later: always those that are read."""
    lines = traffic.events(16, 600)
    for at in range(0, 600, 60):
        t.ingest(lines[at:at + 60])
        t.process(*(("all",) if at < 200 else ("all", "day") if at < 400 else ()))
        for question in QUESTIONS[:3]:
            t.equal(ask(t, "data", *question).code, 0, "after %d" % at)
    t.ingest(lines, data="once")
    t.process(data="once")
    t.equal(t.all_answers(), t.all_answers("once"), "answers")
    sums = [t.database(data).execute("SELECT window, dimension, start, rows FROM checksum "
                                     "ORDER BY 1, 2, 3").fetchall() for data in ("data", "once")]
    t.equal(sums[0], sums[1], "what is summed up")


def test_what_is_wrong_stays_wrong(t):
    """A refresh adds to damaged rows and does not make a right checksum of them."""
    lines = traffic.events(17, 400)
    t.ingest(lines[:300])
    t.process()
    t.change("UPDATE total SET clicks = clicks + 7 WHERE window = 0 AND url = -1 AND country = -1")
    t.ingest(lines[300:])
    t.process()
    t.equal(ask(t, "data", "summary").code, CORRUPT, "after a refresh")


def older(t, data="data"):
    """Makes a directory of an earlier edition of this one."""
    t.change("DROP TABLE checksum", "ALTER TABLE page DROP COLUMN sum",
             "ALTER TABLE country DROP COLUMN sum", data=data)


def test_an_older_directory_gets_checksums(t):
    make(t, 300, 0)
    wanted = t.all_answers()
    before = t.database().execute("SELECT * FROM covered ORDER BY window").fetchall()
    older(t)
    t.equal(t.all_answers(), wanted, "answers of an older directory")
    t.clickmill("process")
    t.equal(t.all_answers(), wanted, "answers with checksums")
    t.equal(t.database().execute("SELECT * FROM covered ORDER BY window").fetchall(), before,
            "nothing was computed")
    t.change("UPDATE total SET clicks = clicks + 1 WHERE window = 0")
    t.equal(ask(t, "data", "summary").code, CORRUPT, "damage")


def test_all_answers_are_checked_after_a_crash(t):
    make(t, 300, 0)
    wanted = ask(t, "data", "pages").out
    process = t.start("run", "--no-demo", "--listen", "127.0.0.1:0")
    t.until(lambda: "http://" in process.out + process.err, "it listens", process=process)
    with open(t.path("data", "lock"), encoding="ascii") as file:
        t.equal(file.read(), "%d\n" % process.pid, "the lock while it runs")
    t.ingest(traffic.events(18, 10))
    process.signal(signal.SIGKILL)
    process.wait()
    t.change("UPDATE cell SET clicks = clicks + 1 WHERE window = 2")
    # The log is gone with SQLite's shell; a crash leaves one.
    if not os.path.exists(t.path("data", "clickmill.db-wal")):
        t.ingest(traffic.events(19, 10))
        t.change("INSERT OR REPLACE INTO setting VALUES ('crashed', '1')")
    got = t.clickmill("process", "--window", "all", check=CORRUPT)
    t.says(got, REBUILD)
    t.clickmill("process", "--rebuild")
    t.clickmill("process")
    t.true(ask(t, "data", "pages").out != wanted, "the events that came are not there")
    with open(t.path("data", "lock"), encoding="ascii") as file:
        t.equal(file.read(), "0\n", "the lock after an orderly end")


def test_run_collects_on(t):
    """Damaged answers hold no sender up: `run` makes them again, and says so."""
    make(t, 300, 0)
    wanted = [ask(t, "data", *question).out for question in QUESTIONS]
    for statement in ("UPDATE covered SET events = events + 1 WHERE window = 'day'",
                      "DELETE FROM checksum WHERE dimension = 4", "DROP TABLE cell"):
        t.change(statement)
        process = t.start("run", "--no-demo", "--listen", "127.0.0.1:0")
        t.until(lambda: "the answers are computed again from all events" in process.err, "it says so", process=process)
        t.until(lambda: ask(t, "data", "pages").code == 0, "they are made", process=process)
        t.true("are damaged" in process.err, process.err)
        process.stop()
        t.equal([ask(t, "data", *question).out for question in QUESTIONS], wanted, statement)


def test_an_orderly_end_needs_no_check(t):
    """Damage that no query meets stops no command, unless a process has crashed."""
    make(t, 300, 0)
    t.change("UPDATE cell SET clicks = clicks + 1 WHERE window = 2")
    t.ingest(traffic.events(18, 10))
    t.process("all")
    t.equal(ask(t, "data", "pages").code, 0, "another window")


def test_rebuild_where_sqlite_cannot_read(t):
    """Pages of the answers that are no pages any more: they are forgotten, and made again."""
    make(t)
    wanted = [ask(t, "data", *question).out for question in QUESTIONS]
    database = t.database()
    roots = database.execute("SELECT rootpage FROM sqlite_master WHERE name IN ('cell', 'total', "
                             "'page', 'covered', 'checksum') ORDER BY rootpage").fetchall()
    database.close()
    t.equal(len(roots), 5, "tables")
    for root, in roots:
        shutil.rmtree(t.path("copy"), ignore_errors=True)
        shutil.copytree(t.path("data"), t.path("copy"))
        with open(t.path("copy", "clickmill.db"), "r+b") as file:
            file.seek((root - 1) * 16384)
            file.write(b"\xff" * 16384)
        answers = [ask(t, "copy", *question) for question in QUESTIONS]
        bad = [got for got in answers if got.code != 0]
        t.true(bad, "no check sees page %d" % root)
        for got in bad:
            t.equal((got.code, got.out), (CORRUPT, ""), "page %d" % root)
            t.says(got, REBUILD)
        t.clickmill("process", "--rebuild", "--window", "all,day,hour", "--data", "copy")
        t.equal([ask(t, "copy", *question).out for question in QUESTIONS], wanted, "again")
        t.check_integrity("copy")
