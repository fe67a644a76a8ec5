"""Options of the intake."""

from __future__ import annotations

from typing import Annotated

import msgspec


class IntakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_body_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 16, description="Largest compressed batch that is taken (bytes)")
    ] = 16 << 20
    max_batch_bytes: Annotated[int, msgspec.Meta(ge=1 << 20, description="Largest batch when unpacked (bytes)")] = (
        64 << 20
    )
    max_chunk_bytes: Annotated[int, msgspec.Meta(ge=1 << 12, description="Largest chunk of one stream (bytes)")] = (
        8 << 20
    )
    max_inflight_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 20, description="Bodies being read and judged at once; more are told to wait (bytes)")
    ] = 64 << 20
    max_pending_bytes: Annotated[
        int,
        msgspec.Meta(ge=1 << 20, description="Acknowledged and not yet searchable; beyond it agents must wait (bytes)"),
    ] = 512 << 20
    body_timeout_s: Annotated[float, msgspec.Meta(gt=0, description="Time for a body to arrive (seconds)")] = 60.0
    journal_segment_bytes: Annotated[
        int, msgspec.Meta(ge=1 << 20, description="Size at which the journal begins a new file (bytes)")
    ] = 64 << 20
    forget_streams_s: Annotated[
        float,
        msgspec.Meta(ge=0, description="Time after which the position of a stream that no agent lists goes (seconds)"),
    ] = 30 * 86400.0
