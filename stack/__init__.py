"""Starts real engines (ZooKeeper, Kafka, Cassandra, Elasticsearch, Spark) on loopback.

    from stack import Stack
    engines = Stack("DIRECTORY", offset=20000, kafka="4.3")
    engines.up(["kafka"])

`stack/stack.py` is its command line; docs/stack.md is its manual.
"""

from .core import Stack
from .errors import MemoryShort, UsageError, Missing, PortTaken, StackError

__all__ = ["MemoryShort", "UsageError", "Missing", "PortTaken", "Stack", "StackError"]
