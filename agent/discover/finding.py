"""What was looked for, and whether it was reached: the few lines that a start-up prints."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    what: str  # Docker socket /var/run/docker.sock, files /var/log/*.log ...
    reached: bool
    detail: str  # what was found there, or why not
    remedy: str = ""  # how to mend it; empty where there is nothing to mend

    def __str__(self) -> str:
        mend = f" ({self.remedy})" if self.remedy else ""
        return f"{self.what}: {self.detail}{mend}"


def os_reason(error: OSError) -> str:
    """`Permission denied`, without errno and path: the finding names the path."""
    return error.strerror or str(error)


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
