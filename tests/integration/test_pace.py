"""What tests do that measure time, on a busy machine and on a quiet one."""

import subprocess
import sys
import time

from pace import Pace


def judged(t, pace, seconds, limit):
    """"ok", "failed", or "doubted", and the sentence."""
    t.doubts.clear()
    try:
        pace.check(seconds, limit, "the thing")
    except AssertionError as failure:
        return "failed", str(failure)
    return ("doubted", t.doubts.pop()) if t.doubts else ("ok", "")


def test_a_quiet_machine(t):
    pace = Pace(t)
    pace.wall, pace.cpu, pace.worst, pace.disk = 1.0, 0.9, 0.05, 0.01
    t.equal(judged(t, pace, 2.0, 2.0)[0], "ok", "as long as is right")
    word, text = judged(t, pace, 2.1, 2.0)
    t.equal(word, "failed")
    t.true("the thing took 2.10 s, at most 2 s are right" in text, text)


def test_a_busy_machine(t):
    for change in ({"wall": 1.5}, {"worst": 0.6}, {"disk": 0.6}, {"slow": ["that took 9 s"]}):
        pace = Pace(t)
        pace.wall, pace.cpu, pace.worst, pace.disk = 1.0, 0.9, 0.05, 0.01
        for name, value in change.items():
            setattr(pace, name, value)
        t.equal(judged(t, pace, 1.9, 2.0)[0], "ok", "in time")
        word, text = judged(t, pace, 2.1, 2.0)
        t.equal(word, "doubted", "%s: %s" % (change, text))
        t.true(text.startswith("the machine is too busy to tell: the thing took 2.10 s"), text)


def test_the_loop_sees_others(t):
    """Many that compute beside it slow it down."""
    program = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(16)]
    try:
        with t.pace() as pace:
            time.sleep(2)
    finally:
        for other in others:
            other.kill()
            other.wait()
    t.true(pace.took >= 2, "it took %g s" % pace.took)
    t.true(pace.busy(100) and pace.stretch > 1.4, "%g times as long" % pace.stretch)
