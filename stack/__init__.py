"""Starts real engines (ZooKeeper, Kafka, Cassandra, Elasticsearch, Spark) on loopback.

    from stack import Stack
    engines = Stack("DIRECTORY", offset=20000, kafka="4.3")
    engines.up(["kafka"])

`stack/stack.py` is the same on the command line; docs/stack.md says how to use it.
"""

from .core import Stack
from .trouble import MemoryShort, Misuse, Missing, PortTaken, Trouble

__all__ = ["MemoryShort", "Misuse", "Missing", "PortTaken", "Stack", "Trouble"]
