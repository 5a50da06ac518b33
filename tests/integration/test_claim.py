"""A data directory that is taken away, and locks that are deleted, while a collector works."""

import os
import shutil
import time

from collect_support import Collector, good, keyed, refused, whole
from harness import BUSY, IO
from test_kill import committed

LINE = '{"user_id": "ann", "timestamp": 1000, "url": "/a"}'


def import_line(t, **named):
    return t.clickmill("import", "--data", "data", "--format", "jsonl", "--no-process", "-",
                       stdin=LINE, **named)


def gone(t, collector, *words):
    not_ready(t, collector, "was deleted, moved or replaced while it was in use", *words)


def not_ready(t, collector, *words):
    """No sender gets 202, and the collector is not ready and says why."""
    for number in (90, 91):
        refused(t, collector.ask(keyed(number)), 503)
    answer = t.until(lambda: (one := collector.get("/readyz")).status == 503 and one, "not ready",
                     process=collector.process)
    t.equal(answer.json["ready"], False, "ready")
    for word in words:
        t.true(word in answer.json["reason"], "%r is not in %s" % (word, answer))


def test_directory_deleted(t):
    """For as long as it takes, not only for the first who come."""
    collector = Collector(t, check=False)
    good(t, collector.ask(keyed(1)))
    shutil.rmtree(t.path("data"))
    for _ in range(2):
        gone(t, collector, "data/clickmill.db")
    result = collector.process.stop(IO)
    t.says(result, "was deleted", "put it back, or start again")
    collector = Collector(t)
    good(t, collector.ask(keyed(2)))
    t.equal(collector.stop(), [whole(keyed(2))], "events")


def test_directory_deleted_from_run(t):
    collector = Collector(t, command=("run", "--no-demo"), check=False)
    good(t, collector.ask(keyed(1)))
    shutil.rmtree(t.path("data"))
    gone(t, collector, "data/clickmill.db")
    t.says(collector.process.stop(IO), "was deleted")


def test_directory_replaced_and_put_back(t):
    collector = Collector(t, check=False)
    good(t, collector.ask(keyed(1)))
    os.rename(t.path("data"), t.path("away"))
    import_line(t)  # makes it again
    gone(t, collector)
    shutil.rmtree(t.path("data"))
    os.rename(t.path("away"), t.path("data"))
    answer = t.until(lambda: (one := collector.ask(keyed(2))).status == 202 and one, "202",
                     process=collector.process)
    good(t, answer)
    t.until(lambda: collector.get("/readyz").status == 200, "ready", process=collector.process)
    collector.process.stop()
    t.equal(collector.events(), [whole(keyed(1)), whole(keyed(2))], "events")


def test_every_writer_of_a_deleted_directory(t):
    process = t.start("produce", "--data", "data", "--rate", "100")
    t.until(lambda: committed(t, "data") > 0, "the first commit", process=process)
    shutil.rmtree(t.path("data"))
    t.says(process.wait(IO), "was deleted, moved or replaced", "data/clickmill.db")


def test_directory_of_the_spool_deleted(t):
    """Events that wait for Kafka lie in a store of their own."""
    collector = Collector(t, "--sink", "kafka", "--brokers", "127.0.0.1:1", check=False)
    good(t, collector.ask(keyed(1)))
    shutil.rmtree(t.path("data", "spool"))
    for _ in range(2):
        gone(t, collector, "data/spool/clickmill.db")
    t.says(collector.process.stop(IO), "was deleted")


def test_import_into_a_deleted_directory(t):
    os.mkfifo(t.path("events.jsonl"))
    process = t.start("import", "--data", "data", "--no-process", "events.jsonl")
    with open(t.path("events.jsonl"), "w", encoding="utf-8") as pipe:
        for _ in range(400):
            pipe.write((LINE + "\n") * 1000)
            pipe.flush()
            time.sleep(0.05)
            if committed(t, "data") > 0:
                break
        shutil.rmtree(t.path("data"))
        pipe.write((LINE + "\n") * 1000)
    t.says(process.wait(IO), "was deleted, moved or replaced", "data/clickmill.db")


def test_second_writer(t):
    """One that no lock keeps out, such as an older version: nothing of it is written over."""
    collector = Collector(t, check=False)
    good(t, collector.ask(keyed(1)))
    database = t.database()
    database.execute("INSERT INTO block SELECT first + count, count, time_min, time_max, keys_derived, "
                     "hot, cold, keys, extra FROM block")
    database.commit()
    for _ in range(2):
        not_ready(t, collector, "another process has written to data/clickmill.db", "start this one")
    t.equal(database.execute("SELECT first FROM block").fetchall(), [(0,), (1,)], "blocks")
    database.close()
    t.says(collector.process.stop(BUSY), "another process has written to")
    collector = Collector(t)
    good(t, collector.ask(keyed(2)))
    t.equal(collector.stop(), [whole(keyed(1)), whole(keyed(2))], "events")


def test_lock_deleted(t):
    """A second writer is kept out, and comes in when the first has gone."""
    collector = Collector(t, command=("run", "--no-demo"), check=False)
    good(t, collector.ask(keyed(1)))
    for _ in range(2):
        os.remove(t.path("data", "lock"))
        collector.get("/api/summary")  # opens the file, and closes it
        result = t.clickmill("produce", "--count", 3, "--data", "data", check=BUSY)
        t.says(result, "data/clickmill.db is in use by another process", "`lock`", "--data")
        good(t, collector.ask(keyed(2)))
    import_line(t)  # by way of the one that has it
    collector.process.kill()
    t.equal(len(collector.events()), 3, "different events")
    t.check_integrity()
    import_line(t)
