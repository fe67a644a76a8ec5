"""Options of the embedded store."""

from __future__ import annotations

from typing import Annotated

import msgspec


class EmbeddedStoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seal_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1 << 20,
            description="Records in memory (text, and 64 bytes for each) that are written to a Parquet segment at once;"
            " twice as much may wait (bytes)",
        ),
    ] = 24 << 20
    seal_age_s: Annotated[
        float, msgspec.Meta(gt=0, description="Age at which what is in memory is sealed however little it is (seconds)")
    ] = 600.0
    retention_s: Annotated[
        float,
        msgspec.Meta(ge=0, description="Age since receipt at which segments are dropped (seconds; 0 keeps them)"),
    ] = 14 * 86400.0
    retention_bytes: Annotated[
        int,
        msgspec.Meta(ge=0, description="Size of all segments at which the oldest are dropped (bytes; 0: no limit)"),
    ] = 0
    dead_letter_retention_s: Annotated[
        float, msgspec.Meta(ge=0, description="Age at which dead letters are dropped (seconds; 0 keeps them)")
    ] = 30 * 86400.0
    dead_letter_bytes: Annotated[
        int, msgspec.Meta(ge=0, description="Size of all dead letters at which the oldest go (bytes; 0: no limit)")
    ] = 256 << 20
    scrub_period_s: Annotated[
        float,
        msgspec.Meta(ge=0, description="Age at which a segment's checksums are compared again (seconds; 0: never)"),
    ] = 7 * 86400.0
    scrub_bytes_per_s: Annotated[
        int, msgspec.Meta(ge=1 << 10, description="Speed at which segments are read for that (bytes a second)")
    ] = 8 << 20
    compaction_bytes: Annotated[
        int,
        msgspec.Meta(ge=0, description="Segments with less text than this are put together (bytes; 0: never)"),
    ] = 64 << 20
    compaction_calm_s: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="Segments are put together once memory was not full for so long, or 32 of them wait (seconds)",
        ),
    ] = 30.0
    zstd_level: Annotated[int, msgspec.Meta(ge=1, le=19, description="Compression of Parquet segments")] = 1
    read_threads: Annotated[
        int, msgspec.Meta(ge=0, le=64, description="Blocks that one search reads at a time (0: one a core)")
    ] = 0
