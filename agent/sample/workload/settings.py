"""How long and how many workloads are counted on."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class WorkloadSettings(msgspec.Struct, frozen=True, kw_only=True):
    forget_after_s: Annotated[
        float,
        Meta(
            description="Counters of a workload without containers go on from where they were if one comes within this "
            "time: more than a week, for jobs that run weekly.",
            ge=60,
        ),
    ] = 8 * 86_400.0
    most: Annotated[
        int,
        Meta(
            description="Workloads counted on a host. Beyond it those that are idle longest are forgotten; where none "
            'is, further ones are counted together as the workload "(other)".',
            ge=1,
        ),
    ] = 1000
