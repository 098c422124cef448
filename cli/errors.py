"""What ends the command early, and with which exit code."""


class CommandError(Exception):
    """The message says what went wrong and what to do."""

    exit_code = 1


class NotSignedIn(CommandError):
    """There are no tokens, or they have ended."""

    exit_code = 3


class Refused(CommandError):
    """The server understood and said no; `status` is HTTP's."""

    exit_code = 4

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(CommandError):
    """A passing fault: no connection, an overload. `after` are the seconds to wait, if known."""

    exit_code = 5

    def __init__(self, message: str, after: float = 0) -> None:
        super().__init__(message)
        self.after = after
