"""What a remote write costs: samples a CPU second, decoded, taken into memory, committed with fsync.

python -m tests.bench.remote_write_speed [--series 20000] [--scrapes 20]

Requests as Prometheus sends them: 2,000 series with one sample each, five labels.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import cramjam
from prometheus_client import CollectorRegistry

from collector.metrics.remote.encode import encode_labels, write_request
from collector.metrics.remote.wire import read_request
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.wal import Write
from deckwatch.runtime.clock import ManualClock

T0_MS = 1_700_000_000_000
BATCH = 2000


def requests(series: int, scrapes: int) -> list[list[bytes]]:
    """By scrape."""
    encoded = [
        encode_labels(
            (
                ("__name__", f"metric_{number % 100}_total"),
                ("cpu", str(number % 8)),
                ("instance", f"host-{number}:9100"),
                ("job", "node"),
                ("mode", "user"),
            )
        )
        for number in range(series)
    ]
    return [
        [
            bytes(cramjam.snappy.compress_raw(_request(encoded[at : at + BATCH], scrape)))
            for at in range(0, series, BATCH)
        ]
        for scrape in range(scrapes)
    ]


def _request(labels: list[bytes], scrape: int) -> bytes:
    at_ms = T0_MS + 15_000 * scrape
    return write_request((each, [at_ms + place], [1.5 * place + scrape]) for place, each in enumerate(labels))


@click.command()
@click.option("--series", default=20_000)
@click.option("--scrapes", default=20)
def main(series: int, scrapes: int) -> None:
    first, *rest = requests(series, scrapes)
    clock = ManualClock(T0_MS * 1_000_000)
    read_request(b"")  # compiled
    with tempfile.TemporaryDirectory() as folder:
        store = SampleStore(Path(folder) / "samples", HistorySettings(keep_days=0), clock, CollectorRegistry())
        click.echo(f"series seen for the first time  {_taken(store, [first]):10,.0f} samples a CPU second")
        click.echo(f"known series                    {_taken(store, rest):10,.0f} samples a CPU second")
        store.close()


def _taken(store: SampleStore, scrapes: list[list[bytes]]) -> float:
    samples = 0
    started_s = time.process_time()
    for seq, scrape in enumerate(scrapes):
        for body in scrape:
            verdict = store.take_write(Write("default", T0_MS + 3_600_000, body))
            assert not verdict.refused, verdict
            store.commit(seq)
        samples += BATCH * len(scrape)
    return samples / (time.process_time() - started_s)


if __name__ == "__main__":
    main()
