"""Kafka: 3.9 with ZooKeeper, or 4.3 by itself (KRaft). One broker."""

import os
import time

from .. import cache, kafka_wire
from ..engine import HOST, Engine, NotYet, fill, template
from ..trouble import Misuse, Trouble
from .zookeeper import ZooKeeper

VERSIONS = {"3.9": "3.9.2", "4.3": "4.3.1"}


class Kafka(Engine):
    name = "kafka"
    default_ports = {"client": 9092, "controller": 9093}
    memory = 600

    def __init__(self, place, choice):
        super().__init__(place, choice)
        if not self.kraft:
            del self.ports["controller"]

    @staticmethod
    def needs(choice):
        return ("zookeeper",) if choice["kafka"] == "3.9" else ()

    @property
    def kraft(self):
        return not self.needs(self.choice)

    def version(self):
        if self.choice["kafka"] not in VERSIONS:
            raise Misuse("unknown Kafka %s; there are %s" % (self.choice["kafka"],
                                                             " and ".join(VERSIONS)))
        return VERSIONS[self.choice["kafka"]]

    def fetch(self):
        pom = fill(template("kafka/pom-%s.xml" % self.choice["kafka"]),
                   {"version": self.version()})
        return cache.jars("kafka-" + self.version(), pom, self.place.java(), self.place.say)

    # ---- starting

    def prepare(self):
        self.configure("log4j2.properties" if self.kraft else "log4j.properties",
                       "log4j.properties")
        source = "%s-%s.properties" % ("kraft" if self.kraft else "zookeeper",
                                       self.choice["profile"])
        self.configure(source, "server.properties", template("kafka/broker.properties"),
                       version=self.version(),
                       zookeeper_port=ZooKeeper(self.place, self.choice).port())
        if self.kraft:
            self.format()
        else:
            self.wait_until_forgotten()

    def java(self, *arguments):
        logging = "-Dlog4j2.configurationFile=" if self.kraft else "-Dlog4j.configuration=file:"
        return [os.path.join(self.place.java(), "bin", "java"), "-Xmx512m", "-XX:-UsePerfData",
                "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35",
                logging + os.path.join(self.conf, "log4j.properties"),
                "-cp", os.path.join(self.fetch(), "*"), *arguments]

    def format(self):
        """KRaft's data folder must be made before the first start."""
        if os.path.exists(os.path.join(self.data, "meta.properties")):
            return
        cluster = cache.run(self.java("kafka.tools.StorageTool", "random-uuid"),
                            "naming the cluster").split()[-1]
        cache.run(self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c",
                            os.path.join(self.conf, "server.properties")),
                  "formatting Kafka's data folder")

    def wait_until_forgotten(self):
        """A killed broker stays registered until its session ends; a new one would give up."""
        zookeeper = ZooKeeper(self.place, self.choice)
        until = time.monotonic() + 30
        while "\t/brokers/ids/1\n" in zookeeper.ask("dump"):
            if time.monotonic() > until:
                raise Trouble("another broker is registered in the ZooKeeper on port %d"
                              % zookeeper.port())
            time.sleep(0.2)

    def commands(self):
        return [("kafka", self.java("kafka.Kafka", os.path.join(self.conf, "server.properties")),
                 {})]

    # ---- asking

    def connect(self):
        return kafka_wire.Connection(HOST, self.port())

    def probe(self):
        try:
            with self.connect() as connection:
                connection.api_versions()
                if 1 not in connection.metadata([])["brokers"]:
                    raise NotYet("the broker is not registered yet")
        except kafka_wire.KafkaError as error:
            raise NotYet(str(error)) from None
