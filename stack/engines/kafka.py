"""Kafka: 3.9 with ZooKeeper, or 4.3 without (KRaft). One broker."""

import os
import time

from .. import cache, kafka_wire
from ..engine import HOST, Engine, NotYet
from ..files import fill, template, write
from ..errors import UsageError, StackError
from .zookeeper import ZooKeeper

SCRAM = "SCRAM-SHA-512"
VERSIONS = {"3.9": "3.9.2", "4.3": "4.3.1"}


class Kafka(Engine):
    name = "kafka"
    default_ports = {"client": 9092, "controller": 9093}
    memory = 600
    heap = 512
    number = 1

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
            raise UsageError("unknown Kafka %s; the versions are %s" % (self.choice["kafka"],
                                                             " and ".join(VERSIONS)))
        return VERSIONS[self.choice["kafka"]]

    def fetch(self):
        pom = fill(template("kafka/pom-%s.xml" % self.choice["kafka"]),
                   {"version": self.version()})
        return cache.jars("kafka-" + self.version(), pom, self.place.java(), self.place.say)

    def copies(self):
        """Numbers of copies of a partition. A single broker can have one."""
        return {"replication": 1, "in_sync": 1}

    def voters(self):
        return "1@%s:%d" % (HOST, self.ports.get("controller", 0))

    def cluster_id(self):
        return cache.run(self.java("kafka.tools.StorageTool", "random-uuid"),
                         "generating the id of the cluster").split()[-1]

    # ---- starting

    def prepare(self):
        self.configure("log4j2.properties" if self.kraft else "log4j.properties",
                       "log4j.properties")
        if self.secure:
            self.configure("jaas.conf", "jaas.conf")
            self.configure("zookeeper-client.properties", "zookeeper-client.properties")
        base = template("kafka/broker.properties") + (
            template("kafka/tls.properties") if self.secure else "")
        source = "%s-%s.properties" % ("kraft" if self.kraft else "zookeeper",
                                       self.choice["profile"])
        self.configure(source, "server.properties", base, version=self.version(),
                       plain_login=self.plain_login(), number=self.number, voters=self.voters(),
                       **self.copies(),
                       client_auth="required" if self.choice["client_certificates"] else "none",
                       zookeeper_port=ZooKeeper(self.place, self.choice).port())
        if self.kraft:
            self.format()
        else:
            self.wait_until_forgotten()
            if self.secure:
                self.make_user()

    def plain_login(self):
        """The login module of a listener for PLAIN: its own login, and the users with their passwords."""
        if not self.secure:
            return ""
        _, user, password = self.login()
        return ('org.apache.kafka.common.security.plain.PlainLoginModule required username="%s" '
                'password="%s" user_%s="%s";' % (user, password, user, password))

    def java(self, *arguments):
        logging = "-Dlog4j2.configurationFile=" if self.kraft else "-Dlog4j.configuration=file:"
        return [os.path.join(self.place.java(), "bin", "java"), "-Xmx%dm" % self.heap,
                "-XX:-UsePerfData",
                "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35",
                logging + os.path.join(self.conf, "log4j.properties"),
                *(["-Djava.security.auth.login.config=" + os.path.join(self.conf, "jaas.conf")]
                  if self.secure and not self.kraft else []),
                "-cp", os.path.join(self.fetch(), "*"), *arguments]

    def format(self):
        """Formats KRaft's data folder before the first start."""
        if os.path.exists(os.path.join(self.data, "meta.properties")):
            return
        users = []
        if self.secure:
            users = ["--add-scram", "%s=[name=%s,password=%s]" % (SCRAM, *self.login()[1:])]
        cache.run(self.java("kafka.tools.StorageTool", "format", "-t", self.cluster_id(), "-c",
                            os.path.join(self.conf, "server.properties"), *users),
                  "formatting Kafka's data folder")

    def make_user(self):
        """Adds the user to ZooKeeper: the broker itself logs in with SCRAM as this user."""
        mark = os.path.join(self.data, "user-made")
        if os.path.exists(mark):
            return
        _, user, password = self.login()
        zookeeper = "%s:%d" % (HOST, ZooKeeper(self.place, self.choice).port())
        cache.run(self.java(
            "kafka.admin.ConfigCommand", "--zookeeper", zookeeper, "--zk-tls-config-file",
            os.path.join(self.conf, "zookeeper-client.properties"), "--alter", "--entity-type",
            "users", "--entity-name", user, "--add-config", "%s=[password=%s]" % (SCRAM, password)),
            "creating Kafka's user")
        write(mark, "")

    def wait_until_forgotten(self):
        """A killed broker stays registered until its session ends; until then a new one fails."""
        zookeeper = ZooKeeper(self.place, self.choice)
        until = time.monotonic() + 30
        while "\t/brokers/ids/1\n" in self.sessions(zookeeper):
            if time.monotonic() > until:
                raise StackError("another broker is registered in the ZooKeeper on port %d"
                              % zookeeper.port())
            time.sleep(0.2)

    @staticmethod
    def sessions(zookeeper):
        try:
            return zookeeper.ask("dump")
        except OSError as error:
            raise StackError("kafka needs zookeeper, which does not answer: %s" % error) from None

    def commands(self):
        return [("kafka", self.java("kafka.Kafka", os.path.join(self.conf, "server.properties")),
                 {})]

    # ---- clients

    def mechanism(self):
        """A mechanism for all clients: librdkafka before 2.6.1 has no SCRAM with a broker 4.x."""
        return "PLAIN" if self.kraft else SCRAM

    def login(self):
        """(mechanism, user name, password) of a client."""
        known = self.place.secrets()
        return SCRAM, known["KAFKA_USERNAME"], known["KAFKA_PASSWORD"]

    def connect(self, timeout=30):
        return kafka_wire.Connection(self.host, self.port(), timeout, self.context(),
                                     self.login() if self.secure else None)

    def probe(self):
        try:
            with self.connect(timeout=2) as connection:
                connection.api_versions()
                if self.number not in connection.metadata([])["brokers"]:
                    raise NotYet("the broker is not registered yet")
        except kafka_wire.KafkaError as error:
            raise NotYet(str(error)) from None
