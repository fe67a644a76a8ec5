"""What sending samples on costs: samples a CPU second, from the log on disk to a receiver that takes everything.

python -m tests.bench.remote_write_out_speed [--series 20000] [--scrapes 20]

Frames of 100 columns as agents send them, ten labels a series; the receiver is another process, so that its CPU time
does not count.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
from aiohttp import web
from prometheus_client import CollectorRegistry

from collector.metrics.remote.out import RemoteWriteOut
from collector.metrics.remote.out_position import Position, PositionFile
from collector.metrics.remote.settings import MetadataConfig, QueueConfig, RemoteWriteSettings, position_file
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock, SystemClock
from deckwatch.wire.model import Column, Samples, Target

T0_NS = 1_700_000_000_000_000_000
COLUMNS = 100


def frames(series: int, scrape: int) -> list[Samples]:
    """One of each target."""
    columns = tuple(Column(f"container_metric_{n}_total", (("device", f"sd{n % 4}"),)) for n in range(COLUMNS))
    ts_ns = T0_NS + scrape * 15_000_000_000
    made = []
    for target in range(series // COLUMNS):
        labels = tuple(sorted((f"label_{n}", f"value-{target}-{n}") for n in range(7)))
        values = (np.arange(COLUMNS) * 1.5 + scrape + target).tobytes()
        made.append(Samples(f"cgroup/{target}", ts_ns, "default", (columns,), (Target(labels, 0, values),)))
    return made


def receive(told: Connection) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    async def serve() -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/write", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


async def send(folder: Path, port: int, series: int, scrapes: int) -> tuple[float, float]:
    """(CPU seconds, wall seconds)"""
    registry = CollectorRegistry()
    store = SampleStore(folder / "samples", HistorySettings(keep_days=0), ManualClock(T0_NS), registry)
    settings = RemoteWriteSettings(
        url=f"http://127.0.0.1:{port}/write",
        name="bench",
        queue_config=QueueConfig(batch_send_deadline="10ms"),
        metadata_config=MetadataConfig(send=False),
    )

    async def commit() -> None:
        return

    PositionFile(position_file(folder / "remote-write", settings), "bench").save(Position())
    for scrape in range(scrapes):
        for frame in frames(series, scrape):
            store.take("host-1", frame)
        store.commit(scrape)
    out = RemoteWriteOut(
        (settings,), store, folder / "remote-write", commit, lambda tenant: {}, SystemClock(), registry, keep_days=0
    )
    cpu_s, began_s = time.process_time(), time.monotonic()
    task = asyncio.create_task(out.run())
    wanted, labels = series * scrapes, {"receiver": "bench", "outcome": "sent"}
    while (registry.get_sample_value("deckwatch_remote_write_out_samples_total", labels) or 0) < wanted:
        await asyncio.sleep(0.01)
    spent_s, took_s = time.process_time() - cpu_s, time.monotonic() - began_s
    task.cancel()
    await asyncio.wait([task])
    store.close()
    return spent_s, took_s


@click.command()
@click.option("--series", default=20_000)
@click.option("--scrapes", default=20)
def main(series: int, scrapes: int) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    with tempfile.TemporaryDirectory() as folder:
        spent_s, took_s = asyncio.run(send(Path(folder), ours.recv(), series, scrapes))
    receiver.kill()
    samples = series * scrapes
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = f"{samples / spent_s:,.0f} a CPU second, {samples / took_s:,.0f} a second"
    click.echo(f"{samples:,} samples of {series:,} series: {speed}; peak RSS {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
