#!/usr/bin/env python3
"""Faults in a ring under load: `make ring-test [RATE=1000]`.

    tests/ring.py [--rate R]

Starts three brokers and three nodes, each topic and table in three copies, and sends events through
two workers. Then a node, a broker and a worker are killed and frozen, a node is replaced by one of
another address, and all are restarted in turn. After each fault the rate must be back within 30
seconds, within 90 where a broker is concerned; in the end every event that was acknowledged must be
in Cassandra, once and whole, as another client reads it. Nothing is left behind.

Prints a line for each fault; the last line is `N passed, N failed`. The exit status is 1 when one
failed or none could run. It takes 15 to 25 minutes, and stops making faults after 24.
"""

import argparse
import os
import signal
import sys
import time
import traceback

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

import ring_support  # noqa: E402
from harness import Skip, Test  # noqa: E402
from stack import StackError, process  # noqa: E402

BROKER, NODE, WORKER = 90, 30, 30   # seconds until the rate must be back
AGAIN = 300                         # seconds until the next fault after a slow recovery
LONGEST = 24 * 60                   # seconds after which no more faults are caused


class Report:
    def __init__(self):
        self.began, self.passed, self.failed = time.monotonic(), 0, []

    def say(self, text):
        print("%5.0f s  %s" % (time.monotonic() - self.began, text), flush=True)

    def late(self):
        return time.monotonic() - self.began > LONGEST

    def right(self, text):
        self.passed += 1
        self.say("ok    " + text)

    def wrong(self, what, reason):
        self.failed.append(what)
        self.say("FAIL  %s: %s" % (what, reason))

    def end(self):
        if self.failed:
            print("FAILED:")
            for what in self.failed:
                print("  " + what)
        print("%d passed, %d failed" % (self.passed, len(self.failed)), flush=True)
        return 1 if self.failed or self.passed == 0 else 0


class Faults:
    """Each fault is a line of the report. When the rate does not recover from one, no more follow."""

    def __init__(self, ring, report):
        self.ring, self.report, self.stack = ring, report, ring.stack

    def one(self, what, act, limit):
        if self.report.late():
            self.report.wrong(what, "not tried, because time was up")
            return
        try:
            self.report.right(self.ring.fault(what, act, limit))
        except (AssertionError, StackError) as failure:
            self.report.wrong(what, failure)
            self.ring.back(time.monotonic(), AGAIN)

    def member(self, name, limit):
        """It is killed and frozen; all are restarted later."""
        stack = self.stack
        self.one(name + " is killed", lambda: stack.kill(name), limit)
        self.one(name + " is started again", lambda: stack.start(name), limit)
        self.one(name + " is frozen", lambda: stack.pause(name), limit)
        self.one(name + " goes on", lambda: stack.resume(name), limit)

    def worker(self):
        ring = self.ring
        self.one("a worker is killed", lambda: ring.workers.pop(0).kill(), WORKER)
        self.one("another one comes", ring.hire, WORKER)
        frozen = ring.workers[0]
        self.one("a worker is frozen", lambda: ring_support.freeze(frozen), WORKER)
        self.one("it goes on", lambda: ring_support.thaw(frozen), WORKER)
        self.turn()

    def turn(self):
        """A worker ends normally, and another one replaces it."""
        def exchange():
            self.ring.dismiss(self.ring.workers[0])
            self.ring.hire()
        self.one("a worker is restarted", exchange, WORKER)

    def two_at_once(self):
        """When the next worker takes over, a broker is dead."""
        self.one("kafka-1 is killed", lambda: self.stack.kill("kafka-1"), BROKER)
        self.one("a worker is killed while a broker is dead",
                 lambda: self.ring.workers.pop(0).kill(), BROKER)
        self.one("another one comes while a broker is dead", self.ring.hire, BROKER)
        self.one("kafka-1 is started again", lambda: self.stack.start("kafka-1"), BROKER)

    def replaced(self):
        """Rows that only the dead node and one other had are on the new node after the repair."""
        stack, t = self.stack, self.ring.t

        def replace():
            t.equal(stack.replace("cassandra-2"), "cassandra-4")
            # Clients learn of nodes there; the dead one must not stay.
            with stack.engine("cassandra-1").connect() as connection:
                peers = {cell[-1] for cell, in connection.query("SELECT peer FROM system.peers")}
            t.equal(peers, {3, 4}, "last bytes of the addresses that cassandra-1 knows")

        self.one("cassandra-2 is killed", lambda: stack.kill("cassandra-2"), NODE)
        self.one("cassandra-4 takes its place", replace, NODE)
        self.one("cassandra-4 is repaired",
                 lambda: stack.nodetool("cassandra-4", "repair", "--full", "clickstream"), AGAIN)

    def rolling(self):
        names = [*self.stack.formed("kafka"), *self.stack.formed("cassandra")]
        for name in names:
            self.one(name + " is restarted in turn", lambda name=name: self.stack.restart(name),
                     BROKER if name.startswith("kafka") else NODE)
        for _ in self.ring.workers:
            self.turn()

    def all(self):
        self.member("cassandra-3", NODE)
        self.member("kafka-2", BROKER)
        self.worker()
        self.two_at_once()
        self.replaced()
        self.rolling()


def run(t, report, rate):
    with ring_support.Ring(t, rate, report.say) as ring:
        pids = [pid for entry in ring.stack.status() for pid in entry["pids"]]
        ring.begin()
        try:
            Faults(ring, report).all()
        except (AssertionError, StackError) as failure:
            report.wrong("the rest of the faults", failure)
        try:
            report.right("nothing is lost: %d events, each once and whole" % ring.finish())
        except AssertionError as failure:
            report.wrong("nothing is lost", failure)
        pids += [pid for entry in ring.stack.status() for pid in entry["pids"]]
    left = [pid for pid in pids if process.started(pid) is not None]
    if left:
        report.wrong("nothing is left behind", "processes %s" % left)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=int, default=1000, metavar="R",
                        help="events per second (1000)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # all started processes end with it
    report, test = Report(), Test("ring")
    try:
        free = ring_support.memory()
        if free is not None and free < ring_support.MEMORY:
            test.skip("a ring wants 16 GiB of free memory, and there is less")
        run(test, report, options.rate)
    except Skip as reason:
        report.wrong("the ring", reason)
    except Exception:  # a test that breaks is a test that fails
        report.wrong("the ring", traceback.format_exc())
    finally:
        test.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
