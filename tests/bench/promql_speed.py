"""PromQL: range queries over an hour at 15 s, ours and Prometheus', on the same samples in the same run.

    python -m tests.bench.promql_speed [--series 10000] [--alone]

Prometheus gets the samples as blocks (promtool tsdb create-blocks-from openmetrics). Its figure is what it says itself
that the evaluation took (`stats=all`, evalTotalTime: without HTTP and JSON); ours is `evaluate` with an in-memory
source, selection included. Medians; the kernels are compiled before.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.result import Result
from deckwatch.wire.model import Labels
from tests.collector.metrics.promql.beside import Series, ask, openmetrics
from tests.fixtures.prometheus_server import prometheus_server

STEP_S = 15
HOUR_S = 3600
BOUNDS = ("0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf")
HISTOGRAMS = 300
GAUGES = 1500
REPEATS = 7

QUERIES = {
    "sum by (x) (rate(m[5m]))": "sum by (x) (rate(requests_total[5m]))",
    "histogram_quantile, 3,000 buckets": "histogram_quantile(0.9, sum by (le, h) (rate(latency_bucket[5m])))",
    "quantile_over_time, 1,500 series": "quantile_over_time(0.9, temperature[5m])",
    "avg_over_time, 1,500 series": "avg_over_time(temperature[5m])",
    "sum by (x) (m)": "sum by (x) (requests_total)",
    "topk(5, rate)": "topk(5, rate(requests_total[5m]))",
    "rate / on (i, x) rate": "rate(requests_total[5m]) / on (i, x) rate(requests_total[5m])",
}


def series_of(counters: int) -> Iterator[tuple[str, Labels, np.ndarray]]:
    """(metric family, labels, values at each scrape): random counters with resets, histograms, gauges."""
    rng = np.random.default_rng(1)
    scrapes = (HOUR_S + 600) // STEP_S + 1
    for number in range(counters):
        values = np.cumsum(rng.uniform(0, 100, scrapes))
        reset = int(rng.integers(0, scrapes))
        values[reset:] -= values[reset]
        yield "requests_total", (("i", str(number)), ("x", f"x{number % 50}")), values
    for number in range(HISTOGRAMS):
        counts = np.cumsum(np.cumsum(rng.integers(0, 20, (len(BOUNDS), scrapes)), axis=1), axis=0).astype(np.float64)
        for bound, values in zip(BOUNDS, counts, strict=True):
            yield "latency_bucket", (("h", str(number)), ("le", bound)), values
    for number in range(GAUGES):
        yield "temperature", (("i", str(number)),), rng.normal(20, 5, scrapes)


def samples(counters: int, start_s: int) -> Iterator[Series]:
    for name, labels, values in series_of(counters):
        times_ms = [(start_s + place * STEP_S) * 1000 for place in range(len(values))]
        yield (("__name__", name), *labels), times_ms, values.tolist()


def fill(counters: int, start_s: int) -> MemorySource:
    source = MemorySource()
    for series in samples(counters, start_s):
        source.add(*series)
    return source


def backfill(folder: Path, counters: int, start_s: int) -> None:
    """Blocks in `folder`/data. Takes promtool some minutes."""
    text = folder / "samples.txt"
    with text.open("w") as out:
        out.writelines(openmetrics(samples(counters, start_s)))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    text.unlink()


def theirs_ms(url: str, query: str, start_s: int, end_s: int) -> tuple[float, dict[str, list[list[float | str]]]]:
    """Median of the evaluation times that it tells, and the answer by series."""
    times: list[float] = []
    for _ in range(REPEATS):
        data = ask(url, "query_range", query=query, start=start_s, end=end_s, step=STEP_S, stats="all")["data"]
        times.append(data["stats"]["timings"]["evalTotalTime"] * 1000)
    return statistics.median(times), {str(sorted(one["metric"].items())): one["values"] for one in data["result"]}


def ours_ms(source: MemorySource, query: str, start_s: int, end_s: int) -> tuple[float, Result]:
    def ask() -> Result:
        return evaluate(query, start_s * 1000, end_s * 1000, STEP_S * 1000, source)

    result = ask()
    return statistics.median(_timed_ms(ask) for _ in range(REPEATS)), result


def _timed_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def differing(ours: Result, theirs: dict[str, list[list[float | str]]]) -> int:
    """Points that differ by more than a rounding error."""
    wrong = 0
    seen = 0
    for points in ours.series():
        other = theirs.get(str(sorted(points.labels)), [])
        values = {round(float(at) * 1000): float(value) for at, value in other}
        mine = dict(zip(points.times_ms.tolist(), points.values.tolist(), strict=True))
        for at_ms in values.keys() | mine.keys():
            seen += 1
            one, two = mine.get(at_ms, np.inf), values.get(at_ms, -np.inf)
            wrong += not (np.isclose(one, two, rtol=1e-9) or (np.isnan(one) and np.isnan(two)))
    return wrong + abs(len(theirs) - len(ours)) * (seen == 0)


@click.command()
@click.option("--series", "counters", default=10_000, show_default=True)
@click.option("--alone", is_flag=True, help="Without Prometheus.")
def main(counters: int, alone: bool) -> None:
    end_s = int(time.time()) // 7200 * 7200 - 600
    start_s = end_s - HOUR_S - 600
    # off the scrapes' own times: Prometheus 2 takes a sample at the left edge of a window, 3 and we don't
    first_s, last_s = start_s + 601, end_s - 14
    source = fill(counters, start_s)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is the queries'
    held_mib = _memory_mib("VmRSS")
    print(f"{counters:,} counters, {HISTOGRAMS} histograms of {len(BOUNDS)}, {GAUGES} gauges; 1 h at {STEP_S} s; ms")
    with contextlib.ExitStack() as stack:
        url = ""
        if not alone:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            backfill(folder, counters, start_s)
            url = stack.enter_context(prometheus_server(folder)).url
        print(f"  {'':36}{'ours':>8}{'Prometheus':>12}{'ratio':>8}{'points that differ':>20}")
        for name, query in QUERIES.items():
            mine, result = ours_ms(source, query, first_s, last_s)
            line = f"  {name:36}{mine:8.0f}"
            if url:
                other, answer = theirs_ms(url, query, first_s, last_s)
                line += f"{other:12.0f}{mine / other:8.2f}{differing(result, answer):20}"
            print(line, flush=True)
    print(f"  memory of ours at its peak, beyond the samples: {_memory_mib('VmHWM') - held_mib} MiB")


def _memory_mib(what: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
