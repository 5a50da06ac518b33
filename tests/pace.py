"""How fast this machine is while a test measures: a bare loop beside it, in the same seconds.

A time that is too long says nothing where the loop was slowed down as well: other programs have the
processors or the disk. Then the test goes on, and in the end is skipped and says so. Where the loop
was not slowed down, a time that is too long fails.
"""

import hashlib
import os
import threading
import time

WORK = 0.01      # CPU seconds of a turn of the loop, about
REST = 0.04      # seconds between two turns
STRETCHED = 1.4  # times as long as by itself: the machine is busy
DISK = 0.5       # seconds that a few bytes may take to the disk
BLOCK = bytes(1 << 20)


class Pace:
    """`with t.pace() as pace:` measures beside what is inside, which took pace.took seconds; then
    pace.check() judges that or another time."""

    def __init__(self, t):
        self.t, self.wall, self.cpu, self.worst, self.disk = t, 0.0, 0.0, 0.0, 0.0
        self.path, self.slow = t.path("pace"), []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def stop(self):
        self.took = time.monotonic() - self.began
        self.over.set()
        self.thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def run(self):
        turn = 0
        while True:
            wall, cpu = time.monotonic(), time.thread_time()
            while time.thread_time() - cpu < WORK:
                hashlib.sha256(BLOCK).digest()  # which lets other threads run
            wall, cpu = time.monotonic() - wall, time.thread_time() - cpu
            self.wall, self.cpu = self.wall + wall, self.cpu + cpu
            self.worst = max(self.worst, wall - cpu)
            if turn % 10 == 0:
                self.disk = max(self.disk, self.write())
            turn += 1
            if self.over.wait(REST):
                return

    def write(self):
        """Seconds that a few bytes take to the disk."""
        began = time.monotonic()
        with open(self.path, "wb") as file:
            file.write(b"pace")
            file.flush()
            os.fsync(file.fileno())
        return time.monotonic() - began

    @property
    def stretch(self):
        """How many times as long the loop took as it takes by itself."""
        return self.wall / self.cpu if self.cpu else 1.0

    def held_up(self, what, seconds, limit):
        """Another reference, which a test has measured by itself."""
        if seconds > limit:
            self.slow.append("%s took %.2f s" % (what, seconds))

    def busy(self, limit):
        """Whether the loop was slowed down, or held up for long compared with the limit."""
        return bool(self.slow or self.stretch > STRETCHED or self.worst > limit / 4
                    or self.disk > max(DISK, limit / 4))

    def check(self, seconds, limit, what):
        """Fails where that took longer than the limit, unless the machine is too busy to tell."""
        if seconds <= limit:
            return
        text = "%s took %.2f s, at most %g s are right" % (what, seconds, limit)
        beside = ", ".join(["a bare loop beside it took %.1f times as long as by itself, a few bytes "
                            "%.2f s to the disk" % (self.stretch, self.disk), *self.slow])
        if not self.busy(limit):
            raise AssertionError("%s; %s" % (text, beside))
        self.t.doubt("the machine is too busy to tell: %s; %s" % (text, beside))
