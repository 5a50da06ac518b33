"""The engines by name, in the order in which they are listed."""

from ..trouble import Misuse
from .cassandra import Cassandra, Cosmos
from .elasticsearch import Elasticsearch
from .kafka import Kafka
from .spark import Spark
from .zookeeper import ZooKeeper

ENGINES = {engine.name: engine for engine in (
    ZooKeeper, Kafka, Cassandra, Elasticsearch, Spark, Cosmos)}
NAMES = tuple(ENGINES)


def find(name):
    if name not in ENGINES:
        raise Misuse("unknown engine %s; there are %s" % (name, ", ".join(NAMES)))
    return ENGINES[name]
