"""The embedded store: bytes stored for bytes written, and how long searches take over many lines.

    python -m tests.bench.store_speed [--lines 20M] [--kind generated|real]

Lines go through the real parser and store (no network, no journal): what is printed as MB per CPU second is docker-json
parsed, made searchable, filtered and sealed. The rare word stands in 10 lines.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import click

from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.search.language import parse
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.protocol import SearchRequest
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.identity import crc32c
from deckwatch.wire.model import Batch, Chunk, Container, Context, Format, StreamId, StreamInfo
from tests.bench.generate import REAL_LOGS, START_NS, blocks, generated_block, real_block

NEEDLE = b'{"log":"checkout failed, trace needle4711xyz\\n","stream":"stdout","time":"2026-01-01T00:00:00.5Z"}\n'
CHUNK_BYTES = 1 << 20
FOREVER = (-(2**63), 2**63 - 1)


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system


class Feeder:
    """Docker-json bytes as the batches that an agent would send: four chunks of one container each."""

    def __init__(self) -> None:
        self.seq = -1
        self._offset = 0
        self._crc = 0
        container = Container("c" * 64, "shop-web-1", "registry.test/shop/web:1.4", "docker", (("app", "web"),))
        self._stream = StreamInfo(StreamId("bench", "c" * 64 + "/json", "1-0"), "default", Format.DOCKER_JSON, 0)
        self._context = Context("host-1", "/var/lib/docker/containers/x-json.log", container)

    def entry(self, data: bytes) -> Accepted:
        chunks, at = [], 0
        while at < len(data):
            end = len(data) if len(data) - at <= CHUNK_BYTES else data.rindex(b"\n", at, at + CHUNK_BYTES) + 1
            piece = data[at:end]
            crc = crc32c(piece, self._crc)
            chunks.append(Chunk(0, self._offset, self._crc, crc, piece))
            self._offset, self._crc, at = self._offset + len(piece), crc, end
        self.seq += 1
        batch = Batch(1, "bench", "host-1", 0, (self._context,), (self._stream,), tuple(chunks))
        return Accepted(self.seq, START_NS + self.seq, batch, (0,) * len(chunks))


def pieces(lines: int, kind: str, seed: int) -> Iterator[bytes]:
    """About 4 MB each, the needle in ten of them."""
    block = real_block(REAL_LOGS) if kind == "real" else generated_block(seed)
    waiting: list[bytes] = []
    size = done = needles = 0
    for data in blocks(block, lines=lines, size_bytes=None, seed=seed, start_ns=START_NS):
        waiting.append(bytes(data))
        size += len(data)
        done += block.lines
        if needles < 10 and done >= (2 * needles + 1) * lines // 20:
            waiting.append(NEEDLE)
            needles += 1
        if size >= 4 << 20:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def fill(store: EmbeddedStore, lines: int, kind: str) -> tuple[int, int]:
    """(docker-json bytes, records)."""
    parser, feeder = Parser(ParseSettings()), Feeder()
    raw = records = 0
    spent = 0.0
    for data in pieces(lines, kind, 7):
        raw += len(data)
        entry = feeder.entry(data)
        before = cpu_s()
        frame = parser.parse(entry)
        store.append(frame)
        records += frame.rows.height
        if store.hot_text_bytes >= store.settings.seal_bytes:
            store.finish_seal(store.begin_seal(entry.seq, parser.state(), {}, (), (), ()))
        spent += cpu_s() - before
    before = cpu_s()
    store.finish_seal(store.begin_seal(feeder.seq, parser.state(), {}, (), (), ()))
    spent += cpu_s() - before
    print(f"parsed, searchable, sealed      {raw / 1e6 / spent:8.1f} MB per CPU second ({raw / 1e6:.0f} MB)")
    return raw, records


async def timed(name: str, work: Callable[[], Awaitable[int]], runs: int = 5) -> float:
    """Median milliseconds, after one run that warms up."""
    found = await work()
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), cpu_s()
        await work()
        walls.append((time.perf_counter() - wall) * 1e3)
        cpus.append((cpu_s() - cpu) * 1e3)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"{name:32}{wall:8.0f} ms, {cpu:6.0f} ms CPU, found {found}")
    return wall


async def searches(store: EmbeddedStore) -> dict[str, float]:
    reader = EmbeddedSearch(store, lambda: 0)

    async def rows(query: str, limit: int | None = 100) -> int:
        request = SearchRequest("default", parse(query), *FOREVER, limit=limit)
        return sum([page.rows.height async for page in reader.search(request)])

    def count(query: str) -> Callable[[], Awaitable[int]]:
        return lambda: reader.count("default", parse(query), *FOREVER)

    figures = {
        "rare": await timed("rare word, its lines", lambda: rows("needle4711xyz")),
        "absent": await timed("absent word, count", count("needle4711xyw")),
        "common": await timed("common word (info), count", count("info")),
        "level": await timed("level:>=error, count", count("level:>=error")),
        "latest": await timed("latest 100 of all", lambda: rows("")),
        "latest word": await timed("latest 100 with a common word", lambda: rows("info")),
        "histogram": await timed("histogram by level of all", lambda: _histogram(reader)),
    }
    reader.close()
    return figures


async def _histogram(reader: EmbeddedSearch) -> int:
    return len(await reader.histogram("default", parse(""), *FOREVER, 60_000_000_000, by_level=True))


def million(text: str) -> int:
    return int(float(text[:-1]) * 1e6) if text.endswith("M") else int(text)


@click.command()
@click.option("--lines", default="20M", help="Lines to store, 500000 or 20M.")
@click.option("--kind", type=click.Choice(["generated", "real"]), default="generated")
def main(lines: str, kind: str) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as folder:
        store = EmbeddedStore(Path(folder), EmbeddedStoreSettings(retention_s=0.0), SystemClock())
        raw, records = fill(store, million(lines), kind)
        stored = sum(row.data_bytes + row.index_bytes for row in store.segment_rows)
        words = sum(row.index_bytes for row in store.segment_rows)
        print(f"docker-json / stored            {raw / stored:8.2f} (word filters are {words / stored:.1%} of it)")
        print(f"records                         {records:8d} in {len(store.segment_rows)} segments")
        asyncio.run(searches(store))
        store.close()


if __name__ == "__main__":
    main()
