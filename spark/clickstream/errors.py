"""The exception whose text is shown to the user."""


class JobError(Exception):
    """What went wrong, in one sentence."""
