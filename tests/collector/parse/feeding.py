"""Feeds bytes to a Parser as intake would, and gives records as rows that a test can compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.records import BODIES, IOSTREAMS, LEVELS, ROWS, RecordFrame
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, Gap, GapReason, StreamEnd, StreamId, StreamInfo

RECEIVED_NS = 1_800_000_000_000_000_000
STAMP = "2026-01-02T03:04:05.678901234Z"
STAMP_NS = 1_767_323_045_678_901_234


class Record(msgspec.Struct, frozen=True, order=True):
    """A record as a row, codes spelled out."""

    start: int
    end: int
    ts: int
    iostream: str
    level: str
    body: str
    flags: int
    message: str


def docker(text: str, iostream: str = "stdout", stamp: str = STAMP) -> bytes:
    """One line of a docker-json file; the text brings its own newline."""
    return json.dumps({"log": text, "stream": iostream, "time": stamp}, separators=(",", ":")).encode() + b"\n"


def docker_lines(*texts: str, iostream: str = "stdout") -> bytes:
    return b"".join(docker(text + "\n", iostream) for text in texts)


def records_of(frame: RecordFrame) -> list[Record]:
    assert dict(frame.rows.schema) == ROWS
    return [
        Record(start, end, ts, IOSTREAMS[iostream], LEVELS[level], BODIES[body], flags, message)
        for _, ts, start, end, level, iostream, body, flags, message in frame.rows.iter_rows()
    ]


class Feed:
    """One parser and one stream, whose bytes are given piece after piece."""

    def __init__(self, fmt: Format = Format.DOCKER_JSON, settings: ParseSettings | None = None) -> None:
        self.settings = settings or ParseSettings()
        self.parser = Parser(self.settings)
        self.format = fmt
        self.position = 0
        self.seq = 0
        self.received_ns = RECEIVED_NS

    def batch(self, chunks: Sequence[Chunk] = (), **parts: Any) -> Batch:
        info = StreamInfo(StreamId("agent", "source", "1-0"), "default", self.format, 0)
        return Batch(VERSION, "agent", "host", 0, (Context("host"),), (info,), tuple(chunks), **parts)

    def give(self, *pieces: bytes, eof: bool = False) -> list[Record]:
        """The pieces as chunks of one batch; `eof` goes with the last one."""
        chunks = []
        for n, piece in enumerate(pieces):
            chunks.append(Chunk(0, self.position, 0, 0, piece, eof=eof and n == len(pieces) - 1))
            self.position += len(piece)
        return self.take(self.batch(chunks), (0,) * len(chunks))

    def gap(self, size: int) -> list[Record]:
        start, self.position = self.position, self.position + size
        return self.take(self.batch(gaps=(Gap(0, start, self.position, 0, GapReason.TRUNCATED, 0),)))

    def end(self) -> list[Record]:
        return self.take(self.batch(ends=(StreamEnd(0, self.position, 0),)))

    def take(self, batch: Batch, skips: tuple[int, ...] = ()) -> list[Record]:
        self.seq += 1
        return records_of(self.parser.parse(Accepted(self.seq, self.received_ns, batch, skips)))

    def close(self, after_ns: int = 10_000_000_000) -> list[Record]:
        """What time closes when nothing came for `after_ns`."""
        decision = self.parser.close_due(self.received_ns + after_ns)
        if decision is None:
            return []
        self.seq += 1
        return records_of(self.parser.close(self.seq, self.received_ns + after_ns, decision))

    def restart(self) -> None:
        saved = self.parser.state()
        self.parser = Parser(self.settings)
        self.parser.restore(saved)


def parse_all(data: bytes, fmt: Format = Format.DOCKER_JSON, settings: ParseSettings | None = None) -> list[Record]:
    """All records of a file that ends there."""
    return Feed(fmt, settings).give(data, eof=True)


def messages(records: Iterable[Record]) -> list[str]:
    return [record.message for record in records]
