"""The stack: engines in a directory, started, asked, stopped. See Stack."""

import contextlib
import fcntl
import os
import signal
import sys
import time

from . import cache, engines, files, kafka_wire, process, secrets
from .engine import HOST, NotYet
from .trouble import MemoryShort, Misuse, PortTaken, Trouble

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT = ("kafka", "cassandra")  # and ZooKeeper, where Kafka needs it
ALL = DEFAULT + ("elasticsearch", "spark")
PROFILES = ("plain", "secure")
STATES = ("answers", "starting", "paused", "silent", "stopped", "died")
MEGABYTE = 1 << 20
MAX_OFFSET = 55000  # the highest usual port, moved by it, is still a port


def tell(text):
    print("stack: " + text, file=sys.stderr, flush=True)


class Place:
    """What the engines of one directory share."""

    def __init__(self, directory, say):
        self.directory = os.path.abspath(directory)
        self.say = say
        self._java = None

    def java(self):
        """The home of Java 17."""
        if self._java is None:
            self._java = cache.java_home()
        return self._java

    # ---- the secure profile

    @property
    def tls(self):
        """The folder of the certificates."""
        return os.path.join(self.directory, "tls")

    def secrets(self):
        return secrets.load(self.directory)

    def certificates(self):
        secrets.certificates(self.directory, self.java())

    def context(self, certificate=False):
        """The ssl.SSLContext of a client."""
        return secrets.context(self.directory, certificate)


class Stack:
    """Engines in `directory` (default build/stack). `offset` moves every port, `profile` is plain
    or secure, `kafka` 3.9 (with ZooKeeper) or 4.3 (KRaft), `elasticsearch` 7.17, 8.19 or
    opensearch-2.19, `heap` the megabytes of Cassandra's heap, `client_certificates` whether Kafka
    and Cassandra ask for them in the secure profile. `say` gets the progress, a line each.

    Not for several threads at once; two processes that change one directory take turns.
    """

    def __init__(self, directory=None, offset=0, profile="plain", kafka="3.9",
                 elasticsearch="7.17", heap=1024, client_certificates=False,
                 timeout=180, say=tell, commitlog_sync="group"):
        if profile not in PROFILES:
            raise Misuse("unknown profile %s; it is plain or secure (STACK=secure)" % profile)
        if not 0 <= offset <= MAX_OFFSET:
            raise Misuse("ports can be moved by 0 to %d, not by %d" % (MAX_OFFSET, offset))
        self.place = Place(directory or os.path.join(ROOT, "build", "stack"), say)
        self.say = say
        self.timeout = timeout
        self.choice = {"profile": profile, "offset": offset, "kafka": kafka,
                       "elasticsearch": elasticsearch, "heap": heap,
                       "client_certificates": client_certificates and profile == "secure",
                       "commitlog_sync": commitlog_sync}
        self._children = []
        for name in engines.NAMES:
            self.engine(name).version()  # complains about a version that there is not

    # ---- engines

    def engine(self, name, choice=None):
        return engines.find(name)(self.place, choice or self.choice)

    def recorded(self, name):
        """The engine as it was started, None when it was not."""
        state = self.engine(name).state()
        if state is None:
            return None
        # One that an older stack.py started may lack a choice that there was not yet.
        return self.engine(name, {key: state.get(key, value)
                                  for key, value in self.choice.items()})

    def existing(self, name):
        engine = self.recorded(name)
        if engine is None:
            raise Misuse("%s was not started in %s: run make stack-up ENGINES=%s first"
                         % (name, self.place.directory, name))
        return engine

    def order(self, names):
        """The engines that were asked for and what they need, in the order to start them."""
        wanted = []

        def add(name):
            for other in engines.find(name).needs(self.choice):
                add(other)
            if name not in wanted:
                wanted.append(name)

        for name in {(): DEFAULT, ("all",): ALL}.get(tuple(names), names):
            add(name)
        return wanted

    # ---- up

    def up(self, names=()):
        """Starts what does not run yet, waits until all answer, returns their status."""
        with self.lock():
            wanted = [self.engine(name) for name in self.order(names)]
            new = [engine for engine in wanted if not self.runs(engine)]
            self.check_ports(new)
            self.check_memory(new)
            for engine in new:
                engine.fetch()
            # One whose start was interrupted runs and does not answer yet.
            self.launch(new, [engine for engine in wanted if engine not in new
                              and self.condition(engine, engine.state()) != "answers"])
            if self.choice["profile"] == "secure":
                # `clickmill doctor` would miss what was never started.
                self.write_configuration(self.recorded("elasticsearch") is not None)
            return [self.describe(engine) for engine in wanted]

    def write_configuration(self, elasticsearch=True):
        """clickmill.secure.yaml: what clickmill needs to know of the secure profile, with
        Elasticsearch or without."""
        values = {name.lower(): value for name, value in self.secrets().items()}
        template = files.template("clickmill.secure.yaml")
        if not elasticsearch:
            template = template[:template.index("\nelasticsearch:")]
        files.write(os.path.join(self.place.directory, "clickmill.secure.yaml"),
                    files.fill(template, {
                        **values, "host": HOST, "mechanism": self.engine("kafka").mechanism(),
                        "kafka_port": self.engine("kafka").port(),
                        "cassandra_port": self.engine("cassandra").port(),
                        "elasticsearch_port": self.engine("elasticsearch").port()}), 0o600)

    def runs(self, engine):
        """True when the engine runs as it is wanted; another variant of it is in the way."""
        old = self.recorded(engine.name)
        if old is None or not old.running():
            return False
        if old.variant() != engine.variant():
            raise Misuse("%s runs as %s, and %s is wanted: run make stack-down first (its data "
                         "are kept)" % (engine.name, old.variant(), engine.variant()))
        condition = self.condition(old, old.state())
        if condition == "paused":
            raise Trouble("%s is paused: run stack/stack.py resume %s first"
                          % (engine.name, engine.name))
        if condition == "died":
            self.say("%s has died in part; ending the rest of it" % engine.name)
            process.end(old.running(), old.patience)
            return False
        self.say("%s %s already runs (pid %s, port %d)" % (
            engine.name, old.version(), pids(old.running()), old.port()))
        return True

    def check_ports(self, new):
        for engine in new:
            for use, port in engine.ports.items():
                if process.taken(port):
                    raise PortTaken(self.port_sentence(engine, use, port))

    @staticmethod
    def port_sentence(engine, use, port):
        held = process.holder(port)
        by = "by pid %d (%s)" % held if held else "by a process of another user"
        return ("port %d, which %s needs (%s), is taken %s: end that, or move all ports, for "
                "example with PORT_OFFSET=20000" % (port, engine.name, use, by))

    @staticmethod
    def check_memory(new):
        have, need = process.available(), sum(engine.memory for engine in new)
        if have is not None and have < need * MEGABYTE:
            raise MemoryShort(
                "%s need about %d MB of memory, and %d MB are available: end something, or start "
                "fewer engines (ENGINES=\"%s\")" % (
                    " and ".join(engine.name for engine in new), need, have // MEGABYTE,
                    min(new, key=lambda engine: engine.memory).name))

    def launch(self, new, begun=()):
        """Starts engines, each as soon as those that it needs answer; waits for those too that
        were begun before."""
        waiting = list(new)
        starting = {engine: self.watch(engine.running()) for engine in begun}
        while waiting or starting:
            names = {engine.name for engine in waiting} | {
                engine.name for engine in starting}
            for engine in list(waiting):
                if not names & set(engine.needs(engine.choice)):
                    waiting.remove(engine)
                    starting[engine] = self.spawn(engine)
            for engine, watched in list(starting.items()):
                if self.answered(engine, watched):
                    del starting[engine]
            time.sleep(0.1)

    def spawn(self, engine):
        """Starts the processes of an engine; returns what `answered` wants."""
        for name in engine.needs(engine.choice):
            other = self.recorded(name)
            if other is None or not other.running():
                raise Misuse("%s needs %s, which does not run: start that first"
                             % (engine.name, name))
        engine.folders()
        if engine.secure:
            self.place.certificates()
        engine.prepare()
        entries = []
        for role, argv, extra in engine.commands():
            log = os.path.join(engine.log, role + ".log")
            environment = {key: value for key, value in os.environ.items()
                           if key not in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")}
            child = process.spawn(argv, log, engine.directory,
                                  {**environment, "JAVA_HOME": self.place.java(), **extra})
            self._children.append(child)
            entries.append({"role": role, **process.identify(child.pid)})
            engine.save(entries)
        self.say("%s %s starts (pid %s, port %d, log %s)" % (
            engine.name, engine.version(), pids(entries), engine.port(),
            shorter(engine.log)))
        return self.watch(entries, ours=True)

    @staticmethod
    def watch(entries, ours=False):
        """What is remembered of an engine while it starts; `ours`: it was begun by this call."""
        now = time.monotonic()
        return {"entries": entries, "since": now, "told": now, "ours": ours}

    def answered(self, engine, begun):
        """True once the engine answers. Raises when it died or takes too long, and then ends it
        if it was begun by this call."""
        self.reap()
        waited = time.monotonic() - begun["since"]
        gone = [entry for entry in begun["entries"] if not process.alive(entry)]
        try:
            if not gone:
                engine.probe()
                if engine.forks:
                    self.add_children(engine, begun["entries"])
                self.say("%s answers after %.1f s" % (engine.name, waited))
                return True
            reason = "%s ended" % gone[0]["role"]
        except ConnectionRefusedError:
            reason = "nothing listens at its port yet"
        except (NotYet, OSError) as error:
            reason = str(error)
        if gone or waited > self.timeout:
            if begun["ours"]:
                process.end(begun["entries"], 5)
            role = (gone or begun["entries"])[0]["role"]
            engine.save(begun["entries"])
            raise Trouble("%s does not %s: %s after %.0f s; the end of %s:\n%s" % (
                engine.name, "start" if begun["ours"] else "answer", reason, waited,
                os.path.join(engine.log, role + ".log"),
                tail(os.path.join(engine.log, role + ".log"))))
        if time.monotonic() - begun["told"] > 5:
            begun["told"] = time.monotonic()
            self.say("waiting for %s (%.0f s): %s" % (engine.name, waited, reason))
        return False

    @staticmethod
    def add_children(engine, entries):
        """A launcher's server must be known too: kill -9 of the launcher would not end it."""
        known = {entry["pid"] for entry in entries}
        for entry in list(entries):
            entries += [{"role": entry["role"] + "-server", **process.identify(pid)}
                        for pid in process.children(entry["pid"]) if pid not in known]
        engine.save(entries)

    # ---- down

    def down(self, names=()):
        """Ends engines that were started here (default: all) and forgets them; keeps their data."""
        with self.lock():
            self.halt([engine for engine in self.started(names)], forget=True)

    def stop(self, *names):
        """Ends engines in order; `start` starts them again as they were."""
        with self.lock():
            self.halt([self.existing(name) for name in names], forget=False)

    def start(self, *names):
        """Starts engines again that were stopped, killed or died, as they were."""
        with self.lock():
            stopped = [engine for engine in (self.existing(name) for name in names)
                       if not engine.running()]
            self.check_ports(stopped)
            self.launch(stopped)

    def restart(self, *names):
        self.stop(*names)
        self.start(*names)

    def started(self, names=()):
        found = [self.recorded(name) for name in (names or engines.NAMES)]
        return [engine for engine in found if engine is not None]

    def halt(self, halted, forget):
        """Ends engines; those that others need after the others."""
        needed = {name for engine in halted for name in engine.needs(engine.choice)}
        first = [engine for engine in halted if engine.name not in needed]
        for group in (first, [engine for engine in halted if engine.name in needed]):
            running = [entry for engine in group for entry in engine.running()]
            killed = process.end(running, max([engine.patience for engine in group] or [0]))
            self.reap()
            for engine in group:
                late = [entry for entry in killed if entry in engine.state()["processes"]]
                self.say("%s %s" % (engine.name, "had to be killed: it did not end within %d s"
                                    % engine.patience if late else "is down"
                                    if forget else "is stopped"))
                if forget:
                    engine.forget()
                else:
                    engine.save([])

    def reap(self):
        self._children = [child for child in self._children if child.poll() is None]

    # ---- faults, for tests

    def signal(self, name, number, role=None):
        """Sends a signal to the processes of an engine, or to the one of a role."""
        entries = [entry for entry in self.existing(name).running()
                   if role in (None, entry["role"])]
        if not entries:
            raise Misuse("%s does not run" % name)
        for entry in entries:
            process.send(entry, number)
        return entries

    def kill(self, name, role=None):
        """kill -9"""
        process.wait_gone(self.signal(name, signal.SIGKILL, role), 10)
        self.reap()

    def pause(self, name, role=None):
        """It stays connected and answers nothing, until `resume`."""
        process.wait_paused(self.signal(name, signal.SIGSTOP, role), True, 10)

    def resume(self, name, role=None):
        process.wait_paused(self.signal(name, signal.SIGCONT, role), False, 10)

    # ---- status

    def describe(self, engine):
        """An engine as a dictionary: what `status --json` prints."""
        state, running = engine.state(), engine.running()
        return {"engine": engine.name, "version": engine.version(),
                "profile": engine.choice["profile"], "state": self.condition(engine, state),
                "pids": [entry["pid"] for entry in running],
                "memory": sum(process.resident(entry["pid"]) for entry in running),
                "ports": engine.ports, "directory": engine.directory}

    @staticmethod
    def condition(engine, state):
        """One of STATES."""
        if state is None or not state["processes"]:
            return "stopped"
        if not all(process.alive(entry) for entry in state["processes"]):
            return "died"
        if any(process.paused(entry) for entry in state["processes"]):
            return "paused"
        try:
            engine.probe()
        except (NotYet, OSError, Trouble):
            return "silent"
        return "answers"

    def status(self, names=()):
        """The engines that were started here."""
        self.reap()
        return [self.describe(engine) for engine in self.started(names)]

    # ---- topics

    def topic_create(self, name, partitions=6, configuration=None):
        """Makes a topic and waits until every partition has a leader."""
        with self.existing("kafka").connect() as connection:
            try:
                self.create_patiently(connection, name, partitions, configuration)
                self.until_led(connection, name, partitions)
                self.offsets(connection, name, range(partitions), -1)
            except kafka_wire.KafkaError as error:
                raise Misuse("the topic %s cannot be made: %s" % (name, error)) from None

    @staticmethod
    def create_patiently(connection, name, partitions, configuration):
        """A broker that has just come back, or was paused so long that ZooKeeper gave it up, refuses
        for a moment: it is not registered, or nobody is the controller."""
        deadline, tried = time.monotonic() + 20, False
        while True:
            try:
                return connection.create_topic(name, partitions, 1, configuration)
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
                return
            if time.monotonic() > until:
                raise Trouble("the partitions of the topic %s have no leader" % name)
            time.sleep(0.05)

    @staticmethod
    def offsets(connection, name, parts, moment):
        """Offsets; the broker may hear later than others that it leads a new partition."""
        until = time.monotonic() + 20
        while True:
            try:
                return connection.offsets(name, parts, moment)
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
        with self.existing("kafka").connect() as connection:
            topic = self.known(connection, name)
            if topic["error"] != 0:
                raise Misuse("there is no topic %s" % name if topic["error"]
                             == kafka_wire.NO_SUCH_TOPIC else "the topic %s: Kafka's error %d"
                             % (name, topic["error"]))
            parts = topic["partitions"]
            begins, ends = (self.offsets(connection, name, parts, moment) for moment in (-2, -1))
            return {"topic": name, "partitions": [
                {"partition": index, "leader": part["leader"], "replicas": part["replicas"],
                 "isr": part["isr"], "begin": begins[index], "end": ends[index]}
                for index, part in parts.items()]}

    # ---- what clients need to know

    def secrets(self):
        """User names and passwords of the secure profile, as in secrets.env."""
        return self.place.secrets()

    def tls(self, name):
        """The path of a file of the secure profile: ca.pem, client.pem, foreign-ca.pem..."""
        return os.path.join(self.place.tls, name)

    def port(self, name):
        """The port for clients of an engine."""
        return (self.recorded(name) or self.engine(name)).port()

    @contextlib.contextmanager
    def lock(self):
        """One at a time changes what runs in a directory."""
        os.makedirs(self.place.directory, exist_ok=True)
        with open(os.path.join(self.place.directory, "lock"), "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say("another one is at work in %s; waiting" % self.place.directory)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def shorter(path):
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def pids(entries):
    return ", ".join(str(entry["pid"]) for entry in entries)


def tail(path, lines=12):
    """The last lines of a log, without Java's stack traces."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            told = [line for line in file if line.strip() and not line.startswith("\t")]
        return "".join("  " + line for line in told[-lines:]).rstrip("\n")
    except OSError as error:
        return "  (%s)" % error.strerror
