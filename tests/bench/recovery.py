"""How long a collector that was killed takes until it answers and takes batches, behind a large journal.

python -m tests.bench.recovery [--entries 1000000] [--size 2GB]
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from collector.intake.admission import admit
from collector.intake.journal import Journal
from collector.intake.journal_file import Kind
from collector.intake.record import encode_record
from deckwatch.wire.codec import BatchCompressor
from deckwatch.wire.identity import crc32c, stream_key
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, Position, StreamId, StreamInfo
from tests.bench.generate import parse_size
from tests.chaos.daemons import Pair

_STREAMS = 1000
_AT_ONCE = 1000


class Log:
    """One stream, and batches of it."""

    def __init__(self, number: int) -> None:
        self.id = StreamId("bench", f"app-{number}", "1-0")
        self.key = stream_key(self.id)
        self.position = Position(0, 0)

    def batch(self, data: bytes) -> Batch:
        start = self.position
        chunk = Chunk(0, start.offset, start.crc, crc32c(data, start.crc), data)
        info = StreamInfo(self.id, "default", Format.PLAIN, 0)
        return Batch(VERSION, "bench", "host", 0, (Context("host"),), (info,), (chunk,))


def records(sizes: Iterator[int]) -> Iterator[bytes]:
    """What the journal holds for batches of so many random bytes."""
    compressor, logs = BatchCompressor(), [Log(number) for number in range(_STREAMS)]
    for turn, size in enumerate(sizes):
        log = logs[turn % _STREAMS]
        batch = log.batch(base64.b64encode(os.urandom(size * 3 // 4)) + b"\n")
        admission = admit(batch, {log.key: log.position}.get)
        log.position = admission.moves[log.key]
        yield encode_record(admission, compressor.encode(batch))


async def fill(folder: Path, payloads: Iterator[bytes]) -> tuple[int, int]:
    """(entries, bytes)"""
    journal, waiting = Journal(folder), []
    for payload in payloads:
        waiting.append(journal.submit(Kind.BATCH, time.time_ns(), payload))
        if len(waiting) >= _AT_ONCE or len(payload) > 1 << 16:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    entries = journal.durable_seq + 1
    await journal.close()
    return entries, journal.size_bytes


def measure(title: str, sizes: Iterator[int]) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        folder = Path(name)
        pair = Pair(folder)
        data = folder / "collector"
        pair.collector.start()
        pair.collector.stop()  # a data directory
        for old in (data / "journal").glob("*"):
            old.unlink()
        entries, size = asyncio.run(fill(data / "journal", records(sizes)))
        started = time.monotonic()
        pair.collector.start()
        ready_s, cpu_s = time.monotonic() - started, pair.collector.cpu_s()
        print(f"{title}: {entries:,} entries, {size / 1e9:.2f} GB: ready in {ready_s:.1f} s ({cpu_s:.1f} CPU s)")
        pair.collector.kill()


@click.command()
@click.option("--entries", default=1_000_000, show_default=True, help="Small ones, of a line each.")
@click.option("--size", default="2GB", show_default=True, help="Of large ones.")
def main(entries: int, size: str) -> None:
    measure("small entries", (80 for _ in range(entries)))
    large = 1 << 20
    measure("large entries", (large for _ in range(parse_size(size) * 4 // 3 // large)))


if __name__ == "__main__":
    main()
