"""ZooKeeper 3.8, from the jars of Kafka 3.9, which still needs it."""

import contextlib
import os
import socket

from .. import cache
from ..engine import HOST, Engine, NotYet
from ..files import fill, template

VERSION = "3.8.4"  # what Kafka 3.9.2 depends on
KAFKA = "3.9.2"


class ZooKeeper(Engine):
    name = "zookeeper"
    default_ports = {"client": 2181}
    memory = 150

    def version(self):
        return VERSION

    def fetch(self):
        return cache.jars("kafka-" + KAFKA, fill(template("kafka/pom-3.9.xml"),
                                                 {"version": KAFKA}),
                          self.place.java(), self.place.say)

    def prepare(self):
        self.configure("zookeeper.properties", "zookeeper.properties",
                       template("zookeeper/%s.properties" % self.choice["profile"]))
        if self.secure:
            self.configure("jaas.conf", "jaas.conf")
        self.configure("../kafka/log4j.properties", "log4j.properties")

    def commands(self):
        return [("zookeeper", [
            os.path.join(self.place.java(), "bin", "java"), "-Xmx256m", "-XX:-UsePerfData",
            "-Dlog4j.configuration=file:" + os.path.join(self.conf, "log4j.properties"),
            *(["-Djava.security.auth.login.config=" + os.path.join(self.conf, "jaas.conf")]
              if self.secure else []),
            "-cp", os.path.join(self.fetch(), "*"),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            os.path.join(self.conf, "zookeeper.properties")], {})]

    def ask(self, word):
        """The answer to one of ZooKeeper's four-letter commands."""
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((HOST, self.port()), 2))
            if self.secure:
                connection = stack.enter_context(
                    self.context().wrap_socket(connection, server_hostname=HOST))
            connection.sendall(word.encode())
            answer = b""
            while more := connection.recv(4096):
                answer += more
        return answer.decode()

    def probe(self):
        answer = self.ask("ruok")
        if answer != "imok":
            raise NotYet("it answers %r" % answer)
