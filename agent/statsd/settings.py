"""How StatsD is listened to."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

TIMER_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Prometheus' default buckets."""
VALUE_BUCKETS = (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


class StatsdSettings(msgspec.Struct, frozen=True):
    listen: Annotated[
        str, Meta(description="HOST:PORT for UDP, usually 127.0.0.1:8125. Empty: no UDP. There is no password in it.")
    ] = ""
    socket: Annotated[str, Meta(description="Unix datagram socket, as DogStatsD clients use it. Empty: none.")] = ""
    receive_buffer_bytes: Annotated[
        int, Meta(description="Kernel's buffer for bursts; net.core.rmem_max bounds it.", ge=4096)
    ] = 4 << 20
    interval_s: Annotated[float, Meta(description="Between two samples of each series.", ge=1, le=3600)] = 10.0
    idle_s: Annotated[float, Meta(description="A series that nobody wrote to for so long ends; 0: never.", ge=0)] = (
        3600.0
    )
    max_series: Annotated[
        int, Meta(description="Counters, gauges, timers and sets kept; new ones are refused.", ge=1)
    ] = 10_000
    max_set_values: Annotated[int, Meta(description="Distinct values counted of one set in an interval.", ge=1)] = (
        10_000
    )
    timer_buckets_s: Annotated[
        tuple[float, ...], Meta(description="Upper bounds of histograms made of timers (ms).", min_length=1)
    ] = TIMER_BUCKETS_S
    value_buckets: Annotated[
        tuple[float, ...],
        Meta(description="Upper bounds of those made of histograms (h) and distributions (d).", min_length=1),
    ] = VALUE_BUCKETS
    tenant: Annotated[str, Meta(description="Tenant that the samples belong to.", min_length=1)] = "default"

    def __post_init__(self) -> None:
        for name in ("timer_buckets_s", "value_buckets"):
            if any(not low < high for low, high in pairwise(getattr(self, name))):
                raise ValueError(f"{name}: each bound must be above the one before")
