"""What a daemon tells its supervisor: ordinary log lines with an `event` and fields, one JSON object each.

A daemon alone writes the same lines for whoever reads its log; `deckwatch up` reads them from its children.
"""

from __future__ import annotations

import logging
from enum import StrEnum

import msgspec

_log = logging.getLogger("deckwatch.status")
_log.setLevel(logging.INFO)  # whatever the least level of the rest is


class Announced(StrEnum):
    READY = "ready"  # address: URL of its server
    FINDING = "finding"  # what, reached (bool), detail, mend
    DRAINED = "drained"  # figures of the end: lines, bytes, unread_bytes ... (whole numbers)


def announce(event: Announced, message: str, **fields: str | int | float | bool) -> None:
    _log.info(message, extra={"event": event.value, "fields": fields})


class Line(msgspec.Struct, frozen=True):
    """A child's log line as the supervisor reads it."""

    message: str
    level: str = msgspec.field(default="info", name="log.level")
    logger: str = msgspec.field(default="", name="log.logger")
    event: str = ""
    fields: dict[str, str | int | float | bool] = {}
    trace: str = msgspec.field(default="", name="error.stack_trace")


_decoder = msgspec.json.Decoder(Line)


def read_line(text: bytes) -> Line:
    """What is no log line of ours (a traceback, a library's print) is a message of level error."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Line(text.decode(errors="replace").rstrip(), level="error")
