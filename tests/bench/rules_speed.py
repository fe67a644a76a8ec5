"""Rules: 5,000 over 100,000 series that come every 15 s. Is each slot kept on two cores?

    python -m tests.bench.rules_speed [--rules 5000] [--series 100000] [--seconds 60]

A real SampleStore and a real Alerting with its schedule, in this process; frames of 100 hosts come in beside. Rules as
people write them: a threshold on one series, a rate with `for`, aggregations by host, ratios, recording rules and
alerts on what they record; groups of 20. First each shape alone, then all of them for a while at 15 s.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from prometheus_client import CollectorRegistry

from alerting.app import Alerting
from alerting.settings import AlertingSettings
from collector.metrics.head import Head
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Column, Samples, Target

INTERVAL_S = 15
HOSTS = 100
METRICS = 50
WARM_UP_SCRAPES = 21  # five minutes and a bit

SHAPES = {
    "threshold": "{{alert: T{n}, expr: 'metric_{m}{{host=\"h{h}\"}} > 1e12', for: 1m}}",
    "rate": "{{alert: R{n}, expr: 'rate(metric_{m}_total{{host=\"h{h}\"}}[5m]) > 1e9', for: 5m}}",
    "by host": "{{alert: S{n}, expr: 'sum by (host) (metric_{m}) > 1e12'}}",
    "ratio": '{{alert: Q{n}, expr: \'metric_{m}{{host="h{h}"}} / on (i, host) metric_{k}{{host="h{h}"}} > 1e9\'}}',
    "record": "{{record: 'host:metric_{m}:rate{n}', expr: 'sum by (host) (rate(metric_{m}_total[5m]))'}}",
    "on recorded": "{{alert: A{n}, expr: 'host:metric_{m}:rate{r} > 1e9'}}",
}
GROUP = ("record", "on recorded", *["threshold", "rate"] * 7, "by host", "ratio", "ratio", "threshold")


def rule_file(rules: int) -> str:
    lines = ["groups:"]
    last_record = 0
    for n in range(rules):
        if n % len(GROUP) == 0:
            lines.append(f"- name: g{n // len(GROUP)}\n  interval: {INTERVAL_S}s\n  rules:")
        shape = GROUP[n % len(GROUP)]
        last_record = n if shape == "record" else last_record
        m = (n if shape != "on recorded" else last_record) % (METRICS // 2)
        text = SHAPES[shape].format(n=n, m=m, k=(m + 1) % (METRICS // 2), h=n % HOSTS, r=last_record)
        lines.append(f"  - {text}")
    return "\n".join(lines) + "\n"


class Feed:
    """Frames of `series` series: half gauges, half counters."""

    def __init__(self, series: int) -> None:
        names = [f"metric_{number}" for number in range(METRICS // 2)]
        schema = tuple(Column(name) for name in (*names, *(f"{name}_total" for name in names)))
        self._schemas = (schema,)
        self._targets = [((("i", f"c{number}"),)) for number in range(series // (METRICS * HOSTS))]
        self._rng = np.random.default_rng(1)
        self._count = 0.0

    def frames(self, ts_ns: int) -> list[tuple[str, Samples]]:
        self._count += 10
        found = []
        for host in range(HOSTS):
            values = self._rng.random((len(self._targets), METRICS)) * 100
            values[:, METRICS // 2 :] += self._count * 100
            targets = tuple(
                Target(labels, 0, row.astype("<f8").tobytes())
                for labels, row in zip(self._targets, values, strict=True)
            )
            found.append((f"h{host}", Samples("cgroup", ts_ns, "default", self._schemas, targets)))
        return found


class Desk:
    def __init__(self, folder: Path, rules: int) -> None:
        (folder / "rules.yml").write_text(rule_file(rules))
        self.registry = CollectorRegistry()
        self.clock = SystemClock()
        self.head = Head(self.clock, self.registry)
        self.history = SampleStore(folder / "samples", HistorySettings(), self.clock, self.registry)
        began = time.perf_counter()
        self.alerting = Alerting(
            AlertingSettings(builtin_rules=False),
            [str(folder / "rules.yml")],
            folder / "alerting",
            self.head,
            self.clock,
            self.registry,
            history=self.history.source,
            keep=self.keep,
        )
        print(f"loaded {rules:,} rules in {time.perf_counter() - began:.1f} s")

    async def keep(self, frames: Sequence[tuple[str, Samples]], *, durable: bool) -> None:
        await asyncio.to_thread(self._keep, frames, durable)

    def _keep(self, frames: Sequence[tuple[str, Samples]], durable: bool) -> None:
        for host, samples in frames:
            self.history.take(host, samples)
        if durable:
            self.history.commit(self.history.position())

    def take(self, frames: Sequence[tuple[str, Samples]]) -> None:
        self._keep(frames, durable=True)
        for host, samples in frames:
            self.head.take_samples(0, host, samples)


def shapes(desk: Desk) -> None:
    """CPU time of a rule of each shape, alone and within its group."""
    groups = list(desk.alerting._evaluator.groups.values())
    evaluator = desk.alerting._evaluator
    evaluator.warm()
    for group in groups[:5]:
        evaluator.apply(group, evaluator.compute(group, desk.clock.now_ns()))
    took: dict[str, list[float]] = {}
    cpu = time.process_time()
    for group in groups[:50]:
        outcome = evaluator.compute(group, desk.clock.now_ns())
        for shape, one in zip(GROUP, outcome.rules, strict=False):
            took.setdefault(shape, []).append(one.took_s * 1000)
            if one.error:
                raise RuntimeError(one.error)
    each_ms = (time.process_time() - cpu) * 1000 / sum(map(len, took.values()))
    for shape, times in took.items():
        print(f"  {shape:12} {statistics.median(times):7.2f} ms")
    rules = len(groups) * len(GROUP)
    print(
        f"  a rule takes {each_ms:.2f} ms of CPU; all {rules:,} take {each_ms * rules / 1000:.1f} s of {INTERVAL_S} s"
    )


async def live(desk: Desk, feed: Feed, seconds: int) -> None:
    task = asyncio.create_task(desk.alerting.run())
    began, cpu = time.monotonic(), time.process_time()
    late_ms: list[float] = []
    next_frames = began
    while time.monotonic() - began < seconds:
        if time.monotonic() >= next_frames:
            await asyncio.to_thread(desk.take, feed.frames(desk.clock.now_ns()))
            next_frames += INTERVAL_S
        asked = time.monotonic()
        await asyncio.sleep(0.05)
        late_ms.append((time.monotonic() - asked - 0.05) * 1000)
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    evaluated = desk.registry.get_sample_value("deckwatch_alerting_rule_evaluations_total", {"outcome": "ok"}) or 0
    missed = desk.registry.get_sample_value("deckwatch_alerting_group_slots_missed_total")
    rules = sum(len(group.rules) for group in desk.alerting._evaluator.groups.values())
    print(
        f"  {wall_s:.0f} s at {INTERVAL_S} s: each rule evaluated {evaluated / rules:.2f} times,"
        f" {missed:.0f} slots missed"
    )
    print(f"  {cpu_s / wall_s:.2f} cores, frames taken in included; the loop was held up {max(late_ms):.0f} ms at most")


@click.command()
@click.option("--rules", default=5000, show_default=True)
@click.option("--series", default=100_000, show_default=True)
@click.option("--seconds", default=60, show_default=True)
def main(rules: int, series: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        desk = Desk(Path(name), rules)
        feed = Feed(series)
        now_ns = desk.clock.now_ns()
        for back in range(WARM_UP_SCRAPES, 0, -1):
            desk.take(feed.frames(now_ns - back * INTERVAL_S * 1_000_000_000))
        shapes(desk)
        if seconds:
            asyncio.run(live(desk, feed, seconds))
        asyncio.run(desk.alerting.stop())
        desk.history.close()
        status = Path(f"/proc/{os.getpid()}/status").read_text()
        print(f"  peak memory {int(status.split('VmHWM:')[1].split()[0]) // 1024} MiB, the samples included")


if __name__ == "__main__":
    main()
