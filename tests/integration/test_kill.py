"""kill -9 and SIGTERM at random moments: nothing is lost, nothing counts twice."""

import json
import os
import random
import signal
import time

from harness import OK, patient, slow

EVENTS = 1000000


def produce(t, name, count, seed):
    t.clickmill("produce", "--count", count, "--users", 20000, "--urls", 200, "--countries", 30,
                "--late", 5, "--repeat", 5, "--seed", seed, "--out", name)
    with open(t.path(name), "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def committed(t, data):
    """Events in the store; 0 before there is one."""
    if not os.path.exists(t.path(data, "clickmill.db")):
        return 0
    database = t.database(data)
    try:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'block'").fetchall():
            return 0
        return database.execute("SELECT coalesce(sum(count), 0) FROM block").fetchone()[0]
    finally:
        database.close()


def timed(t, *args):
    started = time.monotonic()
    result = t.clickmill(*args)
    return result, time.monotonic() - started


def kill_once(t, chance, duration, *args):
    """Starts the command and kills it at a random moment. The result if it ended before, or None."""
    process = t.start(*args)
    end = time.monotonic() + chance.uniform(0, duration)
    while process.running() and time.monotonic() < end:
        time.sleep(0.002)
    if not process.running():
        return process.wait(OK)
    process.kill()
    return None


def kill_after_a_commit(t, data, *args):
    process = t.start(*args)
    t.until(lambda: committed(t, data) > 0, "the first commit", process=process)
    t.true(process.running(), "it has ended before it was killed")
    process.kill()


@slow
def test_import_and_process_killed(t):
    chance = random.Random(41)
    lines = produce(t, "events.jsonl", EVENTS, seed=42)
    calm, importing = timed(t, "import", "--no-process", "--json", "--data", "calm", "events.jsonl")
    t.equal(t.balanced(calm.json)["accepted"], lines, "accepted")
    _, processing = timed(t, "process", "--window", "all,day,hour", "--data", "calm")
    wanted, account = t.all_answers("calm"), t.process(data="calm")
    t.equal(account["accepted"], lines, "accepted by process")

    kills = went_on = 0
    for number in range(4):
        data = "killed-%d" % number
        command = ("import", "--no-process", "--json", "--data", data, "events.jsonl")
        result, before = None, 0
        for _ in range(5):
            before = committed(t, data)
            # Killed between its last commit and its end: nothing is left to go on with, and yet
            # another import would read all of it again.
            if before == lines:
                break
            if number == 3 and before == 0:
                kill_after_a_commit(t, data, *command)
            else:
                result = kill_once(t, chance, importing * 0.8, *command)
            if result is not None:
                break
            kills += 1
            if os.path.exists(t.path(data, "clickmill.db")):
                t.check_integrity(data)
            if chance.random() < 0.3 and committed(t, data):
                t.process(data=data)  # answers of a part, brought up to date later
        if result is None:
            before = committed(t, data)
            if before < lines:
                result = t.clickmill(*command)
        went_on += before > 0
        if result is not None:
            t.equal(t.balanced(result.json)["read"] + before, lines,
                    "lines read before and in the end")
        t.equal(committed(t, data), lines, "events in the store")

        within = processing
        for _ in range(6):
            # The machine may have become faster since: then one ends before it is killed.
            while kill_once(t, chance, within, "process", "--rebuild", "--window",
                            "all,day,hour", "--data", data) is not None:
                within *= 0.7
            kills += 1
        t.check_integrity(data)
        got = t.process(data=data)
        for name in ("accepted", "events", "duplicates", "cells"):
            t.equal(got[name], account[name], name)
        t.equal(t.all_answers(data), wanted, "answers of " + data)
    t.true(kills >= 20, "only %d processes were killed before their end" % kills)
    t.true(went_on > 0, "no import went on after a commit")


@slow
def test_import_stopped_goes_on(t):
    """SIGTERM: exit 0 with the account of what was committed; the next run reads only the rest."""
    lines = produce(t, "events.jsonl", EVENTS, seed=43)
    first = interrupted_import(t, lines)
    t.equal(committed(t, "data"), first, "events in the store")
    second = t.balanced(t.clickmill("import", "--no-process", "--json", "events.jsonl").json)
    t.equal(first + second["read"], lines, "lines read by both runs")
    t.equal(committed(t, "data"), lines, "events in the store")
    t.clickmill("import", "--no-process", "--json", "--data", "calm", "events.jsonl")
    for data in ("data", "calm"):
        t.process(data=data)
    t.equal(t.all_answers(), t.all_answers("calm"), "answers")


def interrupted_import(t, lines, data="data"):
    """An import that was stopped after its first commit; how many lines it has read."""
    process = t.start("import", "--no-process", "--json", "--data", data, "events.jsonl")
    t.until(lambda: committed(t, data) > 0, "the first commit", process=process)
    read = t.balanced(process.stop(OK).json)["read"]
    t.true(0 < read < lines, "stopped too late: %d lines" % read)
    return read


@slow
def test_file_that_grew_after_the_interruption(t):
    lines = produce(t, "events.jsonl", EVENTS, seed=44)
    read = interrupted_import(t, lines)
    with open(t.path("events.jsonl"), "a", encoding="utf-8") as file:
        file.write('{"user_id": "late", "timestamp": 1000, "url": "/late"}\n')
    account = t.clickmill("import", "--no-process", "--json", "events.jsonl").json
    t.equal(read + account["accepted"], lines + 1, "lines read by both runs")
    t.equal(committed(t, "data"), lines + 1, "events in the store")


@slow
def test_another_file_of_that_name_after_the_interruption(t):
    text = "".join('{"user_id": "new", "timestamp": %d, "url": "/n"}\n' % number
                   for number in range(1, 1001))
    for kind in ("rotated", "overwritten"):
        lines = produce(t, "events.jsonl", EVENTS, seed=45)
        interrupted_import(t, lines, data=kind)
        if kind == "rotated":
            os.rename(t.path("events.jsonl"), t.path("events.jsonl.1"))
        t.write("events.jsonl", text)
        account = t.clickmill("import", "--no-process", "--json", "--data", kind, "events.jsonl").json
        t.equal(account["accepted"], 1000, "lines of the new file after the old was " + kind)


def test_process_every_stops(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    process = t.start("process", "--every", "100ms", "--json")
    t.until(lambda: process.out, "the first account", process=process)
    process.stop(OK)
    t.equal(len(process.out.splitlines()), 1, "accounts: nothing new, nothing said")


@patient
def test_process_every_takes_what_others_write(t):
    """The data directory is free while it waits, and it waits while the directory is not."""
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    process = t.start("process", "--every", "100ms", "--json")
    for user in range(5):
        t.until(lambda: len(process.out.splitlines()) == 1 + user, "an account", process=process)
        t.ingest([{"user_id": "user%d" % user, "timestamp": 1000, "url": "/a"}])
    t.until(lambda: len(process.out.splitlines()) == 6, "the last account", process=process)
    t.equal(json.loads(process.out.splitlines()[-1])["events"], 6, "events")
    writer = t.start("produce", "--rate", "0.001")
    t.until(lambda: "waiting" in process.err, "a word about the lock", process=process)
    t.true("data is in use by process %d" % writer.pid in process.err, process.err)
    writer.stop(OK)
    t.until(lambda: len(process.out.splitlines()) == 7, "the event after it", process=process)
    process.stop(OK)


def test_interrupt_is_a_stop_too(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    process = t.start("process", "--every", "1s", "--json")
    t.until(lambda: process.out, "the first account", process=process)
    process.signal(signal.SIGINT)
    process.wait(OK, timeout=5)
