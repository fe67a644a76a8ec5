"""Log lines of the daemons: one line a record, text for people, JSON (ECS names) for machines and the supervisor."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TextIO

import msgspec
from msgspec import Meta


class LogFormat(StrEnum):
    AUTO = "auto"  # text on a terminal, JSON elsewhere
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(msgspec.Struct, frozen=True):
    level: Annotated[LogLevel, Meta(description="Least level that is written.")] = LogLevel.INFO
    format: Annotated[LogFormat, Meta(description="auto: text on a terminal, JSON elsewhere.")] = LogFormat.AUTO


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CREDENTIALS = (
    (re.compile(r"(\w+://)[^/\s:@]*:[^/\s@]+@"), r"\1***@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE), r"\1 ***"),
)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\t", 10: "\\n", 13: "\\r"}
_CONTROL |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_CONTROL |= {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)}  # bytes of file names that are no UTF-8
_IN_JSON = {code: f"\\u{code:04x}" for code in _CONTROL if code > 126} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def setup_logging(settings: LogSettings | None = None, stream: TextIO | None = None) -> None:
    """Replaces the root logger's handlers. Call it once, before anything is started."""
    settings = settings or LogSettings()
    stream = stream or sys.stderr
    as_text = settings.format is LogFormat.TEXT or (settings.format is LogFormat.AUTO and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for noisy in ("aiohttp.access", "apscheduler", "asyncio", "elastic_transport"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def without_secrets(text: str) -> str:
    """Passwords in URLs and authorization headers give way to ***. A net below Secret, not instead of it."""
    for pattern, shown in _CREDENTIALS:
        text = pattern.sub(shown, text)
    return text


def printable(text: str) -> str:
    """On one line, control characters (C1 and those that turn the direction of text too) as escapes: what containers
    write must not steer a terminal."""
    return text.translate(_CONTROL)


class TextFormatter(logging.Formatter):
    """`07:28:55.123 WARNING agent.tail: message key=value`; control characters as escapes, further lines indented, so
    that none can pass for a record of its own."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={_word(value)}" for name, value in _extras(record).items())
        text = f"{stamp} {record.levelname} {record.name}: {record.getMessage()}{fields}{_trace(record)}"
        return "\n    ".join(map(printable, without_secrets(text).split("\n")))


class JsonFormatter(logging.Formatter):
    """ECS: `@timestamp`, `log.level`, `log.logger`, `message`, `error.stack_trace`; extras under their own names."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "@timestamp": stamp.replace("+00:00", "Z"),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if trace := _trace(record):
            fields["error.stack_trace"] = trace.strip()
        return without_secrets(json.dumps(fields, ensure_ascii=False, default=str)).translate(_IN_JSON)


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _trace(record: logging.LogRecord) -> str:
    return "\n" + logging.Formatter().formatException(record.exc_info) if record.exc_info else ""


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' ="\n') else text
