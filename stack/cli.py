"""Starts, shows and stops real engines on loopback.

  stack.py up [ENGINE...]        starts them and waits until each answers
  stack.py down [ENGINE...]      ends the engines that were started here; the data stay
  stack.py status [ENGINE...]    versions, ports, pids, memory

  stack.py stop|start|restart ENGINE...    an engine that was started, with the same choices
  stack.py kill|pause|resume ENGINE        kill -9, SIGSTOP, SIGCONT
  stack.py replace NODE          replaces a dead node of a Cassandra ring by one at another address
  stack.py nodetool NODE WORD... runs Cassandra's nodetool for a node of a ring
  stack.py kafka-topic create|describe NAME [--partitions N] [--config KEY=VALUE]

Engines: zookeeper, kafka, cassandra (these are the default), elasticsearch, spark, cosmos (a
Cassandra that clients use like Azure Cosmos DB: TLS and a password on port 10350); `all` is the
first five. With --ring 3 kafka is kafka-1, kafka-2 and kafka-3, and cassandra is cassandra-1 to
cassandra-3; each can be named.

Exit status: 0 done, 1 an engine fails or does not answer, 2 wrong usage or another version runs,
3 a port is taken, 4 not enough memory, 5 Java, Maven or a download is not available.
"""

import argparse
import json
import signal
import sys

from .core import PROFILES, Stack
from .engine import HOST
from .errors import UsageError, StackError

ENGINE_COMMANDS = ("up", "down", "status", "stop", "start", "restart", "kill", "pause", "resume")
COMMANDS = (*ENGINE_COMMANDS, "replace", "nodetool", "kafka-topic")


def parser():
    made = argparse.ArgumentParser(prog="stack.py", description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    made.add_argument("words", nargs="*", metavar="ENGINE")
    made.add_argument("--dir", metavar="DIR", help="directory of the stack (build/stack)")
    made.add_argument("--port-base", type=int, default=0, metavar="N",
                      help="adds N to every port (0)")
    made.add_argument("--profile", default="plain", metavar="plain|secure",
                      help="secure: TLS, SASL and passwords (%s)" % PROFILES[0])
    made.add_argument("--ring", type=int, default=0, metavar="N",
                      help="3: three brokers and three nodes, each at 127.0.0.N (0: one of each)")
    made.add_argument("--kafka", metavar="VERSION",
                      help="3.9 with ZooKeeper, 4.3 without (3.9; in a ring 4.3)")
    made.add_argument("--elasticsearch", default="7.17", metavar="VERSION",
                      help="7.17, 8.19 or opensearch-2.19 (7.17)")
    made.add_argument("--heap", type=int, metavar="MB",
                      help="Cassandra's heap in megabytes (1024; in a ring 512 per node)")
    made.add_argument("--client-certificates", action="store_true",
                      help="in the secure profile, Kafka and Cassandra require one of each client")
    made.add_argument("--timeout", type=int, default=180, metavar="S",
                      help="seconds until an engine must answer (180)")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--partitions", type=int, default=6, metavar="N", help="of a topic (6)")
    made.add_argument("--config", action="append", default=[], metavar="KEY=VALUE",
                      help="of a topic")
    return made


def megabytes(size):
    return "%d MB" % (size >> 20) if size else "-"


def table(rows):
    """Rows of strings as lines, aligned in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n"
                   for row in rows)


def show(entries, options):
    if options.json:
        print(json.dumps(entries, indent=1))
    elif not entries:
        print("no engine was started here; make stack-up starts some")
    else:
        sys.stdout.write(table(
            [("engine", "version", "profile", "state", "memory", "pid", "ports")]
            + [(entry["engine"], entry["version"], entry["profile"], entry["state"],
                megabytes(entry["memory"]), " ".join(map(str, entry["pids"])) or "-",
                ("" if entry["host"] == HOST else entry["host"] + ": ")
                + " ".join("%d" % port for port in entry["ports"].values()))
               for entry in entries]))


def kafka_topic(stack, options):
    if len(options.words) != 2 or options.words[0] not in ("create", "describe"):
        raise UsageError("expected kafka-topic create NAME or kafka-topic describe NAME")
    if options.words[0] == "create":
        stack.topic_create(options.words[1], options.partitions,
                           dict(pair.partition("=")[::2] for pair in options.config))
    topic = stack.topic_describe(options.words[1])
    if options.json:
        print(json.dumps(topic, indent=1))
        return
    sys.stdout.write(table([("partition", "leader", "replicas", "isr", "begin", "end")] + [
        (str(row["partition"]), str(row["leader"]), " ".join(map(str, row["replicas"])),
         " ".join(map(str, row["isr"])), str(row["begin"]), str(row["end"]))
        for row in topic["partitions"]]))


def act(stack, options):
    """Runs a command; returns the exit status."""
    words = options.words
    if options.command == "up":
        show(stack.up(words), options)
    elif options.command == "status":
        entries = stack.status(words)
        show(entries, options)
        return 0 if all(entry["state"] in ("answers", "stopped") for entry in entries) else 1
    elif options.command == "kafka-topic":
        kafka_topic(stack, options)
    elif options.command == "down":
        stack.down(words)
    elif options.command == "nodetool":
        if len(words) < 2:
            raise UsageError("expected nodetool NODE WORD..., for example nodetool cassandra-1 status")
        sys.stdout.write(stack.nodetool(*words))
    elif not words:
        raise UsageError("%s needs the name of an engine" % options.command)
    elif options.command in ("stop", "start", "restart"):
        getattr(stack, options.command)(*words)
    elif options.command == "replace":
        for name in words:
            stack.say("%s has replaced %s" % (stack.replace(name), name))
    else:
        for name in stack.named(words):
            getattr(stack, options.command)(name)
    return 0


def stack_of(options):
    return Stack(options.dir, offset=options.port_base, profile=options.profile,
                 kafka=options.kafka, elasticsearch=options.elasticsearch, heap=options.heap,
                 ring=options.ring, client_certificates=options.client_certificates, timeout=options.timeout)


def main(arguments):
    # Options after the words of nodetool belong to nodetool.
    at = arguments.index("nodetool") + 2 if "nodetool" in arguments else len(arguments)
    options = parser().parse_intermixed_args(arguments[:at])
    options.words += arguments[at:]
    # Like Ctrl-C, so that a command ends the engines that it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return act(stack_of(options), options)
    except StackError as error:
        print("stack: %s" % error, file=sys.stderr)
        return error.code
    except OSError as error:
        print("stack: %s" % error, file=sys.stderr)
        return StackError.code
    except KeyboardInterrupt:
        print("stack: interrupted; make stack-down ends what was started", file=sys.stderr)
        return 130
