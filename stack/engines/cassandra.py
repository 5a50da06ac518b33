"""Cassandra 5.0, one node."""

import glob
import os

from .. import cache, cql_wire
from ..engine import Engine, NotYet
from ..files import fill, template

VERSION = "5.0.9"
# When an acknowledged write is on the disk: at once (many threads wait together for one sync), or
# within ten seconds, which is Cassandra's default.
COMMITLOG_SYNC = {"group": "commitlog_sync: group\ncommitlog_sync_group_window: 10ms",
                  "periodic": "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms"}
MAIN = "org.apache.cassandra.service.CassandraDaemon"


class Cassandra(Engine):
    name = "cassandra"
    default_ports = {"client": 9042, "storage": 7000}
    end_timeout = 40

    def __init__(self, place, choice):
        super().__init__(place, choice)
        self.memory = choice["heap"] + 900

    def template_folder(self):
        return "cassandra"

    def version(self):
        return VERSION

    def fetch(self):
        return cache.jars("cassandra-" + VERSION, fill(template("cassandra/pom.xml"),
                                                       {"version": VERSION}),
                          self.place.java(), self.place.say)

    # ---- starting

    def prepare(self):
        self.configure("jvm.options", "jvm.options")
        self.configure("logback.xml", "logback.xml")
        self.configure("cassandra.yaml", "cassandra.yaml",
                       template("cassandra/%s.yaml" % self.choice["profile"]),
                       place_in_ring=self.place_in_ring(), seeds=self.seeds(),
                       client_certificates=str(self.choice["client_certificates"]).lower(),
                       commitlog_sync=COMMITLOG_SYNC[self.choice.get("commitlog_sync", "group")])

    def commands(self):
        libraries = self.fetch()
        heap = "%dm" % self.choice["heap"]
        conf = "file://" + self.conf
        settings = {
            "logback.configurationFile": conf + "/logback.xml",
            "cassandra.config": conf + "/cassandra.yaml",
            "cassandra.storagedir": self.data,
            "cassandra-foreground": "yes",
            "java.security.manager": "allow",  # Cassandra sets one, which Java 21 must be told to allow
            **self.settings(),
        }
        return [("cassandra", [
            os.path.join(self.place.java(), "bin", "java"), "-Xms" + heap, "-Xmx" + heap,
            "-javaagent:" + glob.glob(os.path.join(libraries, "jamm-*.jar"))[0],
            "@" + os.path.join(self.conf, "jvm.options"),
            *("-D%s=%s" % pair for pair in settings.items()),
            "-cp", self.conf + ":" + os.path.join(libraries, "*"), MAIN], {})]

    def settings(self):
        """A single node has no gossip to wait for."""
        return {"cassandra.skip_wait_for_gossip_to_settle": 0, "cassandra.ring_delay_ms": 0,
                "cassandra.superuser_setup_delay_ms": 0}

    def place_in_ring(self):
        return ("allocate_tokens_for_local_replication_factor: 1\nauto_bootstrap: false\n"
                "hinted_handoff_enabled: false")

    def seeds(self):
        return "%s:%d" % (self.host, self.ports["storage"])

    # ---- clients

    def login(self):
        """(user name, password) of a client."""
        known = self.place.secrets()
        return known["CASSANDRA_USERNAME"], known["CASSANDRA_PASSWORD"]

    def connect(self, login=None, timeout=30):
        return cql_wire.Connection(self.host, self.port(), timeout, self.context(),
                                   (login or self.login()) if self.secure else None)

    def probe(self):
        try:
            with self.connect(timeout=2) as connection:
                connection.query("SELECT release_version FROM system.local")
        except cql_wire.CqlError as error:
            if self.secure and error.code == cql_wire.BAD_CREDENTIALS:
                self.replace_default_password()
            raise NotYet(str(error)) from None

    def replace_default_password(self):
        """Cassandra's superuser has a well-known default password."""
        user, password = self.login()
        try:
            with self.connect((user, "cassandra")) as connection:
                connection.query("ALTER ROLE %s WITH PASSWORD = '%s'" % (user, password))
        except cql_wire.CqlError as error:
            raise NotYet(str(error)) from None


class Cosmos(Cassandra):
    """A Cassandra that clients use like Azure Cosmos DB for Apache Cassandra: on its port, always
    with TLS and a password, whatever the profile of the other engines."""

    name = "cosmos"
    default_ports = {"client": 10350, "storage": 7010}

    def __init__(self, place, choice):
        super().__init__(place, {**choice, "profile": "secure", "heap": 512,
                                 "client_certificates": False})
