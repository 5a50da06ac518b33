"""Real engines for tests. They are started when the first test needs them and shared until the end.

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


MOST = 3  # clusters at the same time; no test uses more, and memory is limited
running = []  # running clusters, the last used one at the end
# A Spark job runs for a minute: the quick compiler alone needs less than half of the CPU time.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"


class Cluster:
    """Some engines and how they are started. Each starts when a test first needs it, with up(), and
    ends when other engines need the memory or the run ends."""

    def __init__(self, *names, **choices):
        self.names, self.choices = names, choices
        self.stack, self.started, self.problems = None, set(), {}

    def up(self, *names):
        """The Stack, with these of its engines (default: all) running. Skips the test when they
        are not available."""
        names = names or self.names
        if names in self.problems:
            raise Skip(self.problems[names])
        if self.stack is None:
            self.begin()
        else:
            running.remove(self)
            running.append(self)
        if not self.started.issuperset(names):
            if "spark" in names:
                os.environ.setdefault("JDK_JAVA_OPTIONS", SHORT_LIVED)
            try:
                self.stack.up(names)
            except (Missing, MemoryShort) as reason:
                self.problems[names] = "%s cannot be started here: %s" % (", ".join(names), reason)
                raise Skip(self.problems[names]) from None
            self.started.update(names)
        return self.stack

    def begin(self):
        while len(running) >= MOST:
            running[0].down()
        self.directory = tempfile.mkdtemp(prefix="clickmill-stack-")
        self.stack = Stack(self.directory, free_offset((*self.names, "cosmos")),
                           say=lambda _: None, **self.choices)
        atexit.register(self.down)
        running.append(self)

    def part(self, *names):
        """Some of its engines, as a cluster of their own for a test."""
        return Part(self, names)

    def down(self):
        if self.stack is None:
            return
        running.remove(self)
        self.stack.down()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.stack, self.started = None, set()


class Part:
    """Some engines of a cluster that other tests use too: it does not end with its user."""

    def __init__(self, whole, names):
        self.whole, self.names = whole, names

    def up(self):
        return self.whole.up(*self.names)


# The clusters that most tests share: every test writes under its own names.
PLAIN = Cluster("zookeeper", "kafka", "cassandra", "elasticsearch")
SECURE = Cluster("cassandra", "elasticsearch", profile="secure")
SPARK = Cluster("spark")
NODES = {"7.17": PLAIN.part("elasticsearch"),
         "8.19": Cluster("elasticsearch", elasticsearch="8.19"),
         "opensearch-2.19": Cluster("elasticsearch", elasticsearch="opensearch-2.19")}


def python_with(name, packages):
    """A Python with these packages. Skips the test when they are not available."""
    try:
        folder = cache.python_packages(name, packages, lambda _: None)
    except Missing as reason:
        raise Skip("%s cannot be installed: %s" % (" ".join(packages), reason)) from None
    return os.path.join(folder, "bin", "python3")


def python():
    """A Python with the usual clients of the engines."""
    return python_with("python-clients", PYTHON_CLIENTS)
