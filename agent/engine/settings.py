"""What the container engine is asked for beside its containers, and how often."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    enabled: Annotated[
        bool, Meta(description="Images and volumes of the Docker engine (agent.discover.docker) as metrics.")
    ] = True
    interval_s: Annotated[
        float, Meta(description="Between two looks at the lists of images, volumes and their users.", ge=10)
    ] = 300.0
    timeout_s: Annotated[float, Meta(description="Time for one of these lists.", gt=0)] = 20.0
    usage_interval_s: Annotated[
        float,
        Meta(
            description="Between two looks at the space that volumes, image layers and the build cache take: the "
            "engine walks their files for it. At most a hundredth of the time goes into it. 0: never.",
            ge=0,
        ),
    ] = 3600.0
    usage_timeout_s: Annotated[float, Meta(description="Time for that.", gt=0)] = 120.0
    emit_s: Annotated[float, Meta(description="Between two samples of what was last found.", ge=1)] = 60.0
    most: Annotated[
        int,
        Meta(description="Images, and volumes, with series of their own, the largest; the others are summed up.", ge=0),
    ] = 300
