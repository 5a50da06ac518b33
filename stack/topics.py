"""Topics in the Kafka of a stack, which is one broker or a ring."""

import time

from . import engines, kafka_wire
from .errors import UsageError, StackError


class Topics:
    """The methods of a Stack for topics."""

    def broker(self):
        """The broker, or a broker of the ring that answers."""
        members = [self.recorded(part) for part in engines.parts("kafka")]
        for member in members:
            if member is not None and self.condition(member, member.state()) == "answers":
                return member
        return self.existing("kafka")

    def topic_create(self, name, partitions=6, configuration=None):
        """Creates a topic and waits until every partition has a leader."""
        broker = self.broker()
        with broker.connect() as connection:
            try:
                self.create_with_retries(connection, name, partitions, broker.copies()["replication"],
                                      configuration)
                self.offsets(name, self.until_led(connection, name, partitions), (-1,))
            except kafka_wire.KafkaError as error:
                raise UsageError("the topic %s cannot be created: %s" % (name, error)) from None

    @staticmethod
    def create_with_retries(connection, name, partitions, copies, configuration):
        """Creates a topic, with repetitions for 20 seconds. A broker that has just restarted, or was
        paused until its ZooKeeper session ended, refuses for a moment: it is not registered yet, or
        there is no controller."""
        deadline, tried = time.monotonic() + 20, False
        while True:
            try:
                return connection.create_topic(name, partitions, copies, configuration)
            except kafka_wire.KafkaError as error:
                if tried and error.code == kafka_wire.TOPIC_EXISTS:
                    return None  # created by an attempt that reported an error
                if error.code not in kafka_wire.TEMPORARY or time.monotonic() > deadline:
                    raise
            tried = True
            time.sleep(0.3)

    @staticmethod
    def until_led(connection, name, partitions):
        until = time.monotonic() + 20
        while True:
            topic = connection.metadata([name])["topics"][name]
            if [part["leader"] >= 0 for part in topic["partitions"].values()] == (
                    [True] * partitions):
                return topic["partitions"]
            if time.monotonic() > until:
                raise StackError("the partitions of the topic %s have no leader" % name)
            time.sleep(0.05)

    def offsets(self, name, parts, moments):
        """{partition: offset} for each moment, of the partitions of `metadata`, from their leaders. A
        broker may learn later than the others that it leads a new partition."""
        led, found = {}, [{} for _ in moments]
        for index, part in parts.items():
            led.setdefault(part["leader"], []).append(index)
        for leader, indexes in led.items():
            broker = self.recorded("kafka") or self.existing("kafka-%d" % leader)
            with broker.connect() as connection:
                for moment, offsets in zip(moments, found):
                    offsets.update(self.offsets_of(connection, name, indexes, moment))
        return found

    @staticmethod
    def offsets_of(connection, name, indexes, moment):
        until = time.monotonic() + 20
        while True:
            try:
                return connection.offsets(name, indexes, moment)
            except kafka_wire.KafkaError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @staticmethod
    def known(connection, name):
        """The broker's metadata of the topic. A broker that has just restarted knows no topics for a
        moment, and answers as if there were none."""
        until = time.monotonic() + 10
        while True:
            blank = not connection.metadata()["topics"]
            topic = connection.metadata([name])["topics"][name]
            if (topic["error"] != kafka_wire.NO_SUCH_TOPIC or not blank
                    or time.monotonic() > until):
                return topic
            time.sleep(0.1)

    def topic_describe(self, name):
        """{"topic": name, "partitions": [{partition, leader, replicas, isr, begin, end}]}"""
        with self.broker().connect() as connection:
            topic = self.known(connection, name)
            if topic["error"] != 0:
                raise UsageError("there is no topic %s" % name if topic["error"]
                             == kafka_wire.NO_SUCH_TOPIC else "the topic %s: Kafka's error %d"
                             % (name, topic["error"]))
            parts = topic["partitions"]
        begins, ends = self.offsets(name, parts, (-2, -1))
        return {"topic": name, "partitions": [
            {"partition": index, "leader": part["leader"], "replicas": part["replicas"],
             "isr": part["isr"], "begin": begins[index], "end": ends[index]}
            for index, part in parts.items()]}
