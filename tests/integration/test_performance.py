"""Guards of speed: what has become twice as slow fails, a busy machine does not.

Never a time by itself, but CPU seconds in units of what zlib (the same old C everywhere) and the
kernel need to pack, write, read and hold a fixed text in the same run, or of another run of our own:
what the kernel costs beside a program differs from machine to machine. The least of several runs
that take turns is what the work needs; the rest is what other programs did to it.
"""

import json
import mmap
import os
import resource
import time
import zlib

from harness import BUILD, alone, slow

COUNT = 200000
ROUNDS = 5
TEXT, PIECE = 16 << 20, 256 << 10  # bytes
KERNEL = 4  # times, so that it has a quarter of the time, as of an import of a log

# What the work on COUNT events takes on an optimized build, in units of reference(). A change that
# makes it faster lowers its number here, so that the guard keeps it so. Above SLACK times as much
# fails.
USUAL = {"produce": 0.15, "import": 0.34, "access log": 1.06, "process": 0.14}
SLACK = 1.7


def reference(text, path):
    """CPU seconds that are no work of ours: packing the text, a file of it, as much new memory."""
    started = time.process_time()
    zlib.compress(text, 6)
    for _ in range(KERNEL):
        with open(path, "wb") as file:
            for at in range(0, len(text), PIECE):
                file.write(text[at:at + PIECE])
        with open(path, "rb") as file:
            while file.read(PIECE):
                pass
        with mmap.mmap(-1, len(text)) as memory:
            for at in range(0, len(text), mmap.PAGESIZE):
                memory[at] = 1
    return time.process_time() - started


def cpu(t, *args):
    """CPU seconds of one run of the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    t.clickmill(*args)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least(rounds, *works):
    """The least of several runs of each work; the works take turns."""
    taken = [[work(number) for work in works] for number in range(rounds)]
    return [min(column) for column in zip(*taken)]


def only_optimized(t):
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as file:
        options = {option["name"]: option["value"] for option in json.load(file)}
    if options["optimization"] in ("0", "g") or options["b_sanitize"] not in ("none", []):
        t.skip("%s is built for debugging, its speed says nothing" % BUILD)


def traffic(count, users=4000, urls=500):
    return ("produce", "--count", count, "--users", users, "--urls", urls, "--countries", 40,
            "--seed", 1)


@slow
@alone
def test_stages_against_a_reference(t):
    only_optimized(t)
    t.clickmill(*traffic(COUNT), "--out", "events.jsonl")
    t.clickmill(*traffic(COUNT), "--out", "access.log", "--format", "combined")
    with open(t.path("events.jsonl"), "rb") as file:
        text = file.read(TEXT)

    # CPU, not wall: other programs take turns with us, and threads share the work as they may.
    unit, produce, jsonl, log, process = least(
        ROUNDS,
        lambda _: reference(text, t.path("reference")),
        lambda _: cpu(t, *traffic(COUNT), "--out", "/dev/null"),
        lambda number: cpu(t, "import", "--no-process", "--data", "store-%d" % number,
                           "events.jsonl"),
        lambda number: cpu(t, "import", "--no-process", "--data", "log-%d" % number, "access.log"),
        lambda number: cpu(t, "process", "--window", "all", "--data", "store-%d" % number))
    took = {"produce": produce / unit, "import": jsonl / unit, "access log": log / unit,
            "process": process / unit}
    slower = ["%s takes %.2f of the reference's time, %.2f is usual" % (name, took[name], usual)
              for name, usual in USUAL.items() if took[name] > SLACK * usual]
    t.true(not slower, "\n".join(slower))


@slow
@alone
def test_cost_per_event_is_flat(t):
    """Eight times the events take about eight times the CPU, not more."""
    only_optimized(t)
    sizes = (100000, 800000)
    for size in sizes:
        t.clickmill(*traffic(size, users=size // 50), "--out", "%d.jsonl" % size)

    def both(size):
        def work(number):
            data = "%d-%d" % (size, number)
            return (cpu(t, "import", "--no-process", "--data", data, "%d.jsonl" % size)
                    + cpu(t, "process", "--window", "all", "--data", data))
        return work
    small, large = least(3, *map(both, sizes))
    growth = large / small / (sizes[1] / sizes[0])
    t.true(growth < 1.5, "an event of %d costs %.2f times as much as one of %d" % (
        sizes[1], growth, sizes[0]))


@slow
@alone
def test_new_events_do_not_cost_the_old_ones(t):
    """After a few new events `process` takes a fraction of what all events took."""
    only_optimized(t)
    t.clickmill(*traffic(800000, users=16000), "--out", "events.jsonl")
    t.clickmill("import", "--no-process", "events.jsonl")
    t.clickmill("process", "--window", "all")
    t.write("new.jsonl", [{"user_id": "new-%d" % number, "timestamp": 1800000000000 + number,
                           "url": "/new"} for number in range(1000)])

    def again(_):
        t.clickmill("import", "--no-process", "new.jsonl")
        return cpu(t, "process", "--window", "all")
    everything, few = least(3, lambda _: cpu(t, "process", "--window", "all", "--rebuild"), again)
    t.true(few < everything / 2, "1,000 new events take %.2f of what 800,000 took" % (
        few / everything))
