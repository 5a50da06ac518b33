"""Topics of the Kafka of a stack, one broker or a ring of them."""

import time

from . import engines, kafka_wire
from .trouble import Misuse, Trouble


class Topics:
    """What a Stack knows of topics."""

    def broker(self):
        """The broker, or one of a ring that answers."""
        members = [self.recorded(part) for part in engines.parts("kafka")]
        for member in members:
            if member is not None and self.condition(member, member.state()) == "answers":
                return member
        return self.existing("kafka")

    def topic_create(self, name, partitions=6, configuration=None):
        """Makes a topic and waits until every partition has a leader."""
        broker = self.broker()
        with broker.connect() as connection:
            try:
                self.create_patiently(connection, name, partitions, broker.copies()["replication"],
                                      configuration)
                self.offsets(name, self.until_led(connection, name, partitions), (-1,))
            except kafka_wire.KafkaError as error:
                raise Misuse("the topic %s cannot be made: %s" % (name, error)) from None

    @staticmethod
    def create_patiently(connection, name, partitions, copies, configuration):
        """A broker that has just come back, or was paused so long that ZooKeeper gave it up, refuses
        for a moment: it is not registered, or nobody is the controller."""
        deadline, tried = time.monotonic() + 20, False
        while True:
            try:
                return connection.create_topic(name, partitions, copies, configuration)
            except kafka_wire.KafkaError as error:
                if tried and error.code == kafka_wire.TOPIC_EXISTS:
                    return None  # by the try before, which said something else
                if error.code not in kafka_wire.PASSING or time.monotonic() > deadline:
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
                raise Trouble("the partitions of the topic %s have no leader" % name)
            time.sleep(0.05)

    def offsets(self, name, parts, moments):
        """{partition: offset} for each moment, of the partitions of `metadata`, from those that lead
        them; a broker may hear later than others that it leads a new partition."""
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
        """What the broker knows of the topic. One that has just come back knows of none for a
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
                raise Misuse("there is no topic %s" % name if topic["error"]
                             == kafka_wire.NO_SUCH_TOPIC else "the topic %s: Kafka's error %d"
                             % (name, topic["error"]))
            parts = topic["partitions"]
        begins, ends = self.offsets(name, parts, (-2, -1))
        return {"topic": name, "partitions": [
            {"partition": index, "leader": part["leader"], "replicas": part["replicas"],
             "isr": part["isr"], "begin": begins[index], "end": ends[index]}
            for index, part in parts.items()]}
