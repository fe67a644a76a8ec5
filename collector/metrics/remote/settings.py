"""Options of remote write."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class RemoteWriteInSettings(Struct, frozen=True):
    max_body_bytes: Annotated[int, Meta(ge=1 << 16, description="Largest compressed request that is taken.")] = 16 << 20
    max_inflight_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Requests being taken at once; more are told to wait (bytes).")
    ] = 64 << 20
