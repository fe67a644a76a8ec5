"""How what was read is sent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SpoolSettings(msgspec.Struct, frozen=True):
    limit_bytes: Annotated[
        int, Meta(description="Most bytes of samples and events kept while they can't be sent.", ge=1 << 20)
    ] = 64 << 20
    file_bytes: Annotated[int, Meta(description="A spool file is ended at this size.", ge=64 << 10)] = 4 << 20


class ShipSettings(msgspec.Struct, frozen=True):
    batch_bytes: Annotated[int, Meta(description="Most raw bytes in one batch.", ge=64 << 10)] = 2 << 20
    batch_age_s: Annotated[float, Meta(description="Seconds after which a batch goes even if it is small.", gt=0)] = 0.2
    settle_s: Annotated[
        float, Meta(description="Seconds that the first line after a quiet time waits for company.", ge=0)
    ] = 0.05
    zstd_level: Annotated[int, Meta(description="Compression of batches.", ge=1, le=19)] = 1
    connect_timeout_s: Annotated[float, Meta(description="Time for the collector to accept.", gt=0)] = 10.0
    answer_timeout_s: Annotated[float, Meta(description="Time without a byte of its answer.", gt=0)] = 60.0
    retry_first_s: Annotated[float, Meta(description="First wait after a failure; it doubles each time.", gt=0)] = 0.2
    retry_most_s: Annotated[float, Meta(description="Longest wait between two tries.", gt=0)] = 30.0
    checkpoint_s: Annotated[float, Meta(description="Least seconds between two writes of the checkpoint.", ge=0)] = 1.0
    drain_s: Annotated[float, Meta(description="Most seconds to send what is left when stopping.", ge=0)] = 5.0
    spool: Annotated[SpoolSettings, Meta(description="The buffer of samples and events.")] = SpoolSettings()
