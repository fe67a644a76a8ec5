"""What the collector's `/api/v1/verify` and `/api/v1/gaps` and an agent's `/status` say, as far as we need it."""

from __future__ import annotations

import msgspec

from deckwatch.runtime.faults import Unusable


class Missing(msgspec.Struct, frozen=True):
    """Bytes of a stream that are in no record. Lines between `after` and `noticed` (RFC 3339) may be among them."""

    start: int
    end: int | None  # None: nobody knows how far
    reason: str
    detail: str = ""
    after: str | None = None
    noticed: str | None = None
    expected: bool = False


class Stream(
    msgspec.Struct,
    frozen=True,
    rename={"key": "deckwatch.stream", "host": "host.name", "container": "container.name", "path": "log.file.path"},
):
    """The collector's verdict on a stream. Sizes in bytes."""

    key: str
    kind: str  # log | samples
    complete: bool
    balanced: bool
    durable: int  # position that its agent was told
    stored: int
    records: int
    unaccounted: int
    missing_records: int
    repeated_records: int
    missing: tuple[Missing, ...]
    dropped: dict[str, int] = {}
    host: str = ""
    container: str = ""
    path: str = ""


class Verified(msgspec.Struct, frozen=True):
    """The collector's last word."""

    streams: int
    incomplete: int
    segments: int
    unaccounted_segments: int


class Looked(msgspec.Struct, frozen=True):
    segments: int
    of: int


class Source(msgspec.Struct, frozen=True):
    """A stream as its agent sees it: what is in the file, and what the collector has acknowledged."""

    key: str
    path: str
    container: str
    place: str
    size_bytes: int | None
    acked_bytes: int
    lag_bytes: int
    tenant: str = "default"


class AgentAnswer(msgspec.Struct, frozen=True):
    agent: str
    host: str
    trouble: str
    streams: tuple[Source, ...]


class Gap(
    msgspec.Struct,
    frozen=True,
    rename={
        "noticed": "@timestamp",
        "host": "host.name",
        "container": "container.name",
        "path": "log.file.path",
        "reason": "deckwatch.gap.reason",
        "detail": "deckwatch.gap.detail",
        "start": "deckwatch.gap.start",
        "end": "deckwatch.gap.end",
        "after": "deckwatch.gap.after",
        "kind": "deckwatch.gap.kind",
        "expected": "deckwatch.gap.expected",
    },
):
    """A declared gap."""

    noticed: str
    reason: str
    detail: str
    start: int
    end: int | None
    after: str | None
    kind: str
    expected: bool
    host: str = ""
    container: str = ""
    path: str = ""


Step = Looked | Stream | Verified


def read_step(line: bytes) -> Step:
    """A line of `/api/v1/verify`. Raises Unusable where the collector speaks otherwise."""
    try:
        if line.startswith(b'{"deckwatch.progress"'):
            return msgspec.json.decode(line, type=dict[str, Looked])["deckwatch.progress"]
        if line.startswith(b'{"deckwatch.verified"'):
            return msgspec.json.decode(line, type=dict[str, Verified])["deckwatch.verified"]
        return msgspec.json.decode(line, type=Stream)
    except msgspec.DecodeError as error:
        raise Unusable(f"the collector's answer can't be read ({error}): is it of this version?") from None


def read_gap(line: bytes) -> Gap:
    try:
        return msgspec.json.decode(line, type=Gap)
    except msgspec.DecodeError as error:
        raise Unusable(f"the collector's answer can't be read ({error}): is it of this version?") from None
