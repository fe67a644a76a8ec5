"""CPU of collector/parse: bytes of chunks to records in columns, step by step.

python -m tests.bench.parse_speed [--size 206MB] [--kind generated|real] [--file PATH]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from collector.parse.frame import build_frame
from collector.parse.input import Accepted
from collector.parse.parser import Parser, warm_up
from collector.parse.scratch import Scratch
from collector.parse.segments import StreamKeys, cut_into_segments
from collector.parse.settings import ParseSettings
from collector.parse.state import OpenStream
from collector.parse.work import Plan, Work
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo
from tests.bench.generate import REAL_LOGS, parse_size, write_docker_json

CHUNK_BYTES = 1 << 20
CHUNKS_A_BATCH = 4


def chunks_of(path: Path) -> Iterator[bytes]:
    """The file as an agent cuts it: at most CHUNK_BYTES, at line ends."""
    with path.open("rb") as file:
        rest = b""
        while data := file.read(CHUNK_BYTES - len(rest)):
            data = rest + data
            cut = data.rindex(b"\n") + 1
            yield data[:cut]
            rest = data[cut:]


def batch_of(pieces: list[tuple[int, int, bytes]], streams: int) -> Batch:
    """Chunks as (stream, start, data)."""
    infos = tuple(
        StreamInfo(StreamId("bench", f"s{n}", "1-0"), "default", Format.DOCKER_JSON, 0) for n in range(streams)
    )
    chunks = tuple(Chunk(stream, start, 0, 0, data) for stream, start, data in pieces)
    return Batch(VERSION, "bench", "host", 0, (Context("host"),), infos, chunks)


def entries_of(path: Path) -> list[Accepted]:
    entries: list[Accepted] = []
    pieces: list[tuple[int, int, bytes]] = []
    start = 0
    for data in chunks_of(path):
        pieces.append((0, start, data))
        start += len(data)
        if len(pieces) == CHUNKS_A_BATCH:
            entries.append(Accepted(len(entries), 1, batch_of(pieces, 1), (0,) * len(pieces)))
            pieces = []
    if pieces:
        entries.append(Accepted(len(entries), 1, batch_of(pieces, 1), (0,) * len(pieces)))
    return entries


class Meter:
    """CPU seconds of this process by step."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self._last = time.process_time()

    def start(self) -> None:
        self._last = time.process_time()

    def note(self, step: str) -> None:
        now = time.process_time()
        self.cpu_s[step] = self.cpu_s.get(step, 0.0) + now - self._last
        self._last = now


def measure_steps(entries: list[Accepted], meter: Meter) -> int:
    """The same as Parser.parse, with a look at the clock between; records."""
    plan, keys, scratch = Plan(ParseSettings()), StreamKeys(), Scratch()
    opened: dict[str, OpenStream] = {}
    records = 0
    for entry in entries:
        meter.start()
        work = Work(cut_into_segments(entry, opened, keys), plan, scratch)
        meter.note("segments: one buffer")
        work.read(entry.received_ns)
        meter.note("read: lines, unescape, time")
        work.join()
        meter.note("join: traces, pieces")
        work.describe()
        meter.note("describe: level, body, UTF-8")
        opened = {stream.key: stream for stream in work.kept(entry.received_ns) if stream is not None}
        meter.note("keep: open groups")
        frame = build_frame(entry.seq, entry.received_ns, work)
        meter.note("frame: polars columns")
        records += len(frame.rows)
    return records


def measure_whole(entries: list[Accepted]) -> float:
    parser = Parser(ParseSettings())
    began = time.process_time()
    for entry in entries:
        parser.parse(entry)
    return time.process_time() - began


def measure_small(calls: int = 3000, streams: int = 20) -> float:
    """Microseconds of CPU for a batch of `streams` chunks of one line, each of another stream."""
    parser = Parser(ParseSettings())
    line = (
        b'{"log":"2026-01-01 00:00:00,000 INFO order created\\n","stream":"stdout","time":"2026-01-01T00:00:00.1Z"}\n'
    )
    entries = [
        Accepted(n, n, batch_of([(s, n * len(line), line) for s in range(streams)], streams), (0,) * streams)
        for n in range(calls)
    ]
    began = time.process_time()
    for entry in entries:
        parser.parse(entry)
    return (time.process_time() - began) / calls * 1e6


def report(name: str, path: Path, repeats: int) -> None:
    entries = entries_of(path)
    megabytes = path.stat().st_size / 1e6
    million_lines = path.read_bytes().count(b"\n") / 1e6
    whole_s = statistics.median(measure_whole(entries) for _ in range(repeats))
    meter = Meter()
    records = 0
    for _ in range(repeats):
        records = measure_steps(entries, meter)
    click.echo(f"{name}: {megabytes:.0f} MB, {million_lines:.2f} million lines, {records / 1e6:.2f} million records")
    steps = {step: cpu_s / repeats for step, cpu_s in meter.cpu_s.items()} | {"Parser.parse, median": whole_s}
    for step, cpu_s in steps.items():
        click.echo(
            f"  {step:30} {cpu_s / million_lines:6.3f} CPU-s/M lines  {megabytes / max(cpu_s, 1e-9):8.0f} MB/CPU-s"
        )


@click.command()
@click.option("--size", default="206MB", callback=lambda _c, _p, value: parse_size(value), show_default=True)
@click.option("--file", type=click.Path(exists=True, path_type=Path), default=None, help="A docker-json log instead.")
@click.option("--repeats", default=5, show_default=True)
def main(size: int, file: Path | None, repeats: int) -> None:
    """Print what parsing costs."""
    warm_up()
    click.echo(f"20 chunks of one line, 20 streams: {measure_small():.0f} us a batch")
    if file is not None:
        report(str(file), file, repeats)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench-json.log"
        write_docker_json(path, size_bytes=size)
        report("generated", path, repeats)
        if REAL_LOGS.exists():
            write_docker_json(path, size_bytes=size, real=REAL_LOGS)
            report("real logs with other digits", path, repeats)


if __name__ == "__main__":
    main()
