"""CPU of collector/search: conditions over messages, documents made of records. One thread, medians.

python -m tests.bench.search_speed [--lines 1000000]
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before Polars starts its pool: CPU seconds of one core

import click
import polars as pl

from collector.records import BODIES, LEVELS, ROWS
from collector.search.ecs import to_ndjson
from collector.search.language import parse
from collector.search.plan import compile
from tests.fixtures.records import T0, origin

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


def cpu_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


@click.command()
@click.option("--lines", default=1_000_000, show_default=True)
def main(lines: int) -> None:
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
