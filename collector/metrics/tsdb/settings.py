"""Options of the samples' history."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class HistorySettings(Struct, frozen=True):
    keep_days: Annotated[float, Meta(description="Samples older than this go; 0 = never for their age.", ge=0)] = 15.0
    keep_bytes: Annotated[
        int, Meta(description="The oldest blocks beyond so many bytes of a tenant go; 0 = no limit.", ge=0)
    ] = 0
    memory_s: Annotated[float, Meta(description="Samples are written as a block when they span this time.", ge=60)] = (
        7_200.0
    )
    memory_samples: Annotated[int, Meta(description="... or when so many of a tenant are in memory.", ge=1000)] = (
        50_000_000
    )
