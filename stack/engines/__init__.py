"""The engines by name, in the order of the list that users see."""

from ..errors import UsageError
from .cassandra import Cassandra, Cosmos
from .elasticsearch import Elasticsearch
from .kafka import Kafka
from .ring import MEMBERS
from .spark import Spark
from .zookeeper import ZooKeeper

ENGINES = {engine.name: engine for engine in (
    ZooKeeper, Kafka, Cassandra, Elasticsearch, Spark, Cosmos)}
NAMES = tuple(ENGINES)
ENGINES.update(MEMBERS)  # kafka-1, cassandra-3


def find(name):
    if name not in ENGINES:
        raise UsageError("unknown engine %s; the engines are %s" % (name, ", ".join(NAMES)))
    return ENGINES[name]


def parts(name):
    """Names of the members of a ring of that engine; () for an engine without rings."""
    return tuple(member for member, engine in MEMBERS.items() if engine.whole == name)
