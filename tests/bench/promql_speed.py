"""PromQL: range queries over an hour at 15 s, ours and Prometheus', on the same samples in the same run.

    python -m tests.bench.promql_speed [--series 10000] [--prometheus /usr/bin/prometheus]

Prometheus gets the samples as blocks (promtool tsdb create-blocks-from openmetrics). Its figure is what it says itself
that the evaluation took (`stats=all`, evalTotalTime: without HTTP and JSON); ours is `evaluate` with an in-memory
source, selection included. Medians; the kernels are compiled before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.result import Result
from deckwatch.wire.model import Labels

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
        values = np.cumsum(rng.integers(0, 100, scrapes)).astype(np.float64)
        reset = int(rng.integers(0, scrapes))
        values[reset:] -= values[reset]
        yield "requests_total", (("i", str(number)), ("x", f"x{number % 50}")), values
    for number in range(HISTOGRAMS):
        counts = np.cumsum(np.cumsum(rng.integers(0, 20, (len(BOUNDS), scrapes)), axis=1), axis=0).astype(np.float64)
        for bound, values in zip(BOUNDS, counts, strict=True):
            yield "latency_bucket", (("h", str(number)), ("le", bound)), values
    for number in range(GAUGES):
        yield "temperature", (("i", str(number)),), rng.normal(20, 5, scrapes)


def fill(counters: int, start_s: int) -> MemorySource:
    source = MemorySource()
    for name, labels, values in series_of(counters):
        times = [(start_s + place * STEP_S) * 1000 for place in range(len(values))]
        source.add((("__name__", name), *labels), times, values.tolist())
    return source


def write_openmetrics(path: Path, counters: int, start_s: int) -> None:
    kinds = {"requests_total": "counter", "latency_bucket": "histogram", "temperature": "gauge"}
    declared = ""
    with path.open("w") as out:
        for name, labels, values in series_of(counters):
            if name != declared:
                out.write(f"# TYPE {name.removesuffix('_total').removesuffix('_bucket')} {kinds[name]}\n")
                declared = name
            text = ",".join(f'{label}="{value}"' for label, value in labels)
            for place, value in enumerate(values.tolist()):
                out.write(f"{name}{{{text}}} {value!r} {start_s + place * STEP_S}\n")
        out.write("# EOF\n")


@contextlib.contextmanager
def prometheus(binary: Path, folder: Path, counters: int, start_s: int) -> Iterator[str]:
    """A Prometheus on loopback that has the samples; its URL."""
    text, data, config = folder / "samples.om", folder / "data", folder / "prometheus.yml"
    write_openmetrics(text, counters, start_s)
    config.write_text("global: {}\n")
    promtool = binary.with_name("promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", text, data], check=True, stdout=subprocess.DEVNULL
    )
    text.unlink()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(binary), f"--config.file={config}", f"--storage.tsdb.path={data}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y", "--log.level=error"]
    with subprocess.Popen(command) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url)
            yield url
        finally:
            process.terminate()


def _wait_until_ready(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(f"{url}/-/ready"):
            return
        time.sleep(0.1)
    raise click.ClickException("Prometheus didn't get ready within 20 s")


def theirs_ms(url: str, query: str, start_s: int, end_s: int) -> tuple[float, dict[str, list[list[float | str]]]]:
    """Median of the evaluation times that it tells, and the answer by series."""
    form = urllib.parse.urlencode({"query": query, "start": start_s, "end": end_s, "step": STEP_S, "stats": "all"})
    times: list[float] = []
    for _ in range(REPEATS):
        with urllib.request.urlopen(f"{url}/api/v1/query_range?{form}") as answer:
            data = json.load(answer)["data"]
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
@click.option("--prometheus", "binary", default=shutil.which("prometheus") or "", help="Binary; empty: ours alone.")
def main(counters: int, binary: str) -> None:
    end_s = int(time.time()) // 7200 * 7200 - 600
    start_s = end_s - HOUR_S - 600
    # off the scrapes' own times: Prometheus 2 takes a sample at the left edge of a window, 3 and we don't
    first_s, last_s = start_s + 601, end_s - 14
    source = fill(counters, start_s)
    print(f"{counters:,} counters, {HISTOGRAMS} histograms of {len(BOUNDS)}, {GAUGES} gauges; 1 h at {STEP_S} s; ms")
    with contextlib.ExitStack() as stack:
        url = ""
        if binary:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(prometheus(Path(binary), folder, counters, start_s))
        print(f"  {'':36}{'ours':>8}{'Prometheus':>12}{'ratio':>8}{'points that differ':>20}")
        for name, query in QUERIES.items():
            mine, result = ours_ms(source, query, first_s, last_s)
            line = f"  {name:36}{mine:8.0f}"
            if url:
                other, answer = theirs_ms(url, query, first_s, last_s)
                line += f"{other:12.0f}{mine / other:8.2f}{differing(result, answer):20}"
            print(line, flush=True)
    print(f"  peak memory of ours with its source: {_peak_mib()} MiB")


def _peak_mib() -> int:
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
