"""stack/: what it says and does without an engine, and the real engines, each in a directory of its
own and at ports that are free."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest.mock

import ports
from harness import ROOT, slow

sys.path.insert(0, ROOT)

from stack import MemoryShort, UsageError, Missing, PortTaken, Stack, StackError  # noqa: E402
from stack import cache, cli, core, cql_wire, engines, kafka_wire, process  # noqa: E402
from stack.engine import Engine, NotYet  # noqa: E402

STACK_PY = os.path.join(ROOT, "stack", "stack.py")
MEGABYTE = 1 << 20


def run(*arguments):
    """stack.py: exit status, stdout, stderr."""
    done = subprocess.run([sys.executable, STACK_PY, *arguments], capture_output=True, text=True,
                          timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def expect(t, kind, function, *arguments):
    """The text of the error that a call raises."""
    try:
        function(*arguments)
    except StackError as error:
        t.equal(type(error).__name__, kind.__name__, "type of the error (%s)" % error)
        return str(error)
    raise AssertionError("%s was expected" % kind.__name__)


# ---- an engine that needs nothing

LISTENER = """
import signal, socket, sys
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"here")
    connection.close()
"""


class Fake(Engine):
    """Listens and says `here`."""

    name = "fake"
    default_ports = {"client": 9642}
    memory = 20
    end_timeout = 1
    manner = "polite"

    def version(self):
        return "1.0-" + self.choice["kafka"]

    def fetch(self):
        return ""

    def prepare(self):
        pass

    def commands(self):
        if self.manner == "broken":
            return [("fake", ["sh", "-c", "echo the reason; echo '\tat Frame'; exit 3"], {})]
        return [("fake", [sys.executable, "-c", LISTENER, str(self.port()), self.manner], {})]

    def probe(self):
        with socket.create_connection(("127.0.0.1", self.port()), 5) as connection:
            connection.settimeout(5)
            if connection.recv(4) != b"here":
                raise NotYet("silence")


class Needy(Fake):
    name = "needy"
    default_ports = {"client": 9643}

    @staticmethod
    def needs(choice):
        return ("fake",)


class Fakes:
    """The engines are Fake and Needy while it lasts."""

    def __init__(self, t, manner="polite", **choices):
        self.t, self.manner, self.choices = t, manner, choices

    def __enter__(self):
        self.old = dict(engines.ENGINES), engines.NAMES
        engines.ENGINES.clear()
        engines.ENGINES.update(fake=Fake, needy=Needy)
        engines.NAMES = ("fake", "needy")
        Fake.manner = self.manner
        self.said = []
        self.offset = free_offset(self.choices.pop("offsets", (9642, 9643)))
        self.stack = self.new()
        return self

    def new(self, **choices):
        made = Stack(self.t.path("stack"), self.offset, say=self.said.append,
                     **{"timeout": 20, **self.choices, **choices})
        made.place._java = "/nowhere"
        return made

    def __exit__(self, *_):
        Fake.manner = "polite"
        try:
            self.stack.down()
        finally:
            engines.ENGINES.clear()
            engines.ENGINES.update(self.old[0])
            engines.NAMES = self.old[1]


free_offset = ports.offset


def states(stack):
    return {entry["engine"]: entry["state"] for entry in stack.status()}


def test_the_life_of_an_engine(t):
    with Fakes(t) as f:
        first, second = f.stack.up(["needy"])
        t.equal((first["engine"], first["state"], first["version"], first["profile"]),
                ("fake", "answers", "1.0-3.9", "plain"))
        t.equal(first["ports"], {"client": 9642 + f.offset})
        t.true(first["memory"] > MEGABYTE, "memory of %r" % first)
        t.equal(second["engine"], "needy")
        t.equal(os.getsid(first["pids"][0]), first["pids"][0], "session")

        # Up again: it says so and leaves them.
        f.said.clear()
        again = f.stack.up(["fake"])
        t.equal(again[0]["pids"], first["pids"])
        t.equal(f.said, ["fake 1.0-3.9 already runs (pid %d, port %d)" % (
            first["pids"][0], 9642 + f.offset)])

        other = f.new(kafka="4.3")
        t.equal(expect(t, UsageError, other.up, ["fake"]),
                "fake runs as 1.0-3.9 (plain, ports +%d), not as 1.0-4.3 (plain, ports +%d): run "
                "make stack-down first (its data are kept)" % (f.offset, f.offset))

        f.stack.pause("fake")
        t.equal(states(f.stack), {"fake": "paused", "needy": "answers"})
        t.true("resume fake" in expect(t, StackError, f.stack.up, ["fake"]), "it says what to do")
        f.stack.resume("fake")
        t.equal(states(f.stack)["fake"], "answers")

        f.stack.kill("fake")
        t.equal(states(f.stack)["fake"], "died")
        f.stack.start("fake")
        f.stack.restart("fake")
        f.stack.stop("needy", "fake")
        t.equal(states(f.stack), {"fake": "stopped", "needy": "stopped"})
        t.equal(expect(t, UsageError, f.stack.start, "needy"),
                "needy needs fake, which does not run: start that engine first")
        t.equal(expect(t, UsageError, f.stack.kill, "fake"), "fake does not run")
        # Another one, which knows of the engines by the directory only, starts them as they were.
        f.new(kafka="4.3").start("fake", "needy")
        t.equal([entry["version"] for entry in f.stack.status()], ["1.0-3.9", "1.0-3.9"])

        f.said.clear()
        f.stack.pause("fake")  # a paused one ends as well
        f.stack.down()
        t.equal(f.said, ["needy is down", "fake is down"])
        t.equal(f.stack.status(), [])
        t.true(not process.taken(9642 + f.offset), "its port is free")


def test_a_start_that_was_interrupted_is_waited_for(t):
    with Fakes(t) as f:
        engine = f.stack.engine("fake")
        f.stack.spawn(engine)  # and the process that waited is gone
        pid = engine.state()["processes"][0]["pid"]
        t.equal(f.stack.up(["fake"])[0]["pids"], [pid])
        t.equal(states(f.stack), {"fake": "answers"})


def test_one_that_does_not_start_says_why(t):
    with Fakes(t, "broken") as f:
        said = expect(t, StackError, f.stack.up, ["fake"])
        t.equal(re.sub(r"after \d+ s", "after N s", said),
                "fake does not start: fake ended after N s; the end of %s:\n  the reason"
                % t.path("stack", "fake", "log", "fake.log"))
        t.equal(states(f.stack), {"fake": "died"})


def test_one_that_does_not_end_is_killed(t):
    with Fakes(t, "stubborn") as f:
        f.stack.up(["fake"])
        f.said.clear()
        with t.pace() as pace:
            f.stack.down()
        t.equal(f.said, ["fake had to be killed: it did not end within 1 s"])
        t.true(pace.took > 0.9, "it waited %g s" % pace.took)
        pace.check(pace.took, 8, "to kill it")


def test_a_process_of_somebody_else_is_never_touched(t):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        ours = process.identify(stranger.pid)
        t.true(process.alive(ours), "a process that runs is alive")
        with Fakes(t) as f:
            engine = f.stack.engine("fake")
            engine.folders()
            for other in ({"start": ours["start"] - 1}, {"boot": "another"}, {"start": None}):
                engine.save([{"role": "fake", **ours, **other}])
                t.equal(states(f.stack), {"fake": "died"})
                t.equal(expect(t, UsageError, f.stack.kill, "fake"), "fake does not run")
                f.stack.down()
                t.equal(stranger.poll(), None, "the stranger with %r" % other)
            engine.save([{"role": "fake", **ours}])
            f.stack.down()
            t.equal(stranger.wait(5), -signal.SIGTERM, "one that is ours")
        t.true(not process.alive(ours), "a process that ended is not alive")
    finally:
        stranger.kill()
        stranger.wait()


def test_a_zombie_is_not_alive(t):
    child = subprocess.Popen(["sleep", "60"])
    ours = process.identify(child.pid)
    child.kill()
    t.until(lambda: not process.alive(ours), "the zombie is seen")
    child.wait()


def test_a_port_that_is_taken(t):
    with Fakes(t) as f, socket.create_server(("127.0.0.1", 9642 + f.offset)):
        t.equal(expect(t, PortTaken, f.stack.up, ["fake"]),
                "port %d, which fake needs (client), is taken by pid %d (%s): end that "
                "process, or move all ports, for example with PORT_OFFSET=20000" % (
                    9642 + f.offset, os.getpid(), process.program(os.getpid())))
    # By a process that listens everywhere too, and on the command line with its exit status.
    offset = free_offset((9092, 9093))
    with socket.create_server(("0.0.0.0", 9093 + offset)):
        code, out, err = run("up", "kafka", "--kafka", "4.3", "--dir", t.path("other"),
                             "--port-base", str(offset))
        t.equal((code, out), (3, ""))
        t.true(err.startswith("stack: port %d, which kafka needs (controller), is taken by pid %d "
                              % (9093 + offset, os.getpid())), err)


def test_memory_that_is_short(t):
    with Fakes(t) as f:
        old = process.available
        process.available = lambda: 39 * MEGABYTE
        try:
            t.equal(expect(t, MemoryShort, f.stack.up, ["needy"]),
                    "fake and needy need about 40 MB of memory, and 39 MB are available: end "
                    "other programs, or start fewer engines (ENGINES=\"fake\")")
            process.available = lambda: 40 * MEGABYTE
            t.equal(len(f.stack.up(["needy"])), 2)
            process.available = lambda: 0
            t.equal(len(f.stack.up(["needy"])), 2, "what runs needs no more")
        finally:
            process.available = old


def test_what_is_not_understood(t):
    for arguments, said in (
            (["up", "kafak"], "unknown engine kafak; the engines are zookeeper, kafka, cassandra, "
                              "elasticsearch, spark, cosmos"),
            (["up", "--profile", "safe"], "unknown profile safe; it is plain or secure "
                                          "(STACK=secure)"),
            (["up", "--kafka", "2.8"], "unknown Kafka 2.8; the versions are 3.9 and 4.3"),
            (["up", "--elasticsearch", "6"], "unknown Elasticsearch 6; the versions are 7.17, 8.19, "
                                             "opensearch-2.19"),
            (["up", "--port-base", "-1"], "ports can be moved by 0 to 55000, not by -1"),
            (["restart"], "restart needs the name of an engine"),
            (["kill", "kafka"], "kafka was not started in %s: run make stack-up ENGINES=kafka "
                                "first" % t.path("none")),
            (["kafka-topic", "make", "x"], "expected kafka-topic create NAME or kafka-topic "
                                           "describe NAME")):
        t.equal(run(*arguments, "--dir", t.path("none")), (2, "", "stack: %s\n" % said),
                " ".join(arguments))
    t.equal(run("status", "--dir", t.path("none")),
            (0, "no engine was started here; make stack-up starts some\n", ""))
    t.equal(run("status", "--json", "--dir", t.path("none")), (0, "[]\n", ""))
    t.equal(run("down", "--dir", t.path("none")), (0, "", ""))


def test_which_engines_are_meant(t):
    for kafka, names, wanted in (
            ("3.9", [], ["zookeeper", "kafka", "cassandra"]),
            ("4.3", [], ["kafka", "cassandra"]),
            ("3.9", ["kafka"], ["zookeeper", "kafka"]),
            ("4.3", ["spark", "kafka"], ["spark", "kafka"]),
            ("3.9", ["all"], ["zookeeper", "kafka", "cassandra", "elasticsearch", "spark"]),
            ("4.3", ["all"], ["kafka", "cassandra", "elasticsearch", "spark"])):
        t.equal(Stack(t.path("none"), kafka=kafka).order(names), wanted, "%s %s" % (kafka, names))


def test_make_passes_the_choices_on(t):
    def line(target, *choices):
        done = subprocess.run(["make", "-n", "--no-print-directory", target, *choices], cwd=ROOT,
                              capture_output=True, text=True, check=True)
        return re.sub(r"[\\\s]+", " ", done.stdout).strip()

    t.equal(line("stack-up"), "scripts/setup.sh stack python3 stack/stack.py up")
    t.equal(line("stack-up", "ENGINES=kafka spark", "KAFKA=4.3", "STACK=secure",
                 "ELASTICSEARCH=8.19", "CASSANDRA_HEAP=2048", "PORT_OFFSET=5", "STACK_DIR=d"),
            "scripts/setup.sh stack python3 stack/stack.py --dir d up --kafka 4.3 --profile "
            "secure --elasticsearch 8.19 --heap 2048 --port-base 5 kafka spark")
    t.equal(line("stack-down", "ENGINES=kafka"), "python3 stack/stack.py down kafka")
    t.equal(line("stack-status"), "python3 stack/stack.py status")


# ---- what is written

VARIANTS = [(name, profile, kafka, elasticsearch)
            for name in engines.NAMES for profile in core.PROFILES
            for kafka in (("3.9", "4.3") if name == "kafka" else ("3.9",))
            for elasticsearch in (("7.17", "8.19", "opensearch-2.19")
                                  if name == "elasticsearch" else ("7.17",))
            if (profile, elasticsearch) != ("secure", "opensearch-2.19")]


def test_the_command_line_gives_every_choice(t):
    """What is not given is what a Stack has by itself; what is given arrives at its place."""
    def stack_of(*arguments):
        return cli.stack_of(cli.parser().parse_intermixed_args([*arguments, "status"]))
    itself = Stack()
    plain = stack_of()
    t.equal((plain.choice, plain.timeout, plain.place.directory),
            (itself.choice, itself.timeout, itself.place.directory))
    given = stack_of("--dir", t.path("d"), "--port-base", "7", "--profile", "secure", "--kafka",
                     "4.3", "--elasticsearch", "8.19", "--heap", "2048", "--client-certificates",
                     "--timeout", "9")
    t.equal(given.choice, {"profile": "secure", "offset": 7, "kafka": "4.3",
                           "elasticsearch": "8.19", "heap": 2048, "client_certificates": True,
                           "commitlog_sync": "group", "ring": 0})
    ring = stack_of("--ring", "3").choice
    t.equal((ring["ring"], ring["kafka"], ring["heap"]), (3, "4.3", 512))
    t.equal((given.timeout, given.place.directory), (9, t.path("d")))


class NoDownloads:
    """Nothing is downloaded, and no Java is run, while it lasts; certificates are really made."""

    def __init__(self, home):
        self.home = home

    def __enter__(self):
        self.old = cache.jars, cache.archive, cache.run, engines.find("kafka").wait_until_forgotten
        self.fetches = [(engine, engine.fetch) for engine in engines.ENGINES.values()
                        if engine.name in ("elasticsearch", "spark")]
        cache.jars = lambda *_: self.home
        cache.run = lambda argv, *_, **__: "one id\n"
        engines.find("kafka").wait_until_forgotten = lambda self: None
        for engine, _ in self.fetches:
            engine.fetch = lambda engine: self.home
            engine.environment_folder = "/venv"

    def __exit__(self, *_):
        cache.jars, cache.archive, cache.run, engines.find("kafka").wait_until_forgotten = self.old
        for engine, fetch in self.fetches:
            engine.fetch = fetch


def prepared(t, variant):
    """The configuration of a variant as {file: text}."""
    name, profile, kafka, elasticsearch = variant
    stack = Stack(tempfile.mkdtemp(dir=t.dir), 20000, profile, kafka, elasticsearch,
                  say=lambda _: None)
    stack.place._java = "/java"
    tls = stack.place.tls
    os.makedirs(tls)
    for file in ("ca.pem", "server.pem", "server.key"):
        open(os.path.join(tls, file), "w", encoding="ascii").close()
    engine = stack.engine(name)
    engine.folders()
    engine.prepare()
    texts = {}
    for parent, _, names in os.walk(engine.directory):
        for file in names:
            path = os.path.join(parent, file)
            with open(path, encoding="utf-8") as opened:
                texts[os.path.relpath(path, engine.directory)] = opened.read()
    return engine, texts


def test_templates_are_filled(t):
    home = t.path("home")
    os.makedirs(os.path.join(home, "config"))
    t.write("home/config/jvm.options", "-XX:+UseG1GC\n-Xlog:gc*:file=logs/gc.log\n"
            "-XX:ErrorFile=logs/hs\n-XX:HeapDumpPath=data\n")
    t.write("home/jamm-0.jar", "")
    for name in ("log4j2.properties", "roles.yml", "role_mapping.yml", "users", "users_roles"):
        t.write("home/config/" + name, "")
    with NoDownloads(home):
        for variant in VARIANTS:
            engine, texts = prepared(t, variant)
            t.true(texts, "%r writes nothing" % (variant,))
            everything = "\n".join(texts.values())
            t.equal(re.findall(r"@[a-z_]+@|None", everything), [], "leftovers of %r" % (variant,))
            # Every port is moved, and none is forgotten.
            for port in engine.default_ports.values():
                t.equal(re.findall(r"(?<![\d.])%d(?!\d)" % port, everything), [],
                        "port %d of %r" % (port, variant))
            told = everything + " ".join(" ".join(argv) for _, argv, _ in engine.commands())
            for use, port in engine.ports.items():
                if not use.endswith("_tls"):  # Spark counts these itself
                    t.true(str(port) in told, "%s of %r is nowhere" % (use, variant))
            for file, text in texts.items():
                if re.search(r"[0-9a-f]{32}", text):
                    mode = os.stat(os.path.join(engine.directory, file)).st_mode & 0o077
                    t.equal(oct(mode), "0o0", "others may read the password in %s" % file)


def yaml_of(t, path):
    """A YAML file as objects, read by Python's YAML library; Debian's Python has it."""
    text = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run([python, "-c", text, os.path.join(ROOT, path)],
                              capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        if "No module named 'yaml'" not in done.stderr:
            raise AssertionError(done.stderr)
    t.skip("Python has no YAML library (Debian package python3-yaml)")
    return None


def test_compose_agrees(t):
    services = yaml_of(t, "stack/compose.yaml")["services"]
    published = {}
    for name, service in services.items():
        for entry in service["ports"]:
            host, outside, inside = entry.split(":")
            t.equal((host, outside), ("127.0.0.1", inside), "%s of %s" % (entry, name))
            published.setdefault(name, set()).add(int(outside))
        t.true(re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?", service["image"]),
               "%s is not pinned" % service["image"])
    stack = Stack(t.path("none"))
    ports = {name: set(stack.engine(name).ports.values()) for name in engines.NAMES}
    del ports["cosmos"]
    ports["cassandra"].remove(7000)  # of one node among nodes
    t.equal(published.pop("spark-master") | published.pop("spark-worker-1")
            | published.pop("spark-worker-2"), ports.pop("spark"), "ports of spark")
    t.equal(published, ports)
    for service, engine in (("zookeeper", "zookeeper"), ("elasticsearch", "elasticsearch"),
                            ("spark-master", "spark"), ("spark-worker-2", "spark")):
        t.equal(services[service]["image"].split(":")[1], stack.engine(engine).version(), service)
    t.true(stack.engine("cassandra").version().startswith(
        services["cassandra"]["image"].split(":")[1] + "."), "version of cassandra")


def test_the_cluster_configuration_fits_the_stack(t):
    configuration = yaml_of(t, "clickmill.cluster.yaml")
    stack = Stack(t.path("none"))
    t.equal(configuration["kafka"]["brokers"], "127.0.0.1:%d" % stack.port("kafka"))
    t.equal((configuration["cassandra"]["hosts"], configuration["cassandra"]["port"]),
            ("127.0.0.1", stack.port("cassandra")))
    t.equal(configuration["elasticsearch"]["hosts"],
            "http://127.0.0.1:%d" % stack.port("elasticsearch"))
    for profile_kafka, mechanism in (("3.9", "SCRAM-SHA-512"), ("4.3", "PLAIN")):
        made = Stack(t.path("s" + profile_kafka), 20000, "secure", profile_kafka)
        made.write_configuration()
        path = os.path.join(made.place.directory, "clickmill.secure.yaml")
        t.equal(oct(os.stat(path).st_mode & 0o777), "0o600")
        secure, known = yaml_of(t, path), made.secrets()
        t.equal({key: value for key, value in secure.items() if isinstance(value, str)},
                {key: value for key, value in configuration.items() if isinstance(value, str)})
        t.equal(secure["kafka"]["brokers"], "127.0.0.1:29092")
        t.equal(secure["cassandra"]["port"], 29042)
        t.equal((secure["elasticsearch"]["hosts"], secure["elasticsearch"]["password"]),
                ("https://127.0.0.1:29200", known["ELASTICSEARCH_PASSWORD"]))
        properties = secure["kafka"]["properties"]
        t.equal((properties["sasl.mechanism"], properties["sasl.password"],
                 properties["ssl.ca.location"]),
                (mechanism, known["KAFKA_PASSWORD"], made.tls("ca.pem")))


def test_the_cache(t):
    """An item is filled once, again when its recipe changes or when it was left half full."""
    old = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = t.path("cache")
    try:
        filled = []

        def want(recipe, fail=False):
            with cache.item("thing", recipe, filled.append) as (folder, empty):
                t.true(folder.startswith(t.path("cache", "clickmill", "stack", "thing-")), folder)
                if empty:
                    filled.append(recipe)
                    if fail:
                        raise Missing("no network")
            return folder

        expect(t, Missing, want, "one", True)
        first = want("one")
        t.equal(want("one"), first)
        t.true(want("two") != first, "a folder that is complete stays as it is")
        t.equal(want("one"), first)
        t.equal(filled, ["one", "one", "two"])
        # What cannot be had is told from what fails.
        t.true("run scripts/setup.sh stack" in expect(t, Missing, cache.run, ["/no/mvn"], "this"),
               "it says what to do")
        t.equal(expect(t, StackError, cache.run, ["sh", "-c", "echo why; exit 1"], "this"),
                "this failed:\n  why")
        t.equal(cache.run(["echo", "told"], "this"), "told\n")
    finally:
        if old is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = old


def test_java_17_is_looked_for(t):
    def jdk(name, said):
        os.makedirs(t.path(name, "bin"))
        t.write(name + "/bin/java", "#!/bin/sh\necho '%s' >&2\n" % said)
        os.chmod(t.path(name, "bin", "java"), 0o755)
        return t.path(name)

    old = {name: os.environ.get(name) for name in ("JAVA_HOME", "PATH")}
    try:
        os.environ["PATH"] = jdk("seventeen", 'openjdk version "17.0.15"') + "/bin"
        os.environ["JAVA_HOME"] = jdk("other", 'openjdk version "25.0.1"')
        t.equal(cache.java_home(), t.path("seventeen"))
        os.environ["JAVA_HOME"] = jdk("better", 'java version "17"')
        t.equal(cache.java_home(), t.path("better"))
        os.environ["JAVA_HOME"] = jdk("newer", 'openjdk version "21.0.11"')
        t.equal(cache.java_home(), t.path("seventeen"), "17 before 21")
        with unittest.mock.patch.object(cache, "JAVA", (18, 21)):
            t.equal(cache.java_home(), t.path("newer"), "21 where there is not the first one")
        t.equal(cache.java_release(jdk("old", 'java version "1.8.0_402"') + "/bin/java"), 8)
        t.equal(cache.java_release("/no/java"), None)
    finally:
        for name, value in old.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def test_secrets_are_made_once(t):
    stack = Stack(t.path("a b"), profile="secure")
    first = stack.secrets()
    t.equal(stack.secrets(), first)
    t.true(first != Stack(t.path("c"), profile="secure").secrets(), "each stack has its own")
    t.equal(first["STACK_CA"], t.path("a b", "tls", "ca.pem"))
    # A shell understands it too.
    done = subprocess.run(["sh", "-c", '. "$1"; printf %s "$STACK_CA $KAFKA_PASSWORD"', "-",
                           t.path("a b", "secrets.env")], capture_output=True, text=True,
                          check=True)
    t.equal(done.stdout, "%s %s" % (first["STACK_CA"], first["KAFKA_PASSWORD"]))


# ---- the real engines

@contextlib.contextmanager
def real(t, *names, **choices):
    """(stack, {engine: status}) of real engines, which are taken down whatever happens; skips the
    test where they cannot be had."""
    ports = [port for name in names for port in engines.find(name).default_ports.values()]
    pages = [port + 400 for port in ports if "spark" in names]
    stack = Stack(t.path("stack"), free_offset(ports + pages), say=lambda _: None, **choices)
    # They live for a minute: the quick compiler alone makes them start sooner.
    os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"
    pids = []
    try:
        try:
            entries = {entry["engine"]: entry for entry in stack.up(names)}
        except (Missing, MemoryShort) as reason:
            t.skip("%s cannot be started here: %s" % (", ".join(names), reason))
        t.equal({name: entry["state"] for name, entry in entries.items()},
                dict.fromkeys(names, "answers"), "states")
        yield stack, entries
        pids = [pid for entry in stack.status() for pid in entry["pids"]]
    finally:
        del os.environ["JDK_JAVA_OPTIONS"]
        stack.down()
    t.equal([pid for pid in pids if process.started(pid) is not None], [], "left running")
    for entry in entries.values():
        for port in entry["ports"].values():
            t.true(not process.taken(port), "port %d is still taken" % port)


def outside(pids):
    """Ports at which processes listen on other addresses than loopback."""
    inodes = set()
    for pid in pids:
        for file in os.listdir("/proc/%d/fd" % pid):
            try:
                inodes.add(os.readlink("/proc/%d/fd/%s" % (pid, file)))
            except OSError:
                continue
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    return [int(fields[1].partition(":")[2], 16)
            for table in ("tcp", "tcp6")
            for fields in map(str.split, process.read("/proc/net/" + table).splitlines()[1:])
            if fields[3] == "0A" and "socket:[%s]" % fields[9] in inodes
            and fields[1].partition(":")[0] not in loopback]


@slow
def test_real_engines(t):
    """All of them, plain: up, up again, faults, down."""
    names = ("zookeeper", "kafka", "cassandra", "elasticsearch", "spark")
    with real(t, *names) as (stack, entries):
        versions = {name: entry["version"] for name, entry in entries.items()}
        t.equal(versions, {"zookeeper": "3.8.4", "kafka": "3.9.2", "cassandra": "5.0.9",
                           "elasticsearch": "7.17.29", "spark": "3.5.7"})
        pids = {name: entry["pids"] for name, entry in entries.items()}
        t.equal({name: len(found) for name, found in pids.items()},
                {"zookeeper": 1, "kafka": 1, "cassandra": 1, "elasticsearch": 1, "spark": 3})
        for name, found in pids.items():
            t.equal(outside(found), [], "ports that %s opens to others" % name)

        with t.pace() as pace:
            again = stack.up(names)
        t.equal({entry["engine"]: entry["pids"] for entry in again}, pids, "up again")
        pace.check(pace.took, 10, "up again")

        where = ["--dir", stack.place.directory]
        code, out, err = run("kafka-topic", "create", "clicks", "--partitions", "3", "--config",
                             "retention.ms=60000", "--json", *where)
        t.equal((code, err), (0, ""))
        parts = [{"partition": number, "leader": 1, "replicas": [1], "isr": [1], "begin": 0,
                  "end": 0} for number in range(3)]
        t.equal(json.loads(out), {"topic": "clicks", "partitions": parts})
        t.equal(run("kafka-topic", "create", "clicks", *where)[0], 2)
        t.equal(run("kafka-topic", "describe", "none", *where),
                (2, "", "stack: there is no topic none\n"))

        with stack.engine("cassandra").connect() as connection:
            connection.query("CREATE KEYSPACE k WITH replication = "
                             "{'class': 'SimpleStrategy', 'replication_factor': 1}")
            connection.query("CREATE TABLE k.t (a int PRIMARY KEY, b text)")
            connection.query("INSERT INTO k.t (a, b) VALUES (7, 'kept')")

        # A broker that was killed comes back as soon as ZooKeeper has forgotten it; a Spark that
        # has lost a worker is started again.
        stack.pause("cassandra")
        stack.kill("kafka")
        stack.kill("spark", "worker-2")
        t.equal(states(stack), {"zookeeper": "answers", "kafka": "died", "cassandra": "paused",
                                "elasticsearch": "answers", "spark": "died"})
        t.equal(run("status", *where)[0], 1)
        stack.resume("cassandra")
        stack.kill("cassandra")
        stack.up(names)
        t.equal(set(states(stack).values()), {"answers"})
        t.equal(stack.topic_describe("clicks")["partitions"], parts)
        with stack.engine("cassandra").connect() as connection:
            t.equal(connection.query("SELECT a, b FROM k.t"), [[b"\0\0\0\7", b"kept"]])

        code, out, err = run("status", *where)
        t.equal((code, err, len(out.splitlines())), (0, "", 6))
        t.equal(run("down", *where)[0], 0)


def refused(t, kind, words, function, *arguments):
    """A call fails with an exception of this kind that says these words."""
    try:
        function(*arguments).close()
    except kind as error:
        t.true(words in str(error), "%r does not say %r" % (error, words))
        return
    raise AssertionError("%s: it was let in" % words)


def kafka_at(stack, mechanism, password, tls):
    known = stack.secrets()
    return kafka_wire.Connection("127.0.0.1", stack.port("kafka"), 10, tls,
                                 (mechanism, known["KAFKA_USERNAME"], password))


def cassandra_at(stack, name, password, tls):
    return cql_wire.Connection("127.0.0.1", stack.port(name), 10, tls,
                               (stack.secrets()["CASSANDRA_USERNAME"], password))


def check_kafka_is_closed(t, stack, mechanism, tls):
    """Only the right password over TLS of the right authority leads in."""
    password = stack.secrets()["KAFKA_PASSWORD"]
    kafka_at(stack, mechanism, password, tls).close()
    refused(t, kafka_wire.KafkaError, "nvalid", kafka_at, stack, mechanism, "wrong", tls)
    refused(t, ssl.SSLCertVerificationError, "verify failed", kafka_at, stack, mechanism,
            password, ssl.create_default_context(cafile=stack.tls("foreign-ca.pem")))
    refused(t, OSError, "", kafka_at, stack, mechanism, password, None)


@slow
def test_real_secure_with_zookeeper(t):
    """ZooKeeper, Kafka 3.9 with SCRAM, and Spark."""
    with real(t, "zookeeper", "kafka", "spark", profile="secure") as (stack, _):
        check_kafka_is_closed(t, stack, "SCRAM-SHA-512", stack.place.context())
        t.equal(stack.topic_create("clicks", 2), None)
        t.equal(len(stack.topic_describe("clicks")["partitions"]), 2)
        # ZooKeeper speaks TLS only.
        with socket.create_connection(("127.0.0.1", stack.port("zookeeper")), 5) as plain:
            plain.sendall(b"ruok")
            try:
                answer = plain.recv(100)
            except OSError:
                answer = b""
            t.true(b"imok" not in answer, "ZooKeeper answers without TLS: %r" % answer)
        t.equal(oct(os.stat(os.path.join(stack.place.directory, "secrets.env")).st_mode & 0o777),
                "0o600")
        stack.restart("kafka")
        t.equal(len(stack.topic_describe("clicks")["partitions"]), 2)


@slow
def test_real_secure_with_client_certificates(t):
    """Kafka 4.3, Cassandra, what looks like Cosmos DB, and Elasticsearch 8.19."""
    with real(t, "kafka", "cassandra", "cosmos", "elasticsearch", profile="secure", kafka="4.3",
              elasticsearch="8.19", client_certificates=True) as (stack, entries):
        shows, hides = stack.place.context(True), stack.place.context()
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            check_kafka_is_closed(t, stack, mechanism, shows)
        known = stack.secrets()
        refused(t, OSError, "", kafka_at, stack, "PLAIN", known["KAFKA_PASSWORD"], hides)

        password = known["CASSANDRA_PASSWORD"]
        for name, tls in (("cassandra", shows), ("cosmos", hides)):
            cassandra_at(stack, name, password, tls).close()
            for wrong in ("wrong", "cassandra"):
                refused(t, cql_wire.CqlError, "incorrect", cassandra_at, stack, name, wrong, tls)
            refused(t, ssl.SSLCertVerificationError, "verify failed", cassandra_at, stack, name,
                    password, ssl.create_default_context(cafile=stack.tls("foreign-ca.pem")))
            refused(t, OSError, "", cassandra_at, stack, name, password, None)
        refused(t, OSError, "", cassandra_at, stack, "cassandra", password, hides)
        foreign = stack.place.context()
        foreign.load_cert_chain(stack.tls("foreign-client.pem"), stack.tls("foreign-client.key"))
        refused(t, OSError, "", cassandra_at, stack, "cassandra", password, foreign)

        engine = stack.engine("elasticsearch")
        root = engine.get("/")
        t.equal((root["cluster_name"], root["version"]["number"]), ("clickmill", "8.19.21"))
        t.true(re.fullmatch(r"[\w-]{22}", root["cluster_uuid"]), "cluster_uuid of %r" % root)
        engine.login = lambda: ("clickmill", "wrong")
        t.equal(str(expect_not_yet(engine)), "it answers 401")

        # The launcher of 8.19 is not all of it.
        t.equal(len(entries["elasticsearch"]["pids"]), 2)
        stack.kill("elasticsearch")
        t.equal(process.taken(stack.port("elasticsearch")), False, "its port is taken")


def expect_not_yet(engine):
    try:
        engine.get("/")
    except NotYet as reason:
        return reason
    raise AssertionError("it was let in")


@slow
def test_real_opensearch(t):
    with real(t, "elasticsearch", elasticsearch="opensearch-2.19") as (stack, _):
        root = stack.engine("elasticsearch").get("/")
        t.equal((root["version"]["distribution"], root["version"]["number"]),
                ("opensearch", "2.19.6"))
