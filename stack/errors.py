"""The errors, whose texts are sentences for the user, with the exit status of each."""


class StackError(Exception):
    """An engine does not start, ends at once or does not answer."""

    code = 1


class UsageError(StackError):
    """Wrong usage, or another version or profile of the engine runs."""

    code = 2


class PortTaken(StackError):
    """Another process listens at a port of an engine."""

    code = 3


class MemoryShort(StackError):
    """Less memory is free than the engines need."""

    code = 4


class Missing(StackError):
    """Java, Maven or a download is not available on this machine."""

    code = 5
