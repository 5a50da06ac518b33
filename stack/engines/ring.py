"""Members of a ring: three Kafka brokers, which are also its controllers, and three Cassandra nodes. A
fourth node can replace a dead one.

Member N listens at the default ports of its own loopback address, 127.0.0.N, like a machine of its
own. Everything else is defined by the class of the single engine.
"""

import base64
import json
import os
import uuid

from .. import cache
from ..engine import NotYet
from ..files import fill, template, write
from ..errors import UsageError
from .cassandra import Cassandra
from .kafka import VERSIONS, Kafka

SIZE = 3
SPARE = 4               # the address of a node that replaces another
NODES = range(1, SPARE + 1)
TOKENS = 16             # of each node
HEAP = 512              # megabytes of a node
JMX = 7199              # for nodetool


class Member:
    """What both kinds have in common. `number` is its number, `whole` the name of the ring."""

    number = whole = None

    def __init__(self, place, choice):
        super().__init__(place, {**choice, "ring": SIZE})
        self.host = address(self.number)

    def template_folder(self):
        return self.whole

    def variant(self):
        return super().variant() + " of a ring"

    def members(self):
        """The addresses that form the ring."""
        return [address(number) for number in numbers(self.place.directory, self.whole)]


class Broker(Member, Kafka):
    whole = "kafka"
    memory = 450
    heap = 384

    def __init__(self, place, choice):
        super().__init__(place, {**choice, "kafka": "4.3"})

    def version(self):
        return VERSIONS["4.3"]

    def copies(self):
        """min.insync.replicas = 2: an acknowledged record is on two brokers at least."""
        return {"replication": SIZE, "in_sync": SIZE - 1}

    def voters(self):
        return ",".join("%d@%s:%d" % (number, address(number), self.ports["controller"])
                        for number in range(1, SIZE + 1))

    def cluster_id(self):
        """The same for all brokers: generated once."""
        path = os.path.join(self.place.directory, "kafka-ring-id")
        if not os.path.exists(path):
            write(path, base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode()[:22])
        with open(path, encoding="ascii") as file:
            return file.read()


class Node(Member, Cassandra):
    whole = "cassandra"
    default_ports = {**Cassandra.default_ports, "jmx": JMX}
    replaces = None     # during a replacement: the address of the dead node

    def settings(self):
        return {
            "cassandra.consistent.rangemovement": "true",
            # A node must know the others before it answers; on loopback this is quick.
            "cassandra.gossip_settle_min_wait_ms": 1000,
            "cassandra.gossip_settle_interval_ms": 500,
            # With 0 gossip brings a replaced node back, and it stays in system.peers.
            "cassandra.ring_delay_ms": 5000,
            "cassandra.superuser_setup_delay_ms": 0,
            # Cassandra waits that long for gossip from the dead node; its default is 60 s.
            **({"cassandra.replace_address_first_boot": self.replaces,
                "cassandra.broadcast_interval_ms": 10000} if self.replaces else {}),
            "com.sun.management.jmxremote.host": self.host,
            "com.sun.management.jmxremote.port": self.ports["jmx"],
            "com.sun.management.jmxremote.rmi.port": self.ports["jmx"],
            "com.sun.management.jmxremote.authenticate": "false",
            "com.sun.management.jmxremote.ssl": "false",
            "java.rmi.server.hostname": self.host,
        }

    def place_in_ring(self):
        """Settings of the node's place in the ring. The first three nodes divide the tokens evenly, so
        that they can start at the same time. A replacing node gets the tokens and rows of the dead
        one."""
        lines = ["auto_bootstrap: %s" % ("true" if self.replaces else "false"),
                 "hinted_handoff_enabled: true"]
        if not self.replaces and not os.path.exists(os.path.join(self.data, "data")):
            lines.append("initial_token: " + ",".join(
                str(-2 ** 63 + (SIZE * turn + self.number - 1) * (2 ** 64 // (SIZE * TOKENS)))
                for turn in range(TOKENS)))
        return "\n".join(lines)

    def seeds(self):
        """The seeds. A node that streams its rows from the others must not be one."""
        hosts = [host for host in self.members() if host != self.replaces]
        return ",".join("%s:%d" % (host, self.ports["storage"]) for host in hosts)

    def probe(self):
        super().probe()
        with self.connect(timeout=2) as connection:
            known = {cell[0] for cell in connection.query("SELECT peer FROM system.peers")}
        missing = [node.host for node in self.others() if node.running()
                   and bytes(map(int, node.host.split("."))) not in known]
        if missing:
            raise NotYet("it does not know %s yet" % " and ".join(missing))

    def others(self):
        return [MEMBERS["%s-%d" % (self.whole, number)](self.place, self.choice)
                for number in numbers(self.place.directory, self.whole) if number != self.number]

    def nodetool(self, *words):
        """The output of Cassandra's nodetool."""
        return cache.run([
            os.path.join(self.place.java(), "bin", "java"), "-Xmx128m",
            "@" + os.path.join(self.conf, "jvm.options"), "-Dcom.sun.jndi.rmiURLParsing=legacy",
            "-Dlogback.configurationFile=" + os.path.join(self.conf, "logback-tools.xml"),
            "-cp", self.conf + ":" + os.path.join(self.fetch(), "*"),
            "org.apache.cassandra.tools.NodeTool", "-h", self.host, "-p", str(self.ports["jmx"]),
            *words], "nodetool %s of %s" % (words[0] if words else "", self.name))

    def prepare(self):
        super().prepare()
        write(os.path.join(self.conf, "logback-tools.xml"), fill(
            template("cassandra/logback.xml"), {}).replace('"INFO"', '"OFF"'))


def address(number):
    return "127.0.0.%d" % number


def path_of(directory):
    return os.path.join(directory, "ring.json")


def numbers(directory, whole):
    """The numbers of the members of a ring: 1 to 3 until a node was replaced."""
    try:
        with open(path_of(directory), encoding="ascii") as file:
            return json.load(file)[whole]
    except (FileNotFoundError, KeyError):
        return list(range(1, SIZE + 1))


def exchange(directory, old, new):
    """Records that the node `new` has replaced the node `old`."""
    formed = [number for number in numbers(directory, "cassandra") if number != old]
    write(path_of(directory), json.dumps({"cassandra": sorted([*formed, new])}) + "\n")


def check(choice):
    """Raises for choices that a ring cannot have."""
    if choice["ring"] not in (0, SIZE):
        raise UsageError("a ring has %d members (RING=%d), not %s" % (SIZE, SIZE, choice["ring"]))
    if choice["ring"] and choice["kafka"] != "4.3":
        raise UsageError("a ring cannot be of Kafka %s, because its ZooKeeper would be a single one: "
                         "leave KAFKA out, or give KAFKA=4.3" % choice["kafka"])
    if choice["ring"] and choice["profile"] != "plain":
        raise UsageError("a ring has no secure profile: the certificates of STACK=secure are for 127.0.0.1 "
                         "only")


MEMBERS = {"%s-%d" % (kind.whole, number): type(
    "%s%d" % (kind.__name__, number), (kind,),
    {"name": "%s-%d" % (kind.whole, number), "number": number})
    for kind, count in ((Broker, SIZE), (Node, SPARE)) for number in range(1, count + 1)}
