"""The stack: starts, checks and stops the engines of one directory. See Stack."""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time

from . import cache, engines, files, process, secrets
from .engine import HOST, NotYet
from .engines import ring as rings
from .topics import Topics
from .errors import MemoryShort, UsageError, PortTaken, StackError

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
    """The directory of a stack, with its Java, certificates and secrets."""

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


class Stack(Topics):
    """The engines in `directory` (default build/stack). `offset` moves every port, `profile` is plain
    or secure, `kafka` 3.9 (with ZooKeeper) or 4.3 (KRaft; default 3.9, of a ring 4.3),
    `elasticsearch` 7.17, 8.19 or opensearch-2.19, `heap` the megabytes of Cassandra's heap (default
    1024, of each node of a ring 512), `client_certificates` whether Kafka and Cassandra ask for them
    in the secure profile, `ring` the number of brokers and of nodes: 3, or 0 for a single one of
    each. `say` is called with each line of progress.

    For one thread at a time. A lock makes two processes that change one directory take turns.
    """

    def __init__(self, directory=None, offset=0, profile="plain", kafka=None,
                 elasticsearch="7.17", heap=None, client_certificates=False,
                 timeout=180, say=tell, commitlog_sync="group", ring=0):
        if profile not in PROFILES:
            raise UsageError("unknown profile %s; it is plain or secure (STACK=secure)" % profile)
        if not 0 <= offset <= MAX_OFFSET:
            raise UsageError("ports can be moved by 0 to %d, not by %d" % (MAX_OFFSET, offset))
        self.place = Place(directory or os.path.join(ROOT, "build", "stack"), say)
        self.say = say
        self.timeout = timeout
        self.choice = {"profile": profile, "offset": offset,
                       "kafka": kafka or ("4.3" if ring else "3.9"),
                       "elasticsearch": elasticsearch,
                       "heap": heap or (rings.HEAP if ring else 1024), "ring": ring,
                       "client_certificates": client_certificates and profile == "secure",
                       "commitlog_sync": commitlog_sync}
        rings.check(self.choice)
        self._children = []
        for name in engines.NAMES:
            self.engine(name).version()  # raises for an unknown version

    # ---- engines

    def engine(self, name, choice=None):
        return engines.find(name)(self.place, choice or self.choice)

    def recorded(self, name):
        """The engine with the choices of its start, None when it was not started."""
        state = self.engine(name).state()
        if state is None:
            return None
        # An older stack.py may have recorded fewer choices.
        return self.engine(name, {key: state.get(key, value)
                                  for key, value in self.choice.items()})

    def existing(self, name):
        engine = self.recorded(name)
        if engine is None:
            raise UsageError("%s was not started in %s: run make stack-up ENGINES=%s first"
                         % (name, self.place.directory, name))
        return engine

    def order(self, names):
        """The requested engines and those that they need, in the order of their start."""
        wanted = []

        def add(name):
            for other in engines.find(name).needs(self.choice):
                add(other)
            if name not in wanted:
                wanted.append(name)

        for name in {(): DEFAULT, ("all",): ALL}.get(tuple(names), names):
            if engines.find(name).whole and not self.choice["ring"]:
                raise UsageError("%s is a member of a ring, which RING=%d starts" % (name, rings.SIZE))
            for part in self.formed(name) if self.choice["ring"] else ():
                add(part)
            if not self.choice["ring"] or not engines.parts(name):
                add(name)
        return wanted

    def formed(self, name):
        """Names of the current members of the ring of that engine."""
        return ["%s-%d" % (name, number) for number in rings.numbers(self.place.directory, name)
                if engines.parts(name)]

    def named(self, names):
        """The engines with these names: `kafka` means all brokers where a ring was started."""
        found = []
        for name in names:
            members = [part for part in engines.parts(name) if self.recorded(part) is not None]
            found += members if members and self.recorded(name) is None else [name]
        return found

    # ---- up

    def up(self, names=()):
        """Starts the engines that do not run yet, waits until all answer, returns their status."""
        with self.lock():
            wanted = [self.engine(name) for name in self.order(names)]
            self.check_rivals(wanted)
            new = [engine for engine in wanted if not self.runs(engine)]
            self.check_ports(new)
            self.check_memory(new)
            for engine in new:
                engine.fetch()
            # An engine whose start was interrupted may run and not answer yet.
            self.launch(new, [engine for engine in wanted if engine not in new
                              and self.condition(engine, engine.state()) != "answers"])
            if self.choice["profile"] == "secure":
                # Elasticsearch is only in it when it was started: `clickmill doctor` checks all of it.
                self.write_configuration(self.recorded("elasticsearch") is not None)
            if self.choice["ring"]:
                self.write_ring_configuration(self.recorded("elasticsearch") is not None)
            return [self.describe(engine) for engine in wanted]

    def write_configuration(self, elasticsearch=True):
        """Writes clickmill.secure.yaml, the configuration of clickmill for the secure profile, with
        Elasticsearch or without."""
        values = {name.lower(): value for name, value in self.secrets().items()}
        files.write(os.path.join(self.place.directory, "clickmill.secure.yaml"),
                    files.fill(configuration("clickmill.secure.yaml", elasticsearch), {
                        **values, "host": HOST, "mechanism": self.engine("kafka").mechanism(),
                        "kafka_port": self.engine("kafka").port(),
                        "cassandra_port": self.engine("cassandra").port(),
                        "elasticsearch_port": self.engine("elasticsearch").port()}), 0o600)

    def write_ring_configuration(self, elasticsearch=True):
        """Writes clickmill.ring.yaml, the same for a ring."""
        files.write(os.path.join(self.place.directory, "clickmill.ring.yaml"),
                    files.fill(configuration("clickmill.ring.yaml", elasticsearch), {
                        "brokers": ",".join(self.addresses("kafka")),
                        "nodes": ",".join(self.addresses("cassandra")), "size": rings.SIZE,
                        "elasticsearch": "http://%s:%d" % (HOST, self.port("elasticsearch"))}))

    def check_rivals(self, wanted):
        """A ring and a single engine use the same ports: only one of them can run."""
        for engine in wanted:
            for name in (engine.whole,) if engine.whole else engines.parts(engine.name):
                other = self.recorded(name)
                if other is not None and other.running():
                    raise UsageError("%s runs, so %s cannot start: run make stack-down first (its "
                                 "data are kept)" % (other.name, engine.name))

    def runs(self, engine):
        """True when the engine runs in this variant. Raises when it runs in another variant."""
        old = self.recorded(engine.name)
        if old is None or not old.running():
            return False
        if old.variant() != engine.variant():
            raise UsageError("%s runs as %s, not as %s: run make stack-down first (its data "
                         "are kept)" % (engine.name, old.variant(), engine.variant()))
        condition = self.condition(old, old.state())
        if condition == "paused":
            raise StackError("%s is paused: run stack/stack.py resume %s first"
                          % (engine.name, engine.name))
        if condition == "died":
            self.say("a process of %s has died; ending its other processes" % engine.name)
            process.end(old.running(), old.end_timeout)
            return False
        self.say("%s %s already runs (pid %s, %s)" % (
            engine.name, old.version(), pids(old.running()), old.where()))
        return True

    def check_ports(self, new):
        for engine in new:
            for use, port in engine.ports.items():
                if process.taken(port, engine.host):
                    raise PortTaken(self.port_sentence(engine, use, port))

    @staticmethod
    def port_sentence(engine, use, port):
        held = process.holder(port, engine.host)
        by = "by pid %d (%s)" % held if held else "by a process of another user"
        return ("port %d%s, which %s needs (%s), is taken %s: end that process, or move all "
                "ports, for example with PORT_OFFSET=20000" % (
                    port, "" if engine.host == HOST else " of " + engine.host, engine.name, use,
                    by))

    @staticmethod
    def check_memory(new):
        have, need = process.available(), sum(engine.memory for engine in new)
        if have is not None and have < need * MEGABYTE:
            least = min(new, key=lambda engine: engine.memory)
            raise MemoryShort(
                "%s need about %d MB of memory, and %d MB are available: end other programs, or "
                "start fewer engines (ENGINES=\"%s\")" % (
                    " and ".join(engine.name for engine in new), need, have // MEGABYTE,
                    least.whole or least.name))

    def launch(self, new, begun=()):
        """Starts engines, each as soon as the engines that it needs answer. Also waits for those
        of an earlier start (`begun`)."""
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
        """Starts the processes of an engine; returns the argument for answered()."""
        for name in engine.needs(engine.choice):
            other = self.recorded(name)
            if other is None or not other.running():
                raise UsageError("%s needs %s, which does not run: start that engine first"
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
        self.say("%s %s starts (pid %s, %s, log %s)" % (
            engine.name, engine.version(), pids(entries), engine.where(), shorter(engine.log)))
        return self.watch(entries, ours=True)

    @staticmethod
    def watch(entries, ours=False):
        """The record of an engine while it starts; `ours`: this call has started it."""
        now = time.monotonic()
        return {"entries": entries, "since": now, "told": now, "ours": ours}

    def answered(self, engine, begun):
        """True once the engine answers. Raises when it has died or takes too long; an engine that
        this call has started is then ended."""
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
        if gone or waited > self.timeout * engine.slowness:
            if begun["ours"]:
                process.end(begun["entries"], 5)
            role = (gone or begun["entries"])[0]["role"]
            engine.save(begun["entries"])
            raise StackError("%s does not %s: %s after %.0f s; the end of %s:\n%s" % (
                engine.name, "start" if begun["ours"] else "answer", reason, waited,
                os.path.join(engine.log, role + ".log"),
                tail(os.path.join(engine.log, role + ".log"))))
        if time.monotonic() - begun["told"] > 5:
            begun["told"] = time.monotonic()
            self.say("waiting for %s (%.0f s): %s" % (engine.name, waited, reason))
        return False

    @staticmethod
    def add_children(engine, entries):
        """Records the server of a launcher too: kill -9 of the launcher does not end it."""
        known = {entry["pid"] for entry in entries}
        for entry in list(entries):
            entries += [{"role": entry["role"] + "-server", **process.identify(pid)}
                        for pid in process.children(entry["pid"]) if pid not in known]
        engine.save(entries)

    # ---- down

    def down(self, names=()):
        """Ends engines that were started here (default: all). Their data stay, the record of their
        start goes."""
        with self.lock():
            self.halt([engine for engine in self.started(names)], forget=True)

    def stop(self, *names):
        """Ends engines; `start` starts them again with the same choices."""
        with self.lock():
            self.halt([self.existing(name) for name in self.named(names)], forget=False)

    def start(self, *names):
        """Starts engines again that were stopped, were killed or died, with the same choices."""
        with self.lock():
            stopped = [engine for engine in map(self.existing, self.named(names))
                       if not engine.running()]
            self.check_ports(stopped)
            self.launch(stopped)

    def restart(self, *names):
        self.stop(*names)
        self.start(*names)

    def started(self, names=()):
        found = [self.recorded(name) for name in (self.named(names) or engines.ENGINES)]
        return [engine for engine in found if engine is not None]

    def halt(self, halted, forget):
        """Ends engines; those that other engines need are ended last."""
        needed = {name for engine in halted for name in engine.needs(engine.choice)}
        first = [engine for engine in halted if engine.name not in needed]
        for group in (first, [engine for engine in halted if engine.name in needed]):
            running = [entry for engine in group for entry in engine.running()]
            killed = process.end(running, max([engine.end_timeout for engine in group] or [0]))
            self.reap()
            for engine in group:
                late = [entry for entry in killed if entry in engine.state()["processes"]]
                self.say("%s %s" % (engine.name, "had to be killed: it did not end within %d s"
                                    % engine.end_timeout if late else "is down"
                                    if forget else "is stopped"))
                if forget:
                    engine.forget()
                else:
                    engine.save([])

    def reap(self):
        self._children = [child for child in self._children if child.poll() is None]

    # ---- a ring

    def replace(self, name):
        """Replaces a dead node by a new node at another address, which streams the rows of the dead
        node from the others. Returns its name. The data of the dead node are deleted."""
        with self.lock():
            old = self.existing(name)
            if old.whole != "cassandra":
                raise UsageError("only a node of a ring of Cassandra can be replaced, for example cassandra-3")
            if old.running():
                raise UsageError("%s runs: stop or kill it first" % name)
            if name not in self.formed(old.whole):
                raise UsageError("%s was replaced already" % name)
            free, = [part for part in engines.parts(old.whole)
                     if part not in self.formed(old.whole)]
            new = self.engine(free, old.choice)
            new.replaces, new.slowness = old.host, 5  # it receives all rows before it answers
            # The rest of an interrupted replacement: its state is unknown.
            process.end(new.running(), new.end_timeout)
            shutil.rmtree(new.data, ignore_errors=True)
            self.check_ports([new])
            self.check_memory([new])
            try:
                self.launch([new])
            except BaseException:
                process.end(new.running(), 5)
                if new.state() is not None:
                    new.forget()
                shutil.rmtree(new.data, ignore_errors=True)
                raise
            rings.exchange(self.place.directory, old.number, new.number)
            old.forget()
            shutil.rmtree(old.data, ignore_errors=True)
            self.write_ring_configuration(self.recorded("elasticsearch") is not None)
            return free

    def nodetool(self, name, *words):
        """The output of Cassandra's nodetool for a node."""
        node = self.existing(name)
        if node.whole != "cassandra":
            raise UsageError("nodetool needs a node of a ring of Cassandra, for example cassandra-1")
        return node.nodetool(*words)

    # ---- faults, for tests

    def signal(self, name, number, role=None):
        """Sends a signal to the processes of an engine, or to the one of a role."""
        entries = [entry for entry in self.existing(name).running()
                   if role in (None, entry["role"])]
        if not entries:
            raise UsageError("%s does not run" % name)
        for entry in entries:
            process.send(entry, number)
        return entries

    def kill(self, name, role=None):
        """kill -9"""
        process.wait_gone(self.signal(name, signal.SIGKILL, role), 10)
        self.reap()

    def pause(self, name, role=None):
        """Stops its processes: it stays connected and answers nothing until `resume`."""
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
                "host": engine.host, "ports": engine.ports, "directory": engine.directory}

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
        except (NotYet, OSError, StackError):
            return "silent"
        return "answers"

    def status(self, names=()):
        """The engines that were started here."""
        self.reap()
        return [self.describe(engine) for engine in self.started(names)]

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

    def addresses(self, name):
        """HOST:PORT of each that clients of an engine can go to."""
        names = self.formed(name) if self.choice["ring"] else [name]
        return ["%s:%d" % (engine.host, engine.port()) for engine in map(self.engine, names)]

    @contextlib.contextmanager
    def lock(self):
        """Only one process at a time starts or stops engines of a directory."""
        os.makedirs(self.place.directory, exist_ok=True)
        with open(os.path.join(self.place.directory, "lock"), "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say("another process works in %s; waiting" % self.place.directory)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def configuration(name, elasticsearch):
    """A template of a configuration for clickmill, with its section elasticsearch or without."""
    template = files.template(name)
    return template if elasticsearch else template[:template.index("\nelasticsearch:")]


def shorter(path):
    """A path relative to the current directory, when it lies below it."""
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
