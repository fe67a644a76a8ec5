"""A record as a line for people: `time container level message`. Colours tell levels and containers apart."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

Record = dict[str, Any]

LEVEL_STYLES = {
    "trace": "dim",
    "debug": "dim",
    "info": "green",
    "notice": "cyan",
    "warn": "yellow",
    "error": "bold red",
    "fatal": "bold white on red",
}
_CONTAINER_STYLES = (
    "cyan",
    "magenta",
    "blue",
    "bright_green",
    "bright_yellow",
    "bright_blue",
    "bright_magenta",
    "bright_cyan",
    "dark_orange",
    "turquoise2",
    "orchid",
    "chartreuse3",
)
_NAME_WIDTH = 24
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Lines and tabs may stay; what turns the direction of text (Trojan Source, CVE-2021-42574) may not.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAK = re.compile(r"[\t\n]")


def plain_line(record: Record) -> str:
    """UTC to the millisecond; a dash where there is no level, so that columns can be cut."""
    stamp = str(record["@timestamp"])[:23] + "Z"
    return f"{stamp} {source_of(record)} {record.get('log.level') or '-'} {record['message']}"


def terminal_line(record: Record, *, matched: bool = True) -> Text:
    """Local time. Control characters and escape sequences of the message are taken out: it must not steer the
    terminal. `matched=False`: a line of context."""
    level, source = str(record.get("log.level") or ""), source_of(record)
    line = Text()
    line.append(f"{local_time(str(record['@timestamp']))} ", style="dim")
    line.append(f"{_fitted(source):{_NAME_WIDTH}} ", style=container_style(source))
    line.append(f"{level:6} ", style=LEVEL_STYLES.get(level, ""))
    line.append(harmless(str(record["message"])), style=_message_style(level, matched))
    return line


def source_of(record: Record) -> str:
    """The container's name, else its id, else the file's name, else the host."""
    path = str(record.get("log.file.path", ""))
    container_id = str(record.get("container.id") or "")[:12]
    found = record.get("container.name") or container_id or path.rsplit("/", 1)[-1] or record.get("host.name")
    return one_word(str(found or "-"))


def container_style(source: str) -> str:
    """The same for a name wherever and whenever it is shown."""
    return _CONTAINER_STYLES[zlib.crc32(source.encode()) % len(_CONTAINER_STYLES)]


def local_time(stamp: str) -> str:
    """`2026-01-31T12:00:00.123456789Z` in the zone of this machine, to the millisecond."""
    moment = datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}{stamp[19:23]}"


def harmless(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE.sub("", text).replace("\r\n", "\n"))


def one_word(text: str) -> str:
    """A name as it may stand in a line: whoever names a container or a file must not forge lines or columns."""
    return _BREAK.sub("\N{REPLACEMENT CHARACTER}", harmless(text))


def _fitted(name: str) -> str:
    """Cut in the middle: names of one project begin alike, and those of one service's replicas end alike."""
    if len(name) <= _NAME_WIDTH:
        return name
    head = (_NAME_WIDTH - 1) // 2
    return f"{name[:head]}…{name[head - _NAME_WIDTH + 1 :]}"


def _message_style(level: str, matched: bool) -> str:
    if not matched:
        return "dim"
    return "red" if level in ("error", "fatal") else ""
