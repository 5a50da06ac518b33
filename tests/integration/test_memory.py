"""Memory that runs out: one sentence, the documented status, and nothing acknowledged is lost.

tests/fault/memory.c, preloaded into the program, lets one allocation fail. A run without a failure
counts the allocations; then runs follow in which one of them fails, spread over the whole run. The
program may survive a failure (a cache that is not filled); then everything is as without it."""

import os
import shutil

import traffic
from collect_support import Closed, Collector, Connection, exported, good, keyed, whole
from harness import BUILD, INPUT, MEMORY, OK, slow
from test_run import free_port

# Of an allocation, and of a thread that has no memory for its stack.
SENTENCES = ("out of memory; give the process more or lower `memory:`",
             "out of memory or of threads: one more cannot be started; give the process more")
EVENTS = 1500


class Allocator:
    """Allocations of the program that are counted, or one of which fails."""

    def __init__(self, t):
        self.t, self.count_file = t, t.path("allocations")
        # That of the normal build, also where the program is the sanitizers'.
        library = os.path.join(BUILD, "tests", "libmemory.so")
        t.true(os.path.exists(library), "%s is not built" % library)
        self.env = {"LD_PRELOAD": library}

    def counting(self):
        return {**self.env, "CM_MEMORY_COUNT": self.count_file}

    def failing(self, number):
        return {**self.env, "CM_MEMORY_FAIL": str(number)}

    def places(self, runs):
        """Which allocation fails in each of so many runs: the first, then evenly spread."""
        with open(self.count_file, encoding="ascii") as file:
            total = int(file.read())
        self.t.true(total > runs, "only %d allocations" % total)
        return [1 + run * total // runs for run in range(runs)]


def check_end(t, code, err, number):
    """Status 0, or the status for this with exactly one sentence of it; never a signal."""
    t.true(code in (OK, MEMORY), "allocation %d: status %d: %s" % (number, code, err))
    said = [line for line in err.split("\n") if line.startswith("clickmill: ")]
    t.equal(len(said), 0 if code == OK else 1, "sentences, allocation %d: %s" % (number, err))
    if code != OK:
        t.true(any(sentence in said[0] for sentence in SENTENCES), "allocation %d: %s" % (number, err))


def check_whole(t, data, answers, number):
    """What the failed run has left can be completed, and is right then."""
    t.clickmill("process", "--data", data)
    t.equal(t.all_answers(data), answers, "answers, allocation %d" % number)
    t.clickmill("verify", "--data", data)


@slow
def test_import(t):
    allocator = Allocator(t)
    t.write("events.jsonl", traffic.events(8, EVENTS))
    t.clickmill("import", "--data", "right", "events.jsonl", env=allocator.counting())
    answers, failures = t.all_answers("right"), 0
    for number in allocator.places(70):
        shutil.rmtree(t.path("data"), ignore_errors=True)
        done = t.clickmill("import", "events.jsonl", check=None, env=allocator.failing(number))
        check_end(t, done.code, done.err, number)
        failures += done.code == MEMORY
        # A store that is not complete says so, and is never wrong.
        if os.path.exists(t.path("data")):
            t.true(t.clickmill("verify", check=None).code in (OK, INPUT), "verify")
        if number % 3 == 0:
            t.clickmill("import", "events.jsonl")
            check_whole(t, "data", answers, number)
    t.true(failures > 50, "only %d of the runs failed" % failures)


@slow
def test_process(t):
    allocator = Allocator(t)
    t.write("events.jsonl", traffic.events(8, EVENTS))
    t.clickmill("import", "--data", "right", "events.jsonl")
    t.clickmill("process", "--data", "right", "--rebuild", env=allocator.counting())
    answers, failures = t.all_answers("right"), 0
    for number in allocator.places(40):
        shutil.rmtree(t.path("data"), ignore_errors=True)
        shutil.copytree(t.path("right"), t.path("data"))
        done = t.clickmill("process", "--rebuild", check=None, env=allocator.failing(number))
        check_end(t, done.code, done.err, number)
        failures += done.code == MEMORY
        check_whole(t, "data", answers, number)
    t.true(failures > 25, "only %d of the runs failed" % failures)


def send(t, port, requests):
    """Sends requests of three events until the collector is gone; the numbers of the events that
    were answered 202."""
    answered = set()
    try:
        for first in range(0, 3 * requests, 3):
            with Connection(port) as connection:
                numbers = range(first, first + 3)
                answer = connection.ask([keyed(number) for number in numbers])
                if answer.status == 202:
                    good(t, answer, accepted=3)
                    answered.update(numbers)
    except (OSError, Closed):
        pass
    return answered


def collect(t, data, env):
    """One life of a collector with ten requests: its result, and the events that it answered 202."""
    port = free_port()
    process = t.start("collect", "--listen", "127.0.0.1:%d" % port, "--data", data, "--json",
                      env=env)
    t.until(lambda: ":%d" % port in process.err or not process.running(), "it listens")
    answered = send(t, port, 10) if process.running() else set()
    if process.running():
        return process.stop(check=None), answered
    return process.wait(), answered


@slow
def test_collect(t):
    allocator = Allocator(t)
    result, answered = collect(t, "right", allocator.counting())
    t.equal((result.code, len(answered)), (OK, 30), "without a failure")
    failures = 0
    for number in allocator.places(50):
        shutil.rmtree(t.path("data"), ignore_errors=True)
        result, answered = collect(t, "data", allocator.failing(number))
        check_end(t, result.code, result.err, number)
        failures += result.code == MEMORY
        # A new collector opens what is there, and takes one event more.
        collector = Collector(t, check=False)
        good(t, collector.ask(keyed(1000)))
        collector.process.stop()
        stored = {int(one["row_key"][4:]): one for one in exported(t)}
        missing = sorted((answered | {1000}) - set(stored))
        t.equal(missing, [], "acknowledged and lost, allocation %d" % number)
        for key, one in stored.items():
            t.equal(one, whole(keyed(key)), "event %d" % key)
        t.clickmill("process")
        t.clickmill("verify")
    t.true(failures > 25, "only %d of the runs failed" % failures)
