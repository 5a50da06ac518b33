"""Real Kafka for the tests: one cluster at a time, started when a test first wants it and ended
with the run; and kafka-python as others would use it."""

import atexit
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

import ports
from harness import ROOT, Skip

sys.path.insert(0, ROOT)

try:
    from stack import UsageError, Stack, StackError, cache
except ImportError:  # the tests that want it say so
    Stack = None

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka_client.py")
PACKAGES = ("kafka-python==2.2.15", "lz4==4.4.4")
PORTS = (9092, 9093, 2181)


class Cluster:
    """A running Kafka; `options` name it to clickmill."""

    def __init__(self, version, profile):
        self.directory = tempfile.mkdtemp(prefix="clickmill-kafka-")
        self.said = []
        self.stack = Stack(self.directory, offset=ports.offset(PORTS), profile=profile, kafka=version,
                           say=self.said.append)
        self.topics = 0
        try:
            self.stack.up(["kafka"])
        except BaseException:
            self.close()
            raise

    @property
    def brokers(self):
        return "127.0.0.1:%d" % self.stack.port("kafka")

    def topic(self, partitions=6, configuration=None):
        """Options that name a topic of a test's own, made with its dead letters'."""
        self.topics += 1
        name = "clicks-%d-%d" % (os.getpid(), self.topics)
        self.stack.topic_create(name, partitions, configuration)
        return Topic(self, name)

    def close(self):
        self.stack.down()
        shutil.rmtree(self.directory, ignore_errors=True)


class Topic:
    def __init__(self, cluster, name):
        self.cluster, self.name, self.dead = cluster, name, name + ".dead"
        self.options = ["--brokers", cluster.brokers, "--topic", name, "--dead-topic", self.dead]

    def count(self, name=None):
        """Messages in the topic."""
        described = self.cluster.stack.topic_describe(name or self.name)
        return sum(part["end"] - part["begin"] for part in described["partitions"])

    def send(self, messages):
        """Sends (key, value) pairs of bytes or None in order, all into one partition."""
        client("send", self.cluster.brokers, self.name, stdin="".join(
            json.dumps([encoded(key), encoded(value)]) + "\n" for key, value in messages))

    def read(self, name=None):
        """All messages as dictionaries: partition, offset, key, value, headers (texts)."""
        lines = client("read", self.cluster.brokers, name or self.name).splitlines()
        messages = [json.loads(line) for line in lines]
        for message in messages:
            message["key"], message["value"] = decoded(message["key"]), decoded(message["value"])
        return messages


def encoded(data):
    return None if data is None else base64.b64encode(data).decode("ascii")


def decoded(text):
    return None if text is None else base64.b64decode(text)


def client(*arguments, stdin=""):
    """Runs kafka_client.py where kafka-python is."""
    home = cache.python_packages("kafka-python", PACKAGES, lambda text: None)
    done = subprocess.run([os.path.join(home, "bin", "python"), CLIENT, *arguments], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                          check=False)
    if done.returncode != 0:
        raise AssertionError("kafka-python fails\n" + done.stderr)
    return done.stdout


def start_client(*arguments):
    """The same in the background, with its output to be read."""
    home = cache.python_packages("kafka-python", PACKAGES, lambda text: None)
    return subprocess.Popen([os.path.join(home, "bin", "python"), CLIENT, *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


_running = {}


def stop():
    for cluster in list(_running.values()):
        cluster.close()
    _running.clear()


atexit.register(stop)


def kafka(version="3.9", profile="plain"):
    """The cluster of this kind; another kind's makes room for it."""
    if Stack is None:
        raise Skip("stack/ is not there, which starts real Kafka")
    key = version, profile
    if key not in _running:
        stop()
        try:
            _running[key] = Cluster(version, profile)
        except UsageError:
            raise
        except StackError as error:
            raise Skip("real Kafka %s (%s) cannot be started: %s" % (version, profile,
                                                                     error)) from None
    return _running[key]
