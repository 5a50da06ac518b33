"""stack/: a ring, as far as that can be seen without starting one; test_ring.py and `make ring-test`
start real ones."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import ports
from harness import ROOT
from test_stack import NoDownloads, expect, run, yaml_of

from stack import MemoryShort, UsageError, PortTaken, Stack, engines, process
from stack.engines import ring as rings

BROKERS = ["kafka-1", "kafka-2", "kafka-3"]
NODES = ["cassandra-1", "cassandra-2", "cassandra-3"]


def ring(t, name="ring", **choices):
    os.makedirs(t.path(name), exist_ok=True)
    made = Stack(t.path(name), 20000, ring=3, say=lambda _: None, **choices)
    made.place._java = "/java"
    return made


def prepared(t, stack, name):
    """The configuration of a member as {file: text}."""
    home = t.path("home")
    os.makedirs(home, exist_ok=True)
    t.write("home/jamm-0.jar", "")
    with NoDownloads(home):
        engine = stack.engine(name)
        engine.folders()
        engine.prepare()
        words = [" ".join(argv) for _, argv, _ in engine.commands()]
    texts = {"command": words[0]}
    for file in os.listdir(engine.conf):
        with open(os.path.join(engine.conf, file), encoding="utf-8") as opened:
            texts[file] = opened.read()
    return texts


@contextlib.contextmanager
def running(engine):
    """A process that is taken for the engine's."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        engine.folders()
        engine.save([{"role": engine.name, **process.identify(stranger.pid)}])
        yield
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_ring_consists_of(t):
    stack = ring(t)
    t.equal(stack.order([]), BROKERS + NODES)
    t.equal(stack.order(["all"]), [*BROKERS, *NODES, "elasticsearch", "spark"])
    t.equal(stack.order(["cassandra", "kafka-2"]), [*NODES, "kafka-2"])
    t.equal({stack.engine(name).version() for name in BROKERS}, {"4.3.1"})
    t.equal(sum(stack.engine(name).memory for name in BROKERS + NODES), 3 * 450 + 3 * (512 + 900))
    t.equal(stack.addresses("kafka"), ["127.0.0.%d:29092" % n for n in (1, 2, 3)])
    t.equal(stack.addresses("cassandra"), ["127.0.0.%d:29042" % n for n in (1, 2, 3)])
    t.equal(Stack(t.path("one"), 20000).addresses("kafka"), ["127.0.0.1:29092"])
    t.equal(stack.engine("kafka-2").where(), "127.0.0.2:29092")
    t.equal(stack.engine("kafka-1").variant(), "4.3.1 (plain, ports +20000) of a ring")


def test_what_no_ring_can_be(t):
    for arguments, said in (
            (["--ring", "5"], "a ring has 3 members (RING=3), not 5"),
            (["--ring", "3", "--kafka", "3.9"], "a ring cannot be of Kafka 3.9, because "
             "its ZooKeeper would be a single one: leave KAFKA out, or give KAFKA=4.3"),
            (["--ring", "3", "--profile", "secure"], "a ring has no secure profile: the "
             "certificates of STACK=secure are for 127.0.0.1 only"),
            (["kafka-2"], "kafka-2 is a member of a ring, which RING=3 starts")):
        t.equal(run("up", *arguments, "--dir", t.path("none")), (2, "", "stack: %s\n" % said),
                " ".join(arguments))
    t.equal(run("replace", "cassandra-2", "--dir", t.path("none"))[::2],
            (2, "stack: cassandra-2 was not started in %s: run make stack-up ENGINES=cassandra-2 "
             "first\n" % t.path("none")))
    t.equal(run("--dir", t.path("none"), "nodetool", "cassandra-1"),
            (2, "", "stack: expected nodetool NODE WORD..., for example nodetool cassandra-1 status\n"))
    done = subprocess.run(["make", "-n", "--no-print-directory", "stack-up", "RING=3"], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    t.equal(done.stdout.splitlines()[-1].split(), ["python3", "stack/stack.py", "up", "--ring", "3"])


def test_members_are_told_of_each_other(t):
    stack, tokens = ring(t), []
    for number in (1, 2, 3):
        texts = prepared(t, stack, "kafka-%d" % number)
        settings = dict(line.split("=", 1) for line in texts["server.properties"].splitlines()
                        if "=" in line and not line.startswith("#"))
        t.equal(settings["node.id"], str(number))
        t.equal(settings["controller.quorum.voters"],
                "1@127.0.0.1:29093,2@127.0.0.2:29093,3@127.0.0.3:29093")
        t.equal(settings["listeners"],
                "PLAINTEXT://127.0.0.%d:29092,CONTROLLER://127.0.0.%d:29093" % (number, number))
        copies = {key: value for key, value in settings.items()
                  if "replication.factor" in key or "min.i" in key}
        t.equal(copies, {"default.replication.factor": "3", "min.insync.replicas": "2",
                         "offsets.topic.replication.factor": "3",
                         "transaction.state.log.replication.factor": "3",
                         "transaction.state.log.min.isr": "2",
                         "share.coordinator.state.topic.replication.factor": "3",
                         "share.coordinator.state.topic.min.isr": "2"})
        t.true(" -Xmx384m " in texts["command"], texts["command"])

        texts = prepared(t, stack, "cassandra-%d" % number)
        yaml = texts["cassandra.yaml"]
        for line in ("listen_address: 127.0.0.%d" % number, "rpc_address: 127.0.0.%d" % number,
                     "auto_bootstrap: false", "hinted_handoff_enabled: true", "num_tokens: 16",
                     '      - seeds: "127.0.0.1:27000,127.0.0.2:27000,127.0.0.3:27000"'):
            t.true(line in yaml.splitlines(), "%s in %s" % (line, yaml))
        tokens += map(int, re.search(r"^initial_token: (.*)$", yaml, re.M).group(1).split(","))
        t.true(" -Xmx512m " in texts["command"], texts["command"])
        t.true("jmxremote.host=127.0.0.%d " % number in texts["command"], texts["command"])
    # The tokens lie evenly, one of each node after the other.
    t.equal(len(set(tokens)), 48)
    ordered = sorted(tokens)
    t.equal({b - a for a, b in zip(ordered, ordered[1:])}, {2 ** 64 // 48})
    t.equal([tokens.index(token) // 16 for token in ordered[:4]], [0, 1, 2, 0])
    # All brokers are of one cluster, of an id as Kafka makes them.
    ids = {stack.engine(name).cluster_id() for name in BROKERS}
    t.equal((len(ids), bool(re.fullmatch(r"[\w-]{22}", next(iter(ids))))), (1, True))


def test_a_node_that_was_replaced(t):
    stack = ring(t)
    node = stack.engine("cassandra-4")
    node.replaces = "127.0.0.2"
    t.equal(node.seeds(), "127.0.0.1:27000,127.0.0.3:27000")
    t.equal(node.place_in_ring(), "auto_bootstrap: true\nhinted_handoff_enabled: true")
    t.equal(node.settings()["cassandra.replace_address_first_boot"], "127.0.0.2")
    # It is a member from then on, and the other is none; the next one takes that address.
    rings.exchange(stack.place.directory, 2, 4)
    t.equal(stack.order(["cassandra"]), ["cassandra-1", "cassandra-3", "cassandra-4"])
    t.equal(stack.addresses("cassandra"), ["127.0.0.%d:29042" % n for n in (1, 3, 4)])
    t.equal(stack.order(["kafka"]), BROKERS)
    gone = stack.engine("cassandra-2")
    gone.folders()
    gone.save([])
    t.equal(expect(t, UsageError, stack.replace, "cassandra-2"), "cassandra-2 was replaced already")
    with running(stack.engine("cassandra-1")):
        t.equal(expect(t, UsageError, stack.replace, "cassandra-1"),
                "cassandra-1 runs: stop or kill it first")
    stack.engine("kafka-1").folders()
    stack.engine("kafka-1").save([])
    t.equal(expect(t, UsageError, stack.replace, "kafka-1"),
            "only a node of a ring of Cassandra can be replaced, for example cassandra-3")
    t.equal(expect(t, UsageError, stack.nodetool, "kafka-1", "status"),
            "nodetool needs a node of a ring of Cassandra, for example cassandra-1")


def test_a_replacement_that_was_interrupted(t):
    stack, had = ring(t), process.available
    stack.engine("cassandra-2").folders()
    stack.engine("cassandra-2").save([])

    def launch(new):
        t.equal([(node.name, node.replaces, node.running()) for node in new],
                [("cassandra-4", "127.0.0.2", [])], "what one that was killed has left")
        new[0].folders()
        new[0].save([])
        raise SystemExit  # no kind of Exception, as Ctrl-C
    stack.launch, process.available = launch, lambda: 16 << 30
    try:
        with running(stack.engine("cassandra-4")):
            t.write("ring/cassandra-4/" + os.path.relpath(
                stack.engine("cassandra-4").data, t.path("ring", "cassandra-4")) + "/row", "")
            with contextlib.suppress(SystemExit):
                stack.replace("cassandra-2")
    finally:
        process.available = had
    t.equal((stack.formed("cassandra"), stack.recorded("cassandra-4"),
             os.path.exists(stack.engine("cassandra-4").data)), (NODES, None, False))
    t.equal(stack.recorded("cassandra-2").name, "cassandra-2")


def test_a_signal_is_an_interruption(t):
    """SIGTERM too, so that what was begun is taken back."""
    stack = ring(t)
    with stack.lock(), subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "stack", "stack.py"), "--dir", t.path("ring"),
             "down"], stderr=subprocess.PIPE, text=True) as waiting:
        t.true("another process works in" in waiting.stderr.readline(), "it waits for the lock")
        waiting.send_signal(signal.SIGTERM)
        t.equal((waiting.stderr.read(), waiting.wait(20)),
                ("stack: interrupted; make stack-down ends what was started\n", 130))


def test_a_name_for_all_members(t):
    stack = ring(t)
    for name in ("kafka-1", "kafka-3"):
        stack.engine(name).folders()
        stack.engine(name).save([])
    t.equal(stack.named(["kafka", "cassandra"]), ["kafka-1", "kafka-3", "cassandra"])
    t.equal([entry["engine"] for entry in stack.status(["kafka"])], ["kafka-1", "kafka-3"])
    code, out, _ = run("status", "--dir", stack.place.directory)
    t.equal((code, [line.split()[0] for line in out.splitlines()]),
            (0, ["engine", "kafka-1", "kafka-3"]))
    t.true(out.splitlines()[2].endswith("127.0.0.3: 29092 29093"), out)


def test_a_ring_and_a_single_engine_do_not_mix(t):
    stack = ring(t)
    single = Stack(stack.place.directory, 20000, say=lambda _: None)
    with running(single.engine("cassandra")):
        t.equal(expect(t, UsageError, stack.up, ["cassandra"]),
                "cassandra runs, so cassandra-1 cannot start: run make stack-down first (its "
                "data are kept)")
    single.engine("cassandra").forget()
    with running(stack.engine("cassandra-3")):
        t.equal(expect(t, UsageError, single.up, ["cassandra"]),
                "cassandra-3 runs, so cassandra cannot start: run make stack-down first (its "
                "data are kept)")


def test_ports_and_memory_of_a_ring(t):
    offset = ports.offset([port for name in ("kafka-1", "cassandra-1")
                           for port in engines.find(name).default_ports.values()])
    stack = Stack(t.path("ports"), offset, ring=3, say=lambda _: None)
    with socket.create_server(("127.0.0.2", 9092 + offset)):
        t.equal(expect(t, PortTaken, stack.up, ["kafka"]),
                "port %d of 127.0.0.2, which kafka-2 needs (client), is taken by pid %d (%s): end "
                "that process, or move all ports, for example with PORT_OFFSET=20000" % (
                    9092 + offset, os.getpid(), process.program(os.getpid())))
        t.equal(process.holder(9092 + offset), None, "at another address no process listens")
    old = process.available
    process.available = lambda: 4 << 30
    try:
        t.equal(expect(t, MemoryShort, stack.up),
                "%s need about 5586 MB of memory, and 4096 MB are available: end other programs, or "
                "start fewer engines (ENGINES=\"kafka\")" % " and ".join(BROKERS + NODES))
    finally:
        process.available = old


def test_the_configuration_of_a_ring(t):
    stack = ring(t)
    stack.write_ring_configuration(False)
    path = t.path("ring", "clickmill.ring.yaml")
    made, single = yaml_of(t, path), yaml_of(t, "clickmill.cluster.yaml")
    t.equal({key: value for key, value in made.items() if isinstance(value, str)},
            {key: value for key, value in single.items() if isinstance(value, str)})
    t.equal((made["kafka"]["brokers"], made["kafka"]["replication"]),
            ("127.0.0.1:29092,127.0.0.2:29092,127.0.0.3:29092", 3))
    t.equal((made["cassandra"]["hosts"], made["cassandra"]["replication"]),
            ("127.0.0.1:29042,127.0.0.2:29042,127.0.0.3:29042", 3))
    t.true("elasticsearch" not in made, "of Elasticsearch, which was not started")
    stack.write_ring_configuration()
    t.equal(yaml_of(t, path)["elasticsearch"]["hosts"], "http://127.0.0.1:29200")
