"""What the command line shows as one clear message instead of a traceback."""


class LocalError(Exception):
    """A start or stop can't go on; the text says why and what helps."""
