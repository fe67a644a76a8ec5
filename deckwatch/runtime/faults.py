"""The two families of faults: what will pass if we wait, and what never will."""

from __future__ import annotations

MESSAGE_PREFIX = "deckwatch: "
"""Starts the one message with which a command ends on stderr."""


class Fault(Exception):
    """A fault that was foreseen: its text says what, where and how to mend it."""


class Retry(Fault):
    """It may work later. `after_s` is the other side's wish (Retry-After), None where it had none."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class Reject(Fault):
    """It will never work as it is: bad input, or a refusal meant for this very thing."""


class Unusable(Fault):
    """The process can't start or go on like this: configuration, port, data directory. Exit code 2."""
