"""range queries the whole way: HTTP, selection from the history, evaluation, JSON; ours and Prometheus', on the same
samples, filled by the same remote writes, in the same run.

    python -m tests.bench.query_http_speed [--series 10000] [--repeats 7]

Wall and CPU time (of the daemon) of one request, medians; answers are compared.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import click
import cramjam
import msgspec
import numpy as np

from collector.metrics.remote.encode import encode_labels, write_request
from tests.chaos.daemons import Pair
from tests.fixtures.prometheus_server import prometheus_server

STEP_S = 15
HOUR_S = 3600
BATCH = 5000
QUERIES = {
    "sum by (x) (rate(m[5m]))": "sum by (x) (rate(requests_total[5m]))",
    "sum by (x) (m)": "sum by (x) (requests_total)",
    "rate of 1 in 50": 'rate(requests_total{x="x7"}[5m])',
    "topk(5, m)": "topk(5, requests_total)",
}
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


class Server(msgspec.Struct, frozen=True):
    url: str
    pid: int

    def cpu_s(self) -> float:
        times = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def post(self, body: bytes) -> None:
        request = urllib.request.Request(f"{self.url}/api/v1/write", body, HEADERS)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status in (200, 204)

    def ask(self, query: str, start_s: float, end_s: float) -> bytes:
        text = urlencode({"query": query, "start": start_s, "end": end_s, "step": STEP_S})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{text}", timeout=120) as answer:
            return bytes(answer.read())


def fill(servers: list[Server], series: int, start_s: int, scrapes: int) -> list[float]:
    """CPU seconds of each server."""
    chance = np.random.default_rng(1)
    labels = [
        encode_labels((("__name__", "requests_total"), ("i", str(number)), ("x", f"x{number % 50}")))
        for number in range(series)
    ]
    values = np.zeros(series)
    before = [server.cpu_s() for server in servers]
    for scrape in range(scrapes):
        values += chance.uniform(0, 100, series)
        at_ms = (start_s + STEP_S * scrape) * 1000
        for first in range(0, series, BATCH):
            part = values[first : first + BATCH].tolist()
            request = write_request(
                (one, (at_ms,), (value,)) for one, value in zip(labels[first : first + BATCH], part, strict=True)
            )
            body = bytes(cramjam.snappy.compress_raw(request))
            for server in servers:
                server.post(body)
    return [server.cpu_s() - spent for server, spent in zip(servers, before, strict=True)]


def median_ms(ask: Callable[[], object], server: Server, repeats: int) -> tuple[float, float]:
    """(wall, CPU of the server) of one request."""
    walls = []
    cpu_s = server.cpu_s()
    for _ in range(repeats):
        started_s = time.perf_counter()
        ask()
        walls.append((time.perf_counter() - started_s) * 1000)
    return statistics.median(walls), (server.cpu_s() - cpu_s) / repeats * 1000


def differing(mine: bytes, other: bytes) -> int:
    """Points that differ by more than the order of additions can make."""
    found, wanted = (
        {
            (str(sorted(one["metric"].items())), at_s): float(text)
            for one in msgspec.json.decode(body)["data"]["result"]
            for at_s, text in one["values"]
        }
        for body in (mine, other)
    )
    return sum(
        not math.isclose(found.get(key, math.nan), wanted.get(key, math.nan), rel_tol=1e-9)
        for key in found.keys() | wanted.keys()
    )


@click.command()
@click.option("--series", default=10_000)
@click.option("--repeats", default=7)
def main(series: int, repeats: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "theirs").mkdir()
        ours = Pair(folder).collector
        stack.callback(ours.stop)
        ours.start()
        theirs = stack.enter_context(prometheus_server(folder / "theirs", "", "--web.enable-remote-write-receiver"))
        servers = [Server(ours.url, ours.pid), Server(theirs.url, theirs.pid)]
        end_s = int(time.time())
        start_s = end_s - HOUR_S - 300
        spent = fill(servers, series, start_s, (HOUR_S + 300) // STEP_S)
        samples = series * ((HOUR_S + 300) // STEP_S)
        click.echo(f"{samples:,} samples by remote write: " + " / ".join(f"{one:.1f}" for one in spent) + " CPU s")
        click.echo(
            f"{'':28}{'ours: wall':>12}{'CPU ms':>9}{'theirs: wall':>14}{'CPU ms':>9}{'ratio':>7}  points that differ"
        )
        for name, query in QUERIES.items():
            # half a second behind the samples: a window's left edge is open since Prometheus 3
            window = (start_s + 300 + 0.5, end_s - STEP_S + 0.5)
            mine, other = (server.ask(query, *window) for server in servers)
            figures = [median_ms(partial(server.ask, query, *window), server, repeats) for server in servers]
            row = "".join(f"{wall:12.0f}{cpu:9.0f}  " for wall, cpu in figures)
            click.echo(f"{name:28}{row}{figures[0][0] / figures[1][0]:5.2f}{differing(mine, other):9}")


if __name__ == "__main__":
    main()
