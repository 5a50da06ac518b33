"""Losses of power and syncs that fail: what was answered 202 is there on every disk that can be left,
once, in a store that is whole."""

import concurrent.futures
import json
import os
import random
import sqlite3
import time

from collect_support import TIME, Closed, Collector, event
from disk_support import Faults, World
from harness import IO, OK

FATES = (0, 0, 0.5, 1)  # how much of what a failed sync was for is written all the same
TO_KAFKA = ("--sink", "kafka", "--brokers", "127.0.0.1:1")
MERGED = 16  # commits, behind which there is a merge


def frames_of(path):
    """The frames of a log since it began again: those with the salts of its header."""
    with open(path, "rb") as log:
        header = log.read(32)
        size, frames = 24 + int.from_bytes(header[8:12], "big"), 0
        while header and os.pread(log.fileno(), 16, 32 + frames * size)[8:] == header[16:24]:
            frames += 1
    return frames


class Sender:
    """Sends events one request after the other, each until it is answered 202."""

    def __init__(self, t, faults, seed):
        self.t, self.faults, self.chance = t, faults, random.Random(seed)
        self.answered = []  # (time, keys of the request)
        self.failed = self.next = 0
        self.collector = None

    def start(self, *options):
        self.collector = Collector(self.t, *options, check=False, env=self.faults.env)

    def events(self, count, size):
        """New ones, with texts that do not compress and are not yet in the dictionaries."""
        numbers = range(self.next, self.next + count)
        self.next += count
        return [event(row_key="key-%d" % number, user_id="user-%d" % number,
                      timestamp=TIME + number,
                      url="https://shop.example/" + self.chance.randbytes(size).hex())
                for number in numbers]

    def send(self, events, tries=3):
        """The status of the last answer; None when the collector ends instead."""
        for _ in range(tries):
            try:
                answer = self.collector.ask(json.dumps(events))
            except (OSError, Closed):
                return None
            if answer.status == 202:
                self.answered.append((time.monotonic_ns(), [one["row_key"] for one in events]))
                return 202
            self.t.equal(answer.status, 503, "status")
            self.failed += 1
        return 503

    def go(self, count, chance=0.05, size=600, most=4):
        """Sends `count` requests. From time to time, with this probability, the sync of the log fails, and
        mostly so behind a merge of blocks; where it is 0, never."""
        for _ in range(count):
            behind_merge = len(self.answered) % MERGED == 0
            if chance > 0 and self.chance.random() < (0.7 if behind_merge else chance):
                self.faults.fail("wal")
            self.t.equal(self.send(self.events(self.chance.randint(1, most), size)), 202, "status")

    def keys_before(self, time_ns):
        return {key for answered, keys in self.answered if answered < time_ns for key in keys}


def check_image(t, path, keys, number):
    """The store opens for writing, is whole, and has each of these events, once."""
    data = os.path.relpath(path, t.dir)
    extra = event(row_key="after-power", user_id="late", timestamp=TIME - 1)
    if number % 4 == 0 and keys:
        t.clickmill("export", "--data", data)  # a reader may come first
    t.clickmill("import", "--data", data, "--format", "jsonl", "--no-process", "-",
                stdin=json.dumps(extra))
    stored = [json.loads(line)["row_key"]
              for line in t.clickmill("export", "--data", data).out.splitlines()]
    database = sqlite3.connect(os.path.join(path, "clickmill.db"))
    t.equal(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
    t.equal(database.execute("SELECT sum(count) FROM block").fetchone()[0], len(set(stored)),
            "events in blocks, and different ones")
    database.close()
    lost = (keys | {"after-power"}) - set(stored)
    t.true(not lost, "image %d lacks %d of %d events that were answered 202, such as %s" % (
        number, len(lost), len(keys), sorted(lost)[:3]))


def check_images(t, sender, data, count, seed):
    """`count` disks that a loss of power may have left, spread over the trace."""
    trace, root = sender.faults.trace(), os.path.realpath(t.dir)
    place, made, jobs = os.path.join(root, data), 0, []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, fate in enumerate(FATES):
            chance = random.Random("%d %d" % (seed, number))
            world = World(chance, fate)
            world.names[root] = None
            cuts = sorted(chance.sample(range(len(trace.events)), count // len(FATES)))
            for at, one in enumerate(trace.events):
                if cuts and at == cuts[0]:
                    cuts.pop(0)
                    path = t.path("image-%d" % made)
                    world.image(random.Random("%d %d" % (seed, made)), place, path)
                    jobs.append(pool.submit(check_image, t, path,
                                            sender.keys_before(one.time_ns), made))
                    made += 1
                world.play(one)
        for job in jobs:
            job.result()
    t.equal(made, count, "images")


def test_commits_that_fail(t):
    """Each is told 503, and none costs an event that was answered 202: also behind a merge of blocks."""
    faults = Faults(t)
    sender = Sender(t, faults, 1)
    sender.start()
    sender.go(160)
    t.true(sender.failed > 12, "only %d answers were 503" % sender.failed)
    check_images(t, sender, "data", 80, 11)
    sender.collector.process.stop(OK)


def test_copies_that_fail(t):
    """SQLite copies the log into the database when it has 1,000 frames. While a process reads an older
    state it copies what is older, and does not sync that; nor would it copy it again when the sync of the
    rest fails."""
    faults = Faults(t)
    sender = Sender(t, faults, 5)
    sender.start()
    for _ in range(2):
        grow_log(t, sender, 800)
        reader = sqlite3.connect(t.path("data", "clickmill.db"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM block").fetchone()
        grow_log(t, sender, 1050)
        reader.close()
        faults.fail("db")
        sender.go(30, chance=0)
        t.equal(faults.left("db"), 0, "syncs of the database that were to fail")
        t.true(frames_of(t.path("data", "clickmill.db-wal")) < 400, "the log has not begun again")
    t.equal(sender.failed, 0, "answers of 503")
    check_images(t, sender, "data", 60, 14)
    sender.collector.process.stop(OK)


def grow_log(t, sender, frames):
    """Sends until the log has so many."""
    for _ in range(200):
        sender.go(5, chance=0, size=900, most=16)
        if frames_of(t.path("data", "clickmill.db-wal")) > frames:
            return
    raise AssertionError("the log does not grow")


def test_syncs_that_keep_failing(t):
    """What was to be written again cannot be: the program ends with status 4. The next one finds in the
    kernel's memory what is not on the disk, and must not build on that."""
    faults = Faults(t)
    sender = Sender(t, faults, 2)
    for round in range(6):
        sender.start()
        sender.go(12 + round)
        faults.fail("wal", 2)
        sender.t.true(sender.send(sender.events(2, 600), tries=1) in (None, 503), "an answer of 202")
        result = sender.collector.process.wait(IO)
        t.says(result, "keeps failing", "data/clickmill.db", "check the disk")
        faults.fail("wal", 0)
    sender.start()
    sender.go(20)
    check_images(t, sender, "data", 60, 12)
    sender.collector.process.stop(OK)


def test_spool(t):
    """Events that wait for Kafka are acknowledged, too."""
    faults = Faults(t)
    sender = Sender(t, faults, 3)
    sender.start(*TO_KAFKA)
    sender.go(60)
    check_images(t, sender, "data/spool", 40, 13)
    sender.faults.fail("wal", 2)
    t.true(sender.send(sender.events(1, 10), tries=1) in (None, 503), "an answer of 202")
    t.says(sender.collector.process.wait(IO), "keeps failing", "data/spool/clickmill.db")


def test_what_was_refused_is_void(t):
    """The frames of a commit that failed are whole in the log, and must not be read from there."""
    faults = Faults(t)
    sender = Sender(t, faults, 4)
    sender.start()
    sender.go(3, chance=0)
    faults.fail("wal")
    t.equal(sender.send(sender.events(1, 10), tries=1), 503, "status")
    sender.collector.process.kill()
    t.equal(sorted(one["row_key"] for one in sender.collector.events()),
            sorted(sender.keys_before(time.monotonic_ns())), "events")


def test_every_writer(t):
    """The first commit's sync, that of a new directory's parent, and of the directory itself, which
    SQLite tries, too, and says nothing of it."""
    faults = Faults(t)
    line = json.dumps(event())
    os.mkdir(t.path("there"))
    for kind, count, data in (("wal", 1, "new"), ("dir", 1, "newer"), ("dir", 9, "there")):
        faults.fail(kind, count)
        command = ("import", "--data", data, "--format", "jsonl", "-")
        t.says(t.clickmill(*command, stdin=line, check=IO, env=faults.env), "sync", data)
        faults.fail(kind, 0)
        t.clickmill(*command, stdin=line, env=faults.env)
        t.equal(len(t.clickmill("export", "--data", data).out.splitlines()), 1, "events")
