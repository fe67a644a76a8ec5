"""The history of samples: CPU for taking, memory, bytes a sample on disk, and the same samples in Prometheus' blocks.

python -m tests.bench.history [--series 100000] [--hours 2] [--prometheus-series 2000]

Samples look like those of containers: counters, CPU seconds that were nanoseconds, whole pages of memory, floats,
constants, at 15 s with a few ms of jitter. PROMTOOL= names promtool where it isn't on the PATH.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from prometheus_client import CollectorRegistry

from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Column, Labels, Samples, Target

COLUMNS = 100  # series of a container
HOSTS = 10
STEP_S = 15
T0_NS = 1_700_000_000_000_000_000
COMMIT_EVERY = 40  # looks: ten minutes


class Containers:
    """Their values, look after look."""

    def __init__(self, series: int) -> None:
        self._random = np.random.default_rng(1)
        self.columns = tuple(
            Column(f"container_thing_{n}_total", (("device", f"d{n % 3}"),) if n % 4 == 0 else ())
            for n in range(COLUMNS)
        )
        self.targets: list[Labels] = [
            (("id", f"/docker/{n:064x}"), ("image", f"registry/app-{n % 40}:1.{n % 7}"), ("name", f"app-{n}"))
            for n in range(series // COLUMNS)
        ]
        self.values = np.zeros((len(self.targets), COLUMNS))
        self._kind = np.arange(COLUMNS) % 6

    def step(self, number: int) -> int:
        """New values; Unix ns."""
        self._grow(0, lambda shape: self._random.integers(0, 1000, shape))
        nanoseconds = np.round(self.values[:, self._kind == 1] * 1e9)
        self.values[:, self._kind == 1] = (nanoseconds + self._random.integers(0, 10**9, nanoseconds.shape)) / 1e9
        pages = self._random.integers(1000, 100_000, self.values[:, self._kind == 2].shape)
        self.values[:, self._kind == 2] = pages * 4096
        if number % 20 == 0:
            self._grow(3, np.ones)
        self.values[:, self._kind == 4] = self._random.random(self.values[:, self._kind == 4].shape)
        return T0_NS + number * STEP_S * 10**9 + int(self._random.integers(-3_000_000, 3_000_000))

    def _grow(self, kind: int, by) -> None:  # type: ignore[no-untyped-def]
        self.values[:, self._kind == kind] += by(self.values[:, self._kind == kind].shape)

    def frames(self, at_ns: int) -> Iterator[tuple[str, Samples]]:
        each = -(-len(self.targets) // HOSTS)
        for host in range(HOSTS):
            part = range(host * each, min((host + 1) * each, len(self.targets)))
            made = tuple(Target(self.targets[n], 0, self.values[n].tobytes()) for n in part)
            yield f"host-{host}", Samples("cgroup", at_ns, "default", (self.columns,), made)


@click.command()
@click.option("--series", default=100_000)
@click.option("--hours", default=2.0)
@click.option("--prometheus-series", default=2000)
def main(series: int, hours: float, prometheus_series: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours(Path(folder) / "ours", series, hours)
        promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
        if promtool is None:
            print("no promtool: Prometheus' blocks of the same samples were not measured")
        else:
            beside_prometheus(Path(folder), promtool, prometheus_series, hours)


def ours(folder: Path, series: int, hours: float) -> None:
    store, clock = SampleStore(folder, HistorySettings(), ManualClock(T0_NS), CollectorRegistry()), time.process_time
    containers, began_s = Containers(series), clock()
    samples = fill(store, containers, hours)
    took_s = clock() - began_s
    print(f"{samples:,} samples of {series:,} series: {samples / took_s:,.0f} taken and committed a CPU second")
    print(f"resident: {_resident_mb():.0f} MB")
    began_s = clock()
    assert store.flush().result()  # type: ignore[union-attr]
    print(f"written as a block in {clock() - began_s:.1f} CPU s; {_size(folder) / samples:.2f} bytes a sample")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident: {peak_mb:.0f} MB")
    tenant = store.tenant("default")
    assert tenant is not None
    for attempt in ("first", "again"):
        began_s = clock()
        found = tenant.select((Matcher(NAME_LABEL, MatchOp.REGEX, "container_thing_.0_total"),), 0, 1 << 60)
        took_ms = 1000 * (clock() - began_s)
        print(f"{len(found.values):,} samples of {len(found.labels):,} series read in {took_ms:.0f} CPU ms ({attempt})")
    store.close()


def fill(store: SampleStore, containers: Containers, hours: float) -> int:
    samples = 0
    for number in range(int(hours * 3600 / STEP_S)):
        for host, frame in containers.frames(containers.step(number)):
            store.take(host, frame)
        samples += containers.values.size
        if number % COMMIT_EVERY == COMMIT_EVERY - 1:
            store.commit(number)
    store.commit(1 << 40)
    return samples


def beside_prometheus(folder: Path, promtool: str, series: int, hours: float) -> None:
    store = SampleStore(folder / "small", HistorySettings(), ManualClock(T0_NS), CollectorRegistry())
    samples = fill(store, Containers(series), hours)
    assert store.flush().result()  # type: ignore[union-attr]
    store.close()
    text = folder / "samples.txt"
    with text.open("w") as out:
        write_text(out, Containers(series), hours)
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "theirs")]
    subprocess.run(command, check=True, capture_output=True)
    size = _size(folder / "small" / "blocks"), _size(folder / "theirs")
    each = [total / samples for total in size]
    print(f"{samples:,} samples of {series:,} series: ours {each[0]:.2f}, Prometheus {each[1]:.2f} bytes a sample")


def write_text(out, containers: Containers, hours: float) -> None:  # type: ignore[no-untyped-def]
    """OpenMetrics, as promtool's backfill reads it: one family after the other."""
    looks = []
    for number in range(int(hours * 3600 / STEP_S)):
        at_ns = containers.step(number)
        looks.append((at_ns // 1_000_000 / 1000, containers.values.copy()))
    for place, column in enumerate(containers.columns):
        out.write(f"# TYPE {column.name} unknown\n")
        for row, target in enumerate(containers.targets):
            labels = ",".join(f'{name}="{value}"' for name, value in (*target, *column.labels))
            for at_s, values in looks:
                out.write(f"{column.name}{{{labels}}} {float(values[row, place])!r} {at_s:.3f}\n")
    out.write("# EOF\n")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
