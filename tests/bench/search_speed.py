"""CPU of collector/search: conditions over messages, documents made of records, fields of JSON bodies in a store. One
thread, medians.

python -m tests.bench.search_speed [--lines 1000000] [--json-lines 300000]
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before Polars starts its pool: CPU seconds of one core

import click
import polars as pl

from collector.records import BODIES, LEVELS, ROWS, RecordFrame
from collector.search.ecs import to_ndjson
from collector.search.language import parse
from collector.search.plan import compile
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.protocol import SearchRequest
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.records import SECOND, T0, origin

QUERIES = (
    "timeout",
    "zebra",
    "error OR fatal OR panic",
    "10.0.0.12",
    "time*",
    "/user-\\d+/",
    "level:>=error timeout",
    "status:500",
    "status:>=500",
    "NOT timeout",
)
BODY_QUERIES = ("ms:>=9990", "ms:<100", "http.bytes:>50000", "took:>800ms", "nope:>5", "client.ip:10.1.0.0/16")
LINE_BYTES = 200
REPEATS = 5


def rows_of(lines: int) -> pl.DataFrame:
    """Lines of 200 bytes: one in ten holds `timeout`, one in twenty is JSON."""
    rng = random.Random(1)
    kinds = [_line(rng, number) for number in range(5000)]
    chosen = [kinds[rng.randrange(len(kinds))] for _ in range(lines)]
    return pl.DataFrame(
        {
            "origin": [0] * lines,
            "ts": range(T0, T0 + lines),
            "start": range(0, lines * LINE_BYTES, LINE_BYTES),
            "end": range(LINE_BYTES, (lines + 1) * LINE_BYTES, LINE_BYTES),
            "level": [rng.randrange(len(LEVELS)) for _ in range(lines)],
            "iostream": [1] * lines,
            "body": [BODIES.index("json") if line[0] == "{" else 0 for line in chosen],
            "flags": [0] * lines,
            "message": chosen,
        },
        schema=ROWS,
    )


def _line(rng: random.Random, number: int) -> str:
    if number % 20 == 0:
        status = rng.choice((200, 404, 500))
        return f'{{"status":{status},"user":{{"name":"u{number}"}},"msg":"{"request done " * 11}"}}'.ljust(LINE_BYTES)
    text = f"GET /api/v1/users/{number} from 10.0.0.{rng.randrange(256)} user-{number} "
    text += "connection timeout " if number % 10 == 1 else "answered in time "
    return (text + "with some more words about nothing in particular; " * 4)[:LINE_BYTES]


def json_frame(lines: int, seq: int) -> RecordFrame:
    """Access logs as JSON of about 200 bytes: numbers, durations, addresses, nested members."""
    rng = random.Random(seq)
    messages = [
        f'{{"time":"2026-01-01T00:00:00.5Z","level":"info","msg":"request done","path":"/api/v1/orders/{number}",'
        f'"status":{rng.choice((200, 404, 500))},"ms":{rng.randrange(10_000)},"took":"{rng.randrange(1, 900)}ms",'
        f'"client":{{"ip":"10.{rng.randrange(8)}.3.{rng.randrange(256)}"}},"http":{{"bytes":{rng.randrange(10**5)}}}}}'
        for number in range(lines)
    ]
    start = seq * lines * LINE_BYTES
    table = {
        "origin": [0] * lines,
        "ts": [T0 + seq * SECOND + n for n in range(lines)],
        "start": range(start, start + lines * LINE_BYTES, LINE_BYTES),
        "end": range(start + LINE_BYTES, start + (lines + 1) * LINE_BYTES, LINE_BYTES),
        "level": [3] * lines,
        "iostream": [1] * lines,
        "body": [BODIES.index("json")] * lines,
        "flags": [0] * lines,
        "message": messages,
    }
    return RecordFrame(seq, T0 + seq * SECOND, (origin("web"),), pl.DataFrame(table, schema=ROWS))


async def bodies_in_a_store(folder: Path, lines: int) -> None:
    """Fields of bodies through the embedded store: the newest two matches, and the count of all."""
    store = EmbeddedStore(folder, EmbeddedStoreSettings(read_threads=1), SystemClock())
    for seq in range(lines // 10_000):
        store.append(json_frame(10_000, seq))
    store.finish_seal(store.begin_seal(lines // 10_000 - 1, b"", {}, (), (), ()))
    reader = EmbeddedSearch(store, lambda: 0)
    click.echo(f"{lines:,} JSON lines in a store; CPU milliseconds for the newest two, for the count")
    for text in BODY_QUERIES:
        query, newest, counted, found = parse(text), [], [], 0
        for _ in range(REPEATS):
            start = time.process_time()
            request = SearchRequest("default", query, T0, T0 + 10**6 * SECOND, limit=2)
            _ = [page async for page in reader.search(request)]
            newest.append(time.process_time() - start)
            start = time.process_time()
            found = await reader.count("default", query, T0, T0 + 10**6 * SECOND)
            counted.append(time.process_time() - start)
        medians_ms = [statistics.median(times) * 1e3 for times in (newest, counted)]
        click.echo(f"  {text:28} {found:>9,} found {medians_ms[0]:8.1f} {medians_ms[1]:8.1f}")
    reader.close()
    store.close()


def cpu_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


@click.command()
@click.option("--lines", default=1_000_000, show_default=True)
@click.option("--json-lines", default=300_000, show_default=True)
def main(lines: int, json_lines: int) -> None:
    if json_lines:
        with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as folder:
            asyncio.run(bodies_in_a_store(Path(folder), json_lines))
    if not lines:
        return
    rows = rows_of(lines)
    origins = {0: origin("web")}
    click.echo(f"{lines:,} lines of {LINE_BYTES} bytes; million lines a CPU second")
    for text in QUERIES:
        compiled = compile(parse(text), origins)
        seconds = cpu_s(lambda compiled=compiled: compiled.filter(rows).height)  # type: ignore[misc]
        click.echo(f"  {text:28} {compiled.filter(rows).height:>9,} found  {lines / seconds / 1e6:6.1f}")
    plain = rows.filter(pl.col("body") == 0).head(100_000)
    bodies = rows.filter(pl.col("body") != 0).head(20_000)
    for name, part in (("without bodies", plain), ("with JSON bodies", bodies)):
        seconds = cpu_s(lambda part=part: [to_ndjson(piece, origins) for piece in part.iter_slices(8192)])  # type: ignore[misc]
        click.echo(f"  documents {name:18} {len(part) / seconds:>9,.0f} a CPU second")


if __name__ == "__main__":
    main()
