"""From an answer's series to the frame of samples that is sent. Pure."""

from __future__ import annotations

import struct

import msgspec

from agent.scrape.table import Count, SeriesTable
from agent.scrape.target import Target
from deckwatch.wire.model import Column, Labels, Samples
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


def source_name(target: Target) -> str:
    """A source for each target: their scrapes end in any order, and a source's frames are in the order of time."""
    labels = dict(target.labels)
    return f"scrape/{labels.get('job', '')}/{labels.get('instance', '')}/{target.key}"


def series_labels(target: Target) -> Labels:
    return tuple(sorted([*target.labels, *target.soft]))


def scrape_frame(target: Target, tenant: str, ts_ns: int, report: Report, table: SeriesTable) -> Samples:
    """Complete: what the scrape before had and this one lacks has ended, all of it where the target is down."""
    schemas: list[tuple[Column, ...]] = [REPORT]
    values = [_report(report)]
    if report.up:
        schemas += table.columns()
        values += table.values()
    labels = series_labels(target)
    measured = tuple(
        Measured(labels, place, struct.pack(f"<{len(block)}d", *block)) for place, block in enumerate(values)
    )
    return Samples(source_name(target), ts_ns, tenant, tuple(schemas), measured)


def ending_frame(target: Target, tenant: str, ts_ns: int) -> Samples:
    """The target is no longer scraped."""
    return Samples(source_name(target), ts_ns, tenant, (), (), (series_labels(target),))


def _report(report: Report) -> list[float]:
    count = report.count
    return [
        float(report.up),
        report.duration_s,
        float(count.scraped),
        float(count.kept),
        float(count.added),
    ]
