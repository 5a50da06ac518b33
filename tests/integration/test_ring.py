"""The short form of `make ring-test`: a broker and a worker die and a node is frozen under load."""

import time

import ring_support
from harness import alone, slow, stretched

RATE = 1000     # events a second
RECOVERY_S = 100  # seconds that the rate may take to be back; tests/ring.py has the limits that count


def test_an_outage_is_measured(t):
    """The longest one since the fault counts, and a rate that is back for a while ends it."""
    ring = type("Some", (), {"rate": 100})()
    for since, rates, wanted in (
            (8, [], (0, 8)),
            (8, [(11, 100), (12, 81)], (0, 8)),
            (8, [(11, 50), (12, 79), (13, 100)], (4, 12)),
            (8, [(11, 0), (15, 100), (19, 0), (21, 100)], (11, 19)),
            (8, [(11, 0), (15, 100), (25, 0), (31, 0), (40, 100)], (6, 31)),
            (8, [(15, 100), (20, 0), (22, 0)], (2, 22))):
        t.equal(ring_support.Ring.outages(ring, rates, since), wanted, "%d %r" % (since, rates))


def test_a_rate_that_nobody_measures_is_none(t):
    """The wait ends when nothing is measured any more."""
    for alive, rates, said in ((True, [], "not measured for 1"), (False, [], "not measured for 0"),
                               (False, [(time.monotonic(), 100)], "not measured for 0")):
        ring = ring_support.Ring.__new__(ring_support.Ring)
        ring.rate, ring.alive = 100, lambda: None
        ring.meter = type("Some", (), {
            "rates": lambda self, rates=rates: rates,
            "thread": type("Some", (), {"is_alive": lambda self, alive=alive: alive})()})()
        try:
            ring.back(time.monotonic() - (10 if alive else 0), 5)
            failed = "it waits no longer"
        except AssertionError as failure:
            failed = str(failure)
        t.true(said in failed, failed)


@slow
@alone
def test_nothing_is_lost(t):
    free = ring_support.memory()
    if free is not None and free < ring_support.MEMORY:
        t.skip("a ring wants 16 GiB of free memory, and %.1f GiB are free" % (free / 2 ** 30))
    began, said = time.monotonic(), []
    try:
        with ring_support.Ring(t, RATE, said.append) as ring:
            ring.begin()
            for what, act in (
                    ("kafka-2 is killed", lambda: ring.stack.kill("kafka-2")),
                    ("cassandra-3 is frozen", lambda: ring.stack.pause("cassandra-3")),
                    ("a worker is killed", ring.workers.pop().kill)):
                said.append(ring.fault(what, act, stretched(RECOVERY_S)))
            ring.stack.resume("cassandra-3")
            t.true(ring.finish() > 10 * RATE, "events")
    except AssertionError as failure:
        raise AssertionError("%s\nafter %.0f s; before:\n%s" % (
            failure, time.monotonic() - began, "\n".join(said))) from None
