"""From an answer's series to the frames of samples that are sent. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import msgspec

from agent.scrape.table import Count, SeriesTable
from agent.scrape.target import Target
from deckwatch.wire.model import Column, Description, Labels, Samples
from deckwatch.wire.model import Target as Measured

REPORT = (
    Column("up"),
    Column("scrape_duration_seconds"),
    Column("scrape_samples_scraped"),
    Column("scrape_samples_post_metric_relabeling"),
    Column("scrape_series_added"),
)
"""Prometheus' own series of a scrape, in the order of `_report`."""


class Report(msgspec.Struct, frozen=True):
    """How a scrape went. Without success nothing of its answer counts."""

    up: bool
    duration_s: float
    count: Count = Count()


BLOCKS_PER_FRAME = 64
"""8,192 series, about a megabyte: a frame can't be split on its way, and a chunk has an upper bound."""


def source_name(target: Target, part: int = 0) -> str:
    """A source for each target: their scrapes end in any order, and a source's frames are in the order of time.
    Series that one frame can't hold have a source of their own for each further frame."""
    labels = dict(target.labels)
    name = f"scrape/{labels.get('job', '')}/{labels.get('instance', '')}/{target.key}"
    return f"{name}/{part}" if part else name


def series_labels(target: Target) -> Labels:
    return tuple(sorted([*target.labels, *target.soft]))


def scrape_frames(
    target: Target,
    tenant: str,
    ts_ns: int,
    report: Report,
    table: SeriesTable,
    parts_before: int,
    about: tuple[Description, ...] = (),
) -> list[Samples]:
    """Complete: what the scrape before, of `parts_before` frames, had and this one lacks has ended, all of it where the
    target is down. `about` goes with the first."""
    columns: list[tuple[Column, ...]] = [REPORT]
    values = [_report(report)]
    if report.up:
        columns += table.columns()
        values += table.values()
    frames = [
        _frame(target, tenant, ts_ns, part, columns[at : at + BLOCKS_PER_FRAME], values[at : at + BLOCKS_PER_FRAME])
        for part, at in enumerate(range(0, len(columns), BLOCKS_PER_FRAME))
    ]
    if about:
        frames[0] = msgspec.structs.replace(frames[0], about=about)
    return frames + ending_frames(target, tenant, ts_ns, range(len(frames), parts_before))


def ending_frames(target: Target, tenant: str, ts_ns: int, parts: Iterable[int]) -> list[Samples]:
    """Those parts are no longer scraped."""
    ended = (series_labels(target),)
    return [Samples(source_name(target, part), ts_ns, tenant, (), (), ended) for part in parts]


def _frame(
    target: Target,
    tenant: str,
    ts_ns: int,
    part: int,
    columns: Sequence[tuple[Column, ...]],
    values: Sequence[list[float]],
) -> Samples:
    labels = series_labels(target)
    measured = tuple(
        Measured(labels, place, struct.pack(f"<{len(block)}d", *block)) for place, block in enumerate(values)
    )
    return Samples(source_name(target, part), ts_ns, tenant, tuple(columns), measured)


def _report(report: Report) -> list[float]:
    count = report.count
    return [
        float(report.up),
        report.duration_s,
        float(count.scraped),
        float(count.kept),
        float(count.added),
    ]
