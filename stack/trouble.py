"""What can go wrong, as sentences for the user, and the exit status that goes with each."""


class Trouble(Exception):
    """An engine does not start, ends at once or does not answer."""

    code = 1


class Misuse(Trouble):
    """Not understood, or another version or profile of the engine runs."""

    code = 2


class PortTaken(Trouble):
    """Somebody else listens where an engine is to listen."""

    code = 3


class MemoryShort(Trouble):
    """Less memory is free than the engines need."""

    code = 4


class Missing(Trouble):
    """Java, Maven or a download cannot be had on this machine."""

    code = 5
