"""Real engines for tests, started when the first test wants them and shared until the end.

A test that shares them uses a topic and a keyspace of its own, and leaves every engine running.
Where they cannot be started at all, its tests are skipped and say why.
"""

import atexit
import os
import shutil
import sys
import tempfile

import ports
from harness import ROOT, Skip

sys.path.insert(0, ROOT)

from stack import MemoryShort, Missing, Stack  # noqa: E402
from stack import cache, engines  # noqa: E402

PYTHON_CLIENTS = ("cassandra-driver==3.30.1",)


def free_offset(names):
    """An offset that makes all ports of the engines free."""
    return ports.offset([port for name in names
                         for port in engines.find(name).default_ports.values()])


MOST = 3  # clusters at once; one test uses no more, and memory is not endless
running = []  # those that are up, the one used last at the end


class Cluster:
    """Some engines and how they are started; they are when up() is called first, and end when others
    need the room or the run ends."""

    def __init__(self, *names, **choices):
        self.names, self.choices = names, choices
        self.stack = self.problem = None

    def up(self):
        """The Stack. Skips the test where the engines cannot be had."""
        if self.problem is not None:
            raise Skip(self.problem)
        if self.stack is not None:
            running.remove(self)
            running.append(self)
        else:
            while len(running) >= MOST:
                running[0].down()
            self.directory = tempfile.mkdtemp(prefix="clickmill-stack-")
            self.stack = Stack(self.directory, free_offset((*self.names, "cosmos")),
                               say=lambda _: None, **self.choices)
            atexit.register(self.down)
            running.append(self)
            try:
                self.stack.up(self.names)
            except (Missing, MemoryShort) as reason:
                self.problem = "%s cannot be started here: %s" % (", ".join(self.names), reason)
                raise Skip(self.problem) from None
        return self.stack

    def down(self):
        if self.stack is None:
            return
        running.remove(self)
        self.stack.down()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.stack = None


def python():
    """A Python that has the usual clients of the engines. Skips the test where it cannot be had."""
    try:
        folder = cache.python_packages("python-clients", PYTHON_CLIENTS, lambda _: None)
    except Missing as reason:
        raise Skip("the Python clients cannot be installed: %s" % reason) from None
    return os.path.join(folder, "bin", "python3")
